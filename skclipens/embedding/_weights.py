"""The weights that an estimator was fitted with, and a warning where it is loaded beside others."""

import hashlib

from .._utils._versions import VersionsMixin, warn_of_others
from ..backbones import Backbone
from ._keys import image_keys


class WeightsMixin(VersionsMixin):
    """An estimator that is saved with digests of the weights that it was fitted with."""

    def _note_weights(self, backbones):
        found = {backbone.name: weights_digest(backbone) for backbone in backbones}
        self._weights_digests = {name: digest for name, digest in found.items() if digest}

    def __setstate__(self, state):
        super().__setstate__(state)
        saved = getattr(self, "_weights_digests", {})
        here = {name: _digest_here(name) for name in saved}
        there = {name: digest for name, digest in saved.items() if here[name]}
        warn_of_others(
            self, *({f"weights of {k}": each[k] for k in there} for each in (there, here))
        )


def weights_digest(backbone):
    """What changes with the weights of a backbone.

    Parameters
    ----------
    backbone : Backbone

    Returns
    -------
    str or None
        A digest of the files, or the commit of a repository on the hub. None for pretrained
        weights, which their name tells apart.
    """
    if backbone.repository:
        return backbone.version[0]
    keys = image_keys(backbone.files)
    if not keys or None in keys:
        return None
    return hashlib.sha256(b"".join(keys)).hexdigest()[:32]


def _digest_here(name):
    """None where there is no such model on this machine, of which its use will tell."""
    try:
        backbone = Backbone(name)
        return None if backbone.repository else weights_digest(backbone)
    except (ValueError, OSError):
        return None

"""Digests of the weights that an estimator was fitted with, and warnings if they change."""

import hashlib

from .._utils._estimator import EstimatorMixin
from .._utils._versions import warn_of_others
from .._utils._warnings import warn
from ..backbones import Backbone
from ._keys import image_keys


class WeightsMixin(EstimatorMixin):
    """Mixin of estimators that are saved with digests of the weights they were fitted with."""

    _reads_texts = False  # after fit, so that a model consists of its vocabulary, too

    def _note_weights(self, backbones):
        found = {one.name: weights_digest(one, self._reads_texts) for one in backbones}
        self._weights_digests = {name: digest for name, digest in found.items() if digest}
        self._weights_versions = {backbone.name: _version(backbone) for backbone in backbones}

    def _note_embedding(self, backbones):
        """Store what embeddings depend on: weights, and ``_settings()`` of the subclass."""
        self._note_weights(backbones)
        self._fitted_settings = self._settings()

    def _warn_of_changes(self):
        """Warn if embeddings are no longer what they were in ``fit``."""
        before = getattr(self, "_fitted_settings", {})
        now = self._settings() if before else {}
        changed = [name for name in before if now[name] != before[name]]
        changed = ["backbones, features or views" if one == "columns" else one for one in changed]
        changed += self._changed_weights()
        if changed:
            warn(
                f"{type(self).__name__} has changed since fit: {', '.join(changed)}. What was "
                "fitted on its embeddings does not fit those that it makes now: fit again."
            )

    def _changed_weights(self):
        """Return descriptions of the weights that have changed since ``fit``."""
        changed = []
        for name, version in getattr(self, "_weights_versions", {}).items():
            try:
                backbone = Backbone(name)
            except ValueError:  # moved: if it is needed, its use will report it
                continue
            if _version(backbone) != version:  # by times of files, which copies do not keep
                digest = weights_digest(backbone, self._reads_texts)
                if digest != self._weights_digests.get(name, digest):
                    what = "weights or vocabulary" if self._reads_texts else "weights"
                    changed.append(f"the {what} of {name!r}")
        return changed

    def __setstate__(self, state):
        super().__setstate__(state)
        saved = getattr(self, "_weights_digests", {})
        here = {name: _digest_here(name, self._reads_texts) for name in saved}
        there = {name: digest for name, digest in saved.items() if here[name]}
        warn_of_others(
            self, *({f"weights of {k}": each[k] for k in there} for each in (there, here))
        )


def weights_digest(backbone, with_texts=False):
    """Return a digest of the files of a backbone, or the commit of a repository on the hub.

    None for pretrained weights, which their name identifies. `with_texts` adds the vocabulary,
    unless that is the zoo's.
    """
    if backbone.repository:
        return backbone.version[0]
    with_texts = with_texts and not backbone.name.startswith("zoo/")
    keys = image_keys(backbone.files + (backbone.tokenizer_files if with_texts else []))
    if not keys or None in keys:
        return None
    return hashlib.sha256(b"".join(keys)).hexdigest()[:32]


def _version(backbone):
    """Return the version; None if its files are missing, as they may be if a store has all rows."""
    try:
        return backbone.version
    except OSError:
        return None


def _digest_here(name, with_texts):
    """Return the digest; None if the model is not on this machine, which its use will report."""
    try:
        backbone = Backbone(name)
        return None if backbone.repository else weights_digest(backbone, with_texts)
    except (ValueError, OSError):
        return None

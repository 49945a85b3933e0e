"""Kinds of blocks of columns in an embedding, and the names that express them."""

import re
from dataclasses import dataclass

from ._parsing import names_directory
from ._spec import Backbone

FEATURES = ("projected", "pooled", "intermediate")  # in the order of an embedder's blocks
_PARTS = [(features, views) for features in FEATURES for views in (False, True)]


@dataclass(frozen=True)
class BlockKind:
    """The kind of a block of columns: its backbone, and which features of it.

    Its name is ``BACKBONE``, ``BACKBONE@pooled`` or ``BACKBONE@intermediate``, and that of views
    ``BACKBONE@views``, ``BACKBONE@pooled+views`` or ``BACKBONE@intermediate+views``.

    Parameters
    ----------
    backbone : str
        Canonical name.
    features : {"projected", "pooled", "intermediate"}
        What the image tower gives: see :class:`skclipens.MultiBackboneEmbedder`.
    views : bool
        Whether columns are of views of an image, not of the image alone.
    """

    backbone: str
    features: str = "projected"
    views: bool = False

    @property
    def name(self):
        """Name of the kind."""
        return self.backbone + _ending(self.features, self.views)

    @property
    def width(self):
        """Number of columns; known without weights."""
        return width_of(Backbone(self.backbone), self.features)

    @property
    def has_text(self):
        """Whether the columns can be compared with texts."""
        return self.features == "projected" and Backbone(self.backbone).has_text


def width_of(backbone, features):
    """Return how many features of a kind a Backbone gives; known without weights."""
    return getattr(backbone, "width" if features == "projected" else f"{features}_width")


def parse_kind(name):
    """Return the kind that a name stands for, or None; backbones must have canonical names."""
    for parts in _PARTS:  # the whole name first: a path may have an "@"
        backbone = name.removesuffix(_ending(*parts))
        if name.endswith(_ending(*parts)) and _is_canonical(backbone):
            return BlockKind(backbone, *parts)
    return None


def kind_behind_prefix(name):
    """Return the kind of a name, also after prefixes of ColumnTransformers, or None."""
    # A directory may have "__" in its name, too, and a prefix may end with "_".
    behind = (name[place.start() + 2 :] for place in re.finditer("(?=__)", name))
    return next((kind for part in (name, *behind) if (kind := parse_kind(part))), None)


def numbered_columns(names, *, reduced=False):
    """Split names of columns into block and number; None for names that no embedder gives.

    If `reduced`, also those of a :class:`~skclipens.BlockPCA`.
    """
    parts = (name.rpartition("__") for name in names)
    prefix = "pca" if reduced else ""
    return [
        (block, int(number)) if block and number.isdecimal() else None
        for block, number in ((block, last.removeprefix(prefix)) for block, _, last in parts)
    ]


def all_of_embedders(names):
    """Return whether all columns are named as an embedder names them."""
    numbered = numbered_columns(list(map(str, names)))
    return None not in numbered and all(map(kind_behind_prefix, {name for name, _ in numbered}))


def refuse_other_columns(owner, kinds, names):
    """Raise ValueError if columns are named as those of another kind, or in another order.

    Parameters
    ----------
    owner : str
        Name of what reads the columns, for the message.
    kinds : list of BlockKind
        Kinds that it can read.
    names : array-like of str
        Names of the columns. Those that no embedder makes are not checked.
    """
    found = {}
    for place, (name, numbered) in enumerate(zip(names, numbered_columns(names), strict=True)):
        if numbered is None:
            continue
        block, position = numbered
        if block not in found:
            found[block] = kind_behind_prefix(block)
        if found[block] is not None and (found[block] not in kinds or position != place):
            raise ValueError(
                f"{owner} has the column {name!r} where embeddings of {kinds[0].name!r} have "
                f"number {place}. Give it the columns of this backbone, in their order."
            )


def kinds_of(backbone):
    """Return all kinds of blocks of a backbone, by its canonical name, in an embedder's order."""
    return [BlockKind(backbone, *parts) for parts in _PARTS]


def _ending(features, views):
    parts = [features] * (features != "projected") + ["views"] * views
    return f"@{'+'.join(parts)}" if parts else ""


def _is_canonical(name):
    # Decided without open_clip if possible, as its import takes seconds.
    if "/" not in name and not names_directory(name):
        return False
    try:
        return Backbone(name).name == name  # a user's column may be called "RN50"
    except ValueError:
        return False

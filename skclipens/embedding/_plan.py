"""Plan the blocks that an embedder makes."""

from typing import NamedTuple

from ..backbones import Backbone
from ..backbones._kinds import BlockKind, width_of
from ..images._views import resolve_views

FEATURES = {
    "projected": ["projected"],
    "pooled": ["pooled"],
    "both": ["projected", "pooled"],
    "all": ["projected", "pooled", "intermediate"],
}


class PlannedBlock(NamedTuple):
    """A block of columns that is to be made.

    Attributes
    ----------
    backbone : Backbone
    kind : BlockKind
        Kind that gives the columns their names.
    views : tuple of View or None
        Views that are embedded; None for the image alone.
    width : int
        Number of columns.
    """

    backbone: Backbone
    kind: BlockKind
    views: tuple | None
    width: int


def plan_blocks(backbones, *, features="projected", views=None, keep_plain=False):
    """Return the blocks in the order of their columns, as `PlannedBlock`.

    A backbone without a projection has no pooled features beside the projected ones.
    """
    views = resolve_views(views)
    beside = views is not None and keep_plain
    return [
        PlannedBlock(one, BlockKind(one.name, kind, of is not None), of, width_of(one, kind))
        for one in backbones
        for kind in _features_of(one, features)
        for of in ((None, views) if beside else (views,))
    ]


def _features_of(backbone, features):
    if features == "projected" or backbone.has_projection:  # last: it imports torch
        return FEATURES[features]
    return ["projected", "intermediate"] if features == "all" else ["projected"]

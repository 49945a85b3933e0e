"""Plan the blocks that an embedder makes."""

from typing import NamedTuple

from ..backbones import Backbone
from ..backbones._kinds import BlockKind
from ..images._views import resolve_views

FEATURES = {"projected": (False,), "pooled": (True,), "both": (False, True)}


class PlannedBlock(NamedTuple):
    """A block of columns that is to be made.

    Attributes
    ----------
    backbone : Backbone
    kind : BlockKind
        Kind that gives the columns their names.
    views : tuple of View or None
        Views that are embedded; None for the image alone.
    """

    backbone: Backbone
    kind: BlockKind
    views: tuple | None

    @property
    def width(self):
        """Number of columns."""
        return self.backbone.pooled_width if self.kind.pooled else self.backbone.width


def plan_blocks(backbones, *, features="projected", views=None, keep_plain=False):
    """Return the blocks in the order of their columns, as `PlannedBlock`.

    A backbone without a projection has one kind of features, whatever is asked for.
    """
    views = resolve_views(views)
    beside = views is not None and keep_plain
    return [
        PlannedBlock(one, BlockKind(one.name, pooled, of is not None), of)
        for one in backbones
        for pooled in FEATURES[features if _has_choice(one, features) else "projected"]
        for of in ((None, views) if beside else (views,))
    ]


def _has_choice(backbone, features):
    return features != "projected" and backbone.has_projection  # last, as it imports torch

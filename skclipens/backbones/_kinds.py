"""What the columns of an embedding are, and how that is written in their names."""

import re
from dataclasses import dataclass

from ._parsing import names_directory
from ._spec import Backbone

# Whether columns are pooled features, and of views, in the order in which an embedder makes blocks.
_PARTS = [(False, False), (False, True), (True, False), (True, True)]
_COLUMN = re.compile(r"^(?P<block>.+)__(?P<position>\d+)$")


@dataclass(frozen=True)
class BlockKind:
    """What the columns of a block are: which features, of which backbone.

    It is written ``BACKBONE``, ``BACKBONE@views``, ``BACKBONE@pooled`` or
    ``BACKBONE@pooled+views``.

    Parameters
    ----------
    backbone : str
        Canonical name.
    pooled : bool
        Whether they are the features before the image tower's last projection.
    views : bool
        Whether they are of views of an image, and not of the image alone.
    """

    backbone: str
    pooled: bool = False
    views: bool = False

    @property
    def name(self):
        """How the kind is written."""
        return self.backbone + _ending(self.pooled, self.views)

    @property
    def width(self):
        """Number of columns; known without weights."""
        backbone = Backbone(self.backbone)
        return backbone.pooled_width if self.pooled else backbone.width

    @property
    def has_text(self):
        """Whether a text tower can read the columns."""
        return not self.pooled and Backbone(self.backbone).has_text


def parse_kind(name):
    """The kind that a name writes, or None; only canonical names of backbones count.

    Parameters
    ----------
    name : str

    Returns
    -------
    BlockKind or None
    """
    for parts in _PARTS:  # that of the whole name first: a path may have an "@"
        backbone = name.removesuffix(_ending(*parts))
        if name.endswith(_ending(*parts)) and _is_canonical(backbone):
            return BlockKind(backbone, *parts)
    return None


def kind_behind_prefix(name):
    """The kind that a name writes, also behind the prefix of a ColumnTransformer; or None."""
    return parse_kind(name) or parse_kind(name.rpartition("__")[2])


def numbered_columns(names):
    """Names of blocks, and numbers of columns in these, of columns that are named like embeddings.

    Parameters
    ----------
    names : iterable of str

    Returns
    -------
    list of (str, int) or None
        One for each name.
    """
    matches = (_COLUMN.match(name) for name in names)
    return [match and (match["block"], int(match["position"])) for match in matches]


def refuse_other_columns(owner, kinds, names):
    """Raise ValueError if columns are named as those of another kind, or stand in another order.

    Parameters
    ----------
    owner : str
        How what reads the columns is called in the message.
    kinds : list of BlockKind
        Which columns it can read.
    names : array-like of str
        Names that are not those of an embedder's columns may be anything.
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
    """All kinds that blocks of a backbone may be of, in the order in which an embedder makes them.

    Parameters
    ----------
    backbone : str
        Canonical name.

    Returns
    -------
    list of BlockKind
    """
    return [BlockKind(backbone, *parts) for parts in _PARTS]


def _ending(pooled, views):
    parts = ["pooled"] * pooled + ["views"] * views
    return f"@{'+'.join(parts)}" if parts else ""


def _is_canonical(name):
    # Decided without open_clip, which takes seconds to import, where that is possible.
    if "/" not in name and not names_directory(name):
        return False
    try:
        return Backbone(name).name == name  # a column of one's own may be called "RN50"
    except ValueError:
        return False

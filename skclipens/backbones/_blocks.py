"""Blocks of columns that belong together."""

import os
import re
from typing import NamedTuple

import numpy as np

from .._utils._column_names import names_of_columns
from .._utils._linalg import side_by_side
from .._utils._positions import positions, refuse_shared
from .._utils._sklearn import safe_indexing
from .._utils._warnings import warn
from ._kinds import (
    BlockKind,
    kind_behind_prefix,
    kinds_of,
    numbered_columns,
    parse_kind,
    refuse_other_columns,
)
from ._spec import resolve_backbones

_FEWEST_FEATURES = 16  # of a model


class Block(NamedTuple):
    """Columns that belong together: features of one backbone, or any part of a table.

    Attributes
    ----------
    name : str
        Name of the block.
    columns : ndarray of int
        Positions of its columns in the table.
    kind : BlockKind or None
        The backbone and its kind of features; None if the columns are of no known backbone.
    parts : tuple of Block
        The blocks that were joined into this one; empty if none were.
    """

    name: str
    columns: np.ndarray
    kind: BlockKind | None
    parts: tuple = ()

    @property
    def backbone(self):
        """Name of the backbone, or None."""
        return None if self.kind is None else self.kind.backbone

    @property
    def source(self):
        """The part of the name that is the same for all kinds of features of the same images."""
        if self.kind is None:  # also of joined blocks, which are named after it
            return self.name
        return self.name.removesuffix(self.kind.name) + self.kind.backbone

    @property
    def features(self):
        """The kind of features, such as ``"pooled"``, or None."""
        return None if self.kind is None else self.kind.features

    @property
    def has_text(self):
        """Whether the columns can be compared with the backbone's text features."""
        return self.kind is not None and self.kind.has_text

    @property
    def members(self):
        """The blocks that were joined into this one, or this block alone."""
        return self.parts or (self,)

    @property
    def only_backbone(self):
        """Name of the backbone if all members are of one, and of the same images; else None."""
        one = len({part.source for part in self.members}) == 1
        return self.members[0].backbone if one else None


def columns_of(blocks):
    """Return the concatenated positions of the columns of blocks."""
    return np.concatenate([block.columns for block in blocks] or [np.empty(0, int)])


def column_names(X):
    """Return the column names of X for :func:`find_blocks`, or None if X has none."""
    names = names_of_columns(X)
    if not names or not all(isinstance(name, str) for name in names):
        return None
    return np.array(names, dtype=object)


def without_other_columns(X):
    """Return a frame without the columns that no embedder makes; X if these are all or none."""
    names = column_names(X)
    kept = None if names is None else named_after_backbones(names)
    return X if kept is None else safe_indexing(X, names[kept].tolist(), axis=1)


def named_after_backbones(names):
    """Return the columns that are named as those of an embedder, or of BlockPCA after it.

    None if all or no columns are. Warn of columns that a model would give which is not here.
    """
    numbered = numbered_columns(names, reduced=True)
    found = {block: kind_behind_prefix(block) for block in {one[0] for one in numbered if one}}
    _warn_of_absent_models(numbered, found)
    columns = np.flatnonzero([one is not None and found[one[0]] is not None for one in numbered])
    return columns if 0 < len(columns) < len(names) else None


def _warn_of_absent_models(numbered, found):
    """Warn of blocks that are named after the folder of a model, where there is no such folder."""
    numbers = {}
    for block, position in (one for one in numbered if one):
        if found[block] is None and re.search(r"[/\\]", block):
            numbers.setdefault(block, set()).add(position)
    for block, of_block in numbers.items():
        if len(of_block) >= _FEWEST_FEATURES and max(of_block) == len(of_block) - 1:
            warn(
                f"The {len(of_block)} columns {block + '__0'!r} and so on are named as embeddings "
                f"by a model {block!r}, which is not here, so they are taken for other columns. "
                "If it is a model of your own with a relative path, run this in the folder where "
                f"pictures were embedded, not in {os.getcwd()!r}, or embed with its full path."
            )


def find_blocks(blocks, n_features, feature_names, given="blocks"):
    """Return the blocks of a table from the user's parameter `blocks`, which messages call `given`.

    Raise ValueError if they do not fit the table. `feature_names` is an array, or None.
    """
    if blocks is None:
        return _blocks_from_names(n_features, feature_names)
    if not len(blocks):
        raise ValueError(f"{given} is empty; None takes the blocks from the names of columns.")
    blocks = list(blocks.items()) if isinstance(blocks, dict) else blocks
    if isinstance(blocks, str) or all(isinstance(block, str) for block in blocks):
        return _blocks_from_kinds(_named_kinds(blocks), n_features, feature_names, given)
    made = [
        _made_block(
            name, positions(columns, n_features, feature_names, f"Block {name!r}"), feature_names
        )
        for name, columns in _checked_pairs(blocks)
    ]
    refuse_shared([(block.name, block.columns) for block in made if block.kind])
    return made


def columns_of_backbones(blocks, n_features, feature_names):
    """Return the columns that are embeddings, or None if all or no columns are.

    Parameters are those of :func:`find_blocks`.
    """
    if blocks is None and feature_names is None:
        return None
    return embeddings_beside_others(find_blocks(blocks, n_features, feature_names), n_features)


def embeddings_beside_others(blocks, n_features):
    """Return the columns of a table that blocks of backbones have, or None if all or none are."""
    columns = np.unique(columns_of([one for one in blocks if one.backbone]))
    return columns if 0 < len(columns) < n_features else None


def _blocks_from_names(n_features, feature_names):
    if feature_names is None:
        return [Block("all", np.arange(n_features), None)]
    blocks = _embeddings(feature_names)
    others = np.setdiff1d(np.arange(n_features), columns_of(blocks))
    if not blocks:
        return [Block("all", others, None)]
    return [*blocks, Block("other", others, None)] if len(others) else blocks


def _embeddings(feature_names):
    """Find the blocks of an embedder by column names: a backbone and a number."""
    numbered, places = {}, numbered_columns(feature_names)
    for column, place in enumerate(places):
        if place is not None:
            block, position = place
            numbered.setdefault(block, {})[position] = column
    found = {name: kind_behind_prefix(name) for name in numbered}
    _warn_of_absent_models(places, found)
    return [_block_of(name, kind, numbered[name]) for name, kind in found.items() if kind]


def _block_of(name, kind, columns):
    """Make a block from a dict of positions in the embedding to columns of the table."""
    columns = np.array([columns[position] for position in sorted(columns)])
    if len(columns) == kind.width:
        return Block(name, columns, kind)
    warn(
        f"X has {len(columns)} of the {kind.width} columns of {name!r}, so these are not compared "
        "with texts, and count as other columns. Pass all of them."
    )
    return Block(name, columns, None)


def _made_block(name, columns, feature_names):
    kind = kind_behind_prefix(name)
    if kind is not None and len(columns) != kind.width:
        raise ValueError(
            f"Block {name!r} has {len(columns)} columns, but embeddings of {kind.name!r} have "
            f"{kind.width}. Give it all of them, or another name."
        )
    if kind is not None and feature_names is not None:
        refuse_other_columns(f"Block {name!r}", [kind], feature_names[columns])
    return Block(name, columns, kind)


def width_of(blocks):
    """Return how many columns the blocks of backbones that are named have; None for others."""
    if blocks is None or not all(isinstance(block, str) for block in blocks):
        return None
    return sum(kind.width for kind in _named_kinds(blocks))


def _named_kinds(names):
    """Return the kinds that names of blocks, backbones or groups of backbones stand for."""
    names = [names] if isinstance(names, str) else list(names)
    if not any(parse_kind(name) for name in names if "@" in name):
        return [BlockKind(backbone.name) for backbone in resolve_backbones(names)]
    kinds = []
    for name in names:
        kind = parse_kind(name)
        kinds += [kind] if kind else [BlockKind(one.name) for one in resolve_backbones(name)]
    check_distinct("blocks", [kind.name for kind in kinds])
    return kinds


def _blocks_from_kinds(kinds, n_features, feature_names, given):
    blocks = [] if feature_names is None else _embeddings(feature_names)
    for block in blocks:
        if block.kind is None and (kind := kind_behind_prefix(block.name)) in kinds:
            raise ValueError(
                f"{given} names {', '.join(kind.name for kind in kinds)}, but X has only "
                f"{len(block.columns)} of the {kind.width} columns of {block.name!r}. Pass all of "
                f"them, or leave {given}=None."
            )
    blocks = [block for block in blocks if block.kind]
    found = {block.kind: block for block in blocks}
    if len(found) < len(blocks):
        raise ValueError(
            f"{given} names {', '.join(kind.name for kind in kinds)}, but X has more than one "
            f"block of a kind: {', '.join(block.name for block in blocks)}. Leave {given}=None, "
            "which takes them all from the names of the columns."
        )
    if found:
        return _blocks_by_name(kinds, found, n_features, given)
    widths = [kind.width for kind in kinds]
    if sum(widths) != n_features:
        listed = ", ".join(f"{k.name} ({w})" for k, w in zip(kinds, widths, strict=True))
        others = ""
        if given == "blocks":
            pooled = f"pooled features as '{kinds[0].backbone}@pooled'"
            others = f", {pooled}, or give blocks as (name, columns) pairs"
        raise ValueError(
            f"X has {n_features} features, but {given} names {listed}, which have {sum(widths)} "
            f"columns together. Name the backbones that made X{others}."
        )
    columns = [np.arange(n_features)[part] for part in side_by_side(widths)]
    return [Block(kind.name, of_kind, kind) for kind, of_kind in zip(kinds, columns, strict=True)]


def _blocks_by_name(kinds, found, n_features, given):
    """Choose blocks by kind. The name of a backbone chooses all its blocks in the table."""
    chosen = {}
    for kind in kinds:
        is_backbone = kind == BlockKind(kind.backbone)
        wanted = kinds_of(kind.backbone) if is_backbone else [kind]
        there = [one for one in wanted if one in found]
        chosen.update({one: found[one] for one in there} or {kind: None})
    if None in chosen.values() or _n_columns(chosen) != n_features:
        rest = n_features - _n_columns(found)
        others = f" and {rest} other columns" if rest else ""
        backbones = list(dict.fromkeys(kind.backbone for kind in kinds))
        in_files = f" (in fit_from: backbones={backbones})" if given == "blocks" else ""
        raise ValueError(
            f"{given} names {', '.join(kind.name for kind in kinds)}, but X has columns of "
            f"{', '.join(block.name for block in found.values())}{others}. Pass the columns of "
            f"these backbones alone{in_files}, or leave {given}=None, which takes them from X."
        )
    return list(chosen.values())


def _n_columns(blocks):
    return sum(len(block.columns) for block in blocks.values())


def _checked_pairs(blocks):
    pairs = list(blocks)
    for pair in pairs:
        is_pair = isinstance(pair, (tuple, list)) and len(pair) == 2
        if not is_pair or not isinstance(pair[0], str):
            raise ValueError(
                "blocks is None, names of backbones, or a list of (name, columns) pairs, not a "
                f"mix; {pair!r} is not a pair."
            )
    check_distinct("blocks", [name for name, _ in pairs])
    return pairs


def joined(blocks, name="all"):
    """Join blocks into one."""
    return Block(name, columns_of(blocks), None, tuple(blocks))


def of_each_backbone(blocks):
    """Return one block for each backbone and column of images, with all its kinds of features."""
    parts = {}
    for block in blocks:
        parts.setdefault(block.source, []).append(block)
    return [some[0] if len(some) == 1 else joined(some, name) for name, some in parts.items()]


def check_distinct(what, names):
    """Raise ValueError if a name appears twice."""
    if len(set(names)) < len(names):
        raise ValueError(f"The names of {what} must differ; got {', '.join(names)}.")

"""Blocks of columns that belong together."""

import re
import warnings
from typing import NamedTuple

import numpy as np

from ..backbones import Backbone, resolve_backbones

_COLUMN_NAME = re.compile(r"^(?P<block>.+)__(?P<position>\d+)$")


class Block(NamedTuple):
    """Columns that belong together: one backbone's embedding, or any part of a table."""

    name: str
    columns: np.ndarray
    backbone: str | None


def find_blocks(blocks, n_features, feature_names):
    """Blocks of a table from what a user may write.

    Parameters
    ----------
    blocks : None, str, list of str or list of (name, columns)
    n_features : int
    feature_names : ndarray of str or None
        Names of the columns, where the table has them.

    Returns
    -------
    list of Block

    Raises
    ------
    ValueError
        If the blocks do not fit the table.
    """
    if blocks is None:
        return _blocks_from_names(n_features, feature_names)
    if isinstance(blocks, str) or all(isinstance(block, str) for block in blocks):
        return _blocks_from_backbones(resolve_backbones(blocks), n_features, feature_names)
    return [
        _made_block(name, positions(columns, n_features, feature_names, f"Block {name!r}"))
        for name, columns in _checked_pairs(blocks)
    ]


def _blocks_from_names(n_features, feature_names):
    if feature_names is None:
        return [Block("all", np.arange(n_features), None)]
    blocks = _embeddings(feature_names)
    taken = np.concatenate([block.columns for block in blocks]) if blocks else []
    others = np.setdiff1d(np.arange(n_features), taken)
    if not blocks:
        return [Block("all", others, None)]
    return [*blocks, Block("other", others, None)] if len(others) else blocks


def _embeddings(feature_names):
    """Blocks that an embedder made: their columns are named after a backbone and numbered."""
    numbered = {}
    for column, name in enumerate(feature_names):
        if match := _COLUMN_NAME.match(name):
            numbered.setdefault(match["block"], {})[int(match["position"])] = column
    found = {name: backbone for name in numbered if (backbone := _backbone_named(name))}
    return [_block_of(name, backbone, numbered[name]) for name, backbone in found.items()]


def _block_of(name, backbone, columns):
    """The block of columns by their positions in the embedding, whatever their order here."""
    columns = np.array([columns[position] for position in sorted(columns)])
    if len(columns) == backbone.width:
        return Block(name, columns, backbone.name)
    warnings.warn(
        f"X has {len(columns)} of the {backbone.width} columns of {name!r}, so this block gets "
        "only heads that need no class names.",
        stacklevel=2,
    )
    return Block(name, columns, None)


def _backbone_named(name):
    """The backbone that is called so, also behind the prefix of a ColumnTransformer, or None."""
    for candidate in (name, name.rpartition("__")[2]):
        try:
            backbone = Backbone(candidate)
        except ValueError:
            continue
        if backbone.name == candidate:  # a column of one's own may be called "RN50"
            return backbone
    return None


def _made_block(name, columns):
    backbone = _backbone_named(name)
    if backbone is not None and len(columns) != backbone.width:
        raise ValueError(
            f"Block {name!r} has {len(columns)} columns, but embeddings of {backbone.name!r} have "
            f"{backbone.width}. Give it all of them, or another name."
        )
    return Block(name, columns, None if backbone is None else backbone.name)


def _blocks_from_backbones(backbones, n_features, feature_names):
    found = {} if feature_names is None else {b.backbone: b for b in _embeddings(feature_names)}
    if found:
        return _blocks_by_name(backbones, found, n_features)
    widths = [backbone.width for backbone in backbones]
    if sum(widths) != n_features:
        listed = ", ".join(f"{b.name} ({w})" for b, w in zip(backbones, widths, strict=True))
        raise ValueError(
            f"X has {n_features} features, but the blocks {listed} have {sum(widths)} columns "
            "together. Embed the images with the same backbones, or give blocks as "
            "(name, columns) pairs."
        )
    ends = np.cumsum(widths)
    return [
        Block(backbone.name, np.arange(end - width, end), backbone.name)
        for backbone, width, end in zip(backbones, widths, ends, strict=True)
    ]


def _blocks_by_name(backbones, found, n_features):
    """The named blocks of a table whose columns are named after backbones, too."""
    names = [backbone.name for backbone in backbones]
    n_columns = sum(len(found[name].columns) for name in names if name in found)
    if not set(names) <= set(found) or n_columns != n_features:
        rest = n_features - sum(len(block.columns) for block in found.values())
        others = f" and {rest} other columns" if rest else ""
        raise ValueError(
            f"blocks names {', '.join(names)}, but X has columns of "
            f"{', '.join(block.name for block in found.values())}{others}. Give X the columns of "
            "these backbones alone, or leave blocks=None, which takes them from X."
        )
    return [found[name] for name in names]


def _checked_pairs(blocks):
    pairs = list(blocks)
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2 or not isinstance(pair[0], str):
            raise ValueError(
                "blocks is None, names of backbones, or a list of (name, columns) pairs, not a "
                f"mix; {pair!r} is not a pair."
            )
    check_distinct("blocks", [name for name, _ in pairs])
    return pairs


def check_distinct(what, names):
    """Raise ValueError if a name appears twice."""
    if len(set(names)) < len(names):
        raise ValueError(f"The names of {what} must differ; got {', '.join(names)}.")


def positions(columns, n_features, feature_names, owner):
    """Integer positions of columns given by slice, positions, mask or names, in their order."""
    if not isinstance(columns, slice):
        columns = np.atleast_1d(np.asarray(columns))
        if columns.dtype.kind in "UOT":
            if feature_names is None:
                raise ValueError(
                    f"{owner} names its columns, but X has no column names; pass a frame."
                )
            places = {name: place for place, name in enumerate(feature_names)}
            missing = [name for name in columns.tolist() if name not in places]
            if missing:
                raise ValueError(f"{owner}: X has no column {missing[0]!r}.")
            columns = np.array([places[name] for name in columns.tolist()])
    try:
        indices = np.arange(n_features)[columns]
    except IndexError as error:
        raise ValueError(f"{owner}: {error}; X has {n_features} columns.") from None
    if not len(indices):
        raise ValueError(f"{owner} has no columns.")
    return indices


def take(X, columns):
    """Columns of a table; a view where they follow each other."""
    first, last = columns[0], columns[-1]
    if last - first == len(columns) - 1 and (np.diff(columns) == 1).all():
        return X[:, first : last + 1]
    return X[:, columns]

"""Blocks of columns that belong together."""

import re
from typing import NamedTuple

import numpy as np

from ..backbones import Backbone, resolve_backbones

_COLUMN_NAME = re.compile(r"^(?P<block>.+)__\d+$")


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
    """
    if blocks is None:
        return _blocks_from_names(n_features, feature_names)
    if isinstance(blocks, str) or all(isinstance(block, str) for block in blocks):
        return _blocks_from_backbones(resolve_backbones(blocks), n_features)
    return [
        Block(
            name,
            positions(columns, n_features, feature_names, f"Block {name!r}"),
            _backbone_or_none(name),
        )
        for name, columns in _checked_pairs(blocks)
    ]


def _blocks_from_names(n_features, feature_names):
    if feature_names is None:
        return [Block("all", np.arange(n_features), None)]
    columns = {}
    for index, column in enumerate(feature_names):
        match = _COLUMN_NAME.match(column)
        columns.setdefault(match["block"] if match else "other", []).append(index)
    return [
        Block(name, np.array(indices), _backbone_or_none(name)) for name, indices in columns.items()
    ]


def _blocks_from_backbones(backbones, n_features):
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
    if len(set(names)) < len(names):
        raise ValueError(f"The names of {what} must differ; got {', '.join(names)}.")


def _backbone_or_none(name):
    """The backbone that a block is named after, also behind a ColumnTransformer's prefix."""
    for candidate in (name, name.rsplit("__", 1)[-1]):
        # A bare word such as a column's own name is not taken for an architecture.
        if "/" in candidate:
            try:
                return Backbone(candidate).name
            except ValueError:
                continue
    return None


def positions(columns, n_features, feature_names, owner):
    """Integer positions of columns given by slice, positions, mask or names."""
    if not isinstance(columns, slice):
        columns = np.atleast_1d(np.asarray(columns))
        if columns.dtype.kind in "UOT":
            if feature_names is None:
                raise ValueError(
                    f"{owner} names its columns, but X has no column names; pass a frame."
                )
            missing = np.setdiff1d(columns, feature_names).tolist()
            if missing:
                raise ValueError(f"{owner}: X has no column {missing[0]!r}.")
            columns = np.flatnonzero(np.isin(feature_names, columns))
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

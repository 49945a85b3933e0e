"""Warnings of embeddings that no model gives, or of blocks that do not belong together."""

import numpy as np

from .._utils._linalg import (
    mean_row,
    row_lengths,
    row_squares,
    subsample,
    take_columns,
    unit_rows,
)
from .._utils._messages import listed
from .._utils._warnings import warn

_FEWEST, _FEW = 20, 5  # least number of rows to compare lengths; and of each kind
_EXACT = 1e-4  # tolerance of unit lengths, which few other lengths meet by chance
_ROUNDED = 0.02  # tolerance of unit lengths after rounding of values, for instance to two digits
_CENTRED = 1e-3  # of the length of a row; the mean of embeddings is about half as long as they are
_ALIKE = 0.7  # tolerance for a part of the rows, before all rows are compared
# Mean cosine of two rows below which they have no common direction. For 20 embeddings or more it
# is above 0.09 on the sets of `benchmarks.paper`, and on classes drawn from these.
NO_CONE = 0.05
_FEWEST_PAIRED, _ENOUGH = 50, 100  # rows that two models have in common
# Mean correlation of a model's similarities between rows with those of the other models. On the
# sets of `benchmarks.paper` it is above 0.21, and for images of one class above 0.12; if the rows
# of one model are in another order, it is below 0.07 in 95 of 100 draws.
_APART = 0.07
# Mean square distance of rows of unit length from their mean, below which they may differ by noise
# only, as pictures of a camera that stands still: 5e-4 there, and above 0.5 on the sets above.
_HARDLY_DIFFER = 0.02


def mean_cosine(unit):
    """Return the mean cosine of two of n rows of unit length."""
    n, centre = len(unit), unit.mean(axis=0)
    return (n * float(centre @ centre) - 1) / (n - 1)


def warn_of_odd_rows(seen, X, *, as_given):
    """Warn of embeddings that are all zeros, or of which only some were normalized.

    Only columns that are known to be embeddings are checked. If these are the user's rows,
    `as_given`, the message can name one.
    """
    named = [block for block in seen if block.is_named]
    begin_with_zero = X[:, [block.columns[0] for block in named]] == 0  # few rows do
    for place in np.flatnonzero(begin_with_zero.any(axis=0)):
        if _warn_of_zeros(named[place], X, np.flatnonzero(begin_with_zero[:, place]), as_given):
            return
    for block in named if len(X) >= _FEWEST else ():
        if not block.any_scale and _warn_of_lengths(block, X):
            return


def _warn_of_zeros(block, X, rows, as_given):
    rows = rows[~take_columns(X[rows], block.columns).any(axis=1)]
    if len(rows):
        first = f", the first is row {rows[0]}," if as_given else ""
        warn(
            f"Rows of {block.name!r}{first} are all zeros, which no model gives. Leave out rows "
            "whose image was not embedded.",
            key="rows of zeros",
        )
    return bool(len(rows))


def _warn_of_lengths(block, X):
    rows = take_columns(subsample(X), block.columns)
    lengths = row_lengths(rows)
    is_unit = np.abs(lengths - 1) < _EXACT
    n_unit = np.count_nonzero(is_unit)
    if min(n_unit, len(rows) - n_unit) < _FEW:
        return False
    of_others = np.median(lengths[~is_unit])
    is_mixed = abs(of_others - 1) > _ROUNDED
    if is_mixed:
        warn(
            f"{n_unit / len(rows):.0%} of the rows of {block.name!r} have length one; the median "
            f"length of the others is {of_others:.3g}. Embed all rows with the same models and "
            "settings, normalize among them.",
            key="rows of two lengths",
        )
    return is_mixed


def warn_of_different_pictures(seen, X):
    """Warn of a model whose rows seem to be of other images than those of the other models.

    Images that are similar for one model are mostly similar for another one, too. Fewer than 50
    rows are not checked, nor are models whose rows hardly differ.
    """
    columns_of = {block.backbone: block.columns for block in seen if block.is_named}
    if len(columns_of) < 2 or len(X) < _FEWEST_PAIRED:
        return
    some = subsample(X, _ENOUGH)
    tables = {name: take_columns(some, columns) for name, columns in columns_of.items()}
    tables = {name: rows for name, rows in tables.items() if _vary(rows)}
    if len(tables) < 2:
        return
    agreement = _agreement(list(tables.values()))
    apart = [name for name, found in zip(tables, agreement, strict=True) if found < _APART]
    if apart:
        others = [name for name in tables if name not in apart]
        what = f"other pictures than those of {listed(others)}" if others else "different pictures"
        warn(
            f"The rows of {listed(apart)} seem to be of {what}: what one model finds "
            "alike, another one does not. Embed the same pictures in the same order "
            "with all models, without a loader that shuffles, or join tables by their index.",
            key="rows of different pictures",
        )


def _vary(rows):
    with np.errstate(all="ignore"):  # rows may be zero, or not finite
        return unit_rows(rows).var(axis=0).sum() > _HARDLY_DIFFER


def _agreement(tables):
    """Return each table's mean correlation, of the cosines of its rows, with the other tables."""
    pairs = np.triu_indices(len(tables[0]), 1)
    with np.errstate(all="ignore"):  # rows may be all the same, or not finite
        units = [unit_rows(rows - mean_row(rows)) for rows in tables]
        correlations = np.corrcoef([(unit @ unit.T)[pairs] for unit in units])
    return (correlations.sum(axis=1) - 1) / (len(tables) - 1)


def is_constant(X, columns):
    first, second = take_columns(X[:2], columns)
    return bool((second == first).all() and (take_columns(X, columns) == first).all())


def warn_of_rescaled_blocks(blocks, X):
    """Warn of blocks, compared with texts, that were centred or scaled after they were embedded."""
    rescaled = [
        block.name
        for block in blocks
        if not is_constant(X, block.columns) and _is_rescaled(take_columns(X, block.columns))
    ]
    if rescaled:
        warn(
            f"The columns of {listed(rescaled)} were centred or scaled, so features "
            "of texts no longer fit them. Give embeddings as the embedder makes them, and scale "
            "only the other columns."
        )


def _is_rescaled(values):
    """Return whether columns were centred, shifted to positive values, or scaled one by one."""
    some = subsample(values)
    length = np.sqrt(np.mean(row_squares(some)))
    if np.linalg.norm(values.mean(axis=0)) < _CENTRED * length:
        return True
    if len(some) >= _FEWEST and mean_cosine(unit_rows(some)) < NO_CONE:
        return True
    if (some >= -_CENTRED * length).all():  # as of MinMaxScaler, or stored as uint8
        return True
    return any(_are_alike(of(some), _ALIKE) and _are_alike(of(values)) for of in (_sizes, _spreads))


def _sizes(values):
    return np.maximum(values.max(axis=0), -values.min(axis=0))


def _spreads(values):
    return values.std(axis=0)


def _are_alike(of_columns, tolerance=_CENTRED):
    return of_columns.min() >= (1 - tolerance) * of_columns.max()

"""Rows that no model gives: zeros, or of another length than most others."""

import numpy as np

from .._utils._linalg import row_lengths, subsample, take_columns
from .._utils._warnings import warn

_FEWEST, _FEW = 20, 5  # rows of which lengths say something; of each kind
_UNIT = 1e-4  # of lengths that are one, in half precision too; of others, next to none by luck
_ROUNDED = 0.02  # of lengths that were one until values were rounded, to two digits for instance


def warn_of_odd_rows(seen, X, *, as_given):
    """Warn of embeddings that are zeros, or of which some were normalized and others not.

    Parameters
    ----------
    seen : tuple of SeenBlock
        Of these, only columns that are known to be embeddings are looked at.
    X : ndarray of shape (n, n_features)
    as_given : bool
        Whether these are the rows that a user gave, so that a message can name one.

    Warns
    -----
    SuspectedMistakeWarning
        Names the block.
    """
    named = [block for block in seen if block.is_named]
    begin_with_zero = X[:, [block.columns[0] for block in named]] == 0  # few rows do
    if begin_with_zero.any():
        for block, rows in zip(named, begin_with_zero.T, strict=True):
            if _warn_of_zeros(block, X, np.flatnonzero(rows), as_given):
                return
    for block in named if len(X) >= _FEWEST else ():
        if _warn_of_lengths(block, X):
            return


def _warn_of_zeros(block, X, rows, as_given):
    rows = rows[~take_columns(X[rows], block.columns).any(axis=1)]
    if len(rows):
        first = f", the first is row {rows[0]}," if as_given else ""
        warn(
            f"Rows of {block.name!r}{first} are all zeros, which no model gives. Leave out rows "
            "whose image was not embedded.",
            doubt="rows of zeros",
        )
    return bool(len(rows))


def _warn_of_lengths(block, X):
    rows = take_columns(subsample(X), block.columns)
    lengths = row_lengths(rows)
    is_unit = np.abs(lengths - 1) < _UNIT
    n_unit = np.count_nonzero(is_unit)
    if min(n_unit, len(rows) - n_unit) < _FEW:
        return False
    of_others = np.median(lengths[~is_unit])
    is_mixed = abs(of_others - 1) > _ROUNDED
    if is_mixed:
        warn(
            f"{n_unit} of {len(rows)} rows of {block.name!r} have length one, and the others have "
            f"not: {of_others:.3g} in the middle. Embed all rows with the same models and "
            "settings, normalize among them.",
            doubt="rows of two lengths",
        )
    return is_mixed

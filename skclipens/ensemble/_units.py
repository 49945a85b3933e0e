"""Columns that are no embeddings, at predict in another unit than at fit."""

from typing import NamedTuple

import numpy as np

from .._utils._linalg import subsample, take_columns
from .._utils._messages import listed
from .._utils._warnings import warn
from ..heads._unlike import NARROWEST

# How many times the range of few rows others are outside of it, where most of them are. From so
# many rows on, in fit and now, any distance will do, and so do values that hardly vary: by what
# share of their former deviation, and how many of these away.
_OUTSIDE = 10
_FEWEST, _NARROW, _AWAY = 20, 0.02, 1
_FEW = 7  # rows of fit, of which fewer say nothing of the range


class SeenColumns(NamedTuple):
    """What columns that are no embeddings were like in ``fit``.

    Attributes
    ----------
    n_rows : int
    columns : ndarray of shape (d,), int
    lowest, highest, mean, deviation : ndarray of shape (d,)
    """

    n_rows: int
    columns: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray


def see_columns(blocks, X):
    """What columns that are no embeddings are like in ``fit``.

    Parameters
    ----------
    blocks : list of Block
    X : ndarray of shape (n, n_features)

    Returns
    -------
    SeenColumns or None
        None where there are none, or few rows.
    """
    others = [block.columns for block in blocks if block.backbone is None]
    # Wider ones may be embeddings.
    others = [columns for columns in others if len(columns) < NARROWEST]
    if not others or len(X) < _FEW:
        return None
    columns = np.unique(np.concatenate(others))
    values = take_columns(X, columns)
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    return SeenColumns(len(X), columns, values.min(axis=0), values.max(axis=0), mean, deviation)


def warn_of_units(seen, X, names):
    """Warn of columns whose values can hardly be in the unit that they had in ``fit``.

    Parameters
    ----------
    seen : SeenColumns or None
    X : ndarray of shape (n, n_features)
    names : ndarray of shape (n_features,) or None
        Names of the columns.

    Warns
    -----
    SuspectedMistakeWarning
        If most rows are outside of the range of ``fit``, far where rows are few, or many hardly
        vary, and not around the former mean. Names the columns.
    """
    if seen is None:
        return
    values = take_columns(subsample(X), seen.columns)
    middle, width = np.median(values, axis=0), seen.highest - seen.lowest
    reach = 0 if min(len(values), seen.n_rows) >= _FEWEST else _OUTSIDE * width
    outside = (middle > seen.highest + reach) | (middle < seen.lowest - reach)
    if len(values) >= _FEWEST:
        vary = np.ptp(values, axis=0) > 0  # rows of one kind have the same value
        narrow = vary & (values.std(axis=0) < _NARROW * seen.deviation)
        outside |= narrow & (np.abs(middle - seen.mean) > _AWAY * seen.deviation)
    found = np.flatnonzero(outside & (width > 0))
    if len(found):
        first, columns = found[0], seen.columns[found]
        named = listed(columns.tolist() if names is None else names[columns].tolist())
        warn(
            f"Values of column {named} are mostly far from those of fit: {middle[first]:.3g} in "
            f"the middle, where the first was from {seen.lowest[first]:.3g} to "
            f"{seen.highest[first]:.3g}. Give it in the same unit, and scaled as for fit; leave "
            "out what grows, such as a time.",
            doubt="another unit than in fit",
        )

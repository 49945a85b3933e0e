"""Warnings of columns, other than embeddings, that have another unit or scale than in fit."""

from typing import NamedTuple

import numpy as np

from .._utils._linalg import subsample, take_columns
from .._utils._messages import listed
from .._utils._warnings import warn
from ._seen_embeddings import NARROWEST

# With few rows, the median must be outside of the range of fit by this many ranges. With _FEWEST
# rows or more, in fit and now, by any distance.
_N_RANGES, _FEWEST = 10, 20
_FEWEST_OF_FIT = 7  # rows of fit from which a range can be known
_ROUNDING, _NEAR = 1e-5, 1e-3  # of a deviation
# Tolerance of multiples of a step; and by how many steps a column may go on beyond its range.
_OFF_GRID, _FEW_STEPS = 1e-3, 3


class SeenColumns(NamedTuple):
    """Statistics in ``fit`` of columns that are not embeddings.

    Attributes
    ----------
    n_rows : int
    columns : ndarray of shape (d,), int
    lowest, highest, mean, deviation : ndarray of shape (d,)
    step : ndarray of shape (d,)
        All differences are multiples of it, as for years; zero if there is no such step.
    """

    n_rows: int
    columns: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    step: np.ndarray


def see_columns(blocks, X):
    """Return the `SeenColumns` of ``fit``; None if all are embeddings, or rows are few."""
    others = [block.columns for block in blocks if block.backbone is None]
    # Wider ones may be embeddings.
    others = [columns for columns in others if len(columns) < NARROWEST]
    if not others or len(X) < _FEWEST_OF_FIT:
        return None
    columns = np.unique(np.concatenate(others))
    values = take_columns(X, columns)
    lowest, highest = values.min(axis=0), values.max(axis=0)
    mean, deviation = _mean_and_deviation(values)
    step = _steps(subsample(values))
    return SeenColumns(len(X), columns, lowest, highest, mean, deviation, step)


def _steps(values):
    """Return the smallest difference in each column if all others are multiples of it, else 0."""
    steps = np.diff(np.sort(values, axis=0), axis=0)
    smallest = np.where(steps > 0, steps, np.inf).min(axis=0)
    has_step = np.isfinite(smallest) & _are_whole(steps / smallest)
    return np.where(has_step, smallest, 0).astype(np.float64)


def _are_whole(values):
    return (np.abs(values - np.rint(values)) <= _OFF_GRID).all(axis=0)


def _mean_and_deviation(values):
    return (of(values, axis=0, dtype=np.float64) for of in (np.mean, np.std))


def warn_of_units(seen, X, names):
    """Warn of columns whose values can hardly be in the unit of ``fit``.

    That is if the median is outside of the range in ``fit``: far outside for few rows, or if values
    go on in the same steps, as later years do. Also if a scaler or PCA was fitted on these rows.
    """
    if seen is None:
        return
    _warn_of_own_scale(seen, X, names)
    values = take_columns(subsample(X), seen.columns)
    middle, width = np.median(values, axis=0), seen.highest - seen.lowest
    few = min(len(values), seen.n_rows) < _FEWEST
    reach = _N_RANGES * width if few else width * _continue_steps(seen, values)
    outside = (middle > seen.highest + reach) | (middle < seen.lowest - reach)
    found = np.flatnonzero(outside & (width > 0))
    if len(found):
        first, named = found[0], listed_columns(seen.columns[found], names)
        warn(
            f"Values of column {named} are mostly far from those of fit: the median of the first "
            f"is {middle[first]:.3g} now, and in fit it had values from {seen.lowest[first]:.3g} "
            f"to {seen.highest[first]:.3g}. Give it in the same unit, and scaled as for fit; leave "
            "out what grows, such as a time.",
            key="another unit than in fit",
        )


def _continue_steps(seen, values):
    """Return whether columns go on in the steps that they had in ``fit``, as years do."""
    steps = (values - seen.lowest) / np.where(seen.step > 0, seen.step, 1)
    gap = np.maximum(values.min(axis=0) - seen.highest, seen.lowest - values.max(axis=0))
    return (seen.step > 0) & _are_whole(steps) & (gap < (_FEW_STEPS + 0.5) * seen.step)


def listed_columns(columns, names):
    """Return how messages list columns, by their names if there are any."""
    return listed(columns.tolist() if names is None else names[columns].tolist())


def _warn_of_own_scale(seen, X, names):
    """Warn of columns that were centred on the rows of ``fit``, and now on other rows."""
    centred = np.flatnonzero(_is_small(seen.mean, seen.deviation))
    if len(X) < _FEWEST_OF_FIT or not len(centred):
        return
    values = take_columns(X, seen.columns[centred])
    mean, deviation = _mean_and_deviation(values)
    # The rows of fit, in any order and also rounded, are centred as they were.
    near = _NEAR * seen.deviation[centred]
    others = np.abs(values.min(axis=0) - seen.lowest[centred]) > near
    others &= np.abs(values.max(axis=0) - seen.highest[centred]) > near
    again = others & _is_small(mean, deviation)
    # Differences from the mean of a group are centred, too. But their deviation is not one, as it
    # is after a scaler, and they are correlated, while components are not.
    scaled = again & _is_one(deviation, len(X)) & _is_one(seen.deviation[centred], seen.n_rows)
    found = np.flatnonzero(scaled if scaled.any() else again)
    if len(found) and (scaled.any() or _are_components(values[:, found])):
        named = listed_columns(seen.columns[centred[found]], names)
        warn(
            f"Values of column {named} were centred on the rows of fit, and now on these rows. "
            "Call transform of what scales them, and not fit_transform, on rows to predict: it was "
            "fitted already.",
            key="scaled by the rows to predict",
        )


def _is_small(values, deviation):
    return (deviation > 0) & (np.abs(values) <= _ROUNDING * deviation)


def _is_one(deviation, n_rows):
    """Return whether a deviation is one, by scikit-learn or by pandas, which divides by n - 1."""
    by_pandas = deviation * np.sqrt(n_rows / (n_rows - 1))
    return _is_small(deviation - 1, deviation) | _is_small(by_pandas - 1, deviation)


def _are_components(values):
    """Return whether the first two of several centred columns are uncorrelated."""
    if values.shape[1] < 2:
        return False
    one, other = values[:, :2].T.astype(np.float64)
    return bool(abs(one @ other) <= _ROUNDING * np.linalg.norm(one) * np.linalg.norm(other))

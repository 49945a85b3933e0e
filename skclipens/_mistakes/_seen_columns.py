"""Columns that are no embeddings, at predict in another unit than at fit, or scaled again."""

from typing import NamedTuple

import numpy as np

from .._utils._linalg import subsample, take_columns
from .._utils._messages import listed
from .._utils._warnings import warn
from ._seen_embeddings import NARROWEST

# How many times the range of few rows others are outside of it, where most of them are. From so
# many rows on, in fit and now, any distance will do, and so do values that hardly vary: by what
# share of their former deviation, and how many of these away.
_N_RANGES = 10
_FEWEST, _NARROW_DEVIATION, _FAR_DEVIATIONS = 20, 0.02, 1
_FEWEST_OF_FIT = 7  # rows of fit, of which fewer say nothing of the range
_MOSTLY_DISTINCT = 0.9  # of values, if hardly any is there twice
_ROUNDING = 1e-5  # of a deviation
# Of a step between whole numbers, scaled or not; and of how many a column may go on at once.
_OFF_GRID, _FEW_STEPS = 1e-3, 3


class SeenColumns(NamedTuple):
    """What columns that are no embeddings were like in ``fit``.

    Attributes
    ----------
    n_rows : int
    columns : ndarray of shape (d,), int
    lowest, highest, mean, deviation : ndarray of shape (d,)
    vary : ndarray of shape (d,), bool
        Whether hardly any two rows have the same value.
    step : ndarray of shape (d,)
        Of which all differences are multiples, as of years; zero where there is none.
    """

    n_rows: int
    columns: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    vary: np.ndarray
    step: np.ndarray


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
    if not others or len(X) < _FEWEST_OF_FIT:
        return None
    columns = np.unique(np.concatenate(others))
    values = take_columns(X, columns)
    lowest, highest = values.min(axis=0), values.max(axis=0)
    mean, deviation = _mean_and_deviation(values)
    vary = (len(X) >= _FEWEST) & (_share_of_values(values) >= _MOSTLY_DISTINCT)
    step = np.array([_step(np.unique(column)) for column in subsample(values).T])
    return SeenColumns(len(X), columns, lowest, highest, mean, deviation, vary, step)


def _step(values):
    """Smallest difference of sorted values, if all of them are multiples of it, else zero."""
    steps = np.diff(values)
    smallest = steps.min(initial=np.inf)
    return smallest if np.isfinite(smallest) and _are_whole(steps / smallest) else 0.0


def _are_whole(values):
    return (np.abs(values - np.rint(values)) <= _OFF_GRID).all(axis=0)


def _share_of_values(values):
    """How many different values columns have, of as many as there are rows."""
    return 1 - np.mean(np.diff(np.sort(values, axis=0), axis=0) == 0, axis=0)


def _mean_and_deviation(values):
    return (of(values, axis=0, dtype=np.float64) for of in (np.mean, np.std))


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
        If most rows are outside of the range of ``fit``, far where rows are few or have the same
        steps, as the years that follow, or many hardly vary, and not around the former mean; if all
        are zero, or the former mean, as where gaps were filled; or if a scaler or PCA was fitted on
        these rows. Names the columns.
    """
    if seen is None:
        return
    _warn_of_own_scale(seen, X, names)
    values = take_columns(subsample(X), seen.columns)
    middle, width = np.median(values, axis=0), seen.highest - seen.lowest
    few = min(len(values), seen.n_rows) < _FEWEST
    reach = _N_RANGES * width if few else width * _go_on(seen, values)
    outside = (middle > seen.highest + reach) | (middle < seen.lowest - reach)
    if len(values) >= _FEWEST:
        vary = np.ptp(values, axis=0) > 0  # rows of one kind have the same value
        narrow = vary & (values.std(axis=0) < _NARROW_DEVIATION * seen.deviation)
        outside |= narrow & (np.abs(middle - seen.mean) > _FAR_DEVIATIONS * seen.deviation)
        _warn_of_filled(seen, values, names)
    found = np.flatnonzero(outside & (width > 0))
    if len(found):
        first, named = found[0], _called(seen.columns[found], names)
        warn(
            f"Values of column {named} are mostly far from those of fit: the median of the first "
            f"is {middle[first]:.3g} now, and in fit it had values from {seen.lowest[first]:.3g} "
            f"to {seen.highest[first]:.3g}. Give it in the same unit, and scaled as for fit; leave "
            "out what grows, such as a time.",
            doubt="another unit than in fit",
        )


def _go_on(seen, values):
    """Whether columns go on by the steps that they had in ``fit``, as years do."""
    steps = (values - seen.lowest) / np.where(seen.step > 0, seen.step, 1)
    gap = np.maximum(values.min(axis=0) - seen.highest, seen.lowest - values.max(axis=0))
    return (seen.step > 0) & _are_whole(steps) & (gap < (_FEW_STEPS + 0.5) * seen.step)


def _called(columns, names):
    return listed(columns.tolist() if names is None else names[columns].tolist())


def _warn_of_filled(seen, values, names):
    """Warn of columns that are 0, or the mean of those of ``fit``, in all rows, and varied there.

    Others that are constant may be meant, as for a partial dependence.
    """
    first, constant = values[0], np.ptp(values, axis=0) == 0
    filled = (first == 0) | _is_small(first - seen.mean, seen.deviation)
    found = np.flatnonzero(constant & filled & seen.vary)
    if len(found):
        warn(
            f"Values of column {_called(seen.columns[found], names)} are {first[found[0]]:.3g} in "
            "all rows, and in fit nearly all differed. If they are not known, fit without them: "
            "what fills gaps counts as a measurement.",
            doubt="filled columns",
        )


def _warn_of_own_scale(seen, X, names):
    """Warn of columns that were centred on the rows of ``fit``, and now again on other rows."""
    centred = np.flatnonzero(_is_small(seen.mean, seen.deviation))
    if len(X) < _FEWEST_OF_FIT or not len(centred):
        return
    values = take_columns(X, seen.columns[centred])
    mean, deviation = _mean_and_deviation(values)
    # The rows of fit, in any order, are centred as they were.
    others = values.min(axis=0) != seen.lowest[centred]
    others &= values.max(axis=0) != seen.highest[centred]
    again = others & _is_small(mean, deviation)
    # Differences to the mean of a group are centred too, but have no deviation of one, as after a
    # scaler, and are correlated, as components are not.
    scaled = again & _is_one(deviation, len(X)) & _is_one(seen.deviation[centred], seen.n_rows)
    found = np.flatnonzero(scaled if scaled.any() else again)
    if len(found) and (scaled.any() or _are_components(values[:, found])):
        warn(
            f"Values of column {_called(seen.columns[centred[found]], names)} were centred on the "
            "rows of fit, and now on these rows. Call transform of what scales them, and not "
            "fit_transform, on rows to predict: it was fitted already.",
            doubt="scaled by the rows to predict",
        )


def _is_small(values, deviation):
    return (deviation > 0) & (np.abs(values) <= _ROUNDING * deviation)


def _is_one(deviation, n_rows):
    """By scikit-learn, or by pandas, which divides by one row less."""
    by_pandas = deviation * np.sqrt(n_rows / (n_rows - 1))
    return _is_small(deviation - 1, deviation) | _is_small(by_pandas - 1, deviation)


def _are_components(values):
    """Whether the first two of several columns with a mean of zero are not correlated."""
    if values.shape[1] < 2:
        return False
    one, other = values[:, :2].T.astype(np.float64)
    return bool(abs(one @ other) <= _ROUNDING * np.linalg.norm(one) * np.linalg.norm(other))

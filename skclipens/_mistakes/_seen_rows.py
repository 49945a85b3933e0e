"""Pictures of fit among those that an ensemble is scored by."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from .._utils._linalg import parts_of, take_columns
from .._utils._warnings import warn

# Embeddings of one picture differ by up to 0.01 standard deviations of a projection between two
# calls, by the rounding of bf16; those of 300 emoji by 0.1 and more in one of eight at least.
_N_PROJECTIONS, _SAME = 8, 0.02
# Of the rows to score: data sets hold a few copies, which hardly change the accuracy.
_FEWEST, _SHARE = 3, 0.1


class SeenRows(NamedTuple):
    """Which rows an ensemble has learned from, by random projections of their embeddings.

    Attributes
    ----------
    columns : ndarray of int
        Those of embeddings.
    centre, deviation : ndarray of shape (8,)
        Mean and standard deviation of each projection.
    rows : ndarray of shape (n, 8), float16
        Projections, relative to these.
    """

    columns: np.ndarray
    centre: np.ndarray
    deviation: np.ndarray
    rows: np.ndarray


def see_rows(seen, X):
    """Remember the rows of ``fit``.

    Parameters
    ----------
    seen : tuple of SeenBlock
    X : ndarray of shape (n, n_features)

    Returns
    -------
    SeenRows or None
        None where no columns are known to be embeddings, or all rows are the same.
    """
    columns = [block.columns for block in seen if block.is_named]
    if not columns:
        return None
    columns = np.unique(np.concatenate(columns))
    rows = _project(X, columns)
    centre, deviation = rows.mean(axis=0), rows.std(axis=0)
    if not (deviation > 0).all():
        return None
    return SeenRows(columns, centre, deviation, ((rows - centre) / deviation).astype(np.float16))


def warn_of_seen_rows(seen, X, is_right):
    """Warn where some of the rows to score, but not all, are rows of ``fit``.

    Parameters
    ----------
    seen : SeenRows or None
    X : array-like of shape (n, n_features)
    is_right : ndarray of shape (n,), bool
        Which rows are classified correctly.

    Warns
    -----
    SuspectedMistakeWarning
        With their share, and the accuracy with and without them.
    """
    if seen is None:
        return
    rows = (_project(np.asarray(X), seen.columns) - seen.centre) / seen.deviation
    distances, _ = KDTree(seen.rows).query(rows, p=np.inf, distance_upper_bound=_SAME)
    is_seen = np.isfinite(distances)
    if is_seen.all() or is_seen.sum() < _FEWEST or is_seen.mean() < _SHARE:
        return
    warn(
        f"{is_seen.sum()} of the {len(rows)} rows are rows of fit, or copies of their pictures: "
        f"{is_right[is_seen].mean():.0%} of these are classified correctly, and "
        f"{is_right[~is_seen].mean():.0%} of the others. Score rows that fit has not seen.",
        doubt="rows of fit",
    )


def _project(X, columns):
    directions = np.random.default_rng(0).standard_normal((len(columns), _N_PROJECTIONS))
    parts = (take_columns(X[part], columns).astype(float) for part in parts_of(len(X)))
    return np.concatenate([part @ directions for part in parts])

"""A table that was shuffled, whose index says in which order its rows stood before."""

import numpy as np

from .._utils._linalg import subsample, unit_rows
from .._utils._warnings import warn

_FEWEST, _ROWS, _SHUFFLES = 8, 300, 100
# Standard deviations, over labels in random orders, of how alike rows with the same label are.
_CLEARLY, _LESS = 4.0, 2.0


def warn_of_shuffled_index(index, X, y):
    """Warn where labels fit the rows of X in the order of its index, and not as they stand.

    Parameters
    ----------
    index : Index or None
        Of X. Says something where it is 0 to n - 1 in another order.
    X : ndarray of shape (n, n_features)
    y : ndarray of shape (n,)

    Warns
    -----
    SuspectedMistakeWarning
        If rows with the same label are alike in the order of the index, and not as they stand.
    """
    if index is None or index.dtype.kind not in "iu" or len(y) < _FEWEST:
        return
    order, positions = np.asarray(index), np.arange(len(y))
    if np.array_equal(order, positions) or not np.array_equal(np.sort(order), positions):
        return
    by_index, given = _likeness_of_classes(X, [y[order], y])
    if by_index > _CLEARLY and given < by_index - _LESS:
        warn(
            "X was shuffled, as its index says, and y does not seem to be: rows with the same "
            "label are alike in the order of this index, and not, or far less, as they stand. Rows "
            "belong together by their position: shuffle both, or pass X.sort_index()."
        )


def _likeness_of_classes(X, several):
    """How far the likeness of rows with the same label is above that of labels in any order.

    In standard deviations, for each of several labels of the rows.
    """
    rows = subsample(np.arange(len(X)), _ROWS)
    units = unit_rows(X[rows] - X[rows].mean(axis=0))
    cosines = units @ units.T
    codes = [np.unique(labels[rows], return_inverse=True)[1] for labels in several]
    rng = np.random.default_rng(0)
    likeness = [
        cosines[one[:, None] == one].sum()
        for one in (*codes, *(rng.permutation(codes[-1]) for _ in range(_SHUFFLES)))
    ]
    found, others = np.split(likeness, [len(several)])
    return (found - others.mean()) / max(others.std(), np.finfo(others.dtype).tiny)

"""Duplicate rows of a table, such as those of an image that occurs twice."""

import numpy as np
from sklearn.utils import check_array

from ._linalg import positions_among, subsample, take_columns
from ._missing import without_mask
from ._tables import FLOATS, is_list_of_rows

WIDE, _SOME = 32, 8  # fewest columns of a table with copies; number of columns compared first


def groups_of_copies(X, y=None, fewest=WIDE):
    """Return, for each row, the first that equals it and has its label; None if all are different.

    Rows of fewer columns than `fewest`, or of flags as of a few categories, may be equal by chance,
    and do not count as copies.
    """
    if X.ndim != 2 or X.dtype.kind != "f" or X.shape[1] < fewest:
        return None
    if fewest >= WIDE and _are_flags_of_few_kinds(X):
        return None
    groups, found = np.arange(len(X)), {}
    columns = np.linspace(0, X.shape[1] - 1, _SOME).astype(int)
    # Equal rows have equal sums. Few others do, so only rows with equal sums are compared in full.
    keys = np.sum(X[:, columns] * np.sqrt(np.arange(2.0, 2 + _SOME)), axis=1)
    _, place, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    rows = np.flatnonzero(sizes[place] > 1)
    y = np.zeros(len(X)) if y is None else y
    for row, label in zip(rows.tolist(), y[rows].tolist(), strict=True):
        groups[row] = found.setdefault((X[row].tobytes(), label), row)
    return None if (groups == np.arange(len(X))).all() else groups


def _are_flags_of_few_kinds(X):
    """Return whether columns have two values each, and two rows would be equal by chance."""
    if not len(X):
        return False
    for some in (X[:, :_SOME], subsample(X)):  # the first tells of most tables
        low, high = some.min(axis=0), some.max(axis=0)
        are_high = some == high
        if not (are_high | (some == low)).all():
            return False
    shares = are_high.mean(axis=0)
    chance = np.log1p(-2 * shares * (1 - shares)).sum()  # that two rows are equal
    return 2 * np.log(len(X)) + chance > np.log(2)  # of all pairs, more than one would be


def groups_of_pictures(X, y, columns, any_label=False):
    """Return, for each row, the first that is equal in some columns; None if all are different.

    An image that occurs with several labels, such as a placeholder for others, makes no group. Its
    rows that are equal in all columns do, for each label, or whatever their labels are if
    `any_label` is true. `columns` are those of embeddings, or None for all.
    """
    copies = groups_of_copies(X, None if any_label else y)
    every = np.arange(len(y))
    pictures = None if columns is None else same_pictures(X, columns)
    if pictures is None:
        return copies
    several = np.isin(pictures, pictures[y != y[pictures]])
    groups = np.where(several, every if copies is None else copies, pictures)
    return None if (groups == every).all() else groups


def same_pictures(X, columns):
    """Return, for each row, the first row that is equal in some columns; None if no rows are."""
    return groups_of_copies(take_columns(X, columns))


def merge_copies(X, y, weights, fewest=WIDE):
    """Return rows without copies, each with the total weight of its copies.

    Returns the positions of these rows, in ascending order; for each row of X, the index among them
    of the row that represents it; and the weights, or None. Copies are those of
    :func:`groups_of_copies`.
    """
    copies = groups_of_copies(X, y, fewest)
    if copies is None:
        every = np.arange(len(y))
        return every, every, weights
    is_first = copies == np.arange(len(y))
    total = np.bincount(copies, weights, minlength=len(y))[is_first]
    return np.flatnonzero(is_first), positions_among(is_first)[copies], total.astype(X.dtype)


def numbers_of(X):
    """Return the numbers of a table as floats; None for other input, such as images.

    Columns of a frame may have any types of numbers.
    """
    is_table = len(getattr(X, "shape", ())) == 2 and hasattr(X, "__array__")
    if not is_table and not is_list_of_rows(X):
        return None
    try:
        return check_array(without_mask(X), dtype=FLOATS, ensure_all_finite=False)
    except (TypeError, ValueError):  # such as text
        return None

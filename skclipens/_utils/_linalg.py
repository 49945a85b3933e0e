"""Array operations that several modules share."""

from itertools import accumulate

import numpy as np
from scipy.sparse import csr_array

_VALUES_AT_ONCE = 2**23
_ROWS_AT_ONCE = 4096
ROWS_TO_PREDICT = 1024  # at once
SOME_ROWS = 1000  # of a table, for statistics
_SMALL = 1e-2  # of the largest values of rows
_ROWS_TO_COMPARE = 100
FAR = 1e-4  # difference of rows, relative to their values


def offsets_of(X):
    """Return the means of columns that are far from zero, and 0 for others, such as of embeddings.

    Far is more than ten standard deviations.
    """
    mean, std = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    return np.where(np.abs(mean) > 10 * std, mean, 0)


def precise(X):
    """Return a table in float64 if a column is so far from zero that its differences are small.

    In float32, they would be lost in products with coefficients. Constant columns do not matter.
    """
    if X.dtype != np.float32:
        return X
    some = subsample(X, _ROWS_TO_COMPARE)
    low, high = some.min(axis=0), some.max(axis=0)
    far = (high > low) & (high - low < FAR * np.maximum(high, -low))
    return X.astype(np.float64) if far.any() else X


def scale_of(X):
    """Return a power of two by which to multiply X if its rows are too small for tolerances.

    They are if their largest values are below 0.01 on average.
    """
    size = np.abs(subsample(X)).max(axis=1, initial=0).mean(dtype=np.float64)
    if size == 0 or size > _SMALL:
        return 1.0
    return 2.0 ** -float(np.round(np.log2(size)))


def row_squares(X):
    """Return the squared Euclidean lengths of rows, (n,)."""
    return np.einsum("nj,nj->n", X, X)


def row_lengths(X):
    """Return the Euclidean lengths of rows, (n,)."""
    return np.sqrt(row_squares(X))


def _lengths(X):
    """Return lengths of rows, (n, 1), and a mask of rows whose squares underflow or overflow.

    The mask is None if there are no such rows.
    """
    squares, limits = row_squares(X), np.finfo(X.dtype)
    smallest = float(limits.tiny) * X.shape[1] ** 2
    lengths = np.sqrt(squares)[:, None]
    if len(X) and squares.min() >= smallest and squares.max() <= limits.max:
        return lengths, None
    odd = ((squares < smallest) | np.isinf(squares))[:, None]
    return lengths, odd if odd.any() else None


def unit_rows(X):
    """Scale the rows of X to unit Euclidean length; zero rows stay."""
    lengths, odd = _lengths(X)
    if odd is None:
        return X / lengths
    units = X / np.where(odd, 1, lengths)
    odd = np.flatnonzero(odd)
    largest = np.abs(X[odd]).max(axis=1, keepdims=True)
    scaled = X[odd] / np.where(largest > 0, largest, 1)
    units[odd] = scaled / np.linalg.norm(scaled, axis=1, keepdims=True).clip(1)
    return units


def unit_blocks(X, blocks):
    """Scale each block of a row to unit length, and divide by the root of the number of blocks.

    Dot products of such rows are the mean cosines of their blocks.
    """
    parts = [X[:, columns] for columns in blocks]
    widths = [part.shape[1] for part in parts]
    found = np.empty((len(X), sum(widths)), X.dtype)
    root = X.dtype.type(np.sqrt(len(parts)))
    for part, columns in zip(parts, side_by_side(widths), strict=True):
        np.divide(unit_rows(part), root, out=found[:, columns])
    return found


def normalize_blocks(table, blocks):
    """Scale blocks of columns to unit length, in place: a table may fill most of the memory."""
    for rows in parts_of(len(table)):
        for columns in blocks:
            table[rows, columns] = unit_rows(table[rows, columns])


def mean_cosines(X, blocks, row):
    """Return ``unit_blocks(X, blocks) @ row``, of a row of length one, without the unit blocks."""
    found, parts = np.zeros(len(X), X.dtype), [X[:, columns] for columns in blocks]
    for part, columns in zip(parts, side_by_side([part.shape[1] for part in parts]), strict=True):
        lengths, odd = _lengths(part)
        if odd is None:
            found += part @ row[columns] / lengths[:, 0]
        else:
            found += unit_rows(part) @ row[columns]
    return found / X.dtype.type(np.sqrt(len(blocks)))


def side_by_side(widths):
    """Return the column slices of adjacent blocks with these widths."""
    return [slice(end - width, end) for width, end in zip(widths, accumulate(widths), strict=True)]


def shuffled_columns(X, columns, fewest=200):
    """Return at least `fewest` rows, those of X repeated, with some columns shuffled by themselves.

    Of many rows, some are taken. The result does not depend on the order of the rows.
    """
    X = X[subsample(np.lexsort(X[:, columns].T))]
    X = np.repeat(X, -(-fewest // len(X)), axis=0)
    X[:, columns] = np.random.default_rng(0).permuted(X[:, columns], axis=0)
    return X


def subsample(values, most=SOME_ROWS):
    """Return at most `most` rows of a table, in order: one from each of as many equal parts.

    Which one is random, but the same for tables of the same length. If rows were evenly spaced, of
    classes that take turns only some would be seen.
    """
    if len(values) <= most:
        return values
    edges = np.arange(most + 1) * len(values) // most
    return values[np.random.default_rng(0).integers(edges[:-1], edges[1:])]


def evenly_spaced(values, most):
    """Return at most `most` elements of an array, from the first to the last one."""
    return values[np.linspace(0, len(values) - 1, min(len(values), most)).astype(int)]


def take_rows(X, rows):
    """Return rows of X by their positions; X itself if these are all rows in order."""
    return X if len(rows) == len(X) and (np.diff(rows) == 1).all() else X[rows]


def positions_among(mask):
    """Return the position of each row among the rows of a mask; -1 for rows outside of it."""
    return np.where(mask, np.cumsum(mask) - 1, -1)


def positions_in(some, values):
    """Return the positions of the elements of `some` that are in `values`, in ascending order."""
    return np.flatnonzero(np.isin(some, values))


def take_columns(X, columns):
    """Return columns of X by their positions; a view if they are contiguous."""
    return X[:, slice_of(columns)]


def slice_of(columns):
    """Return positions as a slice if they are contiguous, and unchanged otherwise."""
    first, last = columns[0], columns[-1]
    if last - first == len(columns) - 1 and (columns[1:] > columns[:-1]).all():
        return slice(int(first), int(last) + 1)
    return columns


def some_of(values, rows):
    """Return the values of some rows; None if `values` is None."""
    return None if values is None else values[rows]


def mean_row(X, weights=None):
    """Return the mean of the rows, weighted if `weights` is given, in the dtype of X.

    Sums are of float64: in float32, that of a column far from zero is off by more than its spread.
    """
    if weights is None:
        return X.mean(axis=0, dtype=np.float64).astype(X.dtype)
    total = np.einsum("n,nd->d", weights, X, dtype=np.float64)
    return (total / weights.sum(dtype=np.float64)).astype(X.dtype)


def plus_ridge(gram, ridge):
    """Return a copy of a square matrix with `ridge` added to its diagonal."""
    gram = gram.copy()
    gram.flat[:: len(gram) + 1] += ridge
    return gram


def parts_of(n_rows, size=_ROWS_AT_ONCE):
    """Return slices that cover `n_rows` rows, each of at most `size`."""
    # scikit-learn's gen_batches takes longer to check its parameters than one row to predict.
    return [slice(start, start + size) for start in range(0, n_rows, size)]


def row_batches(n_rows, n_columns, most=None, values=_VALUES_AT_ONCE):
    """Return slices of at most `most` rows and about `values` values, for rows of `n_columns`."""
    fitting = max(1, values // n_columns)
    return parts_of(n_rows, fitting if most is None else min(most, fitting))


def one_hot(targets, n_classes, weights=None):
    """Return sparse rows with the weight of the row, or 1.0, in the column of its class, (n, C).

    They have the dtype of the weights.
    """
    n = len(targets)
    entries = np.ones(n) if weights is None else weights
    return csr_array((entries, targets, np.arange(n + 1)), shape=(n, n_classes))


def total_weight(y, sample_weight):
    """Return the number of rows, or the sum of their weights."""
    return len(y) if sample_weight is None else float(sample_weight.sum())

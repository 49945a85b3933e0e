"""Arithmetic that several modules share."""

from contextlib import contextmanager
from itertools import accumulate

import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import OpenBLASController, threadpool_limits

from ._locks import ForkLock

_VALUES_AT_ONCE = 2**23
_ROWS_AT_ONCE = 4096
ROWS_TO_PREDICT = 1024  # at once
_SOME_ROWS = 1000  # to tell what a table is like


def row_squares(X):
    """Squared Euclidean lengths of rows, (n,)."""
    return np.einsum("nj,nj->n", X, X)


def row_lengths(X):
    """Euclidean lengths of rows, (n,)."""
    return np.sqrt(row_squares(X))


def _lengths(X):
    """Lengths of rows, (n, 1), and which are odd: squares of their values vanish or overflow."""
    with np.errstate(over="ignore"):
        lengths = row_lengths(X)[:, None]
    odd = (lengths < np.sqrt(np.finfo(lengths.dtype).tiny) * X.shape[1]) | np.isinf(lengths)
    return lengths, odd


def unit_rows(X):
    """Rows of X scaled to unit Euclidean length; zero rows stay."""
    lengths, odd = _lengths(X)
    if not odd.any():
        return X / lengths
    units = X / np.where(odd, 1, lengths)
    odd = np.flatnonzero(odd)
    largest = np.abs(X[odd]).max(axis=1, keepdims=True)
    scaled = X[odd] / np.where(largest > 0, largest, 1)
    units[odd] = scaled / np.linalg.norm(scaled, axis=1, keepdims=True).clip(1)
    return units


def unit_blocks(X, blocks):
    """Rows of which each block has unit length, over the root of the number of blocks.

    Products of such rows are the mean cosines of their blocks.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
    blocks : list of columns

    Returns
    -------
    ndarray of shape (n, width of the blocks)
    """
    parts = [X[:, columns] for columns in blocks]
    widths = [part.shape[1] for part in parts]
    found = np.empty((len(X), sum(widths)), X.dtype)
    root = X.dtype.type(np.sqrt(len(parts)))
    for part, columns in zip(parts, side_by_side(widths), strict=True):
        np.divide(unit_rows(part), root, out=found[:, columns])
    return found


def normalize_blocks(table, blocks):
    """Give blocks of columns unit length, in place: a table may be most of what memory holds.

    Parameters
    ----------
    table : ndarray of shape (n, n_features)
    blocks : list of columns
    """
    for rows in parts_of(len(table)):
        for columns in blocks:
            table[rows, columns] = unit_rows(table[rows, columns])


def mean_cosines(X, blocks, row):
    """Products of a row, of length one, with those of :func:`unit_blocks`, which are not made.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
    blocks : list of columns
    row : ndarray of shape (width of the blocks,)

    Returns
    -------
    ndarray of shape (n,)
    """
    found, parts = np.zeros(len(X), X.dtype), [X[:, columns] for columns in blocks]
    for part, columns in zip(parts, side_by_side([part.shape[1] for part in parts]), strict=True):
        lengths, odd = _lengths(part)
        if odd.any():
            found += unit_rows(part) @ row[columns]
        else:
            found += part @ row[columns] / lengths[:, 0]
    return found / X.dtype.type(np.sqrt(len(blocks)))


def side_by_side(widths):
    """Slices of the columns of blocks that follow each other, by their widths."""
    return [slice(end - width, end) for width, end in zip(widths, accumulate(widths), strict=True)]


def subsample(values, most=_SOME_ROWS):
    """At most so many rows of a table, at equal distances."""
    return values[:: -(-len(values) // most)]


def take_rows(X, rows):
    """Rows of X by their positions; X itself where these are all rows in their order."""
    return X if len(rows) == len(X) and (np.diff(rows) == 1).all() else X[rows]


def places_of(some):
    """Positions of rows among those of a mask; -1 where a row is not."""
    return np.where(some, np.cumsum(some) - 1, -1)


def positions_in(some, values):
    """Positions of those of some that are among values, in ascending order."""
    return np.flatnonzero(np.isin(some, values))


def take_columns(X, columns):
    """Columns of X by their positions; a view where they follow each other."""
    first, last = columns[0], columns[-1]
    if last - first == len(columns) - 1 and (columns[1:] > columns[:-1]).all():
        return X[:, first : last + 1]
    return X[:, columns]


def some_of(values, rows):
    """Values of some rows; None where none are given."""
    return None if values is None else values[rows]


def mean_row(X, weights=None):
    """Mean of the rows, or of so many copies of each as weights say."""
    return X.mean(axis=0) if weights is None else (weights @ X) / weights.sum(dtype=X.dtype)


def plus_ridge(gram, ridge):
    """A copy of a square matrix with so much more on its diagonal."""
    gram = gram.copy()
    gram.flat[:: len(gram) + 1] += ridge
    return gram


def parts_of(n_rows, size=_ROWS_AT_ONCE):
    """Slices that cover so many rows, each of at most ``size``."""
    # gen_batches of scikit-learn checks its parameters for longer than one row takes to predict.
    return [slice(start, start + size) for start in range(0, n_rows, size)]


def row_batches(n_rows, n_columns, most=None, values=_VALUES_AT_ONCE):
    """Slices of at most so many rows, and of about so many values, where a row has n_columns."""
    fitting = max(1, values // n_columns)
    return parts_of(n_rows, fitting if most is None else min(most, fitting))


def one_hot(targets, n_classes, weights=None):
    """Sparse rows with the weight of each, or 1.0, in the column of its class.

    Parameters
    ----------
    targets : ndarray of shape (n,), int
        Positions of the classes.
    n_classes : int
    weights : ndarray of shape (n,) or None
        The matrix is of their type.

    Returns
    -------
    csr_array of shape (n, n_classes)
    """
    n = len(targets)
    entries = np.ones(n) if weights is None else weights
    return csr_array((entries, targets, np.arange(n + 1)), shape=(n, n_classes))


def leave_out_flat_components(pca):
    """Leave out components of a fitted PCA in whose direction rows do not differ.

    Whitened, these would be noise as large as any other.

    Parameters
    ----------
    pca : sklearn.decomposition.PCA
    """
    variance, eps = pca.explained_variance_, np.finfo(pca.components_.dtype).eps
    # Rows that are all the same differ from their mean by its rounding.
    some = variance > 100 * eps * (variance[:1] + eps * (pca.mean_ @ pca.mean_))
    if some.all():
        return
    pca.components_ = pca.components_[some]
    pca.explained_variance_ = variance[some]
    pca.explained_variance_ratio_ = pca.explained_variance_ratio_[some]
    pca.singular_values_ = pca.singular_values_[some]
    pca.n_components_ = len(pca.components_)


def total_weight(y, sample_weight):
    """Number of rows, or the sum of their weights."""
    return len(y) if sample_weight is None else float(sample_weight.sum())


class _OneBlasThread:
    """A context that limits BLAS to one thread, for as long as any thread of Python is in it.

    The limit is the process's. Were each thread to set it and set it back, the last one out could
    set back what another had set. So the first one in sets it and the last one out sets it back.
    A thread that is the only one in it may start as many threads of Python as BLAS had.
    """

    def __init__(self):
        self._lock = ForkLock()
        self._n_inside = 0
        self._limits = None

    @property
    def n_spare(self):
        """Threads that BLAS had before, if one thread of Python is inside; otherwise 1."""
        with self._lock:
            if self._n_inside != 1:
                return 1
            return self._limits.get_original_num_threads()["blas"] or 1

    @contextmanager
    def __call__(self):
        with self._lock:
            if not self._n_inside:
                _take_control()
                self._limits = threadpool_limits(limits=1, user_api="blas")
            self._n_inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_inside -= 1
                if not self._n_inside:
                    _take_control()
                    self._limits.restore_original_limits()
                    _take_control()


def _take_control():
    """Let any thread set the limit. Newer threadpoolctl heeds only the first that set one."""
    clear = getattr(OpenBLASController, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


one_blas_thread = _OneBlasThread()

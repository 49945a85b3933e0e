"""Array operations that several modules share."""

from contextlib import contextmanager
from itertools import accumulate

import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import OpenBLASController, threadpool_limits

from ._locks import ForkLock

_VALUES_AT_ONCE = 2**23
_ROWS_AT_ONCE = 4096
ROWS_TO_PREDICT = 1024  # at once
_SOME_ROWS = 1000  # of a table, for statistics


def row_squares(X):
    """Return the squared Euclidean lengths of rows, (n,)."""
    return np.einsum("nj,nj->n", X, X)


def row_lengths(X):
    """Return the Euclidean lengths of rows, (n,)."""
    return np.sqrt(row_squares(X))


def _lengths(X):
    """Return lengths of rows, (n, 1), and a mask of rows whose squares underflow or overflow."""
    with np.errstate(over="ignore"):
        lengths = row_lengths(X)[:, None]
    odd = (lengths < np.sqrt(np.finfo(lengths.dtype).tiny) * X.shape[1]) | np.isinf(lengths)
    return lengths, odd


def unit_rows(X):
    """Scale the rows of X to unit Euclidean length; zero rows stay."""
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
    """Scale each block of a row to unit length, and divide by the root of the number of blocks.

    Dot products of such rows are the mean cosines of their blocks.

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
    """Scale blocks of columns to unit length, in place, since a table may fill most of the memory.

    Parameters
    ----------
    table : ndarray of shape (n, n_features)
    blocks : list of columns
    """
    for rows in parts_of(len(table)):
        for columns in blocks:
            table[rows, columns] = unit_rows(table[rows, columns])


def mean_cosines(X, blocks, row):
    """Return ``unit_blocks(X, blocks) @ row`` without computing the unit blocks.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
    blocks : list of columns
    row : ndarray of shape (width of the blocks,)
        Of length one.

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
    """Return the column slices of adjacent blocks with these widths."""
    return [slice(end - width, end) for width, end in zip(widths, accumulate(widths), strict=True)]


def subsample(values, most=_SOME_ROWS):
    """Return at most `most` rows of a table, evenly spaced."""
    return values[:: -(-len(values) // most)]


def take_rows(X, rows):
    """Return rows of X by their positions; X itself if these are all rows in order."""
    return X if len(rows) == len(X) and (np.diff(rows) == 1).all() else X[rows]


def places_of(some):
    """Return the position of each row among the rows of a mask; -1 for rows outside of it."""
    return np.where(some, np.cumsum(some) - 1, -1)


def positions_in(some, values):
    """Return the positions of the elements of `some` that are in `values`, in ascending order."""
    return np.flatnonzero(np.isin(some, values))


def take_columns(X, columns):
    """Return columns of X by their positions; a view if they are contiguous."""
    first, last = columns[0], columns[-1]
    if last - first == len(columns) - 1 and (columns[1:] > columns[:-1]).all():
        return X[:, first : last + 1]
    return X[:, columns]


def some_of(values, rows):
    """Return the values of some rows; None if `values` is None."""
    return None if values is None else values[rows]


def mean_row(X, weights=None):
    """Return the mean of the rows, weighted if `weights` is given."""
    return X.mean(axis=0) if weights is None else (weights @ X) / weights.sum(dtype=X.dtype)


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
    """Return sparse rows with the weight of the row, or 1.0, in the column of its class.

    Parameters
    ----------
    targets : ndarray of shape (n,), int
        Positions of the classes.
    n_classes : int
    weights : ndarray of shape (n,) or None
        The matrix has their dtype.

    Returns
    -------
    csr_array of shape (n, n_classes)
    """
    n = len(targets)
    entries = np.ones(n) if weights is None else weights
    return csr_array((entries, targets, np.arange(n + 1)), shape=(n, n_classes))


def fit_centred(pca, rows):
    """Fit a PCA to rows from which their mean is taken first.

    Its fastest solver subtracts the product of means from that of rows. If columns are far from
    zero, little but rounding would be left.

    Parameters
    ----------
    pca : sklearn.decomposition.PCA
    rows : ndarray of shape (n, d)
    """
    mean = rows.mean(axis=0, dtype=np.float64).astype(rows.dtype)
    with np.errstate(invalid="ignore"):  # constant columns have no variance to take a share of
        pca.set_params(copy=False).fit(rows - mean)  # of which no second copy is needed
    pca.set_params(copy=True)
    pca.mean_ += mean


def leave_out_flat_components(pca):
    """Remove the components of a fitted PCA along which rows do not differ.

    Whitening would turn them into noise as large as any other component.

    Parameters
    ----------
    pca : sklearn.decomposition.PCA
    """
    variance, eps = pca.explained_variance_, np.finfo(pca.components_.dtype).eps
    # Even identical rows differ from their mean, since it is rounded.
    some = variance > 100 * eps * (variance[:1] + eps * (pca.mean_ @ pca.mean_))
    if some.all():
        return
    pca.components_ = pca.components_[some]
    pca.explained_variance_ = variance[some]
    pca.explained_variance_ratio_ = pca.explained_variance_ratio_[some]
    pca.singular_values_ = pca.singular_values_[some]
    pca.n_components_ = len(pca.components_)


def with_whole_components(pca):
    """Return a fitted PCA whose components are in memory as those of a saved one will be.

    It may hold a slice of a larger array. After pickling, its products would be rounded otherwise.
    """
    pca.components_ = np.ascontiguousarray(pca.components_)
    return pca


def total_weight(y, sample_weight):
    """Return the number of rows, or the sum of their weights."""
    return len(y) if sample_weight is None else float(sample_weight.sum())


class _OneBlasThread:
    """A context that limits BLAS to one thread as long as any Python thread is in it.

    The limit applies to the whole process. If each thread set and restored it, the last one out
    could restore the limit of another. So the first one in sets it and the last one out restores
    it. A thread that is alone in the context may start as many Python threads as BLAS had.
    """

    def __init__(self):
        self._lock = ForkLock()
        self._n_inside = 0
        self._limits = None

    @property
    def n_spare(self):
        """Number of threads that BLAS had before if one Python thread is inside; otherwise 1."""
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
    """Let any thread set the limit. Newer threadpoolctl obeys only the first one that did."""
    clear = getattr(OpenBLASController, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


one_blas_thread = _OneBlasThread()

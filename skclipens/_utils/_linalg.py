"""Arithmetic that several modules share."""

import threading
from contextlib import contextmanager

import numpy as np
from sklearn.utils import gen_batches
from threadpoolctl import OpenBLASController, threadpool_limits

_VALUES_AT_ONCE = 2**23


def unit_rows(X):
    """Rows of X scaled to unit Euclidean length; zero rows stay."""
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(X, axis=1, keepdims=True)
    units = X / np.where(lengths > 0, lengths, 1)
    # Squares of values that are very small or large vanish or overflow: these rows are scaled.
    smallest = np.sqrt(np.finfo(lengths.dtype).tiny) * X.shape[1]
    odd = np.flatnonzero((lengths < smallest) | np.isinf(lengths))
    if len(odd):
        largest = np.abs(X[odd]).max(axis=1, keepdims=True)
        scaled = X[odd] / np.where(largest > 0, largest, 1)
        units[odd] = scaled / np.linalg.norm(scaled, axis=1, keepdims=True).clip(1)
    return units


def row_batches(n_rows, n_columns):
    """Slices of rows that have no more than so many values, where each row has n_columns."""
    return gen_batches(n_rows, max(1, _VALUES_AT_ONCE // n_columns))


def total_weight(y, sample_weight):
    """Number of rows, or the sum of their weights."""
    return len(y) if sample_weight is None else float(sample_weight.sum())


class _OneBlasThread:
    """A context that limits BLAS to one thread, for as long as any thread of Python is in it.

    The limit is the process's. Were each thread to set it and set it back, the last one out could
    set back what another had set. So the first one in sets it and the last one out sets it back.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._n_inside = 0
        self._limits = None

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

"""Roots of the inverse covariance within classes, in the smaller dimension of a table."""

import numpy as np
from scipy.linalg import cholesky, eigh, solve_triangular


class TallWhitening:
    """By the Cholesky factor of the covariance, of shape (d, d)."""

    def __init__(self, covariance, dtype):
        self._root = cholesky(covariance, lower=True, overwrite_a=True).astype(dtype, copy=False)

    def whiten(self, slopes):
        """Return slopes in whitened coefficients from those in coefficients, (C, d)."""
        return solve_triangular(self._root, slopes.T, lower=True).T

    def restore(self, white):
        """Return coefficients from whitened ones, (C, d)."""
        return solve_triangular(self._root, white.T, lower=True, trans="T").T


class WideWhitening:
    """By the directions of fewer rows than columns: the covariance is a ridge along all others.

    Parameters
    ----------
    residuals : ndarray of shape (n, d)
        Their products, plus the ridge, are `n_rows` times the covariance.
    gram : ndarray of shape (n, n)
        The products of residuals.
    ridge, n_rows : float
    """

    def __init__(self, residuals, gram, ridge, n_rows):
        dtype = residuals.dtype
        values, vectors = eigh(gram, driver="evd")
        some = values > np.finfo(dtype).eps * max(values[-1], 0)
        values, vectors = values[some], vectors[:, some]
        self._directions = (vectors / np.sqrt(values)).T.astype(dtype, copy=False) @ residuals
        rest = (n_rows / ridge) ** 0.5
        self._change = (np.sqrt(n_rows / (values + ridge)) - rest).astype(dtype, copy=False)
        self._rest = dtype.type(rest)

    def restore(self, white):
        """Return coefficients from whitened ones, (C, d)."""
        along = (white @ self._directions.T) * self._change
        return white * self._rest + along @ self._directions

    whiten = restore  # the root is symmetric

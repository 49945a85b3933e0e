"""Kernel ridge regression of many rows on the kernel's values at some of them."""

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular

from .._utils._linalg import one_hot, plus_ridge, take_columns
from ._kernel_regression import groups_of_several, shares

# Added to the diagonal of the landmarks' kernel matrix, which may be singular up to rounding.
_JITTER = {np.dtype(np.float32): 1e-4, np.dtype(np.float64): 1e-9}


class NystromFit:
    r"""Ridge regression on the features :math:`K_{nm} L^{-\top}`, with :math:`K_{mm} = L L^\top`.

    The products of these features approximate the kernel: Williams and Seeger, "Using the Nyström
    Method to Speed Up Kernel Machines", 2001.

    Parameters
    ----------
    regression : Regression
    landmarks : ndarray of shape (m,), int
        Positions of rows.
    beta, alpha : float

    Attributes
    ----------
    coef : ndarray of shape (m, C)
        Coefficients of the kernel with each landmark.
    """

    def __init__(self, regression, landmarks, beta, alpha):
        self._all, self._alpha = regression, alpha
        # A heavy row nearly decides its own prediction, which takes more digits to leave it out.
        relative = alpha / max(1.0, regression.scale.max() ** 2)
        of_rows = regression.kernel_of(slice(None), landmarks, beta, relative)
        dtype, of_landmarks = of_rows.dtype, of_rows[landmarks].astype(np.float64)
        self._root = cholesky(plus_ridge(of_landmarks, _JITTER[dtype]), lower=True)
        self._features = _solved(self._root.astype(dtype), of_rows.T, overwrite_b=True)  # (m, n)
        self._scaled = self._features  # by roots of weights
        if (regression.scale != 1).any():
            self._scaled = self._features * regression.scale.astype(dtype)
        self._gram = self._scaled @ self._scaled.T
        self._products = self._products_with(regression.residuals)
        self._factor = self._cholesky(self._gram)
        self._of_features = self._solve(self._factor, self._products)
        self.coef = self._dual(self._of_features)

    def without(self, out):
        """Return the coefficients of a fit without some rows, by their positions."""
        scaled = self._scaled[:, out]
        products = self._products - self._products_with(self._all.residuals[out], out)
        return self._dual(self._solve(self._cholesky(self._gram - scaled @ scaled.T), products))

    def leave_out(self, groups, rows):
        """Return predictions for some rows, each without the rows of its group, in closed form.

        The indicators of the classes are predicted, too: without a row, the others of its class
        count for more.
        """
        asked, rows = rows, np.flatnonzero(np.isin(groups, groups[rows]))
        residuals, targets = self._all.residuals[rows], self._all.targets[rows]
        scale, dtype, n_classes = self._all.scale[rows], self._scaled.dtype, residuals.shape[1]
        sizes = np.bincount(self._all.targets, self._all.scale**2, n_classes)
        in_class = one_hot(self._all.targets, n_classes, self._all.scale.astype(dtype))
        of_classes = self._solve(self._factor, (in_class.T @ self._scaled.T).T)
        features, scaled = (take_columns(one, rows) for one in (self._features, self._scaled))
        hat = _solved(self._factor.astype(dtype), scaled)
        both = np.hstack([self._of_features, of_classes])
        fitted = features.T @ both.astype(dtype)
        of_residuals, of_same = np.split(fitted, 2, axis=1)
        # All rows as if each were a group of its own.
        rest = np.maximum(1 - np.einsum("mn,mn->n", hat, hat), np.finfo(dtype).eps)
        found = residuals - (residuals - of_residuals) / rest[:, None]
        own = np.arange(len(rows)), targets
        found[own] += (1 - (1 - of_same[own]) / rest) * shares(scale**2, sizes[targets])
        for group in groups_of_several(groups[rows]):
            same = targets[group][:, None] == np.arange(n_classes)
            there, of_group = np.hstack([residuals[group], same]), scale[group][:, None]
            part = np.eye(len(group)) - hat[:, group].T @ hat[:, group]
            wrong = np.linalg.solve(part, of_group * (there - fitted[group]))
            left, left_same = np.split(there - wrong / of_group, 2, axis=1)
            found[group] = left + left_same * shares(scale[group] ** 2 @ same, sizes)
        return found[np.searchsorted(rows, asked)]

    def _products_with(self, residuals, rows=slice(None)):
        scale = self._all.scale[rows, None].astype(self._scaled.dtype)
        return self._scaled[:, rows] @ (scale * residuals)

    def _cholesky(self, gram):
        return cholesky(plus_ridge(gram.astype(np.float64), self._alpha), lower=True)

    @staticmethod
    def _solve(factor, products):
        """Return coefficients of the features."""
        return cho_solve((factor, True), products.astype(np.float64))

    def _dual(self, of_features):
        return solve_triangular(self._root, of_features, lower=True, trans="T")


def _solved(triangle, right, **options):
    return solve_triangular(triangle, right, lower=True, check_finite=False, **options)

"""Kernel ridge regression of many rows on the kernel's values at some of them."""

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular

from .._utils._linalg import one_hot, plus_ridge
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
    beta, noise : float

    Attributes
    ----------
    coef : ndarray of shape (m, C)
        Coefficients of the kernel with each landmark.
    """

    def __init__(self, regression, landmarks, beta, noise):
        self._all, self._noise = regression, noise
        # A heavy row nearly decides its own prediction, which takes more digits to leave it out.
        relative = noise / max(1.0, regression.scale.max() ** 2)
        of_rows = regression.kernel_of(slice(None), landmarks, beta, relative)
        dtype, of_landmarks = of_rows.dtype, of_rows[landmarks].astype(np.float64)
        self._root = cholesky(plus_ridge(of_landmarks, _JITTER[dtype]), lower=True)
        self._features = _solved(self._root.astype(dtype), of_rows.T, overwrite_b=True)  # (m, n)
        self._scaled = self._features * regression.scale.astype(dtype)  # by roots of weights
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

    def leave_out(self, groups):
        """Return predictions for each row without the rows of its group, in closed form.

        The indicators of the classes are predicted, too: without a row, the others of its class
        count for more.
        """
        residuals, targets, scale = self._all.residuals, self._all.targets, self._all.scale
        (n_rows, n_classes), dtype = residuals.shape, self._scaled.dtype
        sizes = np.bincount(targets, scale**2, n_classes)
        in_class = one_hot(targets, n_classes, scale.astype(dtype))
        of_classes = self._solve(self._factor, (in_class.T @ self._scaled.T).T)
        hat = _solved(self._factor.astype(dtype), self._scaled)
        # All rows as if each were a group of its own.
        rest = np.maximum(1 - np.einsum("mn,mn->n", hat, hat), np.finfo(dtype).eps)
        found = residuals - (residuals - self._predict(self._of_features)) / rest[:, None]
        own = of_classes.T.astype(dtype)[targets]
        of_own = 1 - (1 - np.einsum("mn,nm->n", self._features, own)) / rest
        found[np.arange(n_rows), targets] += of_own * shares(scale**2, sizes[targets])
        both = np.hstack([self._of_features, of_classes])
        for rows in groups_of_several(groups):
            same = targets[rows][:, None] == np.arange(n_classes)
            there, of_group = np.hstack([residuals[rows], same]), scale[rows][:, None]
            part = np.eye(len(rows)) - hat[:, rows].T @ hat[:, rows]
            wrong = np.linalg.solve(part, of_group * (there - self._predict(both, rows)))
            left, of_same = np.split(there - wrong / of_group, 2, axis=1)
            found[rows] = left + of_same * shares(scale[rows] ** 2 @ same, sizes)
        return found

    def _products_with(self, residuals, rows=slice(None)):
        scale = self._all.scale[rows, None].astype(self._scaled.dtype)
        return self._scaled[:, rows] @ (scale * residuals)

    def _cholesky(self, gram):
        return cholesky(plus_ridge(gram.astype(np.float64), self._noise), lower=True)

    @staticmethod
    def _solve(factor, products):
        """Return coefficients of the features."""
        return cho_solve((factor, True), products.astype(np.float64))

    def _dual(self, of_features):
        return solve_triangular(self._root, of_features, lower=True, trans="T")

    def _predict(self, of_features, rows=slice(None)):
        return self._features[:, rows].T @ of_features.astype(self._features.dtype)


def _solved(triangle, right, **options):
    return solve_triangular(triangle, right, lower=True, check_finite=False, **options)

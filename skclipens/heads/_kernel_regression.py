"""Kernel ridge regression of residuals: evidence, coefficients, and held-out predictions."""

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dtrtri

from .._utils._folds import codes_of
from .._utils._linalg import (
    ROWS_TO_PREDICT,
    one_hot,
    parts_of,
    plus_ridge,
    positions_in,
    take_rows,
)
from ._ridge import residuals_of

_SMALLEST_NOISE = 1e-3  # below it, float32 products are not exact enough
_ROUNDING = 1e-9  # of the weight of a class


def kernel(products, beta):
    """Return the kernel matrix from the inner products of rows, which are overwritten."""
    products -= 1
    products *= beta
    return np.exp(products, out=products)


def predict_residuals(rows, support, beta, coef):
    """Return predictions for rows, in parts that fit in a processor's cache."""
    coef = coef.astype(rows.dtype, copy=False)
    found = np.empty((len(rows), coef.shape[1]), coef.dtype)
    for part in parts_of(len(rows), ROWS_TO_PREDICT):
        found[part] = kernel(rows[part] @ support.T, beta) @ coef
    return found


class Regression:
    """Kernel ridge regression of the residuals of calibrated logits.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        The kernel is a function of their products.
    targets : ndarray of shape (n,), int
    base : ndarray of shape (n, C)
        Calibrated logits.
    weights : ndarray of shape (n,) or None

    Attributes
    ----------
    residuals : ndarray of shape (n, C)
    scale : ndarray of shape (n,)
        Roots of the weights.
    """

    def __init__(self, rows, targets, base, weights):
        self.rows, self.targets = rows, targets
        self.residuals = residuals_of(base, targets)
        weights = np.ones(len(rows)) if weights is None else weights.astype(np.float64)
        self.scale = np.sqrt(weights)

    def best(self, some, betas, noises):
        """Return the beta and noise with the largest marginal likelihood of some rows."""
        if len(betas) == len(noises) == 1:
            return float(betas[0]), float(noises[0])
        products, losses = self._products(some, min(noises)), {}
        for beta in betas:
            of_noises = self._evidence(some, kernel(products.copy(), beta), noises)
            losses |= {(float(beta), float(noise)): loss for noise, loss in of_noises.items()}
        return min(losses, key=losses.get)

    def _evidence(self, some, K, noises):
        """Return negative log evidence up to a constant, by noise, at the best signal variance."""
        scale = self.scale[some]
        residuals, total = scale[:, None] * self.residuals[some], float((scale**2).sum())
        n_classes, losses = residuals.shape[1], {}
        K *= scale[:, None] * scale
        for noise in noises:
            factor = cholesky(plus_ridge(K, noise), lower=True, overwrite_a=True)
            white = solve_triangular(factor, residuals, lower=True)
            variance = np.sum(white**2) / (total * n_classes)
            # A row of weight w counts as w equal rows.
            spread = 2 * np.log(np.diag(factor)).sum() + (total - len(scale)) * np.log(noise)
            losses[noise] = n_classes * (spread + total * np.log(variance))
        return losses

    def fold(self, support, folds, beta, noise):
        """Return coefficients of the support, held-out predictions, and which rows have one."""
        held_out, known = np.zeros_like(self.residuals), np.zeros(len(self.residuals), bool)
        K = kernel(self._products(support, noise), beta)
        for train, test in folds:
            train = positions_in(support, train)
            coef, _ = self._solve(support[train], K[np.ix_(train, train)], noise)
            held_out[test] = predict_residuals(
                self.rows[test], self.rows[support[train]], beta, coef
            )
            known[test] = True
        return self._solve(support, K, noise)[0], held_out, known

    def leave_out(self, support, groups, beta, noise):
        """Return coefficients of the support, and predictions without the row's own group.

        In closed form: Rasmussen and Williams, equation 5.12, for all rows of a group at once.
        Leaving out a row lowers the weight of its class, so the other rows of this class count for
        more. For a row outside of the support, rows of its group in the support are not left out.
        """
        K = kernel(self._products(support, noise), beta)
        coef, factor = self._solve(support, K, noise)
        held_out, half = np.empty_like(self.residuals), self._half_inverse(support, factor)
        held_out[support] = self._without_group(support, groups, coef, half)
        rest = np.setdiff1d(np.arange(len(groups)), support)
        if len(rest):
            held_out[rest] = predict_residuals(self.rows[rest], self.rows[support], beta, coef)
        return coef, held_out

    def _without_group(self, support, groups, coef, half):
        targets, weights = self.targets[support], self.scale[support] ** 2
        m, n_classes = coef.shape
        of_class = np.bincount(targets, weights, n_classes)
        to_class = half @ one_hot(targets, n_classes)
        # All rows as if each were a group of its own.
        itself = np.einsum("ki,ki->i", half, half)
        to_own = np.einsum("ki,ki->i", half, to_class[:, targets])
        found = self.residuals[support] - coef / itself[:, None]
        shares = _shares(weights, of_class[targets])
        found[np.arange(m), targets] -= (to_own / itself - 1) * shares
        number = codes_of(groups[support])
        sizes, order = np.bincount(number), np.argsort(number, kind="stable")
        for rows in np.split(order, np.cumsum(sizes)[:-1]) if sizes.max() > 1 else ():
            if len(rows) == 1:
                continue
            block = half[:, rows].T @ half[:, rows]
            same = targets[rows][:, None] == np.arange(n_classes)
            others = half[:, rows].T @ to_class - block @ same
            left = np.linalg.solve(block, np.hstack([coef[rows], others]))
            class_shift = left[:, n_classes:] * _shares(weights[rows] @ same, of_class)
            found[rows] = self.residuals[support[rows]] - left[:, :n_classes] - class_shift
        return found

    def _products(self, rows, noise):
        """Return inner products of rows, float64, computed in float32 unless the noise is tiny."""
        rows = take_rows(self.rows, rows)
        if noise < _SMALLEST_NOISE:
            rows = rows.astype(np.float64)
        return (rows @ rows.T).astype(np.float64)

    def _solve(self, support, K, noise):
        """Return coefficients and the Cholesky factor of kernel plus noise. K is overwritten."""
        scale = self.scale[support]
        K *= scale[:, None] * scale
        factor = cholesky(plus_ridge(K, noise), lower=True, overwrite_a=True), True
        return scale[:, None] * cho_solve(factor, scale[:, None] * self.residuals[support]), factor

    def _half_inverse(self, support, factor):
        """Return a square root of the weighted inverse of kernel plus noise."""
        half = dtrtri(factor[0], lower=True)[0]
        half *= self.scale[support]
        return half


def _shares(gone, of_class):
    """Return the weight of left-out rows over that of the other rows of their class."""
    rest = of_class - gone
    some = rest > _ROUNDING * of_class
    return np.divide(gone, rest, out=np.zeros_like(rest), where=some)

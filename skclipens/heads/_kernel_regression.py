"""Kernel ridge regression of residuals: evidence, coefficients, and held-out predictions."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dtrtri

from .._utils._folds import codes_of
from .._utils._linalg import ROWS_TO_PREDICT, one_hot, parts_of, plus_ridge, positions_in, take_rows
from ._ridge import residuals_of

_SMALLEST_ALPHA = 1e-3  # below it, float32 products are not exact enough
_ROUNDING = 1e-9  # of the weight of a class
_MOST_BETA = 1e3  # for which it does not matter that cosines may be above one by rounding


def kernel(products, beta):
    """Return the kernel matrix from the inner products of rows, which are overwritten."""
    products -= 1
    if beta > _MOST_BETA:
        np.minimum(products, 0, out=products)
    products *= beta
    return np.exp(products, out=products)


def predict_residuals(rows, X_fit, beta, coef):
    """Return predictions for rows, in parts that fit in a processor's cache."""
    coef = coef.astype(rows.dtype, copy=False)
    found = np.empty((len(rows), coef.shape[1]), coef.dtype)
    for part in parts_of(len(rows), ROWS_TO_PREDICT):
        found[part] = kernel(rows[part] @ X_fit.T, beta) @ coef
    return found


class TrainingRows(NamedTuple):
    """Rows of a kernel head: those to fit on, and those that validate it.

    Attributes
    ----------
    X : ndarray of shape (n, n_features)
    targets, weights, groups : ndarray of shape (n,)
        Weights and groups may be None.
    folds : list of (train, test) or None
    to_fit, validation : ndarray of int
        Positions of the rows to fit on, and of the validation rows.
    """

    X: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None
    groups: np.ndarray | None
    folds: list | None
    to_fit: np.ndarray
    validation: np.ndarray

    def take(self, rows):
        """Return rows by sorted positions, among which are all to fit on and for validation."""
        some = [None if one is None else take_rows(one, rows) for one in self[:4]]
        folds = self.folds and [[positions_in(rows, side) for side in one] for one in self.folds]
        return TrainingRows(*some, folds, *(np.searchsorted(rows, one) for one in self[5:]))


class Regression:
    """Kernel ridge regression of the residuals of calibrated logits.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        The kernel is a function of their products. Each row has a weight.
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

    def best(self, some, betas, alphas):
        """Return the beta and alpha with the largest marginal likelihood of some rows."""
        if len(betas) == len(alphas) == 1:
            return float(betas[0]), float(alphas[0])
        losses = {}
        for beta in betas:
            K = self.kernel_of(some, some, beta, min(alphas)).astype(np.float64)
            of_alphas = self._evidence(some, K, alphas)
            losses |= {(float(beta), float(alpha)): loss for alpha, loss in of_alphas.items()}
        return min(losses, key=losses.get)

    def _evidence(self, some, K, alphas):
        """Return negative log evidence up to a constant, by alpha, at the best signal variance."""
        scale = self.scale[some]
        residuals, total = scale[:, None] * self.residuals[some], float((scale**2).sum())
        n_classes, losses = residuals.shape[1], {}
        K *= scale[:, None] * scale
        for alpha in alphas:
            factor = cholesky(plus_ridge(K, alpha), lower=True, overwrite_a=True)
            white = solve_triangular(factor, residuals, lower=True)
            variance = np.sum(white**2) / (total * n_classes)
            # A row of weight w counts as w equal rows.
            spread = 2 * np.log(np.diag(factor)).sum() + (total - len(scale)) * np.log(alpha)
            losses[alpha] = n_classes * (spread + total * np.log(variance))
        return losses

    def kernel_of(self, rows, others, beta, alpha):
        """Return the kernel of rows with others, float32 unless alpha is tiny."""
        dtype = np.float64 if alpha < _SMALLEST_ALPHA else self.rows.dtype
        left, right = (self.rows[some].astype(dtype, copy=False) for some in (rows, others))
        return kernel(left @ right.T, beta)


class ExactFit:
    """Kernel ridge regression.

    Parameters
    ----------
    regression : Regression
    beta, alpha : float

    Attributes
    ----------
    coef : ndarray of shape (n, C)
        Coefficients of the kernel with each row.
    """

    def __init__(self, regression, beta, alpha):
        self._all, self._alpha = regression, alpha
        self._kernel = regression.kernel_of(slice(None), slice(None), beta, alpha)
        self.coef, self._factor = self._solve(slice(None), self._kernel)

    def without(self, out):
        """Return the coefficients of a fit without some rows, by their positions."""
        rows, coef = np.delete(np.arange(len(self.coef)), out), np.zeros_like(self.coef)
        coef[rows], _ = self._solve(rows, self._kernel[np.ix_(rows, rows)])
        return coef

    def leave_out(self, groups, rows):
        """Return predictions for some rows, each without the rows of its group.

        In closed form: Rasmussen and Williams, equation 5.12, for all rows of a group at once.
        Leaving out a row lowers the weight of its class, so the other rows of this class count for
        more.
        """
        residuals, targets, (m, n_classes) = self._all.residuals, self._all.targets, self.coef.shape
        weights = self._all.scale**2
        half = dtrtri(self._factor, lower=True)[0]
        half *= self._all.scale  # a square root of the weighted inverse of kernel plus ridge
        of_class = np.bincount(targets, weights, n_classes)
        to_class = half @ one_hot(targets, n_classes)
        # All rows as if each were a group of its own.
        itself = np.einsum("ki,ki->i", half, half)
        to_own = np.einsum("ki,ki->i", half, to_class[:, targets])
        found = residuals - self.coef / itself[:, None]
        found[np.arange(m), targets] -= (to_own / itself - 1) * shares(weights, of_class[targets])
        for group in groups_of_several(groups):
            block = half[:, group].T @ half[:, group]
            same = targets[group][:, None] == np.arange(n_classes)
            others = half[:, group].T @ to_class - block @ same
            left = np.linalg.solve(block, np.hstack([self.coef[group], others]))
            class_shift = left[:, n_classes:] * shares(weights[group] @ same, of_class)
            found[group] = residuals[group] - left[:, :n_classes] - class_shift
        return found[rows]

    def _solve(self, some, K):
        """Return coefficients of some rows, and a Cholesky factor of kernel plus ridge."""
        scale = self._all.scale[some]
        K = plus_ridge(scale[:, None] * K * scale, self._alpha)
        factor = cholesky(K, lower=True, overwrite_a=True)
        scaled = scale[:, None] * self._all.residuals[some]
        return scale[:, None] * cho_solve((factor, True), scaled), factor


def groups_of_several(groups):
    """Return the positions of the rows of each group that has several rows."""
    number = codes_of(groups)
    sizes, order = np.bincount(number), np.argsort(number, kind="stable")
    parts = np.split(order, np.cumsum(sizes)[:-1]) if sizes.max(initial=0) > 1 else []
    return [rows for rows in parts if len(rows) > 1]


def shares(gone, of_class):
    """Return the weight of left-out rows over that of the other rows of their class."""
    rest = of_class - gone
    some = rest > _ROUNDING * of_class
    return np.divide(gone, rest, out=np.zeros_like(rest), where=some)

"""Ridge regression from sums over rows, which may come in parts."""

import numpy as np
from scipy.linalg import solve
from scipy.special import softmax

from .._utils._linalg import mean_row, parts_of, plus_ridge, take_rows, unit_rows

_SMALLEST = 1e-4


def needs_float64(penalty):
    """Return whether a penalty is so small that products of rows in float32 are not exact enough.

    These may be wrong by more than the penalty. In float64 they take longer.
    """
    return penalty < _SMALLEST


def residuals_of(logits, targets):
    """Return one-hot labels less the softmax of logits, (n, C)."""
    residuals = -softmax(logits, axis=1)
    residuals[np.arange(len(logits)), targets] += 1
    return residuals


class RidgeSums:
    """Sums of weights, of weighted rows and targets, and of their products with the rows.

    Parameters
    ----------
    *sums : float, ndarrays of shape (d,), (C,), (d, d) and (d, C)
    """

    def __init__(self, *sums):
        self._sums = list(sums)

    @property
    def n_targets(self):
        """The number C of targets."""
        return len(self._sums[2])

    @classmethod
    def of(cls, X, Y, weights):
        """Return the sums over rows, in the dtype of the rows."""
        weights = weights.astype(X.dtype, copy=False)
        weighted = X * weights[:, None]
        of_weights = weights.sum(dtype=float)
        return cls(of_weights, weighted.sum(axis=0), weights @ Y, weighted.T @ X, weighted.T @ Y)

    @classmethod
    def empty(cls, n_features, n_targets):
        """Return sums over no rows, in float64."""
        shapes = (n_features,), (n_targets,), (n_features, n_features), (n_features, n_targets)
        return cls(0.0, *map(np.zeros, shapes))

    def merge(self, other):
        """Add the sums of other rows."""
        for i, one in enumerate(other._sums):
            self._sums[i] += one

    def without(self, other):
        """Return the sums less those over some of the rows."""
        return RidgeSums(*(one - some for one, some in zip(self._sums, other._sums, strict=True)))

    def solve(self, alpha):
        """Return coefficients, (d, C), and intercepts, (C,)."""
        total, of_X, of_Y, gram, products = self._sums
        gram = plus_ridge(gram - np.outer(of_X, of_X / total), alpha)
        products = products - np.outer(of_X, of_Y / total)
        coef = solve(gram, products, assume_a="pos", overwrite_a=True, overwrite_b=True)
        return coef, (of_Y - of_X @ coef) / total


class BaseRidge:
    """Base class of ridge regressions with intercept, on all rows or on training folds.

    Sums over the training rows of a fold are those over all rows less those over the other rows. So
    products of rows are computed twice, however many folds there are. A subclass sets ``_X``, the
    rows to predict less ``_centre``; ``_sums`` over all rows; and ``_alpha``.
    """

    def _predict_parts(self, parts, validation):
        """Return held-out predictions for validation rows, and the positions of these.

        `parts` are pairs of the sums over the rows to leave out, and the positions of test rows.
        """
        predicted = np.zeros((len(self._X), self._sums.n_targets), self._X.dtype)
        is_predicted = np.zeros(len(predicted), bool)
        for part, test in parts:
            rows = test[np.isin(test, validation)]
            coef, intercept = self._sums.without(part).solve(self._alpha)
            predicted[rows], is_predicted[rows] = self._X[rows] @ coef + intercept, True
        rows = np.flatnonzero(is_predicted)
        return take_rows(predicted, rows), rows

    def fit(self):
        """Return coefficients, (C, d), and intercepts, (C,), fitted on all rows."""
        coef, intercept = self._sums.solve(self._alpha)
        return coef.T, intercept - self._centre @ coef


class Ridge(BaseRidge):
    """Ridge regression of Y, (n, C), on rows X, (n, d); in the span of the rows if d is larger."""

    def __init__(self, X, Y, weights, alpha):
        if needs_float64(alpha):
            X = X.astype(np.float64)
        self._weights = np.ones(len(X), X.dtype) if weights is None else weights.astype(X.dtype)
        self._basis, self._alpha = None, alpha
        if len(X) < X.shape[1]:  # coefficients are then combinations of the rows
            self._basis, triangle = np.linalg.qr(X.T)
            X = triangle.T
        self._centre = mean_row(X, weights)
        self._X, self._Y = X - self._centre, Y
        self._sums = self._sums_of(slice(None))

    def _sums_of(self, rows):
        return RidgeSums.of(self._X[rows], self._Y[rows], self._weights[rows])

    def held_out(self, folds, validation):
        """Return held-out predictions for validation rows, and the positions of these."""
        everyone = np.arange(len(self._X))
        parts = ((self._sums_of(np.setdiff1d(everyone, train)), test) for train, test in folds)
        return self._predict_parts(parts, validation)

    def fit(self):
        """Return coefficients, (C, d), and intercepts, (C,), fitted on all rows."""
        coef, intercept = super().fit()
        return coef if self._basis is None else (self._basis @ coef.T).T, intercept


class SummedRidge(BaseRidge):
    """Ridge regression from sums over rows, with predictions for rows that are in memory.

    Parameters
    ----------
    sums : list of RidgeSums
        Sums over the rows that each fold holds out, then over those that no fold holds out.
    centre : ndarray of shape (d,)
        Subtracted from the rows before summing.
    X : ndarray of shape (n, d)
        The rows to predict.
    alpha : float
    """

    def __init__(self, sums, centre, X, alpha):
        self._alpha, self._centre = alpha, centre
        *self._parts, self._sums = sums
        for part in self._parts:
            self._sums.merge(part)
        self._X = X - centre

    def held_out(self, tests, validation):
        """Return held-out predictions for validation rows, and the positions of these.

        `tests` has, for each fold, the positions in X of rows that it holds out.
        """
        return self._predict_parts(zip(self._parts, tests, strict=True), validation)


class ResidualSums:
    """Sums for the regression of residuals of calibrated prompts, over rows in parts.

    Parameters
    ----------
    prompts : ndarray of shape (C, d), float32
        Calibrated logits are the products of these with rows of unit length.
    centre : ndarray of shape (d,), float32
        Close to the mean of the rows; without it, sums of squares would lose digits.
    """

    def __init__(self, prompts, centre):
        self._prompts, self._centre = prompts, centre
        self.sums = RidgeSums.empty(prompts.shape[1], len(prompts))

    def add(self, X, targets, weights):
        """Add rows, their classes by position, and their weights."""
        for part in parts_of(len(X)):
            rows = unit_rows(X[part])
            residuals = residuals_of(rows @ self._prompts.T, targets[part])
            self.sums.merge(RidgeSums.of(rows - self._centre, residuals, weights[part]))

    def merge(self, other):
        """Add the sums of other rows."""
        self.sums.merge(other.sums)

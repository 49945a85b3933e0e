"""Logistic regression whose prior is a linear discriminant."""

from numbers import Integral

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from .._utils._docstrings import fill_doc
from .._utils._folds import covers_most, drop_unseen_classes, stratified_rows, validation_rows
from .._utils._linalg import row_batches, some_of, take_columns
from .._utils._sklearn import Interval
from .._utils._validation import check_candidates
from .._utils._warnings import warn
from ._base_discriminant import BaseDiscriminantHead
from ._from_files import PassRequest
from ._losses import VALUES_IN_CACHE, log_loss, summed_cross_entropy
from ._temperature import fit_temperature

_HELD_OUT = 5  # a row of this many, at most
_MAX_ROWS_TO_CHOOSE = 16_000  # that are fitted for each C
_TOLERANCE = 1e-6  # relative change of the loss at which L-BFGS stops


@fill_doc
class LogisticDiscriminantHead(BaseDiscriminantHead):
    r"""Classify by logistic regression that starts from a linear discriminant.

    A linear discriminant models how rows are distributed, and is more accurate with few rows. A
    logistic regression only models the class of a given row, and is more accurate with many [1]_.
    This head has the discriminant as its prior, so that it is between both: with coefficients
    :math:`w_c` and intercepts :math:`b_c` it minimises

    .. math::
        -\sum_i \log p(y_i | x_i) + \frac{1}{2C} \sum_c (w_c - v_c)^T \Sigma (w_c - v_c),

    where :math:`v_c` are the coefficients of :class:`LinearDiscriminantHead`, divided by a
    temperature, and :math:`\Sigma` is its covariance. So a change counts by how much it changes the
    logits of rows of a class, whatever the scales and correlations of the columns. With C = 0 it is
    the calibrated discriminant.

    Parameters
    ----------
    Cs : sequence of float, default=(0.001, 0.01, 0.1, 1.0)
        Candidates for C, beside 0.
    shrinkage : float or "auto", default="auto"
        As in :class:`LinearDiscriminantHead`, also for :math:`\Sigma`.
    cv : int, splitter or list of (train, test), default=None
        Cross-validation of shrinkage and C: at most this number of stratified folds, or the given
        folds. None: leave-one-out for the shrinkage, and one split for C.
    rescale : list of columns, default=None
        Blocks of columns that are not embeddings; see :class:`LinearDiscriminantHead`.
    max_iter : int, default=100
        Largest number of iterations of L-BFGS.

    Attributes
    ----------
    %(classes)s
    C_ : float
        The chosen C; 0 if logistic regression is not better than the discriminant.
    shrinkage_ : float
        The given or chosen shrinkage.
    block_variance_ : float
        Total variance to which each block of ``rescale`` was scaled.
    coef_ : ndarray of shape (C, n_features)
        Coefficients: logits are ``X @ coef_.T + intercept_``. Two rows for two classes.
    intercept_ : ndarray of shape (C,)
        Intercepts.
    n_iter_ : int
        Iterations of the final fit; 0 with C = 0.
    %(table_columns)s

    Warns
    -----
    ConvergenceWarning
        If the final fit needs more than `max_iter` iterations.

    See Also
    --------
    LinearDiscriminantHead : The discriminant alone.
    LinearProbeHead : Logistic regression without a prior of this kind.

    Notes
    -----
    The candidates are tried in ascending order, until two in a row do not lower the log-loss of
    held-out rows. If neither folds nor groups are given, one row of five is held out, and at most
    5,000. Each C is fitted on at most 16,000 of the other rows. The chosen one is then fitted on
    all of them, for the held-out logits of ``cross_fit``, and at last on all rows. L-BFGS ends when
    a step lowers the mean loss by less than a millionth, which is before the minimum.

    References
    ----------
    .. [1] Ng and Jordan, "On Discriminative vs. Generative Classifiers: A Comparison of Logistic
       Regression and Naive Bayes", NeurIPS 2001.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skclipens.heads import LogisticDiscriminantHead
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = LogisticDiscriminantHead().fit(X[::2], y[::2])
    >>> print(f"{clf.score(X[1::2], y[1::2]):.2f}")
    0.95
    """

    _parameter_constraints: dict = {
        **BaseDiscriminantHead._parameter_constraints,
        "Cs": ["array-like"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        Cs=(0.001, 0.01, 0.1, 1.0),
        shrinkage="auto",
        cv=None,
        rescale=None,
        max_iter=100,
    ):
        self.Cs = Cs
        self.shrinkage = shrinkage
        self.cv = cv
        self.rescale = rescale
        self.max_iter = max_iter

    def _cross_fit(self, X, targets, weights, folds, groups):
        check_candidates(self.Cs, "Cs")
        folds = self._folds(X, targets, folds, groups)
        held_out, logits = self._choose(self._maker(X, targets, weights), folds, targets, weights)
        whole = held_out.discriminant
        self.block_variance_, self.C_, self.n_iter_ = whole.rescaling.variance, 0.0, 0
        temperature = 1.0
        if covers_most(targets[held_out.rows], len(self.classes_)):
            given = some_of(weights, held_out.rows)
            temperature = fit_temperature(logits, targets[held_out.rows], sample_weight=given)
        table = _Table(X, targets, weights, whole, temperature, self)
        splits = [] if self._is_logistic_regression(whole) else _splits(targets, folds)
        parts, solutions = self._choose_C(table, splits)
        if self.C_:
            return self._fit_all(table, splits, parts, solutions)
        self._set_coefficients(table, *(one / temperature for one in self._coefficients(whole)))
        found, valid = held_out.for_all_rows((logits / temperature).astype(X.dtype, copy=False))
        return found, valid & (not self._is_logistic_regression(whole))

    def _fit_over(self, rows, columns):
        """See :mod:`skclipens.heads._from_files`. All rows are kept."""
        _, kept = yield PassRequest(keep=np.flatnonzero(rows.weights))
        self.classes_, self.n_features_in_ = rows.classes, len(columns)
        X, targets = take_columns(kept.X, columns), rows.targets[kept.rows]
        weights = rows.weights[kept.rows]
        weights = None if (weights == 1).all() else weights
        logits, valid = self._cross_fit(X, targets, weights, None, None)
        return logits[kept.validation], valid[kept.validation]

    def _fit_all(self, table, splits, parts, solutions):
        """Fit on all rows at the chosen C; return held-out logits, and the rows that have some."""
        n_rows, dtype = len(table.X), table.X.dtype
        found, valid = np.zeros((n_rows, len(self.classes_)), dtype), np.zeros(n_rows, bool)
        for (train, test), part, solution in zip(splits, parts, solutions, strict=True):
            if part.n_rows < len(train):
                part = table.fit_on(train)
                solution = part.solve(self.C_, solution)
            found[test], valid[test] = part.logits(table.X[test], solution), True
        final = table.fit_on(slice(None))
        self._set_coefficients(table, *final.coefficients(final.solve(self.C_, solution)))
        self.n_iter_ = final.n_iter
        if self.n_iter_ >= self.max_iter:
            warn(
                f"The logistic regression has not converged after {self.max_iter} iterations. "
                "Give a larger max_iter, or smaller Cs.",
                ConvergenceWarning,
            )
        return found, valid

    def _set_coefficients(self, table, *solved):
        self.coef_, self.intercept_ = (one.astype(table.X.dtype) for one in solved)

    def _choose_C(self, table, splits):
        """Set the C of the smallest held-out loss; return fits on parts, and their solutions."""
        parts = []
        for train, _ in splits:
            some = stratified_rows(table.targets[train], _MAX_ROWS_TO_CHOOSE)
            parts.append(table.fit_on(train[some]))
        solutions = best = [None] * len(parts)

        def loss_of(solutions):
            return sum(
                log_loss(
                    part.logits(table.X[test], solution),
                    table.targets[test],
                    some_of(table.weights, test),
                )
                for part, solution, (_, test) in zip(parts, solutions, splits, strict=True)
            )

        smallest, not_better = loss_of(solutions), 0
        for C in sorted(self.Cs) if parts else []:
            solutions = [part.solve(C, start) for part, start in zip(parts, solutions, strict=True)]
            loss = loss_of(solutions)
            if loss < smallest:
                self.C_, smallest, best, not_better = float(C), loss, solutions, 0
            else:
                not_better += 1
            if not_better == 2:
                break
        return parts, best


def _splits(targets, folds):
    """Return folds, or by default one whose test rows are among the validation rows."""
    if folds is None:
        rows = validation_rows(targets)
        test = rows[stratified_rows(targets[rows], max(len(targets) // _HELD_OUT, 1))]
        folds = [(np.setdiff1d(np.arange(len(targets)), test), test)]
    return drop_unseen_classes(folds, targets)


class _Table:
    """The table, its discriminant and the temperature of that, for fits on some of the rows."""

    def __init__(self, X, targets, weights, discriminant, temperature, head):
        self.X, self.targets, self.weights = X, targets, weights
        self.discriminant, self.temperature, self.head = discriminant, temperature, head

    def fit_on(self, rows):
        """Return the problem of fitting a logistic regression to these rows."""
        discriminant, X = self.discriminant, self.X
        if not isinstance(rows, slice):
            discriminant = discriminant.subset(rows)
            X = discriminant.X  # which is a copy already
        targets, weights = self.targets[rows], some_of(self.weights, rows)
        ridge = discriminant.ridge(self.head.shrinkage_)
        prior = [one / self.temperature for one in discriminant.linear(ridge)]
        return _LogisticFit(X, targets, weights, discriminant, ridge, prior, self.head.max_iter)


class _LogisticFit:
    """Logistic regression on some rows, by the whitened difference of its coefficients.

    A solution is this difference and that of the intercepts, flat, of (C, d + 1) values, or None
    for the prior itself.
    """

    def __init__(self, X, targets, weights, discriminant, ridge, prior, max_iter):
        self._X, self._targets, self.n_rows = X, targets, len(X)
        self._weights = np.ones(len(X), X.dtype) if weights is None else weights.astype(X.dtype)
        self._whitening = discriminant.whitening(ridge)
        self._centre, self._scales = discriminant.centre, discriminant.scales
        self._prior, self._max_iter = prior, max_iter
        self.n_iter = 0

    def solve(self, C, start=None):
        """Return the solution at this C."""
        scales = np.ones((len(self._prior[0]), self._X.shape[1] + 1))
        # With few rows the penalty is far steeper than the loss of the intercepts, and L-BFGS would
        # stop at its first steps.
        n_rows = float(self._weights.sum())
        scales[:, :-1] = np.sqrt(C * n_rows / (1 + C * n_rows))
        scales = scales.ravel()

        def scaled_loss(scaled):
            loss, slope = self.loss(scaled * scales, C)
            return loss, slope * scales

        found = minimize(
            scaled_loss,
            np.zeros(scales.shape) if start is None else start / scales,
            method="L-BFGS-B",
            jac=True,
            options={"maxiter": self._max_iter, "ftol": _TOLERANCE},
        )
        self.n_iter = int(found.nit)
        return found.x * scales

    def coefficients(self, solution):
        """Return coefficients, (C, d), and intercepts, (C,), for rows as they are."""
        coef, intercept = self._prior
        if solution is None:
            return coef, intercept
        white, bias = self._split(solution)
        change = self._whitening.restore(white) * self._scales
        return coef + change, intercept + bias - change @ self._centre

    def logits(self, X, solution):
        """Return logits of rows."""
        coef, intercept = self.coefficients(solution)
        return X @ coef.astype(X.dtype).T + intercept.astype(X.dtype)

    def _split(self, solution):
        parts = solution.reshape(len(self._prior[0]), -1).astype(self._X.dtype)
        return parts[:, :-1], parts[:, -1]

    def loss(self, solution, C):
        """Return the penalised loss and its gradient, both divided by the sum of the weights."""
        X, (white, _) = self._X, self._split(solution)
        coef, intercept = (one.astype(X.dtype) for one in self.coefficients(solution))
        total, coef_slope, bias_slope = 0.0, np.zeros_like(coef), np.zeros(len(coef))
        for part in row_batches(len(X), len(coef), values=VALUES_IN_CACHE):
            logits = X[part] @ coef.T + intercept
            loss, slope = summed_cross_entropy(logits, self._targets[part], self._weights[part])
            total += loss
            coef_slope += slope.T @ X[part]
            bias_slope += slope.sum(axis=0)
        centred = (coef_slope - np.outer(bias_slope, self._centre)) * self._scales
        white_slope = self._whitening.whiten(centred) + white / C
        total += float(np.vdot(white, white)) / (2 * C)
        gradient = np.column_stack([white_slope, bias_slope]).ravel()
        n_rows = float(self._weights.sum())
        return total / n_rows, gradient.astype(np.float64) / n_rows

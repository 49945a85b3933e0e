"""Linear discriminants for any ridge, and their leave-one-out logits.

If most classes have one row, there is no scatter within classes: see `logistic_regression`.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh, get_lapack_funcs, qr
from sklearn.linear_model import LogisticRegression

from .._utils._folds import can_be_held_out, is_one_shot, validation_rows
from .._utils._labels import allow_few_rows_per_class
from .._utils._linalg import (
    mean_row,
    one_hot,
    parts_of,
    plus_ridge,
    row_batches,
    row_squares,
    some_of,
    take_columns,
    take_rows,
    total_weight,
)
from ._whitening import TallWhitening, WideWhitening

_MAX_ITER = 1000
# Relative to the mean. Sums of float64 are not rounded as a whole, but at each of millions of rows.
_ROUNDING = {"float32": 4 * np.finfo(np.float32).eps, "float64": 1e-10}
_MOST_COLUMNS = 1000  # of which all products are fast
_ALIKE = 1e-5  # relative difference of sums of weights, which may be rounding
_COMPANY = 1e3  # times the precision: the least share of its class that a held-out row may leave
_OF_NOISE = 0.5  # share of the noise of a mean that is given back to its class: see `_offsets`


class Rescaling(NamedTuple):
    """Blocks of columns, and the total variance to which each is scaled.

    Attributes
    ----------
    blocks : tuple of ndarray of int
        Positions of the columns of each block. If it is empty, no columns are scaled.
    variance : float
        The sum of the variances of the scaled columns of a block.
    """

    blocks: tuple = ()
    variance: float = 1.0

    def scales(self, totals, centre, dtype):
        """Return the factors by which columns are multiplied, (n_features,).

        `totals` are the total variances of the blocks. A block whose variance is zero, up to
        rounding, is not scaled. `centre` is the mean of all rows.
        """
        scales, rounding = np.ones_like(centre), _ROUNDING[np.dtype(dtype).name]
        for columns, total in zip(self.blocks, totals, strict=True):
            if np.sqrt(total) > rounding * np.linalg.norm(centre[columns]):
                scales[columns] = np.sqrt(self.variance / total)
        return scales


class BaseDiscriminant:
    r"""Base class of discriminants, solved from means and scatter of classes for any ridge.

    With the scatter :math:`A = \sum_i w_i r_i r_i^T` of the rows r around the means
    :math:`\mu_c` of their classes, the sum N of the weights and the precision
    :math:`P = N (A + \rho I)^{-1}`, the logit of a class is
    :math:`\mu_c^T P x - \frac12 \mu_c^T P \mu_c`, plus an offset, see ``_offsets``.

    A subclass sets the attributes below, and those that the methods read: ``_gram``, the scatter
    within classes; ``centre``, the mean of all rows; ``_means`` of classes, less ``centre`` and
    times ``scales``; ``_counts``; ``_log_prior``; and, for leave-one-out logits,
    ``validation``, the positions of the validation rows, ``_validation_residuals``, and
    ``_targets`` and ``_weights`` of all rows.

    Attributes
    ----------
    n_rows : float
        Sum of the weights.
    n_features : int
    rescaling : Rescaling
    """

    @cached_property
    def within(self):
        """Trace of the scatter within classes."""
        return float(self._gram.trace(dtype=float))

    @cached_property
    def total(self):
        """Trace of the scatter around the mean of all rows."""
        return self.within + float(self._counts @ row_squares(self._means))

    def _log_priors(self, log_prior):
        """Return the given log priors, or the logarithms of the shares of the rows."""
        shares = np.log(np.maximum(self._counts / self.n_rows, self._tiny))
        return shares if log_prior is None else log_prior

    def ridge(self, shrinkage):
        """Return the ridge of the scatter, which is a sum over rows, for this shrinkage."""
        if not self.total:  # all rows are identical: logits are the priors at any ridge
            return 1.0
        return max(shrinkage * self.total / self.n_features, float(np.finfo("f").tiny))

    def lowest_where_unseen(self, logits):
        """Set logits of classes without rows to the smallest of each row.

        Their own logits have a tiny prior and would affect the temperature.
        """
        seen = self._counts > 0
        if not seen.all():
            logits[:, ~seen] = logits[:, seen].min(axis=1, keepdims=True)
        return logits

    def linear(self, ridge):
        """Return coefficients, (C, d), and intercepts, (C,), of the logits at this ridge."""
        # It is symmetric: transposed, LAPACK takes it without a copy.
        factor = cho_factor(plus_ridge(self._gram, ridge).T, lower=True, overwrite_a=True)
        coef = self._precision_times_means(factor, ridge)
        halves = np.einsum("cd,dc->c", self._means / 2, coef)
        return self._for_raw_rows(coef.T, -halves, self._offsets(ridge, factor))

    def _precision_times_means(self, factor, ridge):
        return cho_solve(factor, self._means.T) * self.n_rows

    def _offsets(self, ridge, factor=None):
        r"""Return log priors plus a correction for the noise of means of few rows, (C,).

        The noise of a mean of n rows adds :math:`\mathrm{tr}(P \Sigma) / n` to its expected squared
        distance from any row, so classes of few rows are predicted too seldom. Half of this is
        given back: all of it is too much for linear heads alone, though not within the default
        ensemble. If classes have equally many rows, it makes no difference.
        """
        seen = self._counts > 0
        counts = self._counts[seen]
        if np.ptp(counts) < _ALIKE * counts.max():
            return self._log_prior
        columns = self._effective_columns(ridge, factor)
        distance = self.n_rows * columns / max(self.n_rows - len(counts), 1)
        offsets = self._log_prior.copy()
        offsets[seen] += _OF_NOISE / 2 * distance / np.maximum(counts, 1)
        return offsets

    def _effective_columns(self, ridge, factor):
        """Return the trace of A / (A + ridge), from eigenvalues if these are computed already.

        Else the Cholesky factor of A + ridge is overwritten by the inverse.
        """
        if "_basis" in vars(self):
            values = self._basis[0]
            return float(np.sum(values / (values + ridge)))
        (invert,) = get_lapack_funcs(("potri",), factor[:1])
        inverse, _ = invert(factor[0], lower=factor[1], overwrite_c=True)
        return len(inverse) - ridge * float(inverse.trace(dtype=float))

    def logistic_regression(self, C):
        """Return the coefficients of a logistic regression fitted on the means of classes.

        Its logits are close to each other, so with priors the largest class would be predicted too
        often. All classes that have rows therefore get equal priors.

        Parameters
        ----------
        C : float
            Inverse of the regularisation strength, for means whose mean squared distance from
            their own mean is 1.

        Returns
        -------
        coef : ndarray of shape (C, d)
        intercept : ndarray of shape (C,)
        """
        seen = np.flatnonzero(self._counts > 0)
        coef, bias = np.zeros_like(self._means), np.zeros(len(self._means), self._means.dtype)
        basis, rows = qr(self._means[seen].T, mode="economic")  # in the span of the means
        unit = np.sqrt(rows.var(axis=1).sum())
        if unit > 0:
            probe = LogisticRegression(C=C, max_iter=_MAX_ITER)
            with allow_few_rows_per_class():
                probe.fit(rows.T / unit, seen)
            solved = probe.coef_, probe.intercept_
            if len(seen) == 2:
                solved = (np.concatenate([-one, one]) / 2 for one in solved)
            of_basis, bias[seen] = solved
            coef[seen] = of_basis @ basis.T / unit
        priors = np.where(self._counts > 0, 0, self._log_prior).astype(bias.dtype)
        return self._for_raw_rows(coef, bias, priors)

    def _for_raw_rows(self, coef, intercept, priors):
        """Add priors, and convert to rows that are neither centred nor scaled.

        A class without rows gets the mean coefficients of the others. With a tiny prior it is then
        never predicted. If its mean were that of all rows, it would be predicted, since logits of
        many columns differ more than priors.
        """
        coef = coef * self.scales
        intercept = intercept - coef @ self.centre
        seen = self._counts > 0
        if not seen.all():
            coef[~seen] = coef[seen].mean(axis=0)
            intercept[~seen] = intercept[seen].mean()
        return coef, intercept + priors

    @property
    def is_one_shot(self):
        """See :func:`~skclipens._utils._folds.is_one_shot`; only rows that have a weight count."""
        return is_one_shot(self._targets[self._weights > 0])

    @cached_property
    def can_be_held_out(self):
        """Which rows have a weight, and are not all of the weight of their class, (n,).

        Of a row that is, up to rounding, the residual and the rest of its class are only rounding.
        """
        counts = self._counts[self._targets]
        least = _COMPANY * np.finfo(self._means.dtype).eps * counts
        has_company = counts - self._weights > least
        return has_company & can_be_held_out(self._targets, weights=self._weights)

    @cached_property
    def _basis(self):
        """Eigenvalues of the scatter, and residuals and means in the basis of its eigenvectors."""
        values, vectors = eigh(self._gram, driver="evd")
        return values, self._validation_residuals @ vectors, self._means @ vectors

    def left_out(self, ridge, places):
        r"""Return leave-one-out logits of some validation rows at this ridge.

        Leaving out a row changes A by a matrix of rank one, and the mean of one class. So P follows
        by the Sherman-Morrison formula from the eigenvectors of A, which are the same for all
        ridges.

        A row is farther from a mean of m - 1 rows than from one of m, in expectation by the factor
        :math:`(1 + \frac{1}{m-1}) / (1 + \frac1m)`. This would make its own class less likely, so
        the distance to its mean is divided by this factor. For the same reason priors are those of
        all rows.

        Parameters
        ----------
        ridge : float
        places : ndarray of shape (n,), int
            Positions among the validation rows. Each has another row in its class.

        Returns
        -------
        ndarray of shape (n, C)
            Logits, up to a constant for each row.
        """
        logits = np.empty((len(places), len(self._means)), self._means.dtype)
        # Sorted by class, so that each batch has few classes.
        order = np.argsort(self._targets[self.validation[places]], kind="stable")
        for batch in row_batches(*logits.shape):
            logits[order[batch]] = self._of_left_out(places[order[batch]], ridge)
        return logits

    def _of_left_out(self, places, ridge):
        """Return leave-one-out logits of a batch of validation rows."""
        values, R, M = self._basis
        rows, R = self.validation[places], take_rows(R, places)
        targets, w = self._targets[rows], self._weights[rows]
        own = np.arange(len(rows)), targets
        count = self._counts[targets].astype(R.dtype)
        others = count - w
        precision = 1 / (values + ridge)
        itself = (np.einsum("nj,j,nj->n", R, precision, R) / w)[:, None]
        change = (w * count / others)[:, None]
        change = change / (1 - change * itself)
        # Distances minus that to the mean of the row's own class: all logits shift by the same.
        apart = R @ (M * precision).T
        apart /= np.sqrt(w)[:, None]
        np.subtract(apart[own][:, None], apart, out=apart)
        distances = change * apart
        distances += 2 * (1 + change * itself)
        distances *= apart
        distances += self._between_means(targets, precision, ridge)
        # The distance to its own mean: without the row, and divided by the factor of `left_out`.
        to_own = (itself * (1 + change * itself))[:, 0]
        distances[own] = to_own * ((count / others) ** 2 * (1 - (w / count) ** 2) - 1)
        distances *= (w - self.n_rows)[:, None] / 2
        distances += self._offsets(ridge)
        return distances

    def _between_means(self, targets, precision, ridge):
        """Return squared distances between the own mean of each row and all means, (n, C)."""
        (_, _, M), means = self._basis, self._means
        some, position = np.unique(targets, return_inverse=True)
        change = precision - 1 / ridge
        lengths = (M**2) @ change + np.sum(means**2, axis=1) / ridge
        products = (M[some] * change) @ M.T + means[some] @ means.T / ridge
        between = lengths[some][:, None] + lengths - 2 * products
        between[np.arange(len(some)), some] = 0
        return between[position]


class Discriminant(BaseDiscriminant):
    """A discriminant fitted on rows, solved in the smaller of the two dimensions of the table.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    targets : ndarray of shape (n,), int
        Positions of the classes.
    n_classes : int
        Number of classes, some of which may have no row.
    weights : ndarray of shape (n,) or None
        Weights of the rows.
    log_prior : ndarray of shape (C,) or None
        None: logarithms of the shares of the rows.
    rescaling : Rescaling
    """

    def __init__(self, X, targets, n_classes, weights=None, log_prior=None, rescaling=None):
        self.X, self._targets, self._given_weights = X, targets, weights
        self.rescaling = rescaling = rescaling or Rescaling()
        self._weights = np.ones(len(X), X.dtype) if weights is None else weights
        self.n_rows, self.n_features = total_weight(targets, weights), X.shape[1]
        self._counts = np.bincount(targets, self._weights, minlength=n_classes)
        self.centre = mean_row(X, weights)
        R = X - self.centre
        self.scales = 1.0
        if rescaling.blocks:
            squares = [row_squares(take_columns(R, one)) for one in rescaling.blocks]
            totals = [np.average(of_block, weights=weights) for of_block in squares]
            self.scales = rescaling.scales(totals, self.centre, X.dtype)
            R *= self.scales
        sums = one_hot(targets, n_classes, self._weights).T @ R
        self._tiny = np.finfo(X.dtype).tiny
        self._means = sums / np.maximum(self._counts, self._tiny)[:, None].astype(X.dtype)
        for part in parts_of(len(R)):
            R[part] -= self._means[targets[part]]
            if weights is not None:
                R[part] *= np.sqrt(weights[part])[:, None]
        self._residuals = R
        self._log_prior = self._log_priors(log_prior).astype(X.dtype)

    def subset(self, rows):
        """Return the discriminant of some rows, with the priors of all."""
        weights = some_of(self._given_weights, rows)
        given = self.X[rows], self._targets[rows], len(self._means), weights
        return Discriminant(*given, self._log_prior, self.rescaling)

    @cached_property
    def validation(self):
        """Positions of the rows of :func:`~skclipens._utils._folds.validation_rows`."""
        return validation_rows(self._targets)

    @property
    def X_validation(self):
        """The validation rows."""
        return take_rows(self.X, self.validation)

    @property
    def _validation_residuals(self):
        return self._residuals[self.validation]

    @property
    def _is_wide(self):
        return self.n_features > len(self._residuals)

    @cached_property
    def _gram(self):
        """The scatter within classes; for a wide table, the products of residuals instead."""
        R = self._residuals
        return R @ R.T if self._is_wide else R.T @ R

    def whitening(self, ridge):
        """Return a root of the inverse of the shrunk covariance within classes."""
        R = self._residuals
        if self._is_wide and self.n_features > _MOST_COLUMNS:
            return WideWhitening(R, self._gram, ridge, self.n_rows)
        covariance = plus_ridge(R.T @ R if self._is_wide else self._gram, ridge)
        covariance /= self.n_rows
        return TallWhitening(covariance, self.X.dtype)

    def _precision_times_means(self, factor, ridge):
        if not self._is_wide:
            return super()._precision_times_means(factor, ridge)
        R, right = self._residuals, self._means.T
        dual = cho_solve(factor, R @ right)
        return (right - R.T @ dual) * (self.n_rows / ridge)

    @cached_property
    def _basis(self):
        if not self._is_wide:
            return super()._basis
        R, (values, vectors) = self._residuals, eigh(self._gram, driver="evd")
        some = values > np.finfo(R.dtype).eps * values[-1]
        some[: np.count_nonzero(self._counts)] = False  # zero up to rounding: residuals sum to zero
        values, vectors = values[some], vectors[:, some]
        lengths = np.sqrt(values)
        return values, (vectors * lengths)[self.validation], self._means @ R.T @ (vectors / lengths)

"""Linear discriminants from sums over rows that come in parts and are not kept."""

import numpy as np

from .._utils._linalg import FAR, one_hot, parts_of
from ._discriminant import BaseDiscriminant, Rescaling


class Sums:
    """Sums over rows that determine a discriminant; sums of parts can be merged.

    Products of rows are computed in the dtype of the table, as in :class:`Discriminant`, and added
    in float64.

    Parameters
    ----------
    n_classes, n_features : int
    exact : bool
        Whether products are computed in float64 from any rows.

    Attributes
    ----------
    counts : ndarray of shape (C,)
        Sums of weights.
    class_sums : ndarray of shape (C, d)
        Sums of rows.
    mean : ndarray of shape (d,)
        Mean of all rows.
    scatter : ndarray of shape (d, d)
        Scatter around ``mean``; plain sums of squares would lose digits if it is far from zero.
    dtype : str
        Widest dtype of the rows.
    """

    def __init__(self, n_classes, n_features, *, exact=False):
        self._exact = exact
        self.counts = np.zeros(n_classes)
        self.class_sums = np.zeros((n_classes, n_features))
        self.mean = np.zeros(n_features)
        self.scatter = np.zeros((n_features, n_features))
        self.dtype = "float32"

    def add(self, X, targets, weights=None):
        """Add rows, their classes by position, and their weights."""
        self.dtype = np.result_type(self.dtype, X.dtype).name
        dtype = np.float64 if self._exact else X.dtype
        weights = np.ones(len(X)) if weights is None else weights
        for part in parts_of(len(X)):
            of_part = (one[part].astype(dtype, copy=False) for one in (X, weights))
            self._add(*of_part, targets[part])

    def _add(self, X, weights, targets):
        counts = np.bincount(targets, weights, minlength=len(self.counts))
        total = counts.sum()
        if not total:
            return
        centre = (np.einsum("n,nd->d", weights, X, dtype=float) / total).astype(X.dtype)
        R = X - centre
        centred_sums = (one_hot(targets, len(self.counts), weights).T @ R).astype(float)
        self.class_sums += centred_sums + np.outer(counts, centre)
        R *= np.sqrt(weights)[:, None]
        between = self._move_mean(total, centre + centred_sums.sum(axis=0) / total)
        R = np.vstack([R, between.astype(R.dtype)])
        self.scatter += R.T @ R
        self.counts += counts

    def merge(self, other):
        """Add the sums of other rows."""
        if not other.counts.any():
            return
        self.dtype = np.result_type(self.dtype, other.dtype).name
        self.class_sums += other.class_sums
        between = self._move_mean(other.counts.sum(), other.mean)
        self.scatter += np.outer(between, between)
        self.scatter += other.scatter
        self.counts += other.counts

    @property
    def dtype_of_coef(self):
        """The dtype of the rows, or float64 if columns are far from zero; see `precise`.

        A column may have one value in each part, and differ between parts.
        """
        size, std = np.abs(self.mean), np.sqrt(self.scatter.diagonal() / self.counts.sum())
        varies = std > np.sqrt(np.finfo(float).eps) * size  # by more than rounding
        return "float64" if (varies & (std < FAR * size)).any() else self.dtype

    def _move_mean(self, n_others, mean):
        """Update the mean; return the row whose outer product is the scatter between both means."""
        n_rows, gap = self.counts.sum(), mean - self.mean
        share = n_others / (n_rows + n_others)
        self.mean += gap * share
        return gap * np.sqrt(n_rows * share)


class SummedDiscriminant(BaseDiscriminant):
    """A discriminant from sums, with leave-one-out logits of the validation rows.

    Parameters
    ----------
    sums : Sums
    targets : ndarray of shape (n,) or None
        Positions of the classes of all rows. This and what follows are None without validation.
    weights : ndarray of shape (n,) or None
    validation : ndarray of int or None
        Positions of the validation rows.
    X_validation : ndarray of shape (n_validation, d) or None
    rescaling : Rescaling
    """

    def __init__(
        self, sums, targets=None, weights=None, validation=None, X_validation=None, rescaling=None
    ):
        self.n_features = sums.class_sums.shape[1]
        self.n_rows, self._counts, self.centre = sums.counts.sum(), sums.counts, sums.mean
        self._tiny = np.finfo(sums.dtype).tiny
        self._means = sums.class_sums / np.maximum(self._counts, self._tiny)[:, None] - self.centre
        self._means[self._counts == 0] = 0
        self.scales = 1.0
        scatter = sums.scatter
        self.rescaling = rescaling = rescaling or Rescaling()
        if rescaling.blocks:
            totals = [scatter.diagonal()[one].sum() / self.n_rows for one in rescaling.blocks]
            self.scales = rescaling.scales(totals, sums.mean, sums.dtype_of_coef)
            self._means *= self.scales
            scatter = scatter * np.outer(self.scales, self.scales)
        between = (self._means.T * self._counts) @ self._means
        self._gram = np.subtract(scatter, between, out=between)
        self._log_prior = self._log_priors(None)
        if validation is not None:
            self._targets = targets
            self._weights, self.validation, self.X_validation = weights, validation, X_validation
            R = (X_validation - self.centre) * self.scales - self._means[targets[validation]]
            self._validation_residuals = R * np.sqrt(self._weights[validation])[:, None]

"""Base class and protocol of routers, a reduction of many classes, and a test of gains."""

from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..._utils._docstrings import fill_doc
from ..._utils._estimator import EstimatorMixin
from ..._utils._folds import codes_of
from ..._utils._linalg import precise, row_batches
from ..._utils._threads import one_blas_thread
from ..._utils._weights_and_groups import check_weights
from ._checks import check_prior_weights, check_routed, check_targets

_MAX_CLASSES = 32
_VALUES_IN_CACHE = 2**18


def _learns(router):
    return hasattr(router, "_fit")


class BaseRouter(EstimatorMixin, BaseEstimator):
    """Base class of the routers of this package.

    A subclass has ``_weights(X, logits)``, if it computes a weighted sum of logits, or else
    ``_combine(X, logits)``; and ``_fit(X, logits, targets, sample_weight)``, if it learns. If it
    reads X, ``_reads_X`` is True, and ``_minds_scales``, if columns in smaller units or far from
    zero count more.
    """

    _reads_X = False
    _minds_scales = False

    _parameter_constraints: dict = {}
    __metadata_request__fit = {"logits": UNUSED, "sample_weight": True}

    @fill_doc
    def fit(self, X, logits, y, sample_weight=None):
        """Fit to held-out logits: those of rows that the experts were not fitted on.

        Parameters
        ----------
        %(to_route)s

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If shapes do not fit each other, y has other values than positions of classes, or a
            value is not finite.
        """
        return self._fit_with(X, logits, y, sample_weight)

    def _fit_with(self, X, logits, y, sample_weight, **options):
        self._validate_params()
        X, logits = check_routed(X, logits, finite=True, reads=self._reads_X)
        y = check_targets(y, logits)
        sample_weight = check_weights(sample_weight, len(logits), logits.dtype)
        if options.get("prior_weights") is not None:
            n_experts = logits.shape[1]
            options["prior_weights"] = check_prior_weights(options["prior_weights"], n_experts)
        if _learns(self):
            with one_blas_thread():  # many steps on small arrays
                self._fit(precise(X) if self._reads_X else X, logits, y, sample_weight, **options)
            self._n_experts = logits.shape[1]
            self._n_columns = X.shape[1] if self._reads_X else None
        return self

    def _checked(self, X, logits):
        """Return X and logits as arrays, to weigh or combine them."""
        if _learns(self):  # a `fit` of one's own may leave no attributes
            check_is_fitted(self)
        X, logits = check_routed(X, logits, reads=self._reads_X)
        n_fitted, n_experts = getattr(self, "_n_experts", None), logits.shape[1]
        if n_fitted not in (None, n_experts):  # weights of one expert would be taken for all
            raise ValueError(f"logits are of {n_experts} experts, and those of fit of {n_fitted}.")
        n_columns = getattr(self, "_n_columns", None)
        if n_columns not in (None, X.shape[1] if self._reads_X else None):
            raise ValueError(f"X has {X.shape[1]} columns, and that of fit {n_columns}.")
        return X, logits

    @available_if(lambda self: hasattr(self, "_weights"))
    @fill_doc
    def weights(self, X, logits):
        """Return the weight of each expert for each row.

        Parameters
        ----------
        %(routed)s

        Returns
        -------
        ndarray of shape (n, E), dtype of logits
            Weights, by which the logits of the experts are multiplied.

        %(errors_of_routing)s
        """
        X, logits = self._checked(X, logits)
        return np.broadcast_to(self._weights(X, logits), logits.shape[:2]).astype(logits.dtype)

    @fill_doc
    def combine(self, X, logits):
        """Combine the logits of the experts into logits of the classes.

        Parameters
        ----------
        %(routed)s

        Returns
        -------
        ndarray of shape (n, C), dtype of logits
            Logits of the classes.

        %(errors_of_routing)s
        """
        X, logits = self._checked(X, logits)
        return self._combine(X, logits)

    def _combine(self, X, logits):
        return weighted_sum(self.weights(X, logits), logits)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = _learns(self)
        return tags


def is_fixed(router):
    """Return whether a router learns nothing: no ``fit``, or ``requires_fit`` is False."""
    if not hasattr(router, "fit"):
        return True
    return hasattr(router, "__sklearn_tags__") and not get_tags(router).requires_fit


def combine(router, X, logits):
    """Combine the logits of experts, (n, E, C), by a router with ``combine`` or ``weights``.

    Raise ValueError if the result of the router has another shape or is not finite.
    """
    name, (n, n_experts, n_classes) = type(router).__name__, logits.shape
    if hasattr(router, "combine"):
        combined, what, shape = router.combine(X, logits), "combine", (n, n_classes)
    else:
        combined, what, shape = router.weights(X, logits), "weights", (n, n_experts)
    combined = np.asarray(combined)
    if combined.shape != shape or not np.isfinite(combined).all():
        problem = "values that are not finite" if combined.shape == shape else combined.shape
        raise ValueError(f"{name}.{what} must give finite values of shape {shape}; got {problem}.")
    combined = combined.astype(logits.dtype, copy=False)
    return combined if what == "combine" else weighted_sum(combined, logits)


def weighted_sum(weights, logits):
    """Return the weighted sum over experts: (n, E) and (n, E, C) to (n, C)."""
    return np.einsum("ne,nec->nc", weights, logits)


class Plausible(NamedTuple):
    """Logits on which a router is fitted: of all classes, or of a selection per row.

    Attributes
    ----------
    logits : ndarray of shape (n, E, K), float64
        In float64, so that a search can distinguish losses that are nearly the same.
    targets : ndarray of shape (n,), int
        Positions of the true classes among the K.
    offsets : ndarray of shape (K,) or float
        Added to combined logits: log of the number of classes that each of the K represents.
    """

    logits: np.ndarray
    targets: np.ndarray
    offsets: np.ndarray | float

    def take(self, rows):
        """Return the logits and targets of some rows."""
        return self._replace(logits=self.logits[rows], targets=self.targets[rows])


def plausible_classes(logits, targets):
    """Select logits: the true class, 31 others that any expert favours, and the mean of the rest.

    Each of the rest hardly changes the loss, but with many classes they would take most of the
    time. Without their mean, the true class would often have the smallest logit if experts know
    nothing, and negative weights would seem to help. Return `Plausible`, with all classes if there
    are at most 33.
    """
    n, n_experts, n_classes = logits.shape
    if n_classes <= _MAX_CLASSES + 1:
        return Plausible(logits.astype(np.float64, copy=False), targets, 0.0)
    n_others = n_classes - _MAX_CLASSES
    found, position = np.empty((n, n_experts, _MAX_CLASSES + 1)), np.empty(n, int)
    for rows in row_batches(n, n_experts * n_classes, values=_VALUES_IN_CACHE):
        some, true = logits[rows], targets[rows, None]
        favour = (some - some.max(axis=2, keepdims=True)).max(axis=1)
        np.put_along_axis(favour, true, np.inf, axis=1)
        kept = np.argpartition(favour, -_MAX_CLASSES, axis=1)[:, -_MAX_CLASSES:]
        found[rows, :, :-1] = np.take_along_axis(some, kept[:, None], axis=2)
        others = some.sum(axis=2) - found[rows, :, :-1].sum(axis=2)
        found[rows, :, -1] = others / n_others
        position[rows] = np.argmax(kept == true, axis=1)
    return Plausible(found, position, np.append(np.zeros(_MAX_CLASSES), np.log(n_others)))


def is_clear_gain(gains, right, weights, n_rows, groups=None):
    """Return whether a change clearly improves the predictions of held-out rows.

    The mean gain, in log-loss, must exceed twice its standard error, and the accuracy must not
    fall: larger logits alone can lower the log-loss of underconfident predictions. `right` is 1 if
    the change corrects a row, -1 if it makes a row wrong, otherwise 0. The standard error is that
    of `n_rows` rows; if weights are numbers of copies, this is their sum. Rows of a group, such as
    pictures or copies of one object, count as fewer rows the more alike their gains are: the error
    is at least that of a mean over clusters (Liang and Zeger 1986).
    """
    weights = np.ones(len(gains)) if weights is None else np.asarray(weights)
    weights = weights * (n_rows / weights.sum())
    mean = np.average(gains, weights=weights)
    squares = np.sum(weights * (gains - mean) ** 2)
    if groups is not None:
        of_groups = np.bincount(codes_of(groups), weights * (gains - mean))
        squares = max(squares, np.square(of_groups).sum())
    error = np.sqrt(squares) / n_rows
    return bool(mean > 2 * error and np.average(right, weights=weights) >= 0)

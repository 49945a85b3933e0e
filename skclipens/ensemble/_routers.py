"""Routers: how far to trust each expert for each row.

Every router has ``fit(X, logits, y)`` and ``weights(X, logits)``: it maps columns X of shape
(n, n_features) and logits of E experts, shape (n, E, C), to weights of shape (n, E). The ensemble's
logits are the weighted sum over experts. What is fitted is numpy.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.base import BaseEstimator

from .._utils._linalg import one_blas_thread

# Losses that differ by less are alike: a hundredth of what a row's label can tell in few rows.
OPTIONS = {"maxiter": 100, "ftol": 1e-5}
_MAX_CLASSES = 32


def combine(weights, logits):
    """Weighted sum over experts: (n, E) and (n, E, C) to (n, C)."""
    return np.einsum("ne,nec->nc", weights, logits)


class BaseRouter(BaseEstimator):
    """A router is defined by ``_fit``, which returns its iterations, and ``_weights``."""

    def fit(self, X, logits, y):
        """Learn from logits of rows that the experts have not seen.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
        logits : ndarray of shape (n, E, C)
            Calibrated.
        y : ndarray of shape (n,), int
            Positions of the true classes.

        Returns
        -------
        self
        """
        with one_blas_thread():  # many steps on small arrays
            self.n_iter_ = max(self._fit(X, logits, y), 1)
        return self

    def weights(self, X, logits):
        """Say how far to trust each expert for each row.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
        logits : ndarray of shape (n, E, C)
            Calibrated.

        Returns
        -------
        ndarray of shape (n, E), dtype of logits
        """
        return np.broadcast_to(self._weights(X, logits), logits.shape[:2]).astype(logits.dtype)


class UniformRouter(BaseRouter):
    """The same weight for every expert: the logit average. Needs no rows.

    Attributes
    ----------
    n_iter_ : int
        1.

    Examples
    --------
    >>> from skclipens.ensemble import AdaptiveBackboneEnsemble, UniformRouter
    >>> AdaptiveBackboneEnsemble("zoo", router=UniformRouter()).router
    UniformRouter()
    """

    def _fit(self, X, logits, y):
        return 1

    def _weights(self, X, logits):
        return 1 / logits.shape[1]


class StaticRouter(BaseRouter):
    """One weight per expert, the same for all rows.

    The weights are not negative and minimise the cross-entropy of the combined logits. A quadratic
    penalty keeps them near 1 / E, the logit average, where rows are few; where there are many, an
    expert that adds nothing can get no weight at all. The problem is convex.

    Parameters
    ----------
    prior : float, default=10.0
        Strength of the penalty, in rows.

    Attributes
    ----------
    weights_ : ndarray of shape (E,)
    n_iter_ : int
        Iterations of L-BFGS.

    Examples
    --------
    >>> from skclipens.ensemble import AdaptiveBackboneEnsemble, StaticRouter
    >>> AdaptiveBackboneEnsemble("zoo", router=StaticRouter(prior=2.0)).router.prior
    2.0
    """

    def __init__(self, prior=10.0):
        self.prior = prior

    def _fit(self, X, logits, y):
        logits, y = plausible_classes(logits, y)
        n_experts = logits.shape[1]
        found = minimize(
            static_loss,
            np.full(n_experts, 1 / n_experts),
            (logits, y, self.prior),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0, None)] * n_experts,
            options=OPTIONS,
        )
        self.weights_ = found.x
        return found.nit

    def _weights(self, X, logits):
        return self.weights_


def plausible_classes(logits, y):
    """Logits of the classes that any expert favours, and of the true one.

    The others hardly change a loss, but with many classes they would take nearly all of its time.

    Parameters
    ----------
    logits : ndarray of shape (n, E, C)
    y : ndarray of shape (n,), int

    Returns
    -------
    logits : ndarray of shape (n, E, min(C, 32))
    y : ndarray of shape (n,), int
        Positions of the true classes among these.
    """
    n, _, n_classes = logits.shape
    if n_classes <= _MAX_CLASSES:
        return logits, y
    favour = (logits - logits.max(axis=2, keepdims=True)).max(axis=1)
    favour[np.arange(n), y] = np.inf
    kept = np.argpartition(favour, -_MAX_CLASSES, axis=1)[:, -_MAX_CLASSES:]
    return np.take_along_axis(logits, kept[:, None], axis=2), np.argmax(kept == y[:, None], axis=1)


def loss_per_row(logits, y):
    """Negative log-likelihood of the true classes, (n,), from logits of shape (n, C)."""
    return -log_softmax(logits, axis=1)[np.arange(len(y)), y]


def cross_entropy(logits, y):
    """Mean cross-entropy of logits of shape (n, C), and its slope along them."""
    rows = np.arange(len(y))
    log_p = log_softmax(logits, axis=1)
    slope = np.exp(log_p)
    slope[rows, y] -= 1
    return -log_p[rows, y].mean(dtype=np.float64), slope / len(y)


def static_loss(weights, logits, y, prior):
    """Objective of :class:`StaticRouter` and its gradient."""
    n_experts = len(weights)
    loss, slope = cross_entropy(combine(weights[None].astype(logits.dtype), logits), y)
    precision = prior * n_experts / len(y)
    away = weights - 1 / n_experts
    along_weights = np.einsum("nec,nc->e", logits, slope) + 2 * precision * away
    return loss + precision * np.sum(away**2), along_weights

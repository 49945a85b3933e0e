"""Routers: how far to trust each expert for each row.

Every router maps the logits of E experts, shape (n, E, C), to positive weights of shape (n, E);
the ensemble's logits are the weighted sum over experts. What is fitted is numpy.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.model_selection import KFold

MAX_LOG_WEIGHT = 10.0
_MAX_ITER = 100


def combine(weights, logits):
    """Weighted sum over experts: (n, E) and (n, E, C) to (n, C)."""
    return np.einsum("ne,nec->nc", weights, logits)


def log_loss_per_row(weights, logits, y):
    """Negative log-likelihood of the true classes, (n,)."""
    return -log_softmax(combine(weights, logits), axis=1)[np.arange(len(y)), y]


class UniformRouter:
    """The same weight for every expert: the logit average. Needs no rows."""

    n_iter = 1

    def fit(self, X, logits, y):
        """Do nothing."""
        return self

    def weights(self, X, logits):
        """Weights 1 / E."""
        n, n_experts, _ = logits.shape
        return np.full((n, n_experts), 1 / n_experts, logits.dtype)


class StaticRouter:
    """One positive weight per expert, the same for all rows.

    The weights exp(u) minimise the cross-entropy of the combined logits. A Gaussian prior on u
    around log(1 / E), worth ``prior`` pseudo-rows, keeps them near the logit average where rows
    are few.
    """

    def __init__(self, prior=1.0):
        self.prior = prior

    def fit(self, X, logits, y):
        """Fit u by L-BFGS."""
        average = np.full(logits.shape[1], -np.log(logits.shape[1]))
        found = minimize(
            static_loss, average, (logits, y, average, self.prior), jac=True, method="L-BFGS-B"
        )
        self.log_weights = found.x
        self.n_iter = max(found.nit, 1)
        return self

    def weights(self, X, logits):
        """Weights exp(u), one row repeated."""
        weights = _exp(self.log_weights).astype(logits.dtype)
        return np.tile(weights, (len(logits), 1))


class GatedRouter:
    """Static weights times a gate for each expert and row.

    The weight of expert e for a row is exp(u_e + g_e), where g_e is linear in the standardised
    :func:`expert_statistics` of expert e. Fitting minimises cross-entropy plus ``strength`` times
    the mean of g², from shut gates (g = 0) and the weights of :class:`StaticRouter`, around which
    u keeps its prior.
    """

    def __init__(self, strength, prior=1.0):
        self.strength = strength
        self.prior = prior

    def fit(self, X, logits, y):
        """Fit u and the gates by L-BFGS."""
        static = StaticRouter(self.prior).fit(X, logits, y).log_weights
        statistics = expert_statistics(logits)
        self.centre = statistics.mean(axis=0)
        self.spread = np.maximum(statistics.std(axis=0), 1e-6)
        features = self._features(logits)
        start = np.concatenate([static, np.zeros(features[0].size)])
        found = minimize(
            gated_loss,
            start,
            (features, logits, y, static, self.prior, self.strength),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _MAX_ITER},
        )
        self.log_weights, self.gates = _unpack(found.x, features)
        g = _apply_gates(self.gates, features)
        self.range = g.min(axis=0), g.max(axis=0)
        self.n_iter = max(found.nit, 1)
        return self

    def _features(self, logits):
        return (expert_statistics(logits) - self.centre) / self.spread

    def weights(self, X, logits):
        """Weights exp(u + g)."""
        # Not extrapolated: pictures of another kind could open a gate a thousandfold.
        g = np.clip(_apply_gates(self.gates, self._features(logits)), *self.range)
        return _exp(self.log_weights + g).astype(logits.dtype)


class ShrunkRouter:
    """Gates that must earn their freedom.

    Chooses between a :class:`StaticRouter` and :class:`GatedRouter` of several strengths by their
    cross-validated log-loss on the given logits. The gates stay shut (static weights alone) unless
    opening them lowers that loss by more than its standard error.
    """

    def __init__(self, strengths=(1.0, 0.1, 0.01), prior=1.0, n_folds=5, random_state=None):
        self.strengths = strengths
        self.prior = prior
        self.n_folds = n_folds
        self.random_state = random_state

    def fit(self, X, logits, y):
        """Choose a router, then fit it on all rows."""
        self.chosen = self._choose(logits, y).fit(X, logits, y)
        self.n_iter = self.chosen.n_iter
        return self

    def _choose(self, logits, y):
        static = StaticRouter(self.prior)
        if len(y) < 2 * self.n_folds:
            return static
        gated = [GatedRouter(strength, self.prior) for strength in self.strengths]
        splitter = KFold(self.n_folds, shuffle=True, random_state=self.random_state)
        folds = list(splitter.split(y))
        static_losses = _held_out_losses(static, logits, y, folds)
        gains = [static_losses - _held_out_losses(router, logits, y, folds) for router in gated]
        best = np.argmax([gain.mean() for gain in gains])
        earned = gains[best].mean() > gains[best].std() / np.sqrt(len(y))
        return gated[best] if earned else static

    def weights(self, X, logits):
        """Weights of the chosen router."""
        return self.chosen.weights(X, logits)


def _held_out_losses(router, logits, y, folds):
    losses = np.empty(len(y))
    for train, test in folds:
        router.fit(None, logits[train], y[train])
        weights = router.weights(None, logits[test])
        losses[test] = log_loss_per_row(weights, logits[test], y[test])
    return losses


def expert_statistics(logits):
    """What the gates see of each expert: confidence, margin, entropy, agreement with the mean.

    Parameters
    ----------
    logits : ndarray of shape (n, E, C)
        Calibrated.

    Returns
    -------
    ndarray of shape (n, E, 4)
    """
    p = softmax(logits, axis=2)
    top = np.partition(p, -2, axis=2)[..., -2:]
    entropy = -np.sum(p * np.log(np.maximum(p, 1e-12)), axis=2) / np.log(p.shape[2])
    agreement = np.einsum("nec,nc->ne", p, p.mean(axis=1))
    return np.stack([top[..., 1], top[..., 1] - top[..., 0], entropy, agreement], axis=2)


def static_loss(u, logits, y, centre, prior):
    """Objective of :class:`StaticRouter` and its gradient."""
    log_weights = np.broadcast_to(u, logits.shape[:2])
    loss, slope = _cross_entropy(log_weights, logits, y)
    penalty, penalty_slope = _gaussian_prior(u, centre, prior / len(y))
    return loss + penalty, slope.sum(axis=0) + penalty_slope


def gated_loss(parameters, features, logits, y, centre, prior, strength):
    """Objective of :class:`GatedRouter` and its gradient; ``parameters`` are u, then the gates."""
    u, gates = _unpack(parameters, features)
    g = _apply_gates(gates, features)
    loss, slope = _cross_entropy(u + g, logits, y)
    penalty, penalty_slope = _gaussian_prior(u, centre, prior / len(y))
    along_u = slope.sum(axis=0) + penalty_slope
    along_gates = np.einsum("ne,nef->ef", slope + 2 * strength * g / g.size, features)
    loss += penalty + strength * np.mean(g**2)
    return loss, np.concatenate([along_u, along_gates.ravel()])


def _cross_entropy(log_weights, logits, y):
    """Mean cross-entropy, and its slope along the log weight of each row and expert."""
    weights = _exp(log_weights)
    rows = np.arange(len(y))
    log_p = log_softmax(combine(weights, logits), axis=1)
    error = np.exp(log_p)
    error[rows, y] -= 1
    slope = weights * np.einsum("nec,nc->ne", logits, error) / len(y)
    slope[np.abs(log_weights) > MAX_LOG_WEIGHT] = 0
    return -log_p[rows, y].mean(), slope


def _gaussian_prior(u, centre, precision):
    return precision * np.sum((u - centre) ** 2), 2 * precision * (u - centre)


def _unpack(parameters, features):
    n_experts, n_features = features.shape[1:]
    return parameters[:n_experts], parameters[n_experts:].reshape(n_experts, n_features)


def _apply_gates(gates, features):
    return np.einsum("nef,ef->ne", features, gates)


def _exp(log_weights):
    return np.exp(np.clip(log_weights, -MAX_LOG_WEIGHT, MAX_LOG_WEIGHT))

"""Routers: how far to trust each expert for each row.

Every router has ``fit(X, logits, y)`` and ``weights(X, logits)``: it maps columns X of shape
(n, n_features) and logits of E experts, shape (n, E, C), to positive weights of shape (n, E). The
ensemble's logits are the weighted sum over experts. What is fitted is numpy.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import KFold
from sklearn.utils import check_random_state

MAX_LOG_WEIGHT = 10.0
# Losses that differ by less are alike: a hundredth of what a row's label can tell in few rows.
_OPTIONS = {"maxiter": 100, "ftol": 1e-5}
_MAX_ROWS_TO_CHOOSE = 1000
_MAX_CLASSES = 32


def combine(weights, logits):
    """Weighted sum over experts: (n, E) and (n, E, C) to (n, C)."""
    return np.einsum("ne,nec->nc", weights, logits)


class BaseRouter(BaseEstimator):
    """A router is defined by ``_fit``, which returns its iterations, and ``_log_weights``."""

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
            Positive.
        """
        log_weights = np.broadcast_to(self._log_weights(X, logits), logits.shape[:2])
        return _exp(log_weights).astype(logits.dtype)


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

    def _log_weights(self, X, logits):
        return -np.log(logits.shape[1])


class StaticRouter(BaseRouter):
    """One positive weight per expert, the same for all rows.

    The weights exp(u) minimise the cross-entropy of the combined logits. A Gaussian prior on u
    around log(1 / E) keeps them near the logit average where rows are few.

    Parameters
    ----------
    prior : float, default=0.5
        Strength of the prior, in rows.

    Attributes
    ----------
    log_weights_ : ndarray of shape (E,)
        u.
    n_iter_ : int
        Iterations of L-BFGS.

    Examples
    --------
    >>> from skclipens.ensemble import AdaptiveBackboneEnsemble, StaticRouter
    >>> AdaptiveBackboneEnsemble("zoo", router=StaticRouter(prior=5.0)).router.prior
    5.0
    """

    def __init__(self, prior=0.5):
        self.prior = prior

    def _fit(self, X, logits, y):
        logits, y = plausible_classes(logits, y)
        average = np.full(logits.shape[1], -np.log(logits.shape[1]))
        found = minimize(
            static_loss,
            average,
            (logits, y, average, self.prior),
            jac=True,
            method="L-BFGS-B",
            options=_OPTIONS,
        )
        self.log_weights_ = found.x
        return found.nit

    def _log_weights(self, X, logits):
        return self.log_weights_


class GatedRouter(BaseRouter):
    """Static weights times a gate for each expert and row.

    The weight of expert e for a row is exp(u_e + g_e), where g_e is linear in the standardised
    confidence, margin, entropy and agreement with the mean of expert e. Fitting minimises
    cross-entropy plus ``strength`` times the mean of g², from shut gates (g = 0) and the weights
    of :class:`StaticRouter`, around which u keeps its prior.

    Parameters
    ----------
    strength : float, default=1.0
        How strongly gates are held shut.
    prior : float, default=0.5
        As in :class:`StaticRouter`.

    Attributes
    ----------
    static_ : ndarray of shape (E,)
        Logarithms of the static weights.
    log_weights_ : ndarray of shape (E,)
        u.
    gates_ : ndarray of shape (E, 4)
        What g takes from each statistic.
    n_iter_ : int
        Iterations of L-BFGS.

    Examples
    --------
    >>> from skclipens.ensemble import AdaptiveBackboneEnsemble, GatedRouter
    >>> AdaptiveBackboneEnsemble("zoo", router=GatedRouter(strength=0.1)).router.strength
    0.1
    """

    def __init__(self, strength=1.0, prior=0.5):
        self.strength = strength
        self.prior = prior

    def _fit(self, X, logits, y):
        return self._fit_gates(expert_statistics(logits), *plausible_classes(logits, y))

    def _fit_gates(self, statistics, logits, y, start=None):
        """Fit from shut gates, or from another router's that was fitted on the same rows."""
        self.centre_ = statistics.mean(axis=0)
        self.spread_ = np.maximum(statistics.std(axis=0), 1e-6)
        features = (statistics - self.centre_) / self.spread_
        if start is None:
            self.static_ = StaticRouter(self.prior).fit(None, logits, y).log_weights_
            parameters = np.concatenate([self.static_, np.zeros(features[0].size)])
        else:
            self.static_ = start.static_
            parameters = np.concatenate([start.log_weights_, start.gates_.ravel()])
        found = minimize(
            gated_loss,
            parameters,
            (features, logits, y, self.static_, self.prior, self.strength),
            jac=True,
            method="L-BFGS-B",
            options=_OPTIONS,
        )
        self.log_weights_, self.gates_ = _unpack(found.x, features)
        g = _apply_gates(self.gates_, features)
        self.range_ = g.min(axis=0), g.max(axis=0)
        return found.nit

    def _log_weights(self, X, logits):
        return self._log_weights_of(expert_statistics(logits))

    def _log_weights_of(self, statistics):
        # Not extrapolated: pictures of another kind could open a gate a thousandfold.
        g = _apply_gates(self.gates_, (statistics - self.centre_) / self.spread_)
        return self.log_weights_ + np.clip(g, *self.range_)


class ShrunkRouter(BaseRouter):
    """Gates that must earn their freedom.

    Chooses between a :class:`StaticRouter` and :class:`GatedRouter` of several strengths by their
    cross-validated log-loss on the given logits, the strongest first, for as long as that gains.
    The gates stay shut (static weights alone) unless opening them lowers that loss by more than
    its standard error.

    Parameters
    ----------
    strengths : sequence of float, default=(1.0, 0.1, 0.01)
        Of the gated routers.
    prior : float, default=0.5
        As in :class:`StaticRouter`.
    n_folds : int, default=5
        Gates are not tried on fewer than twice as many rows.
    random_state : int, RandomState instance or None, default=None
        Determines the folds, and the thousand rows of more that are enough to choose by.

    Attributes
    ----------
    chosen_ : StaticRouter or GatedRouter
        Fitted on all rows.
    n_iter_ : int
        That of the chosen router.

    Examples
    --------
    >>> from skclipens.ensemble import AdaptiveBackboneEnsemble, ShrunkRouter
    >>> AdaptiveBackboneEnsemble("zoo", router=ShrunkRouter(n_folds=10)).router.n_folds
    10
    """

    def __init__(self, strengths=(1.0, 0.1, 0.01), prior=0.5, n_folds=5, random_state=None):
        self.strengths = strengths
        self.prior = prior
        self.n_folds = n_folds
        self.random_state = random_state

    def _fit(self, X, logits, y):
        self.chosen_ = self._choose(logits, y).fit(X, logits, y)
        return self.chosen_.n_iter_

    def _choose(self, logits, y):
        chosen = StaticRouter(self.prior)
        if len(y) < 2 * self.n_folds:
            return chosen
        rows = check_random_state(self.random_state).permutation(len(y))[:_MAX_ROWS_TO_CHOOSE]
        logits, y = logits[rows], y[rows]
        table = expert_statistics(logits), *plausible_classes(logits, y)
        folds = [_Fold(*rows_of, *table) for rows_of in KFold(self.n_folds).split(rows)]
        static_losses = np.concatenate([fold.losses(chosen) for fold in folds])
        best = 0.0
        for strength in sorted(self.strengths, reverse=True):
            router = GatedRouter(strength, self.prior)
            gains = static_losses - np.concatenate([fold.losses(router) for fold in folds])
            if gains.mean() <= best:
                break  # gates that are held less would do worse still
            best = gains.mean()
            if best > gains.std() / np.sqrt(len(rows)):
                chosen = router
        return chosen

    def _log_weights(self, X, logits):
        return self.chosen_._log_weights(X, logits)


class _Fold:
    """Rows to fit routers on, and held-out rows to judge them by."""

    def __init__(self, train, test, statistics, logits, y):
        self.statistics = statistics[train], statistics[test]
        self.seen = logits[train], y[train]
        self.held_out = logits[test], y[test]
        self.last = None

    def losses(self, router):
        """Log-loss of each held-out row. Gates start from those of the router before."""
        if isinstance(router, StaticRouter):
            return _loss_per_row(router.fit(None, *self.seen).log_weights_, *self.held_out)
        self.last, start = clone(router), self.last
        self.last._fit_gates(self.statistics[0], *self.seen, start)
        return _loss_per_row(self.last._log_weights_of(self.statistics[1]), *self.held_out)


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


def _loss_per_row(log_weights, logits, y):
    weights = np.broadcast_to(_exp(log_weights), logits.shape[:2]).astype(logits.dtype)
    return -log_softmax(combine(weights, logits), axis=1)[np.arange(len(y)), y]


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
    weights = _exp(log_weights).astype(logits.dtype)
    rows = np.arange(len(y))
    log_p = log_softmax(combine(weights, logits), axis=1)
    error = np.exp(log_p)
    error[rows, y] -= 1
    slope = weights * np.einsum("nec,nc->ne", logits, error) / len(y)
    slope[np.abs(log_weights) > MAX_LOG_WEIGHT] = 0
    return -log_p[rows, y].mean(dtype=np.float64), slope.astype(np.float64)


def _gaussian_prior(u, centre, precision):
    return precision * np.sum((u - centre) ** 2), 2 * precision * (u - centre)


def _unpack(parameters, features):
    n_experts, n_features = features.shape[1:]
    return parameters[:n_experts], parameters[n_experts:].reshape(n_experts, n_features)


def _apply_gates(gates, features):
    return np.einsum("nef,ef->ne", features, gates)


def _exp(log_weights):
    return np.exp(np.clip(log_weights, -MAX_LOG_WEIGHT, MAX_LOG_WEIGHT))

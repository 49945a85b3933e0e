"""Gates: weights that depend on the row, and a router that opens them only where that pays."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold
from sklearn.utils import check_random_state

from ._routers import (
    OPTIONS,
    BaseRouter,
    StaticRouter,
    combine,
    cross_entropy,
    loss_per_row,
    plausible_classes,
)

_MAX_COMPONENTS = 16
_MAX_ROWS_TO_CHOOSE = 500
_SMALLEST_SPREAD = 1e-6


class GatedRouter(BaseRouter):
    """Static weights plus a gate for each expert and row.

    The weight of expert e for a row is that of :class:`StaticRouter` plus a gate g_e / s_e, where
    s_e is the spread of the expert's logits and g_e is linear in the standardised confidence,
    margin, entropy and agreement with the mean of expert e and in the leading principal components
    of the columns. Weights may become negative: an expert that is reliably wrong is of use, too.
    Fitting minimises cross-entropy plus ``strength`` times the mean over rows of the sum of g² over
    experts, from shut gates; the problem is convex.

    Parameters
    ----------
    strength : float, default=1.0
        How strongly gates are held shut.
    prior : float, default=10.0
        As in :class:`StaticRouter`.

    Attributes
    ----------
    static_ : StaticRouter
        The static weights.
    gates_ : ndarray of shape (E, 5 + n_components)
        What g takes from the statistics, a constant and the components.
    n_iter_ : int
        Iterations of L-BFGS.

    Examples
    --------
    >>> from skclipens.ensemble import AdaptiveBackboneEnsemble, GatedRouter
    >>> AdaptiveBackboneEnsemble("zoo", router=GatedRouter(strength=0.1)).router.strength
    0.1
    """

    def __init__(self, strength=1.0, prior=10.0):
        self.strength = strength
        self.prior = prior

    def _fit(self, X, logits, y, features=None):
        self.features_ = _GateFeatures().fit(X, logits) if features is None else features
        return self._fit_gates(self.features_(X, logits), *plausible_classes(logits, y))

    def _fit_gates(self, features, logits, y, start=None):
        """Fit from shut gates, or from those of a router that was fitted on the same rows."""
        self.static_ = (
            StaticRouter(self.prior).fit(None, logits, y) if start is None else start.static_
        )
        self.spread_ = np.maximum(logits.std(axis=2).mean(axis=0), _SMALLEST_SPREAD)
        static = combine(self.static_.weights(None, logits), logits)
        shape = features.shape[1:]
        found = minimize(
            gated_loss,
            np.zeros(shape).ravel() if start is None else start.gates_.ravel(),
            (features, logits / self.spread_[:, None], y, static, self.strength),
            jac=True,
            method="L-BFGS-B",
            options=OPTIONS,
        )
        self.gates_ = found.x.reshape(shape)
        g = _apply(self.gates_, features)
        self.range_ = g.min(axis=0), g.max(axis=0)
        return found.nit

    def _weights(self, X, logits):
        return self._weights_of(self.features_(X, logits), logits)

    def _weights_of(self, features, logits):
        # Not extrapolated: pictures of another kind could open a gate a thousandfold.
        g = np.clip(_apply(self.gates_, features), *self.range_)
        return self.static_.weights(None, logits) + (g / self.spread_).astype(logits.dtype)


class ShrunkRouter(BaseRouter):
    """Gates that must earn their freedom.

    Chooses between a :class:`StaticRouter` and :class:`GatedRouter` of several strengths by their
    cross-validated log-loss on the given logits, the strongest first, for as long as that gains.
    The gates stay shut (static weights alone) unless opening them lowers that loss by more than
    twice its standard error.

    Parameters
    ----------
    strengths : sequence of float, default=(3.0, 1.0, 0.3, 0.1, 0.03)
        Of the gated routers.
    prior : float, default=10.0
        As in :class:`StaticRouter`.
    n_folds : int, default=5
        Gates are not tried on fewer than twice as many rows, nor on fewer than three per class.
    random_state : int, RandomState instance or None, default=None
        Determines the folds, and the 500 rows of more that are enough to choose by.

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

    def __init__(
        self, strengths=(3.0, 1.0, 0.3, 0.1, 0.03), prior=10.0, n_folds=5, random_state=None
    ):
        self.strengths = strengths
        self.prior = prior
        self.n_folds = n_folds
        self.random_state = random_state

    def _fit(self, X, logits, y):
        self.chosen_, features = self._choose(X, logits, y)
        if isinstance(self.chosen_, StaticRouter):
            return self.chosen_.fit(X, logits, y).n_iter_
        return self.chosen_._fit(X, logits, y, features)

    def _choose(self, X, logits, y):
        """A router, not fitted, and what its gates read, if it has any."""
        chosen = StaticRouter(self.prior)
        # With two rows per class, heads were judged that had seen one: too unlike the final ones.
        if len(y) < max(2 * self.n_folds, 3 * logits.shape[2]):
            return chosen, None
        rows = check_random_state(self.random_state).permutation(len(y))[:_MAX_ROWS_TO_CHOOSE]
        X, logits, y = X[rows], logits[rows], y[rows]
        features = _GateFeatures().fit(X, logits)
        table = features(X, logits), *plausible_classes(logits, y)
        folds = [_Fold(*parts, *table) for parts in KFold(self.n_folds).split(y)]
        static_losses = np.concatenate([fold.losses(chosen) for fold in folds])
        best = 0.0
        for strength in sorted(self.strengths, reverse=True):
            router = GatedRouter(strength, self.prior)
            gains = static_losses - np.concatenate([fold.losses(router) for fold in folds])
            if gains.mean() <= best:
                break  # gates that are held less would do worse still
            best = gains.mean()
            if best > 2 * gains.std() / np.sqrt(len(y)):
                chosen = router
        return chosen, features

    def _weights(self, X, logits):
        return self.chosen_._weights(X, logits)


class _Fold:
    """Rows to fit routers on, and held-out rows to judge them by."""

    def __init__(self, train, test, features, logits, y):
        self.features = features[train], features[test]
        self.seen = logits[train], y[train]
        self.held_out = logits[test], y[test]
        self.last = None

    def losses(self, router):
        """Log-loss of each held-out row. Gates start from those of the router before."""
        logits, y = self.held_out
        if isinstance(router, StaticRouter):
            weights = router.fit(None, *self.seen).weights(None, logits)
        else:
            self.last, start = clone(router), self.last
            self.last._fit_gates(self.features[0], *self.seen, start)
            weights = self.last._weights_of(self.features[1], logits)
        return loss_per_row(combine(weights, logits), y)


class _GateFeatures:
    """What gates read: of each expert its statistics, of the row its leading components."""

    def fit(self, X, logits):
        statistics = expert_statistics(logits)
        self.centre = statistics.mean(axis=0)
        self.spread = np.maximum(statistics.std(axis=0), _SMALLEST_SPREAD)
        n_components = min(_MAX_COMPONENTS, len(X) - 1, X.shape[1])
        with np.errstate(invalid="ignore"):  # columns that are all constant
            self.pca = PCA(n_components, whiten=True, random_state=0).fit(X)
        return self

    def __call__(self, X, logits):
        """Features of shape (n, E, 5 + n_components)."""
        statistics = (expert_statistics(logits) - self.centre) / self.spread
        ones = np.ones((*logits.shape[:2], 1))
        components = self.pca.transform(X)[:, None]
        shared = np.broadcast_to(components, (*logits.shape[:2], components.shape[2]))
        return np.concatenate([statistics, ones, shared], axis=2, dtype=logits.dtype)


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


def gated_loss(gates, features, logits, y, static, strength):
    """Objective of :class:`GatedRouter` and its gradient.

    Parameters
    ----------
    gates : ndarray of shape (E * F,)
    features : ndarray of shape (n, E, F)
    logits : ndarray of shape (n, E, C)
        Of unit spread.
    y : ndarray of shape (n,), int
    static : ndarray of shape (n, C)
        Logits combined by static weights.
    strength : float

    Returns
    -------
    loss : float
    slope : ndarray of shape (E * F,)
    """
    g = _apply(gates.reshape(features.shape[1:]), features).astype(logits.dtype)
    loss, slope = cross_entropy(static + combine(g, logits), y)
    along_g = np.einsum("nec,nc->ne", logits, slope) + 2 * strength * g / len(y)
    loss += strength * np.sum(g**2, dtype=np.float64) / len(y)
    return loss, np.einsum("ne,nef->ef", along_g, features).ravel().astype(np.float64)


def _apply(gates, features):
    return np.einsum("nef,ef->ne", features, gates)

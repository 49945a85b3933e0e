"""A router whose weights are static weights plus gates that depend on the row."""

from numbers import Real

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.decomposition import PCA

from ..._utils._linalg import mean_row, total_weight
from ..._utils._pca import fit_centred, leave_out_flat_components
from ..._utils._sklearn import Interval
from ...heads._losses import cross_entropy
from ._base import plausible_classes, weighted_sum
from ._static import OPTIONS, BasePriorRouter, StaticRouter

_MAX_COMPONENTS = 16
_SMALLEST_SPREAD = 1e-6


class GatedRouter(BasePriorRouter):
    r"""Combine experts by static weights plus a gate for each expert and row.

    The weight of expert e for a row x is :math:`a_e(x) = w_e + g_e(x) / s_e`, with the static
    weight :math:`w_e` of :class:`StaticRouter` and the standard deviation :math:`s_e` of the
    expert's logits. The gate :math:`g_e(x) = \gamma_e^T \phi_e(x)` is linear in features of the
    row: four statistics of the expert, a constant, and the leading principal components of the
    columns. The coefficients :math:`\gamma` minimise, over N rows with true classes :math:`y_i`,

    .. math:: \frac1N \sum_i \left[ H(y_i, \mathrm{softmax}(\sum_e a_e(x_i) z_e(x_i)))
              + \kappa \sum_e g_e(x_i)^2 \right],

    where H is cross-entropy, :math:`z_e` the held-out logits of expert e, and :math:`\kappa` is
    ``gate_alpha``. Weights may become negative, since an expert that is reliably wrong is also
    informative.

    Parameters
    ----------
    gate_alpha : float, default=1.0
        Strength :math:`\kappa` of the penalty on the gates. The larger, the nearer the weights are
        to the static ones.
    alpha : float, default=3.0
        Strength of the penalty on the static weights; see :class:`StaticRouter`.

    Attributes
    ----------
    static_ : StaticRouter
        The fitted router of the static weights w.
    gates_ : ndarray of shape (E, 5 + n_components), float64
        Coefficients :math:`\gamma` of the four statistics, the constant and the components.
    features_ : callable
        Computes the features :math:`\phi` of shape (n, E, 5 + n_components) from X and logits.
    spread_ : ndarray of shape (E,)
        Standard deviation s of each expert's logits over classes, in the mean over rows.
    range_ : (ndarray of shape (E,), ndarray of shape (E,))
        The smallest and the largest g of the training rows. Those of new rows are clipped to this
        range.
    n_iter_ : int
        Iterations of L-BFGS.

    See Also
    --------
    StaticRouter : Without gates.
    ShrunkRouter : Chooses between the two.

    Notes
    -----
    Not from the paper, whose router is :class:`NeuralLogitController`. Weights that are linear in
    features of a row are those of feature-weighted linear stacking [1]_; here with cross-entropy,
    static weights that are fitted first, and a penalty on the gates.

    The statistics of an expert are the largest probability, the difference of the two largest, the
    entropy divided by log C, and the sum over classes of its probability times the mean probability
    of all experts. They are standardised. There are up to 16 components, scaled to unit variance.
    The problem is convex and solved by L-BFGS, from gates of zero. With ``sample_weight``, rows
    count by their weights, and N is the sum of these. With more than 33 classes, the cross-entropy
    of a row, and s, are computed as in :class:`StaticRouter`: from the true class, the 31 others
    that any expert favours most, and the mean of the rest.

    References
    ----------
    .. [1] Sill, Takacs, Mackey and Lin, "Feature-Weighted Linear Stacking", 2009.
       https://arxiv.org/abs/0911.0460

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens.ensemble import AdaptiveBackboneEnsemble, GatedRouter
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4))]
    >>> clf = AdaptiveBackboneEnsemble(blocks, head="linear", router=GatedRouter(gate_alpha=0.1))
    >>> clf.fit(X, y).routing_weights(X[::50]).round(1) + 0  # of sepal and of petal
    array([[0.2, 1.2],
           [0.1, 1.2],
           [0.1, 1.2]])
    """

    _reads_X = True
    _parameter_constraints: dict = {
        **StaticRouter._parameter_constraints,
        "gate_alpha": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, gate_alpha=1.0, *, alpha=3.0):
        self.gate_alpha = gate_alpha
        self.alpha = alpha

    def _fit(self, X, logits, targets, sample_weight=None, prior_weights=None, features=None):
        """Fit static weights, then gates that start at zero.

        Parameters are those of ``fit``, already checked, with `y` as `targets`; and `features`, the
        GateFeatures to use. None: fitted on these rows.
        """
        if features is None:
            features = GateFeatures().fit(X, logits, sample_weight)
        self.features_ = features
        some = plausible_classes(logits, targets)
        self._fit_gates(features(X, logits), some, sample_weight, prior_weights)

    def _fit_gates(self, features, some, sample_weight, prior_weights, start=None):
        """Fit gates, starting from zero or from a router fitted on the same rows."""
        logits, targets, offsets = some
        if start is None:
            self.static_ = StaticRouter(self.alpha)
            self.static_._fit_to(some, sample_weight, prior_weights)
        else:
            self.static_ = start.static_
        spread = np.average(logits.std(axis=2), axis=0, weights=sample_weight)
        self.spread_ = np.maximum(spread, _SMALLEST_SPREAD).astype(logits.dtype)
        static = self.static_.combine(None, logits) + offsets
        shape = features.shape[1:]
        scaled = logits / self.spread_[:, None]
        found = minimize(
            gated_loss,
            np.zeros(shape).ravel() if start is None else start.gates_.ravel(),
            (features, scaled, targets, static, self.gate_alpha, sample_weight),
            jac=True,
            method="L-BFGS-B",
            options=OPTIONS,
        )
        self.gates_ = found.x.reshape(shape)
        g = _apply(self.gates_, features if sample_weight is None else features[sample_weight > 0])
        self.range_ = g.min(axis=0), g.max(axis=0)
        self.n_iter_ = max(found.nit, 1)

    def _weights(self, X, logits):
        return self._weights_of(self.features_(X, logits), logits)

    def _weights_of(self, features, logits):
        """Return the weights for these features."""
        # Clipped to the range in fit: for pictures of another kind, gates could be huge.
        g = np.clip(_apply(self.gates_, features), *self.range_)
        return self.static_.weights(None, logits) + (g / self.spread_).astype(logits.dtype)


class GateFeatures:
    """Features of the gates: statistics of each expert, and principal components of the row."""

    def fit(self, X, logits, sample_weight=None):
        statistics = expert_statistics(logits)
        self.centre = np.average(statistics, axis=0, weights=sample_weight)
        deviation = (statistics - self.centre) ** 2
        spread = np.sqrt(np.average(deviation, axis=0, weights=sample_weight))
        self.spread = np.maximum(spread, _SMALLEST_SPREAD)
        self.pca = _fit_pca(X, sample_weight)
        return self

    def __call__(self, X, logits):
        """Return features of shape (n, E, 5 + n_components)."""
        statistics = (expert_statistics(logits) - self.centre) / self.spread
        ones = np.ones((*logits.shape[:2], 1))
        components = self.pca.transform(X) if len(X) else np.empty((0, self.pca.n_components_))
        shape = *logits.shape[:2], components.shape[1]
        shared = np.broadcast_to(components[:, None], shape)
        return np.concatenate([statistics, ones, shared], axis=2, dtype=logits.dtype)


def _fit_pca(X, sample_weight):
    """Fit principal components of weighted rows."""
    n = len(X) if sample_weight is None else np.count_nonzero(sample_weight)
    pca = PCA(min(_MAX_COMPONENTS, n - 1, X.shape[1]), whiten=True, random_state=0)
    pca.set_output(transform="default")  # arrays, whatever scikit-learn is set to
    if sample_weight is None:
        fit_centred(pca, X)
    else:
        mean = mean_row(X, sample_weight)
        rows = (X - mean) * np.sqrt(sample_weight)[:, None]
        fit_centred(pca, np.concatenate([rows, -rows]))  # mirrored, so that PCA's own mean is zero
        pca.mean_ = mean
        pca.explained_variance_ *= (len(X) - 0.5) / max(total_weight(X, sample_weight) - 1, 1)
    leave_out_flat_components(pca)
    return pca


def expert_statistics(logits):
    """Return each expert's confidence, margin, entropy and agreement with the mean, (n, E, 4).

    Logits, (n, E, C), are divided by temperatures.
    """
    p = softmax(logits, axis=2)
    top = np.partition(p, -2, axis=2)[..., -2:]
    entropy = -np.sum(p * np.log(np.maximum(p, 1e-12)), axis=2) / np.log(p.shape[2])
    agreement = np.einsum("nec,nc->ne", p, p.mean(axis=1))
    return np.stack([top[..., 1], top[..., 1] - top[..., 0], entropy, agreement], axis=2)


def gated_loss(gates, features, logits, targets, static, gate_alpha, sample_weight=None):
    """Return the objective of :class:`GatedRouter` and its gradient.

    Parameters
    ----------
    gates : ndarray of shape (E * F,)
    features : ndarray of shape (n, E, F)
    logits : ndarray of shape (n, E, C)
        Scaled to unit spread.
    targets : ndarray of shape (n,), int
    static : ndarray of shape (n, C)
        Logits combined by static weights, with the offsets of :class:`Plausible`.
    gate_alpha : float
    sample_weight : ndarray of shape (n,) or None

    Returns
    -------
    loss : float
    slope : ndarray of shape (E * F,)
    """
    g = _apply(gates.reshape(features.shape[1:]), features).astype(logits.dtype)
    loss, slope = cross_entropy(static + weighted_sum(g, logits), targets, sample_weight)
    share = gate_alpha / total_weight(targets, sample_weight)
    held = g if sample_weight is None else g * sample_weight[:, None]
    along_g = np.einsum("nec,nc->ne", logits, slope) + 2 * share * held
    loss += share * np.sum(held * g, dtype=np.float64)
    return loss, np.einsum("ne,nef->ef", along_g, features).ravel().astype(np.float64)


def _apply(gates, features):
    return np.einsum("nef,ef->ne", features, gates)

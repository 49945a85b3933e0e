"""The default router: static weights, and gates if they clearly improve predictions."""

from numbers import Real

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold
from sklearn.utils import check_random_state

from ..._utils._docstrings import fill_doc
from ..._utils._folds import held_out_rows
from ..._utils._linalg import some_of, total_weight
from ..._utils._sklearn import InOrder
from ..._utils._weights_and_groups import check_groups
from ...heads._losses import log_proba_of
from ._base import BaseRouter, is_clear_gain, plausible_classes, weighted_sum
from ._gated import GatedRouter, GateFeatures
from ._static import StaticRouter

_MAX_ROWS_TO_CHOOSE = 500
_N_FOLDS = 5


class ShrunkRouter(BaseRouter):
    r"""Combine experts by static weights, plus gates if these lower the cross-validated log-loss.

    Chooses between a :class:`StaticRouter` and a :class:`GatedRouter` by cross-validation on the
    held-out logits. The penalties of the gates are tried in decreasing order, as long as the
    log-loss falls. Let :math:`d_i` be how much lower the log-loss of row i is with gates than with
    static weights. Gates are used if

    .. math:: \bar d > 2 \sqrt{\tfrac1N \sum_i (d_i - \bar d)^2} \, / \sqrt N,

    which is a gain of more than twice its standard error, and if they do not lower the accuracy. If
    rows of a group have similar gains, its standard error is larger, as of a mean over groups. Of
    several penalties for which this holds, the smallest that was tried is taken.

    There are five folds. Gates are not tried on fewer than ten rows, nor on fewer than three rows
    per class. In an ensemble, they are tried only if no expert learns from rows, as with zero-shot
    and frozen heads. The held-out logits of heads that learn come from copies that were fitted on
    fewer rows, so gates fitted on them can work against a head that is right on new rows.

    Parameters
    ----------
    gate_alphas : sequence of float, default=(3.0, 1.0, 0.3, 0.1, 0.03)
        Candidates for ``gate_alpha`` of the gated router.
    alpha : float, default=3.0
        Strength of the penalty on the static weights; see :class:`StaticRouter`.
    random_state : int, RandomState instance or None, default=None
        Controls the folds. If there are more than 500 rows, it also draws 500 on which the routers
        are compared.

    Attributes
    ----------
    chosen_ : StaticRouter or GatedRouter
        The chosen router, fitted on all rows.
    n_iter_ : int
        Number of iterations of the chosen router.

    See Also
    --------
    StaticRouter : One weight per expert.
    GatedRouter : Weights for each row.

    Notes
    -----
    Not from the paper, whose router is :class:`NeuralLogitController`. The chosen router is fitted
    again on all rows; its objective is that of :class:`StaticRouter` or :class:`GatedRouter`.

    Examples
    --------
    Linear heads learn from rows, so the weights are static:

    >>> from sklearn.datasets import load_iris
    >>> from skclipens.ensemble import AdaptiveBackboneEnsemble, ShrunkRouter
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4))]
    >>> clf = AdaptiveBackboneEnsemble(blocks, head="linear", router=ShrunkRouter()).fit(X, y)
    >>> clf.router_.chosen_
    StaticRouter()
    >>> clf.routing_weights(X[:1]).round(1)  # of sepal and of petal
    array([[0.2, 1.2]])
    """

    _reads_X = True
    _parameter_constraints: dict = {
        **StaticRouter._parameter_constraints,
        "gate_alphas": [InOrder()],
        "random_state": ["random_state"],
    }

    def __init__(self, gate_alphas=(3.0, 1.0, 0.3, 0.1, 0.03), *, alpha=3.0, random_state=None):
        self.gate_alphas = gate_alphas
        self.alpha = alpha
        self.random_state = random_state

    __metadata_request__fit = {"groups": True}

    @fill_doc
    def fit(self, X, logits, y, sample_weight=None, groups=None, learned=None, prior_weights=None):
        """Choose a router, and fit it to held-out logits.

        Parameters
        ----------
        %(to_route)s
        groups : ndarray of shape (n,), default=None
            Rows of a group, such as pictures of one object, are never on both sides of a fold.
        learned : ndarray of shape (E,), bool, default=None
            Which experts learn from rows. If any does, gates are not tried. None: no expert does.
        %(prior_weights)s

        Returns
        -------
        self
            The fitted estimator.
        """
        without_gates = learned is not None and np.any(learned)
        groups = check_groups(groups, len(y))
        options = {"prior_weights": prior_weights, "groups": groups, "without_gates": without_gates}
        return self._fit_with(X, logits, y, sample_weight, **options)

    def _fit(self, X, logits, targets, sample_weight, *, prior_weights, groups, without_gates):
        """Choose a router, and fit it.

        Parameters are those of ``fit``, already checked, with `y` as `targets`. If `without_gates`,
        gates are not tried.
        """
        for gate_alpha in self.gate_alphas:
            if not isinstance(gate_alpha, Real) or not gate_alpha >= 0:
                raise ValueError(
                    f"gate_alphas are numbers that are not negative; got {gate_alpha!r}."
                )
        self.chosen_, features = StaticRouter(self.alpha), None
        if not without_gates:
            self.chosen_, features = self._choose(
                X, logits, targets, sample_weight, prior_weights=prior_weights, groups=groups
            )
        options = {} if features is None else {"features": features}
        self.chosen_._fit(X, logits, targets, sample_weight, prior_weights, **options)
        self.n_iter_ = self.chosen_.n_iter_

    def _choose(self, X, logits, targets, sample_weight, *, prior_weights, groups):
        """Return the chosen router, not fitted, and the features of its gates or None."""
        static = StaticRouter(self.alpha)
        # With two rows per class, held-out logits come from heads fitted on one row per class.
        # These are too unlike the final heads.
        if len(targets) < max(2 * _N_FOLDS, 3 * logits.shape[2]):
            return static, None
        rows = check_random_state(self.random_state).permutation(len(targets))[:_MAX_ROWS_TO_CHOOSE]
        X, logits, targets = X[rows], logits[rows], targets[rows]
        weights = some_of(sample_weight, rows)
        features = GateFeatures().fit(X, logits, weights)
        table = features(X, logits), logits, plausible_classes(logits, targets), targets
        groups = some_of(groups, rows)
        parts = self._split(targets, groups)
        if weights is not None:  # leave out folds whose train or test rows all have weight 0
            parts = [p for p in parts if all(weights[rows].any() for rows in p)]
        if not parts:
            return static, None
        folds = [_Fold(*part, *table, weights, prior_weights) for part in parts]
        held_out = held_out_rows(parts)
        gain_options = {
            "weights": some_of(weights, held_out),
            "n_rows": total_weight(targets, weights),
            "groups": some_of(groups, held_out),
        }
        chosen = self._choose_gate_alpha(static, folds, gain_options)
        return chosen, features if chosen is not static else None

    def _choose_gate_alpha(self, static, folds, gain_options):
        """Return a gated router that is clearly better on held-out rows, or else `static`.

        `gain_options` has the weights, number and groups of these rows, for :func:`is_clear_gain`.
        """
        static_losses, static_right = _score(static, folds)
        chosen, best = static, 0.0
        for gate_alpha in sorted(self.gate_alphas, reverse=True):
            router = GatedRouter(gate_alpha, alpha=self.alpha)
            losses, right = _score(router, folds)
            gains = static_losses - losses
            mean = np.average(gains, weights=gain_options["weights"])
            if mean <= best:
                break  # smaller penalties would do still worse
            best = mean
            if is_clear_gain(gains, right - static_right, **gain_options):
                chosen = router
        return chosen

    def _split(self, targets, groups):
        if groups is None:
            return list(KFold(_N_FOLDS).split(targets))
        n_folds = min(_N_FOLDS, len(np.unique(groups)))
        return list(GroupKFold(n_folds).split(targets, groups=groups)) if n_folds > 1 else []

    def _weights(self, X, logits):
        return self.chosen_._weights(X, logits)


def _score(router, folds):
    """Return the log-loss of each held-out row, and whether it is right, 0 or 1."""
    losses, right = zip(*(fold.score(router) for fold in folds), strict=True)
    return np.concatenate(losses), np.concatenate(right).astype(float)


class _Fold:
    """Training rows of routers, and held-out rows to compare them on."""

    def __init__(self, train, test, features, logits, plausible, targets, weights, prior_weights):
        self.features = features[train], features[test]
        self.seen = plausible.take(train), some_of(weights, train), prior_weights
        # All classes: the choice of plausible ones depends on the true class.
        self.held_out = logits[test].astype(np.float64), targets[test]
        self.last = None

    def score(self, router):
        """Return the log-loss of each held-out row, and whether it is right.

        Gates start from those of the previous router.
        """
        logits, targets = self.held_out
        if isinstance(router, StaticRouter):
            router._fit_to(*self.seen)
            weights = router.weights(None, logits)
        else:
            self.last, start = clone(router), self.last
            self.last._fit_gates(self.features[0], *self.seen, start)
            weights = self.last._weights_of(self.features[1], logits)
        combined = weighted_sum(weights, logits)
        return -log_proba_of(combined, targets), combined.argmax(axis=1) == targets

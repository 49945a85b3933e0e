"""One weight per expert, with a prior around the average."""

from numbers import Real

import numpy as np
from scipy.optimize import minimize

from ..._utils._linalg import total_weight
from ..._utils._sklearn import Interval
from ...heads._losses import cross_entropy
from ._base import BaseRouter, plausible_classes, weighted_sum

# Smaller gains in log-loss are negligible: a hundredth of what few rows can tell.
OPTIONS = {"maxiter": 100, "ftol": 1e-5}
# As a share of 1 / E. If all weights were zero, one class would be predicted for all rows.
_SMALLEST_WEIGHT = 0.01


class BasePulledRouter(BaseRouter):
    """A router whose weights are pulled to some that are known before there are rows."""

    def fit(self, X, logits, y, sample_weight=None, prior_weights=None):
        """Learn from logits of rows that the experts have not seen.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
        logits : ndarray of shape (n, E, C)
            Calibrated.
        y : ndarray of shape (n,), int
            Positions of the true classes.
        sample_weight : ndarray of shape (n,), default=None
            Weights of the rows.
        prior_weights : ndarray of shape (E,), default=None
            What the weights of experts are pulled to. None: 1 / E.

        Returns
        -------
        self
            The fitted estimator.
        """
        return self._fit_with(X, logits, y, sample_weight, prior_weights)


class StaticRouter(BasePulledRouter):
    """Combine experts by one weight each, the same for all rows.

    The weights are at least 0.01 / E and minimise the cross-entropy of the combined logits. With
    few rows, a quadratic penalty keeps them near 1 / E, the logit average; with many rows, an
    expert that adds nothing gets almost no weight. The problem is convex. An ensemble on pictures
    and other columns passes ``prior_weights`` instead of 1 / E, so that the many heads on pictures
    do not outvote the one on the other columns.

    Parameters
    ----------
    prior : float, default=3.0
        Strength of the penalty, in rows.

    Attributes
    ----------
    weights_ : ndarray of shape (E,)
    n_iter_ : int
        Iterations of L-BFGS.

    See Also
    --------
    ShrunkRouter : With gates, where these pay.
    SuperLearnerRouter : Without a prior.

    Examples
    --------
    >>> from skclipens.ensemble import AdaptiveBackboneEnsemble, StaticRouter
    >>> AdaptiveBackboneEnsemble("zoo", router=StaticRouter(prior=2.0)).router.prior
    2.0
    """

    _parameter_constraints: dict = {"prior": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, prior=3.0):
        self.prior = prior

    def _fit(self, X, logits, y, sample_weight=None, prior_weights=None):
        logits, y = plausible_classes(logits, y)
        n_experts = logits.shape[1]
        if prior_weights is None:
            prior_weights = np.full(n_experts, 1 / n_experts)
        found = minimize(
            static_loss,
            prior_weights,
            (logits, y, prior_weights, self.prior, sample_weight),
            jac=True,
            method="L-BFGS-B",
            bounds=[(_SMALLEST_WEIGHT / n_experts, None)] * n_experts,
            options=OPTIONS,
        )
        self.weights_ = found.x
        self.n_iter_ = max(found.nit, 1)

    def _weights(self, X, logits):
        return self.weights_


def static_loss(weights, logits, y, prior_weights, prior, sample_weight=None):
    """Objective of :class:`StaticRouter` and its gradient."""
    n_experts = len(weights)
    combined = weighted_sum(weights[None].astype(logits.dtype), logits)
    loss, slope = cross_entropy(combined, y, sample_weight)
    precision = prior * n_experts / total_weight(y, sample_weight)
    away = weights - prior_weights
    along_weights = np.einsum("nec,nc->e", logits, slope) + 2 * precision * away
    return loss + precision * np.sum(away**2), along_weights

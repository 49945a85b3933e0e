"""One weight per expert, with a prior around the average."""

from numbers import Real

import numpy as np
from scipy.optimize import minimize

from ..._utils._linalg import total_weight
from ..._utils._sklearn import Interval
from ._base import BaseRouter, cross_entropy, plausible_classes, weighted_sum

# Smaller gains in log-loss are negligible: a hundredth of what few rows can tell.
OPTIONS = {"maxiter": 100, "ftol": 1e-5}
# As a share of 1 / E. If all weights were zero, one class would be predicted for all rows.
_SMALLEST_WEIGHT = 0.01


class StaticRouter(BaseRouter):
    """One weight per expert, the same for all rows.

    The weights are at least 0.01 / E and minimise the cross-entropy of the combined logits. A
    quadratic penalty keeps them near 1 / E, the logit average, where rows are few; where there are
    many, an expert that adds nothing can get next to no weight. The problem is convex.

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

    def _fit(self, X, logits, y, sample_weight=None):
        logits, y = plausible_classes(logits, y)
        n_experts = logits.shape[1]
        found = minimize(
            static_loss,
            np.full(n_experts, 1 / n_experts),
            (logits, y, self.prior, sample_weight),
            jac=True,
            method="L-BFGS-B",
            bounds=[(_SMALLEST_WEIGHT / n_experts, None)] * n_experts,
            options=OPTIONS,
        )
        self.weights_ = found.x
        self.n_iter_ = max(found.nit, 1)

    def _weights(self, X, logits):
        return self.weights_


def static_loss(weights, logits, y, prior, sample_weight=None):
    """Objective of :class:`StaticRouter` and its gradient."""
    n_experts = len(weights)
    combined = weighted_sum(weights[None].astype(logits.dtype), logits)
    loss, slope = cross_entropy(combined, y, sample_weight)
    precision = prior * n_experts / total_weight(y, sample_weight)
    away = weights - 1 / n_experts
    along_weights = np.einsum("nec,nc->e", logits, slope) + 2 * precision * away
    return loss + precision * np.sum(away**2), along_weights

"""A router with one weight per expert, shrunk to the logit average."""

from numbers import Real

import numpy as np
from scipy.optimize import minimize

from ..._utils._docstrings import fill_doc
from ..._utils._linalg import total_weight
from ..._utils._sklearn import Interval
from ...heads._losses import cross_entropy
from ._base import BaseRouter, plausible_classes, weighted_sum

# Smaller gains in log-loss are negligible: a hundredth of what few rows can show.
OPTIONS = {"maxiter": 100, "ftol": 1e-5}
# As a share of 1 / E. If all weights were zero, one class would be predicted for all rows.
_SMALLEST_WEIGHT = 0.01


class BasePriorRouter(BaseRouter):
    """Base class of routers whose weights are shrunk to prior weights."""

    @fill_doc
    def fit(self, X, logits, y, sample_weight=None, prior_weights=None):
        """Fit to held-out logits: those of rows that the experts were not fitted on.

        Parameters
        ----------
        %(to_route)s
        %(prior_weights)s

        Returns
        -------
        self
            The fitted estimator.
        """
        return self._fit_with(X, logits, y, sample_weight, prior_weights=prior_weights)


class StaticRouter(BasePriorRouter):
    r"""Combine experts by one weight each, the same for all rows.

    The weights of E experts minimise, over N rows with the true classes :math:`y_i`,

    .. math:: \frac1N \sum_i H(y_i, \mathrm{softmax}(\sum_e w_e z_e(x_i)))
              + \frac{\alpha E}{N} \sum_e (w_e - p_e)^2
              \quad \text{with } w_e \ge 0.01 / E,

    where H is cross-entropy, :math:`z_e` the held-out logits of expert e, :math:`\alpha` is
    ``alpha`` and :math:`p_e` is 1 / E. With few rows, the penalty keeps the weights near 1 / E, the
    logit average. With many rows, an expert that adds nothing gets almost no weight.

    Parameters
    ----------
    alpha : float, default=3.0
        Strength :math:`\alpha` of the penalty. 0 is no penalty.

    Attributes
    ----------
    weights_ : ndarray of shape (E,), float64
        Weight of each expert's logits.
    n_iter_ : int
        Iterations of L-BFGS.

    See Also
    --------
    ShrunkRouter : With gates if these lower the log-loss.
    SuperLearnerRouter : Without a penalty.

    Notes
    -----
    Not from the paper, whose router is :class:`NeuralLogitController`. It is stacking [1]_ with one
    weight per expert, cross-entropy and a penalty. The problem is convex and solved by L-BFGS. With
    ``sample_weight``, rows count by their weights, and N is the sum of these. With more than 33
    classes, the cross-entropy of a row counts the true class, the 31 others that any expert
    favours most, and each of the rest by the mean of their logits.

    An ensemble on pictures and other columns passes other :math:`p_e` to ``fit``: one half of the
    sum is shared by all experts, the other half by the kinds of columns. So the many heads on
    pictures do not outvote the few on the other columns. The sum, which is 1 otherwise, is then
    fitted first: kinds of columns may tell different things, whose logits add up.

    References
    ----------
    .. [1] Wolpert, "Stacked Generalization", Neural Networks 5, 1992.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens.ensemble import AdaptiveBackboneEnsemble, StaticRouter
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4))]
    >>> clf = AdaptiveBackboneEnsemble(blocks, head="linear", router=StaticRouter(alpha=3.0))
    >>> clf.fit(X, y).router_.weights_.round(1)  # of sepal and of petal
    array([0.2, 1.2])
    """

    _parameter_constraints: dict = {"alpha": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, alpha=3.0):
        self.alpha = alpha

    def _fit(self, X, logits, targets, sample_weight=None, prior_weights=None):
        self._fit_to(plausible_classes(logits, targets), sample_weight, prior_weights)

    def _fit_to(self, some, sample_weight, prior_weights):
        """Fit to the logits of plausible classes."""
        n_experts = some.logits.shape[1]
        if prior_weights is None:
            prior_weights = np.full(n_experts, 1 / n_experts)
        found = minimize(
            static_loss,
            prior_weights,
            (some, prior_weights, self.alpha, sample_weight),
            jac=True,
            method="L-BFGS-B",
            bounds=[(_SMALLEST_WEIGHT / n_experts, None)] * n_experts,
            options=OPTIONS,
        )
        self.weights_ = found.x
        self.n_iter_ = max(found.nit, 1)

    def _weights(self, X, logits):
        return self.weights_


def static_loss(weights, some, prior_weights, alpha, sample_weight=None):
    """Return the objective of :class:`StaticRouter` and its gradient."""
    logits, targets, offsets = some
    n_experts = len(weights)
    combined = weighted_sum(weights[None].astype(logits.dtype), logits) + offsets
    loss, slope = cross_entropy(combined, targets, sample_weight)
    penalty = alpha * n_experts / total_weight(targets, sample_weight)
    away = weights - prior_weights
    along_weights = np.einsum("nec,nc->e", logits, slope) + 2 * penalty * away
    return loss + penalty * np.sum(away**2), along_weights

"""A router with one weight per expert, fitted by convex optimisation without a prior."""

import numpy as np
from scipy.optimize import minimize, nnls
from scipy.special import softmax

from ..._utils._docstrings import fill_doc
from ..._utils._probabilities import log_of
from ..._utils._sklearn import StrOptions
from ._base import BaseRouter, Plausible, weighted_sum
from ._static import static_loss


@fill_doc
class SuperLearnerRouter(BaseRouter):
    r"""Combine experts by one non-negative weight each, fitted without a penalty.

    The Super Learner of [2]_, SL in [1]_: one non-negative weight per expert, fitted on held-out
    logits.

    - ``loss="squared"``: probabilities are averaged, :math:`p(x) = \sum_e w_e p_e(x)`. The
      weights are the non-negative least squares solution for one-hot targets, divided by their
      sum, as in the authors' software.
    - ``loss="log_loss"``: logits are summed, :math:`z(x) = \sum_e w_e z_e(x)`. The weights, which
      need not sum to 1, minimise cross-entropy.

    Parameters
    ----------
    loss : {"squared", "log_loss"}, default="squared"
        The loss that the weights minimise.

    Attributes
    ----------
    weights_ : ndarray of shape (E,), float64
        Weight of each expert.

    See Also
    --------
    StaticRouter : Log-loss with a penalty for few rows.

    Notes
    -----
    The paper does not say which loss it uses. There is no penalty on the weights: if few rows are
    all classified correctly, ``loss="log_loss"`` ends with large weights, so that probabilities
    are near 0 and 1.

    References
    ----------
    %(paper)s
    .. [2] van der Laan, Polley and Hubbard, "Super Learner", Statistical Applications in Genetics
       and Molecular Biology 6(1), 2007.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens.ensemble import AdaptiveBackboneEnsemble
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4))]
    >>> clf = AdaptiveBackboneEnsemble(blocks, head="linear", router="super-learner")
    >>> clf.fit(X, y).router_.weights_.round(2) + 0  # of sepal and of petal
    array([0., 1.])
    """

    _parameter_constraints: dict = {"loss": [StrOptions({"squared", "log_loss"})]}

    def __init__(self, loss="squared"):
        self.loss = loss

    def _fit(self, X, logits, targets, sample_weight=None):
        solve = least_squares_weights if self.loss == "squared" else log_loss_weights
        self.weights_ = solve(logits, targets, sample_weight)

    def _weights(self, X, logits):
        return self.weights_

    def _combine(self, X, logits):
        if self.loss == "squared":
            return log_of(weighted_sum(self.weights(X, logits), softmax(logits, axis=2)))
        return super()._combine(X, logits)


def least_squares_weights(logits, targets, sample_weight=None):
    """Return non-negative weights, (E,), of probabilities, fitted to one-hot targets, of sum 1."""
    n_experts, n_classes = logits.shape[1:]
    p, wanted = softmax(logits, axis=2).swapaxes(1, 2), np.eye(n_classes)[targets]
    if sample_weight is not None:
        root = np.sqrt(sample_weight)
        p, wanted = p * root[:, None, None], wanted * root[:, None]
    weights, _ = nnls(p.reshape(-1, n_experts), wanted.ravel())
    if not weights.any():  # all experts give the true classes probability zero
        return np.full(n_experts, 1 / n_experts)
    return weights / weights.sum()


def log_loss_weights(logits, targets, sample_weight=None):
    """Return non-negative weights, (E,), of logits, (n, E, C), fitted by cross-entropy."""
    n_experts = logits.shape[1]
    # Relative to the spread of the logits, so that the solver's tolerances suit heads of any scale.
    scale = np.sqrt(np.average(logits.var(axis=2).mean(axis=1), weights=sample_weight)) or 1.0
    equal = np.full(n_experts, 1 / n_experts)
    found = minimize(
        static_loss,
        equal,
        args=(Plausible(logits / scale, targets, 0.0), equal, 0.0, sample_weight),
        jac=True,
        bounds=[(0, None)] * n_experts,
        method="L-BFGS-B",
    )
    return found.x / scale

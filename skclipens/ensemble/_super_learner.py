"""One weight per expert, found by convex optimisation."""

import numpy as np
from scipy.optimize import minimize, nnls
from scipy.special import log_softmax, softmax
from sklearn.utils._param_validation import StrOptions

from .._utils._docstrings import fill_doc
from ._averages import log_of, weighted_sum, with_unjudged
from ._base import BaseBackboneEnsemble


@fill_doc(calibrate_default="False")
class SuperLearnerEnsemble(BaseBackboneEnsemble):
    r"""Classify by a weighted sum of the experts, with weights that fit held-out rows best.

    The Super Learner of [3]_, SL in [1]_: one non-negative weight per expert, fitted on what heads
    say about rows that they have not seen.

    - ``loss="squared"``: probabilities are averaged, :math:`p(x) = \sum_e w_e p_e(x)`. The
      weights are the non-negative least squares solution for one-hot targets, divided by their
      sum, as in the authors' software.
    - ``loss="log_loss"``: logits are summed, :math:`z(x) = \sum_e w_e z_e(x)`. The weights, which
      need not sum to 1, minimise cross-entropy.

    Parameters
    ----------
    %(blocks)s
    loss : {"squared", "log_loss"}, default="squared"
        What weights minimise.
    %(head)s
    %(cv)s
    %(calibrate)s
        The default is the plain rule; weights make up for scales with ``loss="log_loss"``.
    %(class_names)s
    %(templates)s
    %(memory)s
    %(n_jobs)s
    random_state : int, RandomState instance or None, default=None
        Controls the folds, and heads that draw.

    Attributes
    ----------
    weights_ : ndarray of shape (E,), float64
        Weight of each expert. Equal weights that sum to 1 where no row could judge any expert;
        experts that are not in ``judged_`` share a weight of 1, with which their logits, divided
        by ``temperatures_``, are added.
    %(fitted)s

    See Also
    --------
    AdaptiveBackboneEnsemble : With ``router="static"``, log-loss and a prior for few rows.

    Notes
    -----
    The paper does not say which loss it takes. No prior holds the weights back: where few rows
    are all classified rightly, ``loss="log_loss"`` ends with large weights, so that probabilities
    are near 0 and 1.

    References
    ----------
    %(paper)s
    %(guo)s
    .. [3] van der Laan, Polley and Hubbard, "Super Learner", Statistical Applications in Genetics
       and Molecular Biology 6(1), 2007.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens.ensemble import SuperLearnerEnsemble
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4))]
    >>> clf = SuperLearnerEnsemble(blocks, head="linear", random_state=0).fit(X, y)
    >>> bool(abs(clf.weights_.sum() - 1) < 1e-9)
    True
    """

    _parameter_constraints: dict = {
        **BaseBackboneEnsemble._parameter_constraints,
        "loss": [StrOptions({"squared", "log_loss"})],
    }

    def __init__(
        self,
        blocks=None,
        *,
        loss="squared",
        head="auto",
        cv=5,
        calibrate=False,
        class_names=None,
        templates=None,
        memory=None,
        n_jobs=None,
        random_state=None,
    ):
        super().__init__(
            blocks,
            head=head,
            cv=cv,
            calibrate=calibrate,
            class_names=class_names,
            templates=templates,
            memory=memory,
            n_jobs=n_jobs,
            random_state=random_state,
        )
        self.loss = loss

    def _fit_combination(self, X, logits, y):
        weights = np.full(logits.shape[1], 1 / logits.shape[1])
        if len(y):
            solve = least_squares_weights if self.loss == "squared" else log_loss_weights
            weights = solve(logits, y)
        self.weights_ = with_unjudged(weights, self.judged_)

    def _combine(self, X, logits):
        weights = self.weights_[self.judged_]
        if self.loss == "squared":
            return log_of(weighted_sum(weights, softmax(logits, axis=2)))
        return weighted_sum(weights, logits)


def least_squares_weights(logits, y):
    """Non-negative weights of probabilities, fitted to one-hot targets and divided by their sum.

    Parameters
    ----------
    logits : ndarray of shape (n, E, C)
    y : ndarray of shape (n,), int

    Returns
    -------
    ndarray of shape (E,)
    """
    n_experts, n_classes = logits.shape[1:]
    p = softmax(logits, axis=2).swapaxes(1, 2).reshape(-1, n_experts)
    weights, _ = nnls(p, np.eye(n_classes)[y].ravel())
    if not weights.any():  # all experts give the true classes no probability at all
        return np.full(n_experts, 1 / n_experts)
    return weights / weights.sum()


def log_loss_weights(logits, y):
    """Non-negative weights of logits, fitted by cross-entropy.

    Parameters
    ----------
    logits : ndarray of shape (n, E, C)
    y : ndarray of shape (n,), int

    Returns
    -------
    ndarray of shape (E,)
    """
    n_experts = logits.shape[1]
    # Relative to the spread of the logits, so that the solver's tolerances suit heads of any scale.
    scale = np.std(logits - logits.mean(axis=2, keepdims=True)) or 1.0
    found = minimize(
        log_loss,
        np.full(n_experts, 1 / n_experts),
        args=(logits / scale, y),
        jac=True,
        bounds=[(0, None)] * n_experts,
        method="L-BFGS-B",
    )
    return found.x / scale


def log_loss(weights, logits, y):
    """Mean cross-entropy of the weighted sum, and its gradient."""
    rows = np.arange(len(y))
    log_p = log_softmax(weighted_sum(weights, logits), axis=1)
    error = np.exp(log_p)
    error[rows, y] -= 1
    return -log_p[rows, y].mean(), np.einsum("nec,nc->e", logits, error) / len(y)

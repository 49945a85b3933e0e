"""A router with one weight per expert, found by evolution."""

from numbers import Integral

import numpy as np
from scipy.optimize import differential_evolution

from ..._utils._docstrings import fill_doc
from ..._utils._linalg import row_batches
from ..._utils._progress import progress
from ..._utils._random import draw_seed
from ..._utils._sklearn import Interval
from ...heads._losses import log_proba_of
from ._base import BaseRouter

_MAX_CHUNK = 2**17  # numbers at a time: 1 MiB, which fits in a processor's cache
_SMALLEST_UNIT = 0.01  # of the mean weight


@fill_doc
class GeneticRouter(BaseRouter):
    r"""Combine experts by one weight each, found by evolution.

    The static weights :math:`w \in [0, 1]^E` maximise the accuracy of
    :math:`z(x) = \sum_e w_e z_e(x)` on rows that the heads have not seen; among equally accurate
    weights, those with the lower log-loss are fitter. GAC in [1]_.

    Parameters
    ----------
    population : int, default=15
        Size of the population, per expert.
    max_iter : int, default=100
        Largest number of generations. Evolution ends earlier if the population has converged.
    random_state : int, RandomState instance or None, default=None
        Controls evolution.
    verbose : bool or int, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    weights_ : ndarray of shape (E,), float64
        Weight of each expert's logits.
    n_iter_ : int
        Number of generations.

    See Also
    --------
    SuperLearnerRouter : Weights by convex optimisation, in less time.

    Notes
    -----
    The paper gives no settings of its genetic algorithm. Here it is differential evolution [2]_,
    SciPy's evolutionary optimiser for real numbers. The logit average is in the first generation
    and the fittest always survive, so the result is at least as accurate as the logit average on
    the rows that it is fitted on; if rows have unequal weights, up to the smallest of them
    or a hundredth of the mean weight, if that is more.
    The time of a generation is proportional to rows x classes x E² x ``population``; memory
    beside the logits is bounded.

    References
    ----------
    %(paper)s
    .. [2] Storn and Price, "Differential Evolution: A Simple and Efficient Heuristic for Global
       Optimization over Continuous Spaces", Journal of Global Optimization 11, 1997.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens.ensemble import AdaptiveBackboneEnsemble, GeneticRouter
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4))]
    >>> router = GeneticRouter(max_iter=20, random_state=0)
    >>> clf = AdaptiveBackboneEnsemble(blocks, head="linear", router=router).fit(X, y)
    >>> clf.expert_names_[clf.router_.weights_ > 0.5]
    array(['petal'], dtype=object)
    """

    _parameter_constraints: dict = {
        "population": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(self, *, population=15, max_iter=100, random_state=None, verbose=False):
        self.population = population
        self.max_iter = max_iter
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, X, logits, targets, sample_weight=None):
        seed = draw_seed(self.random_state)
        n_experts = logits.shape[1]
        with progress(self.max_iter, self.verbose, desc="GeneticRouter", unit="generation") as bar:
            found = differential_evolution(
                unfitness,
                [(0, 1)] * n_experts,
                args=(np.ascontiguousarray(logits.swapaxes(0, 1)), targets, sample_weight),
                x0=np.full(n_experts, 1 / n_experts),
                popsize=self.population,
                maxiter=self.max_iter,
                tol=0,
                atol=1e-4,
                seed=seed,
                polish=False,  # accuracy has no gradient
                updating="deferred",
                vectorized=True,
                callback=lambda *_, **__: bar.update() and None,
            )
        self.weights_, self.n_iter_ = found.x, max(found.nit, 1)

    def _weights(self, X, logits):
        return self.weights_


def unfitness(weights, logits, targets, sample_weight=None):
    """Return the number of errors of a weighted sum of logits, plus log-loss mapped below 1, (S,).

    Weights, (E, S), have one column for each of S individuals; logits are (E, n, C). An error
    counts as the weight of its row, and the smallest weight counts as 1; see :func:`_unit`.
    """
    n_experts, n, n_classes = logits.shape
    weights = weights.reshape(n_experts, -1)
    sample_weight = np.ones(n) if sample_weight is None else sample_weight / _unit(sample_weight)
    errors, losses = np.zeros((2, weights.shape[1]))
    for rows in row_batches(n, weights.shape[1] * n_classes, values=_MAX_CHUNK):
        sums = np.tensordot(weights, logits[:, rows], axes=(0, 0))  # (S, rows, C)
        errors += (sums.argmax(axis=2) != targets[rows]) @ sample_weight[rows]
        found = log_proba_of(sums.reshape(-1, n_classes), np.tile(targets[rows], len(sums)))
        losses -= found.reshape(len(sums), -1) @ sample_weight[rows]
    loss = losses / sample_weight.sum()
    return errors + loss / (1 + loss)


def _unit(sample_weight):
    """Return the smallest weight, or a hundredth of the mean weight if that is more.

    Errors in rows of less than that hardly count beside the log-loss.
    """
    return max(sample_weight[sample_weight > 0].min(), _SMALLEST_UNIT * sample_weight.mean())

"""One weight per expert, found by evolution."""

from numbers import Integral

import numpy as np
from scipy.optimize import differential_evolution
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from .._utils._docstrings import fill_doc
from ._averages import weighted_sum, with_unjudged
from ._base import BaseBackboneEnsemble

_MAX_CHUNK = 2**17  # numbers at a time: 1 MiB, which stays in a processor's cache


@fill_doc(calibrate_default="False")
class GeneticEnsemble(BaseBackboneEnsemble):
    r"""Classify by a weighted sum of logits, with weights that evolution finds.

    The static weights :math:`w \in [0, 1]^E` maximise the accuracy of
    :math:`z(x) = \sum_e w_e z_e(x)` on rows that the heads have not seen; of weights that are as
    accurate, those with the lower log-loss are fitter. GAC in [1]_.

    Parameters
    ----------
    %(blocks)s
    %(head)s
    %(cv)s
    %(calibrate)s
        The default is the plain rule: weights can make up for the scales of the logits.
    %(class_names)s
    %(templates)s
    population : int, default=15
        Size of the population, per expert.
    max_iter : int, default=100
        Largest number of generations. Evolution ends before where the population has become one.
    %(memory)s
    %(n_jobs)s
    random_state : int, RandomState instance or None, default=None
        Controls evolution, the folds, and heads that draw.

    Attributes
    ----------
    weights_ : ndarray of shape (E,), float64
        Weight of each expert's logits, divided by ``temperatures_``. Equal weights that sum to 1
        where no row could judge any expert; experts that are not in ``judged_`` share a weight
        of 1.
    n_iter_ : int
        Number of generations.
    %(fitted)s

    See Also
    --------
    SuperLearnerEnsemble : Weights by convex optimisation, in less time.

    Notes
    -----
    The paper gives no settings of its genetic algorithm. Here it is differential evolution [3]_,
    SciPy's evolutionary optimiser for real numbers. The logit average is in the first generation
    and the fittest always survive, so that on the rows that judge no average is more accurate.
    The time of a generation is proportional to rows x classes x E² x ``population``; memory
    beside the logits is bounded.

    References
    ----------
    %(paper)s
    %(guo)s
    .. [3] Storn and Price, "Differential Evolution: A Simple and Efficient Heuristic for Global
       Optimization over Continuous Spaces", Journal of Global Optimization 11, 1997.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens.ensemble import GeneticEnsemble
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4))]
    >>> clf = GeneticEnsemble(blocks, head="linear", max_iter=20, random_state=0).fit(X, y)
    >>> bool(clf.weights_.min() >= 0 and clf.weights_.max() <= 1)
    True
    """

    _parameter_constraints: dict = {
        **BaseBackboneEnsemble._parameter_constraints,
        "population": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        blocks=None,
        *,
        head="auto",
        cv=5,
        calibrate=False,
        class_names=None,
        templates=None,
        population=15,
        max_iter=100,
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
        self.population = population
        self.max_iter = max_iter

    def _fit_combination(self, X, logits, y):
        weights, self.n_iter_ = np.full(logits.shape[1], 1 / logits.shape[1]), 1
        if len(y):
            weights, self.n_iter_ = self._evolve(logits, y)
        self.weights_ = with_unjudged(weights, self.judged_)

    def _evolve(self, logits, y):
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        n_experts = logits.shape[1]
        found = differential_evolution(
            unfitness,
            [(0, 1)] * n_experts,
            args=(np.ascontiguousarray(logits.swapaxes(0, 1)), y),
            x0=np.full(n_experts, 1 / n_experts),
            popsize=self.population,
            maxiter=self.max_iter,
            tol=0,
            atol=1e-4,
            seed=seed,
            polish=False,  # accuracy has no slope
            updating="deferred",
            vectorized=True,
        )
        return found.x, max(found.nit, 1)

    def _combine(self, X, logits):
        return weighted_sum(self.weights_[self.judged_], logits)


def unfitness(weights, logits, y):
    """Number of errors of a weighted sum of logits, plus log-loss squeezed below 1.

    Parameters
    ----------
    weights : ndarray of shape (E, S)
        One column for each of S individuals.
    logits : ndarray of shape (E, n, C)
    y : ndarray of shape (n,), int

    Returns
    -------
    ndarray of shape (S,)
    """
    n_experts, n, n_classes = logits.shape
    weights = weights.reshape(n_experts, -1)
    errors, losses = np.zeros((2, weights.shape[1]))
    step = max(_MAX_CHUNK // (weights.shape[1] * n_classes), 1)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        sums = np.tensordot(weights, logits[:, rows], axes=(0, 0))  # (S, rows, C)
        errors += np.count_nonzero(sums.argmax(axis=2) != y[rows], axis=1)
        sums -= sums.max(axis=2, keepdims=True)
        losses -= np.take_along_axis(sums, y[None, rows, None], axis=2).sum(axis=(1, 2))
        losses += np.log(np.exp(sums, out=sums).sum(axis=2)).sum(axis=1)
    loss = losses / n
    return errors + loss / (1 + loss)

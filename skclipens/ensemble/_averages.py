"""Rules that learn nothing but temperatures: averages, and the most confident expert."""

import numpy as np
from scipy.special import logsumexp, softmax

from .._utils._docstrings import fill_doc
from ._base import BaseBackboneEnsemble


class FixedRuleEnsemble(BaseBackboneEnsemble):
    """A rule with nothing to fit. Without calibration no expert needs to be judged."""

    def __init__(
        self,
        blocks=None,
        *,
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

    def _fit_temperatures(self, X, logits, targets):
        if self.calibrate:
            return super()._fit_temperatures(X, logits, targets)
        return np.ones(len(self.experts_))

    def _logits_of(self, X):
        if self.calibrate:
            return super()._logits_of(X)
        return self._combine(X, self._expert_logits(X))


def log_of(p):
    """Finite logarithm of probabilities, of their type."""
    return np.log(np.maximum(p, np.finfo(p.dtype).tiny))


def weighted_sum(weights, logits):
    """Sum over experts of (n, E, C), in the logits' type."""
    return np.einsum("e,nec->nc", weights.astype(logits.dtype), logits)


def with_unjudged(weights, judged):
    """Weights (..., E) of all experts; those that no row can judge have equal shares of 1."""
    share = 1 / max(np.count_nonzero(~judged), 1)
    full = np.full((*weights.shape[:-1], len(judged)), share, weights.dtype)
    full[..., judged] = weights
    return full


@fill_doc(calibrate_default="False")
class LogitAverageEnsemble(FixedRuleEnsemble):
    r"""Classify by the mean of the experts' logits.

    :math:`z(x) = \frac{1}{E} \sum_e z_e(x)`: Log-Avg in [1]_, and C-Log-Avg with
    ``calibrate=True``.

    Parameters
    ----------
    %(blocks)s
    %(head)s
    %(cv)s
    %(calibrate)s
        The default is the plain rule. Where experts are of several kinds, and so are the scales
        of their logits, True is the better choice.
    %(class_names)s
    %(templates)s
    %(memory)s
    %(n_jobs)s
    random_state : int, RandomState instance or None, default=None
        Controls the folds, and heads that draw.

    Attributes
    ----------
    %(fitted)s

    See Also
    --------
    ProbabilityAverageEnsemble : Averages probabilities.
    SuperLearnerEnsemble : Learns one weight per expert.

    Notes
    -----
    Without calibration all experts count the same, whether or not they are in ``judged_``.

    References
    ----------
    %(paper)s
    %(guo)s

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens.ensemble import LogitAverageEnsemble
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4))]
    >>> clf = LogitAverageEnsemble(blocks, head="linear").fit(X, y)
    >>> logits = [head.decision_function(X[:, columns]) for _, head, columns in clf.experts_]
    >>> bool(abs(clf.decision_function(X) - sum(logits) / 2).max() < 1e-9)
    True
    """

    def _combine(self, X, logits):
        return logits.mean(axis=1)


@fill_doc(calibrate_default="False")
class ProbabilityAverageEnsemble(FixedRuleEnsemble):
    r"""Classify by the mean of the experts' probabilities.

    :math:`p(x) = \frac{1}{E} \sum_e \mathrm{softmax}(z_e(x))`: soft voting, as in
    :class:`sklearn.ensemble.VotingClassifier`. ``decision_function`` gives log-probabilities.

    Parameters
    ----------
    %(blocks)s
    %(head)s
    %(cv)s
    %(calibrate)s
        The default is the plain rule. Where experts are of several kinds, True keeps those
        that are too sure of themselves from outvoting the others.
    %(class_names)s
    %(templates)s
    %(memory)s
    %(n_jobs)s
    random_state : int, RandomState instance or None, default=None
        Controls the folds, and heads that draw.

    Attributes
    ----------
    %(fitted)s

    See Also
    --------
    LogitAverageEnsemble : Averages logits.

    Notes
    -----
    Without calibration all experts count the same, whether or not they are in ``judged_``.
    This rule is not among those of [1]_.

    References
    ----------
    %(paper)s
    %(guo)s

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens.ensemble import ProbabilityAverageEnsemble
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4))]
    >>> clf = ProbabilityAverageEnsemble(blocks, head="linear").fit(X, y)
    >>> mean = clf.expert_proba(X).mean(axis=1)
    >>> bool(abs(clf.predict_proba(X) - mean).max() < 1e-9)
    True
    """

    def _combine(self, X, logits):
        return log_of(softmax(logits, axis=2).mean(axis=1))


@fill_doc(calibrate_default="False")
class ConfidenceEnsemble(FixedRuleEnsemble):
    r"""Let the most confident expert decide.

    Each row gets the logits of expert :math:`\arg\max_e \max_c p_{ec}(x)`, the first in a tie:
    Conf in [1]_, and C-Conf with ``calibrate=True``.

    Parameters
    ----------
    %(blocks)s
    %(head)s
    %(cv)s
    %(calibrate)s
        The default is the plain rule. Confidences of different experts are comparable only once
        they are calibrated.
    %(class_names)s
    %(templates)s
    %(memory)s
    %(n_jobs)s
    random_state : int, RandomState instance or None, default=None
        Controls the folds, and heads that draw.

    Attributes
    ----------
    %(fitted)s

    See Also
    --------
    AdaptiveBackboneEnsemble : Learns how far to trust each expert for each row.

    Notes
    -----
    Without calibration all experts compete, whether or not they are in ``judged_``.

    References
    ----------
    %(paper)s
    %(guo)s

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens.ensemble import ConfidenceEnsemble
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4))]
    >>> clf = ConfidenceEnsemble(blocks, head="linear", random_state=0).fit(X, y)
    >>> highest = clf.expert_proba(X).max(axis=(1, 2))
    >>> bool(abs(clf.predict_proba(X).max(axis=1) - highest).max() < 1e-9)
    True
    """

    def _combine(self, X, logits):
        # Ranked by the odds of all other classes: near 1, probabilities are rounded to ties.
        odds = logits - logits.max(axis=2, keepdims=True)
        np.put_along_axis(odds, logits.argmax(axis=2)[..., None], -np.inf, axis=2)
        return logits[np.arange(len(logits)), logsumexp(odds, axis=2).argmin(axis=1)]

"""Routers that learn nothing: averages, the most confident expert, votes."""

from numbers import Integral

import numpy as np
from scipy.special import logsumexp, softmax

from ..._utils._docstrings import fill_doc
from ..._utils._probabilities import log_of
from ..._utils._sklearn import Interval
from ._base import BaseRouter


@fill_doc
class UniformRouter(BaseRouter):
    """Average the experts' logits.

    Log-Avg in [1]_ without calibration of the experts, C-Log-Avg with it.

    See Also
    --------
    StaticRouter : Weights that are fitted.
    ProbabilityRouter : The mean of probabilities.

    References
    ----------
    %(paper)s

    Examples
    --------
    >>> from skclipens.ensemble import AdaptiveBackboneEnsemble, UniformRouter
    >>> AdaptiveBackboneEnsemble("zoo", router=UniformRouter()).router
    UniformRouter()
    """

    def _weights(self, X, logits):
        return 1 / logits.shape[1]


@fill_doc
class ConfidenceRouter(BaseRouter):
    r"""Give all weight to the most confident expert.

    Each row gets the logits of expert :math:`\arg\max_e \max_c p_{ec}(x)`, the first in a tie:
    Conf in [1]_ without calibration of the experts, C-Conf with it. Confidences of different
    experts are comparable only once they are calibrated.

    See Also
    --------
    VoteRouter : Plurality of the experts' votes.
    ProbabilityRouter : The mean of probabilities.

    References
    ----------
    %(paper)s

    Examples
    --------
    >>> import numpy as np
    >>> from skclipens.ensemble import ConfidenceRouter
    >>> logits = np.array([[[0.0, 1.0], [3.0, 0.0]]])
    >>> ConfidenceRouter().weights(None, logits)
    array([[0., 1.]])
    """

    def _weights(self, X, logits):
        # Ranked by the odds of the other classes, since probabilities near 1 round to ties.
        odds = logits - logits.max(axis=2, keepdims=True)
        np.put_along_axis(odds, logits.argmax(axis=2)[..., None], -np.inf, axis=2)
        return np.eye(logits.shape[1])[logsumexp(odds, axis=2).argmin(axis=1)]


class ProbabilityRouter(BaseRouter):
    r"""Average the experts' probabilities.

    :math:`p(x) = \frac{1}{E} \sum_e \mathrm{softmax}(z_e(x))`: soft voting, as in
    :class:`sklearn.ensemble.VotingClassifier`. The combined logits are log-probabilities.

    See Also
    --------
    UniformRouter : The mean of logits.

    Examples
    --------
    >>> import numpy as np
    >>> from skclipens.ensemble import ProbabilityRouter
    >>> logits = np.log([[[0.5, 0.5], [0.9, 0.1]]])
    >>> np.exp(ProbabilityRouter().combine(None, logits)).round(2)
    array([[0.7, 0.3]])
    """

    def _combine(self, X, logits):
        return log_of(softmax(logits, axis=2).mean(axis=1))


@fill_doc
class VoteRouter(BaseRouter):
    r"""Predict the plurality of the experts' votes.

    Each expert votes for its ``n_votes`` most probable classes, and the class with most votes wins.
    Ties are broken by the mean probability of all experts. Vote top-1 and Vote top-3 in [1]_, which
    does not say how ties are broken.

    Parameters
    ----------
    n_votes : int, default=1
        Number of classes that each expert votes for. With as many as there are classes, all are
        tied and the rule becomes that of :class:`ProbabilityRouter`.

    See Also
    --------
    ConfidenceRouter : The most confident expert decides.

    Notes
    -----
    The combined logits are the logarithms of :math:`(v_c + \bar p_c) / (1 + \sum_k v_k)`, where
    :math:`v_c` counts the votes for class c and :math:`\bar p_c` is its mean probability: shares of
    votes, with one more vote that is split as the mean of all experts. They rank classes as the
    rule does and are not meant as calibrated.

    References
    ----------
    %(paper)s

    Examples
    --------
    >>> import numpy as np
    >>> from skclipens.ensemble import VoteRouter
    >>> logits = np.log([[[0.4, 0.6], [0.4, 0.6], [0.9, 0.1]]])
    >>> VoteRouter().combine(None, logits).argmax(axis=1)
    array([1])
    """

    _parameter_constraints: dict = {"n_votes": [Interval(Integral, 1, None, closed="left")]}

    def __init__(self, n_votes=1):
        self.n_votes = n_votes

    def _combine(self, X, logits):
        ballots = count_votes(logits, self.n_votes) + softmax(logits, axis=2).mean(axis=1)
        return log_of(ballots / ballots.sum(axis=1, keepdims=True))


def count_votes(logits, n_votes):
    """Count votes (n, C) of experts, each for its ``n_votes`` largest logits, (n, E, C).

    If logits are tied, an expert votes for the first of these classes.
    """
    chosen = np.argsort(-logits, axis=2, kind="stable")[..., :n_votes]
    votes = np.zeros_like(logits)
    np.put_along_axis(votes, chosen, 1, axis=2)
    return votes.sum(axis=1)

"""Votes for classes."""

from numbers import Integral

import numpy as np
from scipy.special import softmax
from sklearn.utils._param_validation import Interval

from .._utils._docstrings import fill_doc
from ._averages import FixedRuleEnsemble, log_of


@fill_doc(calibrate_default="False")
class VotingEnsemble(FixedRuleEnsemble):
    r"""Classify by plurality of the experts' votes.

    Each expert votes for its ``n_votes`` likeliest classes; the class with most votes wins. Of
    classes with as many votes, the one wins to which the experts together give the higher
    probability. Vote top-1 and Vote top-3 in [1]_, which does not say how ties are broken.

    Parameters
    ----------
    %(blocks)s
    n_votes : int, default=1
        Number of classes that each expert votes for. With as many as there are classes, all are
        tied and the rule becomes that of :class:`ProbabilityAverageEnsemble`.
    %(head)s
    %(cv)s
    %(calibrate)s
        Votes stay the same; what changes is how ties are broken.
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
    ProbabilityAverageEnsemble : Averages probabilities, also known as soft voting.

    Notes
    -----
    ``predict_proba`` gives :math:`(v_c + \bar p_c) / (1 + \sum_k v_k)`, where :math:`v_c` counts
    the votes for class c and :math:`\bar p_c` is its mean probability: shares of votes, with one
    more vote that is split as the mean of all experts. They rank classes as the rule does and are
    not meant as calibrated. ``decision_function`` gives their logarithms.

    Without calibration all experts vote, whether or not they are in ``judged_``.

    References
    ----------
    %(paper)s
    %(guo)s

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens.ensemble import VotingEnsemble
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4)), ("all", slice(0, 4))]
    >>> clf = VotingEnsemble(blocks, head="linear").fit(X, y)
    >>> votes = clf.expert_proba(X).argmax(axis=2)
    >>> unanimous = (votes == votes[:, :1]).all(axis=1)
    >>> bool(clf.predict_proba(X)[unanimous].max(axis=1).min() > 3 / 4)
    True
    """

    _parameter_constraints: dict = {
        **FixedRuleEnsemble._parameter_constraints,
        "n_votes": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        blocks=None,
        *,
        n_votes=1,
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
        self.n_votes = n_votes

    def _combine(self, X, logits):
        votes = count_votes(logits, self.n_votes)
        ballots = votes + softmax(logits, axis=2).mean(axis=1)
        return log_of(ballots / ballots.sum(axis=1, keepdims=True))


def count_votes(logits, n_votes):
    """Votes (n, C) of experts, each for its ``n_votes`` largest logits, (n, E, C).

    An expert that cannot tell classes apart votes for the first of them.
    """
    chosen = np.argsort(-logits, axis=2, kind="stable")[..., :n_votes]
    votes = np.zeros_like(logits)
    np.put_along_axis(votes, chosen, 1, axis=2)
    return votes.sum(axis=1)

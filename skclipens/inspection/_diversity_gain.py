"""Plot the gain of combinations against the diversity of their members."""

import itertools
from numbers import Integral

import numpy as np
from sklearn.utils import check_scalar

from .._utils._docstrings import fill_doc
from .._utils._warnings import each_warning_once
from ..metrics import disagreement_matrix
from ..metrics._checks import check_combined
from ._display import annotate_points, expert_logits, split_ensemble, start_plot
from ._style import MIDDLE, short_names

_JOIN = " + "  # between the members of a combination


class DiversityGainDisplay:
    """Gain of combinations over their best member, against the diversity of their members.

    Diversity is the share of rows for which two members predict different labels, in the mean over
    pairs. The gain is the accuracy of a combination minus that of its best member. The best member
    is chosen on the same rows, so its accuracy is optimistic.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    names : sequence of n str
        Names of the combinations.
    diversities : ndarray of shape (n,)
        Mean disagreement of their members, between 0 and 1.
    gains : ndarray of shape (n,)
        Gain in accuracy, between -1 and 1.

    Attributes
    ----------
    points_ : matplotlib PathCollection
        The points.
    text_ : list of matplotlib Annotation
        The names, if they are shown.
    ax_ : matplotlib Axes
        Axes with the points.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    skclipens.metrics.disagreement_matrix : Disagreement of each pair.
    skclipens.metrics.headroom_closed_score : Gain relative to what an oracle would gain.

    Examples
    --------
    A point per data set:

    >>> from skclipens.inspection import DiversityGainDisplay
    >>> animals = ["cat", "dog"], [["cat", "dog"], ["cat", "dog"]], ["cat", "dog"]
    >>> digits = [1, 2, 3, 4], [[1, 1], [2, 2], [3, 3], [0, 4]], [1, 2, 3, 4]
    >>> display = DiversityGainDisplay.from_predictions({"animals": animals, "digits": digits})
    >>> display.diversities.tolist(), display.gains.tolist()
    ([1.0, 0.25], [0.5, 0.0])
    """

    def __init__(self, names, diversities, gains):
        self.names = names
        self.diversities = diversities
        self.gains = gains

    @classmethod
    @each_warning_once()
    @fill_doc
    def from_estimator(
        cls, estimator, X, y, *, n_members=2, annotate="auto", sample_weight=None, ax=None, **kwargs
    ):
        """Plot all pairs of experts of a fitted ensemble, each combined by its logit average.

        The calibrated logits of the experts are averaged; the router is not used.

        Parameters
        ----------
        %(to_plot)s
        n_members : int, default=2
            Number of experts in each combination.
        %(annotate)s
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.
        %(ax)s
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.scatter`.

        Returns
        -------
        DiversityGainDisplay
            The display, which is drawn.

        Raises
        ------
        %(raises_of_plots)s
        TypeError, ValueError
            If `n_members` is no integer from 2 to the number of experts.

        Warns
        -----
        %(warns_of_plots)s
        """
        ensemble, X = split_ensemble(estimator, X, y, sample_weight=sample_weight)
        names = ensemble.expert_names_
        check_scalar(n_members, "n_members", Integral)
        if not 2 <= n_members <= len(names):
            raise ValueError(
                f"n_members must be between 2 and the number of experts, {len(names)}; got "
                f"{n_members}."
            )
        logits = expert_logits(ensemble, X)
        predictions = ensemble.classes_[logits.argmax(axis=2)]
        given = {
            _JOIN.join(names[list(members)]): (
                y,
                predictions[:, members],
                ensemble.classes_[logits[:, members].mean(axis=1).argmax(axis=1)],
            )
            for members in itertools.combinations(range(len(names)), n_members)
        }
        display = cls(*_measure(given, sample_weight))
        return display.plot(annotate=annotate, ax=ax, **kwargs)

    @classmethod
    @each_warning_once()
    @fill_doc
    def from_predictions(cls, combinations, *, annotate="auto", ax=None, **kwargs):
        """Plot given predictions of combinations and of their members.

        Parameters
        ----------
        combinations : dict of str to (y_true, predictions, y_pred)
            For each combination, which can have its own data: true labels of shape (n,), labels
            that its E members predict, of shape (n, E), and labels that the combination predicts,
            of shape (n,).
        %(annotate)s
        %(ax)s
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.scatter`.

        Returns
        -------
        DiversityGainDisplay
            The display, which is drawn.

        Raises
        ------
        ValueError
            If there is no combination, or one has fewer than two members, or shapes do not fit
            together.
        TypeError
            If `combinations` is not a dict.

        Warns
        -----
        SuspectedMistakeWarning
            If true and predicted labels seem to be written or numbered differently, or to be in
            another order.
        """
        return cls(*_measure(combinations)).plot(annotate=annotate, ax=ax, **kwargs)

    @fill_doc
    def plot(self, *, annotate="auto", ax=None, **kwargs):
        """Plot the points.

        Parameters
        ----------
        %(annotate)s
        %(ax)s
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.scatter`.

        Returns
        -------
        DiversityGainDisplay
            This object.
        """
        ax = start_plot(self, ax, (7, 4.8))
        ax.axhline(0, color=MIDDLE, linestyle=":")
        self.points_ = ax.scatter(self.diversities, self.gains, **kwargs)
        ax.margins(0.1)
        ax.set(xlabel="Disagreement of members (share of rows)")
        ax.set(ylabel="Gain in accuracy over the best member")
        ax.grid(alpha=0.3)
        if "label" in kwargs:
            ax.legend()
        points = self.diversities, self.gains, _short(self.names)
        self.text_ = annotate_points(ax, *points, annotate)
        return self


def _short(names):
    """Return the names of combinations, with the names of members shortened but distinct."""
    members = [name.split(_JOIN) for name in names]
    distinct = list(dict.fromkeys(one for several in members for one in several))
    short = dict(zip(distinct, short_names(distinct)))
    return [_JOIN.join(short[one] for one in several) for several in members]


def _measure(combinations, sample_weight=None):
    """Return names, diversities and gains of combinations."""
    if not hasattr(combinations, "items"):
        raise TypeError(
            "combinations must be a dict from names to (y_true, predictions, y_pred); got a "
            f"{type(combinations).__name__}."
        )
    if not len(combinations):
        raise ValueError("combinations is empty; give at least one.")
    given = [(name, *_triple(name, one)) for name, one in combinations.items()]
    measured = [_measure_one(*one, sample_weight) for one in given]
    diversities, gains = np.transpose(measured)
    return [str(name) for name in combinations], diversities, gains


def _triple(name, given):
    if isinstance(given, (tuple, list)) and len(given) == 3:
        return given
    kind = type(given).__name__
    got = f"{kind} of {len(given)}" if isinstance(given, (tuple, list)) else kind
    raise ValueError(
        f"combinations[{name!r}] must be (y_true, predictions, y_pred): true labels, those that "
        f"the members predict, and those that the combination predicts; got {got}."
    )


def _measure_one(name, y_true, predictions, y_pred, sample_weight):
    correct, right, sample_weight = check_combined(y_true, predictions, y_pred, sample_weight)
    matrix = disagreement_matrix(predictions, sample_weight=sample_weight).to_numpy()
    if len(matrix) < 2:
        raise ValueError(f"Combination {name!r} has one member; diversity needs two.")
    best, gained = (np.average(of, axis=0, weights=sample_weight).max() for of in (correct, right))
    return matrix[np.triu_indices(len(matrix), 1)].mean(), gained - best

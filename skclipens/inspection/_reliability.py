"""Plot accuracy against confidence."""

import numpy as np

from .._utils._docstrings import fill_doc
from .._utils._known_labels import label_of_rejected
from .._utils._probabilities import labels_and_proba
from .._utils._warnings import each_warning_once
from ..heads._classifier import warn_of_suspect_labels
from ..metrics._calibration import check_bins, top_label_bins
from ._display import split_classifier, start_plot


class ReliabilityDisplay:
    """Reliability diagram: accuracy against confidence in the predicted label.

    The diagram is that of [1]_. Unlike :class:`sklearn.calibration.CalibrationDisplay`, it is for
    any number of classes. The area of a point is the share of rows in its bin.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    confidence : ndarray of shape (n_bins,)
        Mean probability of the predicted label in each bin that is not empty.
    accuracy : ndarray of shape (n_bins,)
        Accuracy in each of these bins.
    share : ndarray of shape (n_bins,)
        Share of rows in each of these bins.
    name : str, default=None
        Name of the classifier in the legend.

    Attributes
    ----------
    expected_calibration_error : float
        Mean distance between confidence and accuracy, weighted by share.
    line_ : matplotlib Line2D
        The curve.
    points_ : matplotlib PathCollection
        The points of the bins.
    ax_ : matplotlib Axes
        Axes with the curve.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    skclipens.metrics.expected_calibration_error : The number in the legend.

    References
    ----------
    .. [1] Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.

    Examples
    --------
    Several classifiers on the same axes:

    >>> from sklearn.datasets import load_iris
    >>> from skclipens import AdaptiveBackboneEnsemble
    >>> from skclipens.inspection import ReliabilityDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4))]
    >>> clf = AdaptiveBackboneEnsemble(blocks, head="linear", random_state=0).fit(X, y)
    >>> display = ReliabilityDisplay.from_estimator(clf, X, y, name="ensemble")
    >>> _ = ReliabilityDisplay.from_predictions(
    ...     y, clf.expert_proba(X)[:, 0], name="sepal", ax=display.ax_
    ... )
    """

    def __init__(self, confidence, accuracy, share, *, name=None):
        self.confidence = confidence
        self.accuracy = accuracy
        self.share = share
        self.name = name

    @property
    def expected_calibration_error(self):
        """Mean distance between confidence and accuracy, weighted by share."""
        return float(self.share @ np.abs(self.confidence - self.accuracy))

    @classmethod
    @each_warning_once()
    @check_bins
    @fill_doc
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        n_bins=15,
        strategy="uniform",
        sample_weight=None,
        name=None,
        ax=None,
        **kwargs,
    ):
        """Plot the reliability of a fitted classifier.

        Parameters
        ----------
        estimator : classifier
            A fitted classifier with ``predict_proba``, of scikit-learn or of this package.
        X : array-like of shape (n, ...)
            Input of `estimator`.
        y : array-like of shape (n,)
            True labels. Rows with the ``reject_label`` of an
            :class:`~skclipens.labels.OpenSetClassifier` are left out.
        %(bins)s
        %(weights_of_rows)s
        name : str, default=None
            Name of the classifier in the legend. None: the name of its class.
        %(ax)s
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        ReliabilityDisplay
            The display, which is drawn.

        Raises
        ------
        %(raises_of_plots)s

        Warns
        -----
        SuspectedMistakeWarning
            If labels of `y` did not occur in ``fit`` or seem to be exchanged, if `y` or weights
            are in another order than X, or if some, but not all, are rows that an
            ensemble was fitted on.
        """
        classifier, X = split_classifier(
            estimator, X, y, "predict_proba", sample_weight=sample_weight
        )
        predicted, proba = labels_and_proba(classifier, X)
        warn_of_suspect_labels(classifier, X, y, predicted)
        rejected = [label_of_rejected(classifier)]
        of_rows = y, proba, classifier.classes_
        bins = top_label_bins(*of_rows, n_bins, strategy, sample_weight, rejected)
        name = type(estimator).__name__ if name is None else name
        return cls(*bins, name=name).plot(ax=ax, **kwargs)

    @classmethod
    @check_bins
    @fill_doc
    def from_predictions(
        cls,
        y_true,
        y_proba,
        *,
        labels=None,
        n_bins=15,
        strategy="uniform",
        sample_weight=None,
        name=None,
        ax=None,
        **kwargs,
    ):
        """Plot the reliability of given probabilities.

        Parameters
        ----------
        %(y_and_proba)s
        labels : array-like of shape (C,), default=None
            Labels of the columns of `y_proba`. None: the sorted labels of `y_true`.
        %(bins)s
        %(weights_of_rows)s
        name : str, default=None
            Name of the classifier in the legend.
        %(ax)s
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        ReliabilityDisplay
            The display, which is drawn.

        Raises
        ------
        ValueError
            If shapes do not fit together, or rows of `y_proba` are not probabilities.
        """
        bins = top_label_bins(y_true, y_proba, labels, n_bins, strategy, sample_weight)
        return cls(*bins, name=name).plot(ax=ax, **kwargs)

    @fill_doc
    def plot(self, *, ax=None, name=None, **kwargs):
        """Plot the curve.

        Parameters
        ----------
        %(ax)s
        name : str, default=None
            Name of the classifier in the legend. None: that of the display.
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        ReliabilityDisplay
            This object.
        """
        ax = start_plot(self, ax, (5, 5.6))
        if "Perfectly calibrated" not in ax.get_legend_handles_labels()[1]:
            ax.plot([0, 1], [0, 1], "k:", label="Perfectly calibrated")
            ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
            ax.set(xlabel="Confidence in the predicted label", ylabel="Accuracy")
        name = self.name if name is None else name
        error = f"ECE {self.expected_calibration_error:.3f}"
        style = {"label": error if name is None else f"{name} ({error})", **kwargs}
        (self.line_,) = ax.plot(self.confidence, self.accuracy, **style)
        self.points_ = ax.scatter(
            self.confidence,
            self.accuracy,
            s=5 + 400 * np.asarray(self.share),
            color=self.line_.get_color(),
            alpha=0.6,
            linewidth=0,
        )
        # Above the axes, since curves may be anywhere inside them.
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
        return self

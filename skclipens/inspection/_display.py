"""Shared parts of displays: the ensemble at the end of a pipeline, axes and names of points."""

from operator import itemgetter

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from .._utils._known_labels import known_labels, warn_of_unknown_labels
from .._utils._labels import refuse_unlabeled
from .._utils._sample_arguments import warn_of_other_order
from ..embedding._image_columns import table_of
from ..heads._classifier import warn_of_suspect_labels
from ._style import PrintFigure, cycle

_LEADER = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.7, "shrinkA": 0, "shrinkB": 2}
# Offsets of a name from its point, in typographic points: beside it, and joined to it by a line.
_BESIDE = [(6, 0), (-6, 0), (0, 9), (0, -9), (5, 8), (5, -8), (-5, 8), (-5, -8)]
_FARTHER = [(3 * dx, k * dy) for k in (2, 3.5, 5) for dx, dy in _BESIDE if dy]
_COST_OF_LINE = 3  # see _covered
_MOST_NAMES = 15  # most points with names beside them


def split_classifier(
    estimator, X, y, method, *, kind="a classifier", known_only=True, sample_weight=None
):
    """Return the classifier that an estimator is or ends in, and the input of that classifier.

    The classifier must have this method; `kind` says in the message what the estimator must be.
    Warn of labels that ``fit`` has not seen if `known_only` is true, and of labels or weights in
    another order than X.

    Raise TypeError if the method is missing, NotFittedError, or ValueError if a row has no label or
    the pipeline embeds an image that cannot be read as a row of NaN.
    """
    classifier, before = _unwrapped(estimator)
    if not hasattr(classifier, method):
        router = getattr(classifier, "router", None)
        which = "" if router is None else f" with router={router!r}, which gives none"
        raise TypeError(
            f"estimator must be {kind} that has {method}, a pipeline that ends in one, or a "
            f"fitted search over either; got {type(classifier).__name__}{which}."
        )
    check_is_fitted(classifier)
    refuse_unlabeled(y, classes=known_labels(classifier), to_score=True)
    warn_of_other_order(X, y=y, sample_weight=sample_weight)
    if known_only:
        warn_of_unknown_labels(classifier, y)
    check_consistent_length(X, y)
    # Each of the pipeline's own methods would embed the images again.
    for transformers in before:
        X = table_of(transformers, X)
    return classifier, X


def _unwrapped(estimator):
    """Return what pipelines and searches end in, and the steps before it, of each pipeline."""
    before = []
    while True:
        estimator = getattr(estimator, "best_estimator_", estimator)
        if not isinstance(estimator, Pipeline):
            return estimator, before
        if len(estimator) > 1:
            before.append(estimator[:-1])
        estimator = estimator[-1]


def split_ensemble(estimator, X, y, method="expert_proba", *, sample_weight=None):
    """Return the ensemble that an estimator is or ends in, and its input, as `split_classifier`.

    Labels are checked as in ``score``. Unknown ones give a warning only if `method` is
    "expert_proba".
    """
    ensemble, X = split_classifier(
        estimator,
        X,
        y,
        method,
        kind="an ensemble",
        known_only=method == "expert_proba",
        sample_weight=sample_weight,
    )
    warn_of_suspect_labels(ensemble, X, y, ensemble.predict(X))
    return ensemble, X


def expert_logits(ensemble, X):
    """Return the calibrated logits of the experts of a fitted ensemble, (n, E, C)."""
    logits = np.asarray(ensemble.transform(X))  # a DataFrame, if the user has set the output
    return logits.reshape(len(logits), -1, len(ensemble.classes_))


def start_plot(display, ax, figsize):
    """Set ``ax_`` and ``figure_`` of a display, on new axes if ax is None."""
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=figsize, layout="constrained", FigureClass=PrintFigure)
        cycle(ax)
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def annotate_points(ax, x, y, names, annotate):
    """Write a name beside each point, where it covers the least; return these annotations.

    A name without a good place beside its point is farther off, with a line to the point. A name
    whose best place overlaps another name is left out. Call this when the limits of the axes are
    final.
    """
    if not (len(names) <= _MOST_NAMES if annotate == "auto" else annotate):
        return []
    ax.figure.draw_without_rendering()
    points = ax.transData.transform(np.column_stack([x, y]))
    marks = np.concatenate([points, *(_along(line) for line in ax.lines)])
    taken, texts = [], []
    for name, position in zip(names, zip(x, y)):
        best = _written(ax, name, position, taken, marks)
        if best[0] > _COST_OF_LINE:
            farther = _written(ax, name, position, taken, marks, with_line=True)
            best, (_, _, text) = sorted([best, farther], key=itemgetter(0))
            text.remove()
        _, box, text = best
        if any(box.overlaps(other) for other in taken):
            text.remove()
        else:
            taken.append(box)
            texts.append(text)
    return texts


def _written(ax, name, position, taken, marks, with_line=False):
    """Write a name where it covers the least; return the cost of this place, its box and text."""
    tries = [
        ax.annotate(
            name,
            position,
            xytext=(dx, dy),
            textcoords="offset points",
            ha={1: "left", 0: "center", -1: "right"}[np.sign(dx)],
            va="center",
            fontsize="small",
            arrowprops=_LEADER if with_line else None,
        )
        for dx, dy in (_FARTHER if with_line else _BESIDE)
    ]
    boxes = [text.get_window_extent() for text in tries]
    cost = [_covered(box, taken, marks, ax.bbox) + with_line * _COST_OF_LINE for box in boxes]
    best = int(np.argmin(cost))
    for text in (*tries[:best], *tries[best + 1 :]):
        text.remove()
    return cost[best], boxes[best], tries[best]


def _along(line):
    """Return 200 positions along a line, in pixels."""
    vertices = line.get_transform().transform(line.get_xydata())
    steps = np.linspace(0, len(vertices) - 1, 200)
    return np.column_stack([np.interp(steps, np.arange(len(vertices)), v) for v in vertices.T])


def _covered(box, taken, marks, frame):
    """Return the cost of a label's place: outside of the axes, on labels, on points and lines."""
    inside = ((box.min <= marks) & (marks <= box.max)).all(axis=1)
    outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
    return 100 * outside + 30 * sum(box.overlaps(other) for other in taken) + inside.sum()

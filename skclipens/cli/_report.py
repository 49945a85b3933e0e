"""Write a report of how well a model classifies, as one HTML file."""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
    recall_score,
)

import skclipens

from .._utils._known_labels import require_one_label
from .._utils._messages import listed
from .._utils._warnings import each_warning_once, silent, warn
from ..datasets._local import readable_name
from ..embedding._image_columns import embedders_in
from ..embedding._unreadable import readable, warn_of_unreadable
from ..images._containers import name_of
from ..inspection import ReliabilityDisplay, RoutingWeightsDisplay
from ..metrics import expected_calibration_error
from ._html import axes, gallery, paragraph, plot, section, table, write_page
from ._models import count_fitted
from ._predictions import as_written, ask, written_label_of_rejected

_N_MISTAKES = 24
_N_CONFUSIONS = 10
_MOST_NUMBERS = 30  # most classes for which a matrix shows its numbers
_ADVICE = {  # for each value of `raw_names`, if the model does not know a class
    None: "",
    False: " With a model that was fitted with --raw-names, give this option here, too.",
    True: " Leave out --raw-names if the model was fitted without it.",
}
_SAME = 1e-6  # weights that differ by less are the same


class Judged(NamedTuple):
    """Predictions of a model for the labelled rows that it classifies.

    Attributes
    ----------
    files : ndarray of shape (n,)
        Pictures of the rows.
    n_fitted : int
        How many of them the model was fitted on.
    labels : ndarray of shape (n,)
        True labels.
    classes : ndarray of shape (C,)
        Labels that the model knows.
    predicted : ndarray of shape (n,)
        Predicted labels.
    proba : ndarray of shape (n, C)
        Probabilities of the classes.
    rejected : str, int or None
        Label of images of none of the classes; None if the model rejects none.
    with_pictures : ndarray of shape (n,), bool
        Which rows lack no picture that can be read; submodels classify the others.
    weights : ndarray of shape (n_with_pictures, E) or None
        Routing weights, if the model has them.
    experts : ndarray of shape (E,) or None
        Names of the experts, if the model has them.
    """

    files: np.ndarray
    n_fitted: int
    labels: np.ndarray
    classes: np.ndarray
    predicted: np.ndarray
    proba: np.ndarray
    rejected: str | int | None
    with_pictures: np.ndarray
    weights: np.ndarray | None
    experts: np.ndarray | None

    def of_classes(self):
        """Return labels and probabilities of the images whose label the model knows."""
        known = np.isin(self.labels, self.classes)
        return self.labels[known], self.proba[known]


@each_warning_once()
def write_report(model, rows, labels, path, *, title, raw_names=None):
    """Write a report of a fitted pipeline on its labelled `Rows` as HTML; return the accuracy.

    Rows with images that cannot be read are left out, with a warning, unless submodels classify
    them. `raw_names` is whether labels are unchanged names of folders; None if they are not of
    folders. Raise ValueError if the model does not know a label, or has no probabilities.
    """
    from matplotlib import rc_context

    answers = _judged(model, rows, labels, raw_names)
    with rc_context({"text.parse_math": False}):  # "$" in a name starts no formula
        parts = [
            _summary(answers, _backbones_of(model)),
            _mistakes(answers),
            _confusion(answers),
            _scores_of_classes(answers),
            _reliability(answers),
            _trust(answers),
        ]
    write_page(path, title, parts)
    return accuracy_score(answers.labels, answers.predicted)


def _judged(model, rows, labels, raw_names):
    """Ask a model for the labelled `Rows`; return what a report needs, `Judged`."""
    last = model[-1]
    require_one_label(last, "use the model in Python.")
    if not hasattr(last, "predict_proba"):
        raise ValueError(f"{type(last).__name__} has no probabilities to report on.")
    rejected = written_label_of_rejected(last)
    labels = _as_the_model_writes(labels, last.classes_, rejected, raw_names)
    classifier, table, predicted, proba, images, unreadable, unanswered = ask(model, rows)
    warn_of_unreadable(unanswered, "are left out", images)
    (table,) = readable([table], unreadable)
    of_rows = [rows.pictures, labels, predicted, proba, ~unreadable]
    files, labels, predicted, proba, with_pictures = readable(of_rows, unanswered)
    n_fitted = count_fitted(model, files)
    if n_fitted:
        warn(
            f"The model was fitted on {n_fitted} of the {len(files)} images, so the report is "
            "better than it will be on others. Take images that it was not fitted on."
        )
    has_weights = hasattr(classifier, "routing_weights") and with_pictures.any()
    return Judged(
        files=files,
        n_fitted=n_fitted,
        labels=labels,
        classes=last.classes_,
        predicted=as_written(np.array(predicted.tolist()), rejected),
        proba=proba,
        rejected=rejected,
        with_pictures=with_pictures,
        weights=classifier.routing_weights(table) if has_weights else None,
        experts=getattr(last, "expert_names_", None),
    )


def _as_the_model_writes(labels, classes, rejected, raw_names):
    """Return labels with the types of the model's: text in a folder may be a number in a table."""
    labels = np.asarray(labels)
    are_numbers = labels.dtype.kind in "iuf" and classes.dtype.kind in "iuf"
    # Whole numbers are the same with and without ".0".
    write = (lambda one: str(one).removesuffix(".0")) if are_numbers else str
    known = {write(one): one for one in classes}
    if rejected is not None:
        known.setdefault(write(rejected), rejected)
    written = np.array([write(one) for one in labels])
    unknown = [one for one in np.unique(written).tolist() if one not in known]
    if unknown:
        named = listed(classes.tolist(), most=5, write=str)
        none = f" Call images of none of these {rejected!r}." if rejected is not None else ""
        advice, name = _ADVICE[raw_names], readable_name(unknown[0])
        if classes.dtype.kind in "iuf" and not are_numbers:
            advice = " Its labels are numbers: give a table with these in the column 'label'."
        elif raw_names is None and name in known:
            advice = (
                f" Of a folder {unknown[0]!r}, skclipens fit makes the class {name!r}: write it so."
            )
        raise ValueError(
            f"The model does not know {len(unknown)} of the classes; the first is {unknown[0]!r}. "
            f"It knows {named}.{none}{advice}"
        )
    return np.array([known[one] for one in written.tolist()])


def _summary(answers, backbones):
    seen = np.unique(answers.labels)
    recall = recall_score(answers.labels, answers.predicted, labels=seen, average="macro")
    n_known = np.count_nonzero(np.isin(seen, answers.classes))
    n_fitted = answers.n_fitted
    of_fit = f", {n_fitted} of which the model was fitted on" if n_fitted else ""
    rows = {
        "Images": f"{len(answers.files)}{of_fit}",
        "Classes": f"{n_known} of {len(answers.classes)} that the model knows",
        "Accuracy": f"{accuracy_score(answers.labels, answers.predicted):.1%}",
        "Mean recall of the classes": f"{recall:.1%}",
    }
    if answers.rejected is not None:
        n_rejected = np.count_nonzero(answers.predicted == answers.rejected)
        rows["Of none of the classes"] = f"{n_rejected} are called {answers.rejected!r}"
    if n_known:
        labels, proba = answers.of_classes()
        error = expected_calibration_error(labels, proba, labels=answers.classes)
        rows["Expected calibration error"] = f"{error:.3f}"
    rows["Backbones"] = ", ".join(backbones)
    rows["Made by"] = f"skclipens {skclipens.__version__}"
    return table(["Summary", ""], rows.items())


def _backbones_of(model):
    embedders = [one for _, step in model.steps for one in embedders_in(step).values()]
    return dict.fromkeys(one.name for embedder in embedders for one in embedder._backbones())


def _confusion(answers):
    classes = _shown_classes(answers)
    with silent("A single label was found"):
        counts = confusion_matrix(answers.labels, answers.predicted, labels=classes)
    display = ConfusionMatrixDisplay(counts, display_labels=classes)
    ax = axes(2 + 0.3 * len(classes), 2 + 0.3 * len(classes))
    with_numbers = len(classes) <= _MOST_NUMBERS
    display.plot(
        include_values=with_numbers,
        xticks_rotation="vertical",
        cmap="Blues",
        ax=ax,
        colorbar=not with_numbers,
    )
    for text in [] if display.text_ is None else display.text_.ravel():
        text.set_visible(text.get_text() != "0")
    return section("Confusion", _confusions(counts, classes), plot(ax, "confusion matrix"))


def _confusions(counts, classes):
    """Return a table of the pairs of classes that are confused most often."""
    wrong = counts - np.diag(np.diag(counts))
    pairs = np.argsort(-wrong, axis=None, kind="stable")[:_N_CONFUSIONS]
    places = zip(*np.unravel_index(pairs, wrong.shape), strict=True)
    rows = [
        (classes[true], classes[taken_for], f"{wrong[true, taken_for]} of {counts[true].sum()}")
        for true, taken_for in places
        if wrong[true, taken_for]
    ]
    return table(["Images of", "are called", "how often"], rows) if rows else ""


def _shown_classes(answers):
    """Return the classes that occur as labels or as predictions."""
    return np.union1d(answers.labels, answers.predicted)


def _scores_of_classes(answers):
    classes = _shown_classes(answers)
    scores = precision_recall_fscore_support(
        answers.labels, answers.predicted, labels=classes, zero_division=0
    )
    rows = [
        (label, f"{p:.2f}", f"{r:.2f}", f"{f:.2f}", n)
        for label, p, r, f, n in sorted(zip(classes, *scores), key=lambda row: (row[3], row[0]))
    ]
    text = table(["Class", "Precision", "Recall", "F1", "Images"], rows)
    return section("Classes, the hardest first", text)


def _reliability(answers):
    labels, proba = answers.of_classes()
    if not len(labels):
        return ""
    ax = axes(5, 5)
    ReliabilityDisplay.from_predictions(labels, proba, labels=answers.classes, name="model", ax=ax)
    return section("Reliability", plot(ax, "reliability diagram"))


def _trust(answers):
    if answers.weights is None:
        return ""
    means, labels = answers.weights.mean(axis=0), answers.labels[answers.with_pictures]
    rows = [(answers.experts[e], f"{means[e]:.3f}") for e in np.argsort(-means)]
    if np.ptp(answers.weights, axis=0).max() < _SAME:
        more = paragraph("Each expert has the same weight for every image.")
    else:
        n_classes = len(np.unique(labels))
        ax = axes(3 + 0.55 * len(means), 3 + 0.25 * n_classes)
        RoutingWeightsDisplay.from_predictions(
            labels, answers.weights, expert_names=answers.experts, ax=ax
        )
        more = plot(ax, "routing weights of the classes")
    return section("Who is trusted", table(["Expert", "Mean weight"], rows), more)


def _mistakes(answers):
    confidence = answers.proba.max(axis=1)
    likeliest = answers.predicted == answers.classes[answers.proba.argmax(axis=1)]
    wrong = np.flatnonzero((answers.predicted != answers.labels) & answers.with_pictures)
    first = wrong[np.argsort(-confidence[wrong], kind="stable")][:_N_MISTAKES]
    captions = [
        [
            str(answers.predicted[i]) + (f" ({confidence[i]:.0%})" if likeliest[i] else ""),
            f"is: {answers.labels[i]}",
            name_of(answers.files[i]) or f"picture {i}",
        ]
        for i in first
    ]
    pictures = gallery([answers.files[i] for i in first], captions)
    return section("The most confident mistakes", pictures or paragraph("None."))

"""A report of how well a model classifies, as one HTML file."""

import base64
import io
from html import escape
from typing import NamedTuple

import numpy as np
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    accuracy_score,
    precision_recall_fscore_support,
    recall_score,
)

from ..embedding._gaps import gaps_of, readable, warn_of_gaps
from ..images import load_image
from ..inspection import ReliabilityDisplay, RoutingWeightsDisplay
from ..metrics import expected_calibration_error

_N_MISTAKES = 24
_THUMBNAIL = (112, 112)
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse } td, th { padding: .15rem .8rem .15rem 0; text-align: right }
td:first-child, th:first-child { text-align: left } tr { border-bottom: 1px solid #8884 }
img { max-width: 100%; background: white } figure { display: inline-block; margin: .5rem }
figure { width: 8.5rem; vertical-align: top } figcaption { font-size: .8rem }
"""


class Answers(NamedTuple):
    """What a model says of labelled images that can be read."""

    files: np.ndarray
    labels: np.ndarray
    classes: np.ndarray
    proba: np.ndarray  # (n, C)
    weights: np.ndarray | None  # (n, E), where the model has routing weights
    experts: np.ndarray | None

    @property
    def predicted(self):
        """Labels of the largest probabilities."""
        return self.classes[self.proba.argmax(axis=1)]


def write_report(model, files, labels, path, *, title):
    """Write a report of a fitted pipeline on labelled images.

    Parameters
    ----------
    model : BackbonePipeline
        Its last step is a classifier with ``predict_proba``.
    files : ndarray of shape (n,), dtype str
        Images; those that cannot be read are left out, with a warning.
    labels : array-like of shape (n,)
        True labels.
    path : str
        The HTML file.
    title : str
        What the images are called.

    Returns
    -------
    float
        Accuracy.

    Raises
    ------
    ValueError
        If the model does not know a label, or has no probabilities.
    """
    from matplotlib import rc_context

    answers = ask(model, files, labels)
    with rc_context({"text.parse_math": False}):  # "$" in a name is a letter
        sections = [
            f"<h1>{escape(title)}</h1>",
            _summary(answers),
            _confusion(answers),
            _scores_of_classes(answers),
            _reliability(answers),
            _trust(answers),
            _mistakes(answers),
        ]
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{_STYLE}</style>"
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(["<!doctype html>", head, *sections]))
    return accuracy_score(answers.labels, answers.predicted)


def ask(model, files, labels):
    """Embed images once, and ask the last step of a pipeline all that a report says.

    Returns
    -------
    Answers
    """
    last = model[-1]
    if not hasattr(last, "predict_proba"):
        raise ValueError(f"{type(last).__name__} has no probabilities to report on.")
    unknown = np.setdiff1d(labels, last.classes_).tolist()
    if unknown:
        raise ValueError(
            f"The model does not know {len(unknown)} of the classes; the first is {unknown[0]!r}. "
            f"It knows {', '.join(map(str, last.classes_[:5]))} and others."
        )
    table = model[:-1].transform(files)
    gaps = gaps_of(table)
    warn_of_gaps(gaps, "are left out", files)
    table, files, labels = readable([table, files, labels], gaps)
    weights = last.routing_weights(table) if hasattr(last, "routing_weights") else None
    names = getattr(last, "expert_names_", None)
    return Answers(files, labels, last.classes_, last.predict_proba(table), weights, names)


def _summary(answers):
    seen = np.unique(answers.labels)
    recall = recall_score(answers.labels, answers.predicted, labels=seen, average="macro")
    error = expected_calibration_error(answers.labels, answers.proba, labels=answers.classes)
    rows = {
        "Images": len(answers.files),
        "Classes": len(seen),
        "Accuracy": f"{accuracy_score(answers.labels, answers.predicted):.1%}",
        "Mean recall of the classes": f"{recall:.1%}",
        "Expected calibration error": f"{error:.3f}",
    }
    return _table(["Summary", ""], rows.items())


def _confusion(answers):
    classes = _shown_classes(answers)
    ax = _axes(2 + 0.3 * len(classes), 2 + 0.3 * len(classes))
    ConfusionMatrixDisplay.from_predictions(
        answers.labels,
        answers.predicted,
        labels=classes,
        include_values=len(classes) <= 30,
        xticks_rotation="vertical",
        cmap="Blues",
        ax=ax,
        colorbar=False,
    )
    return _section("Confusion", _figure(ax, "confusion matrix"))


def _shown_classes(answers):
    """Classes that occur, as labels or as predictions."""
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
    text = _table(["Class", "Precision", "Recall", "F1", "Images"], rows)
    return _section("Classes, the hardest first", text)


def _reliability(answers):
    ax = _axes(5, 5)
    ReliabilityDisplay.from_predictions(
        answers.labels, answers.proba, labels=answers.classes, name="model", ax=ax
    )
    return _section("Reliability", _figure(ax, "reliability diagram"))


def _trust(answers):
    if answers.weights is None:
        return ""
    means = answers.weights.mean(axis=0)
    order = np.argsort(-means)
    rows = [(answers.experts[e], f"{means[e]:.3f}") for e in order]
    n_classes = len(np.unique(answers.labels))
    ax = _axes(3 + 0.55 * len(means), 3 + 0.25 * n_classes)
    RoutingWeightsDisplay.from_predictions(
        answers.labels, answers.weights, expert_names=answers.experts, ax=ax
    )
    text = _table(["Expert", "Mean weight"], rows)
    return _section("Who is trusted", text + _figure(ax, "routing weights of the classes"))


def _mistakes(answers):
    confidence = answers.proba.max(axis=1)
    wrong = np.flatnonzero(answers.predicted != answers.labels)
    first = wrong[np.argsort(-confidence[wrong], kind="stable")][:_N_MISTAKES]
    figures = [
        f"<figure>{_thumbnail(answers.files[i])}<figcaption>{escape(str(answers.predicted[i]))} "
        f"({confidence[i]:.0%})<br>is: {escape(str(answers.labels[i]))}</figcaption></figure>"
        for i in first
    ]
    return _section("The most confident mistakes", "".join(figures) or "<p>None.</p>")


# HTML


def _section(title, content):
    return f"<h2>{title}</h2>\n{content}"


def _table(head, rows):
    lines = [("th", head), *(("td", row) for row in rows)]
    cells = ["".join(f"<{tag}>{escape(str(c))}</{tag}>" for c in row) for tag, row in lines]
    return "<table>" + "\n".join(f"<tr>{line}</tr>" for line in cells) + "</table>"


def _axes(width, height):
    from matplotlib.figure import Figure  # not pyplot's: it needs no screen, and none to close

    return Figure(figsize=(min(width, 24), min(height, 24)), layout="constrained").subplots()


def _figure(ax, alt):
    file = io.BytesIO()
    ax.figure.savefig(file, format="png", dpi=110)
    return f"<p>{_image(file, alt)}</p>"


def _thumbnail(path):
    picture, file = load_image(path), io.BytesIO()
    picture.thumbnail(_THUMBNAIL)
    picture.save(file, "PNG")
    return _image(file, str(path))


def _image(file, alt):
    content = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{escape(alt)}" title="{escape(alt)}" src="data:image/png;base64,{content}">'

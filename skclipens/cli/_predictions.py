"""Predictions of a fitted model for images, each of which is embedded once."""

from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .._utils._known_labels import label_of_rejected, require_one_label, with_label
from .._utils._probabilities import PROBABILITY, labels_and_proba
from .._utils._warnings import silent
from ..embedding._image_columns import image_of_each_row, in_any, unreadable_by_column
from ..embedding._unreadable import labels_and_proba_among, warn_of_unreadable
from ..pipeline._submodels import BY_SUBMODELS
from ._files import names_of
from ._outputs import REJECTED


class Answers(NamedTuple):
    """Answers of a model for rows.

    Attributes
    ----------
    classifier : estimator
        The steps of the model that get the table.
    table : ndarray or DataFrame of n rows
        With the embedded pictures.
    labels : ndarray of shape (n,)
        Predicted labels; None if there is none.
    proba : ndarray of shape (n, C)
        Probabilities of the classes; NaN if there are none.
    images : sequence of length n
        A picture of each row, which names it in messages: one that cannot be read, if any.
    unreadable : ndarray of shape (n,), bool
        Which rows lack a picture, or have one that cannot be read.
    unanswered : ndarray of shape (n,), bool
        Which of these rows have no answer: no submodel classifies them.
    """

    classifier: Any
    table: Any
    labels: np.ndarray
    proba: np.ndarray
    images: Any
    unreadable: np.ndarray
    unanswered: np.ndarray


def answers(model, rows):
    """Return a frame of path, label and one probability per class, for the `Rows` of a model.

    Label and probabilities are empty for images that cannot be read; see :func:`as_written` for
    those of none of the classes. Without ``predict_proba`` in the last step of the model, there are
    no probabilities.
    """
    last = model[-1]
    require_one_label(last, "use the model in Python.")
    rejected = written_label_of_rejected(last)
    asked = ask(model, rows)
    warn_of_unreadable(asked.unanswered, "have no label", asked.images, all_may_be=True)
    labels = as_written(asked.labels.astype(object), rejected)
    frame = pd.DataFrame({"path": names_of(rows.pictures), "label": labels})
    if hasattr(last, "predict_proba"):
        frame[[f"{PROBABILITY}{label}" for label in last.classes_]] = asked.proba
    return frame


def written_label_of_rejected(classifier):
    """Return the label that is written for images of none of the classes; None without one.

    Raise ValueError if this is "rejected", in place of an empty label, and a class has the same
    name.
    """
    label = label_of_rejected(classifier)
    if label != "":
        return label
    if REJECTED in classifier.classes_.tolist():
        raise ValueError(
            f"{REJECTED!r} is a class of the model, so it cannot be written for images of none of "
            "the classes. Set reject_label of the OpenSetClassifier, and save the model again."
        )
    return REJECTED


def as_written(labels, rejected):
    """Return predicted labels; "rejected", if images get it, is in place of an empty label."""
    return with_label(labels, labels == "", REJECTED) if rejected == REJECTED else labels


def ask(model, rows):
    """Embed the pictures of `Rows` once, and return the `Answers` of a model.

    Those that lack pictures are classified by submodels, if the model has them, with a warning.
    """
    n_before = 1 if model.submodels_ else len(model) - 1
    before, classifier = model[:n_before], _only_step(model[n_before:])
    with silent(r"\d+ of \d+ images cannot be read"), _columns_as_they_are(rows.X):
        table = before.transform(rows.X) if n_before else rows.X
    by_column = unreadable_by_column(before[-1] if n_before else None, table)
    unreadable = in_any(by_column)
    labels, proba = labels_and_proba_among(unreadable, classifier, table)
    unanswered = unreadable.copy()
    for one in model.submodels_:
        lacking = one.rows_in(by_column)
        if lacking.any():
            of_rest = labels_and_proba(_only_step(one.model), one.table_of(table, lacking))
            labels[lacking], proba[lacking] = of_rest
            unanswered &= ~lacking
    answered = unreadable & ~unanswered
    images = image_of_each_row(before, rows.X, by_column) if n_before else None
    images = rows.pictures if images is None else images
    warn_of_unreadable(answered, BY_SUBMODELS, images, all_may_be=True)
    return Answers(classifier, table, labels, proba, images, unreadable, unanswered)


@contextmanager
def _columns_as_they_are(X):
    """Say that columns may have other types than in fit, if a transformer of a table fails."""
    try:
        yield
    except (TypeError, AttributeError) as error:
        if not isinstance(X, pd.DataFrame):
            raise
        raise ValueError(
            f"A transformer of the model fails with {type(error).__name__}: {error}. Columns may "
            "have other types than in fit: a CSV file does not keep types, a Parquet file does."
        ) from error


def _only_step(pipeline):
    return pipeline[0] if len(pipeline) == 1 else pipeline

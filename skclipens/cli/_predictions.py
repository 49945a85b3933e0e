"""Predictions of a fitted model for images, each of which is embedded once."""

import pandas as pd

from .._utils._known_labels import label_of_rejected, with_label
from .._utils._probabilities import require_classes
from .._utils._warnings import silent
from ..embedding._image_columns import table_and_unreadable
from ..embedding._unreadable import labels_and_proba_among, warn_of_unreadable
from ._files import names_of
from ._outputs import PROBABILITY, REJECTED


def answers(model, rows):
    """Return a frame of path, label and one probability per class, for the `Rows` of a model.

    Label and probabilities are empty for images that cannot be read; see :func:`as_written` for
    those of none of the classes. Without ``predict_proba`` in the last step of the model, there are
    no probabilities.
    """
    last = model[-1]
    require_classes(last)
    rejected = written_label_of_rejected(last)
    table, unreadable = embedded(model, rows.X)
    warn_of_unreadable(unreadable, "have no label", rows.pictures, all_may_be=True)
    labels, proba = labels_and_proba_among(unreadable, last, table)
    labels = as_written(labels.astype(object), rejected)
    frame = pd.DataFrame({"path": names_of(rows.pictures), "label": labels})
    if hasattr(last, "predict_proba"):
        frame[[f"{PROBABILITY}{label}" for label in last.classes_]] = proba
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


def embedded(model, X):
    """Return the input of a pipeline's last step, and the mask of images that cannot be read."""
    with silent(r"\d+ of \d+ images cannot be read"):
        return table_and_unreadable(model[:-1] if len(model) > 1 else None, X)

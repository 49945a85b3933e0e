"""Labels that a classifier knows or predicts: one for each row, its classes and others."""

import numpy as np

from ._labels import CHECK_SPELLING, refuse_unlabeled
from ._messages import listed
from ._warnings import warn


def warn_of_unknown_labels(classifier, y):
    """Warn of true labels that a fitted classifier does not know: they can only count as wrong."""
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] > 1:  # of several outputs
        return
    labels = labels.ravel()
    known, rejected = set(known_labels(classifier)), label_of_rejected(classifier)
    unknown = [row for row, label in enumerate(labels.tolist()) if label not in known]
    if unknown:
        named, advice = listed(labels[unknown].tolist()), CHECK_SPELLING
        if rejected is not None:
            advice = f"Rows of none of the classes are called {rejected!r}."
        warn(
            f"{len(unknown)} of {len(labels)} rows of y, the first is row {unknown[0]}, have "
            f"labels that fit has not seen: {named}. They can only count as wrong. {advice}"
        )


def check_is_no_class(label, classes, name, says):
    """Raise ValueError if a label beside the classes is one of them, or of another type.

    In the message, `name` is the parameter that sets the label, and `says` what the label says.
    """
    is_text = classes.dtype.kind in "OUT"
    if isinstance(label, str) != is_text:
        kind = "a string" if is_text else "a number"
        raise ValueError(f"{name} must be {kind}, as the labels are; got {label!r}.")
    if label in classes.tolist():
        raise ValueError(f"{label!r} is a class, so it cannot say that {says}. Set {name}.")


def known_labels(classifier):
    """Return the labels that rows to score may have: the classes, and that of rejected rows."""
    classes = np.hstack(getattr(classifier, "classes_", [()]))  # a list for several outputs
    rejected = label_of_rejected(classifier) if len(classes) else None
    return classes if rejected is None else [*classes.tolist(), rejected]


def check_true_labels(classifier, y):
    """Raise ValueError if a row to score has no label, or one of another kind than the classes."""
    classes = known_labels(classifier)
    refuse_unlabeled(y, classes=classes, to_score=True)
    label = next(iter(np.ravel(y)[:1].tolist()), None)
    known = next(iter(np.asarray(classes)[:1].tolist()), None)
    if isinstance(label, str) != isinstance(known, str) and None not in (label, known):
        raise ValueError(
            f"y has labels such as {label!r}, where those of fit are such as {known!r}: one of "
            "the two holds strings, the other does not. Give y the labels that fit had."
        )


def label_of_rejected(classifier):
    """Return the label of rows of none of the classes; None if the classifier rejects none."""
    return classifier._label_of_rejected() if hasattr(classifier, "_label_of_rejected") else None


def positions_of_labels(labels, classes):
    """Return the positions of labels among classes, which may be in any order.

    The ``classes_`` of classifiers outside of scikit-learn need not be sorted.
    """
    order = np.argsort(classes)
    return order[np.searchsorted(classes, labels, sorter=order)]


def with_label(labels, rows, label):
    """Return a copy of labels with a new label in the rows of a mask, in a dtype that holds both.

    If its kind differs from that of the labels, as None from strings, the dtype is object.
    """
    of_label, given = np.min_scalar_type(label), labels.dtype
    are_alike = (of_label.kind == "U") == (given.kind == "U") and given.kind in "biufcU"
    dtype = np.result_type(given, of_label) if are_alike and of_label.kind != "O" else object
    if np.dtype(dtype).kind == "f" and of_label.kind == "i" and given.kind == "u":
        # For uint64 and -1, numpy would use floats.
        dtype = np.int64 if labels.max(initial=0) <= np.iinfo(np.int64).max else object
    labels = labels.astype(dtype)
    labels[rows] = label
    return labels


def _require_classes(classifier):
    """Raise ValueError unless a fitted estimator is a classifier."""
    if not hasattr(classifier, "classes_"):
        raise ValueError(
            f"{type(classifier).__name__} predicts no labels: it has no classes_. Give a fitted "
            "classifier."
        )


def require_one_label(classifier, advice):
    """Raise ValueError, with advice, unless a fitted classifier predicts one label for each row."""
    _require_classes(classifier)
    if _predicts_several(classifier):
        raise ValueError(
            f"{type(classifier).__name__} predicts several labels for each row, and a row gets one "
            f"here: {advice}"
        )


def _predicts_several(classifier):
    """Return whether a fitted classifier of scikit-learn predicts several labels for each row."""
    if isinstance(classifier.classes_, list) or getattr(classifier, "multilabel_", False):
        return True
    kind = getattr(getattr(classifier, "_label_binarizer", None), "y_type_", "")
    return kind.startswith("multilabel")  # of MLPClassifier and RidgeClassifier

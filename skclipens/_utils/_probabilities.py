"""Predicted labels and probabilities of a classifier."""

import numpy as np

PROBABILITY = "probability__"  # prefix of columns that the command's predict writes


def log_of(p):
    """Return finite logarithms of probabilities, in their dtype."""
    return np.log(np.maximum(p, np.finfo(p.dtype).tiny))


def labels_and_proba(classifier, X):
    """Return predicted labels, and class probabilities or None without ``predict_proba``.

    The label of a row need not be its most probable class: a classifier may reject rows, or have a
    threshold. If it has ``_labels_and_proba``, as those of this package, one call computes both.
    """
    if hasattr(classifier, "_labels_and_proba"):
        return classifier._labels_and_proba(X)
    proba = classifier.predict_proba(X) if hasattr(classifier, "predict_proba") else None
    return np.ravel(classifier.predict(X)), proba  # labels of CatBoost are a column


def require_classes(classifier):
    """Raise ValueError unless a fitted estimator is a classifier."""
    if not hasattr(classifier, "classes_"):
        raise ValueError(
            f"{type(classifier).__name__} predicts no labels: it has no classes_. Give a fitted "
            "classifier."
        )


def require_one_label(classifier, advice):
    """Raise ValueError, with advice, unless a fitted classifier predicts one label for each row."""
    require_classes(classifier)
    if predicts_several(classifier):
        raise ValueError(
            f"{type(classifier).__name__} predicts several labels for each row, and a row gets one "
            f"here: {advice}"
        )


def predicts_several(classifier):
    """Return whether a fitted classifier of scikit-learn predicts several labels for each row."""
    if isinstance(classifier.classes_, list) or getattr(classifier, "multilabel_", False):
        return True
    kind = getattr(getattr(classifier, "_label_binarizer", None), "y_type_", "")
    return kind.startswith("multilabel")  # of MLPClassifier and RidgeClassifier

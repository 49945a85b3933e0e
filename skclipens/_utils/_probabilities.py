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

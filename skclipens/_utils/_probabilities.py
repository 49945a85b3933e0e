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
    labels = np.ravel(classifier.predict(X))  # those of CatBoost are a column
    if not hasattr(classifier, "predict_proba"):
        return labels, None
    return labels, np.asarray(classifier.predict_proba(X))


def refuse_nan(proba, rows, of_what=""):
    """Raise ValueError if some rows, at these positions, have probabilities or scores of NaN.

    `of_what` says which estimator gave them.
    """
    if (bad := rows[np.isnan(proba).any(axis=1)]).size:
        raise ValueError(
            f"The estimator{of_what and ' '}{of_what} gives NaN as probabilities of {bad.size} "
            f"rows; the first is row {bad[0]}. Use an estimator whose predict_proba gives numbers."
        )

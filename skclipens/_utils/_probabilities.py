"""Predicted labels and probabilities of a classifier."""

import numpy as np

PROBABILITY = "probability__"  # prefix of columns that the command's predict writes
_ROUNDING = 0.01  # of a sum of probabilities, also in float16
_OF_FLOAT32 = 1e-4  # the same in float32, for a thousand classes
_MOST_SHOWN = 3


def log_of(p):
    """Return finite logarithms of probabilities, in their dtype."""
    return np.log(np.maximum(p, np.finfo(p.dtype).tiny))


def without_rounding(proba):
    """Return probabilities in float64 that sum to one, where they do but for rounding.

    The metrics of scikit-learn ask for this. A smaller sum stays: see :func:`refuse_scores`.
    """
    rounding = _ROUNDING if proba.dtype == np.float16 else _OF_FLOAT32
    proba = proba.astype(np.float64)
    sums = proba.sum(axis=1, keepdims=True)
    return proba / np.where(np.abs(sums - 1) < rounding, sums, 1)


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


def check_proba(proba, classes, rows, of_what=""):
    """Raise ValueError unless some rows, at these positions, have a probability for each class.

    NaN is left to :func:`refuse_nan`. `of_what` says which estimator gave them.
    """
    who, shape = f"The estimator{of_what and ' '}{of_what}", (len(rows), len(classes))
    if np.shape(proba) != shape:
        raise ValueError(
            f"{who} gives probabilities of shape {np.shape(proba)}, and {shape} is needed: one for "
            "each row and each of classes_. Use an estimator whose predict_proba gives these."
        )
    refuse_scores(proba, rows, who)


def refuse_scores(proba, rows, who):
    """Raise ValueError if some rows have negative probabilities, or ones with a sum above 1.

    A smaller sum is no mistake: the rest may be the probability of none of the classes.
    """
    with np.errstate(invalid="ignore"):
        wrong = (proba < -_ROUNDING).any(axis=1) | (proba.sum(axis=1) > 1 + _ROUNDING)
    if wrong.any():
        row = int(np.argmax(wrong))
        values = ", ".join(f"{one:.3g}" for one in proba[row, :_MOST_SHOWN])
        more = ", ..." if proba.shape[1] > _MOST_SHOWN else ""
        raise ValueError(
            f"{who} gives row {rows[row]} the probabilities {values}{more}, which are negative or "
            "sum to more than 1. If these are scores or logits, name the method that gives them "
            "decision_function, not predict_proba."
        )


def refuse_nan(proba, rows, of_what=""):
    """Raise ValueError if some rows, at these positions, have probabilities or scores of NaN.

    `of_what` says which estimator gave them.
    """
    if (bad := rows[np.isnan(proba).any(axis=1)]).size:
        raise ValueError(
            f"The estimator{of_what and ' '}{of_what} gives NaN as probabilities of {bad.size} "
            f"rows; the first is row {bad[0]}. Use an estimator whose predict_proba gives numbers."
        )

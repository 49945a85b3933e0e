"""Warnings of predictions that suggest that true labels are numbered or ordered differently."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from .._utils._warnings import warn

# Least number of rows for a check. How much accuracy must rise if labels were exchanged: by
# _BETTER at least, and more with few rows of a class.
_FEWEST, _BETTER, _OF_ROWS = 20, 0.6, 0.4
_MOST_CLASSES = 1000  # whose pairs are counted
# Standard deviations up to which rows are right by chance, and from which too few are right for the
# confidence of a classifier; and the least difference of confidence and accuracy.
BY_CHANCE, TOO_FEW, TOO_SURE = 2, 5, 0.3


def normalized_confusion(targets, predicted, n_classes, n_predicted):
    """Return the confusion matrix, (n_classes, n_predicted), as shares of each class's rows."""
    codes = targets * n_predicted + predicted
    counts = np.bincount(codes, minlength=n_classes * n_predicted).reshape(n_classes, n_predicted)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def warn_of_exchanged(y, predicted, advice):
    """Warn if exchanged labels would be right, as if the true labels were numbered differently.

    The message ends with the advice. Return whether there was a warning.
    """
    labels, rows, n_rows = np.unique(y, return_inverse=True, return_counts=True)
    found, columns = np.unique(predicted, return_inverse=True)
    if max(len(labels), len(found)) > _MOST_CLASSES:
        return False
    shares = normalized_confusion(rows, columns, len(labels), len(found))
    own, other = linear_sum_assignment(shares, maximize=True)
    moved = (labels[own] != found[other]) & np.isin(labels[own], found)
    own, other = own[moved], other[moved]
    if len(own) < 2 or n_rows[own].sum() < _FEWEST:  # one class may be taken for another
        return False
    given = (shares * (labels[:, None] == found))[own].sum(axis=1).mean()
    possible = shares[own, other].mean()
    if possible - given <= _BETTER + _OF_ROWS * np.mean(1 / n_rows[own]):
        return False
    first = shares[own, other].argmax()
    label, answer = labels.tolist()[own[first]], found.tolist()[other[first]]
    warn(
        f"Of {len(own)} classes, {given:.0%} of the rows are classified correctly, and "
        f"{possible:.0%} would be if these labels were exchanged: most rows of {label!r} are "
        f"predicted to be {answer!r}. {advice}",
        key="labels exchanged",
    )
    return True


def warn_of_no_better_than_chance(y, predicted):
    """Warn if held-out predictions are the given labels as often as by chance."""
    if len(y) < _FEWEST:
        return
    codes = np.unique([y, predicted], return_inverse=True)[1].reshape(2, -1)
    of_y, of_predicted = (np.bincount(one, minlength=codes.max() + 1) / len(y) for one in codes)
    products = of_y * of_predicted
    by_chance = products.sum()
    # Of the share of labels that agree, over all orders of the labels.
    variance = by_chance + by_chance**2 - products @ (of_y + of_predicted)
    right, by_chance = np.count_nonzero(y == predicted), len(y) * by_chance
    if right <= by_chance + BY_CHANCE * np.sqrt(max(len(y) * variance, 0)):
        warn(
            f"{right} of {len(y)} held-out predictions are the given labels, as by chance, so "
            "these predictions say nothing of the labels. Check that y is in the order of X, and "
            "that the classifier can tell the classes apart.",
            key="guessing",
        )


def warn_of_chance(y, predicted, known, confidence):
    """Warn if accuracy is that of chance, but the classifier is confident.

    `known` is the mask of the rows whose label the classifier knows. `confidence` returns the
    largest probability of each row, (n,).
    """
    y, predicted, n = y[known], predicted[known], np.count_nonzero(known)
    if n < _FEWEST:
        return
    shares = [np.unique(labels, return_counts=True) for labels in (y, predicted)]
    of_y, of_predicted = (dict(zip(*one, strict=True)) for one in shares)
    by_chance = sum(of_y[label] * of_predicted.get(label, 0) for label in of_y) / n
    right = np.count_nonzero(y == predicted)
    if right > by_chance + BY_CHANCE * np.sqrt(by_chance):
        return
    sure = np.asarray(confidence())[known]
    too_few = max(TOO_FEW * np.sqrt(np.sum(sure * (1 - sure))), TOO_SURE * n)
    if sure.sum() - right > too_few:
        warn(
            f"{right / n:.0%} of the rows are classified correctly, as by chance, though the "
            f"classifier is {sure.mean():.0%} sure of them on average. Check whether X and y "
            "stand in the same order, and whether X was made as for fit."
        )

"""Checks of input that several modules share."""

import warnings
from contextlib import contextmanager

from sklearn.utils.multiclass import check_classification_targets


@contextmanager
def few_rows_per_class():
    """Silence scikit-learn's doubt that labels with few rows per class are classes.

    One labelled image per class is an ordinary use of this package.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The number of unique classes is greater")
        yield


def check_labels(y):
    """Raise ValueError unless y holds the labels of a classification.

    Parameters
    ----------
    y : ndarray of shape (n,)
    """
    with few_rows_per_class():
        check_classification_targets(y)

"""What a classifier says of rows."""


def labels_and_proba(classifier, X):
    """Labels of rows, and probabilities of the classes.

    The label of a row need not be its likeliest class: a classifier may reject rows, or have a
    threshold.

    Parameters
    ----------
    classifier : classifier
        Fitted. Where it has ``_labels_and_proba``, as those of this package have, this says both
        at the cost of one.
    X : n rows

    Returns
    -------
    labels : ndarray of shape (n,)
        What it predicts.
    proba : ndarray of shape (n, C) or None
        None where it has no ``predict_proba``.
    """
    if hasattr(classifier, "_labels_and_proba"):
        return classifier._labels_and_proba(X)
    proba = classifier.predict_proba(X) if hasattr(classifier, "predict_proba") else None
    return classifier.predict(X), proba


def require_classes(classifier):
    """Raise ValueError unless a fitted estimator is a classifier."""
    if not hasattr(classifier, "classes_"):
        raise ValueError(
            f"{type(classifier).__name__} predicts no labels: it has no classes_. Give a fitted "
            "classifier."
        )

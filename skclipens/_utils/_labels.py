"""Labels: which rows have one, which are known, and whether they are those of classes."""

from numbers import Real

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from ._images import refuse_paths_as_labels
from ._messages import listed
from ._missing import is_missing, without_mask
from ._values import refuse_mixed, refuse_no_column, why_no_labels
from ._warnings import silent, warn

_RENAME = " If -1 is a class, give it another number, or give names: -1 stands for no label here."


def few_rows_per_class():
    """A context without scikit-learn's doubt that labels with few rows per class are classes.

    One labelled image per class is an ordinary use of this package.
    """
    return silent("The number of unique classes is greater")


def warn_of_unknown_labels(classes, y, advice="Are they written otherwise, or numbered otherwise?"):
    """Warn of true labels that a classifier does not know, and can only get wrong.

    Parameters
    ----------
    classes : list of C labels
    y : array-like of shape (n,)
    advice : str

    Warns
    -----
    SuspectedMistakeWarning
        Names them, and the first row.
    """
    labels = np.asarray(y)
    if labels.ndim != 1:
        return
    known = set(classes)
    unknown = [row for row, label in enumerate(labels.tolist()) if label not in known]
    if unknown:
        named = listed(labels[unknown].tolist())
        warn(
            f"{len(unknown)} of {len(labels)} rows of y, the first is row {unknown[0]}, have "
            f"labels that were not there in fit: {named}. They can only count as wrong. {advice}"
        )


def column_of_labels(y, *, name="y", warn=False):
    """Labels as a column. Raises ValueError as :func:`refuse_mixed`.

    Parameters
    ----------
    y : array-like of shape (n,)
    name : str
        What the labels are called.
    warn : bool
        Whether to warn where y is a column of a table already.

    Returns
    -------
    ndarray of shape (n,)
        Rows without a label have none here either: of a list, numpy would make the label 'nan' of
        NaN beside strings, and of a masked array what is behind the mask.
    """
    if y is not None:  # else scikit-learn's own error
        refuse_no_column(y, name)
        refuse_paths_as_labels(y, name)
        refuse_mixed(y, name)
    y = without_mask(y)
    if isinstance(y, (list, tuple)) and any(map(is_missing, y)):
        y = np.array(y, dtype=object)
    if hasattr(getattr(y, "dtype", None), "numpy_dtype"):
        # A nullable column of pandas, of whose integers scikit-learn would make floats.
        y = y.to_numpy(object if y.isna().any() else None)
    return column_or_1d(y, warn=warn)


def check_labels(y):
    """Raise ValueError unless y holds the labels of a classification, one for each row.

    Parameters
    ----------
    y : ndarray of shape (n,)
        As :func:`column_of_labels` gives it.
    """
    refuse_unlabeled(y)
    check_classes(y)


def check_classes(y):
    try:
        with few_rows_per_class():
            check_classification_targets(y)
    except ValueError as error:
        raise ValueError(f"{error} {why_no_labels(y)}".rstrip()) from None


def unlabeled_rows(y, *, signs_are_classes=False):
    """Which rows have no label: None, NaN or "", or -1 among numbers, as in scikit-learn.

    Parameters
    ----------
    y : array-like of shape (n,)
    signs_are_classes : bool
        Whether -1 is a label where all numbers are -1 and 1.

    Returns
    -------
    ndarray of shape (n,), bool
    """
    labels = _labels_as_given(y)
    if labels.dtype.kind == "U":
        return labels == ""
    if labels.dtype.kind in "biuf":  # of many rows, far sooner than one by one
        missing, is_number = np.isnan(labels), np.ones(len(labels), bool)
    else:
        missing = np.array([is_missing(label) for label in labels.tolist()], bool)
        is_number = np.array([_is_number(label) for label in labels.tolist()], bool)
    is_minus = np.zeros(len(labels), bool)
    is_minus[is_number] = labels[is_number] == -1
    others = labels[is_number & ~is_minus]
    if signs_are_classes and len(others) and (others == 1).all():
        return missing
    return missing | is_minus


def _labels_as_given(y):
    """Of a list, numpy would make text of all that stands beside text."""
    return np.asarray(without_mask(y), dtype=None if hasattr(y, "dtype") else object).ravel()


def _is_number(label):
    return isinstance(label, Real) and not isinstance(label, bool)


def labels_of(y, labeled):
    """Labels of the rows that have one, of the type that they would have alone.

    Raises
    ------
    ValueError
        If they are of fewer than two classes.
    """
    n_rows, y = len(y), y[labeled]
    if all(isinstance(label, Real) for label in y.tolist()):
        y = np.array(y.tolist())  # no longer of the type that has None
    if len(set(y.tolist())) < 2:
        raise ValueError(
            f"{len(y)} of {n_rows} rows of y have a label, and these are of fewer than two "
            'classes. Label rows of at least two; None, NaN, "", and -1 among numbers stand for no '
            "label."
        )
    return y


def refuse_unlabeled(y, option=None, name="y", *, classes=()):
    """Raise ValueError if there is no y, or a row has no label, see :func:`unlabeled_rows`.

    What is among the known classes is a label. Where none are known, as in ``fit``, and all labels
    are -1 and 1, these are two classes.

    Parameters
    ----------
    y : array-like of shape (n,)
    option : str or None
        The parameter of the estimator by which such rows are no error.
    name : str
        What the labels are called.
    classes : array-like of shape (C,)
        Known labels, which may have -1, or "" as that of rejected rows.
    """
    if y is None:
        raise ValueError(f"{name} is None, and labels are needed: pass one for each row.")
    classes = np.asarray(classes).tolist()
    missing = unlabeled_rows(y, signs_are_classes=not classes)
    if not missing.any():
        return
    labels = _labels_as_given(y).tolist()
    missing &= [not isinstance(one, (str, Real)) or one not in classes for one in labels]
    if not missing.any():
        return
    row = int(np.argmax(missing))
    rename = ""
    if isinstance(labels[row], Real) and labels[row] == -1:
        rename = f" The classes are {listed(classes)}." if classes else _RENAME
    allow = f", or see the parameter {option!r}" if option else ""
    raise ValueError(
        f"{name} has no label for {np.count_nonzero(missing)} of {len(labels)} rows; the first is "
        f"row {row}, with {labels[row]!r}. Label these rows or leave them out{allow}.{rename}"
    )


def known_labels(classifier):
    """Labels that rows to score may have: the classes, and that of rows of none of them."""
    if hasattr(classifier, "_known_labels"):
        return classifier._known_labels()
    return np.hstack(getattr(classifier, "classes_", [()]))  # of several outputs, a list


def check_at_least_two(classes):
    """Raise ValueError unless there are two classes."""
    if len(classes) < 2:
        (only,) = np.asarray(classes).tolist()
        raise ValueError(f"At least two classes are needed; got 1 class, {only!r}.")

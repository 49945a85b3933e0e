"""Checks of input that several modules share."""

from contextlib import contextmanager
from numbers import Real

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from ._given import warn_of_other_order
from ._images import refuse_images, refuse_paths_as_labels
from ._messages import listed
from ._missing import is_missing, without_mask
from ._values import (
    check_range,
    refuse_mixed,
    refuse_no_column,
    refuse_text,
    refuse_unread,
    warn_of_categories,
    why_no_labels,
)
from ._warnings import silent, warn

_FLOATS = [np.float64, np.float32]
_RENAME = " If -1 is a class, give it another number, or give names: -1 stands for no label here."


def few_rows_per_class():
    """A context without scikit-learn's doubt that labels with few rows per class are classes.

    One labelled image per class is an ordinary use of this package.
    """
    return silent("The number of unique classes is greater")


def check_table(estimator, X, y, *, any_scale=False, reset=True, classes=(), **given):
    """Check a table and its labels as ``fit`` gets them.

    Parameters
    ----------
    estimator : estimator
        Its ``n_features_in_`` and ``feature_names_in_`` are set.
    X : array-like of shape (n, n_features)
    y : array-like of shape (n,)
    any_scale : bool
        Whether rows are scaled anyway, so that their range does not matter.
    reset : bool
        Whether the columns are set, or X must have those that were set.
    classes : array-like of shape (C,)
        Labels that are known; see :func:`refuse_unlabeled`.
    **given : array-like of shape (n,) or None
        What else is given for each row; see :func:`warn_of_other_order`.

    Returns
    -------
    X : ndarray of shape (n, n_features), float64 or float32
    y : ndarray of shape (n,)

    Raises
    ------
    ValueError
        If X is no table of numbers, its squares overflow or vanish, or y is not one label for each
        row; see :func:`check_labels`.
    """
    if y is not None:
        refuse_unlabeled(y, classes=classes)
    X, y = _checked_with_labels(estimator, X, y, reset=reset, **given)
    check_array(y, ensure_2d=False, dtype=None, input_name="y")
    _check_classes(y)
    if not any_scale:
        check_range(X, getattr(estimator, "feature_names_in_", None))
    return X, y


def check_partly_labeled(estimator, X, y, labeled, **given):
    """Check a table of which some rows have no label.

    Parameters
    ----------
    estimator : estimator
        Its ``n_features_in_`` and ``feature_names_in_`` are set.
    X : array-like of shape (n, n_features)
    y : array-like of shape (n,)
    labeled : ndarray of shape (n,), bool
        Which rows have one.
    **given : array-like of shape (n,) or None
        As of :func:`check_table`.

    Returns
    -------
    X : ndarray of shape (n, n_features), float64 or float32
    y : ndarray of shape (n_labeled,)

    Raises
    ------
    ValueError
        If X is no table of numbers, or rows of fewer than two classes have a label.
    """
    X, y = _checked_with_labels(estimator, X, y, reset=True, **given)
    y = labels_of(y, labeled)
    check_labels(y)
    check_range(X, getattr(estimator, "feature_names_in_", None))
    return X, y


def check_rows(estimator, X, *, reset=False, **options):
    """Check a table without labels.

    Parameters
    ----------
    estimator : estimator
        X must have the columns that its ``fit`` saw.
    X : array-like of shape (n, n_features)
    reset : bool
        Whether this is ``fit``, and sets these.
    **options : dict
        Others of scikit-learn's ``check_array``.

    Returns
    -------
    ndarray of shape (n, n_features), float64 or float32
    """
    found = _checked(estimator, X, reset=reset, **options)
    if not reset and hasattr(X, "columns") and not hasattr(estimator, "feature_names_in_"):
        for block in getattr(estimator, "_seen", ()):
            block.refuse_columns_of_others(np.array(list(map(str, X.columns)), dtype=object))
    return found


def _checked_with_labels(estimator, X, y, *, reset, **given):
    if y is None:  # scikit-learn's own error
        validate_data(estimator, X, y, reset=reset, skip_check_array=True)
    warn_of_other_order(X, y=y, **given)
    X = _checked(estimator, X, reset=reset)
    y = column_of_labels(y, warn=True)
    check_consistent_length(X, y)
    return X, y


def _checked(estimator, X, *, reset, dtype=_FLOATS, **options):
    refuse_unread(X)
    refuse_images(X)
    if reset:
        warn_of_categories(X)
    _check_numbers_of_columns(estimator, X, reset=reset)
    X, options = without_mask(X), {"dtype": dtype, **options}
    values = _values_of_floats(X)
    with first_gap_named(X):
        if values is None:
            refuse_text(X)
            return validate_data(estimator, X, reset=reset, **options)
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        return check_array(values, estimator=estimator, input_name="X", **options)


def _check_numbers_of_columns(estimator, X, *, reset):
    """Raise ValueError if columns that are named by numbers or tuples stand in another order.

    scikit-learn knows columns by names that are strings alone.
    """
    columns = getattr(X, "columns", ())
    is_index = hasattr(columns, "nlevels")  # and no columns themselves
    names = list(columns) if is_index and not all(isinstance(one, str) for one in columns) else None
    if reset:
        vars(estimator).pop("_numbers_of_columns", None)
        if names is not None:
            estimator._numbers_of_columns = names
        return
    known = getattr(estimator, "_numbers_of_columns", None)
    if names is None or known is None or names == known:
        return
    if sorted(map(repr, names)) == sorted(map(repr, known)):
        place = next(i for i, name in enumerate(names) if name != known[i])
        raise ValueError(
            f"X has the columns of fit in another order: column {place} is {names[place]!r}, and "
            f"was {known[place]!r}. Pass them in the order of fit."
        )


@contextmanager
def first_gap_named(X):
    """A context that says where a table has NaN or infinity, in scikit-learn's error of it."""
    try:
        yield
    except ValueError as error:
        kind, is_one = ("NaN", np.isnan) if "contains NaN" in str(error) else ("infinity", np.isinf)
        if f"contains {kind}" not in str(error):
            raise
        # Also of types that have a missing value of their own.
        values = X.to_numpy(np.float64, na_value=np.nan) if hasattr(X, "isna") else np.asarray(X)
        found = is_one(values.astype(np.float64))
        if not found.any():  # but a value that is too large
            raise
        row, column = np.argwhere(found)[0].tolist()
        name = f" ({X.columns[column]!r})" if hasattr(X, "columns") else ""
        why = (
            " An embedder leaves a row of NaN where an image cannot be read and on_error='nan'."
            if kind == "NaN"
            else ""
        )
        raise ValueError(
            f"X contains {kind}, first in row {row}, column {column}{name}; that row has "
            f"{found[row].sum()} of them. Fill such cells or leave the rows out.{why}"
        ) from None


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


def _values_of_floats(X):
    """The values of a frame of floats, or None.

    scikit-learn looks at the columns of a frame one by one, which takes longer than to predict
    where there are thousands.
    """
    if not hasattr(X, "columns") or not hasattr(X, "to_numpy"):
        return None
    if isinstance(X.dtypes, list) and any(dtype.is_temporal() for dtype in X.dtypes):
        return None  # polars makes numbers of these, where they stand beside numbers
    values = X.to_numpy()
    return values if values.dtype in _FLOATS else None


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
    _check_classes(y)


def _check_classes(y):
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

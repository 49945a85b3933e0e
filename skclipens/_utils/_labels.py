"""Checks of labels: missing, unknown and mixed ones."""

import os
import re
from decimal import Decimal
from enum import Enum
from numbers import Integral, Number, Real

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from ._column_names import names_of_columns, refuse_lazy
from ._messages import listed
from ._missing import is_missing, without_mask
from ._one_column import first_of_column, refuse_no_column, without_string_dtype
from ._warnings import silent

CHECK_SPELLING = "Check whether they are spelled or numbered differently."
_PATH = re.compile(r"\.(?:png|jpe?g|webp|gif|bmp|tiff?|hei[cf]|avif)$", re.IGNORECASE)
_RENAME = (
    " -1 stands for no label. If it is a class here, use strings as labels, such as "
    "numpy.where(y == -1, 'no', 'yes'), or other numbers."
)


def allow_few_rows_per_class():
    """Return a context without scikit-learn's warning of few rows per class.

    One labelled image per class is an ordinary use of this package.
    """
    return silent("The number of unique classes is greater")


def column_of_labels(y, *, name="y", warn=False):
    """Return labels as a one-dimensional array; raise ValueError as :func:`refuse_mixed`.

    Missing labels stay missing. numpy would convert NaN in a list of strings to 'nan', null among
    integers to a float, and return the masked values of a masked array. It would also cut off the
    names of members of an Enum. With `warn`, y of shape (n, 1) gives a warning.
    """
    refuse_lazy(y, name)
    columns = names_of_columns(y)
    is_table = columns is not None and len(columns) == 1
    if is_table:
        y = y[columns[0]]
    _refuse_none(y, name)
    refuse_no_column(y, name)
    refuse_paths_as_labels(y, name)
    refuse_mixed(y, name)
    y = without_string_dtype(without_mask(y))
    if isinstance(y, (list, tuple)) and any(is_missing(one) or isinstance(one, Enum) for one in y):
        y = np.array(y, dtype=object)
    if _has_nulls(y):
        y = np.array(y.to_list() if hasattr(y, "to_list") else y.to_pylist(), dtype=object)
    if hasattr(y, "astype") and hasattr(getattr(y, "dtype", None), "categories"):
        # scikit-learn would convert booleans in a column of categories to floats.
        y = y.astype(object if y.isna().any() else y.dtype.categories.dtype)
    if hasattr(getattr(y, "dtype", None), "numpy_dtype"):
        # scikit-learn would convert the integers of a nullable pandas column to floats.
        y = y.to_numpy(object if y.isna().any() else None)
    return column_or_1d(np.asarray(y)[:, None] if is_table else y, warn=warn)


def _refuse_none(y, name):
    if y is None:  # scikit-learn's checks of estimators look for some of these words
        raise ValueError(f"{name} is None, and {name} should be a 1d array: a label for each row.")


def _has_nulls(y):
    """Return whether y is a column of polars or pyarrow with missing values."""
    n_nulls = getattr(y, "null_count", 0)
    n_nulls = n_nulls() if callable(n_nulls) else n_nulls
    return isinstance(n_nulls, Integral) and n_nulls > 0  # of a frame of polars, it is a frame


def refuse_mixed(y, name):
    """Raise ValueError if labels have several types, or a type that no label may have.

    numpy would convert numbers in a list with strings to strings.
    """
    if hasattr(y, "__array__"):
        y = np.asarray(y)
        if y.ndim > 1 and y.shape[1:] != (1,):
            _refuse_several(name, f"has shape {y.shape}")
        if y.dtype.kind in "mMSV":
            raise ValueError(
                f"{name} has dtype {y.dtype}. Labels are strings, or whole numbers: "
                "np.asarray(y).astype(str) makes them strings."
            )
        if y.dtype.kind != "O" or not y.ndim:
            return
    first, all_minus = {}, True
    for row, label in enumerate(y):
        if is_missing(label):
            continue
        kind = "a number" if isinstance(label, (Number, np.bool_)) else _kind_of(label)
        if kind == "something else" and np.shape(label)[:1] != (1,):
            _refuse_several(name, f"has {label!r} in row {row}")
        if kind is None:
            written = "label.decode()" if isinstance(label, bytes) else "str(label)"
            written = "label.name" if isinstance(label, Enum) else written
            written = "label.item()" if hasattr(label, "item") else written  # a tensor
            raise ValueError(
                f"Label {label!r} of {name}, in row {row}, is of type {type(label).__name__}. "
                f"Labels are strings, or whole numbers: {name} = [{written} for label in {name}] "
                "makes such labels of them."
            )
        first.setdefault(kind, (row, label))
        all_minus &= kind != "a number" or label == -1
    if set(first) == {"a number", "a string"} and all_minus:
        raise ValueError(
            f"{name} holds strings, and the number -1 in row {first['a number'][0]}. Where labels "
            "are strings, a row without a label has None: write None in place of -1."
        )
    if len(first) > 1:
        named = " and ".join(f"{kind} in row {r} ({v!r})" for kind, (r, v) in first.items())
        raise ValueError(
            f"{name} mixes types: {named}. Labels are all strings or all numbers: {name} = "
            f"[str(label) for label in {name}] makes them strings."
        )


def _refuse_several(name, has):
    raise ValueError(
        f"{name} {has}, where one label for each row is wanted. Rows of a one-hot code, or "
        "probabilities, become labels by classes_[rows.argmax(axis=1)]. Where a row has several "
        "labels, fit a classifier for each, as sklearn.multioutput.MultiOutputClassifier does."
    )


def _kind_of(label):
    if isinstance(label, str):
        return "a string"
    return "something else" if isinstance(label, (list, tuple)) or np.ndim(label) else None


def refuse_paths_as_labels(y, name="y"):
    """Raise ValueError if labels are paths or names of images, nearly all of them distinct."""
    first = first_of_column(y)
    if not _is_path(first):
        return
    labels = np.asarray(y, dtype=object).ravel().tolist()
    if len(labels) > 1 and all(map(_is_path, labels)) and 10 * len(set(labels)) > 9 * len(labels):
        order = "train_test_split returns X_train, X_test, y_train, y_test, in this order."
        raise ValueError(
            f"{name} holds paths or names of images, such as {str(first)!r}, and not labels."
            f"{f' {order}' if name == 'y' else ''}"
        )


def _is_path(label):
    return isinstance(label, (str, os.PathLike)) and _PATH.search(str(label)) is not None


def check_labels(y):
    """Raise ValueError unless y, of :func:`column_of_labels`, has a label in each row."""
    refuse_unlabeled(y)
    check_classes(y)


def check_classes(y):
    try:
        with allow_few_rows_per_class():
            check_classification_targets(y)
    except ValueError as error:
        raise ValueError(f"{error} {why_no_labels(y)}".rstrip()) from None


def why_no_labels(y):
    """Return a hint, for scikit-learn's error, on why labels are refused; it may be empty."""
    if y.ndim != 1 or not len(y):
        return ""
    if y.dtype.kind == "O" and isinstance(y[0], (Number, np.bool_)):
        kind = "int" if all(map(_is_whole, y.tolist())) else "str"
        kind = "bool" if all(isinstance(one, (bool, np.bool_)) for one in y.tolist()) else kind
        return f"y holds numbers as objects, such as {y[0]!r} in row 0: pass y.astype({kind})."
    rows = np.flatnonzero(y != np.floor(y)) if y.dtype.kind == "f" else []
    if not len(rows):
        return ""
    return f"The first such label is {y[rows[0]].item()!r}, in row {rows[0]}."


def _is_whole(number):
    return isinstance(number, (Real, Decimal)) and number % 1 == 0


def unlabeled_rows(y, *, signs_are_classes=False):
    """Return which rows have no label: None, NaN or "", or -1 among numbers, as in scikit-learn.

    With `signs_are_classes`, -1 is a label if all numbers are -1 and 1.
    """
    labels = _labels_as_given(y)
    if labels.dtype.kind == "U":
        return labels == ""
    if labels.dtype.kind in "biuf":  # much faster than one by one
        missing, numbers = np.isnan(labels), labels
        is_minus = labels == -1
    else:
        listed = labels.tolist()
        missing = np.array([is_missing(label) for label in listed], bool)
        is_minus = np.array([_is_number(label) and label == -1 for label in listed], bool)
        numbers = np.array([label for label in listed if _is_number(label)], object)
    others = numbers[numbers != -1]
    if signs_are_classes and len(others) and (others == 1).all():
        return missing
    return missing | is_minus


def _labels_as_given(y):
    """Return labels as an array. In a list with strings, numpy would convert all to strings."""
    return np.asarray(without_mask(y), dtype=None if hasattr(y, "dtype") else object).ravel()


def _is_number(label):
    return isinstance(label, Real) and not isinstance(label, bool)


def labels_of(y, labeled):
    """Return the labels of the labelled rows, in the dtype that they would have alone.

    Raise ValueError if they have fewer than two classes.
    """
    n_rows, y = len(y), with_dtype_of_numbers(y[labeled])
    if len(set(y.tolist())) < 2:
        raise ValueError(
            f"{len(y)} of {n_rows} rows of y have a label, and these are of fewer than two "
            'classes. Label rows of at least two; None, NaN, "", and -1 among numbers stand for no '
            "label."
        )
    return y


def with_dtype_of_numbers(y):
    """Return labels without dtype object if all are numbers or flags."""
    is_number = (isinstance(label, (Real, np.bool_)) for label in y.tolist())
    return np.array(y.tolist()) if y.dtype == object and all(is_number) else y


def refuse_unlabeled(y, option=None, name="y", *, classes=(), to_score=False):
    """Raise ValueError if y is None or a row has no label; see :func:`unlabeled_rows`.

    Known `classes` are labels, which may include -1, or "" as the label of rejected rows. If none
    are known, as in ``fit``, and all labels are -1 and 1, these are two classes. `option` is the
    estimator's parameter that allows rows without a label. Rows `to_score` get advice on splits.
    """
    _refuse_none(y, name)
    classes = np.asarray(classes).tolist()
    missing = unlabeled_rows(y, signs_are_classes=not classes)
    if not missing.any():
        return
    labels = _labels_as_given(y).tolist()
    missing &= [not isinstance(one, (str, Real)) or one not in classes for one in labels]
    if not missing.any():
        return
    row = int(np.argmax(missing))
    allow = f", or see the parameter {option!r}" if option else ""
    rename = ""
    if isinstance(labels[row], Real) and labels[row] == -1:
        rename = f" The classes are {listed(classes)}." if classes else _RENAME
    splits = " In cross-validation, use splits whose test rows all have labels." * to_score
    raise ValueError(
        f"{name} has no label for {np.count_nonzero(missing)} of {len(labels)} rows; the first is "
        f"row {row}, with {labels[row]!r}. Label these rows or leave them out{allow}.{rename}"
        f"{splits}"
    )


def check_at_least_two(classes):
    """Raise ValueError unless there are two classes."""
    if not len(classes):
        raise ValueError("At least two classes are needed; y has no rows.")
    if len(classes) < 2:
        (only,) = np.asarray(classes).tolist()
        raise ValueError(f"At least two classes are needed; got 1 class, {only!r}.")

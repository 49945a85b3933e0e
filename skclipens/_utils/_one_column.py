"""Checks of input that is one column, with a value for each row: its type, first value and name."""

from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from numbers import Number

import numpy as np
from sklearn.utils.validation import validate_data

from ..exceptions import ImageError
from ._column_names import names_of_columns
from ._warnings import silent


def refuse_no_column(values, name, of="row"):
    """Raise ValueError if input with a value for each row has no order, or is a single value.

    In the message, `of` is what each value belongs to.
    """
    if isinstance(values, (str, bytes, Number, Mapping, Set, Iterator)):
        raise ValueError(
            f"{name} is a {type(values).__name__}. Give a list, an array or a column, with a value "
            f"for each {of}, in their order."
        )


def first_of_column(X):
    """Return the first value of input that has one value for each row, or None."""
    if hasattr(X, "iloc"):
        X = X.iloc[:1].to_numpy()
    first = _first(X)
    return _first(first) if _is_sequence(first) and len(first) == 1 else first


def _first(X):
    return X[0] if _is_sequence(X) and len(X) else None


def _is_sequence(X):
    return isinstance(X, (list, tuple)) or (isinstance(X, np.ndarray) and X.ndim > 0)


def name_of_column(X):
    """Return the name of a Series, or of the only column of a frame; otherwise None."""
    names = names_of_columns(X) or [getattr(X, "name", None)]
    return names[0] if len(names) == 1 and isinstance(names[0], str) else None


@contextmanager
def named_in_errors(X):
    """Add the name of a column of images, if it has one, to the ImageErrors of this context."""
    try:
        yield
    except ImageError as error:
        if (name := name_of_column(X)) is not None:  # a table may have several such columns
            error.add_note(f"It is in the column {name!r}.")
        raise


def without_string_dtype(values):
    """Return an array of numpy's StringDType as a list, since scikit-learn refuses that dtype."""
    kind = getattr(getattr(values, "dtype", None), "kind", "")
    return values.tolist() if kind == "T" else values


def check_column(estimator, X, *, reset):
    """Store the name of a frame's column of images, or raise ValueError if it is another one.

    With `reset`, ``n_features_in_`` is set, and ``feature_names_in_`` if X has names.
    """
    if reset:
        estimator.n_features_in_ = 1
    if reset or hasattr(estimator, "feature_names_in_"):
        with silent("X does not have valid feature names"):  # as lists and Series have none
            validate_data(estimator, X, reset=reset, skip_check_array=True, ensure_2d=False)

"""Read columns of a table as numbers or as words, whatever the type of their missing values."""

from numbers import Number

import numpy as np

from .._utils._missing import is_missing


def as_numbers(X):
    """Return the columns of a DataFrame as floats, with NaN for missing values.

    Raises
    ------
    ValueError
        If a value is no number; names the column and the row.
    """
    return _converted(X, _number, np.float64)


def as_words(X):
    """Return the columns of a DataFrame as objects, with None for missing values."""
    return _converted(X, lambda value, *_: None if is_missing(value) else value, object)


def _converted(X, convert, dtype):
    import pandas as pd

    columns = {
        name: [convert(value, name, row) for row, value in enumerate(X[name].to_list())]
        for name in X.columns
    }
    return pd.DataFrame(columns, index=getattr(X, "index", None), dtype=dtype)


def _number(value, name, row):
    if is_missing(value):
        return np.nan
    if isinstance(value, (Number, np.bool_)):
        return float(value)
    raise ValueError(
        f"Column {name!r} has {value!r} in row {row}, where a number is needed. Convert the "
        "column, as pandas.to_numeric does, or name it among the categories."
    )

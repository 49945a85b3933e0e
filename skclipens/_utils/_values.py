"""Values of tables and labels that would be taken for others without a word."""

from collections.abc import Iterator, Mapping, Set
from datetime import date, time, timedelta
from numbers import Number

import numpy as np

from ._messages import listed
from ._missing import is_missing
from ._warnings import warn

_TIMES = (date, time, timedelta, np.datetime64, np.timedelta64)
_SMALLEST = 1e-16  # of the largest value of a table; squares of smaller ones vanish in float32


def refuse_text(X):
    """Raise ValueError if cells hold text, which scikit-learn would read as numbers, or others.

    Dates are no numbers, and a vector in a cell is not one number.

    Parameters
    ----------
    X : array-like of shape (n, n_features)
    """
    names = list(X.columns) if hasattr(X, "columns") else None
    if names is not None and hasattr(X, "to_numpy") and _is_of_numbers(X, names):
        return
    for row, column, cell in _cells(X):
        if _is_time(cell):
            _refuse_times(names[column] if names else column)
        if isinstance(cell, (str, bytes)):
            name = f" ({names[column]!r})" if names else ""
            raise ValueError(
                f"X holds text: row {row}, column {column}{name} is {str(cell)!r}. Convert "
                "numbers, X.astype(float); encode categories, as "
                "sklearn.preprocessing.OneHotEncoder does; embed a column of images alone, as "
                "MultiBackboneEmbedder does."
            )
        if hasattr(cell, "__len__") and np.ndim(cell):
            of_column = "X" if np.ndim(X) == 1 else f"X[{names[column]!r}]" if names else "X[:, 0]"
            raise ValueError(
                f"X holds vectors: row {row} has {len(cell)} values in one cell. Make a column of "
                f"each, as np.stack({of_column}) does."
            )


def warn_of_categories(X):
    """Warn of columns of a frame whose numbers are names of categories, of three or more.

    Parameters
    ----------
    X : array-like of shape (n, n_features)
    """
    dtypes = getattr(X, "dtypes", None)
    if not hasattr(dtypes, "items"):
        return
    named = [
        name
        for name, dtype in dtypes.items()
        if hasattr(dtype, "categories") and not dtype.ordered and len(dtype.categories) > 2
    ]
    if named:
        warn(
            f"Column {listed(named)} of X holds categories, whose numbers are read as amounts. If "
            "they are names, encode them, as sklearn.preprocessing.OneHotEncoder does; if they are "
            "amounts or ranks, make numbers of them: astype(float)."
        )


def refuse_unread(X):
    """Raise ValueError if a table is yet to be computed, or is of a type that numpy lacks.

    Or if it is a dict, which may be a row or columns, or has a column twice.

    Parameters
    ----------
    X : array-like of shape (n, n_features)
    """
    if isinstance(X, Mapping) and not hasattr(X, "shape"):  # as sparse matrices have
        raise ValueError(
            "X is a dict. Give a table with a row for each picture: pandas.DataFrame([X]) makes "
            "one of a single row, and pandas.DataFrame(X) of columns."
        )
    if not getattr(getattr(X, "columns", None), "is_unique", True):
        twice = X.columns[X.columns.duplicated()].tolist()
        raise ValueError(
            f"X has columns of the same name: {listed(twice)}. Rename them, or leave the copies "
            "out: X.loc[:, ~X.columns.duplicated()]."
        )
    if hasattr(X, "__dask_graph__") and X.__dask_graph__() is not None:  # None: in memory already
        method = "compute"
    elif type(X).__name__ == "LazyFrame":
        method = "collect"
    elif str(getattr(X, "dtype", "")) == "torch.bfloat16":
        method = "float"
    else:
        return
    raise ValueError(f"X cannot be read as an array of numpy as it is: pass X.{method}().")


def refuse_class(estimator, name):
    """Raise TypeError if a class is given where an estimator is wanted."""
    if isinstance(estimator, type):
        kind = estimator.__name__
        raise TypeError(f"{name} is the class {kind}. Make one of it: add (), as {kind}().")


def _is_of_numbers(X, names):
    """Whether all columns of a frame hold numbers; ValueError if one holds dates."""
    columns = {name: np.asarray(X[name]) for name in names}
    kinds = {name: "O" if one.ndim > 1 else one.dtype.kind for name, one in columns.items()}
    for name, kind in kinds.items():
        if kind in "mM" or (kind == "O" and any(map(_is_time, columns[name][:1]))):
            _refuse_times(name)
    return all(kind in "biufc" for kind in kinds.values())


def _is_time(cell):
    is_time = isinstance(cell, _TIMES) or type(cell).__name__ == "Period"
    return is_time and not is_missing(cell)


def _refuse_times(column):
    raise ValueError(
        f"Column {column!r} of X holds dates or times. Make numbers of it, such as the year and "
        "the month, or leave it out."
    )


def _cells(X):
    """Yield row, column and value of the cells of a table that may hold text, or times."""
    try:
        values = np.asarray(X)
    except ValueError:  # rows of different length: scikit-learn's own error
        return
    if values.dtype.kind == "O" and values.ndim == 1:
        yield from ((row, 0, cell) for row, cell in enumerate(values))
    if values.dtype.kind in "OSUTmM" and values.ndim == 2:
        # The list itself: numpy turns numbers beside text into text.
        for row, cells in enumerate(X if isinstance(X, (list, tuple)) else values):
            for column, cell in enumerate(cells):
                yield row, column, cell


def check_range(X, names=None):
    """Raise ValueError if squares of a table overflow, or all vanish.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), float64 or float32
    names : ndarray of shape (n_features,) or None
        Names of the columns.
    """
    top = float(max(X.max(), -X.min()))
    with np.errstate(over="ignore"):
        overflows = top * top * X.size > np.finfo(X.dtype).max
    if not overflows and not 0 < top < _SMALLEST:
        return
    column = int(np.abs(X).max(axis=0).argmax())
    where = f"{column}" if names is None else f"{column} ({names[column]!r})"
    if overflows:
        raise ValueError(
            f"Column {where} of X has values as large as {top:.2g}, whose squares overflow "
            f"{X.dtype}. Scale the columns, say by sklearn.preprocessing.StandardScaler."
        )
    raise ValueError(
        f"The largest value of X, in column {where}, is {top:.2g}: its square vanishes. "
        "Scale the columns, say by sklearn.preprocessing.StandardScaler."
    )


def refuse_no_column(values, name, of="row"):
    """Raise ValueError if what is to have a value for each row is in no order, or is one text.

    Parameters
    ----------
    values : object
    name : str
        What the values are called.
    of : str
        What has a value each.
    """
    if isinstance(values, (str, bytes, Mapping, Set, Iterator)):
        raise ValueError(
            f"{name} is a {type(values).__name__}. Give a list, an array or a column, with a value "
            f"for each {of}, in their order."
        )


def refuse_mixed(y, name="y"):
    """Raise ValueError if labels are of several types, or of one that is none of a label's.

    Numbers beside text would become text.

    Parameters
    ----------
    y : array-like of shape (n,)
    name : str
        What the labels are called.
    """
    if hasattr(y, "__array__"):
        y = np.asarray(y)
        if y.dtype.kind != "O" or not y.ndim:
            return
    first, all_minus = {}, True
    for row, label in enumerate(y):
        if is_missing(label):
            continue
        kind = "a number" if isinstance(label, (Number, np.bool_)) else _kind_of(label)
        if kind is None:
            raise ValueError(
                f"Label {label!r} of {name}, in row {row}, is of type {type(label).__name__}. "
                "Labels are strings, or whole numbers."
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


def _kind_of(label):
    if isinstance(label, str):
        return "a string"
    # For labels of several outputs, dates and the like, scikit-learn has its own errors.
    return None if isinstance(label, (dict, set, bytes)) else "something else"


def why_no_labels(y):
    """What scikit-learn does not say of labels that it refuses.

    Parameters
    ----------
    y : ndarray of shape (n,)

    Returns
    -------
    str
        A sentence, or nothing.
    """
    if y.ndim != 1 or not len(y):
        return ""
    if y.dtype.kind == "O" and isinstance(y[0], Number):
        return f"y holds numbers as objects, such as {y[0]!r} in row 0: pass y.astype(int)."
    rows = np.flatnonzero(y != np.floor(y)) if y.dtype.kind == "f" else []
    if not len(rows):
        return ""
    return f"The first such label is {y[rows[0]].item()!r}, in row {rows[0]}."


def with_label(labels, rows, label):
    """A copy of labels with another one in some rows, of a dtype that holds both.

    Parameters
    ----------
    labels : ndarray of shape (n,)
    rows : ndarray of shape (n,), bool
    label : object
        Beside labels of another kind, such as None beside strings, all are objects.

    Returns
    -------
    ndarray of shape (n,)
    """
    of_label = np.min_scalar_type(label)
    if of_label.kind == "O" or (of_label.kind == "U") != (labels.dtype.kind == "U"):
        dtype = np.dtype(object)
    else:
        dtype = np.result_type(labels.dtype, of_label)
    if dtype.kind == "f" and of_label.kind == "i" and labels.dtype.kind == "u":
        dtype = np.dtype(np.int64)  # for uint64 and -1, numpy would take floats
    labels = labels.astype(dtype)
    labels[rows] = label
    return labels

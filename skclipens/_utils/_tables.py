"""Checks of tables that cannot be used as they are, or would be misread without an error."""

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, time, timedelta
from numbers import Real

import numpy as np

from ._column_names import names_of_columns, refuse_lazy
from ._contexts import set_within
from ._messages import as_python, listed
from ._missing import is_missing
from ._one_column import first_of_column
from ._warnings import warn

FLOATS = [np.float64, np.float32]
_TIMES = (date, time, timedelta, np.datetime64, np.timedelta64)
_SMALLEST = 1e-16  # of the largest value of a table; squares of smaller ones vanish in float32
_LONGEST = 80  # characters that a message quotes
_MOST_BLOCKS = 9  # that a message writes
_checked_part = ContextVar("what messages of check_range call the table", default="X")


def refuse_unread(X):
    """Raise ValueError if a table is lazy, or has a dtype that numpy lacks.

    Also if it is a dict, which may hold a row or columns, several tables, or has two columns of the
    same name.
    """
    is_dict = isinstance(X, Mapping) and not hasattr(X, "shape")  # as sparse matrices have
    _refuse_several_tables(X, is_dict)
    if is_dict:
        raise ValueError(
            "X is a dict. Give a table with a row for each picture: pandas.DataFrame([X]) makes "
            "one of a single row, and pandas.DataFrame(X) of columns."
        )
    refuse_lazy(X)
    refuse_shared_names(X)
    if str(getattr(X, "dtype", "")) == "torch.bfloat16":
        raise ValueError("X cannot be read as an array of numpy as it is: pass X.float().")


def _refuse_several_tables(X, is_dict):
    """Raise ValueError if X is a list, or dict, of tables, such as one for each backbone."""
    tables = list(X.values()) if is_dict else X
    if not isinstance(tables, (list, tuple)) or not tables:
        return
    shapes = [getattr(one, "shape", ()) for one in tables]
    if not all(len(shape) == 2 for shape in shapes):
        return
    if len(tables) == 1:
        raise ValueError("X holds one table. Pass the table itself.")
    given, found = "list(X.values())" if is_dict else "X", f"X is {len(tables)} tables."
    as_rows = f" If they are batches of rows, numpy.vstack({given}) makes one table of them."
    n_rows, widths = map(set, zip(*shapes))
    if len(n_rows) > 1 or n_rows == {1}:
        raise ValueError(found + as_rows)
    ends = np.cumsum([width for _, width in shapes]).tolist()
    slices = [f"slice({start}, {end})" for start, end in zip([0, *ends], ends)]
    names = [repr(str(name)) for name in (X if is_dict else range(len(tables)))]
    blocks = [": ".join(pair) for pair in zip(names, slices)]
    blocks = ", ".join(blocks[:_MOST_BLOCKS] + ["..."] * (len(blocks) > _MOST_BLOCKS))
    raise ValueError(
        f"{found} If each has the embeddings of one backbone, join their columns, numpy.hstack("
        f"{given}), and tell an ensemble which belong together: blocks={{{blocks}}}."
        + as_rows
        * (len(widths) == 1)
    )


def refuse_shared_names(X):
    """Raise ValueError if a frame has two columns of the same name."""
    if getattr(getattr(X, "columns", None), "is_unique", False):  # pandas caches this
        return
    twice = [name for name, n in Counter(names_of_columns(X)).items() if n > 1]
    if twice:
        how = ": X.loc[:, ~X.columns.duplicated()]" if hasattr(X, "loc") else ""
        raise ValueError(
            f"X has columns of the same name: {listed(twice)}. Rename them, or leave the copies "
            f"out{how}."
        )


def refuse_images(X):
    """Raise ValueError if X, by its first value, is a column of images or of their names."""
    first = as_python(first_of_column(X))
    is_image = type(first).__module__.startswith("PIL.")
    if is_image or (isinstance(first, (str, bytes, os.PathLike)) and not _reads_as_number(first)):
        raise ValueError(
            f"X holds images or their names, such as {_quoted(first)}, where a table of numbers "
            "is wanted: the step that embeds them is missing. MultiBackboneEmbedder('zoo')"
            ".set_output(transform='pandas').fit_transform(X) makes one, and "
            "make_backbone_pipeline('zoo') puts this step before an ensemble."
        )


def _quoted(value):
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def refuse_loose_rows(X):
    """Raise ValueError if X is a row of numbers or a list of such rows, where both are no table."""
    if _is_row(X):
        raise ValueError(
            f"X is one row, of {len(X)} numbers. A table has two dimensions: pass X.iloc[[0]] of a "
            "frame, or X[[0]] of an array, in place of its first row."
        )
    if is_list_of_rows(X):
        raise ValueError(
            "X is a list of rows of numbers. A table has two dimensions: pass numpy.asarray(X)."
        )


def is_list_of_rows(X):
    """Return whether X is a list of rows of numbers."""
    return isinstance(X, (list, tuple)) and len(X) > 0 and _is_row(X[0])


def _is_row(values):
    if isinstance(values, (list, tuple)):
        return len(values) > 0 and isinstance(values[0], Real)
    one = len(getattr(values, "shape", ())) == 1 and len(values) > 0
    return one and np.asarray(values[:1]).dtype.kind == "f"


def _reads_as_number(text):
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True


def refuse_text(X):
    """Raise ValueError if cells hold text, dates, times or vectors, TypeError if other objects.

    scikit-learn would read text as numbers, and not say where the objects are.
    """
    names = names_of_columns(X)
    if names is not None and _is_of_numbers(X, names):
        return
    for row, column, cell in _cells(X):
        if _is_time(cell):
            _refuse_times(names[column] if names else column)
        place = _written(column, names)
        if isinstance(cell, (str, bytes)):
            raise ValueError(
                f"X holds text: row {row}, column {place} is {str(cell)!r}. Convert "
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
        try:
            if not is_missing(cell):
                float(cell)
        except (TypeError, OverflowError) as error:
            raise type(error)(
                f"Row {row}, column {place} of X is {_quoted(cell)}: {error}. Make numbers "
                "of the column, or leave it out."
            ) from None


def _written(column, names):
    """Return how messages write a column: by its position, and its name if there are names."""
    return f"{column}" if names is None else f"{column} ({names[column]!r})"


def _is_of_numbers(X, names):
    """Return whether all columns of a frame hold numbers; raise ValueError if one holds dates."""
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
    """Yield row, column and value of each cell if the table may hold text or times."""
    try:
        values = np.asarray(X)
    except ValueError:  # rows of different length: scikit-learn's own error
        return
    if values.dtype.kind == "O" and values.ndim == 1:
        yield from ((row, 0, cell) for row, cell in enumerate(values))
    if values.dtype.kind in "OSUTmM" and values.ndim == 2:
        # Of a list, not its array, since numpy would convert numbers in it to text.
        for row, cells in enumerate(X if isinstance(X, (list, tuple)) else values):
            for column, cell in enumerate(cells):
                yield row, column, cell


def warn_of_categories(X):
    """Warn of columns of a frame that hold three or more unordered categories that are numbers."""
    dtypes = getattr(X, "dtypes", None)
    if not hasattr(dtypes, "items"):
        return
    named = [
        name
        for name, dtype in dtypes.items()
        if hasattr(dtype, "categories")
        and not dtype.ordered
        and len(dtype.categories) > 2
        and not isinstance(dtype.categories[0], str)  # text is an error
    ]
    if named:
        warn(
            f"Column {listed(named)} of X holds categories, whose numbers are read as amounts. If "
            "they are names, encode them, as sklearn.preprocessing.OneHotEncoder does; if they are "
            "amounts or ranks, make numbers of them: astype(float)."
        )


@contextmanager
def nonfinite_located(X):
    """Add the position of the first NaN or infinity to scikit-learn's error in this context."""
    try:
        yield
    except ValueError as error:
        kind, is_one = ("NaN", np.isnan) if "contains NaN" in str(error) else ("infinity", np.isinf)
        if f"contains {kind}" not in str(error):
            raise
        # Also for dtypes that have a missing value of their own.
        values = X.to_numpy(np.float64, na_value=np.nan) if hasattr(X, "isna") else np.asarray(X)
        found = is_one(values.astype(np.float64))
        if not found.any():  # a value is too large for the dtype
            raise
        row, column = np.argwhere(found)[0].tolist()
        place = _written(column, names_of_columns(X))
        why = (
            " An embedder leaves a row of NaN where an image cannot be read and on_error='nan'."
            if kind == "NaN"
            else ""
        )
        raise ValueError(
            f"X contains {kind}, first in row {row}, column {place}; that row has "
            f"{found[row].sum()} of them. Fill such cells or leave the rows out.{why}"
        ) from None


def called_block(name):
    """Return a context in which :func:`check_range` calls its table a block of X, not X."""
    return set_within(_checked_part, f"block {name!r}")


def check_range(X, names):
    """Raise ValueError if squares of a table of floats overflow, or all underflow."""
    top = float(max(X.max(), -X.min()))
    with np.errstate(over="ignore"):
        overflows = top * top * X.size > np.finfo(X.dtype).max
    if not overflows and not 0 < top < _SMALLEST:
        return
    column = int(np.abs(X).max(axis=0).argmax())
    place, part = _written(column, names), _checked_part.get()
    if overflows:
        raise ValueError(
            f"Column {place} of {part} has values as large as {top:.2g}, whose squares overflow "
            f"{X.dtype}. Scale the columns, say by sklearn.preprocessing.StandardScaler."
        )
    raise ValueError(
        f"The largest value of {part}, in column {place}, is {top:.2g}: its square vanishes. "
        "Scale the columns, say by sklearn.preprocessing.StandardScaler."
    )

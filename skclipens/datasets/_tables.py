"""Read CSV and Parquet tables, the images in them, and labels of CSV files, which are text."""

import csv
import os
import re
import reprlib
from contextlib import suppress
from itertools import chain

import numpy as np

from .._utils._extras import lacking
from .._utils._messages import listed
from .._utils._missing import MISSING_IN_FILES, is_missing
from .._utils._warnings import silent, warn
from ..exceptions import ImageError
from ..images._containers import name_of, unwrapped
from ..images._errors import advice_on_missing
from ..images._protocols import is_url
from ._layout import is_part

TABLE_SUFFIXES = (".csv", ".parquet")
PATH_COLUMNS = ("path", "filename", "file", "image")
SEVERAL = (dict, list, np.ndarray)  # types of cells in a Parquet file
_OF_PARTS = {"split", "set", "subset", "fold", "partition", "part"}
_TRUTH = {"True": True, "False": False}
_FLAGS = {**_TRUTH, "TRUE": True, "FALSE": False, "true": True, "false": False}


def read_table(path, text, *, strings=(), others=()):
    """Read a CSV or Parquet file that has rows.

    The columns `text` of a CSV file stay text, without blanks around it, and so do `strings`, but
    with blanks between quotes; those that are missing are ignored. Other columns become numbers if
    possible; "NA" and the like are then missing ones. Raise FileNotFoundError if there is no such
    file; ValueError if it is a folder or has another format, no rows, or a column of `text` or
    `others` twice; and ImportError if the file is Parquet and pyarrow is not installed.
    """
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise ValueError(
            f"{str(path)!r} must end in {' or '.join(TABLE_SUFFIXES)}. Save "
            "a spreadsheet, or a table of another format, as CSV with commas, in UTF-8."
        )
    if path.is_dir():
        raise ValueError(
            f"{str(path)!r} is a folder, such as of the parts of a table: write them to one file, "
            "and name that."
        )
    if not path.is_file():
        raise FileNotFoundError(f"There is no table {str(path)!r}.")
    is_csv = path.suffix.lower() == ".csv"
    columns = text, strings, others
    table = _read_csv(path, *columns) if is_csv else _read_parquet(path, [*chain(*columns)])
    if not len(table):
        raise ValueError(f"{str(path)!r} has no rows.")
    return table


def _read_csv(path, text, strings, others):
    import pandas as pd

    # "None" and "NA" can be names of classes.
    options = {"keep_default_na": False, "na_values": [""], "skipinitialspace": True}
    options["low_memory"] = False  # a column has one type
    try:
        names = pd.read_csv(path, header=None, nrows=1, dtype=str, **options).iloc[0].tolist()
        options |= {"dtype": dict.fromkeys([*text, *strings], str)}
        table = pd.read_csv(path, **options)
        if _rows_end_in_commas(table):  # pandas takes the first columns for an index
            with silent("Length of header"):
                table = pd.read_csv(path, index_col=False, **options)
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{str(path)!r} is empty: its first line names columns.") from error
    except ValueError as error:  # its message does not name the file
        advice = ". Save it in UTF-8." if isinstance(error, UnicodeDecodeError) else ""
        raise ValueError(
            f"{str(path)!r} is no table of values between commas, in UTF-8: {str(error).strip()}"
            f"{advice}"
        ) from error
    if len(names) == 1 and (between := re.search(r"[;\t|]", str(names[0]))):
        comma = ", decimal=','" if between[0] == ";" else ""  # of numbers, in the same countries
        raise ValueError(
            f"{str(path)!r} has {between[0]!r} between its values. Write it with commas, as "
            f"pandas.read_csv(FILE, sep={between[0]!r}{comma}).to_csv(FILE, index=False) does."
        )
    if len(table) and not pd.api.types.is_integer_dtype(table.index):
        raise ValueError(
            f"The rows of {str(path)!r} have more values than its first line has names. Put values "
            "with commas in them between quotes, and name all columns."
        )
    for name in [*text, *others]:
        if names.count(name) > 1:
            raise ValueError(f"{str(path)!r} has the column {name!r} twice: rename one.")
    for name in text:
        if name in table:
            stripped = table[name].str.strip()
            _refuse_line_breaks(stripped, path)
            table[name] = stripped.where(stripped != "")
    read_as_text = [one for one in (*text, *strings) if one is not None]
    for name in table.columns.difference(read_as_text):
        table[name] = _as_numbers(table[name])
    return table.copy()  # in one piece: pandas warns of others when a column is inserted


def _as_numbers(column):
    """Return a column as numbers or flags if all of its other cells stand for a missing one."""
    import pandas as pd

    missing = column.isin(MISSING_IN_FILES)
    if not missing.any():
        return column
    given = column.mask(missing)
    if given.dropna().isin(_FLAGS).all() and given.notna().any():
        return given.map(_FLAGS).astype(object)
    numbers = pd.to_numeric(given, errors="coerce")
    return column if (numbers.isna() & ~missing & column.notna()).any() else numbers


def _refuse_line_breaks(column, path):
    """Raise ValueError if a cell has line breaks: two stray quotes make one cell of many rows."""
    broken = column[column.str.contains(r"[\r\n]", na=False)]
    if len(broken):
        raise ValueError(
            f"{str(path)!r} has a line break in its column {column.name!r}, in the cell "
            f"{reprlib.repr(broken.iloc[0])} of line {_line_of(broken.iloc[0], path)}. A quote may "
            "be missing at its end. If a cell begins with a quote, put quotes around it, and write "
            "the one in it twice."
        )


def _line_of(cell, path):
    """Return the line of the file in which a cell begins."""
    line = 1
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, skipinitialspace=True)
        with suppress(csv.Error):  # raised if a cell is too long, as this one may be
            for row in rows:
                if cell in map(str.strip, row):
                    break
                line = rows.line_num + 1
    return line


def _rows_end_in_commas(table):
    import pandas as pd

    n_more = table.index.nlevels
    is_index = len(table) > 0 and not isinstance(table.index, pd.RangeIndex)
    return is_index and bool(table.iloc[:, -n_more:].isna().all(axis=None))


def _read_parquet(path, text):
    import pandas as pd

    try:
        table = pd.read_parquet(path)
    except ImportError as error:
        raise lacking("pyarrow", "Parquet files") from error
    in_index = [name for name in table.index.names if name in text and name not in table.columns]
    return table.reset_index(in_index) if any(in_index) else table


def warn_of_parts(table, path, advice):
    """Warn that a table has rows of several parts of a data set, all of which are used.

    That is if a column with a name such as "split" contains several names of parts, and nothing
    else. `advice` is a format string with `column` and `part`.
    """
    for column in table.columns:
        if str(column).strip().lower() in _OF_PARTS:
            parts = table[column].dropna().unique().tolist()
            if len(parts) > 1 and all(isinstance(one, str) and is_part(one) for one in parts):
                part = min(parts, key=lambda one: not one.lower().startswith("train"))
                warn(
                    f"{str(path)!r} says in its column {column!r} that rows are of the parts "
                    f"{listed(parts)}, and all of them are taken. "
                    + advice.format(column=column, part=part)
                )


def typed(labels):
    """Return labels as numbers, or as True and False, if ``str`` gives back all of the labels."""
    for kind in (int, float, _TRUTH.__getitem__):
        try:
            values = [kind(label) for label in labels]
        except (KeyError, ValueError):
            continue
        array = np.array(values)
        if array.dtype.kind in "bif" and np.isfinite(array).all():
            if list(map(str, values)) == labels:
                return array
    return np.array(labels)


def images_of_table(table, path, path_column=None, allow_missing=False):
    """Return the images of the rows of a table, and the column that has them.

    `path` is the absolute path of the table; the others are parameters of :func:`load_table`.
    """
    usual = [name for name in PATH_COLUMNS if name in table.columns]
    usual.sort(key=lambda name: not _contains_images(table[name]))
    path_column = usual_column(table, path_column, usual, "path_column")
    if path_column is None:
        raise ValueError(
            f"{str(path)!r} has none of the columns {', '.join(PATH_COLUMNS)}, but "
            f"{reprlib.repr(list(table.columns))}. Rename that of the paths, or name it by "
            "path_column of load_table."
        )
    return _images_of(table[path_column].tolist(), path_column, path, allow_missing), path_column


def _contains_images(column):
    """Return whether the first cell that is not missing has the content of an image, not a path."""
    first = next((cell for cell in column if not is_missing(cell)), None)
    is_content = isinstance(first, str) and name_of(first) is None
    return is_content or isinstance(first, (dict, bytes))


def locate_images(table, path, columns, allow_missing=False):
    """Locate the images in columns of a table, in place; return one of each row, and the columns.

    Parameters are those of :func:`images_of_table`, for each column; None stands for the usual one.
    """
    import pandas as pd

    found = [images_of_table(table, path, name, allow_missing) for name in columns or [None]]
    for images, name in found:
        table[name] = pd.Series(images, index=table.index, dtype=object)
    first, *others = (images for images, _ in found)
    for images in others:  # rows that lack the first image are named by another
        first = np.where([one is None for one in first], images, first)
    return first, [name for _, name in found]


def usual_column(table, given, usual, parameter):
    """Return the column that is given, or the first usual one; None if there is none."""
    if given is not None and given not in table.columns:
        raise ValueError(
            f"{parameter}={given!r} is not a column; the table has "
            f"{reprlib.repr(list(table.columns))}."
        )
    return given or next((name for name in usual if name in table.columns), None)


def _images_of(cells, column, table_path, allow_missing):
    """Return the image of each cell: an absolute path, a URL, a cell with its content, or None."""
    refuse_several([cell for cell in cells if not isinstance(cell, dict)], column, table_path)
    contents = [_content(cell, row, table_path) for row, cell in enumerate(cells)]
    if not allow_missing:
        check_all_there(contents, column, table_path)
    images = [
        None if is_missing(content) else _located(cell, content, table_path)
        for cell, content in zip(cells, contents, strict=True)
    ]
    missing = [row for row, one in enumerate(images) if _is_path(one) and not os.path.exists(one)]
    if missing:
        first = images[missing[0]]
        advice = advice_on_missing(first, "Relative paths begin at the folder of the table.")
        raise FileNotFoundError(
            f"{len(missing)} of the {len(images)} files that column {column!r} of "
            f"{str(table_path)!r} names are missing; the first is row {missing[0]}, {first!r}. "
            f"{advice}"
        )
    # An array of str takes as much memory for each item as for the longest: too much for base64.
    if all(isinstance(one, str) and name_of(one) is not None for one in images):
        return np.array(images)
    filled = np.empty(len(images), dtype=object)
    filled[:] = images
    return filled


def _content(cell, row, table_path):
    try:
        return unwrapped(cell)
    except ImageError as error:
        raise ImageError(f"row {row} of {str(table_path)!r}: {error}") from error


def _located(cell, image, table_path):
    """Return a cell whose image is bytes unchanged; a path relative to the table as absolute."""
    if isinstance(image, bytes):
        return cell
    if is_url(str(image)):
        return str(image)
    located = table_path.parent / str(image)
    is_of_home = str(image).startswith("~/") and not located.exists()
    return os.path.expanduser(str(image)) if is_of_home else str(located)


def _is_path(image):
    return isinstance(image, str) and not is_url(image) and name_of(image) is not None


def refuse_several(values, column, table_path, kinds=SEVERAL):
    """Raise ValueError if a cell, as possible in a Parquet file, is of one of these kinds."""
    for row, value in enumerate(values):
        if isinstance(value, kinds):
            held = value.tolist() if isinstance(value, np.ndarray) else value
            raise ValueError(
                f"Column {column!r} of {str(table_path)!r} holds a {type(held).__name__} in row "
                f"{row}, {reprlib.repr(held)}. Write one value there."
            )


def check_all_there(values, column, table_path):
    missing = [row for row, value in enumerate(values) if is_missing(value)]
    if missing:
        raise ValueError(
            f"Column {column!r} of {str(table_path)!r} is empty in {len(missing)} rows; the first "
            f"is row {missing[0]}. Fill these rows or leave them out."
        )

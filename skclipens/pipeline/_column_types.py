"""What the columns of a table held in fit, since a file, such as one of CSV, does not say it."""

import os
from datetime import date, datetime, timedelta
from numbers import Number
from zoneinfo import available_timezones

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from .._utils._column_names import names_of_columns
from .._utils._missing import MISSING_IN_FILES, is_missing
from .._utils._sklearn import safe_indexing
from ..embedding._base import BaseEmbedder

_CLASSES = {
    **{str: "text", os.PathLike: "text", bool: "flag", np.bool_: "flag"},
    **{datetime: "datetime", date: "date", timedelta: "duration", Number: "number"},
}
_TIMES = ("date", "datetime", "duration")
_IN_CSV = ("text", "text, not NA", "flag", "number", *_TIMES)


def types_of_columns(step, X):
    """Return what the columns that a fitted ColumnTransformer reads hold, by their names.

    That is a type, and what stands for a missing value: ``None``, "" or NaN. Types are "text",
    "text, not NA" if words such as "NA" are not missing, "flag", "date", "datetime,ZONE,UNIT",
    "duration,,UNIT", and "number" of objects. Other objects have the name of their class. There are
    none of plain numbers and of images, nor of other steps.
    """
    names = names_of_columns(X) if isinstance(step, ColumnTransformer) else None
    types = {name: _type_of(X[name]) for name in _read_by(step, names)} if names else {}
    return {name: one for name, one in types.items() if one is not None}


def _read_by(step, names):
    """Return the names of the columns that the transformers of a ColumnTransformer read."""
    import pandas as pd

    places = pd.DataFrame([range(len(names))], columns=names)
    read = [of for _, one, of in step.transformers_ if not _reads_nothing_else(one)]
    found = {int(place) for of in read for place in np.ravel(safe_indexing(places, of, axis=1))}
    return [names[place] for place in sorted(found)]


def _reads_nothing_else(transformer):
    """Return whether a transformer reads images, or drops columns."""
    first = transformer[0] if isinstance(transformer, Pipeline) else transformer
    return isinstance(first, BaseEmbedder) or (isinstance(first, str) and first == "drop")


def _type_of(column):
    """Return a type and what is missing, as `types_of_columns`; None for numbers."""
    dtype = getattr(column, "dtype", None)
    kind = getattr(dtype, "kind", "O")
    if kind in "biufc":
        return None
    if kind in "mM" and not hasattr(dtype, "pyarrow_dtype"):
        named = "duration" if kind == "m" else "datetime"
        return _of_times(named, getattr(dtype, "tz", None), column.dt.unit), np.nan
    cells = column.to_pylist() if hasattr(column, "to_pylist") else list(column)
    missing = _stands_for_missing([cell for cell in cells if is_missing(cell)])
    given = [cell for cell in cells if not is_missing(cell)]
    if not given:
        return None
    of_class = (named for one, named in _CLASSES.items() if isinstance(given[0], one))
    named = next(of_class, type(given[0]).__name__)
    if named not in ("text", "flag") and dtype != "O":  # None of polars or Arrow is NaN elsewhere
        missing = np.nan
    if named in ("datetime", "duration"):
        unit = "object" if dtype == "O" else ""
        return _of_times(named, getattr(given[0], "tzinfo", None), unit), missing
    if named == "text" and any(isinstance(c, str) and c in MISSING_IN_FILES for c in given):
        named = "text, not NA"
    return None if named == "number" and missing is not None else (named, missing)


def _of_times(named, zone, unit):
    is_named = zone is not None and str(zone) in available_timezones()  # which reads folders
    return f"{named},{zone if is_named else ''},{unit}"


def _stands_for_missing(cells):
    """Return None or "" if all missing cells are that, or else NaN."""
    for sign in (None, ""):
        if cells and all(type(cell) is type(sign) for cell in cells):
            return sign
    return np.nan


def as_in_fit(column, type_and_missing, source):
    """Return a column of a file with the type that it had in fit; see `types_of_columns`.

    Dates are written as in ISO 8601. `source` is the file, for the ValueError if a cell has another
    type, or if a CSV file cannot hold the type.
    """
    given, missing = type_and_missing
    named, zone, unit = f"{given},,".split(",")[:3] if "text" not in given else (given, "", "")
    is_csv = source.lower().endswith(".csv")
    if is_csv and named not in _IN_CSV:
        raise ValueError(
            f"Column {column.name!r} of {source!r} held values of the class {named} in fit, which "
            "a CSV file does not have. Give a Parquet file, or use the model in Python."
        )
    if is_csv and named != "text, not NA" and missing != "":
        column = column.mask(column.isin(MISSING_IN_FILES))
    if named == "flag":
        column = _as_flags(column, source)
    if named in _TIMES:
        column = _as_times(column, named, zone, unit, source)
    if column.notna().all() or (missing != missing and column.dtype != object):
        return column
    return column.astype(object).where(column.notna(), missing)


def _as_flags(column, source):
    if not column.dropna().isin([True, False]).all():  # also 1 and 0
        raise ValueError(
            f"Column {column.name!r} of {source!r} held flags in fit, and has other values than "
            "True and False."
        )
    return column.map(bool, na_action="ignore").astype(object)


def _as_times(column, named, zone, unit, source):
    import pandas as pd

    try:
        if column.dtype.kind not in "mM":
            _refuse_no_times(column.dropna())
        if named == "datetime":
            times = _as_datetimes(column, zone)
        else:
            times = _as_dates(column) if named == "date" else pd.to_timedelta(column)
        if unit == "object":
            return times.astype(object)
        return times.dt.as_unit(unit) if unit else times
    except Exception as error:  # pandas 2 has errors of another package
        are_spans = named == "duration"
        what, such = ("durations", "1 days 02:00:00") if are_spans else ("dates", "2026-11-30")
        raise ValueError(
            f"Column {column.name!r} of {source!r} held {what} in fit, and these cannot be read as "
            f"{what} such as {such}: {error}"
        ) from error


def _refuse_no_times(given):
    """Raise ValueError if a cell is a number, or has none, such as "today", which pandas reads."""
    for cell in given:
        text = str(cell).strip()
        if isinstance(cell, Number) or text.isdecimal():
            raise ValueError(f"{cell!r} is a number")
        if not any(map(str.isdigit, text)):
            raise ValueError(f"{cell!r} is none")


def _as_dates(column):
    try:
        return column.map(date.fromisoformat, na_action="ignore").astype(object)
    except (TypeError, ValueError):  # dates with a time of day, or no text
        are_dates = all(type(cell) is date for cell in column.dropna())
        return column if are_dates else _as_datetimes(column).dt.date


def _as_datetimes(column, zone=""):
    import pandas as pd

    if column.dtype.kind != "M":
        given = column.dropna()
        has_offset = len(given) and pd.Timestamp(given.iloc[0]).tzinfo is not None
        # Offsets of a zone may differ, in summer and winter.
        utc = bool(zone and has_offset)
        column = pd.to_datetime(column, format="ISO8601", utc=utc)
    if not zone:
        return column
    return column.dt.tz_localize(zone) if column.dt.tz is None else column.dt.tz_convert(zone)

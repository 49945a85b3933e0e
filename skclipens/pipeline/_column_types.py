"""What the columns of a table held in fit, since a file, such as one of CSV, does not say it."""

from datetime import date, datetime
from numbers import Number
from zoneinfo import available_timezones

import numpy as np
from sklearn.compose import ColumnTransformer

from .._utils._column_names import names_of_columns
from .._utils._missing import MISSING_IN_FILES, is_missing
from .._utils._sklearn import safe_indexing

_CLASSES = {str: "text", bool: "flag", np.bool_: "flag", datetime: "datetime", date: "date"}


def types_of_columns(step, X):
    """Return what the columns that a fitted ColumnTransformer reads hold, by their names.

    That is a type, and what stands for a missing value: ``None``, "" or NaN. Types are "text",
    "text, not NA" if words such as "NA" are not missing, "flag", "date", "timedelta64[UNIT]" and
    "datetime,ZONE,UNIT". Other objects have the name of their class. There are none of numbers, nor
    of other steps.
    """
    names = names_of_columns(X) if isinstance(step, ColumnTransformer) else None
    types = {name: _type_of(X[name]) for name in _read_by(step, names)} if names else {}
    return {name: one for name, one in types.items() if one is not None}


def _read_by(step, names):
    """Return the names of the columns that the transformers of a ColumnTransformer read."""
    import pandas as pd

    places = pd.DataFrame([range(len(names))], columns=names)
    read = [of for _, transformer, of in step.transformers_ if not _is(transformer, "drop")]
    found = {int(place) for of in read for place in np.ravel(safe_indexing(places, of, axis=1))}
    return [names[place] for place in sorted(found)]


def _is(transformer, word):
    return isinstance(transformer, str) and transformer == word


def _type_of(column):
    """Return a type and what is missing, as `types_of_columns`; None for numbers."""
    dtype = getattr(column, "dtype", None)
    kind = getattr(dtype, "kind", "O")
    if kind in "biufc":
        return None
    if kind == "m":
        return str(dtype), np.nan
    cells = column.to_pylist() if hasattr(column, "to_pylist") else list(column)
    missing = _stands_for_missing([cell for cell in cells if is_missing(cell)])
    given = [cell for cell in cells if not is_missing(cell)]
    named = _name_of(given[0]) if given else None
    if named == "datetime":
        zone = str(given[0].tzinfo or "")
        zone = zone if zone in available_timezones() else ""
        return f"datetime,{zone},{getattr(column.dt, 'unit', '') if kind == 'M' else ''}", missing
    if named == "text" and not {*MISSING_IN_FILES}.isdisjoint(given):
        named = "text, not NA"
    return None if named is None else (named, missing)


def _name_of(cell):
    """Return the type of a column by its first cell; None for numbers."""
    named = (named for one, named in _CLASSES.items() if isinstance(cell, one))
    return next(named, None if isinstance(cell, Number) else type(cell).__name__)


def _stands_for_missing(cells):
    """Return None or "" if all missing cells are that, or else NaN."""
    for sign in (None, ""):
        if cells and all(type(cell) is type(sign) for cell in cells):
            return sign
    return np.nan


def as_in_fit(column, type_and_missing, source):
    """Return a column of a file with the type that it had in fit; see `types_of_columns`.

    Dates are written as in ISO 8601. `source` is the file, for the ValueError if a cell is none, or
    if a CSV file cannot hold the type.
    """
    named, missing = type_and_missing
    is_csv = source.lower().endswith(".csv")
    if is_csv and named != "text, not NA" and missing != "":
        column = column.mask(column.isin(MISSING_IN_FILES))
    if named.startswith(("date", "timedelta")):
        column = _as_times(column, named, source)
    elif is_csv and named not in ("text", "text, not NA", "flag"):
        raise ValueError(
            f"Column {column.name!r} of {source!r} held values of the class {named} in fit, which "
            "a CSV file does not have. Give a Parquet file, or use the model in Python."
        )
    is_typed = missing != missing and column.dtype != object
    if is_typed or column.notna().all():
        return column
    return column.astype(object).where(column.notna(), missing)


def _as_times(column, named, source):
    import pandas as pd

    are_dates = named.startswith("date")
    what, such = ("dates", "2026-11-30") if are_dates else ("durations", "'1 days 02:00:00'")
    try:
        return _as_dates(column, named) if are_dates else pd.to_timedelta(column).astype(named)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"Column {column.name!r} of {source!r} held {what} in fit, and these cannot be read as "
            f"{what} such as {such}: {error}"
        ) from error


def _as_dates(column, named):
    named, zone, unit = f"{named},,".split(",")[:3]
    dates = column if column.dtype.kind == "M" else _parsed(column, zone)
    if zone:
        is_naive = dates.dt.tz is None
        dates = dates.dt.tz_localize(zone) if is_naive else dates.dt.tz_convert(zone)
    if named == "date":
        return dates.dt.date
    return dates.dt.as_unit(unit) if unit else dates


def _parsed(column, zone):
    import pandas as pd

    given = column.dropna()
    if len(given) and column.dtype.kind in "biuf":
        raise ValueError(f"{given.iloc[0]!r} is a number")
    for cell in given.astype(str):
        if not any(map(str.isdigit, cell)):  # pandas reads "today"
            raise ValueError(f"{cell!r} is no date")
    has_offset = len(given) and pd.Timestamp(given.iloc[0]).tzinfo is not None
    # Offsets of a zone may differ, in summer and winter.
    return pd.to_datetime(column, format="ISO8601", utc=bool(zone and has_offset))

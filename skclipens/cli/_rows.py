"""Read the rows that models get: pictures, or rows of tables with pictures and other columns."""

from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from .._utils._messages import listed
from ..datasets._local import LABEL_COLUMNS
from ..datasets._tables import PATH_COLUMNS, locate_images, read_table
from ..embedding._image_columns import named_columns, refuse_missing_columns
from ._files import find_labelled, find_pictures, is_table, refuse_no_columns
from ._models import image_names


class Rows(NamedTuple):
    """Rows for a model.

    Attributes
    ----------
    X : ndarray or DataFrame of n rows
        Pictures, or rows of a table.
    pictures : ndarray of shape (n,)
        A picture of each row, which names it.
    """

    X: Any
    pictures: np.ndarray


def rows_to_learn(source, images, numbers, categories, submodels):
    """Return the `Rows` of a table, and the names of its columns; None twice if none is given.

    The names are parameters of :func:`~skclipens.make_table_pipeline`. Raise ValueError if a column
    is not in the table, or has the labels, and if there are no columns for `submodels`.
    """
    given = {"images": images, "numbers": numbers, "categories": categories}
    given = {name: columns for name, columns in given.items() if columns is not None}
    if submodels and not (numbers or categories or len(images or ()) > 1):
        raise ValueError(
            "--submodels classifies rows that lack a picture by other columns: name them by "
            "--numbers, --categories or, if there are several with pictures, --images."
        )
    if not given:
        return None, None
    if not is_table(source):
        name, columns = next(iter(given.items()))
        raise ValueError(f"--{name} {','.join(columns)} is of a table, but {source!r} is a folder.")
    text = [*(images or PATH_COLUMNS), *(categories or ())]
    table = read_table(Path(source), text, others=numbers or ())
    labels = next((name for name in LABEL_COLUMNS if name in table.columns), None)
    for name, columns in given.items():
        refuse_no_columns(f"--{name}", columns, table, source)
        if labels in columns:
            raise ValueError(f"--{name} {labels} is the column of the labels of {source!r}.")
    rows, images = _with_images(table, source, images, submodels)
    return rows, {**given, "images": images}


def rows_for(model, sources):
    """Return the `Rows` of folders, tables and files for a fitted model.

    A model of a table with other columns than pictures gets rows of tables with these columns.
    """
    step, images = model[0], image_names(model)
    if not images:
        pictures = find_pictures(sources)
        return Rows(pictures, pictures)
    check_is_fitted(model)
    columns = [*chain(*named_columns(step).values())]
    kinds, parts, may_lack = model._kinds_of_columns, [], bool(model.submodels_)
    words = {*named_columns(step).get("categories", ())} & {*kinds}
    strings = [name for name in kinds if name not in (*images, *words)]
    for source in sources:
        if not is_table(source):
            raise ValueError(
                f"{source!r} is no table, but the model classifies rows of tables: give a .csv or "
                f"parquet file with the columns {listed(columns)}."
            )
        table = read_table(Path(source), [*images, *words], strings=strings, others=columns)
        refuse_missing_columns(step, table, repr(source))
        for name in table.columns.intersection([*kinds]):
            table[name] = _as_in_fit(table[name], kinds[name], source)
        parts.append(_with_images(table, source, images, may_lack)[0])
    X = pd.concat([part.X for part in parts], ignore_index=True)
    return Rows(X, np.concatenate([part.pictures for part in parts]))


def labelled_rows_for(model, source, raw_names):
    """Return the `Rows` of a folder or table for a fitted model, and their labels."""
    images = image_names(model)
    of_table = {"path_column": images[0] if images else None, "may_lack": bool(model.submodels_)}
    pictures, labels, _ = find_labelled(source, raw_names, to_learn=False, **of_table)
    return rows_for(model, [source]) if images else Rows(pictures, pictures), labels


def _with_images(table, source, columns, may_lack):
    """Return rows of a table with the pictures in these columns located, and the columns."""
    pictures, columns = locate_images(table, Path(source).absolute(), columns, may_lack)
    return Rows(table, pictures), columns


def _as_in_fit(column, kind, source):
    """Return a column with empty text, or with dates in the time zone that they had in fit.

    Dates are written as in ISO 8601. Raise ValueError if they cannot be read.
    """
    kind, _, zone = kind.partition(",")
    if kind == "text":
        return column.fillna("") if zone == "empty" else column
    try:
        dates = column if column.dtype.kind == "M" else _parsed(column, zone)
        if zone:
            is_naive = dates.dt.tz is None
            dates = dates.dt.tz_localize(zone) if is_naive else dates.dt.tz_convert(zone)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"Column {column.name!r} of {source!r} held dates in fit, and these cannot be read as "
            f"dates such as 2026-11-30: {error}"
        ) from error
    return dates.dt.date if kind == "date" else dates


def _parsed(column, zone):
    given = column.dropna()
    if len(given) and column.dtype.kind in "biuf":
        raise ValueError(f"{given.iloc[0]!r} is a number")
    has_offset = len(given) and pd.Timestamp(given.iloc[0]).tzinfo is not None
    # Offsets of a zone may differ, in summer and winter.
    return pd.to_datetime(column, format="ISO8601", utc=bool(zone and has_offset))

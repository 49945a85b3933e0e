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
from ..pipeline._column_types import as_in_fit
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
    if Path(source).is_dir():
        name, columns = next(iter(given.items()))
        raise ValueError(f"--{name} {','.join(columns)} is of a table, but {source!r} is a folder.")
    text = images or PATH_COLUMNS
    table = read_table(Path(source), text, strings=categories or (), others=numbers or ())
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
    types, parts, may_lack = model._types_of_columns, [], bool(model.submodels_)
    if types is None and any(source.lower().endswith(".csv") for source in sources):
        raise ValueError(
            "The model was made of steps that were fitted before, or by an earlier version, so it "
            "is not known what the columns of a table held in fit. Give a Parquet file, or fit the "
            "BackbonePipeline itself, and save it again."
        )
    types = types or {}
    strings = [name for name, (named, _) in types.items() if named.startswith("text")]
    for source in sources:
        if not is_table(source):
            raise ValueError(
                f"{source!r} is no table, but the model classifies rows of tables: give a .csv or "
                f"parquet file with the columns {listed(columns)}."
            )
        table = read_table(Path(source), images, strings=strings, others=columns)
        refuse_missing_columns(step, table, repr(source))
        for name in table.columns.intersection([*types]):
            table[name] = as_in_fit(table[name], types[name], source)
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

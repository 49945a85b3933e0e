"""Columns of images in the input of a pipeline, and their rows that cannot be read."""

from collections.abc import Collection
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.compose import ColumnTransformer

from .._utils._column_names import names_of_columns, refuse_lazy
from .._utils._messages import listed, nearest
from .._utils._one_column import named_in_errors
from .._utils._sklearn import safe_indexing
from .._utils._tables import refuse_shared_names
from ..images import as_image_list
from ..images._batch_checks import refuse_missing
from ..images._containers import row_named
from ._base import BaseEmbedder
from ._unreadable import unreadable_rows


class ImageColumn(NamedTuple):
    """A column of images, and the embedder that reads it.

    Attributes
    ----------
    name : str
        Of the transformer in a ColumnTransformer; empty if the embedder is a step itself.
    embedder : BaseEmbedder
    given : collection of n images
        The column as it was passed.
    images : sequence of length n
    """

    name: str
    embedder: BaseEmbedder
    given: Any
    images: Any


def embedders_in(step, *, fitted=True):
    """Return the embedders of a step by name: itself, or those of a ColumnTransformer.

    Those of a fitted ColumnTransformer are the fitted ones, unless `fitted` is false.
    """
    if not isinstance(step, ColumnTransformer):
        return {"": step} if isinstance(step, BaseEmbedder) else {}
    parts = getattr(step, "transformers_", step.transformers) if fitted else step.transformers
    return {name: one for name, one, _ in parts if isinstance(one, BaseEmbedder)}


def named_columns(step):
    """Return the names of the columns that each transformer of a ColumnTransformer gets.

    Those that are not named, but chosen by positions or by a function, are left out.
    """
    given = {name: [of] if isinstance(of, str) else of for name, _, of in step.transformers}
    return {
        name: list(of)
        for name, of in given.items()
        if isinstance(of, Collection) and all(isinstance(one, str) for one in of)
    }


def image_columns(step, X):
    """Return the columns of images in the input of the first step of a pipeline.

    Raise ValueError if it is a ColumnTransformer, and X lacks one of its columns.
    """
    if isinstance(step, BaseEmbedder):
        return [ImageColumn("", step, X, as_image_list(X))]
    refuse_missing_columns(step, X)
    embedders = embedders_in(step)
    places = {name: of for name, _, of in getattr(step, "transformers", ()) if name in embedders}
    columns = {name: of(X) if callable(of) else of for name, of in places.items()}
    given = {name: safe_indexing(X, of, axis=1) for name, of in columns.items()}
    return [
        ImageColumn(name, embedders[name], one, as_image_list(one)) for name, one in given.items()
    ]


def refuse_missing_columns(step, X, name_of_X="X"):
    """Raise ValueError if a ColumnTransformer names a column that a table does not have.

    Also if two columns of the table have the same name.
    """
    asked = [*chain(*named_columns(step).values())] if isinstance(step, ColumnTransformer) else []
    if not asked:
        return
    refuse_lazy(X, name_of_X)
    known = names_of_columns(X)
    if known is None or not (hasattr(X, "iloc") or hasattr(X, "get_column")):
        raise ValueError(
            f"{name_of_X} is a {type(X).__name__}, and columns are taken by their names, such as "
            f"{asked[0]!r}. Give a DataFrame of pandas or polars."
        )
    refuse_shared_names(X)
    for name in asked:
        if name not in known:
            similar = nearest({name}, [one for one in known if isinstance(one, str)])
            hint = f"did you mean {similar!r}?" if similar else f"it has {listed(known)}."
            raise ValueError(f"{name_of_X} has no column {name!r}; {hint}")


def refuse_missing_in_later(columns):
    """Raise ImageError if an image of a later column is missing, before one is embedded."""
    for column in columns[1:]:
        if column.embedder.on_error == "raise":
            with named_in_errors(column.given):
                refuse_missing(column.images)


def may_leave_out(step):
    """Return whether a step embeds images and leaves NaN for those that cannot be read."""
    return any(one.on_error == "nan" for one in embedders_in(step).values())


def in_any(unreadable):
    """Return which rows are unreadable in any column, of :func:`unreadable_by_column`."""
    return np.any([*unreadable.values()], axis=0)


def image_of_each_row(transformers, X, unreadable):
    """Return an image for each row, to name it in a message: one that cannot be read, if any.

    `unreadable` is that of :func:`unreadable_by_column` after these steps. None if it is not known
    which image a row has.
    """
    columns = image_columns(transformers[0], X)
    if len(columns) == 1 or (columns and not in_any(unreadable).any()):
        return columns[0].images
    if not columns or len(transformers) > 1:
        return None
    return _unreadable_first(columns, [unreadable[column.name] for column in columns])


def _unreadable_first(columns, unreadable):
    """Return an image of each row, of the first column where it is unreadable, if there is one."""
    which = np.argmax(unreadable, axis=0)
    return [columns[place].images[row] for row, place in enumerate(which)]


def unreadable_in_columns(step, X):
    """Embed the columns of images of a step that may leave NaN for those that cannot be read.

    Return which rows have one, and an image of each row, as :func:`image_of_each_row`.
    """
    columns = [one for one in image_columns(step, X) if one.embedder.on_error == "nan"]
    unreadable = [unreadable_rows(clone(one.embedder).fit_transform(one.given)) for one in columns]
    return np.any(unreadable, axis=0), _unreadable_first(columns, unreadable)


def table_and_unreadable(transformers, X):
    """Return the input of the last step of a pipeline, and which of its rows are unreadable."""
    table = transformers.transform(X)
    return table, in_any(unreadable_by_column(transformers[-1], table))


def table_of(transformers, X):
    """Return the input of the last step of a pipeline.

    Raise ValueError if an image cannot be read and was embedded as a row of NaN.
    """
    table = transformers.transform(X)
    unreadable = unreadable_by_column(transformers[-1], table)
    rows = np.flatnonzero(in_any(unreadable)).tolist()
    if rows:
        images = image_of_each_row(transformers, X, unreadable)
        raise ValueError(
            f"{len(rows)} of {table.shape[0]} images cannot be read; the first is "
            f"{row_named(rows[0], images)}. Leave them out of X and y."
        )
    return table


def unreadable_by_column(step, table):
    """Return the unreadable rows of each column of images; or of a table that follows them."""
    if not isinstance(step, ColumnTransformer):
        return {"": unreadable_rows(table)}
    none = {"": np.zeros(table.shape[0], bool)}
    return {
        name: unreadable_rows(safe_indexing(table, columns, axis=1))
        for name, columns in columns_of_embedders(step).items()
    } or none


def columns_of_embedders(step):
    """Return the columns that each embedder gives in the output of a fitted ColumnTransformer."""
    return {name: step.output_indices_[name] for name in embedders_in(step)}

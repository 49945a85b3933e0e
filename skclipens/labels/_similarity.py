"""Cosines between the rows of a table, by the columns that embed pictures."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, get_tags

from .._utils._linalg import offsets_of, parts_of, take_columns, unit_rows
from .._utils._messages import listed
from .._utils._missing import without_mask
from .._utils._sklearn import safe_indexing
from .._utils._tables import FLOATS, nonfinite_located, refuse_images, refuse_text
from ..backbones._blocks import column_names, columns_of_backbones, named_after_backbones
from ..ensemble import AdaptiveBackboneEnsemble

_AT_ONCE = 1024  # rows whose cosines with all others are in memory


def unit_table_to_compare(X, estimator, *, centre=False):
    """Return the columns by which rows are compared, and the :func:`unit_table` of these.

    The columns are those of embeddings, or all if there are none: others beside embeddings, such as
    a price, may have any unit. The ``blocks`` of an ensemble may assign the columns of an array to
    backbones. With `centre`, columns of a table without embeddings that are far from zero, such as
    years, are centred, since all rows would have one direction. Raise ValueError, which names the
    first cell that is not a number, if X is not a table of numbers.
    """
    _refuse_no_numbers(X, estimator)
    with nonfinite_located(X):
        table = _as_array(X)
    given = estimator.blocks if isinstance(estimator, AdaptiveBackboneEnsemble) else None
    names = column_names(X)
    found = columns_of_backbones(given, table.shape[1], names)
    if found is None and names is not None:
        found = named_after_backbones(names)
    if found is not None:
        return found, unit_rows(take_columns(table, found))
    if centre:
        table = table - offsets_of(table).astype(table.dtype)
    return np.arange(table.shape[1]), unit_rows(table)


def _refuse_no_numbers(X, estimator):
    try:
        refuse_images(X)
        refuse_text(X)
    except (TypeError, ValueError) as error:
        if isinstance(getattr(estimator, "estimator", None), Pipeline) or _takes_images(estimator):
            raise ValueError(
                "Rows are compared by their embeddings, which cannot be had from a "
                f"{type(estimator).__name__}. Give a pipeline that embeds images and ends in a "
                "classifier, make_backbone_pipeline(backbones, estimator=...), such as the "
                "best_estimator_ of a search."
            ) from error
        if not isinstance(estimator, Pipeline):
            raise
        raise ValueError(
            "Rows are compared as the first step of this pipeline gets them, and X does not hold "
            "numbers alone: a pipeline of images beside other columns cannot be given here. Give "
            "the table that its steps make, pipeline[:-1].fit_transform(X), "
            "and its last step; an OpenSetClassifier may also be the last step of a pipeline."
        ) from error


def _takes_images(estimator):
    tagged = hasattr(estimator, "__sklearn_tags__")
    return tagged and not get_tags(estimator).input_tags.two_d_array


def unit_table(X, columns):
    """Return some columns of a table of numbers, each row scaled to unit length."""
    return unit_rows(take_columns(_as_array(X), columns))


def unit_table_as_in_fit(X, columns, names):
    """Return the :func:`unit_table` of new rows.

    `names` are those of the columns in ``fit``, or None. An estimator may pick columns by name, so
    they may be in another order. Raise ValueError if one to compare is lacking.
    """
    given = column_names(X)
    if names is None or given is None or np.array_equal(given, names):
        return unit_table(X, columns)
    compared = names[columns].tolist()
    if lacking := [name for name in compared if name not in set(given)]:
        raise ValueError(f"X lacks columns of fit, by which rows are compared: {listed(lacking)}.")
    return unit_table(safe_indexing(X, compared, axis=1), np.arange(len(compared)))


def nearest_cosines(rows, others, groups=None):
    """Return the cosine of each row with the nearest other row outside of its own group.

    Both are of :func:`unit_table`; `groups` are those of the rows and of the others. -1 if all
    others are of the same group.
    """
    nearest = np.empty(len(rows), rows.dtype)
    for part in parts_of(len(rows), _AT_ONCE):
        cosines = rows[part] @ others.T
        if groups is not None:
            own, of_others = groups
            cosines[own[part, None] == of_others] = -1
        nearest[part] = cosines.max(axis=1)
    return nearest


def _as_array(X):
    return check_array(without_mask(X), dtype=FLOATS)

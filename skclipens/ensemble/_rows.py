"""Select the rows that an ensemble learns from: labelled, weighted, without copies."""

from numbers import Real

import numpy as np

from .._mistakes._row_order import warn_of_shuffled, warn_of_text_order
from .._mistakes._rows import (
    warn_of_contradictions,
    warn_of_groups,
    warn_of_objects,
    warn_of_things,
    warn_of_weights,
)
from .._utils._class_texts import warn_of_classes
from .._utils._copies import groups_of_pictures
from .._utils._folds import folds_of_some
from .._utils._labels import check_at_least_two, column_of_labels, refuse_unlabeled, unlabeled_rows
from .._utils._linalg import positions_among, some_of
from .._utils._metadata import check_metadata, roots_of_class_weights, rows_of
from .._utils._rows import Rows
from .._utils._sample_arguments import index_of
from .._utils._validation import check_some_labeled
from ..backbones._blocks import columns_of_backbones
from ..images._file_names import warn_of_named_files
from ._plan import takes_weights


def rows_to_learn(ensemble, X, y, sample_weight, groups, cv):
    """Check the input of ``fit``, and leave out rows from which nothing is learned.

    Return the rows that have a label and a weight, without copies; and those without a label, with
    their weights.
    """
    index, index_of_labels = index_of(X), index_of(y)
    warn_of_text_order(index, y)
    if index is not None:
        warn_of_named_files(index, y, ensemble.class_names)
    X, y, labeled = _check_rows(ensemble, X, y, sample_weight=sample_weight, groups=groups)
    if labeled.all():
        warn_of_shuffled(index, index_of_labels, X, y)
        if groups is None and isinstance(cv, Real):  # else the user's folds may keep them together
            warn_of_objects(index, X, y)
    metadata = check_metadata(sample_weight, groups, len(X), X.dtype)
    if metadata["groups"] is not None:
        warn_of_shuffled(index, index_of(groups), X, metadata["groups"], "groups")
    unlabeled = X[~labeled], some_of(metadata["sample_weight"], ~labeled)
    if not labeled.all():
        # A splitter gets the labelled rows only; positions in splits count all rows.
        if not hasattr(cv, "split"):
            cv = folds_of_some(cv, labeled, X, labeled, metadata["groups"])
        X, metadata = X[labeled], rows_of(metadata, labeled)
    metadata = with_class_weights(ensemble, y, metadata, X.dtype)
    warn_of_weights(metadata["sample_weight"])
    rows = Rows(X, y, metadata, cv, positions_among(labeled)).with_weight()
    names = getattr(ensemble, "feature_names_in_", None)
    columns = columns_of_backbones(ensemble.blocks, X.shape[1], names)
    warn_of_contradictions(rows.X, rows.y, rows.numbers, columns)
    warn_of_groups(rows.X, rows.y, rows.metadata["groups"], rows.numbers)
    if groups is None and columns is not None and isinstance(cv, Real):
        warn_of_things(rows.X, rows.y, rows.numbers, columns)
    return _without_copies(ensemble, rows, columns), unlabeled


def labeled_rows(ensemble, y):
    """Return which rows have a label; warn of classes that may stand for a missing label.

    Raise ValueError if a row has no label, and ``unlabeled="error"``.
    """
    may_lack = ensemble.unlabeled != "error"
    if not may_lack:
        refuse_unlabeled(y, "unlabeled")
    y = column_of_labels(y)
    labeled = ~unlabeled_rows(y) if may_lack else np.ones(len(y), bool)
    option = f"unlabeled={ensemble.unlabeled!r}" if may_lack and labeled.all() else None
    warn_of_classes(y, none_missing=option)
    return labeled


def _check_rows(ensemble, X, y, **given):
    """Return checked X, the labels of labelled rows, and the mask of these rows."""
    labeled = labeled_rows(ensemble, y)
    some = None if ensemble.unlabeled == "error" else labeled
    return *check_some_labeled(ensemble, X, y, some, **given), labeled


def with_class_weights(ensemble, y, metadata, dtype=float):
    """Return metadata, of :func:`check_metadata`, with weights times roots of those of classes.

    Raise ValueError if fewer than two classes have a row with a weight above zero.
    """
    ensemble._route_metadata(**metadata)
    weights = metadata["sample_weight"]
    if ensemble.class_weight is not None:
        of_classes = roots_of_class_weights(ensemble.class_weight, y, weights).astype(dtype)
        weights = of_classes if weights is None else weights * of_classes
    if weights is not None and not weights.any():
        raise ValueError(
            "No row with a label has a weight above zero, by sample_weight and class_weight; rows "
            "of two classes need one."
        )
    check_at_least_two(np.unique(y if weights is None else y[weights > 0]))
    return {**metadata, "sample_weight": weights}


def _without_copies(ensemble, rows, columns):
    """Merge copies of rows; if something cannot take weights, make copies groups instead.

    Rows of one picture that differ in other columns also become a group.
    """
    merged = rows.merge_copies()
    if len(merged.y) < len(rows.y) and not takes_weights(ensemble, rows.y):
        merged = rows
    if merged.metadata["groups"] is not None:
        return merged
    groups = groups_of_pictures(merged.X, merged.y, columns)
    merged = merged.on_one_side(groups)
    return merged._replace(metadata={**merged.metadata, "groups": groups})

"""The rows that an ensemble learns from: those with a label and a weight, each once."""

from numbers import Real
from typing import NamedTuple

import numpy as np

from .._utils._folds import folds_of_some, merge_copies, rows_with_weight
from .._utils._given import warn_of_other_order
from .._utils._linalg import some_of
from .._utils._metadata import check_metadata, class_weights, rows_of
from .._utils._validation import check_at_least_two, check_partly_labeled, check_table
from ._plan import takes_weights
from ._suspect_rows import warn_of_contradictions, warn_of_groups, warn_of_weights


class LearnedRows(NamedTuple):
    """The rows that an ensemble is fitted on, and what is left of the others.

    Attributes
    ----------
    kept : ndarray of shape (n,), bool
        Which of the rows that were given have a label and a weight, and are the first of their
        copies.
    first : ndarray of shape (n,), int
        The first of the copies of each row that was given.
    X : ndarray of shape (n_kept, n_features)
    y : ndarray of shape (n_kept,)
    metadata : dict
    cv : int, float, splitter or list of (train, test)
        What ``cv`` stands for where only these rows are there.
    unlabeled : tuple of ndarray and (ndarray or None)
        The rows without a label, and their weights.
    """

    kept: np.ndarray
    first: np.ndarray
    X: np.ndarray
    y: np.ndarray
    metadata: dict
    cv: object
    unlabeled: tuple


def rows_to_learn(ensemble, X, y, sample_weight, groups, cv):
    """Check what ``fit`` is given, and leave out what teaches nothing.

    Returns
    -------
    LearnedRows
    """
    warn_of_other_order(X, sample_weight=sample_weight, groups=groups)
    X, y, kept = _check_rows(ensemble, X, y)
    metadata = check_metadata(X, kept, sample_weight, groups)
    unlabeled = X[~kept], some_of(metadata["sample_weight"], ~kept)
    if not kept.all():
        # A splitter sees the labelled rows alone; splits count all rows.
        if not hasattr(cv, "split"):
            cv = folds_of_some(cv, kept, X, kept, metadata["groups"])
        X, metadata = X[kept], rows_of(metadata, kept)
    metadata = checked_metadata(ensemble, X, y, **metadata)
    warn_of_weights(metadata["sample_weight"])
    has_weight, X, y, metadata, cv = rows_with_weight(X, y, metadata, cv)
    kept[kept] = has_weight
    warn_of_contradictions(X, y, np.flatnonzero(kept))
    warn_of_groups(y, metadata["groups"])
    first_of_kept, X, y, metadata = _without_copies(ensemble, X, y, metadata, cv)
    first = np.arange(len(kept))
    first[kept] = np.flatnonzero(kept)[first_of_kept]
    kept = kept & (first == np.arange(len(kept)))
    return LearnedRows(kept, first, X, y, metadata, cv, unlabeled)


def _check_rows(ensemble, X, y):
    """All rows, the labels of those that have one, and which these are."""
    if ensemble.unlabeled != "error":
        return check_partly_labeled(ensemble, X, y)
    X, y = check_table(ensemble, X, y, option="unlabeled")
    return X, y, np.ones(len(y), bool)


def checked_metadata(ensemble, X, y, sample_weight, groups):
    """Metadata of labelled rows; weights times those of the classes."""
    ensemble._route_metadata(sample_weight=sample_weight, groups=groups)
    metadata = check_metadata(X, y, sample_weight, groups)
    weights = metadata["sample_weight"]
    if ensemble.class_weight is not None:
        of_classes = class_weights(ensemble.class_weight, y, weights).astype(X.dtype)
        weights = of_classes if weights is None else weights * of_classes
    check_at_least_two(np.unique(y if weights is None else y[weights > 0]))
    return {**metadata, "sample_weight": weights}


def _without_copies(ensemble, X, y, metadata, cv):
    """Rows that are no copies of others, with the weight of all of their copies.

    Where something cannot take weights, copies stay and are a group.

    Returns
    -------
    first : ndarray of shape (n,), int
        Which of the rows stands for a row.
    X, y, metadata
        Of the rows that stand for others, or for themselves.
    """
    every, same = np.arange(len(y)), (X, y, metadata)
    if metadata["groups"] is not None or not isinstance(cv, Real):
        return every, *same
    rows, place, weights = merge_copies(X, y, metadata["sample_weight"])
    if len(rows) == len(every):
        return every, *same
    if not takes_weights(ensemble, y):
        return every, X, y, {**metadata, "groups": rows[place]}
    return rows[place], X[rows], y[rows], {**metadata, "sample_weight": weights}

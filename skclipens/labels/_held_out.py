"""Held-out logits of classifiers."""

from inspect import signature
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import indexable

from .._utils._copies import numbers_of
from .._utils._folds import few_shot_folds, folds_of_some
from .._utils._known_labels import positions_of_labels
from .._utils._labels import column_of_labels
from .._utils._metadata import metadata_for, refuse_weights, rows_of
from .._utils._probabilities import check_proba
from .._utils._row_numbers import fitted_rows, user_rows
from .._utils._rows import warn_of_unweighted_classes
from .._utils._sample_arguments import warn_of_other_order
from .._utils._sklearn import frozen_classifiers, safe_indexing
from .._utils._warnings import silent
from .._utils._weights_and_groups import check_groups
from ..backbones._blocks import column_names, columns_of_backbones
from ..ensemble import AdaptiveBackboneEnsemble
from ..heads._classifier import LogitClassifierMixin, centre_logits, scores_of


def refuse_frozen(estimator):
    """Raise ValueError if a classifier is frozen, since it may have learned from any row."""
    for frozen in frozen_classifiers(estimator):
        raise ValueError(
            f"estimator has FrozenEstimator({type(frozen.estimator).__name__}), which stays as it "
            "was fitted, but rows are to be judged by a classifier that has not learned from them. "
            "Pass the classifier itself: it is cloned and fitted."
        )


def held_out_logits(estimator, X, y, *, sample_weight=None, groups=None, cv=5, random_state=None):
    """Fit a classifier, in place, on all rows; return their held-out logits, and which are valid.

    Logits, (n, C), may be logarithms of probabilities. Rows of weight zero are not held out. An int
    as `cv` is the number of folds if the classifier makes none, or none of groups, in its
    ``cross_fit``.

    Raise ValueError if there are weights that the classifier cannot take.
    """
    metadata, folds = {"sample_weight": sample_weight, "groups": groups}, None
    if hasattr(estimator, "cross_fit"):
        options = _metadata_of_cross_fit(estimator, **metadata)
        has_own = groups is None or "groups" in options
        if not (has_own and isinstance(cv, Integral)):
            compared = rows_to_compare(estimator, X) if groups is None else {"groups": groups}
            folds = few_shot_folds(y, cv, random_state=random_state, **compared)
            if len(np.unique(y)) == len(y):
                folds = None  # there are none, but a head that learns from no row may be judged
            options["folds"] = folds
        if folds != []:
            logits, valid = estimator.cross_fit(X, y, **options)
            return _comparable(estimator, np.asarray(logits)), valid
    n_rows, rows = len(y), np.arange(len(y))
    if sample_weight is not None and not sample_weight.all():
        rows = np.flatnonzero(sample_weight)
        warn_of_unweighted_classes(np.setdiff1d(y, y[rows]))
        cv = folds_of_some(cv, sample_weight > 0, None, y, groups)
        X, y, metadata = safe_indexing(X, rows), y[rows], rows_of(metadata, rows)
    given = metadata_for(estimator, **metadata)
    with fitted_rows(rows, n_rows):
        estimator.fit(X, y, **given)
    logits = np.full((n_rows, len(estimator.classes_)), -np.inf)
    valid = np.zeros(n_rows, bool)
    if folds is None:
        compared = {"groups": metadata["groups"]}
        if groups is None:  # of the same row with two labels, one may be wrong
            compared = rows_to_compare(estimator, X) | {"any_label": True}
        folds = few_shot_folds(y, cv, random_state=random_state, **compared)
    for train, test in folds:
        with fitted_rows(rows[train], n_rows):
            part = clone(estimator).fit(safe_indexing(X, train), y[train], **rows_of(given, train))
        columns = positions_of_labels(part.classes_, estimator.classes_)
        with fitted_rows(rows[test], n_rows):
            logits[np.ix_(rows[test], columns)] = logits_of(part, safe_indexing(X, test))
        valid[rows[test]] = True
    return logits, valid


def _metadata_of_cross_fit(estimator, **metadata):
    """Return the metadata that ``cross_fit`` takes; raise ValueError if it takes no weights."""
    taken = signature(estimator.cross_fit).parameters
    if metadata["sample_weight"] is not None and "sample_weight" not in taken:
        refuse_weights([type(estimator).__name__])
    return {name: one for name, one in metadata.items() if one is not None and name in taken}


def rows_to_compare(classifier, X):
    """Return the table in which copies of a row are found, for :func:`few_shot_folds`.

    That is a dict of ``X``, the table or None, and ``images``, its columns that embed images, or
    None if all or none do. If X holds no numbers, as a table of paths, the table is what the last
    step of the fitted pipeline gets.
    """
    table = numbers_of(X)
    if table is None and isinstance(classifier, Pipeline) and len(classifier) > 1:
        X = classifier[:-1].transform(X)
        table = numbers_of(X)
    if table is None:
        return {"X": None, "images": None}
    blocks = classifier.blocks if isinstance(classifier, AdaptiveBackboneEnsemble) else None
    with silent("X has .* columns of"):  # all columns of a block are not needed here
        return {"X": table, "images": columns_of_backbones(blocks, table.shape[1], column_names(X))}


def logits_of(classifier, X):
    """Return logits of a fitted classifier for new rows, (n, C); see :func:`held_out_logits`."""
    if isinstance(classifier, LogitClassifierMixin):
        return _comparable(classifier, classifier._as_held_out()._logits(X))
    if hasattr(classifier, "cross_fit"):
        return _comparable(classifier, scores_of(classifier, X))
    proba = np.asarray(classifier.predict_proba(X))
    rows = user_rows(np.arange(len(proba)), len(proba))
    check_proba(proba, classifier.classes_, rows)
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(proba, 0))


def _comparable(classifier, logits):
    """Centre logits that are defined up to a constant, as by a ``decision_function`` of shape (n,).

    A head of two classes that is not of this package may have such a ``decision_function``.
    """
    if logits.shape[1] == 2 and not isinstance(classifier, LogitClassifierMixin):
        return logits - logits.mean(axis=1, keepdims=True)
    return centre_logits(classifier, logits)


def checked_labels(X, y, groups=None, **given):
    """Return rows that can be indexed, and labels and groups as arrays, one for each row.

    Warn if these or other given values have the same index in another order.
    """
    warn_of_other_order(X, y=y, groups=groups, **given)
    X, y = indexable(X, column_of_labels(y, warn=True))
    return X, y, check_groups(groups, len(y))

"""Splits on which classifiers are compared."""

from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold

from .._utils._copies import groups_of_pictures, numbers_of
from .._utils._folds import by_appearance, check_cv_of_rows, check_folds, splitter_of
from .._utils._messages import listed
from .._utils._row_numbers import user_rows
from .._utils._warnings import silent, warn
from ..backbones._blocks import column_names, columns_of_backbones


def check_cv_to_compare(cv, y, groups):
    """Return ``cv``, its splits as a list; raise its errors before images are embedded."""
    cv = check_cv_of_rows(cv, len(y), groups)
    splitter_of(cv, y, classifier=True)
    if isinstance(cv, Integral):
        _check_n_folds(cv, y, groups)
    elif isinstance(cv, list):
        _refuse_empty(cv)
    return cv


def splits_to_compare(cv, X, y, groups, before, ensemble):
    """Return the positions of training and test rows of each split, and copies as groups or None.

    If `cv` is an int and there are no groups, copies of a row stay together. Otherwise, copies in
    both parts give a warning. Rows of one picture that differ only in columns of no backbone count
    as copies.
    """
    copies, are_folds = _groups_of_pictures(X, y, before, ensemble.blocks), isinstance(cv, Integral)
    if are_folds:
        _check_n_folds(cv, y)
        groups = copies if groups is None else groups
        if groups is not None:
            cv, groups = StratifiedGroupKFold(cv), by_appearance(groups)  # names play no part
    splitter = splitter_of(cv, y, classifier=True)
    with silent("The groups parameter is ignored"):  # `check_folds` warns if it matters
        splits = check_folds(splitter.split(X, y, groups), len(y), "cv", groups)
    _warn_of_new_classes(splits, y, are_folds)
    if copies is not None:
        seen = np.concatenate([np.isin(copies[test], copies[train]) for train, test in splits])
        if seen.any():
            warn(
                f"{seen.sum()} of {len(seen)} test rows are copies of training rows, as where a "
                "picture is there twice, so accuracies are too high. Leave copies out."
            )
    return splits, copies


def _groups_of_pictures(X, y, before, blocks):
    """Group rows of one picture; in what steps make of all rows, if X holds no numbers."""
    table = numbers_of(X)
    if before is not None and table is not None:
        blocks = None  # these are of what the steps make
    elif before is not None:
        X = clone(before).fit_transform(X, y)
        table = numbers_of(X)
    if table is None:
        return None
    columns = columns_of_backbones(blocks, table.shape[1], column_names(X))
    return groups_of_pictures(table, y, columns)


def _warn_of_new_classes(splits, y, are_folds):
    """Warn if test rows have classes that training rows lack, as in plain folds of sorted rows.

    `are_folds` is whether the splits are the stratified folds of an int.
    """
    new = np.concatenate([test[~np.isin(y[test], y[train])] for train, test in splits])
    if not len(new):
        return
    advice = "Take an int as cv, or splits that train all classes."
    classes, counts = np.unique(y, return_counts=True)
    lone = np.intersect1d(classes[counts == 1], y[new]).tolist()
    if lone:
        advice = f"Classes with one row: {listed(lone)}. Add rows of them, or leave them out."
    elif are_folds:
        advice = "All rows of the class are of one group or copies. Add others, or leave it out."
    warn(
        f"{len(new)} of {sum(len(test) for _, test in splits)} test rows are of classes that "
        f"their training rows lack; the first is row {user_rows(new[0], len(y))}, "
        f"{y.tolist()[new[0]]!r}. They can only count as wrong. {advice}"
    )


def without_empty(splits):
    """Return splits that have training and test rows; warn of others, whose images are unreadable.

    Raise ValueError if no split is left.
    """
    left = [split for split in splits if all(map(len, split))]
    n_lost = len(splits) - len(left)
    if n_lost:
        of_rows = "images of all of their training rows or of all of their test rows"
        if not left:
            raise ValueError(f"cv has no split to compare on: {of_rows} cannot be read.")
        warn(f"{n_lost} of {len(splits)} splits of cv are left out: {of_rows} cannot be read.")
    return left


def _refuse_empty(splits):
    for place, split in enumerate(splits):
        for side, rows in zip(("training", "test"), map(np.asarray, split), strict=True):
            if not (rows.any() if rows.dtype == bool else rows.size):
                raise ValueError(f"Split {place} of cv has no {side} rows: leave it out.")


def _check_n_folds(n_folds, y, groups=None):
    n_groups = n_folds if groups is None else len(np.unique(groups))
    if n_folds > n_groups:
        raise ValueError(
            f"cv={n_folds} folds need {n_folds} groups, but there are {n_groups}. Take fewer folds."
        )
    largest = np.unique(y, return_counts=True)[1].max(initial=0)
    if n_folds > largest:
        raise ValueError(
            f"cv={n_folds} folds need {n_folds} rows of a class, but none has more than {largest}. "
            "Take fewer folds, or FewShotSplit, which trains on a few rows of each class."
        )

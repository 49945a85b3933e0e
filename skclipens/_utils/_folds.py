"""Cross-validation folds for few rows per class, and checks of folds."""

from contextvars import ContextVar
from copy import deepcopy
from numbers import Integral, Real

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    LeaveOneGroupOut,
    LeavePGroupsOut,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    check_cv,
)

from ._contexts import set_within
from ._copies import groups_of_pictures, numbers_of
from ._labels import allow_few_rows_per_class
from ._linalg import positions_among, positions_in, some_of
from ._sklearn import HasMethods, Interval, RealNotInt
from ._warnings import silent, warn

# More rows would change temperatures and weights by less than their error.
_max_validation_rows = ContextVar("largest number of validation rows", default=5_000)
# Rows whose class is in no other fold are not held out; see `drop_unseen_classes`.
# If a splitter ignores groups, `check_folds` warns of those that it splits.
_EXPECTED = "The least populated class|The groups parameter is ignored"
_N_FOLDS = Interval(Integral, 2, None, closed="left")
_SPLITS = [HasMethods(["split", "get_n_splits"]), "array-like"]
FOLDS_CONSTRAINTS = [_N_FOLDS, *_SPLITS]
CV_CONSTRAINTS = [_N_FOLDS, Interval(RealNotInt, 0, 1, closed="neither"), *_SPLITS]
_GROUPED = GroupKFold, GroupShuffleSplit, LeaveOneGroupOut, LeavePGroupsOut, StratifiedGroupKFold


def few_shot_folds(
    y,
    cv=5,
    *,
    groups=None,
    every_class=False,
    shuffle=True,
    random_state=None,
    X=None,
    images=None,
    any_label=False,
):
    """Return folds whose training rows have all classes of the test rows.

    So a row is held out only if a training row has its class, and a fold is left out if it trains
    on fewer than two classes. There may be no fold at all, as with one row per class.

    Parameters
    ----------
    y : ndarray of shape (n,)
    cv : int, float, splitter or list of (train, test)
        An int: at most this many stratified folds, and no more than the largest class has rows. A
        float: one fold that holds out this fraction of the rows.
    groups : array-like of shape (n,) or None
        Rows of a group are never on both sides. None: nor are copies of a row, if X is an array or
        a frame of numbers.
    every_class : bool
        Whether each fold of an int must have a row of every class on both sides. There are then
        no more folds than the smallest class has rows, and classes with one row are left out.
        With groups, a class may still be on one side only, if all of its rows are one group.
    shuffle : bool
        Whether the rows are shuffled before they are split into the folds of an int.
    random_state : int, RandomState instance or None
    X : array-like of shape (n, n_features) or None
        Passed to a splitter of the user; copies are found in it.
    images : ndarray of int or None
        Columns of X that embed images: rows of one image are copies. None: rows that are equal.
    any_label : bool
        Whether equal rows are copies if they have different labels, too.

    Returns
    -------
    list of (train, test)

    Raises
    ------
    ValueError
        If a float cannot hold out rows of every class, a splitter cannot split these rows, or a
        fold has a row on both sides or a position out of range.
    """
    table = None if groups is not None else numbers_of(X)
    copies = None if table is None else groups_of_pictures(table, y, images, any_label)
    if isinstance(cv, Real):
        make, options = _split_once, {"random_state": random_state}
        if isinstance(cv, Integral):
            make = _stratified_folds
            options |= {"every_class": every_class, "shuffle": shuffle}
        if copies is None or (y != y[copies]).any():  # one of several labels cannot stand for all
            return make(y, cv, groups if copies is None else copies, **options)
        rows, place = np.unique(copies, return_inverse=True)
        folds = make(y[rows], cv, None, **options)
        return [tuple(positions_in(place, side) for side in fold) for fold in folds]
    folds = with_copies_on_one_side(_split(splitter_of(cv), y, groups, X), copies)
    folds = drop_unseen_classes(folds, y)
    _warn_of_few_held_out(folds, y, groups, copies)
    return folds


def with_copies_on_one_side(folds, copies):
    """Move copies of a row to the side of the first one in each fold.

    `copies` has the same number for copies, lower than that of later rows, as
    :func:`groups_of_copies` returns it; or is None.
    """
    if copies is None:
        return folds
    moved = []
    for train, test in folds:
        rows = np.append(train, test)
        order = np.argsort(rows, kind="stable")
        _, first, place = np.unique(copies[rows[order]], return_index=True, return_inverse=True)
        is_test = (order >= len(train))[first][place]
        moved.append((rows[order[~is_test]], rows[order[is_test]]))
    return moved


def _warn_of_few_held_out(folds, y, groups, copies):
    """Warn if folds hold out rows of too few classes, for example if each fold is one class."""
    of_copies = "" if copies is None else " Copies of a row are kept on one side of a fold."
    n_classes, held_out = len(np.unique(y)), y[held_out_rows(folds)]
    if covers_most(y[can_be_held_out(y, groups)], n_classes) and not covers_most(
        held_out, n_classes
    ):
        warn(
            f"The folds of cv hold out rows of {len(np.unique(held_out))} of {n_classes} classes "
            "that their training rows have, too few to judge what was learned. If rows are sorted "
            f"by class, set shuffle=True of the splitter, or use StratifiedKFold.{of_copies}"
        )


def _stratified_folds(y, n_folds, groups, *, every_class, shuffle, random_state):
    """Return stratified folds as a list of (train, test), empty if there cannot be two.

    Parameters are those of :func:`few_shot_folds`, with the int `n_folds` in place of its ``cv``.
    """
    sizes = np.unique(y, return_counts=True)[1]
    most = sizes[sizes > 1].min(initial=sizes.max()) if every_class else sizes.max()
    n_folds = min(n_folds, most, most if groups is None else len(np.unique(groups)))
    if n_folds < 2:
        return []
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(n_folds, shuffle=shuffle, random_state=random_state if shuffle else None)
    if groups is not None:  # so that folds do not depend on the names
        y, groups = by_appearance(y), by_appearance(groups)
    rows = np.flatnonzero(can_be_held_out(y)) if every_class else np.arange(len(y))
    folds = _split(splitter, y[rows], some_of(groups, rows))
    if groups is None:
        # The only row of a class trains in all folds: without it, a fold may have a single class.
        single = np.flatnonzero(~can_be_held_out(y[rows]))
        folds = [(np.union1d(train, single), np.setdiff1d(test, single)) for train, test in folds]
    folds = drop_unseen_classes(folds, y[rows])
    return [(rows[train], rows[test]) for train, test in folds]


def held_out_rows(folds):
    """Return the positions of the rows that folds hold out, one fold after the other."""
    return np.concatenate([test for _, test in folds]) if folds else np.empty(0, int)


def folds_of_some(cv, some, X, y, groups):
    """Return ``cv`` for the rows of a mask: its splits then refer to these, by their positions."""
    if isinstance(cv, Real):
        return cv
    position = positions_among(some)
    return [
        tuple(position[rows[some[rows]]] for rows in fold)
        for fold in _split(splitter_of(cv), y, groups, X)
    ]


def codes_of(labels):
    """Return labels or groups as integers from 0, in sorted order."""
    return np.unique(labels, return_inverse=True)[1]


def by_appearance(labels):
    """Return labels or groups as integers from 0, in the order in which they appear."""
    _, first, place = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[place]


def can_be_held_out(y, groups=None, weights=None):
    """Return which weighted rows have another weighted row of their class, in another group."""
    has_weight = np.ones(len(y), bool) if weights is None else weights > 0
    return has_weight & (groups_of_class(y, groups, has_weight) > 1)


def groups_of_class(y, groups=None, some=slice(None)):
    """Return, for each row, the number of groups that have rows of its class.

    Without `groups` each row is a group. Only rows of the mask `some` are counted.
    """
    classes, own = codes_of(y), np.arange(len(y)) if groups is None else codes_of(groups)
    pairs = np.unique((classes * (own.max(initial=0) + 1) + own)[some], return_index=True)[1]
    return np.bincount(classes[some][pairs], minlength=classes.max(initial=0) + 1)[classes]


def covers_most(y, n_classes):
    """Return whether rows have more than half of the classes, as held-out rows must."""
    return 2 * len(np.unique(y)) > n_classes


def is_one_shot(y):
    """Return whether at most half of the classes have a second row, as with one row per class."""
    _, index, sizes = np.unique(y, return_inverse=True, return_counts=True)
    return not covers_most(index[sizes[index] > 1], len(sizes))


def max_validation_rows():
    """Return the largest number of validation rows."""
    return _max_validation_rows.get()


def limit_validation_rows(n_rows):
    """Return a context with up to `n_rows` validation rows."""
    return set_within(_max_validation_rows, n_rows)


def validation_rows(y):
    """Return sorted positions of the rows whose held-out logits choose settings.

    These are all, or 5,000 or what :func:`limit_validation_rows` says, as a stratified sample.
    """
    return stratified_rows(y, max_validation_rows())


def stratified_rows(y, most):
    """Return sorted positions of at most `most` rows, evenly spaced within each class.

    Classes keep their frequencies. The labels in `y` have no order.
    """
    if len(y) <= most:
        return np.arange(len(y))
    some = (np.arange(most) * len(y)) // most
    return np.sort(np.argsort(by_appearance(y), kind="stable")[some])


def refuse_no_groups(cv, groups):
    """Raise ValueError if ``cv`` is a splitter that needs groups, and there are none."""
    if groups is None and isinstance(cv, _GROUPED):
        raise ValueError(
            f"cv={cv} splits by groups, so the 'groups' parameter should not be None. Pass groups, "
            "with the group of each row."
        )


def some_splits(cv, name="cv"):
    """Return a user's ``cv``, its splits as a list; raise ValueError if there are none."""
    if isinstance(cv, Real) or hasattr(cv, "split"):
        return cv
    cv = list(cv)
    if not cv:
        raise ValueError(
            f"{name} is empty. Give pairs of train and test rows. A generator of them can be read "
            f"only once: make a list of it, {name}=list(splitter.split(X, y))."
        )
    return cv


def check_cv_of_rows(cv, n_rows, groups):
    """Return ``cv``, its splits as a list; raise, or warn of, what is found without the rows."""
    refuse_no_groups(cv, groups)
    cv = some_splits(cv)
    if isinstance(cv, list):
        check_folds(splitter_of(cv).split(np.empty(n_rows)), n_rows, "cv", groups)
    return cv


def try_splitter(cv, y, groups):
    """Raise the errors of a splitter of scikit-learn that labels and groups are enough for."""
    if hasattr(cv, "split") and type(cv).__module__.startswith("sklearn."):
        with silent(_EXPECTED), allow_few_rows_per_class():
            next(deepcopy(cv).split(np.zeros((len(y), 1)), y, groups), None)


def _split(splitter, y, groups, X=None):
    refuse_no_groups(splitter, groups)
    with silent(_EXPECTED), allow_few_rows_per_class():
        folds = splitter.split(np.zeros((len(y), 1)) if X is None else X, y, groups)
        return check_folds(folds, len(y), "cv", groups)


def splitter_of(cv, *args, **options):
    """Return the splitter that scikit-learn's ``check_cv`` makes of a user's ``cv``.

    Raise ValueError if ``cv`` is one pair of train and test rows instead of a list of pairs.
    """
    if hasattr(cv, "__iter__") and not hasattr(cv, "split"):
        cv = [_pair_of(fold, i, "cv") for i, fold in enumerate(_of_several(list(cv)))]
    return check_cv(cv, *args, **options)


def _of_several(folds):
    first = folds[0] if folds else None
    if hasattr(first, "__len__") and isinstance(next(iter(first), None), (Integral, np.bool_)):
        raise ValueError(
            "cv is a list of pairs of train and test rows, also where it is one pair: "
            "cv=[(train, test)]."
        )
    return folds


def _pair_of(fold, i, name):
    try:
        train, test = fold
    except (TypeError, ValueError):
        raise ValueError(
            f"Fold {i} of {name} is no pair of train and test rows: give {name}=[(train, test)]."
        ) from None
    return train, test


def check_folds(folds, n_rows, name, groups=None):
    """Return the positions of train and test rows of folds, which may be masks or lists.

    Raise ValueError if a fold has a row on both sides, or does not fit the number of rows; warn if
    it has rows of a group on both sides.
    """
    if not np.iterable(folds):
        raise ValueError(
            f"{name} is a list of pairs of train and test rows; got {folds!r}. Folds of a splitter "
            "are list(splitter.split(X, y))."
        )
    folds = [_check_fold(fold, i, n_rows, name) for i, fold in enumerate(folds)]
    if groups is not None:
        _warn_of_split_groups(folds, np.asarray(groups), name)
    return folds


def _warn_of_split_groups(folds, groups, name):
    codes = codes_of(groups)
    for i, (train, test) in enumerate(folds):
        split = test[np.isin(codes[test], codes[train])]
        if len(split):
            warn(
                f"Fold {i} of {name} has rows of the group {groups.tolist()[split[0]]!r} in train "
                f"and test, so the scores of held-out rows are too high. Set {name} to a number, "
                "or to a splitter of groups, such as StratifiedGroupKFold."
            )
            return


def _check_fold(fold, i, n_rows, name):
    rows, in_train = np.arange(n_rows), np.zeros(n_rows, bool)
    train, test = _pair_of(fold, i, name)
    try:
        train, test = rows[train], rows[test]
    except IndexError as error:
        raise ValueError(
            f"Fold {i} of {name} does not fit X, which has {n_rows} rows: {error}. Give positions "
            f"from 0 to {n_rows - 1}, or masks of length {n_rows}."
        ) from None
    in_train[train] = True
    if len(both := test[in_train[test]]):
        raise ValueError(
            f"Fold {i} of {name} has {len(both)} of its test rows in train, too; the first is row "
            f"{both[0]}. What is fitted must be judged on other rows: leave them out of one side."
        )
    return train, test


def _split_once(y, size, groups, *, random_state):
    kind = StratifiedShuffleSplit if groups is None else GroupShuffleSplit
    splitter = kind(1, test_size=size, random_state=random_state)
    classes, sizes = np.unique(y, return_counts=True)
    try:
        if groups is None and sizes.min() < 2:
            raise ValueError(f"the class {classes.tolist()[sizes.argmin()]!r} has one row.")
        groups_in_order = None if groups is None else by_appearance(groups)
        train, test = _split(splitter, by_appearance(y), groups_in_order)[0]
        own = np.arange(len(y)) if groups is None else np.asarray(groups)
        # A class that is one group goes back to train, since heads would not know it otherwise.
        lone = test[~np.isin(y[test], y[train]) & (groups is not None)]
        back = np.isin(own[test], own[lone])
        if back.all():
            raise ValueError("the groups that it draws have all rows of a class.")
    except ValueError as error:
        raise ValueError(
            f"cv={size} cannot hold out rows of every class: {error} Use a larger "
            "fraction, or an integer for cross-fitting."
        ) from None
    return [(np.append(train, test[back]), test[~back])]


def drop_unseen_classes(folds, y):
    """Remove test rows of classes that have no training row.

    Folds that are left with no test row, or that train on a single class, are dropped.
    """
    folds = [(train, test[np.isin(y[test], y[train])]) for train, test in folds]
    # Most classifiers refuse to be fitted on a single class.
    return [(a, b) for a, b in folds if len(b) and len(np.unique(y[a])) > 1]

"""Warnings of weights, groups, contradictory labels, and rows from which nothing is learned."""

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import rand_score

from .._utils._copies import groups_of_copies, same_pictures
from .._utils._folds import can_be_held_out
from .._utils._linalg import SOME_ROWS, subsample, take_columns
from .._utils._row_numbers import user_rows
from .._utils._warnings import warn
from ._columns import ENOUGH_LOSS

_FAR_FROM_ONE = 10  # a mean of weights, or its inverse
# Share of the log-loss of guessing. If that sums to ENOUGH_LOSS, the share is seldom below 0.97 for
# shuffled labels, and at most 0.95 for right ones, also for cats and dogs of 32 pixels.
_MIN_RELATIVE_LOSS = 0.97
# Standard deviations of the agreement of logits and y by chance. With shuffled labels it is up to
# 4, since what combines experts was fitted on these rows.
_BY_CHANCE = 5
_MAX_SHARE = 0.1  # of the rows whose image occurred before
# Least number of such rows that tell whether a picture has several labels, and the share of chance
# from which on it has: at a rate of 20 %, 14 rows have one label by chance in 4 % of tables. If a
# quarter of chance is less than a row, as with a rare class, a single wrong label would tell.
_FEWEST_TO_TELL, _OF_CHANCE = 14, 0.25
_N_ORDERS = 39  # random ones, of labels; by chance, rows agree more than in all in one table of 40
_ROUNDING = 1e-9  # of a sum of squares that is 1 at most
_FEWEST, _MANY = 20, 0.3  # rows, and share of those with the index, or numbers, of another row
_MOST_COLUMNS = 200  # of numbers; more are rather embeddings, or texts
_MANY_VALUES = 20  # of a column of numbers; grades and counts have fewer


def warn_of_weights(weights):
    """Warn of weights by which rows count as far more rows, or far fewer, than there are."""
    mean = 1.0 if weights is None else float(weights[weights > 0].mean())
    if not 1 / _FAR_FROM_ONE <= mean <= _FAR_FROM_ONE:
        warn(
            f"The mean of the weights is {mean:.3g}. A weight counts as that many "
            f"copies of a row, so {len(weights)} rows count as {weights.sum():.3g}. If only the "
            "ratios are meant, divide them by their mean.",
            key="mean weight",
        )


def warn_of_contradictions(X, y, rows, columns):
    """Warn of equal rows with different labels, as of an image in two folders.

    `rows` are the numbers of the rows in the message, and `columns` those of embeddings, if there
    are others, too.
    """
    first, same, unless = groups_of_copies(X), "are the same", ""
    other = _contradicting(first, y)
    pictures = None if columns is None else same_pictures(X, columns)
    if pictures is not None:
        contradicting = _contradicting(pictures, y)
        # If many images have several labels, these depend on the other columns, and on chance.
        are_many = len(contradicting) > _MAX_SHARE * np.sum(pictures != np.arange(len(y)))
        differ = (np.arange(len(y)) if first is None else first) != pictures  # in other columns
        if are_many and labels_of_a_picture(pictures, y, differ) == "several":
            return
        if not len(other) and len(contradicting):
            if are_many or _follow_other_columns(X, y, pictures, contradicting, columns):
                return
            first, other, same = pictures, contradicting, "are of the same picture"
            unless = ", unless labels depend on other columns, too"
    if len(other):
        one, another = first[other[0]], other[0]
        labels = np.array(y[[one, another]].tolist()).tolist()  # numpy's strings print as np.str_
        more = f" In all, {len(other)} rows contradict an earlier one." if len(other) > 1 else ""
        warn(
            f"Rows {rows[one]} and {rows[another]} of X {same}, but have the labels "
            f"{labels[0]!r} and {labels[1]!r}.{more} A picture has one label{unless}: leave the "
            "wrong one out, or check that labels and rows are in the same order.",
            key="contradictory labels",
        )


def labels_of_a_picture(first, y, some=slice(None)):
    """Return whether a picture has "one" label or "several" in some rows; None if few rows tell.

    It has several, as where labels depend on other columns, too, if rows whose picture occurred
    before have another label a quarter as often as by chance; fewer may be wrong. `first` is the
    first row of each picture, (n,).
    """
    n_repeated = np.sum((first != np.arange(len(y)))[some])
    shares = np.unique(y, return_counts=True)[1] / len(y)
    by_chance = (1 - shares @ shares) * n_repeated
    if n_repeated < _FEWEST_TO_TELL or by_chance * _OF_CHANCE < 1:
        return None
    return "several" if np.sum((y != y[first])[some]) > by_chance * _OF_CHANCE else "one"


def _follow_other_columns(X, y, first, contradicting, columns):
    """Return whether rows of one picture have different labels since other columns differ.

    That is if, in the pictures with several labels, the mean ranks of the labels in some column,
    less the mean of the picture, differ more than for any of some random orders of each picture's
    labels. `columns` are those of pictures. Of many pictures, some are taken.
    """
    rng = np.random.default_rng(0)
    some = rng.permutation(np.unique(first[contradicting]))
    n_rows = np.cumsum(np.bincount(first)[some])
    rows = np.flatnonzero(np.isin(first, some[n_rows <= max(SOME_ROWS, n_rows[0])]))
    pictures, labels = (np.unique(of[rows], return_inverse=True)[1] for of in (first, y))
    others = np.delete(np.arange(X.shape[1]), columns)
    numbers = rankdata(take_columns(X[rows], others), axis=0)
    # Differences first, so that a column that is constant in each picture is exactly 0.
    numbers -= numbers[np.searchsorted(rows, first[rows])]
    numbers -= _means(numbers, pictures)[pictures]
    numbers /= np.maximum(np.linalg.norm(numbers, axis=0), np.finfo(float).tiny)
    by_chance = [
        _spread_of_means(numbers, labels[_order_within(pictures, rng)]) for _ in range(_N_ORDERS)
    ]
    return _spread_of_means(numbers, labels) > max(by_chance) + _ROUNDING


def _spread_of_means(table, groups):
    """Return the highest sum of squares of a column's means of groups, each at its rows."""
    return (_means(table, groups)[groups] ** 2).sum(axis=0).max(initial=0)


def _means(table, groups):
    """Return the means of the groups 0, 1, ...; (groups, columns)."""
    n_rows = np.bincount(groups)
    first = np.cumsum(n_rows) - n_rows
    sums = np.add.reduceat(table[np.argsort(groups, kind="stable")], first, axis=0)
    return sums / n_rows[:, None]


def _order_within(groups, rng):
    """Return positions that put the rows of each group into a random order."""
    order = np.empty(len(groups), int)
    order[np.argsort(groups, kind="stable")] = np.lexsort([rng.random(len(groups)), groups])
    return order


def _contradicting(first, y):
    return [] if first is None else np.flatnonzero(y != y[first])


def warn_of_groups(X, y, groups, rows):
    """Warn if each class is in one group, as when labels are passed as groups, or copies are not.

    That is if classes have several rows, but none has rows of two groups, or if equal rows are in
    different groups. `rows` are the numbers of the rows in the message.
    """
    if groups is None or len(np.unique(y)) == len(y):
        return
    if not can_be_held_out(y, groups).any():
        warn(
            "All rows of each class are in one group, so no row can be held out to judge a head "
            "that learned from the others. A group is what belongs together within a class, such "
            "as the pictures of one object."
        )
    copies = groups_of_copies(X, y)
    apart = [] if copies is None else np.flatnonzero(groups != groups[copies])
    if len(apart):
        one, another = rows[[copies[apart[0]], apart[0]]]
        warn(
            f"{len(apart)} of {len(y)} rows are copies of a row in another group, such as row "
            f"{another} of row {one}. What learned from one is then judged by the other. Give "
            "copies the same group, or leave them out."
        )


def warn_of_things(X, y, rows, columns):
    """Warn if rows have the same numbers and label, but other pictures, as those of one thing do.

    That is if many rows are equal to an earlier one in all columns but those of embeddings,
    `columns`; all have its label, and there are more such things than classes. Two columns must
    have many values, or one, beside which the others are seldom the same by chance. `rows` are the
    numbers of the rows in the message.
    """
    numbers = np.delete(np.arange(X.shape[1]), columns)
    if len(y) < _FEWEST or len(numbers) > _MOST_COLUMNS:
        return
    n_classes, table = len(np.unique(y)), take_columns(X, numbers)
    n_values = np.array([len(np.unique(column)) for column in subsample(table).T])
    n_long = np.sum(n_values > max(_MANY_VALUES, 2 * n_classes))
    if n_long == 0:
        return
    first, after = _repeated_rows(table)
    if len(after) < _MANY * len(y) or len(np.unique(first[after])) < 2 * n_classes:
        return
    if n_long == 1 and _n_repeated_by_chance(table, n_values.argmax(), y) > len(after) / 2:
        return
    some = subsample(after)
    differ = (take_columns(X[some], columns) != take_columns(X[first[some]], columns)).any(axis=1)
    if (y[after] == y[first[after]]).all() and differ.mean() > 0.5:
        one, another = rows[[first[after[0]], after[0]]]
        warn(
            f"{len(after)} of {len(y)} rows have the same numbers and label as an earlier row, but "
            f"another picture, such as rows {one} and {another}, as several pictures of one thing "
            "do. If they are, pass groups, such as its id: otherwise, heads are tested on things "
            "that they learned from."
        )


def _repeated_rows(table):
    """Return the first row that equals each, and the rows that equal an earlier one."""
    first = groups_of_copies(table, fewest=1)
    return first, [] if first is None else np.flatnonzero(first != np.arange(len(table)))


def _n_repeated_by_chance(table, column, y):
    """Return how many rows equal an earlier one if a column is shuffled within classes."""
    shuffled = table.copy()
    shuffled[:, column] = table[_order_within(y, np.random.default_rng(0)), column]
    return len(_repeated_rows(shuffled)[1])


def warn_of_objects(index, X, y):
    """Warn if rows with the same index and label follow each other, as pictures of one object.

    That is if many rows follow another one with the same index, all of these have its label, most
    are no copies, and there are more such objects than classes.
    """
    if index is None or len(y) < _FEWEST:
        return
    objects = index.factorize(use_na_sentinel=False)[0]
    after = np.flatnonzero(objects[1:] == objects[:-1]) + 1
    n_objects = len(np.unique(objects[after]))
    if len(after) < _MANY * len(y) or n_objects < 2 * len(np.unique(y)):
        return
    some = subsample(after)
    differ = (X[some] != X[some - 1]).any(axis=1)
    if (y[after] == y[after - 1]).all() and differ.mean() > 0.5:
        label = index[after[:1]].tolist()[0]
        one, another = user_rows(after[0] - np.array([1, 0]), len(y))
        warn(
            f"Rows with the same index follow each other, such as rows {one} and "
            f"{another}, {label!r}, and have the same label, as pictures of one object. If they "
            "are, pass groups=X.index: otherwise, heads are tested on objects that they learned "
            "from.",
            key="related rows",
        )


def beats_guessing(relative_loss, logits, targets):
    """Return whether logits are better than guessing.

    They are if their log-loss, relative to that of guessing, is low, or if their sum over the true
    classes is high compared with its mean and variance over all orders of the labels.
    """
    if relative_loss < _MIN_RELATIVE_LOSS or not len(targets):
        return relative_loss < _MIN_RELATIVE_LOSS
    shares = np.bincount(targets, minlength=logits.shape[1]) / len(targets)
    logits = logits - (logits @ shares)[:, None]
    logits -= logits.mean(axis=0)
    found = logits[np.arange(len(targets)), targets].sum()
    variance = (logits**2 @ shares).sum() * len(targets) / max(len(targets) - 1, 1)
    return bool(found > _BY_CHANCE * np.sqrt(variance))


def warn_of_guessing(relative_loss, n_rows, n_classes):
    """Warn if held-out rows are classified hardly better than by guessing.

    That may be since rows of X and labels are in different orders. The relative loss is the
    log-loss of these rows divided by that of guessing.
    """
    if relative_loss > _MIN_RELATIVE_LOSS and _are_enough(n_rows, n_classes):
        warn(
            f"X does not predict y: on {n_rows} held-out rows, predictions are hardly better than "
            "guessing. Check that labels and rows are in the same order, and that these columns "
            "can tell the classes apart.",
            key="guessing",
        )


def warn_of_guessing_pictures(X, y, columns, n_rows):
    """Warn if pictures alone classify `n_rows` held-out rows hardly better than guessing.

    Other columns predict y, so that the result does not show it. `columns` are those of pictures.
    If one picture has several labels, rows of it tell little of each other, so nothing is said if
    they have the same label more often than by chance.
    """
    if not _are_enough(n_rows, len(np.unique(y))):
        return
    first = same_pictures(X, columns)
    several = first is not None and labels_of_a_picture(first, y) == "several"
    if not several or not _agree(first, y):
        warn(
            f"The pictures do not predict y, only other columns do: on {n_rows} held-out rows, "
            "predictions by the pictures alone are hardly better than guessing. Check that each "
            "picture is in its row. If it is, leave out the pictures.",
            key="guessing",
        )


def _agree(groups, y):
    """Return whether rows of a group have the same label more often than in any of some orders."""
    rng, y = np.random.default_rng(0), np.unique(y, return_inverse=True)[1]
    by_chance = [rand_score(groups, rng.permutation(y)) for _ in range(_N_ORDERS)]
    return rand_score(groups, y) > max(by_chance)


def _are_enough(n_rows, n_classes):
    return n_rows * np.log(n_classes) > ENOUGH_LOSS

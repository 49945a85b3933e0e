"""Warnings of rows and labels that are in different orders."""

import os
import re
from collections import Counter
from itertools import groupby, takewhile

import numpy as np
from scipy.stats import binom, mannwhitneyu

from .._utils._folds import codes_of
from .._utils._linalg import mean_row, subsample, unit_rows
from .._utils._row_numbers import user_rows
from .._utils._warnings import warn
from ._predictions import BY_CHANCE, TOO_FEW, TOO_SURE

_FEWEST, _N_ROWS, _N_SHUFFLES = 8, 300, 100
# Standard deviations of the similarity of rows with the same label, over random orders of labels.
_MIN_DEVIATIONS, _MIN_DIFFERENCE = 4.0, 2.0
_NUMBER = re.compile(r"(\d+)")
_FEW = 0.1  # a share of the rows, whose labels may have been corrected
# By how many rows labels may have been shifted.
_MOVES = {1: "next row", -1: "row before", 2: "row after the next", -2: "row two before"}
# Largest probabilities by chance that labels fit as given before a row, and shifted from it on.
_MAX_P_GIVEN, _MAX_P_MOVED = 1e-2, 1e-4
# Least number of rows of a part; and the largest probability that two of its rows are of one class,
# since all orders of one class are alike. Rows that are harder than others have a lower confidence,
# by a test whose p-value is smaller than this.
_FEWEST_OF_PART, _MOST_OF_ONE_CLASS, _MIN_P_AS_SURE = 40, 0.7, 1e-3


def warn_of_shuffled(index, index_of_labels, X, y, name="y"):
    """Warn if labels fit the rows of X in the order of an index, and not as they stand.

    That is if rows with the same label are similar in the order of the index, and not as given. The
    index of the labels counts if there is none of X; it has to be 0 to n - 1 in another order. In
    messages, the labels are called `name`: they may also be groups.
    """
    shuffled, other = (name, "X") if index is None else ("X", name)
    order = _shuffled_order(index_of_labels if index is None else index, len(y))
    if order is None:
        return
    in_order = y[np.argsort(order) if index is None else order]
    fit_in_order, fit_as_given = _similarity_within_classes(X, [in_order, y])
    if fit_in_order > _MIN_DEVIATIONS and fit_as_given < fit_in_order - _MIN_DIFFERENCE:
        warn(
            f"{shuffled} was shuffled, as its index says, and {other} does not seem to be: rows "
            f"with the same {'label' if name == 'y' else 'group'} are alike in the order of this "
            "index, and not, or far less, as they stand. Rows belong together by their position: "
            f"shuffle both, or pass {shuffled}.sort_index()."
        )


def _shuffled_order(index, n_rows):
    """Return an index as an array if it is 0 to n - 1 in another order, and otherwise None."""
    if index is None or index.dtype.kind not in "iu" or n_rows < _FEWEST:
        return None
    order, positions = np.asarray(index), np.arange(n_rows)
    if np.array_equal(order, positions) or not np.array_equal(np.sort(order), positions):
        return None
    return order


def _similarity_within_classes(X, several):
    """Return how similar rows with the same label are, compared with random orders of labels.

    The result has one value, in standard deviations, for each of several label arrays.
    """
    rows = subsample(np.arange(len(X)), _N_ROWS)
    units = X[rows]
    units = unit_rows(units - mean_row(units))
    cosines = units @ units.T
    codes = [codes_of(labels[rows]) for labels in several]
    rng = np.random.default_rng(0)
    similarity = [
        cosines[one[:, None] == one].sum()
        for one in (*codes, *(rng.permutation(codes[-1]) for _ in range(_N_SHUFFLES)))
    ]
    found, others = np.split(similarity, [len(several)])
    return (found - others.mean()) / max(others.std(), np.finfo(others.dtype).tiny)


def warn_of_moved_labels(y, predicted, confidence, *, learns):
    """Warn if labels belong to a row before or after theirs, from some row on.

    For example, a line is missing in a file of labels, or an image that could not be read was left
    out of X only. Also warn if the first or the last labels belong to other rows, as if one of two
    tables that were joined had X and y in different orders, and if `learns`: prompts alone may not
    know some kind of pictures.

    Labels and held-out predictions are positions of classes, in the user's order of rows; they and
    the confidence of the predictions are -1 where there is none.
    """
    for by, owner in _MOVES.items():
        start = _moved_from(y, predicted, by)
        if start is not None:
            short, long = ("y", "X") if by > 0 else ("X", "y")
            warn(
                f"From about row {user_rows(start, len(y))} on, each label seems to belong to the "
                f"{owner}. Look whether {short} lacks a row there, or {long} has one too many."
            )
            return
    if learns:
        _warn_of_part(y, predicted, confidence)


def _warn_of_part(y, predicted, confidence):
    rows = np.flatnonzero((predicted >= 0) & (y >= 0))
    if len(rows) < 2 * _FEWEST_OF_PART:
        return
    numbers = user_rows(rows, len(y))
    y, predicted, confidence = y[rows], predicted[rows], confidence[rows]
    right = y == predicted
    # From the first row on, how many more are right than in all rows: it turns where parts meet.
    more_right = np.cumsum(right - right.mean())
    place = int(np.abs(more_right).argmax())
    is_first = np.arange(len(rows)) <= place
    where, row, part = "Up to", place, is_first
    if more_right[place] > 0:
        where, row, part = "From", place + 1, ~is_first
    share = _share_of_others(part, y, predicted, confidence)
    if share is not None:
        warn(
            f"{where} about row {numbers[row]}, labels fit their rows no better than by chance, "
            f"while {share:.0%} of the others are right, and the classifier is as sure of both. If "
            "tables were joined, look whether X and y of each are in the same order."
        )


def _share_of_others(part, y, predicted, confidence):
    """Return the share of right rows outside of a part if those in it are right by chance, or None.

    None also if the part may be harder. Only rows of classes that are on both sides count.
    """
    n_classes = max(y.max(), predicted.max()) + 1
    of_part, of_others = (np.bincount(y[side], minlength=n_classes) for side in (part, ~part))
    on_both = (np.minimum(of_part, of_others) > 0)[y]
    some, others = part & on_both, ~part & on_both
    n, n_others = np.count_nonzero(some), np.count_nonzero(others)
    if min(n, n_others) < _FEWEST_OF_PART:
        return None
    right = y == predicted
    recall = np.bincount(y[others], right[others], n_classes) / np.maximum(of_others, 1)
    expected, found = recall[y[some]], np.count_nonzero(right[some])
    of_y, of_predicted = (np.bincount(one[some], minlength=n_classes) / n for one in (y, predicted))
    chance = of_y @ of_predicted
    most = n * chance + BY_CHANCE * np.sqrt(n * chance * (1 - chance))
    # What is expected is known only as well as the others tell it.
    variance = np.sum(expected * (1 - expected)) * (1 + n / n_others)
    too_few = max(TOO_FEW * np.sqrt(variance), TOO_SURE * n)
    if of_y @ of_y > _MOST_OF_ONE_CLASS or found > most or expected.sum() - found <= too_few:
        return None
    lower = mannwhitneyu(confidence[some], confidence[others], alternative="less")
    return right[others].mean() if lower.pvalue >= _MIN_P_AS_SURE else None


def _moved_from(y, predicted, by):
    """Return the row from which labels fit if they are shifted by `by` rows, or None."""
    moved, places = np.full_like(y, -1), np.arange(len(y)) - by
    there = (places >= 0) & (places < len(y))
    moved[there] = y[places[there]]
    as_given, as_moved = predicted == y, predicted == moved
    rows = np.flatnonzero((predicted >= 0) & (y >= 0) & (moved >= 0) & (as_given != as_moved))
    n, before = len(rows), np.arange(len(rows))
    n_moved = np.cumsum(as_moved[rows])
    moved_before = n_moved - as_moved[rows]
    # Probability by chance of as many fits at each place, if both orders are equally likely.
    given = binom.sf(before - moved_before - 1, before, 0.5)
    moved = binom.sf(n_moved[-1:] - moved_before - 1, n - before, 0.5) * n * len(_MOVES)
    worst = np.maximum(given / _MAX_P_GIVEN, moved / _MAX_P_MOVED)
    return int(rows[worst.argmin()]) if n and worst.min() < 1 else None


def warn_of_text_order(names, y):
    """Warn of files sorted as text if labels seem to be made for files sorted by number.

    If each label belongs to its file, as in folders of classes, labels that are sorted by class for
    files in text order are so in the order of numbers, too. The names of the rows are checked only
    if they are texts or paths, one for each label.
    """
    names = () if names is None else names
    names = list(takewhile(lambda one: isinstance(one, (str, os.PathLike)), names))
    names = [os.fsdecode(name) for name in names]
    if not names or names != sorted(names):
        return
    labels = [str(label) for label in np.asarray(y, dtype=object).ravel()]
    if len(names) != len(labels) or not is_class_by_class(labels):
        return
    order = sorted(range(len(names)), key=lambda row: by_numbers(names[row]))
    exceptions = set(), _exceptions(names, labels)
    if any(is_class_by_class([labels[i] for i in order if i not in rows]) for rows in exceptions):
        return
    row = next(i for i, place in enumerate(order) if i != place)
    first, second = (os.path.basename(names[i]) for i in (row, order[row]))
    warn(
        f"Files are sorted as texts, {first!r} before {second!r}, but labels look as if they were "
        "made for files that are sorted by their numbers. Check that each label belongs to its "
        "file: keep both in one table, or sort files by number."
    )


def _exceptions(names, labels):
    """Return the rows with another label than most of their folder, if few; as after corrections.

    In a single folder, the text before the first digit of a name takes its place.
    """
    folders = [os.path.dirname(name) for name in names]
    if len(set(folders)) == 1:
        folders = [_NUMBER.split(os.path.basename(name))[0] for name in names]
    of_folder = {folder: Counter() for folder in folders}
    for folder, label in zip(folders, labels):
        of_folder[folder][label] += 1
    usual = {folder: counts.most_common(1)[0][0] for folder, counts in of_folder.items()}
    rows = [row for row, folder in enumerate(folders) if labels[row] != usual[folder]]
    return set(rows) if len(rows) <= _FEW * len(names) else set()


def is_class_by_class(labels):
    """Return whether each of several classes is one run of rows, and some run has several rows."""
    runs = [label for label, _ in groupby(labels)]
    return 1 < len(runs) == len(set(runs)) < len(labels)


def by_numbers(name):
    """Return a key that sorts numbers in names by their value."""
    return [int(part) if i % 2 else part for i, part in enumerate(_NUMBER.split(name))]

"""Names in the order of texts, 1, 10, 2, beside labels in that of numbers."""

import os
import re
from itertools import groupby, takewhile

import numpy as np

from ._warnings import warn

_NUMBER = re.compile(r"(\d+)")


def warn_of_text_order(names, y):
    """Warn of files that are sorted as texts, where labels stand as if sorted by their numbers.

    Labels that stand class by class beside files in the order of texts do so beside files in the
    order of numbers, too, where each label belongs to its file, as in folders of classes.

    Parameters
    ----------
    names : iterable of objects or None
        Of the rows. Nothing is said unless there are n texts or paths.
    y : array-like of shape (n,)

    Warns
    -----
    SuspectedMistakeWarning
        Names two files that stand in another order than their numbers.
    """
    names = () if names is None else names
    names = list(takewhile(lambda one: isinstance(one, (str, os.PathLike)), names))
    names = [os.fsdecode(name) for name in names]
    if not names or names != sorted(names):
        return
    labels = [str(label) for label in np.asarray(y, dtype=object).ravel()]
    if len(names) != len(labels) or not is_class_by_class(labels):
        return
    order = sorted(range(len(names)), key=lambda row: _by_numbers(names[row]))
    if is_class_by_class([labels[row] for row in order]):
        return
    row = next(i for i, place in enumerate(order) if i != place)
    first, second = (os.path.basename(names[i]) for i in (row, order[row]))
    warn(
        f"Files are sorted as texts, {first!r} before {second!r}, but labels look as if they were "
        "made for files that are sorted by their numbers. Check that each label belongs to its "
        "file: keep both in one table, or sort files by number."
    )


def is_class_by_class(labels):
    """Whether each of several classes is one run of rows, some of more than one."""
    runs = [label for label, _ in groupby(labels)]
    return 1 < len(runs) == len(set(runs)) < len(labels)


def _by_numbers(name):
    """A key that sorts numbers in names by their value."""
    return [int(part) if i % 2 else part for i, part in enumerate(_NUMBER.split(name))]

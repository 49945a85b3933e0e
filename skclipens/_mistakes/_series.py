"""Warnings of rows that are much like the row beside them, as of one object or film."""

import os
from contextlib import nullcontext
from contextvars import ContextVar

import numpy as np

from .._utils._contexts import set_within
from .._utils._folds import codes_of
from .._utils._row_numbers import user_rows
from .._utils._warnings import warn
from ._row_order import by_numbers

# Share of the rows that are most like the row beside them, beyond what chance gives, and standard
# deviations of it. On sorted files of 24 sets it is at most 0.16, and 0.27 for emoji, of which each
# stands beside its variants. Of bursts of three photographs it is 0.89, and 0.59 in half of them.
# No program here repeats that.
_SHARE, _BY_CHANCE = 0.4, 5

_files = ContextVar("names of the files that a pipeline embeds, one for each row", default=())


def rows_of_files(images):
    """Return a context in which ensembles know the files of their rows, if all are files.

    Parameters
    ----------
    images : sequence of n images or None
        None: rows are those of the context around this one.
    """
    if images is None:
        return nullcontext()
    images = images if isinstance(images, list) else []
    are_files = all(isinstance(image, (str, os.PathLike)) for image in images)
    return set_within(_files, [os.fsdecode(image) for image in images] if are_files else ())


def warn_of_series(pairs, y, input_rows, n_input, index):
    """Warn if many rows are most like the row of their class beside them.

    Rows are beside each other as they are given, in the order of their index, or in that of the
    files of :func:`rows_of_files`, in which a random split may have left them.

    `pairs`, (2, m), are the positions of some rows, and of the row that each is most like. Of the
    `n_input` input rows, `input_rows` are the numbers of the n rows, in ascending order.
    """
    codes = codes_of(y)
    by_chance = np.minimum(2 / np.bincount(codes), 1)[codes]
    row, like = pairs
    same = codes[row] == codes[like]
    expected = (by_chance[row] * same).sum()
    variance = (by_chance * (1 - by_chance))[row][same].sum()
    fewest = expected + max(_SHARE * len(row), _BY_CHANCE * np.sqrt(variance))
    for order, place in _orders(n_input, index):
        rank = np.empty(len(y), int)
        rank[np.lexsort((place[input_rows], codes))] = np.arange(len(y))
        beside = same & (np.abs(rank[row] - rank[like]) == 1)
        if beside.sum() > fewest:
            found = input_rows[pairs[:, beside.argmax()]]
            first, second = sorted(user_rows(found, n_input).tolist())
            warn(
                f"{beside.mean():.0%} of the rows are more like the row beside them, {order}, than "
                f"like any other, for example rows {first} and {second}. So are frames of a film, "
                "and pictures of one object. Heads are then tested on objects that they learned "
                "from, and a random split has an object in train and test. If rows belong "
                "together, pass groups.",
                key="related rows",
            )
            return


def _orders(n_rows, index):
    """Yield orders of the input rows: what they are called, and the place of each row."""
    yield "as they are given", np.arange(n_rows)
    if index is not None and index.is_unique:
        names = index.tolist()
        if all(isinstance(name, str) for name in names):
            yield "by the index of X", _places(map(by_numbers, names))
        elif index.dtype.kind in "iufM":
            yield "by the index of X", _places(names)
    files = _files.get()
    if len(files) == n_rows:
        yield "by the names of the files", _places(map(by_numbers, files))


def _places(keys):
    keys = list(keys)
    place = np.empty(len(keys), int)
    place[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
    return place

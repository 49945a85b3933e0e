"""Indices of what has one value for each row, and warnings if these are in different orders."""

import os
import re
import unicodedata
from collections import Counter

import numpy as np
from sklearn.utils import check_consistent_length

from ._one_column import first_of_column
from ._warnings import silent, warn

_MEMBER = re.compile(r"^tar://(.+?)::(.+)", re.DOTALL)  # of a shard
_ENDING = re.compile(r"\.[a-z]\w{1,4}(?=[/\\]|$)", re.IGNORECASE)
_LONGEST_PATH = 4096
_FEWEST_NUMBERS = 8
SAME_INDEX, SAME_FILES = "the same index", "the same files"


def check_lengths(images, **given):
    """Raise ValueError unless what is given, which may be None, has one value for each image."""
    for name, values in given.items():
        try:
            check_consistent_length(images, values)
        except ValueError as error:
            n_values = values.shape[0] if hasattr(values, "shape") else len(values)
            has = f"{name} has {n_values} values, but X has {len(images)} rows"
            raise ValueError(f"{has}. {error}") from None


def warn_of_other_order(X, *, name_of_X="X", **given):
    """Warn if inputs have the same index in different orders, or are rows of different splits.

    All are compared with the first one whose index is not the default, which need not be X. If X is
    a column or list of paths without such an index, its paths are in place of it. The same are also
    common names at different positions, as in a fold, and paths of the same files. Common numbers
    do not count, since they may be positions in different tables. Nor do common names if some occur
    twice. But different numbers, both in no order, may be of the training rows and of the test
    rows. In messages, X is called `name_of_X`, and other inputs by their keywords.
    """
    indices = {name: names_of_rows(one) for name, one in {name_of_X: X, **given}.items()}
    indices = {name: index for name, index in indices.items() if index is not None}
    paths = _paths_of(X) if indices and name_of_X not in indices else None
    if paths is not None:
        indices = {name_of_X: paths, **indices}
    first, *others = indices or [None]
    for name in others:
        what, _ = in_other_order(indices[first], indices[name])
        if what is not None:
            is_unique = indices[name].is_unique
            _warn_of_order(what, first, name, by_paths=paths is not None, is_unique=is_unique)
        elif _are_of_other_rows(indices[first], indices[name]):
            warn(
                f"{first} and {name} have different numbers as their index, as X_train and y_test "
                "would. Check that they are of the same rows; if they are, "
                f"{name}.set_axis({first}.index) says so.",
                key=f"order of {name}",
            )


def warn_of_names_in_other_order(names, **given):
    """Warn if names without an index are that of an input, by its keyword, in another order."""
    names = list(names) if names_of_rows(names) is None else []
    if not all(isinstance(name, str) for name in names):
        return
    for argument, one in given.items():
        index = names_of_rows(one)
        if index is not None and names != list(index) and set(names) == set(index):
            warn(
                f"names has the index of {argument} in another order. They belong together by "
                f"their position; if they do by name, pass names={argument}.index.",
                key="order of names",
            )
            return


def _are_of_other_rows(*indices):
    """Return whether two indices, equally long, hold different numbers, both in no order."""
    are_shuffled = all(
        index.dtype.kind in "iu"
        and len(index) >= _FEWEST_NUMBERS
        and index.is_unique
        and not (index.is_monotonic_increasing or index.is_monotonic_decreasing)
        for index in indices
    )
    one, other = indices
    return are_shuffled and len(one) == len(other) and set(one) != set(other)


def _warn_of_order(what, first, name, *, by_paths, is_unique):
    both, advice = f"{first} and {name}", f"pass {name}.loc[{first}.index]."
    if by_paths:
        both = f"The paths in {first} and the index of {name}"
        advice = f"pass {name}.loc[{first}]."
        what = "the same names" if what == SAME_INDEX else what
    order = "in another order"
    if what == SAME_FILES:
        order += ", under names that are written otherwise"
        advice = f"give both the same names and {advice}"
    elif not is_unique:
        advice = "give each row a label of its own: some are there twice."
    warn(
        f"{both} have {what} {order}. Rows belong together by their position. If they do by their "
        f"index, {advice}",
        key=f"order of {name}",
    )


def _paths_of(X):
    """Return the paths in a list or column as an index, or None if X holds something else."""
    if not isinstance(first_of_column(X), (str, os.PathLike)):
        return None
    items = np.asarray(X, dtype=object).ravel().tolist()
    if len(items) != len(X) or not all(isinstance(item, (str, os.PathLike)) for item in items):
        return None
    paths = [os.fspath(item) for item in items]
    if max(map(len, paths)) > _LONGEST_PATH:  # a picture as text, not a path
        return None
    import pandas as pd

    return pd.Index(paths, dtype=object)


def names_of_rows(given):
    """Return the index of a frame or Series, with paths as text; None if it is the default."""
    index = index_of(given)
    if index is None:
        return None
    if index.nlevels > 1 or index.dtype.kind != "O" or index.inferred_type == "string":
        return index
    import pandas as pd

    # As objects: pandas cannot compare text with intervals, for example.
    names = [os.fspath(name) if isinstance(name, os.PathLike) else name for name in index]
    return pd.Index(names, dtype=object, tupleize_cols=False)


def in_other_order(index, other):
    """Compare two indices, of :func:`names_of_rows`; see :func:`warn_of_other_order`.

    Return what is in another order, ``SAME_INDEX``, ``SAME_FILES`` or a part of the index, and in
    which rows; or twice None.
    """
    if index.nlevels != other.nlevels or len(index) != len(other):
        return None, None
    with silent("Inferring datetime64"):  # if dates are mixed with times
        if index.equals(other):
            return None, None
        both = index.append(other)  # its dtype can hold the labels of both
    own, its = np.split(_codes_of(both), 2)
    n_own, n_its = (np.bincount(codes, minlength=len(both)) for codes in (own, its))
    moved, in_common = own != its, n_its[own] > 0
    if not moved.any():
        return None, None
    if (n_own == n_its).all():
        return SAME_INDEX, moved
    if not in_common.any():
        same = same_files(index.tolist(), other.tolist())
        moved = np.array([one != another for one, another in zip(*same or ((), ()), strict=True)])
        return (SAME_FILES, moved) if moved.any() else (None, None)
    is_unique = n_own.max() == n_its.max() == 1
    holds_names = both.inferred_type not in ("integer", "floating", "mixed-integer-float")
    if is_unique and holds_names and (moved & in_common).any():
        return "parts of the same index", moved & in_common
    return None, None


def _codes_of(index):
    if index.nlevels > 1:  # `factorize` would make tuples first
        return index.drop_duplicates().get_indexer(index)
    return index.factorize(use_na_sentinel=False)[0]


def same_files(names, others):
    """Shorten the paths of two lists to their last parts if both name the same files; else None.

    A member of a shard has the path SHARD/MEMBER. Accents may be stored otherwise, as on macOS. If
    the lists then differ, endings of files are left out, and case does not matter. What is left is
    what follows the folder that all paths of a list are in, or as few last parts of each path as
    make all differ, if any do.
    """
    if not all(isinstance(name, str) for name in (*names, *others)):
        return None
    paths = [
        [unicodedata.normalize("NFC", _MEMBER.sub(r"\2/\1", name)) for name in some]
        for some in (names, others)
    ]
    return _last_parts(*paths) or _last_parts(
        *([_ENDING.sub("", name).casefold() for name in some] for some in paths)
    )


def _last_parts(names, others):
    lists = [[re.split(r"[/\\]", name) for name in some] for some in (names, others)]
    # Full and relative paths are the same below the folder that all of a list are in. As many last
    # parts of each path may leave out what tells some of them apart.
    starts = [
        next((n for n, parts in enumerate(zip(*some)) if len(set(parts)) > 1), 0) for some in lists
    ]
    below = tuple([tuple(parts[n:]) for parts in some] for n, some in zip(starts, lists))
    if len(set(below[0])) == len(names) and set(below[0]) == set(below[1]):
        return below
    ends = below
    for n_parts in range(1, 1 + min(max(map(len, some), default=0) for some in lists)):
        ends = tuple([tuple(parts[-n_parts:]) for parts in some] for some in lists)
        if all(len(set(some)) == len(some) for some in ends):
            break
    return ends if Counter(ends[0]) == Counter(ends[1]) else None


def is_default(index):
    """Return whether the index of a frame or Series is the default: 0, 1, 2 and so on."""
    return getattr(index, "start", None) == 0 and index.step == 1


def index_of(*given):
    """Return the index of the first frame or Series whose index is not the default, or None."""
    indices = [getattr(one, "index", None) for one in given]
    return next((one for one in indices if hasattr(one, "equals") and not is_default(one)), None)

"""Checks of what is given for each row of a table: weights, groups, and their order."""

import re

import numpy as np

from ._missing import is_missing, without_mask
from ._one_column import refuse_no_column
from ._sklearn import check_sample_weight
from ._warnings import silent, warn

_MOST_WEIGHT, _ROUNDING = 1e5, 1e-5


def check_weights(sample_weight, n_rows, dtype=float, *, all_may_be_zero=False):
    """Weights of rows as an array, or None. A weight counts as that many copies of a row.

    Parameters
    ----------
    sample_weight : None or array-like of shape (n_rows,)
    n_rows : int
    dtype : dtype, default=float
    all_may_be_zero : bool

    Returns
    -------
    ndarray of shape (n_rows,), or None

    Raises
    ------
    ValueError
        If there is not one number that is not negative for each row, one is too large for float32
        to add up, or all are zero and may not.
    """
    if sample_weight is None:
        return None
    sample_weight = without_mask(sample_weight)
    refuse_no_column(sample_weight, "sample_weight")
    given = np.asarray(sample_weight)
    first = next(iter(given.ravel()[:1].tolist()), None)
    if isinstance(first, (str, bytes)):
        raise ValueError(
            f"sample_weight holds text, such as {first!r}: these may be labels or groups. Give a "
            "number for each row."
        )
    _refuse_missing_weight(given)
    if given.shape == (n_rows,) and not given.any():
        if all_may_be_zero:
            return np.zeros(n_rows, dtype)
        raise ValueError("sample_weight is zero for all rows.")
    weights = check_sample_weight(
        sample_weight, np.empty((n_rows, 0)), dtype=dtype, ensure_non_negative=True
    )
    if weights.max() > _MOST_WEIGHT:
        row = int(weights.argmax())
        raise ValueError(
            f"sample_weight of row {row} is {weights[row]:.3g}. A weight counts as that many "
            "copies of a row: divide all weights by their mean."
        )
    return weights


def _refuse_missing_weight(given):
    for row, weight in enumerate(given.tolist() if given.dtype == object else ()):
        if is_missing(weight):
            raise ValueError(
                f"sample_weight has no weight for row {row}, but {weight!r}. Give a number for "
                "each row; a row of weight zero is left out."
            )


def scaled_shares(weights):
    """Weights that sum to one, as in boosting, times their number; others as they are."""
    if weights is not None and _are_shares(weights):
        return weights * weights.dtype.type(np.count_nonzero(weights))
    return weights


def shares_again(some, weights):
    """Some of the weights, which sum to one again where all of them do; others as they are.

    Parameters
    ----------
    some, weights : object
        As a user gives them: only of floats are they shares.
    """
    weights = np.asarray(weights)
    if weights.dtype.kind != "f" or not _are_shares(weights) or not np.any(some):
        return some
    return some / np.sum(some) if hasattr(some, "dtype") else np.asarray(some) / np.sum(some)


def _are_shares(weights):
    return np.count_nonzero(weights) > 1 and abs(weights.sum(dtype=np.float64) - 1) < _ROUNDING


def check_groups(groups, n_rows):
    """Groups of rows as an array, or None.

    Raises
    ------
    ValueError
        If there is not one for each row.
    """
    if groups is None:
        return None
    refuse_no_column(groups, "groups")
    groups = without_mask(groups)
    # Of a list, numpy would make the group 'nan' of NaN beside strings.
    given = groups if hasattr(groups, "dtype") else np.asarray(groups, dtype=object)
    groups = np.asarray(groups)
    if groups.shape != (n_rows,):
        raise ValueError(f"groups has shape {groups.shape}, but y has {(n_rows,)}.")
    if groups.dtype.kind not in "biu":
        for row, group in enumerate(np.asarray(given).tolist()):
            if is_missing(group):
                raise ValueError(
                    f"groups has no group for row {row}, but {group!r}. Name one for each row; a "
                    "row that belongs to no other is a group of its own."
                )
    return groups


def warn_of_other_order(X, *, name_of_X="X", **given):
    """Warn where what is given for each row has the same index in another order.

    All are compared with the first whose index says something, which X may not have.

    Parameters
    ----------
    X : array-like or frame of n rows
    name_of_X : str
        What it is called in the message.
    **given : array-like of shape (n,), Series or None
        By their names.

    Warns
    -----
    SuspectedMistakeWarning
        If both have the same index in another order, or names in common at other places, as in a
        fold of such rows, or paths of the same files. Numbers in common may be positions in
        different tables, and labels that are there twice may be of other rows.
    """
    indices = {name: getattr(one, "index", None) for name, one in {name_of_X: X, **given}.items()}
    telling = [
        (name, index)
        for name, index in indices.items()
        if hasattr(index, "equals") and not is_default(index)
    ]
    for name, index in telling[1:]:
        first, other = telling[0]
        what = _in_other_order(other, index)
        if what is not None:
            advice = f"pass {name}.loc[{first}.index]."
            if not index.is_unique:
                advice = "give each row a label of its own: some are there twice."
            warn(
                f"{first} and {name} have {what} in another order. Rows belong together by their "
                f"position. If they do by their index, {advice}",
                doubt=f"order of {name}",
            )
        elif _are_files_in_other_order(other, index):
            warn(
                f"{first} and {name} have the same files in another order, in folders that are "
                f"written otherwise. Rows belong together by their position. If they do by their "
                f"index, give both the same names and pass {name}.loc[{first}.index].",
                doubt=f"order of {name}",
            )


def _in_other_order(index, other):
    """What stands in another order, or None; see :func:`warn_of_other_order`."""
    if index.nlevels != other.nlevels or len(index) != len(other):
        return None
    with silent("Inferring datetime64"):  # of dates beside times
        if index.equals(other):
            return None
        both = index.append(other)  # of a type that holds the labels of both
    own, its = np.split(_codes_of(both), 2)
    n_own, n_its = (np.bincount(codes, minlength=len(both)) for codes in (own, its))
    moved = own != its
    if not moved.any():
        return None
    if (n_own == n_its).all():
        return "the same index"
    is_unique = n_own.max() == n_its.max() == 1
    holds_names = both.inferred_type not in ("integer", "floating", "mixed-integer-float")
    in_common = is_unique and holds_names and (moved & (n_its[own] > 0)).any()
    return "parts of the same index" if in_common else None


def _codes_of(index):
    if index.nlevels > 1:  # of which `factorize` makes tuples first
        return index.drop_duplicates().get_indexer(index)
    return index.factorize(use_na_sentinel=False)[0]


def _are_files_in_other_order(index, other):
    if index.nlevels != other.nlevels or len(index) != len(other) or index.isin(other).any():
        return False
    same = same_files(index.tolist(), other.tolist())
    return same is not None and same[0] != same[1]


def same_files(names, others):
    """What is left of paths without folders that only some of them name.

    Parameters
    ----------
    names, others : list of n str
        Of anything else, nothing is said.

    Returns
    -------
    tuple of two lists, or None
        The fewest last parts of the paths in which all differ; None where these are not the same
        in both lists.
    """
    if not all(isinstance(name, str) for name in (*names, *others)):
        return None
    lists = [[re.split(r"[/\\]", name) for name in some] for some in (names, others)]
    for n_parts in range(1, 1 + min(max(map(len, some), default=0) for some in lists)):
        ends = tuple([tuple(parts[-n_parts:]) for parts in some] for some in lists)
        if all(len(set(some)) == len(some) for some in ends):
            return ends if set(ends[0]) == set(ends[1]) else None
    return None


def is_default(index):
    """Whether the index of a frame or Series is 0, 1, 2 and so on, which says nothing of a row."""
    return getattr(index, "start", None) == 0 and index.step == 1


def index_of(*given):
    """The index of the first frame or Series, of those whose index says something; or None.

    Parameters
    ----------
    *given : array-like of n rows

    Returns
    -------
    pandas.Index or None
    """
    indices = [getattr(one, "index", None) for one in given]
    return next((one for one in indices if hasattr(one, "equals") and not is_default(one)), None)

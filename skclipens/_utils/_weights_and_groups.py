"""Checks of sample weights and groups."""

from numbers import Real

import numpy as np
from sklearn.exceptions import DataConversionWarning

from ._class_texts import warn_of_group_spellings
from ._missing import is_missing, without_mask
from ._one_column import refuse_no_column
from ._sklearn import check_sample_weight
from ._warnings import warn

MOST_WEIGHT, _ROUNDING = 1e5, 1e-5
_LEAST_WEIGHT = 1e-15  # of a row, beside the largest one


def check_weights(sample_weight, n_rows, dtype=float, *, all_may_be_zero=False):
    """Return sample weights as an array, or None. A weight counts as that many copies of a row.

    Weights that no sum shows, beside the largest one, are 0. Raise ValueError if there is not one
    non-negative number for each row, one is too large for sums in float32, all together are far
    less than one row, or all are zero without `all_may_be_zero`.
    """
    if sample_weight is None:
        return None
    sample_weight = without_mask(sample_weight)
    if not isinstance(sample_weight, Real):  # one for all rows, as elsewhere in scikit-learn
        refuse_no_column(sample_weight, "sample_weight")
    given = np.asarray(sample_weight)
    first = next(iter(given.ravel()[:1].tolist()), None)
    if isinstance(first, (str, bytes)):
        raise ValueError(
            f"sample_weight holds text, such as {first!r}: these may be labels or groups. Give a "
            "number for each row."
        )
    _refuse_wrong_weight(given)
    if given.shape == (n_rows,) and not given.any():
        if all_may_be_zero:
            return np.zeros(n_rows, dtype)
        raise ValueError("sample_weight is zero for all rows.")
    weights = check_sample_weight(
        sample_weight, np.empty((n_rows, 0)), dtype=np.float64, ensure_non_negative=True
    )
    largest, total = weights.max(), weights.sum()
    if largest > MOST_WEIGHT or (total < 1 / MOST_WEIGHT and not all_may_be_zero):
        found = f"sample_weight sums to {total:.3g}"
        if largest > MOST_WEIGHT:
            found = f"sample_weight of row {weights.argmax()} is {largest:.3g}"
        raise ValueError(
            f"{found}. A weight counts as that many copies of a row: divide all weights by their "
            "mean."
        )
    is_seen = weights >= _LEAST_WEIGHT * largest  # others may be too small for float32
    return (weights if is_seen.all() else weights * is_seen).astype(dtype, copy=False)


def _refuse_wrong_weight(given):
    wrong = ()
    if given.dtype == object:
        wrong = [row for row, weight in enumerate(given.tolist()) if _is_wrong(weight)]
    elif given.dtype.kind in "fi" and given.ndim == 1:
        wrong = np.flatnonzero(~((given >= 0) & np.isfinite(given)))
    if len(wrong):
        raise ValueError(
            f"sample_weight of row {wrong[0]} is {given[wrong[0]]}. Give a number of at least 0 "
            "for each row; a row of weight 0 is left out."
        )


def _is_wrong(weight):
    return is_missing(weight) or (isinstance(weight, Real) and not 0 <= weight < np.inf)


def scaled_shares(weights):
    """Multiply weights that sum to one, as in boosting, by their number; return others as is."""
    if weights is not None and _are_shares(weights):
        return weights * weights.dtype.type(np.count_nonzero(weights))
    return weights


def shares_again(some, weights):
    """Rescale some of a user's weights to sum to one if all of them do; return others as is.

    Only floats count as shares.
    """
    weights = np.asarray(weights)
    if weights.dtype.kind != "f" or not _are_shares(weights) or not np.any(some):
        return some
    return some / np.sum(some) if hasattr(some, "dtype") else np.asarray(some) / np.sum(some)


def _are_shares(weights):
    return np.count_nonzero(weights) > 1 and abs(weights.sum(dtype=np.float64) - 1) < _ROUNDING


def check_groups(groups, n_rows):
    """Return groups of rows as an array, or None; raise ValueError if a row has none.

    Nor may strings be mixed with other values, as in a column of a spreadsheet. Warn of groups that
    may be one, or several, by the way they are written.
    """
    if groups is None:
        return None
    refuse_no_column(groups, "groups")
    groups = without_mask(groups)
    # In a list with strings, numpy would convert NaN to the string 'nan'.
    given = groups if hasattr(groups, "dtype") else np.asarray(groups, dtype=object)
    groups = np.asarray(groups)
    if groups.shape == (n_rows, 1):  # as scikit-learn does with labels
        warn(
            f"groups has shape {groups.shape}: its column is taken. Pass the column itself.",
            DataConversionWarning,
        )
        groups, given = groups[:, 0], np.asarray(given)[:, 0]
    if groups.shape != (n_rows,):
        raise ValueError(f"groups has shape {groups.shape}, but y has {(n_rows,)}.")
    if groups.dtype.kind not in "biu":
        for row, group in enumerate(np.asarray(given)):  # tolist makes integers of dates
            if is_missing(group):
                raise ValueError(
                    f"groups has no group for row {row}, but {str(group) or repr(group)}. Name one "
                    "for each row; a row that belongs to no other is a group of its own."
                )
    if groups.dtype.kind == "O":
        _refuse_mixed(groups)
    if groups.dtype.kind in "OU":
        warn_of_group_spellings(groups)
    elif groups.dtype.kind == "f":
        _warn_of_lost_digits(groups)
    return groups


def _warn_of_lost_digits(groups):
    """Warn of numbers so large that floats do not hold their last digits."""
    row = int(np.abs(groups).argmax())
    if np.abs(groups[row]) >= 2.0 ** (np.finfo(groups.dtype).nmant + 1):
        warn(
            f"groups holds floats of dtype {groups.dtype}, such as {groups[row]:.16g} in row {row},"
            " which have lost their last digits, so that objects whose numbers differ may be one "
            "group. Read them as text, or as integers.",
            key="rounded groups",
        )


def _refuse_mixed(groups):
    first = {}
    for row, group in enumerate(groups):
        first.setdefault(isinstance(group, str), f"{group!r} in row {row}")
    if len(first) > 1:
        raise ValueError(
            f"groups mixes strings and other values: {first[True]} and {first[False]}. These would "
            "be different groups: groups = [str(group) for group in groups] makes all strings."
        )

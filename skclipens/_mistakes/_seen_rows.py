"""Warnings of near-duplicates among the rows of fit, and of rows of fit among rows to score."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from .._utils._copies import groups_of_copies, merge_copies, same_pictures
from .._utils._folds import codes_of
from .._utils._linalg import parts_of, subsample, take_columns
from .._utils._near_duplicates import FEWEST_ROWS, near_duplicates
from .._utils._row_numbers import user_rows
from .._utils._warnings import warn
from ._rows import labels_of_a_picture
from ._series import warn_of_series

# Between two calls, embeddings of one image differ by up to 0.01 standard deviations of a
# projection, due to rounding in bf16. Those of 300 emoji differ by 0.1 or more in at least one of
# 32 projections.
_N_PROJECTIONS, _SAME = 32, 0.02
# Other columns are not computed anew.
_N_OTHERS, _SAME_NUMBERS = 8, 1e-4
_AS_IN_FIT = 1.5  # times the share of such rows in fit
# Least number and share of rows. Data sets contain a few copies, and more near-duplicates, such as
# variants of an emoji.
_FEWEST, _SHARE = 3, 0.1
_FEWEST_NEAR, _NEAR_SHARE = 5, 0.3
# Distance of projections. Most versions of a placeholder are less than 0.5 apart; in 18 sets
# and emoji, the tenth nearest row is at least 2 away. No program here repeats that.
_ONE_PICTURE = 1.0
# Rows of one picture: least number, share, and times as many as the copies of any other.
_FEWEST_OF_ONE, _SHARE_OF_ONE, _TIMES_OTHERS = 10, 0.05, 5
_INSTEAD = (
    "pass None in its place, with on_error='nan': submodels=True of make_table_pipeline reads "
    "only the other columns of such rows"
)
_EXAMPLES = "such as pictures that were saved again, brightened or slightly cropped"


class SeenRows(NamedTuple):
    """Rows that an ensemble has learned from, as random projections of their columns.

    Attributes
    ----------
    columns : ndarray of int
        Columns of embeddings, or others.
    centre, deviation : ndarray of shape (32,), or (8,) of other columns
        Mean and standard deviation of each projection.
    rows : ndarray of shape (n, 32), float16, or (n, 8), float32
        Standardized projections.
    others : SeenRows or None
        The same rows by their other columns, if one picture may have several labels.
    share_repeated : float
        Share of the input rows whose picture is in another one, too; in `others`, of those that are
        equal to another one in all columns.
    units : ndarray of shape (2, n_columns) or None
        Median and spread of each of the other columns; None for embeddings.
    """

    columns: np.ndarray
    centre: np.ndarray
    deviation: np.ndarray
    rows: np.ndarray
    others: "SeenRows | None" = None
    share_repeated: float = 0.0
    units: np.ndarray | None = None

    def standardized(self, X):
        """Return standardized projections of rows of X."""
        projected = _project(X, self.columns, len(self.centre), self.units)
        return ((projected - self.centre) / self.deviation).astype(np.float32)


def see_rows(seen, learned):
    """Return the `SeenRows` of the :class:`Rows` that were learned from.

    None without embeddings, or if all rows are the same.
    """
    columns = [block.columns for block in seen if block.is_named]
    if not columns:
        return None
    columns = np.unique(np.concatenate(columns))
    pictures = _see_columns(learned.X, columns, _N_PROJECTIONS, np.float16)
    others = np.delete(np.arange(learned.X.shape[1]), columns)
    if pictures is None or not others.size:
        return pictures
    first = same_pictures(learned.X, columns)
    if first is None or labels_of_a_picture(first, learned.y) == "one":
        return pictures
    place = learned.position[learned.position >= 0]
    # Equal rows of one label are merged. If none have several, they are copies, no chance.
    same = groups_of_copies(learned.X)
    units = _units(take_columns(learned.X, others))
    others = _see_columns(learned.X, others, _N_OTHERS, np.float32, units)
    if others is not None:
        share = 0.0 if same is None else _share_repeated(same[place])
        others = others._replace(share_repeated=share)
    return pictures._replace(others=others, share_repeated=_share_repeated(first[place]))


def _share_repeated(groups):
    return float(np.mean(np.bincount(groups)[groups] > 1))


def _units(table):
    """Return the median of each column, and its spread, or 1 if that is rounding; (2, n_columns).

    Beside an outlier, all others are the same number in units of the standard deviation.
    """
    low, middle, high = np.percentile(table, [25, 50, 75], axis=0)
    spread = np.where(high > low, high - low, table.std(axis=0))
    rounding = 10 * np.finfo(table.dtype).eps * np.abs(middle)
    return np.array([middle, np.where(spread > rounding, spread, 1)])


def _see_columns(X, columns, n_projections, dtype, units=None):
    rows = _project(X, columns, n_projections, units)
    centre, deviation = rows.mean(axis=0), rows.std(axis=0)
    if not (deviation > 0).all():
        return None
    with np.errstate(under="ignore"):  # a value near 0 is 0 in float16
        rows = ((rows - centre) / deviation).astype(dtype)
    return SeenRows(columns, centre, deviation, rows, units=units)


def warn_of_one_picture(seen, blocks, learned):
    """Warn if one picture, or versions of it, is in many more rows than any other of its classes.

    So is a placeholder for missing pictures. `blocks` is a tuple of SeenBlock, and `learned` the
    :class:`Rows` that were learned from; those of one group count once.

    If the table has other columns, a label may be of these, and many rows of one thing: versions
    of a picture do not count there, nor one that has one label.
    """
    if seen is None:
        return
    if len(seen.columns) < learned.X.shape[1]:
        _warn_of_one_picture_beside_columns(blocks, learned)
        return
    place, rows = learned.position, seen.rows.astype(np.float32)
    given = np.flatnonzero(place >= 0)
    n_copies, groups = np.bincount(place[given]), learned.metadata["groups"]
    n_rows = len(given) if groups is None else len(np.unique(groups))
    tree, is_known = KDTree(rows), np.zeros(len(rows), bool)
    for row in subsample(place[given]):
        if is_known[row]:
            continue
        near = np.array(tree.query_ball_point(rows[row], _ONE_PICTURE))
        is_known[near] = True
        size = n_copies[near].sum() if groups is None else len(np.unique(groups[near]))
        if size < max(_FEWEST_OF_ONE, _SHARE_OF_ONE * n_rows):
            continue
        labels = np.unique(learned.y[near])
        others = np.setdiff1d(np.flatnonzero(np.isin(learned.y, labels)), near)
        if len(others) and size >= _TIMES_OTHERS * n_copies[others].max():
            leave_out = "leave these rows out: what is learned from them says nothing of others"
            _tell_of_one(learned, near, ", or of versions of it", labels, leave_out)
            return


def _warn_of_one_picture_beside_columns(blocks, learned):
    """Warn if one picture of a block is in many rows, with several labels."""
    groups = learned.metadata["groups"]
    n_rows = len(learned.y) if groups is None else len(np.unique(groups))
    for block in blocks:
        first = same_pictures(learned.X, block.columns) if block.is_named else None
        if first is None:
            continue
        n_copies = _counts(first, groups)
        is_one = first == n_copies.argmax()
        if labels_of_a_picture(first, learned.y, ~is_one) == "several":
            continue
        rows, most_of_others = np.flatnonzero(is_one), n_copies[first[~is_one]].max(initial=1)
        labels = np.unique(learned.y[rows])
        least = max(_FEWEST_OF_ONE, _SHARE_OF_ONE * n_rows, _TIMES_OTHERS * most_of_others)
        if n_copies.max() >= least and len(labels) > 1:
            _tell_of_one(learned, rows, "", labels, _INSTEAD)
            return


def _counts(first, groups):
    """Return how many rows, or groups of rows, have the picture of each first row."""
    if groups is None:
        return np.bincount(first)
    return np.bincount(np.unique(np.stack([first, codes_of(groups)]), axis=1)[0])


def _tell_of_one(learned, some, versions, labels, advice):
    """Tell which input rows some of the :class:`Rows` that were learned from stand for."""
    place = learned.position
    rows = user_rows(np.flatnonzero(np.isin(place, some)), len(place))
    have = f"{len(labels)} labels" if len(labels) > 1 else f"the label {labels.tolist()[0]!r}"
    warn(
        f"{len(rows)} of {np.sum(place >= 0)} rows are of one picture{versions}, such as rows "
        f"{rows[0]} and {rows[1]}, and have {have}. If it stands for missing pictures, {advice}."
    )


def warn_of_near_duplicates(seen, learned, index=None):
    """Warn if many rows of ``fit`` are near-duplicates of others that they may validate.

    Of the :class:`Rows` that were learned from, only the first of each group, and of equal ones, is
    compared with others. With splits of the user, near-duplicates that are always on the same side
    do not count.

    If few rows are near-duplicates, many may still be of one object, which neither groups nor
    splits keep together: see :func:`warn_of_series`, which takes the `index` of the input rows.
    """
    if seen is None:
        return
    groups, given = learned.metadata["groups"], learned.input_rows
    first = np.arange(len(given)) if groups is None else np.unique(groups, return_index=True)[1]
    # The same image may have several labels if these depend on other columns, too.
    first = first[merge_copies(seen.rows[first], np.zeros(len(first)), None)[0]]
    rows = seen.rows[first].astype(np.float32)
    is_near, nearest = _is_near(subsample(rows), rows, own=subsample(np.arange(len(rows))))
    pairs, advice = np.stack([subsample(first), first[nearest]]), ""
    if _are_many(is_near) and (splits := learned.splits) is not None:
        is_near &= _on_two_sides(splits, pairs, len(given))
        advice = " Give cv as a number, or as a splitter of groups."
    if not _are_many(is_near):
        # Groups that join few rows, such as numbers of the rows, do not keep a series together.
        if learned.splits is None and len(first) > (1 - _NEAR_SHARE) * len(given):
            warn_of_series(pairs, learned.y, given, len(learned.position), index)
        return
    one, another = learned.numbers[pairs[:, np.argmax(is_near)]]
    warn(
        f"{is_near.mean():.0%} of the rows are near-duplicates of others, {_EXAMPLES}, for example "
        f"rows {one} and {another}. Heads are then tested on near-duplicates of rows that they "
        "learned from, and get too much weight. Pass groups, which keep near-duplicates together: "
        f"skclipens.labels.group_near_duplicates(X) finds some.{advice}",
        key="related rows",
    )


def _on_two_sides(folds, pairs, n_rows):
    """Return which pairs of rows, (2, m), a fold has in train and test."""
    found = np.zeros(pairs.shape[1], bool)
    for sides in folds:
        in_train, held_out = (np.isin(np.arange(n_rows), side)[pairs] for side in sides)
        found |= (in_train & held_out[::-1]).any(axis=0)
    return found


def warn_of_seen_rows(seen, X, is_right):
    """Warn if some of the rows to score, but not all, are rows of ``fit`` or near-duplicates.

    The message gives their share, and the accuracy on them and on the others, from which rows are
    classified correctly.
    """
    if seen is None:
        return
    X = np.asarray(X)
    rows = seen.standardized(X)
    is_seen = has_seen_picture = _are_among(rows, seen.rows)
    most, least = _SHARE + _AS_IN_FIT * seen.share_repeated, _SHARE
    if (others := seen.others) is not None and has_seen_picture.mean() <= most:
        least += _AS_IN_FIT * others.share_repeated
        scale = _SAME / _SAME_NUMBERS
        both = np.hstack([rows, scale * others.standardized(X)])
        is_seen = _are_among(both, np.hstack([seen.rows, scale * others.rows]))
    if is_seen.all():
        return
    if is_seen.sum() >= _FEWEST and is_seen.mean() >= least:
        warn(
            f"{is_seen.sum()} of the {len(rows)} rows are rows of fit, or copies of their pictures"
            f": {_accuracies(is_right, is_seen)}. Score rows that fit has not seen.",
            key="rows of fit",
        )
        return
    is_new = ~has_seen_picture
    rows, is_right = subsample(rows[is_new]), subsample(is_right[is_new])
    is_near, _ = _is_near(rows, seen.rows.astype(np.float32))
    if _are_many(is_near):
        warn(
            f"{is_near.mean():.0%} of the rows are near-duplicates of rows of fit, {_EXAMPLES}: "
            f"{_accuracies(is_right, is_near)}. Keep near-duplicates on one side of a split: "
            "skclipens.labels.group_near_duplicates(X) makes groups of them.",
            key="rows of fit",
        )


def _are_among(rows, others):
    distances, _ = KDTree(others).query(rows, p=np.inf, distance_upper_bound=_SAME)
    return np.isfinite(distances)


def _is_near(rows, others, *, own=None):
    """Return which rows have a near-duplicate among others, (m,), and their nearest row, (m,)."""
    if len(others) < FEWEST_ROWS or not len(rows):
        return np.zeros(len(rows), bool), np.zeros(len(rows), int)
    positions, is_near = near_duplicates(rows, others, own=own)
    return is_near[:, 0], positions[:, 0]


def _are_many(is_near):
    return is_near.sum() >= _FEWEST_NEAR and is_near.mean() >= _NEAR_SHARE


def _accuracies(is_right, some):
    others = "" if some.all() else f", and {is_right[~some].mean():.0%} of the others"
    return f"{is_right[some].mean():.0%} of these are classified correctly{others}"


def _project(X, columns, n_projections, units):
    directions = np.random.default_rng(0).standard_normal((len(columns), n_projections))
    parts = (take_columns(X[part], columns).astype(float) for part in parts_of(len(X)))
    if units is not None:  # arcsinh, so that an outlier does not hide what the others are
        middle, spread = units
        parts = (np.arcsinh((part - middle) / spread) for part in parts)
    return np.concatenate([part @ directions for part in parts])

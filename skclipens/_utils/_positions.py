"""Integer positions of columns, from the ways in which a user may give them."""

from numbers import Integral

import numpy as np

from ._sample_arguments import index_of
from ._warnings import warn


def positions(columns, n_features, feature_names, owner):
    """Return integer positions of columns given by slice, positions, mask or names, in order."""
    if isinstance(columns, slice):
        if any(isinstance(end, str) for end in (columns.start, columns.stop)):
            raise ValueError(f"{owner} is {columns}. Ends of a slice are positions, not names.")
        if columns.stop is not None and columns.stop > n_features:
            raise ValueError(f"{owner} ends at {columns.stop}, but X has {n_features} columns.")
    else:
        _check_no_range(columns, n_features, owner)
        _refuse_other_index(columns, feature_names, owner)
        columns = np.ravel(columns) if np.size(columns) else np.empty(0, int)
        if columns.dtype.kind in "UOT":
            columns = _positions_by_name(columns.tolist(), feature_names, owner)
    try:
        indices = np.arange(n_features)[columns]
    except IndexError as error:
        raise ValueError(f"{owner}: {error}; X has {n_features} columns.") from None
    if not len(indices):
        raise ValueError(f"{owner} has no columns.")
    found, counts = np.unique(indices, return_counts=True)
    if counts.max() > 1:
        raise ValueError(
            f"{owner} names column {found[counts.argmax()]} {counts.max()} times. Give each "
            "position once; a mask has the type bool."
        )
    return indices


def _check_no_range(columns, n_features, owner):
    """Raise ValueError if columns are a single number; warn if they seem to be ends of a range."""
    if isinstance(columns, Integral):
        column, span = f"[{columns}] for column {columns}", f"slice(0, {columns}) for the first"
        meant = [column] * (-n_features <= columns < n_features)
        meant += [f"{span} {columns}"] * (0 < columns <= n_features)
        advice = " or ".join(meant) or "positions of its columns"
        raise ValueError(
            f"{owner} is the number {columns}, and X has {n_features} columns. Give {advice}."
        )
    is_pair = isinstance(columns, tuple) and len(columns) == 2
    if is_pair and all(isinstance(one, Integral) for one in columns):
        start, end = columns
        if end - start > 1:
            warn(
                f"{owner} has the two columns {start} and {end}. If those between them are meant, "
                f"give slice({start}, {end}); if not, a list of the two."
            )


def _refuse_other_index(columns, feature_names, owner):
    """Raise ValueError if a mask has an index that differs from the names of the columns."""
    index = index_of(columns)
    if index is None or columns.dtype != bool:
        return
    if feature_names is None or index.tolist() != list(feature_names):
        raise ValueError(
            f"{owner} is a mask with an index of its own, which is not that of the columns of X. "
            "Pass the names of its columns, mask.index[mask], or mask.to_numpy() in the order of X."
        )


def _positions_by_name(names, feature_names, owner):
    if feature_names is None:
        raise ValueError(
            f"{owner} names its columns, but X has no column names that are strings. Pass a frame "
            "that has them; of a MultiIndex, join the levels: X.columns.map('__'.join)."
        )
    places = {name: place for place, name in enumerate(feature_names)}
    missing = [name for name in names if name not in places]
    if missing:
        raise ValueError(f"{owner}: X has no column {missing[0]!r}.")
    return np.array([places[name] for name in names])


def refuse_shared(blocks):
    """Raise ValueError if a column is in two blocks, pairs of a name and positions of columns."""
    owners = {}
    for name, columns in blocks:
        for column in columns.tolist():
            if column in owners:
                raise ValueError(
                    f"Column {column} is in the blocks {owners[column]!r} and {name!r}: look at "
                    "where they begin and end."
                )
            owners[column] = name

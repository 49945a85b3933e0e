"""Rows to learn from, with their labels, weights, groups and folds."""

from numbers import Real
from typing import NamedTuple

import numpy as np

from ._copies import WIDE, merge_copies
from ._folds import folds_of_some, with_copies_on_one_side
from ._linalg import positions_among, take_rows
from ._messages import listed
from ._metadata import rows_of
from ._row_numbers import user_rows
from ._warnings import warn


class Rows(NamedTuple):
    """Rows to learn from, and which of them represents each input row.

    Attributes
    ----------
    X : ndarray of shape (n, n_features)
    y : ndarray of shape (n,)
    metadata : dict
        ``sample_weight`` and ``groups``, arrays of shape (n,) or None.
    cv : int, float, splitter or list of (train, test)
        The user's ``cv``, with splits of these rows.
    position : ndarray of shape (n_input,), int
        Position of the row that represents each input row; -1 if none does.
    """

    X: np.ndarray
    y: np.ndarray
    metadata: dict
    cv: object
    position: np.ndarray

    @property
    def has_weight(self):
        """Which rows have a weight above zero; ndarray of shape (n,), bool."""
        weights = self.metadata["sample_weight"]
        return np.ones(len(self.y), bool) if weights is None else weights > 0

    @property
    def input_rows(self):
        """Position of the first input row that each row represents; ndarray of shape (n,), int."""
        kept = np.flatnonzero(self.position >= 0)
        return kept[np.unique(self.position[kept], return_index=True)[1]]

    @property
    def numbers(self):
        """The user's number of the first input row of each row, for messages; (n,), int."""
        return user_rows(self.input_rows, len(self.position))

    @property
    def splits(self):
        """The user's splits of these rows, a list of (train, test); None if cv is a number."""
        if isinstance(self.cv, Real):
            return None
        every, groups = np.ones(len(self.y), bool), self.metadata["groups"]
        return folds_of_some(self.cv, every, self.X, self.y, groups)

    def keep(self, some):
        """Return the rows of a mask; splits then refer to these."""
        if some.all():
            return self
        return Rows(
            self.X[some],
            self.y[some],
            rows_of(self.metadata, some),
            folds_of_some(self.cv, some, self.X, self.y, self.metadata["groups"]),
            _composed(self.position, positions_among(some)),
        )

    def with_weight(self):
        """Return the rows with a weight above zero; warn if no row of a class has one."""
        has_weight = self.has_weight
        if has_weight.all():
            return self
        warn_of_unweighted_classes(np.setdiff1d(self.y, self.y[has_weight]))
        return self.keep(has_weight)

    def with_weight_or_first(self):
        """Return the rows with a weight above zero, and the first row of each class without any.

        The latter represent no input row, so they validate nothing.
        """
        has_weight = self.has_weight
        if has_weight.all():
            return self
        some, first = has_weight.copy(), np.unique(self.y, return_index=True)[1]
        some[first[~np.isin(self.y[first], self.y[has_weight])]] = True
        position = np.where(has_weight, self.position, -1)
        return self._replace(position=position).keep(some)

    def merge_copies(self, fewest=WIDE):
        """Return rows without copies, each with the total weight of its copies.

        In a table of fewer columns, none is a copy.

        Copies stay if groups define what belongs together. In splits, a row is where the first of
        its copies was.
        """
        if self.metadata["groups"] is not None:
            return self
        rows, position, weights = merge_copies(
            self.X, self.y, self.metadata["sample_weight"], fewest
        )
        if len(rows) == len(self.y):
            return self
        cv = self.on_one_side(position).cv
        if not isinstance(cv, Real):
            cv = [tuple(np.unique(position[side]) for side in fold) for fold in cv]
        return Rows(
            take_rows(self.X, rows),
            take_rows(self.y, rows),
            {**self.metadata, "sample_weight": weights},
            cv,
            _composed(self.position, position),
        )

    def on_one_side(self, copies):
        """Return the rows with splits that :func:`with_copies_on_one_side` has changed."""
        if isinstance(self.cv, Real) or copies is None:
            return self
        return self._replace(cv=with_copies_on_one_side(self.splits, copies))

    def for_input_rows(self, found, fill=0):
        """Return values of the rows, (n, ...), for all input rows; `fill` where there is no row."""
        there = self.position >= 0
        if there.all():
            return take_rows(found, self.position)
        expanded = np.full((len(there), *found.shape[1:]), fill, found.dtype)
        expanded[there] = found[self.position[there]]
        return expanded


def all_rows(X, y, metadata, cv):
    """Return all rows, each of which represents itself; see :class:`Rows`."""
    return Rows(X, y, metadata, cv, np.arange(len(y)))


def warn_of_unweighted_classes(classes):
    """Warn of classes in which no row has a weight, if there are any."""
    if len(classes):
        lost = listed(classes.tolist())
        warn(f"No row of {lost} has a weight above zero, so nothing is learned of it.")


def _composed(position, another):
    """Return ``another[position]``; -1 where either position is -1."""
    return np.where(position < 0, -1, another[position])

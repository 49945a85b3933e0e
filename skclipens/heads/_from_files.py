"""Sums over the files of ``embed_to``."""

import numpy as np
from sklearn.base import clone
from sklearn.utils import column_or_1d

from .._utils._folds import judging_rows
from .._utils._validation import check_at_least_two, check_labels, check_weights
from ..embedding._gaps import gaps_of


class RowsOfFiles:
    """Labels and weights of the rows of a table, and what is found out of it in one pass.

    Parameters
    ----------
    table : PartedTable
    y : array-like of shape (n,)
    sample_weight : array-like of shape (n,) or None
    judged : bool
        Whether rows that judge are to be kept.

    Attributes
    ----------
    classes : ndarray of shape (C,)
    targets : ndarray of shape (n,), int
    weights : ndarray of shape (n,)
        Zero where the image could not be read.
    gaps : ndarray of shape (n,), bool
        Where that is so.
    judges : ndarray of int
        Positions of the rows that judge.
    X_judges : ndarray of shape (n_judges, n_features)
    """

    def __init__(self, table, y, sample_weight, judged):
        y = column_or_1d(y)
        if len(y) != table.n_rows:
            raise ValueError(
                f"y has {len(y)} labels, but {table.name!r} has {table.n_rows} rows. Give one "
                "label for each image, in their order."
            )
        check_labels(y)
        self.classes, self.targets = np.unique(y, return_inverse=True)
        check_at_least_two(self.classes)
        self.weights = np.ones(len(y))
        if sample_weight is not None:
            self.weights = check_weights(sample_weight, self.weights).copy()
        self.gaps = np.zeros(len(y), bool)
        some = np.flatnonzero(self.weights)
        self.judges = some[judging_rows(self.targets[some])] if judged else some[:0]
        self._table = table

    def head(self, head, verbose):
        """A clone of a head that has taken in all rows by ``partial_fit``."""
        whole, X_judges = None, {}
        tasks = self._table.map(
            _fit_parts, lambda *rows: self._of_rows(head, *rows), verbose=verbose, desc="fitting"
        )
        for start, stop, (part, of_judges, gaps) in tasks:
            X_judges[start] = of_judges
            self.gaps[start:stop] = gaps
            if not hasattr(part, "classes_"):  # all of these rows are left out
                continue
            if whole is None:
                whole = part
            else:
                whole._sums.merge(part._sums)
        self.weights[self.gaps] = 0
        X_judges = np.concatenate([X_judges[start] for start in sorted(X_judges)])
        readable = ~self.gaps[self.judges]
        self.judges, self.X_judges = self.judges[readable], X_judges[readable]
        return whole

    def _of_rows(self, head, start, stop):
        first, last = np.searchsorted(self.judges, [start, stop])
        y = self.classes[self.targets[start:stop]]
        return head, y, self.classes, self.weights[start:stop], self.judges[first:last] - start


def _fit_parts(table, parts, given):
    """A head that knows the sums of some parts, rows that judge, and which rows are gaps."""
    head, y, classes, weights, judges = given
    head, start = clone(head), parts[0][1]
    is_judge = np.zeros(len(y), bool)
    is_judge[judges] = True
    X_judges, gaps = [], []
    for part in parts:
        own = slice(part[1] - start, part[2] - start)
        frame = table.read(part)
        gaps.append(gaps_of(frame))
        X_judges.append(frame.to_numpy()[is_judge[own]])
        some = ~gaps[-1] & (weights[own] > 0)
        if some.any():
            known = frame if some.all() else frame[some]
            with table.naming(part):
                head.partial_fit(known, y[own][some], classes, weights[own][some])
    return head, np.concatenate(X_judges), np.concatenate(gaps)

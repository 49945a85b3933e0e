"""Passes over the files of ``embed_to``, which sum over all rows and keep some of them.

A head that can be fitted in this way has a generator ``_fit_over(rows, columns)``. It yields a
:class:`PassRequest`, and is sent the sums and :class:`KeptRows`. It may yield a second one. It
returns its logits of the validation rows, and which of these can validate it.
"""

from copy import deepcopy
from typing import NamedTuple

import numpy as np

from .._mistakes._row_order import warn_of_text_order
from .._mistakes._rows import warn_of_weights
from .._utils._folds import validation_rows
from .._utils._labels import check_at_least_two, check_labels, column_of_labels, labels_of
from .._utils._linalg import positions_in, take_rows
from .._utils._rows import warn_of_unweighted_classes
from .._utils._sample_arguments import SAME_INDEX, in_other_order, names_of_rows
from .._utils._tables import check_range
from .._utils._validation import check_rows
from .._utils._warnings import warn
from .._utils._weights_and_groups import check_weights, scaled_shares
from ..embedding._unreadable import unreadable_rows
from ..exceptions import ImageError
from ..images._file_names import warn_of_named_files
from ._cross_fit import default_folds


class SumsOver(NamedTuple):
    """Sums, and the rows and columns to add to them.

    Attributes
    ----------
    sums : object
        Empty sums, with ``add(X, targets, weights)`` and ``merge(other)``.
    columns : slice or ndarray of int
    fold : int or None
        The fold whose rows are added. None: all rows.
    """

    sums: object
    columns: slice | np.ndarray
    fold: int | None = None


class PassRequest(NamedTuple):
    """What a head needs from a pass over all rows.

    Attributes
    ----------
    sums : list of SumsOver
    keep : ndarray of int
        In the first pass, positions of rows to keep in addition to the validation rows.
    """

    sums: list = ()
    keep: np.ndarray = np.empty(0, int)


class KeptRows(NamedTuple):
    """Rows that a pass has kept in memory.

    Attributes
    ----------
    rows : ndarray of shape (n_kept,), int
        Positions among all rows, in ascending order.
    X : ndarray of shape (n_kept, n_features)
    validation : ndarray of int
        Positions of the validation rows, among the kept rows.
    """

    rows: np.ndarray
    X: np.ndarray
    validation: np.ndarray

    def positions(self, rows):
        """Return positions among the kept rows; rows that were not kept are left out."""
        return positions_in(self.rows, rows)


class RowsOfFiles:
    """Labels and weights of the rows of a table, and passes over its parts.

    Parameters
    ----------
    table : PartedTable
    y : array-like of shape (n,)
    sample_weight : array-like of shape (n,) or None
    labeled : ndarray of shape (n,), bool, or None
        Which rows have a label; others get weight zero. None: all have one, or it is an error.

    Attributes
    ----------
    classes : ndarray of shape (C,)
    targets : ndarray of shape (n,), int
    sample_weight : ndarray of shape (n,) or None
        The given weights, with zero for rows without a label.
    weights : ndarray of shape (n,)
        Weights; after a pass, zero for images that could not be read.
    unreadable : ndarray of shape (n,), bool
        Which images could not be read; known after a pass.
    folds : ndarray of shape (n,), int
        The fold of each row; see :meth:`make_folds`.
    """

    def __init__(self, table, y, sample_weight, *, labeled=None):
        self._indices = _indices_of_names(y=y, sample_weight=sample_weight)
        y = column_of_labels(y)
        if len(y) != table.n_rows:
            raise ValueError(
                f"y has {len(y)} labels, but {table.name!r} has {table.n_rows} rows. Give one "
                "label for each image, in their order."
            )
        self.weights = np.ones(len(y))
        if sample_weight is not None:
            checked = check_weights(sample_weight, len(y))
            sample_weight = self.weights = scaled_shares(checked).copy()
        if labeled is not None and not labeled.all():
            y, sample_weight = _fill_missing_labels(y, labeled), self.weights
            sample_weight[~labeled] = 0
        self.sample_weight = sample_weight
        check_labels(y)
        self.classes, self.targets = np.unique(y, return_inverse=True)
        check_at_least_two(self.classes)
        self.unreadable, self.folds = np.zeros(len(y), bool), np.zeros(len(y), int)
        self._table, self._is_first_pass = table, True  # only the first pass checks names

    def set_weights(self, weights):
        """Set weights; leave out the classes in which no row has a weight, and warn of them."""
        seen = np.unique(self.targets[weights > 0])
        warn_of_unweighted_classes(np.delete(self.classes, seen))
        self.weights, self.classes = weights.astype(float), self.classes[seen]
        self.targets = np.searchsorted(seen, self.targets).clip(max=len(seen) - 1)

    @property
    def validation(self):
        """Positions of the validation rows, among those that have a weight."""
        weighted = np.flatnonzero(self.weights)
        return weighted[validation_rows(self.targets[weighted])]

    @property
    def labeled_targets(self):
        """The targets of rows that have a label and a weight; -1 for others."""
        return np.where(self.weights > 0, self.targets, -1)

    def one_row_per_class(self):
        """Return a row of zeros for each class: zero-shot heads do not use the values."""
        shape = len(self.classes), len(self._table.columns)
        return np.zeros(shape, np.float32), self.classes

    def make_folds(self):
        """Split the rows that have a weight into folds; return the rows that each holds out."""
        weighted = np.flatnonzero(self.weights)
        folds = default_folds(self.targets[weighted])
        self.folds[:] = len(folds)  # for rows that no fold holds out
        for fold, (train, _) in enumerate(folds):
            self.folds[np.delete(weighted, train)] = fold
        return [weighted[test] for _, test in folds]

    def read(self, estimator, sums, validation=(), keep=(), verbose=False):
        """Read all parts once; return the sums over rows that have a weight, and `KeptRows`.

        The estimator has the column names of the table, and is named in errors. `sums` is a list of
        `SumsOver`. `validation` and `keep` are positions of rows whose values are kept, if they can
        be read.

        Raise ImageError if no image that has a weight could be read, but others could; and
        ValueError if labels or weights are indexed by the names of the images, in another order.
        Warn if the mean of the weights is far from 1.
        """
        warn_of_weights(self.weights)
        keep, found = np.union1d(validation, keep).astype(int), None
        X = np.empty((len(keep), len(self._table.columns)), np.float32)
        tasks = self._table.map(
            _read_parts,
            lambda *rows: (estimator, sums, self._is_first_pass, *self._slices(keep, *rows)),
            verbose=verbose,
            desc="fitting",
        )
        images = np.empty(len(self.weights), object)
        codes = np.zeros(len(images), np.uint64)
        for start, stop, (of_parts, X_kept, unreadable, names, of_names) in tasks:
            images[start:stop], codes[start:stop] = names, of_names
            first, last = np.searchsorted(keep, [start, stop])
            X[first:last], self.unreadable[start:stop] = X_kept, unreadable
            if found is None:
                found = of_parts
            else:
                for one, other in zip(found, of_parts, strict=True):
                    one.merge(other)
        if self._is_first_pass:
            self._refuse_other_order(images)
            warn_of_text_order(images, self.targets)
            labels = self.classes.astype(object)[self.targets]
            labels[self.weights == 0] = None
            warn_of_named_files(images, labels, getattr(estimator, "class_names", None))
        self.weights[self.unreadable] = 0
        if self._is_first_pass:
            _warn_of_repeated_files(codes, np.flatnonzero(self.weights))
        self._is_first_pass = False
        if not self.weights.any() and not self.unreadable.all():
            raise ImageError("None of the images whose sample_weight is not zero can be read.")
        kept = np.flatnonzero(~self.unreadable[keep])
        keep = keep[kept]
        return found, KeptRows(keep, take_rows(X, kept), positions_in(keep, validation))

    def _refuse_other_order(self, images):
        import pandas as pd

        for name, index in self._indices.items():
            what, moved = in_other_order(pd.Index(images, dtype=object), index)
            if what is not None:
                row = int(np.argmax(moved))
                raise ValueError(
                    f"{name} is indexed by {index[row]!r} in row {row}, where the table has "
                    f"{images[row]!r}. Rows belong together by their position: "
                    + ("" if what == SAME_INDEX else "give it the same names, and ")
                    + f"pass {name}.loc[pandas.read_parquet(folder, columns=[]).index]."
                )

    def _slices(self, keep, start, stop):
        first, last = np.searchsorted(keep, [start, stop])
        kept = np.zeros(stop - start, bool)
        kept[keep[first:last] - start] = True
        rows = slice(start, stop)
        return self.targets[rows], self.weights[rows], self.folds[rows], kept


def _warn_of_repeated_files(codes, rows):
    """Warn of rows of the same file; `codes` has a number for each name, and `rows` are used."""
    _, first, place = np.unique(codes[rows], return_index=True, return_inverse=True)
    again = np.flatnonzero(first[place] != np.arange(len(rows)))
    if len(again):
        one, another = rows[first[place[again[0]]]], rows[again[0]]
        warn(
            f"{len(again)} of {len(codes)} rows are of a file that has an earlier row, such as row "
            f"{another}, which has that of row {one}. They count twice, and what learned from one "
            "is judged by the other. Name each file once in embed_to, or give these rows a "
            "sample_weight of 0."
        )


def _fill_missing_labels(y, labeled):
    """Return labels in which rows without a label get the first label."""
    labels = labels_of(y, labeled)
    filled = np.full(len(y), labels[0], dtype=labels.dtype)
    filled[labeled] = labels
    return filled


def _read_parts(table, parts, given):
    """Read parts; return sums, kept rows, which rows are unreadable, and image names."""
    from pandas.util import hash_array

    estimator, sums, asks_for_names, *arrays = given
    # Copies, since threads would add to the same sums.
    sums = [one._replace(sums=deepcopy(one.sums)) for one in sums]
    X_kept, unreadable, names, codes, first = [], [], [], [], parts[0][1]
    for part in parts:
        own = slice(part[1] - first, part[2] - first)
        targets, weights, folds, kept = (array[own] for array in arrays)
        frame = table.read(part)
        names.append(
            frame.index.to_numpy(object) if asks_for_names else np.empty(len(frame), object)
        )
        codes.append(hash_array(frame.index.to_numpy(object), categorize=False))
        unreadable.append(unreadable_rows(frame))
        X_kept.append(frame.to_numpy()[kept])
        some = ~unreadable[-1] & (weights > 0)
        if some.any():
            with table.naming(part):
                X = check_rows(estimator, frame if some.all() else frame[some])
                check_range(X, estimator.feature_names_in_)
            _add(sums, X, targets[some], weights[some].astype(X.dtype), folds[some])
    arrays = (np.concatenate(of_parts) for of_parts in (X_kept, unreadable, names, codes))
    return [one.sums for one in sums], *arrays


def _indices_of_names(**given):
    """Return the indices of the arguments that have one that can hold names, by argument."""
    indices = {name: names_of_rows(one) for name, one in given.items()}
    return {
        name: index
        for name, index in indices.items()
        if index is not None and index.nlevels == 1 and index.dtype.kind == "O"
    }


def _add(sums, X, targets, weights, folds):
    for one, columns, fold in sums:
        rows = slice(None) if fold is None else folds == fold
        one.add(X[rows][:, columns], targets[rows], weights[rows])

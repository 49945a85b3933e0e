"""Models of the other columns, for rows of a table that lack some of their images."""

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from .._utils._sklearn import safe_indexing
from .._utils._warnings import without_warnings

BY_SUBMODELS = "their rows are predicted from other columns"
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


class Submodel(NamedTuple):
    """A model for rows that lack some columns of images.

    Attributes
    ----------
    lacks : tuple of str
        Names of these columns, as the ColumnTransformer calls them.
    columns : ndarray of int
        Columns of the table that are left.
    model : BackbonePipeline
        Fitted on these columns.
    """

    lacks: tuple
    columns: np.ndarray
    model: Any

    def rows_in(self, unreadable):
        """Return which rows lack exactly these images."""
        lacking = [mask == (name in self.lacks) for name, mask in unreadable.items()]
        return np.all(lacking, axis=0)

    def table_of(self, table, rows):
        """Return the columns that are left of some rows."""
        return safe_indexing(safe_indexing(table, self.columns, axis=1), np.flatnonzero(rows))


def fit_submodels(places, unreadable, rest, table, fit):
    """Return a submodel for each combination of columns of images that a row may lack.

    Parameters
    ----------
    places : dict of str to slice
        Columns of the table that come of each column of images.
    unreadable : dict of str to ndarray of shape (n,), bool
        Which rows lack an image of each.
    rest : BackbonePipeline
        The steps that get the table, which are cloned.
    table : DataFrame of n rows
    fit : callable
        Takes a model, its table of n rows, and which rows it cannot learn from; fits the model.
    """
    found = []
    for n_lacking in range(1, len(places) + 1):
        for lacks in combinations(places, n_lacking):
            kept = np.ones(table.shape[1], bool)
            for name in lacks:
                kept[places[name]] = False
            if not kept.any():  # there is nothing but images
                continue
            columns = np.flatnonzero(kept)
            others = [mask for name, mask in unreadable.items() if name not in lacks]
            left_out = np.any(others, axis=0) if others else np.zeros(len(table), bool)
            model = clone(rest)
            # Other columns need not tell the classes apart.
            with without_warnings("guessing"):
                fit(model, safe_indexing(table, columns, axis=1), left_out)
            found.append(Submodel(lacks, columns, model))
    return found

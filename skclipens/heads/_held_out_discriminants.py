"""Held-out logits of discriminants, by leave-one-out or folds."""

import numpy as np

from .._utils._folds import held_out_rows
from .._utils._linalg import positions_in


class HeldOutDiscriminants:
    """Held-out logits of a discriminant, by leave-one-out if `folds` is None, or by folds.

    ``rows`` are the positions of the rows that have some.
    """

    def __init__(self, discriminant, folds):
        self.discriminant, self._parts = discriminant, None
        validation = discriminant.validation
        if folds is None:
            self.rows = validation[discriminant.can_be_held_out[validation]]
        else:
            self._parts = [
                (discriminant.subset(train), test[np.isin(test, validation)])
                for train, test in folds
            ]
            self.rows = np.unique(held_out_rows(self._parts))

    def logits(self, ridge_of, some=slice(None)):
        """Return held-out logits of ``rows``, or some; `ridge_of` maps discriminants to ridges."""
        rows, whole = self.rows[some], self.discriminant
        if self._parts is None:
            places = np.searchsorted(whole.validation, rows)
            return whole.lowest_where_unseen(whole.left_out(ridge_of(whole), places))
        logits = np.empty((len(rows), len(whole._means)), whole.X.dtype)
        for part, test in self._parts:
            coef, intercept = part.linear(ridge_of(part))
            mine = positions_in(rows, test)
            logits[mine] = part.lowest_where_unseen(whole.X[rows[mine]] @ coef.T + intercept)
        return logits

    def for_all_rows(self, logits):
        """Expand logits of ``rows`` to all rows, (n, C), zero elsewhere; also return the mask."""
        n_rows = len(self.discriminant.can_be_held_out)
        found, valid = np.zeros((n_rows, logits.shape[1]), logits.dtype), np.zeros(n_rows, bool)
        found[self.rows], valid[self.rows] = logits, True
        return found, valid

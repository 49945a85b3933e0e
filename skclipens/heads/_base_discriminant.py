"""What heads share that solve a linear discriminant."""

from functools import partial
from numbers import Real

import numpy as np

from .._utils._folds import FOLDS_CONSTRAINTS, few_shot_folds
from .._utils._positions import positions, refuse_shared
from .._utils._sklearn import Interval, StrOptions
from ._cross_fit import N_FOLDS, CrossFitTableHead
from ._discriminant import Discriminant, Rescaling
from ._held_out_discriminants import HeldOutDiscriminants
from ._ridge import needs_float64
from ._shrinkage import VARIANCES, is_tall, logits_at, search_shrinkage

# C of the logistic regression that replaces a discriminant of one row per class; None keeps the
# discriminant. Chosen in the same way as the constants of `_temperature`.
UNVALIDATED_C = 10.0


class BaseDiscriminantHead(CrossFitTableHead):
    """Base class of heads with the parameters ``shrinkage``, ``cv`` and ``rescale``."""

    _parameter_constraints: dict = {
        "shrinkage": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "cv": [None, *FOLDS_CONSTRAINTS],
        "rescale": [None, list],
    }
    _is_up_to_constant = True

    def _folds(self, X, targets, folds, groups):
        """Return the given folds, or those of ``cv`` and groups; None: leave out single rows."""
        if folds is not None or (self.cv is None and groups is None):
            return folds
        cv = N_FOLDS if self.cv is None else self.cv
        return few_shot_folds(targets, cv, groups=groups, random_state=0, X=X)

    def _coefficients(self, discriminant):
        """Return coefficients, (C, d), and intercepts, (C,), at the chosen shrinkage."""
        if self._is_logistic_regression(discriminant):
            return discriminant.logistic_regression(UNVALIDATED_C)
        return discriminant.linear(discriminant.ridge(self.shrinkage_))

    def _is_logistic_regression(self, discriminant):
        """Return whether a logistic regression replaces it, whose held-out logits are not known."""
        return UNVALIDATED_C and self.shrinkage == "auto" and discriminant.is_one_shot

    def _min_columns_of_copies(self, X):
        # Rows that validate less shrinkage must have no copies.
        return 1 if self.shrinkage == "auto" and is_tall(X) else super()._min_columns_of_copies(X)

    @property
    def _is_exact(self):
        return self.shrinkage != "auto" and needs_float64(self.shrinkage)

    def _maker(self, X, targets, weights):
        if self._is_exact:
            X = X.astype(np.float64)
            weights = None if weights is None else weights.astype(np.float64)
        return partial(Discriminant, X, targets, len(self.classes_), weights)

    def _rescaling(self, variance=1.0):
        """Return the blocks of columns to rescale, with the variance that each gets."""
        names, blocks = getattr(self, "feature_names_in_", None), {}
        for place, columns in enumerate(self.rescale or []):
            owner = f"rescale[{place}]"
            blocks[owner] = positions(columns, self.n_features_in_, names, owner)
        refuse_shared(blocks.items())
        return Rescaling(tuple(blocks.values()), variance)

    def _variances(self):
        """Return candidate variances of rescaled blocks; one if there are no other columns."""
        rescaled = {column for block in self._rescaling().blocks for column in block.tolist()}
        return VARIANCES if 0 < len(rescaled) < self.n_features_in_ else VARIANCES[:1]

    def _choose(self, make, folds, targets, weights):
        """Choose variance and shrinkage; return HeldOutDiscriminants and their logits."""

        def held_out_at(variance):
            return HeldOutDiscriminants(make(rescaling=self._rescaling(variance)), folds)

        if self.shrinkage == "auto":
            given = self._variances(), targets, weights, len(self.classes_)
            self.shrinkage_, *chosen = search_shrinkage(held_out_at, *given)
            return chosen
        self.shrinkage_, held_out = self.shrinkage, held_out_at(VARIANCES[0])
        return held_out, logits_at(held_out, self.shrinkage)

    def _logits_of(self, X):
        return X @ self.coef_.T + self.intercept_

    def _linear(self):
        """Return coefficients and intercept of centred logits, and False: rows are not scaled."""
        coef, intercept = (one.astype(np.float64) for one in (self.coef_, self.intercept_))
        centred = (coef - coef.mean(axis=0)).astype(self.coef_.dtype)
        return centred, intercept - intercept.mean(), False

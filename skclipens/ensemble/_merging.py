"""Merge linear experts with static weights into one matrix."""

from typing import NamedTuple

import numpy as np

from .._utils._linalg import slice_of, unit_rows
from ..heads._classifier import trait_of
from .routers import GeneticRouter, ShrunkRouter, StaticRouter, UniformRouter


class MergedExperts(NamedTuple):
    """Coefficients of the combined logits of an ensemble with static weights.

    Attributes
    ----------
    coef : ndarray of shape (C, n_features) or None
        Coefficients of the rows as they are.
    unit_coefs : list of (slice or ndarray of int, ndarray of shape (C, width))
        Coefficients of the columns of a block, whose rows are scaled to unit length.
    intercept : ndarray of shape (C,)
    others : list of (float, Expert)
        Experts with heads that are not linear, and their weights.
    """

    coef: np.ndarray | None
    unit_coefs: list
    intercept: np.ndarray
    others: list

    def logits(self, X, classes):
        """Return combined logits of shape (n, C), up to rounding."""
        found = self.intercept if self.coef is None else X @ self.coef.T + self.intercept
        for columns, coef in self.unit_coefs:
            found = found + unit_rows(X[:, columns]) @ coef.T
        for weight, expert in self.others:
            found = found + X.dtype.type(weight) * expert.logits(X, classes)
        return found.astype(X.dtype, copy=False)


def merge_experts(ensemble):
    """Return the merged experts of a fitted ensemble.

    None if weights differ between rows or no head is linear.
    """
    weights, classes = _weights_of_experts(ensemble), ensemble.classes_
    if weights is None or not any(_is_linear(expert, classes) for expert in ensemble.experts_):
        return None
    coef, intercept = None, ensemble._combination.weighted(np.zeros(len(classes)))
    unit_coefs, others, dtypes = {}, [], []
    for weight, expert in zip(weights, ensemble.experts_, strict=True):
        if not _is_linear(expert, classes):
            others.append((float(weight), expert))
            continue
        own, constant, reads_unit_rows = expert.head._linear()
        columns = expert.block.columns
        dtypes.append(own.dtype)
        intercept += weight * constant
        if reads_unit_rows:
            key = tuple(columns.tolist())
            unit_coefs[key] = unit_coefs.get(key, 0) + weight * own.astype(np.float64)
        else:
            coef = np.zeros((len(classes), ensemble.n_features_in_)) if coef is None else coef
            coef[:, columns] += weight * own
    dtype = np.result_type(*dtypes)
    return MergedExperts(
        None if coef is None else coef.astype(dtype),
        [(slice_of(np.array(c)), one.astype(dtype)) for c, one in unit_coefs.items()],
        intercept.astype(dtype),
        others,
    )


def _weights_of_experts(ensemble):
    """Return the experts' weights over their temperatures, or None if they depend on the row."""
    combination = ensemble._combination
    of_routed = _weights_of_all_rows(ensemble.router_, int(combination.routed.sum()))
    if of_routed is None:
        return None
    return combination.weights_of_all(of_routed) / ensemble.temperatures_


def _weights_of_all_rows(router, n_experts):
    """Return the weights of a static router, or None if they depend on the row."""
    router = router.chosen_ if type(router) is ShrunkRouter else router
    if type(router) is UniformRouter:
        return np.full(n_experts, 1 / n_experts)
    return router.weights_ if type(router) in (StaticRouter, GeneticRouter) else None


def _is_linear(expert, classes):
    is_linear = trait_of(expert.head, "_linear") is not None
    return is_linear and np.array_equal(expert.head.classes_, classes)

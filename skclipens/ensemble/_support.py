"""Rows out of distribution: unlike all that an ensemble was fitted on."""

from typing import NamedTuple

import numpy as np

from .._utils._linalg import unit_blocks
from ._suspect import some_rows

# Chosen on the sets of `benchmarks.paper` that choose, see docs/results/validation/shift.md.
LEAST_TRUST = 0.2
UNUSUAL = 0.05  # quantile of the training rows
_FEWEST, _MAX_SUPPORT, _MAX_REFERENCE = 6, 200, 1000  # rows


class Support(NamedTuple):
    """Training rows, and how like others of them they are.

    The likeness of two rows is the mean cosine of their blocks, that of a row to the training rows
    the largest of these [1]_. To be compared with, a training row has its likeness to those of
    other classes: those of its own may be other pictures of the same object.

    Attributes
    ----------
    blocks : list of ndarray of int
        Columns of each embedding.
    rows : ndarray of shape (m, width of the blocks)
        Training rows, each block of the same length.
    least, usual : float
        The smallest likeness of training rows, and their 5 % quantile.

    References
    ----------
    .. [1] After Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML 2022.
    """

    blocks: list
    rows: np.ndarray
    least: float
    usual: float

    def trust(self, X):
        """How far to trust what training rows have taught, for each row: from 0.2 to 1."""
        likeness = (unit_blocks(X, self.blocks) @ self.rows.T).max(axis=1)
        span = max(self.usual - self.least, np.finfo(X.dtype).eps)
        inside = np.clip((likeness - self.least) / span, 0, 1)
        return LEAST_TRUST + (1 - LEAST_TRUST) * inside


def find_support(experts, X, y):
    """The support of an ensemble of prompts and of heads that have learned from rows.

    Parameters
    ----------
    experts : list of Expert
    X : ndarray of shape (n, n_features)
    y : ndarray of shape (n,)

    Returns
    -------
    Support or None
        None where experts are all of one kind, no block is an embedding, or rows are few.
    """
    blocks = [part for expert in experts for part in expert.block.parts or [expert.block]]
    blocks = {one.name: one.columns for one in blocks if one.backbone is not None}
    kinds = {(expert.is_prompts, expert.learns) for expert in experts}
    if not blocks or not {(True, False), (False, True)} <= kinds:
        return None
    blocks = list(blocks.values())
    every = np.arange(len(X))
    reference, support = some_rows(every, _MAX_REFERENCE), some_rows(every, _MAX_SUPPORT)
    rows = unit_blocks(X[support], blocks)
    likeness = unit_blocks(X[reference], blocks) @ rows.T
    likeness[y[reference][:, None] == y[support]] = -np.inf
    likeness = likeness.max(axis=1)
    likeness = likeness[np.isfinite(likeness)]
    if len(likeness) < _FEWEST:  # the least of so few says little
        return None
    least, usual = np.quantile(likeness, (0, UNUSUAL))
    return Support(blocks, rows, float(least), float(usual))

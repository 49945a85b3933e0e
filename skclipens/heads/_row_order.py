"""Embeddings of one model that are of other pictures than those of the others."""

import numpy as np

from .._utils._linalg import subsample, take_columns, unit_rows
from .._utils._messages import listed
from .._utils._warnings import warn

_FEWEST, _ENOUGH = 50, 100  # rows
# Correlation of what two models find alike, in the mean over other models. On the sets of
# `benchmarks.paper` it is above 0.21, and of pictures of one class above 0.12; where the rows of
# one model are in another order, below 0.07 in 95 of 100 draws.
# `python -m benchmarks.doubts` measures how often right uses and mistakes are doubted.
_APART = 0.07


def warn_of_row_order(seen, X):
    """Warn of a model whose rows seem to be of other pictures than those of the others.

    Pictures that are alike to one model are mostly alike to another one, too.

    Parameters
    ----------
    seen : tuple of SeenBlock
    X : ndarray of shape (n, n_features)
        Of fewer than 50 rows, nothing can be said.

    Warns
    -----
    SuspectedMistakeWarning
        If what a model finds alike has nothing to do with what the others do. Names the models.
    """
    columns_of = {block.backbone: block.columns for block in seen if block.is_named}
    if len(columns_of) < 2 or len(X) < _FEWEST:
        return
    some = subsample(X, _ENOUGH)
    agreement = _agreement([take_columns(some, columns) for columns in columns_of.values()])
    apart = [name for name, found in zip(columns_of, agreement, strict=True) if found < _APART]
    if apart:
        others = [name for name in columns_of if name not in apart]
        what = f"other pictures than those of {listed(others)}" if others else "different pictures"
        warn(
            f"The rows of {listed(apart)} seem to be of {what}: what one model finds "
            "alike, another one does not. Embed the same pictures in the same order "
            "with all models, without a loader that shuffles, or join tables by their index.",
            doubt="rows of different pictures",
        )


def _agreement(tables):
    """Correlation of the products of each table's rows with those of the others, in the mean."""
    pairs = np.triu_indices(len(tables[0]), 1)
    with np.errstate(all="ignore"):  # of rows that are all the same, or not finite
        units = [unit_rows(rows - rows.mean(axis=0)) for rows in tables]
        correlations = np.corrcoef([(unit @ unit.T)[pairs] for unit in units])
    return (correlations.sum(axis=1) - 1) / (len(tables) - 1)

"""Search for the shrinkage of a discriminant by held-out log-loss."""

from operator import methodcaller

import numpy as np

from .._utils._copies import WIDE
from .._utils._folds import covers_most, stratified_rows
from .._utils._linalg import some_of, subsample
from ._temperature import calibrated_loss

DEFAULT_SHRINKAGE = 1.0
VARIANCES = (1.0, 10.0, 100.0)  # of blocks that are not embeddings
_MORE, _LESS = (3.0, 10.0, 30.0), (0.3, 0.1, 0.03, 0.01)
_ALIKE = 1e-3  # relative difference of losses
_ENOUGH = 2000  # rows to choose by
# With fewer rows for each of few columns, less shrinkage was worse on tables of scikit-learn. No
# program here repeats that.
_ROWS_PER_COLUMN = 5


def search_shrinkage(held_out_at, variances, targets, weights, n_classes):
    """Find the variance and shrinkage with the smallest log-loss.

    `held_out_at` maps a variance to `HeldOutDiscriminants`. Return the shrinkage, the discriminants
    with the chosen variance, and their logits of all held-out rows.
    """
    held_out = held_out_at(variances[0])
    if not covers_most(targets[held_out.rows], n_classes):
        return DEFAULT_SHRINKAGE, held_out, logits_at(held_out, DEFAULT_SHRINKAGE)
    some = stratified_rows(targets[held_out.rows], _ENOUGH)
    targets, weights = targets[held_out.rows[some]], some_of(weights, held_out.rows[some])
    less = _LESS if _may_shrink_less(held_out.discriminant) else ()
    found = []  # settings that may still be the best
    for variance in variances:
        if variance != variances[0]:
            held_out = held_out_at(variance)

        def loss_of(shrinkage, held_out=held_out):
            logits = logits_at(held_out, shrinkage, some)
            loss = calibrated_loss(logits, targets, weights)
            found.append((loss, shrinkage, held_out, logits))
            # Losses that differ by rounding alone must not decide.
            limit = min(loss for loss, *_ in found) * (1 + _ALIKE)
            found[:] = [one for one in found if one[0] <= limit]
            return loss

        _descend(loss_of, _MORE, less)
    _, shrinkage, held_out, logits = found[0]
    if len(some) < len(held_out.rows):
        logits = logits_at(held_out, shrinkage)
    return shrinkage, held_out, logits


def logits_at(held_out, shrinkage, some=slice(None)):
    """Return held-out logits, of all or some rows, at a shrinkage."""
    return held_out.logits(methodcaller("ridge", shrinkage), some)


def _may_shrink_less(discriminant):
    """Return whether rows outnumber columns; if these are few, distinct rows five times."""
    if discriminant.n_features < WIDE:
        return is_tall(discriminant.X_validation)
    return discriminant.n_rows > discriminant.n_features


def is_tall(X):
    """Return whether X has few columns, and for each of them five different rows."""
    enough = _ROWS_PER_COLUMN * X.shape[1]
    if X.shape[1] >= WIDE or len(X) <= enough:
        return False
    return len(np.unique(subsample(X), axis=0)) > enough


def _descend(loss_of, *sides):
    """Try the default shrinkage, then values on the first side on which the loss falls."""
    first = loss_of(DEFAULT_SHRINKAGE)
    for side in sides:
        last = first
        for shrinkage in side:
            loss = loss_of(shrinkage)
            if loss >= last:
                break
            last = loss
        if last < first:
            break

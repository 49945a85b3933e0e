"""Detect rows out of distribution, and blend their logits with zero-shot logits."""

from typing import NamedTuple

import numpy as np

from .._utils._folds import codes_of, stratified_rows
from .._utils._linalg import SOME_ROWS, mean_cosines, one_hot, unit_blocks, unit_rows
from ._experts import distinct_blocks

# Chosen on the validation sets of `benchmarks.paper`: see docs/results/validation/shift.md.
PROMPT_SHARE, CERTAINTY, LARGEST_FACTOR = 0.5, 0.5, 19.0
UNUSUAL = 0.05  # quantile of the training rows
_FEWEST = 6  # rows


class Support(NamedTuple):
    """Similarities of training rows to their mean, to find rows out of distribution.

    The similarity of two rows is the mean cosine of their blocks. A training row is compared with
    the mean of the other classes, since rows of its own may be pictures of the same object. Of more
    than 1,000 training rows, 1,000 count, of all classes.

    Attributes
    ----------
    blocks : list of ndarray of int
        Columns of each embedding.
    mean : ndarray of shape (width of the blocks,)
        Mean of the training rows, each block of the same length; of length one.
    least, usual : float
        The smallest similarity of a training row to the other classes, and the 5 % quantile.
    log_prior : ndarray of shape (C,)
        Logarithms of the shares of the classes among the training rows, which prompts do not know,
        less their mean.
    """

    blocks: list
    mean: np.ndarray
    least: float
    usual: float
    log_prior: np.ndarray

    def in_distribution(self, X):
        """Return 1 for rows at least as similar as `usual`, 0 below `least`, linear between."""
        similarity = mean_cosines(X, self.blocks, self.mean)
        span = max(self.usual - self.least, np.finfo(X.dtype).eps)
        return np.clip((similarity - self.least) / span, 0, 1)


def find_support(experts, X, y, classes, sample_weight=None):
    """Return the support of an ensemble of zero-shot heads and heads that learn.

    `classes` are all that experts know. None if experts are all of one kind, no block is an
    embedding, or rows are few.
    """
    blocks = [one.columns for one in distinct_blocks(experts) if one.backbone is not None]
    are_both = any(one.is_zero_shot for one in experts) and any(one.learns for one in experts)
    if not blocks or not are_both or len(X) < _FEWEST:
        return None
    some = stratified_rows(y, SOME_ROWS)
    rows, targets = unit_blocks(X[some], blocks), codes_of(y[some])
    if not targets.any():
        return None
    total = rows.sum(axis=0)
    of_classes = one_hot(targets, targets.max() + 1).T @ rows
    others = unit_rows((total - of_classes).astype(X.dtype))
    similarity = np.einsum("nj,nj->n", rows, others[targets])
    least, usual = np.quantile(similarity, (0, UNUSUAL))
    mean = unit_rows(total[None])[0]
    return Support(blocks, mean, float(least), float(usual), _log_prior(y, classes, sample_weight))


def _log_prior(y, classes, sample_weight):
    """Return centred log shares of classes; a class without rows gets the smallest."""
    shares = np.bincount(np.searchsorted(classes, y), sample_weight, minlength=len(classes))
    log_shares = np.log(np.maximum(shares, shares[shares > 0].min()))
    return log_shares - log_shares.mean()


def blend_weights(in_distribution, combined, zero_shot):
    """Return the weights of the combined logits, of the zero-shot logits, and of the log priors.

    Within the support, the combined logits have all of the weight. Outside, zero-shot logits are
    scaled to the same spread and count as much: heads that learn are overconfident about such rows,
    and no fixed weight suits prompts that were calibrated on other rows. The factor is bounded, so
    meaningless prompts, whose logits have little spread, count less. Prompts do not know how
    frequent classes are, so the priors are added to their half. Both halves together are half as
    confident as the combined logits.

    Parameters
    ----------
    in_distribution : ndarray of shape (n,)
    combined, zero_shot : ndarray of shape (n, C)
        Combined logits of all experts, and mean logits of the zero-shot heads.

    Returns
    -------
    weights : tuple of three ndarrays of shape (n, 1)
    """
    spread, zero_shot_spread = combined.std(axis=1), zero_shot.std(axis=1)
    factor = np.full_like(spread, LARGEST_FACTOR)
    np.divide(
        spread, zero_shot_spread, out=factor, where=spread < LARGEST_FACTOR * zero_shot_spread
    )
    outside = CERTAINTY * (1 - in_distribution)
    prior = outside * PROMPT_SHARE
    weights = in_distribution + outside - prior, factor * prior, prior
    return tuple(one[:, None].astype(combined.dtype, copy=False) for one in weights)

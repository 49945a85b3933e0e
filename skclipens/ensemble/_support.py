"""Rows out of distribution: unlike all that an ensemble was fitted on."""

from typing import NamedTuple

import numpy as np

from .._utils._folds import codes_of
from .._utils._linalg import mean_cosines, one_hot, subsample, unit_blocks, unit_rows
from ._experts import distinct_blocks

# Chosen on the sets of `benchmarks.paper` that choose, see docs/results/validation/shift.md.
PROMPT_SHARE, CERTAINTY, LARGEST_FACTOR = 0.5, 0.5, 19.0
UNUSUAL = 0.05  # quantile of the training rows
_FEWEST = 6  # rows


class Support(NamedTuple):
    """How like their mean training rows are, to tell which rows are out of distribution.

    The likeness of two rows is the mean cosine of their blocks. A training row is compared with
    the mean of those of other classes: those of its own may be other pictures of the same object.

    Attributes
    ----------
    blocks : list of ndarray of int
        Columns of each embedding.
    mean : ndarray of shape (width of the blocks,)
        Mean of the training rows, each block of the same length; of length one.
    least, usual : float
        The smallest likeness of training rows, and their 5 % quantile.
    log_prior : ndarray of shape (C,)
        Logarithms of the shares of the classes among the training rows, of which prompts say
        nothing.
    """

    blocks: list
    mean: np.ndarray
    least: float
    usual: float
    log_prior: np.ndarray

    def in_distribution(self, X):
        """How far each row is within what training rows cover: 1 if usual, 0 if less than all."""
        likeness = mean_cosines(X, self.blocks, self.mean)
        span = max(self.usual - self.least, np.finfo(X.dtype).eps)
        return np.clip((likeness - self.least) / span, 0, 1)


def find_support(experts, X, y, classes, sample_weight=None):
    """The support of an ensemble of prompts and of heads that have learned from rows.

    Parameters
    ----------
    experts : list of Expert
    X : ndarray of shape (n, n_features)
    y : ndarray of shape (n,)
    classes : ndarray of shape (C,)
        All classes that experts know.
    sample_weight : ndarray of shape (n,) or None

    Returns
    -------
    Support or None
        None where experts are all of one kind, no block is an embedding, or rows are few.
    """
    blocks = [one.columns for one in distinct_blocks(experts) if one.backbone is not None]
    kinds = {(expert.is_prompts, expert.learns) for expert in experts}
    if not blocks or not {(True, False), (False, True)} <= kinds or len(X) < _FEWEST:
        return None
    rows, targets = unit_blocks(subsample(X), blocks), codes_of(subsample(y))
    if not targets.any():
        return None
    total = rows.sum(axis=0)
    of_classes = one_hot(targets, targets.max() + 1).T @ rows
    others = unit_rows((total - of_classes).astype(X.dtype))
    likeness = np.einsum("nj,nj->n", rows, others[targets])
    least, usual = np.quantile(likeness, (0, UNUSUAL))
    mean = unit_rows(total[None])[0]
    return Support(blocks, mean, float(least), float(usual), _log_prior(y, classes, sample_weight))


def _log_prior(y, classes, sample_weight):
    """Logarithms of the shares of classes, centred; one without rows has the smallest."""
    shares = np.bincount(np.searchsorted(classes, y), sample_weight, minlength=len(classes))
    log_shares = np.log(np.maximum(shares, shares[shares > 0].min()))
    return log_shares - log_shares.mean()


def blend_with_prompts(in_distribution, combined, of_prompts):
    """Weights of what all experts say together, of what prompts say alone, and of the priors.

    Within the support all experts have all of the weight. Outside, prompts have an equal say, by
    logits that are scaled to the same spread: heads that have learned are surer of such rows than
    they should be, and as prompts were calibrated on other rows, no one weight would do. Prompts
    that mean nothing have next to no spread, and would need a larger factor than they get to have
    an equal say. As they do not know how frequent classes are, their half gets the priors. Both
    together are half as sure as all experts are.

    Parameters
    ----------
    in_distribution : ndarray of shape (n,)
    combined, of_prompts : ndarray of shape (n, C)
        Logits of all experts, and of prompts alone.

    Returns
    -------
    weights : tuple of three ndarrays of shape (n, 1)
    """
    spread, of_their_own = combined.std(axis=1), of_prompts.std(axis=1)
    factor = np.full_like(spread, LARGEST_FACTOR)
    np.divide(spread, of_their_own, out=factor, where=spread < LARGEST_FACTOR * of_their_own)
    outside = CERTAINTY * (1 - in_distribution)
    prior = outside * PROMPT_SHARE
    weights = in_distribution + outside - prior, factor * prior, prior
    return tuple(one[:, None].astype(combined.dtype, copy=False) for one in weights)

"""Estimate the temperature of prompts from the agreement of backbones, without labels."""

import numpy as np

from .._utils._linalg import some_of, subsample, total_weight

# Chosen on the validation sets, with their own names and with names that mean nothing.
_POWER = 4
_PRIOR_MEAN, _PRIOR_COUNT = 0.5, 4  # prior agreement, and the number of values that it counts as
_SMALLEST = 0.05


def expected_inverse(heads, logits, sample_weight=None):
    r"""Return the expected inverse temperature of prompts, from the agreement of backbones.

    If prompts describe the pictures, different backbones give similar logits; if names mean
    nothing, the logits differ. With :math:`\rho` the mean correlation of the logits of two
    backbones, :math:`\rho^4` was a good inverse temperature on validation sets.

    Parameters
    ----------
    heads : list of ZeroShotHead
        Fitted heads. Only the first head of each backbone counts.
    logits : list of ndarray of shape (n, C)
        Logits of each head, in the scale that its backbone was trained with.
    sample_weight : ndarray of shape (n,) or None

    Returns
    -------
    float or None
        None if there are fewer than two backbones.
    """
    of_backbones = {}
    for head, of_head in zip(heads, logits, strict=True):
        of_backbones.setdefault(head._backbone().name, of_head)
    logits = list(of_backbones.values())
    if len(logits) < 2:
        return None
    n_classes, rows = logits[0].shape[1], sample_rows(len(logits[0]), sample_weight)
    weights = some_of(sample_weight, rows)
    values = np.stack([_centred_vector(one[rows], weights) for one in logits])
    with np.errstate(all="ignore"):  # the logits of a head may be all the same
        correlations = np.nan_to_num(np.corrcoef(values))
    agreement = correlations[~np.eye(len(values), dtype=bool)].mean()
    n_free = max(total_weight(logits[0], sample_weight) - 1, 0) * (n_classes - 1)
    agreement = (n_free * agreement + _PRIOR_COUNT * _PRIOR_MEAN) / (n_free + _PRIOR_COUNT)
    return float(max(agreement, _SMALLEST) ** _POWER)


def sample_rows(n, sample_weight):
    """Return positions of a sample of the n rows that have a weight, to measure agreement on."""
    return subsample(np.arange(n) if sample_weight is None else np.flatnonzero(sample_weight))


def _centred_vector(logits, weights):
    """Return centred logits as one vector, each row times the square root of its weight."""
    logits = logits - logits.mean(axis=1, keepdims=True, dtype=np.float64)
    return (logits if weights is None else logits * np.sqrt(weights)[:, None]).ravel()

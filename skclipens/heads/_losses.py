"""Log-loss and cross-entropy of logits."""

import numpy as np
from scipy.special import log_softmax

from .._utils._linalg import row_batches

VALUES_IN_CACHE = 2**16


def log_loss(logits, targets, sample_weight=None, temperature=1.0):
    """Return the summed negative log-likelihood of the true classes, given by their positions.

    Logits, (n, C), are divided by the temperature.
    """
    true = log_proba_of(logits, targets, temperature)
    return -float(true.sum() if sample_weight is None else true @ sample_weight)


def log_proba_of(logits, targets, temperature=1.0):
    """Return the log-probability of one class per row, given by its position, (n,)."""
    found = np.zeros(len(targets), logits.dtype)
    for rows in row_batches(*logits.shape, values=VALUES_IN_CACHE):
        z = scaled_logits(logits[rows], temperature)
        true = z[np.arange(len(z)), targets[rows]]
        with np.errstate(under="ignore"):
            found[rows] = true - np.log(row_sums(np.exp(z, out=z)))
    return found


def scaled_logits(logits, scale):
    """Return logits divided by a scale, shifted so that the largest of each row is zero."""
    logits = logits / logits.dtype.type(scale)
    logits -= logits.max(axis=1, keepdims=True)  # does not change the softmax
    return logits


def row_sums(values):
    """Return the sums of rows; for short rows several times faster than ``values.sum``."""
    return values @ np.ones(values.shape[1], values.dtype)


def cross_entropy(logits, targets, sample_weight=None):
    """Return the mean cross-entropy of logits of shape (n, C), and its gradient."""
    rows = np.arange(len(targets))
    log_p = log_softmax(logits, axis=1)
    slope = np.exp(log_p)
    slope[rows, targets] -= 1
    losses = log_p[rows, targets].astype(np.float64)
    loss = -np.average(losses, weights=sample_weight)
    if sample_weight is None:
        return loss, slope / len(targets)
    return loss, slope * (sample_weight / sample_weight.sum())[:, None].astype(slope.dtype)


def summed_cross_entropy(logits, targets, weights):
    """Return the weighted sum of the cross-entropy, and its gradient, which overwrites the logits.

    Faster than :func:`cross_entropy`, for parts of many rows.
    """
    own = np.arange(len(targets)), targets
    logits -= logits.max(axis=1, keepdims=True)
    true = logits[own]
    np.exp(logits, out=logits)
    sums = row_sums(logits)
    loss = float(weights @ (np.log(sums) - true))
    logits *= (weights / sums)[:, None]
    logits[own] -= weights
    return loss, logits

"""Temperature scaling: one positive number per expert that makes its logits comparable."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from .._utils._linalg import row_batches, total_weight

# Of what no row can judge, as with one row per class: how far its logits are put apart, and what
# corrections of prompts are divided by. Both depend on what the rows say of the prompts, and were
# chosen at one shot on the validation sets, with 5 draws. The variants "one shot" of the ablation
# in benchmarks/paper measure what was and what is near: nothing in between can be told apart.
UNJUDGED_SPREAD, UNJUDGED_POWER = 0.6, 8
UNJUDGED_TEMPERATURES, UNJUDGED_SLOPE = (0.2, 0.75), 3.0

_LOG_TEMPERATURE_BOUNDS = (-7.0, 7.0)
_SMALLEST_SPREAD = 1e-12


def fit_temperature(logits, y, offset=0.0, sample_weight=None):
    """Temperature that minimises the negative log-likelihood of held-out logits [1]_.

    Where few rows are all classified rightly, the likelihood alone would drive the temperature to
    zero. As in Platt's calibration [2]_, the targets are therefore smoothed: the true class has
    probability (n + 1) / (n + 2), the others share the rest.

    Parameters
    ----------
    logits : ndarray of shape (n, C)
    y : ndarray of shape (n,), int
        Positions of the true classes.
    offset : float or ndarray of shape (n, C), default=0.0
        Logits that are added to those divided by the temperature.
    sample_weight : ndarray of shape (n,) or None

    Returns
    -------
    float

    References
    ----------
    .. [1] Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
    .. [2] Platt, "Probabilistic outputs for support vector machines", 1999, section 2.2.
    """
    # Relative to the spread of the logits, so that the bounds suit heads of any scale.
    scale = _spread(logits, sample_weight)
    if scale < _SMALLEST_SPREAD:  # all temperatures fit logits that favour no class
        return 1.0
    logits = logits / logits.dtype.type(scale)
    logits -= logits.max(axis=1, keepdims=True)  # which no softmax depends on
    smoothing = 1 / (total_weight(y, sample_weight) + 2)
    # The loss is a log-sum-exp less what is linear in 1 / temperature, up to a constant.
    slope = np.average(_smoothed(logits, y, smoothing), weights=sample_weight)
    scores = np.empty(np.broadcast_shapes(np.shape(offset), logits.shape), logits.dtype)

    def loss(log_temperature):
        inverse = np.exp(-log_temperature)
        np.multiply(logits, logits.dtype.type(inverse), out=scores)
        sums = _log_sum_exp(scores, offset)
        return np.average(sums, weights=sample_weight) - inverse * slope

    found = minimize_scalar(loss, bounds=_LOG_TEMPERATURE_BOUNDS, method="bounded")
    return scale * float(np.exp(found.x))


def _smoothed(logits, y, smoothing):
    """Mean of each row's logits under its smoothed target, float64."""
    true = logits[np.arange(len(y)), y].astype(np.float64)
    others = logits.sum(axis=1, dtype=np.float64) - true
    return (1 - smoothing) * true + smoothing * others / max(logits.shape[1] - 1, 1)


def _log_sum_exp(scores, offset):
    """Log-sum-exp of each row, float64, of scores whose largest is 0, and an offset."""
    largest = 0.0
    if np.ndim(offset):
        scores += offset
        largest = scores.max(axis=1)
        scores -= largest[:, None]
    np.exp(scores, out=scores)
    return np.log(scores.sum(axis=1, dtype=np.float64)) + largest


def log_loss(logits, y, sample_weight=None, temperature=1.0):
    """Summed negative log-likelihood of the true classes.

    Parameters
    ----------
    logits : ndarray of shape (n, C)
    y : ndarray of shape (n,), int
        Positions of the true classes.
    sample_weight : ndarray of shape (n,) or None
    temperature : float, default=1.0
        What logits are divided by.

    Returns
    -------
    float
    """
    true = _log_proba_of(y, logits, temperature)
    return -float(true.sum() if sample_weight is None else true @ sample_weight)


def _log_proba_of(y, logits, temperature=1.0):
    """Logarithms of the probabilities of classes, by their positions, (n,)."""
    parts = [
        log_softmax(logits[rows] / temperature, axis=1)[np.arange(len(y[rows])), y[rows]]
        for rows in row_batches(len(y), logits.shape[1])
    ]
    return np.concatenate(parts) if parts else np.zeros(0, logits.dtype)


def calibrated_loss(logits, y, sample_weight=None):
    """Log-loss of held-out logits once they are calibrated, to compare heads of any scale."""
    temperature = fit_temperature(logits, y, sample_weight=sample_weight)
    return log_loss(logits, y, sample_weight, temperature)


def _spread(logits, sample_weight):
    variances = [logits[rows].var(axis=1) for rows in row_batches(*logits.shape)]
    return float(np.sqrt(np.average(np.concatenate(variances), weights=sample_weight)))


def surprise(logits, y, sample_weight=None):
    """Log-loss of logits over that of guessing, at most 1: 0 where they know all, 1 where nothing.

    Parameters
    ----------
    logits : ndarray of shape (n, C)
    y : ndarray of shape (n,), int
    sample_weight : ndarray of shape (n,) or None

    Returns
    -------
    float
    """
    of_rows = -_log_proba_of(y, logits)
    loss = np.average(of_rows, weights=sample_weight)
    return float(min(loss / np.log(logits.shape[1]), 1.0))


def unjudged_temperature(logits, y, sample_weight=None):
    """What a correction that no row can judge is divided by, given the logits that it corrects.

    The less they know of the rows, the more is left to the correction.

    Returns
    -------
    float
    """
    low, high = UNJUDGED_TEMPERATURES
    known = 1 - surprise(logits, y, sample_weight)
    return min(low + UNJUDGED_SLOPE * known, high)


def unjudged_spread(surprise_of_others):
    """How far apart the logits are put of what no row can judge.

    The less the other experts know together, in the sense of :func:`surprise`, the farther.
    """
    return UNJUDGED_SPREAD * surprise_of_others**UNJUDGED_POWER


def fixed_temperature(logits, spread):
    """Temperature for logits of shape (n, C) that no row can judge: it gives them a fixed spread.

    Parameters
    ----------
    logits : ndarray of shape (n, C)
    spread : float
        Standard deviation over classes, in the mean over rows.

    Returns
    -------
    float
    """
    of_rows = [logits[rows].std(axis=1) for rows in row_batches(*logits.shape)]
    return float(np.concatenate(of_rows).mean()) / spread or 1.0

"""Temperature scaling of logits, with fixed values without validation rows."""

import numpy as np

from .._utils._folds import covers_most
from .._utils._linalg import row_batches, some_of, take_rows, total_weight
from ._losses import VALUES_IN_CACHE, log_loss, log_proba_of, row_sums, scaled_logits

# Used without validation rows, as with one row per class; chosen on validation sets with 5 to 20
# draws. The variants "one shot" of the ablation in benchmarks/paper measure other values.
# - Spread of the logits of a head: the first times relative log-loss ** the second.
# - Range of the temperature of a correction of prompts, and its slope in 1 - relative log-loss.
# - Share of this spread that the logits of a head on numbers beside pictures may have in rows whose
#   columns are shuffled. Trees on one column agree in any row, and nothing shows if they are right.
# - Number of parameters that count as fitted on the rows of this log-loss: a temperature, and the
#   weights.
UNVALIDATED_SPREAD, UNVALIDATED_POWER = 1.0, 2
UNVALIDATED_TEMPERATURES, UNVALIDATED_SLOPE = (0.2, 0.75), 3.0
UNVALIDATED_FITTED = 2
MOST_SURE_OF_SHUFFLED = 0.3

# Largest rate and shape of the gamma prior of an inverse temperature: the rate pulls it down, by
# the same at any temperature, and the shape pulls its logarithm up; chosen on the validation sets.
PRIOR_RATE, PRIOR_SHAPE = 8.0, 0.5

_LOG_INVERSE_BOUNDS = (-7.0, 7.0)
_MAX_STEPS, _TOLERANCE = 100, 1e-4  # the error is about the square of the last step
_MANY_ROWS, _PART = 4096, 16
_SMALLEST_SPREAD = 1e-12


def fit_temperature(logits, targets, *, sample_weight=None, offset=None, expected=None):
    """Fit the temperature that minimises the negative log-likelihood of held-out logits [1]_.

    If few rows are all classified correctly, the likelihood alone would drive the temperature to
    zero. As in Platt's calibration [2]_, the targets are therefore smoothed: the true class has
    probability (n + 1) / (n + 2), the others share the rest.

    If `expected` is given, the inverse temperature has a gamma prior with this mode. The prior has
    little influence if there are more than a few rows.

    Parameters
    ----------
    logits : ndarray of shape (n, C)
    targets : ndarray of shape (n,), int
        Positions of the true classes.
    sample_weight : ndarray of shape (n,) or None
    offset : ndarray of shape (n, C) or None
        Logits that are added to those divided by the temperature.
    expected : float or None
        Inverse temperature that is expected before labels are known; None for no prior.

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
    if scale < _SMALLEST_SPREAD:  # the logits favour no class, so any temperature will do
        return 1.0
    n_rows = total_weight(targets, sample_weight)
    smoothing = 1 / (n_rows + 2)
    batches = row_batches(*logits.shape, values=VALUES_IN_CACHE)
    offsets = [some_of(offset, rows) for rows in batches]
    scaled = [scaled_logits(logits[rows], scale) for rows in batches]
    of_batches = zip(scaled, batches, strict=True)
    smoothed = [_smoothed(z, targets[rows], smoothing) for z, rows in of_batches]
    target_mean = np.average(np.concatenate(smoothed), weights=sample_weight)
    rate = shape = 0.0
    if expected is not None:
        rate = min(PRIOR_RATE, PRIOR_SHAPE / expected) / scale / n_rows
        shape = rate * scale * expected

    def derivatives(log_inverse):
        inverse = np.exp(log_inverse)
        moments = [_moments(*one, inverse) for one in zip(scaled, offsets, strict=True)]
        mean, variance = np.average(np.hstack(moments), axis=1, weights=sample_weight)
        of_prior = shape / inverse
        return mean - target_mean + rate - of_prior, inverse * variance + of_prior

    start = np.log(scale / _coarse_temperature(scale, logits, targets, offset, sample_weight))
    return scale * float(np.exp(-_find_zero(derivatives, *_LOG_INVERSE_BOUNDS, start)))


def _coarse_temperature(scale, logits, targets, offset, sample_weight):
    """Fit the temperature of a part of many rows, as the start of the search on all rows."""
    part = slice(None, None, _PART)
    weights, offset = some_of(sample_weight, part), some_of(offset, part)
    if len(targets) < _MANY_ROWS or (weights is not None and not weights.any()):
        return scale
    return fit_temperature(logits[part], targets[part], sample_weight=weights, offset=offset)


def _smoothed(logits, targets, smoothing):
    """Return the mean of each row's logits under its smoothed target, float64."""
    true = logits[np.arange(len(targets)), targets].astype(np.float64)
    others = logits.sum(axis=1, dtype=np.float64) - true
    return (1 - smoothing) * true + smoothing * others / max(logits.shape[1] - 1, 1)


def _moments(logits, offset, inverse):
    """Return the mean and variance of each row's logits under the softmax, (2, n), float64.

    The softmax is that of logits times ``inverse``, plus the offset. If the offset is None, the
    largest logit of each row must be zero.
    """
    p = logits * logits.dtype.type(inverse)
    if offset is not None:
        p += offset
        p -= p.max(axis=1, keepdims=True)
    np.exp(p, out=p)
    sums = []
    for _ in range(3):
        sums.append(row_sums(p).astype(np.float64))
        p *= logits
    total, of_logits, of_squares = sums
    mean = of_logits / total
    return np.stack([mean, of_squares / total - mean**2])


def _find_zero(function, low, high, start):
    """Find the zero of an increasing function, or the bound that is nearest to it.

    By Newton's method, which SciPy does not offer with bounds: the function returns value and
    derivative. If a step leads to a bound that was evaluated before, the middle between the bounds
    is next.
    """
    at, known = min(max(start, low), high), set()
    for _ in range(_MAX_STEPS):
        value, derivative = function(at)
        low, high = (at, high) if value < 0 else (low, at)
        known.add(at)
        step = value / derivative if derivative > 0 else np.copysign(np.inf, value)
        then = min(max(at - step, low), high)
        if abs(then - at) < _TOLERANCE:
            return then
        at = (low + high) / 2 if then in known else then
    return at


def calibrated_loss(logits, targets, sample_weight=None):
    """Return the log-loss of held-out logits after calibration, to compare heads of any scale."""
    temperature = fit_temperature(logits, targets, sample_weight=sample_weight)
    return log_loss(logits, targets, sample_weight, temperature)


def _spread(logits, sample_weight):
    variances = [logits[rows].var(axis=1) for rows in row_batches(*logits.shape)]
    return float(np.sqrt(np.average(np.concatenate(variances), weights=sample_weight)))


def relative_log_loss(logits, targets, sample_weight=None, n_fitted=0):
    """Return the log-loss of logits over that of guessing, at most 1; 0 is perfect.

    If `n_fitted` parameters were fitted on these rows, the log-loss of new rows, summed over all
    rows, is larger by about one for each (Akaike, "A new look at the statistical model
    identification", 1974).
    """
    losses = -log_proba_of(logits, targets)
    loss = np.average(losses, weights=sample_weight)
    loss += n_fitted / total_weight(targets, sample_weight)
    return float(min(loss / np.log(logits.shape[1]), 1.0))


def correction_temperature(correction, rows, logits, targets, sample_weight):
    """Fit the temperature by which a correction of logits is divided; also return its rows.

    `correction` has the held-out corrections of `rows`. The returned rows are the validation rows:
    none if `rows` cover at most half of the classes.
    """
    if not covers_most(targets[rows], logits.shape[1]):
        return _unvalidated_temperature(logits, targets, sample_weight), rows[:0]
    options = {"sample_weight": some_of(sample_weight, rows), "offset": take_rows(logits, rows)}
    return fit_temperature(correction, targets[rows], **options), rows


def _unvalidated_temperature(logits, targets, sample_weight):
    """Return a fixed temperature: the larger the log-loss of the logits, the smaller it is."""
    low, high = UNVALIDATED_TEMPERATURES
    known = 1 - relative_log_loss(logits, targets, sample_weight, UNVALIDATED_FITTED)
    return min(low + UNVALIDATED_SLOPE * known, high)


def unvalidated_spread(logits, targets, sample_weight=None):
    """Return the spread for logits of experts without validation rows.

    It grows with the log-loss of `logits`, the combined logits of the other experts.
    """
    relative_loss = 1.0
    if len(targets):
        relative_loss = relative_log_loss(logits, targets, sample_weight, UNVALIDATED_FITTED)
    return UNVALIDATED_SPREAD * relative_loss**UNVALIDATED_POWER


def fixed_temperature(logits, spread, shuffled=None):
    """Return the temperature that gives logits of shape (n, C) a fixed spread.

    It is the mean over rows of the standard deviation over classes. 0: the temperature is infinite.
    With logits of rows whose columns are shuffled, the temperature is larger if the spread of these
    would be more than a share of it.
    """
    if not spread:
        return np.inf
    width = _spread_of(logits)
    if shuffled is not None:
        width = max(width, _spread_of(shuffled) / MOST_SURE_OF_SHUFFLED)
    return width / spread or 1.0


def _spread_of(logits):
    spreads = [logits[rows].std(axis=1) for rows in row_batches(*logits.shape)]
    return float(np.concatenate(spreads).mean())

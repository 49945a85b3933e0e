"""Intervals of accuracies and differences, by a bootstrap over test images and draws."""

import numpy as np
from scipy.stats import t as student

N_REPLICATES = 1000
LEVEL = 0.95
_MAX_COUNTS = 5_000_000  # replicates x images at once: some 100 MB


def crossed_bootstrap(values, tested=None, *, n_replicates=N_REPLICATES, random_state=0):
    """Return bootstrap replicates of a mean over draws of means over test images.

    Draws and images are both resampled with replacement, independently of each other ("pigeonhole
    bootstrap", Owen 2007, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2)). An image
    that is resampled twice counts twice in every draw that tests it. So effects that an image has
    in all draws, or a draw in all images, are kept. All values share the same replicates, so that
    differences of two systems are paired. Of D draws, D - 1 are resampled, since D of few would
    vary too little (Rao and Wu 1988, Journal of the American Statistical Association 83(401)).

    In simulations of 10 and 20 draws, percentile intervals of 95% contained the true value in 94 to
    95% of cases if images differ more than draws, in 90 to 95% if draws differ more, and in 99% if
    neither has an effect of its own. With three draws it was 92 to 96% if images differ more. If
    draws differ more, they are too narrow with few draws: 56 to 75% with two, 78 to 85% with three,
    87 to 90% with five; see :func:`few_draws_interval`. With five folds, each of which tests other
    images, it was 99%: folds differ by their images, which count twice. A single draw is not
    resampled: the interval is over images, for this draw.

    Parameters
    ----------
    values : array-like of shape (..., D, N)
        The values to average, of D draws and N images: 1 if a system is right and 0 if it is
        wrong, or the difference of two systems. Where images are resampled in groups, such as
        those of a patient, N is the number of groups, and values are sums over their images.
    tested : array-like of shape (D, N), bool or number, default=None
        Which images a draw tests, or how many of each group, or the sum of their weights. They are
        matched over draws by their position. None: all.
    n_replicates : int
    random_state : int

    Returns
    -------
    ndarray of shape (..., n_replicates)
    """
    values = np.asarray(values, np.float32)
    n_draws, n_images = values.shape[-2:]
    tested = np.ones((n_draws, n_images)) if tested is None else np.asarray(tested)
    values = np.where(tested, values, 0)
    rng = np.random.default_rng(random_state)
    at_once = max(_MAX_COUNTS // n_images, 1)
    starts = range(0, n_replicates, at_once)
    sizes = [min(at_once, n_replicates - start) for start in starts]
    return np.concatenate([_replicates(values, tested, rng, n) for n in sizes], axis=-1)


def _replicates(values, tested, rng, n_replicates):
    n_draws, n_images = tested.shape
    images = _counts(rng, n_replicates, n_images, n_images)
    draws = _counts(rng, n_replicates, n_draws, max(n_draws - 1, 1))
    sizes = images @ tested.T.astype(np.float32)
    sums = values @ images.T  # (..., D, B)
    # If no image of a small draw is resampled, the draw is ignored.
    draws = np.where(sizes > 0, draws, 0).T
    means = sums / np.where(sizes > 0, sizes, 1).T
    total = draws.sum(axis=0)
    replicates = np.einsum("...db,db->...b", means, draws) / np.maximum(total, 1)
    return np.where(total > 0, replicates, mean_of(values, tested)[..., None])


def _counts(rng, n_replicates, n, size):
    """Return counts of n items among ``size`` picks with replacement, (n_replicates, n)."""
    drawn = rng.integers(n, size=(n_replicates, size))
    drawn += n * np.arange(n_replicates)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=n_replicates * n)
    return counts.reshape(n_replicates, n).astype(np.float32)


def mean_of(values, tested=None):
    """Return the mean over draws of means over the images they test, (..., D, N) to (...)."""
    values = np.asarray(values, float)
    tested = np.ones(values.shape[-2:]) if tested is None else np.asarray(tested)
    return (np.where(tested, values, 0).sum(axis=-1) / tested.sum(axis=-1)).mean(axis=-1)


def ends(replicates):
    """Return the ends of the 95% percentile interval, (..., B) to two arrays of shape (...)."""
    tail = (1 - LEVEL) / 2
    return tuple(np.quantile(replicates, [tail, 1 - tail], axis=-1))


def paired_interval(ours, theirs, tested=None, **options):
    """Return the difference in accuracy of two systems, and the ends of its interval.

    `ours` and `theirs`, of shape (D, N), say which images each system classifies correctly, or how
    many of each group, or the sum of their weights. Other arguments are those of
    :func:`crossed_bootstrap`.
    """
    values = np.asarray(ours, np.float32) - np.asarray(theirs, np.float32)
    low, high = ends(crossed_bootstrap(values, tested, **options))
    return float(mean_of(values, tested)), float(low), float(high)


def few_draws_interval(ours, theirs, tested=None, **options):
    """Return what :func:`paired_interval` does, with ends that allow for few draws.

    The ends are the difference plus and minus t times the standard deviation of the replicates. The
    degrees of freedom of t are those of Satterthwaite (1946, Biometrics Bulletin 2(6)), where only
    the variance between draws is unsure: the larger its part, the fewer. A single draw says nothing
    of draws, so t is then that of infinitely many.

    In the simulations of :func:`crossed_bootstrap`, these intervals contained the true value in 94
    to 97% of cases with three draws or more, and in 87 to 96% with two. If images differ more than
    draws, they are hardly wider than percentiles.

    If no image tells the two apart, the ends are plus and minus the largest share of images that
    may do so and be absent from this many with a chance of 5% (Clopper and Pearson 1934,
    Biometrika 26(4), one-sided). Of images with weights, the effective number counts (Kish 1965).
    """
    values = np.asarray(ours, np.float32) - np.asarray(theirs, np.float32)
    tested = np.ones(values.shape) if tested is None else np.asarray(tested)
    difference, n_draws = mean_of(values, tested), len(values)
    variance, freedom = crossed_bootstrap(values, tested, **options).var(ddof=1), np.inf
    if n_draws > 1:
        of_draws = mean_of(values[:, None], tested[:, None]).var(ddof=1) / n_draws
        variance = max(variance, of_draws)
        freedom = (n_draws - 1) * (variance / of_draws) ** 2 if of_draws > 0 else np.inf
    half = student.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(variance)
    if not values.any():
        shares = (tested / tested.sum(axis=1, keepdims=True)).mean(axis=0)
        half = 1 - (1 - LEVEL) ** (shares @ shares)  # one divided by their effective number
    return float(difference), *(float(np.clip(difference + s * half, -1, 1)) for s in (-1, 1))

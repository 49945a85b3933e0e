"""Correct logits by unlabelled rows: a Gaussian mixture that starts from an ensemble's predictions.

The constants were chosen on validation sets: see docs/results/validation/unlabeled.md.
"""

from copy import copy
from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy.linalg import cholesky, qr, solve, solve_triangular
from scipy.special import softmax

from .._utils._copies import merge_copies
from .._utils._folds import covers_most, few_shot_folds, held_out_rows
from .._utils._linalg import mean_row, plus_ridge, some_of
from .._utils._metadata import rows_of
from .._utils._warnings import silent
from ..heads._classifier import expand_with_smallest
from ..heads._losses import log_proba_of
from ..heads._temperature import fit_temperature
from .routers._base import is_clear_gain

N_ROUNDS = 3
SHRINKAGE = 1.0
SPREADS = (0.1, 0.3, 1.0, 3.0)  # candidates for the spread of the mixture's logits
# The spread without validation rows: the first number times relative log-loss ** the second.
UNLABELED_SPREAD, UNLABELED_POWER = 1.0, 8
N_FOLDS = 3
FARTHEST = 1.2  # largest distance of unlabelled rows from labelled ones; see `distance`


class UnlabeledCorrection(NamedTuple):
    """A correction of an ensemble's logits, linear in the columns.

    Attributes
    ----------
    coef : ndarray of shape (n_features, C)
    intercept : ndarray of shape (C,)
    spread : float
        Mean standard deviation over classes of the logits that are added to a row.
    temperature : float
        The sum is divided by it.
    gain : float
        Decrease of the log-loss of held-out labelled rows; NaN if none could be held out.
    n_rows : int
        Number of unlabelled rows that have a weight; copies of a row count once.
    """

    coef: np.ndarray
    intercept: np.ndarray
    spread: float
    temperature: float
    gain: float
    n_rows: int

    def correct(self, logits, X):
        """Return the corrected logits of rows, (n, C)."""
        return (logits + X @ self.coef + self.intercept) / self.temperature


class WhitenedRows:
    r"""Rows in coordinates in which Gaussian mixtures are quick to fit, whatever their labels.

    For means :math:`\mu_c`, proportions :math:`\pi_c` and one covariance, the total covariance T of
    the rows is the covariance within classes plus that between classes. Let v be the mean variance
    of a column. In coordinates in which :math:`T + \lambda v I` is the identity, the covariance
    within classes, shrunk as in :class:`skclipens.LinearDiscriminantHead`, is
    :math:`I - M \mathrm{diag}(\pi) M^T`. So only a C x C matrix has to be solved.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
    weights : ndarray of shape (n,)
    """

    def __init__(self, X, weights):
        tiny = np.finfo(X.dtype).tiny
        self.weights = (weights / weights.sum()).astype(X.dtype)
        self.centre = mean_row(X, self.weights)
        X = X - self.centre
        self.basis = None
        if len(X) < X.shape[1]:
            self.basis, rows = qr(X.T, mode="economic")
            X = rows.T
        total = (X * self.weights[:, None]).T @ X
        n_features = len(self.centre)
        ridge = SHRINKAGE * max(np.trace(total) / n_features, tiny)
        self.root = cholesky(plus_ridge(total, ridge), lower=True)
        self.rows = solve_triangular(self.root, X.T, lower=True).T

    def discriminant(self, responsibilities):
        """Return coefficients (r, C) and intercept (C,) of the mixture.

        Responsibilities, (n, C), are the probabilities that a row is of each component.
        """
        weighted = responsibilities * self.weights[:, None]
        proportions = np.maximum(weighted.sum(axis=0), np.finfo(weighted.dtype).tiny)
        means = self.rows.T @ weighted / proportions
        between = np.eye(len(proportions), dtype=means.dtype) - (means.T @ means) * proportions
        coef = solve(between, means.T).T
        return coef, -np.einsum("rc,rc->c", means, coef) / 2

    def distance(self, n_first):
        """Return the squared distance between the mean of the first rows and that of the others.

        It is relative to the expected value for rows of one distribution, so about 1 for these. The
        number of weighted rows is Kish's effective sample size.
        """
        parts = [(self.rows[:n_first], self.weights[:n_first])]
        parts += [(self.rows[n_first:], self.weights[n_first:])]
        means = [mean_row(*part) for part in parts]
        squares = [((rows - mean) ** 2).sum(axis=1) for (rows, _), mean in zip(parts, means)]
        within = sum(square @ weights for square, (_, weights) in zip(squares, parts))
        sizes = [weights.sum() ** 2 / (weights @ weights) for _, weights in parts]
        expected = within * sum(sizes) / max(sum(sizes) - 2, 1) * sum(1 / size for size in sizes)
        gap = means[0] - means[1]
        return float(gap @ gap / max(expected, np.finfo(gap.dtype).tiny))

    def in_columns(self, coef, intercept):
        """Convert coefficients, (r, C), and intercept to the original columns, (n_features, C)."""
        coef = solve_triangular(self.root, coef, lower=True, trans="T")
        coef = coef if self.basis is None else self.basis @ coef
        return coef, intercept - self.centre @ coef


def fit_mixture(rows, logits, targets, spread):
    """Fit a mixture by a few rounds of expectation-maximisation.

    This is TransCLIP [1]_ with another prior and no graph. Labelled rows keep their labels; for all
    others, the ensemble's logits are added to the mixture's in every round. The mixture's logits
    are divided by a temperature, since densities of many columns are overconfident. The estimated
    class proportions only enter the covariance: used as a prior, they diverged from the truth if
    the ensemble knew little.

    Parameters
    ----------
    rows : WhitenedRows
    logits : ndarray of shape (n, C)
        The ensemble's logits.
    targets : ndarray of shape (n,), int
        Positions of the classes; -1 for rows without a label.
    spread : float
        Mean standard deviation over classes to which the mixture's logits are scaled.

    Returns
    -------
    coef : ndarray of shape (r, C)
    intercept : ndarray of shape (C,)

    References
    ----------
    .. [1] Zanella et al., "Boosting Vision-Language Models with Transduction", NeurIPS 2024.
    """
    labeled = targets >= 0
    responsibilities = softmax(logits, axis=1)
    certain = np.eye(logits.shape[1], dtype=responsibilities.dtype)
    responsibilities[labeled] = certain[targets[labeled]]
    for _ in range(N_ROUNDS):
        coef, intercept = rows.discriminant(responsibilities)
        added = rows.rows[~labeled] @ coef + intercept
        apart = float(np.average(added.std(axis=1), weights=rows.weights[~labeled]))
        scale = spread / max(apart, np.finfo(added.dtype).eps)  # smaller values are rounding errors
        coef, intercept = coef * scale, intercept * scale
        responsibilities[~labeled] = softmax(logits[~labeled] + added * scale, axis=1)
    return coef, intercept


def learn_from_unlabeled(ensemble, X, y, metadata, unlabeled, weights, relative_loss):
    """Fit the correction by unlabelled rows to a fitted ensemble; None if it is not used.

    Labelled rows can only validate it for rows like them. So there is no correction if the mean of
    the unlabelled rows is far from theirs, as when they show something else (photographs beside
    sketches) or few of the classes. Otherwise it is used if it lowers the log-loss of held-out
    labelled rows by more than twice the standard error of the difference, and does not lower their
    accuracy. Both logits are calibrated on these rows first, so that an overconfident correction
    that is more accurate is not rejected. If no row can be held out, as with one row per class, its
    spread grows with the log-loss of the ensemble on labelled rows, and is near zero if prompts are
    good.

    The ensemble was fitted on X and y. `weights` are those of the unlabelled rows, or None, and
    `relative_loss` is that of the held-out rows; see
    :func:`skclipens.heads._temperature.relative_log_loss`.
    """
    if weights is None:
        weights = np.ones(len(unlabeled))
    unlabeled, weights = unlabeled[weights > 0], weights[weights > 0]
    if not len(unlabeled):
        return None
    some, _, weights = merge_copies(unlabeled, np.zeros(len(unlabeled)), weights)
    unlabeled = unlabeled[some]
    own_weights = metadata["sample_weight"]
    own_weights = np.ones(len(X)) if own_weights is None else own_weights
    table = np.concatenate([X, unlabeled])
    rows = WhitenedRows(table, np.concatenate([own_weights, weights]))
    if rows.distance(len(X)) > FARTHEST:
        return None
    spread, *chosen = _choose(ensemble, rows, table, y, metadata)
    if spread is None:
        spread = UNLABELED_SPREAD * relative_loss**UNLABELED_POWER
    if not spread:
        return None
    mixture = fit_mixture(rows, *_logits_and_targets(ensemble, table, np.arange(len(y)), y), spread)
    return UnlabeledCorrection(*rows.in_columns(*mixture), spread, *chosen, len(unlabeled))


def _logits_and_targets(ensemble, table, labeled, y):
    """Return an ensemble's logits of all rows, and their class positions, -1 if unlabelled."""
    targets = np.full(len(table), -1)
    targets[labeled] = np.searchsorted(ensemble.classes_, y)
    return ensemble._logits_of(table), targets


def _choose(ensemble, rows, table, y, metadata):
    """Return the spread with the lowest log-loss, the temperature of the sum, and the gain.

    The spread is 0 if the gain is not clear, and None if too few rows can be held out.
    """
    options = {"groups": metadata["groups"], "random_state": ensemble.random_state}
    folds = few_shot_folds(y, N_FOLDS, **options)
    held_out = held_out_rows(folds)
    if not covers_most(y[held_out], len(ensemble.classes_)):
        return None, 1.0, np.nan
    logits = [_held_out(ensemble, rows, table, y, metadata, *fold) for fold in folds]
    before, *after = np.concatenate(logits, axis=1)
    targets = np.searchsorted(ensemble.classes_, y[held_out])
    weights, groups = rows.weights[held_out], some_of(metadata["groups"], held_out)
    weights = weights / weights.max()  # equal weights are ones, whose sums are exact
    _, losses = _calibrated(before, targets, weights)
    was_right, found = before.argmax(axis=1) == targets, []
    for spread, mixed in zip(SPREADS, after, strict=True):
        temperature, mixed_losses = _calibrated(mixed, targets, weights)
        gains = losses - mixed_losses
        right = (mixed.argmax(axis=1) == targets) - was_right.astype(int)
        # These weights are relative, so each held-out row counts as one.
        clear = is_clear_gain(gains, right, weights, n_rows=len(held_out), groups=groups)
        gain = float(np.average(gains, weights=weights))
        found.append((gain, spread if clear else 0.0, temperature))
    gain, spread, temperature = max(found)
    return spread, temperature, gain


def _calibrated(logits, targets, weights):
    """Fit a temperature; return it and the log-loss of each row with it."""
    temperature = fit_temperature(logits, targets, sample_weight=weights)
    return temperature, -log_proba_of(logits, targets, temperature)


def _refitted(ensemble, X, y, metadata):
    """Return a copy of an ensemble, fitted on these rows."""
    part = copy(ensemble)
    part.verbose = False
    with silent(""):  # the fit on all rows has given the same warnings
        part._fit(X, y, metadata, ensemble.cv if isinstance(ensemble.cv, Integral) else N_FOLDS)
    return part


def _held_out(ensemble, rows, table, y, metadata, train, test):
    """Return logits of held-out rows without and with each mixture, (1 + n_spreads, n_test, C)."""
    part = _refitted(ensemble, table[train], y[train], rows_of(metadata, train))
    logits, targets = _logits_and_targets(part, table, train, y[train])
    mixtures = [fit_mixture(rows, logits, targets, spread) for spread in SPREADS]
    added = [rows.rows[test] @ coef + intercept for coef, intercept in mixtures]
    candidates = np.stack([logits[test], *(logits[test] + one for one in added)])
    return expand_with_smallest(candidates, part.classes_, ensemble.classes_)

"""Fit the temperatures of experts and the router on held-out logits."""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax
from sklearn.utils.validation import has_fit_parameter

from .._mistakes._columns import warn_of_unjudged_columns
from .._mistakes._rows import beats_guessing, warn_of_guessing, warn_of_guessing_pictures
from .._mistakes._seen_columns import see_columns
from .._mistakes._seen_embeddings import see_blocks
from .._utils._linalg import shuffled_columns, take_rows
from .._utils._metadata import metadata_for, rows_of
from ..backbones._blocks import columns_of
from ..heads._agreement import expected_inverse
from ..heads._temperature import (
    fit_temperature,
    fixed_temperature,
    relative_log_loss,
    unvalidated_spread,
)
from ._doubts import warn_of_mismatch
from ._experts import distinct_blocks
from ._plan import weights_parameter
from ._support import find_support
from .routers import UniformRouter, combine, is_fixed
from .routers._base import weighted_sum


class Combination(NamedTuple):
    """How the logits of experts are combined.

    Attributes
    ----------
    validated : ndarray of shape (E,), bool
        Which experts have enough validation rows.
    temperatures : ndarray of shape (E,)
    router : router
    log_weights : ndarray of shape (C,) or None
        Logarithms of weights of the classes, which are added to the combined logits.
    """

    validated: np.ndarray
    temperatures: np.ndarray
    router: object
    log_weights: np.ndarray | None = None

    @property
    def routed(self):
        """Which experts the router combines; the mean of the others is added to its logits."""
        return self.validated if self.validated.any() else ~self.validated

    def weights_of_all(self, of_routed):
        """Return the weights of all experts from those of the routed ones, (..., E), float64."""
        routed = self.routed
        weights = np.full((*of_routed.shape[:-1], len(routed)), 1 / max(np.sum(~routed), 1))
        weights[..., routed] = of_routed
        return weights

    def combine(self, X, logits):
        """Combine the calibrated logits of all experts: (n, E, C) to (n, C)."""
        routed = self.routed
        combined = self.weighted(combine(self.router, X, logits[:, routed]))
        return combined if routed.all() else combined + logits[:, ~routed].mean(axis=1)

    def weighted(self, logits):
        """Return combined logits, (..., C), with the weights of the classes."""
        if self.log_weights is None:
            return logits
        return logits + self.log_weights.astype(logits.dtype)

    def weights(self, X, logits):
        """Return the weights of the calibrated logits of all experts, (n, E)."""
        of_routed = self.router.weights(X, logits[:, self.routed])
        return self.weights_of_all(of_routed).astype(logits.dtype)

    def of_held_out(self, X, held_out):
        """Return the rows held out from all routed experts, and their combined logits."""
        routed = self.routed
        valid = held_out.valid[:, routed].all(axis=1)
        rows, logits = held_out.rows[valid], held_out.logits[valid][:, routed]
        logits = calibrated(logits, self.temperatures[routed])
        return rows, self.weighted(combine(self.router, X[rows], logits))


def calibrated(logits, temperatures):
    """Divide logits of experts, (n, E, C), by their temperatures, (E,)."""
    return logits / temperatures[:, None].astype(logits.dtype)


class HeldOutPredictions(NamedTuple):
    """Held-out predictions of an ensemble.

    Attributes
    ----------
    relative_loss : float
        See :func:`skclipens.heads._temperature.relative_log_loss`.
    rows : ndarray of shape (n,), int
        Positions of the rows.
    predicted : ndarray of shape (n,), int
        Positions of the predicted classes.
    confidence : ndarray of shape (n,)
        Probabilities of the predicted classes.
    beats_guessing : bool
        See :func:`skclipens._mistakes._rows.beats_guessing`.
    """

    relative_loss: float
    rows: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    beats_guessing: bool

    def for_input_rows(self, rows, classes):
        """Return true and predicted classes, by their positions, and confidence of the user's rows.

        `rows` are the learned rows. Values are -1 where there is none.
        """
        places = np.searchsorted(classes, rows.y)
        values = places, *self.for_rows(np.arange(len(places)), len(places))
        return [rows.for_input_rows(one, fill=-1) for one in values]

    def for_rows(self, rows, n_rows):
        """Return predicted classes and confidence for all of `n_rows` rows; -1 where none is.

        The learned rows have the positions `rows` among them.
        """
        predicted, confidence = np.full(n_rows, -1), np.full(n_rows, -1.0)
        predicted[rows[self.rows]], confidence[rows[self.rows]] = self.predicted, self.confidence
        return predicted, confidence


NOTHING_HELD_OUT = HeldOutPredictions(0.0, *np.zeros((2, 0), int), np.zeros(0), True)


def combine_experts(ensemble, plan, held_out, X, y, metadata):
    """Fit temperatures and router on held-out logits, if any, and set them on the ensemble.

    The plan has fitted experts. Return HeldOutPredictions.
    """
    experts, classes, router, log_weights = plan
    names = getattr(ensemble, "feature_names_in_", None)
    warn_of_mismatch(experts, classes, names, X, y)
    if held_out is None:
        ones = np.ones(len(experts))
        combination = Combination(ones.astype(bool), ones, router, log_weights)
        predictions = NOTHING_HELD_OUT
    else:
        combination, predictions = calibrate_and_route(ensemble, plan, held_out, X, y, metadata)
        if combination.validated.all() and not predictions.beats_guessing:
            warn_of_guessing(predictions.relative_loss, len(predictions.rows), len(classes))
    support, has_weights = None, hasattr(combination.router, "weights")
    # Blending with prompts needs logits that are calibrated and summed by weights.
    if ensemble.out_of_distribution == "prompts" and ensemble.calibrate and has_weights:
        support = find_support(experts, X, y, classes, metadata["sample_weight"])
        if support is not None and log_weights is not None:
            support = support._replace(log_prior=support.log_prior + log_weights)
    blocks = distinct_blocks(experts)
    seen = {"seen": see_blocks(blocks, X), "seen_columns": see_columns(blocks, X)}
    ensemble._set_fitted(experts, classes, combination, support=support, **seen)
    return predictions


def calibrate_and_route(ensemble, plan, held_out, X, y, metadata):
    """Fit temperatures and router on held-out logits; return Combination and HeldOutPredictions.

    Parameters are those of :func:`combine_experts`.
    """
    experts, classes, _, log_weights = plan
    validated, places = held_out.validated(y[held_out.rows], len(classes))
    kinds = [expert.reads for expert in experts]
    warn_of_unjudged_columns(kinds, validated)
    logits, rows = take_rows(held_out.logits, places), held_out.rows[places]
    logits = logits if validated.all() else logits[:, validated]
    X_validation, targets = take_rows(X, rows), np.searchsorted(classes, y[rows])
    metadata = rows_of(metadata, rows)
    weights, temperatures = metadata["sample_weight"], np.ones(len(experts))
    if ensemble.calibrate:
        expected = _expected_inverses(experts, validated, logits, weights)
        temperatures[validated] = [
            fit_temperature(of_expert, targets, sample_weight=weights, expected=of_prior)
            for of_expert, of_prior in zip(logits.swapaxes(0, 1), expected, strict=True)
        ]
    logits = calibrated(logits, temperatures[validated])
    router = _fitted_router(ensemble, plan, validated, X_validation, logits, targets, metadata)
    combined = combine(router, X_validation, logits) if len(rows) else logits.sum(axis=1)
    spread = unvalidated_spread(combined, targets, weights)
    for e in np.flatnonzero(~validated):
        shuffled = None
        if kinds[e] == "others" and "pictures" in kinds:
            shuffled = experts[e].logits(shuffled_columns(X, experts[e].block.columns), classes)
        temperatures[e] = fixed_temperature(experts[e].logits(X, classes), spread, shuffled)
    relative_loss = relative_log_loss(combined, targets, weights) if len(rows) else 1.0
    knows = False
    if len(rows):  # the mean of the experts may tell more, as shares of votes are not calibrated
        either = np.stack([combined, logits.mean(axis=1)], axis=1)
        knows = _tell_anything(either, targets, weights)
    if knows and "others" in kinds:
        of_pictures = np.array(kinds) == "pictures"
        blocks = [experts[e].block for e in np.flatnonzero(of_pictures)]
        if not _tell_anything(logits[:, of_pictures[validated]], targets, weights):
            warn_of_guessing_pictures(X, y, np.unique(columns_of(blocks)), len(rows))
    sure = softmax(combined, axis=1).max(axis=1)
    predictions = HeldOutPredictions(relative_loss, rows, combined.argmax(axis=1), sure, knows)
    return Combination(validated, temperatures, router, log_weights), predictions


def _tell_anything(logits, targets, weights):
    """Return whether an expert beats guessing, or there is none; logits are (n, E, C)."""
    found = logits.swapaxes(0, 1)
    tell = (beats_guessing(relative_log_loss(z, targets, weights), z, targets) for z in found)
    return not len(found) or any(tell)


def _expected_inverses(experts, validated, logits, weights):
    """Return the expected inverse temperature of each validated expert, or None for no prior.

    If there are heads that learn and zero-shot heads of several backbones, the agreement of the
    backbones sets that of the zero-shot heads. Heads that correct prompts have calibrated them
    already, so theirs is 1.
    """
    beside_learners = any(expert.learns for expert in experts)
    experts = [experts[e] for e in np.flatnonzero(validated)]
    prompts = [e for e, expert in enumerate(experts) if expert.is_zero_shot]
    of_prompts = None
    if beside_learners:
        heads, of_heads = [experts[e].head for e in prompts], [logits[:, e] for e in prompts]
        of_prompts = expected_inverse(heads, of_heads, weights)
    if of_prompts is None:
        return [None] * len(experts)
    expected = [1.0 if expert.corrects_prompts else None for expert in experts]
    return [of_prompts if e in prompts else of_other for e, of_other in enumerate(expected)]


def _fitted_router(ensemble, plan, validated, X, logits, targets, metadata):
    """Return the router, fitted if it learns; a UniformRouter if there are no rows to fit on."""
    router = plan.router
    if is_fixed(router):
        return router
    if not len(X):
        return UniformRouter()
    given = metadata_for(router, weights_parameter(ensemble), **metadata)
    experts = [plan.experts[e] for e in np.flatnonzero(validated)]
    if has_fit_parameter(router, "learned"):
        given["learned"] = np.array([expert.learns for expert in experts])
    if has_fit_parameter(router, "prior_weights"):
        kinds = [expert.reads for expert in experts]
        given["prior_weights"] = _prior_weights(kinds, logits, targets, metadata["sample_weight"])
    router.fit(X, logits, targets, **given)
    return router


def _prior_weights(kinds, logits, targets, sample_weight):
    """Return the prior weights of experts, from the kind of columns that each reads.

    One half is shared by the experts, the other by the kinds of columns. So the many heads on
    pictures do not outvote one on numbers, and uninformative numbers do not count for half. The
    mean of logits is unsure if kinds of columns tell different things, whose logits would add up:
    the sum of the weights is then fitted.
    """
    _, kind_of, sizes = np.unique(kinds, return_inverse=True, return_counts=True)
    weights = (1 / len(kinds) + 1 / (len(sizes) * sizes[kind_of])) / 2
    if len(sizes) == 1:
        return weights
    mean = weighted_sum(weights[None].astype(logits.dtype), logits)
    return weights / fit_temperature(mean, targets, sample_weight=sample_weight, expected=1.0)

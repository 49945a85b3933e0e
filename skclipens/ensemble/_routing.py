"""Calibrating experts, and fitting what combines them, by rows that they have not seen."""

from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import has_fit_parameter

from .._mistakes._rows import says_something, warn_of_guessing
from .._mistakes._seen_columns import see_columns
from .._mistakes._seen_embeddings import see_blocks
from .._utils._linalg import take_rows
from .._utils._metadata import metadata_for, rows_of
from ..heads._agreement import expected_inverse
from ..heads._temperature import (
    fit_temperature,
    fixed_temperature,
    relative_log_loss,
    unjudged_spread,
)
from ._experts import distinct_blocks
from ._folding import fold
from ._mismatch import warn_of_mismatch
from ._plan import what_weighs
from ._support import find_support
from .routers import UniformRouter, combine, is_fixed


class Judged(NamedTuple):
    """What an ensemble says of rows that its heads have not learned from.

    Attributes
    ----------
    relative_loss : float
        See :func:`skclipens.heads._temperature.relative_log_loss`.
    rows : ndarray of shape (n,), int
        Positions of the rows.
    predicted : ndarray of shape (n,), int
        Positions of the classes they are taken for.
    says_something : bool
        See :func:`skclipens._mistakes._rows.says_something`.
    """

    relative_loss: float
    rows: np.ndarray
    predicted: np.ndarray
    says_something: bool

    def of_given(self, rows, classes):
        """Positions of the classes of the rows as they were given, and of what they are taken for.

        Parameters
        ----------
        rows : Rows
            Those that were learned.
        classes : ndarray of shape (C,)

        Returns
        -------
        y, predicted : ndarray of shape (n_given,), int
            -1 where there is none.
        """
        found = np.full((len(rows.y), 2), -1)
        found[:, 0] = np.searchsorted(classes, rows.y)
        found[self.rows, 1] = self.predicted
        given = np.full((len(rows.place), 2), -1)
        there = rows.place >= 0
        given[there] = found[rows.place[there]]
        return given.T


NOTHING_JUDGED = Judged(0.0, np.zeros(0, int), np.zeros(0, int), True)


def combine_experts(ensemble, experts, held_out, router, X, y, metadata):
    """Take fitted experts, and fit how to combine them by what is held out, if anything is.

    Returns
    -------
    Judged
    """
    ensemble.experts_ = experts
    ensemble.expert_names_ = np.array([expert.name for expert in experts], dtype=object)
    blocks = distinct_blocks(experts)
    ensemble._seen, ensemble._seen_columns = see_blocks(blocks, X), see_columns(blocks, X)
    warn_of_mismatch(ensemble, X, y)
    if held_out is None:
        ensemble.judged_ = np.ones(len(experts), bool)
        ensemble.temperatures_ = np.ones(len(experts))
        ensemble.router_ = router
        judged = NOTHING_JUDGED
    else:
        judged = calibrate_and_route(ensemble, X, y, held_out, router, metadata)
        if ensemble.judged_.all() and not judged.says_something:
            n_rows, n_classes = len(held_out.rows), len(ensemble.classes_)
            warn_of_guessing(judged.relative_loss, n_rows, n_classes)
    ensemble.support_ = None
    # Prompts can only be given a share where logits are calibrated and summed by weights.
    if ensemble.out_of_distribution == "prompts" and ensemble.calibrate and ensemble._has_weights():
        ensemble.support_ = find_support(
            experts, X, y, ensemble.classes_, metadata["sample_weight"]
        )
    ensemble._folded = fold(ensemble)
    return judged


def calibrate_and_route(ensemble, X, y, held_out, router, metadata):
    """Fit temperatures and router on rows that judge; return ``Judged``."""
    ensemble._folded = None
    ensemble.judged_, judges = held_out.judged(y[held_out.rows], len(ensemble.classes_))
    logits, rows = take_rows(held_out.logits, judges), held_out.rows[judges]
    logits = logits if ensemble.judged_.all() else logits[:, ensemble.judged_]
    X_judge, targets = take_rows(X, rows), np.searchsorted(ensemble.classes_, y[rows])
    metadata = rows_of(metadata, rows)
    weights = metadata["sample_weight"]
    ensemble.temperatures_ = np.ones(len(ensemble.experts_))
    if ensemble.calibrate:
        expected = _expected_inverses(ensemble, logits, weights)
        ensemble.temperatures_[ensemble.judged_] = [
            fit_temperature(of_expert, targets, sample_weight=weights, expected=of_prior)
            for of_expert, of_prior in zip(logits.swapaxes(0, 1), expected, strict=True)
        ]
    logits = logits / ensemble.temperatures_[ensemble.judged_, None].astype(logits.dtype)
    ensemble.router_ = _fitted_router(ensemble, router, X_judge, logits, targets, metadata)
    combined = combine(ensemble.router_, X_judge, logits) if len(rows) else logits.sum(axis=1)
    spread = unjudged_spread(combined, targets, weights)
    for e in np.flatnonzero(~ensemble.judged_):
        of_expert = ensemble.experts_[e].logits(X, ensemble.classes_)
        ensemble.temperatures_[e] = fixed_temperature(of_expert, spread)
    relative_loss = relative_log_loss(combined, targets, weights) if len(rows) else 1.0
    knows = says_something(relative_loss, combined, targets)
    return Judged(relative_loss, rows, combined.argmax(axis=1), knows)


def _expected_inverses(ensemble, logits, weights):
    """Inverse temperatures of judged experts that are expected before any label is seen, or None.

    Where heads learn beside prompts of several backbones, the agreement of these tells how far to
    trust prompts. Heads that correct prompts have calibrated these themselves.
    """
    experts = [ensemble.experts_[e] for e in np.flatnonzero(ensemble.judged_)]
    prompts = [e for e, expert in enumerate(experts) if expert.is_prompts]
    of_prompts = None
    if any(expert.learns for expert in ensemble.experts_):
        heads, of_heads = [experts[e].head for e in prompts], [logits[:, e] for e in prompts]
        of_prompts = expected_inverse(heads, of_heads, weights)
    if of_prompts is None:
        return [None] * len(experts)
    expected = [1.0 if expert.corrects_prompts else None for expert in experts]
    return [of_prompts if e in prompts else of_other for e, of_other in enumerate(expected)]


def _fitted_router(ensemble, router, X, logits, targets, metadata):
    """The router, fitted if it learns; where there are no rows, one that does not."""
    if is_fixed(router):
        return router
    if not len(X):
        return UniformRouter()
    given = metadata_for(router, what_weighs(ensemble), **metadata)
    judged = [ensemble.experts_[e] for e in np.flatnonzero(ensemble.judged_)]
    if has_fit_parameter(router, "learned"):
        given["learned"] = np.array([expert.learns for expert in judged])
    if has_fit_parameter(router, "prior_weights"):
        given["prior_weights"] = _prior_weights([expert.reads for expert in judged])
    router.fit(X, logits, targets, **given)
    return router


def _prior_weights(kinds):
    """What the weights of experts are pulled to, by what columns each reads.

    One half is shared by the experts, the other by the kinds of columns. So the many heads on
    pictures do not outvote one on numbers, and numbers that say nothing do not count for half.
    """
    _, kind_of, sizes = np.unique(kinds, return_inverse=True, return_counts=True)
    return (1 / len(kinds) + 1 / (len(sizes) * sizes[kind_of])) / 2

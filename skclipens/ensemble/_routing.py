"""Calibrating experts, and fitting what combines them, by rows that they have not seen."""

import numpy as np
from sklearn.utils.validation import has_fit_parameter

from .._utils._linalg import taken
from .._utils._metadata import metadata_for, rows_of
from ..heads._temperature import (
    fit_temperature,
    fixed_temperature,
    relative_log_loss,
    unjudged_spread,
)
from ._folding import fold
from ._mismatch import warn_of_mismatch
from ._support import find_support
from ._suspect_rows import warn_of_guessing
from ._unlike import seen_blocks
from .routers import UniformRouter, combine, is_fixed


class Routing:
    """An ensemble with ``calibrate``, ``classes_`` and ``_what_weighs``."""

    def _combine(self, experts, held_out, router, X, y, metadata):
        """Take fitted experts, and fit how to combine them by what is held out, if anything is.

        Returns
        -------
        float
            Relative log-loss of the rows that judge; 0 where nothing is held out.
        """
        self.experts_ = experts
        self.expert_names_ = np.array([expert.name for expert in experts], dtype=object)
        self._seen = seen_blocks((one.block for one in experts), X)
        warn_of_mismatch(self, X, y)
        if held_out is None:
            self.judged_, self.temperatures_ = np.ones(len(experts), bool), np.ones(len(experts))
            self.router_ = router
            relative_loss = 0.0
        else:
            relative_loss = self._calibrate_and_route(X, y, held_out, router, metadata)
            warn_of_guessing(self, relative_loss, len(held_out.rows))
        self.support_ = None
        # Temperatures say how much prompts mean, and weights how much anything does.
        if self.out_of_distribution == "prompts" and self.calibrate and self._has_weights():
            self.support_ = find_support(experts, X, y)
        self._folded = fold(self)
        return relative_loss

    def _calibrate_and_route(self, X, y, held_out, router, metadata):
        """Fit temperatures and router on rows that judge, and return their relative log-loss."""
        self._folded = None
        self.judged_, judges = held_out.judged(y[held_out.rows], len(self.classes_))
        logits, rows = taken(held_out.logits, judges), held_out.rows[judges]
        logits = logits if self.judged_.all() else logits[:, self.judged_]
        X_judge, targets = taken(X, rows), np.searchsorted(self.classes_, y[rows])
        metadata = rows_of(metadata, rows)
        weights = metadata["sample_weight"]
        self.temperatures_ = np.ones(len(self.experts_))
        if self.calibrate:
            self.temperatures_[self.judged_] = [
                fit_temperature(of_expert, targets, sample_weight=weights)
                for of_expert in logits.swapaxes(0, 1)
            ]
        logits = logits / self.temperatures_[self.judged_, None]
        self.router_ = self._fitted_router(router, X_judge, logits, targets, metadata)
        relative_loss = 1.0
        if len(rows):
            combined = combine(self.router_, X_judge, logits)
            relative_loss = relative_log_loss(combined, targets, weights)
        for e in np.flatnonzero(~self.judged_):
            of_expert = self.experts_[e].logits(X, self.classes_)
            self.temperatures_[e] = fixed_temperature(of_expert, unjudged_spread(relative_loss))
        return relative_loss

    def _fitted_router(self, router, X, logits, targets, metadata):
        """The router, fitted if it learns; where there are no rows, one that does not."""
        if is_fixed(router):
            return router
        if not len(X):
            return UniformRouter()
        given = metadata_for(router, self._what_weighs(), **metadata)
        if has_fit_parameter(router, "learned"):
            learned = np.array([expert.learns for expert in self.experts_])
            given["learned"] = learned[self.judged_]
        router.fit(X, logits, targets, **given)
        return router

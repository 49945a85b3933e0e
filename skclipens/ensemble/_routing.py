"""Calibrating experts, and fitting what combines them, by rows that they have not seen."""

import numpy as np
from sklearn.utils.validation import has_fit_parameter

from .._utils._linalg import taken
from .._utils._metadata import metadata_for, rows_of
from ..heads._temperature import (
    fit_temperature,
    fixed_temperature,
    surprise,
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
        """Take fitted experts, and fit how to combine them by what is held out, if anything is."""
        self.experts_ = experts
        self.expert_names_ = np.array([expert.name for expert in experts], dtype=object)
        self._seen, told = seen_blocks((one.block for one in experts), X), 0.0
        warn_of_mismatch(self, X, y)
        if held_out is None:
            self.judged_, self.temperatures_ = np.ones(len(experts), bool), np.ones(len(experts))
            self.router_ = router
        else:
            told = self._calibrate_and_route(X, y, held_out, router, metadata)
            warn_of_guessing(self, told, len(held_out.rows))
        self.support_ = None
        # Temperatures say how much prompts mean, and weights how much anything does.
        if self.out_of_distribution == "prompts" and self.calibrate and self._has_weights():
            self.support_ = find_support(experts, X, y)
        self._folded = fold(self)
        return told

    def _calibrate_and_route(self, X, y, held_out, router, metadata):
        self._folded = None
        self.judged_, rows = held_out.judged(y[held_out.rows], len(self.classes_))
        logits, rows = taken(held_out.logits, rows), held_out.rows[rows]
        logits = logits if self.judged_.all() else logits[:, self.judged_]
        X_judge = taken(X, rows)
        targets = np.searchsorted(self.classes_, y[rows])
        metadata = rows_of(metadata, rows)
        self.temperatures_ = np.ones(len(self.experts_))
        if self.calibrate:
            for position, e in enumerate(np.flatnonzero(self.judged_)):
                self.temperatures_[e] = fit_temperature(
                    logits[:, position], targets, sample_weight=metadata["sample_weight"]
                )
        logits = logits / self.temperatures_[self.judged_, None]
        if not is_fixed(router):
            if len(rows):
                given = metadata_for(router, self._what_weighs(), **metadata)
                if has_fit_parameter(router, "learned"):
                    learned = np.array([expert.learns for expert in self.experts_])
                    given["learned"] = learned[self.judged_]
                router.fit(X_judge, logits, targets, **given)
            else:
                router = UniformRouter()
        self.router_ = router
        weights = metadata["sample_weight"]
        told = surprise(combine(router, X_judge, logits), targets, weights) if len(rows) else 1.0
        for e in np.flatnonzero(~self.judged_):
            of_rows = self.experts_[e].logits(X, self.classes_)
            self.temperatures_[e] = fixed_temperature(of_rows, unjudged_spread(told))
        return told

"""Routers: experts' logits in, class logits out; one small file per rule.

A router has ``fit(X, logits, y)`` and ``combine(X, logits)``. One that is a weighted sum of logits
has ``weights(X, logits)`` instead of ``combine``, or beside it. X are all columns of the table,
shape (n, n_features), logits those of E experts, shape (n, E, C), and y the positions of the true
classes; weights have shape (n, E) and combined logits (n, C). Where ``fit`` has them, it gets the
``sample_weight`` and ``groups`` of rows, in ``learned`` which experts learn from rows, (E,), and in
``prior_weights`` what their weights may be pulled to where rows are few, (E,). A router that learns
nothing says so with scikit-learn's tag ``requires_fit``. What is fitted is numpy.
"""

from ._base import combine, is_fixed
from ._fixed import ConfidenceRouter, ProbabilityRouter, UniformRouter, VoteRouter
from ._gated import GatedRouter
from ._genetic import GeneticRouter
from ._mixture import MixtureRouter
from ._nlc import NeuralLogitController
from ._shrunk import ShrunkRouter
from ._static import StaticRouter
from ._super_learner import SuperLearnerRouter

ROUTERS = {
    "shrunk": ShrunkRouter(),
    "static": StaticRouter(),
    "uniform": UniformRouter(),
    "nlc": NeuralLogitController(),
    "confidence": ConfidenceRouter(),
    "super-learner": SuperLearnerRouter(),
    "genetic": GeneticRouter(),
    "mixture": MixtureRouter(),
    "vote": VoteRouter(),
    "vote-3": VoteRouter(n_votes=3),
    "probability": ProbabilityRouter(),
}


def named_router(router):
    """The router that a name stands for, or what was given in its place."""
    return ROUTERS[router] if isinstance(router, str) else router


__all__ = [
    "ROUTERS",
    "ConfidenceRouter",
    "GatedRouter",
    "GeneticRouter",
    "MixtureRouter",
    "NeuralLogitController",
    "ProbabilityRouter",
    "ShrunkRouter",
    "StaticRouter",
    "SuperLearnerRouter",
    "UniformRouter",
    "VoteRouter",
    "combine",
    "is_fixed",
    "named_router",
]

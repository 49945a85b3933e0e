"""Routers, which combine the logits of experts into logits of classes; one file per rule.

A router has ``fit(X, logits, y)`` and ``combine(X, logits)``. A router that computes a weighted sum
of logits has ``weights(X, logits)`` instead of ``combine``, or in addition. X are all columns of
the table, shape (n, n_features), logits those of E experts, shape (n, E, C), and y the positions of
the true classes; weights have shape (n, E) and combined logits (n, C). If its signature has them,
``fit`` also gets ``sample_weight`` and ``groups`` of rows; ``learned``, which experts learn from
rows, (E,); and ``prior_weights``, to which weights may be shrunk if rows are few, (E,). If a router
learns nothing, its scikit-learn tag ``requires_fit`` is False. A fitted router keeps no torch
module, only its weights as NumPy arrays.
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
    """Return the router with this name; a router is returned as it is."""
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

"""Ensemble: experts (heads on blocks of columns), and routers that combine them."""

from ._adaptive import AdaptiveBackboneEnsemble
from .routers import (
    ConfidenceRouter,
    GatedRouter,
    GeneticRouter,
    MixtureRouter,
    NeuralLogitController,
    ProbabilityRouter,
    ShrunkRouter,
    StaticRouter,
    SuperLearnerRouter,
    UniformRouter,
    VoteRouter,
)

__all__ = [
    "AdaptiveBackboneEnsemble",
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
]

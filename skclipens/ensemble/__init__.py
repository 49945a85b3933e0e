"""Ensembles of heads on blocks of columns."""

from ._adaptive import AdaptiveBackboneEnsemble
from ._averages import ConfidenceEnsemble, LogitAverageEnsemble, ProbabilityAverageEnsemble
from ._gates import GatedRouter, ShrunkRouter
from ._genetic import GeneticEnsemble
from ._mixture import MixtureOfExpertsEnsemble
from ._nlc import NeuralLogitController
from ._routers import StaticRouter, UniformRouter
from ._super_learner import SuperLearnerEnsemble
from ._voting import VotingEnsemble

__all__ = [
    "AdaptiveBackboneEnsemble",
    "ConfidenceEnsemble",
    "GatedRouter",
    "GeneticEnsemble",
    "LogitAverageEnsemble",
    "MixtureOfExpertsEnsemble",
    "NeuralLogitController",
    "ProbabilityAverageEnsemble",
    "ShrunkRouter",
    "StaticRouter",
    "SuperLearnerEnsemble",
    "UniformRouter",
    "VotingEnsemble",
]

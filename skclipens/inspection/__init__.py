"""Plots of the accuracy, cost, diversity, calibration and routing of ensembles."""

from ._accuracy_cost import AccuracyCostDisplay
from ._correct_sets import CorrectSetsDisplay
from ._diversity_gain import DiversityGainDisplay
from ._reliability import ReliabilityDisplay
from ._routing_weights import RoutingWeightsDisplay

__all__ = [
    "AccuracyCostDisplay",
    "CorrectSetsDisplay",
    "DiversityGainDisplay",
    "ReliabilityDisplay",
    "RoutingWeightsDisplay",
]

"""Ensembles of heads on blocks of columns."""

from ._adaptive import AdaptiveBackboneEnsemble

__all__ = ["AdaptiveBackboneEnsemble"]

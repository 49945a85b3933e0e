"""Cascade: what blocks cost, which are worth it, and which an image needs."""

from ._images import CascadeClassifier
from ._selector import BackboneSelector
from ._table import CascadeEnsemble

__all__ = ["BackboneSelector", "CascadeClassifier", "CascadeEnsemble"]

"""Cascade: cheap backbones first, the selection of backbones, and what they cost."""

from ._images import CascadeClassifier
from ._selector import BackboneSelector
from ._table import CascadeEnsemble

__all__ = ["BackboneSelector", "CascadeClassifier", "CascadeEnsemble"]

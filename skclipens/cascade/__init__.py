"""Cascades that use cheap backbones first, and the selection of backbones by their cost."""

from ._images import CascadeClassifier
from ._selector import BackboneSelector
from ._table import CascadeEnsemble

__all__ = ["BackboneSelector", "CascadeClassifier", "CascadeEnsemble"]

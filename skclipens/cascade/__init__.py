"""Cascade: what blocks cost, which are worth it, and which an image needs.

Imports ``ensemble`` and all below; only users import it.
"""

from ._images import CascadeClassifier
from ._selector import BackboneSelector
from ._table import CascadeEnsemble

__all__ = ["BackboneSelector", "CascadeClassifier", "CascadeEnsemble"]

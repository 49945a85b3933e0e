"""From images to predictions: an embedder, and what reads its columns, as one estimator.

Imports ``ensemble`` and all below; only users import it.
"""

from ._make import make_backbone_pipeline
from ._pipeline import BackbonePipeline

__all__ = ["BackbonePipeline", "make_backbone_pipeline"]

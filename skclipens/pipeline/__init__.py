"""From images to predictions: an embedder, and what reads its columns, as one estimator.

May import all other houses but ``cascade`` and ``inspection``.
"""

from ._make import make_backbone_pipeline
from ._pipeline import BackbonePipeline

__all__ = ["BackbonePipeline", "make_backbone_pipeline"]

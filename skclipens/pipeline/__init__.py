"""From images to predictions: an embedder, and what reads its columns, as one estimator."""

from ._make import make_backbone_pipeline
from ._pipeline import BackbonePipeline

__all__ = ["BackbonePipeline", "make_backbone_pipeline"]

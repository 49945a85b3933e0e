"""Pipelines of an embedder and an estimator on its columns, as one estimator of images."""

from ._make import make_backbone_pipeline
from ._make_table import make_table_pipeline
from ._pipeline import BackbonePipeline

__all__ = ["BackbonePipeline", "make_backbone_pipeline", "make_table_pipeline"]

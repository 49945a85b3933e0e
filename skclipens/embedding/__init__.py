"""Embedding: images to tables with one block of columns per backbone, and stores of them."""

from ..exceptions import EmbeddingStoreError
from ._embedders import CLIPEmbedder, MultiBackboneEmbedder
from ._keys import image_key, model_key
from ._parts import read_embeddings
from ._predicting import predict_embeddings
from ._store import EmbeddingStore

__all__ = [
    "CLIPEmbedder",
    "EmbeddingStore",
    "EmbeddingStoreError",
    "MultiBackboneEmbedder",
    "image_key",
    "model_key",
    "predict_embeddings",
    "read_embeddings",
]

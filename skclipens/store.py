"""The store of embeddings; lives in :mod:`skclipens.embedding`."""

from .embedding import EmbeddingStore, EmbeddingStoreError, image_key, model_key

__all__ = ["EmbeddingStore", "EmbeddingStoreError", "image_key", "model_key"]

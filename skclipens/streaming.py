"""Tables of Parquet files; lives in :mod:`skclipens.embedding`."""

from .embedding import read_embeddings

__all__ = ["read_embeddings"]

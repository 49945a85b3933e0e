"""Tables of Parquet files; lives in :mod:`skclipens.embedding`."""

from .embedding import predict_embeddings, read_embeddings

__all__ = ["predict_embeddings", "read_embeddings"]

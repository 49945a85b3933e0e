"""Made by ``python -m tools.docs.stubs`` from the docstrings."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.base import TransformerMixin

class CLIPEmbedder(TransformerMixin, BaseEstimator):
    backbone: str
    features: str
    views: Any
    keep_plain: bool
    device: str | Sequence[str]
    precision: str
    decode: str
    compile: bool
    batch_size: int
    n_jobs: int | None
    normalize: bool
    cache: Any
    on_error: str
    verbose: bool | int
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(self, backbone: str = ..., *, features: str = ..., views: Any = ..., keep_plain: bool = ..., device: str | Sequence[str] = ..., precision: str = ..., decode: str = ..., compile: bool = ..., batch_size: int = ..., n_jobs: int | None = ..., normalize: bool = ..., cache: Any = ..., on_error: str = ..., verbose: bool | int = ...) -> None: ...
    def embed_text(self, texts: Any, *, templates: Sequence[str] = ...) -> NDArray[Any]: ...
    def embed_to(self, folder: str | PathLike[str], X: Any, *, protocols: Sequence[str] = ..., chunk_size: int = ..., resume: bool = ...) -> list[str]: ...
    def fit(self, X: Any, y: ArrayLike | None = ...) -> Self: ...
    def get_feature_names_out(self, input_features: ArrayLike | None = ...) -> NDArray[Any]: ...
    def transform(self, X: Any) -> Any: ...
class EmbeddingStore:
    path: Any
    max_bytes: int | float
    def __init__(self, path: Any = ..., *, max_bytes: int | float = ...) -> None: ...
    def clear(self, model_key: str | None = ...) -> Any: ...
    def get_many(self, keys: Any, model_key: str) -> Any: ...
    def info(self) -> dict[Any, Any]: ...
    def put_many(self, keys: Any, model_key: str, rows: ArrayLike) -> Any: ...
from skclipens.exceptions import EmbeddingStoreError as EmbeddingStoreError
class MultiBackboneEmbedder(TransformerMixin, BaseEstimator):
    backbones: str | Sequence[str]
    features: str
    views: Any
    keep_plain: bool
    device: str | Sequence[str]
    precision: str
    decode: str
    compile: bool
    batch_size: int
    n_jobs: int | None
    normalize: bool
    cache: Any
    on_error: str
    verbose: bool | int
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(self, backbones: str | Sequence[str] = ..., *, features: str = ..., views: Any = ..., keep_plain: bool = ..., device: str | Sequence[str] = ..., precision: str = ..., decode: str = ..., compile: bool = ..., batch_size: int = ..., n_jobs: int | None = ..., normalize: bool = ..., cache: Any = ..., on_error: str = ..., verbose: bool | int = ...) -> None: ...
    def embed_text(self, texts: Any, *, templates: Sequence[str] = ...) -> NDArray[Any]: ...
    def embed_to(self, folder: str | PathLike[str], X: Any, *, protocols: Sequence[str] = ..., chunk_size: int = ..., resume: bool = ...) -> list[str]: ...
    def fit(self, X: Any, y: ArrayLike | None = ...) -> Self: ...
    def get_feature_names_out(self, input_features: ArrayLike | None = ...) -> NDArray[Any]: ...
    def transform(self, X: Any) -> Any: ...
def image_key(image: Any, store: Any = ...) -> Any: ...
def model_key(backbone: Any, precision: str, store: Any = ...) -> str: ...
def predict_embeddings(classifier: Any, folder: str | PathLike[str], *, out_folder: str | PathLike[str] | None = ..., verbose: bool | int = ...) -> pd.DataFrame: ...
def read_embeddings(folder: str | PathLike[str], *, backbones: str | Sequence[str] | None = ..., rows: ArrayLike | None = ...) -> Any: ...

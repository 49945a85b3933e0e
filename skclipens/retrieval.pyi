"""Made by ``python -m tools.docs.stubs`` from the docstrings."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

class ImageRetriever(BaseEstimator):
    embedder: Any
    n_neighbors: int
    fusion: str
    templates: Sequence[str]
    embeddings_: NDArray[Any]
    rows_: NDArray[Any]
    n_samples_fit_: int
    embedding_names_: NDArray[Any] | None
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(self, embedder: Any = ..., *, n_neighbors: int = ..., fusion: str = ..., templates: Sequence[str] = ...) -> None: ...
    def fit(self, X: Any, y: None = ...) -> Self: ...
    def kneighbors(self, X: Any = ..., n_neighbors: int | None = ..., return_distance: bool = ...) -> Any: ...
    def search(self, texts: str | Sequence[str], n_neighbors: int | None = ...) -> Any: ...

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

class BlockPCA(TransformerMixin, BaseEstimator):
    n_components: int | float | None
    blocks: Any
    whiten: bool
    random_state: int | np.random.RandomState | None
    pcas_: dict[Any, Any]
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(self, n_components: int | float | None = ..., *, blocks: Any = ..., whiten: bool = ..., random_state: int | np.random.RandomState | None = ...) -> None: ...
    def fit(self, X: ArrayLike, y: None = ...) -> Self: ...
    def get_feature_names_out(self, input_features: ArrayLike | None = ...) -> NDArray[Any]: ...
    def transform(self, X: ArrayLike) -> Any: ...

"""Made by ``python -m tools.docs.stubs`` from the docstrings."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

class FewShotSplit:
    def __init__(self, n_shots: int = ..., n_splits: int = ..., *, random_state: int | np.random.RandomState | None = ...) -> None: ...
    def get_n_splits(self, X: Any = ..., y: Any = ..., groups: Any = ...) -> int: ...
    def split(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = ...) -> Any: ...
def compare_with_baselines(estimator: Any, X: ArrayLike, y: ArrayLike, *, cv: Any = ..., groups: ArrayLike | None = ..., scoring: str = ..., baselines: Any = ..., n_jobs: int | None = ..., verbose: bool = ...) -> pd.DataFrame: ...

"""Made by ``python -m tools.docs.stubs`` from the docstrings."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseShuffleSplit

class FewShotSplit(BaseShuffleSplit):
    n_shots: int
    n_splits: int
    random_state: int | np.random.RandomState | None
    def __init__(self, n_shots: int = ..., n_splits: int = ..., *, random_state: int | np.random.RandomState | None = ...) -> None: ...
    def set_split_request(self, *, groups: Any = ...) -> Self: ...
    def split(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = ...) -> Any: ...
def compare_with_baselines(estimator: Any, X: ArrayLike, y: ArrayLike, *, cv: Any = ..., groups: ArrayLike | None = ..., scoring: str = ..., baselines: Any = ..., n_jobs: int | None = ..., verbose: bool = ...) -> pd.DataFrame: ...

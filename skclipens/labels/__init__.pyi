"""Made by ``python -m tools.docs.stubs`` from the docstrings."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.base import ClassifierMixin
from sklearn.base import MetaEstimatorMixin

class OpenSetClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    estimator: Any
    reject_rate: float
    reject_label: int | str | None
    cv: Any
    random_state: int | np.random.RandomState | None
    classes_: NDArray[Any]
    estimator_: Any
    embedder_: Any
    offset_: float
    rows_: NDArray[Any]
    location_: NDArray[Any]
    scale_: NDArray[Any]
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(self, estimator: Any, *, reject_rate: float = ..., reject_label: int | str | None = ..., cv: Any = ..., random_state: int | np.random.RandomState | None = ...) -> None: ...
    def decision_function(self, X: Any) -> NDArray[Any]: ...
    def fit(self, X: Any, y: ArrayLike, *, sample_weight: ArrayLike | None = ..., groups: ArrayLike | None = ...) -> Self: ...
    def predict(self, X: Any) -> NDArray[Any]: ...
    def predict_proba(self, X: Any) -> NDArray[Any]: ...
    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = ...) -> float: ...
    def score_samples(self, X: Any) -> NDArray[Any]: ...
    def set_fit_request(self, *, groups: Any = ..., sample_weight: Any = ...) -> Self: ...
    def set_score_request(self, *, sample_weight: Any = ...) -> Self: ...
def find_label_issues(estimator: Any, X: ArrayLike, y: ArrayLike, *, method: str = ..., groups: ArrayLike | None = ..., cv: Any = ..., random_state: int | np.random.RandomState | None = ...) -> pd.DataFrame: ...
def group_near_duplicates(X: ArrayLike) -> NDArray[Any]: ...
def suggest(estimator: Any, X: ArrayLike, y: ArrayLike, n_suggestions: int = ..., *, max_rows: int = ..., random_state: int | np.random.RandomState | None = ...) -> NDArray[Any]: ...

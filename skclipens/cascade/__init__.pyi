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
from sklearn.feature_selection import SelectorMixin

class BackboneSelector(SelectorMixin, MetaEstimatorMixin, BaseEstimator):
    blocks: Any
    estimator: Any
    cost: str | Mapping[Any, Any] | None
    max_cost: float | None
    max_blocks: int | None
    tol: float
    scoring: Any
    cv: Any
    n_jobs: int | None
    random_state: int | np.random.RandomState | None
    verbose: bool | int
    selected_blocks_: list[str]
    support_: NDArray[Any]
    path_: dict[Any, Any]
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(self, blocks: Any = ..., *, estimator: Any = ..., cost: str | Mapping[Any, Any] | None = ..., max_cost: float | None = ..., max_blocks: int | None = ..., tol: float = ..., scoring: Any = ..., cv: Any = ..., n_jobs: int | None = ..., random_state: int | np.random.RandomState | None = ..., verbose: bool | int = ...) -> None: ...
    def _get_support_mask(self) -> Any: ...
    def fit(self, X: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = ..., groups: ArrayLike | None = ...) -> Self: ...
    def set_fit_request(self, *, groups: Any = ..., sample_weight: Any = ...) -> Self: ...
    def set_params(self, **params: Any) -> Self: ...
    def transform(self, X: ArrayLike) -> Any: ...
class CascadeClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    backbones: str | Sequence[str]
    estimator: Any
    cost: str | Mapping[Any, Any]
    order: str
    thresholds: str | float | ArrayLike
    max_accuracy_drop: float | None
    max_cost: float | None
    cv: Any
    embedder: Any
    n_jobs: int | None
    random_state: int | np.random.RandomState | None
    verbose: bool | int
    classes_: NDArray[Any]
    backbones_: list[str]
    cascade_: Any
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(self, backbones: str | Sequence[str] = ..., *, estimator: Any = ..., cost: str | Mapping[Any, Any] = ..., order: str = ..., thresholds: str | float | ArrayLike = ..., max_accuracy_drop: float | None = ..., max_cost: float | None = ..., cv: Any = ..., embedder: Any = ..., n_jobs: int | None = ..., random_state: int | np.random.RandomState | None = ..., verbose: bool | int = ...) -> None: ...
    def fit(self, X: Any, y: ArrayLike, *, sample_weight: ArrayLike | None = ..., groups: ArrayLike | None = ...) -> Self: ...
    def predict(self, X: Any) -> NDArray[Any]: ...
    def predict_log_proba(self, X: Any) -> NDArray[Any]: ...
    def predict_proba(self, X: Any) -> NDArray[Any]: ...
    def predict_with_cost(self, X: Any) -> Any: ...
    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = ...) -> float: ...
    def set_fit_request(self, *, groups: Any = ..., sample_weight: Any = ...) -> Self: ...
    def set_params(self, **params: Any) -> Self: ...
    def set_score_request(self, *, sample_weight: Any = ...) -> Self: ...
class CascadeEnsemble(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    blocks: Any
    estimator: Any
    cost: str | Mapping[Any, Any] | None
    order: str
    thresholds: str | float | ArrayLike
    max_accuracy_drop: float | None
    max_cost: float | None
    cv: Any
    n_jobs: int | None
    random_state: int | np.random.RandomState | None
    verbose: bool | int
    classes_: NDArray[Any]
    block_names_: list[str]
    block_costs_: NDArray[Any]
    estimators_: list[Any]
    thresholds_: NDArray[Any]
    curve_: dict[Any, Any]
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(self, blocks: Any = ..., *, estimator: Any = ..., cost: str | Mapping[Any, Any] | None = ..., order: str = ..., thresholds: str | float | ArrayLike = ..., max_accuracy_drop: float | None = ..., max_cost: float | None = ..., cv: Any = ..., n_jobs: int | None = ..., random_state: int | np.random.RandomState | None = ..., verbose: bool | int = ...) -> None: ...
    def fit(self, X: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = ..., groups: ArrayLike | None = ...) -> Self: ...
    def predict(self, X: Any) -> NDArray[Any]: ...
    def predict_log_proba(self, X: Any) -> NDArray[Any]: ...
    def predict_proba(self, X: Any) -> NDArray[Any]: ...
    def predict_with_cost(self, X: ArrayLike) -> Any: ...
    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = ...) -> float: ...
    def set_fit_request(self, *, groups: Any = ..., sample_weight: Any = ...) -> Self: ...
    def set_params(self, **params: Any) -> Self: ...
    def set_score_request(self, *, sample_weight: Any = ...) -> Self: ...

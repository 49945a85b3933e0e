"""Made by ``python -m tools.docs.stubs`` from the docstrings."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

class AccuracyCostDisplay:
    names: Sequence[str]
    costs: ArrayLike
    accuracies: ArrayLike
    lines: Any
    cost_label: str
    oracle: float | None
    points_: Any
    lines_: list[Any]
    oracle_: Any
    text_: list[Any]
    ax_: Any
    figure_: Any
    def __init__(self, names: Sequence[str], costs: ArrayLike, accuracies: ArrayLike, *, lines: Any = ..., cost_label: str = ..., oracle: float | None = ...) -> None: ...
    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike, y: ArrayLike, *, costs: Any = ..., cost_label: str | None = ..., sample_weight: ArrayLike | None = ..., name: str | None = ..., annotate: bool | str = ..., ax: Any = ...) -> Self: ...
    @classmethod
    def from_predictions(cls, names: Sequence[str], costs: ArrayLike, accuracies: ArrayLike, *, lines: Any = ..., cost_label: str = ..., oracle: float | None = ..., annotate: bool | str = ..., ax: Any = ...) -> Self: ...
    def plot(self, *, annotate: bool | str = ..., ax: Any = ...) -> Self: ...
class CorrectSetsDisplay:
    counts: Any
    axes_: dict[Any, Any]
    ax_: Any
    figure_: Any
    def __init__(self, counts: Any) -> None: ...
    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = ..., max_regions: int | None = ..., ax: Any = ...) -> Self: ...
    @classmethod
    def from_predictions(cls, y_true: ArrayLike, predictions: ArrayLike, *, expert_names: Sequence[str] | None = ..., sample_weight: ArrayLike | None = ..., max_regions: int | None = ..., ax: Any = ...) -> Self: ...
    def plot(self, *, max_regions: int | None = ..., ax: Any = ...) -> Self: ...
class DiversityGainDisplay:
    names: Sequence[str]
    diversities: NDArray[Any]
    gains: NDArray[Any]
    points_: Any
    text_: list[Any]
    ax_: Any
    figure_: Any
    def __init__(self, names: Sequence[str], diversities: NDArray[Any], gains: NDArray[Any]) -> None: ...
    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike, y: ArrayLike, *, n_members: int = ..., annotate: bool | str = ..., sample_weight: ArrayLike | None = ..., ax: Any = ..., **kwargs: Any) -> Self: ...
    @classmethod
    def from_predictions(cls, combinations: Any, *, annotate: bool | str = ..., ax: Any = ..., **kwargs: Any) -> Self: ...
    def plot(self, *, annotate: bool | str = ..., ax: Any = ..., **kwargs: Any) -> Self: ...
class ReliabilityDisplay:
    @property
    def expected_calibration_error(self) -> float: ...
    confidence: NDArray[Any]
    accuracy: NDArray[Any]
    share: NDArray[Any]
    name: str | None
    line_: Any
    points_: Any
    ax_: Any
    figure_: Any
    def __init__(self, confidence: NDArray[Any], accuracy: NDArray[Any], share: NDArray[Any], *, name: str | None = ...) -> None: ...
    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike, y: ArrayLike, *, n_bins: int = ..., strategy: str = ..., sample_weight: ArrayLike | None = ..., name: str | None = ..., ax: Any = ..., **kwargs: Any) -> Self: ...
    @classmethod
    def from_predictions(cls, y_true: ArrayLike, y_proba: Any, *, labels: ArrayLike | None = ..., n_bins: int = ..., strategy: str = ..., sample_weight: ArrayLike | None = ..., name: str | None = ..., ax: Any = ..., **kwargs: Any) -> Self: ...
    def plot(self, *, ax: Any = ..., name: str | None = ..., **kwargs: Any) -> Self: ...
class RoutingWeightsDisplay:
    shares: NDArray[Any]
    labels: Any
    expert_names: Sequence[str]
    im_: Any
    bars_: Any
    text_: list[Any]
    ax_: Any
    figure_: Any
    def __init__(self, shares: NDArray[Any], *, labels: Any, expert_names: Sequence[str]) -> None: ...
    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = ..., display_labels: Sequence[str] | None = ..., ax: Any = ..., include_values: bool | str = ..., cmap: Any = ...) -> Self: ...
    @classmethod
    def from_predictions(cls, y_true: ArrayLike, routing_weights: ArrayLike, *, expert_names: Sequence[str] | None = ..., sample_weight: ArrayLike | None = ..., display_labels: Sequence[str] | None = ..., ax: Any = ..., include_values: bool | str = ..., cmap: Any = ...) -> Self: ...
    def plot(self, *, ax: Any = ..., include_values: bool | str = ..., cmap: Any = ...) -> Self: ...

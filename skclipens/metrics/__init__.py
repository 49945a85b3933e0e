"""Metrics of the diversity and calibration of experts, and of the similarity of embeddings."""

from ._calibration import expected_calibration_error
from ._diversity import (
    correct_sets,
    disagreement_matrix,
    headroom_closed_score,
    oracle_accuracy_score,
    permuted_oracle_accuracy_score,
)
from ._similarity import linear_cka, linear_cka_matrix

__all__ = [
    "correct_sets",
    "disagreement_matrix",
    "expected_calibration_error",
    "headroom_closed_score",
    "linear_cka",
    "linear_cka_matrix",
    "oracle_accuracy_score",
    "permuted_oracle_accuracy_score",
]

"""Few-shot splits, and the comparison of an ensemble with simpler classifiers."""

from ._compare import compare_with_baselines
from ._few_shot import FewShotSplit

__all__ = ["FewShotSplit", "compare_with_baselines"]

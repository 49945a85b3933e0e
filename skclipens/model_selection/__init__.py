"""Model selection: splits of few shots, and an ensemble beside what one would take without it."""

from ._compare import compare_with_baselines
from ._few_shot import FewShotSplit

__all__ = ["FewShotSplit", "compare_with_baselines"]

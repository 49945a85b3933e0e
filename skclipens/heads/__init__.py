"""Heads: classifiers that turn the columns of one block into class logits."""

from ..backbones._prompts import DEFAULT_TEMPLATES
from ._clap import CLAPHead
from ._class_names import names_of_classes
from ._clip_adapter import CLIPAdapterHead
from ._cross_modal import CrossModalHead
from ._forest import ForestHead
from ._gda import GDAHead
from ._kernel import KernelHead
from ._linear import LinearDiscriminantHead
from ._linear_probe import LinearProbeHead
from ._logistic import LogisticDiscriminantHead
from ._residual import ResidualHead
from ._tip_adapter import TipAdapterHead
from ._zero_shot import ZeroShotHead

__all__ = [
    "DEFAULT_TEMPLATES",
    "CLAPHead",
    "CLIPAdapterHead",
    "CrossModalHead",
    "ForestHead",
    "GDAHead",
    "KernelHead",
    "LinearDiscriminantHead",
    "LinearProbeHead",
    "LogisticDiscriminantHead",
    "ResidualHead",
    "TipAdapterHead",
    "ZeroShotHead",
    "names_of_classes",
]

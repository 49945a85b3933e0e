"""Many CLIP backbones, one few-shot image classifier, with the scikit-learn API."""

import importlib

__version__ = "0.1.0.dev0"

_HOMES = {
    "AdaptiveBackboneEnsemble": "ensemble",
    "BackboneNotAvailableError": "exceptions",
    "BackboneSelector": "cascade",
    "BlockPCA": "decomposition",
    "CLAPHead": "heads",
    "CLIPAdapterHead": "heads",
    "CLIPEmbedder": "embedding",
    "CascadeClassifier": "cascade",
    "CascadeEnsemble": "cascade",
    "CrossModalHead": "heads",
    "EmbeddingStore": "embedding",
    "EmbeddingStoreError": "exceptions",
    "ForestHead": "heads",
    "GDAHead": "heads",
    "ImageError": "exceptions",
    "ImageRetriever": "retrieval",
    "KernelHead": "heads",
    "LinearDiscriminantHead": "heads",
    "LinearProbeHead": "heads",
    "LogisticDiscriminantHead": "heads",
    "MultiBackboneEmbedder": "embedding",
    "ResidualHead": "heads",
    "SuspectedMistakeWarning": "exceptions",
    "TipAdapterHead": "heads",
    "ZeroShotHead": "heads",
    "list_backbones": "backbones",
    "make_backbone_pipeline": "pipeline",
    "make_table_pipeline": "pipeline",
    "show_versions": "utils",
}

_SUBMODULES = (
    "backbones",
    "cascade",
    "cli",
    "datasets",
    "decomposition",
    "embedding",
    "ensemble",
    "exceptions",
    "heads",
    "images",
    "inspection",
    "labels",
    "metrics",
    "model_selection",
    "pipeline",
    "retrieval",
    "utils",
    "zoo",
)

__all__ = ["__version__", *_HOMES]


def __getattr__(name):
    # Lazy, so that importing the package does not import torch.
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__():
    return sorted([*__all__, *_SUBMODULES])

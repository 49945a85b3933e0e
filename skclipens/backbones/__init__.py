"""Backbones: the names, weights, loading, preprocessing and texts of models.

Here, and in the encoder of :mod:`skclipens.embedding`, is all that knows open_clip and timm.
``_parsing`` reads a spec, ``_spec`` has the ``Backbone`` that it names, ``_pretrained`` knows
activation and preprocessing, ``_weights`` and ``_timm`` build the model, ``_towers`` knows what
comes before its projection, ``_hub`` finds files in the cache of the hub, ``_loading`` keeps models
in memory, and ``_kinds`` makes and reads names of blocks.
"""

from ._catalogue import list_backbones
from ._devices import resolve_device
from ._loading import (
    LoadedBackbone,
    clear_backbone_cache,
    load_backbone,
    load_backbones,
)
from ._spec import Backbone, resolve_backbones

__all__ = [
    "Backbone",
    "LoadedBackbone",
    "clear_backbone_cache",
    "list_backbones",
    "load_backbone",
    "load_backbones",
    "resolve_backbones",
    "resolve_device",
]

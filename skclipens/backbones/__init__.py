"""Backbones: CLIP models and image towers, from their names to loaded models.

Only this subpackage and the encoder of :mod:`skclipens.embedding` run models of open_clip and timm.
``_parsing`` parses a spec, ``_spec`` defines ``Backbone``, ``_pretrained`` finds activation and
preprocessing, ``_weights`` and ``_timm`` build the model, ``_towers`` computes features before the
projection, ``_hub`` finds files in the cache of the hub, ``_loading`` caches models in memory,
``_kinds`` formats and parses names of blocks, and ``_blocks`` finds blocks of columns in a table.
"""

from ._catalogue import list_backbones
from ._devices import resolve_device
from ._loading import LoadedBackbone, clear_backbone_cache, load_backbone, load_backbones
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

"""Backbones: what a CLIP model is called, where its weights are, how it is loaded, its texts.

Here, and in the encoder of :mod:`skclipens.embedding`, is all that knows open_clip. May import
``zoo`` and ``_utils``.
"""

from ._catalogue import list_backbones
from ._devices import resolve_device
from ._errors import BackboneNotAvailableError
from ._loading import (
    LoadedBackbone,
    clear_backbone_cache,
    load_backbone,
    load_backbones,
)
from ._spec import Backbone, resolve_backbones

__all__ = [
    "Backbone",
    "BackboneNotAvailableError",
    "LoadedBackbone",
    "clear_backbone_cache",
    "list_backbones",
    "load_backbone",
    "load_backbones",
    "resolve_backbones",
    "resolve_device",
]

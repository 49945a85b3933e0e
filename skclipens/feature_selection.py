"""Selection of backbones; lives in :mod:`skclipens.cascade`."""

from .cascade import BackboneSelector

__all__ = ["BackboneSelector"]

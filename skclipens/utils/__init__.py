"""Tools for those who extend the package or hand models on: checks of protocols, types of skops."""

from ._skops import skops_trusted_types

__all__ = ["skops_trusted_types"]

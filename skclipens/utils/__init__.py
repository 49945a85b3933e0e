"""Checks of custom heads and routers, and the types that skops has to trust."""

from ._skops import skops_trusted_types

__all__ = ["skops_trusted_types"]

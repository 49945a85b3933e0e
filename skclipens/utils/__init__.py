"""Versions for the report of a bug, checks of custom heads and routers, and types for skops."""

from ._show_versions import show_versions
from ._skops import skops_trusted_types

__all__ = ["show_versions", "skops_trusted_types"]

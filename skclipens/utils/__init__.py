"""Tools for those who extend the package or hand models on: checks of protocols, types of skops.

Imports ``pipeline``, ``cascade`` and all below; only tests import it.
"""

from ._skops import skops_trusted_types

__all__ = ["skops_trusted_types"]

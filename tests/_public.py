"""Modules whose names are public."""

import skclipens

MODULES = [
    "skclipens",
    *(f"skclipens.{name}" for name in skclipens._SUBMODULES if name not in ("cli", "zoo")),
    "skclipens.utils.estimator_checks",
]

"""Warn if classes differ in left and right, and views make a picture and its mirror image alike."""

import re
from contextlib import suppress

from .._utils._warnings import silent, warn
from ..heads import names_of_classes
from ..images._views import are_same_mirrored, resolve_views

_SIDE = re.compile(r"(?<![^\W_])(left|right)(?![^\W_])", re.IGNORECASE)  # no part of a word


def warn_of_mirrored_classes(embedder, classes, class_names):
    """Warn if views embed a mirrored picture like the picture, and classes differ in that alone.

    `classes` are the sorted labels, or None. Numbers without `class_names` are not tested.
    """
    views = resolve_views(embedder.views)
    if classes is None or embedder.keep_plain or not are_same_mirrored(views):
        return
    names = ()
    with silent("Classes"), suppress(ValueError):
        names = names_of_classes(classes, class_names)
    if pair := _differ_in_side(names):
        warn(
            f"Classes {pair[0]!r} and {pair[1]!r} differ in left and right alone, and "
            f"views={embedder.views!r} gives a picture and its mirror image the same embedding. "
            "Leave views out, or set keep_plain=True, which keeps the picture alone beside."
        )


def _differ_in_side(names):
    """Return two names that differ in the words left and right only, or None."""
    first = {}
    for name in names:
        sides = [side.lower() for side in _SIDE.findall(name)]
        rest = " ".join(_SIDE.sub("*", name.lower()).replace("_", " ").split())
        other, its_sides = first.setdefault(rest, (name, sides))
        if its_sides != sides:
            return other, name
    return None

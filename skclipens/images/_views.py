"""Views: parts of a picture, or its mirror image, that are embedded beside the whole."""

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real

WHOLE = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class View:
    """A part of a picture, upright or mirrored.

    Parameters
    ----------
    box : tuple of 4 float, default=(0, 0, 1, 1)
        Left, top, right and bottom, as fractions of the width and height of the picture.
    mirror : bool, default=False
        Whether left and right are exchanged.

    Raises
    ------
    ValueError
        If the box is not inside the picture, or is empty.

    See Also
    --------
    skclipens.MultiBackboneEmbedder : Embeds views, with ``views=[View(), ...]``.

    Examples
    --------
    >>> from skclipens.images import View
    >>> View(box=(0, 0, 0.5, 1), mirror=True)  # the left half
    View(box=(0.0, 0.0, 0.5, 1.0), mirror=True)
    """

    box: tuple = WHOLE
    mirror: bool = False

    def __post_init__(self):
        box = tuple(self.box) if isinstance(self.box, (tuple, list)) else ()
        if len(box) != 4 or not all(isinstance(side, Real) for side in box):
            raise ValueError(
                f"box is four numbers (left, top, right, bottom), fractions of the width and "
                f"height of the picture, not {self.box!r}."
            )
        left, top, right, bottom = box
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ValueError(
                f"box={self.box!r} needs 0 <= left < right <= 1 and 0 <= top < bottom <= 1."
            )
        if not isinstance(self.mirror, bool):
            raise ValueError(f"mirror is True or False, not {self.mirror!r}.")
        object.__setattr__(self, "box", tuple(float(side) for side in box))


PLAIN = View()
_MIRROR = View(mirror=True)
_CROPS = tuple(
    View((left, top, round(left + 0.8, 1), round(top + 0.8, 1)))
    for left, top in [(0, 0), (0.2, 0), (0, 0.2), (0.2, 0.2), (0.1, 0.1)]
)
VIEWS = {
    "mirror": (PLAIN, _MIRROR),
    "crops": (PLAIN, *_CROPS),
    "both": (PLAIN, _MIRROR, *_CROPS),
}


def resolve_views(views):
    """Return the views that a user has named or passed as a list; None for the image alone.

    Raise ValueError if the name is unknown, or a list is empty, holds something else or the same
    view twice.
    """
    if views is None:
        return None
    if isinstance(views, str):
        if views not in VIEWS:
            listed = ", ".join(map(repr, VIEWS))
            raise ValueError(f"views={views!r} is unknown; it is None, {listed} or a list of View.")
        return VIEWS[views]
    found = tuple(views) if isinstance(views, Iterable) else ()
    if not found or not all(isinstance(view, View) for view in found):
        raise ValueError(
            f"views={views!r} needs one or more skclipens.images.View, in a list; None embeds the "
            "image alone."
        )
    if len(set(found)) < len(found):
        raise ValueError(f"views={list(found)!r} has the same view twice; leave one out.")
    return found


def are_same_mirrored(views):
    """Return whether a picture has the same views as its mirror image, in any order."""
    mirrored = {
        View((1 - right, top, 1 - left, bottom), not view.mirror)
        for view in views
        for left, top, right, bottom in [view.box]
    }
    return set(map(_rounded, views)) == set(map(_rounded, mirrored))


def _rounded(view):
    return *(round(side, 6) for side in view.box), view.mirror


def n_passes(views):
    """Return the number of forward passes that an image takes with a user's `views`."""
    return len(resolve_views(views) or [PLAIN])


def crop(picture, edges):
    """Return a part of a PIL image by its edges in pixels; the image itself if it is all of it."""
    return picture if edges == (0, 0, *picture.size) else picture.crop(edges)


def box_in_pixels(box, size):
    """Return left, top, right and bottom in pixels of a part, which is never empty."""
    (left, right), (top, bottom) = (_pixels(*box[i::2], side) for i, side in enumerate(size))
    return left, top, right, bottom


def _pixels(start, stop, size):
    first = min(round(start * size), size - 1)
    return first, max(round(stop * size), first + 1)

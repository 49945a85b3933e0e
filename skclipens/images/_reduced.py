"""Pictures at a fraction of their size, at which JPEG files can be decoded."""

from typing import NamedTuple

from PIL import Image

EXACT = None  # as a side: full size
# With decode="auto", sides of a decoded picture have at least this many times the pixels of the
# resized one: see benchmarks/decoding.py.
DECODE_MARGIN = 3


class Picture(NamedTuple):
    """The result of :func:`skclipens.images.load_image`, also at a fraction of its size.

    Attributes
    ----------
    pixels : PIL.Image.Image
        The picture, of mode "RGB".
    size : tuple of 2 int
        Width and height of the whole picture.
    reduction : int
        Factor by which each side is smaller than in the whole picture.
    is_flipped : tuple of 2 bool
        Whether the file has the right side on the left, and the lower one on top.
    """

    pixels: Image.Image
    size: tuple
    reduction: int = 1
    is_flipped: tuple = (False, False)

    @classmethod
    def whole(cls, pixels):
        """Return a picture at full size."""
        return cls(pixels, pixels.size)

    def reduced(self, edges):
        """Return edges of a part of the whole picture (left, top, right, bottom) in `pixels`."""
        sides = zip(edges, 2 * self.size, 2 * self.pixels.size, 2 * self.is_flipped)
        return [
            # The last pixel of the file may stand for fewer. It comes first where it is flipped.
            reduced_side - (side - edge) / self.reduction if flipped else edge / self.reduction
            for edge, side, reduced_side, flipped in sides
        ]


def reduction_of(opened, side):
    """Return the largest reduction, 1, 2, 4 or 8, that leaves `side` pixels on the shorter side.

    It is 1 for files that are no JPEG, and if all pixels are needed, with a side of None.
    """
    if side is EXACT or opened.format not in ("JPEG", "MPO"):
        return 1
    return next(one for one in (8, 4, 2, 1) if one == 1 or min(opened.size) // one >= side)

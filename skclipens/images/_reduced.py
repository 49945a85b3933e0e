"""Pictures at a fraction of their size, which JPEG files can be decoded at."""

from typing import NamedTuple

from PIL import Image

EXACT = None  # as a side: all pixels that there are


class Picture(NamedTuple):
    """What :func:`skclipens.images.load_image` gives, or the same at a fraction of its size.

    Attributes
    ----------
    pixels : PIL.Image.Image
        The picture, of mode "RGB".
    size : tuple of 2 int
        Width and height of the whole picture.
    reduction : int
        Pixels of the whole to one pixel, along a side.
    """

    pixels: Image.Image
    size: tuple
    reduction: int = 1

    @classmethod
    def whole(cls, pixels):
        """A picture of all its pixels."""
        return cls(pixels, pixels.size)


def reduction_of(opened, side):
    """The largest reduction of a JPEG file whose shorter side still has a number of pixels.

    Parameters
    ----------
    opened : PIL.Image.Image
        As Pillow has opened it, of any format.
    side : int or None
        None: all pixels are needed.

    Returns
    -------
    {1, 2, 4, 8}
        1 for files that are no JPEG.
    """
    if side is EXACT or opened.format not in ("JPEG", "MPO"):
        return 1
    return next(one for one in (8, 4, 2, 1) if one == 1 or min(opened.size) // one >= side)

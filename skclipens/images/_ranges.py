"""Scale pixels to 8 bits by the range of their dtype, and warn if another range seems meant."""

import numpy as np
from PIL import Image

from ._errors import image_error
from ._pillow_warnings import warn_or_record

DARK = 1 / 15.9  # of the range: 12-bit values in 16 bits are below it, and 0 to 16 in 8 bits
_PHOTOMETRIC, _MIN_IS_WHITE = 262, 0  # tags of TIFF, and values
_BITS, _PLANES, _ONE_PER_CHANNEL = 258, 284, 2
_N_PLACES = 16  # pixels that are looked at first
_HARDLY_ANY = 0.1  # of the pixels are opaque or clear if the fourth channel is no alpha
_SOME_PIXELS = 4096  # of those with 16 bits, in which a middle is looked for first
# Of 16 bits: the end of the low values; share and number of values on each side of the middle. Two
# values, or a few, may be a mask.
_NO_MIDDLE, _SIDE, _SEVERAL = 16384, 0.01, 16
_ROUNDING = 1e-3  # of the range of floats; less than half a step of 8 bits


def deep_grey(picture, name):
    """Return 8-bit grey of the modes I, I;16* and F, which Pillow itself would clip at 255."""
    pixels = np.asarray(picture)
    if picture.mode == "F":
        top = 1 if pixels.max() <= 1 + _ROUNDING else 255
        check_pixel_range(pixels, top, name, "mode F must lie in [0, 1] or [0, 255]")
        warn_of_values(pixels, top, name)
        grey = to_uint8(pixels / top)
    elif picture.mode == "I" and picture.format is None and _is_within(pixels, 255):
        grey = pixels.astype(np.uint8)  # Pillow converts 8-bit grey without scaling it
    else:
        check_pixel_range(pixels, 65535, name, f"mode {picture.mode} must lie in [0, 65535]")
        pixels = 65535 - pixels if _is_negative(picture) else pixels
        warn_of_values(pixels, 65535, name)
        grey = to_uint8(pixels.astype(np.uint16))
        if "transparency" in picture.info:
            grey[pixels == picture.info["transparency"]] = 255
    return Image.fromarray(grey)


def _is_negative(picture):
    """Return whether 0 is white, which Pillow handles in TIFF files of 8 bits, but not of 16."""
    return (
        picture.format == "TIFF"
        and picture.mode.startswith("I;16")
        and picture.tag_v2.get(_PHOTOMETRIC) == _MIN_IS_WHITE
    )


def read_planes_as_deep(picture):
    """Let Pillow read planes of 16 bits as such, where it takes each byte for a pixel.

    It does so in an uncompressed TIFF file that holds one channel after the other.
    """
    if picture.format != "TIFF" or picture.tag_v2.get(_PLANES) != _ONE_PER_CHANNEL:
        return
    if 16 in picture.tag_v2.get(_BITS, ()):
        deep = ";16B" if picture.tag_v2.prefix == b"MM" else ";16L"
        picture.tile = [
            one._replace(args=(one.args[0] + deep, *one.args[1:])) if len(one.args[0]) == 1 else one
            for one in picture.tile
        ]


def top_of(dtype):
    """Return the largest value that pixels of a dtype may have."""
    if dtype.kind in "bf":
        return 1
    return 65535 if dtype.kind == "u" and dtype.itemsize == 2 else 255


def check_pixel_range(pixels, top, name, rule):
    """Raise ImageError if pixels are outside of a range that begins at 0."""
    if not _is_within(pixels, top):
        low, high = pixels.min(), pixels.max()
        if low != low:
            raise image_error(name, "pixels are NaN", "Fill them, as np.nan_to_num(image) does.")
        raise image_error(name, f"values run from {low:g} to {high:g}", f"Pixels of {rule}.")


def _is_within(pixels, top):
    # Values that are outside by rounding alone become 0 or 255.
    spare = _ROUNDING * top if pixels.dtype.kind == "f" else 0
    return pixels.min() >= -spare and pixels.max() <= top + spare  # False for NaN


def warn_of_values(pixels, top, name):
    """Warn if pixels are nearly black, or have 16 bits and seem to be numbers with a sign."""
    largest = pixels.max()
    if largest < top * DARK and pixels.min() < largest:
        _warn_of_nearly_black(name, f"largest value is {largest:g} in a range of [0, {top}]")
    elif top == 65535 and _lost_their_sign(pixels):
        warn_or_record(
            name,
            "half of its range is empty, and values are near 0 and near 65535, as numbers below 0, "
            "such as of CT, that were stored without their sign. These are shown as white. Scale "
            "the numbers to 0 to 255 first, as np.interp(numbers, window, [0, 255]).",
        )


def _lost_their_sign(pixels):
    """Return whether values of 16 bits have no middle, and many different ones on both sides."""
    for step in (max(1, pixels.size // _SOME_PIXELS), 1):  # nearly all have a middle in the first
        some = pixels.ravel()[::step]
        low, high = some < _NO_MIDDLE, some >= 65536 - _NO_MIDDLE
        if not (low | high).all():
            return False
    several = (len(np.unique(some[side])) >= _SEVERAL for side in (low, high))
    return min(low.mean(), high.mean()) > _SIDE and all(several)


def warn_of_dark_rgb(rgb, reduction, name):
    """Warn if an RGB picture is nearly black.

    Its brightest pixels are darker if it is read at 1/`reduction` of its size.
    """
    limit = 255 * DARK / reduction
    width, height = rgb.size
    places = [(width * i // _N_PLACES, height * i // _N_PLACES) for i in range(_N_PLACES)]
    if any(max(rgb.getpixel(place)) >= limit for place in places):  # true of nearly all pictures
        return
    bands = rgb.getextrema()
    largest = max(high for _, high in bands)
    if largest < limit and any(low < high for low, high in bands):
        _warn_of_nearly_black(name, f"largest value is {largest} in a range of [0, 255]")


def _warn_of_nearly_black(name, why):
    warn_or_record(
        name,
        f"nearly black, as its {why}. If its values are meant in a smaller range, scale them.",
    )


def is_no_alpha(values):
    """Return whether the values of a fourth channel are hardly ever 0 or the largest."""
    clear_or_opaque = np.mean((values == 0) | (values == top_of(values.dtype)))
    return clear_or_opaque < _HARDLY_ANY and values.min() < values.max()


def warn_of_band(alpha, name):
    """Warn if the alpha of a TIFF file is no alpha: programs declare any fourth band as such."""
    if is_no_alpha(np.asarray(alpha)):
        warn_or_record(
            name,
            "its fourth band seems to be no alpha, as hardly any pixel is opaque or fully "
            "transparent, and colours are laid on white by it. Pass red, green and blue alone.",
        )


def to_uint8(pixels):
    """Return pixels, already in the range of their dtype, as uint8."""
    if pixels.dtype.kind == "f":
        return np.rint(pixels.astype(np.float32) * 255).astype(np.uint8)
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    return pixels.astype(np.uint8)

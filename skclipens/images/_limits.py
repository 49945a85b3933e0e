"""Reasons not to decode a picture: too many pixels, or a format that programs draw."""

import os
import re
import stat
from pathlib import Path

from PIL import Image

from .._utils._file_types import ARRAY, DICOM, HDF5, ZIP, kind_of
from ._containers import is_base64

_DRAWN = "It can hold a program, so it is not drawn here. Convert it to PNG, or drop the row."
_DRAWN_BY_OTHERS = {"EPS"}  # Pillow opens these, but another program draws them
_SIGNS = {
    re.compile(rb"<svg[\s>]", re.I): "an SVG drawing",
    re.compile(rb"\A\s*%PDF"): "a PDF document",
    re.compile(rb"\A\x1f\x8b"): "a compressed file, as of SVGZ",
}
_HTML = re.compile(rb"\s*<(!doctype html|html)", re.I)
_NAME = re.compile(rb"[^\0-\x1f<]{1,1000}\.[A-Za-z0-9]{2,5}")
_UNKNOWN = (
    "not an image file, or of a format that Pillow cannot read",
    "Convert it, say to PNG, or drop the row.",
)
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_UNKNOWN_TIFF = (
    "a TIFF file that is damaged, or whose bands or type of numbers Pillow cannot read",
    "Pass three of its bands as an array, scaled to floats in [0, 1], or save them as PNG.",
)
_ADVICE = {
    ARRAY: "Pass the array that numpy.load returns.",
    HDF5: "Pass the arrays in it, as h5py gives them.",
    DICOM: "Convert it, say to PNG, or pass its pixels as an array, scaled to floats in [0, 1].",
}


def refusal(picture):
    """Return why an opened picture must not be decoded, and what to do; None if it may be."""
    if picture.format in _DRAWN_BY_OTHERS:
        return f"of the format {picture.format}", _DRAWN
    if picture.format == "HDF5":  # of which Pillow knows the name only
        return f"it is {HDF5}", _ADVICE[HDF5]
    limit, (width, height) = Image.MAX_IMAGE_PIXELS, picture.size
    if limit is not None and width * height > limit:
        return _too_large(f"{width} x {height} = {width * height:,}")
    return None


def refusal_of_bomb(error):
    """Return why Pillow refuses to open a picture for its size, and what to do."""
    found = re.search(r"\d+", str(error))
    return _too_large(f"{int(found[0]):,}" if found else "too many")


def _too_large(size):
    limit = Image.MAX_IMAGE_PIXELS
    return (
        f"it has {size} pixels, more than the limit of {limit:,}",
        "Shrink the file. If you trust it, raise the limit: PIL.Image.MAX_IMAGE_PIXELS = ... in "
        "Python, --max-pixels in the shell; a pixel takes up to 14 bytes in each thread.",
    )


def refusal_of_format(source):
    """Return why Pillow cannot read a path or a binary file, and what to do."""
    try:
        start = start_of(source, 4096)
    except OSError:
        return _UNKNOWN
    drawn = (kind for sign, kind in _SIGNS.items() if sign.search(start))
    if not _HTML.match(start) and (kind := next(drawn, None)):  # a web page may contain SVG
        return f"it is {kind}", _DRAWN
    kind = kind_of(start)
    if not isinstance(source, (str, os.PathLike)):
        if _NAME.fullmatch(start):
            return "it is a path as bytes", "Pass it as text: os.fsdecode(path)."
        if is_base64(start):
            return "it is base64 as bytes", "Pass it as text: image.decode()."
    elif kind == ZIP:
        name = f"zip://::{os.fsdecode(source)}"
        advice = f"Drop the row. To embed the pictures in it, pass {name!r} to embed_to, alone."
        return f"it is {kind}", advice
    if kind:
        return f"it is {kind}", _ADVICE.get(kind, "Replace the file or drop the row.")
    return _UNKNOWN_TIFF if start.startswith(_TIFF) else _UNKNOWN


def refusal_below_file(source):
    """Return why nothing is at a path of which a part is a file, and what to do."""
    file = next((one for one in Path(os.fsdecode(source)).parents if one.is_file()), source)
    reason, advice = refusal_of_format(file)
    if ZIP not in reason:
        reason, advice = "it is a file", "Check the path."
    return f"{os.fsdecode(file)!r} is no folder: {reason}", advice


def start_of(source, n_bytes):
    """Return the first bytes of a path or of a BytesIO."""
    if not isinstance(source, (str, os.PathLike)):
        return source.getvalue()[:n_bytes]
    with open(source, "rb") as file:
        return file.read(n_bytes)


def is_special(source):
    """Return whether a path is a pipe, device or socket, which may never begin or end."""
    if not isinstance(source, (str, os.PathLike)):
        return False
    try:
        mode = os.stat(source).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))

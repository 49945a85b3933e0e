"""Images in tables and web pages: cells of Hugging Face, data URLs, base64."""

import binascii
import os
import re
import reprlib
from base64 import b64decode
from urllib.parse import unquote_to_bytes

from ..exceptions import ImageError
from ._errors import image_error

# Start of the base64 code of a JPEG, PNG, GIF, WebP or TIFF file, also in the alphabet of URLs. A
# path may have the same letters, but no path of an image is so long without a dot.
_BASE64 = re.compile(
    r"([/_]9j[/_]|iVBORw0KGgo|R0lGOD|UklGR|SUkqA|TU0AK)[A-Za-z0-9+/_\-\s]{60,}={0,2}\s*"
)
_OF_URLS = bytes.maketrans(b"-_", b"+/")
_LONGEST = 300  # part of a path in a message


def unwrapped(image):
    """Return the path or the content of a cell or text; anything else is returned unchanged.

    Raise ImageError if a dict has neither ``"bytes"`` nor ``"path"``, or base64 is damaged.
    """
    if isinstance(image, dict):
        return _of_cell(image)
    if isinstance(image, str):
        if image[:5].lower() == "data:":
            return _of_data_url(image)
        if _BASE64.fullmatch(image):
            return _decoded(image)
    return image


def is_base64(content):
    """Return whether bytes are base64 of an image file, also if they were truncated."""
    return _BASE64.fullmatch(content.decode("latin-1")) is not None


def name_of(image):
    """Return the path by which an image is known, or None."""
    if isinstance(image, dict):
        image = image.get("path")
    if not isinstance(image, (str, os.PathLike)) or image == "":
        return None
    name = str(os.fsdecode(image))  # messages would show numpy's type of strings
    return None if name[:5].lower() == "data:" or _BASE64.fullmatch(name) else name


def row_named(row, images):
    """Return how messages name the image of a row: its number, and its path if it has one."""
    return called(row, name_of_row(row, images))


def called(row, name):
    """Return how messages name the image of a row; `name` is its path, or None without one."""
    return f"row {row}" if name is None else f"row {row} ({written(name)})"


def written(path):
    """Return how messages write a path, which may be the content of a file as text."""
    return repr(path) if len(path) <= _LONGEST else f"{path[:_LONGEST]!r}..."


def name_of_row(row, images):
    """Return the path by which the image of a row is known, or None."""
    try:
        return None if images is None else name_of(images[row])
    except ImageError:  # the dataset fails to give it
        return None


def _of_cell(cell):
    if not {"bytes", "path"} & cell.keys():
        keys = reprlib.repr(list(cell))
        advice = "Pass the image itself, such as row['image']; a dict has 'bytes' or 'path'."
        raise image_error(f"dict with the keys {keys}", "it is no image", advice)
    content = cell.get("bytes")
    return cell.get("path") if content is None else content


def _of_data_url(text):
    header, _, content = text.partition(",")
    content = unquote_to_bytes(content)
    return _decoded(content) if header.lower().endswith(";base64") else content


def _decoded(text):
    """Return the content that base64 stands for."""
    content = b"".join((text.encode() if isinstance(text, str) else text).split())
    try:
        return b64decode(content.translate(_OF_URLS), validate=True)
    except binascii.Error as error:
        name = f"base64 of {len(content)} letters"
        raise image_error(name, str(error).lower(), "It may have been cut short.") from error

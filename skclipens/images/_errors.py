"""Errors of images that cannot be used."""

import os
import re
import unicodedata
from itertools import product

from ..exceptions import ImageError

_BETWEEN = re.compile(r"['\"]?\s*[;,|]\s*['\"]?")  # paths in one cell, also of a list as text
_ENDINGS = (".jpg", ".JPG", ".jpeg", ".JPEG", ".png", ".PNG")


def image_error(name, reason, advice):
    """Return the error of a named image, which has the reason alone as an attribute."""
    error = ImageError(f"{name} cannot be read as an image: {reason}. {advice}")
    error.reason = reason
    return error


def error_of_other_code(name, error):
    """Return the error of an image for which a dataset or an object raised `error`."""
    reason = f"{type(error).__name__}: {str(error).rstrip('.')}"
    return image_error(name, reason, "Replace it or drop the row.")


SEVERAL = (
    "A row has one image: make a column of each, with an embedder for each in a ColumnTransformer, "
    "or a row of each, with groups."
)


def advice_on_missing(path, advice):
    """Return what to do about a path of no file: advice, unless one is written similarly."""
    parts = _BETWEEN.split(path.strip("[]'\" "))
    if len(parts) > 1 and os.path.exists(parts[0]):
        return f"There are several paths in it. {SEVERAL}"
    if os.sep == "/" and "\\" in path:
        return "Paths of this system have '/' between folders, and no '\\'."
    if stored := _stored_as(path):
        return (
            f"There is a file {stored!a}, whose name is written otherwise: take the names of "
            "files from their folder, as os.listdir gives them."
        )
    return advice


def _stored_as(path):
    """Return the name of a file with other accents, case or blanks, or with an ending; or None."""
    folder, name = os.path.split(path)
    stem, ending = os.path.splitext(name.strip())
    cases = (str, str.lower, str.upper)
    stems = [case(stem) for case in cases]
    endings = [case(ending) for case in cases] if ending else _ENDINGS
    # macOS stores letters and accents separately.
    for form, *parts in product(("NFC", "NFD"), stems, endings):
        other = unicodedata.normalize(form, "".join(parts))
        if os.path.exists(os.path.join(folder, other)):
            return other
    return None

"""Errors of images that cannot be used."""

import os
import re
import reprlib
import unicodedata
from itertools import product
from numbers import Integral, Real

import numpy as np

from .._utils._messages import as_python
from ..exceptions import ImageError

_SHORT = reprlib.Repr()
_SHORT.maxlevel = 1  # of pixels as lists in lists, the outer ones
_BETWEEN = re.compile(r"['\"]?\s*[;,|]\s*['\"]?")  # paths in one cell, also of a list as text
_KINDS = "a path, the bytes of an image file, a PIL image, an array or a tensor"
_ID = re.compile(r"[\w-]+")  # a name without an ending
_MOST_DIGITS = 12  # of a number in the name of a file
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


def error_of_type(image):
    """Return the error of something that is no image in any form."""
    reason, advice = f"it is of type {type(image).__name__}", f"Pass {_KINDS}."
    if isinstance(image, (list, tuple)):
        image = [as_python(x) for x in image]
        advice = f"Pass one image at a time: {_KINDS}."
        paths = [x for x in image if isinstance(x, (str, os.PathLike)) and os.path.splitext(x)[1]]
        if len(image) > 1 and len(paths) == len(image):
            advice = SEVERAL
        elif len(image) == 2 and isinstance(image[1], (str, Real)):
            advice = "If it is an image and its label, pass images alone: [x[0] for x in X]."
        elif (kind := _kind_of_pixels(image)) is not None:
            dtype = ", np.uint8" if kind in "iu" else ""
            advice = (
                f"If these are pixels, pass an array: np.array(image{dtype}). A data set of the "
                "Hugging Face hub gives arrays after with_format('numpy')."
            )
        if image and all(isinstance(x, Real) for x in image):
            advice = "Rows of a table are passed as an array or a DataFrame, such as np.array(X)."
    elif isinstance(image, Integral):
        advice = "If a file has this number as its name, pass its path: f'photos/{number}.jpg'."
    elif hasattr(image, "read"):
        advice = "Pass its content, from its beginning, as image.read() returns it."
    return image_error(_SHORT.repr(image), reason, advice)


def _kind_of_pixels(image):
    """Return the kind of the numbers in lists of lists, as numpy calls it; None for others."""
    if not (image and isinstance(image[0], (list, tuple))):
        return None
    try:
        array = np.asarray(image)
    except ValueError:  # of different lengths
        return None
    return array.dtype.kind if array.dtype.kind in "biuf" else None


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
        is_there = os.path.isfile(path.replace("\\", "/"))
        more = " path.replace('\\\\', '/') is a file." if is_there else ""
        return f"Paths of this system have '/' between folders, and no '\\'.{more}"
    if "?" in path and os.path.isfile(path.partition("?")[0]):
        return "It ends as a URL does, and path.partition('?')[0] is a file."
    if stored := _with_zeros(path):
        return (
            f"There is a file {stored!a}: zeros in front get lost where a column is read as "
            "numbers. Read it as text, as pd.read_csv(..., dtype=str) does."
        )
    if stored := _stored_as(path):
        return (
            f"There is a file {stored!a}, whose name is written otherwise: take the names of "
            "files from their folder, as os.listdir gives them."
        )
    if _ID.fullmatch(os.path.basename(path)):
        return f"{advice} If it is an id, add the folder and the ending: f'photos/{{id}}.jpg'."
    return advice


def _with_zeros(path):
    """Return the name of a file whose number has zeros in front, which the path lacks; or None."""
    folder, name = os.path.split(path)
    stem, ending = os.path.splitext(name)
    if not stem.isdecimal():
        return None
    widths = range(len(stem) + 1, _MOST_DIGITS + 1)
    for width, known in product(widths, [ending] if ending else _ENDINGS):
        other = stem.zfill(width) + known
        if os.path.exists(os.path.join(folder, other)):
            return other
    return None


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

"""Errors of images that cannot be used."""

import os

from ..exceptions import ImageError


def image_error(name, reason, advice):
    """Return the error of a named image, which has the reason alone as an attribute."""
    error = ImageError(f"{name} cannot be read as an image: {reason}. {advice}")
    error.reason = reason
    return error


def error_of_other_code(name, error):
    """Return the error of an image for which a dataset or an object raised `error`."""
    reason = f"{type(error).__name__}: {str(error).rstrip('.')}"
    return image_error(name, reason, "Replace it or drop the row.")


def advice_on_missing(path, advice):
    """Return what to do about a path of no file: advice, unless it is written as on Windows."""
    if os.sep == "/" and "\\" in path:
        return "Paths of this system have '/' between folders, and no '\\'."
    return advice

"""How the error of an image that cannot be used is worded."""

from ..exceptions import ImageError


def image_error(name, reason, advice):
    """The error of an image that has this name, with the reason alone as an attribute."""
    error = ImageError(f"{name} cannot be read as an image: {reason}. {advice}")
    error.reason = reason
    return error

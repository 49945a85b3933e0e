"""How the error of an image that cannot be used is worded."""

from ..exceptions import ImageError


def image_error(name, reason, advice):
    """The error of an image that has this name, with the reason alone as an attribute."""
    error = ImageError(f"{name} cannot be read as an image: {reason}. {advice}")
    error.reason = reason
    return error


def error_of_other_code(name, error):
    """The error of an image that a dataset or an object does not give: what went wrong there."""
    reason = f"{type(error).__name__}: {str(error).rstrip('.')}"
    return image_error(name, reason, "Replace it or drop the row.")

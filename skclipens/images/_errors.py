"""The error of an image that cannot be used."""


class ImageError(ValueError):
    """One image that cannot be used, with the reason and what to do about it.

    See Also
    --------
    load_image : Raises it.
    """


def image_error(name, reason, advice):
    """The error of an image that has this name."""
    return ImageError(f"{name} cannot be read as an image: {reason}. {advice}")

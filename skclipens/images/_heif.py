"""HEIC files, which phones write and Pillow alone cannot read."""

from PIL import Image, UnidentifiedImageError

from .._utils._extras import how_to_install
from ._errors import image_error
from ._limits import start_of

SUFFIXES = (".heic", ".heif", ".hif")
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def open_image(source, name):
    """Open an image as :func:`PIL.Image.open` does, also HEIC files.

    Raise ImageError, which has the name, if it is a HEIC file and pillow-heif is not installed.
    """
    try:
        return Image.open(source)
    except UnidentifiedImageError:
        if not _is_heif(source):
            raise
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        advice = f"Run {how_to_install('pillow-heif')}, or convert it, say to JPEG."
        raise image_error(name, "HEIC files need pillow-heif", advice) from error
    register_heif_opener()
    return Image.open(source)


def _is_heif(source):
    start = start_of(source, 12)
    return start[4:8] == b"ftyp" and start[8:12] in _BRANDS

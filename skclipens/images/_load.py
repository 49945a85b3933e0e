"""Convert one image, in any form, to the RGB picture that a viewer shows."""

import io
import os
import sys
from contextlib import nullcontext

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from .._utils._locks import ForkLock
from .._utils._missing import is_missing
from ..exceptions import ImageError
from ._containers import name_of, unwrapped, written
from ._errors import advice_on_missing, error_of_other_code, error_of_type, image_error
from ._heif import open_image
from ._limits import (
    is_special,
    refusal,
    refusal_below_file,
    refusal_of_bomb,
    refusal_of_format,
)
from ._pillow_warnings import warn_of_frames, warn_or_record
from ._protocols import is_url
from ._ranges import (
    DARK,
    check_pixel_range,
    deep_grey,
    read_planes_as_deep,
    to_uint8,
    top_of,
    warn_of_band,
    warn_of_dark_rgb,
    warn_of_values,
)
from ._reduced import EXACT, Picture, reduction_of

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 0x0112
_SIZE_TAGS = (0xA002, 0xA003)  # width and height
_ON_THEIR_SIDE = (5, 6, 7, 8)
_FLIPPED = (2, 3, 6, 7), (3, 4, 7, 8)  # left and right, top and bottom
_FEWEST_PIXELS = 8  # along a side
CHANNELS = (1, 3, 4)  # grey, RGB, RGBA
_pil_locks, _buffer_locks = ([ForkLock() for _ in range(64)] for _ in range(2))
_shared_files = ForkLock()


def load_image(image):
    """Turn one image, in whatever form, into the RGB picture that a viewer shows.

    Files and PIL images may have any mode. EXIF orientation is applied, also that of a PIL image
    which still has the tag, unless its size shows that it was rotated since. Transparent pixels are
    laid on white. 16-bit grey is scaled to 8 bits. Of an animation, a file or bytes give the first
    frame and a PIL image the current one. Embedded colour profiles (ICC) are ignored, as in CLIP's
    own preprocessing.

    Parameters
    ----------
    image : str, os.PathLike, bytes-like, dict, PIL.Image.Image, array or tensor
        A path, the content of an image file, or pixels. A str may also be a data URL, or the
        base64 code of a JPEG, PNG, GIF, WebP or TIFF file. A dict has the content of a file as
        ``"bytes"``, or else its ``"path"``, as in tables of the Hugging Face hub. An array has
        shape (H, W) or (H, W, C) and a torch tensor (H, W) or (C, H, W), on any device, with C = 1
        (grey), 3 (RGB) or 4 (RGBA). OpenCV reads BGR, which an array does not show: pass
        ``image[..., ::-1]``. The dtype sets the range of the pixels: bool; uint8; uint16 in
        [0, 65535]; any other integer in [0, 255]; float in [0, 1]. PIL mode I counts as
        16-bit. If it was made in memory and has no value above 255, it counts as 8-bit, since
        ``convert("I")`` keeps the values of 8-bit grey. Mode F counts as [0, 1], or as [0, 255] if
        any value exceeds 1.

    Returns
    -------
    picture : PIL.Image.Image of mode "RGB"
        A new image without metadata, so that no later step rotates it again; `image` itself
        is left as it was.

    Raises
    ------
    ImageError
        If the value is missing (None, NaN, NA, NaT, ""), if a file is absent, damaged, not an
        image, a drawing (SVG, EPS, PDF) or has more pixels than ``PIL.Image.MAX_IMAGE_PIXELS``
        (it is then not decoded), or if pixels have a shape, dtype or range that is not listed
        above.

    Warns
    -----
    SuspectedMistakeWarning
        If pixels differ but are all below about 1/16 of their range, as 8-bit values in uint16
        are; if all alpha values are below it; or if a picture with transparent parts has a single
        colour on white, such as a white drawing. The image is read as it is. Also if only the first
        of several pages of a TIFF file is read, or its fourth band seems to be no alpha, or if an
        animation begins with a frame of one colour.

    See Also
    --------
    as_image_list : Splits a collection into images.
    View : A part of an image.

    Examples
    --------
    >>> import numpy as np
    >>> from skclipens.images import load_image
    >>> picture = load_image(np.full((20, 30), 0.4))
    >>> picture.mode, picture.size, picture.getpixel((0, 0))
    ('RGB', (30, 20), (102, 102, 102))
    >>> load_image("no_such_file.png")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    skclipens.exceptions.ImageError: 'no_such_file.png' cannot be read as an image: ...
    """
    return load_pictures(image, [EXACT])[EXACT].pixels


def load_pictures(image, sides, also=()):
    """Return pictures of one image, some of them at a fraction of its size.

    A JPEG file can be decoded at 1/2, 1/4 or 1/8 of its size, which takes a fraction of the time.
    It is decoded once for each fraction that is needed.

    `sides` are the smallest numbers of pixels of the shorter side; None: all there are. `also` has
    further sides, which are included only if they need no extra decoding. Return a dict from sides
    to `Picture`. The forms of an image, and the errors, are those of :func:`load_image`.
    """
    origin, image = name_of(image), unwrapped(image)
    if is_missing(image):
        raise image_error(repr(image), "missing value", "Drop the row or fill in an image.")
    if isinstance(image, (str, os.PathLike)):
        path = str(os.fsdecode(image))  # numpy's strings, too, print as text
        return _read(image, written(path), sides, also)
    if isinstance(image, (bytes, bytearray, memoryview)):
        content = bytes(image)
        name = f"content of {len(content)} bytes" + (f" of {origin!r}" if origin else "")
        return _read(io.BytesIO(content), name, sides, also)
    if isinstance(image, Image.Image):
        name = f"PIL image of mode {image.mode} and size {image.size}"
        return _read(image, name, sides, also)
    return dict.fromkeys([*sides, *also], Picture.whole(_load_pixels(image)))


def _load_pixels(image):
    """Return the RGB picture of an array or a tensor."""
    if is_tensor(image):
        name = f"tensor of shape {tuple(image.shape)} and dtype {image.dtype}"
        return _tensor_to_rgb(image, name)
    if hasattr(image, "__array__"):
        array = _as_array(image)
        name = f"array of shape {array.shape} and dtype {array.dtype}"
        if np.ma.is_masked(image):
            raise image_error(name, "pixels are masked", "Fill them, as image.filled(255) does.")
        return _array_to_rgb(array, name)
    raise error_of_type(image)


def _as_array(image):
    try:
        return np.asarray(image)
    except MemoryError:
        raise
    except Exception as error:  # any error of the object's own code
        raise error_of_other_code(f"object of type {type(image).__name__}", error) from error


def is_tensor(x):
    """Return whether a value is a torch tensor."""
    # Whoever holds a tensor has imported torch; this module must not.
    return isinstance(x, getattr(sys.modules.get("torch"), "Tensor", ()))


def _read(source, name, sides, also):
    """Return RGB pictures of a path, a binary file or a PIL image; errors name the image."""
    if is_special(source):
        raise image_error(name, "it is a pipe or a device", "Name a file, or drop the row.")
    try:
        if isinstance(source, Image.Image):
            return dict.fromkeys([*sides, *also], _read_opened(source, name))
        return _read_file(source, name, sides, also)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes Pillow's plugins raise nearly anything
        raise image_error(name, *_reason_and_advice(error, source)) from error


def _read_opened(picture, name):
    _check_limits(picture, name)
    # Pillow reads an opened file on its first use. Two threads must not do that at once. The same
    # object may be in several rows, or several objects may be parts of one file, such as a tar.
    with _lock_of(picture, _pil_locks), _lock_of_file(picture):
        pixels = _picture_to_rgb(picture, name)
        if not _is_deep(picture):
            warn_of_dark_rgb(pixels, 1, name)
        return Picture.whole(pixels)


def _lock_of(thing, locks):
    return locks[id(thing) // 16 % len(locks)]


def _lock_of_file(picture):
    """Return the lock for reading an opened PIL image from a file that others may read, too."""
    file = getattr(picture, "fp", None)
    if file is None or getattr(picture, "filename", ""):
        return nullcontext()
    return _lock_of(file, _buffer_locks) if isinstance(file, io.BytesIO) else _shared_files


def _read_file(source, name, sides, also):
    pictures, wanted = {}, [*sides, *also]
    while missing := [side for side in sides if side not in pictures]:
        with open_image(source, name) as opened:
            _check_limits(opened, name)
            reductions = {side: reduction_of(opened, side) for side in wanted}
            reduction, size = reductions[missing[0]], opened.size
            if reduction > 1:
                opened.draft(None, [length // reduction for length in size])
            pixels = _picture_to_rgb(opened, name)
            if not pictures and not _is_deep(opened):
                warn_of_dark_rgb(pixels, reduction, name)
            warn_of_frames(opened, pixels, size, name)
            orientation = _orientation(opened)
            if orientation in _ON_THEIR_SIDE:
                size = size[::-1]
        is_flipped = tuple(orientation in some for some in _FLIPPED)
        picture = Picture(pixels, size, reduction, is_flipped)
        pictures |= {side: picture for side in wanted if reductions[side] == reduction}
    return pictures


def _reason_and_advice(error, source):
    """Return why a source cannot be read, and what to do, from the error of reading it."""
    if isinstance(error, FileNotFoundError):
        is_path = not is_url(os.fsdecode(source))
        return "no such file" if is_path else "it is a URL, not a path", _advice_on_path(source)
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return refusal_of_bomb(error)
    if isinstance(error, NotADirectoryError):
        return refusal_below_file(source)
    if isinstance(error, UnidentifiedImageError):
        return refusal_of_format(source)
    if isinstance(source, (str, os.PathLike)) and os.path.isdir(source):
        return "it is a directory", "List the files in it, as skclipens.datasets.load_folder does."
    # The text of an OSError may repeat the path; `strerror` is the reason alone.
    reason = getattr(error, "strerror", None) or str(error).rstrip(".") or repr(error)
    if isinstance(source, Image.Image):
        return reason, "It must not be closed."
    return reason, "Replace the file or drop the row."


def _advice_on_path(source):
    path = os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else ""
    if path.startswith("file://"):
        coded = " and with urllib.parse.unquote, which replaces '%20' and the like" * ("%" in path)
        return f"Write its path, without 'file://'{coded}."
    if is_url(path):
        return "Download it, or embed it with embed_to: here, URLs are not fetched."
    if path.startswith("~"):
        return "'~' is not expanded here: pass os.path.expanduser(path)."
    advice = f"Check the path; a relative one starts at {os.getcwd()!r}."
    if any(sign in path for sign in "*?"):
        advice = "A pattern is no path: pass sorted(Path(folder).glob(pattern))."
    return advice_on_missing(path, advice)


def _check_limits(picture, name):
    if refused := refusal(picture):
        raise image_error(name, *refused)


def _picture_to_rgb(picture, name):
    """Return an RGB copy of a PIL image of any mode, upright and on white."""
    if 0 in picture.size:
        raise image_error(name, f"it has no pixels (size {picture.size})", "Drop the row.")
    read_planes_as_deep(picture)
    picture.load()  # first: TIFF is turned upright, and its orientation tag dropped, here
    orientation = _orientation(picture)
    if _is_deep(picture):
        rgb = deep_grey(picture, name).convert("RGB")
    elif picture.has_transparency_data:
        # Pillow converts premultiplied grey ("La") only to "LA".
        rgba = (picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA")
        rgb = Image.new("RGB", picture.size, "white")
        rgb.paste(rgba, mask=rgba.getchannel("A"))
        _warn_of_blank(rgb, rgba, name)
        if picture.format == "TIFF":
            warn_of_band(rgba.getchannel("A"), name)
    else:
        rgb = picture.convert("RGB")
    if orientation in _TRANSPOSE:
        rgb = rgb.transpose(_TRANSPOSE[orientation])
    rgb.info.clear()
    if min(rgb.size) < _FEWEST_PIXELS:
        warn_or_record(
            name, f"of {rgb.width} x {rgb.height} pixels, on which no model sees anything."
        )
    return rgb


def _is_deep(picture):
    """Return whether `deep_grey` reads a picture, and warns of its values itself."""
    return picture.mode == "F" or picture.mode.startswith("I")


def _warn_of_blank(rgb, rgba, name):
    """Warn if nothing of a picture is left on white, such as of a white drawing."""
    least_opaque, most_opaque = rgba.getextrema()[3]
    if 0 < most_opaque < 255 * DARK:
        warn_or_record(
            name,
            f"nearly white, as its alpha is at most {most_opaque} of 255. If alpha is meant in a "
            "smaller range, scale it.",
        )
    elif least_opaque < 255 and all(low == high for low, high in rgb.getextrema()):
        color = "white" if rgb.getpixel((0, 0)) == (255, 255, 255) else "one colour"
        warn_or_record(
            name,
            f"all {color}, as its transparent parts are laid on white. If it is a white drawing, "
            "lay it on a darker colour.",
        )


def _orientation(picture):
    try:
        exif = picture.getexif()
        orientation = exif.get(_ORIENTATION_TAG)
        if picture.format is None and orientation in _ON_THEIR_SIDE:
            of_file = exif.get_ifd(ExifTags.IFD.Exif)
            width, height = (of_file.get(tag) for tag in _SIZE_TAGS)
            if width != height and picture.size == (height, width):
                return None  # it was rotated in memory, but its tags were kept
        return orientation
    except Exception:  # viewers show a picture with broken metadata as it is stored
        return None


def _tensor_to_rgb(tensor, name):
    try:
        tensor = tensor.detach().cpu()
        if tensor.is_floating_point():
            tensor = tensor.float()  # numpy has no bfloat16
        array = tensor.numpy(force=True)  # also of a lazy negation or conjugation
    except (TypeError, RuntimeError) as error:  # sparse, quantized, nested, without values
        raise image_error(name, str(error).rstrip("."), "Pass a dense one.") from error
    if array.ndim == 3 and array.shape[0] in CHANNELS:
        array = array.transpose(1, 2, 0)
    elif array.ndim == 3:
        swap = "permute(2, 0, 1)" if array.shape[-1] in CHANNELS else None
        raise _wrong_layout(name, "a tensor has its 1, 3 or 4 channels first", swap)
    return _array_to_rgb(array, name)


def _array_to_rgb(array, name):
    if array.ndim not in (2, 3):
        raise image_error(name, "one image has 2 or 3 dimensions", "Pass one image at a time.")
    if array.size == 0:
        raise image_error(name, "it has no pixels", "Drop the row.")
    if array.ndim == 3 and array.shape[-1] not in CHANNELS:
        swap = "transpose(1, 2, 0)" if array.shape[0] in CHANNELS else None
        raise _wrong_layout(name, "an array has its 1, 3 or 4 channels last", swap)
    if array.dtype.kind not in "buif":
        raise image_error(name, "it does not hold pixels", "Pass bool, integers or floats.")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind != "b":
        top = top_of(array.dtype)
        advice = ": scale them, and do not normalise" if array.dtype.kind == "f" else ""
        check_pixel_range(array, top, name, f"{array.dtype} must lie in [0, {top}]{advice}")
        warn_of_values(array[..., :3] if array.ndim == 3 else array, top, name)
    pixels = to_uint8(array)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    return _picture_to_rgb(Image.fromarray(pixels), name)


def _wrong_layout(name, rule, swap):
    return image_error(name, rule, f"Pass image.{swap}." if swap else "A grey one may have none.")

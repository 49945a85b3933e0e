"""Images in any form a user holds them, made ready for a backbone.

:func:`as_image_list` splits a collection (list, array, tensor, frame column) into items and
decodes nothing; :func:`load_image` turns one item into the RGB picture that a viewer shows.
"""

import io
import os
import reprlib
import sys
from collections.abc import Sequence

import numpy as np
from PIL import Image, UnidentifiedImageError

from .._utils._missing import is_missing

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
_CHANNELS = (1, 3, 4)  # grey, RGB, RGBA
_KINDS = "a path, the bytes of an image file, a PIL image, an array or a tensor"


class ImageError(ValueError):
    """One image that cannot be used, with the reason and what to do about it.

    See Also
    --------
    load_image : Raises it.
    """


def as_image_list(X):
    """Split any collection of images into a list of one-image items.

    Nothing is decoded and no pixel is copied or checked: that is for :func:`load_image`.

    Parameters
    ----------
    X : sequence, array, tensor, Series or one-column DataFrame of n images
        - a list, tuple or other sequence of items, of any mix of kinds and sizes;
        - an object or string ndarray of shape (n,) or (n, 1);
        - a numeric ndarray of shape (n, H, W) or (n, H, W, C), C in {1, 3, 4};
        - a torch tensor of shape (n, H, W) or (n, C, H, W);
        - a Series or one-column DataFrame of pandas or polars.

    Returns
    -------
    items : sequence of length n
        What each item may be is said in :func:`load_image`. Items of an array or tensor are
        views. A sequence that is no list or tuple is returned as it is, anything else as a list.

    Raises
    ------
    ValueError
        If X is a single image, is empty, has several columns, or holds no images. A numeric
        array of shape (a, b, c) with c in {1, 3, 4} and a tensor with a in {3, 4} could be
        one colour image or a grey batch: they are refused, and the message gives both ways out.

    See Also
    --------
    load_image : Reads one of them.

    Examples
    --------
    >>> import numpy as np
    >>> from skclipens.images import as_image_list
    >>> as_image_list(("cat.jpg", "dog.jpg"))
    ['cat.jpg', 'dog.jpg']
    >>> [item.shape for item in as_image_list(np.zeros((2, 32, 48, 3), dtype=np.uint8))]
    [(32, 48, 3), (32, 48, 3)]
    """
    if isinstance(X, (str, bytes, bytearray, memoryview, os.PathLike, Image.Image)):
        kind = "path" if isinstance(X, (str, os.PathLike)) else type(X).__name__
        raise ValueError(
            f"Expected a collection of images, got a single one ({kind}): wrap it in a list, "
            "[image]."
        )
    if hasattr(X, "columns"):
        columns = list(X.columns)
        if len(columns) != 1:
            raise ValueError(
                "Expected one column of images, got a frame with "
                f"{len(columns)} columns {reprlib.repr(columns)}: select one."
            )
        X = X[columns[0]]

    if _is_tensor(X):
        items = _split_batch(X, channels_first=True)
    elif hasattr(X, "to_list"):  # a Series of pandas, polars and their like
        items = X.to_list()
    elif hasattr(X, "__array__"):
        items = _split_array(np.asarray(X))
    elif isinstance(X, (list, tuple)):
        items = list(X)
    elif isinstance(X, Sequence):
        items = X  # it may make its items on demand, and all at once may not fit in memory
    else:
        raise ValueError(
            "Expected a list, array, tensor or frame column of images, got "
            f"{type(X).__name__}: pass a list of images, such as list(X) if X iterates over them."
        )
    if not items:
        shape = tuple(getattr(X, "shape", (0,)))
        raise ValueError(
            f"Found array with 0 sample(s) (shape={shape}) while a minimum of 1 is required."
        )
    return items


def load_image(image):
    """Turn one image, in whatever form, into the RGB picture that a viewer shows.

    Files and PIL images may have any mode. EXIF orientation is applied, also that of a PIL
    image which still carries it. Transparent pixels are laid on white. 16-bit grey is scaled
    to 8 bits. Of an animation, a file or bytes give the first frame and a PIL image the
    current one. Embedded colour profiles (ICC) are ignored, as in CLIP's own preprocessing.

    Parameters
    ----------
    image : str, os.PathLike, bytes-like, PIL.Image.Image, array or tensor
        A path, the content of an image file, or pixels. An array has shape (H, W) or
        (H, W, C) and a torch tensor (H, W) or (C, H, W), on any device, with C = 1 (grey),
        3 (RGB) or 4 (RGBA). The dtype sets the range of the pixels: bool; uint8; uint16 in
        [0, 65535]; any other integer in [0, 255]; float in [0, 1]. PIL mode I counts as
        16-bit, mode F as [0, 1], or as [0, 255] if any value exceeds 1.

    Returns
    -------
    picture : PIL.Image.Image of mode "RGB"
        A new image without metadata, so that no later step rotates it again; `image` itself
        is left as it was.

    Raises
    ------
    ImageError
        If the value is missing (None, NaN, NA, NaT, ""), if a file is absent, damaged, too
        large for Pillow's limit or not an image, or if pixels have a shape, dtype or range
        that is not listed above.

    See Also
    --------
    as_image_list : Takes a collection apart.
    View : A part of an image.

    Examples
    --------
    >>> import numpy as np
    >>> from skclipens.images import load_image
    >>> picture = load_image(np.full((2, 3), 0.4))
    >>> picture.mode, picture.size, picture.getpixel((0, 0))
    ('RGB', (3, 2), (102, 102, 102))
    >>> load_image("no_such_file.png")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    skclipens.images.ImageError: 'no_such_file.png' cannot be read as an image: ...
    """
    if is_missing(image):
        raise _error(repr(image), "missing value", "Drop the row or fill in an image.")
    if isinstance(image, (str, os.PathLike)):
        path = os.fsdecode(image)
        name = repr(path) if len(path) <= 300 else f"{path[:300]!r}..."
        return _read(image, name)
    if isinstance(image, (bytes, bytearray, memoryview)):
        content = bytes(image)
        return _read(io.BytesIO(content), f"content of {len(content)} bytes")
    if isinstance(image, Image.Image):
        return _read(image, f"PIL image of mode {image.mode} and size {image.size}")
    if _is_tensor(image):
        name = f"tensor of shape {tuple(image.shape)} and dtype {image.dtype}"
        return _tensor_to_rgb(image, name)
    if hasattr(image, "__array__"):
        array = np.asarray(image)
        return _array_to_rgb(array, f"array of shape {array.shape} and dtype {array.dtype}")
    raise _error(reprlib.repr(image), f"it is of type {type(image).__name__}", f"Pass {_KINDS}.")


def _error(name, reason, advice):
    return ImageError(f"{name} cannot be read as an image: {reason}. {advice}")


def _is_tensor(x):
    # Whoever holds a tensor has imported torch; this module must not.
    return isinstance(x, getattr(sys.modules.get("torch"), "Tensor", ()))


def _split_array(X):
    if X.dtype.kind in "OUT" and X.ndim in (1, 2):
        if X.ndim == 2 and X.shape[1] != 1:
            raise ValueError(
                "Expected one column of images, got an array with "
                f"{X.shape[1]} columns (shape={X.shape}): select one."
            )
        return list(X.ravel())
    return _split_batch(X, channels_first=False)


def _split_batch(X, channels_first):
    shape = tuple(X.shape)
    if shape[:1] == (0,):
        return []
    if len(shape) not in (3, 4):
        raise ValueError(
            f"Expected images, got values of shape {shape} and dtype {X.dtype}: pass a list of "
            "images or a batch of them; one grey image goes in a list, [image]."
        )
    # A tensor of shape (1, H, W) is the same whether read as one image or as a batch of one.
    one_image = shape[0] in (3, 4) if channels_first else shape[-1] in _CHANNELS
    if len(shape) == 3 and one_image:
        add_channel = "X[:, None]" if channels_first else "X[..., None]"
        raise ValueError(
            f"Expected a collection of images, got shape {shape}, which looks like a single one: "
            f"wrap it in a list, [image], or pass {add_channel} if it is a batch of grey images."
        )
    return list(X)


def _read(source, name):
    """RGB picture of a path, a binary file or a PIL image; whatever goes wrong is named."""
    try:
        if isinstance(source, Image.Image):
            return _picture_to_rgb(source, name)
        with Image.open(source) as opened:
            return _picture_to_rgb(opened, name)
    except (ImageError, MemoryError):
        raise
    except FileNotFoundError as error:
        advice = f"Check the path; a relative one starts at {os.getcwd()!r}."
        if "://" in name:
            advice = "Download it first: URLs are not fetched."
        raise _error(name, "no such file", advice) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        advice = "Shrink the file or, if you trust it, raise PIL.Image.MAX_IMAGE_PIXELS."
        raise _error(name, str(error).rstrip("."), advice) from error
    except UnidentifiedImageError as error:
        reason = "not an image file, or of a format that Pillow cannot read"
        raise _error(name, reason, "Convert it, say to PNG, or drop the row.") from error
    except Exception as error:  # a damaged file makes Pillow's plugins raise nearly anything
        if isinstance(source, (str, os.PathLike)) and os.path.isdir(source):
            raise _error(name, "it is a directory", "List the files in it.") from error
        # The text of an OSError may repeat the path; `strerror` is the reason alone.
        reason = getattr(error, "strerror", None) or str(error).rstrip(".") or repr(error)
        in_memory = isinstance(source, Image.Image)
        advice = "It must not be closed." if in_memory else "Replace the file or drop the row."
        raise _error(name, reason, advice) from error


def _picture_to_rgb(picture, name):
    """RGB copy of a PIL image of any mode, upright and on white."""
    if 0 in picture.size:
        raise _error(name, f"it has no pixels (size {picture.size})", "Drop the row.")
    picture.load()  # first: TIFF is turned upright, and its orientation tag dropped, here
    try:
        orientation = picture.getexif().get(_ORIENTATION_TAG)
    except Exception:  # viewers show a picture with broken metadata as it is stored
        orientation = None

    if picture.mode == "F" or picture.mode.startswith("I"):
        rgb = _deep_grey(picture, name).convert("RGB")
    elif picture.has_transparency_data:
        # Pillow reads premultiplied grey ("La") only into "LA".
        rgba = (picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA")
        rgb = Image.new("RGB", picture.size, "white")
        rgb.paste(rgba, mask=rgba.getchannel("A"))
    else:
        rgb = picture.convert("RGB")
    if orientation in _TRANSPOSE:
        rgb = rgb.transpose(_TRANSPOSE[orientation])
    rgb.info.clear()
    return rgb


def _deep_grey(picture, name):
    """8-bit grey of the modes I, I;16* and F, which Pillow itself would clip at 255."""
    pixels = np.asarray(picture)
    if picture.mode == "F":
        _check_range(pixels, 255, name, "mode F must lie in [0, 1] or [0, 255]")
        grey = _to_uint8(pixels if pixels.max() <= 1 else pixels / 255)
    else:
        _check_range(pixels, 65535, name, f"mode {picture.mode} must lie in [0, 65535]")
        grey = _to_uint8(pixels.astype(np.uint16))
        if "transparency" in picture.info:
            grey[pixels == picture.info["transparency"]] = 255
    return Image.fromarray(grey)


def _tensor_to_rgb(tensor, name):
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()  # numpy has no bfloat16
    array = tensor.numpy()
    if array.ndim == 3 and array.shape[0] in _CHANNELS:
        array = array.transpose(1, 2, 0)
    elif array.ndim == 3:
        swap = "permute(2, 0, 1)" if array.shape[-1] in _CHANNELS else None
        raise _wrong_layout(name, "a tensor has its 1, 3 or 4 channels first", swap)
    return _array_to_rgb(array, name)


def _array_to_rgb(array, name):
    if array.ndim not in (2, 3):
        raise _error(name, "one image has 2 or 3 dimensions", "Pass one image at a time.")
    if array.size == 0:
        raise _error(name, "it has no pixels", "Drop the row.")
    if array.ndim == 3 and array.shape[-1] not in _CHANNELS:
        swap = "transpose(1, 2, 0)" if array.shape[0] in _CHANNELS else None
        raise _wrong_layout(name, "an array has its 1, 3 or 4 channels last", swap)
    if array.dtype.kind not in "buif":
        raise _error(name, "it does not hold pixels", "Pass bool, integers or floats.")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind == "f":
        rule = f"{array.dtype} must lie in [0, 1]: scale them, and do not normalise"
        _check_range(array, 1, name, rule)
    elif array.dtype.kind != "b" and array.dtype != np.uint16:
        _check_range(array, 255, name, f"{array.dtype} must lie in [0, 255]")
    pixels = _to_uint8(array)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    return _picture_to_rgb(Image.fromarray(pixels), name)


def _wrong_layout(name, rule, swap):
    return _error(name, rule, f"Pass image.{swap}." if swap else "A grey one may have none.")


def _check_range(pixels, top, name, rule):
    low, high = pixels.min(), pixels.max()
    if not (low >= 0 and high <= top):  # written so that NaN fails too
        raise _error(name, f"values run from {low:g} to {high:g}", f"Pixels of {rule}.")


def _to_uint8(pixels):
    """Pixels already in the range of their dtype, as uint8."""
    if pixels.dtype.kind == "f":
        return np.rint(pixels.astype(np.float32) * 255).astype(np.uint8)
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    return pixels.astype(np.uint8)

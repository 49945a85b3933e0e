"""Check many images before they are read: which are missing, and mistakes that show in many."""

import os
from collections import Counter
from contextlib import suppress

import numpy as np
from PIL import Image, ImageFile

from .._utils._linalg import evenly_spaced
from .._utils._missing import is_missing
from .._utils._warnings import warn
from ..exceptions import ImageError
from ._containers import name_of
from ._load import is_tensor, load_image
from ._pillow_warnings import recorded
from ._ranges import is_no_alpha

# Round numbers; `python -m benchmarks.doubts_of_pictures` measures which images they flag.
_FEWEST = 10  # images; there is no warning about fewer
_ASKED_AGAIN = 5  # images of a dataset: a random flip changes one half of them
_MOST = 32  # arrays that are looked at
_NEARLY_ALL = 0.9  # of the arrays have to look wrong
_HARDLY_ANY = 0.1  # of the pixels of a picture without transparent parts
_FEWEST_SAME = 20  # rows of one image: a few may be copies, as in a class with hardly any images
_SHORTEST, _N_PIXELS = 8, 4096  # sides, and number of pixels, to check heights
_N_ROWS = 64  # rows of pixels of a picture that are looked at
# Ratio of the roughness of pixels in another layout to that as given. Coloured pictures of seven
# data sets: at least 0.88, nearly all above 1.2; scrambled: at most 0.89, nearly all below 0.8.
# With height and width exchanged (see `_other_sides`), pictures of eight sets: nearly all at least
# 0.98; scrambled: nearly all at most 0.75.
_SMOOTHER = 0.85
_ALIKE = 0.25  # correlation of channels, which nearly all pictures in colour have


def refuse_missing(images):
    """Raise ImageError if an image or its file is missing, before hours of work with the others.

    Of a sequence that makes its items on demand, none is looked at.
    """
    for row, image in enumerate(images if isinstance(images, list) else ()):
        if _is_absent(image):
            try:
                with recorded():
                    load_image(image)
            except ImageError as error:
                raise ImageError(f"row {row}: {error}") from error


def _is_absent(image):
    if isinstance(image, dict):
        return image.get("bytes") is None and _is_absent(image.get("path"))
    path = name_of(image)
    return is_missing(image) if path is None else not os.path.exists(path)


def warn_of_images(images):
    """Warn of mistakes that show in many images together, but not in a single one.

    Of a sequence that makes its items on demand, only the first few are looked at.
    """
    if isinstance(images, list):
        _warn_of_pages(images)
    if len(images) < _FEWEST:
        return
    if not isinstance(images, list):
        _warn_of_random_pixels(images)
        _warn_of_lost_transparency(images)
    elif not _warn_of_same_image(images):
        found = _some_pixels(images)
        _warn_of_layout(found)
        _warn_of_alpha(found)


def _warn_of_pages(images):
    """Warn of a file of several pages that is in two rows, which show the same page of it."""
    rows = {}
    for row, image in enumerate(images):
        if not isinstance(image, ImageFile.ImageFile):
            continue
        first, n_pages = rows.setdefault(id(image), row), 1
        with suppress(Exception):  # a damaged file, which embedding reports
            n_pages = image.n_frames if first < row else 1
        if n_pages > 1:
            warn(
                f"Rows {first} and {row} are one PIL image of {n_pages} pages, and show the same "
                f"page, {image.tell()}. An iterator over the pages gives this image each time: "
                "copy each page, as in [page.copy() for page in ImageSequence.Iterator(image)]."
            )
            return


def _warn_of_random_pixels(images):
    """Warn if an image is different each time that it is read."""
    for row in range(_ASKED_AGAIN):
        try:
            with recorded():
                first, second = (_picture_as_array(images[row]) for _ in range(2))
        except Exception:  # an image that cannot be read, which embedding reports
            continue
        if first is not None and not np.array_equal(first, second):
            warn(
                f"The dataset gives other pixels for row {row} when it is asked again, so "
                "embeddings are never the same. Leave random crops, flips and the like out of its "
                "transform."
            )
            return


def _warn_of_lost_transparency(images):
    """Warn if torchvision's loader of files, which leaves transparency out, reads pictures."""
    source = getattr(images, "_source", None)
    loader, samples = getattr(source, "loader", None), getattr(source, "samples", ())
    if getattr(loader, "__module__", None) != "torchvision.datasets.folder":
        return
    for path, *_ in samples[:: -(-len(samples) // _ASKED_AGAIN)]:
        with recorded(), suppress(Exception), Image.open(path) as picture:
            opacity = np.asarray(picture.convert("RGBA").getchannel("A"))
            if np.mean(opacity < 128) > _HARDLY_ANY:
                warn(
                    f"The loader of {type(source).__name__} leaves out the transparency of files "
                    f"such as {path!r}, which makes parts of them black. Pass paths, and these "
                    "parts become white: [path for path, _ in dataset.samples]."
                )
                return


def _picture_as_array(image):
    if isinstance(image, Image.Image):
        return np.asarray(image)
    return _pixels_of(image)[0] if isinstance(image, np.ndarray) or is_tensor(image) else None


def _warn_of_same_image(images):
    """Warn, and return True, if one object that may be filled again is in most rows.

    One file may be meant, as where only other columns of a table vary.
    """
    if len(images) < _FEWEST_SAME:
        return False
    what = [_what_it_is(one) for one in images]
    most, n = Counter(what).most_common(1)[0]
    if n <= len(images) / 2:
        return False
    which = f"All {n} rows" if n == len(images) else f"{n} of {len(images)} rows"
    warn(
        f"{which} are the same image, such as row {what.index(most)}. If it is one array that was "
        "filled again for each row, append a copy of it, as in rows.append(frame.copy())."
    )
    return True


def _what_it_is(image):
    """Return a cheap key that is equal for images of one content or place in memory.

    That of a file, or of none, equals no other.
    """
    if isinstance(image, (str, os.PathLike, bytes)) or is_missing(image):
        return object()
    if isinstance(image, np.ndarray) and image.dtype.kind in "buif":
        return image.__array_interface__["data"], image.shape, image.strides
    if is_tensor(image):
        return _place_of_tensor(image)
    return _memory_of_picture(image) if isinstance(image, Image.Image) else id(image)


def _memory_of_picture(picture):
    if isinstance(picture, ImageFile.ImageFile):
        # Not to be loaded here: it may be damaged, large, or in use by another thread.
        is_unread = picture.tile and getattr(picture, "fp", None)
        return (id(picture.fp), repr(picture.tile)) if is_unread else id(picture)
    try:
        shares_memory = picture.readonly
    except ValueError:  # it is closed, which embedding reports
        return id(picture)
    # Pillow does not expose the address of memory that a PIL image shares with an array.
    if shares_memory:
        return picture.mode, picture.size, hash(picture.tobytes())
    return id(picture)


def _place_of_tensor(tensor):
    try:
        return tensor.device, tensor.data_ptr(), tuple(tensor.shape), tensor.stride()
    except (RuntimeError, NotImplementedError):  # sparse, quantized, without values
        return id(tensor)


def _some_pixels(images):
    """Return row, pixels as in memory, and whether channels are first, of some of the arrays."""
    rows = [row for row, one in enumerate(images) if isinstance(one, np.ndarray) or is_tensor(one)]
    picked = evenly_spaced(np.array(rows, int), _MOST).tolist()
    found = [(row, *_pixels_of(images[row])) for row in picked]
    return [(row, pixels, first) for row, pixels, first in found if _is_picture(pixels)]


def _pixels_of(image):
    """Return an array or tensor as an array, and whether its channels are first."""
    if not is_tensor(image):
        return image, False
    try:
        image = image.detach().cpu()
        pixels = (image.float() if image.is_floating_point() else image).numpy()
        return pixels, pixels.ndim > 2
    except (TypeError, NotImplementedError):  # sparse, quantized, without values
        return None, True


def _is_picture(pixels):
    if pixels is None or pixels.size == 0:
        return False
    return pixels.ndim in (2, 3) and pixels.dtype.kind in "buif"


def _warn_of_alpha(found):
    """Warn if fourth channels are not alpha, which is mostly 0 or its largest value."""
    axis = {True: 0, False: -1}
    alphas = [
        (row, pixels.take(3, axis[first]))
        for row, pixels, first in found
        if pixels.ndim == 3 and pixels.shape[axis[first]] == 4
    ]
    odd = [row for row, alpha in alphas if is_no_alpha(alpha)]
    if len(alphas) >= _FEWEST and len(odd) >= _NEARLY_ALL * len(alphas):
        warn(
            f"The fourth channel seems to be no alpha, such as that of row {odd[0]}: hardly any "
            "pixel is opaque or fully transparent, and colours are laid on white by it. Pass red, "
            "green and blue alone, or followed by alpha."
        )


def _warn_of_layout(found):
    """Warn if pixels were reshaped without moving an axis, or with height and width exchanged."""
    scrambled = _most_scrambled(found, _other_layout)
    if scrambled is not None:
        row, _, channels_first = scrambled
        if channels_first:
            place, way = "last", "reshape(n, H, W, 3).permute(0, 3, 1, 2)"
        else:
            place, way = "first", "reshape(n, 3, H, W).transpose(0, 2, 3, 1)"
        _warn_of_scrambled(row, f"with channels {place}. reshape and view move no axis: use {way}.")
        return
    scrambled = _most_scrambled(found, _other_sides)
    if scrambled is not None:
        row, pixels, channels_first = scrambled
        width, height = pixels.shape[1:] if channels_first else pixels.shape[:2]
        sides = f"that is {width} wide and {height} high"
        _warn_of_scrambled(row, f"{sides}. reshape and view take the height first.")


def _warn_of_scrambled(row, as_of):
    warn(
        f"Pixels seem to be scrambled, such as those of row {row}: in memory, they lie as those of "
        f"a picture {as_of}"
    )


def _most_scrambled(found, other):
    """Return the first picture that is smoother in another layout, if nearly all are, or None."""
    told = [(one, other(*one[1:])) for one in found]
    told = [(one, roughness) for one, roughness in told if roughness is not None]
    wrong = [one for one, roughness in told if roughness < _SMOOTHER]
    is_told = len(told) >= _FEWEST and len(wrong) >= _NEARLY_ALL * len(told)
    return wrong[0] if is_told else None


def _other_layout(pixels, channels_first):
    """Return the roughness with channels at the other end, divided by that as given.

    None if it cannot be decided.
    """
    if pixels.ndim != 3 or not pixels.flags.c_contiguous:  # a transposed one was not reshaped
        return None
    if channels_first:
        n, height, width = pixels.shape
        own, other = np.moveaxis(pixels, 0, -1), pixels.reshape(height, width, n)
    else:
        height, width, n = pixels.shape
        own, other = pixels, np.moveaxis(pixels.reshape(n, height, width), 0, -1)
    if n == 1 or min(height, width) < 2:
        return None
    own, other = _some_rows(own), _some_rows(other)
    if all((one[..., :3] == one[..., :1]).all() for one in own):  # grey, so the channels are right
        return np.inf
    with np.errstate(all="ignore"):  # invalid pixels, which reading reports
        return _roughness(other) / _roughness(own) if _are_alike(other) else np.inf


def _other_sides(pixels, channels_first):
    """Return the roughness with height and width exchanged, divided by that as given.

    Roughness is the difference of pixels above each other, divided by that of pixels that are also
    a quarter of the width to the side, which is larger in pictures. None if it cannot be decided.
    """
    if not pixels.flags.c_contiguous:
        return None
    height, width = pixels.shape[1:] if channels_first else pixels.shape[:2]
    if height == width or min(height, width) < _SHORTEST:
        return None
    flat = pixels[0].ravel() if channels_first else pixels.reshape(height * width, -1)
    own, other = (_difference_above(flat, side) for side in (width, height))
    return other / own if own else None


def _difference_above(flat, width):
    """Return the mean difference of pixels to those above them, relative to others nearby."""
    near = [_difference(flat, width + step) for step in (-(width // 4), width // 4)]
    return _difference(flat, width) / (sum(near) or np.inf)


def _difference(flat, distance):
    some = np.linspace(0, len(flat) - distance - 1, _N_PIXELS).astype(int)
    one, other = (flat[rows].astype(np.float32) for rows in (some, some + distance))
    return float(np.abs(one - other).mean())


def _are_alike(pixels):
    """Return whether the first two channels correlate, as distant parts of a picture hardly do."""
    first, second = np.moveaxis(np.stack(pixels), -1, 0)[:2]
    return np.corrcoef(first.ravel(), second.ravel())[0, 1] > _ALIKE


def _roughness(pixels):
    """Return the mean difference of neighbours, of some rows and those below them."""
    one, below = (rows.astype(np.float32) for rows in pixels)
    return np.abs(below - one).mean() + np.abs(np.diff(one, axis=1)).mean()


def _some_rows(pixels):
    """Return some rows of a picture of shape (H, W, C), and the ones below them."""
    rows = np.linspace(0, len(pixels) - 2, min(len(pixels) - 1, _N_ROWS)).astype(int)
    return pixels[rows], pixels[rows + 1]

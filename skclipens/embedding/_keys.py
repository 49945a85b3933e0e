"""Keys of embeddings: of the content of an image, and of a model."""

import hashlib
import json
import os
import stat
import time
from contextlib import suppress

from ..backbones._pretrained import preprocessing, uses_quick_gelu
from ..exceptions import ImageError
from ..images import load_image
from ..images._containers import unwrapped
from ..images._reduced import DECODE_MARGIN

# Increment it whenever the same file gives another embedding: other rules of `load_image`, another
# resize. Rows that were stored before are then unused, and evicted in time.
PREPROCESS_VERSION = 4


# These take the place of a model's key in a store.
FILE_DIGESTS = "file digests"
IMAGE_WARNINGS = "warnings about images"
_FILE, _PIXELS = b"f", b"p"  # first bytes of keys
_SETTLED = 2 * 10**9  # nanoseconds; no file system in use has coarser times
_MAX_REMEMBERED = 2**18

_remembered = {}  # keys of files by their stamps, in this process


def image_key(image, store=None):
    """Return the key of an image, under which an :class:`~skclipens.EmbeddingStore` keeps it.

    The key of a file depends on its bytes only, not on its place, and not on whether it is given as
    a path or as bytes. The key of PIL images, arrays and tensors depends on their pixels, as
    :func:`skclipens.images.load_image` reads them.

    Parameters
    ----------
    image : str, os.PathLike, bytes-like, PIL.Image.Image, array or tensor
        As :func:`skclipens.images.load_image` takes it.
    store : EmbeddingStore, default=None
        Where digests of files are kept between processes. None: they are kept in this process.

    Returns
    -------
    bytes or None
        17 bytes; None for a missing value, a path that leads to no regular file, and anything that
        :func:`skclipens.images.load_image` does not take. Files and bytes are not decoded, so a
        damaged file has a key.

    See Also
    --------
    model_key : The key of a model.
    skclipens.EmbeddingStore : Keeps rows under both.

    Examples
    --------
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.embedding import image_key
    >>> path = load_emoji().filenames[0]
    >>> with open(path, "rb") as file:
    ...     len({image_key(path), image_key(file.read())})  # one key for the two
    1
    """
    return image_keys([image], store)[0]


def image_keys(images, store=None):
    """Return the keys of images, as :func:`image_key` does: 17 bytes, 16 of a SHA-256, or None.

    The key of an image in memory depends on the picture that ``load_image`` makes of it. Whatever
    changes this picture (a pixel, a palette, transparency, EXIF orientation) changes the key.

    As in git, the digest of a file is kept together with the file's path, device, inode, size and
    times of change. It is used again as long as none of them differs, so a known file costs one
    ``stat``. A file that has changed within the last two seconds is read each time, as a second
    change might then leave no trace. A program that writes to a file, keeps its length and sets all
    of its times back goes unnoticed; POSIX systems do not allow this.
    """
    return keys_and_stamps(images, store)[0]


def keys_and_stamps(images, store):
    """Return the keys of images, and the stamps that files had before they were read."""
    stamps, keys = [], []
    # Each item is taken once, as a sequence may load it each time.
    for image in map(_path_or_content, images):
        stamps.append(file_stamp(image))
        keys.append(None if stamps[-1] else _key_of_content(image))
    files = _keys_of_files([stamp for stamp in stamps if stamp], store)
    return [files.get(stamp) if stamp else key for key, stamp in zip(keys, stamps)], stamps


def _path_or_content(image):
    """Return the path or content of an image; None if it has neither."""
    try:
        return unwrapped(image)
    except ImageError:
        return None


def _key_of_content(image):
    """Return the key of an image in memory; None for a path, and for what is no image."""
    if isinstance(image, (str, os.PathLike)):
        return None
    if isinstance(image, (bytes, bytearray, memoryview)):
        return _FILE + _short(hashlib.sha256(bytes(image)))
    try:
        picture = load_image(image)
    except ImageError:
        return None
    digest = hashlib.sha256(repr(picture.size).encode())
    digest.update(picture.tobytes())
    return _PIXELS + _short(digest)


def is_of_file(key):
    """Return whether a key is that of the content of a file, which is decoded later, if at all."""
    return key is not None and key.startswith(_FILE)


def _short(digest):
    return digest.digest()[:16]


def file_stamp(image):
    """Return path, inode, size and times of a regular file, which change with it; else None."""
    image = _path_or_content(image)
    if not isinstance(image, (str, os.PathLike)):
        return None
    try:
        status = os.stat(image)
    except (OSError, ValueError):
        return None
    return _stamp(image, status) if stat.S_ISREG(status.st_mode) else None


def _stamp(path, status):
    return (
        os.fspath(path),
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _keys_of_files(stamps, store):
    """Return the keys of files by their stamps, without files that cannot be read."""
    keys = {stamp: key for stamp in stamps if (key := _remembered.get(stamp))}
    digests = {stamp: _digest_of(stamp) for stamp in stamps if stamp not in keys}
    if digests and store is not None:
        stored = store._get(list(digests.values()), FILE_DIGESTS)
        keys.update((stamp, stored[at]) for stamp, at in digests.items() if at in stored)
        _remember(keys)
    fresh = _read_keys([stamp for stamp in digests if stamp not in keys])
    settled = {stamp: key for stamp, (key, is_settled) in fresh.items() if is_settled}
    _remember(settled)
    if settled and store is not None:
        store._put([(FILE_DIGESTS, digests[stamp], key) for stamp, key in settled.items()])
    return keys | {stamp: key for stamp, (key, _) in fresh.items()}


def _digest_of(stamp):
    return _short(hashlib.sha256(repr(stamp).encode("utf-8", "backslashreplace")))


def _remember(keys):
    if len(_remembered) > _MAX_REMEMBERED:
        _remembered.clear()
    _remembered.update(keys)


def _read_keys(stamps):
    found = {}
    for stamp in stamps:
        with suppress(OSError):
            found[stamp] = _read_key(stamp)
    return found


def _read_key(stamp):
    """Return the key of a file, and whether it may be remembered by its stamp."""
    path = stamp[0]
    with open(path, "rb") as file:
        now = time.time_ns()
        key = _FILE + _short(hashlib.file_digest(file, "sha256"))
        status = os.fstat(file.fileno())
    changed = max(status.st_mtime_ns, status.st_ctime_ns)
    return key, _stamp(path, status) == stamp and changed < now - _SETTLED


def model_key(backbone, precision, store=None):
    """Return the key of a model and its settings, for an :class:`~skclipens.EmbeddingStore`.

    It is the key of projected features of an image alone, decoded exactly. An embedder adds its
    ``decode="auto"``, pooled features and views to it: ``EmbeddingStore.info()["models"]`` has the
    keys of what is stored.

    The key depends on the content of weights in a file or directory, so that a copy has the same
    key; on the tag of pretrained weights; and on the commit of a repository on the hub.

    Parameters
    ----------
    backbone : Backbone
        The model.
    precision : {"fp32", "bf16", "fp16"}
        The precision itself; ``"auto"`` stands for one of these, depending on the device.
    store : EmbeddingStore, default=None
        As in :func:`image_key`.

    Returns
    -------
    str
        A digest, the same for the same embeddings.

    Raises
    ------
    ValueError
        If the precision is none of these, such as ``"auto"``.

    See Also
    --------
    image_key : The key of an image.
    skclipens.EmbeddingStore : Keeps rows under both.

    Examples
    --------
    >>> from skclipens.backbones import Backbone
    >>> from skclipens.embedding import model_key
    >>> model_key(Backbone("zoo/RN20"), "fp32")
    'zoo/RN20 ... fp32 4'
    """
    if precision not in ("fp32", "bf16", "fp16"):
        raise ValueError(
            f"precision is 'fp32', 'bf16' or 'fp16', not {precision!r}: what 'auto' stands for "
            "depends on the device."
        )
    parts = [backbone.config, preprocessing(backbone), uses_quick_gelu(backbone)]
    parts = [json.dumps(part, sort_keys=True) for part in parts]
    parts += image_keys(backbone.files, store) if backbone.path else backbone.version
    name = backbone.name
    if backbone.path is not None and not name.startswith("zoo/"):
        name = backbone.architecture or "directory"
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
    return f"{name} {digest} {precision} {PREPROCESS_VERSION}"


def block_key(block, precision, decode, store=None):
    """Return the key of the model and settings that make a block of an embedding.

    It is the model's own for projected features of the image alone, decoded exactly.
    """
    key = model_key(block.backbone, precision, store)
    key += f" decoded with margin {DECODE_MARGIN}" if decode == "auto" else ""
    features = block.kind.features
    key += "" if features == "projected" else f" {features}"
    if block.views is None:
        return key
    views = sorted((view.box, view.mirror) for view in block.views)
    return f"{key} views {hashlib.sha256(repr(views).encode()).hexdigest()[:16]}"

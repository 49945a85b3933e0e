"""Decode images to batches of pixels, by threads that work ahead of the consumer."""

from collections import deque
from itertools import islice

import numpy as np
import torch

from .._utils._threads import ThreadPool, n_threads
from ..exceptions import ImageError
from ._load import load_pictures
from ._pillow_warnings import recorded


class Kept:
    """Resized pixels that are kept for later calls, so that no picture is read twice.

    Full pictures are not kept: one of a phone has a thousand times as many pixels. `later` has the
    resizings of later calls, as `resizes` of :func:`decode_batches`, and `pixels` what earlier
    calls have kept, by row and by key of the resizing.
    """

    def __init__(self, later, pixels=None):
        self.later = {key: resize for key, (_, _, *resize) in later.items()}
        self.pixels = {} if pixels is None else pixels


def decode_batches(
    images, rows, resizes, *, batch_size, n_jobs, n_ahead, on_error, pin_memory, notes, kept=None
):
    """Read, decode and resize images in batches.

    Pillow releases the global interpreter lock while it decodes and resizes, so that threads use
    all cores. They end with the generator; close it if it is not exhausted.

    Parameters
    ----------
    images : sequence of images
        As :func:`skclipens.images.load_image` takes them.
    rows : iterable of int
        Rows of these images, in order; read as they are needed.
    resizes : dict of (height, width, side, callable)
        Resizings of a :class:`skclipens.images._reduced.Picture`, each done once; see
        ``backbones._preprocessing``. The shorter side of the picture has at least `side` pixels, or
        all there are.
    batch_size : int
    n_jobs : int or None
        Number of threads, in joblib's sense.
    n_ahead : int
        Number of batches that are made while the caller holds one.
    on_error : {"raise", "nan"}
        Whether an image that cannot be read is an error or left out.
    pin_memory : bool
        Whether to make page-locked tensors, which a GPU reads by itself.
    notes : dict
        Filled with Pillow's warnings, by row.
    kept : Kept, default=None
        Pixels of earlier calls; those for later calls are added to it.

    Yields
    ------
    rows : list of n int
        Rows of the batch that could be read; batches without any are left out.
    pixels : dict of tensors of shape (n, height, width, 3), uint8
        With the keys of `resizes`.

    Raises
    ------
    ImageError
        If an image cannot be read and ``on_error="raise"``; names the row.
    """
    pool = ThreadPool(n_threads(n_jobs), thread_name_prefix="decode")
    begun = deque()
    kept = Kept({}) if kept is None else kept
    try:
        rows = iter(rows)
        while batch := list(islice(rows, batch_size)):
            begun.append(_begin(pool, images, batch, resizes, pin_memory, kept))
            if len(begun) > n_ahead:
                yield from _finish(*begun.popleft(), on_error, notes)
        while begun:
            yield from _finish(*begun.popleft(), on_error, notes)
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(pool, images, rows, resizes, pin_memory, kept):
    """Start to decode a batch; return its rows, its unfilled pixels, and one future per row."""
    options = {"dtype": torch.uint8, "device": "cpu", "pin_memory": pin_memory}
    pixels = {
        key: torch.empty((len(rows), height, width, 3), **options)
        for key, (height, width, *_) in resizes.items()
    }
    outputs = {key: (*resize, pixels[key].numpy()) for key, (_, _, *resize) in resizes.items()}
    futures = [pool.submit(_decode, images, row, outputs, i, kept) for i, row in enumerate(rows)]
    return rows, pixels, futures


def _decode(images, row, outputs, i, kept):
    """Write one image into place i of each output; return Pillow's warnings."""
    resized, texts = kept.pixels.pop(row, {}), []
    lacking = {key: one[:2] for key, one in outputs.items() if key not in resized}
    if lacking:
        more = {key: one for key, one in kept.later.items() if key not in resized}
        with recorded() as texts:
            resized |= _load_resized(images[row], lacking, more)
    for key, (*_, pixels) in outputs.items():
        pixels[i] = resized[key]
    if kept.later:
        kept.pixels[row] = {key: resized[key] for key in kept.later if key in resized}
    return texts


def _load_resized(image, resizes, more):
    """Return pixels of one image by key; of `more`, only those that need no further decoding."""
    sides, also = ([side for side, _ in some.values()] for some in (resizes, more))
    pictures = load_pictures(image, sides, also)
    return {
        key: np.asarray(resize(pictures[side]))
        for key, (side, resize) in {**more, **resizes}.items()
        if side in pictures
    }


def _finish(rows, pixels, futures, on_error, notes):
    """Wait for a batch and yield its readable images, if any."""
    good = []
    for i, (row, future) in enumerate(zip(rows, futures, strict=True)):
        try:
            if texts := future.result():
                notes[row] = texts
        except ImageError as error:
            if on_error == "raise":
                raise ImageError(f"row {row}: {error}") from error
        else:
            good.append(i)
    if len(good) < len(rows):
        pixels = {key: values[good] for key, values in pixels.items()}
    if good:
        yield [rows[i] for i in good], pixels

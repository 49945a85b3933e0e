"""Read embeddings from a store, and compute those that it lacks."""

import json
import os
from collections import defaultdict, deque
from contextlib import closing
from itertools import chain

import numpy as np
from PIL import ImageFile

from .._utils._threads import ThreadPool
from ..exceptions import EmbeddingStoreError, ImageError
from ..images._pillow_warnings import recorded
from ._fallback_store import FallbackStore, warn_of_failure
from ._keys import IMAGE_WARNINGS, block_key, file_stamp, is_of_file, keys_and_stamps
from ._row_cache import row_cache
from ._store import EmbeddingStore

CACHE_CONSTRAINTS = [None, "boolean", str, os.PathLike, EmbeddingStore]
_FEWEST, _MOST = 64, 1024  # numbers of images whose keys are made before they are looked up


def as_store(cache):
    """Return the store that an embedder's parameter ``cache`` means for one call, or None."""
    if cache is None or cache is False or isinstance(cache, FallbackStore):
        return cache or None
    try:
        return FallbackStore(cache if isinstance(cache, EmbeddingStore) else EmbeddingStore(cache))
    except EmbeddingStoreError as error:  # there is no home folder
        warn_of_failure(error)
        return None


def models_of(blocks, precision, decode, store):
    """Return a list of the key and width of each block, as :func:`embed_with_store` takes them.

    Keys are None without a store, as weights may have to be read to make a key.
    """
    if store is None:
        return [(None, block.width) for block in blocks]
    # With this setting, Pillow completes truncated files instead of raising an error.
    more = " of files cut short" if ImageFile.LOAD_TRUNCATED_IMAGES else ""
    return [(block_key(block, precision, decode, store) + more, block.width) for block in blocks]


def embed_with_store(store, images, models, compute, known=None, notes=None):
    """Take embeddings from a store, if there is one, and compute and store those that it lacks.

    Each distinct image is computed once, and only by the models that lack it. Results are stored
    as they come, so that an interrupted run continues where it stopped.

    Parameters
    ----------
    store : EmbeddingStore or None
        Without one, all images are computed in their order, and no key is read.
    images : sequence of n images
        As :func:`skclipens.images.as_image_list` returns them.
    models : list of (key, width)
        Of M models, as :func:`models_of` returns them.
    compute : callable
        ``compute(positions, which)`` yields ``(done, rows)`` for batches of any size. `positions`
        is an iterable of positions in `images`, which are looked up when they are taken. `which`
        are positions in `models`, `done` some of `positions`, and `rows` their embeddings, of
        shape (len(done), sum of the widths of `which`). It may be called several times, never
        twice with the same position. A position that it leaves out stays NaN.
    known : tuple of lists, default=None
        Result of :func:`keys_and_stamps`. None: a thread makes keys while images are embedded.
    notes : dict, default=None
        Warnings about images, by row. Those of images that are computed are stored with their
        embeddings, if `compute` has added them before it yields; those of stored images are added.

    Returns
    -------
    ndarray of shape (n, sum of widths), float32
        One block of columns per model.

    Notes
    -----
    A row is not stored if it has a NaN, if its file was written to meanwhile, or if
    :func:`image_keys` returns None for its image. Processes that lack the same image at the same
    time both compute it.
    """
    if store is None:
        values = _empty_table(images, models)
        for done, rows in compute(range(len(images)), range(len(models))):
            values[done] = rows
        return values
    table = _Table(store, images, models, known, {} if notes is None else notes)
    with closing(table.lacking_all()) as lacking:
        first = next(lacking, None)
        if first is not None:
            with store._held():
                table.fill(compute, chain([first], lacking), range(len(models)))
    if table.lacking_some:
        with store._held():
            for which, positions in table.lacking_some.items():
                table.fill(compute, iter(positions), which)
    for row, first in table.copies.items():
        table.values[row] = table.values[first]
    return table.values


def _empty_table(images, models):
    return np.full((len(images), sum(width for _, width in models)), np.nan, np.float32)


class _Table:
    """The table that is filled, with the keys and stamps of its images so far."""

    def __init__(self, store, images, models, known, notes):
        ends = np.cumsum([width for _, width in models])
        self.store, self.images, self.models = store, images, models
        self.known, self.notes = known, notes
        self.blocks = [slice(end - width, end) for end, (_, width) in zip(ends, models)]
        self.values = _empty_table(images, models)
        self.keys, self.stamps = [], []
        self.first = {}  # positions by key
        self.copies = {}  # positions of repeated images, and of their first occurrence
        self.lacking_some = defaultdict(list)  # positions by the models that lack them

    def lacking_all(self):
        """Yield positions that all models lack; fill the others, or note which models lack them."""
        if self.known is not None:
            yield from self._look_up(range(len(self.images)), *self.known)
            return
        parts = _parts(len(self.images))
        # While nothing has to be embedded, a thread would only be in the way of reading rows.
        for rows in parts:
            made = _keys_of_part(self.images, rows, self.store, self.notes)
            lacking = list(self._look_up(rows, *made))
            yield from lacking
            if lacking or self.lacking_some:
                break
        with closing(keys_ahead(self.images, parts, self.store, self.notes)) as parts:
            for part in parts:
                yield from self._look_up(*part)

    def _look_up(self, rows, keys, stamps):
        self.keys += keys
        self.stamps += stamps
        fresh = [row for row in rows if self._is_first(row)]
        for row, lacking in zip(fresh, (~self._read(np.array(fresh, int))).tolist()):
            if all(lacking):
                yield row
            elif any(lacking):
                self.lacking_some[tuple(np.flatnonzero(lacking).tolist())].append(row)

    def _is_first(self, row):
        key = self.keys[row]
        first = row if key is None else self.first.setdefault(key, row)
        if first != row:
            self.copies[row] = first
        return first == row

    def _read(self, rows):
        """Fill some rows from the store; return which of them M models have, (n, M)."""
        found = np.zeros((len(rows), len(self.models)), bool)
        keys = [self.keys[row] for row in rows]  # None: an image that has no key
        asked = [key for key in keys if key]
        for m, (model, width) in enumerate(self.models):
            size = width * np.dtype(np.float32).itemsize
            stored = _read_values(self.store, asked, model)
            stored = {key: row for key, row in stored.items() if len(row) == size}
            at = [i for i, key in enumerate(keys) if key in stored]
            if at:
                found[at, m] = True
                read = np.frombuffer(b"".join([stored[keys[i]] for i in at]), np.float32)
                self.values[rows[at], self.blocks[m]] = read.reshape(-1, width)
        self._recall(rows[found.any(axis=1)].tolist())
        return found

    def _recall(self, rows):
        """Add what was said of files when they were decoded to the notes."""
        files = {self.keys[row]: row for row in rows if is_of_file(self.keys[row])}
        for key, text in _read_values(self.store, list(files), IMAGE_WARNINGS, b"").items():
            if text:
                self.notes[files[key]] = json.loads(text)

    def fill(self, compute, positions, which):
        """Compute rows by some of the models, and store them."""
        columns = np.r_[tuple(self.blocks[m] for m in which)]
        for done, rows in compute(positions, which):
            done = np.asarray(done, int)
            self.values[done[:, None], columns] = rows
            kept = [i for i in done if self.keys[i] and self._unchanged(i)]
            entries = [
                (self.models[m][0], self.keys[i], self.values[i, self.blocks[m]])
                for m in which
                for i in kept
            ]
            whole = [entry for entry in entries if not np.isnan(entry[2]).any()]
            texts = [
                (IMAGE_WARNINGS, self.keys[i], json.dumps(self.notes[i]).encode())
                for i in kept
                if i in self.notes and is_of_file(self.keys[i])
            ]
            self.store._put([*texts, *((model, key, row.tobytes()) for model, key, row in whole)])

    def _unchanged(self, i):
        """Return whether a file is unchanged; True for other images, which may be costly to get."""
        return self.stamps[i] is None or file_stamp(self.images[i]) == self.stamps[i]


def _parts(n):
    """Yield rows in parts; the first are small, so that embedding begins at once."""
    start, size = 0, _FEWEST
    while start < n:
        yield range(start, min(start + size, n))
        start, size = start + size, min(2 * size, _MOST)


def keys_ahead(images, parts, store, notes):
    """Yield parts of the rows, with keys and stamps of their images, which a thread makes ahead.

    Warnings about images are added to `notes` by row: stored images are not decoded again.
    """
    parts, begun = iter(parts), deque()
    pool = ThreadPool(1, thread_name_prefix="keys")
    try:
        while True:
            # No more than these: a file is best decoded while the system still has it in memory.
            while len(begun) < 2 and (rows := next(parts, None)) is not None:
                begun.append((rows, pool.submit(_keys_of_part, images, rows, store, notes)))
            if not begun:
                return
            rows, future = begun.popleft()
            yield rows, *future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _keys_of_part(images, rows, store, notes):
    with recorded() as texts:
        return keys_and_stamps(_noting(images, rows, texts, notes), store)


def _noting(images, rows, texts, notes):
    """Yield images, and add the warnings that are recorded for each to `notes`."""
    for row in rows:
        n = len(texts)
        try:
            yield images[row]
        except ImageError:  # a dataset fails to give it, which embedding reports
            yield None
        if len(texts) > n:
            notes[row] = texts[n:]


def _read_values(store, keys, model, missing=None):
    """Return stored values by key, as bytes, from memory or else from the disk.

    If `missing` is given, it is the value of keys that have none.
    """
    known = row_cache.get_many(store.file, model, keys)
    rest = [key for key in keys if key not in known]
    if not rest:
        return known
    read = store._get(rest, model)
    if missing is not None:
        read = dict.fromkeys(rest, missing) | read
    row_cache.put_many(store.file, model, read)
    return known | read

"""Embeddings from a store, and computed where it lacks them."""

import numpy as np

from ._keys import file_stamp, keys_and_stamps
from ._lenient import LenientStore
from ._memory import memory
from ._store import EmbeddingStore


def as_store(cache):
    """The store that an embedder's parameter ``cache`` means in one call, or None."""
    if cache is None or cache is False or isinstance(cache, LenientStore):
        return cache or None
    return LenientStore(cache if isinstance(cache, EmbeddingStore) else EmbeddingStore(cache))


def embed_with_store(store, images, models, compute, known=None):
    """Take embeddings from a store, and compute and store those that it lacks.

    Each distinct image is computed once, and only by the models that lack it. Results are stored
    as they come, so that a run that is broken off goes on where it stopped.

    Parameters
    ----------
    store : EmbeddingStore
    images : list of n images
        As :func:`skclipens.images.as_image_list` gives them.
    models : list of (key, width)
        Of M models; keys as :func:`model_key` gives them.
    compute : callable
        ``compute(positions, which)`` yields ``(done, rows)`` for batches of any size: `positions`
        are positions in `images`, `which` those in `models`, `done` some of `positions` and `rows`
        their embeddings, of shape (len(done), sum of the widths of `which`). It may be called
        several times, never twice with the same position. A position that it leaves out stays
        NaN.
    known : tuple of lists, default=None
        What :func:`keys_and_stamps` gives, if it was called before the images were read.

    Returns
    -------
    ndarray of shape (n, sum of widths), float32
        One block of columns per model.

    Notes
    -----
    A row with a NaN is not stored, nor is one of a file that was written to meanwhile, nor of what
    :func:`image_keys` gives no key. Processes that lack the same image at the same time both
    compute it.
    """
    keys, stamps = keys_and_stamps(images, store) if known is None else known
    first = {}
    source = np.array([i if k is None else first.setdefault(k, i) for i, k in enumerate(keys)])
    ends = np.cumsum([width for _, width in models])
    blocks = [np.arange(end - width, end) for end, (_, width) in zip(ends, models)]
    out = np.full((len(images), ends[-1]), np.nan, np.float32)
    lacking = np.repeat((source == np.arange(len(images)))[:, None], len(models), axis=1)
    if first:
        known = list(first.values())
        found, out[known] = _read(store, list(first), models, blocks)
        lacking[known] = ~found
    if not lacking.any():
        return out[source]

    with store._held():
        for pattern in np.unique(lacking[lacking.any(axis=1)], axis=0):
            which = np.flatnonzero(pattern)
            columns = np.concatenate([blocks[m] for m in which])
            for done, rows in compute(np.flatnonzero((lacking == pattern).all(axis=1)), which):
                done = np.asarray(done, int)
                out[done[:, None], columns] = rows
                kept = [i for i in done if keys[i] and _unchanged(images, i, stamps[i])]
                entries = [(models[m][0], keys[i], out[i, blocks[m]]) for m in which for i in kept]
                whole = [entry for entry in entries if not np.isnan(entry[2]).any()]
                store._put([(model, key, row.tobytes()) for model, key, row in whole])
    return out[source]


def _unchanged(images, i, stamp):
    """Whether a file is as it was; what is no file, and may be costly to get, cannot change."""
    return stamp is None or file_stamp(images[i]) == stamp


def _read(store, keys, models, blocks):
    """Which of M models have stored rows of n images, (n, M), and the rows, else NaN."""
    found = np.zeros((len(keys), len(models)), bool)
    rows = np.full((len(keys), blocks[-1][-1] + 1), np.nan, np.float32)
    for m, (model, width) in enumerate(models):
        stored = _read_model(store, keys, model, width)
        at = [i for i, key in enumerate(keys) if key in stored]
        if at:
            found[at, m] = True
            rows[np.ix_(at, blocks[m])] = [stored[keys[i]] for i in at]
    return found, rows


def _read_model(store, keys, model, width):
    """Rows of one model by key, from memory or else from the store."""
    known = memory.get_many(store.file, model, keys)
    rest = [key for key in keys if key not in known]
    if not rest:
        return known
    rows = {key: np.frombuffer(v, np.float32) for key, v in store._get(rest, model).items()}
    read = {key: row for key, row in rows.items() if len(row) == width}
    memory.put_many(store.file, model, read)
    return known | read

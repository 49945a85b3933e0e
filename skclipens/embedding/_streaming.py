"""Embeddings of more images than memory holds, as a folder of Parquet files.

:meth:`skclipens.MultiBackboneEmbedder.embed_to` writes such a folder, of the files that ``_folder``
knows, and ``_parts`` reads it.
"""

from contextlib import closing, suppress
from numbers import Integral
from typing import NamedTuple

import numpy as np
from joblib import delayed, parallel_config
from PIL import Image, ImageFile
from sklearn.base import clone
from sklearn.utils import check_scalar

from .._utils._progress import progress, results_of
from ..backbones._devices import resolve_precision
from ..images._pillow_warnings import warn_of
from ._folder import Folder, chunks_of, content_of, fingerprint_of, marks_of, require_pyarrow
from ._keys import block_key
from ._reading import as_store
from ._unreadable import unreadable_rows

_VERSION = 1


class Task(NamedTuple):
    """What the chunks of one call share, in any process.

    Attributes
    ----------
    embedder : BaseEmbedder
        It gives rows of NaN for images that cannot be read; these are read again, to name them.
    table : Folder
    manifest : dict
    on_error : {"raise", "nan"}
    pillow : tuple
        ``Image.MAX_IMAGE_PIXELS`` and ``ImageFile.LOAD_TRUNCATED_IMAGES`` of the process that made
        the call.
    """

    embedder: object
    table: Folder
    manifest: dict
    on_error: str
    pillow: tuple


def embed_to(embedder, folder, X, *, protocols, chunk_size, resume):
    """Embed each chunk of images to a file; see the method of the embedders."""
    from ..images._files import find_images

    require_pyarrow()
    embedder._validate_params()
    check_scalar(chunk_size, "chunk_size", Integral, min_val=1)
    table = Folder(folder)
    images = find_images(X, protocols, embedder.on_error)
    task = _task(embedder, table, images, chunk_size)
    manifest, chunks = task.manifest, chunks_of(len(images), chunk_size)
    # Made before anything is read: a file that changes meanwhile has another stamp next time.
    stamps = {name: images.part(start, stop).stamp() for name, start, stop in chunks}
    listed, earlier = table.begin(manifest, stamps, resume)
    table.remove(name for name in table.files() if stamps.get(name) != earlier.get(name))
    marks = marks_of({**manifest, "stamps": stamps})
    parts, with_unreadable = _whole_parts(table, chunks, marks, listed)
    todo = [chunk for chunk in chunks if chunk[0] not in parts or chunk[0] in with_unreadable]
    notes = {}
    try:
        with closing(_written(task, images, todo, marks, {**parts}, embedder.verbose)) as written:
            for name, fingerprint, of_part in written:
                parts[name] = fingerprint
                notes |= of_part
    except BaseException:
        with suppress(Warning):  # a filter may make errors of warnings
            warn_of(notes, images.names)  # the next call does not read these images again
        raise
    finally:
        if (parts, stamps) != (listed, earlier) and table.is_of(manifest):
            table.write_manifest({**manifest, "stamps": stamps, "parts": parts})
    table.end(manifest, [name for name, _, _ in chunks])
    warn_of(notes, images.names)
    return [table.address(name) for name, _, _ in chunks]


def _task(embedder, table, images, chunk_size):
    """Return the task of one call, with all in its manifest that the table's values depend on."""
    blocks, pillow = embedder._blocks(), (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    # Resolved here, as "auto" may mean something else on another machine.
    precision = resolve_precision(embedder.precision, embedder._devices()[0])
    options = {"precision": precision, "on_error": "nan", "verbose": False}
    options["cache"] = as_store(embedder.cache)  # one for all chunks: it warns once
    manifest = {
        "version": _VERSION,
        "n_images": len(images),
        "images": images.digest(),
        "n_refused": images.n_refused,
        "chunk_size": int(chunk_size),
        "models": [block_key(block, precision, embedder.decode) for block in blocks],
        "widths": {block.kind.name: block.width for block in blocks},
        "normalize": bool(embedder.normalize),
        "load_truncated": bool(ImageFile.LOAD_TRUNCATED_IMAGES),
    }
    return Task(clone(embedder).set_params(**options), table, manifest, embedder.on_error, pillow)


def _whole_parts(table, chunks, marks, listed):
    """Return fingerprints of undamaged parts, and those with unreadable rows; remove others."""
    whole, with_unreadable, present = {}, set(), table.files()
    for name, start, stop in chunks:
        if name in present:
            try:
                frame, whole[name] = table.read(name, stop - start, marks[name], listed.get(name))
            except ValueError:
                table.remove([name])
                continue
            if unreadable_rows(frame).any():
                with_unreadable.add(name)
    return whole, with_unreadable


def _written(task, images, todo, marks, parts, verbose):
    """Write the files of some chunks; yield their names, fingerprints, and warnings by row."""
    calls = (
        delayed(_write_part)(task, images.part(start, stop), name, marks[name], parts.get(name))
        for name, start, stop in todo
    )
    n_todo = sum(stop - start for _, start, stop in todo)
    with progress(len(images), verbose, initial=len(images) - n_todo) as bar:
        # One chunk per task: joblib would bundle them, and a lost worker lose the bundle.
        written = results_of(calls, batch_size=1)
        for (name, start, stop), (fingerprint, notes) in zip(todo, written, strict=True):
            yield name, fingerprint, {start + row: texts for row, texts in notes.items()}
            bar.update(stop - start)


def _write_part(task, images, name, mark, earlier):
    """Embed one chunk in any process; return the fingerprint of its file, and warnings by row.

    If the chunk has a file with the fingerprint `earlier`, only its unreadable rows are embedded.
    """
    import pandas as pd

    known = None
    if task.table.holds(name):
        try:
            known, fingerprint = task.table.read(name, len(images), mark)
        except ValueError:  # damaged, or of another call that is still going
            task.table.require_same(task.manifest)
        else:
            if fingerprint != earlier:  # written by a worker that seemed lost
                return fingerprint, {}
    Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = task.pillow
    # n_jobs means threads of this machine; Dask would count those of the cluster.
    with parallel_config(backend="threading"):
        values, notes = _embed_part(task, images, known)
    if task.on_error == "raise":
        for row in np.flatnonzero(unreadable_rows(values)):
            images.check(row)
            raise OSError(
                f"Row {images.start + row}, {images.names[row]!r}, could be read only when it was "
                "tried again. Call embed_to once more, which goes on where it stopped."
            )
    frame = pd.DataFrame(
        values,
        index=pd.Index(images.names, name="image", dtype=object),
        columns=task.embedder.get_feature_names_out(),
    )
    if frame.equals(known):
        return earlier, notes
    content = content_of(frame, mark)
    task.table.require_same(task.manifest)  # a worker can outlive its call, which was killed
    task.table.write(name, content)
    return fingerprint_of(content), notes


def _embed_part(task, images, known):
    """Return the embeddings of a chunk, and warnings by row; `known` is its frame, if any."""
    if known is None:
        is_part = len(images) < task.manifest["n_images"]
        return task.embedder._transform(images, is_part)
    unreadable = unreadable_rows(known)
    values, notes = task.embedder._transform(images.only(unreadable), is_part=True)
    return np.where(unreadable[:, None], values, known), notes

"""Embeddings of more images than memory holds, as a folder of Parquet files.

:meth:`skclipens.MultiBackboneEmbedder.embed_to` writes such a folder, and ``_parts`` reads it.
"""

import hashlib
import io
import json
import os
import re
import uuid
from contextlib import suppress
from numbers import Integral

import numpy as np
from joblib import delayed, parallel_config
from PIL import Image, ImageFile
from sklearn.base import clone
from sklearn.utils import check_scalar

from .._utils._extras import require
from .._utils._progress import progress, results_of
from ..backbones._devices import resolve_precision
from ..images._pillow_warnings import warn_of
from ..images._protocols import is_url
from ._keys import block_key
from ._reading import as_store
from ._unreadable import unreadable_rows

MANIFEST = "_manifest.json"  # readers of Parquet folders skip names with a leading "_"
_VERSION = 1
_MARK = "made_for"  # attribute of a part's frame, which the file keeps
_PART = re.compile(r"part-\d{6,}\.parquet")
_UNFINISHED = re.compile(rf"\.({_PART.pattern}|{re.escape(MANIFEST)})\.[0-9a-f]{{32}}")


def embed_to(embedder, folder, X, *, protocols, chunk_size, resume):
    """Embed each chunk of images to a file; see the method of the embedders."""
    from ..images._files import find_images

    require_pyarrow()
    embedder._validate_params()
    check_scalar(chunk_size, "chunk_size", Integral, min_val=1)
    table = Folder(folder)
    images = find_images(X, protocols, embedder.on_error)
    task, manifest = _task_and_manifest(embedder, images, chunk_size)
    chunks = chunks_of(len(images), chunk_size)
    # Made before anything is read: a file that changes meanwhile has another stamp next time.
    stamps = {name: images.part(start, stop).stamp() for name, start, stop in chunks}
    listed, earlier = table.begin(manifest, stamps, resume)
    table.remove(name for name in table.files() if stamps.get(name) != earlier.get(name))
    marks = marks_of({**manifest, "stamps": stamps})
    parts, with_unreadable = _whole_parts(table, chunks, marks, listed)
    todo = [chunk for chunk in chunks if chunk[0] not in parts or chunk[0] in with_unreadable]
    n_todo = sum(stop - start for _, start, stop in todo)
    options = {"manifest": manifest, "on_error": embedder.on_error, "is_part": len(chunks) > 1}
    options["pillow"] = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    tasks = (
        delayed(_write_part)(
            task,
            images.part(start, stop),
            table,
            name,
            mark=marks[name],
            earlier=parts.get(name),
            **options,
        )
        for name, start, stop in todo
    )
    notes = {}
    try:
        with progress(len(images), embedder.verbose, initial=len(images) - n_todo) as bar:
            # One chunk per task: joblib would bundle them, and a lost worker lose the bundle.
            written = results_of(tasks, batch_size=1)
            for (name, start, stop), (fingerprint, of_part) in zip(todo, written, strict=True):
                parts[name] = fingerprint
                notes.update((start + row, texts) for row, texts in of_part.items())
                bar.update(stop - start)
    finally:
        if (parts, stamps) != (listed, earlier) and table.is_of(manifest):
            table.write_manifest({**manifest, "stamps": stamps, "parts": parts})
    table.end(manifest, [name for name, _, _ in chunks])
    warn_of(notes, images.names)
    return [table.address(name) for name, _, _ in chunks]


def _whole_parts(table, chunks, marks, listed):
    """Return fingerprints of undamaged parts, and those with unreadable rows; remove others."""
    whole, with_unreadable, present = {}, set(), table.files()
    for name, start, stop in chunks:
        if name in present:
            try:
                frame, whole[name] = table.read(name, stop - start, marks, listed)
            except ValueError:
                table.remove([name])
                continue
            if unreadable_rows(frame).any():
                with_unreadable.add(name)
    return whole, with_unreadable


def _task_and_manifest(embedder, images, chunk_size):
    """Return the embedder of a single chunk, and all that the table's values depend on."""
    blocks = embedder._blocks()
    # Resolved here, as "auto" may mean something else on another machine.
    precision = resolve_precision(embedder.precision, embedder._devices()[0])
    # Images that cannot be read are read again afterwards, to name them in the error.
    task = clone(embedder).set_params(precision=precision, on_error="nan", verbose=False)
    task.set_params(cache=as_store(embedder.cache))  # one for all chunks: it warns once
    return task, {
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


def _write_part(
    embedder, images, table, name, *, mark, earlier, manifest, on_error, pillow, is_part
):
    """Embed one chunk in any process; return the fingerprint of its file, and warnings by row.

    If the chunk has a file with the fingerprint `earlier`, only its unreadable rows are embedded.
    """
    import pandas as pd

    known = None
    if table.holds(name):
        try:
            known, fingerprint = table.read(name, len(images), {name: mark})
        except ValueError:  # damaged, or of another call that is still going
            table.require_same(manifest)
        else:
            if fingerprint != earlier:  # written by a worker that seemed lost
                return fingerprint, {}
    # The settings of the process that made the call.
    Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = pillow
    # n_jobs means threads of this machine; Dask would count those of the cluster.
    with parallel_config(backend="threading"):
        values, notes = _embed_part(embedder, images, known, is_part)
    if on_error == "raise":
        for row in np.flatnonzero(unreadable_rows(values)):
            images.check(row)
            raise OSError(
                f"Row {images.start + row}, {images.names[row]!r}, could be read only when it was "
                "tried again. Call embed_to once more, which goes on where it stopped."
            )
    frame = pd.DataFrame(
        values,
        index=pd.Index(images.names, name="image", dtype=object),
        columns=embedder.get_feature_names_out(),
    )
    if frame.equals(known):
        return earlier, notes
    content = content_of(frame, mark)
    table.write(name, content)
    return _fingerprint(content), notes


def _embed_part(embedder, images, known, is_part):
    """Return the embeddings of a chunk, and warnings by row; `known` is its frame, if any."""
    if known is None:
        return embedder._transform(images, is_part)
    unreadable = unreadable_rows(known)
    values, notes = embedder._transform(images.only(unreadable), is_part=True)
    return np.where(unreadable[:, None], values, known), notes


def marks_of(manifest):
    """Return a digest of all that a part's values depend on, by the name of the part."""
    settings = json.dumps(_settings_in(manifest), sort_keys=True)
    return {
        name: hashlib.sha256(f"{settings} {name} {stamp}".encode()).hexdigest()[:32]
        for name, stamp in manifest["stamps"].items()
    }


def _settings_in(manifest):
    return {key: value for key, value in manifest.items() if key not in ("parts", "stamps")}


def content_of(frame, mark=None):
    """Return the bytes of a part's file."""
    if mark is not None:
        frame = frame.copy(deep=False)
        frame.attrs[_MARK] = mark
    return frame.to_parquet(
        engine="pyarrow", compression="zstd", use_dictionary=False, write_page_checksum=True
    )


def chunks_of(n_images, chunk_size):
    """Return the names of the parts, with their first row and the row after their last."""
    starts = range(0, n_images, chunk_size)
    return [
        (f"part-{i:06d}.parquet", start, min(start + chunk_size, n_images))
        for i, start in enumerate(starts)
    ]


def _fingerprint(content):
    """Return the size and digest of a part, for the manifest."""
    return [len(content), hashlib.blake2b(content, digest_size=16).hexdigest()]


def require_pyarrow():
    require("pyarrow", "Parquet files")


class Folder:
    """A folder of parts and their manifest, on any file system that fsspec knows.

    ``again`` is what to do once a file can be written, for the message of an error.
    """

    def __init__(self, folder, again="call embed_to again, which goes on where it stopped"):
        from fsspec.core import url_to_fs

        if not isinstance(folder, (str, os.PathLike)):
            raise TypeError(
                f"folder is the path of one folder; got {type(folder).__name__}. Of the files that "
                "embed_to gives, pass the folder that they are in."
            )
        self._again = again
        self.name = os.fspath(folder)
        self.fs, self.root = url_to_fs(self.name)

    def path(self, name):
        return f"{self.root.rstrip('/')}/{name}"

    def address(self, name):
        """Return the path of a file, or its URL if the folder is a URL."""
        path = self.path(name)
        return self.fs.unstrip_protocol(path) if is_url(self.name) else path

    def open(self, name, mode):
        return self.fs.open(self.path(name), mode)

    def holds(self, name):
        return self.fs.exists(self.path(name))

    def files(self):
        """Return the names of all files."""
        self.fs.invalidate_cache()
        return {path.rsplit("/", 1)[-1] for path in self.fs.ls(self.root, detail=False)}

    def manifest(self):
        """Return the manifest, which has the parts' fingerprints as "parts"; None if missing."""
        if not self.holds(MANIFEST):
            return None
        with self.open(MANIFEST, "rb") as file:
            content = file.read()
        try:
            found = json.loads(content)
            if {"n_images", "chunk_size", "widths", "stamps"} <= found.keys():
                return found
        except (ValueError, AttributeError):
            pass
        raise ValueError(
            f"{self.path(MANIFEST)!r} is damaged. Call embed_to with resume=False, which writes "
            "all again."
        )

    def write_manifest(self, manifest):
        self.write(MANIFEST, json.dumps(manifest, indent=1).encode())

    def read(self, name, n_rows, marks, parts=None, columns=None):
        """Return a part and its fingerprint.

        ValueError if it is damaged, is not what `parts` says, or was made for something else than
        `marks` says.
        """
        import pandas as pd

        with self.open(name, "rb") as file:
            content = file.read()
        fingerprint = _fingerprint(content)
        frame = error = None
        if (parts or {}).get(name, fingerprint) == fingerprint:
            try:
                options = {"columns": columns, "page_checksum_verification": True}
                frame = pd.read_parquet(io.BytesIO(content), engine="pyarrow", **options)
            except Exception as reason:  # of many kinds, as any byte may have changed
                error = reason
        mark = None if frame is None else frame.attrs.pop(_MARK, None)
        if mark != marks[name] or len(frame) != n_rows:
            raise ValueError(
                f"{self.path(name)!r} is damaged. Call embed_to again, which writes it anew."
            ) from error
        return frame, fingerprint

    def write(self, name, content):
        """Write a file that appears under its name only when it is complete."""
        hidden = f".{name}.{uuid.uuid4().hex}"
        try:
            with self.open(hidden, "wb") as file:
                file.write(content)
            self.fs.mv(self.path(hidden), self.path(name))
        except BaseException as error:
            with suppress(Exception):
                self.remove([hidden])
            if not isinstance(error, OSError):
                raise
            raise OSError(
                error.errno,
                f"{name} cannot be written to {self.name!r}: {error.strerror or error}. See to "
                f"it, and {self._again}",
            ) from error

    def begin_empty(self):
        """Make the folder if it does not exist; raise ValueError if it has files."""
        self.fs.makedirs(self.root, exist_ok=True)
        if files := sorted(self.files()):
            raise ValueError(f"{self.name!r} has files, such as {files[0]!r}: name a new folder.")

    def begin(self, manifest, stamps, resume):
        """Make the folder ready for the parts of one table.

        Returns
        -------
        parts, stamps : dict
            Fingerprints of earlier parts, and stamps of the images that they were made from.
        """
        self.fs.makedirs(self.root, exist_ok=True)
        if not self.holds(MANIFEST):
            self._require_empty()
        elif resume:
            earlier = self.manifest()
            found = earlier.pop("parts", {}), earlier.pop("stamps")
            if earlier != manifest:
                self._refuse(earlier, manifest)
            self._remove_others(manifest)
            return found
        else:
            self.remove(file for file in self.files() if _PART.fullmatch(file))
        self.write_manifest({**manifest, "stamps": stamps})
        return {}, stamps

    def is_of(self, manifest):
        """Return whether no call with other images or settings has begun meanwhile."""
        found = self.manifest()
        return found is None or _settings_in(found) == manifest

    def require_same(self, manifest):
        if not self.is_of(manifest):
            self._remove_others(self.manifest())
            raise ValueError(
                f"Another call of embed_to, of other images or settings, has begun in {self.name!r}"
                " while this one was going. Name another folder for one of them."
            )

    def end(self, manifest, names):
        """Check that all parts exist, and remove what killed processes left behind."""
        self.require_same(manifest)
        self.require(names)
        self._remove_others(manifest)
        self.remove(file for file in self.files() if _UNFINISHED.fullmatch(file))

    def require(self, names):
        lacking = set(names) - self.files()
        if lacking:
            raise ValueError(
                f"{self.name!r} lacks {len(lacking)} of {len(names)} parts, such as "
                f"{min(lacking)}. Call embed_to again, which goes on where it stopped; if workers "
                "on other machines wrote them, all machines have to share this folder."
            )

    def _require_empty(self):
        if foreign := sorted(file for file in self.files() if not file.startswith(".")):
            raise ValueError(
                f"{self.name!r} has files that embed_to has not written, such as {foreign[0]!r}: "
                "name a folder that is new or empty."
            )

    def _refuse(self, earlier, manifest):
        changes = [
            f"{key} was {earlier.get(key)!r} and is {value!r}"
            for key, value in manifest.items()
            if earlier.get(key) != value and key != "widths"  # widths follow from the models
        ]
        raise ValueError(
            f"{self.name!r} holds embeddings of another call: {'; '.join(changes)}. Name another "
            "folder, or pass resume=False to replace what is there."
        )

    def _remove_others(self, manifest):
        """Remove parts that a table does not have, as of a call that it has replaced."""
        names = {name for name, _, _ in chunks_of(manifest["n_images"], manifest["chunk_size"])}
        self.remove(file for file in self.files() if _PART.fullmatch(file) and file not in names)

    def remove(self, names):
        for name in names:
            with suppress(FileNotFoundError):  # another call may have removed it
                self.fs.rm_file(self.path(name))

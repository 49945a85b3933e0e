"""The folder of Parquet files that ``embed_to`` writes: its files, and their manifest."""

import hashlib
import io
import json
import os
import re
import uuid
from contextlib import suppress

from .._utils._extras import require
from .._utils._paths import check_path, why_not_made
from ..images._protocols import is_url

MANIFEST = "_manifest.json"  # readers of Parquet folders skip names with a leading "_"
_MARK = "made_for"  # attribute of a part's frame, which the file keeps
_PART = re.compile(r"part-\d{6,}\.parquet")
_UNFINISHED = re.compile(rf"\.({_PART.pattern}|{re.escape(MANIFEST)})\.[0-9a-f]{{32}}")


class Folder:
    """A folder of parts and their manifest, on any file system that fsspec knows.

    ``again`` is what to do once a file can be written, for the message of an error.
    """

    def __init__(self, folder, again="call embed_to again, which goes on where it stopped"):
        from fsspec.core import url_to_fs

        check_path(
            folder,
            "folder",
            "folder",
            " It comes first, embed_to(folder, X). Of the files that embed_to gives, pass the "
            "folder that they are in.",
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

    def read(self, name, n_rows, mark, fingerprint=None, columns=None):
        """Return a part and its fingerprint.

        ValueError if it is damaged, has another fingerprint than a given one, or was made for
        something else than `mark` says.
        """
        import pandas as pd

        with self.open(name, "rb") as file:
            content = file.read()
        found = fingerprint_of(content)
        frame = error = None
        if fingerprint in (None, found):
            try:
                options = {"columns": columns, "page_checksum_verification": True}
                frame = pd.read_parquet(io.BytesIO(content), engine="pyarrow", **options)
            except Exception as reason:  # of many kinds, as any byte may have changed
                error = reason
        if frame is None or frame.attrs.pop(_MARK, None) != mark or len(frame) != n_rows:
            raise ValueError(
                f"{self.path(name)!r} is damaged. Call embed_to again, which writes it anew."
            ) from error
        return frame, found

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
        self._make()
        if files := sorted(self.files()):
            raise ValueError(f"{self.name!r} has files, such as {files[0]!r}: name a new folder.")

    def begin(self, manifest, stamps, resume):
        """Make the folder ready for the parts of one table.

        Returns
        -------
        parts, stamps : dict
            Fingerprints of earlier parts, and stamps of the images that they were made from.
        """
        self._make()
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

    def _make(self):
        try:
            self.fs.makedirs(self.root, exist_ok=True)
        except (FileExistsError, NotADirectoryError, FileNotFoundError) as error:
            raise type(error)(
                f"The folder {self.name!r} cannot be made: {why_not_made(self.root, error)}. Name "
                "another."
            ) from error

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
        others = [key for key, value in manifest.items() if earlier.get(key) != value]
        changes, advice = [], ""
        if "images" in others:
            n_images = f"{earlier.get('n_images')} and now {manifest['n_images']}"
            changes = [f"its images are others, or in another order ({n_images})"]
            advice = " An embedder with cache= embeds an image only once."
        changes += [
            f"{key} was {earlier.get(key)!r} and is {manifest[key]!r}"
            for key in others
            if key not in ("widths", "images", "n_images")  # widths follow from the models
        ]
        raise ValueError(
            f"{self.name!r} holds embeddings of another call: {'; '.join(changes)}. Name another "
            f"folder, or pass resume=False to replace what is there.{advice}"
        )

    def _remove_others(self, manifest):
        """Remove parts that a table does not have, as of a call that it has replaced."""
        names = {name for name, _, _ in chunks_of(manifest["n_images"], manifest["chunk_size"])}
        self.remove(file for file in self.files() if _PART.fullmatch(file) and file not in names)

    def remove(self, names):
        for name in names:
            with suppress(FileNotFoundError):  # another call may have removed it
                self.fs.rm_file(self.path(name))


def chunks_of(n_images, chunk_size):
    """Return the names of the parts, with their first row and the row after their last."""
    starts = range(0, n_images, chunk_size)
    return [
        (f"part-{i:06d}.parquet", start, min(start + chunk_size, n_images))
        for i, start in enumerate(starts)
    ]


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


def fingerprint_of(content):
    """Return the size and digest of a part, for the manifest."""
    return [len(content), hashlib.blake2b(content, digest_size=16).hexdigest()]


def require_pyarrow():
    require("pyarrow", "Parquet files")

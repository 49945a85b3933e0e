"""List images by name, and read their bytes on demand."""

import glob
import hashlib
import os
import posixpath
import re
import uuid
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from fsspec.implementations.local import LocalFileSystem

from .._utils._missing import is_missing
from .._utils._warnings import warn
from ..exceptions import ImageError
from ._collections import as_image_list
from ._fetching import fetch, is_lasting, locate, open_anew, size_and_time, split
from ._folders import is_hidden, walk
from ._heif import SUFFIXES as HEIF_SUFFIXES
from ._load import load_image
from ._protocols import LOCAL, check_protocols, is_url, refuse_protocols
from ._shards import is_shard, member_and_shard, members_of, places_in

IMAGE_SUFFIXES = (
    *(".avif", ".bmp", ".gif", *HEIF_SUFFIXES, ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)
_NO_SHARD = -1


@dataclass(eq=False, repr=False)
class ImageFiles(Sequence):
    """Sequence of images by name. An item is a local path, or the bytes of any other file.

    Parameters
    ----------
    names : list of n str or None
        Paths, URLs, and ``tar://MEMBER::SHARD`` for a member of a shard.
    places : ndarray of shape (n, 3), int64
        Position of the shard in `shards`, or -1, and start and stop of the member in bytes.
    shards : list of str
    root : str
        Folder of relative paths, also in a process that works in another folder.
    protocols : sequence of str
        Protocols by which an item may be fetched, in any process.
    n_refused : int
        Number of items in the whole list that need another protocol.
    start : int
        Row of the first image in the whole list.
    call : str
        Which call made the list: a process opens archives behind URLs once for each.
    """

    names: list
    places: np.ndarray
    shards: list
    root: str
    protocols: tuple = LOCAL
    n_refused: int = 0
    start: int = 0
    call: str = ""

    def __setstate__(self, state):
        self.__dict__.update(state)
        open_anew(self.call)  # maybe in a process that has worked for an earlier call

    def __len__(self):
        return len(self.names)

    def __getitem__(self, i):
        try:
            return self._read(i)
        except (FileNotFoundError, ImageError):
            return None  # like any image that cannot be read

    def part(self, start, stop):
        """Return the images of some rows."""
        names, places = self.names[start:stop], self.places[start:stop]
        return replace(self, names=names, places=places, start=self.start + start)

    def only(self, rows):
        """Return all images, with those outside of a mask as missing values."""
        names = [name if kept else None for name, kept in zip(self.names, rows, strict=True)]
        return replace(self, names=names)

    def digest(self):
        """Return a digest of the names, their order, and the places in shards."""
        digest = hashlib.sha256(self.places)
        for name in self.names:
            digest.update(f"{name!r}\n".encode("utf-8", "backslashreplace"))
        return digest.hexdigest()[:32]

    def stamp(self):
        """Return a digest of the sizes and times of local files and shards."""
        files = [
            self._absolute(name if shard == _NO_SHARD else self.shards[shard])
            for name, shard in zip(self.names, self.places[:, 0].tolist())
            if name is not None
        ]
        stamps = {file: size_and_time(file) for file in dict.fromkeys(files)}
        return hashlib.sha256(repr([stamps[file] for file in files]).encode()).hexdigest()[:32]

    def check(self, i):
        """Raise an ImageError that names the image if it cannot be read."""
        self._check_protocols(i)
        try:
            load_image(self._read(i))
        except (FileNotFoundError, ImageError) as error:
            reason = error if isinstance(error, ImageError) else "there is no such file."
            raise ImageError(f"row {self.start + i}, {self.names[i]!r}: {reason}") from error

    def _check_protocols(self, i):
        name, shard = self.names[i], self.places[i, 0]
        if name is not None:
            name = name if shard == _NO_SHARD else self.shards[shard]
            refuse_protocols(name, self.protocols, f"row {self.start + i}")

    def _read(self, i):
        name, (shard, start, stop) = self.names[i], self.places[i].tolist()
        if name is None:
            return None
        self._check_protocols(i)
        try:
            if shard != _NO_SHARD:
                return fetch(self._absolute(self.shards[shard]), start, stop)
            name = self._absolute(name)
            return fetch(name) if is_url(name) else name
        except (FileNotFoundError, ImageError):
            raise
        except Exception as error:
            if is_lasting(error):
                raise ImageError(
                    f"it cannot be fetched: {type(error).__name__}: {error}. Check the URL, and "
                    "that what fsspec needs for it is installed."
                ) from error
            if isinstance(error, (OSError, MemoryError)):
                error.add_note(f"While reading row {self.start + i}, {name!r}.")
                raise
            raise OSError(
                f"Row {self.start + i}, {name!r}, cannot be fetched: {type(error).__name__}: "
                f"{error}. Try again later, or drop the row."
            ) from error

    def _absolute(self, name):
        *links, last = name.split("::") if is_url(name) else [name]
        return "::".join([*links, last if is_url(last) else os.path.join(self.root, last)])


def find_images(X, protocols=LOCAL, on_error="raise"):
    """List images by name, as `ImageFiles`; of shards, only the headers are read.

    X is that of :meth:`skclipens.MultiBackboneEmbedder.embed_to`. Raise ImageError, which names the
    row, if a name needs another protocol than those given; with ``on_error="nan"`` there is a
    warning, and the image cannot be read. Raise ValueError if there are no images, or X holds
    something else than names, or one is not UTF-8.
    """
    protocols = check_protocols(protocols)
    open_anew(call := uuid.uuid4().hex)
    names, places, shards, refused = [], array("q"), {}, []
    of_shards = cache(places_in)
    for row, item in enumerate(_items(X, protocols)):
        name = _checked_name(item, row)
        try:
            refuse_protocols(name or "", protocols, f"row {row}")
            found = _images_of(name, of_shards)
        except ImageError as error:
            if on_error == "raise":
                raise
            refused.append(error)
            found = [(name, None, None)]
        for image, shard, place in found:
            names.append(image)
            number = shards.setdefault(shard, len(shards)) if place else _NO_SHARD
            places.extend((number, *(place or (0, 0))))
    if not names:
        raise ValueError(
            f"{X!r} leads to no images. Check the path; in a folder or shard, images are files "
            f"that end in {', '.join(IMAGE_SUFFIXES)}."
        )
    if refused:
        text = (
            f"{len(refused)} images are not fetched, and are rows of NaN. The first: {refused[0]}"
        )
        warn(text, UserWarning)
    places = np.frombuffer(places, np.int64).reshape(-1, 3)
    return ImageFiles(names, places, list(shards), os.getcwd(), protocols, len(refused), call=call)


def _images_of(name, of_shards):
    """Yield what a name stands for: images, their shards or None, and their places there.

    A place is None where fsspec is to find the image, or the reason why there is none.
    """
    if name is None or not is_shard(name):
        member, shard = member_and_shard(name or "")
        yield name, shard, shard and of_shards(shard).get(posixpath.normpath(member))
        return
    for member, place in members_of(name):
        if is_image_path(member):
            yield checked_text(f"tar://{member}::{name}"), name, place


def _items(X, protocols):
    if not isinstance(X, (str, os.PathLike)):
        return as_image_list(X)
    refuse_protocols(os.fspath(X), protocols, "X")
    return _expand(os.fspath(X))


def _checked_name(item, row):
    if isinstance(item, (str, os.PathLike)) and item != "":
        return checked_text(str(os.fsdecode(item)))  # that of numpy is no plain str
    if is_missing(item):
        return None
    raise ValueError(
        f"Row {row} is of type {type(item).__name__}, not the name of an image (path or URL). "
        "Images in memory are embedded by transform."
    )


def checked_text(name):
    """Return the name of a file, if tables can hold it.

    Raise ValueError if it is not UTF-8, such as a name that another system gave.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"The name {name!r} is no valid UTF-8, so no table can hold it. Rename the file or "
            "folder."
        ) from error
    return name


def _expand(text):
    """Return the names that a pattern, a folder, a file with a list, or a name stands for."""
    if text.lower().endswith(".txt") and not os.path.isdir(text):
        return _lines_of(text)
    if text.lower().endswith((".csv", ".parquet")) and os.path.isfile(text):
        raise ValueError(
            f"{text!r} is a table: pass its column of paths, such as "
            f"skclipens.datasets.load_table({text!r}).filenames."
        )
    return _expand_url(text) if is_url(text) else _expand_path(text)


def _lines_of(file):
    try:
        text = fetch(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file!r} is no valid UTF-8: {error.reason} at byte {error.start}. Save the list as "
            "UTF-8."
        ) from error
    lines = re.split(r"[\r\n]", text)  # a name may have other signs that end lines
    return [line.strip() for line in lines if line.strip()]


def _expand_path(text):
    # fsspec would make paths absolute, and a dict for each file.
    if os.path.isdir(text):
        found = ((place, one) for place, files in walk(text) for one in files)
        return [os.path.join(place, one) for place, one in found if _is_image_or_shard(one)]
    if os.path.exists(text):
        return [text]
    found = (name for name in glob.iglob(text, recursive=True) if not os.path.isdir(name))
    return sorted(found, key=lambda name: name.split(os.sep))  # folder by folder


def is_image_path(path):
    """Return whether a path from a folder on is that of an image and has no hidden part."""
    return is_image_name(path) and not _has_hidden(path)


def _is_image_or_shard(path):
    return (is_image_name(path) or is_shard(path)) and not _has_hidden(path)


def _has_hidden(path):
    # Shards that were made of "." have "./cat/1.png".
    return any(is_hidden(part) for part in path.split("/") if part not in (".", ".."))


def _expand_url(text):
    before, url, rest = split(text)
    if not glob.has_magic(url) and (is_image_name(url) or is_shard(url)):
        return [text]
    fs, path = locate(text)
    if isinstance(fs, LocalFileSystem):  # whose `find` does not follow links to folders
        found = _expand_path(path)
    elif glob.has_magic(url):
        kinds = {name: info["type"] for name, info in fs.glob(path, detail=True).items()}
        found = [name for name, kind in kinds.items() if kind == "file" or _is_link(fs, name, kind)]
        found.sort(key=lambda name: name.split("/"))
    else:
        found = [one for one in fs.find(path) if _is_image_or_shard(one.removeprefix(path))]
        found.sort(key=_as_walked)
    # Keep the given protocol: a file system may have several, and use one of them in all names.
    protocol = url.partition("://")[0]
    found = [fs.unstrip_protocol(name).partition("://")[2] for name in found]
    return ["::".join([*before, f"{protocol}://{name}", *rest]) for name in found]


def _as_walked(name):
    """Return a key that sorts files of a folder as :func:`walk` does, before those in folders."""
    *folders, file = name.split("/")
    return [*((1, folder) for folder in folders), (0, file)]


def _is_link(fs, name, kind):
    """Return whether a path leads to a file, or nowhere, if it is none itself."""
    return kind != "directory" and not fs.isdir(name)


def is_image_name(name):
    """Return whether a file is an image, by the end of its name."""
    return name.lower().endswith(IMAGE_SUFFIXES)

"""Repositories of the Hugging Face hub in the cache of this machine."""

import glob
import hashlib
import re
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ..exceptions import BackboneNotAvailableError
from ._available import check_hub, weight_names
from ._configs import CONFIG
from ._transformers import PREPROCESSING, TRANSFORMERS

_ADVICE = (
    f"A repository of an open_clip model, which holds {CONFIG}, or of a CLIPModel of transformers "
    "is fetched once from the internet."
)


def snapshot(repository):
    """Return the folder of a repository in the cache; fetch its configuration if missing.

    The folder is named after the commit. Cached files are used without asking the hub for newer
    ones, so that the weights are of the same commit. Raise BackboneNotAvailableError if the
    configuration is not on this machine and cannot be fetched.
    """
    if folder := _cached(repository):
        return folder
    try:
        check_hub(f"hf-hub:{repository}", _ADVICE)
        return _fetch_config(repository)
    except BackboneNotAvailableError:
        raise
    except Exception as error:
        raise BackboneNotAvailableError(
            f"'hf-hub:{repository}' cannot be loaded: {error} {_ADVICE}"
        ) from error


def _cached(repository):
    """Return the folder of a repository whose configuration is on this machine, or None."""
    import huggingface_hub

    find = partial(huggingface_hub.try_to_load_from_cache, repository)
    if isinstance(file := find(CONFIG), str):
        return Path(file).parent
    # None: it is not known whether the repository has this file, which sets the preprocessing.
    found = [name for name in PREPROCESSING if isinstance(find(name), str)]
    is_known = all(find(name) is not None for name in PREPROCESSING)
    file = find(TRANSFORMERS) if found or is_known else None
    return Path(file).parent if isinstance(file, str) else None


def _fetch_config(repository):
    if file := _fetch(repository, CONFIG):
        return Path(file).parent
    file = _fetch(repository, TRANSFORMERS)
    if file is None:
        raise FileNotFoundError(f"it has no {CONFIG}, and no {TRANSFORMERS} of transformers.")
    folder = Path(file).parent
    next(filter(None, (_fetch(repository, name, folder.name) for name in PREPROCESSING)), None)
    return folder


def _fetch(repository, name, revision=None):
    """Return the path of a fetched file, or None if the repository has none of this name."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return hf_hub_download(repository, name, revision=revision)
    except LocalEntryNotFoundError:  # nobody knows
        raise
    except EntryNotFoundError:
        return None


def fetch_weights(repository):
    """Put the weights of a repository into its folder, if they are not there.

    Raise FileNotFoundError if they cannot be fetched.
    """
    from open_clip.pretrained import download_pretrained_from_hf

    folder = snapshot(repository)
    names = weight_names(folder)
    if any((folder / name).is_file() for name in names):
        return
    for name in names:
        try:
            download_pretrained_from_hf(repository, name, revision=folder.name)
            return
        except FileNotFoundError as error:
            reason = error
    raise reason


def repository_of(path, known):
    """Return the known repository in whose folder of the hub's cache a path lies, or None.

    Names are without the owner: these folders are named models--OWNER--NAME. Other folders may have
    the name of a repository by chance, as some are those of architectures.
    """
    folders = (part for part in path.parts if part.startswith("models--"))
    names = (folder.rpartition("--")[2] for folder in folders)
    return next((name for name in names if name in known), None)


@contextmanager
def checked_downloads():
    """Return a context that compares files fetched by the hub's client with their digests.

    The client names a cached file after the digest that the hub states, SHA-256 or git's, but
    checks only the size itself. On exit, also after an error, raise BackboneNotAvailableError if a
    digest differs; the file is removed.
    """
    start = time.time() - 1  # file systems may round times
    try:
        yield
    finally:
        _refuse_other_digests(start)


def _refuse_other_digests(start):
    """Raise BackboneNotAvailableError if a file fetched since ``start`` has another digest."""
    import huggingface_hub

    cache = Path(huggingface_hub.constants.HF_HUB_CACHE)
    # Unlike that of pathlib, this glob finds nothing in a folder that may not be read.
    for file in map(cache.joinpath, glob.iglob("models--*/blobs/*", root_dir=cache)):
        if file.suffix:  # another process is fetching it, and may rename it now
            continue
        if file.stat().st_ctime >= start and not _has_its_digest(file):
            file.unlink()
            raise BackboneNotAvailableError(
                f"{str(file)!r} was fetched, but has not the digest that the hub states. It was "
                "removed: try again, and if it stays so, ask whoever runs the network or mirror."
            )


def _has_its_digest(file):
    with open(file, "rb") as stream:
        if re.fullmatch("[0-9a-f]{64}", file.name):
            return hashlib.file_digest(stream, "sha256").hexdigest() == file.name
        if re.fullmatch("[0-9a-f]{40}", file.name):
            digest = hashlib.sha1(f"blob {file.stat().st_size}\0".encode())
            return hashlib.file_digest(stream, lambda: digest).hexdigest() == file.name
    return True

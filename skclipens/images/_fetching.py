"""Fetch the bytes of a path or URL from any file system of fsspec."""

import gzip
import os
import socket
import tarfile
import zipfile
import zlib
from collections import OrderedDict
from contextlib import nullcontext

import fsspec
from fsspec.archive import AbstractArchiveFileSystem
from fsspec.core import url_to_fs

from .._utils._locks import ForkLock, renew_in_fork
from ..exceptions import ImageError
from ._protocols import is_url, protocols_of

_MAX_BYTES = 2**30  # of a member that is unpacked in memory
_ENCRYPTED = 1  # bit in the flags of a zip file's member
# Errors of a name, or of the archive that it names, which the next try would raise again.
_LASTING = (
    *(ImportError, LookupError, NotImplementedError, TypeError, ValueError),
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError),
)
_REFUSED = (401, 403, 410, 451)  # statuses of a server that will not give this file
_MAX_OPEN = 16  # archives, each of which is an open file
_hosts = {}  # file systems of hosts and buckets
_archives = OrderedDict()  # size and time, and file system; the last one used is the last
_of_parents = []
_calls = set()
_lock = ForkLock()  # guards _archives and _calls


def fetch(name, start=None, stop=None):
    """Return the bytes of a path or URL, or those from `start` to `stop`."""
    fs, path = locate(name)
    if fs.protocol in ("zip", "tar"):
        member = fs.info(path)
        if member["size"] > _MAX_BYTES:
            raise ImageError(f"it unpacks to more than {_MAX_BYTES:,} bytes. Unpack it yourself.")
        if member.get("flag_bits", 0) & _ENCRYPTED:
            raise ImageError("it is encrypted. Unpack the archive yourself.")
    # Of a tar file, fsspec reads all members from one open file.
    with _lock if fs.protocol == "tar" else nullcontext():
        content = fs.cat_file(path, start, stop)
    if stop is not None and len(content) != stop - start:
        raise OSError(
            f"{name!r} gave {len(content)} bytes where {stop - start} were asked for: it has been "
            "cut short, or its server does not serve parts of files."
        )
    return content


def is_lasting(error):
    """Return whether an error is due to the name, not to a file system that may work later."""
    if isinstance(error, _LASTING) or getattr(error, "status", None) in _REFUSED:
        return True
    while error is not None and not isinstance(error, socket.gaierror):
        error = error.__cause__ or error.__context__
    # Without a network, no host is found: the name is to be tried again.
    return error is not None and error.errno != socket.EAI_AGAIN


def locate(name):
    """Return the file system of a path or URL, and the path in it.

    One file system is kept for each host or bucket, and for each of the last archives: fsspec
    itself would make one for each thread, and that of an archive reads its table of contents. A
    local archive is opened again if it has changed, and one behind a URL in each call.
    """
    before, url, rest = split(name)
    protocol, slashes, path = url.partition("://")
    if not slashes:  # a path, whatever it contains
        return fsspec.filesystem("file"), os.path.abspath(name)
    if rest:  # which identifies an archive
        fs = _opened(name, (*before, protocol, *rest), size_and_time(rest[-1]))
    else:
        key = (*before, protocol, path.split("/")[0])
        if key not in _hosts:
            _hosts[key] = url_to_fs(name)[0]
        fs = _hosts[key]
    return fs, fs._strip_protocol(url)


def _opened(name, key, written):
    with _lock:
        known, fs = _archives.get(key, (None, None))
        if fs is None or known != written:
            fs = url_to_fs(name)[0]
            if isinstance(fs, AbstractArchiveFileSystem):
                fs.ls("")  # at the first call, it shows other threads a part of the list
            _archives[key] = written, fs
        _archives.move_to_end(key)
        while len(_archives) > _MAX_OPEN:  # closed as soon as no thread reads from it
            _archives.popitem(last=False)
    return fs


def open_anew(call):
    """Forget what archives and folders behind URLs had, once for each call in a process."""
    with _lock:
        if call not in _calls:
            _calls.add(call)
            for fs in list(_hosts.values()):
                fs.invalidate_cache()
            for key in [key for key, (written, _) in _archives.items() if written is None]:
                del _archives[key]


def _set_aside():
    """Have a forked process open files of its own: with its parent, it shares positions in them."""
    # Not closed, which would wait for a thread of the parent that was reading.
    _of_parents.append((_hosts.copy(), _archives.copy()))
    _hosts.clear()
    _archives.clear()


renew_in_fork(_set_aside)


def split(name):
    """Split a chained URL into the links before, with and after the path."""
    if not is_url(name):
        return [], name, []
    links = name.split("::")
    at = next((i for i, link in enumerate(links) if is_url(link)), 0)
    return links[:at], links[at], links[at + 1 :]


def size_and_time(name):
    """Return size and time of change of the local file that a name ends in; None for others."""
    if protocols_of(name)[-1] != "file":
        return None
    last = name.split("::")[-1] if is_url(name) else name
    try:
        status = os.stat(last.partition("://")[2] if is_url(last) else last)
    except (OSError, ValueError):  # no file
        return None
    return status.st_size, status.st_mtime_ns

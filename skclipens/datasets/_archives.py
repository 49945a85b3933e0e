"""Unpack downloaded archives without writing outside of their folder."""

import shutil
import subprocess
import tarfile
from contextlib import contextmanager
from pathlib import Path

from .._utils._locks import ForkLock
from ..exceptions import DatasetNotAvailableError

_lock = ForkLock()


@contextmanager
def kept_inside(folder):
    """Return a context in which tar files are unpacked with the filter "data" of Python.

    This includes files that torchvision unpacks. The filter refuses members and links that lead
    outside of the folder, and devices. It is Python's default from 3.14 on. On an error, the folder
    is removed, unless it existed before.
    """
    was_there = folder.exists()
    with _lock:  # the setting is global to the process
        before = tarfile.TarFile.__dict__.get("extraction_filter")
        tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
        try:
            yield
        except BaseException:
            if not was_there:  # leave no partly unpacked folder
                shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            tarfile.TarFile.extraction_filter = before


def unpack_deb(package, folder):
    """Unpack the files of a Debian package into a new folder, without installing it.

    Raise DatasetNotAvailableError if the package is damaged, or has files that would be outside of
    the folder.
    """
    content = Path(f"{folder}.tar")
    with open(content, "wb") as file:
        run(["dpkg-deb", "--fsys-tarfile", str(package)], package.parent, stdout=file)
    try:
        with kept_inside(folder), tarfile.open(content) as tar:
            tar.extractall(folder)
    except tarfile.TarError as error:
        raise DatasetNotAvailableError(f"{package.name!r} is not unpacked: {error}.") from error
    content.unlink()


def run(command, directory, stdout=subprocess.PIPE):
    """Run a command; raise DatasetNotAvailableError with its error output if it fails."""
    done = subprocess.run(command, cwd=directory, stdout=stdout, stderr=subprocess.PIPE)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise DatasetNotAvailableError(
            f"{' '.join(command)!r} failed; `apt-get update` may help.\n{said}"
        )

"""Archives that are fetched: nothing in them gets outside of the folder that they go to."""

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
    """A context in which tar files are unpacked by Python's filter "data", also by torchvision.

    It refuses members that would be outside, links that lead there, and devices; it is Python's
    default from 3.14 on.

    Parameters
    ----------
    folder : Path
        Where the content is to be. It is removed if that fails, unless it was there before.
    """
    was_there = folder.exists()
    with _lock:  # the setting is the process's
        before = tarfile.TarFile.__dict__.get("extraction_filter")
        tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
        try:
            yield
        except BaseException:
            if not was_there:  # no folder that is unpacked in part
                shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            tarfile.TarFile.extraction_filter = before


def unpack_deb(package, folder):
    """Unpack the files of a Debian package, which is not installed.

    Parameters
    ----------
    package : Path
    folder : Path
        A new one.

    Raises
    ------
    DatasetNotAvailableError
        If it is damaged, or holds what would be outside of the folder.
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
    """Run a command; a DatasetNotAvailableError with what it says if it fails."""
    done = subprocess.run(command, cwd=directory, stdout=stdout, stderr=subprocess.PIPE)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise DatasetNotAvailableError(
            f"{' '.join(command)!r} failed; `apt-get update` may help.\n{said}"
        )

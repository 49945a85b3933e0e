"""Write tables and other files of the commands."""

import os
import shutil
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

from .._utils._extras import require
from ..datasets._tables import TABLE_SUFFIXES
from ..images._files import IMAGE_SUFFIXES

REJECTED = "rejected"  # written in place of "", which cannot be a label in a folder or table


def check_can_write(path, sources, suffixes=TABLE_SUFFIXES):
    """Raise before the work if its result could not be written.

    None is standard output. A file must be none of the sources, and end in one of the suffixes; if
    these are None, it is a model, with any ending except those of tables and images.
    """
    if path is None:
        if sys.stdout is None:
            raise ValueError("There is no standard output. Name a file by -o.")
        return
    for source in sources:
        if Path(path).exists() and Path(source).exists() and os.path.samefile(path, source):
            raise ValueError(f"The output {path!r} is read, too: give it another name.")
    if Path(path).is_dir():
        raise ValueError(f"The output {path!r} is a folder: name a file in it.")
    _check_permissions(path)
    if suffixes is None:
        if path.lower().endswith((*TABLE_SUFFIXES, *IMAGE_SUFFIXES)):
            raise ValueError(f"The output {path!r} is a model: name it so, such as model.joblib.")
        return
    if not path.lower().endswith(suffixes):
        raise ValueError(f"The output {path!r} must end in {' or '.join(suffixes)}.")
    if path.lower().endswith(".parquet"):
        require("pyarrow", "Parquet files", "Or write a .csv file.")


def _check_permissions(path):
    """Raise OSError if a file cannot be made at a path, or the one there is write-protected."""
    real = os.path.realpath(path)
    folder = os.path.dirname(real)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"The output {path!r} is a link into {folder!r}, which is missing.")
    if not os.access(real if os.path.exists(real) else folder, os.W_OK):
        raise PermissionError(f"The output {path!r} cannot be written. Check its permissions.")


@contextmanager
def beside(path):
    """Yield the path of a temporary file, which replaces `path` once it is complete.

    So an existing file survives if the disk is full. If `path` is not a plain file, such as
    ``/dev/null``, or its folder is not writable, `path` itself is yielded.

    Raise OSError, which names the output, if the file cannot be written.
    """
    real = os.path.realpath(path)
    folder, name = os.path.split(real)
    is_other = os.path.exists(real) and not os.path.isfile(real)
    if is_other or not os.access(folder, os.W_OK):
        yield path
        return
    # Containers that share the folder may have the same process id. The ending decides the format.
    part = os.path.join(folder, f".{uuid.uuid4().hex}{Path(name).suffix}")
    try:
        yield part
        if os.path.exists(real):
            shutil.copymode(real, part)
        os.replace(part, real)
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"The output {path!r} cannot be written: {reason}.") from error
    finally:
        Path(part).unlink(missing_ok=True)


def write_table(frame, path):
    """Write a frame in the format of the file's ending, or as CSV in UTF-8 to standard output."""
    if path is None:
        # As files are: Windows, for example, has another encoding for what goes to a pipe.
        frame.to_csv(sys.stdout.buffer, index=False, mode="wb", encoding="utf-8")
        return
    write = frame.to_csv if path.lower().endswith(".csv") else frame.to_parquet
    with beside(path) as file:
        write(file, index=False)

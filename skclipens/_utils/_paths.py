"""Checks of paths."""

import os
from pathlib import Path


def check_path(path, name, what, advice=""):
    """Raise TypeError if a parameter is not the path of one file or folder, which `what` says."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{name} is the path of one {what}; got {type(path).__name__}.{advice}")


def broken_link(path):
    """Return the part of a path that is a link to what is missing, such as a disk; or None."""
    path = Path(path)
    # Those of pathlib raise errors, for example without permission.
    links = (p for p in (path, *path.parents) if os.path.islink(p) and not os.path.exists(p))
    return next(links, None)


def why_not_made(folder, error):
    """Return why a folder cannot be made, from the OSError of the attempt."""
    link = broken_link(folder)
    if link is not None:
        return f"{str(link)!r} is a link to {os.readlink(link)!r}, which is missing"
    in_place = isinstance(error, (FileExistsError, NotADirectoryError))
    return "a file is in its place" if in_place else error.strerror

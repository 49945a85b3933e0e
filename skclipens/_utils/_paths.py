"""Checks of paths."""

import os


def check_path(path, name, what, advice=""):
    """Raise TypeError if a parameter is not the path of one file or folder, which `what` says."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{name} is the path of one {what}; got {type(path).__name__}.{advice}")

"""Walk through folders of images, and follow links in them."""

import os

_OF_SYSTEMS = {"__MACOSX", "@eaDir"}  # copies of pictures by macOS and Synology


def class_folders(root):
    """Return the sorted names of the folders in a folder, and of the links that are left out.

    A link is left out if it leads to another of the folders, to `root` or to a folder above it.
    Hidden folders are in neither list. Raise OSError if the folder cannot be read.
    """
    _, found, _ = next(os.walk(root, onerror=_refuse))
    found = sorted(one for one in found if not is_hidden(one))
    here, kept = os.path.join(os.path.realpath(root), ""), {}
    for one in sorted(found, key=lambda one: os.path.islink(os.path.join(root, one))):
        real = os.path.realpath(os.path.join(root, one))
        if not here.startswith(os.path.join(real, "")):
            kept.setdefault(real, one)
    names = set(kept.values())
    return [one for one in found if one in names], [one for one in found if one not in names]


def walk(root, left_out=None):
    """Yield a folder, and each of its :func:`class_folders` as :func:`walk_class` does.

    So all readers of a folder of classes find the same files in the same order. Parameters, results
    and errors are those of :func:`walk_class`.
    """
    _, _, files = next(os.walk(root, onerror=_refuse))
    yield os.fspath(root), sorted(files)
    names, links = class_folders(root)
    if left_out is not None:
        left_out += [os.path.join(root, one) for one in links]
    for one in names:
        yield from walk_class(os.path.join(root, one), left_out)


def walk_class(folder, left_out=None):
    """Yield folders and their sorted files, as ``os.walk``, but follow links to folders once.

    Links to a folder that was read already, or to one above, are appended to the list `left_out`.
    Raise OSError if a folder cannot be read.
    """
    read = {os.path.realpath(folder)}
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        here = os.path.join(os.path.realpath(place), "")
        below, folders[:] = sorted(one for one in folders if not is_hidden(one)), []
        for one in below:
            path = os.path.join(place, one)
            real = os.path.realpath(path)
            if real in read or here.startswith(os.path.join(real, "")):
                if left_out is not None:
                    left_out.append(path)
            else:
                read.add(real)
                folders.append(one)
        yield place, sorted(files)


def is_hidden(name):
    """Return whether a name is hidden or made by the system."""
    return name.startswith(".") or name in _OF_SYSTEMS


def _refuse(error):
    """Raise the error of a folder, which ``os.walk`` would treat as one without files."""
    raise error

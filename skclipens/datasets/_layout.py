"""Warn of folders that may not be classes, and of files that may be masks or copies."""

import os
import re

from .._utils._messages import listed
from .._utils._warnings import warn
from ..images._files import is_image_name
from ..images._folders import is_hidden

_FILES = re.compile(
    "images?|imgs?|pictures|photos|masks?|annotations?|labels?|xml|raw|thumbs|thumbnails",
    re.IGNORECASE,
)
_NO_CLASS = re.compile(
    rf"{_FILES.pattern}"
    r"|(front|back|rear|side|left|right|top|bottom)(.?views?)?",  # of an object
    re.IGNORECASE,
)
_PART = re.compile(
    r"(train|test|val|valid|dev|eval|holdout)(ing|idation|uation)?"
    r"[\W_]*(set|images?|pictures|photos|data|split)?[\W_\d]*",
    re.IGNORECASE,
)
_NO_CLASSES = {"new", "unlabeled", "unlabelled", "predict"}  # if beside a part with classes
_TWIN = re.compile(
    r"(?P<of>.+?)(?P<ending>[_\-. ](masks?|seg|segmentation|gt|groundtruth|thumb|thumbnail))"
    r"([_\-. ]?\d+)?",
    re.IGNORECASE,
)


def is_part(name):
    """Return whether a name is that of a part of a data set, such as "train" or "val_2017"."""
    return bool(_PART.fullmatch(name))


def check_class_folders(root, folders):
    """Check whether folders that are read as classes are parts of a data set.

    Raise ValueError if folders are named like parts, and one contains folders but no pictures. Warn
    if all folders are named like parts, and contain pictures; if a folder named like a part
    contains folders with the names of classes beside it; if all are named as kinds of files, such
    as "images" and "masks"; if the only folder contains only folders; or if all folders contain
    only folders, with mostly the same names. Names that are not of classes, such as years, are
    ignored.
    """
    if len(folders) == 1:
        _warn_of_wrapping(root, folders[0])
    below = {folder: _folders_without_pictures(folder) for folder in folders}
    parts = [one for one in folders if is_part(one.name) or one.name.lower() in _NO_CLASSES]
    shared = _shared([below[part] for part in parts])
    are_named = sum(is_part(one.name) for one in parts) > 1  # if not, years are no classes
    inside = below.values() if are_named else map(_words, below.values())
    has_classes = len(parts) > 1 and any(len(names) > 1 for names in inside)
    if shared or has_classes or (len(parts) == len(folders) > 1):
        is_train = {part: part.name.lower().startswith("train") for part in parts}
        first = sorted(parts, key=lambda one: (not is_train[one], -len(below[one])))
        part = next((one for one in first if below[one]), None)
        text = (
            f"The folders {listed(one.name for one in parts)} of {str(root)!r} are called as "
            "parts of a data set, and not as classes."
        )
        if part is None:
            warn(f"{text} If labels are elsewhere, load_table reads them beside paths.")
            return
        raise ValueError(
            f"{text} Read one part at a time, such as {str(part)!r}, whose folders are "
            f"{listed(sorted(below[part]))}; or move the folders of the classes up."
        )
    names = {folder.name for folder in folders}
    if len(names) > 1 and all(map(_FILES.fullmatch, names)):
        warn(
            f"The classes are {listed(sorted(names))}, which may be kinds of files and no classes, "
            "such as pictures and masks of their parts. Give labels as folders or in a table."
        )
    for part in parts:
        if inside := sorted(below[part] & (names - {part.name})):
            warn(
                f"The folder {part.name!r} of {str(root)!r} is read as a class, but has folders "
                f"that are called as classes beside it: {listed(inside)}. If it is a part of the "
                f"data set, move it out of {str(root)!r}, and load it on its own."
            )
    if shared := _shared([_words(names) for names in below.values()]):
        warn(
            f"The classes are {listed(one.name for one in folders)}. None of these folders has a "
            f"picture of its own, but they have the same folders, {listed(shared)}. If those are "
            f"the classes, read one folder at a time, such as {str(folders[0])!r}."
        )


def _warn_of_wrapping(root, folder):
    """Warn if the folders in the only folder may be the classes, as in an unpacked archive."""
    inner, seen = folder, set()
    while len(below := _folders_without_pictures(inner)) == 1:
        if (real := os.path.realpath(inner)) in seen:  # a link to a folder above
            return
        seen.add(real)
        inner /= below.pop()
    if len(names := _words(below)) > 1:
        warn(
            f"The only class is {folder.name!r}, the one folder of {str(root)!r}. If its folders "
            f"{listed(sorted(names))} are the classes, read {str(inner)!r}."
        )


def warn_of_twins(images):
    """Warn of masks or small copies among pictures, such as "3_mask.png" beside "3.png".

    That is if at least half of the pictures, and at least three, have such a file beside them.
    Files with each ending are counted on their own.
    """
    stems = {os.path.splitext(image)[0]: os.path.basename(image) for image in images}
    twins = {}
    for stem in stems:
        folder, name = os.path.split(stem)
        found = _TWIN.fullmatch(name)
        if found and (of := os.path.join(folder, found["of"])) in stems:
            twins.setdefault(found["ending"].lower(), {})[stem] = of
    for ending, pairs in twins.items():
        have_one = set(pairs.values())
        if len(have_one) >= max(3, (len(stems) - len(pairs)) / 2):
            twin = min(pairs)
            warn(
                f"{len(pairs)} of the {len(images)} pictures are called as others beside them, "
                f"with {ending!r} behind, such as {stems[twin]!r} beside "
                f"{stems[pairs[twin]]!r}. If they are masks or copies and no pictures "
                "of the classes, move them to another folder."
            )


def _folders_without_pictures(folder):
    """Return the names of the folders in a folder; an empty set if it also contains pictures."""
    with os.scandir(folder) as entries:
        seen = [one for one in entries if not is_hidden(one.name)]
    if any(is_image_name(one.name) and one.is_file() for one in seen):
        return set()
    return {one.name for one in seen if one.is_dir()}


def _words(names):
    """Return the names without digits; an empty set if one is a kind of file or a side."""
    words = {name for name in names if not any(sign.isdigit() for sign in name)}
    return words if not any(_NO_CLASS.fullmatch(name) for name in words) else set()


def _shared(of_folders):
    """Return the names that several folders have.

    An empty list if a folder has no names, only one name is shared, or fewer than half are.
    """
    if len(of_folders) < 2 or not all(of_folders):
        return []
    names = sorted(set.union(*of_folders))
    shared = [name for name in names if sum(name in some for some in of_folders) > 1]
    return shared if len(shared) > 1 and 2 * len(shared) >= len(names) else []

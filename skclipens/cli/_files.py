"""Find the pictures of the commands, their labels, and names of their classes."""

from pathlib import Path

import numpy as np

from .._utils._labels import refuse_paths_as_labels
from .._utils._missing import is_missing
from .._utils._probabilities import PROBABILITY
from .._utils._warnings import warn
from ..datasets import load_folder, load_table
from ..datasets._layout import warn_of_twins
from ..datasets._local import list_images, readable_name, warn_of_skipped
from ..datasets._tables import (
    PATH_COLUMNS,
    TABLE_SUFFIXES,
    images_of_table,
    read_table,
    refuse_several,
    warn_of_parts,
)
from ..images._containers import name_of
from ..images._files import IMAGE_SUFFIXES, checked_text
from ..images._protocols import is_url
from ._outputs import REJECTED

_OTHER_LISTS = (".txt", ".tsv", ".xlsx", ".xls", ".ods", ".json", ".jsonl")
_CHOOSE_ROWS = "To take one part, write its rows, such as those of {part!r}, to another table."


def find_pictures(sources):
    """Return the absolute paths of pictures, or the pictures in a table, with or without labels.

    Sources are folders, tables and image files. Raise FileNotFoundError if there is none, and
    ValueError if a folder has no images.
    """
    return np.concatenate([_pictures_of(source) for source in sources])


def _pictures_of(source):
    if Path(source).is_dir():
        images, others = list_images(source)
        if not images:
            raise ValueError(f"{source!r} has no images; these end in {', '.join(IMAGE_SUFFIXES)}.")
        warn_of_skipped(others, "no images, or read already")
        warn_of_twins(images)
        return images
    _refuse_missing(source)
    if is_table(source):
        path = Path(source).absolute()
        table = read_table(path, text=PATH_COLUMNS)
        images, _ = images_of_table(table, path)  # labels play no part
        return _without_urls(images, source)
    if source.lower().endswith(_OTHER_LISTS) or Path(source).is_fifo():
        raise ValueError(
            f"{source!r} is no image: a list of files goes into a .csv table with the column "
            "'path'."
        )
    return [checked_text(str(Path(source).absolute()))]


def _refuse_missing(source):
    if not Path(source).exists():
        advice = _advice_on_url(source) if is_url(source) else "Check the path."
        raise FileNotFoundError(f"There is no file or folder {source!r}. {advice}")


def _without_urls(files, source):
    """Return the files of a table; raise FileNotFoundError if all of them are URLs."""
    if all(isinstance(one, str) and is_url(one) for one in files):
        first = str(files[0])
        raise FileNotFoundError(
            f"{source!r} names URLs, such as {first!r}, not paths. {_advice_on_url(first)}"
        )
    return files


def _advice_on_url(name):
    if name.startswith("file://"):
        return "Write paths without 'file://'."
    return "URLs are not fetched: download the files, and write their paths."


def names_of(pictures):
    """Return the paths of pictures, or else their positions; None in place of one that lacks."""
    return [
        None if one is None else name_of(one) or f"picture {place}"
        for place, one in enumerate(pictures)
    ]


def find_labelled(
    source, raw_names, groups=None, *, path_column=None, may_lack=False, to_learn=True
):
    """Find pictures, the names of their classes, and their groups, in a folder or table.

    `raw_names` is whether names of folders are used unchanged, `groups` the column of the table
    that holds the groups, or None, `path_column` that of the pictures, if it is not a usual one,
    and `may_lack` is whether it may have gaps. If `to_learn` is false, "rejected" may be a true
    label. Raise ValueError if there are no labels, or the table does not have this column.
    """
    _refuse_missing(source)
    of_table = is_table(source)
    if of_table:
        pictures = load_table(source, path_column=path_column, allow_missing=may_lack)
    else:
        pictures = load_folder(source, raw_names=raw_names)
    if pictures.target is None:
        raise ValueError(f"{source!r} has no labels: add a column that is called 'label'.")
    if of_table:
        refuse_paths_as_labels(pictures.frame["label"], f"The column of labels of {source!r}")
        _without_urls(pictures.filenames, source)
        _warn_of_predictions(source, pictures.frame, to_learn)
        warn_of_parts(pictures.frame.drop(columns="label"), source, _CHOOSE_ROWS)
    labels = pictures.target_names[pictures.target]
    return pictures.filenames, labels, _column_of_groups(source, groups)


def _column_of_groups(source, name):
    if name is None:
        return None
    if not is_table(source):
        raise ValueError(f"--groups {name} is a column of a table, but {source!r} is a folder.")
    table = read_table(Path(source), text=[name])
    refuse_no_columns("--groups", [name], table, source)
    refuse_several(table[name], name, source)
    if missing := [row for row, group in enumerate(table[name]) if is_missing(group)]:
        raise ValueError(
            f"Column {name!r} of {source!r} names no group in row {missing[0]}. A picture that "
            "belongs to no other is a group of its own."
        )
    return table[name]


def refuse_no_columns(option, names, table, source):
    """Raise ValueError if a table does not have a column that an option names."""
    for name in names:
        if name not in table.columns:
            raise ValueError(f"{option} {name} is no column of {source!r}: it has {[*table]}.")


def _warn_of_predictions(source, table, to_learn):
    """Warn if labels of a table are the unchanged output of ``skclipens predict``.

    This is asked of all labels, and in order to learn, also of "rejected" alone.
    """
    columns = [name for name in table.columns if name.startswith(PROBABILITY)]
    if columns:
        best = table[columns].to_numpy(float).argmax(axis=1)
        predicted = [columns[place].removeprefix(PROBABILITY) for place in best]
        labels = table["label"].astype(str)
        if all(one in (likeliest, REJECTED) for one, likeliest in zip(labels, predicted)):
            or_rejected = f", or {REJECTED!r}" if (labels == REJECTED).any() else ""
            warn(
                f"The labels in {source!r} are predictions of a model: each is the likeliest by "
                f"the columns {PROBABILITY}... beside it{or_rejected}. Say what is really in "
                "the images. If you have checked them all, ignore this."
            )
        elif to_learn and (labels == REJECTED).any() and PROBABILITY + REJECTED not in columns:
            warn(
                f"{np.count_nonzero(labels == REJECTED)} images in {source!r} are labelled "
                f"{REJECTED!r}, which skclipens predict writes for images of none of the classes. "
                "This label becomes a class. Say what is really in the images, or leave them out. "
                "If it is to be a class, ignore this."
            )


def read_class_names(path, labels):
    """Read names for the classes in `labels` from a table with the columns "label" and "name".

    Return a dict, or None without a table. Raise ValueError if the table lacks one of these
    columns, lacks a label or has one twice.
    """
    if path is None:
        return None
    table = read_table(Path(path), text=["label", "name"])
    if not {"label", "name"} <= set(table.columns):
        raise ValueError(f"{path!r} needs a column 'label' and a column 'name'.")
    twice = table["label"][table["label"].duplicated()].tolist()
    if twice:
        raise ValueError(f"{path!r} has the label {twice[0]!r} more than once.")
    table = table.dropna(subset="name")
    names = dict(zip(table["label"].astype(str), table["name"]))
    names = {readable_name(folder): name for folder, name in names.items()} | names
    classes = np.unique(labels).tolist()
    unnamed = [label for label in classes if str(label) not in names]
    if unnamed:
        raise ValueError(f"{path!r} has no name for the class {str(unnamed[0])!r}.")
    return {label: names[str(label)] for label in classes}


def is_table(source):
    return source.lower().endswith(TABLE_SUFFIXES) and not Path(source).is_dir()

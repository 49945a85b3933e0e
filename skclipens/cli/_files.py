"""Read and write the pictures, tables and models of the commands."""

import os
import shutil
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

import joblib
import numpy as np

from .._utils._extras import require
from .._utils._missing import is_missing
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
from ..embedding._keys import image_keys
from ..images._containers import name_of
from ..images._files import IMAGE_SUFFIXES, checked_text
from ..images._protocols import is_url
from ..pipeline import BackbonePipeline

_CHOOSE_ROWS = "To take one part, write its rows, such as those of {part!r}, to another table."
PROBABILITY = "probability__"  # prefix of columns that predict writes
REJECTED = "rejected"  # written in place of "", which cannot be a label in a folder or table


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
    if not Path(source).exists():
        advice = _advice_on_url(source) if is_url(source) else "Check the path."
        raise FileNotFoundError(f"There is no file or folder {source!r}. {advice}")
    if _is_table(source):
        path = Path(source).absolute()
        table = read_table(path, text=PATH_COLUMNS)
        images, _ = images_of_table(table, path)  # labels play no part
        return _without_urls(images, source)
    if source.lower().endswith(".txt") or Path(source).is_fifo():
        raise ValueError(
            f"{source!r} is no image: a list of files goes into a .csv table with the column "
            "'path'."
        )
    return [checked_text(str(Path(source).absolute()))]


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
    """Return names of pictures for an output: their paths, or else their positions."""
    return [name_of(one) or f"picture {place}" for place, one in enumerate(pictures)]


def find_labelled(source, raw_names, groups=None, *, to_learn=True):
    """Find pictures, the names of their classes, and their groups.

    Parameters
    ----------
    source : str
        A folder with one folder per class, or a table.
    raw_names : bool
        Whether to use names of folders unchanged.
    groups : str or None
        The column of the table that holds the groups.
    to_learn : bool
        Whether each label becomes a class; otherwise, "rejected" may be a true label.

    Returns
    -------
    pictures : ndarray of shape (n,), dtype str or object
    labels : ndarray of shape (n,)
    groups : Series of shape (n,), or None

    Raises
    ------
    ValueError
        If there are no labels, or the table does not have this column.
    """
    is_table = _is_table(source)
    pictures = load_table(source) if is_table else load_folder(source, raw_names=raw_names)
    if pictures.target is None:
        raise ValueError(f"{source!r} has no labels: add a column that is called 'label'.")
    if is_table:
        _without_urls(pictures.filenames, source)
        _warn_of_predictions(source, pictures.frame, to_learn)
        warn_of_parts(pictures.frame.drop(columns="label"), source, _CHOOSE_ROWS)
    labels = pictures.target_names[pictures.target]
    return pictures.filenames, labels, _column_of_groups(source, groups)


def _column_of_groups(source, name):
    if name is None:
        return None
    if not _is_table(source):
        raise ValueError(f"--groups {name} is a column of a table, but {source!r} is a folder.")
    table = read_table(Path(source), text=[name])
    if name not in table.columns:
        raise ValueError(f"--groups {name} is no column of {source!r}: it has {[*table.columns]}.")
    refuse_several(table[name], name, source)
    if missing := [row for row, group in enumerate(table[name]) if is_missing(group)]:
        raise ValueError(
            f"Column {name!r} of {source!r} names no group in row {missing[0]}. A picture that "
            "belongs to no other is a group of its own."
        )
    return table[name]


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


def _is_table(source):
    return source.lower().endswith(TABLE_SUFFIXES) and not Path(source).is_dir()


def check_can_write(path, sources, suffixes=TABLE_SUFFIXES):
    """Raise before the work if its result could not be written.

    The output must be none of the sources, and end in one of the suffixes; if these are None, it is
    a model, with any ending except those of tables and images.
    """
    if path is None:
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


def save_model(model, path, pictures):
    """Write a fitted pipeline, with the device, cache and verbosity of this run reset.

    A hash of each picture that it was fitted on is added, for :func:`count_fitted`.
    """
    model[-1]._fitted_on = np.unique(_digests(pictures))
    with beside(path) as file:
        joblib.dump(with_parameters(model, verbose=False, cache=False, device="auto"), file)


def load_model(path, **parameters):
    """Read a fitted pipeline, and set parameters of its steps.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file has neither a :class:`~skclipens.pipeline.BackbonePipeline` nor a search over
        one.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"There is no model {path!r}. Check the path.")
    try:
        model = joblib.load(path)
    except Exception as error:  # pickle raises many kinds of errors on other files
        raise ValueError(f"{path!r} is no model that skclipens fit has made: {error}") from error
    model = getattr(model, "best_estimator_", model)  # of a search
    if not isinstance(model, BackbonePipeline):
        raise ValueError(
            f"{path!r} holds an object of type {type(model).__name__}, not a BackbonePipeline. "
            "Save one that make_backbone_pipeline(estimator=...) makes of embedder and classifier."
        )
    return with_parameters(model, **parameters)


def count_fitted(model, pictures):
    """Return how many of the pictures a model was fitted on; 0 if it has no record of them."""
    known = getattr(model[-1], "_fitted_on", [])
    return int(np.isin(_digests(pictures), known).sum()) if len(known) else 0


def _digests(pictures):
    """Return a hash of the content of each picture; unreadable ones have none."""
    keys = [key for key in image_keys(list(pictures)) if key is not None]
    return np.array([int.from_bytes(key[-8:]) for key in keys], np.uint64)


def with_parameters(model, **parameters):
    """Set parameters of the steps and heads that have them, except parameters that are None."""
    for _, step in model.steps:
        for one in (step, *(expert.head for expert in getattr(step, "experts_", ()))):
            known = one.get_params(deep=False)
            given = {k: v for k, v in parameters.items() if k in known and v is not None}
            one.set_params(**given)
    return model

"""Load a user's own pictures from folders of classes and tables of paths."""

import os
import re
import reprlib
import unicodedata
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from .._utils._class_texts import first_rows, warn_of_spellings, written_apart
from .._utils._messages import listed
from .._utils._paths import check_path
from .._utils._warnings import warn
from ..images._files import IMAGE_SUFFIXES, checked_text, is_image_path
from ..images._folders import class_folders, is_hidden, walk, walk_class
from ..images._protocols import is_url
from ._bunch import make_dataset
from ._layout import check_class_folders, warn_of_twins
from ._tables import (
    PATH_COLUMNS,
    SEVERAL,
    TABLE_SUFFIXES,
    check_all_there,
    images_of_table,
    locate_images,
    read_table,
    refuse_several,
    typed,
    usual_column,
    warn_of_parts,
)

LABEL_COLUMNS = ("label", "class", "category")
# Not before or after a word: "-80C" and "gram-" have a minus.
_HYPHEN = re.compile(r"(?<=[^\s-])-+(?=[^\s-])|(?<!\S)-+(?!\S)")
_CHOOSE_ROWS = (
    "To take one part, load the table without return_X_y, and choose filenames and labels where "
    "frame[{column!r}] == {part!r}."
)


def load_folder(path, *, raw_names=False, return_X_y=False):
    """Load pictures from a folder with one subfolder per class, like torchvision's ImageFolder.

    No picture is decoded. All files below the folder of a class belong to the class, at any depth.
    Links to folders are followed, but a class reads no folder twice. A link in `path` is left out
    if it leads to the folder of another class, to `path` or to a folder above it.

    Parameters
    ----------
    path : str or os.PathLike
        The folder of folders.
    raw_names : bool, default=False
        If True, classes have the names of their folders. Otherwise "_", and "-" between words,
        become spaces, so that "laptop_computer" becomes "laptop computer" in a prompt.
    return_X_y : bool, default=False
        If True, return paths and names of classes, which ``fit`` takes, instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        filenames : ndarray of shape (n_samples,), dtype str
            Absolute paths, in the order of folders and names.
        target : ndarray of shape (n_samples,), dtype int
            Indices into `target_names`.
        target_names : ndarray of shape (n_classes,), dtype str
            Names of the classes, sorted.
        frame : DataFrame of shape (n_samples, 3)
            Columns "path", "label" (the name of the class) and "target".
        skipped : list of str
            Files that were left out: hidden files, files that are not images or not in the folder
            of a class, and links to a folder that its class has already read, or that is a class
            itself. There is a warning for all except hidden files.

    (filenames, labels) : tuple if `return_X_y` is True
        The paths, and for each the name of its class.

    Raises
    ------
    TypeError
        If `path` is not one path.
    OSError
        If there is no such folder, or it or one below cannot be read.
    ValueError
        If it has no subfolders, one of them has no images, two of them give the same class name, or
        they are parts of a data set ("train", "test") that contain the folders of the classes.

    Warns
    -----
    UserWarning
        If files are left out; if the folders contain only folders with mostly the same names, which
        may be the classes; if all folders have names such as "train" and "test"; if a folder "test"
        beside the classes contains the same classes; or if half of the pictures, and at least
        three, have a file beside them that is named like their mask, such as "3_mask.png" beside
        "3.png".

    See Also
    --------
    load_table : Paths and labels from a file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from skclipens.datasets import load_folder
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("cat", "laptop_computer"):
    ...         (Path(folder) / name).mkdir()
    ...         Image.new("RGB", (8, 8)).save(Path(folder) / name / "1.png")
    ...     pictures = load_folder(folder)
    ...     paths, labels = load_folder(folder, return_X_y=True)
    >>> print(*pictures.target_names, sep=", ")
    cat, laptop computer
    >>> pictures.target
    array([0, 1])
    >>> print(labels)
    ['cat' 'laptop computer']
    """
    check_path(path, "path", "folder")
    root = _existing_folder(path)
    folders, links = ([root / name for name in some] for some in class_folders(root))
    if not folders:
        raise ValueError(
            f"{str(root)!r} has no folders. Put the images of each class into a folder that is "
            "named after it."
        )
    names = [one.name if raw_names else readable_name(one.name) for one in folders]
    _check_names(names, folders)
    check_class_folders(root, folders)
    skipped = [str(one) for one in sorted(root.iterdir()) if one.is_file() or one in links]
    filenames, labels = [], []
    for folder, name in zip(folders, names, strict=True):
        images, others = list_images(folder, walk_class)
        if not images:
            raise ValueError(
                f"Folder {str(folder)!r} has no images; these end in {', '.join(IMAGE_SUFFIXES)}. "
                "Remove it, or put some there."
            )
        filenames += images
        labels += [name] * len(images)
        skipped += others
    warn_of_skipped(skipped, "no images, in no class's folder, or read already")
    warn_of_twins(filenames)
    filenames, labels = np.array(filenames), np.array(labels)
    if return_X_y:
        return filenames, labels
    dataset = make_dataset(filenames, labels, {}, return_X_y=False, as_frame=False)
    dataset.skipped = skipped
    return dataset


def load_table(path, *, path_column=None, label_column=None, allow_missing=False, return_X_y=False):
    """Load paths of pictures, and their labels if there are any, from a CSV or Parquet file.

    No picture is decoded.

    Parameters
    ----------
    path : str or os.PathLike
        A file that ends in ``.csv`` or ``.parquet``; the latter needs pyarrow.
    path_column : str or list of str, default=None
        The column of paths, or the columns if rows have several images. Relative paths start at the
        folder of the table; "~/" is the user's folder. URLs and images (cells ``{"bytes", "path"}``
        of the Hugging Face hub, bytes, base64) are not changed. None means the first existing
        column of "path", "filename", "file" and "image", preferably one that contains images. In a
        Parquet file, it and `label_column` may be levels of the index.
    label_column : str, default=None
        The column of labels. None means the first existing column of "label", "class" and
        "category". In a CSV file, labels become numbers, or True and False, if all of them are
        written as Python writes these. Otherwise, as with 007 and 1e5, they are strings, without
        spaces around them.
    allow_missing : bool, default=False
        Whether rows may lack an image: None takes its place where the cell is empty. An embedder
        with ``on_error="nan"`` reads such columns.
    return_X_y : bool, default=False
        If True, return images and labels, which ``fit`` takes, instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        filenames : ndarray of shape (n_samples,), dtype str or object
            Absolute paths, URLs or images, in the order of the table; None where one is missing.
            If `path_column` is a list, the first that each row has.
        target : ndarray of shape (n_samples,), dtype int, or None
            Indices into `target_names`; None without a column of labels.
        target_names : ndarray of shape (n_classes,) or None
            The labels, sorted.
        frame : DataFrame of shape (n_samples, n_columns)
            "path", the other columns of the table, "label" and "target". These three replace
            columns with the same names. If `path_column` is a list, its columns keep their names,
            and no "path" is added. Others keep the types of a Parquet file. In a CSV file, "NA",
            "NULL", "nan", "None" and the like are missing values in a column of numbers, and text
            elsewhere.

    (filenames, labels) : tuple if `return_X_y` is True
        The paths, URLs or images, as a DataFrame of the columns if `path_column` is a list, and the
        label of each row: None where the cell is empty, which `fit` refuses unless its parameter
        `unlabeled` says what to do with such pictures.

    Raises
    ------
    TypeError
        If `path` is not one path.
    FileNotFoundError
        If there is no such table, or a file that it names is missing; the message names the row.
    ValueError
        If the table has another format, is empty, lacks a column or has it twice; if `path_column`
        is empty or names a column twice; if a row has no path and `allow_missing` is False, several
        paths in a cell, several labels, or no label and `return_X_y` is False; or if there are no
        labels, and `return_X_y` is True.
    ImportError
        If the table is Parquet and pyarrow is not installed.

    Warns
    -----
    SuspectedMistakeWarning
        If labels differ only in case, spaces, "_", zeros or characters that look alike, such as
        "cat" and "Cat"; the warning names the rows. Also if `return_X_y` is True, and a column such
        as "split" assigns the rows to several parts of a data set.

    See Also
    --------
    load_folder : Classes from folders.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skclipens.datasets import load_emoji, load_table
    >>> emoji = load_emoji()
    >>> with TemporaryDirectory() as folder:
    ...     emoji.frame[["path", "label"]].to_csv(Path(folder) / "emoji.csv", index=False)
    ...     pictures = load_table(Path(folder) / "emoji.csv")
    >>> len(pictures.filenames)
    1365
    >>> print(pictures.target_names[pictures.target[0]])
    smiling face
    """
    if hasattr(path, "columns"):
        raise TypeError(
            f"path is a {type(path).__name__}, and names a file. fit takes columns of a table as "
            "they are: clf.fit(table['path'], table['label'])."
        )
    check_path(path, "path", "table")
    if is_url(str(path)):
        raise ValueError(f"{str(path)!r} is a URL: download the table, and name its file.")
    table_path = Path(path).expanduser().absolute()
    several = None
    if path_column is not None and not isinstance(path_column, str):
        several = list(path_column) if isinstance(path_column, (list, tuple)) else [path_column]
        _check_path_columns(several)
    table = read_table(
        table_path, [*(several or [path_column]), label_column, *PATH_COLUMNS, *LABEL_COLUMNS]
    ).reset_index(drop=True)
    if several is None:
        filenames, path_column = images_of_table(table, table_path, path_column, allow_missing)
        columns = table.drop(columns=[path_column, "path"], errors="ignore")
        columns.insert(0, "path", filenames)
    else:
        filenames, _ = locate_images(table, table_path, several, allow_missing)
        columns = table
    of_images = several or [path_column]
    if label_column in of_images:
        raise ValueError(f"label_column={label_column!r} is also a column of images.")
    usual = [name for name in LABEL_COLUMNS if name not in of_images]
    label_column = usual_column(table, label_column, usual, "label_column")
    if label_column is None and return_X_y:
        raise ValueError(
            f"{str(table_path)!r} has none of the columns {', '.join(LABEL_COLUMNS)}, but "
            f"{reprlib.repr(list(table.columns))}, so there is no y; label_column names another "
            "column."
        )
    if label_column is None:
        return Bunch(filenames=filenames, target=None, target_names=None, frame=columns)
    labels = _labels_of(table[label_column], table_path, may_lack=return_X_y)
    if return_X_y:
        warn_of_parts(table.drop(columns=label_column), table_path, _CHOOSE_ROWS)
        return filenames if several is None else table[several], labels
    names, target = np.unique(labels, return_inverse=True)
    frame = columns.drop(columns=label_column, errors="ignore")
    frame = frame.assign(label=labels, target=target)
    return Bunch(filenames=filenames, target=target, target_names=names, frame=frame)


def _check_path_columns(path_columns):
    are_names = all(isinstance(name, str) for name in path_columns)
    if not (path_columns and are_names) or len({*path_columns}) < len(path_columns):
        raise ValueError(
            f"path_column={path_columns!r} must be a str, or a list of str, each of them once."
        )


def _labels_of(column, table_path, may_lack):
    """Return the labels in a column of a table, None where there is none and `may_lack` is true."""
    labels, lacks = column.tolist(), column.isna().to_numpy()
    if not may_lack or lacks.all():
        check_all_there(labels, column.name, table_path)
    refuse_several(labels, column.name, table_path, kinds=(*SEVERAL, bytes))
    warn_of_spellings(first_rows(labels), f"Column {column.name!r} of {str(table_path)!r}")
    if lacks.any():  # which makes floats of integers
        labels = column.dropna().convert_dtypes().tolist()
    # Parquet has types, so its strings are not converted.
    labels = typed(labels) if table_path.suffix.lower() == ".csv" else np.array(labels)
    if not lacks.any():
        return labels
    filled = np.full(len(column), None, dtype=object)
    filled[~lacks] = labels.tolist()
    return filled


def list_images(folder, walk=walk):
    """Return the absolute paths of files below a folder, folder by folder: images, and others.

    The others include hidden files and links that are not followed. `walk` yields places and their
    files: it is `walk_class` for the folder of one class.
    """
    images, others = [], []
    for place, files in walk(_existing_folder(folder), others):
        for file in files:
            (images if is_image_path(file) else others).append(os.path.join(place, file))
    for image in images:
        checked_text(image)
    return images, others


def _existing_folder(path):
    if not os.fspath(path):
        raise FileNotFoundError("The name of the folder is empty. '.' is the current folder.")
    folder = Path(path).expanduser().absolute()
    if folder.is_file():
        ends = " or ".join(TABLE_SUFFIXES)
        raise NotADirectoryError(
            f"{str(folder)!r} is no folder. If it is a table, it ends in {ends}."
        )
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {str(folder)!r}.")
    return folder


def readable_name(folder):
    folder = unicodedata.normalize("NFC", folder)  # macOS stores letters and accents separately
    return " ".join(_HYPHEN.sub(" ", folder.replace("_", " ")).split()) or folder


def _check_names(names, folders):
    first = {}
    for name, folder in zip(names, folders, strict=True):
        if (other := first.setdefault(name, folder)) is not folder:
            one, another = written_apart(other.name, folder.name)
            raise ValueError(
                f"The folders {one} and {another} are both called {name!r}. Rename "
                "one, or keep the names of folders with raw_names=True."
            )


def warn_of_skipped(skipped, why):
    """Warn of files and links that are left out, except hidden ones."""
    shown = [one for one in skipped if not is_hidden(Path(one).name)]
    if shown:
        warn(f"Left out, as {why}: {listed(shown, write=str)}.", UserWarning)

"""Stamps of the drawing program Tux Paint, many of them photographs, with captions."""

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.datasets import get_data_home

from ..exceptions import DatasetNotAvailableError
from ._archives import run, unpack_deb
from ._bunch import has_large_class, make_dataset, read_description

PACKAGE = "tuxpaint-stamps-default"
STAMPS = Path("usr", "share", "tuxpaint", "stamps")

# The class of each folder and of all below it, unless a longer path is listed.
CLASS_OF_FOLDER = {
    "animals/birds": "bird",
    "animals/fish": "sea animal",
    "animals/insects": "insect",
    "animals/mammals": "mammal",
    "animals/marsupials": "mammal",
    "animals/shellfish": "sea animal",
    "clothes": "clothing",
    "clothes/hats": "hat",
    "food/fruit": "fruit",
    "food/vegetables": "vegetable",
    "hobbies/music": "musical instrument",
    "household": "household item",
    "household/arttools": "art supplies",
    "household/dishes": "tableware",
    "household/electronics": "electronic device",
    "household/tools": "tool",
    "people": "person",
    "people/body_parts": "body part",
    "plants": "plant",
    "plants/flowers": "flower",
    "seasonal/christmas": "christmas decoration",
    "seasonal/easter": "easter decoration",
    "seasonal/halloween": "halloween decoration",
    "space": "spacecraft",
    "space/solarsystem": "planet or moon",
    "sports": "sports equipment",
    "symbols/alphabets": "letter",
    "symbols/alphabets/asl": "sign language hand",
    "symbols/chess": "chess piece",
    "symbols/math": "number or math sign",
    "symbols/money": "money",
    "symbols/music": "musical notation",
    "town/houses": "building",
    "town/monuments": "building",
    "town/roadsigns": "road sign",
    "vehicles": "vehicle",
}


def fetch_tuxpaint(
    path=None,
    *,
    data_home=None,
    download_if_missing=True,
    min_class_size=12,
    return_X_y=False,
    as_frame=False,
):
    """Load the Tux Paint stamps (image classification), downloading them if necessary.

    The stamps are the Debian package ``tuxpaint-stamps-default``, 81 MB to download and 46 MB on
    disk. It is fetched by name with ``apt-get`` and unpacked, not installed, which needs no
    privileges. Once there, it is read from the disk.

    A stamp is a PNG file with its caption next to it, in a text file of the same name. Its folder
    determines its class. The classes of the main folders have names that read well in a prompt,
    such as "bird" for ``animals/birds`` and "mammal" for all folders of mammals. Other classes
    have as names the first two levels of their path, such as "food/nuts"; most of them are below
    `min_class_size`.

    =====================   =======================
    Classes                                      30
    Samples per class                     12 to 122
    Samples total                               828
    Dimensionality          images of varying size
    =====================   =======================

    Parameters
    ----------
    path : str or path-like, default=None
        A folder of stamps, such as ``/usr/share/tuxpaint/stamps`` of an installed package, or one
        that contains ``usr/share/tuxpaint/stamps``, such as an unpacked package. None: that of
        `data_home`.
    data_home : str or path-like, default=None
        The data directory of scikit-learn, by default
        :func:`sklearn.datasets.get_data_home`. The stamps are in its
        ``skclipens/tuxpaint`` folder.
    download_if_missing : bool, default=True
        If False, raise an OSError if the stamps are not there instead of downloading them.
    min_class_size : int, default=12
        Leave out classes with fewer stamps.
    return_X_y : bool, default=False
        If True, return ``(filenames, labels)`` instead of a Bunch.
    as_frame : bool, default=False
        If True, ``target`` is a pandas Series. With `return_X_y` the labels are one, and the
        inputs are a DataFrame with the single column "path".

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        filenames : ndarray of shape (n_samples,), dtype str
            Absolute paths of the PNG files, which have varying sizes and transparent parts.
        captions : ndarray of shape (n_samples,), dtype str
            One English sentence for each stamp.
        target : {ndarray, Series} of shape (n_samples,), dtype int
            Indices into `target_names`.
        target_names : ndarray of shape (n_classes,), dtype str
            The names of the classes, sorted.
        frame : DataFrame of shape (n_samples, 5)
            Columns "path", "caption", "folder" (relative to the folder of stamps), "label" (the
            name of the class) and "target".
        n_skipped : dict of str to int
            How many files were left out: "svg" (drawings, which the Debian package has as PNG
            files too), "no caption" (most of them mirrored stamps) and "small class".
        DESCR : str
            The full description of the dataset, with its licence.

    (filenames, labels) : tuple if `return_X_y` is True
        The inputs, and the names of the classes, ``target_names[target]``.

    Raises
    ------
    DatasetNotAvailableError
        If the stamps are missing and are not to be downloaded, or cannot be, because this is
        not a Debian-like system or its package lists are empty. It is an OSError. The message
        explains what to do.
    FileNotFoundError
        If there is no folder `path`, or a folder has no stamps.
    ValueError
        If no class has `min_class_size` stamps.

    See Also
    --------
    load_emoji : Pictures that come with the package.

    Examples
    --------
    >>> from skclipens.datasets import fetch_tuxpaint
    >>> stamps = fetch_tuxpaint()  # doctest: +SKIP
    >>> stamps.captions[0]  # doctest: +SKIP
    'An Adelaide Rosella.'
    """
    root = _find_stamps(_fetched(data_home, download_if_missing) if path is None else path)
    pngs = sorted(root.rglob("*.png"))
    stamps = [png for png in pngs if png.with_suffix(".txt").exists()]
    if not stamps:
        raise FileNotFoundError(f"No stamps, PNG files with a caption, in {str(root)!r}.")
    folders = np.array([stamp.parent.relative_to(root).as_posix() for stamp in stamps])
    labels = np.array([_class_of(folder) for folder in folders])
    large = has_large_class(labels, min_class_size)
    filenames = np.array([str(stamp) for stamp in stamps])[large]
    captions = np.array([_read_caption(path) for path in filenames])

    dataset = make_dataset(
        filenames,
        labels[large],
        {"caption": captions, "folder": folders[large]},
        return_X_y=return_X_y,
        as_frame=as_frame,
    )
    if return_X_y:
        return dataset
    dataset.captions = captions
    dataset.n_skipped = {
        "svg": sum(1 for _ in root.rglob("*.svg")),
        "no caption": len(pngs) - len(stamps),
        "small class": int(np.sum(~large)),
    }
    dataset.DESCR = read_description("tuxpaint")
    return dataset


def _fetched(data_home, download_if_missing):
    """Return the folder of stamps in the data directory; download them if they are missing."""
    folder = Path(get_data_home(data_home), "skclipens", "tuxpaint")
    if not folder.exists():
        if not download_if_missing:
            raise DatasetNotAvailableError(
                f"No stamps in {str(folder)!r}, and download_if_missing=False."
            )
        _download(folder)
    return folder


def _find_stamps(path):
    path = Path(path).expanduser()
    for folder in (path / STAMPS, path):
        if folder.is_dir():
            return folder.absolute()
    raise FileNotFoundError(f"There is no folder {str(path)!r}. Leave path out to download stamps.")


def _class_of(folder):
    parts = folder.split("/")
    for depth in range(len(parts), 0, -1):
        name = CLASS_OF_FOLDER.get("/".join(parts[:depth]))
        if name:
            return name
    return "/".join(parts[:2])


def _read_caption(stamp):
    # Translations follow the first line, which is English.
    with open(Path(stamp).with_suffix(".txt"), encoding="utf-8-sig") as file:
        return file.readline().strip()


def _download(folder):
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise DatasetNotAvailableError(
            f"Downloading {PACKAGE} needs the commands apt-get and dpkg-deb of Debian and its "
            f"derivatives. Elsewhere, get the package from https://packages.debian.org/{PACKAGE}, "
            "unpack it (ar x *.deb; tar -xf data.tar.xz), and give the folder as path."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as directory:
        run(["apt-get", "download", PACKAGE], directory)  # which verifies checksums
        (package,) = Path(directory).glob("*.deb")
        unpacked = Path(directory, "unpacked")
        unpack_deb(package, unpacked)
        for suffix in ("ogg", "wav"):
            for sound in unpacked.rglob(f"*.{suffix}"):
                sound.unlink()
        # Moved only when complete, so that a broken download is not taken for the stamps.
        os.replace(unpacked, folder)

"""Sets of photographs and scans, from a folder of data."""

import json
from pathlib import Path

import numpy as np
from sklearn.datasets import get_data_home
from sklearn.model_selection import train_test_split

from skclipens.datasets import fetch_benchmark, load_folder

from . import _roles
from ._image_set import ImageSet, MissingSetError, half_of_classes
from .photographs import COPIES


def root_of(data_home):
    """Return the folder of all sets, as in ``fetch_benchmark``."""
    return Path(data_home or Path(get_data_home(), "skclipens", "benchmarks")).expanduser()


def benchmark(name, data_home=None, download=True):
    """Return a set of the paper."""
    parts = [
        fetch_benchmark(name, subset=subset, data_home=data_home, download_if_missing=download)
        for subset in ("train", "test")
    ]
    names = parts[0].target_names.astype(str)
    target = np.concatenate([part.target for part in parts])
    # Two classes of the same name would become one.
    labels = names if len(set(names)) == len(names) else np.array(_numbered(names))
    rows, n_train = np.arange(len(target)), len(parts[0].target)
    return ImageSet(
        name,
        [image for part in parts for image in part.images],
        labels[target],
        class_names=dict(zip(labels.tolist(), names.tolist())),
        templates=list(parts[0].templates),
        train=rows[:n_train],
        test=rows[n_train:],
        gathered_from=f"{parts[0].source}, {parts[0].split}{_copy(name, data_home)}",
    )


def _numbered(names):
    return [f"{i:04d} {name}" for i, name in enumerate(names)]


def _copy(name, data_home):
    """Return a description of the copy that ``benchmarks.paper.photographs`` has laid out."""
    file = root_of(data_home) / COPIES
    known = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return f"; {known[name]}" if name in known else ""


def caltech101_half(role, data_home=None, download=True):
    whole = benchmark("caltech101", data_home, download)
    start, name = _start_and_name(role, "caltech101")
    return half_of_classes(whole, start, name, without=_roles.IN_PACS_TOO)


def tiny_imagenet_half(role, data_home=None, download=True):
    return half_of_classes(_tiny_imagenet(data_home), *_start_and_name(role, "tiny-imagenet"))


def _start_and_name(role, name):
    half = _roles.HALVES[role]
    return ["even", "odd"].index(half), f"{name}-{half}"


def tiny_imagenet_many(data_home=None, download=True):
    """Return training pictures, which trained the models on photographs, and validation pictures.

    Of the classes for validation.
    """
    folder, names = _folder_and_names(data_home)
    of_train = sorted(_existing(folder / "train").glob("*/images/*.JPEG"))
    files, y = _validation_pictures(folder, names)
    images = [str(path) for path in of_train] + files
    rows = np.arange(len(images))
    whole = ImageSet(
        "tiny-imagenet",
        images,
        np.concatenate([[names[path.parts[-3]] for path in of_train], y]),
        class_names={name: name for name in names.values()},
        train=rows[: len(of_train)],
        test=rows[len(of_train) :],
        gathered_from="published split" + _copy("tiny-imagenet", data_home),
    )
    return half_of_classes(whole, 0, _roles.MANY)


def _tiny_imagenet(data_home):
    """Return the validation pictures, 60 to 40; those that trained backbones are not used."""
    folder, names = _folder_and_names(data_home)
    files, y = _validation_pictures(folder, names)
    train, test = _split(y)
    return ImageSet(
        "tiny-imagenet",
        files,
        y,
        class_names={name: name for name in names.values()},
        train=train,
        test=test,
        gathered_from="validation pictures, 60 to 40 by us" + _copy("tiny-imagenet", data_home),
    )


def _folder_and_names(data_home):
    """Return the folder of Tiny ImageNet, and the name of each class by its key."""
    folder = _existing(root_of(data_home) / "tiny-imagenet-200")
    words = (folder / "words.txt").read_text("utf-8").splitlines()
    names = {key: text.split(",")[0] for key, _, text in (line.partition("\t") for line in words)}
    return folder, {key: names[key] for key in (folder / "wnids.txt").read_text("utf-8").split()}


def _validation_pictures(folder, names):
    lines = (folder / "val" / "val_annotations.txt").read_text("utf-8").splitlines()
    files, keys = zip(*(line.split("\t")[:2] for line in lines), strict=True)
    images = [str(folder / "val" / "images" / file) for file in files]
    return images, np.array([names[key] for key in keys])


def pacs(name, train, test, data_home=None, download=True):
    """Return training pictures of one domain, and test pictures of another."""
    folder = _existing(root_of(data_home) / "pacs")
    files = {domain: sorted(_existing(folder / domain).glob("*/*.*")) for domain in (train, test)}
    images = files[train] + files[test]
    rows = np.arange(len(images))
    return ImageSet(
        name,
        [str(path) for path in images],
        np.array([path.parent.name for path in images]),
        train=rows[: len(files[train])],
        test=rows[len(files[train]) :],
        gathered_from=f"PACS, {train} to train, {test} to test{_copy('pacs', data_home)}",
    )


def folder(path):
    """Return a user's pictures, in a folder of one folder per class, split 60 to 40."""
    files, labels = load_folder(path, return_X_y=True)
    y = labels.astype(str)
    train, test = _split(y)
    images, source = files.tolist(), "a folder of classes, 60 to 40 by us"
    return ImageSet(Path(path).name, images, y, train=train, test=test, gathered_from=source)


def _split(y):
    """Return positions for training and test, 60 to 40 of each class, sorted."""
    rows = np.arange(len(y))
    return map(np.sort, train_test_split(rows, test_size=0.4, stratify=y, random_state=0))


def _existing(folder):
    if not folder.is_dir():
        raise MissingSetError(f"{folder} is missing: see python -m benchmarks.paper.photographs.")
    return folder

"""Read benchmark sets from the Hugging Face hub with the optional library ``datasets``."""

import re
from pathlib import Path

import numpy as np

from .._utils._extras import require
from ..exceptions import DatasetNotAvailableError
from ._benchmark_files import Loaded, lazy_images

CACHE = "hub"
_VALIDATION = ("validation", "valid", "val")
_LABELS = ("label_name", "fine_label", "variant", "label", "cls")


def has_hub_copy(spec, root):
    """Return whether a clone of the repository, or a download of `read_hub`, is on disk."""
    if Path(root, spec.hub).is_dir():
        return True
    cached = {letters_of(folder.name) for folder in Path(root, CACHE).glob("*___*")}
    return letters_of(spec.hub) in cached


def read_hub(spec, root, subset):
    """Read a subset of a copy on the hub, which the library ``datasets`` downloads or updates.

    A clone of the repository is read from ``root / spec.hub``; downloads are kept in ``root /
    "hub"``. Images are decoded when they are used.

    Raise DatasetNotAvailableError if the hub cannot be reached, or has no such repository any more;
    ImportError if the library is not installed; and ValueError if the copy has no column of images,
    or none of labels with known names.
    """
    require("datasets", f"Copies on the Hugging Face hub, such as {spec.hub},")
    import datasets

    clone = Path(root, spec.hub)
    source = str(clone) if clone.is_dir() else spec.hub
    try:
        splits = datasets.load_dataset(source, cache_dir=str(Path(root, CACHE)))
    except Exception as error:  # raised by this library, the hub's client or its HTTP client
        raise DatasetNotAvailableError(f"{type(error).__name__}: {error}") from error

    test, train = _find_splits(splits)
    names = {"train": train, "test": test, "all": train + test}[subset] if test else train
    data = datasets.concatenate_datasets([splits[name] for name in names])
    column = _image_column(spec, data)
    keys, class_keys = _keys(spec, data)
    split = f"splits {names} of {spec.hub}" if test else ""
    return Loaded(lazy_images(_Column(data, column), len(data)), keys, split, class_keys)


class _Column:
    """One column of a dataset, from which images are read by their position."""

    def __init__(self, data, name):
        self.data = data.select_columns(name)
        self.name = name

    def __getitem__(self, index):
        return self.data[index][self.name]

    def __repr__(self):
        return f"column {self.name!r}"


def _find_splits(splits):
    """Return the names of the splits for testing and training.

    Food-101 and others call the test split "validation". Further splits, such as images with added
    noise, are left out.
    """
    test = [name for name in ("test", *_VALIDATION) if name in splits][:1]
    train = [name for name in ("train", *_VALIDATION) if name in splits and name not in test]
    return (test, train) if train else ([], list(splits))


def _image_column(spec, data):
    from datasets import Image

    names = [name for name, feature in data.features.items() if isinstance(feature, Image)]
    if not names:
        raise ValueError(f"{spec.hub} has no column of images, only {list(data.features)}.")
    return next((name for name in names if name in ("image", "img")), names[0])


def _keys(spec, data):
    """Return the class of each row, and the ordered names of all classes if the copy has them."""
    from datasets import ClassLabel

    columns = [name for name in _LABELS if name in data.features]
    if not columns:
        raise ValueError(f"{spec.hub} has no column of labels {_LABELS}: {list(data.features)}.")
    column = columns[0]
    values = data.select_columns(column)[:][column]
    feature = data.features[column]
    if any(value is None or value == -1 for value in values):
        raise ValueError(f"{spec.hub} has images without a label in column {column!r}.")
    if isinstance(feature, ClassLabel):
        return [feature.names[value] for value in values], feature.names
    if all(isinstance(value, str) for value in values):
        return values, sorted(set(values))
    # The sets of clip-benchmark keep the numbers of torchvision and VTAB. The meaning of other
    # numbers is unknown.
    if not spec.hub.startswith("clip-benchmark/"):
        raise ValueError(
            f"{spec.hub} numbers its classes in column {column!r} and does not name them: "
            "get the files of the publisher, and use source='torchvision'."
        )
    return np.asarray(values, dtype=int), None


def letters_of(text):
    """Return a text in lower case, without all but its letters and digits."""
    return re.sub("[^a-z0-9]", "", text.lower())

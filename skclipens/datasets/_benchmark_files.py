"""Read benchmark sets from files on disk, through torchvision if it knows their layout.

torchvision returns decoded images one by one, but the paths and labels of all images are needed.
It keeps both in attributes whose names differ between sets; some of them are private.
"""

from contextlib import nullcontext
from pathlib import Path
from tarfile import TarError
from typing import NamedTuple

import numpy as np

from .._utils._extras import require
from ..exceptions import DatasetNotAvailableError
from ..images import load_image
from ._archives import kept_inside


class Loaded(NamedTuple):
    """Images and classes of a subset, as returned by a reader.

    Attributes
    ----------
    images : ndarray of shape (n,), or of pixels
    keys : sequence of n str or int
        The class of each image: its name in the set, or its position.
    official : str
        The split that the subset comes from, or "" if these are all images, not yet split.
    class_keys : list of str or None
        Names of the classes in the set, in order; used if the registry has none.
    """

    images: np.ndarray
    keys: list
    official: str
    class_keys: list | None = None


class LazyImage:
    """An image that is read when an estimator uses it; ``numpy.asarray`` decodes it, too.

    Parameters
    ----------
    source : object
        ``source[index]`` reads the image, in any form that
        :func:`skclipens.images.load_image` takes.
    index : int
    """

    __slots__ = ("index", "source")

    def __init__(self, source, index):
        self.source = source
        self.index = index

    def load(self):
        """Read the image, as a :class:`PIL.Image.Image` of mode "RGB"."""
        return load_image(self.source[self.index])

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.load(), dtype=dtype)

    def __repr__(self):
        return f"LazyImage({self.source!r}, {self.index})"


def lazy_images(source, n):
    """Return an object array of shape (n,) with one `LazyImage` for each index below `n`."""
    images = np.empty(n, dtype=object)
    for i in range(n):
        images[i] = LazyImage(source, i)
    return images


def has_files(spec, root):
    """Return whether the folder of a set exists; its content is not checked."""
    return Path(root, spec.folder).is_dir() or has_pictures(spec, root)


def has_pictures(spec, root):
    """Return whether a set that is published as arrays of pixels is there as picture folders."""
    parts = [Path(root, spec.name, part) for part in ("train", "test")]
    return spec.name in _AS_PICTURES and all(part.is_dir() for part in parts)


def read_files(spec, root, subset, *, download):
    """Read a subset of a set in the layout of its publisher, in the folder of all sets.

    Raise DatasetNotAvailableError if files are missing, or cannot be downloaded, and ImportError if
    the files of PatchCamelyon are there and h5py is not installed.
    """
    if download and not spec.downloads:
        raise DatasetNotAvailableError(f"{spec.title} has no automatic download of its files")
    if spec.name == "pcam":
        require("h5py", "Files of PatchCamelyon")
    try:
        if download:
            Path(root).mkdir(parents=True, exist_ok=True)
        return _read(spec, Path(root), subset, download)
    except (RuntimeError, OSError, EOFError, TarError) as error:
        # torchvision raises RuntimeError if files are missing or damaged, or fail the checksum.
        raise DatasetNotAvailableError(f"{type(error).__name__}: {error}") from error


def _read(spec, root, subset, download):
    parts = {"train": spec.train, "test": spec.test, "all": spec.train + spec.test}[subset]
    folder, official = root / spec.folder, "official split" if spec.test else ""
    if spec.name == "cub200":
        return _read_cub(folder, parts, official)
    if spec.name == "sun397" and all((folder / one).exists() for one in _SUN_LISTS.values()):
        return _read_sun_partition(folder, subset)
    if not folder.is_dir() and has_pictures(spec, root):
        return _read_pictures(root / spec.name, ("train", "test") if subset == "all" else (subset,))
    with kept_inside(folder) if download else nullcontext():
        pieces = [_read_part(spec, root, part, download) for part in parts or spec.train]
    images, keys = zip(*pieces, strict=True)
    images = np.concatenate(images) if len(images) > 1 else images[0]
    return Loaded(images, [key for of_part in keys for key in of_part], official)


def _read_part(spec, root, part, download):
    """Return the images and keys of one part of a set."""
    from torchvision import datasets

    if spec.name in ("imagenet", "resisc45"):
        folder = Path(root, spec.folder, part.get("folder", ""))
        # Folders alone are enough: their names give the class without a devkit.
        dataset = datasets.ImageFolder(folder)
    else:
        dataset = getattr(datasets, spec.torchvision)(str(root), download=download, **part)
    if spec.name in _PIXELS:
        return _PIXELS[spec.name](dataset)
    paths = [Path(path) for path in _paths(dataset)]
    return np.array([str(path) for path in paths]), _keys(spec, dataset, paths)


def _read_pictures(folder, parts):
    from torchvision import datasets

    samples = [one for part in parts for one in datasets.ImageFolder(folder / part).samples]
    paths = [path for path, _ in samples]
    keys = [Path(path).parent.name for path in paths]
    return Loaded(np.array(paths), keys, "official split, as folders of pictures")


def _paths(dataset):
    for name in ("_image_files", "_images"):
        if hasattr(dataset, name):
            return getattr(dataset, name)
    if hasattr(dataset, "categories"):  # Caltech101
        folder = Path(dataset.root, "101_ObjectCategories")
        names = [f"image_{number:04d}.jpg" for number in dataset.index]
        return [folder / dataset.categories[y] / name for y, name in zip(dataset.y, names)]
    return [path for path, _ in _samples(dataset)]


def _samples(dataset):
    return dataset.samples if hasattr(dataset, "samples") else dataset._samples


def _keys(spec, dataset, paths):
    """Return the class of each path: its folder, unless the set has no folder for each class.

    For some sets, torchvision's numbers depend on which classes it has found; names do not.
    """
    if spec.name == "aircraft":
        return [dataset.classes[label] for label in dataset._labels]
    if spec.name == "cars":
        return [dataset.classes[label] for _, label in dataset._samples]
    if spec.name == "clevr_counts":
        return [str(count) for count in dataset._labels]
    if spec.name == "flowers102":
        return [str(label + 1) for label in dataset._labels]
    if spec.name == "gtsrb" and dataset._split == "test":
        return [f"{label:05d}" for _, label in dataset._samples]
    if spec.name == "pets":
        return [path.stem.rsplit("_", 1)[0] for path in paths]
    if spec.name == "sun397":
        return ["/".join(path.relative_to(dataset._data_dir).parts[1:-1]) for path in paths]
    return [path.parent.name for path in paths]


def _cifar(dataset):
    return dataset.data, [dataset.classes[label] for label in dataset.targets]


def _mnist(dataset):
    return dataset.data.numpy(), [str(label) for label in dataset.targets.tolist()]


def _stl10(dataset):
    images = dataset.data.transpose(0, 2, 3, 1)
    return images, [dataset.classes[label] for label in dataset.labels]


def _pcam(dataset):
    import h5py

    files = dataset._FILES[dataset._split]
    with h5py.File(dataset._base_folder / files["targets"][0]) as file:
        keys = [str(label) for label in file["y"][:].ravel()]
    source = _H5Images(str(dataset._base_folder / files["images"][0]))
    return lazy_images(source, len(keys)), keys


_PIXELS = {"cifar10": _cifar, "cifar100": _cifar, "mnist": _mnist, "stl10": _stl10, "pcam": _pcam}
_AS_PICTURES = ("cifar10", "cifar100", "mnist", "stl10")


class _H5Images:
    """Images of a PatchCamelyon file. It is opened for each image, so that this can be pickled."""

    def __init__(self, path):
        self.path = path

    def __getitem__(self, index):
        import h5py

        with h5py.File(self.path) as file:
            return file["x"][index]

    def __repr__(self):
        return repr(self.path)


def _read_cub(folder, parts, official):
    wanted = {part["is_train"] for part in parts}
    is_train = _read_table(folder / "train_test_split.txt")
    names = _read_table(folder / "images.txt")
    class_keys = _read_table(folder / "classes.txt")
    labels = _read_table(folder / "image_class_labels.txt")
    rows = [row for row in names if is_train[row] in wanted]
    return Loaded(
        np.array([str(folder / "images" / names[row]) for row in rows]),
        [class_keys[labels[row]] for row in rows],
        official,
        [class_keys[number] for number in sorted(class_keys, key=int)],
    )


def _read_table(path):
    """Return a dict that maps the first word of each line to the rest of it."""
    lines = path.read_text("utf-8").splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line.strip())


_SUN_LISTS = {"train": "Training_01.txt", "test": "Testing_01.txt"}


def _read_sun_partition(folder, subset):
    """Read partition 1 of SUN397, from official lists of lines such as "/a/abbey/sun_aaa.jpg"."""
    names = list(_SUN_LISTS.values()) if subset == "all" else [_SUN_LISTS[subset]]
    words = " ".join(Path(folder, name).read_text("utf-8") for name in names).split()
    files = [word.strip("/") for word in words]
    return Loaded(
        np.array([str(folder / file) for file in files]),
        ["/".join(file.split("/")[1:-1]) for file in files],
        "official partition 1",
    )

"""Image sets, by name, in one form."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skclipens.datasets import fetch_benchmark, list_benchmarks, load_emoji, load_tuxpaint

DIGITS = "zero one two three four five six seven eight nine".split()
MIN_CLASS_SIZE = 20


@dataclass
class ImageSet:
    """Images with labels, and where they are split by their publisher.

    ``train`` and ``test`` are positions of the pools from which training images are drawn and on
    which they are tested; None draws from all and tests on the rest.
    """

    name: str
    images: list
    y: np.ndarray  # str
    class_names: dict | None = None  # what stands in a prompt; None: the labels
    templates: list | None = None
    train: np.ndarray | None = None
    test: np.ndarray | None = None
    gathered_from: str = ""


class MissingSetError(Exception):
    """A set that cannot be had here; the message says why."""


def emoji():
    loaded = load_emoji(min_class_size=MIN_CLASS_SIZE)
    labels = loaded.target_names[loaded.target].astype(str)
    return ImageSet("emoji", list(loaded.filenames), labels, gathered_from="Twemoji")


def tuxpaint():
    loaded = load_tuxpaint(min_class_size=MIN_CLASS_SIZE)
    labels = loaded.target_names[loaded.target].astype(str)
    return ImageSet("tuxpaint", list(loaded.filenames), labels, gathered_from="Tux Paint stamps")


def digits():
    loaded = load_digits()
    images = (255 - loaded.images * (255 / 16)).astype(np.uint8)
    labels = np.array([f"the number {DIGITS[digit]}" for digit in loaded.target])
    return ImageSet("digits", list(images), labels, gathered_from="scikit-learn's load_digits")


def emoji_style():
    """Training pictures of one style (OpenMoji), test pictures of another (Twemoji)."""
    test = emoji()
    return _style_shift("emoji-style", _openmoji("openmoji", test.y), test, "OpenMoji", "Twemoji")


def perturbed(name):
    """A set whose training pictures are clean, and each test picture perturbed in some way."""
    from ._perturbations import LEVELS, PERTURBATIONS, perturb

    clean = LOCAL[name]()
    train, test = clean.train, clean.test
    if train is None:
        rows = np.arange(len(clean.y))
        train, test = train_test_split(rows, test_size=0.5, stratify=clean.y, random_state=0)
    rng = np.random.default_rng(0)
    images = list(clean.images)
    for row in test:
        how, level = rng.choice(list(PERTURBATIONS)), int(rng.choice(LEVELS))
        (images[row],) = perturb([images[row]], how, level, random_state=int(row))
    return replace(
        clean,
        name=f"{name}-perturbed",
        images=images,
        train=train,
        test=test,
        gathered_from=f"{clean.gathered_from}; test pictures are perturbed",
    )


def openmoji():
    """The style on which choices are made."""
    images, labels = _openmoji("openmoji")
    return ImageSet("openmoji", images, labels, gathered_from="OpenMoji")


def openmoji_letters():
    """OpenMoji whose classes have names that mean nothing."""
    images, labels = _openmoji("openmoji")
    letters = {label: f"the letter {chr(97 + i)}" for i, label in enumerate(np.unique(labels)[:26])}
    kept = [i for i, label in enumerate(labels) if label in letters]
    return ImageSet(
        "openmoji-letters",
        [images[i] for i in kept],
        np.array([letters[labels[i]] for i in kept]),
        gathered_from="OpenMoji, classes named after letters",
    )


def openmoji_style():
    """Training pictures in colour, test pictures of lines."""
    test = ImageSet("black", *_openmoji("openmoji-black"))
    parts = _openmoji("openmoji", test.y), test, "OpenMoji in colour", "its lines"
    return _style_shift("openmoji-style", *parts)


def _openmoji(style, classes=None):
    """Pictures and labels, of given classes or of those with enough pictures."""
    from PIL import Image

    from tools.zoo.captions import class_phrases
    from tools.zoo.sources import emoji_table, load_style

    pictures, codes = load_style(style)
    table, phrases = emoji_table(), class_phrases()
    labels = np.array([phrases[table[code].subcategory][0] for code in codes])
    if classes is None:
        names, counts = np.unique(labels, return_counts=True)
        classes = names[counts >= MIN_CLASS_SIZE]
    kept = np.flatnonzero(np.isin(labels, classes))
    return [Image.fromarray(pictures[i].astype(np.uint8), "RGBA") for i in kept], labels[kept]


def _style_shift(name, train, test, trained_on, tested_on):
    images, labels = train
    rows = np.arange(len(images) + len(test.y))
    return ImageSet(
        name,
        images + test.images,
        np.concatenate([labels, test.y]),
        train=rows[: len(images)],
        test=rows[len(images) :],
        gathered_from=f"{trained_on} to train, {tested_on} to test",
    )


def benchmark(name, download=True):
    parts = [
        fetch_benchmark(name, subset=subset, download_if_missing=download)
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
        gathered_from=f"{parts[0].source}, {parts[0].split}",
    )


def _numbered(names):
    return [f"{i:04d} {name}" for i, name in enumerate(names)]


LOCAL = {"emoji": emoji, "tuxpaint": tuxpaint, "digits": digits, "emoji-style": emoji_style}
PERTURBED = {f"{name}-perturbed": partial(perturbed, name) for name in LOCAL}
LOCAL |= PERTURBED
# No set of LOCAL is tested on their pictures; those of emoji-style train on OpenMoji.
VALIDATION = {
    "openmoji": openmoji,
    "openmoji-letters": openmoji_letters,
    "openmoji-style": openmoji_style,
}


def expand(names):
    """Names of sets, where "local", "validation" and "all" stand for several."""
    groups = {
        "local": list(LOCAL),
        "validation": list(VALIDATION),
        "all": list_benchmarks()["name"].tolist(),
    }
    expanded = dict.fromkeys(one for name in names for one in groups.get(name, [name]))
    known = [one for group in groups.values() for one in group]
    for name in expanded:
        if name not in known:
            names = ", ".join([*groups, *known])
            raise ValueError(f"There is no set {name!r}; the names are {names}.")
    return list(expanded)


def load(name, download=True):
    """Load a set.

    Raises
    ------
    MissingSetError
        If its images cannot be had here.
    """
    try:
        ours = {**LOCAL, **VALIDATION}
        return ours[name]() if name in ours else benchmark(name, download)
    except (OSError, ImportError, RuntimeError, ValueError) as error:
        raise MissingSetError(str(error).strip() or type(error).__name__) from error

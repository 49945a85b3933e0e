"""Image sets by name, in a common form."""

import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skclipens.datasets import fetch_tuxpaint, list_benchmarks, load_emoji

from . import _openmoji, _pictures, _roles
from ._image_set import ImageSet, MissingSetError, capped

DIGITS = "zero one two three four five six seven eight nine".split()
MIN_CLASS_SIZE = 20
PER_CLASS, N_TEST = 100, 2000  # of sets with pools; enough for tables that take hours


def emoji():
    loaded = load_emoji(min_class_size=MIN_CLASS_SIZE)
    labels = loaded.target_names[loaded.target].astype(str)
    return ImageSet("emoji", list(loaded.filenames), labels, gathered_from="Twemoji")


def tuxpaint():
    loaded = fetch_tuxpaint(min_class_size=MIN_CLASS_SIZE, download_if_missing=False)
    labels = loaded.target_names[loaded.target].astype(str)
    return ImageSet("tuxpaint", list(loaded.filenames), labels, gathered_from="Tux Paint stamps")


def digits():
    loaded = load_digits()
    images = (255 - loaded.images * (255 / 16)).astype(np.uint8)
    labels = np.array([f"the number {DIGITS[digit]}" for digit in loaded.target])
    return ImageSet("digits", list(images), labels, gathered_from="scikit-learn's load_digits")


def emoji_style():
    """Return training pictures of one style (OpenMoji), and test pictures of another (Twemoji)."""
    test = emoji()
    images, labels = _openmoji.for_emoji_style()
    kept = np.flatnonzero(np.isin(labels, test.y))
    train = [images[i] for i in kept], labels[kept]
    return _openmoji.shifted("emoji-style", train, test, "a third of OpenMoji")


def perturbed(name):
    """Return a set with clean training pictures, and each test picture perturbed in some way."""
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


LOCAL = {"emoji": emoji, "tuxpaint": tuxpaint, "digits": digits, "emoji-style": emoji_style}
PERTURBED = {f"{name}-perturbed": partial(perturbed, name) for name in LOCAL}
LOCAL |= PERTURBED
VALIDATION = {
    "openmoji": _openmoji.openmoji,
    "openmoji-lines": partial(_openmoji.openmoji, "lines", "openmoji-lines"),
    "openmoji-letters": _openmoji.letters,
    "openmoji-colour-to-lines": partial(_openmoji.style_shift, "colour", "lines"),
    "openmoji-lines-to-colour": partial(_openmoji.style_shift, "lines", "colour"),
}
# These take the folder of data, and whether to download.
PICTURES = {
    name: make
    for role, half in _roles.HALVES.items()
    for name, make in (
        (f"caltech101-{half}", partial(_pictures.caltech101_half, role)),
        (f"tiny-imagenet-{half}", partial(_pictures.tiny_imagenet_half, role)),
        *((pair[0], partial(_pictures.pacs, *pair)) for pair in _roles.pacs_pairs(role)),
    )
}
PICTURES[_roles.MANY] = _pictures.tiny_imagenet_many


def groups():
    """Return the names that stand for several sets."""
    paper = list_benchmarks().index
    return {
        "local": list(LOCAL),
        "validation": [*VALIDATION, *_roles.photographs(_roles.VALIDATION)],
        "photographs": _roles.photographs(_roles.TEST),
        "all": [name.replace("caltech101", "caltech101-odd") for name in paper],
    }


def is_folder(name):
    """Return whether a name is the path of a folder, and so of a user's own set."""
    return os.sep in name and Path(name).is_dir()


def expand(names):
    """Return names of sets, with names of groups replaced by their sets."""
    several = groups()
    expanded = dict.fromkeys(one for name in names for one in several.get(name, [name]))
    known = list(dict.fromkeys([*several, *LOCAL, *VALIDATION, *PICTURES, *several["all"]]))
    known.append("caltech101")
    for name in expanded:
        if name not in known and not is_folder(name):
            raise ValueError(
                f"There is no set {name!r}, nor such a folder; the names are {', '.join(known)}. "
                "The path of a folder that has one folder per class stands for your own pictures."
            )
    return list(expanded)


def load(name, download=True, *, data_home=None, per_class=PER_CLASS, n_test=N_TEST):
    """Load a set, with a limited number of images in its pools.

    Raises
    ------
    MissingSetError
        If its images are not available.
    """
    ours = {**LOCAL, **VALIDATION}
    if is_folder(name):
        ours[name] = partial(_pictures.folder, name)
    make = PICTURES.get(name, partial(_pictures.benchmark, name))
    try:
        image_set = ours[name]() if name in ours else make(data_home=data_home, download=download)
    except (OSError, ImportError, RuntimeError, ValueError) as error:
        raise MissingSetError(str(error).strip() or type(error).__name__) from error
    return capped(image_set, per_class, n_test)


def load_available(names, **how):
    """Yield the available sets; print to stderr why others are skipped.

    Parameters
    ----------
    names : list of str
        Names for ``expand``.
    **how : dict
        Passed to ``load``. Nothing is downloaded.
    """
    for name in expand(names):
        try:
            yield load(name, False, **how)
        except MissingSetError as error:
            print(f"{name} is skipped: {error}", file=sys.stderr)

"""Sets of OpenMoji, on which the zoo was not trained, without flags, a fifth of it."""

import re
from collections import Counter
from functools import cache

import numpy as np

from ._image_set import ImageSet

MIN_CLASS_SIZE = 20
_STYLES = {"colour": "openmoji", "lines": "openmoji-black"}
# Thirds of the drawings of a class. The last is the training part of a reported set.
_SOURCE, _TARGET, _REPORTED = range(3)
_CHOOSING = (_SOURCE, _TARGET)


def openmoji(style="colour", name="openmoji"):
    """Return the validation drawings, in colour or in lines."""
    images, labels = drawings(style, _CHOOSING)
    return ImageSet(name, images, labels, gathered_from=f"OpenMoji, {style}")


def letters():
    """Return the set with names of classes that mean nothing."""
    images, labels = drawings("colour", _CHOOSING)
    names = {label: f"the letter {chr(97 + i)}" for i, label in enumerate(np.unique(labels)[:26])}
    kept = [i for i, label in enumerate(labels) if label in names]
    return ImageSet(
        "openmoji-letters",
        [images[i] for i in kept],
        np.array([names[labels[i]] for i in kept]),
        gathered_from="OpenMoji, colour, classes named after letters",
    )


def style_shift(source, target):
    """Return training pictures in one style, and test pictures of other drawings in another."""
    images, labels = drawings(target, [_TARGET])
    name, said = f"openmoji-{source}-to-{target}", f"OpenMoji, {target}"
    test = ImageSet(name, images, labels, gathered_from=said)
    return shifted(name, drawings(source, [_SOURCE]), test, f"OpenMoji, {source}")


def for_emoji_style():
    """Return pictures and labels that are not used for validation."""
    return drawings("colour", [_REPORTED])


def shifted(name, train, test, trained_on):
    """Return images and labels to train on, and a set to test on, as one set."""
    images, labels = train
    rows = np.arange(len(images) + len(test.y))
    return ImageSet(
        name,
        images + test.images,
        np.concatenate([labels, test.y]),
        train=rows[: len(images)],
        test=rows[len(images) :],
        gathered_from=f"{trained_on} to train, {test.gathered_from} to test",
    )


def drawings(style, thirds):
    """Return pictures and labels of some thirds of the drawings, of large enough classes."""
    from PIL import Image

    from tools.zoo.sources import load_style

    pictures, codes = load_style(_STYLES[style])
    labels, third = _classes()
    kept = [i for i, code in enumerate(codes) if third.get(code) in thirds]
    images = [Image.fromarray(pictures[i].astype(np.uint8), "RGBA") for i in kept]
    return images, np.array([labels[codes[i]] for i in kept])


@cache
def _classes():
    """Return the class of each codepoint, and its third, the same in every style."""
    from tools.zoo.captions import class_phrases
    from tools.zoo.sources import emoji_table

    table = emoji_table()
    shown = [code for code in sorted(table) if table[code].category != "flags"]
    sizes = Counter(table[code].subcategory for code in shown)
    shown = [code for code in shown if sizes[table[code].subcategory] >= MIN_CLASS_SIZE]
    labels = {code: class_phrases()[table[code].subcategory][0] for code in shown}
    drawn = {}
    for code in shown:
        drawn.setdefault(labels[code], {}).setdefault(_without_gender(code), []).append(code)
    thirds = {
        code: number % 3
        for groups in drawn.values()
        for number, codes in enumerate(groups.values())
        for code in codes
    }
    return labels, thirds


def _without_gender(code):
    """Return the code that woman, man and person of a role share: they are drawn alike."""
    return re.sub("-(200d|2640|2642|fe0f)", "", re.sub("1f46[89]", "1f9d1", code))

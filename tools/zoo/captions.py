"""Captions for the zoo's training pictures: names, tags and subcategories in varied phrasings."""

import json
from functools import cache

from skclipens.zoo import SUBCATEGORIES

TEMPLATES = (
    "{}",
    "a {}",
    "the {}",
    "{}.",
    "a picture of {}",
    "a picture of a {}.",
    "a photo of {}",
    "a photo of a {}.",
    "a drawing of a {}.",
    "a cartoon of the {}.",
    "an emoji of a {}",
    "an icon of a {}.",
    "a clip art of the {}",
)


@cache
def class_phrases():
    """Return phrases for each emoji subcategory; the first is the name of the class."""
    return json.loads(SUBCATEGORIES.read_text("utf-8"))


def specific_caption(emoji, rng):
    """Return a caption of one emoji: mostly its name, else also or only its tags."""
    kind = rng.random()
    if kind < 0.7 or not emoji.tags:
        words = emoji.name
    elif kind < 0.85:
        words = f"{emoji.name}, {rng.choice(emoji.tags)}"
    else:
        chosen = rng.choice(len(emoji.tags), size=min(3, len(emoji.tags)), replace=False)
        words = ", ".join(emoji.tags[i] for i in chosen)
    return rng.choice(TEMPLATES).format(words)


def class_caption(subcategory, rng):
    """Return a caption of the kind of an emoji."""
    return rng.choice(TEMPLATES).format(rng.choice(class_phrases()[subcategory]))

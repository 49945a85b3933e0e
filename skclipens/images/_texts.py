"""Distinguish texts that are words from names of pictures."""

import os

from ._collections import as_image_list
from ._containers import name_of
from ._files import is_image_name
from ._protocols import is_url


def is_file(text):
    """Return whether a text is the path of a file, so that it is not words.

    Raise FileNotFoundError if its name is that of an image, but there is no such file,
    IsADirectoryError if it is the path of a folder, and ValueError if it is that of a pipe.
    """
    looks_like_one = is_image_name(text) and (" " not in text or os.path.dirname(text))
    if looks_like_one and not os.path.exists(text):
        raise FileNotFoundError(
            f"There is no file {str(text)!r}. Check the path, or use words that are no file name."
        )
    # "cat" is a word, even if a file or folder has this name.
    if os.path.dirname(text) and os.path.isdir(text):
        raise IsADirectoryError(f"{str(text)!r} is a folder, and no words.")
    if not (os.path.dirname(text) or os.path.splitext(text)[1]):
        return False
    if os.path.exists(text) and not os.path.isfile(text) and not os.path.isdir(text):
        raise ValueError(f"{str(text)!r} is a pipe or a device, and no words. Name a file.")
    return os.path.isfile(text)


def is_words(image):
    """Return whether an object passed as an image is a text that names no image."""
    if not isinstance(image, str) or name_of(image) is None or is_url(image):
        return False
    return not (is_image_name(image) or os.path.dirname(image) or os.path.exists(image))


def refuse_files(texts, advice):
    """Raise ValueError if a text is the path of a file; other errors: :func:`is_file`."""
    file = next(filter(is_file, texts), None)
    if file is not None:
        raise ValueError(f"{str(file)!r} is a file, and no words. {advice}")


def refuse_words(X):
    """Raise ValueError if queries are words, or not a collection of images."""
    first = X if isinstance(X, str) else as_image_list(X)[0]
    if is_words(first):
        raise ValueError(
            f"{str(first)!r} is not a picture. kneighbors searches by pictures; to search by "
            "words, pass them to search."
        )

"""Warnings of labels that are not the classes that folders or names of files say."""

import os
import re
import unicodedata
from collections import Counter
from numbers import Integral

import numpy as np

from .._utils._linalg import evenly_spaced
from .._utils._messages import as_python
from .._utils._warnings import warn

# A check needs as many rows, and as large a share of them, whose names say one class.
_FEWEST, _SHARE, _MOST = 8, 0.5, 10_000
_NEARLY_ALL = 0.9  # of the rows of a class that was exchanged
# Labels agree with names of files nearly always, also if some were corrected, or made wrong on
# purpose; in a random order, by chance. This is the part of the way between the two.
_MOST_AGREEMENT = 1 / 3
_SHORTEST = 3  # letters of a word: "a" and "7" are in many names
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")  # between words, as in GoldenRetriever
_WORD = re.compile(r"[^\W\d_]+|\d+")
_BETWEEN_FOLDERS = re.compile(r"[/\\]")


def warn_of_named_files(names, y, class_names=None):
    """Warn if folders or names of files say other classes than y does.

    `names` has a path for each row, or None. `class_names` is that of estimators.
    """
    labels = np.asarray(y, dtype=object).ravel().tolist()
    labels = [as_python(one) for one in labels]
    if len(names) != len(labels) or len(names) < _FEWEST:
        return
    named = class_names
    if not hasattr(named, "keys"):
        named = dict(enumerate(() if class_names is None else class_names))
    told = _told_by_names(names, labels, named)
    wrong = _too_many_wrong(told)
    if not wrong:
        return
    row, *both = wrong[0]
    other, label = (
        repr(one) if one not in named else f"{one!r} ({str(named[one])!r})" for one in both
    )
    checked = "each label belongs to its file: keep both in one table"
    if named:
        checked = f"class_names are in the order of the labels, and {checked}"
    warn(
        f"Folders or names of files say another class than y for {len(wrong)} of {len(told)} rows, "
        f"such as row {row}: {os.fsdecode(names[row])!r} has the label {label}, and its name says "
        f"{other}. Check that {checked}.",
        key="names of files",
    )


def _told_by_names(names, labels, named):
    """Return row, class in its name, and label of rows whose names say one class, if most do."""
    texts = _texts_of(labels, named)
    paths = {
        row: _BETWEEN_FOLDERS.split(os.fsdecode(names[row]))
        for row in evenly_spaced(np.arange(len(names)), _MOST).tolist()
        if isinstance(names[row], (str, os.PathLike)) and _is_label(labels[row])
    }
    levels = zip(*paths.values())
    own = next((n for n, folders in enumerate(levels) if len(set(folders)) > 1), 0)
    told, sizes = [], {}
    for words in sorted(texts, key=len, reverse=True):
        sizes.setdefault(words[0], {})[len(words)] = None
    for row, path in paths.items():
        found = _classes_in("/".join(path[own:]), texts, sizes)
        if len(found) == 1:
            told.append((row, found.pop(), labels[row]))
    return told if len(told) >= max(_FEWEST, _SHARE * len(paths)) else []


def _too_many_wrong(told):
    """Return those whose label is not what their name says, if these are not few.

    That is if labels agree with names hardly more than in a random order. Otherwise, only those of
    classes that are exchanged count.
    """
    n, wrong = len(told), [one for one in told if one[1] != one[2]]
    of_names, of_labels = (Counter(one[place] for one in told) for place in (1, 2))
    if len(of_names) < 2:
        return []
    by_chance = sum(of_names[label] * of_labels[label] for label in of_names) / n**2
    if 1 - len(wrong) / n < by_chance + _MOST_AGREEMENT * (1 - by_chance):
        return wrong
    exchanged = _exchanged(told)
    wrong = [one for one in wrong if one[2] in exchanged]
    return wrong if len(wrong) >= _FEWEST else []


def _exchanged(told):
    """Return the classes of whose rows nearly all say one other class, which is such a class, too.

    `told` are those of :func:`_told_by_names`.
    """
    said, moved = {}, {}
    for _, other, label in told:
        said.setdefault(label, Counter())[other] += 1
    for label, counts in said.items():
        other, n = counts.most_common(1)[0]
        if other != label and n >= _NEARLY_ALL * counts.total():
            moved[label] = other
    return {label for label, other in moved.items() if other in moved}


def _texts_of(labels, named):
    """Return the class of each label and name of a class, as words, if it is of one class only."""
    found = {}
    for label in {one for one in labels if _is_label(one)}:
        for text in (label, named.get(label)):
            words = _words(text) if isinstance(text, str) else ()
            if any(word.isalpha() and len(word) >= _SHORTEST for word in words):
                found.setdefault(words, set()).add(label)
    return {words: classes.pop() for words, classes in found.items() if len(classes) == 1}


def _is_label(one):
    return isinstance(one, (str, Integral))


def _classes_in(name, texts, sizes):
    """Return the classes whose texts are in a name; of texts at one place, the longest counts.

    `sizes` are the numbers of words of the texts that begin with a word, the largest first.
    """
    words, found, place = _words(name), set(), 0
    while place < len(words):
        of_word = sizes.get(words[place], ())
        size = next((n for n in of_word if words[place : place + n] in texts), None)
        if size is not None:
            found.add(texts[words[place : place + size]])
        place += size or 1
    return found


def _words(text):
    text = _HUMP.sub(" ", unicodedata.normalize("NFKC", text)).casefold()
    return tuple(_WORD.findall(text))

"""Warnings of classes that may stand for a missing label, or may be one class spelled twice."""

import re
import unicodedata
from numbers import Real

import numpy as np

from ._missing import (
    MISSING_WHERE_EXPECTED,
    SIGNS_OF_MISSING,
    TEXTS_OF_MISSING,
    WORDS_OF_MISSING,
    WRITTEN_AS_MISSING,
    is_missing,
)
from ._row_numbers import user_rows
from ._warnings import warn

# Cyrillic and Greek letters that look like Latin ones, in both cases; apostrophes and dashes.
_LOOKS_LIKE = str.maketrans("аеорсухіјѕοАЕОРСУХІЈЅΟ’‘ʼ‐–—−", "aeopcyxijsoAEOPCYXIJSO'''----")
# Only between letters, or words of three letters or more: "C++", "-1" and "Li Na" do not change.
_HYPHEN = re.compile(r"(?<=[^\W\d])-(?=[^\W\d])")
_BLANK = re.compile(r"(?<=[^\W\d]{3}) (?=[^\W\d]{3})")
_STOP = re.compile(r"(?<=[^\W\d]{3})[ .,;:?!()]+$")  # "vase (?)" may be an uncertain "vase"
_QUOTED = re.compile(r"""^b?(['"])(.+)\1$""")
# A stray quote, bracket and the like; "C#", "C*" and "#1" do not change.
_STRAY = re.compile(
    r"""^[\s"'“”«»\[\]{}*/\\#]+(?=[^\W\d]{3})|(?<=[^\W\d]{3})[\s"'“”«»\[\]{}*/\\]+$"""
)
_COPIED = re.compile(r"(?: - copy| copy(?: \d+)?)?(?: ?\(\d+\))?$")
# Two values in brackets, such as "['cat', None]", "['cat' 'dog']" and "array(['cat', 'dog'])".
_LIST = re.compile(
    r"""(?:\w+\()?[\[({]\s*(['"]).*\1(?:\s*,\s*\S.*|\s+(['"]).*\2)\s*[\])}]""", re.DOTALL
)
_BETWEEN = re.compile("[;|]")  # "/" and "," may be parts of names
_ROUNDED = re.compile(r"\d[.,]\d+E\+\d{2}", re.IGNORECASE)
_NUMBERED = re.compile(r"\s*(?P<words>.*[^\W\d_]{3})[\W_]*\d[\W\d_]*")  # or a date
_FEWEST, _NEARLY_ALL, _FEW_WORDS = 20, 0.9, 0.25  # rows, and shares of the rows or classes
_MAY = "This may stand for"
_LARGEST = [2.0**bits - 1 for bits in (8, 16, 32, 64)]  # -1 as an unsigned integer


def warn_of_classes(y, *, none_missing=None):
    """Warn of classes that may stand for a missing label, or that differ only in spelling.

    `none_missing` is the parameter that allows rows without a label, if it is set but no row lacks
    one.
    """
    _warn_of_a_number(y, none_missing)
    if y.dtype.kind not in "OUT":
        return
    first = {label: user_rows(row, len(y)) for label, row in first_rows(y.tolist()).items()}
    expects = none_missing is not None
    suspects = [label for label in first if _may_be_missing(label, first, expects)]
    if suspects:
        named = " and ".join(map(repr, suspects))
        made = set(suspects) <= set(TEXTS_OF_MISSING)
        why = "This is what astype(str) makes of" if made else _MAY
        _warn_of_none(named, first[suspects[0]], why, "None", none_missing)
    _warn_of_several(first)
    _warn_of_names_of_pictures(first, len(y))
    warn_of_spellings(first, "y")


def _warn_of_several(first):
    """Warn of classes that are several other ones, as keywords of a catalogue in one cell."""
    for label, row in first.items():
        parts = [part.strip() for part in _BETWEEN.split(label)]
        is_list = _LIST.fullmatch(label.strip())
        if is_list or (len(parts) > 1 and all(part in first for part in parts)):
            why = "which is the text of a list" if is_list else "whose parts are classes, too"
            warn(
                f"y has the class {label!r}, first in row {row}, {why}. It "
                "is one more class, whose rows count as wrong for the others. If a row has several "
                "labels, choose one, or fit a classifier for each: MultiOutputClassifier.",
                key="several labels",
            )
            return


def _warn_of_names_of_pictures(first, n_rows):
    """Warn if nearly all labels differ, but by a number at their end alone, as "cat_17" does."""
    if n_rows < _FEWEST or len(first) <= _NEARLY_ALL * n_rows:
        return
    found = {label: match["words"] for label in first if (match := _NUMBERED.fullmatch(label))}
    few = _FEW_WORDS * len(first)
    if len(found) >= _NEARLY_ALL * len(first) and 2 <= len(set(found.values())) <= few:
        label, words = next(iter(found.items()))
        warn(
            f"y has {len(first)} classes in {n_rows} rows, most of which differ by a number at the "
            f"end, such as {label!r} in row {first[label]}. These may be names of pictures. Their "
            f"class may be what comes before it: {words!r}.",
            key="names of pictures",
        )


def _warn_of_none(named, row, why, instead, none_missing):
    expected = "" if none_missing is None else f"No row lacks a label, as {none_missing} expects. "
    warn(
        f"{expected}y has the class {named}, first in row {row}. {why} a missing label. If these "
        f"rows have no label, write {instead} there.",
        key="missing label",
    )


def _warn_of_a_number(y, none_missing):
    """Warn of one class such as -999 or 255, if the others are numbered from 0 or 1."""
    if y.dtype.kind == "O":
        values = [np.nan if is_missing(label) else label for label in y.tolist()]
        if not all(isinstance(value, Real) for value in values):
            return
        y = np.array(values, float)
    if y.dtype.kind not in "iuf":
        return
    classes = np.unique(y).astype(float)
    classes = classes[np.isfinite(classes)]
    if len(classes) < 3:
        return
    if classes[-1] in _LARGEST and _is_count(classes[:-1]) and classes[-2] < classes[-1] - 1:
        suspect, instead = classes[-1], "-1, as a signed integer,"
    elif (
        classes[0] < -1
        and _is_count(classes[1:])
        and (classes[1] == 0 or -classes[0] not in classes)
    ):
        suspect, instead = classes[0], "-1"
    else:
        return
    row = int(np.argmax(y == suspect))
    _warn_of_none(str(int(y[row])), user_rows(row, len(y)), _MAY, instead, none_missing)


def _is_count(classes):
    counted = np.arange(len(classes)) + classes[0]
    return classes[0] in (0, 1) and (classes == counted).all()


def first_rows(labels):
    """Return the first row of each label that is a string, as a dict."""
    first = {}
    for row, label in enumerate(labels):
        if isinstance(label, str):
            first.setdefault(label, row)
    return first


def _may_be_missing(label, labels, expects):
    """Return whether a class may stand for a missing label; with `expects`, more words do."""
    text = label.strip()
    if not text:
        return label != ""  # "" stands for no label
    if text in TEXTS_OF_MISSING:
        return {one.strip() for one in labels} != {"-1", "1"}  # -1 and 1 are two classes
    if text in SIGNS_OF_MISSING:  # among other signs, a sign may be a class
        return all(any(map(str.isalnum, one)) for one in set(labels) - {label})
    if text == "NA" and all(len(one) == 2 and one.isupper() for one in labels):
        return False  # codes, as of continents and countries
    word = text.casefold().replace("_", " ")
    if text in WRITTEN_AS_MISSING or word in WORDS_OF_MISSING:
        return True
    return expects and word in MISSING_WHERE_EXPECTED


def warn_of_spellings(first, name):
    """Warn of classes that differ only in spelling.

    That is in case, blanks, "_" in place of a blank, zeros before or after a number, or signs that
    look alike; or else in what :func:`_normalized_further` removes. `first` has the first row of
    each class, in ascending order; `name` is that of the labels.
    """
    # The case of a single letter may matter.
    words = [label for label in first if len(label.strip()) > 1 or label.strip().isdigit()]
    differ = "case, blanks, '_', zeros or signs that look alike"
    groups = alike(words, _normalized)
    if not groups:
        differ = "blanks, signs, or what a copied folder adds"
        groups = alike(words, _normalized_further(words).get)
    if not groups:
        return
    one, other = groups[0][:2]
    more = f" So do {len(groups) - 1} more." if len(groups) > 1 else ""
    write_one, write_other = written_apart(one, other)
    warn(
        f"{name} has the classes {write_one}, first in row {first[one]}, and {write_other}, "
        f"first in row {first[other]}, which differ only in {differ}.{more} If they are one class, "
        "write them alike: rows of one count as wrong for the other.",
        key=f"spelling of {name}",
    )


def warn_of_group_spellings(groups):
    """Warn of groups that differ only in blanks or zeros, or were rounded, as in a spreadsheet.

    Names of objects may differ in case alone.
    """
    first = first_rows(groups.tolist())
    rounded = next((group for group in first if _ROUNDED.fullmatch(group)), None)
    if rounded is not None:
        warn(
            f"groups has {rounded!r}, first in row {first[rounded]}: a spreadsheet has rounded the "
            "number, so that objects whose numbers differ may be one group. Format its column as "
            "text before it is saved as CSV.",
            key="rounded groups",
        )
    if spelled := alike(first, lambda group: _without_zeros(" ".join(group.split()))):
        one, other = spelled[0][:2]
        warn(
            f"groups has {one!r}, first in row {first[one]}, and {other!r}, first in row "
            f"{first[other]}, which differ only in blanks or zeros. If they are one group, write "
            "them alike: otherwise, heads are tested on objects that they learned from.",
            key="spelling of groups",
        )


def written_apart(one, other):
    """Return how messages write two names, so that they differ if they look alike."""
    write = ascii if look_alike(one, other) else repr
    return write(one), write(other)


def alike(names, plain):
    """Return the groups of two or more names that the function `plain` maps to the same value."""
    groups = {}
    for name in names:
        groups.setdefault(plain(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def look_alike(one, other):
    """Return whether two names look the same, such as if accents are stored otherwise."""
    return _looks_like(one) == _looks_like(other)


def _looks_like(name):
    seen = "".join(sign for sign in name if sign.isspace() or not _is_invisible(sign))
    return unicodedata.normalize("NFKC", seen).translate(_LOOKS_LIKE)


def _is_invisible(sign):
    return unicodedata.category(sign) in ("Cc", "Cf")  # control characters, U+200B and the like


def _normalized(name):
    return _without_zeros(" ".join(_looks_like(name).casefold().replace("_", " ").split()))


def _without_zeros(words):
    """Return a whole number without zeros before it or after its point; other words unchanged."""
    number = re.fullmatch(r"0*([0-9]+)(\.0*)?", words)
    return number[1] if number else words


def _normalized_further(names):
    """Return each name without its quotes, hyphens, last stop and copy suffix, as a dict."""
    words = {name: _without_signs(_normalized(name)) for name in names}
    known = set(words.values())
    for name, word in words.items():
        # "crane (1)" and "crane (2)" may be two classes, but not beside "crane".
        of_copy = _without_signs(_COPIED.sub("", _normalized(name)))
        words[name] = of_copy if of_copy in known else word
    return words


def _without_signs(words):
    words = _STRAY.sub("", _QUOTED.sub(r"\2", words))
    return _BLANK.sub("", _HYPHEN.sub(" ", _STOP.sub("", words)))

"""Names in messages: lists of them, and the one that may be meant."""

from difflib import SequenceMatcher
from functools import lru_cache

import numpy as np

_LIKE = 0.6  # ratio of difflib from which a name may be the intended one


def listed(names, *, most=3, write=repr):
    """Return some names, each once, and the number of others: ``"'a', 'b', 'c' and 5 more"``."""
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(write, names[:most])) + more


def as_python(value):
    """Convert a NumPy scalar to a Python one, whose repr does not name the type."""
    return value.item() if isinstance(value, np.generic) else value


def nearest(words, names):
    """Return the name that is most similar to one of the words, ignoring case, or None."""
    return _nearest(frozenset(words), tuple(names))


@lru_cache(maxsize=256)  # an ensemble calls it for each of its blocks
def _nearest(words, names):
    best, most = None, _LIKE
    for word in sorted(words):
        matcher = SequenceMatcher(None, b=word.lower())
        for name in names:
            matcher.set_seq1(name.lower())
            # The first two are cheap upper bounds: most names are unlike the word.
            if min(matcher.real_quick_ratio(), matcher.quick_ratio()) < most:
                continue
            if (similarity := matcher.ratio()) > most or (best is None and similarity == most):
                best, most = name, similarity
    return best

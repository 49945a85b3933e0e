"""What stands for a missing value. Imports no more than numpy."""

from numbers import Real

import numpy as np

# Texts that may stand for a missing label, or be a class: they are warned of where labels are
# read. The first are made by `str` and `astype(str)`; of people's words, case does not matter.
TEXTS_OF_MISSING = ("nan", "None", "<NA>", "-1")
WORDS_OF_MISSING = ("n/a", "null", "unlabeled", "unlabelled")
SIGNS_OF_MISSING = ("?", "-")


def is_missing(x):
    """Whether a value stands for none: None, NaN, NA, NaT or an empty string."""
    if x is None or isinstance(x, str):
        return not x
    if isinstance(x, (Real, np.datetime64)):
        return bool(x != x)
    return type(x).__name__ in ("NAType", "NaTType")


def without_mask(values):
    """A masked array with None where it is masked; what has nothing masked as it is."""
    if not np.ma.is_masked(values):
        return values
    filled = values.data.astype(object)
    filled[np.ma.getmaskarray(values)] = None
    return filled

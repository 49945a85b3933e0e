"""What stands for a missing value. Imports no more than numpy."""

from numbers import Real

import numpy as np

# Texts that may stand for a missing label, or be a class: they are warned of where labels are
# read. The first are made by `str` and `astype(str)`; of people's words, case does not matter.
TEXTS_OF_MISSING = ("nan", "None", "<NA>", "NaT", "-1")
WRITTEN_AS_MISSING = ("NaN", "NAN")  # but "Nan" may be a name
WORDS_OF_MISSING = (
    *("n/a", "#n/a", "<nan>", "<na>", "null", "unlabeled", "unlabelled", "not labeled"),
    *("not labelled", "no label", "unannotated"),
)
SIGNS_OF_MISSING = ("?", "??", "???", "-", "--", "---")
# Where a user says that labels are missing, and none is.
MISSING_WHERE_EXPECTED = (
    *("unknown", "missing", "none", "na", "nan", "nat", "undefined", "unassigned"),
    *("unclassified", "tbd", "todo"),
)


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

"""Values and texts that stand for a missing value. Imports only numpy."""

from numbers import Real

import numpy as np

# Texts that may stand for a missing label, or be a class: labels that contain them give a warning.
# The first are made by `str` and `astype(str)`. In words that people write, case does not matter.
TEXTS_OF_MISSING = ("nan", "None", "<NA>", "NaT", "-1")
WRITTEN_AS_MISSING = ("NaN", "NAN", "NA")  # but "Nan" and "Na" may be names
WORDS_OF_MISSING = (
    *("n/a", "#n/a", "<nan>", "<na>", "null", "unlabeled", "unlabelled", "not labeled"),
    *("not labelled", "no label", "unannotated", "k.a.", "k. a.", "keine angabe"),
    *("#nv", "#ref!", "#value!", "#name?"),  # of spreadsheets
)
# What pandas and R write for a missing value in a file
MISSING_IN_FILES = ("NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "NaN", "nan", "None")
SIGNS_OF_MISSING = ("?", "??", "???", "-", "--", "---")
# Only if a user says that labels are missing, and none is.
MISSING_WHERE_EXPECTED = (
    *("unknown", "missing", "none", "na", "nan", "nat", "undefined", "unassigned"),
    *("unclassified", "tbd", "todo", "unbekannt", "inconnu"),
)


def is_missing(x):
    """Return whether a value is missing: None, NaN, NA, NaT or an empty string."""
    if x is None or isinstance(x, str):
        return not x
    if isinstance(x, (Real, np.datetime64)):
        return bool(x != x)
    return type(x).__name__ in ("NAType", "NaTType")


def without_mask(values):
    """Replace masked values of an array by None; return other values as they are."""
    if not isinstance(values, np.ma.MaskedArray) or not np.ma.is_masked(values):
        return values  # pandas has masked arrays of its own
    filled = values.data.astype(object)
    filled[np.ma.getmaskarray(values)] = None
    return filled

"""Gaps: rows of NaN, which an embedder leaves for images that it cannot read."""

import numpy as np

from .._utils._messages import listed
from .._utils._sklearn import safe_indexing
from .._utils._warnings import warn
from ..images import ImageError
from ..images._wrapped import row_named


def gaps_of(table):
    """Which rows of an array or frame are gaps; none where it holds something else than floats."""
    table = np.asarray(table)
    if table.dtype.kind != "f":
        return np.zeros(table.shape[:1], bool)
    return np.isnan(table).all(axis=1)


def readable(values, gaps):
    """Those of values that have one entry per row, without the rows that are gaps."""
    rows, n = np.flatnonzero(~gaps), len(gaps)
    of_rows = [hasattr(value, "__len__") and len(value) == n for value in values]
    return [
        safe_indexing(value, rows) if has_rows else value
        for value, has_rows in zip(values, of_rows, strict=True)
    ]


def without_gaps(table, gaps):
    """A copy of an array or frame in which any other row stands in place of gaps, or ones if none.

    A row has no influence on what is said of others.
    """
    if gaps.all():
        return filled(table, gaps, 1)
    rows = np.where(gaps, np.argmin(gaps), np.arange(len(gaps)))
    found = safe_indexing(table, rows)
    if hasattr(found, "set_axis"):
        found = found.set_axis(table.index)
    return found


def filled(table, rows, value):
    """A copy of an array or frame, with a value in some rows."""
    if hasattr(table, "clone"):  # of polars
        return type(table)(filled(table.to_numpy(), rows, value), list(table.columns))
    table = table.copy()
    table[rows] = value
    return table


def warn_of_gaps(gaps, what, images, all_may_be=False):
    """Warn of images that cannot be read. ImageError if there are no others."""
    rows = np.flatnonzero(gaps).tolist()
    if not rows:
        return
    named = listed(rows, write=lambda row: row_named(row, images))
    if len(rows) == len(gaps) and not all_may_be:
        raise ImageError(f"None of the {len(gaps)} images can be read: {named}.")
    warn(f"{len(rows)} of {len(gaps)} images cannot be read and {what}: {named}.")

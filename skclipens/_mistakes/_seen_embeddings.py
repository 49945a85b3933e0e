"""Warnings of embeddings at predict that come from other models or settings than those of fit."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .._utils._column_names import names_of_columns
from .._utils._linalg import row_lengths, subsample, take_columns, unit_rows
from .._utils._messages import listed
from .._utils._validation import check_rows
from .._utils._warnings import NOTHING, silent, warn
from ..backbones._blocks import columns_of
from ..backbones._kinds import all_of_embedders, kind_behind_prefix, refuse_other_columns
from ._embeddings import NO_CONE, mean_cosine, warn_of_different_pictures, warn_of_odd_rows

_FEWEST, _ENOUGH = 20, 100  # least and largest number of rows for a mean
# With few rows of fit, from 7 on, the limit below is half as high.
_FEWEST_OF_FIT, _SHARE_OF_FEW = 7, 0.5
# Mean cosine of a row to predict and one of fit, relative to that of two rows of fit. On the
# selection sets of `benchmarks.paper`, with 4 and 16 rows of a class, it is above 0.9, but 0.21 or
# more from sketches to art paintings and back; with another model's embeddings, at most 0.2, and
# below 0.13 in nine of ten cases. With 7 or 12 rows of fit in all, it is above 0.1, except if one
# class of another style is predicted, and nearly always below with another model's embeddings.
_UNLIKE = 0.2
# Differences of lengths, as a share and in standard deviations: lengths are one, or vary.
_LONGER, _DEVIATIONS = 0.02, 4
_UNIT = 1e-3  # tolerance of unit lengths, also in half precision
NARROWEST = 128  # least number of columns of a backbone


class SeenBlock(NamedTuple):
    """Statistics of the embeddings of a block in ``fit``.

    Attributes
    ----------
    name : str
    columns : ndarray of int
    backbone : str or None
        None for columns that may be embeddings because there are many.
    centre : ndarray of shape (width,)
        Mean of the rows, each scaled to unit length.
    similarity : float
        Mean product of two such rows; half of it if there are few.
    length, spread : float
        Median and standard deviation of the lengths of the rows.
    is_normalized : bool
        Whether all rows have the same length; if the columns are named, length one.
    any_scale : bool
        Whether the estimator scales the rows of the block, so that their lengths do not matter.
    """

    name: str
    columns: np.ndarray
    backbone: str | None
    centre: np.ndarray
    similarity: float
    length: float
    spread: float
    is_normalized: bool
    any_scale: bool = False

    @property
    def is_named(self):
        """Whether the columns are known to be embeddings."""
        return self.backbone is not None


def see_blocks(blocks, X, *, any_scale=False):
    """Compute statistics in ``fit`` of blocks that are embeddings, or may be as they are wide.

    Return a tuple of SeenBlock. Warn if no model can have made the rows of a block, or blocks seem
    to be of different images.
    """
    seen = tuple(
        seen_block(block.name, block.columns, block.backbone, X, any_scale=any_scale)
        for block in blocks
        if block.backbone is not None or len(block.columns) >= NARROWEST
    )
    warn_of_different_pictures(seen, X)
    warn_of_odd_rows(seen, X, as_given=False)
    return seen


def seen_block(name, columns, backbone, X, *, any_scale=False):
    """Compute statistics of the embeddings of a block; see :class:`SeenBlock`."""
    rows, is_named = take_columns(subsample(X), columns), backbone is not None
    n, lengths, unit = len(rows), row_lengths(rows), unit_rows(rows)
    alike, spread = 0.0, np.inf  # values that disable the checks
    if is_named and n >= _FEWEST_OF_FIT:
        alike = mean_cosine(unit) * (1 if n >= _FEWEST else _SHARE_OF_FEW)
    if is_named and n >= _FEWEST:
        spread = float(lengths.std())
    of_lengths = float(_median(lengths)), spread, _are_normalized(lengths, is_named), any_scale
    return SeenBlock(name, columns, backbone, unit.mean(axis=0), alike, *of_lengths)


def unseen_block(block):
    """Return a SeenBlock where ``fit`` saw no rows: only names of columns will be compared."""
    name, columns, backbone = block.name, block.columns, block.backbone
    return SeenBlock(name, columns, backbone, np.zeros(len(columns)), 0.0, 1.0, np.inf, True, True)


def _are_normalized(lengths, is_named):
    """Return whether named rows have length one, or many unnamed ones have equal lengths."""
    expected = 1 if is_named else _median(lengths)
    enough = is_named or len(lengths) >= _FEWEST
    return bool(enough and (np.abs(lengths - expected) < _UNIT * expected).all())


def check_rows_as_in_fit(estimator, X):
    """Check a table without labels, and warn of embeddings that are unlike those of ``fit``.

    ``_seen`` of the fitted estimator is the result of :func:`see_blocks`. For errors and warnings,
    see :func:`skclipens._utils._validation.check_rows`, :func:`refuse_columns_of_others` and
    :func:`warn_of_unlike`.
    """
    # scikit-learn warns of any names, if there were none in fit; those of blocks are compared.
    with silent("X has feature names, but" if _compares_names(estimator, X) else NOTHING):
        checked = check_rows(estimator, X)
    refuse_columns_of_others(estimator, X)
    warn_of_unlike(estimator._seen, checked)
    return checked


def refuse_columns_of_others(estimator, X):
    """Raise ValueError if column names are of other backbones than the blocks of ``fit``.

    Or if they are in another order. Only if X had no column names in ``fit``, and as many columns;
    otherwise scikit-learn compares them.
    """
    names = None if hasattr(estimator, "feature_names_in_") else names_of_columns(X)
    if names is None:
        return
    names = np.array(list(map(str, names)), dtype=object)
    for block in estimator._seen:
        kind = kind_behind_prefix(block.name) if block.is_named else None
        if kind is not None:
            kinds = [kind, replace(kind, views=not kind.views)]
            refuse_other_columns(f"Block {block.name!r} of X", kinds, names[block.columns])


def _compares_names(estimator, X):
    """Return whether :func:`refuse_columns_of_others` compares the names of all columns of X."""
    names = names_of_columns(X)
    if hasattr(estimator, "feature_names_in_") or names is None:
        return False
    compared = [one for one in estimator._seen if one.is_named and kind_behind_prefix(one.name)]
    return len(columns_of(compared)) == estimator.n_features_in_ and all_of_embedders(names)


def warn_of_unlike(seen, X):
    """Warn of embeddings that are unlike those of ``fit``.

    That is if rows have another direction than those of ``fit``, or another length; if no model can
    have made them; or if those of one backbone are of other images than those of the others.
    """
    warn_of_different_pictures(seen, X)
    warn_of_odd_rows(seen, X, as_given=True)
    X = subsample(X, _ENOUGH)
    other = [(block, _other_than_in_fit(block, take_columns(X, block.columns))) for block in seen]
    if longer := [block for block, what in other if what == "length"]:
        name, length = longer[0].name, _median(row_lengths(take_columns(X, longer[0].columns)))
        warn(
            f"The embeddings of {listed(block.name for block in longer)} have another length than "
            f"in fit: of {name!r} {length:.3g}, where it was {longer[0].length:.3g}. Embed with "
            "the same settings, normalize among them, and scale columns as in fit.",
            key="another length than in fit",
        )
    if elsewhere := [block.name for block, what in other if what == "direction"]:
        warn(
            f"The embeddings of {listed(elsewhere)} are unlike those of fit. If "
            "another model made them, or their columns are in another order, results are wrong: "
            "embed as for fit. If only the images are of another kind, check some results.",
            key="unlike those of fit",
        )


def _other_than_in_fit(block, rows):
    """Return what is unlike the rows of fit: "length", "direction" or None."""
    if not block.any_scale and _have_other_length(block, row_lengths(rows)):
        return "length"
    if block.similarity <= NO_CONE or len(rows) < _FEWEST:
        return None
    is_unlike = (unit_rows(rows) @ block.centre).mean() < _UNLIKE * block.similarity
    return "direction" if is_unlike else None


def _have_other_length(block, lengths):
    """Return whether rows were normalized only in fit or only now, or have another length."""
    away = abs(_median(lengths) - block.length)
    if away <= _LONGER * block.length or not (block.is_named or len(lengths) >= _FEWEST):
        return False
    if _are_normalized(lengths, block.is_named) != block.is_normalized:
        return True
    return len(lengths) >= _FEWEST and away > _LONGER * block.length + _DEVIATIONS * block.spread


def _median(lengths):
    """Return the median of lengths. For a single row this is ten times as fast as numpy's."""
    return np.sort(lengths)[len(lengths) // 2]

"""Embeddings at predict that cannot be of the models, or the settings, of those at fit."""

from typing import NamedTuple

import numpy as np

from .._utils._linalg import unit_rows
from .._utils._warnings import warn
from ._blocks import take
from ._suspect import some_rows

_FEWEST, _ENOUGH = 20, 100  # rows of which a mean says enough
# Of mean products of two rows. On the sets of `benchmarks.paper`, those of a row to predict and a
# row of fit are at least 0.5 of those of two rows of fit, under a shift of style too, or 0.15 where
# all are of one class; with another model's embeddings, at most 0.32. No program here repeats that.
_UNLIKE = 0.25
_NO_CONE = 0.05  # a mean product below which rows have no direction in common
# Of the mean length, and standard deviations: embeddings are of unit length, or vary.
_LONGER, _DEVIATIONS = 0.02, 4


class SeenBlock(NamedTuple):
    """What the embeddings of a block were like in ``fit``.

    Attributes
    ----------
    name : str
    columns : ndarray of int
    centre : ndarray of shape (width,)
        Mean of the rows, each scaled to unit length.
    likeness : float
        Mean product of two such rows.
    length, spread : float
        Mean and standard deviation of the lengths of the rows.
    """

    name: str
    columns: np.ndarray
    centre: np.ndarray
    likeness: float
    length: float
    spread: float


def seen_blocks(experts, X):
    """What the blocks of experts are like that are embeddings; none of few rows.

    Parameters
    ----------
    experts : list of Expert
    X : ndarray of shape (n, n_features)

    Returns
    -------
    tuple of SeenBlock
    """
    if len(X) < _FEWEST:
        return ()
    parts = [part for expert in experts for part in expert.block.parts or [expert.block]]
    embeddings = {part.name: part.columns for part in parts if part.backbone is not None}
    X = some_rows(X)
    return tuple(_seen(name, columns, X) for name, columns in embeddings.items())


def _seen(name, columns, X):
    rows = take(X, columns)
    n, lengths, centre = len(rows), _lengths(rows), unit_rows(rows).mean(axis=0)
    likeness = (n * float(centre @ centre) - 1) / (n - 1)
    return SeenBlock(name, columns, centre, likeness, float(lengths.mean()), float(lengths.std()))


def warn_of_unlike(seen, X):
    """Warn of embeddings that are unlike those of ``fit``.

    Parameters
    ----------
    seen : tuple of SeenBlock
    X : ndarray of shape (n, n_features)

    Warns
    -----
    UserWarning
        If rows point elsewhere than those of ``fit``, or are longer or shorter. Names the blocks.
    """
    if len(X) < _FEWEST:
        return
    X, elsewhere, other_lengths = some_rows(X, _ENOUGH), [], []
    for block in seen:
        rows = take(X, block.columns)
        length = _lengths(rows).mean()
        if abs(length - block.length) > _LONGER * block.length + _DEVIATIONS * block.spread:
            other_lengths.append((block.name, length, block.length))
        elif block.likeness > _NO_CONE:
            likeness = (unit_rows(rows) @ block.centre).mean()
            if likeness < _UNLIKE * block.likeness:
                elsewhere.append(block.name)
    if other_lengths:
        name, length, before = other_lengths[0]
        warn(
            f"The embeddings of {', '.join(repr(one) for one, *_ in other_lengths)} have another "
            f"length than in fit: of {name!r} {length:.3g}, where it was {before:.3g}. Embed with "
            "the same settings, normalize among them, and scale columns as in fit."
        )
    if elsewhere:
        warn(
            f"The embeddings of {', '.join(map(repr, elsewhere))} are unlike those of fit. If "
            "another model made them, or their columns stand in another order, answers are wrong: "
            "embed as for fit. If only the images are of another kind, look at some answers."
        )


def _lengths(rows):
    return np.sqrt(np.einsum("nj,nj->n", rows, rows))

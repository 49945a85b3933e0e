"""Warnings of embeddings of another model than their block's backbone, or blocks out of order."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from .._utils._linalg import subsample
from .._utils._messages import listed
from .._utils._warnings import warn
from ..backbones import Backbone
from ..backbones._kinds import numbered_columns
from ..embedding._probes import similarity_to_probes
from ._embeddings import NO_CONE, mean_cosine

_FEWEST = 10  # rows for a check
# Mean cosines of images and texts. On the sets of `benchmarks.paper`, those with another block's
# texts are at most 0.12. Those with a block's own texts are at least 0.1, except on scanned digits,
# which prompts hardly describe. On the other sets, their mean over the zoo is 0.17 or more.
_FITS, _FITS_BETTER, _FITS_NONE = 0.13, 0.1, 0.05
_OTHER_WIDTH = -2  # in place of a cosine
# Similarity to probes on these sets. Of 10 rows of all classes it is at least 0.38, of one class
# 0.31, and of another model at most 0.17. No program here repeats that.
_ALIKE = 0.18


class Embeddings(NamedTuple):
    """A block of columns that is declared to come from a backbone.

    Attributes
    ----------
    name : str
        Name of the block.
    backbone : str
    rows : ndarray of shape (n, width)
        Unit rows.
    column : str or None
        The name of the first column, if columns have names. It tells which model made them only if
        it is a name that an embedder gives.
    texts : ndarray of shape (C, width) or None
        Features of texts that the images should be similar to, if there are any.
    cache : None, bool, str, os.PathLike or EmbeddingStore
        As the parameter of embedders.
    """

    name: str
    backbone: str
    rows: np.ndarray
    column: str | None
    texts: np.ndarray | None
    cache: object

    @property
    def are_named(self):
        """Whether names of columns tell which model made them."""
        return self.column is not None and numbered_columns([self.column])[0] is not None

    @property
    def fit_texts(self):
        """Whether rows are so similar to the texts that no other model can have made them."""
        texts = self.texts
        return texts is not None and self.rows.mean(axis=0) @ texts.mean(axis=0) > _FITS


def first_name(names, columns):
    """Return the name of the first of some columns (a slice or positions), or None."""
    return None if names is None else names[columns][0]


def warn_of_blocks(blocks, *, only_prompts=False):
    """Warn of blocks that seem to be in another order, or to come from another model.

    That is if a block fits the texts of another one, and not its own; if columns without names are
    unlike their backbone's embeddings of other images; or if blocks fit no text, and `only_prompts`
    is true, so that nothing is learned from the rows. Fewer than 10 rows are not checked.
    """
    if not blocks or len(blocks[0].rows) < _FEWEST:
        return
    fit, moved = _compare_with_texts(blocks)
    if moved or warn_of_other_models(blocks):
        return
    if only_prompts and fit.mean() < _FITS_NONE:
        warn(
            f"The columns of {listed(block.name for block in blocks)} fit no text: the mean cosine "
            f"of rows and texts is {fit.mean():.2f}. Another model made them, or their columns "
            "are at other positions, or the prompts do not describe these images. If it is the "
            "prompts, give class_names in words, or learn from labels, by head='auto'.",
            key="fit no text",
        )


def _compare_with_texts(blocks):
    """Compare blocks with the texts of all blocks, and warn if another block's texts fit better.

    Return the mean cosines of blocks and their own texts, and whether there was a warning.
    """
    texts = [block.texts.mean(axis=0) for block in blocks]
    centres = [block.rows.mean(axis=0) for block in blocks]
    cosines = np.array(
        [[float(c @ t) if len(c) == len(t) else _OTHER_WIDTH for t in texts] for c in centres]
    )
    places, best = linear_sum_assignment(cosines, maximize=True)
    moved, fit = np.flatnonzero(best != places), cosines.diagonal()
    own, other = fit[moved], cosines[moved, best[moved]]
    if not len(moved) or other.mean() <= max(_FITS, own.mean() + _FITS_BETTER):
        return fit, False
    name, other_name = blocks[moved[0]].name, blocks[best[moved[0]]].name
    warn(
        f"The columns of {name!r} fit the texts of {other_name!r}, and not its own: mean cosines "
        f"are {other[0]:.2f} and {own[0]:.2f}. Name the blocks in the order of the columns, or "
        "give a frame, whose columns have names."
    )
    return fit, True


def warn_of_other_models(blocks):
    """Warn of embeddings that are unlike their backbone's embeddings of other images.

    The backbone embeds such probe images only if neither names of columns nor texts tell which
    model made the rows. Fewer than 10 rows, or centred rows, are not checked. Return whether there
    was a warning.
    """
    found = [block.name for block in blocks if _is_of_another_model(block)]
    if found:
        warn(
            f"The columns of {listed(found)} are unlike what this backbone makes of other "
            "images. Another model made them, or they were scaled, or are at other positions in X. "
            "Name the backbones in the order of the columns, or give a frame, whose columns have "
            "names."
        )
    return bool(found)


def _is_of_another_model(block):
    rows = subsample(block.rows)
    if len(rows) < _FEWEST or block.are_named or block.fit_texts or mean_cosine(rows) < NO_CONE:
        return False
    try:
        return similarity_to_probes(Backbone(block.backbone), rows, block.cache) < _ALIKE
    except (ImportError, RuntimeError):
        return False  # the model may not be available: with stored texts it is not needed

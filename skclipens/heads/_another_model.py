"""Embeddings that another model made than the one that they are said to be of."""

from typing import NamedTuple

import numpy as np

from .._utils._linalg import subsample
from .._utils._messages import listed
from .._utils._warnings import warn
from ..backbones import Backbone
from ..backbones._kinds import numbered_columns
from ..embedding._probes import likeness_to_probes
from ._unlike import NO_CONE, likeness

FEWEST = 10  # rows of which something can be said
# Mean cosines of images and texts. On the sets of `benchmarks.paper`, those of another block's
# texts are at most 0.12, and those of the own at least 0.1 but on scanned digits.
FITS = 0.13
# Likeness to probes on these sets. Of rows of all classes it is 0.34 or more, and of another model
# 0.11 at most; of 10 rows of one class it is below in 2 of 1,000 draws, and above in 5.
_ALIKE = 0.12


class Embeddings(NamedTuple):
    """A block of columns that is said to be of a backbone.

    Attributes
    ----------
    name : str
        What the block is called.
    backbone : str
    rows : ndarray of shape (n, width)
        Unit rows.
    column : str or None
        The name of the first column, where columns have names. It says what made them only if it is
        as an embedder writes it.
    texts : ndarray of shape (C, width) or None
        Features of texts that the images should be like, where there are any.
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
        """Whether names of columns say what made them."""
        return self.column is not None and numbered_columns([self.column])[0] is not None

    @property
    def fit_texts(self):
        """Whether they are so like the texts that no other model can have made them."""
        texts = self.texts
        return texts is not None and self.rows.mean(axis=0) @ texts.mean(axis=0) > FITS


def first_name(names, columns):
    """The name of the first of some columns (a slice or positions), or None without names."""
    return None if names is None else names[columns][0]


def warn_of_other_models(blocks):
    """Warn of embeddings that are unlike what their backbone makes of other images.

    A backbone embeds these only where neither names of columns nor texts say whose rows are. Fewer
    than 10 rows say nothing, nor do rows that were centred.

    Parameters
    ----------
    blocks : list of Embeddings

    Returns
    -------
    bool
        Whether there are any.

    Warns
    -----
    SuspectedMistakeWarning
        Names the blocks.
    """
    found = [block.name for block in blocks if _is_of_another_model(block)]
    if found:
        warn(
            f"The columns of {listed(found)} are unlike what this backbone makes of other "
            "images. Another model made them, or they were scaled, or stand elsewhere in X. Name "
            "the backbones in the order of the columns, or give a frame, whose columns have names."
        )
    return bool(found)


def _is_of_another_model(block):
    rows = subsample(block.rows)
    if len(rows) < FEWEST or block.are_named or block.fit_texts or likeness(rows) < NO_CONE:
        return False
    try:
        return likeness_to_probes(Backbone(block.backbone), rows, block.cache) < _ALIKE
    except (ImportError, RuntimeError):
        return False  # stored texts need no model, and a doubt is no reason to load one in vain

"""Texts that do not fit the images: of another block or model, or of classes in another order."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from .._utils._linalg import subsample, unit_rows
from .._utils._messages import listed
from .._utils._warnings import warn
from ..heads._another_model import FEWEST, FITS, Embeddings, first_name, warn_of_other_models
from ..heads._names_order import warn_of_names
from ..heads._text_head import BaseTextHead

# `python -m benchmarks.doubts` measures how often right uses and mistakes are doubted.
#
# Mean cosines of images and texts. On the sets of `benchmarks.paper` but scanned digits, of which
# prompts say little, the mean of the own over the models of the zoo is 0.17 or more.
_FITS_BETTER, _FITS_NONE = 0.1, 0.05
_OTHER_WIDTH = -2  # in place of a cosine


def warn_of_mismatch(ensemble, X, y):
    """Warn of blocks, or of names of classes, that seem to stand in another order.

    Parameters
    ----------
    ensemble : AdaptiveBackboneEnsemble
        Its experts are fitted.
    X : ndarray of shape (n, n_features)
    y : ndarray of shape (n,)

    Warns
    -----
    SuspectedMistakeWarning
        If a block fits the texts of another one, and not its own, or if prompts would classify the
        rows far better were the names in another order.
    """
    warn_of_blocks(ensemble, X)
    X, y = subsample(X), subsample(y)
    classes = ensemble.classes_  # of which frozen heads may know more than the others
    if len(classes) <= len(y):
        known = [e for e in _with_texts(ensemble.experts_) if len(e.head.classes_) == len(classes)]
        experts = {expert.block.name: expert for expert in known}.values()
        rows = [unit_rows(expert.columns_of(X)) for expert in experts]
        targets = np.searchsorted(classes, y)
        warn_of_names([expert.head for expert in experts], rows, targets)


def warn_of_blocks(ensemble, X):
    """Warn of blocks that seem to stand in another order, or that another model seems to have made.

    Parameters
    ----------
    ensemble : AdaptiveBackboneEnsemble
        Its experts are fitted.
    X : ndarray of shape (n, n_features)
        Of fewer than 10 rows, nothing can be said.

    Warns
    -----
    SuspectedMistakeWarning
        If a block fits the texts of another one, and not its own; if columns without names are
        unlike what their backbone makes of other images; or if blocks fit no text, and there is
        nothing but prompts.
    """
    experts, X = ensemble.experts_, subsample(X)
    readers = list({expert.block.name: expert for expert in _with_texts(experts)}.values())
    if not readers or len(X) < FEWEST:
        return
    names = [reader.block.name for reader in readers]
    rows = [unit_rows(reader.columns_of(X)) for reader in readers]
    fit, moved = _compared_with_texts(readers, rows, names)
    if moved or warn_of_other_models(_said_to_be(readers, rows, ensemble)):
        return
    if all(one.is_prompts for one in experts) and fit.mean() < _FITS_NONE:
        warn(
            f"The columns of {listed(names)} fit no text: the mean cosine of rows and texts is "
            f"{fit.mean():.2f}. Another model made them, or their columns stand "
            "elsewhere; or prompts say nothing of these images: give class_names in words, or "
            "learn from labels, by head='auto'."
        )


def _compared_with_texts(readers, rows, names):
    """Mean cosines of blocks and their texts; and whether those of others fit better, with a doubt.

    Parameters
    ----------
    readers : list of E Expert
        Their heads know texts.
    rows : list of E ndarray of shape (n, width)
        Of unit length.
    names : list of E str
        Of the blocks.

    Returns
    -------
    fit : ndarray of shape (E,)
    moved : bool
    """
    texts = [reader.head.coef_.mean(axis=0) for reader in readers]
    centres = [of_block.mean(axis=0) for of_block in rows]
    cosines = np.array(
        [[float(c @ t) if len(c) == len(t) else _OTHER_WIDTH for t in texts] for c in centres]
    )
    places, best = linear_sum_assignment(cosines, maximize=True)
    moved, fit = np.flatnonzero(best != places), cosines.diagonal()
    own, other = fit[moved], cosines[moved, best[moved]]
    if not len(moved) or other.mean() <= max(FITS, own.mean() + _FITS_BETTER):
        return fit, False
    warn(
        f"The columns of {names[moved[0]]!r} fit the texts of {names[best[moved[0]]]!r}, and "
        f"not its own: mean cosines are {other[0]:.2f} and {own[0]:.2f}. Name the blocks in "
        "the order of the columns, or give a frame, whose columns have names."
    )
    return fit, True


def _said_to_be(readers, rows, ensemble):
    """Blocks and the backbones that they are said to be of."""
    said = getattr(ensemble, "feature_names_in_", None)
    return [
        Embeddings(
            block.name,
            head.backbone,
            of_block,
            first_name(said, block.columns),
            head.coef_,
            head.cache,
        )
        for (_, head, block), of_block in zip(readers, rows, strict=True)
    ]


def _with_texts(experts):
    return [one for one in experts if isinstance(one.head, BaseTextHead)]

"""Texts that do not fit the images: of another block, or of classes in another order."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from .._utils._linalg import subsample, unit_rows
from .._utils._warnings import warn
from ..heads._text_head import BaseTextHead, names_of_classes

# `python -m benchmarks.doubts` measures how often right uses and mistakes are doubted.
#
# Mean cosines of images and texts. On the sets of `benchmarks.paper`, those of another block's
# texts are at most 0.12, and those of the own at least 0.13 but on scanned digits.
_FITS, _FITS_BETTER, _FEWEST = 0.13, 0.1, 10
_OTHER_WIDTH = -2  # in place of a cosine
# How far accuracy of prompts must rise under the best order of the names: by the first at least,
# and by more with few classes and few rows, see `_rise_by_luck`. Names that mean nothing rise
# farther in 1% of draws of 5 to 30 classes with 1 to 16 rows each, and right names in none.
_BY_LUCK, _OF_CLASSES, _OF_ROWS = 0.35, 1.4, 0.4
# Of fewer classes, and of as few whose names prompts would exchange, accuracy says too little. So
# names are compared with rows by how classes differ: the cosine must be the first, and more with
# few backbones, see `_order_by_differences`, and rise by the last under another order. Names that
# mean nothing do so in 2 of 1,000 draws of 2 to 4 classes with 4 or 16 rows each, right names in
# none.
_FEW_CLASSES, _ROWS_OF_EACH = 5, 4
_ALIGNED, _OF_BACKBONES, _BETTER_ALIGNED = 0.2, 0.35, 0.45


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
    UserWarning
        If a block fits the texts of another one, and not its own, or if prompts would classify the
        rows far better were the names in another order.
    """
    X, y = subsample(X), subsample(y)
    if len(X) >= _FEWEST:
        _warn_of_blocks(ensemble.experts_, X)
    if len(ensemble.classes_) <= len(y):
        _warn_of_names(ensemble, X, y)


def _warn_of_blocks(experts, X):
    of_blocks = {expert.block.name: expert for expert in _with_texts(experts)}
    if len(of_blocks) < 2:
        return
    names, experts = list(of_blocks), list(of_blocks.values())
    texts = [expert.head.coef_.mean(axis=0) for expert in experts]
    centres = [unit_rows(expert.columns_of(X)).mean(axis=0) for expert in experts]
    cosines = np.array(
        [[float(c @ t) if len(c) == len(t) else _OTHER_WIDTH for t in texts] for c in centres]
    )
    rows, best = linear_sum_assignment(cosines, maximize=True)
    moved = np.flatnonzero(best != rows)
    own, other = cosines[moved, moved], cosines[moved, best[moved]]
    if len(moved) and other.mean() > max(_FITS, own.mean() + _FITS_BETTER):
        warn(
            f"The columns of {names[moved[0]]!r} fit the texts of {names[best[moved[0]]]!r}, and "
            f"not its own: mean cosines are {other[0]:.2f} and {own[0]:.2f}. Name the blocks in "
            "the order of the columns, or give a frame, whose columns have names."
        )


def _with_texts(experts):
    return [one for one in experts if isinstance(one.head, BaseTextHead)]


def _warn_of_names(ensemble, X, y):
    classes = ensemble.classes_  # of which frozen heads may know more than the others
    all_known = [
        one for one in _with_texts(ensemble.experts_) if len(one.head.classes_) == len(classes)
    ]
    experts = list({one.block.name: one for one in all_known}.values())
    if not experts:
        return
    every, targets = np.arange(len(classes)), np.searchsorted(classes, y)
    n_rows = np.bincount(targets, minlength=len(classes))
    best, given, possible = _order_by_prompts(experts, X, targets, n_rows)
    why = (
        f"Prompts name {given:.0%} of the rows rightly, in the mean over classes, and would name "
        f"{possible:.0%} were "
    )
    is_few = len(classes) < _FEW_CLASSES
    if is_few or possible - given <= _rise_by_luck(n_rows):
        some = every if is_few else np.flatnonzero(best != every)
        best = _order_by_differences(experts, X, targets, n_rows, some)
        why = "Rows of classes differ from each other as their names would, were "
    if best is not None:
        row = int(np.argmax(n_rows * (best != every)))
        known = experts[0].head
        names = names_of_classes(classes, known.class_names)
        warn(why + _said(known.class_names, classes.tolist()[row], names[row], names[best[row]]))


def _order_by_prompts(experts, X, targets, n_rows):
    """The order of the names that suits prompts best, and accuracies as given and in this order."""
    n_classes = len(n_rows)
    logits = np.mean([one.head._text_logits(unit_rows(one.columns_of(X))) for one in experts], 0)
    counts = np.zeros((n_classes, n_classes), int)
    np.add.at(counts, (targets, logits.argmax(axis=1)), 1)
    shares = counts / np.maximum(n_rows, 1)[:, None]
    rows, best = linear_sum_assignment(shares, maximize=True)
    return best, np.trace(shares) / n_classes, shares[rows, best].mean()


def _order_by_differences(experts, X, targets, n_rows, some):
    """An order in which names of few classes differ as their rows do, or None."""
    if not 2 <= len(some) < _FEW_CLASSES or n_rows[some].min() < _ROWS_OF_EACH:
        return None
    means = (targets == some[:, None]) / n_rows[some, None]
    aligned = np.mean(
        [_alignment(means @ unit_rows(e.columns_of(X)), e.head.coef_[some]) for e in experts], 0
    )
    rows, order = linear_sum_assignment(aligned, maximize=True)
    given, possible = np.trace(aligned), aligned[rows, order].sum()
    enough = _ALIGNED + _OF_BACKBONES / np.sqrt(len(experts))
    if possible <= enough or possible - given <= _BETTER_ALIGNED:
        return None
    best = np.arange(len(n_rows))
    best[some] = some[order]
    return best


def _alignment(centres, texts):
    """How each class lies to the mean of classes, times how each text does; a trace is a cosine."""
    centres, texts = (one - one.mean(axis=0) for one in (centres, texts))
    scale = np.linalg.norm(centres) * np.linalg.norm(texts)
    return centres @ texts.T / max(scale, np.finfo(np.float32).tiny)


def _rise_by_luck(n_rows):
    """How far accuracy may rise under another order, for so many rows of each class."""
    of_rows = np.mean(1 / np.maximum(n_rows, 1))
    return max(_BY_LUCK, _OF_CLASSES / np.sqrt(len(n_rows)) + _OF_ROWS * of_rows)


def _said(class_names, label, called, looks):
    if called == label:
        return (
            f"labels exchanged: rows of class {label!r} look like {looks!r}. Look at what made the "
            "labels, such as names in another order than their codes."
        )
    rows = f"rows of class {label!r}, which it calls {called!r}, look like {looks!r}."
    if hasattr(class_names, "keys"):
        return f"the names in class_names exchanged: {rows} Look at what made this mapping."
    return (
        f"class_names in another order: {rows} Look at the order of class_names; a mapping from "
        "labels to names needs none."
    )

"""Texts that do not fit the images: of another block, or of classes in another order."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from .._utils._linalg import unit_rows
from .._utils._warnings import warn
from ..heads._text_head import BaseTextHead, names_of_classes
from ._blocks import take
from ._suspect import some_rows

# Mean cosines of images and texts. On the sets of `benchmarks.paper`, those of another block's
# texts are at most 0.12, and those of the own at least 0.13 but on scanned digits.
_FITS, _FITS_BETTER, _FEWEST = 0.13, 0.1, 10
# How far accuracy rises under the best order of the names by luck: by at most the first with many
# rows of many classes, and farther the fewer there are. Of invented names on drawings and
# photographs, for 5 to 30 classes and 1 to 16 rows of each, 1% rise farther; of right names, none.
_BY_LUCK, _OF_CLASSES, _OF_ROWS = 0.35, 1.4, 0.4
_CLASSES = 5  # of fewer, prompts that mean nothing often fit better in another order


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
    if len(X) >= _FEWEST:
        _warn_of_blocks(ensemble.experts_, some_rows(X))
    X, y = some_rows(X), some_rows(y)
    if _CLASSES <= len(ensemble.classes_) <= len(y):
        _warn_of_names(ensemble, X, y)


def _warn_of_blocks(experts, X):
    texts = {
        expert.block.name: (expert.block.columns, expert.head.coef_.mean(axis=0))
        for expert in _with_texts(experts)
    }
    for name, (columns, own) in texts.items():
        centre = unit_rows(take(X, columns)).mean(axis=0)
        cosines = {
            other: float(centre @ text)
            for other, (_, text) in texts.items()
            if len(text) == len(own)
        }
        best = max(cosines, key=cosines.get)
        if cosines[best] > max(_FITS, cosines[name] + _FITS_BETTER):
            warn(
                f"The columns of {name!r} fit the texts of {best!r}, and not its own: mean cosines "
                f"are {cosines[best]:.2f} and {cosines[name]:.2f}. Name the blocks in the order of "
                "the columns, or give a frame, whose columns have names."
            )
            return


def _with_texts(experts):
    return [one for one in experts if isinstance(one.head, BaseTextHead)]


def _warn_of_names(ensemble, X, y):
    of_blocks = {one.block.name: one for one in _with_texts(ensemble.experts_)}
    if not of_blocks:
        return
    classes = ensemble.classes_
    of_texts = [
        one.for_classes(one.head._text_logits(unit_rows(one.columns_of(X))), classes)
        for one in of_blocks.values()
    ]
    logits = np.mean(of_texts, axis=0)
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (np.searchsorted(classes, y), logits.argmax(axis=1)), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows, best = linear_sum_assignment(shares, maximize=True)
    given, possible = np.trace(shares) / len(shares), shares[rows, best].mean()
    if possible - given > _rise_by_luck(counts.sum(axis=1)):
        row = int(np.argmax(counts[rows, best] * (rows != best)))
        known = next(iter(of_blocks.values())).head
        names = names_of_classes(classes, known.class_names)
        warn(
            f"Prompts name {given:.0%} of the rows rightly, in the mean over classes, and would "
            f"name {possible:.0%} were "
            + _other_order(known.class_names, classes[row].item(), names[row], names[best[row]])
        )


def _rise_by_luck(n_rows):
    """How far accuracy may rise under another order, for so many rows of each class."""
    of_rows = np.mean(1 / np.maximum(n_rows, 1))
    return max(_BY_LUCK, _OF_CLASSES / np.sqrt(len(n_rows)) + _OF_ROWS * of_rows)


def _other_order(class_names, label, called, looks):
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

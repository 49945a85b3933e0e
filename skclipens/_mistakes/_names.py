"""Warnings of class names that seem to be in another order than the labels."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import binom

from .._utils._warnings import warn
from ._predictions import normalized_confusion

# Smallest rise of the accuracy of prompts under the best order of the names. It is larger with few
# classes and few rows: see `_rise_by_luck`. Names without meaning exceed it in 1% of draws of 5 to
# 30 classes with 1 to 16 rows each, right names in none.
_MIN_RISE, _RISE_OF_FEW_CLASSES, _RISE_OF_FEW_ROWS = 0.35, 1.4, 0.4
# With fewer classes, or if the best order moves so few names, accuracy is too coarse. Then class
# means of rows are compared with texts by their cosine, both centred: see `_order_by_differences`.
# Its smallest value under the best order, what is added for few backbones, and its smallest rise.
# Names without meaning exceed these in 2 of 1,000 draws of 2 to 4 classes with 4 or 16 rows each,
# right names in none.
_FEW_CLASSES, _ROWS_OF_EACH = 5, 4
_MIN_COSINE, _COSINE_OF_FEW_BACKBONES, _MIN_RISE_OF_COSINE = 0.2, 0.35, 0.45
# A name without rows shifts the labels after it. Least number of shifted labels; how much the
# accuracy of prompts must rise for these, times the root of their number; and the largest
# probability of as many right classes by chance.
_FEWEST_MOVED, _MIN_RISE_OF_MOVED, _MAX_P_VALUE = 3, 1.0, 0.01


def warn_of_names(heads, rows, targets):
    """Warn if prompts would classify rows far better with names in another order.

    The fitted heads have the same classes; there may be none. `rows` has for each the embeddings,
    of unit length, and `targets` the positions of their classes.
    """
    if not heads or _warn_of_skipped_name(heads, rows, targets):
        return
    classes, class_names = heads[0].classes_, heads[0].class_names
    every, n_rows = np.arange(len(classes)), np.bincount(targets, minlength=len(classes))
    logits = np.mean([head._text_logits(X) for head, X in zip(heads, rows, strict=True)], axis=0)
    best, given, possible = _order_by_prompts(logits, targets)
    why = (
        f"Prompts classify {given:.0%} of the rows correctly (mean over classes), and would "
        f"classify {possible:.0%} correctly with "
    )
    is_few = len(classes) < _FEW_CLASSES
    if is_few or possible - given <= _rise_by_luck(n_rows):
        some = every if is_few else np.flatnonzero(best != every)
        best = _order_by_differences(heads, rows, targets, n_rows, some)
        why = "The classes differ in their rows as they would in their names with "
    if best is not None:
        row = int(np.argmax(n_rows * (best != every)))
        _, names, _ = heads[0]._prompts(classes, class_names, heads[0].templates)
        said = _message(class_names, classes.tolist()[row], names[row], names[best[row]])
        warn(why + said, key="order of names")


def _order_by_prompts(logits, targets):
    """Return the order of names that suits prompts best, and accuracies without and with it."""
    n_classes = logits.shape[1]
    shares = normalized_confusion(targets, logits.argmax(axis=1), n_classes, n_classes)
    every, best = linear_sum_assignment(shares, maximize=True)
    return best, np.trace(shares) / n_classes, shares[every, best].mean()


def _warn_of_skipped_name(heads, rows, targets):
    """Warn if a name in a list seems to have no class, so that the labels after it are shifted."""
    classes, names = heads[0].classes_, heads[0].class_names
    n, is_list = len(classes), names is not None and not hasattr(names, "keys")
    if not is_list or len(names) <= n or classes.tolist() != list(range(n)):
        return False
    logits = 0
    for head, X in zip(heads, rows, strict=True):
        of_next = X @ head._features_of([n]).T * head.logit_scale_
        logits = logits + np.hstack([head._text_logits(X), of_next])
    shares = normalized_confusion(targets, logits.argmax(axis=1), n, n + 1)
    given, moved = shares.diagonal(), shares.diagonal(1)
    right = [given[:label].sum() + moved[label:].sum() for label in range(n)]
    label = int(np.argmax(right))
    rise = (moved - given)[label:].mean() * np.sqrt(n - label)
    by_chance = binom.sf(int(max(right)) - 1, n, 1 / (n + 1)) * len(right)
    if n - label < _FEWEST_MOVED or rise <= _MIN_RISE_OF_MOVED or by_chance > _MAX_P_VALUE:
        return False
    skipped, looks = str(names[label]), str(names[label + 1])
    warn(
        f"class_names has {len(names)} names, and y has {n} classes. Prompts classify "
        f"{given.mean():.0%} of the rows correctly (mean over classes), and would classify "
        f"{max(right) / n:.0%} correctly without the name {skipped!r}: rows of class {label} look "
        f"like {looks!r}. Labels may have been numbered where no row was {skipped!r}. Give "
        "class_names of the classes in y alone, or a mapping from labels to names."
    )
    return True


def _order_by_differences(heads, rows, targets, n_rows, some):
    """Return the order in which texts of few classes suit their rows clearly better, or None."""
    if not 2 <= len(some) < _FEW_CLASSES or n_rows[some].min() < _ROWS_OF_EACH:
        return None
    means = (targets == some[:, None]) / n_rows[some, None]
    texts = [head.text_features_[some] for head in heads]
    alignments = [_alignment(means @ X, text) for X, text in zip(rows, texts, strict=True)]
    aligned = np.mean(alignments, axis=0)
    every, order = linear_sum_assignment(aligned, maximize=True)
    given, possible = np.trace(aligned), aligned[every, order].sum()
    enough = _MIN_COSINE + _COSINE_OF_FEW_BACKBONES / np.sqrt(len(heads))
    if possible <= enough or possible - given <= _MIN_RISE_OF_COSINE:
        return None
    best = np.arange(len(n_rows))
    best[some] = some[order]
    return best


def _alignment(centres, texts):
    """Return scaled products of centred class means and centred texts; the trace is a cosine."""
    centres, texts = (one - one.mean(axis=0) for one in (centres, texts))
    scale = np.linalg.norm(centres) * np.linalg.norm(texts)
    return centres @ texts.T / max(scale, np.finfo(np.float32).tiny)


def _rise_by_luck(n_rows):
    """Return how much accuracy may rise by chance under another order, for the rows per class."""
    of_few_classes = _RISE_OF_FEW_CLASSES / np.sqrt(len(n_rows))
    of_few_rows = _RISE_OF_FEW_ROWS * np.mean(1 / np.maximum(n_rows, 1))
    return max(_MIN_RISE, of_few_classes + of_few_rows)


def _message(class_names, label, called, looks):
    if called == label:
        return (
            f"labels exchanged: rows of class {label!r} look like {looks!r}. Check what made the "
            "labels, such as names in another order than their codes."
        )
    rows = f"class {label!r} is named {called!r}, but its rows look like {looks!r}."
    if hasattr(class_names, "keys"):
        return f"the names in class_names exchanged: {rows} Check what made this mapping."
    return (
        f"class_names in another order: {rows} Check the order of class_names; a mapping from "
        "labels to names needs none."
    )

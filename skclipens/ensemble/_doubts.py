"""Warn of columns, labels and blocks that look like a mistake, by the plan of a fit."""

import re

import numpy as np

from .._mistakes._columns import (
    ReadAsScaled,
    warn_of_columns,
    warn_of_labels_in_columns,
    warn_of_unnamed_columns,
)
from .._mistakes._models import warn_of_blocks
from .._mistakes._names import warn_of_names
from .._utils._folds import stratified_rows
from .._utils._linalg import SOME_ROWS, subsample, unit_rows
from .._utils._messages import as_python, listed
from .._utils._warnings import warn
from ..backbones._blocks import columns_of, find_blocks
from ..heads._class_names import NUMBERED
from ..heads._classifier import LogitClassifierMixin
from ..heads._text_head import BaseTextHead, embeddings_of
from ._experts import distinct_blocks
from ._heads import named_heads
from ._plan import has_named_classes, needs_held_out

_MANY = 20  # rows, of which amounts are doubted as labels
# Such as "$ 1,200" and "9.5 kg", but not "A320"
_AMOUNT = re.compile(r"\W{0,2}(EUR|USD|GBP|CHF)?\W{0,2}\d[\d.,'\s]*[^\W\d]{0,3}\W{0,2}")


def warn_of_mistakes(ensemble, plan, X, y):
    """Warn of columns and labels that look like a mistake."""
    names = getattr(ensemble, "feature_names_in_", None)
    blocks = distinct_blocks(plan.experts)
    heads = named_heads(ensemble.head)
    has_auto = "auto" in [kind for _, kind, _ in heads]
    if has_auto and not has_named_classes(ensemble, y):
        _warn_of_nameless(blocks, y)
    elif ensemble.class_names is None and (advice := _advice_on_amounts(y)):
        first = as_python(y[0])
        as_text = " as text" if isinstance(first, str) else ""
        warn(f"Labels are numbers{as_text}, such as {first!r}.{advice}")
    if has_auto and ensemble.blocks is None:
        warn_of_unnamed_columns(blocks, names)
    elif names is not None and all(columns is None for _, _, columns in heads):
        _warn_of_unread(ensemble, blocks, names)
    if needs_held_out(ensemble, plan.router) or any(expert.learns for expert in plan.experts):
        index = warn_of_columns(*_what_is_read(plan, X.shape[1]), X, y, names)
        warn_of_labels_in_columns(blocks, X, y, names, index)


def _warn_of_unread(ensemble, blocks, names):
    """Warn of columns beside embeddings that no head reads."""
    given = find_blocks(ensemble.blocks, len(names), names)
    others = columns_of([block for block in given if block.backbone is None])
    if len(others) < len(names) and (unread := np.setdiff1d(others, columns_of(blocks))).size:
        warn(
            f"No head reads {listed(names[unread].tolist())}: head={ensemble.head!r} reads "
            "embeddings alone. Add 'linear', 'forest' or 'linear-all' to head, or leave out the "
            "columns.",
            key="unread",
        )


def _warn_of_nameless(blocks, y):
    """Warn if heads that start from class names were left out."""
    embeddings = [block.name for block in blocks if block.has_text]
    if embeddings:
        label = as_python(y[0])
        warn(
            f"A label such as {label!r} does not say what its class is, so {embeddings[0]!r} gets "
            "only heads that need no names. Give class_names, a list that labels index, such as "
            f"['cat', 'dog'], or a mapping, such as {{{label!r}: 'cat', ...}}; or choose heads "
            f"that need none: head=['kernel', 'linear-all'].{_advice_on_numbers(y)}"
            f"{_advice_on_amounts(y)}"
        )


def _advice_on_numbers(y):
    """Return what to do if a meta-estimator has numbered the labels, or "" if they are others."""
    classes = np.unique(y)
    if classes.dtype.kind == "b" or not np.array_equal(classes, np.arange(len(classes))):
        return ""
    names = "sorted(set(y)) of the labels that are names"
    advice = f" {NUMBERED}: for these, give class_names={names}."
    of_two = " No names fit the classes that OneVsRestClassifier makes."
    return advice + of_two if len(classes) == 2 else advice


def _advice_on_amounts(y):
    """Return what to do if labels are amounts, as nearly all of many numbers differ, or ""."""
    classes = np.unique(y)
    if isinstance(classes[0], str):
        if not all(_AMOUNT.fullmatch(one.strip()) for one in classes):
            return ""
        classes = np.unique([float(re.sub(r"\D", "", one)) for one in classes])
    are_codes = classes.dtype.kind == "b" or np.ptp(classes) < 2 * len(classes)
    if are_codes or len(y) < _MANY or 2 * len(classes) <= len(y):
        return ""
    return (
        f" If y holds amounts, of which {len(classes)} are different, and not classes, predict "
        "them by a regressor: make_backbone_pipeline(..., estimator=Ridge())."
    )


def _what_is_read(plan, n_columns):
    """Return the blocks read, those compared with texts, and those read without rescaling.

    The last ones are :class:`ReadAsScaled`.
    """
    readers = {}  # by name and width, since all joined blocks have the same name
    for expert in plan.experts:
        readers.setdefault((expert.block.name, len(expert.block.columns)), []).append(expert)
    blocks, with_texts, as_scaled = [], [], []
    for of_block in readers.values():
        block = of_block[0].block
        blocks.append(block)
        if any(isinstance(one.head, BaseTextHead) for one in of_block):
            with_texts.append(block)
        scaled = [one for one in of_block if _reads_as_scaled(one)]
        if scaled:
            one = next((one for one in scaled if one.head._minds_offsets), scaled[0])
            as_scaled.append(ReadAsScaled(block.columns, one.name, not one.head._minds_offsets))
    if getattr(plan.router, "_minds_scales", False):
        name = type(plan.router).__name__
        as_scaled.append(ReadAsScaled(np.arange(n_columns), name, centred=False))
    return blocks, with_texts, as_scaled


def _reads_as_scaled(expert):
    """Return whether it is a head of this package that learns, and depends on scales of columns."""
    is_own = isinstance(expert.head, LogitClassifierMixin) and expert.head._minds_scales
    return expert.learns and is_own and getattr(expert.head, "rescale", None) is None


def warn_of_mismatch(experts, classes, feature_names, X, y):
    """Warn if blocks or class names seem to be in another order.

    `classes` are all classes; a head may know only some. If y is None, class names are not checked.
    See :func:`warn_of_blocks` and :func:`warn_of_names`.
    """
    with_texts = [one for one in experts if isinstance(one.head, BaseTextHead)]
    readers = list({expert.block.name: expert for expert in with_texts}.values())
    some = subsample(np.arange(len(X))) if y is None else stratified_rows(y, SOME_ROWS)
    X = X[some]
    rows = {reader.block.name: unit_rows(reader.columns_of(X)) for reader in readers}
    blocks = [
        embeddings_of(head, rows[block.name], feature_names, block.columns, block.name)
        for _, head, block in readers
    ]
    warn_of_blocks(blocks, only_prompts=all(one.is_zero_shot for one in experts))
    if y is None or len(classes) > len(X):
        return
    knowing = [one for one in with_texts if len(one.head.classes_) == len(classes)]
    heads = {expert.block.name: expert.head for expert in knowing}
    targets = np.searchsorted(classes, y[some])
    warn_of_names(list(heads.values()), [rows[name] for name in heads], targets)

"""Warn of texts that do not fit the images: wrong blocks, or class names in another order."""

import numpy as np

from .._mistakes._models import warn_of_blocks
from .._mistakes._names import warn_of_names
from .._utils._folds import stratified_rows
from .._utils._linalg import SOME_ROWS, subsample, unit_rows
from ..heads._text_head import BaseTextHead, embeddings_of


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

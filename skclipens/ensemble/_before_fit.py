"""Check the parameters and labels of an ensemble before the rows are known."""

import numpy as np
from sklearn.base import clone

from .._utils._folds import check_cv_of_rows, few_shot_folds, try_splitter
from .._utils._labels import (
    check_classes,
    column_of_labels,
    labels_of,
    refuse_unlabeled,
    unlabeled_rows,
)
from .._utils._metadata import check_metadata, rows_of
from .._utils._sklearn import check_parameters
from ..heads._text_head import BaseTextHead
from ._heads import named_heads
from ._memory import memory_of
from ._plan import make_plan, make_router, needs_held_out
from ._rows import with_class_weights
from ._without_labels import labelled_by_names


def check_before_fit(ensemble, feature_names, y, sample_weight=None, groups=None):
    """Raise the errors of ``fit`` that do not depend on the rows of X.

    A pipeline calls this before it embeds images. `feature_names` is None if the columns are not
    known yet.
    """
    memory_of(ensemble)
    # On a copy, since the ensemble's random state must not advance.
    if y is None:
        draft, y = labelled_by_names(ensemble, sample_weight=sample_weight, groups=groups)
    else:
        draft, y = clone(ensemble), column_of_labels(y)
    if ensemble.unlabeled == "error":
        refuse_unlabeled(y, "unlabeled")
        check_classes(y)
    metadata = check_metadata(sample_weight, groups, len(y), np.float32)
    n_rows, all_groups = len(y), metadata["groups"]
    if ensemble.unlabeled != "error":
        labeled = ~unlabeled_rows(y)
        y, metadata = labels_of(y, labeled), rows_of(metadata, labeled)
        check_classes(y)
    metadata = with_class_weights(draft, y, metadata, np.float32)
    if feature_names is None:
        for _, kind, _ in named_heads(ensemble.head):
            check_parameters(kind)
        make_router(draft)
        return
    experts, _, router, _ = make_plan(draft, len(feature_names), feature_names, y, metadata)
    for _, head, _ in experts:
        check_parameters(head)
        if isinstance(head, BaseTextHead):
            backbone, *_ = head._prompts(np.unique(y), head.class_names, head.templates)
            backbone._tokenizer_options()
    learns = any(expert.learns for expert in experts)
    if not needs_held_out(ensemble, router) or not learns:
        return
    cv = check_cv_of_rows(ensemble.cv, n_rows, all_groups)
    try_splitter(cv, y, metadata["groups"])
    if isinstance(cv, float):
        few_shot_folds(y, cv, groups=metadata["groups"], random_state=0)

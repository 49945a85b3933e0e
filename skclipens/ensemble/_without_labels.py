"""Fit ensembles without labels, on the names of the classes, with or without rows."""

from collections.abc import Mapping
from types import NoneType

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import validate_data

from .._mistakes._seen_embeddings import see_blocks, unseen_block
from .._utils._labels import check_at_least_two, refuse_paths_as_labels
from .._utils._metadata import METADATA
from .._utils._sklearn import safe_indexing
from .._utils._warnings import without_warnings
from ..backbones._blocks import width_of
from ..heads import ZeroShotHead
from ..heads._class_names import check_names
from ._doubts import warn_of_mismatch
from ._experts import distinct_blocks
from ._heads import head_of, named_heads
from ._plan import make_plan
from ._routing import Combination
from .routers import is_fixed, named_router

_STAND_INS = np.array(["drawing", "photo"])
_KEYS_OF_LABELS = "missing label", "spelling of y", "contradictory labels", "order of names"


def fit_by_names(ensemble, X, **metadata):
    """Fit an ensemble whose labels are the names of its classes; nothing is learned from rows.

    Weights and groups, which need labels, are None. Raise the errors of :func:`labelled_by_names`;
    warn if the rows of a block do not seem to be of its backbone.
    """
    draft, classes = labelled_by_names(ensemble, **metadata)
    table = validate_data(ensemble, X)
    some = np.arange(len(classes)) % len(table)  # any rows: zero-shot heads only use y
    with without_warnings(*_KEYS_OF_LABELS):  # the user gave no labels
        draft.fit(safe_indexing(X, some), classes)
    experts, classes = draft.experts_, draft.classes_
    names = getattr(ensemble, "feature_names_in_", None)
    warn_of_mismatch(experts, classes, names, table, None)
    seen = see_blocks(distinct_blocks(experts), table)
    ensemble._set_fitted(experts, classes, draft._combination, seen=seen)
    return ensemble


def start_by_names(ensemble, feature_names=None):
    """Fit an ensemble without rows, on classes that stand for those of ``set_classes``.

    `feature_names` are the columns of the table to come. Raise NotFittedError if something learns
    from rows, or they are None and the parameter ``blocks`` does not say how wide the table is.
    """
    ensemble._validate_params()
    if needed := _needed(ensemble):
        raise NotFittedError(
            f"{type(ensemble).__name__} is not fitted. To set classes without rows, set "
            f"{', '.join(needed)}; otherwise call fit first."
        )
    width = width_of(ensemble.blocks) if feature_names is None else len(feature_names)
    if width is None:
        raise NotFittedError(
            f"{type(ensemble).__name__} is not fitted, and blocks={ensemble.blocks!r} does not say "
            "what X will be. Name the backbones, such as blocks='zoo', or call fit first."
        )
    nothing = dict.fromkeys(METADATA)
    experts, classes, router, _ = make_plan(ensemble, width, feature_names, _STAND_INS, nothing)
    experts = [one._replace(head=clone(one.head).set_classes(classes)) for one in experts]
    ones = np.ones(len(experts))
    ensemble.n_features_in_ = width
    if feature_names is not None:
        ensemble.feature_names_in_ = feature_names
    seen = tuple(map(unseen_block, distinct_blocks(experts)))
    ensemble._set_fitted(experts, classes, Combination(ones.astype(bool), ones, router), seen=seen)
    ensemble._has_seen_no_rows = True


def labelled_by_names(ensemble, **metadata):
    """Return the ensemble that ``fit`` uses if y is None, a copy, and its sorted labels.

    These are the names of classes. Raise ValueError if anything needs labels, or there are no
    names: the message lists the settings to change. Also if there are weights or groups.
    """
    needed = _needed(ensemble)
    if isinstance(ensemble.class_names, (Mapping, NoneType)):
        needed.append("class_names to a list of names")
    if needed:
        raise ValueError(
            f"{type(ensemble).__name__} requires y to be passed, but the target y is None. To do "
            f"without labels, set {', '.join(needed)}."
        )
    if useless := [name for name, value in metadata.items() if value is not None]:
        raise ValueError(
            f"{' and '.join(useless)} is given, but y is not. Pass the labels, too; if there are "
            "none, nothing is learned from rows, so leave it out."
        )
    given = list(ensemble.class_names)
    if not given:
        raise ValueError("class_names is empty. Give a name for each class: ['cat', 'dog'].")
    refuse_paths_as_labels(given, "class_names")
    classes, counts = np.unique(check_names(given, given), return_counts=True)
    if counts.max() > 1:
        twice = classes[counts.argmax()].item()
        raise ValueError(f"class_names has {twice!r} more than once: these would be one class.")
    check_at_least_two(classes)
    return clone(ensemble).set_params(class_names=None), classes


def _needed(ensemble):
    """Return the settings to change so that nothing learns from labels."""
    heads = [head_of(kind) for _, kind, _ in named_heads(ensemble.head)]
    router = named_router(ensemble.router)
    fulfilled = {
        "head='zero-shot'": all(isinstance(head, ZeroShotHead) for head in heads),
        "router='uniform' (or another that learns nothing)": is_fixed(router),
        "calibrate=False": not ensemble.calibrate,
    }
    return [setting for setting, is_there in fulfilled.items() if not is_there]

"""Plan a fit: experts, classes and router."""

from statistics import harmonic_mean
from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from .._utils._folds import is_one_shot
from .._utils._metadata import declines_weights, keywords_of_fit, log_class_weights, refuse_weights
from .._utils._random import draw_seed
from .._utils._sklearn import check_parameters
from ..backbones._blocks import find_blocks
from ..heads._classifier import LogitClassifierMixin
from ._experts import find_classes
from ._make_experts import make_experts
from .routers import is_fixed, named_router

# Up to so many rows per class, or per column, the linear discriminant is the default.
_FEW_PER_CLASS, _FEW_PER_COLUMN = 100, 3
_MAX_PRODUCTS = 1e10  # of rows, columns and classes: beyond it, a pass takes seconds
_MAX_VALUES_OF_FILES = 1e8  # of rows and columns, which are then kept in memory: 0.4 GB


class Plan(NamedTuple):
    """Experts, classes and router, before they are fitted.

    Attributes
    ----------
    experts : list of E Expert
    classes : ndarray of shape (C,)
    router : router
    log_weights : ndarray of shape (C,) or None
        See :func:`skclipens._utils._metadata.log_class_weights`.
    """

    experts: list
    classes: np.ndarray
    router: object
    log_weights: np.ndarray | None


def make_plan(ensemble, n_features, feature_names, y, metadata, *, in_memory=True):
    """Return the plan of a fit on these labels, without fitting. It needs no row of X."""
    ensemble._check_names_of_heads()
    experts = make_experts(
        ensemble.head,
        find_blocks(ensemble.blocks, n_features, feature_names),
        n_features,
        feature_names,
        named_classes=has_named_classes(ensemble, y),
        one_shot=is_one_shot(y),
        many_rows=has_many_rows(y, n_features, in_memory=in_memory),
        class_names=ensemble.class_names,
        templates=ensemble.templates,
        cache=ensemble.cache,
        random_state=ensemble.random_state,
    )
    if metadata["sample_weight"] is not None:
        heads = [one.head for one in experts if one.learns and not declines_weights(one.head)]
        unable = [one for one in heads if "sample_weight" not in keywords_of_fit(one)]
        names = dict.fromkeys(type(one).__name__ for one in unable)
        refuse_weights(list(names), weights_parameter(ensemble))
    classes, log_weights = find_classes(experts, y), None
    if any(one.learns for one in experts):  # prompts do not know how frequent classes are
        weights = metadata["sample_weight"]
        log_weights = log_class_weights(ensemble.class_weight, classes, y, weights)
    return Plan(experts, classes, make_router(ensemble), log_weights)


def has_many_rows(y, n_features, *, in_memory=True):
    """Return whether ``"auto"`` has a logistic regression, which reads all rows many times.

    Classes of uneven size count by the harmonic mean of their sizes: rows of frequent classes do
    not help to tell rare ones apart.
    """
    n_rows, sizes = len(y), np.unique(y, return_counts=True)[1]
    n_classes = len(sizes)
    if not in_memory and n_rows * n_features > _MAX_VALUES_OF_FILES:
        return False
    n_even = n_classes * harmonic_mean(sizes.tolist())
    is_many = n_even > max(_FEW_PER_CLASS * n_classes, _FEW_PER_COLUMN * n_features)
    return is_many and n_rows * n_features * n_classes < _MAX_PRODUCTS


def make_router(ensemble):
    """Return the unfitted router, with verbosity and random state from the ensemble."""
    router = clone(named_router(ensemble.router), safe=False)
    if isinstance(ensemble.router, str) and "verbose" in router.get_params():
        router.set_params(verbose=ensemble.verbose)
    check_parameters(router)
    if getattr(router, "random_state", 0) is None:
        router.random_state = draw_seed(ensemble.random_state)
    return router


def needs_held_out(ensemble, router):
    """Return whether anything is fitted on held-out logits."""
    return ensemble.calibrate or not is_fixed(router)


def takes_weights(ensemble, y):
    """Return whether the router and all heads that learn surely take sample weights."""
    draft = clone(ensemble)  # so that its random state does not advance
    names = getattr(ensemble, "feature_names_in_", None)
    nothing = {"sample_weight": None, "groups": None}
    experts, _, router, _ = make_plan(draft, ensemble.n_features_in_, names, y, nothing)
    routed = is_fixed(router) or "sample_weight" in keywords_of_fit(router)
    # Only heads of this package count: a meta-estimator may take weights and ignore them.
    heads = [one.head for one in experts if one.learns]
    own = all(isinstance(head, LogitClassifierMixin) for head in heads)
    return routed and own and not any(map(declines_weights, heads))


def weights_parameter(ensemble):
    """Return the name of the parameter that gave rows their weights, for errors."""
    return "sample_weight" if ensemble.class_weight is None else "class_weight"


def has_named_classes(ensemble, y):
    return ensemble.class_names is not None or isinstance(y[0], str)

"""Costs of the blocks of a table, and estimators for some of the blocks."""

import reprlib

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from .._mistakes._columns import warn_of_unnamed_columns
from .._utils._linalg import side_by_side
from .._utils._messages import listed
from .._utils._sklearn import HasMethods
from .._utils._validation import check_cost
from ..backbones import Backbone, list_backbones
from ..backbones._blocks import find_blocks
from ..backbones._kinds import parse_kind
from ..ensemble import AdaptiveBackboneEnsemble
from ..ensemble._heads import named_heads
from ..ensemble._make_experts import head_without_block, names_asked
from ..heads import KernelHead

IS_MAPPING = HasMethods(["keys", "__getitem__"])
_ROUNDING = 1 + 1e-9


def blocks_of(estimator, if_one):
    """Return the blocks of the table that an estimator with ``blocks`` is fitted on.

    `if_one` says what a single block of unnamed embeddings means here, for the warning.
    """
    names = getattr(estimator, "feature_names_in_", None)
    blocks = find_blocks(estimator.blocks, estimator.n_features_in_, names)
    if estimator.blocks is None:
        warn_of_unnamed_columns(blocks, names, if_one)
    return blocks


def cost_names(blocks):
    """Return the name by which the cost of each block is looked up: its kind, or its own name."""
    return [block.name if block.kind is None else block.kind.name for block in blocks]


def block_costs(cost, names, views=None, own=None):
    """Return the cost of each block on its own.

    Parameters
    ----------
    cost : None, "gflops" or mapping from names to numbers
        None: 1 each. In a mapping, backbones may be spelled in any way. A block without an entry of
        its own name is looked up by the name of its kind, then by its backbone.
    names : list of B str
        As :func:`cost_names` returns them.
    views : None, {"mirror", "crops", "both"} or list of View
        The views of an image that are embedded; only ``"gflops"`` depends on them.
    own : list of B str, default=None
        Names of the blocks themselves, which come first in a mapping. None: `names`.

    Returns
    -------
    ndarray of shape (B,)

    Raises
    ------
    ValueError
        If the cost of a block is not known, or not a finite number of at least 0.
    """
    if cost is None:
        return np.ones(len(names))
    if isinstance(cost, str):
        return np.array([_gflops(name, list_backbones(views)["gflops"], names) for name in names])
    pairs = zip(names if own is None else own, names, strict=True)
    return np.array([check_cost(name, _look_up(cost, name, of_kind)) for name, of_kind in pairs])


def costs_of(cost, blocks):
    """Return the costs of blocks of a table; see :func:`block_costs`."""
    return block_costs(cost, cost_names(blocks), own=[block.name for block in blocks])


def _gflops(name, known, names):
    kind = parse_kind(name)
    if kind is not None and kind.views:
        raise ValueError(
            f"cost='gflops' cannot know how many views {name!r} has. Give a mapping with a number "
            "for it, such as one of list_backbones(views)['gflops']."
        )
    backbone = name if kind is None else kind.backbone
    if backbone not in known:
        raise ValueError(
            f"cost='gflops' is known for the backbones of list_backbones(), not for {name!r}. "
            f"Give a mapping with a number for each of: {', '.join(names)}."
        )
    return known[backbone]


def _look_up(cost, name, name_of_kind):
    for own in (name, name_of_kind):
        if own in cost:
            return cost[own]
    kind = parse_kind(name_of_kind)
    for key in cost.keys():  # iterating over a Series itself gives its values
        if _canonical(key) == (name_of_kind if kind is None else kind.backbone):
            return cost[key]
    raise ValueError(
        f"cost has no entry for {name!r}, only for {', '.join(map(str, cost.keys()))}."
    )


def _canonical(name):
    try:
        return Backbone(name).name
    except ValueError:
        return name


def check_budget(max_cost, names, costs):
    """Raise ValueError unless the cheapest block is within the budget."""
    cheapest = np.argmin(costs)
    if max_cost is not None and not within(max_cost, costs[cheapest]):
        raise ValueError(
            f"max_cost={max_cost} is less than the cost of {names[cheapest]!r}, "
            f"{costs[cheapest]:g}, the least that can be spent."
        )


def within(max_cost, cost):
    """Return whether costs are within a budget, up to rounding of sums."""
    return np.full(np.shape(cost), True) if max_cost is None else cost <= max_cost * _ROUNDING


def make_for_blocks(estimator, blocks, seed):
    """Make an unfitted estimator for a table that consists of some blocks, side by side.

    The estimator is cloned; None means an :class:`AdaptiveBackboneEnsemble` with this seed. If it,
    or the estimator that it wraps, has a parameter ``blocks``, this is set. Raise ValueError if one
    of its heads is made for backbones of other blocks only, or has columns that are not the name of
    one of these blocks.
    """
    if estimator is None:
        estimator = AdaptiveBackboneEnsemble(random_state=seed)
    estimator = clone(estimator)
    reader = _reader_of_blocks(estimator)
    if reader is None:
        return estimator
    if isinstance(reader, AdaptiveBackboneEnsemble):
        _refuse_unfit_head(reader, blocks)
        _refuse_columns(reader, blocks)
    names = [block.name for block in blocks]
    parts = side_by_side([len(block.columns) for block in blocks])
    are_kinds = names == cost_names(blocks) and None not in [block.kind for block in blocks]
    if isinstance(reader, KernelHead):
        names = [block.backbone if block.has_text else None for block in blocks]
        are_kinds = False
    reader.set_params(blocks=names if are_kinds else list(zip(names, parts)))
    return estimator


def _reader_of_blocks(estimator):
    """Return what has a parameter ``blocks``: an estimator, or one that it wraps; or None.

    A pipeline of several steps may change the columns before they get to its last step.
    """
    while hasattr(estimator, "get_params") and not isinstance(estimator, FrozenEstimator):
        if isinstance(estimator, Pipeline):
            estimator = estimator[0] if len(estimator) == 1 else None
            continue
        if "blocks" in estimator.get_params(deep=False):
            return estimator
        estimator = getattr(estimator, "estimator", None)  # as of CalibratedClassifierCV
    return None


def _refuse_unfit_head(ensemble, blocks):
    unfit = head_without_block(ensemble.head, blocks)
    if unfit is not None:
        raise ValueError(
            f"estimator has the head {unfit!r}, which fits only embeddings of "
            f"{listed(sorted(names_asked(unfit))) or 'backbones with texts'}. But estimator is "
            f"also fitted on {listed(block.name for block in blocks)} without these: leave the "
            "backbone of the head None, or take a head that fits each block, such as 'linear'."
        )


def _refuse_columns(ensemble, blocks):
    """Raise ValueError if a head has columns of its own, whose positions depend on the blocks."""
    names = [block.name for block in blocks]
    for name, _, columns in named_heads(ensemble.head):
        is_any = columns is None or (isinstance(columns, slice) and columns == slice(None))
        if not is_any and not (isinstance(columns, str) and columns in names):
            raise ValueError(
                f"The head {name!r} of estimator has the columns {reprlib.repr(columns)}. But "
                f"estimator is also fitted on {listed(names)} alone, where columns have other "
                "positions and no names. Leave them out, or give the name of a block that is "
                "always there; slice(None) is all columns."
            )

"""Some of the blocks of a table: what they cost, and an estimator for them alone."""

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from .._utils._sklearn import HasMethods
from ..backbones import Backbone, list_backbones
from ..ensemble import AdaptiveBackboneEnsemble

IS_MAPPING = HasMethods(["keys", "__getitem__"])
_ROUNDING = 1 + 1e-9


def cost_names(blocks):
    """What the cost of each block is looked up by: its backbone, or else its own name."""
    return [block.backbone or block.name for block in blocks]


def block_costs(cost, names):
    """Cost of each block.

    Parameters
    ----------
    cost : None, "gflops" or mapping from names to numbers
        None: 1 each. Backbones may be spelled in any way in a mapping.
    names : list of B str
        Names of backbones, or of other blocks.

    Returns
    -------
    ndarray of shape (B,)

    Raises
    ------
    ValueError
        If the cost of a block is not known, or not a finite number that is at least 0.
    """
    if cost is None:
        return np.ones(len(names))
    if isinstance(cost, str):
        known = list_backbones()["gflops"]
        missing = [name for name in names if name not in known]
        if missing:
            raise ValueError(
                f"cost='gflops' is known for the backbones of list_backbones(), not for "
                f"{missing[0]!r}. Give a mapping with a number for each of: {', '.join(names)}."
            )
        return known[names].to_numpy()
    costs = np.array([_look_up(cost, name) for name in names], dtype=float)
    wrong = ~(np.isfinite(costs) & (costs >= 0))
    if wrong.any():
        name, value = np.array(names)[wrong][0], costs[wrong][0]
        raise ValueError(f"The cost of {str(name)!r} is {value}; it must be finite and at least 0.")
    return costs


def _look_up(cost, name):
    if name in cost:
        return cost[name]
    for key in cost.keys():  # a Series itself is iterated over its values
        if _canonical(key) == name:
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
    """Raise ValueError unless a block is within a budget."""
    cheapest = np.argmin(costs)
    if max_cost is not None and not within(max_cost, costs[cheapest]):
        raise ValueError(
            f"max_cost={max_cost} is less than the cost of {names[cheapest]!r}, "
            f"{costs[cheapest]:g}, the least that can be spent."
        )


def within(max_cost, cost):
    """Whether costs are within a budget, up to rounding of sums."""
    return np.full(np.shape(cost), True) if max_cost is None else cost <= max_cost * _ROUNDING


def draw_seed(random_state):
    """An int that folds and default estimators share."""
    return check_random_state(random_state).randint(np.iinfo(np.int32).max)


def make_for_blocks(estimator, blocks, seed):
    """Make an unfitted estimator for a table of some blocks alone, side by side.

    Parameters
    ----------
    estimator : classifier or None
        Where it has a parameter ``blocks``, its clone is told them. None stands for an
        :class:`AdaptiveBackboneEnsemble`.
    blocks : list of Block
    seed : int
        Random state of the default estimator.

    Returns
    -------
    classifier
    """
    estimator = (
        AdaptiveBackboneEnsemble(random_state=seed) if estimator is None else clone(estimator)
    )
    if "blocks" in estimator.get_params(deep=False):
        names = [block.name for block in blocks]
        if names == [block.backbone for block in blocks]:
            return estimator.set_params(blocks=names)
        ends = np.cumsum([len(block.columns) for block in blocks]).tolist()
        parts = [slice(start, end) for start, end in zip([0, *ends], ends)]
        estimator.set_params(blocks=list(zip(names, parts)))
    return estimator


def columns_of(blocks):
    """Positions of the columns of blocks, side by side."""
    return np.concatenate([block.columns for block in blocks])

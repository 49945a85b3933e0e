"""Headroom of each cell, and the share of it that the default gains."""

import numpy as np
import pandas as pd

from ._differences import counts
from ._systems import DEFAULT

CELL = ["set", "head", "shots"]
ROUTERS, STACKERS = "static|gates", "stacker"
LUCK, INDEPENDENT = "oracle of permuted rows", "oracle of independent mistakes"


def wide(results):
    """Return the accuracy of every system, one row for each set, number of shots, draw and head."""
    measured = results[results["accuracy"].notna()]
    return measured.pivot_table("accuracy", [*CELL, "draw"], "rule", sort=False, observed=True)


def headroom(results):
    """Return for each cell: the default, the best single expert, and the headroom.

    The best single is the expert on one backbone of the highest mean accuracy over the draws of
    the cell, chosen on test. ``achievable`` is the highest mean of the combinations that are shown
    test labels, of routers alone (``routers``) and of stackers alone (``stackers``). They are
    measured in some draws only: ``achievable_gain`` and ``gap_there`` are what they and the default
    gain over the best single in these.
    """
    table = wide(results)
    shares = results[results["routing_share"].notna()]
    shares = shares.groupby([*CELL, "rule"])["routing_share"].mean()
    rows = []
    for cell, draws in table.groupby(CELL, sort=False):
        if DEFAULT not in draws or draws[DEFAULT].isna().all():
            continue
        singles = draws.filter(regex="^single:").dropna(axis=1, how="all")
        if singles.empty:
            continue
        best = singles.mean().idxmax()
        mean = singles[best].mean()
        rows.append(
            {
                **dict(zip(CELL, cell)),
                "counted": counts(cell[0]),
                "draws": len(draws),
                "default": draws[DEFAULT].mean(),
                "best": mean,
                "best_name": best.removeprefix("single:"),
                "oracle": draws["oracle"].mean(),
                "luck": _mean(draws, LUCK),
                "independent": _mean(draws, INDEPENDENT),
                "gap": draws[DEFAULT].mean() - mean,
                "oracle_gain": draws["oracle"].mean() - mean,
                **_achievable(draws, draws[DEFAULT], singles[best]),
                "best_share": shares.get((*cell, best), np.nan),
                "equal_share": 1 / len(shares.loc[cell]),
            }
        )
    return pd.DataFrame(rows)


def _mean(draws, rule):
    return draws[rule].mean() if rule in draws else np.nan


def _achievable(draws, default, best):
    """Return the achievable accuracies in the draws in which they were measured."""
    shown = draws.filter(regex="^achievable:").dropna(axis=1, how="all").dropna()
    means = shown.mean()
    found = {
        "routers": means.filter(regex=ROUTERS).max(),
        "stackers": means.filter(regex=STACKERS).max(),
        "achievable": means.max(),
    }
    if shown.empty:
        return dict.fromkeys([*found, "achievable_gain", "gap_there"], np.nan)
    default, best = (one.loc[shown.index].mean() for one in (default, best))
    return found | {"achievable_gain": means.max() - best, "gap_there": default - best}


def over_sets(cells):
    """Return means of the cells over the sets that count, and the shares that the default gains.

    A share is the mean gain divided by the mean headroom, so that a set with hardly any headroom
    does not dominate. It is NaN if there is no headroom.
    """
    counted = cells[cells["counted"]] if cells["counted"].any() else cells
    return with_shares(counted.groupby(["head", "shots"], sort=False).mean(numeric_only=True))


def with_shares(means):
    """Return cells, or means of cells, with the shares of the headroom that the default gains."""
    means = means.copy()
    for share, gap, gain in (
        ("of_achievable", "gap_there", "achievable_gain"),
        ("of_oracle", "gap", "oracle_gain"),
    ):
        means[share] = (means[gap] / means[gain]).where(means[gain] > 1e-9)
    return means


def reason(cell):
    """Return a known reason why the default falls short in a cell."""
    if cell["shots"] == "1" and cell["head"] != "zero-shot":
        why = "no row is left to judge learned heads by"
    else:
        why = (
            f"the best, {cell['best_name']}, gets {cell['best_share']:.0%} of the weight (equal "
            f"shares: {cell['equal_share']:.0%})"
        )
    if cell["best"] < 0.2:
        why += f"; none knows much, the best is right for {cell['best']:.0%}"
    if cell["oracle_gain"] < 0.02:
        why += "; hardly any headroom"
    return why

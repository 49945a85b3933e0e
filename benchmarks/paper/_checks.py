"""What is asked of the default ensemble, computed from the table of results."""

import numpy as np
import pandas as pd

from ._systems import DEFAULT

CELL = ["set", "head", "shots"]


def wide(results):
    """Accuracy of every system, one row for each set, number of shots, draw and head."""
    measured = results[results["accuracy"].notna()]
    return measured.pivot_table("accuracy", [*CELL, "draw"], "rule", sort=False, observed=True)


def headroom(results):
    """For each cell: the default, the best single expert, the oracle, and the gap.

    The best single is the expert on one backbone of the highest mean accuracy over the draws of
    the cell, chosen on test. ``gap_se`` is the standard error of the paired difference over
    draws, or over test images where there is one draw. ``gap_per_draw`` is the gap to the best of
    each draw, a rival that changes with the draw.
    """
    table = wide(results)
    errors = results[results["rule"] == DEFAULT].set_index([*CELL, "draw"])["gap_se_images"]
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
        gap = draws[DEFAULT] - singles[best]
        n = len(gap)
        error = gap.std() / np.sqrt(n) if n > 1 else errors.loc[draws.index].iloc[0]
        top, mean = draws["oracle"].mean(), singles[best].mean()
        rows.append(
            {
                **dict(zip(CELL, cell)),
                "draws": n,
                "default": draws[DEFAULT].mean(),
                "best": mean,
                "best_name": best.removeprefix("single:"),
                "oracle": top,
                "gap": gap.mean(),
                "gap_se": error,
                "gap_per_draw": (draws[DEFAULT] - draws["best single"]).mean(),
                "closed": gap.mean() / (top - mean) if top > mean else np.nan,
                "best_share": shares.get((*cell, best), np.nan),
                "equal_share": 1 / len(shares.loc[cell]),
            }
        )
    return pd.DataFrame(rows)


def against_any_head(results, head):
    """The default with ``head`` less the best single backbone with any of the heads.

    As :func:`headroom`: the best has the highest mean accuracy over the draws of a set and a number
    of shots, chosen on test.
    """
    key = ["set", "shots", "draw"]
    own = results[(results["head"] == head) & (results["rule"] == DEFAULT)]
    own = own.set_index(key)["accuracy"]
    singles = results[results["kind"] == "single"]
    singles = singles.pivot_table("accuracy", key, ["head", "rule"], sort=False)
    rows = []
    for cell, draws in singles.groupby(key[:2], sort=False):
        best = draws.mean().idxmax()
        gap = (own.loc[draws.index] - draws[best]).dropna()
        if gap.empty:
            continue
        rows.append(
            {
                **dict(zip(key, cell)),
                "best": f"{best[1].removeprefix('single:')}, {best[0]}",
                "default": own.loc[draws.index].mean(),
                "other": draws[best].mean(),
                "gap": gap.mean(),
                "gap_se": gap.std() / np.sqrt(len(gap)) if len(gap) > 1 else 0.0,
            }
        )
    return pd.DataFrame(rows)


def below_best_single(cells):
    """Cells in which the default is more than a standard error below the best single."""
    return cells[cells["gap"] < -cells["gap_se"] - 1e-12]


def reason(cell):
    """What is known of why the default falls short in a cell."""
    if cell["shots"] == "1" and cell["head"] != "zero-shot":
        why = "no row is left to judge learned heads by"
    else:
        why = (
            f"the best, {cell['best_name']}, gets {cell['best_share']:.0%} of the weight (equal "
            f"shares: {cell['equal_share']:.0%})"
        )
    if cell["best"] < 0.2:
        why += f"; none knows much, the best is right for {cell['best']:.0%}"
    if cell["oracle"] - cell["best"] < 0.02:
        why += "; hardly any headroom"
    return why


def against(results, head, kind):
    """The default with ``head`` less every other rule, or rival, at every number of shots.

    Means over the sets of means over the draws that both have; the standard error is that of the
    paired difference over draws.
    """
    own = results[(results["head"] == head) & (results["rule"] == DEFAULT)]
    key = ["set", "shots", "draw"]
    own = own.set_index(key)["accuracy"].rename("default")
    others = results[results["kind"] == kind]
    if kind == "rule":
        others = others[(others["head"] == head) & (others["rule"] != DEFAULT)]
    rows = []
    for (rule, shots), group in others.groupby(["rule", "shots"], sort=False):
        both = pd.concat([own, group.set_index(key)["accuracy"]], axis=1, join="inner").dropna()
        if both.empty:
            continue
        means = both.groupby("set").mean().mean()
        per_set = (both["default"] - both["accuracy"]).groupby("set").agg(["var", "size"])
        error = np.sqrt((per_set["var"] / per_set["size"]).sum()) / len(per_set)
        rows.append(
            {
                "head": head,
                "rule": rule,
                "shots": shots,
                "default": means["default"],
                "other": means["accuracy"],
                "gap": means["default"] - means["accuracy"],
                "gap_se": error,
                "sets": len(per_set),
                "draws": per_set["size"].min(),
            }
        )
    return pd.DataFrame(rows)

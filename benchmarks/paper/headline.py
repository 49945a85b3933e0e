"""Draw the headline figure from stored results: what is gained over the best single backbone.

    python -m benchmarks.paper.headline docs/results/paper

It is written beside the results, as every run of ``benchmarks.paper`` does.

A row for each set: the default's accuracy minus that of the best single backbone under any head,
which is chosen on the test set, with the 95 % interval of ``differences.csv``. The mean over sets
has that of ``means.csv``; results that were written before this file was have none. Rivals and the
oracle are placed on the same scale.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

from ._differences import main_head

SHOTS = (1, 4, 16)
BASE = "best single backbone, any head"
NAME = "headline.png"
LIMITS = -25, 45  # values beyond are drawn at the edge
GAIN, LOSS, OPEN, GREY = "#0072b2", "#d55e00", "#555555", "#999999"  # safe for the colour-blind
RIVALS = {"LogisticRegression, C searched": ("x", "logistic regression, C searched")}
_OTHER_RIVALS = "|", "other rivals on all columns"


def headline(differences, results, means=None, shots=SHOTS):
    """Return the figure of ``differences.csv``, ``results.parquet`` and ``means.csv`` as frames."""
    head = main_head(results)
    rows = _of_default(differences, results)
    shots = [n for n in shots if (rows["shots"].astype(str) == str(n)).any()]
    shots = shots or list(rows["shots"].unique())
    base = rows[rows["other"] == BASE]
    order = base.groupby("set")["difference"].mean().sort_values().index
    figure, axes = plt.subplots(
        1,
        len(shots),
        figsize=(3.1 * len(shots) + 1.6, 0.34 * len(order) + 2.1),
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    for n, ax in zip(shots, axes.flat, strict=True):
        at = rows[rows["shots"].astype(str) == str(n)]
        oracle = results[(results["rule"] == "oracle") & (results["head"] == head)]
        oracle = oracle[oracle["shots"].astype(str) == str(n)].groupby("set")["accuracy"].mean()
        _panel(ax, at, oracle, order)
        _mean(ax, at, means)
        ax.set_title(f"{n} labelled picture{'s' * (n != 1)} per class", fontsize=11)
    axes.flat[0].set_yticks(range(len(order) + 1), ["mean of sets", *order])
    lines = {label: line for ax in axes.flat for line, label in _legend(ax)}
    figure.legend(lines.values(), lines, loc="outside lower center", ncols=3, frameon=False)
    middle = axes.flat[(len(shots) - 1) // 2]
    middle.set_xlabel("points above the best single backbone under any head", fontsize=11)
    return figure


def conclusion(differences, results):
    """Return Markdown of the conclusion and the figure; "" if there is one kind of heads only."""
    if not (differences.get("other") == BASE).any():
        return ""
    base = _of_default(differences, results)
    base = base[base["other"] == BASE]
    means = 100 * base.groupby("shots", sort=False)["difference"].mean()
    gains = ", ".join(f"{gain:+.1f}" for gain in means)
    worse = base[base["high"] < 0]
    lost = ""
    if len(worse):
        row = worse.loc[worse["difference"].idxmin()]
        lost = f", most of all on {row['set']} at {row['shots']} ({100 * row['difference']:+.1f})"
    said = (
        f"The default gains {gains} points over the best single backbone under any head at "
        f"{', '.join(map(str, means.index))} labelled pictures per class, on average over "
        f"{base['set'].nunique()} sets. It is worse in {len(worse)} of {len(base)} pairs of set "
        f"and number{lost}. The best single backbone is chosen on the test set, with hindsight."
    )
    return f"{said}\n\n![{said}]({NAME})"


def _of_default(differences, results):
    rows = differences[differences["head"] == main_head(results)]
    return rows[rows["counted"].astype(bool)]


def draw(differences, results, folder, means=None):
    """Write the figure, if there is one."""
    if conclusion(differences, results):
        figure = headline(differences, results, means)
        figure.savefig(Path(folder) / NAME, dpi=110, facecolor="white")
        plt.close(figure)


def _panel(ax, rows, oracle, order):
    base = rows[rows["other"] == BASE].set_index("set").reindex(order)
    rivals = rows[rows["kind"] == "rival"]
    ax.axvline(0, color="black", linewidth=1)
    for place, (name, row) in enumerate(base.iterrows(), start=1):
        beside = rivals[rivals["set"] == name]
        for other, accuracy in zip(beside["other"], beside["accuracy"], strict=True):
            marker, label = RIVALS.get(other, _OTHER_RIVALS)
            _mark(ax, accuracy - row["accuracy"], place, marker, label, color=GREY)
        if name in oracle:
            label = "oracle: any expert is right"
            _mark(ax, oracle[name] - row["accuracy"], place, "|", label, color="0.6", ms=15, mew=2)
        kind = GAIN if row["low"] > 0 else LOSS if row["high"] < 0 else OPEN
        label = {GAIN: "gain", LOSS: "loss", OPEN: "interval holds zero"}[kind]
        marker = {GAIN: "o", LOSS: "v", OPEN: "s"}[kind]
        _bar(ax, row, place, color=kind, marker=marker, label=f"default, {label}")
    ax.axhline(0.5, color="0.8", linewidth=0.8)
    ax.set(xlim=LIMITS, ylim=(-0.6, len(order) + 0.6))
    ax.grid(axis="x", alpha=0.3)
    ax.tick_params(left=False)
    ax.spines[["top", "left", "right"]].set_visible(False)


def _mean(ax, rows, means):
    """Draw the mean over sets, with its interval if ``means.csv`` has it."""
    rows = rows[rows["other"] == BASE]
    style = {"color": "black", "marker": "D", "ms": 7}
    if means is None:
        ax.plot(100 * rows["difference"].mean(), 0, **style)
        return
    place = rows[["head", "other", "shots"]].astype(str).drop_duplicates()
    (mean,) = means.astype(dict.fromkeys(place, str)).merge(place).to_dict("records")
    _bar(ax, mean, 0, **style)


def _bar(ax, row, place, **style):
    """Draw a difference with its interval."""
    at, low, high = (100 * row[name] for name in ("difference", "low", "high"))
    spread = [[at - low], [high - at]]
    ax.errorbar(at, place, xerr=spread, capsize=2, linestyle="none", **style)


def _mark(ax, gain, place, marker, label, **style):
    at = 100 * gain
    low, high = LIMITS
    beyond = "<" if at < low else ">" if at > high else marker
    style = {"ms": 6, **style} if beyond == marker else {"color": style["color"], "ms": 4}
    ax.plot(min(max(at, low), high), place, beyond, clip_on=False, label=label, zorder=1, **style)


def _legend(ax):
    """Yield handles with their labels, without marks at the edge."""
    for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
        if getattr(handle, "get_marker", lambda: "")() not in ("<", ">"):
            yield handle, label


def main(folder):
    """Draw the figure of a folder of results."""
    folder = Path(folder)
    differences = pd.read_csv(folder / "differences.csv")
    means = folder / "means.csv"
    means = pd.read_csv(means) if means.exists() else None
    draw(differences, pd.read_parquet(folder / "results.parquet"), folder, means)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Figures of the report."""

from itertools import combinations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from skclipens.inspection import CorrectSetsDisplay, DiversityGainDisplay
from skclipens.inspection._style import (
    BLUE,
    COLORS,
    DARK,
    GREEN,
    ORANGE,
    PRINT_DPI,
    PURPLE,
    SEQUENTIAL,
)
from skclipens.metrics import linear_cka_matrix

from . import _rivals, _run, _systems
from ._checks import headroom, over_sets
from ._differences import main_head
from ._embedding import read_set, shortened

plt.rcParams["axes.prop_cycle"] = plt.cycler(color=COLORS)

MAX_SETS = 6  # in figures with one panel for each set
_LINES = {
    "best single": {"color": DARK, "linestyle": "--"},
    "oracle": {"color": DARK, "linestyle": ":"},
    "C-Log-Avg": {"color": GREEN},
    "NLC": {"color": ORANGE},
    _rivals.SEARCHED: {"color": PURPLE},
    _systems.DEFAULT: {"color": BLUE, "linewidth": 2},
}


def draw(results, folders, settings, output):
    """Write all figures; return a mapping from file names to descriptions."""
    folders = folders[:MAX_SETS]
    shots = list(dict.fromkeys(results["shots"]))
    head = main_head(results)
    at = shots[-1]
    fitted = [_fit(folder, at, settings) for folder in folders]
    linear = f"linear heads, shots: {at}, draw 0"
    figures = {
        "accuracy.png": (
            _accuracy(results, folders, shots, head),
            f"Accuracy against shots, head {head}; bars: standard deviation over draws.",
        ),
        "headroom.png": (
            _headroom(results, shots),
            "Share of the oracle's headroom that the default closes: mean gain over mean "
            "headroom of the sets.",
        ),
        "weights.png": (
            _weights(results, head, at),
            f"Mean share of the default's weight on each expert, head {head}, shots: {at}.",
        ),
        "correct_sets.png": (
            _correct_sets(fitted),
            f"Which backbones are right together, {linear}: the ten largest regions.",
        ),
        "diversity.png": (
            _diversity(fitted),
            f"Disagreement of backbones against the gain of their logit average, {linear}: all "
            "subsets, or all pairs of more than six backbones.",
        ),
        "similarity.png": (
            _similarity(folders, settings),
            "Linear centred kernel alignment of the embeddings.",
        ),
    }
    for name, (figure, _) in figures.items():
        figure.savefig(output / name, dpi=PRINT_DPI)
        plt.close(figure)
    return {name: caption for name, (_, caption) in figures.items()}


def _fit(folder, shots, settings):
    """Return linear heads, fitted on draw 0, with its test rows."""
    X, about = read_set(folder)
    train, test = _run.split(about, shots, 0, settings.seed, settings.n_classes)
    names, kept = settings.columns_of(_systems.PROJECTED)
    clf = _systems.make("Log-Avg", "linear", names)
    clf.fit(np.asarray(X[train])[:, kept], about["y"][train])
    return about["name"], clf, np.asarray(X[test])[:, kept], about["y"][test]


def panels(n, width=4.2, height=3.4):
    """Return a figure with axes for n panels, in two columns."""
    columns = min(n, 2)
    rows = -(-n // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(width * columns, height * rows), squeeze=False, layout="constrained"
    )
    for ax in axes.flat[n:]:
        ax.set_axis_off()
    return figure, axes.flat


def _accuracy(results, folders, shots, head):
    names = [read_set(folder)[1]["name"] for folder in folders]
    figure, axes = panels(len(names))
    of_head = results[results["head"].isin([head, "none"]) & results["accuracy"].notna()]
    for name, ax in zip(names, axes):
        for rule, style in _LINES.items():
            rows = of_head[(of_head["set"] == name) & (of_head["rule"] == rule)]
            groups = 100 * rows.groupby("shots")["accuracy"].agg(["mean", "std"])
            groups = groups.reindex([k for k in shots if k in groups.index])
            at = [shots.index(k) for k in groups.index]
            ax.errorbar(at, groups["mean"], groups["std"], label=rule, capsize=2, **style)
        ax.set(title=name, xlabel="shots", ylabel="accuracy, %")
        ax.set_xticks(range(len(shots)), shots)
        ax.grid(alpha=0.3)
    lines, labels = axes[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=2, fontsize="small")
    return figure


def _headroom(results, shots):
    closed = 100 * over_sets(headroom(results))["of_oracle"]
    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    for head, values in closed.groupby("head", sort=False):
        values = values.droplevel("head").reindex(shots)
        ax.plot(range(len(shots)), values, marker="o", label=head)
    ax.axhline(0, color="0.6", linestyle=":")
    ax.axhline(25, color="0.6", linestyle="--")
    ax.set(xlabel="shots", ylabel="headroom closed, %")
    ax.set_xticks(range(len(shots)), shots)
    ax.legend()
    ax.grid(alpha=0.3)
    return figure


def _weights(results, head, shots):
    rows = results[(results["head"] == head) & (results["shots"] == shots)]
    rows = rows[rows["routing_share"].notna()]
    means = rows.groupby(["set", "rule"], sort=False)["routing_share"].mean().unstack()
    means.columns = [name.partition(":")[2] for name in means.columns]
    return _heat_map(means, "share of weight")


def _similarity(folders, settings):
    figure, axes = panels(len(folders), 4.2, 3.8)
    names, kept = settings.columns_of(_systems.PROJECTED)
    for folder, ax in zip(folders, axes):
        X, about = read_set(folder)
        rows = np.random.default_rng(0).permutation(len(X))[:2000]
        matrix = linear_cka_matrix(np.asarray(X[np.sort(rows)])[:, kept], names)
        matrix.index = matrix.columns = shortened(matrix.index, settings.backbones)
        _heat_map(matrix, "CKA", ax).set_title(about["name"])
    return figure


def _heat_map(frame, label, ax=None):
    """Plot a heat map with values; return ``ax``, or the new figure if it is None."""
    given = ax
    if ax is None:
        size = 1.5 + 0.6 * frame.shape[1], 2.2 + 0.45 * len(frame)
        _, ax = plt.subplots(figsize=size, layout="constrained")
    image = ax.imshow(
        frame, cmap=SEQUENTIAL, vmin=0, vmax=max(np.nanmax(frame.to_numpy()), 1e-9), aspect="auto"
    )
    ax.set_xticks(range(frame.shape[1]), frame.columns, rotation=45, ha="right", fontsize=8)
    ax.set_yticks(range(len(frame)), frame.index, fontsize=8)
    middle = np.nanmax(frame.to_numpy()) / 2
    for (i, j), value in np.ndenumerate(frame.to_numpy()):
        colour = "white" if value < middle else "black"
        ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=7)
    ax.figure.colorbar(image, ax=ax, label=label)
    return ax.figure if given is None else given


def _correct_sets(fitted):
    figure, axes = panels(len(fitted), 5.5, 4.2)
    for (name, clf, X, y), ax in zip(fitted, axes):
        CorrectSetsDisplay.from_estimator(clf, X, y, max_regions=10, ax=ax)
        ax.set_title(name)
    return figure


def _diversity(fitted):
    figure, ax = plt.subplots(figsize=(7, 4.8), layout="constrained")
    for name, clf, X, y in fitted:
        proba = clf.expert_proba(X)
        labels, logits = clf.classes_[proba.argmax(axis=2)], np.log(proba + 1e-30)
        n_experts = proba.shape[1]
        sizes = range(2, n_experts + 1 if n_experts <= 6 else 3)
        subsets = [list(s) for size in sizes for s in combinations(range(n_experts), size)]
        groups = {
            str(s): (y, labels[:, s], clf.classes_[logits[:, s].mean(axis=1).argmax(axis=1)])
            for s in subsets
        }
        DiversityGainDisplay.from_predictions(groups, annotate=False, ax=ax, label=name, s=14)
    return figure

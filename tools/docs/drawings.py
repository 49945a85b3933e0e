"""Draw the pictures of the documentation from the zoo and the pictures of the package.

python -m tools.docs.drawings docs/_static
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens.datasets import load_emoji
from skclipens.images import load_image
from skclipens.model_selection import FewShotSplit

BLUE, GREY, RED, INK = "#0072b2", "#bbbbbb", "#d55e00", "#222222"  # safe for the colour-blind


def idea(seed=0, n_right=2):
    """Draw a picture that n_right of five backbones classify correctly, like their weighted sum."""
    emoji = load_emoji(min_class_size=20)
    names = emoji.target_names[emoji.target]
    X = MultiBackboneEmbedder("zoo").fit_transform(emoji.filenames)
    train, test = next(FewShotSplit(16, random_state=seed).split(X, names))
    clf = AdaptiveBackboneEnsemble("zoo", head="zero-shot", router="static")
    clf.fit(X[train], names[train])
    proba, weights = clf.expert_proba(X[test]), clf.routing_weights(X[test])
    right = clf.classes_[proba.argmax(axis=2)] == names[test, None]
    good = (right.sum(axis=1) == n_right) & (clf.predict(X[test]) == names[test])
    at = np.flatnonzero(good)
    at = at[clf.predict_proba(X[test[at]]).max(axis=1).argmax()]
    return _draw_idea(
        load_image(emoji.filenames[test[at]]),
        names[test[at]],
        [name.removeprefix("zoo/").partition(":")[0] for name in clf.expert_names_],
        clf.classes_[proba[at].argmax(axis=1)],
        proba[at].max(axis=1),
        weights[at] / weights[at].sum(),
        clf.predict_proba(X[test[at]][None])[0].max(),
    )


def _draw_idea(picture, truth, backbones, guesses, sure, shares, sure_of_all):
    figure, axes = plt.subplots(
        1, 4, figsize=(8.6, 3.1), width_ratios=[1.2, 2.5, 1.5, 1.2], layout="constrained"
    )
    ax, says, trust, answer = axes
    ax.imshow(picture)
    ax.set_title("one picture", fontsize=12)
    rows = np.arange(len(backbones))
    colours = [BLUE if guess == truth else RED for guess in guesses]
    says.barh(rows, sure, color=colours, height=0.72)
    for row, (guess, value, colour) in enumerate(zip(guesses, sure, colours, strict=True)):
        mark = "✓" if colour == BLUE else "✗"
        says.text(value + 0.02, row, f"{mark} {guess}", va="center", color=colour, fontsize=11)
    says.set(yticks=rows, yticklabels=backbones, xlim=(0, 1.75), title="five models, their answers")
    trust.barh(rows, shares, color=INK, height=0.72)
    for row, share in enumerate(shares):
        trust.text(max(share, 0) + 0.01, row, f"{share:.0%}", va="center", fontsize=11)
    trust.set(yticks=[], xlim=(0, 1.35 * shares.max()), title="who is trusted")
    answer.set(title="together", xlim=(0, 1), ylim=(0, 1))
    answer.text(0.5, 0.55, f"✓ {truth}", ha="center", color=BLUE, fontsize=13, weight="bold")
    answer.text(0.5, 0.4, f"{sure_of_all:.0%} sure", ha="center", color=INK, fontsize=11)
    for other in (says, trust):
        other.invert_yaxis()
        other.set_xticks([])
        other.tick_params(left=False, labelsize=11)
    for other in axes:
        other.spines[:].set_visible(False)
    for other in (ax, answer):
        other.set(xticks=[], yticks=[])
    return figure


# What to start from: questions (left) and answers (right), from top to bottom.
QUESTIONS = [
    (
        "No labelled pictures?",
        'head="zero-shot", router="uniform",\ncalibrate=False, class_names=...',
    ),
    (
        "Numbers as labels,\nand no names for them?",
        "the default leaves out prompts;\nbetter: give class_names",
    ),
    (
        "Will new pictures have another\nstyle than the labelled ones?",
        'head="zero-shot", router="uniform"',
    ),
    (
        "Must a prediction be fast?",
        'head=["zero-shot", "residual",\n"linear-all"]',
    ),
    (
        "Poor prompts, zero-shot heads,\nweights by the image wanted?",
        'head="zero-shot", router="nlc",\ncalibrate=False',
    ),
]


def chart():
    """Draw a decision chart: which head, which router."""
    height = 1.35 * len(QUESTIONS) + 1.3
    figure, ax = plt.subplots(figsize=(7, 0.93 * height), layout="constrained")
    ax.set(xlim=(0, 8), ylim=(0, height))
    ax.set_axis_off()
    top = height - 0.6
    for row, (question, answer) in enumerate(QUESTIONS):
        y = top - 1.35 * row
        _box(ax, 1.75, y, 3.2, question, "#e8f1f8", BLUE)
        _box(ax, 6.0, y, 3.8, answer, "#f4f4f4", GREY, family="monospace", fontsize=10)
        _arrow(ax, (3.37, y), (4.08, y), "yes", (3.7, y + 0.12))
        _arrow(ax, (1.75, y - 0.47), (1.75, y - 0.88), "no", (1.95, y - 0.7))
    y = top - 1.35 * len(QUESTIONS)
    _box(ax, 1.75, y, 3.2, 'the default:\nhead="auto", router="shrunk"', "#fdf0e6", RED)
    _box(ax, 6.0, y, 3.8, "with more labels, compare others\nby a grid search", "#f4f4f4", GREY)
    _arrow(ax, (3.37, y), (4.08, y), "", (3.7, y))
    return figure


def _box(ax, x, y, width, text, face, edge, **kwargs):
    shape = FancyBboxPatch(
        (x - width / 2, y - 0.42), width, 0.84, boxstyle="round,pad=0.04", fc=face, ec=edge
    )
    ax.add_patch(shape)
    ax.text(x, y, text, ha="center", va="center", **{"fontsize": 11, "color": INK, **kwargs})


def _arrow(ax, start, end, text, at):
    ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": INK})
    ax.text(*at, text, ha="center", fontsize=10, color=INK)


def main(folder):
    """Draw all pictures into a folder."""
    idea().savefig(Path(folder) / "idea.png", dpi=110, facecolor="white")
    chart().savefig(Path(folder) / "chart.png", dpi=110, facecolor="white")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""
================================
When new pictures look different
================================

Heads learn from labelled pictures. If new pictures are blurred, or drawn in
another style, they can be worse than zero-shot heads, which use names alone.
This compares them as the test pictures change more and more.
"""

# %%
# Eight labelled pictures of each class are clean. The test pictures are
# blurred, or faded into an outline, more and more.

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens.datasets import load_emoji
from skclipens.images import load_image
from skclipens.model_selection import FewShotSplit

paths, labels = load_emoji(min_class_size=30, return_X_y=True)
pictures = [load_image(path) for path in paths]
embedder = MultiBackboneEmbedder("zoo")
splitter = FewShotSplit(n_shots=8, random_state=0)
train, test = next(splitter.split(pictures, labels))


def blurred(picture, strength):
    """A picture with a Gaussian blur of so many pixels."""
    return picture.filter(ImageFilter.GaussianBlur(strength))


def outlined(picture, strength):
    """A picture that fades into its outline in black on white."""
    lines = ImageOps.grayscale(picture).filter(ImageFilter.FIND_EDGES)
    lines = ImageOps.invert(ImageOps.autocontrast(lines)).convert("RGB")
    return Image.blend(picture, lines, strength)


changes = {
    "blur, pixels": (blurred, [0, 1, 2, 3, 4]),
    "outline, share": (outlined, [0, 0.25, 0.5, 0.75, 1]),
}

# %%
# Three classifiers: the default, zero-shot heads ("names alone"), and a linear
# head on all columns, which does not use names.

X = embedder.fit_transform([pictures[i] for i in train])
models = {
    "the default": AdaptiveBackboneEnsemble("zoo", random_state=0),
    "names alone": AdaptiveBackboneEnsemble(
        "zoo", head="zero-shot", router="uniform", calibrate=False
    ),
    "linear head": AdaptiveBackboneEnsemble("zoo", head="linear-all"),
}
for model in models.values():
    model.fit(X, labels[train])
scores = {}
for change, (function, strengths) in changes.items():
    for strength in strengths:
        changed = [function(pictures[i], strength) for i in test]
        X_test = embedder.transform(changed)
        for name, model in models.items():
            accuracy = 100 * model.score(X_test, labels[test])
            scores.setdefault((change, name), []).append(accuracy)
for key, curve in scores.items():
    print(*key, np.round(curve, 1), sep="  ")

# %%
# The gain over names alone depends on the change. With a strong blur it becomes
# a loss: use ``head="zero-shot", router="uniform"``, or label a few of the new
# pictures. With outlines it almost vanishes in the middle and then returns.

import matplotlib.pyplot as plt

figure = plt.figure(figsize=(10, 6), layout="constrained")
columns = figure.subfigures(1, 2)
for column, (change, (function, strengths)) in zip(columns, changes.items()):
    grid = column.add_gridspec(2, 5, height_ratios=[1, 3.4])
    for i, strength in enumerate(strengths):
        ax = column.add_subplot(grid[0, i])
        ax.imshow(function(pictures[test[70]], strength))
        ax.set_axis_off()
    ax = column.add_subplot(grid[1, :])
    for name, colour in zip(models, ["#0072b2", "#666666", "#e69f00"]):
        ax.plot(strengths, scores[change, name], "o-", color=colour, label=name)
    ax.set(xlabel=change, ylabel="accuracy, %", ylim=(0, 90))
    ax.grid(alpha=0.3)
    ax.legend()
plt.show()

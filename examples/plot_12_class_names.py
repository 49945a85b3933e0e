"""
========================
Write better class names
========================

Class names become prompts, so their wording matters. Folders are often named by
codes such as ``person-role``; names that fit into a sentence take a minute to
write, and need no labels.
"""

# %%
# These are Unicode's own codes of seven kinds of pictures, and names for them.

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens.datasets import load_emoji

codes = {
    "clothing": "clothing",
    "land vehicle": "transport-ground",
    "mammal": "animal-mammal",
    "person at work": "person-role",
    "person doing sport": "person-sport",
    "person moving": "person-activity",
    "weather or sky": "sky-weather",
}
paths, labels = load_emoji(min_class_size=40, return_X_y=True)
X = MultiBackboneEmbedder("zoo").fit_transform(paths)


def zero_shot(class_names, templates=None):
    """Whether each picture is named right; nothing is learned."""
    clf = AdaptiveBackboneEnsemble(
        "zoo",
        head="zero-shot",
        router="uniform",
        calibrate=False,
        class_names=class_names,
        templates=templates,
    )
    return clf.fit(X, labels).predict(X) == labels


names = {label: label for label in codes}
right = {
    "codes": zero_shot(codes),
    "names": zero_shot(names),
    "names, one prompt: 'a drawing of a {}.'": zero_shot(
        names, ["a drawing of a {}."]
    ),
}
for name, rows in right.items():
    print(f"{rows.mean():.1%}  {name}")

# %%
# The accuracy by class, and pictures that only the names get right.

import matplotlib.pyplot as plt
import numpy as np

from skclipens.images import load_image

figure = plt.figure(figsize=(10, 5), layout="constrained")
left, pictures = figure.subfigures(1, 2, width_ratios=[1.5, 1])
ax = left.subplots()
rows = np.arange(len(codes))
for offset, (name, colour) in enumerate(
    {"codes": "#e69f00", "names": "#0072b2"}.items()
):
    share = [100 * right[name][labels == label].mean() for label in codes]
    ax.barh(rows + 0.4 * offset - 0.2, share, 0.38, color=colour, label=name)
ticks = [f"{label}\n({code})" for label, code in codes.items()]
ax.set_yticks(rows, ticks, fontsize=9)
ax.invert_yaxis()
ax.set(xlabel="named right, %")
ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1), ncols=2)
won = np.flatnonzero(right["names"] & ~right["codes"])
won = np.random.default_rng(0).permutation(won)
axes = pictures.subplots(4, 3)
for ax in axes.flat:
    ax.set_axis_off()
for i, ax in zip(won, axes.flat):
    ax.imshow(load_image(paths[i]))
    ax.set_title(labels[i], fontsize=8)
pictures.suptitle("right by names only", fontsize=10)
plt.show()

"""
===========================================
Save computation with cheap backbones first
===========================================

A cascade runs the cheapest model on all pictures, and the others only on those
that are still undecided. This shows accuracy against cost, and which pictures
are decided early.
"""

# %%
# :class:`~skclipens.CascadeEnsemble`, a cascade on a table of
# embeddings, shows what would be saved on images. The last line is the ensemble
# of all five models.

from skclipens import (
    AdaptiveBackboneEnsemble,
    MultiBackboneEmbedder,
    list_backbones,
)
from skclipens.cascade import CascadeEnsemble
from skclipens.datasets import load_emoji
from skclipens.model_selection import FewShotSplit

paths, labels = load_emoji(min_class_size=25, return_X_y=True)
X = MultiBackboneEmbedder("zoo").fit_transform(paths)
splitter = FewShotSplit(n_shots=16, random_state=0)
train, test = next(splitter.split(X, labels))

rows = []
for max_cost in (0.04, 0.08, 0.12, 0.16, None):
    cascade = CascadeEnsemble(
        "zoo", cost="gflops", max_cost=max_cost, cv=3, random_state=0
    )
    cascade.fit(X[train], labels[train])
    result = cascade.predict_with_cost(X[test])
    accuracy = (result.labels == labels[test]).mean()
    rows.append((result.cost.mean(), 100 * accuracy))
    print(f"{rows[-1][0]:.3f} GFLOPs per picture: {rows[-1][1]:.1f}% right")
    if max_cost == 0.16:
        stages = result.stages

every = AdaptiveBackboneEnsemble("zoo", random_state=0)
every.fit(X[train], labels[train])
cost = list_backbones().query("group == 'zoo'")["gflops"].sum()
of_all = cost, 100 * every.score(X[test], labels[test])
print(f"{cost:.3f} GFLOPs per picture: {of_all[1]:.1f}% right, all models")

# %%
# The curve of accuracy against cost, and pictures that leave first and last at
# a budget of 0.16 GFLOPs.

import matplotlib.pyplot as plt
import numpy as np

from skclipens.images import load_image

figure = plt.figure(figsize=(10, 4.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.2, 1])
ax = left.subplots()
ax.plot(*zip(*sorted(rows)), "o-", color="#0072b2", label="cascade")
ax.plot(*of_all, "s", color="#666666", label="all models")
ax.legend()
ax.set(xlabel="GFLOPs per picture, mean", ylabel="accuracy, %")
ax.set_title("Twemoji, 22 classes, 16 labels of each")
ax.grid(alpha=0.3)
axes = right.subplots(4, 5)
rng = np.random.default_rng(0)
for part, stage in ((axes[:2], stages.min()), (axes[2:], stages.max())):
    some = rng.permutation(np.flatnonzero(stages == stage))
    for ax in part.flat:
        ax.set_axis_off()
    for i, ax in zip(some, part.flat):
        ax.imshow(load_image(paths[test[i]]))
early, late = (stages == stages.min()).sum(), (stages == stages.max()).sum()
axes[0, 2].set_title(f"decided by the first model: {early}", fontsize=10)
axes[2, 2].set_title(f"undecided to the last: {late}", fontsize=10)
plt.show()

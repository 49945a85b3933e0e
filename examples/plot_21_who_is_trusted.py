"""
==================================
Weights that depend on the picture
==================================

With a router that has gates, the weight of a model depends on the picture. Here
are the pictures for which each model gets the most and the least weight.
"""

# %%
# A :class:`~skclipens.ensemble.GatedRouter` over zero-shot heads. With the
# default heads, which learn, weights are the same for all pictures.

import numpy as np

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens.datasets import load_emoji
from skclipens.ensemble import GatedRouter
from skclipens.model_selection import FewShotSplit

paths, labels = load_emoji(min_class_size=20, return_X_y=True)
X = MultiBackboneEmbedder("zoo").fit_transform(paths)
splitter = FewShotSplit(n_shots=16, random_state=0)
train, test = next(splitter.split(X, labels))
clf = AdaptiveBackboneEnsemble(
    "zoo", head="zero-shot", router=GatedRouter(gate_alpha=0.3)
)
clf.fit(X[train], labels[train])
weights = clf.routing_weights(X[test])
names = [name.split(":")[0] for name in clf.expert_names_]
for name, mean, spread in zip(names, weights.mean(axis=0), weights.std(axis=0)):
    print(f"{name:12} {mean:.2f} ± {spread:.2f} over pictures")
print(f"accuracy {clf.score(X[test], labels[test]):.1%}")

# %%
# One model gets most of the weight for all pictures. Relative to its size,
# the weight of each of the others changes more. A mark shows if the model alone
# is right.

import matplotlib.pyplot as plt

from skclipens.images import load_image

alone = clf.classes_[clf.expert_proba(X[test]).argmax(axis=2)]
figure, axes = plt.subplots(5, 8, figsize=(10, 7.2), layout="constrained")
for expert, row in enumerate(axes):
    order = np.argsort(weights[:, expert])
    for i, ax in zip([*order[::-1][:4], *order[:4][::-1]], row):
        ax.imshow(load_image(paths[test[i]]))
        right = alone[i, expert] == labels[test[i]]
        mark, colour = ("✓", "#0072b2") if right else ("✗", "#d55e00")
        text = f"{weights[i, expert]:.2f} {mark}"
        ax.set_xlabel(text, fontsize=9, color=colour)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    row[0].set_ylabel(names[expert], fontsize=10)
axes[0, 1].set_title("most weight", loc="left", fontsize=11)
axes[0, 5].set_title("least weight", loc="left", fontsize=11)
plt.show()

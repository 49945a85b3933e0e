"""
==============================================
Different models are right on different images
==============================================

Models that were trained on the same pictures, but have different architectures,
are right on different ones. This is what an ensemble can gain from. Here are
pictures that only one of five models classifies correctly.
"""

# %%
# The five models of the zoo were trained on the same pictures with the same
# recipe. Each has a zero-shot head.

import numpy as np

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens.datasets import load_emoji
from skclipens.metrics import oracle_accuracy_score

paths, labels = load_emoji(return_X_y=True)
X = MultiBackboneEmbedder("zoo").fit_transform(paths)
clf = AdaptiveBackboneEnsemble(
    "zoo", head="zero-shot", router="uniform", calibrate=False
)
clf.fit(X, labels)
predicted = clf.classes_[clf.expert_proba(X).argmax(axis=2)]
right = predicted == labels[:, None]
names = [name.split(":")[0] for name in clf.expert_names_]
for name, share in zip(names, right.mean(axis=0)):
    print(f"{name:12} {share:.1%}")
print(f"{'any of them':12} {oracle_accuracy_score(labels, predicted):.1%}")

# %%
# An *oracle* that chooses the right model for each picture is right if any
# model is. Each row shows pictures that only one model classifies correctly.

import matplotlib.pyplot as plt

from skclipens.images import load_image

alone = right & (right.sum(axis=1, keepdims=True) == 1)
figure, axes = plt.subplots(5, 7, figsize=(10, 7.6), layout="constrained")
rng = np.random.default_rng(0)
for expert, row in enumerate(axes):
    found = np.flatnonzero(alone[:, expert])
    some = rng.choice(found, min(7, len(found)), replace=False)
    row[0].set_ylabel(f"{names[expert]}\nalone: {len(found)}", fontsize=10)
    for i, ax in zip(some, row):
        ax.imshow(load_image(paths[i]))
        ax.set_xlabel(labels[i], fontsize=8)
    for ax in row:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
plt.show()

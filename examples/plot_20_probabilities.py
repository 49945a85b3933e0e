"""
===============================
Calibration and prediction sets
===============================

Are predictions with a confidence of 80% right in 80% of all cases? A
reliability diagram shows it. If no class is certain enough, conformal
prediction gives a set of classes, which contains the true one as often as you
ask for.
"""

# %%
# Eight labelled pictures of each class train the ensemble. Half of the others
# calibrate the sets, the other half tests.

import numpy as np

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens.datasets import load_emoji
from skclipens.model_selection import FewShotSplit

paths, labels = load_emoji(min_class_size=25, return_X_y=True)
X = MultiBackboneEmbedder("zoo").fit_transform(paths)
train, others = next(FewShotSplit(8, random_state=0).split(X, labels))
others = np.random.default_rng(0).permutation(others)
held_out, test = np.array_split(others, 2)
clf = AdaptiveBackboneEnsemble("zoo", random_state=0)
clf.fit(X[train], labels[train])
print(f"accuracy {clf.score(X[test], labels[test]):.0%}")

# %%
# MAPIE makes the sets from a fitted classifier.

import warnings

from mapie.classification import SplitConformalClassifier

# MAPIE predicts a row of zeros first, which is no embedding.
warnings.filterwarnings("ignore", message="(Rows|The embeddings) of")

sets = {}
for level in (0.8, 0.9, 0.95):
    conformal = SplitConformalClassifier(clf, confidence_level=level)
    conformal.conformalize(X[held_out], labels[held_out])
    sets[level] = conformal.predict_set(X[test])[1][:, :, 0]
    true = np.searchsorted(clf.classes_, labels[test])
    holds = sets[level][np.arange(len(test)), true].mean()
    size = sets[level].sum(axis=1).mean()
    print(f"asked {level:.0%}: {holds:.0%} have it, {size:.1f} classes each")

# %%
# Left: accuracy against confidence. Right: pictures with their sets at 90%. A
# large set means that the ensemble is uncertain.

import matplotlib.pyplot as plt

from skclipens.images import load_image
from skclipens.inspection import ReliabilityDisplay

figure = plt.figure(figsize=(10, 5), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1, 1.5])
ax = left.subplots()
ReliabilityDisplay.from_estimator(
    clf, X[test], labels[test], name="ensemble", ax=ax
)
sizes = sets[0.9].sum(axis=1)
order = np.argsort(sizes, kind="stable")
some = order[np.linspace(0, len(order) - 1, 8).astype(int)]
for i, ax in zip(some, right.subplots(2, 4).flat):
    ax.imshow(load_image(paths[test[i]]))
    names = clf.classes_[sets[0.9][i]]
    extra = [f"and {len(names) - 4} more"] if len(names) > 4 else []
    ax.set_xlabel("\n".join([*names[:4], *extra]) or "no class", fontsize=9)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
plt.show()

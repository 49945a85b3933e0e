"""
===============
Compare routers
===============

A router combines the logits of the experts: fitted heads, each on one backbone
or on all. This compares seven routers on the same heads, draws and test
pictures.
"""

# %%
# ``memory`` keeps the fitted heads, so only the routers are fitted again.

from tempfile import mkdtemp

import pandas as pd

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens.datasets import load_emoji
from skclipens.model_selection import FewShotSplit

paths, labels = load_emoji(min_class_size=25, return_X_y=True)
X = MultiBackboneEmbedder("zoo").fit_transform(paths)
memory = mkdtemp()
routers = [
    "uniform", "static", "shrunk", "nlc", "super-learner", "vote", "confidence",
]  # fmt: skip
rows = []
splitter = FewShotSplit(n_shots=8, n_splits=5, random_state=0)
for draw, (train, test) in enumerate(splitter.split(X, labels)):
    for router in routers:
        clf = AdaptiveBackboneEnsemble(
            "zoo", router=router, memory=memory, random_state=0
        )
        clf.fit(X[train], labels[train])
        rows.append((router, draw, 100 * clf.score(X[test], labels[test])))
scores = pd.DataFrame(rows, columns=["router", "draw", "accuracy"])
scores = scores.pivot(index="draw", columns="router", values="accuracy")
gains = scores[routers[1:]].sub(scores["uniform"], axis=0)
print(gains.agg(["mean", "std"]).T.round(1).to_string())

# %%
# The zero line is the average of calibrated logits. With the default heads,
# ``"shrunk"``, the default, is the same as ``"static"``. The standard deviation
# over draws is up to a point or more, so five draws cannot distinguish routers
# that differ by less, such as the NLC, which is slightly ahead here.

import matplotlib.pyplot as plt

order = gains.mean().sort_values().index
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for row, router in enumerate(order):
    colour = "#d55e00" if gains[router].mean() < 0 else "#0072b2"
    ax.plot(gains[router], [row] * len(gains), "|", color=colour, ms=12)
    ax.plot(gains[router].mean(), row, "o", color=colour)
ax.axvline(0, color="0.4", lw=1)
ax.set_yticks(range(len(order)), order)
ax.set(xlabel='points above router="uniform", same draw')
ax.set_title("Twemoji, 22 classes, 8 labelled pictures of each, 5 draws")
ax.grid(alpha=0.3, axis="x")
plt.show()

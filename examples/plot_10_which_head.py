"""
======================
Compare kinds of heads
======================

A head turns the embedding of a backbone, a CLIP model, into a score per class.
This compares seven choices of heads on the same table and draws, with the same
router.
"""

# %%
import pandas as pd

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens.datasets import load_emoji
from skclipens.model_selection import FewShotSplit

paths, labels = load_emoji(min_class_size=25, return_X_y=True)
X = MultiBackboneEmbedder("zoo").fit_transform(paths)
heads = {
    "zero-shot": "zero-shot",
    "residual": "residual",
    "tip-adapter": "tip-adapter",
    "gda": "gda",
    "linear": "linear",
    "kernel": "kernel",
    "the default, three kinds": "auto",
}
rows = []
splitter = FewShotSplit(n_shots=8, n_splits=4, random_state=0)
for draw, (train, test) in enumerate(splitter.split(X, labels)):
    for name, head in heads.items():
        clf = AdaptiveBackboneEnsemble(
            "zoo", head=head, router="static", random_state=0
        )
        clf.fit(X[train], labels[train])
        rows.append((name, draw, 100 * clf.score(X[test], labels[test])))
scores = pd.DataFrame(rows, columns=["head", "draw", "accuracy"])
table = scores.groupby("head")["accuracy"].agg(["mean", "std"])
table = table.sort_values("mean")
print(table.round(1).to_string())

# %%
# Heads that start from prompts and learn are ahead, since the zoo knows the
# names of these classes. Here Tip-Adapter alone is slightly better than the
# default, and kernel heads alone are as accurate. The default also has a linear
# head, for class names without meaning.

import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
for row, (name, draws) in enumerate(
    (name, scores[scores["head"] == name]["accuracy"]) for name in table.index
):
    colour = "#d55e00" if name.startswith("the default") else "#0072b2"
    ax.plot(draws, [row] * len(draws), "|", color=colour, ms=12)
    ax.plot(draws.mean(), row, "o", color=colour)
ax.set_yticks(range(len(table)), table.index)
ax.set(xlabel="accuracy, % (a line for each draw, a dot for the mean)")
ax.set_title("Twemoji, 22 classes, 8 labelled pictures of each, 4 draws")
ax.grid(alpha=0.3, axis="x")
plt.show()

"""
=========================================
How accuracy grows with labelled pictures
=========================================

Learning curves of the default ensemble, of a logistic regression on the same
columns, and of zero-shot heads, which use the names of the classes alone.
"""

# %%
# Each split trains on ``n_shots`` pictures of every class and tests on all
# others. Three draws show how much depends on which pictures are labelled.

import warnings

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens.datasets import load_emoji
from skclipens.model_selection import FewShotSplit

# scikit-learn doubts that labels with one row per class are classes.
warnings.filterwarnings("ignore", message="The number of unique classes")

paths, labels = load_emoji(min_class_size=25, return_X_y=True)
X = MultiBackboneEmbedder("zoo").fit_transform(paths)
models = {
    "default ensemble": AdaptiveBackboneEnsemble("zoo", random_state=0),
    "logistic regression": LogisticRegression(C=10, max_iter=1000),
    "names alone": AdaptiveBackboneEnsemble(
        "zoo", head="zero-shot", router="uniform", calibrate=False
    ),
}
rows = []
for n_shots in (1, 2, 4, 8, 16):
    cv = FewShotSplit(n_shots, n_splits=3, random_state=0)
    for name, model in models.items():
        for score in cross_val_score(model, X, labels, cv=cv):
            rows.append((name, n_shots, 100 * score))
scores = pd.DataFrame(rows, columns=["model", "shots", "accuracy"])
table = scores.groupby(["model", "shots"])["accuracy"].agg(["mean", "std"])
print(table["mean"].unstack().loc[list(models)].round(1).to_string())

# %%
# With few labels, most of the accuracy of the ensemble comes from the names.
# The logistic regression does not use them.

import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
styles = zip(models, ["#0072b2", "#e69f00", "#666666"], ["o", "s", "^"])
for name, colour, marker in styles:
    curve = table.loc[name]
    ax.errorbar(
        curve.index,
        curve["mean"],
        curve["std"],
        color=colour,
        marker=marker,
        capsize=3,
        label=name,
    )
ax.set_xscale("log", base=2)
ax.set_xticks([1, 2, 4, 8, 16], [1, 2, 4, 8, 16])
ax.set(xlabel="labelled pictures per class", ylabel="accuracy, %")
ax.set_title("Twemoji, 22 classes, 3 draws: mean and standard deviation")
ax.legend()
ax.grid(alpha=0.3)
plt.show()

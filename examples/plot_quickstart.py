"""
============================================================
Compare an ensemble with single backbones and a linear model
============================================================

The five CLIP models that come with skclipens were trained on the same pictures
and differ in architecture alone, but they make different mistakes. An adaptive
ensemble learns from a few labelled pictures how much weight each of them gets.

The pictures are Twemoji, a style of drawing that none of the models has seen,
in 30 classes.
"""

# %%
# Embed once
# ----------
# :class:`skclipens.MultiBackboneEmbedder` turns a column of images into a table
# with one block of columns per backbone, as the models are called here.

import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from skclipens import (
    AdaptiveBackboneEnsemble,
    MultiBackboneEmbedder,
    ZeroShotHead,
    list_backbones,
)
from skclipens.datasets import load_emoji
from skclipens.model_selection import FewShotSplit

# scikit-learn doubts that labels with one row per class are classes.
warnings.filterwarnings("ignore", message="The number of unique classes")
# Small matrices are faster on one thread.
threadpool_limits(1, user_api="blas")

start = time.perf_counter()
backbones = list_backbones().query("group == 'zoo'").index
emoji = load_emoji(min_class_size=20)
y = emoji.target_names[emoji.target]
X = MultiBackboneEmbedder("zoo").fit_transform(emoji.filenames)
n_classes = len(emoji.target_names)
print(f"{len(X)} pictures, {n_classes} classes, {X.shape[1]} columns")

# %%
# Learn from 1, 4 and 16 labelled pictures per class
# --------------------------------------------------
# Labels that are strings are written into prompts, the texts that the models
# compare with pictures. For each draw of training pictures, all others are the
# test set. The baselines are
#
# - the best single backbone, with a zero-shot or a linear head. It is chosen on
#   the test set, which no user can do;
# - a logistic regression on all columns, which searches C if a class has enough
#   rows for folds;
# - the average of the calibrated zero-shot logits.
#
# The oracle is right if any single backbone is right.

blocks = np.split(X, len(backbones), axis=1)
zero_shot = np.stack(
    [
        ZeroShotHead(backbone).set_classes(emoji.target_names).predict(block)
        for backbone, block in zip(backbones, blocks, strict=True)
    ],
    axis=1,
)


def predictions_of_single_backbones(train, test):
    """What the zero-shot and the linear head of each backbone predict."""
    linear = [
        LogisticRegression(C=10, max_iter=1000)
        .fit(block[train], y[train])
        .predict(block[test])
        for block in blocks
    ]
    return np.column_stack([zero_shot[test], *linear])


def logistic_regression(n_shots):
    """Logistic regression on all columns."""
    one = LogisticRegression(C=10, max_iter=1000)
    if n_shots == 1:
        return one
    return GridSearchCV(one, {"C": [0.1, 1, 10, 100, 1000]}, cv=3)


rows = []
for n_shots in (1, 4, 16):
    splitter = FewShotSplit(n_shots, n_splits=10, random_state=0)
    for draw, (train, test) in enumerate(splitter.split(X, y)):
        right = predictions_of_single_backbones(train, test) == y[test][:, None]
        average = AdaptiveBackboneEnsemble(
            "zoo", head="zero-shot", router="uniform"
        )
        clf = AdaptiveBackboneEnsemble("zoo", random_state=0).fit(
            X[train], y[train]
        )
        all_columns = logistic_regression(n_shots).fit(X[train], y[train])
        scores = {
            "best single backbone": right.mean(axis=0).max(),
            "logistic regression": all_columns.score(X[test], y[test]),
            "logit average": average.fit(X[train], y[train]).score(
                X[test], y[test]
            ),
            "adaptive ensemble": clf.score(X[test], y[test]),
            "oracle": right.any(axis=1).mean(),
        }
        rows.append({"shots": n_shots, "draw": draw, **scores})
results = pd.DataFrame(rows).set_index(["shots", "draw"])

table = 100 * results.groupby("shots").agg(["mean", "std"])
print(table.round(1).T.unstack().to_string())
for rival in ("best single backbone", "logistic regression"):
    gain = 100 * (results["adaptive ensemble"] - results[rival])
    print(f"\nGain over {rival}, in points, paired by draw:")
    print(
        gain.groupby("shots").agg(["mean", "std", "min"]).round(1).to_string()
    )

# %%
# Weights of the experts
# ----------------------
# The share of each expert in the sum of weights, averaged over the test
# pictures of the last draw.

weights = clf.routing_weights(X[test])
shares = weights / np.abs(weights).sum(axis=1, keepdims=True)
share = pd.Series(shares.mean(axis=0), clf.expert_names_)
print("\nShare of each expert at 16 shots:")
print(share.sort_values(ascending=False).round(3).to_string())

# %%
import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(
    1, 2, figsize=(10, 4), layout="constrained"
)
for name in results.columns:
    column = table[name]
    left.errorbar(
        column.index,
        column["mean"],
        column["std"],
        marker="o",
        capsize=3,
        label=name,
    )
left.set(
    xscale="log",
    xticks=[1, 4, 16],
    xticklabels=[1, 4, 16],
    xlabel="labelled pictures per class",
    ylabel="test accuracy (%)",
    title="Twemoji, 30 classes, 10 draws: mean and sd",
)
left.minorticks_off()
left.legend()
share.sort_values().plot.barh(
    ax=right, xlabel="mean share of the weights", title="16 shots"
)
# Beside this file; sphinx-gallery, which runs it without one, keeps the figure
# itself.
saved = Path(globals().get("__file__", "plot_quickstart.py")).with_suffix(
    ".png"
)
figure.savefig(saved, dpi=120)
print(f"\nSaved {saved} after {time.perf_counter() - start:.0f} s")

"""
===========================
A picture column in a table
===========================

A table has numbers, words and a picture in each row. An embedder is a
transformer, so it can be used beside those of the other columns. Here a price
is predicted with and without the pictures.
"""

# %%
# A synthetic table of things for sale. The price depends on what the thing is,
# which only the picture shows, on its weight and on its state.

import numpy as np
import pandas as pd

from skclipens.datasets import load_emoji

paths, kinds = load_emoji(min_class_size=20, return_X_y=True)
value = {
    "land vehicle": 90, "clothing": 35, "fruit": 3, "drink": 5,
    "prepared food": 9, "household object": 25, "tool": 20, "building": 150,
}  # fmt: skip
value = {kind: price for kind, price in value.items() if kind in kinds}
rows = np.flatnonzero(np.isin(kinds, list(value)))
rng = np.random.default_rng(0)
things = pd.DataFrame(
    {
        "photo": paths[rows],
        "state": rng.choice(["new", "used"], len(rows)),
        "weight": rng.uniform(1, 10, len(rows)).round(1),
    }
)
price = np.array([value[kind] for kind in kinds[rows]], dtype=float)
price *= np.where(things["state"] == "used", 0.6, 1.0)
price = price * rng.lognormal(0, 0.1, len(rows)) + things["weight"]
print(things.assign(photo=things["photo"].str[-9:], price=price).head())

# %%
# skrub's ``TableVectorizer`` encodes the other columns. The embeddings of the
# pictures are reduced to 30 principal components. Boosted trees read them all.

from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from skrub import SelectCols, TableVectorizer

from skclipens import MultiBackboneEmbedder

embed = MultiBackboneEmbedder("zoo").set_output(transform="pandas")
reduced = make_pipeline(embed, PCA(30, random_state=0))
reduced.set_output(transform="pandas")
with_photo = make_pipeline(
    TableVectorizer(specific_transformers=[(reduced, ["photo"])]),
    HistGradientBoostingRegressor(loss="gamma", random_state=0),
)
without = make_pipeline(
    SelectCols(["state", "weight"]),
    TableVectorizer(),
    HistGradientBoostingRegressor(loss="gamma", random_state=0),
)
folds = KFold(5, shuffle=True, random_state=0)
predicted = {}
for name, model in {"without photo": without, "with photo": with_photo}.items():
    predicted[name] = cross_val_predict(model, things, price, cv=folds)
    error = np.abs(predicted[name] - price).mean()
    print(f"{name}: mean error {error:.1f}")

# %%
# Predicted prices against true ones, and the pictures in the order of their
# predicted price.

import matplotlib.pyplot as plt

from skclipens.images import load_image

figure = plt.figure(figsize=(10, 5.4), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=[3.4, 1])
for ax, (name, guess) in zip(top.subplots(1, 2), predicted.items()):
    ax.plot(price, guess, ".", color="#0072b2", alpha=0.5)
    ax.plot([1, 200], [1, 200], color="0.6", lw=1)
    ax.set(xscale="log", yscale="log", xlim=(2, 250), ylim=(2, 250))
    ax.set(title=name, xlabel="price", ylabel="predicted price")
guess = predicted["with photo"]
order = np.argsort(guess)[:: len(guess) // 12][:12]
for i, ax in zip(order, bottom.subplots(1, 12)):
    ax.imshow(load_image(things["photo"][i]))
    ax.set_title(f"{guess[i]:.0f}", fontsize=10)
    ax.set_axis_off()
plt.show()

"""
============================
Name pictures without labels
============================

Pictures without a single label can be classified if the classes have names.
The text towers of the models embed the names, and each picture gets the name
that is nearest to it.
"""

# %%
# Nothing is learned here: the heads are zero-shot, their logits are averaged,
# and ``set_classes`` takes the place of ``fit``.

from skclipens import make_backbone_pipeline
from skclipens.datasets import load_emoji

names = [
    "bird", "fruit", "vegetable", "mammal", "bug", "drink", "building",
    "tool", "clothing", "musical instrument", "vehicle", "heart",
]  # fmt: skip
clf = make_backbone_pipeline(
    "zoo", head="zero-shot", router="uniform", calibrate=False
)
clf.set_classes(names)
things = load_emoji(target="name")
wanted = ["owl", "tangerine", "guitar", "locomotive", "teapot", "sewing needle"]
known = dict(zip(things.target_names[things.target], things.filenames))
paths = [known[name] for name in wanted]
proba = clf.predict_proba(paths)

# %%
# The zoo knows drawings of emoji, and :doc:`little of photographs
# </guide/install>`: use larger models for these.

import matplotlib.pyplot as plt
import numpy as np

from skclipens.images import load_image

figure, axes = plt.subplots(3, 4, figsize=(10, 6), layout="constrained")
for picture, bars, path, p in zip(
    axes[:, ::2].flat, axes[:, 1::2].flat, paths, proba
):
    picture.imshow(load_image(path))
    picture.set_axis_off()
    best = np.argsort(p)[-3:]
    bars.barh(range(3), p[best], color=["#bbbbbb", "#bbbbbb", "#0072b2"])
    bars.set_yticks(range(3), clf.classes_[best])
    bars.set(xlim=(0, 1), xticks=[0, 0.5, 1])
    bars.spines[["top", "right"]].set_visible(False)
figure.suptitle("The three likeliest names")
plt.show()

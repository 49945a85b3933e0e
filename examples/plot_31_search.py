"""
========================
Embed once, search often
========================

Can I search my pictures by words? Embed them once and keep the table. A query
is then a product of a matrix and a vector: no picture is opened again.
"""

# %%
# With ``cache``, the embeddings stay on disk: the second call only reads them.

from tempfile import mkdtemp
from time import perf_counter

import numpy as np

from skclipens import MultiBackboneEmbedder, ZeroShotHead
from skclipens.datasets import load_emoji

paths = load_emoji(target="name").filenames
embedder = MultiBackboneEmbedder("zoo", cache=mkdtemp())
for attempt in ("computed", "read"):
    start = perf_counter()
    X = embedder.fit_transform(paths)
    print(f"{attempt}: {len(X)} pictures, {perf_counter() - start:.2f} s")

# %%
# A zero-shot head with one name gives the similarity of every picture to it.
# The similarities of the five models are standardised and added up.

backbones = ["zoo/RN20", "zoo/ViT-8", "zoo/ViT-16", "zoo/RegNet", "zoo/DLA"]
blocks = np.split(X, len(backbones), axis=1)


def search(query):
    """Positions of the pictures, the most similar first."""
    total = np.zeros(len(X))
    for backbone, block in zip(backbones, blocks):
        head = ZeroShotHead(backbone).set_classes([query])
        similarity = np.ravel(head.decision_function(block))
        total += (similarity - similarity.mean()) / similarity.std()
    return np.argsort(-total)


queries = ["cat", "fruit", "musical instrument", "red heart", "clock", "train"]
start = perf_counter()
found = {query: search(query) for query in queries}
print(f"{(perf_counter() - start) / len(queries):.3f} s per query")

# %%
import matplotlib.pyplot as plt

from skclipens.images import load_image

figure, axes = plt.subplots(6, 8, figsize=(10, 8), layout="constrained")
for (query, order), row in zip(found.items(), axes):
    for i, ax in zip(order, row):
        ax.imshow(load_image(paths[i]))
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    row[0].set_ylabel(query.replace(" ", "\n"), fontsize=11)
plt.show()

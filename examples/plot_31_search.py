"""
========================
Search pictures by words
========================

Texts and pictures have embeddings in the same space, so words find pictures
without any label. The pictures are embedded once; a query embeds the words, and
opens no picture again.
"""

# %%
# With ``cache``, the embeddings stay on disk: the second call only reads them.

from tempfile import mkdtemp
from time import perf_counter

from skclipens import ImageRetriever, MultiBackboneEmbedder
from skclipens.datasets import load_emoji

paths = load_emoji(target="name").filenames
retriever = ImageRetriever(MultiBackboneEmbedder("zoo", cache=mkdtemp()))
for attempt in ("computed", "read"):
    start = perf_counter()
    retriever.fit(paths)
    print(f"{attempt}: {len(paths)} pictures, {perf_counter() - start:.2f} s")

# %%
# ``search`` takes one text or several, and returns the scores and positions of
# the best pictures for each. The score is the mean cosine similarity over the
# five models.

queries = ["cat", "fruit", "musical instrument", "red heart", "clock", "train"]
start = perf_counter()
scores, found = retriever.search(queries, n_neighbors=8)
print(f"{(perf_counter() - start) / len(queries):.3f} s per query")

# %%
# The eight best pictures for each query.

import matplotlib.pyplot as plt

from skclipens.images import load_image

figure, axes = plt.subplots(6, 8, figsize=(10, 8), layout="constrained")
for query, order, best, row in zip(queries, found, scores, axes):
    for i, score, ax in zip(order, best, row):
        ax.imshow(load_image(paths[i]))
        ax.set_xlabel(f"{score:.2f}", fontsize=8)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    row[0].set_ylabel(query.replace(" ", "\n"), fontsize=11)
plt.show()

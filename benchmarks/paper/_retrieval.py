"""Retrieval: ranking images by the routed sum of the backbones' similarities."""

import numpy as np
from sklearn.metrics import label_ranking_average_precision_score
from sklearn.preprocessing import normalize

from skclipens import AdaptiveBackboneEnsemble, ZeroShotHead
from skclipens.heads._classifier import one_column_per_class

from ._embedding import blocks_of
from ._experiments import sections, table
from ._transfer import ROUTERS, halves, move

LABELS = {"uniform": "calibrated mean", "nlc": "NLC (paper)"}
MEAN = "plain mean of cosines (concatenated features)"
KS = (1, 5, 10)
_NOTE = (
    "Images are ranked by sum_b a_b(x) s_b cos(f_b(x), w_b) / T_b, where w_b is a text's features "
    "and x the ranked image; from image to image w_b is the ranked image's features, and x the "
    "query. Sums for different images are not comparable where the weights differ: *probabilities* "
    "ranks by their softmax over all queries instead. Routers (a) and temperatures (T) are trained "
    "with {shots} images per class at most; for the NLC, T is 1. *Text to image*: a query is the "
    "name of a class, relevant is every test image of it. *Unseen classes*: queries are names of "
    "classes that the router was not trained on, and the other classes' images are to be told "
    "apart from theirs. *Image to image*: a query is one of up to {max_queries} test images, "
    "relevant is every other test image of its class. With unit features the cosine of "
    "concatenated features is the plain mean of cosines. Recall@k: share of queries with a "
    "relevant image among the first k. In %, mean ± standard deviation over draws."
)


def run(dataset, backbones, draws, *, shots=16, max_queries=300, max_gallery=2000):
    """Return mean average precision and recall@k, per task, system and draw.

    Returns
    -------
    pandas.DataFrame
        Columns dataset, draw, shots, max_queries, task, system, mAP, recall@1, ...
    """
    y = np.asarray(dataset.y)
    X = draws.embed(dataset, backbones)
    blocks = blocks_of(backbones)

    def run_draw(draw, train, test):
        rng = np.random.default_rng([draws.random_state, draw])
        gallery = rng.permutation(test)[:max_gallery]
        first, second = halves(y, draws.random_state + draw)
        on_first = train[np.isin(y[train], first)]
        routed = _fit_all(X[train], y[train], backbones, dataset, draw)
        data = X[gallery], y[gallery], dataset, blocks
        queries = np.arange(min(max_queries, len(gallery)))
        rows = [
            *_text_to_image("text to image", routed, np.unique(y), *data),
            *_image_to_image(routed, queries, *data[:2], blocks),
        ]
        if min(len(first), len(second)) > 1:
            routed = _fit_all(X[on_first], y[on_first], backbones, dataset, draw)
            routed = {name: move(clf, second, dataset) for name, clf in routed.items()}
            rows += _text_to_image("text to image, unseen classes", routed, second, *data)
        return rows

    settings = max_queries, max_gallery
    frame = draws.run(run_draw, "retrieval", dataset, backbones, shots, *settings)
    return frame.assign(max_queries=max_queries)


def _fit_all(X, y, backbones, dataset, draw):
    options = {
        "head": "zero-shot",
        **dataset.prompts,
        "random_state": draw,
    }
    return {
        LABELS.get(router, router): AdaptiveBackboneEnsemble(backbones, **params, **options).fit(
            X, y
        )
        for router, params in ROUTERS.items()
    }


def _text_to_image(task, routed, classes, X, y, dataset, blocks):
    """Yield scores of rankings for each class's name: by similarity, and by probability."""
    # The labels tell a head its classes; it learns nothing from the rows.
    rows = np.zeros((len(classes), X.shape[1]), X.dtype)
    cosines = []
    for name, columns in blocks.items():
        texts = ZeroShotHead(name, **dataset.prompts).fit(rows[:, columns], classes).text_features_
        cosines.append(normalize(X[:, columns]) @ texts.T)
    calibrated = routed[LABELS["uniform"]].expert_proba(X).swapaxes(0, 1)
    sums = {name: one_column_per_class(clf.decision_function(X)) for name, clf in routed.items()}
    found = {
        task: [*_unrouted(np.stack(cosines), blocks), *sums.items()],
        f"{task}, probabilities": [
            *zip(blocks, calibrated, strict=True),
            *((name, clf.predict_proba(X)) for name, clf in routed.items()),
        ],
    }
    relevant = y == np.asarray(classes)[:, None]
    for kind, systems in found.items():
        for system, similarity in systems:
            yield {"task": kind, "system": system, **scores(similarity.T, relevant)}


def _image_to_image(routed, queries, X, y, blocks):
    """Yield scores of rankings for each query, a position in the gallery, without itself."""
    units = [normalize(X[:, columns]) for columns in blocks.values()]
    cosines = np.stack([unit[queries] @ unit.T for unit in units])
    similarity = {}
    for name, clf in routed.items():
        scales = np.array([head.logit_scale_ for _, head, _ in clf.experts_]) / clf.temperatures_
        weights = clf.routing_weights(X[queries]) * scales
        similarity[name] = np.einsum("qb,bqg->qg", weights, cosines)
    relevant = y[queries][:, None] == y
    for system, found in [*_unrouted(cosines, blocks), *similarity.items()]:
        others = [_without_self(table, queries) for table in (found, relevant)]
        yield {"task": "image to image", "system": system, **scores(*others)}


def _unrouted(cosines, blocks):
    return [*zip(blocks, cosines, strict=True), (MEAN, cosines.mean(axis=0))]


def _without_self(table, queries):
    keep = np.arange(table.shape[1]) != np.asarray(queries)[:, None]
    return table[keep].reshape(len(queries), -1)


def scores(similarity, relevant):
    """Return mean average precision and recall@k over queries that have relevant images.

    Parameters
    ----------
    similarity : ndarray of shape (n_queries, n_gallery)
    relevant : ndarray of shape (n_queries, n_gallery), bool

    Returns
    -------
    dict of str to float
    """
    has_any = relevant.any(axis=1)
    similarity, relevant = similarity[has_any], relevant[has_any]
    order = np.argsort(-similarity, axis=1, kind="stable")[:, : max(KS)]
    hits = np.take_along_axis(relevant, order, axis=1)
    # Averaged over queries, the precision at each relevant image is the mean average precision.
    found = {"mAP": float(label_ranking_average_precision_score(relevant, similarity))}
    return found | {f"recall@{k}": float(hits[:, :k].any(axis=1).mean()) for k in KS}


def report(frame):
    """Return Markdown: a table for each task."""
    return sections(frame, "Retrieval", _write)


def _write(rows):
    parts = [_NOTE.format(shots=rows["shots"].iloc[0], max_queries=rows["max_queries"].iloc[0])]
    metrics = ["mAP", *(f"recall@{k}" for k in KS)]
    for task, group in rows.groupby("task", sort=False):
        long = group.melt(["draw", "system"], metrics, var_name="metric", value_name="score")
        parts += [f"{task.capitalize()}:", table(long, "system", "metric", "score")]
    return parts

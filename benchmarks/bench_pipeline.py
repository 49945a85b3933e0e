"""Time of each step on the zoo. ``pytest benchmarks -n 0 --benchmark-enable`` measures."""

import numpy as np
import pytest

from skclipens import (
    AdaptiveBackboneEnsemble,
    CascadeClassifier,
    CLIPEmbedder,
    EmbeddingStore,
    LinearDiscriminantHead,
    LinearProbeHead,
    MultiBackboneEmbedder,
    ResidualHead,
    TipAdapterHead,
    ZeroShotHead,
)
from skclipens.datasets import load_emoji
from skclipens.embedding import image_key
from skclipens.images import load_image
from skclipens.model_selection import FewShotSplit

BACKBONE = "zoo/RN20"  # its columns are the first 128


@pytest.fixture(scope="module")
def emoji():
    emoji = load_emoji(min_class_size=40)
    y = emoji.target_names[emoji.target]
    X = MultiBackboneEmbedder("zoo").fit_transform(emoji.filenames)
    train, test = next(FewShotSplit(4, random_state=0).split(X, y))
    return emoji.filenames, X, y, train, test


def test_decode(benchmark, emoji):
    filenames = emoji[0][:64]
    pictures = benchmark(lambda: [load_image(file) for file in filenames])
    assert all(picture.mode == "RGB" for picture in pictures)


def test_embed(benchmark, emoji):
    filenames, X, *_ = emoji
    embedded = benchmark(MultiBackboneEmbedder("zoo").transform, filenames[:64])
    assert embedded == pytest.approx(X[:64], abs=1e-4)


def test_embed_from_a_store(benchmark, emoji, tmp_path):
    filenames, X, *_ = emoji
    embedder = MultiBackboneEmbedder("zoo", cache=tmp_path)
    embedder.transform(filenames[:64])
    assert benchmark(embedder.transform, filenames[:64]) == pytest.approx(X[:64], abs=1e-4)


def test_stream(benchmark, emoji, tmp_path):
    pytest.importorskip("pyarrow")
    embedder = CLIPEmbedder(BACKBONE)
    parts = benchmark(embedder.embed_to, tmp_path, emoji[0][:64], chunk_size=16, resume=False)
    assert len(parts) == 4


def test_store_of_rows(benchmark, emoji, tmp_path):
    filenames, X, *_ = emoji
    store = EmbeddingStore(tmp_path)
    keys = [image_key(file) for file in filenames]
    store.put_many(keys, "a model", X)
    found, rows = benchmark(store.get_many, keys, "a model")
    assert found.all() and len(rows) == len(X)


@pytest.mark.parametrize(
    "head",
    [
        ZeroShotHead(BACKBONE),
        ResidualHead(BACKBONE),
        TipAdapterHead(BACKBONE),
        LinearDiscriminantHead(),
        LinearProbeHead(),
    ],
    ids=lambda head: type(head).__name__,
)
def test_fit_head(benchmark, emoji, head):
    _, X, y, train, test = emoji
    benchmark(head.fit, X[train, :128], y[train])
    assert head.score(X[test, :128], y[test]) > 2 / len(head.classes_)


@pytest.mark.parametrize("router", ["static", "shrunk", "nlc"])
def test_fit(benchmark, emoji, router):
    _, X, y, train, test = emoji
    clf = AdaptiveBackboneEnsemble("zoo", router=router, random_state=0)
    benchmark(clf.fit, X[train], y[train])
    assert clf.score(X[test], y[test]) > 2 / len(clf.classes_)


@pytest.mark.parametrize("router", ["uniform", "vote", "confidence", "super-learner"])
def test_fit_rule(benchmark, emoji, router):
    _, X, y, train, test = emoji
    clf = AdaptiveBackboneEnsemble("zoo", head="zero-shot", router=router, calibrate=False)
    benchmark(clf.fit, X[train], y[train])
    assert clf.score(X[test], y[test]) > 2 / len(clf.classes_)


def test_predict_one_row(benchmark, emoji):
    _, X, y, train, test = emoji
    clf = AdaptiveBackboneEnsemble("zoo", random_state=0).fit(X[train], y[train])
    assert benchmark(clf.predict, X[test[:1]]).shape == (1,)


def test_cascade(benchmark, emoji):
    filenames, _, y, train, test = emoji
    cascade = CascadeClassifier(
        ["zoo/RN20", "zoo/ViT-16"],
        estimator=AdaptiveBackboneEnsemble(head="zero-shot", router="static"),
        thresholds=0.6,
    )
    paths = np.array(filenames)
    cascade.fit(paths[train], y[train])
    assert benchmark(cascade.predict, paths[test[:64]]).shape == (64,)

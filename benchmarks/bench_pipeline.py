"""Time of each step on the zoo. ``pytest benchmarks -n 0 --benchmark-enable`` measures."""

import pytest

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens.datasets import load_emoji
from skclipens.model_selection import FewShotSplit


@pytest.fixture(scope="module")
def emoji():
    emoji = load_emoji(min_class_size=40)
    y = emoji.target_names[emoji.target]
    X = MultiBackboneEmbedder("zoo").fit_transform(emoji.filenames)
    train, test = next(FewShotSplit(4, random_state=0).split(X, y))
    return emoji.filenames, X, y, train, test


def test_embed(benchmark, emoji):
    filenames, X, *_ = emoji
    embedded = benchmark(MultiBackboneEmbedder("zoo").transform, filenames[:64])
    assert embedded == pytest.approx(X[:64], abs=1e-4)


@pytest.mark.parametrize("router", ["static", "shrunk", "nlc"])
def test_fit(benchmark, emoji, router):
    _, X, y, train, test = emoji
    clf = AdaptiveBackboneEnsemble("zoo", router=router, random_state=0)
    benchmark(clf.fit, X[train], y[train])
    assert clf.score(X[test], y[test]) > 2 / len(clf.classes_)


def test_predict_one_row(benchmark, emoji):
    _, X, y, train, test = emoji
    clf = AdaptiveBackboneEnsemble("zoo", random_state=0).fit(X[train], y[train])
    assert benchmark(clf.predict, X[test[:1]]).shape == (1,)

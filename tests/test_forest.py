"""A forest of trees on columns of numbers, and where the default uses it."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from _said import no_warning, said
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import log_loss
from sklearn.tree import ExtraTreeClassifier

from skclipens import (
    AdaptiveBackboneEnsemble,
    CascadeEnsemble,
    MultiBackboneEmbedder,
    make_table_pipeline,
)
from skclipens.datasets import load_emoji
from skclipens.ensemble import _make_experts
from skclipens.exceptions import SuspectedMistakeWarning
from skclipens.heads import ForestHead, _forest
from skclipens.heads._forest import Trees
from skclipens.model_selection import FewShotSplit

pytestmark = pytest.mark.usefixtures("embedded_once")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.sampled_from([None, 3, 10]))
def test_its_trees_are_those_of_scikit_learn(seed, n_classes, max_leaf_nodes):
    """Also for rows on a threshold, and if some classes are unknown to the trees."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 4, (60, 3)).astype(rng.choice([np.float32, np.float64]))
    y = np.append(np.arange(n_classes), rng.integers(n_classes, size=60 - n_classes)) * 2
    kinds = (ExtraTreeClassifier(max_leaf_nodes=max_leaf_nodes, random_state=i) for i in range(5))
    trees = [one.fit(X, y) for one in kinds]
    new = rng.integers(-2, 12, (40, 3)) / 2
    p = Trees.of_fitted(trees, 2 * n_classes).probabilities(new.astype(X.dtype))
    expected = np.mean([one.predict_proba(new) for one in trees], axis=0)
    assert_allclose(p[:, ::2], expected, atol=1e-6)
    assert not p[:, 1::2].any()


def test_it_is_the_forest_of_scikit_learn():
    """Up to chance: the seeds of its trees are others."""
    X, y = load_wine(return_X_y=True)
    weights = np.random.default_rng(0).exponential(size=89)
    clf, forest = ForestHead(n_estimators=1000), ExtraTreesClassifier(1000)
    p, expected = (
        one.set_params(random_state=3, max_features=4)
        .fit(X[::2], y[::2], sample_weight=weights)
        .predict_proba(X[1::2])
        for one in (clf, forest)
    )
    assert np.abs(p - (expected + 0.1 / 3) / 1.1).mean() < 0.01


def test_held_out_logits_are_those_of_rows_that_are_not_known():
    """On labels that no column tells, they are no better than guessing."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 4)), rng.integers(2, size=200)
    clf = ForestHead(random_state=0)
    logits, valid = clf.cross_fit(X, y)
    assert valid.all()
    assert np.mean(logits.argmax(axis=1) == y) < 0.6
    assert clf.score(X, y) == 1
    told = X[:, 0] > 0
    logits, _ = clf.cross_fit(X, told)
    assert np.mean(logits.argmax(axis=1) == told) > 0.9


def test_few_rows_of_each_class_are_no_mistake():
    X, y = np.random.default_rng(0).normal(size=(30, 3)), np.arange(30) % 18
    with no_warning():
        ForestHead(random_state=0).cross_fit(X, y)
        ForestHead(random_state=0).fit(X, y)


def test_rows_of_a_group_are_held_out_together():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 4)).repeat(2, axis=0), rng.integers(2, size=100).repeat(2)
    X += 1e-3 * rng.normal(size=X.shape)
    of_rows, of_groups = (
        ForestHead(random_state=0).cross_fit(X, y, groups=groups)[0]
        for groups in (None, np.arange(100).repeat(2))
    )
    assert np.mean(of_rows.argmax(axis=1) == y) > 0.75
    assert np.mean(of_groups.argmax(axis=1) == y) < 0.6


def test_pictures_of_one_thing_have_its_numbers():
    """Trees know such rows by heart, whatever the numbers tell. Categories are equal by chance."""
    rng = np.random.default_rng(0)
    y, X = rng.integers(2, size=60).repeat(3), rng.normal(size=(60, 4)).repeat(3, axis=0)
    logits, valid = ForestHead(random_state=0).cross_fit(X, y)
    assert valid.all() and np.mean(logits.argmax(axis=1) == y) < 0.6
    told = X[:, 0] + X[:, 1] > 0
    logits, _ = ForestHead(random_state=0).cross_fit(X, told)
    assert np.mean(logits.argmax(axis=1) == told) > 0.8
    codes = rng.integers(2, size=(180, 2))
    logits, _ = ForestHead(random_state=0).cross_fit(codes, codes[:, 0] != codes[:, 1])
    assert ((logits[:, 1] > logits[:, 0]) == (codes[:, 0] != codes[:, 1])).all()


def zeros_of_all_classes_but_one(rng, y):
    return np.where(y == 0, rng.normal(80, 20, len(y)), 0)


def rain(rng, y):
    """Most days of a class are without rain, and some of the other."""
    return np.where(rng.random(len(y)) < np.where(y == 0, 0.9, 0.3), 0, rng.exponential(9, len(y)))


def code(rng, y):
    """One of thirty codes, of which a class has mostly those of its own."""
    codes = rng.integers(0, 10, len(y)) * 3 + y
    return np.where(rng.random(len(y)) < 0.3, rng.integers(0, 30, len(y)), codes)


@pytest.mark.parametrize("column", [zeros_of_all_classes_but_one, rain, code])
@pytest.mark.parametrize("n_classes", [3, 4])
def test_equal_numbers_of_different_things_are_no_copies(column, n_classes):
    rng = np.random.default_rng(0)
    y, new = np.arange(180) % n_classes, np.arange(900) % n_classes
    X, rows = column(rng, y)[:, None], column(rng, new)[:, None]
    logits, valid = ForestHead(random_state=0).cross_fit(X, y)
    held_out = (logits.argmax(axis=1) == y).mean()
    assert valid.all()
    assert held_out > ForestHead(random_state=0).fit(X, y).score(rows, new) - 0.12


def test_a_class_of_one_thing_cannot_be_judged():
    X = np.random.default_rng(0).normal(size=(20, 3)).repeat(3, axis=0)
    y = np.r_[np.zeros(30), np.ones(27), np.full(3, 2)]
    _, valid = ForestHead(random_state=0).cross_fit(X, y)
    assert valid.tolist() == [True] * 57 + [False] * 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_differences_of_a_column_are_seen(dtype):
    """Scikit-learn's trees take values that differ by less than 1e-7 for the same."""
    X = np.random.default_rng(0).normal(size=(200, 3)).astype(dtype)
    y = X[:, 0] * X[:, 1] > 0
    small = X * np.array([2.0**-40, 1, 1], dtype)
    head = ForestHead(random_state=0)
    expected, _ = head.cross_fit(X, y)
    found, _ = clone(head).cross_fit(small, y)
    assert_array_equal(found, expected)
    expected = head.fit(X[:100], y[:100]).decision_function(X[100:])
    assert_array_equal(head.fit(small[:100], y[:100]).decision_function(small[100:]), expected)
    far = np.full_like(small, 1e6)
    expected = head.decision_function(np.abs(small).max(axis=0) * np.ones_like(small))
    assert_array_equal(head.decision_function(far), expected)


def test_differences_by_rounding_are_not_seen():
    rng = np.random.default_rng(0)
    constant = 0.1 + np.spacing(0.1) * rng.integers(-9, 10, 100)
    X = np.stack([constant, rng.normal(size=100)], axis=1)
    head = ForestHead(random_state=0).fit(X, constant > 0.1)
    expected = head.decision_function(X)
    X[:, 0] = constant[::-1]
    assert_array_equal(head.decision_function(X), expected)


def test_numbers_too_large_for_trees_are_named():
    X, y = load_wine(return_X_y=True)
    clf = ForestHead(random_state=0)
    large = X * np.where(np.arange(13) == 4, 1e39, 1)
    with pytest.raises(ValueError, match="in row 0, column 4 that is too large for float32"):
        clf.fit(large, y)
    clf.fit(X, y)
    with pytest.raises(ValueError, match="too large for float32"):
        clf.predict(large)


def test_many_rows_get_small_trees(monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2000, 4)), rng.integers(3, size=2000)
    monkeypatch.setattr(_forest, "_MOST_BYTES", 1e5)
    trees = ForestHead(n_estimators=10, random_state=0).fit(X, y).trees_
    size = sum(one.nbytes for one in trees if isinstance(one, np.ndarray))
    assert 5e4 < size < 1e5
    leaves = np.unique(trees._leaves(X, trees.roots))
    assert_allclose(trees.values[trees.leaf[leaves]].sum(axis=1), 1, rtol=1e-6)


def test_columns_need_no_scaling():
    """A column that hides the others from a linear head changes nothing here."""
    X, y = load_wine(return_X_y=True)
    scaled = X * 2.0 ** np.array([12, *[-1] * (X.shape[1] - 1)])
    forest = AdaptiveBackboneEnsemble(head="forest", random_state=0)
    with no_warning():
        plain, found = (
            forest.fit(one[::2], y[::2]).predict_proba(one[1::2]) for one in (X, scaled)
        )
    assert_allclose(found, plain, atol=1e-6)
    with pytest.warns(SuspectedMistakeWarning, match="Scale"):
        AdaptiveBackboneEnsemble(head="linear").fit(scaled[::2], y[::2])


def test_one_seed_gives_one_forest_and_none_gives_another():
    X, y = load_wine(return_X_y=True)
    for clf in (ForestHead(), AdaptiveBackboneEnsemble(head=["linear", "forest"])):
        one, same, other = (
            clf.set_params(random_state=seed).fit(X[::2], y[::2]).predict_proba(X[1::2])
            for seed in (0, 0, None)
        )
        assert_allclose(one, same, rtol=0)
        assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"n_estimators": 1}, "'n_estimators'"), ({"max_features": "auto"}, "'max_features'")],
)
def test_wrong_parameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ForestHead(**options).fit(*load_iris(return_X_y=True))


@pytest.fixture(scope="module")
def table():
    """Drawings of things in which two numbers, but neither alone, tell the class."""
    emoji = load_emoji(min_class_size=50)
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"path": rng.permutation(emoji.filenames)[:120]})
    rows["width"], rows["height"] = rng.normal(size=(2, 120))
    rows["label"] = np.where(rows["width"] * rows["height"] > 0, "open", "closed")
    return rows


def test_numbers_that_tell_the_class_together_are_used(table, monkeypatch):
    """The pictures are of other things, so that all depends on the two numbers."""
    train, test = table[:80], table[80:]
    clf = make_table_pipeline("zoo/RN20", "path", numbers=["width", "height"], random_state=0)
    found = clf.fit(train, train["label"])
    assert found.score(test, test["label"]) > 0.8
    loss = log_loss(test["label"], found.predict_proba(test))
    monkeypatch.setattr(_make_experts, "_MOST_COLUMNS_OF_TREES", 0)
    without = clf.fit(train, train["label"])
    assert without.score(test, test["label"]) < 0.7
    assert loss < log_loss(test["label"], without.predict_proba(test)) - 0.1


def test_which_blocks_have_a_forest(table):
    """Tables of numbers, but nothing that may be embeddings: unnamed, or wide."""

    def forests(X, y, **options):
        clf = AdaptiveBackboneEnsemble(random_state=0, **options).fit(X, y)
        return [name for name in clf.expert_names_ if "forest" in name]

    y, numbers = table["label"], table[["width", "height"]]
    embedded = MultiBackboneEmbedder("zoo/RN20").set_output(transform="pandas").fit(table["path"])
    embedded = embedded.transform(table["path"]).reset_index(drop=True)
    beside = embedded.join(numbers)
    assert forests(beside, y) == ["other:forest"]
    assert forests(numbers, y) == ["all:forest"]
    assert not forests(embedded, y)
    assert not forests(numbers.to_numpy(), y)
    assert not forests(numbers.to_numpy(), y, blocks={"w": [0], "h": [1]})
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(120, 201)))
    assert not forests(embedded.join(wide.add_prefix("word ")), y)
    first = [int((y == label).argmax()) for label in np.unique(y)]
    assert forests(beside.iloc[first], y.iloc[first]) == ["other:forest"]
    for blocks in (None, {"w": ["width"], "h": ["height"]}):
        assert not forests(numbers.iloc[first], y.iloc[first], blocks=blocks)


@pytest.mark.parametrize("offset", [0, 50])
@pytest.mark.parametrize("dtypes", list(permutations(["float64", "float32", "int"], 2)), ids=str)
def test_rows_may_have_another_dtype_than_in_fit(dtypes, offset):
    X = np.random.default_rng(0).integers(0, 9, (200, 3)) + offset
    y = (X[:, 0] > 4 + offset) == (X[:, 1] > 4 + offset)
    clf = ForestHead(random_state=0).fit(X[:120].astype(dtypes[0]), y[:120])
    expected = clf.predict_proba(X[120:].astype(dtypes[0]))
    assert_allclose(clf.predict_proba(X[120:].astype(dtypes[1])), expected, rtol=1e-6)


def test_columns_may_hold_mostly_codes():
    known = np.random.default_rng(0).random(200)
    X = np.c_[np.repeat([0, 1], [80, 120]), np.where(np.arange(200) < 80, known, 999999999.0)]
    y = X[:, 1] > 0.5
    clf = ForestHead(random_state=0).fit(X[::2], y[::2])
    assert clf.score(X[1:80:2], y[1:80:2]) > 0.9


def test_columns_may_be_far_from_zero():
    X = np.random.default_rng(0).normal(size=(200, 3))
    y = X[:, 0] * X[:, 1] > 0
    near = ForestHead(random_state=0).fit(X[:120], y[:120])
    far = ForestHead(random_state=0).fit(X[:120] + 1.7e9, y[:120])
    np.testing.assert_array_equal(far.predict(X[120:] + 1.7e9), near.predict(X[120:]))


def test_a_number_that_tells_nothing_does_not_outvote_pictures():
    """With one row per class, where no row can judge it."""
    emoji = load_emoji(min_class_size=60)
    embedder = MultiBackboneEmbedder("zoo/RN20").set_output(transform="pandas")
    X, y = embedder.fit_transform(emoji.filenames), np.unique(emoji.target, return_inverse=True)[1]
    beside = X.assign(noise=np.random.default_rng(0).normal(size=len(X)))
    clf = AdaptiveBackboneEnsemble(random_state=0)
    accuracies = np.zeros(2)
    for train, test in FewShotSplit(1, n_splits=6, random_state=0).split(X, y):
        with pytest.warns(SuspectedMistakeWarning, match="nothing shows how much"):
            clf.fit(beside.iloc[train], y[train])
        of_both = clf.score(beside.iloc[test], y[test])
        accuracies += of_both, clf.fit(X.iloc[train], y[train]).score(X.iloc[test], y[test])
    assert accuracies[0] > 0.75 * accuracies[1]
    train, _ = next(FewShotSplit(2, random_state=0).split(X, y))
    told = said(clf.fit, beside.iloc[train], y[train])
    assert not any("nothing shows" in one for one in told)


def test_a_cascade_of_two_rows_per_class_is_judged():
    """In its own folds there is one row of each, of which nothing is said."""
    emoji = load_emoji(min_class_size=60)
    embedder = MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-8"]).set_output(transform="pandas")
    y = emoji.target_names[emoji.target]
    rows = np.concatenate([np.flatnonzero(y == label)[:2] for label in np.unique(y)])
    X = embedder.fit_transform(emoji.filenames[rows]).assign(price=np.arange(len(rows)) % 7)
    told = said(CascadeEnsemble(random_state=0).fit, X, y[rows])
    assert not any("nothing shows" in one for one in told)

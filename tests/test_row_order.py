"""Rows of one model, or of the table, that are in another order than those of the others, or y."""

import warnings

import numpy as np
import pandas as pd
import pytest
from _said import said
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import load_sample_images

from skclipens import (
    AdaptiveBackboneEnsemble,
    BackboneSelector,
    BlockPCA,
    CascadeEnsemble,
    ImageRetriever,
    MultiBackboneEmbedder,
)
from skclipens._utils._row_numbers import fitted_rows
from skclipens.datasets import load_emoji

pytestmark = pytest.mark.usefixtures("embedded_once")

BACKBONES = ["zoo/RN20", "zoo/ViT-8", "zoo/RegNet"]
WIDTH = 128
FEWEST = 50  # rows


@pytest.fixture(scope="module")
def table():
    """Embeddings in a random order, and the classes."""
    emoji = load_emoji(min_class_size=30)
    X = MultiBackboneEmbedder(BACKBONES).fit_transform(emoji.filenames)
    order = np.random.default_rng(0).permutation(len(X))
    return X[order], emoji.target_names[emoji.target][order]


def with_shuffled(X, backbone, random_state=0):
    """X with the rows of one model in another order."""
    X, columns = X.copy(), slice(backbone * WIDTH, (backbone + 1) * WIDTH)
    X[:, columns] = np.random.default_rng(random_state).permutation(X[:, columns])
    return X


def doubted(backbone):
    others = [repr(name) for name in BACKBONES if name != BACKBONES[backbone]]
    return (
        f"The rows of {BACKBONES[backbone]!r} seem to be of other pictures than those of "
        f"{', '.join(others)}"
    )


@pytest.mark.parametrize(
    "estimator",
    [
        AdaptiveBackboneEnsemble(BACKBONES, random_state=0),
        AdaptiveBackboneEnsemble(BACKBONES, head="zero-shot", router="uniform", calibrate=False),
        CascadeEnsemble(BACKBONES, thresholds=0.9, random_state=0),
        BlockPCA(8, blocks=BACKBONES, random_state=0),
        ImageRetriever(BACKBONES),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("backbone", [0, 2])
def test_rows_of_one_model_in_another_order(estimator, backbone, table):
    X, y = table
    fitted = clone(estimator)
    assert not said(fitted.fit, X[::2], y[::2])
    method = next(name for name in ("predict", "transform", "kneighbors") if hasattr(fitted, name))
    call = getattr(fitted, method)
    assert not said(call, X[1::2])
    (doubt,) = said(call, with_shuffled(X[1::2], backbone))
    assert doubt.startswith(doubted(backbone))
    doubts = said(clone(estimator).fit, with_shuffled(X[::2], backbone), y[::2])
    assert doubts[0].startswith(doubted(backbone))
    # The first stage of a cascade reads one model alone, and has doubts of its own.
    assert sum("pictures" in doubt for doubt in doubts) == 1


def test_of_two_models_both_are_named(table):
    X, y = table[0][:, : 2 * WIDTH], table[1]
    (doubt,) = said(AdaptiveBackboneEnsemble(BACKBONES[:2]).fit, with_shuffled(X, 1), y)
    assert doubt.startswith("The rows of 'zoo/RN20', 'zoo/ViT-8' seem to be of different pictures")


def test_a_selector_says_it_once(table):
    X, y = table
    clf = AdaptiveBackboneEnsemble(head="zero-shot", router="uniform", calibrate=False)
    selector = BackboneSelector(BACKBONES, estimator=clf)
    doubts = said(selector.fit, with_shuffled(X, 1), y)
    assert sum("pictures" in doubt for doubt in doubts) == 1


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.integers(FEWEST, 400), st.booleans())
def test_any_pictures_in_one_order_are_not_doubted(table, fitted, random, n_rows, of_one_class):
    X, y = table
    rows = np.flatnonzero(y == random.choice(y)) if of_one_class else np.arange(len(y))
    rows = np.array(random.choices(rows, k=n_rows))  # some more than once
    assert not any("pictures" in doubt for doubt in said(fitted.predict, X[rows]))


def test_of_few_rows_nothing_is_said(table, fitted):
    X = with_shuffled(table[0][: FEWEST - 1], 1)
    assert not said(fitted.predict, X)


def test_rows_that_are_all_the_same_are_in_no_order(table, fitted):
    X = np.repeat(table[0][:1], FEWEST, axis=0)
    assert not said(fitted.predict, X)


def test_frames_of_a_camera_that_stands_still_are_in_no_order(fitted):
    scene, rng = load_sample_images().images[0][::4, ::4], np.random.default_rng(0)
    frames = (scene + rng.normal(0, 3, (FEWEST, *scene.shape))).clip(0, 255).astype(np.uint8)
    X = MultiBackboneEmbedder(BACKBONES).transform(list(frames))
    assert not any("pictures" in doubt for doubt in said(fitted.predict, X))


@pytest.fixture(scope="module")
def fitted(table):
    X, y = table
    return AdaptiveBackboneEnsemble(BACKBONES, random_state=0).fit(X[::2], y[::2])


@pytest.mark.parametrize("n_rows", [4, 16])
def test_a_table_that_was_shuffled_beside_labels_that_were_not(table, n_rows):
    X, y = table
    rank = pd.Series(y).groupby(y).cumcount().to_numpy()
    X, y = pd.DataFrame(X[rank < n_rows]).add_prefix("x"), pd.Series(y[rank < n_rows])
    clf = AdaptiveBackboneEnsemble({"all": slice(None)}, head="linear")
    shuffled = X.sample(frac=1, random_state=0)
    for labels in (y, y.to_numpy(), y.tolist()):
        (doubt,) = (one for one in said(clf.fit, shuffled, labels) if "index" in one)
        assert "X was shuffled, as its index says" in doubt and "X.sort_index()" in doubt
        others = pd.Series(np.asarray(labels)).sample(frac=1, random_state=0)
        for table in (X.reset_index(drop=True), X.to_numpy()):
            (doubt,) = (one for one in said(clf.fit, table, others) if "index" in one)
            assert "y was shuffled, as its index says" in doubt and "y.sort_index()" in doubt
    right = y[shuffled.index]
    for rows, labels in (
        (X.to_numpy()[shuffled.index], y.reset_index(drop=True)[shuffled.index]),
        (X, y),
        (shuffled, right),
        (shuffled, right.to_numpy()),
        (shuffled.sort_index(), y),
        (shuffled[1:], y[1:].to_numpy()),  # of a split, of which an index says nothing
        (shuffled, np.random.default_rng(0).permutation(y)),
    ):
        assert not any("was shuffled" in one for one in said(clf.fit, rows, labels))


@pytest.mark.parametrize("moved", [1, -1, 2, -2])
def test_labels_that_belong_to_another_row_from_some_row_on(table, moved):
    X, y = table
    clf = AdaptiveBackboneEnsemble(BACKBONES, random_state=0)
    assert not said(clf.fit, X, y)
    lost = 250 + np.arange(abs(moved))
    if moved > 0:
        told = said(clf.fit, X[: len(y) - moved], np.delete(y, lost))
    else:
        told = said(clf.fit, np.delete(X, lost, axis=0), y[: len(y) + moved])
    (text,) = (one for one in told if "are the same" not in one)  # copies get other labels, too
    start = int(text.split()[3])
    assert abs(start - lost[0]) < 25, text
    if moved == 1:  # as where rows before them were left out
        with fitted_rows(np.arange(1000, 999 + len(y)), 999 + len(y)):
            told = said(clf.fit, X[:-1], np.delete(y, lost))
        assert any(f"row {1000 + start} on, each" in one for one in told)
    owner = {1: "next row", -1: "row before", 2: "row after the next", -2: "row two before"}[moved]
    assert f" on, each label seems to belong to the {owner}. " in text
    assert ("whether y lacks a row" if moved > 0 else "whether X lacks a row") in text
    by_class = np.argsort(y, kind="stable")  # where few labels are wrong then
    assert not said(clf.fit, X[by_class][1:], y[by_class][:-1])


@pytest.mark.parametrize("part", ["first", "last"])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_labels_of_one_of_two_joined_tables_in_another_order(table, part, share):
    X, y = table
    n, mixed = len(y), y.copy()
    start = int(n * share)
    wrong = slice(start, None) if part == "last" else slice(0, start)
    mixed[wrong] = np.random.default_rng(1).permutation(y[wrong])
    for head in ("auto", "linear"):
        clf = AdaptiveBackboneEnsemble(BACKBONES, head=head, random_state=0)
        told = [one for one in said(clf.fit, X, mixed) if "no better than by chance" in one]
        (doubt,) = told
        words = doubt.partition(",")[0].split()
        assert " ".join(words[:-1]) == ("From about row" if part == "last" else "Up to about row")
        assert abs(int(words[-1]) - start) < 40, doubt
    with fitted_rows(np.arange(n)[::-1], n):
        told = said(clf.fit, X, mixed)
    assert any(f"about row {n - 1 - int(words[-1])}, labels" in one for one in told)


def hard_last(X, y, n_hard):
    """Rows, of which the last are those of which a model is least certain."""
    clf = AdaptiveBackboneEnsemble(BACKBONES, head="linear", random_state=0).fit(X[::2], y[::2])
    rest = np.arange(1, len(y), 2)
    proba = np.sort(clf.predict_proba(X[rest]), axis=1)
    hard = rest[np.argsort(proba[:, -1] - proba[:, -2])[:n_hard]]
    return np.r_[np.arange(0, len(y), 2), hard]


@pytest.mark.parametrize("n_hard", [50, 100])
def test_hard_rows_after_others_are_no_joined_table_in_another_order(table, n_hard):
    X, y = table
    order = hard_last(X, y, n_hard)
    binary = np.where(y < "m", "first half", "second half")
    for labels in (y, binary):
        for head in ("auto", "linear"):
            clf = AdaptiveBackboneEnsemble(BACKBONES, head=head, random_state=0)
            told = said(clf.fit, X[order], labels[order])
            assert not any("by chance" in one for one in told)


def test_prompts_alone_that_do_not_know_some_pictures_are_no_joined_table(table):
    X, y = table
    other = X.copy()
    other[300:] = X[np.random.default_rng(0).permutation(np.arange(300, len(X)))]
    clf = AdaptiveBackboneEnsemble(BACKBONES, head="zero-shot", random_state=0)
    assert not any("by chance" in one for one in said(clf.fit, other, y))


@pytest.mark.parametrize("n_of_each", [3, 8])
def test_groups_that_were_shuffled_beside_a_table_that_was_not(table, n_of_each):
    X = pd.DataFrame(table[0]).add_prefix("x")
    # Each row several times, with a little noise: pictures of one object.
    rows = np.repeat(np.arange(0, 60), n_of_each)
    rng = np.random.default_rng(0)
    X = X.iloc[rows].reset_index(drop=True) + rng.normal(0, 1e-3, (len(rows), X.shape[1]))
    order = rng.permutation(len(rows))
    X, y = X.iloc[order].reset_index(drop=True), table[1][rows[order]]
    groups = pd.Series(rows[order])
    clf = AdaptiveBackboneEnsemble({"all": slice(None)}, head="linear")

    def told(X, groups):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clf.fit(X, y, groups=groups)
        return [str(one.message) for one in caught if "was shuffled" in str(one.message)]

    (doubt,) = told(X, groups.sort_values(kind="stable"))
    assert doubt.startswith("groups was shuffled, as its index says, and X does not seem to be")
    assert "rows with the same group" in doubt and doubt.endswith("pass groups.sort_index().")
    by_index = groups.sample(frac=1, random_state=0)
    assert not told(X, groups)
    assert not told(X, by_index.to_numpy()) and not told(X, by_index.reset_index(drop=True))
    assert not told(X.loc[by_index.index].reset_index(drop=True), by_index)
    assert not told(X, pd.Series(np.arange(len(y)), index=by_index.index))  # one row in each

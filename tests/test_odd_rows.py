"""Rows that no model gives, embeddings that fit no text, and columns in another unit."""

import re

import numpy as np
import pandas as pd
import pytest
from _said import said
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skclipens import (
    AdaptiveBackboneEnsemble,
    BlockPCA,
    CascadeEnsemble,
    ImageRetriever,
    KernelHead,
    MultiBackboneEmbedder,
    ZeroShotHead,
)
from skclipens._mistakes import _models
from skclipens.datasets import load_emoji
from skclipens.embedding import EmbeddingStore
from skclipens.exceptions import BackboneNotAvailableError

pytestmark = pytest.mark.usefixtures("embedded_once")

BACKBONES = ["zoo/RN20", "zoo/ViT-8"]
OTHERS = ["zoo/ViT-16", "zoo/DLA"]
WIDTH = 128


@pytest.fixture(scope="module")
def emoji():
    """A frame of embeddings, and the classes."""
    emoji = load_emoji(min_class_size=40)
    embedder = MultiBackboneEmbedder(BACKBONES).set_output(transform="pandas")
    return embedder.fit_transform(emoji.filenames), emoji.target_names[emoji.target]


@pytest.fixture(scope="module")
def X(emoji):
    return emoji[0].to_numpy()


@pytest.fixture(scope="module")
def y(emoji):
    return emoji[1]


@pytest.fixture(scope="module")
def of_others():
    return MultiBackboneEmbedder(OTHERS).fit_transform(load_emoji(min_class_size=40).filenames)


# Rows of zeros


def with_zeros(X, rows):
    X = X.copy()
    X[rows] = 0
    return X


def test_rows_of_zeros_are_named(X, y):
    clf = AdaptiveBackboneEnsemble(BACKBONES, head="linear", random_state=0).fit(X[::2], y[::2])
    with pytest.warns(UserWarning, match="'zoo/RN20', the first is row 3, are all zeros"):
        clf.predict(with_zeros(X[:40], [3, 7]))
    assert not said(clf.predict, X[:1])


@pytest.mark.parametrize(
    "estimator",
    [
        AdaptiveBackboneEnsemble(BACKBONES, head="linear"),
        CascadeEnsemble(BACKBONES, thresholds=0.5),
        BlockPCA(4, blocks=BACKBONES),
        ImageRetriever(BACKBONES),
    ],
    ids=lambda one: type(one).__name__,
)
def test_rows_of_zeros_in_fit(estimator, X, y):
    rows = np.flatnonzero(y == y[0])
    # No row is named: rows may have been put in another order, or left out.
    with pytest.warns(UserWarning, match=r"^Rows of '[^']+' are all zeros, which no model gives"):
        estimator.fit(with_zeros(X, rows), y)


@pytest.mark.parametrize("scaler", [StandardScaler(), StandardScaler(with_mean=False)])
def test_rows_to_search_that_were_scaled(scaler, X):
    first = X[:, :WIDTH]
    text = " ".join(said(ImageRetriever("zoo/RN20").fit, scaler.fit_transform(first)))
    assert "'zoo/RN20' were centred or scaled" in text
    assert not said(ImageRetriever("zoo/RN20").fit, first)
    assert not said(ImageRetriever("zoo/RN20").fit, first[:2])


# Rows of two lengths


@given(share=st.floats(0.05, 0.95), length=st.floats(2, 1e3), seed=st.integers(0, 99))
@settings(max_examples=5, deadline=None)
def test_rows_that_were_normalized_beside_others(share, length, seed, X, y):
    rows = np.random.default_rng(seed).random(len(X)) < share
    mixed = X * np.where(rows, 1, length).astype(X.dtype)[:, None]
    clf = AdaptiveBackboneEnsemble(BACKBONES, head="linear", random_state=0)
    assert "have length one; the median" in " ".join(said(clf.fit, mixed, y))
    assert "have length one; the median" in " ".join(said(clf.predict, mixed))
    assert not said(clf.fit, X * np.float32(length), y)


@pytest.mark.parametrize("digits", [2, 3])
def test_rounded_embeddings_are_no_mistake(digits, X, y):
    clf = AdaptiveBackboneEnsemble(BACKBONES, head="linear", random_state=0)
    assert not said(clf.fit, X.round(digits), y)
    assert not said(clf.predict, X.round(digits))


# Embeddings that fit no text


def by_names(y, backbones=BACKBONES):
    options = {"head": "zero-shot", "router": "uniform", "calibrate": False}
    return AdaptiveBackboneEnsemble(backbones, class_names=sorted(set(y)), **options)


def test_names_alone_are_compared_with_the_rows(emoji, X, y, of_others):
    clf = by_names(y)
    swapped = np.roll(X, WIDTH, axis=1)
    assert not said(clf.fit, X)
    assert "unlike those of fit" in " ".join(said(clf.predict, swapped))
    assert "unlike those of fit" in " ".join(said(clf.predict, of_others))
    assert "fit the texts of 'zoo/ViT-8', and not its own" in " ".join(said(clf.fit, swapped))
    assert "are unlike what this backbone makes" in " ".join(said(clf.fit, of_others))
    assert not said(by_names(y, OTHERS).fit, of_others)
    renamed = pd.DataFrame(of_others, columns=emoji[0].columns)  # so nothing is embedded to know
    assert "fit no text" in " ".join(said(clf.fit, renamed))


def test_names_alone_have_no_doubts_of_labels(X, y):
    (doubt,) = said(by_names([*y, "None", "none"]).fit, X[[0, 0, 1]])
    assert "'None', 'none' are the same text" in doubt


# Embeddings of another model


OF_OTHER = "The columns of 'zoo/ViT-8' are unlike what this backbone makes of other images"


@pytest.fixture(scope="module")
def with_other(X, of_others):
    """Where columns of ViT-8 are expected, those of ViT-16."""
    return np.hstack([X[:, :WIDTH], of_others[:, :WIDTH]])


@pytest.mark.parametrize("n_rows", [10, 40, 400])
@pytest.mark.parametrize("head", ["auto", "zero-shot", "tip-adapter"])
def test_columns_of_models_in_fit(head, n_rows, X, y, with_other):
    rows = np.random.default_rng(n_rows).permutation(len(X))[:n_rows]
    clf = AdaptiveBackboneEnsemble(BACKBONES, head=head, random_state=0)
    assert OF_OTHER in " ".join(said(clf.fit, with_other[rows], y[rows]))
    assert "unlike" not in " ".join(said(clf.fit, X[rows], y[rows]))


def test_columns_of_models_where_labels_alone_decide(y, with_other):
    clf = AdaptiveBackboneEnsemble(BACKBONES, head="linear", random_state=0)
    assert not said(clf.fit, with_other, y)


def test_columns_that_are_not_known_to_be_embeddings_may_be_unlike_those_of_fit(X, y, of_others):
    clf = AdaptiveBackboneEnsemble([("all", slice(None))], head="linear").fit(X, y)
    assert not said(clf.predict, of_others)


@pytest.mark.parametrize("n_places", [1, 7, -64])
def test_columns_that_are_places_off(n_places, X, y):
    clf = AdaptiveBackboneEnsemble(BACKBONES, random_state=0)
    text = " ".join(said(clf.fit, np.roll(X, n_places, axis=1), y))
    assert "'zoo/RN20', 'zoo/ViT-8' are unlike what this backbone makes of other images" in text


def test_columns_of_models_for_one_head(X, y, with_other):
    head = ZeroShotHead("zoo/ViT-8")
    assert OF_OTHER in " ".join(said(head.fit, with_other[:, WIDTH:], y))
    assert not said(head.fit, X[:, WIDTH:], y)
    assert not said(head.fit, with_other[:9, WIDTH:], y[:9])
    blocks = [("zoo/RN20", slice(WIDTH)), ("zoo/ViT-8", slice(WIDTH, 2 * WIDTH))]
    assert OF_OTHER in " ".join(said(KernelHead(blocks).fit, with_other, y))
    assert not said(KernelHead(blocks).fit, X, y)


def test_columns_of_models_to_search(emoji, X, with_other, tmp_path):
    store = EmbeddingStore(tmp_path)
    retriever = ImageRetriever(MultiBackboneEmbedder(BACKBONES, cache=store))
    assert OF_OTHER in " ".join(said(retriever.fit(with_other).search, "a bicycle"))
    assert not said(retriever.fit(X).search, "a bicycle")
    assert not said(retriever.fit(emoji[0]).search, "a bicycle")
    assert not said(retriever.fit(with_other[:9]).search, "a bicycle")  # too few to know


def test_a_model_that_cannot_be_had_is_not_asked(monkeypatch, y, with_other):
    def missing(*args):
        raise BackboneNotAvailableError("its weights are gone")

    monkeypatch.setattr(_models, "similarity_to_probes", missing)
    assert not said(ZeroShotHead("zoo/ViT-8").fit, with_other[:, WIDTH:], y)


@pytest.mark.parametrize("seed", range(5))
def test_pictures_of_one_kind_are_of_their_model(seed, X, y):
    rows = np.flatnonzero(y == np.unique(y)[seed])
    assert not said(ImageRetriever(BACKBONES).fit(X[rows]).search, "a bicycle")


def test_a_head_that_saw_no_table_knows_names_of_columns(emoji, y):
    head = ZeroShotHead("zoo/RN20").set_classes(sorted(set(y)))
    of_other = emoji[0].iloc[:, WIDTH:]
    with pytest.raises(ValueError, match="has the column 'zoo/ViT-8__0' where embeddings of"):
        head.predict(of_other)
    assert len(head.predict(emoji[0].iloc[:5, :WIDTH])) == 5


# Other columns in another unit


@pytest.fixture(scope="module")
def priced(emoji):
    price = np.random.default_rng(0).normal(3e5, 1e5, len(emoji[0])).astype(np.float32)
    return emoji[0].assign(price=price / 1e5)


@pytest.mark.parametrize(
    ("factor", "shift"),
    [(1e5, 0), (1, 1e5), (1, -200), (2.54, 0), (0, -1)],
    ids=lambda one: f"{one:g}",
)
def test_another_unit_is_named(factor, shift, priced, y):
    clf = AdaptiveBackboneEnsemble(random_state=0).fit(priced[::2], y[::2])
    assert not said(clf.predict, priced[1::2])
    other = priced[1::2].assign(price=lambda one: one["price"] * factor + shift)
    with pytest.warns(UserWarning, match="Values of column 'price' are mostly far from those"):
        clf.predict(other)


def test_few_rows_may_be_a_little_outside_of_the_range(priced, y):
    clf = AdaptiveBackboneEnsemble(random_state=0).fit(priced[::2], y[::2])
    higher = priced[1::2].assign(price=lambda one: one["price"] + 10)
    assert not said(clf.predict, higher[:19])
    assert said(clf.predict, higher[:20])


def test_columns_of_zeros_and_ones_are_in_no_unit(emoji, y):
    rng = np.random.default_rng(0)
    table = emoji[0].assign(often=rng.random(len(y)) < 0.7, rarely=rng.random(len(y)) < 0.1)
    clf = AdaptiveBackboneEnsemble(random_state=0).fit(table[::2], y[::2])
    for few in (table.assign(often=0), table.assign(rarely=1), table[:1]):
        assert not said(clf.predict, few)


@pytest.mark.parametrize("scaler", [StandardScaler(), PCA(6, random_state=0)], ids=repr)
def test_a_scaler_that_was_fitted_on_rows_to_predict_is_named(scaler, priced, y):
    some, others = (priced[start::2].iloc[:, -10:].to_numpy(float) for start in (0, 1))
    fitted, right = scaler.fit_transform(some), scaler.transform(others)
    clf = AdaptiveBackboneEnsemble([("all", slice(None))], random_state=0).fit(fitted, y[::2])
    rounded = fitted.astype(np.float32), fitted.round(5)
    for rows in (right, fitted, fitted[::-1], np.vstack([fitted] * 3), right[:7], *rounded):
        assert not said(clf.predict, rows)
    for n_rows in (7, len(others)):
        (text,) = said(clf.predict, scaler.fit_transform(others[:n_rows]))
        # One column may have an extreme value in both by chance, and is then not named.
        more = re.match(r"Values of column \d, \d, \d and (\d) more were centred on", text)
        assert 3 + int(more[1]) >= fitted.shape[1] - 1
        assert "Call transform of what scales them, and not fit_transform" in text


def test_rows_to_predict_that_were_scaled_by_pandas_are_named(priced, y):
    some, others = ((part - part.mean()) / part.std() for part in (priced[::2], priced[1::2]))
    clf = AdaptiveBackboneEnsemble([("all", ["price"])], head="linear").fit(some, y[::2])
    (text,) = said(clf.predict, others)
    assert text.startswith("Values of column 'price' were centred on the rows of fit, and now on")


def test_rows_that_were_centred_rightly_are_not_doubted(priced, y):
    shop = np.arange(len(y)) // 10
    sized = priced.assign(size=np.random.default_rng(1).random(len(y)) + priced["price"])
    by_shop = sized[["price", "size"]].groupby(shop)
    centred = sized.assign(**(sized[["price", "size"]] - by_shop.transform("mean")))
    in_fit = shop % 2 == 0
    clf = AdaptiveBackboneEnsemble(random_state=0).fit(centred[in_fit], y[in_fit])
    assert not said(clf.predict, centred[~in_fit])
    labels = np.where(in_fit, y, None)  # rows to predict are there in fit, too
    scaled = sized.assign(price=StandardScaler().fit_transform(sized[["price"]])[:, 0])
    clf = AdaptiveBackboneEnsemble(unlabeled="ignore", random_state=0).fit(scaled, labels)
    assert not said(clf.predict, scaled)


# Ordinary columns of tables


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True, as_frame=True)
    return pd.DataFrame(StandardScaler().fit_transform(X), columns=X.columns), y.to_numpy()


def doubts_of(table, y, **column):
    return said(AdaptiveBackboneEnsemble(random_state=0).fit, table.assign(**column), y)


def test_a_rank_is_no_index(wine):
    table, y = wine
    table, rng = table * 50, np.random.default_rng(0)
    rank, rows = table["alcohol"].rank(method="first"), rng.permutation(len(y))
    assert not doubts_of(table, y, rank=rank)
    assert not said(
        AdaptiveBackboneEnsemble(random_state=0).fit, table.assign(r=rank).to_numpy(), y
    )
    for name in ("Unnamed: 0", "rest__index", "PassengerId", "row_id", "no", "id__sku"):
        (text,) = doubts_of(table, y, **{name: rank})
        assert text.startswith(f"Column {name!r} has a different integer in each row")
    numbers = np.arange(len(y))[rows]  # of a table that is sorted by class
    (text,) = doubts_of(table.iloc[rows], y[rows], feature=numbers)
    assert text.startswith("Column 'feature' has a different integer in each row")


def test_a_flag_may_know_a_rare_class_by_luck(wine):
    table, y = wine
    for n_rows, is_doubted in ((3, False), (80, True)):
        rare = np.random.default_rng(0).permutation(len(y)) < n_rows
        texts = doubts_of(table, rare.astype(int), flag=rare)
        assert any("one value for each class" in text for text in texts) == is_doubted


def test_years_may_go_on(wine):
    table, y = wine
    order = np.random.default_rng(0).permutation(len(y))
    table, y, years = table.iloc[order], y[order], 2010 + np.arange(len(y)) * 10 // len(y)
    for since, column in ((2017, years), (2017, (years - 2013) / 1.9), (2015, years)):
        fitted, dated = years < since, table.assign(year=column)
        clf = AdaptiveBackboneEnsemble(random_state=0)
        later = dated[~fitted]
        assert not any("mostly far" in one for one in said(clf.fit, dated[fitted], y[fitted]))
        assert not said(clf.predict, later)
        for wrong in (later["year"] * 3, later["year"] + 100):
            assert said(clf.predict, later.assign(year=wrong))


def test_weak_signals_of_many_rows_are_no_mistake():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=4000)
    X = rng.normal(size=(4000, 8)) + 0.09 * y[:, None]
    clf = AdaptiveBackboneEnsemble(head="linear", random_state=0)  # which holds out all rows
    assert not said(clf.fit, X, y)
    other = rng.permutation(y)
    assert "X does not predict y: on 4000 held-out rows" in " ".join(said(clf.fit, X, other))
    clf.set_params(head="auto")  # a fifth, unless the discriminant is the best
    assert not said(clf.fit, X + 0.1 * y[:, None], y)
    assert "X does not predict y: on " in " ".join(said(clf.fit, X, other))


# Columns of blocks


def test_a_mask_of_integers_is_no_list_of_positions(X, y):
    mask = np.arange(2 * WIDTH) < WIDTH
    right = AdaptiveBackboneEnsemble([("a", mask), ("b", ~mask)], head="linear").fit(X, y)
    assert [len(expert.block.columns) for expert in right.experts_] == [WIDTH, WIDTH]
    wrong = AdaptiveBackboneEnsemble([("a", mask.astype(int))], head="linear")
    with pytest.raises(ValueError, match=r"'a' names column 0 128 times.*type bool"):
        wrong.fit(X, y)


def test_a_mask_with_the_index_of_other_columns_is_refused(X, y):
    frame = pd.DataFrame(X).add_prefix("c")
    mask = pd.Series(np.arange(X.shape[1]) < WIDTH, frame.columns)

    def fit(mask, table):
        return AdaptiveBackboneEnsemble([("a", mask)], head="linear").fit(table, y)

    for right in (mask, mask.to_numpy(), mask.reset_index(drop=True), mask.index[mask]):
        (expert,) = fit(right, frame).experts_
        assert_array_equal(expert.block.columns, np.arange(WIDTH))
    for wrong, table in ((mask[::-1], frame), (mask, X), (mask, frame[frame.columns[::-1]])):
        with pytest.raises(ValueError, match=r"Block 'a' is a mask with an index of its own"):
            fit(wrong, table)


def test_a_number_is_no_range(X, y):
    n = X.shape[1]
    for number, advice in {
        0: r"\[0\] for column 0\.",
        5: r"\[5\] for column 5 or slice\(0, 5\) for the first 5\.",
        n: rf"slice\(0, {n}\) for the first {n}\.",
        n + 1: r"positions of its columns\.",
        -1: r"\[-1\] for column -1\.",
    }.items():
        message = rf"'a' is the number {number}, and X has {n} columns\. Give {advice}"
        with pytest.raises(ValueError, match=message):
            AdaptiveBackboneEnsemble({"a": number}, head="linear").fit(X, y)
    with pytest.warns(UserWarning, match=r"the two columns 0 and 128.*slice\(0, 128\)"):
        AdaptiveBackboneEnsemble({"a": (0, 128)}, head="linear").fit(X, y)

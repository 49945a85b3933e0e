"""Names, tables and labels that once gave answers without a word: each is named now."""

import re
import uuid
import warnings
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import partial
from pathlib import Path

import numpy as np
import open_clip
import pandas as pd
import polars
import pyarrow as pa
import pytest
import torch
from _said import said
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from skclipens import (
    AdaptiveBackboneEnsemble,
    BackboneSelector,
    CascadeClassifier,
    CLIPEmbedder,
    MultiBackboneEmbedder,
    make_backbone_pipeline,
)
from skclipens._mistakes._columns import warn_of_index
from skclipens._utils._linalg import mean_cosines, unit_blocks, unit_rows
from skclipens._utils._sample_arguments import warn_of_other_order
from skclipens.backbones import Backbone, load_backbone
from skclipens.backbones._prompt_checks import warn_of_prompts
from skclipens.cascade import CascadeEnsemble
from skclipens.datasets import load_emoji
from skclipens.heads import (
    DEFAULT_TEMPLATES,
    GDAHead,
    KernelHead,
    LinearDiscriminantHead,
    LinearProbeHead,
    LogisticDiscriminantHead,
    ResidualHead,
    ZeroShotHead,
)
from skclipens.model_selection import compare_with_baselines

pytestmark = pytest.mark.usefixtures("embedded_once")

SPEC = "zoo/RN20"
LONG = "a name of a thing that goes on" + " and on" * 20 + ", as a "


# Tables that numpy cannot read


def test_tables_that_numpy_cannot_read_are_told_what_to_call(table):
    X, y = table
    frame = pd.DataFrame(X)
    frames = pytest.importorskip("dask.dataframe")
    cases = {
        "float": torch.tensor(X).bfloat16(),
        "collect": polars.DataFrame(X).lazy(),
        "compute": frames.from_pandas(frame, npartitions=2),
        "read_all": pa.table(frame.add_prefix("x")).to_reader(),  # as DuckDB gives it
    }
    for method, rows in cases.items():
        for estimator in (LinearDiscriminantHead(), AdaptiveBackboneEnsemble()):
            with pytest.raises(ValueError, match=rf"pass X\.{method}\(\)"):
                estimator.fit(rows, y)
    LinearDiscriminantHead().fit(cases["float"].float(), y)


def test_lazy_columns_of_images_are_told_what_to_call():
    with pytest.raises(ValueError, match=r"pass X\.collect\(\)"):
        CLIPEmbedder(SPEC).transform(polars.DataFrame({"photo": ["cat.png"]}).lazy())


def test_labels_and_images_that_are_yet_to_be_computed_are_told_what_to_call(table):
    X, y = table
    frames = pytest.importorskip("dask.dataframe")
    labels, name = pd.Series(y, name="label"), r"pass {}\.{}\(\)"
    lazy = frames.from_pandas(labels, npartitions=2)
    columns = {
        "compute": lazy,
        "collect": polars.LazyFrame({"y": y.tolist()}),
        "read_all": pa.table({"y": y}).to_reader(),
    }
    for method, column in columns.items():
        with pytest.raises(ValueError, match=name.format("y", method)):
            LinearDiscriminantHead().fit(X, column)
        with pytest.raises(ValueError, match=name.format("X", method)):
            CLIPEmbedder(SPEC).transform(column)
    assert_array_equal(LinearDiscriminantHead().fit(X, lazy.compute()).classes_, np.unique(y))


def test_columns_of_a_table_of_pyarrow_are_named(table):
    X, y = table
    frame = pa.table({f"{SPEC}__{i}": column for i, column in enumerate(X.T)})
    days, n = pa.array(np.arange(len(y)), pa.timestamp("s")), len(y) - 1
    cases = {
        "Column 'new' of X holds dates or times": days,
        r"X holds text: row 0, column 128 \('new'\) is 'x'": ["x"] * len(y),
        r"X contains NaN, first in row 0, column 128 \('new'\)": pa.array([None] + [1.5] * n),
    }
    for estimator in (LinearDiscriminantHead(), AdaptiveBackboneEnsemble()):
        for message, column in cases.items():
            with pytest.raises(ValueError, match=message):
                estimator.fit(frame.append_column("new", [column]), y)
    head = ZeroShotHead(SPEC).fit(X, y)
    with pytest.raises(ValueError, match="X has the column 'zoo/RN20__127' where"):
        head.predict(frame.select(frame.column_names[::-1]))
    names = pd.DataFrame({"column_names": X[:, 0], "b": X[:, 1]})
    assert LinearDiscriminantHead().fit(names, y).feature_names_in_.tolist() == list(names)


# Prompts and names of classes


def test_names_of_classes_as_a_column_of_pyarrow(table):
    X, y = table
    names, targets = np.unique(y, return_inverse=True)
    clf = ZeroShotHead(SPEC).fit(X, y)
    for column in (pa.array(names), pa.chunked_array([names])):
        for labels in (y, targets):
            found = ZeroShotHead(SPEC, class_names=column).fit(X, labels)
            assert_array_equal(found.text_features_, clf.text_features_)


def test_names_of_booleans_are_a_mapping(table):
    X, y = table
    labels, names = y == y[0], ["a thing", "another"]
    of_categories = pd.Series(labels, dtype="category")
    for one in (labels, of_categories, pd.Categorical(labels)):
        with pytest.raises(ValueError, match=r"class_names is a list, but .* booleans\. .*dict"):
            AdaptiveBackboneEnsemble(SPEC, class_names=names).fit(X, one)
    assert LinearDiscriminantHead().fit(X, of_categories).predict(X).dtype == bool
    head = ZeroShotHead(SPEC, class_names=dict(zip([False, True], names))).fit(X, labels)
    assert head.classes_.tolist() == [False, True]


def test_prompts_that_are_cut_off_are_named():
    texts = said(lambda: ZeroShotHead(SPEC).set_classes([LONG + "cat", LONG + "dog", "owl"]))
    assert len(texts) == 2
    assert texts[0].startswith("Prompts of classes are cut off after 32 tokens, which is all")
    assert "is read by 'zoo/RN20': 'a name" in texts[0]
    assert "the same text for 'zoo/RN20'" in texts[1]
    assert all("cat'" in text and "dog'" in text and "'owl'" not in text for text in texts)


@pytest.mark.parametrize("head", ["auto", "kernel-all", "residual", "zero-shot"])
def test_prompts_that_all_backbones_cut_off_are_named_once(head):
    specs = ["zoo/RN20", "zoo/ViT-8"]
    X, y = np.random.default_rng(0).normal(size=(6, 256)), ["cat", "dog", "owl"] * 2
    names = {"cat": LONG + "cat", "dog": LONG + "dog", "owl": "owl"}
    clf = AdaptiveBackboneEnsemble(specs, head=head, class_names=names)
    calls = [lambda: clf.fit(X, y)]
    if head == "zero-shot":
        longer = {"class_names": None, "templates": [LONG + "{}"]}
        calls += [
            lambda: clf.set_classes([LONG + "ant", LONG + "bee"]),
            lambda: clf.set_classes(["ant", "bee"], templates=[LONG + "{}"]),
            lambda: clf.set_params(**longer).fit(X, y),
            lambda: clf.set_classes(["ant", "bee"]),
        ]
    for call in calls:
        texts = [text for text in said(call) if "cut off" in text or "the same text" in text]
        assert len(texts) == 2
        assert all("'zoo/RN20', 'zoo/ViT-8'" in text for text in texts)


def test_each_stage_of_a_cascade_names_its_backbones_that_cut_prompts_off():
    X, y = np.random.default_rng(0).normal(size=(12, 256)), ["cat", "dog"] * 6
    names = {"cat": LONG + "cat", "dog": LONG + "dog"}
    stages = AdaptiveBackboneEnsemble(class_names=names, random_state=0)
    cascade = CascadeEnsemble(["zoo/RN20", "zoo/ViT-8"], estimator=stages, random_state=0)
    texts = [text for text in said(lambda: cascade.fit(X, y)) if "cut off" in text]
    assert [text.count("'zoo/RN20'") for text in texts] == [1, 0]
    assert [text.count("'zoo/ViT-8'") for text in texts] == [0, 1]


def test_a_prompt_is_cut_off_where_the_tokenizer_cuts_it():
    """Exactly: the longest that fits gives no warning."""
    tokenizer = load_backbone(SPEC).tokenizer
    for n_words in range(20, 36):
        name = " ".join(["cat"] * n_words)
        n_tokens = int((tokenizer([name], context_length=200) != 0).sum())
        texts = said(lambda name=name: warn_of_prompts([Backbone(SPEC)], (name, "dog"), ("{}",)))
        assert (len(texts) == 1) == (n_tokens > 32), n_words


@pytest.mark.parametrize(
    ("names", "same"),
    [
        (["Cat", "cat", "dog"], True),
        (["ice  cream", "ice cream"], True),
        (["a &amp; b", "a & b"], True),
        (["C++", "C#"], False),
        (["ice-cream", "icecream", "ice cream"], False),
        (["Maße", "masse"], False),
    ],
)
def test_names_of_the_same_tokens_are_named(names, same):
    texts = said(lambda: ZeroShotHead(SPEC).set_classes(names))
    assert ["cannot tell these classes apart" in text for text in texts] == [True] * same
    tokens = load_backbone(SPEC).tokenizer(names).numpy()
    assert (len(np.unique(tokens, axis=0)) < len(names)) == same


def test_ordinary_names_are_not_even_tokenized(monkeypatch):
    def tokenize(*args, **options):
        raise AssertionError("tokenized")

    monkeypatch.setattr(open_clip, "get_tokenizer", tokenize)
    monkeypatch.setattr("skclipens.backbones._prompt_checks.load_backbone", tokenize)
    names = tuple(name[:20] for name in load_emoji().target_names)
    assert not said(lambda: warn_of_prompts([Backbone("ViT-B-32")], names, DEFAULT_TEMPLATES))


def test_equal_names_of_two_classes_are_named(table):
    X, y = table
    codes = np.arange(len(y)) % 3
    head = ZeroShotHead(SPEC, class_names=["crane", "owl", "crane"])
    texts = said(lambda: head.fit(X, codes))
    assert texts == [
        "Classes 0 and 2 are both called 'crane', so prompts cannot tell them apart. Give them "
        "class_names that differ."
    ]
    by_names = {"head": "zero-shot", "router": "uniform", "calibrate": False}
    for names, message in [
        (["crane", "owl", "crane"], "class_names has 'crane' more than once"),
        (["crane", ""], "The name of class '' is ''"),
        (["crane", 3], "The name of class 3 is 3"),
    ]:
        with pytest.raises(ValueError, match=message):
            AdaptiveBackboneEnsemble(SPEC, class_names=names, **by_names).fit(X)
        with pytest.raises(ValueError, match=message):  # before an image is read
            make_backbone_pipeline(SPEC, class_names=names, **by_names).fit(["no_such.png"])


@pytest.mark.parametrize("name", ["", "  \n", None, 3, np.nan, b"cat", "x" * 10_001])
def test_a_name_that_is_none(table, name):
    X, y = table
    codes = np.arange(len(y)) % 2
    for class_names in (["cat", name], {0: "cat", 1: name}):
        with pytest.raises(ValueError, match="The name of class 1 "):
            ZeroShotHead(SPEC, class_names=class_names).fit(X, codes)
    pipeline = make_backbone_pipeline(SPEC, head="zero-shot", class_names=["cat", name])
    with pytest.raises(ValueError, match="The name of class 1 "):
        pipeline.fit(["no_such.png"] * len(y), codes)


# Ranges


@given(
    arrays(np.float64, (3, 5), elements=st.floats(-1, 1).filter(lambda x: x == 0 or abs(x) > 1e-3)),
    st.integers(-300, 300),
)
def test_unit_rows_do_not_depend_on_the_scale(X, exponent):
    for dtype, largest in ((np.float32, 37), (np.float64, 300)):
        scale = 10.0 ** max(min(exponent, largest), -largest)
        expected, found = unit_rows(X.astype(dtype)), unit_rows((X * scale).astype(dtype))
        assert found.dtype == dtype
        assert_allclose(found, expected, atol=1e-4 if abs(exponent) > 34 else 1e-6)


@given(arrays(np.float32, (4, 6), elements=st.floats(-1, 1, width=32)), st.integers(-37, 37))
def test_mean_cosines_are_products_of_unit_blocks(X, exponent):
    blocks, row = [np.arange(2, 6), np.array([1, 0])], unit_rows(np.arange(1.0, 7)[None])[0]
    X = X * np.float32(10.0**exponent)
    row = row.astype(np.float32)
    found = mean_cosines(X, blocks, row)
    assert found.dtype == np.float32
    assert_allclose(found, unit_blocks(X, blocks) @ row, atol=1e-5)


def test_unit_rows_of_ordinary_rows_are_what_they_were(table):
    X, _ = table
    for some in (X, X.astype(float), X * np.float32(1e-9), X * np.float32(1e9)):
        lengths = np.linalg.norm(some, axis=1, keepdims=True)
        assert_allclose(unit_rows(some), some / lengths, rtol=1e-6)
    assert_array_equal(unit_rows(np.zeros((2, 3))), np.zeros((2, 3)))


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e18, 1e30])
@pytest.mark.parametrize("head", [ZeroShotHead(SPEC), ResidualHead(SPEC), GDAHead(SPEC)])
def test_heads_that_scale_rows_do_not_mind_the_range(table, head, scale):
    X, y = table
    expected = head.fit(X, y).decision_function(X)
    scaled = X * np.float32(scale)
    assert_allclose(head.decision_function(scaled), expected, rtol=5e-3, atol=5e-3)
    assert_allclose(head.fit(scaled, y).decision_function(scaled), expected, rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize(
    "estimator",
    [
        LinearDiscriminantHead(),
        LinearProbeHead(),
        LogisticDiscriminantHead(),
        KernelHead(),
        AdaptiveBackboneEnsemble(SPEC, random_state=0),
        AdaptiveBackboneEnsemble(SPEC, head="linear", unlabeled="ignore"),
    ],
)
def test_a_range_that_solvers_cannot_bear_is_refused_by_column(table, estimator):
    X, y = table
    large, small = X.copy(), X * np.float32(1e-30)
    large[3, 7] = -1e20
    with pytest.raises(ValueError, match=r"Column 7 of X has values as large as 1e\+20.*float32"):
        estimator.fit(large, y)
    with pytest.raises(ValueError, match=r"largest value of X, in column \d+, is .*vanishes"):
        estimator.fit(small, y)
    frame = pd.DataFrame(large, columns=[f"zoo/RN20__{i}" for i in range(128)])
    with pytest.raises(ValueError, match=r"Column 7 \('zoo/RN20__7'\) of X"):
        estimator.fit(frame, y)
    estimator.fit(large.astype(np.float64), y)  # whose squares float64 can hold


@pytest.mark.parametrize("head", ["linear", KernelHead()])
def test_a_range_that_solvers_cannot_bear_is_refused_by_block(head):
    X, y = np.random.default_rng(0).normal(size=(60, 6)), np.arange(60) % 3
    X[:, 3:] *= [1e-20, 2e-18, 1e-20]
    clf = AdaptiveBackboneEnsemble([("p", slice(0, 3)), ("q", slice(3, 6))], head=head)
    for form in (X, pd.DataFrame(X, columns=list("uvwxyz"))):
        with pytest.raises(ValueError, match=r"largest value of block 'q', in column 1, is .*-18"):
            clf.fit(form, y)


def test_blocks_that_say_nothing_are_named(table):
    X, y = table
    X = np.hstack([X, np.zeros_like(X), np.ones_like(X)])
    blocks = [("good", slice(0, 128)), ("zero", slice(128, 256)), ("one", slice(256, None))]
    clf = AdaptiveBackboneEnsemble(blocks, head="linear", random_state=0)
    texts = said(lambda: clf.fit(X, y))
    assert [text.partition(", so these")[0] for text in texts] == [
        "All rows of X are the same in 'zero', 'one'"
    ]
    assert clf.score(X, y) > 0.9
    assert not said(lambda: clf.set_params(blocks=blocks[:1]).fit(X[:, :128], y))
    X[:, 128] = np.arange(len(X)) // 2 % 2  # the first two rows are the same
    some = [*blocks[:1], ("flag", [128])]
    assert not said(lambda: clf.set_params(blocks=some).fit(X[:, :129], y))


def test_columns_that_drown_all_others_are_named(table):
    X, y = table
    rng = np.random.default_rng(0)
    numbers = pd.DataFrame(rng.normal(size=(len(X), 4)), columns=["price", "area", "age", "size"])
    clf = AdaptiveBackboneEnsemble(random_state=0)
    large = numbers.assign(price=3e4 * numbers["price"], area=1e4 * numbers["area"])
    (text,) = [one for one in said(lambda: clf.fit(large, y)) if "of the variance" in one]
    assert text.startswith("Columns 'price', 'area' have more than 99% of the variance")
    for right in (
        numbers,
        numbers * [1, 1, 0.01, 0.01],  # as rare columns of zeros and ones beside scaled ones
        numbers * [90, 60, 20, 7],  # as of a PCA
        numbers * [100, 100, 100, 100],
    ):
        assert not [
            one for one in said(lambda right=right: clf.fit(right, y)) if "of the variance" in one
        ]


@pytest.mark.parametrize(
    ("options", "reader"),
    [
        ({"head": "kernel"}, "all"),
        ({"head": ["linear", "kernel"]}, "all:kernel"),
        ({"head": ["linear", "forest"], "router": "nlc"}, "NeuralLogitController"),
        ({"head": ["linear", "forest"], "router": "mixture"}, "MixtureRouter"),
    ],
)
def test_a_column_far_from_zero_is_named_where_nothing_centres_it(table, options, reader):
    X, y = table
    years = np.random.default_rng(0).integers(2000, 2020, (len(X), 1))
    blocks = [("all", slice(None))]
    clf = AdaptiveBackboneEnsemble(blocks, random_state=0, **options)
    right = np.hstack([X, (years - 2010) / 10])
    assert not said(lambda: clf.fit(right, y))
    (text,) = said(lambda: clf.fit(np.hstack([X, years]), y))
    message = f"Rows of what '{reader}' reads have nearly one direction.* column 128 is far from"
    assert re.match(message, text)
    clf.set_params(head="linear", router="shrunk")
    assert not said(lambda: clf.fit(np.hstack([X, years / 100]), y))  # as far from zero


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_kernel_head_doubts_tables_whose_rows_have_one_direction(dtype):
    rng = np.random.default_rng(0)
    y = np.arange(200) % 3
    X = rng.normal(size=(200, 8)) + np.eye(8)[y]
    for right in (X, X + 5, np.c_[X, np.full(200, 20)], X[:10] + 1e3):
        assert not said(lambda right=right: KernelHead().fit(right.astype(dtype), y[: len(right)]))
    for far in (X + 1e3, np.c_[X, np.full(200, 1e4)]):
        (text,) = said(lambda far=far: KernelHead().fit(far.astype(dtype), y))
        assert re.match(r"Rows of what 'KernelHead' reads have .* column \d is far", text)
    (text,) = said(lambda: KernelHead().fit(X * [1, 1, 1, 1, 1, 1, 1, 1e3], y))
    assert text.startswith("Column 7 has more than 99% of the variance of what 'KernelHead' reads")
    assert not said(lambda: KernelHead().fit(np.ones((200, 3), dtype), y))  # of no scale


def test_each_block_with_such_a_column_is_named(table):
    X, y = table
    rng = np.random.default_rng(0)
    years = rng.integers(2000, 2020, (len(X), 1))
    large, numbers = 1e3 * rng.normal(size=(len(X), 1)), rng.normal(size=(len(X), 8))
    both = [slice(0, 129), slice(129, 138)]
    head = KernelHead(blocks=[(None, one) for one in both])
    clf = AdaptiveBackboneEnsemble(
        [("left", both[0]), ("right", both[1])], head="kernel", router="nlc", random_state=0
    )
    for model in (head, clf):
        first, second = said(lambda model=model: model.fit(np.c_[X, large, numbers, years], y))
        assert first.startswith("Column 128 has more than 99% of the variance")
        assert "nearly one direction" in second
        assert "column 137" in second
    first, second = said(lambda: head.fit(np.c_[X, large, numbers, large], y))
    assert [text.split(" has ")[0] for text in (first, second)] == ["Column 128", "Column 137"]
    index = np.arange(len(X))[:, None]
    first, second = said(lambda: clf.fit(np.c_[X, index, numbers, years], y))
    assert first.startswith("Column 128 changes by the same")
    assert "column 137" in second


def test_a_column_that_drowns_all_others_is_named(table):
    X, y = table
    rng = np.random.default_rng(0)
    price = rng.normal(1e4, 3e3, (len(X), 1))
    clf = AdaptiveBackboneEnsemble([("all", slice(None))], head="linear", random_state=0)
    (text,) = said(lambda: clf.fit(np.hstack([price, X]), y))
    assert text.startswith("Column 0 has more than 99% of the variance of what 'all' reads")
    assert not said(lambda: clf.fit(np.hstack([price / 3e3, X]), y))
    names = [f"{SPEC}__{i}" for i in range(128)]
    frame = pd.DataFrame(X.copy(), columns=names).assign(price=price)
    frame[["size", "weight"]] = rng.normal(size=(len(X), 2))
    clf = AdaptiveBackboneEnsemble(random_state=0)
    (text,) = said(lambda: clf.fit(frame, y))
    assert "Column 'price' has more than 99% of the variance of what 'other:linear' reads" in text
    of_two = frame.drop(columns="weight")
    assert said(lambda: clf.fit(of_two, y)) == [text]
    rarely = np.arange(len(X)) == 3
    for others in (
        {"price": price / 3e3, "size": rarely},
        {"size": 100 * frame["size"]},
        {"size": 0},
    ):
        assert not said(lambda others=others: clf.fit(of_two.assign(**others), y))


def test_a_price_beside_pictures_may_be_in_any_unit(table):
    X, y = table
    price = np.random.default_rng(0).normal(1e4, 3e3, len(X))
    frame = pd.DataFrame(X.copy(), columns=[f"{SPEC}__{i}" for i in range(128)])
    clf = AdaptiveBackboneEnsemble(random_state=0)
    in_cents, in_thousands = frame.assign(price=100 * price), frame.assign(price=price / 1e3)
    assert not said(lambda: clf.fit(in_cents, y))
    proba = clf.predict_proba(in_cents)
    assert_allclose(clf.fit(in_thousands, y).predict_proba(in_thousands), proba, atol=1e-3)


@pytest.mark.parametrize("scaled", [False, True])
def test_an_index_among_the_columns_is_named(table, scaled):
    X, y = table
    index = np.arange(len(X), 0, -1.0)
    index = (index - index.mean()) / index.std() if scaled else index
    names = [f"{SPEC}__{i}" for i in range(128)]
    frame = pd.DataFrame(X.copy(), columns=names)
    frame.insert(0, "Unnamed: 0", index)
    clf = AdaptiveBackboneEnsemble(random_state=0)
    (text,) = said(lambda: clf.fit(frame, y))
    assert text.startswith("Column 'Unnamed: 0' changes by the same from each row to the next")
    rng = np.random.default_rng(0)
    for column in (rng.permutation(index) / len(X), np.sort(rng.normal(size=len(X)))):
        assert not said(lambda c=column: clf.fit(frame.assign(**{"Unnamed: 0": c}), y))


def test_an_index_is_named_in_a_part_of_a_table(table):
    X, y = table
    frame = pd.DataFrame(X.copy(), columns=[f"{SPEC}__{i}" for i in range(128)])
    rng = np.random.default_rng(0)
    some = rng.permutation(len(X))[: len(X) * 2 // 3]
    clf = AdaptiveBackboneEnsemble(random_state=0)

    def told(column):
        return said(lambda: clf.fit(frame.assign(number=column).iloc[some], y[some]))

    (text,) = told(np.arange(len(X)))
    assert text.startswith("Column 'number' has a different integer in each row")
    prices, years = rng.integers(1, 1e6, len(X)), rng.integers(1950, 2020, len(X))
    for column in (prices, years, np.arange(len(X)) / 7):
        assert not told(column / 1e6 if column is prices else column)


def test_a_time_of_rows_in_order_of_class_is_named(table):
    X = table[0][: len(table[0]) // 3 * 3]
    y = np.repeat(["cat", "dog", "owl"], len(X) // 3)
    frame = pd.DataFrame(X.copy(), columns=[f"{SPEC}__{i}" for i in range(128)])
    rng = np.random.default_rng(0)
    time, shuffled = np.sort(rng.normal(size=len(X))), rng.permutation(len(X))
    clf = AdaptiveBackboneEnsemble(head="linear", random_state=0)

    def told(time, y):
        return [t for t in said(clf.fit, frame.assign(time=time), y) if "Column 'time'" in t]

    days = np.floor(np.arange(len(X)) / 5 + time / 100)
    for column in (time, -time, days, -days):
        (text,) = told(column, y)
        assert text.startswith("Column 'time' rises or falls with the number of the row, as rows")
    few = np.append(np.zeros(len(X) - 2), [1, 2])  # as one class may have them by chance
    for column in (np.repeat([0, 1, 1], len(X) // 3), few):
        assert not any("number of the row" in text for text in told(column, y))
    assert not told(time, y[shuffled])
    assert not told(np.sort(rng.normal(size=(3, len(X) // 3))).ravel(), y)
    assert not told(time[shuffled], y)
    each_other = np.array([f"class {i}" for i in range(len(X))])  # one row each, sorted by price
    assert not told(time, each_other)


def test_what_is_in_the_order_of_rows_is_a_time_only_beyond_chance():
    y, rows = np.repeat(["cat", "dog", "owl"], 30), np.arange(90)
    flag = rows > 74  # in a table that is sorted by class and flag
    days = rows // 15
    some = np.where(rows < 86, 0, rows - 85)  # the last four rows of a class; 1 of 27,405 * 24

    def told(values, n_others=3):
        others = np.random.default_rng(0).normal(size=(90, n_others))
        return said(warn_of_index, np.column_stack([values, others]), y, None)

    assert told(days) and told(some)
    assert not told(flag) and not told(some, 100)


def test_a_picture_with_two_labels_is_named(table):
    X, y = table
    other = next(label for label in y if label != y[5])
    twice, labels = np.vstack([X[:1], X, X[5:6]]), [None, *y, other]
    clf = AdaptiveBackboneEnsemble(SPEC, unlabeled="ignore", random_state=0)
    (text,) = said(lambda: clf.fit(twice, labels))
    assert text.startswith(f"Rows 6 and {len(y) + 1} of X are the same, but have the labels")
    assert f"{str(y[5])!r} and {str(other)!r}. A picture has one label" in text
    (text,) = said(lambda: clf.fit(np.vstack([twice, X[5:6]]), [*labels, other]))
    assert "In all, 2 rows contradict an earlier one. A picture has one label" in text
    assert not said(lambda: clf.fit(np.vstack([X, X]), [*y, *y]))


def test_a_picture_with_two_labels_is_named_whatever_its_other_columns(table):
    X, y = table
    rows = np.repeat(np.arange(0, len(y), 2), 2)
    frame = pd.DataFrame(X[rows], columns=[f"{SPEC}__{i}" for i in range(128)])
    frame["offer"] = np.random.default_rng(0).normal(size=len(rows))
    some, other = y[rows], next(label for label in y if label != y[6])
    clf = AdaptiveBackboneEnsemble(random_state=0)
    assert not said(lambda: clf.fit(frame, some))
    some[7] = other
    (text,) = said(lambda: clf.fit(frame, some))
    assert text.startswith("Rows 6 and 7 of X are of the same picture, but have the labels")
    by_offer = np.where(frame["offer"] > 0, "sold", "not sold")
    assert not said(lambda: clf.fit(frame, by_offer))
    twice = [*range(len(frame)), 6]  # also of the same offer
    by_offer = np.append(by_offer, "sold" if by_offer[6] == "not sold" else "not sold")
    assert not said(lambda: clf.fit(frame.iloc[twice], by_offer))  # which was sold once
    some[7] = some[6]
    (text,) = said(lambda: clf.fit(frame.iloc[twice], [*some, other]))
    assert text.startswith(f"Rows 6 and {len(frame)} of X are the same, but have the labels")


@pytest.mark.parametrize("by_price", [True, False])
def test_a_few_other_labels_of_a_picture_are_wrong_unless_they_follow_another_column(
    table, by_price
):
    X, y = table
    rows = np.repeat(np.arange(30), 5)
    frame = pd.DataFrame(X[rows], columns=[f"{SPEC}__{i}" for i in range(128)])
    rng = np.random.default_rng(0)
    frame["shop"] = np.repeat(rng.normal(size=30), 5)  # one for each picture
    frame["price"] = rng.normal(size=len(rows))
    later = np.flatnonzero(np.arange(len(rows)) % 5)  # of the five rows of a picture
    few = np.argsort(frame["price"])[:7] if by_price else rng.choice(later, 7, replace=False)
    frame["price"] = np.exp(2 * frame["price"])  # a few are far higher than the others
    some = y[rows].astype(object)
    some[few] = "reduced"
    texts = said(lambda: AdaptiveBackboneEnsemble(random_state=0).fit(frame, some))
    named = [text for text in texts if "of X are of the same picture" in text]
    assert len(named) == (not by_price)


def test_equal_rows_with_other_labels_are_told_beside_other_columns(table):
    X, y = table
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.permutation(len(y))[:30], 3)
    frame = pd.DataFrame(X[rows], columns=[f"{SPEC}__{i}" for i in range(128)])
    frame["brand"] = rng.integers(0, 5, len(y))[rows]
    texts = said(
        lambda: AdaptiveBackboneEnsemble(random_state=0).fit(frame, rng.permutation(y[rows]))
    )
    assert any("of X are the same, but have the labels" in text for text in texts)


def test_labels_as_groups_are_named(table):
    X, y = table
    clf = AdaptiveBackboneEnsemble(SPEC, random_state=0)
    for groups in (y, np.zeros(len(y))):
        (text,) = said(lambda groups=groups: clf.fit(X, y, groups=groups))
        assert text.startswith("All rows of each class are in one group, so no row can be held out")
    assert not said(lambda: clf.fit(X, y, groups=np.arange(len(y)) // 3))


def test_rows_of_one_object_are_named():
    emoji = load_emoji(min_class_size=60)
    pictures = emoji.frame[["path", "label"]].sort_values(["label", "path"])[::2]
    pairs = pictures.groupby("label").cumcount() // 2
    objects = pictures.groupby(["label", pairs])["path"].apply(list).reset_index()
    table = objects.explode("path")
    paths, y = table["path"], table["label"]
    clf = make_backbone_pipeline(SPEC, random_state=0)
    (text,) = said(clf.fit, paths, y)
    assert text.startswith("Rows with the same index follow each other, such as rows 0 and 1, 0,")
    name = "adaptivebackboneensemble__groups"
    assert not said(lambda: clf.fit(paths, y, **{name: paths.index}))
    own = KFold(3, shuffle=True, random_state=0)
    assert not said(make_backbone_pipeline(SPEC, cv=own, random_state=0).fit, paths, y)
    of_two_tables = np.arange(len(y)) % (len(y) // 2)
    for index in (np.arange(len(y)) + 5, y.to_numpy(), of_two_tables):
        assert not said(clf.fit, paths.set_axis(index), y.set_axis(index))
    drawn = pictures.sample(frac=2, replace=True, random_state=0).sort_index()
    assert not [text for text in said(clf.fit, drawn["path"], drawn["label"]) if "index" in text]


def test_copies_in_different_groups_are_named(table):
    X, y = table
    X, y, rows = np.vstack([X, X[3:5]]), np.append(y, y[3:5]), np.arange(len(y) + 2)
    clf = AdaptiveBackboneEnsemble(SPEC, random_state=0)
    (text,) = said(lambda: clf.fit(X, y, groups=rows))
    assert text.startswith(f"2 of {len(X)} rows are copies of a row in another group, such as row")
    assert f" row {len(X) - 2} of row 3. " in text
    names = rows.astype(str)
    names[-2:] = names[3:5]
    assert not said(lambda: clf.fit(X, y, groups=names))
    assert not said(lambda: clf.fit(X, y, groups=rows, sample_weight=(rows < len(X) - 2) * 1.0))


def test_folds_that_hold_out_whole_classes_are_named(table):
    X, y = table
    order = np.argsort(y, kind="stable")
    X, y, half = X[order], y[order], len(y) // 2
    for cv in KFold(2), [(np.arange(half), np.arange(half, len(y)))]:
        (text,) = said(lambda cv=cv: AdaptiveBackboneEnsemble(SPEC, cv=cv).fit(X, y))
        assert text.startswith("The folds of cv hold out rows of 1 of 2 classes that their")
        assert "shuffle=True" in text
    judging = KFold(3, shuffle=True, random_state=0), StratifiedKFold(2)
    for cv in judging:
        assert not said(lambda cv=cv: AdaptiveBackboneEnsemble(SPEC, cv=cv).fit(X, y))
    one = np.unique(y, return_index=True)[1]  # nothing could be held out
    assert not said(lambda: AdaptiveBackboneEnsemble(SPEC, cv=KFold(2)).fit(X[one], y[one]))


def test_a_column_that_was_made_of_the_labels_is_named():
    X, y = load_wine(return_X_y=True, as_frame=True)
    rng = np.random.default_rng(0)
    nearly = np.where(rng.random(len(y)) < 0.9, y, 0)  # such a column may be a right one
    X = X.assign(nearly=nearly, coarse=y == 2)
    clf = AdaptiveBackboneEnsemble([("all", slice(None))], head="linear", random_state=0)
    mentions = ": one value for each class, and no two classes have the same"
    assert not [text for text in said(lambda: clf.fit(X, y)) if mentions in text]
    coded = X.assign(code=np.array([7, 2, 5])[y])
    for table, name in ((coded, "'code'"), (coded.to_numpy(float), str(X.shape[1]))):
        (text,) = [text for text in said(lambda t=table: clf.fit(t, y)) if mentions in text]
        assert text.startswith(f"Column {name}: one value")
    rare = np.where(np.arange(len(y)) == 5, 3, y)  # a class of one row
    assert any(mentions in text for text in said(clf.fit, coded, rare))
    encoded = X.join(pd.get_dummies(y, prefix="is"))
    (text,) = [text for text in said(lambda: clf.fit(encoded, y)) if mentions in text]
    assert text.startswith("Column 'coarse', Column 'is_0', Column 'is_1' and 1 more: one value")
    for n_rows, is_told in ((8, False), (12, True)):  # few may be chance
        few = np.concatenate([np.flatnonzero(y == label)[:n_rows] for label in range(3)])
        texts = said(lambda rows=few: clf.fit(coded.iloc[rows], y[rows]))
        assert any(mentions in text for text in texts) == is_told


def test_a_column_of_which_the_labels_are_ranges_is_named():
    X, y = load_wine(return_X_y=True, as_frame=True)
    X = (X - X.mean()) / X.std()
    clf = AdaptiveBackboneEnsemble([("all", slice(None))], head="linear", random_state=0)
    mentions = ": no two classes overlap in it"
    for column in X:
        ranges = np.array(pd.qcut(X[column].rank(method="dense"), 3, labels=["b", "a", "c"]))
        (text,) = [text for text in said(clf.fit, X, ranges) if mentions in text]
        assert text.startswith(f"Column {column!r}: no")
        component = X.rename(columns={column: "pca0"})
        assert not [text for text in said(clf.fit, component, ranges) if mentions in text]
        of_two = np.where(ranges == "b", "a", ranges)  # one number may tell two classes apart
        for labels in (y, of_two):
            assert not [text for text in said(clf.fit, X, labels) if mentions in text]
    iris, species = load_iris(return_X_y=True, as_frame=True)  # one class lies apart, two overlap
    assert not [text for text in said(clf.fit, iris, species) if mentions in text]


@pytest.mark.parametrize(
    "scaler",
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        MinMaxScaler(),
        MaxAbsScaler(),
        RobustScaler(),
        QuantileTransformer(n_quantiles=20, output_distribution="normal"),
    ],
)
def test_embeddings_that_were_scaled_are_named(table, scaler):
    X, y = table
    clf = make_pipeline(scaler, AdaptiveBackboneEnsemble(SPEC, random_state=0))
    text, *others = said(lambda: clf.fit(X, y))
    assert f"The columns of {SPEC!r} were centred or scaled" in text
    assert all("or they were scaled" in other for other in others)
    assert not said(lambda: clf[-1].set_params(head="linear").fit(scaler.fit_transform(X), y))


def _as_uint8(X):
    return ((X - X.min()) / np.ptp(X) * 255).round().astype(np.uint8)


@pytest.mark.parametrize("store", [_as_uint8, lambda X: (X + 1) * 127.5])
def test_embeddings_that_were_shifted_to_positive_values_are_named(table, store):
    X, y = table
    names, clf = [f"{SPEC}__{i}" for i in range(128)], AdaptiveBackboneEnsemble(random_state=0)
    text, *_ = said(lambda: clf.fit(pd.DataFrame(store(X), columns=names), y))
    assert f"The columns of {SPEC!r} were centred or scaled" in text
    quiet = pd.DataFrame(7 * X, columns=names)  # as without normalize
    assert not said(lambda: clf.fit(quiet, y))


def test_wide_arrays_without_names_are_named(table):
    X, y = table
    clf = AdaptiveBackboneEnsemble(random_state=0)
    (text,) = said(lambda: clf.fit(X, y))
    assert "X has no names of columns that are strings, so its 128 columns are one block" in text
    levels = [("image", f"{SPEC}__{i}") for i in range(128)]
    frame = pd.DataFrame(X, columns=pd.MultiIndex.from_tuples(levels))
    (text,) = said(lambda: clf.fit(frame, y))
    assert "of a MultiIndex, join the levels: X.columns = X.columns.map('__'.join)" in text
    frame.columns = frame.columns.map("__".join)
    assert not said(lambda: clf.fit(frame, y))
    quiet = [("all", slice(None))], SPEC
    assert not [text for blocks in quiet for text in said(clf.set_params(blocks=blocks).fit, X, y)]


def test_the_first_cell_without_a_value_is_named(table):
    X, y = table
    frame = pd.DataFrame(X.copy(), columns=[f"{SPEC}__{i}" for i in range(128)])
    clf = AdaptiveBackboneEnsemble(random_state=0).fit(frame, y)
    message = r"NaN, first in row 3, column 0 \('zoo/RN20__0'\); that row has 128 of them.*on_error"
    frame.iloc[3] = np.nan
    for call in (clf.predict, lambda X: clf.fit(X, y)):
        with pytest.raises(ValueError, match=message):
            call(frame)
    with pytest.raises(ValueError, match=r"NaN, first in row 3, column 0; that row has 128"):
        LinearDiscriminantHead().fit(frame.to_numpy(), y)
    frame.iloc[3] = 0.1
    frame.iloc[5, 7] = -np.inf
    message = r"infinity, first in row 5, column 7 \('zoo/RN20__7'\); that row has 1 of them"
    for call in (clf.predict, lambda X: clf.fit(X, y)):
        with pytest.raises(ValueError, match=message):
            call(frame)


def test_nullable_numbers_keep_their_digits(table):
    X, y = table
    numbers = 2**53 + np.unique(y, return_inverse=True)[1]
    y = pd.Series(numbers, dtype="Int64")
    for clf in (LinearDiscriminantHead(), AdaptiveBackboneEnsemble(SPEC, head="linear")):
        assert_array_equal(clf.fit(X, y).classes_, np.unique(numbers))
    some = y.mask(np.arange(len(y)) % 3 == 0)
    clf = AdaptiveBackboneEnsemble(SPEC, head="linear", unlabeled="ignore").fit(X, some)
    assert_array_equal(clf.classes_, np.unique(numbers))
    columns = some.array, polars.Series(some.to_list()), pa.array(some, from_pandas=True)
    for same in (*columns, some.astype("category"), pd.Categorical(some)):
        assert_array_equal(clf.fit(X, same).classes_, np.unique(numbers))
    truth = LinearDiscriminantHead().fit(X, pd.Series(numbers % 2 == 0, dtype="boolean")).predict(X)
    assert truth.dtype == bool


def test_members_of_an_enum_keep_their_values(table):
    X, y = table
    Kind = Enum("Kind", {"COW": "cow", "CAT": "cat"}, type=str)
    labels = [Kind.COW if one else Kind.CAT for one in y == y[0]]
    assert LinearDiscriminantHead().fit(X, labels).classes_.tolist() == ["cat", "cow"]
    with pytest.raises(ValueError, match=r"y = \[label\.name for label in y\] makes such labels"):
        LinearDiscriminantHead().fit(X, [Enum("Kind", ["COW"]).COW] * len(y))


def test_names_that_no_text_tower_can_read_are_refused(table):
    X, y = table
    y = np.where(y == y[0], "v\udceatements", y)
    with pytest.raises(ValueError, match=r"The name of class .* is no valid UTF-8"):
        AdaptiveBackboneEnsemble(SPEC).fit(X, y)


def test_decimals_are_strings_where_they_are_not_whole(table):
    X, y = table
    for value, kind in (("1.5", "str"), ("1.0", "int")):
        numbers = [Decimal(value) if one else Decimal(2) for one in y == y[0]]
        with pytest.raises(ValueError, match=rf"pass y\.astype\({kind}\)"):
            LinearDiscriminantHead().fit(X, numbers)


def test_rows_and_labels_of_different_splits_are_named(table):
    X, y = map(pd.DataFrame, table)
    y, order = y[0], np.random.default_rng(0).permutation(len(y))
    one, half, other = order[:16], order[8:24], order[16:32]
    clf = AdaptiveBackboneEnsemble(SPEC, head="linear", random_state=0)
    for rows in (half, other):
        told = said(partial(clf.fit, X.iloc[one], y.iloc[rows]))
        assert any("X and y have different numbers as their index" in text for text in told)
        assert not said(partial(clf.fit, X.iloc[rows], y.iloc[rows]))
        same = y.iloc[rows].set_axis(pd.Index(rows, dtype="Int64"))
        assert not said(partial(clf.fit, X.iloc[rows], same))
    some, others = np.sort(order[:16]), np.sort(order[16:32])  # what is left of two tables
    told = said(partial(clf.fit, X.iloc[some], y.iloc[some].set_axis(others)))
    assert not any("different numbers" in text for text in told)


def test_an_index_in_another_order_is_named(table):
    X, y = table
    names = [f"picture {i}" for i in range(len(y))]
    X, y = pd.DataFrame(X, names), pd.Series(y, names)
    clf = AdaptiveBackboneEnsemble(SPEC, head="linear", random_state=0)
    (text,) = said(lambda: clf.fit(X, y.iloc[::-1]))
    assert "same index in another order" in text and "y.loc[X.index]" in text
    paths = pd.Series(load_emoji(min_class_size=60).filenames[::4], names)
    (text,) = said(lambda: make_backbone_pipeline(SPEC, head="linear").fit(paths, y.iloc[::-1]))
    assert "same index in another order" in text
    for same in (y, y.reset_index(drop=True), y.set_axis(range(1000, 1000 + len(y)))):
        assert not said(lambda same=same: clf.fit(X, same))
    aligned = y.iloc[:-1].set_axis([*names[:-2], "another picture"])
    assert not said(lambda: clf.fit(X.iloc[:-1], aligned))
    for some in (slice(10, None), slice(None, -10)):  # as in a fold
        (text,) = said(lambda some=some: clf.fit(X.iloc[some], y.iloc[::-1].iloc[some]))
        assert "parts of the same index in another order" in text
    (text,) = said(lambda: clf.fit(X.drop(names[3]), y.drop(names[7])))
    assert "parts of the same index in another order" in text
    # Of a list of paths, an embedder makes a frame with a default index: it is nobody's.
    numbers = y.set_axis(np.random.default_rng(0).permutation(len(y)))
    assert not said(lambda: clf.fit(X.reset_index(drop=True), numbers))
    pairs = pd.MultiIndex.from_arrays([names, names])
    assert not said(lambda: clf.fit(X.set_axis(pairs), y))


@pytest.mark.parametrize(
    ("labels", "types"),
    [
        ([f"picture {i}" for i in range(9)], ["object", "str"]),
        ([f"picture {i}" for i in range(9)], ["category", "string"]),
        (range(5, 14), ["int64", "int32"]),
        (range(5, 14), ["Int64", "float64"]),
        (pd.date_range("2026-01-01", periods=9), ["M8[ns]", "M8[us]"]),
        (["first", "second", "third"] * 3, ["object", "object"]),
        ([Path("d", f"{i}.png") for i in range(9)], ["object", "str"]),
        (pd.interval_range(0, 9), ["interval", "object"]),
    ],
)
def test_an_index_of_another_type_or_with_labels_twice(labels, types):
    own, its = (pd.Index(labels).astype(one) for one in types)
    X, y = pd.DataFrame(np.eye(9), own), pd.Series([0, 1, 2] * 3, its)
    (text,) = said(lambda: warn_of_other_order(X, y=y[::-1]))
    assert "X and y have the same index in another order" in text
    assert ("y.loc[X.index]" in text) == own.is_unique
    default = y.reset_index(drop=True)
    others = y.set_axis([*its[:-1], its[0]])[::-1]  # some labels twice, at other places
    for same in (y, default, others):
        assert not said(lambda same=same: warn_of_other_order(X, y=same))


@pytest.mark.parametrize("name", ["{:02}", "{:02}.png", "s/{:02}", "tar://{:02}.png::s.tar"])
def test_members_of_a_shard_in_another_order(name):
    X = pd.DataFrame(np.eye(9), [f"tar://{i:02}.png::/data/s.tar" for i in range(9)])
    y = pd.Series(0, [name.format(i) for i in range(9)])
    assert not said(lambda: warn_of_other_order(X, y=y))
    assert not said(lambda: warn_of_other_order(X, y=y.set_axis([*y.index[1:], "other"])))
    (text,) = said(lambda: warn_of_other_order(X, y=y[::-1]))
    assert "X and y have the same files in another order" in text


def test_full_and_relative_paths_at_several_depths():
    places = [f"{label}/{sub}1.png" for label in ("cat", "dog") for sub in ("", "0/", "a/0/0/")]
    X = pd.DataFrame(np.eye(6), [f"photos/{place}" for place in places])
    y = pd.Series(0, [f"/data/photos/{place}" for place in places])
    assert not said(lambda: warn_of_other_order(X, y=y))
    (text,) = said(lambda: warn_of_other_order(X, y=y[::-1]))
    assert "X and y have the same files in another order" in text


def test_shards_whose_members_have_the_same_names():
    names = [f"tar://{i}.png::/data/s-{shard}.tar" for shard in (0, 1) for i in range(4)]
    X, y = pd.DataFrame(np.eye(8), names), pd.Series(0, [f"s-{i // 4}/{i % 4}" for i in range(8)])
    assert not said(lambda: warn_of_other_order(X, y=y))
    assert len(said(lambda: warn_of_other_order(X, y=y[::-1]))) == 1
    assert not said(lambda: warn_of_other_order(X, y=y.set_axis([*"01230123"])))
    (text,) = said(lambda: warn_of_other_order(X, y=y.set_axis([*"01230123"])[::-1]))
    assert "X and y have the same files in another order" in text
    assert not said(lambda: warn_of_other_order(X, y=y.set_axis([*"00112233"])[:-1]))
    assert not said(lambda: warn_of_other_order(X, y=y.set_axis([*"01230124"])[::-1]))


@pytest.mark.parametrize(
    "index",
    [[Path("d", f"{i}.png") for i in range(9)], pd.interval_range(0, 9), [0, "1", None] * 3],
)
def test_an_index_that_text_cannot_be_compared_with_is_no_error(index):
    X, y = (pd.DataFrame(np.eye(9), [f"picture {i}" for i in range(9)]), pd.Series(1, index))
    assert not said(lambda: warn_of_other_order(X, y=y))


@pytest.mark.parametrize("weight", [-2, np.nan, np.inf, "2"])
def test_class_weights_that_are_none(table, weight):
    X, y = table
    clf = AdaptiveBackboneEnsemble(SPEC, head="linear", class_weight={y[0]: weight})
    message = f"class_weight of 'person at work' is {weight!r}; it must be a number"
    with pytest.raises(ValueError, match=re.escape(message)):
        clf.fit(X, y)
    wrong = clf.set_params(class_weight={np.str_("person at wirk"): 1})
    message = "has 'person at wirk', which is not among the classes of y, did you mean"
    with pytest.raises(ValueError, match=f"{message} 'person at work'"):
        wrong.fit(X, y)


@pytest.mark.parametrize(
    "weights, message",
    [
        (lambda n: np.where(np.arange(n) % 3, 1.0, -0.9), "sample_weight of row 0 is -0.9"),
        (np.zeros, "sample_weight is zero for all rows"),
        (lambda n: ["a"] * n, "sample_weight holds text"),
    ],
)
def test_weights_of_true_labels_are_checked(weights, message, table):
    X, y = table
    clf = AdaptiveBackboneEnsemble(SPEC, head="linear", random_state=0).fit(X, y)
    cascade = CascadeEnsemble(SPEC, estimator=LinearDiscriminantHead()).fit(X, y)
    for fitted in (clf, cascade, make_pipeline(StandardScaler(), clf).fit(X, y)):
        assert 0 <= fitted.score(X, y, sample_weight=np.arange(len(y))) <= 1
        with pytest.raises(ValueError, match=message):
            fitted.score(X, y, sample_weight=weights(len(y)))


def test_rows_without_a_label_do_not_count_as_wrong(table):
    X, y = table
    clf = AdaptiveBackboneEnsemble(SPEC, unlabeled="use", random_state=0)
    some = y.astype(object)
    some[::2] = None
    clf.fit(X, some)
    with pytest.raises(ValueError, match=r"no label for .* the first is row 0"):
        clf.score(X, some)
    paths = load_emoji(min_class_size=60).filenames[::4]
    with pytest.raises(ValueError, match=r"no label for .* the first is row 0"):
        make_backbone_pipeline(SPEC, head="linear").fit(paths, y).score(paths, some)


@pytest.mark.parametrize(
    "when",
    [
        pd.Series,
        lambda days: pd.Series(days.date),
        lambda days: pd.Series(days.tz_localize("UTC")),
        lambda days: pd.Series(list(days), dtype=object),
        lambda days: pd.Series(days.to_period("D")),
        lambda days: polars.Series(days.to_numpy()),
        lambda days: polars.Series((days - days[0]).to_numpy()),
        lambda days: polars.Series(days.date.tolist()),
        lambda days: polars.Series(days.time.tolist()),
    ],
)
def test_dates_of_any_type_are_no_numbers(when):
    y = np.arange(8) % 2
    when = when(pd.date_range("2026-01-01", periods=8))
    frame = polars.DataFrame if isinstance(when, polars.Series) else pd.DataFrame
    X = frame({"price": np.sin(np.arange(8.0)), "bought": when})
    with pytest.raises(ValueError, match="Column 'bought' of X holds dates"):
        LinearDiscriminantHead().fit(X, y)
    head = LinearDiscriminantHead().fit(np.random.default_rng(0).normal(size=(8, 2)), y)
    with pytest.raises(ValueError, match="Column 'bought' of X holds dates"):
        head.predict(X)


@pytest.mark.parametrize("unit", ["M8[D]", "m8[s]"])
def test_arrays_of_dates_are_no_numbers(unit):
    X = np.arange(16).reshape(8, 2).astype(unit)
    for table in (X, X.tolist(), np.array([[1.0, X[0, 0]]] * 8, dtype=object)):
        with pytest.raises(ValueError, match=r"Column [01] of X holds dates"):
            LinearDiscriminantHead().fit(table, np.arange(8) % 2)


# Text as numbers


TEXTS = {
    "array": lambda X: X.astype(str),
    "objects": lambda X: X.astype(object) * 1,
    "list": lambda X: X.tolist(),
    "frame": lambda X: pd.DataFrame(X.astype(object), columns=[f"c{i}" for i in range(128)]),
}


@pytest.mark.parametrize("form", TEXTS)
@pytest.mark.parametrize(
    "estimator",
    [
        LinearDiscriminantHead(),
        ZeroShotHead(SPEC),
        AdaptiveBackboneEnsemble(SPEC, head="linear"),
        AdaptiveBackboneEnsemble(SPEC, head="linear", unlabeled="ignore"),
    ],
)
def test_numbers_that_are_text_are_refused(table, estimator, form):
    X, y = table
    given = TEXTS[form](X)
    cell = (0, 0) if form == "array" else (2, 5)
    if form == "frame":
        given.iloc[2, 5] = "0.5"
    elif form == "list":
        given[2][5] = "0.5"
    elif form == "objects":
        given[2, 5] = "0.5"
    name = r" \('c5'\)" if form == "frame" else ""
    message = rf"X holds text: row {cell[0]}, column {cell[1]}{name} is '.*X.astype\(float\)"
    with pytest.raises(ValueError, match=message):
        estimator.fit(given, y)
    estimator.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it was fitted without names
        with pytest.raises(ValueError, match=message):
            estimator.predict(given)


def test_numbers_as_objects_are_numbers(table):
    X, y = table
    expected = LinearDiscriminantHead().fit(X.astype(float), y).predict(X)
    for some in (X.astype(float).astype(object), X.astype(float).tolist()):
        assert_array_equal(LinearDiscriminantHead().fit(some, y).predict(some), expected)


# Labels


@pytest.mark.parametrize("kind", [list, lambda y: np.array(y, object), pd.Series])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, "a"], r"y mixes types: a number in row 0 \(0\) and a string in row 1 \('a'\)"),
        (["a", True], r"a string in row 0 \('a'\) and a number in row 1 \(True\)"),
        (["a", {}], r"Label {} of y, in row 1, is of type dict"),
        ([b"a", "b"], r"Label b'a' of y, in row 0, is of type bytes.*label.decode\(\) for label"),
        ([torch.tensor(0), torch.tensor(1)], r"of type Tensor.*\[label\.item\(\) for label in"),
        ([date(2026, 1, 1), date(2026, 1, 2)], r"in row 0, is of type date.*\[str\(label\) for"),
        ([0, 1], r"y holds numbers as objects, such as 0 in row 0: pass y.astype\(int\)"),
        ([False, True], r"objects, such as False in row 0: pass y.astype\(bool\)"),
        ([0.5, 1], r"Unknown label type: continuous.* The first such label is 0.5, in row 0"),
        (["a", None], r"y has no label for \d+ of \d+ rows; the first is row 1, with (None|nan)"),
    ],
)
def test_labels_that_are_none_are_named_by_row(table, kind, labels, message):
    X, y = table
    y, labels = kind([labels[i % 2] for i in range(len(y))]), labels[0]
    if labels == 0.5 and not isinstance(y, list):
        y = y.astype(float)
    if labels == 0 and "objects" in message:
        y = pd.Series(list(y), dtype=object)
    for estimator in (
        LinearDiscriminantHead(),
        ZeroShotHead(SPEC),
        AdaptiveBackboneEnsemble(SPEC, head="linear"),
    ):
        with pytest.raises(ValueError, match=message):
            estimator.fit(X, y)
    pipeline = make_backbone_pipeline(SPEC, head="linear")
    with pytest.raises(ValueError, match=message):  # before an image is read
        pipeline.fit(["no_such.png"] * len(y), y)


@pytest.mark.parametrize("dtype", ["datetime64[D]", "timedelta64[D]", "S1"])
def test_labels_of_a_dtype_that_no_label_has_are_refused(table, dtype):
    X, y = table
    codes = np.arange(len(y)) % 2
    with pytest.raises(ValueError, match=r"y has dtype .*np.asarray\(y\).astype\(str\) makes"):
        LinearDiscriminantHead().fit(X, codes.astype(dtype))
    LinearDiscriminantHead().fit(X, codes.astype(dtype).astype(str))


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="needs numpy 2")
def test_labels_in_the_variable_width_strings_of_numpy(table):
    X, y = table
    strings = y.astype(np.dtypes.StringDType(na_object=None))
    clf = AdaptiveBackboneEnsemble(SPEC, head="linear", unlabeled="ignore")
    expected = clone(clf).fit(X, y)
    assert_array_equal(clone(clf).fit(X, strings).predict(X), expected.predict(X))
    assert expected.score(X, strings) == expected.score(X, y)
    strings[0] = None
    some = np.where(np.arange(len(y)) == 0, None, y.astype(object))
    assert_array_equal(clf.fit(X, strings).predict(X), clone(clf).fit(X, some).predict(X))


@pytest.mark.parametrize("labels", [["a", "b"], [0, 1]])
def test_labels_may_be_a_table_of_one_column(table, labels):
    X, _ = table
    y = [labels[i % 2] for i in range(len(X))]
    some, dtype = [None, *y[1:]], {str: "string", int: "Int64"}[type(y[0])]
    clf = AdaptiveBackboneEnsemble(SPEC, head="linear", unlabeled="ignore")
    for make in (
        lambda column: polars.DataFrame({"label": column}),
        lambda column: pa.table({"label": column}),
        lambda column: pd.DataFrame({"label": pd.array(column, dtype)}),
    ):
        for column in (y, some):
            with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
                found = clone(clf).fit(X, make(column))
            expected = clone(clf).fit(X, column)
            assert repr(found.predict(X).tolist()) == repr(expected.predict(X).tolist())
            assert found.score(X, make(y)) == expected.score(X, y)
    several = list(zip(y, y, strict=True))
    for one in (polars.DataFrame({"label": y, "other": y}), np.array(several)):
        with pytest.raises(ValueError, match=rf"y has shape \({len(y)}, 2\), where one label for"):
            clf.fit(X, one)
    for one in (several, pd.Series(several), [y[:1], *several[1:]]):
        with pytest.raises(ValueError, match=r"y has .* in row [01], where one label for"):
            clf.fit(X, one)


@pytest.mark.parametrize("labels", [["a", "b"], [0, 1], [True, False], [0.0, 1.0]])
@pytest.mark.parametrize("kind", [list, np.array, pd.Series, pd.Categorical])
def test_labels_of_one_type_are_let_through(table, kind, labels):
    X, _ = table
    y = kind([labels[i % 2] for i in range(len(X))])
    assert len(LinearDiscriminantHead().fit(X, y).classes_) == 2


# Classes for objects, and vectors in cells


def test_a_class_in_place_of_an_object_is_named(table):
    X, y = table
    images = load_emoji(min_class_size=60).filenames[::4]
    told = r"\(an instance, not a class\).* Got <class"
    with pytest.raises(ValueError, match=f"'cv' parameter .*{told}"):
        make_backbone_pipeline(SPEC, cv=StratifiedKFold).fit(["no_such.png"] * len(y), y)
    with pytest.raises(ValueError, match=f"'estimator' parameter .*{told}"):
        BackboneSelector(estimator=LogisticRegression).fit(X, y)
    with pytest.raises(TypeError, match=r"is the class LogisticRegression. Make one of it: add"):
        make_backbone_pipeline(SPEC, estimator=LogisticRegression).fit(images, y)
    with pytest.raises(TypeError, match="estimator is the class AdaptiveBackboneEnsemble"):
        compare_with_baselines(AdaptiveBackboneEnsemble, X, y)
    with pytest.raises(TypeError, match=r"baselines\['lr'\] is the class LogisticRegression"):
        baselines = {"lr": LogisticRegression}
        compare_with_baselines(AdaptiveBackboneEnsemble(), X, y, baselines=baselines)


def test_vectors_in_cells_are_no_table(table):
    X, y = table
    rows = np.empty(len(X), object)
    rows[:] = list(X)
    frame = pd.DataFrame({"embedding": rows})
    lists = polars.DataFrame({"embedding": [row.tolist() for row in X]})
    head = LinearDiscriminantHead()
    for cells, column in [
        (frame, "X['embedding']"),
        (lists, "X['embedding']"),
        (polars.DataFrame({"embedding": X}), "X['embedding']"),
        (frame["embedding"], "X"),
        (rows, "X"),
        (rows[:, None], "X[:, 0]"),
    ]:
        with pytest.raises(ValueError, match="row 0 has 128 values in one cell"):
            head.fit(cells, y)
        with pytest.raises(ValueError, match=re.escape(f"np.stack({column})")):
            clone(head).fit(X, y).predict(cells)
        assert_array_equal(np.stack(eval(column, {"X": cells})), X)


@pytest.mark.parametrize(
    "cells",
    [
        pd.cut(np.arange(8), 3),
        [uuid.UUID(int=i) for i in range(8)],
        [{"width": i} for i in range(8)],
        [10**400] * 8,
        [1j] * 8,
    ],
)
def test_objects_that_are_no_numbers_are_named(cells):
    X, y = pd.DataFrame({"price": np.sin(np.arange(8.0))}), np.arange(8) % 2
    X["kind"] = pd.Series(cells, dtype=object)
    head = LinearDiscriminantHead()
    for call in (head.fit, clone(head).fit(np.eye(8)[:, :2], y).score):
        with pytest.raises((TypeError, OverflowError), match=r"Row 0, column 1 \('kind'\) of X is"):
            call(X.astype(object), y)


def test_a_missing_class_of_partial_fit_is_named(table):
    X, y = table
    with pytest.raises(ValueError, match="classes has no label for 1 of 3 rows"):
        LinearDiscriminantHead().partial_fit(X, y, classes=[*np.unique(y), None])


def test_a_cascade_takes_an_embedder_of_one_backbone(table):
    images = load_emoji(min_class_size=60).filenames[::4]
    clf = CascadeClassifier(SPEC, embedder=MultiBackboneEmbedder(SPEC))
    with pytest.raises(ValueError, match=r"'embedder' .* must be .*'skclipens.*CLIPEmbedder'"):
        clf.fit(images, table[1])

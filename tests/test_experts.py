"""Tests of what blocks and heads may be: the experts that an ensemble makes of them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder, ZeroShotHead
from skclipens.datasets import load_emoji

WIDTH = 128
BACKBONES = ["zoo/RN20", "zoo/ViT-8", "zoo/ViT-16"]


@pytest.fixture(scope="module")
def pictures():
    """A frame of 40 pictures of 4 classes."""
    return load_emoji(as_frame=True).frame.groupby("label").head(10).head(40)


@pytest.fixture(scope="module")
def frame(pictures):
    embedder = MultiBackboneEmbedder(BACKBONES).set_output(transform="pandas")
    return embedder.fit_transform(pictures["path"])


@pytest.fixture(scope="module")
def X(frame):
    return frame.to_numpy()


@pytest.fixture(scope="module")
def y(pictures):
    return pictures["label"].to_numpy()


def make(blocks=BACKBONES, **parameters):
    """An ensemble that is quick to fit."""
    defaults = dict(head="linear", router="static", random_state=0, cv=2)
    return AdaptiveBackboneEnsemble(blocks, **{**defaults, **parameters})


def columns_of(block):
    return slice(WIDTH * block, WIDTH * (block + 1))


# Blocks


def test_blocks_may_be_written_in_many_ways(frame, X, y):
    expected = make(BACKBONES).fit(X, y)
    mask = np.arange(3 * WIDTH) < WIDTH
    pairs = [(name, columns_of(b)) for b, name in enumerate(BACKBONES)]
    first = {
        "mask": mask,
        "list": mask.tolist(),
        "positions": np.flatnonzero(mask),
        "names": frame.columns[mask],
        "one by one": list(frame.columns[mask]),
    }
    ways = {
        "tuple": tuple(BACKBONES),
        "frame": None,
        "slices": pairs,
        **{key: [(BACKBONES[0], columns), *pairs[1:]] for key, columns in first.items()},
    }
    for way, blocks in ways.items():
        clf = make(blocks).fit(frame, y)
        assert list(clf.expert_names_) == BACKBONES, way
        assert_array_equal(clf.predict_proba(frame), expected.predict_proba(X), err_msg=way)


def test_a_table_without_names_is_one_block(X, y):
    clf = make(None).fit(X[:, :20], y)
    assert [(name, list(columns)) for name, _, columns in clf.experts_] == [("all", [*range(20)])]


def test_blocks_are_found_behind_a_column_transformer(frame, y):
    table = frame.iloc[:, : 2 * WIDTH].assign(weight=np.arange(40.0), price=1.0)
    embedding = list(table.columns[: 2 * WIDTH])
    columns = ColumnTransformer(
        [("image", "passthrough", embedding), ("rest", "passthrough", ["weight", "price"])]
    ).set_output(transform="pandas")
    clf = make(None, head="auto").fit(columns.fit_transform(table), y)
    images = [f"image__{name}" for name in BACKBONES[:2]]
    assert list(clf.expert_names_) == [
        *(f"{name}:residual" for name in images),
        "other:linear",
        "all:linear-all",
    ]
    widths = [len(columns) for _, _, columns in clf.experts_]
    assert widths == [WIDTH, WIDTH, 2, 2 * WIDTH + 2]


@pytest.mark.parametrize(
    "blocks, message",
    [
        (BACKBONES[:2], r"X has 384 features, but .*zoo/ViT-8 \(128\) have 256 columns"),
        (["zoo/RN21"], "The zoo has no model 'RN21'"),
        ([], "backbones is empty"),
        ([("a", slice(0, 2)), "zoo/RN20"], "not a mix; 'zoo/RN20' is not a pair"),
        ([("a", slice(0, 2)), ("a", slice(2, 4))], "names of blocks must differ; got a, a"),
        ([("a", slice(700, 710))], "Block 'a' has no columns"),
        ([("a", [0, 384])], "Block 'a': .*; X has 384 columns"),
        ([("a", np.ones(3, bool))], "Block 'a': .*; X has 384 columns"),
        ([("a", ["price"])], "Block 'a' names its columns, but X has no column names"),
    ],
)
def test_blocks_that_do_not_fit_are_clear_errors(blocks, message, X, y):
    with pytest.raises(ValueError, match=message):
        make(blocks).fit(X, y)


def test_unknown_column_name_is_a_clear_error(frame, y):
    with pytest.raises(ValueError, match="Block 'a': X has no column 'price'"):
        make([("a", ["price"])]).fit(frame, y)


# Heads


def test_auto_heads(X, y):
    assert list(make(head="auto").fit(X, y).expert_names_) == [
        *(f"{name}:residual" for name in BACKBONES),
        "all:linear-all",
    ]
    one = make(["zoo/RN20"], head="auto").fit(X[:, :WIDTH], y)
    assert list(one.expert_names_) == ["zoo/RN20:residual", "zoo/RN20:linear"]
    halves = [("left", slice(0, 10)), ("right", slice(10, 20))]
    table = make(halves, head="auto").fit(X, y)
    assert list(table.expert_names_) == ["left:linear", "right:linear", "all:linear-all"]


def test_a_pool_of_classifiers_names_each(X, y):
    heads = ["linear", GaussianNB(), LogisticRegression(C=1), LogisticRegression(C=9)]
    clf = make([("a", slice(0, 10)), ("b", slice(10, 30))], head=heads).fit(X, y)
    labels = ["linear", "gaussiannb", "logisticregression-1", "logisticregression-2"]
    assert list(clf.expert_names_) == [f"{b}:{label}" for label in labels for b in "ab"]
    assert [getattr(head, "C", None) for _, head, _ in clf.experts_[-4:]] == [1, 1, 9, 9]
    assert not hasattr(heads[1], "classes_")


def test_triples_are_exactly_the_experts(frame, y):
    names = list(frame.columns[3:5])
    heads = [
        ("prompts", ZeroShotHead("zoo/ViT-8"), "zoo/ViT-8"),
        ("few", GaussianNB(), slice(0, 3)),
        ("named", LogisticRegression(), names),
    ]
    clf = make(head=heads).fit(frame, y)
    assert list(clf.expert_names_) == ["prompts", "few", "named"]
    columns = [list(columns) for _, _, columns in clf.experts_]
    assert columns == [[*range(128, 256)], [0, 1, 2], [3, 4]]


def test_triples_may_use_columns_that_no_block_has(X, y):
    clf = make([("a", slice(0, 4))], head=[("last", GaussianNB(), [-1])]).fit(X, y)
    assert list(clf.experts_[0].columns) == [383]


@pytest.mark.parametrize(
    "head, message",
    [
        ("probe", "head='probe' is unknown"),
        (["linear", "probe"], "head='probe' is unknown"),
        (["linear", ("a", GaussianNB(), [0])], r"head=\('a', .* is unknown"),
        ([], "head is an empty list"),
        ([("a", GaussianNB(), [0]), ("a", GaussianNB(), [1])], "names of experts must differ"),
        ([("a", GaussianNB(), [384])], "Expert 'a': .*; X has 384 columns"),
    ],
)
def test_heads_that_are_unknown_are_clear_errors(head, message, X, y):
    with pytest.raises(ValueError, match=message):
        make(head=head).fit(X, y)


def test_zero_shot_needs_blocks_that_are_backbones(X, y):
    with pytest.raises(ValueError, match="needs blocks that are named after backbones; got a, b"):
        make([("a", [0]), ("b", [1])], head="zero-shot").fit(X, y)


def test_a_head_needs_one_score_per_class(X, y):
    """One-against-one scores of an SVC are for pairs of classes."""
    head = SVC(decision_function_shape="ovo")
    with pytest.raises(ValueError, match=r"scores for .* classes"):
        AdaptiveBackboneEnsemble(BACKBONES, head=head).fit(X, y)

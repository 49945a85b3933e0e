"""Tests of what blocks and heads may be: the experts that an ensemble makes of them."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from _models import FitGivesNone, ProbaBackwards, ScoresBackwards
from _said import no_warning, said
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.utils import estimator_html_repr

from skclipens import (
    AdaptiveBackboneEnsemble,
    CLIPEmbedder,
    KernelHead,
    MultiBackboneEmbedder,
    ResidualHead,
    ZeroShotHead,
    zoo,
)
from skclipens.backbones import Backbone
from skclipens.datasets import load_emoji
from skclipens.ensemble import MixtureRouter, StaticRouter, _routing
from skclipens.ensemble.routers import ROUTERS

pytestmark = pytest.mark.usefixtures("short_training")

WIDTH = 128
BACKBONES = ["zoo/RN20", "zoo/ViT-8", "zoo/ViT-16"]


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


def test_names_of_columns_that_are_tuples_are_to_be_joined(frame, y):
    levels = frame.set_axis(frame.columns.str.split("__", expand=True), axis=1)
    blocks = [("a", [name for name in levels.columns if name[0] == BACKBONES[0]])]
    with pytest.raises(ValueError, match=r"no column names that are strings.* a MultiIndex, join"):
        make(blocks).fit(levels, y)
    joined = levels.set_axis(levels.columns.map("__".join), axis=1)
    assert make(None).fit(joined, y).expert_names_.tolist() == BACKBONES


def test_a_table_without_names_is_one_block(X, y):
    clf = make(None).fit(X[:, :20], y)
    ((name, _, block),) = clf.experts_
    assert (name, list(block.columns), block.backbone) == ("all", [*range(20)], None)


def test_blocks_are_found_behind_a_column_transformer(frame, y):
    table = frame.iloc[:, : 2 * WIDTH].assign(weight=np.arange(40.0), price=1.0)
    embedding = list(table.columns[: 2 * WIDTH])
    columns = ColumnTransformer(
        [("image", "passthrough", embedding), ("rest", "passthrough", ["weight", "price"])]
    ).set_output(transform="pandas")
    clf = make(None, head="auto").fit(columns.fit_transform(table), y)
    images = [f"image__{name}" for name in BACKBONES[:2]]
    assert list(clf.expert_names_) == [
        *(f"{name}:{head}" for head in ("zero-shot", "kernel") for name in images),
        "other:linear",
        "other:forest",
        "all:linear-all",
    ]
    widths = [len(block.columns) for _, _, block in clf.experts_]
    assert widths == [*4 * [WIDTH], 2, 2, 2 * WIDTH + 2]


def test_a_name_of_a_directory_may_have_the_sign_of_a_prefix(tmp_path, y):
    own, of_zoo = tmp_path / "my__models" / "run__1", Path(zoo.__file__).parent
    shutil.copytree(of_zoo / "weights" / "ViT-16", own)
    shutil.copy(of_zoo / "vocabulary.txt.gz", own.parent.parent)
    paths = pd.DataFrame({"photo": load_emoji(return_X_y=True)[0][:40]})
    columns = ColumnTransformer([("image", CLIPEmbedder(str(own)), "photo")])
    table = columns.set_output(transform="pandas").fit_transform(paths)
    (expert,) = make(None, head="zero-shot").fit(table, y).experts_
    assert expert.block.backbone == Backbone(str(own)).name


@pytest.mark.parametrize(
    "blocks, message",
    [
        (BACKBONES[:2], r"X has 384 features, but .*zoo/ViT-8 \(128\), which have 256 col"),
        (BACKBONES[:1], r"the backbones that made X, pooled features as 'zoo/RN20@pooled', or"),
        (["zoo/RN21"], "The zoo has no model 'RN21'"),
        ([], "blocks is empty; None takes"),
        ([("a", slice(0, 2)), "zoo/RN20"], "not a mix; 'zoo/RN20' is not a pair"),
        ([128] * 3, "not a mix; 128 is not a pair"),
        ([slice(0, 10)], "is not a pair"),
        ([("a", slice(0, 2)), ("a", slice(2, 4))], "names of blocks must differ; got a, a"),
        ([("a", slice(700, 710))], "Block 'a' ends at 710, but X has 384 columns"),
        ([("a", slice("x", "y"))], "Block 'a' is .* Ends of a slice are positions, not names"),
        ([("a", slice(5, 5))], "Block 'a' has no columns"),
        ([("a", [])], "Block 'a' has no columns"),
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
        *(f"{name}:{head}" for head in ("zero-shot", "kernel") for name in BACKBONES),
        "all:linear-all",
    ]
    one = make(["zoo/RN20"], head="auto").fit(X[:, :WIDTH], y)
    assert list(one.expert_names_) == [
        *(f"zoo/RN20:{head}" for head in ("zero-shot", "kernel", "linear")),
    ]
    halves = [("left", slice(0, 10)), ("right", slice(10, 20))]
    table = make(halves, head="auto").fit(X, y)
    assert list(table.expert_names_) == ["left:linear", "right:linear", "all:linear-all"]


def test_columns_of_a_backbone_that_lacks_some_get_no_prompts(frame, y):
    message = r"X has 127 of the 128 columns of 'zoo/RN20', .* count as other columns"
    with pytest.warns(UserWarning, match=message):
        clf = AdaptiveBackboneEnsemble().fit(frame.drop(columns="zoo/RN20__5"), y)
    assert not [name for name in clf.expert_names_ if "zoo/RN20" in name and "zero-shot" in name]
    assert [name for name in clf.expert_names_ if "zoo/ViT-16" in name and "zero-shot" in name]


def test_columns_of_backbones_that_lack_some_are_told_as_such(frame, y):
    some = frame.drop(columns=[f"{name}__5" for name in BACKBONES])
    with pytest.warns(UserWarning) as caught:
        AdaptiveBackboneEnsemble(head="linear").fit(some, y)
    for one, name in zip(caught, BACKBONES, strict=True):
        assert f"127 of the 128 columns of {name!r}" in str(one.message)
    message = f"blocks names .* but X has only 127 of the 128 columns of {BACKBONES[0]!r}. Pass all"
    with pytest.warns(UserWarning), pytest.raises(ValueError, match=message):
        AdaptiveBackboneEnsemble(BACKBONES).fit(some, y)
    others = frame.drop(columns=[f"{name}__5" for name in BACKBONES[1:]])
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="these backbones alone"):
        AdaptiveBackboneEnsemble(BACKBONES[:1]).fit(others, y)


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
    columns = [list(block.columns) for _, _, block in clf.experts_]
    assert columns == [[*range(128, 256)], [0, 1, 2], [3, 4]]


def test_triples_may_use_columns_that_no_block_has(X, y):
    clf = make([("a", slice(0, 4))], head=[("last", GaussianNB(), [-1])]).fit(X, y)
    assert list(clf.experts_[0].block.columns) == [383]


@pytest.mark.parametrize("kind", ["kernel-all", "linear-all"])
def test_whole_blocks_among_columns_of_a_triple_are_known(kind, frame, y):
    """As if the head had got all blocks; in any order, with other columns anywhere."""
    price = np.random.default_rng(0).normal(scale=50, size=(2, len(y)))
    both = frame.assign(price=price[0], offer=price[1])
    table = both if kind == "linear-all" else frame
    expected = make(None, head=kind).fit(table, y)
    clf = make(None, head=[("all", kind, slice(None))]).fit(table, y)
    assert_array_equal(clf.predict_proba(table), expected.predict_proba(table))
    names = ["offer", *frame.columns[WIDTH:], "price", *frame.columns[: WIDTH - 1]]
    clf = make(None, head=[("some", kind, names)]).fit(both, y)
    (expert,) = clf.experts_
    assert list(both.columns[expert.block.columns]) == names
    backbones = [part.backbone for part in expert.block.parts]
    assert backbones == [None, *BACKBONES[1:], None]
    assert [len(part.columns) for part in expert.block.parts] == [1, WIDTH, WIDTH, WIDTH]
    if kind == "kernel-all":
        assert len(expert.head.text_heads_) == 2
    one = make(None, head=[("one", "zero-shot", slice(WIDTH))]).fit(table, y)
    assert one.experts_[0].head.backbone == BACKBONES[0]


def test_a_kernel_head_as_an_object_has_the_blocks_of_its_name(frame, y):
    pooled = {
        f"{name}@pooled__{i}": frame[f"{name}__{i}"] ** 2 for name in BACKBONES for i in (1, 2)
    }
    table = frame.assign(**pooled)
    named = make(None, head="kernel").fit(table, y)
    given = make(None, head=KernelHead()).fit(table, y)
    assert len(given.experts_) == len(BACKBONES)
    assert_array_equal(given.predict_proba(table), named.predict_proba(table))


def test_what_auto_has_already_is_not_made_again(frame, y):
    table = frame.assign(price=np.random.default_rng(0).normal(size=len(y)))
    auto = list(make(None, head="auto").fit(table, y).expert_names_)
    for kind in ("linear", "forest"):
        clf = make(None, head=["auto", kind]).fit(table, y)
        assert list(clf.expert_names_) == [*auto, *(f"{name}:{kind}" for name in BACKBONES)]
    assert list(make(None, head=["auto", "kernel"]).fit(table, y).expert_names_) == auto


@pytest.mark.parametrize("columns", [slice(100), slice(WIDTH - 1, None, -1), slice(2 * WIDTH)])
@pytest.mark.parametrize("kind", ["zero-shot", ResidualHead()])
def test_a_triple_with_prompts_needs_a_whole_block(columns, kind, frame, X, y):
    message = "'a' starts from prompts, .* no whole block, .* as its columns: 'zoo/RN20', "
    with pytest.raises(ValueError, match=message):
        make(None, head=[("a", kind, columns)]).fit(frame, y)
    with pytest.raises(ValueError, match="Name the blocks after their backbones"):
        make(None, head=[("a", kind, columns)]).fit(X, y)


@pytest.mark.parametrize(
    "head, message",
    [
        ([("a", "auto", [0])], "head 'a' is 'auto', which .* Leave the columns out"),
        ("probe", "head='probe' is unknown"),
        (["linear", "probe"], "head='probe' is unknown"),
        ([()], "is none of these"),
        (["linear", ("a", GaussianNB(), [0], 1)], r"\('a', .* is none of these"),
        ([("a__b", GaussianNB())], "name of a head must not contain '__'; got 'a__b'"),
        (GaussianNB, r"'head' parameter .* \(an instance, not a class\)"),
        ([GaussianNB], r"head=<class .* is unknown.* \(an instance, not a class\)"),
        ([], "head is an empty list"),
        ([("a", GaussianNB(), [0]), ("a", GaussianNB(), [1])], "names of experts must differ"),
        ([("a", GaussianNB(), [384])], "Expert 'a': .*; X has 384 columns"),
    ],
)
def test_heads_that_are_unknown_are_clear_errors(head, message, X, y):
    with pytest.raises(ValueError, match=message):
        make(head=head).fit(X, y)


def test_zero_shot_needs_blocks_that_are_backbones(X, y):
    with pytest.raises(ValueError, match="needs blocks that are embeddings of backbones; got a, b"):
        make([("a", [0]), ("b", [1])], head="zero-shot").fit(X, y)


def test_a_head_whose_fit_returns_nothing(X, y):
    one, other = (make(head=kind()).fit(X, y) for kind in (FitGivesNone, LogisticRegression))
    assert_array_equal(one.predict_proba(X), other.predict_proba(X))


class ScoresAs(GaussianNB):
    """Scores rows by a function of the logarithms of its probabilities."""

    def __init__(self, kind=None):
        super().__init__()
        self.kind = kind

    def decision_function(self, X):
        return self.kind(self.predict_log_proba(X))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (lambda logits: logits[:-1], r"gives scores of \d+ rows for \d+ rows; .*check_head"),
        (lambda logits: logits.astype(str), "ScoresAs.decision_function gives values of type <U"),
        (lambda logits: np.array(["cat"] * len(logits)), r"<U3, not numbers, such as \['cat'\]"),
        (lambda logits: logits.astype(object), "gives values of type object, not numbers"),
    ],
)
def test_scores_that_are_no_numbers_of_each_row_are_clear_errors(kind, message, X, y):
    with pytest.raises(ValueError, match=message):
        make([("all", slice(None))], head=ScoresAs(kind)).fit(X, y)


class WithoutMask(GaussianNB):
    """Gives held-out logits alone."""

    def cross_fit(self, X, y, folds=None):
        return self.fit(X, y).predict_log_proba(X)


def test_a_cross_fit_without_a_mask_is_a_clear_error(X, y):
    with pytest.raises(ValueError, match="must return two arrays: held-out logits, and a mask"):
        make([("all", slice(None))], head=WithoutMask()).fit(X, y)


def test_a_head_needs_one_score_per_class(X, y):
    """One-against-one scores of an SVC are for pairs of classes."""
    head = SVC(decision_function_shape="ovo")
    with pytest.raises(ValueError, match=r"scores for .* classes.*decision_function_shape='ovr'"):
        AdaptiveBackboneEnsemble(BACKBONES, head=head).fit(X, y)


@pytest.mark.parametrize("frozen", [False, True])
def test_scores_of_the_three_pairs_of_three_classes_are_an_error(frozen, X, y):
    rows = np.isin(y, np.unique(y)[:3])
    X, y = X[rows], y[rows]
    wrong, right = (SVC(decision_function_shape=one).fit(X[:, :2], y) for one in ("ovo", "ovr"))
    if frozen:
        wrong, right = FrozenEstimator(wrong), FrozenEstimator(right)
    with pytest.raises(ValueError, match=r"'svc' predicts another class .*shape='ovr'"):
        make(head=[("svc", wrong, [0, 1])]).fit(X, y)
    make(head=[("svc", right, [0, 1])]).fit(X, y)


@pytest.mark.parametrize("head", [ProbaBackwards(), ScoresBackwards()])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("frozen", [False, True])
def test_classes_of_a_head_may_be_in_any_order(head, n_classes, frozen, X, y):
    rows = np.isin(y, np.unique(y)[:n_classes])
    X, y = X[rows], y[rows]
    expected, of_head = LogisticRegression(), head
    if frozen:
        expected, of_head = (FrozenEstimator(clone(one).fit(X, y)) for one in (expected, head))
    found, expected = (
        make([("all", slice(None))], head=one, cv=3).fit(X, y) for one in (of_head, expected)
    )
    assert_allclose(found.predict_proba(X), expected.predict_proba(X), atol=1e-3)


def test_classes_of_a_head_are_labels_of_y(X, y):
    class Numbering(ProbaBackwards):
        def fit(self, X, y):
            super().fit(X, y).classes_ = np.arange(4)
            return self

    class Nameless(ProbaBackwards):
        def fit(self, X, y):
            del super().fit(X, y).classes_
            return self

    with pytest.raises(ValueError, match="The classes_ of expert 'zoo/RN20' have 0, "):
        make(head=Numbering()).fit(X, y)
    with pytest.raises(ValueError, match="Expert 'zoo/RN20' has no classes_ after fit"):
        make(head=Nameless()).fit(X, y)


def test_amounts_as_labels_are_doubted(X, y):
    amounts, codes = np.arange(len(y)) * 3.0 + 5, np.arange(len(y)) // 2
    prices = np.array([f"{13 * i}.{i:03} €" for i in range(len(y))])
    models = np.array([f"A{13 * i}" for i in range(len(y))])
    for labels, is_doubted in ((amounts, 1), (codes, 0), (prices, 1), (models, 0)):
        texts = said(make(head="auto").fit, X, labels)
        assert any("If y holds amounts, of which" in text for text in texts) == is_doubted


def test_a_list_may_hold_all_there_is(X, y):
    heads = ["zero-shot", GaussianNB(), ("probe", LogisticRegression(C=3)), ("one", SVC(), [0, 1])]
    clf = make(BACKBONES[:1], head=heads).fit(X[:, :WIDTH], y)
    kinds = ["zero-shot", "gaussiannb", "probe"]
    assert list(clf.expert_names_) == [*(f"zoo/RN20:{kind}" for kind in kinds), "one"]


# Parts that a search reaches


def test_parameters_of_a_list_of_heads_are_nested(X, y):
    clf = make(head=["linear", LogisticRegression(), ("nb", GaussianNB()), ("one", SVC(), [0])])
    params = clf.get_params()
    assert params["logisticregression__C"] == 1
    assert {"nb", "nb__var_smoothing", "one", "one__C"} <= set(params)
    assert "linear" not in params
    original = list(clf.head)
    clf.set_params(logisticregression__C=7, nb=LogisticRegression(), one__C=3)
    clf.set_params(nb__C=5)
    found = {name: head for name, head, _ in clf.fit(X, y).experts_}
    assert found["zoo/RN20:logisticregression"].C == 7
    assert found["zoo/RN20:nb"].C == 5
    assert found["one"].C == 3
    assert isinstance(original[2][1], GaussianNB)  # the caller's list is the caller's
    assert clone(clf).get_params()["nb__C"] == 5
    with pytest.raises(ValueError, match="Invalid parameter 'other' for estimator"):
        clf.set_params(other__C=1)
    for written, meant in (("head__nb__C", "nb__C"), ("head__C", "NAME__C")):
        with pytest.raises(ValueError, match=f"head is a list, so {written} .* as {meant}"):
            clf.set_params(**{written: 1})
    for owner, given in (("head", "residual"), ("router", "static")):
        clf = make("zoo").set_params(**{owner: given})
        message = f"{owner} is '{given}', a name, so {owner}__alpha cannot be set: give an object"
        with pytest.raises(ValueError, match=message):
            clf.set_params(**{f"{owner}__alpha": 1.0})
        with pytest.raises(ValueError, match=message):
            clf.set_params(**{owner: given, f"{owner}__alpha": 1.0})


def test_a_named_head_of_a_list_may_be_a_string(X, y):
    clf = make(BACKBONES[:1], head=[("prompts", ZeroShotHead()), ("learned", "linear")])
    for head in ("residual", ZeroShotHead(), "zero-shot"):
        assert clf.set_params(prompts=head).get_params()["prompts"] is head
    assert clf.head == [("prompts", "zero-shot"), ("learned", "linear")]
    with pytest.raises(ValueError, match="learned is 'linear', a name, so learned__cv cannot be"):
        clf.set_params(learned__cv=3)
    clf.set_params(learned=LogisticRegression(), learned__C=3).fit(X[:, :WIDTH], y)
    assert [one.name for one in clf.experts_] == ["zoo/RN20:prompts", "zoo/RN20:learned"]
    assert clf.experts_[1].head.C == 3
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(clf, {"learned": ["linear", "linear-probe"]}, cv=2)
        scores = search.fit(X[:, :WIDTH], y).cv_results_["mean_test_score"]
    assert (scores > 0.5).all()
    with pytest.raises(ValueError, match="A head is named 'cv', which is a parameter"):
        make(BACKBONES[:1], head=[("cv", "zero-shot")]).fit(X[:, :WIDTH], y)


@pytest.mark.parametrize("inner", ["linear", KernelHead(), ["residual", "linear"]])
def test_an_ensemble_as_head_has_blocks_of_its_own(inner, X, y):
    half = X.shape[1] // 2
    own = BACKBONES[0] if isinstance(inner, list) else None
    columns = slice(WIDTH) if own else slice(half)
    head = AdaptiveBackboneEnsemble(own, head=inner)
    clf = make([("x", columns), ("z", slice(half, None))], head=[("inner", head, "x"), "linear"])
    inner_head = clf.fit(X, y).experts_[0].head
    assert inner_head.blocks == own
    assert inner_head.score(X[:, columns], y) > 0.8


def test_one_search_compares_every_rule_of_the_paper(pictures, y, tmp_path):
    X = MultiBackboneEmbedder("zoo").fit_transform(pictures["path"])
    rules = ["shrunk", "static", "uniform", "nlc", "confidence", "super-learner", "genetic"]
    rules += ["mixture", "vote", "vote-3", "probability"]
    grid = {"router": rules, "head": ["zero-shot", ["zero-shot", "linear"]]}
    search = GridSearchCV(make("zoo", memory=str(tmp_path)), grid, cv=2, error_score="raise")
    search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == 22
    assert scores.min() > 1 / 4
    assert search.score(X, y) >= scores.max() - 1 / len(y)
    alone = make("zoo").set_params(**search.best_params_).fit(X, y)
    assert_array_equal(search.predict_proba(X), alone.predict_proba(X))


# Labels without names


@pytest.mark.parametrize("as_labels", [lambda codes: codes, lambda codes: codes > 1])
def test_labels_that_name_no_class_get_heads_that_need_no_names(as_labels, X, y):
    labels = as_labels(np.unique(y, return_inverse=True)[1])
    with pytest.warns(UserWarning, match="does not say what its class is, so 'zoo/RN20'") as caught:
        clf = make(head="auto").fit(X, labels)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    advice = f"or a mapping, such as {{{labels[0].item()!r}: 'cat', ...}}; or choose heads that"
    assert advice in str(caught[0].message)
    # A meta-estimator numbers labels from 0 on.
    assert ("StackingClassifier" in str(caught[0].message)) == (labels.dtype != bool)
    first = np.unique(labels, return_index=True)[1]  # one row per class
    with pytest.warns(UserWarning, match="does not say what its class is, so 'zoo/RN20'"):
        make(head="auto").fit(X[first], labels[first])
    kinds = [*(f"{name}:kernel" for name in BACKBONES), "all:linear-all"]
    assert list(clf.expert_names_) == kinds
    with no_warning():
        chosen = make(head=["kernel", "linear-all"]).fit(X, labels)
        make(head="linear").fit(X, labels)
        make([("a", slice(0, 9))], head="auto").fit(X, labels)  # no text tower to use
        names = ["zero", "one", "two", "three"][: labels.max() + 1]
        named = make(head="auto", class_names=names).fit(X, labels.astype(int))
    assert "zoo/RN20:zero-shot" in named.expert_names_
    assert_array_equal(chosen.predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize("as_labels", [lambda codes: codes, lambda codes: codes > 1])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_head_may_have_the_names_of_classes_itself(as_labels, wrapped, X, y):
    """As if the ensemble had them."""
    labels = as_labels(np.unique(y, return_inverse=True)[1])
    names = dict(zip(np.unique(labels).tolist(), ["cat", "dog", "owl", "car"], strict=False))
    heads = [KernelHead(), KernelHead(class_names=names)]
    if wrapped:
        heads = [CalibratedClassifierCV(head, cv=2) for head in heads]
    expected = make(head=heads[0], class_names=names).fit(X, labels)
    found = make(head=heads[1]).fit(X, labels)
    assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


# As a step of another model


def test_transform_stacks_the_calibrated_logits_of_the_experts(frame, y):
    clf = make(head=["zero-shot", "linear"])
    with pytest.raises(NotFittedError):
        clf.get_feature_names_out()
    Z = clf.fit(frame, y).transform(frame)
    assert Z.shape == (40, 6 * 4)
    logits = Z.reshape(40, 6, 4)
    assert_allclose(softmax(logits, axis=2), clf.expert_proba(frame), rtol=1e-5)
    names = clf.get_feature_names_out()
    assert list(names[:2]) == ["zoo/RN20:zero-shot__" + name for name in np.unique(y)[:2]]
    table = clf.set_output(transform="pandas").transform(frame)
    assert list(table.columns) == list(names)
    assert_array_equal(table.to_numpy(), Z)


def test_stacks_below_a_final_model(X, y):
    stacked = make_pipeline(make(head=["linear", "linear-all"]), LogisticRegression())
    assert cross_val_score(stacked, X, y, cv=2).min() > 0.35


def test_logarithms_of_probabilities(X, y):
    clf = make().fit(X, y)
    assert_allclose(np.exp(clf.predict_log_proba(X)), clf.predict_proba(X), rtol=1e-4)


# What a user sees


def test_diagram_shows_heads_and_router(X, y):
    clf = make(head=["linear", ("nb", GaussianNB())])
    for shown in (clf._repr_html_(), estimator_html_repr(clf)):
        for part in ("LinearDiscriminantHead", "GaussianNB", "StaticRouter", "nb"):
            assert part in shown
    assert "zoo/RN20:nb" in estimator_html_repr(clf.fit(X, y))
    for name, router in ROUTERS.items():
        assert type(router).__name__ in estimator_html_repr(make(router=name, head="auto"))


@pytest.mark.usefixtures("bars_at_once")
def test_a_bar_shows_how_far_a_long_fit_is(X, y, capsys):
    router = MixtureRouter(max_iter=2, verbose=True)
    clf = make(head=LogisticRegression(), router=router, verbose=True).fit(X, y)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "fitting heads: 100%" in shown.err
    assert "9/9" in shown.err  # on all rows and on two folds, three backbones each
    assert "MixtureRouter: 100%" in shown.err
    clf.set_params(head="zero-shot", router="mixture").fit(X, y)
    assert "MixtureRouter: 100%" in capsys.readouterr().err
    clf.set_params(head=LogisticRegression(), verbose=False).fit(X, y)
    assert capsys.readouterr() == ("", "")


def test_one_row_of_each_class_leaves_the_heads_on_all_columns_alone(frame, y):
    first = np.unique(y, return_index=True)[1]
    table = frame.assign(price=np.random.default_rng(0).normal(size=len(y)))
    clf = make(None, head="auto")
    learned = [one for one in clf.fit(table.iloc[first], y[first]).experts_ if one.learns]
    assert [one.name for one in learned] == ["all:kernel-all", "other:forest", "all:linear-all"]
    price = table.columns.get_loc("price")
    assert [price in one.block.columns for one in learned] == [False, True, False]
    learned = [one.name for one in clf.fit(table, y).experts_ if one.learns]
    of_blocks = [*(f"{one}:kernel" for one in BACKBONES), "other:linear", "other:forest"]
    assert learned == [*of_blocks, "all:linear-all"]


def test_numbers_that_say_nothing_do_not_drown_pictures(frame, y):
    first = np.unique(y, return_index=True)[1]
    rest = np.setdiff1d(np.arange(len(y)), first)
    noise = np.random.default_rng(0).normal(1000, 300, (len(y), 5))
    table = frame.assign(**{f"price {i}": column for i, column in enumerate(noise.T)})
    clf = make(None, head="auto")
    alone = clf.fit(frame.iloc[first], y[first]).score(frame.iloc[rest], y[rest])
    beside = clf.fit(table.iloc[first], y[first]).score(table.iloc[rest], y[rest])
    assert beside > alone - 0.1


def test_pictures_do_not_outvote_other_columns(frame, y):
    """Where rows are few, half of the weights is shared by the kinds of columns."""
    table = frame.assign(price=np.random.default_rng(0).normal(size=len(y)))
    clf = make(None, head="auto", router=StaticRouter(alpha=1e6)).fit(table, y)
    n, weights = len(clf.experts_), clf.routing_weights(table)[0]
    weights = weights / weights.sum()
    of = dict(zip((one.name for one in clf.experts_), weights, strict=True))
    assert of.pop("all:linear-all") == pytest.approx((1 / n + 1 / 3) / 2, rel=1e-3)
    for name in ("other:linear", "other:forest"):
        assert of.pop(name) == pytest.approx((1 / n + 1 / 6) / 2, rel=1e-3)
    assert_allclose(list(of.values()), (1 / n + 1 / 3 / (n - 3)) / 2, rtol=1e-3)
    clf.fit(frame, y)
    assert_allclose(clf.routing_weights(frame)[0], 1 / (n - 2), rtol=1e-3)


def test_logits_of_pictures_and_numbers_that_tell_different_things_add_up(frame, y, monkeypatch):
    """Their mean is less sure than both together."""
    numbers = np.random.default_rng(0).normal(np.unique(y, return_inverse=True)[1], 0.7)
    table, half = frame.assign(price=numbers), np.arange(len(y)) % 2 == 0
    clf = make(None, head="auto")

    def loss():
        clf.fit(table[half], y[half])
        return log_loss(y[~half], clf.predict_proba(table[~half]))

    found = loss()
    assert clf.router_.weights_.sum() > 1.5
    fitted = _routing._prior_weights
    monkeypatch.setattr(_routing, "_prior_weights", lambda *of: fitted(*of) / fitted(*of).sum())
    assert found < loss() - 0.02

"""What once gave wrong answers without a word: each is right now, or refused by name."""

import importlib
import pickle
import pkgutil
import re
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from _said import said
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_iris
from sklearn.ensemble import IsolationForest, StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    LeaveOneOut,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import skclipens
from skclipens import (
    AdaptiveBackboneEnsemble,
    BackboneSelector,
    CascadeClassifier,
    CascadeEnsemble,
    ImageRetriever,
    MultiBackboneEmbedder,
    make_backbone_pipeline,
)
from skclipens.backbones import resolve_backbones
from skclipens.decomposition import BlockPCA
from skclipens.ensemble import GatedRouter
from skclipens.heads import (
    CLIPAdapterHead,
    LinearDiscriminantHead,
    LinearProbeHead,
    ResidualHead,
    TipAdapterHead,
    ZeroShotHead,
)
from skclipens.labels import (
    OpenSetClassifier,
    find_label_issues,
    group_near_duplicates,
    suggest,
)
from skclipens.model_selection import FewShotSplit, compare_with_baselines
from skclipens.pipeline import BackbonePipeline

BACKBONES = ["zoo/RN20", "zoo/ViT-8"]
WIDTH = 128
HALVES = [("left", slice(0, 2)), ("right", slice(2, 4))]
COST = {"left": 1, "right": 2}


@pytest.fixture(scope="module")
def iris():
    """A frame with the columns a, b, c, d, and labels."""
    X, y = load_iris(return_X_y=True)
    return pd.DataFrame(X, columns=[*"abcd"]), y


def make(blocks=BACKBONES, **parameters):
    defaults = dict(head="zero-shot", router="static", cv=2, random_state=0)
    return AdaptiveBackboneEnsemble(blocks, **{**defaults, **parameters})


class Counted(LogisticRegression):
    """Counts how often it is fitted, and on how many rows."""

    n_rows = []

    def fit(self, X, y):
        Counted.n_rows.append(len(X))
        return super().fit(X, y)


# 1. The order of columns


def test_columns_by_name_come_in_the_order_that_is_given(iris):
    X, y = iris
    head = LogisticRegression(max_iter=500).fit(X[["d", "a"]].to_numpy(), y)
    triple = ("da", FrozenEstimator(head), ["d", "a"])
    clf = make(HALVES, head=[triple]).fit(X, y)
    assert clf.score(X, y) == head.score(X[["d", "a"]].to_numpy(), y) > 0.9
    by_block = make([("da", ["d", "a"])], head=FrozenEstimator(head)).fit(X, y)
    assert_array_equal(by_block.predict(X), clf.predict(X))


@pytest.mark.parametrize(
    "names", [range(4), [7, 3, 5, 1], pd.MultiIndex.from_product([["petal", "sepal"], [0, 1]])]
)
@pytest.mark.parametrize(
    "estimator, use",
    [
        (make(HALVES, head="linear"), "predict"),
        (LinearDiscriminantHead(), "predict_proba"),
        (CascadeEnsemble(HALVES, estimator=LinearDiscriminantHead(), cost=COST), "predict"),
        (BlockPCA(1, blocks=HALVES), "transform"),
    ],
)
def test_columns_without_strings_as_names_keep_their_order(estimator, use, names, iris):
    X, y = iris[0].set_axis(names, axis=1), iris[1]
    use = getattr(clone(estimator).fit(X, y), use)
    with pytest.raises(ValueError, match="X has the columns of fit in another order: column 0 is"):
        use(X[X.columns[::-1]])
    for same in (X, X.to_numpy(), X.set_axis(range(10, 14), axis=1)):
        assert_array_equal(use(same), use(X))
    fitted = clone(estimator).fit(X, y).fit(X.to_numpy(), y)
    getattr(fitted, use.__name__)(X[X.columns[::-1]])


# 2. Names of columns that say which backbone made them


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=5)
def test_the_order_of_an_embedders_columns_does_not_matter(seed, frame, y):
    expected = make().fit(frame, y).predict_proba(frame)
    mixed = frame[np.random.default_rng(seed).permutation(frame.columns)]
    for blocks in (BACKBONES, BACKBONES[::-1], None):
        assert_allclose(make(blocks).fit(mixed, y).predict_proba(mixed), expected, rtol=1e-3)


def test_blocks_of_other_backbones_than_the_columns_are_refused_with_both_named(frame, y):
    with pytest.raises(
        ValueError,
        match="blocks names zoo/RN20, zoo/ViT-16, but X has columns of zoo/RN20, zoo/ViT-8",
    ):
        make(["zoo/RN20", "zoo/ViT-16"]).fit(frame, y)


@pytest.mark.parametrize(
    "estimator, use",
    [
        (make(BACKBONES[::-1]), "predict"),
        (make(BACKBONES[::-1]), "expert_proba"),
        (CascadeEnsemble(BACKBONES[::-1], estimator=LinearDiscriminantHead()), "predict"),
        (ImageRetriever(BACKBONES[::-1]), "kneighbors"),
        (BlockPCA(2, blocks=BACKBONES[::-1]), "transform"),
    ],
)
@pytest.mark.filterwarnings("ignore:X has feature names")
def test_a_frame_beside_an_array_whose_blocks_stand_in_another_order(estimator, use, frame, y):
    right = frame[[*frame.columns[WIDTH:], *frame.columns[:WIDTH]]]
    use = getattr(clone(estimator).fit(right.to_numpy(), y), use)
    message = "Block 'zoo/(RN20|ViT-8)' of X has the column 'zoo/.*' where embeddings of"
    for wrong in (frame[:5], right[right.columns[::-1]][:5]):
        with pytest.raises(ValueError, match=message):
            use(wrong)
    assert_array_equal(use(right[:5]), use(right[:5].to_numpy()))


def test_names_that_no_embedder_makes_are_not_compared(frame, y):
    """So scikit-learn warns that X has any."""
    fitted = make(BACKBONES).fit(frame.to_numpy(), y)
    unfitted = make(BACKBONES, head="zero-shot", router="uniform").set_params(calibrate=False)
    unfitted.set_classes(np.unique(y))
    named = frame.set_axis([f"f{i}" for i in range(frame.shape[1])], axis=1)
    some = frame.rename(columns={frame.columns[3]: "f3"})
    for clf in (fitted, unfitted):
        assert not said(clf.predict, frame)
        for one in (named, some):
            assert "X has feature names, but" in said(clf.predict, one)[0]


def test_a_dict_of_blocks_says_their_columns(X, y):
    blocks = {"zoo/ViT-8": slice(WIDTH, None), "zoo/RN20": slice(0, WIDTH)}
    clf = AdaptiveBackboneEnsemble(blocks, random_state=0).fit(X, y)
    pairs = clone(clf).set_params(blocks=list(blocks.items())).fit(X, y)
    assert clf.experts_[0].block.columns[0] == WIDTH
    assert_array_equal(clf.predict_proba(X), pairs.predict_proba(X))


@pytest.mark.parametrize("backbones", [set(BACKBONES), dict.fromkeys(BACKBONES, 1)])
def test_names_without_an_order_are_refused(backbones, X, y):
    with pytest.raises(ValueError, match=r"backbones is a (set|dict); give a list"):
        resolve_backbones(backbones)
    for embedder in (MultiBackboneEmbedder(backbones), CascadeClassifier(backbones)):
        with pytest.raises(ValueError, match=r"'backbones' parameter .* a list"):
            embedder.fit(["a.png", "b.png"], ["a", "b"])
    with pytest.raises(ValueError, match=r"'blocks' parameter .* a list"):
        AdaptiveBackboneEnsemble(set(BACKBONES)).fit(X, y)
    with pytest.raises(ValueError, match=r"'templates' parameter .* a list"):  # has no clone
        AdaptiveBackboneEnsemble("zoo/RN20", templates={1: "a {}"}.values()).fit(X[:, :WIDTH], y)


def test_columns_that_are_numbered_make_no_block(iris):
    X, y = iris
    X = X.set_axis(["age__1", "age__2", "age__3", "price"], axis=1)
    assert list(make(None, head="linear").fit(X, y).expert_names_) == ["all"]


def test_columns_of_a_model_that_is_not_here_are_told(iris, tmp_path, monkeypatch):
    """As those of a relative path, in another folder."""
    monkeypatch.chdir(tmp_path)
    X = np.random.default_rng(0).normal(size=(len(iris[1]), 20))
    frame = pd.DataFrame(X).add_prefix("models/mine__").assign(price=1.0)
    clf = AdaptiveBackboneEnsemble(random_state=0)
    message = "The 20 columns 'models/mine__0' and so on are named as embeddings by a model"
    for call in (partial(clf.fit, frame, iris[1]), partial(group_near_duplicates, frame)):
        assert sum(message in one for one in said(call)) == 1
    few = frame.iloc[:, :9].join(frame["price"])  # any table may have such columns
    assert not any("are named as" in one for one in said(clf.fit, few, iris[1]))


def test_a_named_block_that_is_too_narrow_for_its_backbone_is_refused(X, y):
    with pytest.raises(ValueError, match=r"Block 'zoo/RN20' has 64 columns, but .* have 128"):
        make([("zoo/RN20", slice(0, 64))]).fit(X, y)


def test_columns_are_of_one_backbone_and_there(X, y):
    pairs = [("zoo/RN20", slice(0, 128)), ("zoo/ViT-8", slice(64, 192))]
    with pytest.raises(ValueError, match="Column 64 is in the blocks 'zoo/RN20' and 'zoo/ViT-8'"):
        make(pairs).fit(X, y)
    with pytest.raises(ValueError, match="Block 'right' ends at 384, but X has 256 columns"):
        make([("left", slice(0, 128)), ("right", slice(128, 384))], head="linear").fit(X, y)
    shared = [("left", slice(0, 128)), ("all", slice(None))]  # parts of a table may be shared
    assert len(make(shared, head="linear").fit(X, y).experts_) == 2


# 3. A text head on the block of its own backbone


def test_a_head_that_names_a_backbone_goes_to_the_block_of_that_one(X, y):
    clf = make(head=ZeroShotHead("zoo/RN20")).fit(X, y)
    assert list(clf.expert_names_) == ["zoo/RN20"]
    with pytest.raises(ValueError, match="needs blocks that are embeddings of zoo/ViT-16"):
        make(head=ZeroShotHead("zoo/ViT-16")).fit(X, y)


@pytest.mark.parametrize(
    "head", [ZeroShotHead(), ResidualHead(), TipAdapterHead(), CLIPAdapterHead(max_iter=2)]
)
def test_a_head_without_a_backbone_takes_that_of_its_block(head, X, y):
    clf = make(head=head).fit(X, y)
    assert [one.backbone for _, one, _ in clf.experts_] == BACKBONES
    texts = [ZeroShotHead(name).fit(X[:, :WIDTH], y).text_features_ for name in BACKBONES]
    assert_array_equal([one.text_features_ for _, one, _ in clf.experts_], texts)
    assert head.backbone is None


def test_parameters_of_a_text_head_can_be_searched(X, y):
    for clf, name in [
        (make(head=TipAdapterHead()), "head__alpha"),
        (make(head=["linear", TipAdapterHead()]), "tipadapterhead__alpha"),
        (make(head=["linear", ("tip", TipAdapterHead())]), "tip__alpha"),
    ]:
        search = GridSearchCV(clf, {name: [0.0, 50.0]}, cv=2).fit(X, y)
        assert len(set(search.cv_results_["mean_test_score"])) == 2
        best = search.best_estimator_.experts_[-1].head
        assert best.alpha == best.alpha_ == search.best_params_[name]


# 4. Folds and groups of a user's own reach every head


@pytest.mark.parametrize(
    "head", [ResidualHead("zoo/RN20"), TipAdapterHead("zoo/RN20", alpha=5, beta=5)]
)
def test_held_out_logits_know_nothing_of_a_rows_group(head, X, y):
    X, groups = X[:, :WIDTH], np.arange(len(y)) % 5
    head = clone(head)
    logits, valid = head.cross_fit(X, y, groups=groups)
    assert valid.all()
    for group in range(5):
        rest = groups != group
        if isinstance(head, TipAdapterHead):
            without = clone(head).fit(X[rest], y[rest])
            assert_allclose(logits[~rest], without.decision_function(X[~rest]), rtol=1e-4)
        else:  # the correction, up to its temperature, is what the other groups teach
            text = ZeroShotHead("zoo/RN20").fit(X, y).decision_function(X) / head.temperature_
            residuals = (y[:, None] == head.classes_) - softmax(text, axis=1)
            expected = Ridge(head.alpha).fit(X[rest], residuals[rest]).predict(X[~rest])
            correction = (logits - text)[~rest]
            scale = np.linalg.norm(correction) / np.linalg.norm(expected)
            assert_allclose(correction, scale * expected, atol=0.01 * np.abs(correction).max())


@pytest.mark.parametrize("head", ["residual", "linear"])
def test_copies_of_a_row_do_not_judge_what_was_learned_from_it(head, X, y):
    """Labels that mean nothing are memorised; only groups keep near copies from vouching."""
    rng = np.random.default_rng(0)
    noise = rng.permutation(y)
    copies, noise, groups = X.repeat(3, axis=0), noise.repeat(3), np.arange(len(y)).repeat(3)
    X = copies + 1e-3 * rng.standard_normal(copies.shape)

    def confidence(clf, X=X, **metadata):
        return clf.fit(X, noise, **metadata).predict_proba(X).max(axis=1).mean()

    clf = make(head=head, cv=5)
    assert confidence(clf, groups=groups) < confidence(clf) - 0.04
    assert confidence(clf, copies) < confidence(clf) - 0.04  # these are seen
    splitter = StratifiedKFold(5, shuffle=True, random_state=0)
    for cv in (splitter, list(splitter.split(X, noise))):
        own = clone(clf).set_params(cv=cv)
        assert confidence(own, copies) < confidence(own) - 0.04
    splits = list(GroupKFold(5).split(X, noise, groups))
    assert confidence(clf.set_params(cv=GroupKFold(5)), groups=groups) < 0.6
    assert confidence(clf.set_params(cv=splits)) < 0.6


# 5. Rows without a label


@pytest.mark.parametrize("value", [None, np.nan, ""])
@pytest.mark.parametrize(
    "estimator", [make(), ZeroShotHead("zoo/RN20"), ResidualHead("zoo/RN20"), LinearProbeHead()]
)
def test_a_missing_label_is_no_class(estimator, value, X, y):
    y = y.astype(object)
    y[[3, 7]] = value
    X = X if isinstance(estimator, AdaptiveBackboneEnsemble) else X[:, :WIDTH]
    with pytest.raises(ValueError, match="y has no label for 2 of 40 rows; the first is row 3"):
        clone(estimator).fit(X, y)


@pytest.mark.parametrize("kind", [iter, set, str, lambda values: dict(enumerate(values))])
def test_what_has_no_value_for_each_row_is_refused_by_name(kind, iris):
    X, y = iris
    wrong = kind(y.tolist())
    with pytest.raises(ValueError, match=f"y is a {type(wrong).__name__}.* for each row, in their"):
        AdaptiveBackboneEnsemble(HALVES, head="linear").fit(X, wrong)
    for name in ("sample_weight", "groups"):
        with pytest.raises(ValueError, match=f"{name} is a {type(wrong).__name__}"):
            LinearDiscriminantHead().fit(X, y, **{name: wrong})


def test_labels_are_no_weights(iris):
    X, y = iris
    with pytest.raises(ValueError, match="sample_weight holds text, such as 'setosa'"):
        LinearDiscriminantHead().fit(X, y, sample_weight=np.array(["setosa", "virginica"])[y % 2])


@pytest.mark.parametrize("kind", [list, np.array, pd.Series])
def test_minus_one_is_no_class(kind, iris):
    X, y = iris
    y = y.copy()
    y[5] = -1
    for estimator in (make(HALVES, head="linear"), LinearDiscriminantHead()):
        with pytest.raises(ValueError, match="for 1 of 150 rows; the first is row 5, with -1"):
            estimator.fit(X, kind(y.tolist()))


def test_minus_one_and_one_are_two_classes(iris):
    X, y = iris
    X, y = X[y > 0], np.where(y[y > 0] == 1, -1, 1)
    assert_array_equal(make(HALVES, head="linear").fit(X, y).classes_, [-1, 1])
    assert_array_equal(LinearDiscriminantHead().fit(X, y).classes_, [-1, 1])


def test_minus_one_is_a_class_where_it_is_known(iris):
    X, y = iris
    X, y = X[y > 0], np.where(y[y > 0] == 1, -1, 1)
    of_minus = X[y < 0], y[y < 0]
    ensemble, head = make(HALVES, head="linear"), LinearDiscriminantHead()
    for clf in (ensemble, head, BackbonePipeline([("ensemble", ensemble)])):
        clf.fit(X, y)
        expected = np.mean(clf.predict(of_minus[0]) == -1)
        assert clf.score(*of_minus) == pytest.approx(expected)
        with pytest.raises(ValueError, match="row 0, with None"):
            clf.score(X[:2], [None, 1])
    some = np.r_[:5, 50:55]
    scores = cross_val_score(head, X.iloc[some], y[some], cv=LeaveOneOut())
    assert set(scores) <= {0, 1}
    parts = LinearDiscriminantHead(shrinkage=0.5).partial_fit(*of_minus, classes=[-1, 1])
    parts.partial_fit(X[y > 0], y[y > 0])
    assert_allclose(parts.coef_, LinearDiscriminantHead(shrinkage=0.5).fit(X, y).coef_)


def test_minus_one_beside_other_numbers_is_refused_at_once_and_says_what_to_do(iris):
    X, y = iris
    clf = make(HALVES, head="linear")
    signs = y - 1
    message = r"row 0, with -1.* -1 stands for no label. If it is a class here, use strings as"
    for call in (
        lambda: clf.fit(X, signs),
        lambda: compare_with_baselines(clf, X, signs),
        lambda: FewShotSplit(2).split(X, signs),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    clf.fit(X, y)
    with pytest.raises(ValueError, match=r"row 0, with -1.* The classes are 0, 1, 2"):
        clf.score(X, signs)


# 7. Nothing is held out where nothing has to be judged


@pytest.mark.parametrize("cv", [5, 0.3])
@pytest.mark.parametrize("router", ["uniform", "confidence", "vote", "vote-3", "probability"])
def test_a_rule_that_learns_nothing_fits_each_head_once_on_all_rows(router, cv, iris):
    Counted.n_rows = []
    make(HALVES, head=Counted(), router=router, calibrate=False, cv=cv).fit(*iris)
    assert Counted.n_rows == [150, 150]
    Counted.n_rows = []
    make(HALVES, head=Counted(), router=router, cv=2).fit(*iris)
    assert Counted.n_rows == [150] * 2 + [75] * 4


# 8. Other classes, frozen heads, unsuitable heads, import


@pytest.mark.parametrize(
    "classes, options, message",
    [
        (["cat"], {}, "At least two classes are needed"),
        ([3, 4], {"templates": ["an icon of a {}"]}, "Label 3 is not a string"),
        (["cat", "dog"], {"templates": ["an icon"]}, "templates is a string with one '{}'"),
        ([3, 4], {"class_names": ["cat", "dog"]}, "no name for label 3"),
        ([["dog", "puppy"], ["cat", "kitten"]], {}, r"Class 0 of classes is \['dog'"),
        (["cat", ["dog", "puppy"]], {}, r"Class 1 of classes is \['dog'"),
        ([None, "dog"], {}, "Class 0 of classes is None"),
        ([3, "dog"], {"class_names": {3: "cat", "dog": "dog"}}, "classes mixes types"),
    ],
)
def test_set_classes_that_fails_changes_nothing(classes, options, message, X, y):
    clf = make(class_names={name: name for name in np.unique(y)}).fit(X, y)
    before, params = clf.decision_function(X), clf.get_params()
    with pytest.raises(ValueError, match=message):
        clf.set_classes(classes, **options)
    assert clf.get_params() == params
    assert_array_equal(clf.classes_, np.unique(y))
    assert_array_equal(clf.decision_function(X), before)
    head = ZeroShotHead("zoo/RN20").fit(X[:, :WIDTH], y)
    before, params = head.decision_function(X[:, :WIDTH]), head.get_params()
    if len(classes) > 1:
        with pytest.raises(ValueError, match=message):
            head.set_classes(classes, **options)
        assert head.get_params() == params
        assert_array_equal(head.decision_function(X[:, :WIDTH]), before)


def test_what_is_no_class_is_named(X, y):
    clf, head = make().fit(X, y), ZeroShotHead("zoo/RN20")
    for one in (clf, head):
        with pytest.raises(ValueError, match=r"Class 1 of classes is \['dog', 'puppy'\]\. Give"):
            one.set_classes(["cat", ["dog", "puppy"]])
        with pytest.raises(ValueError, match=r"Class 0 of classes is None\. Give one label"):
            one.set_classes([None, "dog"])
        with pytest.raises(ValueError, match=r"classes is empty\. Give a label for each class"):
            one.set_classes([])


def test_set_classes_changes_no_parameter(X, y):
    clf = make().fit(X, y)
    params = clf.get_params()
    clf.set_classes([0, 1], class_names=["cat", "dog"], templates=["an icon of a {}"])
    assert clf.get_params() == params
    assert set(clf.predict(X)) <= {0, 1}
    assert_array_equal(clf.fit(X, y).classes_, np.unique(y))


def test_frozen_heads_live_through_cross_validation(iris):
    X, y = iris
    heads = [
        (
            "left",
            FrozenEstimator(LogisticRegression().fit(X[["a", "b"]].to_numpy(), y)),
            ["a", "b"],
        ),
        (
            "right",
            FrozenEstimator(LogisticRegression().fit(X[["c", "d"]].to_numpy(), y)),
            ["c", "d"],
        ),
    ]
    assert cross_val_score(make(HALVES, head=heads), X, y, cv=3).min() > 0.8


class OnlyPredicts(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[0], len(X))


def test_a_classifier_that_gives_no_scores_is_refused_by_name(iris):
    with pytest.raises(ValueError, match=r"OnlyPredicts\(\) has neither decision_function nor"):
        make(HALVES, head=OnlyPredicts()).fit(*iris)
    votes = VotingClassifier([("a", GaussianNB())])
    with pytest.raises(ValueError, match=r"head=VotingClassifier.* has neither decision_function"):
        make(HALVES, head=votes).fit(*iris)


@pytest.mark.parametrize("wrap", [lambda one: one, make_pipeline])
def test_what_finds_outliers_or_amounts_is_no_head(wrap, iris):
    with pytest.raises(ValueError, match=r"IsolationForest.* finds outliers, and not classes"):
        make(HALVES, head=["linear", wrap(IsolationForest())]).fit(*iris)
    with pytest.raises(ValueError, match=r"Ridge\(\).* predicts amounts, and not classes"):
        make(HALVES, head=["linear", wrap(Ridge())]).fit(*iris)


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: GridSearchCV(one, {}, cv=2)])
def test_a_classifier_may_get_its_methods_in_fit(wrap, iris):
    X, y = iris
    stack = wrap(StackingClassifier([("a", GaussianNB())], cv=2))
    assert not hasattr(clone(stack), "predict_proba")
    for clf in (
        make(HALVES, head=stack),
        CascadeEnsemble(HALVES, estimator=stack),
        OpenSetClassifier(stack, reject_rate=0),
    ):
        assert clf.fit(X, y).score(X, y) > 0.8
    assert BackboneSelector(HALVES, estimator=stack).fit(X, y).transform(X).shape[1] > 1
    assert find_label_issues(stack, X, y)["label_quality"].mean() > 0.8
    assert len(suggest(stack, X, np.where(np.arange(len(y)) % 2, y, -1), 3)) == 3


@pytest.mark.parametrize(
    "images",
    [
        ["cat.png", "dog.png"],
        np.array(["cat.png", "dog.png"]),
        pd.DataFrame({"image": [Path("cat.png"), Path("dog.png")]}),
        [b"\x89PNG", b"\x89PNG"],
        [[Image.new("RGB", (4, 4))], [Image.new("RGB", (4, 4))]],
    ],
    ids=["names", "array", "paths in a frame", "bytes", "pictures"],
)
@pytest.mark.parametrize(
    "classifier", [AdaptiveBackboneEnsemble(), ResidualHead("zoo/RN20")], ids=["ensemble", "head"]
)
def test_images_where_a_table_is_wanted_say_which_step_is_missing(classifier, images):
    message = "step that embeds them is missing. MultiBackboneEmbedder.* make_backbone_pipeline"
    with pytest.raises(ValueError, match=message):
        clone(classifier).fit(images, ["cat", "dog"])


def test_what_is_no_table_is_refused_by_what_it_is(X, y):
    clf, rows = make(head="linear"), pd.DataFrame(X).add_prefix("column ")
    rows = rows[[*rows.columns, "column 3"]]
    copied = pa.table([rows.iloc[:, 0], rows.iloc[:, -1]], ["column 3"] * 2)
    for table in (rows, copied):
        with pytest.raises(ValueError, match="X has columns of the same name: 'column 3'"):
            clf.fit(table, y)
    clf.fit(X, y)
    with pytest.raises(ValueError, match="X is a dict"):
        clf.predict(dict(enumerate(X[0])))


def test_tables_of_several_backbones_are_to_be_joined(X, y):
    middle, end = X.shape[1] // 2, X.shape[1]
    tables = {"a": X[:, :middle], "b": X[:, middle:]}
    join = "X is 2 tables. If each has the embeddings of one backbone, join their columns, "
    columns = "{{{!r}: " + f"slice(0, {middle}), " + "{!r}: " + f"slice({middle}, {end})" + "}}"
    tell = ", and tell an ensemble which belong together: blocks="
    clf = make(None, head="linear")
    message = f"{join}numpy.hstack(X){tell}{columns.format('0', '1')}."
    with pytest.raises(ValueError, match=re.escape(message)):
        clf.fit(list(tables.values()), y)
    message = f"{join}numpy.hstack(list(X.values())){tell}{columns.format('a', 'b')}."
    with pytest.raises(ValueError, match=re.escape(message)):
        clf.fit(tables, y)
    batches = r"^X is \d+ tables\. If they are batches of rows, numpy\.vstack\(X\) makes one table"
    for rows in ([row[None] for row in X], [X[:5], X[5:]]):
        with pytest.raises(ValueError, match=batches):
            clf.fit(rows, y)
    with pytest.raises(ValueError, match=r"blocks=\{'0'.*, \.\.\.\}\. If they are batches of rows"):
        clf.fit([X[:2]] * 20, y)
    with pytest.raises(ValueError, match=r"X holds one table\. Pass the table itself"):
        clf.fit([X], y)
    joined = np.hstack(list(tables.values()))
    blocks = {"a": slice(0, middle), "b": slice(middle, end)}
    assert clf.set_params(blocks=blocks).fit(joined, y).score(joined, y) > 0.5


def test_one_pair_of_train_and_test_rows_is_to_be_a_list(X, y):
    rows = np.arange(len(y))
    pair = rows[::2], rows[1::2]
    for cv in (pair, [one.tolist() for one in pair], [rows % 2 == 0, rows % 2 == 1]):
        with pytest.raises(ValueError, match=r"one pair: cv=\[\(train, test\)\]"):
            make(head="linear", cv=cv).fit(X, y)
        with pytest.raises(ValueError, match=r"one pair: cv=\[\(train, test\)\]"):
            compare_with_baselines(make(head="linear"), X, y, cv=cv)
        make(head="linear", cv=[tuple(cv)]).fit(X, y)


def test_labels_to_score_are_of_the_type_of_those_of_fit(X, y):
    codes = np.unique(y, return_inverse=True)[1]
    for fitted, others in ((y, codes), (codes, y)):
        with pytest.raises(ValueError, match="where those of fit are such as"):
            make(head="linear").fit(X, fitted).score(X, others)


def test_paths_of_images_as_labels_are_refused(X, y):
    paths = [f"data/{label}/{i}.png" for i, label in enumerate(y)]
    message = (
        r"^y holds paths or names of images, such as '(data/|0\.png).*train_test_split returns"
    )
    names = [f"{i}.png" for i in range(len(y))]
    for labels in (paths, names, np.array(paths), pd.Series(paths, range(3, 3 + len(y)))):
        for head in (make(), LinearProbeHead()):
            with pytest.raises(ValueError, match=message):
                head.fit(X, labels)
    with pytest.raises(ValueError, match=message):  # before an image is read, or rows are counted
        make_backbone_pipeline("zoo/RN20").fit(paths[:5], pd.Series(paths))
    of_objects = [f"objects/{label}.png" for label in y]
    make(head="linear").fit(X, of_objects)


def test_a_column_of_text_beside_numbers_is_not_taken_for_images():
    table = pd.DataFrame({"kind": ["a", "b"], "size": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"X holds text: row 0, column 0 \('kind'\)"):
        AdaptiveBackboneEnsemble().fit(table, ["cat", "dog"])


def test_numbers_of_categories_are_named(X, y):
    codes = np.arange(len(y)) % 5
    frame = pd.DataFrame(X, columns=[f"column {i}" for i in range(X.shape[1])])
    clf = AdaptiveBackboneEnsemble([("all", slice(None))], head="linear", random_state=0)

    def told(column):
        return said(lambda: clf.fit(frame.assign(shop=column), y))

    text = told(pd.Categorical(codes))[0]
    assert text.startswith("Column 'shop' of X holds categories") and "OneHotEncoder" in text
    assert not said(clf.predict, frame.assign(shop=pd.Categorical(codes)))
    ranks = pd.Categorical(codes, ordered=True)
    for column in (codes, ranks, pd.Categorical(codes > 2)):
        assert all("of the variance" in text for text in told(column))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="X holds text"):  # and no numbers to warn of
            clf.fit(frame.assign(shop=pd.Categorical(codes.astype(str))), y)


def test_every_module_is_an_attribute_of_the_package():
    found = [module.name for module in pkgutil.iter_modules(skclipens.__path__)]
    public = [name for name in found if not name.startswith("_")]
    assert len(public) > 15 and set(public) <= set(dir(skclipens))
    # One module imports others, which are attributes from then on.
    code = f"""
import skclipens
for name in {public}:
    vars(skclipens).pop(name, None)
    assert getattr(skclipens, name).__name__ == f"skclipens.{{name}}"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# 10. What prediction does not need


@pytest.mark.parametrize(
    "head, router",
    [(head, "static") for head in ("auto", "residual", LinearProbeHead(cv=2, max_iter=50))]
    + [("linear", router) for router in (GatedRouter(), "genetic", "super-learner", "mixture")],
)
def test_a_pickle_does_not_grow_with_the_rows(head, router, X, y):
    many = np.random.default_rng(0).normal(0, 0.01, (10 * len(X), X.shape[1])) + X.repeat(
        10, axis=0
    )
    sizes = [
        len(pickle.dumps(make(head=head, router=router).fit(*data)))
        for data in [(X, y), (many.astype(X.dtype), y.repeat(10))]
    ]
    # Less than one number for each of the other rows, but 64 bytes that tell it again, those of a
    # kernel, which keeps rows, and 200 that rows to predict are compared with.
    kept = 9 * len(X) * 64
    if head == "auto":
        of_kernel, of_support = 9 * len(X) * (X.shape[1] + len(set(y))), 160 * X.shape[1]
        kept += (of_kernel + of_support) * X.itemsize
    assert sizes[1] < sizes[0] + kept + 40 * len(X)


# Numbers that are no answer


class NanFor(LogisticRegression):
    """Gives NaN where the first column is large."""

    def decision_function(self, X):
        scores = super().decision_function(X)
        scores[X[:, 0] > 7.5] = np.nan
        return scores


def test_a_head_that_gives_nan_is_named(iris):
    X, y = iris
    X = X.to_numpy()
    large = np.flatnonzero(X[:, 0] > 7.5)
    message = "Expert 'left' gives a score that is not finite for row"
    with pytest.raises(ValueError, match=message):
        make(HALVES, head=NanFor(max_iter=500)).fit(X, y)
    rest = np.delete(np.arange(150), large)
    clf = make(HALVES, head=NanFor(max_iter=500)).fit(X[rest], y[rest])
    with pytest.raises(ValueError, match=f"{message} {large[0]}"):
        clf.predict(X)


# A router of a user's own needs what the protocol names, and no more


class Loudest:
    """All weight for the expert that was right most often."""

    def fit(self, X, logits, y):
        self.best = (logits.argmax(axis=2) == y[:, None]).mean(axis=0).argmax()
        return self

    def weights(self, X, logits):
        return np.eye(logits.shape[1])[[self.best] * len(X)]


class Product:
    """Learns nothing and has no weights."""

    def combine(self, X, logits):
        return logits.sum(axis=1)


def test_a_router_of_ones_own(iris):
    router = Loudest()
    clf = make(HALVES, head="linear", router=router).fit(*iris)
    assert_array_equal(clf.routing_weights(iris[0]), [[0, 1]] * 150)
    assert not hasattr(router, "best")
    clf = make(HALVES, head=Counted(), router=Product(), calibrate=False)
    Counted.n_rows = []
    logits = clf.fit(*iris).decision_function(iris[0])
    assert Counted.n_rows == [150, 150]
    expected = sum(e.head.decision_function(e.columns_of(iris[0].to_numpy())) for e in clf.experts_)
    assert_allclose(logits, log_softmax(expected, axis=1), atol=1e-12)
    assert not hasattr(clf, "routing_weights")


class Drawn:
    """A router that draws, and has no methods to get or set parameters."""

    random_state = None

    def fit(self, X, logits, y):
        return self

    def weights(self, X, logits):
        return (
            np.random.default_rng(self.random_state).random(logits.shape[1])[None].repeat(len(X), 0)
        )


def test_a_router_of_ones_own_draws_from_the_random_state_of_the_ensemble():
    X, y = load_iris(return_X_y=True)
    blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4))]
    first, again = (
        AdaptiveBackboneEnsemble(blocks, head="linear", router=Drawn(), random_state=0).fit(X, y)
        for _ in range(2)
    )
    assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    assert Drawn.random_state is None


# Names of classes that are given in another order


def test_names_in_the_order_of_classes_that_labels_would_index():
    head = ZeroShotHead(BACKBONES[0])
    told = "the name of 1 would be 'dog'. Give classes in ascending order, or a dict"
    with pytest.raises(ValueError, match=told):
        head.set_classes([1, 0], class_names=["cat", "dog"])
    by_label = head.set_classes([1, 0], class_names={1: "cat", 0: "dog"}).text_features_
    in_order = head.set_classes([0, 1], class_names=["dog", "cat"]).text_features_
    assert_array_equal(by_label, in_order)
    head.set_classes([2, 0], class_names=["cat", "dog", "owl"])  # some of these


@pytest.mark.parametrize(
    "clf", [ZeroShotHead(BACKBONES[0]), make(BACKBONES[:1]), make(BACKBONES[:1], head="auto")]
)
def test_labels_that_a_meta_estimator_numbers_anew(clf, X, y):
    X, names = X[:, :WIDTH], [str(name) for name in np.unique(y)]
    clf = clone(clf).set_params(class_names=names)
    doubt = f"of {len(names)} class_names, '{names[0]}', '{names[1]}' are used. OneVsRest"
    one_hot = np.stack([y == name for name in names[2:4]], axis=1).astype(int)
    for meta, labels in ((OneVsRestClassifier(clf), y), (MultiOutputClassifier(clf), one_hot)):
        assert any(doubt in text for text in said(meta.fit, X, labels))
    numbers = np.searchsorted(names, y)
    two = numbers < 2
    clf.set_params(class_names=names[:2])
    for rows, labels in ((two, y), (two, numbers)):
        assert not any("OneVsRest" in text for text in said(clf.fit, X[rows], labels[rows]))
    clf.set_params(class_names=names)
    assert not any("OneVsRest" in text for text in said(clf.fit, X, numbers))


def test_no_names_are_advised_for_the_classes_of_one_vs_rest(X, y):
    clf, advice = make(BACKBONES[:1], head="auto"), "No names fit the classes that OneVsRest"
    X, numbers = X[:, :WIDTH], np.unique(y, return_inverse=True)[1]
    assert any(advice in text for text in said(OneVsRestClassifier(clf).fit, X, y))
    (text,) = said(clf.fit, X, numbers)
    assert "give class_names=sorted(set(y))" in text
    assert advice not in text


# A memory, and code that was edited


def test_a_head_whose_code_was_edited_is_fitted_again(iris, tmp_path, monkeypatch):
    code = """
from sklearn.linear_model import LogisticRegression
class OwnHead(LogisticRegression):
    def fit(self, X, y):
        self.C = {}
        return super().fit(X, y)
"""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = tmp_path / "own_head_of_test.py"

    def strength(C):
        file.write_text(code.format(C))
        monkeypatch.delitem(sys.modules, file.stem, raising=False)
        head = importlib.import_module(file.stem).OwnHead()
        within = Pipeline([("scale", StandardScaler()), ("own", head)])
        memory = str(tmp_path / "memory")
        clf = make([("all", slice(None))], head=within, router="uniform", memory=memory)
        (expert,) = clf.fit(*iris).experts_
        return expert.head[-1].C

    assert [strength(C) for C in (1, 2000)] == [1, 2000]

"""Weights and groups of rows: they reach every head, temperature, router and fold."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from _said import said
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.exceptions import DataConversionWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skclipens import (
    AdaptiveBackboneEnsemble,
    BackboneSelector,
    CLIPEmbedder,
    make_backbone_pipeline,
)
from skclipens._utils._folds import few_shot_folds
from skclipens.cascade import CascadeEnsemble
from skclipens.datasets import load_emoji
from skclipens.ensemble import GatedRouter, NeuralLogitController, UniformRouter
from skclipens.heads import (
    CLAPHead,
    CLIPAdapterHead,
    CrossModalHead,
    ForestHead,
    GDAHead,
    LinearDiscriminantHead,
    LinearProbeHead,
    LogisticDiscriminantHead,
    ResidualHead,
    TipAdapterHead,
    ZeroShotHead,
)
from skclipens.labels import OpenSetClassifier, find_label_issues
from skclipens.model_selection import compare_with_baselines
from skclipens.pipeline import BackbonePipeline

pytestmark = pytest.mark.usefixtures("short_training", "few_strengths")

BACKBONE = "zoo/RN20"
HALVES = [("left", slice(0, 2)), ("right", slice(2, 4))]
COST = {"left": 1, "right": 2}


@pytest.fixture(scope="module")
def emoji():
    """Embeddings of 24 pictures of 4 classes, and the names of these."""
    data = load_emoji(as_frame=True).frame.groupby("label").head(6).head(24)
    X = CLIPEmbedder(BACKBONE).fit_transform(data["path"]).astype(float)
    return X, data["label"].to_numpy()


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    X = scale(X)  # on which logistic regressions need few steps
    rows = np.random.default_rng(0).permutation(150)[:60]
    return X[rows], y[rows]


def make(**parameters):
    defaults = dict(head="linear", router="static", cv=3, random_state=0)
    return AdaptiveBackboneEnsemble(HALVES, **{**defaults, **parameters})


def counts(n, smallest=0):
    """Weights that are whole numbers."""
    return hnp.arrays(float, n, elements=st.integers(smallest, 3))


def whole_folds(rows):
    """Folds by the parity of the rows that these are copies of."""
    return [(np.flatnonzero(rows % 2 != k), np.flatnonzero(rows % 2 == k)) for k in (0, 1)]


# Weights of rows are repetitions of them


@pytest.mark.parametrize(
    "head",
    [
        LinearDiscriminantHead(),
        LinearProbeHead(),
        LogisticDiscriminantHead(),
        ForestHead(n_estimators=20, random_state=0),
        ZeroShotHead(BACKBONE),
        ResidualHead(BACKBONE),
        TipAdapterHead(BACKBONE),
        TipAdapterHead(BACKBONE, alpha=2, beta=3),
        GDAHead(BACKBONE),
        CLAPHead(BACKBONE),
        CrossModalHead(BACKBONE),
        CLIPAdapterHead(BACKBONE, max_iter=5, batch_size=100, random_state=0),
    ],
)
@settings(max_examples=5)
@given(weights=counts(24))
def test_weights_of_rows_are_repetitions_for_heads(head, weights, emoji):
    X, y = emoji
    weights[::6] += 1  # each class has a row
    weights[1::6] += 1  # and another
    rows = np.arange(24).repeat(weights.astype(int))
    weighted, longer = clone(head), clone(head)
    if hasattr(head, "cross_fit"):
        options = {"sample_weight": weights, "folds": whole_folds(np.arange(24))}
        logits, valid = weighted.cross_fit(X, y, **options)
        expected, expected_valid = longer.cross_fit(X[rows], y[rows], folds=whole_folds(rows))
        assert_array_equal(valid[rows], expected_valid)
        assert_allclose(logits[rows], expected, rtol=0.01, atol=0.01)
    else:
        weighted.fit(X, y, sample_weight=weights)
        longer.fit(X[rows], y[rows])
    found, expected = (one.decision_function(X) for one in (weighted, longer))
    assert_allclose(found, expected, rtol=0.01, atol=0.01)


@pytest.mark.parametrize(
    "clf",
    [
        LinearDiscriminantHead(),
        GDAHead(BACKBONE),
        CrossModalHead(BACKBONE),
        AdaptiveBackboneEnsemble(BACKBONE, head=["linear", "cross-modal"], cv=2),
        AdaptiveBackboneEnsemble(head=LogisticRegression(), cv=2),
    ],
    ids=str,
)
def test_the_mean_of_the_weights_as_given_is_doubted_once(clf, emoji):
    X, y = emoji

    def doubts(X, y, weights):
        found = said(lambda: clone(clf).fit(X, y, sample_weight=weights))
        return [text for text in found if "mean of the weights" in text]

    (doubt,) = doubts(X, y, np.full(24, 0.02))
    assert "is 0.02." in doubt and "24 rows count as 0.48" in doubt
    assert doubts(X, y, np.full(24, 100.0))
    assert not doubts(X, y, np.full(24, 1 / 24))  # shares
    assert not doubts(X.repeat(5, axis=0), y.repeat(5), np.ones(24 * 5))


def test_weights_whose_parts_do_not_sum_to_one_are_doubted_in_folds(emoji):
    options = {"cv": 3, "params": {"sample_weight": np.full(24, 1 / 24)}}
    with pytest.warns(UserWarning, match="16 rows count as 0.667"):
        cross_val_score(GDAHead(BACKBONE), *emoji, **options)


@pytest.mark.parametrize("head", ["linear", GaussianNB(), LogisticRegression(C=0.1)])
@pytest.mark.parametrize("router", ["uniform", "static", GatedRouter(), "super-learner"])
@settings(max_examples=5)
@given(weights=counts(60))
def test_weights_of_rows_are_repetitions_for_the_ensemble(head, router, weights, iris):
    X, y = iris
    # GaussianNB takes no weights for what it adds to variances, which matters where these are zero.
    X = X + np.random.default_rng(1).normal(0, 0.1, X.shape)
    for c in range(3):
        weights[np.flatnonzero(y == c)[:4]] += 1
    rows = np.arange(60).repeat(weights.astype(int))
    clf = make(head=head, router=router)
    clf.set_params(cv=whole_folds(np.arange(60))).fit(X, y, sample_weight=weights)
    longer = clone(clf).set_params(cv=whole_folds(rows)).fit(X[rows], y[rows])
    assert_allclose(clf.predict_proba(X), longer.predict_proba(X), rtol=0.01, atol=0.01)


@pytest.mark.parametrize("cv", [3, 0.4])
@pytest.mark.parametrize("router", ["static", "shrunk", "nlc", "genetic"])
def test_rows_without_weight_are_as_if_they_were_not_there(router, cv, iris):
    X, y = iris
    weights = np.ones(60)
    weights[y == 2] = 0
    weights[::7] = 0
    kept, groups = weights > 0, np.arange(60) // 2
    clf = make(router=router, cv=cv).fit(X, y, sample_weight=weights, groups=groups)
    without = make(router=router, cv=cv).fit(X[kept], y[kept], groups=groups[kept])
    assert_array_equal(clf.classes_, without.classes_)
    assert_allclose(clf.predict_proba(X), without.predict_proba(X), rtol=1e-4, atol=1e-6)


def test_splits_of_all_rows_are_those_of_the_rows_with_weight(iris):
    X, y = iris
    weights = (np.arange(60) % 4 > 0).astype(float)
    kept = np.flatnonzero(weights)
    for cv in (GroupKFold(3), list(GroupKFold(3).split(X, y, np.arange(60) % 9))):
        clf = make(head=Recorder(max_iter=500), cv=cv).set_params(blocks=[("all", slice(0, 4))])
        Recorder.seen = []
        clf.fit(X, y, sample_weight=weights, groups=np.arange(60) % 9)
        asked = set().union(*(asked for _, asked in Recorder.seen))
        assert asked == set(X[kept, 0])
        assert clf.validated_.all()


def test_frozen_heads_are_calibrated_by_weights_that_they_need_not_take(iris):
    X, y = iris
    head = ("nn", FrozenEstimator(KNeighborsClassifier().fit(X[:30, :2], y[:30])), [0, 1])
    weights = metadata(y)["sample_weight"]
    rows = np.arange(60).repeat(weights.astype(int))
    weighted = make(head=[head]).fit(X, y, sample_weight=weights)
    assert_allclose(weighted.temperatures_, make(head=[head]).fit(X[rows], y[rows]).temperatures_)
    assert weighted.temperatures_ != make(head=[head]).fit(X, y).temperatures_


def test_one_row_of_weight_per_class_judges_no_head(iris):
    X, y = iris
    weights = np.zeros(60)
    weights[np.unique(y, return_index=True)[1]] = 2
    assert not make().fit(X, y, sample_weight=weights).validated_.any()


@pytest.mark.parametrize("router", ["static", "uniform", "super-learner", "vote"])
def test_more_weight_for_a_class_makes_it_likelier(router, iris):
    X, y = iris
    mean = [
        make(class_weight=weight, router=router).fit(X, y).predict_proba(X)[:, 1].mean()
        for weight in (None, {0: 1, 1: 20, 2: 1})
    ]
    assert mean[1] > mean[0] + 0.05


@pytest.mark.parametrize("weights", ["balanced", {0: 1.0, 1: 4.0, 2: 0.5}])
@pytest.mark.parametrize("head", ["linear", "kernel"])
def test_roots_of_weights_of_classes_multiply_weights_of_rows_and_probabilities(
    head, weights, iris
):
    X, y = iris
    rows = np.random.default_rng(0).integers(1, 4, size=60).astype(float)
    clf = make(head=head, class_weight=weights).fit(X, y, sample_weight=rows)
    of_classes = weights
    if weights == "balanced":
        totals = np.bincount(y, rows)
        of_classes = dict(enumerate(totals.sum() / totals))
    roots = np.sqrt([of_classes[label] for label in range(3)])
    of_rows = rows * roots[y]
    plain = make(head=head).fit(X, y, sample_weight=of_rows * rows.sum() / of_rows.sum())
    expected = plain.predict_proba(X) * roots
    expected /= expected.sum(axis=1, keepdims=True)
    assert_allclose(clf.predict_proba(X), expected, rtol=1e-4, atol=1e-6)


def test_held_out_logits_have_the_weights_of_classes(iris):
    X, y = iris
    for router in ("static", "uniform"):  # one that is cross-fitted, and one that is not
        clf = make(router=router, class_weight={0: 1, 1: 10_000, 2: 1})
        logits, valid = clf.cross_fit(X, y)
        assert np.mean(logits[valid].argmax(axis=1) == 1) > 0.9


def test_prompts_do_not_know_how_frequent_classes_are(emoji):
    X, y = emoji
    some = np.r_[np.flatnonzero(y == y[0])[:2], np.flatnonzero(y != y[0])]
    options = {"head": "zero-shot", "router": "uniform", "calibrate": False}
    plain, balanced = (
        AdaptiveBackboneEnsemble(BACKBONE, class_weight=weights, **options).fit(X[some], y[some])
        for weights in (None, "balanced")
    )
    assert_array_equal(balanced.predict_proba(X), plain.predict_proba(X))


def test_only_the_ratios_of_weights_of_classes_count(iris):
    X, y = iris
    one, ten = (
        make(class_weight={0: scale, 1: 3 * scale, 2: scale}).fit(X, y).predict_proba(X)
        for scale in (1, 10)
    )
    assert_allclose(one, ten, rtol=1e-4, atol=1e-6)


def test_a_class_without_weight_is_not_predicted(iris):
    with pytest.warns(UserWarning, match="No row of 2 has a weight above zero"):
        clf = make(class_weight={0: 1, 1: 1, 2: 0}).fit(*iris)
    assert set(clf.predict(iris[0])) == {0, 1}


@pytest.mark.parametrize(
    "weights, message",
    [
        (np.zeros(60), "sample_weight is zero for all rows"),
        (-np.ones(60), "sample_weight of row 0 is -1.0. Give a number of at least 0"),
        (np.ones(3), "sample_weight.shape"),
        (np.r_[np.ones(59), np.nan], "sample_weight of row 59 is nan"),
        ([None] * 60, "sample_weight of row 0 is None"),
        (np.full(60, 1e-42), "sample_weight sums to 6e-41. .* divide all weights by their mean"),
        (np.full(60, 1e-8), "sample_weight sums to 6e-07"),
        ([1.0, None] * 30, "sample_weight of row 1 is None"),
        ([1, np.inf] * 30, "sample_weight of row 1 is inf"),
        (pd.Series([1] * 59 + [-2], dtype=object), "sample_weight of row 59 is -2"),
    ],
)
def test_weights_that_weigh_nothing_are_clear_errors(weights, message, iris):
    for estimator in (make(), LinearDiscriminantHead(), LinearProbeHead()):
        with pytest.raises(ValueError, match=message):
            estimator.fit(*iris, sample_weight=weights)


def test_weights_that_sums_do_not_show_are_none(iris):
    X, y = iris
    X, tiny = np.asarray(X, np.float32), np.where(np.arange(len(y)) % 3, 1.0, 1e-42)
    head = LinearDiscriminantHead()
    expected = head.fit(X, y, sample_weight=np.where(tiny < 1, 0, 1)).decision_function(X)
    assert_allclose(head.fit(X, y, sample_weight=tiny).decision_function(X), expected)
    assert tiny.min() == 1e-42  # the caller's array is as it was
    few = np.full(len(y), 1e-9)  # one batch of several
    clone(head).partial_fit(X, y, classes=np.unique(y), sample_weight=few)


def test_a_weight_of_a_class_may_be_too_large(iris):
    with pytest.raises(ValueError, match="class_weight of 0 is 200000"):
        make(class_weight={0: 2e5, 1: 1, 2: 1}).fit(*iris)


@pytest.mark.parametrize(
    "weights, message",
    [
        ({"versicolour": 2}, r"class_weight has 'versicolour', .* did you mean 'versicolor'\?"),
        ({"setosa": 2, "Setosa": 3}, r"class_weight has 'Setosa', .* did you mean 'setosa'\?"),
        ({"setosa": 2, "rose": 3}, r"has 'rose', .* which are 'setosa', 'versicolor', 'virginica'"),
        ({0: 2}, r"has 0, .* which are 'setosa', 'versicolor', 'virginica'\. If some rows lack"),
    ],
)
def test_a_label_with_a_weight_that_is_no_class(weights, message, iris):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])
    with pytest.raises(ValueError, match=message):
        make(class_weight=weights).fit(X, names[y])


def test_weights_of_names_where_labels_are_numbers(iris):
    says = "'rose', .* which are 0, 1, 2. Its keys are labels as in y, not names of classes"
    with pytest.raises(ValueError, match=says):
        make(class_weight={"rose": 5}).fit(*iris)
    with pytest.raises(ValueError, match="Its keys are labels as in y, which are no strings"):
        make(class_weight={"0": 5}).fit(*iris)


def test_rows_may_lack_a_class_if_all_classes_have_a_weight(iris):
    X, y = iris
    make(class_weight={0: 1, 1: 2, 2: 3}).fit(X[y < 2], y[y < 2])
    make(class_weight={0: 2}).fit(X, y)
    make(class_weight={True: 2}).fit(X, y == 0)


def test_one_class_of_weight_is_a_clear_error(iris):
    with pytest.raises(ValueError, match="got 1 class, 1"):
        make().fit(*iris, sample_weight=(iris[1] == 1).astype(float))


@pytest.mark.parametrize(
    "clf, weights",
    [
        (make(class_weight={0: 0, 1: 0, 2: 0}), None),
        (make(class_weight={0: 0, 1: 1, 2: 1}), [1] * 20 + [0] * 40),
        (make(unlabeled="use"), [0] * 50 + [1] * 10),
        (make(unlabeled="use", class_weight="balanced"), [0] * 50 + [1] * 10),
    ],
)
def test_classes_and_rows_that_leave_no_weight_are_clear_errors(clf, weights, iris):
    X, y = iris[0], np.repeat([0, 1, 2, -1], [20, 20, 10, 10])
    if clf.unlabeled == "error":
        y = np.repeat([0, 1, 2], 20)
    with pytest.raises(ValueError, match="No row with a label has a weight above zero"):
        clf.fit(X, y, sample_weight=weights)


def test_a_class_without_weight_is_named(iris):
    X, y = iris
    for estimator in (make(), BackboneSelector(make().blocks)):
        with pytest.warns(UserWarning, match="No row of 2 has a weight above zero"):
            estimator.fit(X, y, sample_weight=(y != 2).astype(float))


def test_what_cannot_take_weights_is_named(iris):
    pair = ("nn", KNeighborsClassifier())
    clf = make(head=["linear", pair])
    with pytest.raises(ValueError, match="the fit of KNeighborsClassifier cannot take it"):
        clf.fit(*iris, sample_weight=np.ones(60))
    message = r"^class_weight is given, .* KNeighborsClassifier cannot take weights"
    with pytest.raises(ValueError, match=message):
        clone(clf).set_params(class_weight="balanced").fit(*iris)

    class Equal:
        def fit(self, X, logits, y):
            return self

        def weights(self, X, logits):
            return np.ones(logits.shape[:2])

    with pytest.raises(ValueError, match="the fit of Equal cannot take it"):
        make(router=Equal()).fit(*iris, sample_weight=np.ones(60))
    with pytest.raises(ValueError, match="class_weight is given, but the fit of Equal cannot"):
        make(router=Equal(), class_weight="balanced").fit(*iris)


@pytest.mark.parametrize(
    "head, keyword",
    [
        (
            make_pipeline(StandardScaler(), LogisticRegression()),
            "logisticregression__sample_weight",
        ),
        (GridSearchCV(LogisticRegression(), {"C": [0.1]}, cv=2), "sample_weight"),
        (VotingClassifier([("one", LogisticRegression())], voting="soft"), "sample_weight"),
        (StackingClassifier([("one", LogisticRegression())], cv=2), "sample_weight"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_hands_weights_on_gets_them(head, keyword, iris):
    X, y = iris
    weights = 1.5 - (y == 1)
    by_hand = clone(head).fit(X, y, **{keyword: weights})
    assert (by_hand.predict_proba(X) != clone(head).fit(X, y).predict_proba(X)).any()
    clf = AdaptiveBackboneEnsemble(head=head, router="uniform", calibrate=False)
    clf.fit(X, y, sample_weight=weights)
    assert_allclose(clf.experts_[0].head.predict_proba(X), by_hand.predict_proba(X))
    CascadeEnsemble(HALVES, estimator=head, random_state=0).fit(X, y, sample_weight=weights)


@pytest.mark.parametrize(
    "head",
    [
        make_pipeline(StandardScaler(), KNeighborsClassifier()),
        VotingClassifier([("one", LogisticRegression()), ("two", KNeighborsClassifier())]),
        GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1]}, cv=2),
    ],
    ids=lambda head: type(head).__name__,
)
def test_what_hands_weights_on_to_what_cannot_take_them_is_named(head, iris):
    with pytest.raises(ValueError, match=f"the fit of {type(head).__name__} cannot take it"):
        make(head=head).fit(*iris, sample_weight=np.ones(60))


@pytest.mark.parametrize(
    "estimator",
    [
        make(),
        LinearDiscriminantHead(),
        CascadeEnsemble(HALVES),
        BackboneSelector(HALVES),
        OpenSetClassifier(make()),
        make_backbone_pipeline(BACKBONE),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_groups_are_not_taken_for_weights(estimator, iris):
    """As they were, third in ``fit``, where splitters of scikit-learn have them."""
    with pytest.raises(TypeError, match="positional argument"):
        estimator.fit(*iris, np.arange(60) % 9)


# Groups


class Recorder(LogisticRegression):
    """Keeps which groups, the first column, it was fitted on and asked about."""

    seen = []

    def fit(self, X, y, sample_weight=None):
        self.groups_, self.n_rows_ = set(X[:, 0]), len(X)
        return super().fit(X, y, sample_weight)

    def decision_function(self, X):
        if len(X) != self.n_rows_:  # of its own, an ensemble looks only what scores are of
            Recorder.seen.append((self.groups_, set(X[:, 0])))
        return super().decision_function(X)


@pytest.mark.parametrize("cv", [3, 0.3, GroupKFold(3)])
def test_a_group_is_never_on_both_sides(cv, iris):
    X, y = iris
    groups = np.arange(60) % 12
    X = np.column_stack([groups, X])
    blocks = [("left", slice(0, 3)), ("right", [0, 3, 4])]
    Recorder.seen = []
    clf = make(head=Recorder(max_iter=500), cv=cv).set_params(blocks=blocks)
    clf.fit(X, y, groups=groups)
    assert len(Recorder.seen) == (2 if cv == 0.3 else 6)
    assert all(not fitted & asked for fitted, asked in Recorder.seen)
    Recorder.seen = []
    clf.set_params(cv=3).fit(X, y)
    assert len(Recorder.seen) == 6
    assert all(fitted & asked for fitted, asked in Recorder.seen)


@pytest.mark.parametrize("random_state", range(4))
def test_a_class_of_one_group_is_not_held_out_as_a_whole(random_state, iris):
    """Heads are fitted on what is not held out, and would not know it."""
    X, y = iris
    groups = np.where(y == 1, 99, np.arange(60) // 3)
    clf = make(cv=0.5, random_state=random_state).fit(X, y, groups=groups)
    for _, head, _ in clf.experts_:
        assert_array_equal(head.classes_, clf.classes_)
    assert np.mean(clf.predict(X)[y == 1] == 1) > 0.7
    with pytest.raises(
        ValueError, match=r"cv=0\.5 cannot hold out rows of every class: the groups"
    ):
        make(cv=0.5).fit(X, y, groups=y)


@pytest.mark.parametrize("cv", [3, 0.3])
def test_what_groups_are_called_plays_no_part(iris, cv):
    X, y = iris
    groups = np.arange(60) % 12
    names = np.array([f"patient {name}" for name in np.random.default_rng(0).permutation(12)])
    found = [
        make(cv=cv).fit(X, y, groups=some).predict_proba(X) for some in (groups, names[groups])
    ]
    np.testing.assert_array_equal(*found)


def test_more_folds_than_groups_are_as_many_as_groups(iris):
    X, y = iris
    groups = np.arange(60) % 2
    few, many = (make(cv=cv).fit(X, y, groups=groups) for cv in (2, 5))
    assert_array_equal(few.predict_proba(X), many.predict_proba(X))
    assert not make().fit(X, y, groups=np.zeros(60)).validated_.any()


def test_one_group_for_each_row_or_a_clear_error(iris):
    with pytest.raises(ValueError, match=r"groups has shape \(3,\), but y has \(60,\)"):
        make().fit(*iris, groups=[1, 2, 3])


@pytest.mark.parametrize("kind", [np.array, lambda groups: groups.tolist(), pd.DataFrame])
def test_groups_may_be_a_table_of_one_column(iris, kind):
    X, y = iris
    groups = np.array([f"film {i // 2}" for i in range(len(y))])
    with pytest.warns(DataConversionWarning, match=r"groups has shape \(60, 1\)"):
        clf = make().fit(X, y, groups=kind(groups[:, None]))
    expected = make().fit(X, y, groups=groups)
    assert_array_equal(clf.predict_proba(X), expected.predict_proba(X))
    unknown = np.where(np.arange(len(y)) == 3, None, groups.astype(object))
    with (
        pytest.warns(DataConversionWarning),
        pytest.raises(ValueError, match=r"groups has no group for row 3, but (None|nan)"),
    ):
        make().fit(X, y, groups=kind(unknown[:, None]))


@pytest.mark.parametrize("kind", [list, lambda y: np.array(y, object), pd.Series])
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, ""])
@pytest.mark.parametrize("name", [str, float])
def test_a_row_without_a_group_is_named(iris, name, missing, kind):
    X, y = iris
    groups = [name(i // 2) for i in range(len(y))]
    groups[3] = groups[5] = missing
    clf = make()
    with pytest.raises(ValueError, match="groups has no group for row 3, but"):
        clf.fit(X, y, groups=kind(groups))
    with pytest.raises(ValueError, match="groups has no group for row 3, but"):
        OpenSetClassifier(clf).fit(X, y, groups=kind(groups))


@pytest.mark.parametrize("kind", [lambda y: np.array(y, object), pd.Series])
def test_groups_that_mix_strings_and_numbers_are_named(iris, kind):
    """As a column of a spreadsheet, where a patient may be 7 in one row and '7' in another."""
    groups = [i // 2 if i < 59 else str(i // 2) for i in range(60)]
    with pytest.raises(ValueError, match=r"groups mixes .*: '29' in row 59 and 0 in row 0\."):
        make().fit(*iris, groups=kind(groups))


@pytest.mark.parametrize(
    ("one", "other"), [("P 7", "P 7 "), ("P 7", "P  7"), ("007", "7"), ("7.0", "7")]
)
def test_a_group_that_is_written_in_two_ways_is_named(iris, one, other):
    X, y = iris
    groups = [f"{i // 2}" for i in range(10, 10 + len(y))]
    groups[2:4] = one, other
    for kind in (list, np.array, pd.Series):
        (text,) = said(partial(make().fit, X, y, groups=kind(groups)))
        assert f"groups has {one!r}, first in row 2, and {other!r}, first in row 3, which" in text
    groups[2:4] = "aB", "ab"  # as names of films may be
    assert not said(partial(make().fit, X, y, groups=groups))


@pytest.mark.parametrize("kind", ["float", "float32", "E"])
def test_groups_that_were_rounded_are_named(iris, kind):
    X, y = iris
    numbers = 4 * 10**16 + np.arange(len(y)) // 2
    groups = [f"{one:.5E}" for one in numbers] if kind == "E" else numbers.astype(kind)
    for one in (groups, pd.Series(groups)):
        texts = said(partial(make().fit, X, y, groups=one))
        assert sum("may be one group" in text for text in texts) == 1
    for kept in (numbers, numbers.astype(str), (numbers % 1000).astype(float)):
        assert not said(partial(make().fit, X, y, groups=kept))


@pytest.mark.parametrize("unit", ["D", "us", "ns"])
def test_a_row_without_a_date_as_its_group_is_named(iris, unit):
    days = np.arange(len(iris[1])).astype("M8[D]").astype(f"M8[{unit}]")
    make().fit(*iris, groups=days)
    days[3] = "NaT"
    for groups in (days, pd.Series(days)):
        with pytest.raises(ValueError, match="groups has no group for row 3, but NaT"):
            make().fit(*iris, groups=groups)


def test_a_head_that_searches_by_itself_gets_the_groups_of_its_rows(emoji):
    """Near copies of rows would choose hardly any regularisation."""
    X, y = emoji
    rng = np.random.default_rng(0)
    noise = rng.permutation(y)
    X, noise, groups = X.repeat(4, axis=0), noise.repeat(4), np.arange(24).repeat(4)
    X = X + 1e-4 * rng.standard_normal(X.shape)
    alone = LinearProbeHead()
    assert alone.fit(X, noise, groups=groups).C_ < clone(alone).fit(X, noise).C_ / 100
    clf = AdaptiveBackboneEnsemble(head="linear-probe", router="static", cv=5)
    alone.cross_fit(X, noise, folds=few_shot_folds(noise, 5, groups=groups, random_state=0))
    clf.set_params(random_state=0).fit(X, noise, groups=groups)
    assert clf.experts_[0].head.C_ == alone.C_


def test_a_search_as_a_head_gets_the_groups_for_its_folds(iris):
    X, y = iris
    groups = np.arange(60) % 12
    search = GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 10]}, cv=GroupKFold(3))
    clf = make(head=search).fit(X, y, groups=groups)
    for expert in clf.experts_:
        of_expert = clone(search).fit(X[:, expert.block.columns], y, groups=groups)
        found = expert.head.cv_results_["mean_test_score"]
        np.testing.assert_array_equal(found, of_expert.cv_results_["mean_test_score"])


def test_a_search_as_a_head_speaks_of_groups_only_if_there_are_some(iris):
    """A row that occurs twice becomes a group, which the user has not given."""
    X, y = np.tile(iris[0], 8), iris[1]
    X, y = np.concatenate([X, X[:1]]), np.concatenate([y, y[:1]])
    clf = make(head=GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1]}, cv=2))
    assert not [text for text in said(clf.fit, X, y) if "groups" in text]
    texts = said(lambda: clf.fit(X, y, groups=np.arange(len(y)) % 6))
    assert any("groups parameter is ignored" in text for text in texts)


# In scikit-learn's tools, with and without its routing of metadata


def metadata(y):
    weights = np.random.default_rng(1).integers(1, 5, size=len(y)).astype(float)
    return {"sample_weight": weights, "groups": np.arange(len(y)) % 6}


def expected_scores(clf, X, y):
    given = metadata(y)
    scores = []
    for train, test in GroupKFold(3).split(X, y, given["groups"]):
        fitted = clone(clf).fit(X[train], y[train], **{k: v[train] for k, v in given.items()})
        scores.append(fitted.score(X[test], y[test]))
    return scores


def test_cross_validation_hands_both_on_without_routing(iris):
    X, y = iris
    folds = list(GroupKFold(3).split(X, y, metadata(y)["groups"]))
    found = cross_validate(make(), X, y, cv=folds, params=metadata(y), error_score="raise")
    assert_array_equal(found["test_score"], expected_scores(make(), X, y))


def test_cross_validation_hands_both_on_with_routing(iris):
    X, y = iris
    expected = expected_scores(make(head=LogisticRegression()), X, y)
    options = dict(cv=GroupKFold(3), params=metadata(y), error_score="raise")
    with config_context(enable_metadata_routing=True):
        head = LogisticRegression().set_fit_request(sample_weight=True)
        clf = make(head=head).set_fit_request(sample_weight=True, groups=True)
        clf.set_score_request(sample_weight=False)
        assert_array_equal(cross_validate(clf, X, y, **options)["test_score"], expected)
        named = make(head=[("lr", head)]).set_fit_request(sample_weight=True, groups=True)
        named.set_score_request(sample_weight=False)
        assert_array_equal(cross_validate(named, X, y, **options)["test_score"], expected)
        clf.set_score_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), clf)
        search = GridSearchCV(
            pipeline,
            {"adaptivebackboneensemble__router": ["static", "uniform"]},
            cv=GroupKFold(3),
            error_score="raise",
        )
        search.fit(X, y, **metadata(y))
        assert search.best_estimator_[-1].validated_.all()


def test_routing_asks_for_what_is_given(iris):
    X, y = iris
    with config_context(enable_metadata_routing=True):
        with pytest.raises(ValueError, match=r"sample_weight.*not explicitly set as requested"):
            make(head=LogisticRegression()).fit(X, y, sample_weight=metadata(y)["sample_weight"])
        clf = make().set_score_request(sample_weight=None)
        with pytest.raises(ValueError, match=r"sample_weight.*not explicitly set as requested"):
            cross_val_score(clf, X, y, params=metadata(y), error_score="raise")
        clf.fit(X, y, **metadata(y))


@pytest.mark.parametrize(
    "clf",
    [
        make(),
        LinearDiscriminantHead(),
        CascadeEnsemble(HALVES, thresholds=0.9, random_state=0),
        BackbonePipeline([("same", "passthrough"), ("head", LinearDiscriminantHead())]),
    ],
)
def test_a_search_with_routing_scores_by_the_weights_that_it_fits_by(clf, iris):
    X, y = iris
    weights = metadata(y)["sample_weight"]
    folds = list(StratifiedKFold(2).split(X, y))
    expected = [
        clone(clf)
        .fit(X[train], y[train], sample_weight=weights[train])
        .score(X[test], y[test], sample_weight=weights[test])
        for train, test in folds
    ]
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(clf, {}, cv=folds, error_score="raise")
        assert_allclose(search.fit(X, y, sample_weight=weights).best_score_, np.mean(expected))


def test_an_open_set_classifier_asks_for_weights_and_groups(iris):
    X, y = iris
    clf = OpenSetClassifier(LinearDiscriminantHead())
    options = {"cv": GroupKFold(3), "params": metadata(y)}
    with config_context(enable_metadata_routing=True):
        assert np.isfinite(cross_val_score(clf, X, y, error_score="raise", **options)).all()


def test_rows_of_no_weight_are_not_familiar(iris):
    X, y = iris
    weights = (np.arange(len(y)) % 3 > 0).astype(float)
    some = weights > 0
    for inside in (LinearDiscriminantHead(), make(), GaussianNB()):
        clf = OpenSetClassifier(inside, reject_rate=0.2, cv=2, random_state=0)
        found = clone(clf).fit(X, y, sample_weight=weights)
        expected = clone(clf).fit(X[some], y[some])
        assert_allclose(found.score_samples(X), expected.score_samples(X), atol=1e-5)
        assert_allclose(found.offset_, expected.offset_, atol=1e-5)


def test_an_open_set_classifier_whose_classifier_takes_no_weights(iris, tmp_path):
    message = "sample_weight is given, but the fit of KNeighborsClassifier cannot take it"
    clf = OpenSetClassifier(KNeighborsClassifier())
    with pytest.raises(ValueError, match=message):
        clf.fit(*iris, sample_weight=np.ones(60))
    with pytest.raises(ValueError, match=message):  # before it looks for the files
        make_backbone_pipeline(BACKBONE, estimator=clf).fit(
            [tmp_path / "none.png"] * 4, list("abab"), sample_weight=np.ones(4)
        )


def test_routing_says_how_an_estimator_asks_for_weights(iris):
    weights = metadata(iris[1])["sample_weight"]
    cascade = CascadeEnsemble(HALVES, estimator=LogisticRegression(), thresholds=0.9)
    with config_context(enable_metadata_routing=True):
        message = r"LogisticRegression does not ask .* set_fit_request\(sample_weight=True\)"
        with pytest.raises(ValueError, match=message):
            cascade.fit(*iris, sample_weight=weights)
        with pytest.raises(ValueError, match=r"^class_weight .*set_fit_request"):
            make(head=LogisticRegression(), class_weight="balanced").fit(*iris)
        cascade.estimator.set_fit_request(sample_weight="importance")
        with pytest.raises(ValueError, match="does not ask for weights by the name sample_weight"):
            cascade.fit(*iris, sample_weight=weights)
        cascade.estimator.set_fit_request(sample_weight=True)
        cascade.fit(*iris, sample_weight=weights)


def test_a_head_that_declines_weights_is_fitted_without(iris):
    X, y = iris
    weights = metadata(y)["sample_weight"]
    with config_context(enable_metadata_routing=True):
        weighed = LogisticRegression().set_fit_request(sample_weight=True)
        equal = LogisticRegression().set_fit_request(sample_weight=False)
        clf = make(head=[("a", weighed), ("b", equal)], router="uniform")
        experts = clf.fit(X, y, sample_weight=weights).experts_
        for expert in experts:
            given = weights if expert.name.endswith("a") else None
            expected = LogisticRegression().fit(X[:, expert.block.columns], y, given)
            assert_allclose(expert.head.coef_, expected.coef_, rtol=1e-3, atol=1e-4)
        unset = make(head=[("a", LogisticRegression()), ("b", equal)])
        with pytest.raises(ValueError, match="not explicitly set as requested or not requested"):
            unset.fit(X, y, sample_weight=weights)


def test_copies_count_for_a_head_that_declines_weights(emoji):
    X, y = emoji
    rows = np.r_[np.arange(len(y)), np.repeat(np.arange(9), 5)]
    with config_context(enable_metadata_routing=True):
        asks, declines = (
            LinearDiscriminantHead().set_fit_request(sample_weight=b) for b in (True, False)
        )
        one, other = (
            AdaptiveBackboneEnsemble(BACKBONE, head=head, random_state=0)
            .fit(X[rows], y[rows])
            .experts_[0]
            .head
            for head in (asks, declines)
        )
    assert_allclose(other.decision_function(X), one.decision_function(X), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cv", [GroupKFold(3), StratifiedGroupKFold(3)])
def test_a_splitter_of_ones_own_gets_the_groups(iris, cv):
    X, y = iris
    for routing in (False, True):
        with config_context(enable_metadata_routing=routing):
            clf = make(cv=cv)
            if routing:
                clf.set_fit_request(groups=True)
            assert clf.fit(X, y, groups=metadata(y)["groups"]).validated_.all()
            with pytest.raises(ValueError, match="'groups' parameter should not be None"):
                clf.fit(X, y)


@pytest.mark.parametrize(
    "ask",
    [
        lambda cv, *of, **given: make(cv=cv).fit(*of, **given),
        lambda cv, *of, **given: CascadeEnsemble(
            HALVES, estimator=LogisticRegression(), cost=COST, cv=cv
        ).fit(*of, **given),
        lambda cv, *of, **given: BackboneSelector(
            HALVES, estimator=LogisticRegression(), cost=COST, cv=cv
        ).fit(*of, **given),
        lambda cv, *of, **given: compare_with_baselines(make(), *of, cv=cv, **given),
        lambda cv, *of, **given: find_label_issues(LogisticRegression(), *of, cv=cv, **given),
    ],
    ids=["ensemble", "cascade", "selector", "compare", "issues"],
)
def test_splits_of_groups_are_doubted(ask, iris):
    X, y = iris
    groups = np.arange(60) // 2
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    kept = list(StratifiedGroupKFold(3).split(X, y, groups))

    def doubts(cv, **given):
        texts = said(lambda: ask(cv, X, y, **given))
        return [text for text in texts if "has rows of the group " in text]

    for cv in (folds, list(folds.split(X, y))):
        (text,) = doubts(cv, groups=groups)
        assert text.startswith("Fold 0 of cv has") and "StratifiedGroupKFold" in text
        assert not doubts(cv)
    for cv in (3, kept, GroupKFold(3)):
        assert not doubts(cv, groups=groups)


def test_a_trained_router_gets_the_weights(iris):
    X, y = iris
    router = NeuralLogitController(max_iter=5, batch_size=100, learning_rate=0.1, random_state=0)
    plain, weighted = (
        make(router=router, calibrate=False).fit(X, y, sample_weight=weights).router_
        for weights in (np.ones(60), metadata(y)["sample_weight"])
    )
    assert np.abs(plain.coefs_[2] - weighted.coefs_[2]).max() > 1e-3


def test_routers_get_the_groups_of_the_rows_that_judge(iris):
    X, y = iris
    seen = {}

    class Remembers(UniformRouter):
        def fit(self, X, logits, y, sample_weight=None, groups=None):
            seen.update(X=X, y=y, groups=groups)
            return self

        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.requires_fit = True
            return tags

    groups = metadata(y)["groups"]
    make(router=Remembers()).fit(np.column_stack([X[:, :3], groups]), y, groups=groups)
    assert_array_equal(seen["X"][:, 3], seen["groups"])
    assert len(seen["groups"]) == 60

"""Tests of cascades, on tables and on pictures that the zoo embeds, with every forward counted."""

import operator
import pickle
import shutil

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from _said import no_warning, said
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import load_file, save_file
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    GroupKFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    parametrize_with_checks,
)

from skclipens import (
    AdaptiveBackboneEnsemble,
    CLIPEmbedder,
    ImageError,
    MultiBackboneEmbedder,
    list_backbones,
)
from skclipens.backbones import Backbone
from skclipens.cascade import BackboneSelector, CascadeClassifier, CascadeEnsemble
from skclipens.cascade._thresholds import choose, sweep
from skclipens.datasets import load_emoji
from skclipens.heads import KernelHead
from skclipens.labels import OpenSetClassifier
from skclipens.model_selection import FewShotSplit

BACKBONES = ["zoo/RN20", "zoo/RegNet", "zoo/ViT-16"]
CHEAPEST_FIRST = ["zoo/RegNet", "zoo/ViT-16", "zoo/RN20"]
GFLOPS = list_backbones().loc[CHEAPEST_FIRST, "gflops"].to_numpy()

IRIS, SPECIES = load_iris(return_X_y=True)
PARTS = [("sepal", slice(0, 2)), ("petal", slice(2, 4))]
# The checks' tables have few columns: two blocks need the first and the last at most.
HALVES = [("first", slice(0, 1)), ("last", slice(-1, None))]
ESTIMATORS = [
    CascadeEnsemble(),
    CascadeEnsemble(HALVES, estimator=LogisticRegression(), thresholds=0.7),
    CascadeEnsemble(HALVES, estimator=LogisticRegression(), cv=2),
    CascadeEnsemble(HALVES, estimator=GaussianNB(), cv=0.5, max_cost=1.5),
]


@pytest.fixture(scope="module")
def pictures():
    frame = load_emoji(as_frame=True).frame.groupby("label").head(8)
    return frame.head(48).sample(frac=1, random_state=0)


@pytest.fixture(scope="module")
def paths(pictures):
    return pictures["path"].tolist()


@pytest.fixture(scope="module")
def table(paths):
    return MultiBackboneEmbedder(BACKBONES, device="cpu", precision="fp32").transform(paths)


def make(backbones=BACKBONES, **parameters):
    ensemble = AdaptiveBackboneEnsemble(head="zero-shot", router="static")
    embedder = CLIPEmbedder(device="cpu", precision="fp32")
    defaults = dict(estimator=ensemble, embedder=embedder, cv=2, random_state=0)
    return CascadeClassifier(backbones, **{**defaults, **parameters})


def halfway(clf, images):
    """A threshold that part of the images pass at each stage."""
    return np.median(clf.set_params(thresholds=0).predict_proba(images).max(axis=1))


# scikit-learn's checks


def of_default(estimator):
    reason = "the default estimator of a stage is judged in folds of its own rows"
    is_default = estimator.estimator is None
    return {"check_sample_weight_equivalence_on_dense_data": reason} if is_default else {}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=of_default)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_names_of_columns_are_compared(estimator):
    check_dataframe_column_names_consistency("CascadeEnsemble", estimator)


# What is embedded


def test_what_is_decided_is_not_embedded_any_further(paths, y, forwards):
    clf = make(thresholds=0).fit(paths, y)
    assert forwards == dict.fromkeys(BACKBONES, len(paths))
    clf = make(thresholds=halfway(clf, paths)).fit(paths, y)
    before = dict(forwards)
    result = clf.predict_with_cost(paths)
    embedded = [forwards[name] - before[name] for name in clf.backbones_]
    assert embedded == [np.sum(result.stages >= stage) for stage in range(3)]
    assert embedded[0] == len(paths) > embedded[1] > 0
    assert_allclose(result.cost, np.cumsum(GFLOPS)[result.stages])


def test_choosing_thresholds_embeds_nothing_twice(paths, y, forwards):
    make(thresholds="auto").fit(paths, y)
    assert forwards == dict.fromkeys(BACKBONES, len(paths))


def test_no_later_backbone_runs_where_the_first_decides_all(paths, y, forwards):
    clf = make(thresholds=0).fit(paths, y)
    before = dict(forwards)
    clf.predict(paths)
    assert forwards["zoo/RegNet"] - before["zoo/RegNet"] == len(paths)
    assert forwards["zoo/RN20"] == before["zoo/RN20"]


# What is predicted


def test_threshold_0_is_the_first_stage_and_infinity_the_full_ensemble(paths, y, table):
    train, test = next(FewShotSplit(n_shots=4, random_state=0).split(paths, y))
    columns = np.r_[128:384, 0:128]  # cheapest first
    images = [paths[i] for i in test]
    for threshold, n_blocks in [(0, 1), (np.inf, 3)]:
        names, used = CHEAPEST_FIRST[:n_blocks], columns[: 128 * n_blocks]
        expected = AdaptiveBackboneEnsemble(names, head="zero-shot", router="static")
        expected.fit(table[np.ix_(train, used)], y[train])
        clf = make(thresholds=threshold).fit([paths[i] for i in train], y[train])
        result = clf.predict_with_cost(images)
        assert_allclose(result.proba, expected.predict_proba(table[np.ix_(test, used)]), atol=1e-4)
        assert clf.score(images, y[test]) == expected.score(table[np.ix_(test, used)], y[test])
        assert set(result.stages) == {n_blocks - 1}


def test_a_kernel_head_has_the_blocks_of_its_stage(table, y):
    table, parts = (
        table[:, np.r_[128:384, 0:128]],
        [slice(128 * i, 128 * i + 128) for i in range(3)],
    )
    for threshold, n_blocks in [(0, 1), (np.inf, 3)]:
        clf = CascadeEnsemble(CHEAPEST_FIRST, estimator=KernelHead(), thresholds=threshold)
        used = table[:, : 128 * n_blocks]
        expected = KernelHead(list(zip(CHEAPEST_FIRST, parts[:n_blocks]))).fit(used, y)
        found = clf.fit(table, y).predict_proba(table)
        assert_allclose(found, expected.predict_proba(used), atol=1e-5)


def test_on_images_is_the_same_as_on_their_embeddings(paths, y, table):
    clf = make(thresholds="auto", max_accuracy_drop=0.05).fit(paths, y)
    ensemble = CascadeEnsemble(
        BACKBONES,
        estimator=clf.estimator,
        cost="gflops",
        max_accuracy_drop=0.05,
        cv=2,
        random_state=0,
    ).fit(table, y)
    assert clf.backbones_ == ensemble.block_names_ == CHEAPEST_FIRST
    assert_allclose(clf.cascade_.thresholds_, ensemble.thresholds_, atol=1e-4)
    found, expected = clf.predict_with_cost(paths), ensemble.predict_with_cost(table)
    assert_array_equal(found.labels, expected.labels)
    assert_array_equal(found.stages, expected.stages)
    assert_allclose(found.proba, expected.proba, atol=1e-4)
    assert_array_equal(clf.predict(paths), found.labels)
    assert_array_equal(clf.predict_proba(paths), found.proba)


@pytest.mark.parametrize(
    "wrap",
    [
        OpenSetClassifier,
        lambda inside: CalibratedClassifierCV(inside, cv=2),
        lambda inside: OpenSetClassifier(GridSearchCV(inside, {"router": ["static"]}, cv=2)),
        make_pipeline,
    ],
)
def test_an_ensemble_inside_another_classifier_has_the_blocks_of_its_stage(wrap, table, y):
    inside = AdaptiveBackboneEnsemble(head="zero-shot", router="static", blocks="not used")
    clf = CascadeEnsemble(BACKBONES, estimator=wrap(inside), cost="gflops", thresholds=0.5)
    assert not [text for text in said(clf.fit, table, y) if "no names of columns" in text]
    for stage, fitted in enumerate(clf.estimators_, start=1):
        blocks = [v for k, v in fitted.get_params().items() if k.endswith("__blocks")]
        assert blocks == [CHEAPEST_FIRST[:stage]] * len(blocks) and blocks
    assert inside.blocks == "not used"
    selector = BackboneSelector(BACKBONES, estimator=wrap(inside), max_blocks=1, cv=2)
    plain = BackboneSelector(BACKBONES, estimator=inside, max_blocks=1, cv=2)
    assert selector.fit(table, y).selected_blocks_ == plain.fit(table, y).selected_blocks_


def test_warnings_are_about_all_rows(table, y):
    classes, codes = np.unique(y, return_inverse=True)
    again, labels = np.vstack([table, table[:8]]), np.append(y, classes[codes[:8] - 1])
    texts = said(CascadeEnsemble(BACKBONES, cost="gflops", cv=2).fit, again, labels)
    (contradictions,) = (text for text in texts if "have the labels" in text)
    assert "In all, 8 rows contradict an earlier one" in contradictions


def test_probabilities_sum_to_one_as_closely_as_their_dtype_can(table, y):
    clf = CascadeEnsemble(BACKBONES, cost="gflops", thresholds=0.5).fit(table, y)
    proba = clf.predict_proba(table)
    assert proba.dtype == np.float64
    with no_warning():
        log_loss(y, proba)


class _Half(LogisticRegression):
    def predict_proba(self, X):
        return super().predict_proba(X).astype(np.float16)


def test_probabilities_in_half_precision_sum_to_one():
    clf = CascadeEnsemble(PARTS, estimator=_Half(max_iter=1000), order="given", thresholds=0.3)
    proba = clf.fit(IRIS, SPECIES).predict_proba(IRIS)
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)


class _Wary(LogisticRegression):
    """Gives most of the probability to none of the classes, and all of it far from the rows."""

    def predict_proba(self, X):
        return super().predict_proba(X) * np.where(X[:, :1] > 100, 0, 0.4)


def test_probabilities_of_none_of_the_classes_stay():
    clf = CascadeEnsemble(PARTS, estimator=_Wary(max_iter=1000), order="given", thresholds=0.3)
    rows = np.append(IRIS, [[500, 0, 0, 0]], axis=0)
    with no_warning():
        proba = clf.fit(IRIS, SPECIES).predict_proba(rows)
    assert_allclose(proba.sum(axis=1), [0.4] * 150 + [0])


def test_the_blocks_of_what_is_fitted_or_follows_another_step_stay(table, y):
    inside = AdaptiveBackboneEnsemble(head="linear", router="uniform", blocks=BACKBONES)
    frozen = FrozenEstimator(inside.fit(table, y))
    several = make_pipeline(StandardScaler(), AdaptiveBackboneEnsemble(head="linear"))
    for estimator in (make_pipeline(frozen), several):
        CascadeEnsemble([("all", slice(None))], estimator=estimator).fit(table, y)
    assert inside.blocks == BACKBONES
    clf = CascadeEnsemble([("all", slice(None))], estimator=several).fit(table, y)
    assert clf.estimators_[0][-1].blocks is None


def test_each_stage_has_a_threshold_of_its_own(table, y):
    estimator = LogisticRegression()
    columns = np.r_[128:384, 0:128]
    p = [
        estimator.fit(table[:, used], y).predict_proba(table[:, used])
        for used in (columns[:128], columns[:256], columns)
    ]
    confidence = np.stack([one.max(axis=1) for one in p])
    first, second = np.median(confidence[:2], axis=1)
    stages = np.where(confidence[0] >= first, 0, np.where(confidence[1] >= second, 1, 2))
    assert set(stages) == {0, 1, 2}
    clf = CascadeEnsemble(
        BACKBONES, estimator=estimator, cost="gflops", thresholds=[first, second]
    ).fit(table, y)
    result = clf.predict_with_cost(table)
    assert_array_equal(result.stages, stages)
    assert_allclose(result.proba, np.stack(p)[stages, np.arange(len(y))], atol=1e-6)


@pytest.mark.parametrize("label", [1, 300])
def test_labels_are_those_that_the_estimator_predicts(label):
    y = np.where(SPECIES == 1, label, 0).astype("uint8" if label < 256 else int)
    lenient = FixedThresholdClassifier(LogisticRegression(), threshold=0.2, pos_label=label)
    clf = CascadeEnsemble(PARTS, estimator=lenient, order="given", thresholds=0.7).fit(IRIS, y)
    result = clf.predict_with_cost(IRIS)
    first, last = clf.estimators_
    expected = np.where(result.stages == 0, first.predict(IRIS[:, :2]), last.predict(IRIS))
    assert set(result.stages) == {0, 1}
    assert_array_equal(result.labels, expected)
    assert (result.labels != clf.classes_[result.proba.argmax(axis=1)]).any()
    by_rejecting = CascadeEnsemble(
        PARTS, estimator=OpenSetClassifier(LogisticRegression(), reject_rate=0.3), thresholds=0.7
    )
    assert 0 < (by_rejecting.fit(IRIS, y).predict(IRIS) == -1).mean() < 1


def test_stages_on_images_may_reject(paths, y):
    of_stage = OpenSetClassifier(LogisticRegression(), reject_rate=0.5, random_state=0)
    clf = make(estimator=of_stage, thresholds=0.5).fit(paths[::2], y[::2])
    predicted = clf.predict(paths[1::2])
    assert 0 < (predicted == "").mean() < 1
    assert clf.score(paths[1::2], predicted) == 1
    with pytest.warns(UserWarning, match="Rows of none of the classes are called ''"):
        clf.score(paths[:2], ["no class", ""])
    expected = clf.score(paths[1::2], y[1::2])
    clf.fit(paths[::2], y[::2], sample_weight=np.ones(len(y[::2])))
    assert clf.score(paths[1::2], y[1::2]) == expected


def test_labels_may_be_numbers(paths, y):
    names, numbers = np.unique(y, return_inverse=True)
    ensemble = AdaptiveBackboneEnsemble(head="zero-shot", router="static", class_names=names)
    clf = make(estimator=ensemble, thresholds=0.9).fit(paths, numbers)
    expected = make(thresholds=0.9).fit(paths, y).predict(paths)
    assert_array_equal(names[clf.predict(paths)], expected)


def test_default_estimator_learns_on_pictures(paths, y):
    train, test = next(FewShotSplit(n_shots=4, random_state=0).split(paths, y))
    clf = make(CHEAPEST_FIRST[:2], estimator=None).fit([paths[i] for i in train], y[train])
    for stage, estimator in enumerate(clf.cascade_.estimators_, start=1):
        used = {name.split(":")[0] for name in estimator.expert_names_}
        assert used - {"all"} == set(CHEAPEST_FIRST[:stage])
    assert clf.score([paths[i] for i in test], y[test]) > 0.5


# Thresholds


def simulate(confidence, correct, costs, threshold):
    """Accuracy and mean cost of a cascade, row by row."""
    hits, spent = [], []
    for sure, right in zip(confidence, correct):
        stage = next((k for k, c in enumerate(sure[:-1]) if c >= threshold), len(sure) - 1)
        hits.append(right[stage])
        spent.append(costs[: stage + 1].sum())
    return np.mean(hits), np.mean(spent)


@st.composite
def held_out(draw):
    shape = draw(st.tuples(st.integers(1, 12), st.integers(2, 4)))
    confidence = draw(hnp.arrays(float, shape, elements=st.sampled_from(np.linspace(0.2, 1, 7))))
    correct = draw(hnp.arrays(float, shape, elements=st.sampled_from([0.0, 1.0])))
    costs = draw(hnp.arrays(float, shape[1:], elements=st.integers(0, 9)))
    return confidence, correct, np.sort(costs)


@given(held_out())
def test_curve_is_what_cascades_with_these_thresholds_do(rows):
    curve = pd.DataFrame(sweep(*rows))
    for threshold, accuracy, cost in curve.itertuples(index=False):
        assert_allclose((accuracy, cost), simulate(*rows, threshold), atol=1e-9)
    assert curve["threshold"].is_monotonic_increasing
    assert curve["cost"].is_monotonic_increasing
    # Any other threshold does what the next one of the curve does.
    for threshold in (0.0, 0.3, 0.77, 1.0):
        same = curve[curve["threshold"] >= threshold].iloc[0]
        assert_allclose(simulate(*rows, threshold), same[["accuracy", "cost"]], atol=1e-9)


@given(held_out(), st.sampled_from([None, 0.0, 0.2]), st.sampled_from([None, 2, 10]))
def test_choice_keeps_to_drop_and_budget(rows, drop, budget):
    curve = sweep(*rows)
    accuracy, cost = curve["accuracy"], curve["cost"]
    if budget is not None:
        budget += cost[0]
    chosen = choose(curve, drop, budget)
    affordable = cost <= (np.inf if budget is None else budget + 1e-9)
    assert affordable[chosen]
    enough = accuracy >= accuracy[-1] - (drop or 0) - 1e-9
    meets = np.array([enough[i:].all() for i in range(len(enough))])
    if drop is not None and (affordable & meets).any():
        assert meets[chosen]
        assert cost[chosen] == cost[affordable & meets].min()
    else:
        best = accuracy[affordable].max()
        assert accuracy[chosen] == best
        assert cost[chosen] == cost[affordable & (accuracy == best)].min()


@pytest.mark.parametrize("cv", [3, 0.4, StratifiedKFold(2)], ids=str)
def test_budget_is_kept_on_held_out_rows(table, y, cv):
    clf = CascadeEnsemble(
        BACKBONES, estimator=GaussianNB(var_smoothing=0.1), cost="gflops", cv=cv, random_state=0
    ).fit(table, y)
    everything = GFLOPS.sum()
    assert_allclose(clf.curve_["cost"][[0, -1]], [GFLOPS[0], everything])
    costs = []
    for budget in np.linspace(GFLOPS[0], everything, 4):
        clf.set_params(max_cost=budget, max_accuracy_drop=None).fit(table, y)
        chosen = clf.curve_["threshold"] == clf.thresholds_[0]
        costs.append(clf.curve_["cost"][chosen].item())
        assert costs[-1] <= budget * (1 + 1e-6)
    assert costs == sorted(costs)


def test_curve_is_cross_validated(table, y):
    estimator = LogisticRegression(C=100)
    clf = CascadeEnsemble(BACKBONES, estimator=estimator, cv=StratifiedKFold(2)).fit(table, y)
    by_stage = [
        cross_val_score(estimator, table[:, :end], y, cv=StratifiedKFold(2)).mean()
        for end in (128, 384)
    ]
    assert_allclose(clf.curve_["accuracy"][[0, -1]], by_stage)


def test_a_smaller_drop_costs_no_less(table, y):
    clf = CascadeEnsemble(BACKBONES, estimator=LogisticRegression(C=10), random_state=0)
    costs = []
    for drop in (0, 0.05, 0.1, 1):
        clf.set_params(max_accuracy_drop=drop).fit(table, y)
        chosen = clf.curve_["threshold"] == clf.thresholds_[0]
        costs.append(clf.curve_["cost"][chosen].item())
        assert clf.curve_["accuracy"][chosen] >= clf.curve_["accuracy"][-1] - drop - 1e-9
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == 1 < costs[0]


def test_rows_whose_class_no_other_row_has_are_not_held_out():
    X, y = np.vstack([IRIS, IRIS[:1]]), np.append(SPECIES, 7)
    clf = CascadeEnsemble(PARTS, estimator=GaussianNB(), random_state=0).fit(X, y)
    assert list(clf.classes_) == [0, 1, 2, 7]
    assert clf.curve_["accuracy"][-1] > 0.9


def test_classes_are_those_that_the_stages_know(table, y):
    known = LogisticRegression(C=10).fit(table, y)
    some = np.isin(y, np.unique(y)[:2])
    ensemble = AdaptiveBackboneEnsemble(
        head=[("frozen", FrozenEstimator(known), slice(None))], router="uniform", calibrate=False
    )
    clf = CascadeEnsemble([("all", slice(None))], estimator=ensemble, cost={"all": 1}, thresholds=0)
    np.testing.assert_array_equal(
        clf.fit(table[some], y[some]).predict(table), known.predict(table)
    )
    unheard = CascadeEnsemble(BACKBONES, estimator=LogisticRegression(C=10), cv=2, random_state=0)
    unheard.fit(table, y, sample_weight=some.astype(float))
    assert unheard.classes_.tolist() == np.unique(y)[:2].tolist()
    heard = clone(unheard).fit(table[some], y[some])
    assert_array_equal(unheard.predict(table), heard.predict(table))


def test_rows_without_a_label_are_no_mistakes():
    clf = CascadeEnsemble(PARTS, estimator=GaussianNB(), thresholds=0).fit(IRIS, SPECIES)
    with pytest.raises(ValueError, match="no label for 1 of 150 rows"):
        clf.score(IRIS, np.where(np.arange(len(IRIS)) == 3, -1, SPECIES))


def test_there_is_no_curve_where_nothing_was_chosen():
    clf = CascadeEnsemble(PARTS, estimator=GaussianNB()).fit(IRIS, SPECIES)
    assert hasattr(clf, "curve_")
    assert not hasattr(clf.set_params(thresholds=0.9).fit(IRIS, SPECIES), "curve_")
    assert_array_equal(clf.thresholds_, [0.9])


# Costs


def test_order_is_that_of_costs(table, y):
    def order(cost):
        clf = CascadeEnsemble(BACKBONES, estimator=GaussianNB(), cost=cost, thresholds=0.5)
        return clf.fit(table, y).block_names_

    assert order(None) == BACKBONES
    assert order("gflops") == CHEAPEST_FIRST
    assert order({"zoo/ViT-16": 1, "zoo/RN20": 3.5, "zoo/RegNet": 5}) == [
        "zoo/ViT-16",
        "zoo/RN20",
        "zoo/RegNet",
    ]
    parameters = list_backbones()["parameters"]
    assert order(parameters) == parameters[BACKBONES].sort_values().index.tolist()


def test_a_first_block_that_says_little_is_no_mistake():
    X, y = load_iris(return_X_y=True)
    noise = np.random.default_rng(0).normal(size=(len(y), 2))
    blocks = [("noise", [0, 1]), ("rest", [2, 3])]
    cascade = CascadeEnsemble(blocks, thresholds=0.9, order="given", random_state=0)
    assert not said(cascade.fit, np.hstack([noise, X[:, 2:]]), y)
    (doubt,) = said(cascade.fit, np.hstack([noise, noise[::-1]]), y)
    assert doubt.startswith("X does not predict y")


def test_order_may_be_given(paths, y, table):
    given = ["zoo/ViT-16", "zoo/RN20", "zoo/RegNet"]
    clf = make(given, order="given", thresholds=0).fit(paths, y)
    assert clf.backbones_ == given
    assert_allclose(clf.predict_with_cost(paths).cost, GFLOPS[1])
    first = CascadeEnsemble(["zoo/ViT-16"], estimator=clf.estimator).fit(table[:, 256:], y)
    assert_allclose(clf.predict_proba(paths), first.predict_proba(table[:, 256:]), atol=1e-4)


def test_seconds_are_measured(paths, y):
    clf = make(cost="seconds", thresholds=0.5).fit(paths, y)
    seconds = clf.cascade_.block_costs_
    assert sorted(clf.backbones_) == sorted(BACKBONES)
    assert (np.diff(seconds) >= 0).all()
    assert (seconds > 1e-5).all()
    assert (seconds < 1).all()
    result = clf.predict_with_cost(paths)
    assert_allclose(result.cost, np.cumsum(seconds)[result.stages])


class LazyImages:
    """Images that are taken one by one; a slice is no position."""

    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        return self.paths[operator.index(i)]


def test_seconds_are_measured_on_a_lazy_collection(paths, y):
    clf = make(cost="seconds", thresholds=0.5).fit(LazyImages(paths), y)
    assert (clf.cascade_.block_costs_ > 0).all()


def test_seconds_are_not_those_of_reading_a_cache(paths, y, tmp_path, forwards):
    embedder = CLIPEmbedder(device="cpu", precision="fp32", cache=tmp_path)
    make(cost="seconds", thresholds=0.5, embedder=embedder).fit(paths, y)
    once = dict(forwards)
    make(cost="seconds", thresholds=0.5, embedder=embedder).fit(paths, y)
    assert all(forwards[name] == 2 * once[name] > 0 for name in BACKBONES)


# scikit-learn's tools


def test_cross_validation_and_grid_search(paths, y, table):
    scores = cross_val_score(make(thresholds=0.9), paths, y, cv=2, error_score="raise")
    assert scores.mean() > 0.4
    clf = CascadeEnsemble(BACKBONES, estimator=GaussianNB(), cost="gflops", random_state=0)
    search = GridSearchCV(clf, {"thresholds": [0, 0.9, np.inf]}, cv=2, error_score="raise")
    assert search.fit(table, y).best_score_ > 0.4


def test_clone_and_pickle(paths, y):
    clf = make(thresholds=0.9).fit(paths, y)
    saved = pickle.dumps(clf)
    assert b"torch." not in saved
    expected = clf.predict_proba(paths)
    assert_array_equal(pickle.loads(saved).predict_proba(paths), expected)
    copy = clone(clf)
    assert not hasattr(copy, "cascade_")
    assert_array_equal(copy.fit(paths, y).predict_proba(paths), expected)


def test_frames_and_global_output_settings(pictures, paths, y):
    clf = make(thresholds=0.9).fit(pictures[["path"]], pictures["label"])
    assert list(clf.feature_names_in_) == ["path"]
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(pictures[["path"]].rename(columns={"path": "other"}))
    expected = clf.predict_proba(paths)
    with sklearn.config_context(transform_output="pandas"):
        assert_array_equal(clf.fit(pictures["path"], y).predict_proba(pictures["path"]), expected)


def test_an_embedder_that_was_changed_after_fit(paths, y):
    clf = make(["zoo/ViT-8"], estimator=LogisticRegression()).fit(paths, y)
    for changed, block in [({"views": "mirror"}, "@views"), ({"features": "pooled"}, "@pooled")]:
        clf.set_params(embedder=CLIPEmbedder(**changed))
        message = f"gives the block 'zoo/ViT-8{block}', and gave 'zoo/ViT-8'. Set its features"
        with pytest.raises(ValueError, match=message):
            clf.predict(paths)
    clf.set_params(embedder=CLIPEmbedder(normalize=False))
    with pytest.warns(UserWarning, match="Classifier has changed since fit: normalize") as caught:
        clf.predict(paths)
    assert len(caught) == 1
    clf.fit(paths, y).predict(paths)
    mirrored = CLIPEmbedder(views="mirror")
    clf.set_params(embedder=mirrored, cost={"zoo/ViT-8": 1}).fit(paths, y).predict(paths)
    clf.set_params(embedder__views="crops")
    with pytest.warns(UserWarning, match="has changed since fit: backbones, features or views"):
        clf.predict(paths)


def test_weights_that_are_written_over_after_fit(paths, y, tmp_path):
    shutil.copytree(Backbone("zoo/ViT-8").folder, tmp_path / "model")
    name = str(tmp_path / "model")
    clf = make([name], estimator=LogisticRegression(), cost={name: 1}).fit(paths, y)
    weights = next((tmp_path / "model").glob("*.safetensors"))
    tensors = load_file(weights)
    save_file(
        {key: np.asarray(1.01 * one + 0.01, one.dtype) for key, one in tensors.items()}, weights
    )
    with pytest.warns(UserWarning, match="has changed since fit: the weights of '.*model'"):
        clf.predict(paths)


def test_embedder_is_used_and_not_changed(paths, y, table):
    embedder = CLIPEmbedder("zoo/DLA", device="cpu", precision="fp32", normalize=False)
    clf = make(["zoo/RN20"], embedder=embedder, estimator=LogisticRegression()).fit(paths, y)
    assert clf.embedder is embedder
    assert embedder.backbone == "zoo/DLA"
    X = clone(embedder).set_params(backbone="zoo/RN20").transform(paths)
    expected = LogisticRegression().fit(X, y)
    assert_allclose(clf.predict_proba(paths), expected.predict_proba(X), atol=1e-3)
    # Lengths differ from 1, and so do predictions from those on the normalised table.
    normalized = LogisticRegression().fit(table[:, :128], y).predict_proba(table[:, :128])
    assert np.abs(clf.predict_proba(paths) - normalized).max() > 0.01


def test_estimator_is_not_changed(table, y):
    estimator = AdaptiveBackboneEnsemble(head="zero-shot", router="static")
    CascadeEnsemble(BACKBONES, estimator=estimator, thresholds=0.9).fit(table, y)
    assert estimator.blocks is None
    assert not hasattr(estimator, "classes_")


# Errors


def test_errors_of_costs():
    def fit(**parameters):
        CascadeEnsemble(PARTS, **parameters).fit(IRIS, SPECIES)

    with pytest.raises(ValueError, match=r"not for 'sepal'\. Give a mapping .* sepal, petal"):
        fit(cost="gflops")
    with pytest.raises(ValueError, match="cost has no entry for 'petal', only for sepal"):
        fit(cost={"sepal": 1})
    with pytest.raises(ValueError, match="cost of 'petal' is -1; it must be a number, finite and"):
        fit(cost={"sepal": 1, "petal": -1})
    with pytest.raises(ValueError, match="The cost of 'sepal' is cheap; it must be a number"):
        fit(cost={"sepal": "cheap", "petal": 1})
    with pytest.raises(ValueError, match=r"max_cost=1 is less than .* 'petal', 2, the least"):
        fit(cost={"sepal": 3, "petal": 2}, max_cost=1)
    with pytest.raises(ValueError, match=r"max_cost=2 is less than .* 'sepal', 3, the least"):
        fit(cost={"sepal": 3, "petal": 2}, max_cost=2, order="given")
    with pytest.raises(InvalidParameterError, match="'cost' parameter"):
        fit(cost="seconds")


def test_cost_is_checked_before_anything_is_embedded(paths, y, tmp_path, forwards):
    weights = tmp_path / "weights.pt"
    weights.touch()
    with pytest.raises(ValueError, match="not for 'ViT-S-32-alt//"):
        make(["zoo/RN20", f"ViT-S-32-alt//{weights}"]).fit(paths, y)
    with pytest.raises(ValueError, match="cost has no entry for 'zoo/RN20'"):
        make(["zoo/RN20"], cost={"zoo/ViT-16": 1}).fit(paths, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make().fit(paths, y[:-1])
    with pytest.raises(ValueError, match="Unknown label type"):
        make().fit(paths, np.linspace(0, 1, len(paths)))
    with pytest.raises(ValueError, match=r"max_cost=0\.001 is less than the cost of 'zoo/RegNet'"):
        make(max_cost=0.001).fit(paths, y)
    assert not any(forwards.values())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"thresholds": [0.5] * 5}, "does not fit a cascade of 3 stages"),
        ({"cv": [([0], [1000])]}, "Fold 0 of cv does not fit X"),
        ({"cv": GroupKFold(2)}, "splits by groups"),
        ({"estimator": LogisticRegression(C=-1)}, "The 'C' parameter of LogisticRegression"),
    ],
)
def test_parameters_are_checked_before_anything_is_embedded(
    paths, y, forwards, parameters, message
):
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit(paths, y)
    assert not any(forwards.values())


def test_thresholds_that_cannot_be_chosen_are_refused_before_anything_is_embedded(
    paths, y, forwards
):
    first = np.unique(y, return_index=True)[1]
    with pytest.raises(ValueError, match=r"cv=2 cannot hold out any row: .*as numbers"):
        make().fit([paths[row] for row in first], y[first])
    with pytest.raises(ValueError, match="would have no training row of another group"):
        make().fit(paths, y, groups=y)
    assert not any(forwards.values())


def test_weights_are_refused_before_anything_is_embedded(paths, y, forwards):
    clf = make(estimator=KNeighborsClassifier())
    with pytest.raises(ValueError, match="KNeighborsClassifier"):
        clf.fit(paths, y, sample_weight=np.ones(len(y)))
    assert not any(forwards.values())


def test_groups_arrive_in_the_last_stage(paths, y):
    estimator = AdaptiveBackboneEnsemble(head="linear", cv=GroupKFold(2))
    clf = make(["zoo/RN20"], estimator=estimator).fit(paths, y, groups=np.arange(len(y)) // 2)
    assert clf.score(paths, y) > 0.5


def test_errors_of_thresholds():
    rows = [0, 50, 100]
    with pytest.raises(ValueError, match=r"hold out any row: .* no training row\. .*as numbers"):
        CascadeEnsemble(PARTS).fit(IRIS[rows], SPECIES[rows])
    with pytest.raises(ValueError, match="would have no training row of another group"):
        CascadeEnsemble(PARTS).fit(IRIS, SPECIES, groups=SPECIES)
    with pytest.raises(ValueError, match=r"cv=0\.5 cannot hold out rows.*thresholds as numbers"):
        CascadeEnsemble(PARTS, cv=0.5).fit(IRIS[rows], SPECIES[rows])
    for row, message in {0: "has 1 of its test rows in train", 150: "does not fit X"}.items():
        with pytest.raises(ValueError, match=message) as raised:
            CascadeEnsemble(PARTS, cv=[(np.arange(149), [row])]).fit(IRIS, SPECIES)
        assert "thresholds as numbers" not in str(raised.value)
    with pytest.raises(ValueError, match="does not fit a cascade of 2 stages; give one number"):
        CascadeEnsemble(PARTS, thresholds=[0.5, 0.5, 0.5]).fit(IRIS, SPECIES)
    for threshold in (np.nan, 80, 1.1):
        with pytest.raises(ValueError, match=r"thresholds are compared with prob.*from 0 to 1"):
            CascadeEnsemble(PARTS, thresholds=[threshold]).fit(IRIS, SPECIES)


def test_an_image_that_cannot_be_read_is_named(paths, y):
    clf = make(["zoo/RegNet"]).fit(paths, y)
    with pytest.raises(ImageError, match=r"row 1: .*no\.png"):
        clf.predict([paths[0], "no.png"])


@pytest.mark.parametrize("estimator", [None, HistGradientBoostingClassifier()])
def test_gaps_are_refused_before_anything_is_embedded(paths, y, forwards, estimator):
    embedder = CLIPEmbedder(on_error="nan")
    clf = make(["zoo/RegNet"], embedder=embedder, estimator=estimator)
    refusal = r"on_error='nan', but a cascade needs an embedding of each .* on_error='raise'"
    for images, labels in [(paths, y), ([*paths, "no.png"], [*y, y[0]])]:
        with pytest.raises(ValueError, match=refusal):
            clf.fit(images, labels)
    assert not any(forwards.values())


def test_gaps_are_refused_after_fit_too(paths, y):
    clf = make(["zoo/RegNet"]).fit(paths, y).set_params(embedder=CLIPEmbedder(on_error="nan"))
    with pytest.raises(ValueError, match="a cascade needs an embedding of each image"):
        clf.predict([paths[0], "no.png"])


class Unsure(GaussianNB):
    """Knows nothing of large flowers."""

    def predict_proba(self, X):
        return np.where(np.asarray(X)[:, :1] > 7, np.nan, super().predict_proba(X))


def test_a_stage_that_gives_nan_is_named_with_the_row():
    clf = CascadeEnsemble(PARTS, estimator=Unsure(), thresholds=np.inf)
    large = np.flatnonzero(IRIS[:, 0] > 7)
    with pytest.raises(ValueError, match=rf"stage 0 gives NaN .* row {large[0]}\."):
        clf.fit(IRIS, SPECIES).predict(IRIS)
    kept = np.delete(np.arange(150), large)
    assert np.isfinite(clf.predict_proba(IRIS[kept])).all()
    with pytest.raises(ValueError, match=r"held-out rows gives NaN .* row \d+\."):
        clone(clf).set_params(thresholds="auto").fit(IRIS, SPECIES)


class Doubled(GaussianNB):
    """Gives scores, which sum to 2, in place of probabilities."""

    def predict_proba(self, X):
        return 2 * super().predict_proba(X)


class Narrow(GaussianNB):
    """Lacks a class among its probabilities."""

    def predict_proba(self, X):
        return super().predict_proba(X)[:, :-1]


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (Doubled(), r"gives row \d+ the probabilities .* sum to more than 1\. If these are scores"),
        (Narrow(), r"gives probabilities of shape \(\d+, 2\), and \(\d+, 3\) is needed"),
    ],
)
def test_a_stage_without_probabilities_is_named(estimator, message):
    clf = CascadeEnsemble(PARTS, estimator=estimator, thresholds=0.9).fit(IRIS, SPECIES)
    with pytest.raises(ValueError, match=f"of stage 0 {message}"):
        clf.predict(IRIS)
    with pytest.raises(ValueError, match=f"validated on held-out rows {message}"):
        clone(clf).set_params(thresholds="auto").fit(IRIS, SPECIES)
    with pytest.raises(ValueError, match=message):
        OpenSetClassifier(estimator).fit(IRIS, SPECIES)


def test_a_budget_beside_thresholds_as_numbers_is_told(paths, y):
    clf = CascadeEnsemble(PARTS, estimator=GaussianNB(), max_cost=0.5)
    with pytest.raises(ValueError, match=r"max_cost=0\.5 is less than the cost of 'sepal'"):
        clf.fit(IRIS, SPECIES)
    (text,) = said(lambda: clf.set_params(thresholds=0.9).fit(IRIS, SPECIES))
    assert text.startswith("max_cost=0.5 is not used: it limits the thresholds that 'auto' chooses")
    (text,) = said(lambda: CascadeClassifier(BACKBONES, thresholds=0.9, max_cost=1).fit(paths, y))
    assert text.startswith("max_cost=1 is not used")


class OfKind(GaussianNB):
    """Its probabilities are of another kind than an array of floats."""

    def __init__(self, kind=np.asarray):
        super().__init__()
        self.kind = kind

    def predict_proba(self, X):
        return self.kind(super().predict_proba(X))


@pytest.mark.parametrize("kind", [np.longdouble, np.ndarray.tolist, pl.DataFrame])
def test_probabilities_may_be_of_any_kind(kind):
    expected, found = (
        CascadeEnsemble(PARTS, estimator=estimator, random_state=0).fit(IRIS, SPECIES)
        for estimator in (GaussianNB(), OfKind(kind))
    )
    assert_allclose(found.thresholds_, expected.thresholds_)
    assert_allclose(found.predict_proba(IRIS), expected.predict_proba(IRIS))


def test_the_kind_of_sure_probabilities_changes_no_threshold():
    def fit(kind):
        estimator = OfKind(lambda proba: (proba == proba.max(axis=1, keepdims=True)).astype(kind))
        return CascadeEnsemble(PARTS, estimator=estimator, random_state=0).fit(IRIS, SPECIES)

    curves = [fit(kind).curve_ for kind in (bool, float)]
    assert_allclose(curves[0]["accuracy"], curves[1]["accuracy"])


@pytest.mark.parametrize("share", [0.3, 0.7, 1.7])
def test_a_budget_of_one_stage_is_met_with_any_weights(share):
    """In float32, sums of such weights made the cost of a stage a little more than it is."""
    rows = IRIS.astype(np.float32)
    weights = np.full(150, share)
    clf = CascadeEnsemble(
        PARTS, estimator=GaussianNB(), cost={"sepal": 1, "petal": 1}, random_state=0
    )
    for max_cost in (1, 2):
        clf.set_params(max_cost=max_cost).fit(rows, SPECIES, sample_weight=weights)
        assert clf.curve_["cost"][0] == 1
        assert clf.curve_["cost"][-1] == 2


@pytest.mark.parametrize("cv", [5, 0.5, StratifiedKFold(5, shuffle=True, random_state=0)])
def test_copies_of_a_row_do_not_judge_each_other(cv):
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(100, 64)), 2, axis=0)
    y = np.repeat(rng.integers(0, 2, 100), 2)  # X says nothing of these
    blocks = [("first", slice(0, 32)), ("last", slice(32, 64))]
    clf = CascadeEnsemble(blocks, estimator=LogisticRegression(C=100), cv=cv, random_state=0)
    assert clf.fit(X, y).curve_["accuracy"][-1] < 0.65


@pytest.mark.parametrize("cv", [5, 0.5, StratifiedKFold(5, shuffle=True, random_state=0)])
def test_rows_of_one_picture_with_other_prices_do_not_judge_each_other(cv):
    rng = np.random.default_rng(0)
    names = [f"zoo/RN20__{column}" for column in range(128)]
    X = pd.DataFrame(rng.normal(size=(60, 128)).repeat(3, axis=0), columns=names)
    X["price"] = rng.normal(size=180) / 100
    y = rng.integers(0, 2, 60).repeat(3)  # X says nothing of these
    options = {"estimator": LogisticRegression(C=100), "cv": cv, "random_state": 0}
    assert CascadeEnsemble(**options).fit(X, y).curve_["accuracy"][-1] < 0.65
    selector = BackboneSelector(**options, scoring="accuracy").fit(X, y)
    assert selector.path_["score"].max() < 0.65


def test_of_accuracies_that_differ_by_rounding_the_cheapest_is_chosen():
    accuracy, cost = np.array([0.7, 0.8, np.nextafter(0.8, 1), 0.75]), np.arange(1.0, 5)
    curve = {"accuracy": accuracy, "cost": cost}
    assert choose(curve, max_accuracy_drop=None, max_cost=None) == 1
    assert choose(curve, max_accuracy_drop=None, max_cost=1.5) == 0

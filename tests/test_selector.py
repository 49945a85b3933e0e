"""Tests of BackboneSelector, on tables and on pictures that the zoo embeds."""

import pickle

import numpy as np
import pandas as pd
import pytest
from _said import said
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, top_k_accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder, ResidualHead, list_backbones
from skclipens._utils._random import draw_seed
from skclipens.cascade import BackboneSelector, CascadeClassifier, CascadeEnsemble
from skclipens.cascade._costs import block_costs
from skclipens.datasets import load_emoji

BACKBONES = ["zoo/RN20", "zoo/RegNet", "zoo/ViT-16"]
SPLITTER = StratifiedKFold(3, shuffle=True, random_state=0)

IRIS, SPECIES = load_iris(return_X_y=True)
PARTS = [("sepal", slice(0, 2)), ("petal", slice(2, 4)), ("noise", slice(4, 6))]
NOISE = np.random.default_rng(0).normal(size=(len(IRIS), 2))
NOISY = np.hstack([IRIS, NOISE])

# The checks' tables have few columns: two blocks need the first and the last at most.
HALVES = [("first", slice(0, 1)), ("last", slice(-1, None))]
SELECTORS = [
    BackboneSelector(),
    BackboneSelector(HALVES, estimator=LogisticRegression(), max_blocks=1),
    BackboneSelector(HALVES, estimator=GaussianNB(), scoring="accuracy", cv=2, tol=0.1),
]


@pytest.fixture(scope="module")
def pictures():
    frame = load_emoji(as_frame=True).frame.groupby("label").head(8)
    return frame.head(48).sample(frac=1, random_state=0)


def test_rows_without_weight_neither_teach_nor_judge():
    weights = (SPECIES > 0).astype(float)
    some = SPECIES > 0
    heard = make(PARTS[:2]).fit(IRIS[some], SPECIES[some])
    found = make(PARTS[:2]).fit(IRIS, SPECIES, sample_weight=weights)
    assert found.path_["score"].tolist() == heard.path_["score"].tolist()


@pytest.mark.parametrize("kind", [BackboneSelector, CascadeEnsemble])
def test_the_mean_of_weights_is_that_of_all_rows_not_of_a_fold(kind):
    weights = np.ones(len(SPECIES))
    weights[0] = 1e5
    clf = kind(PARTS[:2], estimator=AdaptiveBackboneEnsemble(head="linear"))

    def told(mean):
        given = weights * mean / weights.mean()
        found = said(lambda: clf.fit(IRIS, SPECIES, sample_weight=given))
        return [text for text in found if "mean of the weights" in text]

    assert not told(1)
    found = told(20)
    assert found and all("is 20." in one and "150 rows count as 3e+03" in one for one in found)


def make(blocks=PARTS, **parameters):
    defaults = dict(estimator=GaussianNB(), random_state=0)
    return BackboneSelector(blocks, **{**defaults, **parameters})


# scikit-learn's checks


@parametrize_with_checks(SELECTORS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("selector", SELECTORS[1:], ids=repr)
@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_dataframe_column_names_consistency,
        estimator_checks.check_set_output_transform,
        estimator_checks.check_set_output_transform_pandas,
        estimator_checks.check_global_output_transform_pandas,
        estimator_checks.check_transformer_get_feature_names_out,
        estimator_checks.check_transformer_get_feature_names_out_pandas,
        estimator_checks.check_get_feature_names_out_error,
    ],
)
def test_checks_that_scikit_learn_runs_on_its_own_estimators_only(check, selector):
    check("BackboneSelector", selector)


# The search


@pytest.mark.parametrize("scoring", ["neg_log_loss", "accuracy"])
def test_path_is_that_of_greedy_search(scoring):
    selector = make(cv=SPLITTER, scoring=scoring).fit(NOISY, SPECIES)
    columns = {name: np.arange(6)[part] for name, part in PARTS}

    def score(names):
        X = NOISY[:, np.concatenate([columns[name] for name in names])]
        return cross_val_score(GaussianNB(), X, SPECIES, cv=SPLITTER, scoring=scoring).mean()

    added = []
    for name, found in zip(selector.path_["block"], selector.path_["score"], strict=True):
        scores = {other: score([*added, other]) for other in columns if other not in added}
        assert_allclose(found, max(scores.values()))
        assert_allclose(scores[name], found)
        added.append(name)
    best = int(np.argmax(selector.path_["score"]))
    assert selector.selected_blocks_ == added[: best + 1]


def test_noise_is_left_out():
    selector = make().fit(NOISY, SPECIES)
    assert selector.selected_blocks_[0] == "petal"
    assert "noise" not in selector.selected_blocks_
    assert sorted(selector.path_["block"]) == ["noise", "petal", "sepal"]
    assert not selector.get_support()[4:].any()
    assert_array_equal(selector.transform(NOISY), NOISY[:, selector.get_support()])


def test_tolerance_gives_up_score_for_fewer_blocks():
    X = np.hstack([IRIS[:, [0]], IRIS[:, [3]], IRIS[:, [2]]])
    blocks = [(name, [i]) for i, name in enumerate(["sepal", "width", "length"])]
    strict = make(blocks).fit(X, SPECIES)
    assert len(strict.selected_blocks_) > 1
    lax = make(blocks, tol=10).fit(X, SPECIES)
    assert lax.selected_blocks_ == strict.selected_blocks_[:1]
    assert_array_equal(lax.path_["score"], strict.path_["score"])


def test_budget_and_number_are_kept():
    cost = {"sepal": 1, "petal": 0.2, "noise": 0.1}
    selector = make(cost=cost, max_cost=0.3).fit(NOISY, SPECIES)
    assert list(selector.path_["block"]) == ["petal", "noise"]  # 0.2 + 0.1 is rounded up
    assert_allclose(selector.path_["cost"], [0.2, 0.3])
    assert selector.selected_blocks_ == ["petal"]
    selector = make(cost=cost, max_cost=0.15).fit(NOISY, SPECIES)
    assert selector.selected_blocks_ == ["noise"]
    selector = make(max_blocks=2).fit(NOISY, SPECIES)
    assert list(selector.path_["cost"]) == [1, 2]
    assert make(max_cost=1).fit(NOISY, SPECIES).selected_blocks_ == ["petal"]


def test_scoring_may_be_a_function():
    second_best = make_scorer(top_k_accuracy_score, response_method="predict_proba", k=2)
    selector = make(scoring=second_best).fit(NOISY, SPECIES)
    assert 0.9 < selector.path_["score"].max() <= 1


def test_classes_with_a_single_row_are_not_held_out():
    X, y = np.vstack([NOISY, NOISY[:1]]), np.append(SPECIES, 7)
    selector, expected = make().fit(X, y), make().fit(NOISY, SPECIES)
    assert_array_equal(selector.path_["score"], expected.path_["score"])


def groups_of_one_class(n_groups):
    """Groups of flowers of one species: of each species so many."""
    return SPECIES * 100 + np.arange(len(SPECIES)) % n_groups


def test_groups_leave_a_row_of_every_class_on_both_sides():
    groups = groups_of_one_class(2)
    groups[SPECIES == 2] = 200 + np.arange(50) % 7
    for cv in (5, StratifiedGroupKFold(3)):
        assert np.isfinite(make(cv=cv).fit(NOISY, SPECIES, groups=groups).path_["score"]).all()


def test_a_class_of_one_group_is_not_held_out():
    X, y = np.vstack([NOISY, NOISY[:2]]), np.append(SPECIES, [7, 7])
    groups = np.append(groups_of_one_class(5), [900, 900])
    selector = make(cv=5).fit(X, y, groups=groups)
    expected = make(cv=5).fit(NOISY, SPECIES, groups=groups[:-2])
    assert_array_equal(selector.path_["score"], expected.path_["score"])


def test_scores_that_take_no_weights_get_none():
    clf = make(scoring="adjusted_rand_score")
    clf.fit(NOISY, SPECIES, sample_weight=np.ones(150))
    assert_array_equal(clf.path_["score"], clone(clf).fit(NOISY, SPECIES).path_["score"])


@pytest.mark.parametrize("score", [None, "0.5", [0.5, 0.6]])
def test_scores_that_are_no_numbers_are_clear_errors(score):
    with pytest.raises(ValueError, match="scoring must return a number; got"):
        make(scoring=lambda estimator, X, y: score).fit(NOISY, SPECIES)


def test_scores_that_are_not_defined_for_any_fold_are_clear_errors():
    with pytest.raises(ValueError, match=r"cv=5 with these groups leaves no fold .* more groups"):
        make(cv=5).fit(NOISY, SPECIES, groups=SPECIES)
    X, y = np.vstack([NOISY, NOISY[:2]]), np.append(SPECIES, [7, 7])
    with pytest.raises(ValueError, match=r"cv=0\.1 leaves no fold .*'neg_log_loss' needs"):
        make(cv=0.1).fit(X, y)
    assert len(make(cv=0.1, scoring="accuracy").fit(X, y).selected_blocks_)
    sides = [
        (np.arange(0, 150, 2), np.arange(1, 99, 2)),
        (np.arange(1, 150, 2), np.arange(0, 150, 2)),
    ]
    with pytest.raises(ValueError, match=r"^cv leaves no fold whose two sides have the same"):
        make(cv=sides[:1]).fit(NOISY, SPECIES)
    X, y = np.tile(NOISY, (2, 6)), np.tile(SPECIES, 2)  # in few columns, equal rows are no copies
    halves = [(np.arange(150), np.arange(150, 300))]
    with (
        pytest.warns(UserWarning, match="Copies of a row are kept on one side of a fold"),
        pytest.raises(ValueError, match=r"^cv leaves no fold .* of them, copies left out. Give"),
    ):
        make(cv=halves, scoring="accuracy").fit(X, y)
    with (
        pytest.warns(UserWarning),
        pytest.raises(ValueError, match=r"^cv=KFold\(.* leaves no fold"),
    ):
        in_order = np.argsort(SPECIES, kind="stable")
        make(cv=KFold(3)).fit(NOISY[in_order], SPECIES[in_order])
    both, second = make(cv=sides).fit(NOISY, SPECIES), make(cv=sides[1:]).fit(NOISY, SPECIES)
    assert_array_equal(both.path_["score"], second.path_["score"])


def test_a_score_that_is_not_defined_is_named():
    def mean_of_missed(estimator, X, y):  # NaN where all rows are right
        missed = X[estimator.predict(X) != y]
        return missed.mean() if len(missed) else np.nan

    with pytest.raises(ValueError, match=r"mean_of_missed.* gives NaN in 5 of 5 folds for 'all'"):
        rows = np.column_stack([SPECIES, SPECIES])
        make([("all", slice(None))], scoring=mean_of_missed).fit(rows, SPECIES)


@pytest.mark.parametrize("scoring", ["neg_log_loss", "accuracy"])
def test_a_weight_counts_as_copies_in_a_score_by_name_with_routing_too(scoring):
    weights = np.random.default_rng(0).integers(1, 5, size=len(SPECIES)).astype(float)
    options = {"scoring": scoring, "cv": SPLITTER}
    expected = make(**options).fit(NOISY, SPECIES, sample_weight=weights).path_["score"]
    rows = np.repeat(np.arange(len(SPECIES)), weights.astype(int))
    folds = SPLITTER.split(NOISY, SPECIES)
    sides = [tuple(np.flatnonzero(np.isin(rows, side)) for side in fold) for fold in folds]
    copies = make(**options | {"cv": sides}).fit(NOISY[rows], SPECIES[rows])
    assert_allclose(copies.path_["score"], expected, rtol=1e-3)
    with config_context(enable_metadata_routing=True):
        estimator = make().estimator.set_fit_request(sample_weight=True)
        selector = make(**options, estimator=estimator)
        found = selector.fit(NOISY, SPECIES, sample_weight=weights).path_["score"]
    assert_array_equal(found, expected)


# On embeddings


def test_selects_backbones_within_gflops(frame, y):
    gflops = list_backbones()["gflops"]
    ensemble = AdaptiveBackboneEnsemble(head="zero-shot", router="static")
    selector = BackboneSelector(
        estimator=ensemble, cost="gflops", max_cost=0.12, cv=2, random_state=0
    ).set_output(transform="pandas")
    selected = selector.fit_transform(frame, y)
    assert_allclose(selector.path_["cost"], gflops[selector.path_["block"]].cumsum())
    assert selector.path_["cost"][-1] <= 0.12
    names = selector.selected_blocks_
    assert list(selected) == [c for c in frame if c.rpartition("__")[0] in names]
    assert list(selector.get_feature_names_out()) == list(selected)
    assert ensemble.blocks is None


def test_ensemble_behind_it_reads_the_selected_blocks(pictures, y):
    ensemble = AdaptiveBackboneEnsemble(head="zero-shot", router="static")
    clf = make_pipeline(
        MultiBackboneEmbedder(BACKBONES),
        BackboneSelector(estimator=ensemble, max_blocks=2, tol=10, cv=2, random_state=0),
        AdaptiveBackboneEnsemble(head="zero-shot", router="static"),
    ).set_output(transform="pandas")
    clf.fit(pictures["path"], y)
    assert list(clf[-1].expert_names_) == clf[1].selected_blocks_
    assert len(clf[1].selected_blocks_) == 1
    copy = pickle.loads(pickle.dumps(clf))
    assert_array_equal(copy.predict(pictures["path"]), clf.predict(pictures["path"]))


def test_blocks_by_name_need_no_frame(frame, y):
    by_frame = make(None, cv=2).fit(frame, y)
    by_name = make(BACKBONES, cv=2).fit(frame.to_numpy(), y)
    assert by_name.selected_blocks_ == by_frame.selected_blocks_
    assert_array_equal(by_name.get_support(), by_frame.get_support())


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_columns_in_another_order_than_in_fit_are_not_selected_by_their_place(frame, y):
    by_name = make(BACKBONES, cv=2).fit(frame.to_numpy(), y)
    other = frame[sorted(frame, key=lambda name: BACKBONES[::-1].index(name.rpartition("__")[0]))]
    with pytest.raises(ValueError, match="of X has the column 'zoo/ViT-16__0' where embeddings"):
        by_name.transform(other)
    numbered = make(PARTS, max_blocks=1).fit(pd.DataFrame(NOISY), SPECIES)
    with pytest.raises(ValueError, match="X has the columns of fit in another order: column 0 is"):
        numbered.transform(pd.DataFrame(NOISY).iloc[:, ::-1])


def test_default_estimator_is_the_adaptive_ensemble(frame, y):
    columns = frame.filter(regex="RegNet|ViT-16")
    parameters = dict(max_blocks=1, cv=2, random_state=0)
    found = BackboneSelector(**parameters).fit(columns, y)
    estimator = AdaptiveBackboneEnsemble(random_state=draw_seed(0))
    expected = BackboneSelector(estimator=estimator, **parameters).fit(columns, y)
    assert found.path_["score"] == expected.path_["score"]


def test_budget_can_be_searched(frame, y):
    clf = make_pipeline(make(BACKBONES, cost="gflops", cv=2), LogisticRegression(C=100))
    search = GridSearchCV(
        clf, {"backboneselector__max_cost": [0.05, 0.2]}, cv=2, error_score="raise"
    )
    assert search.fit(frame.to_numpy(), y).best_score_ > 0.4


def test_fits_again_after_a_clone():
    selector = make().fit(NOISY, SPECIES)
    copy = clone(selector)
    assert not hasattr(copy, "support_")
    assert_array_equal(copy.fit(NOISY, SPECIES).path_["score"], selector.path_["score"])


# Costs and errors


def test_backbones_may_be_spelled_in_any_way_in_costs():
    names = ["RN50/openai", "zoo/RN20", "petal"]
    cost = {"petal": 3, "RN50-quickgelu": 1, "zoo/RN20": 2, "other": 9}
    assert_array_equal(block_costs(cost, names), [1, 2, 3])
    assert_array_equal(block_costs(pd.Series(cost), names), [1, 2, 3])
    assert_array_equal(block_costs(None, names), [1, 1, 1])
    assert_allclose(block_costs("gflops", names[:2]), [12.2, 0.0713])


@pytest.mark.parametrize("kind", [dict, pd.Series])
def test_costs_are_those_of_the_name_of_a_block_then_of_its_kind_then_of_its_backbone(kind):
    embedder = MultiBackboneEmbedder("zoo/RN20", features="both").set_output(transform="pandas")
    Z = embedder.fit_transform(load_emoji(return_X_y=True)[0][:6])
    X, y = pd.concat([Z.add_prefix("front__"), Z.add_prefix("back__")], axis=1), [0, 1] * 3
    names = list(dict.fromkeys(name.rpartition("__")[0] for name in X.columns))
    kinds = [name.removeprefix("front__") for name in names[:2]]
    cost = kind({names[0]: 5.0, kinds[1]: 3.0, "zoo/RN20": 1.0, names[3]: 2.0})
    path = make(None, cost=cost, cv=2).fit(X, y).path_
    found = dict(zip(path["block"], np.diff(path["cost"], prepend=0), strict=True))
    assert found == dict(zip(names, [5, 3, 1, 2], strict=True))
    cascade = CascadeEnsemble(estimator=GaussianNB(), cost=cost, thresholds=0.5).fit(X, y)
    assert dict(zip(cascade.block_names_, cascade.block_costs_, strict=True)) == found
    with pytest.raises(ValueError, match=f"cost has no entry for '{names[1]}'"):
        make(None, cost=kind({names[0]: 1.0, names[2]: 1.0})).fit(X, y)


def test_a_head_that_does_not_fit_each_block_is_named(pictures):
    embedder = MultiBackboneEmbedder(BACKBONES).set_output(transform="pandas")
    X, y = embedder.fit_transform(pictures["path"]), pictures["label"]
    ensemble = AdaptiveBackboneEnsemble(head=["linear-all", ResidualHead("zoo/RN20")])
    for one in (BackboneSelector, CascadeEnsemble):
        clf = one(BACKBONES[::-1], estimator=ensemble, cv=2)
        with pytest.raises(
            ValueError, match=r"estimator has the head .* only embeddings of 'zoo/R"
        ):
            clf.fit(X, y)


def test_a_score_of_probabilities_needs_them():
    for scoring in ("neg_log_loss", "neg_brier_score"):
        with pytest.raises(ValueError, match=rf"scoring='{scoring}' needs predict_proba.*SVC\(\)"):
            make(estimator=SVC(), scoring=scoring).fit(NOISY, SPECIES)
    search = GridSearchCV(SVC(), {"C": [1, 10]}, cv=2)
    for estimator in (SVC(), search):
        make(PARTS[:2], estimator=estimator, scoring="accuracy", cv=2).fit(IRIS, SPECIES)


@pytest.mark.parametrize("clf", [BackboneSelector(), CascadeEnsemble(), CascadeClassifier()])
def test_parameters_of_an_estimator_that_is_none_cannot_be_set(clf):
    clf = clone(clf)
    for name in {"estimator", "embedder"} & clf.get_params().keys():
        with pytest.raises(ValueError, match=f"cannot be set, since {name} is None: first give"):
            clf.set_params(**{f"{name}__verbose": True})
    clf.set_params(estimator=AdaptiveBackboneEnsemble(), estimator__router="static")
    assert clf.set_params(estimator__head="linear").estimator.router == "static"


def test_errors():
    with pytest.raises(ValueError, match=r"not for 'sepal'\. Give a mapping"):
        make(cost="gflops").fit(NOISY, SPECIES)
    with pytest.raises(ValueError, match="cost has no entry for 'sepal', only for petal"):
        make(cost={"petal": 1}).fit(NOISY, SPECIES)
    with pytest.raises(ValueError, match="cost of 'noise' is inf"):
        make(cost={"sepal": 1, "petal": 1, "noise": np.inf}).fit(NOISY, SPECIES)
    with pytest.raises(ValueError, match=r"max_cost=0\.5 is less than .* 'sepal', 1, the least"):
        make(max_cost=0.5).fit(NOISY, SPECIES)
    with pytest.raises(ValueError, match="two classes with two rows each; got n_samples=3 in 3 c"):
        make().fit(NOISY[[0, 50, 100]], SPECIES[[0, 50, 100]])


@pytest.mark.parametrize("columns", [[1], ["sepal width"], slice(1, 2), "noise"])
def test_a_head_on_columns_of_its_own_is_refused(columns):
    """As they would be others in each part of the table."""
    head = ["linear", ("own", LogisticRegression(), columns)]
    ensemble = AdaptiveBackboneEnsemble(head=head, random_state=0)
    for kind in (BackboneSelector, CascadeEnsemble):
        with pytest.raises(ValueError, match=r"'own' .* has the columns .* the name of a block"):
            kind(PARTS, estimator=ensemble).fit(NOISY, SPECIES)


def test_a_head_may_have_a_block_that_is_always_there():
    head = ["linear", ("own", LogisticRegression(), "petal")]
    ensemble = AdaptiveBackboneEnsemble(head=head, random_state=0)
    cost = {"petal": 1, "sepal": 2, "noise": 3}
    clf = CascadeEnsemble(PARTS, estimator=ensemble, cost=cost).fit(NOISY, SPECIES)
    for one in clf.estimators_:
        (own,) = [expert for expert in one.experts_ if expert.name == "own"]
        assert own.block.columns.tolist() == [0, 1]


def test_sums_that_differ_by_rounding_are_ties():
    """Scores of 18/25, 64/75, 21/25 and 64/75 have two means, which are equal but for rounding."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    X[:, 0] += 3 * y
    blocks = [("good", [0]), ("one", [1]), ("two", [2])]
    means = iter([0.8, 0.5, 0.5, 0.8 + 1e-16, 0.8 + 2e-16, 0.8 + 4e-16])

    selector = BackboneSelector(
        blocks, estimator=LogisticRegression(), cost=dict.fromkeys(["good", "one", "two"], 1)
    )
    selector._score = lambda *_: next(means)
    selector.fit(X, y)
    assert selector.selected_blocks_ == ["good"]
    assert selector.path_["block"].tolist() == ["good", "one", "two"]

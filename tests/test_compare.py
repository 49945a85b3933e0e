"""Tests of compare_with_baselines."""

import warnings
from itertools import product

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from _models import LabelsInColumn
from _pictures import some_of_each
from _said import no_warning, said
from joblib import parallel_config
from PIL import Image
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import IsolationForest, VotingClassifier
from sklearn.feature_selection import SelectKBest, SelectorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    PredefinedSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skclipens import (
    AdaptiveBackboneEnsemble,
    CLIPEmbedder,
    MultiBackboneEmbedder,
    ResidualHead,
    SuspectedMistakeWarning,
    ZeroShotHead,
    make_backbone_pipeline,
)
from skclipens._utils._warnings import warn
from skclipens.backbones._blocks import column_names, find_blocks
from skclipens.embedding._base import BaseEmbedder
from skclipens.model_selection import FewShotSplit, _compare_logistic, compare_with_baselines
from skclipens.model_selection._compare_logistic import SearchedLogisticRegression

pytestmark = pytest.mark.usefixtures("embedded_once", "few_strengths")

BACKBONES = ["zoo/RN20", "zoo/ViT-8"]
LOGISTIC = "logistic regression, all columns"
WITH_PROMPTS = "logistic regression and prompts"
FEW = FewShotSplit(2, 3, random_state=0)


@pytest.fixture(scope="module")
def pictures():
    return some_of_each(3, 20, min_class_size=40)


@pytest.fixture(scope="module")
def table(pictures):
    embedder = MultiBackboneEmbedder(BACKBONES, features="both").set_output(transform="pandas")
    return embedder.fit_transform(pictures[0])


@pytest.fixture(scope="module")
def labels(pictures):
    return pictures[1]


@pytest.fixture(scope="module")
def found(table, labels):
    return compare_with_baselines(AdaptiveBackboneEnsemble(random_state=0), table, labels, cv=FEW)


def test_warnings_of_other_processes_are_given_here_and_once(table, labels):
    price, weight = np.random.default_rng(0).normal(size=(2, len(table)))
    dear = table.assign(price=1e6 * price, weight=weight)
    clf = AdaptiveBackboneEnsemble(random_state=0)

    def compare(n_jobs):
        compare_with_baselines(clf, dear, labels, cv=2, n_jobs=n_jobs)

    texts = said(compare, 1)
    assert sum("price" in text for text in texts) == 1
    assert said(compare, 2) == texts
    with parallel_config("threading"):
        assert said(compare, 2) == texts
    with warnings.catch_warnings():
        warnings.simplefilter("error", SuspectedMistakeWarning)
        with pytest.raises(SuspectedMistakeWarning, match="price"):
            compare(2)


class _Fails(DummyClassifier):
    """A classifier that warns and cannot be fitted."""

    def fit(self, X, y, sample_weight=None):
        warn("It has a reason.")
        raise ZeroDivisionError


def test_warnings_before_an_error_in_another_process_are_given_here(table, labels):
    given = {"cv": 2, "n_jobs": 2, "baselines": {"one": _Fails()}}
    clf = AdaptiveBackboneEnsemble(head="zero-shot", router="uniform", calibrate=False)
    with pytest.warns(SuspectedMistakeWarning, match="It has a reason"):
        with pytest.raises(ZeroDivisionError):
            compare_with_baselines(clf, table, labels, **given)


class _Quiet(AdaptiveBackboneEnsemble):
    """An ensemble that hides what its fit warns of."""

    def fit(self, X, y, sample_weight=None, groups=None):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super().fit(X, y, sample_weight=sample_weight, groups=groups)


def _first_columns(X):
    return np.asarray(X)[:, :200]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_baseline_hides_its_own_warnings_also_in_another_process(n_jobs, table, labels):
    clf = AdaptiveBackboneEnsemble(head="zero-shot", router="uniform", calibrate=False)

    def compare(one):
        given = {"cv": 2, "n_jobs": n_jobs, "baselines": {"it": make_pipeline(numbered, one)}}
        compare_with_baselines(clf, table, labels, **given)

    numbered = FunctionTransformer(_first_columns)
    assert any("no names of columns" in text for text in said(compare, AdaptiveBackboneEnsemble()))
    assert not said(compare, _Quiet())


def test_warnings_name_rows_as_they_were_given(table, labels):
    changed, y = table.copy(), labels.copy()
    one, another = np.flatnonzero(y == y[-1])[-2:]
    changed.iloc[another] = changed.iloc[one]
    y[another] = y[0]
    parts = [np.arange(len(y)) % 3 != part for part in range(3)]
    cv = [(np.flatnonzero(train), np.flatnonzero(~train)) for train in parts]
    clf = AdaptiveBackboneEnsemble(random_state=0)
    texts = said(lambda: compare_with_baselines(clf, changed, y, cv=cv))
    assert any(f"Rows {one} and {another} of X are the same" in text for text in texts)


def test_each_way_has_the_accuracy_that_cross_validation_gives(found, table, labels):
    def scores(clf, X):
        return cross_val_score(clf, X, labels, cv=FEW)

    def of(name):
        return table.loc[:, table.columns.str.startswith(name)]

    ensemble = AdaptiveBackboneEnsemble(random_state=0)
    prompts = AdaptiveBackboneEnsemble(head="zero-shot", router="uniform", calibrate=False)
    expected = {
        "ensemble": scores(ensemble, table),
        "zoo/RN20 alone": scores(ensemble, of("zoo/RN20")),
        "zoo/ViT-8 alone": scores(ensemble, of("zoo/ViT-8")),
        "prompts alone": scores(prompts, table),
    }
    for name, accuracies in expected.items():
        assert found.loc[name, "accuracy"] == pytest.approx(accuracies.mean()), name
        assert found.loc[name, "std"] == pytest.approx(accuracies.std(ddof=1)), name
        if name != "ensemble":
            gain = expected["ensemble"].mean() - accuracies.mean()
            assert found.loc[name, "gain"] == pytest.approx(gain), name


def test_rows_and_intervals_are_what_is_promised(found):
    alone = ["zoo/RN20 alone", "zoo/ViT-8 alone"]
    oracle = "oracle: any backbone is right"
    assert found.index.tolist() == [
        *("ensemble", LOGISTIC, WITH_PROMPTS),
        *(*alone, "prompts alone", oracle),
    ]
    assert found.loc[oracle, "accuracy"] >= found.loc[alone, "accuracy"].max()
    assert found.loc["ensemble", ["gain", "low", "high"]].isna().all()
    others = found.drop(index="ensemble")
    assert (others["low"] <= others["gain"]).all() and (others["gain"] <= others["high"]).all()
    assert (others["low"] < others["high"]).any()


def test_classes_count_alike_in_balanced_accuracy(table, labels):
    rows = np.r_[0:20, 20:32, 40:46]
    X, y = table.iloc[rows], labels[rows]
    folds = [(np.r_[0:38:2], np.r_[1:38:2]), (np.r_[1:38:2], np.r_[0:38:2])]
    logistic = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)
    clf = AdaptiveBackboneEnsemble(class_weight="balanced", random_state=0)
    options = {"cv": folds, "scoring": "balanced_accuracy"}
    found = compare_with_baselines(clf, X, y, baselines={"fixed": logistic}, **options)
    assert found.columns.tolist() == ["balanced_accuracy", "std", "gain", "low", "high"]
    means = {}
    for name, one in {"ensemble": clf, "fixed": logistic}.items():
        scores = cross_val_score(one, X, y, **options)
        plain = cross_val_score(one, X, y, cv=folds)
        assert not np.allclose(scores, plain)
        means[name] = scores.mean()
        assert found.loc[name, "balanced_accuracy"] == pytest.approx(means[name]), name
        assert found.loc[name, "std"] == pytest.approx(scores.std(ddof=1)), name
    assert found.loc["fixed", "gain"] == pytest.approx(means["ensemble"] - means["fixed"])
    assert (found["low"] <= found["gain"])[1:].all() and (found["gain"] <= found["high"])[1:].all()


def test_the_logistic_regression_has_the_class_weights_of_the_ensemble(table, labels):
    rows = np.r_[0:20, 20:24, 40:44]
    X, y = table.iloc[rows], labels[rows]
    one_shot = [(np.r_[0:17, 20, 24:26], np.r_[17:20, 21:24, 26:28])]  # a class with one row
    weights = dict(zip(np.unique(y).tolist(), (0.01, 1.0, 1.0), strict=True))
    options = {"cv": one_shot, "scoring": "balanced_accuracy"}
    clf = AdaptiveBackboneEnsemble(head="linear-all", class_weight=weights, random_state=0)
    logistic = LogisticRegression(C=10, class_weight=weights, max_iter=1000)
    found = compare_with_baselines(clf, X, y, baselines={"same": logistic}, **options)
    assert found.loc[LOGISTIC].equals(found.loc["same"])
    plain = compare_with_baselines(clone(clf).set_params(class_weight=None), X, y, **options)
    name = "balanced_accuracy"
    assert found.loc[LOGISTIC, name] > plain.loc[LOGISTIC, name]


@pytest.mark.parametrize("scoring", ["f1", None, ("accuracy",)])
def test_other_scores_are_refused_with_another_way(table, labels, scoring):
    clf = AdaptiveBackboneEnsemble(head="linear-all")
    with pytest.raises(ValueError, match=r"scoring is one of .* cross_validate"):
        compare_with_baselines(clf, table, labels, scoring=scoring)


def test_of_one_row_per_class_the_logistic_regression_is_not_searched(table, labels):
    one_shot = FewShotSplit(1, 2, random_state=0)
    baselines = {"fixed": LogisticRegression(C=10, max_iter=1000)}
    clf = AdaptiveBackboneEnsemble(head="linear-all", random_state=0)
    found = compare_with_baselines(clf, table, labels, cv=one_shot, baselines=baselines)
    assert found.loc[LOGISTIC].equals(found.loc["fixed"])
    assert not {"prompts alone", WITH_PROMPTS} & set(found.index)


def test_prompts_are_averaged_with_the_logistic_regression(table, labels):
    """VotingClassifier gives the same: equal shares at one shot, the best of a grid later."""
    names = np.unique(labels).tolist()  # VotingClassifier numbers the classes
    options = {"head": "zero-shot", "router": "uniform", "calibrate": False}
    prompts = AdaptiveBackboneEnsemble(class_names=names, **options)

    def vote(C, share):
        logistic = LogisticRegression(C=C, max_iter=1000)
        members = [("logistic", logistic), ("prompts", prompts)]
        return VotingClassifier(members, voting="soft", weights=[share, 1 - share])

    clf = AdaptiveBackboneEnsemble(random_state=0)
    grid = [(1, 0), *product([0.1, 1], [0.25, 0.5, 0.75, 1])]
    for shots in (1, 4):
        cv = FewShotSplit(shots, 2, random_state=0)
        found = compare_with_baselines(clf, table, labels, cv=cv)
        scores = []
        for train, test in cv.split(table, labels):
            X, y = table.iloc[train], labels[train]
            voter = vote(10, 0.5)
            if shots > 1:
                losses = [
                    -cross_val_score(vote(*one), X, y, cv=3, scoring="neg_log_loss").mean()
                    for one in grid
                ]
                assert np.sort(losses)[1] - np.min(losses) > 0.005  # other folds choose the same
                voter = vote(*grid[np.argmin(losses)])
            scores.append(voter.fit(X, y).score(table.iloc[test], labels[test]))
        assert found.loc[WITH_PROMPTS, "accuracy"] == pytest.approx(np.mean(scores))


def test_strength_and_share_have_the_least_log_loss_of_all_pairs(monkeypatch):
    strengths, shares = (0.01, 1, 100), (0, 0.25, 0.5, 0.75, 1)
    monkeypatch.setattr(_compare_logistic, "_STRENGTHS", strengths)
    rng = np.random.default_rng(0)
    y = np.arange(360) % 3
    X = np.eye(3)[y] @ rng.normal(size=(3, 6)) + rng.normal(size=(360, 6))
    of_others = make_pipeline(SelectKBest(k=2), LogisticRegression()).fit(X[::2], y[::2])
    prompts, X, y = FrozenEstimator(of_others), X[1::2], y[1::2]
    folds = list(StratifiedKFold(3).split(X, y))
    losses = {}
    for C, share in product(strengths, shares):
        members = [("logistic", LogisticRegression(C=C)), ("prompts", prompts)]
        vote = VotingClassifier(members, voting="soft", weights=[share, 1 - share])
        losses[C, share] = -cross_val_score(vote, X, y, cv=folds, scoring="neg_log_loss").mean()
    model = make_pipeline(LogisticRegression())
    fitted, share = SearchedLogisticRegression(model, X, y, folds).fit_beside(prompts)
    best = min(losses, key=losses.get)
    assert (fitted[-1].C, share) == best
    assert 0 < best[1] < 1 and best[0] != SearchedLogisticRegression(model, X, y, folds).fit()[-1].C


def test_held_out_rows_may_be_of_a_class_that_other_folds_do_not_train(table, labels):
    groups = np.where(labels == labels[0], 0, np.arange(len(labels)))
    cv = [(np.arange(0, 60, 2), np.arange(1, 60, 2))]
    clf = AdaptiveBackboneEnsemble(random_state=0)
    found = compare_with_baselines(clf, table, labels, cv=cv, groups=np.r_[groups])
    assert found.loc[[LOGISTIC, WITH_PROMPTS], "accuracy"].min() > 0.8


def test_prompts_without_meaning_get_no_share(table, labels):
    wrong = dict(zip(np.unique(labels), np.roll(np.unique(labels), 1), strict=True))
    clf = AdaptiveBackboneEnsemble(class_names=wrong, random_state=0)
    cv = FewShotSplit(8, 2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuspectedMistakeWarning)
        found = compare_with_baselines(clf, table, labels, cv=cv)
    assert found.loc["prompts alone", "accuracy"] < 0.3
    assert found.loc[WITH_PROMPTS, "accuracy"] > found.loc[LOGISTIC, "accuracy"] - 0.05


def test_baselines_of_the_user_see_the_same_rows(table, labels):
    baselines = {"nearest": KNeighborsClassifier(1), "guess": DummyClassifier()}
    clf = AdaptiveBackboneEnsemble(head="linear-all", random_state=0)
    found = compare_with_baselines(clf, table, labels, cv=FEW, baselines=baselines)
    for name, one in baselines.items():
        expected = cross_val_score(one, table, labels, cv=FEW).mean()
        assert found.loc[name, "accuracy"] == pytest.approx(expected)
    assert not hasattr(baselines["nearest"], "classes_")  # a clone was fitted
    with pytest.raises(ValueError, match=r"'ensemble' is already a row of the result"):
        taken = {"ensemble": KNeighborsClassifier()}
        compare_with_baselines(clf, table, labels, cv=FEW, baselines=taken)
    with pytest.raises(TypeError, match=r"baselines is a dict from names .* got list"):
        compare_with_baselines(clf, table, labels, baselines=[DummyClassifier()])
    with pytest.raises(TypeError, match=r"baselines: names are strings; got 1, of Dummy"):
        compare_with_baselines(clf, table, labels, baselines={1: DummyClassifier()})
    with pytest.raises(TypeError, match=r"baselines\['none'\] is None. Give a classifier"):
        compare_with_baselines(clf, table, labels, baselines={"none": None})
    with pytest.raises(TypeError, match=r"baselines\['ridge'\] is Ridge, of type regressor"):
        compare_with_baselines(clf, table, labels, baselines={"ridge": Ridge()})
    with pytest.raises(TypeError, match=r"baselines\['means'\] is KMeans, of type clusterer"):
        compare_with_baselines(clf, table, labels, baselines={"means": KMeans()})
    with pytest.raises(TypeError, match=r"baselines\['forest'\] is .*, of type outlier detector"):
        compare_with_baselines(clf, table, labels, baselines={"forest": IsolationForest()})
    with pytest.raises(TypeError, match=r"baselines\['none'\] is Pipeline.*Give a classifier"):
        compare_with_baselines(clf, table, labels, baselines={"none": Pipeline([])})
    with pytest.raises(TypeError, match=r"baselines\['scale'\] is Standard.*Give a class"):
        compare_with_baselines(clf, table, labels, baselines={"scale": StandardScaler()})
    given = pd.Series({"guess": DummyClassifier()})
    with pytest.raises(TypeError, match=r"baselines is a dict from names .* got Series"):
        compare_with_baselines(clf, table, labels, baselines=given)
    with pytest.raises(TypeError, match=r"or a pipeline that ends in one; got Pipeline"):
        compare_with_baselines(Pipeline([]), table, labels)


def test_a_baseline_that_is_not_fitted_again_is_doubted(table, labels):
    clf = AdaptiveBackboneEnsemble(BACKBONES, head="linear", router="uniform")
    seen = CalibratedClassifierCV(FrozenEstimator(LogisticRegression().fit(table, labels)))
    texts = said(lambda: compare_with_baselines(clf, table, labels, cv=2, baselines={"it": seen}))
    assert sum("baselines['it'] has a FrozenEstimator" in text for text in texts) == 1


class FirstLabel:
    """Not by the base class of scikit-learn, and without tags."""

    def get_params(self, deep=True):
        return {}

    def fit(self, X, y):
        self.label_ = y[0]
        return self

    def predict(self, X):
        return np.full(len(X), self.label_)


def test_labels_of_a_baseline_may_be_a_column(table, labels):
    X, given = (
        table.iloc[:, :128],
        {
            "column": LabelsInColumn(C=10),
            "plain": LogisticRegression(C=10),
            "without tags": FirstLabel(),
        },
    )
    clf, cv = AdaptiveBackboneEnsemble(head="linear"), FewShotSplit(2, 1, random_state=0)
    found = compare_with_baselines(clf, X, labels, cv=cv, baselines=given)
    assert found.loc["column", "accuracy"] == found.loc["plain", "accuracy"]
    assert found.loc["without tags", "accuracy"] == pytest.approx(1 / 3)


def test_images_are_what_their_embeddings_are(pictures, found, tmp_path):
    files, labels = pictures
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    clf = make_backbone_pipeline(BACKBONES, random_state=0, on_error="nan")
    splits = [(train + 1, test + 1) for train, test in FEW.split(labels, labels)]  # of all images
    told = pytest.warns(UserWarning, match=r"1 of 61 images .* are left out: row 0 .*broken\.png")
    with told, parallel_config("threading"):  # processes take seconds to start
        again = compare_with_baselines(
            clf, [str(broken), *files], [labels[0], *labels], cv=splits, n_jobs=2
        )
    np.testing.assert_allclose(again.to_numpy(), found.to_numpy(), atol=1e-6)


def test_fixed_folds_are_of_all_images(pictures):
    files, labels = ([*part[::3]] for part in pictures)
    files[7] = "none.png"
    clf = make_backbone_pipeline("zoo/RN20", head="linear", on_error="nan")
    cv = PredefinedSplit(np.where(np.arange(20) % 3, -1, 0))
    with pytest.warns(UserWarning, match="1 of 20 images .* are left out"):
        found = compare_with_baselines(clf, files, labels, cv=cv)
    with pytest.warns(UserWarning, match="1 of 20 images .* are left out"):
        expected = compare_with_baselines(clf, files, labels, cv=list(cv.split()))
    pd.testing.assert_frame_equal(found, expected)


def test_a_plain_pipeline_keeps_its_blocks(pictures, found):
    files, labels = pictures
    embedder = MultiBackboneEmbedder(BACKBONES, features="both")
    pipe = make_pipeline(embedder, AdaptiveBackboneEnsemble(random_state=0))
    again = compare_with_baselines(pipe, files, labels, cv=FEW)
    assert again.index.tolist() == found.index.tolist()
    np.testing.assert_allclose(again.to_numpy(), found.to_numpy(), atol=1e-6)


class _Keeps(SelectorMixin, BaseEstimator):
    """Keeps other columns in each split: of ``few`` for training rows that have ``marked``."""

    def __init__(self, few, marked):
        self.few, self.marked = few, marked

    def fit(self, X, y=None):
        self.feature_names_in_ = np.array(X.columns, object)
        self.n_features_in_ = X.shape[1]
        few = self.marked in X.index
        self.kept_ = [not few or name.startswith(self.few) for name in X.columns]
        return self

    def _get_support_mask(self):
        return np.array(self.kept_)


@pytest.fixture(scope="module")
def three(pictures, table):
    """Columns of three backbones."""
    dla = CLIPEmbedder("zoo/DLA").set_output(transform="pandas").fit_transform(pictures[0])
    return pd.concat([table, dla], axis=1)


@pytest.fixture(scope="module")
def of_first(three, labels):
    """What is found on the first of three splits."""
    splits = [next(StratifiedKFold(3).split(three, labels))]
    clf = AdaptiveBackboneEnsemble(head="linear-all", random_state=0)
    return compare_with_baselines(clf, three, labels, cv=splits)


@pytest.mark.parametrize(
    ("few", "lack"), [(("zoo/ViT-8", "zoo/RN20"), ["zoo/DLA alone"]), (("zoo/RN20",), None)]
)
@pytest.mark.parametrize("order", [1, -1])
def test_a_row_is_of_the_splits_that_keep_its_backbone(three, labels, of_first, few, lack, order):
    clf = AdaptiveBackboneEnsemble(head="linear-all", random_state=0)
    splits = list(StratifiedKFold(3).split(three, labels))
    marked = splits[0][1][0]  # only the first split does not train on this row
    pipe = make_pipeline(_Keeps(few, marked).set_output(transform="pandas"), clf)
    found = compare_with_baselines(pipe, three, labels, cv=splits[::order])
    assert found.index.tolist() == of_first.index.tolist()
    lack = lack or of_first.index[2:].tolist()
    pd.testing.assert_frame_equal(found.loc[lack], of_first.loc[lack])
    assert found.drop(index=lack)["std"].notna().all()


@pytest.mark.parametrize("on_error", ["raise", "nan"])
def test_steps_that_learn_see_no_test_rows(pictures, monkeypatch, on_error):
    """Of many columns of noise, those that fit all labels best would tell those of test rows."""
    files, labels = pictures
    noise = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 1000))).add_prefix("noise")
    X = noise.assign(path=files)
    image = ("i", CLIPEmbedder("zoo/RN20", on_error=on_error), ["path"])
    columns = ColumnTransformer([image, ("n", SelectKBest(), [*noise])]).set_output(
        transform="pandas"
    )
    clf = AdaptiveBackboneEnsemble(head="linear-all", router="uniform", random_state=0)
    pipe = make_pipeline(columns, StandardScaler().set_output(transform="pandas"), clf)
    expected = cross_val_score(pipe, X, labels, cv=3)
    embedded, encode = [], BaseEmbedder._encode

    def counted(self, encoder, images, rows, *args, **kwargs):
        rows = list(rows)
        embedded.extend(images[row] for row in rows)
        return encode(self, encoder, images, iter(rows), *args, **kwargs)

    monkeypatch.setattr(BaseEmbedder, "_encode", counted)
    found = compare_with_baselines(pipe, X, labels, cv=3, baselines={"guess": DummyClassifier()})
    assert found.loc["ensemble", "accuracy"] == pytest.approx(expected.mean())
    assert found.loc[LOGISTIC, "accuracy"] < 0.95
    assert sorted(embedded) == sorted(files)  # once, although each split fits the steps
    assert not columns.transformers[0][1].cache


def test_groups_stay_together(table, labels):
    groups = (np.arange(60) // 20 * 10 + np.arange(60) % 10) * 7 % 31  # rows 0 and 10, ...
    clf = AdaptiveBackboneEnsemble(head="linear-all", random_state=0)
    few = table.loc[:, table.columns.str.startswith("zoo/ViT-8__")]
    known = few.assign(group=groups)  # who has seen a group knows it

    class Remembers(KNeighborsClassifier):
        def fit(self, X, y):
            self.seen_, self.classes_ = set(X["group"]), np.unique(y)
            return self

        def predict(self, X):
            seen = X["group"].isin(self.seen_)
            assert not seen.any(), "a group is on both sides"
            return np.repeat(self.classes_[:1], len(X))

    baselines = {"remembers": Remembers()}
    for cv in (2, GroupKFold(3), FEW):
        compare_with_baselines(clf, known, labels, cv=cv, groups=groups, baselines=baselines)
    with pytest.raises(AssertionError, match="on both sides"):
        compare_with_baselines(clf, known, labels, cv=StratifiedKFold(2), baselines=baselines)


def test_rows_of_a_group_are_no_more_evidence_than_one_row(table, labels):
    clf = AdaptiveBackboneEnsemble(head="zero-shot", router="uniform", calibrate=False)
    baselines = {"most frequent": DummyClassifier()}
    halves = [np.arange(60)[i::2] for i in range(2)]
    cv = [(halves[i], halves[1 - i]) for i in range(2)]
    one = compare_with_baselines(clf, table, labels, cv=cv, baselines=baselines)
    places, groups = np.arange(180).reshape(60, 3), np.repeat(np.arange(60), 3)
    cv = [[places[rows].ravel() for rows in sides] for sides in cv]
    three = compare_with_baselines(
        clf, table.iloc[groups], labels[groups], cv=cv, groups=groups, baselines=baselines
    )
    searched = [LOGISTIC, WITH_PROMPTS]  # its penalty is of three times as many rows
    pd.testing.assert_frame_equal(three.drop(searched), one.drop(searched), atol=1e-6)


def test_rows_of_a_group_are_drawn_together(table, labels):
    clf = AdaptiveBackboneEnsemble(head="zero-shot", router="uniform", calibrate=False)
    groups, options = np.arange(60) // 5, {"baselines": {"guess": DummyClassifier()}}
    options["cv"] = [(np.flatnonzero(groups % 2 == 0), np.flatnonzero(groups % 2))]
    widths = []
    for given in (None, groups):
        found = compare_with_baselines(clf, table.iloc[:, :128], labels, groups=given, **options)
        widths.append(found.loc["guess", "high"] - found.loc["guess", "low"])
    assert widths[1] > 1.5 * widths[0]


def test_a_search_or_an_ensemble_that_is_compared_gets_the_groups(table, labels, monkeypatch):
    groups, folds, given = np.arange(60) // 2, [], []

    def search(model, X, y, own, weights):
        folds.extend((X.index[train] // 2, X.index[test] // 2) for train, test in own)
        return SearchedLogisticRegression(model, X, y, own, weights)

    class Ensemble(AdaptiveBackboneEnsemble):
        def fit(self, X, y, *, sample_weight=None, groups=None):
            given.append(groups)
            return super().fit(X, y, sample_weight=sample_weight, groups=groups)

    monkeypatch.setattr(_compare_logistic, "SearchedLogisticRegression", search)
    baselines = {
        "other": Ensemble(head="linear-all", random_state=0),
        "search": GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1]}, cv=GroupKFold(3)),
    }
    clf = AdaptiveBackboneEnsemble(head="linear-all", random_state=0)
    X = table.reset_index(drop=True)
    found = compare_with_baselines(clf, X, labels, cv=2, groups=groups, baselines=baselines)
    assert len(folds) == 2 * 3
    assert not any(np.intersect1d(*fold).size for fold in folds)
    assert [len(some) for some in given] == [30, 30]
    gain, low, high = found.loc["other", ["gain", "low", "high"]]
    assert gain == 0 and low == -high and 0 < high < 0.15


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.arange(120).reshape(60, 2), r"groups has shape \(60, 2\), but y has \(60,\)"),
        ([None, *range(59)], "groups has no group for row 0"),
        ("patient", "groups is a str"),
    ],
)
def test_groups_are_checked_before_they_are_split(table, labels, groups, message):
    clf = AdaptiveBackboneEnsemble(random_state=0)
    with pytest.raises(ValueError, match=message):
        compare_with_baselines(clf, table, labels, cv=2, groups=groups)


def test_more_folds_than_groups_are_refused_before_pictures_are_read():
    clf = make_backbone_pipeline("zoo/RN20")
    with pytest.raises(ValueError, match="cv=3 folds need 3 groups, but there are 2"):
        compare_with_baselines(clf, ["no.png"] * 8, list("abababab"), cv=3, groups=[0, 1] * 4)


@pytest.mark.parametrize("empty", [[], np.zeros(8, bool)])
def test_splits_without_rows_are_refused_before_pictures_are_read(empty):
    clf = make_backbone_pipeline("zoo/RN20")
    splits = [(np.arange(4), np.arange(4, 8)), (np.arange(4), empty)]
    with pytest.raises(ValueError, match="Split 1 of cv has no test rows: leave it out"):
        compare_with_baselines(clf, ["no.png"] * 8, list("abababab"), cv=splits)


def test_splits_of_which_no_test_image_can_be_read_are_left_out(pictures):
    paths, labels = pictures[0].astype(object), pictures[1]
    paths[0] = None
    train, test = np.arange(1, 60, 2), np.arange(2, 60, 2)
    clf = make_backbone_pipeline(BACKBONES, on_error="nan", random_state=0)
    said = r"1 of 2 splits of cv are left out: images of all of their training rows or of all of"
    with pytest.warns(UserWarning, match=said):
        found = compare_with_baselines(clf, paths, labels, cv=[(train, [0]), (train, test)])
    expected = compare_with_baselines(clf, pictures[0], labels, cv=[(train, test)])
    means = ["accuracy", "std", "gain"]  # the bootstrap draws from other numbers of rows
    pd.testing.assert_frame_equal(found[means], expected[means])
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="cv has no split to compare"):
        compare_with_baselines(clf, paths, labels, cv=[(train, [0])])


def test_a_splitter_by_groups_needs_groups():
    """It says so before it reads the pictures, of which there are none."""
    clf = make_backbone_pipeline("zoo/RN20")
    with pytest.raises(ValueError, match=r"cv=StratifiedGroupKFold\(.* splits by groups, so the"):
        compare_with_baselines(clf, ["no/such.png"] * 4, list("abab"), cv=StratifiedGroupKFold(2))


def test_splits_that_keep_groups_together_give_no_warning(table, labels, recwarn):
    groups = np.arange(60) // 2
    sites = groups % 3  # such as hospitals, each with its own patients
    clf = AdaptiveBackboneEnsemble(head="linear-all", random_state=0)
    compare_with_baselines(clf, table, labels, cv=PredefinedSplit(sites), groups=groups)
    clf.set_params(cv=PredefinedSplit(sites)).fit(table, labels, groups=groups)
    assert not recwarn.list
    with pytest.warns(UserWarning, match="has rows of the group 0 in train and test"):
        clf.fit(table, labels, groups=groups % 2 + np.arange(60) // 20 * 2)


def test_what_groups_are_called_plays_no_part(table, labels):
    groups, names = np.arange(60) // 3, np.random.default_rng(0).permutation(20)
    clf = AdaptiveBackboneEnsemble(head="zero-shot", router="uniform", calibrate=False)
    numbered, named = (
        compare_with_baselines(clf, table, labels, cv=3, groups=some)
        for some in (groups, names[groups].astype(str))
    )
    pd.testing.assert_frame_equal(numbered, named)


def test_copies_do_not_answer_for_each_other(table, labels):
    rows = np.r_[0:60:2, 0:60:2]
    X, y = table.iloc[rows], labels[rows]
    clf = AdaptiveBackboneEnsemble(head="linear-all", random_state=0)
    nearest = {"nearest": KNeighborsClassifier(1)}  # has each row right of which it has a copy
    with no_warning():  # copies are on one side
        found = compare_with_baselines(clf, X, y, cv=2, baselines=nearest)
    assert found.loc["nearest", "accuracy"] < 0.9
    with pytest.warns(UserWarning, match="30 of 30 test rows are copies of training rows"):
        halves = [(range(30), range(30, 60))]
        found = compare_with_baselines(clf, X, y, cv=halves, baselines=nearest)
    assert found.loc["nearest", "accuracy"] == 1


@pytest.mark.parametrize("kind", ["flag", "pyarrow", "table", "list", "paths"])
def test_copies_are_seen_in_tables_of_any_kind(pictures, table, labels, kind):
    """Also in a table of paths, which a step embeds."""
    rows = np.r_[0:60:2, 0:60:2]
    X = table.iloc[rows, :128]
    clf = AdaptiveBackboneEnsemble(head="linear", random_state=0)
    if kind == "flag":
        X = X.assign(is_new=np.arange(60) % 2 == 0)
    elif kind == "pyarrow":
        X = X.convert_dtypes(dtype_backend="pyarrow")
    elif kind == "table":
        X = pa.Table.from_pandas(X, preserve_index=False)
    elif kind == "list":
        X = X.to_numpy().tolist()
    else:
        X = pd.DataFrame({"path": pictures[0][rows]})
        embed = ColumnTransformer([("picture", CLIPEmbedder("zoo/RN20"), "path")])
        clf = make_pipeline(embed.set_output(transform="pandas"), clf)
    with pytest.warns(UserWarning, match="30 of 30 test rows are copies of training rows"):
        compare_with_baselines(clf, X, labels[rows], cv=[(range(30), range(30, 60))])


def test_rows_of_one_picture_that_differ_elsewhere_do_not_answer_for_each_other(table, labels):
    rows = np.r_[0:60:2, 0:60:2]
    X = table.iloc[rows].assign(offer=np.random.default_rng(0).normal(size=60))
    clf = AdaptiveBackboneEnsemble(head="linear-all", random_state=0)
    nearest = {"nearest": KNeighborsClassifier(1)}
    found = compare_with_baselines(clf, X, labels[rows], cv=2, baselines=nearest)
    assert found.loc["nearest", "accuracy"] < 0.9


def test_rows_of_one_picture_do_not_choose_the_strength_of_the_logistic_regression(
    table, labels, monkeypatch
):
    rows = np.r_[0:60:2, 0:60:2]
    X = table.iloc[rows].assign(offer=np.random.default_rng(0).normal(size=60))
    blocks = find_blocks(None, X.shape[1], column_names(X))
    folds = []
    monkeypatch.setattr(
        _compare_logistic, "SearchedLogisticRegression", lambda *given: folds.extend(given[3])
    )
    _compare_logistic.logistic_regression(X, labels[rows], blocks, None, None)
    assert len(folds) == 3
    for train, test in folds:
        assert not np.isin(rows[test], rows[train]).any()


def test_splits_with_rows_on_both_sides_are_refused(table, labels):
    clf = AdaptiveBackboneEnsemble(head="linear-all")
    with pytest.raises(ValueError, match="Fold 0 of cv has 20 of its test rows in train"):
        compare_with_baselines(clf, table, labels, cv=[(range(60), range(40, 60))])


def test_classes_that_training_rows_lack_are_named(table, labels):
    clf = AdaptiveBackboneEnsemble(head="linear-all")  # rows are sorted by class
    texts = said(lambda: compare_with_baselines(clf, table, labels, cv=KFold(3)))
    assert texts[0].startswith("60 of 60 test rows are of classes that their training rows lack")
    assert texts[0].endswith("Take an int as cv, or splits that train all classes.")


@pytest.mark.parametrize(
    ("label", "groups", "advice"),
    [
        ("lone", None, "Classes with one row: 'lone'. Add rows of them, or leave them out."),
        (None, "label", "All rows of the class are of one group or copies. Add others, or leave"),
    ],
)
def test_advice_for_classes_that_no_fold_can_train(table, labels, label, groups, advice):
    y = labels.astype(object)
    y[0] = label or y[0]
    groups = np.where(y == y[0], "one", np.arange(len(y)).astype(str)) if groups else None
    clf = AdaptiveBackboneEnsemble(head="linear-all")
    texts = said(lambda: compare_with_baselines(clf, table, y.astype(str), cv=2, groups=groups))
    (text,) = [one for one in texts if "training rows lack" in one]
    assert advice in text


def test_what_all_splits_make_doubtful_is_said_once():
    X, y = np.random.default_rng(0).normal(size=(451, 8)), np.resize(["cat", "dog", "owl"], 451)
    clf = AdaptiveBackboneEnsemble(head="linear")
    texts = said(lambda: compare_with_baselines(clf, X, y, cv=3))  # of folds of 300 and 301 rows
    assert len(texts) == 1 and texts[0].startswith("X does not predict y")


def test_prompts_that_fit_no_picture_are_no_mistake_where_others_learn(table, labels):
    clf, X = AdaptiveBackboneEnsemble(random_state=0), -table
    plain = AdaptiveBackboneEnsemble(head="zero-shot", router="uniform", calibrate=False)
    assert "fit no text" in " ".join(said(lambda: plain.fit(X, labels)))
    texts = said(lambda: compare_with_baselines(clf, X, labels, cv=2))
    assert not any("fit no text" in text for text in texts)


def test_other_columns_belong_to_each_backbone(table, labels):
    X = table.assign(answer=np.unique(labels, return_inverse=True)[1] * 10.0)
    clf = AdaptiveBackboneEnsemble(head="linear-all", random_state=0)
    cv = FewShotSplit(5, 2, random_state=0)
    found = compare_with_baselines(clf, X, labels, cv=cv)["accuracy"]
    alone = found[found.index.str.endswith(" alone")]
    ways = ["images alone", "other columns alone", "zoo/RN20 alone", "zoo/ViT-8 alone"]
    assert alone.index.tolist() == ways
    assert (alone[1:] > 0.95).all()
    of_images = compare_with_baselines(clf, table, labels, cv=cv)["accuracy"]
    assert alone["images alone"] == of_images["ensemble"]
    assert "images alone" not in of_images


def test_other_columns_that_tell_nothing_are_no_mistake(table, labels):
    X = table.assign(x=np.random.default_rng(0).normal(size=len(table)))
    clf = AdaptiveBackboneEnsemble(head="linear", random_state=0)
    with no_warning():
        found = compare_with_baselines(clf, X, labels, cv=2)["accuracy"]
    assert found["other columns alone"] < found["images alone"]


def test_a_table_without_backbones_has_no_backbone_alone():
    rng = np.random.default_rng(0)
    y = np.repeat([3, 5], 20)
    X = rng.normal(size=(40, 6)) + y[:, None]
    blocks = {"first": slice(0, 3), "rest": slice(3, 6)}
    clf = AdaptiveBackboneEnsemble(blocks, head="linear", random_state=0)
    found = compare_with_baselines(clf, X, y, cv=[(range(0, 40, 2), range(1, 40, 2))])
    assert found.index.tolist() == ["ensemble", LOGISTIC]
    assert found["std"].isna().all()  # of one split
    assert found.loc[LOGISTIC, ["low", "high"]].notna().all()


def test_columns_that_an_expert_names_are_no_backbones(table, labels):
    head = [("one", LogisticRegression(), "zoo/RN20"), ("other", LogisticRegression(), "zoo/ViT-8")]
    clf = AdaptiveBackboneEnsemble(head=head, random_state=0)
    found = compare_with_baselines(clf, table, labels, cv=FEW)
    assert found.index.tolist() == ["ensemble", LOGISTIC]


def test_a_backbone_that_a_head_does_not_fit_is_not_alone(table, labels):
    head = ["linear-all", ResidualHead("zoo/RN20")]
    clf = AdaptiveBackboneEnsemble(head=head, random_state=0)
    found = compare_with_baselines(clf, table, labels, cv=FEW)
    assert found.index.tolist() == ["ensemble", LOGISTIC, "zoo/RN20 alone"]


def test_prompts_alone_are_those_of_the_heads(table, labels):
    numbers = np.unique(labels, return_inverse=True)[1]
    names = [f"a {name}" for name in np.unique(labels)]
    given = {"class_names": names, "templates": ["a drawing of {}."]}
    cv = FewShotSplit(2, 1, random_state=0)
    heads = [ZeroShotHead(**given), "linear-all"]
    own = compare_with_baselines(AdaptiveBackboneEnsemble(head=heads), table, numbers, cv=cv)
    heads = ["zero-shot", "linear-all"]
    of_all = AdaptiveBackboneEnsemble(head=heads, **given)
    expected = compare_with_baselines(of_all, table, numbers, cv=cv)
    assert own.loc["prompts alone", "accuracy"] == expected.loc["prompts alone", "accuracy"]
    assert own.loc["prompts alone", "accuracy"] > 0.5


@pytest.mark.parametrize("estimator", [LogisticRegression(), MultiBackboneEmbedder("zoo"), None])
def test_what_is_no_ensemble_is_refused(estimator, table, labels):
    amounts = np.arange(len(labels)) / 3  # of which no folds can be made
    for y in (labels, amounts):
        with pytest.raises(TypeError, match="Ensemble, or a pipeline that ends in one"):
            compare_with_baselines(estimator, table, y)


def test_labels_in_a_column_of_a_frame(pictures, labels):
    images = pd.Series([*pictures[0][:-1], "no.png"], [f"picture {i}" for i in range(60)])
    y = pd.DataFrame({"label": labels}, images.index)
    clf = make_backbone_pipeline(BACKBONES, random_state=0, on_error="nan")
    with pytest.warns(UserWarning, match="1 of 60 images cannot be read.*'no.png'"):
        found = compare_with_baselines(clf, images, y, cv=FEW)
    assert found.loc["ensemble", "accuracy"] > 0.5
    with pytest.warns(UserWarning, match="X and y have the same index in another order"):
        compare_with_baselines(clf, images[:-1], y["label"][-2::-1], cv=FewShotSplit(2, 1))


def test_rows_without_a_label_are_refused(table, labels):
    y = labels.astype(object)
    y[7] = None
    with pytest.raises(ValueError, match="row 7"):
        compare_with_baselines(AdaptiveBackboneEnsemble(), table, y)


def test_in_memory_pictures(labels):
    colours = {label: 80 * i for i, label in enumerate(np.unique(labels))}
    images = [Image.new("RGB", (32, 32), (colours[one], 20, 20)) for one in labels]
    clf = make_backbone_pipeline("zoo/RN20", head="linear", random_state=0)
    found = compare_with_baselines(clf, images, labels, cv=FewShotSplit(1, 1, random_state=0))
    assert found.loc["ensemble", "accuracy"] == 1


def test_small_columns_are_no_handicap_of_the_logistic_regression(table, labels):
    clf = AdaptiveBackboneEnsemble(random_state=0)
    found = compare_with_baselines(clf, 1e-8 * table, labels, cv=FEW)["accuracy"]
    expected = compare_with_baselines(clf, table, labels, cv=FEW)["accuracy"]
    assert found[LOGISTIC] == pytest.approx(expected[LOGISTIC], abs=0.05)


def test_beside_other_columns_the_logistic_regression_reads_all_of_them_scaled(table, labels):
    prices = table.assign(price=np.random.default_rng(0).normal(1e5, 2e4, len(table)))
    clf = AdaptiveBackboneEnsemble(head="linear-all", random_state=0)
    few = FewShotSplit(1, 2, random_state=0)
    plain = LogisticRegression(C=10, max_iter=1000)
    baselines = {"scaled": make_pipeline(StandardScaler(), plain), "as it is": plain}
    found = compare_with_baselines(clf, prices, labels, cv=few, baselines=baselines)
    assert found.loc[LOGISTIC].equals(found.loc["scaled"])
    assert not found.loc[LOGISTIC].equals(found.loc["as it is"])


def test_more_folds_than_rows_of_a_class_are_refused(table, labels):
    rows = [0, 1, 20, 21, 40]
    with pytest.raises(ValueError, match=r"cv=5 folds need 5 rows of a class, but none has more"):
        compare_with_baselines(AdaptiveBackboneEnsemble(), table.iloc[rows], labels[rows])

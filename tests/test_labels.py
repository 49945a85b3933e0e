"""Doubtful labels, pictures to label next, and pictures of none of the classes."""

import re
import tracemalloc
import warnings
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from _models import LabelsInColumn, ProbaBackwards
from _pictures import some_of_each
from _said import no_warning, said
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_predict,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import parametrize_with_checks

from skclipens import (
    AdaptiveBackboneEnsemble,
    CascadeClassifier,
    MultiBackboneEmbedder,
    SuspectedMistakeWarning,
    make_backbone_pipeline,
    make_table_pipeline,
)
from skclipens._utils._folds import few_shot_folds, limit_validation_rows
from skclipens.embedding._base import BaseEmbedder
from skclipens.heads import (
    CLIPAdapterHead,
    GDAHead,
    LinearDiscriminantHead,
    LinearProbeHead,
    ResidualHead,
    TipAdapterHead,
    ZeroShotHead,
)
from skclipens.labels import OpenSetClassifier, _issues, find_label_issues, suggest
from skclipens.labels._issues import _by_noise
from skclipens.labels._open_set import _weighted_quantile
from skclipens.labels._suggest import _greedy_cover
from skclipens.model_selection import compare_with_baselines

pytestmark = pytest.mark.usefixtures("embedded_once")

BACKBONES = ["zoo/RN20", "zoo/ViT-16"]
FIXED = {"router": "uniform", "calibrate": False}  # nothing learns from held-out rows
WRONG = {"logistic": LogisticRegression(C=-1)}
NO_NAMES = {"adaptivebackboneensemble__class_names": {"another": "another"}}


@pytest.fixture(scope="module")
def emoji():
    """Paths of 84 pictures of 7 classes in turn, their embeddings and their labels."""
    paths, y = (one.reshape(7, 12).T.ravel() for one in some_of_each(7, 12, min_class_size=40))
    embedder = MultiBackboneEmbedder(BACKBONES).set_output(transform="pandas")
    return paths, embedder.fit_transform(paths), y


@pytest.fixture(scope="module")
def flipped(emoji):
    """Labels of which 12 are wrong, and which these are."""
    y, wrong = emoji[2].copy(), 5 * np.arange(12)  # of all classes
    y[wrong] = emoji[2][wrong + 1 + np.arange(12) % 6]
    return y, y != emoji[2]


class Certain(ClassifierMixin, BaseEstimator):
    """The nearest hundred; others are hardly possible."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        is_near = np.abs(X.to_numpy()[:, :1] - 100 * self.classes_) < 50
        return np.where(is_near, 1, 1e-200)


def make(**parameters):
    return AdaptiveBackboneEnsemble(BACKBONES, **{"random_state": 0, **parameters})


# Held-out logits of an ensemble


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        FIXED,
        {"head": "linear"},
        {"cv": 0.3},
        {**FIXED, "head": "linear", "cv": StratifiedKFold(2)},
        {**FIXED, "head": "linear", "cv": 0.3},
        {**FIXED, "head": "kernel", "groups": np.arange(84) // 14},
    ],
    ids=lambda given: ", ".join(given) or "default",
)
def test_cross_fit_fits_as_fit_does(emoji, parameters):
    _, X, y = emoji
    parameters = {"groups": None, **parameters}
    groups = parameters.pop("groups")
    clf, other = make(**parameters), make(**parameters).fit(X, y, groups=groups)
    logits, valid = clf.cross_fit(X, y, groups=groups)
    assert_allclose(clf.predict_proba(X), other.predict_proba(X))
    assert logits.shape == (84, 7)
    assert valid.sum() == (26 if parameters.get("cv") == 0.3 else 84)
    right = clf.classes_[logits.argmax(axis=1)] == y
    assert 0.5 < right[valid].mean() <= other.score(X, y) + 0.05


def test_what_is_said_of_a_row_does_not_depend_on_its_label_being_right(emoji):
    _, X, y = emoji
    other = y.copy()
    other[5] = y[6]
    folds = list(GroupKFold(3).split(X, y, np.arange(84) // 7))
    fixed = {**FIXED, "head": LogisticRegression(), "cv": folds}
    logits = [make(**fixed).cross_fit(X, labels)[0] for labels in (y, other)]
    assert_allclose(logits[0][5], logits[1][5], rtol=1e-5)
    assert not np.allclose(logits[0], logits[1])


def test_folds_may_be_a_generator():
    X, y = load_digits(return_X_y=True)
    X, y = np.vstack([X[:120], X[:1]]), np.append(y[:120], y[:1])  # with a copy
    folds = list(StratifiedKFold(3).split(X, y))
    found = [AdaptiveBackboneEnsemble(head=GaussianNB(), random_state=0) for _ in range(2)]
    of_list, of_generator = (
        clf.cross_fit(X, y, folds=some)
        for clf, some in zip(found, (folds, iter(folds)), strict=True)
    )
    assert of_list[1].all()
    assert_array_equal(of_list[0], of_generator[0])
    assert_array_equal(found[0].cross_fit(X, y, folds=StratifiedKFold(3))[0], of_list[0])


def test_rows_without_a_label_or_a_weight_are_not_judged(emoji):
    _, X, y = emoji
    some, weights = y.astype(object), np.ones(84)
    some[:7], weights[7:14] = None, 0
    logits, valid = make(unlabeled="ignore").cross_fit(X, some, sample_weight=weights)
    assert_array_equal(valid, np.arange(84) >= 14)
    assert not logits[~valid].any()
    alone = make().cross_fit(X.iloc[14:], y[14:])[0]
    assert_allclose(logits[14:], alone, rtol=1e-4, atol=1e-4)


class _SplitsRows(GaussianNB):
    """A classifier whose ``cross_fit`` takes no groups."""

    def cross_fit(self, X, y, folds=None):
        folds = StratifiedKFold(3).split(X, y) if folds is None else folds
        logits, valid = np.zeros((len(y), len(np.unique(y)))), np.zeros(len(y), bool)
        for train, test in folds:
            logits[test] = GaussianNB().fit(X[train], y[train]).predict_joint_log_proba(X[test])
            valid[test] = True
        self.fit(X, y)
        return logits, valid


@pytest.mark.parametrize(
    "estimator",
    [_SplitsRows(), GaussianNB(), LinearProbeHead(), AdaptiveBackboneEnsemble(head="linear")],
)
def test_no_row_is_judged_if_no_fold_of_the_user_can(estimator):
    """Neither by folds of the classifier's own, which split groups."""
    X, y = load_iris(return_X_y=True)
    of_classes = [(np.flatnonzero(y == c), np.flatnonzero(y != c)) for c in range(3)]
    for option, why in [
        ({"groups": y}, "rows of a group do not judge each other"),
        ({"cv": of_classes}, "cv holds out no row whose class is among its training rows"),
    ]:
        with pytest.raises(ValueError, match=f"No label can be judged: {why}"):
            find_label_issues(estimator, X, y, **option)


class _Rounded(GaussianNB):
    """A classifier whose probabilities may be less than zero by rounding, or in half precision."""

    def __init__(self, dtype=np.float64):
        super().__init__(var_smoothing=1)
        self.dtype = dtype

    def predict_proba(self, X):
        return (super().predict_proba(X) - 1e-9).astype(self.dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_probabilities_may_be_rounded(dtype):
    X, y = load_digits(return_X_y=True)
    X, y = X[:200], y[:200]
    with no_warning():
        issues = find_label_issues(_Rounded(dtype), X, y, random_state=0)
        AdaptiveBackboneEnsemble([("all", slice(None))], head=_Rounded(dtype)).fit(X, y)
    exact = find_label_issues(GaussianNB(var_smoothing=1), X, y, random_state=0)
    assert_allclose(issues["label_quality"], exact["label_quality"], atol=1e-3)


def test_one_row_per_class_is_judged_by_names(emoji):
    _, X, y = emoji
    logits, valid = make().cross_fit(X[:7], y[:7])
    assert valid.all()
    assert logits.any()
    _, valid = make(head="linear").cross_fit(X[:7], y[:7])
    assert not valid.any()


def test_a_picture_with_two_labels_is_held_out_with_both(emoji):
    _, X, y = emoji
    twice, again = np.arange(0, 84, 8), np.vstack([X, X[::8]])
    labels = np.append(y, np.roll(y[twice], 3))  # of another class
    assert (labels[84:] != y[twice]).all()
    with pytest.warns(SuspectedMistakeWarning, match="Rows 0 and 84 of X are the same, but have t"):
        issues = find_label_issues(
            LogisticRegression(C=100, max_iter=1000), again, labels, random_state=0
        )
    predicted = issues["predicted_label"].to_numpy()
    assert_array_equal(predicted[twice], predicted[84:])  # by the same fit, which had neither


@pytest.mark.parametrize("cv", [5, 0.3])
def test_both_labels_of_a_picture_may_be_judged(cv):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(22, 40)).astype(np.float32), np.array([*"a" * 10, *"b" * 10, *"zz"])
    X[20] = X[3]
    with pytest.warns(SuspectedMistakeWarning, match="Rows 3 and 20 of X are the same"):
        issues = find_label_issues(LogisticRegression(), X, y, cv=cv, random_state=0)
    judged = issues["label_quality"].notna()
    assert judged[3] == judged[20] and (judged.all() or cv == 0.3)
    for i, j in combinations(range(20), 2):
        X[20], X[21] = X[i], X[j]
        for train, test in few_shot_folds(y, cv, X=X, any_label=True, random_state=0):
            assert np.isin(y[test], y[train]).all()
            assert not np.isin(X[test, 0], X[train, 0]).any()


@pytest.mark.parametrize("make_one", [LogisticRegression, lambda: make(head="linear")])
def test_labels_that_no_other_row_has_are_counted(make_one, emoji):
    _, X, y = emoji
    labels = [*y[:42], "pet", "sky"]
    with pytest.warns(UserWarning, match=r"2 of 44 labels are not judged, .* 'pet' in row 42"):
        issues = find_label_issues(make_one(), X[:44], labels, random_state=0)
    assert issues["label_quality"].isna().tolist() == [False] * 42 + [True] * 2


def test_rows_of_the_same_category_are_no_pictures():
    rng = np.random.default_rng(0)
    words = rng.integers(0, 40, 400)
    wrong = np.arange(400) % 25 == 0
    X, y = np.eye(40, dtype=np.float32)[words], (words + wrong) % 3
    for table in (X, StandardScaler().fit_transform(X)):
        with no_warning():
            issues = find_label_issues(LogisticRegression(C=10), table, y, random_state=0)
        assert (issues["predicted_label"] == words % 3).mean() > 0.9


def test_one_row_per_class_is_judged_by_names_whatever_the_folds(emoji):
    _, X, y = emoji
    folds = [(np.arange(4), np.arange(4, 7)), (np.arange(4, 7), np.arange(4))]
    issues = find_label_issues(make(), X[:7], y[:7], cv=folds)
    assert len(issues) == 7


def test_held_out_rows_change_nothing_that_needs_none(emoji):
    _, X, y = emoji
    clf, other = make(router="uniform", calibrate=False), make(router="uniform", calibrate=False)
    logits, valid = clf.cross_fit(X[:7], y[:7])
    other.fit(X[:7], y[:7])
    assert_array_equal(clf.temperatures_, other.temperatures_)
    assert clf.validated_.all()
    assert_array_equal(clf.predict_proba(X), other.predict_proba(X))
    assert valid.all()  # by names
    assert logits.any()


def test_folds_take_the_place_of_cv(emoji):
    _, X, y = emoji
    folds = list(GroupKFold(3).split(X, y, np.arange(84) // 7))
    by_folds, valid = make(cv=folds).cross_fit(X, y)
    assert_allclose(make().cross_fit(X, y, folds=folds)[0], by_folds)
    assert valid.all()


# Doubtful labels


@pytest.mark.parametrize("method", ["noise", "confident-learning"])
def test_wrong_labels_are_the_most_doubtful(emoji, flipped, method):
    _, X, _ = emoji
    y, wrong = flipped
    issues = find_label_issues(make(), X, y, method=method)
    assert list(issues.columns) == [
        "row",
        "is_label_issue",
        "label_quality",
        "given_label",
        "predicted_label",
    ]
    assert_array_equal(issues.index, np.arange(84))  # so that columns are masks of X and y
    assert_array_equal(issues["row"], np.arange(84))
    assert_array_equal(issues["given_label"], y)
    assert average_precision_score(wrong, -issues["label_quality"]) > 0.8
    marked = issues["is_label_issue"].to_numpy()
    assert (marked & wrong).sum() >= 7
    assert (marked & ~wrong).sum() <= 5
    assert (issues["predicted_label"] == emoji[2])[wrong].mean() > 0.7
    assert issues["predicted_label"].dtype == issues["given_label"].dtype
    if method == "noise":
        assert issues.attrs["noise_rate"] == pytest.approx(wrong.mean(), abs=0.08)


@pytest.mark.parametrize("method", ["noise", "confident-learning"])
def test_probabilities_that_underflow_are_no_error(method):
    y = np.arange(60) % 3
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)) + 100 * y[:, None])
    y[[3, 7]] = 2
    expected = find_label_issues(Certain(), X, y, method=method)
    assert_array_equal(expected["row"][expected["is_label_issue"]], [3, 7])
    with np.errstate(under="raise"):
        assert find_label_issues(Certain(), X, y, method=method).equals(expected)


def test_rows_are_called_as_in_a_frame(emoji, flipped):
    _, X, _ = emoji
    y = pd.Series(flipped[0], np.arange(84) + 10, name="label")  # as of a part of a table
    issues = find_label_issues(make(head="linear"), X.set_axis(y.index), y)
    of_y = find_label_issues(make(head="linear"), X.to_numpy(), y)  # X has no index
    for found in (issues, of_y):
        assert_array_equal(found.index, y.index)
        assert_array_equal(found["given_label"], y)
        assert_array_equal(found["row"], np.arange(84))


def test_right_labels_are_left_alone(emoji):
    _, X, y = emoji
    issues = find_label_issues(make(), X, y)
    assert issues["is_label_issue"].sum() <= 3
    assert issues.attrs["noise_rate"] < 0.06


def test_pictures_are_embedded_for_the_ensemble(emoji, flipped):
    paths, X, _ = emoji
    clf = make_backbone_pipeline(BACKBONES, features="projected", random_state=0)
    of_paths = find_label_issues(clf, paths, flipped[0])
    pd.testing.assert_frame_equal(of_paths, find_label_issues(make(), X, flipped[0]), atol=1e-3)
    assert not hasattr(clf[-1], "classes_")  # a clone was fitted


@pytest.mark.parametrize(
    "classifier",
    [make_pipeline(StandardScaler(), GaussianNB()), LinearDiscriminantHead()],
    ids=["pipeline", "head"],
)
def test_any_classifier_will_do(emoji, flipped, classifier):
    _, X, _ = emoji
    y, wrong = flipped
    issues = find_label_issues(classifier, X, y, random_state=0)
    chance = wrong.mean()
    assert average_precision_score(wrong, -issues["label_quality"]) > 2 * chance


def test_classes_of_a_classifier_may_be_in_any_order(emoji, flipped):
    _, X, _ = emoji
    y, _ = flipped
    expected, found = (
        find_label_issues(one, X, y, random_state=0)
        for one in (LogisticRegression(), ProbaBackwards())
    )
    pd.testing.assert_frame_equal(found, expected, atol=1e-3)
    expected, found = (
        OpenSetClassifier(one, random_state=0).fit(X, y).score_samples(X)
        for one in (LogisticRegression(), ProbaBackwards())
    )
    assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["frame", "array", "whole numbers", "flag", "price", "paths"])
def test_copies_do_not_vouch_for_each_other(emoji, kind):
    """Not in a frame, either, which an embedder gives: they did there."""
    paths, X, y = emoji
    noise = np.random.default_rng(0).permutation(y)
    classifier = KNeighborsClassifier(1)
    rows = np.arange(len(y)).repeat(2)
    table = X.iloc[rows]
    if kind == "whole numbers":
        table = np.round(100 * table.to_numpy()).astype(int)
    elif kind == "array":
        table = table.to_numpy()
    elif kind == "flag":
        table = table.assign(is_new=rows % 2 == 0)
    elif kind == "price":
        table = table.assign(price=np.random.default_rng(1).normal(size=len(rows)) / 100)
    elif kind == "paths":
        table = pd.DataFrame({"path": np.asarray(paths)[rows]})
        embedded = ColumnTransformer([("pictures", MultiBackboneEmbedder(BACKBONES), "path")])
        classifier = make_pipeline(embedded, classifier)
    issues = find_label_issues(classifier, table, noise[rows], random_state=0)
    assert np.mean(issues["predicted_label"] == issues["given_label"]) < 0.5


def test_copies_do_not_vouch_for_each_other_in_the_folds_of_a_user(emoji):
    _, X, y = emoji
    noise, rows = np.random.default_rng(0).permutation(y), np.arange(len(y)).repeat(2)
    cv = StratifiedKFold(5, shuffle=True, random_state=0)
    with pytest.warns(UserWarning, match="are marked"):
        issues = find_label_issues(LinearDiscriminantHead(), X.iloc[rows], noise[rows], cv=cv)
    assert np.mean(issues["predicted_label"] == issues["given_label"]) < 0.5


def test_words_that_a_search_reads_are_compared_by_nothing():
    words = np.array(["cat", "dog", "owl"])[np.arange(30) % 3]
    labels = words.copy()
    labels[5] = "cat"
    clf = make_pipeline(OneHotEncoder(), LogisticRegression())
    search = GridSearchCV(clf, {"logisticregression__C": [1.0]}, cv=2)
    issues = find_label_issues(search, pd.DataFrame({"word": words}), labels, cv=2, random_state=0)
    assert issues["label_quality"].idxmin() == 5


def test_rows_that_are_predicted_in_a_fold_are_named_as_they_were_given(emoji):
    paths, _, y = emoji
    sizes = np.array(["small", "large", "huge"])[np.random.default_rng(0).integers(0, 3, len(y))]
    sizes[55] = "tiny"
    table = pd.DataFrame({"picture": paths, "size": sizes})
    clf = make_table_pipeline(BACKBONES, "picture", categories="size", random_state=0)
    with pytest.warns(UserWarning, match="'tiny' in row 55"):
        find_label_issues(clf, table, y)
    with pytest.raises(ValueError, match="a pipeline of images beside other columns cannot be"):
        suggest(clf, table, np.where(np.arange(len(y)) % 5, "", y))


def test_copies_in_a_group_do_not_vouch_for_each_other(emoji):
    _, X, y = emoji
    X = pd.concat([X, X.iloc[:7]], ignore_index=True)
    y = np.r_[y, y[:7]]
    y[[3, 87]] = y[4]  # a picture and its copy have the same wrong label
    groups = np.r_[np.arange(84), np.arange(7)]
    head = ResidualHead("zoo/RN20")
    X = X.iloc[:, :128]
    quality = find_label_issues(head, X, y, groups=groups)["label_quality"]
    assert quality[3] == pytest.approx(quality[87], abs=1e-3)
    assert quality[3] < 0.5


def test_the_only_row_of_a_class_has_no_quality(emoji):
    _, X, y = emoji
    y = y.copy()
    y[0] = "alone"
    issues = find_label_issues(make(head="linear"), X, y)
    assert np.isnan(issues.loc[0, "label_quality"])
    assert issues.loc[0, "predicted_label"] is None
    assert not issues.loc[0, "is_label_issue"]


def test_the_only_row_of_a_class_hides_no_wrong_label():
    X, truth = load_iris(return_X_y=True)
    y, wrong = truth.copy(), np.random.default_rng(0).permutation(150)[:45]
    y[wrong] = (y[wrong] + 1) % 3
    other = y.copy()
    other[np.flatnonzero(y == truth)[0]] = 3
    found = [find_label_issues(GaussianNB(), X[:, :2], one, random_state=0) for one in (y, other)]
    rates, counts = zip(*((one.attrs["noise_rate"], one["is_label_issue"].sum()) for one in found))
    assert rates == pytest.approx([0.34, 0.34], abs=0.03)
    assert counts == pytest.approx([50, 50], abs=5)


@pytest.mark.parametrize("method", ["noise", "confident-learning"])
def test_labels_that_the_rows_do_not_explain_give_a_warning(method):
    X, y = load_digits(return_X_y=True)
    X, y = X[:300], np.random.default_rng(0).permutation(y[:300])
    message = r"(?s)\d+ of 300 labels are marked\. .*cannot tell the classes apart"
    with pytest.warns(SuspectedMistakeWarning, match=message):
        find_label_issues(LinearDiscriminantAnalysis(), X, y, method=method, random_state=0)


def test_wrong_labels_of_a_class_that_is_in_one_group_are_found():
    """Its own labels are not judged, but those of its pictures that have another label are."""
    X, truth = load_iris(return_X_y=True)
    rng = np.random.default_rng(1)
    y, wrong = truth.copy(), rng.permutation(150)[:30]
    y[wrong] = (y[wrong] + 1 + rng.integers(2, size=30)) % 3
    groups = np.where(y == 0, 0, np.arange(150) + 1)
    issues = find_label_issues(GaussianNB(), X, y, groups=groups, random_state=0)
    assert_array_equal(issues["label_quality"].isna(), y == 0)
    marked = issues["is_label_issue"]
    assert np.mean((y != truth)[marked]) > 0.8
    assert marked[(truth == 0) & (y != 0)].mean() > 0.8


@pytest.mark.parametrize("cv", [0.25, ShuffleSplit(2, random_state=0), TimeSeriesSplit(3), 5])
def test_labels_that_are_not_judged_are_counted(cv, emoji, monkeypatch):
    _, X, y = emoji
    if cv == 5:
        monkeypatch.setattr(_issues, "_MOST_ROWS", 60)
    with pytest.warns(UserWarning, match="are not judged") as caught:
        issues = find_label_issues(make(head="linear", cv=cv), X, y)
    (text,) = [str(one.message) for one in caught if "are not judged" in str(one.message)]
    assert text.startswith(f"{issues['label_quality'].isna().sum()} of 84 labels are not judged")
    assert "set cv to a number of folds" in text


@pytest.mark.parametrize("head", [make(head="linear"), GaussianNB()], ids=["ours", "sklearn"])
@pytest.mark.parametrize("how", ["fraction", "splits", "splitter"])
def test_labels_are_judged_in_the_folds_that_a_user_gives(head, how, emoji):
    _, X, y = emoji
    splits = [*StratifiedKFold(4, shuffle=True, random_state=0).split(X, y)][:2]
    held_out = np.concatenate([test for _, test in splits])
    cv = {"fraction": 0.25, "splits": splits, "splitter": KFold(3)}[how]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".* are not judged")  # it is what was asked for
        issues = find_label_issues(head, X, y, cv=cv, random_state=0)
    judged = np.flatnonzero(issues["label_quality"].notna())
    if how == "splits":
        assert_array_equal(judged, np.sort(held_out))
    else:
        assert len(judged) == {"fraction": 21, "splitter": 84}[how]


def test_issues_are_found_among_more_rows_than_judge_a_fit(emoji, tmp_path):
    _, X, y = emoji
    clf = make(head=["linear", "kernel-all"], memory=str(tmp_path))
    with limit_validation_rows(60):
        clf.fit(X, y)
        assert clf.cross_fit(X, y)[1].sum() == 60
        assert find_label_issues(clf, X, y)["label_quality"].notna().all()


def test_the_only_row_of_a_class_costs_no_other_row():
    rows = np.random.default_rng(0).normal(size=(30, 2))
    issues = find_label_issues(GaussianNB(), rows, ["cat"] * 29 + ["dog"], random_state=0)
    assert issues.index[issues["label_quality"].isna()].tolist() == [29]
    groups, y = np.arange(30) // 10, ["cat"] * 21 + ["dog"] * 9
    with pytest.warns(UserWarning, match="1 of 30 labels are not judged.* give smaller groups"):
        find_label_issues(GaussianNB(), rows, y, groups=groups)


def test_labels_that_cannot_be_judged_are_no_mistake(emoji):
    _, X, y = emoji
    X = pd.concat([X, X.iloc[[0, 0]]], ignore_index=True)
    y = np.r_[y, ["alone"] * 2]  # of two copies, none judges the other
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".* are not judged")
        issues = find_label_issues(make(head="linear"), X, y)
    assert issues["label_quality"].isna().sum() == 2


@settings(max_examples=20)
@given(st.integers(2, 8), st.floats(0, 0.4), st.integers(0, 1000))
def test_the_share_of_wrong_labels_is_estimated(n_classes, share, seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(n_classes, size=1500)
    logits = rng.normal(size=(1500, n_classes))
    logits[np.arange(1500), truth] += 6
    y = np.where(rng.random(1500) < share, rng.integers(n_classes, size=1500), truth)
    issue, quality, attrs = _by_noise(3 * logits, y)
    assert attrs["noise_rate"] == pytest.approx(np.mean(y != truth), abs=0.04)
    assert np.mean(issue == (y != truth)) > 0.95
    assert ((quality >= 0) & (quality <= 1)).all()
    assert quality.mean() == pytest.approx(np.mean(y == truth), abs=0.05)


@pytest.mark.parametrize("share", [0, 0.05, 0.2])
def test_few_rows_do_not_make_labels_sure(share):
    """Where nothing tells noise from hard pictures, the most likely share is often 0."""
    wrong, doubt = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        logits = 2 * rng.normal(size=(24, 4))
        truth = (logits + rng.gumbel(size=(24, 4))).argmax(axis=1)  # calibrated
        y = np.where(rng.random(24) < share, rng.integers(4, size=24), truth)
        wrong.append(y != truth)
        doubt.append(1 - _by_noise(logits, y)[1])
    wrong, doubt = np.concatenate(wrong), np.concatenate(doubt)
    assert log_loss(wrong, doubt, labels=[False, True]) < {0: 0.15, 0.05: 0.2, 0.2: 0.35}[share]


def test_few_labels_are_marked_with_a_classifier_that_is_too_sure():
    X, y = load_digits(return_X_y=True)
    X, y = X[:300], y[:300].copy()
    y[:4] = (y[:4] + 1) % 10
    issues = find_label_issues(GaussianNB(var_smoothing=1e-3), X, y, random_state=0)
    assert set(range(4)) <= set(issues["row"][issues["is_label_issue"]])
    assert issues["is_label_issue"].sum() < 20
    assert issues.attrs["noise_rate"] < 0.07


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y": ["a"] * 83}, ValueError, "inconsistent"),
        ({"estimator": StandardScaler()}, TypeError, "'predict_proba'.* Got StandardScaler"),
        ({"estimator": SVC()}, ValueError, r"'estimator' parameter .*'predict_proba'.* Got SVC\("),
        ({"estimator": GaussianMixture()}, TypeError, "must be a classifier; got GaussianMixture"),
        ({"estimator": np.eye(2), "X": make()}, TypeError, "'estimator' parameter .* 'fit'"),
        ({"method": "magic"}, ValueError, "'method' parameter"),
        ({"y": np.array([f"class {i}" for i in range(84)])}, ValueError, "have a second row"),
    ],
)
def test_bad_input_of_find_label_issues(emoji, change, error, message):
    arguments = {"estimator": make(head="linear"), "X": emoji[1], "y": emoji[2], **change}
    with pytest.raises(error, match=message):
        find_label_issues(**arguments)


@pytest.mark.parametrize("ask", [find_label_issues, suggest])
def test_labels_that_are_none_at_all(emoji, ask):
    with pytest.raises(ValueError, match=r"y is None, and y should be .*a label for each row"):
        ask(make(), emoji[1], None)


def test_groups_that_are_classes_judge_no_label(emoji):
    _, X, y = emoji
    with pytest.raises(ValueError, match=r"No label can be judged: .* classes have rows of two gr"):
        find_label_issues(LogisticRegression(), X, y, groups=y)


@pytest.mark.parametrize(
    "ask", [find_label_issues, lambda clf, *of, **to: OpenSetClassifier(clf).fit(*of, **to)]
)
def test_groups_that_are_classes_are_the_cause_that_is_told(emoji, ask):
    _, X, y = emoji
    with pytest.warns(UserWarning) as caught:
        ask(make(), X, y, groups=y)
    (message,) = {str(one.message) for one in caught}
    assert message.startswith("All rows of each class are in one group")
    with pytest.raises(ValueError, match="Label rows of at least two groups of most classes"):
        OpenSetClassifier(LogisticRegression()).fit(X, y, groups=y)


class Asked(LinearDiscriminantHead):
    """Takes no groups in cross_fit, and keeps its folds."""

    def cross_fit(self, X, y, folds=None):
        self.folds_ = folds
        return super().cross_fit(X, y, folds=folds)


def test_an_ensemble_that_takes_groups_keeps_its_folds(emoji):
    _, X, y = emoji
    groups = np.arange(len(y)) // 2
    alone = make(head="linear").fit(X, y, groups=groups)
    inner = OpenSetClassifier(make(head="linear")).fit(X, y, groups=groups).estimator_
    np.testing.assert_array_equal(inner.predict_proba(X), alone.predict_proba(X))


def test_groups_that_folds_of_an_ensemble_split_are_told(emoji):
    _, X, y = emoji
    groups = np.arange(len(y)) // 2
    clf = make(head="linear", cv=StratifiedKFold(3, shuffle=True, random_state=0))
    with pytest.warns(SuspectedMistakeWarning, match="Fold 0 of cv has rows of the group"):
        OpenSetClassifier(clf).fit(X, y, groups=groups)


def test_a_head_whose_cross_fit_takes_no_groups_gets_folds_of_them(emoji):
    _, X, y = emoji
    groups = np.arange(84) // 2
    folds = OpenSetClassifier(Asked()).fit(X, y, groups=groups).estimator_.folds_
    assert all(not set(groups[train]) & set(groups[test]) for train, test in folds)


class TakesGroups(LogisticRegression):
    """Keeps the groups of each fit."""

    given = []

    def fit(self, X, y, groups=None):
        self.given.append(groups)
        return super().fit(X, y)


@pytest.mark.parametrize("wrap", [clone, lambda one: make_pipeline(StandardScaler(), one)])
@pytest.mark.parametrize("ask", ["issues", "open set"])
def test_a_classifier_that_is_cross_validated_gets_the_groups_of_its_rows(emoji, wrap, ask):
    _, X, y = emoji
    groups, clf = np.arange(84) // 2, wrap(TakesGroups())
    TakesGroups.given.clear()
    if ask == "issues":
        find_label_issues(clf, X, y, groups=groups, cv=3)
    else:
        OpenSetClassifier(clf, cv=3).fit(X, y, groups=groups)
    of_all, *of_folds = TakesGroups.given
    np.testing.assert_array_equal(of_all, groups)
    assert len(of_folds) == 3
    assert sum(len(np.unique(some)) for some in of_folds) == 2 * 42  # each is in two of three


# Pictures to label next


def test_suggested_are_rows_without_a_label_and_cover_the_others(emoji):
    paths, X, y = emoji
    some = np.where(np.arange(84) < 14, y, "")
    chosen = suggest(make(), X, some, 7)
    assert len(set(chosen)) == 7
    assert (chosen >= 14).all()
    assert_array_equal(chosen[:3], suggest(make(), X, some, 3))
    clf = make_backbone_pipeline(BACKBONES, features="projected", random_state=0)
    of_paths = suggest(clf, paths, some, 7)
    assert_array_equal(of_paths, chosen)
    assert len(suggest(make(), X, some, 999)) == 70


def test_a_suggestion_names_rows_as_they_were_given(emoji):
    _, X, y = emoji
    some = np.where(np.arange(84) >= 60, y, "")
    some[80] = some[61].upper()
    texts = said(partial(suggest, make(), X, some, 3))
    first = min(np.flatnonzero(some == some[61]).tolist())
    assert any(f"first in row {first}, and '{some[80]}', first in row 80" in one for one in texts)


@pytest.mark.parametrize("missing", ["", None, np.nan])
def test_without_any_label_all_classes_are_found_soon(emoji, missing):
    _, X, y = emoji
    chosen = suggest(make(), X, np.array([missing] * 84, object), 14)
    assert len(set(y[chosen])) >= 5


def test_what_is_suggested_teaches_more_than_what_is_left_over(emoji):
    _, X, y = emoji
    start = np.where(np.arange(84) < 7, y, "")

    def score(chosen):
        rows = np.r_[np.arange(7), chosen]
        rest = np.setdiff1d(np.arange(84), rows)
        return make().fit(X.iloc[rows], y[rows]).score(X.iloc[rest], y[rest])

    drawn = [
        score(np.random.default_rng(seed).choice(np.arange(7, 84), 14, False)) for seed in (0, 1, 2)
    ]
    assert score(suggest(make(), X, start, 14)) > np.mean(drawn) - 0.02


def test_the_less_is_known_of_a_picture_the_sooner_it_is_suggested():
    directions = [(1, 0, 0, 0), (0, 1, 0, 0), (0.5, 0, 1, 0), (0.25, 0.25, 0, 1)]
    rows = np.repeat(directions, [5, 5, 6, 4], axis=0)  # the last ones are between the classes
    rows += np.random.default_rng(0).normal(scale=0.02, size=rows.shape)
    y = np.repeat(["a", "b", ""], [5, 5, 10])
    assert suggest(LogisticRegression(C=10), rows, y, 1)[0] >= 16


@pytest.mark.parametrize("far", [2020, 1.7e9])
def test_a_column_far_from_zero_changes_no_suggestion(far):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 120)
    X = rng.normal(size=(120, 12)) + 2 * np.eye(12)[y]
    clf = make_pipeline(StandardScaler(), LogisticRegression())
    some = np.where(np.arange(120) % 10 == 0, y, -1)
    expected = suggest(clf, X, some, 8)
    assert_array_equal(suggest(clf, np.c_[X, np.full(120, far)], some, 8), expected)


class SometimesNan(GaussianNB):
    above = 7

    def predict_proba(self, X):
        return np.where(np.asarray(X)[:, :1] > self.above, np.nan, super().predict_proba(X))


def test_probabilities_of_nan_are_named_with_the_row():
    X, y = load_iris(return_X_y=True)
    large = np.flatnonzero(X[:, 0] > 7)
    message = rf"gives NaN as probabilities of {len(large)} rows; the first is row {large[0]}\."
    clf = OpenSetClassifier(SometimesNan(), random_state=0)
    for call in (partial(find_label_issues, SometimesNan()), clf.fit):
        with pytest.raises(ValueError, match=message):
            call(X, y)
    with pytest.raises(ValueError, match=message):
        suggest(SometimesNan(), X, np.where(np.isin(np.arange(150), large), -1, y), 3)
    small = np.delete(np.arange(150), large)
    clf.fit(X[small], y[small])
    assert len(clf.predict(X[small])) == len(small)
    for call in (clf.predict, clf.score_samples):
        with pytest.raises(ValueError, match=message):
            call(X)


def test_rows_of_nan_are_counted_with_the_images_that_cannot_be_read(emoji, monkeypatch):
    paths, X, y = emoji
    clf = make_backbone_pipeline(["zoo/RN20"], estimator=SometimesNan(), on_error="nan")
    first = np.asarray(clf[:-1].fit_transform(paths))[:, 0]
    monkeypatch.setattr(SometimesNan, "above", np.sort(first)[-2:].mean())
    row = first.argmax() + 2
    broken, labels = ["no.png", "none.png", *paths], np.array([y[0], y[0], *y])
    calls = (partial(find_label_issues, clf), OpenSetClassifier(clf, random_state=0).fit)
    for call in calls:
        with (
            pytest.warns(UserWarning, match="2 of .* cannot be read"),
            pytest.raises(ValueError, match=f"probabilities of 1 rows; the first is row {row}\\."),
        ):
            call(broken, labels)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cosines_that_differ_by_rounding_reject_no_row(dtype):
    """Rows in one direction: without a scale of cosines, only logits can tell."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    lengths = 5 * y + rng.uniform(1, 2, 120)
    X = (lengths[:, None] * np.array([0.3, 0.7])).astype(dtype)
    clf = OpenSetClassifier(GaussianNB(), random_state=0).fit(X, y)
    assert clf.scale_[1] == np.inf
    assert np.mean(clf.predict(X * dtype(1.01)) == -1) < 0.15


def test_labels_may_be_a_column_where_rows_are_rejected():
    X, y = load_iris(return_X_y=True)
    clf = OpenSetClassifier(LabelsInColumn(max_iter=1000), reject_rate=0.3, random_state=0)
    found = clf.fit(X, y).predict(X)
    plain = clone(clf).set_params(estimator=LogisticRegression(max_iter=1000)).fit(X, y)
    assert_array_equal(found, plain.predict(X))
    assert clf.score(X, y) == plain.score(X, y)


def test_many_rows_are_drawn_from(emoji):
    _, X, y = emoji
    some = np.where(np.arange(84) < 14, y, "")
    first, again, other = (
        suggest(make(), X, some, 5, max_rows=20, random_state=seed) for seed in (0, 0, 1)
    )
    assert_array_equal(first, again)
    assert set(first) != set(other)


class Read(torch.utils.data.Dataset):
    """Images of a dataset, with the positions that were read."""

    def __init__(self, paths):
        self.paths, self.read = paths, set()

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        self.read.add(i)
        return self.paths[i], "and a label"


def test_only_rows_that_are_drawn_are_embedded(emoji):
    paths, X, y = emoji
    some, options = np.where(np.arange(84) % 6 == 0, y, ""), {"max_rows": 20, "random_state": 0}
    dataset, clf = Read(paths), make_backbone_pipeline(BACKBONES, random_state=0)
    embedder, last = clf[0].set_params(features="projected"), clf[-1]
    # Some CPUs compute a batch of another size with other last digits.
    assert_allclose(embedder.transform(paths[:2]), X[:2], atol=1e-6)
    expected = suggest(last, X, some, 5, **options)
    assert_array_equal(suggest(clf, dataset, some, 5, **options), expected)
    assert len(dataset.read) == 14 + 20
    assert dataset.read.issuperset(np.flatnonzero(some != ""))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda clf: OpenSetClassifier(clf, reject_label="mammal").fit, "'mammal' is a class"),
        (lambda clf: OpenSetClassifier(clf.set_params(**NO_NAMES)).fit, "class_names .*'clothing'"),
        (lambda clf: partial(find_label_issues, clf.set_params(**NO_NAMES)), "class_names"),
        (lambda clf: partial(compare_with_baselines, clf.set_params(**NO_NAMES)), "class_names"),
        (lambda clf: OpenSetClassifier(clf, cv=[([0], [84])]).fit, "Fold 0 of cv does not fit X"),
        (lambda clf: OpenSetClassifier(clf, cv=GroupKFold(2)).fit, "splits by groups"),
        (lambda clf: partial(find_label_issues, clf, cv=[([0], [84])]), "Fold 0 of cv does not"),
        (lambda clf: partial(find_label_issues, clf, cv=GroupKFold(2)), "splits by groups"),
        (lambda clf: partial(compare_with_baselines, clf, cv=[([0], [84])]), "Fold 0 of cv does"),
        (lambda clf: partial(compare_with_baselines, clf, cv=85), "cv=85 folds need 85 rows"),
        (lambda clf: partial(compare_with_baselines, clf, cv=1), "n_splits=2 or more"),
        (lambda clf: partial(compare_with_baselines, clf, baselines=WRONG), "The 'C' parameter"),
        (
            lambda clf: (
                lambda X, y: suggest(
                    clf.set_params(**NO_NAMES), X, np.where(np.arange(len(y)) % 2, y, "")
                )
            ),
            "class_names",
        ),
    ],
)
def test_nothing_is_embedded_before_labels_and_parameters_are_checked(emoji, call, message):
    paths, _, y = emoji
    dataset, clf = Read(paths), make_backbone_pipeline("zoo/RN20")
    with pytest.raises(ValueError, match=message):
        call(clf)(dataset, y)
    assert not dataset.read


def test_rows_that_are_drawn_keep_their_numbers_in_messages(emoji):
    paths, _, y = emoji
    some = np.where(np.arange(84) < 14, y, "")
    broken = np.where(np.arange(84) < 14, paths, "no such picture.png")
    clf = make_backbone_pipeline("zoo/RN20", head="linear", on_error="nan")
    with pytest.warns(UserWarning, match=r"3 of 84 images .*row (\d\d) .*Row \1: "):
        assert not len(suggest(clf, broken, some, 5, max_rows=3, random_state=0))


def test_memory_does_not_grow_with_labels(monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30_200, 2)), rng.integers(0, 2, 30_200)
    y[:200] = -1
    chosen = suggest(GaussianNB(), X, y, 3)
    monkeypatch.setattr("skclipens.labels._similarity._AT_ONCE", 10)
    tracemalloc.start()
    try:
        assert_array_equal(suggest(GaussianNB(), X, y, 3), chosen)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200 * 30_000 * 8 / 2


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_each_next_row_adds_most_to_what_is_covered(seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(12, 3))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    weights = rng.random(12)
    chosen = _greedy_cover(rows[3:], rows[:3], weights[3:], 4)
    likeness = np.exp(10 * (rows @ rows.T - 1))

    def covered(some):
        return weights[3:] @ likeness[3:, [0, 1, 2, *(3 + np.asarray(some, int))]].max(axis=1)

    for k in range(4):
        best = max(covered([*chosen[:k], j]) for j in range(9) if j not in chosen[:k])
        assert covered(chosen[: k + 1]) == pytest.approx(best)


@pytest.mark.parametrize("parameters", [{"cv": 1}, {"cv": "five"}, {"random_state": "seed"}])
def test_parameters_of_the_folds_of_issues_are_checked(parameters, emoji):
    (name,) = parameters
    with pytest.raises(ValueError, match=f"'{name}' parameter of find_label_issues"):
        find_label_issues(make(), emoji[1], emoji[2], **parameters)


@pytest.mark.parametrize("call", [find_label_issues, suggest])
@pytest.mark.parametrize(
    "classifier", [KNeighborsClassifier(weights="Distance"), make(calibrate="no")]
)
def test_parameters_of_the_classifier_are_checked(call, classifier, emoji):
    _, X, y = emoji
    y = np.where(np.arange(84) % 2, y, "") if call is suggest else y
    with pytest.raises(InvalidParameterError, match="parameter of"):
        call(classifier, X, y)


def test_what_suggests_has_probabilities(emoji):
    with pytest.raises(ValueError, match=r"'estimator' parameter of suggest .*'predict_proba'"):
        suggest(SVC(), emoji[1], emoji[2])


def test_nothing_to_suggest(emoji):
    with pytest.raises(TypeError, match=r"'estimator' parameter of suggest .* 'fit'"):
        suggest(emoji[1], make(), emoji[2])
    with pytest.raises(ValueError, match="All rows have a label"):
        suggest(make(), emoji[1], emoji[2], 1)
    missing = np.where(np.arange(len(emoji[2])) < 5, "nan", emoji[2])
    with (
        pytest.warns(SuspectedMistakeWarning, match=r"as suggest expects. y has the class 'nan'"),
        pytest.raises(ValueError, match="All rows have a label"),
    ):
        suggest(make(), emoji[1], missing, 1)


def test_pictures_and_labels_in_another_order(emoji):
    names = [f"picture {i}" for i in range(len(emoji[2]))]
    X = emoji[1].set_axis(names)
    y = pd.Series(np.where(np.arange(len(names)) % 3, emoji[2], ""), names)
    with pytest.warns(UserWarning, match="X and y have the same index in another order"):
        suggest(make(), X, y.iloc[::-1], 1)


# None of these


@pytest.fixture(scope="module")
def halves(emoji):
    """Rows to learn from, of the known classes, and all rows to test, with which are known."""
    _, X, y = emoji
    known = np.isin(y, np.unique(y)[::2])
    train = np.arange(84) < 56
    return X[train & known], y[train & known], X[~train], y[~train], known[~train]


def test_unknown_classes_are_less_familiar_and_rejected_more_often(halves):
    X, y, X_test, y_test, known = halves
    clf = OpenSetClassifier(make(), reject_rate=0.2).fit(X, y)
    familiar = clf.score_samples(X_test)
    assert roc_auc_score(known, familiar) > 0.75
    predicted = clf.predict(X_test)
    assert_array_equal(predicted == "", familiar < clf.offset_)
    rejected = predicted == ""
    assert rejected[~known].mean() > rejected[known].mean() + 0.25
    assert_array_equal(predicted[~rejected], clf.estimator_.predict(X_test)[~rejected])
    assert_allclose(clf.predict_proba(X_test), clf.estimator_.predict_proba(X_test))
    assert_allclose(clf.decision_function(X_test), clf.estimator_.decision_function(X_test))


@given(
    st.lists(st.tuples(st.floats(-9, 9), st.integers(1, 4)), min_size=1, max_size=9),
    st.floats(0, 1),
)
def test_a_quantile_with_weights_is_that_of_copies(rows, share):
    values, weights = map(np.array, zip(*rows, strict=True))
    expected = np.quantile(np.repeat(values, weights), share)
    assert _weighted_quantile(values, share, weights) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("weight", [0.1, 1 / 3, 0.7])
def test_a_quantile_of_equal_small_weights_is_that_without_weights(weight):
    values = np.random.default_rng(0).normal(size=150)
    for n in range(2, 150):
        found = _weighted_quantile(values[:n], 0.1, np.full(n, weight))
        assert found == pytest.approx(np.quantile(values[:n], 0.1), abs=1e-6)


def test_the_share_of_rejected_rows_does_not_depend_on_the_scale_of_small_weights(emoji):
    _, X, y = emoji
    weights = np.random.default_rng(0).uniform(0.5, 1.5, len(y))
    weights /= weights.mean()
    clf = OpenSetClassifier(GaussianNB(), reject_rate=0.3, random_state=0)
    expected = clone(clf).fit(X, y, sample_weight=weights).offset_
    none = clone(clf).set_params(reject_rate=0).fit(X, y).offset_
    assert clf.fit(X, y, sample_weight=weights / 20).offset_ == pytest.approx(expected, abs=1e-3)
    assert expected > none + 0.5


def test_rows_are_compared_by_columns_that_a_pipeline_takes_by_name(emoji):
    _, X, y = emoji
    by_name = ColumnTransformer([("scaled", StandardScaler(), X.columns.tolist())])
    clf = OpenSetClassifier(make_pipeline(by_name, LogisticRegression()), reject_rate=0.1)
    expected = clf.fit(X, y).score_samples(X)
    assert_allclose(clf.score_samples(X[X.columns[::-1]]), expected, atol=1e-4)
    with_more = X.copy()
    with_more.insert(0, "id", np.arange(len(y)) * 100)
    assert_allclose(clf.score_samples(with_more), expected, atol=1e-4)
    beside = OpenSetClassifier(clf.estimator, reject_rate=0.1).fit(X.assign(id=0), y)
    assert_allclose(beside.score_samples(X), beside.score_samples(X.assign(id=7)), atol=1e-4)
    assert_allclose(beside.score_samples(X.assign(shop="a")), beside.score_samples(X), atol=1e-4)
    some = ColumnTransformer([("scaled", StandardScaler(), X.columns[:128].tolist())])
    clf = OpenSetClassifier(make_pipeline(some, LogisticRegression())).fit(X, y)
    with pytest.raises(ValueError, match=f"X lacks columns of fit, .*: '{X.columns[200]}'"):
        clf.predict(X.drop(columns=X.columns[200]))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3])
def test_about_so_many_labelled_rows_would_be_rejected(emoji, rate):
    _, X, y = emoji
    even = np.arange(84) % 2 == 0
    clf = OpenSetClassifier(make(), reject_rate=rate).fit(X[even], y[even])
    assert np.mean(clf.predict(X[~even]) == "") == pytest.approx(rate, abs=0.2 * (rate > 0))


class CrossFitted(LogisticRegression):
    """A head of a user, with held-out logits of its own."""

    def cross_fit(self, X, y, *, folds=None):
        logits = cross_val_predict(clone(self), X, y, method="decision_function")
        if logits.ndim == 1:
            logits = np.stack([np.zeros_like(logits), logits], axis=1)
        self.fit(X, y)
        return logits, np.ones(len(y), bool)


@pytest.mark.parametrize("n_classes", [2, 7])
@pytest.mark.parametrize(
    "head",
    [
        ZeroShotHead("zoo/RN20"),
        CLIPAdapterHead("zoo/RN20", max_iter=3, random_state=0),
        TipAdapterHead("zoo/RN20", fine_tune=True, max_iter=3, random_state=0),
        GDAHead("zoo/RN20", alpha=2),
        make(head="gda"),
        CrossFitted(),
    ],
    ids=repr,
)
def test_new_rows_are_scored_as_held_out_rows_are(emoji, head, n_classes):
    _, X, y = emoji
    X = X if isinstance(head, AdaptiveBackboneEnsemble) else X.iloc[:, :128]
    some = np.isin(y, np.unique(y)[:n_classes])
    X, y = X[some].reset_index(drop=True), y[some]
    even = np.arange(len(y)) // n_classes % 2 == 0
    clf = OpenSetClassifier(head, reject_rate=0.3, random_state=0).fit(X[even], y[even])
    assert np.mean(clf.predict(X[~even]) == "") == pytest.approx(0.3, abs=0.25)


class Judging(LogisticRegression):
    """A head of a user, whose logits of the rows of fit count as held out."""

    def cross_fit(self, X, y):
        logits = self.fit(X, y).decision_function(X)
        if logits.ndim == 1:
            logits = np.stack([np.zeros_like(logits), logits], axis=1)
        return logits, np.ones(len(y), bool)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_largest_logits_are_standardised(emoji, n_classes):
    _, X, y = emoji
    some = np.isin(y, np.unique(y)[:n_classes])
    clf = OpenSetClassifier(Judging()).fit(X[some], y[some])
    scores = clf.decision_function(X[some])
    largest = np.abs(scores) / 2 if n_classes == 2 else scores.max(axis=1)
    assert clf.location_[0] == pytest.approx(largest.mean(), rel=1e-5)
    assert clf.scale_[0] == pytest.approx(largest.std(), rel=1e-5)


def test_rejected_rows_have_the_label_that_is_asked_for(halves):
    X, y, X_test, _, _ = halves
    codes = np.unique(y, return_inverse=True)[1]
    head = LinearDiscriminantHead()
    assert -1 in OpenSetClassifier(head, reject_rate=0.3).fit(X, codes).predict(X_test)
    clf = OpenSetClassifier(head, reject_rate=0.3, reject_label="other").fit(X, y)
    assert "other" in clf.predict(X_test)
    for label, message in (("other", "must be a number"), (1, "1 is a class")):
        with pytest.raises(ValueError, match=message):
            OpenSetClassifier(head, reject_label=label).fit(X, codes)


def test_rejected_rows_are_scored_as_what_they_are_called(emoji, halves):
    X, y, X_test, y_test, known = halves
    clf = OpenSetClassifier(make(), reject_rate=0.2).fit(X, y)
    truth = np.where(known, y_test, "")
    assert clf.score(X_test, truth) == np.mean(clf.predict(X_test) == truth)
    with pytest.warns(UserWarning, match="Rows of none of the classes are called ''"):
        clf.score(X_test, y_test)
    with pytest.raises(ValueError, match=r"y has no label for .* use splits whose test rows all"):
        clf.score(X_test, [label or None for label in truth.tolist()])
    paths = emoji[0]
    pipe = make_backbone_pipeline(BACKBONES, estimator=clone(clf)).fit(paths[:28], emoji[2][:28])
    assert pipe.score(paths[28:31], ["", "", ""]) == np.mean(pipe.predict(paths[28:31]) == "")


@pytest.mark.parametrize("large", [2**63 + 5, 2**64 - 1])
def test_labels_beyond_those_of_int64_stay_beside_rejected_rows(large):
    X, t = load_iris(return_X_y=True)
    y = np.array([11, 22, large], np.uint64)[t]
    clf = OpenSetClassifier(LinearDiscriminantHead(), reject_rate=0.3).fit(X, y)
    found = clf.predict(X)
    assert set(found.tolist()) == {-1, 11, 22, large}


@pytest.mark.parametrize("label", [None, 300])
@pytest.mark.parametrize("dtype", ["uint8", "uint64", "int8", "float32"])
def test_labels_of_any_dtype_leave_the_label_of_rejected_rows_as_it_is(halves, dtype, label):
    X, y, X_test, _, _ = halves
    codes = (np.unique(y, return_inverse=True)[1] % 2).astype(dtype)
    clf = OpenSetClassifier(LinearDiscriminantHead(), reject_rate=0.3, reject_label=label)
    clf.fit(X, codes)
    predicted, rejected = clf.predict(X_test), clf.score_samples(X_test) < clf.offset_
    assert rejected.any() and not rejected.all()
    assert set(predicted[rejected].tolist()) == {-1 if label is None else label}
    assert_array_equal(predicted[~rejected], clf.estimator_.predict(X_test)[~rejected])
    assert predicted.dtype.kind in ("f" if dtype == "float32" else "iu")


def test_flags_have_no_label_for_rejected_rows(halves):
    X, y, X_test, _, _ = halves
    flags = y == y[0]
    for labels in (flags, flags.tolist(), pd.Series(flags, dtype="boolean")):
        with pytest.raises(ValueError, match="y holds flags, and a mask has no third value"):
            OpenSetClassifier(LinearDiscriminantHead()).fit(X, labels)
    clf = OpenSetClassifier(LinearDiscriminantHead(), reject_rate=0).fit(X, flags)
    assert clf.predict(X_test).dtype == bool


def test_one_row_per_class_is_judged_by_logits_alone(emoji):
    _, X, y = emoji
    clf = OpenSetClassifier(make()).fit(X[:7], y[:7])
    assert clf.scale_[1] == np.inf
    assert np.isfinite(clf.score_samples(X)).all()
    with pytest.raises(ValueError, match="No row can be judged without itself"):
        OpenSetClassifier(make(head="linear")).fit(X[:7], y[:7])


def test_experts_that_no_row_can_judge_do_not_count(emoji):
    _, X, y = emoji
    names = {label: f"qwe{i}" for i, label in enumerate(np.unique(y))}  # unknown to the models
    clf = OpenSetClassifier(make(class_names=names), reject_rate=0.3).fit(X[:7], y[:7])
    ensemble = clf.estimator_
    assert not ensemble.validated_.all()
    logits = ensemble.transform(X).reshape(84, -1, 7)[:, ensemble.validated_]
    largest = ensemble.router_.combine(X.to_numpy(), logits).max(axis=1)
    assert_allclose(clf.score_samples(X), (largest - clf.location_[0]) / clf.scale_[0], rtol=1e-3)


def test_a_logistic_regression_on_means_has_no_familiar_rows(emoji):
    _, X, y = emoji
    rows = [*range(7), *range(7, 10)]  # three classes of seven have a second row
    for estimator in (LinearDiscriminantHead(), make(head="linear")):
        with pytest.raises(ValueError, match="Label at least two rows of most classes"):
            OpenSetClassifier(estimator).fit(X.iloc[rows], y[rows])


def test_in_a_pipeline_of_pictures(emoji):
    paths, X, y = emoji
    inside = OpenSetClassifier(AdaptiveBackboneEnsemble(random_state=0))
    projected = {"features": "projected", "estimator": inside}
    clf = make_backbone_pipeline(BACKBONES, **projected).fit(paths[::2], y[::2])
    of_table = OpenSetClassifier(make()).fit(X[::2], y[::2])
    assert_allclose(clf.score_samples(paths[:5]), of_table.score_samples(X[:5]), atol=1e-2)
    assert clf.predict(paths[:5]).shape == (5,)


@pytest.mark.parametrize("make_pipe", [make_backbone_pipeline, None], ids=["ours", "sklearn"])
def test_around_a_pipeline_of_pictures(emoji, make_pipe):
    paths, X, y = emoji
    if make_pipe is None:
        pipe = make_pipeline(MultiBackboneEmbedder(BACKBONES), make())
    else:
        pipe = make_pipe(BACKBONES, features="projected", random_state=0)
    clf = OpenSetClassifier(pipe, reject_rate=0.3).fit(paths[::2], y[::2])
    of_table = OpenSetClassifier(make(), reject_rate=0.3).fit(X[::2], y[::2])
    some = paths[1:20:2].tolist()
    for method in ("score_samples", "predict_proba", "decision_function"):
        expected = getattr(of_table, method)(X[1:20:2])
        assert_allclose(getattr(clf, method)(some), expected, atol=1e-2)
    assert_array_equal(clf.predict(some), of_table.predict(X[1:20:2]))
    assert clf.n_features_in_ == 1 and not hasattr(pipe[-1], "classes_")
    with pytest.raises(ValueError, match=r"'nope.png' cannot be read"):
        clf.predict(["nope.png"])


def test_steps_that_learn_nothing_run_once_and_keep_the_blocks(emoji, monkeypatch):
    paths, X, y = emoji
    paths, X, y = paths[:42], X[:42], y[:42]
    encoded, encode = [], BaseEmbedder._encode

    def counted(self, encoder, images, rows, *args, **kwargs):
        rows = list(rows)
        encoded.extend(rows)
        return encode(self, encoder, images, iter(rows), *args, **kwargs)

    monkeypatch.setattr(BaseEmbedder, "_encode", counted)
    clf = AdaptiveBackboneEnsemble(random_state=0)
    embedder = MultiBackboneEmbedder(BACKBONES, cache=False)
    pipe = make_pipeline(FunctionTransformer(), embedder, clf)
    found, expected = find_label_issues(pipe, paths, y), find_label_issues(clf, X, y)
    assert sorted(encoded) == [*range(42)]
    assert_array_equal(found["row"], expected["row"])
    assert_allclose(found["label_quality"], expected["label_quality"], atol=1e-3)
    few = np.where(np.arange(42) < 21, y, "")
    assert_array_equal(suggest(pipe, paths, few, 3), suggest(clf, X, few, 3))
    rejects = OpenSetClassifier(pipe).fit(paths, y)
    of_table = OpenSetClassifier(clf).fit(X, y)
    assert len(rejects.estimator_.experts_) == len(of_table.estimator_.experts_) > 1
    assert_allclose(rejects.score_samples(paths), of_table.score_samples(X), atol=1e-2)


def test_steps_that_learn_nothing_may_make_any_table(emoji):
    _, X, y = emoji
    X = X.to_numpy()[:, :8].copy()
    clf = make_pipeline(FunctionTransformer(), GaussianNB())
    found, expected = (find_label_issues(one, X, y, random_state=0) for one in (clf, clf[-1]))
    assert_array_equal(found, expected)
    found, expected = (OpenSetClassifier(one, random_state=0).fit(X, y) for one in (clf, clf[-1]))
    assert_allclose(found.score_samples(X), expected.score_samples(X))
    X[3] = np.nan
    ready = make_pipeline(FunctionTransformer(), HistGradientBoostingClassifier(max_iter=2))
    assert len(find_label_issues(ready, X, y)) == len(y)


def test_groups_are_held_out_beside_images_that_cannot_be_read(emoji):
    paths, _, y = emoji
    paths, labels, groups = paths.copy(), y[:40], np.arange(40) // 2
    paths[20] = None
    clf = make_backbone_pipeline(["zoo/RN20"], estimator=LogisticRegression(), on_error="nan")
    splits = list(GroupKFold(4).split(labels, labels, groups))
    for ask in (
        lambda cv, **given: find_label_issues(clf, paths[:40], labels, cv=cv, **given),
        lambda cv, **given: (
            OpenSetClassifier(clf, cv=cv).fit(paths[:40], labels, **given).score_samples(paths)
        ),
    ):
        with pytest.warns(UserWarning, match="1 of 40 images cannot be read"):
            found, expected = ask(GroupKFold(4), groups=groups), ask(splits)
        pd.testing.assert_frame_equal(pd.DataFrame(found), pd.DataFrame(expected))


def test_images_that_cannot_be_read_are_left_out(emoji):
    """As if they had not been given; positions are those in X."""
    paths, _, y = emoji
    pipe = make_backbone_pipeline(BACKBONES, random_state=0, on_error="nan")
    broken, labels = ["no.png", *paths, "no.png"], np.array([y[0], *y, ""])
    told = pytest.warns(UserWarning, match="of .* images cannot be read and are left out: row 0")
    with told:
        found = find_label_issues(pipe, broken[:-1], labels[:-1])
    expected = find_label_issues(pipe, paths, y)
    assert_array_equal(found["row"], np.arange(85))
    assert_allclose(found["label_quality"], [np.nan, *expected["label_quality"]])
    assert found["predicted_label"].iloc[0] is None
    labels[40:] = ""
    with told:
        chosen = suggest(pipe, broken, labels, 5)
    assert_array_equal(chosen, suggest(pipe, paths, labels[1:-1], 5) + 1)
    with told:
        rejects = OpenSetClassifier(pipe).fit(broken[:40], labels[:40])
    expected = OpenSetClassifier(pipe).fit(paths[:39], y[:39])
    assert_allclose(rejects.score_samples(paths), expected.score_samples(paths))
    with pytest.warns(UserWarning, match="1 of .* images cannot be read and get None"):
        found = rejects.predict(broken[:-1])
    assert found[0] is None
    assert_array_equal(found[1:], expected.predict(paths))
    for method in ("predict_proba", "decision_function", "score_samples"):
        with pytest.warns(UserWarning, match="1 of .* images cannot be read and get NaN"):
            found = getattr(rejects, method)(broken[:-1])
        assert np.isnan(found[0]).all()
        assert_allclose(found[1:], getattr(expected, method)(paths), rtol=1e-5, atol=1e-5)
    with pytest.warns(UserWarning, match="2 of 2 images cannot be read and get None"):
        assert rejects.predict(["no.png", "none.png"]).tolist() == [None, None]
    with pytest.warns(UserWarning, match="1 of .* images cannot be read and do not count"):
        found = rejects.score(broken[:40], labels[:40], np.arange(40.0))
    assert found == expected.score(paths[:39], y[:39], np.arange(1.0, 40))
    with pytest.warns(UserWarning, match="1 of 40 images cannot be read"):
        assert suggest(pipe, ["no.png", *paths[:39]], np.array(["", *y[:39]])).tolist() == []
    splits = [(np.arange(20), np.arange(20, 40))]
    counts = pipe.set_params(adaptivebackboneensemble__cv=splits)
    for ask in (find_label_issues, lambda clf, *some: OpenSetClassifier(clf).fit(*some)):
        with told, pytest.raises(ValueError, match="__cv holds splits of all 40 rows"):
            ask(counts, broken[:40], labels[:40])


def test_what_cannot_be_compared_is_named(emoji):
    paths, X, y = emoji
    priced = pd.DataFrame({"path": paths, "price": 1.0})
    columns = ColumnTransformer([("i", MultiBackboneEmbedder(BACKBONES), ["path"])])
    inside = GridSearchCV(make_backbone_pipeline(BACKBONES), {}, cv=2)
    gap = X.copy()
    gap.iloc[5] = np.nan
    cases = [
        (make_pipeline(columns, make()), priced, r"pipeline\[:-1\].fit_transform\(X\)"),
        (make(), paths, "X holds images .* make_backbone_pipeline"),
        (inside, paths, r"from a GridSearchCV\. Give a pipeline .* best_estimator_ of a search"),
        (CascadeClassifier(BACKBONES), paths, r"from a CascadeClassifier\. Give a pipeline"),
        (make(), gap, r"NaN, first in row 5.*on_error='nan'"),
    ]
    for clf, rows, message in cases:
        with pytest.raises(ValueError, match=message):
            suggest(clf, rows, [""] * len(y))
        with pytest.raises(ValueError, match=message):
            OpenSetClassifier(clf).fit(rows, y)


def test_sparse_tables_are_refused(emoji):
    _, X, y = emoji
    X, some = csr_array(X.to_numpy()), np.where(np.arange(84) % 2, y, "")
    clf = GaussianNB()
    for call in (OpenSetClassifier(clf).fit, partial(find_label_issues, clf)):
        with pytest.raises(TypeError, match="Sparse data was passed"):
            call(X, y)
    with pytest.raises(TypeError, match="Sparse data was passed"):
        suggest(clf, X, some)


def priced(X):
    """Embeddings, and a price before them."""
    prices = np.random.default_rng(0).normal(1e4, 2e3, len(X))
    return pd.concat([pd.Series(prices, X.index, name="price"), X], axis=1)


@pytest.mark.parametrize("form", ["frame", "arrow", "array"])
def test_rows_are_compared_by_their_embeddings_alone(halves, form):
    X, y, X_test, _, _ = halves
    plain = head = LinearDiscriminantHead()
    some, others = priced(X), priced(X_test)
    if form == "array":
        blocks = {name: 1 + np.flatnonzero(X.columns.str.startswith(name)) for name in BACKBONES}
        head = AdaptiveBackboneEnsemble(blocks, head="linear", random_state=0)
        some, others = some.to_numpy(), others.to_numpy()
    elif form == "arrow":
        some, others = (pa.Table.from_pandas(one, preserve_index=False) for one in (some, others))
    beside = OpenSetClassifier(head).fit(some, y)
    assert_allclose(beside.rows_, OpenSetClassifier(plain).fit(X, y).rows_, rtol=1e-5)
    assert np.isfinite(beside.score_samples(others)).all()
    nothing = [""] * len(others)
    assert_array_equal(suggest(head, others, nothing, 5), suggest(plain, X_test, nothing, 5))


def test_a_classifier_that_stays_as_it_was_fitted_cannot_judge(emoji, flipped):
    _, X, _ = emoji
    y = flipped[0]
    frozen = FrozenEstimator(LogisticRegression(C=1000).fit(X, y))
    for estimator in (frozen, make_pipeline(StandardScaler(), frozen)):
        for ask in (find_label_issues, lambda clf, *some: OpenSetClassifier(clf).fit(*some)):
            with pytest.raises(ValueError, match=r"FrozenEstimator\(LogisticRegression\).*itself"):
                ask(estimator, X, y)
    for wrapper in (
        CalibratedClassifierCV(frozen),
        VotingClassifier([("frozen", frozen), ("fresh", LogisticRegression())], voting="soft"),
        GridSearchCV(
            make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression": [frozen]}
        ),
    ):
        with pytest.raises(ValueError, match=r"FrozenEstimator\(LogisticRegression\)"):
            find_label_issues(wrapper, X, y)
    transforms = FrozenEstimator(LinearDiscriminantAnalysis().fit(X, y))
    find_label_issues(make_pipeline(transforms, LogisticRegression()), X, y, cv=2)
    of_other_rows = AdaptiveBackboneEnsemble([("all", slice(None))], head=[frozen])
    find_label_issues(of_other_rows, X.to_numpy(), y)
    unlabeled = np.where(np.arange(84) < 60, y, "")
    assert len(suggest(frozen, X, unlabeled, 3)) == 3  # of rows without a label, it may


def test_groups_do_not_judge_each_other(emoji):
    _, X, y = emoji
    copies, y = pd.concat([X, X], ignore_index=True), np.r_[y, y]
    X = copies + 1e-5 * np.random.default_rng(0).standard_normal(copies.shape)
    groups = np.tile(np.arange(84), 2)
    clf = OpenSetClassifier(LogisticRegression(), random_state=0)
    with_near_copies, apart = clone(clf).fit(X, y), clone(clf).fit(X, y, groups=groups)
    assert with_near_copies.location_[1] == pytest.approx(1, abs=1e-5)
    assert apart.location_[1] < 0.97
    assert clone(clf).fit(copies, y).location_[1] < 0.97  # these are seen


@pytest.mark.parametrize("inside", [LogisticRegression(), LinearDiscriminantHead(), make()])
def test_rows_are_held_out_by_any_cv(emoji, inside):
    _, X, y = emoji
    splitter = StratifiedKFold(3)
    splits = list(splitter.split(X, y))
    clf = OpenSetClassifier(inside, random_state=0)
    expected, found = (clone(clf).set_params(cv=cv).fit(X, y) for cv in (splitter, splits))
    assert expected.offset_ == found.offset_ != clone(clf).fit(X, y).offset_
    assert np.isfinite(clone(clf).set_params(cv=0.3).fit(X, y).offset_)
    weights = np.r_[np.zeros(7), np.ones(len(y) - 7)]
    rest = [(train[train >= 7] - 7, test[test >= 7] - 7) for train, test in splits]
    expected = clone(clf).set_params(cv=rest).fit(X.iloc[7:], y[7:])
    found = clone(clf).set_params(cv=splits).fit(X, y, sample_weight=weights)
    assert found.offset_ == pytest.approx(expected.offset_, abs=1e-4)


def test_splits_count_the_images_that_cannot_be_read(emoji):
    paths, _, y = emoji
    broken = [*paths[:20], None, *paths[20:]]
    labels = np.r_[y[:20], y[:1], y[20:]]
    clf = make_backbone_pipeline(["zoo/RN20"], estimator=LogisticRegression(), on_error="nan")
    splits = list(StratifiedKFold(3).split(labels, labels))
    kept = [tuple(s[s != 20] - (s[s != 20] > 20) for s in fold) for fold in splits]
    expected = OpenSetClassifier(clf, cv=kept).fit(paths, y)
    with pytest.warns(UserWarning, match="1 of 85 images cannot be read"):
        found = OpenSetClassifier(clf, cv=splits).fit(broken, labels)
    assert found.offset_ == pytest.approx(expected.offset_, abs=1e-4)


@pytest.mark.parametrize("rate", [0.03, 0.2, 0.9])
def test_a_row_of_weight_two_is_as_familiar_as_two_copies(emoji, rate):
    _, X, y = emoji
    weights = np.random.default_rng(0).integers(0, 4, size=len(y))
    copies = np.repeat(np.arange(len(y)), weights)
    # Its logits do not depend on the rows, and so not on folds.
    inside = make(head="zero-shot", router="uniform", calibrate=False)
    clf = OpenSetClassifier(inside, reject_rate=rate)
    weighted = clone(clf).fit(X, y, sample_weight=weights)
    repeated = clone(clf).fit(X.iloc[copies], y[copies])
    for name in ("location_", "scale_", "offset_"):
        assert_allclose(getattr(weighted, name), getattr(repeated, name), atol=1e-5)
    assert_allclose(weighted.score_samples(X), repeated.score_samples(X), atol=1e-4)
    assert_array_equal(weighted.predict(X), repeated.predict(X))
    shares = clone(clf).fit(X, y, sample_weight=weights / weights.sum())
    assert shares.offset_ == pytest.approx(weighted.offset_, abs=0.1)
    assert len(shares.rows_) == np.count_nonzero(weights)


@parametrize_with_checks(
    [
        OpenSetClassifier(LinearDiscriminantHead(), reject_rate=0),
        OpenSetClassifier(GaussianNB(), reject_rate=0),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_a_class_without_weight_is_told_of_any_classifier(emoji):
    _, X, y = emoji
    weights = (y != y[0]).astype(float)
    with pytest.warns(UserWarning, match=f"No row of '{y[0]}' has a weight above zero"):
        OpenSetClassifier(GaussianNB(), random_state=0).fit(X, y, sample_weight=weights)


def test_prompts_judge_one_row_of_each_class_with_a_splitter():
    paths, y = (part.ravel() for part in some_of_each(12, 1))
    embedder = MultiBackboneEmbedder("zoo/RN20").set_output(transform="pandas")
    X = embedder.fit_transform(paths)
    cv = KFold(3, shuffle=True, random_state=0)
    issues = find_label_issues(AdaptiveBackboneEnsemble(random_state=0), X, y, cv=cv)
    assert len(issues) == len(y) and issues.notna().all(axis=None)
    clf = OpenSetClassifier(AdaptiveBackboneEnsemble(random_state=0), cv=cv).fit(X, y)
    assert np.mean(clf.predict(X) == y) > 0.5


@pytest.mark.parametrize(
    ("C", "message"), [(0.01, "labels, as by chance"), (1000.0, "cannot tell the classes apart")]
)
def test_labels_in_another_order_say_that_nothing_is_known(emoji, C, message):
    _, X, y = emoji
    shuffled = np.random.default_rng(0).permutation(y)
    (text,) = said(lambda: find_label_issues(LogisticRegression(C=C), X, shuffled, random_state=0))
    assert message in text
    assert not said(lambda: find_label_issues(LogisticRegression(C=C), X, y, random_state=0))


def test_probabilities_of_zero_or_one_are_doubted(emoji, flipped):
    _, X, y = emoji
    (text,) = said(lambda: find_label_issues(KNeighborsClassifier(1), X, y, random_state=0))
    assert re.match(r"The classifier gives \d+ of \d+ labels a probability of 0, and most", text)
    apart, few = load_iris(return_X_y=True)
    few[[3, 70]] = few[[70, 3]]  # found, and no reason to doubt the classifier
    for clf in (KNeighborsClassifier(5), RandomForestClassifier(random_state=0)):
        for table, labels in ((X, y), (apart, few)):
            assert not said(partial(find_label_issues, clf, table, labels, random_state=0))
    # Many zeros, but most rows have several possible classes.
    uncertain = partial(find_label_issues, KNeighborsClassifier(3), X, flipped[0])
    assert not said(partial(uncertain, random_state=0))


def test_predictions_of_a_frequent_class_are_better_than_chance():
    """Nearly all are right by chance, but not those of the rare class."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        y = np.repeat([0, 1], [190, 10])
        X = rng.normal(size=(200, 5)) + 1.2 * y[:, None]
        clf = LogisticRegression()
        assert not any("by chance" in one for one in said(find_label_issues, clf, X, y))
        shuffled = rng.permutation(y)
        assert any("by chance" in one for one in said(find_label_issues, clf, X, shuffled))

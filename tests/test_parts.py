"""Fits and predictions over rows that come in parts: in calls, in files and in processes."""

import os
import pickle
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from _said import said
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skclipens import (
    AdaptiveBackboneEnsemble,
    CascadeClassifier,
    CascadeEnsemble,
    ImageError,
    KernelHead,
    LinearDiscriminantHead,
    MultiBackboneEmbedder,
    ResidualHead,
    make_backbone_pipeline,
)
from skclipens._utils._folds import limit_validation_rows
from skclipens.datasets import load_emoji
from skclipens.ensemble import _plan
from skclipens.exceptions import SuspectedMistakeWarning
from skclipens.heads import _shrinkage
from skclipens.labels import OpenSetClassifier
from skclipens.utils import skops_trusted_types

pytest.importorskip("pyarrow")

from skclipens.embedding import predict_embeddings, read_embeddings

pytestmark = pytest.mark.usefixtures("embedded_once")

BACKBONES = ["zoo/RN20", "zoo/ViT-16"]
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def assert_same(head, other, **close):
    assert head.shrinkage_ == other.shrinkage_
    assert_array_equal(head.classes_, other.classes_)
    for name in ("coef_", "intercept_"):
        found, expected = getattr(head, name), getattr(other, name)
        assert found.dtype == expected.dtype
        close = {"rtol": 1e-5, "atol": 5e-5 * np.abs(expected).max(), **close}
        assert_allclose(found, expected, **close)


def fit_in_parts(head, X, y, bounds, weights=None):
    for a, b in zip([0, *bounds], [*bounds, len(X)], strict=True):
        of_part = None if weights is None else weights[a:b]
        head.partial_fit(X[a:b], y[a:b], np.unique(y), sample_weight=of_part)
    return head


# Calls


@given(
    bounds=st.lists(st.integers(1, 149), max_size=5, unique=True).map(sorted),
    weights=st.sampled_from([None, "some", "some are zero"]),
    shrinkage=st.sampled_from([0.01, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_fit_in_parts_is_the_fit_of_all(bounds, weights, shrinkage, seed):
    rng = np.random.default_rng(seed)
    X, y = load_iris(return_X_y=True)
    order = rng.permutation(len(X)) if seed % 2 else np.arange(len(X))  # sorted by class
    X, y = X[order], y[order]
    if weights is not None:
        weights = rng.random(len(X)) * (rng.random(len(X)) > 0.3 * (weights != "some"))
    head = fit_in_parts(LinearDiscriminantHead(shrinkage=shrinkage), X, y, bounds, weights)
    expected = LinearDiscriminantHead(shrinkage=shrinkage).fit(X, y, sample_weight=weights)
    assert_same(head, expected, rtol=1e-8, atol=1e-8)


def test_single_precision_far_from_zero_loses_no_digits():
    X, y = load_iris(return_X_y=True)
    X = (X + 1000).astype(np.float32)
    head = fit_in_parts(LinearDiscriminantHead(), X, y, [40, 90])
    expected = LinearDiscriminantHead(shrinkage=1.0).fit(X.astype(float), y)
    assert head.coef_.dtype == np.float32
    assert_allclose(head.coef_, expected.coef_, rtol=1e-4)


def test_coefficients_follow_each_call_and_survive_a_pickle():
    X, y = load_iris(return_X_y=True)
    head = LinearDiscriminantHead()
    assert not hasattr(head, "coef_")
    head.partial_fit(X[::2], y[::2], [0, 1, 2])
    half = head.coef_
    head = pickle.loads(pickle.dumps(head)).partial_fit(X[1::2], y[1::2])
    assert not np.allclose(head.coef_, half)
    assert_same(head, LinearDiscriminantHead(shrinkage=1.0).fit(X, y))


def test_parameters_that_change_after_a_fit_are_those_of_the_next_one():
    X, y = load_wine(return_X_y=True)
    head = LinearDiscriminantHead().partial_fit(X, y, [0, 1, 2])
    expected = LinearDiscriminantHead().partial_fit(X, y, [0, 1, 2]).predict_proba(X)
    assert_allclose(head.set_params(rescale=[[12]]).predict_proba(X), expected)


def test_weights_that_sum_to_one_count_as_in_fit():
    X, y = load_iris(return_X_y=True)
    weights = np.full(len(y), 1 / len(y))
    head = LinearDiscriminantHead().partial_fit(X, y, [0, 1, 2], sample_weight=weights)
    assert_same(head, LinearDiscriminantHead(shrinkage=1.0).fit(X, y, sample_weight=weights))


def test_a_file_of_skops_keeps_the_sums():
    skops_io = pytest.importorskip("skops.io")
    X, y = load_iris(return_X_y=True)
    head = LinearDiscriminantHead().partial_fit(X[::2], y[::2], [0, 1, 2])
    head = skops_io.loads(skops_io.dumps(head), trusted=skops_trusted_types())
    head.partial_fit(X[1::2], y[1::2])
    assert_same(head, LinearDiscriminantHead(shrinkage=1.0).fit(X, y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shrinkage", ["auto", 1e-3])
def test_a_class_without_rows_is_never_predicted(dtype, shrinkage):
    """Of many columns, logits of all others may be below the logarithm of next to no prior."""
    rng = np.random.default_rng(0)
    X, new = rng.standard_normal((2, 60, 400)).astype(dtype)
    y, every = 1 + np.arange(60) % 3, np.arange(6)
    head = LinearDiscriminantHead(shrinkage=shrinkage).partial_fit(X, y, every)
    assert head.coef_.shape == (6, 400)
    if shrinkage != "auto":
        assert head.decision_function(new)[:, 1:4].max(axis=1).min() < np.log(np.finfo(dtype).tiny)
    expected = LinearDiscriminantHead(shrinkage=head.shrinkage_).fit(X, y)
    assert_array_equal(head.predict(new), expected.predict(new))
    proba = expected.predict_proba(new)
    assert_allclose(head.predict_proba(new)[:, 1:4], proba, rtol=1e-3, atol=1e-3)
    table, labels = np.append(X, new[:3], axis=0), np.append(y, [0, 4, 5])
    weighted = LinearDiscriminantHead(shrinkage=head.shrinkage_)
    weighted.fit(table, labels, sample_weight=np.repeat([1, 0], [60, 3]))
    assert_array_equal(weighted.predict(new), expected.predict(new))


def test_what_a_part_cannot_be():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="classes must be passed"):
        LinearDiscriminantHead().partial_fit(X, y)
    head = LinearDiscriminantHead().partial_fit(X[:50], y[:50], [0, 1])
    with pytest.raises(ValueError, match="Label 2 of y, in row 50, is none of the 2 classes"):
        head.partial_fit(X[50:], y[50:])
    with pytest.raises(ValueError, match="3 features"):
        head.partial_fit(X[:50, :3], y[:50])
    with pytest.raises(ValueError, match="At least two classes"):
        LinearDiscriminantHead().partial_fit(X[:50], y[:50], [0])
    head = LinearDiscriminantHead().partial_fit(X, y, [0, 1, 2], sample_weight=np.zeros(150))
    with pytest.raises(NotFittedError, match="no row with a weight"):
        head.predict(X)
    assert_array_equal(head.partial_fit(X, y).classes_[head.predict(X[:1])], y[:1])


def test_after_fit_it_starts_anew_and_says_so():
    X, y = load_iris(return_X_y=True)
    head = LinearDiscriminantHead(shrinkage=1.0).fit(X, y)
    some = y < 2
    with pytest.warns(UserWarning, match="starts anew") as caught:
        head.partial_fit(X[some], y[some], [0, 1])
    assert caught[0].filename == __file__
    assert_same(head, LinearDiscriminantHead(shrinkage=1.0).fit(X[some], y[some]))


# Files


@pytest.fixture(scope="module")
def emoji():
    emoji = load_emoji(min_class_size=40)
    return emoji.filenames, emoji.target_names[emoji.target]


@pytest.fixture(scope="module")
def folder(emoji, tmp_path_factory):
    folder = tmp_path_factory.mktemp("table") / "embeddings"
    MultiBackboneEmbedder(BACKBONES).embed_to(folder, emoji[0], chunk_size=30)
    return folder


@pytest.fixture(scope="module")
def table(folder, emoji):
    return read_embeddings(folder), emoji[1]


def test_some_rows_are_read_in_the_order_that_is_asked_for(folder, table):
    X, _ = table
    rows = np.random.default_rng(0).permutation(len(X))[:50]
    pd.testing.assert_frame_equal(read_embeddings(folder, rows=rows), X.iloc[rows])
    mask = np.isin(np.arange(len(X)), rows)
    pd.testing.assert_frame_equal(read_embeddings(folder, rows=mask), X[mask])
    with pytest.raises(ValueError, match=r"all 0 or 1, as a mask.* has the type bool"):
        read_embeddings(folder, rows=np.asarray(mask).astype(int))
    assert read_embeddings(folder, rows=[]).shape == (0, X.shape[1])
    with pytest.raises(ValueError, match=f"has {len(X)}, but there are only"):
        read_embeddings(folder, rows=[len(X)])
    for wrong in ([-1], [0.5], mask[1:], [[0]]):
        with pytest.raises(ValueError, match="positions from 0 on, or a mask"):
            read_embeddings(folder, rows=wrong)


@pytest.mark.parametrize("max_rows", [5_000, 100])
@pytest.mark.parametrize("shrinkage", ["auto", 0.1, 1e-6])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_over_files_is_the_fit_in_memory(folder, table, max_rows, shrinkage, weighted):
    X, y = table
    weights = np.random.default_rng(0).random(len(X)) if weighted else None
    head = LinearDiscriminantHead(shrinkage=shrinkage)
    with limit_validation_rows(max_rows):
        found = clone(head).fit_from(folder, y, sample_weight=weights)
        assert_same(found, clone(head).fit(X, y, sample_weight=weights))
    assert_array_equal(found.feature_names_in_, X.columns)
    assert len(pickle.dumps(found)) < 2 * found.coef_.nbytes  # no sums


def test_a_fit_over_files_of_few_columns(folder, table, monkeypatch):
    X, y = table
    monkeypatch.setattr(_shrinkage, "WIDE", 10_000)
    found = LinearDiscriminantHead().fit_from(folder, y)
    assert_same(found, LinearDiscriminantHead().fit(X, y))


def test_another_fit_forgets_of_which_files_the_first_was(folder, table, emoji, tmp_path):
    X, y = table
    head = LinearDiscriminantHead().fit_from(folder, y)
    other = MultiBackboneEmbedder(BACKBONES, normalize=False)
    other.embed_to(tmp_path / "other", emoji[0][:30])
    with pytest.raises(ValueError, match="made otherwise"):
        predict_embeddings(head, tmp_path / "other")
    with pytest.warns(UserWarning, match="starts anew"):
        head.partial_fit(read_embeddings(tmp_path / "other"), y[:30])
    assert len(predict_embeddings(head, tmp_path / "other")) == 30


def test_rows_that_weigh_nothing_are_as_if_not_there(folder, table):
    X, y = table
    some = np.arange(len(X)) >= 40  # of whole parts, too
    found = LinearDiscriminantHead().fit_from(folder, y, sample_weight=some)
    assert_same(found, LinearDiscriminantHead().fit(X[some], y[some]))


@pytest.mark.parametrize(
    "clf",
    [LinearDiscriminantHead(), AdaptiveBackboneEnsemble(head=["linear", "residual"])],
    ids=str,
)
def test_weights_of_another_mean_are_doubted_over_files_as_in_memory(folder, table, clf):
    X, y = table
    options = {"y": y, "sample_weight": np.full(len(y), 0.02)}
    doubts = [
        [text for text in said(partial(fit, given, **options)) if "mean of the weights" in text]
        for fit, given in [(clone(clf).fit, X), (clone(clf).fit_from, folder)]
    ]
    assert doubts[0] == doubts[1] and len(doubts[0]) == 1


def test_threads_share_a_fit_over_some_columns(folder, table):
    X, y = table
    with joblib.parallel_config("threading", n_jobs=2):
        found = LinearDiscriminantHead().fit_from(folder, y, backbones="zoo/ViT-16")
    expected = LinearDiscriminantHead().fit(X.filter(like="ViT"), y)
    assert_same(found, expected)
    labels = predict_embeddings(found, folder)["label"]
    assert_array_equal(labels, expected.predict(X.filter(like="ViT")))


def test_predictions_over_files_are_those_in_memory(folder, table, tmp_path):
    X, y = table
    named = LogisticRegression(max_iter=50).fit(X.filter(like="RN20"), y)
    nameless = LogisticRegression(max_iter=50).fit(X.to_numpy(), y)
    for i, (classifier, known) in enumerate([(named, X.filter(like="RN20")), (nameless, X)]):
        known = known if classifier is named else known.to_numpy()
        expected = classifier.predict_proba(known)
        found = predict_embeddings(classifier, folder, out_folder=tmp_path / str(i))
        assert_array_equal(found["label"], classifier.predict(known))
        assert_allclose(found["probability"], expected.max(axis=1), **CLOSE)
        assert_array_equal(found.index, X.index)
        kept = pd.read_parquet(tmp_path / str(i))
        assert_array_equal(kept.columns, classifier.classes_)
        assert_array_equal(kept.index, X.index)
        assert_allclose(kept, expected, **CLOSE)
    with pytest.raises(ValueError, match="has files, such as 'part-000000"):
        predict_embeddings(named, folder, out_folder=tmp_path / "0")
    other = LogisticRegression().fit(pd.DataFrame({"a": [0, 1]}), [0, 1])
    with pytest.raises(ValueError, match=r"lacks 1 of 1 columns, such as 'a'\.$"):
        predict_embeddings(other, folder)
    frame = pd.DataFrame({"zoo/RN20@pooled__0": [0, 1]})
    with pytest.raises(ValueError, match=r"@pooled__0'. Embed with .*clf\[0\].embed_to\("):
        predict_embeddings(LogisticRegression().fit(frame, [0, 1]), folder)
    pipe = make_pipeline(MultiBackboneEmbedder(BACKBONES), nameless)
    with pytest.raises(ValueError, match=r"pass what reads them, classifier\[-1\]"):
        predict_embeddings(pipe, folder)
    of_images = CascadeClassifier(BACKBONES, thresholds=0.5)
    emoji = load_emoji()
    of_images.fit(emoji.filenames[:60:3], emoji.target_names[emoji.target[:60:3]])
    advice = r"Fit it on a frame, .*\. If it embeds .* CascadeEnsemble in place of a CascadeClassif"
    for of_one in (of_images, LogisticRegression().fit([[0], [1]], [0, 1])):
        with pytest.raises(ValueError, match=advice):
            predict_embeddings(of_one, folder)


@pytest.mark.parametrize("cls", [AdaptiveBackboneEnsemble, CascadeEnsemble])
def test_files_whose_blocks_stand_in_another_order_than_the_array_of_fit(cls, folder, table):
    X, y = table
    blocks = BACKBONES[::-1]
    array = np.hstack([X.filter(like=name) for name in blocks])
    clf = cls(blocks, cv=2, random_state=0).fit(array, y)
    with pytest.raises(ValueError, match="'zoo/ViT-16' of X has the column 'zoo/RN20__0'"):
        predict_embeddings(clf, folder)
    columns = slice(128), slice(128, 256)
    head = KernelHead(list(zip(blocks, columns, strict=True))).fit(array, y)
    with pytest.raises(ValueError, match="'zoo/ViT-16' of X has the column 'zoo/RN20__0'"):
        predict_embeddings(head, folder)
    one = AdaptiveBackboneEnsemble(blocks[0], cv=2, random_state=0).fit(array[:, :128], y)
    with pytest.raises(ValueError, match="has 256 columns, and classifier was fitted on 128 with"):
        predict_embeddings(one, folder)


def test_labels_over_files_are_those_that_the_classifier_predicts(folder, table, tmp_path):
    X, y = table
    known = y < "person"
    rejects = OpenSetClassifier(LogisticRegression(max_iter=50), reject_rate=0.2)
    with_threshold = FixedThresholdClassifier(LinearDiscriminantHead(), threshold=0.999)
    for classifier in (rejects.fit(X[known], y[known]), with_threshold.fit(X, known)):
        found = predict_embeddings(classifier, folder)
        expected, proba = classifier.predict(X), classifier.predict_proba(X)
        assert_array_equal(found["label"], expected)
        assert (expected != classifier.classes_[proba.argmax(axis=1)]).any()
        assert_allclose(found["probability"], proba.max(axis=1), **CLOSE)
    without = LinearSVC().fit(X, y)
    found = predict_embeddings(without, folder)
    assert_array_equal(found["label"], without.predict(X))
    assert list(found.columns) == ["label"]
    with pytest.raises(ValueError, match="out_folder is for probabilities, and LinearSVC has none"):
        predict_embeddings(without, folder, out_folder=tmp_path / "to")
    with pytest.raises(ValueError, match="Ridge predicts no labels"):
        predict_embeddings(Ridge().fit(X, known), folder)
    tags = np.stack([known, ~known], axis=1).astype(int)
    for several in (
        KNeighborsClassifier(),
        OneVsRestClassifier(LogisticRegression()),
        RidgeClassifier(),
        make_pipeline(StandardScaler(), OneVsRestClassifier(LinearSVC())),
    ):
        with pytest.raises(ValueError, match="predicts several labels for each row"):
            predict_embeddings(several.fit(X, tags), folder)


def assert_same_ensemble(found, expected, X):
    assert_array_equal(found.expert_names_, expected.expert_names_)
    assert_array_equal(found.classes_, expected.classes_)
    assert_array_equal(found.validated_, expected.validated_)
    assert_array_equal(found.feature_names_in_, X.columns)
    assert_allclose(found.temperatures_, expected.temperatures_, rtol=1e-2)
    proba, of_experts = expected.predict_proba(X), expected.expert_proba(X)
    assert_allclose(found.predict_proba(X), proba, rtol=1e-3, atol=1e-3)
    assert_allclose(found.expert_proba(X), of_experts, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "max_rows, parameters",
    [
        (5_000, {}),
        (100, {}),
        (5_000, {"head": ["zero-shot", "linear", "kernel", "kernel-all"], "router": "static"}),
        (100, {"head": LinearDiscriminantHead(shrinkage=0.1), "router": "super-learner"}),
        (100, {"head": ["residual", "linear-all"], "router": "uniform", "calibrate": False}),
        (100, {"head": [ResidualHead(alpha=1e-8)], "router": "uniform", "calibrate": False}),
        (5_000, {"class_weight": "balanced"}),
    ],
)
def test_an_ensemble_over_files_is_the_one_in_memory(folder, table, max_rows, parameters):
    X, y = table
    clf = AdaptiveBackboneEnsemble(random_state=0, **parameters)
    with limit_validation_rows(max_rows):
        found, expected = clone(clf).fit_from(folder, y), clone(clf).fit(X, y)
    assert_same_ensemble(found, expected, X)
    assert_array_equal(predict_embeddings(found, folder)["label"], expected.predict(X))


@pytest.fixture(scope="module")
def halves(table):
    """Two classes that are about as frequent, each with more rows than columns of a backbone."""
    return np.where(np.isin(table[1], np.unique(table[1])[::2]), "one", "other")


@pytest.mark.parametrize(
    ("parameters", "n_without_weight", "name"),
    [
        ({}, None, "zoo/RN20:logistic"),
        ({}, 3, "zoo/RN20:logistic"),
        ({}, 10, "zoo/RN20:linear"),  # fewer than three rows for each of 128 columns are left
        ({"head": ["zero-shot", "logistic"], "class_weight": "balanced"}, None, None),
    ],
)
def test_an_ensemble_over_files_of_many_rows(
    folder, table, halves, parameters, n_without_weight, name
):
    X, y = table[0].loc[:, table[0].columns.str.startswith("zoo/RN20__")], halves
    weights = None
    if n_without_weight:
        weights = np.random.default_rng(0).uniform(0.5, 1.5, len(y))
        weights[:n_without_weight] = 0
    clf = AdaptiveBackboneEnsemble(random_state=0, **parameters)
    with limit_validation_rows(100):
        found = clone(clf).fit_from(folder, y, backbones=["zoo/RN20"], sample_weight=weights)
        expected = clone(clf).fit(X, y, sample_weight=weights)
    assert name is None or found.expert_names_[-1] == name
    heads = [clf.experts_[-1].head for clf in (found, expected)]
    assert heads[0].shrinkage_ == heads[1].shrinkage_
    assert getattr(heads[0], "C_", None) == getattr(heads[1], "C_", None)
    assert_same_ensemble(found, expected, X)


def test_all_rows_of_files_are_kept_only_if_they_fit_in_memory(folder, halves, monkeypatch):
    y, clf = halves, AdaptiveBackboneEnsemble(random_state=0)
    monkeypatch.setattr(_plan, "_MAX_VALUES_OF_FILES", len(y) * 128)
    assert clf.fit_from(folder, y, backbones="zoo/RN20").expert_names_[-1] == "zoo/RN20:logistic"
    monkeypatch.setattr(_plan, "_MAX_VALUES_OF_FILES", len(y) * 128 - 1)
    assert clf.fit_from(folder, y, backbones="zoo/RN20").expert_names_[-1] == "zoo/RN20:linear"


@pytest.mark.parametrize("n_rows", [1, 2])
def test_an_ensemble_over_files_of_few_rows_for_each_class(folder, table, n_rows):
    X, y = table
    some = pd.Series(y).groupby(y).cumcount().to_numpy() < n_rows
    weights = some * np.random.default_rng(0).uniform(0.5, 2, len(y))
    clf = AdaptiveBackboneEnsemble(random_state=0)
    found = clone(clf).fit_from(folder, y, sample_weight=weights)
    assert_same_ensemble(found, clone(clf).fit(X[some], y[some], sample_weight=weights[some]), X)


def test_a_class_without_weight_is_none_of_an_ensemble_over_files(folder, table):
    X, y = table
    some = y != y[0]
    clf = AdaptiveBackboneEnsemble(random_state=0)
    found = clone(clf)
    with pytest.warns(SuspectedMistakeWarning, match=f"No row of '{y[0]}' has a weight above zero"):
        found.fit_from(folder, y, sample_weight=some)
    assert_same_ensemble(found, clone(clf).fit(X[some], y[some]), X)


def test_labels_over_files_that_belong_to_another_row_from_some_row_on(tmp_path, emoji):
    order = np.random.default_rng(0).permutation(len(emoji[1]))
    paths, y = emoji[0][order], emoji[1][order]
    MultiBackboneEmbedder(BACKBONES).embed_to(tmp_path, paths)
    y = np.r_[y[:150], y[151:], y[:1]]  # a line is lost in the file of labels
    clf = AdaptiveBackboneEnsemble(random_state=0)
    (of_fit,) = (one for one in said(clf.fit, read_embeddings(tmp_path), y) if "row" in one)
    assert "each label seems to belong to the next row" in of_fit
    assert of_fit in said(clf.fit_from, tmp_path, y)


def test_labels_over_files_that_names_of_files_contradict(tmp_path, emoji):
    folders = tmp_path / "pictures"
    for n, (path, label) in enumerate(zip(emoji[0][::8], emoji[1][::8], strict=True)):
        (folders / str(label)).mkdir(parents=True, exist_ok=True)
        (folders / str(label) / f"{n}.png").write_bytes(Path(path).read_bytes())
    paths = sorted(map(str, folders.glob("*/*")))
    y = np.roll([Path(path).parent.name for path in paths], 5)
    MultiBackboneEmbedder("zoo/RN20").embed_to(tmp_path / "out", paths)
    told = said(AdaptiveBackboneEnsemble(random_state=0).fit_from, tmp_path / "out", y)
    assert any("names of files say another class than y" in one for one in told)


def test_labels_over_files_of_two_joined_tables_of_which_one_is_in_another_order(tmp_path, emoji):
    order = np.random.default_rng(0).permutation(len(emoji[1]))
    paths, y = emoji[0][order], emoji[1][order]
    MultiBackboneEmbedder(BACKBONES).embed_to(tmp_path, paths)
    y[150:] = np.random.default_rng(0).permutation(y[150:])
    clf = AdaptiveBackboneEnsemble(random_state=0)
    (of_fit,) = (one for one in said(clf.fit, read_embeddings(tmp_path), y) if "chance" in one)
    assert of_fit.startswith("From about row 1") and of_fit in said(clf.fit_from, tmp_path, y)


def test_rows_without_a_label_are_none_of_an_ensemble_over_files(folder, table):
    X, y = table
    some, weights = np.arange(len(y)) % 3 > 0, 1 + np.arange(len(y)) % 2
    for none, sample_weight in ((None, None), ("", weights)):
        labels = np.where(some, y, none)
        clf = AdaptiveBackboneEnsemble(unlabeled="ignore", random_state=0)
        found = clone(clf).fit_from(folder, labels, sample_weight=sample_weight)
        assert_same_ensemble(found, clone(clf).fit(X, labels, sample_weight=sample_weight), X)
        with pytest.raises(ValueError, match=f"no label for {np.sum(~some)} of {len(y)} rows"):
            clf.set_params(unlabeled="error").fit_from(folder, labels)


def test_a_class_that_may_stand_for_no_label_is_doubted_over_files_as_in_memory(folder, table):
    X, y = table
    labels = np.where(np.arange(len(y)) % 3, y, "unknown")
    clf = AdaptiveBackboneEnsemble(head="linear", unlabeled="ignore", random_state=0)
    for fit in (partial(clf.fit, X), partial(clf.fit_from, folder)):
        (doubt,) = said(fit, labels)
        assert doubt.startswith("No row lacks a label, as unlabeled='ignore' expects. y has the cl")


def test_frozen_heads_in_an_ensemble_over_files(folder, table):
    X, y = table
    frozen = FrozenEstimator(LogisticRegression(max_iter=50).fit(X.filter(like="RN20"), y))
    heads = ["zero-shot", ("rn", frozen, "zoo/RN20")]
    clf = AdaptiveBackboneEnsemble(head=heads, random_state=0)
    assert_same_ensemble(clone(clf).fit_from(folder, y), clone(clf).fit(X, y), X)


def test_threads_share_an_ensemble_over_the_files_of_one_backbone(folder, table):
    X, y = table
    X = X.filter(like="ViT")
    clf = AdaptiveBackboneEnsemble(random_state=0)
    with joblib.parallel_config("threading", n_jobs=2):
        found = clone(clf).fit_from(folder, y, backbones="zoo/ViT-16")
    assert_same_ensemble(found, clone(clf).fit(X, y), X)


def test_what_an_ensemble_cannot_do_over_files(folder, table):
    _, y = table
    for parameters, what in (
        ({"head": "tip-adapter"}, "TipAdapterHead, the head of 'zoo/RN20', needs all rows"),
        ({"head": LinearDiscriminantHead(cv=3)}, "The cv of 'zoo/RN20' needs all rows in memory"),
        ({"cv": 0.1}, "cv needs all rows in memory, unless it is an int"),
        ({"unlabeled": "use"}, "unlabeled='use' needs all rows in memory"),
        (
            {"blocks": "zoo/RN20"},
            r"X has columns of zoo/RN20, zoo/ViT-16\..* \(in fit_from: backbones=\['zoo/RN20'\]\)",
        ),
    ):
        with pytest.raises(ValueError, match=what):
            AdaptiveBackboneEnsemble(**parameters).fit_from(folder, y)
    AdaptiveBackboneEnsemble("zoo/RN20").fit_from(folder, y, backbones=["zoo/RN20"])
    labels = y.astype(object)
    labels[-1] = labels[-1].upper()
    with pytest.warns(UserWarning) as caught:
        AdaptiveBackboneEnsemble().fit_from(folder, labels)
    told = [str(one.message) for one in caught]
    assert any("differ only in case" in one for one in told)
    assert len(told) == 2 and ", ".join(map(repr, BACKBONES)) in told[1]  # whose texts are one
    clf = AdaptiveBackboneEnsemble(class_names=dict.fromkeys(y, "thing"))
    with pytest.warns(UserWarning, match="are both called 'thing'") as caught:
        clf.fit_from(folder, y)
    assert caught[0].filename == __file__


def test_a_frozen_head_on_the_columns_of_another_block_is_refused(folder, table):
    X, y = table
    head = LinearDiscriminantHead().fit_from(folder, y, backbones="zoo/RN20")
    clf = AdaptiveBackboneEnsemble(head=[("rn", FrozenEstimator(head), "zoo/ViT-16")])
    with pytest.raises(ValueError, match="'zoo/RN20__0' where the block has 'zoo/ViT-16__0'"):
        clf.fit(X, y)


def test_images_that_cannot_be_read_are_left_out(tmp_path, emoji):
    files, y = [*map(str, emoji[0][::10]), str(tmp_path / "nothing.png")], emoji[1][::10]
    embedder = MultiBackboneEmbedder(BACKBONES, on_error="nan")
    embedder.embed_to(tmp_path / "table", files, chunk_size=10)
    with pytest.warns(UserWarning, match=f"1 of {len(files)} images cannot be read") as caught:
        head = LinearDiscriminantHead().fit_from(tmp_path / "table", [*y, y[0]])
    assert caught[0].filename == __file__
    X = read_embeddings(tmp_path / "table")[:-1]
    assert_same(head, LinearDiscriminantHead().fit(X, y))
    for fitted in (LinearDiscriminantHead(), AdaptiveBackboneEnsemble()):
        with pytest.warns(UserWarning, match="No other image shows 'owl', of which nothing"):
            fitted.fit_from(tmp_path / "table", [*y, "owl"])
    found = predict_embeddings(head, tmp_path / "table", out_folder=tmp_path / "proba")
    assert found.iloc[-1].isna().all()
    assert_array_equal(found["label"][:-1], head.predict(X))
    assert np.isnan(pd.read_parquet(tmp_path / "proba").iloc[-1]).all()
    clf = AdaptiveBackboneEnsemble(random_state=0)
    with pytest.warns(UserWarning, match=f"1 of {len(files)} images cannot be read") as caught:
        found = clone(clf).fit_from(tmp_path / "table", [*y, "seen by no one"])
    assert caught[0].filename == __file__
    assert "seen by no one" in found.classes_
    with pytest.warns(UserWarning, match="cannot be read"):
        found = clone(clf).fit_from(tmp_path / "table", [*y, y[0]])
    assert_same_ensemble(found, clone(clf).fit(X, y), X)
    weights = [0.0] * len(y) + [1.0]
    with pytest.raises(ImageError, match="None of the images whose sample_weight is not zero"):
        LinearDiscriminantHead().fit_from(tmp_path / "table", [*y, y[0]], sample_weight=weights)
    embedder.embed_to(tmp_path / "none", files[-1:] * 3)
    with pytest.raises(ImageError, match="None of the 3 images"):
        LinearDiscriminantHead().fit_from(tmp_path / "none", [0, 1, 1])


@pytest.mark.parametrize("chunk_size", [5, 100])
@pytest.mark.parametrize("clf", [LinearDiscriminantHead(), AdaptiveBackboneEnsemble(BACKBONES)])
def test_files_with_two_rows_are_named(tmp_path, emoji, clf, chunk_size):
    order = np.random.default_rng(0).permutation(len(emoji[1]))[:60]
    rows = [*order, order[2], order[30]]
    MultiBackboneEmbedder(BACKBONES).embed_to(tmp_path, emoji[0][rows], chunk_size=chunk_size)
    (text,) = (one for one in said(clf.fit_from, tmp_path, emoji[1][rows]) if "earlier" in one)
    assert text.startswith("2 of 62 rows are of a file that has an earlier row, such as row 60, w")
    assert "has that of row 2. " in text
    weights = np.repeat([1.0, 0.0], [60, 2])
    texts = said(partial(clf.fit_from, tmp_path, emoji[1][rows], sample_weight=weights))
    assert not [one for one in texts if "earlier" in one]


def test_labels_and_weights_that_are_named_after_other_images(folder, table):
    X, y = table
    y = pd.Series(y, X.index)
    expected = LinearDiscriminantHead().fit_from(folder, y)  # in the order of the images
    assert_same(LinearDiscriminantHead().fit_from(folder, y.to_numpy()), expected)
    other = y[::-1]
    with pytest.raises(ValueError, match=r"y is indexed by '.*' in row 0, where the table has"):
        LinearDiscriminantHead().fit_from(folder, other)
    with pytest.raises(ValueError, match="sample_weight is indexed by"):
        AdaptiveBackboneEnsemble().fit_from(
            folder, y, sample_weight=pd.Series(1.0, index=other.index)
        )
    with pytest.raises(ValueError, match="rows has an index of its own"):
        read_embeddings(folder, rows=other == "mammal")
    assert read_embeddings(folder, rows=pd.Series([3, 1], [7, 9])).shape == (2, X.shape[1])
    short = y.set_axis(["/".join(name.split("/")[-2:]) for name in y.index])
    assert_same(LinearDiscriminantHead().fit_from(folder, short), expected)
    with pytest.raises(ValueError, match=r"y is indexed by .* give it the same names, and pass y"):
        LinearDiscriminantHead().fit_from(folder, short[::-1])
    renamed = y.set_axis(["renamed.png", *y.index[1:]])
    assert_same(LinearDiscriminantHead().fit_from(folder, renamed), expected)
    for some in (renamed[::-1], y.set_axis([Path(name) for name in y.index])[::-1]):
        with pytest.raises(ValueError, match=r"y is indexed by '.*' in row ., where the table"):
            LinearDiscriminantHead().fit_from(folder, some)
    of_own_names = y.set_axis([f"id{i}" for i in range(len(y))])
    assert_same(LinearDiscriminantHead().fit_from(folder, of_own_names), expected)


def test_what_embeds_images_does_not_read_their_embeddings(folder, emoji):
    paths, y = emoji[0][::20], emoji[1][::20]
    pipe = make_backbone_pipeline("zoo/RN20", estimator=LinearDiscriminantHead()).fit(paths, y)
    with pytest.raises(ValueError, match=r"reads them, classifier\[-1\]"):
        predict_embeddings(pipe, folder)
    search = GridSearchCV(pipe, {}, cv=2).fit(paths, y)
    with pytest.raises(ValueError, match=r"reads them, classifier\.best_estimator_\[-1\]"):
        predict_embeddings(search, folder)


def test_what_is_wrong_is_named(folder, table, tmp_path):
    _, y = table
    with pytest.raises(ValueError, match=f"y has 3 labels, but .* has {len(y)} rows"):
        LinearDiscriminantHead().fit_from(folder, y[:3])
    with pytest.raises(ValueError, match="cv needs all rows in memory"):
        LinearDiscriminantHead(cv=3).fit_from(folder, y)
    with pytest.raises(ValueError, match="zero"):
        LinearDiscriminantHead().fit_from(folder, y, sample_weight=np.zeros(len(y)))
    with pytest.raises(ValueError, match="no label for 1 of"):
        LinearDiscriminantHead().fit_from(folder, [None, *y[1:]])
    with pytest.raises(FileNotFoundError, match="holds no embeddings"):
        LinearDiscriminantHead().fit_from(tmp_path, y)
    with pytest.raises(FileNotFoundError, match="Give the folder that embed_to has written"):
        LinearDiscriminantHead().fit_from(next(Path(folder).glob("*.parquet")), y)
    with pytest.raises(FileNotFoundError, match="holds no embeddings"):
        predict_embeddings(LinearDiscriminantHead().fit_from(folder, y), tmp_path)


# Processes


def log_sums(log):
    """Write a line to a file whenever this process adds rows to sums, which is made to last."""
    from skclipens.heads._sums import Sums

    add = Sums.add

    def logged(self, *rows):
        with open(log, "a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.1)
        return add(self, *rows)

    Sums.add = logged


def kill_at_work(pid, log, n_lines_then):
    """Kill a worker once it has added three parts."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        lines = log.read_text().split() if log.exists() else []
        if lines.count(str(pid)) >= 3:
            os.kill(pid, signal.SIGKILL)
            n_lines_then.append(len(lines))
            return
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_fit_on_a_cluster_that_loses_a_worker(tmp_path, folder, table):
    distributed = pytest.importorskip("distributed")
    cloudpickle = pytest.importorskip("cloudpickle")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    X, y = table

    class LogSums(distributed.WorkerPlugin):
        def setup(self, worker):
            log_sums(log)

    log, n_lines_then = tmp_path / "sums.txt", []
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        client.register_plugin(LogSums())
        pids = list(client.run(os.getpid).values())
        killer = threading.Thread(target=kill_at_work, args=(pids[0], log, n_lines_then))
        killer.start()
        clf = AdaptiveBackboneEnsemble(random_state=0).fit_from(folder, y)
        killer.join()
        head = LinearDiscriminantHead().fit_from(folder, y)
        found = predict_embeddings(head, folder, out_folder=tmp_path / "proba")
        pids_after = list(client.run(os.getpid).values())
    n_parts = len(list(folder.glob("part-*")))
    lines = log.read_text().split()
    assert n_lines_then[0] < n_parts < len(lines)  # midway, and some were added again
    assert pids[0] not in pids_after
    assert pids[1] in pids_after
    assert {*map(str, pids)} <= set(lines)
    expected = LinearDiscriminantHead().fit(X, y)
    assert_same(head, expected)
    assert_same_ensemble(clf, AdaptiveBackboneEnsemble(random_state=0).fit(X, y), X)
    assert_array_equal(found["label"], expected.predict(X))
    kept = pd.read_parquet(tmp_path / "proba")
    assert_allclose(kept, expected.predict_proba(X), **CLOSE)

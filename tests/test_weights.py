"""Weights and groups of rows arrive in every part that rows decide."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold

from skclipens import (
    AdaptiveBackboneEnsemble,
    CascadeClassifier,
    make_backbone_pipeline,
)
from skclipens.cascade import CascadeEnsemble
from skclipens.cascade._thresholds import sweep
from skclipens.ensemble.routers import ROUTERS
from skclipens.ensemble.routers._base import is_clear_gain
from skclipens.heads import CLIPAdapterHead, LinearDiscriminantHead, TipAdapterHead
from skclipens.heads._temperature import (
    calibrated_loss,
    correction_temperature,
    fit_temperature,
    relative_log_loss,
    unvalidated_spread,
)
from skclipens.inspection import (
    AccuracyCostDisplay,
    DiversityGainDisplay,
    ReliabilityDisplay,
    RoutingWeightsDisplay,
)
from skclipens.labels import OpenSetClassifier

pytestmark = pytest.mark.usefixtures("embedded_once", "short_training")

BACKBONES = ["zoo/RN20", "zoo/ViT-16"]
N = 40
OpenSet = partial(OpenSetClassifier, LinearDiscriminantHead(), random_state=0)


@pytest.fixture(scope="module")
def with_wrong(X, y):
    """A table of pictures and a number, with as many rows whose labels are wrong; and folds."""
    rng = np.random.default_rng(0)
    X = np.c_[X, np.unique(y, return_inverse=True)[1] + rng.normal(size=N)]
    table, labels = (np.concatenate([one, rng.permutation(one)]) for one in (X, y))
    folds = StratifiedKFold(4, shuffle=True, random_state=0).split(table, labels)
    return table, labels, list(folds)


@pytest.mark.parametrize("router", ROUTERS)
def test_rows_of_next_to_no_weight_hardly_count_in_an_ensemble(router, with_wrong):
    """Neither in heads, nor in temperatures, nor in the weights of experts.

    Rows without weight are left out, and copies are merged. So they show nothing of these.
    """
    table, labels, folds = with_wrong
    blocks = [(name, np.arange(128) + 128 * i) for i, name in enumerate(BACKBONES)]
    head = ["zero-shot", "kernel", "linear", "linear-all"]
    clf = AdaptiveBackboneEnsemble(
        [*blocks, ("number", [256])],
        head=head,
        router=router,
        out_of_distribution="ignore",  # what is like the training rows, each row shows as much
        random_state=0,
    )
    kept = [[side[side < N] for side in fold] for fold in folds]
    without = clone(clf).set_params(cv=kept).fit(table[:N], labels[:N])
    of_all = clone(clf).set_params(cv=folds).fit(table, labels)
    clf.set_params(cv=folds).fit(table, labels, sample_weight=np.repeat([1, 1e-6], N))
    assert_allclose(clf.temperatures_, without.temperatures_, rtol=1e-3)
    expected = without.decision_function(table)
    far = np.abs(of_all.decision_function(table) - expected).max()
    most = far / 3 if router == "mixture" else far / 20  # its noise is that of other rows
    assert np.abs(clf.decision_function(table) - expected).max() < most


def test_rows_of_next_to_no_weight_hardly_count_where_no_row_is_held_out(with_wrong):
    """The prompts of all rows then say how much heads that learned from them count."""
    table, labels, _ = with_wrong
    X, head = table[:, :256], ["zero-shot", "kernel", "linear"]
    clf = AdaptiveBackboneEnsemble(BACKBONES, head=head, random_state=0)
    of_all, clf, without = (
        clone(clf).fit(X[:n], labels[:n], sample_weight=weights, groups=labels[:n])
        for n, weights in ((2 * N, None), (2 * N, np.repeat([1, 1e-6], N)), (N, None))
    )
    assert not clf.validated_[4:].any()
    assert_allclose(clf.temperatures_, without.temperatures_, rtol=1e-3)
    assert not np.allclose(clf.temperatures_[4:], of_all.temperatures_[4:], rtol=0.1)


def test_splits_of_a_user_keep_rows_of_one_picture_together(X, y):
    """In each fold, all are where the first one is."""
    pictures = np.arange(N).repeat(2)
    table = np.c_[X[pictures], np.random.default_rng(0).random(2 * N)]
    blocks = [(name, np.arange(128) + 128 * i) for i, name in enumerate(BACKBONES)]
    clf = AdaptiveBackboneEnsemble([*blocks, ("number", [256])], random_state=0)
    apart = list(StratifiedKFold(3, shuffle=True, random_state=0).split(table, y[pictures]))
    moved = []
    for _, test in apart:
        is_test = np.isin(np.arange(2 * N), test)[::2].repeat(2)
        moved.append((np.flatnonzero(~is_test), np.flatnonzero(is_test)))
    y = y[pictures]
    found, expected = (clone(clf).set_params(cv=cv).fit(table, y) for cv in (apart, moved))
    assert_allclose(found.decision_function(table), expected.decision_function(table), rtol=1e-5)


@pytest.mark.parametrize(
    "head",
    [
        CLIPAdapterHead("zoo/RN20", batch_size=2 * N, random_state=0),
        TipAdapterHead("zoo/RN20", fine_tune=True, batch_size=2 * N, random_state=0),
    ],
    ids=repr,
)
def test_rows_of_next_to_no_weight_hardly_count_in_training(head, with_wrong):
    table, labels, _ = with_wrong
    X, (classes, codes) = table[:, :128], np.unique(labels, return_inverse=True)
    y = np.roll(classes, 1)[codes]  # which prompts do not know
    expected = clone(head).fit(X[:N], y[:N]).decision_function(X)
    weighted = clone(head).fit(X, y, sample_weight=np.repeat([1, 1e-6], N)).decision_function(X)
    assert_allclose(weighted, expected, rtol=1e-3, atol=0.01)
    assert not np.allclose(clone(head).fit(X, y).decision_function(X), expected, rtol=0.1)


@pytest.mark.parametrize(
    "measure",
    [
        lambda z, y, weights: fit_temperature(z, y, sample_weight=weights),
        calibrated_loss,
        partial(relative_log_loss, n_fitted=2),
        unvalidated_spread,
        lambda z, y, weights: correction_temperature(z[:0], [], z / 8, y, weights)[0],
    ],
)
def test_what_logits_are_worth_is_the_same_with_copies_as_with_weights(measure):
    rng = np.random.default_rng(0)
    y, weights = rng.integers(0, 4, 60), rng.integers(1, 5, 60)
    logits = rng.normal(size=(60, 4))
    logits[np.arange(60), y] += weights - 1.0
    rows = np.arange(60).repeat(weights)
    found = measure(logits, y, weights)
    assert found == pytest.approx(measure(logits[rows], y[rows], None), rel=1e-3)
    assert found != pytest.approx(measure(logits, y, None), rel=0.05)


def test_thresholds_of_a_cascade_are_chosen_by_weights(with_wrong):
    table, labels, folds = with_wrong
    blocks = [("number", [256]), ("pictures", slice(0, 256))]
    head = LinearDiscriminantHead(shrinkage=1.0)
    clf = CascadeEnsemble(blocks, estimator=head, cost={"number": 1, "pictures": 2}, order="given")
    kept = [[side[side < N] for side in fold] for fold in folds]
    expected = clone(clf).set_params(cv=kept).fit(table[:N], labels[:N])
    plain = clone(clf).set_params(cv=folds).fit(table, labels)
    clf.set_params(cv=folds).fit(table, labels, sample_weight=np.repeat([1, 1e-6], N))
    for threshold, accuracy in zip(expected.curve_["threshold"], expected.curve_["accuracy"]):
        at = np.searchsorted(clf.curve_["threshold"], threshold - 1e-5)
        assert clf.curve_["accuracy"][at] == pytest.approx(accuracy, abs=0.03)
    assert plain.curve_["accuracy"].max() < expected.curve_["accuracy"].max() - 0.1


def test_a_curve_of_thresholds_is_the_same_with_copies_as_with_weights():
    rng = np.random.default_rng(0)
    confidence, correct = rng.random((30, 3)), rng.integers(0, 2, (30, 3))
    weights = rng.integers(1, 5, 30)
    rows = np.arange(30).repeat(weights)
    found = sweep(confidence, correct, [1, 2, 4], weights)
    expected = sweep(confidence[rows], correct[rows], [1, 2, 4])
    for name, values in found.items():
        assert_allclose(values, expected[name])


def test_a_gain_is_as_clear_with_copies_as_with_weights():
    found = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        gains, right = rng.normal(0.35, 1, 30), rng.integers(-1, 3, 30)
        weights = rng.integers(1, 6, 30)
        rows = np.arange(30).repeat(weights)
        for groups in (None, np.arange(30) // 3):
            clear = is_clear_gain(gains, right, weights, weights.sum(), groups)
            of_rows = None if groups is None else groups[rows]
            assert clear == is_clear_gain(gains[rows], right[rows], None, len(rows), of_rows)
            assert clear == is_clear_gain(gains, right, weights / 9, weights.sum(), groups)
            found.append(clear)
    assert 0.2 < np.mean(found) < 0.8


@pytest.fixture(scope="module")
def fitted(X, y):
    return AdaptiveBackboneEnsemble(BACKBONES, head="linear", random_state=0).fit(X[::4], y[::4])


@pytest.mark.parametrize(
    ("display", "drawn"),
    [
        (AccuracyCostDisplay, ["accuracies", "oracle"]),
        (DiversityGainDisplay, ["diversities", "gains"]),
        (ReliabilityDisplay, ["share", "accuracy"]),
    ],
)
def test_displays_count_rows_as_often_as_their_weights_say(display, drawn, fitted, X, y):
    rng = np.random.default_rng(0)
    X, weights = X + rng.normal(0, 0.05, X.shape), rng.integers(0, 5, N)
    rows = np.arange(N).repeat(weights)
    found = display.from_estimator(fitted, X, y, sample_weight=weights)
    expected = display.from_estimator(fitted, X[rows], y[rows])
    plain = display.from_estimator(fitted, X, y)
    for name in drawn:
        assert_allclose(getattr(found, name), getattr(expected, name))
        assert not np.allclose(getattr(found, name), getattr(plain, name)), name
    for name, (_, accuracies) in getattr(found, "lines", {}).items():
        assert_allclose(accuracies, expected.lines[name][1])


@pytest.mark.parametrize("kind", [AdaptiveBackboneEnsemble, LinearDiscriminantHead, OpenSet])
def test_a_score_counts_weights(kind, X, y):
    noise, weights = np.random.default_rng(0).normal(0, 0.1, X.shape), np.arange(N) % 4
    clf = kind(blocks=BACKBONES) if kind is AdaptiveBackboneEnsemble else kind()
    right = clf.fit(X[::4], y[::4]).predict(X + noise) == y
    score = clf.score(X + noise, y, sample_weight=weights)
    assert score == pytest.approx(np.average(right, weights=weights)) != right.mean()


def test_routing_weights_of_a_class_count_as_often_as_their_weights_say():
    rng = np.random.default_rng(0)
    y, weights, times = np.arange(30) % 3, rng.random((30, 4)), rng.integers(1, 5, 30)
    rows = np.arange(30).repeat(times)
    found = RoutingWeightsDisplay.from_predictions(y, weights, sample_weight=times)
    expected = RoutingWeightsDisplay.from_predictions(y[rows], weights[rows])
    assert_allclose(found.shares, expected.shares)
    plain = RoutingWeightsDisplay.from_predictions(y, weights)
    assert not np.allclose(found.shares, plain.shares)


@pytest.mark.parametrize("on_error", ["raise", "nan"])
def test_a_score_of_pictures_counts_their_weights(on_error, pictures, y):
    paths, weights = pictures["path"].tolist(), np.arange(N) % 4
    clf = make_backbone_pipeline("zoo/RN20", head="linear", on_error=on_error, random_state=0)
    clf.fit(paths[::8], y[::8])
    right = clf.predict(paths) == y
    assert clf.score(paths, y, weights) == pytest.approx(np.average(right, weights=weights))
    assert np.average(right, weights=weights) != right.mean()


@pytest.mark.parametrize("given", ["sample_weight", "groups"])
def test_a_cascade_of_pictures_takes_what_one_of_embeddings_takes(given, pictures, frame, y):
    """Embeddings are the same, and of the weights or groups each one must know."""
    rng, paths = np.random.default_rng(0), pictures["path"].tolist()
    values = rng.uniform(0.1, 3, N) if given == "sample_weight" else np.arange(N) // 5
    options = {"max_accuracy_drop": 0.1, "order": "given", "random_state": 0}
    cascade = CascadeClassifier(BACKBONES, **options)
    table = CascadeEnsemble(BACKBONES, **options, cost=dict(zip(BACKBONES, (1, 2))))
    found = clone(cascade).fit(paths, y, **{given: values}).cascade_
    expected = clone(table).fit(frame, y, **{given: values})
    plain = clone(table).fit(frame, y)
    for of_found, of_expected, of_plain in zip(
        found.estimators_, expected.estimators_, plain.estimators_, strict=True
    ):
        rows = frame.to_numpy()[:, : of_found.n_features_in_]
        proba = of_expected.predict_proba(rows)
        assert_allclose(of_found.predict_proba(rows), proba, atol=1e-4)
        assert not np.allclose(of_plain.predict_proba(rows), proba, atol=1e-3)

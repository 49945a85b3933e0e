"""Tests of AdaptiveBackboneEnsemble on embeddings of real pictures by the embedded zoo."""

import re
import subprocess
import sys
import threading

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from _said import no_warning
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax, softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    KFold,
    PredefinedSplit,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_info, threadpool_limits

from skclipens import (
    AdaptiveBackboneEnsemble,
    LinearDiscriminantHead,
    MultiBackboneEmbedder,
    SuspectedMistakeWarning,
    ZeroShotHead,
)
from skclipens._utils._threads import one_blas_thread
from skclipens.datasets import load_emoji
from skclipens.ensemble import StaticRouter, UniformRouter
from skclipens.heads._temperature import (
    UNVALIDATED_SPREAD,
    fit_temperature,
    relative_log_loss,
    unvalidated_spread,
)

pytestmark = pytest.mark.usefixtures("short_training")

WIDTH = 128
BACKBONES = ["zoo/RN20", "zoo/ViT-8", "zoo/ViT-16"]
ROUTERS = ["static", "shrunk", "uniform", "nlc"]
N_CLASSES = 6


@pytest.fixture(scope="module")
def X(emoji):
    return emoji[0]


@pytest.fixture(scope="module")
def y(emoji):
    return emoji[1]


def make(blocks=BACKBONES, **parameters):
    """An ensemble that is quick to fit."""
    defaults = dict(head="linear", random_state=0, cv=3)
    return AdaptiveBackboneEnsemble(blocks, **{**defaults, **parameters})


def columns_of(block):
    return slice(WIDTH * block, WIDTH * (block + 1))


def one_per_class(y):
    return np.unique(y, return_index=True)[1]


def frozen(experts):
    """Fitted heads as they are, in triples."""
    return [(name, FrozenEstimator(head), columns) for name, head, columns in experts]


def memoriser():
    """A head that is right, and sure, about every row it was fitted on."""
    return KNeighborsClassifier(n_neighbors=1)


# Rows that a head has seen do not calibrate or route it


def held_out_logits(head, X, y, folds):
    if hasattr(head, "decision_function"):
        return cross_val_predict(head, X, y, cv=folds, method="decision_function")
    p = cross_val_predict(head, X, y, cv=folds, method="predict_proba")
    return np.log(np.maximum(p, 1e-12))


@pytest.mark.parametrize("head", [memoriser(), LogisticRegression(C=3.0), GaussianNB()])
def test_combines_by_logits_of_cross_val_predict(head, X, y):
    folds = StratifiedKFold(4, shuffle=True, random_state=1)
    clf = make(head=head, router="static", cv=folds).fit(X, y)
    logits = np.stack([held_out_logits(head, X[:, columns_of(b)], y, folds) for b in range(3)], 1)
    targets = np.searchsorted(clf.classes_, y)
    temperatures = np.array([fit_temperature(logits[:, e], targets) for e in range(3)])
    assert_allclose(clf.temperatures_, temperatures, rtol=1e-3)
    router = StaticRouter().fit(None, logits / temperatures[:, None], targets)
    assert_allclose(clf.routing_weights(X)[0], router.weights_, rtol=1e-2)


@pytest.mark.parametrize("cv", [5, 0.5])
@pytest.mark.parametrize("router", ROUTERS)
def test_noise_that_a_head_has_memorised_is_not_trusted(router, cv, X, y):
    noise = np.random.default_rng(1).permutation(y)
    honest = make(head=memoriser(), router=router, cv=cv).fit(X, noise)
    assert honest.predict_proba(X).max(axis=1).mean() < 0.5
    # The same heads, judged by the rows that they have memorised:
    fitted = [(str(b), head, columns_of(b)) for b, (_, head, _) in enumerate(honest.experts_)]
    leaky = make(head=frozen(fitted), router=router).fit(X, noise)
    assert leaky.predict_proba(X).max(axis=1).mean() > honest.predict_proba(X).max(axis=1).mean()


def test_memorised_noise_judged_by_itself_would_be_trusted(X, y):
    noise = np.random.default_rng(1).permutation(y)
    heads = [(str(b), memoriser().fit(X[:, columns_of(b)], noise), columns_of(b)) for b in range(3)]
    leaky = make(head=frozen(heads)).fit(X, noise)
    assert leaky.predict_proba(X).max(axis=1).mean() > 0.9


def test_a_number_of_folds_is_for_heads_that_cannot_judge_themselves(X, y):
    two, five = (make(cv=cv).fit(X, y) for cv in (2, 5))
    assert_array_equal(two.temperatures_, five.temperatures_)
    splits = make(cv=KFold(2, shuffle=True, random_state=0))
    beside_prompts = clone(splits).set_params(head=["zero-shot", "linear"]).fit(X, y)
    learned = [expert.learns for expert in beside_prompts.experts_]
    temperatures = splits.fit(X, y).temperatures_
    assert np.abs(temperatures / two.temperatures_ - 1).min() > 0.01
    assert_allclose(beside_prompts.temperatures_[learned], temperatures)


def test_rows_whose_class_no_other_fold_has_are_not_used(X, y):
    classes = np.unique(y)
    fold = np.arange(len(y)) % 3
    fold[y == classes[2]] = 0  # no head sees this class in training when its rows are held out
    clf = make(head=memoriser(), router="static", cv=PredefinedSplit(fold)).fit(X, y)
    for block, temperature in enumerate(clf.temperatures_):
        logits, targets = [], []
        for k in range(3):
            head = memoriser().fit(X[fold != k][:, columns_of(block)], y[fold != k])
            judged = (fold == k) & (y != classes[2])
            p = np.zeros((judged.sum(), len(classes)))
            p[:, np.isin(classes, head.classes_)] = head.predict_proba(
                X[judged][:, columns_of(block)]
            )
            logits.append(np.log(np.maximum(p, 1e-12)))
            targets.append(np.searchsorted(classes, y[judged]))
        expected = fit_temperature(np.concatenate(logits), np.concatenate(targets))
        assert temperature == pytest.approx(expected, rel=1e-3)
    assert set(clf.predict(X)) == set(classes)  # but heads are fitted on all rows


def test_folds_may_be_positions_lists_or_masks(X, y):
    splits = list(StratifiedKFold(3).split(X, y))
    expected = make(cv=StratifiedKFold(3)).fit(X, y).predict_proba(X)
    masks = [tuple(np.isin(np.arange(72), rows) for rows in split) for split in splits]
    lists = [tuple(rows.tolist() for rows in split) for split in splits]
    for cv in (splits, masks, lists):
        assert_array_equal(make(cv=cv).fit(X, y).predict_proba(X), expected)


def test_wrong_folds_of_cross_fit_are_called_folds(X, y):
    every = np.arange(72)
    for folds, message in [
        ([(every, every)], "Fold 0 of folds has 72 of its test rows in train"),
        ((every[::2], every[1::2]), "Fold 0 of folds is no pair"),
        ([], "folds is empty"),
        (object(), "folds is a list of pairs"),
    ]:
        with pytest.raises(ValueError, match=message):
            make().cross_fit(X, y, folds=folds)


def test_several_tables_are_told_before_folds_that_do_not_fit_them(X, y):
    folds = list(StratifiedKFold(3).split(X, y))
    with pytest.raises(ValueError, match="X is 2 tables"):
        make().cross_fit([X[:, :8], X[:, 8:]], y, folds=folds)


@pytest.mark.parametrize("cv", [[], np.empty((0, 2))])
def test_no_folds_are_no_cv(cv, X, y):
    with pytest.raises(ValueError, match="cv is empty"):
        make(cv=cv).fit(X, y)


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        (
            lambda train, test: (np.r_[train, test], test),
            "24 of its test rows in train, too; .* row 0",
        ),
        (lambda train, test: (train, np.r_[test, train[3]]), "1 of its test rows in train"),
        (lambda train, test: (train, [72]), "index 72 is out of bounds.* positions from 0 to 71"),
        (lambda train, test: (train, np.ones(71, bool)), "masks of length 72"),
        (lambda train, test: (train,), "is no pair of train and test rows"),
        (lambda train, test: 5, r"is no pair .*: give cv=\[\(train, test\)\]"),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_folds_that_judge_on_rows_they_teach_or_that_are_not_there(fold, message, weighted, X, y):
    good, (train, test) = KFold(3).split(X), next(iter(KFold(3).split(X)))
    weights = np.r_[0, np.ones(71)] if weighted else None
    with pytest.raises(ValueError, match=f"Fold 3 of cv .*{message}"):
        make(cv=[*good, fold(train, test)]).fit(X, y, sample_weight=weights)


def test_every_head_is_fitted_on_all_rows_after_cross_fitting(X, y):
    clf = make(head=memoriser()).fit(X, y)
    assert [head.n_samples_fit_ for _, head, _ in clf.experts_] == [len(y)] * 3


def test_held_out_fraction_is_kept_from_heads(X, y):
    clf = make(head=memoriser(), cv=0.25).fit(X, y)
    assert [head.n_samples_fit_ for _, head, _ in clf.experts_] == [54] * 3


def test_zero_shot_heads_need_no_part_held_out(X, y):
    kept, split = (make(head="zero-shot", cv=cv).fit(X, y) for cv in (5, 0.1))
    assert_array_equal(split.temperatures_, kept.temperatures_)
    one = one_per_class(y)
    assert make(head="zero-shot", cv=0.1).fit(X[one], y[one]).router_.n_iter_ >= 1


def test_zero_shot_heads_know_the_classes_that_only_held_out_rows_have(X, y):
    rows = np.flatnonzero((y != y[0]) | (np.cumsum(y == y[0]) <= 2))  # two rows of one class
    clf = make(head=["zero-shot", memoriser()], cv=0.85).fit(X[rows], y[rows])
    assert [len(head.classes_) for _, head, _ in clf.experts_] == [6, 6, 6, 5, 5, 5]


def test_classes_of_uneven_size(X, y):
    classes = np.unique(y)
    rare = (y == classes[0]) & (np.cumsum(y == classes[0]) > 1)  # all but one of its rows
    clf = make(cv=5).fit(X[~rare], y[~rare])
    assert list(clf.classes_) == list(classes)
    two = np.isin(y, classes[:2]) & ~rare
    assert np.isfinite(make(cv=5).fit(X[two], y[two]).predict_proba(X)).all()


def test_too_small_a_fraction_is_a_clear_error(X, y):
    with pytest.raises(ValueError, match=r"cv=0.01 cannot hold out rows of every class"):
        make(cv=0.01).fit(X, y)


# One row per class


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("head", ["zero-shot", "linear", "auto", memoriser()])
def test_one_row_per_class(head, router, X, y):
    one = one_per_class(y)
    clf = make(head=head, router=router, cv=5).fit(X[one], y[one])
    p = clf.predict_proba(X)
    assert_allclose(p.sum(axis=1), 1, rtol=1e-4)
    assert clf.routing_weights(X).shape == (len(X), len(clf.expert_names_))


@pytest.mark.parametrize("n_shots", [1, 2])
def test_many_classes_of_few_rows_are_nothing_to_warn_of(n_shots, X):
    labels = [f"thing {i // n_shots}" for i in range(30)]
    with no_warning():
        make(head=["zero-shot", "linear"]).fit(X[:30], labels).predict(X)


def test_few_classes_with_a_second_row_do_not_judge_learned_heads(X, y):
    """Else a handful of rows would calibrate and route for all classes."""
    rows = one_per_class(y)
    second = np.setdiff1d(np.arange(len(y)), rows)[:1]
    rows = np.concatenate([rows, second])
    clf = make(head=["zero-shot", "linear"]).fit(X[rows], y[rows])
    assert_array_equal(clf.validated_, [name.endswith("zero-shot") for name in clf.expert_names_])
    most = np.concatenate([np.flatnonzero(y == c)[:2] for c in np.unique(y)[1:]])
    most = np.concatenate([most, np.flatnonzero(y == np.unique(y)[0])[:1]])
    assert make(head=["zero-shot", "linear"]).fit(X[most], y[most]).validated_.all()


def test_one_row_per_class_does_not_route_heads_that_nothing_can_judge(X, y):
    one = one_per_class(y)
    pool = make(head=["zero-shot", "linear", "linear-all"]).fit(X[one], y[one])
    assert pool.validated_.sum() == len(BACKBONES)
    assert not np.allclose(pool.temperatures_[pool.validated_], 1)
    assert_allclose(pool.routing_weights(X[one])[:, ~pool.validated_], 1 / 4)
    linear = make(head=["linear", "linear-all"]).fit(X[one], y[one])
    assert not linear.validated_.any()
    assert isinstance(linear.router_, UniformRouter)
    assert_allclose(linear.routing_weights(X), 1 / 4)
    # None outshouts the others only because of the scale of its logits.
    logits = np.log(linear.expert_proba(X[one]))
    assert_allclose(logits.std(axis=2).mean(axis=0), UNVALIDATED_SPREAD, rtol=1e-3)


@pytest.mark.parametrize("n_classes", [3, 30])
def test_the_fewer_rows_say_what_prompts_know_the_more_is_left_to_others(n_classes):
    targets, logits = np.arange(n_classes), 3.0 * np.eye(n_classes)
    copies = [(np.tile(logits, (n, 1)), np.tile(targets, n)) for n in (1, 2, 5, 1000)]
    spreads = [unvalidated_spread(*some) for some in copies]
    assert (np.diff(spreads) < 0).all() and spreads[0] <= UNVALIDATED_SPREAD
    assert_allclose(
        spreads[-1], UNVALIDATED_SPREAD * relative_log_loss(logits, targets) ** 2, rtol=0.02
    )
    assert_allclose(unvalidated_spread(logits, targets, np.full(n_classes, 5.0)), spreads[2])
    assert unvalidated_spread(logits[:0], targets[:0]) == UNVALIDATED_SPREAD


@pytest.mark.parametrize("router", ["static", "nlc"])
def test_what_nothing_can_judge_says_nothing_beside_one_who_knows_all(router, X, y):
    sure = LogisticRegression(C=1e9, max_iter=1000).fit(X, y)
    one = one_per_class(y)
    heads = [("sure", FrozenEstimator(sure), slice(None)), "linear"]
    clf = make(head=heads, router=router, calibrate=False).fit(X[one], y[one])
    assert_array_equal(clf.predict(X), sure.predict(X))


def test_prompts_that_mean_nothing_do_not_sink_one_shot_learning(X, y):
    one = one_per_class(y)
    rest = np.setdiff1d(np.arange(len(y)), one)
    names = np.unique(y)
    wrong = dict(zip(names, np.roll(names, 1)))
    pool = make(head=["zero-shot", "linear"], class_names=wrong).fit(X[one], y[one])
    zero_shot = make(head="zero-shot", class_names=wrong).fit(X[one], y[one])
    linear = make(head="linear").fit(X[one], y[one])
    assert zero_shot.score(X[rest], y[rest]) < 0.2
    assert pool.score(X[rest], y[rest]) > linear.score(X[rest], y[rest]) - 0.1


# Heads that are fitted already


@pytest.fixture
def fitted_heads(X, y):
    return [
        (str(b), GaussianNB().fit(X[:36, columns_of(b)], y[:36]), BACKBONES[b]) for b in range(3)
    ]


def test_frozen_heads_are_not_fitted_again(fitted_heads, X, y):
    clf = make(head=frozen(fitted_heads)).fit(X[36:], y[36:])
    assert [head.estimator for _, head, _ in clf.experts_] == [head for _, head, _ in fitted_heads]
    assert_array_equal(fitted_heads[0][1].class_count_.sum(), 36)
    logits = np.log(np.maximum(fitted_heads[0][1].predict_proba(X[36:, columns_of(0)]), 1e-12))
    expected = fit_temperature(logits, np.searchsorted(clf.classes_, y[36:]))
    assert clf.temperatures_[0] == pytest.approx(expected, rel=1e-3)


def test_frozen_heads_know_classes_that_these_rows_do_not_show(fitted_heads, X, y):
    few = np.isin(y, np.unique(y)[:4])
    clf = make(head=frozen(fitted_heads)).fit(X[few], y[few])
    assert_array_equal(clf.classes_, np.unique(y))


@pytest.mark.parametrize("router", ["uniform", "shrunk", "vote"])
def test_frozen_heads_of_which_no_row_can_judge_all(router):
    X, y = load_iris(return_X_y=True)
    heads = []
    for left_out in range(3):
        own = np.flatnonzero(y != left_out)[::2]
        head = FrozenEstimator(LogisticRegression().fit(X[own], y[own]))
        heads.append((f"without {left_out}", head, slice(None)))
    clf = AdaptiveBackboneEnsemble(head=heads, router=router).fit(X[1::2], y[1::2])
    assert not clf.validated_.any()
    assert clf.score(X[1::2], y[1::2]) > 0.9


@pytest.mark.parametrize("router", ["uniform", "static", "shrunk", "vote"])
@pytest.mark.parametrize("n_known", [2, 4])
def test_classes_that_a_frozen_head_does_not_know_are_left_to_others(n_known, router, X, y):
    old = np.isin(y, np.unique(y)[:n_known])
    known = LogisticRegression(C=10).fit(X[old][:, columns_of(0)], y[old])
    head = ["zero-shot", ("old", FrozenEstimator(known), BACKBONES[0])]
    clf = make(BACKBONES[:1], head=head, router=router).fit(X[:, columns_of(0)], y)
    alone = make(BACKBONES[:1], head="zero-shot", router=router).fit(X[:, columns_of(0)], y)
    for rows in (old, ~old):
        some = X[rows][:, columns_of(0)], y[rows]
        assert clf.score(*some) > alone.score(*some) - 0.05


@pytest.mark.parametrize("few", [slice(4), slice(2, None)])
@pytest.mark.parametrize("other", ["linear", "zero-shot", LogisticRegression()])
def test_classes_that_a_frozen_head_alone_knows_are_left_to_it(other, few, X, y):
    known = LogisticRegression(C=10).fit(X[:, columns_of(0)], y)
    head = [("all", FrozenEstimator(known), BACKBONES[0]), ("few", other)]
    shown = np.isin(y, np.unique(y)[few])
    clf = make(BACKBONES[:1], head=head).fit(X[shown][:, columns_of(0)], y[shown])
    assert clf.score(X[~shown][:, columns_of(0)], y[~shown]) > 0.9


def test_frozen_heads_that_share_no_class_are_told_apart_by_how_sure_they_are(X, y):
    parts = [np.isin(y, names) for names in np.split(np.unique(y), 2)]
    heads = [
        (name, LogisticRegression(C=10).fit(X[part], y[part]), slice(None))
        for name, part in zip("ab", parts)
    ]
    clf = make(head=frozen(heads), router="uniform", calibrate=False).fit(X, y)
    assert clf.score(X, y) > 0.9


def test_rows_of_classes_that_a_frozen_head_does_not_know_do_not_judge_it(fitted_heads, X, y):
    """Another head has to know them."""
    strange = np.concatenate([y[36:], ["unicorn", "zebra", "unicorn", "zebra"]])
    rows = [*range(36, 72), 0, 1, 2, 3]
    clf = make(head=[*frozen(fitted_heads), "linear-all"]).fit(X[rows], strange)
    assert set(clf.classes_) == {*y, "unicorn", "zebra"}
    assert clf.validated_.all()
    first = list(clf.expert_names_).index("0")
    logits = clf.experts_[first].logits(X[36:], clf.classes_)
    expected = fit_temperature(logits, np.searchsorted(clf.classes_, y[36:]))
    assert clf.temperatures_[first] == pytest.approx(expected, rel=1e-3)
    with pytest.raises(ValueError, match="No frozen head knows the class 'unicorn' of y"):
        make(head=frozen(fitted_heads)).fit(X[rows], strange)


def test_frozen_heads_have_to_be_fitted(X, y):
    with pytest.raises(NotFittedError, match="The frozen head of 'a' is not fitted"):
        make(head=frozen([("a", GaussianNB(), "zoo/RN20")])).fit(X, y)


def test_frozen_heads_have_labels_of_the_same_type(fitted_heads, X):
    with pytest.raises(ValueError, match="must have labels of the same type"):
        make(head=frozen(fitted_heads)).fit(X, np.arange(72) % 6)


# What a fitted ensemble gives


@pytest.mark.parametrize("router", ROUTERS)
def test_outputs_agree(router, X, y):
    clf = make(head=["zero-shot", "linear"], router=router).fit(X, y)
    weights = clf.routing_weights(X)
    assert weights.shape == (72, 6)
    assert np.all(weights > 0)
    if router == "static":
        assert_array_equal(weights, weights[:1].repeat(72, axis=0))
    experts = clf.expert_proba(X)
    assert experts.shape == (72, 6, N_CLASSES)
    assert_allclose(experts.sum(axis=2), 1, rtol=1e-5)
    decision = clf.decision_function(X)
    assert_array_equal(decision, clf.predict_log_proba(X))
    assert_allclose(clf.predict_proba(X), softmax(decision, axis=1), rtol=1e-4)
    assert_array_equal(clf.predict(X), clf.classes_[decision.argmax(axis=1)])
    # Log-probabilities are logits up to a constant of the row.
    combined = softmax(np.einsum("ne,nec->nc", weights, np.log(experts)), axis=1)
    assert_allclose(clf.predict_proba(X), combined, rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("head", ["zero-shot", "linear", memoriser()])
def test_two_classes(head, X, y):
    two = np.isin(y, np.unique(y)[:2])
    clf = make(head=head).fit(X[two], y[two])
    decision = clf.decision_function(X)
    assert decision.shape == (72,)
    assert clf.expert_proba(X).shape == (72, 3, 2)
    assert_array_equal(clf.predict(X), clf.classes_[(decision > 0).astype(int)])
    assert_allclose(clf.predict_proba(X)[:, 1], expit(decision), rtol=1e-4, atol=1e-30)


def test_one_class_is_a_clear_error(X):
    with pytest.raises(ValueError, match="got 1 class, 'dog'"):
        make(head="zero-shot").fit(X, np.full(72, "dog"))


@pytest.mark.parametrize("head", ["zero-shot", "linear", memoriser()])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_of_X_is_kept(dtype, head, X, y):
    clf = make(head=head).fit(X.astype(dtype), y)
    for method in ("decision_function", "predict_proba", "expert_proba", "routing_weights"):
        assert getattr(clf, method)(X.astype(dtype)).dtype == dtype


def test_temperatures_are_one_without_calibration(X, y):
    assert_array_equal(make(calibrate=False).fit(X, y).temperatures_, np.ones(3))


def test_integer_labels_are_named_by_class_names(X, y):
    names, codes = np.unique(y, return_inverse=True)
    by_string = make(head="zero-shot").fit(X, y)
    by_position = make(head="zero-shot", class_names=list(names)).fit(X, codes)
    by_mapping = make(head="zero-shot", class_names=dict(zip(codes + 7, y))).fit(X, codes + 7)
    assert_allclose(by_position.predict_proba(X), by_string.predict_proba(X), rtol=1e-5)
    assert_allclose(by_mapping.predict_proba(X), by_string.predict_proba(X), rtol=1e-5)
    assert_array_equal(by_mapping.predict(X), by_position.predict(X) + 7)


def test_class_names_are_checked(X, y):
    codes = np.unique(y, return_inverse=True)[1]
    with pytest.raises(ValueError, match="Label 0 is not a string"):
        make(head="residual").fit(X, codes)
    says = r"for label 'gr\\xfcn', but for 'gru\\u0308n', which looks alike"
    with pytest.raises(ValueError, match=says):
        make(head="zero-shot", class_names={"gru\u0308n": "green", "rot": "red"}).fit(
            X[:2], ["gr\xfcn", "rot"]
        )
    names = np.unique(y).tolist()
    for wrong, message in (
        ({str(i): name for i, name in enumerate(names)}, r"label 0; .* Its keys are strings"),
        ({name: i for i, name in enumerate(names)}, r"label 0; .* It goes from names to labels"),
        (pd.DataFrame({"label": range(len(names)), "name": names}), "class_names is a DataFrame"),
    ):
        with pytest.raises(ValueError, match=message):
            make(head="zero-shot", class_names=wrong).fit(X, codes)
    for labels, key in (
        (codes, "int(key)"),
        (codes.astype(float), "float(key)"),
        (codes == 0, "key == 'True'"),
    ):
        named = {str(one): name for one, name in zip(np.unique(labels).tolist(), names)}
        with pytest.raises(ValueError, match=re.escape(f"give {{{key}: name for key, name in")):
            make(head="zero-shot", class_names=named).fit(X, labels)
    with pytest.raises(ValueError, match="class_names has no name for label 2"):
        make(head="zero-shot", class_names=["cat", "dog"]).fit(X, codes)


def test_a_list_of_names_serves_labels_and_their_numbers(X, y):
    names = np.unique(y).tolist()
    plain, named = (make(head="zero-shot", class_names=given).fit(X, y) for given in (None, names))
    assert_array_equal(named.predict_proba(X), plain.predict_proba(X))
    # It numbers the labels for what is held out, and hands them on as they are for the last fit.
    calibrated = CalibratedClassifierCV(named, cv=2, ensemble=False).fit(X, y)
    assert (calibrated.predict(X) == y).mean() > 0.9
    advice = f"To rename a class, give a mapping, such as {{'{names[-1]}': 'another name', ...}}."
    with pytest.raises(ValueError, match=f"no name for label '{names[-1]}'.* {re.escape(advice)}"):
        make(head="zero-shot", class_names=names[:-1]).fit(X, y)


def test_templates_reach_the_zero_shot_heads(X, y):
    clf = make(head="zero-shot", templates=["a drawing of a {}."]).fit(X, y)
    head = ZeroShotHead("zoo/RN20", templates=["a drawing of a {}."]).fit(X[:, :WIDTH], y)
    assert_array_equal(clf.experts_[0].head.text_features_, head.text_features_)


# The same again


@pytest.mark.parametrize("router", ROUTERS)
def test_same_random_state_gives_the_same_ensemble(router, X, y):
    clf = make(head="auto", router=router).fit(X, y)
    again = clone(clf).fit(X, y)
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(clf.fit(X, y).predict_proba(X), again.predict_proba(X))


def test_random_state_draws_the_folds(X, y):
    head = LogisticRegression()  # it does not know itself what it would say without a row
    first, second = (make(head=head, random_state=seed).fit(X, y) for seed in (0, 1))
    assert not np.array_equal(first.temperatures_, second.temperatures_)


@pytest.mark.parametrize("router", ROUTERS)
def test_fitting_again_leaves_nothing_of_the_first_time(router, X, y):
    one = one_per_class(y)
    other = X[one, :WIDTH], np.arange(N_CLASSES)
    clf = make(None, router=router).fit(X, y).fit(*other)
    fresh = make(None, router=router).fit(*other)
    assert vars(clf).keys() == vars(fresh).keys()
    assert_array_equal(clf.predict_proba(other[0]), fresh.predict_proba(other[0]))
    assert clf.n_features_in_ == WIDTH


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
def test_other_backends_of_joblib_give_the_same_ensemble(X, y, backend):
    with joblib.parallel_config(backend=backend):
        parallel = make(n_jobs=2).fit(X, y)
    assert_allclose(parallel.predict_proba(X), make().fit(X, y).predict_proba(X), rtol=1e-5)


@settings(max_examples=5)
@given(st.permutations(range(3)))
def test_order_of_blocks_is_the_order_of_experts(X, y, order):
    blocks = [(str(b), slice(WIDTH * b, WIDTH * b + 8)) for b in range(3)]
    clf = make(blocks, router="static").fit(X, y)
    permuted = make([blocks[b] for b in order], router="static").fit(X, y)
    assert list(permuted.expert_names_) == [str(b) for b in order]
    assert_allclose(permuted.routing_weights(X), clf.routing_weights(X)[:, order], rtol=1e-2)
    assert_allclose(permuted.predict_proba(X), clf.predict_proba(X), rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("router", ROUTERS)
def test_weights_are_the_callers_to_change(router, X, y):
    weights = make(router=router).fit(X, y).routing_weights(X)
    weights /= weights.sum(axis=1, keepdims=True)
    assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)


def test_uniform_router_is_the_calibrated_logit_average(X, y):
    clf = make(router="uniform").fit(X, y)
    average = np.log(clf.expert_proba(X)).mean(axis=1)
    assert_allclose(clf.predict_proba(X), softmax(average, axis=1), rtol=1e-5)
    assert_allclose(clf.routing_weights(X), 1 / len(BACKBONES))


def n_threads():
    """Threads of each BLAS library."""
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_fits_outside_the_main_thread_run_in_one_blas_thread_too(X, y):
    inside = []

    class Telling(StaticRouter):
        def _fit(self, *given, **options):
            inside.append(n_threads())
            return super()._fit(*given, **options)

    clf = make(router=Telling())
    with threadpool_limits(2, user_api="blas"):
        before = n_threads()
        clf.fit(X, y)  # the main thread must not keep control of the limit
        workers = [threading.Thread(target=clone(clf).fit, args=(X, y)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert n_threads() == before
    assert inside == [[1] * len(before)] * 3


def test_fits_that_overlap_leave_the_threads_of_blas_as_they_were(X, y):
    with threadpool_limits(2, user_api="blas"):
        before, inside = n_threads(), []
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        inside.append(n_threads())
        first.__exit__(None, None, None)
        inside.append(n_threads())
        second.__exit__(None, None, None)
        assert inside == [[1] * len(before)] * 2
        assert n_threads() == before
        for _ in range(5):  # also where one thread fits while another one scores
            with joblib.parallel_config("threading", n_jobs=2):
                cross_val_score(make(), X, y, cv=4)
            assert n_threads() == before


# Other classes without refitting


def test_other_classes_keep_what_was_learned_about_experts(X, y):
    first, second = np.unique(y)[:3], np.unique(y)[3:]
    seen = np.isin(y, first)
    clf = make(head="zero-shot", router="static").fit(X[seen], y[seen])
    weights, temperatures = clf.router_.weights_, clf.temperatures_
    assert_array_equal(clf.set_classes(second).classes_, second)
    assert_array_equal(clf.router_.weights_, weights)
    assert_array_equal(clf.temperatures_, temperatures)
    heads = [ZeroShotHead(name).fit(X[:, columns_of(b)], y) for b, name in enumerate(BACKBONES)]
    kept = np.searchsorted(heads[0].classes_, second)
    logits = [head.decision_function(X[:, columns_of(b)])[:, kept] for b, head in enumerate(heads)]
    expected = np.einsum("e,enc->nc", weights / temperatures, logits)
    assert_allclose(clf.decision_function(X), log_softmax(expected, axis=1), rtol=1e-4, atol=1e-4)


def test_other_classes_may_have_other_prompts(X, y):
    clf = make(head="zero-shot", router="static").fit(X, y)
    before = clf.decision_function(X)
    with pytest.raises(ValueError, match=r"3 is not a string.* Pass class_names to set_classes: a"):
        clf.set_classes([3, 4], templates=["an icon of a {}"])
    assert clf.templates is None
    clf.set_classes(np.unique(y), templates=["an icon of a {}"])
    assert not np.allclose(clf.decision_function(X), before)
    clf.set_classes(np.arange(2), class_names=["cat", "dog"])
    assert set(clf.predict(X)) <= {0, 1}
    assert (clf.class_names, clf.templates) == (None, None)


def test_heads_that_have_learned_classes_take_no_others(X, y):
    clf = make(head=["zero-shot", "linear"]).fit(X, y)
    with pytest.raises(ValueError, match="'zoo/RN20:linear' has learned the classes"):
        clf.set_classes(["cat", "dog"])
    clf = make(head="zero-shot").fit(X, y)
    with pytest.raises(ValueError, match="At least two classes"):
        clf.set_classes(["cat"])


# Names without labels


NAMED = {"head": "zero-shot", "router": "uniform", "calibrate": False}


def test_names_take_the_place_of_labels(X, y):
    names = list(np.unique(y)[::-1])
    clf = make(**NAMED, class_names=names).fit(X[:2])
    labelled = make(**NAMED).fit(X, y)
    assert_array_equal(clf.classes_, labelled.classes_)
    assert_array_equal(clf.predict_proba(X), labelled.predict_proba(X))
    assert_array_equal(clf.routing_weights(X), labelled.routing_weights(X))
    assert (clf.class_names, clf.n_features_in_) == (names, X.shape[1])
    assert list(clone(clf).fit(X).set_classes(["cat", "dog"]).classes_) == ["cat", "dog"]
    assert clf.fit_transform(X).shape == (len(X), len(BACKBONES) * len(names))
    of_column = make(**NAMED, class_names=pd.Series(names, name="name")).fit(X[:2])
    assert_array_equal(of_column.predict_proba(X), labelled.predict_proba(X))


@pytest.mark.parametrize("blocks", [BACKBONES, "zoo/RN20"])
def test_classes_can_be_set_without_rows(X, y, blocks):
    X, names = X[:, : 128 * np.size(blocks)], np.unique(y)[::-1]
    clf = AdaptiveBackboneEnsemble(blocks, **NAMED)
    assert clf.set_classes(names) is clf
    fitted = AdaptiveBackboneEnsemble(blocks, **NAMED, class_names=names).fit(X[:2])
    for method in ("predict_proba", "routing_weights", "expert_proba", "transform"):
        assert_array_equal(getattr(clf, method)(X), getattr(fitted, method)(X))
    assert list(clf.expert_names_) == list(fitted.expert_names_)
    assert clf.set_classes([0, 1], class_names=["cat", "dog"]).predict(X[:9]).max() <= 1


def test_columns_in_another_order_are_seen_where_classes_were_set_without_rows(X, y):
    names, other_order = np.unique(y), [*BACKBONES[1:], BACKBONES[0]]
    frame = pd.DataFrame(X, columns=[f"{one}__{i}" for one in BACKBONES for i in range(128)])
    right = AdaptiveBackboneEnsemble(BACKBONES, **NAMED).set_classes(names)
    with no_warning():
        assert_array_equal(right.predict(frame), right.predict(frame.to_numpy()))
    wrong = AdaptiveBackboneEnsemble(other_order, **NAMED).set_classes(names)
    with pytest.raises(ValueError, match=r"has the column 'zoo/RN20__0' where embeddings of 'zoo"):
        wrong.predict(frame)
    with pytest.warns(SuspectedMistakeWarning, match="fit the texts of 'zoo/.*, and not its own"):
        wrong.predict(X)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"head": "auto"}, r"is not fitted\. To set classes without rows, set head='zero-shot'; o"),
        ({"calibrate": True, "router": "static"}, r"set router='uniform' \(.*, calibrate=False; o"),
        ({"blocks": None}, "blocks=None does not say what X will be. Name the backbones"),
        ({"router": "uniformly"}, "'router' parameter"),
    ],
)
def test_classes_cannot_be_set_without_rows_if_something_learns_from_them(parameters, message):
    clf = AdaptiveBackboneEnsemble(**{"blocks": BACKBONES, **NAMED, **parameters})
    before = vars(clf).copy()
    with pytest.raises(ValueError, match=message):
        clf.set_classes(["cat", "dog"])
    assert vars(clf) == before
    clf = AdaptiveBackboneEnsemble(BACKBONES, **NAMED)
    with pytest.raises(ValueError, match="At least two classes"):
        clf.set_classes(["cat"])
    assert not hasattr(clf, "classes_") and not hasattr(clf, "n_features_in_")


def test_weights_and_groups_are_of_labelled_rows(X):
    clf = make(**NAMED, class_names=["cat", "dog"])
    for name in ("sample_weight", "groups"):
        with pytest.raises(ValueError, match=f"^{name} is given, but y is not"):
            clf.fit(X, **{name: np.ones(len(X))})


def test_a_frame_tells_the_blocks_without_labels():
    embedder = MultiBackboneEmbedder(BACKBONES).set_output(transform="pandas")
    frame = embedder.fit_transform(load_emoji(return_X_y=True)[0][:3])
    clf = make(None, **NAMED, class_names=("cat", "dog")).fit(frame)
    assert clf.expert_names_.tolist() == BACKBONES
    assert clf.feature_names_in_.tolist() == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(frame[frame.columns[::-1]])


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"head": "auto"}, "set head='zero-shot'."),
        ({"head": ["zero-shot", "linear"]}, "set head='zero-shot'."),
        ({"router": "static"}, "set router='uniform' (or another that learns nothing)."),
        ({"router": StaticRouter()}, "set router='uniform' (or another that learns nothing)."),
        ({"calibrate": True}, "set calibrate=False."),
        ({"class_names": None}, "set class_names to a list of names."),
        ({"class_names": {0: "cat"}, "calibrate": True}, "calibrate=False, class_names to a list"),
        ({"class_names": ["cat"]}, "At least two classes"),
        ({"class_names": ["cat", "dog", "dog"]}, "'dog' more than once"),
        ({"class_names": []}, "class_names is empty"),
        (
            {"class_names": ["cat.jpg", "dog.jpg"]},
            "class_names holds paths or names of images, such as 'cat.jpg', and not labels.",
        ),
    ],
)
def test_what_is_missing_where_there_are_no_labels(X, parameters, says):
    given = {**NAMED, "class_names": ["cat", "dog"], **parameters}
    with pytest.raises(ValueError) as told:
        make(**given).fit(X)
    assert says in str(told.value) and "train_test_split" not in str(told.value)


class Witness:
    """A router that remembers which experts learn from rows."""

    def fit(self, X, logits, y, learned=None):
        self.learned = learned
        return self

    def combine(self, X, logits):
        return logits.mean(axis=1)


def test_a_router_is_told_which_experts_learn_from_rows(X, y):
    clf = make(head=["zero-shot", "linear"], router=Witness()).fit(X, y)
    n_blocks = len(BACKBONES)
    assert_array_equal(clf.router_.learned, np.repeat([False, True], n_blocks))


def test_columns_of_ones_own_need_no_torch():
    """A table of embeddings that were made elsewhere is classified without what made them."""
    code = """
import sys
from sklearn.datasets import load_iris
from skclipens import AdaptiveBackboneEnsemble
X, y = load_iris(return_X_y=True, as_frame=True)
blocks = [("sepal__RN50", slice(0, 2)), ("petal", slice(2, 4))]
AdaptiveBackboneEnsemble(blocks).fit(X, y).predict(X)
assert not {"torch", "open_clip", "timm"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# Arrays of other libraries


def test_tensors_are_read_also_where_scikit_learn_dispatches(X, y, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    codes = np.unique(y, return_inverse=True)[1]
    expected = make(head="auto", class_names=np.unique(y).tolist()).fit(X, codes)
    tensors = torch.tensor(X), torch.tensor(codes)
    with config_context(array_api_dispatch=True):
        clf = clone(expected).fit(*tensors, sample_weight=torch.ones(len(y)))
        assert_allclose(clf.predict_proba(tensors[0]), expected.predict_proba(X), rtol=1e-3)
        assert clf.score(*tensors) == expected.score(X, codes)
        head = LinearDiscriminantHead().fit(*tensors)
        assert head.score(*tensors) == LinearDiscriminantHead().fit(X, codes).score(X, codes)

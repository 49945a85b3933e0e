"""Heads that correct prompts by rows: what they share; GDA, CLAP and cross-modal rows."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from skclipens import CLIPEmbedder, ZeroShotHead
from skclipens.datasets import load_emoji
from skclipens.heads import (
    CLAPHead,
    CLIPAdapterHead,
    CrossModalHead,
    GDAHead,
    LinearDiscriminantHead,
    LinearProbeHead,
    ResidualHead,
    TipAdapterHead,
)
from skclipens.model_selection import FewShotSplit
from skclipens.utils.estimator_checks import check_head

pytestmark = pytest.mark.usefixtures("embedded_once")

BACKBONE = "zoo/RN20"
HEADS = [kind(BACKBONE) for kind in (GDAHead, CLAPHead, CrossModalHead, ResidualHead)]
all_heads = pytest.mark.parametrize("head", HEADS, ids=lambda head: type(head).__name__)


@pytest.fixture(scope="module")
def emoji():
    """Embeddings of 15 classes in double precision, and labels."""
    emoji = load_emoji(min_class_size=40)
    X = CLIPEmbedder(BACKBONE).fit_transform(emoji.filenames).astype(float)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return X, emoji.target_names[emoji.target]


def split(emoji, n_shots, seed=0):
    X, y = emoji
    train, test = next(FewShotSplit(n_shots, random_state=seed).split(X, y))
    return X[train], y[train], X[test], y[test]


def zero_shot_logits(X, y, X_test):
    head = ZeroShotHead(BACKBONE).fit(X, y)
    return X_test @ head.text_features_.T * head.logit_scale_


def centred(logits):
    return logits - logits.mean(axis=1, keepdims=True)


# What all have in common


PLAIN = [LinearDiscriminantHead(), LinearProbeHead(cv=2)]
PLAIN += [LinearDiscriminantHead(shrinkage=2.0), LinearDiscriminantHead(cv=3)]
OTHERS = [ZeroShotHead(BACKBONE), TipAdapterHead(BACKBONE), CLIPAdapterHead(BACKBONE, max_iter=5)]


@pytest.mark.parametrize("head", [*HEADS, *OTHERS, *PLAIN], ids=repr)
def test_keeps_the_protocol(head):
    check_head(head)


LEARNING = [GDAHead, CLAPHead, CLIPAdapterHead, CrossModalHead, ResidualHead, TipAdapterHead]


@pytest.mark.parametrize("kind", LEARNING)
def test_one_class_is_nothing_to_learn_from(kind, emoji):
    X = emoji[0][:4]
    with pytest.raises(ValueError, match="At least two classes"):
        kind(BACKBONE).fit(X, ["cat"] * len(X))


@all_heads
def test_prompts_help_rows(head, emoji):
    X, y, X_test, y_test = split(emoji, 4)
    rows = LinearDiscriminantHead().fit(X, y).score(X_test, y_test)
    assert clone(head).fit(X, y).score(X_test, y_test) > rows


@all_heads
def test_serves_where_prompts_mean_nothing(head, emoji):
    X, y, X_test, y_test = split(emoji, 16)
    names = np.unique(y)
    wrong = dict(zip(names, np.roll(names, 1)))
    head = clone(head).set_params(class_names=wrong).fit(X, y)
    rows = LinearDiscriminantHead().fit(X, y).score(X_test, y_test)
    assert head.score(X_test, y_test) > rows - 0.1


@all_heads
def test_one_row_per_class_keeps_what_prompts_say(head, emoji):
    X, y, X_test, y_test = split(emoji, 1)
    text = ZeroShotHead(BACKBONE).fit(X, y).score(X_test, y_test)
    head = clone(head)
    logits, valid = head.cross_fit(X, y)
    assert valid.all()
    assert np.isfinite(logits).all()
    assert head.score(X_test, y_test) > text - 0.08


@all_heads
@pytest.mark.parametrize("n_shots", [1, 4])
def test_held_out_logits_do_not_know_the_labels_of_their_rows(head, n_shots, emoji):
    X, y, *_ = split(emoji, n_shots)
    noise = np.random.default_rng(0).permutation(y)
    head = clone(head)
    logits, valid = head.cross_fit(X, noise)
    assert valid.all()
    assert np.mean(head.classes_[logits.argmax(axis=1)] == noise) < 0.35


@all_heads
def test_cross_fitting_leaves_the_head_as_fitting_does(head, emoji):
    X, y, X_test, _ = split(emoji, 4)
    crossed = clone(head)
    crossed.cross_fit(X, y)
    expected = clone(head).fit(X, y).decision_function(X_test)
    assert_array_equal(crossed.decision_function(X_test), expected)


@all_heads
def test_copies_of_a_row_do_not_judge_each_other(head, emoji):
    """Labels that mean nothing seem right where a row has a near copy, unless groups say so."""
    X, y, *_ = split(emoji, 4)
    rng = np.random.default_rng(0)
    noise = rng.permutation(y)
    X, noise, groups = X.repeat(3, axis=0), noise.repeat(3), np.arange(len(X)).repeat(3)
    X = X + 1e-4 * rng.standard_normal(X.shape)
    head = clone(head)

    def seems_right(**given):
        logits, _ = clone(head).cross_fit(X, noise, **given)
        return np.mean(np.unique(noise)[logits.argmax(axis=1)] == noise)

    assert seems_right() > 0.6
    assert seems_right(groups=groups) < 0.35


# GDA


def gda_logits(X, y, X_test):
    """The formula of the paper: rows of one Gaussian per class, uniform priors."""
    classes, targets = np.unique(y, return_inverse=True)
    means = np.stack([X[y == c].mean(axis=0) for c in classes])
    rest, (n, d) = X - means[targets], X.shape
    S = rest.T @ rest / n
    precision = d * np.linalg.inv((n - 1) * S + np.trace(S) * np.eye(d))
    coef = means @ precision
    return (X_test @ coef.T - np.einsum("cd,cd->c", coef, means) / 2) * (n - 1) / d


@pytest.mark.parametrize("n_shots", [2, 16])  # fewer and more rows than columns
def test_gda_is_its_formula(n_shots, emoji):
    X, y, X_test, _ = split(emoji, n_shots)
    head = GDAHead(BACKBONE).fit(X, y)
    given = GDAHead(BACKBONE, alpha=0.25).fit(X, y)
    assert given.alpha_ == 0.25
    for one in (head, given):
        expected = zero_shot_logits(X, y, X_test) / one.temperature_
        expected += one.alpha_ * gda_logits(X, y, X_test)
        found = one.decision_function(X_test)
        assert_allclose(centred(found), centred(expected), rtol=1e-6, atol=1e-6)


def test_alpha_is_the_best_for_held_out_training_rows(emoji):
    X, y, *_ = split(emoji, 4)
    head = GDAHead(BACKBONE)
    logits, _ = head.cross_fit(X, y)
    text = zero_shot_logits(X, y, X) / head.temperature_
    correction = (logits - text) / head.alpha_
    targets = np.searchsorted(head.classes_, y)

    smoothed = np.full(text.shape, 1 / (len(y) + 2) / (text.shape[1] - 1))
    smoothed[np.arange(len(y)), targets] = (len(y) + 1) / (len(y) + 2)  # as of Platt

    def loss(alpha):
        return -np.sum(smoothed * log_softmax(text + alpha * correction, axis=1))

    for factor in (0, 0.5, 0.8, 1.25, 2):
        assert loss(head.alpha_) < loss(factor * head.alpha_)


def test_without_a_discriminant_gda_is_zero_shot(emoji):
    X, y, X_test, _ = split(emoji, 4)
    head = GDAHead(BACKBONE, alpha=0).fit(X, y)
    assert_array_equal(head.predict(X_test), ZeroShotHead(BACKBONE).fit(X, y).predict(X_test))


def test_one_row_per_class_of_gda_is_the_nearest_row_at_a_fixed_spread(emoji):
    X, y, X_test, _ = split(emoji, 1)
    head = GDAHead(BACKBONE).fit(X, y)
    spread = (head.alpha_ * head._discriminant_logits(X)).std(axis=1).mean()
    assert spread == pytest.approx(0.5)
    nearest = y[np.argmax(X_test @ X.T, axis=1)]
    assert_array_equal(head.classes_[head._discriminant_logits(X_test).argmax(axis=1)], nearest)
    weighted = GDAHead(BACKBONE).fit(X, y, sample_weight=np.linspace(0.1, 3, len(X)))
    assert_allclose(weighted.decision_function(X), head.decision_function(X), rtol=0.2, atol=0.3)


# CLAP


@pytest.mark.parametrize("alpha", [0.1, 10.0])
def test_clap_is_the_minimum_of_its_formula(alpha, emoji):
    X, y, X_test, _ = split(emoji, 4)
    head = CLAPHead(BACKBONE, alpha=alpha).fit(X, y)
    scale, text = head.logit_scale_ / head.temperature_, head.text_features_.astype(float)
    targets = np.searchsorted(head.classes_, y)
    rows = np.arange(len(y))
    known = softmax(scale * X @ text.T, axis=1)[rows, targets]
    lambdas = np.array([known[targets == c].mean() for c in range(len(text))])

    def loss(coef):
        fit = -log_softmax(scale * X @ coef.T, axis=1)[rows, targets].mean()
        return fit + alpha * np.mean(lambdas * np.sum((coef - text) ** 2, axis=1))

    best = loss(head.probe_coef_)
    assert best < loss(text) - 0.01
    rng = np.random.default_rng(0)
    for _ in range(5):
        step = rng.normal(size=text.shape)
        step *= 0.02 * np.linalg.norm(head.probe_coef_ - text) / np.linalg.norm(step)
        assert loss(head.probe_coef_ + step) > best - 1e-6
    expected = scale * X_test @ head.probe_coef_.T
    assert_allclose(head.decision_function(X_test), expected, rtol=1e-5, atol=1e-5)


def test_a_strong_penalty_leaves_zero_shot(emoji):
    X, y, X_test, _ = split(emoji, 4)
    head = CLAPHead(BACKBONE, alpha=1e9).fit(X, y)
    expected = zero_shot_logits(X, y, X_test) / head.temperature_
    assert_allclose(head.decision_function(X_test), expected, atol=1e-3)


def test_clap_alpha_is_the_best_for_held_out_training_rows(emoji):
    X, y, *_ = split(emoji, 4)
    targets = np.unique(y, return_inverse=True)[1]
    head = CLAPHead(BACKBONE)

    def loss(logits):
        return -log_softmax(logits, axis=1)[np.arange(len(y)), targets].mean()

    best = loss(head.cross_fit(X, y)[0])
    for alpha in (100.0, 10.0, 1.0, 0.1, 0.01):
        assert best <= loss(CLAPHead(BACKBONE, alpha=alpha).cross_fit(X, y)[0]) + 1e-2
    X, y, *_ = split(emoji, 1)
    assert CLAPHead(BACKBONE).fit(X, y).alpha_ == 1


def test_too_few_iterations_are_told(emoji):
    X, y, *_ = split(emoji, 2)
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        CLAPHead(BACKBONE, alpha=1.0, max_iter=2).fit(X, y)


# Classes without rows


@pytest.mark.parametrize("container", [pd.DataFrame, pl.DataFrame])
def test_classes_set_without_rows_need_no_names_of_columns_of_a_fit(container, emoji, recwarn):
    X, y = emoji
    frame = pd.DataFrame(X[:20], columns=[f"{BACKBONE}__{i}" for i in range(X.shape[1])])
    head = ZeroShotHead(BACKBONE).set_classes(np.unique(y))
    given = frame if container is pd.DataFrame else pl.from_pandas(frame)
    assert_array_equal(head.predict(given), head.predict(X[:20]))
    assert not recwarn.list
    with pytest.raises(ValueError, match="in their order"):
        head.predict(frame[frame.columns[::-1]])


# Cross-modal rows


@pytest.mark.parametrize("text_weight", [1.0, 4.0])
def test_cross_modal_is_a_logistic_regression_of_images_and_texts(text_weight, emoji):
    X, y, X_test, _ = split(emoji, 2)
    head = CrossModalHead(BACKBONE, text_weight=text_weight).fit(X, y)
    rows = np.concatenate([X, head.text_features_])
    labels = np.append(y, head.classes_)
    weights = np.append(np.ones(len(X)), np.full(len(head.text_features_), text_weight))
    expected = LogisticRegression(C=head.probe_.C_, max_iter=1000).fit(rows, labels, weights)
    assert_allclose(
        head.predict_proba(X_test), expected.predict_proba(X_test), rtol=1e-3, atol=1e-4
    )


def test_one_image_per_class_judges_the_regularisation_beside_the_texts(emoji):
    X, y, *_ = split(emoji, 1)
    head = CrossModalHead(BACKBONE)
    _, valid = head.cross_fit(X, y)
    assert valid.all()
    groups = np.arange(len(X)) // 2
    logits, valid = head.cross_fit(X, y, groups=groups)
    assert valid.all()
    assert np.isfinite(logits).all()

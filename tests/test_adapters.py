"""Tests of the heads that learn from few shots, on pictures of the zoo."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit, log_softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.utils._param_validation import InvalidParameterError

from skclipens import CLIPEmbedder
from skclipens._utils._folds import covers_most, few_shot_folds
from skclipens._utils._linalg import parts_of
from skclipens.datasets import load_emoji
from skclipens.heads import (
    CLAPHead,
    CLIPAdapterHead,
    CrossModalHead,
    GDAHead,
    LinearProbeHead,
    ResidualHead,
    TipAdapterHead,
    ZeroShotHead,
)
from skclipens.heads._temperature import fit_temperature
from skclipens.model_selection import FewShotSplit

BACKBONE = "zoo/ViT-16"
N_SHOTS = 4

TIP = TipAdapterHead(BACKBONE)
TIP_F = TipAdapterHead(BACKBONE, fine_tune=True, random_state=0)
CLIP_ADAPTER = CLIPAdapterHead(BACKBONE, max_iter=10, random_state=0)
PROBE = LinearProbeHead(cv=2)
CORRECTED = [kind(BACKBONE) for kind in (ResidualHead, GDAHead, CLAPHead, CrossModalHead)]
PROMPTED = [ZeroShotHead(BACKBONE), TIP, TIP_F, CLIP_ADAPTER]
TEXT_HEADS = pytest.mark.parametrize("head", PROMPTED, ids=repr)
ALL_HEADS = pytest.mark.parametrize("head", [*PROMPTED, *CORRECTED, PROBE], ids=repr)


@pytest.fixture(scope="module")
def emoji():
    """Embeddings that are not normalised, integer labels, and names."""
    data = load_emoji(min_class_size=35)
    X = CLIPEmbedder(BACKBONE, device="cpu", normalize=False).fit_transform(data.filenames)
    return X, data.target, data.target_names


@pytest.fixture(scope="module")
def names(emoji):
    return emoji[2]


@pytest.fixture(scope="module")
def split(emoji):
    X, y, names = emoji
    train, test = next(FewShotSplit(N_SHOTS, 1, random_state=0).split(X, y))
    return X[train], names[y[train]], X[test], names[y[test]]


def unit(X):
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def held_out_logits(head, X, y):
    """What a head says of each row without having seen it."""
    return clone(head).cross_fit(X, y)[0]


def cross_entropy(logits, classes, y):
    return -log_softmax(logits, axis=1)[np.arange(len(y)), np.searchsorted(classes, y)].mean()


# Tip-Adapter


def tip_logits(X, X_train, y_train, alpha, beta):
    """The formula of the paper, with dense one-hot labels and no shortcut."""
    zero_shot = ZeroShotHead(BACKBONE).fit(X_train, y_train)
    one_hot = np.equal.outer(y_train, zero_shot.classes_).astype(float)
    f, F = unit(X), unit(X_train)
    text = zero_shot.logit_scale_ * f @ zero_shot.text_features_.T
    return text + alpha * np.exp(-beta * (1 - f @ F.T)) @ one_hot


def test_cosines_above_one_by_rounding_are_one(split):
    """Else their powers overflow, and are NaN after the product with the labels."""
    X, y, _, _ = split
    head = TipAdapterHead(BACKBONE, alpha=3, beta=1e12).fit(X, y)
    zero_shot = ZeroShotHead(BACKBONE).fit(X, y)
    gain = head.decision_function(X) - zero_shot.decision_function(X)
    assert np.isfinite(gain).all()
    assert gain.max() < 3.01


def test_tip_adapter_does_not_mind_values_that_underflow(split):
    X, y, X_test, _ = split
    head = TipAdapterHead(BACKBONE, alpha=1, beta=1000)
    expected = head.fit(X, y).decision_function(X_test)
    with np.errstate(under="raise"):
        np.testing.assert_array_equal(head.fit(X, y).decision_function(X_test), expected)


@pytest.mark.parametrize(("alpha", "beta"), [(1, 5.5), (0.3, 1), (40.0, 20.0)])
def test_tip_adapter_is_its_formula(alpha, beta, split):
    X, y, X_test, _ = split
    head = TipAdapterHead(BACKBONE, alpha=alpha, beta=beta).fit(X, y)
    expected = tip_logits(X_test, X, y, alpha, beta)
    np.testing.assert_allclose(head.decision_function(X_test), expected, rtol=1e-4, atol=1e-3)
    assert (head.alpha_, head.beta_) == (alpha, beta)


def test_without_a_cache_it_is_zero_shot(split):
    X, y, X_test, _ = split
    expected = ZeroShotHead(BACKBONE).fit(X, y)
    head = TipAdapterHead(BACKBONE, alpha=0).fit(X, y)
    for method in ("decision_function", "predict_proba", "predict"):
        np.testing.assert_array_equal(
            getattr(head, method)(X_test), getattr(expected, method)(X_test)
        )
    np.testing.assert_array_equal(held_out_logits(head, X, y), head.decision_function(X))


def test_held_out_logits_are_those_of_refits(split):
    X, y, _, _ = split
    head = clone(TIP)
    logits, valid = head.cross_fit(X, y)
    assert head.alpha_ > 0
    assert valid.all()
    np.testing.assert_array_equal(head.predict(X), clone(TIP).fit(X, y).predict(X))
    for i in range(0, len(X), 7):
        rest = np.arange(len(X)) != i
        refit = TipAdapterHead(BACKBONE, alpha=head.alpha_, beta=head.beta_).fit(X[rest], y[rest])
        np.testing.assert_allclose(
            logits[[i]], refit.decision_function(X[[i]]), rtol=1e-4, atol=1e-4
        )


def test_the_held_out_logits_of_a_class_with_one_row_are_not_known(split):
    X, y, _, _ = split
    (lone, *others) = np.flatnonzero(y == y[0])
    X, y = np.delete(X, others, axis=0), np.delete(y, others)
    folds = [(np.arange(fold, len(X), 2), np.arange(1 - fold, len(X), 2)) for fold in (0, 1)]
    for some in (None, folds):
        _, valid = clone(TIP).cross_fit(X, y, folds=some)
        np.testing.assert_array_equal(valid, np.arange(len(X)) != lone)


def test_keys_that_were_trained_have_no_held_out_logits(split):
    X, y, _, _ = split
    assert held_out_logits(TIP, X, y).shape == (len(X), len(np.unique(y)))
    assert not hasattr(TIP_F, "cross_fit")


def text_temperature(X, y):
    zero_shot = ZeroShotHead(BACKBONE).fit(X, y)
    targets = np.searchsorted(zero_shot.classes_, y)
    return fit_temperature(zero_shot._logits_of(X), targets)


def test_auto_is_the_best_of_its_grid_on_held_out_rows(split):
    X, y, _, _ = split
    head = clone(TIP).fit(X, y)
    calibrated = text_temperature(X, y)
    power = np.log2(head.alpha_ / calibrated)
    assert power == pytest.approx(round(power))

    def held_out_loss(alpha, beta):
        fixed = TipAdapterHead(BACKBONE, alpha=alpha, beta=beta)
        return cross_entropy(held_out_logits(fixed, X, y) / calibrated, head.classes_, y)

    best = held_out_loss(head.alpha_, head.beta_)
    for alpha in (0, 1, head.alpha_ / 2, head.alpha_ * 2):
        for beta in (head.beta_ / 2, head.beta_, head.beta_ * 2):
            assert best <= held_out_loss(alpha, beta) + 1e-5
    alone = TipAdapterHead(BACKBONE, beta=head.beta_).fit(X, y)
    assert (alone.alpha_, alone.beta_) == (head.alpha_, head.beta_)
    alone = TipAdapterHead(BACKBONE, alpha=head.alpha_).fit(X, y)
    assert (alone.alpha_, alone.beta_) == (head.alpha_, head.beta_)


def test_one_row_per_class_searches_nothing(split):
    X, y, _, _ = split
    first = np.unique(y, return_index=True)[1]
    alpha = text_temperature(X[first], y[first])
    for head, expected in [
        (TIP, (alpha, 5.5)),
        (TipAdapterHead(BACKBONE, alpha=3), (3, 5.5)),
        (TipAdapterHead(BACKBONE, beta=2), (alpha, 2)),
    ]:
        head = clone(head).fit(X[first], y[first])
        assert (head.alpha_, head.beta_) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("targets", "judges"),
    [
        ([0, 1, 2], []),
        ([0, 0, 1], []),
        ([0, 0, 1, 1], [0, 1, 2, 3]),
        ([0, 1, 2, 1, 0], [0, 1, 3, 4]),
        ([0, 1, 2, 3, 1, 0], []),
    ],
)
def test_rows_that_judge(targets, judges):
    """Those whose class has another row, if they are of more than half of the classes."""
    targets = np.array(targets)
    folds = few_shot_folds(targets, every_class=True)
    rows = sorted(np.concatenate([test for _, test in folds]).tolist()) if folds else []
    assert (rows if covers_most(targets[rows], targets.max() + 1) else []) == judges
    for train, test in folds:
        assert set(targets[train]) == set(targets[test])


def test_few_rows_at_a_time_give_the_same(split, monkeypatch):
    X, y, X_test, _ = split
    expected = clone(TIP)
    held_out, _ = expected.cross_fit(X, y)
    logits = expected.decision_function(X_test)
    monkeypatch.setattr(TipAdapterHead, "_batches", lambda self, n: parts_of(n, 7))
    head = clone(TIP).fit(X, y)
    assert (head.alpha_, head.beta_) == (expected.alpha_, expected.beta_)
    np.testing.assert_allclose(held_out_logits(TIP, X, y), held_out, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(head.decision_function(X_test), logits, rtol=1e-5, atol=1e-5)


def test_few_shots_help(split):
    X, y, X_test, y_test = split
    zero_shot = ZeroShotHead(BACKBONE).fit(X, y).score(X_test, y_test)
    for head in (TIP, TIP_F, clone(CLIP_ADAPTER).set_params(max_iter=60)):
        assert clone(head).fit(X, y).score(X_test, y_test) > zero_shot


# Training


def test_a_fine_tuned_head_says_why_it_has_no_cross_fit():
    assert not hasattr(TIP_F, "cross_fit")
    with pytest.raises(AttributeError) as raised:
        _ = TIP_F.cross_fit
    assert "keys are trained on all rows" in str(raised.value.__cause__)


def test_fine_tuned_logits_are_the_formula_with_the_trained_keys(split):
    X, y, X_test, _ = split
    head = clone(TIP_F).fit(X, y)
    text = ZeroShotHead(BACKBONE).fit(X, y).decision_function(X_test)
    cache = np.exp(-head.beta_ * (1 - unit(X_test) @ head.keys_.T)) @ head.values_.toarray()
    np.testing.assert_allclose(
        head.decision_function(X_test), text + head.alpha_ * cache, rtol=1e-4, atol=1e-3
    )
    untrained = clone(TIP).fit(X, y)
    assert (head.alpha_, head.beta_) == (untrained.alpha_, untrained.beta_)
    assert np.abs(head.keys_ - untrained.keys_).max() > 1e-3


def test_training_lowers_the_training_loss(split):
    X, y, _, _ = split
    head = clone(TIP_F).fit(X, y)
    # One batch per epoch: the first loss is that of the untrained keys.
    untrained = cross_entropy(held_out_logits(TIP, X, y), head.classes_, y)
    assert head.loss_curve_[0] == pytest.approx(untrained, rel=1e-3)
    assert head.loss_curve_[-1] < 0.97 * untrained
    assert len(head.loss_curve_) == head.n_iter_ == 20
    head = clone(CLIP_ADAPTER).fit(X, y)
    after = cross_entropy(head.decision_function(X), head.classes_, y)
    assert after < 0.97 * head.loss_curve_[0]
    assert len(head.loss_curve_) == head.n_iter_ == 10


def test_clip_adapter_is_its_formula(split):
    X, y, X_test, _ = split
    head = clone(CLIP_ADAPTER).set_params(ratio=0.6, reduction=8).fit(X, y)
    first, second = (torch.from_numpy(coef) for coef in head.adapter_coefs_)
    assert (first.shape, second.shape) == ((128, 16), (16, 128))
    f = torch.from_numpy(X_test)  # of any length, as in the paper
    mixed = 0.6 * torch.relu(torch.relu(f @ first) @ second) + 0.4 * f
    zero_shot = ZeroShotHead(BACKBONE).fit(X, y)
    np.testing.assert_allclose(
        head.decision_function(X_test), zero_shot.decision_function(mixed.numpy()), atol=1e-3
    )


def test_clip_adapter_without_an_adapter_is_zero_shot(split):
    X, y, X_test, _ = split
    expected = ZeroShotHead(BACKBONE).fit(X, y).decision_function(X_test)
    head = clone(CLIP_ADAPTER).set_params(ratio=0, max_iter=1).fit(X, y)
    np.testing.assert_allclose(head.decision_function(X_test), expected, atol=1e-4)


def test_a_ratio_that_is_set_after_fit_waits_for_the_next_fit(split):
    X, y, X_test, _ = split
    head = clone(CLIP_ADAPTER).set_params(max_iter=1).fit(X, y)
    expected = head.decision_function(X_test)
    np.testing.assert_array_equal(head.set_params(ratio=0.9).decision_function(X_test), expected)


def test_hidden_layer_has_at_least_one_unit(split):
    X, y, _, _ = split
    head = clone(CLIP_ADAPTER).set_params(reduction=1000, max_iter=1).fit(X, y)
    assert head.adapter_coefs_[0].shape == (128, 1)


@TEXT_HEADS
def test_length_of_a_training_row_does_not_matter(head, split):
    X, y, X_test, _ = split
    lengths = np.random.default_rng(0).uniform(0.1, 10, (len(X), 1)).astype("f")
    expected = clone(head).fit(X, y).decision_function(X_test)
    found = clone(head).fit(X * lengths, y).decision_function(X_test)
    np.testing.assert_allclose(found, expected, atol=2e-2)


@pytest.mark.parametrize("head", [TIP_F, CLIP_ADAPTER], ids=["tip-f", "clip-adapter"])
def test_random_state_repeats(head, split):
    X, y, X_test, _ = split
    head = clone(head).set_params(batch_size=np.int64(16), max_iter=3)
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first, again = (clone(head).fit(X, y).decision_function(X_test) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert torch.equal(torch.random.get_rng_state(), before)
    other = clone(head).set_params(random_state=1).fit(X, y).decision_function(X_test)
    assert np.abs(other - first).max() > 1e-4


@pytest.mark.usefixtures("bars_at_once")
@pytest.mark.parametrize("head", [TIP_F, CLIP_ADAPTER], ids=["tip-f", "clip-adapter"])
def test_a_bar_shows_how_far_training_is(head, split, capsys):
    X, y, _, _ = split
    head = clone(head).set_params(max_iter=2).fit(X, y)
    assert capsys.readouterr() == ("", "")
    head.set_params(verbose=True).fit(X, y)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"{type(head).__name__}: 100%" in shown.err
    assert "2/2 [" in shown.err
    assert f"loss={head.loss_curve_[-1]:.3g}" in shown.err


@pytest.mark.gpu
@pytest.mark.parametrize("head", [TIP_F, CLIP_ADAPTER], ids=["tip-f", "clip-adapter"])
def test_training_on_a_gpu_agrees(head, split):
    X, y, X_test, _ = split
    cpu, gpu = (
        clone(head).set_params(device=device).fit(X, y).decision_function(X_test)
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(gpu, cpu, atol=5e-2)


# What all heads have in common


@ALL_HEADS
@pytest.mark.filterwarnings("error")
def test_one_row_per_class_is_enough(head, split):
    X, y, X_test, y_test = split
    first = np.unique(y, return_index=True)[1]
    X, X_test = unit(X), unit(X_test)
    score = clone(head).fit(X[first], y[first]).score(X_test, y_test)
    assert score > 3 / len(first)


@ALL_HEADS
def test_string_and_integer_labels_agree(head, split, names):
    X, y, X_test, _ = split
    expected = clone(head).fit(X, y)
    labels = np.searchsorted(names, y) * 10
    named = clone(head)
    if "class_names" in named.get_params():
        named.set_params(class_names={10 * i: name for i, name in enumerate(names)})
    named.fit(X, labels)
    assert named.classes_.dtype == labels.dtype
    np.testing.assert_array_equal(
        named.decision_function(X_test), expected.decision_function(X_test)
    )
    np.testing.assert_array_equal(names[named.predict(X_test) // 10], expected.predict(X_test))


@ALL_HEADS
def test_two_classes(head, split):
    X, y, X_test, _ = split
    two = np.isin(y, y[[0, -1]])
    assert len(np.unique(y[two])) == 2
    head = clone(head).fit(X[two], y[two])
    difference = head.decision_function(X_test)
    assert difference.shape == (len(X_test),)
    proba = head.predict_proba(X_test)
    np.testing.assert_allclose(proba[:, 1], expit(difference), rtol=1e-3, atol=1e-6)
    expected = head.classes_[(difference > 0).astype(int)]
    np.testing.assert_array_equal(head.predict(X_test), expected)


@ALL_HEADS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(head, dtype, split):
    X, y, X_test, _ = split
    head = clone(head).fit(X.astype(dtype), y)
    for method in (head.decision_function, head.predict_proba):
        assert method(X_test.astype(dtype)).dtype == dtype
    state = [value for value in vars(head).values() if isinstance(value, np.ndarray)]
    learned = {value.dtype for value in state if value.dtype.kind == "f"}
    assert learned <= {np.dtype(dtype), np.dtype(np.float32)}


@ALL_HEADS
def test_names_of_columns(head, split):
    X, y, X_test, _ = split
    columns = CLIPEmbedder(BACKBONE).get_feature_names_out()
    frame = pd.DataFrame(X, columns=columns)
    # As an array that lies in memory as the frame does: other layouts round otherwise.
    expected = clone(head).fit(frame.to_numpy(), y)
    head = clone(head).fit(frame, y)
    assert head.n_features_in_ == 128
    np.testing.assert_array_equal(head.feature_names_in_, columns)
    frame = pd.DataFrame(X_test, columns=columns)
    np.testing.assert_array_equal(head.predict(frame), expected.predict(frame.to_numpy()))
    with pytest.raises(ValueError, match="feature names"):
        head.predict(frame.iloc[:, ::-1])
    with pytest.raises(ValueError, match=r"100 features, but .* is expecting 128"):
        expected.predict(X_test[:, :100])


@ALL_HEADS
def test_not_fitted(head, split):
    for method in ("decision_function", "predict_proba", "predict_log_proba", "predict"):
        with pytest.raises(NotFittedError):
            getattr(clone(head), method)(split[2])


@ALL_HEADS
def test_in_cross_validation(head, split):
    X, y, _, _ = split
    few = np.isin(y, np.unique(y)[:6])
    scores = cross_val_score(clone(head), unit(X[few]), y[few], cv=2)
    assert scores.min() > 1 / 6


@ALL_HEADS
def test_values_that_are_no_embeddings(head, split):
    X, y, _, _ = split
    with pytest.raises(ValueError, match="NaN"):
        clone(head).fit(np.full_like(X, np.nan), y)
    with pytest.raises(ValueError, match="Unknown label type"):
        clone(head).fit(X, np.linspace(0, 1, len(X)))


@TEXT_HEADS
def test_classes_need_names(head, split):
    X, y, _, _ = split
    labels = np.unique(y, return_inverse=True)[1]
    with pytest.raises(ValueError, match="Label 0 is not a string"):
        clone(head).fit(X, labels)
    with pytest.raises(ValueError, match="no name for label 2"):
        clone(head).set_params(class_names=["cat", "dog"]).fit(X, labels)
    with pytest.raises(ValueError, match="got 'a photo'"):
        clone(head).set_params(templates=["a photo"]).fit(X, y)


@TEXT_HEADS
def test_other_prompts_give_other_logits(head, split):
    X, y, X_test, _ = split
    one = clone(head).set_params(templates=["{}"]).fit(X, y)
    other = clone(head).fit(X, y)
    assert np.abs(one.decision_function(X_test) - other.decision_function(X_test)).max() > 1e-2


@TEXT_HEADS
def test_wrong_width_names_the_backbone(head, split):
    X, y, _, _ = split
    with pytest.raises(ValueError, match=r"X has 100 columns.*'zoo/ViT-16' have 128"):
        clone(head).fit(X[:, :100], y)


@TEXT_HEADS
@given(st.data(), st.sampled_from([np.float32, np.float64]))
@settings(max_examples=20)
def test_length_of_an_embedding_does_not_matter(head, split, data, dtype):
    X, y, X_test, _ = split
    head = clone(head).set_params(**{"max_iter": 1} if "max_iter" in head.get_params() else {})
    head, X_test = head.fit(X, y), X_test[:20]
    elements = st.floats(0.125, 1e4, width=32)
    lengths = data.draw(hnp.arrays(dtype, (len(X_test), 1), elements=elements))
    np.testing.assert_allclose(
        head.decision_function(X_test * lengths),
        head.decision_function(X_test),
        rtol=1e-3,
        atol=1e-3,
    )


def test_predict_without_torch(split, tmp_path):
    """What is fitted is numpy, so that it works on a table of embeddings anywhere."""
    X, y, X_test, _ = split
    heads = [clone(head).fit(X, y) for head in (*PROMPTED, PROBE)]
    expected = [head.decision_function(X_test) for head in heads]
    (tmp_path / "heads.pickle").write_bytes(pickle.dumps((heads, X_test, expected)))
    code = """
import pickle, sys
import numpy as np
heads, X, expected = pickle.load(open(sys.argv[1], "rb"))
for head, logits in zip(heads, expected):
    np.testing.assert_allclose(head.decision_function(X), logits, rtol=1e-5, atol=1e-5)
assert not {"torch", "open_clip"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code, tmp_path / "heads.pickle"], check=True)


@pytest.mark.parametrize(
    ("head", "wrong"),
    [
        (TIP, {"alpha": -1}),
        (TIP, {"alpha": "best"}),
        (TIP, {"beta": 0}),
        (TIP, {"fine_tune": "yes"}),
        (TIP_F, {"learning_rate": 0}),
        (TIP_F, {"max_iter": 0}),
        (TIP_F, {"batch_size": 0}),
        (PROBE, {"cv": 1}),
        (PROBE, {"cv": 0.5}),
        (CrossModalHead(BACKBONE), {"text_weight": 2e5}),
        (CLIP_ADAPTER, {"ratio": 1.5}),
        (CLIP_ADAPTER, {"reduction": 0}),
        (CLIP_ADAPTER, {"templates": "a {}"}),
    ],
)
def test_wrong_parameter(head, wrong, split):
    X, y, _, _ = split
    (name,) = wrong
    with pytest.raises(InvalidParameterError, match=f"'{name}' parameter"):
        clone(head).set_params(**wrong).fit(X, y)


@pytest.mark.parametrize("head", [TIP_F, CLIP_ADAPTER], ids=["tip-f", "clip-adapter"])
def test_a_learning_rate_that_is_too_large_is_named(head, split):
    X, y, _, _ = split
    with pytest.raises(ValueError, match=r"is (nan|inf) in epoch \d+, .*learning_rate=1e\+30"):
        clone(head).set_params(learning_rate=1e30).fit(X, y)


def test_unknown_device(split):
    X, y, _, _ = split
    for head in (TIP_F, CLIP_ADAPTER):
        with pytest.raises(ValueError, match="device"):
            clone(head).set_params(device="abacus").fit(X, y)

"""What the agreement of backbones tells of prompts, before any label is seen."""

from string import ascii_lowercase
from unittest.mock import patch

import numpy as np
import pytest
from _pictures import some_of_each
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.metrics import log_loss

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder, ZeroShotHead
from skclipens.heads import KernelHead, _temperature
from skclipens.heads._agreement import expected_inverse
from skclipens.heads._temperature import fit_temperature

BACKBONES = ["zoo/RN20", "zoo/ViT-16", "zoo/DLA"]
HEADS = [ZeroShotHead(one) for one in BACKBONES]


@pytest.fixture(scope="module")
def emoji():
    files, labels = some_of_each(4, 24, min_class_size=30)
    embedder = MultiBackboneEmbedder(BACKBONES).set_output(transform="pandas")
    return embedder.fit_transform(files), labels


def names_of(y, kind, first=0):
    letters = ascii_lowercase[first:]
    return {
        one: one if kind == "own" else f"the letter {letter}"
        for one, letter in zip(np.unique(y).tolist(), letters)
    }


def one_of_each(y, place=0):
    return np.array([np.flatnonzero(y == one)[place] for one in np.unique(y)])


def prompts_of(X, y, kind):
    """Heads with prompts, and their logits of the rows."""
    columns = [[name for name in X if name.startswith(f"{one}__")] for one in BACKBONES]
    options = {"class_names": names_of(y, kind)}
    heads = [ZeroShotHead(one, **options) for one in BACKBONES]
    heads = [head.fit(X[own], y) for head, own in zip(heads, columns, strict=True)]
    return heads, [head.decision_function(X[own]) for head, own in zip(heads, columns, strict=True)]


def test_backbones_agree_on_names_that_describe_the_pictures(emoji):
    X, y = emoji
    few = one_of_each(y)
    found = {kind: expected_inverse(*prompts_of(X.iloc[few], y[few], kind)) for kind in ("own", "")}
    assert found["own"] > 4 * found[""]


def test_one_backbone_agrees_with_none(emoji):
    heads, logits = prompts_of(*emoji, "own")
    assert expected_inverse(heads[:1], logits[:1]) is None
    assert expected_inverse([heads[0], heads[0]], [logits[0], logits[0]]) is None
    assert expected_inverse([], []) is None


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 9))
def test_agreement_is_of_what_tells_classes_apart(seed, n_classes, n):
    """Not of how sure a backbone is, of the level of a row, or of the order of rows and classes."""
    rng = np.random.default_rng(seed)
    logits = list(rng.normal(size=(3, n, n_classes)))
    found = expected_inverse(HEADS, logits)
    shifted = [rng.uniform(0.1, 10) * one + rng.normal(size=(n, 1)) for one in logits]
    order, of_classes = rng.permutation(n), rng.permutation(n_classes)
    assert 0 < found <= 1
    assert expected_inverse(HEADS, shifted) == pytest.approx(found)
    assert expected_inverse(HEADS, [one[order][:, of_classes] for one in logits]) == pytest.approx(
        found
    )
    assert expected_inverse(HEADS, [logits[0]] * 3) >= found


def test_rows_count_by_their_weights():
    rng = np.random.default_rng(0)
    logits, weights = list(rng.normal(size=(3, 8, 4))), np.array([1.0, 2, 3, 1, 0, 2, 1, 1])
    copies = [one.repeat(weights.astype(int), axis=0) for one in logits]
    assert_allclose(expected_inverse(HEADS, logits, weights), expected_inverse(HEADS, copies))


def test_logits_without_any_spread_agree_on_nothing():
    flat = [np.zeros((5, 3), np.float32)] * 3
    assert expected_inverse(HEADS, flat) < expected_inverse(HEADS, [np.eye(5)[:, :3]] * 3)


@pytest.mark.parametrize("expected", [0.01, 0.5])
def test_an_expected_temperature_counts_where_labels_are_few(expected):
    """With one label it decides, with many hardly, even one that is far from what they say."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 3000)
    logits = rng.normal(size=(3000, 4)) + 2 * np.eye(4)[y]
    for n, closest in ((1, expected), (3000, 1 / fit_temperature(logits, y))):
        inverse = 1 / fit_temperature(logits[:n], y[:n], expected=expected)
        assert inverse == pytest.approx(closest, rel=0.6 if n == 1 else 0.02)


@pytest.mark.parametrize("with_weights", [False, True])
def test_the_temperature_of_many_rows_minimises_their_log_loss(with_weights):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 8192)
    logits = rng.normal(size=(8192, 4)) + 2 * np.eye(4)[y]
    weights = rng.integers(1, 4, 8192).astype(float) if with_weights else None
    found = fit_temperature(logits, y, sample_weight=weights)
    losses = [
        log_loss(y, softmax(logits / t, axis=1), sample_weight=weights)
        for t in (found, 0.95 * found, 1.05 * found)
    ]
    assert np.argmin(losses) == 0


@given(
    seed=st.integers(0, 2**16),
    n_rows=st.integers(2, 40),
    n_classes=st.integers(2, 5),
    signal=st.sampled_from([-1.0, 0.0, 1.0, 20.0]),
    has_weights=st.booleans(),
    has_offset=st.booleans(),
)
@settings(max_examples=200)
def test_the_temperature_minimises_the_log_loss_of_smoothed_targets(
    seed, n_rows, n_classes, signal, has_weights, has_offset
):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n_rows)
    logits = rng.normal(size=(n_rows, n_classes)) + signal * np.eye(n_classes)[y]
    weights = rng.uniform(0.5, 3, n_rows) if has_weights else None
    offset = rng.normal(size=logits.shape) if has_offset else None
    n = n_rows if weights is None else weights.sum()
    smoothed = np.full(logits.shape, 1 / (n + 2) / (n_classes - 1))
    smoothed[np.arange(n_rows), y] = (n + 1) / (n + 2)

    def loss_of(temperature):
        z = logits / temperature + (0 if offset is None else offset)
        return -np.average((smoothed * log_softmax(z, axis=1)).sum(axis=1), weights=weights)

    found = fit_temperature(logits, y, sample_weight=weights, offset=offset)
    relative = found / np.sqrt(np.average(logits.var(axis=1), weights=weights))
    others = [t for t in (0.98 * relative, 1.02 * relative) if abs(np.log(t)) < 7]
    assert all(loss_of(found) <= loss_of(t / relative * found) + 1e-12 for t in others)


def test_a_backbone_that_alone_is_right_is_heard():
    """Others disagree with it, and rows show that it is right."""
    rng = np.random.default_rng(0)
    y = np.arange(48) % 6
    right = 3 * np.eye(6)[y] + rng.normal(size=(48, 6))
    logits = [right, *rng.normal(size=(2, 48, 6))]
    expected = expected_inverse(HEADS, logits)
    assert expected < 0.05
    by_labels = fit_temperature(right, y)
    assert fit_temperature(right, y, expected=expected) < 1.5 * by_labels


@pytest.mark.parametrize("head", ["auto", ["zero-shot", "linear-all"]])
def test_names_that_mean_nothing_are_never_trusted_much(emoji, head):
    """By luck they fit one picture per class of some draws, which labels alone cannot tell."""
    X, y = emoji
    highest = {}
    for kind in ("own", ""):
        for rate in (0.0, _temperature.PRIOR_RATE):
            with patch.object(_temperature, "PRIOR_RATE", rate):
                spreads = [_spread_of_prompts(head, X, y, kind, draw) for draw in range(8)]
            highest[kind, rate > 0] = max(spreads)
    assert highest["", True] < 0.5 * highest["", False]
    assert highest["own", True] > 0.5 * highest["own", False]


def _spread_of_prompts(head, X, y, kind, draw):
    rows = one_of_each(y, draw)
    names = names_of(y, kind, first=draw)
    clf = AdaptiveBackboneEnsemble(head=head, class_names=names, random_state=0)
    clf.fit(X.iloc[rows], y[rows])
    prompts = [expert.is_zero_shot for expert in clf.experts_]
    return np.log(clf.expert_proba(X)[:, prompts]).std(axis=2).mean()


@pytest.mark.parametrize("head", ["zero-shot", "residual"])
def test_prompts_alone_are_calibrated_by_labels_alone(emoji, head):
    """Where no head learns beside them, nothing depends on how far to trust them as a whole."""
    X, y = emoji
    rows = np.r_[one_of_each(y), one_of_each(y, 1)] if head == "residual" else one_of_each(y)
    clf = AdaptiveBackboneEnsemble(head=head, random_state=0).fit(X.iloc[rows], y[rows])
    with patch.object(_temperature, "PRIOR_RATE", 0.0):
        before = clone(clf).fit(X.iloc[rows], y[rows])
    assert_array_equal(clf.temperatures_, before.temperatures_)


def test_heads_that_correct_prompts_are_expected_to_be_calibrated(emoji):
    X, y = emoji
    rows = np.r_[one_of_each(y), one_of_each(y, 1)]
    clf = AdaptiveBackboneEnsemble(head=["zero-shot", "residual"], random_state=0)
    with patch.object(_temperature, "PRIOR_RATE", 0.0):
        by_labels = clone(clf).fit(X.iloc[rows], y[rows])
    clf.fit(X.iloc[rows], y[rows])
    residual = np.char.endswith(clf.expert_names_.astype(str), ":residual")
    found, alone = (np.abs(np.log(one.temperatures_[residual])) for one in (clf, by_labels))
    assert (found < alone).all()


def test_kernel_head_expects_the_same(emoji):
    X, y = emoji
    few = one_of_each(y)
    parts = np.cumsum([0, *(sum(n.startswith(f"{one}__") for n in X) for one in BACKBONES)])
    blocks = [(one, slice(start, end)) for one, start, end in zip(BACKBONES, parts, parts[1:])]
    spreads = {}
    for kind in ("own", ""):
        head = KernelHead(blocks, class_names=names_of(y, kind))
        head.fit(X.iloc[few], y[few])
        spreads[kind] = (1 / head.temperatures_).mean()
    assert spreads["own"] > 5 * spreads[""]

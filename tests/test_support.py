"""Rows that are unlike all training rows, which prompts decide more than what rows have taught."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image, ImageOps
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder, ZeroShotHead
from skclipens.datasets import load_emoji
from skclipens.ensemble._support import (
    CERTAINTY,
    LARGEST_FACTOR,
    PROMPT_SHARE,
    blend_weights,
)

pytestmark = pytest.mark.usefixtures("embedded_once")

PAIR = ["zoo/RN20", "zoo/ViT-16"]
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def make(**parameters):
    return AdaptiveBackboneEnsemble(PAIR, random_state=0, **parameters)


@pytest.fixture(scope="module")
def digits():
    """Embeddings of digits, of the same in colours, labels, and which rows train."""
    loaded = load_digits()
    pictures = [Image.fromarray(255 - 15 * one.astype(np.uint8)) for one in loaded.images[:200]]
    pictures = [one.resize((64, 64)) for one in pictures]
    embedder = MultiBackboneEmbedder(PAIR)
    coloured = embedder.fit_transform([ImageOps.colorize(one, "red", "yellow") for one in pictures])
    X = embedder.fit_transform([one.convert("RGB") for one in pictures])
    return X, coloured, np.array(NAMES)[loaded.target[:200]], np.arange(80)


@pytest.fixture(scope="module")
def emoji():
    """Embeddings of pictures that are no digits."""
    return MultiBackboneEmbedder(PAIR).fit_transform(load_emoji(min_class_size=25).filenames[:60])


@pytest.fixture(scope="module")
def clf(digits):
    X, _, y, train = digits
    return make().fit(X[train], y[train])


def expected_of(clf, alike, X, log_prior=None):
    """Logits of an ensemble that treats all rows alike, with the share of prompts taken in."""
    combined = alike.decision_function(X)
    said = clf._expert_logits(X)[:, clf._are_zero_shot].mean(axis=1)
    of_all, own, prior = blend_weights(clf._support.in_distribution(X), combined, said)
    log_prior = clf._support.log_prior if log_prior is None else log_prior
    return of_all * combined + own * said + prior * log_prior


def test_what_is_unlike_training_rows_is_out_of_distribution(digits, emoji, clf):
    X, coloured, _, train = digits
    assert (clf._support.in_distribution(X[train]) == 1).all()
    assert (clf._support.in_distribution(np.delete(X, train, axis=0)) == 1).mean() > 0.9
    assert_array_equal(clf._support.in_distribution(emoji), 0)
    in_distribution = clf._support.in_distribution(coloured)
    assert (
        in_distribution.min() < 0.3
        and in_distribution.max() == 1
        and len(np.unique(in_distribution)) > 10
    )


def test_rows_are_compared_as_they_are_predicted(digits, clf):
    X, coloured, y, train = digits
    columns = MultiBackboneEmbedder(PAIR).get_feature_names_out()
    frame = pd.DataFrame(coloured, columns=columns)
    expected = clf._support.in_distribution(coloured)
    assert_array_equal(clf.in_distribution(frame), expected)
    assert_allclose(clf.in_distribution(coloured.tolist()), expected, atol=1e-4)
    with pytest.raises(ValueError, match="has 255 features"):
        clf.in_distribution(coloured[:, 1:])
    with pytest.raises(ValueError, match="has the column 'zoo/ViT-16__127' where"):
        clf.in_distribution(frame.iloc[:, ::-1])
    with pytest.raises(NotFittedError):
        make().in_distribution(coloured)


def test_outside_all_experts_and_prompts_have_an_equal_say():
    rng = np.random.default_rng(0)
    combined, said = rng.normal(size=(2, 20, 50)) * [[[4]], [[1]]]
    of_all, own, prior = blend_weights(np.zeros(20), combined, said)
    assert_allclose(of_all * combined.std(axis=1)[:, None], own * said.std(axis=1)[:, None])
    assert_allclose(of_all + prior, CERTAINTY)  # as all experts know how frequent classes are
    half = blend_weights(np.full(20, 0.5), combined, said)
    assert_allclose(half, [(1 + of_all) / 2, own / 2, prior / 2])


def test_prompts_that_mean_nothing_do_not_decide():
    combined, flat = np.array([[4.0, 0.0, -4.0]]), np.array([[0.0, 1e-3, 0.0]])
    of_all, own, _ = blend_weights(np.zeros(1), combined, flat)
    assert_allclose(own / of_all, LARGEST_FACTOR)
    assert (of_all * combined + own * flat).argmax() == 0
    assert_array_equal(np.ravel(blend_weights(np.ones(1), combined, flat)), [1, 0, 0])


def test_weights_are_those_of_the_logits(digits, emoji, clf):
    X, coloured, y, train = digits
    others = np.concatenate([coloured, emoji])
    alike = make(out_of_distribution="ignore").fit(X[train], y[train])
    expected = expected_of(clf, alike, others)
    assert_allclose(clf.decision_function(others), log_softmax(expected, axis=1), atol=1e-4)
    weights = clf.routing_weights(others)
    of_weights = np.einsum("ne,nec->nc", weights, clf._expert_logits(others))
    expected = expected_of(clf, alike, others, log_prior=0)
    assert_allclose(log_softmax(of_weights, axis=1), log_softmax(expected, axis=1), atol=1e-4)
    usual = clf._support.in_distribution(others) == 1
    assert_allclose(weights[usual], alike.routing_weights(others)[usual], rtol=1e-6)
    prompts = clf._are_zero_shot
    more = weights[~usual][:, prompts] > alike.routing_weights(others)[~usual][:, prompts]
    assert more.any(axis=1).all()


def test_prompts_that_mean_something_count_as_much_as_all_experts():
    """Their logits are spread, unlike those of prompts about digits."""
    paths, labels = load_emoji(min_class_size=25, return_X_y=True)
    emoji, labels = MultiBackboneEmbedder(PAIR).fit_transform(paths[::5]), labels[::5]
    fitted, alike = (
        make(out_of_distribution=one).fit(emoji, labels) for one in ("prompts", "ignore")
    )
    assert_array_equal(fitted.in_distribution(-emoji), 0)
    logits = fitted._expert_logits(-emoji)
    said = logits[:, fitted._are_zero_shot].mean(axis=1)
    spread = alike.decision_function(-emoji).std(axis=1, keepdims=True)
    half = CERTAINTY * PROMPT_SHARE  # as much as all experts together
    weights = fitted.routing_weights(-emoji) - half * alike.routing_weights(-emoji)
    added = np.einsum("ne,nec->nc", weights, logits)
    assert_allclose(added, half * said * spread / said.std(axis=1, keepdims=True), atol=1e-4)
    assert (spread < LARGEST_FACTOR / 2 * said.std(axis=1, keepdims=True)).all()


def test_rows_like_others_are_classified_as_ever(digits, clf):
    X, _, y, train = digits
    alike = make(out_of_distribution="ignore").fit(X[train], y[train])
    assert alike._support is None
    usual = clf._support.in_distribution(X) == 1
    assert_allclose(clf.decision_function(X)[usual], alike.decision_function(X)[usual], atol=1e-6)


def test_a_row_does_not_depend_on_those_beside_it(digits, clf):
    X, coloured, _, _ = digits
    rows = np.concatenate([X[:20], coloured[:20]])
    alone = np.concatenate([clf.decision_function(row[None]) for row in rows])
    assert_allclose(clf.decision_function(rows), alone, atol=1e-4)


def test_where_prompts_lead_a_rare_class_stays_rare(digits, emoji):
    X, _, y, _ = digits
    labels = np.where(y == "zero", "zero", "other digit")
    clf = make().fit(X, labels)
    assert_array_equal(clf._support.in_distribution(emoji), 0)
    share = np.mean(labels == "zero")
    assert clf.predict_proba(emoji)[:, 1].mean() < 2 * share
    assert_allclose(np.exp(np.diff(clf._support.log_prior)), share / (1 - share))
    even = make(class_weight="balanced").fit(X, labels)
    assert_allclose(even._support.log_prior, 0, atol=1e-6)


def test_experts_that_no_row_can_judge(digits, emoji):
    X, _, y, _ = digits
    one = np.unique(y, return_index=True)[1]
    clf = make().fit(X[one], y[one])
    alike = make(out_of_distribution="ignore").fit(X[one], y[one])
    assert not clf.validated_.all()
    expected = log_softmax(expected_of(clf, alike, emoji), axis=1)
    assert_allclose(clf.decision_function(emoji), expected, atol=1e-4)


def test_a_router_that_averages_probabilities(digits, emoji):
    X, _, y, train = digits
    parameters = {"head": ["zero-shot", "linear"], "router": "super-learner"}
    clf = make(**parameters).fit(X[train], y[train])
    alike = make(**parameters, out_of_distribution="ignore").fit(X[train], y[train])
    expected = log_softmax(expected_of(clf, alike, emoji), axis=1)
    assert_allclose(clf.decision_function(emoji), expected, atol=1e-4)


@pytest.mark.parametrize(
    "parameters",
    [
        {"head": "zero-shot"},
        {"head": "linear"},
        {"head": ["residual", "linear-all"]},
        {"router": "vote"},
        {"calibrate": False},
        {"out_of_distribution": "ignore"},
    ],
)
def test_where_nothing_is_compared(digits, parameters):
    X, _, y, train = digits
    clf = make(**parameters).fit(X[train], y[train])
    assert clf._support is None
    with pytest.raises(AttributeError, match="has no attribute 'in_distribution'") as raised:
        clf.in_distribution(X)
    assert "It needs zero-shot heads and heads that learn" in str(raised.value.__cause__)


def test_few_rows_are_no_support(digits):
    X, _, y, _ = digits
    few = np.concatenate([np.flatnonzero(y == name)[:2] for name in NAMES[:2]])
    assert make().fit(X[few], y[few])._support is None


def test_a_row_among_a_thousand_is_no_other_class_to_compare_with(digits):
    X, _, y, _ = digits
    rng = np.random.default_rng(0)
    rows = np.append(np.resize(np.flatnonzero(y == "one"), 1001), np.flatnonzero(y == "two")[0])
    many = X[rows] + rng.normal(scale=0.03, size=(len(rows), X.shape[1])).astype(X.dtype)
    clf = make(head=["zero-shot", "linear"], router="uniform").fit(many, y[rows])
    assert not hasattr(clf, "in_distribution")


def test_columns_that_embed_no_pictures_are_not_compared(digits, clf):
    X, coloured, y, train = digits
    rows, columns = np.vstack([X, coloured]), MultiBackboneEmbedder(PAIR).get_feature_names_out()
    change, trend = np.random.default_rng(0).normal(size=(2, len(rows)))
    frame = pd.DataFrame(rows, columns=columns).assign(change=change, trend=trend)
    beside = AdaptiveBackboneEnsemble(random_state=0).fit(frame.iloc[train], y[train])
    assert "other:linear" in beside.expert_names_
    assert_allclose(beside.in_distribution(frame), clf.in_distribution(rows), atol=1e-4)
    heads = [("said", ZeroShotHead("zoo/RN20"), slice(128)), "linear"]
    unnamed = AdaptiveBackboneEnsemble([("any columns", slice(128))], head=heads)
    assert not hasattr(unnamed.fit(X[train, :128], y[train]), "in_distribution")


def test_pictures_of_the_same_objects_do_not_make_all_others_unusual(digits):
    X, _, y, train = digits
    rng = np.random.default_rng(0)
    near = X[train] + rng.normal(scale=1e-3, size=(4, *X[train].shape)).astype(X.dtype)
    clf = make().fit(near.reshape(-1, X.shape[1]), np.tile(y[train], 4))
    assert (clf._support.in_distribution(np.delete(X, train, axis=0)) == 1).mean() > 0.9


def test_after_pickling(digits, clf):
    again = pickle.loads(pickle.dumps(clf))
    assert_array_equal(again.predict_proba(digits[1]), clf.predict_proba(digits[1]))


def test_fitted_again_without_labels_it_has_none(digits, clf):
    X, _, y, _ = digits
    clf = clone(clf).fit(X, y)
    clf.set_params(head="zero-shot", router="uniform", calibrate=False, class_names=NAMES).fit(X)
    assert clf._support is None


def test_of_many_rows_all_classes_are_seen_if_these_take_turns(digits):
    X, _, y, _ = digits
    rng = np.random.default_rng(0)
    of_each = [rng.choice(np.flatnonzero(y == name), 800) for name in NAMES[:3]]
    rows = np.stack(of_each, axis=1).ravel()
    many = X[rows] + rng.normal(scale=0.03, size=(len(rows), X.shape[1])).astype(X.dtype)
    order = rng.permutation(len(rows))
    clf = make(head=["zero-shot", "linear"], router="uniform")
    in_turn = clf.fit(many, y[rows])._support
    shuffled = clf.fit(many[order], y[rows][order])._support
    assert_allclose(in_turn.mean, shuffled.mean, atol=0.01)
    assert_allclose(in_turn.usual, shuffled.usual, atol=0.02)

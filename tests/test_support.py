"""Rows that are unlike all training rows, which prompts decide more than what rows have taught."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image, ImageOps
from sklearn.base import clone
from sklearn.datasets import load_digits

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens.datasets import load_emoji
from skclipens.ensemble._support import LEAST_TRUST

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


def test_what_is_unlike_training_rows_is_trusted_less(digits, emoji, clf):
    X, coloured, _, train = digits
    assert (clf.support_.trust(X[train]) == 1).all()
    assert (clf.support_.trust(np.delete(X, train, axis=0)) == 1).mean() > 0.9
    assert_allclose(clf.support_.trust(emoji), LEAST_TRUST, rtol=1e-5)
    trust = clf.support_.trust(coloured)
    assert trust.min() < 0.3 and trust.max() == 1 and len(np.unique(trust)) > 10


def test_prompts_have_what_trust_leaves(digits, clf):
    X, coloured, y, train = digits
    alike = make(out_of_distribution="ignore").fit(X[train], y[train])
    trust, prompts = clf.support_.trust(coloured)[:, None], clf._are_prompts
    said = alike._expert_logits(coloured)[:, prompts].mean(axis=1)
    expected = trust * alike.decision_function(coloured) + (1 - trust) * said
    assert_allclose(clf.decision_function(coloured), expected, atol=1e-4)
    weights = clf.routing_weights(coloured)
    assert (weights[:, prompts].sum(axis=1) > 1 - trust[:, 0] - 1e-6).all()
    of_weights = np.einsum("ne,nec->nc", weights, clf._expert_logits(coloured))
    assert_allclose(of_weights, expected, atol=1e-4)


def test_rows_like_others_are_classified_as_ever(digits, clf):
    X, _, y, train = digits
    alike = make(out_of_distribution="ignore").fit(X[train], y[train])
    assert alike.support_ is None
    usual = clf.support_.trust(X) == 1
    assert_allclose(clf.decision_function(X)[usual], alike.decision_function(X)[usual], atol=1e-6)


def test_a_row_does_not_depend_on_those_beside_it(digits, clf):
    X, coloured, _, _ = digits
    rows = np.concatenate([X[:20], coloured[:20]])
    alone = np.concatenate([clf.decision_function(row[None]) for row in rows])
    assert_allclose(clf.decision_function(rows), alone, atol=1e-4)


def test_experts_that_no_row_can_judge(digits, emoji):
    X, _, y, _ = digits
    one = np.unique(y, return_index=True)[1]
    clf = make().fit(X[one], y[one])
    alike = make(out_of_distribution="ignore").fit(X[one], y[one])
    assert not clf.judged_.all()
    expected = 0.2 * alike.decision_function(emoji)
    said = clf._expert_logits(emoji)[:, clf._are_prompts]
    assert_allclose(clf.decision_function(emoji), expected + 0.8 * said.mean(axis=1), atol=1e-4)


def test_a_router_that_averages_probabilities(digits, emoji):
    X, _, y, train = digits
    parameters = {"head": ["zero-shot", "linear"], "router": "super-learner"}
    clf = make(**parameters).fit(X[train], y[train])
    alike = make(**parameters, out_of_distribution="ignore").fit(X[train], y[train])
    said = clf._expert_logits(emoji)[:, clf._are_prompts].mean(axis=1)
    expected = 0.2 * alike.decision_function(emoji) + 0.8 * said
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
    assert make(**parameters).fit(X[train], y[train]).support_ is None


def test_few_rows_are_no_support(digits):
    X, _, y, _ = digits
    few = np.concatenate([np.flatnonzero(y == name)[:2] for name in NAMES[:2]])
    assert make().fit(X[few], y[few]).support_ is None


def test_pictures_of_the_same_objects_do_not_make_all_others_unusual(digits):
    X, _, y, train = digits
    rng = np.random.default_rng(0)
    near = X[train] + rng.normal(scale=1e-3, size=(4, *X[train].shape)).astype(X.dtype)
    clf = make().fit(near.reshape(-1, X.shape[1]), np.tile(y[train], 4))
    assert (clf.support_.trust(np.delete(X, train, axis=0)) == 1).mean() > 0.9


def test_after_pickling(digits, clf):
    again = pickle.loads(pickle.dumps(clf))
    assert_array_equal(again.predict_proba(digits[1]), clf.predict_proba(digits[1]))


def test_fitted_again_without_labels_it_has_none(digits, clf):
    X, _, y, _ = digits
    clf = clone(clf).fit(X, y)
    clf.set_params(head="zero-shot", router="uniform", calibrate=False, class_names=NAMES).fit(X)
    assert clf.support_ is None

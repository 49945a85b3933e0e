"""One matrix in the place of linear experts whose weights are the same for all rows."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skclipens import AdaptiveBackboneEnsemble, LinearDiscriminantHead, MultiBackboneEmbedder
from skclipens.datasets import load_emoji
from skclipens.ensemble import GatedRouter
from skclipens.ensemble._merging import merge_experts
from skclipens.ensemble.routers import ROUTERS

pytestmark = pytest.mark.usefixtures("embedded_once")

PAIR = ["zoo/RN20", "zoo/ViT-16"]
SAME_FOR_ALL = {"uniform", "static", "genetic", "shrunk"}


@pytest.fixture(scope="module")
def emoji():
    """Embeddings of six classes, labels, and which rows train."""
    loaded = load_emoji(min_class_size=25)
    rows = np.flatnonzero(loaded.target < 6)
    X = MultiBackboneEmbedder(PAIR).fit_transform(loaded.filenames[rows])
    train = np.concatenate([np.flatnonzero(loaded.target[rows] == c)[:8] for c in range(6)])
    return X, loaded.target_names[loaded.target[rows]], train


def by_experts(clf, X):
    """Logits without merging."""
    combine = clf._combination.combine
    parts = [X[row : row + 50] for row in range(0, len(X), 50)]
    return np.concatenate([combine(part, clf._expert_logits(part)) for part in parts])


@pytest.mark.parametrize("weights", [None, "balanced"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("router", ["shrunk", "uniform"])
@pytest.mark.parametrize(
    "head", ["auto", "linear", "residual", ["zero-shot", LogisticRegression()]]
)
def test_the_same_logits(emoji, head, router, dtype, weights):
    X, y, train = emoji
    clf = AdaptiveBackboneEnsemble(PAIR, head=head, router=router, random_state=0)
    if weights:
        clf, train = clf.set_params(class_weight=weights), train[3:]
    clf.fit(X[train].astype(dtype), y[train])
    rows = X.astype(dtype)
    found = clf._logits_of(rows)
    assert found.dtype == dtype
    scale = np.abs(found).max()
    assert_allclose(found, by_experts(clf, rows), atol=2e-6 * scale)


@pytest.mark.parametrize("router", sorted(ROUTERS))
def test_where_weights_are_the_same_for_all_rows(emoji, router):
    X, y, train = emoji
    clf = AdaptiveBackboneEnsemble(PAIR, head="zero-shot", router=router, random_state=0)
    clf.fit(X[train], y[train])
    assert (clf._merged is not None) == (router in SAME_FOR_ALL)
    assert_allclose(clf._logits_of(X), by_experts(clf, X), atol=1e-4)


def test_experts_that_no_row_can_judge(emoji):
    X, y, _ = emoji
    one = np.unique(y, return_index=True)[1]
    clf = AdaptiveBackboneEnsemble(PAIR, random_state=0).fit(X[one], y[one])
    assert not clf.validated_.all() and clf._merged is not None
    assert_allclose(clf._logits_of(X), by_experts(clf, X), atol=1e-4)


def test_open_gates_are_not_merged(emoji):
    X, y, _ = emoji
    clf = AdaptiveBackboneEnsemble(PAIR, head="zero-shot", router=GatedRouter())
    assert clf.fit(X, y)._merged is None


def test_a_head_that_lacks_a_class_stays_as_it_is(emoji):
    X, y, train = emoji
    some = train[y[train] != y[train][0]]
    known = LinearDiscriminantHead().fit(X[some], y[some])
    heads = ["linear", ("known", FrozenEstimator(known), slice(None))]
    clf = AdaptiveBackboneEnsemble(PAIR, head=heads, router="uniform").fit(X[train], y[train])
    assert [expert.name for _, expert in clf._merged.others] == ["known"]
    assert_allclose(clf._logits_of(X), by_experts(clf, X), rtol=1e-4, atol=1e-3)


def test_other_classes(emoji):
    X, y, train = emoji
    clf = AdaptiveBackboneEnsemble(PAIR, head="zero-shot", router="static").fit(X[train], y[train])
    clf.set_classes(["a cat", "a car"])
    assert clf._logits_of(X).shape == (len(X), 2)
    assert_allclose(clf._logits_of(X), by_experts(clf, X), atol=1e-4)


def test_unlabelled_rows_are_added(emoji):
    X, y, _ = emoji
    first = np.unique(y, return_index=True)[1]  # which nothing can judge
    partly = np.where(np.isin(np.arange(len(y)), first), y, None)
    parameters = {"unlabeled": "use", "out_of_distribution": "ignore", "random_state": 0}
    clf = AdaptiveBackboneEnsemble(PAIR, **parameters).fit(X, partly)
    alone = by_experts(clf, X)
    assert clf.unlabeled_ is not None
    assert_allclose(clf._logits_of(X), clf.unlabeled_.correct(alone, X), atol=1e-4)


def test_a_model_without_it_works(emoji):
    """As one that an earlier version has saved."""
    X, y, train = emoji
    clf = AdaptiveBackboneEnsemble(PAIR, random_state=0).fit(X[train], y[train])
    del clf._merged
    assert_array_equal(clf._logits_of(X[:50]), by_experts(clf, X[:50]))
    saved = pickle.loads(pickle.dumps(clf))
    assert_array_equal(saved.predict(X), clf.predict(X))


def test_it_is_what_is_fitted(emoji):
    """Also after another fit."""
    X, y, train = emoji
    clf = AdaptiveBackboneEnsemble(PAIR, head="linear", router="static").fit(X, y)
    clf.fit(X[train], y[train])
    assert_array_equal(clf._merged.coef, merge_experts(clf).coef)


def test_values_that_are_too_large_are_told_of_by_the_expert(emoji):
    X, y, train = emoji
    clf = AdaptiveBackboneEnsemble(PAIR, head="linear", router="static").fit(X[train], y[train])
    rows = X[:3].copy()
    rows[1] = 3e38
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(ValueError, match="row 1"):
        clf.predict(rows)

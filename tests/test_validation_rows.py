"""Tests of validation rows, of threads that fit them, and of memory that predicting takes."""

import tracemalloc

import numpy as np
import pytest
from _pictures import some_of_each
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import GaussianNB
from threadpoolctl import threadpool_limits

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens._utils import _folds
from skclipens.ensemble import StaticRouter
from skclipens.heads import KernelHead, LinearDiscriminantHead, _ridge

BACKBONES = ["zoo/RN20", "zoo/ViT-8"]
CAP = 60


class Telling(StaticRouter):
    """A router that keeps the shape of the held-out logits that it is fitted on."""

    def fit(self, X, logits, y, sample_weight=None):
        self.seen_ = logits.shape
        return super().fit(X, logits, y, sample_weight)


@pytest.fixture(scope="module")
def data():
    files, labels = some_of_each(7, 20, min_class_size=40)
    rows = np.random.default_rng(0).permutation(len(files))
    X = MultiBackboneEmbedder(BACKBONES, device="cpu").fit_transform(files[rows])
    return X, labels[rows]


@pytest.fixture
def few_validation_rows():
    with _folds.limit_validation_rows(CAP):
        yield


@given(st.lists(st.integers(0, 4), min_size=1, max_size=300))
def test_validation_rows_are_of_all_classes_as_often_as_these_are_there(labels):
    y = np.array(labels)
    with _folds.limit_validation_rows(CAP):
        rows = _folds.validation_rows(y)
        names = _folds.validation_rows(np.array([f"class {c}" for c in labels]))
    assert_array_equal(rows, names)
    assert len(rows) == min(len(y), CAP)
    assert (np.diff(rows) > 0).all()
    expected = np.bincount(y) * len(rows) / len(y)
    assert np.abs(np.bincount(y[rows], minlength=len(expected)) - expected).max() <= 1


def test_of_many_rows_some_judge_as_they_would_among_all(data):
    X, y = data
    head = LinearDiscriminantHead(shrinkage=3.0)
    every, valid = head.cross_fit(X, y)
    assert valid.all()
    with _folds.limit_validation_rows(CAP):
        some, valid = head.cross_fit(X, y)
        assert_array_equal(np.flatnonzero(valid), _folds.validation_rows(y))
    assert_allclose(some[valid], every[valid], rtol=1e-4, atol=1e-4)


def test_kernels_hear_the_support_and_the_judges_alone(data, few_validation_rows):
    X, y = data
    head = KernelHead(n_components=20, random_state=0)
    _, valid = head.cross_fit(X, y)
    assert len(head.X_fit_) == 20
    rows = _folds.validation_rows(y)
    assert_array_equal(np.flatnonzero(valid), rows)
    halves = np.arange(0, len(y), 2), np.arange(1, len(y), 2)
    _, valid = head.cross_fit(X, y, folds=[halves, halves[::-1]])
    assert_array_equal(np.flatnonzero(valid), rows)


@pytest.mark.parametrize("head", ["auto", ["linear", LinearDiscriminantHead(cv=3)]])
def test_an_ensemble_of_many_rows_is_routed_by_some(data, head, few_validation_rows):
    X, y = data
    clf = AdaptiveBackboneEnsemble(BACKBONES, head=head, router=Telling(), random_state=0)
    assert clf.fit(X, y).score(X, y) > 0.8
    assert clf.router_.seen_ == (CAP, len(clf.experts_), 7)


def test_folds_that_hold_out_no_validation_row_are_left_out(data, few_validation_rows):
    X, y = data
    rows = _folds.validation_rows(y)
    others = np.setdiff1d(np.arange(len(y)), rows)
    cv = [(np.r_[rows, others[9:]], others[:9]), (others, rows)]
    clf = AdaptiveBackboneEnsemble(BACKBONES, head=GaussianNB(), router=Telling(), cv=cv)
    assert clf.fit(X, y).router_.seen_ == (CAP, 2, 7)


def test_rows_that_are_equal_in_one_block_judge_like_others(data, few_validation_rows):
    X, y = data
    half = X.shape[1] // 2
    _, first, code = np.unique(y, return_index=True, return_inverse=True)
    X, some = X.copy(), np.arange(0, len(y), 3)
    X[some, :half] = X[first[code[some]], :half]  # the first picture of the class
    blocks = [("one", slice(half)), ("another", slice(half, None))]
    clf = AdaptiveBackboneEnsemble(blocks, router=Telling(), random_state=0).fit(X, y)
    assert clf.router_.seen_ == (CAP, len(clf.experts_), 7)


def test_threads_change_no_result(data):
    X, y = data
    with threadpool_limits(2, user_api="blas"):
        one = AdaptiveBackboneEnsemble(BACKBONES, random_state=0, n_jobs=1).fit(X, y)
        two = AdaptiveBackboneEnsemble(BACKBONES, random_state=0).fit(X, y)
        assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    assert_array_equal(one.expert_names_, two.expert_names_)


def test_predicting_takes_no_more_memory_for_more_rows(data):
    X, y = data
    clf = AdaptiveBackboneEnsemble(BACKBONES, random_state=0).fit(X, y)

    def peak(n):
        many = X[np.resize(np.arange(len(X)), n)]
        clf.predict(many[:10])
        tracemalloc.start()
        clf.predict(many)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(8_000) < 1.2 * peak(2_000)


@pytest.mark.parametrize("width", [5, 80])
@pytest.mark.parametrize("weighted", [False, True])
def test_folds_from_sums_are_those_of_regressions_on_them(width, weighted):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, width)) + 1, rng.normal(size=(60, 3))
    weights = rng.uniform(0.5, 2, 60) if weighted else None
    rows = rng.permutation(60)
    folds = [(rows[20:], rows[:20]), (rows[:40], rows[40:50])]
    ridge = _ridge.Ridge(X, Y, weights, 0.2)
    said, known = ridge.held_out(folds, np.arange(60))
    assert_array_equal(known, np.sort(np.concatenate([test for _, test in folds])))
    for train, test in folds:
        of_train = None if weights is None else weights[train]
        expected = Ridge(0.2).fit(X[train], Y[train], of_train).predict(X[test])
        assert_allclose(said[np.searchsorted(known, test)], expected, rtol=1e-6, atol=1e-8)
    expected = Ridge(0.2).fit(X, Y, weights)
    for found, one in zip(ridge.fit(), (expected.coef_, expected.intercept_), strict=True):
        assert_allclose(found, one, rtol=1e-6, atol=1e-8)

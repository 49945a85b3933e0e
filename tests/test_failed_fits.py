"""A fit that fails or is interrupted loses nothing: the estimator is what it was before."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_wine
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from skclipens import AdaptiveBackboneEnsemble, ImageRetriever, LinearDiscriminantHead
from skclipens.decomposition import BlockPCA
from skclipens.heads._sums import Sums
from skclipens.labels import OpenSetClassifier
from skclipens.pipeline import BackbonePipeline


class Broken(LogisticRegression):
    """Fails where a class is called "boom"."""

    error = KeyboardInterrupt

    def fit(self, X, y):
        if "boom" in y:
            raise self.error("Ctrl-C")
        return super().fit(X, y)


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    return X, np.array(["red", "rose", "white"])[y], np.array(["boom", "x", "zz"])[y]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_ensemble_after_a_fit_that_failed(wine, error, monkeypatch):
    X, y, other = wine
    monkeypatch.setattr(Broken, "error", error)
    clf = AdaptiveBackboneEnsemble(head=Broken(max_iter=500)).fit(X, y)
    before, attributes = clf.predict_proba(X), set(vars(clf))
    with pytest.raises(error, match="Ctrl-C"):
        clf.fit(X[:, :5], other)
    assert set(vars(clf)) == attributes
    assert_array_equal(clf.predict_proba(X), before)
    assert_array_equal(clf.classes_, np.unique(y))
    new = AdaptiveBackboneEnsemble(head=Broken())
    with pytest.raises(error, match="Ctrl-C"):
        new.fit(X, other)
    with pytest.raises(NotFittedError):
        new.predict(X)


def test_a_pipeline_after_a_fit_that_failed(wine):
    X, y, other = wine
    clf = BackbonePipeline([("reduce", BlockPCA(n_components=2)), ("classify", Broken())])
    before = clf.fit(X, y).predict_proba(X)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X[:, :5] ** 3, other)
    assert_array_equal(clf.predict_proba(X), before)


def test_a_classifier_of_open_sets_after_a_fit_that_failed(wine):
    X, y, _ = wine
    clf = OpenSetClassifier(LogisticRegression(max_iter=500), reject_label="unknown").fit(X, y)
    before = clf.predict(X)
    with pytest.raises(ValueError, match="reject_label"):
        clf.fit(X, np.where(y == "red", "unknown", y))
    assert_array_equal(clf.predict(X), before)
    new = OpenSetClassifier(LogisticRegression())
    with pytest.raises(ValueError, match="No row can be judged"):
        new.fit(X[[0, 60, 150]], y[[0, 60, 150]])
    with pytest.raises(NotFittedError):
        new.predict(X)


def test_a_head_after_a_part_that_cannot_be_taken_in(wine):
    X, y, other = wine
    head = LinearDiscriminantHead().fit(X, y)
    before = head.predict_proba(X)
    with (
        pytest.warns(UserWarning, match="starts anew"),
        pytest.raises(ValueError, match="NaN"),
    ):
        head.partial_fit(X * np.nan, other, np.unique(other))
    assert_array_equal(head.predict_proba(X), before)
    new = LinearDiscriminantHead()
    with pytest.raises(ValueError, match="NaN"):
        new.partial_fit(X * np.nan, y, np.unique(y))
    assert_array_equal(new.partial_fit(X, other, np.unique(other)).classes_, np.unique(other))


def test_a_head_after_a_part_that_is_interrupted(wine, monkeypatch):
    X, y, _ = wine
    head = LinearDiscriminantHead().partial_fit(X[:90], y[:90], np.unique(y))
    add = Sums.add

    def interrupted(*args):
        add(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Sums, "add", interrupted)
        head.partial_fit(X[90:], y[90:])
    expected = LinearDiscriminantHead().partial_fit(X[:90], y[:90], np.unique(y))
    assert_array_equal(head.coef_, expected.coef_)
    assert_array_equal(
        head.partial_fit(X[90:], y[90:]).coef_, expected.partial_fit(X[90:], y[90:]).coef_
    )


def test_a_retriever_after_a_fit_that_failed(wine):
    X, _, _ = wine
    retriever = ImageRetriever("zoo/RN20")
    with pytest.raises(ValueError, match="X has 13 features, but embedder names zoo/RN20"):
        retriever.fit(X)
    with pytest.raises(NotFittedError):
        retriever.search(X[:1])


# Weights stand for copies


@pytest.mark.filterwarnings("error")
def test_weights_that_sum_to_one_are_shares(wine):
    X, y, _ = wine
    weights = np.random.default_rng(0).uniform(0, 2, len(y))
    found = AdaptiveBackboneEnsemble().fit(X, y, sample_weight=weights / weights.sum())
    expected = AdaptiveBackboneEnsemble().fit(X, y, sample_weight=weights / weights.mean())
    assert_allclose(found.predict_proba(X), expected.predict_proba(X), rtol=1e-5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_weights_that_are_one_in_the_mean_are_not_doubted(wine, class_weight):
    X, y, _ = wine
    weights = np.random.default_rng(0).uniform(0, 2, len(y))
    AdaptiveBackboneEnsemble(class_weight=class_weight).fit(X, y, sample_weight=weights)


@pytest.mark.parametrize("estimator", [AdaptiveBackboneEnsemble(), LinearDiscriminantHead()])
def test_a_weight_that_cannot_be_added_up_is_named(wine, estimator):
    X, y, _ = wine
    weights = np.ones(len(y))
    weights[7] = 1e8
    with pytest.raises(ValueError, match=r"sample_weight of row 7 is 1e\+08"):
        estimator.fit(X, y, sample_weight=weights)

"""Tests of the linear probe on a table; on embeddings of pictures it is in test_adapters.py."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.preprocessing import scale

from skclipens.heads import LinearProbeHead


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    return scale(X), np.array(["one", "two", "three"])[y]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_is_a_logistic_regression(n_classes, wine):
    X, y = wine
    some = np.isin(y, ["one", "two", "three"][:n_classes])
    head = LinearProbeHead().fit(X[some], y[some])
    expected = LogisticRegression(C=head.C_, max_iter=1000).fit(X[some], y[some])
    for attribute in ("coef_", "intercept_", "classes_"):
        np.testing.assert_array_equal(getattr(head, attribute), getattr(expected, attribute))
    np.testing.assert_allclose(head.decision_function(X), expected.decision_function(X))
    np.testing.assert_allclose(head.predict_proba(X), expected.predict_proba(X), atol=1e-12)


def test_sweep_finds_what_a_fine_grid_finds(wine):
    X, y = wine
    head = LinearProbeHead().fit(X, y)

    def loss(C):
        probe = LogisticRegression(C=C, max_iter=1000)
        proba = cross_val_predict(probe, X, y, cv=StratifiedKFold(5), method="predict_proba")
        return log_loss(y, proba)

    assert loss(head.C_) <= min(loss(C) for C in np.logspace(-3, 3, 25)) + 1e-4
    eighths = 8 * np.log10(head.C_)
    assert eighths == pytest.approx(round(eighths))


@pytest.mark.parametrize("seed", [0, 7])
def test_large_penalties_are_exact_in_float32_too(seed):
    """L-BFGS failed at its first step, and a uniform prediction looked better than it is."""
    X, y = np.random.default_rng(seed).normal(size=(24, 128)), np.arange(24) % 3
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    y[12:] = 0
    single, double = (LinearProbeHead().fit(X.astype(kind), y) for kind in "fd")
    assert single.coef_.dtype == np.float32
    assert single.C_ == double.C_ == 1e-6
    np.testing.assert_allclose(single.predict_proba(X), double.predict_proba(X), rtol=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(2, 3), st.integers(1, 3))
@settings(max_examples=5)
def test_sweep_stays_in_its_range(seed, n_classes, n_rows):
    """Columns that say nothing, or all: the best C is at an end."""
    y = np.repeat(np.arange(n_classes), n_rows)
    noise = np.random.default_rng(seed).normal(size=(len(y), 3))
    for X in (noise, 100 * np.eye(n_classes)[y]):
        head = LinearProbeHead().fit(X, y)
        assert 1e-6 <= head.C_ <= 1e6
        assert n_rows > 1 or head.C_ == 10
        np.testing.assert_allclose(head.predict_proba(X).sum(axis=1), 1, rtol=1e-5)


def test_class_with_one_row_is_left_out_of_the_sweep_only(wine):
    X, y = wine
    lone = np.flatnonzero(y == "one")[1:]
    X, y = np.delete(X, lone, axis=0), np.delete(y, lone)
    head = LinearProbeHead().fit(X, y)
    assert head.C_ == LinearProbeHead().fit(X[y != "one"], y[y != "one"]).C_ != 10
    assert list(head.classes_) == ["one", "three", "two"]
    first = np.unique(y, return_index=True)[1]
    assert LinearProbeHead().fit(X[first], y[first]).C_ == 10


def test_only_the_final_fit_has_to_converge(wine, recwarn):
    X, y = wine
    LinearProbeHead().fit(X, y)
    assert not recwarn
    with pytest.warns(ConvergenceWarning):
        LinearProbeHead(max_iter=1).fit(X, y)


def test_two_classes_at_least(wine):
    with pytest.raises(ValueError, match="got 1 class, 'a'"):
        LinearProbeHead().fit(wine[0][:3], ["a"] * 3)


@pytest.mark.parametrize("offset", [300, 2e5])
def test_columns_may_be_far_from_zero(offset):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    y = X @ [1, -1, 0.5, 2] + rng.normal(0, 0.3, 200) > 0
    near, far = LinearProbeHead().fit(X[:100], y[:100]), LinearProbeHead()
    far.fit(X[:100] + offset, y[:100])
    assert far.C_ == near.C_
    expected = near.decision_function(X[100:])
    np.testing.assert_allclose(far.decision_function(X[100:] + offset), expected, atol=0.1)
    few = far.fit((X[:100] + offset).astype(np.float32), y[:100])
    assert few.score(X[100:] + offset, y[100:]) > 0.95


@pytest.mark.parametrize("power", [-12, -40])
def test_columns_may_be_small(power, wine):
    """With one tolerance for all, small slopes would be taken for none."""
    X, y = wine
    head, small = LinearProbeHead().fit(X[::2], y[::2]), LinearProbeHead()
    scale = 2.0**power
    for dtype in (np.float32, np.float64):
        X_small = (X * scale).astype(dtype)
        assert small.fit(X_small[::2], y[::2]).score(X_small[1::2], y[1::2]) > 0.95
        assert small.coef_.dtype == dtype
    found = small.decision_function(X_small)
    assert np.median(np.abs(found)) == pytest.approx(
        np.median(np.abs(head.decision_function(X))), rel=0.5
    )


def test_a_thousand_classes_are_told_apart():
    """The slope of the loss at zero is then below scikit-learn's default tolerance."""
    rng = np.random.default_rng(0)
    X = 0.05 * rng.normal(size=(1000, 128)) + rng.normal(size=128)
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    head = LinearProbeHead().fit(X, np.arange(1000))
    assert head.n_iter_ > 0
    assert head.score(X, np.arange(1000)) > 0.95

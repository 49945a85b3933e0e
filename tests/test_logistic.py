"""Logistic regression that starts from a linear discriminant."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import check_grad
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold, train_test_split

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens.datasets import load_emoji
from skclipens.heads import (
    LinearDiscriminantHead,
    LogisticDiscriminantHead,
    _discriminant,
    _logistic,
)
from skclipens.heads._discriminant import Discriminant
from skclipens.heads._logistic import _Table

pytestmark = pytest.mark.usefixtures("embedded_once")


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16, y, test_size=0.5, random_state=0, stratify=y)


@pytest.fixture(scope="module")
def emoji():
    data = load_emoji(min_class_size=50)
    X = MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-16"]).fit_transform(data.filenames)
    return X, data.target_names[data.target]


def covariance(X, y, shrinkage):
    """The covariance within classes, shrunk relative to the variance of all rows."""
    classes, targets = np.unique(y, return_inverse=True)
    means = np.stack([X[y == one].mean(axis=0) for one in classes])
    within = np.cov((X - means[targets]).T, bias=True)
    return within + shrinkage * X.var(axis=0).mean() * np.eye(X.shape[1])


def test_it_minimises_the_loss_of_the_docstring(digits, monkeypatch):
    """There the gradient is zero, for one temperature of the prior, which is not kept."""
    monkeypatch.setattr(_logistic, "_TOLERANCE", 1e-12)
    X, _, y, _ = digits
    head = LogisticDiscriminantHead(Cs=[0.3], shrinkage=0.5, max_iter=1000).fit(X, y)
    assert head.C_ == 0.3
    sigma = covariance(X, y, 0.5)
    of_loss = (head.predict_proba(X) - (y[:, None] == head.classes_)).T @ X
    of_prior = (LinearDiscriminantHead(shrinkage=0.5).fit(X, y).coef_ @ sigma).ravel()

    def away_from_prior(C):
        rest = (C * of_loss + head.coef_ @ sigma).ravel()
        along = rest @ of_prior / (of_prior @ of_prior) * of_prior
        return np.linalg.norm(rest - along) / np.linalg.norm(rest)

    assert away_from_prior(0.3) < 0.01
    assert away_from_prior(0.2) > 0.1
    assert away_from_prior(0.4) > 0.1


def test_the_gradient_is_that_of_the_loss():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.integers(3, size=40)
    head = LogisticDiscriminantHead(shrinkage=0.5, rescale=[[1]])
    head.fit(X, y)
    weights = rng.uniform(0.5, 2, size=40)
    targets = y
    discriminant = head._maker(X, targets, weights)(rescaling=head._rescaling())
    fit = _Table(X, targets, weights, discriminant, 2.0, head).fit_on(np.arange(30))
    point = rng.normal(size=12)
    error = check_grad(lambda p: fit.loss(p, 0.7)[0], lambda p: fit.loss(p, 0.7)[1], point)
    assert error < 1e-6


def test_few_rows_reach_the_minimum_at_a_small_C(emoji, monkeypatch):
    """L-BFGS stopped at its first steps, so rounding decided which C was chosen."""
    X, labels = emoji
    y = np.unique(labels, return_inverse=True)[1]
    head, away = LogisticDiscriminantHead(shrinkage=1.0).fit(X, y), []
    for seed in range(6):
        rows = np.random.default_rng(seed).permutation(len(y))[:20]
        losses = []
        for kind, tolerance in (("f", 1e-6), ("d", 1e-13)):
            monkeypatch.setattr(_logistic, "_TOLERANCE", tolerance)
            some, targets = X[rows].astype(kind), y[rows]
            discriminant = head._maker(some, targets, None)(rescaling=head._rescaling())
            fit = _Table(some, targets, None, discriminant, 20.0, head).fit_on(slice(None))
            losses.append(fit.loss(fit.solve(0.001), 0.001)[0])
        away.append(losses[0] - losses[1])
    assert max(away) < 1e-4


def test_with_many_rows_it_is_better_than_the_discriminant(digits):
    X, X_test, y, y_test = digits
    head, prior = LogisticDiscriminantHead().fit(X, y), LinearDiscriminantHead().fit(X, y)
    assert head.C_ > 0
    assert head.n_iter_ > 0
    assert head.score(X_test, y_test) > prior.score(X_test, y_test)
    proba = head.predict_proba(X_test)
    assert log_loss(y_test, proba) < log_loss(y_test, prior.predict_proba(X_test))
    assert abs(proba.max(axis=1).mean() - head.score(X_test, y_test)) < 0.03


def test_labels_that_say_nothing_are_not_learned():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 20)), rng.integers(3, size=300)
    assert LogisticDiscriminantHead().fit(X, y).predict_proba(X).max() < 0.6


def test_rows_that_are_held_out_teach_nothing(digits):
    X, _, y, _ = digits
    head = LogisticDiscriminantHead()
    logits, valid = head.cross_fit(X, y)
    assert head.C_ > 0
    assert valid.sum() == len(y) // 5
    train = np.flatnonzero(~valid)
    again = LogisticDiscriminantHead(Cs=[head.C_], shrinkage=head.shrinkage_).fit(
        X[train], y[train]
    )
    found, expected = logits[valid], again.decision_function(X[valid])
    found = found - found.mean(axis=1, keepdims=True)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.995
    accuracy = np.mean(head.classes_[found.argmax(axis=1)] == y[valid])
    assert accuracy < head.score(X[valid], y[valid])


def test_folds_and_groups_hold_out_their_rows(digits):
    X, _, y, _ = digits
    groups = np.arange(len(y)) % 7
    folds = list(GroupKFold(3).split(X, y, groups))
    head = LogisticDiscriminantHead(Cs=[0.1], shrinkage=0.1)
    logits, valid = head.cross_fit(X, y, folds=folds)
    assert valid.all()
    assert head.cross_fit(X, y, groups=groups)[1].all()
    train, test = folds[0]
    alone, valid = head.cross_fit(X, y, folds=[folds[0]])
    assert_array_equal(np.flatnonzero(valid), np.sort(test))
    assert np.corrcoef(alone[test].ravel(), logits[test].ravel())[0, 1] > 0.999


def test_C_is_tried_on_a_part_of_many_rows(digits, monkeypatch):
    X, X_test, y, _ = digits
    head = LogisticDiscriminantHead(Cs=[0.1], shrinkage=0.1, max_iter=1000)
    expected, _ = head.cross_fit(X, y)
    of_all = head.decision_function(X_test)
    monkeypatch.setattr(_logistic, "_MAX_ROWS_TO_CHOOSE", 500)
    found, valid = head.cross_fit(X, y)
    assert head.C_ == 0.1
    # Held-out logits and the head are of all rows nevertheless.
    assert_allclose(found[valid], expected[valid], atol=0.3)
    assert_allclose(head.decision_function(X_test), of_all, atol=0.3)


def test_weights_are_repetitions(digits):
    X, X_test, y, _ = digits
    X, y = X[:400], y[:400]
    weights = np.where(np.arange(400) % 3, 1, 2)
    folds = [(np.arange(300), np.arange(300, 400))]
    rows = np.repeat(np.arange(400), weights)
    of_rows = [(np.flatnonzero(rows < 300), np.flatnonzero(rows >= 300))]
    options = {"Cs": [0.1], "shrinkage": 1.0, "max_iter": 1000}
    weighted = LogisticDiscriminantHead(**options, cv=folds).fit(X, y, sample_weight=weights)
    repeated = LogisticDiscriminantHead(**options, cv=of_rows).fit(X[rows], y[rows])
    assert_allclose(
        weighted.decision_function(X_test), repeated.decision_function(X_test), atol=0.05
    )


def test_too_few_iterations_are_told(digits):
    X, _, y, _ = digits
    with pytest.warns(ConvergenceWarning, match="not converged after 2 iterations"):
        LogisticDiscriminantHead(Cs=[0.1], max_iter=2).fit(X, y)


@pytest.mark.parametrize("Cs", [[], [0.0], [-1, 1], [np.inf], ["a"]])
def test_candidates_are_checked(Cs, digits):
    with pytest.raises(ValueError, match="Cs are positive, finite numbers, at least one"):
        LogisticDiscriminantHead(Cs=Cs).fit(digits[0], digits[2])


@pytest.mark.parametrize("columns", [2, 64])
def test_one_row_per_class_is_what_the_linear_head_makes_of_it(columns, digits):
    X, _, y, _ = digits
    X, first = X[:, :columns], np.unique(y, return_index=True)[1]
    head = LogisticDiscriminantHead().fit(X[first], y[first])
    prior = LinearDiscriminantHead().fit(X[first], y[first])
    assert head.C_ == 0
    assert_array_equal(head.predict(X), prior.predict(X))


def test_a_fold_with_one_row_per_class_takes_a_weight_as_copies(digits):
    X, _, y, _ = digits
    rows = np.concatenate([np.flatnonzero(y == one)[:3] for one in range(4)])
    again = np.repeat(rows, np.tile([2, 1, 1], 4))
    held_out = []
    for some, weights in ((rows, np.tile([2.0, 1.0, 1.0], 4)), (again, None)):
        is_first = np.isin(some, rows[::3])
        folds = [(np.flatnonzero(is_first), np.flatnonzero(~is_first))]
        head = LogisticDiscriminantHead(Cs=[1.0])
        logits, valid = head.cross_fit(X[some], y[some], sample_weight=weights, folds=folds)
        held_out.append(logits[valid])
    assert_allclose(*held_out, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("n_columns", "most"), [(12, 0), (60, 1000), (60, 50)])
def test_whitening_is_a_root_of_the_inverse_covariance(n_columns, most, monkeypatch):
    monkeypatch.setattr(_discriminant, "_MOST_COLUMNS", most)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, n_columns)) * rng.uniform(0.5, 3, n_columns), np.arange(30) % 3
    expected = np.linalg.inv(covariance(X, y, 0.2))
    discriminant = Discriminant(X, y, 3)
    root = discriminant.whitening(30 * 0.2 * X.var(axis=0).mean())
    assert_allclose(root.restore(root.whiten(np.eye(n_columns))), expected, rtol=1e-9, atol=1e-12)


def test_a_wide_table_makes_no_matrix_of_its_columns():
    rng, y = np.random.default_rng(0), np.arange(24) % 3
    X = rng.normal(size=(24, 100_000)) + 0.1 * rng.normal(size=(3, 100_000))[y]
    head = LogisticDiscriminantHead(Cs=[1.0]).fit(X[:15], y[:15])
    assert head.score(X[15:], y[15:]) == 1


@pytest.mark.parametrize(
    ("blocks", "sizes", "name"),
    [
        (["zoo/RN20", "zoo/ViT-16"], (384, 384), "all:linear-all"),  # three times the columns
        (["zoo/RN20", "zoo/ViT-16"], (385, 385), "all:logistic-all"),
        (["zoo/RN20"], (100, 100, 100, 100), "zoo/RN20:linear"),
        (["zoo/RN20"], (101, 101, 101, 101), "zoo/RN20:logistic"),
        (["zoo/RN20"], (110, 1700), "zoo/RN20:logistic"),  # the harmonic mean is 207
        (["zoo/RN20"], (100, 1700), "zoo/RN20:linear"),  # 189, too few for 128 columns
        (["zoo/RN20"], (25, 500, 500, 500), "zoo/RN20:linear"),  # 87
    ],
)
def test_the_default_has_it_where_there_are_many_rows(emoji, blocks, sizes, name):
    X, y = emoji
    rng = np.random.default_rng(0)
    some = np.concatenate(
        [rng.choice(np.flatnonzero(y == one), n) for one, n in zip(np.unique(y), sizes)]
    )
    table = X[some] + 0.01 * rng.normal(size=(len(some), X.shape[1]))
    clf = AdaptiveBackboneEnsemble(blocks, random_state=0)
    clf.fit(table[:, : 128 * len(blocks)], y[some])
    assert clf.expert_names_[-1] == name
    assert clf.validated_.all()

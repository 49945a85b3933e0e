"""Heads in closed form: the linear discriminant and the correction of zero-shot logits."""

from operator import itemgetter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedKFold, cross_val_score

from skclipens import (
    AdaptiveBackboneEnsemble,
    CLIPEmbedder,
    ForestHead,
    KernelHead,
    LinearDiscriminantHead,
    LinearProbeHead,
    LogisticDiscriminantHead,
    ResidualHead,
    ZeroShotHead,
)
from skclipens._utils import _linalg
from skclipens._utils._labels import allow_few_rows_per_class
from skclipens.datasets import load_emoji
from skclipens.heads import _discriminant, _shrinkage
from skclipens.heads._temperature import calibrated_loss, fit_temperature
from skclipens.model_selection import FewShotSplit

pytestmark = pytest.mark.usefixtures("embedded_once")

BACKBONE = "zoo/RN20"


@pytest.fixture(scope="module")
def emoji():
    emoji = load_emoji(min_class_size=20)
    X = CLIPEmbedder(BACKBONE).fit_transform(emoji.filenames)
    return X, emoji.target_names[emoji.target]


def split(emoji, n_shots, seed=0):
    X, y = emoji
    train, test = next(FewShotSplit(n_shots, random_state=seed).split(X, y))
    return X[train], y[train], X[test], y[test]


# Linear discriminant


def test_is_scikit_learns_discriminant_with_the_same_covariance():
    X, y = load_iris(return_X_y=True)
    within = np.mean([X[y == c].var(axis=0) for c in range(3)])  # classes are equally large
    ridge = 0.5 * within  # shrinkage s leaves (1 - s) S + s v I
    head = LinearDiscriminantHead(shrinkage=ridge / X.var(axis=0).mean()).fit(X, y)
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1 / 3).fit(X, y)
    scores = head.decision_function(X), lda.decision_function(X)
    ours, theirs = (one - one.mean(axis=1, keepdims=True) for one in scores)
    # Theirs has two thirds of our covariance throughout; the priors do not scale with it.
    assert_allclose(ours, theirs * 2 / 3, rtol=1e-6, atol=1e-9)


@given(seed=st.integers(0, 2**32 - 1), n_features=st.integers(2, 30))
def test_wide_and_tall_tables_are_solved_alike(seed, n_features):
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2], 5)
    X = rng.normal(size=(15, n_features)) + y[:, None]
    head = LinearDiscriminantHead(shrinkage=0.3).fit(X, y)
    means = np.stack([X[y == c].mean(axis=0) for c in range(3)])
    residuals = X - means[y]
    covariance = residuals.T @ residuals / 15 + 0.3 * X.var(axis=0).mean() * np.eye(n_features)
    coef = np.linalg.solve(covariance, (means - X.mean(axis=0)).T).T
    assert_allclose(head.coef_, coef, rtol=1e-6, atol=1e-9)


def test_one_row_per_class_is_the_nearest_row_at_a_given_shrinkage(emoji):
    X, y, X_test, _ = split(emoji, 1)
    nearest = y[np.argmin(((X_test[:, None] - X) ** 2).sum(axis=2), axis=1)]
    assert_array_equal(LinearDiscriminantHead(shrinkage=1.0).fit(X, y).predict(X_test), nearest)


@pytest.mark.parametrize("n_classes", [2, 3, 30])
@pytest.mark.parametrize("scale", [1e-3, 1, 100])
def test_one_row_per_class_is_a_logistic_regression(n_classes, scale, emoji):
    X, y, X_test, _ = split(emoji, 1)
    X, y = X[:n_classes] * scale, y[:n_classes]
    head = LinearDiscriminantHead().fit(X, y)
    unit = np.sqrt(np.mean(((X - X.mean(axis=0)) ** 2).sum(axis=1)))
    probe = LogisticRegression(C=10, max_iter=1000)
    with allow_few_rows_per_class():
        probe.fit(X / unit, y)
    theirs = probe.predict_log_proba(X_test * scale / unit)
    assert_allclose(head.predict_log_proba(X_test * scale), theirs, atol=0.02)
    # What a row counts is not how often it is there.
    often = np.repeat(np.arange(n_classes), 1 + np.arange(n_classes) % 3)
    again = LinearDiscriminantHead().fit(X[often], y[often])
    logits = [one.decision_function(X_test * scale) for one in (head, again)]
    assert_allclose(*logits, atol=0.02)


def test_lone_rows_that_are_all_the_same_tell_nothing():
    X, y = np.ones((3, 4)), np.arange(3)
    assert_allclose(LinearDiscriminantHead().fit(X, y).predict_proba(np.eye(4)), 1 / 3)
    X, y = np.array([[0.0], [2.0], [1.0], [1.0]]), np.array([0, 0, 1, 2])  # means are
    probabilities = LinearDiscriminantHead().fit(X, y).predict_proba([[0.0], [5.0]])
    assert_allclose(probabilities, 1 / 3)


@pytest.mark.parametrize("n_classes", [2, 8])
def test_a_class_of_many_rows_does_not_outvote_those_of_one(n_classes, emoji):
    X, y, X_test, y_test = split(emoji, 8)
    classes = np.unique(y)[:n_classes]
    rows = [np.flatnonzero(y == c)[: 8 if c == classes[0] else 1] for c in classes]
    rows, test = np.concatenate(rows), np.isin(y_test, classes)
    predicted = LinearDiscriminantHead().fit(X[rows], y[rows]).predict(X_test[test])
    alone = np.unique(y[rows], return_index=True)[1]
    of_alone = LinearDiscriminantHead().fit(X[rows[alone]], y[rows[alone]]).predict(X_test[test])
    of_others = y_test[test] != classes[0]
    right, right_alone = ((one == y_test[test])[of_others].mean() for one in (predicted, of_alone))
    assert right > 0.6 * right_alone
    assert np.mean(predicted == classes[0]) < 8 / len(rows)


def test_a_class_of_which_fewer_rows_are_known_is_not_forgotten(emoji):
    """Of most classes one row: the means of the others stand beside these."""
    X, y, X_test, y_test = split(emoji, 2)
    classes = np.unique(y)
    some = np.concatenate([np.flatnonzero(y == c)[: 1 + (c in classes[:5])] for c in classes])
    head = LinearDiscriminantHead().fit(X[some], y[some])
    assert head.shrinkage_ == 1
    assert set(head.predict(X_test)) == set(y)
    assert head.score(X_test, y_test) > 0.2


def test_keeps_single_precision(emoji):
    X, y, X_test, _ = split(emoji, 2)
    head = LinearDiscriminantHead().fit(X, y)
    assert head.decision_function(X_test).dtype == head.coef_.dtype == np.float32


def test_is_as_accurate_as_logistic_regression():
    X, y = load_digits(return_X_y=True)
    train, test = next(FewShotSplit(8, random_state=0).split(X, y))
    ours = LinearDiscriminantHead().fit(X[train], y[train]).score(X[test], y[test])
    theirs = LogisticRegression(max_iter=5000).fit(X[train] / 16, y[train])
    assert ours > theirs.score(X[test] / 16, y[test]) - 0.03


def held_out_loss(head, X, y, **given):
    """Log-loss of held-out logits, once they are calibrated."""
    logits, valid = head.cross_fit(X, y, **given)
    targets = np.searchsorted(head.classes_, y)[valid]
    temperature = fit_temperature(logits[valid], targets)
    return -log_softmax(logits[valid] / temperature, axis=1)[
        np.arange(len(targets)), targets
    ].mean()


def offsets(X, y, weights, ridge):
    """Logarithms of priors, and half of what the noise of the means costs the classes."""
    classes, targets = np.unique(y, return_inverse=True)
    counts = np.bincount(targets, weights)
    means = np.array([np.average(X[y == c], 0, weights[y == c]) for c in classes])
    rest = (X - means[targets]) * np.sqrt(weights)[:, None]
    values = np.linalg.eigvalsh(rest.T @ rest)
    covariance = np.sum(values / (values + ridge)) * weights.sum() / (weights.sum() - len(classes))
    return np.log(counts / weights.sum()) + covariance / counts / 4


def left_out(X, y, row, weights, shrinkage):
    """Logits of a row by the discriminant of the others, solved again.

    The ridge and the offsets are those of all rows.
    """
    n_all, x, own = weights.sum(), X[row], y[row]
    centre = weights @ X / n_all
    ridge = shrinkage * (weights @ (X - centre) ** 2).mean()
    others = np.arange(len(X)) != row
    means = {
        c: np.average(X[(y == c) & others], 0, weights[(y == c) & others]) for c in np.unique(y)
    }
    rest = (X - np.array([means[c] for c in y]))[others]
    scatter = (rest.T * weights[others]) @ rest
    precision = weights[others].sum() * np.linalg.inv(scatter + ridge * np.eye(X.shape[1]))
    distances = np.array([(x - mean) @ precision @ (x - mean) for mean in means.values()])
    # As far from a mean of m - 1 rows as a new row is from one of m.
    m = weights[y == own].sum() / weights[row]
    distances[list(means).index(own)] *= (1 + 1 / m) / (1 + 1 / (m - 1))
    return offsets(X, y, weights, ridge) - distances / 2


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_shots", [3, 16])  # fewer and more rows than columns
def test_held_out_logits_are_those_of_discriminants_of_the_other_rows(emoji, n_shots, weighted):
    X, y, *_ = split(emoji, n_shots)
    X = X.astype(float)
    weights = np.random.default_rng(0).uniform(0.5, 2, len(X)) if weighted else np.ones(len(X))
    head = LinearDiscriminantHead(shrinkage=2.0)
    logits, valid = head.cross_fit(X, y, sample_weight=weights if weighted else None)
    assert valid.all()
    for row in range(0, len(X), 31):
        expected = left_out(X, y, row, weights, 2.0)
        found = logits[row] - logits[row].mean() + expected.mean()
        assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shrinkage", [0.03, 1.0])
def test_rows_that_are_held_out_of_a_wide_table_are_in_no_direction_at_the_mean(shrinkage):
    """Single precision does not tell small variances from none; a row has them all the same."""
    rng = np.random.default_rng(0)
    y = np.arange(600) % 20
    X = rng.normal(size=(600, 700)) * np.geomspace(1, 1e-3, 700)
    X = (X + 0.3 * rng.normal(size=(20, 700))[y] * np.geomspace(1, 1e-3, 700)).astype(np.float32)
    logits, _ = LinearDiscriminantHead(shrinkage=shrinkage).cross_fit(X, y)
    for row in range(0, 600, 97):
        expected = left_out(X.astype(float), y, row, np.ones(600), shrinkage)
        found = logits[row] - logits[row].mean() + expected.mean()
        assert_allclose(found, expected, atol=3e-4 * np.ptp(expected))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "model",
    [
        LinearDiscriminantHead(),
        LogisticDiscriminantHead(),
        AdaptiveBackboneEnsemble([("all", slice(None))], head="linear-all", random_state=0),
    ],
)
def test_a_column_far_from_zero_costs_nothing_in_float32(model, weighted):
    """A sum of it in float32 is off by far more than the other columns vary."""
    rng = np.random.default_rng(0)
    y = np.arange(800) % 4
    X = np.c_[rng.normal(size=(800, 12)) + 2 * np.eye(12)[y], np.full(800, 1e7)].astype("f")
    weights = rng.uniform(0.5, 2, 400) if weighted else None
    scores = [
        clone(model).fit(table[:400], y[:400], sample_weight=weights).score(table[400:], y[400:])
        for table in (X, X.astype(float))
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.02)
    assert scores[1] > 0.75


@pytest.mark.parametrize(
    "model",
    [
        LinearDiscriminantHead(),
        LogisticDiscriminantHead(),
        LinearProbeHead(),
        ForestHead(random_state=0),
        AdaptiveBackboneEnsemble(
            [("some", slice(6)), ("rest", slice(6, None))], head="linear", random_state=0
        ),
        KernelHead(),
        AdaptiveBackboneEnsemble([("all", slice(None))], head=["linear", "kernel"], random_state=0),
    ],
)
@pytest.mark.parametrize("far", [2e5, 20240100, 1e8])
@pytest.mark.filterwarnings("ignore:Rows of what .* have nearly one direction")
def test_differences_far_from_zero_count_in_float32_too(model, far):
    """Such as those of dates as numbers: the values are exact, and products with them are not."""
    rng = np.random.default_rng(0)
    y = np.arange(800) % 4
    X = np.c_[rng.normal(size=(800, 8)) + np.eye(8)[y], far + 8.0 * (y % 2)].astype("f")
    expected = clone(model).fit(X[:400].astype(float), y[:400]).predict_proba(X[400:].astype(float))
    head = clone(model).fit(X[:400], y[:400])
    assert_allclose(head.predict_proba(X[400:]), expected, atol=1e-5)
    if hasattr(head, "partial_fit"):
        single, double = clone(head), clone(head)
        for part in (slice(0, 150), slice(150, 400)):
            single.partial_fit(X[part], y[part], classes=range(4))
            double.partial_fit(X[part].astype(float), y[part], classes=range(4))
        found = [one.predict_proba(X[400:]) for one in (single, double)]
        assert_allclose(*found, atol=1e-5)


@pytest.mark.parametrize("rescale", [None, [[8]], [[0, 1], [8]]])
@pytest.mark.parametrize("n_parts", [2, 8])
def test_a_column_of_one_value_in_each_part_counts(n_parts, rescale):
    """Such as the date if rows come day by day."""
    rng = np.random.default_rng(0)
    y = np.arange(800) % 4
    X = np.c_[rng.normal(size=(800, 8)) + np.eye(8)[y], 20240100 + 8.0 * (y % 2)].astype("f")
    single, double = (LinearDiscriminantHead(rescale=rescale) for _ in range(2))
    for rows in np.split(np.argsort(X[:400, 8], kind="stable"), n_parts):
        single.partial_fit(X[rows], y[rows], classes=range(4))
        double.partial_fit(X[rows].astype(float), y[rows], classes=range(4))
    found = [one.predict_proba(X[400:]) for one in (single, double)]
    assert_allclose(*found, atol=1e-5)
    near = LinearDiscriminantHead().partial_fit(X[:400, :8], y[:400], classes=range(4))
    assert near.coef_.dtype == "float32"


@pytest.mark.parametrize("n_shots", [2, 4])
def test_held_out_rows_are_as_near_to_their_class_as_new_ones(emoji, n_shots):
    """Or else calibration would take a class for the less likely, the nearer a row is to it."""
    margins = []
    for seed in range(4):
        X, y, X_test, y_test = split(emoji, n_shots, seed)
        head = LinearDiscriminantHead(shrinkage=3.0)
        held_out, _ = head.cross_fit(X, y)
        both = (held_out, y), (head.decision_function(X_test), y_test)
        margins.append(
            [
                np.mean(logits[np.equal.outer(labels, head.classes_)] - logits.mean(axis=1))
                for logits, labels in both
            ]
        )
    held_out, new = np.mean(margins, axis=0)
    assert 0.75 < held_out / new < 1.35


def test_rows_without_weight_or_company_cannot_judge():
    X, y = load_iris(return_X_y=True)
    X, y = X[::10], y[::10]
    weights = np.ones(15)
    weights[[0, 6, 7, 8, 9]] = 0  # of the second class, one is left
    _, valid = LinearDiscriminantHead().cross_fit(X, y, sample_weight=weights)
    assert_array_equal(valid, [0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1])


def with_uneven_classes(emoji, seed=0):
    """Half of the classes with 20 rows, and half with 4; and as many test rows of each class."""
    X, y, X_test, y_test = split(emoji, 20, seed)
    rank = pd.Series(y).groupby(y).cumcount().to_numpy()
    few = np.isin(y, np.unique(y)[::2])
    rows = ~few | (rank < 4)
    return X[rows], y[rows], X_test, y_test, np.isin(y_test, np.unique(y)[::2])


def test_classes_of_few_rows_are_predicted_less_seldom(emoji, monkeypatch):
    shares = {}
    for part in (0, 0.5, 1):
        monkeypatch.setattr(_discriminant, "_OF_NOISE", part)
        for seed in range(3):
            X, y, X_test, _, of_few = with_uneven_classes(emoji, seed)
            said = LinearDiscriminantHead(shrinkage=1.0).fit(X, y).predict(X_test)
            is_few = np.isin(said, np.unique(y)[::2])
            shares.setdefault(part, []).append(is_few.sum() / of_few.sum())
    none, half, all_of_it = (np.mean(of_part) for of_part in shares.values())
    assert none < half < min(1, all_of_it)


def test_offsets_are_the_same_however_they_are_computed(emoji):
    X, y, *_ = with_uneven_classes(emoji)
    X = X.astype(float)
    searched = LinearDiscriminantHead().fit(X, y)  # from eigenvalues
    solved = LinearDiscriminantHead(shrinkage=searched.shrinkage_).fit(X, y)
    summed = LinearDiscriminantHead(shrinkage=searched.shrinkage_).partial_fit(X, y, np.unique(y))
    wide = LinearDiscriminantHead(shrinkage=searched.shrinkage_ * 7)
    wide.fit(np.hstack([X, np.zeros((len(X), 6 * X.shape[1]))]), y)  # its rows are multiplied
    for head in (solved, summed, wide):
        assert_allclose(head.intercept_, searched.intercept_, rtol=1e-5)


@pytest.mark.parametrize("n_shots", [1, 8])
def test_offsets_of_classes_with_as_many_rows_are_the_same(emoji, n_shots, monkeypatch):
    X, y, *_ = split(emoji, n_shots)
    found = []
    for part in (0, 0.5):
        monkeypatch.setattr(_discriminant, "_OF_NOISE", part)
        head = LinearDiscriminantHead().fit(X, y)
        found.append((head.coef_, head.intercept_))
    for one, other in zip(*found, strict=True):
        assert_array_equal(one, other)


def test_shrinkage_is_the_best_for_held_out_training_rows(emoji):
    chosen = set()
    for n_shots, noise in [(4, 0), (16, 0), (8, 0.3), (30, 0)]:
        X, y, *_ = split(emoji, n_shots)
        X = X + noise * np.random.default_rng(0).normal(size=X.shape).astype(X.dtype)
        head = LinearDiscriminantHead()
        best = held_out_loss(head, X, y)
        assert head.shrinkage_ == LinearDiscriminantHead().fit(X, y).shrinkage_
        for shrinkage in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0):
            one = LinearDiscriminantHead(shrinkage=shrinkage)
            assert best <= held_out_loss(one, X, y) * 1.0011
            if shrinkage == head.shrinkage_:
                assert_array_equal(one.coef_, head.coef_)
        chosen.add(head.shrinkage_)
    assert min(chosen) < 1 < max(chosen)


@pytest.mark.parametrize("folds", [False, True])
def test_part_of_many_rows_chooses_the_shrinkage_and_all_are_held_out(emoji, folds, monkeypatch):
    X, y = emoji
    folds = list(StratifiedKFold(3).split(X, y)) if folds else None
    of_all = LinearDiscriminantHead()
    of_all.cross_fit(X, y, folds=folds)
    rated = []
    monkeypatch.setattr(_shrinkage, "_ENOUGH", 100)

    def loss(logits, *others):
        rated.append(len(logits))
        return calibrated_loss(logits, *others)

    monkeypatch.setattr(_shrinkage, "calibrated_loss", loss)
    head = LinearDiscriminantHead()
    logits, valid = head.cross_fit(X, y, folds=folds)
    assert set(rated) == {100}
    assert 1 / 10 <= head.shrinkage_ / of_all.shrinkage_ <= 10  # neighbours, at most two away
    expected = LinearDiscriminantHead(shrinkage=head.shrinkage_).cross_fit(X, y, folds=folds)
    assert_allclose(logits, expected[0], rtol=1e-4, atol=1e-4)
    assert valid.all()
    assert expected[1].all()


def test_many_rows_of_few_columns_are_shrunk_less():
    X, y = load_iris(return_X_y=True)
    splits = StratifiedKFold(5, shuffle=True, random_state=0)
    assert LinearDiscriminantHead().fit(X, y).shrinkage_ < 1
    assert cross_val_score(LinearDiscriminantHead(), X, y, cv=splits).mean() > 0.97


def test_copies_of_few_rows_of_few_columns_are_not_shrunk_less():
    X, y = (rows[::10] for rows in load_iris(return_X_y=True))
    assert LinearDiscriminantHead().fit(np.repeat(X, 20, axis=0), np.repeat(y, 20)).shrinkage_ >= 1


def test_where_no_row_can_judge_the_shrinkage_is_one(emoji):
    X, y, *_ = split(emoji, 1)
    head = LinearDiscriminantHead()
    _, valid = head.cross_fit(X, y)
    assert head.shrinkage_ == 1
    assert not valid.any()
    X, y, *_ = split(emoji, 2)
    head.fit(X[::2], y[::2])
    first = np.sort(np.unique(y, return_index=True)[1])
    some = np.union1d(first, np.flatnonzero(np.isin(y, np.unique(y)[:5])))
    _, valid = head.cross_fit(X[some], y[some])
    assert head.shrinkage_ == 1  # five classes of thirty have another row
    assert not valid.any()  # held-out discriminants do not judge a logistic regression
    _, valid = head.set_params(shrinkage=1.0).cross_fit(X[some], y[some])
    assert valid.sum() == 10


def test_copies_of_a_row_do_not_judge_the_shrinkage(emoji):
    """Labels that mean nothing seem right where a row has a near copy, unless groups say so."""
    X, y, *_ = split(emoji, 4)
    rng = np.random.default_rng(0)
    noise = rng.permutation(y)
    copies, noise, groups = X.repeat(3, axis=0), noise.repeat(3), np.arange(len(X)).repeat(3)
    near = copies + 1e-4 * rng.standard_normal(copies.shape)

    def seem_right(head, X, **given):
        logits, _ = head.cross_fit(X, noise, **given)
        return np.mean(head.classes_[logits.argmax(axis=1)] == noise)

    for head in (LinearDiscriminantHead(), LinearProbeHead(cv=3)):
        assert seem_right(head, near, groups=groups) < 0.2
        assert seem_right(head, near) > 0.3
        assert seem_right(head, copies) < 0.2  # these are seen


def test_a_fold_or_a_number_of_folds_judges_in_place_of_single_rows(emoji):
    X, y, *_ = split(emoji, 4)
    folds = [(np.arange(1, len(X)), np.array([0])), (np.arange(len(X) - 1), np.array([len(X) - 1]))]
    head = LinearDiscriminantHead(shrinkage=1.0)
    alone, _ = head.cross_fit(X, y)
    for one, options in [(head, {"folds": folds}), (clone(head).set_params(cv=folds), {})]:
        logits, valid = one.cross_fit(X, y, **options)
        assert_array_equal(np.flatnonzero(valid), [0, len(X) - 1])
        assert_array_equal(logits[valid].argmax(axis=1), alone[valid].argmax(axis=1))
    logits, valid = LinearDiscriminantHead(cv=2).cross_fit(X, y)
    assert valid.all()
    assert np.abs(logits - alone).max() > 0.1


@pytest.mark.parametrize(
    "head", [LinearDiscriminantHead(), LinearProbeHead()], ids=["lda", "probe"]
)
def test_an_ensemble_fits_linear_heads_once(head, emoji, monkeypatch):
    X, y, *_ = split(emoji, 2)
    calls = []
    kind = type(head)
    real = kind.cross_fit
    monkeypatch.setattr(
        kind, "cross_fit", lambda self, *a, **k: calls.append(k) or real(self, *a, **k)
    )
    AdaptiveBackboneEnsemble(head=head, random_state=0).fit(X, y)
    assert [call["folds"] for call in calls] == [None]


# Residual


def test_is_the_text_plus_a_ridge_regression_of_what_it_leaves(emoji):
    X, y, X_test, _ = split(emoji, 4)
    head = ResidualHead(BACKBONE, alpha=0.5).fit(X, y)
    text = ZeroShotHead(BACKBONE).fit(X, y)
    unexplained = (y[:, None] == head.classes_) - softmax(
        text.decision_function(X) / head.temperature_, axis=1
    )
    ridge = Ridge(0.5).fit(X, unexplained)
    correction = head.decision_function(X_test) - text.decision_function(X_test) / head.temperature_
    expected = ridge.predict(X_test)
    scale = np.linalg.norm(correction) / np.linalg.norm(expected)
    assert_allclose(correction, expected * scale, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(("n_shots", "gain"), [(1, -0.03), (16, 0.02)])
def test_learns_from_rows_what_prompts_do_not_say(emoji, n_shots, gain):
    """From one row per class there is little to learn, and little is changed."""
    X, y, X_test, y_test = split(emoji, n_shots)
    text = ZeroShotHead(BACKBONE).fit(X, y).score(X_test, y_test)
    assert ResidualHead(BACKBONE).fit(X, y).score(X_test, y_test) > text + gain


def test_one_row_per_class_serves_where_prompts_mean_nothing(emoji):
    X, y, X_test, y_test = split(emoji, 1)
    names = np.unique(y)
    wrong = dict(zip(names, np.roll(names, 1)))
    text = ZeroShotHead(BACKBONE, class_names=wrong).fit(X, y).score(X_test, y_test)
    rows = LinearDiscriminantHead().fit(X, y).score(X_test, y_test)
    head = ResidualHead(BACKBONE, class_names=wrong)
    logits, _ = head.cross_fit(X, y)
    assert head.score(X_test, y_test) > (text + rows) / 2
    # Nothing has judged the correction, so the prompts alone judge the head.
    expected = ZeroShotHead(BACKBONE, class_names=wrong).fit(X, y).decision_function(X)
    assert_allclose(logits, expected / head.temperature_, rtol=1e-4)


def test_the_same_in_small_batches(monkeypatch):
    X, y = load_digits(return_X_y=True)
    X, y = X[:200], y[:200]
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y))
    blocks = [("left", slice(0, 32)), ("right", slice(32, 64))]

    def results():
        head = LinearDiscriminantHead()
        logits, valid = head.cross_fit(X, y, sample_weight=weights)
        clf = AdaptiveBackboneEnsemble(blocks, head="linear").fit(X, y)
        return [head.shrinkage_, head.coef_, logits, valid, head.predict(X), clf.predict_proba(X)]

    whole = results()
    monkeypatch.setattr(_linalg, "_VALUES_AT_ONCE", 300)
    for one, other in zip(whole, results(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("n_rows", [24, 200])  # fewer rows than columns, and more
def test_rescaled_blocks_are_those_of_a_scaled_table(n_rows):
    X, y = make_classification(n_rows, 60, n_informative=20, n_classes=4, random_state=0)
    X[:, 40:50] *= 1e4
    X[:, 50:58] *= 1e-3
    X[:, 58:] = 0.1  # a constant, of which float32 has another mean
    blocks = [slice(40, 50), np.arange(50, 58), [58, 59]]
    found = []
    for variance in (1, 10, 100):
        scaled = X.copy()
        for columns in blocks[:2]:
            scaled[:, columns] /= np.sqrt(X[:, columns].var(axis=0).sum() / variance)
        plain = LinearDiscriminantHead().fit(scaled, y)
        logits, valid = plain.cross_fit(scaled, y)
        found.append((calibrated_loss(logits, y), variance, plain, scaled, logits))
    _, variance, plain, scaled, expected = min(found, key=itemgetter(0))
    head = LinearDiscriminantHead(rescale=blocks)
    logits, valid = head.cross_fit(X, y)
    assert (head.shrinkage_, head.block_variance_) == (plain.shrinkage_, variance)
    assert valid.all()
    assert_allclose(logits, expected, atol=1e-8)
    expected = plain.decision_function(scaled)
    assert_allclose(head.decision_function(X), expected, atol=1e-6)


@pytest.mark.parametrize("n_rows", [24, 200])
def test_blocks_are_rescaled_in_parts_as_in_one(n_rows):
    X, y = make_classification(n_rows, 60, n_informative=20, n_classes=4, random_state=0)
    whole = LinearDiscriminantHead(shrinkage=3.0, rescale=[slice(40, 50), slice(50, 60)])
    X[:, 40:50] *= 1e4
    in_parts = clone(whole)
    for part in np.array_split(np.arange(n_rows), 3):
        in_parts.partial_fit(X[part], y[part], classes=np.unique(y))
    expected = whole.fit(X, y).decision_function(X)
    assert whole.block_variance_ == 1
    assert_allclose(in_parts.decision_function(X), expected, atol=1e-5)


@pytest.mark.parametrize("n_rows", [24, 5000])
def test_seconds_since_1970_are_rescaled_as_those_of_an_hour(n_rows):
    X, y = make_classification(n_rows, 10, n_informative=5, n_classes=4, random_state=0)
    X[:, 8] = np.random.default_rng(0).normal(0, 300, n_rows).round()
    X[:, 9] = 0.1  # has no variance, but its mean is rounded
    since = X + 1.7e9 * (np.arange(10) == 8)
    head = LinearDiscriminantHead(shrinkage=1.0, rescale=[[8], [9]])
    expected = head.fit(X, y).decision_function(X)
    assert_allclose(head.fit(since, y).decision_function(since), expected, atol=1e-5)
    in_parts = clone(head)
    for part in np.array_split(np.arange(n_rows), 3):
        in_parts.partial_fit(since[part], y[part], classes=np.unique(y))
    assert_allclose(in_parts.decision_function(since), expected, atol=1e-5)


@pytest.mark.parametrize("n_shots", [4, 16])
@pytest.mark.parametrize("head", [LinearDiscriminantHead(shrinkage=1e-6), ResidualHead(alpha=1e-8)])
def test_small_penalties_are_exact_in_float32_too(emoji, head, n_shots):
    X, y, X_test, _ = split(emoji, n_shots)
    head = clone(head)
    if hasattr(head, "backbone"):
        head.set_params(backbone=BACKBONE)
    weights = np.linspace(0.5, 2, len(y))
    for sample_weight in (None, weights):
        logits, _ = head.cross_fit(X, y, sample_weight=sample_weight)
        found = head.predict_proba(X_test)
        expected, _ = head.cross_fit(X.astype(float), y, sample_weight=sample_weight)
        assert logits.dtype == np.float32
        assert_allclose(softmax(logits, axis=1), softmax(expected, axis=1), atol=2e-3)
        assert_allclose(found, head.predict_proba(X_test.astype(float)), atol=2e-3)
    if hasattr(head, "partial_fit"):
        expected = head.fit(X, y).decision_function(X_test)
        head = clone(head).partial_fit(X[::2], y[::2], np.unique(y)).partial_fit(X[1::2], y[1::2])
        assert head.coef_.dtype == np.float32
        assert_allclose(head.decision_function(X_test), expected, rtol=1e-3, atol=1)


@pytest.mark.parametrize("size", [9, 10])  # weights of ten rows sum to one
def test_parts_whose_weights_sum_to_one_count_as_in_fit(size):
    rng = np.random.default_rng(0)
    X, y, weights = rng.normal(size=(44, 4)), np.arange(44) % 2, np.full(44, 0.1)
    whole = LinearDiscriminantHead(shrinkage=0.1).fit(X, y, sample_weight=weights)
    in_parts = LinearDiscriminantHead(shrinkage=0.1)
    for start in range(0, 44, size):
        part = slice(start, start + size)
        in_parts.partial_fit(X[part], y[part], [0, 1], sample_weight=weights[part])
    assert_allclose(in_parts.coef_, whole.coef_, rtol=1e-6, atol=1e-9)
    assert_allclose(in_parts.intercept_, whole.intercept_, rtol=1e-6, atol=1e-9)


def test_numbers_vary_more_where_they_say_more():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 4
    noise = rng.normal(size=(120, 60)) / np.sqrt(60)
    numbers = y[:, None] + rng.normal(0, 0.7, (120, 2))
    X, blocks = np.hstack([noise, numbers]), [slice(60, 62)]
    head = LinearDiscriminantHead(rescale=blocks).fit(X[:80], y[:80])
    assert head.block_variance_ > 1
    alike = LinearDiscriminantHead(rescale=blocks, shrinkage=1.0).fit(X[:80], y[:80])
    assert head.score(X[80:], y[80:]) > alike.score(X[80:], y[80:])
    # Of all columns the variance says nothing: the shrinkage is relative to it.
    of_all = LinearDiscriminantHead(rescale=[slice(60), slice(60, 62)]).fit(X, y)
    assert of_all.block_variance_ == 1


def test_one_row_of_each_class_and_a_block_in_other_units():
    X, y = make_classification(200, 20, n_informative=10, n_classes=4, random_state=0)
    some = np.unique(y, return_index=True)[1]
    head, columns = LinearDiscriminantHead(rescale=[slice(18, 20)]), np.r_[np.ones(18), 1e5, 1e5]
    logits = head.fit(X[some], y[some]).decision_function(X)
    again = head.fit(X[some] * columns, y[some]).decision_function(X * columns)
    assert_allclose(again, logits, rtol=1e-6)


@pytest.mark.parametrize(
    "blocks",
    [
        *([[60]], [slice(60, None)], [slice(50, 61)], [["a"]], [[]], [1]),
        *([[1, 1]], [np.arange(60) // 58], [[1, 2], [2, 3]]),
    ],
)
def test_blocks_to_rescale_have_columns(blocks):
    X, y = make_classification(40, 60, random_state=0)
    with pytest.raises(ValueError, match="rescale"):
        LinearDiscriminantHead(rescale=blocks).fit(X, y)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_large_numbers_are_no_cause_of_warnings():
    X, y = load_iris(return_X_y=True)
    expected = LinearDiscriminantHead().fit(X, y).decision_function(X)
    large = LinearDiscriminantHead().fit(X * 1e19, y).decision_function(X * 1e19)
    assert_allclose(large, expected, rtol=1e-6)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_rows_of_tiny_weights_are_as_if_left_out():
    X, y = load_iris(return_X_y=True)
    X, some = X.astype(np.float32), np.arange(150) % 3 == 0
    head = LinearDiscriminantHead().fit(X, y, sample_weight=np.where(some, 1, 1e-42))
    assert_allclose(head.coef_, LinearDiscriminantHead().fit(X[some], y[some]).coef_, rtol=1e-3)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_row_that_is_all_of_its_class_but_for_rounding_judges_nothing(emoji):
    """Without it nothing was left in single precision, so its logits were not numbers."""
    X, y, *_ = split(emoji, 4)
    weights = np.where(y == y[0], 1e-9, 1)
    weights[0] = 100
    logits, valid = LinearDiscriminantHead().cross_fit(X, y, sample_weight=weights)
    assert not valid[0]
    assert valid.mean() > 0.9
    assert np.isfinite(logits).all()

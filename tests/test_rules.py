"""Tests of the combination rules, on embeddings of real pictures and on random logits."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import approx_fprime
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.utils.estimator_checks import parametrize_with_checks

from skclipens import MultiBackboneEmbedder
from skclipens.datasets import load_emoji
from skclipens.ensemble import (
    ConfidenceEnsemble,
    GeneticEnsemble,
    LogitAverageEnsemble,
    MixtureOfExpertsEnsemble,
    ProbabilityAverageEnsemble,
    SuperLearnerEnsemble,
    VotingEnsemble,
)
from skclipens.ensemble import _genetic as genetic
from skclipens.ensemble._mixture import imbalance, noisy_top_k, sparse_softmax

# The checks' tables have few columns: two blocks need the first and the last at most.
HALVES = dict(blocks=[("first", slice(0, 1)), ("last", slice(-1, None))], head="linear", cv=2)

RULES = {
    "log-avg": LogitAverageEnsemble(),
    "prob-avg": ProbabilityAverageEnsemble(),
    "conf": ConfidenceEnsemble(),
    "vote-1": VotingEnsemble(),
    "vote-3": VotingEnsemble(n_votes=3),
    "gac": GeneticEnsemble(population=5, max_iter=3, random_state=0),
    "sl": SuperLearnerEnsemble(),
    "sl-log": SuperLearnerEnsemble(loss="log_loss"),
    "moe": MixtureOfExpertsEnsemble(max_iter=3, random_state=0),
}
FIXED = ["log-avg", "prob-avg", "conf", "vote-1", "vote-3"]

BACKBONES = ["zoo/RN20", "zoo/ViT-8", "zoo/ViT-16"]
N_CLASSES, N_SHOTS, PER_CLASS = 6, 4, 12


CHECKED = ["log-avg", "prob-avg", "conf", "vote-1", "gac", "sl", "sl-log", "moe"]


@parametrize_with_checks(
    [clone(RULES[rule]).set_params(**HALVES, calibrate=rule == "conf") for rule in CHECKED]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def emoji():
    """Embeddings of 72 pictures, shuffled, and the names of their 6 classes."""
    data = load_emoji()
    rows = np.concatenate([np.flatnonzero(data.target == c)[:PER_CLASS] for c in range(N_CLASSES)])
    rows = np.random.default_rng(0).permutation(rows)
    X = MultiBackboneEmbedder(BACKBONES).fit_transform(data.filenames[rows])
    return X, data.target_names[data.target[rows]]


@pytest.fixture(scope="module")
def split(emoji):
    """Four pictures of each class, and the others: X, y, X_test, y_test."""
    X, y = emoji
    few = np.concatenate([np.flatnonzero(y == c)[:N_SHOTS] for c in np.unique(y)])
    rest = np.setdiff1d(np.arange(len(y)), few)
    return X[few], y[few], X[rest], y[rest]


def make(rule, **parameters):
    return clone(RULES[rule]).set_params(**{"blocks": BACKBONES, "head": "linear", **parameters})


def logits_of(clf, X):
    """What the heads themselves say, (n, E, C)."""
    return np.stack([e.head.decision_function(X[:, e.columns]) for e in clf.experts_], axis=1)


# Each rule is its definition


def defined_log_avg(z):
    return softmax(sum(z[:, e] for e in range(z.shape[1])) / z.shape[1], axis=1)


def defined_prob_avg(z):
    return sum(softmax(z[:, e], axis=1) for e in range(z.shape[1])) / z.shape[1]


def doubts(z):
    """Log-odds of all classes but the likeliest, (n, E): exact where probabilities round to 1."""
    return np.array(
        [[logsumexp(np.delete(e, e.argmax())) - e.max() for e in experts] for experts in z]
    )


def defined_conf(z):
    return softmax(z[np.arange(len(z)), doubts(z).argmin(axis=1)], axis=1)


def defined_vote(z, n_votes):
    shares = defined_prob_avg(z)
    for row, experts in zip(shares, z):
        for expert in experts:
            row[sorted(range(len(expert)), key=lambda c: -expert[c])[:n_votes]] += 1
    return shares / shares.sum(axis=1, keepdims=True)


DEFINITIONS = {
    "log-avg": defined_log_avg,
    "prob-avg": defined_prob_avg,
    "conf": defined_conf,
    "vote-1": lambda z: defined_vote(z, 1),
    "vote-3": lambda z: defined_vote(z, 3),
}


@pytest.mark.parametrize("calibrate", [False, True])
@pytest.mark.parametrize("head", ["zero-shot", "linear", ["zero-shot", "linear"]])
@pytest.mark.parametrize("rule", FIXED)
def test_fixed_rules(rule, head, calibrate, split):
    X, y, X_test, _ = split
    clf = make(rule, head=head, calibrate=calibrate).fit(X, y)
    assert np.allclose(clf.temperatures_, 1) != calibrate
    expected = DEFINITIONS[rule](logits_of(clf, X_test) / clf.temperatures_[:, None])
    assert_allclose(clf.predict_proba(X_test), expected, rtol=1e-3, atol=1e-6)
    assert_array_equal(clf.predict(X_test), clf.classes_[expected.argmax(axis=1)])


@pytest.fixture(scope="module")
def held_out(split):
    """How to fit heads, their logits of rows they have not seen, and positions of the classes."""
    X, y, _, _ = split
    folds = StratifiedKFold(N_SHOTS, shuffle=True, random_state=0)
    head = LogisticRegression(C=10.0, max_iter=1000)
    z = [
        cross_val_predict(head, X[:, block], y, cv=folds, method="decision_function")
        for block in np.split(np.arange(X.shape[1]), len(BACKBONES))
    ]
    return (
        dict(head=head, cv=folds),
        np.stack(z, axis=1).astype(float),
        np.unique(y, return_inverse=True)[1],
    )


def test_super_learner_is_non_negative_least_squares(held_out, split):
    X, y, X_test, _ = split
    heads, z, targets = held_out
    p = softmax(z, axis=2).swapaxes(1, 2).reshape(-1, 3)
    regression = LinearRegression(positive=True, fit_intercept=False)
    weights = regression.fit(p, np.eye(N_CLASSES)[targets].ravel()).coef_
    clf = make("sl", **heads).fit(X, y)
    assert_allclose(clf.weights_, weights / weights.sum(), atol=1e-4)
    p = softmax(logits_of(clf, X_test), axis=2)
    expected = np.einsum("e,nec->nc", clf.weights_, p)
    assert_allclose(clf.predict_proba(X_test), expected, rtol=1e-3, atol=1e-6)


def test_super_learner_minimises_log_loss(held_out, split):
    X, y, X_test, _ = split
    heads, z, targets = held_out
    clf = make("sl-log", **heads).fit(X, y)

    def loss(weights):
        log_p = log_softmax(np.einsum("e,nec->nc", weights, z), axis=1)
        return -log_p[np.arange(len(targets)), targets].mean()

    # The conditions of a minimum among non-negative weights.
    slope = approx_fprime(clf.weights_, loss)
    assert (clf.weights_ >= 0).all()
    assert_allclose(slope[clf.weights_ > 0], 0, atol=1e-3)
    assert (slope > -1e-3).all()
    expected = softmax(np.einsum("e,nec->nc", clf.weights_, logits_of(clf, X_test)), axis=1)
    assert_allclose(clf.predict_proba(X_test), expected, rtol=1e-2, atol=1e-5)


def test_genetic_is_as_accurate_as_a_grid_of_weights(held_out, split):
    X, y, X_test, _ = split
    heads, z, targets = held_out
    clf = make("gac", population=10, max_iter=30, **heads).fit(X, y)

    def accuracy(weights):
        return np.mean(np.einsum("e,nec->nc", weights, z).argmax(axis=1) == targets)

    grid = itertools.product(np.linspace(0, 1, 6), repeat=3)
    assert accuracy(clf.weights_) >= max(accuracy(np.array(weights)) for weights in grid)
    assert ((clf.weights_ >= 0) & (clf.weights_ <= 1)).all()
    expected = softmax(np.einsum("e,nec->nc", clf.weights_, logits_of(clf, X_test)), axis=1)
    assert_allclose(clf.predict_proba(X_test), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("n_active", [2, 3, 9])
def test_mixture_is_its_gate(n_active, split):
    X, y, X_test, _ = split
    clf = make("moe", n_active=n_active, learning_rate=0.1, max_iter=10).fit(X, y)
    weights = np.zeros((len(X_test), 3))
    for row, scores in zip(weights, X_test @ clf.gate_coef_):
        best = np.sort(np.argsort(scores)[::-1][:n_active])
        row[best] = softmax(scores[best])
    assert_allclose(clf.routing_weights(X_test), weights, rtol=1e-3, atol=1e-6)
    assert len(np.unique(weights > 0, axis=0)) > 1 or n_active >= 3  # the gate looks at the rows
    expected = softmax(np.einsum("ne,nec->nc", weights, logits_of(clf, X_test)), axis=1)
    assert_allclose(clf.predict_proba(X_test), expected, rtol=1e-2, atol=1e-5)


# On logits that are given


class Given(ClassifierMixin, BaseEstimator):
    """A head that reads its logits from the table."""

    _learns_from_rows = False

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X):
        return X

    def predict(self, X):
        return self.classes_[X.argmax(axis=1)]


def fit_on(rule, z, y, **parameters):
    """A rule, fitted on logits (n, E, C), and the table that it was fitted on."""
    _, n_experts, n_classes = z.shape
    blocks = [(str(e), slice(e * n_classes, (e + 1) * n_classes)) for e in range(n_experts)]
    clf = make(rule, blocks=blocks, head=Given(), **parameters)
    table = z.reshape(len(z), -1)
    return clf.fit(table, y), table


@st.composite
def problems(draw):
    """Random logits (n, E, C), of which the true classes' are larger, and true classes."""
    n_classes, n = draw(st.integers(3, 5)), draw(st.integers(5, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y = np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=n)])
    scale = draw(st.sampled_from([0.1, 1, 10]))
    skill = rng.normal(size=(draw(st.integers(1, 4)), 1))
    z = rng.normal(size=(len(y), len(skill), n_classes)) + skill * np.eye(n_classes)[y][:, None]
    return scale * z, y


few_examples = settings(max_examples=10)


@pytest.mark.parametrize("rule", [*FIXED, "sl", "sl-log"])
@few_examples
@given(problem=problems(), data=st.data())
def test_order_of_experts_does_not_matter(rule, problem, data):
    z, y = problem
    order = data.draw(st.permutations(range(z.shape[1])))
    (clf, X), (permuted, X_permuted) = fit_on(rule, z, y), fit_on(rule, z[:, order], y)
    tolerance = 1e-2 if rule == "sl-log" else 1e-6
    p = clf.predict_proba(X)
    assert_allclose(permuted.predict_proba(X_permuted), p, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("rule", ["log-avg", "prob-avg", "conf", "vote-3", "sl", "moe"])
@few_examples
@given(problem=problems(), seed=st.integers(0, 2**32 - 1))
def test_a_number_added_to_all_logits_of_an_expert_changes_nothing(rule, problem, seed):
    z, y = problem
    clf, X = fit_on(rule, z, y)
    shifts = np.random.default_rng(seed).normal(size=(*z.shape[:2], 1))
    if rule == "moe":  # the gate reads the table; what it mixes must not change
        p = softmax(clf._combine(X, z), axis=1)
        assert_allclose(softmax(clf._combine(X, z + shifts), axis=1), p, atol=1e-9)
    else:
        shifted = (z + shifts).reshape(len(z), -1)
        assert_allclose(clf.predict_proba(shifted), clf.predict_proba(X), atol=1e-9)


@few_examples
@given(
    problem=problems(), n_votes=st.integers(1, 5), powers=st.lists(st.floats(0.3, 3), min_size=4)
)
def test_votes_depend_on_ranks_alone(problem, n_votes, powers):
    z, y = problem
    powers = np.array(powers[: z.shape[1]])[:, None]
    stretched = np.sign(z) * np.abs(z) ** powers  # increasing, another for each expert
    (clf, X), (other, X_other) = (fit_on("vote-1", x, y, n_votes=n_votes) for x in (z, stretched))
    n_ballots = z.shape[1] * min(n_votes, z.shape[2])
    votes, same = (
        np.round(c.predict_proba(x) * (n_ballots + 1) - softmax(given, axis=2).mean(axis=1), 6)
        for c, x, given in [(clf, X, z), (other, X_other, stretched)]
    )
    assert_array_equal(same, votes)
    assert_allclose(votes.sum(axis=1), n_ballots)
    winners = clf.predict(X)  # in y's coding, classes are their positions
    assert_array_equal(votes[np.arange(len(y)), winners], votes.max(axis=1))


@few_examples
@given(problems())
def test_ties_of_votes_are_broken_by_probabilities(problem):
    z, y = problem
    all_vote_for_all, X = fit_on("vote-1", z, y, n_votes=z.shape[2])
    assert_array_equal(all_vote_for_all.predict(X), fit_on("prob-avg", z, y)[0].predict(X))


@few_examples
@given(problems())
def test_confidence_follows_one_expert_even_where_probabilities_round_to_one(problem):
    z, y = 1000 * problem[0], problem[1]
    clf, X = fit_on("conf", z, y)
    followed = (clf.decision_function(X)[:, None] == z).all(axis=2)
    assert (followed.sum(axis=1) == 1).all()
    assert_array_equal(followed.argmax(axis=1), doubts(z).argmin(axis=1))


@few_examples
@given(problems())
def test_super_learner_weights_are_shares(problem):
    clf, _ = fit_on("sl", *problem)
    assert (clf.weights_ >= 0).all()
    assert clf.weights_.sum() == pytest.approx(1)


@few_examples
@given(problem=problems(), scale=st.floats(1e-3, 1e3))
def test_scale_of_logits_is_learned_from_log_loss(problem, scale):
    z, y = problem
    (clf, X), (scaled, X_scaled) = fit_on("sl-log", z, y), fit_on("sl-log", scale * z, y)
    assert_allclose(scaled.predict_proba(X_scaled), clf.predict_proba(X), atol=1e-2)


def test_super_learner_finds_the_expert_that_knows():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    noise = rng.normal(size=(60, 2, 3))
    z = np.stack([5 * np.eye(3)[y], noise[:, 0], noise[:, 1]], axis=1)
    assert_allclose(fit_on("sl", z, y)[0].weights_, [1, 0, 0], atol=0.05)
    log_loss = fit_on("sl-log", z, y)[0].weights_
    assert log_loss[0] > 10 * log_loss[1:].max()


def test_super_learner_where_no_expert_gives_the_truth_a_chance():
    y = np.arange(6) % 3
    z = np.repeat(1e4 * np.eye(3)[(y + 1) % 3][:, None], 2, axis=1)
    clf, X = fit_on("sl", z, y)
    assert_allclose(clf.weights_, 0.5)
    assert np.isfinite(clf.decision_function(X)).all()


@few_examples
@given(problem=problems(), n_copies=st.integers(1, 4), seed=st.integers(0, 2**31 - 1))
def test_genetic_is_no_less_accurate_than_the_average_it_starts_from(problem, n_copies, seed):
    z, y = problem
    z = np.hstack(
        [z + i * np.random.default_rng(seed).normal(size=z.shape) for i in range(n_copies)]
    )
    average, X = fit_on("log-avg", z, y)
    clf, _ = fit_on("gac", z, y, population=1, max_iter=1, random_state=seed)
    assert clf.score(X, y) >= average.score(X, y)
    assert ((clf.weights_ >= 0) & (clf.weights_ <= 1)).all()


def test_genetic_keeps_the_average_where_nothing_is_better():
    """Twelve experts that each know a little: random weights are worse than equal ones."""
    rng = np.random.default_rng(0)
    y = rng.integers(5, size=400)
    z = rng.normal(size=(400, 12, 5)) + 0.5 * np.eye(5)[y][:, None]
    average, X = fit_on("log-avg", z, y)
    for seed in range(3):
        clf, _ = fit_on("gac", z, y, population=1, max_iter=1, random_state=seed)
        assert clf.score(X, y) >= average.score(X, y)


@few_examples
@given(problem=problems(), seed=st.integers(0, 2**32 - 1))
def test_fitter_is_first_more_accurate_then_likelier(problem, seed):
    z, y = problem
    individuals = np.random.default_rng(seed).uniform(size=(z.shape[1], 5))
    sums = np.einsum("es,nec->snc", individuals, z)
    errors = (sums.argmax(axis=2) != y).sum(axis=1)
    loss = -log_softmax(sums, axis=2)[:, np.arange(len(y)), y].mean(axis=1)
    found = genetic.unfitness(individuals, z.swapaxes(0, 1), y)
    assert_array_equal(np.floor(found), errors)
    assert_array_equal(found.argsort(), np.lexsort([loss, errors]))


def test_fitness_is_the_same_in_small_pieces(monkeypatch):
    rng = np.random.default_rng(0)
    z, y, individuals = (
        rng.normal(size=(3, 50, 4)),
        rng.integers(4, size=50),
        rng.uniform(size=(3, 7)),
    )
    whole = genetic.unfitness(individuals, z, y)
    monkeypatch.setattr(genetic, "_MAX_CHUNK", 100)
    assert_allclose(genetic.unfitness(individuals, z, y), whole)


# The gate of the mixture


@few_examples
@given(problem=problems(), n_active=st.integers(2, 5))
def test_at_most_n_active_experts_have_a_part(problem, n_active):
    z, y = problem
    clf, X = fit_on("moe", z, y, n_active=n_active)
    weights = clf.routing_weights(X)
    assert ((weights > 0).sum(axis=1) == min(n_active, z.shape[1])).all()
    assert_allclose(weights.sum(axis=1), 1)


def test_gate_learns_which_expert_knows():
    """One expert is right where a column is positive, one where it is negative, one never."""
    rng = np.random.default_rng(0)
    y, side = rng.integers(3, size=200), rng.choice([-1.0, 1.0], size=200)
    right, wrong = 4 * np.eye(3)[y], 5 * np.eye(3)[(y + 1) % 3]
    knows = (side > 0)[:, None]
    halves = np.where(knows, right, wrong), np.where(knows, wrong, right)
    X = np.hstack([*halves, wrong, side[:, None]])
    blocks = [("positive", slice(0, 3)), ("negative", slice(3, 6)), ("never", slice(6, 9))]
    clf = make("moe", blocks=blocks, head=Given(), learning_rate=0.05, max_iter=60)
    clf.fit(X[:100], y[:100])
    assert LogitAverageEnsemble(blocks, head=Given()).fit(X, y).score(X, y) < 0.1
    assert clf.score(X[100:], y[100:]) > 0.95
    assert_array_equal(clf.routing_weights(X).argmax(axis=1), np.where(side > 0, 0, 1))
    assert clf.loss_curve_[-1] < clf.loss_curve_[0] / 2


def test_balance_spreads_the_load():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=120)
    z = rng.normal(size=(120, 3, 3)) + np.array([4, 1, 1])[:, None] * np.eye(3)[y][:, None]
    training = dict(learning_rate=0.02, max_iter=40)
    most = [
        clf.routing_weights(X).mean(axis=0).max()
        for clf, X in (fit_on("moe", z, y, balance=b, **training) for b in (0.0, 10.0))
    ]
    assert most[1] < most[0] - 0.1


@pytest.mark.parametrize("k", [1, 2, 3])
def test_load_is_how_often_an_expert_would_be_active(k):
    import torch

    generator = torch.Generator().manual_seed(0)
    scores, noise = torch.randn((2, 3, 4), generator=generator)
    spread = torch.rand((3, 4), generator=generator) + 0.5
    _, load = noisy_top_k(scores, spread, noise, k)
    n_draws = 20_000
    for e in range(4):
        again = noise.repeat(n_draws, 1, 1)
        again[..., e] = torch.randn((n_draws, 3), generator=generator)
        best = (scores + spread * again).topk(k, dim=2).indices
        frequency = (best == e).any(dim=2).double().mean(dim=0).sum()
        assert load[e].item() == pytest.approx(frequency.item(), abs=0.03)


@few_examples
@given(seed=st.integers(0, 2**32 - 1), n_experts=st.integers(1, 5), data=st.data())
def test_gate_without_noise_is_the_one_that_was_trained(seed, n_experts, data):
    import torch

    k = data.draw(st.integers(1, n_experts))
    scores = np.random.default_rng(seed).normal(size=(6, n_experts))
    t = torch.tensor(scores)
    weights, load = noisy_top_k(t, torch.ones_like(t), torch.zeros_like(t), k)
    assert_allclose(sparse_softmax(scores, k), weights.numpy(), atol=1e-12)
    assert imbalance(torch.full((n_experts,), 7.0)).item() == 0
    assert (load <= len(scores)).all()
    if k == n_experts:
        assert_array_equal(load.numpy(), len(scores))


# One row per class


@pytest.mark.parametrize("rule", RULES)
def test_one_shot_of_heads_that_nothing_can_judge_is_the_plain_rule(rule, split):
    X, y, X_test, _ = split
    one = np.unique(y, return_index=True)[1]
    clf = make(rule).fit(X[one], y[one])
    z = logits_of(clf, X_test) / clf.temperatures_[:, None]
    if rule in FIXED:
        assert_array_equal(clf.temperatures_, 1)
    definition = DEFINITIONS.get(rule, defined_prob_avg if rule == "sl" else defined_log_avg)
    assert_allclose(clf.predict_proba(X_test), definition(z), rtol=1e-3, atol=1e-6)
    if hasattr(clf, "weights_"):
        assert_allclose(clf.weights_, 1 / 3)
    if hasattr(clf, "routing_weights"):
        assert_allclose(clf.routing_weights(X_test), 1 / 3)


@pytest.mark.parametrize("rule", RULES)
def test_one_shot_of_heads_of_which_some_can_be_judged(rule, split):
    X, y, X_test, _ = split
    one = np.unique(y, return_index=True)[1]
    clf = make(rule, head=["zero-shot", "linear"]).fit(X[one], y[one])
    assert clf.judged_.sum() == 3
    p = clf.predict_proba(X_test)
    assert_allclose(p.sum(axis=1), 1, rtol=1e-4)
    if rule in FIXED:  # nothing to judge: the plain rule over all of them
        assert_allclose(p, DEFINITIONS[rule](logits_of(clf, X_test)), rtol=1e-3, atol=1e-6)
    for weights in [clf.weights_] if hasattr(clf, "weights_") else []:
        assert_allclose(weights[~clf.judged_], 1 / 3)


# What all rules share


class Counted(LogisticRegression):
    """Counts how often it is fitted."""

    fits = 0

    def fit(self, X, y):
        Counted.fits += 1
        return super().fit(X, y)


def test_rules_that_share_a_memory_fit_heads_once(split, tmp_path):
    X, y, X_test, _ = split
    shared = dict(head=Counted(), cv=2, memory=str(tmp_path), random_state=0)
    Counted.fits = 0
    make("sl", **shared).fit(X, y)
    assert Counted.fits == 3 * (2 + 1)  # backbones x (folds + all rows)
    fitted = [make(rule, **shared).fit(X, y) for rule in RULES]
    fitted.append(make("log-avg", calibrate=True, **shared).fit(X, y))
    assert Counted.fits == 3 * (2 + 1)
    for clf in fitted:
        fresh = clone(clf).set_params(memory=None).fit(X, y)
        assert_array_equal(fresh.predict_proba(X_test), clf.predict_proba(X_test))
    make("sl", **{**shared, "cv": 3}).fit(X, y)
    assert Counted.fits == 3 * (2 + 1) * (1 + len(fitted)) + 3 * (3 + 1)


@pytest.mark.parametrize("rule", RULES)
def test_pickles(rule, split):
    X, y, X_test, _ = split
    clf = make(rule, head="zero-shot").fit(X, y)
    again = pickle.loads(pickle.dumps(clf))
    assert_array_equal(again.predict_proba(X_test), clf.predict_proba(X_test))
    assert b"torch" not in pickle.dumps(clf)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype, rule, split):
    X, y, X_test, _ = split
    clf = make(rule, head="zero-shot").fit(X.astype(dtype), y)
    assert clf.predict_proba(X_test.astype(dtype)).dtype == dtype
    assert clf.decision_function(X_test.astype(dtype)).dtype == dtype


@pytest.mark.parametrize("rule", ["gac", "moe"])
def test_random_state_repeats(rule, split):
    X, y, X_test, _ = split

    def proba(seed):
        clf = make(rule, head="zero-shot", random_state=seed, max_iter=5).fit(X, y)
        return clf.predict_proba(X_test)

    assert_array_equal(proba(1), proba(1))
    assert_array_equal(proba(np.random.RandomState(1)), proba(np.random.RandomState(1)))
    assert not np.array_equal(proba(1), proba(2))


def test_mixture_reports_its_loss(split, capsys):
    X, y, _, _ = split
    clf = make("moe", head="zero-shot", max_iter=2, verbose=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"[MoE] epoch {i}/2, loss {clf.loss_curve_[i - 1]:.4f}" for i in (1, 2)]


@pytest.mark.parametrize(
    "rule, wrong",
    [("vote-1", {"n_votes": 0}), ("gac", {"population": 0}), ("gac", {"max_iter": 0})]
    + [("sl", {"loss": "hinge"}), ("moe", {"n_active": 1}), ("moe", {"balance": -1})],
)
def test_parameters_are_checked(rule, wrong, split):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"The {name!r} parameter of .* must be"):
        make(rule, **wrong).fit(*split[:2])

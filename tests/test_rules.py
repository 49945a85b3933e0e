"""Tests of the paper's rules, on embeddings of real pictures and on random logits.

Routers that read the columns of the table are in test_routers.py and test_trained_routers.py.
"""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import approx_fprime
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from skclipens import AdaptiveBackboneEnsemble
from skclipens.ensemble import (
    ConfidenceRouter,
    GeneticRouter,
    MixtureRouter,
    ProbabilityRouter,
    SuperLearnerRouter,
    UniformRouter,
    VoteRouter,
)
from skclipens.ensemble.routers import _genetic as genetic

pytestmark = pytest.mark.usefixtures("short_training")

RULES = {
    "uniform": UniformRouter(),
    "probability": ProbabilityRouter(),
    "confidence": ConfidenceRouter(),
    "vote": VoteRouter(),
    "vote-3": VoteRouter(n_votes=3),
    "genetic": GeneticRouter(population=5, max_iter=3, random_state=0),
    "super-learner": SuperLearnerRouter(),
    "super-learner-log": SuperLearnerRouter(loss="log_loss"),
    "mixture": MixtureRouter(max_iter=3, random_state=0),
}
FIXED = ["uniform", "probability", "confidence", "vote", "vote-3"]

BACKBONES = ["zoo/RN20", "zoo/ViT-8", "zoo/ViT-16"]
N_CLASSES, N_SHOTS = 6, 4


@pytest.fixture(scope="module")
def split(emoji):
    """Four pictures of each class, and the others: X, y, X_test, y_test."""
    X, y = emoji
    few = np.concatenate([np.flatnonzero(y == c)[:N_SHOTS] for c in np.unique(y)])
    rest = np.setdiff1d(np.arange(len(y)), few)
    return X[few], y[few], X[rest], y[rest]


def make(rule, **parameters):
    """The rule as in the paper: without calibration. ``router__`` parameters are the rule's."""
    defaults = {"head": "linear", "calibrate": False}
    clf = AdaptiveBackboneEnsemble(BACKBONES, router=clone(RULES[rule]))
    return clf.set_params(**{**defaults, **parameters})


def logits_of(clf, X):
    """What the heads themselves say, (n, E, C)."""
    return np.stack([e.head.decision_function(X[:, e.block.columns]) for e in clf.experts_], axis=1)


# Each rule is its definition


def defined_uniform(z):
    return softmax(sum(z[:, e] for e in range(z.shape[1])) / z.shape[1], axis=1)


def defined_probability(z):
    return sum(softmax(z[:, e], axis=1) for e in range(z.shape[1])) / z.shape[1]


def doubts(z):
    """Log-odds of all classes but the likeliest, (n, E): exact where probabilities round to 1."""
    return np.array(
        [[logsumexp(np.delete(e, e.argmax())) - e.max() for e in experts] for experts in z]
    )


def defined_confidence(z):
    return softmax(z[np.arange(len(z)), doubts(z).argmin(axis=1)], axis=1)


def defined_vote(z, n_votes):
    shares = defined_probability(z)
    for row, experts in zip(shares, z):
        for expert in experts:
            row[sorted(range(len(expert)), key=lambda c: -expert[c])[:n_votes]] += 1
    return shares / shares.sum(axis=1, keepdims=True)


DEFINITIONS = {
    "uniform": defined_uniform,
    "probability": defined_probability,
    "confidence": defined_confidence,
    "vote": lambda z: defined_vote(z, 1),
    "vote-3": lambda z: defined_vote(z, 3),
}


@pytest.mark.parametrize("calibrate", [False, True])
@pytest.mark.parametrize("head", ["zero-shot", "linear", ["zero-shot", "linear"]])
@pytest.mark.parametrize("rule", FIXED)
def test_rules_that_learn_nothing(rule, head, calibrate, split):
    X, y, X_test, _ = split
    clf = make(rule, head=head, calibrate=calibrate, router=rule).fit(X, y)
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
    clf = make("super-learner", **heads).fit(X, y)
    assert_allclose(clf.router_.weights_, weights / weights.sum(), atol=1e-4)
    p = softmax(logits_of(clf, X_test), axis=2)
    expected = np.einsum("e,nec->nc", clf.router_.weights_, p)
    assert_allclose(clf.predict_proba(X_test), expected, rtol=1e-3, atol=1e-6)


def test_super_learner_minimises_log_loss(held_out, split):
    X, y, X_test, _ = split
    heads, z, targets = held_out
    clf = make("super-learner-log", **heads).fit(X, y)
    found = clf.router_.weights_

    def loss(weights):
        log_p = log_softmax(np.einsum("e,nec->nc", weights, z), axis=1)
        return -log_p[np.arange(len(targets)), targets].mean()

    # The conditions of a minimum among non-negative weights.
    slope = approx_fprime(found, loss)
    assert (found >= 0).all()
    assert_allclose(slope[found > 0], 0, atol=1e-3)
    assert (slope > -1e-3).all()
    expected = softmax(np.einsum("e,nec->nc", found, logits_of(clf, X_test)), axis=1)
    assert_allclose(clf.predict_proba(X_test), expected, rtol=1e-2, atol=1e-5)


def test_genetic_is_as_accurate_as_a_grid_of_weights(held_out, split):
    X, y, X_test, _ = split
    heads, z, targets = held_out
    clf = make("genetic", router__population=10, router__max_iter=30, **heads).fit(X, y)
    found = clf.router_.weights_

    def accuracy(weights):
        return np.mean(np.einsum("e,nec->nc", weights, z).argmax(axis=1) == targets)

    grid = itertools.product(np.linspace(0, 1, 6), repeat=3)
    assert accuracy(found) >= max(accuracy(np.array(weights)) for weights in grid)
    assert ((found >= 0) & (found <= 1)).all()
    expected = softmax(np.einsum("e,nec->nc", found, logits_of(clf, X_test)), axis=1)
    assert_allclose(clf.predict_proba(X_test), expected, rtol=1e-3, atol=1e-6)


# On logits that are given


def fit_on(rule, z, y, **parameters):
    """A rule, fitted on logits (n, E, C); the table has nothing to say."""
    return clone(RULES[rule]).set_params(**parameters).fit(np.zeros((len(z), 1)), z, y)


def combined(router, z):
    return router.combine(np.zeros((len(z), 1)), z)


def proba(router, z):
    return softmax(combined(router, z), axis=1)


def accuracy(router, z, y):
    return np.mean(combined(router, z).argmax(axis=1) == y)


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


@pytest.mark.parametrize("rule", [*FIXED, "super-learner", "super-learner-log"])
@few_examples
@given(problem=problems(), data=st.data())
def test_order_of_experts_does_not_matter(rule, problem, data):
    z, y = problem
    order = data.draw(st.permutations(range(z.shape[1])))
    tolerance = 1e-2 if rule == "super-learner-log" else 1e-6
    p, permuted = (proba(fit_on(rule, one, y), one) for one in (z, z[:, order]))
    assert_allclose(permuted, p, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("rule", [*FIXED, "super-learner", "mixture"])
@few_examples
@given(problem=problems(), seed=st.integers(0, 2**32 - 1))
def test_a_number_added_to_all_logits_of_an_expert_changes_nothing(rule, problem, seed):
    z, y = problem
    router = fit_on(rule, z, y)
    shifts = np.random.default_rng(seed).normal(size=(*z.shape[:2], 1))
    assert_allclose(proba(router, z + shifts), proba(router, z), atol=1e-9)


@few_examples
@given(
    problem=problems(), n_votes=st.integers(1, 5), powers=st.lists(st.floats(0.3, 3), min_size=4)
)
def test_votes_depend_on_ranks_alone(problem, n_votes, powers):
    z, y = problem
    powers = np.array(powers[: z.shape[1]])[:, None]
    stretched = np.sign(z) * np.abs(z) ** powers  # increasing, another for each expert
    router = VoteRouter(n_votes)
    n_ballots = z.shape[1] * min(n_votes, z.shape[2])
    votes, same = (
        np.round(proba(router, one) * (n_ballots + 1) - softmax(one, axis=2).mean(axis=1), 6)
        for one in (z, stretched)
    )
    assert_array_equal(same, votes)
    assert_allclose(votes.sum(axis=1), n_ballots)
    winners = combined(router, z).argmax(axis=1)
    assert_array_equal(votes[np.arange(len(y)), winners], votes.max(axis=1))


@few_examples
@given(problems())
def test_ties_of_votes_are_broken_by_probabilities(problem):
    z, _ = problem
    all_vote_for_all = combined(VoteRouter(n_votes=z.shape[2]), z)
    expected = combined(ProbabilityRouter(), z)
    assert_array_equal(all_vote_for_all.argmax(axis=1), expected.argmax(axis=1))


@few_examples
@given(problems())
def test_confidence_follows_one_expert_even_where_probabilities_round_to_one(problem):
    z = 1000 * problem[0]
    followed = (combined(ConfidenceRouter(), z)[:, None] == z).all(axis=2)
    assert (followed.sum(axis=1) == 1).all()
    assert_array_equal(followed.argmax(axis=1), doubts(z).argmin(axis=1))


@few_examples
@given(problems())
def test_super_learner_weights_are_shares(problem):
    router = fit_on("super-learner", *problem)
    assert (router.weights_ >= 0).all()
    assert router.weights_.sum() == pytest.approx(1)


@few_examples
@given(problem=problems(), scale=st.floats(1e-3, 1e3))
def test_scale_of_logits_is_learned_from_log_loss(problem, scale):
    z, y = problem
    p, scaled = (proba(fit_on("super-learner-log", one, y), one) for one in (z, scale * z))
    assert_allclose(scaled, p, atol=1e-2)


def test_super_learner_finds_the_expert_that_knows():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    noise = rng.normal(size=(60, 2, 3))
    z = np.stack([5 * np.eye(3)[y], noise[:, 0], noise[:, 1]], axis=1)
    assert_allclose(fit_on("super-learner", z, y).weights_, [1, 0, 0], atol=0.05)
    log_loss = fit_on("super-learner-log", z, y).weights_
    assert log_loss[0] > 10 * log_loss[1:].max()


def test_super_learner_where_no_expert_gives_the_truth_a_chance():
    y = np.arange(6) % 3
    z = np.repeat(1e4 * np.eye(3)[(y + 1) % 3][:, None], 2, axis=1)
    router = fit_on("super-learner", z, y)
    assert_allclose(router.weights_, 0.5)
    assert np.isfinite(combined(router, z)).all()


@few_examples
@given(problem=problems(), n_copies=st.integers(1, 4), seed=st.integers(0, 2**31 - 1))
def test_genetic_is_no_less_accurate_than_the_average_it_starts_from(problem, n_copies, seed):
    z, y = problem
    z = np.hstack(
        [z + i * np.random.default_rng(seed).normal(size=z.shape) for i in range(n_copies)]
    )
    router = fit_on("genetic", z, y, population=1, max_iter=1, random_state=seed)
    assert accuracy(router, z, y) >= accuracy(UniformRouter(), z, y)
    assert ((router.weights_ >= 0) & (router.weights_ <= 1)).all()


def test_genetic_keeps_the_average_where_nothing_is_better():
    """Twelve experts that each know a little: random weights are worse than equal ones."""
    rng = np.random.default_rng(0)
    y = rng.integers(5, size=400)
    z = rng.normal(size=(400, 12, 5)) + 0.5 * np.eye(5)[y][:, None]
    for seed in range(3):
        router = fit_on("genetic", z, y, population=1, max_iter=1, random_state=seed)
        assert accuracy(router, z, y) >= accuracy(UniformRouter(), z, y)


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


# One row per class


@pytest.mark.parametrize("rule", RULES)
def test_one_shot_of_heads_that_nothing_can_judge_is_the_plain_rule(rule, split):
    """Of a rule that learns, nothing is left but the average."""
    X, y, X_test, _ = split
    one = np.unique(y, return_index=True)[1]
    clf = make(rule).fit(X[one], y[one])
    z = logits_of(clf, X_test) / clf.temperatures_[:, None]
    if rule in FIXED:
        assert_array_equal(clf.temperatures_, 1)
    else:
        assert isinstance(clf.router_, UniformRouter)
        assert_allclose(clf.routing_weights(X_test), 1 / 3)
    expected = DEFINITIONS.get(rule, defined_uniform)(z)
    assert_allclose(clf.predict_proba(X_test), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_one_shot_of_heads_of_which_some_can_be_judged(rule, split):
    X, y, X_test, _ = split
    one = np.unique(y, return_index=True)[1]
    clf = make(rule, head=["zero-shot", "linear"]).fit(X[one], y[one])
    p = clf.predict_proba(X_test)
    assert_allclose(p.sum(axis=1), 1, rtol=1e-4)
    if rule in FIXED:  # nothing to judge: the plain rule over all of them
        assert clf.validated_.all()
        assert_allclose(p, DEFINITIONS[rule](logits_of(clf, X_test)), rtol=1e-3, atol=1e-6)
    else:
        assert clf.validated_.sum() == 3
        assert_allclose(clf.routing_weights(X_test)[:, ~clf.validated_], 1 / 3)


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
    make("super-learner", **shared).fit(X, y)
    assert Counted.fits == 3 * (2 + 1)  # backbones x (folds + all rows)
    fitted = [make(rule, **{"calibrate": True, **shared}).fit(X, y) for rule in RULES]
    fitted += [make(rule, **shared).fit(X, y) for rule in RULES if rule not in FIXED]
    assert Counted.fits == 3 * (2 + 1)
    unjudged = [make(rule, **shared).fit(X, y) for rule in FIXED]
    assert Counted.fits == 3 * (2 + 1) + 3
    for clf in fitted + unjudged:
        fresh = clone(clf).set_params(memory=None).fit(X, y)
        assert_array_equal(fresh.predict_proba(X_test), clf.predict_proba(X_test))
    Counted.fits = 0
    make("super-learner", **{**shared, "cv": 3}).fit(X, y)
    assert Counted.fits == 3 * (3 + 1)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype, rule, split):
    X, y, X_test, _ = split
    clf = make(rule, head="zero-shot").fit(X.astype(dtype), y)
    assert clf.predict_proba(X_test.astype(dtype)).dtype == dtype
    assert clf.decision_function(X_test.astype(dtype)).dtype == dtype


@pytest.mark.parametrize("rule", ["genetic", "mixture", "nlc"])
def test_random_state_of_the_ensemble_is_that_of_its_rule(rule, split):
    X, y, X_test, _ = split

    def proba(seed):
        clf = AdaptiveBackboneEnsemble(
            BACKBONES, head="zero-shot", router=rule, calibrate=False, random_state=seed
        )
        return clf.fit(X, y).predict_proba(X_test)

    assert_array_equal(proba(1), proba(1))
    assert_array_equal(proba(np.random.RandomState(1)), proba(np.random.RandomState(1)))
    assert not np.array_equal(proba(1), proba(2))


@pytest.mark.parametrize(
    "rule, wrong",
    [("vote", {"n_votes": 0}), ("genetic", {"population": 0}), ("genetic", {"max_iter": 0})]
    + [("super-learner", {"loss": "hinge"})]
    + [("mixture", {"n_active": 1}), ("mixture", {"balance": -1})],
)
def test_parameters_are_checked(rule, wrong, split):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"The {name!r} parameter of .* must be"):
        fit_on(rule, np.zeros((2, 2, 3)), np.array([0, 1]), **wrong)
    wrong = {f"router__{name}": value for name, value in wrong.items()}
    with pytest.raises(ValueError, match=f"The {name!r} parameter of .* must be"):
        make(rule, **wrong).fit(*split[:2])

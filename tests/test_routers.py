"""Tests of convex routers and of temperature scaling, on logits made to a known truth."""

import numpy as np
import pytest
from _routers import make_nlc
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import approx_fprime
from scipy.special import softmax
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.metrics import log_loss

from skclipens.ensemble import (
    GatedRouter,
    GeneticRouter,
    MixtureRouter,
    NeuralLogitController,
    ShrunkRouter,
    StaticRouter,
    SuperLearnerRouter,
    UniformRouter,
)
from skclipens.ensemble.routers import combine
from skclipens.ensemble.routers._base import is_clear_gain, plausible_classes
from skclipens.ensemble.routers._gated import expert_statistics, gated_loss
from skclipens.ensemble.routers._static import OPTIONS, static_loss
from skclipens.heads._temperature import fit_temperature

N_CLASSES = 4
seeds = st.integers(0, 2**32 - 1)


ROUTERS = {
    "uniform": UniformRouter,
    "static": StaticRouter,
    "gated": lambda: GatedRouter(0.1),
    "shrunk": lambda: ShrunkRouter(random_state=0),
    "nlc": make_nlc,
    "super-learner": SuperLearnerRouter,
    "genetic": lambda: GeneticRouter(max_iter=20, random_state=0),
    "mixture": lambda: MixtureRouter(learning_rate=0.1, max_iter=30, random_state=0),
}
LEARNED = [name for name in ROUTERS if name != "uniform"]


def draw(n, *, p_right, strength=3.0, seed=0):
    """Labels, and logits of experts that point to one class: the right one where p_right says so.

    `p_right` is of shape (n, E) or (E,); so is `strength`, the height of the logits.
    """
    rng = np.random.default_rng(seed)
    p_right = np.broadcast_to(p_right, (n, np.shape(p_right)[-1]))
    y = rng.integers(N_CLASSES, size=n)
    wrong = (y[:, None] + rng.integers(1, N_CLASSES, size=p_right.shape)) % N_CLASSES
    vote = np.where(rng.random(p_right.shape) < p_right, y[:, None], wrong)
    height = np.broadcast_to(strength, p_right.shape)[..., None]
    return y, height * np.eye(N_CLASSES)[vote] + rng.normal(0, 0.3, (*p_right.shape, N_CLASSES))


def draw_routable(n, seed):
    """The sign of the first feature says which of two experts is right."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    y, logits = draw(n, p_right=np.where(X[:, :1] > 0, [0.97, 0.25], [0.25, 0.97]), seed=seed)
    return X, logits, y


def draw_inputs():
    y, logits = draw(30, p_right=[0.9, 0.5, 0.3])
    return np.random.default_rng(1).normal(size=(30, 5)), logits, y


@pytest.mark.parametrize("name", ROUTERS)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"y": lambda y: y - 1}, r"y holds -1 in row \d+\. .* integers from 0 to 3"),
        ({"y": lambda y: y + 1}, r"y holds 4 in row"),
        ({"y": lambda y: y / 2}, r"y holds \d\.\d in row 0"),
        ({"y": lambda y: np.array(list("abcd"))[y]}, r"y holds '\w' in row 0"),
        ({"y": lambda y: y[:5]}, "y has 5 rows, and logits has 30"),
        ({"X": lambda X: X[:5]}, r"X has shape \(5, 5\), and logits \(30, 3, 4\)"),
        ({"logits": lambda z: np.where(z > 3, np.nan, z)}, "logits contains NaN"),
        ({"logits": lambda z: z[:, 0]}, r"logits has shape \(30, 4\)"),
        ({"logits": lambda z: z[:, :, :1]}, r"logits has shape \(30, 3, 1\), of one class"),
        ({"sample_weight": lambda _: np.ones(7)}, "sample_weight.shape"),
    ],
)
def test_what_no_router_can_learn_from_is_refused(name, change, said):
    given = dict(zip(("X", "logits", "y"), draw_inputs(), strict=True))
    ((argument, changed),) = change.items()
    given[argument] = changed(given.get(argument))
    with pytest.raises(ValueError, match=said):
        ROUTERS[name]().fit(**given)


@pytest.mark.parametrize("name", ["gated", "shrunk", "nlc", "mixture"])
def test_a_router_that_reads_x_checks_it(name):
    X, logits, y = draw_inputs()
    X = np.round(3 * X)
    expected = ROUTERS[name]().fit(X, logits, y).combine(X, logits)
    for table in (X.astype(int), X.astype(np.float16), X.astype(object)):
        assert_array_equal(ROUTERS[name]().fit(table, logits, y).combine(table, logits), expected)
    for table, said in [
        (np.where(X > 3, np.nan, X), "X contains NaN"),
        (None, "This router reads X: pass the table"),
    ]:
        with pytest.raises(ValueError, match=said):
            ROUTERS[name]().fit(table, logits, y)


@pytest.mark.parametrize("name", ROUTERS)
def test_no_rows_are_combined_to_no_rows(name):
    X, logits, y = draw_routable(300, seed=0)
    router = ROUTERS[name]().fit(X, logits, y)
    assert router.combine(X[:0], logits[:0]).shape == (0, N_CLASSES)
    assert router.weights(X[:0], logits[:0]).shape == (0, 2)


def test_groups_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"groups has shape \(3,\)"):
        ShrunkRouter().fit(*draw_inputs(), groups=[0, 0, 1])


@pytest.mark.parametrize("make", [StaticRouter, ShrunkRouter])
@pytest.mark.parametrize("weights", [[0.5, 0.5], [np.nan] * 3, 0.3])
def test_prior_weights_are_a_number_for_each_expert(make, weights):
    with pytest.raises(ValueError, match="prior_weights must be 3 finite numbers, one for each"):
        make().fit(*draw_inputs(), prior_weights=weights)


@pytest.mark.parametrize("name", ["gated", "shrunk", "nlc", "mixture"])
def test_a_table_of_another_width_is_refused(name):
    X, logits, y = draw_inputs()
    router = ROUTERS[name]().fit(X, logits, y)
    with pytest.raises(ValueError, match="X has 2 columns, and that of fit 5"):
        router.combine(X[:, :2], logits)


@pytest.mark.parametrize("name", ROUTERS)
def test_lists_and_a_column_of_positions_are_what_arrays_are(name):
    X, logits, y = draw_inputs()
    expected = ROUTERS[name]().fit(X, logits, y).combine(X, logits)
    as_lists = X.tolist(), logits.tolist()
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        router = ROUTERS[name]().fit(*as_lists, y[:, None])
    assert_allclose(router.combine(*as_lists), expected)


@pytest.mark.parametrize("name", LEARNED)
def test_what_is_not_fitted_or_has_other_experts_is_refused(name):
    X, logits, y = draw_inputs()
    for method in ("weights", "combine"):
        with pytest.raises(NotFittedError):
            getattr(ROUTERS[name](), method)(X, logits)
    router = ROUTERS[name]().fit(X, logits[:, :1], y)
    with pytest.raises(ValueError, match="logits are of 3 experts, and those of fit of 1"):
        router.combine(X, logits)


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        (np.full((30, 3), np.nan), "values that are not finite"),
        (np.ones(3), r"\(3,\)"),
    ],
)
def test_weights_that_cannot_be_used_name_the_router(weights, problem):
    X, logits, _ = draw_inputs()

    class Own:
        def weights(self, X, logits):
            return weights

    message = rf"Own\.weights must give finite values of shape \(30, 3\); got {problem}"
    with pytest.raises(ValueError, match=message):
        combine(Own(), X[:30], logits[:30])


# Temperature scaling


def draw_calibrated(temperature, n, seed):
    """Labels that are drawn from softmax(logits / temperature)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3 * temperature, (n, N_CLASSES))
    p = softmax(logits / temperature, axis=1)
    return logits, (rng.random((n, 1)) > p.cumsum(axis=1)).sum(axis=1)


@settings(max_examples=20)
@given(st.floats(1e-3, 1e3), seeds)
def test_temperature_that_labels_were_drawn_with_is_found(temperature, seed):
    found = fit_temperature(*draw_calibrated(temperature, 3000, seed))
    assert found == pytest.approx(temperature, rel=0.2)


@settings(max_examples=20)
@given(st.floats(1e-4, 1e4), st.integers(1, 30), seeds)
def test_temperature_scales_with_logits(factor, n, seed):
    logits, y = draw_calibrated(1.0, n, seed)
    assert fit_temperature(factor * logits, y) == pytest.approx(
        factor * fit_temperature(logits, y), rel=1e-3
    )


@settings(max_examples=20)
@given(seeds, st.floats(-100, 100))
def test_temperature_ignores_what_all_classes_share(seed, shift):
    logits, y = draw_calibrated(1.0, 50, seed)
    shifted = logits + shift * np.arange(50)[:, None]
    assert fit_temperature(shifted, y) == pytest.approx(fit_temperature(logits, y), rel=1e-3)


@pytest.mark.parametrize("n", [1, 2, 50])
def test_confidence_in_separated_rows_grows_with_their_number_only(n):
    y = np.arange(n) % N_CLASSES
    logits = 5.0 * np.eye(N_CLASSES)[y]
    confidence = softmax(logits / fit_temperature(logits, y), axis=1).max(axis=1)
    assert_allclose(confidence, (n + 1) / (n + 2), atol=1e-3)


def test_logits_that_favour_no_class_are_left_as_they_are():
    assert fit_temperature(np.full((6, 3), 0.7), np.array([0, 1, 2, 0, 1, 2])) == 1.0


def test_logits_that_know_nothing_are_made_nearly_uniform():
    rng = np.random.default_rng(0)
    logits, y = rng.normal(0, 10, (500, N_CLASSES)), rng.integers(N_CLASSES, size=500)
    p = softmax(logits / fit_temperature(logits, y), axis=1)
    assert p.max() < 0.5


# Every router


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ROUTERS)
def test_weights_are_of_the_logits_dtype_and_not_negative_unless_they_may_be(name, dtype):
    y, logits = draw(60, p_right=[0.9, 0.5, 0.3])
    X = np.random.default_rng(0).normal(size=(60, 5))
    router = ROUTERS[name]().fit(X, logits, y)
    weights = router.weights(X.astype(dtype), logits.astype(dtype))
    assert weights.shape == (60, 3)
    assert weights.dtype == dtype
    assert np.all(weights >= 0) or name in ("gated", "nlc")


@pytest.mark.parametrize("name", ["uniform", "static", "shrunk", "nlc"])
@pytest.mark.parametrize("n", [1, 3])
def test_a_handful_of_rows_moves_no_weight_far(name, n):
    y, logits = draw(n, p_right=[1.0, 0.0])
    X = np.ones((n, 5))
    router = make_nlc(learning_rate=2e-4) if name == "nlc" else ROUTERS[name]()
    weights = router.fit(X, logits, y).weights(X, logits)
    assert np.all((weights > 0.5 / 3) & (weights < 0.5 * 3))


@pytest.mark.parametrize("name", LEARNED)
def test_the_better_expert_gets_the_larger_weight(name):
    y, logits = draw(300, p_right=[0.3, 0.9])
    X = np.ones((300, 1))
    weights = ROUTERS[name]().fit(X, logits, y).weights(X, logits)
    assert np.all(weights[:, 1] > 2 * weights[:, 0])


@pytest.mark.parametrize("name", [name for name in ROUTERS if name != "super-learner"])
def test_combined_logits_are_the_weighted_sum_over_experts(name):
    """Of the Super Learner, probabilities are."""
    y, logits = draw(40, p_right=[0.9, 0.5, 0.3])
    X = np.random.default_rng(0).normal(size=(40, 5))
    router = ROUTERS[name]().fit(X, logits, y)
    weights = router.weights(X, logits)
    expected = [sum(w * z for w, z in zip(*row, strict=True)) for row in zip(weights, logits)]
    assert_allclose(router.combine(X, logits), expected)


@pytest.mark.parametrize("name", LEARNED)
def test_weights_of_rows_are_repetitions(name):
    """Of shrunk gates once they are chosen, for which repeated rows fall into other folds."""
    y, logits = draw(40, p_right=[0.9, 0.5])
    X = np.random.default_rng(0).normal(size=(40, 5))
    counts = np.random.default_rng(1).integers(1, 4, size=40)
    repeated = np.arange(40).repeat(counts)
    options = {"batch_size": 200} if name in ("nlc", "mixture") else {}
    options |= {"gate_alphas": []} if name == "shrunk" else {}
    weighted, longer = (ROUTERS[name]().set_params(**options) for _ in range(2))
    weighted.fit(X, logits, y, sample_weight=counts.astype(float))
    longer.fit(X[repeated], logits[repeated], y[repeated])
    found, expected = (router.combine(X, logits) for router in (weighted, longer))
    assert_allclose(found, expected, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("scale", [1 / 200, 0.1, 3])
def test_the_scale_of_weights_does_not_matter_to_evolution(scale):
    y, logits = draw(200, p_right=[0.8, 0.6], strength=np.array([1, 4]))
    logits[:, 0] *= np.where(logits[:, 0].argmax(axis=1) == y, 1, 500)[:, None]
    counts = np.random.default_rng(1).integers(1, 4, size=200)
    for weights in (np.ones(200), counts):
        fits = [
            GeneticRouter(random_state=0).fit(None, logits, y, sample_weight=by * weights)
            for by in (1, scale)
        ]
        assert_allclose(fits[1].weights_, fits[0].weights_)
    average = logits.mean(axis=1).argmax(axis=1) == y
    router = GeneticRouter(random_state=0).fit(None, logits, y, sample_weight=np.full(200, scale))
    assert np.mean(router.combine(None, logits).argmax(axis=1) == y) >= average.mean()


@pytest.mark.parametrize(
    "router, message",
    [
        (StaticRouter(alpha=-1), "'alpha' parameter of StaticRouter must be"),
        (GatedRouter(gate_alpha=-1), "'gate_alpha' parameter of GatedRouter must be"),
        (ShrunkRouter(alpha=-1), "'alpha' parameter of ShrunkRouter must be"),
        (
            ShrunkRouter(gate_alphas=[1, -1]),
            "gate_alphas are numbers that are not negative; got -1",
        ),
        (NeuralLogitController(hidden_dim=0), "'hidden_dim' parameter of NeuralLogit.* must be"),
    ],
)
def test_parameters_are_checked(router, message):
    with pytest.raises(ValueError, match=message):
        router.fit(*draw_routable(20, seed=0))


# Static and gated weights


@settings(max_examples=10)
@given(seeds)
def test_gradient_of_static_loss_is_exact(seed):
    rng = np.random.default_rng(seed)
    y, logits = draw(20, p_right=[0.9, 0.5, 0.3], seed=seed)
    weights, prior_weights = rng.random(size=(2, 3))
    some = plausible_classes(logits, y)
    given = some._replace(offsets=rng.normal(size=N_CLASSES)), prior_weights, 0.7
    numeric = approx_fprime(weights, lambda w: static_loss(w, *given)[0], 1e-7)
    assert_allclose(static_loss(weights, *given)[1], numeric, rtol=1e-4, atol=1e-5)


@settings(max_examples=10)
@given(seeds)
def test_gradient_of_gated_loss_is_exact(seed):
    rng = np.random.default_rng(seed)
    y, logits = draw(20, p_right=[0.9, 0.5, 0.3], seed=seed)
    features = expert_statistics(logits)
    arguments = (features, logits, y, rng.normal(size=(20, N_CLASSES)), 0.3)
    gates = rng.normal(size=3 * features.shape[2])
    numeric = approx_fprime(gates, lambda p: gated_loss(p, *arguments)[0], 1e-7)
    assert_allclose(gated_loss(gates, *arguments)[1], numeric, rtol=1e-3, atol=1e-4)


def test_static_weights_leave_the_average_as_rows_become_many():
    distances = []
    for n in (4, 40, 400):
        y, logits = draw(n, p_right=[0.95, 0.4])
        weights = StaticRouter().fit(None, logits, y).weights(None, logits)
        assert_array_equal(weights, weights[:1].repeat(n, axis=0))
        distances.append(np.abs(weights[0] - 1 / 2).max())
    assert distances[0] < distances[1] < distances[2]


def test_an_expert_that_knows_nothing_gets_no_weight_from_many_rows():
    y, logits = draw(4000, p_right=[0.9, 1 / N_CLASSES])
    weights = StaticRouter().fit(None, logits, y).weights(None, logits)[0]
    assert weights[1] < 0.05 < 0.5 < weights[0]


def test_static_weights_are_never_all_zero():
    """Else one class would be predicted for all rows where no expert knows anything."""
    rng = np.random.default_rng(0)
    y, logits = rng.integers(N_CLASSES, size=4000), rng.normal(size=(4000, 2, N_CLASSES))
    logits[np.arange(4000), :, y] -= 1.0  # worse than guessing
    weights = StaticRouter().fit(None, logits, y).weights(None, logits)[0]
    assert_allclose(weights, 0.01 / 2, rtol=1e-5)


def test_static_weights_beat_the_average_on_held_out_rows():
    y, logits = draw(1000, p_right=[0.9, 0.4, 0.4])
    train, test = slice(0, 500), slice(500, None)
    static, uniform = (
        router.fit(None, logits[train], y[train]).combine(None, logits[test])
        for router in (StaticRouter(), UniformRouter())
    )
    losses = [log_loss(y[test], softmax(combined, axis=1)) for combined in (static, uniform)]
    assert losses[0] < losses[1]


@pytest.mark.parametrize("prior_weights", [None, [0.2, 0.8]])
@pytest.mark.parametrize("make", [StaticRouter, lambda alpha: GatedRouter(1e9, alpha=alpha)])
def test_a_stronger_prior_keeps_weights_nearer_to_what_they_are_pulled_to(make, prior_weights):
    y, logits = draw(50, p_right=[0.95, 0.3])
    X, given = np.random.default_rng(0).normal(size=(50, 3)), {}
    if prior_weights is not None:
        given["prior_weights"] = np.array(prior_weights)
    weights = [
        make(alpha).fit(X, logits, y, **given).weights(X, logits)[0] for alpha in (0.1, 10, 1e4)
    ]
    distances = [np.abs(w - (prior_weights or 0.5)).max() for w in weights]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.01


def test_a_stronger_penalty_keeps_gates_nearer_to_shut():
    y, logits = draw_misplaced_confidence(300, seed=0)
    X = columns_without_meaning(300)
    openness = [
        np.abs(GatedRouter(strength).fit(X, logits, y).gates_).max()
        for strength in (0.01, 1.0, 1e6)
    ]
    assert openness[0] > openness[1] > openness[2]
    static = StaticRouter().fit(X, logits, y).weights(X, logits)
    assert_allclose(GatedRouter(1e9).fit(X, logits, y).weights(X, logits), static, rtol=1e-2)


def test_gates_do_not_extrapolate():
    y, logits = draw_misplaced_confidence(300, seed=0)
    X = columns_without_meaning(300)
    router = GatedRouter(0.01).fit(X, logits, y)
    seen = router.weights(X, logits)
    strange = router.weights(100 * X, np.random.default_rng(1).normal(0, 100, logits.shape))
    assert_array_equal(np.clip(strange, seen.min(axis=0), seen.max(axis=0)), strange)


def columns_without_meaning(n):
    return np.random.default_rng(0).normal(size=(n, 3))


def test_expert_statistics_of_known_probabilities():
    logits = np.log([[[0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3]]])
    mean = np.array([5 / 12, 7 / 24, 7 / 24])
    entropy = -(0.5 * np.log(0.5) + 0.5 * np.log(0.25)) / np.log(3)
    expected = [
        [0.5, 0.25, entropy, mean @ [0.5, 0.25, 0.25]],
        [1 / 3, 0, 1, mean.sum() / 3],
    ]
    assert_allclose(expert_statistics(logits)[0], expected, atol=1e-12)


# Gates that must earn their freedom


def draw_misplaced_confidence(n, seed):
    """Experts that are right where they are hesitant, and wrong where they are sure."""
    rng = np.random.default_rng(seed)
    right = rng.random((n, 3)) < 0.6
    return draw(n, p_right=right, strength=np.where(right, 2.0, 4.0), seed=seed)


def draw_of_many_classes(n, n_classes=100):
    """Experts that hardly know the classes: the true one has a slightly larger logit."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % n_classes
    logits = rng.normal(size=(n, 3, n_classes))
    logits[np.arange(n), :, y] += 0.5
    return y, logits


@pytest.mark.parametrize("router", [ShrunkRouter(random_state=0), GatedRouter()])
def test_gates_do_not_turn_experts_around_that_know_little_of_many_classes(router):
    # Among the true class and those that experts favour, the least logit is mostly the true one's.
    y, logits = draw_of_many_classes(800)
    X = columns_without_meaning(800)
    combined = router.fit(X[:400], logits[:400], y[:400]).combine(X[400:], logits[400:])
    plain = logits[400:].mean(axis=1).argmax(axis=1) == y[400:]
    assert np.mean(combined.argmax(axis=1) == y[400:]) > 0.7 * plain.mean() > 0.02


def test_few_classes_stand_for_many():
    y, logits = draw_of_many_classes(2000)
    some = plausible_classes(logits, y)
    assert some.logits.shape == (2000, 3, 33)
    assert_allclose(some.logits[np.arange(2000), :, some.targets], logits[np.arange(2000), :, y])
    every = plausible_classes(logits[:, :, :33], y % 33)
    assert every.offsets == 0 and every.logits.shape == (2000, 3, 33)
    prior = np.full(3, 1 / 3)
    for weights in (prior, np.array([0.1, 0.0, 0.5]), np.full(3, -0.2)):
        exact = log_loss(y, softmax(logits.transpose(0, 2, 1) @ weights, axis=1))
        assert static_loss(weights, some, prior, 0.0)[0] == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("router", [StaticRouter(), GatedRouter(gate_alpha=1e-6)])
def test_classes_that_no_expert_favours_count_as_often_as_they_are(router, monkeypatch):
    y, logits = draw(300, p_right=[0.6, 0.4, 0.5], strength=2.0, seed=0)
    X, rng = columns_without_meaning(300), np.random.default_rng(0)
    others = rng.normal(0, 0.2, (300, 3, 28)), rng.normal(-1.5, 0.2, (300, 3, 1))
    logits = np.concatenate([logits, *others, *[others[1]] * 99], axis=2)
    monkeypatch.setitem(OPTIONS, "ftol", 1e-12)
    found = softmax(clone(router).fit(X, logits, y).combine(X, logits), axis=1)
    monkeypatch.setattr("skclipens.ensemble.routers._base._MAX_CLASSES", logits.shape[2])
    exact = softmax(clone(router).fit(X, logits, y).combine(X, logits), axis=1)
    assert_allclose(found, exact, atol=1e-3)


def test_gates_stay_shut_where_static_weights_are_right():
    chosen = []
    for seed in range(8):
        y, logits = draw(200, p_right=[0.8, 0.6, 0.4], strength=np.full(3, 3.0), seed=seed)
        X = columns_without_meaning(200)
        chosen.append(ShrunkRouter(random_state=seed).fit(X, logits, y).chosen_)
    assert sum(isinstance(router, StaticRouter) for router in chosen) >= 7


def gain_of_gates(X, logits, y):
    """Log-loss on the second half of the rows: of shrunk gates, of static weights."""
    half = len(y) // 2
    routers = ShrunkRouter(random_state=0), StaticRouter()
    losses = []
    for router in routers:
        router.fit(X[:half], logits[:half], y[:half])
        combined = router.combine(X[half:], logits[half:])
        losses.append(log_loss(y[half:], softmax(combined, axis=1)))
    assert isinstance(routers[0].chosen_, GatedRouter)
    return losses


def test_gates_open_where_the_right_expert_shows_in_its_confidence():
    y, logits = draw_misplaced_confidence(600, seed=0)
    shrunk, static = gain_of_gates(columns_without_meaning(600), logits, y)
    assert shrunk < 0.8 * static


def test_gates_open_where_the_right_expert_shows_in_the_columns():
    X, logits, y = draw_routable(600, seed=0)
    shrunk, static = gain_of_gates(X, logits, y)
    assert shrunk < 0.8 * static


@pytest.mark.parametrize("weight", [None, np.ones(600)])
def test_gates_read_columns_far_from_zero(weight):
    X, logits, y = draw_routable(600, seed=0)
    X = (X + 1e8, X + 1e8 - 1e8)  # of the same digits
    far, near = (GatedRouter().fit(of, logits, y, sample_weight=weight) for of in X)
    assert_allclose(far.weights(X[0], logits), near.weights(X[1], logits), atol=1e-4)


def test_gates_stay_shut_where_an_expert_learns_from_rows():
    X, logits, y = draw_routable(600, seed=0)
    learned = np.zeros(logits.shape[1], bool)
    router = ShrunkRouter(random_state=0).fit(X, logits, y, learned=learned)
    assert isinstance(router.chosen_, GatedRouter)
    learned[0] = True
    router.fit(X, logits, y, learned=learned)
    assert isinstance(router.chosen_, StaticRouter)


def test_copies_of_a_row_do_not_open_gates_where_groups_are_known():
    y, logits = draw(30, p_right=[0.7, 0.6])
    X = np.random.default_rng(0).normal(size=(30, 20))
    copies = np.arange(30).repeat(8)
    table = X[copies], logits[copies], y[copies]
    assert isinstance(ShrunkRouter(random_state=0).fit(*table).chosen_, GatedRouter)
    router = ShrunkRouter(random_state=0).fit(*table, groups=copies)
    assert isinstance(router.chosen_, StaticRouter)
    router.fit(*table, groups=np.zeros(240))
    assert isinstance(router.chosen_, StaticRouter)


def test_gates_open_for_groups_that_are_unlike():
    table, few = draw_routable(600, seed=0), np.arange(600) % 3
    router = ShrunkRouter(random_state=0).fit(*table, groups=np.arange(600) // 2)
    assert isinstance(router.chosen_, GatedRouter)
    folds = ShrunkRouter()._split(table[2], few)  # one for each group, if they are fewer than five
    assert sorted(np.unique(few[test]).tolist() for _, test in folds) == [[0], [1], [2]]


def test_rows_of_next_to_no_weight_do_not_close_gates():
    X, logits, y = draw_routable(300, seed=0)
    table = [np.concatenate(one) for one in ((X, -X), (logits, logits), (y, y))]
    router = ShrunkRouter(random_state=0)
    assert isinstance(router.fit(*table).chosen_, StaticRouter)
    weights = np.repeat([1, 1e-6], 300)
    assert isinstance(router.fit(*table, sample_weight=weights).chosen_, GatedRouter)
    expected = GatedRouter(router.chosen_.gate_alpha).fit(X, logits, y)
    assert_allclose(router.weights(X, logits), expected.weights(X, logits), atol=0.05)


def test_few_objects_with_many_pictures_do_not_open_gates_by_chance():
    objects, opened = np.arange(12).repeat(20), 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, y, logits = rng.normal(size=(12, 4)), rng.integers(0, 3, 12), rng.normal(size=(12, 2, 3))
        logits[np.arange(12), :, y] += 1
        pictures = [one[objects] for one in (X, logits)]
        pictures = [one + 0.1 * rng.normal(size=one.shape) for one in pictures]
        router = ShrunkRouter(random_state=0).fit(*pictures, y[objects], groups=objects)
        opened += isinstance(router.chosen_, GatedRouter)
    assert opened <= 2


@given(st.integers(0, 1000), st.booleans())
def test_a_gain_is_as_clear_with_several_pictures_of_each_object(seed, weighted):
    rng = np.random.default_rng(seed)
    gains, right = rng.normal(rng.uniform(0, 0.6), 1, 30), np.zeros(30)
    weights = rng.uniform(0.5, 1.5, 30) if weighted else None
    objects = rng.permutation(np.arange(30).repeat(7))

    def is_clear(rows, groups=None):
        some = None if weights is None else weights[rows]
        return is_clear_gain(gains[rows], right[rows], some, len(rows), groups)

    rows = np.arange(30)
    assert is_clear(rows, rows) <= is_clear(rows)  # a large weight is one row, not several
    if not weighted:
        assert is_clear(rows, rows) == is_clear(rows)
        assert is_clear(objects, objects.astype(str)) == is_clear(rows)
    assert is_clear(objects, objects) <= is_clear(objects)


def test_experts_that_are_reliably_wrong_are_of_use():
    y, logits = draw(600, p_right=[0.0, 0.0])
    X = columns_without_meaning(600)
    shrunk, static = gain_of_gates(X, logits, y)
    assert shrunk < static - 0.05
    assert (ShrunkRouter(random_state=0).fit(X, logits, y).weights(X, logits) < 0).mean() > 0.5


@pytest.mark.parametrize(
    "router", [ShrunkRouter(), NeuralLogitController(random_state=0), GatedRouter()]
)
def test_columns_far_from_zero_count_in_float32_too(router):
    """Which expert is right, a date says, whose values are exact, and not products with them."""
    rng = np.random.default_rng(0)
    y = np.arange(400) % 4
    odd = rng.integers(0, 2, 400)
    X = np.c_[rng.normal(size=(400, 4)), 20240100 + 8 * odd].astype("f")
    logits = rng.normal(size=(400, 2, 4)).astype("f")
    logits[np.arange(400), odd] += 3 * np.eye(4, dtype="f")[y]
    single = clone(router).fit(X[:200], logits[:200], y[:200])
    X, logits = X.astype(float), logits.astype(float)
    double = clone(router).fit(X[:200], logits[:200], y[:200])
    found = [one.weights(X[200:].astype("f"), logits[200:]) for one in (single, double)]
    assert_allclose(*found, atol=1e-3)

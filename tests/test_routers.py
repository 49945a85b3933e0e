"""Tests of the combination rules and of temperature scaling, on logits made to a known truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import approx_fprime
from scipy.special import softmax
from sklearn.metrics import log_loss

from skclipens import AdaptiveBackboneEnsemble
from skclipens.ensemble._gates import GatedRouter, ShrunkRouter, expert_statistics, gated_loss
from skclipens.ensemble._nlc import NeuralLogitController
from skclipens.ensemble._routers import StaticRouter, UniformRouter, combine, static_loss
from skclipens.heads._temperature import fit_temperature

N_CLASSES = 4
seeds = st.integers(0, 2**32 - 1)


def make_nlc(**options):
    defaults = dict(
        hidden_dim=16,
        learning_rate=1e-2,
        weight_decay=0.0,
        max_iter=30,
        batch_size=64,
        device="cpu",
        random_state=0,
        verbose=False,
    )
    return NeuralLogitController(**{**defaults, **options})


ROUTERS = {
    "uniform": UniformRouter,
    "static": StaticRouter,
    "gated": lambda: GatedRouter(0.1),
    "shrunk": lambda: ShrunkRouter(random_state=0),
    "nlc": make_nlc,
}


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


def accuracy(logits, y):
    return np.mean(logits.argmax(axis=-1) == y)


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
def test_weights_are_of_the_logits_dtype_and_not_negative_unless_gated(name, dtype):
    y, logits = draw(60, p_right=[0.9, 0.5, 0.3])
    X = np.random.default_rng(0).normal(size=(60, 5))
    router = ROUTERS[name]().fit(X, logits, y)
    weights = router.weights(X.astype(dtype), logits.astype(dtype))
    assert weights.shape == (60, 3)
    assert weights.dtype == dtype
    assert np.all(weights >= 0) or name == "gated"
    assert router.n_iter_ >= 1


@pytest.mark.parametrize("name", ["uniform", "static", "shrunk", "nlc"])
@pytest.mark.parametrize("n", [1, 3])
def test_a_handful_of_rows_moves_no_weight_far(name, n):
    y, logits = draw(n, p_right=[1.0, 0.0])
    X = np.ones((n, 5))
    router = make_nlc(learning_rate=2e-4) if name == "nlc" else ROUTERS[name]()
    weights = router.fit(X, logits, y).weights(X, logits)
    assert np.all((weights > 0.5 / 3) & (weights < 0.5 * 3))


@pytest.mark.parametrize("name", [name for name in ROUTERS if name != "uniform"])
def test_the_better_expert_gets_the_larger_weight(name):
    y, logits = draw(300, p_right=[0.3, 0.9])
    X = np.ones((300, 1))
    weights = ROUTERS[name]().fit(X, logits, y).weights(X, logits)
    assert np.all(weights[:, 1] > 2 * weights[:, 0])


def test_combine_is_the_weighted_sum_over_experts():
    rng = np.random.default_rng(0)
    weights, logits = rng.random((5, 3)), rng.normal(size=(5, 3, N_CLASSES))
    expected = [sum(w * z for w, z in zip(*row, strict=True)) for row in zip(weights, logits)]
    assert_allclose(combine(weights, logits), expected)


# Static and gated weights


@settings(max_examples=10)
@given(seeds)
def test_gradient_of_static_loss_is_exact(seed):
    rng = np.random.default_rng(seed)
    y, logits = draw(20, p_right=[0.9, 0.5, 0.3], seed=seed)
    weights = rng.random(size=3)
    numeric = approx_fprime(weights, lambda w: static_loss(w, logits, y, 0.7)[0], 1e-7)
    assert_allclose(static_loss(weights, logits, y, 0.7)[1], numeric, rtol=1e-4, atol=1e-5)


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


def test_static_weights_beat_the_average_on_held_out_rows():
    y, logits = draw(1000, p_right=[0.9, 0.4, 0.4])
    train, test = slice(0, 500), slice(500, None)
    static, uniform = (
        router.fit(None, logits[train], y[train]).weights(None, logits[test])
        for router in (StaticRouter(), UniformRouter())
    )
    losses = [
        log_loss(y[test], softmax(combine(weights, logits[test]), axis=1))
        for weights in (static, uniform)
    ]
    assert losses[0] < losses[1]


def test_a_stronger_prior_keeps_static_weights_nearer_to_the_average():
    y, logits = draw(50, p_right=[0.95, 0.3])
    weights = [
        StaticRouter(prior).fit(None, logits, y).weights(None, logits)[0]
        for prior in (0.1, 10, 1e4)
    ]
    distances = [np.abs(w - 0.5).max() for w in weights]
    assert distances[0] > distances[1] > distances[2]
    assert_allclose(weights[2], 0.5, rtol=0.01)


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
        weights = router.weights(X[half:], logits[half:])
        losses.append(log_loss(y[half:], softmax(combine(weights, logits[half:]), axis=1)))
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


def test_experts_that_are_reliably_wrong_are_of_use():
    y, logits = draw(600, p_right=[0.0, 0.0])
    X = columns_without_meaning(600)
    shrunk, static = gain_of_gates(X, logits, y)
    assert shrunk < static - 0.05
    assert (ShrunkRouter(random_state=0).fit(X, logits, y).weights(X, logits) < 0).mean() > 0.5


# The Neural Logit Controller


def draw_routable(n, seed):
    """The sign of the first feature says which of two experts is right."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    y, logits = draw(n, p_right=np.where(X[:, :1] > 0, [0.97, 0.25], [0.25, 0.97]), seed=seed)
    return X, logits, y


def test_untrained_network_is_the_logit_average():
    X, logits, y = draw_routable(40, seed=0)
    router = make_nlc(learning_rate=1e-12, max_iter=1).fit(X, logits, y)
    weights = router.weights(X, logits)
    assert_allclose(combine(weights, logits), logits.mean(axis=1), rtol=1e-6)


def test_network_learns_to_route():
    X, logits, y = draw_routable(800, seed=0)
    router = make_nlc().fit(X, logits, y)
    X, logits, y = draw_routable(800, seed=1)
    routed = accuracy(combine(router.weights(X, logits), logits), y)
    others = [accuracy(z, y) for z in (logits[:, 0], logits[:, 1], logits.mean(axis=1))]
    assert routed > max(others) + 0.1
    assert routed > 0.9


def test_numpy_forward_equals_torch_forward():
    torch = pytest.importorskip("torch")
    X, logits, y = draw_routable(100, seed=0)
    router = make_nlc(max_iter=3).fit(X, logits, y)
    first, last = torch.nn.Linear(6, 16), torch.nn.Linear(16, 2)
    coefs = map(torch.as_tensor, router.coefs_)
    with torch.no_grad():
        for parameter in [first.weight, first.bias, last.weight, last.bias]:
            parameter.copy_(next(coefs))
        t = last(torch.relu(first(torch.as_tensor(X, dtype=torch.float32))))
    assert_allclose(router.weights(X, logits), np.exp(t.numpy()) / 2, rtol=1e-5)


def test_network_of_the_paper_has_as_many_parameters_as_it_says():
    X = np.random.default_rng(0).normal(size=(12, 6528))
    clf = AdaptiveBackboneEnsemble(
        "paper", head="linear", router=make_nlc(hidden_dim=128, max_iter=1), cv=2
    )
    clf.fit(X, np.arange(12) % 3)
    assert [coef.shape for coef in clf.router_.coefs_] == [(128, 6528), (128,), (9, 128), (9,)]
    assert sum(coef.size for coef in clf.router_.coefs_) == 836_873


def test_training_leaves_torch_random_state_alone_and_reports_its_loss(capsys):
    torch = pytest.importorskip("torch")
    state = torch.get_rng_state()
    make_nlc(max_iter=20, verbose=True).fit(*draw_routable(200, seed=0))
    assert torch.equal(torch.get_rng_state(), state)
    losses = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()]
    assert len(losses) == 20
    assert losses[-1] < losses[0]


@pytest.mark.gpu
def test_training_on_a_gpu_gives_the_weights_of_the_cpu():
    X, logits, y = draw_routable(200, seed=0)
    cpu, gpu = (make_nlc(device=device).fit(X, logits, y) for device in ("cpu", "cuda"))
    assert all(isinstance(coef, np.ndarray) for coef in gpu.coefs_)
    assert_allclose(gpu.weights(X, logits), cpu.weights(X, logits), rtol=0.02)

"""Tests of routers that train a gate on the columns: the controller of the paper, the mixture."""

import numpy as np
import pytest
from _routers import make_nlc
from _said import no_warning
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax

from skclipens import AdaptiveBackboneEnsemble
from skclipens.ensemble import MixtureRouter, NeuralLogitController
from skclipens.ensemble.routers._mixture import imbalance, noisy_top_k, sparse_softmax

N_CLASSES = 4
few_examples = settings(max_examples=10)


def make_mixture(**options):
    return MixtureRouter(**{"learning_rate": 0.1, "max_iter": 10, "random_state": 0, **options})


TRAINED = pytest.mark.parametrize("make", [make_nlc, make_mixture])
SIGNS = pytest.mark.parametrize("signed", [True, False])


def draw_routable(n, seed):
    """The sign of the first column says which of two experts is right; a third knows nothing."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    y = rng.integers(N_CLASSES, size=n)
    p_right = np.hstack([np.where(X[:, :1] > 0, [0.97, 0.25], [0.25, 0.97]), np.full((n, 1), 0.25)])
    wrong = (y[:, None] + rng.integers(1, N_CLASSES, size=p_right.shape)) % N_CLASSES
    vote = np.where(rng.random(p_right.shape) < p_right, y[:, None], wrong)
    return X, 3 * np.eye(N_CLASSES)[vote] + rng.normal(0, 0.3, (n, 3, N_CLASSES)), y


def accuracy(logits, y):
    return np.mean(logits.argmax(axis=-1) == y)


# Both


@TRAINED
def test_untrained_gate_is_the_logit_average(make):
    X, logits, y = draw_routable(40, seed=0)
    options = {"n_active": 3} if make is make_mixture else {}
    router = make(learning_rate=1e-12, max_iter=1, **options).fit(X, logits, y)
    assert_allclose(router.combine(X, logits), logits.mean(axis=1), rtol=1e-6)


@TRAINED
def test_learns_to_route(make):
    X, logits, y = draw_routable(800, seed=0)
    router = make(max_iter=30).fit(X, logits, y)
    X, logits, y = draw_routable(800, seed=1)
    routed = accuracy(router.combine(X, logits), y)
    others = [accuracy(z, y) for z in (*logits.swapaxes(0, 1), logits.mean(axis=1))]
    assert routed > max(others) + 0.1
    assert routed > 0.85


@TRAINED
def test_rows_without_weight_are_as_if_they_were_not_there(make):
    X, logits, y = draw_routable(40, seed=0)
    weights = np.repeat([0.0, 1.0], [30, 10])
    found = make(batch_size=np.int64(4)).fit(X, logits, y, sample_weight=weights)
    expected = make(batch_size=4).fit(X[30:], logits[30:], y[30:])
    assert_array_equal(found.weights(X, logits), expected.weights(X, logits))
    assert np.isfinite(found.loss_curve_).all()


@TRAINED
def test_trains_in_one_thread_of_torch_and_restores_their_number(make, monkeypatch):
    torch = pytest.importorskip("torch")
    before, found = torch.get_num_threads(), []
    zero_grad = torch.optim.Adam.zero_grad

    def counted(optimizer, *args):
        found.append(torch.get_num_threads())
        return zero_grad(optimizer, *args)

    for optimizer in (torch.optim.Adam, torch.optim.AdamW):
        monkeypatch.setattr(optimizer, "zero_grad", counted)
    torch.set_num_threads(2)
    try:
        make(max_iter=2).fit(*draw_routable(40, seed=0))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(found) == {1}


@TRAINED
def test_random_state_repeats_and_leaves_that_of_torch_alone(make):
    torch = pytest.importorskip("torch")
    state = torch.get_rng_state()
    X, logits, y = draw_routable(200, seed=0)

    def weights(seed):
        return make(random_state=seed, max_iter=5).fit(X, logits, y).weights(X, logits)

    assert_array_equal(weights(1), weights(1))
    assert_array_equal(weights(np.random.RandomState(1)), weights(np.random.RandomState(1)))
    assert not np.array_equal(weights(1), weights(2))
    assert torch.equal(torch.get_rng_state(), state)


@TRAINED
@pytest.mark.usefixtures("bars_at_once")
def test_a_bar_shows_how_far_training_is(make, capsys):
    router = make(max_iter=20).fit(*draw_routable(200, seed=0))
    assert capsys.readouterr() == ("", "")
    router.set_params(verbose=True).fit(*draw_routable(200, seed=0))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"{type(router).__name__}: 100%" in shown.err
    assert f"loss={router.loss_curve_[-1]:.3g}" in shown.err
    assert len(router.loss_curve_) == router.n_iter_ == 20
    assert router.loss_curve_[-1] < router.loss_curve_[0]


@TRAINED
def test_precision_of_the_table_is_that_of_training(make):
    X, logits, y = draw_routable(50, seed=0)
    for dtype in (np.float32, np.float64):
        router = make(max_iter=2).fit(X.astype(dtype), logits.astype(dtype), y)
        learned = router.coefs_ if make is make_nlc else [router.gate_coef_]
        assert {coef.dtype for coef in learned} == {np.dtype(dtype)}


@pytest.mark.gpu
@TRAINED
def test_training_on_a_gpu_gives_the_weights_of_the_cpu(make):
    X, logits, y = draw_routable(200, seed=0)
    cpu, gpu = (make(device=device).fit(X, logits, y) for device in ("cpu", "cuda"))
    assert_allclose(gpu.weights(X, logits), cpu.weights(X, logits), rtol=0.02, atol=0.02)


# The Neural Logit Controller


@SIGNS
def test_untrained_controller_is_the_logit_average(signed):
    X, logits, y = draw_routable(40, seed=0)
    router = make_nlc(signed=signed, learning_rate=1e-12, max_iter=1).fit(X, logits, y)
    assert_allclose(router.weights(X, logits), 1 / 3, rtol=1e-6)


@SIGNS
def test_numpy_forward_equals_torch_forward(signed):
    torch = pytest.importorskip("torch")
    X, logits, y = draw_routable(100, seed=0)
    router = make_nlc(signed=signed, max_iter=3).fit(X, logits, y)
    first, last = torch.nn.Linear(6, 16).double(), torch.nn.Linear(16, 3).double()
    coefs = map(torch.as_tensor, router.coefs_)
    with torch.no_grad():
        for parameter in [first.weight, first.bias, last.weight, last.bias]:
            parameter.copy_(next(coefs))
        t = last(torch.relu(first(torch.as_tensor(X)))).numpy()
    expected = (1 + t) / 3 if signed else np.exp(t) / 3
    assert_allclose(router.weights(X, logits), expected, rtol=1e-5)


@pytest.mark.parametrize("n", [5, 200])
@pytest.mark.parametrize("budget", ["steps", "epochs"])
def test_budget_is_of_steps_whatever_the_number_of_rows(budget, n, monkeypatch):
    import torch

    steps, step = [], torch.optim.Adam.step

    def counted(self, *args):
        steps.append(self)
        return step(self, *args)

    monkeypatch.setattr(torch.optim.Adam, "step", counted)
    router = make_nlc(budget=budget, max_iter=7, batch_size=64).fit(*draw_routable(n, seed=0))
    assert len(steps) == (7 if budget == "steps" or n == 5 else 7 * 4)
    assert len(router.loss_curve_) == router.n_iter_ == 7


def test_a_learning_rate_that_is_too_large_is_named():
    with pytest.raises(ValueError, match=r"is (nan|inf) in epoch .*learning_rate=1e\+300 is too"):
        make_nlc(learning_rate=1e300).fit(*draw_routable(40, seed=0))


def test_steps_pass_over_all_rows_as_epochs_do():
    X, logits, y = draw_routable(200, seed=0)
    of_epochs = make_nlc(max_iter=3).fit(X, logits, y)
    of_steps = make_nlc(budget="steps", max_iter=3 * 4).fit(X, logits, y)
    for found, expected in zip(of_steps.coefs_, of_epochs.coefs_, strict=True):
        assert_array_equal(found, expected)


def test_signed_weights_learn_from_an_expert_that_is_reliably_wrong():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=300)
    wrong = 4 * np.eye(2)[1 - y] + rng.normal(size=(300, 2))
    z = np.stack([wrong, rng.normal(size=(300, 2))], axis=1)
    X, train, test = rng.normal(size=(300, 3)), slice(0, 150), slice(150, None)
    of_wrong, found = {}, {}
    for signed in (True, False):
        router = make_nlc(signed=signed, max_iter=200).fit(X[train], z[train], y[train])
        of_wrong[signed] = router.weights(X[test], z[test])[:, 0]
        found[signed] = accuracy(router.combine(X[test], z[test]), y[test])
    assert (of_wrong[True] < 0).all()
    assert (of_wrong[False] > 0).all()
    assert found[True] > 0.95
    assert found[False] < 0.6


def test_letter_of_the_paper():
    """A loop of its own: 100 epochs of batches of 64 by Adam, weights exp(t(x)) / E."""
    import torch

    X, logits, y = draw_routable(150, seed=0)
    router = NeuralLogitController(signed=False, budget="epochs", max_iter=100, random_state=0)
    found = router.fit(X, logits, y).weights(X, logits)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    generator = torch.Generator().manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Linear(6, 128), torch.nn.ReLU(), torch.nn.Linear(128, 3))
    for parameter in network[0].parameters():
        torch.nn.init.uniform_(parameter, -(6**-0.5), 6**-0.5, generator=generator)
    for parameter in network[2].parameters():
        torch.nn.init.zeros_(parameter)
    network.double()
    adam = torch.optim.Adam(network.parameters(), lr=2e-4, weight_decay=0.01)
    X, logits, y = map(torch.as_tensor, (X, logits, y))
    for _ in range(100):
        for rows in torch.randperm(150, generator=generator).split(64):
            weights = network(X[rows]).exp() / 3
            combined = torch.einsum("ne,nec->nc", weights, logits[rows])
            adam.zero_grad()
            torch.nn.functional.cross_entropy(combined, y[rows]).backward()
            adam.step()
    assert_allclose(found, network(X).exp().detach().numpy() / 3, rtol=1e-6)


def test_network_of_the_paper_has_as_many_parameters_as_it_says():
    X = np.random.default_rng(0).normal(size=(12, 6528))
    clf = AdaptiveBackboneEnsemble(
        "paper", head="linear", router=make_nlc(hidden_dim=128, max_iter=1), cv=2
    )
    clf.fit(X, np.arange(12) % 3)
    assert [coef.shape for coef in clf.router_.coefs_] == [(128, 6528), (128,), (9, 128), (9,)]
    assert sum(coef.size for coef in clf.router_.coefs_) == 836_873


# The mixture


@pytest.mark.parametrize("n_active", [2, 3, 9, None])
def test_mixture_is_its_gate(n_active):
    X, logits, y = draw_routable(100, seed=0)
    router = make_mixture(n_active=n_active).fit(X, logits, y)
    weights = np.zeros((len(X), 3))
    for row, scores in zip(weights, X @ router.gate_coef_):
        best = np.sort(np.argsort(scores)[::-1][: n_active or 3])
        row[best] = softmax(scores[best])
    assert_allclose(router.weights(X, logits), weights, rtol=1e-3, atol=1e-6)
    assert len(np.unique(weights > 0, axis=0)) > 1 or n_active != 2  # the gate looks at the rows
    expected = np.einsum("ne,nec->nc", weights, logits)
    assert_allclose(router.combine(X, logits), expected, rtol=1e-6)


@few_examples
@given(n_experts=st.integers(1, 4), n_active=st.integers(2, 5), seed=st.integers(0, 2**32 - 1))
def test_at_most_n_active_experts_have_a_part(n_experts, n_active, seed):
    rng = np.random.default_rng(seed)
    X, z, y = rng.normal(size=(20, 3)), rng.normal(size=(20, n_experts, 3)), np.arange(20) % 3
    weights = make_mixture(n_active=n_active, max_iter=3).fit(X, z, y).weights(X, z)
    assert ((weights > 0).sum(axis=1) == min(n_active, n_experts)).all()
    assert_allclose(weights.sum(axis=1), 1)


def test_gate_learns_which_expert_knows():
    """One expert is right where a column is positive, one where it is negative, one never."""
    rng = np.random.default_rng(0)
    y, side = rng.integers(3, size=200), rng.choice([-1.0, 1.0], size=200)
    right, wrong = 4 * np.eye(3)[y], 5 * np.eye(3)[(y + 1) % 3]
    knows = (side > 0)[:, None]
    z = np.stack([np.where(knows, right, wrong), np.where(knows, wrong, right), wrong], axis=1)
    X = side[:, None]
    assert accuracy(z.mean(axis=1), y) < 0.1
    router = make_mixture(learning_rate=0.05, max_iter=60).fit(X[:100], z[:100], y[:100])
    assert accuracy(router.combine(X[100:], z[100:]), y[100:]) > 0.95
    assert_array_equal(router.weights(X, z).argmax(axis=1), np.where(side > 0, 0, 1))
    assert router.loss_curve_[-1] < router.loss_curve_[0] / 2


def test_balance_spreads_the_load():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=120)
    z = rng.normal(size=(120, 3, 3)) + np.array([4, 1, 1])[:, None] * np.eye(3)[y][:, None]
    X = z.reshape(120, -1)
    most = [
        make_mixture(learning_rate=0.02, max_iter=40, balance=balance)
        .fit(X, z, y)
        .weights(X, z)
        .mean(axis=0)
        .max()
        for balance in (0.0, 10.0)
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
@given(seed=st.integers(0, 2**32 - 1), n_experts=st.integers(2, 5), data=st.data())
def test_gate_without_noise_is_the_one_that_was_trained(seed, n_experts, data):
    import torch

    k = data.draw(st.integers(1, n_experts - 1))
    scores = np.random.default_rng(seed).normal(size=(6, n_experts))
    t = torch.tensor(scores)
    weights, load = noisy_top_k(t, torch.ones_like(t), torch.zeros_like(t), k)
    assert_allclose(sparse_softmax(scores, k), weights.numpy(), atol=1e-12)
    assert imbalance(torch.full((n_experts,), 7.0)).item() == 0
    assert_allclose(sparse_softmax(scores, n_experts), softmax(scores, axis=1))
    assert (load <= len(scores)).all()


def test_tables_that_cannot_be_written_to_are_nothing_to_warn_of():
    rng = np.random.default_rng(0)
    X, logits = rng.normal(size=(20, 4)), rng.normal(size=(20, 2, 3))
    X.flags.writeable = logits.flags.writeable = False
    with no_warning():
        NeuralLogitController(max_iter=1).fit(X, logits, rng.integers(0, 3, 20))

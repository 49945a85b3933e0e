"""Train small models of heads and routers in torch by gradient descent."""

from contextlib import contextmanager
from functools import wraps
from itertools import islice
from numbers import Integral, Real

import numpy as np

from .._utils._progress import progress
from .._utils._random import draw_seed
from .._utils._sklearn import Interval
from .._utils._warnings import silent
from ..backbones._devices import cpu_by_default, resolve_device, without_autocast

TRAINING_CONSTRAINTS = {
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "device": [str],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


def training_mode(method):
    """Decorate a method to train alike under any modes and default device of torch."""

    @wraps(method)
    def train(estimator, *args, **options):
        import torch

        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            cpu_by_default(),
            without_autocast(resolve_device(estimator.device)),
            _one_thread(),
        ):
            return method(estimator, *args, **options)

    return train


@contextmanager
def _one_thread():
    """A context in which torch computes in one thread: small steps take longer in several."""
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def make_generator(random_state):
    """Return a torch generator, so that torch's global one is not used."""
    import torch

    return torch.Generator().manual_seed(draw_seed(random_state))


def as_tensors(device, *arrays):
    """Convert arrays to tensors on a device, keeping the dtype if the device supports it."""
    import torch

    single = torch.device(device).type == "mps"
    arrays = [np.ascontiguousarray(a) for a in arrays]
    arrays = [a.astype(np.float32) if single and a.dtype == np.float64 else a for a in arrays]
    with silent("The given NumPy array is not writable"):  # it is not written to
        return [torch.from_numpy(a).to(device) for a in arrays]


def has_fused_adam(device):
    """Return whether Adam has a fused implementation, which is faster for large parameters."""
    import torch

    return torch.device(device).type in ("cpu", "cuda")


def mean_weights(sample_weight, n, dtype=np.float32):
    """Return weights of rows relative to their mean; ones if there are none."""
    if sample_weight is None:
        return np.ones(n, dtype)
    return (sample_weight / sample_weight.mean()).astype(dtype)


def for_router(router, X, logits, targets, sample_weight):
    """Return a torch generator, and rows, logits, targets and mean weights as tensors.

    Rows without a weight are left out, since the load of a batch of these is not defined.
    """
    if sample_weight is not None:
        given, weighted = (X, logits, targets, sample_weight), sample_weight > 0
        X, logits, targets, sample_weight = (of_rows[weighted] for of_rows in given)
    weights = mean_weights(sample_weight, len(targets), X.dtype)
    device, generator = resolve_device(router.device), make_generator(router.random_state)
    return generator, *as_tensors(device, X, logits.astype(X.dtype), targets, weights)


def weighted_cross_entropy(logits, targets, weights):
    """Return the mean over rows of weights times cross-entropy, in torch."""
    from torch.nn import functional

    return (weights * functional.cross_entropy(logits, targets, reduction="none")).mean()


def train(estimator, optimizer, loss_of, n, generator, *, schedule=None, budget="epochs"):
    """Minimise a loss over shuffled batches of n rows; return the mean loss of each epoch or step.

    ``max_iter``, ``batch_size`` and ``verbose`` of the estimator apply. `budget` says what
    ``max_iter`` counts: "epochs", passes over all rows, or "steps", batches. `loss_of` maps
    positions of rows to their loss. A schedule takes a step with the optimizer. Raise ValueError if
    the loss is not finite.
    """
    losses = []
    iterations = _epochs(n, estimator.batch_size, generator)
    if budget == "steps":
        iterations = ([rows] for batches in iterations for rows in batches)
    name = type(estimator).__name__
    with progress(estimator.max_iter, estimator.verbose, desc=name, unit=budget[:-1]) as bar:
        for batches in islice(iterations, estimator.max_iter):
            total = 0.0
            for rows in batches:
                loss = loss_of(rows)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if schedule is not None:
                    schedule.step()
                total += loss.detach() * len(rows)
            losses.append(float(total) / sum(map(len, batches)))
            if not np.isfinite(losses[-1]):
                raise ValueError(
                    f"The loss of {name} is {losses[-1]} in {budget[:-1]} {len(losses)}, so it "
                    f"learns nothing: learning_rate={estimator.learning_rate} is too large."
                )
            bar.set_postfix(loss=losses[-1])
            bar.update()
    return losses


def _epochs(n, batch_size, generator):
    """Yield the shuffled batches of one epoch after another."""
    import torch

    while True:
        rows = torch.randperm(n, generator=generator, device=generator.device)
        yield rows.split(int(batch_size))


def train_head(head, parameters, logits_of, targets, sample_weight, generator):
    """Minimise cross-entropy by AdamW, with a cosine schedule; return the mean loss of each epoch.

    `logits_of` maps positions of rows to their logits, (n, C).
    """
    import torch

    n = len(targets)
    weights, targets = as_tensors(parameters[0].device, mean_weights(sample_weight, n), targets)

    def loss_of(rows):
        return weighted_cross_entropy(logits_of(rows), targets[rows], weights[rows])

    fused = has_fused_adam(parameters[0].device)
    optimizer = torch.optim.AdamW(parameters, lr=head.learning_rate, eps=1e-4, fused=fused)
    n_steps = head.max_iter * -(-n // head.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    return train(head, optimizer, loss_of, n, generator, schedule=schedule)

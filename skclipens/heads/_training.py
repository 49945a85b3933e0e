"""Gradient descent for the heads that have a small network."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

TRAINING_CONSTRAINTS = {
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "device": [str],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


def make_generator(random_state):
    """A torch generator, so that nothing is drawn from torch's global one."""
    import torch

    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    return torch.Generator().manual_seed(seed)


def train(head, parameters, logits_of, targets, generator):
    """Minimise cross-entropy by AdamW, with a cosine schedule over all steps.

    Parameters
    ----------
    head : estimator
        Its ``learning_rate``, ``max_iter``, ``batch_size`` and ``verbose`` apply.
    parameters : list of torch.nn.Parameter
    logits_of : callable
        Logits (n, C) of rows, by their positions.
    targets : torch.Tensor of shape (n,), int
    generator : torch.Generator
        Shuffles the rows.

    Returns
    -------
    list of float
        Mean training loss of each epoch.
    """
    import torch

    optimizer = torch.optim.AdamW(parameters, lr=head.learning_rate, eps=1e-4)
    n_batches = -(-len(targets) // head.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, head.max_iter * n_batches)
    losses = []
    for epoch in range(1, head.max_iter + 1):
        total = 0.0
        for rows in torch.randperm(len(targets), generator=generator).split(head.batch_size):
            loss = torch.nn.functional.cross_entropy(logits_of(rows), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        losses.append(total / len(targets))
        if head.verbose:
            print(f"[{type(head).__name__}] epoch {epoch}/{head.max_iter}, loss {losses[-1]:.4f}")
    return losses

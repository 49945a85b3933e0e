"""A router that is a sparsely gated mixture of experts."""

from numbers import Integral, Real

import numpy as np

from ..._utils._docstrings import fill_doc
from ..._utils._sklearn import Interval
from ...heads._training import (
    TRAINING_CONSTRAINTS,
    for_router,
    train,
    training_mode,
    weighted_cross_entropy,
)
from ._base import BaseRouter

_SMALLEST_NOISE = 1e-2


@fill_doc
class MixtureRouter(BaseRouter):
    r"""Combine a few experts for each row, chosen by a sparse gate.

    A linear gate on all columns scores the experts. The weights of the ``n_active`` best experts of
    a row are the softmax of their scores, and the others have weight zero:
    :math:`z(x) = \sum_e g_e(x) z_e(x)`. In training, noise on the scores, whose scale is learned,
    lets the gate try other experts, and two losses keep it from always choosing the same [2]_. MoE
    in [1]_.

    Parameters
    ----------
    n_active : int or None, default=2
        Number of experts that a row activates, at least 2; all of them if None, or if there are
        fewer. With 1 the weight would be 1 whatever the score, and the gate could not learn. If all
        are active, there is no noise.
    balance : float, default=0.01
        Weight of the losses for importance (sum of an expert's weights) and load (number of rows
        that activate it): squared coefficients of variation across experts.
    learning_rate : float, default=1e-3
        Learning rate of Adam.
    max_iter : int, default=100
        Number of epochs.
    batch_size : int, default=64
        Rows in a training step.
    device : str, default="auto"
        Device on which the gate is trained; see :class:`skclipens.CLIPEmbedder`. Fitted attributes
        are NumPy arrays.
    random_state : int, RandomState instance or None, default=None
        Controls noise and batches.
    verbose : bool or int, default=False
        Whether to show a progress bar with the loss.

    Attributes
    ----------
    gate_coef_ : ndarray of shape (n_features, E)
        Scores of the experts are ``X @ gate_coef_``.
    n_active_ : int
        Number of experts that a row activates.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    n_iter_ : int
        Number of epochs.

    See Also
    --------
    NeuralLogitController : All experts are active.

    Notes
    -----
    In [2]_ experts and gate are trained together. Here the experts are the fitted heads, which
    stay as they are, and the gate is trained with cross-entropy on held-out logits. As in [2]_ the
    gate has no bias and starts at zero: no signal, and some noise. Weights sum to 1, so they cannot
    correct overconfident experts; calibration can.
    The paper gives no settings.

    References
    ----------
    %(paper)s
    .. [2] Shazeer et al., "Outrageously Large Neural Networks: The Sparsely-Gated
       Mixture-of-Experts Layer", ICLR 2017, equations 3 to 11.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens.ensemble import AdaptiveBackboneEnsemble, MixtureRouter
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4)), ("all", slice(0, 4))]
    >>> router = MixtureRouter(n_active=2, random_state=0)
    >>> clf = AdaptiveBackboneEnsemble(blocks, head="linear", router=router, random_state=0)
    >>> (clf.fit(X, y).routing_weights(X) > 0).sum(axis=1).max()
    np.int64(2)
    """

    _reads_X = True
    _minds_scales = True
    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        "n_active": [None, Interval(Integral, 2, None, closed="left")],
        "balance": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_active=2,
        *,
        balance=0.01,
        learning_rate=1e-3,
        max_iter=100,
        batch_size=64,
        device="auto",
        random_state=None,
        verbose=False,
    ):
        self.n_active = n_active
        self.balance = balance
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @training_mode
    def _fit(self, X, logits, targets, sample_weight=None):
        import torch

        n_experts = logits.shape[1]
        self.n_active_ = n_experts if self.n_active is None else min(self.n_active, n_experts)
        given = for_router(self, X, logits, targets, sample_weight)
        generator, X, logits, targets, row_weights = given
        gate, noise_gate = (X.new_zeros((X.shape[1], n_experts)) for _ in range(2))
        gate.requires_grad_()
        noise_gate.requires_grad_()
        all_active = self.n_active_ == n_experts

        def loss_of(rows):
            scores, batch_weights = X[rows] @ gate, row_weights[rows]
            if all_active:
                weights, load = scores.softmax(dim=1), None
            else:
                spread = noise_scale(X[rows] @ noise_gate)
                noise = torch.randn(scores.shape, generator=generator, dtype=torch.float32)
                noise = noise.to(scores)
                weights, load = noisy_top_k(scores, spread, noise, self.n_active_, batch_weights)
            mixed = (weights[:, :, None] * logits[rows]).sum(dim=1)
            loss = weighted_cross_entropy(mixed, targets[rows], batch_weights)
            uneven = imbalance(batch_weights @ weights)
            return loss + self.balance * (uneven if load is None else uneven + imbalance(load))

        trained = [gate] if all_active else [gate, noise_gate]
        optimizer = torch.optim.Adam(trained, lr=self.learning_rate)
        self.loss_curve_ = train(self, optimizer, loss_of, len(targets), generator)
        self.gate_coef_ = gate.detach().cpu().numpy()
        self.n_iter_ = self.max_iter

    def _weights(self, X, logits):
        return sparse_softmax(X @ self.gate_coef_.astype(X.dtype), self.n_active_)


def sparse_softmax(scores, k):
    """Return the softmax over the k largest scores of each row, zero elsewhere; numpy, (n, E)."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(scores, best, axis=1)
    kept = np.exp(kept - kept[:, :1])
    weights = np.zeros_like(scores)
    np.put_along_axis(weights, best, kept / kept.sum(axis=1, keepdims=True), axis=1)
    return weights


def noise_scale(scores):
    """Return the standard deviation of the noise on each score, bounded away from zero."""
    from torch.nn import functional

    return functional.softplus(scores) + _SMALLEST_NOISE


def noisy_top_k(scores, spread, noise, k, row_weights=None):
    """Compute weights and load of the gate in training, in torch.

    Parameters
    ----------
    scores, spread, noise : torch.Tensor of shape (n, E)
        Scores, the standard deviation of their noise, and draws from a standard normal.
    k : int
        Less than E, since there is no noise if all experts are active.
    row_weights : torch.Tensor of shape (n,) or None
        How much each row counts in the load.

    Returns
    -------
    weights : torch.Tensor of shape (n, E)
        Softmax over the k largest noisy scores of each row, zero elsewhere.
    load : torch.Tensor of shape (E,)
        Expected number of rows that activate each expert if its own noise were drawn again.
    """
    import torch

    noisy = scores + spread * noise
    best = noisy.topk(k + 1, dim=1)
    active = torch.zeros_like(noisy, dtype=torch.bool).scatter(1, best.indices[:, :k], True)
    weights = noisy.masked_fill(~active, -torch.inf).softmax(dim=1)
    # To be active, an expert must exceed the k-th largest score of the others.
    bar = torch.where(active, best.values[:, k : k + 1], best.values[:, k - 1 : k])
    activates = torch.special.ndtr((scores - bar) / spread)
    return weights, activates.sum(dim=0) if row_weights is None else row_weights @ activates


def imbalance(amounts):
    """Return the squared coefficient of variation."""
    return amounts.var(correction=0) / amounts.mean() ** 2

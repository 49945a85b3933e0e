"""A sparsely gated mixture of experts."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval

from .._utils._docstrings import fill_doc
from ..backbones import resolve_device
from ..heads._training import TRAINING_CONSTRAINTS, make_generator
from ._averages import with_unjudged
from ._base import BaseBackboneEnsemble
from ._routers import combine

_SMALLEST_NOISE = 1e-2


@fill_doc(calibrate_default="False")
class MixtureOfExpertsEnsemble(BaseBackboneEnsemble):
    r"""Classify by the experts that a sparse gate activates for each row.

    A linear gate that reads all columns scores the experts. The ``n_active`` best of a row share
    it by the softmax of their scores, the others have no part in it:
    :math:`z(x) = \sum_e g_e(x) z_e(x)`. While the gate is trained, noise on its scores, whose
    scale is learned too, lets it try other experts, and two losses keep it from always choosing
    the same [3]_. MoE in [1]_.

    Parameters
    ----------
    %(blocks)s
    n_active : int, default=2
        Number of experts that a row activates, at least 2; all of them if there are fewer. The
        weight of a lone expert would be 1 whatever its score, and teach the gate nothing.
    %(head)s
    %(cv)s
    %(calibrate)s
        The default is the plain rule. Weights sum to 1, so they cannot make up for experts that
        are too sure of themselves; True can.
    %(class_names)s
    %(templates)s
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
        Where the gate is trained; see :class:`CLIPEmbedder`. What is fitted is numpy.
    %(memory)s
    %(n_jobs)s
    random_state : int, RandomState instance or None, default=None
        Controls noise and batches, the folds, and heads that draw.
    verbose : bool or int, default=False
        Whether to print the loss of each epoch.

    Attributes
    ----------
    gate_coef_ : ndarray of shape (n_features_in_, judged_.sum()), float32
        Scores of the experts that rows can judge are ``X @ gate_coef_``. Zeros where no row
        could judge any expert: all are then active, with equal weights.
    n_active_ : int
        Number of experts that a row activates.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    n_iter_ : int
        Number of epochs.
    %(fitted)s

    See Also
    --------
    AdaptiveBackboneEnsemble : Weighs all experts of each row.

    Notes
    -----
    In [3]_ experts and gate are trained together. Here the experts are the fitted heads, which
    stay as they are, and the gate is trained with cross-entropy on logits of rows that they have
    not seen. As in [3]_ the gate has no bias and starts at zero: no signal, and some noise.
    The paper gives no settings.

    References
    ----------
    %(paper)s
    %(guo)s
    .. [3] Shazeer et al., "Outrageously Large Neural Networks: The Sparsely-Gated
       Mixture-of-Experts Layer", ICLR 2017, equations 3 to 11.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens.ensemble import MixtureOfExpertsEnsemble
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4)), ("all", slice(0, 4))]
    >>> clf = MixtureOfExpertsEnsemble(blocks, n_active=2, head="linear", random_state=0)
    >>> weights = clf.fit(X, y).routing_weights(X)
    >>> (weights > 0).sum(axis=1).max()
    np.int64(2)
    """

    _parameter_constraints: dict = {
        **BaseBackboneEnsemble._parameter_constraints,
        **TRAINING_CONSTRAINTS,
        "n_active": [Interval(Integral, 2, None, closed="left")],
        "balance": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        blocks=None,
        *,
        n_active=2,
        head="auto",
        cv=5,
        calibrate=False,
        class_names=None,
        templates=None,
        balance=0.01,
        learning_rate=1e-3,
        max_iter=100,
        batch_size=64,
        device="auto",
        memory=None,
        n_jobs=None,
        random_state=None,
        verbose=False,
    ):
        super().__init__(
            blocks,
            head=head,
            cv=cv,
            calibrate=calibrate,
            class_names=class_names,
            templates=templates,
            memory=memory,
            n_jobs=n_jobs,
            random_state=random_state,
        )
        self.n_active = n_active
        self.balance = balance
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.device = device
        self.verbose = verbose

    def _fit_combination(self, X, logits, y):
        n_experts = logits.shape[1]
        if len(y):
            self.n_active_ = min(self.n_active, n_experts)
            self.gate_coef_, self.loss_curve_ = self._train(X, logits, y)
        else:
            self.n_active_ = n_experts  # the average of all
            self.gate_coef_ = np.zeros((X.shape[1], n_experts), np.float32)
            self.loss_curve_ = []
        self.n_iter_ = max(len(self.loss_curve_), 1)

    def _train(self, X, logits, y):
        import torch
        from torch.nn import functional

        device = resolve_device(self.device)
        generator = make_generator(self.random_state)
        X = torch.as_tensor(X, dtype=torch.float32, device=device)
        logits = torch.as_tensor(logits, dtype=torch.float32, device=device)
        y = torch.as_tensor(y, device=device)
        shape = X.shape[1], logits.shape[1]
        gate, noise_gate = (torch.zeros(shape, device=device, requires_grad=True) for _ in range(2))
        optimizer = torch.optim.Adam([gate, noise_gate], lr=self.learning_rate)
        losses = []
        for epoch in range(1, self.max_iter + 1):
            total = 0.0
            for rows in torch.randperm(len(X), generator=generator).split(self.batch_size):
                scores, spread = X[rows] @ gate, noise_scale(X[rows] @ noise_gate)
                noise = torch.randn(scores.shape, generator=generator).to(device)
                weights, load = noisy_top_k(scores, spread, noise, self.n_active_)
                mixed = (weights[:, :, None] * logits[rows]).sum(dim=1)
                loss = functional.cross_entropy(mixed, y[rows])
                loss = loss + self.balance * (imbalance(weights.sum(dim=0)) + imbalance(load))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item() * len(rows)
            losses.append(total / len(X))
            if self.verbose:
                print(f"[MoE] epoch {epoch}/{self.max_iter}, loss {losses[-1]:.4f}")
        return gate.detach().cpu().numpy(), losses

    def _gate(self, X):
        scores = X @ self.gate_coef_.astype(X.dtype)
        return sparse_softmax(scores, self.n_active_)

    def _combine(self, X, logits):
        return combine(self._gate(X), logits)

    def routing_weights(self, X):
        """How far each expert is trusted for each row.

        Parameters
        ----------
        X : array-like of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n, E)
            Weights of the logits, experts in the order of ``expert_names_``. Those of experts
            that rows can judge sum to 1, and at most ``n_active`` of them are not zero.
        """
        X = self._checked(X)
        return with_unjudged(self._gate(X), self.judged_)


def sparse_softmax(scores, k):
    """Softmax over the k largest of each row's scores, zero elsewhere; numpy, (n, E)."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(scores, best, axis=1)
    kept = np.exp(kept - kept[:, :1])
    weights = np.zeros_like(scores)
    np.put_along_axis(weights, best, kept / kept.sum(axis=1, keepdims=True), axis=1)
    return weights


def noise_scale(scores):
    """Standard deviation of the noise on each score, away from zero."""
    from torch.nn import functional

    return functional.softplus(scores) + _SMALLEST_NOISE


def noisy_top_k(scores, spread, noise, k):
    """The gate while it is trained, in torch.

    Parameters
    ----------
    scores, spread, noise : torch.Tensor of shape (n, E)
        Scores, the standard deviation of their noise, and draws from a standard normal.
    k : int

    Returns
    -------
    weights : torch.Tensor of shape (n, E)
        Softmax over the k largest noisy scores of each row, zero elsewhere.
    load : torch.Tensor of shape (E,)
        Expected number of rows that activate each expert, were its own noise drawn again.
    """
    import torch

    noisy = scores + spread * noise
    best = noisy.topk(min(k + 1, noisy.shape[1]), dim=1)
    active = torch.zeros_like(noisy, dtype=torch.bool).scatter(1, best.indices[:, :k], True)
    weights = noisy.masked_fill(~active, -torch.inf).softmax(dim=1)
    if k == noisy.shape[1]:
        return weights, noisy.new_full((k,), len(noisy))
    # What an expert has to beat: the k-th largest score of the others.
    bar = torch.where(active, best.values[:, k : k + 1], best.values[:, k - 1 : k])
    return weights, torch.special.ndtr((scores - bar) / spread).sum(dim=0)


def imbalance(amounts):
    """Squared coefficient of variation."""
    return amounts.var(correction=0) / amounts.mean() ** 2

"""The Neural Logit Controller of the paper: a small network that weighs the experts of each row."""

from numbers import Integral, Real

import numpy as np

from ..._utils._sklearn import Interval
from ...backbones import resolve_device
from ...heads._training import (
    TRAINING_CONSTRAINTS,
    as_tensors,
    make_generator,
    mean_weights,
    train,
    weighted_cross_entropy,
)
from ._base import BaseRouter

_MAX_LOG_WEIGHT = 10.0


class NeuralLogitController(BaseRouter):
    """Weights exp(t(x)) / E, where a network with one hidden layer reads all columns of x.

    The network's last layer starts at zero, so that the untrained controller is the logit
    average. It is trained with cross-entropy by Adam [1]_. The paper leaves open the map from the
    network's output to a weight (here the exponential), the number of epochs and the batch size.

    Parameters
    ----------
    hidden_dim : int, default=128
        Width of the hidden layer.
    learning_rate : float, default=2e-4
        Learning rate of Adam.
    weight_decay : float, default=0.01
        Weight decay of Adam.
    max_iter : int, default=100
        Epochs of training; the paper does not give a number.
    batch_size : int, default=64
        Rows in a training step; the paper does not give a number.
    device : str, default="auto"
        Where the network is trained; see :class:`skclipens.CLIPEmbedder`.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights and batches.
    verbose : bool or int, default=False
        Whether to show a progress bar with the loss.

    Attributes
    ----------
    coefs_ : list of ndarray
        Weights and intercepts of the hidden and of the last layer.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    n_iter_ : int
        Epochs.

    References
    ----------
    .. [1] Rodriguez-Opazo et al., "Synergy and Diversity in CLIP: Enhancing Performance Through
       Adaptive Backbone Ensembling", ICLR 2025.

    Examples
    --------
    >>> from skclipens.ensemble import AdaptiveBackboneEnsemble, NeuralLogitController
    >>> router = NeuralLogitController(hidden_dim=32, max_iter=50)
    >>> AdaptiveBackboneEnsemble("zoo", head="zero-shot", router=router).router.hidden_dim
    32
    """

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        "hidden_dim": [Interval(Integral, 1, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        hidden_dim=128,
        learning_rate=2e-4,
        weight_decay=0.01,
        max_iter=100,
        batch_size=64,
        device="auto",
        random_state=None,
        verbose=False,
    ):
        self.hidden_dim = hidden_dim
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, X, logits, y, sample_weight=None):
        import torch

        device = resolve_device(self.device)
        generator = make_generator(self.random_state)
        weights = mean_weights(sample_weight, len(y), X.dtype)
        X, logits, y, weights = as_tensors(device, X, logits.astype(X.dtype), y, weights)
        network = self._network(X.shape[1], logits.shape[1], generator).to(X)

        def loss_of(rows):
            combined = _forward(network, X[rows], logits[rows])
            return weighted_cross_entropy(combined, y[rows], weights[rows])

        optimizer = torch.optim.Adam(
            network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )
        self.loss_curve_ = train(self, optimizer, loss_of, len(y), generator)
        self.coefs_ = [p.detach().cpu().numpy() for p in network.parameters()]
        self.n_iter_ = self.max_iter

    def _network(self, n_features, n_experts, generator):
        from torch import nn

        # Not initialised twice: torch's own initialisation would draw from its global generator.
        first = nn.utils.skip_init(nn.Linear, n_features, self.hidden_dim)
        last = nn.utils.skip_init(nn.Linear, self.hidden_dim, n_experts)
        bound = n_features**-0.5
        for parameter in first.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        return nn.Sequential(first, nn.ReLU(), last)

    def _weights(self, X, logits):
        hidden_coef, hidden_intercept, coef, intercept = self.coefs_
        hidden = np.maximum(X @ hidden_coef.T + hidden_intercept, 0)
        t = np.clip(hidden @ coef.T + intercept, -_MAX_LOG_WEIGHT, _MAX_LOG_WEIGHT)
        return np.exp(t) / logits.shape[1]


def _forward(network, X, logits):
    weights = network(X).clamp(-_MAX_LOG_WEIGHT, _MAX_LOG_WEIGHT).exp() / logits.shape[1]
    return (weights[:, :, None] * logits).sum(dim=1)

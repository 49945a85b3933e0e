"""The Neural Logit Controller of the paper: a router with a small network."""

from functools import partial
from numbers import Integral, Real

import numpy as np

from ..._utils._docstrings import fill_doc
from ..._utils._sklearn import Interval, StrOptions
from ...heads._training import (
    TRAINING_CONSTRAINTS,
    for_router,
    has_fused_adam,
    train,
    training_mode,
    weighted_cross_entropy,
)
from ._base import BaseRouter

_MAX_LOG_WEIGHT = 10.0


@fill_doc
class NeuralLogitController(BaseRouter):
    r"""Combine experts by weights from a small network that reads all columns of a row.

    The network has one hidden layer. With :math:`t(x)` its output, the weights of E experts are
    :math:`(1 + t(x)) / E`, or :math:`\exp(t(x)) / E`. The last layer starts at zero, so that the
    untrained controller is the logit average. It is trained with cross-entropy by Adam [1]_.

    Parameters
    ----------
    signed : bool, default=True
        Whether weights are :math:`(1 + t(x)) / E`, which may be negative, since an expert that is
        reliably wrong is also informative. Otherwise they are :math:`\exp(t(x)) / E`.
    hidden_dim : int, default=128
        Width of the hidden layer.
    learning_rate : float, default=2e-4
        Learning rate of Adam.
    weight_decay : float, default=0.01
        Weight decay of Adam.
    max_iter : int, default=1000
        Number of steps or epochs of training; see ``budget``.
    budget : {"steps", "epochs"}, default="steps"
        The unit of ``max_iter``: steps of Adam, each on one batch, whatever the number of rows; or
        epochs, which are passes over all rows, as in :class:`sklearn.neural_network.MLPClassifier`.
        A step changes a parameter by about the learning rate at most. With few rows an epoch is a
        single step.
    batch_size : int, default=64
        Rows in a training step.
    device : str, default="auto"
        Device on which the network is trained; see :class:`skclipens.CLIPEmbedder`.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights and batches.
    verbose : bool or int, default=False
        Whether to show a progress bar with the loss.

    Attributes
    ----------
    coefs_ : list of four ndarray, dtype of X
        Weights of the hidden layer, of shape (hidden_dim, n_features), and its intercepts, of shape
        (hidden_dim,); weights of the last layer, of shape (E, hidden_dim), and its intercepts, of
        shape (E,).
    loss_curve_ : list of float
        Mean training loss of each step or epoch.
    n_iter_ : int
        Number of steps or epochs.

    See Also
    --------
    GatedRouter : Weights for each row by a convex problem.
    StaticRouter : The same weights for all rows.

    Notes
    -----
    The paper gives the network, Adam, its learning rate of 2e-4 and its weight decay of 0.01. It
    leaves open the map from :math:`t(x)` to weights, how long to train, the batch size and the
    scale of the logits. The most literal reading is
    ``NeuralLogitController(signed=False, budget="epochs", max_iter=100)``: with one row for each
    of up to 64 classes that is 100 steps, in which parameters change by about 0.03 at most. The
    defaults here were chosen on validation sets, on logits that are not calibrated
    (``calibrate=False`` of the ensemble). They gain over zero-shot heads whose prompts mean
    nothing. Over the default's heads they cost accuracy if labels are few: on eleven test sets with
    the zoo, 9.7, 2.9 and 0.7 points below the default router at 1, 4 and 16 labels per class. At
    one label the plain average of logits that are not calibrated is as inaccurate.

    References
    ----------
    %(paper)s

    Examples
    --------
    >>> from skclipens.ensemble import AdaptiveBackboneEnsemble, NeuralLogitController
    >>> router = NeuralLogitController(hidden_dim=32, max_iter=500)
    >>> AdaptiveBackboneEnsemble("zoo", head="zero-shot", router=router).router.hidden_dim
    32
    """

    _reads_X = True
    _minds_scales = True
    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        "hidden_dim": [Interval(Integral, 1, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "budget": [StrOptions({"steps", "epochs"})],
        "signed": ["boolean"],
    }

    def __init__(
        self,
        *,
        signed=True,
        hidden_dim=128,
        learning_rate=2e-4,
        weight_decay=0.01,
        max_iter=1000,
        budget="steps",
        batch_size=64,
        device="auto",
        random_state=None,
        verbose=False,
    ):
        self.signed = signed
        self.hidden_dim = hidden_dim
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.max_iter = max_iter
        self.budget = budget
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @training_mode
    def _fit(self, X, logits, targets, sample_weight=None):
        import torch

        given = for_router(self, X, logits, targets, sample_weight)
        generator, X, logits, targets, weights = given
        network = self._network(X.shape[1], logits.shape[1], generator).to(X)

        def loss_of(rows):
            expert_weights = self._map(network(X[rows])) / logits.shape[1]
            combined = (expert_weights[:, :, None] * logits[rows]).sum(dim=1)
            return weighted_cross_entropy(combined, targets[rows], weights[rows])

        optimizer = torch.optim.Adam(
            network.parameters(),
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            fused=has_fused_adam(X.device),
        )
        self.loss_curve_ = train(
            self, optimizer, loss_of, len(targets), generator, budget=self.budget
        )
        self.coefs_ = [p.detach().cpu().numpy() for p in network.parameters()]
        self.n_iter_ = self.max_iter

    def _network(self, n_features, n_experts, generator):
        import torch
        from torch import nn

        # skip_init, since torch's own initialisation would draw from its global generator.
        make = partial(nn.utils.skip_init, nn.Linear, dtype=torch.float32)
        first, last = make(n_features, self.hidden_dim), make(self.hidden_dim, n_experts)
        bound = n_features**-0.5
        for parameter in first.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        return nn.Sequential(first, nn.ReLU(), last)

    def _weights(self, X, logits):
        hidden_coef, hidden_intercept, coef, intercept = self.coefs_
        hidden = np.maximum(X @ hidden_coef.T + hidden_intercept, 0)
        return self._map(hidden @ coef.T + intercept) / logits.shape[1]

    def _map(self, t):
        """Map the network's output to weights, times the number of experts; numpy or torch."""
        return 1 + t if self.signed else _bounded_exp(t)


def _bounded_exp(t):
    bounded = t.clip(-_MAX_LOG_WEIGHT, _MAX_LOG_WEIGHT)
    return np.exp(bounded) if isinstance(bounded, np.ndarray) else bounded.exp()

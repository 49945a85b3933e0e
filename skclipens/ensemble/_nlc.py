"""The Neural Logit Controller of the paper: a small network that weighs the experts of each row."""

import numpy as np

from ._routers import MAX_LOG_WEIGHT


class NeuralLogitController:
    """Weights exp(t(x)) / E, where a network with one hidden layer reads all columns of x.

    The network's last layer starts at zero, so that the untrained controller is the logit
    average. It is trained with cross-entropy by Adam [1]_. The paper leaves open the map from the
    network's output to a weight (here the exponential), the number of epochs and the batch size.

    Parameters
    ----------
    hidden_dim, learning_rate, weight_decay, max_iter, batch_size, device, random_state, verbose
        See :class:`skclipens.AdaptiveBackboneEnsemble`. ``device`` is resolved already and
        ``random_state`` is an int.

    References
    ----------
    .. [1] Rodriguez-Opazo et al., "Synergy and Diversity in CLIP: Enhancing Performance Through
       Adaptive Backbone Ensembling", ICLR 2025.
    """

    def __init__(
        self,
        *,
        hidden_dim,
        learning_rate,
        weight_decay,
        max_iter,
        batch_size,
        device,
        random_state,
        verbose,
    ):
        self.hidden_dim = hidden_dim
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, logits, y):
        """Train the network."""
        import torch

        generator = torch.Generator().manual_seed(self.random_state)
        X = torch.as_tensor(X, dtype=torch.float32, device=self.device)
        logits = torch.as_tensor(logits, dtype=torch.float32, device=self.device)
        y = torch.as_tensor(y, device=self.device)
        network = self._network(X.shape[1], logits.shape[1], generator).to(self.device)
        optimizer = torch.optim.Adam(
            network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )
        for epoch in range(1, self.max_iter + 1):
            total = 0.0
            for rows in torch.randperm(len(X), generator=generator).split(self.batch_size):
                loss = _cross_entropy(network, X[rows], logits[rows], y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(rows)
            if self.verbose:
                print(f"[NLC] epoch {epoch}/{self.max_iter}, loss {total / len(X):.4f}")
        self.n_iter = self.max_iter
        self.coefs = [p.detach().cpu().numpy() for p in network.parameters()]
        return self

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

    def weights(self, X, logits):
        """Weights exp(t) / E."""
        hidden_coef, hidden_intercept, coef, intercept = self.coefs
        hidden = np.maximum(X @ hidden_coef.T + hidden_intercept, 0)
        t = np.clip(hidden @ coef.T + intercept, -MAX_LOG_WEIGHT, MAX_LOG_WEIGHT)
        return (np.exp(t) / logits.shape[1]).astype(logits.dtype)


def _cross_entropy(network, X, logits, y):
    from torch.nn import functional

    weights = network(X).clamp(-MAX_LOG_WEIGHT, MAX_LOG_WEIGHT).exp() / logits.shape[1]
    return functional.cross_entropy((weights[:, :, None] * logits).sum(dim=1), y)

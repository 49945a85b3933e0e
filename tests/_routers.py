"""Routers that several tests train."""

from skclipens.ensemble import NeuralLogitController


def make_nlc(**options):
    """A controller that learns in few epochs."""
    defaults = dict(
        hidden_dim=16,
        learning_rate=1e-2,
        weight_decay=0.0,
        max_iter=30,
        budget="epochs",
        random_state=0,
    )
    return NeuralLogitController(**{**defaults, **options})

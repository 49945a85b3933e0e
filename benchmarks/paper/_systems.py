"""Heads and rules: every ensemble of the package, on the same experts."""

from skclipens import AdaptiveBackboneEnsemble
from skclipens.ensemble import (
    ConfidenceEnsemble,
    GeneticEnsemble,
    LogitAverageEnsemble,
    MixtureOfExpertsEnsemble,
    ProbabilityAverageEnsemble,
    SuperLearnerEnsemble,
    VotingEnsemble,
)

HEADS = ("zero-shot", "linear", "tip-adapter", "residual", "auto")
DEFAULT = "shrunk (default)"
PAPER_SPLIT = "NLC, 10 % held out"

RULES = {
    "Log-Avg": (LogitAverageEnsemble, {}),
    "C-Log-Avg": (LogitAverageEnsemble, {"calibrate": True}),
    "Prob-Avg": (ProbabilityAverageEnsemble, {}),
    "C-Prob-Avg": (ProbabilityAverageEnsemble, {"calibrate": True}),
    "Vote-1": (VotingEnsemble, {"n_votes": 1}),
    "Vote-3": (VotingEnsemble, {"n_votes": 3}),
    "Conf": (ConfidenceEnsemble, {}),
    "C-Conf": (ConfidenceEnsemble, {"calibrate": True}),
    "GAC": (GeneticEnsemble, {}),
    "SL": (SuperLearnerEnsemble, {}),
    "SL, log-loss": (SuperLearnerEnsemble, {"loss": "log_loss"}),
    "MoE": (MixtureOfExpertsEnsemble, {}),
    "NLC": (AdaptiveBackboneEnsemble, {"router": "nlc"}),
    PAPER_SPLIT: (AdaptiveBackboneEnsemble, {"router": "nlc", "cv": 0.1}),
    "static": (AdaptiveBackboneEnsemble, {"router": "static"}),
    DEFAULT: (AdaptiveBackboneEnsemble, {"router": "shrunk"}),
}


def rules_for(head, rules=tuple(RULES)):
    """Names of the rules that are measured on a head.

    The paper holds rows out for the router only where heads learn from rows, which in it are the
    linear ones.
    """
    return [rule for rule in rules if rule != PAPER_SPLIT or head.startswith("linear")]


def make(rule, head, backbones, **options):
    """An ensemble, not fitted."""
    cls, parameters = RULES[rule]
    return cls(backbones, head=head, **parameters, **options)

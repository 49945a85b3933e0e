"""Heads and rules: every rule of the package, on the same experts."""

from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import numpy as np

from skclipens import AdaptiveBackboneEnsemble, LinearDiscriminantHead, TipAdapterHead
from skclipens.backbones._kinds import parse_kind
from skclipens.embedding._plan import FEATURES as KINDS_OF
from skclipens.ensemble import NeuralLogitController, SuperLearnerRouter
from skclipens.heads import _base_discriminant, _temperature

FORMER = "former auto"
IMAGE_EMBEDDINGS = "auto, image embeddings only"
POOLED_PROBE = "linear, pooled features"
_LINEAR = LinearDiscriminantHead(shrinkage=1.0, cv=5)
FORMER_POOL = ["residual", ("all:linear-all", _LINEAR, slice(None))]
FORMER_ONE_SHOT = {
    "UNVALIDATED_TEMPERATURES": (0.5, 0.5),
    "UNVALIDATED_SPREAD": 0.3,
    "UNVALIDATED_POWER": 0,
    "UNVALIDATED_FITTED": 0,
    "UNVALIDATED_C": None,
}
HEADS = (
    *("zero-shot", "linear", POOLED_PROBE, "tip-adapter", "residual"),
    *(FORMER, IMAGE_EMBEDDINGS, "auto"),
)
# Heads that only the tables name.
NAMED = {
    "tip-adapter-f": TipAdapterHead(fine_tune=True),
    FORMER: FORMER_POOL,
    IMAGE_EMBEDDINGS: "auto",
    POOLED_PROBE: "linear",
}
# Other defaults, which the default is compared with.
BESIDE = (FORMER, IMAGE_EMBEDDINGS)
# The features of a head, if they are not the image embeddings alone.
PROJECTED, POOLED, BOTH = "projected", "pooled", "both"
FEATURES = {"auto": BOTH, POOLED_PROBE: POOLED}
DEFAULT = "shrunk (default)"
PAPER_SPLIT = "NLC, 10 % held out"
# The paper's settings of the NLC; where it gives none, the most obvious choices.
LITERAL_NLC = NeuralLogitController(signed=False, budget="epochs", max_iter=100)
PAPER_NLC = {"router": "nlc", "calibrate": False}
AVERAGE, CALIBRATED_AVERAGE = "Log-Avg", "C-Log-Avg"
_PLAIN = {"calibrate": False}

RULES = {
    AVERAGE: {"router": "uniform", **_PLAIN},
    CALIBRATED_AVERAGE: {"router": "uniform"},
    "Prob-Avg": {"router": "probability", **_PLAIN},
    "C-Prob-Avg": {"router": "probability"},
    "Vote-1": {"router": "vote", **_PLAIN},
    "Vote-3": {"router": "vote-3", **_PLAIN},
    "Conf": {"router": "confidence", **_PLAIN},
    "C-Conf": {"router": "confidence"},
    "GAC": {"router": "genetic", **_PLAIN},
    "SL": {"router": "super-learner", **_PLAIN},
    "SL, log-loss": {"router": SuperLearnerRouter(loss="log_loss"), **_PLAIN},
    "MoE": {"router": "mixture", **_PLAIN},
    "NLC": PAPER_NLC,
    PAPER_SPLIT: {"cv": 0.1, **PAPER_NLC},
    "C-NLC, to the letter": {"router": LITERAL_NLC},
    "static": {"router": "static"},
    DEFAULT: {"router": "shrunk"},
}
# Trained by gradient or evolution, which takes most of the time: measured in some draws only.
TRAINED = ("GAC", "MoE", "NLC", PAPER_SPLIT, "C-NLC, to the letter")
# These use heads as they are, without held-out logits.
NOT_JUDGED = (AVERAGE, "Prob-Avg", "Vote-1", "Vote-3", "Conf")


def rules_for(head, rules=tuple(RULES), *, trained):
    """Return the rules to measure on a head: those that are trained, or those that are not.

    The default is always among those that are not trained, since the others are compared with it.
    The paper holds rows out for the router only if heads learn from rows, which only its linear
    heads do. Other defaults, and probes of pooled features, have the default rule alone.
    """
    if head in BESIDE or head == POOLED_PROBE:
        rules = ()
    if not trained:
        return [rule for rule in dict.fromkeys([*rules, DEFAULT]) if rule not in TRAINED]
    without = () if head.startswith("linear") else (PAPER_SPLIT,)
    return [rule for rule in rules if rule in TRAINED and rule not in without]


def make(rule, head, blocks, **options):
    """Return an unfitted ensemble. Rules but the default are as published: all rows are alike."""
    head = NAMED.get(head, head)
    unlike = {} if rule == DEFAULT else {"out_of_distribution": "ignore"}
    return AdaptiveBackboneEnsemble(blocks, head=head, **RULES[rule], **unlike, **options)


@contextmanager
def one_shot(constants):
    """Return a context with other constants of heads that no row can judge, if any."""
    with ExitStack() as stack:
        for name, value in constants.items():
            module = _base_discriminant if name == "UNVALIDATED_C" else _temperature
            stack.enter_context(patch.object(module, name, value))
        yield


def columns_of(features, blocks):
    """Return names of the blocks of these features, and positions of their columns among all.

    Parameters
    ----------
    features : "projected", "pooled" or "both"
    blocks : dict of str to slice
        All blocks, in the order of their columns.
    """
    wanted = KINDS_OF[features]
    kept = {name: at for name, at in blocks.items() if parse_kind(name).features in wanted}
    columns = [np.arange(at.start, at.stop) for at in kept.values()]
    return list(kept), np.concatenate(columns or [np.arange(0)])

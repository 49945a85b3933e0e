"""Confidence thresholds of the stages of a cascade, and how they are chosen."""

import numpy as np

from ._costs import within

ROUNDING = 1e-12


def broadcast_thresholds(thresholds, n):
    try:
        thresholds = np.broadcast_to(np.asarray(thresholds, dtype=float), n)
    except ValueError:
        raise ValueError(
            f"thresholds={thresholds!r} does not fit a cascade of {n + 1} stages; give one "
            f"number, or {n}."
        ) from None
    if not ((thresholds >= 0) & (thresholds <= 1) | (thresholds == np.inf)).all():
        raise ValueError(
            "thresholds are compared with probabilities, so they must be from 0 to 1, or infinite "
            f"where the last stage is to decide everything; got {thresholds.tolist()}."
        )
    return thresholds.copy()


def sweep(confidence, correct, costs, sample_weight=None):
    """Return accuracy and mean cost of every threshold that changes a decision, as ``curve_``.

    `confidence` and `correct` have shape (n, K), `costs` (K,).
    """
    # A row goes on from stage k, which changes accuracy and cost, if the threshold is above its
    # largest confidence so far. The last threshold, infinity, sends all rows to the last stage.
    leaves = np.maximum.accumulate(confidence[:, :-1], axis=1)
    values, event = np.unique(leaves, return_inverse=True)
    weights = np.ones(len(confidence)) if sample_weight is None else sample_weight.astype(float)

    def curve(start, change):
        change = change * weights[:, None]
        changes = np.bincount(event.ravel(), change.ravel(), minlength=len(values))
        return (start @ weights + np.append(0, np.cumsum(changes))) / weights.sum()

    cost = np.broadcast_to(costs, confidence.shape)
    return {
        "threshold": np.append(values, np.inf),
        "accuracy": curve(correct[:, 0], np.diff(correct, axis=1)),
        "cost": curve(cost[:, 0], cost[:, 1:]),
    }


def choose(curve, max_accuracy_drop, max_cost):
    """Return the chosen position on a curve; see the parameters of CascadeEnsemble."""
    accuracy = curve["accuracy"]
    affordable = within(max_cost, curve["cost"])
    if max_accuracy_drop is not None:
        enough = accuracy >= accuracy[-1] - max_accuracy_drop - ROUNDING
        stays_enough = np.logical_and.accumulate(enough[::-1])[::-1]
        if (affordable & stays_enough).any():
            return np.argmax(affordable & stays_enough)
    return np.argmax(affordable & (accuracy >= accuracy[affordable].max() - ROUNDING))

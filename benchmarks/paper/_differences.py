"""Differences between the default and every other system, with intervals."""

import numpy as np
import pandas as pd

from skclipens.model_selection._intervals import crossed_bootstrap, ends, mean_of

from . import _sets
from ._systems import BESIDE, DEFAULT

OWN = "best single backbone, own heads"
ANY = "best single backbone, any head"
NOT_WORSE, WORSE, OPEN = "not worse", "worse", "open"
MARGIN = 0.005  # "not worse": the lower end of the interval is above minus this


def main_head(results):
    """Return the default's own head, or else the last head."""
    heads = [head for head in dict.fromkeys(results["head"]) if head not in ("none", *BESIDE)]
    return "auto" if "auto" in heads else heads[-1]


def counts(name):
    """Return whether a set counts; perturbed copies of sets do not."""
    return name not in _sets.PERTURBED


def differences(results, correct):
    """Return the default with each head minus its rivals, for each set and number of shots.

    With every head these are the other rules and the best single backbone of this head; with the
    main head also the rivals, other defaults and the best single backbone under any head. The
    best single backbone has the highest mean accuracy over the draws, on test images: with
    hindsight, which no user has. It is the same backbone in all bootstrap replicates.

    Parameters
    ----------
    results : DataFrame
    correct : dict of (set, shots) to Correctness

    Returns
    -------
    DataFrame
        One row for each comparison: accuracies and their difference over the draws that both
        systems have, the ends of its interval, the verdict, and the replicates of the bootstrap.
    """
    main = main_head(results)
    rows = []
    for (name, shots), stored in correct.items():
        cell = results[(results["set"] == name) & (results["shots"] == shots)]
        tested, right = stored.load()
        for head in dict.fromkeys(cell["head"]):
            if (head, DEFAULT) in right:
                others = dict(_others(cell, right, head, head == main))
                place = {"set": name, "shots": shots, "head": head, "counted": counts(name)}
                rows += compare((head, DEFAULT), others, tested, right, place)
    return pd.DataFrame(rows)


def _others(cell, right, head, is_main):
    """Yield (label, kind) and system of all rivals of the default with a head."""
    singles = cell[cell["kind"] == "single"]
    means = singles.groupby(["head", "rule"], sort=False)["accuracy"].mean()
    of_head = means[means.index.get_level_values("head") == head]
    if len(of_head):
        yield (OWN, "single"), of_head.idxmax()
    if len(means) and is_main:
        yield (ANY, "single"), means.idxmax()
    for other in BESIDE if is_main else ():
        if (other, DEFAULT) in right:
            yield (other, "default"), (other, DEFAULT)
    kinds = cell.drop_duplicates(["head", "rule"]).set_index(["head", "rule"])["kind"]
    for system in right:
        ours = kinds[system] == "rule" and system[0] == head and system[1] != DEFAULT
        if ours or (is_main and kinds[system] == "rival"):
            yield (system[1], kinds[system]), system


def compare(default, others, tested, right, place):
    """Yield the comparisons of a cell; those over the same draws share their replicates.

    Parameters
    ----------
    default : tuple of str
        A system, a key of ``right``.
    others : dict of (label, kind) to tuple of str
        The systems that it is compared with.
    tested, right
        As :meth:`Correctness.load` returns them.
    place : dict
        Values of all rows.

    Yields
    ------
    dict
    """
    by_draws = {}
    for label, system in others.items():
        draws = tuple(d for d in right[default] if d in right[system])
        if draws:
            by_draws.setdefault(draws, {})[label] = system
    for draws, systems in by_draws.items():
        ours = np.stack([right[default][d] for d in draws]).astype(np.float32)
        theirs = np.stack([[right[one][d] for d in draws] for one in systems.values()])
        of_draws = tested[list(draws)]
        replicates = crossed_bootstrap(ours - theirs, of_draws)
        accuracy, accuracies = mean_of(ours, of_draws), mean_of(theirs, of_draws)
        for ((other, kind), system), other_accuracy, one in zip(
            systems.items(), accuracies, replicates
        ):
            yield {
                **place,
                "other": other,
                "kind": kind,
                "system": ", ".join(system),
                "draws": len(draws),
                "default": accuracy,
                "accuracy": other_accuracy,
                **_verdict(accuracy - other_accuracy, one),
            }


def _verdict(difference, replicates):
    low, high = ends(replicates)
    verdict = NOT_WORSE if low > -MARGIN else WORSE if high < 0 else OPEN
    found = {"difference": difference, "low": float(low), "high": float(high)}
    return found | {"verdict": verdict, "replicates": replicates}


def over_sets(compared):
    """Return means over the sets that count, by head, other system and number of shots.

    Sets are not resampled: intervals are over images and draws in each set.
    """
    if compared["counted"].any():
        compared = compared[compared["counted"]]
    rows = []
    for cell, group in compared.groupby(["head", "other", "kind", "shots"], sort=False):
        mean = _verdict(group["difference"].mean(), np.mean(list(group["replicates"]), axis=0))
        held = (group["verdict"] == NOT_WORSE).sum()
        means = {"default": group["default"].mean(), "accuracy": group["accuracy"].mean()}
        sets = {"sets": len(group), "held": held, "draws": group["draws"].min()}
        rows.append(dict(zip(["head", "other", "kind", "shots"], cell)) | means | sets | mean)
    return pd.DataFrame(rows)

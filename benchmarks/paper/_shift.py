"""Shift: gain of prompts for rows that are unlike all training rows."""

from contextlib import nullcontext
from unittest.mock import patch

import numpy as np
import pandas as pd

from skclipens import AdaptiveBackboneEnsemble
from skclipens.ensemble import _support

from ._embedding import ALL_FEATURES, blocks_of
from ._experiments import by_shots, gaps_of, table

DEFAULT, IGNORED, PROMPTS = "default", "ignored", "prompts alone"
SHARE = "rows with more weight of prompts"
SHOTS = (1, 2, 4, 8, 16)
# Constants of the part that other ensembles have.
CONSTANTS = {
    DEFAULT: {},
    "weight of prompts 0.3": {"PROMPT_SHARE": 0.3},
    "weight of prompts 0.7": {"PROMPT_SHARE": 0.7},
    "weight of prompts 1": {"PROMPT_SHARE": 1.0},
    "prompts are scaled up to 9 times": {"LARGEST_FACTOR": 9.0},
    "prompts are scaled by any factor": {"LARGEST_FACTOR": 1e6},
    "beyond 99 % of training rows": {"UNUSUAL": 0.01},
    "beyond 90 % of training rows": {"UNUSUAL": 0.1},
}
_NOTE = """\
{draws} draws. Default ensembles, fitted once for a draw; they differ in what they do with rows that
are out of distribution, which are less similar to the mean of the training rows than each of these
is. *{ignored}*: the same as with any row. *{default}*: for such a row the zero-shot heads together
weigh as much as all experts, and their logits are multiplied to have the spread of those of all
experts, by 19 at most. The weight falls with the similarity, to 0 at the 5 % quantile of the
training rows. Others have other constants. *{prompts}*: zero-shot heads alone, for all rows. Sets
that are trained on one style and tested on another are apart from the others."""


def run(dataset, backbones, draws, *, shots=SHOTS, columns=ALL_FEATURES):
    """Return the accuracy of the default with and without the part, and with other constants.

    Returns
    -------
    pandas.DataFrame
        Columns dataset, shots, draw, system, accuracy.
    """
    y = np.asarray(dataset.y)
    X = draws.embed(dataset, backbones, columns)
    names, prompts = list(blocks_of(backbones, columns)), dataset.prompts

    def run_draw(draw, train, test):
        clf = AdaptiveBackboneEnsemble(names, random_state=draw, **prompts).fit(X[train], y[train])
        found, share = {}, 0.0
        if clf._support is not None:
            share = (clf._support.in_distribution(X[test]) < 1).mean()
        for name, constants in CONSTANTS.items():
            with patch.multiple(_support, **constants) if constants else nullcontext():
                clf._support = _support.find_support(clf.experts_, X[train], y[train], clf.classes_)
                found[name] = clf.score(X[test], y[test])
        clf._support = None
        found[IGNORED] = clf.score(X[test], y[test])
        found[PROMPTS] = _score_of_prompts(clf, X[test], y[test])
        return [
            {"system": one, "accuracy": value} for one, value in (found | {SHARE: share}).items()
        ]

    return draws.run_each(run_draw, "shift", dataset, backbones, shots, columns)


def _score_of_prompts(clf, X, y):
    said = clf.transform(X).reshape(len(X), len(clf.experts_), -1)
    said = said[:, [expert.is_zero_shot for expert in clf.experts_]].mean(axis=1)
    return (clf.classes_[said.argmax(axis=1)] == y).mean()


def is_shifted(name):
    """Return whether a set is tested on another style than that of its training rows."""
    return "-to-" in name or name.endswith("-style")


def report(frame):
    """Return Markdown: differences to ensembles without the part, and a table for each set."""
    shifted = frame["dataset"].map(is_shifted)
    groups = {"Other styles": frame[shifted], "The same style": frame[~shifted]}
    groups = {title: rows for title, rows in groups.items() if len(rows)}
    note = _NOTE.format(
        draws=frame["draw"].nunique(), default=DEFAULT, ignored=IGNORED, prompts=PROMPTS
    )
    parts = ["# Rows out of distribution", *map(_conclusion, groups, groups.values()), note]
    for title, rows in groups.items():
        sets = rows["dataset"].unique()
        parts += [f"## {title}: mean over {len(sets)} sets", f"{', '.join(sets)}."]
        parts += [
            "Difference to ensembles that treat all rows alike, in points, paired: mean ± "
            "standard error over draws.",
            _differences(rows),
        ]
    for name, rows in frame.groupby("dataset", sort=False):
        parts += [f"## {name}", "Accuracy in %, mean ± standard deviation over draws."]
        parts += [table(rows, "system", "shots")]
    return "\n\n".join(parts) + "\n"


def _conclusion(title, rows):
    gains = _gains(rows)[DEFAULT].groupby("shots", sort=False).mean()
    listed = [", ".join(map(str, one)) for one in (gains.map("{:+.2f}".format), gains.index)]
    n_sets = rows["dataset"].nunique()
    return f"**{title}**: {listed[0]} points at {listed[1]} shots (mean over {n_sets} sets)."


def _gains(rows):
    """Return gains over ensembles without the part, in points, for each shot, draw and system."""
    by_draw = _by_draw(rows)
    return by_draw.drop(columns=[IGNORED, SHARE]).sub(by_draw[IGNORED], axis=0)


def _by_draw(rows):
    by_draw = 100 * rows.groupby(["shots", "draw", "system"], sort=False)["accuracy"].mean()
    return by_draw.unstack()[[*CONSTANTS, IGNORED, PROMPTS, SHARE]]


def _differences(rows):
    cells = gaps_of(_gains(rows))
    share = _by_draw(rows)[SHARE].groupby("shots", sort=False).mean().map("{:.1f} %".format)
    cells = pd.concat([cells, share.rename(SHARE).to_frame().T])
    cells.index.name = "system"
    return by_shots(cells)

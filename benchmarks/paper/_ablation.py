"""Ablation: the gain of each part of the default ensemble."""

from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pandas as pd
from joblib import Memory
from sklearn.base import clone

from skclipens import AdaptiveBackboneEnsemble
from skclipens.ensemble import GatedRouter, StaticRouter, SuperLearnerRouter, _heads
from skclipens.heads import _kernel, _temperature

from .._machine import markdown_of
from . import _systems
from ._embedding import ALL_FEATURES, blocks_of
from ._experiments import by_shots, gaps_of, mean_sd

DEFAULT, FORMER = "default", "former pool: residual heads and a linear one on all"
SHOTS = (1, 2, 4, 8, 16)
_POOL = ("zero-shot", "kernel", "linear-all")


def _without(*heads):
    return [head for head in _POOL if head not in heads]


def _corrections(factor):
    """Return one-shot constants that divide corrections of prompts by a multiple."""
    ends, slope = _temperature.UNVALIDATED_TEMPERATURES, _temperature.UNVALIDATED_SLOPE
    return {
        "UNVALIDATED_TEMPERATURES": tuple(factor * end for end in ends),
        "UNVALIDATED_SLOPE": factor * slope,
    }


def _kernels(**options):
    kernel = _heads.HEADS[_heads.KERNEL]
    return {"kernel": clone(kernel).set_params(**options)}


_NEAREST = {"UNVALIDATED_C": None}
_LESS_APART = {"UNVALIDATED_SPREAD": 0.6, "UNVALIDATED_POWER": 8}
_CODES = {"labels": "codes"}
# Parameters of the ensemble, constants for its fit, what "kernel" stands for, features if these are
# not all, and whether labels are numbers without names.
VARIANTS = {
    DEFAULT: {},
    FORMER: {
        "head": _systems.FORMER_POOL,
        "one_shot": _systems.FORMER_ONE_SHOT,
        "features": _systems.PROJECTED,
    },
    "features: image embeddings alone": {"features": _systems.PROJECTED},
    "pool without zero-shot heads": {"head": _without("zero-shot")},
    "pool without kernels": {"head": _without("kernel")},
    "pool with a logistic regression on all, without kernels": {
        "head": ["zero-shot", "logistic-all"]
    },
    "pool with a logistic regression on all": {"head": ["zero-shot", "kernel", "logistic-all"]},
    "pool without the linear head on all": {"head": _without("linear-all")},
    "pool with a linear discriminant on all, as it was": {"head": list(_POOL)},
    "the kernels alone": {"head": "kernel"},
    "one kernel on all alone": {"head": "kernel-all"},
    "kernels of 300 components": _kernels(n_components=300),
    "kernels of 2,000 components": _kernels(n_components=2000),
    "kernels that learn from 3 rows per component, as it was": {"rows_per_component": 3},
    "kernels of less noise": _kernels(alphas=(0.1,)),
    "kernels of 3,000 components, exact up to 3,000 rows": _kernels(n_components=3000),
    "rows out of distribution as any others": {"out_of_distribution": "ignore"},
    "pool with one kernel on all in place of those of backbones": {
        "head": [*_without("kernel"), "kernel-all"]
    },
    "pool with one kernel on all beside": {"head": [*_POOL, "kernel-all"]},
    "pool with residual heads and one kernel on all, as it was": {
        "head": ["residual", *_without("kernel"), "kernel-all"]
    },
    "pool with Tip-Adapter heads beside": {"head": [*_POOL, "tip-adapter"]},
    "router: static weights": {"router": "static"},
    "router: static weights, prior of 1 row": {"router": StaticRouter(alpha=1.0)},
    "router: static weights, prior of 10 rows, as it was": {"router": StaticRouter(alpha=10.0)},
    "router: static weights, prior of 100 rows": {"router": StaticRouter(alpha=100.0)},
    "router: gates that are not shrunk": {"router": GatedRouter(gate_alpha=0.03)},
    "router: NLC": _systems.PAPER_NLC,
    "router: none, the calibrated logit average": {"router": "uniform"},
    "router: Super Learner by log-loss, which averages probabilities": {
        "router": SuperLearnerRouter(loss="log_loss")
    },
    "codes as labels: the default": _CODES,
    "codes as labels: linear heads on each block and all": _CODES
    | {"head": ["linear", "linear-all"]},
    "prompts: temperatures by labels alone, as it was": {"one_shot": {"PRIOR_RATE": 0.0}},
    "one shot: former constants": {"one_shot": _systems.FORMER_ONE_SHOT},
    "one shot: less apart, as it was": {"one_shot": {"UNVALIDATED_POWER": 4}},
    "one shot: farther apart": {"one_shot": {"UNVALIDATED_POWER": 1}},
    "one shot: log-loss of fitted rows as it is, as it was": {
        "one_shot": {"UNVALIDATED_FITTED": 0}
    },
    "one shot: log-loss of five fitted parameters": {"one_shot": {"UNVALIDATED_FITTED": 5}},
    "one shot: much less apart, as it was before": {"one_shot": _LESS_APART},
    "one shot: with kernels of each backbone": {"head": list(_POOL)},
    "one shot: the nearest row in place of logistic regression": {"one_shot": _NEAREST},
    "one shot: weaker corrections (divided by twice as much)": {"one_shot": _corrections(2.0)},
    "one shot: stronger corrections (divided by half as much)": {"one_shot": _corrections(0.5)},
}
_NOTE = (
    "{draws} draws. Accuracy in %, mean ± standard deviation over draws. The best single expert on "
    "one backbone of the default's pool is chosen by its accuracy on the test images, with "
    "hindsight; the oracle is right where any of these is."
)


def beginning_with(beginnings):
    """Return the default, and the variants whose names have one of these prefixes."""
    found = [name for name in VARIANTS if name.startswith(tuple(beginnings))]
    if not found:
        raise SystemExit(f"No variant's name begins with {' or '.join(beginnings)}.")
    return (DEFAULT, *found)


def run(dataset, backbones, draws, *, shots=SHOTS, variants=tuple(VARIANTS), columns=ALL_FEATURES):
    """Return accuracies of the default and of its variants.

    Returns
    -------
    pandas.DataFrame
        Columns dataset, shots, draw, system, accuracy.
    """
    y = np.asarray(dataset.y)
    X = draws.embed(dataset, backbones, columns)
    blocks, codes = blocks_of(backbones, columns), np.unique(y, return_inverse=True)[1]

    def run_draw(draw, train, test):
        found = {}
        with TemporaryDirectory() as memory:
            of_draw = {"random_state": draw, "memory": Memory(memory, verbose=0)}
            for name in variants:
                are_codes = "labels" in VARIANTS[name]
                labels, prompts = (codes, {}) if are_codes else (y, dataset.prompts)
                if len(train) > len(set(y[train])) and name.startswith("one shot"):
                    found[name] = found[DEFAULT]  # its constants are not used here
                    continue
                features = VARIANTS[name].get("features", _systems.BOTH)
                names, kept = _systems.columns_of(features, blocks)
                clf = _fit(name, X[train][:, kept], labels[train], names, of_draw | prompts)
                found[name] = clf.score(X[test][:, kept], labels[test])
                if name == DEFAULT:
                    found |= _references(clf, X[test], y[test])
        return [{"system": one, "accuracy": score} for one, score in found.items()]

    settings = variants, columns
    return draws.run_each(run_draw, "ablation", dataset, backbones, shots, *settings)


def _fit(name, X, y, blocks, options):
    given = VARIANTS[name].items()
    variant = {key: value for key, value in given if key not in ("features", "labels")}
    constants, kernel = variant.pop("one_shot", {}), variant.pop("kernel", None)
    n_rows = variant.pop("rows_per_component", _kernel.ROWS_PER_COMPONENT)
    if constants or n_rows != _kernel.ROWS_PER_COMPONENT:  # not part of the keys of the memory
        options = options | {"memory": None}
    kernels = {} if kernel is None else {_heads.KERNEL: kernel}
    rows = patch.object(_kernel, "ROWS_PER_COMPONENT", n_rows)
    with _systems.one_shot(constants), patch.dict(_heads.HEADS, kernels), rows:
        return AdaptiveBackboneEnsemble(blocks, **options, **variant).fit(X, y)


def _references(clf, X, y):
    right = clf.classes_[clf.expert_proba(X).argmax(axis=2)] == y[:, None]
    right = right[:, [block.only_backbone is not None for _, _, block in clf.experts_]]
    return {"best single": right.mean(axis=0).max(), "oracle": right.any(axis=1).mean()}


def report(frame):
    """Return Markdown: the choice of the pool, a table of means over sets, and one of each set."""
    by_draw = frame.groupby(["system", "shots", "draw"], sort=False)["accuracy"].mean()
    parts = ["# Ablation of the default ensemble", _NOTE.format(draws=frame["draw"].nunique())]
    parts += _choice(frame)
    names = frame["dataset"].unique()
    parts += [f"## Mean over {len(names)} sets", f"{', '.join(names)}.", _table(by_draw, frame)]
    if frame["system"].nunique() > 1:
        title = "## Difference to the default, in points, paired: mean ± standard error over draws"
        parts += [title, _differences(frame)]
    for name, rows in frame.groupby("dataset", sort=False):
        by_draw = rows.set_index(["system", "shots", "draw"])["accuracy"]
        parts += [f"## {name}", _table(by_draw, frame)]
    return "\n\n".join(parts) + "\n"


def _choice(frame):
    """Return a comparison of the chosen pool with the one before, over the same draws."""
    means = _means_of_draws(frame)
    if FORMER not in means:
        return []
    rows = {
        "old choice (former pool)": means[FORMER],
        "new choice (default)": means[DEFAULT],
    }
    rows = {name: one.groupby("shots").mean().map("{:.2f}".format) for name, one in rows.items()}
    gaps = (means[DEFAULT] - means[FORMER]).rename("new minus old").to_frame()
    table = pd.concat([pd.DataFrame(rows).T, gaps_of(gaps)])
    table.index.name = "pool"
    title = "## The choice of the pool: mean over sets, difference ± standard error over draws"
    return [title, by_shots(table)]


def _differences(frame):
    """Return the mean over sets of the paired difference to the default, and its standard error."""
    means = _means_of_draws(frame)
    gaps = means.drop(columns=DEFAULT).sub(means[DEFAULT], axis=0)
    table = gaps_of(gaps.drop(columns=["best single", "oracle"], errors="ignore"))
    table.index.name = "system"
    return by_shots(table)


def _means_of_draws(frame):
    """Return means over sets, in %: a row for shots and draw, a column for each system."""
    by_draw = 100 * frame.groupby(["shots", "draw", "system"], sort=False)["accuracy"].mean()
    return by_draw.unstack()[frame["system"].unique()]


def _table(by_draw, frame):
    cells = (100 * by_draw).groupby(["system", "shots"], sort=False).agg(["mean", "std"])
    texts = cells.apply(lambda cell: mean_sd(cell["mean"], cell["std"]), axis=1).unstack()
    texts = texts.reindex(frame["system"].unique())
    texts["mean"] = cells["mean"].groupby("system").mean().map("{:.1f}".format)
    return markdown_of(texts.rename(columns=lambda k: k if k == "mean" else f"{k} shots"))

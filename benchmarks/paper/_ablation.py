"""Ablation: what each part of the default ensemble is worth."""

from unittest.mock import patch

import numpy as np
import pandas as pd

from skclipens import AdaptiveBackboneEnsemble
from skclipens.ensemble import GatedRouter, StaticRouter
from skclipens.heads import _residual

from ._embedding import embed
from ._experiments import draws_folder, few_shot_draws, markdown, mean_sd, run_draws

DEFAULT = "default"
SHOTS = (1, 2, 4, 8, 16)
_NLC = {"router": "nlc", "calibrate": False}
VARIANTS = {
    DEFAULT: {},
    "router: static weights": {"router": "static"},
    "router: static weights, weaker prior": {"router": StaticRouter(prior=1.0)},
    "router: static weights, stronger prior": {"router": StaticRouter(prior=100.0)},
    "router: gates that are not shrunk": {"router": GatedRouter(strength=0.03)},
    "router: NLC": {"router": "nlc"},
    "router: none, the calibrated logit average": {"router": "uniform"},
    "pool with linear heads beside": {"head": ["residual", "linear", "linear-all"]},
    "pool with Tip-Adapter heads beside": {"head": ["residual", "tip-adapter", "linear-all"]},
    "pool with linear in place of residual heads": {"head": ["linear", "linear-all"]},
    "pool with zero-shot in place of residual heads": {"head": ["zero-shot", "linear-all"]},
    "pool of zero-shot, linear and linear on all": {"head": ["zero-shot", "linear", "linear-all"]},
    "residual heads alone": {"head": "residual"},
    "linear heads alone": {"head": "linear"},
    "not calibrated": {"calibrate": False},
    "one shot: corrections nearly ignored (temperature 100)": {"unjudged": 100.0},
    "one shot: weaker corrections (temperature 1)": {"unjudged": 1.0},
    "one shot: stronger corrections (temperature 0.25)": {"unjudged": 0.25},
    "the paper: zero-shot heads, NLC": {"head": "zero-shot", **_NLC},
    "the paper's pair, cross-fitted: linear heads, NLC": {"head": "linear", **_NLC},
}
_NOTE = (
    "{draws} draws. Accuracy in %, mean ± standard deviation over draws. The best single expert on "
    "one backbone of the default's pool is chosen by its accuracy on the test images, with "
    "hindsight; the oracle is right where any of these is."
)


def run(
    dataset,
    backbones,
    *,
    draws=10,
    random_state=0,
    work,
    shots=SHOTS,
    variants=tuple(VARIANTS),
    jobs=1,
    verbose=False,
):
    """Accuracy of the default and of its variants.

    Returns
    -------
    pandas.DataFrame
        Columns dataset, shots, draw, system, accuracy.
    """
    y = np.asarray(dataset.y)
    X = embed(dataset, backbones, work, verbose=verbose)
    options = {"class_names": dataset.class_names, "templates": dataset.templates}

    def run_draw(draw, train, test):
        for name in variants:
            clf = _fit(name, X[train], y[train], backbones, {"random_state": draw, **options})
            found = {name: clf.score(X[test], y[test])}
            if name == DEFAULT:
                found |= _references(clf, X[test], y[test])
            yield from ({"system": one, "accuracy": score} for one, score in found.items())

    frames = []
    for k in shots:
        splits = few_shot_draws(dataset, k, draws, random_state)
        folder = draws_folder(work, dataset, backbones, "ablation", k, random_state, variants)
        frame = run_draws(run_draw, splits, folder, jobs=jobs, verbose=verbose)
        frames.append(frame.assign(shots=k))
    return pd.concat(frames, ignore_index=True).assign(dataset=dataset.name)


def _fit(name, X, y, backbones, options):
    variant = dict(VARIANTS[name])
    temperature = variant.pop("unjudged", _residual._UNJUDGED_TEMPERATURE)
    with patch.object(_residual, "_UNJUDGED_TEMPERATURE", temperature):
        return AdaptiveBackboneEnsemble(backbones, **options, **variant).fit(X, y)


def _references(clf, X, y):
    right = clf.classes_[clf.expert_proba(X).argmax(axis=2)] == y[:, None]
    right = right[:, [block.backbone is not None for _, _, block in clf.experts_]]
    return {"best single": right.mean(axis=0).max(), "oracle": right.any(axis=1).mean()}


def report(frame):
    """Markdown: a table of means over the sets, and one of each set."""
    by_draw = frame.groupby(["system", "shots", "draw"], sort=False)["accuracy"].mean()
    parts = ["## Ablation of the default ensemble", _NOTE.format(draws=frame["draw"].nunique())]
    parts += [f"### Mean over {', '.join(frame['dataset'].unique())}", _table(by_draw, frame)]
    if frame["system"].nunique() > 1:
        title = "### Difference to the default, in points, paired: mean ± standard error over draws"
        parts += [title, _differences(frame)]
    for name, rows in frame.groupby("dataset", sort=False):
        by_draw = rows.set_index(["system", "shots", "draw"])["accuracy"]
        parts += [f"### {name}", _table(by_draw, frame)]
    return "\n\n".join(parts) + "\n"


def _differences(frame):
    """Mean over sets of the paired difference to the default, with its standard error."""
    by_draw = 100 * frame.groupby(["shots", "draw", "system"], sort=False)["accuracy"].mean()
    by_system = by_draw.unstack()[frame["system"].unique()]
    gaps = by_system.drop(columns=DEFAULT).sub(by_system[DEFAULT], axis=0)
    gaps = gaps.drop(columns=["best single", "oracle"], errors="ignore")
    groups = gaps.groupby("shots", sort=False)
    means, errors = groups.mean().T, groups.sem().T
    errors = errors.map(lambda error: "" if np.isnan(error) else f" ± {error:.2f}")  # one draw
    table = means.map("{:+.2f}".format) + errors
    table.index.name = "system"
    return markdown(table.rename(columns=lambda k: f"{k} shots"))


def _table(by_draw, frame):
    cells = (100 * by_draw).groupby(["system", "shots"], sort=False).agg(["mean", "std"])
    texts = cells.apply(lambda cell: mean_sd(cell["mean"], cell["std"]), axis=1).unstack()
    texts = texts.reindex(frame["system"].unique())
    texts["mean"] = cells["mean"].groupby("system").mean().map("{:.1f}".format)
    return markdown(texts.rename(columns=lambda k: k if k == "mean" else f"{k} shots"))

"""Robustness: accuracy on perturbed images of heads and routers trained on clean ones."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder

from .._machine import markdown_of
from ._embedding import blocks_of, kept
from ._experiments import mean_sd, sections, table
from ._perturbations import LEVELS, PERTURBATIONS, perturb
from ._systems import PAPER_NLC

CLEAN = "none"
AVERAGE = "zero-shot heads, calibrated logit average"
NLC = "zero-shot heads, NLC (paper)"
DEFAULT = "all experts, shrunk (default)"
BASELINE = "LogisticRegression on all columns"
ENSEMBLES = [AVERAGE, NLC, DEFAULT, BASELINE]
_NOTE = (
    "All heads and routers are trained on clean images, {shots} per class at most; {n_test} test "
    "images, each perturbed in {n_kinds} ways at five strengths. Accuracy in %, mean ± standard "
    "deviation over draws of the training images; a best single backbone is chosen by its "
    "accuracy on the clean test images, with hindsight."
)


def run(dataset, backbones, draws, *, shots=16, max_test=300, perturbations=tuple(PERTURBATIONS)):
    """Return the accuracy of each backbone and ensemble, per perturbation, strength and draw.

    Embeddings of perturbed images are kept in the folder ``work``, one file per perturbation:
    a run that was stopped goes on from there.

    Returns
    -------
    pandas.DataFrame
        Columns dataset, draw, shots, n_test, system, perturbation, level (0: clean), accuracy.
    """
    y = np.asarray(dataset.y)
    pool, test = _split(dataset, max_test, draws.random_state)
    X = draws.embed(dataset, backbones)
    held_out, clean = [dataset.images[row] for row in test], np.array(X[test])
    parts = {
        name: _embed_perturbed(held_out, clean, name, backbones, draws) for name in perturbations
    }
    X_test = np.concatenate([clean, *parts.values()])
    versions = [(CLEAN, 0), *((name, level) for name in parts for level in LEVELS)]
    prompts = dataset.prompts

    def run_draw(draw, train, test):
        predicted = _predict(X[train], y[train], X_test, backbones, prompts, draw)
        for system, labels in predicted.items():
            right = labels.reshape(len(versions), len(test)) == y[test]
            for (name, level), accuracy in zip(versions, right.mean(axis=1), strict=True):
                yield {
                    "system": system,
                    "perturbation": name,
                    "level": level,
                    "accuracy": float(accuracy),
                }

    split = replace(dataset, train=pool, test=test)
    settings = max_test, perturbations
    frame = draws.run(run_draw, "robustness", split, backbones, shots, *settings)
    return frame.assign(n_test=len(test))


def _split(dataset, max_test, random_state):
    """Return rows to draw training images from, and at most ``max_test`` rows of their classes."""
    y = np.asarray(dataset.y)
    if dataset.train is None:
        pool, test = _cut(np.arange(len(y)), y, min(max_test, len(y) // 3), random_state)
    else:
        pool, test = np.asarray(dataset.train), np.asarray(dataset.test)
        if len(test) > max_test:
            test = _cut(test, y, max_test, random_state)[1]
    classes, sizes = np.unique(y[pool], return_counts=True)
    usable = classes[sizes > 1]
    return pool[np.isin(y[pool], usable)], test[np.isin(y[test], usable)]


def _cut(rows, y, n, random_state):
    """Split rows in two, the second part with n of them, stratified if possible."""
    classes, sizes = np.unique(y[rows], return_counts=True)
    stratify = y[rows] if min(n, len(rows) - n) >= len(classes) and sizes.min() > 1 else None
    return train_test_split(rows, test_size=n, stratify=stratify, random_state=random_state)


def _embed_perturbed(images, clean, name, backbones, draws):
    """Return embeddings of all strengths of a perturbation, one after the other."""
    strengths, seed = PERTURBATIONS[name][1], draws.random_state
    # The clean embeddings identify the images and the backbones.
    what = repr((list(blocks_of(backbones)), name, strengths, seed)).encode()
    digest = hashlib.sha256(what + clean.tobytes()).hexdigest()

    embedder = MultiBackboneEmbedder(backbones, verbose=draws.verbose)

    def make():
        levels = (perturb(images, name, level, random_state=seed) for level in LEVELS)
        return np.concatenate([embedder.fit_transform(pictures) for pictures in levels])

    return kept(Path(draws.work) / "perturbed" / f"{name}-{digest[:24]}.npy", make)


def _predict(X, y, X_test, backbones, prompts, draw):
    """Return the labels that each system predicts for the test rows."""
    default = AdaptiveBackboneEnsemble(backbones, random_state=draw, **prompts).fit(X, y)
    average = AdaptiveBackboneEnsemble(backbones, head="zero-shot", router="uniform", **prompts)
    nlc = AdaptiveBackboneEnsemble(
        backbones, head="zero-shot", random_state=draw, **PAPER_NLC, **prompts
    )
    average.fit(X, y)
    return {
        **_by_expert(default, X_test),
        AVERAGE: average.predict(X_test),
        NLC: nlc.fit(X, y).predict(X_test),
        DEFAULT: default.predict(X_test),
        BASELINE: LogisticRegression(C=10.0, max_iter=1000).fit(X, y).predict(X_test),
    }


def _by_expert(clf, X):
    """Return labels by single experts that read one backbone: zero-shot and kernel heads."""
    labels = clf.classes_[clf.expert_proba(X).argmax(axis=2)]
    return {
        f"{block.only_backbone}, {name.rpartition(':')[2]}": labels[:, e]
        for e, (name, _, block) in enumerate(clf.experts_)
        if block.only_backbone is not None
    }


def report(frame):
    """Return Markdown: accuracy by strength, by perturbation, and losses by perturbations."""
    return sections(frame, "Robustness to perturbations", _write)


def _write(rows):
    perturbed = rows[rows["level"] > 0]
    note = _NOTE.format(
        shots=rows["shots"].iloc[0],
        n_test=rows["n_test"].iloc[0],
        n_kinds=perturbed["perturbation"].nunique(),
    )
    best = [_best_single(rows, kind) for kind in ("zero-shot", "kernel")]
    compared = perturbed[perturbed["system"].isin([*best, *ENSEMBLES])]
    return [
        note,
        "By strength, mean over perturbations:",
        table(rows.rename(columns={"level": "strength"}), "system", "strength"),
        "By perturbation, mean over strengths:",
        table(compared, "perturbation", "system"),
        "Accuracy on clean images, on perturbed ones (mean over all), and the drop, in points:",
        _drops(rows, [*best, *ENSEMBLES]),
    ]


def _best_single(rows, kind):
    clean = rows[(rows["level"] == 0) & rows["system"].str.endswith(f", {kind}")]
    return clean.groupby("system", sort=False)["accuracy"].mean().idxmax()


def _drops(rows, systems):
    by_draw = rows.assign(clean=rows["level"] == 0).groupby(["system", "draw", "clean"])
    wide = 100 * by_draw["accuracy"].mean().unstack()
    wide = pd.DataFrame({"clean": wide[True], "perturbed": wide[False]})
    wide["drop"] = wide["clean"] - wide["perturbed"]
    wide["share kept, %"] = 100 * wide["perturbed"] / wide["clean"]
    rival = wide.loc[systems[:2], "perturbed"].groupby("draw").max()
    wide["ahead of the best single, perturbed"] = wide["perturbed"].sub(rival, level="draw")
    groups = wide.groupby("system")
    mean, std = groups.mean().loc[systems], groups.std().loc[systems]
    cells = {c: [mean_sd(*ms) for ms in zip(mean[c], std[c], strict=True)] for c in wide.columns}
    return markdown_of(pd.DataFrame(cells, index=mean.index))

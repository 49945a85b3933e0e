"""Accuracy of the ways to route between the zoo's backbones, beside the best single one.

    python -m benchmarks.routers [--data emoji|tuxpaint|digits] [--draws 10] [--shots 1 4 16]

Prints a table in Markdown: mean and standard deviation of test accuracy over draws of the
training images. Everything else is the test set. Nothing is chosen on it but the "best single"
rows, which pick the backbone with hindsight.
"""

import argparse
import warnings
from functools import partial

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens.datasets import load_emoji, load_tuxpaint
from skclipens.model_selection import FewShotSplit

# The paper routes between zero-shot heads, or between linear heads with a tenth of the rows held
# out for the router. At few shots a tenth has no row of some class: those are cross-fitted.
SYSTEMS = {
    "zero-shot heads, NLC (paper)": {"head": "zero-shot", "router": "nlc"},
    "zero-shot heads, shrunk": {"head": "zero-shot"},
    "linear heads, NLC, cross-fitted": {"head": "linear", "router": "nlc"},
    "linear heads, NLC, 10 % held out (paper)": {"head": "linear", "router": "nlc", "cv": 0.1},
    "linear heads, shrunk": {"head": "linear"},
    "all experts, NLC": {"router": "nlc"},
    "all experts, static": {"router": "static"},
    "all experts, shrunk (default)": {},
}
# One system of each set of experts, of which the parts are scored too.
WITH_PARTS = ["zero-shot heads, shrunk", "linear heads, shrunk", "all experts, shrunk (default)"]
DIGITS = "zero one two three four five six seven eight nine".split()


def load(name):
    """Images and string labels of a dataset."""
    if name == "emoji":
        emoji = load_emoji(min_class_size=20)
        return emoji.filenames, emoji.target_names[emoji.target]
    if name == "tuxpaint":
        stamps = load_tuxpaint(min_class_size=20)
        return stamps.filenames, stamps.target_names[stamps.target]
    digits = load_digits()
    images = (255 - digits.images * (255 / 16)).astype(np.uint8)
    return images, np.array([f"the number {DIGITS[digit]}" for digit in digits.target])


def scores_of_parts(clf, X, y):
    """Accuracy of the best single expert on one backbone, the logit average and the oracle."""
    proba = clf.expert_proba(X)
    right = clf.classes_[proba.argmax(axis=2)] == y[:, None]
    single = np.array([not name.startswith("all") for name in clf.expert_names_])
    average = np.log(np.maximum(proba, 1e-12)).mean(axis=1).argmax(axis=1)
    return {
        "best single": right[:, single].mean(axis=0).max(),
        "calibrated logit average": np.mean(clf.classes_[average] == y),
        "oracle": right.any(axis=1).mean(),
    }


def run_draw(X, y, train, test, n_shots, draw):
    """Scores of all systems on one draw."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    threadpool_limits(1, user_api="blas")
    scores = {}
    baseline = LogisticRegression(C=10.0, max_iter=1000).fit(X[train], y[train])
    scores["LogisticRegression on all columns"] = baseline.score(X[test], y[test])
    for name, parameters in SYSTEMS.items():
        try:
            clf = AdaptiveBackboneEnsemble("zoo", random_state=draw, **parameters)
            clf.fit(X[train], y[train])
        except ValueError:
            if parameters.get("cv") != 0.1:
                raise
            continue  # a tenth of so few rows has no row of some class
        scores[name] = clf.score(X[test], y[test])
        if name in WITH_PARTS:
            kind = name.split(",")[0]
            parts = scores_of_parts(clf, X[test], y[test])
            scores.update({f"{kind}, {part}": value for part, value in parts.items()})
    return {"shots": n_shots, "draw": draw, **scores}


def measure(X, y, shots, n_draws, n_jobs):
    """Scores of all draws, one row each."""
    tasks = [
        partial(run_draw, X, y, train, test, n_shots, draw)
        for n_shots in shots
        for draw, (train, test) in enumerate(
            FewShotSplit(n_shots, n_draws, random_state=0).split(X, y)
        )
    ]
    return pd.DataFrame(Parallel(n_jobs=n_jobs, verbose=1)(delayed(task)() for task in tasks))


def report(results):
    """Mean and standard deviation in percent, and the default's gain, as Markdown."""
    systems = [column for column in results.columns if column not in ("shots", "draw")]
    shots = sorted(results["shots"].unique())
    lines = ["| system | " + " | ".join(f"{k} shots" for k in shots) + " |"]
    lines.append("| --- |" + " --- |" * len(shots))
    rivals = results[[s for s in systems if s.endswith("best single")]].max(axis=1)
    gain = "gain of the default over the best single, paired"
    results = results.assign(**{gain: results["all experts, shrunk (default)"] - rivals})
    for system in [*sorted(systems), gain]:
        groups = 100 * results.groupby("shots")[system].agg(["mean", "std"])
        cells = [
            f"{groups.loc[k, 'mean']:.1f} ± {groups.loc[k, 'std']:.1f}"
            if np.isfinite(groups.loc[k, "mean"])
            else "n/a"
            for k in shots
        ]
        lines.append(f"| {system} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", choices=["emoji", "tuxpaint", "digits"], default="emoji")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--jobs", type=int, default=None)
    options = parser.parse_args(arguments)
    images, y = load(options.data)
    X = MultiBackboneEmbedder("zoo").fit_transform(images)
    print(f"{options.data}: {len(y)} images, {len(set(y))} classes, {options.draws} draws\n")
    print(report(measure(X, y, options.shots, options.draws, options.jobs)))


if __name__ == "__main__":
    main()

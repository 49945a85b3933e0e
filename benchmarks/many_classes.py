"""Many classes: time and memory of linear heads, and time of prompts, beside others.

    python -m benchmarks.many_classes [--classes 10000] [--named 1000] [--columns 640]

Prints two tables in Markdown, and fails if a head takes more memory than three times its table of
logits and 512 MiB, or if stored prompts take more than a tenth of the time to encode them. Stored
prompts are read by another process.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import open_clip
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skclipens import AdaptiveBackboneEnsemble, LinearDiscriminantHead, ZeroShotHead
from skclipens.backbones import load_backbone
from skclipens.heads import DEFAULT_TEMPLATES

from ._machine import describe, heading, markdown, peak_resident, start_peak

BACKBONE = "zoo/ViT-16"
LIBRARIES = ["scikit-learn", "numpy", "torch", "open_clip_torch"]
MOST_TABLES, MOST_MEMORY, MOST_OF_TIME = 3, 512, 0.1
READ = "import sys; from benchmarks.many_classes import *; print(fit_names(int(sys.argv[1])))"


def problem(n_classes, n_columns, n_rows):
    """Return rows around a mean for each class, float32."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(n_classes, n_columns)).astype(np.float32)
    y = np.repeat(np.arange(n_classes), n_rows)
    return means[y] + rng.normal(0, 0.7, (len(y), n_columns)).astype(np.float32), y


def measure(run):
    """Return CPU seconds of this process, seconds, and added MiB of a call."""
    before, cpu, start = start_peak(), time.process_time(), time.perf_counter()
    run()
    return time.process_time() - cpu, time.perf_counter() - start, peak_resident() - before


def heads(n_classes, n_columns):
    """Yield measurements of fits, and of predictions of the training rows."""
    half = [("left", slice(0, n_columns // 2)), ("right", slice(n_columns // 2, None))]
    ways = {
        "LinearDiscriminantHead": LinearDiscriminantHead(),
        "AdaptiveBackboneEnsemble, two of these": AdaptiveBackboneEnsemble(half, head="linear"),
        "LinearDiscriminantAnalysis of scikit-learn": LinearDiscriminantAnalysis(
            solver="lsqr", shrinkage=0.5
        ),
    }
    for n_rows in (1, 5):
        X, y = problem(n_classes // n_rows, n_columns, n_rows)
        for name, one in ways.items():
            if n_rows == 1 and name.startswith("LinearDiscriminantAnalysis"):
                continue  # it needs more rows than classes
            table = len(X) * (n_classes // n_rows) * 4 / 2**20
            what = [name, n_classes // n_rows, len(X)]
            yield *what, "fit", table, measure(lambda one=one, X=X, y=y: one.fit(X, y))
            yield *what, "predict", table, measure(lambda one=one, X=X: one.predict(X))


def names(n):
    """Return names that are not in any cache of words."""
    return [f"thing number {i}" for i in range(n)]


def fit_names(n):
    """Return the seconds to give a head its classes, including loading the model if needed."""
    start = time.perf_counter()
    ZeroShotHead(BACKBONE, cache=os.environ["SKCLIPENS_CACHE"]).set_classes(names(n))
    return time.perf_counter() - start


def other_process(n):
    """Return the seconds of `fit_names` in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-c", READ, str(n)], check=True, capture_output=True, text=True
    )
    return float(run.stdout)


def prompts(n):
    """Return the seconds to encode prompts of n names, by way."""
    one = load_backbone(BACKBONE)
    start = time.perf_counter()
    open_clip.build_zero_shot_classifier(
        one.model, one.tokenizer, names(n), [t.replace("{}", "{0}") for t in DEFAULT_TEMPLATES]
    )
    seconds = {"`open_clip.build_zero_shot_classifier`": time.perf_counter() - start}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SKCLIPENS_CACHE"] = folder
        seconds["the first time"] = fit_names(n)
        seconds["again in this process"] = fit_names(n)
        seconds["in another process, from the store"] = other_process(n)
    return seconds


def main(arguments=None):
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--classes", type=int, default=10_000)
    parser.add_argument("--named", type=int, default=1000)
    parser.add_argument("--columns", type=int, default=640)
    options = parser.parse_args(arguments)
    print(heading("Many classes: time and memory", "many_classes", arguments))
    print(f"{describe(LIBRARIES)}.\n")
    print(f"{options.columns} columns, float32:\n")
    rows, failed = [], []
    for *what, table, (cpu, seconds, memory) in heads(options.classes, options.columns):
        rows.append([*what, f"{cpu:.1f}", f"{seconds:.1f}", f"{memory:.0f}", f"{table:.0f}"])
        if what[0] == "LinearDiscriminantHead" and memory > MOST_TABLES * table + MOST_MEMORY:
            failed.append(f"{what} takes {memory:.0f} MiB")
    header = ["", "classes", "rows", "", "s of CPU", "s", "MiB at most", "logits, MiB"]
    print(markdown(header, rows))
    seconds = prompts(options.named)
    print(f"\n{len(DEFAULT_TEMPLATES)} prompts for each of {options.named} names, {BACKBONE}:\n")
    print(markdown(["", "s"], [[way, f"{time_:.2f}"] for way, time_ in seconds.items()]))
    if seconds["in another process, from the store"] > MOST_OF_TIME * seconds["the first time"]:
        failed.append("stored prompts take too long")
    if failed:
        raise SystemExit("\nBeyond the limit: " + "; ".join(failed))


if __name__ == "__main__":
    main()

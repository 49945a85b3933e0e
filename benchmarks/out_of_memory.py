"""Time and memory to fit and predict over a table on the disk, by its number of rows.

    OMP_NUM_THREADS=1 python -m benchmarks.out_of_memory [--parts-of-imagenet 100 40 20 10]

Rows are synthetic: columns as wide as those of all backbones of the paper, 1,000 classes. For each
number of rows a process of its own fits :class:`skclipens.LinearDiscriminantHead` and predicts all
rows of a memory-mapped file. At the first number this is compared with a folder of Parquet files as
``embed_to`` writes it, the fit in memory, and one pass of scikit-learn's ``SGDClassifier`` over few
rows. At the first two, an ensemble of a kernel head and a linear head on all columns is fitted over
the folder, and at the first in memory, too. Prints tables in Markdown, and fails beyond a limit.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import SGDClassifier

from skclipens import LinearDiscriminantHead
from skclipens.backbones import resolve_backbones
from skclipens.embedding import predict_embeddings
from skclipens.embedding._folder import MANIFEST, chunks_of, content_of, marks_of

from ._machine import describe, heading, markdown, peak_resident, start_peak, stop_if
from .fit_predict import blocks_of, ensemble

TITLE = "A table that does not fit in memory: time and memory"
LIBRARIES = ["numpy", "scikit-learn", "pyarrow", "pandas", "joblib"]
WIDTHS = [backbone.width for backbone in resolve_backbones("paper")]
IMAGENET, WIDTH, N_CLASSES = 1_281_167, sum(WIDTHS), 1000
BLOCKS = blocks_of(WIDTHS)
COLUMNS = [f"{name}__{i}" for name, of_block in BLOCKS for i in range(len(of_block))]
BATCH, OF_SGD, COMPARED = 4096, 256, 256
# GiB at ImageNet's size; exponent of seconds by rows in the last step; seconds per row of SGD's;
# difference of coefficients and of probabilities, relative to the largest.
MEMORY, EXPONENT, RATIO, DIFFERENCE = 16, 1.1, 1.0, 1e-3
MAP, IN_MEMORY = "memory map", "in memory"
ENSEMBLE, ENSEMBLE_IN_MEMORY = "ensemble, Parquet", "ensemble, in memory"


def labels_of(n_rows):
    return np.random.default_rng(0).integers(N_CLASSES, size=n_rows)


def batches(n_rows):
    return [slice(a, min(a + BATCH, n_rows)) for a in range(0, n_rows, BATCH)]


def make_table(path, y):
    """Write a file of float32 rows, each the mean of its class and noise."""
    rng = np.random.default_rng(1)
    means = 0.05 * rng.standard_normal((N_CLASSES, WIDTH), np.float32)
    table = np.lib.format.open_memmap(path, "w+", np.float32, (len(y), WIDTH))
    for rows in batches(len(y)):
        noise = rng.standard_normal((len(y[rows]), WIDTH), np.float32)
        table[rows] = means[y[rows]] + noise
    table.flush()


def make_folder(folder, path, y):
    """Write the same rows as ``embed_to`` would."""
    folder.mkdir()
    chunks = chunks_of(len(y), 1024)
    manifest = {
        "n_images": len(y),
        "chunk_size": 1024,
        "widths": {name: len(of_block) for name, of_block in BLOCKS},
        "stamps": {name: "" for name, _, _ in chunks},
    }
    marks = marks_of(manifest)
    for name, start, stop in chunks:
        index = pd.Index([f"{row}.png" for row in range(start, stop)], name="image")
        frame = pd.DataFrame(np.load(path, mmap_mode="r")[start:stop], index, COLUMNS)
        (folder / name).write_bytes(content_of(frame, marks[name]))
    (folder / MANIFEST).write_text(json.dumps(manifest))


def over_file(path, y):
    """Return functions that fit and predict over a memory-mapped file."""
    head = LinearDiscriminantHead(shrinkage=1.0)

    def read(rows):  # mapped anew: pages of an open map count as memory of this process
        return np.load(path, mmap_mode="r")[rows]

    def fit():
        for rows in batches(len(y)):
            head.partial_fit(read(rows), y[rows], np.arange(N_CLASSES))
        return head.coef_

    def predict():
        return np.concatenate([head.predict(read(rows)) for rows in batches(len(y))])

    return fit, predict


def over_folder(path, y):
    head = LinearDiscriminantHead(shrinkage=1.0)
    return (
        lambda: head.fit_from(path.with_suffix(""), y).coef_,
        lambda: predict_embeddings(head, path.with_suffix(""))["label"].to_numpy(),
    )


def in_memory(path, y):
    X, head = np.load(path), LinearDiscriminantHead(shrinkage=1.0)
    return lambda: head.fit(X, y).coef_, lambda: head.predict(X)


def some_probabilities(clf, path):
    rows = np.load(path, mmap_mode="r")[:COMPARED]
    return clf.predict_proba(pd.DataFrame(rows, columns=COLUMNS))


def ensemble_over_folder(path, y):
    clf, folder = ensemble(None), path.with_suffix("")
    return (
        lambda: some_probabilities(clf.fit_from(folder, y), path),
        lambda: predict_embeddings(clf, folder)["label"].to_numpy(),
    )


def ensemble_in_memory(path, y):
    X, clf = pd.DataFrame(np.load(path), columns=COLUMNS), ensemble(None)
    return lambda: some_probabilities(clf.fit(X, y), path), lambda: clf.predict(X)


WAYS = {
    MAP: over_file,
    "Parquet": over_folder,
    IN_MEMORY: in_memory,
    ENSEMBLE: ensemble_over_folder,
    ENSEMBLE_IN_MEMORY: ensemble_in_memory,
}
OF_SIZE = [list(WAYS), [MAP, ENSEMBLE]]  # of the first and second; of others, the first of all


def run(way, path, n_rows):
    """Run a way in this process; print CPU and wall seconds, and peak MiB."""
    fit, predict = WAYS[way](path, labels_of(n_rows))
    start_peak()
    measured, results = [], []
    for step in (fit, predict):
        before = time.process_time(), time.perf_counter()
        results.append(step())
        measured += [time.process_time() - before[0], time.perf_counter() - before[1]]
    np.savez(path.with_name(f"{way}.npz"), fitted=results[0], labels=results[1])
    print(json.dumps([*measured, peak_resident()]))


def measure(way, path, n_rows):
    command = [sys.executable, "-m", "benchmarks.out_of_memory", "--way", way]
    command += ["--path", str(path), "--rows", str(n_rows)]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(found.splitlines()[-1])


def seconds_per_row_of_sgd(path, y):
    X, y, classes = np.load(path, mmap_mode="r")[:OF_SGD], y[:OF_SGD], np.arange(N_CLASSES)
    step = partial(SGDClassifier(loss="log_loss").partial_fit, X, y, classes)
    before = time.process_time()
    step()
    return (time.process_time() - before) / len(X)


def agreement(folder, way, other):
    """Return the difference of two ways' fits, relative to the largest value, and equal labels."""
    ours, theirs = (np.load(folder / f"{one}.npz") for one in (way, other))
    difference = np.abs(ours["fitted"] - theirs["fitted"]).max() / np.abs(theirs["fitted"]).max()
    return difference, np.mean(ours["labels"] == theirs["labels"])


def report_growth(what, lines):
    """Print the growth of time and memory in the last step; return seconds per row and excesses."""
    (n, first, *_, low), (m, last, *_, high) = lines[-2:]
    predict_rate = lines[-1][3] / m
    slope = (last - first) / (m - n)
    exponent = np.log(last / first) / np.log(m / n)
    peak = (high + max(high - low, 0) / (m - n) * (IMAGENET - m)) / 1024
    hours = (last + slope * (IMAGENET - m)) / 3600, predict_rate * IMAGENET / 3600
    print(
        f"\n{what}: in the last step, seconds to fit grow as n^{exponent:.2f} (limit n^{EXPONENT}) "
        f"and memory by {(high - low):.0f} MiB. For {IMAGENET:,} rows that is {peak:.1f} GiB "
        f"(limit {MEMORY}), {hours[0]:.2f} hours of one core to fit and {hours[1]:.2f} to predict. "
        f"A further row costs {1e3 * slope:.2f} ms of CPU to fit."
    )
    beyond = {
        f"{what}, memory: {peak:.1f} GiB": peak > MEMORY,
        f"{what}, fit grows as n^{exponent:.2f}": exponent > EXPONENT,
    }
    return slope, [one for one, is_beyond in beyond.items() if is_beyond]


def report_beside(what, difference, agreeing):
    """Print how far a way is from the fit in memory; return this if it is too far."""
    print(
        f"\nBeside the fit in memory, {what} differ by at most {difference:.1e} of the largest "
        f"(limit {DIFFERENCE}), and {100 * agreeing:.2f} % of the labels are the same."
    )
    return [f"{what}: {difference:.1e}"] if difference > DIFFERENCE else []


def report(found, per_row_of_sgd, agreements):
    """Print the results and conclusions; return what is beyond a limit."""
    slope, beyond = report_growth(MAP, found[MAP])
    ratio = slope / per_row_of_sgd
    print(
        f"That is {ratio:.3f} of what it costs in one pass of SGDClassifier over {OF_SGD} rows, "
        f"{1e3 * per_row_of_sgd:.1f} ms; limit {RATIO}."
    )
    beyond += [f"fit: {ratio:.2f} x SGDClassifier"] if ratio > RATIO else []
    beyond += report_growth(ENSEMBLE, found[ENSEMBLE])[1]
    for what, agreed in agreements.items():
        beyond += report_beside(what, *agreed)
    return beyond


def main(arguments=None):
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts-of-imagenet", type=int, nargs="+", default=[100, 40, 20, 10])
    for name, kind in (("--way", str), ("--path", Path), ("--rows", int)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.way:
        return run(options.way, options.path, options.rows)
    print(heading(TITLE, "out_of_memory", arguments))
    print(f"{describe(LIBRARIES)}. {WIDTH} columns, {N_CLASSES} classes.\n")
    table, found = [], {MAP: [], ENSEMBLE: []}
    for i, part in enumerate(options.parts_of_imagenet):
        with tempfile.TemporaryDirectory() as folder:
            n_rows, path = IMAGENET // part, Path(folder, "table.npy")
            y = labels_of(n_rows)
            make_table(path, y)
            ways = OF_SIZE[i] if i < len(OF_SIZE) else [MAP]
            if ENSEMBLE in ways:
                make_folder(path.with_suffix(""), path, y)
            for way in ways:
                measured = measure(way, path, n_rows)
                table.append([way, n_rows, f"{n_rows * WIDTH / 2**28:.2f}"])
                table[-1] += [f"{value:.1f}" for value in measured[:4]]
                table[-1].append(f"{measured[4] / 1024:.2f}")
                print(table[-1], file=sys.stderr, flush=True)
                if way in found:
                    found[way].append([n_rows, *measured])
            if not i:
                sgd = seconds_per_row_of_sgd(path, y)
                agreements = {
                    "coefficients": agreement(Path(folder), MAP, IN_MEMORY),
                    "probabilities of the ensemble": agreement(
                        Path(folder), ENSEMBLE, ENSEMBLE_IN_MEMORY
                    ),
                }
    header = ["table", "rows", "table, GiB", "fit: CPU, s", "wall, s", "predict: CPU, s", "wall, s"]
    print(markdown([*header, "peak, GiB"], table))
    beyond = report(found, sgd, agreements)
    stop_if(beyond)


if __name__ == "__main__":
    main()

"""Time and memory of our fit beside logistic regression, by numbers of rows, classes and blocks.

    OMP_NUM_THREADS=1 python -m benchmarks.scale [--largest 100000] [--repeats 1]

Prints tables in Markdown and fails beyond a limit. LogisticRegressionCV is measured, too, unless it
would take minutes. Data, ways and clocks are those of :mod:`benchmarks.fit_predict`; blocks have
128 columns, like those of the zoo.
"""

import argparse
import warnings
from functools import partial

import numpy as np

from skclipens.ensemble._plan import has_many_rows

from ._machine import best_by, describe, heading, markdown, peak_memory, stop_if
from .fit_predict import LIBRARIES, Pictures, blocks_of, ensemble, probe, searched_probe

TITLE = "Rows, classes and blocks: time and memory"
WIDTH, SOME = 128, 16_000
MOST_SEARCHED = 3_000_000  # rows times classes
# Limits: ratio to a rival's time, exponent of the number of rows, and ratio to the memory
# of a quarter of the rows.
RATIO, EXPONENT, PREDICT_GROWTH = 1.0, 1.1, 1.1


def sizes(largest):
    """Return numbers of rows, classes and blocks, by what grows."""
    some = min(SOME, largest)
    return {
        "rows": [(n, 32, 5) for n in (1_600, 6_400, 25_600, 100_000) if n <= largest],
        "classes": [(some, c, 5) for c in (10, 100, 1000) if 10 * c <= some],
        "blocks": [(some, 32, b) for b in (1, 3, 9)],
    }


def default(widths, y):
    """Return an ensemble with the heads of the default for so many rows."""
    linear_all = "logistic-all" if has_many_rows(y, sum(widths)) else "linear-all"
    return ensemble(blocks_of(widths), head=["kernel", linear_all])


def measure(pictures, size, repeats):
    """Return wall and process seconds of ours and of the rivals, and peak memory of two."""
    n, n_classes, n_blocks = size
    widths = [WIDTH] * n_blocks
    X, y = pictures.table(widths, n_classes, n // n_classes)
    ways = {
        "ours": partial(default(widths, y).fit, X, y),
        "rival": partial(probe().fit, X, y),
    }
    peaks = [peak_memory(run) for run in ways.values()]
    if n * n_classes <= MOST_SEARCHED:
        ways["searched"] = partial(searched_probe().fit, X, y)
    seconds = best_by(ways, repeats)
    return [seconds["ours"], seconds["rival"], seconds.get("searched"), *peaks]


def report(what, found):
    """Print a table; return what is beyond its limit."""
    header = ["rows", "classes", "blocks", "wall, s", "CPU, s", "ms of CPU per row"]
    header += ["LR: wall, s", "LR: CPU, s", "CPU × LR", "limit", "LR CV: CPU, s", "CPU × LR CV"]
    header += ["peak, MiB", "LR: peak, MiB"]
    lines, beyond = [], []
    for size, ((wall, cpu), (of_rival, cpu_of_rival), searched, *peaks) in found.items():
        times = wall, cpu, 1e3 * cpu / size[0], of_rival, cpu_of_rival, cpu / cpu_of_rival
        of_search = (searched[1], cpu / searched[1]) if searched else ()
        of_search = [f"{one:.2f}" for one in of_search] or 2 * ["not measured"]
        peaks = [f"{one:.0f}" for one in peaks]
        lines.append([*size, *(f"{time_:.2f}" for time_ in times), RATIO, *of_search, *peaks])
        if times[-1] > RATIO:
            n, c, b = size
            beyond.append(f"fit of {n} rows, {c} classes, {b} blocks: {times[-1]:.2f} × LR")
    print(f"\nOur fit, by the number of {what}\n\n{markdown(header, lines)}", flush=True)
    return beyond


def report_exponent(found):
    """Print how time grows in the last step; return this if it is beyond its limit."""
    (n, (_, first), *_), (m, (_, last), *_) = [(size[0], *found[size]) for size in list(found)[-2:]]
    exponent = np.log(last / first) / np.log(m / n)
    print(f"\nIn the last step time grows as n^{exponent:.2f}; limit n^{EXPONENT}.")
    return [f"fit: time grows as n^{exponent:.2f}"] if exponent > EXPONENT else []


def report_predict(pictures, largest):
    """Print the peak memory of predict by the number of rows; return its growth if too large."""
    widths, n = [WIDTH] * 5, min(1_600, largest)
    X, y = pictures.table(widths, 32, n // 32)
    fitted = default(widths, y).fit(X, y)
    lines, peaks = [], []
    for n_rows in (10_000, 40_000):
        many = X[np.resize(np.arange(len(X)), n_rows)]
        run = partial(fitted.predict, many)
        ((wall, cpu),) = best_by({"": run}, 1).values()
        # Without the returned labels, and the positions that they are read from.
        peaks.append(peak_memory(run) - 2 * fitted.predict(many[:1]).itemsize * n_rows / 2**20)
        lines.append([n_rows, f"{wall:.2f}", f"{cpu:.2f}", f"{peaks[-1]:.1f}"])
    header = ["rows to predict", "wall, s", "CPU, s", "peak beside X and labels, MiB"]
    print(f"\n{n} rows were fitted, 32 classes, 5 blocks\n\n{markdown(header, lines)}", flush=True)
    growth = peaks[1] / peaks[0]
    return [f"predict: memory × {growth:.2f}"] if growth > PREDICT_GROWTH else []


def main(arguments=None):
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--largest", type=int, default=100_000, help="number of rows")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", category=FutureWarning, module="sklearn")
    pictures, beyond = Pictures(), []
    print(heading(TITLE, "scale", arguments))
    print(f"{describe(LIBRARIES)}; best of {options.repeats}.")
    for what, those in sizes(options.largest).items():
        found = {size: measure(pictures, size, options.repeats) for size in those}
        beyond += report(what, found)
        if what == "rows" and len(found) > 1:
            beyond += report_exponent(found)
    beyond += report_predict(pictures, options.largest)
    stop_if(beyond)


if __name__ == "__main__":
    main()

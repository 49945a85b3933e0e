"""What breaks in use, tried many times, and what came of it.

    python -m benchmarks.faults [--short] [--pictures 10000] [--kills 500] [--times 5]

Prints a table in Markdown, row by row, and fails if a fault has an unexpected outcome. Needs POSIX,
and root for disks that are full or read-only; otherwise these rows are "not run". The short form
tries each fault a few times.
"""

import argparse
import os
import time
import warnings
from datetime import date

import pandas  # noqa: F401  # imported before processes are forked, so that these have it
import torch

from benchmarks._machine import describe, heading, markdown
from benchmarks.faults import _disks, _kills, _pictures, _strangers, _threads
from benchmarks.faults._places import NOT_RUN, Outcomes

LIBRARIES = ["scikit-learn", "numpy", "torch", "open_clip_torch", "pillow", "pyarrow"]


def faults(pictures, kills, times):
    """Return the functions to run, which give outcomes."""
    some = max(1, kills // 10)
    return [
        lambda: _pictures.mutations(pictures),
        lambda: _kills.embed_to(2 * some),
        lambda: _kills.writers(3 * some, evict=False),
        lambda: _kills.writers(3 * some, evict=True),
        lambda: _kills.fits(2 * some),
        lambda: _kills.processes(400 * times),
        lambda: _disks.stores(times),
        lambda: _disks.closed(times),
        lambda: _disks.tables(times),
        lambda: _disks.fits(times),
        lambda: _strangers.archives(times),
        lambda: _strangers.checkpoints(times),
        lambda: _strangers.mutated_models(8 * times),
        lambda: _strangers.requests(times),
        lambda: _threads.fits(times),
        lambda: _threads.transforms(times),
    ]


def main(arguments=None):
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="try each fault a few times")
    parser.add_argument("--pictures", type=int, default=10_000, help="mutated files")
    parser.add_argument("--kills", type=int, default=500, help="processes that are killed")
    parser.add_argument("--times", type=int, default=5, help="of each other fault")
    options = parser.parse_args(arguments)
    counts = (options.pictures, options.kills, options.times)
    counts = (100, 6, 1) if options.short else counts
    torch.set_num_threads(1)  # as many as forked processes have
    os.environ["no_proxy"] = "127.0.0.1"
    start, missed = time.monotonic(), []
    print(heading("Faults: what came of them", "faults", arguments))
    print(f"{date.today()}. {describe(LIBRARIES)}.\n")
    print(markdown(["fault", "outcome", "count", "as it should be"], [], n_text=2), flush=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for run in faults(*counts):
            found = run()
            for one in [found] if isinstance(found, Outcomes) else found:
                missed += [f"{one.fault}: {outcome}" for outcome in one.missed]
                for outcome, count in sorted(one.counts.items()):
                    right = "**no**" if outcome in one.missed else "yes"
                    right = "" if outcome.startswith(NOT_RUN) else right
                    print(f"| {one.fault} | {outcome} | {count} | {right} |", flush=True)
    print(f"\nIt took {time.monotonic() - start:.0f} s.")
    if missed:
        raise SystemExit("\nNot as it should be:\n" + "\n".join(missed))


if __name__ == "__main__":
    main()

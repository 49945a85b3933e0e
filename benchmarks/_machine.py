"""What benchmarks share: the machine, ways that take turns, memory, and tables in Markdown."""

import os
import platform
import sys
import time
import tracemalloc
from importlib.metadata import version
from pathlib import Path

import joblib
from threadpoolctl import threadpool_info


def command(name, arguments=None):
    """The command line that prints what is printed, with the given arguments or this process's."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return f"`{' '.join([f'python -m benchmarks.{name}', *arguments])}`"


def describe(libraries):
    """The machine, how busy it is, and versions."""
    threads = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{_cpu()}, {joblib.cpu_count()} cores, {memory:.0f} GiB of memory, "
        f"{'/'.join(map(str, sorted(threads)))} threads of BLAS, load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, "
        + ", ".join(f"{library} {version(library)}" for library in libraries)
    )


def _cpu():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def best_of(ways, repeats):
    """Best seconds of each way; they take turns, so that a busy machine slows all alike.

    Parameters
    ----------
    ways : dict of str to callable
    repeats : int

    Returns
    -------
    dict of str to float
    """
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(repeats):
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds


def peak_memory(run):
    """MiB that a call holds at most, beyond what was there before; not what torch allocates."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def markdown(header, rows):
    """A table; all columns but the first are aligned to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)

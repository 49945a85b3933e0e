"""Shared parts of benchmarks: the machine, timing, memory, and tables in Markdown."""

import argparse
import os
import platform
import sys
import time
import tracemalloc
from importlib.metadata import version
from pathlib import Path

import joblib
from threadpoolctl import threadpool_info


def heading(title, name, arguments):
    """Return a title, and the command of the page, with the given or this process's arguments."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return f"# {title}\n\n    {' '.join([f'python -m benchmarks.{name}', *arguments])}\n"


def parser_of(name, about):
    """Return a parser for ``python -m benchmarks.NAME``, with its docstring as description."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def stop_if(beyond):
    """Exit with the values that are beyond their limit, if there are any."""
    if beyond:
        raise SystemExit("\nBeyond the limit:\n" + "\n".join(beyond))


def points(difference, low, high):
    """Format a difference of shares and its interval in points: ``+1.2 [+0.4, +2.0]``."""
    return f"{100 * difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def describe(libraries):
    """Describe the machine, its load, and versions of libraries."""
    threads = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{cpu()}, {joblib.cpu_count()} cores, {memory:.0f} GiB of memory, "
        f"{'/'.join(map(str, sorted(threads)))} threads of BLAS, load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, "
        + ", ".join(f"{library} {version(library)}" for library in libraries)
    )


def cpu():
    """Return the name of the processor, as given by the system."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def best_of(ways, repeats, clock=time.perf_counter):
    """Return the best seconds of each way; they take turns, so that load slows all alike.

    Parameters
    ----------
    ways : dict of str to callable
    repeats : int
    clock : callable

    Returns
    -------
    dict of str to float
    """
    return {name: best for name, (best,) in best_by(ways, repeats, [clock]).items()}


def best_by(ways, repeats, clocks=(time.perf_counter, time.process_time)):
    """Return the best seconds of each way by several clocks, by default wall and process time.

    Returns
    -------
    dict of str to list of float
    """
    seconds = {name: [float("inf")] * len(clocks) for name in ways}
    for _ in range(repeats):
        for name, run in ways.items():
            starts = [clock() for clock in clocks]
            run()
            taken = [clock() - start for clock, start in zip(clocks, starts, strict=True)]
            seconds[name] = [min(pair) for pair in zip(seconds[name], taken, strict=True)]
    return seconds


def peak_memory(run):
    """Return the MiB that a call allocates at its peak, without those of torch."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def start_peak():
    """Reset the peak of resident memory if Linux allows it; return the resident memory in MiB."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # then the peak is that of the whole run
    return peak_resident()


def peak_resident():
    """Return the peak of resident memory of this process since the last reset, in MiB."""
    try:
        # getrusage also counts the parent's memory until exec.
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith("VmHWM"))
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes


def markdown(header, rows, n_text=1):
    """Return a table; all columns but the first `n_text` are aligned to the right."""
    lines = [header, [*["---"] * n_text, *["---:"] * (len(header) - n_text)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def markdown_of(frame):
    """Return a frame of strings as a table, with its index as the first column."""
    header = [frame.index.name or "", *frame.columns]
    rows = [[name, *cells] for name, cells in zip(frame.index, frame.to_numpy(), strict=True)]
    return markdown(header, rows, n_text=len(header))

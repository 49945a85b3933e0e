"""What benchmarks share: the machine, ways that take turns, memory, and tables in Markdown."""

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
    """A title, and the command that prints the page, with arguments given or of this process."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return f"# {title}\n\n    {' '.join([f'python -m benchmarks.{name}', *arguments])}\n"


def parser_of(name, about):
    """A parser of the arguments of ``python -m benchmarks.NAME``, with its docstring."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def stop_if(beyond):
    """Leave with what is beyond its limit, if anything is."""
    if beyond:
        raise SystemExit("\nBeyond the limit:\n" + "\n".join(beyond))


def points(difference, low, high):
    """A difference and its interval in points, of shares: ``+1.2 [+0.4, +2.0]``."""
    return f"{100 * difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def describe(libraries):
    """The machine, how busy it is, and versions."""
    threads = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{cpu()}, {joblib.cpu_count()} cores, {memory:.0f} GiB of memory, "
        f"{'/'.join(map(str, sorted(threads)))} threads of BLAS, load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, "
        + ", ".join(f"{library} {version(library)}" for library in libraries)
    )


def cpu():
    """The name of the processor, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def best_of(ways, repeats, clock=time.perf_counter):
    """Best seconds of each way; they take turns, so that a busy machine slows all alike.

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
    """Best seconds of each way by several clocks; by default of the wall, and of this process.

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
    """MiB that a call holds at most, beyond what was there before; not what torch allocates."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def start_peak():
    """Forget the peak of this process's resident memory, where Linux lets it; resident, in MiB."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # then the peak is that of the whole run
    return peak_resident()


def peak_resident():
    """Peak of the resident memory of this process, in MiB, since it was last forgotten."""
    try:
        # Not from getrusage, which counts the parent's until exec as well.
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith("VmHWM"))
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes


def markdown(header, rows, n_text=1):
    """A table; all columns but the first, which have text, are aligned to the right."""
    lines = [header, [*["---"] * n_text, *["---:"] * (len(header) - n_text)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def markdown_of(frame):
    """A frame of strings as a table, with its index as the first column."""
    header = [frame.index.name or "", *frame.columns]
    rows = [[name, *cells] for name, cells in zip(frame.index, frame.to_numpy(), strict=True)]
    return markdown(header, rows, n_text=len(header))

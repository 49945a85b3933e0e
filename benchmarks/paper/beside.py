"""Two tables side by side, such as one with views and one without: paired differences.

    python -m benchmarks.paper.beside OUTPUT OTHER_OUTPUT

Both are outputs of ``python -m benchmarks.paper`` with the same seed. Compared are the sets, the
numbers of shots and the draws that both have. Which images are right is read from their folders of
work, and has to be what their tables say.
"""

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from .._machine import parser_of
from . import _asked, _differences, _systems
from ._correct import Correctness, stored_in
from ._embedding import Columns


class OtherRunError(Exception):
    """Error for tables or folders of work that do not belong together; the message says why."""


def last_run(output, work=None):
    """Return the settings of the run of a table, the table, and its files of right images."""
    found = sorted(Path(work or output / "work").glob("results-*/settings.json"), key=_written)
    if not found:
        raise OtherRunError(f"{work or output / 'work'} has no results: give it with --works.")
    settings = json.loads(found[-1].read_text())
    return settings, pd.read_parquet(output / "results.parquet"), stored_in(found[-1].parent)


def _written(path):
    return path.stat().st_mtime


def differences(ours, theirs, system, label="the other table"):
    """Return ``_differences.differences`` of one system in two runs.

    Parameters
    ----------
    ours, theirs : tuple
        Results of :func:`last_run`.
    system : (head, rule)
    label : str
        Name of the other run.

    Raises
    ------
    OtherRunError
        If the runs had other seeds or tested other images, or a table is not of its run.
    """
    if ours[0]["seed"] != theirs[0]["seed"]:
        raise OtherRunError("The seeds differ, and with them the draws.")
    rows = []
    cells = dict.fromkeys(zip(ours[1]["set"], ours[1]["shots"], strict=True))
    for name, shots in (cell for cell in cells if cell in ours[2] and cell in theirs[2]):
        draws = set.intersection(*(set(run[2][name, shots].paths) for run in (ours, theirs)))
        tested, right = zip(*(_right(run, (name, shots), draws, system) for run in (ours, theirs)))
        if not np.array_equal(*tested):
            raise OtherRunError(f"Other images of {name} are tested at {shots} shots.")
        ours_and_theirs = {("ours", *system): right[0], ("theirs", *system): right[1]}
        place = {"set": name, "shots": shots, "head": system[0]}
        place["counted"] = _differences.counts(name)
        default, other = ours_and_theirs
        others = {(label, "run"): other}
        rows += _differences.compare(default, others, tested[0], ours_and_theirs, place)
    return pd.DataFrame(rows)


def _right(run, cell, draws, system):
    """Return which images are tested, and which the system has right, in some draws."""
    _, results, stored = run
    tested, right = Correctness({d: stored[cell].paths[d] for d in draws}).load()
    if system not in right:
        raise OtherRunError(f"{', '.join(system)} was not measured on {', '.join(cell)}.")
    keys = ["set", "shots", "head", "rule"]
    table = results.set_index([*keys, "draw"])["accuracy"]
    for position, draw in enumerate(sorted(draws)):
        if position in right[system]:
            accuracy = right[system][position][tested[position]].mean()
            known = table.get((*cell, *system, draw), np.nan)
            if not abs(accuracy - known) < 1e-4:
                raise OtherRunError(f"The work of {', '.join(cell)} is not that of the table.")
    return tested, right[system]


def report(ours, theirs, compared, system):
    """Return Markdown: the difference for each set and number of shots."""
    draws = compared["draws"].agg(["min", "max"]).unique()
    columns = [Columns(**run[0]["columns"]) for run in (ours, theirs)]
    return "\n\n".join(
        [
            f"{', '.join(system)}, by {columns[0]}, minus the same by {columns[1]}; "
            f"{' to '.join(map(str, draws))} draws.",
            _asked.of_pairs(compared),
            _asked.with_mean_over_sets(compared),
            _asked.INTERVALS,
        ]
    )


def main(arguments=None):
    """Run the program."""
    parser = parser_of("paper.beside", __doc__)
    add = parser.add_argument
    add("outputs", nargs=2, type=Path, metavar="OUTPUT")
    add("--works", nargs=2, type=Path, default=[None, None], help="default: OUTPUT/work")
    add("--head", default="auto")
    add("--rule", default=_systems.DEFAULT)
    options = parser.parse_args(arguments)
    system = options.head, options.rule
    runs = [last_run(*one) for one in zip(options.outputs, options.works, strict=True)]
    compared = differences(*runs, system)
    if compared.empty:
        raise SystemExit("Nothing was measured in both.")
    arguments = sys.argv[1:] if arguments is None else arguments
    print(f"    {shlex.join(['python', '-m', 'benchmarks.paper.beside', *arguments])}\n")
    print(report(*runs, compared, system))


if __name__ == "__main__":
    main()

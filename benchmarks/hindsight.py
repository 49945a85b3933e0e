"""How much of the accuracy of the best single backbone comes from choosing it on the test set.

    python -m benchmarks.hindsight docs/results/paper docs/results/few-classes

Reads the results that ``benchmarks.paper`` has written to these folders; nothing is fitted.
"""

import numpy as np
import pandas as pd

from ._machine import heading, markdown, parser_of
from .paper._differences import counts, main_head
from .paper._systems import DEFAULT

_NOTE = """\
The default's accuracy minus that of one backbone under one head, in percentage points: mean over
sets and draws ± standard error over draws. The tables of results compare with the pair of backbone
and head that has the highest accuracy of each set and number of labels, on the same draws and test
images. A user has no test set, and cannot choose so. Here the pair is also chosen in three other
ways, each for each number of labels: by the other draws of the set, which have the same test images
or, with a few classes, mostly other ones; by the mean over the other sets; and as one for all sets,
the one with the highest mean.
"""
_HEADER = "chosen; labelled pictures per class:"
WAYS = ("of each set, with hindsight", "on the other draws", "on the other sets", "one for all")


def parse(arguments):
    parser = parser_of("hindsight", __doc__)
    parser.add_argument("folders", nargs="+", help="of results of benchmarks.paper")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the program."""
    options = parse(arguments)
    print(heading("The best single backbone, chosen otherwise", "hindsight", arguments))
    print(_NOTE)
    for folder in options.folders:
        found = table(pd.read_csv(f"{folder}/results.csv.gz", dtype={"shots": str}))
        print(f"## {folder}\n\n{markdown([_HEADER, *found.columns], found.reset_index().values)}\n")


def table(results):
    """Return a row for each way to choose, with a column for each number of labels."""
    head = main_head(results)
    results = results[results["set"].map(counts)]
    default = results[(results["head"] == head) & (results["rule"] == DEFAULT)]
    default = default.set_index(["shots", "set", "draw"])["accuracy"]
    single = results[results["kind"] == "single"]
    single = single.pivot_table(
        index=["shots", "set", "draw"], columns=["head", "rule"], values="accuracy"
    )
    columns = {}
    for shots in results["shots"].unique():
        accuracy = single.loc[shots].dropna(axis=1)
        gains = [default.loc[shots] - other for other in choices(accuracy)]
        columns[shots] = [_mean_and_error(one) for one in gains]
    return pd.DataFrame(columns, index=list(WAYS))


def choices(accuracy):
    """Yield, for each way to choose, the accuracies of the chosen systems by set and draw.

    Parameters
    ----------
    accuracy : DataFrame
        A row for each set and draw, a column for each system.
    """
    of_sets = accuracy.groupby("set").mean()
    totals = accuracy.groupby("set").transform("sum")
    n_draws = accuracy.groupby("set").transform("size")
    of_other_draws = (totals - accuracy).div((n_draws - 1).clip(lower=1), axis=0)
    of_other_sets = (of_sets.sum() - of_sets) / max(len(of_sets) - 1, 1)
    rows = accuracy.index.get_level_values("set")
    scores = (
        of_sets.loc[rows],
        of_other_draws.where(n_draws > 1, np.nan, axis=0),
        of_other_sets.loc[rows],
        pd.DataFrame([of_sets.mean()] * len(accuracy)),
    )
    for one in scores:
        told = one.notna().any(axis=1).to_numpy()
        chosen = one.fillna(-1).to_numpy().argmax(axis=1)
        found = pd.Series(accuracy.to_numpy()[np.arange(len(accuracy)), chosen], accuracy.index)
        yield found.where(told)


def _mean_and_error(gains):
    """Return the mean over sets and its error over draws; sets with one draw count in each."""
    by_draw = 100 * gains.unstack("set")
    if by_draw.isna().all().any():  # a set with one draw has no others
        return "n/a"
    by_draw = by_draw.fillna(by_draw.mean()).mean(axis=1)
    error = f" ± {by_draw.sem():.1f}" if len(by_draw) > 1 else ""
    return f"{by_draw.mean():+.1f}{error}"


if __name__ == "__main__":
    main()

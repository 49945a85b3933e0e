"""Gain from unlabelled pictures, if all classes are among them, and if only few are.

    python -m benchmarks.unlabeled --datasets validation --backbones zoo --data-home DATA_HOME

Of the pictures that a draw does not train on, a random half is used without labels, and the other
half is classified. In ``benchmarks.paper`` no picture is seen before it is classified, so these
figures cannot be compared with those. Embeddings and fitted heads are kept in the work folder.
"""

import numpy as np
import pandas as pd

from skclipens import AdaptiveBackboneEnsemble
from skclipens.model_selection._intervals import paired_interval

from ._machine import heading, markdown_of, points
from ._options import add_draws, backbones_of, parser_of_sets, sets_of
from .paper._embedding import embed
from .paper._experiments import few_shot_draws

ALL, FEW = "all classes", "few classes"
NEW, SEEN = "new", "unlabelled"
FEW_SHARE = 6  # one class of so many is among the unlabelled pictures, and no fewer than two
MOST = 2000  # pictures that a draw leaves unlabelled, or tests
_NOTE = """\
The default ensemble with and without unlabelled pictures (`unlabeled="use"`), on the same labelled
ones. Accuracy without them in %; the difference that they make, with the 95% interval of a
bootstrap over pictures and draws; and in how many of {draws} draws they were let in. Seeds of the
draws: 0 to {last}. *New*: pictures of all classes that were not in `fit`. *Unlabelled*: the ones
that were. *Few classes*: one class of {share}, and no fewer than two, is among the unlabelled."""


def parse(arguments):
    parser = parser_of_sets("unlabeled", __doc__, kept="embeddings and fitted heads")
    add_draws(parser, shots=[1, 2, 4, 8, 16], per_class=50)
    parser.add_argument("--classes", type=int, help="that are drawn for each draw; default: all")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the program."""
    options = parse(arguments)
    backbones, cells = backbones_of(options), []
    for dataset, work in sets_of(options, per_class=options.per_class, n_test=options.n_test):
        cells += measure(dataset, backbones, options, work)
    print(heading("Unlabelled pictures", "unlabeled", arguments))
    print(report(pd.DataFrame(cells), options))


def measure(dataset, backbones, options, work):
    """Yield the differences that unlabelled pictures make on a set, for each table and shots."""
    X, y = np.array(embed(dataset, backbones, work)), np.asarray(dataset.y)
    parameters = {**dataset.prompts, "memory": str(work / "heads")}
    for k in options.shots:
        right, let_in = {}, {ALL: 0, FEW: 0}
        draws = few_shot_draws(dataset, k, options.draws, 0, options.classes)
        for draw, (train, rest) in enumerate(draws):
            rng = np.random.default_rng(draw)
            rest = rng.permutation(rest)[: 2 * MOST]
            clf = AdaptiveBackboneEnsemble(backbones, random_state=draw, **parameters)
            without = clf.fit(X[train], y[train]).predict(X) == y
            seen, new = np.array_split(rest, 2)
            classes = rng.permutation(np.unique(y[train]))
            some = classes[: max(2, len(classes) // FEW_SHARE)]
            for which, of_draw in ((ALL, seen), (FEW, seen[np.isin(y[seen], some)])):
                clf.set_params(unlabeled="use")
                clf.fit(X[np.r_[train, of_draw]], [*y[train], *[None] * len(of_draw)])
                let_in[which] += clf.unlabeled_ is not None
                pair = without, clf.predict(X) == y
                for tested, rows in ((NEW, new), (SEEN, of_draw)):
                    mask = np.isin(np.arange(len(y)), rows)
                    right.setdefault((which, tested), []).append((*pair, mask))
        for (which, tested), of_draws in right.items():
            before, after, mask = map(np.array, zip(*of_draws, strict=True))
            difference = paired_interval(after, before, mask)
            yield {
                "set": dataset.name,
                "shots": k,
                "table": f"{which}, {tested}",
                "without": np.mean([a[m].mean() for a, m in zip(before, mask, strict=True)]),
                "difference": difference[0],
                "interval": difference[1:],
                "let in": let_in[which],
            }


def report(cells, options):
    """Return the tables in Markdown."""
    texts = [_NOTE.format(draws=options.draws, last=options.draws - 1, share=FEW_SHARE)]
    if options.classes is not None:
        texts.append(f"Each draw has {options.classes} classes, drawn at random.")
    for name, rows in cells.groupby("table", sort=False):
        text = rows.assign(cell=rows.apply(_cell, axis=1))
        frame = text.pivot(index="set", columns="shots", values="cell").loc[rows["set"].unique()]
        means = 100 * rows.groupby("shots")["difference"].mean()
        frame.loc["mean of the sets"] = [f"{mean:+.2f}" for mean in means]
        frame.index.name = "set, labelled pictures per class"
        texts += [f"## {name.capitalize()}", markdown_of(frame)]
    return "\n\n".join(texts)


def _cell(row):
    interval = points(row["difference"], *row["interval"])
    return f"{100 * row['without']:.1f}; {interval}; {row['let in']}"


if __name__ == "__main__":
    main()

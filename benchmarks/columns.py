"""Gain from more columns of the same backbones: views, and features of other layers.

    python -m benchmarks.columns --datasets photographs emoji --data-home DATA_HOME

Everything is embedded once. For each choice of columns, the default ensemble is compared with the
same ensemble on the plain image embeddings, or on other columns (``--than``), and with a logistic
regression on the same columns. Draws and test pictures are the same. Embeddings are kept in the
work folder.
"""

import time

import numpy as np
import pandas as pd

from skclipens import AdaptiveBackboneEnsemble
from skclipens._utils._linalg import side_by_side
from skclipens.backbones._kinds import parse_kind
from skclipens.embedding._plan import FEATURES

from ._differences import difference, differences_table
from ._machine import describe, heading, markdown_of
from ._options import add_draws, backbones_of, parser_of_sets, sets_of
from .paper import _rivals
from .paper._embedding import Columns, blocks_of, embed, gflops_of
from .paper._experiments import few_shot_draws

PLAIN, VIEWS, BESIDE = "image alone", "views", "views beside the image"
POOLED, ALL_OF_VIEWS = "image, pooled features too", "views, pooled features too"
ALL = "image, pooled and intermediate features too"
WAYS = {
    PLAIN: Columns(),
    VIEWS: Columns("both"),
    BESIDE: Columns("both", keep_plain=True),
    POOLED: Columns(features="both"),
    ALL_OF_VIEWS: Columns("both", "both"),
    ALL: Columns(features="all"),
}
ASKED = {
    **{"plain": PLAIN, "views": VIEWS, "beside": BESIDE},
    **{"pooled": POOLED, "views-pooled": ALL_OF_VIEWS, "all": ALL},
}
USUAL = ["views", "beside", "pooled", "views-pooled"]
RIVAL = "LogisticRegression, C searched"
WITH_RIVAL = (PLAIN, VIEWS, BESIDE, POOLED, ALL)  # of pooled features of views it takes hours
_NOTE = """\
{draws} draws, seeds 0 to {last}; at most {n_test} test pictures. Differences in points, with the
95 % interval of a bootstrap over pictures and draws; intervals of means over sets hold the sets
fixed. Views are the image, its mirror image and five crops of 80 %.
"""


def parse(arguments):
    usual = ["photographs", "emoji", "tuxpaint"]
    parser = parser_of_sets("columns", __doc__, datasets=usual)
    add_draws(parser, shots=[1, 4, 16], per_class=40)
    add = parser.add_argument
    add("--ways", nargs="+", default=USUAL, choices=list(ASKED), help="how images are embedded")
    add("--than", default="plain", choices=list(ASKED), help="what they are compared to")
    add("--no-rival", action="store_true", help="without logistic regression")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the program."""
    options = parse(arguments)
    backbones = backbones_of(options)
    ways = list(dict.fromkeys([ASKED[options.than], *(ASKED[way] for way in options.ways)]))
    rivals = () if options.no_rival else tuple(way for way in ways if way in WITH_RIVAL)
    asked = ways, rivals, options.shots, options.draws
    cells = []
    for dataset, work in sets_of(options, per_class=options.per_class, n_test=options.n_test):
        cells += measure(dataset, backbones, *asked, work)
    print(heading("Views, and features before the projection", "columns", arguments))
    print(describe(["scikit-learn", "torch", "numpy"]) + "\n")
    print(_NOTE.format(draws=options.draws, last=options.draws - 1, n_test=options.n_test))
    print(report(pd.DataFrame(cells), backbones))


def columns_of(ways):
    """Return the columns to embed, from which all ways to embed take theirs."""
    views = "both" if any(WAYS[way].views for way in ways) else None
    features = max((WAYS[way].features for way in ways), key=list(FEATURES).index)
    return Columns(views, features, keep_plain=views is not None)


def measure(dataset, backbones, ways, rivals, shots, draws, work):
    """Yield a row for each number of shots and way to embed."""
    columns = columns_of(ways)
    X, y = np.array(embed(dataset, backbones, work, columns=columns)), np.asarray(dataset.y)
    places = blocks_of(backbones, columns)
    options = dataset.prompts
    for k in shots:
        found = {}
        for draw, (train, test) in enumerate(few_shot_draws(dataset, k, draws, 0)):
            tested = np.isin(np.arange(len(y)), test)
            for way, blocks in blocks_of_ways(places, ways).items():
                Z = np.hstack([X[:, places[block]] for block in blocks])
                clf = AdaptiveBackboneEnsemble(blocks, random_state=draw, **options)
                right, seconds = _right(clf, Z, y, train)
                rival = _rival(Z, places, blocks, y, train) if way in rivals else None
                found.setdefault(way, []).append((right, rival, tested, seconds))
        first = [right for right, *_ in found[ways[0]]]
        for way, of_draws in found.items():
            yield _cell(dataset.name, k, way, first, *zip(*of_draws, strict=True))


def blocks_of_ways(places, ways):
    """Return the names of the blocks of each way to embed, among all blocks."""
    kinds = {name: parse_kind(name) for name in places}
    return {
        way: [
            name
            for name, kind in kinds.items()
            if (kind.views if WAYS[way].views else not kind.views)
            or (WAYS[way].keep_plain and not kind.views)
            if kind.features in FEATURES[WAYS[way].features]
        ]
        for way in ways
    }


def _right(clf, X, y, train):
    start = time.perf_counter()
    clf.fit(X[train], y[train])
    seconds = time.perf_counter() - start
    return clf.predict(X) == y, seconds


def _rival(Z, places, blocks, y, train):
    widths = [places[block].stop - places[block].start for block in blocks]
    columns = [(f"block{i}", np.r_[place]) for i, place in enumerate(side_by_side(widths))]
    return _right(_rivals.make(RIVAL, columns, y[train]), Z, y, train)[0]


def _cell(name, shots, way, first, right, rival, tested, seconds):
    others = {"first": first} | ({} if rival[0] is None else {"rival": rival})
    cell = {"set": name, "shots": shots, "way": way, "fit": np.median(seconds)}
    cell["accuracy"] = np.mean([one[mask].mean() for one, mask in zip(right, tested)])
    for name_of_other, other in others.items():
        cell |= difference(name_of_other, right, other, tested)
    return cell


def report(cells, backbones):
    """Return the tables in Markdown."""
    texts, first = [], cells["way"].iloc[0]
    for way, rows in cells.groupby("way", sort=False):
        if way != first:
            texts += [
                f"## {way.capitalize()}, minus the {first}",
                differences_table(rows, "first"),
            ]
        if "rival" in rows and rows["rival"].notna().all():
            title = f"## {way.capitalize()}: less logistic regression on the same columns"
            texts += [title, differences_table(rows, "rival")]
    return "\n\n".join([*texts, "## What it costs", _costs(cells, backbones)])


def _costs(cells, backbones):
    most = cells["shots"].max()
    seconds = cells[cells["shots"] == most].groupby("way")["fit"].median()
    rows = {
        way: {
            "GFLOPs per image": f"{gflops_of(backbones, columns)['all']:.3g}",
            "columns": max(block.stop for block in blocks_of(backbones, columns).values()),
            f"seconds to fit, median of sets, {most} shots": f"{seconds[way]:.2f}",
        }
        for way, columns in WAYS.items()
        if way in seconds
    }
    frame = pd.DataFrame(rows).T
    frame.index.name = "way to embed"
    return markdown_of(frame)


if __name__ == "__main__":
    main()

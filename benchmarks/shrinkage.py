"""Gain of linear heads from a shrinkage of less than the variance of a column.

    python -m benchmarks.shrinkage --data-home DATA_HOME

On validation sets, the default ensemble is compared with one that searches shrinkage from 1 up.
Draws and test pictures are the same. Less shrinkage is useful with more rows than columns, so both
are also measured on image embeddings alone. Embeddings are kept in the work folder.
"""

from unittest.mock import patch

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss

from skclipens import AdaptiveBackboneEnsemble
from skclipens.backbones._kinds import parse_kind
from skclipens.heads import _shrinkage

from ._differences import SET, difference, differences_table
from ._machine import describe, heading, markdown_of
from ._options import add_draws, embedded_sets, parser_of_sets
from .paper._experiments import few_shot_draws

AS_WAS = "1 at least"
COLUMNS = ("image embeddings alone", "pooled features too")
_NOTE = """\
{draws} draws, seeds 0 to {last}; at most {n_test} test pictures, and no more training pictures of a
class than it has. Differences in points, with the 95 % interval of a bootstrap over pictures and
draws; intervals of means over sets hold the sets fixed. Log-losses are means over draws.
"""


class ShrunkByOne(AdaptiveBackboneEnsemble):
    """An ensemble whose linear heads shrink by at least 1."""

    def fit(self, X, y):
        with patch.object(_shrinkage, "_LESS", ()):
            return super().fit(X, y)


def parse(arguments):
    parser = parser_of_sets("shrinkage", __doc__)
    add_draws(parser, shots=[4, 16, 100], per_class=100)
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the program."""
    options = parse(arguments)
    cells = []
    for dataset, X, places in embedded_sets(options):
        for shots in options.shots:
            splits = few_shot_draws(dataset, shots, options.draws, 0)
            cells += measure(dataset, X, places, shots, splits)
    print(heading("How far linear heads shrink", "shrinkage", arguments))
    print(describe(["scikit-learn", "torch", "numpy"]) + "\n")
    print(_NOTE.format(draws=options.draws, last=options.draws - 1, n_test=options.n_test))
    print(report(pd.DataFrame(cells)))


def measure(dataset, X, places, shots, splits):
    """Yield a row for each kind of columns, at one number of shots."""
    y = np.asarray(dataset.y)
    tested = [np.isin(np.arange(len(y)), test) for _, test in splits]
    kinds = {name: parse_kind(name).features for name in places}
    embeddings = {name: place for name, place in places.items() if kinds[name] == "projected"}
    for columns, blocks in zip(COLUMNS, (embeddings, places), strict=True):
        Z, right, losses = np.hstack([X[:, place] for place in blocks.values()]), [], []
        for ensemble in (AdaptiveBackboneEnsemble, ShrunkByOne):
            of_draws = [
                _result(ensemble(list(blocks), random_state=draw, **dataset.prompts), Z, y, *split)
                for draw, split in enumerate(splits)
            ]
            for found, one in zip((right, losses), zip(*of_draws, strict=True), strict=True):
                found.append(one)
        row = {"set": dataset.name, "shots": shots, "columns": columns}
        row |= {"rows": int(np.mean([len(train) for train, _ in splits])), "width": Z.shape[1]}
        row |= {"log-loss": np.mean(losses[0]), "as was": np.mean(losses[1])}
        yield row | difference(AS_WAS, *right, tested)


def _result(clf, X, y, train, test):
    p = clf.fit(X[train], y[train]).predict_proba(X[test])
    right = np.zeros(len(y), bool)
    right[test] = clf.classes_[p.argmax(axis=1)] == y[test]
    return right, log_loss(y[test], p, labels=clf.classes_)


def report(cells):
    """Return the tables in Markdown."""
    texts = []
    for columns, rows in cells.groupby("columns", sort=False):
        title = f"## {columns.capitalize()} ({rows['width'].iloc[0]} columns)"
        texts += [title, "### Accuracy, minus that of shrinkage of 1 at least"]
        texts += [differences_table(rows, AS_WAS)]
        texts += ["### Training rows; log-loss; that of shrinkage of 1 at least", _losses(rows)]
    return "\n\n".join(texts)


def _losses(rows):
    cell = [
        f"{one['rows']}; {one['log-loss']:.3f}; {one['as was']:.3f}" for _, one in rows.iterrows()
    ]
    frame = rows.assign(cell=cell).pivot(index="set", columns="shots", values="cell")
    frame = frame.loc[rows["set"].unique()]
    frame.index.name = SET
    return markdown_of(frame)


if __name__ == "__main__":
    main()

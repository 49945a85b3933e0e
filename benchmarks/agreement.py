"""Gain from judging prompts by the agreement of the backbones, before any label.

    python -m benchmarks.agreement --data-home DATA_HOME

On validation sets, the default ensemble is compared with an ensemble that fits the temperatures of
prompts to labels alone, and with a logistic regression on the same columns. Classes have their own
names, or names that mean nothing. Draws and test pictures are the same.
Embeddings are kept in the work folder.
"""

from itertools import product
from string import ascii_lowercase
from unittest.mock import patch

import numpy as np
import pandas as pd

from skclipens import AdaptiveBackboneEnsemble
from skclipens.heads import _temperature

from ._differences import difference, differences_table
from ._machine import describe, heading
from ._options import add_draws, embedded_sets, parser_of_sets
from .paper._experiments import few_shot_draws
from .paper._rivals import SEARCHED_ON_ALL, make

LABELS_ALONE, LOGISTIC = "temperatures by labels alone", "logistic regression"
OWN, NOTHING = "their own names", "names that mean nothing"
_NOTE = """\
{draws} draws, seeds 0 to {last}; at most {n_test} test pictures where a set has a test part.
Differences of accuracy in points, with the 95 % interval of a bootstrap over pictures and draws;
intervals of means over sets hold the sets fixed. *{labels_alone}*: the same ensemble without the
prior that the agreement of backbones gives. *{logistic}*: on the same columns, pooled features too,
C searched as in the main tables. *{nothing}*: "the letter a", "the letter b" and so on, in the
order of the classes. Where some of the classes are asked for, these are drawn for each draw.
"""


def parse(arguments):
    parser = parser_of_sets("agreement", __doc__)
    add_draws(parser, shots=[1, 2, 4], per_class=100)
    parser.add_argument("--classes", nargs="+", type=int, default=[3, 6], help="drawn of each set")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the program."""
    options = parse(arguments)
    cells = []
    for dataset, X, blocks in embedded_sets(options):
        for n_classes, shots in product(options.classes, options.shots):
            splits = few_shot_draws(dataset, shots, options.draws, 0, n_classes)
            cells += measure(dataset, X, list(blocks), n_classes, shots, splits)
    print(heading("What the agreement of backbones tells", "agreement", arguments))
    print(describe(["scikit-learn", "torch", "numpy"]) + "\n")
    said = {"labels_alone": LABELS_ALONE, "logistic": LOGISTIC, "nothing": NOTHING}
    said |= {"draws": options.draws, "last": options.draws - 1, "n_test": options.n_test}
    print(_NOTE.format(**said))
    print(report(pd.DataFrame(cells)))


def measure(dataset, X, blocks, n_classes, shots, splits):
    """Yield a row for each kind of names, at one number of classes and of shots."""
    y = np.asarray(dataset.y)
    tested = [np.isin(np.arange(len(y)), test) for _, test in splits]
    logistic = [_right(make(SEARCHED_ON_ALL, [], y[split[0]]), X, y, *split) for split in splits]
    for names in (OWN, NOTHING):
        default, before = [], []
        for draw, (train, test) in enumerate(splits):
            prompts = dataset.prompts if names == OWN else {"class_names": lettered(y[train])}
            clf = AdaptiveBackboneEnsemble(blocks, random_state=draw, **prompts)
            default.append(_right(clf, X, y, train, test))
            with patch.object(_temperature, "PRIOR_RATE", 0.0):
                before.append(_right(clf, X, y, train, test))
        row = {"set": dataset.name, "shots": shots, "classes": n_classes, "names": names}
        row |= difference(LABELS_ALONE, default, before, tested)
        yield row | difference(LOGISTIC, default, logistic, tested)


def lettered(labels):
    """Return names of classes that do not describe them."""
    letters = (*ascii_lowercase, *map(" and ".join, product(ascii_lowercase, repeat=2)))
    return {one: f"the letter {letter}" for one, letter in zip(np.unique(labels), letters)}


def _right(clf, X, y, train, test):
    right = np.zeros(len(y), bool)
    right[test] = clf.fit(X[train], y[train]).predict(X[test]) == y[test]
    return right


def report(cells):
    """Return the tables in Markdown."""
    texts = []
    for (n_classes, names), rows in cells.groupby(["classes", "names"], sort=False):
        texts += [f"## {n_classes} classes, {names}"]
        for other in (LABELS_ALONE, LOGISTIC):
            texts += [f"### Minus {other}", differences_table(rows, other)]
    return "\n\n".join(texts)


if __name__ == "__main__":
    main()

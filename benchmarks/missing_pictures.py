"""Rows of a table that lack a picture: submodels beside other ways to predict them.

    python -m benchmarks.missing_pictures --datasets emoji photographs --data-home DATA_HOME

All test rows lack their picture, or their first of two, and so does half of the training rows, or
none of them. The second picture of a row is another one of its class. The numbers are drawn as in
``benchmarks.tables``. Embeddings are kept in the work folder.
"""

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from skclipens import AdaptiveBackboneEnsemble

from ._machine import describe, heading
from ._options import add_draws, backbones_of, parser_of_sets, sets_of
from .paper._embedding import ALL_FEATURES, blocks_of, embed
from .paper._experiments import few_shot_draws
from .tables import FOREST, OURS, Numbers, cell, draw_numbers, report, run_draws

NUMBERS = Numbers(5, 1.5)
KINDS = {  # how many pictures a row has, and whether training rows lack the first
    "one of one picture is missing, also in training rows": (1, True),
    "one of two pictures is missing, also in training rows": (2, True),
    "one of one picture is missing, in test rows alone": (1, False),
    "one of two pictures is missing, in test rows alone": (2, False),
}
COMPLETE = "the same, of rows that lack no picture"
IMPUTED = "ensemble, the mean embedding in place of missing ones"
FOREST_WITH_GAPS = f"{FOREST}, of rows with gaps"
WITH_PICTURES = "ensemble, no picture is missing"
OTHERS = (COMPLETE, IMPUTED, FOREST_WITH_GAPS, WITH_PICTURES)
_NOTE = """\
{draws} draws, seeds 0 to {last}; in each of them {classes} classes, drawn at random, where a set
has more; at most {n_test} test pictures. Beside the pictures there are five columns of numbers. All
test rows lack their picture, or their first of two. "Also in training rows": half of the training
rows of each class, rounded down. "ensemble": a model of the columns that are left, fitted on all
training rows, as `submodels=True` fits it. Differences in points, with the 95 % interval of a
bootstrap over rows and draws; intervals of means over sets hold the sets fixed."""


def parse(arguments):
    parser = parser_of_sets(
        "missing_pictures", __doc__, datasets=["emoji", "tuxpaint", "photographs"]
    )
    add_draws(parser, shots=[1, 4, 16], per_class=40)
    parser.add_argument("--classes", type=int, default=10, help="at most, in a draw")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the program."""
    options = parse(arguments)
    backbones, cells = backbones_of(options), []
    asked = options.shots, options.draws, options.classes
    for dataset, work in sets_of(options, per_class=options.per_class, n_test=options.n_test):
        cells += measure(dataset, backbones, *asked, work)
    print(heading("Rows that lack a picture", "missing_pictures", arguments))
    print(describe(["scikit-learn", "torch", "numpy"]) + "\n")
    print(_NOTE.format(last=options.draws - 1, **vars(options)) + "\n")
    print(report(pd.DataFrame(cells), OTHERS))


def measure(dataset, backbones, shots, draws, n_classes, work):
    """Yield a row for each number of pictures in a row and number of shots."""
    X = np.array(embed(dataset, backbones, work, columns=ALL_FEATURES))
    y, places = np.asarray(dataset.y), blocks_of(backbones, ALL_FEATURES)
    for k in shots:
        splits = few_shot_draws(dataset, k, draws, 0, n_classes)
        for kind, (n_pictures, in_training) in KINDS.items():

            def ways(train, draw, n_pictures=n_pictures, in_training=in_training):
                rng = np.random.default_rng(draw)
                Z = draw_numbers(y, NUMBERS, train, rng)
                is_train = np.isin(np.arange(len(y)), train)
                pictures = [X, X[another_of_class(y, is_train, rng)]][:n_pictures]
                lacks = ~is_train
                if in_training:
                    lacks[half_of_each(y, train)] = True
                return ways_of(dataset.prompts, places, pictures, Z, lacks, draw)

            yield cell(dataset.name, k, kind, *run_draws(y, splits, ways), OTHERS)


def another_of_class(y, is_train, rng):
    """Return a row for each row, of its class and its part, training or test."""
    found = np.arange(len(y))
    for part in (is_train, ~is_train):
        for label in np.unique(y[part]):
            rows = rng.permutation(np.flatnonzero(part & (y == label)))
            found[rows] = np.roll(rows, 1)
    return found


def half_of_each(y, train):
    """Return half of the training rows of each class, rounded down."""
    rows = [train[y[train] == label] for label in np.unique(y[train])]
    return np.concatenate([of_class[: len(of_class) // 2] for of_class in rows])


class Named(AdaptiveBackboneEnsemble):
    """An ensemble that gets names of columns, as in a pipeline of `make_table_pipeline`."""

    def fit(self, X, y):
        return super().fit(_named(X), y)

    def predict_proba(self, X):
        return super().predict_proba(_named(X))


def _named(X):
    return pd.DataFrame(X).add_prefix("column ")


class CompleteRows(Named):
    """An ensemble that is fitted on the rows whose last column is not NaN, without this column."""

    def fit(self, X, y):
        is_whole = ~np.isnan(X[:, -1])
        return super().fit(X[is_whole, :-1], y[is_whole])

    def predict_proba(self, X):
        return super().predict_proba(X[:, :-1])


def ways_of(prompts, places, pictures, Z, lacks, draw):
    """Return unfitted classifiers, each with the columns that it reads."""
    width = pictures[0].shape[1]
    blocks = [
        (f"{number}__{name}", number * width + np.arange(place.start, place.stop))
        for number in range(len(pictures))
        for name, place in places.items()
    ]
    whole = np.hstack([*pictures, Z])
    blocks.append(("numbers", width * len(pictures) + np.arange(Z.shape[1])))
    gaps = whole.copy()
    gaps[lacks, :width] = np.nan
    rest = [(name, columns - width) for name, columns in blocks if not name.startswith("0__")]
    options = {"random_state": draw, **prompts}
    of_all = AdaptiveBackboneEnsemble(blocks, **options)
    is_marked = np.where(lacks, np.nan, 1).astype(whole.dtype)[:, None]
    return {
        OURS: (Named(rest, **options), whole[:, width:]),
        COMPLETE: (CompleteRows(rest, **options), np.hstack([whole[:, width:], is_marked])),
        IMPUTED: (make_pipeline(SimpleImputer(), clone(of_all)), gaps),
        FOREST_WITH_GAPS: (RandomForestClassifier(500, random_state=draw), gaps),
        WITH_PICTURES: (of_all, whole),
    }


if __name__ == "__main__":
    main()

"""Numbers and categories of real tables beside real pictures: the ensemble beside its rivals.

    python -m benchmarks.paired_tables FOLDER --data-home DATA_HOME

FOLDER is the repository jbrownlee/Datasets, with tables of the UCI repository as CSV files. Each
row of a table gets a picture: its class stands for a class of the pictures, drawn at random, and
the picture is one of this class. So numbers and pictures are real, but independent within a class.
Tables have one role each: the forest of the default was chosen on those of `VALIDATION`.
"""

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import ExtraTreesClassifier, StackingClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skclipens.heads import names_of_classes

from ._machine import describe, heading
from ._options import backbones_of, parser_of_sets, sets_of
from .paper._embedding import ALL_FEATURES, blocks_of, embed
from .tables import (
    AS_SURE,
    CONCATENATED,
    FOREST,
    MEANS,
    OF_NUMBERS,
    OF_PICTURES,
    OURS,
    WITHOUT_FOREST,
    AsSureOfFew,
    Means,
    WithoutForest,
    cell,
    report,
    run_draws,
)
from .tables import ways_of as ways_of_columns

VALIDATION = (
    "abalone",
    "banknote_authentication",
    "ecoli",
    "glass",
    "housing",
    "mammography",
    "phoneme",
    "sonar",
    "wine",
    "winequality-white",
)
TEST = (
    "auto_imports",
    "breast-cancer-wisconsin",
    "german",
    "haberman",
    "ionosphere",
    "new-thyroid",
    "pima-indians-diabetes",
    "wheat-seeds",
    "winequality-red",
)
ROLES = {"validation": VALIDATION, "test": TEST}
STACKED = "logistic regression of embeddings and trees of the rest, stacked"
OTHERS = (WITHOUT_FOREST, AS_SURE, MEANS, CONCATENATED, STACKED, FOREST, OF_PICTURES, OF_NUMBERS)
_MIN_OF_CLASS, _MANY_LABELS = 30, 20
_LEFT = 10  # pictures of a class that are left for test rows, at least
_NOTE = """\
{draws} draws, seeds 0 to {last}, of training rows, of classes of pictures and of pictures; at most
{n_test} test rows, and two thirds of the rows of a class train. Classes with fewer than 30 rows are
left out; labels that are amounts are replaced by their quarter. Numbers have mean 0 and variance 1
on the training rows, and categories are one-hot encoded. The ensemble reads image embeddings,
pooled features and the other columns; its rivals read image embeddings and the other columns.
"Stacked": StackingClassifier of a LogisticRegression (C = 10) on the embeddings, 500 extremely
randomised trees on the other columns, and a last LogisticRegression (C = 1); with one row per class
VotingClassifier has the mean of the first two. Differences in points, with the 95 % interval of a
bootstrap over rows and draws; intervals of means over tables hold the tables fixed."""


def parse(arguments):
    parser = parser_of_sets("paired_tables", __doc__, datasets=["cifar10", "caltech101-odd"])
    add = parser.add_argument
    add("folder", type=Path)
    add("--tables", nargs="+", default=["test"], help="names, test or validation")
    add("--shots", nargs="+", type=int, default=[1, 4, 16, 50], help="rows of each class")
    add("--columns", type=int, help="of the table, drawn at random; all by default")
    add("--draws", type=int, default=5)
    add("--n-test", type=int, default=500, help="test rows, at most")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the program."""
    options = parse(arguments)
    backbones, cells = backbones_of(options), []
    asked = [name for one in options.tables for name in ROLES.get(one, [one])]
    tables = {name: read_table(options.folder / f"{name}.csv") for name in asked}
    for dataset, work in sets_of(options, per_class=200, n_test=1):
        pictures = np.array(embed(dataset, backbones, work, columns=ALL_FEATURES))
        for name, table in tables.items():
            cells += measure(name, *table, dataset, pictures, backbones, options)
    print(heading("Numbers of real tables beside pictures", "paired_tables", arguments))
    print(describe(["scikit-learn", "torch", "numpy"]) + "\n")
    note = _NOTE.format(last=options.draws - 1, **vars(options))
    print(textwrap.fill(note, 100) + "\n")
    print(report(pd.DataFrame(cells), OTHERS).replace("| nan ", "| too few rows "))


def read_table(path):
    """Return the columns and the classes of a table, whose last column is the label."""
    frame = pd.read_csv(path, header=None, na_values="?", skipinitialspace=True)
    X, y = frame.iloc[:, :-1], frame.iloc[:, -1]
    if y.nunique() > _MANY_LABELS:
        y = pd.qcut(y, 4, labels=False)
    is_frequent = y.groupby(y).transform("size") >= _MIN_OF_CLASS
    X.columns = [f"column {i}" for i in range(X.shape[1])]
    return X[is_frequent].reset_index(drop=True), y[is_frequent].astype(str).to_numpy()


def measure(name, table, y, dataset, pictures, backbones, options):
    """Yield a row for each number of shots."""
    places = blocks_of(backbones, ALL_FEATURES)
    for k in options.shots:
        splits = [split(y, k, options.n_test, draw) for draw in range(options.draws)]
        largest = max(np.unique(y[train], return_counts=True)[1].max() for train, _ in splits)
        if largest < k or len(classes_for(largest, dataset.y)) < len(np.unique(y)):
            continue

        def ways(train, draw, splits=splits, largest=largest):
            rng = np.random.default_rng(draw)
            rows, of_class = paired(y, train, dataset.y, largest, rng)
            names = names_of_classes(of_class.to_numpy(), dataset.prompts.get("class_names"))
            prompts = dataset.prompts | {"class_names": dict(zip(of_class.index, names))}
            Z = encoded(some_columns(table, train, options.columns, draw), train)
            return ways_of(prompts, places, pictures[rows], Z, y[train], draw)

        yield cell(name, k, f"pictures of {dataset.name}", *run_draws(y, splits, ways), OTHERS)


def split(y, k, n_test, seed):
    """Return training rows, k of each class or two thirds of it, and at most `n_test` others."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    rank = pd.Series(order).groupby(y[order]).cumcount().to_numpy()
    sizes = pd.Series(y).groupby(y).transform("size").to_numpy()[order]
    is_train = rank < np.minimum(k, sizes * 2 // 3)
    return np.sort(order[is_train]), np.sort(order[~is_train][:n_test])


def paired(y, train, labels, n_train, rng):
    """Return a picture for each row, and the class of pictures for each class of the table.

    No picture of a training row is that of another row.
    """
    labels, classes = np.asarray(labels), np.unique(y)
    chosen = rng.permutation(classes_for(n_train, labels))[: len(classes)]
    is_train, rows = np.isin(np.arange(len(y)), train), np.empty(len(y), int)
    for label, of_pictures in zip(classes, chosen, strict=True):
        found = rng.permutation(np.flatnonzero(labels == of_pictures))
        learned, tested = is_train & (y == label), ~is_train & (y == label)
        rows[learned] = found[: learned.sum()]
        rows[tested] = rng.choice(found[learned.sum() :], tested.sum())
    return rows, pd.Series(chosen, classes)


def classes_for(n_train, labels):
    """Return the classes of pictures that have enough of them."""
    of_set, sizes = np.unique(labels, return_counts=True)
    return of_set[sizes >= n_train + _LEFT]


def some_columns(table, train, n_columns, seed):
    """Return some columns, drawn from those that differ in the training rows; all if None."""
    if n_columns is None:
        return table
    differ = table.columns[table.iloc[train].nunique() > 1].to_numpy()
    return table[np.random.default_rng(seed).permutation(differ)[:n_columns].tolist()]


def encoded(table, train):
    """Return scaled numbers and one-hot encoded categories."""
    numbers = table.select_dtypes("number").columns
    encoder = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            table.columns.difference(numbers),
        ),
    )
    return encoder.fit(table.iloc[train]).transform(table).astype(np.float32)


def ways_of(prompts, places, X, Z, y, draw):
    """Return unfitted classifiers, each with the columns that it reads."""
    ways = ways_of_columns(prompts, places, X, Z, y, draw)
    (ours, both), (_, plain) = ways[OURS], ways[CONCATENATED]
    options = {"blocks": ours.blocks, "random_state": draw, **prompts}
    return {name: way for name, way in ways.items() if name in (OURS, *OTHERS)} | {
        WITHOUT_FOREST: (WithoutForest(**options), both),
        AS_SURE: (AsSureOfFew(**options), both),
        MEANS: (Means(**options), both),
        STACKED: (stacked(plain.shape[1] - Z.shape[1], plain.shape[1], y, draw), plain),
    }


def stacked(n_embedding, width, y, draw):
    """Return a logistic regression of the first columns and trees of the others, stacked."""
    parts = {
        "pictures": (slice(0, n_embedding), LogisticRegression(C=10, max_iter=1000)),
        "others": (slice(n_embedding, width), ExtraTreesClassifier(500, random_state=draw)),
    }
    members = [
        (name, make_pipeline(make_column_transformer(("passthrough", columns)), one))
        for name, (columns, one) in parts.items()
    ]
    smallest = np.unique(y, return_counts=True)[1].min()
    if smallest == 1:
        return VotingClassifier(members, voting="soft")
    return StackingClassifier(members, LogisticRegression(max_iter=1000), cv=min(5, smallest))


if __name__ == "__main__":
    main()

"""How often a fit or a prediction is doubted: where all is right, and after a user's mistake.

    python -m benchmarks.doubts --datasets local validation photographs --data-home DATA_HOME

Fails where more than a few of the right uses are doubted. Embeddings are kept in the work folder.
"""

import warnings
from collections import defaultdict
from functools import partial
from itertools import permutations, product

import numpy as np

from skclipens.heads import ZeroShotHead
from skclipens.heads._text_head import names_of_classes

from ._machine import heading, markdown
from ._options import backbones_of, parser_of_sets, sets_of
from .labels import Task

SHOTS = (1, 4, 16)
N_PREDICTED = 200  # rows at most, in a prediction
LIMIT = 2.0  # % of the right uses that may be doubted
CUT_OFF = "are cut off"  # of prompts, which are as long as some names of traffic signs
RIGHT = (
    "fit, all as it should be",
    "fit, names that mean nothing",
    "fit, the last class without rows",
    "fit of one head alone, all as it should be",
    "fit of one head alone, names that mean nothing",
    "predict pictures of all classes",
    "predict pictures of one class",
)
MISTAKES = (
    "fit, names moved by one class",
    "fit, names shuffled",
    "fit of one head alone, names shuffled",
    "fit, two names exchanged",
    "fit, labels numbered without a class that has a name",
    "fit, labels in another order than rows",
    "fit, blocks in another order",
    "fit, rows of one model in another order",
    "fit, columns of one model made by another",
    "fit of one head alone, columns made by another model",
    "fit, columns moved by one",
    "predict, rows of one model in another order",
    "predict, blocks in another order",
    "predict, columns moved by one",
    "predict, rows scaled by StandardScaler",
)
_NOTE = """\
A call is doubted that warns, of anything but prompts that are too long. Labels are numbers, and
`class_names` a list. {draws} draws of each set, with 1, 4 and 16 labelled pictures per class; at
most {n_predicted} pictures are predicted, of another style where a set has one. One head alone is a
ZeroShotHead on one backbone, another one in each draw, whose rows are also those that are put in
another order than the rows of the others: this needs 50 rows. Names that mean nothing are six
random consonants. What is compared with `fit` in `predict` needs 7 rows in `fit`, and 20 to
predict. Names in another order are seen where prompts mean something. Pictures that are the same in
two classes, as some drawings are without their colours, are not labelled: to doubt them is right.
Columns that another model of the same width made are seen of 10 rows or more.
Thresholds were chosen on pictures of these sets.
"""


def parse(arguments):
    parser = parser_of_sets("doubts", __doc__, datasets=["local"])
    parser.add_argument("--draws", type=int, default=5)
    return parser.parse_args(arguments)


def main(arguments=None):
    """Command line."""
    options = parse(arguments)
    backbones = backbones_of(options)
    print(heading("Doubts: how often, rightly and wrongly", "doubts", arguments))
    print(_NOTE.format(draws=options.draws, n_predicted=N_PREDICTED))
    by_shots, by_set = defaultdict(list), defaultdict(list)
    for dataset, work in sets_of(options):
        task = Task(dataset, backbones, work)
        task.pool = task.pool[are_of_one_class(task.X, task.codes)[task.pool]]
        for draw, shots in product(range(options.draws), SHOTS):
            for case, told in measure(task, shots, draw):
                by_shots[case, shots].append(told)
                by_set[case, task.name].append(told)
    print(report(RIGHT + MISTAKES, SHOTS, by_shots))
    print(report(RIGHT + MISTAKES, list(dict.fromkeys(name for _, name in by_set)), by_set, True))
    of_right = [one for (case, _), told in by_set.items() if case in RIGHT for one in told]
    share = 100 * np.mean(of_right)
    print(f"Of {len(of_right)} right uses, {share:.1f}% are doubted; limit {LIMIT}%.")
    if share > LIMIT:
        raise SystemExit(1)


def measure(task, shots, draw):
    """Cases, and whether each was doubted."""
    rng = np.random.default_rng(draw)
    train = task.drawn(shots, rng)
    X, y = task.X[train], task.codes[train]
    names = np.array(names_of_classes(task.classes, task.class_names))
    n = len(names)

    def fit_doubted(names=names, X=X, y=y):
        clf = task.ensemble(draw, class_names=list(names))
        return clf, is_doubted(partial(clf.fit, X, y))

    backbone, columns = list(task.blocks.items())[draw % len(task.blocks)]

    def head_doubted(names=names, backbone=backbone, rows=X[:, columns]):
        head = ZeroShotHead(backbone, class_names=list(names))
        return is_doubted(partial(head.fit, rows, y))

    clf, told = fit_doubted()
    fit, of_nothing, without_last, head, head_of_nothing, of_all, of_one = RIGHT
    yield fit, told
    consonants = rng.choice(list("bcdfghjklmnpqrstvwxz"), (n, 6))
    consonants = np.array(["".join(one) for one in consonants])
    yield of_nothing, fit_doubted(consonants)[1]

    def doubted_without(code):
        rows = y != code
        return fit_doubted(X=X[rows], y=y[rows] - (y[rows] > code))[1]

    yield without_last, doubted_without(n - 1)
    yield head, head_doubted()
    yield head_of_nothing, head_doubted(consonants)
    test = rng.permutation(task.test)[:N_PREDICTED]
    one = task.test[task.codes[task.test] == rng.integers(n)][:N_PREDICTED]
    yield of_all, is_doubted(partial(clf.predict, task.X[test]))
    yield of_one, is_doubted(partial(clf.predict, task.X[one]))
    moved, shuffled, head_shuffled, exchanged, numbered, labels, blocks, *others = MISTAKES
    of_model, of_other, head_of_other, fit_moved, *at_predict = others
    order = np.arange(n)
    yield moved, fit_doubted(names[np.roll(order, 1)])[1]
    order_of_none = rng.permutation(n)
    yield shuffled, fit_doubted(names[order_of_none])[1]
    yield head_shuffled, head_doubted(names[order_of_none])
    pair = rng.permutation(n)[:2]
    order[pair] = pair[::-1]
    yield exchanged, fit_doubted(names[order])[1]
    yield numbered, doubted_without(int(rng.integers(n - 1)))
    yield labels, fit_doubted(y=rng.permutation(y))[1]
    turned = np.concatenate(np.split(np.arange(X.shape[1]), len(task.blocks))[::-1])
    yield blocks, fit_doubted(X=X[:, turned])[1]

    yield of_model, fit_doubted(X=with_shuffled(X, columns, rng))[1]
    own, made = other_columns(task.blocks, X.shape[1], draw)
    wrong = X.copy()
    wrong[:, task.blocks[own]] = X[:, made]
    yield of_other, fit_doubted(X=wrong)[1]
    yield head_of_other, head_doubted(backbone=own, rows=X[:, made])
    yield fit_moved, fit_doubted(X=np.roll(X, 1, axis=1))[1]
    rows = task.X[test]
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    wrong = with_shuffled(rows, columns, rng), rows[:, turned], np.roll(rows, 1, axis=1)
    for case, table in zip(at_predict, (*wrong, (rows - mean) / deviation), strict=True):
        yield case, is_doubted(partial(clf.predict, table))


def with_shuffled(X, columns, rng):
    """X with the rows of some columns in another order."""
    X = X.copy()
    X[:, columns] = rng.permutation(X[:, columns])
    return X


def other_columns(blocks, n_features, draw):
    """A backbone, and the columns of another one that has as many."""
    places = {name: np.arange(n_features)[columns] for name, columns in blocks.items()}
    pairs = [
        (own, columns)
        for (own, its), (_, columns) in permutations(places.items(), 2)
        if len(its) == len(columns)
    ]
    return pairs[draw % len(pairs)]


def are_of_one_class(X, codes):
    """Which rows are the same as no row of another class."""
    picture = np.unique(X, axis=0, return_inverse=True)[1].ravel()
    pictures, _ = np.unique(np.stack([picture, codes], axis=1), axis=0).T
    return np.bincount(pictures)[picture] == 1


def is_doubted(run):
    """Whether a call warns."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run()
    said = [str(one.message) for one in told if issubclass(one.category, UserWarning)]
    return any(CUT_OFF not in one for one in said)


def report(cases, columns, doubted, transpose=False):
    """Shares of calls that were doubted, in %, in Markdown."""
    table = [
        [case, *(f"{100 * np.mean(doubted[case, column]):.0f}" for column in columns)]
        for case in cases
    ]
    rows = [["doubted, %", *map(str, columns)], *table]
    header, *rows = zip(*rows, strict=True) if transpose else rows
    return markdown(header, rows) + "\n"


if __name__ == "__main__":
    main()

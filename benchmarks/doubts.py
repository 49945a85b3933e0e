"""How often `fit` and `predict` warn: after correct uses, and after a user's mistake.

    python -m benchmarks.doubts --datasets local validation photographs --data-home DATA_HOME

Fails if more than a few correct uses get a warning. Embeddings are kept in the work folder.
"""

import warnings
from collections import defaultdict
from functools import cached_property, partial
from itertools import permutations, product

import numpy as np
from sklearn.preprocessing import StandardScaler

from skclipens.heads import ZeroShotHead, names_of_classes

from ._machine import heading, markdown
from ._options import backbones_of, parser_of_sets, sets_of
from .labels import Task

SHOTS = (1, 4, 16)
N_PREDICTED = 200  # rows at most, in a prediction
LIMIT = 2.0  # % of the right uses that may raise a warning
CUT_OFF = "are cut off"  # of prompts, which are as long as some names of traffic signs
_NOTE = """\
Shares of calls that raise a warning, other than that prompts are too long. Labels are numbers, and
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
    """Run the program."""
    options = parse(arguments)
    backbones = backbones_of(options)
    print(heading("Warnings of mistakes: how often, and how often wrongly", "doubts", arguments))
    print(_NOTE.format(draws=options.draws, n_predicted=N_PREDICTED))
    by_shots, by_set = defaultdict(list), defaultdict(list)
    for dataset, work in sets_of(options):
        task = Task(dataset, backbones, work)
        task.pool = task.pool[are_of_one_class(task.X, task.codes)[task.pool]]
        for draw, shots in product(range(options.draws), SHOTS):
            for case, told in measure(task, shots, draw):
                by_shots[case, shots].append(told)
                by_set[case, task.name].append(told)
    conclude(RIGHT, MISTAKES, SHOTS, by_shots, by_set)


def conclude(right, mistakes, numbers, by_number, by_set):
    """Print how often cases raise warnings, by number and set; fail if right ones do too often.

    Parameters
    ----------
    right, mistakes : iterable of str
        Cases.
    numbers : sequence of int
    by_number, by_set : dict of (case, number or set) to list of bool
    """
    cases = [*right, *mistakes]
    print(report(cases, numbers, by_number))
    print(report(cases, list(dict.fromkeys(name for _, name in by_set)), by_set, True))
    of_right = [one for (case, _), told in by_set.items() if case in right for one in told]
    share = 100 * np.mean(of_right)
    print(f"Of {len(of_right)} right uses, {share:.1f}% raise a warning; limit {LIMIT}%.")
    if share > LIMIT:
        raise SystemExit(1)


def measure(task, shots, seed):
    """Yield cases, and whether each raised a warning."""
    one = Draw(task, shots, seed)
    for case, is_case_doubted in (RIGHT | MISTAKES).items():
        yield case, is_case_doubted(one)


class Draw:
    """Labelled pictures of a set, and the ensemble that is fitted on them."""

    def __init__(self, task, shots, seed):
        self.task, self.seed = task, seed
        self.rng = np.random.default_rng(seed)
        rows = task.drawn(shots, self.rng)
        self.X, self.y = task.X[rows], task.codes[rows]
        self.names = np.array(names_of_classes(task.classes, task.class_names))
        self.backbone, self.columns = list(task.blocks.items())[seed % len(task.blocks)]
        self.test = self.rng.permutation(task.test)[:N_PREDICTED]

    def order(self, of):
        return self.rng.permutation(len(of))

    def ensemble(self, names):
        return self.task.ensemble(self.seed, class_names=list(names))

    @cached_property
    def fitted(self):
        """Return the correctly fitted ensemble, and whether its fit warned."""
        clf = self.ensemble(self.names)
        return clf, is_doubted(partial(clf.fit, self.X, self.y))

    def fit(self, *, X=None, y=None, names=None):
        """Return whether a fit warns if some of its input is replaced."""
        clf = self.ensemble(self.names if names is None else names)
        given = self.X if X is None else X, self.y if y is None else y
        return is_doubted(partial(clf.fit, *given))

    def fit_head(self, *, names=None, backbone=None, X=None):
        """Return whether a fit of one head alone warns if some of its input is replaced."""
        names = self.names if names is None else names
        head = ZeroShotHead(backbone or self.backbone, class_names=list(names))
        X = self.X[:, self.columns] if X is None else X
        return is_doubted(partial(head.fit, X, self.y))

    def fit_without(self, code):
        """Return whether a fit warns if labels were numbered without a class that has no rows."""
        rows = self.y != code
        return self.fit(X=self.X[rows], y=self.y[rows] - (self.y[rows] > code))

    def predict(self, X):
        clf, _ = self.fitted
        return is_doubted(partial(clf.predict, X))

    def score(self, *, share=None):
        """Return whether a score warns, on rows of fit, or on other rows with a share of these.

        Parameters
        ----------
        share : float or None
            None: all rows of fit, and no others.
        """
        clf, _ = self.fitted
        X, y = self.rows, self.task.codes[self.test]
        if share is None:
            X, y = self.X, self.y
        else:
            some = self.order(self.y)[: round(share * len(y) / (1 - share))]
            X, y = np.concatenate([X, self.X[some]]), np.concatenate([y, self.y[some]])
        return is_doubted(partial(clf.score, X, y))

    @property
    def rows(self):
        """Return embeddings to predict."""
        return self.task.X[self.test]

    @property
    def rows_of_one_class(self):
        of_one = self.task.codes[self.task.test] == self.rng.integers(len(self.names))
        return self.task.X[self.task.test[of_one][:N_PREDICTED]]

    @cached_property
    def consonants(self):
        """Return names that mean nothing."""
        letters = self.rng.choice(list("bcdfghjklmnpqrstvwxz"), (len(self.names), 6))
        return np.array(["".join(one) for one in letters])

    @cached_property
    def other_model(self):
        """Return a backbone, and embeddings of another one of the same width."""
        own, columns = other_columns(self.task.blocks, self.X.shape[1], self.seed)
        return own, self.X[:, columns]

    def turned(self, X):
        """Return X with its blocks in another order."""
        return np.concatenate(np.split(X, len(self.task.blocks), axis=1)[::-1], axis=1)

    def shuffled(self, X):
        """Return X with the rows of one model in another order."""
        return with_shuffled(X, self.columns, self.rng)


def _in_a_random_order(one):
    order = one.order(one.y)
    return one.fit(X=one.X[order], y=one.y[order])


def _two_names_exchanged(one):
    names, pair = one.names.copy(), one.order(one.names)[:2]
    names[pair] = names[pair[::-1]]
    return one.fit(names=names)


def _labels_of_the_next_row(one):
    order = one.order(one.y)
    return one.fit(X=one.X[order[:-1]], y=np.delete(one.y[order], len(order) // 3))


def _columns_of_another_model(one):
    X, (own, columns) = one.X.copy(), one.other_model
    X[:, one.task.blocks[own]] = columns
    return one.fit(X=X)


def _head_on_another_model(one):
    own, columns = one.other_model
    return one.fit_head(backbone=own, X=columns)


RIGHT = {
    "fit, all as it should be": lambda one: one.fitted[1],
    "fit, rows in a random order": _in_a_random_order,
    "fit, names that mean nothing": lambda one: one.fit(names=one.consonants),
    "fit, the last class without rows": lambda one: one.fit_without(len(one.names) - 1),
    "fit of one head alone, all as it should be": Draw.fit_head,
    "fit of one head alone, names that mean nothing": lambda one: one.fit_head(
        names=one.consonants
    ),
    "predict pictures of all classes": lambda one: one.predict(one.rows),
    "predict pictures of one class": lambda one: one.predict(one.rows_of_one_class),
    "score of other rows": lambda one: one.score(share=0),
    "score of the rows of fit": lambda one: one.score(),
}
MISTAKES = {
    "fit, names moved by one class": lambda one: one.fit(names=np.roll(one.names, -1)),
    "fit, names shuffled": lambda one: one.fit(names=one.rng.permutation(one.names)),
    "fit of one head alone, names shuffled": lambda one: one.fit_head(
        names=one.rng.permutation(one.names)
    ),
    "fit, two names exchanged": _two_names_exchanged,
    "fit, labels numbered without a class that has a name": lambda one: one.fit_without(
        one.rng.integers(len(one.names) - 1)
    ),
    "fit, labels in another order than rows": lambda one: one.fit(y=one.rng.permutation(one.y)),
    "fit, labels of the next row from a third of the rows on": _labels_of_the_next_row,
    "fit, blocks in another order": lambda one: one.fit(X=one.turned(one.X)),
    "fit, rows of one model in another order": lambda one: one.fit(X=one.shuffled(one.X)),
    "fit, columns of one model made by another": _columns_of_another_model,
    "fit of one head alone, columns made by another model": _head_on_another_model,
    "fit, columns moved by one": lambda one: one.fit(X=np.roll(one.X, 1, axis=1)),
    "predict, rows of one model in another order": lambda one: one.predict(one.shuffled(one.rows)),
    "predict, blocks in another order": lambda one: one.predict(one.turned(one.rows)),
    "predict, columns moved by one": lambda one: one.predict(np.roll(one.rows, 1, axis=1)),
    "predict, rows scaled by StandardScaler": lambda one: one.predict(
        StandardScaler().fit(one.X).transform(one.rows)
    ),
    "score, a fifth of the rows are rows of fit": lambda one: one.score(share=0.2),
}


def with_shuffled(X, columns, rng):
    """Return X with the rows of some columns in another order."""
    X = X.copy()
    X[:, columns] = rng.permutation(X[:, columns])
    return X


def other_columns(blocks, n_features, draw):
    """Return a backbone, and the columns of another one with equally many."""
    places = {name: np.arange(n_features)[columns] for name, columns in blocks.items()}
    pairs = [
        (own, columns)
        for (own, its), (_, columns) in permutations(places.items(), 2)
        if len(its) == len(columns)
    ]
    return pairs[draw % len(pairs)]


def are_of_one_class(X, codes):
    """Return which rows equal no row of another class."""
    picture = np.unique(X, axis=0, return_inverse=True)[1].ravel()
    pictures, _ = np.unique(np.stack([picture, codes], axis=1), axis=0).T
    return np.bincount(pictures)[picture] == 1


def is_doubted(run):
    """Return whether a call warns."""
    return any(CUT_OFF not in one for one in said(run))


def said(run):
    """Return the warnings of a call."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run()
    return [str(one.message) for one in told if issubclass(one.category, UserWarning)]


def report(cases, columns, doubted, transpose=False):
    """Return the shares of calls that warned, in %, in Markdown."""
    table = [
        [case, *(f"{100 * np.mean(doubted[case, column]):.0f}" for column in columns)]
        for case in cases
    ]
    rows = [["warning, %", *map(str, columns)], *table]
    header, *rows = zip(*rows, strict=True) if transpose else rows
    return markdown(header, rows) + "\n"


if __name__ == "__main__":
    main()

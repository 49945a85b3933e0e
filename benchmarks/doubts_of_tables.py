"""How often there are warnings about tables of numbers: ordinary ones, and after a mistake.

    python -m benchmarks.doubts_of_tables

Fails if more than a few correct uses get a warning.
"""

from collections import defaultdict
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn import datasets
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skclipens import AdaptiveBackboneEnsemble

from ._machine import heading, markdown, parser_of
from .doubts import conclude, said

TABLES = ("iris", "wine", "breast_cancer", "digits", "diabetes")
N_ROWS = (30, 100, 300, 1000)
N_PREDICTED = 200  # rows at most
KINDS = {
    "an index": "like an index",
    "a column beside which others vanish": "of the variance of what",
    "a column made of labels": "one value for each class",
    "nothing said of y": "X does not predict y",
    "another unit in predict": "are mostly far from those of fit",
    "scaled by the rows to predict": "were centred on the rows of fit",
    "labels exchanged in score": "if these labels were exchanged",
    "right as by chance in score": "as by chance, though",
    "any other": "",
}
_NOTE = """\
Shares of uses that raise a warning. A use is a fit on 30 to 1,000 rows, where a table has that many
and a third more, a prediction of at most 200 others, and its score. {draws} draws of each of
scikit-learn's tables, diabetes as three classes of equal size. All columns are scaled by a
StandardScaler that was fitted on the rows of `fit`, unless a case says otherwise: "as it is" is
beside others of the same spread. A column that is added knows something of the classes in every
second draw. Thresholds were chosen with the first cases in view, on draws of the same tables; the
cases after "prices that grow" were added afterwards, and changed nothing. In a permutation test,
labels are in another order on purpose.
"""


def main(arguments=None):
    """Run the program."""
    parser = parser_of("doubts_of_tables", __doc__)
    parser.add_argument("--tables", nargs="+", default=TABLES, choices=TABLES)
    parser.add_argument("--draws", type=int, default=4)
    options = parser.parse_args(arguments)
    title = "Warnings of mistakes in tables: how often, and how often wrongly"
    print(heading(title, "doubts_of_tables", arguments))
    print(_NOTE.format(draws=options.draws))
    by_number, by_table, kinds = defaultdict(list), defaultdict(list), defaultdict(list)
    for name, draw, n in product(options.tables, range(options.draws), N_ROWS):
        X, y = table_of(name)
        if 3 * len(y) < 4 * n:
            continue
        for case, make in (RIGHT | ADDED | MISTAKES).items():
            with threadpool_limits(1, user_api="blas"):
                told = said(partial(_use, *make(Draw(X, y, n, draw))))
            by_number[case, n].append(bool(told))
            by_table[case, name].append(bool(told))
            kinds[case].append({kind_of(one) for one in told})
    columns = {"cases that were known, %": RIGHT, "cases added afterwards, %": ADDED}
    print(of_kinds(kinds, KINDS, columns))
    conclude([*RIGHT, *ADDED], MISTAKES, N_ROWS, by_number, by_table)


def of_kinds(found, kinds, cases):
    """Return the shares of uses that raise each kind of warning, in Markdown.

    Parameters
    ----------
    found : dict of str to list of set of str
        Kinds of which the uses of each case were warned.
    kinds : iterable of str
    cases : dict of str to iterable of str
        Cases of each column.
    """
    header = ["kind of warning", *cases]
    columns = [[told for case in some for told in found[case]] for some in cases.values()]
    rows = [
        [kind, *(_percent([kind in one for one in told]) for told in columns)] for kind in kinds
    ]
    rows.append(["any of these", *(_percent(list(map(bool, told))) for told in columns)])
    return markdown(header, rows) + "\n"


def _percent(doubted):
    return f"{100 * np.mean(doubted):.1f}"


def kind_of(message):
    """Return the kind of a warning."""
    return next(kind for kind, words in KINDS.items() if words in message)


def table_of(name):
    """Return a table of scikit-learn, and its classes."""
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return X, np.digitize(y, np.quantile(y, [1 / 3, 2 / 3])) if name == "diabetes" else y


def _use(X, y, new, labels):
    """Fit an ensemble and score it on new rows."""
    AdaptiveBackboneEnsemble(random_state=0).fit(X, y).score(new, labels)


class Draw:
    """Rows of a table to fit on, and others to predict."""

    def __init__(self, X, y, n, seed):
        self.rng = np.random.default_rng(seed)
        order = self.rng.permutation(len(y))[: n + N_PREDICTED]
        order = order[np.isin(y[order], y[order[:n]])]
        self.X, self.y, self.n, self.seed = X[order], y[order], n, seed

    @property
    def level(self):
        """Return a number for each row; in every second draw it depends on the class."""
        noise = self.rng.normal(size=len(self.y))
        return noise + self.seed % 2 * (self.y - self.y.mean()) / self.y.std()

    def split(self, X):
        """Return the table, split into rows to fit and rows to score."""
        return X[: self.n], self.y[: self.n], X[self.n :], self.y[self.n :]

    def scaled(self, X):
        return StandardScaler().fit(X[: self.n]).transform(X)

    def beside(self, column, *, name="other", as_it_is=False):
        """Return the split table with one more column or several, named `name` or without names."""
        column = np.asarray(column, float).reshape(len(self.y), -1)
        if as_it_is:
            X = np.c_[self.scaled(self.X) * column.std(axis=0).max(), column]
        else:
            X = self.scaled(np.c_[self.X, column])
        if name is None:
            return self.split(X)
        names = [f"column {i}" for i in range(X.shape[1])]
        return self.split(pd.DataFrame(X, columns=[*names[:-1], name]))

    @property
    def amounts(self):
        return np.round(np.exp(8 + 1.5 * self.level), -1)

    @property
    def counts(self):
        level = self.level
        return np.where(level > 0.5, self.rng.poisson(np.exp(level)), 0)

    @property
    def near_amounts(self):
        """Return amounts that are either 0 or near 100."""
        return np.where(self.level > 0, np.round(100 + 5 * self.rng.normal(size=len(self.y))), 0)

    @property
    def ranks(self):
        return rankdata(self.level, "ordinal")

    @property
    def years(self):
        """Return years: eight for the rows to fit, and the next three for those to predict."""
        later = len(self.y) - self.n
        return np.r_[2010 + np.arange(self.n) * 8 // self.n, 2018 + np.arange(later) * 3 // later]

    def weak(self):
        """Return columns that depend little on the classes."""
        X = self.rng.normal(size=(len(self.y), 8))
        return X + 0.2 * self.rng.normal(size=(self.y.max() + 1, 8))[self.y]

    def changed(self, change):
        """Return the split table with one column changed in the rows to predict."""
        X, column = self.X.copy(), np.ptp(self.X[: self.n], axis=0).argmax()
        X[self.n :, column] = change(X[self.n :, column])
        return self.split(self.scaled(X))


def _a_column(of, **how):
    return lambda one: one.beside(of(one), **how)


def _kinds(one):
    """Return a one-hot code of six kinds, some of them rare."""
    edges = [-1.5, -0.5, 0.5, 1, 2]
    return np.eye(6)[np.digitize(one.level, edges)]


def _row_numbers(one):
    return one.rng.permutation(2 * len(one.y))[: len(one.y)]


def _sorted_row_numbers(one):
    """Return the row numbers of rows drawn from a table that is sorted by class."""
    return np.argsort(np.argsort(one.y, kind="stable"))


def _scaled_anew(one):
    X, y, new, labels = one.split(one.X)
    return StandardScaler().fit_transform(X), y, StandardScaler().fit_transform(new), labels


def _not_scaled(one):
    X, y, _, labels = one.split(one.scaled(one.X))
    return X, y, one.X[one.n :], labels


def _labels_shuffled(one):
    X, y, new, labels = one.split(one.scaled(one.X))
    return X, one.rng.permutation(y), new, labels


def _scored_otherwise(one):
    X, y, new, labels = one.split(one.scaled(one.X))
    return X, y, new, (labels + 1) % (labels.max() + 1)


def _scored_in_another_order(one):
    X, y, new, labels = one.split(one.scaled(one.X))
    return X, y, new, one.rng.permutation(labels)


def _flag_of_a_rare_class(one):
    """Return a table with two classes, one with three rows in ``fit``, and a flag of this class."""
    one.y = np.zeros_like(one.y)
    one.y[[0, 9, 20, one.n, one.n + 9]] = 1
    return one.beside(one.y)


RIGHT = {
    "the table": lambda one: one.split(one.scaled(one.X)),
    "weak signals": lambda one: one.split(one.weak()),
    "counts, many are 0": _a_column(lambda one: one.counts),
    "counts, many are 0, as it is": _a_column(lambda one: one.counts, as_it_is=True),
    "0, or about 100": _a_column(lambda one: one.near_amounts),
    "0, or about 100, as it is": _a_column(lambda one: one.near_amounts, as_it_is=True),
    "skewed amounts": _a_column(lambda one: one.amounts),
    "ratings from 1 to 5": _a_column(lambda one: np.clip(np.round(3 + one.level), 1, 5)),
    "ratings from 1 to 5, as it is": _a_column(
        lambda one: np.clip(np.round(3 + one.level), 1, 5), as_it_is=True
    ),
    "up to 100 %, where many are": _a_column(
        lambda one: np.minimum(np.round(80 + 25 * one.level), 100)
    ),
    "a flag": _a_column(lambda one: one.level > 0.5),
    "a rare flag": _a_column(lambda one: one.level > 1.5),
    "a rare flag, as it is": _a_column(lambda one: one.level > 1.5, as_it_is=True),
    "a flag that knows a rare class": _flag_of_a_rare_class,
    "a one-hot code": _a_column(_kinds),
    "ranks": _a_column(lambda one: one.ranks, name="rank"),
    "ranks, as it is": _a_column(lambda one: one.ranks, name="rank", as_it_is=True),
    "ranks, as it is, without names": _a_column(lambda one: one.ranks, name=None, as_it_is=True),
    "years": _a_column(lambda one: one.rng.permutation(one.years)),
    "years, the following ones in predict": _a_column(lambda one: one.years),
    "prices that grow by 3 % in a year": _a_column(
        lambda one: np.exp(one.level / 2) * 1.03 ** (one.years - 2010)
    ),
}
# Added after thresholds were chosen.
ADDED = {
    "months": _a_column(lambda one: one.rng.integers(1, 13, len(one.y))),
    "postcodes": _a_column(lambda one: one.rng.integers(10_000, 99_999, len(one.y))),
    "ages": _a_column(lambda one: np.clip(np.round(45 + 15 * one.level), 0, 100)),
    "temperatures, of a warmer season in predict": _a_column(
        lambda one: 15 + 5 * one.level + 8 * (np.arange(len(one.y)) >= one.n)
    ),
    "latitudes and longitudes": _a_column(
        lambda one: np.c_[50 + 3 * one.level, 10 + 5 * one.rng.normal(size=len(one.y))]
    ),
    "shares of rare words": _a_column(
        lambda one: (one.rng.random((len(one.y), 5)) < 0.1) * one.rng.random((len(one.y), 5))
    ),
    "logarithms of amounts, many are 0": _a_column(
        lambda one: np.log1p(np.where(one.level > 0, one.amounts, 0))
    ),
    "counts that grow by 10 % in a year": _a_column(
        lambda one: one.rng.poisson(20 * 1.1 ** (one.years - 2010))
    ),
}
MISTAKES = {
    "row numbers, in order": _a_column(lambda one: np.arange(len(one.y)), as_it_is=True),
    "row numbers, of some rows": _a_column(_row_numbers, name="Unnamed: 0", as_it_is=True),
    "row numbers, of some rows, without names": _a_column(_row_numbers, name=None, as_it_is=True),
    "row numbers, of some rows of a table sorted by class, without names": _a_column(
        _sorted_row_numbers, name=None, as_it_is=True
    ),
    "a column of the labels": _a_column(lambda one: one.y),
    "a column in thousands, not scaled": lambda one: one.split(
        np.c_[one.scaled(one.X), 1000 * one.level]
    ),
    "labels in another order": _labels_shuffled,
    "predict, rows not scaled": _not_scaled,
    "predict, rows scaled by fit_transform": _scaled_anew,
    "predict, a column times 100": lambda one: one.changed(lambda values: 100 * values),
    "predict, a column times 2.54": lambda one: one.changed(lambda values: 2.54 * values),
    "predict, a column of zeros": lambda one: one.changed(np.zeros_like),
    "score, labels numbered otherwise": _scored_otherwise,
    "score, labels in another order": _scored_in_another_order,
}


if __name__ == "__main__":
    main()

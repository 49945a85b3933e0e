"""How often there are warnings about pictures beside numbers: in correct uses, and after a mistake.

    python -m benchmarks.doubts_of_mixed_tables --datasets local photographs --data-home DATA_HOME

Fails if more than a few correct uses get a warning. Embeddings are kept in the work folder.
"""

from collections import defaultdict
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from skclipens import AdaptiveBackboneEnsemble
from skclipens.labels import group_near_duplicates

from ._machine import heading
from ._options import backbones_of, parser_of_sets, sets_of
from .doubts import CUT_OFF, are_of_one_class, conclude, said
from .doubts_of_tables import of_kinds
from .paper._embedding import PLAIN, embed

N_ROWS = (30, 100, 300)
N_PREDICTED = 200  # rows at most
N_CLASSES = 10  # at most
OF_A_CLASS = 10  # rows at least, on average
OF_A_THING = 3  # pictures
KINDS = {
    "pictures say nothing of y": "The pictures do not predict y",
    "nothing said of y": "X does not predict y",
    "pictures of one thing": "have the same numbers and label",
    "one picture in many rows": "are of one picture",
    "one picture with two labels": "are of the same picture",
    "near-duplicates": "near-duplicates",
    "any other": "",
}
_NOTE = """\
Shares of uses that raise a warning, other than that prompts are too long. A use is a fit on 30 to
300 rows, where a set has that many pictures and a third more, a prediction of at most 200 others,
and their score. {draws} draws of at most 10 classes of each set, three for 30 rows; pictures are
real, and numbers are drawn around means of the classes and scaled on the rows of `fit`. Classes
have their names, except where labels depend on numbers. Of near-duplicates one is used. A thing has
three pictures in three rows, with the same numbers; "one row a thing" are such numbers without the
other rows. Products are returned or kept; where some rows have another label, they are reduced, by
a number, and other products are predicted. That pictures say nothing of y is right where labels
depend on numbers alone, and asks to leave them out. Thresholds were chosen on other tables, before
this program was written, but for what its false alarms changed: the rules of one picture in many
rows or with several labels, of rows of `fit` in `score`, and of pictures that say nothing of y.
"""


def parse(arguments):
    parser = parser_of_sets("doubts_of_mixed_tables", __doc__, datasets=["local"])
    parser.add_argument("--draws", type=int, default=4)
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the program."""
    options = parse(arguments)
    backbones = backbones_of(options)
    title = "Warnings of mistakes with pictures beside numbers: how often, and how often wrongly"
    print(heading(title, "doubts_of_mixed_tables", arguments))
    print(_NOTE.format(draws=options.draws))
    by_number, by_set, kinds = defaultdict(list), defaultdict(list), defaultdict(list)
    for dataset, work in sets_of(options):
        X, y = embedded(dataset, backbones, work)
        for draw, n in product(range(options.draws), N_ROWS):
            if len(Draw(X, y, n, draw).y) * 3 < n * 4:
                continue
            for case, make in (RIGHT | MISTAKES).items():
                one = Draw(X, y, n, draw)
                told = said(partial(_use, dataset.prompts, one, *make(one)))
                told = [text for text in told if CUT_OFF not in text]
                by_number[case, n].append(bool(told))
                by_set[case, dataset.name].append(bool(told))
                kinds[case].append({_kind_of(text) for text in told})
    print(of_kinds(kinds, KINDS, {"right uses, %": RIGHT, "mistakes, %": MISTAKES}))
    conclude(RIGHT, MISTAKES, N_ROWS, by_number, by_set)


def embedded(dataset, backbones, work):
    """Return embeddings of pictures that differ, each with one label, (n, columns), and labels."""
    X = np.array(embed(dataset, backbones, work))
    names = PLAIN.embedder(backbones).get_feature_names_out()
    y = np.asarray(dataset.y)
    is_one = are_of_one_class(X, np.unique(y, return_inverse=True)[1])
    X, y = X[is_one], y[is_one]
    first = np.unique(group_near_duplicates(X), return_index=True)[1]
    return pd.DataFrame(X[first], columns=names), y[first]


def _kind_of(message):
    return next(kind for kind, words in KINDS.items() if words in message)


def _use(prompts, draw, table, y, groups=None):
    """Fit an ensemble and score it on new rows."""
    n = min(draw.n, len(y) * 3 // 4)
    prompts = prompts if set(y) <= set(draw.y) else {}
    of_fit = None if groups is None else groups[:n]
    clf = AdaptiveBackboneEnsemble(random_state=draw.seed, **prompts)
    is_known = np.isin(y[n:], y[:n])
    clf.fit(table[:n], y[:n], groups=of_fit).score(table[n:][is_known], y[n:][is_known])


class Draw:
    """Pictures of some classes; the first n are for `fit`, and the others to predict."""

    def __init__(self, X, y, n, seed):
        self.rng = np.random.default_rng(seed)
        classes = self.rng.permutation(np.unique(y))[: min(N_CLASSES, n // OF_A_CLASS)]
        rows = self.rng.permutation(np.flatnonzero(np.isin(y, classes)))
        rows = rows[: n + N_PREDICTED]
        rows = rows[np.isin(y[rows], y[rows[:n]])]
        self.X, self.y, self.n, self.seed = X.iloc[rows], y[rows], n, seed

    @property
    def codes(self):
        return np.unique(self.y, return_inverse=True)[1]

    @property
    def things(self):
        """Return numbers of things, of which each has some pictures of one class."""
        within = pd.Series(self.y).groupby(self.y).cumcount().to_numpy()
        return self.codes + (self.codes.max() + 1) * (within // OF_A_THING)

    def around(self, noise, n_columns=3):
        """Return numbers around means of classes, which have variance 1; (n, n_columns)."""
        means = self.rng.normal(size=(self.codes.max() + 1, n_columns))[self.codes]
        drawn = self.rng.normal(size=means.shape)
        return drawn if np.isinf(noise) else means + noise * drawn

    def of_things(self, numbers):
        """Return numbers that all rows of a thing share."""
        _, first, inverse = np.unique(self.things, return_index=True, return_inverse=True)
        return numbers[first[inverse]]

    def beside(self, numbers, rows=None):
        """Return a table of pictures beside numbers; `rows` are those of the pictures."""
        numbers = np.asarray(numbers, float).reshape(len(numbers), -1)
        scaled = StandardScaler().fit(numbers[: self.n]).transform(numbers)
        pictures = self.X if rows is None else self.X.iloc[rows]
        columns = [f"number {i}" for i in range(scaled.shape[1])]
        table = pd.DataFrame(scaled.astype(np.float32), columns=columns)
        return pd.concat([pictures.reset_index(drop=True), table], axis=1)

    def replaced(self, share):
        """Return rows of pictures where a share is one and the same, as a placeholder is."""
        rows = np.arange(len(self.y))
        rows[self.rng.random(len(rows)) < share] = 0
        return rows

    def popular(self, exponent):
        """Return rows of the pictures of products, few of which are in most rows."""
        n_products = len(self.y) // 3
        p = (1 + np.arange(n_products)) ** -float(exponent)
        return self.rng.choice(n_products, len(self.y), p=p / p.sum())


def _numbers_of(noise):
    return lambda one: (one.beside(one.around(noise)), one.y)


def _ages(one):
    """Return ages that nearly tell the class, whether they are below 18, and their group."""
    ages = 10 * one.codes + one.rng.integers(0, 12, len(one.y))
    return one.beside(np.c_[ages, ages < 18, np.eye(8)[ages // 15]]), one.y


def _prices_of_shops(one):
    prices = np.round(np.exp(3 + one.codes / 4 + one.rng.normal(size=len(one.y)) / 4))
    return one.beside(np.c_[prices, np.eye(3)[one.rng.integers(0, 3, len(one.y))]]), one.y


def _things(*, groups=False, one_row=False, noise=1.0):
    def make(one):
        numbers, things = one.of_things(one.around(noise)), one.things
        if one_row:
            rows = np.sort(np.unique(things, return_index=True)[1])
            return one.beside(numbers).iloc[rows], one.y[rows]
        return (one.beside(numbers), one.y, *([things] if groups else []))

    return make


def _things_of_a_code(one):
    """Return things with a postal code and two counts."""
    codes = one.rng.integers(10_000, 99_999, len(one.y))
    counts = np.clip(np.round(2 + one.around(0.5, 2)), 0, 5)
    return one.beside(one.of_things(np.c_[codes, counts])), one.y


def _products(exponent, *, shuffled=False):
    """Return products in several rows; labels depend on the picture, a number and chance."""

    def make(one):
        rows, numbers = one.popular(exponent), one.around(np.inf)
        level = 2 * (one.codes[rows] % 2) - 1 + numbers[:, 0] + one.around(np.inf, 1)[:, 0]
        pictures = one.rng.permutation(rows) if shuffled else rows
        return one.beside(numbers, pictures), np.where(level > 0, "returned", "kept")

    return make


def _offers(share, *, wrong=False):
    """Return products in several rows; by a number, a share are reduced. Others are predicted.

    Or a share have labels of any rows, whatever the number, as wrong ones are.
    """

    def make(one):
        numbers, half = one.around(np.inf), len(one.y) // 2
        rows = one.rng.integers(0, half // 3, len(one.y))
        rows[one.n :] += half
        level = one.rng.random(len(rows)) if wrong else numbers[:, 0]
        other = one.rng.permutation(one.y) if wrong else "reduced"
        is_other = level > np.quantile(level, 1 - share)
        return one.beside(numbers, rows), np.where(is_other, other, one.y[rows])

    return make


def _labels_of_numbers(one):
    numbers = one.around(np.inf)
    bands = np.digitize(numbers[:, 0] + 0.3 * one.around(np.inf, 1)[:, 0], [-0.5, 0.5])
    return one.beside(numbers), np.array(["low", "middle", "high"])[bands]


def _placeholder(share, noise):
    return lambda one: (one.beside(one.around(noise), one.replaced(share)), one.y)


def _pictures_in_another_order(noise):
    return lambda one: (one.beside(one.around(noise), one.rng.permutation(len(one.y))), one.y)


def _labels_in_another_order(one):
    return one.beside(one.around(1)), one.rng.permutation(one.y)


RIGHT = {
    "numbers that tell most": _numbers_of(0.4),
    "numbers that tell much": _numbers_of(1.5),
    "numbers that tell a little": _numbers_of(3),
    "numbers that tell nothing": _numbers_of(np.inf),
    "ages that nearly tell the class, with flags of them": _ages,
    "whole prices, and three shops": _prices_of_shops,
    "three pictures of a thing, with groups": _things(groups=True),
    "one row a thing": _things(one_row=True),
    "products in several rows": _products(0),
    "products, some in many rows": _products(1),
    "products, few of them in most rows": _products(1.5),
    "products, a twentieth of whose rows have another label": _offers(0.05),
    "products, a fifth of whose rows have another label": _offers(0.2),
}
MISTAKES = {
    "pictures in another order than numbers that tell most": _pictures_in_another_order(0.4),
    "pictures in another order than numbers that tell much": _pictures_in_another_order(1.5),
    "pictures in another order, products in several rows": _products(0, shuffled=True),
    "pictures in another order, some products in many rows": _products(1, shuffled=True),
    "labels in another order": _labels_in_another_order,
    "products in several rows, a fiftieth with a wrong label": _offers(0.02, wrong=True),
    "labels that depend on numbers alone": _labels_of_numbers,
    "three pictures of a thing, without groups": _things(),
    "three pictures of a thing with a postal code, without groups": _things_of_a_code,
    "one picture in place of a tenth, numbers that tell much": _placeholder(0.1, 1.5),
    "one picture in place of a third, numbers that tell much": _placeholder(0.3, 1.5),
    "one picture in place of a third, numbers that tell nothing": _placeholder(0.3, np.inf),
}


if __name__ == "__main__":
    main()

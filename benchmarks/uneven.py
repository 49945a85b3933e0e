"""The default ensemble on classes with different numbers of rows, as in most tables.

    python -m benchmarks.uneven --data-home DATA_HOME
    python -m benchmarks.uneven --heads --rows 800 2000 5000 --data-home DATA_HOME
    python -m benchmarks.uneven --balanced --data-home DATA_HOME

It is compared with the ensemble without its corrections for classes with few rows, and with a
logistic regression on the same columns, whose C is searched. With ``--heads`` it is compared with
pools that have a linear discriminant and a logistic head on all blocks; with ``--balanced``, where
all classes weigh the same, with other ways to use these weights. Draws and test pictures are the
same. Embeddings are kept in the work folder.
"""

from contextlib import contextmanager, nullcontext
from statistics import harmonic_mean
from unittest.mock import patch

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, balanced_accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from skclipens.heads import _discriminant, names_of_classes

from ._machine import describe, heading, markdown_of
from ._options import backbones_of, parser_of_sets, sets_of
from .labels import Task
from .paper._sets import N_TEST, PER_CLASS

DEFAULT, WITHOUT, LOGISTIC = "default", "without corrections", "logistic regression"
COME, TAIL, RARE = "as they come", "a long tail", "one class against the rest"
POOLS = {
    "discriminant on all": ["zero-shot", "kernel", "linear-all"],
    "logistic head on all": ["zero-shot", "kernel", "logistic-all"],
}
OF_ROWS, OF_PROBABILITIES = "weights of rows", "weights of probabilities"
POWERS = {OF_ROWS: (1, 0), OF_PROBABILITIES: (0, 1)}
MEAN = "rows per class"
NUMBERS = (60, 200, 800)
_STEEPNESS = 6  # of the long tail: the first class is 2 ** 6 times as frequent as the last
_FEWEST = 3  # rows of a rare class
_RARE, _REST = "it", "rest"
_NOTE = f"""\
{{draws}} draws, seeds 0 to {{last}}. So many training rows are drawn in all, and not of each class.
*{COME}*: at random, so classes are as frequent as in the set. *{TAIL}*: the most frequent class
is {2**_STEEPNESS} times as frequent as the rarest, in another order of the classes in each draw,
and the same among test pictures. *{RARE}*: one class, another in each draw, of which at least
{_FEWEST} rows train; the rest is called "something else". {{about}} Recall is
the mean over classes. Log-losses are of test pictures whose class was trained. Each is a mean over
sets, without those of fewer rows than 1.1 times those that are drawn.
"""
_OF_CORRECTIONS = f"""*{WITHOUT}*: discriminants without
offsets for means of few rows, and prompts that lead rows out of distribution without the
frequencies of classes. *{LOGISTIC}*: C of 0.1 to 1,000, by the accuracy on four folds."""
_OF_HEADS = f"*{MEAN}*: their harmonic mean over classes."
_OF_WEIGHTS = f"""*{DEFAULT}*: with ``class_weight="balanced"``, so
square roots of the weights are weights of rows, and of probabilities. *{OF_ROWS}*,
*{OF_PROBABILITIES}*: all of the weights is. *{LOGISTIC}*: with balanced weights, C of 0.1 to
1,000, by the mean recall on four folds. In log-losses all classes weigh the same."""


class Reweighted:
    """An ensemble, with powers of balanced weights as weights of rows and of probabilities."""

    def __init__(self, ensemble, of_rows, of_probabilities):
        self.ensemble, self.of_rows, self.of_probabilities = ensemble, of_rows, of_probabilities

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.weights = compute_class_weight("balanced", classes=self.classes_, y=y)
        of_rows = self.weights[np.searchsorted(self.classes_, y)] ** self.of_rows
        self.ensemble.fit(X, y, sample_weight=of_rows)
        return self

    def predict_proba(self, X):
        p = self.ensemble.predict_proba(X) * self.weights**self.of_probabilities
        return p / p.sum(axis=1, keepdims=True)


def parse(arguments):
    parser = parser_of_sets("uneven", __doc__)
    add = parser.add_argument
    add("--draws", type=int, default=5)
    add("--rows", nargs="+", type=int, default=NUMBERS, help="numbers of training rows")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--heads", action="store_true", help="compare heads on all blocks")
    which.add_argument("--balanced", action="store_true", help="all classes weigh the same")
    add("--per-class", type=int, default=PER_CLASS, help="at most, in a training pool")
    add("--n-test", type=int, default=N_TEST, help="at most, where a set has a test part")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the program."""
    options = parse(arguments)
    backbones, cells = backbones_of(options), []
    rivals, about = (WITHOUT, LOGISTIC), _OF_CORRECTIONS
    if options.heads:
        rivals, about = tuple(POOLS), _OF_HEADS
    elif options.balanced:
        rivals, about = (OF_ROWS, OF_PROBABILITIES, LOGISTIC), _OF_WEIGHTS
    limits = {"per_class": options.per_class, "n_test": options.n_test}
    for dataset, work in sets_of(options, **limits):
        task = Task(dataset, backbones, work)
        for draw in range(options.draws):
            for n_rows in options.rows:
                if n_rows * 1.1 <= len(task.pool):
                    cells += measure(task, n_rows, draw, rivals)
    print(heading("Classes of uneven size", "uneven", arguments))
    print(describe(["scikit-learn", "torch", "numpy"]) + "\n")
    print(_NOTE.format(draws=options.draws, last=options.draws - 1, about=about))
    print(report(pd.DataFrame(cells), rivals))


def measure(task, n_rows, draw, rivals):
    """Yield a row of scores for each case and system."""
    for case in (COME, TAIL, RARE):
        rng = np.random.default_rng(draw)
        y, names, train, test = drawn(task, case, n_rows, rng)
        sizes = np.unique(y[train], return_counts=True)[1].tolist()
        mean = {MEAN: harmonic_mean(sizes)} if rivals == tuple(POOLS) else {}
        for system, clf in systems(task, draw, names, rivals):
            with without_offsets() if system == WITHOUT else nullcontext():
                clf.fit(task.X[train], y[train])
                if system == WITHOUT and clf._support is not None:
                    clf._support = clf._support._replace(log_prior=np.zeros(len(clf.classes_)))
                p = clf.predict_proba(task.X[test])
            found = {"case": case, "rows": n_rows, "set": task.name, "system": system}
            of = scores(clf.classes_, p, y[test], balanced=OF_ROWS in rivals)
            yield found | of | mean


def drawn(task, case, n_rows, rng):
    """Return labels, names of classes, and the training and test rows."""
    pool, test = task.pool, task.test
    if case == TAIL:
        weights = 0.5 ** (_STEEPNESS * rng.permutation(len(task.classes)) / len(task.classes))
        train = _weighted(task.codes, pool, min(n_rows, len(pool) // 2), weights, rng)
        return (
            task.y,
            task.class_names,
            train,
            _weighted(task.codes, test, len(test) // 2, weights, rng),
        )
    train = rng.permutation(pool)[:n_rows]
    if case == COME:
        return task.y, task.class_names, train, test
    n_rows_of = np.bincount(task.codes[train], minlength=len(task.classes))
    rare = rng.choice(np.flatnonzero(n_rows_of >= _FEWEST))
    name = names_of_classes(task.classes, task.class_names)[rare]
    y = np.where(task.codes == rare, _RARE, _REST)
    return y, {_RARE: name, _REST: "something else"}, train, test


def _weighted(codes, rows, n, of_class, rng):
    """Draw n rows, with weights of classes that do not depend on their sizes."""
    weights = of_class[codes[rows]] / np.bincount(codes[rows])[codes[rows]]
    return rng.choice(rows, n, replace=False, p=weights / weights.sum())


def systems(task, draw, names, rivals):
    """Yield pairs of a name and a classifier: the default, and its rivals."""
    search = {"C": [0.1, 1, 10, 100, 1000]}
    folds = KFold(4, shuffle=True, random_state=0)
    weights, scoring = ("balanced", "balanced_accuracy") if OF_ROWS in rivals else (None, None)
    options = {"class_names": names, "memory": None}
    for system in (DEFAULT, *rivals):
        if system == LOGISTIC:
            one = LogisticRegression(max_iter=1000, class_weight=weights)
            yield system, GridSearchCV(one, search, cv=folds, scoring=scoring)
        elif system in POWERS:
            yield system, Reweighted(task.ensemble(draw, **options), *POWERS[system])
        else:
            head = POOLS.get(system, "auto")
            yield system, task.ensemble(draw, head=head, class_weight=weights, **options)


@contextmanager
def without_offsets():
    """Return a context in which discriminants have no offsets for means of few rows."""
    with patch.object(_discriminant, "_OF_NOISE", 0):
        yield


def scores(classes, p, y, *, balanced=False):
    """Return scores of probabilities, in % except for the log-loss."""
    known = np.isin(y, classes)
    weights = compute_sample_weight("balanced", y[known]) if balanced else None
    said = classes[p.argmax(axis=1)]
    found = {
        "accuracy": 100 * np.mean(said == y),
        "recall": 100 * balanced_accuracy_score(y, said),
        "log-loss": log_loss(y[known], p[known], labels=classes, sample_weight=weights),
    }
    if _RARE in classes:
        of_rare = p[:, classes == _RARE].ravel()
        found["average precision"] = 100 * average_precision_score(y == _RARE, of_rare)
    return found


def report(cells, rivals):
    """Return a table for each case, and the differences of accuracies for each set."""
    texts = []
    for case, rows in cells.groupby("case", sort=False):
        measured = [name for name in rows.columns[4:] if rows[name].notna().any()]
        measured = sorted(measured, key=MEAN.__eq__)  # last
        by_set = rows.groupby(["rows", "set", "system"], sort=False)[measured].mean()
        means = by_set.groupby(["rows", "system"], sort=False).mean()
        table = means.map("{:.1f}".format).assign(
            **{"log-loss": means["log-loss"].map("{:.3f}".format)}
        )
        compared = "recall" if OF_ROWS in rivals else "accuracy"
        wide = by_set[compared].unstack("system")
        gains = wide[[DEFAULT]].to_numpy() - wide[[*rivals]]
        gains = gains.map("{:+.1f}".format).agg("; ".join, axis=1).unstack("rows").fillna("")
        texts += [f"## {case.capitalize()}", markdown_of(table.reset_index().set_index("rows"))]
        of_rivals = "; of ".join(f"*{name}*" for name in rivals)
        texts += [f"{compared.capitalize()} of the default, minus that of {of_rivals}:"]
        texts += [markdown_of(gains)]
    return "\n\n".join(texts)


if __name__ == "__main__":
    main()

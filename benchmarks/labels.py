"""Find wrong labels, pictures to label next, and pictures of none of the classes, beside rivals.

    python -m benchmarks.labels issues suggest none --datasets emoji caltech101-odd --work WORK

Validation sets are ``--datasets validation``; what was chosen by them is
``RIVAL_C``, and constants of skclipens.labels. Embeddings are kept in the work folder.
"""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from threadpoolctl import threadpool_limits

from skclipens import AdaptiveBackboneEnsemble
from skclipens.labels import OpenSetClassifier, find_label_issues, suggest
from skclipens.labels._held_out import held_out_logits
from skclipens.model_selection._intervals import paired_interval

from ._machine import heading, markdown_of, points
from ._options import backbones_of, parser_of_sets
from .paper import _sets
from .paper._embedding import PLAIN, blocks_of, embed
from .paper._experiments import digest_of_sources

RATES = (0.0, 0.1, 0.2, 0.4)  # of labels that are flipped, to any other class
PER_CLASS = 20  # rows, among which labels are flipped
ROUNDS, POOL = 5, 24  # rounds, each of as many pictures as there are classes; pictures of a class
SHOTS = (1, 4, 16)  # of the known classes
RIVAL_C = 1.0  # to find wrong labels: of 0.1, 1, 10, 100 by average precision on validation sets
_TITLES = {
    "issues": "Doubtful labels",
    "suggest": "Pictures to label next",
    "none": "None of these",
}
_NOTES = {
    "issues": """\
Of {per_class} pictures a class, some labels are exchanged for any other class. *Ours* is
`find_label_issues` on the default ensemble, fitted once; *cleanlab, our probabilities* is
`cleanlab.filter.find_label_issues`, as it comes, on the same held-out probabilities;
*cleanlab, LogisticRegression* is the same on `cross_val_predict` in five folds (C = 1, chosen of
0.1, 1, 10 and 100 on validation sets). Precision and recall of what is marked, and average
precision of the ranking, in %; with nothing flipped, the share of labels that is marked all the
same. The quality is a probability that the label is right; of cleanlab it is the held-out
probability of the label.""",
    "suggest": """\
It begins with one labelled picture per class, drawn. In each round as many are labelled as there
are classes. All ways to choose teach the same classifier, the default ensemble; test pictures are
fixed. *Margin*: the smallest difference of the two largest probabilities of the ensemble. *BADGE*
and *CoreSet* (k-center) are scikit-activeml's; BADGE has a LogisticRegression (C = 10). Accuracy in
%, and its difference from ours in points with the 95% interval of a bootstrap over pictures and
draws.""",
    "none": """\
Half of the classes, drawn, are known. AUROC in % of telling test pictures of these from those of
the other classes, and at the default `reject_rate=0.05` the shares of both that are rejected.
*Max-softmax* is the largest probability; of the single backbones, each with a zero-shot and a
residual head, the best is taken with hindsight.""",
}
_INTERVALS = {
    part: "Mean over {draws} draws, seeds 0 to {last}"
    + ("." if part == "suggest" else ", with the 95% t interval over draws.")
    for part in _NOTES
}


def parse(arguments):
    parser = parser_of_sets("labels", __doc__)
    parser.add_argument("parts", nargs="+", choices=list(_NOTES))
    parser.add_argument("--draws", type=int, default=5)
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the program."""
    options = parse(arguments)
    backbones = backbones_of(options)
    print(heading("Labels", "labels", arguments))
    with tempfile.TemporaryDirectory() as kept, threadpool_limits(1, user_api="blas"):
        tasks = [*load(options, backbones, options.work or Path(kept))]
        for part in options.parts:
            draws = _INTERVALS[part].format(draws=options.draws, last=options.draws - 1)
            print(f"## {_TITLES[part]}\n\n{_NOTES[part].format(per_class=PER_CLASS)}\n{draws}\n")
            for task in tasks:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    warnings.filterwarnings("ignore", message="The number of unique classes")
                    rows = pd.DataFrame(MEASURES[part](task, options.draws))
                print(f"### {task.name}\n\n{REPORTS[part](rows)}\n", flush=True)


def load(options, backbones, work):
    """Yield the available sets."""
    for dataset in _sets.load_available(options.datasets, data_home=options.data_home):
        yield Task(dataset, backbones, work)


class Task:
    """A set with its embedding, and classifiers for it."""

    def __init__(self, dataset, backbones, work, columns=PLAIN):
        self.name, self.y = dataset.name, np.asarray(dataset.y)
        self.X = np.array(embed(dataset, backbones, work, columns=columns))
        self.classes, self.codes = np.unique(self.y, return_inverse=True)
        self.class_names, self.blocks = dataset.class_names, blocks_of(backbones, columns)
        self._options = {
            "class_names": self.class_names,
            "templates": dataset.templates,
            "memory": str(work / f"heads-{digest_of_sources()}"),  # not those of other code
        }
        if dataset.train is None:
            rows = np.arange(len(self.y))
            self.pool, self.test = train_test_split(
                rows, test_size=0.4, stratify=self.y, random_state=0
            )
        else:
            self.pool, self.test = np.asarray(dataset.train), np.asarray(dataset.test)

    def ensemble(self, seed, **options):
        options = {**self._options, **options}
        return AdaptiveBackboneEnsemble(list(self.blocks), random_state=seed, **options)

    def drawn(self, per_class, rng, classes=None, pool=None):
        """Draw `per_class` rows of each class."""
        rows = rng.permutation(self.pool if pool is None else pool)
        classes = np.arange(len(self.classes)) if classes is None else classes
        return np.concatenate([rows[self.codes[rows] == c][:per_class] for c in classes])


# Doubtful labels


def measure_issues(task, draws):
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        rows = task.drawn(PER_CLASS, rng, pool=np.arange(len(task.y)))
        X, truth = task.X[rows], task.codes[rows]
        for rate in RATES:
            y = flipped(truth, rate, len(task.classes), rng)
            for way, (marked, quality) in issues(task, X, y, draw).items():
                judged = judge(np.asarray(marked), np.asarray(quality), y != truth)
                yield {"draw": draw, "rate": rate, "way": way, **judged}


def flipped(y, rate, n_classes, rng):
    """Return codes of classes, a share of them exchanged for any other class."""
    y = y.copy()
    some = rng.permutation(len(y))[: round(rate * len(y))]
    y[some] = (y[some] + rng.integers(1, n_classes, len(some))) % n_classes
    return y


def issues(task, X, y, seed):
    """Return marks and qualities of the labels, by the name of each way to find issues."""
    from cleanlab.filter import find_label_issues as cleanlab

    labels, found = task.classes[y], {}
    for way, options in {
        "ours": {},
        "ours, confident-learning": {"method": "confident-learning"},
    }.items():
        frame = find_label_issues(task.ensemble(seed), X, labels, **options)
        found[way] = frame["is_label_issue"], frame["label_quality"]
    proba = np.exp(held_out_logits(task.ensemble(seed), X, labels)[0].astype(float))
    proba /= proba.sum(axis=1, keepdims=True)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    rival = LogisticRegression(C=RIVAL_C, max_iter=1000)
    other = cross_val_predict(rival, X, y, cv=folds, method="predict_proba")
    own = np.arange(len(y)), y
    found["cleanlab, our probabilities"] = cleanlab(y, proba), proba[own]
    found["cleanlab, LogisticRegression"] = cleanlab(y, other), other[own]
    return found


def judge(marked, quality, wrong):
    """Return how well marked rows, and the ranking by quality, find wrong labels."""
    hits = np.count_nonzero(marked & wrong)
    ranking = average_precision_score(wrong, -quality) if wrong.any() else np.nan
    return {
        "marked": marked.mean(),
        "precision": hits / max(marked.sum(), 1),
        "recall": hits / max(wrong.sum(), 1),
        "average precision": ranking,
        "log-loss": log_loss(wrong, 1 - quality, labels=[False, True]),
    }


def report_issues(frame):
    table = {}
    for way, of_way in frame.groupby("way", sort=False):
        cells = {"marked, none flipped": interval(of_way[of_way["rate"] == 0]["marked"])}
        for rate, of_rate in of_way[of_way["rate"] > 0].groupby("rate"):
            for value in ("precision", "recall", "average precision"):
                cells[f"{value}, {100 * rate:.0f}%"] = interval(of_rate[value])
        for rate, of_rate in of_way.groupby("rate"):
            cells[f"log-loss of the quality, {100 * rate:.0f}%"] = (
                f"{of_rate['log-loss'].mean():.3f}"
            )
        table[way] = cells
    return as_markdown(table, transpose=True)


# Pictures to label next


# Ways to choose take the task, the labelled rows, the other rows, a fit, and a seed.


def _ours(task, labeled, rest, clf, seed):
    rows = np.r_[labeled, rest]
    y = np.where(np.arange(len(rows)) < len(labeled), task.y[rows], "")
    return rows[suggest(task.ensemble(seed), task.X[rows], y, len(task.classes))]


def _random(task, labeled, rest, clf, seed):
    return np.random.default_rng(seed).permutation(rest)[: len(task.classes)]


def _margin(task, labeled, rest, clf, seed):
    second, first = np.partition(clf.predict_proba(task.X[rest]), -2, axis=1)[:, -2:].T
    return rest[np.argsort(first - second, kind="stable")[: len(task.classes)]]


def _badge(task, labeled, rest, clf, seed):
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import Badge

    X, y = _partly(task, labeled, rest)
    classes = np.arange(len(task.classes))
    rival = SklearnClassifier(LogisticRegression(C=10, max_iter=1000), classes=classes)
    chosen = Badge(random_state=seed).query(X, y, rival, batch_size=len(classes))
    return np.r_[labeled, rest][chosen]


def _core_set(task, labeled, rest, clf, seed):
    from skactiveml.pool import CoreSet

    X, y = _partly(task, labeled, rest)
    chosen = CoreSet(random_state=seed).query(X, y, batch_size=len(task.classes))
    return np.r_[labeled, rest][chosen]


def _partly(task, labeled, rest):
    """Return embeddings of labelled and other rows, and codes of classes, NaN for the others."""
    y = np.full(len(labeled) + len(rest), np.nan)
    y[: len(labeled)] = task.codes[labeled]
    return task.X[np.r_[labeled, rest]], y


CHOICES = {
    "ours": _ours,
    "random": _random,
    "margin": _margin,
    "BADGE": _badge,
    "CoreSet": _core_set,
}


def measure_suggest(task, draws):
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        pool = task.drawn(POOL, rng)
        start = task.drawn(1, rng, pool=pool)
        for way, choose in CHOICES.items():
            labeled = start
            for round_ in range(ROUNDS):
                clf = task.ensemble(draw).fit(task.X[labeled], task.y[labeled])
                right = clf.predict(task.X[task.test]) == task.y[task.test]
                yield {
                    "draw": draw, "way": way,
                    "labels": len(labeled), "right": right,
                }  # fmt: skip
                if round_ < ROUNDS - 1:
                    rest = np.setdiff1d(pool, labeled)
                    more = choose(task, labeled, rest, clf, draw)
                    labeled = np.r_[labeled, more]


def report_suggest(frame):
    table, first = {}, frame["labels"].min()
    for labels, of_labels in frame.groupby("labels"):
        right = {k: np.stack(list(g["right"])) for k, g in of_labels.groupby("way", sort=False)}
        for way, one in right.items():
            text = f"{100 * one.mean():.1f}"
            if way != "ours" and labels > first:
                text += f" ({points(*paired_interval(one, right['ours']))})"
            table.setdefault(way, {})[f"{labels} labels"] = text
    return as_markdown(table)


# None of the classes


def measure_none(task, draws):
    for draw in range(draws):
        for shots in SHOTS:
            rng = np.random.default_rng(draw)
            known = np.sort(rng.permutation(len(task.classes))[: len(task.classes) // 2])
            train = task.drawn(shots, rng, known)
            X = task.X[task.test]
            inside = np.isin(task.codes[task.test], known)
            clf = OpenSetClassifier(task.ensemble(draw)).fit(task.X[train], task.y[train])
            familiar = clf.score_samples(X)
            rejected = familiar < clf.offset_
            proba = clf.estimator_.expert_proba(X)
            rival = LogisticRegression(C=10, max_iter=1000).fit(task.X[train], task.y[train])
            single = task.ensemble(draw, head=["zero-shot", "residual"])
            single = single.fit(task.X[train], task.y[train])
            by_block = {}
            for e, expert in enumerate(single.experts_):
                by_block.setdefault(expert.block.name, []).append(e)
            proba = np.log(single.expert_proba(X) + 1e-30)
            softmaxes = [np.exp(proba[:, experts].mean(axis=1)) for experts in by_block.values()]
            softmaxes = [(p / p.sum(axis=1, keepdims=True)).max(axis=1) for p in softmaxes]
            scores = {
                "ours": familiar,
                "max-softmax, default ensemble": clf.predict_proba(X).max(axis=1),
                "max-softmax, LogisticRegression": rival.predict_proba(X).max(axis=1),
            }
            aurocs = {name: roc_auc_score(inside, score) for name, score in scores.items()}
            best = max(roc_auc_score(inside, score) for score in softmaxes)
            aurocs["max-softmax, best single backbone"] = best
            for name, auroc in aurocs.items():
                yield {
                    "draw": draw, "shots": shots, "way": name, "auroc": auroc,
                    "known": rejected[inside].mean(), "other": rejected[~inside].mean(),
                }  # fmt: skip


def report_none(frame):
    table = {}
    for shots, of_shots in frame.groupby("shots"):
        title = f"{shots} shot{'s' * (shots > 1)}"
        ways = {way: rows.set_index("draw") for way, rows in of_shots.groupby("way", sort=False)}
        for way, rows in ways.items():
            table.setdefault(way, {})[title] = interval(rows["auroc"])
        for way, rows in ways.items():
            if way != "ours":
                gain = interval(ways["ours"]["auroc"] - rows["auroc"])
                table.setdefault(f"ours minus {way}", {})[title] = gain
        for part in ("known", "other"):
            rejected = interval(ways["ours"][part])
            table.setdefault(f"rejected, of {part} classes", {})[title] = rejected
    return as_markdown(table)


def interval(values):
    """Return the mean in %, and its 95% t interval over draws."""
    values = 100 * np.asarray(values, float)
    if len(values) < 2:
        return f"{values.mean():.1f}"
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.1f} ± {half:.1f}"


def as_markdown(table, transpose=False):
    frame = pd.DataFrame.from_dict(table, orient="index")
    return markdown_of(frame.T if transpose else frame)


MEASURES = {"issues": measure_issues, "suggest": measure_suggest, "none": measure_none}
REPORTS = {"issues": report_issues, "suggest": report_suggest, "none": report_none}


if __name__ == "__main__":
    main()

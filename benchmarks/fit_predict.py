"""Time and memory of fitting and predicting, beside what one would take from scikit-learn.

    python -m benchmarks.fit_predict [--backbones paper] [--classes 100] [--repeats 3]
    python -m benchmarks.fit_predict --emoji

Prints tables in Markdown and fails beyond a limit. Rivals are LogisticRegression on all columns,
at one C and with C searched as LogisticRegressionCV does by itself (ten values, five folds), and
StackingClassifier with a LogisticRegression per block. All ways take turns in one process, and
the best of their repeats counts. Ratios are of processor time, since wall time depends on other
processes of a busy machine. Threads that wait for each other take processor time, too, so compare
with ``OMP_NUM_THREADS=1``. More rows, classes and blocks are in :mod:`benchmarks.scale`.

The table has the widths of the named backbones, which need not be installed: embeddings of the
emoji by the zoo go through random features tanh(1.5 W z), one W for each block, which reads one
model of the zoo. Further classes are copies of the emoji's under rotations of the embeddings, and
further rows are averages of two pictures of a class. These classes have no names.

With ``--emoji``, the table has the emoji's own embeddings by the zoo, with the pooled features and
the names of classes that the default of ``make_backbone_pipeline`` uses. A process embeds the texts
of names once, so a fit is timed with these texts known and with texts that are new.
"""

import argparse
import tempfile
import warnings
from functools import partial
from itertools import count

import joblib
import numpy as np
from scipy.stats import ortho_group
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import has_fit_parameter

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens.backbones import resolve_backbones
from skclipens.datasets import load_emoji
from skclipens.ensemble import NeuralLogitController, ShrunkRouter, StaticRouter
from skclipens.model_selection import FewShotSplit

from ._machine import best_by, describe, heading, markdown, peak_memory, stop_if

SHOTS, N_TEST, N_PREDICTED = 16, 4, 10_000
WITHOUT_NAMES = ["kernel", "linear-all"]
TITLE = "Fit and predict: time and memory"
LIBRARIES = ["scikit-learn", "numpy", "scipy", "joblib", "torch"]
LR, STACKING = "LogisticRegression, all columns", "StackingClassifier"
SEARCHED = "LogisticRegressionCV, all columns"
RIVALS = (LR, SEARCHED, STACKING)
LOADING, NLC = "of which hashing and loading", "router alone: NLC"
OURS, AGAIN = "skclipens, whole fit", "skclipens, heads from joblib.Memory"
NEW_NAMES = "skclipens, whole fit, names are new"
# The first two take too long for a second, traced run.
NOT_TRACED = {SEARCHED: "not measured", STACKING: "not measured", NLC: "in torch"}
NOT_TRACED[NEW_NAMES] = "in torch"
ROUTERS = {
    "router alone: static": StaticRouter(),
    "router alone: shrunk (default)": ShrunkRouter(random_state=0),
    NLC: NeuralLogitController(random_state=0),
}
# Limits: share of a rival's time, and ms.
WHOLE = {LR: 1.0, STACKING: 1 / 3}
LIMITS = {(name, rival): limit for name in (OURS, NEW_NAMES) for rival, limit in WHOLE.items()}
LIMITS |= {(name, LR): 0.1 for name in ROUTERS}
ONE_ROW = 0.5


class Pictures:
    """Embeddings of the emoji, from which tables of any size are made."""

    def __init__(self, seed=0):
        emoji = load_emoji(min_class_size=SHOTS + 4)
        rng = np.random.default_rng(seed)
        X = MultiBackboneEmbedder("zoo").fit_transform(emoji.filenames)
        self.X = X.reshape(len(X), 5, -1)
        rows_of_class = [np.flatnonzero(emoji.target == c) for c in np.unique(emoji.target)]
        self.classes = [rng.permutation(rows) for rows in rows_of_class]
        self.rotation = ortho_group.rvs(self.X.shape[2], random_state=rng).astype(np.float32)
        self.seed = seed

    def table(self, widths, n_classes, n_per_class, test=False):
        """Return X of shape (n_classes * n_per_class, sum of widths), float32, and labels."""
        rng = np.random.default_rng([self.seed, test])
        X = np.concatenate([self._rows(rng, c, n_per_class, test) for c in range(n_classes)])
        rng = np.random.default_rng(self.seed)  # the same features for training and test
        table = np.empty((len(X), sum(widths)), np.float32)
        for i, end in enumerate(np.cumsum(widths)):
            random = rng.normal(size=(X.shape[2], widths[i])).astype(np.float32)
            block = np.tanh(1.5 * X[:, i % X.shape[1]] @ random)
            block /= np.linalg.norm(block, axis=1, keepdims=True)
            table[:, end - widths[i] : end] = block
        return table, np.repeat(np.arange(n_classes), n_per_class)

    def _rows(self, rng, c, n, test):
        copy, c = divmod(c, len(self.classes))
        pictures = self.classes[c][SHOTS:] if test else self.classes[c][:SHOTS]
        share = rng.uniform(0.5, 1, size=(n, 1, 1)).astype(np.float32)
        share[: len(pictures)] = 1
        first, second = np.resize(pictures, n), rng.choice(pictures, n)
        mean = share * self.X[first] + (1 - share) * self.X[second]
        return mean @ np.linalg.matrix_power(self.rotation, copy)


class _Recorder:
    """A router that keeps what an ensemble fits it on: calibrated held-out logits and metadata."""

    def fit(self, X, logits, y, sample_weight=None, groups=None, learned=None, prior_weights=None):
        self.table_ = X, logits, y
        self.metadata_ = {"learned": learned, "prior_weights": prior_weights}
        return self

    def fit_of(self, router):
        """Return a call that fits `router` on the same, with the metadata that it takes."""
        takes = {name: v for name, v in self.metadata_.items() if has_fit_parameter(router, name)}
        return partial(router.fit, *self.table_, **takes)

    def weights(self, X, logits):
        return np.full(logits.shape[:2], 1 / logits.shape[1])


def of_widths(widths, n_classes):
    """Return tables for training and test, and the blocks."""
    pictures = Pictures()
    train = pictures.table(widths, n_classes, SHOTS)
    test = pictures.table(widths, n_classes, N_TEST, test=True)
    return train, test, blocks_of(widths)


def of_emoji():
    """Return embeddings and names of the emoji for training and test, and the blocks."""
    emoji = load_emoji(min_class_size=SHOTS + N_TEST)
    embedder = MultiBackboneEmbedder("zoo", features="both")
    X, y = embedder.fit_transform(emoji.filenames), emoji.target_names[emoji.target]
    train, test = next(FewShotSplit(SHOTS, random_state=0).split(X, y))
    of = np.array([name.rpartition("__")[0] for name in embedder.get_feature_names_out()])
    blocks = [(name, np.flatnonzero(of == name)) for name in dict.fromkeys(of.tolist())]
    return (X[train], y[train]), (X[test], y[test]), blocks


def blocks_of(widths):
    """Return pairs (name, columns)."""
    ends = np.cumsum(widths)
    return [
        (f"block {i}", np.arange(end - width, end))
        for i, (width, end) in enumerate(zip(widths, ends, strict=True))
    ]


def probe():
    """Return the linear probe of most papers: hardly regularised, and fitted until convergence."""
    return LogisticRegression(C=10, max_iter=1000)


def searched_probe():
    """Return a linear probe whose strength is searched with scikit-learn's defaults."""
    return LogisticRegressionCV(max_iter=1000)


def stacking(blocks):
    """Return a stacking of a LogisticRegression per block, and one on their cross-fitted output."""
    heads = [
        (name, make_pipeline(ColumnTransformer([("x", "passthrough", columns)]), probe()))
        for name, columns in blocks
    ]
    return StackingClassifier(heads, LogisticRegression(max_iter=1000), cv=5)


def ensemble(blocks, **parameters):
    """Return our ensemble."""
    options = {"head": WITHOUT_NAMES, "random_state": 0, **parameters}
    return AdaptiveBackboneEnsemble(blocks, **options)


def fit_with_new_names(model, X, y, numbers):
    """Fit with the next number behind each name, so that no call has embedded these texts."""
    model.fit(X, np.char.add(y, f" {next(numbers)}"))


def ways_to_fit(models, make, folder, X, y, has_names=False):
    """Return a dict of calls without arguments by name."""
    from_memory = {"memory": joblib.Memory(folder, verbose=0)}
    models = {
        **models,
        AGAIN: make(**from_memory).fit(X, y),
        LOADING: make(router="uniform", calibrate=False, **from_memory),
    }
    seen = make(router=_Recorder()).fit(X, y).router_
    ways = {name: partial(model.fit, X, y) for name, model in models.items()}
    if has_names:
        ways[NEW_NAMES] = partial(fit_with_new_names, make(), X, y, count())
    return ways | {name: seen.fit_of(router) for name, router in ROUTERS.items()}


def report_fits(seconds, peaks):
    """Return the table, and what is beyond its limit, given seconds of wall and process time."""
    lines, beyond = [], []
    for name, (wall, cpu) in seconds.items():
        cells = []
        for rival in RIVALS:
            limit, ratio = LIMITS.get((name, rival)), cpu / seconds[rival][1]
            cells.append(f"{ratio:.3f}")
            if rival != SEARCHED:
                cells.append("" if limit is None else f"{limit:.2f}")
            if limit is not None and ratio > limit:
                beyond.append(f"fit, {name}: {ratio:.2f} of {rival}, limit {limit:.2f}")
        peak = f"{peaks[name]:.0f}" if name in peaks else NOT_TRACED[name]
        lines.append([name, f"{wall:.3f}", f"{cpu:.3f}", *cells, peak])
    header = [
        "fit",
        "wall, s",
        "CPU, s",
        "× LR",
        "limit",
        "× LR CV",
        "× stacking",
        "limit",
        "peak memory, MiB",
    ]
    return markdown(header, lines), beyond


def report_predictions(models, test, repeats):
    """Return the table of fitted models, and what is beyond its limit."""
    X, y = test
    many = X[np.resize(np.arange(len(X)), N_PREDICTED)]
    ways = {name: partial(model.predict, X[:1]) for name, model in models.items()}
    one = {name: 1e3 * cpu for name, (_, cpu) in best_by(ways, 100 * repeats).items()}
    ways = {name: partial(model.predict, many) for name, model in models.items()}
    all_ = best_by(ways, repeats)
    lines = [
        [
            name,
            f"{one[name]:.2f}",
            ONE_ROW if name == OURS else "",
            f"{wall:.2f}",
            f"{cpu:.2f}",
            f"{cpu / all_[LR][1]:.2f}",
            f"{peak_memory(ways[name]):.0f}",
            f"{100 * models[name].score(X, y):.1f}",
        ]
        for name, (wall, cpu) in all_.items()
    ]
    many = f"{N_PREDICTED:,} rows, wall, s"
    header = ["predict", "one row, ms of CPU", "limit", many, "CPU, s", "× LR", "peak, MiB"]
    beyond = [f"predict, one row: {one[OURS]:.2f} ms"] if one[OURS] > ONE_ROW else []
    return markdown([*header, "accuracy, %"], lines), beyond


def compare(train, test, blocks, repeats, has_names=False):
    """Print the tables of fits and predictions; return what is beyond its limit."""
    X, y = train
    make = partial(ensemble, blocks, head="auto" if has_names else WITHOUT_NAMES)
    rivals = dict(zip(RIVALS, (probe(), searched_probe(), stacking(blocks)), strict=True))
    models = rivals | {OURS: make()}
    n_classes = len(np.unique(y))
    print(f"\n{len(y)} rows, {n_classes} classes, {len(blocks)} blocks, {X.shape[1]} columns\n")
    with tempfile.TemporaryDirectory() as folder:
        ways = ways_to_fit(models, make, folder, X, y, has_names)
        seconds = best_by(ways, repeats)
        peaks = {name: peak_memory(ways[name]) for name in ways if name not in NOT_TRACED}
    table, beyond = report_fits(seconds, peaks)
    predictions, more = report_predictions(models, test, repeats)
    print(f"{table}\n\n{predictions}", flush=True)
    return beyond + more


def main(arguments=None):
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbones", default="paper", help="whose widths the blocks have")
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--emoji", action="store_true", help="the emoji as they are, with names")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", category=UserWarning, module="joblib.memory")
    warnings.filterwarnings("ignore", category=FutureWarning, module="sklearn")
    print(heading(TITLE, "fit_predict", arguments))
    print(f"{describe(LIBRARIES)}; best of {options.repeats}.")
    if options.emoji:
        stop_if(compare(*of_emoji(), options.repeats, has_names=True))
    else:
        widths = [backbone.width for backbone in resolve_backbones(options.backbones)]
        stop_if(compare(*of_widths(widths, options.classes), options.repeats))


if __name__ == "__main__":
    main()

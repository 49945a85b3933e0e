"""A table with a column of pictures: the ensemble beside rivals that read pictures and numbers.

    python -m benchmarks.tables --datasets emoji tuxpaint photographs --data-home DATA_HOME

The pictures are real and the numbers are drawn: each class has a mean in each column, and rows
differ from it by noise, so it is known how informative the numbers are. Everything is fitted on
the same rows, by which the numbers are scaled. Embeddings are kept in the work folder. With
``--choices`` the ensemble is compared with other ways to use the numbers.
"""

from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skclipens import AdaptiveBackboneEnsemble
from skclipens.backbones._kinds import kind_behind_prefix
from skclipens.ensemble import StaticRouter, _make_experts, _routing
from skclipens.ensemble._routing import _prior_weights
from skclipens.heads import _base_discriminant, _temperature

from ._differences import SET, difference, differences_table
from ._machine import describe, heading, markdown_of
from ._options import add_draws, backbones_of, parser_of_sets, sets_of
from .paper import _rivals
from .paper._embedding import ALL_FEATURES, blocks_of, embed
from .paper._experiments import few_shot_draws

OURS, OF_PICTURES = "ensemble", "ensemble, pictures alone"
OF_NUMBERS = "LogisticRegression, C searched, numbers alone"
CONCATENATED = "LogisticRegression, C searched"
SCALED = "LogisticRegression, C searched, all columns scaled"
FOREST = "RandomForestClassifier, 500 trees"
OTHERS = (CONCATENATED, SCALED, FOREST, OF_PICTURES, OF_NUMBERS)
AS_WAS = "weights pulled to 1 / E, numbers vary as an embedding, as it was"
BY_EXPERTS = "weights pulled to 1 / E"
BY_KINDS = "weights pulled to kinds of columns alone"
ONE_VARIANCE = "numbers vary as an embedding"
WITHOUT_FOREST = "without a forest"
MEANS = "prior weights sum to 1"
AS_SURE = "a forest as sure of a few columns as of many"
CHOICES = (WITHOUT_FOREST, MEANS, AS_WAS, BY_EXPERTS, BY_KINDS, ONE_VARIANCE)


class Numbers(NamedTuple):
    """Number and noise of columns of numbers; their class means have variance 1.

    Without pictures, each row has the embedding of a random row, which has no information.
    """

    columns: int
    noise: float
    pictures: bool = True


KINDS = {
    "three columns that tell most": Numbers(3, 0.4),
    "five columns that tell much": Numbers(5, 1.5),
    "twenty columns that tell a little each": Numbers(20, 3.0),
    "five columns that tell nothing": Numbers(5, np.inf),
    "one column that tells nothing": Numbers(1, np.inf),
}
KINDS_OF_CHOICES = KINDS | {
    "three columns that tell most, beside pictures that tell nothing": Numbers(3, 0.4, False),
    "five columns that tell much, beside pictures that tell nothing": Numbers(5, 1.5, False),
}
_NOTE = """\
{draws} draws, seeds 0 to {last}; in each of them {classes} classes, drawn at random, where a set
has more; at most {n_test} test pictures. The ensemble reads image embeddings, pooled features and
numbers, as `make_backbone_pipeline` and a ColumnTransformer would give them; its rivals read image
embeddings and numbers. Numbers have mean 0 and variance 1 on the training rows. "All columns
scaled": the embeddings, too. Differences in points, with the 95 % interval of a bootstrap over
pictures and draws; intervals of means over sets hold the sets fixed."""


def parse(arguments):
    parser = parser_of_sets("tables", __doc__, datasets=["emoji", "tuxpaint", "photographs"])
    add_draws(parser, shots=[1, 4, 16], per_class=40)
    add = parser.add_argument
    add("--classes", type=int, default=10, help="at most, in a draw")
    add("--choices", action="store_true", help="other choices of the ensemble, and no rivals")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the program."""
    options = parse(arguments)
    backbones, cells = backbones_of(options), []
    asked = options.shots, options.draws, options.classes
    make, others, kinds = (
        (choices_of, CHOICES, KINDS_OF_CHOICES) if options.choices else (ways_of, OTHERS, KINDS)
    )
    for dataset, work in sets_of(options, per_class=options.per_class, n_test=options.n_test):
        cells += measure(dataset, backbones, *asked, work, make, others, kinds)
    print(heading("Pictures beside numbers", "tables", arguments))
    print(describe(["scikit-learn", "torch", "numpy"]) + "\n")
    last = options.draws - 1
    print(_NOTE.format(last=last, **vars(options)) + "\n")
    print(report(pd.DataFrame(cells), others))


def measure(dataset, backbones, shots, draws, n_classes, work, make, others, kinds):
    """Yield a row for each kind of numbers and number of shots."""
    X = np.array(embed(dataset, backbones, work, columns=ALL_FEATURES))
    y, places = np.asarray(dataset.y), blocks_of(backbones, ALL_FEATURES)
    for k in shots:
        splits = few_shot_draws(dataset, k, draws, 0, n_classes)
        for kind, numbers in kinds.items():

            def ways(train, draw, numbers=numbers):
                rng = np.random.default_rng(draw)
                Z = draw_numbers(y, numbers, train, rng)
                seen = X if numbers.pictures else X[rng.permutation(len(X))]
                return make(dataset.prompts, places, seen, Z, y[train], draw)

            yield cell(dataset.name, k, kind, *run_draws(y, splits, ways), others)


def run_draws(y, splits, ways):
    """Return which pictures each way has right, its log-loss by draw, and which are tested.

    Parameters
    ----------
    y : ndarray of shape (n,)
    splits : list of (train, test)
    ways : callable
        Takes positions of training rows and the number of the draw; returns the same as
        :func:`ways_of`.
    """
    found, losses, tested = {}, {}, []
    for draw, (train, test) in enumerate(splits):
        for name, (clf, columns) in ways(train, draw).items():
            p = clf.fit(columns[train], y[train]).predict_proba(columns[test])
            right = np.zeros(len(y), bool)
            right[test] = clf.classes_[p.argmax(axis=1)] == y[test]
            found.setdefault(name, []).append(right)
            losses.setdefault(name, []).append(log_loss(y[test], p, labels=clf.classes_))
        tested.append(np.isin(np.arange(len(y)), test))
    return found, losses, tested


def draw_numbers(y, numbers, train, rng):
    """Draw columns of numbers around class means, or of noise alone if noise is infinite."""
    classes, targets = np.unique(y, return_inverse=True)
    means = rng.normal(size=(len(classes), numbers.columns))[targets]
    noise = rng.normal(size=means.shape)
    Z = noise if np.isinf(numbers.noise) else means + numbers.noise * noise
    return StandardScaler().fit(Z[train]).transform(Z).astype(np.float32)


def ways_of(prompts, places, X, Z, y, draw):
    """Return unfitted classifiers, each with the columns that it reads."""
    blocks = [(name, np.arange(place.start, place.stop)) for name, place in places.items()]
    numbers = ("numbers", X.shape[1] + np.arange(Z.shape[1]))
    plain = [
        place for name, place in places.items() if kind_behind_prefix(name).features == "projected"
    ]
    both = np.hstack([*(X[:, place] for place in plain), Z])
    of_ensembles = {"random_state": draw, **prompts}
    searched = _rivals.make(_rivals.SEARCHED, [], y)
    return {
        OURS: (AdaptiveBackboneEnsemble([*blocks, numbers], **of_ensembles), np.hstack([X, Z])),
        OF_PICTURES: (AdaptiveBackboneEnsemble(blocks, **of_ensembles), X),
        CONCATENATED: (searched, both),
        SCALED: (make_pipeline(StandardScaler(), searched), both),
        FOREST: (RandomForestClassifier(500, random_state=draw), both),
        OF_NUMBERS: (searched, Z),
    }


class Evenly(StaticRouter):
    """A router of static weights that are shrunk to 1 / E."""

    def fit(self, X, logits, y, sample_weight=None):
        return super().fit(X, logits, y, sample_weight)


class ByKinds(StaticRouter):
    """A router of static weights that are shrunk to equal sums for each kind of columns."""

    def fit(self, X, logits, y, sample_weight=None, prior_weights=None):
        of_kinds = 2 * prior_weights - 1 / len(prior_weights)
        return super().fit(X, logits, y, sample_weight, of_kinds)


class OneVariance(AdaptiveBackboneEnsemble):
    """An ensemble in which numbers always have the variance of an embedding."""

    def fit(self, X, y):
        with patch.object(_base_discriminant, "VARIANCES", _base_discriminant.VARIANCES[:1]):
            return super().fit(X, y)


class WithoutForest(AdaptiveBackboneEnsemble):
    """An ensemble whose default has no forest."""

    def fit(self, X, y):
        with patch.object(_make_experts, "_MOST_COLUMNS_OF_TREES", 0):
            return super().fit(X, y)


class Means(AdaptiveBackboneEnsemble):
    """An ensemble whose prior weights sum to 1, as they do without other columns than pictures."""

    def fit(self, X, y):
        with patch.object(_routing, "_prior_weights", _prior_weights_of_means):
            return super().fit(X, y)


class AsSureOfFew(AdaptiveBackboneEnsemble):
    """An ensemble whose forest is as sure of a few columns as of many, with one row per class."""

    def fit(self, X, y):
        with patch.object(_temperature, "MOST_SURE_OF_SHUFFLED", np.inf):
            return super().fit(X, y)


def _prior_weights_of_means(*given):
    weights = _prior_weights(*given)
    return weights / weights.sum()


def choices_of(prompts, places, X, Z, y, draw):
    """Return unfitted ensembles, each with all columns."""
    blocks = [(name, np.arange(place.start, place.stop)) for name, place in places.items()]
    blocks.append(("numbers", X.shape[1] + np.arange(Z.shape[1])))
    options, both = {"blocks": blocks, "random_state": draw, **prompts}, np.hstack([X, Z])
    ensembles = {
        OURS: AdaptiveBackboneEnsemble(**options),
        AS_WAS: OneVariance(router=Evenly(), **options),
        BY_EXPERTS: AdaptiveBackboneEnsemble(router=Evenly(), **options),
        BY_KINDS: AdaptiveBackboneEnsemble(router=ByKinds(), **options),
        ONE_VARIANCE: OneVariance(**options),
        WITHOUT_FOREST: WithoutForest(**options),
        MEANS: Means(**options),
    }
    return {name: (one, both) for name, one in ensembles.items()}


def cell(name, shots, kind, found, losses, tested, others=OTHERS):
    """Return a row of the table for :func:`report`."""
    row = {"set": name, "shots": shots, "kind": kind}
    for system, right in found.items():
        of_draws = [one[mask].mean() for one, mask in zip(right, tested, strict=True)]
        row[f"accuracy of {system}"] = 100 * np.mean(of_draws)
        row[f"log-loss of {system}"] = np.mean(losses[system])
    for other in others:
        row |= difference(other, found[OURS], found[other], tested)
    return row


def report(cells, others=OTHERS):
    """Return the tables in Markdown."""
    texts = []
    for kind, rows in cells.groupby("kind", sort=False):
        texts += [f"## {kind.capitalize()}", _means(rows, others, "accuracy", "{:.1f}")]
        texts += ["### Log-loss", _means(rows, others, "log-loss", "{:.2f}")]
        for other in others:
            texts += [f"### Less {other}", differences_table(rows, other)]
    return "\n\n".join(texts)


def _means(rows, others, what, form):
    """Return means over sets of a figure, by system."""
    systems = {system: f"{what} of {system}" for system in (OURS, *others)}
    means = rows.groupby("shots")[list(systems.values())].mean().T
    frame = means.set_axis(systems).map(form.format)
    frame.index.name = SET.replace("set", "mean of the sets") if rows["set"].nunique() > 1 else SET
    return markdown_of(frame)


if __name__ == "__main__":
    main()

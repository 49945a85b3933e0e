"""The Neural Logit Controller: budget of training x sign of the weights x calibration.

    python -m benchmarks.nlc --draws 10

On validation sets, where choices are made: OpenMoji without flags, the same with classes named
after letters (prompts that mean nothing), and the Latin letters of Omniglot (drawings that the zoo
has never seen the like of). What is finished is kept in the work folder; the same command goes on.

The rule of choice, written down before the table was made: of the settings that on no set, over
heads and shots, are more than 0.5 points below the literal one (positive, calibrated, 100 epochs of
2e-4), the one with the highest mean accuracy over sets, heads and shots. Settings within 0.1 points
of it are ties: the fewest steps are taken, then positive before signed, then calibrated before raw.
"""

import itertools
import warnings
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy import stats
from sklearn.model_selection import StratifiedKFold

from skclipens import AdaptiveBackboneEnsemble
from skclipens.ensemble import (
    MixtureRouter,
    NeuralLogitController,
    ShrunkRouter,
    StaticRouter,
    UniformRouter,
)
from skclipens.ensemble.routers import combine
from tools.zoo.sources import cache_directory

from ._machine import describe, heading, markdown_of, parser_of
from .paper import _sets
from .paper._embedding import embed
from .paper._experiments import draws_folder, few_shot_draws, mean_sd, run_draws
from .paper._image_set import ImageSet

BACKBONES = ["zoo/RN20", "zoo/ViT-8", "zoo/ViT-16", "zoo/RegNet", "zoo/DLA"]
HEADS = ("zero-shot", "auto")
SHOTS = (1, 4, 16)
MOST_DRAWS = 20
N_EPOCHS, BATCH = 100, 64
# Learning rate, and steps; None: those of 100 epochs. One training gives all steps of its rate.
BUDGETS = {
    "100 epochs of 2e-4": (2e-4, None),
    "300 steps of 2e-4": (2e-4, 300),
    "1,000 steps of 2e-4": (2e-4, 1000),
    "300 steps of 2e-3": (2e-3, 300),
    "1,000 steps of 2e-3": (2e-3, 1000),
}
SIGNS = {"positive": False, "signed": True}
SCALES = ("calibrated", "raw")
SETTINGS = {
    f"NLC, {budget}, {sign}, {scale}": (budget, sign, scale)
    for budget, sign, scale in itertools.product(BUDGETS, SIGNS, SCALES)
}
LITERAL = "NLC, 100 epochs of 2e-4, positive, calibrated"
MOST_TRAINED = "NLC, 1,000 steps of 2e-3, signed, raw"
STATIC, SHRUNK = "static, calibrated", "shrunk, calibrated"
MIXTURES = {"mixture, 2 active": {}, "mixture, all active": {"n_active": None}}
OMNIGLOT = "omniglot/images_background_small1.zip"
OMNIGLOT_URL = "https://github.com/brendenlake/omniglot/raw/master/python/" + Path(OMNIGLOT).name


# Sets


def latin():
    """Return the 26 Latin letters of Omniglot, each drawn by 20 people."""
    path = cache_directory() / OMNIGLOT
    if not path.exists():
        raise SystemExit(f"Put {OMNIGLOT_URL} at {path}.")
    images, labels = [], []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if "/Latin/" in name and name.endswith(".png"):
                with archive.open(name) as file:
                    images.append(Image.open(file).convert("RGB"))
                number = int(Path(name).parent.name.removeprefix("character"))
                labels.append(f"the letter {chr(96 + number)}")
    return ImageSet("omniglot-latin", images, np.array(labels))


VALIDATION = {
    "openmoji": _sets.VALIDATION["openmoji"],
    "openmoji-letters": _sets.VALIDATION["openmoji-letters"],
    "omniglot-latin": latin,
}
SETS = {**VALIDATION, "digits": _sets.digits}


# One draw


class Listener:
    """A router that keeps its input, and combines logits by their mean."""

    def fit(self, X, logits, y):
        self.fitted_on = X, logits, y
        return self

    def combine(self, X, logits):
        self.given = logits
        return logits.mean(axis=1)


class Checkpoints(NeuralLogitController):
    """A controller that keeps its coefficients after some numbers of steps, in ``kept_``."""

    def _network(self, *args):
        network, steps, self.kept_ = super()._network(*args), itertools.count(), {}

        def keep(*_):
            if (step := next(steps)) in self.wanted:
                self.kept_[step] = [p.detach().numpy().copy() for p in network.parameters()]

        network.register_forward_pre_hook(keep)
        return network


def run_draw(X, y, class_names, draw, train, test):
    """Yield the accuracy of every rule on the same experts."""
    for head in HEADS:
        clf = AdaptiveBackboneEnsemble(
            BACKBONES, head=head, router=Listener(), class_names=class_names, random_state=draw
        )
        clf.fit(X[train], y[train])
        if not isinstance(clf.router_, Listener):
            raise ValueError(f"No row judges {head} heads with {len(train)} rows.")
        targets = np.searchsorted(clf.classes_, y[test])
        # Logits of experts that are not judged are added to the router's.
        rest = clf.decision_function(X[test]) - clf.router_.given.mean(axis=1)
        seen, fitted = clf.router_.given, clf.router_.fitted_on
        scales = {"calibrated": 1, "raw": clf.temperatures_[clf.validated_, None].astype(X.dtype)}
        for scale, factor in scales.items():
            parts = X[test], seen * factor, rest, targets
            support = fitted[0], fitted[1] * factor, fitted[2]
            for system, accuracy in _rules(support, parts, scale, draw):
                yield {"head": head, "system": system, "accuracy": accuracy}
        right = seen.argmax(axis=2) == targets[:, None]
        yield {"head": head, "system": "best single", "accuracy": right.mean(axis=0).max()}
        yield {"head": head, "system": "oracle", "accuracy": right.any(axis=1).mean()}


def _rules(support, parts, scale, draw):
    """Yield (system, accuracy) of rules fitted on few rows, and on half of the test rows."""

    def accuracy(router):
        X, logits, rest, targets = parts
        return np.mean((combine(router, X, logits) + rest).argmax(axis=1) == targets)

    y = support[-1]
    yield f"uniform, {scale}", accuracy(UniformRouter())
    yield f"static, {scale}", accuracy(StaticRouter().fit(*support))
    if scale == "calibrated":
        yield f"shrunk, {scale}", accuracy(ShrunkRouter(random_state=draw).fit(*support))
    for name, options in MIXTURES.items():
        mixture = MixtureRouter(random_state=draw, **options).fit(*support)
        yield f"{name}, {scale}", accuracy(mixture)
    for sign, signed in SIGNS.items():
        for rate in dict.fromkeys(rate for rate, _ in BUDGETS.values()):
            budgets = {
                name: steps or N_EPOCHS * -(-len(y) // BATCH)
                for name, (of_budget, steps) in BUDGETS.items()
                if of_budget == rate
            }
            router = Checkpoints(
                signed=signed,
                learning_rate=rate,
                max_iter=max(budgets.values()) + 1,
                batch_size=BATCH,
                random_state=draw,
            )
            router.wanted = set(budgets.values())
            router.fit(*support)
            for name, steps in budgets.items():
                router.coefs_ = router.kept_[steps]
                yield f"NLC, {name}, {sign}, {scale}", accuracy(router)
    for name, make in _ON_TEST_ROWS.items():
        yield f"test rows: {name}, {scale}", _cross_fitted(make(draw), *parts)


_ON_TEST_ROWS = {
    "static": lambda draw: StaticRouter(),
    "NLC, signed": lambda draw: NeuralLogitController(
        signed=True, learning_rate=2e-3, max_iter=300, random_state=draw
    ),
}


def _cross_fitted(router, X, logits, rest, y):
    """Return the accuracy of a router on each half of the test rows, fitted on the other half."""
    right = np.zeros(len(y), bool)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        folds = list(StratifiedKFold(2, shuffle=True, random_state=0).split(X, y))
    for train, test in folds:
        router.fit(X[train], logits[train], y[train])
        combined = combine(router, X[test], logits[test]) + rest[test]
        right[test] = combined.argmax(axis=1) == y[test]
    return right.mean()


# The report


def report(frame):
    """Return Markdown: conclusion, choice, per-image and static weights, and all accuracies."""
    parts = _of_choice(frame) if frame["dataset"].isin(VALIDATION).any() else []
    for head in HEADS:
        parts += [f"## Accuracy, head={head!r}", _ACCURACIES, markdown_of(accuracies(frame, head))]
    return "\n\n".join(parts) + "\n"


def _of_choice(frame):
    chosen, choice = choose(frame)
    gains = gains_over_static(frame, chosen)
    return [
        conclusion(frame, chosen, gains),
        "## The choice",
        f"Mean accuracy in % over heads and shots. By the rule: **{chosen}**. {_RULE}",
        markdown_of(choice),
        "## Do per-image weights beat static ones?",
        _GAINS,
        markdown_of(mean_gains(gains)),
        markdown_of(gains_with_intervals(gains)),
    ]


_RULE = "The rule, " + __doc__.partition("The rule of choice, ")[2].replace("\n", " ").rstrip()
_GAINS = f"""\
Points above the router "static" on calibrated logits. "Most trained" is the setting
{MOST_TRAINED!r}, and "shrunk" the default router of the package. What could be gained
is measured by routers with the same experts that are fitted on one half of the labelled test rows
and tested on the other: signed NLC minus static weights there, each on its better scale
("achievable"). The oracle is right where any expert is, by luck or not. First means over shots, and
in brackets the share of the achievable where that is above 1 point; then each cell, with 95 %
intervals (t) of the paired difference over draws: errors over images are in them only as far as
draws have other test images."""
_ACCURACIES = """\
In %, mean ± standard deviation over draws; columns are sets and images per class. "Best single" is
the best expert by its accuracy on the test images. "Test rows" are fitted on half of these."""


def conclusion(frame, chosen, gains):
    """Return the first paragraph."""
    means = 100 * frame[frame["dataset"].isin(VALIDATION)].groupby("system")["accuracy"].mean()
    systems = ["the literal setting", LITERAL], ["static weights", STATIC], ["shrunk", SHRUNK]
    others = ", ".join(f"{means[system]:.1f} for {name}" for name, system in systems)
    by_head = gains.groupby("head", sort=False)["chosen"].mean()
    each = " and ".join(f"{gain:+.1f} with head={head!r}" for head, gain in by_head.items())
    cells = gains.groupby(["head", "dataset", "shots"], sort=False)["chosen"].agg(_interval_ends)
    above, below = (sum(sign * end[side] > 0 for end in cells) for sign, side in [(1, 0), (-1, 1)])
    return (
        f"The rule takes **{chosen}**: {means[chosen]:.1f} % on average over sets, heads and "
        f"shots, and {others}. That is {each} over static weights; of {len(cells)} cells {above} "
        f"are above static weights and {below} below, by intervals without zero."
    )


def accuracies(frame, head):
    """Return mean ± standard deviation over draws: rows are systems, columns sets and shots."""
    rows = frame[frame["head"] == head]
    cells = (100 * rows.set_index(["system", "dataset", "shots"])["accuracy"]).groupby(
        level=[0, 1, 2], sort=False
    )
    cells = cells.agg(["mean", "std"])
    texts = cells.apply(lambda cell: mean_sd(cell["mean"], cell["std"]), axis=1)
    texts = texts.unstack(["dataset", "shots"]).reindex(rows["system"].unique())
    texts.columns = [f"{dataset}, {shots}" for dataset, shots in texts.columns]
    texts["mean"] = cells["mean"].groupby("system").mean().map("{:.1f}".format)
    return texts


def choose(frame):
    """Return the setting that the rule chooses, and the table that it uses."""
    rows = frame[frame["dataset"].isin(VALIDATION) & frame["system"].isin(SETTINGS)]
    by_set = 100 * rows.groupby(["system", "dataset"])["accuracy"].mean().unstack()
    by_set = by_set.reindex(index=list(SETTINGS))
    means = by_set.mean(axis=1)
    lost = (by_set - by_set.loc[LITERAL]).min(axis=1)
    allowed = means[lost >= -0.5]
    ties = allowed[allowed >= allowed.max() - 0.1].index
    chosen = min(ties, key=_simplicity)
    table = by_set.assign(mean=means, **{"least gain on a set over the literal": lost})
    return chosen, table.map("{:.1f}".format)


def _simplicity(setting):
    budget, sign, scale = SETTINGS[setting]
    steps = BUDGETS[budget][1] or N_EPOCHS
    return steps, list(SIGNS).index(sign), SCALES.index(scale)


def gains_over_static(frame, chosen):
    """Return, for each draw, points above static weights."""
    keys = ["head", "dataset", "shots", "draw"]
    table = 100 * frame.pivot(index=keys, columns="system", values="accuracy")
    cells = [table.index.get_level_values(key) for key in keys[:3]]
    # The better scale for a cell, not for each draw.
    best = {
        name: pd.concat(
            {scale: table[f"test rows: {name}, {scale}"] for scale in SCALES}, axis=1
        ).groupby(cells)
        for name in _ON_TEST_ROWS
    }
    on_test = {name: groups.transform("mean").max(axis=1) for name, groups in best.items()}
    gains = {
        "chosen": table[chosen] - table[STATIC],
        "most trained": table[MOST_TRAINED] - table[STATIC],
        "shrunk": table[SHRUNK] - table[STATIC],
        "achievable": on_test["NLC, signed"] - on_test["static"],
        "oracle": table["oracle"] - table[STATIC],
    }
    order = pd.MultiIndex.from_frame(frame[keys].drop_duplicates())
    return pd.DataFrame(gains).reindex(order)


def mean_gains(gains):
    """Return mean gains per head and set, and their share of the achievable gain."""
    means = gains.groupby(["head", "dataset"], sort=False).mean()
    texts = means.map("{:+.1f}".format)
    known = means["achievable"] > 1
    for name in ("chosen", "most trained", "shrunk"):
        share = 100 * means.loc[known, name] / means.loc[known, "achievable"]
        texts.loc[known, name] += share.map(" ({:.0f} %)".format)
    texts.index = [", ".join(cell) for cell in texts.index]
    return texts.rename_axis("mean over shots")


def gains_with_intervals(gains):
    """Return gains with intervals per head, set and shots."""
    groups = gains.groupby(["head", "dataset", "shots"], sort=False)
    texts = groups[["chosen", "most trained", "shrunk"]].agg(_interval)
    for name in ("achievable", "oracle"):
        texts[name] = groups[name].mean().map("{:+.1f}".format)
    texts.index = [", ".join(map(str, cell)) for cell in texts.index]
    return texts.rename_axis("head, set, images per class")


def _interval(differences):
    low, high = _interval_ends(differences)
    return f"{differences.mean():+.1f} [{low:+.1f}, {high:+.1f}]"


def _interval_ends(differences):
    n, mean = len(differences), differences.mean()
    half = stats.t.ppf(0.975, n - 1) * differences.std() / n**0.5 if n > 1 else np.nan
    return mean - half, mean + half


def main(arguments=None):
    parser = parser_of("nlc", __doc__)
    add = parser.add_argument
    add("--sets", nargs="+", default=list(VALIDATION), choices=list(SETS))
    add("--shots", nargs="+", type=int, default=list(SHOTS))
    add("--draws", type=int, default=10, help=f"at most {MOST_DRAWS}")
    add("--output", type=Path, default=Path("docs/results/validation/nlc.md"))
    add("--work", type=Path, default=Path("docs/results/validation/work"))
    options = parser.parse_args(arguments)
    found = {}
    for name in options.sets:
        one = SETS[name]()
        found[name] = one, np.array(embed(one, BACKBONES, options.work, verbose=True))
    for n_draws in range(1, options.draws + 1):  # so that a run that is stopped is balanced
        frames = [
            _run(one, X, k, n_draws, options).assign(dataset=name, shots=k)
            for name, (one, X) in found.items()
            for k in options.shots
        ]
    frame = pd.concat(frames, ignore_index=True)
    frame.to_csv(options.output.with_suffix(".csv"), index=False, float_format="%.5g")
    title = heading("The NLC: budget, sign, calibration", "nlc", arguments)
    about = f"{date.today()}; {describe(['torch', 'numpy', 'scikit-learn'])}"
    options.output.write_text(f"{title}\n{report(frame)}\n{about}. {options.draws} draws.\n")


def _run(one, X, shots, n_draws, options):
    folder = draws_folder(options.work, one, BACKBONES, "nlc", shots, HEADS, BUDGETS, MIXTURES)
    splits = few_shot_draws(one, shots, MOST_DRAWS, 0)[:n_draws]

    def of_draw(draw, train, test):
        return run_draw(X, one.y, one.class_names, draw, train, test)

    return run_draws(of_draw, splits, folder)


if __name__ == "__main__":
    main()

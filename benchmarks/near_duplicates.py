"""How many near-duplicates are noticed, and what they cost.

    python -m benchmarks.near_duplicates --data-home DATA_HOME

Labelled pictures are drawn, and versions of them are added as further rows. The default ensemble
learns from all rows without groups, with those that are found, and with one group for each picture.
Then it is counted how many versions are found if embeddings are of several views. Embeddings of
test pictures are kept in the work folder.
"""

import io
import warnings
from functools import partial

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance, ImageOps
from sklearn.metrics import log_loss

from skclipens.images import load_image
from skclipens.labels import group_near_duplicates

from ._machine import describe, heading, markdown_of
from ._options import add_draws, backbones_of, parser_of_sets, sets_of
from .doubts import said
from .labels import Task
from .paper._embedding import ALL_FEATURES

ITSELF, NONE, SEVERAL = "itself", "none", "four versions"
UNSAID, FOUND, TRUE = "no groups", "found groups", "a group for each picture"
TOLD = ["noticed in fit", "in score", "found", "wrongly grouped"]
MIN_ROWS = 20
VIEWS = [None, "mirror", "both"]
_NOTE = f"""\
{{draws}} draws, seeds 0 to {{last}}. Of each picture there are two rows, the second of which is
changed; *{SEVERAL}* are one saved again, brightened, cropped by 10% and mirrored, beside the
picture itself. *noticed in fit*: warnings of `fit`, in % of the draws of each set. *in score*: of
`score` of a random half of all rows, where the others were fitted. *found*: changed pictures that
`group_near_duplicates` puts in the group of their original, in %. *wrongly grouped*: pictures in a
group with another picture, in %. Accuracies and log-losses are of test pictures, none of which is a
version of another; means over sets and draws, and in brackets the difference from {UNSAID}.
"""
_NOTE_ON_VIEWS = """
Found and wrongly grouped pictures by the `views` of the embeddings that `group_near_duplicates`
gets, in %; {shots} shots, seed 0.
"""


def parse(arguments):
    parser = parser_of_sets("near_duplicates", __doc__, kept="embeddings of test pictures")
    add_draws(parser, shots=[4, 16], per_class=100)
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the program."""
    options = parse(arguments)
    backbones, cells, by_views = backbones_of(options), [], []
    for dataset, work in sets_of(options, per_class=options.per_class, n_test=options.n_test):
        task = Task(dataset, backbones, work, ALL_FEATURES)
        for draw in range(options.draws):
            rows = task.drawn(max(options.shots), np.random.default_rng(draw))
            versions = embedded(dataset, rows, backbones)
            for shots in options.shots:
                some = np.flatnonzero(_rank_in_class(task.codes[rows]) < shots)
                cells += measure(task, rows[some], versions, some, shots, draw)
        by_views += measure_views(task, dataset, min(options.shots), backbones)
    title = "Near-duplicates: how many are noticed, and what they cost"
    print(heading(title, "near_duplicates", arguments))
    print(describe(["scikit-learn", "torch", "numpy", "Pillow"]) + "\n")
    print(_NOTE.format(draws=options.draws, last=options.draws - 1))
    print(report(pd.DataFrame(cells)))
    print(_NOTE_ON_VIEWS.format(shots=min(options.shots)))
    print(report_of_views(pd.DataFrame(by_views)))


def _rank_in_class(codes):
    """Return how many rows of its class come before each row."""
    return np.array([np.sum(codes[:row] == code) for row, code in enumerate(codes)])


def embedded(dataset, rows, backbones, views=None):
    """Return embeddings of some pictures, by version."""
    pictures = [load_image(dataset.images[row]) for row in rows]
    embedder = ALL_FEATURES.embedder(backbones).set_params(views=views)
    return {name: embedder.fit_transform([*map(make, pictures)]) for name, make in VERSIONS.items()}


def measure(task, rows, versions, some, shots, draw):
    """Yield a row of results for each case and way."""
    for case, names in CASES.items():
        X, n = np.concatenate([versions[name][some] for name in names]), len(some)
        y, pictures = np.tile(task.y[rows], len(names)), np.tile(np.arange(n), len(names))
        if len(X) < MIN_ROWS:
            continue
        groups = group_near_duplicates(X)
        about = {"set": task.name, "shots": shots, "case": case}
        noticed = {
            "noticed in fit": _is_noticed(partial(task.ensemble(draw).fit, X, y)),
            "in score": _is_noticed_in_score(task.ensemble(draw), X, y, draw),
        } | _found(groups, pictures)
        ways = {UNSAID: None, FOUND: groups, TRUE: pictures}
        for way, given in ways.items() if len(names) > 1 else [(UNSAID, None)]:
            scores = _scores(task, task.ensemble(draw), X, y, given)
            yield about | {"way": way} | scores | (noticed if way == UNSAID else {})


def _found(groups, pictures):
    """Return the share of versions in the group of their picture, and that of wrong groups."""
    n = pictures.max() + 1
    return {
        "found": np.mean(groups[n:] == groups[pictures[n:]]) if len(groups) > n else np.nan,
        "wrongly grouped": np.mean([len(set(pictures[groups == g])) > 1 for g in groups[:n]]),
    }


def measure_views(task, dataset, shots, backbones):
    """Yield for each case and views what is found among the pictures of one draw."""
    rows = task.drawn(shots, np.random.default_rng(0))
    for views in VIEWS:
        versions = embedded(dataset, rows, backbones, views)
        for case, names in CASES.items():
            groups = group_near_duplicates(np.concatenate([versions[name] for name in names]))
            found = _found(groups, np.tile(np.arange(len(rows)), len(names)))
            yield {"case": case, "views": str(views)} | found


def _is_noticed(run):
    return any("near-duplicates" in text for text in said(run))


def _is_noticed_in_score(clf, X, y, draw):
    half = np.random.default_rng(draw).permutation(len(X)) < len(X) // 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf.fit(X[half], y[half])
    known = ~half & np.isin(y, clf.classes_)
    return _is_noticed(partial(clf.score, X[known], y[known]))


def _scores(task, clf, X, y, groups):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf.fit(X, y, groups=groups)
    p, truth = clf.predict_proba(task.X[task.test]), task.y[task.test]
    accuracy = 100 * np.mean(clf.classes_[p.argmax(axis=1)] == truth)
    return {"accuracy": accuracy, "log-loss": log_loss(truth, p, labels=clf.classes_)}


def report(cells):
    """Return a table of what is noticed, and one of what it costs."""
    keys = ["shots", "case"]
    told = cells[cells["way"] == UNSAID]
    shares = (
        100 * told.astype({name: float for name in TOLD}).groupby(keys, sort=False)[TOLD].mean()
    )
    shares = shares.map("{:.0f}".format).replace("nan", "")
    texts = [markdown_of(shares.reset_index().set_index("shots"))]
    for score, digits in (("accuracy", 1), ("log-loss", 3)):
        means = cells.groupby([*keys, "way"], sort=False)[score].mean().unstack("way")
        table = means.map(f"{{:.{digits}f}}".format)
        for way in (FOUND, TRUE):
            gains = (means[way] - means[UNSAID]).map(f"{{:+.{digits}f}}".format)
            table[way] = (table[way] + " (" + gains + ")").where(means[way].notna(), "")
        table = table[[UNSAID, FOUND, TRUE]].reset_index().set_index("shots")
        texts.append(f"{score.capitalize()}\n\n{markdown_of(table)}")
    return "\n\n".join(texts)


def report_of_views(cells):
    """Return a table of what is found, and in brackets wrongly grouped, by views."""
    means = (100 * cells.groupby(["case", "views"], sort=False).mean()).map("{:.0f}".format)
    texts = means["found"].replace("nan", "") + " (" + means["wrongly grouped"] + ")"
    return markdown_of(texts.unstack("views").rename_axis("case"))


def _saved_again(picture):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=50)
    return Image.open(file).convert("RGB")


def _cropped(picture, share):
    less = [round(share * side / 2) for side in picture.size]
    return ImageOps.crop(picture, (*less, *less))


def _half(picture):
    return picture.resize([-(-side // 2) for side in picture.size])


VERSIONS = {
    ITSELF: lambda picture: picture,
    "saved again (JPEG, quality 50)": _saved_again,
    "resized to half": _half,
    "brightened by 20%": lambda picture: ImageEnhance.Brightness(picture).enhance(1.2),
    "cropped by 5%": partial(_cropped, share=0.05),
    "cropped by 10%": partial(_cropped, share=0.1),
    "cropped by 20%": partial(_cropped, share=0.2),
    "mirrored": ImageOps.mirror,
    "rotated by 10 degrees": lambda picture: picture.rotate(10, Image.Resampling.BICUBIC),
}
SAVED, BRIGHTENED, CROPPED, MIRRORED = (list(VERSIONS)[i] for i in (1, 3, 5, 7))
CASES = {NONE: [ITSELF]}
CASES |= {name: [ITSELF, name] for name in VERSIONS if name != ITSELF}
CASES[SEVERAL] = [ITSELF, SAVED, BRIGHTENED, CROPPED, MIRRORED]


if __name__ == "__main__":
    main()

"""Pictures found by the names of their classes: one backbone, and several by rank and by cosine.

    python -m benchmarks.search --datasets validation --backbones zoo --data-home DATA_HOME

A query is the name of a class, and relevant is every picture of it. Nothing is trained. The single
backbone that the others are compared with is named beforehand, or is the best of all with each set.
"""

import numpy as np
import pandas as pd

from skclipens import ImageRetriever
from skclipens.model_selection._intervals import paired_interval

from ._machine import heading, markdown_of, points
from ._options import backbones_of, parser_of_sets, sets_of
from .paper._embedding import blocks_of, embed, short_names

FIRST = 10
FUSED = {"all, by rank": "rank", "all, by cosine": "cosine"}
_NOTE = """\
Mean average precision and precision at {first}, in %, over the names of classes. *Difference*: mean
average precision of all backbones by cosine, minus that of one backbone, in points, with the 95%
interval of a bootstrap over names. The one is {what}. Nothing is trained on the pictures, and no
draw is made."""
_IN_HINDSIGHT = "the backbone that is the best with this set, in hindsight"


def parse(arguments):
    parser = parser_of_sets("search", __doc__)
    add = parser.add_argument
    add("--templates", nargs="+", default=["{}"], help="prompts that names are put in")
    add("--chosen", help="the single backbone that was chosen elsewhere")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the program."""
    options = parse(arguments)
    backbones = backbones_of(options)
    found = {
        dataset.name: measure(dataset, backbones, options.templates, work)
        for dataset, work in sets_of(options)
    }
    print(heading("Pictures found by words", "search", arguments))
    print(report(found, backbones, options.chosen))


def measure(dataset, backbones, templates, work):
    """Return average precision and precision at 10 of each query, by system.

    Returns
    -------
    dict of str to ndarray of shape (2, n_queries)
    """
    X, y = np.array(embed(dataset, backbones, work)), np.asarray(dataset.y)
    classes = np.unique(y)
    names = dataset.class_names
    texts = [str(one if names is None else names[one]) for one in classes]
    alone = {
        name: (name, X[:, columns], "cosine") for name, columns in blocks_of(backbones).items()
    }
    together = {system: (list(backbones), X, fusion) for system, fusion in FUSED.items()}
    scores = {}
    for system, (which, table, fusion) in {**alone, **together}.items():
        retriever = ImageRetriever(which, fusion=fusion, templates=templates)
        _, rows = retriever.fit(table).search(texts, n_neighbors=len(y))
        scores[system] = query_scores(y[rows] == classes[:, None])
    return scores


def query_scores(hits):
    """Return average precision and precision at 10 of rankings.

    Parameters
    ----------
    hits : ndarray of shape (n_queries, n_pictures), bool
        Whether the picture at a rank is relevant.

    Returns
    -------
    ndarray of shape (2, n_queries)
    """
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    average = (precision * hits).sum(axis=1) / hits.sum(axis=1)
    return np.stack([average, hits[:, :FIRST].mean(axis=1)])


def report(found, backbones, chosen=None):
    """Return the tables in Markdown."""
    short = short_names(backbones)
    systems = [*backbones, *FUSED]
    texts = [_NOTE.format(first=FIRST, what=f"`{chosen}`" if chosen else _IN_HINDSIGHT)]
    for place, title in enumerate(("Mean average precision", f"Precision at {FIRST}")):
        means = 100 * pd.DataFrame(
            [[of[system][place].mean() for system in systems] for of in found.values()],
            index=list(found),
            columns=systems,
        )
        means.loc["mean of the sets"] = means.mean()
        frame = means.map("{:.1f}".format).rename(columns=short)
        if place == 0:
            rows = [_difference(of, backbones, chosen) for of in found.values()]
            frame["difference"] = [*rows, f"{_mean_difference(means, backbones, chosen):+.1f}"]
        frame.index.name = "set"
        texts += [f"## {title}", markdown_of(frame)]
    return "\n\n".join(texts)


def _single(means, backbones, chosen):
    """Return the backbone to compare with: the one chosen beforehand, or the best for a set."""
    return chosen or max(backbones, key=means.get)


def _difference(scores, backbones, chosen):
    best = _single({name: scores[name][0].mean() for name in backbones}, backbones, chosen)
    return points(*paired_interval(scores["all, by cosine"][:1], scores[best][:1]))


def _mean_difference(means, backbones, chosen):
    rows = means.iloc[:-1]
    single = [row[_single(row, backbones, chosen)] for _, row in rows.iterrows()]
    return (rows["all, by cosine"] - single).mean()


if __name__ == "__main__":
    main()

"""Zero-shot scores of the zoo on Twemoji, a style that none of it was trained or tuned on.

``python -m benchmarks.zoo_scores`` prints the table of the model card; ``--write`` also puts it
into the card.
"""

import argparse
import re

import numpy as np
from scipy.special import log_softmax

from skclipens import MultiBackboneEmbedder, ZeroShotHead, list_backbones
from skclipens.backbones import resolve_backbones
from skclipens.datasets import load_emoji
from skclipens.zoo import WEIGHTS

from ._machine import markdown

CARD = WEIGHTS.parent / "MODEL_CARD.md"
_TABLE = re.compile(r"(?<=<!-- scores -->\n).*?(?=<!-- end of scores -->)", re.DOTALL)


def zero_shot_logits(embeddings, labels):
    """Return log-probabilities of every zoo model, (n, models, labels), for string labels."""
    backbones = resolve_backbones("zoo")
    blocks = np.split(embeddings, np.cumsum([b.width for b in backbones])[:-1], axis=1)
    labels = np.asarray(labels)
    logits = []
    for backbone, block in zip(backbones, blocks, strict=True):
        # A head takes its classes from the labels it is fitted with, however few the rows.
        head = ZeroShotHead(backbone.name).fit(
            np.resize(block, (len(labels), block.shape[1])), labels
        )
        logits.append(log_softmax(head.decision_function(block), axis=1))
    return np.stack(logits, axis=1)


def accuracies(logits, truth):
    """Return accuracies of each model, of their mean and of the oracle, given true positions."""
    right = logits.argmax(axis=2) == truth[:, None]
    mean = (logits.mean(axis=1).argmax(axis=1) == truth).mean()
    return [*right.mean(axis=0), mean, right.any(axis=1).mean()]


def score():
    """Return columns of the table: scores of each model, of their mean and of the oracle.

    Returns
    -------
    dict of str to list of float
        Accuracy of naming among all names, pictures of flags aside, and of the classes of
        :func:`skclipens.datasets.load_emoji`.
    """
    columns = {}
    for column, emoji in (
        ("names", load_emoji(target="name")),
        ("classes", load_emoji()),
    ):
        labels = np.unique(emoji.all_names) if column == "names" else emoji.target_names
        truth = np.searchsorted(labels, emoji.target_names[emoji.target])
        embeddings = MultiBackboneEmbedder("zoo").fit_transform(emoji.filenames)
        columns[f"{column} ({len(labels)})"] = accuracies(
            zero_shot_logits(embeddings, labels), truth
        )
    return columns


def table():
    """Return the scores as a table in Markdown."""
    sizes = list_backbones().query("group == 'zoo'")
    columns = score()
    header = ["model", "image tower, M parameters", "GFLOPs per image", *columns]
    rows = [
        [name, f"{size.parameters:.2f}", f"{size.gflops:.3f}"] for name, size in sizes.iterrows()
    ]
    total = [f"{sizes.parameters.sum():.2f}", f"{sizes.gflops.sum():.3f}"]
    rows += [["mean of log-probabilities", *total], ["oracle of the five", *total]]
    for row, *scores in zip(rows, *columns.values(), strict=True):
        row += [f"{100 * value:.1f} %" for value in scores]
    return markdown(header, rows, n_text=len(header)) + "\n"


def main(arguments=None):
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="put the table into the model card")
    options = parser.parse_args(arguments)
    text = table()
    print(text)
    print(f"Weights: {sum(f.stat().st_size for f in WEIGHTS.rglob('*')) / 1e6:.1f} MB")
    if options.write:
        CARD.write_text(_TABLE.sub(lambda _: text, CARD.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()

"""Real tables with columns of pictures and of numbers: the ensemble beside its rivals.

    python -m benchmarks.real_tables houses "Houses Dataset"
    python -m benchmarks.real_tables pokemon FOLDER

``Houses Dataset`` is a folder of the repository emanhamed/Houses-dataset on GitHub: 535 houses,
with four pictures and five numbers of each (Ahmed and Moustafa, "House price estimation from visual
and textual features", 2016). Classes are the quarters of the prices.

FOLDER is the repository fanzeyi/pokemon.json: 809 creatures of a game, with two drawings and six
numbers of each. Classes are their types.

The same ways are compared as in :mod:`benchmarks.tables`.
"""

import tempfile
import textwrap
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from ._machine import describe, heading, parser_of
from ._options import backbones_of
from .paper._embedding import ALL_FEATURES, blocks_of, embed
from .paper._experiments import few_shot_draws
from .paper._image_set import ImageSet
from .tables import cell, report, run_draws, ways_of

ROOMS = ["frontal", "bedroom", "bathroom", "kitchen"]
MIN_OF_TYPE = 40
_NOTE = """\
{about} Numbers have mean 0 and variance 1 on the training rows. {draws} draws, seeds 0 to {last};
the other rows are tested. The ensemble reads image embeddings, pooled features and numbers; its
rivals read image embeddings and numbers. "All columns scaled": the embeddings, too. Differences in
points, with the 95 % interval of a bootstrap over rows and draws. Nothing was chosen on this
table."""


class RealTable(NamedTuple):
    """A table with columns of pictures and of numbers, and the classes to predict."""

    y: np.ndarray
    numbers: np.ndarray
    pictures: dict  # paths, by the name of the column
    kinds: dict  # columns of pictures that are read, by title
    about: str
    class_names: dict | None = None

    def image_set(self, name, column):
        """Return the pictures of a column."""
        return ImageSet(f"{name}-{column}", self.pictures[column], self.y, self.class_names)


def main(arguments=None):
    """Run the program."""
    parser = parser_of("real_tables", __doc__)
    add = parser.add_argument
    add("table", choices=list(READERS))
    add("folder", type=Path)
    add("--backbones", nargs="+", default=["zoo"], help="zoo, paper, names or folders")
    add("--work", type=Path, help="embeddings; default: kept nowhere")
    add("--shots", nargs="+", type=int, default=[1, 4, 16], help="labelled rows of each class")
    add("--draws", type=int, default=10)
    options = parser.parse_args(arguments)
    table = READERS[options.table](options.folder)
    with tempfile.TemporaryDirectory() as kept, threadpool_limits(1, user_api="blas"):
        work, backbones = options.work or Path(kept), backbones_of(options)
        cells = list(measure(options.table, table, backbones, work, options.shots, options.draws))
    print(heading(f"Pictures beside numbers: {options.table}", "real_tables", arguments))
    print(describe(["scikit-learn", "torch", "numpy"]) + "\n")
    note = _NOTE.format(about=table.about, draws=options.draws, last=options.draws - 1)
    print(textwrap.fill(note, 100) + "\n")
    print(report(pd.DataFrame(cells)))


def measure(name, table, backbones, work, shots, draws):
    """Yield a row for each choice of pictures and number of rows per class."""
    sets = {column: table.image_set(name, column) for column in table.pictures}
    parts = {
        column: np.array(embed(sets[column], backbones, work, columns=ALL_FEATURES))
        for column in sets
    }
    places, (first, *_) = blocks_of(backbones, ALL_FEATURES), sets.values()
    width = max(place.stop for place in places.values())
    for kind, columns in table.kinds.items():
        X = np.hstack([parts[column] for column in columns])
        blocks = {
            f"{column}__{backbone}": slice(i * width + place.start, i * width + place.stop)
            for i, column in enumerate(columns)
            for backbone, place in places.items()
        }

        def ways(train, draw, X=X, blocks=blocks):
            scaler = StandardScaler().fit(table.numbers[train])
            Z = scaler.transform(table.numbers).astype(np.float32)
            return ways_of(first.prompts, blocks, X, Z, table.y[train], draw)

        for k in shots:
            splits = few_shot_draws(first, k, draws, 0)
            yield cell(name, k, kind, *run_draws(table.y, splits, ways))


def read_houses(folder):
    """Return the table of houses, with quarters of the prices as classes."""
    numbers = ["bedrooms", "bathrooms", "area"]
    names = [*numbers, "postal code", "price"]
    rows = pd.read_csv(folder / "HousesInfo.txt", sep=r"\s+", header=None, names=names)
    return RealTable(
        y=pd.qcut(rows["price"], 4, labels=False).to_numpy(),
        numbers=rows[numbers].to_numpy(np.float64),
        pictures={
            room: [str(folder / f"{i}_{room}.jpg") for i in range(1, len(rows) + 1)]
            for room in ROOMS
        },
        kinds={
            "a picture of the front, and three numbers": ROOMS[:1],
            "four pictures, and three numbers": ROOMS,
        },
        about=f"{len(rows)} houses. Labels are positions of quarters, which no prompt can name. "
        "Numbers are bedrooms, bathrooms and area; the postal code is left out.",
    )


def read_pokemon(folder):
    """Return the table of creatures, with first types that are frequent enough as classes."""
    rows = pd.read_json(folder / "pokedex.json")
    drawings = rows["id"].map(lambda i: folder / f"images/{i:03}.png")
    rows = rows.assign(type=rows["type"].str[0], drawing=drawings)
    rows = rows[rows["drawing"].map(Path.exists)]  # two have other names
    rows = rows.groupby("type").filter(lambda group: len(group) >= MIN_OF_TYPE)
    classes = sorted(rows["type"].unique())
    return RealTable(
        y=rows["type"].to_numpy(str),
        numbers=pd.DataFrame(rows["base"].tolist()).to_numpy(np.float64),
        pictures={
            "drawing": [str(path) for path in rows["drawing"]],
            "sprite": [str(folder / f"sprites/{i:03}MS.png") for i in rows["id"]],
        },
        kinds={
            "a drawing, and six numbers": ["drawing"],
            "a drawing, a sprite, and six numbers": ["drawing", "sprite"],
        },
        about=f"{len(rows)} creatures. Labels are the first of their types, where at least "
        f"{MIN_OF_TYPE} creatures have it: {', '.join(classes)}; prompts are made of these names. "
        "Drawings have 400 x 400 pixels, sprites 40 x 40. Numbers are health, attack, defence, "
        "special attack and defence, and speed. Stages of one creature, which look alike, may be "
        "on both sides.",
        class_names=dict(zip(classes, classes, strict=True)),
    )


READERS = {"houses": read_houses, "pokemon": read_pokemon}


if __name__ == "__main__":
    main()

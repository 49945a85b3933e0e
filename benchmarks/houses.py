"""Real tables: prices of houses, by pictures of them and numbers.

    python -m benchmarks.houses FOLDER

FOLDER is ``Houses Dataset`` of the repository emanhamed/Houses-dataset on GitHub: 535 houses,
with four pictures and five numbers of each (Ahmed and Moustafa, "House price estimation from visual
and textual features", 2016). Classes are the quarters of the prices. What is compared is that of
:mod:`benchmarks.tables`.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from ._machine import describe, heading
from ._options import backbones_of
from .paper._embedding import ALL_FEATURES, blocks_of, embed
from .paper._experiments import few_shot_draws
from .paper._image_set import ImageSet
from .tables import cell, report, run_draws, ways_of

NUMBERS = ["bedrooms", "bathrooms", "area"]
ROOMS = ["frontal", "bedroom", "bathroom", "kitchen"]
KINDS = {"a picture of the front, and three numbers": ROOMS[:1]}
KINDS |= {"four pictures, and three numbers": ROOMS}
_NOTE = """\
{draws} draws, seeds 0 to {last}; the other houses are tested. Labels are positions of quarters,
which no prompt can name. Numbers are bedrooms, bathrooms and area, with mean 0 and variance 1 on
the training rows; the postal code is left out. The ensemble reads image embeddings, pooled features
and numbers; its rivals read image embeddings and numbers. "All columns scaled": the embeddings,
too. Differences in points, with the 95 % interval of a bootstrap over houses and draws. Nothing was
chosen on these houses."""


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.houses", description=__doc__)
    add = parser.add_argument
    add("folder", type=Path)
    add("--backbones", nargs="+", default=["zoo"], help="zoo, paper, names or folders")
    add("--work", type=Path, help="embeddings; default: kept nowhere")
    add("--shots", nargs="+", type=int, default=[1, 4, 16, 60])
    add("--draws", type=int, default=10)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as kept, threadpool_limits(1, user_api="blas"):
        work, backbones = options.work or Path(kept), backbones_of(options)
        cells = list(measure(options.folder, backbones, work, options.shots, options.draws))
    print(heading("Prices of houses: pictures beside numbers", "houses", arguments))
    print(describe(["scikit-learn", "torch", "numpy"]) + "\n")
    print(_NOTE.format(last=options.draws - 1, **vars(options)) + "\n")
    print(report(pd.DataFrame(cells)))


def measure(folder, backbones, work, shots, draws):
    """A row for each choice of pictures and number of shots."""
    table = read(folder)
    y, numbers = table["quarter"].to_numpy(), table[NUMBERS].to_numpy(np.float64)
    sets = {room: ImageSet(f"houses-{room}", list(table[room]), y) for room in ROOMS}
    parts = {
        room: np.array(embed(sets[room], backbones, work, columns=ALL_FEATURES))
        for room in {room for rooms in KINDS.values() for room in rooms}
    }
    places, width = blocks_of(backbones, ALL_FEATURES), parts[ROOMS[0]].shape[1]
    for kind, rooms in KINDS.items():
        X = np.hstack([parts[room] for room in rooms])
        blocks = {
            f"{room}__{name}": slice(i * width + place.start, i * width + place.stop)
            for i, room in enumerate(rooms)
            for name, place in places.items()
        }

        def ways(train, draw, X=X, blocks=blocks):
            Z = StandardScaler().fit(numbers[train]).transform(numbers).astype(np.float32)
            return ways_of({}, blocks, X, Z, y[train], draw)

        for k in shots:
            splits = few_shot_draws(sets[ROOMS[0]], k, draws, 0)
            yield cell("houses", k, kind, *run_draws(y, splits, ways))


def read(folder):
    """Numbers, quarter of the price and paths of the pictures, a row for each house."""
    names = [*NUMBERS, "postal code", "price"]
    table = pd.read_csv(folder / "HousesInfo.txt", sep=r"\s+", header=None, names=names)
    table["quarter"] = pd.qcut(table["price"], 4, labels=False)
    for room in ROOMS:
        table[room] = [str(folder / f"{i}_{room}.jpg") for i in range(1, len(table) + 1)]
    return table


if __name__ == "__main__":
    main()

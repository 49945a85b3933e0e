"""Store which test images every system has right, beside the table of a draw.

Intervals are computed from these, since accuracies alone do not show how much of a difference is
due to the choice of images.
"""

from collections import defaultdict
from functools import partial

import numpy as np

from ._embedding import write_whole


def write(path, images, right):
    """Write which images the systems of a draw have right, a bit for each system and image.

    Parameters
    ----------
    path : Path
    images : ndarray of shape (n,), int
        Positions in the set of the images that are tested.
    right : dict of (head, rule) to ndarray of shape (n,), bool
    """
    names = np.array([list(key) for key in right], dtype=str).reshape(-1, 2)
    bits = np.packbits(
        np.array(list(right.values()), bool).reshape(len(names), len(images)), axis=1
    )
    write_whole(path, partial(_save, images=images.astype(np.int32), names=names, bits=bits))


def _save(path, **arrays):
    with open(path, "wb") as file:
        np.savez_compressed(file, **arrays)


def read(path):
    """Read ``images`` and ``right``."""
    with np.load(path) as stored:
        images, names, bits = stored["images"], stored["names"], stored["bits"]
    right = np.unpackbits(bits, axis=1, count=len(images)).astype(bool)
    return images, {(str(head), str(rule)): row for (head, rule), row in zip(names, right)}


class Correctness:
    """The images that all systems have right on a set at a number of shots.

    Parameters
    ----------
    paths : dict of int to list of Path
        The files of each draw, each with other systems on the same images. They are read by `load`.
    """

    def __init__(self, paths):
        self.paths = paths

    def load(self):
        """Read the files.

        Returns
        -------
        tested : ndarray of shape (D, N), bool
            Which images each draw tests: draws in order, images matched by their position in the
            set.
        right : dict of (head, rule) to dict of int to ndarray of shape (N,), bool
            Which images a system has right, for each position of a draw in which it was measured.
            Those that are not tested are False.
        """
        stored = [[read(path) for path in paths] for _, paths in sorted(self.paths.items())]
        images = np.unique(np.concatenate([of_draw for (of_draw, _), *_ in stored]))
        tested = np.stack([np.isin(images, of_draw) for (of_draw, _), *_ in stored])
        found = defaultdict(dict)
        for d, parts in enumerate(stored):
            for of_draw, right in parts:
                columns = np.searchsorted(images, of_draw)
                for system, row in right.items():
                    found[system][d] = np.zeros(len(images), bool)
                    found[system][d][columns] = row
        return tested, dict(found)


def stored_in(results):
    """Return a dict from (set, shots) to the Correctness in a folder of ``_run.run_main``."""
    found = defaultdict(lambda: defaultdict(list))
    for path in results.glob("[!.]*.npz"):
        folder, shots, draw, _ = path.stem.rsplit("--", 3)
        found[folder.rpartition("-")[0], shots][int(draw)].append(path)
    return {cell: Correctness(paths) for cell, paths in found.items()}

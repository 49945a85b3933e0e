"""Check whether a backbone made a table, by embeddings of pictures that every machine has."""

from functools import lru_cache

import numpy as np
from sklearn.datasets import load_sample_images

from .._utils._linalg import subsample, unit_rows
from ._embedders import MultiBackboneEmbedder

_SIDE = 64


def likeness_to_probes(backbone, rows, cache):
    """Return how similar rows are to a backbone's embeddings of a few pictures of any kind.

    Parameters
    ----------
    backbone : Backbone
    rows : ndarray of shape (n, width)
        Embeddings, of unit length.
    cache : None, bool, str, os.PathLike or EmbeddingStore
        As the parameter of embedders.

    Returns
    -------
    float
        Mean squared cosine of rows and probes, divided by that among the probes.
    """
    probes = _embedded(backbone, backbone.version, cache)
    return _mean_squared_cosine(subsample(rows), probes) / _mean_squared_cosine(probes, probes)


def _mean_squared_cosine(rows, others):
    return float(np.mean(np.square(rows @ others.T)))


@lru_cache(maxsize=64)  # folds and draws call it again; `version` is part of the key
def _embedded(backbone, version, cache):
    embedder = MultiBackboneEmbedder([backbone.name], cache=cache)
    embedder.set_output(transform="default")  # an array, whatever scikit-learn is set to
    return unit_rows(embedder.fit_transform(_probes()))


def _probes():
    """Return the quarters of scikit-learn's two sample photographs, and eight drawings."""
    return [quarter for one in load_sample_images().images for quarter in _quarters(one)] + [
        *_drawings()
    ]


def _quarters(image):
    height, width = np.array(image.shape[:2]) // 2
    return [
        image[top : top + height, left : left + width] for top in (0, height) for left in (0, width)
    ]


def _drawings():
    """Yield pictures of one or three colours on white."""
    y, x = np.mgrid[:_SIDE, :_SIDE] - _SIDE // 2
    away = np.hypot(y, x)
    roof = (y > -20) & (y <= 0) & (abs(x) < (y + 20) * 1.2)
    eyes = (np.hypot(y + 6, abs(x) - 8) < 4) | ((abs(away - 14) < 2) & (y > 6))
    door = (y > 10) & (y < 24) & (abs(x) < 5)
    yield _drawn((away < 24, (220, 40, 30)))
    yield _drawn((abs(away - 22) < 3, (30, 90, 200)))
    yield _drawn(((abs(y) < 20) & (abs(x) < 20), (240, 190, 20)))
    yield _drawn(((y > -20) & (y < 20) & (abs(x) < (y + 20) / 1.8), (40, 160, 70)))
    yield _drawn(((abs(y) < 6) | (abs(x) < 6), (20, 20, 20)))
    yield _drawn(((y // 8) % 2 == 0, (130, 60, 160)))
    yield _drawn((away < 24, (250, 205, 60)), (eyes, (70, 40, 20)))  # a face
    wall = (y > 0) & (y < 24) & (abs(x) < 18)
    yield _drawn((wall, (200, 120, 70)), (roof, (170, 40, 40)), (door, (80, 50, 30)))


def _drawn(*layers):
    image = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    for where, colour in layers:
        image[where] = colour
    return image

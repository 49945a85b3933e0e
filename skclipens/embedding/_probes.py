"""Check whether a backbone made a table, by embeddings of pictures that every machine has."""

from functools import lru_cache

import numpy as np

from .._utils._linalg import evenly_spaced, subsample, unit_rows
from ._embedders import MultiBackboneEmbedder

_N_EMOJI = 16


def similarity_to_probes(backbone, rows, cache):
    """Return how similar unit rows are to a backbone's embeddings of a few pictures of any kind.

    That is the mean squared cosine of rows and probes, divided by that among the probes.
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
    """Return the quarters of scikit-learn's two sample photographs, and some emoji."""
    # Here, since they would be a quarter of the time to import the package.
    from sklearn.datasets import load_sample_images

    from ..datasets import load_emoji

    quarters = [quarter for one in load_sample_images().images for quarter in _quarters(one)]
    return [*quarters, *evenly_spaced(load_emoji().filenames, _N_EMOJI)]


def _quarters(image):
    height, width = np.array(image.shape[:2]) // 2
    return [
        image[top : top + height, left : left + width] for top in (0, height) for left in (0, width)
    ]

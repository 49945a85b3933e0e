"""Pictures that several tests learn from."""

import numpy as np

from skclipens.datasets import load_emoji


def some_of_each(n_classes, n_of_each, **options):
    """Files and labels of the first pictures of each of the first classes, class by class."""
    data = load_emoji(**options)
    rows = np.concatenate([np.flatnonzero(data.target == c)[:n_of_each] for c in range(n_classes)])
    return data.filenames[rows], data.target_names[data.target[rows]]

"""Seeds and rows drawn from a random state."""

import numpy as np
from sklearn.utils import check_random_state


def draw_seed(random_state):
    """Draw an int seed, for generators of other libraries or for several estimators."""
    return check_random_state(random_state).randint(np.iinfo(np.int32).max)


def drawn_rows(targets, weights, n_rows, random_state):
    """Return sorted positions of a stratified sample of at most `n_rows` rows that have a weight.

    There is at least one of each class. The first two rows of each class come first: a rare class
    might get none by its share.
    """
    n_rows = max(n_rows, len(np.unique(targets)))
    rows = np.arange(len(targets)) if weights is None else np.flatnonzero(weights)
    if len(rows) <= n_rows:
        return rows
    rows = check_random_state(random_state).permutation(rows)
    targets = targets[rows]
    sizes, in_class = np.bincount(targets), np.empty(len(rows), int)
    in_class[np.argsort(targets, kind="stable")] = np.concatenate([np.arange(n) for n in sizes])
    rank = np.where(in_class < 2, in_class - 2, (in_class + 0.5) / sizes[targets])
    return np.sort(rows[np.argsort(rank, kind="stable")[:n_rows]])

"""Near-duplicate rows, such as those of an image that was saved again."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from ._forks import one_openmp_thread_in_fork
from ._threads import one_blas_thread

# Among fewer rows, two may be far nearer by chance. With a few versions of each image, the fifth
# nearest row is none of them. Among few rows it may be of another class, so the third is used.
FEWEST_ROWS, _MANY_ROWS = 20, 50
_THIRD, _FIFTH = 3, 5
_NEAR = 0.5  # of the distance to that row; see docs/results/near_duplicates.md


def near_duplicates(rows, others, *, own=None):
    """Find the near-duplicates of rows among the nearest of at least FEWEST_ROWS others.

    If the rows are some of the others, at the positions `own`, each is compared with all but
    itself. Return the positions of the nearest others, and which of these are near-duplicates, both
    (m, k).
    """
    n_neighbors = (_FIFTH if len(others) >= _MANY_ROWS else _THIRD) + (own is not None)
    index = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(others)
    # kneighbors sets the limit of BLAS, too, also in threads that overlap.
    with one_blas_thread(), one_openmp_thread_in_fork():
        distances, positions = index.kneighbors(rows)
    if own is not None:
        # By rounding, a row that is almost the same can be nearer than the row itself.
        is_own = positions == own[:, np.newaxis]
        is_own[~is_own.any(axis=1), -1] = True
        distances, positions = (a[~is_own].reshape(len(a), -1) for a in (distances, positions))
    is_near = distances < _NEAR * distances[:, -1:]
    return positions[:, :-1], is_near[:, :-1]

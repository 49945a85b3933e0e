"""Near-duplicate rows, such as those of an image that was saved again."""

from sklearn.neighbors import NearestNeighbors

from ._threads import one_blas_thread

# Among fewer rows, two may be far nearer by chance. With a few versions of each image, the fifth
# nearest row is none of them. Among few rows it may be of another class, so the third is used.
FEWEST_ROWS, _MANY_ROWS = 20, 50
_THIRD, _FIFTH = 3, 5
_NEAR = 0.5  # of the distance to that row; see docs/results/near_duplicates.md


def near_duplicates(rows, others, *, among=False):
    """Find the near-duplicates of rows among the nearest of at least FEWEST_ROWS others.

    Return the positions of the nearest others, without the row itself if the rows are `among` them,
    and which of these are near-duplicates, both (m, k).
    """
    n_neighbors = (_FIFTH if len(others) >= _MANY_ROWS else _THIRD) + among
    index = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(others)
    with one_blas_thread():  # kneighbors sets the same limit, also in threads that overlap
        distances, positions = index.kneighbors(rows)
    is_near = distances < _NEAR * distances[:, -1:]
    return positions[:, among:-1], is_near[:, among:-1]

"""Near-duplicate rows, such as those of an image that was saved again."""

from sklearn.neighbors import NearestNeighbors

from ._threads import one_blas_thread

# Among fewer rows, two may be far nearer by chance. With a few versions of each image, the fifth
# nearest row is none of them. Among few rows it may be of another class, so the third is used.
FEWEST_ROWS, _MANY_ROWS = 20, 50
_THIRD, _FIFTH = 3, 5
_NEAR = 0.5  # of the distance to that row; see docs/results/near_duplicates.md


def near_duplicates(rows, others, *, among=False):
    """Find the near-duplicates of rows among their nearest neighbors in other rows.

    Parameters
    ----------
    rows : ndarray of shape (m, d)
    others : ndarray of shape (n, d)
        At least ``FEWEST_ROWS``.
    among : bool, default=False
        Whether the rows are among the others.

    Returns
    -------
    positions : ndarray of shape (m, k), int
        Positions of the nearest others, without the row itself.
    is_near : ndarray of shape (m, k), bool
        Which of these are near-duplicates.
    """
    n_neighbors = (_FIFTH if len(others) >= _MANY_ROWS else _THIRD) + among
    index = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(others)
    with one_blas_thread():  # kneighbors sets the same limit, also in threads that overlap
        distances, positions = index.kneighbors(rows)
    is_near = distances < _NEAR * distances[:, -1:]
    return positions[:, among:-1], is_near[:, among:-1]

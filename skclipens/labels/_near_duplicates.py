"""Group pictures that are nearly the same."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .._utils._copies import groups_of_copies
from .._utils._near_duplicates import FEWEST_ROWS, near_duplicates
from .._utils._warnings import each_warning_once
from ..backbones._blocks import without_other_columns
from ..embedding._unreadable import readable, unreadable_rows
from ._similarity import unit_table_to_compare


@each_warning_once()
def group_near_duplicates(X):
    """Group pictures that are nearly the same, by their embeddings.

    Two pictures are near-duplicates if one is less than half as far from the other as from its
    fifth nearest picture, or from its third nearest if there are fewer than 50. This finds most
    pictures that were saved or resized again, brightened, or cropped by a tenth. It finds mirrored
    pictures if the embeddings have ``views="mirror"``, and more than half of those that were
    rotated by 10 degrees or cropped by a fifth if they have ``views="both"``; otherwise few of
    these. It finds no more than four versions of one picture that are equally far from each other.
    Near-duplicates of near-duplicates are in the same group.

    Parameters
    ----------
    X : array-like of shape (n, n_features)
        Embeddings, such as those of a :class:`~skclipens.MultiBackboneEmbedder`. If a DataFrame
        also has other columns, only those of embeddings are compared.

    Returns
    -------
    ndarray of shape (n,), int
        Numbers of the groups from 0, in the order of their first rows. Pass them as `groups` to
        ``fit``, and to splitters such as ``StratifiedGroupKFold``. A picture without
        near-duplicates is a group, and so is one that could not be read, whose row is NaN. Among
        fewer than 20 pictures, only those with the same embedding are grouped.

    Raises
    ------
    ValueError
        If X is not a table of numbers.

    See Also
    --------
    find_label_issues : Find labels that are probably wrong.

    Notes
    -----
    Each picture is compared with all others, so the time grows with the square of their number.
    How many near-duplicates are found, and what they cost, was
    `measured <https://skclipens.github.io/skclipens/results/near_duplicates.html>`__.

    Examples
    --------
    >>> from PIL import Image
    >>> from skclipens import CLIPEmbedder
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.labels import group_near_duplicates
    >>> pictures = [Image.open(name).convert("RGB") for name in load_emoji().filenames[:200:5]]
    >>> smaller = [picture.resize((60, 60)) for picture in pictures]
    >>> X = CLIPEmbedder("zoo/ViT-16").fit_transform(pictures + smaller)
    >>> groups = group_near_duplicates(X)
    >>> groups[:6], groups[40:46]  # the first pictures, and the same ones in another size
    (array([0, 1, 2, 3, 4, 5]), array([0, 1, 2, 3, 4, 5]))
    """
    X = without_other_columns(X)  # which may be of texts, or have values where a picture has none
    unreadable = unreadable_rows(X)
    if unreadable.size and unreadable.all():
        return np.arange(len(unreadable))
    (table,) = readable([X], unreadable)
    _, rows = unit_table_to_compare(table, None)
    # All rows of a single column have the same direction.
    same = groups_of_copies(rows, fewest=2)
    same = np.arange(len(rows)) if same is None else same
    first = np.flatnonzero(same == np.arange(len(rows)))
    pairs = np.vstack([np.arange(len(rows)), same])
    if len(first) >= FEWEST_ROWS:
        pairs = np.hstack([pairs, first[_pairs(rows[first])]])
    pairs = np.flatnonzero(~unreadable)[pairs]
    links = coo_array((np.ones(pairs.shape[1], bool), tuple(pairs)), shape=2 * (len(unreadable),))
    return connected_components(links, directed=False)[1].astype(int)


def _pairs(rows):
    positions, is_near = near_duplicates(rows, rows, own=np.arange(len(rows)))
    return np.vstack([np.nonzero(is_near)[0], positions[is_near]])

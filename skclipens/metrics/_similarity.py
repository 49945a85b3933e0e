"""Similarity of embeddings by linear centred kernel alignment."""

import numpy as np
from sklearn.utils import check_array, check_consistent_length

from .._utils._missing import without_mask
from .._utils._sample_arguments import warn_of_other_order
from ._checks import square_frame


def linear_cka(X, Y):
    r"""Linear centred kernel alignment of two embeddings of the same rows.

    With centred columns it is :math:`\|Y^T X\|_F^2 / (\|X^T X\|_F \|Y^T Y\|_F)`, Section 3 of
    [1]_. It does not change when an embedding is rotated, shifted or scaled. Besides the embeddings
    it needs memory for p x q numbers, or for two n x n matrices if these are smaller.

    Parameters
    ----------
    X : array-like of shape (n, p)
        An embedding.
    Y : array-like of shape (n, q)
        Another embedding.

    Returns
    -------
    float
        Between 0 and 1; 1 for equal embeddings.

    Raises
    ------
    ValueError
        If X and Y have different numbers of rows, or all rows of one are equal.

    See Also
    --------
    linear_cka_matrix : The same for all pairs of blocks of a table.

    References
    ----------
    .. [1] Kornblith, Norouzi, Lee and Hinton, "Similarity of Neural Network Representations
       Revisited", ICML 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skclipens.metrics import linear_cka
    >>> X, _ = load_wine(return_X_y=True)
    >>> round(linear_cka(X, 2 - 3 * X[:, ::-1]), 6)
    1.0
    """
    warn_of_other_order(X, Y=Y)
    X, Y = _normalised(X, "X"), _normalised(Y, "Y")
    check_consistent_length(X, Y)
    return _cka(X, Y, _alignment(X, X), _alignment(Y, Y))


def linear_cka_matrix(X, blocks=None):
    """Linear centred kernel alignment of all pairs of blocks of columns.

    Parameters
    ----------
    X : array-like of shape (n, n_features)
        Embeddings side by side, such as those of :class:`~skclipens.MultiBackboneEmbedder`.
    blocks : None, str, list of str or list of (str, columns), default=None
        Which columns belong together, as in :class:`~skclipens.AdaptiveBackboneEnsemble`.

    Returns
    -------
    pandas.DataFrame of shape (B, B)
        Symmetric, between 0 and 1, with ones on the diagonal, up to rounding.

    Raises
    ------
    ValueError
        If the blocks do not fit X, or all rows of a block are equal.

    See Also
    --------
    linear_cka : The same for two embeddings.

    Examples
    --------
    >>> from skclipens import MultiBackboneEmbedder
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.metrics import linear_cka_matrix
    >>> images = load_emoji().filenames[:20]
    >>> X = MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-8"]).transform(images)
    >>> linear_cka_matrix(X, ["zoo/RN20", "zoo/ViT-8"]).columns.tolist()
    ['zoo/RN20', 'zoo/ViT-8']
    """
    from ..backbones._blocks import column_names, find_blocks

    names = column_names(X)
    X = check_array(without_mask(X), ensure_min_samples=2, input_name="X")
    blocks = find_blocks(blocks, X.shape[1], names)
    parts = [_normalised(X[:, block.columns], f"Block {block.name!r}") for block in blocks]
    norms = [_alignment(part, part) for part in parts]
    return square_frame(
        [[_cka(a, b, m, n) for b, n in zip(parts, norms)] for a, m in zip(parts, norms)],
        [block.name for block in blocks],
    )


def _normalised(X, name):
    """Return X with centred columns, scaled to unit Frobenius norm."""
    X = check_array(without_mask(X), dtype=np.float64, ensure_min_samples=2, input_name=name)
    if not (X != X[0]).any():
        raise ValueError(f"{name}: all rows are equal, so it has no alignment with any other.")
    X = X / 2 - X[0] / 2  # constant columns, however large, are zero, and nothing overflows
    X /= np.abs(X).max()  # squares of very large and of very small values leave float64
    X -= X.mean(axis=0)
    return X / np.linalg.norm(X)


def _alignment(X, Y):
    if X.shape[1] * Y.shape[1] > 2 * len(X) ** 2:
        return np.vdot(X @ X.T, Y @ Y.T)
    return np.linalg.norm(Y.T @ X) ** 2


def _cka(X, Y, norm_x, norm_y):
    return float(_alignment(X, Y) / np.sqrt(norm_x * norm_y))

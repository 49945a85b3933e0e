"""Dimensionality reduction of each block of columns."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ._mistakes._columns import warn_of_unnamed_columns
from ._mistakes._seen_embeddings import check_rows_as_in_fit, see_blocks
from ._utils._docstrings import fill_doc
from ._utils._estimator import EstimatorMixin
from ._utils._linalg import precise, take_columns
from ._utils._pca import fit_centred, leave_out_flat_components
from ._utils._sklearn import InOrder, Interval, RealNotInt, check_feature_names_in, fit_context
from ._utils._tables import called_block, check_range
from ._utils._validation import check_rows
from .backbones._blocks import find_blocks

__all__ = ["BlockPCA"]

_OTHER = "other"  # the block of columns of no backbone, as find_blocks names it


@fill_doc
class BlockPCA(EstimatorMixin, TransformerMixin, BaseEstimator):
    """Reduce each block of columns by a separate principal component analysis.

    Each backbone has hundreds of columns. Use it before models whose fitting time grows with the
    number of columns, such as trees. A PCA of all columns would give most components to the
    backbone whose embeddings have the largest variance; here each block has its own components.

    Parameters
    ----------
    n_components : int, float or None, default=16
        Number of components of each block. An int: this many, or fewer if the block has fewer
        columns or the table fewer rows. A float below 1: as many as explain this share of the
        variance. None: all.
    blocks : None, str, list of str, list of (str, columns) or dict, default=None
        Which columns belong together; see :class:`~skclipens.AdaptiveBackboneEnsemble`. None: if X
        is a DataFrame, blocks are found by column names ``BACKBONE__i``; otherwise all columns are
        one block. Other columns are not changed and come after the components.
    whiten : bool, default=False
        Whether to scale components to unit variance. Components without variance are left out,
        since scaled they would be noise. n rows have at most n - 1 components with variance.
    random_state : int, RandomState instance or None, default=None
        Seed of the randomized solver, which scikit-learn uses for large tables.

    Attributes
    ----------
    pcas_ : dict of str to sklearn.decomposition.PCA
        The fitted PCA of each block, by the name of the block.
    %(table_columns)s

    See Also
    --------
    skclipens.BackboneSelector : Leaves out whole blocks.
    sklearn.decomposition.PCA : The PCA of a block.

    Notes
    -----
    Components are named ``BACKBONE__pca0``, ``BACKBONE__pca1`` and so on. They cannot be compared
    with texts, so heads that start from prompts cannot use them.

    Examples
    --------
    >>> from skclipens import MultiBackboneEmbedder
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.decomposition import BlockPCA
    >>> embedder = MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-16"])
    >>> X = embedder.set_output(transform="pandas").fit_transform(load_emoji().filenames[::40])
    >>> reduced = BlockPCA(8, random_state=0).set_output(transform="pandas").fit_transform(X)
    >>> X.shape, reduced.shape
    ((35, 256), (35, 16))
    >>> print(reduced.columns[-1])
    zoo/ViT-16__pca7
    """

    _parameter_constraints: dict = {
        "n_components": [
            None,
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
        ],
        "blocks": [None, str, dict, InOrder()],
        "whiten": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(self, n_components=16, *, blocks=None, whiten=False, random_state=None):
        self.n_components = n_components
        self.blocks = blocks
        self.whiten = whiten
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Fit a PCA for each block.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings, or any table, with two rows or more.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If the blocks do not match the columns of X, the squares of a block overflow or all
            vanish, or its columns differ too little to be whitened.

        Warns
        -----
        SuspectedMistakeWarning
            If X has 128 columns or more, as embeddings have, but neither the column names of an
            embedder nor `blocks` is given: all columns are then one block.
        """
        X = precise(check_rows(self, X, reset=True, ensure_min_samples=2))
        names = getattr(self, "feature_names_in_", None)
        blocks = find_blocks(self.blocks, X.shape[1], names)
        if self.blocks is None:
            warn_of_unnamed_columns(blocks, names, "is reduced as a whole")
            blocks = [block for block in blocks if block.name != _OTHER]
        self._columns = {block.name: block.columns for block in blocks}
        self._others = np.setdiff1d(
            np.arange(X.shape[1]), np.concatenate([*self._columns.values()])
        )
        random_state = check_random_state(self.random_state)
        self.pcas_ = {}
        for name, columns in self._columns.items():
            rows = take_columns(X, columns)
            with called_block(name):
                check_range(rows, None if names is None else names[columns])
            self.pcas_[name] = self._fitted(name, rows, random_state)
        self._seen = see_blocks(blocks, X)
        return self

    @fill_doc
    def transform(self, X):
        """Reduce the blocks of a table.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            A table with the columns that ``fit`` saw.

        Returns
        -------
        ndarray of shape (n, n_columns)
            The components of each block, then the columns of no block. float64 if X or the rows of
            ``fit`` are float64, or columns of these are far from zero; otherwise float32. A
            DataFrame if set by ``set_output``.

        %(checks_of_X)s
        """
        check_is_fitted(self)
        X = check_rows_as_in_fit(self, X)
        parts = [
            pca.transform(take_columns(X, self._columns[name])) for name, pca in self.pcas_.items()
        ]
        return np.concatenate([*parts, X[:, self._others]], axis=1)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns, such as ``BLOCK__pca0``; other columns keep theirs.

        Parameters
        ----------
        input_features : array-like of shape (n_features,) of str, default=None
            Names of the columns of X, as in ``fit``. None: ``feature_names_in_``, or ``x0``, ``x1``
            and so on.

        Returns
        -------
        ndarray of shape (n_columns,), dtype object
            Names of the columns that ``transform`` returns.

        Raises
        ------
        ValueError
            If a column of no block has the name of a component.
        """
        check_is_fitted(self)
        names = check_feature_names_in(self, input_features)
        reduced = [
            f"{name}__pca{i}"
            for name, pca in self.pcas_.items()
            for i in range(len(pca.components_))
        ]
        for name in names[self._others]:
            if name in reduced:
                raise ValueError(
                    f"Column {name!r} is of no block and stays as it is, but a component is called "
                    "so, too. Give the column, or the block, another name."
                )
        return np.array([*reduced, *names[self._others]], dtype=object)

    def _fitted(self, name, rows, random_state):
        """Return the fitted PCA of one block."""
        kept = self.n_components
        if isinstance(kept, Integral):
            kept = min(kept, *rows.shape)
        # A share of the variance needs all components.
        solver = "full" if isinstance(kept, float) else "auto"
        pca = PCA(kept, whiten=self.whiten, svd_solver=solver, random_state=random_state)
        fit_centred(pca, rows)
        if self.whiten:
            leave_out_flat_components(pca)
            least = np.finfo(rows.dtype).eps  # PCA divides by this, or by more
            if np.sqrt(pca.explained_variance_.min(initial=1)) < least:
                raise ValueError(
                    f"Block {name!r} has a component whose standard deviation is below "
                    f"{least:.2g}, too small to whiten. Scale its columns, or set whiten=False."
                )
        return pca

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

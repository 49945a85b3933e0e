"""Image retrieval by words or by other images, with several backbones."""

from copy import copy
from functools import partial
from numbers import Integral

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ._mistakes._columns import warn_of_renamed_columns
from ._mistakes._embeddings import warn_of_rescaled_blocks
from ._mistakes._models import Embeddings, first_name, warn_of_other_models
from ._mistakes._seen_embeddings import refuse_columns_of_others, see_blocks, warn_of_unlike
from ._utils._linalg import normalize_blocks, row_batches, side_by_side, take_columns
from ._utils._one_column import check_column
from ._utils._sklearn import InOrder, Interval, StrOptions, fit_context
from ._utils._tables import refuse_loose_rows
from ._utils._validation import check_rows
from ._utils._warnings import NOTHING, silent
from .backbones import Backbone
from .backbones._blocks import column_names, find_blocks, without_other_columns
from .backbones._prompts import check_texts
from .embedding import CLIPEmbedder, MultiBackboneEmbedder
from .embedding._unreadable import fill_unreadable, readable, unreadable_rows, warn_of_unreadable
from .embedding._weights import WeightsMixin
from .images import as_image_list
from .images._texts import refuse_files, refuse_words

__all__ = ["ImageRetriever"]

_RANK_CONSTANT = 60  # from [1]_, which found that its value matters little
_AT_ONCE = 2**24  # cosines
_FLOATS = [np.float32, np.float64]


class ImageRetriever(WeightsMixin, BaseEstimator):
    r"""Find images by words or by other images, with several backbones.

    Each backbone scores every image by the cosine of its embedding with that of the query. The
    scores of the backbones are combined into one score for each image.

    Parameters
    ----------
    embedder : None, str, list of str, MultiBackboneEmbedder or CLIPEmbedder, default=None
        Names of backbones, as :class:`skclipens.MultiBackboneEmbedder` takes them, or an embedder.
        None: for a table, the backbones in its column names, and for images the default backbones
        of :class:`skclipens.MultiBackboneEmbedder`.
    n_neighbors : int, default=10
        Number of images to find for a query, unless a method is passed another number.
    fusion : {"cosine", "rank"}, default="cosine"
        How scores are combined. ``"cosine"``: the mean of the cosines. ``"rank"``: reciprocal rank
        fusion [1]_, the mean of 61 / (60 + r) over the ranks r of the image for each backbone, for
        backbones whose cosines have different ranges. Both are at most 1.
    templates : sequence of str, default=("{}",)
        Prompts for the words; see :meth:`skclipens.MultiBackboneEmbedder.embed_text`.

    Attributes
    ----------
    embeddings_ : ndarray of shape (n, n_columns), float32 or float64
        Embeddings of the images; each block of columns has unit length.
    rows_ : ndarray of shape (n,), int
        Positions of these images in the X of ``fit``. With ``on_error="nan"``, images that cannot
        be read are left out.
    n_samples_fit_ : int
        Number of images that can be found.
    embedding_names_ : ndarray of shape (n_columns,) or None
        Names of the columns of embeddings; None if ``fit`` was passed a table without names.
    n_features_in_ : int
        Number of columns; 1 for images.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns; only if ``fit`` was passed a DataFrame.

    See Also
    --------
    skclipens.MultiBackboneEmbedder.embed_text : The embeddings of words.
    sklearn.neighbors.NearestNeighbors : Neighbors by one distance.

    Notes
    -----
    The search is exact: each query is compared with all images. All parameters except `embedder`
    can be changed after ``fit``. With the zoo, the mean of the cosines had a higher
    mean average precision than the best single backbone on eight of nine validation sets, and than
    rank fusion on all nine (``benchmarks/search.py``).

    References
    ----------
    .. [1] Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and
       individual Rank Learning Methods", SIGIR 2009.

    Examples
    --------
    >>> from skclipens import ImageRetriever
    >>> from skclipens.datasets import load_emoji
    >>> emoji = load_emoji(min_class_size=40)
    >>> retriever = ImageRetriever("zoo").fit(emoji.filenames)
    >>> scores, rows = retriever.search("a bicycle", n_neighbors=2)
    >>> print(*emoji.frame["name"][rows], sep=", ")
    bicycle, motorcycle
    """

    _parameter_constraints: dict = {
        "embedder": [None, str, InOrder(), MultiBackboneEmbedder, CLIPEmbedder],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "fusion": [StrOptions({"cosine", "rank"})],
        "templates": [InOrder()],
    }
    _reads_texts = True

    def __init__(self, embedder=None, *, n_neighbors=10, fusion="cosine", templates=("{}",)):
        self.embedder = embedder
        self.n_neighbors = n_neighbors
        self.fusion = fusion
        self.templates = templates

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Embed the images to search in, or take a table of their embeddings.

        Parameters
        ----------
        X : collection of n images, or array or DataFrame of shape (n, n_columns)
            Images, see :meth:`skclipens.MultiBackboneEmbedder.transform`, or a table that an
            embedder has made; other columns are ignored. A table without column names has the
            blocks of `embedder`; if `embedder` is None, it is one block.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If a table does not have the columns of `embedder`.
        ImageError
            If an image cannot be read and ``on_error="raise"``, or no image can be read.

        Warns
        -----
        SuspectedMistakeWarning
            If a table seems to be centred or scaled, has rows of zeros, has the embeddings of a
            second picture under names that no embedder gives, or seems to have the images in
            another order in one block than in the others.
        """
        table, unreadable = self._table(X)
        if unreadable.any():
            warn_of_unreadable(unreadable, "cannot be found", as_image_list(X))
            (table,) = readable([table], unreadable)
        self._of_images = not _is_table(X)
        if self._of_images:
            check_column(self, X, reset=True)
        of_table = copy(self) if self._of_images else self
        table = check_rows(of_table, table, reset=True, dtype=_FLOATS)
        self.embedding_names_ = getattr(of_table, "feature_names_in_", None)
        self._unreadable, self.rows_ = unreadable, np.flatnonzero(~unreadable)
        self.n_samples_fit_ = len(table)
        names = self.embedding_names_
        blocks = find_blocks(self._named_blocks(), table.shape[1], names, "embedder")
        # Blocks that lack columns of a backbone are not compared.
        self._blocks = [block for block in blocks if block.kind is not None] or blocks
        if not self._of_images and names is not None:
            known = [block for block in self._blocks if block.kind]
            warn_of_renamed_columns(known, np.setdiff1d(column_names(X), names))
        self._note_weights({Backbone(one.backbone) for one in self._blocks if one.backbone})
        if len(table) > 1:
            warn_of_rescaled_blocks([block for block in self._blocks if block.has_text], table)
        self.embeddings_ = self._unit_blocks(table)
        self._seen = see_blocks(self._blocks, self.embeddings_)
        return self

    def search(self, texts, n_neighbors=None):
        """Find images by words.

        Parameters
        ----------
        texts : str or list of n str
            Descriptions of the images to find, such as "a red bicycle"; "_" becomes a space.
        n_neighbors : int, default=None
            Number of images to find, or all if there are fewer. None: the parameter `n_neighbors`.

        Returns
        -------
        scores : ndarray of shape (n, n_neighbors)
            Combined scores of the images found, the best first; see `fusion`.
        rows : ndarray of shape (n, n_neighbors), int
            Their positions in the X of ``fit``. For one str, both have shape (n_neighbors,).

        Raises
        ------
        ValueError
            If no block belongs to a backbone with a text tower, as in a table without column names,
            or a text is the path of a file or pipe; use :meth:`kneighbors` to search by images.
        FileNotFoundError
            If a text ends like the name of an image file, but there is no such file.
        IsADirectoryError
            If a text is the path of a folder.
        NotFittedError
            If the estimator is not fitted.

        Warns
        -----
        SuspectedMistakeWarning
            If the embeddings of an array seem to be of another model, weights have changed since
            ``fit``, or a text is longer than the text tower reads.
        """
        check_is_fitted(self)
        self._validate_params()
        self._warn_of_changes()
        blocks = [block for block in self._blocks if block.has_text]
        if not blocks:
            named = ", ".join(block.name for block in self._blocks)
            advice = (
                "Fit on images, on a frame whose columns an embedder has named, or name the "
                "backbones: embedder='zoo'."
            )
            if self._blocks[0].kind is not None:
                advice = "Embed with features='projected', and by a backbone that has texts."
            raise ValueError(f"No block of columns has texts: {named}. {advice}")
        one = isinstance(texts, str)
        texts = check_texts([texts] if one else texts)
        refuse_files(texts, "To find pictures like it, pass it to kneighbors, in a list.")
        if not self._of_images:
            warn_of_other_models(list(map(self._said_to_be, blocks)))
        words = self._embed_words(texts, blocks)
        found = self._nearest(words, blocks, n_neighbors)
        return tuple(values[0] for values in found) if one else found

    def kneighbors(self, X=None, n_neighbors=None, return_distance=True):
        """Find the images that are most similar to other images.

        Parameters
        ----------
        X : collection of m images, or table of shape (m, n_columns), default=None
            Queries, as in :meth:`fit`. None: all images of ``fit``; no image finds itself.
        n_neighbors : int, default=None
            Number of images to find, or all if there are fewer. None: the parameter `n_neighbors`.
        return_distance : bool, default=True
            Whether to return distances.

        Returns
        -------
        distances : ndarray of shape (m, n_neighbors)
            1 - combined score, the smallest first. NaN for a query that cannot be read.
        rows : ndarray of shape (m, n_neighbors), int
            Positions of the images in the X of ``fit``; -1 for a query that cannot be read.

        Raises
        ------
        ValueError
            If a table has other embeddings than in ``fit``, or X are images, but ``fit`` was passed
            a table and `embedder` is None.
        NotFittedError
            If the estimator is not fitted.

        Warns
        -----
        SuspectedMistakeWarning
            If a table of 20 rows or more is unlike that of ``fit``, for example because blocks are
            in another order, or if the weights of a backbone have changed since ``fit``.
        """
        check_is_fitted(self)
        self._validate_params()
        table, unreadable = (self.embeddings_, self._unreadable) if X is None else self._queries(X)
        queries = [take_columns(table, block.columns) for block in self._blocks]
        scores, rows = self._nearest(queries, self._blocks, n_neighbors, leave_out=X is None)
        if unreadable.any():
            if X is None:  # embeddings_ has only readable rows
                places = np.maximum(np.cumsum(~unreadable) - 1, 0)
                scores, rows = scores[places], rows[places]
            scores[unreadable], rows[unreadable] = np.nan, -1
        return (np.maximum(1 - scores, 0), rows) if return_distance else rows

    # Embeddings of images, and of words

    def _embedder(self):
        if hasattr(self.embedder, "transform"):
            return clone(self.embedder)
        return MultiBackboneEmbedder(*([] if self.embedder is None else [self.embedder]))

    def _table(self, X):
        """Return a table of embeddings, with column names for images, and the unreadable rows."""
        if _is_table(X):
            return without_other_columns(X), np.zeros(X.shape[0], bool)
        refuse_loose_rows(X)
        table = self._embedder().set_output(transform="pandas").fit_transform(X)
        return table, unreadable_rows(table)

    def _queries(self, X):
        """Return a table of queries, and which of its rows are unreadable."""
        if not _is_table(X):
            refuse_loose_rows(X)
            refuse_words(X)
            if not self._of_images and self.embedder is None:
                raise ValueError(
                    "fit saw a table, and these are images: name what embeds them as it was made, "
                    "such as embedder='zoo', or pass a table of their embeddings."
                )
            self._warn_of_changes()
            if self._of_images:
                check_column(self, X, reset=False)
        table, unreadable = self._table(X)
        if unreadable.any():
            warn_of_unreadable(unreadable, "find nothing", as_image_list(X), all_may_be=True)
            table = fill_unreadable(table, unreadable)
        if not _is_table(X) and self.embedding_names_ is None:
            table = table.to_numpy()
        of_table = copy(self)  # as if the embeddings had been passed to fit
        of_table.n_features_in_ = self.embeddings_.shape[1]
        if self.embedding_names_ is not None:
            of_table.feature_names_in_ = self.embedding_names_
        with silent("X does not have valid feature names" if self._of_images else NOTHING):
            checked = check_rows(of_table, table, dtype=_FLOATS)
        refuse_columns_of_others(of_table, table)
        table = self._unit_blocks(checked)
        if _is_table(X):
            warn_of_unlike(self._seen, table)
        return table, unreadable

    def _unit_blocks(self, table):
        """Return a copy of a table in which each block of columns has unit length."""
        table = table.copy()
        normalize_blocks(table, [block.columns for block in self._blocks])
        return table

    def _named_blocks(self):
        """Return names of the embedder's blocks; None if column names are to define the blocks."""
        if self.embedder is None:
            return None
        return [block.kind.name for block in self._embedder()._blocks()]

    def _embed_words(self, texts, blocks):
        """Return text embeddings for each block."""
        backbones = list(dict.fromkeys(block.backbone for block in blocks))
        of_images = self._embedder()
        embedder = MultiBackboneEmbedder(backbones, device=of_images.device, cache=of_images.cache)
        embedder.set_output(transform="default")  # arrays, whatever scikit-learn is set to
        words = embedder.embed_text(texts, templates=self.templates)
        columns = side_by_side([Backbone(one).width for one in backbones])
        of = dict(zip(backbones, columns, strict=True))
        return [words[:, of[block.backbone]] for block in blocks]

    def _said_to_be(self, block):
        """Return the rows of a block with the backbone that they are declared to come from."""
        rows = take_columns(self.embeddings_, block.columns)
        column = first_name(self.embedding_names_, block.columns)
        return Embeddings(block.name, block.backbone, rows, column, None, self._embedder().cache)

    # Search

    def _nearest(self, queries, blocks, n_neighbors, leave_out=False):
        """Return scores and rows of the images nearest to queries, which are given by block.

        With `leave_out`, query i is image i, which does not find itself.
        """
        n_neighbors = self.n_neighbors if n_neighbors is None else n_neighbors
        check_scalar(n_neighbors, "n_neighbors", Integral, min_val=1)
        n = self.n_samples_fit_
        n_found = min(n_neighbors, n - leave_out)
        scores, places = [], []
        for part in row_batches(len(queries[0]), n * len(blocks), values=_AT_ONCE):
            pairs = zip(queries, blocks, strict=True)
            rows_of = partial(take_columns, self.embeddings_)
            cosines = np.stack([one[part] @ rows_of(block.columns).T for one, block in pairs])
            if leave_out:
                itself = np.arange(cosines.shape[1])
                cosines[:, itself, part.start + itself] = -np.inf
            fused = _FUSIONS[self.fusion](cosines)
            order = np.stack([_largest(one, n_found) for one in fused])
            scores.append(np.take_along_axis(fused, order, axis=1))
            places.append(order)
        return np.concatenate(scores), self.rows_[np.concatenate(places)]


def _largest(scores, n):
    """Return the positions of the n largest scores, the largest first, and equal ones in order."""
    some = np.flatnonzero(scores >= np.partition(scores, -n)[-n])
    return some[np.argsort(-scores[some], kind="stable")[:n]]


def _reciprocal_ranks(cosines):
    ranks = rankdata(-cosines, "ordinal", axis=2)
    return ((_RANK_CONSTANT + 1) / (_RANK_CONSTANT + ranks)).mean(axis=0)


_FUSIONS = {"cosine": partial(np.mean, axis=0), "rank": _reciprocal_ranks}


def _is_table(X):
    """Return whether X has two dimensions and holds numbers, other than pixels of type uint8."""
    shape = getattr(X, "shape", ())
    if len(shape) != 2 or str(getattr(X, "dtype", "")).endswith("uint8"):  # or torch.uint8
        return False
    return shape[1] > 1 or np.asarray(X[:1]).dtype.kind in "biufc"

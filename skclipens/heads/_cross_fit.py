"""Mixin and base classes of heads that have ``cross_fit``."""

import numpy as np
from sklearn.base import BaseEstimator

from .._mistakes._rows import warn_of_weights
from .._utils._copies import WIDE
from .._utils._folds import check_folds, drop_unseen_classes, few_shot_folds
from .._utils._labels import check_at_least_two
from .._utils._metadata import check_metadata
from .._utils._rows import all_rows
from .._utils._sklearn import fit_context
from .._utils._validation import check_table
from ._classifier import LogitClassifierMixin
from ._text_head import BaseTextHead, is_standalone

N_FOLDS = 5


def default_folds(targets, groups=None):
    """Return the folds that a head makes if it gets none."""
    return few_shot_folds(targets, N_FOLDS, groups=groups, random_state=0)


class CrossFitMixin:
    """Mixin for heads that compute held-out logits at less cost than by fits on folds.

    A subclass has ``_check_rows(X, y, **given)``, which sets ``classes_`` and returns the rows to
    learn from and the positions of their classes; and ``_cross_fit(X, targets, weights, folds,
    groups)``, which fits on these and returns logits and valid as :meth:`cross_fit` does.
    """

    __metadata_request__fit = {"sample_weight": True, "groups": True}

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, *, sample_weight=None, groups=None):
        """Fit the head. If it starts from prompts, the names of the classes are encoded first.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings, normalised or not, or any table if the head needs no prompts. With 32
            columns or more, identical rows of a class count as one row with the sum of their
            weights, unless `groups` are given. So they do with fewer columns and five different
            rows for each, if the head is a discriminant that chooses its ``shrinkage``.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows. A row of weight 2 counts as two copies; with fewer than 32 columns
            roughly so, as copies may be on both sides of a fold. Weights that sum to one, as in
            boosting, are multiplied by the number of rows. A row of weight zero is ignored, but
            its class is known.
        groups : array-like of shape (n,), default=None
            Rows of a group, such as pictures of one object, are never on both sides of a fold.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If there are fewer than two classes. If the head starts from prompts, also if X is not
            as wide as the backbone's embedding, a class has no name or a template has no place for
            it. If it is trained by gradient descent, also if ``learning_rate`` is so large that the
            loss is not finite.

        Warns
        -----
        SuspectedMistakeWarning
            If the mean of the weights is far from 1; if X, labels or names of classes look as if
            they did not belong together, which heads that start from prompts check; and if some
            columns have nearly all of the variance of what a kernel head reads, or are so far from
            zero that its rows hardly differ.
        """
        self._fit(*self._cross_fit_arguments(X, y, None, sample_weight, groups)[0])
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def cross_fit(self, X, y, *, folds=None, sample_weight=None, groups=None):
        """Fit, and return held-out logits of the training rows.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings, normalised or not.
        y : array-like of shape (n,)
            Labels.
        folds : list of (train, test), default=None
            Logits of ``test`` come from a head that is fitted on ``train``. None: the head leaves
            out one row at a time if it can do so in closed form. Otherwise it uses up to five
            folds, or those of its parameter ``cv``. Rows that count as one in :meth:`fit`
            are left out together.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.
        groups : array-like of shape (n,), default=None
            Rows of a group are left out together, if `folds` is None.

        Returns
        -------
        logits : ndarray of shape (n, C), dtype of the checked X
            For each row, the logits of a head that was fitted without it, with the settings that
            were chosen on all rows. If a row cannot be held out: its zero-shot logits if the head
            adds a correction to these, otherwise undefined values. If rows of at most half of the
            classes can, those heads, except :class:`TipAdapterHead`, give all rows their zero-shot
            logits. 0 for rows of weight 0.
        valid : ndarray of shape (n,), bool
            Rows whose logits can validate the head. For heads that add a correction to zero-shot
            logits, except :class:`TipAdapterHead`: all rows with a weight, since prompts do not
            depend on them. Otherwise: rows that were held out from a head that knows their class.
            For a :class:`KernelHead` and a :class:`LinearDiscriminantHead` at most 5,000 rows, for
            the latter none if it is a logistic regression.

        Raises
        ------
        ValueError
            As ``fit``; and if folds have rows on both sides or positions out of range.
        """
        learned, rows = self._cross_fit_arguments(X, y, folds, sample_weight, groups)
        return tuple(rows.for_input_rows(values) for values in self._cross_fit(*learned))

    def _fit(self, X, targets, weights, folds, groups):
        self._cross_fit(X, targets, weights, folds, groups)

    def _min_columns_of_copies(self, X):
        """Return the fewest columns of a table whose equal rows are copies."""
        return WIDE if is_standalone() else np.inf

    def _cross_fit_arguments(self, X, y, folds, sample_weight, groups):
        """Return the arguments of ``_cross_fit``, and the `Rows` that they come from.

        Rows without weight are left out, except the first of a class that would have no row.
        """
        X, targets = self._check_rows(X, y, sample_weight=sample_weight, groups=groups)
        check_at_least_two(self.classes_)
        metadata = check_metadata(sample_weight, groups, len(X), X.dtype)
        warn_of_weights(metadata["sample_weight"])
        own = getattr(self, "cv", None)
        own = N_FOLDS if own is None else own
        cv = own if folds is None else check_folds(folds, len(X), "folds")
        rows = all_rows(X, targets, metadata, cv).with_weight_or_first()
        # Given folds may keep copies apart; an ensemble merges rows that are equal in all blocks.
        rows = rows.merge_copies(self._min_columns_of_copies(rows.X)) if folds is None else rows
        # If rows are left out, the head's own splits were renumbered and are passed as folds.
        folds = None if rows.cv is own else rows.cv
        if folds is not None and not self._starts_from_prompts:
            folds = drop_unseen_classes(folds, rows.y)
        weights, groups = rows.metadata["sample_weight"], rows.metadata["groups"]
        return (rows.X, rows.y, weights, folds, groups), rows


class CrossFitTextHead(CrossFitMixin, BaseTextHead):
    """Base class of heads that start from text features and define ``_cross_fit``."""

    _starts_from_prompts = True


class CrossFitTableHead(CrossFitMixin, LogitClassifierMixin, BaseEstimator):
    """Base class of heads that need no texts and define ``_cross_fit``."""

    def _check_rows(self, X, y, **given):
        X, y = check_table(self, X, y, **given)
        self.classes_, targets = np.unique(y, return_inverse=True)
        return X, targets

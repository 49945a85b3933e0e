"""Heads that give held-out logits themselves."""

import numpy as np
from sklearn.base import BaseEstimator

from .._utils._folds import check_folds, drop_unseen_classes, few_shot_folds
from .._utils._metadata import check_metadata
from .._utils._rows import rows_given
from .._utils._sklearn import fit_context
from .._utils._validation import check_at_least_two, check_table
from ._classifier import LogitClassifierMixin
from ._text_head import BaseTextHead

N_FOLDS = 5


def own_folds(targets, groups=None):
    """The folds that a head makes where it is given none."""
    return few_shot_folds(targets, N_FOLDS, groups=groups, random_state=0)


class CrossFitMixin:
    """A head that gives held-out logits at less cost than by fits on folds.

    A subclass has ``_check_rows(X, y, **given)``, which sets ``classes_`` and gives rows in the
    form in which it learns from them, and positions of their classes; and ``_cross_fit(X, targets,
    weights, folds, groups)`` of these, which learns, and gives what :meth:`cross_fit` gives.
    """

    __metadata_request__fit = {"sample_weight": True, "groups": True}
    _starts_from_prompts = False

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, *, sample_weight=None, groups=None):
        """Learn from rows; heads with a text tower encode the names of the classes.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings, normalised or not. Rows that are the same are one row with the weight of
            all, unless groups are given.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows. A weight counts as that many copies of a row; those that sum to one
            are shares, as in boosting. A row of weight zero is as if it were not there, but for its
            class.
        groups : array-like of shape (n,), default=None
            Rows of a group, such as pictures of one object, are never on both sides of a fold.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If there are fewer than two classes; and of heads with a text tower, if X is not as
            wide as the backbone's embedding, a class has no name or a template has no place for it.
        """
        self._fit(*self._learned(X, y, None, groups, sample_weight)[0])
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def cross_fit(self, X, y, *, folds=None, groups=None, sample_weight=None):
        """Fit, and say what heads that have not seen a row give for it.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings, normalised or not.
        y : array-like of shape (n,)
            Labels.
        folds : list of (train, test), default=None
            Held-out logits come from heads that are fitted on ``train``. None: each row is left out
            where that has a closed form, and otherwise one of up to five folds, as ``cv`` says
            where the head has one. Rows that are the same are left out together.
        groups : array-like of shape (n,), default=None
            Rows of a group are left out together, where `folds` is None.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        logits : ndarray of shape (n, C)
            With the settings that the head has chosen. Those of a row that nothing holds out are
            zero-shot logits, or mean nothing where the head has none. Zeros without weight.
        known : ndarray of shape (n,), bool
            Which rows can judge the head: all that have a weight, where it starts from prompts,
            which have seen none; otherwise those that are held out, and whose class others show.

        Raises
        ------
        ValueError
            As ``fit``; and if a fold has rows on both sides, or that are not there.
        """
        learned, rows = self._learned(X, y, folds, groups, sample_weight)
        return tuple(rows.of_given(of_rows) for of_rows in self._cross_fit(*learned))

    def _fit(self, X, targets, weights, folds, groups):
        self._cross_fit(X, targets, weights, folds, groups)

    def _learned(self, X, y, folds, groups, sample_weight):
        """What ``_cross_fit`` takes, and the `Rows` that these are of.

        Rows without weight teach and judge nothing, so none stands for them.
        """
        X, targets = self._check_rows(X, y, sample_weight=sample_weight, groups=groups)
        check_at_least_two(self.classes_)
        metadata = check_metadata(X, targets, sample_weight, groups)
        own = getattr(self, "cv", None)
        own = N_FOLDS if own is None else own
        cv = own if folds is None else check_folds(folds, len(X), "folds")
        rows = rows_given(X, targets, metadata, cv).with_weight_or_first().merge_copies()
        # Splits of the head's own are folds where some of the rows that they count are left out.
        folds = None if rows.cv is own else rows.cv
        if folds is not None and not self._starts_from_prompts:
            folds = drop_unseen_classes(folds, rows.y)
        weights, groups = rows.metadata.values()
        return (rows.X, rows.y, weights, folds, groups), rows


class CrossFitTextHead(CrossFitMixin, BaseTextHead):
    """A head that starts from text features and is defined by ``_cross_fit``."""

    _starts_from_prompts = True

    def _check_rows(self, X, y, **given):
        return self._fit_text(X, y, **given)


class CrossFitTableHead(CrossFitMixin, LogitClassifierMixin, BaseEstimator):
    """A head that needs no texts and is defined by ``_cross_fit``."""

    def _check_rows(self, X, y, **given):
        X, y = check_table(self, X, y, **given)
        self.classes_, targets = np.unique(y, return_inverse=True)
        return X, targets

"""Classify rows, and reject those that belong to none of the classes."""

from copy import copy
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._utils._copies import groups_of_copies
from .._utils._docstrings import fill_doc
from .._utils._estimator import EstimatorMixin
from .._utils._folds import (
    CV_CONSTRAINTS,
    can_be_held_out,
    check_cv_of_rows,
    covers_most,
    folds_of_some,
)
from .._utils._known_labels import check_is_no_class, with_label
from .._utils._labels import check_at_least_two, check_labels, column_of_labels
from .._utils._linalg import some_of
from .._utils._metadata import metadata_for
from .._utils._probabilities import refuse_nan
from .._utils._row_numbers import fitted_rows
from .._utils._sklearn import Interval, MethodsOfFitted, check_parameters, fit_context
from .._utils._warnings import each_warning_once
from .._utils._weights_and_groups import check_weights, scaled_shares
from ..backbones._blocks import column_names
from ..embedding._image_columns import table_and_unreadable
from ..embedding._once import embedded_once
from ..embedding._unreadable import (
    answers_for_all,
    filled,
    readable,
    warn_of_unreadable,
    what_unreadable_get,
)
from ..heads._classifier import LabeledScoreMixin
from ..images import as_image_list
from ._held_out import checked_labels, held_out_logits, logits_of, refuse_frozen
from ._similarity import nearest_cosines, unit_table_as_in_fit, unit_table_to_compare

# Weight of the similarity to the nearest labelled row; the largest logit has weight 1. Chosen on
# validation sets, like the two kinds of evidence: see docs/results/labels.md.
_WEIGHT_OF_NEAREST = 0.5


def _estimator_has(name):
    def check(self):
        return hasattr(getattr(self, "estimator_", self.estimator), name)

    return available_if(check)


@fill_doc
class OpenSetClassifier(EstimatorMixin, MetaEstimatorMixin, LabeledScoreMixin, BaseEstimator):
    """Classify rows, and reject those that belong to none of the classes.

    The familiarity of a row is the sum of its largest logit [1]_ and half of its cosine with the
    nearest labelled row [2]_, each standardised by the held-out values of the labelled rows.
    Without ``cross_fit`` of the estimator, logarithms of probabilities take the place of logits. If
    X has columns of embeddings, only these are used for cosines. A row is rejected if its
    familiarity is below the quantile ``reject_rate`` of that of the labelled rows.

    Parameters
    ----------
    estimator : classifier
        A classifier with ``predict_proba``, or a pipeline that embeds images and ends in one.
        Classifiers with ``cross_fit``, such as an :class:`~skclipens.AdaptiveBackboneEnsemble` or a
        head of this package, are fitted once; others are cross-validated.
    reject_rate : float, default=0.05
        Share of the labelled rows that would be rejected by their held-out familiarity. About this
        share of new pictures of the known classes will be rejected. 0: no row is rejected.
    reject_label : int or str, default=None
        Label of rejected rows. None: -1 if labels are numbers, "" if they are strings; both mean
        "no label" everywhere in this package. In the y of ``score`` it is the label of rows that
        belong to none of the classes.
    %(held_out_by)s

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        Labels of the classes, sorted; ``reject_label`` is not among them.
    estimator_ : classifier
        The classifier, fitted on all rows; for a pipeline, what follows ``embedder_``.
    embedder_ : Pipeline or None
        The first steps of a pipeline that learn nothing, such as an embedder; None without any.
    offset_ : float
        Rows whose familiarity is below it are rejected.
    rows_ : ndarray of shape (n, n_compared)
        The labelled rows, only the columns that are compared, scaled to unit length.
    location_, scale_ : ndarray of shape (2,)
        Means and standard deviations of the two scores of the labelled rows. The second standard
        deviation is infinite if at least half of the classes have a single row, or the cosines of
        rows with their nearest differ by rounding alone: cosines are then ignored, since it is not
        known how similar rows of a class are.
    n_features_in_ : int
        Number of columns; 1 for images.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns; only if ``fit`` was passed a DataFrame.

    See Also
    --------
    find_label_issues : Find labels that are probably wrong.

    References
    ----------
    .. [1] Hendrycks et al., "Scaling Out-of-Distribution Detection for Real-World Settings",
       ICML 2022 (MaxLogit).
    .. [2] Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML 2022.

    Examples
    --------
    Pictures of classes that were never shown are less familiar:

    >>> from sklearn.metrics import roc_auc_score
    >>> from skclipens import AdaptiveBackboneEnsemble, make_backbone_pipeline
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.labels import OpenSetClassifier
    >>> emoji = load_emoji(min_class_size=40)
    >>> X, y = emoji.filenames, emoji.target_names[emoji.target]
    >>> known = y < "person"
    >>> inside = OpenSetClassifier(AdaptiveBackboneEnsemble(random_state=0))
    >>> clf = make_backbone_pipeline(["zoo/RN20", "zoo/ViT-16"], estimator=inside)
    >>> clf = clf.fit(X[known][::4], y[known][::4])
    >>> familiar = clf.score_samples(X[1::4])
    >>> print(f"{roc_auc_score(known[1::4], familiar):.1f}")
    0.9
    >>> clf.predict(X[1::4]).dtype.kind
    'U'
    """

    _parameter_constraints: dict = {
        "estimator": [MethodsOfFitted(["fit", "predict_proba"])],
        "reject_rate": [Interval(Real, 0, 1, closed="left")],
        "reject_label": [None, Integral, str],
        "cv": CV_CONSTRAINTS,
        "random_state": ["random_state"],
    }
    __metadata_request__fit = {"sample_weight": True, "groups": True}

    def __init__(self, estimator, *, reject_rate=0.05, reject_label=None, cv=5, random_state=None):
        self.estimator = estimator
        self.reject_rate = reject_rate
        self.reject_label = reject_label
        self.cv = cv
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, sample_weight=None, groups=None):
        """Fit the classifier, and the distribution of the familiarity of labelled rows.

        Parameters
        ----------
        X : array-like of shape (n, n_features), or collection of n images
            Embeddings, or any table; images if the estimator is a pipeline that embeds them.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows, also for ``reject_rate``. A row of weight 2 counts as two copies,
            and a row of weight zero is left out. Weights whose mean is below one are scaled to a
            mean of one for ``reject_rate``.
        groups : array-like of shape (n,), default=None
            Rows of a group, such as pictures of one object, are held out together.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If X and y have different lengths, ``reject_label`` is a class or of another type than
            the labels, labels are flags although rows may be rejected, no row can be held out, the
            estimator is frozen, cannot take weights or gives NaN as probabilities, or an image
            cannot be read and the embedder has ``on_error="raise"``.
        """
        refuse_frozen(self.estimator)
        X, y, groups = checked_labels(X, y, groups, sample_weight=sample_weight)
        weights = scaled_shares(check_weights(sample_weight, len(y)))
        self._check_labels(y)
        check_at_least_two(np.unique(y if weights is None else y[weights > 0]))
        cv = check_cv_of_rows(self.cv, len(y), groups)
        self.embedder_, classifier, table, unreadable = embedded_once(self.estimator, X, y)
        cv = folds_of_some(cv, ~unreadable, None, y, groups) if unreadable.any() else cv
        table, y, weights, groups = readable([table, y, weights, groups], unreadable)
        self._columns = column_names(table)
        self._compared, self.rows_ = unit_table_to_compare(table, classifier)
        self.estimator_ = clone(classifier)
        given = {"sample_weight": weights, "groups": groups, "random_state": self.random_state}
        with fitted_rows(np.flatnonzero(~unreadable), len(unreadable)):
            logits, valid = held_out_logits(self.estimator_, table, y, cv=cv, **given)
        refuse_nan(logits[valid], np.flatnonzero(~unreadable)[valid])
        self.classes_ = self.estimator_.classes_
        self._take_features_in(self.estimator_ if self.embedder_ is None else self.embedder_)
        if not valid.any():
            needed = "at least two rows" if groups is None else "rows of at least two groups"
            raise ValueError(
                "No row can be judged without itself, so nothing is known of how familiar new rows "
                f"will be. Label {needed} of most classes."
            )
        weights = np.ones(len(y)) if weights is None else weights
        some = np.flatnonzero(weights)
        self.rows_ = self.rows_[some]
        self._learn_familiarity(*(some_of(a, some) for a in (logits, valid, y, weights, groups)))
        return self

    def _check_before_fit(self, feature_names, y, **metadata):
        """Raise errors of ``fit`` before a pipeline embeds images; see ``check_before_fit``."""
        refuse_frozen(self.estimator)
        self._check_labels(column_of_labels(y))
        check_parameters(self.estimator)
        if hasattr(self.estimator, "_check_before_fit"):
            self.estimator._check_before_fit(feature_names, y, **metadata)
        else:
            metadata_for(self.estimator, **metadata)

    def _check_labels(self, y):
        """Raise ValueError if a row has no label, or ``reject_label`` does not fit the labels."""
        check_labels(y)
        if not self.reject_rate:
            return
        if y.dtype == bool:
            raise ValueError(
                "y holds flags, and a mask has no third value for rows of none of the classes. "
                "Give other labels, for example y.astype(int), or set reject_rate=0."
            )
        self._reject_label(np.unique(y))

    def _take_features_in(self, first):
        """Copy the attributes that describe X from the step that takes it."""
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)  # from an earlier fit
            if hasattr(first, name):
                setattr(self, name, getattr(first, name))

    def _learn_familiarity(self, logits, valid, y, weights, groups):
        """Standardise both kinds of evidence, and set the threshold, by held-out rows."""
        groups = groups_of_copies(self.rows_, y) if groups is None else groups
        groups = np.arange(len(y)) if groups is None else groups
        nearest = nearest_cosines(self.rows_[valid], self.rows_, (groups[valid], groups))
        evidence = np.stack([logits[valid].max(axis=1), nearest], axis=1)
        weights = weights[valid].astype(evidence.dtype)
        self.location_ = np.average(evidence, axis=0, weights=weights)
        self.scale_ = np.sqrt(np.average((evidence - self.location_) ** 2, axis=0, weights=weights))
        self.scale_ = np.maximum(self.scale_, np.finfo(self.scale_.dtype).tiny)
        # By rounding alone, cosines differ by a few times the precision.
        are_alike = self.scale_[1] < 10 * np.finfo(self.rows_.dtype).eps
        if are_alike or not covers_most(y[can_be_held_out(y, groups)], len(self.classes_)):
            self.location_[1], self.scale_[1] = 0, np.inf  # cosines are ignored
        self.offset_ = -np.inf
        if self.reject_rate:
            familiarity = self._familiarity(evidence)
            self.offset_ = _weighted_quantile(familiarity, self.reject_rate, weights)

    def score_samples(self, X):
        """Return the familiarity of rows; low for rows that probably belong to no known class.

        Parameters
        ----------
        X : array-like of shape (n, n_features), or collection of n images
            As in ``fit``: embeddings or another table, or images.

        Returns
        -------
        ndarray of shape (n,)
            Familiarity; about 0 on average for rows of the known classes. The threshold of
            ``predict`` is ``offset_``.
        """
        check_is_fitted(self)
        return self._answer("score_samples", X, self._score_table)

    @each_warning_once()
    def predict(self, X):
        """Classify rows, and reject those whose familiarity is below ``offset_``.

        Parameters
        ----------
        X : array-like of shape (n, n_features), or collection of n images
            As in ``fit``: embeddings or another table, or images.

        Returns
        -------
        ndarray of shape (n,)
            Labels, or ``reject_label``. If the dtype of the labels cannot store ``reject_label``
            (uint8 and -1), a wider dtype is returned. An image that cannot be read gets the
            ``unreadable_label`` of the pipeline, if its embedder has ``on_error="nan"``; other
            methods return NaN for it, and ``score`` leaves it out.
        """
        check_is_fitted(self)
        return self._answer("predict", X, self._labels_of)

    @_estimator_has("predict_proba")
    def predict_proba(self, X):
        """Predict probabilities of the known classes, given that a row belongs to one of them.

        Parameters
        ----------
        X : array-like of shape (n, n_features), or collection of n images
            As in ``fit``: embeddings or another table, or images.

        Returns
        -------
        ndarray of shape (n, C)
            Probabilities of the estimator, columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self._answer("predict_proba", X, self.estimator_.predict_proba)

    @_estimator_has("decision_function")
    def decision_function(self, X):
        """Return the scores of the known classes.

        Parameters
        ----------
        X : array-like of shape (n, n_features), or collection of n images
            As in ``fit``: embeddings or another table, or images.

        Returns
        -------
        ndarray of shape (n, C), or (n,) if C is 2
            Scores of the estimator, columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self._answer("decision_function", X, self.estimator_.decision_function)

    def _to_score(self, X, y, sample_weight):
        if self.embedder_ is None:
            return super()._to_score(X, y, sample_weight)
        table, unreadable = table_and_unreadable(self.embedder_, X)
        if unreadable.any():
            warn_of_unreadable(unreadable, "do not count", as_image_list(X))
        of_table = copy(self)
        of_table.embedder_ = None
        return of_table, *readable([table, y, sample_weight], unreadable)

    def _answer(self, method, X, of_table):
        """Return what a function gives for the table of X; no label, or NaN, if unreadable."""
        if self.embedder_ is None:
            return of_table(X)
        table, unreadable = table_and_unreadable(self.embedder_, X)
        if not unreadable.any():
            return of_table(table)
        label = getattr(self.embedder_, "unreadable_label", None)
        warn_of_unreadable(
            unreadable, what_unreadable_get(method, label), as_image_list(X), all_may_be=True
        )
        answers = answers_for_all(of_table, table, unreadable)
        if method == "predict":
            return with_label(answers, unreadable, label)
        return filled(answers, unreadable, np.nan)

    def _labels_of(self, table):
        labels = np.ravel(self.estimator_.predict(table))  # those of CatBoost are a column
        rejected = self._score_table(table) < self.offset_
        if not rejected.any():
            return labels
        return with_label(labels, rejected, self._reject_label(self.classes_))

    def _score_table(self, table):
        logits = logits_of(self.estimator_, table)
        refuse_nan(logits, np.arange(len(logits)))
        rows = unit_table_as_in_fit(table, self._compared, self._columns)
        nearest = nearest_cosines(rows, self.rows_)
        return self._familiarity(np.stack([logits.max(axis=1), nearest], axis=1))

    def _reject_label(self, classes):
        """Return the label of rows of none of the classes; raise ValueError if it does not fit."""
        label = self._label_of_rejected(classes)
        check_is_no_class(label, classes, "reject_label", "a row is of none")
        return label

    def _label_of_rejected(self, classes=None):
        classes = self.classes_ if classes is None else classes
        if self.reject_label is None:
            return "" if classes.dtype.kind in "OUT" else -1
        return self.reject_label

    def _familiarity(self, evidence):
        return ((evidence - self.location_) / self.scale_) @ np.array([1, _WEIGHT_OF_NEAREST])


def _weighted_quantile(values, share, weights):
    """Return numpy's quantile of values that are there as often as their weights say.

    Weights whose mean is below one cannot be numbers of copies, and are scaled to a mean of one.
    """
    order, weights = np.argsort(values), weights / min(weights[weights > 0].mean(), 1)
    values, last = values[order], np.round(np.cumsum(weights[order], dtype=float), 9)
    place = np.round(share * max(last[-1] - 1, 0), 9)
    below, above = np.searchsorted(last, np.floor(place) + [0, 1], side="right")
    above = min(above, len(values) - 1)
    return float(values[below] + place % 1 * (values[above] - values[below]))

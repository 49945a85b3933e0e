"""Mixins of classifiers with one logit per class, their traits for ensembles, more classes."""

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from .._mistakes._predictions import warn_of_chance, warn_of_exchanged
from .._mistakes._seen_rows import warn_of_seen_rows
from .._utils._docstrings import fill_doc
from .._utils._estimator import EstimatorMixin
from .._utils._known_labels import check_true_labels, positions_of_labels, warn_of_unknown_labels
from .._utils._labels import column_of_labels, with_dtype_of_numbers
from .._utils._linalg import ROWS_TO_PREDICT, row_batches
from .._utils._probabilities import refuse_scores
from .._utils._sample_arguments import warn_of_other_order
from .._utils._validation import check_rows
from .._utils._warnings import each_warning_once
from .._utils._weights_and_groups import check_weights

_LEAD = 0.01  # see `expand_with_largest`
_SMALLEST_PROBABILITY = 1e-12


def trait_of(classifier, name):
    """Return an attribute of a classifier, or the default of :class:`LogitClassifierMixin`.

    A :class:`sklearn.frozen.FrozenEstimator` has the attributes of the classifier in it.
    """
    return getattr(classifier, name, getattr(LogitClassifierMixin, name))


def one_column_per_class(logits):
    """Return logits of shape (n, C) from those of ``decision_function``, (n,) for two classes."""
    return np.stack([-logits / 2, logits / 2], axis=1) if logits.ndim == 1 else logits


def scores_of(classifier, X):
    """Return one score per class of any classifier, (n, C): those that an ensemble combines.

    Raise ValueError if ``decision_function`` gives no numbers, or ``predict_proba`` without it
    gives no probabilities.
    """
    if hasattr(classifier, "decision_function"):
        scores = np.asarray(classifier.decision_function(X))
        if scores.dtype.kind not in "biuf":
            raise ValueError(
                f"{type(classifier).__name__}.decision_function gives values of type "
                f"{scores.dtype}, not numbers, such as {scores.ravel()[:1].tolist()}."
            )
        return one_column_per_class(scores)
    proba = np.asarray(classifier.predict_proba(X))
    if proba.ndim == 2:
        refuse_scores(proba, np.arange(len(proba)), f"{type(classifier).__name__}.predict_proba")
    dtype = np.result_type(proba, np.float32)  # float16 would round the smallest to zero
    return np.log(np.maximum(proba, _SMALLEST_PROBABILITY, dtype=dtype))


def centre_logits(classifier, logits):
    """If logits are defined only up to a constant per row, subtract each row's mean.

    This makes fitted and held-out logits comparable.
    """
    if trait_of(classifier, "_is_up_to_constant"):
        return logits - logits.mean(axis=1, keepdims=True)
    return logits


def expand_with_smallest(logits, own_classes, classes):
    """Expand logits (..., n, k) to all classes; unknown classes get the smallest of each row.

    The classes may be in any order. So may those of :func:`expand_with_largest`.
    """
    if np.array_equal(own_classes, classes):
        return logits
    return _expand(logits, own_classes, classes, logits.min(axis=-1, keepdims=True))


def expand_with_largest(logits, own_classes, classes):
    """Expand logits to all classes; unknown classes get nearly the largest logit of each row.

    So the other heads decide about unknown classes. If no other head knows both classes, the small
    lead of the predicted class decides.
    """
    if np.array_equal(own_classes, classes):
        return logits
    largest = logits.max(axis=-1, keepdims=True)
    lead = _LEAD * (largest - logits.mean(axis=-1, keepdims=True))
    return _expand(logits, own_classes, classes, largest - lead)


def _expand(logits, own_classes, classes, of_others):
    full = np.repeat(of_others, len(classes), axis=-1)
    full[..., positions_of_labels(own_classes, classes)] = logits
    return full


class LabeledScoreMixin(ClassifierMixin):
    """Mixin whose ``score`` refuses rows without a label and warns of suspicious ones."""

    __metadata_request__score = {"sample_weight": True}  # as in ``fit``

    @each_warning_once()
    def score(self, X, y, sample_weight=None):
        """Return the accuracy: the share of the rows that are classified correctly.

        Parameters
        ----------
        X : array-like of shape (n, n_features), or collection of n images
            What the classifier predicts from.
        y : array-like of shape (n,)
            True labels.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        float
            Accuracy, between 0 and 1.

        Raises
        ------
        ValueError
            If a row has no label; if labels are strings and those of ``fit`` are numbers, or the
            other way round; or if a weight is negative, or none is positive.

        Warns
        -----
        SuspectedMistakeWarning
            If a label was not seen in ``fit``; if X, y or weights have the same index in another
            order; if nearly all rows would be correct with labels exchanged; if the accuracy is
            that of guessing although the classifier is confident; or if some of the rows, but not
            all, are rows that an ensemble was fitted on.
        """
        check_is_fitted(self)
        check_true_labels(self, y)
        warn_of_other_order(X, y=y, sample_weight=sample_weight)
        warn_of_unknown_labels(self, y)
        y = with_dtype_of_numbers(column_of_labels(y))
        classifier, X, y, sample_weight = self._to_score(X, y, sample_weight)
        weights = check_weights(sample_weight, len(y))
        predicted = classifier.predict(X)
        accuracy = accuracy_score(y, predicted, sample_weight=weights)
        warn_of_suspect_labels(classifier, X, y, predicted)
        return accuracy

    def _to_score(self, X, y, sample_weight):
        """Return the classifier to score, and its rows: one of images may embed them once."""
        return self, X, y, sample_weight


def warn_of_suspect_labels(classifier, X, y, predicted):
    """Warn of labels that seem renumbered or of other rows, and of rows that were in fit.

    `predicted` is what the fitted classifier predicts for X.
    """
    y, advice = np.ravel(y), "Give y the numbers, or names, that labels had in fit."
    if not warn_of_exchanged(y, predicted, advice) and hasattr(classifier, "predict_proba"):
        known = np.isin(y, classifier.classes_) & np.isin(predicted, classifier.classes_)
        warn_of_chance(y, predicted, known, lambda: classifier.predict_proba(X).max(axis=1))
    warn_of_seen_rows(getattr(classifier, "_seen_rows", None), X, y == predicted)


class LogitClassifierMixin(EstimatorMixin, LabeledScoreMixin):
    """Mixin for classifiers that define ``_logits_of(X)``, of shape (n, C) also for two classes.

    ``_logits_of`` gets a checked X, so that an ensemble checks its table only once. The attributes
    are defaults of what :func:`trait_of` reads.

    Attributes
    ----------
    _starts_from_prompts : bool
        Whether it calibrates zero-shot logits on its rows and learns a correction.
    _in_closed_form : bool
        Whether its fit is mostly linear algebra, so that an ensemble fits it in threads.
    _is_up_to_constant : bool
        Whether any constant may be added to the logits of a row; see :func:`centre_logits`.
    _minds_scales : bool
        Whether a column counts more if it is in smaller units.
    _minds_offsets : bool
        Whether a column counts more if it is far from zero.
    _linear : callable or None
        Returns coefficients (C, width) and intercept (C,) of the logits of the fitted head, and
        whether they apply to rows scaled to unit length.
    _fit_over : callable or None
        Fits the head over files of ``embed_to``; see :mod:`skclipens.heads._from_files`.
    """

    _starts_from_prompts = False
    _in_closed_form = False
    _is_up_to_constant = False
    _minds_scales = True
    _minds_offsets = False
    _linear = None
    _fit_over = None

    def _as_held_out(self):
        """Return the classifier whose logits of new rows are as its held-out logits are."""
        return self

    def _checked(self, X):
        check_is_fitted(self)
        return check_rows(self, X)

    @each_warning_once()  # a frozen head in an ensemble checks its columns again
    def _logits(self, X):
        return self._logits_of(self._checked(X))

    @fill_doc
    def decision_function(self, X):
        """Return the logits of the classes.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n, C), or (n,) if C is 2
            Logits, columns in the order of ``classes_``; for two classes the logit of the second
            minus that of the first. float32 if X and the rows of ``fit`` are, float64 if X is.

        %(checks_of_X)s
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    @fill_doc
    def predict_proba(self, X):
        """Predict probabilities: the softmax of the logits.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n, C)
            Probabilities, columns in the order of ``classes_``; float32 if X and the rows of
            ``fit`` are, float64 if X is.

        %(checks_of_X)s
        """
        return softmax(self._logits(X), axis=1)

    @fill_doc
    def predict_log_proba(self, X):
        """Predict log-probabilities, which stay exact where probabilities round to 0 or 1.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n, C)
            Logarithms of the probabilities, columns in the order of ``classes_``; float32 if X and
            the rows of ``fit`` are, float64 if X is.

        %(checks_of_X)s
        """
        return log_softmax(self._logits(X), axis=1)

    @fill_doc
    @each_warning_once()
    def predict(self, X):
        """Classify rows by their largest logit.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n,)
            Labels, with the dtype of ``classes_``.

        %(checks_of_X)s
        """
        X = self._checked(X)
        best = np.empty(len(X), int)
        # In batches, so that memory does not grow with the number of rows.
        for part in row_batches(len(X), len(self.classes_), ROWS_TO_PREDICT):
            best[part] = self._logits_of(X[part]).argmax(axis=1)
        return self.classes_[best]

    def _labels_and_proba(self, X):
        logits = self._logits(X)
        return self.classes_[logits.argmax(axis=1)], softmax(logits, axis=1)

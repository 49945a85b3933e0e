"""Classifiers that give one logit per class, and their two-class form in scikit-learn."""

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from .._mistakes._predictions import warn_of_chance, warn_of_exchanged
from .._mistakes._seen_rows import warn_of_seen_rows
from .._utils._docstrings import fill_doc
from .._utils._given import check_weights, warn_of_other_order
from .._utils._labels import known_labels, refuse_unlabeled, warn_of_unknown_labels
from .._utils._linalg import ROWS_TO_PREDICT, row_batches
from .._utils._validation import check_rows
from .._utils._versions import VersionsMixin
from .._utils._warnings import each_warning_once


def trait_of(classifier, name):
    """What a :class:`LogitClassifierMixin` says of itself; of other classifiers, its default.

    A :class:`sklearn.frozen.FrozenEstimator` says what the classifier in it says.
    """
    return getattr(classifier, name, getattr(LogitClassifierMixin, name))


def one_column_per_class(logits):
    """Logits of shape (n, C) from what ``decision_function`` returns, (n,) for two classes."""
    return np.stack([-logits / 2, logits / 2], axis=1) if logits.ndim == 1 else logits


def centre_logits(classifier, logits):
    """If logits are defined only up to a constant per row, subtract each row's mean.

    Then fitted and held-out logits compare.

    Parameters
    ----------
    classifier : classifier
    logits : ndarray of shape (n, C)

    Returns
    -------
    ndarray of shape (n, C)
    """
    if trait_of(classifier, "_is_up_to_constant"):
        return logits - logits.mean(axis=1, keepdims=True)
    return logits


class LabeledScoreMixin(ClassifierMixin):
    """A classifier that refuses to be scored by rows without a label."""

    __metadata_request__score = {"sample_weight": True}  # as ``fit`` asks for it

    @each_warning_once()
    def score(self, X, y, sample_weight=None):
        """Accuracy: the share of the rows that are classified correctly.

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
            If a row has no label, or labels are strings and those of ``fit`` are numbers, or the
            other way round; or if a weight is negative, or none is positive.

        Warns
        -----
        SuspectedMistakeWarning
            If a label was not there in ``fit``; if X, y or weights have the same index in another
            order; if nearly all rows would be right with labels exchanged; if the accuracy is that
            of guessing although the classifier is sure; or if some of the rows, but not all, are
            rows that an ensemble was fitted on.
        """
        check_is_fitted(self)
        refuse_unlabeled(y, classes=known_labels(self))
        warn_of_other_order(X, y=y, sample_weight=sample_weight)
        _refuse_other_kind(self.classes_, y)
        self._warn_of_unknown_labels(y)
        weights = check_weights(sample_weight, len(y))
        predicted = self.predict(X)
        accuracy = accuracy_score(y, predicted, sample_weight=weights)
        warn_of_doubtful_labels(self, X, y, predicted)
        return accuracy

    def _warn_of_unknown_labels(self, y):
        warn_of_unknown_labels(self.classes_, y)


def _refuse_other_kind(classes, y):
    """Raise ValueError if labels to score are strings, and those of fit are not, or the reverse."""
    label = next(iter(np.ravel(y)[:1].tolist()), None)
    known = np.asarray(classes).tolist()[0]
    if isinstance(label, str) != isinstance(known, str) and label is not None:
        raise ValueError(
            f"y has labels such as {label!r}, where those of fit are such as {known!r}: one of "
            "the two holds strings, the other does not. Give y the labels that fit had."
        )


def warn_of_doubtful_labels(classifier, X, y, predicted):
    """Warn of true labels numbered otherwise than in fit, or of other rows, and of rows of fit.

    Parameters
    ----------
    classifier : classifier
        Fitted.
    X : array-like of shape (n, n_features), or what the classifier takes
    y : array-like of shape (n,)
    predicted : ndarray of shape (n,)
        What it predicts of X.
    """
    y, advice = np.ravel(y), "Give y the numbers, or names, that labels had in fit."
    if not warn_of_exchanged(y, predicted, advice) and hasattr(classifier, "predict_proba"):
        known = np.isin(y, classifier.classes_) & np.isin(predicted, classifier.classes_)
        warn_of_chance(y, predicted, known, lambda: classifier.predict_proba(X).max(axis=1))
    warn_of_seen_rows(getattr(classifier, "_seen_rows", None), X, y == predicted)


class LogitClassifierMixin(VersionsMixin, LabeledScoreMixin):
    """A classifier that is defined by ``_logits_of(X)``, of shape (n, C) also for two classes.

    X is checked there already: an ensemble checks its table once, and not again for every head.
    What else an ensemble asks of a head has a default here, and is asked by :func:`trait_of`.

    Attributes
    ----------
    _starts_from_prompts : bool
        Whether it calibrates prompts on its rows, and learns how to correct them.
    _in_closed_form : bool
        Whether its fit is mostly linear algebra, so that an ensemble fits it in threads.
    _is_up_to_constant : bool
        Whether any constant may be added to the logits of a row; see :func:`centre_logits`.
    _linear : callable or None
        Gives coefficients (C, width) and intercept (C,) of the logits of the fitted head, and
        whether they are of rows scaled to unit length.
    _fit_over : callable or None
        Fits the head over files of ``embed_to``; see :mod:`skclipens.heads._from_files`.
    """

    _starts_from_prompts = False
    _in_closed_form = False
    _is_up_to_constant = False
    _linear = None
    _fit_over = None

    def _checked(self, X):
        check_is_fitted(self)
        return check_rows(self, X)

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

        Raises
        ------
        %(raises_of_X)s

        Warns
        -----
        %(warns_of_X)s
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

        Raises
        ------
        %(raises_of_X)s

        Warns
        -----
        %(warns_of_X)s
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

        Raises
        ------
        %(raises_of_X)s

        Warns
        -----
        %(warns_of_X)s
        """
        return log_softmax(self._logits(X), axis=1)

    @fill_doc
    def predict(self, X):
        """Classify rows by their largest logit.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n,)
            Labels, with the dtype of ``classes_``.

        Raises
        ------
        %(raises_of_X)s

        Warns
        -----
        %(warns_of_X)s
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

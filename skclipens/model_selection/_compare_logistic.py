"""Logistic regression as a rival of ensembles: on all columns, and averaged with the prompts."""

from functools import partial
from itertools import product

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from .._utils._folds import few_shot_folds, held_out_rows
from .._utils._linalg import scale_of
from .._utils._sklearn import safe_indexing
from ..backbones._blocks import embeddings_beside_others
from ..heads._linear_probe import gradient_tolerance
from ..heads._losses import log_loss

_STRENGTHS = 0.1, 1, 10, 100, 1000
_SHARES = 0, 0.25, 0.5, 0.75, 1
_UNJUDGED = 10, 0.5  # C and share if no row can be held out
_TINY = 1e-15


class SearchedLogisticRegression:
    """A logistic regression with a C that is chosen on held-out rows.

    Parameters
    ----------
    model : Pipeline
        Made by ``make_pipeline``; it ends in a :class:`~sklearn.linear_model.LogisticRegression`.
    X : array-like of shape (n, n_features)
    y : ndarray of shape (n,)
    folds : list of (train, test)
        Each `train` has all classes of its `test`. Empty if no row can be held out.
    weights : ndarray of shape (n,), default=None
        How much a held-out row counts.
    """

    def __init__(self, model, X, y, folds, weights=None):
        self.model, self.X, self.y = model, X, y
        self.rows, self.classes = held_out_rows(folds), np.unique(y)
        self.weights = None if weights is None else weights[self.rows]
        self.held_out = {C: self._held_out(C, folds) for C in _STRENGTHS if folds}

    def fit(self):
        """Return the model, fitted with the C of the highest accuracy on held-out rows."""
        return self._fit(max(self.held_out, key=self._accuracy, default=_UNJUDGED[0]))

    def fit_beside(self, prompts):
        """Return the fitted model, and its share in the average of its probabilities and others.

        Both C and share have the least log-loss on held-out rows. `prompts` is a fitted classifier
        that has learned nothing from the labels but the names of the classes.
        """
        losses = {}
        if self.held_out:
            of_prompts = prompts.predict_proba(safe_indexing(self.X, self.rows))
            targets = np.searchsorted(self.classes, self.y[self.rows])
        for C, share in product(self.held_out, _SHARES):
            both = average(share, self.held_out[C], of_prompts)
            losses[C, share] = log_loss(np.log(both + _TINY), targets, self.weights)
        C, share = min(losses, key=losses.__getitem__, default=_UNJUDGED)
        return self._fit(C), share

    def _accuracy(self, C):
        predicted = self.classes[self.held_out[C].argmax(axis=1)]
        return np.average(predicted == self.y[self.rows], weights=self.weights)

    def _held_out(self, C, folds):
        parts = [np.zeros((len(test), len(self.classes))) for _, test in folds]
        for found, (train, test) in zip(parts, folds):
            fitted = self._fit(C, train)
            known = np.isin(self.classes, fitted.classes_)
            found[:, known] = fitted.predict_proba(safe_indexing(self.X, test))
        return np.concatenate(parts)

    def _fit(self, C, rows=None):
        model = clone(self.model).set_params(logisticregression__C=C)
        if rows is None:
            return model.fit(self.X, self.y)
        return model.fit(safe_indexing(self.X, rows), self.y[rows])


def average(share, proba, of_prompts):
    """Return the average of two arrays of probabilities; `share` is the weight of the first."""
    return share * np.asarray(proba, float) + (1 - share) * np.asarray(of_prompts, float)


def logistic_regression(X, y, blocks, class_weight, weights, groups=None):
    """Return a logistic regression on all columns of an ensemble's table.

    Columns are standardised if only some belong to a backbone, since others may have any unit. If
    all are very small, one factor scales them: it would learn nothing otherwise.
    """
    columns = embeddings_beside_others(blocks, np.shape(X)[1])
    counts = np.unique(y, return_counts=True)[1]
    options = {"class_weight": class_weight, "max_iter": 1000}
    last = LogisticRegression(tol=gradient_tolerance(len(counts)), **options)
    scale = 1 if columns is not None else scale_of(np.asarray(X))
    before = [StandardScaler()] if columns is not None else []
    if scale != 1:
        before = [FunctionTransformer(partial(np.multiply, scale))]
    folds = []
    if counts.min() > 1:
        options = {"every_class": True, "random_state": 0, "images": columns}
        folds = few_shot_folds(y, 3, groups=groups, X=X, **options)
    return SearchedLogisticRegression(make_pipeline(*before, last), X, y, folds, weights)

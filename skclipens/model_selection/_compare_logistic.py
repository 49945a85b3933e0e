"""Logistic regression as a rival of ensembles: on all columns, and averaged with the prompts."""

from functools import partial

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from .._utils._folds import few_shot_folds
from .._utils._linalg import scale_of
from .._utils._sklearn import safe_indexing
from ..backbones._blocks import embeddings_beside_others
from ..heads._linear_probe import gradient_tolerance
from ..heads._losses import log_loss

_STRENGTHS = [0.1, 1, 10, 100, 1000]
_SHARES = 0, 0.25, 0.5, 0.75, 1
_UNJUDGED_SHARE = 0.5
_TINY = 1e-15


def searched_logistic_regression(X, y, blocks, class_weight, scoring, groups=None):
    """Return an unfitted logistic regression whose C is searched, and the folds, [] without any.

    Columns are standardised if only some belong to a backbone, since others may have any unit. If
    all are very small, one factor scales them: it would learn nothing otherwise.
    """
    columns = embeddings_beside_others(blocks, np.shape(X)[1])
    counts = np.unique(y, return_counts=True)[1]
    options = {"class_weight": class_weight, "max_iter": 1000}
    last = LogisticRegression(C=10, tol=gradient_tolerance(len(counts)), **options)
    scale = 1 if columns is not None else scale_of(np.asarray(X))
    before = [StandardScaler()] if columns is not None else []
    if scale != 1:
        before = [FunctionTransformer(partial(np.multiply, scale))]
    model, folds = make_pipeline(*before, last), []
    if counts.min() > 1:
        options = {"every_class": True, "random_state": 0, "images": columns}
        folds = few_shot_folds(y, 3, groups=groups, X=X, **options)
    if not folds:
        return model, []
    grid = {"logisticregression__C": _STRENGTHS}
    return GridSearchCV(model, grid, scoring=scoring, cv=folds), folds


def share_beside_prompts(model, prompts, X, y, folds, sample_weight=None):
    """Return the share of a classifier in the average of its probabilities and those of prompts.

    It has the least log-loss on held-out rows; a half if there are no folds.

    Parameters
    ----------
    model : classifier
        It is cloned, and fitted on the training rows of each fold.
    prompts : classifier
        A fitted one, which has learned nothing from `y` but the names of the classes.
    X : array-like of shape (n, n_features)
    y : ndarray of shape (n,)
    folds : list of (train, test)
        All classes are in each `train`.
    sample_weight : ndarray of shape (n,), default=None
    """
    if not folds:
        return _UNJUDGED_SHARE
    held_out = []
    for train, test in folds:
        fitted = clone(model).fit(safe_indexing(X, train), y[train])
        held_out.append(fitted.predict_proba(safe_indexing(X, test)))
    rows, held_out = np.concatenate([test for _, test in folds]), np.concatenate(held_out)
    of_prompts = prompts.predict_proba(safe_indexing(X, rows))
    targets = np.searchsorted(prompts.classes_, y[rows])
    weights = None if sample_weight is None else sample_weight[rows]
    averages = (average(share, held_out, of_prompts) for share in _SHARES)
    losses = [log_loss(np.log(one + _TINY), targets, weights) for one in averages]
    return _SHARES[int(np.argmin(losses))]


def average(share, proba, of_prompts):
    """Return the average of two arrays of probabilities; `share` is the weight of the first."""
    return share * np.asarray(proba, float) + (1 - share) * np.asarray(of_prompts, float)

"""Linear probe: logistic regression with tuned regularisation."""

from numbers import Integral

import numpy as np
from sklearn.linear_model import LogisticRegression

from .._utils._docstrings import fill_doc
from .._utils._folds import FOLDS_CONSTRAINTS, covers_most, few_shot_folds, held_out_rows
from .._utils._labels import allow_few_rows_per_class
from .._utils._linalg import offsets_of, scale_of, some_of
from .._utils._progress import progress
from .._utils._sklearn import Interval
from .._utils._warnings import silent
from ._classifier import expand_with_smallest, one_column_per_class
from ._cross_fit import CrossFitTableHead
from ._losses import log_proba_of

_DEFAULT_LOG_C = 1.0
_SMALL_C = 1e-3
_FINEST_STEP = 1 / 8  # decades
_N_TRIED = 15  # seven, then two for each halving of the step; fewer at the ends of the range


def gradient_tolerance(n_classes):
    """Return the tolerance at which L-BFGS ends a logistic regression.

    It is the largest slope of the mean loss that counts as none. The slope at coefficients of zero
    falls with the number of classes: with scikit-learn's default, which is taken up to 200 classes,
    a thousand would all stay there.
    """
    return 1e-4 if n_classes <= 200 else 1e-3 / n_classes


@fill_doc
class LinearProbeHead(CrossFitTableHead):
    """Classify by logistic regression, with regularisation tuned by cross-validation.

    This is the linear probe of [1]_: C, the inverse strength of the l2 penalty, is searched from
    1e-6 to 1e6, at first in steps of two decades, then around the best one in steps that halve
    down to an eighth of a decade. It needs no names of classes and works on any table whose columns
    are scaled.

    Parameters
    ----------
    cv : int, splitter or list of (train, test), default=5
        Cross-validation of C: at most this number of stratified folds, or the given folds.
    max_iter : int, default=1000
        Largest number of iterations of L-BFGS.
    verbose : bool or int, default=False
        Whether to show a progress bar over the values of C.

    Attributes
    ----------
    %(classes)s
    C_ : float
        The chosen inverse strength of regularisation.
    coef_ : ndarray of shape (C, n_features), or (1, n_features) for two classes
        Coefficients of the logistic regression.
    intercept_ : ndarray of shape (C,), or (1,) for two classes
        Intercepts of the logistic regression.
    n_iter_ : int
        Iterations of the final fit.
    %(table_columns)s

    See Also
    --------
    sklearn.linear_model.LogisticRegressionCV : Searches a fixed grid.

    Notes
    -----
    The paper chooses C by the accuracy on validation data. Here it is chosen by cross-validation on
    the training rows, without shuffling, with as many folds as the smallest class has rows and at
    most ``cv``. The criterion is log-loss, since the accuracy of few rows has many ties. Classes
    with one row are left out of the search. If this leaves at most half of the classes, or a single
    one, nothing is searched and C is 10, which suits embeddings of unit length. L-BFGS ends where
    no slope of the mean loss is larger than 1e-4, which can be before the minimum, and earlier the
    more classes there are. From 201 classes on, it is 0.001 divided by their number. If the largest
    values of rows are below 0.01 on average, all columns are multiplied by one power of two first,
    and C is that of these.

    References
    ----------
    .. [1] Radford et al., "Learning Transferable Visual Models From Natural Language
       Supervision", ICML 2021, appendix A.3.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.preprocessing import scale
    >>> from skclipens.heads import LinearProbeHead
    >>> X, y = load_wine(return_X_y=True)
    >>> head = LinearProbeHead().fit(scale(X), y)
    >>> head.coef_.shape, 1e-6 <= head.C_ <= 1e6
    ((3, 13), True)
    """

    _parameter_constraints: dict = {
        "cv": FOLDS_CONSTRAINTS,
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "verbose": ["verbose"],
    }

    def __init__(self, *, cv=5, max_iter=1000, verbose=False):
        self.cv = cv
        self.max_iter = max_iter
        self.verbose = verbose

    def _cross_fit(self, X, targets, weights, folds, groups):
        if folds is None:
            folds = few_shot_folds(
                targets, self.cv, groups=groups, every_class=True, shuffle=False, X=X
            )
        # The intercept is not penalised, so an offset of columns changes nothing, but L-BFGS stops
        # early if it is large beside the differences of rows.
        center = offsets_of(X)
        X = (X - center).astype(X.dtype, copy=False) if center.any() else X
        scale = X.dtype.type(scale_of(X))
        X = X if scale == 1 else X * scale
        with allow_few_rows_per_class():
            log_c, logits = self._find_log_c(X, targets, weights, folds)
            self.C_ = float(10**log_c)
            probe = self._fit_probe(self.C_, X, targets, weights)
        coef = probe.coef_ * scale
        intercept = probe.intercept_ - coef @ center
        # Older versions of scikit-learn return float64 for float32 input.
        self.coef_, self.intercept_ = (one.astype(X.dtype, copy=False) for one in (coef, intercept))
        self.n_iter_ = int(probe.n_iter_.max())
        valid = np.zeros(len(X), bool)
        valid[held_out_rows(folds)] = True
        return logits, valid

    def _fit_probe(self, C, X, targets, weights):
        options = {"max_iter": self.max_iter, "tol": gradient_tolerance(len(self.classes_))}
        if C >= _SMALL_C:
            return LogisticRegression(C=C, **options).fit(X, targets, weights)
        # The same problem with smaller rows: L-BFGS often fails in float32 at so large a penalty.
        scale = X.dtype.type(C**0.5)
        probe = LogisticRegression(C=1.0, **options).fit(X * scale, targets, weights)
        probe.coef_ *= scale
        return probe

    def _find_log_c(self, X, targets, weights, folds):
        """Return the best exponent of C, and the held-out logits with it."""
        if not covers_most(targets[held_out_rows(folds)], len(self.classes_)):
            return _DEFAULT_LOG_C, self._held_out(10**_DEFAULT_LOG_C, X, targets, weights, folds)[1]
        tried = {}

        def loss(log_c):
            if log_c not in tried:
                tried[log_c] = self._held_out(10.0**log_c, X, targets, weights, folds)
                bar.update()
            return tried[log_c][0]

        with progress(_N_TRIED, self.verbose, desc="LinearProbeHead", unit="C") as bar:
            step = 2.0
            best = min(np.arange(-6, 7, step), key=loss)
            while step > _FINEST_STEP:
                step /= 2
                best = min([c for c in (best - step, best, best + step) if abs(c) <= 6], key=loss)
        return best, tried[best][1]

    def _held_out(self, C, X, targets, weights, folds):
        """Return the mean log-loss of held-out rows, and their logits; zero for other rows."""
        classes = np.arange(len(self.classes_))
        logits, losses = np.zeros((len(X), len(classes)), X.dtype), []
        with silent("lbfgs failed to converge"):  # only the final fit has to
            for train, test in folds:
                seen = some_of(weights, train)
                probe = self._fit_probe(C, X[train], targets[train], seen)
                scores = one_column_per_class(probe.decision_function(X[test]))
                own = np.searchsorted(probe.classes_, targets[test])
                losses.append(-log_proba_of(scores, own))
                logits[test] = expand_with_smallest(scores, probe.classes_, classes)
        if not folds:
            return np.inf, logits
        losses = np.minimum(np.concatenate(losses), -np.log(np.finfo(X.dtype).eps))
        rows = held_out_rows(folds)
        weights = np.ones(len(rows)) if weights is None else weights[rows]
        return np.average(losses, weights=weights), logits

    def _logits_of(self, X):
        logits = X @ self.coef_.T + self.intercept_
        return one_column_per_class(logits.ravel() if len(self.classes_) == 2 else logits)

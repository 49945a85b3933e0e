"""A correction of zero-shot logits that is learned in closed form."""

from numbers import Real

import numpy as np
from scipy.linalg import solve
from scipy.special import softmax

from .._utils._docstrings import fill_doc
from .._utils._folds import covers_most, few_shot_folds, judging_rows
from .._utils._linalg import taken, unit_rows
from .._utils._sklearn import Interval, fit_context
from .._utils._validation import check_weights
from ._temperature import fit_temperature, unjudged_temperature
from ._text_head import CrossFitTextHead

_N_FOLDS = 5


@fill_doc
class ResidualHead(CrossFitTextHead):
    r"""Correct zero-shot logits by a ridge regression of what they leave unexplained.

    Where z are the logits of :class:`ZeroShotHead`, calibrated on the training rows, and L the
    one-hot labels, a ridge regression with intercept from the unit embedding f predicts the
    residuals :math:`L - \mathrm{softmax}(z)`. Its prediction, divided by a temperature, is added to
    z. This is one step of boosting from the zero-shot classifier, the closed-form kin of heads
    that learn a linear probe around the text features [1]_, [2]_. Few rows change little; where
    prompts mean nothing, it is a linear probe.

    Parameters
    ----------
    backbone : str or None, default=None
        The model that made the embeddings; see :class:`skclipens.backbones.Backbone`. None takes
        that of its block in an ensemble.
    alpha : float, default=0.2
        Strength of the ridge penalty, for rows of unit length.
    templates : sequence of str, default=None
        Prompts, as in :class:`ZeroShotHead`.
    class_names : mapping or sequence of str, default=None
        Names of the classes, as in :class:`ZeroShotHead`.
    %(text_cache)s

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        Labels.
    coef_ : ndarray of shape (C, width), float32
        Text features of the classes, unit rows.
    logit_scale_ : float
        Scale of the zero-shot logits.
    temperature_ : float
        What the zero-shot logits are divided by.
    residual_coef_ : ndarray of shape (C, width)
        The correction's part that is linear in the embedding.
    residual_intercept_ : ndarray of shape (C,)
    n_features_in_ : int
        Width of the backbone's embedding.
    feature_names_in_ : ndarray of shape (width,)
        Names of the columns; only where ``fit`` saw a frame.

    See Also
    --------
    TipAdapterHead : Corrects zero-shot logits by similar training rows.

    Notes
    -----
    The temperature of the correction is fitted on rows that its ridge regression has not seen, in
    up to five folds; of more than 10,000 rows, so many judge. A row whose class no other row shows
    cannot judge the correction; where that is so for at least half of the classes, the temperature
    of the correction is between 0.2 and 0.75: the lower, the nearer the log-loss of the prompts on
    the training rows is to guessing.

    References
    ----------
    .. [1] Yu et al., "Task Residual for Tuning Vision-Language Models", CVPR 2023.
    .. [2] Silva-Rodriguez et al., "A Closer Look at the Few-Shot Adaptation of Large
       Vision-Language Models", CVPR 2024.

    Examples
    --------
    >>> from skclipens import CLIPEmbedder
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.heads import ResidualHead
    >>> emoji = load_emoji(min_class_size=60)
    >>> embedder = CLIPEmbedder("zoo/RN20")
    >>> X = embedder.fit_transform(emoji.filenames[::5])
    >>> y = emoji.target_names[emoji.target[::5]]
    >>> head = ResidualHead("zoo/RN20").fit(X, y)
    >>> head.predict(embedder.transform(emoji.filenames[[2, 102]]))
    array(['person at work', 'mammal'], dtype=...)
    """

    _parameter_constraints: dict = {
        **CrossFitTextHead._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, backbone=None, *, alpha=0.2, templates=None, class_names=None, cache=None):
        self.backbone = backbone
        self.alpha = alpha
        self.templates = templates
        self.class_names = class_names
        self.cache = cache

    @fit_context(prefer_skip_nested_validation=True)
    def cross_fit(self, X, y, *, folds=None, groups=None, sample_weight=None):
        """Fit, and say what heads that have not seen a row give for it.

        Parameters
        ----------
        X : array-like of shape (n, width)
            Embeddings, normalised or not.
        y : array-like of shape (n,)
            Labels.
        folds : list of (train, test), default=None
            Held-out logits come from ridge regressions on ``train``. None: up to five folds.
        groups : array-like of shape (n,), default=None
            Rows of a group are in one fold, where `folds` is None.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        logits : ndarray of shape (n, C)
            Those of a row that no fold holds out are without correction.
        known : ndarray of shape (n,), bool
            Which rows can judge the head: all, since prompts have seen none.
        """
        features, targets = self._fit_text(X, y)
        weights = check_weights(sample_weight, features)
        if folds is None:
            folds = few_shot_folds(targets, _N_FOLDS, groups=groups, random_state=0)
        text = self._text_logits(features)
        judges = judging_rows(targets)
        of_judges = None if weights is None else weights[judges]
        self.temperature_ = fit_temperature(
            taken(text, judges), targets[judges], sample_weight=of_judges
        )
        text /= text.dtype.type(self.temperature_)
        residuals = -softmax(text, axis=1)
        residuals[np.arange(len(text)), targets] += 1
        ridge = _Ridge(features, residuals, weights, self.alpha)
        held_out, rows = ridge.held_out(folds, judges)
        if len(rows) and covers_most(targets[rows], len(self.classes_)):
            of_rows = None if weights is None else weights[rows]
            scale = fit_temperature(held_out, targets[rows], taken(text, rows), of_rows)
        else:
            rows, scale = [], unjudged_temperature(text, targets, weights)
        coef, intercept = ridge.fit()
        self.residual_coef_ = coef / coef.dtype.type(scale)
        self.residual_intercept_ = intercept / intercept.dtype.type(scale)
        self._coef = self.coef_ * (self.logit_scale_ / self.temperature_) + self.residual_coef_
        if len(rows):
            text[rows] += held_out / text.dtype.type(scale)
        return text, np.ones(len(text), bool)

    def _logits_of(self, X):
        return unit_rows(X) @ self._coef.T + self.residual_intercept_

    def _linear(self):
        """Coefficients and intercept, and that they are of rows of unit length."""
        return self._coef, self.residual_intercept_, True


class _Ridge:
    """Ridge regression with intercept, on all rows or on those that a fold teaches by.

    Sums over all rows, less those over the rows of a fold, are those over the others. So rows are
    multiplied with each other twice, however many folds there are.
    """

    def __init__(self, X, Y, weights, alpha):
        self._weights = np.ones(len(X), X.dtype) if weights is None else weights.astype(X.dtype)
        self._basis, self._alpha = None, alpha
        if len(X) < X.shape[1]:  # what is learned is a combination of rows
            self._basis, triangle = np.linalg.qr(X.T)
            X = triangle.T
        self._centre = np.average(X, axis=0, weights=weights).astype(X.dtype)
        self._X, self._Y = X - self._centre, Y
        self._sums = self._sums_of(slice(None))

    def _sums_of(self, rows):
        """Of weights, weighted rows and targets, and their products with the rows."""
        X, Y, w = self._X[rows], self._Y[rows], self._weights[rows]
        weighted = X * w[:, None]
        return [w.sum(dtype=float), weighted.sum(axis=0), w @ Y, weighted.T @ X, weighted.T @ Y]

    def _solve(self, total, of_X, of_Y, gram, products):
        gram = gram - np.outer(of_X, of_X / total)
        gram.flat[:: len(gram) + 1] += self._alpha
        products = products - np.outer(of_X, of_Y / total)
        coef = solve(gram, products, assume_a="pos", overwrite_a=True, overwrite_b=True)
        return coef, (of_Y - of_X @ coef) / total

    def held_out(self, folds, judges):
        """What each fold's regression says of those of its rows that judge; and which these are."""
        judging, known = np.zeros(len(self._X), bool), np.zeros(len(self._X), bool)
        judging[judges] = True
        said = np.zeros_like(self._Y)
        everyone = np.arange(len(self._X))
        for train, test in folds:
            rest = np.setdiff1d(everyone, everyone[train])
            sums = [all_ - own for all_, own in zip(self._sums, self._sums_of(rest), strict=True)]
            coef, intercept = self._solve(*sums)
            test = everyone[test]
            test = test[judging[test]]
            said[test], known[test] = self._X[test] @ coef + intercept, True
        rows = np.flatnonzero(known)
        return taken(said, rows), rows

    def fit(self):
        """Coefficients, (C, d), and intercepts, (C,), of all rows."""
        coef, intercept = self._solve(*self._sums)
        intercept = intercept - self._centre @ coef
        return (coef if self._basis is None else self._basis @ coef).T, intercept

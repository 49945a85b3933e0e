"""A correction of zero-shot logits that is learned in closed form."""

import warnings
from numbers import Real

import numpy as np
from scipy.special import softmax
from sklearn.base import _fit_context
from sklearn.linear_model import Ridge
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.utils._param_validation import Interval

from .._utils._linalg import unit_rows
from .._utils._validation import few_rows_per_class
from ._temperature import fit_temperature
from ._text_head import BaseTextHead, rows_that_judge

_N_FOLDS = 5
# Of a correction that no row can judge, as with one row per class. The largest that was within a
# standard error of the best on the validation sets: see the ablation in docs/results/validation.
_UNJUDGED_TEMPERATURE = 0.5


class ResidualHead(BaseTextHead):
    r"""Correct zero-shot logits by a ridge regression of what they leave unexplained.

    Where z are the logits of :class:`ZeroShotHead`, calibrated on the training rows, and L the
    one-hot labels, a ridge regression with intercept from the unit embedding f predicts the
    residuals :math:`L - \mathrm{softmax}(z)`. Its prediction, divided by a temperature, is added to
    z. This is one step of boosting from the zero-shot classifier, the closed-form kin of heads
    that learn a linear probe around the text features [1]_, [2]_. Few rows change little; where
    prompts mean nothing, it is a linear probe.

    Parameters
    ----------
    backbone : str, default="ViT-B-32/openai"
        The model that made the embeddings; see :class:`skclipens.backbones.Backbone`.
    alpha : float, default=0.2
        Strength of the ridge penalty, for rows of unit length.
    templates : sequence of str, default=None
        Prompts, as in :class:`ZeroShotHead`.
    class_names : mapping or sequence of str, default=None
        Names of the classes, as in :class:`ZeroShotHead`.

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
    held_out_logits_ : ndarray of shape (n, C)
        Logits of the training rows, in their order, from ridge regressions that have not seen
        them, in up to five folds. The temperature of the correction is fitted on these. A row
        whose class no other row shows cannot judge the correction and goes without it; where that
        is so for at least half of the classes, the temperature of the correction is 0.5.
    n_features_in_ : int
        Width of the backbone's embedding.
    feature_names_in_ : ndarray of shape (width,)
        Names of the columns; only where ``fit`` saw a frame.

    See Also
    --------
    TipAdapterHead : Corrects zero-shot logits by similar training rows.

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
    >>> X = CLIPEmbedder("zoo/RN20").fit_transform(emoji.filenames[::5])
    >>> y = emoji.target_names[emoji.target[::5]]
    >>> ResidualHead("zoo/RN20").fit(X, y).residual_coef_.shape == (len(set(y)), 128)
    True
    """

    _parameter_constraints: dict = {
        **BaseTextHead._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, backbone="ViT-B-32/openai", *, alpha=0.2, templates=None, class_names=None):
        self.backbone = backbone
        self.alpha = alpha
        self.templates = templates
        self.class_names = class_names

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Encode the names of the classes, and fit the correction.

        Parameters
        ----------
        X : array-like of shape (n, width)
            Embeddings, normalised or not.
        y : array-like of shape (n,)
            Labels.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X is not as wide as the backbone's embedding, a class has no name or a template has
            no place for it.
        """
        features, targets = self._fit_text(X, y)
        text = self._text_logits(features)
        self.temperature_ = fit_temperature(text, targets)
        text = text / self.temperature_
        residuals = np.eye(len(self.classes_), dtype=text.dtype)[targets] - softmax(text, axis=1)
        ridge = Ridge(self.alpha, solver="cholesky").fit(features, residuals)
        held_out = np.zeros_like(text)
        rows = np.flatnonzero(rows_that_judge(targets))
        if len(rows):
            folds = _folds(targets)
            held_out[rows] = cross_val_predict(ridge, features, residuals, cv=folds)[rows]
            scale = fit_temperature(held_out[rows], targets[rows], offset=text[rows])
        else:
            scale = _UNJUDGED_TEMPERATURE
        self.residual_coef_ = ridge.coef_ / scale
        self.residual_intercept_ = ridge.intercept_ / scale
        self.held_out_logits_ = text + held_out / scale
        return self

    def _logits_of(self, X):
        features = unit_rows(X)
        correction = features @ self.residual_coef_.T + self.residual_intercept_
        return self._text_logits(features) / self.temperature_ + correction


def _folds(targets):
    splitter = StratifiedKFold(
        min(_N_FOLDS, np.bincount(targets).max()), shuffle=True, random_state=0
    )
    with warnings.catch_warnings(), few_rows_per_class():
        warnings.filterwarnings("ignore", message="The least populated class")
        return list(splitter.split(targets, targets))

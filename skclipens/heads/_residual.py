"""Ridge regression of the residuals of zero-shot logits, in closed form."""

from numbers import Real

import numpy as np

from .._utils._docstrings import fill_doc
from .._utils._folds import validation_rows
from .._utils._linalg import some_of, take_columns, take_rows, unit_rows
from .._utils._sklearn import Interval
from ._cross_fit import CrossFitTextHead, default_folds
from ._from_files import PassRequest, SumsOver
from ._ridge import ResidualSums, Ridge, SummedRidge, needs_float64, residuals_of
from ._temperature import correction_temperature, fit_temperature


@fill_doc
class ResidualHead(CrossFitTextHead):
    r"""Correct zero-shot logits by a ridge regression of their errors.

    Let z be the logits of :class:`ZeroShotHead`, calibrated on the training rows, and L the one-hot
    labels. A ridge regression with intercept predicts the residuals :math:`L - \mathrm{softmax}(z)`
    from the unit embedding f. Its prediction, divided by a temperature, is added to z. This is one
    step of boosting from the zero-shot classifier, a closed-form relative of heads that learn a
    linear probe around the text features [1]_, [2]_. With few rows it stays close to the zero-shot
    classifier; if prompts mean nothing, it is a linear probe.

    Parameters
    ----------
    %(text_backbone)s
    alpha : float, default=0.2
        Strength of the ridge penalty, for rows of unit length: the larger, the smaller the
        correction. Not the alpha of :class:`GDAHead` and :class:`TipAdapterHead`, which is a
        weight.
    %(prompts)s

    Attributes
    ----------
    %(classes)s
    %(text_features)s
    logit_scale_ : float
        Scale of the zero-shot logits.
    temperature_ : float
        Temperature by which the zero-shot logits are divided.
    residual_coef_ : ndarray of shape (C, width)
        Coefficients of the correction.
    residual_intercept_ : ndarray of shape (C,)
        Intercepts of the correction.
    %(text_columns)s

    See Also
    --------
    TipAdapterHead : Corrects zero-shot logits by similar training rows.

    Notes
    -----
    The temperature of the correction is fitted on held-out predictions of the ridge regression, in
    up to five folds and for at most 5,000 rows. The only row of a class cannot be held out. If
    that holds for at least half of the classes, the temperature is
    :math:`\min(0.75, 0.2 + 3 (1 - r))` with :math:`r = \min(1, (l + 2 / n) / \log C)`. Here l is
    the log-loss of the prompts on the n training rows, and log C that of guessing: the less the
    prompts know, the larger the correction. 2 / n is added because the temperature of the prompts
    was fitted on the same rows.

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

    _in_closed_form = True
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

    def _cross_fit(self, features, targets, weights, folds, groups):
        if folds is None:
            folds = default_folds(targets, groups)
        validation = validation_rows(targets)
        text = self._calibrated_text(features, targets, weights, validation)
        ridge = Ridge(features, residuals_of(text, targets), weights, self.alpha)
        held_out = ridge.held_out(folds, validation)
        self._correct(text, *ridge.fit(), *held_out, targets, weights)
        return text, np.ones(len(text), bool)

    def _fit_over(self, rows, columns):
        """See :mod:`skclipens.heads._from_files`."""
        _, kept = yield PassRequest()
        self._fit_classes(rows.classes, len(columns))
        features = unit_rows(take_columns(kept.X, columns))
        targets, weights = rows.targets[kept.rows], rows.weights[kept.rows]
        text = self._calibrated_text(features, targets, weights, kept.validation)
        dtype = np.float64 if needs_float64(self.alpha) else features.dtype  # also of the products
        centre = features.mean(axis=0).astype(dtype)
        tests = [kept.positions(test) for test in rows.make_folds()]
        sums = ResidualSums(self._prompt_coef().astype(np.float32), centre)
        sums = [SumsOver(sums, columns, fold) for fold in range(len(tests) + 1)]
        sums, _ = yield PassRequest(sums)
        ridge = SummedRidge([one.sums for one in sums], centre, features, self.alpha)
        held_out = ridge.held_out(tests, kept.validation)
        self._correct(text, *ridge.fit(), *held_out, targets, weights)
        return text[kept.validation], np.ones(len(kept.validation), bool)

    def _calibrated_text(self, features, targets, weights, validation):
        """Fit the temperature of the prompts; return calibrated zero-shot logits of all rows."""
        text = self._text_logits(features)
        weights = some_of(weights, validation)
        of_rows = take_rows(text, validation), targets[validation]
        self.temperature_ = fit_temperature(*of_rows, sample_weight=weights)
        text /= text.dtype.type(self.temperature_)
        return text

    def _correct(self, text, coef, intercept, held_out, rows, targets, weights):
        """Set the correction, scaled by its held-out predictions; add these to the logits."""
        scale, validation = correction_temperature(held_out, rows, text, targets, weights)
        self.residual_coef_, self.residual_intercept_ = (
            (one / scale).astype(text.dtype) for one in (coef, intercept)
        )
        self._coef = self._prompt_coef() + self.residual_coef_
        if len(validation):
            text[validation] += held_out / text.dtype.type(scale)

    def _prompt_coef(self):
        return self.text_features_ * (self.logit_scale_ / self.temperature_)

    def _logits_of(self, X):
        return unit_rows(X) @ self._coef.T + self.residual_intercept_

    def _linear(self):
        """Return coefficients and intercept, and True: rows are scaled to unit length."""
        return self._coef, self.residual_intercept_, True

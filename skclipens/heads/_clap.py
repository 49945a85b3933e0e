"""CLAP: a linear probe with a penalty on the distance from the text features."""

from numbers import Integral, Real

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning

from .._utils._docstrings import fill_doc
from .._utils._folds import covers_most, held_out_rows
from .._utils._linalg import some_of, unit_rows
from .._utils._sklearn import Interval, StrOptions
from .._utils._warnings import warn
from ._cross_fit import CrossFitTextHead, default_folds
from ._losses import cross_entropy, log_loss
from ._temperature import fit_temperature

_ALPHAS = (100.0, 10.0, 1.0, 0.1, 0.01)  # each fit starts from the previous solution
_DEFAULT_ALPHA = 1.0
_TOLERANCE = 1e-7  # of a step; relative to the loss if that is larger than 1


@fill_doc
class CLAPHead(CrossFitTextHead):
    r"""Classify by a linear probe with a penalty on its distance from the text features.

    The weights :math:`w_c` of the classes minimise, with the text features :math:`t_c` [1]_,

    .. math:: \frac1N \sum_i H(y_i, \mathrm{softmax}_c(s f_i^T w_c))
              + \frac{\alpha}{C} \sum_c \lambda_c \|w_c - t_c\|^2,

    where H is cross-entropy, f the unit embeddings of N rows, s the scale of the zero-shot
    logits, calibrated on these rows, and :math:`\lambda_c` the mean probability that the
    calibrated zero-shot logits :math:`s f^T t` give the class on its own rows, so that classes
    which they already know change less. The problem is convex and solved by L-BFGS.

    Parameters
    ----------
    %(text_backbone)s
    alpha : float or "auto", default="auto"
        Strength :math:`\alpha` of the penalty. ``"auto"``: chosen by the log-loss of held-out rows,
        see Notes.
    max_iter : int, default=1000
        Largest number of iterations of L-BFGS.
    %(prompts)s

    Attributes
    ----------
    %(classes)s
    text_features_ : ndarray of shape (C, width), float32
        Text features t of the classes, unit rows.
    logit_scale_ : float
        Scale of the zero-shot logits.
    temperature_ : float
        Temperature of the zero-shot logits: s is ``logit_scale_ / temperature_``.
    alpha_ : float
        The given or chosen strength of the penalty.
    probe_coef_ : ndarray of shape (C, width)
        Weights w of the classes.
    n_iter_ : int
        Iterations of the final fit.
    %(text_columns)s

    See Also
    --------
    LinearProbeHead : A linear probe that knows no names.
    ResidualHead : Corrects zero-shot logits in closed form.

    Notes
    -----
    In the paper :math:`\alpha` is 1, s the scale of the model, and gradient descent takes 300
    epochs, which regularises too; its code scales w to unit length. The minimum itself overfits if
    zero-shot logits are overconfident. So s is calibrated, also for :math:`\lambda`, and ``"auto"``
    chooses :math:`\alpha` from 100, 10, 1, 0.1 and 0.01 by the log-loss of held-out rows, in up to
    five folds of the training rows. The only row of a class cannot be held out. If that holds for
    at least half of the classes, as with one row per class, :math:`\alpha` is 1. A class without a
    row has the mean :math:`\lambda`.

    References
    ----------
    .. [1] Silva-Rodriguez et al., "A Closer Look at the Few-Shot Adaptation of Large
       Vision-Language Models", CVPR 2024, section 4, equations 6 to 8.
       https://arxiv.org/abs/2312.12730

    Examples
    --------
    >>> from skclipens import CLIPEmbedder
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.heads import CLAPHead
    >>> emoji = load_emoji(min_class_size=60)
    >>> embedder = CLIPEmbedder("zoo/RN20")
    >>> X = embedder.fit_transform(emoji.filenames[::5])
    >>> y = emoji.target_names[emoji.target[::5]]
    >>> head = CLAPHead("zoo/RN20").fit(X, y)
    >>> head.predict(embedder.transform(emoji.filenames[[2, 102]]))
    array(['person at work', 'mammal'], dtype=...)
    """

    _parameter_constraints: dict = {
        **CrossFitTextHead._parameter_constraints,
        "alpha": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        backbone=None,
        *,
        alpha="auto",
        max_iter=1000,
        templates=None,
        class_names=None,
        cache=None,
    ):
        self.backbone = backbone
        self.alpha = alpha
        self.max_iter = max_iter
        self.templates = templates
        self.class_names = class_names
        self.cache = cache

    def _cross_fit(self, features, targets, weights, folds, groups):
        if folds is None:
            folds = default_folds(targets, groups)
        text = self._text_logits(features)
        self.temperature_ = fit_temperature(text, targets, sample_weight=weights)
        validation = held_out_rows(folds)
        can_choose = covers_most(targets[validation], len(self.classes_))
        automatic = _ALPHAS if can_choose else [_DEFAULT_ALPHA]
        alphas = automatic if self.alpha == "auto" else [float(self.alpha)]
        folds = folds if can_choose else []
        logits = self._held_out(features, targets, weights, folds, alphas)
        given = targets[validation], some_of(weights, validation)
        losses = [log_loss(one[validation], *given) for one in logits]
        best = int(np.argmin(losses))
        self.alpha_ = alphas[best]
        *_, (moved, self.n_iter_) = self._path(features, targets, weights, alphas[: best + 1])
        if self.n_iter_ >= self.max_iter:
            message = f"CLAPHead did not converge in {self.max_iter} iterations; raise max_iter."
            warn(message, ConvergenceWarning)
        self.probe_coef_ = self.text_features_ + moved
        return logits[best], np.ones(len(text), bool)

    def _held_out(self, features, targets, weights, folds, alphas):
        """Return held-out logits for each alpha, (K, n, C); zero-shot logits of other rows."""
        logits = np.stack([self._probe_logits(features, self.text_features_)] * len(alphas))
        for train, test in folds:
            path = self._path(features[train], targets[train], some_of(weights, train), alphas)
            for k, (moved, _) in enumerate(path):
                logits[k, test] = self._probe_logits(features[test], self.text_features_ + moved)
        return logits

    def _path(self, features, targets, weights, alphas):
        """Yield the weights less the text features, and the iterations, for each alpha in turn."""
        f, text = features.astype(float), self.text_features_.astype(float)
        scale, n_classes = self.logit_scale_ / self.temperature_, len(text)
        weights = np.ones(len(f)) if weights is None else weights
        shares = weights / weights.sum()
        zero_shot = scale * f @ text.T
        known = softmax(zero_shot, axis=1)[np.arange(len(f)), targets]
        counts = np.bincount(targets, shares, minlength=n_classes)
        penalty = np.bincount(targets, shares * known, minlength=n_classes)
        penalty = np.divide(
            penalty, counts, out=np.full(n_classes, shares @ known), where=counts > 0
        )
        penalty = penalty[:, None] / n_classes

        def loss(moved, alpha):
            moved = moved.reshape(text.shape)
            value, slope = cross_entropy(zero_shot + scale * f @ moved.T, targets, shares)
            value += alpha * np.sum(penalty * moved**2)
            slope = scale * slope.T @ f + 2 * alpha * penalty * moved
            return value, slope.ravel()

        moved = np.zeros(text.size)
        for alpha in alphas:
            options = {"maxiter": self.max_iter, "ftol": _TOLERANCE}
            found = minimize(loss, moved, alpha, "L-BFGS-B", jac=True, options=options)
            moved = found.x
            yield moved.reshape(text.shape).astype(features.dtype), found.nit

    def _probe_logits(self, features, coef):
        return features @ coef.T * (self.logit_scale_ / self.temperature_)

    def _logits_of(self, X):
        return self._probe_logits(unit_rows(X), self.probe_coef_)

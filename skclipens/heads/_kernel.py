"""Kernel ridge regression of what the prompts of several backbones leave unexplained."""

from numbers import Integral, Real

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.special import softmax
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, gen_batches

from .._utils._docstrings import fill_doc
from .._utils._folds import covers_most
from .._utils._linalg import unit_rows
from .._utils._sklearn import Interval, fit_context
from .._utils._validation import check_at_least_two, check_table, check_weights
from ._classifier import LogitClassifierMixin
from ._temperature import fit_temperature, unjudged_temperature
from ._text_head import CACHE_CONSTRAINTS, CrossFitMixin
from ._zero_shot import ZeroShotHead

_MAX_ROWS_TO_CHOOSE = 500
_ROWS_AT_ONCE = 4096
# Beta and noise where most classes have one row, of which the evidence can tell nothing. Better at
# one shot on the validation sets, with 5 draws, than what the evidence chooses; no program here
# repeats that.
_UNJUDGED = 4.0, 0.3


@fill_doc()
class KernelHead(CrossFitMixin, LogitClassifierMixin, BaseEstimator):
    r"""Correct the zero-shot logits of several backbones by similar training rows.

    Where z is the mean of the zero-shot logits of the backbones, calibrated on the training rows,
    and L the one-hot labels, kernel ridge regression predicts the residuals
    :math:`L - \mathrm{softmax}(z)`. Its prediction, divided by a temperature, is added to z [1]_.
    The kernel of two rows is :math:`\exp(\beta (c - 1))`, where c is the mean over blocks of the
    cosine of the two rows: a product of a kernel for each block. Far from all training rows the
    correction fades, and the prompts decide; without texts, all classes are then alike.

    :math:`\beta` and the noise (the ridge) are those of the largest marginal likelihood of a
    Gaussian process [2]_, on at most 500 of the rows. Where most classes have one row, they are 4
    and 0.3, and the temperature is as in :class:`ResidualHead`.

    Parameters
    ----------
    blocks : None or list of (str or None, columns), default=None
        The columns of each block, as a slice or positions, with the backbone whose texts they can
        be compared with; None for a block without texts. In an ensemble, None takes all embeddings;
        otherwise it takes all columns as one block without texts.
    betas : sequence of float, default=(1.0, 2.0, 4.0, 8.0)
        Candidates for :math:`\beta`.
    noises : sequence of float, default=(0.03, 0.1, 0.3, 1.0, 3.0)
        Candidates for the ridge: the variance of a residual around what the kernel can say, in
        units of the variance of what it says.
    max_rows : int, default=2000
        Of more rows, so many are drawn, and the others only judge. Time grows as the third power
        of it, and memory as the second.
    templates : sequence of str, default=None
        Prompts, as in :class:`ZeroShotHead`.
    class_names : mapping or sequence of str, default=None
        Names of the classes, as in :class:`ZeroShotHead`.
    %(text_cache)s
    random_state : int, RandomState instance or None, default=None
        Determines which of many rows are drawn.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        Labels.
    text_heads_ : list of (ZeroShotHead, columns)
        Of the blocks with texts.
    temperatures_ : ndarray of shape (n_texts,)
        What the zero-shot logits of each of these are divided by, the mean's included.
    beta_ : float
    noise_ : float
    support_ : ndarray of shape (m, n_features)
        Training rows, each block of unit length, divided by the root of the number of blocks.
    dual_coef_ : ndarray of shape (m, C)
        What the kernel with each of these rows adds to the logits.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns; only where ``fit`` saw a frame.

    See Also
    --------
    ResidualHead : Linear in the embedding of one backbone.

    References
    ----------
    .. [1] Bendou et al., "ProKeR: A Kernel Perspective on Few-Shot Adaptation of Large
       Vision-Language Models", CVPR 2025, for one backbone.
    .. [2] Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, equation 5.8.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens.heads import KernelHead
    >>> X, y = load_iris(return_X_y=True)
    >>> KernelHead().fit(X - X.mean(axis=0), y).dual_coef_.shape
    (150, 3)
    """

    _parameter_constraints: dict = {
        "blocks": [None, "array-like"],
        "betas": ["array-like"],
        "noises": ["array-like"],
        "max_rows": [Interval(Integral, 2, None, closed="left")],
        "templates": [None, "array-like"],
        "class_names": [None, dict, "array-like"],
        "cache": CACHE_CONSTRAINTS,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        blocks=None,
        *,
        betas=(1.0, 2.0, 4.0, 8.0),
        noises=(0.03, 0.1, 0.3, 1.0, 3.0),
        max_rows=2000,
        templates=None,
        class_names=None,
        cache=None,
        random_state=None,
    ):
        self.blocks = blocks
        self.betas = betas
        self.noises = noises
        self.max_rows = max_rows
        self.templates = templates
        self.class_names = class_names
        self.cache = cache
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def cross_fit(self, X, y, *, folds=None, groups=None, sample_weight=None):
        """Fit, and say what heads that have not seen a row give for it.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
        y : array-like of shape (n,)
            Labels.
        folds : list of (train, test), default=None
            Held-out logits come from regressions on ``train``. None: each row is left out, together
            with its copies.
        groups : array-like of shape (n,), default=None
            Rows of a group are left out together, where `folds` is None.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        logits : ndarray of shape (n, C)
            Those of a row that no fold holds out are without correction.
        known : ndarray of shape (n,), bool
            Which rows can judge the head: all, where prompts do not learn from rows; without
            texts, those that were held out.
        """
        X, y = check_table(self, X, y)
        weights = check_weights(sample_weight, X)
        self._check_candidates()
        self.classes_, targets = np.unique(y, return_inverse=True)
        check_at_least_two(self.classes_)
        base = self._fit_base(X, y, targets, weights)
        regression = _Regression(self._features(X), targets, base, weights)
        groups = _copies(X, targets) if groups is None else _numbered(groups)
        in_company = regression.in_company(groups)
        self.beta_, self.noise_ = _UNJUDGED
        if self._covered(targets[in_company]):
            self.beta_, self.noise_ = self._choose(regression)
        support = self._drawn(regression, self.max_rows)
        if folds is None:
            coef, held_out = regression.leave_out(support, groups, self.beta_, self.noise_)
            known = in_company
        else:
            coef, held_out, known = regression.fold(support, folds, self.beta_, self.noise_)
        if self._covered(targets[known]):
            of_rows = None if weights is None else weights[known]
            scale = fit_temperature(held_out[known], targets[known], base[known], of_rows)
        else:
            scale, known = unjudged_temperature(base, targets, weights), np.zeros_like(known)
        held_out[~known] = 0
        self.support_ = regression.rows[support]
        self.dual_coef_ = (coef / scale).astype(X.dtype)
        logits = (base + held_out / scale).astype(X.dtype)
        return logits, known | bool(self.text_heads_)

    def _covered(self, targets):
        return covers_most(targets, len(self.classes_))

    def _check_candidates(self):
        for name in ("betas", "noises"):
            values = list(getattr(self, name))
            if not values or not all(isinstance(v, Real) and v > 0 for v in values):
                raise ValueError(f"{name} are positive numbers, at least one; got {values!r}.")

    def _blocks(self, n_features):
        return [(None, slice(n_features))] if self.blocks is None else list(self.blocks)

    def _fit_base(self, X, y, targets, weights):
        """Fit heads and temperatures of the prompts; the calibrated mean of their logits."""
        names = ("templates", "class_names", "cache")
        options = {name: getattr(self, name) for name in names}
        self.text_heads_ = [
            (ZeroShotHead(backbone, **options).fit(X[:, columns], y), columns)
            for backbone, columns in self._blocks(X.shape[1])
            if backbone is not None
        ]
        self.temperatures_ = np.ones(len(self.text_heads_))
        if not self.text_heads_:
            return self._base(X)
        texts = [head._logits_of(X[:, columns]) for head, columns in self.text_heads_]
        own = np.array([fit_temperature(one, targets, sample_weight=weights) for one in texts])
        self.temperatures_ = own
        self.temperatures_ = own * fit_temperature(self._base(X), targets, sample_weight=weights)
        return self._base(X)

    def _base(self, X):
        """Calibrated logits of the prompts; zeros without texts."""
        base = np.zeros((len(X), len(self.classes_)), X.dtype)
        for (head, columns), temperature in zip(self.text_heads_, self.temperatures_, strict=True):
            base += head._logits_of(X[:, columns]) / X.dtype.type(temperature)
        return base / max(len(self.text_heads_), 1)

    def _features(self, X):
        """Rows whose products are the mean cosines."""
        blocks = [unit_rows(X[:, columns]) for _, columns in self._blocks(X.shape[1])]
        return np.concatenate(blocks, axis=1) / X.dtype.type(np.sqrt(len(blocks)))

    def _drawn(self, regression, n_rows):
        """Positions of so many rows that have a weight, each class as often as among all."""
        rows = np.flatnonzero(regression.scale)
        if len(rows) <= n_rows:
            return rows
        rows = check_random_state(self.random_state).permutation(rows)
        targets, rank = regression.targets[rows], np.empty(len(rows))
        for c in range(len(self.classes_)):
            own = np.flatnonzero(targets == c)
            rank[own] = (np.arange(len(own)) + 0.5) / max(len(own), 1)
        return np.sort(rows[np.argsort(rank, kind="stable")[:n_rows]])

    def _choose(self, regression):
        """The pair of beta and noise of the largest marginal likelihood."""
        some = self._drawn(regression, _MAX_ROWS_TO_CHOOSE)
        losses = {
            (float(beta), float(noise)): loss
            for beta in self.betas
            for noise, loss in zip(
                self.noises, regression.evidence(some, beta, self.noises), strict=True
            )
        }
        return min(losses, key=losses.get)

    def _logits_of(self, X):
        added = _predict(self._features(X), self.support_, self.beta_, self.dual_coef_)
        return self._base(X) + added


def _kernel(rows, others, beta):
    products = rows @ others.T
    products -= 1
    products *= beta
    return np.exp(products, out=products)


def _predict(rows, support, beta, coef):
    """What coefficients of the support say of rows, in parts that memory can hold."""
    found = np.empty((len(rows), coef.shape[1]), coef.dtype)
    for part in gen_batches(len(rows), _ROWS_AT_ONCE):
        found[part] = _kernel(rows[part], support, beta) @ coef
    return found


def _copies(X, targets):
    """Numbers of rows, the same for rows with the same values and label."""
    pairs = [(target, row.tobytes()) for target, row in zip(targets.tolist(), X, strict=True)]
    return _numbered([hash(pair) for pair in pairs])


def _numbered(groups):
    return np.unique(groups, return_inverse=True)[1]


def _members(numbers):
    """Positions of each number."""
    return np.split(np.argsort(numbers, kind="stable"), np.cumsum(np.bincount(numbers))[:-1])


class _Regression:
    """Kernel ridge regression of what calibrated logits leave unexplained.

    ``scale`` is the root of the rows' weights.
    """

    def __init__(self, rows, targets, base, weights):
        self.rows, self.targets = rows, targets
        self.residuals = np.eye(base.shape[1])[targets] - softmax(base, axis=1)
        weights = np.ones(len(rows)) if weights is None else weights.astype(np.float64)
        self.scale = np.sqrt(weights)

    def in_company(self, groups):
        """Which rows with a weight share their class with such a row of another group."""
        heard = self.scale > 0
        pairs = np.unique(np.column_stack([self.targets, groups])[heard], axis=0)
        n_groups = np.bincount(pairs[:, 0], minlength=self.targets.max() + 1)
        return (n_groups[self.targets] > 1) & heard

    def evidence(self, some, beta, noises):
        """Negative log marginal likelihoods, up to a constant, at the best variance of signals."""
        scale, residuals = self.scale[some], self.residuals[some]
        K = self._covariance(some, beta)
        values, vectors = eigh(K, overwrite_a=True)
        projected = ((vectors.T @ (scale[:, None] * residuals)) ** 2).sum(axis=1)
        values, total = np.maximum(values, 0), float((scale**2).sum())
        n_classes, losses = residuals.shape[1], []
        for noise in noises:
            variance = np.sum(projected / (values + noise)) / (total * n_classes)
            # A weight stands for as many copies of a row, which agree.
            spread = np.log(values + noise).sum() + (total - len(values)) * np.log(noise)
            losses.append(n_classes * (spread + total * np.log(variance)))
        return losses

    def fold(self, support, folds, beta, noise):
        """Coefficients of the support; what folds predict, and for which rows."""
        held_out, known = np.zeros_like(self.residuals), np.zeros(len(self.residuals), bool)
        for train, test in folds:
            train = np.intersect1d(np.arange(len(known))[train], support)
            coef, _ = self._solve(train, beta, noise)
            held_out[test] = _predict(self.rows[test], self.rows[train], beta, coef)
            known[test] = True
        return self._solve(support, beta, noise)[0], held_out, known

    def leave_out(self, support, groups, beta, noise):
        """Coefficients of the support, and predictions without the rows of the own group.

        In closed form: Rasmussen and Williams, equation 5.12, of several rows where a group has
        several. A class that a row is left out of has fewer rows to speak for it than all others,
        so they count for more.
        """
        coef, inverse = self._solve(support, beta, noise, inverted=True)
        held_out, own = self.residuals.copy(), _numbered(groups[support])
        targets, weights = self.targets[support], self.scale[support] ** 2
        to_class = inverse @ np.eye(held_out.shape[1])[targets]
        of_class = np.bincount(targets, weights)
        for rows in _members(own):
            block, classes = inverse[np.ix_(rows, rows)], targets[rows]
            same = classes[:, None] == np.arange(held_out.shape[1])
            left = np.linalg.solve(block, np.hstack([coef[rows], to_class[rows] - block @ same]))
            found = self.residuals[support[rows]] - left[:, : held_out.shape[1]]
            gone = weights[rows] @ same
            shares = gone / np.maximum(of_class - gone, np.finfo(float).tiny)
            speak = -left[:, held_out.shape[1] :] * np.where(of_class > gone, shares, 0)
            held_out[support[rows]] = found + speak
        rest = np.setdiff1d(np.arange(len(groups)), support)
        if len(rest):
            # Of a group that is drawn in part, nothing is left out for the other rows.
            held_out[rest] = _predict(self.rows[rest], self.rows[support], beta, coef)
        return coef, held_out

    def _covariance(self, support, beta):
        """The kernel of rows, times the roots of their weights."""
        rows, scale = self.rows[support].astype(np.float64), self.scale[support]
        return _kernel(rows, rows, beta) * scale[:, None] * scale

    def _solve(self, support, beta, noise, inverted=False):
        """Coefficients; the inverse of kernel and noise, if asked for."""
        scale, K = self.scale[support], self._covariance(support, beta)
        K.flat[:: len(K) + 1] += noise
        factor = cho_factor(K, overwrite_a=True)
        coef = scale[:, None] * cho_solve(factor, scale[:, None] * self.residuals[support])
        if not inverted:
            return coef, None
        inverse = cho_solve(factor, np.eye(len(scale)), overwrite_b=True)
        return coef, inverse * scale[:, None] * scale

"""Kernel ridge regression of the residuals of zero-shot logits of several backbones."""

from functools import partial
from numbers import Integral
from types import NoneType

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._mistakes._columns import ReadAsScaled, warn_of_dominant_columns
from .._mistakes._seen_embeddings import check_rows_as_in_fit, see_blocks
from .._utils._docstrings import fill_doc
from .._utils._folds import can_be_held_out, codes_of, covers_most, validation_rows
from .._utils._labels import check_at_least_two
from .._utils._linalg import side_by_side, some_of, take_columns, take_rows, unit_blocks, unit_rows
from .._utils._positions import positions, refuse_shared
from .._utils._random import drawn_rows
from .._utils._sklearn import InOrder, Interval
from .._utils._validation import check_candidates, check_table
from ..backbones import Backbone
from ..backbones._blocks import Block, find_blocks
from ..backbones._kinds import BlockKind
from ._agreement import expected_inverse, sample_rows
from ._cross_fit import CrossFitTableHead
from ._from_files import PassRequest
from ._kernel_regression import ExactFit, Regression, TrainingRows, predict_residuals
from ._nystrom import NystromFit
from ._temperature import correction_temperature, fit_temperature
from ._text_head import (
    PROMPT_CONSTRAINTS,
    is_standalone,
    refuse_names_of_others,
    warn_of_prompts_at_once,
    warn_of_unfitting_texts,
)
from ._zero_shot import ZeroShotHead

_MAX_ROWS_TO_CHOOSE = 500
ROWS_PER_COMPONENT = 16  # time and memory grow with it
# Beta and alpha at one shot, where the evidence is weak: on the validation sets, with 5 draws,
# these were more accurate than those of the largest evidence. No program here repeats that.
_UNVALIDATED = 4.0, 0.3


@fill_doc
class KernelHead(CrossFitTableHead):
    r"""Correct the zero-shot logits of several backbones by similar training rows.

    Let z be the mean of the zero-shot logits of the backbones, calibrated on the training rows, and
    L the one-hot labels. Kernel ridge regression predicts the residuals
    :math:`L - \mathrm{softmax}(z)`. Its prediction, divided by a temperature, is added to z [1]_.
    The kernel of two rows is :math:`\exp(\beta (c - 1))`, where c is the mean over blocks of the
    cosine of the two rows: a product of a kernel for each block. Far from all training rows the
    correction fades, and the prompts decide; without texts, all classes then have the same logit.

    :math:`\beta` and ``alpha``, the ridge, maximise the marginal likelihood of a Gaussian process
    [2]_, on at most 500 of the rows. If at least half of the classes have a single row, they are 4
    and 0.3, and the temperature is as in :class:`ResidualHead`.

    Parameters
    ----------
    blocks : None or list of (str or None, columns), default=None
        Pairs of a backbone and the columns of its block, as a slice, positions or names. The
        backbone is None for a block without texts. ``blocks=None``: the blocks of backbones,
        including pooled features, in a DataFrame whose columns an embedder has named, and the
        columns beside them, if any, as one more block; in an ensemble, those of one backbone;
        otherwise all columns as one block without texts.
    betas : sequence of float, default=(2.0,)
        Candidates for :math:`\beta`.
    alphas : sequence of float, default=(0.3,)
        Candidates for the ridge: the variance of the residuals that the kernel does not explain,
        relative to the variance that it explains. On the validation sets, the defaults were more
        accurate than values of the largest evidence; no program of the repository repeats that.
    n_components : int, default=1000
        With more rows than this, the kernel is approximated by its values at a stratified sample
        of this size (the Nyström method [3]_, as in
        :class:`~sklearn.kernel_approximation.Nystroem`), and the head is fitted on up to 16 times
        as many rows. Up to 5,000 others are only held out. The sample has at least one row of
        each class; if there are more classes than this, fewer rows are fitted on. Time grows with
        the cube of ``n_components``, memory with its square.
    %(prompts)s
    random_state : int, RandomState instance or None, default=None
        Determines which rows are sampled if there are too many.

    Attributes
    ----------
    %(classes)s
    text_heads_ : list of (ZeroShotHead, columns)
        The zero-shot heads of the blocks that have texts, with their columns.
    temperatures_ : ndarray of shape (n_texts,)
        Temperatures by which the zero-shot logits of these heads are divided, including that of
        their mean. With few rows, they are larger if the backbones disagree.
    beta_ : float
        The chosen :math:`\beta`.
    alpha_ : float
        The chosen ridge.
    X_fit_ : ndarray of shape (m, n_features)
        Training rows, or the sample of them, with each block of unit length, divided by the root of
        the number of blocks.
    dual_coef_ : ndarray of shape (m, C)
        Coefficients of the kernel with each row of ``X_fit_``; the sum is added to the logits.
    %(table_columns)s

    See Also
    --------
    ResidualHead : Linear in the embedding of one backbone.

    Notes
    -----
    The held-out correction of a row is that of a fit without it, in closed form. Without the row,
    the others of its class would count for more, so that the class has the same weight: the
    held-out prediction of the indicator of its class is added, times the weight of the row over
    that of these others. With few rows and prompts that know the classes, held-out rows are then
    classified better than new ones.

    References
    ----------
    .. [1] Bendou et al., "ProKeR: A Kernel Perspective on Few-Shot Adaptation of Large
       Vision-Language Models", CVPR 2025, for one backbone.
    .. [2] Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, equation 5.8.
    .. [3] Williams and Seeger, "Using the Nyström Method to Speed Up Kernel Machines", 2001.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens.heads import KernelHead
    >>> X, y = load_iris(return_X_y=True)
    >>> KernelHead().fit(X - X.mean(axis=0), y).dual_coef_.shape
    (150, 3)
    """

    _in_closed_form = True
    _minds_offsets = True
    _seen = ()  # see `see_blocks`
    _pairs = None  # the blocks in `fit`
    _parameter_constraints: dict = {
        "blocks": [None, InOrder()],
        "betas": [InOrder()],
        "alphas": [InOrder()],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        **PROMPT_CONSTRAINTS,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        blocks=None,
        *,
        betas=(2.0,),
        alphas=(0.3,),
        n_components=1000,
        templates=None,
        class_names=None,
        cache=None,
        random_state=None,
    ):
        self.blocks = blocks
        self.betas = betas
        self.alphas = alphas
        self.n_components = n_components
        self.templates = templates
        self.class_names = class_names
        self.cache = cache
        self.random_state = random_state

    @property
    def _starts_from_prompts(self):
        return bool(getattr(self, "text_heads_", ()))  # only fit knows whether blocks have texts

    def _check_rows(self, X, y, **given):
        X, y = check_table(self, X, y, **given)
        names, places = getattr(self, "feature_names_in_", None), np.arange(X.shape[1])
        classes, targets = np.unique(y, return_inverse=True)
        self._fit_text_heads(classes, len(places))
        if self.text_heads_:
            heads, columns = zip(*self.text_heads_, strict=True)
            rows = [unit_rows(X[:, of_head]) for of_head in columns]
            warn_of_unfitting_texts(heads, rows, targets, names, columns)
        self._seen = ()
        if is_standalone():  # an ensemble checks its table itself
            self._seen = self._see(X)
            blocks, name = self._blocks(len(places)), type(self).__name__
            read = [ReadAsScaled(places[of_block], name, centred=False) for _, of_block in blocks]
            warn_of_dominant_columns(read, X, names)
        return X, targets

    def _see(self, X):
        """Return statistics of the blocks that have texts; see :func:`see_blocks`."""
        places, blocks = np.arange(X.shape[1]), []
        for head, columns in self.text_heads_:
            name = Backbone(head.backbone).name
            blocks.append(Block(name, places[columns], BlockKind(name)))
        return see_blocks(blocks, X, any_scale=True)

    def _checked(self, X):
        check_is_fitted(self)
        return check_rows_as_in_fit(self, X)

    def _cross_fit(self, X, targets, weights, folds, groups):
        rows = self._rows_to_fit(targets, weights), validation_rows(targets)
        return self._fit_on(TrainingRows(X, targets, weights, groups, folds, *rows))

    def _fit_over(self, rows, columns):
        """See :mod:`skclipens.heads._from_files`."""
        to_fit = self._rows_to_fit(rows.targets, rows.weights)
        _, kept = yield PassRequest(keep=to_fit)
        self.n_features_in_ = len(columns)
        self._fit_text_heads(rows.classes, len(columns))
        X, targets, weights = kept.X, rows.targets[kept.rows], rows.weights[kept.rows]
        given = take_columns(X, columns), targets, weights, None, None
        logits, valid = self._fit_on(TrainingRows(*given, kept.positions(to_fit), kept.validation))
        return logits[kept.validation], valid[kept.validation]

    def _fit_on(self, rows):
        """Fit on `TrainingRows`; return what ``cross_fit`` does, for validation rows only."""
        n, used = len(rows.X), np.union1d(rows.to_fit, rows.validation)
        logits, valid = np.zeros((n, len(self.classes_)), rows.X.dtype), np.zeros(n, bool)
        logits[used], valid[used] = self._fit_on_used(rows.take(used))
        return logits, valid

    def _fit_on_used(self, rows):
        """Fit on `TrainingRows`, each of which is to be fitted on, a validation row, or both.

        Return the logits of the prompts, (n, C), plus the held-out correction if a row is held out;
        and which rows can validate the head, (n,).
        """
        features, n = self._features(rows.X), len(rows.X)
        groups = np.arange(n) if rows.groups is None else codes_of(rows.groups)
        rows = rows._replace(X=features, groups=groups)
        base = self._fit_base(features, rows.targets, rows.weights)
        can_hold_out = can_be_held_out(rows.targets, groups, rows.weights)
        fit, landmarks = self._fit_regression(
            take_rows(features, rows.to_fit),
            *(some_of(one, rows.to_fit) for one in (rows.targets, base, rows.weights)),
            may_choose=covers_most(rows.targets[can_hold_out], len(self.classes_)),
        )
        self.X_fit_ = features[rows.to_fit[landmarks]]
        if rows.folds is None:
            held_out, valid, validation = self._leave_out(fit, rows)
        else:
            held_out, valid, validation = np.zeros_like(base), np.zeros(n, bool), rows.validation
            for train, test in rows.folds:
                coef = fit.without(np.flatnonzero(~np.isin(rows.to_fit, train)))
                held_out[test], valid[test] = self._residuals(features[test], coef), True
        used = validation[valid[validation]]
        scale, used = correction_temperature(held_out[used], used, base, rows.targets, rows.weights)
        base[used] += held_out[used] / features.dtype.type(scale)
        self.dual_coef_ = (fit.coef / scale).astype(features.dtype)
        valid = np.zeros(n, bool)
        valid[validation if self.text_heads_ else used] = True
        return base, valid

    def _leave_out(self, fit, rows):
        """Return held-out predictions, the rows that have one, and the validation rows."""
        features, targets, weights, groups, _, fitted, validation = rows
        rest = np.setdiff1d(validation, fitted)
        is_seen = np.isin(groups[rest], groups[fitted])  # fitted on some of the row's group
        validation, rest = np.setdiff1d(validation, rest[is_seen]), rest[~is_seen]
        held_out = np.zeros((len(features), len(self.classes_)), features.dtype)
        places = np.flatnonzero(np.isin(fitted, validation))
        if len(places):
            held_out[fitted[places]] = fit.leave_out(groups[fitted], places)
        held_out[rest] = self._residuals(features[rest], fit.coef)
        valid = can_be_held_out(targets, groups, weights)
        valid[fitted] = can_be_held_out(targets[fitted], groups[fitted], some_of(weights, fitted))
        return held_out, valid, validation

    def _fit_regression(self, features, targets, base, weights, may_choose):
        """Return the fit on these rows, and the positions of its landmarks."""
        regression = Regression(features, targets, base, weights)
        self.beta_, self.alpha_ = _UNVALIDATED
        if may_choose:
            some = drawn_rows(targets, weights, _MAX_ROWS_TO_CHOOSE, self.random_state)
            self.beta_, self.alpha_ = regression.best(some, self.betas, self.alphas)
        landmarks = drawn_rows(targets, weights, self.n_components, self.random_state)
        if len(landmarks) == len(features):
            return ExactFit(regression, self.beta_, self.alpha_), landmarks
        return NystromFit(regression, landmarks, self.beta_, self.alpha_), landmarks

    def _residuals(self, rows, coef):
        return predict_residuals(rows, self.X_fit_, self.beta_, coef)

    def _blocks(self, n_features):
        """Return the blocks as pairs of a backbone and a slice or positions of columns."""
        if self._pairs is None:
            return [(None, slice(n_features))]
        return [
            # A slice copies nothing.
            (backbone, of if isinstance(of, slice) else self._block_columns(place, n_features))
            for place, (backbone, of) in enumerate(self._pairs)
        ]

    def _block_columns(self, place, n_features):
        names = getattr(self, "feature_names_in_", None)
        return positions(self._pairs[place][1], n_features, names, self._block_name(place))

    def _block_name(self, place):
        """Return the name of a block for messages."""
        backbone = self._pairs[place][0]
        return f"Block {place} of blocks" if backbone is None else f"Block {backbone!r}"

    def _check_blocks(self, n_features):
        """Set the pairs of backbones and columns; raise ValueError if they do not fit the table."""
        names = getattr(self, "feature_names_in_", None)
        self._pairs = _named_pairs(n_features, names) if self.blocks is None else self.blocks
        if self.blocks is None:
            return
        if not len(self.blocks):
            raise ValueError("blocks is empty; None takes all columns as one block without texts.")
        for pair in self.blocks:
            is_pair = isinstance(pair, (tuple, list)) and len(pair) == 2
            if not is_pair or not isinstance(pair[0], (str, NoneType)):
                raise ValueError(
                    "blocks is a list of (backbone, columns), with None as the backbone of columns "
                    f"without texts; {pair!r} is no such pair."
                )
        with_texts = []
        for place, (backbone, _) in enumerate(self.blocks):
            columns = self._block_columns(place, n_features)
            if backbone is not None:
                with_texts.append((backbone, columns))
            if backbone is not None and names is not None:
                refuse_names_of_others(Backbone(backbone), names[columns], self._block_name(place))
        refuse_shared(with_texts)

    def _fit_text_heads(self, classes, n_columns):
        check_candidates(self.betas, "betas")
        check_candidates(self.alphas, "alphas")
        self._check_blocks(n_columns)
        self.classes_ = classes
        check_at_least_two(classes)
        names = ("templates", "class_names", "cache")
        options = {name: getattr(self, name) for name in names}
        self.text_heads_ = [
            (ZeroShotHead(backbone, **options), columns)
            for backbone, columns in self._blocks(n_columns)
            if backbone is not None
        ]
        warn_of_prompts_at_once(
            head._prompts(self.classes_, self.class_names, self.templates)
            for head, _ in self.text_heads_
        )
        for head, columns in self.text_heads_:
            head._fit_classes(classes, len(np.arange(n_columns)[columns]))

    def _fit_base(self, features, targets, weights):
        """Fit the temperatures of zero-shot heads; return the calibrated mean of their logits."""
        blocks, n_texts = self._blocks(self.n_features_in_), len(self.text_heads_)
        columns = np.arange(self.n_features_in_)
        parts = side_by_side([columns[of_block].size for _, of_block in blocks])
        parts = [part for part, (backbone, _) in zip(parts, blocks) if backbone is not None]
        heads, some = [head for head, _ in self.text_heads_], sample_rows(len(features), weights)
        root = np.sqrt(len(blocks))  # by which `_features` divides the blocks
        coefs = [
            (head.text_features_ * head.logit_scale_ * root).astype(features.dtype)
            for head in heads
        ]
        of_some = [features[some, part] @ one.T for part, one in zip(parts, coefs, strict=True)]
        expected = expected_inverse(heads, of_some, some_of(weights, some))
        fit = partial(fit_temperature, targets=targets, sample_weight=weights)
        coef = np.zeros((len(self.classes_), features.shape[1]), features.dtype)
        self.temperatures_ = np.ones(n_texts)
        for i, (part, of_head) in enumerate(zip(parts, coefs, strict=True)):
            self.temperatures_[i] = fit(features[:, part] @ of_head.T, expected=expected)
            coef[:, part] = of_head / (self.temperatures_[i] * n_texts)
        mean = features @ coef.T
        temperature = fit(mean, expected=None if expected is None else 1.0)
        self.temperatures_ *= temperature
        self._text_coef = coef / coef.dtype.type(temperature)
        return mean / mean.dtype.type(temperature)

    def _features(self, X):
        """Return rows whose inner products are the mean cosines over blocks."""
        return unit_blocks(X, [columns for _, columns in self._blocks(X.shape[1])])

    def _rows_to_fit(self, targets, weights):
        """Return positions of the rows to fit on: fewer if classes ask for more components."""
        n_components = max(self.n_components, targets.max() + 1)
        most = ROWS_PER_COMPONENT * self.n_components**2 // n_components
        return drawn_rows(targets, weights, most, self.random_state)

    def _logits_of(self, X):
        # In the dtype of fit, which reads columns far from zero in float64.
        dtype = np.promote_types(X.dtype, self.X_fit_.dtype)
        rows = self._features(X.astype(dtype, copy=False))
        added = self._residuals(rows, self.dual_coef_)
        return rows @ self._text_coef.T + added if self.text_heads_ else added


def _named_pairs(n_features, names):
    """Return the blocks of a table that an embedder has named, or None if there are none."""
    blocks = find_blocks(None, n_features, names)
    if not any(block.backbone for block in blocks):
        return None
    return [(block.backbone if block.has_text else None, block.columns) for block in blocks]

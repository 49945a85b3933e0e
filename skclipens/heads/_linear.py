"""Linear discriminant analysis with a shrunk covariance, also for few rows."""

from copy import deepcopy
from functools import cached_property, partial

import numpy as np
from sklearn.exceptions import NotFittedError

from .._utils._docstrings import fill_doc
from .._utils._labels import check_at_least_two, refuse_unlabeled
from .._utils._sklearn import check_first_partial_fit, fit_context
from .._utils._validation import check_table
from .._utils._warnings import warn
from .._utils._weights_and_groups import check_weights
from ..embedding._parts import PartedTable
from ..embedding._unreadable import warn_of_unreadable
from ._base_discriminant import BaseDiscriminantHead
from ._discriminant import Rescaling
from ._from_files import PassRequest, RowsOfFiles, SumsOver
from ._shrinkage import DEFAULT_SHRINKAGE
from ._sums import SummedDiscriminant, Sums


@fill_doc
class LinearDiscriminantHead(BaseDiscriminantHead):
    r"""Classify by linear discriminant analysis with a heavily shrunk covariance.

    Classes are modelled as Gaussians with means :math:`\mu_c`, priors :math:`\pi_c` and one
    covariance :math:`\Sigma = S + \lambda v I`, where S is the covariance within classes and v the
    mean variance of a column. The logit of a class is
    :math:`\mu_c^T \Sigma^{-1} x - \frac12 \mu_c^T \Sigma^{-1} \mu_c + \log \pi_c`, plus a
    correction if classes have unequal numbers of rows, see Notes. On CLIP features this is a
    strong few-shot baseline [1]_. It is in closed form, in time linear in the larger of the numbers
    of rows and columns. Rows may come in parts: see :meth:`partial_fit`, and :meth:`fit_from` for
    the files of ``embed_to``.

    Parameters
    ----------
    shrinkage : float or "auto", default="auto"
        :math:`\lambda`. Unlike ``LinearDiscriminantAnalysis(shrinkage=...)`` of scikit-learn, it is
        relative to the total variance. With one row per class S is zero, and any number gives the
        nearest neighbour.
    cv : int, splitter or list of (train, test), default=None
        Cross-validation for ``shrinkage="auto"``: leave-one-out (None), at most this number of
        stratified folds, or the given folds.
    rescale : list of columns, default=None
        Blocks of columns, by positions, names or slices, that are not embeddings, such as numbers.
        Each is multiplied so that its total variance is 1, about that of an embedding of unit
        length. If there are also columns outside these blocks, ``shrinkage="auto"`` may choose 10
        or 100 instead. An ensemble sets it to its blocks that are not embeddings. None: no columns
        are rescaled.

    Attributes
    ----------
    %(classes)s
    shrinkage_ : float
        The given or chosen shrinkage.
    block_variance_ : float
        Total variance to which each block of ``rescale`` was scaled. Missing after ``partial_fit``.
    coef_ : ndarray of shape (C, n_features)
        Coefficients: logits are ``X @ coef_.T + intercept_``. Two rows for two classes.
    intercept_ : ndarray of shape (C,)
        Intercepts.
    %(table_columns)s

    See Also
    --------
    LinearProbeHead : Logistic regression.

    Notes
    -----
    ``shrinkage="auto"`` takes the shrinkage with the smallest log-loss of held-out training rows,
    calibrated by one temperature. 1 is tried first, then 3, 10 and 30 as long as the loss falls. If
    3 is not better than 1 and there are more rows than columns, or with fewer than 32 columns five
    different rows for each, then 0.3, 0.1, 0.03 and 0.01 are tried, as long as the loss falls. With
    ``rescale`` and other columns, this is done for the variances 1, 10 and 100. Of all settings
    whose log-loss is within a thousandth of the smallest, the one that was tried first is taken.

    By default each row is classified by the discriminant of all other rows; rows of a group are
    left out in five folds. The formula of Sherman and Morrison gives all these discriminants from
    one eigendecomposition of the scatter within classes; priors, and the ridge that v adds to this
    scatter, stay those of all rows. A row is farther from the mean of the m - 1 others of its class
    than a new row is from the mean of all m, so its distance is divided by the expected ratio. Of
    more than 5,000 rows, a stratified sample of 5,000 is held out, and 2,000 of these choose the
    shrinkage.

    The only row of a class cannot be held out. If the rows of at least half of the classes cannot
    be held out, nothing is searched: shrinkage and variance are 1. If at least half of the classes
    have a single row, S is unknown, and with ``shrinkage="auto"`` the head is a logistic regression
    on the means of the classes (C = 10, for means whose mean squared distance from their own mean
    is 1), with equal priors.

    A mean of n rows has noise, which adds :math:`\mathrm{tr}(\Sigma^{-1} S) / n` to its expected
    squared distance from any row, times N / (N - C), as S is too small by this factor if N rows are
    of C classes. This lowers the logit of a class by half of that term, so classes
    with few rows would be predicted too seldom. Half of the loss is added again
    (``benchmarks/uneven.py``). If all classes have the same number of rows, nothing is added.

    References
    ----------
    .. [1] Wang et al., "A Hard-to-Beat Baseline for Training-free CLIP-Based Adaptation",
       ICLR 2024, section 3.1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens.heads import LinearDiscriminantHead
    >>> X, y = load_iris(return_X_y=True)
    >>> LinearDiscriminantHead().fit(X, y).coef_.shape
    (3, 4)
    """

    _in_closed_form = True
    __metadata_request__partial_fit = {"classes": True, "sample_weight": True}

    def __init__(self, *, shrinkage="auto", cv=None, rescale=None):
        self.shrinkage = shrinkage
        self.cv = cv
        self.rescale = rescale

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, *, sample_weight=None):
        """Fit to more rows, in addition to those of earlier calls. Only sums over rows are kept.

        The result is that of :meth:`fit` on all rows with the same ``shrinkage``, up to rounding,
        in any order and parts. ``shrinkage="auto"`` is 1 here, since earlier rows are not kept and
        cannot be held out; :meth:`fit_from` searches it.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings, or any table.
        y : array-like of shape (n,)
            Labels.
        classes : array-like of shape (C,), default=None
            All labels, also those of later calls. Needed in the first call.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows. Rows with a weight of zero are left out. Unlike in ``fit``,
            weights that sum to one are taken as they are, since other calls may add to the sum.

        Returns
        -------
        self
            The estimator, with these rows.

        Raises
        ------
        ValueError
            If a label is not among the classes, or there are fewer than two classes.

        Warns
        -----
        UserWarning
            If :meth:`fit` or :meth:`fit_from` was called before. They keep no sums, so their rows
            are forgotten.
        """
        if classes is not None:
            refuse_unlabeled(classes, name="classes")
        sums = vars(self).get("_sums")
        if sums is None and "coef_" in vars(self):
            self._forget(classes)
        check_first_partial_fit(self, classes)
        check_at_least_two(self.classes_)
        given = {"sample_weight": sample_weight, "classes": self.classes_}
        X, y = check_table(self, X, y, reset=sums is None, **given)
        rescaled = self._rescaling().blocks  # raises if columns do not exist
        weights = check_weights(sample_weight, len(X), X.dtype, all_may_be_zero=True)
        targets = self._positions_of(y)
        # On a copy, so that an interrupted call leaves the earlier sums unchanged.
        self._sums = deepcopy(sums) if sums else self._empty_sums(len(self.classes_), X.shape[1])
        self._sums.add(X, targets, weights)
        self._rescaled = rescaled
        self.shrinkage_ = DEFAULT_SHRINKAGE if self.shrinkage == "auto" else self.shrinkage
        self._drop("coef_", "intercept_", "block_variance_")
        return self

    def _forget(self, classes):
        warn(
            "This head was fitted by fit or fit_from, which keep no sums to which rows could be "
            "added: partial_fit starts anew. A clone of the head does so without this warning.",
            UserWarning,
        )
        self._drop("coef_", "intercept_", "_table_settings")
        if classes is not None:
            del self.classes_

    def _drop(self, *names):
        for name in names:
            vars(self).pop(name, None)

    @fit_context(prefer_skip_nested_validation=True)
    def fit_from(self, folder, y, *, backbones=None, sample_weight=None, verbose=False):
        """Fit over a table that ``embed_to`` has written, in one pass and one part at a time.

        Parts are read by joblib tasks, whose sums are added: by default in turn in this process,
        and in a :func:`joblib.parallel_config` context in several. On a Dask cluster, if a worker
        dies, another does its task. The result is that of :meth:`fit` on all rows, up to rounding.
        For ``shrinkage="auto"``, at most 5,000 rows that choose it are kept. Copies of a row are
        not detected and validate each other, so the result differs if there are any.

        Parameters
        ----------
        folder : str or os.PathLike
            Folder or fsspec URL.
        y : array-like of shape (n,)
            Labels, in the order of the images.
        backbones : None, str or list of str, default=None
            Backbones to fit on; see :func:`skclipens.embedding.read_embeddings`. None: all.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows. Rows with a weight of zero are left out.
        verbose : bool or int, default=False
            Whether to show a progress bar.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        FileNotFoundError
            If the folder holds no embeddings.
        ValueError
            If the number of labels is not that of the rows, there are fewer than two classes, a
            part is missing or damaged, or ``shrinkage="auto"`` and ``cv`` is given, which needs all
            rows.

        Warns
        -----
        UserWarning
            If rows are left out since their images could not be read, the mean of the weights is
            far from 1, or rows are of the same file.

        See Also
        --------
        skclipens.embedding.predict_embeddings : Classify the rows of such a table.
        """
        table = PartedTable(folder, backbones)
        chooses = self.shrinkage == "auto"
        if chooses and self.cv is not None:
            raise ValueError("cv needs all rows in memory: leave it None, or give a shrinkage.")
        rows = RowsOfFiles(table, y, sample_weight)
        self.n_features_in_ = len(table.columns)
        self.feature_names_in_ = np.array(table.columns, dtype=object)
        sums = SumsOver(self._empty_sums(len(rows.classes), self.n_features_in_), slice(None))
        validation = rows.validation if chooses else []
        (sums,), kept = rows.read(self, [sums], validation, verbose=verbose)
        warn_of_unreadable(rows.unreadable, "are left out", None, labels=rows.classes[rows.targets])
        self._fit_sums(sums, rows, kept.rows, kept.X)
        self._table_settings = table.settings
        return self

    def _fit_over(self, rows, columns):
        """See :mod:`skclipens.heads._from_files`."""
        sums = SumsOver(self._empty_sums(len(rows.classes), len(columns)), columns)
        (sums,), kept = yield PassRequest([sums])
        self.n_features_in_, validation = len(columns), kept.rows[kept.validation]
        X = kept.X[np.ix_(kept.validation, columns)]
        held_out, found = self._fit_sums(sums, rows, validation, X)
        valid = np.isin(validation, held_out.rows)
        logits = np.zeros((len(validation), len(self.classes_)), found.dtype)
        logits[valid] = found
        return logits, valid & (not self._is_logistic_regression(held_out.discriminant))

    def _fit_sums(self, sums, rows, validation, X):
        """Fit on the sums over rows; return HeldOutDiscriminants and their logits."""
        self.classes_ = rows.classes
        make = partial(SummedDiscriminant, sums, rows.targets, rows.weights, validation, X)
        held_out, logits = self._choose(make, None, rows.targets, rows.weights)
        self._solve(held_out.discriminant, np.float32)
        return held_out, logits

    def _positions_of(self, y):
        targets = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        unknown = self.classes_[targets] != y
        if unknown.any():
            row = int(np.argmax(unknown))
            label, n_classes = y[row:].tolist()[0], len(self.classes_)
            raise ValueError(
                f"Label {label!r} of y, in row {row}, is none of the {n_classes} classes of the "
                "first call. Name all classes in it."
            )
        return targets

    @cached_property
    def coef_(self):
        """Coefficients, set by ``fit`` or from the sums of ``partial_fit``."""
        return self._solve_sums()[0]

    @cached_property
    def intercept_(self):
        """Intercepts, set by ``fit`` or from the sums of ``partial_fit``."""
        return self._solve_sums()[1]

    def _solve_sums(self):
        if "_sums" not in vars(self):
            raise AttributeError(f"{type(self).__name__} is not fitted: it has no coef_.")
        if not self._sums.counts.any():
            raise NotFittedError("partial_fit has seen no row with a weight yet.")
        discriminant = SummedDiscriminant(self._sums, rescaling=Rescaling(self._rescaled))
        solved = discriminant.linear(discriminant.ridge(self.shrinkage_))
        self.coef_, self.intercept_ = (one.astype(self._sums.dtype_of_coef) for one in solved)
        return self.coef_, self.intercept_

    def _solve(self, discriminant, dtype):
        self.coef_, self.intercept_ = (
            one.astype(dtype) for one in self._coefficients(discriminant)
        )
        self.block_variance_ = discriminant.rescaling.variance
        self._drop("_sums", "_rescaled", "_table_settings")

    def _fit(self, X, targets, weights, folds, groups):
        if self.shrinkage == "auto":
            self._cross_fit(X, targets, weights, folds, groups)
        else:
            self.shrinkage_ = self.shrinkage
            discriminant = self._maker(X, targets, weights)(rescaling=self._rescaling())
            self._solve(discriminant, X.dtype)

    def _cross_fit(self, X, targets, weights, folds, groups):
        folds = self._folds(X, targets, folds, groups)
        held_out, logits = self._choose(self._maker(X, targets, weights), folds, targets, weights)
        self._solve(held_out.discriminant, X.dtype)
        logits, valid = held_out.for_all_rows(logits.astype(X.dtype, copy=False))
        return logits, valid & (not self._is_logistic_regression(held_out.discriminant))

    def _empty_sums(self, n_classes, n_features):
        return Sums(n_classes, n_features, exact=self._is_exact)

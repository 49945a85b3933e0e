"""Fitting an ensemble over the files of ``embed_to``: heads by sums, the rest on kept rows."""

from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from .._utils._linalg import one_blas_thread, unit_rows
from .._utils._metadata import rows_of
from .._utils._sklearn import fit_context
from .._utils._validation import column_of_labels, few_rows_per_class
from .._utils._values import warn_of_texts
from .._utils._warnings import each_warning_once
from ..embedding._gaps import warn_of_gaps
from ..embedding._parts import PartedTable
from ..heads import KernelHead, LinearDiscriminantHead, ResidualHead, ZeroShotHead
from ..heads._cross_fit import own_folds
from ..heads._from_files import RowsOfFiles, SumsOver
from ..heads._ridge import ResidualSums, held_out
from ..heads._sums import Sums
from ._held_out import HeldOut
from ._suspect_rows import warn_of_weights


class FitFrom:
    """An ensemble with ``_plan``, ``_check_metadata`` and ``_combine``."""

    @fit_context(prefer_skip_nested_validation=False)
    @each_warning_once()
    def fit_from(self, folder, y, *, backbones=None, sample_weight=None):
        """Fit over a table that ``embed_to`` has written, a part at a time.

        Linear and residual heads are fitted by sums over the rows, which parts add up to: two
        passes, or one without residual heads. Kernel heads, temperatures and router learn from some
        rows, which are kept: those that judge, 10,000 at most, and those that a kernel head draws.
        The result is that of :meth:`fit` on all rows, up to rounding, where all images can be read
        and no row is a copy of another: copies are not looked for. ``memory`` keeps nothing of it.

        Parts are read by tasks of joblib, see :meth:`LinearDiscriminantHead.fit_from`.

        Parameters
        ----------
        folder : str or os.PathLike
            Folder or fsspec URL.
        y : array-like of shape (n,)
            Labels, in the order of the images.
        backbones : None, str or list of str, default=None
            Whose columns to fit on, see :func:`skclipens.embedding.read_embeddings`. None: all.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows. Rows with a weight of zero are left out.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        FileNotFoundError
            If the folder holds no embeddings.
        ValueError
            If a head, ``cv`` or ``unlabeled`` needs all rows in memory, there is not one label for
            each row, labels are indexed by the names of the images in another order, there are
            fewer than two classes, or a part is missing or damaged.

        Warns
        -----
        UserWarning
            If rows are left out since their images could not be read, and where :meth:`fit` warns.

        See Also
        --------
        skclipens.embedding.predict_embeddings : Classify the rows of such a table.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
        >>> from skclipens.datasets import load_emoji
        >>> from skclipens.embedding import predict_embeddings
        >>> emoji = load_emoji(min_class_size=60)
        >>> y = emoji.target_names[emoji.target]
        >>> embedder = MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-16"])
        >>> with TemporaryDirectory() as folder:
        ...     parts = embedder.embed_to(folder, emoji.filenames)
        ...     clf = AdaptiveBackboneEnsemble(random_state=0).fit_from(folder, y)
        ...     found = predict_embeddings(clf, folder)
        >>> found.shape == (len(y), 2)
        True
        """
        self._refuse_what_needs_all_rows()
        table = PartedTable(folder, backbones)
        warn_of_texts(column_of_labels(y))
        rows = RowsOfFiles(table, y, sample_weight, ignore_unlabeled=self.unlabeled == "ignore")
        labels, weights = rows.classes[rows.targets], rows.sample_weight
        metadata = self._check_metadata(np.empty((len(labels), 0)), labels, weights, None)
        warn_of_weights(metadata["sample_weight"])
        if metadata["sample_weight"] is not None:
            rows.weigh(metadata["sample_weight"])
        names = np.array(table.columns, dtype=object)
        self.n_features_in_, self.feature_names_in_ = len(names), names
        experts, self.classes_, router = self._plan(
            len(names), names, labels[rows.weights > 0], metadata
        )
        self.unlabeled_, fits = None, [_fit_of(expert, rows) for expert in experts]
        with one_blas_thread():
            kept = _read(self, rows, fits)
            warn_of_gaps(rows.gaps, "are left out", None, labels=labels)
            y, metadata = rows.classes[rows.targets[kept.rows]], rows_of(metadata, kept.rows)
            self._doubt(experts, router, kept.X, y)
            with few_rows_per_class():
                fitted, held_out = _fit_and_judge(self, fits, rows, kept)
            if self._takes_experts_as_they_are(router):
                held_out = None
            self._combine(fitted, held_out, router, kept.X, y, metadata)
        self._table_settings = table.settings
        return self

    def _refuse_what_needs_all_rows(self):
        if not isinstance(self.cv, Integral):
            raise ValueError("cv needs all rows in memory, unless it is an int.")
        if self.unlabeled == "use":
            raise ValueError(
                "unlabeled='use' needs all rows in memory; unlabeled='ignore' leaves out rows "
                "without a label."
            )


class _Kept(NamedTuple):
    """Rows whose values are kept.

    Attributes
    ----------
    rows : ndarray of shape (n_kept,), int
        Their positions among all rows.
    X : ndarray of shape (n_kept, n_features)
    judges : ndarray of int
        Positions, among those that are kept, of the rows that judge.
    """

    rows: np.ndarray
    X: np.ndarray
    judges: np.ndarray

    def places(self, rows):
        """Positions among those that are kept, of those rows that are."""
        return np.flatnonzero(np.isin(self.rows, rows))


def _read(ensemble, rows, fits):
    """The rows to keep, in the pass in which the first sums are made."""
    judges = rows.judges
    keep = np.unique(np.concatenate([judges, *(fit.keep for fit in fits)]))
    wanted = [one for fit in fits for one in fit.first()]
    sums, kept, X = rows.read(ensemble, wanted, keep, ensemble.verbose)
    sums = iter(sums)
    for fit in fits:
        fit.take([next(sums) for _ in fit.first()])
    return _Kept(keep[kept], X, np.flatnonzero(np.isin(keep[kept], judges)))


def _fit_and_judge(ensemble, fits, rows, kept):
    """Fitted experts, and what they say of the rows that judge."""
    wanted = [fit.second(kept) for fit in fits]
    if any(wanted):
        flat = [one for of_fit in wanted for one in of_fit]
        sums = iter(rows.read(ensemble, flat, verbose=ensemble.verbose)[0])
        for fit, of_fit in zip(fits, wanted, strict=True):
            fit.take([next(sums) for _ in of_fit])
    experts, logits, known = zip(*(fit.fit(kept, ensemble.classes_) for fit in fits))
    return list(experts), HeldOut(kept.judges, np.stack(logits, 1), np.stack(known, 1))


class _Fit:
    """How a head is fitted that learns nothing from rows."""

    keep = np.empty(0, int)  # positions of rows that it has to see

    def __init__(self, expert, rows):
        self.expert, self.rows = expert, rows
        self.sums = []

    def first(self):
        """Sums for which nothing needs to be known."""
        return []

    def second(self, kept):
        """Sums for which it needs the rows that are kept."""
        return []

    def take(self, sums):
        self.sums += sums

    def fit(self, kept, classes):
        """The fitted expert, its logits of the judges, and which of them can judge it."""
        fitted = self.expert.fit(*self._a_row_of_each_class(), {})
        X = kept.X[kept.judges]
        known = np.isin(self._labels(kept.rows[kept.judges]), fitted.head.classes_)
        return fitted, fitted.logits(X, classes), known

    def _a_row_of_each_class(self):
        # Prompts learn nothing from rows.
        classes, n_columns = self.rows.classes, self.expert.block.columns.max() + 1
        return np.zeros((len(classes), n_columns), np.float32), classes

    def _labels(self, rows):
        return self.rows.classes[self.rows.targets[rows]]


class _LinearFit(_Fit):
    def __init__(self, expert, rows):
        super().__init__(expert, rows)
        if expert.head.cv is not None:
            raise ValueError(f"The cv of {expert.name!r} needs all rows in memory: leave it None.")

    def first(self):
        columns = self.expert.block.columns
        return [SumsOver(Sums(len(self.rows.classes), len(columns)), columns)]

    def fit(self, kept, classes):
        head, columns = clone(self.expert.head), self.expert.block.columns
        head.n_features_in_, judges = len(columns), kept.rows[kept.judges]
        (sums,) = self.sums
        X = kept.X[np.ix_(kept.judges, columns)]
        held_out, of_known = head._fit_sums(sums, self.rows, judges, X)
        fitted, known = self.expert._replace(head=head), np.isin(judges, held_out.rows)
        logits = np.zeros((len(judges), len(classes)), of_known.dtype)
        logits[known] = fitted.for_classes(of_known, classes)
        return fitted, logits, known


class _ResidualFit(_Fit):
    def second(self, kept):
        head = clone(self.expert.head)
        X, y = self._a_row_of_each_class()
        head._fit_text(self.expert.columns_of(X), y)
        self._head, self._features = head, unit_rows(self.expert.columns_of(kept.X))
        targets, weights = self._of_rows(kept)
        text = head._calibrated_text(self._features, targets, weights, kept.judges)
        self._text = text
        self._centre = self._features.mean(axis=0)
        rows = self.rows
        heard = np.flatnonzero(rows.weights)
        self._folds = [
            (np.setdiff1d(np.arange(len(heard)), train), heard[test])
            for train, test in own_folds(rows.targets[heard])
        ]
        rows.folds[:] = len(self._folds)  # rows that no fold holds out
        for fold, (rest, _) in enumerate(self._folds):
            rows.folds[heard[rest]] = fold
        sums = ResidualSums(head._prompt_coef().astype(np.float32), self._centre)
        columns = self.expert.block.columns
        return [SumsOver(sums, columns, fold) for fold in range(len(self._folds) + 1)]

    def _of_rows(self, kept):
        return self.rows.targets[kept.rows], self.rows.weights[kept.rows]

    def fit(self, kept, classes):
        head, of_folds = self._head, [one.sums for one in self.sums]
        *of_folds, total = of_folds
        for one in of_folds:
            total.merge(one)
        tests = (kept.places(test) for _, test in self._folds)
        parts, rows = zip(of_folds, tests, strict=True), self._features - self._centre
        said, places = held_out(total, parts, rows, kept.judges, head.alpha)
        coef, intercept = total.solve(head.alpha)
        intercept -= self._centre @ coef
        coef, intercept = (one.astype(np.float32) for one in (coef.T, intercept))
        head._correct(self._text, coef, intercept, said, places, *self._of_rows(kept))
        fitted = self.expert._replace(head=head)
        logits = fitted.for_classes(self._text[kept.judges], classes)
        return fitted, logits, np.ones(len(logits), bool)


class _KernelFit(_Fit):
    def __init__(self, expert, rows):
        super().__init__(expert, rows)
        self._head = clone(expert.head)
        self.keep = self._head._drawn(rows.targets, rows.weights, self._head.max_rows)

    def fit(self, kept, classes):
        head, (X, y) = self._head, self._a_row_of_each_class()
        head.n_features_in_ = len(self.expert.block.columns)
        head._fit_text_heads(self.expert.columns_of(X), y)
        heard = np.union1d(kept.places(self.keep), kept.judges)
        support, judges = (
            np.searchsorted(heard, places) for places in (kept.places(self.keep), kept.judges)
        )
        X, of_rows = self.expert.columns_of(kept.X[heard]), kept.rows[heard]
        targets, weights = self.rows.targets[of_rows], self.rows.weights[of_rows]
        logits, known = head._fit_on(X, targets, weights, None, None, support, judges)
        fitted = self.expert._replace(head=head)
        return fitted, fitted.for_classes(logits[judges], classes), known[judges]


_FITS = {
    ZeroShotHead: _Fit,
    FrozenEstimator: _Fit,
    LinearDiscriminantHead: _LinearFit,
    ResidualHead: _ResidualFit,
    KernelHead: _KernelFit,
}


def _fit_of(expert, rows):
    kind = next((fit for head, fit in _FITS.items() if isinstance(expert.head, head)), None)
    if kind is None:
        raise ValueError(
            f"{type(expert.head).__name__}, the head of {expert.name!r}, needs all rows in memory. "
            f"Over files, heads are {', '.join(one.__name__ for one in _FITS)}."
        )
    return kind(expert, rows)

"""What every ensemble shares: blocks, experts, logits that no head has trained on, calibration."""

import warnings
from numbers import Integral, Real

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from .._validation import check_labels, few_rows_per_class
from ._calibration import fit_temperature
from ._experts import cross_judge, find_blocks, judge, make_experts, stack_logits

_NOT_PREFIT = (
    "cv='prefit' takes (name, fitted classifier, columns) triples as head, but the %(name)s of "
    "expert {!r} is not fitted."
)


class BaseBackboneEnsemble(ClassifierMixin, BaseEstimator):
    """An ensemble of experts whose logits are combined.

    A subclass says how: ``_fit_combination(X, logits, y)`` learns from logits of the experts in
    ``judged_`` that no head has trained on, and ``_combine(X, logits)`` gives logits of shape
    (n, C) from those of all experts.
    """

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y):
        """Fit the heads, and how to combine them.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings, or any table.
        y : array-like of shape (n,)
            Labels.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the blocks do not fit X, a class has no name for its prompt, or ``cv`` leaves a
            part without rows.
        """
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
        check_labels(y)
        # Many small fits: threads within each cost more than they bring; n_jobs is for more cores.
        with threadpool_limits(limits=1, user_api="blas"):
            return self._fit(X, y)

    def _fit(self, X, y):
        experts = self._make_experts()
        self.classes_ = self._find_classes(experts, y)
        self.experts_, self.judged_, rows, logits = self._fit_experts(experts, X, y)
        self.expert_names_ = np.array([expert.name for expert in self.experts_], dtype=object)
        targets = np.searchsorted(self.classes_, y[rows])
        self.temperatures_ = np.ones(len(self.experts_))
        self.temperatures_[self.judged_] = self._fit_temperatures(logits, targets)
        logits = logits / self.temperatures_[self.judged_, None]
        self._fit_combination(X[rows], logits, targets)
        return self

    def _make_experts(self):
        table = self.n_features_in_, getattr(self, "feature_names_in_", None)
        blocks = find_blocks(self.blocks, *table)
        return make_experts(
            self.head, blocks, *table, class_names=self.class_names, templates=self.templates
        )

    def _find_classes(self, experts, y):
        if self.cv == "prefit":
            for expert in experts:
                check_is_fitted(expert.head, msg=_NOT_PREFIT.format(expert.name))
            labels = [y, *(expert.head.classes_ for expert in experts)]
            if len({one.dtype.kind in "OUT" for one in labels}) > 1:
                raise ValueError("y and the fitted heads must have labels of the same type.")
            y = np.concatenate(labels[1:])
        classes = np.unique(y)
        if len(classes) < 2:
            (only,) = classes.tolist()
            raise ValueError(f"At least two classes are needed; got 1 class, {only!r}.")
        return classes

    def _fit_experts(self, experts, X, y):
        """Fitted experts, which of them rows can judge, these rows, and the judged's logits."""
        rows = np.arange(len(y))
        judged = np.ones(len(experts), bool)
        learn = any(expert.learns for expert in experts)
        if self.cv == "prefit":
            logits, known = judge(experts, X, y, self.classes_)
        elif learn and isinstance(self.cv, Real) and not isinstance(self.cv, Integral):
            train, rows = self._split_once(y)
            experts = [
                expert.fit(X[train], y[train]) if expert.learns else expert.fit(X, y)
                for expert in experts
            ]
            logits, known = judge(experts, X[rows], y[rows], self.classes_)
        else:
            folds = self._folds(X, y) if learn else []
            if 2 * len(_judgeable_classes(y, folds)) <= len(self.classes_):
                # Too few rows to judge heads that learn, unless there are no others.
                frozen = np.array([not expert.learns for expert in experts])
                judged = frozen if frozen.any() else judged
            on_trial = [expert for expert, is_judged in zip(experts, judged) if is_judged]
            logits, known = cross_judge(on_trial, X, y, self.classes_, folds, self.n_jobs)
            experts = [expert.fit(X, y) for expert in experts]
        usable = known.all(axis=1)
        return experts, judged, rows[usable], logits[usable].astype(np.float64)

    def _split_once(self, y):
        try:
            return train_test_split(
                np.arange(len(y)), test_size=self.cv, stratify=y, random_state=self.random_state
            )
        except ValueError as error:
            raise ValueError(
                f"cv={self.cv} cannot hold out rows of every class: {error} Use a larger "
                "fraction, or an integer for cross-fitting."
            ) from None

    def _folds(self, X, y):
        splitter = self.cv
        if isinstance(splitter, Integral):
            largest = np.unique(y, return_counts=True)[1].max()
            if largest < 2:
                return []
            splitter = StratifiedKFold(
                min(self.cv, largest), shuffle=True, random_state=self.random_state
            )
        with warnings.catch_warnings(), few_rows_per_class():
            # Rows whose class is in no other fold are not used to combine; see `judge`.
            warnings.filterwarnings("ignore", message="The least populated class")
            folds = list(splitter.split(X, y))
        # Most classifiers refuse to be fitted on a single class.
        return [(train, test) for train, test in folds if len(np.unique(y[train])) > 1]

    def _fit_temperatures(self, logits, targets):
        n, n_experts, _ = logits.shape
        if not self.calibrate or n == 0:
            return np.ones(n_experts)
        return np.array([fit_temperature(logits[:, e], targets) for e in range(n_experts)])

    def _calibrated_logits(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        logits = stack_logits(self.experts_, X, self.classes_)
        return X, logits / self.temperatures_[:, None].astype(logits.dtype)

    def _logits(self, X):
        return self._combine(*self._calibrated_logits(X))

    def decision_function(self, X):
        """Combined logits.

        Parameters
        ----------
        X : array-like of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n, C), or (n,) if C is 2
            For two classes the logit of the second less that of the first.
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X):
        """Softmax of the combined logits.

        Parameters
        ----------
        X : array-like of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n, C)
        """
        return softmax(self._logits(X), axis=1)

    def predict(self, X):
        """Classify rows.

        Parameters
        ----------
        X : array-like of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n,)
            Labels.
        """
        best = self._logits(X).argmax(axis=1)
        return self.classes_[best]

    def expert_proba(self, X):
        """Probabilities that each expert gives, calibrated.

        Parameters
        ----------
        X : array-like of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n, E, C)
            Experts in the order of ``expert_names_``.
        """
        return softmax(self._calibrated_logits(X)[1], axis=2)


def _judgeable_classes(y, folds):
    """Classes with a row that is held out while another row of the class is trained on."""
    return set().union(*(np.intersect1d(y[train], y[test]).tolist() for train, test in folds))

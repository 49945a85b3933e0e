"""What every ensemble shares: blocks, experts, logits that no head has trained on, calibration."""

from copy import copy
from numbers import Integral

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions
from sklearn.utils.validation import check_is_fitted, check_memory, validate_data

from .._utils._linalg import one_blas_thread
from .._utils._validation import check_labels
from ..heads import ZeroShotHead
from ..heads._classifier import LogitClassifierMixin
from ..heads._temperature import fit_temperature, fixed_temperature
from ._blocks import find_blocks
from ._experts import make_experts
from ._held_out import fit_experts, stack_logits

_NOT_PREFIT = (
    "cv='prefit' takes (name, fitted classifier, columns) triples as head, but the %(name)s of "
    "expert {!r} is not fitted."
)


class BaseBackboneEnsemble(LogitClassifierMixin, BaseEstimator):
    """An ensemble of experts whose logits are combined.

    A subclass says how: ``_fit_combination(X, logits, y)`` learns from logits, shape (n, E, C),
    that no head has trained on (n can be 0: where one row per class is all there is), and
    ``_combine(X, logits)`` gives logits of shape (n, C). Both see only experts in ``judged_``.
    """

    _parameter_constraints: dict = {
        "blocks": [None, str, "array-like"],
        "head": [str, HasMethods(["fit", "predict"]), list, tuple],
        "cv": [
            Interval(Integral, 2, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            HasMethods(["split", "get_n_splits"]),
            StrOptions({"prefit"}),
        ],
        "calibrate": ["boolean"],
        "class_names": [None, dict, "array-like"],
        "templates": [None, "array-like"],
        "memory": [None, str, HasMethods(["cache"])],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        blocks=None,
        *,
        head="auto",
        cv=5,
        calibrate=True,
        class_names=None,
        templates=None,
        memory=None,
        n_jobs=None,
        random_state=None,
    ):
        self.blocks = blocks
        self.head = head
        self.cv = cv
        self.calibrate = calibrate
        self.class_names = class_names
        self.templates = templates
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state

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
        with one_blas_thread():
            return self._fit(X, y)

    def _fit(self, X, y):
        experts = self._make_experts()
        self.classes_ = self._find_classes(experts, y)
        fit_once = check_memory(self.memory).cache(fit_experts, ignore=["n_jobs"])
        self.experts_, self.judged_, rows, logits = fit_once(
            experts, X, y, self.classes_, self.cv, self.random_state, self.n_jobs
        )
        self.expert_names_ = np.array([expert.name for expert in self.experts_], dtype=object)
        targets = np.searchsorted(self.classes_, y[rows])
        self.temperatures_ = self._fit_temperatures(X, logits, targets)
        self._fit_combination(X[rows], logits / self.temperatures_[self.judged_, None], targets)
        return self

    def _make_experts(self):
        table = self.n_features_in_, getattr(self, "feature_names_in_", None)
        blocks = find_blocks(self.blocks, *table)
        return make_experts(
            self.head,
            blocks,
            *table,
            class_names=self.class_names,
            templates=self.templates,
            random_state=self.random_state,
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

    def _fit_temperatures(self, X, logits, targets):
        temperatures = np.ones(len(self.experts_))
        judged = np.flatnonzero(self.judged_) if len(targets) else []
        if self.calibrate:
            for position, e in enumerate(judged):
                temperatures[e] = fit_temperature(logits[:, position], targets)
        for e in np.setdiff1d(np.arange(len(self.experts_)), judged):
            temperatures[e] = fixed_temperature(self.experts_[e].logits(X, self.classes_))
        return temperatures

    def _fit_combination(self, X, logits, y):
        """Learn nothing."""

    def _expert_logits(self, X):
        """Logits of the experts for a checked table, (n, E, C)."""
        logits = stack_logits(self.experts_, X, self.classes_)
        return logits / self.temperatures_[:, None].astype(logits.dtype)

    def _logits_of(self, X):
        logits = self._expert_logits(X)
        combined = self._combine(X, logits[:, self.judged_])
        if not self.judged_.all():
            combined = combined + logits[:, ~self.judged_].mean(axis=1)
        return combined

    def set_classes(self, classes, *, class_names=None, templates=None):
        """Take other classes, and keep what was learned about the experts.

        Temperatures and the combination, such as a router's weights, carry over to classes that
        no row has shown, since they see only logits and columns. All heads have to be zero-shot.

        Parameters
        ----------
        classes : array-like of shape (C,)
            Labels.
        class_names : mapping or sequence of str, default=None
            As the parameter of that name, which it replaces.
        templates : sequence of str, default=None
            As the parameter of that name, which it replaces. None leaves it.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a head has learned from rows, there are fewer than two classes, or one has no name.
        """
        check_is_fitted(self)
        for name, head, _ in self.experts_:
            if not isinstance(head, ZeroShotHead):
                raise ValueError(
                    f"Expert {name!r} has learned the classes that it was fitted on; only "
                    "ensembles of zero-shot heads (head='zero-shot') can take others."
                )
        if len(np.unique(classes)) < 2:
            raise ValueError(f"At least two classes are needed; got {classes!r}.")
        heads = [copy(head) for _, head, _ in self.experts_]
        for head in heads:
            if templates is not None:
                head.templates = templates
            head.set_classes(classes, class_names=class_names)
        if templates is not None:
            self.templates = templates
        self.experts_ = [e._replace(head=head) for e, head in zip(self.experts_, heads)]
        self.classes_, self.class_names = heads[0].classes_, class_names
        return self

    def expert_proba(self, X):
        """Probabilities that each expert gives, calibrated unless ``calibrate`` is false.

        Parameters
        ----------
        X : array-like of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n, E, C)
            Experts in the order of ``expert_names_``.
        """
        return softmax(self._expert_logits(self._checked(X)), axis=2)

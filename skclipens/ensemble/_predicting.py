"""Predict with fitted experts and a router."""

from copy import copy

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.base import TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._mistakes._seen_columns import warn_of_units
from .._mistakes._seen_embeddings import check_rows_as_in_fit
from .._utils._docstrings import fill_doc
from .._utils._labels import check_at_least_two
from .._utils._linalg import ROWS_TO_PREDICT, row_batches
from .._utils._sklearn import unchanged_by_failure
from .._utils._warnings import each_warning_once
from ..heads._class_names import sorted_classes
from ..heads._classifier import LogitClassifierMixin
from ..heads._text_head import warn_of_prompts_at_once
from ._doubts import warn_of_mismatch
from ._experts import stack_logits
from ._merging import merge_experts
from ._routing import Combination, calibrated
from ._support import blend_weights
from ._without_labels import start_by_names
from .routers import named_router

# Attributes that describe the rows or the images of a fit.
_OF_ROWS = ("_table_settings", "_fitted_on", "_seen_rows", "_has_seen_no_rows")


class BaseExpertClassifier(LogitClassifierMixin, TransformerMixin):
    """A classifier that combines fitted experts by a router."""

    _merged = None  # see `merge_experts`
    _support = None  # see `find_support`
    _log_weights = None  # see `Combination`
    _seen, _seen_columns, _seen_rows = (), None, None  # see `see_blocks` and the like
    _has_seen_no_rows = False  # see `start_by_names`

    def _set_fitted(
        self, experts, classes, combination, *, support=None, seen=(), seen_columns=None
    ):
        """Set the fitted attributes, and drop those of an earlier fit.

        `seen` and `seen_columns` are those of :func:`see_blocks` and :func:`see_columns`.
        """
        self.experts_, self.classes_ = experts, classes
        self.expert_names_ = np.array([expert.name for expert in experts], dtype=object)
        self.validated_, self.temperatures_, self.router_, self._log_weights = combination
        self._support, self.unlabeled_ = support, None
        self._seen, self._seen_columns = seen, seen_columns
        for name in _OF_ROWS:
            vars(self).pop(name, None)
        self._merged = merge_experts(self)

    @property
    def _combination(self):
        return Combination(self.validated_, self.temperatures_, self.router_, self._log_weights)

    def _as_held_out(self):
        """Return the ensemble of the routed experts, whose held-out logits are combined."""
        routed = self._combination.routed
        if routed.all():
            return self
        part = copy(self)
        part.experts_ = [expert for expert, used in zip(self.experts_, routed, strict=True) if used]
        part.validated_, part.temperatures_ = self.validated_[routed], self.temperatures_[routed]
        part._merged = merge_experts(part)
        return part

    def _has_weights(self):
        """Return True, or raise AttributeError if the router has no weights."""
        if not hasattr(named_router(getattr(self, "router_", self.router)), "weights"):
            raise AttributeError(f"router={self.router!r} combines experts without weights.")
        return True

    def _compares_rows(self):
        """Return True, or raise AttributeError if the ensemble treats all rows alike."""
        is_fitted, ignored = hasattr(self, "experts_"), self.out_of_distribution == "ignore"
        if self._support is None if is_fitted else ignored:
            raise AttributeError(
                "No rows are compared with those of fit: out_of_distribution is 'ignore', or has "
                "no effect. It needs zero-shot heads and heads that learn, at least six rows, "
                "calibration, and a router with weights."
            )
        return True

    @property
    def _are_zero_shot(self):
        return np.array([expert.is_zero_shot for expert in self.experts_])

    def _checked(self, X):
        check_is_fitted(self)
        X, names = check_rows_as_in_fit(self, X), getattr(self, "feature_names_in_", None)
        warn_of_units(self._seen_columns, X, names)
        if self._has_seen_no_rows:
            warn_of_mismatch(self.experts_, self.classes_, names, X, None)
        return X

    def _expert_logits(self, X, which=slice(None)):
        """Return the calibrated logits of all or some experts for a checked table, (n, E, C)."""
        experts = np.arange(len(self.experts_))[which]
        logits = stack_logits([self.experts_[e] for e in experts], X, self.classes_)
        return calibrated(logits, self.temperatures_[experts])

    def _logits_of(self, X):
        """Return combined logits, in parts so that temporary memory does not grow with the rows."""
        found = np.empty((len(X), len(self.classes_)), X.dtype)
        n_columns = len(self.classes_) * (len(self.experts_) if self._merged is None else 1)
        for part in row_batches(len(X), n_columns, ROWS_TO_PREDICT):
            found[part] = self._logits_of_part(X[part])
        return found

    def _logits_of_part(self, X):
        combined = None if self._merged is None else self._merged.logits(X, self.classes_)
        # If values are not finite, the experts raise an error that names the expert and row.
        if combined is None or not np.isfinite(combined).all():
            combined = self._combination.combine(X, self._expert_logits(X))
        if self._support is not None:
            combined = self._blend_with_prompts(X, combined)
        if self.unlabeled_ is not None:
            combined = self.unlabeled_.correct(combined, X)
        return combined

    def _blend_with_prompts(self, X, combined):
        """Blend combined logits with zero-shot logits in rows unlike the training rows."""
        in_distribution = self._support.in_distribution(X)
        far = np.flatnonzero(in_distribution < 1)
        if not len(far):
            return combined
        zero_shot = self._expert_logits(X[far], self._are_zero_shot).mean(axis=1)
        w_all, w_prompts, w_prior = blend_weights(in_distribution[far], combined[far], zero_shot)
        blended = w_all * combined[far] + w_prompts * zero_shot
        combined = combined.copy()
        combined[far] = blended + w_prior * self._support.log_prior
        return combined

    @fill_doc
    def decision_function(self, X):
        """Return log-probabilities of the classes; for two classes, the log-odds of the second.

        Combined logits are defined up to a constant in each row. These can be compared between
        rows, as :class:`~sklearn.calibration.CalibratedClassifierCV` does.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n, C), or (n,) if C is 2
            Columns in the order of ``classes_``; float32 if X and the rows of ``fit`` are, float64
            if X is.

        %(checks_of_X)s
        """
        logits = super().decision_function(X)
        return logits if logits.ndim == 1 else log_softmax(logits, axis=1)

    @fill_doc
    def expert_proba(self, X):
        """Predict the probabilities of each expert, calibrated unless ``calibrate`` is false.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n, E, C)
            Probabilities, experts in the order of ``expert_names_`` and classes in the order of
            ``classes_``; float32 if X is, otherwise float64.

        %(checks_of_X)s
        """
        return softmax(self._expert_logits(self._checked(X)), axis=2)

    @available_if(lambda ensemble: ensemble._has_weights())
    @fill_doc
    def routing_weights(self, X):
        """Return the weight of each expert for each row, if the router has weights.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n, E)
            Weights of the calibrated logits, or of probabilities if the router averages these, with
            experts in the order of ``expert_names_``. Only gates (``router="shrunk"``,
            ``GatedRouter``) and a signed NLC can give negative weights. For rows unlike all
            training rows, zero-shot heads have larger weights, the sum of the weights differs, and
            the frequencies of the classes are added to the weighted logits; see
            ``out_of_distribution``. With ``router="super-learner"``, those of such rows are sums of
            weights of probabilities and of logits. What ``class_weight`` adds is not in the
            weights. float32 if X is, otherwise float64.

        %(checks_of_X)s
        """
        X = self._checked(X)
        logits, combination = self._expert_logits(X), self._combination
        weights = combination.weights(X, logits)
        if self._support is None:
            return weights
        prompts, combined = self._are_zero_shot, combination.combine(X, logits)
        zero_shot = logits[:, prompts].mean(axis=1)
        in_distribution = self._support.in_distribution(X)
        w_all, w_prompts, _ = blend_weights(in_distribution, combined, zero_shot)
        return (w_all * weights + w_prompts * prompts / prompts.sum()).astype(weights.dtype)

    @available_if(lambda ensemble: ensemble._compares_rows())
    @fill_doc
    def in_distribution(self, X):
        """Return how much rows are like the training rows.

        A row is compared with the mean of the training rows, by the mean cosine of its embeddings,
        and a training row with the mean of the other classes. Of more than 1,000 training rows,
        1,000 count. The method is missing if ``out_of_distribution`` has no effect.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n,)
            1 for rows that are as similar as 95 % of the training rows, 0 for rows that are less
            similar than any of them, and linear between. At 0, zero-shot heads get as much weight
            as all experts together; see ``out_of_distribution``.

        %(checks_of_X)s

        See Also
        --------
        skclipens.labels.OpenSetClassifier : Rejects rows of none of the classes.

        Examples
        --------
        Emoji are unlike digits:

        >>> from sklearn.datasets import load_digits
        >>> from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
        >>> from skclipens.datasets import load_emoji
        >>> digits = load_digits()
        >>> pictures = [(255 - 15 * one).astype("uint8") for one in digits.images[:90]]
        >>> embedder = MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-16"])
        >>> X = embedder.set_output(transform="pandas").fit_transform(pictures)
        >>> clf = AdaptiveBackboneEnsemble(class_names=list("0123456789"), random_state=0)
        >>> clf.fit(X[:80], digits.target[:80]).in_distribution(X[80:84])
        array([1., 1., 1., 1.], dtype=float32)
        >>> clf.in_distribution(embedder.transform(load_emoji().filenames[:4]))
        array([0., 0., 0., 0.], dtype=float32)
        """
        X = self._checked(X)
        return self._support.in_distribution(X)

    @fill_doc
    def transform(self, X):
        """Return the calibrated logits of all experts, for another model to combine.

        These are the logits of the heads that were fitted on all rows. Fit the other model on rows
        that were not passed to ``fit``, since the heads are overconfident on those that were.

        Parameters
        ----------
        %(X_as_in_fit)s

        Returns
        -------
        ndarray of shape (n, E * C)
            Logits, the columns of the first expert first; see ``get_feature_names_out``. float32 if
            X is, otherwise float64.

        %(checks_of_X)s
        """
        logits = self._expert_logits(self._checked(X))
        return logits.reshape(len(logits), -1)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of ``transform``, ``EXPERT__CLASS``.

        Parameters
        ----------
        input_features : None or array-like of str
            Ignored.

        Returns
        -------
        ndarray of str objects, of shape (E * C,)
            Names of the output columns.
        """
        check_is_fitted(self)
        names = [f"{name}__{label}" for name in self.expert_names_ for label in self.classes_]
        return np.array(names, dtype=object)

    @each_warning_once()
    @fill_doc
    def set_classes(self, classes, *, class_names=None, templates=None):
        """Switch to other classes, and keep the fitted temperatures and router.

        Temperatures and router depend only on logits and columns, so they can be used for classes
        without training rows; a correction by unlabelled rows is dropped. All heads must be
        zero-shot. Parameters are not changed. If nothing learns from rows (``head="zero-shot"``,
        ``calibrate=False``, and a router such as ``"uniform"``), this can replace ``fit``.

        Parameters
        ----------
        %(other_classes)s

        Returns
        -------
        self
            With these classes.

        Raises
        ------
        ValueError
            If a head has learned from rows, `classes` is a string or has no order, there are fewer
            than two, or one is not a valid label or has no name. The ensemble is then unchanged.
        NotFittedError
            If it is not fitted, and something learns from rows, or ``blocks`` does not name the
            backbones.
        """
        with unchanged_by_failure(self):
            if not hasattr(self, "experts_"):
                start_by_names(self)
            return self._switch_to(classes, class_names, templates)

    def _switch_to(self, classes, class_names, templates):
        for expert in self.experts_:
            if not expert.is_zero_shot:
                raise ValueError(
                    f"Expert {expert.name!r} has learned the classes that it was fitted on; only "
                    "ensembles of zero-shot heads (head='zero-shot') can take others."
                )
        labels = sorted_classes(classes, class_names)
        check_at_least_two(labels)
        warn_of_prompts_at_once(
            head._prompts(labels, class_names, head.templates if templates is None else templates)
            for _, head, _ in self.experts_
        )
        heads = [
            copy(head).set_classes(classes, class_names=class_names, templates=templates)
            for _, head, _ in self.experts_
        ]
        self.experts_ = [e._replace(head=head) for e, head in zip(self.experts_, heads)]
        self.classes_ = heads[0].classes_
        self.unlabeled_ = None  # it was fitted for the former classes
        self._merged = merge_experts(self)
        return self

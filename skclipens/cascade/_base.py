"""Base class of cascades on tables and on images."""

from numbers import Integral, Real

from sklearn.base import BaseEstimator, MetaEstimatorMixin

from .._utils._estimator import EstimatorMixin
from .._utils._folds import CV_CONSTRAINTS
from .._utils._probabilities import log_of
from .._utils._sklearn import InOrder, Interval, MethodsOfFitted, StrOptions
from .._utils._warnings import warn
from ..heads._classifier import LabeledScoreMixin
from ._costs import check_budget

_DEFAULTS = {"estimator": "AdaptiveBackboneEnsemble()", "embedder": "CLIPEmbedder()"}


class DefaultEstimatorMixin:
    """Mixin for an estimator whose parameter ``estimator`` may be None."""

    def set_params(self, **params):
        """Set parameters.

        Parameters
        ----------
        **params : dict
            Parameters and their values; ``estimator__PARAMETER`` is one of `estimator`.

        Returns
        -------
        self
            The estimator.

        Raises
        ------
        ValueError
            If there is no such parameter, or it is one of an estimator that is None.
        """
        for key in params:
            name, nested, _ = key.partition("__")
            one = params.get(name, getattr(self, name, None))
            if nested and one is None and name in _DEFAULTS:
                raise ValueError(
                    f"{key!r} cannot be set, since {name} is None: first give an estimator, such "
                    f"as {name}={_DEFAULTS[name]}."
                )
        return super().set_params(**params)


class BaseCascade(
    DefaultEstimatorMixin, EstimatorMixin, LabeledScoreMixin, MetaEstimatorMixin, BaseEstimator
):
    """A classifier that is defined by ``predict_with_cost``."""

    _parameter_constraints: dict = {
        "estimator": [None, MethodsOfFitted(["fit", "predict", "predict_proba"])],
        "order": [StrOptions({"cost", "given"})],
        "thresholds": [StrOptions({"auto"}), Interval(Real, 0, None, closed="both"), InOrder()],
        "max_accuracy_drop": [None, Interval(Real, 0, 1, closed="both")],
        "max_cost": [None, Interval(Real, 0, None, closed="left")],
        "cv": CV_CONSTRAINTS,
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    __metadata_request__fit = {"sample_weight": True, "groups": True}

    def _check_budget(self, name, cost):
        """Check `max_cost` against the cost of the first stage; warn if thresholds are numbers."""
        if isinstance(self.thresholds, str):
            check_budget(self.max_cost, [name], [cost])
        elif self.max_cost is not None:
            warn(
                f"max_cost={self.max_cost} is not used: it limits the thresholds that 'auto' "
                "chooses, and thresholds are given as numbers. Leave one of the two out.",
                key="unused budget",
            )

    def predict_proba(self, X):
        """Predict class probabilities, by the stage that decided.

        Parameters
        ----------
        X : n rows or images
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n, C), float64
            Probabilities, columns in the order of ``classes_``.
        """
        return self.predict_with_cost(X).proba

    def predict_log_proba(self, X):
        """Predict the logarithms of class probabilities, which are finite.

        Parameters
        ----------
        X : n rows or images
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n, C), float64
            Logarithms of the probabilities, columns in the order of ``classes_``.
        """
        return log_of(self.predict_proba(X))

    def predict(self, X):
        """Classify rows or images, by the stage that decided.

        Parameters
        ----------
        X : n rows or images
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n,)
            Labels that the estimator of this stage predicts.
        """
        return self.predict_with_cost(X).labels

    def _labels_and_proba(self, X):
        found = self.predict_with_cost(X)
        return found.labels, found.proba

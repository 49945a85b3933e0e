"""Private parts of scikit-learn that are used here. No other module imports them."""

from collections.abc import Mapping, MappingView, Set
from contextlib import contextmanager, nullcontext
from functools import partial, wraps

from sklearn import config_context, get_config
from sklearn.base import _fit_context, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._metadata_requests import _routing_enabled as routing_enabled
from sklearn.utils._param_validation import HasMethods as _HasMethods
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions, validate_params
from sklearn.utils._repr_html.estimator import _VisualBlock as VisualBlock
from sklearn.utils._set_output import _wrap_data_with_container as as_output
from sklearn.utils.multiclass import _check_partial_fit_first_call as check_first_partial_fit
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _num_samples as num_samples

from ._warnings import each_warning_once

# A set has no order, a dict would give only its keys, and views of a dict cannot be cloned.
_NOT_IN_ORDER = (str, bytes, Mapping, MappingView, Set)


class HasMethods(_HasMethods):
    """Constraint: an object, not a class, that has some methods."""

    def is_satisfied_by(self, val):
        """Return whether a value satisfies the constraint."""
        return not isinstance(val, type) and super().is_satisfied_by(val)

    def __str__(self):
        return f"{super().__str__()} (an instance, not a class)"


def will_have(estimator, name):
    """Return whether an estimator has a method, or may have it once it is fitted.

    An unfitted StackingClassifier without a final estimator has no method to predict yet, nor has
    a search or a pipeline with one in it.
    """
    if isinstance(estimator, Pipeline):
        return bool(estimator.steps) and will_have(estimator[-1], name)
    if hasattr(estimator, name) or not hasattr(type(estimator), name):
        return hasattr(estimator, name)
    parts = estimator.get_params().values() if is_of_kind(estimator, is_classifier) else ()
    return any(hasattr(part, "fit") for part in parts)


def frozen_classifiers(given):
    """Yield the frozen classifiers in an estimator, or in a list or dict of estimators.

    Those among the heads of an ensemble of this package do not count: they are of other rows. Nor
    do those in steps before the last of a pipeline, which transform rows.
    """
    if isinstance(given, dict):
        given = list(given.values())
    if isinstance(given, (list, tuple)):
        for one in given:
            yield from frozen_classifiers(one)
    elif isinstance(given, Pipeline):
        yield from frozen_classifiers([step for _, step in given.steps[-1:]])
    elif isinstance(given, FrozenEstimator):
        if is_of_kind(given, is_classifier):
            yield given
    elif hasattr(given, "get_params") and not isinstance(given, type):
        names = given.get_params(deep=False)
        yield from frozen_classifiers([one for name, one in names.items() if name != "head"])


def is_of_kind(estimator, is_kind):
    """Return what a function such as ``is_classifier`` says; False for what has no tags."""
    return hasattr(estimator, "__sklearn_tags__") and is_kind(estimator)


class MethodsOfFitted(HasMethods):
    """Constraint: an object, not a class, that has some methods or may have them once fitted."""

    def is_satisfied_by(self, val):
        """Return whether a value satisfies the constraint."""
        return not isinstance(val, type) and all(will_have(val, name) for name in self.methods)


class InOrder(HasMethods):
    """Constraint: a list, an array or another ordered collection."""

    def __init__(self):
        super().__init__(["__len__", "__iter__"])

    def is_satisfied_by(self, val):
        """Return whether a value satisfies the constraint."""
        return super().is_satisfied_by(val) and not isinstance(val, _NOT_IN_ORDER)

    def __str__(self):
        return "a list or an array"


@contextmanager
def unchanged_by_failure(*estimators):
    """Restore the attributes of estimators if the body of this context raises."""
    before = [vars(estimator).copy() for estimator in estimators]
    try:
        yield
    except BaseException:
        for estimator, attributes in zip(estimators, before, strict=True):
            vars(estimator).clear()
            vars(estimator).update(attributes)
        raise


def numpy_only():
    """Return a context in which scikit-learn converts input to numpy arrays."""
    dispatches = get_config()["array_api_dispatch"]
    return config_context(array_api_dispatch=False) if dispatches else nullcontext()


def fit_context(*, prefer_skip_nested_validation):
    """Decorate ``fit`` with scikit-learn's context, and repeat no warning.

    If the fit fails, the estimator is as it was before. Otherwise its attributes would be of
    different fits, and the earlier fit would be lost.
    """

    def decorate(method):
        checked = _fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)(method)

        @wraps(method)
        def fit(estimator, *args, **parameters):
            with numpy_only(), unchanged_by_failure(estimator), each_warning_once():
                return checked(estimator, *args, **parameters)

        return fit

    return decorate


def check_parameters(estimator):
    """Raise scikit-learn's error if a parameter is not valid; what defines none is not checked."""
    if hasattr(estimator, "_parameter_constraints"):
        estimator._validate_params()


def with_settings(function):
    """Make a function run with this thread's scikit-learn settings, also in another process.

    scikit-learn's own ``Parallel`` also passes on warning filters, which belong to the whole
    process.
    """
    return partial(_call_with, get_config(), function)


def _call_with(settings, function, *args, **parameters):
    with config_context(**settings):
        return function(*args, **parameters)

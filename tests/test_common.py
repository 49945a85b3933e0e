"""scikit-learn's own checks, and what the docstrings of the public names must have."""

import importlib
import inspect

import pytest
from numpydoc.validate import validate
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_estimator_cloneable,
    check_estimator_repr,
    check_estimator_tags_renamed,
    check_get_params_invariance,
    check_mixin_order,
    check_no_attributes_set_in_init,
    check_param_validation,
    check_parameters_default_constructible,
    check_set_params,
    check_valid_tag_types,
    parametrize_with_checks,
)

from skclipens import AdaptiveBackboneEnsemble
from skclipens.ensemble import NeuralLogitController

# The checks' tables have few columns: two blocks need the first and the last at most.
HALVES = [("first", slice(0, 1)), ("last", slice(-1, None))]

ENSEMBLES = [
    AdaptiveBackboneEnsemble(),
    AdaptiveBackboneEnsemble(HALVES, router="static", cv=3),
    AdaptiveBackboneEnsemble(router=NeuralLogitController(max_iter=2), head="linear"),
    AdaptiveBackboneEnsemble(HALVES, head=["linear", GaussianNB(), KNeighborsClassifier(3)]),
    AdaptiveBackboneEnsemble(head=LogisticRegression(), router="nlc", cv=0.3),
    AdaptiveBackboneEnsemble(head="linear-all", router="static", cv=0.3, calibrate=False),
]


@parametrize_with_checks(ENSEMBLES)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=repr)
@pytest.mark.parametrize(
    "check", [check_param_validation, check_dataframe_column_names_consistency]
)
def test_checks_that_scikit_learn_runs_on_its_own_estimators_only(check, ensemble):
    check("AdaptiveBackboneEnsemble", ensemble)


# Public names

PUBLIC_MODULES = [
    "skclipens",
    "skclipens.datasets",
    "skclipens.ensemble",
    "skclipens.heads",
    "skclipens.inspection",
    "skclipens.metrics",
    "skclipens.model_selection",
    "skclipens.store",
    "skclipens.streaming",
]


def public_objects():
    """Public classes and functions by their qualified names."""
    for module_name in PUBLIC_MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value):
                yield f"{module_name}.{name}", value


ESTIMATORS = {
    name: value
    for name, value in public_objects()
    if inspect.isclass(value) and issubclass(value, BaseEstimator)
}


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize(
    "check",
    [
        check_estimator_cloneable,
        check_estimator_repr,
        check_estimator_tags_renamed,
        check_get_params_invariance,
        check_mixin_order,
        check_no_attributes_set_in_init,
        check_set_params,
        check_valid_tag_types,
    ],
)
def test_checks_that_need_no_data(check, name):
    check(name, ESTIMATORS[name]())


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_are_made_without_arguments(name):
    check_parameters_default_constructible(name, ESTIMATORS[name]())


# Docstrings

# Left out are taste (a summary's mood, an extended summary, links to relatives) and descriptions
# of parameters that their type and the convention already say: X and y.
NOT_REQUIRED = {"ES01", "SA01", "SA04", "PR07", "RT03", "YD01", "SS05", "GL01", "GL02", "RT02"}


def documented():
    for name, value in public_objects():
        yield name
        if inspect.isclass(value):
            for method, function in inspect.getmembers(value, inspect.isfunction):
                if not method.startswith("_") and function.__module__.startswith("skclipens"):
                    yield f"{name}.{method}"


@pytest.mark.parametrize("name", list(documented()))
def test_docstring_follows_numpydoc(name):
    not_required = set(NOT_REQUIRED)
    is_member = name.rpartition(".")[0] not in PUBLIC_MODULES
    if is_member or name.endswith("Error"):
        not_required.add("EX01")
    found = [error for error in validate(name)["errors"] if error[0] not in not_required]
    assert not found, "\n".join(f"{code}: {message}" for code, message in found)

"""scikit-learn's own checks, and what the docstrings of the public names must have."""

import importlib
import inspect

import pytest
from _public import MODULES
from numpydoc.validate import validate
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens.ensemble import (
    GatedRouter,
    GeneticRouter,
    MixtureRouter,
    NeuralLogitController,
    SuperLearnerRouter,
)
from skclipens.ensemble.routers._base import BaseRouter
from skclipens.heads import (
    ForestHead,
    LinearDiscriminantHead,
    LinearProbeHead,
    LogisticDiscriminantHead,
)
from skclipens.pipeline import BackbonePipeline

pytestmark = pytest.mark.usefixtures("short_training")

# The checks' tables have few columns: two blocks need the first and the last at most.
HALVES = [("first", slice(0, 1)), ("last", slice(-1, None))]

ENSEMBLES = [
    AdaptiveBackboneEnsemble(),
    AdaptiveBackboneEnsemble(HALVES, router="static", cv=3),
    # Logits are the same to a router whichever heads they are of.
    *(
        AdaptiveBackboneEnsemble(HALVES, router=one, head="linear", cv=3)
        for one in (
            *("uniform", "probability", "confidence", "super-learner", GatedRouter()),
            *(SuperLearnerRouter("log_loss"), GeneticRouter(population=5, max_iter=3)),
        )
    ),
    AdaptiveBackboneEnsemble(HALVES, router="vote", head="linear", calibrate=False),
    AdaptiveBackboneEnsemble(HALVES, router=MixtureRouter(max_iter=2), head="linear", cv=3),
    AdaptiveBackboneEnsemble(router=NeuralLogitController(max_iter=2), head="linear"),
    AdaptiveBackboneEnsemble(HALVES, router="static", head=["linear", ("nb", GaussianNB())]),
    AdaptiveBackboneEnsemble(head=LogisticRegression(), router="nlc", cv=0.3),
    AdaptiveBackboneEnsemble(head="linear-all", router="static", cv=0.3, calibrate=False),
    AdaptiveBackboneEnsemble(HALVES, class_weight="balanced", router="static", cv=2),
]


@parametrize_with_checks(ENSEMBLES)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


HEADS = [
    LinearDiscriminantHead(),
    LinearDiscriminantHead(shrinkage=1.0),
    LinearProbeHead(cv=2, max_iter=200),
    LogisticDiscriminantHead(),
    ForestHead(n_estimators=20, random_state=0),
]


@parametrize_with_checks(HEADS)
def test_scikit_learn_checks_of_heads_on_plain_tables(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", [*ENSEMBLES, *HEADS], ids=repr)
def test_names_of_columns_are_compared(estimator):
    estimator_checks.check_dataframe_column_names_consistency(type(estimator).__name__, estimator)


# Public names


def public_objects():
    """Public classes and functions by their qualified names."""
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value):
                yield f"{module_name}.{name}", value


DATA_FREE = [
    estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_estimator_tags_renamed,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_mixin_order,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_set_params,
    estimator_checks.check_valid_tag_types,
]

STEPS = [("embed", MultiBackboneEmbedder()), ("fit", AdaptiveBackboneEnsemble())]
NEEDED = {"OpenSetClassifier": [LogisticRegression()], "BackbonePipeline": [STEPS]}
ESTIMATORS = {
    value.__name__: value(*NEEDED.get(value.__name__, ()))
    for _, value in public_objects()
    if inspect.isclass(value) and issubclass(value, BaseEstimator)
}
ON_TABLES = [  # routers also take logits, and the pipeline images
    name
    for name, estimator in ESTIMATORS.items()
    if not isinstance(estimator, (BaseRouter, BackbonePipeline))
]


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("check", DATA_FREE)
def test_checks_that_need_no_data(check, name):
    check(name, ESTIMATORS[name])


@pytest.mark.parametrize("name", ON_TABLES)
def test_parameters_are_checked(name):
    estimator_checks.check_param_validation(name, ESTIMATORS[name])


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name.endswith("Head")])
def test_heads_require_labels(name):
    estimator_checks.check_requires_y_none(name, ESTIMATORS[name])


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
def test_docstring_follows_numpydoc(name, monkeypatch):
    if name.endswith("_pipeline"):  # parameters that it passes on are described elsewhere
        module, _, function = name.rpartition(".")
        monkeypatch.delattr(getattr(importlib.import_module(module), function), "__signature__")
    not_required = set(NOT_REQUIRED)
    is_member = name.rpartition(".")[0] not in MODULES
    if is_member or name.endswith("Error"):
        not_required.add("EX01")
    found = [error for error in validate(name)["errors"] if error[0] not in not_required]
    assert not found, "\n".join(f"{code}: {message}" for code, message in found)

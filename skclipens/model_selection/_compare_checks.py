"""Checks of what compare_with_baselines is given, and the names of its rows."""

from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from .._utils._sklearn import check_parameters, frozen_classifiers, is_of_kind, will_have
from .._utils._validation import refuse_class
from .._utils._warnings import warn

ENSEMBLE, PROMPTS = "ensemble", "prompts alone"
LOGISTIC = "logistic regression, all columns"
LOGISTIC_AND_PROMPTS = "logistic regression and prompts"
ORACLE = "oracle: any backbone is right"
IMAGES, OTHERS = "images alone", "other columns alone"
SCORINGS = "accuracy", "balanced_accuracy"
ALONE = " alone"  # the end of the names of rows of backbones, and of kinds of columns
ROWS = ENSEMBLE, LOGISTIC, LOGISTIC_AND_PROMPTS, ALONE, PROMPTS, ORACLE  # in order


def check_scoring(scoring):
    """Raise ValueError if a scoring is not known."""
    if not isinstance(scoring, str) or scoring not in SCORINGS:
        raise ValueError(
            f"scoring is one of {', '.join(map(repr, SCORINGS))}; got {scoring!r}. For another "
            "score, pass each classifier to cross_validate with the same splits."
        )


def checked_baselines(baselines):
    """Return a dict of the user's classifiers; raise TypeError or ValueError if it has others."""
    if baselines is None:
        return {}
    if not hasattr(baselines, "items") or hasattr(baselines, "iloc"):
        raise TypeError(
            "baselines is a dict from names to classifiers, such as {'nearest': "
            f"KNeighborsClassifier()}}; got {type(baselines).__name__}."
        )
    for name, one in baselines.items():
        if not isinstance(name, str):
            raise TypeError(f"baselines: names are strings; got {name!r}, of {one!r}.")
        if name in ROWS or name.endswith(ALONE):
            raise ValueError(
                f"baselines: {name!r} is already a row of the result. Give your baseline another "
                "name."
            )
        refuse_class(one, f"baselines[{name!r}]")
        if next(frozen_classifiers(one), None) is not None:
            warn(
                f"baselines[{name!r}] has a FrozenEstimator, which is not fitted again. If it has "
                "learned from rows of X, its accuracy on them says little: pass the classifier "
                "itself."
            )
        if not all(will_have(one, method) for method in ("fit", "predict", "get_params")):
            raise TypeError(f"baselines[{name!r}] is {one!r}. Give a classifier.")
        if is_of_kind(one, _is_no_classifier):
            raise TypeError(
                f"baselines[{name!r}] is {type(one).__name__}, of type {_kind(one)}, whose numbers "
                "are no labels. Take a classifier."
            )
        check_parameters(one)
    return dict(baselines)


def _is_no_classifier(estimator):
    return _kind(estimator) not in (None, "classifier")


def _kind(estimator):
    kind = get_tags(estimator).estimator_type
    return kind and kind.replace("_", " ")


def checked_ensemble(estimator):
    """Return the ensemble in which an estimator ends."""
    is_pipeline = isinstance(estimator, Pipeline) and len(estimator.steps)
    ensemble = estimator[-1] if is_pipeline else estimator
    refuse_class(ensemble, "estimator")
    if not {"blocks", "head", "router"} <= set(getattr(ensemble, "get_params", dict)()):
        raise TypeError(
            "estimator is an AdaptiveBackboneEnsemble, or a pipeline that ends in one; got "
            f"{type(ensemble).__name__}."
        )
    return ensemble

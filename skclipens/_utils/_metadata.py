"""Metadata of rows that ``fit`` passes on: sample weights and groups."""

from inspect import Parameter, signature
from numbers import Real

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from ._folds import codes_of
from ._linalg import some_of
from ._messages import as_python, listed, nearest
from ._sklearn import BaseSearchCV, routing_enabled
from ._weights_and_groups import MOST_WEIGHT, check_groups, check_weights, scaled_shares

METADATA = ("sample_weight", "groups")


def check_metadata(sample_weight, groups, n_rows, dtype):
    """Return weights and groups as arrays or None, in a dict; see :func:`scaled_shares`."""
    return {
        "sample_weight": scaled_shares(check_weights(sample_weight, n_rows, dtype)),
        "groups": check_groups(groups, n_rows),
    }


def keywords_of_fit(estimator):
    """Return by which keywords the ``fit`` of an estimator takes metadata, as a dict.

    This depends on its requests if scikit-learn's metadata routing is enabled, else on its
    signature, and on those of the estimators to which it hands weights on. A search, such as
    GridSearchCV, passes groups to its cv.
    """
    if routing_enabled() and hasattr(estimator, "get_metadata_routing"):
        asked = get_routing_for_object(estimator).consumes("fit", METADATA)
        return {name: name for name in METADATA if name in asked}
    found = {name: name for name in METADATA if has_fit_parameter(estimator, name)}
    if found:
        return found
    if isinstance(estimator, Pipeline):
        step, last = estimator.steps[-1]
        return {name: f"{step}__{key}" for name, key in keywords_of_fit(last).items()}
    kinds = [one.kind for one in signature(estimator.fit).parameters.values()]
    if Parameter.VAR_KEYWORD not in kinds:
        return {}
    if hasattr(estimator, "named_estimators"):  # such as a VotingClassifier
        final = getattr(estimator, "final_estimator", None)
        parts = [one for one in (*estimator.named_estimators.values(), final) if one is not None]
        taken = [has_fit_parameter(one, "sample_weight") for one in parts if one != "drop"]
        return {"sample_weight": "sample_weight"} if all(taken) else {}
    searched = getattr(estimator, "estimator", None)  # as by GridSearchCV
    keywords = keywords_of_fit(searched) if hasattr(searched, "fit") else {}
    found = {name: key for name, key in keywords.items() if name == "sample_weight"}
    return found | ({"groups": "groups"} if isinstance(estimator, BaseSearchCV) else {})


def declines_weights(estimator):
    """Return whether a request says that weights are not to be passed on to an estimator."""
    if not routing_enabled() or not hasattr(estimator, "get_metadata_routing"):
        return False
    of_fit = getattr(get_routing_for_object(estimator), "fit", None)  # meta-estimators have none
    return of_fit is not None and of_fit.requests.get("sample_weight") is False


def metadata_for(estimator, given="sample_weight", **metadata):
    """Return the metadata of :func:`taken_of`.

    Raise ValueError if there are weights that the estimator cannot take; it calls them `given`.
    """
    if metadata.get("sample_weight") is not None:
        takes = "sample_weight" in keywords_of_fit(estimator)
        refuse_weights([] if takes else [type(estimator).__name__], given)
    return taken_of(metadata, estimator)


def taken_of(metadata, estimator):
    """Return the metadata that are not None and that ``fit`` takes, by the keywords of ``fit``."""
    keywords = keywords_of_fit(estimator).items()
    return {key: metadata[name] for name, key in keywords if metadata.get(name) is not None}


def rows_of(metadata, rows):
    """Return the metadata of some rows."""
    return {name: some_of(value, rows) for name, value in metadata.items()}


def refuse_weights(names, given="sample_weight"):
    """Raise ValueError that estimators called `names` take no weights; do nothing if empty."""
    if not names:
        return
    names = ", ".join(names)
    if routing_enabled():
        raise ValueError(
            f"{given} is given, but {names} does not ask for weights by the name sample_weight. "
            "Where its fit takes them, call its set_fit_request(sample_weight=True); otherwise "
            f"leave {given} out, or use what can take weights."
        )
    what = "it" if given == "sample_weight" else "weights of rows"
    raise ValueError(
        f"{given} is given, but the fit of {names} cannot take {what}. Leave {given} out, or use "
        f"what can take {what}."
    )


def roots_of_class_weights(class_weight, y, sample_weight):
    """Return the square root of the weight of each row's class, scaled to a mean of 1.

    ``"balanced"`` are the weights that equalize the classes' totals of `sample_weight`. The other
    half of the weights is :func:`log_class_weights`.

    Raise ValueError if the weight of a class is not a non-negative number, or too large, or a
    label is no class while a class has no weight.
    """
    given = class_weight.items() if hasattr(class_weight, "items") else ()
    of_labels = {as_python(label): as_python(weight) for label, weight in given}
    for label, weight in of_labels.items():
        if not isinstance(weight, Real) or not 0 <= weight <= MOST_WEIGHT:
            raise ValueError(
                f"class_weight of {label!r} is {weight!r}; it must be a number from 0 to "
                f"{MOST_WEIGHT:g}."
            )
    _refuse_unknown_classes(of_labels, np.unique(y).tolist())
    if class_weight == "balanced":
        totals = np.bincount(codes_of(y), sample_weight)
        class_weight = dict(zip(np.unique(y).tolist(), _inverse(totals).tolist(), strict=True))
    roots = np.sqrt(compute_sample_weight(class_weight, y))
    weighted = roots if sample_weight is None else roots * sample_weight
    if not weighted.any():
        return roots
    return roots / np.average(roots, weights=sample_weight)


def log_class_weights(class_weight, classes, y, sample_weight):
    """Return half of the logarithms of the classes' weights, less their mean; None without weights.

    Rows have weights by :func:`roots_of_class_weights` already. A class without rows gets 0.
    """
    if class_weight is None:
        return None
    totals = np.bincount(np.searchsorted(classes, y), sample_weight, minlength=len(classes))
    halves = _inverse(totals)  # if balanced: totals are as their square roots already
    if class_weight != "balanced":
        halves = np.sqrt([class_weight.get(label, 1.0) for label in classes.tolist()])
    found = np.log(halves, out=np.zeros_like(halves), where=(halves > 0) & (totals > 0))
    return np.where(totals > 0, found - found[totals > 0].mean(), 0)


def _inverse(totals):
    totals = totals.astype(float)
    return np.divide(1, totals, out=np.zeros_like(totals), where=totals > 0)


def _refuse_unknown_classes(labels, classes):
    """Raise ValueError if a label is no class, unless all classes are among the labels.

    A part of the rows may lack a class, for example in cross-validation.
    """
    unknown = [label for label in labels if label not in classes]
    if not unknown or all(label in labels for label in classes):
        return
    similar = None
    if isinstance(unknown[0], str):
        similar = nearest({unknown[0]}, [label for label in classes if isinstance(label, str)])
    hint = f", did you mean {similar!r}?" if similar else f", which are {listed(classes)}."
    if isinstance(unknown[0], str) and not any(isinstance(label, str) for label in classes):
        is_spelled = unknown[0] in map(str, classes)
        what = "which are no strings" if is_spelled else "not names of classes"
        hint += f" Its keys are labels as in y, {what}."
    raise ValueError(
        f"class_weight has {unknown[0]!r}, which is not among the classes of y{hint} If some rows "
        "lack one of your classes, give all classes a weight."
    )

"""Decorators of the fit methods of a pipeline."""

from functools import wraps
from inspect import signature
from types import MethodType

from .._utils._metadata import METADATA
from .._utils._sklearn import unchanged_by_failure
from .._utils._validation import refuse_class
from .._utils._warnings import each_warning_once
from ._column_types import types_of_columns


def all_steps_or_none(method):
    """Decorate a fit method: if it fails, all steps are left unchanged.

    It also notes what columns of a table hold, as a CSV file does not say that.
    """

    @wraps(method)
    def fit(self, *args, **params):
        for name, step in self.steps:
            refuse_class(step, f"Step {name!r}")
        steps = (step for _, step in self.steps if hasattr(step, "fit"))
        with unchanged_by_failure(self, *steps), each_warning_once():
            answers = method(self, *args, **params)
            X = args[0] if args else params.get("X")
            self._types_of_columns = types_of_columns(self.steps[0][1], X)
            return answers

    return fit


class SignatureOfLastStep:
    """Decorate ``fit``: its signature lacks weights and groups if the last step cannot take them.

    Meta-estimators such as :class:`sklearn.ensemble.BaggingClassifier` read it before they pass
    weights.
    """

    def __init__(self, method):
        self.fn = method  # called so, as by scikit-learn's available_if

    def __get__(self, pipeline, owner=None):
        if pipeline is None:
            return self.fn
        lacks = _not_taken(pipeline)
        return MethodType(_without(self.fn, lacks) if lacks else self.fn, pipeline)


def _not_taken(pipeline):
    """Return the metadata that the fit of the last step cannot take."""
    last = pipeline.steps[-1][1] if vars(pipeline).get("steps") else None
    if not hasattr(last, "fit"):
        return ()
    taken = signature(last.fit).parameters
    takes_any = any(one.kind is one.VAR_KEYWORD for one in taken.values())
    return () if takes_any else [name for name in METADATA if name not in taken]


def _without(method, names):
    @wraps(method)
    def fit(self, *args, **params):
        return method(self, *args, **params)

    full = signature(method)
    kept = [one for name, one in full.parameters.items() if name not in names]
    fit.__signature__ = full.replace(parameters=kept)
    return fit

"""Decorators of the fit methods of a pipeline."""

from datetime import date, datetime
from functools import wraps
from inspect import signature
from types import MethodType
from zoneinfo import available_timezones

from sklearn.compose import ColumnTransformer

from .._utils._column_names import names_of_columns
from .._utils._metadata import METADATA
from .._utils._missing import is_missing
from .._utils._sklearn import unchanged_by_failure
from .._utils._validation import refuse_class
from .._utils._warnings import each_warning_once


def all_steps_or_none(method):
    """Decorate a fit method: if it fails, all steps are left unchanged.

    It also notes which columns of a table hold text or dates, as a CSV file does not say that.
    """

    @wraps(method)
    def fit(self, *args, **params):
        for name, step in self.steps:
            refuse_class(step, f"Step {name!r}")
        steps = (step for _, step in self.steps if hasattr(step, "fit"))
        with unchanged_by_failure(self, *steps), each_warning_once():
            answers = method(self, *args, **params)
            X = args[0] if args else params.get("X")
            self._kinds_of_columns = _kinds_of_columns(self.steps[0][1], X)
            return answers

    return fit


def _kinds_of_columns(step, X):
    """Return which columns of a table hold text, days, or points in time, as a dict.

    Values are "text", "text,empty" if cells are empty and none is missing, "date", or "datetime",
    with the name of the time zone behind a comma. `step` is the first step of the pipeline, which
    reads a table if it is a ColumnTransformer.
    """
    names = (names_of_columns(X) or ()) if isinstance(step, ColumnTransformer) else ()
    kinds = {name: _kind_of(X[name]) for name in names}
    return {name: kind for name, kind in kinds.items() if kind}


def _kind_of(column):
    kind = getattr(getattr(column, "dtype", None), "kind", "O")
    if kind == "M":
        zone = column.dt.tz
        is_named = zone is not None and str(zone) in available_timezones()
        return f"datetime,{zone}" if is_named else "datetime"
    if kind in "biufcm":
        return None
    first = next((value for value in column if not is_missing(value)), None)
    if isinstance(first, str):
        empty = {str(cell) for cell in column if is_missing(cell)}  # also NaN and the like
        return "text,empty" if empty == {""} else "text"
    kinds = {datetime: "datetime", date: "date"}  # a datetime is a date, too
    return next((kind for of, kind in kinds.items() if isinstance(first, of)), None)


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

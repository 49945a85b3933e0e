"""Warnings at the user's line, without repetition, and a filter for a single thread."""

import os
import re
import sys
import threading
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from itertools import takewhile

from ..exceptions import SuspectedMistakeWarning
from ._contexts import set_within
from ._locks import ForkLock

NOTHING = "(?!)"  # matches no text
_NAME_OR_NUMBER = re.compile(r"""('[^']*'|"[^"]*")|[\d.]+""")
_said = ContextVar("what was said in the call of each_warning_once that is running", default=None)
_collected = ContextVar("warnings for another thread, and whether it is elsewhere", default=None)
_BETWEEN = {"skclipens", "sklearn", "joblib", "pickle", "contextlib", "functools"}
_ROW = re.compile(r"\b[Rr]ows? \d")
# Functions of scikit-learn that fit, or predict, some rows of what they are given.
_ON_SOME_ROWS = {
    "SelfTrainingClassifier.fit",
    "_fit_and_score",
    "_fit_and_predict",
    "_fit_and_score_over_thresholds",
    "_fit_classifier_calibrator_pair",
    "_fit_ovo_binary",
    "_incremental_fit_estimator",
    "_permutation_test_score",
    "_rfe_single_fit",
}
_COUNTED = " Rows are counted within a part of X, such as a fold, that scikit-learn passes."
_ROUTED = " If it has groups, it passes them on only with its metadata routing."


def warn(message, category=SuspectedMistakeWarning, *, key=None):
    """Warn at the line of the last caller outside of this package, scikit-learn and joblib.

    Where scikit-learn fits on a part of X, a message that names rows says so. It does not count as
    a repetition of that of all rows.

    Parameters
    ----------
    message : str or Warning
    category : type
        Used if the message is a str.
    key : str or None
        Key by which :func:`each_warning_once` finds repetitions, and :func:`without_warnings` what
        it hides. None: the message without numbers.
    """
    said, collected, text = _said.get(), _collected.get(), str(message)
    if _is_hidden(text, key):  # nor recorded, so that it can be shown later
        return
    counted = _COUNTED in text
    if not counted and _ROW.search(text) and _are_some_rows():
        routed = _ROUTED if "pass groups" in text.lower() else ""
        message, counted = text + _COUNTED + routed, True
    if said is not None:
        words = key or _NAME_OR_NUMBER.sub(lambda found: found[1] or "", text), category, counted
        if words in said:
            return
        said.add(words)
    if collected is not None:
        told, is_process = collected
        # Threads share filters, so those of another may be there.
        if not (is_process and _is_ignored(text, category)):
            told.append((message, category, key))
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _package_of(frame) in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _are_some_rows():
    """Return whether scikit-learn has passed a part of the user's rows."""
    frame = sys._getframe(2)
    while frame is not None:
        if _package_of(frame) == "sklearn" and _passes_some_rows(frame):
            return True
        frame = frame.f_back
    return False


def _passes_some_rows(frame):
    name = frame.f_code.co_qualname
    if name == "_parallel_build_estimators":  # of a Bagging, whose samples are weights if possible
        return not frame.f_locals.get("consumes_sample_weight", True)
    return name in _ON_SOME_ROWS


def collecting(function):
    """Make a function return its result, and what it warned of for :func:`give_collected`.

    In the thread of the caller, warnings are given at once. In another process, those that filters
    ignore are left out, such as filters that the function sets.
    """
    return partial(_call_and_collect, _thread(), function)


def _call_and_collect(caller, function, *args):
    if _thread() == caller:
        return function(*args), []
    told = []
    with set_within(_collected, (told, os.getpid() != caller[0])):
        try:
            return function(*args), told
        except Exception as error:
            error._told = told
            raise


def _thread():
    return os.getpid(), threading.get_ident()


def collected_of(error):
    """Return what a function of :func:`collecting` warned of before it raised an error."""
    return vars(error).pop("_told", [])


def give_collected(told):
    """Give the warnings that a call in another thread or process has collected."""
    for message, category, key in told:
        warn(message, category, key=key)


def unsaid(keys):
    """Return the keys of :func:`warn` that were not given yet, and record them as given."""
    said = _said.get()
    if said is None:
        return keys
    new = [key for key in keys if key not in said]
    said.update(new)
    return new


@contextmanager
def each_warning_once():
    """A context, or decorator of a function, in which :func:`warn` repeats no warning.

    The heads of an ensemble would all warn of the same input. So would ensembles fitted on parts of
    it, with other numbers of rows and the like.
    """
    with set_within(_said, set() if _said.get() is None else _said.get()):
        yield


def _package_of(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0]


class FilterOfThread(threading.local):
    """A regular expression for a filter of :mod:`warnings` that differs between threads.

    ``warnings.catch_warnings`` changes the filters of the whole process and restores those that
    it found. Overlapping threads restore the filters of each other, and from then on warnings are
    lost. This filter stays where it is; see :func:`put_first`.
    """

    pattern = NOTHING  # for scikit-learn, which passes filters on to its workers

    def match(self, text):
        """Match the start of a text, as a regular expression does."""
        return re.match(self.pattern, text)

    def __reduce__(self):
        return re.compile, (self.pattern, re.IGNORECASE)


class _NotShown(FilterOfThread):
    """A pattern of the messages that the calling thread, or context, does not show."""

    @property
    def pattern(self):
        return "|".join(_patterns.get()) or NOTHING

    def __reduce__(self):
        # joblib pickles filters in a thread of its own, for one that waits in `silent`.
        return re.compile, ("|".join(_hidden) or NOTHING, re.IGNORECASE)


_lock = ForkLock()
_patterns = ContextVar("patterns of the messages that this thread hides", default=())
_hidden = []  # patterns of all threads
_not_shown = _NotShown()
_filter = ("ignore", _not_shown, Warning, None, 0)


def put_first(own):
    """Move a filter before all filters that are not of this package.

    Call this before each use, since other code may have put filters before it.
    """
    filters = warnings.filters
    if own in takewhile(_is_ours, filters):
        return
    with _lock:
        filters.insert(0, own)
        for i in range(len(filters) - 1, 0, -1):
            if filters[i] is own:
                del filters[i]


def _is_ours(one):
    return type(one[1]).__module__.startswith("skclipens.")


@contextmanager
def silent(pattern):
    """A context in which this thread hides some warnings, and others in a copy of its context do.

    The pattern is a regular expression that matches the start of their messages.
    """
    put_first(_filter)
    pattern = f"(?:{pattern})"
    _hidden.append(pattern)
    try:
        with set_within(_patterns, (*_patterns.get(), pattern)):
            yield
    finally:
        _hidden.remove(pattern)


def without_warnings(*keys):
    """Return a context like :func:`silent` that hides warnings by their keys in :func:`warn`."""
    return silent("|".join(map(_mark, keys)) or NOTHING)


def _mark(key):
    return f"\0{key}\0"  # among patterns, where it matches no message


def _is_hidden(text, key):
    if key is None or _not_shown.match(text):
        return _not_shown.match(text)
    # A worker has the filters of the thread that waits for it, as plain patterns.
    patterns = (getattr(one[1], "pattern", "") for one in (_filter, *warnings.filters))
    return any(_mark(key) in pattern for pattern in patterns)


def _is_ignored(text, category):
    """Return whether the first filter for a message, of those for all modules, ignores it."""
    for action, pattern, of, module, line in warnings.filters:
        is_for_all = module is None and line == 0
        if is_for_all and issubclass(category, of) and (pattern is None or pattern.match(text)):
            return action == "ignore"
    return False


put_first(_filter)

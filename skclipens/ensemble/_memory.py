"""Cache fitted heads with the parameter ``memory``; compute them if caching fails."""

import inspect
import traceback
from functools import wraps

from sklearn.utils.validation import check_memory

from .._utils._folds import max_validation_rows
from .._utils._warnings import warn
from ..backbones import Backbone
from ..embedding._weights import weights_digest

_KNOWN_PACKAGES = {"builtins", "sklearn", "skclipens"}


def memory_of(ensemble):
    """Return the memory of an ensemble, whose folder is made here; ValueError if it cannot be."""
    try:
        return check_memory(ensemble.memory)
    except OSError as error:
        raise ValueError(
            f"memory={ensemble.memory!r} cannot be made: {error}. Set it to a folder that can be "
            "written to."
        ) from error


def cached_by(memory, function, ignore):
    """Return a cached function that computes its results if the cache cannot be used.

    The first argument of the function is a list of experts. Its parameter ``origins`` makes the key
    depend on the weights of backbones, on the source of the user's own classes, and on the number
    of validation rows, which may change while the parameters stay the same. The parameters in the
    list `ignore` do not change results.
    """
    kept = memory.cache(function, ignore=ignore)

    @wraps(function)
    def call(experts, *args, **options):
        if getattr(memory, "location", memory) is not None:
            options["origins"] = _digests(experts), _sources(experts), max_validation_rows()
        try:
            return kept(experts, *args, **options)
        except OSError as error:
            frames = traceback.walk_tb(error.__traceback__)
            if any(frame.f_code is function.__code__ for frame, _ in frames):
                raise  # the function itself failed, not the memory
            warn(
                f"memory cannot be used: {error}. The fit is complete, but was not cached. "
                "Free some space, or set memory to a folder that can be written to.",
                UserWarning,
            )
        return function(experts, *args, **options)

    return call


def _digests(experts):
    names = {name for expert in experts for name in expert.backbones}
    return {name: weights_digest(Backbone(name)) for name in sorted(names)}


def _sources(experts):
    """Return the source of user-defined and third-party classes of heads and parameters."""
    parts = [part for one in experts for part in (one.head, *one.head.get_params().values())]
    classes = {cls for part in parts for cls in type(part).__mro__}
    own = {cls for cls in classes if cls.__module__.partition(".")[0] not in _KNOWN_PACKAGES}
    return sorted(filter(None, map(_source, own)))


def _source(cls):
    try:
        return inspect.getsource(cls)
    except (OSError, TypeError, SyntaxError):  # built in, or typed at a prompt
        return None

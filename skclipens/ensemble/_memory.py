"""What ``memory`` keeps, and what is done where it cannot."""

import inspect
import traceback
from functools import wraps

from .._utils._warnings import warn
from ..backbones import Backbone
from ..embedding._weights import weights_digest

_THEIRS = {"builtins", "sklearn", "skclipens"}


def kept_by(memory, function, ignore):
    """A function whose results a memory keeps; where it fails, they are computed all the same.

    Parameters
    ----------
    memory : object with the joblib.Memory interface
    function : callable
        Of experts first. It has a parameter ``origins``, for what their heads come from beside
        parameters: other weights in the same folder, or a class of the user's own that was edited,
        are other results.
    ignore : list of str
        Parameters that do not change results.

    Returns
    -------
    callable
    """
    kept = memory.cache(function, ignore=ignore)

    @wraps(function)
    def call(experts, *args, **options):
        if getattr(memory, "location", memory) is not None:
            options["origins"] = _digests(experts), _sources(experts)
        try:
            return kept(experts, *args, **options)
        except OSError as error:
            frames = traceback.walk_tb(error.__traceback__)
            if any(frame.f_code is function.__code__ for frame, _ in frames):
                raise  # the function itself failed, not the memory
            warn(
                f"memory cannot be used: {error}. What is fitted is complete, but is not kept. "
                "Free some space, or set memory to a folder that can be written to.",
                UserWarning,
            )
        return function(experts, *args, **options)

    return call


def _digests(experts):
    names = {name for expert in experts for name in expert.backbones}
    return {name: weights_digest(Backbone(name)) for name in sorted(names)}


def _sources(experts):
    """The code of classes of heads, and of what these hold, that are of others."""
    parts = [part for one in experts for part in (one.head, *one.head.get_params().values())]
    classes = {cls for part in parts for cls in type(part).__mro__}
    own = {cls for cls in classes if cls.__module__.partition(".")[0] not in _THEIRS}
    return sorted(filter(None, map(_source, own)))


def _source(cls):
    try:
        return inspect.getsource(cls)
    except (OSError, TypeError, SyntaxError):  # built in, or typed at a prompt
        return None

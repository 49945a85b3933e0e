"""What ``memory`` keeps, and what is done where it cannot."""

import traceback
from functools import wraps

from .._utils._warnings import warn
from ..backbones import Backbone
from ..embedding._weights import weights_digest


def kept_by(memory, function, ignore):
    """A function whose results a memory keeps; where it fails, they are computed all the same.

    Parameters
    ----------
    memory : object with the joblib.Memory interface
    function : callable
        Of experts first. It has a parameter ``weights``, for the digests of the weights that their
        heads start from: other weights in the same folder are other results.
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
            options["weights"] = _digests(experts)
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

"""Versions of packages, and a warning if an estimator was saved with others."""

import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from sklearn.exceptions import InconsistentVersionWarning

from ._warnings import warn

_LIBRARIES = {"scikit-learn": "scikit-learn", "torch": "torch", "open_clip": "open_clip_torch"}


class SavedUnderOthersWarning(InconsistentVersionWarning):
    """Warning that an estimator was saved under other versions, or with other weights.

    Parameters
    ----------
    estimator_name : str
    then : dict of str to str
        Differing entries, as they were saved.
    now : dict of str to str
        The same entries, as they are now.
    """

    def __init__(self, estimator_name, then, now):
        super().__init__(
            estimator_name=estimator_name,
            original_sklearn_version=then.get("scikit-learn"),
            current_sklearn_version=now.get("scikit-learn"),
        )
        self.then, self.now = then, now

    def __str__(self):
        then, now = (
            ", ".join(f"{what} {which}" for what, which in each.items())
            for each in (self.then, self.now)
        )
        return (
            f"{self.estimator_name} was saved with {then} and is loaded with {now}. It may fail or "
            "give other results: fit it again, or load it with what it was saved with."
        )


def warn_of_others(estimator, then, now):
    """Warn of entries that differ between saving and loading; both dicts have the same keys."""
    others = [key for key in then if then[key] != now[key]]
    if others:
        then, now = ({key: each[key] for key in others} for each in (then, now))
        warn(SavedUnderOthersWarning(type(estimator).__name__, then, now))


@cache
def versions():
    """Return versions of skclipens and its main dependencies, without builds such as "+cpu"."""
    found = {"skclipens": sys.modules[__name__.partition(".")[0]].__version__}
    for name, distribution in _LIBRARIES.items():
        try:
            found[name] = version(distribution).partition("+")[0]
        except PackageNotFoundError:
            found[name] = "(none)"
    return found

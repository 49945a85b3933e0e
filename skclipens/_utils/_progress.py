"""The bar that long runs show, and jobs that it counts."""

from weakref import WeakSet

from joblib import Parallel, delayed

from ._locks import ForkLock
from ._sklearn import with_settings

DELAY = 1.0  # seconds: what is quicker, as all that a cache knows, shows no bar

_shown = WeakSet()
_lock = ForkLock()  # of the line above


def progress(total, verbose, *, desc="embedding", unit="image", initial=0):
    """A bar that tells how much is done and how fast, or nothing.

    There is one bar at a time: work within work that has one shows none. It appears after a second,
    so that a search over what is cached is quiet.
    """
    from tqdm.auto import tqdm

    with _lock:
        is_within = any(not bar.disable for bar in _shown)
        bar = tqdm(
            total=total,
            initial=initial,
            desc=desc,
            unit=unit,
            disable=not verbose or is_within,
            delay=DELAY,
        )
        if not bar.disable:
            _shown.add(bar)
    return bar


def in_parallel(function, calls, *, n_jobs, bar):
    """Yield what a function returns for each of several arguments, once a bar has counted it.

    Parameters
    ----------
    function : callable
        It gets scikit-learn's settings of this thread, also in another process.
    calls : iterable of tuple
        Arguments.
    n_jobs : int or None
    bar : progress bar
    """
    call = delayed(with_settings(function))
    for result in Parallel(n_jobs=n_jobs, return_as="generator")(call(*args) for args in calls):
        bar.update()
        yield result

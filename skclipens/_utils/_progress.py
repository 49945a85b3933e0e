"""Progress bars, and parallel jobs that they count."""

import sys
from weakref import WeakSet

from joblib import Parallel, delayed
from joblib.parallel import get_active_backend

from ._locks import ForkLock
from ._row_numbers import with_row_numbers
from ._sklearn import with_settings
from ._warnings import collected_of, collecting, give_collected, silent

DELAY = 1.0  # seconds; shorter runs, such as those from a cache, show no bar

_shown = WeakSet()
_lock = ForkLock()  # guards _shown


def progress(total, verbose, *, desc="embedding", unit="image", initial=0):
    """Return a progress bar, which is hidden if `verbose` is false.

    Only one bar is shown at a time: nested work shows none. It appears after a second, so that a
    search over cached embeddings shows none. A service may have no standard error to show it on.
    """
    from tqdm.auto import tqdm

    with _lock:
        is_within = any(not bar.disable for bar in _shown)
        bar = tqdm(
            total=total,
            initial=initial,
            desc=desc,
            unit=unit,
            disable=not verbose or is_within or sys.stderr is None,
            delay=DELAY,
        )
        if not bar.disable:
            _shown.add(bar)
    return bar


def in_parallel(function, calls, *, n_jobs, bar):
    """Yield the result of a function for each tuple of arguments, after a bar has counted it.

    The function runs with scikit-learn's settings and the numbers of rows of this thread, also in
    others and in other processes, whose warnings by :func:`~skclipens._utils._warnings.warn` are
    given here.
    """
    call = delayed(with_settings(collecting(with_row_numbers(function))))
    try:
        for result, told in results_of((call(*args) for args in calls), n_jobs=n_jobs):
            give_collected(told)
            bar.update()
            yield result
    except Exception as error:
        give_collected(collected_of(error))
        raise


def results_of(tasks, *, return_as="generator", **options):
    """Yield the results of joblib's tasks as they come, or all at the end if the backend must.

    Options are those of :class:`joblib.Parallel`.
    """
    backend, _ = get_active_backend()
    if not backend.supports_return_generator:  # such as "multiprocessing"
        return_as = "list"
    results = Parallel(return_as=return_as, **options)(tasks)
    try:
        # "yield from" would close them first.
        for result in results:  # noqa: UP028
            yield result
    finally:
        if return_as != "list":
            with silent(r"\d+ tasks "):  # of which nobody asked for the results
                results.close()

"""The bar that long runs show."""

from weakref import WeakSet

from ._locks import ForkLock

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

"""What a forked process does not take over from threads of its parent."""

import os
import threading
from weakref import WeakSet

_locks = WeakSet()


class ForkLock:
    """A lock, used by ``with``, that is open in a process which was forked while it was held.

    A forked process has only one thread of its parent: what others held is never released there.

    Parameters
    ----------
    reentrant : bool, default=False
        Whether the thread that holds it may take it again.
    """

    def __init__(self, reentrant=False):
        self._make = threading.RLock if reentrant else threading.Lock
        self._renew()
        _locks.add(self)

    def _renew(self):
        self._lock, self._held = self._make(), []

    def __enter__(self):
        lock = self._lock
        lock.acquire()
        self._held.append(lock)

    def __exit__(self, *error):
        if self._held:  # empty where the process was forked in between
            self._held.pop().release()


def _renew_all():
    for lock in _locks:
        lock._renew()


def renew_in_fork(renew):
    """Have a function called in every process that is forked, before anything else runs there."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


renew_in_fork(_renew_all)

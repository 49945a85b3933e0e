"""What a forked process does not take over from threads of its parent."""

import os
import threading
from weakref import WeakSet

_locks = WeakSet()


class ForkLock:
    """A lock, used by ``with``, that is open in a process which was forked while it was held.

    A forked process has only one thread of its parent: what others held is never released there.
    """

    def __init__(self):
        self._renew()
        _locks.add(self)

    def _renew(self):
        self._lock, self._held = threading.Lock(), None

    def __enter__(self):
        lock = self._lock
        lock.acquire()
        self._held = lock

    def __exit__(self, *error):
        held, self._held = self._held, None
        if held is not None:  # None where the process was forked in between
            held.release()


def _renew_all():
    for lock in _locks:
        lock._renew()


def renew_in_fork(renew):
    """Have a function called in every process that is forked, before anything else runs there."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


renew_in_fork(_renew_all)

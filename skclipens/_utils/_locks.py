"""Locks that a forked process does not inherit from its parent in a locked state."""

import os
import threading
from contextlib import contextmanager
from weakref import WeakSet

_locks = WeakSet()


class ForkLock:
    """A lock for ``with`` that is free in a process that was forked while it was held.

    A forked process has only one thread of its parent. Locks of other threads would never be
    released there.

    If it is reentrant, the thread that holds it may acquire it again.
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
        if self._held:  # empty if the process was forked in between
            self._held.pop().release()


class Overlapping:
    """A context that the first thread in it enters, and the last one out leaves.

    If each thread set and restored a setting of the process, one of them could restore what another
    one has set. In a forked process, threads of the parent do not count.

    Parameters
    ----------
    make : callable
        Returns the context manager of all threads that overlap.
    """

    def __init__(self, make):
        self._make = make
        self._lock = ForkLock()
        self._renew()
        _locks.add(self)

    def _renew(self):
        self._inside, self._context = set(), None

    @contextmanager
    def __call__(self):
        me, inside = object(), self._inside
        with self._lock:
            if not inside:
                self._context = self._make()
                self._context.__enter__()
            inside.add(me)
        try:
            yield
        finally:
            with self._lock:
                inside.remove(me)
                if not inside and inside is self._inside:
                    self._context.__exit__(None, None, None)


def _renew_all():
    for lock in _locks:
        lock._renew()


def renew_in_fork(renew):
    """Register a function to be called first in every forked process."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


renew_in_fork(_renew_all)

"""Torch in a forked process, which does not have the threads of its parent."""

import sys

from .._utils._locks import renew_in_fork

_forked = False


def mend_threads():
    """Make torch compute with one thread in a forked process.

    The process has the thread pool of its parent, but not the threads: an operation would wait for
    them forever. A single thread does not wait. Processes of loky and spawn, and those forked
    before torch was imported, have their own pools.
    """
    global _forked
    if _forked:
        import torch

        torch.set_num_threads(1)
        _forked = False


def _note_fork():
    global _forked
    _forked = "torch" in sys.modules


renew_in_fork(_note_fork)

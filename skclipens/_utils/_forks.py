"""Threads of libraries in a forked process.

The process has the thread pools of its parent, but not their threads: an operation would wait for
them forever. A single thread does not wait. Processes of loky and spawn have their own pools.
"""

import sys
from contextlib import nullcontext

from threadpoolctl import threadpool_limits

from ._locks import renew_in_fork

_is_forked = _has_torch_of_parent = False


def mend_threads():
    """Make torch compute with one thread in a process that was forked after torch was imported."""
    global _has_torch_of_parent
    if _has_torch_of_parent:
        import torch

        torch.set_num_threads(1)
        _has_torch_of_parent = False


def one_openmp_thread_in_fork():
    """Return a context that limits OpenMP, as scikit-learn uses it, to one thread if forked."""
    return threadpool_limits(1, user_api="openmp") if _is_forked else nullcontext()


def _note_fork():
    global _is_forked, _has_torch_of_parent
    _is_forked, _has_torch_of_parent = True, "torch" in sys.modules


renew_in_fork(_note_fork)

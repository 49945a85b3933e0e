"""Torch in a forked process, where the threads of its parent are not."""

import sys

from .._utils._locks import renew_in_fork

_forked = False


def mend_threads():
    """Let torch compute with one thread in a process that was forked.

    Its pool of threads is that of the parent, whose threads are not here: an operation would wait
    for them forever. One thread waits for nobody. Processes of loky and spawn have pools of their
    own, and so has a process that was forked before torch was imported.
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

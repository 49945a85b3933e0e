"""The threads of BLAS and of Python."""

from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import main_thread

from joblib import effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend
from threadpoolctl import OpenBLASController, ThreadpoolController

from ._locks import Overlapping


class _OneThread:
    """A limit of BLAS to one thread that any Python thread can set and restore."""

    def __enter__(self):
        _take_control()
        self._limit = _libraries().limit(limits=1, user_api="blas")

    def __exit__(self, *error):
        _take_control()
        self._limit.restore_original_limits()
        _take_control()

    def n_before(self):
        """Return the number of threads before; None if libraries had different ones."""
        return self._limit.get_original_num_threads()["blas"]


@cache
def _libraries():
    """Return the libraries of BLAS, those of numpy and scipy; finding them takes milliseconds."""
    return ThreadpoolController()


def _take_control():
    """Let any thread set the limit. Newer threadpoolctl obeys only the first one that did."""
    clear = getattr(OpenBLASController, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


class _OneBlasThread(Overlapping):
    """A context that limits BLAS to one thread as long as any Python thread is in it.

    The limit applies to the whole process. A thread that is alone in the context may start as many
    Python threads as BLAS had.
    """

    @property
    def n_spare(self):
        """Number of threads that BLAS had before if one Python thread is inside; otherwise 1."""
        with self._lock:
            if len(self._inside) != 1:
                return 1
            return self._context.n_before() or 1


one_blas_thread = _OneBlasThread(_OneThread)


def n_threads(n_jobs):
    """Return the number of threads of this process that `n_jobs` means in joblib's sense.

    Asked of a backend of processes, joblib would count those, or warn where none can be started.
    """
    _, of_context = get_active_backend()
    # Not backend="threading", which would count anew where joblib allows no further jobs.
    with parallel_config(prefer="threads", require="sharedmem"):
        return effective_n_jobs(of_context if n_jobs is None else n_jobs)


class ThreadPool(ThreadPoolExecutor):
    """A pool that works in the calling thread once the main thread has ended.

    Python then lets no pool take tasks, though the other threads of a service may go on for long.
    """

    def submit(self, task, /, *args):
        try:
            return super().submit(task, *args)
        except RuntimeError:
            if main_thread().is_alive():
                raise
        future = Future()
        try:
            future.set_result(task(*args))
        except Exception as error:
            future.set_exception(error)
        return future

"""A store that, if the disk fails, warns and lets embeddings be computed."""

from contextlib import ExitStack, contextmanager

from .._utils._locks import ForkLock
from .._utils._paths import broken_link
from .._utils._warnings import warn
from ..exceptions import EmbeddingStoreError
from ._store import EmbeddingStore

_lock = ForkLock()


class FallbackStore(EmbeddingStore):
    """A store for one call of an embedder, which warns once instead of raising an error.

    After a failed read, the file is read without locks, and rows that cannot be read are missing.
    After any failure, nothing is written. If a file is where the folder should be, an
    EmbeddingStoreError is raised still: the path is a mistake.
    """

    def __init__(self, store):
        super().__init__(store.path, max_bytes=store.max_bytes)
        self._failure = None
        self._immutable = self._warned = False

    def _get(self, keys, model_key):
        if not self._immutable:
            try:
                return super()._get(keys, model_key)
            except EmbeddingStoreError as error:
                self._note(error)
                self._immutable = True
        try:
            return super()._get(keys, model_key, immutable=True)
        except EmbeddingStoreError:
            self._warn()
            return {}

    def _put(self, entries):
        if entries and self._failure is None:
            try:
                super()._put(entries)
            except EmbeddingStoreError as error:
                self._note(error)
        if entries and self._failure is not None:
            self._warn()

    @contextmanager
    def _held(self):
        with ExitStack() as stack:
            if self._failure is None:
                try:
                    stack.enter_context(super()._held())
                except EmbeddingStoreError as error:
                    self._note(error)
            yield

    def _note(self, error):
        is_file = isinstance(error.__cause__, (FileExistsError, NotADirectoryError))
        if is_file and broken_link(self.path) is None:
            raise error
        self._failure = self._failure or error

    def _warn(self):
        """Warn once, only if a failure costs time: a read-only folder may hold all embeddings."""
        with _lock:  # the threads that make keys and that embed may call it at once
            warned, self._warned = self._warned, True
        if not warned:
            warn_of_failure(self._failure)


def warn_of_failure(error):
    warn(
        f"{error} The result is complete, but embeddings that are not in the store are computed in "
        "each call.",
        UserWarning,
    )

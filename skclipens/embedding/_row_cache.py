"""Cache of stored rows in this process: a search reads the same ones many times."""

from .._utils._locks import ForkLock

_OVERHEAD = 256  # bytes of an entry beside its row, of which there may be none


class RowCache:
    """Thread-safe cache of rows, as bytes, which drops those first that it got first.

    Parameters
    ----------
    max_bytes : int
        Limit of the size of all rows together, with what keeps them.
    """

    def __init__(self, max_bytes):
        self.max_bytes = max_bytes
        self._rows = {}  # by (file, model, key of the image), in the order in which they came
        self._bytes = 0
        self._lock = ForkLock()

    def get_many(self, file, model, keys):
        """Return the cached rows of images by one model, by key."""
        file = str(file)
        with self._lock:
            found = [(key, self._rows.get((file, model, key))) for key in keys]
        return {key: row for key, row in found if row is not None}

    def put_many(self, file, model, rows):
        """Cache rows, bytes by the key of each image, and drop others beyond the limit."""
        file = str(file)
        with self._lock:
            for key, row in rows.items():
                place = file, model, key
                self._drop(place)
                self._rows[place] = row
                self._bytes += len(row) + _OVERHEAD
                while self._bytes > self.max_bytes:
                    self._drop(next(iter(self._rows)))

    def forget(self, file):
        """Drop the rows of one store."""
        with self._lock:
            for place in [place for place in self._rows if place[0] == str(file)]:
                self._drop(place)

    def _drop(self, place):
        row = self._rows.pop(place, None)
        if row is not None:
            self._bytes -= len(row) + _OVERHEAD


row_cache = RowCache(2**28)

"""Rows of stores that this process has read: a search reads the same ones many times."""

from collections import OrderedDict

from .._utils._locks import ForkLock


class RowCache:
    """Rows in memory, of which those that were used least recently go first; for all threads.

    Parameters
    ----------
    max_bytes : int
        How much all rows together may take.
    """

    def __init__(self, max_bytes):
        self.max_bytes = max_bytes
        self._rows = OrderedDict()  # by (file, model, key of the image)
        self._bytes = 0
        self._lock = ForkLock()

    def get_many(self, file, model, keys):
        """The rows of images by one model, by key, as far as they are here; only to be read."""
        found = {}
        with self._lock:
            for key in keys:
                row = self._rows.get((file, model, key))
                if row is not None:
                    self._rows.move_to_end((file, model, key))
                    found[key] = row
        return found

    def put_many(self, file, model, rows):
        """Keep rows, an array by the key of each image, and drop others beyond the limit."""
        copies = {(file, model, key): row.copy() for key, row in rows.items()}
        with self._lock:
            for place, row in copies.items():
                self._drop(place)
                self._rows[place] = row
                self._bytes += row.nbytes
                while self._bytes > self.max_bytes:
                    self._drop(next(iter(self._rows)))

    def forget(self, file):
        """Drop the rows of one store."""
        with self._lock:
            for place in [place for place in self._rows if place[0] == file]:
                self._drop(place)

    def _drop(self, place):
        row = self._rows.pop(place, None)
        self._bytes -= 0 if row is None else row.nbytes


memory = RowCache(2**28)

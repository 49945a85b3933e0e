"""Cache of stored rows in this process: a search reads the same ones many times."""

from collections import OrderedDict

from .._utils._locks import ForkLock


class RowCache:
    """Thread-safe cache of rows, which drops the least recently used ones first.

    Parameters
    ----------
    max_bytes : int
        Limit of the size of all rows together.
    """

    def __init__(self, max_bytes):
        self.max_bytes = max_bytes
        # By (file, model, key of the image), all strings: those are compared fast.
        self._rows = OrderedDict()
        self._bytes = 0
        self._lock = ForkLock()

    def get_many(self, file, model, keys):
        """Return the cached rows of images by one model, by key; do not write to them."""
        found, file = {}, str(file)
        with self._lock:
            for key in keys:
                place = file, model, key
                if place in self._rows:
                    self._rows.move_to_end(place)
                    found[key] = self._rows[place]
        return found

    def put_many(self, file, model, rows):
        """Cache rows, an array by the key of each image, and drop others beyond the limit."""
        copies = {(str(file), model, key): row.copy() for key, row in rows.items()}
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
            for place in [place for place in self._rows if place[0] == str(file)]:
                self._drop(place)

    def _drop(self, place):
        row = self._rows.pop(place, None)
        self._bytes -= 0 if row is None else row.nbytes


memory = RowCache(2**28)

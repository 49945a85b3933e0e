"""Store of embeddings by image content, for all folds, shuffles, processes and runs.

The store is one SQLite file. A row is the embedding of one image by one model, not normalised, and
a digest of all three. A row that has changed on the disk counts as missing.
"""

import hashlib
import os
import sqlite3
import time
from contextlib import closing, contextmanager
from itertools import islice
from numbers import Real
from pathlib import Path

import numpy as np

from .._utils._linalg import parts_of
from .._utils._paths import check_path, why_not_made
from ..exceptions import EmbeddingStoreError
from ..images._protocols import is_url
from ._keys import FILE_DIGESTS, IMAGE_WARNINGS
from ._row_cache import row_cache

_VERSION = 2  # of the schema; each version has its own file
_FILE = f"embeddings-{_VERSION}.sqlite"
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS models (id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS rows (
    id INTEGER PRIMARY KEY, model INTEGER NOT NULL, image BLOB NOT NULL, value BLOB NOT NULL,
    UNIQUE (model, image)
);
PRAGMA user_version = {_VERSION};
COMMIT;
"""
# A stored row is left as it is, unless it is damaged.
_INSERT = """
INSERT INTO rows (model, image, value) SELECT id, ?2, ?3 FROM models WHERE key = ?1
ON CONFLICT (model, image) DO UPDATE SET value = excluded.value
WHERE opened(?1, image, CAST(value AS BLOB)) IS NULL
"""
_DIGEST_SIZE = 8
_PAGE_SIZE = 16384  # a row of 512 values fills half of SQLite's usual page, and wastes the rest
_SMALLEST_LIMIT = 2**20
_AT_ONCE = 500  # rows in one statement or transaction
_PATIENCE = 60.0  # seconds to wait for another process; a transaction takes milliseconds
_DAMAGED = f"The file is damaged. Delete {_FILE}*: only the time to embed again is lost."
_NOT_WRITABLE = "Choose a folder that can be written to, or set SKCLIPENS_CACHE to one."
_NO_FOLDERS = ("", "True", "False", "None")  # as shells and files of settings write them
_LOCKED = f"Another process has kept it locked for {_PATIENCE:g} s. End it, or try again later."
_ADVICE = {
    "SQLITE_NOTADB": _DAMAGED,
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_ERROR": _DAMAGED,  # "no such table"
    "SQLITE_IOERR": "The disk has failed, is full or has gone. Check it, or name another folder.",
    "SQLITE_READONLY": _NOT_WRITABLE,
    "SQLITE_CANTOPEN": _NOT_WRITABLE,
    "SQLITE_FULL": "Free some space; what is stored already is safe.",
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
}


class EmbeddingStore:
    """Store of embeddings on disk, with one row per image and model.

    Threads and processes may share a store, also ones that are killed while they write: every call
    is its own transaction on its own connection. The object holds only the path and the limit, so
    that it pickles.

    Fork a process only while no other thread uses a store. Otherwise the child may wait for a lock
    that no thread of its own can free, which is an error after a minute. This does not concern
    processes that are started anew, as joblib does by default.

    Parameters
    ----------
    path : None, True, str or os.PathLike, default=None
        Folder of the store, created on first use. None and True mean ``embeddings`` in
        ``~/.cache/skclipens``, or in the folder given by the environment variable
        ``SKCLIPENS_CACHE``. It must be on a disk of this machine, because SQLite cannot share a
        file between machines.
    max_bytes : int or float, default=10 * 2**30
        Size in bytes above which the rows that were written first are deleted; at least 2**20.
        The file may exceed it by one batch of rows, and SQLite keeps a log of up to 16 MB beside.

    Raises
    ------
    EmbeddingStoreError
        By every method, if the store cannot be opened or written to, or is damaged.
    ValueError
        If `max_bytes` is too small, or `path` is a URL.

    See Also
    --------
    CLIPEmbedder : Uses a store with ``cache``.
    skclipens.embedding.model_key : The model's part of the key of a row.
    skclipens.embedding.image_key : The image's part of the key of a row.

    Notes
    -----
    Embeddings that were made with other batch sizes, devices or versions of torch or Pillow differ
    in their last digits. The store does not distinguish them, nor versions of open_clip and timm.
    If a new version of these corrects a model without changing its weights or configuration, call
    :meth:`clear`.

    Examples
    --------
    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from skclipens.embedding import EmbeddingStore, image_key
    >>> cat, dog = image_key(np.zeros((8, 8))), image_key(np.ones((8, 8)))
    >>> with TemporaryDirectory() as folder:
    ...     store = EmbeddingStore(folder)
    ...     store.put_many([dog], "a model", [[0.5, 2.0]])
    ...     store.get_many([cat, dog], "a model")
    (array([False,  True]), array([[0.5, 2. ]], dtype=float32))
    """

    def __init__(self, path=None, *, max_bytes=10 * 2**30):
        if path is False:
            raise ValueError("path is False; it is a folder, or None or True for the default one.")
        if path in _NO_FOLDERS:
            raise ValueError(
                f"{path!r} names no folder for a store. Name one, or give True, which is no text, "
                "for the default one."
            )
        if not isinstance(max_bytes, Real) or not _SMALLEST_LIMIT <= max_bytes < np.inf:
            raise ValueError(
                f"max_bytes is a number of at least {_SMALLEST_LIMIT} (1 MiB); got {max_bytes!r}."
            )
        folder = default_path() if path is None or path is True else path
        check_path(folder, "path", "folder")
        if is_url(os.fspath(folder)):
            raise ValueError(
                f"{folder!r} is a URL, and a store is a file on a disk of this machine: name a "
                "folder. embed_to writes embeddings to URLs."
            )
        self.path = Path(folder).expanduser().absolute()
        self.file = self.path / _FILE
        self.max_bytes = int(max_bytes)

    def __repr__(self):
        return f"EmbeddingStore({str(self.path)!r}, max_bytes={self.max_bytes})"

    def get_many(self, keys, model_key):
        """Return the stored rows of images.

        Parameters
        ----------
        keys : sequence of n bytes
            Keys of images, see :func:`~skclipens.embedding.image_key`; a key may be repeated.
        model_key : str
            Key of the model, as in ``info()["models"]``; see
            :func:`~skclipens.embedding.model_key`.

        Returns
        -------
        found : ndarray of shape (n,), bool
            Whether there is a row for each key.
        rows : ndarray of shape (n_found, width), float32
            The stored rows, bit for bit, in the order of `keys`. Of shape (0, 0) if there is none.

        Raises
        ------
        EmbeddingStoreError
            If rows of the model differ in width, as in a damaged store.
        """
        stored = self._get(keys, model_key)
        found = np.array([key in stored for key in keys], bool)
        values = [stored[key] for key in keys if key in stored]
        sizes = {len(value) for value in values}
        if len(sizes) > 1:
            raise EmbeddingStoreError(
                f"{str(self.file)!r} has rows of different widths for {model_key!r}. {_DAMAGED}"
            )
        rows = np.frombuffer(bytearray().join(values), np.float32)  # bytearray: may be written to
        return found, rows.reshape(len(values), -1) if values else rows.reshape(0, 0)

    def put_many(self, keys, model_key, rows):
        """Store rows, and delete the oldest ones if the store has become larger than `max_bytes`.

        A row that is already stored is not changed.

        Parameters
        ----------
        keys : sequence of n bytes
            Keys of images.
        model_key : str
            Key of the model.
        rows : array-like of shape (n, width)
            Embeddings of the images, which are stored as float32.

        Raises
        ------
        ValueError
            If there is not one row per key, or an image has no key.
        """
        if None in keys:
            raise ValueError(f"Row {[*keys].index(None)} has the key None: leave it out.")
        rows = np.ascontiguousarray(rows, np.float32)
        if rows.ndim != 2 or len(rows) != len(keys) or not rows.shape[1]:
            raise ValueError(
                f"There are {len(keys)} keys, so rows must have shape ({len(keys)}, width); "
                f"got {rows.shape}."
            )
        self._put([(model_key, key, row.tobytes()) for key, row in zip(keys, rows)])

    def info(self):
        """Return what the store contains. A store that does not exist yet is not created.

        Returns
        -------
        dict
            ``path`` (of the file, str), ``entries`` (number of rows), ``bytes`` (used in the file;
            the space of deleted rows is used again), ``max_bytes``, and ``models``, a dict from the
            key of each model to its number of rows.
        """
        counts, size = {}, 0
        if self._exists():
            with self._connection() as db:
                counts, size = _rows_of_models(db), _bytes_in_use(db)
        return {
            "path": str(self.file),
            "entries": sum(counts.values()),
            "bytes": size,
            "max_bytes": self.max_bytes,
            "models": counts,
        }

    def clear(self, model_key=None):
        """Delete rows, and free their space on the disk.

        Parameters
        ----------
        model_key : None or str, default=None
            Key of the model whose rows are deleted, as in ``info()["models"]``. None: all rows.

        Raises
        ------
        ValueError
            If there are no rows of this model.
        """
        if model_key is not None and model_key not in (models := self.info()["models"]):
            raise ValueError(
                f"model_key={model_key!r} has no rows in {str(self.file)!r}; those that have are "
                f"{', '.join(map(repr, models)) or 'none'}."
            )
        if self._exists():
            with self._connection() as db:
                # Models stay: a reader that has looked up an id must not get rows of another model.
                of_model = "model = (SELECT id FROM models WHERE key = ?1)"
                db.execute(f"DELETE FROM rows WHERE ?1 IS NULL OR {of_model}", [model_key])
                db.execute("VACUUM")
        row_cache.forget(self.file)

    def _get(self, keys, model_key, *, immutable=False):
        """Return stored values by key, as bytes; damaged ones count as missing."""
        stored, wanted = {}, iter(dict.fromkeys(keys))
        with self._connection(immutable) as db:
            model = db.execute("SELECT id FROM models WHERE key = ?", [model_key]).fetchone()
            while model and (some := list(islice(wanted, _AT_ONCE))):
                marks = ",".join("?" * len(some))
                # Damage may also have turned bytes into text, or into nothing.
                query = (
                    "SELECT image, CAST(value AS BLOB) FROM rows "
                    f"WHERE model = ? AND image IN ({marks})"
                )
                for key, value in db.execute(query, [*model, *some]):
                    if (value := _opened(model_key, key, value)) is not None:
                        stored[key] = value
        return stored

    def _put(self, entries):
        """Store (key of a model, key of an image, bytes) triples."""
        with self._connection() as db:
            for some in (entries[part] for part in parts_of(len(entries), _AT_ONCE)):
                db.execute("BEGIN IMMEDIATE")  # whatever fails, closing the connection rolls back
                models = {(model,) for model, _, _ in some}
                db.executemany("INSERT OR IGNORE INTO models (key) VALUES (?)", models)
                db.executemany(_INSERT, [(*place, _sealed(*place, v)) for *place, v in some])
                self._evict(db)
                db.execute("COMMIT")

    def _evict(self, db):
        """Delete rows in the order in which they were written until the rest fits."""
        while (size := _bytes_in_use(db)) > self.max_bytes:
            first, last = db.execute("SELECT min(id), max(id) FROM rows").fetchone()
            if first is None:
                break
            # A page is freed only when all its rows are deleted. So this may be too few: repeat.
            n_rows = (last - first + 1) * (size - self.max_bytes) // size
            db.execute("DELETE FROM rows WHERE id <= ?", [first + n_rows])

    def _held(self):
        """Return a context that keeps the file open: SQLite tidies up when the last closes it."""
        return self._connection()

    @contextmanager
    def _connection(self, immutable=False):
        """Return a context with a connection for one call; threads share none."""
        if not immutable:
            self._make_folder()
        try:
            with closing(_open_immutable(self.file) if immutable else _open(self.file)) as db:
                yield db
        except sqlite3.Error as error:
            advice = [text for code, text in _ADVICE.items() if _code(error).startswith(code)]
            raise EmbeddingStoreError(
                f"The embedding store {str(self.file)!r} cannot be used: {error}. {''.join(advice)}"
            ) from error

    def _exists(self):
        """Return whether there is a store; raise EmbeddingStoreError where there can be none."""
        if any(one.is_file() for one in (self.path, *self.path.parents)):
            self._make_folder()  # raises the error
        return self.file.exists()

    def _make_folder(self):
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddingStoreError(
                f"The folder of the embedding store, {str(self.path)!r}, cannot be made: "
                f"{why_not_made(self.path, error)}. {_NOT_WRITABLE}"
            ) from error


def default_path():
    """Return the default folder of the store; ``SKCLIPENS_CACHE`` moves it."""
    try:
        folder = os.environ.get("SKCLIPENS_CACHE") or Path.home() / ".cache" / "skclipens"
    except RuntimeError as error:
        raise EmbeddingStoreError(f"This user has no home folder. {_NOT_WRITABLE}") from error
    return os.path.join(folder, "embeddings")


def _code(error):
    return getattr(error, "sqlite_errorname", "")


def _sealed(model_key, key, value):
    """Return what is stored: a digest of the row, and its value."""
    row = b"\0".join([model_key.encode(), key, value])
    return hashlib.blake2b(row, digest_size=_DIGEST_SIZE).digest() + value


def _opened(model_key, key, stored):
    """Return the value of a stored row; None if a byte has changed since."""
    value = (stored or b"")[_DIGEST_SIZE:]
    return value if _sealed(model_key, key, value) == stored else None


def _open(file):
    deadline = time.monotonic() + _PATIENCE
    while True:
        db = sqlite3.connect(file, timeout=_PATIENCE, isolation_level=None)
        try:
            _prepare(db)
            return db
        except sqlite3.Error as error:
            db.close()
            # SQLite does not wait while another connection makes the file, or while the last one
            # tidies up.
            if not _code(error).startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _open_immutable(file):
    """Open a file for reading, without locks.

    If another process writes at the same time, rows may look damaged.
    """
    return sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)


def _prepare(db):
    # Readers and the writer do not wait for each other, and no power failure can harm the file.
    db.execute("PRAGMA synchronous = NORMAL")
    db.create_function("opened", 3, _opened, deterministic=True)
    if not db.execute("PRAGMA user_version").fetchone()[0]:
        db.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(_SCHEMA)


def _rows_of_models(db):
    query = (
        "SELECT key, count(*) FROM rows JOIN models ON models.id = model "
        "WHERE key NOT IN (?, ?) GROUP BY model ORDER BY key"
    )
    return dict(db.execute(query, [FILE_DIGESTS, IMAGE_WARNINGS]).fetchall())


def _bytes_in_use(db):
    pages, free = (
        db.execute(f"PRAGMA {count}").fetchone()[0] for count in ("page_count", "freelist_count")
    )
    return (pages - free) * _PAGE_SIZE

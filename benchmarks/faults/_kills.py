"""Faults of processes: killed at work, and several on one store."""

import sqlite3
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from joblib import Memory

from benchmarks.faults._places import Outcomes, in_fork
from skclipens import AdaptiveBackboneEnsemble, CLIPEmbedder
from skclipens.datasets import load_emoji
from skclipens.embedding import EmbeddingStore, read_embeddings

WIDTH = 256
ROWS = 40  # of a store in one call
GOES_ON = "goes on with whole parts"
KEPT = "what was written is there and right"
SAME = "the same answer"


def embed_to(n, seed=0):
    """Kill n runs of ``embed_to``, each of which resumes where the last one stopped."""
    rng, counts = np.random.default_rng(seed), Counter()
    files = load_emoji().filenames[::20][:60].tolist()
    embedder = CLIPEmbedder("zoo/RN20", precision="fp32")
    expected, killed = embedder.transform(files), 0
    with tempfile.TemporaryDirectory() as folder:
        embedder.embed_to(folder, files[:2])  # imports everything before processes are forked
        seconds = _seconds(_embed_to, folder + "/all", files)
    while killed < n:
        with tempfile.TemporaryDirectory() as folder:
            ended, before = None, {}
            while ended is None:
                ended = in_fork(_embed_to, folder, files, kill_after=rng.uniform(0, seconds))
                parts = {p.name: p.stat().st_mtime_ns for p in Path(folder).glob("part-*")}
                killed += ended is None
                lost = before.keys() - parts.keys()
                again = [name for name in before if parts.get(name) != before[name]]
                counts["a part was lost or made again" if lost or again else GOES_ON] += (
                    ended is None
                )
                before = parts
            table = read_embeddings(folder)
            if not np.allclose(table, expected, rtol=0, atol=2e-6) or list(table.index) != files:
                counts["a wrong table"] += 1
    return Outcomes("kill of embed_to", counts, (GOES_ON,))


def _seconds(task, *args):
    start = time.perf_counter()
    in_fork(task, *args)
    return time.perf_counter() - start


def _embed_to(folder, files):
    CLIPEmbedder("zoo/RN20", precision="fp32").embed_to(folder, files, chunk_size=2)
    return True


def keys_of(numbers):
    """Return keys of rows."""
    return [f"image {number}".encode() for number in numbers]


def rows_of(numbers, width):
    """Return rows that are determined by their keys, so that they can be checked."""
    return np.asarray(numbers, np.float32)[:, None] + np.arange(width, dtype=np.float32)


def _write(store, numbers, log):
    """Write rows in several calls, and log the rows of each call to a file."""
    with open(log, "ab", buffering=0) as file:
        for start in range(0, len(numbers), ROWS):
            some = numbers[start : start + ROWS]
            store.put_many(keys_of(some), "model", rows_of(some, WIDTH))
            file.write(b"".join(b"%d\n" % number for number in some))


def _check(store, numbers):
    """Return which rows the store has, and whether they are right."""
    found, rows = store.get_many(keys_of(numbers), "model")
    numbers = np.asarray(numbers)[found]
    return found, bool(len(rows) == 0 or (rows == rows_of(numbers, WIDTH)).all())


def _is_sound(store):
    db = sqlite3.connect(store.file)
    try:
        return db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        db.close()


def writers(n, *, evict, seed=0):
    """Kill n writers of a store, with or without a limit that makes it drop old rows."""
    rng, counts = np.random.default_rng(seed), Counter()
    with tempfile.TemporaryDirectory() as folder:
        limit = 2**20 if evict else 2**40
        store, log = EmbeddingStore(Path(folder, "store"), max_bytes=limit), Path(folder, "log")
        seconds = _seconds(_write, EmbeddingStore(Path(folder, "first")), np.arange(1200), log)
        for i in range(n):
            numbers = np.arange(10_000 * i, 10_000 * i + 1200)
            log.write_bytes(b"")
            in_fork(_write, store, numbers, log, kill_after=rng.uniform(0, seconds))
            written = np.array(log.read_text().split(), int)
            found, right = _check(store, numbers)
            lost = not evict and not found[: len(written)].all()
            split = not evict and len(np.unique(found[len(written) :][:ROWS])) > 1
            outcome = "a wrong row" if not right else "a row was lost" if lost or split else KEPT
            counts[outcome] += 1
        if not _is_sound(store):
            counts["a damaged file"] += 1
    kind = "a store that is full" if evict else "a store"
    return Outcomes(f"kill of a writer to {kind}", counts, (KEPT,))


def processes(n_rows, n_processes=8):
    """Write rows to one store from several processes, whose parts of the rows overlap."""
    import threading

    counts = Counter()
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddingStore(Path(folder, "store"))
        share = n_rows // n_processes
        parts = [np.arange(i * share, min(n_rows, (i + 2) * share)) for i in range(n_processes)]
        tasks = [
            threading.Thread(target=in_fork, args=(_write, store, part, Path(folder, f"log{i}")))
            for i, part in enumerate(parts)
        ]
        for task in tasks:
            task.start()
        for task in tasks:
            task.join()
        found, right = _check(store, np.arange(share * n_processes))
        counts[KEPT if right else "a wrong row"] += int(found.sum())
        counts["a row was lost"] += int((~found).sum())
        if not _is_sound(store):
            counts["a damaged file"] += 1
    name = f"row written by {n_processes} processes at a time"
    return Outcomes(name, +counts, (KEPT,))


def table(n=120):
    """Return rows of three classes, in two blocks."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    return rng.normal(size=(n, 40)) + np.eye(3, 40)[y] * 3, y


def ensemble(**options):
    """Return an ensemble of two linear heads."""
    blocks = [("left", slice(0, 20)), ("right", slice(20, 40))]
    return AdaptiveBackboneEnsemble(blocks, head="linear", random_state=0, **options)


def _fit(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ensemble(memory=Memory(folder, verbose=0)).fit(*table()).predict_proba(table()[0])


def fits(n, seed=0):
    """Kill n fits that keep their heads in ``memory``, and fit again with what is left of it."""
    rng, counts = np.random.default_rng(seed), Counter()
    expected = ensemble().fit(*table()).predict_proba(table()[0])
    with tempfile.TemporaryDirectory() as folder:
        seconds = _seconds(_fit, folder)
    for _ in range(n):
        with tempfile.TemporaryDirectory() as folder:
            in_fork(_fit, folder, kill_after=rng.uniform(0, seconds))
            same = np.array_equal(in_fork(_fit, folder), expected)
            counts[SAME if same else "another answer"] += 1
    return Outcomes("kill of a fit with memory", counts, (SAME,))

"""Faults of disks: full disks, read-only disks, and folders without permission."""

import os
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from joblib import Memory

from benchmarks.faults._kills import ensemble, table
from benchmarks.faults._places import (
    NOT_RUN,
    Outcomes,
    as_nobody,
    fill,
    in_fork,
    remount,
    small_disk,
)
from skclipens import CLIPEmbedder
from skclipens.datasets import load_emoji
from skclipens.embedding import EmbeddingStore, read_embeddings

WHOLE = "the whole result, and one warning that names the file"
SILENT = "the whole result, all of it read"
NAMED = "an error that names the folder, and later the whole table"
NO_DISK = f"{NOT_RUN}: needs root"


def _embed(folder, files):
    """Return what an embedder with a store returns, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = CLIPEmbedder("zoo/RN20", precision="fp32", cache=folder).transform(files)
    return found, [str(one.message) for one in caught]


def _outcome(found, expected, said, path):
    if not np.allclose(found, expected, rtol=0, atol=2e-6):
        return "a wrong result"
    if not said:
        return SILENT
    return WHOLE if len(said) == 1 and str(path) in said[0] else f"said: {said}"


def stores(n):
    """Embed with a store on a full or read-only disk, or without permission."""
    files = load_emoji().filenames[::30][:40].tolist()
    expected = CLIPEmbedder("zoo/RN20", precision="fp32").transform(files)
    counts = {kind: Counter() for kind in ("full", "read-only", "read-only, all rows in it")}
    for _ in range(n):
        with small_disk("400k") as folder:
            if folder is None:
                for counter in counts.values():
                    counter[NO_DISK] += 1
                continue
            in_fork(_embed, folder / "store", files[:20])
            fill(folder)
            counts["full"][_outcome(*_beside(folder, files, expected))] += 1
            (folder / "others").unlink()
            remount(folder, "ro")
            counts["read-only"][_outcome(*_beside(folder, files, expected))] += 1
            known = _beside(folder, files[:20], expected[:20])
            counts["read-only, all rows in it"][_outcome(*known)] += 1
    rights = [(WHOLE,), (WHOLE,), (SILENT,)]
    return [
        Outcomes(f"store on a disk that is {kind}", counts[kind], right)
        for kind, right in zip(counts, rights, strict=True)
    ]


def _beside(folder, files, expected):
    found, said = in_fork(_embed, folder / "store", files)
    return found, expected, said, EmbeddingStore(folder / "store").file


def closed(n):
    """Open a store in a folder of another user."""
    files, counts = load_emoji().filenames[::30][:40].tolist(), Counter()
    expected = CLIPEmbedder("zoo/RN20", precision="fp32").transform(files)
    for _ in range(n):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            store = EmbeddingStore(Path(folder, "store"))
            in_fork(_embed, store.path, files[:20])
            store.path.chmod(0o555)
            found, said = as_nobody(_embed, store.path, files)
            counts[_outcome(found, expected, said, store.file)] += 1
            store.path.chmod(0o755)
    return Outcomes("store in a folder of another user", counts, (WHOLE,))


def _embed_to(folder, files):
    try:
        CLIPEmbedder("zoo/RN20", precision="fp32").embed_to(folder, files, chunk_size=100)
    except OSError as error:
        return str(error)


def tables(n):
    """Run ``embed_to`` to a disk that becomes full, and then gets space."""
    files, counts = load_emoji().filenames[::4][:500].tolist(), Counter()
    expected = None
    for _ in range(n):
        with small_disk("256k") as folder:
            if folder is None:
                counts[NO_DISK] += 1
                continue
            said = in_fork(_embed_to, folder, files)
            left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
            remount(folder, "size=8m")
            again = in_fork(_embed_to, folder, files)
            found = read_embeddings(folder)
            expected = found if expected is None else expected
            right = said and str(folder) in said and not left and again is None
            whole = len(found) == len(files) and not found.isna().any().any()
            counts[NAMED if right and whole else f"said {said!r}, then {again!r}"] += 1
    return Outcomes("embed_to on a disk that is full", counts, (NAMED,))


def _fit(folder):
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        return ensemble(memory=Memory(folder, verbose=0)).fit(*table()).predict_proba(table()[0])


def fits(n):
    """Fit with a ``memory`` on a full disk."""
    counts, expected = Counter(), ensemble().fit(*table()).predict_proba(table()[0])
    for _ in range(n):
        with small_disk() as folder:
            if folder is None:
                counts[NO_DISK] += 1
                continue
            (folder / "memory").mkdir()
            fill(folder)
            try:
                same = np.array_equal(in_fork(_fit, folder / "memory"), expected)
            except RuntimeError:
                counts["an error"] += 1
            else:
                counts["the same answer" if same else "another answer"] += 1
    return Outcomes("fit with memory on a disk that is full", counts, ("the same answer",))

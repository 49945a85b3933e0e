"""Faults of picture files: mutated ones among intact ones, whose rows must not move."""

import io
from collections import Counter

import numpy as np

from benchmarks.faults._places import Outcomes, in_fork
from skclipens import CLIPEmbedder
from skclipens.datasets import load_emoji
from skclipens.images import load_image

FORMATS = ("PNG", "JPEG", "GIF", "TIFF", "WEBP")
AT_ONCE = 400  # mutated files in a process, each behind an intact one
RIGHT = ("embedded or a row of NaN, all others in place",)


def mutated(content, rng):
    """Return a mutated file, as after a failing disk, a broken transfer or an attack."""
    data, n = bytearray(content), len(content)
    start, stop = sorted(rng.integers(0, n, 2))
    kind = rng.integers(6)
    if kind == 0:
        for at in rng.integers(0, n, rng.integers(1, 9)):
            data[at] ^= 1 << rng.integers(8)
    elif kind == 1:
        for at in rng.integers(0, min(n, 64), 2):  # in the header, which has the size
            data[at] = rng.integers(256)
    elif kind == 2:
        del data[start:]
    elif kind == 3:
        del data[start:stop]
    elif kind == 4:
        data[start:stop] = bytes(stop - start)
    else:
        data[start:start] = rng.bytes(stop - start)
    return bytes(data)


def _contents():
    pictures = [load_image(path) for path in load_emoji().filenames[::150][:8]]
    for kind in FORMATS:
        for picture in pictures:
            file = io.BytesIO()
            picture.save(file, kind)
            yield kind, file.getvalue()


def _embedded(contents, n_jobs):
    embedder = CLIPEmbedder("zoo/RN20", on_error="nan", precision="fp32", n_jobs=n_jobs)
    return embedder.transform(contents)


def mutations(n, seed=0):
    """Return outcomes for n mutated files of five formats."""
    rng, counts = np.random.default_rng(seed), {kind: Counter() for kind in FORMATS}
    contents = list(_contents())
    intact = [content for _, content in contents]
    expected = _embedded(intact, None)
    for start in range(0, n, AT_ONCE):
        some = rng.integers(0, len(contents), min(AT_ONCE, n - start))
        kinds = [contents[i][0] for i in some]
        batch = [one for i in some for one in (intact[i], mutated(intact[i], rng))]
        try:
            found = in_fork(_embedded, batch, 1 + start // AT_ONCE % 3, limit=600)
        except TimeoutError:
            outcome = "hung"
        except RuntimeError:
            outcome = "crashed"
        else:
            in_place = np.allclose(found[::2], expected[some], rtol=0, atol=2e-6)
            rows = np.isfinite(found[1::2])
            whole = in_place and (rows.all(axis=1) | ~rows.any(axis=1)).all()
            outcome = RIGHT[0] if whole else "a row of another image"
        for kind in kinds:
            counts[kind][outcome] += 1
    return [Outcomes(f"mutated {kind} files", counts[kind], RIGHT) for kind in FORMATS]

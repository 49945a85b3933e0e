"""Fits and embeddings in threads: CPU time, results and side effects."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from benchmarks.faults._places import NOT_RUN, Outcomes
from skclipens import AdaptiveBackboneEnsemble, CLIPEmbedder
from skclipens.datasets import load_emoji

MOST_CPU = 1.2  # times the CPU time of the same fits in turn
SAME = "equal to the bit"
KEPT = "limits of BLAS as before"


def _problem():
    rng = np.random.default_rng(0)
    y = np.arange(400) % 10
    return rng.normal(size=(400, 120)) + np.eye(10, 120)[y], y


def _fit(_=None):
    X, y = _problem()
    blocks = [(str(i), slice(30 * i, 30 * i + 30)) for i in range(4)]
    return AdaptiveBackboneEnsemble(blocks, head="linear", random_state=0).fit(X, y)


def _logits(clf):
    with threadpool_limits(1, user_api="blas"):
        return clf.decision_function(_problem()[0])


def _limits():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def _cpu(run):
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


def fits(n, n_fits=8):
    """Compare fits in 1, 2 and 4 threads with the same in turn, n times; the least CPU counts."""
    cheap = f"CPU within {MOST_CPU} times of that in turn"
    counts = {kind: Counter() for kind in (SAME, KEPT)}
    rows = []
    with threadpool_limits(2, user_api="blas"):  # so that there is something to get wrong
        before, expected = _limits(), _logits(_fit())
        cpu = {n_threads: [] for n_threads in (0, 1, 2, 4)}
        for _ in range(n):
            cpu[0].append(_cpu(lambda: [_fit() for _ in range(n_fits)])[0])
            for n_threads in (1, 2, 4):
                with ThreadPoolExecutor(n_threads) as pool:
                    run = _cpu(lambda pool=pool: list(pool.map(_fit, range(n_fits))))
                cpu[n_threads].append(run[0])
                kept = _limits() == before
                counts[KEPT][KEPT if kept else "other limits of BLAS"] += 1
                for clf in run[1]:
                    same = np.array_equal(_logits(clf), expected)
                    counts[SAME][SAME if same else "another fit"] += 1
    for n_threads in (1, 2, 4):
        ratio = min(cpu[n_threads]) / min(cpu[0])
        if n == 1:  # on a busy machine, a single measurement is unreliable
            found = f"{NOT_RUN}: CPU is compared where it is measured several times"
        else:
            found = cheap if ratio <= MOST_CPU else f"{ratio:.2f} times the CPU"
        rows.append(
            Outcomes(f"{n_fits} fits in {n_threads} threads", Counter({found: n}), (cheap,))
        )
    return [
        *rows,
        Outcomes("fit in a thread", counts[SAME], (SAME,)),
        Outcomes("fits in threads", counts[KEPT], (KEPT,)),
    ]


def transforms(n):
    """Compare ``transform`` in eight threads with the same in turn."""
    files, counts = load_emoji().filenames[::30][:40].tolist(), Counter()
    embedder = CLIPEmbedder("zoo/RN20", precision="fp32")
    expected, start = embedder.transform(files), threading.Barrier(8)

    def embed(_):
        start.wait()
        return embedder.transform(files)

    for _ in range(n):
        with ThreadPoolExecutor(8) as pool:
            for found in pool.map(embed, range(8)):
                counts[SAME if np.array_equal(found, expected) else "other embeddings"] += 1
    return Outcomes("transform in one of eight threads", counts, (SAME,))

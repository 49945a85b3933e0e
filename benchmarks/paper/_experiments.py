"""What the further experiments share: embeddings kept on disk, draws, and tables in Markdown."""

import hashlib
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from skclipens import MultiBackboneEmbedder
from skclipens.backbones import resolve_backbones
from skclipens.images import load_image
from skclipens.model_selection import FewShotSplit


def blocks_of(backbones):
    """Canonical name and columns of each backbone in an embedding by all of them."""
    found = resolve_backbones(backbones)
    ends = np.cumsum([backbone.width for backbone in found])
    return {
        backbone.name: slice(int(end) - backbone.width, int(end))
        for backbone, end in zip(found, ends, strict=True)
    }


def embed(images, backbones, work, *, verbose=False):
    """Embeddings of images, (n, width); taken from the folder ``work`` where it has them."""
    found = resolve_backbones(backbones)
    digest = hashlib.sha256(repr([(one.name, one.version) for one in found]).encode())
    for image in images:
        picture = load_image(image)
        digest.update(repr(picture.size).encode() + picture.tobytes())
    embedder = MultiBackboneEmbedder(backbones, verbose=verbose)
    file = Path(work) / f"{digest.hexdigest()[:24]}.npy"
    return kept(file, lambda: embedder.fit_transform(list(images)))


def kept(file, make):
    """The array in a file; made and written, as a whole or not at all, where there is none."""
    if file.is_file():
        return np.load(file)
    array = make()
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".part", delete=False) as part:
        np.save(part, array)
    os.replace(part.name, file)
    return array


def few_shot_draws(dataset, shots, draws, random_state):
    """(train, test) of each draw; a class with too few images keeps one for testing."""
    y = np.asarray(dataset.y)
    pool = np.arange(len(y)) if dataset.train is None else np.asarray(dataset.train)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="With n_shots")
        splits = list(FewShotSplit(shots, draws, random_state=random_state).split(pool, y[pool]))
    return [
        (pool[train], pool[rest] if dataset.test is None else np.asarray(dataset.test))
        for train, rest in splits
    ]


def run_draws(run_draw, draws, jobs):
    """One frame of the rows that ``run_draw(draw, train, test)`` gives for each draw."""
    found = Parallel(n_jobs=jobs)(
        delayed(_run_quietly)(run_draw, draw, train, test)
        for draw, (train, test) in enumerate(draws)
    )
    return pd.DataFrame([row for rows in found for row in rows])


def _run_quietly(run_draw, draw, train, test):
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return [{"draw": draw, **row} for row in run_draw(draw, train, test)]


def table(frame, index, columns, value="accuracy", *, scale=100, digits=1):
    """Mean ± standard deviation over draws as Markdown; what else varies is averaged in a draw."""
    by_draw = scale * frame.groupby([index, columns, "draw"], sort=False)[value].mean()
    groups = by_draw.groupby([index, columns], sort=False)
    cells = pd.DataFrame({"mean": groups.mean(), "std": groups.std()}).apply(
        lambda cell: mean_sd(cell["mean"], cell["std"], digits), axis=1
    )
    order = [frame[name].unique() for name in (index, columns)]
    return markdown(cells.unstack().reindex(index=order[0], columns=order[1], fill_value="n/a"))


def mean_sd(mean, std, digits=1):
    """``mean ± sd``; without the sd where a single draw has none."""
    return f"{mean:.{digits}f}" + ("" if np.isnan(std) else f" ± {std:.{digits}f}")


def markdown(frame):
    """A frame of strings as a Markdown table."""
    lines = [
        "| " + " | ".join(map(str, [frame.index.name or "", *frame.columns])) + " |",
        "| --- |" + " --- |" * frame.shape[1],
    ]
    lines += [
        "| " + " | ".join(map(str, [name, *cells])) + " |"
        for name, cells in zip(frame.index, frame.to_numpy(), strict=True)
    ]
    return "\n".join(lines)


def sections(frame, title, write):
    """A Markdown section: ``write(rows)``, a list of paragraphs, for each data set."""
    parts = [f"## {title}"]
    for name, rows in frame.groupby("dataset", sort=False):
        draws = rows["draw"].nunique()
        parts += [f"### {name} ({draws} draw{'s' * (draws > 1)})", *write(rows)]
    return "\n\n".join(parts) + "\n"

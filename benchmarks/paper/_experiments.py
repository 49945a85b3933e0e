"""Shared parts of the further experiments: draws, and tables in Markdown."""

import ast
import hashlib
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import skclipens
from skclipens.model_selection import FewShotSplit

from .._machine import markdown_of
from ._embedding import PLAIN, embed, write_whole


@cache
def digest_of_sources():
    """Return a digest of the code that results depend on, without comments and docstrings."""
    package, programs = Path(skclipens.__file__).parent, Path(__file__).parent
    files = sorted([*package.rglob("*.py"), *programs.glob("*.py")])
    code = "".join(code_of(file.read_text(encoding="utf-8")) for file in files)
    return hashlib.sha256(code.encode()).hexdigest()[:12]


def code_of(source):
    """Return Python code without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        has_docstring = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if has_docstring and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def draws_folder(work, dataset, backbones, *settings):
    """Return the folder of finished draws, another one for other data, settings or code."""
    pools = [None if one is None else list(one) for one in (dataset.train, dataset.test)]
    data = dataset.name, list(dataset.y), dataset.class_names, dataset.templates, pools
    text = repr((data, list(backbones), settings, digest_of_sources()))
    return Path(work, "draws", hashlib.sha256(text.encode()).hexdigest()[:24])


def few_shot_draws(dataset, shots, draws, random_state, n_classes=None):
    """Return (train, test) of each draw; a class with too few images keeps one for testing.

    With ``n_classes``, a draw has at most so many classes, drawn at random: the same ones for any
    number of shots.
    """
    y = np.asarray(dataset.y)
    pool = np.arange(len(y)) if dataset.train is None else np.asarray(dataset.train)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="With n_shots")
        splits = list(FewShotSplit(shots, draws, random_state=random_state).split(pool, y[pool]))
    splits = [
        (pool[train], pool[rest] if dataset.test is None else np.asarray(dataset.test))
        for train, rest in splits
    ]
    classes = np.unique(y[pool])
    if n_classes is None or len(classes) <= n_classes:
        return splits
    rng = np.random.default_rng(random_state)
    return [of_some_classes(split, y, n_classes, rng) for split in splits]


def of_some_classes(split, y, n_classes, rng):
    """Return the rows of a split that belong to `n_classes` classes drawn at random."""
    some = rng.choice(np.unique(y), n_classes, replace=False)
    return tuple(rows[np.isin(y[rows], some)] for rows in split)


@dataclass(frozen=True)
class Draws:
    """Number, seed, folder and options of draws, and methods to run them.

    With ``n_classes``, so many classes are drawn for each draw.
    """

    work: Path
    n_draws: int = 10
    random_state: int = 0
    jobs: int = 1
    verbose: bool = False
    n_classes: int | None = None

    def embed(self, dataset, backbones, columns=PLAIN):
        """Return embeddings of all images of a set."""
        return embed(dataset, backbones, self.work, columns=columns, verbose=self.verbose)

    def run(self, run_draw, name, dataset, backbones, shots, *settings):
        """Return rows of all draws of so many images per class, as :func:`run_draws` does.

        Parameters
        ----------
        run_draw : callable
        name : str
            Name of the experiment.
        dataset : ImageSet
        backbones : list of str
        shots : int
        *settings : objects
            Everything else that the rows depend on.
        """
        seed, n_classes = self.random_state, self.n_classes
        splits = few_shot_draws(dataset, shots, self.n_draws, seed, n_classes)
        settings = name, shots, seed, n_classes, *settings
        folder = draws_folder(self.work, dataset, backbones, *settings)
        frame = run_draws(run_draw, splits, folder, jobs=self.jobs, verbose=self.verbose)
        return frame.assign(dataset=dataset.name, shots=shots)

    def run_each(self, run_draw, name, dataset, backbones, shots, *settings):
        """Return the rows of `run` for several numbers of images per class."""
        frames = [self.run(run_draw, name, dataset, backbones, k, *settings) for k in shots]
        return pd.concat(frames, ignore_index=True)


def run_draws(run_draw, draws, folder, *, jobs=1, verbose=False):
    """Return a frame of the rows that ``run_draw(draw, train, test)`` yields for each draw.

    Finished draws are kept in a folder, and are not run again.
    """
    tasks = (
        delayed(_run_draw)(run_draw, draw, train, test, folder / f"{draw}.parquet")
        for draw, (train, test) in enumerate(draws)
    )
    running = Parallel(n_jobs=jobs, return_as="generator")(tasks)
    bar = tqdm(running, desc="draws", total=len(draws), disable=not verbose)
    return pd.concat(map(pd.read_parquet, bar), ignore_index=True)


def _run_draw(run_draw, draw, train, test, path):
    if not path.exists():
        with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
            warnings.simplefilter("ignore", ConvergenceWarning)
            rows = [{"draw": draw, **row} for row in run_draw(draw, train, test)]
        write_whole(path, pd.DataFrame(rows).to_parquet)
    return path


def table(frame, index, columns, value="accuracy", *, scale=100, digits=1):
    """Return mean ± standard deviation over draws as Markdown, with means over all else."""
    by_draw = scale * frame.groupby([index, columns, "draw"], sort=False)[value].mean()
    groups = by_draw.groupby([index, columns], sort=False)
    cells = pd.DataFrame({"mean": groups.mean(), "std": groups.std()}).apply(
        lambda cell: mean_sd(cell["mean"], cell["std"], digits), axis=1
    )
    order = [frame[name].unique() for name in (index, columns)]
    return markdown_of(cells.unstack().reindex(index=order[0], columns=order[1], fill_value="n/a"))


def mean_sd(mean, std, digits=1):
    """Format ``mean ± sd``, without the sd for a single draw."""
    return f"{mean:.{digits}f}" + ("" if np.isnan(std) else f" ± {std:.{digits}f}")


def gaps_of(gaps):
    """Return ``mean ± standard error`` over draws of differences, with columns for shots."""
    groups = gaps.groupby("shots", sort=False)
    means, errors = groups.mean().T, groups.sem().T
    errors = errors.map(lambda error: "" if np.isnan(error) else f" ± {error:.2f}")  # one draw
    return means.map("{:+.2f}".format) + errors


def by_shots(table):
    """Return a table with a column for each number of shots, as Markdown."""
    return markdown_of(table.rename(columns=lambda k: f"{k} shots"))


def sections(frame, title, write):
    """Return a Markdown section for each data set: ``write(rows)``, a list of paragraphs."""
    parts = [f"# {title}"]
    for name, rows in frame.groupby("dataset", sort=False):
        draws = rows["draw"].nunique()
        parts += [f"## {name} ({draws} draw{'s' * (draws > 1)})", *write(rows)]
    return "\n\n".join(parts) + "\n"

"""Read a folder that ``embed_to`` has written: all of it, some rows, or a part at a time."""

import re
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
from joblib import delayed, effective_n_jobs

from .._utils._progress import progress, results_of
from .._utils._sample_arguments import index_of
from ..backbones import resolve_backbones
from ..backbones._kinds import kind_behind_prefix, kinds_of, numbered_columns
from ._folder import MANIFEST, Folder, chunks_of, marks_of, require_pyarrow

_TASKS_PER_WORKER = 4  # a lost worker loses at most one of these


def read_embeddings(folder, *, backbones=None, rows=None):
    """Read a table that ``embed_to`` has written.

    The files are plain Parquet: ``pandas.read_parquet(folder)`` and
    ``polars.read_parquet(f"{folder}/*.parquet")`` read them too. If the whole table does not fit in
    memory, read the files one by one. This function makes sure that no part is missing or damaged,
    and needs little memory beside the result.

    Parameters
    ----------
    folder : str or os.PathLike
        Folder or fsspec URL.
    backbones : None, str or list of str, default=None
        Which of the backbones to read, in this order, with all of their blocks; see
        :class:`skclipens.backbones.Backbone`. None: all.
    rows : None or array-like, default=None
        Which rows to read: positions, which also give the order of the result, or a mask of all
        rows. None: all. Files without any of these rows are not read.

    Returns
    -------
    pandas.DataFrame of shape (n, n_columns), float32
        Rows in the order of the images, indexed by their names; columns named as by the embedder,
        so that :class:`~skclipens.AdaptiveBackboneEnsemble` with ``blocks=None`` reads them.

    Raises
    ------
    FileNotFoundError
        If the folder holds no embeddings.
    ValueError
        If a part is missing, for example because ``embed_to`` has not finished, or is damaged; the
        message names it. Also if there is no such backbone or row.

    See Also
    --------
    skclipens.MultiBackboneEmbedder.embed_to : Write the folder.
    skclipens.embedding.predict_embeddings : Classify its rows if they do not fit in memory.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skclipens import MultiBackboneEmbedder
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.embedding import read_embeddings
    >>> embedder = MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-16"])
    >>> with TemporaryDirectory() as folder:
    ...     parts = embedder.embed_to(folder, load_emoji().filenames[:5], chunk_size=2)
    ...     read_embeddings(folder, backbones="zoo/ViT-16").shape
    (5, 128)
    """
    import pandas as pd

    table = PartedTable(folder, backbones)
    rows = _positions(rows, table.n_rows)
    values = np.empty((len(rows), len(table.columns)), np.float32)
    names = np.empty(len(rows), object)
    for part, places, of_part in _by_part(rows, table.parts):
        frame = table.read(part)
        values[places] = frame.iloc[of_part]
        names[places] = frame.index[of_part]
    return pd.DataFrame(
        values, index=pd.Index(names, name="image"), columns=table.columns, copy=False
    )


class PartedTable:
    """The table in a finished folder of ``embed_to``, for any process that can read it.

    Parameters
    ----------
    folder : str or os.PathLike
    backbones : None, str or list of str
    columns : None or list of str
        Columns to read, in this order. None: those of the backbones.

    Attributes
    ----------
    n_rows : int
    columns : list of str
    parts : list of (name, start, stop)
        With the first row of each part, and the row after its last.
    settings : dict of str to str
        For each block, its weights and how images were decoded and scaled.
    """

    def __init__(self, folder, backbones=None, columns=None):
        require_pyarrow()
        self._folder = Folder(folder)
        self.name = self._folder.name
        manifest = self._folder.manifest()
        if manifest is None:
            raise FileNotFoundError(
                f"{self.name!r} holds no embeddings, or no {MANIFEST}. Give the folder that "
                "embed_to has written."
            )
        self.n_rows = manifest["n_images"]
        self.parts = chunks_of(self.n_rows, manifest["chunk_size"])
        self._marks, self._fingerprints = marks_of(manifest), manifest.get("parts") or {}
        self.settings = _settings(manifest)
        self._folder.require([name for name, _, _ in self.parts])
        self.columns = _columns(manifest["widths"], backbones)
        if columns is not None:
            lacking = [name for name in columns if name not in set(self.columns)]
            if lacking:
                raise ValueError(
                    f"{self.name!r} lacks {len(lacking)} of {len(columns)} columns, such as "
                    f"{lacking[0]!r}.{_how_to_embed(lacking[0])}"
                )
            self.columns = list(columns)

    def read(self, part):
        """Return the rows of a part, as a frame."""
        name, start, stop = part
        known = self._marks[name], self._fingerprints.get(name)
        frame, _ = self._folder.read(name, stop - start, *known, self.columns)
        return frame[self.columns]

    @contextmanager
    def naming(self, part):
        """Return a context that adds the file of a part to errors about its values."""
        try:
            yield
        except ValueError as error:
            raise ValueError(f"{self._folder.path(part[0])!r}: {error}") from error

    def map(self, task, arguments, *, verbose, desc):
        """Run a task on all parts, in this process or in the workers of joblib's context.

        Parameters
        ----------
        task : callable
            Called as ``task(table, parts, arguments(start, stop))``, with consecutive parts. Its
            result may be large, so there are few calls.
        arguments : callable
            Returns what a task needs for the rows from start to stop, as a tuple.
        verbose : bool or int
        desc : str
            Label of the progress bar.

        Yields
        ------
        start, stop : int
        result : object
            What the task returned for these rows, in order of completion.
        """
        n_tasks = min(len(self.parts), _TASKS_PER_WORKER * max(1, effective_n_jobs(None)))
        bounds = np.linspace(0, len(self.parts), n_tasks + 1).astype(int).tolist()
        groups = [self.parts[a:b] for a, b in pairwise(bounds)]
        # In one tuple: joblib's backend for Dask would put arrays on workers, which may be lost.
        tasks = (
            delayed(_done)(task, self, group, arguments(group[0][1], group[-1][2]))
            for group in groups
        )
        with progress(self.n_rows, verbose, desc=desc, unit="row") as bar:
            for done in results_of(tasks, batch_size=1, return_as="generator_unordered"):
                yield done
                bar.update(done[1] - done[0])

    def refuse_other_settings(self, settings):
        """Raise ValueError if blocks have other settings than those of another table."""
        for name in settings.keys() & self.settings.keys():
            if settings[name] != self.settings[name]:
                raise ValueError(
                    f"{self.name!r} has embeddings of {name!r} that were made otherwise than those "
                    f"that were fitted on: {self.settings[name]!r}, which were "
                    f"{settings[name]!r}. Embed with the same weights and settings."
                )


def _how_to_embed(lacking):
    """Return advice on a lacking column of an embedder, or an empty string."""
    numbered = numbered_columns([lacking])[0]
    if numbered is None or kind_behind_prefix(numbered[0]) is None:
        return ""
    return (
        " Embed with the backbones, features and views of the fit: a pipeline clf has its embedder "
        "as clf[0], so call clf[0].embed_to(folder, images)."
    )


def _settings(manifest):
    # Precisions make hardly a difference, and depend on the machine.
    models = [re.sub(r" (fp32|fp16|bf16) ", " ", model) for model in manifest.get("models", [])]
    ending = "" if manifest.get("normalize", True) else ", not normalised"
    return {name: model + ending for name, model in zip(manifest["widths"], models)}


def _done(task, table, parts, given):
    return parts[0][1], parts[-1][2], task(table, parts, given)


def _positions(rows, n_rows):
    """Return the positions of rows, from positions or a mask."""
    if rows is None:
        return np.arange(n_rows)
    if index_of(rows) is not None and rows.dtype == bool:
        raise ValueError(
            "rows has an index of its own, but the table is read by position. Pass "
            "rows.to_numpy(), in the order of the images."
        )
    rows = np.asarray(rows)
    if rows.ndim == 1 and rows.dtype == bool and len(rows) == n_rows:
        return np.flatnonzero(rows)
    if not rows.size:
        rows = rows.astype(int)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or (rows.size and rows.min() < 0):
        raise ValueError(f"rows are positions from 0 on, or a mask of all {n_rows} rows.")
    if len(rows) == n_rows > 2 and rows.max() < 2:
        raise ValueError(
            f"rows has {n_rows} numbers, all 0 or 1, as a mask of all rows. A mask has the type "
            "bool: pass rows.astype(bool)."
        )
    if rows.size and rows.max() >= n_rows:
        raise ValueError(f"rows has {rows.max()}, but there are only {n_rows} rows.")
    return rows


def _by_part(rows, parts):
    """Yield parts that have some of the rows, with positions in `rows` and in the part."""
    order = np.argsort(rows, kind="stable")
    of_sorted = rows[order]
    for part in parts:
        first, last = np.searchsorted(of_sorted, part[1:])
        if first < last:
            yield part, order[first:last], of_sorted[first:last] - part[1]


def _columns(widths, backbones):
    """Return the names of the columns of all blocks, or of the blocks of some backbones."""
    names = list(widths)
    if backbones is not None:
        names = []
        for backbone in resolve_backbones(backbones):
            of_backbone = [k.name for k in kinds_of(backbone.name) if k.name in widths]
            if not of_backbone:
                raise ValueError(
                    f"There are no embeddings by {backbone.name}, only by {', '.join(widths)}."
                )
            names += of_backbone
    return [f"{name}__{i}" for name in names for i in range(widths[name])]

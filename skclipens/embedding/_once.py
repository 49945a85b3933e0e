"""What a pipeline makes of images without learning, computed once for all folds."""

from itertools import takewhile

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from .._utils._labels import labels_of, unlabeled_rows
from .._utils._sklearn import safe_indexing
from ..images import as_image_list
from ..images._collections import some_images
from ._base import BaseEmbedder
from ._image_columns import may_leave_out, unreadable_in_columns
from ._unreadable import refuse_splits, unreadable_rows, warn_of_unreadable


def embedded_once(estimator, X, y, rows=None):
    """Apply the first steps of a pipeline that need no fit, such as embedders.

    Other estimators and pipelines are returned unchanged, and so are their rows of X. If a
    ColumnTransformer in one leaves NaN for images that cannot be read, images are embedded to find
    these.

    Parameters
    ----------
    estimator : estimator
    X : collection of n rows
    y : ndarray of shape (n,)
    rows : ndarray of int, default=None
        Positions of the rows that are needed; the returned `X` and `unreadable` have only these.
        None: all.

    Returns
    -------
    first : Pipeline or None
        A copy of these steps, fitted; None if there are none. An embedder before the last step
        returns frames, since blocks are found by column names.
    rest : estimator
        The last step, or a pipeline of the other steps; not a copy.
    X : array-like of shape (n, ...)
        The input of `rest`.
    unreadable : ndarray of shape (n,), bool
        Rows of images that cannot be read; a warning names them.

    Raises
    ------
    ImageError
        If an image cannot be read and ``on_error="raise"``, or none can.
    ValueError
        If images are left out, and a step has splits, such as a ``cv``, that count them. If two
        classes have a label, also the errors of a :class:`~skclipens.pipeline.BackbonePipeline`
        that need no image, before any is embedded.
    """
    steps = [step for _, step in estimator.steps[:-1]] if isinstance(estimator, Pipeline) else []
    n_ready = len([*takewhile(_needs_no_fit, steps)])
    rows = np.arange(len(y)) if rows is None else rows
    needed = X if len(rows) == len(y) else _rows_of(X, rows, steps)
    first, rest, table = None, estimator, needed
    unreadable, images = np.zeros(len(rows), bool), None
    if n_ready:
        labeled = ~unlabeled_rows(y, signs_are_classes=True)
        if hasattr(estimator, "_before_fit") and len(set(y[labeled].tolist())) > 1:
            known = X if labeled.all() else _rows_of(X, np.flatnonzero(labeled), steps)
            clone(estimator)._before_fit(known, labels_of(y, labeled), {})
        first, rest = _split_at(estimator, n_ready)
        table = first.fit_transform(needed)
        if any(isinstance(step, BaseEmbedder) for step in steps[:n_ready]):
            unreadable, images = unreadable_rows(table), as_image_list(needed)
    elif steps and may_leave_out(steps[0]):
        unreadable, images = unreadable_in_columns(steps[0], needed)
    if unreadable.any():
        among_all = np.zeros(len(y), bool)
        among_all[rows] = unreadable  # messages number all rows
        images = {row: images[place] for place, row in enumerate(rows.tolist())}
        warn_of_unreadable(among_all, "are left out", images, labels=y)
        refuse_splits(estimator, unreadable)
    return first, rest, table, unreadable


def _split_at(pipeline, n_steps):
    """Return a copy of the first steps, and the others: a pipeline, or one step."""
    first, rest = clone(pipeline[:n_steps]), pipeline[n_steps:]
    if len(rest) > 1:
        return first, rest
    if isinstance(first[-1], BaseEmbedder):
        first[-1].set_output(transform="pandas")
    return first, rest[0]


def _rows_of(X, rows, steps):
    embeds = steps and isinstance(steps[0], BaseEmbedder)
    return some_images(X, rows) if embeds else safe_indexing(X, rows)


def _needs_no_fit(step):
    return hasattr(step, "__sklearn_tags__") and not get_tags(step).requires_fit

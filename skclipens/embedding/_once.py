"""What a pipeline makes of images without learning, computed once for all folds."""

from itertools import takewhile

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from ..images import as_image_list
from ._base import BaseEmbedder
from ._gaps import gaps_of, refuse_splits, warn_of_gaps


def embedded_once(estimator, X, y):
    """Apply the first steps of a pipeline that need no fit, such as embedders.

    Other estimators and pipelines, and their X, are returned unchanged.

    Parameters
    ----------
    estimator : estimator
    X : collection of n rows
    y : array-like of shape (n,)

    Returns
    -------
    first : Pipeline or None
        A copy of these steps, fitted; None if there are none. An embedder before the last step
        returns frames, since blocks are found by column names.
    rest : estimator
        The last step, or a pipeline of the other steps; not a copy.
    X : array-like of shape (n, ...)
        The input of `rest`.
    gaps : ndarray of shape (n,), bool
        Rows of images that cannot be read; a warning names them.

    Raises
    ------
    ImageError
        If an image cannot be read and ``on_error="raise"``, or none can.
    ValueError
        If images are left out, and a step has splits, such as a ``cv``, that count them.
    """
    steps = [step for _, step in estimator.steps[:-1]] if isinstance(estimator, Pipeline) else []
    n_ready = len([*takewhile(_needs_no_fit, steps)])
    gaps = np.zeros(len(y), bool)
    if not n_ready:
        return None, estimator, X, gaps
    first, rest = clone(estimator[:n_ready]), estimator[n_ready:]
    if len(rest) == 1:
        rest = rest[0]
        if isinstance(first[-1], BaseEmbedder):
            first[-1].set_output(transform="pandas")
    table = first.fit_transform(X)
    if any(isinstance(step, BaseEmbedder) for step in steps[:n_ready]):
        gaps = gaps_of(table)
    if gaps.any():
        warn_of_gaps(gaps, "are left out", as_image_list(X), labels=y)
        refuse_splits(estimator, gaps)
    return first, rest, table, gaps


def _needs_no_fit(step):
    return hasattr(step, "__sklearn_tags__") and not get_tags(step).requires_fit

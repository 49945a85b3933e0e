"""Fit experts, and compute their logits of held-out rows."""

from contextvars import copy_context
from functools import cache, partial
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed

from .._utils._folds import covers_most, few_shot_folds, validation_rows
from .._utils._linalg import positions_in, take_rows
from .._utils._metadata import rows_of
from .._utils._progress import in_parallel, progress
from .._utils._sklearn import with_settings
from .._utils._threads import n_threads, one_blas_thread
from ..heads._classifier import expand_with_largest, expand_with_smallest, trait_of
from ..heads._text_head import encode_ahead
from ._experts import stack_logits


class HeldOut(NamedTuple):
    """Held-out logits of experts.

    Attributes
    ----------
    rows : ndarray of shape (n,), int
        Positions of the rows.
    logits : ndarray of shape (n, E, C), dtype of X
        Undefined where ``valid`` is False.
    valid : ndarray of shape (n, E), bool
        Whether a row can validate an expert, which has not learned from it and knows its class.
    """

    rows: np.ndarray
    logits: np.ndarray
    valid: np.ndarray

    def validated(self, y, n_classes):
        """Find the experts that rows of more than half of the classes can validate.

        Return their mask, (E,), and the positions in ``rows`` of those that validate all of them.
        No expert is validated if there is no such row. `y` has the labels of ``rows``.
        """
        experts = np.array([covers_most(y[of_expert], n_classes) for of_expert in self.valid.T])
        rows = np.flatnonzero(self.valid[:, experts].all(axis=1) & experts.any())
        return experts & bool(len(rows)), rows

    def take(self, some):
        """Return the HeldOut of some of the rows, by positions in ``rows``."""
        return HeldOut(self.rows[some], self.logits[some], self.valid[some])


def fit_experts(experts, X, y, metadata, *, origins=None, verbose=False):
    """Fit experts on all rows.

    `metadata` has ``sample_weight`` and ``groups``. `origins` is part of the key of cached results;
    see `cached_by`.
    """
    _encode_ahead(experts, y, verbose)
    with _bar(len(experts), verbose) as bar:
        return [_counted(bar, expert.fit(X, y, metadata)) for expert in experts]


def fit_and_hold_out(
    experts,
    X,
    y,
    classes,
    cv,
    *,
    metadata,
    origins=None,
    random_state=None,
    n_jobs=None,
    verbose=False,
):
    """Fit experts; return them, and HeldOut, their logits of held-out rows.

    See :func:`fit_experts`, and :class:`skclipens.AdaptiveBackboneEnsemble` for ``cv``.
    """
    _encode_ahead(experts, y, verbose)
    learns, groups = any(expert.learns for expert in experts), metadata["groups"]
    # Made on first use, and once.
    splits = cache(partial(few_shot_folds, y, cv, groups=groups, random_state=random_state, X=X))
    if not learns or not isinstance(cv, Real) or isinstance(cv, Integral):
        # If the folds are not required, a head may use a cheaper way, such as leave-one-out.
        required = learns and (groups is not None or not isinstance(cv, Real))
        options = {"metadata": metadata, "n_jobs": n_jobs, "verbose": verbose}
        return _cross_fit(experts, X, y, classes, splits, required, **options)
    ((train, rows),) = splits()
    seen = X[train], y[train], rows_of(metadata, train)
    with _bar(len(experts), verbose) as bar:
        experts = [
            _counted(bar, expert.fit(*(seen if expert.learns else (X, y, metadata))))
            for expert in experts
        ]
    logits = stack_logits(experts, X[rows], classes)
    valid = np.stack([np.isin(y[rows], expert.head.classes_) for expert in experts], axis=1)
    return experts, HeldOut(rows, logits, valid)


def _encode_ahead(experts, y, verbose):
    encode_ahead([expert.head for expert in experts], np.unique(y), verbose)


def _cross_fit(experts, X, y, classes, splits, required, *, metadata, n_jobs, verbose):
    """Fit on all rows, and get held-out logits by cross-fitting.

    Heads that learn nothing from rows, or that have ``cross_fit``, are fitted once.
    """
    rows = validation_rows(y)
    place = np.full(len(y), -1)
    place[rows] = np.arange(len(rows))
    jobs = _refits(experts, splits, is_validation=place >= 0)
    fitted, shape = [None] * len(experts), (len(rows), len(experts))
    logits, valid = np.zeros((*shape, len(classes)), X.dtype), np.zeros(shape, bool)
    with _bar(len(experts) + len(jobs), verbose) as bar:
        # In this process, which has cached the text features of the classes.
        fit = partial(
            _fit_one,
            X=X,
            y=y,
            classes=classes,
            folds=splits() if required else None,
            metadata=metadata,
            rows=rows,
        )
        for e, (expert, places, own_logits) in _fit_all(fit, experts, n_jobs):
            fitted[e] = _counted(bar, expert)
            logits[places, e], valid[places, e] = own_logits, True
        calls = (
            (*_narrow(experts[e], X), y, classes, train, test, metadata) for e, train, test in jobs
        )
        running = in_parallel(_fit_on_fold, calls, n_jobs=n_jobs, bar=bar)
        for (e, _, test), test_logits in zip(jobs, running, strict=True):
            logits[place[test], e], valid[place[test], e] = test_logits, True
    return fitted, HeldOut(rows, logits, valid)


def _refits(experts, splits, is_validation):
    """Return the fits on folds as (expert, train, test), with the validation rows in test."""
    to_refit = [
        e for e, one in enumerate(experts) if one.learns and not hasattr(one.head, "cross_fit")
    ]
    parts = [(train, test[is_validation[test]]) for train, test in (splits() if to_refit else ())]
    return [(e, *part) for e in to_refit for part in parts if len(part[1])]


def _fit_all(fit, experts, n_jobs):
    """Yield positions of experts and results of ``fit``, in any order.

    Heads in closed form are fitted in as many threads as BLAS would use. This is faster than
    threads within their many small products, and changes no result. The widest heads take longest,
    so they come first.
    """
    closed = [e for e, one in enumerate(experts) if trait_of(one.head, "_in_closed_form")]
    closed.sort(key=lambda e: -len(experts[e].block.columns))
    most = one_blas_thread.n_spare
    if n_jobs is not None:
        most = min(most, n_threads(n_jobs))
    threads = Parallel(most, backend="threading", return_as="generator")
    fit_one = with_settings(fit)
    # Each in a copy of the context, which holds the warnings already given.
    calls = [delayed(copy_context().run)(fit_one, experts[e]) for e in closed]
    yield from zip(closed, threads(calls), strict=True)
    for e in set(range(len(experts))).difference(closed):
        yield e, fit(experts[e])


def _fit_one(expert, X, y, classes, folds, metadata, rows):
    """Return the fitted expert, the rows that validate it without a refit, and their logits."""
    if expert.learns and hasattr(expert.head, "cross_fit"):
        fitted, logits, valid = expert.cross_fit(X, y, folds, metadata)
        places = np.flatnonzero(valid[rows])
        return fitted, places, fitted.for_classes(take_rows(logits, rows[places]), classes)
    fitted = expert.fit(X, y, metadata)
    if expert.learns:
        return fitted, [], 0
    places = positions_in(y[rows], fitted.head.classes_)
    return fitted, places, fitted.logits(take_rows(X, rows[places]), classes)


def _narrow(expert, X):
    """Return an expert and only its columns, so that jobs do not copy the others."""
    columns = expert.columns_of(X)
    own = expert.block._replace(columns=np.arange(columns.shape[1]))
    return expert._replace(block=own), columns


def _fit_on_fold(expert, X, y, classes, train, test, metadata):
    """Fit an expert on train; return logits of test for all classes, (n_test, C).

    `train` and `test` are positions of rows.
    """
    fitted, learned = expert.fit(X[train], y[train], rows_of(metadata, train)), np.unique(y)
    own_classes = fitted.head.classes_
    # The head that is fitted on all rows knows classes that this fold lacks.
    logits = expand_with_smallest(fitted.logits(X[test], own_classes), own_classes, learned)
    return expand_with_largest(logits, learned, classes)


def _bar(n_fits, verbose):
    return progress(n_fits, verbose, desc="fitting heads", unit="fit")


def _counted(bar, result):
    """Return a result after advancing the progress bar."""
    bar.update()
    return result

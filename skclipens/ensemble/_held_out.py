"""Fitting experts and judging them by rows that they have not seen."""

import warnings
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from sklearn.model_selection import StratifiedKFold, train_test_split

from .._utils._validation import few_rows_per_class
from ._blocks import take


class FittedExperts(NamedTuple):
    """Fitted experts, and how those that rows can judge do on rows that they have not seen.

    Attributes
    ----------
    experts : list of E Expert
    judged : ndarray of shape (E,), bool
    rows : ndarray of shape (n,), int
        Positions of the rows that judge.
    logits : ndarray of shape (n, judged.sum(), C), dtype of X
    """

    experts: list
    judged: np.ndarray
    rows: np.ndarray
    logits: np.ndarray


def stack_logits(experts, X, classes):
    """Logits of fitted experts, (n, E, C)."""
    return np.stack([expert.logits(X, classes) for expert in experts], axis=1)


def fit_experts(experts, X, y, classes, cv, random_state=None, n_jobs=None):
    """Fit experts, and judge them by rows that they have not seen.

    Parameters
    ----------
    experts : list of E Expert
    X : ndarray of shape (n, n_features)
    y : ndarray of shape (n,)
    classes : ndarray of shape (C,)
    cv : int, float, splitter or "prefit"
        See :class:`skclipens.AdaptiveBackboneEnsemble`.
    random_state : int, RandomState instance or None
    n_jobs : int or None

    Returns
    -------
    FittedExperts
    """
    rows = np.arange(len(y))
    if cv == "prefit":
        logits = _judge(experts, X, y, classes)
    elif isinstance(cv, Real) and not isinstance(cv, Integral) and any(e.learns for e in experts):
        train, rows = _split_once(y, cv, random_state)
        experts = [
            expert.fit(X[train], y[train]) if expert.learns else expert.fit(X, y)
            for expert in experts
        ]
        logits = _judge(experts, X[rows], y[rows], classes)
    else:
        experts = [expert.fit(X, y) for expert in experts]
        logits = _cross_judge(experts, X, y, classes, (cv, random_state), n_jobs)
    known = ~np.isnan(logits[..., 0])
    judged = _judged(known, y[rows], classes)
    usable = known[:, judged].all(axis=1)
    return FittedExperts(experts, judged, rows[usable], logits[usable][:, judged])


def _judged(known, y, classes):
    """Experts that have rows to judge them for more than half of the classes; all if none has."""
    covered = np.array([len(np.unique(y[by_expert])) for by_expert in known.T])
    judged = 2 * covered > len(classes)
    return judged if judged.any() else ~judged


def _judge(experts, X, y, classes):
    """Logits for rows that experts did not train on, (n, E, C).

    NaN where an expert has not seen the row's class: it cannot be judged by the row.
    """
    logits = stack_logits(experts, X, classes)
    for e, expert in enumerate(experts):
        logits[~np.isin(y, expert.head.classes_), e] = np.nan
    return logits


def _cross_judge(experts, X, y, classes, cv, n_jobs):
    """As :func:`_judge`, with heads that are fitted on the other folds of each row.

    Not for heads that do not learn from rows, or that know how they do on rows they have not seen.
    """
    logits = np.full((len(X), len(experts), len(classes)), np.nan, X.dtype)
    to_refit = []
    for e, expert in enumerate(experts):
        if not expert.learns:
            logits[:, [e]] = _judge([expert], X, y, classes)
        elif (held_out := getattr(expert.head, "held_out_logits_", None)) is not None:
            logits[:, e] = held_out
        else:
            to_refit.append(e)
    folds = _folds(X, y, *cv) if to_refit else []
    jobs = [(e, train, test) for e in to_refit for train, test in folds]
    results = Parallel(n_jobs=n_jobs)(
        delayed(_fit_and_judge)(experts[e], X, y, train, test, classes) for e, train, test in jobs
    )
    for (e, _, test), held_out in zip(jobs, results, strict=True):
        logits[test, e] = held_out[:, 0]
    return logits


def _fit_and_judge(expert, X, y, train, test, classes):
    X = take(X, expert.columns)  # first: rows of all columns would be copied for each expert
    expert = expert._replace(columns=np.arange(X.shape[1])).fit(X[train], y[train])
    return _judge([expert], X[test], y[test], classes)


def _split_once(y, test_size, random_state):
    try:
        return train_test_split(
            np.arange(len(y)), test_size=test_size, stratify=y, random_state=random_state
        )
    except ValueError as error:
        raise ValueError(
            f"cv={test_size} cannot hold out rows of every class: {error} Use a larger "
            "fraction, or an integer for cross-fitting."
        ) from None


def _folds(X, y, cv, random_state):
    splitter = cv
    if isinstance(cv, Integral):
        largest = np.unique(y, return_counts=True)[1].max()
        if largest < 2:
            return []
        splitter = StratifiedKFold(min(cv, largest), shuffle=True, random_state=random_state)
    with warnings.catch_warnings(), few_rows_per_class():
        # Rows whose class is in no other fold judge no head; see `_judge`.
        warnings.filterwarnings("ignore", message="The least populated class")
        folds = list(splitter.split(X, y))
    # Most classifiers refuse to be fitted on a single class.
    return [(train, test) for train, test in folds if len(np.unique(y[train])) > 1]

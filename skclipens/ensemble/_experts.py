"""Blocks of columns, the experts on them, and the logits that experts give."""

import re
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from .._validation import few_rows_per_class
from ..backbones import Backbone, resolve_backbones
from ..heads import ZeroShotHead

_COLUMN_NAME = re.compile(r"^(?P<block>.+)__\d+$")
_SMALLEST_PROBABILITY = 1e-12


class Block(NamedTuple):
    """Columns that belong together: one backbone's embedding, or any part of a table."""

    name: str
    columns: np.ndarray
    backbone: str | None


class Expert(NamedTuple):
    """A head on a block of columns."""

    name: str
    head: object
    columns: np.ndarray

    def fit(self, X, y):
        """Return this expert with its head fitted on its own columns."""
        with few_rows_per_class():
            return self._replace(head=clone(self.head).fit(X[:, self.columns], y))

    @property
    def learns(self):
        """Whether the head's logits depend on the rows that it is fitted on."""
        return getattr(self.head, "_learns_from_rows", True)

    def logits(self, X, classes):
        """Logits of shape (n, C) for all classes, also those that the head has not seen.

        A class that the head has not seen gets the row's smallest logit.
        """
        X = X[:, self.columns]
        if hasattr(self.head, "decision_function"):
            logits = np.asarray(self.head.decision_function(X))
        else:
            logits = np.log(np.maximum(self.head.predict_proba(X), _SMALLEST_PROBABILITY))
        if logits.ndim == 1:
            logits = np.stack([-logits / 2, logits / 2], axis=1)
        if logits.shape[1] != len(self.head.classes_):
            raise ValueError(
                f"Expert {self.name!r} gives {logits.shape[1]} scores for "
                f"{len(self.head.classes_)} classes; its decision_function must give one each."
            )
        full = np.repeat(logits.min(axis=1, keepdims=True), len(classes), axis=1)
        full[:, np.searchsorted(classes, self.head.classes_)] = logits
        return full.astype(X.dtype, copy=False)


def find_blocks(blocks, n_features, feature_names):
    """Blocks of a table from what a user may write.

    Parameters
    ----------
    blocks : None, str, list of str or list of (name, columns)
    n_features : int
    feature_names : ndarray of str or None
        Names of the columns, where the table has them.

    Returns
    -------
    list of Block
    """
    if blocks is None:
        return _blocks_from_names(n_features, feature_names)
    if isinstance(blocks, str) or all(isinstance(block, str) for block in blocks):
        return _blocks_from_backbones(resolve_backbones(blocks), n_features)
    return [
        Block(
            name,
            _indices(columns, n_features, feature_names, f"Block {name!r}"),
            _backbone_or_none(name),
        )
        for name, columns in _checked_pairs(blocks)
    ]


def _blocks_from_names(n_features, feature_names):
    if feature_names is None:
        return [Block("all", np.arange(n_features), None)]
    columns = {}
    for index, column in enumerate(feature_names):
        match = _COLUMN_NAME.match(column)
        columns.setdefault(match["block"] if match else "other", []).append(index)
    return [
        Block(name, np.array(indices), _backbone_or_none(name)) for name, indices in columns.items()
    ]


def _blocks_from_backbones(backbones, n_features):
    widths = [backbone.width for backbone in backbones]
    if sum(widths) != n_features:
        listed = ", ".join(f"{b.name} ({w})" for b, w in zip(backbones, widths, strict=True))
        raise ValueError(
            f"X has {n_features} features, but the blocks {listed} have {sum(widths)} columns "
            "together. Embed the images with the same backbones, or give blocks as "
            "(name, columns) pairs."
        )
    ends = np.cumsum(widths)
    return [
        Block(backbone.name, np.arange(end - width, end), backbone.name)
        for backbone, width, end in zip(backbones, widths, ends, strict=True)
    ]


def _checked_pairs(blocks):
    pairs = list(blocks)
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2 or not isinstance(pair[0], str):
            raise ValueError(
                "blocks is None, names of backbones, or a list of (name, columns) pairs, not a "
                f"mix; {pair!r} is not a pair."
            )
    _check_distinct("blocks", [name for name, _ in pairs])
    return pairs


def _check_distinct(what, names):
    if len(set(names)) < len(names):
        raise ValueError(f"The names of {what} must differ; got {', '.join(names)}.")


def _backbone_or_none(name):
    """The backbone that a block is named after, also behind a ColumnTransformer's prefix."""
    for candidate in (name, name.rsplit("__", 1)[-1]):
        # A bare word such as a column's own name is not taken for an architecture.
        if "/" in candidate:
            try:
                return Backbone(candidate).name
            except ValueError:
                continue
    return None


def _indices(columns, n_features, feature_names, owner):
    """Integer positions of columns given by slice, positions, mask or names."""
    if not isinstance(columns, slice):
        columns = np.atleast_1d(np.asarray(columns))
        if columns.dtype.kind in "UOT":
            if feature_names is None:
                raise ValueError(
                    f"{owner} names its columns, but X has no column names; pass a frame."
                )
            missing = np.setdiff1d(columns, feature_names).tolist()
            if missing:
                raise ValueError(f"{owner}: X has no column {missing[0]!r}.")
            columns = np.flatnonzero(np.isin(feature_names, columns))
    try:
        indices = np.arange(n_features)[columns]
    except IndexError as error:
        raise ValueError(f"{owner}: {error}; X has {n_features} columns.") from None
    if not len(indices):
        raise ValueError(f"{owner} has no columns.")
    return indices


def make_experts(head, blocks, n_features, feature_names, *, class_names, templates):
    """Experts from what a user may write as ``head``.

    Parameters
    ----------
    head : str, classifier, list of these, or list of (name, classifier, columns)
    blocks : list of Block
    n_features : int
    feature_names : ndarray of str or None
        Names of the columns, where the table has them.
    class_names, templates
        Passed to zero-shot heads.

    Returns
    -------
    list of Expert
    """
    heads = list(head) if isinstance(head, (list, tuple)) else [head]
    if not heads:
        raise ValueError("head is an empty list; name at least one, for instance 'linear'.")
    if all(isinstance(one, tuple) and len(one) == 3 for one in heads):
        return _experts_from_triples(heads, blocks, n_features, feature_names)
    kinds = [kind for one in heads for kind in _expand(one, blocks)]
    return [
        Expert(
            f"{block.name}:{label}" if label else block.name,
            _make_head(kind, block, class_names, templates),
            block.columns,
        )
        for kind, label in zip(kinds, _labels(kinds), strict=True)
        for block in _blocks_of(kind, blocks)
    ]


def _experts_from_triples(triples, blocks, n_features, feature_names):
    _check_distinct("experts", [name for name, _, _ in triples])
    named = {block.name: block.columns for block in blocks}
    return [
        Expert(
            name,
            head,
            named[columns]
            if isinstance(columns, str) and columns in named
            else _indices(columns, n_features, feature_names, f"Expert {name!r}"),
        )
        for name, head, columns in triples
    ]


def _expand(kind, blocks):
    if kind != "auto":
        return [kind]
    kinds = ["zero-shot", "linear"] if any(block.backbone for block in blocks) else ["linear"]
    return kinds if len(blocks) == 1 else [*kinds, "linear-all"]


def _labels(kinds):
    """What tells the experts on a block apart: nothing, or a name for each kind of head."""
    if len(kinds) == 1:
        return [""]
    labels = [kind if isinstance(kind, str) else type(kind).__name__.lower() for kind in kinds]
    return [
        f"{label}-{labels[: i + 1].count(label)}" if labels.count(label) > 1 else label
        for i, label in enumerate(labels)
    ]


def _blocks_of(kind, blocks):
    if kind == "linear-all":
        return [Block("all", np.concatenate([block.columns for block in blocks]), None)]
    if kind != "zero-shot":
        return blocks
    named = [block for block in blocks if block.backbone]
    if not named:
        raise ValueError(
            "head='zero-shot' needs blocks that are named after backbones; got "
            f"{', '.join(block.name for block in blocks)}. Name them, for instance "
            "blocks='zoo', or use head='linear'."
        )
    return named


def _make_head(kind, block, class_names, templates):
    if kind == "zero-shot":
        return ZeroShotHead(block.backbone, templates=templates, class_names=class_names)
    if kind in ("linear", "linear-all"):
        return LogisticRegression(C=10.0, max_iter=1000)
    if not hasattr(kind, "fit"):
        raise ValueError(
            f"head={kind!r} is unknown; it is 'auto', 'zero-shot', 'linear', 'linear-all', a "
            "classifier, a list of these, or a list of (name, classifier, columns) triples."
        )
    return kind


def stack_logits(experts, X, classes):
    """Logits of fitted experts, (n, E, C)."""
    return np.stack([expert.logits(X, classes) for expert in experts], axis=1)


def judge(experts, X, y, classes):
    """Logits of fitted experts for rows that they did not train on.

    Returns
    -------
    logits : ndarray of shape (n, E, C)
    known : ndarray of shape (n, E), bool
        Whether the expert has seen the row's class; it cannot be judged by the row otherwise.
    """
    known = np.stack([np.isin(y, expert.head.classes_) for expert in experts], axis=1)
    return stack_logits(experts, X, classes), known


def cross_judge(experts, X, y, classes, folds, n_jobs=None):
    """As :func:`judge`, with experts that are fitted on the other folds of each row.

    Heads that learn nothing from rows need no folds.

    Parameters
    ----------
    experts : list of E Expert
    X : ndarray of shape (n, n_features)
    y : ndarray of shape (n,)
    classes : ndarray of shape (C,)
    folds : list of (train, test)
        Row positions.
    n_jobs : int or None

    Returns
    -------
    logits : ndarray of shape (n, E, C)
    known : ndarray of shape (n, E), bool
        False also where no fold held the row out.
    """
    logits = np.zeros((len(X), len(experts), len(classes)))
    known = np.zeros((len(X), len(experts)), bool)
    jobs = []
    for e, expert in enumerate(experts):
        if expert.learns:
            jobs += [(e, train, test) for train, test in folds]
        else:
            # In this process, which keeps the encoded prompts.
            logits[:, [e]], known[:, [e]] = _fit_and_judge(expert, X, y, X, y, classes)
    results = Parallel(n_jobs=n_jobs)(
        delayed(_fit_and_judge)(experts[e], X[train], y[train], X[test], y[test], classes)
        for e, train, test in jobs
    )
    for (e, _, test), (held_out, seen) in zip(jobs, results, strict=True):
        logits[test, e], known[test, e] = held_out[:, 0], seen[:, 0]
    return logits, known


def _fit_and_judge(expert, X, y, X_test, y_test, classes):
    return judge([expert.fit(X, y)], X_test, y_test, classes)

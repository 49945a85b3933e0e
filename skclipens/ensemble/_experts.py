"""Experts: heads on blocks of columns."""

from functools import partial
from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from .._utils._validation import few_rows_per_class
from ..heads import (
    CLIPAdapterHead,
    LinearDiscriminantHead,
    LinearProbeHead,
    ResidualHead,
    TipAdapterHead,
    ZeroShotHead,
)
from ..heads._classifier import LogitClassifierMixin, one_column_per_class
from ._blocks import Block, check_distinct, positions, take

_SMALLEST_PROBABILITY = 1e-12
_TEXT_HEADS = {
    "zero-shot": ZeroShotHead,
    "tip-adapter": TipAdapterHead,
    "tip-adapter-f": partial(TipAdapterHead, fine_tune=True),
    "clip-adapter": CLIPAdapterHead,
    "residual": ResidualHead,
}
_LINEAR_HEADS = {
    "linear": LinearDiscriminantHead,
    "linear-probe": LinearProbeHead,
    "linear-all": LinearDiscriminantHead,
}


class Expert(NamedTuple):
    """A head on a block of columns."""

    name: str
    head: object
    columns: np.ndarray

    def fit(self, X, y):
        """Return this expert with its head fitted on its own columns."""
        with few_rows_per_class():
            return self._replace(head=clone(self.head).fit(take(X, self.columns), y))

    @property
    def learns(self):
        """Whether the head's logits depend on the rows that it is fitted on."""
        return getattr(self.head, "_learns_from_rows", True)

    def logits(self, X, classes):
        """Logits of shape (n, C) for all classes, also those that the head has not seen.

        A class that the head has not seen gets the row's smallest logit.
        """
        X = take(X, self.columns)
        if isinstance(self.head, LogitClassifierMixin):
            logits = self.head._logits_of(X)
        elif hasattr(self.head, "decision_function"):
            logits = np.asarray(self.head.decision_function(X))
        else:
            logits = np.log(np.maximum(self.head.predict_proba(X), _SMALLEST_PROBABILITY))
        logits = one_column_per_class(logits)
        if logits.shape[1] != len(self.head.classes_):
            raise ValueError(
                f"Expert {self.name!r} gives {logits.shape[1]} scores for "
                f"{len(self.head.classes_)} classes; its decision_function must give one each."
            )
        if len(classes) == len(self.head.classes_):
            return logits.astype(X.dtype, copy=False)
        full = np.repeat(logits.min(axis=1, keepdims=True), len(classes), axis=1)
        full[:, np.searchsorted(classes, self.head.classes_)] = logits
        return full.astype(X.dtype, copy=False)


def make_experts(head, blocks, n_features, feature_names, **options):
    """Experts from what a user may write as ``head``.

    Parameters
    ----------
    head : str, classifier, list of these, or list of (name, classifier, columns)
    blocks : list of Block
    n_features : int
    feature_names : ndarray of str or None
        Names of the columns, where the table has them.
    **options : dict
        Parameters of the heads that are given by name, where they have them: ``class_names``,
        ``templates``, ``random_state``.

    Returns
    -------
    list of Expert
    """
    heads = list(head) if isinstance(head, (list, tuple)) else [head]
    if not heads:
        raise ValueError("head is an empty list; name at least one, for instance 'linear'.")
    if all(isinstance(one, tuple) and len(one) == 3 for one in heads):
        return _experts_from_triples(heads, blocks, n_features, feature_names)
    pairs = [pair for one in heads for pair in _expand(one, blocks)]
    labels = _labels([kind for kind, _ in pairs])
    return [
        Expert(
            f"{block.name}:{label}" if label else block.name,
            _make_head(kind, block, options),
            block.columns,
        )
        for (kind, of_kind), label in zip(pairs, labels, strict=True)
        for block in of_kind
    ]


def _experts_from_triples(triples, blocks, n_features, feature_names):
    check_distinct("experts", [name for name, _, _ in triples])
    named = {block.name: block.columns for block in blocks}
    return [
        Expert(
            name,
            head,
            named[columns]
            if isinstance(columns, str) and columns in named
            else positions(columns, n_features, feature_names, f"Expert {name!r}"),
        )
        for name, head, columns in triples
    ]


def _expand(kind, blocks):
    """Pairs of a kind of head and the blocks that get one."""
    if kind != "auto":
        return [(kind, _blocks_of(kind, blocks))]
    named = [block for block in blocks if block.backbone]
    if len(blocks) == 1:  # a head on all would be the linear one
        pairs = [("residual", named), ("linear", blocks)]
    else:
        others = [block for block in blocks if not block.backbone]
        pairs = [
            ("residual", named),
            ("linear", others),
            ("linear-all", _blocks_of("linear-all", blocks)),
        ]
    return [(kind, of_kind) for kind, of_kind in pairs if of_kind]


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
    if not isinstance(kind, str) or kind not in {*_TEXT_HEADS, "linear-all"}:
        return blocks
    if kind == "linear-all":
        return [Block("all", np.concatenate([block.columns for block in blocks]), None)]
    named = [block for block in blocks if block.backbone]
    if not named:
        raise ValueError(
            f"head={kind!r} needs blocks that are named after backbones; got "
            f"{', '.join(block.name for block in blocks)}. Name them, for instance "
            "blocks='zoo', or use head='linear'."
        )
    return named


def _make_head(kind, block, options):
    if isinstance(kind, str) and kind in _TEXT_HEADS:
        head = _TEXT_HEADS[kind](block.backbone)
    elif isinstance(kind, str) and kind in _LINEAR_HEADS:
        head = _LINEAR_HEADS[kind]()
    elif hasattr(kind, "fit"):
        return kind
    else:
        known = ", ".join(map(repr, ["auto", *_TEXT_HEADS, *_LINEAR_HEADS]))
        raise ValueError(
            f"head={kind!r} is unknown; it is {known}, a classifier, a list of these, or a list "
            "of (name, classifier, columns) triples."
        )
    known = head.get_params(deep=False)
    return head.set_params(**{key: value for key, value in options.items() if key in known})

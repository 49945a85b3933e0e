"""Experts: heads on blocks of columns."""

from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from .._utils._metadata import metadata_taken
from .._utils._validation import few_rows_per_class
from .._utils._warnings import silent, warn
from ..backbones import Backbone
from ..heads import (
    CLAPHead,
    CLIPAdapterHead,
    CrossModalHead,
    GDAHead,
    KernelHead,
    LinearDiscriminantHead,
    LinearProbeHead,
    ResidualHead,
    TipAdapterHead,
    ZeroShotHead,
)
from ..heads._classifier import LogitClassifierMixin, level, one_column_per_class
from ._blocks import Block, check_distinct, joined, positions, take

_SMALLEST_PROBABILITY = 1e-12
_LINEAR_ALL, _KERNEL = "linear-all", "kernel"
HEADS = {
    "zero-shot": ZeroShotHead(),
    "residual": ResidualHead(),
    "tip-adapter": TipAdapterHead(),
    "gda": GDAHead(),
    "clap": CLAPHead(),
    "cross-modal": CrossModalHead(),
    "clip-adapter": CLIPAdapterHead(),
    "linear": LinearDiscriminantHead(),
    "linear-probe": LinearProbeHead(),
    _LINEAR_ALL: LinearDiscriminantHead(),
    _KERNEL: KernelHead(),
}


class Expert(NamedTuple):
    """A head on a block of columns."""

    name: str
    head: object
    block: Block

    @property
    def learns(self):
        """Whether the head's logits depend on the rows that it is fitted on."""
        return not (self.is_prompts or isinstance(self.head, FrozenEstimator))

    @property
    def is_prompts(self):
        """Whether the head has learned nothing from rows, and compares them with prompts."""
        return isinstance(self.head, ZeroShotHead)

    @property
    def takes(self):
        """Which of the metadata the head's ``fit`` takes."""
        return metadata_taken(self.head)

    @property
    def backbones(self):
        """Names of the backbones whose texts its head may start from."""
        named = {block.backbone for block in self.block.members if block.has_text}
        return (named | _backbones_of(self.head)) - {None}

    def columns_of(self, X):
        """Its own columns of a table."""
        return take(X, self.block.columns)

    def fit(self, X, y, metadata):
        """Return this expert with its head fitted on its own columns."""
        with few_rows_per_class():
            head = clone(self.head).fit(self.columns_of(X), y, **self.wanted(metadata))
        return self._replace(head=head)

    def cross_fit(self, X, y, folds, metadata):
        """As ``fit``, of a head that knows what it would say without a row; and what that is."""
        head = clone(self.head)
        logits, known = head.cross_fit(
            self.columns_of(X), y, folds=folds, **self.wanted({**metadata, "groups": None})
        )
        return self._replace(head=head), logits, known

    def wanted(self, metadata):
        """Metadata that there is and that the head takes."""
        return {name: metadata[name] for name in self.takes if metadata.get(name) is not None}

    def logits(self, X, classes):
        """Logits of shape (n, C) for all classes, also those that the head has not seen.

        A class that the head has not seen gets the row's smallest logit.
        """
        X = self.columns_of(X)
        if isinstance(self.head, LogitClassifierMixin):
            logits = self.head._logits_of(X)
        else:
            # Names that a frozen head knows were compared with those of the block.
            with silent("X does not have valid feature names"):
                logits = self._scores(X)
        return self.for_classes(one_column_per_class(logits), classes).astype(X.dtype, copy=False)

    def _scores(self, X):
        if hasattr(self.head, "decision_function"):
            return np.asarray(self.head.decision_function(X))
        return np.log(np.maximum(self.head.predict_proba(X), _SMALLEST_PROBABILITY))

    def for_classes(self, logits, classes):
        """Logits of the head's classes as those of all classes."""
        if logits.shape[1] != len(self.head.classes_):
            raise ValueError(
                f"Expert {self.name!r} gives {logits.shape[1]} scores for "
                f"{len(self.head.classes_)} classes; its decision_function must give one each."
            )
        if not np.isfinite(logits).all():
            row = int(np.argmin(np.isfinite(logits).all(axis=1)))
            raise ValueError(
                f"Expert {self.name!r} gives a score that is not finite for row {row}: "
                f"{logits[row].tolist()}."
            )
        logits = level(self.head, logits)
        if len(classes) == len(self.head.classes_):
            return logits
        full = np.repeat(logits.min(axis=1, keepdims=True), len(classes), axis=1)
        full[:, np.searchsorted(classes, self.head.classes_)] = logits
        return full


def stack_logits(experts, X, classes):
    """Logits of fitted experts, (n, E, C)."""
    return np.stack([expert.logits(X, classes) for expert in experts], axis=1)


def make_experts(
    head, blocks, n_features, feature_names, *, named_classes=True, lone_rows=False, **defaults
):
    """Experts from what a user may write as ``head``.

    Parameters
    ----------
    head : str, classifier or list
        See :class:`skclipens.AdaptiveBackboneEnsemble`.
    blocks : list of Block
    n_features : int
    feature_names : ndarray of str or None
        Names of the columns, where the table has them.
    named_classes : bool
        Whether ``"auto"`` may use heads that start from names.
    lone_rows : bool
        Whether there is one row of most classes: ``"auto"`` then has no head that corrects prompts
        of one backbone, as no row can judge its corrections.
    **defaults : dict
        Parameters that heads get where they have them and these are None: ``class_names``,
        ``templates``, ``cache``, ``random_state``.

    Returns
    -------
    list of Expert

    Raises
    ------
    ValueError
        If a head is unknown, or has no block.
    """
    groups = []  # label, kind, blocks, and whether the label is all of the name
    for label, kind, columns in named_heads(head):
        if columns is not None:
            block = _block_of(label, columns, blocks, n_features, feature_names)
            groups.append((label, kind, [block], True))
        elif kind == "auto":
            kinds = _auto(blocks, named_classes, lone_rows)
            groups += [(one, one, of_kind, False) for one, of_kind in kinds]
        else:
            groups.append((label, kind, _blocks_for(kind, blocks), False))
    experts = []
    for label, kind, of_kind, is_name in groups:
        head = HEADS[kind] if isinstance(kind, str) else kind
        for block in of_kind:
            name = block.name if len(groups) == 1 else f"{block.name}:{label}"
            name = label if is_name else name
            given = _given(block, named_classes) | defaults
            experts.append(Expert(name, _filled(head, given), block))
    check_distinct("experts", [expert.name for expert in experts])
    for expert in experts:
        _check_names(expert, feature_names)
    return experts


def _check_names(expert, feature_names):
    """Raise ValueError if a head is of another backbone, or other columns, than its block."""
    head = getattr(expert.head, "estimator", expert.head)  # of a frozen one
    backbone = getattr(head, "backbone", None)
    own = expert.block.backbone
    if isinstance(backbone, str) and own is not None and Backbone(backbone).name != own:
        raise ValueError(
            f"The head of {expert.name!r} reads embeddings of {backbone!r}, but its block is of "
            f"{own!r}. Give it the block of its own backbone."
        )
    known = getattr(expert.head, "feature_names_in_", None)
    if known is None or feature_names is None or not isinstance(expert.head, FrozenEstimator):
        return
    names = feature_names[expert.block.columns].tolist()
    if names != known.tolist():
        first = next((a, b) for a, b in zip_longest(known.tolist(), names) if a != b)
        raise ValueError(
            f"The frozen head of {expert.name!r} was fitted on other columns than those of its "
            f"block: {first[0]!r} where the block has {first[1]!r}. Give it the columns that it "
            "was fitted on, in their order."
        )


def find_classes(experts, y):
    """Labels of y, and those that frozen heads know.

    Raises
    ------
    ValueError
        If a frozen head is not fitted, or no head will know a class of y.
    """
    known = [np.unique(y)]
    for expert in experts:
        if isinstance(expert.head, FrozenEstimator):
            check_is_fitted(expert.head, msg=f"The frozen head of {expert.name!r} is not fitted.")
            known.append(expert.head.classes_)
    if len({labels.dtype.kind in "OUT" for labels in known}) > 1:
        raise ValueError("y and the frozen heads must have labels of the same type.")
    if len(known) > len(experts):  # all are frozen
        unknown = np.setdiff1d(known[0], np.concatenate(known[1:])).tolist()
        if unknown:
            raise ValueError(f"No frozen head knows the class {unknown[0]!r} of y.")
    return np.unique(np.concatenate(known))


def warn_of_nameless(experts, y):
    """Warn where heads that start from names were left out."""
    embeddings = [expert.block.name for expert in experts if expert.block.has_text]
    if embeddings:
        warn(
            f"A label such as {y.tolist()[0]!r} does not say what its class is, so "
            f"{embeddings[0]!r} gets only a head that needs no names. Give class_names to use the "
            "text tower, or head='linear' to choose this."
        )


def named_heads(head):
    """What a user may write as ``head``, as (name, head, columns or None) triples."""
    heads = list(head) if isinstance(head, (list, tuple)) else [head]
    if not heads:
        raise ValueError("head is an empty list; name at least one, for instance 'linear'.")
    triples = [one if isinstance(one, tuple) else (None, one) for one in heads]
    triples = [(*one, None) if len(one) == 2 else one for one in triples]
    for one in triples:
        if isinstance(one[0], str) and "__" in one[0]:
            raise ValueError(f"The name of a head must not contain '__'; got {one[0]!r}.")
        if len(one) != 3 or not isinstance(one[0], (str, type(None))):
            raise ValueError(
                "Of a list of heads, each is one of the heads, a (name, head) pair, or a "
                f"(name, head, columns) triple; {one!r} is none of these."
            )
    labels = [_label(kind) for name, kind, _ in triples if name is None]
    of_label = iter(
        f"{label}-{labels[: i + 1].count(label)}" if labels.count(label) > 1 else label
        for i, label in enumerate(labels)
    )
    return [
        (next(of_label) if name is None else name, _checked(kind), columns)
        for name, kind, columns in triples
    ]


def _label(kind):
    return kind if isinstance(kind, str) else type(kind).__name__.lower()


def _checked(kind):
    if isinstance(kind, str) and kind in {"auto", *HEADS}:
        return kind
    if isinstance(kind, (str, type)) or not hasattr(kind, "fit"):
        raise ValueError(
            f"head={kind!r} is unknown; it is {', '.join(map(repr, ['auto', *HEADS]))}, a "
            "classifier, or a list of these."
        )
    if not hasattr(kind, "decision_function") and not hasattr(kind, "predict_proba"):
        raise ValueError(
            f"head={kind!r} has neither decision_function nor predict_proba, so it cannot say how "
            "likely each class is. Wrap it in sklearn.calibration.CalibratedClassifierCV."
        )
    return kind


def _auto(blocks, named_classes, lone_rows):
    """What ``"auto"`` stands for: kinds of heads, each with its blocks."""
    named = [block for block in blocks if named_classes and block.has_text]
    if len(blocks) == 1:  # a head on all would be the linear one
        others, of_all = blocks, []
    else:
        # Pooled features stand beside projected ones, and are wide: one head reads them all.
        apart = [block for block in blocks if not block.is_pooled]
        others = [block for block in apart if not (named_classes and block.has_text)]
        of_all = _blocks_for(_LINEAR_ALL, blocks)
    of_kernel = _blocks_for(_KERNEL, blocks) if named else []
    kinds = {
        "zero-shot": named,
        "residual": [] if lone_rows else named,
        "linear": others,
        _LINEAR_ALL: of_all,
        _KERNEL: of_kernel,
    }
    return [(kind, of_kind) for kind, of_kind in kinds.items() if of_kind]


def _blocks_for(kind, blocks):
    """Blocks that get a head of a kind."""
    if isinstance(kind, str) and kind == _LINEAR_ALL:
        return [joined(blocks)]
    if isinstance(kind, str) and kind == _KERNEL:
        return [joined([block for block in blocks if block.backbone is not None] or blocks)]
    asked = _backbones_of(_head_of(kind))
    if not asked:
        return blocks
    named = [block for block in blocks if block.has_text]
    if asked != {None}:
        names = {Backbone(one).name for one in asked if one is not None}
        named = [block for block in named if block.backbone in names]
    if not named:
        wanted = "backbones" if asked == {None} else f"{', '.join(sorted(names))}"
        raise ValueError(
            f"head={kind!r} needs blocks that are embeddings of {wanted}; got "
            f"{', '.join(block.name for block in blocks)}. Name the blocks after their backbones, "
            "for instance blocks='zoo', or use head='linear'."
        )
    return named


def _head_of(kind):
    return HEADS[kind] if isinstance(kind, str) else kind


def _backbones_of(head):
    """Values of a head's parameters named ``backbone``, also nested ones."""
    params = head.get_params() if hasattr(head, "get_params") else {}
    return {value for key, value in params.items() if key.rpartition("__")[2] == "backbone"}


def _given(block, named_classes):
    """What a head may take from its block."""
    parts, end = [], 0
    for part in block.members:
        start, end = end, end + len(part.columns)
        has_words = named_classes and part.has_text
        parts.append((part.backbone if has_words else None, slice(start, end)))
    return {"backbone": None if block.is_pooled else block.backbone, "blocks": parts}


def _filled(head, given):
    """A head with what it leaves to its block and its ensemble."""
    if not hasattr(head, "get_params"):
        return head
    left = {
        key: given[name]
        for key, value in head.get_params().items()
        if value is None and given.get(name := key.rpartition("__")[2]) is not None
    }
    return clone(head).set_params(**left) if left else head


def _block_of(name, columns, blocks, n_features, feature_names):
    """The block that an expert names, or one made of its columns."""
    for block in blocks:
        if isinstance(columns, str) and columns == block.name:
            return block
    return Block(name, positions(columns, n_features, feature_names, f"Expert {name!r}"), None)

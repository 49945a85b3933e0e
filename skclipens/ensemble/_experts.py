"""Experts: heads on blocks of columns."""

from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from .._utils._labels import allow_few_rows_per_class
from .._utils._linalg import evenly_spaced, take_columns
from .._utils._metadata import taken_of
from .._utils._tables import called_block
from .._utils._warnings import silent
from ..backbones._blocks import Block
from ..heads import ZeroShotHead
from ..heads._classifier import (
    LogitClassifierMixin,
    centre_logits,
    expand_with_largest,
    scores_of,
    trait_of,
)
from ..heads._text_head import fitted_by_ensemble
from ._heads import refuse_without_scores

_NO_NAMES = "X does not have valid feature names"
_ONE_FOR_EACH = "For SVC and NuSVC, set decision_function_shape='ovr'."
_CHECK = "skclipens.utils.estimator_checks.check_head(head) tests a head."
_MOST_COMPARED = 100  # rows


class Expert(NamedTuple):
    """A head on a block of columns.

    Attributes
    ----------
    name : str
        Name of the expert.
    head : classifier
        Fitted or not.
    block : Block
        The columns that the head reads.
    """

    name: str
    head: object
    block: Block

    @property
    def learns(self):
        """Whether the head's logits depend on the rows that it is fitted on."""
        return not (self.is_zero_shot or isinstance(self.head, FrozenEstimator))

    @property
    def is_zero_shot(self):
        """Whether the head is zero-shot: it compares rows with prompts and learns nothing."""
        return isinstance(self.head, ZeroShotHead)

    @property
    def corrects_prompts(self):
        """Whether the head calibrates zero-shot logits on its rows and learns a correction."""
        return self.learns and trait_of(self.head, "_starts_from_prompts")

    @property
    def reads(self):
        """The columns that it reads: embeddings ("pictures"), "others", or "both"."""
        embedded = {part.backbone is not None for part in self.block.members}
        return "both" if len(embedded) > 1 else "pictures" if embedded == {True} else "others"

    @property
    def backbones(self):
        """Names of the backbones whose text features the head may start from."""
        named = {block.backbone for block in self.block.members if block.has_text}
        return (named | backbones_of(self.head)) - {None}

    def columns_of(self, X):
        """Return the columns of X that the head reads."""
        return take_columns(X, self.block.columns)

    def fit(self, X, y, metadata):
        """Return this expert with its head fitted on its columns."""
        with allow_few_rows_per_class(), fitted_by_ensemble(), called_block(self.block.name):
            head = clone(self.head)
            head.fit(self.columns_of(X), y, **taken_of(metadata, self.head))
        refuse_without_scores(head, hasattr)
        fitted = self._replace(head=head)
        fitted._refuse_other_classes(y)
        fitted._refuse_other_scores(X)
        return fitted

    def _refuse_other_classes(self, y):
        """Raise ValueError if ``classes_`` of a head that was fitted on y are no labels of y."""
        if not hasattr(self.head, "classes_"):
            raise ValueError(
                f"Expert {self.name!r} has no classes_ after fit: {type(self.head).__name__}.fit "
                "must set the labels there, in the order of the columns of its scores."
            )
        others = [] if not self.learns else np.setdiff1d(self.head.classes_, y).tolist()
        if others:
            raise ValueError(
                f"The classes_ of expert {self.name!r} have {others[0]!r}, which is no label of y. "
                "They must be labels of y, in the order of the columns of its scores."
            )

    def _refuse_other_scores(self, X):
        """Raise ValueError if the columns of ``decision_function`` are not the classes.

        Three classes have three pairs, so their number does not tell it. What a row belongs to by
        its largest score is compared with what the head predicts.
        """
        head, X = self.head, self.columns_of(X)
        is_ours = isinstance(head, LogitClassifierMixin)
        can_tell = hasattr(head, "decision_function") and hasattr(head, "predict")
        if is_ours or len(head.classes_) < 3 or not can_tell:
            return
        some = evenly_spaced(X, _MOST_COMPARED)
        with silent(_NO_NAMES):
            scores, predicted = self._scores(some), np.ravel(head.predict(some))
        if scores.shape[1] != len(head.classes_):
            return  # `for_classes` raises an error
        is_same = np.asarray(head.classes_)[scores.argmax(axis=1)] == predicted
        of_classes = [is_same[predicted == label].mean() for label in np.unique(predicted)]
        if np.mean(of_classes) < 1 / 2:
            raise ValueError(
                f"The head of expert {self.name!r} predicts another class than that of the largest "
                f"score for {np.sum(~is_same)} of {len(some)} rows; its decision_function must "
                f"give one score for each of classes_, in their order. {_ONE_FOR_EACH}"
            )

    def cross_fit(self, X, y, folds, metadata):
        """Fit a head that has ``cross_fit``; return the expert, held-out logits and their mask."""
        head, given = clone(self.head), taken_of({**metadata, "groups": None}, self.head)
        with fitted_by_ensemble(), called_block(self.block.name):
            found = head.cross_fit(self.columns_of(X), y, folds=folds, **given)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise ValueError(
                f"cross_fit of the head of expert {self.name!r} must return two arrays: held-out "
                f"logits, and a mask of the rows that are held out. {_CHECK}"
            )
        return self._replace(head=head), *found

    def logits(self, X, classes):
        """Return logits of shape (n, C) for all classes, also those unknown to the head."""
        X = self.columns_of(X)
        if isinstance(self.head, LogitClassifierMixin):
            logits = self.head._logits_of(X)
        else:
            # `_check_names` has compared the column names of frozen heads with the block's.
            with silent(_NO_NAMES):
                logits = self._scores(X)
        return self.for_classes(logits, classes).astype(X.dtype, copy=False)

    def _scores(self, X):
        scores = scores_of(self.head, X)
        if len(scores) != len(X):
            raise ValueError(
                f"Expert {self.name!r} gives scores of {len(scores)} rows for {len(X)} rows; its "
                f"head must score each row. {_CHECK}"
            )
        return scores

    def for_classes(self, logits, classes):
        """Expand logits of the head's classes to all classes, see :func:`expand_with_largest`."""
        if logits.shape[1] != len(self.head.classes_):
            raise ValueError(
                f"Expert {self.name!r} gives {logits.shape[1]} scores for "
                f"{len(self.head.classes_)} classes; its decision_function must give one each. "
                + _ONE_FOR_EACH
            )
        if not np.isfinite(logits).all():
            row = int(np.argmin(np.isfinite(logits).all(axis=1)))
            raise ValueError(
                f"Expert {self.name!r} gives a score that is not finite for row {row}: "
                f"{logits[row].tolist()}."
            )
        return expand_with_largest(centre_logits(self.head, logits), self.head.classes_, classes)


def backbones_of(head):
    """Return the values of a head's parameters named ``backbone``, including nested ones."""
    params = head.get_params() if hasattr(head, "get_params") else {}
    return {value for key, value in params.items() if key.rpartition("__")[2] == "backbone"}


def distinct_blocks(experts):
    """Return the blocks that experts read, each once. A joined block counts as its parts."""
    blocks = (block for expert in experts for block in expert.block.members)
    return list({block.name: block for block in blocks}.values())


def stack_logits(experts, X, classes):
    """Return the logits of fitted experts, (n, E, C)."""
    return np.stack([expert.logits(X, classes) for expert in experts], axis=1)


def find_classes(experts, y):
    """Return the sorted labels of y and of frozen heads.

    Raise ValueError if a frozen head is not fitted, or no head will know a class of y.
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

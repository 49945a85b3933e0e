"""Base class of heads that start from text features, and checks of these heads."""

from collections import OrderedDict
from collections.abc import Mapping
from contextlib import nullcontext
from contextvars import ContextVar

import numpy as np
from sklearn.base import BaseEstimator

from .._mistakes._models import Embeddings, first_name, warn_of_blocks
from .._mistakes._names import warn_of_names
from .._mistakes._seen_embeddings import seen_block, warn_of_unlike
from .._utils._column_names import names_of_columns
from .._utils._contexts import set_within
from .._utils._folds import stratified_rows
from .._utils._linalg import SOME_ROWS, unit_rows
from .._utils._locks import ForkLock
from .._utils._messages import listed
from .._utils._progress import progress
from .._utils._sklearn import InOrder
from .._utils._validation import check_table
from .._utils._warnings import silent, warn
from ..backbones import Backbone
from ..backbones._kinds import BlockKind, refuse_other_columns
from ..backbones._prompt_checks import warn_of_prompts
from ..backbones._prompts import check_templates
from ..embedding._reading import CACHE_CONSTRAINTS, as_store
from ..embedding._texts import embed_classes
from ..embedding._weights import WeightsMixin
from ._class_names import names_of_classes
from ._classifier import LogitClassifierMixin

PROMPT_CONSTRAINTS = {
    "templates": [None, InOrder()],
    "class_names": [None, Mapping, InOrder()],
    "cache": CACHE_CONSTRAINTS,
}
_MAX_BYTES = 2**27
_MOST_CLASSES = 1000  # names of more classes are not checked

_encoded = OrderedDict()
_lock = ForkLock()  # guards `_encoded` only: prompts are encoded without it
_is_standalone = ContextVar(
    "whether heads are fitted by themselves, and not by an ensemble", default=True
)


def _class_features(backbone, names, templates, cache=None, bar=None):
    """Return text features and logit scale of classes, cached in this process."""
    warn_of_prompts([backbone], names, templates)
    store = as_store(cache)  # each gets the prompts, also those that this process knows
    key = (backbone, backbone.version, names, templates, store and store.file)
    with _lock:
        found = _encoded.get(key)
    if found is None:
        found = embed_classes(backbone, names, templates, cache=store, bar=bar)
        found[0].setflags(write=False)  # all heads of these classes hold this array
    with _lock:
        found = _encoded.setdefault(key, found)
        _encoded.move_to_end(key)
        while len(_encoded) > 1 and sum(one.nbytes for one, _ in _encoded.values()) > _MAX_BYTES:
            _encoded.popitem(last=False)
    return found


def warn_of_prompts_at_once(prompts):
    """Warn of prompts, (backbone, names, templates), at once, so that heads do not repeat it."""
    asked = {}
    for backbone, *texts in prompts:
        asked.setdefault(tuple(texts), []).append(backbone)
    for texts, backbones in asked.items():
        warn_of_prompts(backbones, *texts)


def encode_ahead(heads, classes, verbose):
    """Encode the prompts of heads that start from them with one bar, into the cache of ``fit``."""
    of_heads = [one for one in heads if isinstance(one, BaseTextHead)]
    for head in of_heads:
        _warn_of_two_of_many(classes, head.class_names)
    wanted = {one._prompts(classes, one.class_names, one.templates): one.cache for one in of_heads}
    warn_of_prompts_at_once(wanted)
    n_prompts = sum(len(names) * len(templates) for _, names, templates in wanted)
    with progress(n_prompts, verbose, desc="encoding texts", unit="prompt") as bar:
        for prompts, cache in wanted.items():
            _class_features(*prompts, cache, bar)
        bar.update(n_prompts - bar.n)  # those that were cached


def fitted_by_ensemble():
    """Return a context in which heads do not check names, since their caller checks them."""
    return set_within(_is_standalone, False)


def is_standalone():
    """Return whether a head is fitted by itself, outside of `fitted_by_ensemble`."""
    return _is_standalone.get()


def _warn_of_two_of_many(classes, class_names):
    """Warn of labels 0 and 1 with more than two names: the labels may stand for other classes."""
    if class_names is None or len(class_names) <= 2 or classes.dtype.kind not in "iu":
        return
    if classes.tolist() == [0, 1]:
        warn(
            f"Labels are 0 and 1, so of {len(class_names)} class_names, "
            f"{listed(names_of_classes(classes, class_names))} are used. OneVsRestClassifier, "
            "OneVsOneClassifier and MultiOutputClassifier make such labels of other classes, too: "
            "with these, use a head that needs no names, such as head='linear'."
        )


def warn_of_unfitting_texts(heads, rows, targets, names, columns):
    """Warn of texts of another model and names in another order, except in `fitted_by_ensemble`.

    The heads have the same classes. `rows` and `columns` have, for each, embeddings of unit length
    and their columns, and `names` are those of all columns, or None.
    """
    if not is_standalone() or len(heads[0].classes_) > _MOST_CLASSES:
        return
    _warn_of_two_of_many(heads[0].classes_, heads[0].class_names)
    some = stratified_rows(targets, SOME_ROWS)
    rows = [one[some] for one in rows]
    of_heads = zip(heads, rows, columns, strict=True)
    warn_of_blocks([embeddings_of(head, of, names, its) for head, of, its in of_heads])
    warn_of_names(heads, rows, targets[some])


def embeddings_of(head, rows, names, columns, block=None):
    """Return the unit rows that a head compares with its texts, with their block and backbone."""
    first = first_name(names, columns)
    name = head.backbone if block is None else block
    return Embeddings(name, head.backbone, rows, first, head.text_features_, head.cache)


def refuse_names_of_others(backbone, names, owner="X"):
    """Raise ValueError if columns are named as features that the backbone's texts do not fit."""
    kinds = [BlockKind(backbone.name, views=views) for views in (False, True)]
    refuse_other_columns(owner, kinds, names)


class BaseTextHead(WeightsMixin, LogitClassifierMixin, BaseEstimator):
    """Base class of heads that start from the text features of their classes.

    A subclass has the parameters ``backbone``, ``templates``, ``class_names`` and ``cache``.
    """

    _parameter_constraints: dict = {
        "backbone": [None, str],
        **PROMPT_CONSTRAINTS,
    }
    __metadata_request__fit = {"sample_weight": True}
    _seen = ()  # see `seen_block`

    def _check_rows(self, X, y, **given):
        """Encode the classes; return unit rows of X and the positions of their classes."""
        X, y = check_table(self, X, y, any_scale=True, **given)
        classes, targets = np.unique(y, return_inverse=True)
        backbone, names = self._fit_classes(classes, X.shape[1])
        X = unit_rows(X)
        warn_of_unfitting_texts([self], [X], targets, names, [slice(None)])
        of_block = backbone.name, np.arange(backbone.width), backbone.name, X
        self._seen = (seen_block(*of_block, any_scale=True),)
        return X, targets

    def _fit_classes(self, classes, n_columns):
        """Encode the classes, without rows; return the backbone and the names of the columns."""
        backbone = self._backbone()
        if n_columns != backbone.width:
            raise ValueError(
                f"X has {n_columns} columns, but embeddings of {backbone.name!r} have "
                f"{backbone.width}."
            )
        names = getattr(self, "feature_names_in_", None)
        if names is not None:
            refuse_names_of_others(backbone, names)
        self._encode(classes, self.class_names, self.templates)
        self.n_features_in_ = n_columns
        return backbone, names

    def _checked(self, X):
        names = names_of_columns(X)
        if names is not None and not hasattr(self, "feature_names_in_"):
            refuse_names_of_others(self._backbone(), list(map(str, names)))
        # After `set_classes` without `fit`, the backbone says which names columns have.
        with nullcontext() if self._seen else silent("X has feature names"):
            X = super()._checked(X)
        warn_of_unlike(self._seen, X)
        return X

    def _backbone(self):
        if self.backbone is None:
            raise ValueError(
                f"{type(self).__name__} needs the backbone that made the embeddings, such as "
                "backbone='zoo/RN20'. In an ensemble it takes that of its block."
            )
        backbone = Backbone(self.backbone)
        if not backbone.has_text:
            raise ValueError(
                f"{backbone.name!r} is an image tower without texts, so {type(self).__name__} has "
                "no prompts to start from. Use a head that needs none, such as head='linear'."
            )
        return backbone

    def _prompts(self, classes, class_names, templates):
        """Return what to encode: the backbone, names of classes, and templates."""
        names = names_of_classes(classes, class_names)
        return self._backbone(), names, check_templates(templates)

    def _encode(self, classes, class_names, templates):
        prompts = self._prompts(classes, class_names, templates)
        self.text_features_, self.logit_scale_ = _class_features(*prompts, self.cache)
        self._note_weights([prompts[0]])
        self.classes_ = classes

    def _features_of(self, classes):
        """Return text features, unit rows, of classes that ``class_names`` has names for."""
        prompts = self._prompts(classes, self.class_names, self.templates)
        return _class_features(*prompts, self.cache)[0]

    def _text_logits(self, features):
        return features @ self.text_features_.T * self.logit_scale_

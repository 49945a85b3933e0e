"""What heads share that start from the text features of their classes."""

import reprlib
import threading
from collections import OrderedDict

import numpy as np
from sklearn.base import BaseEstimator

from .._utils._linalg import unit_rows
from .._utils._validation import check_table
from ..backbones import Backbone, load_backbone
from ._classifier import LogitClassifierMixin

DEFAULT_TEMPLATES = ("a photo of a {}.", "a picture of a {}.", "{}")
_MAX_ENCODED = 256

_encoded = OrderedDict()
_lock = threading.Lock()


def _class_features(backbone, names, templates):
    """Text features of classes, encoded once per process: folds and draws share them."""
    from ..backbones._text import encode_classes

    key = (backbone, backbone.version, names, templates)
    with _lock:
        if key not in _encoded:
            # Wherever an embedder has put the model, so that it is not loaded twice.
            features, scale = encode_classes(load_backbone(backbone), names, templates)
            features.setflags(write=False)  # all heads of these classes hold this array
            _encoded[key] = features, scale
            while len(_encoded) > _MAX_ENCODED:
                _encoded.popitem(last=False)
        _encoded.move_to_end(key)
        return _encoded[key]


def names_of_classes(classes, class_names):
    """The name of each class, to be put in a prompt.

    Parameters
    ----------
    classes : ndarray of shape (C,)
        Sorted labels.
    class_names : None, mapping or sequence of str
        A mapping from labels to names, or a sequence that integer labels index. None: labels
        that are strings are their own names.

    Returns
    -------
    tuple of C str
        A name for each class.

    Raises
    ------
    ValueError
        If a class has no name.

    See Also
    --------
    ZeroShotHead : Writes the names into prompts.

    Examples
    --------
    >>> from skclipens.heads import names_of_classes
    >>> names_of_classes([0, 2], class_names=["cat", "dog", "owl"])
    ('cat', 'owl')
    """
    labels = np.asarray(classes).tolist()
    if class_names is None:
        unnamed = [label for label in labels if not isinstance(label, str)]
        if unnamed:
            raise ValueError(
                f"Label {unnamed[0]!r} is not a string, so it cannot stand in a prompt. Give "
                "class_names: a list that the labels index, or a dict from label to name; or "
                "use a head that needs no names, such as head='linear'."
            )
        return tuple(labels)
    has_keys = hasattr(class_names, "keys")
    class_names = dict(class_names if has_keys else enumerate(class_names))
    missing = [label for label in labels if label not in class_names]
    if missing:
        raise ValueError(
            f"class_names has no name for label {missing[0]!r}; it names the labels "
            f"{reprlib.repr(list(class_names))}."
        )
    return tuple(str(class_names[label]) for label in labels)


class BaseTextHead(LogitClassifierMixin, BaseEstimator):
    """A head that starts from the text features of its classes.

    A subclass has the parameters ``backbone``, ``templates`` and ``class_names``.
    """

    _parameter_constraints: dict = {
        "backbone": [None, str],
        "templates": [None, "array-like"],
        "class_names": [None, dict, "array-like"],
    }
    __metadata_request__fit = {"sample_weight": True}

    def _fit_text(self, X, y):
        """Encode the classes; return unit rows of X and the positions of their classes."""
        X, y = check_table(self, X, y)
        backbone = self._backbone()
        if X.shape[1] != backbone.width:
            raise ValueError(
                f"X has {X.shape[1]} columns, but embeddings of {backbone.name!r} have "
                f"{backbone.width}."
            )
        classes, targets = np.unique(y, return_inverse=True)
        self._encode(classes, self.class_names, self.templates)
        return unit_rows(X), targets

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

    def _encode(self, classes, class_names, templates):
        names = names_of_classes(classes, class_names)
        templates = check_templates(templates)
        self.coef_, self.logit_scale_ = _class_features(self._backbone(), names, templates)
        self.classes_ = classes

    def _text_logits(self, features):
        return features @ self.coef_.T * self.logit_scale_


class CrossFitMixin:
    """A head that is defined by ``cross_fit``: it knows what it would say without a row."""

    __metadata_request__fit = {"sample_weight": True, "groups": True}

    def fit(self, X, y, sample_weight=None, groups=None):
        """Encode the names of the classes, and learn from the rows.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings, normalised or not.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.
        groups : array-like of shape (n,), default=None
            Rows of a group, such as pictures of one object, are not used to judge each other.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If X is not as wide as the backbone's embedding, a class has no name or a template has
            no place for it.
        """
        self.cross_fit(X, y, groups=groups, sample_weight=sample_weight)
        return self


class CrossFitTextHead(CrossFitMixin, BaseTextHead):
    """A head that starts from text features and is defined by ``cross_fit``."""


def check_templates(templates):
    """Prompts as a tuple of str; None stands for the default ones.

    Raises
    ------
    ValueError
        If there is none, or one has no place for a name.
    """
    templates = tuple(DEFAULT_TEMPLATES if templates is None else templates)
    if not templates:
        raise ValueError("templates is empty; None stands for the default ones.")
    for template in templates:
        if not isinstance(template, str) or template.count("{}") != 1:
            raise ValueError(
                f"Each of templates needs one '{{}}' for the name of a class; {template!r} "
                "does not have it."
            )
    return templates

"""Heads: what turns the embedding of one backbone into class logits."""

import reprlib
import threading
from collections import OrderedDict

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.preprocessing import normalize
from sklearn.utils.validation import check_is_fitted, validate_data

from ._validation import check_labels
from .backbones import Backbone, load_backbone

__all__ = ["DEFAULT_TEMPLATES", "ZeroShotHead"]

DEFAULT_TEMPLATES = ("a photo of a {}.", "a picture of a {}.", "{}")
_MAX_ENCODED = 256

_encoded = OrderedDict()
_lock = threading.Lock()


def _class_features(backbone, names, templates):
    """Text features of classes, encoded once per process: folds and draws share them."""
    from ._forward import encode_classes

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

    Raises
    ------
    ValueError
        If a class has no name.

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


class ZeroShotHead(ClassifierMixin, BaseEstimator):
    r"""Classify embeddings by their similarity to the classes' names, as CLIP does.

    ``fit`` learns nothing from the rows: it takes the labels, writes each class's name into the
    prompts and encodes them with the text tower. Logits are
    :math:`s \cos(f, w_c)`, where f is an embedding, w_c the mean of the class's normalised prompt
    features and s the scale that the model was trained with [1]_.

    Parameters
    ----------
    backbone : str, default="ViT-B-32/openai"
        The model that made the embeddings; see :class:`skclipens.backbones.Backbone`.
    templates : sequence of str, default=None
        Prompts, each with one ``{}`` for the name of a class. None stands for
        ``"a photo of a {}."``, ``"a picture of a {}."`` and ``"{}"``.
    class_names : mapping or sequence of str, default=None
        A mapping from labels to names, or a sequence that integer labels index. Labels that are
        strings are their own names by default.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        Labels.
    coef_ : ndarray of shape (C, width), float32
        Text features of the classes, unit rows.
    logit_scale_ : float
        Scale of the logits.
    n_features_in_ : int
        Width of the backbone's embedding.
    feature_names_in_ : ndarray of shape (width,)
        Names of the columns; only where ``fit`` saw a frame.

    References
    ----------
    .. [1] Radford et al., "Learning Transferable Visual Models From Natural Language
       Supervision", ICML 2021, section 3.1.

    Examples
    --------
    >>> from skclipens import CLIPEmbedder, ZeroShotHead
    >>> from skclipens.datasets import load_emoji
    >>> emoji = load_emoji()
    >>> X = CLIPEmbedder("zoo/RN20").fit_transform(emoji.filenames[::50])
    >>> head = ZeroShotHead("zoo/RN20", class_names=emoji.target_names)
    >>> head.fit(X, emoji.target[::50]).predict_proba(X).shape[0] == len(X)
    True
    """

    _parameter_constraints: dict = {
        "backbone": [str],
        "templates": [None, "array-like"],
        "class_names": [None, dict, "array-like"],
    }
    # Its logits do not depend on the rows it was fitted on: no cross-fitting is needed.
    _learns_from_rows = False

    def __init__(self, backbone="ViT-B-32/openai", *, templates=None, class_names=None):
        self.backbone = backbone
        self.templates = templates
        self.class_names = class_names

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Encode the names of the classes.

        Parameters
        ----------
        X : array-like of shape (n, width)
            Embeddings; only their width is looked at.
        y : array-like of shape (n,)
            Labels.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X is not as wide as the backbone's embedding, a class has no name or a template has
            no place for it.
        """
        X, y = validate_data(self, X, y, dtype=[np.float32, np.float64])
        check_labels(y)
        backbone = Backbone(self.backbone)
        if X.shape[1] != backbone.width:
            raise ValueError(
                f"X has {X.shape[1]} columns, but embeddings of {backbone.name!r} have "
                f"{backbone.width}."
            )
        self.classes_ = np.unique(y)
        names = names_of_classes(self.classes_, self.class_names)
        self.coef_, self.logit_scale_ = _class_features(backbone, names, self._templates())
        return self

    def _templates(self):
        templates = tuple(DEFAULT_TEMPLATES if self.templates is None else self.templates)
        if not templates:
            raise ValueError("templates is empty; None stands for the default ones.")
        for template in templates:
            if not isinstance(template, str) or template.count("{}") != 1:
                raise ValueError(
                    f"Each of templates needs one '{{}}' for the name of a class; {template!r} "
                    "does not have it."
                )
        return templates

    def decision_function(self, X):
        """Logits.

        Parameters
        ----------
        X : array-like of shape (n, width)
            Embeddings, normalised or not.

        Returns
        -------
        ndarray of shape (n, C), or (n,) if C is 2
            For two classes the logit of the second less that of the first.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float32, np.float64])
        logits = normalize(X) @ self.coef_.T * self.logit_scale_
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X):
        """Softmax of the logits.

        Parameters
        ----------
        X : array-like of shape (n, width)

        Returns
        -------
        ndarray of shape (n, C)
        """
        logits = self.decision_function(X)
        if logits.ndim == 1:
            logits = np.stack([-logits / 2, logits / 2], axis=1)
        return softmax(logits, axis=1)

    def predict(self, X):
        """The class whose name is most similar to each embedding.

        Parameters
        ----------
        X : array-like of shape (n, width)

        Returns
        -------
        ndarray of shape (n,)
        """
        most_similar = self.predict_proba(X).argmax(axis=1)
        return self.classes_[most_similar]

"""Zero-shot classification by the names of the classes."""

import numpy as np

from .._utils._docstrings import fill_doc
from .._utils._linalg import unit_rows
from .._utils._messages import listed
from .._utils._sklearn import fit_context
from .._utils._weights_and_groups import check_weights
from ._class_names import sorted_classes
from ._text_head import BaseTextHead


@fill_doc
class ZeroShotHead(BaseTextHead):
    r"""Classify embeddings by their similarity to the classes' names, as CLIP does.

    ``fit`` learns nothing from the rows: it takes the labels, writes each class's name into the
    prompts and encodes them with the text tower. Logits are :math:`s \cos(f, w_c)`, where f is an
    embedding, w_c the mean of the class's normalised prompt features and s the scale that the model
    was trained with [1]_.

    Parameters
    ----------
    %(text_backbone)s
    %(prompts)s

    Attributes
    ----------
    %(classes)s
    %(text_features)s
    logit_scale_ : float
        Scale of the logits.
    %(text_columns)s

    See Also
    --------
    ResidualHead : Corrects its logits by labelled rows.

    References
    ----------
    .. [1] Radford et al., "Learning Transferable Visual Models From Natural Language
       Supervision", ICML 2021, section 3.1.

    Examples
    --------
    >>> from skclipens import CLIPEmbedder, ZeroShotHead
    >>> from skclipens.datasets import load_emoji
    >>> emoji = load_emoji(min_class_size=60)
    >>> X = CLIPEmbedder("zoo/RN20").fit_transform(emoji.filenames[[2, 102]])
    >>> ZeroShotHead("zoo/RN20").set_classes(["person", "mammal", "fruit"]).predict(X)
    array(['person', 'mammal'], dtype=...)
    """

    _in_closed_form = True

    def __init__(self, backbone=None, *, templates=None, class_names=None, cache=None):
        self.backbone = backbone
        self.templates = templates
        self.class_names = class_names
        self.cache = cache

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, *, sample_weight=None):
        """Encode the names of the classes.

        Parameters
        ----------
        X : array-like of shape (n, width)
            Embeddings. Nothing is learned from them.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows. They are checked but have no effect.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If X is not as wide as the backbone's embedding, a class has no name or a template has
            no place for it.

        Warns
        -----
        SuspectedMistakeWarning
            If prompts would classify X far better with the names of the classes in another order.
        """
        features, _ = self._check_rows(X, y, sample_weight=sample_weight)
        check_weights(sample_weight, len(features), features.dtype)
        return self

    @fill_doc
    def set_classes(self, classes, *, class_names=None, templates=None):
        """Set the classes by their names, without rows; can replace ``fit``.

        Parameters are not changed.

        Parameters
        ----------
        %(other_classes)s

        Returns
        -------
        self
            With these classes.

        Raises
        ------
        ValueError
            If `classes` is a string, has no order or is empty, a class is not a valid label or has
            no name, or a template has no place for it. The head is then unchanged.

        Examples
        --------
        >>> from skclipens import CLIPEmbedder, ZeroShotHead
        >>> from skclipens.datasets import load_emoji
        >>> X = CLIPEmbedder("zoo/RN20").fit_transform(load_emoji().filenames[:2])
        >>> head = ZeroShotHead("zoo/RN20").set_classes(["face", "fruit", "house"])
        >>> head.predict_proba(X).shape
        (2, 3)
        """
        labels = sorted_classes(classes, class_names)
        _refuse_either_order(classes, class_names)
        templates = self.templates if templates is None else templates
        self._encode(labels, class_names, templates)
        self._forget_columns_of_another(self._backbone())
        return self

    def _forget_columns_of_another(self, backbone):
        """If `fit` saw embeddings of another backbone, drop the attributes of their columns."""
        if any(block.backbone != backbone.name for block in self._seen):
            self._seen = ()
            vars(self).pop("feature_names_in_", None)
        self.n_features_in_ = backbone.width

    def _logits_of(self, X):
        return self._text_logits(unit_rows(X))

    def _linear(self):
        """Return coefficients and intercept, and True: rows are scaled to unit length."""
        return self.text_features_ * self.logit_scale_, 0.0, True


def _refuse_either_order(classes, class_names):
    """Raise ValueError if names could be in the order of classes or indexed by the labels."""
    if hasattr(class_names, "keys") or not hasattr(class_names, "__getitem__"):
        return
    labels = np.asarray(classes).tolist()
    if labels != sorted(labels) and sorted(labels) == list(range(len(class_names))):
        raise ValueError(
            f"classes are {listed(labels)}, and class_names is a list, which labels index: the "
            f"name of {labels[0]!r} would be {class_names[labels[0]]!r}. Give classes in ascending "
            "order, or a dict from label to name."
        )

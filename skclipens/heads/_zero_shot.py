"""Zero-shot classification: nothing is learned, the classes' names decide."""

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils.validation import check_is_fitted

from .._utils._linalg import unit_rows
from ._text_head import BaseTextHead


class ZeroShotHead(BaseTextHead):
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
        self._fit_text(X, y)
        return self

    def set_classes(self, classes, *, class_names=None):
        """Take other classes, without rows.

        Parameters
        ----------
        classes : array-like of shape (C,)
            Labels.
        class_names : mapping or sequence of str, default=None
            As the parameter of that name, which it replaces.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        self.class_names = class_names
        self._encode(np.unique(classes))
        return self

    def _logits_of(self, X):
        return self._text_logits(unit_rows(X))

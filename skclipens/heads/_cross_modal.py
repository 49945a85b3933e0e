"""A linear probe whose training rows include the text features of the classes."""

from numbers import Integral, Real

import numpy as np

from .._utils._docstrings import fill_doc
from .._utils._folds import codes_of
from .._utils._linalg import unit_rows
from .._utils._sklearn import Interval
from .._utils._warnings import without_warnings
from .._utils._weights_and_groups import MOST_WEIGHT
from ._cross_fit import CrossFitTextHead, default_folds
from ._linear_probe import LinearProbeHead


@fill_doc
class CrossModalHead(CrossFitTextHead):
    """Classify by a linear probe whose training rows include the text features of the classes.

    This is the cross-modal adaptation of [1]_: a logistic regression on the unit embeddings of the
    images and on the text feature of each class, labelled as that class. Its regularisation is
    searched as in :class:`LinearProbeHead`.

    Parameters
    ----------
    %(text_backbone)s
    text_weight : float, default=1.0
        Weight of each text, at most 100,000; images have weight 1.
    max_iter : int, default=1000
        Largest number of iterations of L-BFGS.
    %(prompts)s

    Attributes
    ----------
    %(classes)s
    %(text_features)s
    logit_scale_ : float
        Scale of the zero-shot logits, which are not used.
    probe_ : LinearProbeHead
        The probe, on images and texts. Its classes are positions in ``classes_``.
    %(text_columns)s

    See Also
    --------
    LinearProbeHead : The same without texts.

    Notes
    -----
    A text is one more row, as in the paper's formula. In the authors' code half of each batch are
    texts, as if ``text_weight`` were the number of images per class. On the validation sets neither
    was always better. The regularisation is chosen by the log-loss of held-out images, in up to
    five folds. Texts are always among the training rows, so this works with one image per class,
    too.

    References
    ----------
    .. [1] Lin et al., "Multimodality Helps Unimodality: Cross-Modal Few-Shot Learning with
       Multimodal Models", CVPR 2023, section 3. https://arxiv.org/abs/2301.06267

    Examples
    --------
    >>> from skclipens import CLIPEmbedder
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.heads import CrossModalHead
    >>> emoji = load_emoji(min_class_size=60)
    >>> embedder = CLIPEmbedder("zoo/RN20")
    >>> X = embedder.fit_transform(emoji.filenames[::5])
    >>> y = emoji.target_names[emoji.target[::5]]
    >>> head = CrossModalHead("zoo/RN20").fit(X, y)
    >>> head.predict(embedder.transform(emoji.filenames[[2, 102]]))
    array(['person at work', 'mammal'], dtype=...)
    """

    _parameter_constraints: dict = {
        **CrossFitTextHead._parameter_constraints,
        "text_weight": [Interval(Real, 0, MOST_WEIGHT, closed="right")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        backbone=None,
        *,
        text_weight=1.0,
        max_iter=1000,
        templates=None,
        class_names=None,
        cache=None,
    ):
        self.backbone = backbone
        self.text_weight = text_weight
        self.max_iter = max_iter
        self.templates = templates
        self.class_names = class_names
        self.cache = cache

    def _cross_fit(self, features, targets, weights, folds, groups):
        n, n_classes = len(features), len(self.classes_)
        texts = np.arange(n, n + n_classes)
        weights = np.ones(n, features.dtype) if weights is None else weights
        weights = np.append(weights, np.full(n_classes, self.text_weight, weights.dtype))
        rows = np.concatenate([features, self.text_features_.astype(features.dtype)])
        targets = np.append(targets, np.arange(n_classes))
        if folds is None:
            folds = _image_folds(targets, texts, groups)
        folds = [(np.append(train, texts), test) for train, test in folds]
        self.probe_ = LinearProbeHead(max_iter=self.max_iter)
        with without_warnings("mean weight"):  # checked, before copies were merged
            logits, valid = self.probe_.cross_fit(rows, targets, folds=folds, sample_weight=weights)
        return logits[:n], valid[:n]

    def _logits_of(self, X):
        return self.probe_._logits_of(unit_rows(X))


def _image_folds(targets, texts, groups):
    """Make folds of the images. Texts stay in training, so every image can be held out."""
    if groups is not None:
        groups = codes_of(groups)
        groups = np.append(groups, groups.max() + 1 + np.arange(len(texts)))
    folds = default_folds(targets, groups)
    folds = [[rows[rows < texts[0]] for rows in fold] for fold in folds]
    return [(train, test) for train, test in folds if len(test)]

"""CLIP-Adapter: a small network that adjusts embeddings for zero-shot classification."""

from numbers import Integral, Real

import numpy as np

from .._utils._docstrings import fill_doc
from .._utils._labels import check_at_least_two
from .._utils._linalg import unit_rows
from .._utils._sklearn import Interval, fit_context
from .._utils._weights_and_groups import check_weights
from ..backbones import resolve_device
from ._text_head import BaseTextHead
from ._training import TRAINING_CONSTRAINTS, make_generator, train_head, training_mode


@fill_doc
class CLIPAdapterHead(BaseTextHead):
    r"""Adjust embeddings with a small network, then classify them as zero-shot CLIP does.

    An embedding f becomes :math:`f' = r A(f) + (1 - r) f` with
    :math:`A(f) = \mathrm{ReLU}(W_2\, \mathrm{ReLU}(W_1 f))`, where :math:`W_1` has
    width / ``reduction`` rows and there are no biases. Logits are :math:`s \cos(f', w_c)`, as in
    :class:`ZeroShotHead`. W is trained with cross-entropy; the text features stay [1]_.

    Parameters
    ----------
    %(text_backbone)s
    ratio : float, default=0.2
        Share r of the adapted embedding, from 0 (zero-shot) to 1. The paper searches it for each
        data set; 0.2 is the value in its code.
    reduction : int, default=4
        How many times narrower than the embedding the hidden layer is.
    learning_rate : float, default=1e-3
        Largest step size of AdamW; it falls to zero along a cosine.
    max_iter : int, default=100
        Number of epochs.
    batch_size : int, default=32
        Rows in a step.
    %(prompts)s
    device : str, default="auto"
        Device on which the network is trained; see :class:`CLIPEmbedder`. Fitted attributes are
        NumPy arrays.
    random_state : int, RandomState instance or None, default=None
        Controls the initial weights and the order of the rows.
    verbose : bool or int, default=False
        Whether to show a progress bar with the loss.

    Attributes
    ----------
    %(classes)s
    %(text_features)s
    logit_scale_ : float
        Scale s of the logits.
    adapter_coefs_ : list of ndarray of shapes (width, hidden) and (hidden, width)
        Weights of the network, :math:`W_1^T` and :math:`W_2^T`.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    n_iter_ : int
        Number of epochs.
    %(text_columns)s

    See Also
    --------
    TipAdapterHead : Reads the training rows from a cache instead.

    Notes
    -----
    The authors' code adapts embeddings before it normalises them. This makes no difference: without
    biases, :math:`A(c f) = c A(f)` for every c > 0, so the length of an embedding does not change
    the direction of f', the logits or their gradients. Rows of X may be normalised or not.

    The authors publish no settings except ratio and reduction. Those of training are ours: the
    optimiser and schedule of Tip-Adapter's code [2]_, with smaller batches and more epochs because
    this network starts from random weights. Nothing is stopped early or chosen on other data.

    References
    ----------
    .. [1] Gao et al., "CLIP-Adapter: Better Vision-Language Models with Feature Adapters", 2021,
       section 3.2. https://arxiv.org/abs/2110.04544
    .. [2] Zhang et al., "Tip-Adapter: Training-free Adaption of CLIP for Few-shot
       Classification", ECCV 2022. https://arxiv.org/abs/2111.03930

    Examples
    --------
    >>> from skclipens import CLIPEmbedder
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.heads import CLIPAdapterHead
    >>> emoji = load_emoji(min_class_size=60)
    >>> embedder = CLIPEmbedder("zoo/RN20")
    >>> X = embedder.fit_transform(emoji.filenames[::5])
    >>> y = emoji.target_names[emoji.target[::5]]
    >>> head = CLIPAdapterHead("zoo/RN20", random_state=0).fit(X, y)
    >>> head.predict(embedder.transform(emoji.filenames[[2, 102]]))
    array(['person at work', 'mammal'], dtype=...)
    """

    _parameter_constraints: dict = {
        **BaseTextHead._parameter_constraints,
        **TRAINING_CONSTRAINTS,
        "ratio": [Interval(Real, 0, 1, closed="both")],
        "reduction": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        backbone=None,
        *,
        ratio=0.2,
        reduction=4,
        learning_rate=1e-3,
        max_iter=100,
        batch_size=32,
        templates=None,
        class_names=None,
        cache=None,
        device="auto",
        random_state=None,
        verbose=False,
    ):
        self.backbone = backbone
        self.ratio = ratio
        self.reduction = reduction
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.templates = templates
        self.class_names = class_names
        self.cache = cache
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, *, sample_weight=None):
        """Encode the names of the classes and train the network.

        Parameters
        ----------
        X : array-like of shape (n, width)
            Embeddings, normalised or not.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If X is not as wide as the backbone's embedding, there are fewer than two classes, a
            class has no name or a template has no place for it, or ``learning_rate`` is so large
            that the loss is not finite.

        Warns
        -----
        SuspectedMistakeWarning
            If names of classes look wrong, or fit the rows better in another order.
        """
        features, targets = self._check_rows(X, y, sample_weight=sample_weight)
        check_at_least_two(self.classes_)
        weights = check_weights(sample_weight, len(features), features.dtype)
        if weights is not None:  # the loss of a batch with no weight is not defined
            has_weight = weights > 0
            features, targets = features[has_weight], targets[has_weight]
            weights = weights[has_weight]
        self.loss_curve_, coefs = self._train(features, targets, weights)
        self.adapter_coefs_ = [coef.astype(features.dtype) for coef in coefs]
        self.n_iter_, self._ratio = self.max_iter, self.ratio
        return self

    @training_mode
    def _train(self, features, targets, weights):
        import torch
        from torch.nn import functional

        device = resolve_device(self.device)
        generator = make_generator(self.random_state)
        width = features.shape[1]
        hidden = max(width // self.reduction, 1)
        f = torch.as_tensor(features, dtype=torch.float32, device=device)
        text = torch.tensor(self.text_features_ * self.logit_scale_, device=device)
        first, second = (
            torch.nn.Parameter(_initial(shape, generator).to(device))
            for shape in [(width, hidden), (hidden, width)]
        )

        def logits_of(rows):
            adapted = functional.relu(functional.relu(f[rows] @ first) @ second)
            mixed = self.ratio * adapted + (1 - self.ratio) * f[rows]
            return functional.normalize(mixed, dim=1) @ text.T

        losses = train_head(self, [first, second], logits_of, targets, weights, generator)
        return losses, [p.detach().cpu().numpy() for p in (first, second)]

    def _logits_of(self, X):
        features = unit_rows(X)
        adapted = features
        for coef in self.adapter_coefs_:
            adapted = np.maximum(adapted @ coef, 0)
        mixed = self._ratio * adapted + (1 - self._ratio) * features
        return self._text_logits(unit_rows(mixed))


def _initial(shape, generator):
    """Draw weights as torch does for a linear layer: uniform within 1 / sqrt(inputs)."""
    import torch

    bound = shape[0] ** -0.5
    return torch.empty(shape, dtype=torch.float32).uniform_(-bound, bound, generator=generator)

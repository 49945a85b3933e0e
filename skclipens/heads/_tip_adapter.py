"""Tip-Adapter: a cache of the training rows added to zero-shot logits."""

from numbers import Real

import numpy as np
from sklearn.utils.metaestimators import available_if

from .._utils._docstrings import fill_doc
from .._utils._folds import can_be_held_out, covers_most
from .._utils._linalg import one_hot, row_batches, some_of, unit_rows
from .._utils._sklearn import Interval, StrOptions
from ..backbones import resolve_device
from ._cross_fit import CrossFitTextHead, default_folds
from ._losses import log_loss
from ._temperature import fit_temperature
from ._training import TRAINING_CONSTRAINTS, make_generator, train_head, training_mode

_DEFAULT_ALPHA, _DEFAULT_BETA = 1.0, 5.5
_ALPHAS = [0.0, *(2.0**k for k in range(-3, 8))]
_BETAS = [2.0 ** (k / 2) for k in range(-2, 13)]


def _keys_are_rows(head):
    if head.fine_tune:
        raise AttributeError(
            "With fine_tune=True, keys are trained on all rows, so there are no held-out logits. "
            "cross_val_predict of scikit-learn fits the head once for each fold."
        )
    return True


@fill_doc
class TipAdapterHead(CrossFitTextHead):
    r"""Add the labels of similar training rows to zero-shot logits, as Tip-Adapter does.

    The unit rows F of the training data and their one-hot labels L are a cache. The logits of an
    embedding f of unit length are [1]_

    .. math:: s f W + \alpha \exp(-\beta (1 - f F^T)) L,

    where s f W are the logits of :class:`ZeroShotHead`, with the scale s of the model (100 for
    those of OpenAI).

    Parameters
    ----------
    %(text_backbone)s
    alpha : float or "auto", default="auto"
        Weight of the cache; 0 is zero-shot. ``"auto"``: chosen by the log-loss of training rows,
        see Notes. Not the alpha of :class:`ResidualHead`, which is a penalty.
    beta : float or "auto", default="auto"
        How fast the influence of a training row falls with its distance. ``"auto"``: chosen
        together with alpha.
    fine_tune : bool, default=False
        Whether to train the keys F (Tip-Adapter-F).
    %(prompts)s
    learning_rate : float, default=1e-3
        Largest step size of AdamW; it falls to zero along a cosine. This parameter and those below
        are used only with ``fine_tune=True``.
    max_iter : int, default=20
        Number of epochs.
    batch_size : int, default=256
        Rows in a step.
    device : str, default="auto"
        Device on which the keys are trained; see :class:`CLIPEmbedder`. Fitted attributes are NumPy
        arrays.
    random_state : int, RandomState instance or None, default=None
        Controls the order of the rows in training.
    verbose : bool or int, default=False
        Whether to show a progress bar with the loss.

    Attributes
    ----------
    %(classes)s
    %(text_features)s
    logit_scale_ : float
        Scale s of the zero-shot logits.
    keys_ : ndarray of shape (m, width)
        The keys F, one per distinct row, or per row if there are groups. Trained keys are not of
        unit length.
    values_ : sparse array of shape (m, C)
        The labels L, multiplied by the weights of the rows.
    alpha_, beta_ : float
        The given or chosen values.
    loss_curve_ : list of float
        Mean training loss of each epoch, without each row's own key; empty without ``fine_tune``.
    n_iter_ : int
        Number of epochs; 1 without ``fine_tune``.
    %(text_columns)s

    See Also
    --------
    CLIPAdapterHead : Trains a small network on the embeddings instead.

    Notes
    -----
    ``"auto"`` takes the alpha and beta with the smallest log-loss of the training rows, each with
    its own key left out, on a logarithmic grid (beta 0.5 to 64; alpha 0 and 0.125 to 128, times a
    temperature). The temperature calibrates the zero-shot logits on these rows. All logits are
    divided by it for the log-loss, since overconfident zero-shot logits would outweigh any cache.
    Logits of the head are those of the formula, not divided. The authors' code searches 20 alphas
    and 200 betas for accuracy on validation data, which ``fit`` does not have. The only row of a
    class cannot be held out. If at most half of the classes have more rows, as with one row per
    class, nothing is searched: alpha is the temperature and beta 5.5.

    With ``fine_tune``, alpha and beta are chosen before training, training uses them, and the keys
    of the last epoch are kept. The authors' code takes the epoch that does best on the test data,
    then searches alpha and beta again on validation data. As there, AdamW has an epsilon of 1e-4.

    In the paper a key is the mean of ten augmented views of a picture, and training uses other
    views. Here a picture has one embedding. A training row would find itself among the keys, and
    with a large alpha there would be nothing to learn. So each row's own key is left out in
    training.

    References
    ----------
    .. [1] Zhang et al., "Tip-Adapter: Training-free Adaption of CLIP for Few-shot
       Classification", ECCV 2022, sections 3.1 and 3.2. https://arxiv.org/abs/2111.03930

    Examples
    --------
    >>> from skclipens import CLIPEmbedder
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.heads import TipAdapterHead
    >>> emoji = load_emoji(min_class_size=60)
    >>> embedder = CLIPEmbedder("zoo/RN20")
    >>> X = embedder.fit_transform(emoji.filenames[::5])
    >>> y = emoji.target_names[emoji.target[::5]]
    >>> head = TipAdapterHead("zoo/RN20").fit(X, y)
    >>> head.predict(embedder.transform(emoji.filenames[[2, 102]]))
    array(['person at work', 'mammal'], dtype=...)
    """

    _parameter_constraints: dict = {
        **CrossFitTextHead._parameter_constraints,
        **TRAINING_CONSTRAINTS,
        "alpha": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "beta": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "fine_tune": ["boolean"],
    }

    def __init__(
        self,
        backbone=None,
        *,
        alpha="auto",
        beta="auto",
        fine_tune=False,
        templates=None,
        class_names=None,
        cache=None,
        learning_rate=1e-3,
        max_iter=20,
        batch_size=256,
        device="auto",
        random_state=None,
        verbose=False,
    ):
        self.backbone = backbone
        self.alpha = alpha
        self.beta = beta
        self.fine_tune = fine_tune
        self.templates = templates
        self.class_names = class_names
        self.cache = cache
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    cross_fit = available_if(_keys_are_rows)(CrossFitTextHead.cross_fit)

    def _fit(self, features, targets, weights, folds, groups):
        hidden = self._fill_cache(features, targets, weights, folds, groups)
        if self.fine_tune:
            self.loss_curve_, keys = self._train(targets, hidden, weights)
            self.keys_, self.n_iter_ = keys.astype(self.keys_.dtype), self.max_iter

    def _cross_fit(self, features, targets, weights, folds, groups):
        hidden = self._fill_cache(features, targets, weights, folds, groups)
        rows = np.arange(len(features))
        batches = [rows[batch] for batch in self._batches(len(rows))]
        logits = [self._tip_logits(features[batch], hidden(batch)) for batch in batches]
        return np.concatenate(logits), hidden.valid

    def _fill_cache(self, features, targets, weights, folds, groups):
        """Set keys, values, alpha and beta; return the `_HiddenKeys`."""
        if folds is None and groups is not None:
            folds = default_folds(targets, groups)
        self.keys_ = features
        of_keys = np.ones(len(targets), features.dtype) if weights is None else weights
        self.values_ = one_hot(targets, len(self.classes_), of_keys)
        hidden = _HiddenKeys(targets, weights, folds)
        self.alpha_, self.beta_ = self._choose(targets, hidden, weights)
        self.loss_curve_, self.n_iter_ = [], 1
        return hidden

    def _choose(self, targets, hidden, weights):
        """Return alpha and beta, as given or with the smallest log-loss of held-out rows."""
        validation = np.flatnonzero(hidden.valid)
        searched = covers_most(targets[validation], len(self.classes_))
        text = self._text_logits(self.keys_)
        temperature = fit_temperature(text, targets, sample_weight=weights)
        relative = _ALPHAS if searched else [_DEFAULT_ALPHA]
        alphas = _candidates(self.alpha, [temperature * alpha for alpha in relative])
        betas = _candidates(self.beta, _BETAS if searched else [_DEFAULT_BETA])
        if len(alphas) == len(betas) == 1:
            return alphas[0], betas[0]
        losses = np.zeros((len(betas), len(alphas)))
        for batch in self._batches(len(validation)):
            rows = validation[batch]
            batch_weights = some_of(weights, rows)
            text = self._text_logits(self.keys_[rows]) / temperature
            similarity = self._similarity(self.keys_[rows], hidden(rows))
            for b, beta in enumerate(betas):
                cache = self._cache_logits(similarity, beta) / temperature
                losses[b] += [
                    log_loss(text + alpha * cache, targets[rows], batch_weights) for alpha in alphas
                ]
        best = np.unravel_index(losses.argmin(), losses.shape)
        return alphas[best[1]], betas[best[0]]

    def _batches(self, n):
        return row_batches(n, len(self.keys_))

    def _similarity(self, features, hidden=None):
        """Return cosines to the keys, (n, number of keys); those of hidden keys are -inf."""
        similarity = features @ self.keys_.T
        if not self.fine_tune:  # else keys may be longer than one
            np.minimum(similarity, 1, out=similarity)  # up to rounding
        if hidden is not None:
            similarity[hidden] = -np.inf
        return similarity

    def _cache_logits(self, similarity, beta):
        with np.errstate(under="ignore"):
            return np.exp(beta * (similarity - 1)) @ self.values_

    def _tip_logits(self, features, hidden=None):
        cache = self._cache_logits(self._similarity(features, hidden), self.beta_)
        return self._text_logits(features) + self.alpha_ * cache

    @training_mode
    def _train(self, targets, hidden, weights):
        import torch

        device = resolve_device(self.device)
        f = torch.tensor(self.keys_, dtype=torch.float32, device=device)
        text = torch.as_tensor(self._text_logits(self.keys_), dtype=torch.float32, device=device)
        values = torch.as_tensor(self.values_.toarray(), dtype=torch.float32, device=device)
        keys = torch.nn.Parameter(f.clone())

        def logits_of(rows):
            similarity = f[rows] @ keys.T
            # Without its own key: a row whose similarity to itself is 1 has nothing to learn.
            own = torch.as_tensor(hidden(rows.numpy()), device=device)
            similarity = similarity.masked_fill(own, -torch.inf)
            cache = torch.exp(self.beta_ * (similarity - 1)) @ values
            return text[rows] + self.alpha_ * cache

        generator = make_generator(self.random_state)
        losses = train_head(self, [keys], logits_of, targets, weights, generator)
        return losses, keys.detach().cpu().numpy()

    def _logits_of(self, X):
        features = unit_rows(X)
        return np.concatenate([self._tip_logits(features[b]) for b in self._batches(len(features))])


class _HiddenKeys:
    """The keys to hide from a held-out row: its own, and all that its fold does not train on."""

    def __init__(self, targets, weights, folds):
        n = len(targets)
        self.fold_of = np.full(n, -1)
        self.outside = np.ones((len(folds or ()), n), bool)
        self.valid = can_be_held_out(targets, weights=weights) & (folds is None)
        for fold, (train, test) in enumerate(folds or ()):
            self.fold_of[test] = fold
            self.outside[fold, train] = False
            self.valid[test] = np.isin(targets[test], targets[train])

    def __call__(self, rows):
        """Return the mask of hidden keys of some rows, (len(rows), number of keys)."""
        hidden = np.zeros((len(rows), len(self.fold_of)), bool)
        fold = self.fold_of[rows]
        hidden[fold >= 0] = self.outside[fold[fold >= 0]]
        hidden[np.arange(len(rows)), rows] = True
        return hidden


def _candidates(given, automatic):
    return list(automatic) if given == "auto" else [float(given)]

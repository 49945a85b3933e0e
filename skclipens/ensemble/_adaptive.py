"""The adaptive ensemble: a router that weighs the experts of each row."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions

from ..backbones import resolve_device
from ._base import BaseBackboneEnsemble
from ._nlc import NeuralLogitController
from ._routers import ShrunkRouter, StaticRouter, UniformRouter, combine

# Total weight of experts that no row can judge. The largest that cost nothing at one shot on the
# validation style; see docs/results/routers.md.
_UNJUDGED_WEIGHT = 0.25


class AdaptiveBackboneEnsemble(BaseBackboneEnsemble):
    r"""Classify by experts on several backbones, trusting each as far as the row deserves.

    An expert is a head (zero-shot prompts, a linear probe, any classifier) on a block of columns
    (the embedding of one backbone). A router gives every expert a positive weight for every row;
    the ensemble's logits are the weighted sum of the experts' calibrated logits,
    :math:`z(x) = \sum_e a_e(x) z_e(x) / T_e` [1]_. Temperatures and router are fitted on logits
    of rows that the heads have not seen.

    Parameters
    ----------
    blocks : None, str, list of str or list of (str, columns), default=None
        Which columns belong together. Backbones by name (``"zoo"``, ``"paper"``, a list; see
        :class:`skclipens.backbones.Backbone`) for the output of a
        :class:`MultiBackboneEmbedder` with the same backbones; pairs of a name and columns
        (slice, positions, mask, names) for any table. None reads blocks from column names
        ``BACKBONE__i`` where X is a frame, and takes all columns as one block otherwise.
    head : str, classifier or list, default="auto"
        Which experts there are.

        - ``"zero-shot"``: a :class:`ZeroShotHead` on each block that is named after a backbone;
        - ``"linear"``: a logistic regression on each block;
        - ``"linear-all"``: one logistic regression on all blocks together;
        - a classifier: a clone of it on each block;
        - a list of these: all of them;
        - a list of (name, classifier, columns): exactly these experts; ``columns`` may name a
          block;
        - ``"auto"``: zero-shot heads where blocks are named after backbones, with linear heads
          and, for several blocks, one linear head on all.
    router : {"shrunk", "static", "uniform", "nlc"}, default="shrunk"
        How experts are weighed.

        - ``"nlc"``: the Neural Logit Controller of [1]_, a network that reads all columns;
        - ``"static"``: one weight per expert, the same for all rows, fitted by maximum
          a posteriori around the logit average;
        - ``"uniform"``: the calibrated logit average, in which all experts weigh the same;
        - ``"shrunk"``: static weights times a gate per expert that reads its confidence, margin,
          entropy and agreement with the mean of all. The gates are shrunk by an amount that
          cross-validated log-loss chooses, and stay shut where they do not pay.
    cv : int, float, splitter or "prefit", default=5
        How heads that learn from rows are kept from the rows that calibrate and route.

        - an int: cross-fitting in at most so many stratified folds; the heads are then fitted
          again on all rows;
        - a float: so large a part of the rows is held out (0.1 in [1]_);
        - a splitter: cross-fitting in its folds;
        - ``"prefit"``: ``head`` is a list of triples with fitted classifiers, and all of X is for
          calibrating and routing.

        Zero-shot heads learn nothing from rows and need no folds. A head that learns can be judged
        by rows whose class has other rows to learn from. Where that holds for no more than half of
        the classes, as at one row per class, heads that learn are not routed if there are zero-shot
        heads: they share a small fixed weight, at their own scale, which decides where the
        zero-shot heads turn out to know nothing.
    calibrate : bool, default=True
        Whether to divide each expert's logits by a fitted temperature.
    class_names : mapping or sequence of str, default=None
        Names of the classes for zero-shot prompts: a mapping from labels, or a sequence that
        integer labels index. Labels that are strings are their own names.
    templates : sequence of str, default=None
        Prompts of the zero-shot heads, each with one ``{}``; see :class:`ZeroShotHead`.
    hidden_dim : int, default=128
        Width of the network's hidden layer (``router="nlc"``).
    learning_rate : float, default=2e-4
        Learning rate of Adam (``router="nlc"``).
    weight_decay : float, default=0.01
        Weight decay of Adam (``router="nlc"``).
    max_iter : int, default=100
        Epochs of training (``router="nlc"``); the paper does not give a number.
    batch_size : int, default=64
        Rows in a training step (``router="nlc"``); the paper does not give a number.
    device : str, default="auto"
        Where the network is trained (``router="nlc"``); see :class:`CLIPEmbedder`.
    n_jobs : int, default=None
        Number of heads that are cross-fitted at the same time; see joblib. Each fit runs in one
        BLAS thread.
    random_state : int, RandomState instance or None, default=None
        Determines folds and, with ``router="nlc"``, initial weights and batches.
    verbose : bool or int, default=False
        Whether to print the loss while a network is trained.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        Labels.
    experts_ : list of E (name, head, columns)
        Fitted heads, each with the positions of its columns.
    expert_names_ : ndarray of shape (E,)
        Names of the experts: that of the block, followed by the head's where there are several
        kinds.
    judged_ : ndarray of shape (E,), bool
        Which experts could be calibrated and routed; see ``cv``.
    temperatures_ : ndarray of shape (E,)
        What each expert's logits are divided by.
    router_ : object
        The fitted router.
    n_iter_ : int
        Iterations or epochs that the router was fitted for.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns; only where ``fit`` saw a frame.

    See Also
    --------
    make_backbone_pipeline : A classifier of images that embeds them first.

    References
    ----------
    .. [1] Rodriguez-Opazo et al., "Synergy and Diversity in CLIP: Enhancing Performance Through
       Adaptive Backbone Ensembling", ICLR 2025.

    Examples
    --------
    The paper's recipe is ``head="zero-shot", router="nlc"``, and with linear heads
    ``head="linear", router="nlc", cv=0.1``. On any table:

    >>> from sklearn.datasets import load_wine
    >>> from skclipens import AdaptiveBackboneEnsemble
    >>> X, y = load_wine(return_X_y=True)
    >>> blocks = [("first", slice(0, 6)), ("rest", slice(6, None))]
    >>> clf = AdaptiveBackboneEnsemble(blocks, head="linear", random_state=0).fit(X, y)
    >>> clf.routing_weights(X).shape
    (178, 2)
    """

    _parameter_constraints: dict = {
        "blocks": [None, str, "array-like"],
        "head": [str, HasMethods(["fit", "predict"]), list, tuple],
        "router": [StrOptions({"shrunk", "static", "uniform", "nlc"})],
        "cv": [
            Interval(Integral, 2, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            HasMethods(["split", "get_n_splits"]),
            StrOptions({"prefit"}),
        ],
        "calibrate": ["boolean"],
        "class_names": [None, dict, "array-like"],
        "templates": [None, "array-like"],
        "hidden_dim": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        blocks=None,
        *,
        head="auto",
        router="shrunk",
        cv=5,
        calibrate=True,
        class_names=None,
        templates=None,
        hidden_dim=128,
        learning_rate=2e-4,
        weight_decay=0.01,
        max_iter=100,
        batch_size=64,
        device="auto",
        n_jobs=None,
        random_state=None,
        verbose=False,
    ):
        self.blocks = blocks
        self.head = head
        self.router = router
        self.cv = cv
        self.calibrate = calibrate
        self.class_names = class_names
        self.templates = templates
        self.hidden_dim = hidden_dim
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _make_router(self):
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        if self.router == "uniform":
            return UniformRouter()
        if self.router == "static":
            return StaticRouter()
        if self.router == "shrunk":
            return ShrunkRouter(random_state=seed)
        return NeuralLogitController(
            hidden_dim=self.hidden_dim,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            max_iter=self.max_iter,
            batch_size=self.batch_size,
            device=resolve_device(self.device),
            random_state=seed,
            verbose=self.verbose,
        )

    def _fit_combination(self, X, logits, y):
        router = self._make_router() if len(y) else UniformRouter()
        self.router_ = router.fit(X, logits, y)
        self.n_iter_ = router.n_iter

    def _combine(self, X, logits):
        return combine(self._weights(X, logits), logits)

    def _weights(self, X, logits):
        unjudged = max(np.sum(~self.judged_), 1)
        weights = np.full(logits.shape[:2], _UNJUDGED_WEIGHT / unjudged, logits.dtype)
        weights[:, self.judged_] = self.router_.weights(X, logits[:, self.judged_])
        return weights

    def routing_weights(self, X):
        """How far each expert is trusted for each row.

        Parameters
        ----------
        X : array-like of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n, E)
            Positive weights of the calibrated logits, experts in the order of
            ``expert_names_``.
        """
        return self._weights(*self._calibrated_logits(X))

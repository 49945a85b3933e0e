"""The ensemble: experts on blocks of columns, and a router that combines them."""

from numbers import Integral

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_memory

from .._utils._docstrings import fill_doc
from .._utils._folds import CV_CONSTRAINTS
from .._utils._linalg import one_blas_thread
from .._utils._sklearn import HasMethods, InOrder, StrOptions, fit_context
from ..heads._text_head import PROMPT_CONSTRAINTS
from ._before_fit import check_before_fit
from ._composition import HeadComposition
from ._cross_fit import CrossFit
from ._from_files import FitFrom
from ._held_out import fit_and_judge, fit_experts
from ._memory import kept_by
from ._plan import make_plan, needs_judges, warn_of_doubts
from ._predicting import ExpertClassifier
from ._routing import combine_experts
from ._rows import forget_rows, rows_to_learn
from ._unlabeled import learn_from_unlabeled
from ._without_labels import fit_by_names
from .routers import ROUTERS


@fill_doc
class AdaptiveBackboneEnsemble(
    HeadComposition,
    CrossFit,
    FitFrom,
    ExpertClassifier,
    BaseEstimator,
):
    r"""Classify embeddings by an ensemble of experts on several backbones.

    An expert is a head (zero-shot prompts, a linear probe, any classifier) on a block of columns
    (the embedding of one backbone). A router combines the experts' logits: by a weight for every
    expert and row, :math:`z(x) = \sum_e a_e(x) z_e(x) / T_e` [1]_, or by another rule. Temperatures
    and router are fitted on held-out logits, of rows that the heads were not fitted on. With the
    default heads the weights are the same for all rows that are like training rows: see ``router``
    and ``out_of_distribution``.

    Parameters
    ----------
    blocks : None, str, list of str, list of (str, columns) or dict, default=None
        Which columns belong together. Backbones by name (``"zoo"``, ``"paper"``, a list; see
        :class:`skclipens.backbones.Backbone`) for the output of a :class:`MultiBackboneEmbedder`
        with the same backbones; pairs of a name and columns (slice, positions, mask, names), or a
        dict of these, for any table. None finds the blocks of an embedder by the names of their
        columns where X is a frame, with all others as one block more, and takes all columns as
        one block otherwise.
    head : str, classifier or list, default="auto"
        Which experts there are.

        - ``"zero-shot"``: a :class:`ZeroShotHead` on each block that is a backbone's embedding,
          with texts to compare it with, so not on pooled features;
        - ``"residual"``: a :class:`ResidualHead`, which corrects zero-shot logits in closed
          form, on each of these;
        - ``"tip-adapter"``, ``"gda"``, ``"clap"``, ``"cross-modal"`` and ``"clip-adapter"``: a
          :class:`TipAdapterHead`, :class:`GDAHead`, :class:`CLAPHead`, :class:`CrossModalHead` or
          :class:`CLIPAdapterHead` on each of these;
        - ``"linear"``: a :class:`LinearDiscriminantHead` on each block;
        - ``"linear-probe"``: a :class:`LinearProbeHead`, logistic regression that sweeps its
          regularisation, on each block;
        - ``"linear-all"``: one such head on all blocks together, in which each block that is of no
          backbone varies as much as an embedding does;
        - ``"kernel"``: one :class:`KernelHead` on all blocks together that are of backbones;
        - a classifier: a clone of it on each block. A head that starts from prompts takes the
          backbone of its block; if it names a backbone, it goes to the blocks of that one only;
        - a list of these, or of pairs (name, head): all of them, with nested parameters as in
          :class:`sklearn.ensemble.VotingClassifier`;
        - a triple (name, head, columns) in a list: one expert; ``columns`` may name a block. A head
          that is fitted already is wrapped in :class:`sklearn.frozen.FrozenEstimator`;
        - ``"auto"``: zero-shot and residual heads on blocks that are a backbone's embedding, linear
          heads on others but pooled features, one linear head on all blocks together, and a kernel
          head. Where labels are numbers and have no ``class_names``, linear heads alone. Where
          at least half of the classes have one row, no row can judge a head of one block: then
          only the two on all blocks learn.
    router : str or router, default="shrunk"
        How experts are combined.

        - ``"uniform"``: the logit average, in which all experts weigh the same;
        - ``"static"``: one weight per expert, the same for all rows, fitted with a penalty that
          holds it near the logit average;
        - ``"shrunk"``: static weights plus a gate per expert that reads its confidence, margin,
          entropy and agreement with the mean of all, and the leading components of the columns.
          The gates are shrunk by an amount that cross-validated log-loss chooses. They stay shut
          where they do not pay, and where any head has learned from rows;
        - ``"nlc"``: the Neural Logit Controller of [1]_, a network that reads all columns, with
          signed weights; use it with ``calibrate=False``;
        - ``"confidence"``: the most confident expert decides;
        - ``"vote"``, ``"vote-3"``: plurality of the experts' votes, for one or three classes each;
        - ``"probability"``: the mean of probabilities;
        - ``"super-learner"``, ``"genetic"``: one weight per expert, fitted by least squares, or
          by evolution for accuracy;
        - ``"mixture"``: a sparse gate activates two experts for each row;
        - a router with parameters of its own, such as ``NeuralLogitController(hidden_dim=32)``;
          see :mod:`skclipens.ensemble`.
    cv : int, float, splitter or list of (train, test), default=5
        How the held-out logits are computed to which temperatures and router are fitted.

        - an int: cross-fitting in at most this number of stratified folds; the heads are then
          fitted again on all rows. A head that has held-out logits in closed form, such as a
          residual or linear head, is not fitted again for the folds;
        - a float: this share of the rows is held out (0.1 in [1]_);
        - a splitter, or splits: cross-fitting in its folds, for all heads.

        Zero-shot and frozen heads learn nothing from rows and need no folds. Any other head can
        be judged by rows whose class has other rows to learn from. Where that holds for no more
        than half of the classes, as at one row per class, such heads are not judged: they share a
        weight that is the larger, the worse the others do on the rows. Nothing is held out where
        ``calibrate`` is false and the router learns nothing.
    calibrate : bool, default=True
        Whether to divide each expert's logits by a temperature that is fitted on rows which
        the head has not seen [2]_.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, which multiply ``sample_weight``; see
        :func:`sklearn.utils.class_weight.compute_sample_weight`.
    class_names : mapping or sequence of str, default=None
        Names of the classes for prompts: a mapping from labels, or a sequence that integer
        labels index and that holds those that are strings. None: labels that are strings are
        their own names. Where ``fit`` gets no y, the names become the labels, sorted.
    templates : sequence of str, default=None
        Prompts, each with one ``{}``; see :class:`ZeroShotHead`.
    %(text_cache)s
    out_of_distribution : {"prompts", "ignore"}, default="prompts"
        How a row is classified that is less similar to the mean of the training rows than these
        are, such as a cartoon where photographs were labelled; similarity is the mean cosine of the
        embeddings. ``"prompts"``: the zero-shot heads weigh as much as all experts together.
        ``"ignore"``: as any other row. It is ignored, too, where heads are not of both kinds
        (zero-shot and learned), there are fewer than six rows, nothing is calibrated, or the router
        has no weights.
    unlabeled : {"error", "ignore", "use"}, default="error"
        What a row without a label is: -1 among numbers; None, NaN or "" among any. ``"error"``: an
        error, but labels that are all -1 or 1 are two classes. ``"ignore"``: it is left out.
        ``"use"``: heads, temperatures and router are fitted without it; then a Gaussian mixture of
        all rows, which starts from the ensemble's probabilities, corrects the logits of any row, if
        that helps on held-out labelled rows [3]_. A splitter as ``cv`` gets the labelled rows only.
    memory : str or object with the joblib.Memory interface, default=None
        Where fitted heads and their held-out logits are cached, so that ensembles that share their
        heads and differ in the router fit the heads once. Nothing is cached by default. Where the
        class of a head of your own is edited, it is fitted again; functions that it calls elsewhere
        are not looked at.
    n_jobs : int, default=None
        Number of heads that are cross-fitted at the same time; see joblib. Each fit runs in one
        BLAS thread. Heads in closed form are fitted in threads, by default in as many as BLAS has.
    random_state : int, RandomState instance or None, default=None
        Determines folds, and what heads and router draw where their own is None.
    verbose : bool or int, default=False
        Whether to show progress bars.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        Labels.
    experts_ : list of E (name, head, block)
        Fitted heads, each with its block: a name, the positions of its columns and its backbone.
    expert_names_ : ndarray of shape (E,)
        Names of the experts: the name of the block, followed by that of the head where there are
        several kinds.
    judged_ : ndarray of shape (E,), bool
        Which experts could be judged, and are routed; see ``cv``. Where none could, all are.
    temperatures_ : ndarray of shape (E,)
        Temperatures, by which the logits are divided; ones without calibration.
    router_ : object
        The fitted router; a :class:`~skclipens.ensemble.UniformRouter` in place of one that learns
        where no row could judge any expert.
    support_ : Support or None
        What rows to predict are compared with: a tuple of ``blocks``, ``mean``, ``least`` and
        ``usual``. None where nothing is; see ``out_of_distribution``.
    unlabeled_ : UnlabeledCorrection or None
        What unlabelled rows add to the logits: a tuple of ``coef``, ``intercept``, ``spread``,
        ``gain`` and ``n_rows``. None where there are none, or they were not let in.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns; only where ``fit`` saw a frame.

    See Also
    --------
    make_backbone_pipeline : A classifier of images that embeds them first.

    References
    ----------
    %(paper)s
    .. [2] Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
    .. [3] After Zanella et al., "Boosting Vision-Language Models with Transduction", NeurIPS 2024.

    Examples
    --------
    On the embeddings of two backbones:

    >>> from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
    >>> from skclipens.datasets import load_emoji
    >>> emoji = load_emoji(min_class_size=60)
    >>> paths, y = emoji.filenames[::5], emoji.target_names[emoji.target[::5]]
    >>> embedder = MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-16"])
    >>> X = embedder.set_output(transform="pandas").fit_transform(paths)
    >>> clf = AdaptiveBackboneEnsemble(random_state=0).fit(X, y)
    >>> print(*clf.expert_names_[:3], sep=", ")
    zoo/RN20:zero-shot, zoo/ViT-16:zero-shot, zoo/RN20:residual
    >>> len(clf.expert_names_), clf.routing_weights(X).shape[1]
    (6, 6)

    On any table:

    >>> from sklearn.datasets import load_wine
    >>> from sklearn.preprocessing import scale
    >>> X, y = load_wine(return_X_y=True)
    >>> blocks = [("first", slice(0, 6)), ("rest", slice(6, None))]
    >>> clf = AdaptiveBackboneEnsemble(blocks, head="linear", random_state=0).fit(scale(X), y)
    >>> clf.routing_weights(scale(X)).shape
    (178, 2)

    The paper's recipe is ``head="zero-shot", router="nlc", calibrate=False``, and with linear heads
    ``head="linear", router="nlc", calibrate=False, cv=0.1``.
    """

    _parameter_constraints: dict = {
        "blocks": [None, str, dict, InOrder()],
        "head": [str, HasMethods(["fit"]), list, tuple],
        "router": [StrOptions(set(ROUTERS)), HasMethods(["weights"]), HasMethods(["combine"])],
        "cv": CV_CONSTRAINTS,
        "calibrate": ["boolean"],
        "class_weight": [None, dict, StrOptions({"balanced"})],
        **PROMPT_CONSTRAINTS,
        "out_of_distribution": [StrOptions({"prompts", "ignore"})],
        "unlabeled": [StrOptions({"error", "ignore", "use"})],
        "memory": [None, str, HasMethods(["cache"])],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    __metadata_request__fit = {"sample_weight": True, "groups": True}

    def __init__(
        self,
        blocks=None,
        *,
        head="auto",
        router="shrunk",
        cv=5,
        calibrate=True,
        class_weight=None,
        class_names=None,
        templates=None,
        cache=None,
        out_of_distribution="prompts",
        unlabeled="error",
        memory=None,
        n_jobs=None,
        random_state=None,
        verbose=False,
    ):
        self.blocks = blocks
        self.head = head
        self.router = router
        self.cv = cv
        self.calibrate = calibrate
        self.class_weight = class_weight
        self.class_names = class_names
        self.templates = templates
        self.cache = cache
        self.out_of_distribution = out_of_distribution
        self.unlabeled = unlabeled
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, *, sample_weight=None, groups=None):
        """Fit the heads, and how to combine them.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings, or any table.
        y : array-like of shape (n,), default=None
            Labels; see `unlabeled` for rows that have none. None where nothing learns from them:
            zero-shot heads, ``calibrate=False``, and a router such as ``"uniform"``. Then
            ``class_names`` is a sequence. Sorted, it is the labels: columns of ``predict_proba``
            follow ``classes_``, not the sequence.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows, for heads, temperatures, router and mixture. A weight stands for so
            many copies of a row, so they should be 1 in the mean. Those that sum to one, as in
            boosting, are shares: they are multiplied by the number of rows.
        groups : array-like of shape (n,), default=None
            Rows of a group, such as pictures of one object, are never on both sides of a fold.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If the blocks do not fit X, a row has no label and ``unlabeled="error"``, fewer than two
            classes have one, a class has no name for its prompt, ``cv`` is a fraction that cannot
            hold out rows of every class, or has folds that overlap or are out of range, something
            cannot take weights, or labels are missing and something learns from them.
        """
        if y is None:
            return fit_by_names(self, X)
        self._learn(X, y, sample_weight, groups, judge=False)
        return self

    def _learn(self, X, y, sample_weight, groups, *, folds=None, judge):
        """Fit; nothing is held out where nothing needs it, unless ``judge`` is true.

        Returns
        -------
        Rows
        HeldOut or None
        """
        forget_rows(self)
        cv = self.cv if folds is None else folds
        rows, unlabeled = rows_to_learn(self, X, y, sample_weight, groups, cv)
        learned = rows.X, rows.y, rows.metadata
        # Fits are small: BLAS threads cost more than they save. More cores are used by n_jobs.
        with one_blas_thread():
            relative_loss, held_out = self._fit(*learned, rows.cv, judge)
            if self.unlabeled == "use":
                self.unlabeled_ = learn_from_unlabeled(self, *learned, *unlabeled, relative_loss)
        return rows, held_out

    def _fit(self, X, y, metadata, cv, judge=False):
        """Fit on labelled rows; return the relative log-loss of those that judge, and ``HeldOut``.

        See :func:`skclipens.heads._temperature.relative_log_loss`.
        """
        self.unlabeled_ = None
        names = getattr(self, "feature_names_in_", None)
        experts, self.classes_, router = make_plan(self, self.n_features_in_, names, y, metadata)
        warn_of_doubts(self, experts, router, X, y)
        memory = check_memory(self.memory)
        if not (judge or needs_judges(self, router)):
            fit_once = kept_by(memory, fit_experts, ["verbose"])
            fitted = fit_once(experts, X, y, metadata, verbose=self.verbose)
            return combine_experts(self, fitted, None, router, X, y, metadata), None
        fit_once = kept_by(memory, fit_and_judge, ["n_jobs", "verbose"])
        fitted, held_out = fit_once(
            experts,
            X,
            y,
            self.classes_,
            cv,
            metadata=metadata,
            random_state=self.random_state,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        return combine_experts(self, fitted, held_out, router, X, y, metadata), held_out

    _check_before_fit = check_before_fit  # what a pipeline asks before it embeds images

"""The ensemble: experts on blocks of columns, and a router that combines them."""

from contextlib import nullcontext
from numbers import Integral

from sklearn.base import BaseEstimator

from .._mistakes._row_order import warn_of_moved_labels
from .._mistakes._seen_rows import see_rows, warn_of_near_duplicates, warn_of_one_picture
from .._utils._docstrings import fill_doc
from .._utils._folds import CV_CONSTRAINTS, some_splits
from .._utils._sample_arguments import index_of
from .._utils._sklearn import HasMethods, InOrder, StrOptions, fit_context
from .._utils._threads import one_blas_thread
from .._utils._warnings import silent, without_warnings
from ..heads._text_head import PROMPT_CONSTRAINTS
from ._before_fit import check_before_fit
from ._composition import HeadCompositionMixin
from ._cross_fit import EnsembleCrossFitMixin
from ._doubts import warn_of_mistakes
from ._from_files import FitFromMixin
from ._held_out import fit_and_hold_out, fit_experts
from ._memory import cached_by, memory_of
from ._plan import make_plan, needs_held_out
from ._predicting import BaseExpertClassifier
from ._routing import combine_experts
from ._rows import rows_to_learn
from ._unlabeled import learn_from_unlabeled
from ._without_labels import fit_by_names
from .routers import ROUTERS


@fill_doc
class AdaptiveBackboneEnsemble(
    HeadCompositionMixin,
    EnsembleCrossFitMixin,
    FitFromMixin,
    BaseExpertClassifier,
    BaseEstimator,
):
    r"""Classify rows of embeddings by an ensemble of experts on several backbones.

    An expert is a head (zero-shot prompts, a linear probe, any classifier) fitted on a block of
    columns (the embedding of one backbone). A router combines the logits of the experts, by a
    weight for each expert and row, :math:`z(x) = \sum_e a_e(x) z_e(x) / T_e` [1]_, or by another
    rule. Temperatures and router are fitted on held-out logits, from rows that the heads were not
    fitted on. With the default heads the weights are the same for all rows that are like training
    rows: see ``router`` and ``out_of_distribution``.

    Parameters
    ----------
    blocks : None, str, list of str, list of (str, columns) or dict, default=None
        Which columns belong together. Names of backbones (``"zoo"``, ``"paper"``, a list; see
        :class:`skclipens.backbones.Backbone`) for the output of a :class:`MultiBackboneEmbedder`
        with the same backbones; pairs of a name and columns (slice, positions, mask, names), or a
        dict of these, for any table. None: if X is a DataFrame, the blocks of an embedder are
        found by their column names, and all other columns form one more block; otherwise all
        columns form one block.
    head : str, classifier or list, default="auto"
        The classifiers on the blocks.

        - ``"zero-shot"``: a :class:`ZeroShotHead` on each block that is a backbone's embedding and
          can be compared with texts, so not on pooled or intermediate features;
        - ``"residual"``: a :class:`ResidualHead`, which corrects zero-shot logits in closed
          form, on each of these blocks;
        - ``"tip-adapter"``, ``"gda"``, ``"clap"``, ``"cross-modal"`` and ``"clip-adapter"``: a
          :class:`TipAdapterHead`, :class:`GDAHead`, :class:`CLAPHead`, :class:`CrossModalHead` or
          :class:`CLIPAdapterHead` on each of these blocks;
        - ``"linear"``: a :class:`LinearDiscriminantHead` on each block;
        - ``"linear-probe"``: a :class:`LinearProbeHead`, logistic regression with tuned
          regularisation, on each block;
        - ``"logistic"``: a :class:`LogisticDiscriminantHead`, logistic regression that starts from
          the linear discriminant, on each block;
        - ``"forest"``: a :class:`ForestHead`, trees, on each block;
        - ``"linear-all"``, ``"logistic-all"``: one :class:`LinearDiscriminantHead` or
          :class:`LogisticDiscriminantHead` on all blocks together, in which a block of other
          columns is rescaled to vary as much as an embedding;
        - ``"kernel"``: for each backbone a :class:`KernelHead` on all of its blocks; intermediate
          features of all backbones have one together;
        - ``"kernel-all"``: one :class:`KernelHead` on all blocks of backbones together, which
          chooses beta from 1, 2, 4 and 8, and alpha from 0.03, 0.1, 0.3, 1 and 3;
        - a classifier: a clone of it on each block, and of a :class:`KernelHead` for each backbone.
          A head that starts from prompts takes the backbone of its block; if it has a
          ``backbone``, it is used on blocks of that one only;
        - a list of these, or of pairs (name, head): all of them, but no expert twice; with nested
          parameters as in :class:`sklearn.ensemble.VotingClassifier`;
        - a triple (name, head, columns) in a list: a single expert; ``columns`` can be the name of
          a block. Wrap a head that is already fitted in :class:`sklearn.frozen.FrozenEstimator`;
        - ``"auto"``: ``["zero-shot", "kernel", "linear-all"]``, without zero-shot heads if labels
          are numbers without ``class_names``. Each block of no backbone has a linear head, and a
          forest if it has at most 200 columns, and there are embeddings or X has column names. If
          at least half of the classes have one row, no row can validate a head on one block, so
          it is ``["zero-shot", "kernel-all", "linear-all"]``, and beside embeddings forests, whose
          blocks no linear head reads; intermediate features, if there are others, are not used.
          With more than 100 rows per class and three times as many rows as columns it has
          ``"logistic-all"``, unless rows times columns times classes are 1e10 or more. If classes
          differ in size, rows per class are the harmonic mean of their numbers, and rows are this
          times the number of classes.
    router : str or router, default="shrunk"
        How the experts are combined.

        - ``"uniform"``: the logit average, in which all experts have the same weight;
        - ``"static"``: one weight per expert, the same for all rows, fitted with a penalty on the
          distance from the logit average;
        - ``"shrunk"``: static weights, plus a gate per expert that depends on its confidence,
          margin, entropy and agreement with the mean of all, and on the leading principal
          components of the columns. Cross-validated log-loss chooses how much the gates are
          shrunk. They are not used if they do not help, or if any head learns from rows;
        - ``"nlc"``: the Neural Logit Controller of [1]_, a network that reads all columns, with
          weights that may be negative; use it with ``calibrate=False``;
        - ``"confidence"``: the prediction of the most confident expert;
        - ``"vote"``, ``"vote-3"``: plurality of the experts' votes, for one or three classes each;
        - ``"probability"``: the mean of probabilities;
        - ``"super-learner"``, ``"genetic"``: one weight per expert, fitted by least squares, or
          to maximise accuracy by evolution;
        - ``"mixture"``: a sparse gate activates two experts for each row;
        - a router object, such as ``NeuralLogitController(hidden_dim=32)``; see
          :mod:`skclipens.ensemble`.
    cv : int, float, splitter or list of (train, test), default=5
        How to compute the held-out logits on which temperatures and router are fitted.

        - an int: cross-fitting in at most this number of stratified folds; the heads are then
          fitted again on all rows. Heads of this package have held-out logits from their own fit,
          whatever this number is, unless there are groups; except CLIP-Adapter and a fine-tuned
          Tip-Adapter;
        - a float: this fraction of the rows is held out (0.1 in [1]_);
        - a splitter, or splits: cross-fitting in its folds, for all heads. Without groups, copies
          of a row with its label are in the same part of a fold as the first of them.

        Zero-shot and frozen heads learn nothing from rows and need no folds. If at most half of the
        classes have two rows or more, heads that do not start from prompts cannot be validated on
        held-out rows: they share a weight, which is larger if the others classify the rows badly.
        Nothing is held out if ``calibrate`` is false and the router learns nothing.
    calibrate : bool, default=True
        Whether to divide each expert's logits by a temperature that is fitted on held-out
        rows [2]_. With few labels, the temperature of zero-shot logits is larger if the backbones
        disagree, unless all heads are zero-shot.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes; only their ratios count. ``"balanced"``: all classes weigh the same,
        whatever the weights of their rows. Half of a weight is used in the fit, and half in
        prediction: its square root multiplies ``sample_weight``, and the probability of the class;
        the latter only if a head learns from rows, since prompts do not know how frequent classes
        are; in rows out of distribution, whose logits are halved, down to its fourth root.
    class_names : mapping or sequence of str, default=None
        Names of the classes for prompts: a mapping from labels to names, or a sequence. Integer
        labels index the sequence; string labels must be among its names. None: string labels are
        their own names. If ``fit`` gets no y, the sorted names become the labels.
    templates : sequence of str, default=None
        Prompts, each with one ``{}``; see :class:`ZeroShotHead`.
    %(text_cache)s
    out_of_distribution : {"prompts", "ignore"}, default="prompts"
        How to classify a row that is unlike the training rows, such as a cartoon if photographs
        were labelled: its mean cosine with the mean of the training rows is smaller than theirs.
        ``"prompts"``: the zero-shot heads get as much weight as all experts together.
        ``"ignore"``: like any other row. ``"prompts"`` has no effect unless there are zero-shot
        heads and heads that learn, at least six rows, calibration, and a router with weights;
        with an effect, :meth:`in_distribution` compares rows.
    unlabeled : {"error", "ignore", "use"}, default="error"
        What to do with rows without a label: -1 among numbers; None, NaN or "" among any labels.
        ``"error"``: raise an error, but labels that are all -1 or 1 are two classes. ``"ignore"``:
        leave them out. ``"use"``: fit heads, temperatures and router without them; then a Gaussian
        mixture of all rows, which starts from the ensemble's probabilities, corrects the logits of
        any row, if that helps on held-out labelled rows [3]_. A splitter as ``cv`` gets the
        labelled rows only.
    memory : str or object with the joblib.Memory interface, default=None
        Where to cache fitted heads and their held-out logits, so that ensembles that differ only
        in the router fit the heads once. None: no caching. If you edit the class of your own head,
        it is fitted again, but changes in functions that it calls elsewhere are not noticed.
    n_jobs : int, default=None
        Number of heads that are cross-fitted at the same time; see joblib. Each fit runs in one
        BLAS thread. Heads in closed form are fitted in threads, by default as many as BLAS has.
    random_state : int, RandomState instance or None, default=None
        Controls the folds, and the randomness of heads and router whose ``random_state`` is None.
        With an int as ``cv`` and no groups, the default heads hold out rows without random numbers.
        The seed then only affects a :class:`ForestHead`, which rows a :class:`KernelHead` samples,
        and the folds of ``unlabeled="use"``.
    verbose : bool or int, default=False
        Whether to show progress bars.

    Attributes
    ----------
    %(classes)s
    experts_ : list of E (name, head, block)
        Fitted heads, each with its block: a name, the positions of its columns and its backbone.
    expert_names_ : ndarray of shape (E,)
        Names of the experts: the name of the block, followed by that of the head if there are
        several kinds.
    validated_ : ndarray of shape (E,), bool
        Which experts were validated on held-out rows and get a weight from the router; see ``cv``.
        All are False if no expert could be, as with linear heads and one row per class. All are
        True if nothing needs held-out rows, as with ``router="uniform"`` and ``calibrate=False``.
    temperatures_ : ndarray of shape (E,)
        Temperatures, by which the logits are divided. 1 with ``calibrate=False``, except for
        experts that were not validated, whose temperature gives their logits a fixed spread, or
        less if they read a few columns beside those of pictures.
    router_ : object
        The fitted router; a :class:`~skclipens.ensemble.UniformRouter` instead of one that learns
        if no expert could be validated.
    unlabeled_ : UnlabeledCorrection or None
        The correction of the logits z by unlabelled rows, as a named tuple: corrected logits are
        (z + X @ ``coef`` + ``intercept``) / ``temperature``, with ``coef`` of shape (n_features, C)
        and ``intercept`` of shape (C,); ``spread``, the mean standard deviation of what is added;
        ``gain``, by how much it lowered the log-loss of held-out rows; and ``n_rows``, the number
        of distinct unlabelled rows with a weight. None if there are none, or they were not used.
    %(table_columns)s

    See Also
    --------
    make_backbone_pipeline : An embedder and this ensemble as one classifier of images.

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
    zoo/RN20:zero-shot, zoo/ViT-16:zero-shot, zoo/RN20:kernel
    >>> len(clf.expert_names_), clf.routing_weights(X).shape[1]
    (5, 5)

    On any table:

    >>> from sklearn.datasets import load_wine
    >>> from sklearn.preprocessing import scale
    >>> X, y = load_wine(return_X_y=True)
    >>> blocks = [("first", slice(0, 6)), ("rest", slice(6, None))]
    >>> clf = AdaptiveBackboneEnsemble(blocks, head="linear", random_state=0).fit(scale(X), y)
    >>> clf.routing_weights(scale(X)).shape
    (178, 2)

    The paper's recipe is ``head="zero-shot", router="nlc", calibrate=False``, and with linear heads
    ``head="linear-probe", router="nlc", calibrate=False, cv=0.1``.
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
        """Fit the heads, temperatures and router.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings, or any table.
        y : array-like of shape (n,), default=None
            Labels; see `unlabeled` for rows that have none. None if nothing learns from labels:
            zero-shot heads, ``calibrate=False``, and a router such as ``"uniform"``. Then
            ``class_names`` must be a sequence, and ``classes_`` are the sorted names.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows, for heads, temperatures, router and mixture. A row of weight 2
            counts as two copies, so weights should have a mean of 1; with fewer than 32 columns
            roughly so, as copies may be on both sides of a fold. Weights that sum to one, as in
            boosting, are multiplied by the number of rows.
        groups : array-like of shape (n,), default=None
            Rows of a group, such as pictures of one object, are never split between the training
            and the test part of a fold.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If the blocks do not fit X, a row has no label and ``unlabeled="error"``, there are
            fewer than two classes, a class has no name for its prompt, ``cv`` is a fraction that
            cannot hold out rows of every class, or has folds that overlap or are out of range, a
            head or router cannot take weights, or y is None and something learns from labels.

        Warns
        -----
        SuspectedMistakeWarning
            If rows, labels, names of classes or columns look as if they did not belong together;
            see the page on mistakes in the guide.
        """
        if y is None:
            return fit_by_names(self, X, sample_weight=sample_weight, groups=groups)
        self._learn(X, y, sample_weight, groups, hold_out=False)
        return self

    def _learn(self, X, y, sample_weight, groups, *, folds=None, hold_out):
        """Fit; return the `Rows` that were learned from, and `HeldOut` or None.

        Rows are held out only if something needs them or `hold_out` is true.
        """
        cv = some_splits(self.cv) if folds is None else folds
        rows, unlabeled = rows_to_learn(self, X, y, sample_weight, groups, cv)
        learned = rows.X, rows.y, rows.metadata
        # Copies of a row may have been made groups. A search as a head may warn of ignoring them.
        unasked = nullcontext() if groups is not None else silent("The groups parameter is ignored")
        # Fits are small: BLAS threads cost more than they save. n_jobs uses more cores.
        with (
            one_blas_thread(),
            without_warnings("mean weight"),  # heads get parts and merged copies
            unasked,
        ):
            predictions, held_out = self._fit(*learned, rows.cv, hold_out)
            learns = any(expert.learns for expert in self.experts_)
            told = predictions.for_input_rows(rows, self.classes_)
            warn_of_moved_labels(*told, learns=learns)
            if learns:
                self._seen_rows = see_rows(self._seen, rows)
                warn_of_one_picture(self._seen_rows, self._seen, rows)
                if held_out is not None:
                    warn_of_near_duplicates(self._seen_rows, rows, index_of(X))
            if self.unlabeled == "use":
                given = *learned, *unlabeled, predictions.relative_loss
                self.unlabeled_ = learn_from_unlabeled(self, *given)
        return rows, held_out

    def _fit(self, X, y, metadata, cv, hold_out=False):
        """Fit on labelled rows; return ``HeldOutPredictions`` and ``HeldOut``."""
        names = getattr(self, "feature_names_in_", None)
        plan = make_plan(self, self.n_features_in_, names, y, metadata)
        warn_of_mistakes(self, plan, X, y)
        memory = memory_of(self)
        needed, held_out = needs_held_out(self, plan.router), None
        if hold_out or needed:
            fit_once = cached_by(memory, fit_and_hold_out, ["n_jobs", "verbose"])
            fitted, held_out = fit_once(
                plan.experts,
                X,
                y,
                plan.classes,
                cv,
                metadata=metadata,
                random_state=self.random_state,
                n_jobs=self.n_jobs,
                verbose=self.verbose,
            )
        if not needed:  # heads that were held out may have chosen other parameters by the folds
            fit_once = cached_by(memory, fit_experts, ["verbose"])
            fitted = fit_once(plan.experts, X, y, metadata, verbose=self.verbose)
        plan = plan._replace(experts=fitted)
        return combine_experts(self, plan, held_out if needed else None, X, y, metadata), held_out

    _check_before_fit = check_before_fit  # called by a pipeline before it embeds images

"""A cascade on images: cheap backbones first, others only for images that are still undecided."""

import time

import numpy as np
from sklearn.base import clone
from sklearn.utils import Bunch, check_consistent_length
from sklearn.utils.validation import check_is_fitted

from .._utils._docstrings import fill_doc
from .._utils._labels import check_labels, column_of_labels
from .._utils._metadata import metadata_for
from .._utils._one_column import check_column
from .._utils._sample_arguments import warn_of_other_order
from .._utils._sklearn import InOrder, StrOptions, check_parameters, fit_context
from .._utils._warnings import each_warning_once
from .._utils._weights_and_groups import check_groups
from ..backbones import resolve_backbones
from ..backbones._blocks import find_blocks
from ..backbones._kinds import parse_kind
from ..embedding import CLIPEmbedder, MultiBackboneEmbedder
from ..embedding._stages import Stages
from ..embedding._weights import WeightsMixin
from ..images import as_image_list
from ..images._collections import paths_of
from ..images._file_names import warn_of_named_files
from ._base import BaseCascade
from ._costs import IS_MAPPING, block_costs, make_for_blocks
from ._table import CascadeEnsemble, check_cv_of_thresholds
from ._thresholds import broadcast_thresholds


@fill_doc
class CascadeClassifier(WeightsMixin, BaseCascade):
    """Classify images by a cascade: cheap backbones first, others only for uncertain images.

    Stage k embeds the images that are still undecided with the k-th backbone, and an ensemble of
    the first k backbones predicts. An image is decided if its confidence, the largest probability,
    reaches a threshold [2]_; later backbones do not embed it. [1]_ suggests such a cascade of
    adaptive ensembles.

    Parameters
    ----------
    backbones : str or list of str, default=("ViT-B-32/openai", "RN50/openai")
        The backbones; see :class:`MultiBackboneEmbedder`.
    estimator : classifier, default=None
        The classifier of a stage, which is fitted on the embeddings of the backbones up to this
        stage. It needs ``predict`` and ``predict_proba``; if it, or the classifier that it wraps,
        such as that of an :class:`~skclipens.labels.OpenSetClassifier`, has a parameter ``blocks``,
        this is set to these backbones. None means an :class:`AdaptiveBackboneEnsemble`.
    cost : "gflops", "seconds" or mapping, default="gflops"
        Cost of an image with a backbone: the GFLOPs that :func:`list_backbones` lists for the views
        of `embedder`; the seconds that ``fit`` measures on its own images, in batches, with reading
        and preprocessing; or a mapping (a dict, a Series) from backbones to numbers, for all views
        of an image. The cost of combining backbones is not counted.
    order : {"cost", "given"}, default="cost"
        Whether to use the backbones in the order of their cost, or in that of `backbones`, for
        example the order in which :class:`~skclipens.BackboneSelector` added them.
    thresholds : "auto", float or array-like of shape (K - 1,), default="auto"
        Confidence thresholds of the stages; see :class:`~skclipens.CascadeEnsemble`.
        ``"auto"`` chooses them on held-out images by `max_accuracy_drop` and `max_cost`.
    max_accuracy_drop : float or None, default=0
        Largest loss of accuracy compared with all backbones together. Stages have no pooled
        features, with which the default pipeline is more accurate.
    max_cost : float, default=None
        Limit of the mean cost of an image. None: no limit.
    cv : int, float, splitter or list of (train, test), default=5
        How to hold out images; see :class:`~skclipens.CascadeEnsemble`. No image is
        embedded twice for it.
    embedder : CLIPEmbedder, default=None
        The embedder that is cloned at each stage, with its ``backbone`` set; it must give one
        block, and have no ``on_error="nan"``. None means a :class:`CLIPEmbedder` with default
        parameters.
    n_jobs : int, default=None
        Number of estimators that are fitted at the same time; see joblib.
    random_state : int, RandomState instance or None, default=None
        Controls which images are held out, and the randomness of the default estimator.
    verbose : bool or int, default=False
        Whether to show progress bars.

    Attributes
    ----------
    %(classes)s
    backbones_ : list of K str
        Names of the backbones, in the order in which they are used.
    cascade_ : CascadeEnsemble
        The fitted cascade on embeddings, with costs, thresholds and estimators.
    %(image_column)s

    See Also
    --------
    skclipens.CascadeEnsemble : The same cascade on a table of embeddings.
    skclipens.BackboneSelector : The same backbones for all images.

    Notes
    -----
    Images go through all stages in parts of eight batches of `embedder`. Each image is decoded
    once, and kept, resized for the later stages, until it is decided. There is one exception: a
    JPEG file that was decoded at a fraction of its size is decoded again if a later backbone needs
    more pixels. So embeddings are the same as those of each backbone alone.

    References
    ----------
    %(paper)s
    .. [2] Wang et al., "Wisdom of Committees: An Overlooked Approach To Faster and More Accurate
       Models", ICLR 2022. https://arxiv.org/abs/2012.01988

    Examples
    --------
    >>> from skclipens.cascade import CascadeClassifier
    >>> from skclipens.datasets import load_emoji
    >>> frame = load_emoji().frame.groupby("label").head(4).head(20)
    >>> clf = CascadeClassifier(["zoo/RN20", "zoo/ViT-16"], thresholds=0.9, random_state=0)
    >>> clf.fit(frame["path"], frame["label"]).backbones_
    ['zoo/ViT-16', 'zoo/RN20']
    >>> result = clf.predict_with_cost(frame["path"])
    >>> result.stages.shape, bool(result.cost.max() < 0.2)
    ((20,), True)
    """

    _parameter_constraints: dict = {
        **BaseCascade._parameter_constraints,
        "backbones": [str, InOrder()],
        "cost": [StrOptions({"gflops", "seconds"}), IS_MAPPING],
        "embedder": [None, CLIPEmbedder],
    }

    def __init__(
        self,
        backbones=("ViT-B-32/openai", "RN50/openai"),
        *,
        estimator=None,
        cost="gflops",
        order="cost",
        thresholds="auto",
        max_accuracy_drop=0.0,
        max_cost=None,
        cv=5,
        embedder=None,
        n_jobs=None,
        random_state=None,
        verbose=False,
    ):
        self.backbones = backbones
        self.estimator = estimator
        self.cost = cost
        self.order = order
        self.thresholds = thresholds
        self.max_accuracy_drop = max_accuracy_drop
        self.max_cost = max_cost
        self.cv = cv
        self.embedder = embedder
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, sample_weight=None, groups=None):
        """Embed images with all backbones, choose thresholds and fit an estimator for each stage.

        Parameters
        ----------
        X : collection of n images
            See :meth:`MultiBackboneEmbedder.transform`.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights of the images.
        groups : array-like of shape (n,), default=None
            Images of a group, such as those of one object, are held out together.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ImageError
            If an image cannot be read; names the row and the file.
        BackboneNotAvailableError
            If the weights of a backbone cannot be loaded.
        ValueError
            If a backbone or its cost is not known, `embedder` gives several blocks, or has
            ``on_error="nan"``, `max_cost` is less than the cost of the first backbone, or
            thresholds are to be chosen and no class has two images.
        """
        warn_of_other_order(X, y=y, sample_weight=sample_weight, groups=groups)
        images, y = as_image_list(X), column_of_labels(y, warn=True)
        check_consistent_length(images, y)
        check_labels(y)
        warn_of_named_files(paths_of(images), y)
        backbones = resolve_backbones(self.backbones)
        names = [backbone.name for backbone in backbones]
        views = getattr(self.embedder, "views", None)
        costs = None if self._measures_cost() else block_costs(self.cost, names, views)
        blocks = [self._block_of(name) for name in names]
        self._check_before_embedding(blocks, costs, y, sample_weight, groups)
        table, seconds = self._embed_all(images, names)
        cascade = CascadeEnsemble(
            blocks,
            estimator=self.estimator,
            cost=dict(zip(blocks, seconds if costs is None else costs)),
            order=self.order,
            thresholds=self.thresholds,
            max_accuracy_drop=self.max_accuracy_drop,
            max_cost=self.max_cost,
            cv=self.cv,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
            verbose=self.verbose,
        )
        self.cascade_ = cascade.fit(table, y, sample_weight=sample_weight, groups=groups)
        self.classes_ = self.cascade_.classes_
        self.backbones_ = [parse_kind(block).backbone for block in self.cascade_.block_names_]
        self._note_embedding(backbones)
        check_column(self, X, reset=True)
        return self

    def _block_of(self, name):
        """Return the name of the only block that the embedder makes with a backbone."""
        if len(blocks := self._make_embedder(name)._blocks()) > 1:
            raise ValueError(
                "embedder gives several blocks for each backbone, but a stage of a cascade reads "
                "one: set features to 'projected' or 'pooled', and keep_plain to False."
            )
        return blocks[0].kind.name

    def _settings(self):
        """Return the settings of the embedder, beside backbone and weights."""
        return self._make_embedder(self.backbones_[0])._settings()

    def _refuse_other_blocks(self):
        """Raise ValueError if the embedder no longer makes the blocks of ``fit``."""
        for name, block in zip(self.backbones_, self.cascade_.block_names_, strict=True):
            if (now := self._block_of(name)) != block:
                raise ValueError(
                    f"embedder has changed since fit: it gives the block {now!r}, and gave "
                    f"{block!r}. Set its features and views back, or fit again."
                )

    def _check_before_embedding(self, blocks, costs, y, sample_weight, groups):
        """Raise errors of costs, thresholds and the last stage before images are embedded."""
        if costs is not None:
            first = int(np.argmin(costs)) if self.order == "cost" else 0
            self._check_budget(blocks[first], costs[first])
        if not isinstance(self.thresholds, str):
            broadcast_thresholds(self.thresholds, len(blocks) - 1)
        elif len(blocks) > 1:
            check_cv_of_thresholds(self.cv, y, check_groups(groups, len(y)))
        kinds = [parse_kind(block) for block in blocks]
        columns = np.array([f"{kind.name}__{i}" for kind in kinds for i in range(kind.width)])
        blocks = find_blocks(blocks, len(columns), columns)
        estimator = make_for_blocks(self.estimator, blocks, seed=0)
        metadata = metadata_for(estimator, sample_weight=sample_weight, groups=groups)
        check_parameters(estimator)
        if hasattr(estimator, "_check_before_fit"):
            estimator._check_before_fit(columns, y, **metadata)

    def _label_of_rejected(self):
        return self.cascade_._label_of_rejected()

    def _measures_cost(self):
        return isinstance(self.cost, str) and self.cost == "seconds"

    def _embed_all(self, images, names):
        """Return embeddings side by side, and the seconds per image of each backbone."""
        if not self._measures_cost():  # each image is decoded once for all backbones
            return np.asarray(self._embedder_of_all(names).transform(images)), None
        blocks, seconds = [], []
        for name in names:
            embedder = self._make_embedder(name).set_params(cache=None)  # which would hide the cost
            embedder.transform([images[0]])  # loads the model before the measurement
            start = time.perf_counter()
            blocks.append(np.asarray(embedder.transform(images)))
            seconds.append((time.perf_counter() - start) / len(images))
        return np.hstack(blocks), seconds

    def _make_embedder(self, name):
        embedder = CLIPEmbedder() if self.embedder is None else clone(self.embedder)
        if embedder.on_error == "nan":
            raise ValueError(
                "embedder has on_error='nan', but a cascade needs an embedding of each image. Set "
                "on_error='raise', which names an image that cannot be read; leave it out."
            )
        return embedder.set_params(backbone=name)

    def _embedder_of_all(self, names):
        params = self._make_embedder(names[0]).get_params()
        del params["backbone"]
        return MultiBackboneEmbedder(names, **params)

    @each_warning_once()
    def predict_with_cost(self, X):
        """Classify images, and return at which stage and cost each is decided.

        Parameters
        ----------
        X : collection of n images
            See :meth:`MultiBackboneEmbedder.transform`.

        Returns
        -------
        result : :class:`~sklearn.utils.Bunch`
            Dictionary-like object, with the following attributes.

            labels : ndarray of shape (n,)
                Labels that the estimator of the stage that decided predicts.
            proba : ndarray of shape (n, C), float64
                Probabilities of the classes, of this stage.
            stages : ndarray of shape (n,), int
                The stage that decided; 0 is the first.
            cost : ndarray of shape (n,), float64
                Sum of the costs of the backbones that embedded the image.

        Raises
        ------
        ValueError
            If `embedder` now gives other features or views than in ``fit``.

        Warns
        -----
        SuspectedMistakeWarning
            If weights or other parameters of `embedder` have changed since ``fit``.
        """
        check_is_fitted(self)
        check_column(self, X, reset=False)
        self._refuse_other_blocks()
        self._warn_of_changes()
        parts = Stages(self._embedder_of_all(self.backbones_), as_image_list(X))
        parts = [self.cascade_._run(*part) for part in parts]
        return Bunch(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags

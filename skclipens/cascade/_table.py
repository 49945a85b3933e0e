"""A cascade on a table: cheap blocks first, others only for rows that are still undecided."""

from numbers import Real

import numpy as np
from sklearn.base import clone
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from .._mistakes._seen_embeddings import check_rows_as_in_fit, see_blocks
from .._utils._docstrings import fill_doc
from .._utils._folds import can_be_held_out, check_cv_of_rows, few_shot_folds, held_out_rows
from .._utils._known_labels import label_of_rejected
from .._utils._labels import allow_few_rows_per_class, check_at_least_two
from .._utils._linalg import parts_of, some_of
from .._utils._metadata import check_metadata, metadata_for, rows_of
from .._utils._probabilities import check_proba, labels_and_proba, refuse_nan, without_rounding
from .._utils._progress import in_parallel, progress
from .._utils._random import draw_seed
from .._utils._row_numbers import fitted_rows
from .._utils._rows import all_rows
from .._utils._sklearn import InOrder, StrOptions, fit_context
from .._utils._validation import check_table
from .._utils._warnings import each_warning_once, without_warnings
from ..backbones._blocks import columns_of, embeddings_beside_others
from ._base import BaseCascade
from ._costs import IS_MAPPING, blocks_of, costs_of, make_for_blocks
from ._thresholds import broadcast_thresholds, choose, sweep

_WAY_OUT = "Give more labelled rows per class, or thresholds as numbers, such as 0.9."


@fill_doc
class CascadeEnsemble(BaseCascade):
    """Classify rows by a cascade on a table: each block is used only for undecided rows.

    At stage k an ensemble of the first k blocks predicts. A row is decided if its confidence, the
    largest probability, reaches the threshold of the stage [1]_; all other rows go on to the next
    stage. Each stage has its own ensemble. This estimator reads existing embeddings, and shows what
    a cascade would save on images; :class:`~skclipens.CascadeClassifier` is the cascade on images.

    Parameters
    ----------
    blocks : None, str, list of str, list of (str, columns) or dict, default=None
        Which columns belong together; see :class:`~skclipens.AdaptiveBackboneEnsemble`.
    estimator : classifier, default=None
        The classifier of a stage. It needs ``predict`` and ``predict_proba``; if it, or the
        classifier that it wraps, has a parameter ``blocks``, this is set to those of the stage.
        None: an :class:`~skclipens.AdaptiveBackboneEnsemble`.
    cost : None, "gflops" or mapping, default=None
        Cost of a block. None: 1 each. ``"gflops"``: the GFLOPs of its backbone, if
        :func:`~skclipens.list_backbones` lists it. Or a mapping (a dict, a Series) from names of
        blocks or backbones to numbers. The cost of combining blocks is not counted. Several blocks
        of one backbone each have its full cost.
    order : {"cost", "given"}, default="cost"
        ``"cost"``: blocks are used in the order of their cost. ``"given"``: in that of `blocks`,
        for example the order in which a :class:`~skclipens.BackboneSelector` added them.
    thresholds : "auto", float or array-like of shape (K - 1,), default="auto"
        Confidence from 0 to 1 at which a stage decides, for each of the K stages except the last.
        With 0 the first stage decides all rows, with infinity the last one. ``"auto"``: one
        threshold for all stages, chosen on held-out rows.
    max_accuracy_drop : float or None, default=0
        With ``thresholds="auto"``: how much lower the accuracy may be than that of all blocks
        together. The chosen threshold is the cheapest one such that neither it nor a higher one
        loses more accuracy than this. None: the most accurate threshold, and of several the
        cheapest.
    max_cost : float, default=None
        With ``thresholds="auto"``: limit of the mean cost of a row. If no threshold within this
        limit meets `max_accuracy_drop`, the most accurate one within it is chosen. None: no limit.
    cv : int, float, splitter or list of (train, test), default=5
        How rows are held out to choose thresholds. An int: cross-validation in at most this many
        stratified folds. A float: this fraction of the rows is held out. Or a splitter, or its
        folds. Without groups, copies of a row with its label are in the same part of a fold as the
        first of them.
    n_jobs : int, default=None
        Number of estimators that are fitted at the same time; see joblib.
    random_state : int, RandomState instance or None, default=None
        Controls which rows are held out, and the randomness of the default estimator.
    verbose : bool or int, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    %(classes)s
    block_names_ : list of K str
        Names of the blocks, in the order in which they are used.
    block_costs_ : ndarray of shape (K,)
        Costs of these blocks.
    estimators_ : list of K classifiers
        The fitted classifier of each stage.
    thresholds_ : ndarray of shape (K - 1,)
        Confidence at which each stage but the last decides.
    curve_ : dict of ndarray of shape (n_thresholds,)
        Every ``"threshold"`` that changes the decisions on held-out rows, increasing, with its
        ``"accuracy"`` and mean ``"cost"``. It can be converted to a DataFrame. Only with
        ``thresholds="auto"`` and several stages.
    %(table_columns)s

    See Also
    --------
    skclipens.CascadeClassifier : The cascade on images.

    Notes
    -----
    In [1]_ each stage can have its own threshold. A single threshold can be searched exactly, by
    sorting, and overfits less with few labels. Confidences should be comparable between stages, as
    those of calibrated ensembles are. The threshold is chosen on the rows of ``curve_``, so expect
    a slightly lower accuracy on other rows.

    References
    ----------
    .. [1] Wang et al., "Wisdom of Committees: An Overlooked Approach To Faster and More Accurate
       Models", ICLR 2022. https://arxiv.org/abs/2012.01988

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclipens.cascade import CascadeEnsemble
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4))]
    >>> clf = CascadeEnsemble(blocks, cost={"petal": 1, "sepal": 3}, random_state=0).fit(X, y)
    >>> clf.block_names_
    ['petal', 'sepal']
    >>> clf.predict_with_cost(X[::50]).cost  # of petals alone
    array([1., 1., 1.])
    """

    _parameter_constraints: dict = {
        **BaseCascade._parameter_constraints,
        "blocks": [None, str, dict, InOrder()],
        "cost": [None, StrOptions({"gflops"}), IS_MAPPING],
    }

    def __init__(
        self,
        blocks=None,
        *,
        estimator=None,
        cost=None,
        order="cost",
        thresholds="auto",
        max_accuracy_drop=0.0,
        max_cost=None,
        cv=5,
        n_jobs=None,
        random_state=None,
        verbose=False,
    ):
        self.blocks = blocks
        self.estimator = estimator
        self.cost = cost
        self.order = order
        self.thresholds = thresholds
        self.max_accuracy_drop = max_accuracy_drop
        self.max_cost = max_cost
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, sample_weight=None, groups=None):
        """Choose thresholds, and fit an estimator for each stage.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings, or any table.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.
        groups : array-like of shape (n,), default=None
            Rows of a group, such as pictures of one object, are held out together.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If the blocks do not match the columns of X, a cost is not known, `max_cost` is below
            the cost of the first block, or thresholds are to be chosen and no class has two rows.
        """
        X, y = check_table(self, X, y, sample_weight=sample_weight, groups=groups)
        metadata = check_metadata(sample_weight, groups, len(X), X.dtype)
        X, y, metadata, cv, position = all_rows(X, y, metadata, self.cv).with_weight()
        check_at_least_two(np.unique(y))
        blocks = self._ordered_blocks()
        self._seen = see_blocks(blocks, X)
        seed = draw_seed(self.random_state)
        stages = self._stages(blocks, X, seed)
        vars(self).pop("curve_", None)  # of an earlier fit
        searched = isinstance(self.thresholds, str) and len(stages) > 1
        folds = self._split(X, y, blocks, metadata["groups"], cv, seed) if searched else []
        n_fits = len(stages) * (1 + len(folds))
        with (
            fitted_rows(np.flatnonzero(position >= 0), len(position)),
            progress(n_fits, self.verbose, desc="stages", unit="fit") as bar,
        ):
            # Before the fits of folds, whose warnings are about fewer rows.
            calls = ((*stage, y, metadata) for stage in stages)
            self.estimators_ = list(in_parallel(_fit, calls, n_jobs=self.n_jobs, bar=bar))
            if searched:
                self._choose_thresholds(stages, y, metadata, folds, bar)
            else:
                thresholds = 0 if isinstance(self.thresholds, str) else self.thresholds
                self.thresholds_ = broadcast_thresholds(thresholds, len(stages) - 1)
        # A frozen head may know more classes than y has.
        self.classes_ = self.estimators_[-1].classes_
        return self

    def _ordered_blocks(self):
        """Return the blocks in the order of the stages; set their names, costs and columns."""
        blocks = blocks_of(self, "is the only stage")
        costs = costs_of(self.cost, blocks)
        if self.order == "cost":
            order = np.argsort(costs, kind="stable")
            blocks, costs = [blocks[i] for i in order], costs[order]
        self.block_names_, self.block_costs_ = [block.name for block in blocks], costs
        self._check_budget(self.block_names_[0], costs[0])
        self._columns = [block.columns for block in blocks]
        return blocks

    def _stages(self, blocks, X, seed):
        """Return each stage's unfitted estimator, its columns, and whether other stages follow."""
        table = X[:, columns_of(blocks)]
        ends = np.cumsum([len(block.columns) for block in blocks])
        return [
            (make_for_blocks(self.estimator, blocks[:k], seed), table[:, :end], k < len(blocks))
            for k, end in enumerate(ends, start=1)
        ]

    def _choose_thresholds(self, stages, y, metadata, folds, bar):
        calls = ((*stage, y, metadata, *fold) for fold in folds for stage in stages)
        found = list(in_parallel(_fit_and_predict, calls, n_jobs=self.n_jobs, bar=bar))
        by_fold = [found[part] for part in parts_of(len(found), len(stages))]
        confidence, correct = np.concatenate([np.stack(fold, axis=2) for fold in by_fold], axis=1)
        weights = some_of(metadata["sample_weight"], held_out_rows(folds))
        self.curve_ = sweep(confidence, correct, self.block_costs_, weights)
        best = choose(self.curve_, self.max_accuracy_drop, self.max_cost)
        self.thresholds_ = np.full(len(stages) - 1, self.curve_["threshold"][best])

    def _split(self, X, y, blocks, groups, cv, seed):
        options = {"groups": groups, "random_state": seed, "X": X}
        options["images"] = embeddings_beside_others(blocks, X.shape[1])
        try:
            folds = few_shot_folds(y, cv, **options)
        except ValueError as error:
            if not isinstance(cv, Real):  # what is wrong with folds, more rows do not cure
                raise
            raise ValueError(f"{error} {_WAY_OUT}") from None
        if folds:
            return folds
        raise _nothing_held_out(self.cv, groups)

    @each_warning_once()
    @fill_doc
    def predict_with_cost(self, X):
        """Classify rows, and return at which stage and cost each is decided.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings, or any table, with the columns of ``fit``.

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
                Sum of the costs of the blocks up to this stage.

        %(checks_of_X)s
        """
        check_is_fitted(self)
        X = check_rows_as_in_fit(self, X)
        return self._run(range(len(X)), lambda stage, rows: X[np.ix_(rows, self._columns[stage])])

    def _label_of_rejected(self):
        return label_of_rejected(self.estimators_[-1])

    def _run(self, rows, columns_of_stage):
        """Predict a range of rows; a function returns the columns of a stage for some rows."""
        undecided, n = np.arange(len(rows)), len(rows)
        table = np.empty((n, 0), np.float32)
        proba, stages = np.empty((n, len(self.classes_))), np.empty(n, int)
        labels, decided = [], []
        for stage, threshold in enumerate([*self.thresholds_, 0]):
            table = np.hstack([table, columns_of_stage(stage, rows.start + undecided)])
            of_stage, found = labels_and_proba(self.estimators_[stage], table)
            _check_stage(found, self.classes_, rows.start + undecided, f"of stage {stage}")
            done = found.max(axis=1) >= threshold
            proba[undecided[done]] = without_rounding(found[done])
            stages[undecided[done]] = stage
            labels.append(of_stage[done])
            decided.append(undecided[done])
            undecided, table = undecided[~done], table[~done]
            if not len(undecided):
                break
        return Bunch(
            labels=np.concatenate(labels)[np.argsort(np.concatenate(decided))],
            proba=proba,
            stages=stages,
            cost=np.cumsum(self.block_costs_)[stages],
        )


def check_cv_of_thresholds(cv, y, groups):
    """Raise errors of the folds in which thresholds are chosen, before the rows are known."""
    check_cv_of_rows(cv, len(y), groups)
    if not can_be_held_out(y, groups).any():
        raise _nothing_held_out(cv, groups)


def _nothing_held_out(cv, groups):
    other = "" if groups is None else " of another group"
    return ValueError(
        f"cv={cv} cannot hold out any row: its class would have no training row{other}. {_WAY_OUT}"
    )


def _fit(estimator, X, others_follow, y, metadata):
    # A cheap first block may predict little. Only the last stage has all columns, so only it warns.
    with allow_few_rows_per_class(), without_warnings(*["guessing"] if others_follow else ()):
        return estimator.fit(X, y, **metadata_for(estimator, **metadata))


def _check_stage(proba, classes, rows, of_what):
    check_proba(proba, classes, rows, of_what)
    refuse_nan(proba, rows, of_what)


def _fit_and_predict(estimator, X, others_follow, y, metadata, train, test):
    """Return confidence for held-out rows, and whether they are classified correctly, (2, n)."""
    of_train = y[train], rows_of(metadata, train)
    # The fits on all rows warn of what is hidden.
    with without_warnings("mean weight", "unjudged columns"), fitted_rows(train, len(y)):
        estimator = _fit(clone(estimator), X[train], others_follow, *of_train)
    labels, proba = labels_and_proba(estimator, X[test])
    of = "of a stage that is validated on held-out rows"
    _check_stage(proba, estimator.classes_, test, of)
    return np.stack([proba.max(axis=1), labels == y[test]]).astype(float)

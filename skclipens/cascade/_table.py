"""A cascade: cheap blocks first, and the others only for rows that are still undecided."""

import warnings
from numbers import Integral, Real

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context, clone
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit
from sklearn.utils import Bunch
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from .._utils._validation import check_labels, few_rows_per_class
from ..ensemble._blocks import find_blocks
from ._costs import (
    IS_MAPPING,
    block_costs,
    check_budget,
    columns_of,
    cost_names,
    draw_seed,
    make_for_blocks,
    within,
)

_ROUNDING = 1e-12
_WAY_OUT = "Give more labelled rows per class, or thresholds as numbers, such as 0.9."


class BaseCascade(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier that is defined by ``predict_with_cost``."""

    _parameter_constraints: dict = {
        "estimator": [None, HasMethods(["fit", "predict_proba"])],
        "order": [StrOptions({"cost", "given"})],
        "thresholds": [StrOptions({"auto"}), Interval(Real, 0, None, closed="both"), "array-like"],
        "max_accuracy_drop": [None, Interval(Real, 0, 1, closed="both")],
        "max_cost": [None, Interval(Real, 0, None, closed="left")],
        "cv": [
            Interval(Integral, 2, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            HasMethods(["split", "get_n_splits"]),
        ],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
    }

    def predict_proba(self, X):
        """Probabilities of the classes, at the stage that decided.

        Parameters
        ----------
        X : n rows or images
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n, C)
        """
        return self.predict_with_cost(X).proba

    def predict(self, X):
        """Classify.

        Parameters
        ----------
        X : n rows or images
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n,)
            Labels.
        """
        return self.predict_with_cost(X).labels


class CascadeEnsemble(BaseCascade):
    """A cascade on a table: the next block is looked at only for rows that are still undecided.

    After stage k an ensemble of the first k blocks predicts, and a row is decided if its
    confidence, the largest probability, reaches the stage's threshold [1]_. There is one ensemble
    per stage, since how blocks are best combined depends on which there are. This estimator works
    on embeddings that exist already, and shows what a cascade would save:
    :class:`~skclipens.cascade.CascadeClassifier` saves it.

    Parameters
    ----------
    blocks : None, str, list of str or list of (str, columns), default=None
        Which columns belong together; see :class:`AdaptiveBackboneEnsemble`.
    estimator : classifier, default=None
        What predicts at a stage. It needs ``predict_proba``; where it has a parameter ``blocks``,
        this is set to those of the stage. None stands for an :class:`AdaptiveBackboneEnsemble`.
    cost : None, "gflops" or mapping, default=None
        Cost of a block: 1 each; the GFLOPs of its backbone, where
        :func:`list_backbones` lists it; or a mapping (a dict, a Series) from names of blocks or
        backbones to numbers. That of combining blocks is not counted.
    order : {"cost", "given"}, default="cost"
        Whether blocks are used in the order of their cost, or in that of `blocks`, such as the one
        in which a :class:`~skclipens.feature_selection.BackboneSelector` added them.
    thresholds : "auto", float or array-like of shape (K - 1,), default="auto"
        Confidence at which each of K stages but the last decides: at 0 the first stage decides
        everything, above 1 the last one. ``"auto"`` chooses one threshold for all stages on rows
        that are held out.
    max_accuracy_drop : float or None, default=0
        With ``thresholds="auto"``: how much of the accuracy of all blocks together may be given
        up. The cheapest threshold is chosen from which on no higher one loses more. None: the
        most accurate is chosen, and of several the cheapest.
    max_cost : float, default=None
        With ``thresholds="auto"``: limit of the mean cost of a row. Where it leaves no threshold
        that meets `max_accuracy_drop`, the most accurate one is chosen. None: no limit.
    cv : int, float or splitter, default=5
        How rows are held out to choose thresholds: an int for cross-validation in at most so many
        stratified folds, a float for so large a part of the rows, or a splitter.
    n_jobs : int, default=None
        Number of estimators that are fitted at the same time; see joblib.
    random_state : int, RandomState instance or None, default=None
        Determines which rows are held out, and the default estimator's randomness.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        Labels.
    block_names_ : list of K str
        Names of the blocks, in the order in which they are used.
    block_costs_ : ndarray of shape (K,)
        Their costs.
    estimators_ : list of K classifiers
        What predicts at each stage.
    thresholds_ : ndarray of shape (K - 1,)
        Confidence at which each stage but the last decides.
    curve_ : dict of ndarray
        All thresholds that make a difference on the held-out rows, increasing, with the
        ``"accuracy"`` and the mean ``"cost"`` of each ``"threshold"``. Can be made a DataFrame.
        Only where thresholds were chosen.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns; only where ``fit`` saw a frame.

    See Also
    --------
    skclipens.cascade.CascadeClassifier : The cascade on images.

    Notes
    -----
    In [1]_ each stage can have a threshold of its own. One for all is a simplification: it can be
    searched exactly, by sorting, and there is little to overfit with few labels. Confidences
    should mean the same at every stage, as those of calibrated ensembles do. The accuracy of the
    chosen threshold is that of the rows which chose it: expect a little less on others.

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
    >>> bool(clf.predict_with_cost(X[::10]).cost.mean() < 2)
    True
    """

    _parameter_constraints: dict = {
        **BaseCascade._parameter_constraints,
        "blocks": [None, str, "array-like"],
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

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y):
        """Choose thresholds, and fit an estimator for each stage.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings, or any table.
        y : array-like of shape (n,)
            Labels.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If blocks do not fit X, a cost is not known, `max_cost` is less than that of the first
            block, or thresholds are to be chosen and no class has two rows.
        """
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
        check_labels(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"At least two classes are needed; got 1 class, {y[0]!r}.")
        blocks = find_blocks(self.blocks, X.shape[1], getattr(self, "feature_names_in_", None))
        costs = block_costs(self.cost, cost_names(blocks))
        if self.order == "cost":
            order = np.argsort(costs, kind="stable")
            blocks, costs = [blocks[i] for i in order], costs[order]
        self.block_names_, self.block_costs_ = [block.name for block in blocks], costs
        check_budget(self.max_cost, self.block_names_[:1], costs[:1])
        self._columns = [block.columns for block in blocks]
        table = X[:, columns_of(blocks)]
        ends = np.cumsum([len(columns) for columns in self._columns])
        seed = draw_seed(self.random_state)
        stages = [
            (make_for_blocks(self.estimator, blocks[:k], seed), table[:, :end])
            for k, end in enumerate(ends, start=1)
        ]
        self.thresholds_ = self._find_thresholds(stages, y, seed)
        self.estimators_ = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit)(estimator, columns, y) for estimator, columns in stages
        )
        return self

    def _find_thresholds(self, stages, y, seed):
        shape = (len(stages) - 1,)
        vars(self).pop("curve_", None)  # of an earlier fit
        if not isinstance(self.thresholds, str):
            return _broadcast_thresholds(self.thresholds, shape)
        if len(stages) == 1:
            return np.zeros(shape)
        folds = self._split(y, seed)
        judged = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_and_judge)(estimator, columns, y, train, test)
            for train, test in folds
            for estimator, columns in stages
        )
        by_fold = [judged[i : i + len(stages)] for i in range(0, len(judged), len(stages))]
        confidence, correct = np.concatenate([np.stack(fold, axis=2) for fold in by_fold], axis=1)
        self.curve_ = _sweep(confidence, correct, self.block_costs_)
        best = _choose(self.curve_, self.max_accuracy_drop, self.max_cost)
        return np.full(shape, self.curve_["threshold"][best])

    def _split(self, y, seed):
        """Folds, without the held-out rows whose class the fold has no other row of."""
        largest = np.unique(y, return_counts=True)[1].max()
        splitter = self.cv
        if isinstance(splitter, Integral):
            n_folds = max(min(splitter, largest), 2)
            splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        elif isinstance(splitter, Real):
            splitter = StratifiedShuffleSplit(1, test_size=splitter, random_state=seed)
        try:
            with warnings.catch_warnings(), few_rows_per_class():
                warnings.filterwarnings("ignore", message="The least populated class")
                folds = list(splitter.split(np.zeros(len(y)), y))
        except ValueError as error:
            raise ValueError(f"cv={self.cv} cannot hold out rows: {error} {_WAY_OUT}") from None
        folds = [(train, test[np.isin(y[test], y[train])]) for train, test in folds]
        folds = [(a, b) for a, b in folds if len(b) and len(np.unique(y[a])) > 1]
        if folds:
            return folds
        raise ValueError(f"cv={self.cv} leaves no row whose class other rows teach. {_WAY_OUT}")

    def predict_with_cost(self, X):
        """Classify, and say at which stage and cost.

        Parameters
        ----------
        X : array-like of shape (n, n_features)

        Returns
        -------
        result : :class:`~sklearn.utils.Bunch`
            Dictionary-like object, with the following attributes.

            labels : ndarray of shape (n,)
                Predicted labels.
            proba : ndarray of shape (n, C)
                Probabilities of the classes, at the stage that decided.
            stages : ndarray of shape (n,), int
                The stage that decided; 0 is the first.
            cost : ndarray of shape (n,)
                Summed costs of the blocks up to this stage.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        return self._run(len(X), lambda stage, rows: X[np.ix_(rows, self._columns[stage])])

    def _run(self, n, columns_of_stage):
        """Decide n rows, given a function from a stage and row positions to the stage's columns."""
        undecided = np.arange(n)
        table = np.empty((n, 0), np.float32)
        proba, stages = np.empty((n, len(self.classes_))), np.empty(n, int)
        for stage, threshold in enumerate([*self.thresholds_, 0]):
            table = np.hstack([table, columns_of_stage(stage, undecided)])
            found = self.estimators_[stage].predict_proba(table)
            done = found.max(axis=1) >= threshold
            proba[undecided[done]], stages[undecided[done]] = found[done], stage
            undecided, table = undecided[~done], table[~done]
            if not len(undecided):
                break
        return Bunch(
            labels=self.classes_[proba.argmax(axis=1)],
            proba=proba,
            stages=stages,
            cost=np.cumsum(self.block_costs_)[stages],
        )


def _fit(estimator, X, y):
    with few_rows_per_class():
        return estimator.fit(X, y)


def _fit_and_judge(estimator, X, y, train, test):
    """Confidence for held-out rows, and whether they are classified correctly, (2, n)."""
    estimator = _fit(clone(estimator), X[train], y[train])
    proba = estimator.predict_proba(X[test])
    return np.stack([proba.max(axis=1), estimator.classes_[proba.argmax(axis=1)] == y[test]])


def _broadcast_thresholds(thresholds, shape):
    try:
        thresholds = np.broadcast_to(np.asarray(thresholds, dtype=float), shape)
    except ValueError:
        raise ValueError(
            f"thresholds={thresholds!r} does not fit a cascade of {shape[0] + 1} stages; give one "
            f"number, or {shape[0]}."
        ) from None
    if np.isnan(thresholds).any() or (thresholds < 0).any():
        raise ValueError(f"thresholds must be at least 0; got {thresholds.tolist()}.")
    return thresholds.copy()


def _sweep(confidence, correct, costs):
    """Accuracy and mean cost of every threshold that makes a difference.

    Parameters
    ----------
    confidence, correct : ndarray of shape (n, K)
    costs : ndarray of shape (K,)

    Returns
    -------
    dict of ndarray
        As ``CascadeEnsemble.curve_``.
    """
    # A row goes on from stage k, and changes accuracy and cost, above its largest confidence so
    # far. The last threshold, above all of them, sends all rows to the last stage.
    leaves = np.maximum.accumulate(confidence[:, :-1], axis=1)
    values, event = np.unique(leaves, return_inverse=True)

    def curve(start, change):
        changes = np.bincount(event.ravel(), change.ravel(), minlength=len(values))
        return (start.sum() + np.append(0, np.cumsum(changes))) / len(confidence)

    cost = np.broadcast_to(costs, confidence.shape)
    return {
        "threshold": np.append(values, np.inf),
        "accuracy": curve(correct[:, 0], np.diff(correct, axis=1)),
        "cost": curve(cost[:, 0], cost[:, 1:]),
    }


def _choose(curve, max_accuracy_drop, max_cost):
    """Position on a curve; see the parameters of CascadeEnsemble."""
    accuracy = curve["accuracy"]
    affordable = within(max_cost, curve["cost"])
    if max_accuracy_drop is not None:
        enough = accuracy >= accuracy[-1] - max_accuracy_drop - _ROUNDING
        stays_enough = np.logical_and.accumulate(enough[::-1])[::-1]
        if (affordable & stays_enough).any():
            return np.argmax(affordable & stays_enough)
    return np.argmax(np.where(affordable, accuracy, -1))

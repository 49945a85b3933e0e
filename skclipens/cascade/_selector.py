"""Selection of backbones: forward selection of blocks of columns within a budget."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.feature_selection import SelectorMixin
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import check_is_fitted

from .._mistakes._rows import warn_of_weights
from .._mistakes._seen_embeddings import check_rows_as_in_fit, see_blocks
from .._utils._docstrings import fill_doc
from .._utils._estimator import EstimatorMixin
from .._utils._folds import CV_CONSTRAINTS, few_shot_folds, groups_of_class
from .._utils._labels import allow_few_rows_per_class
from .._utils._messages import listed
from .._utils._metadata import check_metadata, metadata_for, rows_of
from .._utils._progress import in_parallel, progress
from .._utils._random import draw_seed
from .._utils._row_numbers import fitted_rows
from .._utils._rows import all_rows
from .._utils._sklearn import (
    InOrder,
    Interval,
    MethodsOfFitted,
    StrOptions,
    fit_context,
    routing_enabled,
    will_have,
)
from .._utils._validation import check_table
from .._utils._warnings import silent, without_warnings
from ..backbones._blocks import columns_of, embeddings_beside_others
from ._base import DefaultEstimatorMixin
from ._costs import IS_MAPPING, blocks_of, check_budget, costs_of, make_for_blocks, within
from ._thresholds import ROUNDING

# Scores that are not defined if a class is only in the training rows, or only in the test rows.
_OF_ALL_CLASSES = ("log_loss", "roc_auc", "brier")
_OF_PROBA = ("log_loss", "brier")


@fill_doc
class BackboneSelector(
    DefaultEstimatorMixin, EstimatorMixin, SelectorMixin, MetaEstimatorMixin, BaseEstimator
):
    """Select the backbones that are worth their cost, by forward selection of blocks of columns.

    Starting from no blocks, the block that improves the cross-validated score of an estimator most
    is added repeatedly, as long as a block fits the budget. The first set of blocks on this path
    with the best score is selected. So a block that does not help is left out even if the budget
    allows it.

    Parameters
    ----------
    blocks : None, str, list of str, list of (str, columns) or dict, default=None
        Which columns belong together; see :class:`~skclipens.AdaptiveBackboneEnsemble`. None: if X
        is a DataFrame, blocks are found by column names ``BACKBONE__i``; otherwise all columns form
        one block.
    estimator : classifier, default=None
        The classifier that is scored on a set of blocks. If it, or the classifier that it wraps,
        has a parameter ``blocks``, this is set to this set. None means an
        :class:`~skclipens.AdaptiveBackboneEnsemble`.
    cost : None, "gflops" or mapping, default=None
        Cost of a block. None: 1 each. ``"gflops"``: the GFLOPs of its backbone, if
        :func:`~skclipens.list_backbones` lists it. Or a mapping (a dict, a Series) from names of
        blocks or backbones to numbers. Several blocks of one backbone each have its full cost.
    max_cost : float, default=None
        Limit of the total cost of the selected blocks. None: no limit.
    max_blocks : int, default=None
        Limit of the number of selected blocks. None: no limit.
    tol : float, default=0
        How much lower than the best score on the path a score may be to select fewer blocks.
    scoring : str or callable, default="neg_log_loss"
        The score that is maximised; see :term:`scoring`.
    cv : int, float, splitter or list of (train, test), default=5
        An int: at most this number of stratified folds, and no more than the smallest class has
        rows. Classes with a single row, or group, are left out of cross-validation. A float: this
        fraction of the rows is held out. Folds for which `scoring` is not defined, because a class
        is on one side only, are left out. Without groups, copies of a row with its label are in the
        same part of a fold as the first of them.
    n_jobs : int, default=None
        Number of folds that are scored at the same time; see joblib.
    random_state : int, RandomState instance or None, default=None
        Controls the folds, and the randomness of the default estimator.
    verbose : bool or int, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    selected_blocks_ : list of str
        Names of the selected blocks, in the order in which they were added.
    support_ : ndarray of shape (n_features,), bool
        Which columns are selected.
    path_ : dict of ndarray of shape (n_steps,)
        One entry per step: ``"block"``, the name of the added block; ``"score"``, the mean
        cross-validated score of all blocks up to this one; ``"cost"``, their total cost. It can be
        converted to a DataFrame.
    %(table_columns)s

    See Also
    --------
    sklearn.feature_selection.SequentialFeatureSelector : The same for single columns, without
        costs.
    skclipens.CascadeClassifier : Decides for each image how many backbones it needs.

    Notes
    -----
    The scores are on the rows by which blocks were selected, so the best one is optimistic. If all
    blocks are of projected features, a cascade can use the selected ones in their order:
    ``CascadeClassifier(selected_blocks_, order="given")``.
    With B blocks the path takes up to B (B + 1) / 2 cross-validations.

    Selected columns keep their place and their names. In a pipeline, use
    ``set_output(transform="pandas")``: an :class:`~skclipens.AdaptiveBackboneEnsemble` that follows
    then reads the selected blocks from the names.

    Examples
    --------
    >>> from skclipens import BackboneSelector, MultiBackboneEmbedder
    >>> from skclipens.datasets import load_emoji
    >>> frame = load_emoji().frame.groupby("label").head(4).head(20)
    >>> embedder = MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-16"])
    >>> X = embedder.set_output(transform="pandas").fit_transform(frame["path"])
    >>> selector = BackboneSelector(cost="gflops", max_cost=0.1, random_state=0)
    >>> selector.fit_transform(X, frame["label"]).shape
    (20, 128)
    >>> len(selector.selected_blocks_), len(selector.path_["score"])
    (1, 1)
    """

    _parameter_constraints: dict = {
        "blocks": [None, str, dict, InOrder()],
        "estimator": [None, MethodsOfFitted(["fit", "predict"])],
        "cost": [None, StrOptions({"gflops"}), IS_MAPPING],
        "max_cost": [None, Interval(Real, 0, None, closed="left")],
        "max_blocks": [None, Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "scoring": [StrOptions(set(get_scorer_names())), callable],
        "cv": CV_CONSTRAINTS,
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    __metadata_request__fit = {"sample_weight": True, "groups": True}

    def __init__(
        self,
        blocks=None,
        *,
        estimator=None,
        cost=None,
        max_cost=None,
        max_blocks=None,
        tol=0.0,
        scoring="neg_log_loss",
        cv=5,
        n_jobs=None,
        random_state=None,
        verbose=False,
    ):
        self.blocks = blocks
        self.estimator = estimator
        self.cost = cost
        self.max_cost = max_cost
        self.max_blocks = max_blocks
        self.tol = tol
        self.scoring = scoring
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, sample_weight=None, groups=None):
        """Select blocks.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings, or any table.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows in the fits of the estimator, and in a score that is given by name.
        groups : array-like of shape (n,), default=None
            Rows of a group, such as pictures of one object, are held out together.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If the blocks do not match the columns of X, a cost is not known, no block is within the
            budget, fewer than two classes have two rows, no fold can be scored, or a score is NaN.
        """
        self._refuse_without_proba()
        X, y = check_table(self, X, y, sample_weight=sample_weight, groups=groups)
        metadata = check_metadata(sample_weight, groups, len(X), X.dtype)
        warn_of_weights(metadata["sample_weight"])
        blocks = blocks_of(self, "is all that can be chosen")
        costs = costs_of(self.cost, blocks)
        check_budget(self.max_cost, [block.name for block in blocks], costs)
        self._seen = see_blocks(blocks, X)
        seed = draw_seed(self.random_state)
        X, y, metadata, cv, position = all_rows(X, y, metadata, self.cv).with_weight()
        folds = self._split(X, y, blocks, metadata["groups"], cv, seed)

        def score(chosen):
            candidate = [blocks[i] for i in chosen]
            return self._score(candidate, X, y, metadata, folds, seed)

        with fitted_rows(np.flatnonzero(position >= 0), len(position)):
            chosen, scores = self._search(costs, score)
        self.path_ = {
            "block": np.array([blocks[i].name for i in chosen], dtype=object),
            "score": np.array(scores),
            "cost": np.cumsum(costs[chosen]),
        }
        n_selected = 1 + np.argmax(self.path_["score"] >= max(scores) - self.tol - ROUNDING)
        self.selected_blocks_ = self.path_["block"][:n_selected].tolist()
        self.support_ = np.zeros(self.n_features_in_, dtype=bool)
        self.support_[columns_of([blocks[i] for i in chosen[:n_selected]])] = True
        return self

    @fill_doc
    def transform(self, X):
        """Select the columns of the selected blocks.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            A table with the columns that ``fit`` saw.

        Returns
        -------
        ndarray of shape (n, n_columns)
            The selected columns, in the order of X. A DataFrame if set by ``set_output``.

        %(checks_of_X)s
        """
        check_is_fitted(self)
        check_rows_as_in_fit(self, X)
        with silent("X (has|does not have valid) feature names"):  # was checked above
            return super().transform(X)

    def _refuse_without_proba(self):
        of_proba = isinstance(self.scoring, str) and any(one in self.scoring for one in _OF_PROBA)
        if (
            of_proba
            and self.estimator is not None
            and not will_have(self.estimator, "predict_proba")
        ):
            raise ValueError(
                f"scoring={self.scoring!r} needs predict_proba, which estimator={self.estimator!r} "
                "has not. Give scoring='accuracy', or wrap it in CalibratedClassifierCV."
            )

    def _split(self, X, y, blocks, groups, cv, seed):
        # Both sides of a fold need a row of every class: the log-loss is not defined otherwise.
        rows = np.arange(len(y))
        if groups is not None:
            if isinstance(cv, Integral):
                n_groups = groups_of_class(y, groups)
                rows = np.flatnonzero(n_groups > 1)
                cv = min(cv, n_groups[rows].min(initial=cv))
            groups = groups[rows]
        options = {"groups": groups, "every_class": True, "random_state": seed, "X": X[rows]}
        options["images"] = embeddings_beside_others(blocks, X.shape[1])
        found = few_shot_folds(y[rows], cv, **options) if len(rows) else []
        if not found and groups is None and isinstance(cv, Integral):
            classes = np.unique(y)
            raise ValueError(
                "Cross-validation needs two classes with two rows each; got "
                f"n_samples={len(y)} in {len(classes)} class{'es' * (len(classes) > 1)}."
            )
        folds = [(rows[train], rows[test]) for train, test in found]
        lacking = "that trains on two classes and has other rows of them, copies left out"
        if isinstance(self.scoring, str) and any(kind in self.scoring for kind in _OF_ALL_CLASSES):
            folds = [(a, b) for a, b in folds if set(y[a].tolist()) == set(y[b].tolist())]
            lacking = f"whose two sides have the same classes, as scoring={self.scoring!r} needs"
        if not folds:
            cv = "cv" if np.iterable(self.cv) else f"cv={self.cv!r}"  # splits would fill the screen
            raise ValueError(
                f"{cv}{' with these groups' * (groups is not None)} leaves no fold {lacking}. Give "
                f"more {'rows' if groups is None else 'groups'} of each class, or another cv."
            )
        return folds

    def _score(self, blocks, X, y, metadata, folds, seed):
        """Return the estimator's mean score over the folds on some blocks, a float.

        Raise ValueError if the score of a fold is NaN.
        """
        estimator = make_for_blocks(self.estimator, blocks, seed)
        given = (estimator, self.scoring, X[:, columns_of(blocks)], y, metadata)
        calls = ((*given, *fold) for fold in folds)
        # fit has checked the mean weight of all rows.
        with (
            allow_few_rows_per_class(),
            without_warnings("mean weight"),
            progress(len(folds), False) as bar,
        ):
            scores = np.array(list(in_parallel(_fit_and_score, calls, n_jobs=self.n_jobs, bar=bar)))
        if np.isnan(scores).any():
            raise ValueError(
                f"scoring={self.scoring!r} gives NaN in {np.isnan(scores).sum()} of {len(scores)} "
                f"folds for {listed(block.name for block in blocks)}, so sets of blocks cannot be "
                "compared. Is it defined where few rows judge? Give fewer folds, or another score."
            )
        return scores.mean()

    def _search(self, costs, score):
        """Return the positions of blocks in the order in which they are added, and the scores."""
        chosen, scores = [], []
        n_blocks = min(self.max_blocks or len(costs), len(costs))
        with progress(n_blocks, self.verbose, desc="blocks", unit="block") as bar:
            while len(chosen) < n_blocks:
                left = [
                    i
                    for i in range(len(costs))
                    if i not in chosen and within(self.max_cost, costs[[*chosen, i]].sum())
                ]
                if not left:
                    break
                found = np.array([score([*chosen, i]) for i in left])
                best = int(np.argmax(found >= found.max() - ROUNDING))
                chosen.append(left[best])
                scores.append(found[best])
                bar.update()
        return chosen, scores

    def _get_support_mask(self):
        check_is_fitted(self)
        return self.support_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def _fit_and_score(estimator, scoring, X, y, metadata, train, test):
    """Return the score of held-out rows, with their weights if the score takes them."""
    given = metadata_for(estimator, **rows_of(metadata, train))
    with fitted_rows(train, len(y)):
        fitted = clone(estimator).fit(X[train], y[train], **given)
    scorer = get_scorer(scoring)
    weights = metadata["sample_weight"]
    takes_weights = isinstance(scoring, str) and scorer._accept_sample_weight()
    if routing_enabled() and hasattr(scoring, "get_metadata_routing"):
        takes_weights = get_routing_for_object(scoring).consumes("score", ["sample_weight"])
    given = {"sample_weight": weights[test]} if takes_weights and weights is not None else {}
    score = scorer(fitted, X[test], y[test], **given)
    if np.ndim(score) or np.asarray(score).dtype.kind not in "biuf":
        raise ValueError(f"scoring must return a number; got {score!r}.")
    return score

"""Compare an ensemble with simpler classifiers on the same splits."""

from tempfile import TemporaryDirectory

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import indexable
from sklearn.utils.class_weight import compute_sample_weight

from .._utils._folds import by_appearance, folds_of_some
from .._utils._labels import allow_few_rows_per_class, column_of_labels, refuse_unlabeled
from .._utils._metadata import taken_of
from .._utils._progress import in_parallel, progress
from .._utils._row_numbers import fitted_rows
from .._utils._sample_arguments import warn_of_other_order
from .._utils._sklearn import safe_indexing
from .._utils._warnings import each_warning_once, silent, without_warnings
from .._utils._weights_and_groups import check_groups
from ..embedding._base import BaseEmbedder
from ..embedding._once import embedded_once
from ..embedding._unreadable import are_splits, readable
from ..ensemble._experts import distinct_blocks
from ..ensemble._heads import named_heads
from ..ensemble._make_experts import head_without_block
from ._compare_checks import (
    ALONE,
    ENSEMBLE,
    IMAGES,
    LOGISTIC,
    LOGISTIC_AND_PROMPTS,
    ORACLE,
    OTHERS,
    PROMPTS,
    ROWS,
    check_scoring,
    checked_baselines,
    checked_ensemble,
)
from ._compare_logistic import average, logistic_regression
from ._compare_splits import check_cv_to_compare, splits_to_compare, without_empty
from ._intervals import few_draws_interval


@each_warning_once()
def compare_with_baselines(
    estimator,
    X,
    y,
    *,
    cv=5,
    groups=None,
    scoring="accuracy",
    baselines=None,
    n_jobs=None,
    verbose=False,
):
    r"""Compare an ensemble with simpler classifiers, on the same splits.

    It shows whether an ensemble is worth its cost on your own pictures. The rows of the result are:

    - ``"ensemble"``;
    - ``"logistic regression, all columns"``, with the ensemble's ``class_weight``. Its C is chosen
      from 0.1, 1, 10, 100 and 1000 by cross-validated `scoring` on the training rows, which keeps
      `groups` and copies together; if a class has one row, C is 10. If the table has other columns
      beside embeddings, all are first scaled to the same variance;
    - ``"logistic regression and prompts"``: the average of the probabilities of a logistic
      regression and of ``"prompts alone"``, if the ensemble has zero-shot heads. C and the share of
      the logistic regression, 0, 0.25, 0.5, 0.75 or 1, have the least log-loss on held-out training
      rows; if a class has one row, they are 10 and 0.5;
    - ``"images alone"`` and ``"other columns alone"``: the same ensemble on the columns that belong
      to backbones, and on those that belong to none, if the table has both and the heads fit;
    - ``"zoo/RN20 alone"`` and so on: the same ensemble on the columns of one backbone and on those
      that belong to none. The best of them is optimistic, since it is chosen by the test rows.
      A backbone is left out if a head is made for other backbones;
    - ``"prompts alone"``: the logit average of zero-shot heads, if the ensemble has any;
    - ``"oracle: any backbone is right"``: a row is right if any backbone alone is right; not if
      a backbone is left out;
    - those of `baselines`.

    Parameters
    ----------
    estimator : AdaptiveBackboneEnsemble, or Pipeline that ends in one
        The ensemble, which is cloned. Steps before it are fitted on the training rows of each
        split, but each image is embedded only once. Images that cannot be read are left out if
        the embedder has ``on_error="nan"``.
    X : array-like of shape (n, ...)
        The input of `estimator`: embeddings, or images for a pipeline.
    y : array-like of shape (n,)
        Labels.
    cv : int, splitter or iterable of (train, test), default=5
        The splits, such as those of :class:`FewShotSplit`. An int is a number of stratified folds,
        which keep `groups` together, or else copies of a row. The indices of splits refer to all
        rows of X, including those that are left out.
    groups : array-like of shape (n,), default=None
        Rows that belong together, such as pictures of one object; passed to `cv`, the ensembles,
        and the baselines that take groups.
    scoring : {"accuracy", "balanced_accuracy"}, default="accuracy"
        What is compared. The balanced accuracy is the mean of the accuracies of the classes, so
        that a rare class counts as much as a frequent one. Training is not changed by it: see
        ``class_weight`` of the ensemble.
    baselines : dict of str to classifier, default=None
        Further classifiers, which are fitted on the output of the steps before the ensemble.
    n_jobs : int, default=None
        Number of splits that are run at the same time; see joblib.
    verbose : bool, default=False
        Whether to show a progress bar.

    Returns
    -------
    DataFrame
        A row for each classifier, with the columns ``accuracy`` (or ``balanced_accuracy``) and
        ``std``, the mean and standard deviation over splits; ``gain``, that of the ensemble minus
        this one; and ``low`` and ``high``, the 95 % interval of the gain. Its variance is that of a
        bootstrap of both test rows and splits, and it is wider the fewer the splits, if these
        differ (Student's t). In simulations, it contained the true gain in 94 to 97 % of cases with
        three draws or more, in 87 to 96 % with two, and in 99 % with five folds, so it is too wide
        there. If both classifiers are right in the same rows, its ends are the largest difference
        of which this many rows show nothing with a chance of 5 %. Rows of one group, or else copies
        of a row, are drawn together. All are fractions, not percent. If a step selects other
        backbones in each split, the row of a backbone is the mean over the splits that have it.

    Raises
    ------
    TypeError
        If `estimator` is not an ensemble that learns from blocks of columns, or `baselines` is not
        a dict of classifiers.
    ValueError
        If a row has no label, a split has a row on both sides, a baseline has the name of another
        row of the result, or `scoring` is neither of its values.

    Warns
    -----
    UserWarning
        If images cannot be read, or test rows are copies of training rows, or have classes that
        the training rows lack.
    SuspectedMistakeWarning
        If a baseline has a :class:`sklearn.frozen.FrozenEstimator`.

    See Also
    --------
    FewShotSplit : Splits with few labelled rows of each class.
    skclipens.inspection.AccuracyCostDisplay : What each backbone adds, and what it costs.

    Examples
    --------
    >>> from skclipens import make_backbone_pipeline
    >>> from skclipens.datasets import load_emoji
    >>> from skclipens.model_selection import FewShotSplit, compare_with_baselines
    >>> emoji = load_emoji(min_class_size=40)
    >>> clf = make_backbone_pipeline(["zoo/RN20", "zoo/ViT-8"], random_state=0)
    >>> names = emoji.target_names[emoji.target]
    >>> cv = FewShotSplit(n_shots=1, n_splits=2, random_state=0)
    >>> found = compare_with_baselines(clf, emoji.filenames, names, cv=cv)
    >>> found.columns.tolist()
    ['accuracy', 'std', 'gain', 'low', 'high']
    >>> print(*found.index, sep="\n")
    ensemble
    logistic regression, all columns
    logistic regression and prompts
    zoo/RN20 alone
    zoo/ViT-8 alone
    prompts alone
    oracle: any backbone is right
    >>> print(f"{found.loc['logistic regression, all columns', 'gain']:.1f}")
    0.3
    """
    ensemble = checked_ensemble(estimator)
    warn_of_other_order(X, y=y, groups=groups)
    refuse_unlabeled(y)
    check_scoring(scoring)
    baselines, y = checked_baselines(baselines), column_of_labels(y, warn=True)
    groups = check_groups(groups, len(y))
    cv = check_cv_to_compare(cv, y, groups)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        before, X, y, groups, cv, unreadable = _table_of(estimator, X, y, groups, cv, folder)
        X, y, groups = indexable(X, y, groups)
        with fitted_rows(np.flatnonzero(~unreadable), len(unreadable)):
            splits, copies = splits_to_compare(cv, X, y, groups, before, ensemble)
            given = before, ensemble, baselines, X, y, groups, scoring
            calls = ((*given, *split) for split in splits)
            with progress(len(splits), verbose, desc="comparing", unit="split") as bar:
                found = list(in_parallel(_score, calls, n_jobs=n_jobs, bar=bar))
    units = copies if groups is None else groups
    units = np.arange(len(y)) if units is None else by_appearance(units)
    tests = [test for _, test in splits]
    return _summary(found, tests, units, [_weights(y[test], scoring) for test in tests], scoring)


def _weights(y, scoring):
    """Return weights of test rows whose weighted accuracy is the score."""
    return np.ones(len(y)) if scoring == "accuracy" else compute_sample_weight("balanced", y)


def _table_of(estimator, X, y, groups, cv, folder):
    """Return the steps to fit in each split or None, the rows and splits, and unreadable rows.

    The first steps that need no fit, such as embedders, are applied to X here; embedders in other
    steps use `folder` as their cache if they have none. Images that cannot be read are left out of
    rows and splits.
    """
    _, rest, table, unreadable = embedded_once(_embedding_once(estimator, folder), X, y)
    before = rest[:-1] if isinstance(rest, Pipeline) and len(rest) > 1 else None
    if unreadable.any() and are_splits(cv):
        cv = without_empty(folds_of_some(cv, ~unreadable, None, y, None))
    return before, *readable([table, y, groups], unreadable), cv, unreadable


def _embedding_once(estimator, folder):
    """Return a copy in which embedders inside a step of a pipeline have a folder as their cache."""
    if not isinstance(estimator, Pipeline):
        return estimator
    estimator = clone(estimator)
    for name, one in estimator.get_params().items():
        if "__" in name and isinstance(one, BaseEmbedder) and not one.cache:
            one.set_params(cache=folder)
    return estimator


def _score(before, ensemble, baselines, X, y, groups, scoring, train, test):
    """Return what :func:`_are_right` does, with the user's numbers of rows in messages."""
    X_train, X_test = (safe_indexing(X, rows) for rows in (train, test))
    of_train, of_test = (fitted_rows(rows, len(y)) for rows in (train, test))
    groups = {} if groups is None else {"groups": groups[train]}
    with of_train:
        if before is not None:
            before = clone(before)
            X_train = before.fit_transform(X_train, y[train])
            with of_test:
                X_test = before.transform(X_test)
        rows = X_train, X_test, y[train], y[test]
        return _are_right(ensemble, baselines, *rows, groups, scoring)


def _are_right(ensemble, baselines, X_train, X_test, y_train, y_test, groups, scoring):
    """Return which test rows each classifier predicts correctly."""

    def right(estimator, **metadata):
        labels = estimator.fit(X_train, y_train, **metadata).predict(X_test)
        return np.ravel(labels) == y_test  # those of CatBoost are a column

    fitted = clone(ensemble)
    found = {ENSEMBLE: right(fitted, **groups)}
    blocks = distinct_blocks(fitted.experts_)
    with allow_few_rows_per_class(), silent("lbfgs failed to converge"):
        weights = _weights(y_train, scoring)
        options = {"weights": weights, "class_weight": ensemble.class_weight, **groups}
        logistic = logistic_regression(X_train, y_train, blocks, **options)
        found[LOGISTIC] = logistic.fit().predict(X_test) == y_test
    for name, some in _blocks_of_kinds(ensemble.head, blocks).items():
        with without_warnings("guessing"):  # other columns need not tell the classes apart
            found[name] = right(clone(ensemble).set_params(blocks=some), **groups)
    alone = {
        f"{backbone}{ALONE}": right(clone(ensemble).set_params(blocks=some), **groups)
        for backbone, some in _blocks_of_each(ensemble.head, blocks).items()
    }
    found |= alone
    if (zero_shot := _zero_shot(ensemble, fitted.experts_)) is not None:
        # Prompts need no other columns, and the others learn from labels, so names may be poor.
        with without_warnings("unread", "fit no text"):
            found[PROMPTS] = right(zero_shot, **groups)
        with allow_few_rows_per_class(), silent("lbfgs failed to converge"):
            fitted, share = logistic.fit_beside(zero_shot)
        both = average(share, fitted.predict_proba(X_test), zero_shot.predict_proba(X_test))
        found[LOGISTIC_AND_PROMPTS] = zero_shot.classes_[both.argmax(axis=1)] == y_test
    if alone and len(alone) == len(_backbones_of(blocks)):
        found[ORACLE] = np.any(list(alone.values()), axis=0)
    return found | {
        name: right(clone(one), **taken_of(groups, one)) for name, one in baselines.items()
    }


def _zero_shot(ensemble, experts):
    """Return an unfitted ensemble of the zero-shot heads alone; None if there are none."""
    head = next((expert.head for expert in experts if expert.is_zero_shot), None)
    if head is None:
        return None
    texts = {"class_names": head.class_names, "templates": head.templates}
    plain = {"head": "zero-shot", "router": "uniform", "calibrate": False}
    return clone(ensemble).set_params(**plain, **texts)


def _backbones_of(blocks):
    return list(dict.fromkeys(block.backbone for block in blocks if block.backbone))


def _blocks_of_each(head, blocks):
    """Return the value of ``blocks`` for each backbone: its own blocks and those of no backbone.

    Backbones that a head does not fit are left out. Empty if there is one backbone, or if `head`
    sets the columns of an expert, which may belong to other backbones.
    """
    backbones = _backbones_of(blocks)
    if len(backbones) < 2:
        return {}
    found = {one: [block for block in blocks if block.backbone in (None, one)] for one in backbones}
    return _that_suit(head, found)


def _blocks_of_kinds(head, blocks):
    """Return the value of ``blocks`` for images, and for other columns, if there are both."""
    found = {
        IMAGES: [block for block in blocks if block.backbone is not None],
        OTHERS: [block for block in blocks if block.backbone is None],
    }
    return _that_suit(head, found) if all(found.values()) else {}


def _that_suit(head, found):
    """Return the values of ``blocks`` that `head` can be fitted on, by name.

    Empty if it sets the columns of an expert.
    """
    if any(columns is not None for *_, columns in named_heads(head)):
        return {}
    return {
        name: [(block.name, block.columns) for block in some]
        for name, some in found.items()
        if head_without_block(head, some) is None
    }


def _in_order(found):
    """Return the names of all classifiers, since steps may keep other backbones in each split."""

    def place(name):
        if name not in ROWS and name.endswith(ALONE):
            name = ALONE
        return ROWS.index(name) if name in ROWS else len(ROWS)

    return sorted(dict.fromkeys(name for of_split in found for name in of_split), key=place)


def _summary(found, tests, units, weights, scoring):
    """Return scores and gains of classifiers, given their correct test rows in each split.

    `units` has the number of the group of each row, which intervals resample, and `weights` the
    weights of test rows in the score.
    """
    import pandas as pd

    rows, n_units = {}, units.max() + 1
    totals = [np.bincount(units[test], one, n_units) for test, one in zip(tests, weights)]
    for name in _in_order(found):
        there = [i for i, of_split in enumerate(found) if name in of_split]
        scores = [np.average(found[i][name], weights=weights[i]) for i in there]
        std = np.std(scores, ddof=1) if len(scores) > 1 else np.nan
        gain = (np.nan,) * 3
        if name != ENSEMBLE:
            ours, theirs = (
                [np.bincount(units[tests[i]], weights[i] * found[i][one], n_units) for i in there]
                for one in (ENSEMBLE, name)
            )
            gain = few_draws_interval(ours, theirs, [totals[i] for i in there])
        rows[name] = [np.mean(scores), std, *gain]
    return pd.DataFrame.from_dict(
        rows, orient="index", columns=[scoring, "std", "gain", "low", "high"]
    )

"""Compare an ensemble with simpler classifiers on the same splits."""

from numbers import Integral
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.base import clone, is_regressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import indexable

from .._utils._copies import groups_of_pictures, numbers_of
from .._utils._folds import by_appearance, check_folds, few_shot_folds, folds_of_some, splitter_of
from .._utils._labels import allow_few_rows_per_class, column_of_labels, refuse_unlabeled
from .._utils._linalg import some_of
from .._utils._messages import listed
from .._utils._metadata import taken_of
from .._utils._progress import in_parallel, progress
from .._utils._sample_arguments import check_groups, warn_of_other_order
from .._utils._sklearn import safe_indexing
from .._utils._validation import refuse_class
from .._utils._warnings import each_warning_once, silent, warn
from ..backbones._blocks import column_names, columns_of_backbones, embeddings_beside_others
from ..embedding._base import BaseEmbedder
from ..embedding._once import embedded_once
from ..embedding._unreadable import are_splits, readable
from ..ensemble._experts import distinct_blocks
from ..ensemble._heads import named_heads
from ..ensemble._make_experts import head_without_block
from ._intervals import paired_interval

ENSEMBLE, PROMPTS = "ensemble", "prompts alone"
LOGISTIC = "logistic regression, all columns"
ORACLE = "oracle: any backbone is right"
_ALONE = " alone"
_STRENGTHS = {"C": [0.1, 1, 10, 100, 1000]}


@each_warning_once()
def compare_with_baselines(
    estimator, X, y, *, cv=5, groups=None, baselines=None, n_jobs=None, verbose=False
):
    r"""Compare an ensemble with simpler classifiers, on the same splits.

    It shows whether an ensemble is worth its cost on your own pictures. The rows of the result are:

    - ``"ensemble"``;
    - ``"logistic regression, all columns"``, whose C is chosen from 0.1, 1, 10, 100 and 1000 by
      cross-validation on the training rows, which keeps `groups` and copies together; if a class
      has one row, C is 10. If the table has other columns beside embeddings, all are first scaled
      to the same variance;
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
    baselines : dict of str to classifier, default=None
        Further classifiers, which are fitted on the output of the steps before the ensemble.
    n_jobs : int, default=None
        Number of splits that are run at the same time; see joblib.
    verbose : bool, default=False
        Whether to show a progress bar.

    Returns
    -------
    DataFrame
        A row for each classifier, with the columns ``accuracy`` and ``std``, the mean and standard
        deviation over splits; ``gain``, the accuracy of the ensemble minus this one; and ``low``
        and ``high``, the 95 % interval of the gain, by a bootstrap of both test rows and splits.
        With folds the interval is too wide: in simulations it contained the true gain in 99 % of
        cases. Rows of one group, or else copies of a row, are drawn together. All are fractions,
        not percent. If a step selects other backbones in each split, the row of a backbone is the
        mean over the splits that have it.

    Raises
    ------
    TypeError
        If `estimator` is not an ensemble that learns from blocks of columns, or `baselines` is not
        a dict of classifiers.
    ValueError
        If a row has no label, a split has a row on both sides, or a baseline has the name of
        another row of the result.

    Warns
    -----
    UserWarning
        If images cannot be read, or test rows are copies of training rows, or have classes that
        the training rows lack.

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
    zoo/RN20 alone
    zoo/ViT-8 alone
    prompts alone
    oracle: any backbone is right
    >>> print(f"{found.loc['logistic regression, all columns', 'gain']:.1f}")
    0.3
    """
    warn_of_other_order(X, y=y, groups=groups)
    refuse_unlabeled(y)
    baselines, y = _checked_names(baselines or {}), column_of_labels(y, warn=True)
    groups = check_groups(groups, len(y))
    before, ensemble, X, y, groups, cv = _table_of(estimator, X, y, groups, cv)
    X, y, groups = indexable(X, y, groups)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        before = _embedding_once(before, folder)
        splits, copies = _splits(cv, X, y, groups, before, ensemble)
        calls = ((before, ensemble, baselines, X, y, groups, *split) for split in splits)
        with progress(len(splits), verbose, desc="comparing", unit="split") as bar:
            found = list(in_parallel(_score, calls, n_jobs=n_jobs, bar=bar))
    units = copies if groups is None else groups
    return _summary(found, splits, np.arange(len(y)) if units is None else by_appearance(units))


def _checked_names(baselines):
    if not hasattr(baselines, "keys"):
        raise TypeError(
            "baselines is a dict from names to classifiers, such as {'nearest': "
            f"KNeighborsClassifier()}}; got {type(baselines).__name__}."
        )
    for name, one in baselines.items():
        if not isinstance(name, str):
            raise TypeError(f"baselines: names are strings; got {name!r}, of {one!r}.")
        if name in (ENSEMBLE, LOGISTIC, PROMPTS, ORACLE) or name.endswith(_ALONE):
            raise ValueError(
                f"baselines: {name!r} is already a row of the result. Give your baseline another "
                "name."
            )
        refuse_class(one, f"baselines[{name!r}]")
        if not hasattr(one, "fit") or not hasattr(one, "get_params"):
            raise TypeError(f"baselines[{name!r}] is {one!r}. Give a classifier.")
        if hasattr(one, "__sklearn_tags__") and is_regressor(one):
            raise TypeError(
                f"baselines[{name!r}] is a {type(one).__name__}, a regressor, whose numbers are no "
                "labels. Take a classifier."
            )
    return dict(baselines)


def _table_of(estimator, X, y, groups, cv):
    """Return the steps to fit in each split or None, the ensemble, and the rows and splits.

    The first steps that need no fit, such as embedders, are applied to X here. Images that they
    cannot read are left out of rows and splits.
    """
    ensemble = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    refuse_class(ensemble, "estimator")
    if not {"blocks", "head", "router"} <= set(getattr(ensemble, "get_params", dict)()):
        raise TypeError(
            "estimator is an AdaptiveBackboneEnsemble, or a pipeline that ends in one; got "
            f"{type(ensemble).__name__}."
        )
    _, rest, table, unreadable = embedded_once(estimator, X, y)
    before = rest[:-1] if isinstance(rest, Pipeline) and len(rest) > 1 else None
    if unreadable.any() and are_splits(cv):
        cv = folds_of_some(cv, ~unreadable, None, y, None)
    return before, ensemble, *readable([table, y, groups], unreadable), cv


def _embedding_once(before, folder):
    """Return a copy of steps in which embedders without a cache use a folder as their cache."""
    if before is None:
        return None
    before = clone(before)
    for step in before.get_params().values():
        if isinstance(step, BaseEmbedder) and not step.cache:
            step.set_params(cache=folder)
    return before


def _splits(cv, X, y, groups, before, ensemble):
    """Return the positions of training and test rows of each split, and copies as groups or None.

    If `cv` is an int and there are no groups, copies of a row stay together. Otherwise, copies in
    both parts give a warning. Rows of one picture that differ only in columns of no backbone count
    as copies.
    """
    given = cv
    if isinstance(cv, Integral):
        _check_n_folds(cv, y)
    copies = _groups_of_pictures(X, y, before, ensemble.blocks)
    if isinstance(cv, Integral):
        groups = copies if groups is None else groups
        if groups is not None:
            cv, groups = StratifiedGroupKFold(cv), by_appearance(groups)  # names play no part
    splitter = splitter_of(cv, y, classifier=True)
    with silent("The groups parameter is ignored"):  # what is split is checked
        splits = check_folds(splitter.split(X, y, groups), len(y), "cv", groups)
    _warn_of_new_classes(splits, y, isinstance(given, Integral))
    if copies is not None:
        seen = np.concatenate([np.isin(copies[test], copies[train]) for train, test in splits])
        if seen.any():
            warn(
                f"{seen.sum()} of {len(seen)} test rows are copies of training rows, as where a "
                "picture is there twice, so accuracies are too high. Leave copies out."
            )
    return splits, copies


def _groups_of_pictures(X, y, before, blocks):
    """Group rows of one picture; in what steps make of all rows, if X holds no numbers."""
    table = numbers_of(X)
    if before is not None and table is not None:
        blocks = None  # these are of what the steps make
    elif before is not None:
        X = clone(before).fit_transform(X, y)
        table = numbers_of(X)
    if table is None:
        return None
    columns = columns_of_backbones(blocks, table.shape[1], column_names(X))
    return groups_of_pictures(table, y, columns)


def _warn_of_new_classes(splits, y, are_folds):
    """Warn if test rows have classes that training rows lack, as in plain folds of sorted rows.

    `are_folds` is whether the splits are the stratified folds of an int.
    """
    new = np.concatenate([test[~np.isin(y[test], y[train])] for train, test in splits])
    if not len(new):
        return
    advice = "Take an int as cv, or splits that train all classes."
    classes, counts = np.unique(y, return_counts=True)
    lone = np.intersect1d(classes[counts == 1], y[new]).tolist()
    if lone:
        advice = f"Classes with one row: {listed(lone)}. Add rows of them, or leave them out."
    elif are_folds:
        advice = "All rows of the class are of one group or copies. Add others, or leave it out."
    warn(
        f"{len(new)} of {sum(len(test) for _, test in splits)} test rows are of classes that "
        f"their training rows lack; the first is row {new[0]}, {y.tolist()[new[0]]!r}. They "
        f"can only count as wrong. {advice}"
    )


def _check_n_folds(n_folds, y):
    largest = np.unique(y, return_counts=True)[1].max()
    if n_folds > largest:
        raise ValueError(
            f"cv={n_folds} folds need {n_folds} rows of a class, but none has more than {largest}. "
            "Take fewer folds, or FewShotSplit, which trains on a few rows of each class."
        )


def _score(before, ensemble, baselines, X, y, groups, train, test):
    """Return which test rows each classifier predicts correctly."""
    X_train, X_test = (safe_indexing(X, rows) for rows in (train, test))
    y_train, y_test = safe_indexing(y, train), np.asarray(safe_indexing(y, test))
    groups = {} if groups is None else {"groups": some_of(np.asarray(groups), train)}
    if before is not None:
        before = clone(before)
        X_train, X_test = before.fit_transform(X_train, y_train), before.transform(X_test)

    def right(estimator, **metadata):
        labels = estimator.fit(X_train, y_train, **metadata).predict(X_test)
        return np.ravel(labels) == y_test  # those of CatBoost are a column

    fitted = clone(ensemble)
    found = {ENSEMBLE: right(fitted, **groups)}
    with allow_few_rows_per_class(), silent("lbfgs failed to converge"):
        blocks = distinct_blocks(fitted.experts_)
        logistic = _logistic_regression(X_train, y_train, blocks, **groups)
        found[LOGISTIC] = right(logistic)
    alone = {
        f"{backbone}{_ALONE}": right(clone(ensemble).set_params(blocks=blocks), **groups)
        for backbone, blocks in _blocks_of_each(fitted).items()
    }
    found |= alone
    prompts = next((expert.head for expert in fitted.experts_ if expert.is_zero_shot), None)
    if prompts is not None:
        plain = {"head": "zero-shot", "router": "uniform", "calibrate": False}
        texts = {"class_names": prompts.class_names, "templates": prompts.templates}
        found[PROMPTS] = right(clone(ensemble).set_params(**plain, **texts), **groups)
    if alone and len(alone) == len(_backbones_of(fitted)):
        found[ORACLE] = np.any(list(alone.values()), axis=0)
    return found | {
        name: right(clone(one), **taken_of(groups, one)) for name, one in baselines.items()
    }


def _logistic_regression(X, y, blocks, groups=None):
    """Return a logistic regression whose C is searched.

    Columns are standardised if only some belong to a backbone, since others may have any unit.
    """
    columns = embeddings_beside_others(blocks, np.shape(X)[1])
    one = LogisticRegression(C=10, max_iter=1000)
    if np.unique(y, return_counts=True)[1].min() > 1:
        options = {"every_class": True, "random_state": 0, "images": columns}
        if folds := few_shot_folds(y, 3, groups=groups, X=X, **options):
            one = GridSearchCV(one, _STRENGTHS, cv=folds)
    return one if columns is None else make_pipeline(StandardScaler(), one)


def _backbones_of(ensemble):
    """Return the backbones of an ensemble's blocks."""
    blocks = distinct_blocks(ensemble.experts_)
    return list(dict.fromkeys(block.backbone for block in blocks if block.backbone))


def _blocks_of_each(ensemble):
    """Return the value of ``blocks`` for each backbone: its own blocks and those of no backbone.

    Backbones that a head does not fit are left out. Empty if there is one backbone, or if `head`
    sets the columns of an expert, which may belong to other backbones.
    """
    if any(columns is not None for *_, columns in named_heads(ensemble.head)):
        return {}
    backbones = _backbones_of(ensemble)
    if len(backbones) < 2:
        return {}
    blocks = distinct_blocks(ensemble.experts_)
    of_each = {
        backbone: [one for one in blocks if one.backbone in (None, backbone)]
        for backbone in backbones
    }
    return {
        backbone: [(one.name, one.columns) for one in some]
        for backbone, some in of_each.items()
        if head_without_block(ensemble.head, some) is None
    }


def _in_order(found):
    """Return the names of all classifiers, since steps may keep other backbones in each split."""
    places = {ENSEMBLE: 0, LOGISTIC: 1, PROMPTS: 3, ORACLE: 4}
    names = dict.fromkeys(name for of_split in found for name in of_split)
    return sorted(names, key=lambda name: places.get(name, 2 if name.endswith(_ALONE) else 5))


def _summary(found, splits, units):
    """Return accuracies and gains of classifiers, given their correct test rows in each split.

    `units` has the number of the group of each row, which intervals resample.
    """
    import pandas as pd

    rows = {}
    for name in _in_order(found):
        there = [i for i, of_split in enumerate(found) if name in of_split]
        accuracies = [found[i][name].mean() for i in there]
        std = np.std(accuracies, ddof=1) if len(accuracies) > 1 else np.nan
        gain = (np.nan,) * 3
        if name != ENSEMBLE:
            tests = [units[splits[i][1]] for i in there]
            ours, theirs = ([found[i][one] for i in there] for one in (ENSEMBLE, name))
            tested = [np.ones(len(test)) for test in tests]
            totals = (_totals(tests, values, units) for values in (ours, theirs, tested))
            gain = paired_interval(*totals)
        rows[name] = [np.mean(accuracies), std, *gain]
    return pd.DataFrame.from_dict(
        rows, orient="index", columns=["accuracy", "std", "gain", "low", "high"]
    )


def _totals(tests, values, units):
    """Return the sums of values of test rows for each split and unit."""
    return [np.bincount(*one, minlength=units.max() + 1) for one in zip(tests, values, strict=True)]

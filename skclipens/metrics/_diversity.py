"""Metrics of the diversity of experts, and of the accuracy of an oracle."""

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from .._utils._docstrings import fill_doc
from .._utils._labels import column_of_labels
from .._utils._sample_arguments import warn_of_other_order
from .._utils._warnings import each_warning_once, warn
from .._utils._weights_and_groups import check_weights
from ._checks import (
    check_combined,
    check_correct,
    check_expert_names,
    check_predictions,
    square_frame,
)


@fill_doc
def oracle_accuracy_score(y_true, predictions, *, sample_weight=None):
    """Accuracy of an oracle, which is right for a row if any expert is.

    No choice of one expert per row can be more accurate [1]_. A combination of logits can be, since
    it can be right for a row for which no expert is.

    Parameters
    ----------
    %(y_and_predictions)s
    %(weights_of_rows)s

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If the numbers of rows differ, a label is missing, or only one of the inputs holds strings.

    Warns
    -----
    %(warns_of_labels)s

    See Also
    --------
    headroom_closed_score : How far a classifier gets from the best expert to the oracle.
    permuted_oracle_accuracy_score : How much of it would be luck.
    correct_sets : Which experts are right together.

    References
    ----------
    %(paper)s

    Examples
    --------
    >>> from skclipens.metrics import oracle_accuracy_score
    >>> y_true = ["cat", "dog", "dog", "cat"]
    >>> predictions = [["cat", "dog"], ["cat", "dog"], ["cat", "cat"], ["cat", "cat"]]
    >>> oracle_accuracy_score(y_true, predictions)
    0.75

    The predictions of the experts of an ensemble:

    >>> from sklearn.datasets import load_iris
    >>> from skclipens import AdaptiveBackboneEnsemble
    >>> X, y = load_iris(return_X_y=True)
    >>> blocks = [("sepal", slice(0, 2)), ("petal", slice(2, 4))]
    >>> clf = AdaptiveBackboneEnsemble(blocks, head="linear", random_state=0).fit(X, y)
    >>> predictions = clf.classes_[clf.expert_proba(X).argmax(axis=2)]
    >>> round(oracle_accuracy_score(y, predictions), 2)
    0.98
    """
    correct, sample_weight = check_correct(y_true, predictions, sample_weight)
    return float(np.average(correct.any(axis=1), weights=sample_weight))


@fill_doc
def permuted_oracle_accuracy_score(y_true, predictions, *, sample_weight=None):
    """Accuracy that an oracle would have by chance, as the mean over all permutations.

    An oracle is right for a row if any expert is, also by chance: if five experts guess
    independently among ten classes, its accuracy is 1 - 0.9**5 = 0.41. The rows of `predictions`
    are permuted, but not `y_true`. This is the oracle of experts that make the same predictions,
    but for other rows: its accuracy is due only to experts predicting several labels for a row. The
    mean over permutations is computed exactly, without random numbers.

    Parameters
    ----------
    %(y_and_predictions)s
    %(weights_of_rows)s

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If the numbers of rows differ, a label is missing, or only one of the inputs holds strings.

    Warns
    -----
    %(warns_of_labels)s

    See Also
    --------
    oracle_accuracy_score : The oracle itself.

    Examples
    --------
    >>> from skclipens.metrics import oracle_accuracy_score, permuted_oracle_accuracy_score
    >>> y_true = [0, 0, 1, 1]
    >>> predictions = [[0, 1], [1, 0], [1, 0], [0, 1]]  # one of the two is always right
    >>> oracle_accuracy_score(y_true, predictions)
    1.0
    >>> permuted_oracle_accuracy_score(y_true, predictions)
    1.0
    """
    _, weight = check_correct(y_true, predictions, sample_weight)
    predictions = check_predictions(predictions)
    labels, codes = np.unique(column_of_labels(y_true, name="y_true"), return_inverse=True)
    shares = np.bincount(codes, weight) / np.bincount(codes, weight).sum()
    named = [np.average((predictions == one).any(axis=1), weights=weight) for one in labels]
    return float(min(np.dot(named, shares), 1))  # the shares are rounded


@each_warning_once()
@fill_doc
def headroom_closed_score(y_true, predictions, y_pred, *, sample_weight=None):
    """Share of the gap between the best expert and the oracle that a classifier closes.

    It is (accuracy of `y_pred` - accuracy of the best expert) / (accuracy of the oracle - accuracy
    of the best expert): 0 for the best expert, 1 for the oracle. It is negative if the classifier
    is worse than the best expert. It can be above 1, since a classifier can be right for rows for
    which no expert is. The best expert is chosen on the same rows, so its accuracy is optimistic.

    Parameters
    ----------
    %(y_and_predictions)s
    y_pred : array-like of shape (n,)
        Labels that the classifier predicts.
    %(weights_of_rows)s

    Returns
    -------
    float
        Higher is better. NaN if the oracle is no better than the best expert, so that there is no
        gap.

    Raises
    ------
    ValueError
        If the numbers of rows differ, a label is missing, or only some of the inputs hold strings.

    Warns
    -----
    %(warns_of_labels)s
    UndefinedMetricWarning
        If the oracle is no better than the best expert.

    See Also
    --------
    oracle_accuracy_score : Accuracy of the oracle.

    Examples
    --------
    >>> from skclipens.metrics import headroom_closed_score
    >>> y_true = [0, 1, 2, 3]
    >>> predictions = [[0, 1], [1, 0], [1, 2], [0, 3]]  # accuracies 0.5, oracle 1
    >>> headroom_closed_score(y_true, predictions, y_pred=[0, 1, 2, 3])
    1.0
    >>> headroom_closed_score(y_true, predictions, y_pred=[0, 0, 0, 0])
    -0.5
    """
    correct, right, weight = check_combined(y_true, predictions, y_pred, sample_weight)
    oracle = correct.any(axis=1, keepdims=True)
    counted = slice(None) if weight is None else weight > 0
    if (correct == oracle)[counted].all(axis=0).any():
        warn(
            "The oracle is no better than the best expert, so no headroom can be closed; the "
            "score is NaN.",
            UndefinedMetricWarning,
        )
        return float("nan")
    accuracy, best, most = (
        np.average(columns, axis=0, weights=weight).max() for columns in (right, correct, oracle)
    )
    return float((accuracy - best) / (most - best))


@fill_doc
def correct_sets(y_true, predictions, *, expert_names=None, sample_weight=None):
    """Number of rows that are classified correctly by each set of experts, and by no others.

    Each expert has a set of rows that it classifies correctly. These are the sizes of the regions
    of the Venn diagram of these sets, in the form that tools for UpSet plots [1]_ read.

    Parameters
    ----------
    %(y_and_predictions)s
    %(names_of_experts)s
    %(weights_of_rows)s

    Returns
    -------
    pandas.Series of int, with a MultiIndex of E levels of bool
        One count for each combination of experts, the largest first. In the index, an expert is
        True if it is right for these rows. Combinations without rows are left out, except that in
        which no expert is right. The counts sum to n. With `sample_weight` they are sums of
        weights, as float, and rows of weight 0 are ignored.

    Raises
    ------
    ValueError
        If the numbers of rows differ, a label is missing, only one of the inputs holds strings, or
        expert_names are not distinct.

    Warns
    -----
    %(warns_of_labels)s

    See Also
    --------
    skclipens.inspection.CorrectSetsDisplay : A plot of them.

    References
    ----------
    .. [1] Lex et al., "UpSet: Visualization of Intersecting Sets", IEEE Transactions on
       Visualization and Computer Graphics, 2014.

    Examples
    --------
    >>> from skclipens.metrics import correct_sets
    >>> y_true = [0, 1, 2, 3, 4]
    >>> predictions = [[0, 1], [1, 0], [1, 2], [0, 3], [4, 4]]
    >>> correct_sets(y_true, predictions, expert_names=["RN50", "ViT-B-32"])
    RN50   ViT-B-32
    False  True        2
    True   False       2
           True        1
    False  False       0
    Name: count, dtype: int64
    """
    import pandas as pd

    names = check_expert_names(predictions, expert_names)
    correct, weight = check_correct(y_true, predictions, sample_weight)
    if weight is not None:
        correct, weight = correct[weight > 0], weight[weight > 0]
    regions, codes = np.unique(correct, axis=0, return_inverse=True)
    counts = np.bincount(codes.ravel(), weight)
    if regions[0].any():  # no row has the empty set: add it with a count of 0
        regions = np.insert(regions, 0, False, axis=0)
        counts = np.insert(counts, 0, 0)
    index = pd.MultiIndex.from_arrays(regions.T, names=names)
    return pd.Series(counts, index, name="count").sort_values(ascending=False, kind="stable")


@fill_doc
def disagreement_matrix(predictions, *, expert_names=None, sample_weight=None):
    """Share of rows for which two experts predict different labels.

    It is the disagreement measure of diversity [1]_, applied to labels instead of to whether they
    are right: two experts that predict different wrong labels disagree, too.

    Parameters
    ----------
    predictions : array-like of shape (n, E)
        Labels that each of E experts predicts for each row.
    %(names_of_experts)s
    %(weights_of_rows)s

    Returns
    -------
    pandas.DataFrame of shape (E, E)
        Shares between 0 and 1, symmetric, with zeros on the diagonal. Rows and columns have the
        names of the experts.

    Raises
    ------
    ValueError
        If a prediction is missing, or expert_names are not distinct.

    See Also
    --------
    oracle_accuracy_score : How often any expert is right.

    Notes
    -----
    Whether experts err on the same rows is the correlation of their correctness:
    ``pandas.DataFrame(predictions == y_true[:, None]).corr()``.

    References
    ----------
    .. [1] Kuncheva and Whitaker, "Measures of Diversity in Classifier Ensembles and Their
       Relationship with the Ensemble Accuracy", Machine Learning, 2003.

    Examples
    --------
    >>> from skclipens.metrics import disagreement_matrix
    >>> disagreement_matrix([[0, 1], [1, 1], [2, 0], [2, 2]], expert_names=["RN50", "ViT-B-32"])
              RN50  ViT-B-32
    RN50       0.0       0.5
    ViT-B-32   0.5       0.0
    """
    warn_of_other_order(predictions, name_of_X="predictions", sample_weight=sample_weight)
    names = check_expert_names(predictions, expert_names)
    predictions = check_predictions(predictions)
    weight = check_weights(sample_weight, len(predictions))
    columns = (predictions[:, [e]] for e in range(len(names)))
    return square_frame(
        [np.average(predictions != column, axis=0, weights=weight) for column in columns], names
    )

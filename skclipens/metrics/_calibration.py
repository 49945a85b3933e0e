"""The expected calibration error, and the bins for it."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from .._mistakes._predictions import warn_of_chance, warn_of_exchanged
from .._utils._column_names import names_of_columns
from .._utils._docstrings import fill_doc
from .._utils._messages import listed
from .._utils._missing import without_mask
from .._utils._one_column import refuse_no_column
from .._utils._probabilities import PROBABILITY
from .._utils._sample_arguments import is_default, warn_of_other_order
from .._utils._sklearn import Interval, StrOptions, validate_params
from .._utils._tables import FLOATS
from .._utils._weights_and_groups import check_weights
from ._checks import check_truth, matches

_IN_ORDER = "Look at what true labels are called, and whether labels has the order of the columns."
_PROBA = {"ensure_2d": False, "input_name": "y_proba"}
check_bins = validate_params(
    {
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "strategy": [StrOptions({"uniform", "quantile"})],
    },
    prefer_skip_nested_validation=True,
)


@check_bins
@fill_doc
def expected_calibration_error(
    y_true, y_proba, *, labels=None, n_bins=15, strategy="uniform", sample_weight=None
):
    """Mean gap between the confidence and the accuracy of predicted labels.

    Rows are put into bins by their largest probability, the confidence. With the n_b rows, mean
    confidence and accuracy of each bin b, this is the sum over bins of
    n_b / n * abs(confidence - accuracy); Section 2 of [1]_. The value depends on the bins, and is
    biased upwards if bins have few rows. So only compare values on the same rows and with the same
    bins.

    Parameters
    ----------
    %(y_and_proba)s
    labels : array-like of shape (C,), default=None
        Labels of the columns of `y_proba`, such as the ``classes_`` of a classifier. None: the
        sorted labels of `y_true`.
    %(bins)s
    %(weights_of_rows)s

    Returns
    -------
    float
        Between 0 and 1; lower is better.

    Raises
    ------
    ValueError
        If shapes do not fit together, rows of `y_proba` are not probabilities, `labels` has a label
        twice, or a row has no label.

    Warns
    -----
    SuspectedMistakeWarning
        If nearly all rows would be right with labels exchanged, for example because `labels` are
        not in the order of the columns; or if the accuracy is that of guessing although
        probabilities are high.

    See Also
    --------
    skclipens.inspection.ReliabilityDisplay : A plot of the bins.

    References
    ----------
    .. [1] Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.

    Examples
    --------
    >>> from skclipens.metrics import expected_calibration_error
    >>> y_true = ["cat", "cat", "dog", "dog"]
    >>> y_proba = [[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]
    >>> round(expected_calibration_error(y_true, y_proba), 3)
    0.15
    """
    confidence, accuracy, share = top_label_bins(
        y_true, y_proba, labels, n_bins, strategy, sample_weight
    )
    return float(share @ np.abs(confidence - accuracy))


def top_label_bins(y_true, y_proba, labels, n_bins, strategy, sample_weight, rejected=()):
    """Return the mean confidence, accuracy and share of rows of each bin that is not empty.

    `rejected` are true labels of rows of none of the classes. These are left out, since the
    probabilities are given that a row belongs to a class.
    """
    given = {"y_true": y_true, "sample_weight": sample_weight}
    warn_of_other_order(y_proba, name_of_X="y_proba", **given)
    y_true = check_truth(y_true, [-1] if labels is None else labels, rejected)
    is_named = not is_default(getattr(y_proba, "columns", None))
    columns = names_of_columns(y_proba) if is_named else None
    y_proba = _check_proba(y_proba)
    check_consistent_length(y_true, y_proba)
    are_given = labels is not None
    if are_given:
        refuse_no_column(labels, "labels", of="column of y_proba")
    labels = column_or_1d(labels) if are_given else np.unique(y_true)
    _check_columns(labels, y_proba.shape[1])
    _refuse_other_labels(columns, labels.tolist(), are_given)
    weight = check_weights(sample_weight, len(y_true))
    weight = np.ones(len(y_true)) if weight is None else weight
    of_classes = ~np.isin(y_true, rejected)
    if not weight[of_classes].any():
        raise ValueError("No row of y has a label of the classes.")
    y_true, y_proba, weight = (one[of_classes] for one in (y_true, y_proba, weight))
    predicted = labels[y_proba.argmax(axis=1)]
    correct, warned = matches(y_true, predicted[:, None])
    confidence = y_proba.max(axis=1)
    if not warned and not warn_of_exchanged(y_true, predicted, _IN_ORDER):
        warn_of_chance(y_true, predicted, np.isin(y_true, labels), lambda: confidence)
    edges = _edges(confidence, n_bins, strategy, weight)
    # Intervals are open to the left, as in Guo et al.
    # Compared in float32, so that rounding does not move confidences on an edge, such as 3 of 10.
    bins = np.searchsorted(*(one.astype(np.float32) for one in (edges, confidence)), side="left")

    def totals(values):
        return np.bincount(bins, weights=values, minlength=len(edges) + 1)

    total = totals(weight)
    used = total > 0
    confidence, accuracy = (
        totals(weight * values)[used] / total[used] for values in (confidence, correct[:, 0])
    )
    return confidence, accuracy, total[used] / total.sum()


def _check_columns(labels, n_columns):
    """Raise ValueError unless there is one distinct label for each column of ``y_proba``."""
    if len(labels) != n_columns:
        raise ValueError(
            f"y_proba has {n_columns} columns for {len(labels)} labels; pass the labels of its "
            "columns, such as classes_, as labels."
        )
    distinct, counts = np.unique(labels, return_counts=True)
    if counts.max() > 1:
        twice = distinct.tolist()[counts.argmax()]
        raise ValueError(
            f"labels has {twice!r} more than once. It names the class of each column of y_proba, "
            "as classes_ does; labels of rows are y_true."
        )


def _edges(confidence, n_bins, strategy, weight):
    """Return the inner edges of the bins."""
    inner = np.arange(1, n_bins) / n_bins
    if strategy == "uniform":
        return inner
    return np.quantile(confidence, inner, weights=weight, method="inverted_cdf")


def _refuse_other_labels(columns, labels, are_given):
    """Raise ValueError if names of columns are the labels in another order, or partly others.

    If the labels are given, some columns may have other names.
    """
    if columns is None:
        return
    names, of_name = columns, {label: label for label in labels}
    are_texts = all(isinstance(name, str) for name in columns)
    if are_texts:
        names = [name.removeprefix(PROBABILITY) for name in columns]
        of_name = {str(label): label for label in labels}
    if set(names) == set(of_name) and names != list(of_name):
        raise ValueError(
            f"Columns of y_proba are {listed(columns)}, in another order than the labels: "
            f"{listed(labels)}. Pass labels in the order of the columns: "
            f"{listed([of_name[name] for name in names])}."
        )
    others = [name for name in names if name not in of_name]
    if are_texts and not are_given and 0 < len(others) < len(names):
        raise ValueError(
            f"y_proba has the column {listed(others)}, which is no label of y_true, beside columns "
            "that are. Pass the labels of all columns as labels, such as classes_."
        )


def _check_proba(y_proba):
    y_proba = check_array(
        without_mask(y_proba), dtype=None, ensure_all_finite=False, allow_nd=True, **_PROBA
    )
    first = y_proba[:1]
    value = first.ravel().tolist()[0] if first.size else 0.0
    if isinstance(value, str) or (first.ndim == 1 and not isinstance(value, float)):
        raise ValueError(
            f"y_proba holds labels, such as {value!r}, where probabilities are wanted: pass "
            "what predict_proba gives."
        )
    if np.ndim(y_proba) == 3:
        raise ValueError(
            f"y_proba has shape {np.shape(y_proba)}, as expert_proba gives it. Pass what "
            "predict_proba gives, or the probabilities of one expert, y_proba[:, e]."
        )
    y_proba = check_array(y_proba, dtype=FLOATS, ensure_all_finite="allow-nan", **_PROBA)
    if len(rows := np.flatnonzero(np.isnan(y_proba.sum(axis=-1) if y_proba.ndim > 1 else y_proba))):
        raise ValueError(
            f"y_proba has NaN in row {rows[0]}, as an image gets that cannot be read. Leave such "
            "rows out of y_proba and of y_true."
        )
    if y_proba.ndim == 1:
        y_proba = np.stack([1 - y_proba, y_proba], axis=1)
    wrong = (y_proba < 0).any(axis=1) | (np.abs(y_proba.sum(axis=1) - 1) > 1e-3)
    if wrong.any():
        raise ValueError(
            f"Row {wrong.argmax()} of y_proba is not a distribution: its values must be at least "
            "0 and sum to 1."
        )
    return y_proba

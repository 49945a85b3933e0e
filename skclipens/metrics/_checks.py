"""Checks of labels, predictions and weights that several metrics share."""

from numbers import Real

import numpy as np
from sklearn.utils import check_array, check_consistent_length

from .._mistakes._predictions import warn_of_exchanged
from .._utils._column_names import names_of_columns
from .._utils._labels import CHECK_SPELLING, column_of_labels, refuse_unlabeled
from .._utils._messages import listed
from .._utils._missing import is_missing, without_mask
from .._utils._one_column import refuse_no_column, without_string_dtype
from .._utils._sample_arguments import is_default, warn_of_other_order
from .._utils._warnings import warn
from .._utils._weights_and_groups import check_weights

_ENOUGH = 10  # so many rows are not all wrong by chance
_OF_POSITIONS = "Positions of classes become labels by classes_[positions]."


def check_correct(y_true, predictions, sample_weight=None, name="predictions", others=()):
    """Return whether each prediction is right, of shape (n, E), and the weights of rows or None.

    `name` is that of the argument with the predictions; `others` are predictions for the same rows.

    Warn if labels and predictions of at least ten rows seem to be numbered differently.
    """
    given = {"y_true": y_true, "sample_weight": sample_weight}
    warn_of_other_order(predictions, name_of_X=name, **given)
    predictions = check_predictions(predictions, name)
    y_true = check_truth(y_true, predictions, others)
    correct, warned = matches(y_true, predictions)
    if not warned:
        best = correct.mean(axis=0).argmax()
        warn_of_exchanged(y_true, predictions[:, best], _OF_POSITIONS)
    return correct, check_weights(sample_weight, len(y_true))


def check_combined(y_true, predictions, y_pred, sample_weight=None):
    """Return what `check_correct` does and, in between, which rows a combination gets right."""
    predictions = check_predictions(predictions)
    combined = column_of_labels(y_pred, name="y_pred", warn=True)[:, None]
    correct, sample_weight = check_correct(y_true, predictions, sample_weight, others=combined)
    warn_of_other_order(y_pred, name_of_X="y_pred", y_true=y_true)
    of_combined, _ = check_correct(y_true, combined, name="y_pred", others=predictions)
    return correct, of_combined, sample_weight


def matches(y_true, predictions):
    """Return whether each prediction is right, and whether a warning said that labels differ."""
    check_consistent_length(y_true, predictions)
    if _is_text(y_true) != _is_text(predictions):
        raise ValueError(
            f"y_true and the predicted labels must both be strings, or both not. {_OF_POSITIONS}"
        )
    _refuse_flags(y_true, predictions, "predictions")
    _refuse_flags(predictions, y_true, "y_true")
    correct = predictions == y_true[:, None]
    return correct, _warn_of_other_labels(y_true, predictions, correct)


def _refuse_flags(labels, flags, name):
    """Raise ValueError if labels are compared with True and False, and are not 0 and 1 alone."""
    if flags.dtype.kind == "b" and labels.dtype.kind != "b" and not np.isin(labels, [0, 1]).all():
        raise ValueError(
            f"{name} holds True and False, as of predictions == y_true, and the labels are others, "
            f"such as {labels[~np.isin(labels, [0, 1])].tolist()[0]!r}. Pass labels."
        )


def _warn_of_other_labels(y_true, predictions, correct):
    classes = np.unique(y_true)
    if len(classes) < 2 or len(y_true) < _ENOUGH:
        return False
    if not np.isin(classes, predictions).any():
        warn(
            f"No label of y_true, such as {classes.tolist()[0]!r}, is among the predictions, such "
            f"as {predictions.tolist()[0][0]!r}. {CHECK_SPELLING}"
        )
        return True
    if all(labels.dtype.kind in "iuf" for labels in (y_true, predictions)):
        ends = [(float(labels.min()), float(labels.max())) for labels in (y_true, predictions)]
        steps = np.subtract(*ends)
        moved = (predictions + steps[0] == y_true[:, None]).mean()
        if steps[0] == steps[1] and abs(steps[0]) == 1 and moved > correct.mean():
            warn(
                f"Labels of y_true begin at {ends[0][0]:g}, and predictions at {ends[1][0]:g}. "
                f"Counted from the same number, {moved:.0%} of them were right, in place of "
                f"{correct.mean():.0%}. {_OF_POSITIONS}"
            )
            return True
    return False


def check_truth(y_true, *predicted):
    """Return the true labels, of shape (n,), one for each row.

    A label that is predicted is none that is missing, also if it is -1 or "". Warn if some are -1,
    others are neither -1 nor 1, and no prediction is -1.
    """
    found = None if y_true is None else column_of_labels(y_true, name="y_true", warn=True)
    known = set().union(*map(_codes_among, predicted))
    refuse_unlabeled(y_true, name="y_true", classes=[-1, *known])
    is_minus = found == -1
    if is_minus.any() and -1 not in known and not np.isin(found, [-1, 1]).all():
        warn(
            f"y_true is -1 in {is_minus.sum()} of {len(found)} rows, and no prediction is, so "
            "these count as wrong. If -1 stands for no label, leave them out."
        )
    return found


def _codes_among(labels):
    """Return which of -1 and "", labels of rejected rows, are among labels."""
    labels = np.ravel(labels)
    if labels.dtype.kind in "biuf":
        return {-1} if (labels == -1).any() else set()
    return {one for one in labels.tolist() if isinstance(one, (str, Real)) and one in (-1, "")}


def check_predictions(predictions, name="predictions"):
    """Return the predicted labels, of shape (n, E), one for each row and expert.

    -1 or "", the label of rows that a classifier rejects, is allowed; among strings, -1 becomes "".
    """
    refuse_no_column(predictions, name, of="expert")
    if isinstance(predictions, (list, tuple)) and _are_of_experts(predictions):
        raise ValueError(
            f"{name} has an array for each expert, where one with a column for each is wanted, of "
            f"shape (n, E): np.column_stack({name})."
        )
    if np.ndim(predictions) == 3:
        raise ValueError(
            f"predictions has shape {np.shape(predictions)}, as expert_proba gives it. Pass labels "
            "of shape (n, E): classes_[proba.argmax(axis=2)]."
        )
    if np.ndim(predictions) == 1 and len(predictions):
        raise ValueError(
            f"predictions has shape {np.shape(predictions)}, where a column for each expert is "
            "wanted, (n, E). Look at the order of the arguments. np.reshape(predictions, (-1, 1)) "
            "makes a column of the labels of one expert."
        )
    given = without_string_dtype(without_mask(predictions))
    predictions = _without_codes(check_array(given, dtype=None, input_name=name), given)
    if predictions.dtype.kind == "f":
        wrong = predictions != np.floor(predictions)
        advice = (
            "Pass labels, as predict gives them. Probabilities of predict_proba become labels by "
            "classes_[proba.argmax(axis=1)]."
        )
    elif predictions.dtype.kind in "OUT":
        labels = predictions.ravel().tolist()
        wrong = [is_missing(label) and not isinstance(label, str) for label in labels]
        wrong = np.array(wrong).reshape(predictions.shape)
        advice = f"Leave such rows out of {name} and of y_true."
    else:
        return predictions
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        value = predictions[row].tolist()[column]
        place = f"row {row}" + f", column {column}" * (name == "predictions")
        raise ValueError(f"{name} has {value!r} in {place}, which is no label. {advice}")
    return predictions


def _are_of_experts(arrays):
    """Return whether the arrays of a list are of experts, not of rows: the rows are more."""
    are_arrays = all(hasattr(one, "dtype") and np.ndim(one) == 1 for one in arrays)
    return are_arrays and len(arrays) > 0 and len(arrays[0]) > len(arrays)


def _without_codes(predictions, given):
    """Return predictions with "" for -1, a rejected row, among strings.

    Raise ValueError if other numbers are among strings.
    """
    if isinstance(given, (list, tuple)) and predictions.dtype.kind == "U":
        predictions = np.array(given, dtype=object)  # numpy made strings of the numbers
    if predictions.dtype.kind != "O":
        return predictions
    first = {}
    for place, label in np.ndenumerate(predictions):
        if not is_missing(label) and (isinstance(label, str) or label != -1):
            first.setdefault(isinstance(label, str), (label, *place))
    if len(first) > 1:
        named = " and ".join(f"{v!r} in row {r}, column {c}" for v, r, c in first.values())
        raise ValueError(
            f"predictions has {named}: labels are all strings, or none is. {_OF_POSITIONS}"
        )
    if True not in first:
        return predictions
    codes = [isinstance(label, Real) and label == -1 for label in predictions.ravel().tolist()]
    return np.where(np.reshape(codes, predictions.shape), "", predictions)


def _is_text(labels):
    if labels.dtype.kind != "O":
        return labels.dtype.kind in "UT"
    return any(isinstance(label, str) for label in labels.flat)


def check_expert_names(predictions, names):
    n_experts = np.shape(predictions)[-1] if np.ndim(predictions) == 2 else 1
    columns = names_of_columns(predictions)
    is_named = not is_default(getattr(predictions, "columns", None))
    if names is None:
        names = columns or [f"expert{e}" for e in range(n_experts)]
    refuse_no_column(names, "expert_names", of="column")
    names = list(names)
    if len(names) != n_experts or len(set(names)) < len(names):
        raise ValueError(
            f"expert_names must be {n_experts} distinct names, one for each column; "
            f"got {', '.join(map(str, names))}."
        )
    if is_named and columns and columns != names and set(columns) == set(names):
        raise ValueError(
            f"Columns of the table are {listed(columns)}, and expert_names has them in another "
            f"order: {listed(names)}. Leave expert_names out."
        )
    return names


def square_frame(matrix, names):
    import pandas as pd

    return pd.DataFrame(matrix, index=names, columns=names)

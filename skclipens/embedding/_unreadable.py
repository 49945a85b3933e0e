"""Unreadable images: the rows of NaN that an embedder leaves for them."""

import numpy as np

from .._utils._labels import column_of_labels, unlabeled_rows
from .._utils._messages import listed
from .._utils._probabilities import labels_and_proba
from .._utils._sklearn import safe_indexing
from .._utils._warnings import warn, without_warnings
from ..exceptions import ImageError
from ..images import load_image
from ..images._containers import row_named
from ..images._pillow_warnings import recorded

_KEYS_OF_ONES = "another length than in fit", "unlike those of fit"
_SCORES = ("predict_proba", "predict_log_proba", "decision_function")
_NAN_AMONG_SCORES = (
    "get NaN (leave them out before a meta-estimator gets them: what it fits to NaN, such as a "
    "threshold or a calibration, is wrong for all images, and the largest score is still a label)"
)
_NO_LABEL = "get None, which metrics refuse (set unreadable_label, or use score)"


def unreadable_rows(table):
    """Return which rows of an array or frame are NaN; none if it is no table of floats."""
    table = np.asarray(table)
    if table.ndim != 2 or table.dtype.kind != "f":
        return np.zeros(table.shape[:1], bool)
    return np.isnan(table).all(axis=1)


def readable(values, unreadable):
    """Return the values, without unreadable rows in those that have one entry per row."""
    if not unreadable.any():
        return values
    rows, n = np.flatnonzero(~unreadable), len(unreadable)
    have_rows = [hasattr(value, "__len__") and len(value) == n for value in values]
    return [
        safe_indexing(value, rows) if has_rows else value
        for value, has_rows in zip(values, have_rows, strict=True)
    ]


def fill_unreadable(table, unreadable):
    """Return a copy with unreadable rows replaced by a readable row, or by ones if there is none.

    A row has no influence on the predictions of others.
    """
    if unreadable.all():
        return filled(table, unreadable, 1)
    rows = np.where(unreadable, np.argmin(unreadable), np.arange(len(unreadable)))
    found = safe_indexing(table, rows)
    if hasattr(found, "set_axis"):
        found = found.set_axis(table.index)
    return found


def answers_for_all(answer, table, unreadable):
    """Return the results of a function for a table; those of unreadable rows mean nothing."""
    if not unreadable.any():
        return answer(table)
    with without_warnings(*_KEYS_OF_ONES if unreadable.all() else ()):
        return answer(fill_unreadable(table, unreadable))


def what_unreadable_get(method, label):
    """Return what a classifier answers for unreadable images, for :func:`warn_of_unreadable`.

    `method` is the name of the method that is called, and `label` what ``predict`` returns for
    them.
    """
    if method == "predict":
        return _NO_LABEL if label is None else f"get the label {label!r}"
    return _NAN_AMONG_SCORES if method in _SCORES else "get NaN"


def filled(table, rows, value):
    """Return a copy of a table, or of each in a list or tuple, with a value in some rows."""
    if isinstance(table, (list, tuple)):  # probabilities of several outputs; a mean and its spread
        return type(table)(filled(one, rows, value) for one in table)
    if hasattr(table, "clone"):  # of polars
        return type(table)(filled(table.to_numpy(), rows, value), list(table.columns))
    table = table.copy()
    table[rows] = value
    return table


def put_in(answers, rows, values):
    """Replace some rows of results, or of each in a list or tuple of them."""
    if isinstance(answers, (list, tuple)):
        for of_output, some in zip(answers, values, strict=True):
            put_in(of_output, rows, some)
    else:
        answers[rows] = values


def labels_and_proba_among(unreadable, classifier, table):
    """Return labels, None if unreadable, and probabilities, NaN if unreadable or there are none.

    Labels are of dtype object if a row is unreadable.
    """
    labels = np.full(len(unreadable), None, object)
    proba = np.full((len(unreadable), len(classifier.classes_)), np.nan)
    if unreadable.all():
        return labels, proba
    (rest,) = readable([table], unreadable)
    predicted, likely = labels_and_proba(classifier, rest)
    labels[~unreadable] = predicted
    proba[~unreadable] = np.nan if likely is None else likely
    return labels if unreadable.any() else predicted, proba


def refuse_splits(pipeline, unreadable):
    """Raise ValueError if a ``cv`` of the steps is a list of splits and images are left out.

    The positions in these splits would be those of other images.
    """
    n, n_unreadable = len(unreadable), np.count_nonzero(unreadable)
    for name, cv in pipeline.get_params().items() if n_unreadable else ():
        is_cv = name.endswith("__cv") and not isinstance(cv, str)
        if is_cv and are_splits(cv):
            raise ValueError(
                f"{name} holds splits of all {n} rows, but {n_unreadable} images "
                "cannot be read and are left out. Give a splitter, such as StratifiedKFold(5), or "
                "leave these images out of X and y, and their rows out of these splits."
            )


def are_splits(cv):
    """Return whether a ``cv`` holds positions of rows: splits, or a PredefinedSplit."""
    return hasattr(cv, "test_fold") or (np.iterable(cv) and not hasattr(cv, "split"))


def warn_of_unreadable(unreadable, what, images, all_may_be=False, labels=None):
    """Warn of images that cannot be read, and of classes that have no other image.

    In the message, `what` says what happens to them. Raise ImageError if none can be read, unless
    `all_may_be` is true.
    """
    rows = np.flatnonzero(unreadable).tolist()
    if not rows:
        return
    named = listed(rows, write=lambda row: row_named(row, images)) + _reason(rows, images)
    if len(rows) == len(unreadable) and not all_may_be:
        raise ImageError(f"None of the {len(unreadable)} images can be read: {named}.")
    lost = classes_lost(unreadable, labels)
    more = f" No other image shows {listed(lost)}, of which nothing is learned." if lost else ""
    warn(
        f"{len(rows)} of {len(unreadable)} images cannot be read and {what}: {named}.{more}",
        UserWarning,
    )


def _reason(rows, images):
    """Return why the first of some images cannot be read, by reading it again."""
    try:
        if images is not None:
            with recorded():
                load_image(images[rows[0]])
    except ImageError as error:
        return f". Row {rows[0]}: {str(getattr(error, 'reason', error)).rstrip('.')}"
    return ""


def classes_lost(unreadable, labels):
    """Return the classes of which no image can be read; none if there are no such labels."""
    if labels is None or np.size(labels) != len(unreadable):  # an image has several labels
        return []
    labels = column_of_labels(labels)
    labeled = ~unlabeled_rows(labels, signs_are_classes=True)
    return np.setdiff1d(labels[unreadable & labeled], labels[~unreadable & labeled]).tolist()

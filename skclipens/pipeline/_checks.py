"""Checks of a pipeline and its input, nearly all of them before any image is read."""

import re
from contextlib import suppress
from inspect import signature

import numpy as np
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils.metadata_routing import process_routing

from .._mistakes._row_order import warn_of_text_order
from .._utils._labels import (
    check_classes,
    column_of_labels,
    refuse_paths_as_labels,
    refuse_unlabeled,
    unlabeled_rows,
)
from .._utils._messages import listed
from .._utils._metadata import METADATA
from .._utils._missing import is_missing
from .._utils._one_column import refuse_no_column
from .._utils._sample_arguments import check_lengths, warn_of_other_order
from .._utils._sklearn import check_parameters, routing_enabled, safe_indexing
from .._utils._warnings import silent, warn
from ..embedding._base import BaseEmbedder
from ..embedding._image_columns import (
    image_columns,
    may_leave_out,
    refuse_missing_in_later,
)
from ..heads import names_of_classes
from ..images._collections import paths_of
from ..images._file_names import warn_of_named_files
from ..images._views import are_same_mirrored, resolve_views

_SIDE = re.compile(r"(?<![^\W_])(left|right)(?![^\W_])", re.IGNORECASE)  # no part of a word


def check_before_images(pipeline, X, y, params):
    """Raise the errors of ``fit`` that can be found without images, and prepare the steps.

    `params` are those of ``sklearn.pipeline.Pipeline.fit``.
    """
    pipeline._validate_params()
    pipeline._validate_steps()
    for _, step in pipeline.steps:
        check_parameters(step)
    _check_submodels(pipeline)
    transformers = pipeline._transformers()
    _name_columns(pipeline)
    last, for_last = pipeline._final_estimator, _params_of_last(pipeline, X, y, params)
    columns = image_columns(pipeline.steps[0][1], X)
    if columns:
        _check_images(columns, X, y, {name: for_last.get(name) for name in METADATA})
    if isinstance(last, str):  # "passthrough"
        return
    if hasattr(last, "_check_before_fit"):
        last._check_before_fit(_columns_before_fit(transformers), y, **for_last)
    elif is_classifier(last) and _is_plain(last):
        _refuse_no_labels(y)
    if is_regressor(last) and y is not None:
        _refuse_no_amounts(y)
    for column in columns:
        warn_of_other_names(pipeline, column.images, y)
    if not is_classifier(pipeline):
        return
    for column in columns:
        if column.embedder.views is not None:
            names = getattr(last, "class_names", None)
            warn_of_mirrored_classes(column.embedder, _classes_in(y), names)
    if pipeline._after_embedder() is not None:
        pipeline._check_unreadable_label(_classes_in(y))


def _check_submodels(pipeline):
    """Raise ValueError if no row may lack images that a submodel would do without."""
    first = pipeline.steps[0][1]
    if pipeline.submodels and not (isinstance(first, ColumnTransformer) and may_leave_out(first)):
        raise ValueError(
            "submodels=True is for a ColumnTransformer as the first step, with an embedder in it "
            "that has on_error='nan', as make_table_pipeline makes it. Set on_error='nan', or "
            "leave submodels out."
        )
    if pipeline.submodels and len(first.transformers) == 1 and first.remainder == "drop":
        raise ValueError(
            "submodels=True predicts rows without a picture by other columns, and there are none. "
            "Name them, or leave submodels out."
        )


def _check_images(columns, X, y, metadata):
    """Check columns of images, and labels, weights and groups of their rows."""
    for column in columns:
        clone(column.embedder).fit(column.given)  # only checks parameters and the form
    refuse_paths_as_labels(y)
    for name, values in {"y": y, **metadata}.items():
        refuse_no_column(values, name)
    check_lengths(columns[0].images, y=y, **metadata)
    warn_of_other_order(X, y=y, **metadata)
    refuse_missing_in_later(columns)
    for column in columns:
        warn_of_text_order(column.images if isinstance(column.images, list) else (), y)


def warn_of_other_names(pipeline, images, y):
    """Warn if files among images say other classes than y does."""
    if y is not None and is_classifier(pipeline):
        class_names = getattr(pipeline._final_estimator, "class_names", None)
        warn_of_named_files(paths_of(images), y, class_names)


def warn_of_lost_index(step, X):
    """Warn of transformers of a fitted ColumnTransformer that do not keep the index of the rows."""
    if not isinstance(step, ColumnTransformer) or not hasattr(X, "iloc") or len(X) < 2:
        return
    rows = X.iloc[[1, 0]]
    for name, transformer, columns in step.transformers_:
        if isinstance(transformer, (str, BaseEmbedder)):
            continue
        found = None
        with suppress(Exception), silent(""):  # it may need more rows
            found = transformer.transform(safe_indexing(rows, columns, axis=1))
        if hasattr(found, "iloc") and found.index.tolist() != rows.index.tolist():
            warn(
                f"Transformer {name!r} does not keep the index of the rows, by which pandas joins "
                "its columns to the others: with an index such as that of shuffled rows, they go "
                "to other rows. Let it return frames with the index of those that it gets."
            )


def _refuse_no_amounts(y):
    """Raise ValueError if a value to predict is text, missing or infinite; names its row."""
    with suppress(TypeError, ValueError):  # much faster than one by one
        if np.isfinite(np.asarray(y, dtype=float)).all():
            return
    for row, values in enumerate(np.asarray(y, dtype=object)):
        for value in np.ravel(values).tolist():
            try:
                is_amount = np.isfinite(float(value))
            except (TypeError, ValueError):
                is_amount = False
            if not is_amount:
                raise ValueError(
                    f"y has {value!r} in row {row}, where the last step, a regressor, needs a "
                    "number. Convert or fill it, or leave the row out; for labels, take a "
                    "classifier."
                )


def _is_plain(estimator):
    """Return whether an estimator, and all in it, are of scikit-learn and need labels."""
    inner = [one for one in estimator.get_params().values() if hasattr(one, "get_params")]
    return all(
        type(one).__module__.startswith("sklearn.")
        and not isinstance(one, SelfTrainingClassifier)  # which takes -1 among strings
        for one in (estimator, *inner)
    )


def _refuse_no_labels(y):
    """Raise ValueError if there is one label for each row, and some are missing or are amounts.

    Here -1 may be a label, also one that stands for none, and so may "".
    """
    if y is None or np.ndim(y) > 1 or hasattr(y, "columns"):
        return
    y = column_of_labels(y)
    labels = {label for label in y.tolist() if not is_missing(label) or isinstance(label, str)}
    refuse_unlabeled(y, classes=list(labels))
    check_classes(y)


def _classes_in(y):
    """Return the classes in labels, or None; -1 may be a class or no label, and is left out."""
    y = np.asarray(y) if hasattr(y, "dtypes") else y
    if y is None or np.ndim(y) > 1:  # of several outputs
        return None
    y = column_of_labels(y)
    labels = y[~unlabeled_rows(y)].tolist()
    return np.unique(labels) if labels else None


def _name_columns(pipeline):
    """Set the output of the embedder and later steps to frames; earlier steps return images."""
    transformers = pipeline._transformers()
    steps = [*transformers, pipeline._final_estimator]
    embedders = [i for i, step in enumerate(steps) if isinstance(step, BaseEmbedder)]
    for step in transformers[embedders[0] if embedders else 0 :]:
        if hasattr(step, "set_output"):
            step.set_output(transform="pandas")


def _params_of_last(pipeline, X, y, params):
    """Return the parameters for the fit of the last step."""
    name, last = pipeline.steps[-1]
    if routing_enabled():
        routed = process_routing(pipeline, "fit", **params)
        return {} if last in (None, "passthrough") else dict(routed[name]["fit"])
    prefix = f"{name}__"
    taken = {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}
    if taken and last in (None, "passthrough"):
        raise TypeError(f"The last step passes through, and takes no {listed(taken)}.")
    try:
        if taken:
            signature(last.fit).bind(X, y, **taken)
    except TypeError as error:
        raise TypeError(f"The fit of {type(last).__name__}: {error}.") from None
    return taken


def _columns_before_fit(transformers):
    """Return the names of the columns of the last step, or None if they depend on data."""
    names = None
    for step in transformers:
        try:
            names = step.get_feature_names_out(names)
        except (AttributeError, ValueError):  # NotFittedError is both
            if isinstance(step, BaseEmbedder):
                raise
            names = None
    return names


def warn_of_mirrored_classes(embedder, classes, class_names):
    """Warn if views embed a mirrored picture like the picture, and classes differ in that alone.

    `classes` are the sorted labels, or None. Numbers without `class_names` are not tested.
    """
    views = resolve_views(embedder.views)
    if classes is None or embedder.keep_plain or not are_same_mirrored(views):
        return
    names = ()
    with silent("Classes"), suppress(ValueError):
        names = names_of_classes(classes, class_names)
    if pair := _differ_in_side(names):
        warn(
            f"Classes {pair[0]!r} and {pair[1]!r} differ in left and right alone, and "
            f"views={embedder.views!r} gives a picture and its mirror image the same embedding. "
            "Leave views out, or set keep_plain=True, which keeps the picture alone beside."
        )


def _differ_in_side(names):
    """Return two names that differ in the words left and right only, or None."""
    first = {}
    for name in names:
        sides = [side.lower() for side in _SIDE.findall(name)]
        rest = " ".join(_SIDE.sub("*", name.lower()).replace("_", " ").split())
        other, its_sides = first.setdefault(rest, (name, sides))
        if its_sides != sides:
            return other, name
    return None

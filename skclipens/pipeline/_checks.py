"""Checks of a pipeline and its input before any image is read."""

from inspect import signature

from sklearn.base import clone
from sklearn.utils import check_consistent_length
from sklearn.utils.metadata_routing import process_routing

from .._mistakes._row_order import warn_of_text_order
from .._utils._labels import refuse_paths_as_labels
from .._utils._metadata import METADATA
from .._utils._sklearn import routing_enabled
from ..embedding._base import BaseEmbedder
from ..images import as_image_list


def check_before_images(pipeline, X, y, params):
    """Raise the errors of ``fit`` that can be found without images, and prepare the steps.

    Parameters
    ----------
    pipeline : BackbonePipeline
    X : collection of n images
    y : array-like of shape (n,) or None
    params : dict
        Parameters of ``sklearn.pipeline.Pipeline.fit``.
    """
    pipeline._validate_params()
    pipeline._validate_steps()
    for _, step in pipeline.steps:
        if hasattr(step, "_parameter_constraints"):
            step._validate_params()
    transformers = pipeline._transformers()
    _name_columns(transformers)
    last, for_last = pipeline._final_estimator, _params_of_last(pipeline, X, y, params)
    if (images := images_of(pipeline, X)) is not None:
        clone(pipeline.steps[0][1]).fit(X)  # an embedder learns nothing
        refuse_paths_as_labels(y)
        check_consistent_length(images, y, *map(for_last.get, METADATA))
        warn_of_text_order(images if isinstance(images, list) else (), y)
    if hasattr(last, "_check_before_fit"):
        last._check_before_fit(_columns_before_fit(transformers), y, **for_last)


def images_of(pipeline, X):
    """Return X as images if the first step embeds it, otherwise None."""
    return as_image_list(X) if isinstance(pipeline.steps[0][1], BaseEmbedder) else None


def _name_columns(transformers):
    """Set the output of the embedder and later steps to frames; earlier steps return images."""
    embedders = [i for i, step in enumerate(transformers) if isinstance(step, BaseEmbedder)]
    for step in transformers[embedders[0] if embedders else 0 :]:
        if hasattr(step, "set_output"):
            step.set_output(transform="pandas")


def _params_of_last(pipeline, X, y, params):
    """Return the parameters for the fit of the last step."""
    name, last = pipeline.steps[-1]
    if routing_enabled():
        return dict(process_routing(pipeline, "fit", **params)[name]["fit"])
    prefix = f"{name}__"
    taken = {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}
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

"""Save and load the models of the commands."""

from pathlib import Path
from zipfile import is_zipfile

import joblib
import numpy as np
from sklearn.compose import ColumnTransformer

from ..embedding._image_columns import embedders_in, named_columns
from ..embedding._keys import image_keys
from ..pipeline import BackbonePipeline
from ._outputs import beside


def save_model(model, path, pictures):
    """Write a fitted pipeline, with the device, cache and verbosity of this run reset.

    A hash of each picture that it was fitted on is added, for :func:`count_fitted`.
    """
    model[-1]._fitted_on = np.unique(_digests(pictures))
    with beside(path) as file:
        joblib.dump(with_parameters(model, verbose=False, cache=False, device="auto"), file)


def load_model(path, **parameters):
    """Read a fitted pipeline, and set parameters of its steps.

    Raise FileNotFoundError if there is no such file, and ValueError if it has neither a
    :class:`~skclipens.pipeline.BackbonePipeline` of images nor a search over one.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"There is no model {path!r}. Check the path.")
    try:
        model = joblib.load(path)
    except Exception as error:  # pickle raises many kinds of errors on other files
        if is_zipfile(path):
            raise ValueError(
                f"{path!r} is no file of joblib. If it is one of skops, load it in Python, and "
                "write what it holds by joblib.dump."
            ) from error
        reason = str(error) or type(error).__name__
        raise ValueError(
            f"{path!r} is no model that skclipens fit has made, or a part of one: {reason}"
        ) from error
    model = getattr(model, "best_estimator_", model)  # of a search
    if not isinstance(model, BackbonePipeline):
        raise ValueError(
            f"{path!r} holds an object of type {type(model).__name__}, not a BackbonePipeline. "
            "Save one that make_backbone_pipeline or make_table_pipeline makes, or fit "
            "BackbonePipeline(STEPS) with the steps of yours."
        )
    if isinstance(model[0], ColumnTransformer) and not image_names(model):
        raise ValueError(
            f"{path!r} classifies rows of a table, of which no column of pictures has a name: "
            "an embedder must be a transformer of the ColumnTransformer, with names of columns."
        )
    return with_parameters(model, **parameters)


def image_names(model):
    """Return the columns of pictures of a model of tables; none of a model of pictures alone."""
    if not isinstance(model[0], ColumnTransformer):
        return []
    columns = named_columns(model[0])
    return [name for one in embedders_in(model[0]) for name in columns.get(one, ())]


def count_fitted(model, pictures):
    """Return how many of the pictures a model was fitted on; 0 if it has no record of them."""
    known = getattr(model[-1], "_fitted_on", [])
    return int(np.isin(_digests(pictures), known).sum()) if len(known) else 0


def _digests(pictures):
    """Return a hash of the content of each picture; unreadable ones have none."""
    keys = [key for key in image_keys(list(pictures)) if key is not None]
    return np.array([int.from_bytes(key[-8:]) for key in keys], np.uint64)


def with_parameters(model, **parameters):
    """Set parameters of the steps and heads that have them, except parameters that are None.

    Of a ColumnTransformer, those of its embedders.
    """
    for _, step in model.steps:
        embedders = [
            *embedders_in(step).values(),
            *embedders_in(step, fitted=False).values(),
        ]
        heads = (expert.head for expert in getattr(step, "experts_", ()))
        for one in (*(embedders or [step]), *heads):
            known = one.get_params(deep=False)
            given = {k: v for k, v in parameters.items() if k in known and v is not None}
            one.set_params(**given)
    for one in model.submodels_:
        with_parameters(one.model, **parameters)
    return model

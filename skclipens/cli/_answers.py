"""What a model says of images, each of which is embedded once."""

import numpy as np
import pandas as pd

from .._utils._answers import labels_and_proba, require_classes
from .._utils._warnings import silent
from ..embedding._gaps import readable, table_and_gaps, warn_of_gaps
from ._files import PROBABILITY, names_of


def answers(model, files):
    """A frame of path, label and one probability per class; empty for what cannot be read.

    Probabilities are only there where the last step of the model has ``predict_proba``.
    """
    last = model[-1]
    require_classes(last)
    table, gaps = embedded(model, files)
    warn_of_gaps(gaps, "have no label", files, all_may_be=True)
    labels = np.full(len(files), None, object)
    proba = np.full((len(files), len(last.classes_)), np.nan)
    if not gaps.all():
        (table,) = readable([table], gaps)
        labels[~gaps], of_classes = labels_and_proba(last, table)
        proba[~gaps] = np.nan if of_classes is None else of_classes
    frame = pd.DataFrame({"path": names_of(files), "label": labels})
    if hasattr(last, "predict_proba"):
        frame[[f"{PROBABILITY}{label}" for label in last.classes_]] = proba
    return frame


def embedded(model, files):
    """What the last step of a pipeline takes, and which images cannot be read.

    Returns
    -------
    table : array or frame of n rows
    gaps : ndarray of shape (n,), bool
    """
    with silent(r"\d+ of \d+ images cannot be read"):
        return table_and_gaps(model[:-1] if len(model) > 1 else None, files)

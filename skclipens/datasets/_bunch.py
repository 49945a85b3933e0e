"""Shared parts of the loaders: choose classes and build the return value."""

from numbers import Integral
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch, check_scalar


def read_description(name):
    """Read the text that a dataset returns as ``DESCR``."""
    return (Path(__file__).parent / "descr" / f"{name}.rst").read_text("utf-8")


def has_large_class(labels, min_class_size):
    """Return which samples belong to a class with at least `min_class_size` members.

    Raise ValueError if that is below 1, or so large that no class is left.
    """
    check_scalar(min_class_size, "min_class_size", Integral, min_val=1)
    _, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    mask = counts[index] >= min_class_size
    if not mask.any():
        raise ValueError(
            f"No class has min_class_size={min_class_size} pictures; "
            f"the largest has {counts.max(initial=0)}."
        )
    return mask


def make_dataset(filenames, labels, columns, *, return_X_y, as_frame):
    """Build the return value of a loader, like those of scikit-learn.

    The sorted order of the labels, which are names, numbers the classes. `columns` are further
    columns of the frame.
    """
    import pandas as pd

    target_names, target = np.unique(labels, return_inverse=True)
    if return_X_y and not as_frame:
        return filenames, labels
    frame = pd.DataFrame({"path": filenames, **columns, "label": labels, "target": target})
    if return_X_y:
        return frame[["path"]], frame["label"]
    return Bunch(
        filenames=filenames,
        target=frame["target"] if as_frame else target,
        target_names=target_names,
        frame=frame,
    )

"""A column of images: its name, and one where a table is wanted."""

import os
import re

import numpy as np
from sklearn.utils.validation import validate_data

from ._warnings import silent

_LONGEST = 80  # of what a message quotes
_PATH = re.compile(r"[/\\].*\.(?:png|jpe?g|webp|gif|bmp|tiff?|hei[cf]|avif)$", re.IGNORECASE)


def check_column(estimator, X, *, reset):
    """Note the name of a frame's column of images, or compare it with the one that is noted.

    Parameters
    ----------
    estimator : estimator
        With `reset`, its ``n_features_in_`` is set, and ``feature_names_in_`` where X has names.
    X : collection of n images
    reset : bool

    Raises
    ------
    ValueError
        If X has another name than the one that is noted.
    """
    if reset:
        estimator.n_features_in_ = 1
    if reset or hasattr(estimator, "feature_names_in_"):
        with silent("X does not have valid feature names"):  # as lists and Series have none
            validate_data(estimator, X, reset=reset, skip_check_array=True, ensure_2d=False)


def refuse_images(X):
    """Raise ValueError if X is a column of images or of their names, and not of numbers.

    Parameters
    ----------
    X : array-like
        Only its first value is looked at.
    """
    first = _first_of_column(X)
    first = first.item() if isinstance(first, np.generic) else first  # prints without its type
    is_image = type(first).__module__.startswith("PIL.")
    if is_image or (isinstance(first, (str, bytes, os.PathLike)) and not _reads_as_number(first)):
        text = repr(first)
        text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
        raise ValueError(
            f"X holds images or their names, such as {text}, where a table of numbers is wanted: "
            "the step that embeds them is missing. make_backbone_pipeline('zoo') puts one before "
            "the ensemble; by hand, it is MultiBackboneEmbedder('zoo').fit_transform(X)."
        )


def refuse_paths_as_labels(y, name="y"):
    """Raise ValueError if labels are paths of images, nearly each another one.

    Parameters
    ----------
    y : array-like of shape (n,)
    name : str
        What the labels are called.
    """
    first = _first_of_column(y)
    if not _is_path(first):
        return
    labels = np.asarray(y, dtype=object).ravel().tolist()
    if len(labels) > 1 and all(map(_is_path, labels)) and 10 * len(set(labels)) > 9 * len(labels):
        raise ValueError(
            f"{name} holds paths of images, such as {str(first)!r}, and not labels. "
            "train_test_split returns X_train, X_test, y_train, y_test, in this order."
        )


def _is_path(label):
    return isinstance(label, (str, os.PathLike)) and _PATH.search(str(label)) is not None


def _first_of_column(X):
    """The first value of what has one value for each row, or None."""
    if hasattr(X, "iloc"):
        X = X.iloc[:1].to_numpy()
    first = _first(X)
    return _first(first) if _is_sequence(first) and len(first) == 1 else first


def _first(X):
    return X[0] if _is_sequence(X) and len(X) else None


def _is_sequence(X):
    return isinstance(X, (list, tuple)) or (isinstance(X, np.ndarray) and X.ndim > 0)


def _reads_as_number(text):
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True

"""Checks of what routers are given."""

import numpy as np
from sklearn.utils import check_array

from ..._utils._labels import column_of_labels
from ..._utils._tables import FLOATS


def check_routed(X, logits, *, finite=False, reads=False):
    """Return X and the logits of experts as arrays.

    X may be None unless the router `reads` it; otherwise only its shape is checked. Raise
    ValueError if a shape is another one, values are not finite though they must be, or X is read
    and no table of numbers.
    """
    if np.ndim(logits) != 3:
        raise ValueError(
            f"logits has shape {np.shape(logits)}. Routers take the logits of E experts, of shape "
            "(n, E, C): np.stack(logits_of_experts, axis=1) makes it of a list of (n, C)."
        )
    logits = check_array(
        logits,
        dtype=FLOATS,
        allow_nd=True,
        ensure_all_finite=finite,
        ensure_min_samples=0,
        input_name="logits",
    )
    if X is None and not reads:
        return X, logits
    if X is None:
        raise ValueError("This router reads X: pass the table of all columns, (n, n_features).")
    X = np.asarray(X)
    if X.ndim != 2 or len(X) != len(logits):
        raise ValueError(
            f"X has shape {X.shape}, and logits {logits.shape}. Both have the same n rows: "
            "(n, n_features) and (n, E, C)."
        )
    if reads:
        options = {"dtype": FLOATS, "ensure_all_finite": finite, "ensure_min_samples": 0}
        X = check_array(X, **options, input_name="X")
    return X, logits


def check_targets(y, logits):
    """Return the positions of the true classes as an array of integers, (n,).

    Raise ValueError if they are not integers from 0 to C - 1, one for each row of logits, or C is
    1.
    """
    n, _, n_classes = logits.shape
    if n_classes < 2:
        raise ValueError(f"logits has shape {logits.shape}, of one class. Routers need two.")
    y = column_of_labels(y, warn=True)
    if len(y) != n:
        raise ValueError(f"y has {len(y)} rows, and logits has {n}.")
    wrong = np.ones(n, bool)
    if y.dtype.kind in "iu":
        wrong = (y < 0) | (y >= n_classes)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"y holds {y.tolist()[row]!r} in row {row}. Routers take positions of classes, "
            f"integers from 0 to {n_classes - 1}: np.searchsorted(classes, labels) gives them."
        )
    return y


def check_prior_weights(prior_weights, n_experts):
    """Return prior weights as an array of floats, (E,); raise ValueError if they are none."""
    found = np.asarray(prior_weights, dtype=float)
    if found.shape != (n_experts,) or not np.isfinite(found).all():
        raise ValueError(
            f"prior_weights must be {n_experts} finite numbers, one for each expert; got "
            f"{prior_weights!r}."
        )
    return found

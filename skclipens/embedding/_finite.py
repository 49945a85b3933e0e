"""Check that the features of a backbone are finite."""

import numpy as np


def check_finite(features, name, precision):
    """Raise ValueError if features are not finite: a classifier would predict all the same."""
    if np.isfinite(features).all():
        return
    advice = "Its weights are damaged, or its training diverged: take others."
    if precision == "fp16":
        advice = "Its numbers may be too large for it: set precision='bf16' or 'fp32'."
    raise ValueError(
        f"{name!r} gives features that are NaN or infinite with precision={precision!r}. {advice}"
    )

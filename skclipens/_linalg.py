"""Arithmetic that several modules share."""

import numpy as np


def unit_rows(X):
    """Rows of X scaled to unit Euclidean length; zero rows stay."""
    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    return X / np.where(lengths > 0, lengths, 1)

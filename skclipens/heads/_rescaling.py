"""Rescale blocks of columns that are not embeddings to the variance of embeddings."""

from typing import NamedTuple

import numpy as np

# Relative to the mean. Sums of float64 are not rounded as a whole, but at each of millions of rows.
_ROUNDING = {"float32": 4 * np.finfo(np.float32).eps, "float64": 1e-10}


class Rescaling(NamedTuple):
    """Blocks of columns, and the total variance to which each is scaled.

    Attributes
    ----------
    blocks : tuple of ndarray of int
        Positions of the columns of each block. If it is empty, no columns are scaled.
    variance : float
        The sum of the variances of the scaled columns of a block.
    """

    blocks: tuple = ()
    variance: float = 1.0

    def scales(self, totals, centre, dtype):
        """Return the factors by which columns are multiplied, (n_features,).

        `totals` are the total variances of the blocks. A block whose variance is zero, up to
        rounding, is not scaled. `centre` is the mean of all rows.
        """
        scales, rounding = np.ones_like(centre), _ROUNDING[np.dtype(dtype).name]
        for columns, total in zip(self.blocks, totals, strict=True):
            if np.sqrt(total) > rounding * np.linalg.norm(centre[columns]):
                scales[columns] = np.sqrt(self.variance / total)
        return scales

"""Blocks of columns that are no embeddings, on the scale of embeddings."""

from typing import NamedTuple

import numpy as np

_ROUNDING = 4 * np.finfo(np.float32).eps


class Rescaling(NamedTuple):
    """Blocks of columns, and the total variance that each of them gets.

    Attributes
    ----------
    blocks : tuple of ndarray of int
        Positions of the columns of each block. No columns are scaled where there are none.
    variance : float
        The sum of the variances of the columns of a block, once it is scaled.
    """

    blocks: tuple = ()
    variance: float = 1.0

    def scales(self, totals, centre):
        """What columns are multiplied by.

        Parameters
        ----------
        totals : sequence of float
            Total variances of the blocks. Those that are zero, up to rounding, stay as they are.
        centre : ndarray of shape (n_features,)
            Mean of all rows.

        Returns
        -------
        ndarray of shape (n_features,)
        """
        scales = np.ones_like(centre)
        for columns, total in zip(self.blocks, totals, strict=True):
            if np.sqrt(total) > _ROUNDING * np.linalg.norm(centre[columns]):
                scales[columns] = np.sqrt(self.variance / total)
        return scales

"""What a training step sees."""

from typing import NamedTuple

import torch


class Batch(NamedTuple):
    """Images, and what is said of them.

    Parameters
    ----------
    images : Tensor of shape (n, 3, size, size)
    captions : list of n str
        What each shows.
    general : list of str
        What several of them have in common.
    of_general : Tensor of shape (n,)
        Which of `general` is said of each image; -1 for none.
    """

    images: torch.Tensor
    captions: list
    general: list
    of_general: torch.Tensor

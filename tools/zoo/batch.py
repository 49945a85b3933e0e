"""A batch of a training step."""

from typing import NamedTuple

import torch


class Batch(NamedTuple):
    """Images and their captions.

    Parameters
    ----------
    images : Tensor of shape (n, 3, size, size)
    captions : list of n str
        The caption of each image.
    general : list of str
        Captions that several images share.
    of_general : Tensor of shape (n,)
        Position in `general` of the caption of each image; -1 for none.
    """

    images: torch.Tensor
    captions: list
    general: list
    of_general: torch.Tensor

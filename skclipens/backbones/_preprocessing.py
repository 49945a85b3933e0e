"""open_clip's preprocessing of a model: resizing by Pillow, scaling in torch."""

from itertools import takewhile

import numpy as np
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from torchvision.transforms import Compose, ToTensor


def make_resize(config):
    """The part of open_clip's preprocessing that comes before pixels become numbers.

    Parameters
    ----------
    config : dict
        Preprocessing of a model, as in ``LoadedBackbone.preprocess_config``.

    Returns
    -------
    callable
        From a PIL image of any size to one of the model's size, by Pillow's resampling.
    """
    steps = image_transform_v2(PreprocessCfg(**config), is_train=False).transforms
    return Compose(list(takewhile(lambda step: not isinstance(step, ToTensor), steps)))


def resize_key(config):
    """What two preprocessings have in common if they resize alike."""
    rest = {key: value for key, value in config.items() if key not in ("size", "mean", "std")}
    return (*np.broadcast_to(config["size"], 2).tolist(), *sorted(rest.items()))


def scaling(config):
    """Mean and standard deviation of the channels."""
    return [tuple(np.broadcast_to(config[key], 3).tolist()) for key in ("mean", "std")]


def scale_pixels(pixels, mean, std):
    """What ToTensor and Normalize of torchvision do, on a whole batch and in their order."""
    mean, std = (torch.tensor(x, device=pixels.device)[:, None, None] for x in (mean, std))
    return pixels.float().div_(255).sub_(mean).div_(std)

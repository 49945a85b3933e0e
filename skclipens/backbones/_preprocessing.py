"""Preprocessing of a model as in open_clip or timm: resizing by Pillow, scaling in torch."""

from itertools import takewhile

import numpy as np
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from timm.data import create_transform
from torchvision.transforms import Compose, ToTensor


def make_resize(config):
    """The part of a model's preprocessing that comes before pixels become numbers.

    Parameters
    ----------
    config : dict
        Preprocessing of a model, as in ``LoadedBackbone.preprocess_config``.

    Returns
    -------
    callable
        From a PIL image of any size to one of the model's size, by Pillow's resampling.
    """
    if "crop_pct" in config:  # only timm has it
        steps = create_transform(input_size=(3, *config["size"]), **_but(config, "size")).transforms
    else:
        steps = image_transform_v2(PreprocessCfg(**config), is_train=False).transforms
    return Compose(list(takewhile(lambda step: not isinstance(step, ToTensor), steps)))


def resize_key(config):
    """What two preprocessings have in common if they resize alike."""
    # timm fills a border with the mean.
    colours = ["std"] if config.get("crop_mode") == "border" else ["mean", "std"]
    rest = _but(config, "size", *colours)
    return (*np.broadcast_to(config["size"], 2).tolist(), *sorted(rest.items()))


def scaling(config):
    """Mean and standard deviation of the channels."""
    return [tuple(np.broadcast_to(config[key], 3).tolist()) for key in ("mean", "std")]


def scale_pixels(pixels, mean, std):
    """What ToTensor and Normalize of torchvision do, on a whole batch and in their order."""
    mean, std = (torch.tensor(x, device=pixels.device)[:, None, None] for x in (mean, std))
    return pixels.float().div_(255).sub_(mean).div_(std)


def _but(config, *keys):
    return {key: value for key, value in config.items() if key not in keys}

"""Preprocessing of a model as in open_clip or timm: resizing by Pillow, scaling in torch."""

import json
from functools import lru_cache
from itertools import takewhile

import numpy as np
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from timm.data import create_transform
from torchvision.transforms import Normalize, ToTensor
from torchvision.transforms.functional import pil_modes_mapping

from ..images._errors import image_error
from ..images._views import WHOLE, box_in_pixels, crop

_ELONGATED = 200  # times as long as wide; models that crop see less


class Resize:
    """The part of a model's preprocessing before ``ToTensor``: resizing and cropping.

    Parameters
    ----------
    config : dict
        Preprocessing of a model, as in ``LoadedBackbone.preprocess_config``.
    box : tuple of 4 float, default=(0, 0, 1, 1)
        The part of a picture that is resized; see :class:`skclipens.images.View`.
    """

    def __init__(self, config, box=WHOLE):
        self.box = box
        self._steps = list(takewhile(lambda step: not isinstance(step, ToTensor), _steps(config)))
        step = next(one for one in self._steps if "Resize" in type(one).__name__)
        self._resample = pil_modes_mapping[step.interpolation]
        # Whether the longer side is cropped. Steps of open_clip and timm express it by a number.
        longest = getattr(step, "longest", None)
        self._cuts = isinstance(step.size, int) if longest is None else longest == 0
        # Pillow takes nearest pixels in mode "1", so finding the size costs next to nothing.
        self._target = lru_cache(1024)(lambda size: step(Image.new("1", size)).size)

    def __call__(self, picture):
        """Return a picture as a PIL image of the model's size.

        A picture that was decoded at a fraction of its size is cropped and resized by the size of
        the whole. Its own sides are rounded, and could shift the result by a pixel. Raise
        ImageError if it is too elongated, such as 3000 x 1 pixels for a model that does not crop.
        """
        pixels = picture.pixels
        left, top, right, bottom = edges = self._seen(*box_in_pixels(self.box, picture.size))
        if picture.reduction == 1:
            pixels = crop(pixels, edges)
        else:
            size = self._target((right - left, bottom - top))
            pixels = pixels.resize(size, self._resample, box=picture.reduced(edges))
        try:
            for step in self._steps:
                pixels = step(pixels)
        except (OverflowError, ValueError) as error:
            name, reason = f"picture of size {picture.size}", f"it cannot be resized: {error}"
            raise image_error(name, reason, "Drop the row.") from error
        return pixels

    def _seen(self, *edges):
        """Return the edges of an elongated part without the ends that are cropped anyway.

        Resizing the whole part would take gigabytes.
        """
        if not self._cuts:
            return edges
        left, top, right, bottom = edges
        most = _ELONGATED * min(right - left, bottom - top)
        x, y = (max(0, side - most) // 2 for side in (right - left, bottom - top))
        return left + x, top + y, right - x, bottom - y


def _steps(config):
    if "crop_pct" in config:  # only timm has it
        rest = _without(config, "size")
        return create_transform(input_size=(3, *config["size"]), **rest).transforms
    return image_transform_v2(PreprocessCfg(**config), is_train=False).transforms


def resized_side(config):
    """Return the longer side, in pixels, that pictures are resized to before the centre crop."""
    return max(np.broadcast_to(config["size"], 2)) / config.get("crop_pct", 1)


def resize_key(config):
    """Return a key that is equal for preprocessings that resize alike."""
    # timm fills a border with the mean.
    colours = ["std"] if config.get("crop_mode") == "border" else ["mean", "std"]
    rest = _without(config, "size", *colours)
    return (*np.broadcast_to(config["size"], 2).tolist(), json.dumps(rest, sort_keys=True))


def scaling(config):
    """Return the mean and standard deviation of the channels."""
    step = next(step for step in _steps(config) if isinstance(step, Normalize))
    return [tuple(np.broadcast_to(values, 3).tolist()) for values in (step.mean, step.std)]


def scale_pixels(pixels, mean, std):
    """Apply ToTensor and Normalize of torchvision to a whole batch, in their order."""
    options = {"device": pixels.device, "dtype": torch.float32}
    mean, std = (torch.tensor(x, **options)[:, None, None] for x in (mean, std))
    return pixels.float().div_(255).sub_(mean).div_(std)


def _without(config, *keys):
    return {key: value for key, value in config.items() if key not in keys}

"""Pictures through preprocessing and image towers: the only code that sees pixels and tensors."""

from contextlib import nullcontext
from functools import partial

import numpy as np
import open_clip
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2


class BatchEncoder:
    """Embed batches of decoded pictures with loaded backbones.

    Parameters
    ----------
    backbones : list of LoadedBackbone
    device : str
    precision : {"auto", "fp32", "bf16", "fp16"}
    normalize : bool
        Whether to scale each backbone's embedding to unit length.
    """

    def __init__(self, backbones, *, device, precision, normalize):
        self.backbones = backbones
        self.device = device
        self.normalize = normalize
        self.autocast = _autocast(device, precision)
        self.keys = [_preprocess_key(one.preprocess_config) for one in backbones]
        self.transforms = {
            key: image_transform_v2(PreprocessCfg(**dict(key)), is_train=False)
            for key in set(self.keys)
        }

    @torch.inference_mode()
    def __call__(self, pictures):
        """Embed pictures.

        Parameters
        ----------
        pictures : list of n PIL images, RGB

        Returns
        -------
        ndarray of shape (n, sum of widths), float32
        """
        ready = {
            key: torch.stack([transform(picture) for picture in pictures]).to(self.device)
            for key, transform in self.transforms.items()
        }
        with self.autocast:
            blocks = [
                backbone.model.encode_image(ready[key], normalize=False)
                for key, backbone in zip(self.keys, self.backbones, strict=True)
            ]
        blocks = [block.float() for block in blocks]
        if self.normalize:
            blocks = [torch.nn.functional.normalize(block, dim=-1) for block in blocks]
        return np.concatenate([block.cpu().numpy() for block in blocks], axis=1)


def _preprocess_key(config):
    """A preprocessing in one form: open_clip holds a square as one number or as two."""
    lengths = {"size": 2, "mean": 3, "std": 3}
    full = {key: tuple(np.broadcast_to(config[key], n).tolist()) for key, n in lengths.items()}
    return tuple(sorted((config | full).items()))


def _autocast(device, precision):
    kind = torch.device(device).type
    if precision == "auto":
        precision = "fp16" if kind == "cuda" else "fp32"
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(kind, torch.bfloat16 if precision == "bf16" else torch.float16)


@torch.inference_mode()
def encode_classes(backbone, class_names, templates):
    """Text features of classes, each the mean over its prompts.

    Parameters
    ----------
    backbone : LoadedBackbone
    class_names : sequence of C str
    templates : sequence of str
        Each with one ``{}`` for the name.

    Returns
    -------
    features : ndarray of shape (C, width), float32
        Unit rows.
    logit_scale : float
        What cosines are multiplied by to give logits.
    """
    # Replaced and not formatted: a brace elsewhere in a prompt is only a brace.
    prompts = [partial(template.replace, "{}") for template in templates]
    device = backbone.model.logit_scale.device
    weights = open_clip.build_zero_shot_classifier(
        backbone.model, backbone.tokenizer, list(class_names), prompts, device=device
    )
    return weights.T.float().cpu().numpy(), backbone.model.logit_scale.exp().item()

"""Projected and "pooled" features of image towers: after and before the last projection."""

import open_clip
import torch
from torch.nn.functional import scaled_dot_product_attention

from ._timm import width as timm_width


class BothFeatures(torch.nn.Module):
    """An image tower of open_clip that returns its features before and after the projection.

    Parameters
    ----------
    tower : torch.nn.Module
        With a projection; see :func:`projects`.
    name : str
        Name of the backbone, for errors.
    """

    def __init__(self, tower, name):
        super().__init__()
        self.tower = tower
        kinds = [kind for kind in _FORWARD if isinstance(tower, kind)]
        if not kinds:
            raise ValueError(
                f"{name!r} has projected features only, as nothing is known of image towers of the "
                f"class {type(tower).__name__}: set features='projected'."
            )
        self._forward = _FORWARD[kinds[0]]

    def forward(self, pixels):
        """Return the projected and pooled features of a batch of pixels."""
        return self._forward(self.tower, pixels)


def projects(config):
    """Return whether the image tower of an open_clip configuration ends in a projection."""
    vision = open_clip.CLIPVisionCfg(**config["vision_cfg"])
    attends = vision.timm_pool in ("abs_attn", "rot_attn")  # attention pooling projects
    return not vision.timm_model_name or attends or vision.timm_proj != "none"


def pooled_width(config):
    """Return the number of features before the projection of such a tower, without weights."""
    vision = open_clip.CLIPVisionCfg(**config["vision_cfg"])
    if vision.timm_model_name:
        return timm_width(vision.timm_model_name)
    if isinstance(vision.layers, (list, tuple)):
        return 32 * vision.width
    return config["embed_dim"] if vision.attentional_pool else vision.width


def _of_transformer(tower, pixels):
    pooled, _ = tower._pool(tower.transformer(tower._embeds(pixels)))
    return pooled @ tower.proj, pooled


def _of_resnet(tower, pixels):
    maps = tower.stem(pixels)
    for layer in (tower.layer1, tower.layer2, tower.layer3, tower.layer4):
        maps = layer(maps)
    pooled = _attended(tower.attnpool, maps)
    return tower.attnpool.c_proj(pooled), pooled


def _attended(pool, maps):
    """Return the unprojected output of attention pooling, with the mean as the only query."""
    tokens = maps.flatten(2).transpose(1, 2)
    tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1)
    tokens = tokens + pool.positional_embedding.to(tokens.dtype)
    query = pool.q_proj(tokens[:, 0])[:, None]  # of 2 axes: much faster in bfloat16 on a CPU
    query, key, value = (
        projected.unflatten(-1, (pool.num_heads, -1)).transpose(1, 2)
        for projected in (query, pool.k_proj(tokens), pool.v_proj(tokens))
    )
    return scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(1)


def _of_timm(tower, pixels):
    if len(tower.head):
        pooled = tower.trunk(pixels)
        return tower.head(pooled), pooled.mean(dim=(2, 3)) if pooled.ndim == 4 else pooled
    features = tower.trunk.forward_features(pixels)  # the classifier of timm is the projection
    pooled = tower.trunk.forward_head(features, pre_logits=True)
    return tower.trunk.forward_head(features), pooled


_FORWARD = {
    open_clip.transformer.VisionTransformer: _of_transformer,
    open_clip.modified_resnet.ModifiedResNet: _of_resnet,
    open_clip.timm_model.TimmModel: _of_timm,
}

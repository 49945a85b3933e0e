"""Kinds of features of image towers: after the last projection, before it, of an inner layer."""

from threading import get_ident

import open_clip
import torch
from torch.nn.functional import scaled_dot_product_attention

from ._timm import stages
from ._timm import width as timm_width


class SeveralFeatures(torch.nn.Module):
    """An image tower that returns several kinds of features from one forward pass.

    Parameters
    ----------
    tower : torch.nn.Module
        Image tower of open_clip, or a model of timm.
    name : str
        Name of the backbone, for errors.
    place : int or None
        Index of the layer that gives intermediate features; see :func:`intermediate_layer`.
    """

    def __init__(self, tower, name, place=None):
        super().__init__()
        self.tower = tower
        self.place = place
        kinds = [kind for kind in _FORWARD if isinstance(tower, kind)]
        if not kinds and not hasattr(tower, "feature_info"):
            raise ValueError(
                f"{name!r} has projected features only, as nothing is known of image towers of the "
                f"class {type(tower).__name__}: set features='projected'."
            )
        self._forward = _FORWARD[kinds[0]] if kinds else _of_timm_alone

    def forward(self, pixels):
        """Return a dict of the features of a batch of pixels by their kind."""
        return self._forward(self.tower, pixels, self.place)


def projects(config):
    """Return whether the image tower of an open_clip configuration ends in a projection."""
    vision = open_clip.CLIPVisionCfg(**config["vision_cfg"])
    attends = vision.timm_pool in ("abs_attn", "rot_attn")  # attention pooling projects
    return not vision.timm_model_name or attends or vision.timm_proj != "none"


def pooled_width(config):
    """Return the number of features before such a projection, if any, without weights."""
    if not projects(config):
        return config["embed_dim"]
    vision = open_clip.CLIPVisionCfg(**config["vision_cfg"])
    if vision.timm_model_name:
        return timm_width(vision.timm_model_name)
    if isinstance(vision.layers, (list, tuple)):
        return 32 * vision.width
    return config["embed_dim"] if vision.attentional_pool else vision.width


def intermediate_layer(backbone):
    """Return the index of the layer that gives intermediate features, and their number.

    It is the last stage but one of a tower with stages, and the block at three quarters of the
    depth of a vision transformer. No weights are needed.
    """
    if backbone.is_timm:
        return _intermediate_of_timm(backbone.architecture)
    vision = open_clip.CLIPVisionCfg(**backbone.config["vision_cfg"])
    if vision.timm_model_name:
        return _intermediate_of_timm(vision.timm_model_name)
    if isinstance(vision.layers, (list, tuple)):
        return len(vision.layers) - 2, 16 * vision.width
    return _at_three_quarters(vision.layers), vision.width


def _intermediate_of_timm(name):
    widths, reductions = stages(name)
    is_transformer = len(set(reductions)) == 1
    place = _at_three_quarters(len(widths)) if is_transformer else len(widths) - 2
    return place, widths[place]


def _at_three_quarters(n_blocks):
    return max(0, 3 * n_blocks // 4 - 1)


def _of_transformer(tower, pixels, place):
    tokens, found = tower._embeds(pixels), {}
    if place is None:
        tokens = tower.transformer(tokens)
    else:
        tokens, (inner,) = tower.transformer.forward_intermediates(tokens, indices=[place])
        found["intermediate"] = inner[:, 1:].mean(dim=1)  # without the class token
    pooled, _ = tower._pool(tokens)
    return found | {"projected": pooled @ tower.proj, "pooled": pooled}


def _of_resnet(tower, pixels, place):
    maps = tower.stem(pixels)
    found = {}
    for number, layer in enumerate((tower.layer1, tower.layer2, tower.layer3, tower.layer4)):
        maps = layer(maps)
        if number == place:
            found["intermediate"] = maps.mean(dim=(2, 3))
    pooled = _attended(tower.attnpool, maps)
    return found | {"projected": tower.attnpool.c_proj(pooled), "pooled": pooled}


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


def _of_timm(tower, pixels, place):
    features, found = _layers_of_timm(tower.trunk, pixels, place)
    if len(tower.head):
        pooled = tower.trunk.forward_head(features)
        found["projected"] = tower.head(pooled)
        return found | {"pooled": pooled.mean(dim=(2, 3)) if pooled.ndim == 4 else pooled}
    pooled = tower.trunk.forward_head(features, pre_logits=True)
    # The classifier of timm is the projection.
    return found | {"projected": tower.trunk.forward_head(features), "pooled": pooled}


def _of_timm_alone(trunk, pixels, place):
    features, found = _layers_of_timm(trunk, pixels, place)
    return found | {"projected": trunk.forward_head(features)}


def _layers_of_timm(trunk, pixels, place):
    """Return the features that a model of timm pools, and a dict of intermediate ones."""
    if place is None:
        return trunk.forward_features(pixels), {}
    if hasattr(trunk, "forward_intermediates"):
        features, maps = trunk.forward_intermediates(
            pixels, indices=[place], output_fmt="NCHW", stop_early=False
        )
    else:  # some models in older versions of timm
        features, maps = _with_output_of(trunk, trunk.feature_info[place]["module"], pixels)
    return features, {"intermediate": maps[-1].mean(dim=(2, 3))}


def _with_output_of(trunk, layer, pixels):
    """Return the features that a model of timm pools, and a list of the outputs of a layer."""
    maps, thread = [], get_ident()

    def keep(module, inputs, output):
        if get_ident() == thread:  # others may run the same model
            maps.append(output)

    hook = trunk.get_submodule(layer).register_forward_hook(keep)
    try:
        return trunk.forward_features(pixels), maps
    finally:
        hook.remove()


_FORWARD = {
    open_clip.transformer.VisionTransformer: _of_transformer,
    open_clip.modified_resnet.ModifiedResNet: _of_resnet,
    open_clip.timm_model.TimmModel: _of_timm,
}

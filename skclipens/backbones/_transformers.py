"""Weights by the names of transformers' ``CLIPModel``, which open_clip does not read."""

import re

_MARK = "vision_model.pre_layrnorm.weight"  # spelled so there, and in no other library
_NAMES = [  # in this order
    (r"^text_model\.embeddings\.token_embedding\.", "token_embedding."),
    (r"^text_model\.embeddings\.position_embedding\.weight$", "positional_embedding"),
    (r"^text_model\.final_layer_norm\.", "ln_final."),
    (r"^text_model\.encoder\.layers\.", "transformer.resblocks."),
    (r"^text_projection\.weight$", "text_projection"),
    (r"^vision_model\.embeddings\.class_embedding$", "visual.class_embedding"),
    (r"^vision_model\.embeddings\.patch_embedding\.", "visual.conv1."),
    (r"^vision_model\.embeddings\.position_embedding\.weight$", "visual.positional_embedding"),
    (r"^vision_model\.pre_layrnorm\.", "visual.ln_pre."),
    (r"^vision_model\.post_layernorm\.", "visual.ln_post."),
    (r"^vision_model\.encoder\.layers\.", "visual.transformer.resblocks."),
    (r"^visual_projection\.weight$", "visual.proj"),
    (r"\.layer_norm([12])\.", r".ln_\1."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
    (r"\.self_attn\.out_proj\.", ".attn.out_proj."),
    (r"\.self_attn\.q_proj\.", ".attn.in_proj_"),
]
_TRANSPOSED = ("text_projection.weight", "visual_projection.weight")
_LEFT_OUT = re.compile(r"position_ids$|\.self_attn\.[kv]_proj\.")


def is_of_transformers(names):
    """Return whether tensors have the names of transformers' ``CLIPModel``."""
    return _MARK in names


def from_transformers(state):
    """Return a state dict of transformers' ``CLIPModel`` as open_clip has it."""
    import torch

    found = {}
    for name, tensor in state.items():
        if _LEFT_OUT.search(name):
            continue
        if ".self_attn.q_proj." in name:  # open_clip has queries, keys and values in one tensor
            parts = [state[name.replace(".q_proj.", f".{part}_proj.")] for part in "qkv"]
            tensor = torch.cat(parts)
        found[_renamed(name)] = tensor.T.contiguous() if name in _TRANSPOSED else tensor
    return found


def _renamed(name):
    for pattern, new in _NAMES:
        name = re.sub(pattern, new, name)
    return name

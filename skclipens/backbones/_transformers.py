"""Configurations and weights of transformers' ``CLIPModel``, which open_clip does not read."""

import re
from math import isclose

TRANSFORMERS = "config.json"
PREPROCESSING = ("preprocessor_config.json", "processor_config.json")
# Defaults of CLIPTextConfig, CLIPVisionConfig and CLIPImageProcessor. Files may leave them out.
_OF_BOTH_TOWERS = {"num_hidden_layers": 12, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}
_TEXT = _OF_BOTH_TOWERS | {
    **{"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8},
    **{"max_position_embeddings": 77, "vocab_size": 49408},
}
_VISION = _OF_BOTH_TOWERS | {
    **{"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
    **{"image_size": 224, "patch_size": 32, "num_channels": 3},
}
_PROCESSOR = {
    **dict.fromkeys(("do_resize", "do_center_crop", "do_rescale", "do_normalize"), True),
    **{"size": 224, "crop_size": 224, "resample": 3, "rescale_factor": 1 / 255},
}
_INTERPOLATION = {2: "bilinear", 3: "bicubic"}  # numbers of Pillow
_QUICK_GELU = {"quick_gelu": True, "gelu": False}

_MARK = "vision_model.pre_layrnorm.weight"  # spelled so there, and in no other library
_NAMES = [  # what to replace, in this order
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


def as_of_open_clip(config, processor, file):
    """Return the configuration of transformers' ``CLIPModel`` as open_clip writes one.

    `config` is the content of ``config.json``, and `processor` has the settings of
    ``CLIPImageProcessor``; if it is None, ``preprocess_cfg`` is empty. Raise ValueError, which
    names the file, if it is another model than ``CLIPModel``, or has settings that open_clip lacks.
    """
    if config.get("model_type") != "clip":
        raise ValueError(
            f"{str(file)!r} describes no CLIPModel of transformers: its 'model_type' is "
            f"{config.get('model_type')!r}. Name a model of open_clip, which also has SigLIP and "
            "others, or a directory that CLIPModel.save_pretrained wrote."
        )
    text, vision = (_of_tower(config, name, file) for name in ("text", "vision"))
    if text["hidden_act"] != vision["hidden_act"]:
        raise _unsupported("hidden_act", (text["hidden_act"], vision["hidden_act"]), file)
    size = vision["image_size"]
    model = {
        "embed_dim": config.get("projection_dim", 512),
        "quick_gelu": _QUICK_GELU[text["hidden_act"]],
        "vision_cfg": _layers(vision)
        | {"head_width": vision["hidden_size"] // vision["num_attention_heads"]}
        | {"image_size": size, "patch_size": vision["patch_size"]},
        "text_cfg": _layers(text)
        | {"heads": text["num_attention_heads"], "vocab_size": text["vocab_size"]}
        | {"context_length": text["max_position_embeddings"]},
    }
    preprocessing = _preprocessing(processor, size, file) if processor else {}
    return {"model_cfg": model, "preprocess_cfg": preprocessing}


def _of_tower(config, name, file):
    """Return the settings of a tower, with defaults; older files have them in two places."""
    parts = [config.get(f"{name}_config"), config.get(f"{name}_config_dict")]
    found = _TEXT if name == "text" else _VISION
    for part in parts:
        found = found | (part or {})
    for key, usual in _VISION.items():
        value = found.get(key, usual)
        if (
            (key == "hidden_act" and value not in _QUICK_GELU)
            or (key in ("layer_norm_eps", "num_channels") and value != usual)
            or (isinstance(usual, int) and not (isinstance(value, int) and value > 0))
        ):
            raise _unsupported(key, value, file)
    return found


def _layers(tower):
    return {
        "width": tower["hidden_size"],
        "layers": tower["num_hidden_layers"],
        "mlp_ratio": tower["intermediate_size"] / tower["hidden_size"],
    }


def _preprocessing(processor, image_size, file):
    """Return ``preprocess_cfg`` for the settings of ``CLIPImageProcessor``."""
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    processor = _PROCESSOR | processor.get("image_processor", processor)
    for key in ("do_resize", "do_rescale", "do_normalize"):
        if not processor[key]:
            raise _unsupported(key, processor[key], file)
    if not isclose(processor["rescale_factor"], 1 / 255, rel_tol=1e-3):
        raise _unsupported("rescale_factor", processor["rescale_factor"], file)
    if processor["resample"] not in _INTERPOLATION:
        raise _unsupported("resample", processor["resample"], file)
    return {
        "mean": processor.get("image_mean", list(OPENAI_DATASET_MEAN)),
        "std": processor.get("image_std", list(OPENAI_DATASET_STD)),
        "size": image_size,
        "interpolation": _INTERPOLATION[processor["resample"]],
        "resize_mode": _resize_mode(processor, image_size, file),
    }


def _resize_mode(processor, image_size, file):
    """Return how a picture gets the size of the model, as open_clip names it."""
    size, crop = processor["size"], processor["crop_size"]
    shortest = size.get("shortest_edge") if isinstance(size, dict) else size
    sides = [shortest] if shortest else [size.get("height"), size.get("width")]
    if processor["do_center_crop"]:
        sides += [crop.get("height"), crop.get("width")] if isinstance(crop, dict) else [crop]
    elif shortest:
        raise _unsupported("do_center_crop", False, file)
    if set(sides) != {image_size}:
        raise ValueError(
            f"{str(file)!r} has 'image_size': {image_size}, but the image processor beside it has "
            f"'size': {size} and 'crop_size': {crop}. open_clip resizes to the size of the model "
            "only. Save the model and its processor with equal sizes."
        )
    return "shortest" if shortest else "squash"


def _unsupported(key, value, file):
    return ValueError(
        f"{str(file)!r}, or the file of the image processor beside it, has {key!r}: {value!r}, "
        "which open_clip's models do not have. Use a model without this setting."
    )


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

"""Find the architecture that weights fit, if it is not the one that was named."""

import re

from .._utils._messages import listed
from ._configs import CONFIG
from ._pretrained import QUICKGELU

_POSITIONS = [
    ("visual.positional_embedding", "image", "image_size"),
    ("positional_embedding", "text", "context_length"),
]
_FOREIGN = re.compile(r"visual\.trunk\.|transformer\.(?!resblocks)")  # of timm, of transformers
_OTHER_SHAPE = re.compile(
    r"size mismatch for (\S+): .*?\[([\d, ]*)\]\) from checkpoint, .*? is torch.Size\(\[([\d, ]*)\]"
)
_KEYS = re.compile(r'"[^"\s]+"(?:, "[^"\s]+")+')
_MISFIT = re.compile("size mismatch for|Missing key|Unexpected key|pos_embed")


def explain_misfit(text, read_shapes, backbone):
    """Return why weights do not fit a model, or None if torch's text says it.

    `read_shapes` returns the shapes of the tensors in the file, by name.
    """
    other = None if backbone.architecture or "key(s)" in text else _OTHER_SHAPE.search(text)
    if other:
        key, own, asked = other.groups()
        return f"its tensor {key!r} has the shape ({own}), and that of the model is ({asked})."
    is_half = "not implemented for 'Half'" in text
    if not (is_half or _MISFIT.search(text)):  # the file may be unreadable
        return None
    shapes = {_without_prefixes(key): shape for key, shape in read_shapes().items()}
    if prefixed := _prefixed(shapes):
        return prefixed
    key = "visual.positional_embedding"
    names = fitting(shapes, backbone.architecture) if backbone.architecture else []
    if is_half and key in shapes and not names:  # positions are interpolated in its precision
        vision, _ = _towers(backbone.config)
        return (
            f"its tensor {key!r} has the shape {shapes[key]}, and its rows are not those of "
            f"'image_size': {vision.image_size} and 'patch_size': {vision.patch_size}. Write those "
            "of its training."
        )
    if any(_FOREIGN.match(key) for key in shapes):
        return None
    if lacking := _lacking(shapes):
        return lacking
    # If it fits the model itself, only keys are wrong.
    in_directory = not backbone.architecture
    return None if in_directory or backbone.architecture in names else _other(names, backbone.path)


def with_few_keys(text):
    """Return torch's text with some names of each list of tensors: large models have hundreds."""
    return _KEYS.sub(lambda keys: listed(keys[0].split(", "), write=str), text)


def _other(names, path):
    if not names:
        return (
            "its tensors are of another architecture, and of none that open_clip has. Name a "
            f"directory that holds an {CONFIG} beside the weights."
        )
    names = listed(f"{name}//{path}" for name in names)
    return f"its tensors are of another architecture. They fit {names}."


def _prefixed(shapes):
    anchor = "logit_scale"  # a tensor of all models of open_clip, outside of the towers
    prefixes = [key.removesuffix(anchor) for key in shapes if key.endswith(f".{anchor}")]
    if anchor in shapes or not prefixes:
        return None
    return (
        f"the names of its tensors begin with {prefixes[0]!r}. Save the state dict without it: "
        f"{{name.replace({prefixes[0]!r}, ''): tensor for name, tensor in state_dict.items()}}."
    )


def _lacking(shapes):
    for key in ("visual.conv1.weight", "token_embedding.weight"):
        if key not in shapes:
            return f"it has no tensor {key!r}, so it is not the state dict of a whole CLIP model."
    return None


def positions_message(shapes, model, backbone):
    """Return a warning if a file has more or fewer positions than a model, or None.

    open_clip interpolates the positional embeddings and only logs it. `shapes` are those of the
    tensors in the file, by name.
    """
    shapes = {_without_prefixes(key): shape for key, shape in shapes.items()}
    architecture = backbone.architecture
    own = {_without_prefixes(key): tuple(value.shape) for key, value in model.state_dict().items()}
    for key, tower, setting in _POSITIONS:
        n, n_own = (found.get(key, (0,))[0] for found in (shapes, own))
        if n and n_own and n != n_own:
            if not architecture:
                return (
                    f"its {tower} tower has {n} positions, and {CONFIG} asks for {n_own}, so they "
                    f"are interpolated, and embeddings are not what its training made. Write the "
                    f"{setting} of its training."
                )
            names = [name for name in fitting(shapes, architecture) if name != architecture]
            advice = "Its tensors fit " + listed(f"{name}//{backbone.path}" for name in names)
            if setting == "context_length" or not names:
                advice = f"A directory with an {CONFIG} can say its {setting}"
            return (
                f"its {tower} tower has {n} positions and that of {architecture!r} has {n_own}, so "
                f"they are interpolated, and embeddings are not what its training made. {advice}."
            )
    return None


def _without_prefixes(key):
    """Return a key without the prefixes of models on several devices and of other text towers."""
    return key.removeprefix("module.").removeprefix("text.")


def fitting(shapes, architecture):
    """Return the architectures of open_clip that fit tensors of these shapes, by their names.

    They have OpenAI's kinds of towers, vision transformers and residual networks. `architecture`
    has the activation that is meant, where one exists with either.
    """
    import open_clip

    models = open_clip.list_models()
    names = [name for name in models if not name.endswith(QUICKGELU)]
    found = _sizes_in(shapes)
    names = [name for name in names if _sizes_of(open_clip.get_model_config(name)) == found]
    quick = QUICKGELU if architecture.endswith(QUICKGELU) else ""
    return [name + quick if name + quick in models else name for name in names]


def _sizes_in(shapes):
    """Return the sizes that distinguish architectures, from the shapes of tensors."""
    conv = shapes.get("visual.conv1.weight", (0, 0, 0, 0))
    deep = {
        int(key.split(".")[3]) for key in shapes if key.startswith("visual.transformer.resblocks.")
    }
    stages = tuple(
        len({key.split(".")[2] for key in shapes if key.startswith(f"visual.layer{stage}.")})
        for stage in (1, 2, 3, 4)
    )
    is_vit = not any(stages)
    positions = "visual.positional_embedding" if is_vit else "visual.attnpool.positional_embedding"
    words = shapes.get("token_embedding.weight", (0, 0))
    return {
        "width": conv[0] if is_vit else 2 * conv[0],
        "patch": conv[-1] if is_vit else None,
        "layers": len(deep) if is_vit else stages,
        "positions": shapes.get(positions, (0,))[0],
        "words": tuple(words),
        "embedding": tuple(shapes.get("text_projection", (0, 0)))[-1],
    }


def _sizes_of(config):
    """Return the sizes that distinguish architectures, from open_clip's configuration and defaults.

    A dict with the keys of :func:`_sizes_in`; None for other towers than OpenAI's kinds.
    """
    vision, text = _towers(config)
    layers, size = vision.layers, vision.image_size
    is_vit = isinstance(layers, int)
    patch = vision.patch_size if is_vit else 32
    if vision.timm_model_name or text.hf_model_name:
        return None
    if not all(isinstance(one, int) for one in (patch, size)):
        return None
    return {
        "width": vision.width,
        "patch": patch if is_vit else None,
        "layers": layers if is_vit else tuple(layers),
        "positions": (size // patch) ** 2 + 1,
        "words": (text.vocab_size, text.width),
        "embedding": config["embed_dim"],
    }


def _towers(config):
    """Return open_clip's configurations of both towers, with its defaults."""
    from open_clip import CLIPTextCfg, CLIPVisionCfg

    return CLIPVisionCfg(**config["vision_cfg"]), CLIPTextCfg(**config["text_cfg"])

"""Build a model and load its weights, in any of their formats."""

import json
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from .._utils._extras import lacking
from .._utils._messages import listed
from .._utils._warnings import warn
from ._available import check_available
from ._checkpoints import SAVE_TENSORS, check_checkpoint, is_archive, is_torchscript
from ._configs import CONFIG, config_files
from ._hub import fetch_weights
from ._misfit import positions_message
from ._pretrained import preprocessing, uses_quick_gelu, warn_of_guesses
from ._spec import weights_in
from ._transformers import from_transformers, is_of_transformers

_OPENAI_KEYS = {"input_resolution", "context_length", "vocab_size"}


def build_model(backbone):
    """Build a model on the CPU and load its weights.

    Raise ValueError if a file may hold more than tensors; see :func:`check_checkpoint`.
    """
    if backbone.has_text:
        require_transformers(backbone, "hf_model_name")
    check_available(backbone)
    if backbone.repository:
        fetch_weights(backbone.repository)
    files = weights_in(backbone.folder) if backbone.repository else backbone.weight_files
    if backbone.folder and not files:
        raise ValueError(_no_weights_message(backbone.folder))
    for file in files[:1]:  # the one that open_clip or timm reads
        check_checkpoint(file)
    if backbone.is_timm:
        from ._timm import build_tower

        return build_tower(backbone)
    return _build_by_open_clip(backbone, files)


def _build_by_open_clip(backbone, files):
    """Build a model of open_clip; `files` have its weights, and are empty if these are fetched."""
    import open_clip

    stored = _stored_shapes(files[0]) if files else {}
    state = _read_other_form(files[0]) if _is_other_form(stored) else None
    is_openais = stored.keys() >= _OPENAI_KEYS
    if not is_openais:
        warn_of_guesses(backbone)
    folder = backbone.folder
    name = f"local-dir:{folder}" if folder else backbone.architecture
    keys = {key.removeprefix("module.") for key in stored}
    lacks_bias = "logit_bias" in keys and backbone.config.get("init_logit_bias") is None
    with known_to_open_clip(backbone, name) as name:
        model = open_clip.create_model(
            name,
            pretrained=None if folder else str(backbone.path or backbone.tag),
            force_quick_gelu=is_openais or uses_quick_gelu(backbone),
            force_preprocess_cfg=preprocessing(backbone),
            load_weights=state is None,
            require_pretrained=state is None,
            # A training by open_clip may add both to an architecture.
            force_custom_text=any(key.startswith("text.") for key in keys),
            **({"init_logit_bias": 0} if lacks_bias else {}),
        )
    _check_size(model.visual, backbone.config["vision_cfg"])
    if state is not None:
        model.load_state_dict(state)
    elif backbone.path and (message := positions_message(stored, model, backbone)):
        warn(f"{str(backbone.path)!r}: {message}")
    return model


@contextmanager
def known_to_open_clip(backbone, name):
    """Return a context with a name under which open_clip finds the configuration of a backbone.

    It does not read those of transformers: one in its own form is there within the context.
    """
    if not backbone.is_of_transformers:
        yield name
        return
    config = {"model_cfg": backbone.config, "preprocess_cfg": backbone.preprocess_config}
    with TemporaryDirectory() as folder:
        Path(folder, CONFIG).write_text(json.dumps(config))
        yield f"local-dir:{folder}"


def _no_weights_message(folder):
    known = config_files(folder)
    others = sorted(file.name for file in folder.iterdir() if file not in known)
    has = f"It has {listed(others, write=str)}. " if others else ""
    return (
        f"there is no file of weights in it. {has}Call the weights open_clip_model.safetensors, or "
        "open_clip_pytorch_model.bin if torch.save or a training of open_clip wrote them."
    )


def _check_size(tower, vision):
    """Raise ValueError if a tower of timm takes images of another size only, which timm asserts.

    It does not where a convolutional network makes patches without positions, as in ViTamin-XL.
    """
    from timm.layers import HybridEmbed

    trunk = getattr(tower, "trunk", None)
    patches = getattr(trunk, "patch_embed", None)
    takes = getattr(patches, "img_size", None)
    is_free = isinstance(patches, HybridEmbed) and trunk.pos_embed is None
    if takes is None or is_free or not getattr(patches, "strict_img_size", True):
        return
    if not np.array_equal(takes, np.broadcast_to(tower.image_size, 2)):
        raise ValueError(
            f"it has 'image_size': {vision.get('image_size', 224)} in 'vision_cfg', but timm's "
            f"{vision['timm_model_name']!r} takes images of {list(takes)} only. Write this size."
        )


def require_transformers(backbone, setting):
    """Raise ImportError if the texts of a backbone need transformers and it is not installed.

    The setting of open_clip's configuration says what needs it: "hf_model_name" the text tower, and
    "hf_tokenizer_name" the tokenizer.
    """
    if backbone.config["text_cfg"].get(setting) and find_spec("transformers") is None:
        raise lacking("transformers", f"The texts of {backbone.name!r}")


def _is_other_form(names):
    """Return whether open_clip does not load tensors of these names by itself."""
    return set(names) >= _OPENAI_KEYS or is_of_transformers(names)


def _read_other_form(file):
    """Return the weights of a file of OpenAI or transformers as open_clip has them.

    open_clip cannot load the extra entries of OpenAI's state dicts. It reads a TorchScript archive
    only if it may also run any code in it.
    """
    state = _read_state_dict(file)
    if is_of_transformers(state):
        return from_transformers(state)
    return {key: value for key, value in state.items() if key not in _OPENAI_KEYS}


def _read_state_dict(file):
    import torch
    from safetensors.torch import load_file

    if file.suffix == ".safetensors":
        return load_file(file)
    if is_torchscript(file):  # one of OpenAI's, as check_checkpoint has found
        return torch.jit.load(file, map_location="cpu").state_dict()
    found = torch.load(file, map_location="cpu", weights_only=True, mmap=is_archive(file))
    state = found.get("state_dict", found) if isinstance(found, dict) else found
    if not _is_state_dict(state):
        raise ValueError(_not_a_state_dict(found, file))
    return state


def _is_state_dict(value):
    import torch

    is_dict = isinstance(value, dict) and value
    return is_dict and all(isinstance(one, torch.Tensor) for one in value.values())


def _not_a_state_dict(found, file):
    """Return what a file holds instead of tensors by their names, and what to do."""
    if not isinstance(found, dict):
        return f"it holds a {type(found).__name__}, not a state dict. {SAVE_TENSORS}."
    inner = next((key for key, value in found.items() if _is_state_dict(value)), None)
    if inner is None:
        holds = f"{listed(found)}, and no state dict" if found else "nothing"
        return f"it holds {holds}. {SAVE_TENSORS}."
    return (
        f"it holds {listed(found)}, of which {inner!r} is a state dict. Save this alone: "
        f"torch.save(torch.load({str(file)!r}, 'cpu')[{inner!r}], 'weights.pth')."
    )


def shapes_in(backbone):
    """Return the shapes of the tensors in a backbone's own file, by their names in open_clip."""
    file = backbone.weight_files[0]
    stored = _stored_shapes(file)
    return _shapes_of(_read_other_form(file)) if _is_other_form(stored) else stored


def _stored_shapes(file):
    if file.suffix != ".safetensors":
        return _shapes_of(_read_state_dict(file))
    from safetensors import safe_open

    with safe_open(file, "pt") as tensors:
        return {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}


def _shapes_of(state):
    return {key: tuple(value.shape) for key, value in state.items()}

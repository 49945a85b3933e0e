"""Weights with the activation they were trained with: OpenAI's need QuickGELU.

open_clip only warns, or says nothing, when OpenAI's weights meet plain GELU; the embeddings are
then quietly worse. Here the weights decide, not the name that they come through.
"""

import warnings
from functools import cache
from zipfile import ZipFile, is_zipfile

QUICKGELU = "-quickgelu"
_OPENAI_KEYS = {"input_resolution", "context_length", "vocab_size"}
_OPENAI_SUFFIXES = {".pt", ".pth", ".bin"}
_SUFFIXES_IN_DIRECTORY = {".safetensors", ".bin", ".pth"}


def build_model(backbone):
    """Build a model on the CPU and load its weights.

    Parameters
    ----------
    backbone : Backbone

    Returns
    -------
    torch.nn.Module
    """
    import open_clip

    state = _openai_state_dict(backbone)
    model = open_clip.create_model(
        backbone.model_name,
        pretrained=backbone.tag or (str(backbone.path) if backbone.architecture else None),
        force_quick_gelu=state is not None or uses_quick_gelu(backbone),
        load_weights=state is None,
        require_pretrained=state is None,
    )
    if state is not None:
        model.load_state_dict(state)
    return model


def uses_quick_gelu(backbone):
    """Whether a backbone needs QuickGELU, by what is known of it without reading its weights.

    Parameters
    ----------
    backbone : Backbone

    Returns
    -------
    bool

    Warns
    -----
    UserWarning
        If nothing is known of a file and its architecture exists with either activation.
    """
    import open_clip

    if backbone.config.get("quick_gelu", False):
        return True
    if backbone.tag:
        facts = open_clip.get_pretrained_cfg(backbone.architecture, backbone.tag)
        return facts.get("quick_gelu", False)
    for part in backbone.path.parts:
        repository = part.rpartition("--")[2]  # the hub's cache says models--OWNER--NAME
        if repository in _hub_repositories():
            return _hub_repositories()[repository]
    if backbone.architecture + QUICKGELU in open_clip.list_models():
        warnings.warn(
            f"{str(backbone.path)!r} is loaded with plain GELU. If it was trained with "
            f"QuickGELU, as OpenAI's weights were, name it "
            f"'{backbone.architecture}{QUICKGELU}//...'.",
            UserWarning,
            stacklevel=2,
        )
    return False


def weight_files(path):
    """The file, or those of a directory that open_clip looks for."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES_IN_DIRECTORY)


@cache
def _hub_repositories():
    """Whether the weights in a repository on the hub need QuickGELU, by its name."""
    import open_clip

    table = [open_clip.get_pretrained_cfg(*names) for names in open_clip.list_pretrained()]
    return {
        facts["hf_hub"].split("/")[1]: facts.get("quick_gelu", False)
        for facts in table
        if facts.get("hf_hub")
    }


def _openai_state_dict(backbone):
    """Weights in the form that OpenAI published, or None: it has entries of its own.

    open_clip cannot load a state dict with these entries, and reads a TorchScript archive only
    together with a permission to run any code in it.
    """
    files = weight_files(backbone.path) if backbone.path else []
    if len(files) != 1 or files[0].suffix not in _OPENAI_SUFFIXES:
        return None
    state = _read_state_dict(files[0])
    if not _OPENAI_KEYS <= set(state):
        return None
    return {key: value for key, value in state.items() if key not in _OPENAI_KEYS}


def _read_state_dict(file):
    import torch

    if _is_torchscript(file):
        return torch.jit.load(file, map_location="cpu").state_dict()
    state = torch.load(file, map_location="cpu", weights_only=True, mmap=is_zipfile(file))
    return state.get("state_dict", state)


def _is_torchscript(file):
    if not is_zipfile(file):
        return False
    with ZipFile(file) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())

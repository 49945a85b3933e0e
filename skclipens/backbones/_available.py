"""Check that weights can be downloaded, with one short request before anything is loaded.

The hub's client tries five times for each of several files, which takes most of a minute.
"""

import urllib.error
import urllib.request
from pathlib import Path

from ..exceptions import BackboneNotAvailableError
from ._configs import CONFIG, config_files

_PATIENCE = 5.0  # seconds
_HUB_FILES = ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
_OTHER_FILES = ["model.safetensors", "pytorch_model.bin"]


def check_available(backbone):
    """Raise BackboneNotAvailableError if weights are neither here nor on a server that responds."""
    if backbone.path is not None:
        return
    repository, files, url = _source(backbone)
    if not _is_here(repository, files):
        check_hub(backbone.name, advice_of(backbone), url)


def check_hub(name, advice, url=None):
    """Raise if the hub, or another URL, does not respond to one request within a few seconds.

    The message of the BackboneNotAvailableError has the name of what is to be fetched, and the
    advice what to do instead.
    """
    import huggingface_hub

    if huggingface_hub.constants.HF_HUB_OFFLINE and url is None:
        reason = "HF_HUB_OFFLINE is set."
    elif (reason := _silence_of(url or huggingface_hub.constants.ENDPOINT)) is None:
        return
    raise BackboneNotAvailableError(
        f"{name!r} cannot be loaded: it is not on this machine, and {reason} {advice}"
    )


def advice_of(backbone):
    """Return what to do if the weights of a backbone cannot be fetched."""
    own = "a directory" if backbone.repository else f"a file, '{backbone.name}//path/to/file'"
    return (
        "Weights that are not on this machine are fetched once from the internet. Without it, "
        f"name {own}, that holds them, or use the models that come with skclipens: 'zoo'."
    )


def weight_names(folder):
    """Return the names of the files, one of which holds the weights of a repository."""
    return _HUB_FILES if config_files(folder)[0].name == CONFIG else _OTHER_FILES


def _silence_of(url):
    """Return why a URL does not respond, or None if it does."""
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_PATIENCE)
    except urllib.error.HTTPError:
        return None  # the server responds; the download reports errors of a file
    except OSError as error:
        return f"{url} does not answer: {getattr(error, 'reason', error)}."
    return None


def _source(backbone):
    """Return repository, files and URL of weights.

    The repository is on the hub, or None; then the URL is given. One of the files holds the
    weights: they are names in the repository, or else local paths.
    """
    if backbone.repository:
        return backbone.repository, weight_names(backbone.folder), None
    if backbone.is_timm:
        import timm
        import torch

        name = f"{backbone.architecture}.{backbone.tag}".partition("/")[2]
        facts = timm.get_pretrained_cfg(name)
        if facts and facts.hf_hub_id:
            return facts.hf_hub_id, _OTHER_FILES, None
        return _at(facts.url if facts else None, Path(torch.hub.get_dir(), "checkpoints"))
    import open_clip

    facts = open_clip.get_pretrained_cfg(backbone.architecture, backbone.tag)
    repository, _, file = facts.get("hf_hub", "").rpartition("/")
    if not repository:
        return _at(facts.get("url"), Path("~/.cache/clip").expanduser())
    files = [file, str(Path(file).with_suffix(".safetensors"))] if file else _HUB_FILES
    return repository, files, None


def _at(url, folder):
    """Return what `_source` returns for weights at a URL that are fetched into a folder."""
    return None, [folder / Path(url).name] if url else [], url


def _is_here(repository, files):
    """Return whether one of the files is on this machine, or none is needed."""
    import huggingface_hub

    if repository:
        found = (huggingface_hub.try_to_load_from_cache(repository, file) for file in files)
        return any(isinstance(file, str) for file in found)
    return not files or any(file.is_file() for file in files)

"""Models in memory: loaded once per process and device, with what belongs to them."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

from ._spec import CONFIG, Backbone
from ._weights import build_model

_MAX_LOADED = 16


class BackboneNotAvailableError(RuntimeError):
    """A pretrained backbone cannot be loaded, mostly since it is not on this machine."""


@dataclass(frozen=True, eq=False)
class LoadedBackbone:
    """A model in evaluation mode on a device, with what belongs to it.

    Parameters
    ----------
    backbone : Backbone
        What was loaded.
    model : torch.nn.Module
        The model itself.
    preprocess_config : dict
        Preprocessing of this model, as open_clip describes it.

    Examples
    --------
    >>> from skclipens.backbones import load_backbone
    >>> load_backbone("zoo/RN20").preprocess_config["size"]
    64
    """

    backbone: Backbone
    model: object
    preprocess_config: dict

    @cached_property
    def tokenizer(self):
        """Texts to a tensor of tokens; made on first use, since images do without it."""
        import open_clip

        options = self.backbone.config["text_cfg"].get("tokenizer_kwargs") or {}
        if "bpe_path" in options and not self.backbone.architecture:
            # A vocabulary that a directory's configuration names is sought beside it.
            options = {"bpe_path": str((self.backbone.path / options["bpe_path"]).resolve())}
        try:
            return open_clip.get_tokenizer(self.backbone.model_name, **options)
        except Exception as error:
            raise _loading_error(self.backbone, error) from error


_loaded = OrderedDict()
_lock = threading.Lock()


def load_backbone(backbone, device=None):
    """Load a backbone, or take it from the process-wide cache of the last used ones.

    Parameters
    ----------
    backbone : Backbone or str
    device : str, default=None
        As :func:`resolve_device` returns it. None takes the model where it is loaded already, and
        loads it on the CPU otherwise.

    Returns
    -------
    LoadedBackbone

    Raises
    ------
    BackboneNotAvailableError
        If the weights are not on this machine and cannot be fetched.
    ValueError
        If a file or directory does not hold weights of this architecture.

    Examples
    --------
    >>> from skclipens.backbones import load_backbone
    >>> load_backbone("zoo/RN20").model.training
    False
    """
    if isinstance(backbone, str):
        backbone = Backbone(backbone)
    model = (backbone, backbone.version)
    with _lock:
        if device is None:
            device = next((place for *other, place in _loaded if tuple(other) == model), "cpu")
        key = (*model, device)
        if key not in _loaded:
            _loaded[key] = _load(backbone, device)
            while len(_loaded) > _MAX_LOADED:
                _loaded.popitem(last=False)
        _loaded.move_to_end(key)
        return _loaded[key]


def clear_backbone_cache():
    """Forget all loaded models, so that their memory can be used again.

    Examples
    --------
    >>> from skclipens.backbones import clear_backbone_cache
    >>> clear_backbone_cache()
    """
    with _lock:
        _loaded.clear()


def _load(backbone, device):
    import open_clip

    try:
        model = build_model(backbone)
    except Exception as error:
        raise _loading_error(backbone, error) from error
    model = model.to(device).eval().requires_grad_(False)
    return LoadedBackbone(backbone, model, open_clip.get_model_preprocess_cfg(model))


def _loading_error(backbone, error):
    if backbone.tag:
        return BackboneNotAvailableError(
            f"{backbone.name!r} cannot be loaded: {error} Weights that are not on this machine "
            "are fetched once from the internet. Without it, name a file that holds them, "
            f"'{backbone.architecture}//path/to/file', or use the models that come with "
            "skclipens: 'zoo'."
        )
    return ValueError(
        f"{str(backbone.path)!r} does not hold the weights of "
        f"{backbone.architecture or f'the model that its {CONFIG} describes'}: {error}"
    )

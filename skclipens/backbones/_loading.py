"""Load models and their tokenizers, once per process and device."""

from collections import OrderedDict
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial

from .._utils._forks import mend_threads
from .._utils._locks import ForkLock, Overlapping, renew_in_fork
from ..exceptions import BackboneNotAvailableError
from ._available import advice_of
from ._checkpoints import reason
from ._configs import check_vocabulary
from ._devices import cpu_by_default, resolve_device
from ._hub import checked_downloads
from ._misfit import explain_misfit, with_few_keys
from ._own_configs import check_own_config
from ._root_logger import own_handler
from ._spec import Backbone, resolve_backbones
from ._weights import build_model, known_to_open_clip, require_transformers, shapes_in

_MAX_LOADED = 16


@dataclass(frozen=True, eq=False)
class LoadedBackbone:
    """A model in evaluation mode on a device, with its preprocessing.

    Parameters
    ----------
    backbone : Backbone
        What was loaded.
    model : torch.nn.Module
        The model itself.
    preprocess_config : dict
        Preprocessing of this model, as open_clip or timm describes it.

    See Also
    --------
    load_backbone : Loads a model.

    Examples
    --------
    >>> from skclipens.backbones import load_backbone
    >>> load_backbone("zoo/RN20").preprocess_config["size"]
    64
    """

    backbone: Backbone
    model: object = field(repr=False)  # of hundreds of lines
    preprocess_config: dict

    def __post_init__(self):
        object.__setattr__(self, "_as_loaded", _state_of(self.model))

    def _check_unchanged(self):
        """Raise ValueError if the model, which the whole process shares, has been changed."""
        (training, writes), (now_training, now_writes) = self._as_loaded, _state_of(self.model)
        name = self.backbone.name
        if now_training != training:
            raise ValueError(
                f"The model of {name!r} is in training mode, which gives other embeddings: call "
                "its eval()."
            )
        if now_writes != writes:
            raise ValueError(
                f"The weights of {name!r} were changed since they were loaded, and their "
                "embeddings would be taken for those of the name. Save changed weights to a file, "
                "and name it; skclipens.backbones.clear_backbone_cache() has the weights loaded "
                "again."
            )

    @cached_property
    def tokenizer(self):
        """Function from texts to a tensor of tokens, called by one thread at a time.

        It is made on first use, since images do not need it.

        Raises
        ------
        ValueError
            If the model has no texts.
        ImportError
            If it needs transformers, which is not installed.
        BackboneNotAvailableError
            If it is not on this machine and cannot be fetched.
        """
        import open_clip

        if not self.backbone.has_text:
            raise ValueError(
                f"{self.backbone.name!r} is an image tower without texts. Use a head that needs no "
                "prompts, such as head='linear', or a CLIP model."
            )
        require_transformers(self.backbone, "hf_tokenizer_name")
        options, file = self.backbone._tokenizer_options(), self.backbone.config_file
        try:
            with own_handler(), known_to_open_clip(self.backbone, self.backbone.model_name) as name:
                tokenizer = open_clip.get_tokenizer(name, **options)
        except Exception as error:
            advice = "One that is not on this machine is fetched once from the internet."
            if "bpe_path" in options:
                advice = f"{options['bpe_path']!r} has to be its vocabulary, compressed by gzip."
            raise BackboneNotAvailableError(
                f"The tokenizer of {self.backbone.name!r} cannot be loaded: {error} {advice}"
            ) from error
        if isinstance(tokenizer, open_clip.SimpleTokenizer) and file:
            check_vocabulary(tokenizer.vocab_size, self.backbone.config, file)
        return _one_at_a_time(tokenizer)


def _state_of(model):
    """Return how many modules of a model are in training mode, and what tells a write to it."""
    parts, tensors = [model], []
    # model.modules() and parameters() name them all, which takes as long as all the rest.
    for part in parts:
        parts += [child for child in part._modules.values() if child is not None]
        of_part = *part._parameters.values(), *part._buffers.values()
        tensors += [one for one in of_part if one is not None]
    versions = [None if one.is_inference() else one._version for one in tensors]
    return sum(part.training for part in parts), ([*map(id, tensors)], versions, _firsts(tensors))


def _firsts(tensors):
    """Return the first values of tensors on the CPU: a version does not tell of writes to `data`.

    A GPU would have to be waited for.
    """
    firsts = [one.as_strided((), ()).item() for one in tensors if one.is_cpu and one.numel()]
    return [one if one == one else "NaN" for one in firsts]


def _one_at_a_time(tokenizer):
    """Return a thread-safe tokenizer: one of transformers stores the length of a call."""
    lock = ForkLock()

    def tokenize(texts, **options):
        with lock, cpu_by_default():
            return tokenizer(texts, **options)

    return tokenize


_loaded = OrderedDict()  # futures of models by backbone, version and device
_lock = ForkLock()  # guards `_loaded` only, not the loading of a model
_default_lock = ForkLock()


def load_backbones(backbones, devices=None):
    """Load backbones on devices, or take them from the process-wide cache.

    All models of one call stay in the cache, however many they are. If the cache exceeds its limit,
    other models are dropped, the least recently used first.

    Parameters
    ----------
    backbones : str, list of str or list of Backbone
        The models; names are those of :func:`resolve_backbones`.
    devices : None, str or list, default=None
        One device or several, as :func:`resolve_device` returns them. None, also in a list: the
        device on which a model is loaded already, otherwise the CPU.

    Returns
    -------
    list of list of LoadedBackbone
        For each device, its models in the order of the backbones.

    Raises
    ------
    BackboneNotAvailableError
        If weights are not on this machine and cannot be fetched.
    ValueError
        If the list is empty, a name is unknown or given twice, a file or directory does not hold
        weights of its architecture, or a device does not exist on this machine.

    See Also
    --------
    load_backbone : Loads a single model.

    Examples
    --------
    >>> from skclipens.backbones import load_backbones
    >>> (of_one_device,) = load_backbones(["zoo/RN20", "zoo/ViT-8"])
    >>> [one.backbone.name for one in of_one_device]
    ['zoo/RN20', 'zoo/ViT-8']
    """
    if not len(backbones) or not all(isinstance(one, Backbone) for one in backbones):
        backbones = resolve_backbones(backbones)
    devices = devices if isinstance(devices, (list, tuple)) else [devices]
    mend_threads()
    devices = [device if device is None else resolve_device(device) for device in devices]
    places = [[_place(backbone, device) for backbone in backbones] for device in devices]
    _make_room({place for row in places for place in row})
    return [[_load_once(place) for place in row] for row in places]


def load_backbone(backbone, device=None):
    """Load a backbone, or take it from the process-wide cache of recently used ones.

    Parameters
    ----------
    backbone : Backbone or str
        The model.
    device : str, default=None
        A device, as :func:`resolve_device` returns it. None: the device on which the model is
        loaded already, otherwise the CPU.

    Returns
    -------
    LoadedBackbone
        The model, with its preprocessing. The whole process shares it: embedders refuse it if its
        weights were changed, or while it is in training mode.

    Raises
    ------
    BackboneNotAvailableError
        If the weights are not on this machine and cannot be fetched.
    ImportError
        If the text tower needs transformers, which is not installed.
    ValueError
        If a file or directory does not hold weights of this architecture, or the device does not
        exist on this machine.

    See Also
    --------
    load_backbones : Loads several models on several devices.
    clear_backbone_cache : Drops all loaded models.

    Examples
    --------
    >>> from skclipens.backbones import load_backbone
    >>> load_backbone("zoo/RN20").preprocess_config["size"]
    64
    """
    backbone = Backbone(backbone) if isinstance(backbone, str) else backbone
    return load_backbones([backbone], [device])[0][0]


def clear_backbone_cache():
    """Drop all loaded models, so that their memory can be used again.

    See Also
    --------
    load_backbone : Loads a model into the cache.

    Examples
    --------
    >>> from skclipens.backbones import clear_backbone_cache
    >>> clear_backbone_cache()
    """
    with _lock:
        for place in [place for place, model in _loaded.items() if model.done()]:
            del _loaded[place]


def _place(backbone, device):
    """Return the key of a model in the cache."""
    model = (backbone, backbone.version)
    if device is None:
        with _lock:
            device = next((place for *other, place in _loaded if tuple(other) == model), "cpu")
    return (*model, device)


def _make_room(wanted):
    """Drop unwanted models, the least recently used first, if the cache would exceed its limit."""
    with _lock:
        if wanted <= _loaded.keys():
            return
        n_too_many = len(wanted | _loaded.keys()) - _MAX_LOADED
        others = [place for place in _loaded if place not in wanted and _loaded[place].done()]
        for place in others[: max(0, n_too_many)]:
            del _loaded[place]


def _load_once(place):
    """Load a model, or wait for the thread that is loading it already."""
    with _lock:
        is_new = place not in _loaded
        future = _loaded.setdefault(place, Future())
        _loaded.move_to_end(place)
    if is_new:
        backbone, _, device = place
        try:
            future.set_result(_load(backbone, device))
        except BaseException as error:
            with _lock:
                _loaded.pop(place, None)
            future.set_exception(error)
    return future.result()


def _forget_unfinished():
    """Forget models that a thread was loading, as a forked process lacks that thread."""
    for place in [place for place, model in _loaded.items() if not model.done()]:
        del _loaded[place]


renew_in_fork(_forget_unfinished)


def _load(backbone, device):
    import open_clip

    if backbone.path and not backbone.architecture:
        check_own_config(backbone)
    try:
        with checked_downloads(), cpu_by_default(), _single_precision(), _unseen(), own_handler():
            model = build_model(backbone)
    except (ImportError, BackboneNotAvailableError):  # their messages say what to do
        raise
    except Exception as error:
        if isinstance(error, MemoryError) or "allocate memory" in str(error):  # as torch says it
            raise MemoryError(
                f"There is too little memory to load {backbone.name!r}. Give the process more, or "
                "name fewer or smaller models."
            ) from error
        # The cause, too, must not show torch's advice to run the code in the file.
        cause = error if reason(error) == str(error) else None
        raise _loading_error(backbone, reason(error)) from cause
    model = model.to(device).eval().requires_grad_(False)
    return LoadedBackbone(backbone, model, open_clip.get_model_preprocess_cfg(model))


def _own_generator():
    import torch

    return torch.random.fork_rng(devices=[])


# Weights are first initialized at random, which must not change the user's random state.
_unseen = Overlapping(_own_generator)


@contextmanager
def _single_precision():
    """Return a context in which torch's default dtype is float32, so weights are not rounded."""
    import torch

    # The default is global, and another thread may have set it for its model.
    with _default_lock:
        default = torch.get_default_dtype()
        if default != torch.float32:
            torch.set_default_dtype(torch.float32)
            try:
                yield
            finally:
                torch.set_default_dtype(default)
            return
    yield


def _loading_error(backbone, text):
    if backbone.path is None:
        return BackboneNotAvailableError(
            f"{backbone.name!r} cannot be loaded: {text} {advice_of(backbone)}"
        )
    if not backbone.is_timm:
        text = explain_misfit(text, partial(shapes_in, backbone), backbone) or text
    return ValueError(
        f"{str(backbone.path)!r} does not hold the weights of "
        f"{backbone.architecture or f'the model that its {backbone.config_file.name} describes'}: "
        f"{with_few_keys(text)}"
    )

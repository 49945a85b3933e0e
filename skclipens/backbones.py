"""What a backbone is: its name, its size, where its weights are and how it is loaded.

Only this module and its private neighbours, ``_weights`` and ``_forward``, know open_clip.
"""

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from . import zoo
from ._devices import resolve_device
from ._weights import QUICKGELU, build_model, weight_files

__all__ = [
    "Backbone",
    "BackboneNotAvailableError",
    "LoadedBackbone",
    "clear_backbone_cache",
    "list_backbones",
    "load_backbone",
    "resolve_backbones",
    "resolve_device",
]

# The backbones of the paper, all with OpenAI's weights: input pixels, embedding width,
# parameters of the image tower in millions, GFLOPs per image (2 x multiply-adds).
_PAPER = {
    "ViT-B-32": (224, 512, 87.9, 8.8),
    "RN50": (224, 1024, 38.3, 12.2),
    "RN101": (224, 512, 56.3, 19.5),
    "ViT-B-16": (224, 512, 86.2, 35.1),
    "RN50x4": (288, 640, 87.1, 42.6),
    "RN50x16": (384, 768, 167.3, 149.4),
    "ViT-L-14": (224, 768, 304.0, 162.0),
    "ViT-L-14-336": (336, 768, 304.3, 381.9),
    "RN50x64": (448, 1024, 420.4, 529.1),
}
_CONFIG = "open_clip_config.json"
_MAX_LOADED = 16


class BackboneNotAvailableError(RuntimeError):
    """A pretrained backbone cannot be loaded, mostly since it is not on this machine."""


@dataclass(frozen=True)
class Backbone:
    """A CLIP model by name; nothing is loaded.

    Two are equal if they are the same model, however their specs are spelled.

    Parameters
    ----------
    spec : str
        One of

        - ``"NAME/TAG"``: an open_clip architecture and pretrained tag, such as
          ``"ViT-B-32/laion2b_s34b_b79k"``;
        - ``"NAME"``: the same with the tag ``openai``;
        - ``"NAME//path/to/file"``: an open_clip architecture with weights of one's own;
        - ``"path/to/directory"``: a directory with an ``open_clip_config.json`` and weights;
        - ``"zoo/NAME"``: a model that comes with this package.

    Attributes
    ----------
    name : str
        The canonical spec, which names the columns of the embedding. A pretrained model has one
        name, with or without ``-quickgelu`` in the spec: its weights decide the activation.
    architecture : str
        open_clip's name of the architecture, or ``""`` for a directory.
    tag : str
        Pretrained tag, or ``""`` for a file or a directory.
    path : Path or None
        The file or directory that holds the weights, absolute.

    Raises
    ------
    ValueError
        If the spec names nothing that is known.

    Examples
    --------
    >>> from skclipens.backbones import Backbone
    >>> Backbone("ViT-B-32").name
    'ViT-B-32/openai'
    >>> Backbone("zoo/RN20").width
    128
    """

    spec: str = field(compare=False)
    name: str = field(init=False, compare=False)
    architecture: str = field(init=False, default="")
    tag: str = field(init=False, default="")
    path: Path | None = field(init=False, default=None)

    def __post_init__(self):
        if not isinstance(self.spec, str) or not self.spec:
            raise ValueError(
                f"A backbone is named by a string such as 'ViT-B-32', not {self.spec!r}."
            )
        for key, value in _parse(self.spec).items():
            object.__setattr__(self, key, value)

    @property
    def width(self):
        """Number of values in an embedding; read from the configuration, without weights."""
        return self.config["embed_dim"]

    @property
    def config(self):
        """open_clip's configuration of the model."""
        if self.architecture:
            import open_clip

            return open_clip.get_model_config(self.architecture)
        return json.loads((self.path / _CONFIG).read_text("utf-8"))["model_cfg"]

    @property
    def model_name(self):
        """The name under which open_clip builds this model."""
        return self.architecture or f"local-dir:{self.path}"

    @property
    def version(self):
        """What changes when a file of the model is written again; empty for a pretrained tag."""
        if self.path is None:
            return ()
        files = [self.path / _CONFIG] if self.path.is_dir() else []
        stats = [file.stat() for file in files + weight_files(self.path)]
        return tuple((stat.st_mtime_ns, stat.st_size) for stat in stats)


def _parse(spec):
    """The fields of a Backbone."""
    family, slash, model = spec.partition("/")
    if family == "zoo" and slash:
        if model not in zoo.MODELS:
            listed = ", ".join(f"zoo/{name}" for name in zoo.MODELS)
            raise ValueError(f"The zoo has no model {model!r}; it has {listed}.")
        return {"name": spec, "path": zoo.WEIGHTS / model}
    directory = Path(spec).expanduser().absolute()
    if (directory / _CONFIG).is_file():
        return {"name": spec, "path": directory}
    if "//" in spec:
        return _parse_file(spec)
    return _parse_pretrained(spec)


def _parse_file(spec):
    import open_clip

    # "NAME//path" is relative, "NAME///path" is absolute.
    architecture, path = spec.split("//", 1)
    if architecture not in open_clip.list_models():
        raise ValueError(
            f"Unknown architecture {architecture!r} in {spec!r}; open_clip.list_models() lists "
            "those that can be used before '//'."
        )
    path = Path(path).expanduser().absolute()
    if not path.is_file():
        raise ValueError(f"{spec!r}: there is no file {str(path)!r}.")
    return {"name": spec, "architecture": architecture, "path": path}


def _parse_pretrained(spec):
    import open_clip

    architecture, slash, tag = spec.partition("/")
    if architecture not in open_clip.list_models():
        similar = get_close_matches(spec, open_clip.list_models(), n=1)
        raise ValueError(
            f"Unknown backbone {spec!r}{f', did you mean {similar[0]!r}?' if similar else '.'} "
            "A backbone is 'NAME' or 'NAME/TAG' of an open_clip model "
            "(open_clip.list_pretrained() lists them), 'NAME//path/to/file', a directory that "
            f"holds {_CONFIG}, or 'zoo/NAME'."
        )
    architecture, tag = architecture.removesuffix(QUICKGELU), tag if slash else "openai"
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag not in tags:
        raise ValueError(
            f"There are no pretrained weights {tag!r} of {architecture!r}, only "
            f"{', '.join(tags) or '(none)'}. A file of your own is named "
            f"'{architecture}//path/to/file'."
        )
    return {"name": f"{architecture}/{tag}", "architecture": architecture, "tag": tag}


def resolve_backbones(backbones):
    """Make a list of backbones from what a user may write.

    Parameters
    ----------
    backbones : str or list of str
        ``"zoo"`` (the five embedded models), ``"paper"`` (the nine OpenAI models), one spec or
        several; see :class:`Backbone`.

    Returns
    -------
    list of Backbone

    Raises
    ------
    ValueError
        If there is none, one is unknown or one appears twice.

    Examples
    --------
    >>> from skclipens.backbones import resolve_backbones
    >>> [backbone.name for backbone in resolve_backbones(["RN50", "zoo/ViT-8"])]
    ['RN50/openai', 'zoo/ViT-8']
    """
    groups = {"zoo": [f"zoo/{name}" for name in zoo.MODELS], "paper": list(_PAPER)}
    specs = [backbones] if isinstance(backbones, str) else list(backbones)
    resolved = [
        Backbone(one)
        for spec in specs
        for one in (groups.get(spec, [spec]) if isinstance(spec, str) else [spec])
    ]
    if not resolved:
        raise ValueError("backbones is empty; name at least one, for instance 'zoo/RN20'.")
    twice = sorted({backbone.name for backbone in resolved if resolved.count(backbone) > 1})
    if twice:
        raise ValueError(f"backbones names {', '.join(twice)} more than once.")
    return resolved


def list_backbones():
    """List the backbones of the paper and of the embedded zoo with their cost.

    Any other open_clip model can be used as well; see :class:`Backbone`.

    Returns
    -------
    pandas.DataFrame
        One row per backbone, indexed by its spec, with the columns ``group`` (``"paper"`` or
        ``"zoo"``), ``input_size`` (pixels a side), ``width`` (of an embedding), ``parameters``
        (of the image tower, in millions) and ``gflops`` (per image, 2 x multiply-adds).

    Examples
    --------
    >>> from skclipens import list_backbones
    >>> list_backbones().loc["ViT-B-32/openai", "gflops"].item()
    8.8
    """
    import pandas as pd

    columns = ["group", "input_size", "width", "parameters", "gflops"]
    sizes = json.loads((zoo.WEIGHTS / "sizes.json").read_text("utf-8"))
    rows = {f"{name}/openai": ["paper", *facts] for name, facts in _PAPER.items()}
    for name in zoo.MODELS:
        rows[f"zoo/{name}"] = ["zoo", *(sizes[name][column] for column in columns[1:])]
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return frame.rename_axis("backbone")


@dataclass(frozen=True, eq=False)
class LoadedBackbone:
    """A model in evaluation mode on a device, with what belongs to it.

    Attributes
    ----------
    backbone : Backbone
    model : torch.nn.Module
    preprocess_config : dict
        open_clip's preprocessing of this model.
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
    """Forget all loaded models, so that their memory can be used again."""
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
        f"{backbone.architecture or f'the model that its {_CONFIG} describes'}: {error}"
    )

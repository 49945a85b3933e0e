"""A backbone by name, with its configuration and files. Nothing is loaded."""

import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from .. import zoo
from ._catalogue import PAPER, TIMM
from ._configs import CONFIG, config_files, file_version, find_vocabulary, read_config
from ._hub import snapshot
from ._parsing import parse

_SUFFIXES_IN_DIRECTORY = {".safetensors", ".bin", ".pth"}  # those that open_clip looks for
PREFERRED = [  # by open_clip, in this order
    *("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors"),
    *("open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth"),
    *("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth"),
]
_SUFFIXES_OF_TOKENIZERS = {".json", ".txt", ".model"}  # those of transformers


@dataclass(frozen=True)
class Backbone:
    """A CLIP model, or an image tower alone, by name; nothing is loaded.

    Two backbones are equal if they are the same model, however their specs are spelled.

    Parameters
    ----------
    spec : str
        One of

        - ``"NAME/TAG"``: an open_clip architecture and pretrained tag, such as
          ``"ViT-B-32/laion2b_s34b_b79k"``;
        - ``"NAME"``: the same with the tag ``openai``;
        - ``"NAME//path/to/file"``: an open_clip architecture with your own weights;
        - ``"NAME/TAG//path/to/file"``: the same for a file made from these pretrained weights:
          it gets their preprocessing and activation;
        - ``"path/to/directory"``: a directory with an ``open_clip_config.json`` and weights, or
          one that ``CLIPModel.save_pretrained`` of transformers wrote;
        - ``"hf-hub:ORG/NAME"``: an open_clip model, or a ``CLIPModel`` of transformers, in a
          repository of the Hugging Face hub;
        - ``"timm/NAME"`` or ``"timm/NAME.TAG"``, also with ``//path/to/file``: a model of timm,
          which is not a CLIP model but an image tower without texts. It gives the features before
          its classifier. Only heads that need no prompts can use it;
        - ``"zoo/NAME"``: a model that comes with this package.

    Attributes
    ----------
    name : str
        The canonical spec, which names the columns of the embedding. A pretrained model has one
        name, with or without ``-quickgelu`` in the spec: its weights decide the activation.
    architecture : str
        Its name in open_clip, or ``"timm/NAME"``; ``""`` if a configuration describes it.
    tag : str
        Pretrained tag, or ``""`` for a directory or a file that is named without one.
    path : Path or None
        Absolute path of the local file or directory that holds the weights.
    repository : str
        ``"ORG/NAME"`` on the hub, or ``""``.

    Raises
    ------
    ValueError
        If the spec names no known model.

    See Also
    --------
    resolve_backbones : Makes backbones from names.
    load_backbone : Loads the model of a backbone.

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
    repository: str = field(init=False, default="")

    def __post_init__(self):
        if not isinstance(self.spec, str) or not self.spec:
            raise ValueError(
                f"A backbone is named by a string such as 'ViT-B-32', not {self.spec!r}."
            )
        for key, value in parse(self.spec).items():
            object.__setattr__(self, key, value)

    @property
    def width(self):
        """Number of values in an embedding; known without weights."""
        if self.is_timm:
            from ._timm import width

            return width(self.architecture)
        return self.config["embed_dim"]

    @property
    def has_projection(self):
        """Whether the image tower ends in a projection; if not, it has one kind of features."""
        if self.is_timm:
            return False
        from ._towers import projects

        return projects(self.config)

    @property
    def pooled_width(self):
        """Number of features before the image tower's last projection; known without weights."""
        if self.is_timm:
            return self.width
        from ._towers import pooled_width

        return pooled_width(self.config)

    @property
    def intermediate_width(self):
        """Number of features of an inner layer of the image tower; known without weights."""
        from ._towers import intermediate_layer

        return intermediate_layer(self)[1]

    @property
    def is_timm(self):
        """Whether it is a model of timm; all others are loaded by open_clip."""
        return self.architecture.startswith(TIMM)

    @property
    def has_text(self):
        """Whether there is a text tower, which heads that start from prompts need."""
        return not self.is_timm

    @property
    def folder(self):
        """Directory that holds the configuration of the model, or None if open_clip has it.

        The configuration of a repository on the hub is fetched if it is not on this machine.
        """
        if self.repository:
            return snapshot(self.repository)
        return None if self.architecture else self.path

    @property
    def config(self):
        """open_clip's configuration of the model; empty for a model of timm."""
        if self.is_timm:
            return {}
        if folder := self.folder:
            return read_config(config_files(folder))["model_cfg"]
        import open_clip

        return open_clip.get_model_config(self.architecture)

    @property
    def preprocess_config(self):
        """Preprocessing in the configuration of a directory; empty for all other models."""
        folder = self.folder
        config = read_config(config_files(folder)) if folder else {}
        return config.get("preprocess_cfg") or {}

    @property
    def config_file(self):
        """File of the configuration in `folder`, or None if open_clip has it."""
        folder = self.folder
        return config_files(folder)[0] if folder else None

    @property
    def is_of_transformers(self):
        """Whether the configuration is one of transformers, which open_clip does not read."""
        file = self.config_file
        return file is not None and file.name != CONFIG

    @property
    def model_name(self):
        """The name under which open_clip knows this model."""
        if self.repository:
            return f"hf-hub:{self.repository}"
        return self.architecture or f"local-dir:{self.path}"

    @property
    def weight_files(self):
        """Your own files with weights, first the one that is read; empty if downloaded."""
        if self.path is None or self.path.is_file():
            return [self.path] if self.path else []
        return weights_in(self.path)

    @property
    def files(self):
        """Your own files that the model consists of; empty if the model is downloaded.

        Other files with weights may lie beside: of an optimizer, or of the next epoch.
        """
        config = config_files(self.path) if self.path and self.path.is_dir() else []
        return config + self.weight_files[:1]

    @property
    def tokenizer_files(self):
        """Your own files that the tokenizer may read, besides its configuration."""
        if self.path is None or self.path.is_file():
            return []
        text = self.config.get("text_cfg") or {}
        vocabulary = (text.get("tokenizer_kwargs") or {}).get("bpe_path")
        found = [self.path / vocabulary] if vocabulary else []
        if text.get("hf_tokenizer_name"):
            beside = set(self.path.iterdir()) - set(self.files)
            found += [file for file in beside if file.suffix in _SUFFIXES_OF_TOKENIZERS]
        return sorted(file for file in found if file.is_file())

    def _tokenizer_options(self):
        """Return options for open_clip; raise ValueError if the vocabulary is out of place."""
        options = (self.config.get("text_cfg") or {}).get("tokenizer_kwargs") or {}
        if "bpe_path" in options and self.config_file:
            return {"bpe_path": str(find_vocabulary(options["bpe_path"], self.config_file))}
        return options

    @property
    def version(self):
        """The version of the model: its files, or the commit; empty for a pretrained tag."""
        if self.repository:
            return (self.folder.name,)
        times = tuple(file_version(file) for file in self.files + self.tokenizer_files)
        # An architecture of the user's own can be registered again with other settings.
        is_file = self.path and self.architecture and not self.is_timm
        return (json.dumps(self.config, sort_keys=True), *times) if is_file else times


def weights_in(folder):
    """Return the files in a folder that open_clip takes for weights; it reads the first."""
    files = [file for file in folder.iterdir() if file.suffix in _SUFFIXES_IN_DIRECTORY]
    return sorted(files, key=_preference)


def _preference(file):
    place = PREFERRED.index(file.name) if file.name in PREFERRED else len(PREFERRED)
    return place, file.suffix != ".safetensors", file


def resolve_backbones(backbones):
    """Make a list of backbones from their names.

    Parameters
    ----------
    backbones : str or list of str
        ``"zoo"`` (the five models of the zoo), ``"paper"`` (the nine OpenAI models), one spec or
        several; see :class:`Backbone`.

    Returns
    -------
    list of Backbone
        In the order given, each once.

    Raises
    ------
    ValueError
        If the list is empty or has no order, or if a backbone is unknown or appears twice.

    See Also
    --------
    Backbone : A backbone by name.
    skclipens.list_backbones : Names, sizes and costs.

    Examples
    --------
    >>> from skclipens.backbones import resolve_backbones
    >>> [backbone.name for backbone in resolve_backbones(["RN50", "zoo/ViT-8"])]
    ['RN50/openai', 'zoo/ViT-8']
    """
    groups = {"zoo": [f"zoo/{name}" for name in zoo.MODELS], "paper": list(PAPER)}
    if not isinstance(backbones, Iterable):
        raise ValueError(f"backbones is {backbones!r}; give a name or a list of names.")
    specs = [backbones] if isinstance(backbones, str) else list(backbones)
    if isinstance(backbones, (Set, Mapping)):
        raise ValueError(
            f"backbones is a {type(backbones).__name__}; give a list, whose order is that of the "
            "columns."
        )
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

"""What a backbone is: its name, its size and where its weights are. Nothing is loaded."""

import json
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from .. import zoo
from ._catalogue import PAPER
from ._weights import QUICKGELU, weight_files

CONFIG = "open_clip_config.json"


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
        return json.loads((self.path / CONFIG).read_text("utf-8"))["model_cfg"]

    @property
    def model_name(self):
        """The name under which open_clip builds this model."""
        return self.architecture or f"local-dir:{self.path}"

    @property
    def version(self):
        """What changes when a file of the model is written again; empty for a pretrained tag."""
        if self.path is None:
            return ()
        files = [self.path / CONFIG] if self.path.is_dir() else []
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
    if (directory / CONFIG).is_file():
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
            f"holds {CONFIG}, or 'zoo/NAME'."
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
    groups = {"zoo": [f"zoo/{name}" for name in zoo.MODELS], "paper": list(PAPER)}
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

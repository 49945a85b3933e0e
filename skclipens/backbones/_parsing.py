"""What a spec that a user writes means."""

import re
from difflib import SequenceMatcher
from pathlib import Path

from .. import zoo
from ._hub import CONFIG
from ._pretrained import QUICKGELU

_HUB = "hf-hub:"  # as in open_clip


def parse(spec):
    """The fields of the Backbone that a spec names.

    Parameters
    ----------
    spec : str

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If the spec names nothing that is known.
    """
    family, slash, model = spec.partition("/")
    if family == "zoo" and slash:
        return _parse_zoo(spec, model)
    if spec.startswith(_HUB):
        return _parse_repository(spec)
    directory = Path(spec).expanduser().absolute()
    if (directory / CONFIG).is_file():
        return {"name": spec, "path": directory}
    # "NAME//path" is relative, "NAME///path" is absolute.
    model, slashes, path = spec.partition("//")
    architecture, slash, tag = model.partition("/")
    if slashes and not slash:
        _check_architecture(architecture, spec)
        return {"name": spec, "architecture": architecture, "path": _existing_file(path, spec)}
    fields = _parse_pretrained(architecture, tag if slash else "openai", spec)
    if slashes:
        fields |= {"name": f"{fields['name']}//{path}", "path": _existing_file(path, spec)}
    return fields


def _parse_zoo(spec, model):
    if model not in zoo.MODELS:
        listed = ", ".join(f"zoo/{name}" for name in zoo.MODELS)
        raise ValueError(f"The zoo has no model {model!r}; it has {listed}.")
    return {"name": spec, "path": zoo.WEIGHTS / model}


def _parse_repository(spec):
    repository = spec.removeprefix(_HUB)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(
            f"{spec!r} names no repository of the Hugging Face hub; one is '{_HUB}ORG/NAME'."
        )
    return {"name": spec, "repository": repository}


def _parse_pretrained(architecture, tag, spec):
    import open_clip

    _check_architecture(architecture, spec)
    architecture = architecture.removesuffix(QUICKGELU)
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag not in tags:
        raise ValueError(
            f"There are no pretrained weights {tag!r} of {architecture!r}, only "
            f"{', '.join(tags) or '(none)'}. A file of your own is named "
            f"'{architecture}//path/to/file'."
        )
    return {"name": f"{architecture}/{tag}", "architecture": architecture, "tag": tag}


def _check_architecture(architecture, spec):
    import open_clip

    models = open_clip.list_models()
    if architecture in models:
        return
    similar = nearest({architecture, spec.partition("//")[0]}, models)
    raise ValueError(
        f"Unknown backbone {spec!r}{f', did you mean {similar!r}?' if similar else '.'} "
        "A backbone is 'NAME' or 'NAME/TAG' of an open_clip model "
        "(open_clip.list_pretrained() lists them), 'NAME//path/to/file' or "
        f"'NAME/TAG//path/to/file', a directory that holds {CONFIG}, '{_HUB}ORG/NAME', or "
        "'zoo/NAME'."
    )


def nearest(words, names):
    """The name that one of some words is most like, whatever their case, or None."""

    def likeness(name):
        return max(SequenceMatcher(None, word.lower(), name.lower()).ratio() for word in words)

    best = max(names, key=likeness)
    return best if likeness(best) >= 0.6 else None


def _existing_file(path, spec):
    path = Path(path).expanduser().absolute()
    if not path.is_file():
        raise ValueError(f"{spec!r}: there is no file {str(path)!r}.")
    return path

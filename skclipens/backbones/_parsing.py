"""Parse the spec of a backbone."""

import re
from pathlib import Path

from .. import zoo
from .._utils._messages import nearest
from ._catalogue import TIMM
from ._configs import CONFIG, config_files
from ._pretrained import QUICKGELU

_HUB, _LOCAL = "hf-hub:", "local-dir:"  # as in open_clip
_BLOCK = re.compile(r"(.+)@((pooled|intermediate)(\+views)?|views)")
# OpenAI's repositories on the hub, which are for transformers.
_OF_OPENAI = re.compile(r"openai/clip-vit-([a-z])[a-z]+-patch(\d+(-336)?)")


def parse(spec):
    """Return the fields of the Backbone that a spec names.

    Raise ValueError if it names no known model.
    """
    _refuse_several(spec)
    _refuse_block(spec)
    _refuse_name_for_transformers(spec)
    family, slash, model = spec.partition("/")
    if family == "zoo" and slash:
        return _parse_zoo(spec, model)
    if spec.startswith(_HUB):
        return _parse_repository(spec)
    if spec.startswith(TIMM):
        return _parse_timm(spec)
    if names_directory(spec):
        _refuse_two_meanings(spec)
        return {"name": spec, "path": _directory(spec)}
    # "NAME//path" is relative, "NAME///path" is absolute.
    model, slashes, path = spec.partition("//")
    architecture, slash, tag = model.partition("/")
    if slashes and not slash:
        _check_architecture(architecture, spec)
        return {"architecture": architecture, **_file_fields(architecture, path, spec)}
    fields = _parse_pretrained(architecture, tag if slash else "openai", spec)
    return fields | _file_fields(fields["name"], path, spec) if slashes else fields


def _refuse_several(spec):
    if "," not in spec:
        return
    if not ("//" in spec or spec.startswith(("/", ".", "~")) or names_directory(spec)):
        names = [name.strip() for name in spec.split(",")]
        raise ValueError(f"{spec!r} is one string of several names: give a list, {names}.")


def _refuse_block(spec):
    """Raise ValueError if a spec is the name of columns that an embedder makes."""
    block = _BLOCK.fullmatch(spec)
    if block and "//" not in spec and not names_directory(spec):
        raise ValueError(
            f"{spec!r} is the name of columns. Name the backbone, {block[1]!r}; the parameters "
            "'features' and 'views' of an embedder say which columns it makes of an image."
        )


def _refuse_name_for_transformers(spec):
    known = _OF_OPENAI.fullmatch(spec)
    if known and not names_directory(spec):
        same = f"ViT-{known[1].upper()}-{known[2]}"
        raise ValueError(
            f"{spec!r} holds weights for transformers. Name the same weights {same!r}."
        )


def names_directory(spec):
    """Return whether a spec is the path of a directory that holds a model."""
    return config_files(_directory(spec))[0].is_file()


def _directory(spec):
    return Path(spec.removeprefix(_LOCAL)).expanduser().absolute()


def _refuse_two_meanings(spec):
    """Raise ValueError if a spec names a pretrained model and also a directory."""
    architecture, _, tag = spec.partition("/")
    if architecture in ("", ".", "..", "~"):
        return
    import open_clip

    if (tag or "openai") in open_clip.list_pretrained_tags_by_model(architecture):
        raise ValueError(
            f"{spec!r} is a pretrained model of open_clip, and also a directory here that holds "
            f"a model. Name it './{spec}' if the directory is meant; rename the directory if not."
        )


def _parse_zoo(spec, model):
    if model not in zoo.MODELS:
        listed = ", ".join(f"zoo/{name}" for name in zoo.MODELS)
        hint = _did_you_mean(nearest({model}, zoo.MODELS), "zoo/")
        raise ValueError(f"The zoo has no model {model!r}{hint} It has {listed}.")
    return {"name": spec, "path": zoo.WEIGHTS / model}


def _parse_repository(spec):
    repository = spec.removeprefix(_HUB)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(
            f"{spec!r} names no repository of the Hugging Face hub; one is '{_HUB}ORG/NAME'."
        )
    return {"name": spec, "repository": repository}


def _parse_timm(spec):
    import timm

    model, slashes, path = spec.removeprefix(TIMM).partition("//")
    name, dot, tag = model.partition(".")
    if not timm.is_model(name):
        hint = _did_you_mean(nearest({name}, timm.list_models()), TIMM)
        raise ValueError(
            f"timm has no model {name!r}{hint} timm.list_models() lists them. An open_clip model "
            f"in a repository of the hub is named '{_HUB}ORG/NAME'."
        )
    architecture = TIMM + name
    if not (dot or slashes):
        tag = timm.get_pretrained_cfg(name).tag
    if not slashes or dot:
        tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{name}.*")]
        _check_tag(architecture, tag, tags)
    name = f"{architecture}.{tag}" if tag else architecture
    fields = {"name": name, "architecture": architecture, "tag": tag}
    return fields | _file_fields(name, path, spec) if slashes else fields


def _parse_pretrained(architecture, tag, spec):
    import open_clip

    _check_architecture(architecture, spec)
    architecture = architecture.removesuffix(QUICKGELU)
    _check_tag(architecture, tag, open_clip.list_pretrained_tags_by_model(architecture))
    return {"name": f"{architecture}/{tag}", "architecture": architecture, "tag": tag}


def _check_tag(architecture, tag, tags):
    if tag not in tags:
        similar = nearest({tag}, tags) if tags else None
        hint = f"Did you mean {architecture + '/' + similar!r}? " if similar else ""
        raise ValueError(
            f"There are no pretrained weights {tag!r} of {architecture!r}, only "
            f"{', '.join(tags) or '(none)'}. {hint}A file of your own is named "
            f"'{architecture}//path/to/file'."
        )


def _check_architecture(architecture, spec):
    import open_clip

    models = open_clip.list_models()
    if architecture in models:
        return
    if having := open_clip.list_pretrained_models_by_tag(spec):
        raise ValueError(
            f"{spec!r} is a tag of pretrained weights, and no backbone: write it behind a name, "
            f"such as '{having[0]}/{spec}'."
        )
    model, _, tag = spec.partition("//")[0].partition("/")
    whole = re.sub("[/@_ ]", "-", spec.partition("//")[0]).removesuffix("px")
    similar = nearest({whole}, models) if whole.lower() in map(str.lower, models) else None
    if tag in open_clip.list_pretrained_models_by_tag(model):
        similar = f"{tag}/{model}"
    elif similar is None and (similar := nearest({model.replace("_", "-"), whole}, models)):
        known = open_clip.list_pretrained_tags_by_model(similar)
        similar += f"/{tag}" if tag in known else ""
    raise ValueError(
        f"Unknown backbone {spec!r}{_did_you_mean(similar)} A backbone is 'zoo/NAME', 'NAME/TAG' "
        f"as open_clip.list_pretrained() lists them, '{_HUB}ORG/NAME', a repository of the hub, or "
        "weights of your own: 'NAME//path/to/file', or a directory that holds "
        f"{CONFIG}.{_misnamed(spec)}"
    )


def _misnamed(spec):
    """Return a sentence for a message if a spec is a file, or no directory, else ``""``.

    The directory may have been moved, or the spec may be relative to another one.
    """
    architecture, slashes, _ = spec.partition("//")
    if architecture and slashes:
        return " One that open_clip.add_model_config adds is known in the process that calls it."
    directory = _directory(spec)
    if directory.is_file():
        return f" This is a file: name {str(directory.parent)!r}, or 'NAME//{directory}'."
    if (directory / "adapter_config.json").is_file():  # of peft
        return (
            " This directory holds an adapter (LoRA): merge it into its model, and save that, "
            "model.merge_and_unload().save_pretrained(...)."
        )
    if slashes or directory.is_dir():
        return ""
    return f" There is no directory {str(directory)!r}."


def _did_you_mean(similar, family=""):
    """Return the hint after an unknown name: the name that may be intended, if any."""
    return f", did you mean {family + similar!r}?" if similar else "."


def _file_fields(model, path, spec):
    """Return the fields that a user's own file adds to those of the model."""
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise ValueError(f"{spec!r}: there is no file {str(file)!r}.")
    return {"name": f"{model}//{path}", "path": file}

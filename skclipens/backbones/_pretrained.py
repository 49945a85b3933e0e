"""Activation and preprocessing that weights need but do not state.

Both are known without reading the weights: from the pretrained tag, from the configuration in a
directory, or from the repository of the hub in whose folder a file lies. open_clip only warns, or
is silent, if OpenAI's weights are loaded with plain GELU. It gives each file OpenAI's mean,
standard deviation and resizing. The embeddings are then silently worse.
"""

from dataclasses import asdict
from functools import cache

from .._utils._messages import listed
from .._utils._warnings import warn
from ._configs import CONFIG
from ._hub import repository_of

QUICKGELU = "-quickgelu"


def uses_quick_gelu(backbone):
    """Return whether a backbone needs QuickGELU: no if nothing is known; see `warn_of_guesses`."""
    if backbone.is_timm:
        return False
    known = {**_facts(backbone), **backbone.config}  # its own settings count more
    return known.get("quick_gelu", False)


def preprocessing(backbone):
    """Return the preprocessing of a backbone; for open_clip, the model determines the size.

    It has the fields of open_clip's ``PreprocessCfg`` without ``size``. If nothing is known, they
    are those of all pretrained weights of the architecture if they agree, else open_clip's default,
    which is OpenAI's; see :func:`warn_of_guesses`. For a model of timm, it is timm's configuration.
    """
    if backbone.is_timm:
        from ._timm import preprocessing

        return preprocessing(backbone)
    facts = {**_facts(backbone), **backbone.preprocess_config}
    if facts:
        return _preprocessing(facts)
    usual = _of_architecture(backbone.architecture)
    return usual[0] if len(usual) == 1 else _preprocessing({})


def warn_of_guesses(backbone):
    """Warn if the results of :func:`uses_quick_gelu` and :func:`preprocessing` are guesses.

    That is if nothing is known about a file, and its architecture exists with either activation, or
    has pretrained weights that need another preprocessing than OpenAI's; or if the configuration in
    a directory has no preprocessing, or no mean or std.
    """
    if _facts(backbone):
        return
    if backbone.architecture:
        _warn_of_activation(backbone)
        _warn_of_preprocessing(backbone)
        return
    said = backbone.preprocess_config
    if backbone.is_of_transformers and not said:
        warn(
            f"{backbone.name!r} does not say how images are prepared, so they are as for OpenAI's "
            "models. Save the processor of its training beside the model, in a directory: "
            "CLIPImageProcessor.from_pretrained(...).save_pretrained(...)."
        )
        return
    lacking = [repr(name) for name in ("mean", "std") if said.get(name) is None]
    if lacking:
        lacks = f"{' and '.join(lacking)} in 'preprocess_cfg'" if said else "'preprocess_cfg'"
        warn(
            f"The configuration in {str(backbone.folder)!r} has no {lacks}, so its images are "
            "prepared as for OpenAI's models. Add the mean, std, interpolation and resize_mode "
            "that it was trained with.",
        )


def _warn_of_activation(backbone):
    import open_clip

    quick = backbone.architecture + QUICKGELU
    if quick in open_clip.list_models():
        warn(
            f"{str(backbone.path)!r} is loaded with plain GELU. If it was trained with QuickGELU, "
            f"as OpenAI's weights were, name it '{quick}//...'.",
        )


def _warn_of_preprocessing(backbone):
    import open_clip

    architecture, file = backbone.architecture, str(backbone.path)
    usual = _of_architecture(architecture)
    tags = listed(open_clip.list_pretrained_tags_by_model(architecture), write=str)
    if len(usual) > 1:
        warn(
            f"{file!r} is loaded with OpenAI's preprocessing, but some pretrained weights of "
            f"{architecture!r} need another. Name it '{architecture}/TAG//...', with the tag of "
            f"the weights that it was made from: {tags}.",
        )
    elif usual and usual[0] != _preprocessing({}):
        warn(
            f"{file!r} is loaded with the preprocessing of the pretrained weights of "
            f"{architecture!r}. If it was made from these, name it '{architecture}/TAG//...', with "
            f"their tag: {tags}. If not, put it into a directory with an {CONFIG}.",
        )


def _facts(backbone):
    """Return open_clip's entry of the pretrained weights or their repository, or an empty dict."""
    import open_clip

    if backbone.tag:
        return open_clip.get_pretrained_cfg(backbone.architecture, backbone.tag)
    known = _hub_repositories()
    return known.get(repository_of(backbone.folder or backbone.path, known), {})


@cache
def _hub_repositories():
    """Return open_clip's entries of pretrained weights, by the name of their repository."""
    import open_clip

    table = [open_clip.get_pretrained_cfg(*names) for names in open_clip.list_pretrained()]
    return {facts["hf_hub"].split("/")[1]: facts for facts in table if facts.get("hf_hub")}


def _of_architecture(architecture):
    """Return the distinct preprocessings of all pretrained weights of an architecture."""
    import open_clip

    different = []
    for tag in open_clip.list_pretrained_tags_by_model(architecture):
        one = _preprocessing(open_clip.get_pretrained_cfg(architecture, tag))
        if one not in different:
            different.append(one)
    return different


def _preprocessing(facts):
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    merged = merge_preprocess_dict(asdict(PreprocessCfg()), facts)
    del merged["size"]
    return merged

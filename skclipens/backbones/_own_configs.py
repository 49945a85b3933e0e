"""Check the configuration in a user's own directory of a model for mistakes."""

from dataclasses import asdict
from numbers import Real

from .._utils._messages import listed
from .._utils._warnings import warn
from ._catalogue import TIMM
from ._hub import CONFIG
from ._parsing import nearest
from ._spec import PREFERRED

_SMALLEST_STD = 0.05  # 0.5 with a zero too many; satellite images are hardly above
_LARGEST_RATIO = 2  # of the std of two channels; below 1.1 for photographs
_OF_BOTH_TOWERS = {  # keys of model_cfg beside its parts, and what they are
    **dict.fromkeys(("quick_gelu", "custom_text", "nonscalar_logit_scale"), False),
    **dict.fromkeys(("init_logit_scale", "init_logit_bias"), 0.0),
}


def check_own_config(backbone):
    """Find mistakes in the configuration of a model in a directory, before it is built.

    Parameters
    ----------
    backbone : Backbone

    Raises
    ------
    ValueError
        If there is a key that open_clip does not know, which it would ignore in
        ``preprocess_cfg``; text instead of a number; a model that timm does not have; or another
        ``embed_dim`` than towers without a projection have.

    Warns
    -----
    SuspectedMistakeWarning
        If the model was probably not trained with a value, or one of several files of weights is
        read only because its name is the first.
    """
    file = str(backbone.folder / CONFIG)
    config, preprocessing = backbone.config, backbone.preprocess_config
    _check_keys(config, preprocessing, file)
    _check_timm(config["vision_cfg"], file)
    _check_widths(config, file)
    for message in (
        _size_message(config["vision_cfg"], preprocessing),
        _std_message(preprocessing.get("std")),
        _fill_message(preprocessing.get("fill_color")),
        _heads_message(config["vision_cfg"]),
    ):
        if message:
            warn(f"{file!r} has {message}")
    _warn_of_files(backbone.weight_files)


def _warn_of_files(files):
    if not files or files[0].name in PREFERRED:
        return
    kind = files[0].suffix == ".safetensors"  # read rather than others
    alike = [file.name for file in files if (file.suffix == ".safetensors") == kind]
    if len(alike) > 1:
        warn(
            f"{str(files[0].parent)!r} holds several files of weights, {listed(alike)}, of which "
            f"{alike[0]!r} is read, the first by name. Keep the one that is meant, or rename it to "
            f"'open_clip_pytorch_model{files[0].suffix}'."
        )


def _check_keys(config, preprocessing, file):
    from open_clip import CLIPTextCfg, CLIPVisionCfg
    from open_clip.transform import PreprocessCfg

    whole = {key: config[key] for key in config if key in _OF_BOTH_TOWERS}
    for part, values, known in (
        ("model_cfg", whole, _OF_BOTH_TOWERS),
        ("vision_cfg", config["vision_cfg"], asdict(CLIPVisionCfg())),
        ("text_cfg", config["text_cfg"], asdict(CLIPTextCfg())),
        ("preprocess_cfg", preprocessing, asdict(PreprocessCfg())),
    ):
        for key, value in values.items():
            if key not in known:
                similar = nearest({key}, known)
                hint = f"Did you mean {similar!r}?" if similar else f"It knows {', '.join(known)}."
                raise ValueError(
                    f"{file!r} has {key!r} in {part!r}, which open_clip does not know. {hint}"
                )
            if isinstance(value, str) and isinstance(known[key], Real):
                kind = "true or false" if isinstance(known[key], bool) else "a number"
                raise ValueError(
                    f"{file!r} has {key!r}: {value!r} in {part!r}. It is {kind}: write it "
                    "without quotes."
                )


def _check_timm(vision, file):
    name = vision.get("timm_model_name")
    if not name or "/" in name:  # a model on the hub
        return
    import timm

    if not timm.is_model(name):
        similar = nearest({name}, timm.list_models())
        hint = f"Did you mean {similar!r}? " if similar else ""
        raise ValueError(
            f"{file!r} has 'timm_model_name': {name!r} in 'vision_cfg', which timm does not have. "
            f"{hint}timm.list_models() lists them."
        )


def _check_widths(config, file):
    """Raise ValueError if a tower without a projection has other values than ``embed_dim``."""
    from open_clip import CLIPTextCfg

    from ._timm import width
    from ._towers import projects

    text = CLIPTextCfg(**config["text_cfg"])
    widths = {}
    if not projects(config):
        widths["image"] = width(TIMM + config["vision_cfg"]["timm_model_name"])
    if text.proj_type == "none" and not text.hf_model_name:
        widths["text"] = text.width
    for tower, n_values in widths.items():
        if n_values != config["embed_dim"]:
            raise ValueError(
                f"{file!r} has 'embed_dim': {config['embed_dim']} in 'model_cfg', but its {tower} "
                f"tower, which has no projection, gives {n_values} values. Write this number, or "
                "the projection of its training."
            )


def _size_message(vision, preprocessing):
    """Return a warning if ``size`` is not the ``image_size`` that images are resized to."""
    from open_clip import CLIPVisionCfg

    size = vision.get("image_size") or CLIPVisionCfg.image_size
    written = preprocessing.get("size")
    if written is None or _two(written) == _two(size):
        return None
    there = "" if vision.get("image_size") else ", as where none is written"
    return (
        f"'size': {written} in 'preprocess_cfg', but images are resized to the 'image_size' of "
        f"'vision_cfg', which is {size}{there}. Write the size of its training in both."
    )


def _two(size):
    sides = list(size) if isinstance(size, (list, tuple)) else [size]
    return sides * 2 if len(sides) == 1 else sides


def _std_message(std):
    values = std if isinstance(std, list) else [std] if std is not None else []
    if values and (min(values) <= _SMALLEST_STD or max(values) > _LARGEST_RATIO * min(values)):
        return (
            f"'std': {std} in 'preprocess_cfg'. Of photographs, it is between 0.1 and 0.5 in all "
            "channels, and nearly the same. Write that of its training."
        )
    return None


def _fill_message(color):
    """Return a warning if the colour of the padding is 1, which is white in pixels from 0 to 1."""
    if color in (1, [1], [1, 1, 1]):
        return (
            f"'fill_color': {color} in 'preprocess_cfg', which is nearly black: colours are from 0 "
            "to 255. Write that of its training."
        )
    return None


def _heads_message(vision):
    """Return a warning if a vision transformer's width is no multiple of its head width."""
    from open_clip import CLIPVisionCfg

    layers = vision.get("layers", CLIPVisionCfg.layers)
    if vision.get("timm_model_name") or not isinstance(layers, int):
        return None
    width = vision.get("width") or CLIPVisionCfg.width
    of_head = vision.get("head_width") or CLIPVisionCfg.head_width
    if width % of_head == 0:
        return None
    there = "" if vision.get("head_width") else ", as where none is written"
    return (
        f"'width': {width} in 'vision_cfg', which is no multiple of 'head_width': {of_head}"
        f"{there}. Write the head_width of its training."
    )

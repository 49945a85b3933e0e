"""Check the configuration in a user's own directory of a model for mistakes."""

from dataclasses import asdict
from numbers import Real

from .._utils._messages import listed, nearest
from .._utils._warnings import warn
from ._catalogue import TIMM
from ._spec import PREFERRED

_OF_BOTH_TOWERS = {  # keys of model_cfg beside its parts, and what they are
    **dict.fromkeys(("quick_gelu", "custom_text", "nonscalar_logit_scale"), False),
    **dict.fromkeys(("init_logit_scale", "init_logit_bias"), 0.0),
}


def check_own_config(backbone):
    """Find mistakes in the configuration of a model in a directory, before it is built.

    Raise ValueError if weights are in several parts; if there is a key that open_clip does not
    know, which it would ignore in ``preprocess_cfg``; text instead of a number; a model that timm
    does not have; a tower without pooling; or another ``embed_dim`` than towers without a
    projection have. Warn if two sizes differ, or one of several files of weights is read only
    because its name is the first.
    """
    file = str(backbone.config_file)
    config, preprocessing = backbone.config, backbone.preprocess_config
    _check_keys(config, preprocessing, file)
    _check_timm(config["vision_cfg"], file)
    _check_pooling(config, file)
    _check_widths(config, file)
    _warn_of_size(config["vision_cfg"], preprocessing, file)
    _check_files(backbone.weight_files)


def _check_files(files):
    if not files or files[0].name in PREFERRED:
        return
    if list(files[0].parent.glob("*.index.json")):  # of transformers
        parts = listed([file.name for file in files])
        raise ValueError(
            f"{str(files[0].parent)!r} holds weights in several parts, {parts}. Save them in one: "
            "save_pretrained(..., max_shard_size='50GB')."
        )
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


def _check_pooling(config, file):
    vision, text = config["vision_cfg"], config["text_cfg"]
    is_vit = not vision.get("timm_model_name") and not isinstance(vision.get("layers"), list)
    text_is_read = not (text.get("hf_model_name") or text.get("embed_cls"))
    for part, values, what, usual, is_read in (
        ("vision_cfg", vision, "patch of an image", "tok", is_vit),
        ("text_cfg", text, "token of a text", "argmax", text_is_read),
    ):
        if is_read and values.get("pool_type") == "none":
            raise ValueError(
                f"{file!r} has 'pool_type': 'none' in {part!r}, which gives a row for each {what}. "
                f"Write the pool_type of its training, such as {usual!r}."
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


def _warn_of_size(vision, preprocessing, file):
    """Warn if ``size`` is not the ``image_size`` that images are resized to."""
    from open_clip import CLIPVisionCfg

    size = vision.get("image_size") or CLIPVisionCfg.image_size
    written = preprocessing.get("size")
    if written is None or _two(written) == _two(size):
        return
    there = "" if vision.get("image_size") else ", as where none is written"
    warn(
        f"{file!r} has 'size': {written} in 'preprocess_cfg', but images are resized to the "
        f"'image_size' of 'vision_cfg', which is {size}{there}. Write the size of its training in "
        "both."
    )


def _two(size):
    sides = list(size) if isinstance(size, (list, tuple)) else [size]
    return sides * 2 if len(sides) == 1 else sides

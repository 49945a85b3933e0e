"""Image towers of timm, which have no texts, with timm's preprocessing."""

from functools import cache, partial

import timm
import torch

from .._utils._warnings import warn
from ._catalogue import TIMM
from ._hub import repository_of


class ImageTower(torch.nn.Module):
    """A model that has only an image tower, with the interface of open_clip's models."""

    def __init__(self, visual):
        super().__init__()
        self.visual = visual

    def encode_image(self, image, normalize=False):
        """Return the features of a batch of pixels."""
        features = self.visual(image)
        if features.ndim != 2:
            raise ValueError(
                f"timm's {type(self.visual).__name__} gives features of shape "
                f"{tuple(features.shape)}; only models that give one row per image can be used."
            )
        return torch.nn.functional.normalize(features, dim=-1) if normalize else features


def build_tower(backbone):
    """Build a model of timm without its classifier on the CPU and load its weights."""
    model = timm.create_model(
        _model_name(backbone), pretrained=backbone.path is None, num_classes=0
    )
    if backbone.path is not None:
        _warn_of_guesses(backbone)
        model.load_state_dict(_without_classifier(model, backbone.path))
    model.preprocess_cfg = preprocessing(backbone)  # as the models of open_clip have it
    return ImageTower(model)


def preprocessing(backbone):
    """Return the preprocessing of the pretrained tag, or of the default one for a file without."""
    return _preprocessing(_model_name(backbone))


def width(architecture):
    """Return the number of features of a model before its classifier, without weights."""
    return _facts(architecture)[0]


def stages(architecture):
    """Return the widths of the stages, or blocks, of a model, and by how much they reduce it."""
    return _facts(architecture)[1:]


@cache
def _facts(architecture):
    make = partial(timm.create_model, architecture.removeprefix(TIMM), num_classes=0)
    try:
        with torch.device("meta"):
            model = make()
    except RuntimeError:  # in older versions of timm, some models need values to be built
        model = make()
    return model.head_hidden_size, *(
        [stage[key] for stage in model.feature_info] for key in ("num_chs", "reduction")
    )


def _model_name(backbone):
    """Return the name of the model in timm, with its tag if known."""
    name = backbone.architecture.removeprefix(TIMM)
    tag = backbone.tag or _tag_of_repository(name, backbone.path)
    return f"{name}.{tag}" if tag else name


def _tag_of_repository(name, path):
    """Return the tag of the hub repository in whose folder a file lies, or an empty string."""
    repository = repository_of(path, timm.list_pretrained(f"{name}.*")) if path else None
    return repository.partition(".")[2] if repository else ""


def _preprocessing(model_name):
    config = timm.data.resolve_data_config(
        pretrained_cfg=timm.get_pretrained_cfg(model_name).to_dict()
    )
    return {"size": config.pop("input_size")[1:], **config}


def _warn_of_guesses(backbone):
    """Warn if it is unknown which of several preprocessings a file needs."""
    name = _model_name(backbone)
    known = timm.list_pretrained(f"{name}.*")
    if "." not in name and any(_preprocessing(one) != _preprocessing(name) for one in known):
        tags = ", ".join(one.partition(".")[2] for one in known)
        warn(
            f"{str(backbone.path)!r} is loaded with the usual preprocessing of {TIMM + name!r}, "
            f"but some of its pretrained weights need another. Name it '{TIMM}{name}.TAG//...', "
            f"with the tag of the weights that it was made from: {tags}.",
        )


def _without_classifier(model, path):
    state = timm.models.load_state_dict(str(path), weights_only=True)
    names = model.pretrained_cfg.get("classifier") or ()
    names = (names,) if isinstance(names, str) else tuple(names)
    classifier = {f"{name}.{kind}" for name in names for kind in ("weight", "bias")}
    # Some, such as LeViT, have a layer before the classifier that is left out with it.
    parts = {f"{name.rpartition('.')[0]}." for name in names if "." in name}
    parts = tuple(part for part in parts if not any(k.startswith(part) for k in model.state_dict()))
    return {k: v for k, v in state.items() if k not in classifier and not k.startswith(parts)}

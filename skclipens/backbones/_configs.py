"""Read and check the configuration of a model in a directory or repository."""

import json
import os
import re
from filecmp import cmp
from functools import lru_cache
from numbers import Real
from pathlib import Path

from .. import zoo
from .._utils._warnings import warn
from ._transformers import PREPROCESSING, TRANSFORMERS, as_of_open_clip

CONFIG = "open_clip_config.json"
# Of open_clip's tokenizers. Others go to transformers, where "trust_remote_code" runs code.
_TOKENIZER_OPTIONS = {
    *("additional_special_tokens", "bpe_path", "clean", "language"),
    *("reduction_mask", "strip_sep_token"),
}
_MODELS = (
    *(("text_cfg", name) for name in ("hf_model_name", "hf_tokenizer_name")),
    ("vision_cfg", "timm_model_name"),
)
# Values that open_clip asserts without a message. It reads "random" as "bicubic".
_ALLOWED = {
    "mode": ("RGB",),
    "interpolation": ("bicubic", "bilinear", "random"),
    "resize_mode": ("shortest", "longest", "squash"),
}
_NAMED = "'tokenizer_kwargs': {'bpe_path': 'FILE NAME'}"
_NAME = re.compile(r"(hf-hub:)?[\w-][\w.-]*(/[\w-][\w.-]*)?")


def file_version(file):
    """Return what differs once a file was written again."""
    stat = file.stat()
    # Copies and archives may set mtime back, but not ctime.
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size


def config_files(folder):
    """Return the files in a folder that describe its model, first the configuration itself.

    It is open_clip's, whether it exists or not, if the folder has none of transformers.
    """
    file = folder / TRANSFORMERS
    if (folder / CONFIG).is_file() or not file.is_file():
        return [folder / CONFIG]
    beside = [folder / name for name in PREPROCESSING if (folder / name).is_file()]
    return [file, *beside[:1]]


def read_config(files):
    """Return a configuration, checked: a dict of one's own with ``model_cfg``.

    `files` are those of :func:`config_files`. Raise OSError if one cannot be read, and ValueError
    if it is not JSON, or is invalid.
    """
    return json.loads(_checked_text(*files, version=tuple(map(file_version, files))))


@lru_cache(maxsize=256)  # an ensemble asks for the width of each block many times
def _checked_text(file, *beside, version):
    config = _read_json(file)
    if file.name == TRANSFORMERS:
        processor = _read_json(beside[0]) if beside else None
        config = as_of_open_clip(config, processor, file)
    if "model_cfg" not in config:
        raise ValueError(f"{str(file)!r} describes no open_clip model: it has no 'model_cfg'.")
    check_config(config["model_cfg"], file)
    check_preprocessing(config.get("preprocess_cfg") or {}, file)
    return json.dumps(config)


def _read_json(file):
    try:
        content = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{str(file)!r} is not a JSON file: {error}.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{str(file)!r} describes no model: it is no object in {{}}.")
    return content


def check_config(config, file):
    """Raise ValueError if ``model_cfg`` is invalid, or names other options or files than allowed.

    A part may be missing or no object, options may be none of those of open_clip's tokenizers, or a
    model may be named by a path. See :func:`find_vocabulary` for the vocabulary, which images do
    not need.
    """
    _check_parts(config, file)
    options = config["text_cfg"].get("tokenizer_kwargs") or {}
    unknown = sorted(set(options) - _TOKENIZER_OPTIONS)
    if unknown:
        raise ValueError(
            f"{str(file)!r} has {unknown[0]!r} in 'tokenizer_kwargs', which may be "
            f"{', '.join(sorted(_TOKENIZER_OPTIONS))}. Remove it."
        )
    for part, name in _MODELS:
        model = config[part].get(name)
        if model and not (isinstance(model, str) and _NAME.fullmatch(model)):
            raise ValueError(
                f"{str(file)!r} has {name!r}: {model!r}, which is a path or no name. Give the name "
                "of a model, or put its files beside this one."
            )


def _check_parts(config, file):
    _check_is_object(config, "model_cfg", file)
    for name in ("embed_dim", "vision_cfg", "text_cfg"):
        if name not in config:
            raise ValueError(
                f"{str(file)!r} has no {name!r} in 'model_cfg'. Write that of its training."
            )
        if name != "embed_dim":
            _check_is_object(config[name], name, file)
    width = config["embed_dim"]
    if not isinstance(width, int) or width < 1:
        raise ValueError(
            f"{str(file)!r} has 'embed_dim': {width!r} in 'model_cfg'. Write how many values an "
            "embedding has."
        )


def _check_is_object(part, name, file):
    if not isinstance(part, dict):
        raise ValueError(f"{str(file)!r} has {name!r}: {part!r}, which is no object in {{}}.")


def check_preprocessing(config, file):
    """Raise ValueError if ``preprocess_cfg`` is invalid; None in it means open_clip's default.

    `mean` and `std` are one number, or three, for pixels from 0 to 1, `fill_color` for those from 0
    to 255, and other values are among those of open_clip.
    """
    _check_is_object(config, "preprocess_cfg", file)
    for name, value in config.items():
        if value is None:
            continue
        if value not in _ALLOWED.get(name, (value,)):
            may_be = ", ".join(map(repr, _ALLOWED[name]))
        elif name == "mean" and value == 0:
            may_be = "[0, 0, 0]: open_clip takes a single 0 for the mean of OpenAI's models"
        elif name == "mean" and not _are_numbers(value, lambda one: 0 <= one <= 1):
            may_be = "one number or three from 0 to 1: of pixels from 0 to 255, divide it by 255"
        elif name == "std" and not _are_numbers(value, lambda one: 0 < one <= 1):
            may_be = "one number or three above 0, to 1: of pixels from 0 to 255, divide it by 255"
        elif name == "fill_color" and not _are_numbers(value, lambda one: one in range(256)):
            may_be = "one whole number or three from 0 to 255: white is 255"
        else:
            continue
        raise ValueError(
            f"{str(file)!r} has {name!r}: {value!r} in 'preprocess_cfg'. It may be {may_be}. "
            "Write what the model was trained with."
        )


def _are_numbers(value, is_right):
    """Return whether a value is one number, or three, that `is_right` accepts."""
    values = value if isinstance(value, list) else [value]
    return len(values) in (1, 3) and all(isinstance(one, Real) and is_right(one) for one in values)


def check_vocabulary(n_words, config, file):
    """Raise ValueError if a model knows fewer words than its vocabulary has; warn of more.

    `config` is the ``model_cfg`` that is in the file.
    """
    n_known = config["text_cfg"].get("vocab_size", n_words)
    if n_known < n_words:
        raise ValueError(
            f"{str(file)!r} has 'vocab_size': {n_known} in 'text_cfg', but its vocabulary has "
            f"{n_words} words. Put the vocabulary that the model was trained with beside this "
            f"file, and name it in 'text_cfg': {_NAMED}."
        )
    if n_known > n_words and not config["text_cfg"].get("tokenizer_kwargs"):
        warn(
            f"{str(file)!r} has 'vocab_size': {n_known} in 'text_cfg', and names no tokenizer, so "
            f"texts are read with the {n_words} words of OpenAI's models. If it was trained with "
            f"another one, name this in 'text_cfg': 'hf_tokenizer_name', or {_NAMED}."
        )


def find_vocabulary(path, file):
    """Return the path of the vocabulary that the configuration in a file names.

    It is below the folder of the configuration, or the zoo's if `path` leads to a copy of that.
    Raise ValueError if it is anywhere else.
    """
    found = file.parent / path
    folder = file.parent
    if folder.parent.name == "snapshots":  # the hub's cache, whose files are links
        folder = folder.parents[1]
    if Path(os.path.normpath(found)).is_relative_to(file.parent) and (
        found.resolve().is_relative_to(folder.resolve())
    ):
        return found.resolve()
    if found.is_file() and cmp(found, zoo.VOCABULARY, shallow=False):
        return zoo.VOCABULARY
    raise ValueError(
        f"{str(file)!r} has 'bpe_path': {path!r}, which is outside of its folder. Copy the "
        "vocabulary into the folder, and name it by its file name."
    )

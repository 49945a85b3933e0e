"""Configurations of models that lie beside weights: what they may ask for."""

import os
import re
from filecmp import cmp
from pathlib import Path

from .. import zoo

# Those of open_clip's tokenizers. Others go to transformers: "trust_remote_code" runs code.
_TOKENIZER_OPTIONS = {
    *("additional_special_tokens", "bpe_path", "clean", "language"),
    *("reduction_mask", "strip_sep_token"),
}
_MODELS = (
    *(("text_cfg", name) for name in ("hf_model_name", "hf_tokenizer_name")),
    ("vision_cfg", "timm_model_name"),
)
_NAME = re.compile(r"(hf-hub:)?[\w-][\w.-]*(/[\w-][\w.-]*)?")


def check_config(config, file):
    """Raise ValueError if a model's configuration asks for what is not its own.

    Parameters
    ----------
    config : dict
        The part ``model_cfg``.
    file : Path
        Where it stands.

    Raises
    ------
    ValueError
        If it passes options to the tokenizer that open_clip's have not, or names a model by a path.

    See Also
    --------
    find_vocabulary : Where a vocabulary may be; images do without it.
    """
    options = (config.get("text_cfg") or {}).get("tokenizer_kwargs") or {}
    unknown = sorted(set(options) - _TOKENIZER_OPTIONS)
    if unknown:
        raise ValueError(
            f"{str(file)!r} has {unknown[0]!r} in 'tokenizer_kwargs', which may be "
            f"{', '.join(sorted(_TOKENIZER_OPTIONS))}. Remove it."
        )
    for part, name in _MODELS:
        model = (config.get(part) or {}).get(name)
        if model and not (isinstance(model, str) and _NAME.fullmatch(model)):
            raise ValueError(
                f"{str(file)!r} has {name!r}: {model!r}, which is a path or no name. Give the name "
                "of a model, or put its files beside this one."
            )


def find_vocabulary(path, file):
    """The vocabulary that a configuration names.

    Parameters
    ----------
    path : str
        Relative to the folder of the configuration.
    file : Path
        The configuration.

    Returns
    -------
    Path
        Below this folder; or that of the zoo, where `path` leads to a copy of it.

    Raises
    ------
    ValueError
        If it is anywhere else.
    """
    found = file.parent / path
    folder = file.parent
    if folder.parent.name == "snapshots":  # of the hub's cache, whose files are links
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

"""Prompts that a text tower does not read to their end, or cannot tell apart."""

import html
import re
import reprlib
import unicodedata

from .._utils._warnings import warn
from ._loading import load_backbone

_LISTED = 3  # classes that a message names


def warn_of_prompts(backbone, names, templates):
    """Warn of names of classes whose prompts are cut off, or the same as those of others.

    Tokens are looked at only where a prompt has more bytes than tokens are read, or where names
    differ in nothing but case, signs and blanks.

    Parameters
    ----------
    backbone : Backbone
    names : sequence of C str
    templates : sequence of str

    Warns
    -----
    UserWarning
        Names the first such classes, and the backbone.
    """
    n_read = backbone.config["text_cfg"].get("context_length", 77)
    longest = max(len(template.encode()) for template in templates)
    long = [name for name in names if longest + len(name.encode()) > n_read - 2]
    alike = _alike(names)
    if not long and not alike:
        return
    tokenizer = load_backbone(backbone).tokenizer
    cut = [name for name in dict.fromkeys(long) if _is_cut(tokenizer, name, templates, n_read)]
    if cut:
        warn(
            f"Prompts of {len(cut)} classes are longer than the {n_read} tokens that "
            f"{backbone.name!r} reads, and are cut off: {_listed(cut)}. Give shorter class_names."
        )
    # Of names that are cut off, those may be alike that begin alike.
    tokens = {}
    for name in dict.fromkeys([*cut, *alike]):
        prompts = tokenizer([template.replace("{}", name) for template in templates])
        tokens.setdefault(prompts.numpy().tobytes(), []).append(name)
    for same in tokens.values():
        if len(same) > 1:
            warn(
                f"{_listed(same)} are the same text for {backbone.name!r}, which cannot tell these "
                "classes apart. Give them class_names that differ."
            )


def _alike(names):
    """Names that tokenizers may read alike: they differ in case, signs and blanks only."""
    groups = {}
    for name in names:
        plain = unicodedata.normalize("NFKD", html.unescape(html.unescape(name))).casefold()
        groups.setdefault(re.sub(r"\W|_", "", plain), []).append(name)
    return [name for group in groups.values() if len(group) > 1 for name in group]


def _is_cut(tokenizer, name, templates, n_read):
    """Whether a prompt has tokens behind those that are read."""
    prompts = [template.replace("{}", name) for template in templates]
    room = max(len(prompt.encode()) for prompt in prompts) + 4
    tokens = tokenizer([*prompts, ""], context_length=max(room, n_read + 1))
    padding = tokens[-1, -1]
    return bool((tokens[:-1, n_read:] != padding).any())


def _listed(names):
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(reprlib.repr, names[:_LISTED])) + more

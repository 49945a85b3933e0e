"""Prompt templates, and checks of templates and texts."""

import re
import reprlib

import numpy as np

DEFAULT_TEMPLATES = ("a photo of a {}.", "a picture of a {}.", "{}")


def check_templates(templates):
    """Return templates as a tuple of str; None stands for the default ones.

    Raise ValueError if they are one string or empty, or one has no ``{}`` for a name or another
    brace.
    """
    if isinstance(templates, str):
        raise ValueError(f"templates is a list of prompts, got one string: pass [{templates!r}].")
    templates = tuple(DEFAULT_TEMPLATES if templates is None else templates)
    if not templates:
        raise ValueError("templates is empty; None stands for the default ones.")
    for template in templates:
        before, place, after = template.partition("{}") if isinstance(template, str) else ("",) * 3
        if not place or re.search("[{}]", before + after):
            made = "[template('{}') for template in templates]"
            advice = f" Of functions, as open_clip has them, pass {made}." * callable(template)
            raise ValueError(
                f"Each of templates is a string with one '{{}}', where the name of a class goes, "
                f"and no other brace, such as 'a photo of a {{}}.'; got {template!r}.{advice}"
            )
    return templates


def prompts_of(name, templates):
    """Return the prompts of a class; "_" in its name becomes a space, as in names of folders.

    ``format`` is not used, so that a brace in a name stays a brace.
    """
    words = name.replace("_", " ")
    return [template.replace("{}", words) for template in templates]


def check_texts(texts):
    """Return texts as a list of str.

    Raise ValueError if `texts` is one string, is empty, or holds something else than strings with
    words.
    """
    if isinstance(texts, str):
        raise ValueError(f"Expected a list of texts, got one string: pass [{texts!r}].")
    texts = np.asarray(texts, dtype=object)
    if texts.ndim != 1 or not len(texts):
        raise ValueError(f"Expected a list of texts, got an array of shape {texts.shape}.")
    for row, text in enumerate(texts.tolist()):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"Text {row} is {reprlib.repr(text)}: pass words, as a string.")
    return texts.tolist()

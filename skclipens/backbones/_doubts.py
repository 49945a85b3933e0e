"""Prompts that a text tower does not read to their end, or cannot tell apart."""

import html
import re
import reprlib
import unicodedata
from functools import lru_cache

from .._utils._messages import listed
from .._utils._values import alike
from .._utils._warnings import warn
from ._loading import load_backbone
from ._prompts import prompts_of

_NEARLY_ALL = 0.9
_CODE = re.compile(
    r"0\d+|\d{5,}"
    r"|[a-z]{1,3}([-_ ]\d{4,}|\d{5,})"  # as of WordNet. Shorter ones may be names: "A320", "mp3"
    r"|(cls|class|category|label|id|target)[-_ ]?\d+"
    r"|(?=[a-f]*\d)[\da-f-]{8,}"
    r"|true|false|yes|no|positive|negative",  # as sheets write truth
    re.IGNORECASE,
)
# Codes where nothing follows, unlike in "10 euro".
_NUMBER_ALONE = re.compile(r"\d{2,}|v?\d+(\.\d+)+", re.IGNORECASE)
_RUN_TOGETHER = re.compile(r"[^\W_]*[a-z][A-Z][a-z][^\W_]*")
_NUMBER = re.compile(r"(?P<letter>[a-z]?)(?P<number>\d+)", re.IGNORECASE)
_LED = re.compile(r"(?P<code>[a-z]?\d+)[\W_]+(?P<words>[^\W\d_].*)", re.IGNORECASE)


def warn_of_prompts(backbone, names, templates):
    """Warn of names that are codes or no words, or whose prompts are cut off or those of others.

    Tokens are looked at only where a prompt has more bytes than tokens are read, or where names
    differ in nothing but case, signs and blanks.

    Parameters
    ----------
    backbone : Backbone
    names : tuple of C str
    templates : tuple of str

    Warns
    -----
    SuspectedMistakeWarning
        Names the first such classes, and the backbone.
    """
    for message in _doubts_of(backbone, backbone.version, names, templates):
        warn(message)


@lru_cache(maxsize=128)  # each head of an ensemble asks again, in each fold
def _doubts_of(backbone, version, names, templates):
    """What is to be said; the version of the backbone is there to tell results apart."""
    found = [_codes(names), _leading_codes(names), _run_together(names)]
    return [one for one in found if one] + _of_tokens(backbone, names, templates)


def _of_tokens(backbone, names, templates):
    """What is to be said of names whose prompts are cut off, or those of others."""
    n_read = backbone.config["text_cfg"].get("context_length", 77)
    longest = max(len(template.encode()) for template in templates)
    long = [name for name in names if longest + len(name.encode()) > n_read - 2]
    close = [name for group in alike(names, _as_read) for name in group]
    if not long and not close:
        return []
    tokenizer = load_backbone(backbone).tokenizer
    padding = tokenizer([""])[0, -1]
    prompts = {name: prompts_of(name, templates) for name in [*long, *close]}
    cut = [
        name for name in dict.fromkeys(long) if _is_cut(tokenizer, prompts[name], n_read, padding)
    ]
    found = []
    if cut:
        named = listed(cut, write=reprlib.repr)
        found.append(
            f"Prompts of {len(cut)} classes are longer than the {n_read} tokens that "
            f"{backbone.name!r} reads, and are cut off: {named}. Give shorter class_names."
        )
    # Names that begin alike may have the same tokens once they are cut off.
    tokens = {}
    for name in dict.fromkeys([*cut, *close]):
        key = tokenizer(prompts[name]).numpy().tobytes()
        tokens.setdefault(key, []).append(name)
    for same in tokens.values():
        if len(same) > 1:
            named = listed(same, write=reprlib.repr)
            found.append(
                f"{named} are the same text for {backbone.name!r}, which cannot tell these "
                "classes apart. Give them class_names that differ."
            )
    return found


def _codes(names):
    """What to say where nearly all names are codes. A single digit may be the name of a digit."""
    kinds = (_CODE, _NUMBER_ALONE)
    codes = [name for name in names if any(kind.fullmatch(name.strip()) for kind in kinds)]
    codes = list(names) if _are_numbers(names) else codes
    n_digits = sum(len(name) == 1 and name.isdigit() for name in names)
    if not codes or len(codes) < max(_NEARLY_ALL * (len(names) - n_digits), len(names) / 2):
        return None
    return (
        f"Names of classes look like codes: {listed(sorted(codes))}. These say nothing to a text "
        "tower. Give class_names that say in words what is in the pictures, or take heads that "
        "read no names, such as head='linear'."
    )


def _leading_codes(names):
    """What to say where all names begin with a number or code, as "001.Black_footed_Albatross".

    Where numbers tell classes apart, as in "1 euro" and "2 euro", they are meant.
    """
    found = [_LED.fullmatch(name.strip()) for name in names]
    if not all(found) or len({one["words"] for one in found}) < len(names):
        return None
    codes = [one["code"] for one in found]
    is_code = len(set(codes)) == len(codes) and any(_CODE.fullmatch(code) for code in codes)
    if len(names) > 1 and (is_code or _count_classes(codes)):
        return (
            f"Names of classes begin with a number or code: {listed(sorted(names))}. A text tower "
            f"reads it, too: give class_names without it, such as {found[0]['words']!r}."
        )
    return None


def _run_together(names):
    """What to say where most names are words without blanks. A few may be names of brands."""
    found = [name for name in names if _RUN_TOGETHER.fullmatch(name)]
    if len(found) > max(1, len(names) / 2):
        return (
            f"Names of classes run words together: {listed(sorted(found))}. A text tower reads "
            "words: give class_names with blanks between them."
        )
    return None


def _are_numbers(names):
    """Whether names count the classes from 0 or 1 on, as "0" to "42" or "c0" to "c2" do."""
    names = [name.strip() for name in names]
    few = 2 if names[0][:1].isalpha() else 12  # digits are names of digits
    return len(names) > few and _count_classes(names)


def _count_classes(codes):
    """Whether codes are the numbers of the classes from 0 or 1 on, behind one letter or none."""
    found = [_NUMBER.fullmatch(code) for code in codes]
    if not all(found) or len({one["letter"] for one in found}) > 1:
        return False
    numbers = sorted(int(one["number"]) for one in found)
    return numbers in [list(range(a, a + len(codes))) for a in (0, 1)]


def _as_read(name):
    """What tokenizers may read of a name: neither case nor signs nor blanks."""
    plain = unicodedata.normalize("NFKD", html.unescape(html.unescape(name))).casefold()
    return re.sub(r"\W|_", "", plain)


def _is_cut(tokenizer, prompts, n_read, padding):
    """Whether a prompt has tokens behind those that are read."""
    long = [prompt for prompt in prompts if len(prompt.encode()) > n_read - 2]
    if not long:
        return False
    room = max(len(prompt.encode()) for prompt in long) + 4
    tokens = tokenizer(long, context_length=max(room, n_read + 1))
    return bool((tokens[:, n_read:] != padding).any())

"""Warn of class names and prompts that a text tower truncates or cannot distinguish."""

import html
import re
import reprlib
import unicodedata
from functools import lru_cache

from .._utils._class_texts import alike
from .._utils._messages import listed
from .._utils._warnings import unsaid, warn
from ._loading import load_backbone
from ._prompts import prompts_of

_NEARLY_ALL = 0.9
_CODE = re.compile(
    r"0\d+|\d{5,}"
    r"|[a-z]{1,3}([-_ ]\d{4,}|\d{5,})"  # WordNet codes. Shorter ones may be names: "A320", "mp3"
    r"|(cls|label|id|target)[-_ ]?\d+|(class|category)[-_]?\d+"  # "Class 37" is a locomotive
    r"|(?=[a-f]*\d)[\da-f-]{8,}"
    r"|[(\[][-\d.einf]+, ?[-\d.einf]+[)\]]"  # intervals of pandas
    # Dates, as which spreadsheets may read "3-5"
    r"|\d{1,2}[-/. ](jan|feb|m[a\xe4]r|apr|ma[yi]|jun|jul|aug|sep|o[ck]t|nov|de[cz])([-/. ]\d+)?"
    r"|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}"
    r"|true|false|yes|no|wahr|falsch|ja|nein|vrai|faux|oui|non",  # booleans in spreadsheets
    re.IGNORECASE,
)
# A code only if nothing follows, unlike in "10 euro".
_NUMBER_ALONE = re.compile(r"\d{2,}|v?\d+(\.\d+)+|\d[.,]\d+e\+\d+", re.IGNORECASE)
_RUN_TOGETHER = re.compile(r"[^\W_]*[a-z][A-Z][a-z][^\W_]*")
_LONG_WORDS = re.compile(r"[^\W\d_][a-z]{3}[A-Z][a-z]{3}")  # rare in brand names
_NUMBER = re.compile(r"(?P<before>[a-z]?|(class|category) )(?P<number>\d+)", re.IGNORECASE)
_PATH = re.compile(r"(?P<folder>.*)[/\\][^/\\]+")
_FOLDER = re.compile(r".*[/\\].*|\.+|data|datasets?|train|test|val|images?|photos?", re.IGNORECASE)
# And fewest levels
_SEPARATORS = {**dict.fromkeys([";", ">", "|", "::", "»", "›", "→"], 2), "/": 3, "\\": 3}
_ESCAPED = re.compile(r"(?<!\d)%[2-7][\dA-F]|%20", re.IGNORECASE)
_WRITTEN = re.compile(r"""[\[({]\s*(['"]).*\1\s*,?\s*[\])}]|b(['"]).*\2""", re.DOTALL)
_UNSEEN = re.compile("[\u200b\u200e\u200f\u2060\ufeff\xad]")  # others join letters in some scripts
_PROMPT = re.compile(
    r"(an?|the|this) (photo(graph)?|picture|image|drawing|screenshot) (of|shows|contains|is) .*",
    re.IGNORECASE,
)
_LED = re.compile(r"(?P<code>[a-z]?\d+)[\W_]+(?P<words>[^\W\d_].*)", re.IGNORECASE)


def warn_of_prompts(backbones, names, templates):
    """Warn if names are codes, or their prompts are truncated or equal those of another class.

    Prompts are tokenized only if one has more bytes than tokens are read, or if names differ only
    in case, punctuation and spaces. The message names the first of these classes, and all such
    backbones.
    """
    for message in _of_names(names):
        warn(message)
    _warn_of_all({one: _of_tokens(one, one.version, names, templates) for one in backbones})


def warn_of_texts(backbones, texts, templates):
    """Warn if texts have braces, are truncated, or in a script that is rare in the training texts.

    The message names the first of these texts, and all such backbones.
    """
    if braced := [text for text in texts if "{}" in text]:
        warn(
            f"Texts have braces: {listed(braced, write=reprlib.repr)}. They are read as they "
            "stand: write words there, and sentences with '{}' in templates."
        )
    advice = "texts", "Give shorter texts or templates."
    foreign = [text for text in texts if _is_foreign(text)]  # each is a query of its own
    _warn_of_all(
        {
            one: _of_cut(one, _cut(one, texts, templates), *advice)
            + _of_script(one, foreign, "Texts", "texts")
            for one in backbones
        }
    )


def _warn_of_all(messages):
    """Warn once per message, which is the text before and after the names of its backbones."""
    found = {}
    for backbone, of_backbone in messages.items():
        for message in of_backbone:
            found.setdefault(message, []).append(backbone.name)
    for message, names in found.items():
        # Otherwise, the heads of an ensemble, with one backbone each, would repeat it.
        new = unsaid([(message, name) for name in names])
        if new:
            before, after = message
            warn(before + ", ".join(repr(name) for _, name in new) + after)


@lru_cache(maxsize=128)  # each head of an ensemble calls it again, in each fold
def _of_names(names):
    """Return warnings about names that do not depend on the backbone."""
    kinds = _codes, _leading_codes, _run_together, _paths, _escaped, _written, _prompts
    return [found for kind in kinds if (found := kind(names))]


@lru_cache(maxsize=128)
def _of_tokens(backbone, version, names, templates):
    """Return warnings about names whose prompts are truncated, or equal to those of others.

    `version` is only part of the cache key.
    """
    cut = _cut(backbone, names, templates)
    found = _of_cut(backbone, cut, "classes", "Give shorter class_names.")
    found += _of_script(backbone, names, "Names of classes", "class_names")
    close = [name for group in alike(names, _as_read) for name in group]
    # Names that begin alike may have the same tokens once they are truncated.
    tokens = {}
    for name in dict.fromkeys([*cut, *close]):
        key = load_backbone(backbone).tokenizer(prompts_of(name, templates)).numpy().tobytes()
        tokens.setdefault(key, []).append(name)
    for same in tokens.values():
        if len(same) > 1:
            found.append(
                (
                    f"{listed(same, write=reprlib.repr)} are the same text for ",
                    ", which cannot tell these classes apart. Give them class_names that differ.",
                )
            )
    return found


def _of_cut(backbone, cut, what, advice):
    """Return warnings about truncated texts."""
    if not cut:
        return []
    before = f"Prompts of {what} are cut off after {_n_read(backbone)} tokens, which is all that "
    return [(f"{before}is read by ", f": {listed(cut, write=reprlib.repr)}. {advice}")]


def _cut(backbone, texts, templates):
    """Return the texts of which a prompt is truncated."""
    n_read = _n_read(backbone)
    longest = max(len(template.encode()) for template in templates)
    long = [text for text in texts if longest + len(text.encode()) > n_read - 2]
    if not long:
        return []
    tokenizer = load_backbone(backbone).tokenizer
    padding = tokenizer([""])[0, -1]
    return [
        text
        for text in dict.fromkeys(long)
        if _is_cut(tokenizer, prompts_of(text, templates), n_read, padding)
    ]


def _n_read(backbone):
    from open_clip import CLIPTextCfg

    return backbone.config["text_cfg"].get("context_length", CLIPTextCfg.context_length)


def _codes(names):
    """Return a warning if nearly all names are codes. A single digit may name a digit."""
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
    """Return a warning if all names start with a number or code, as "001.Black_footed_Albatross".

    If numbers distinguish the classes, as in "1 euro" and "2 euro", they are intended.
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
    """Return a warning if most names are words without spaces, half of them of long words.

    Brand names such as YouTube and MacBook are written so, too, but mostly have a short word.
    """
    found = [name for name in names if _RUN_TOGETHER.fullmatch(name)]
    n_long = sum(bool(_LONG_WORDS.search(name)) for name in found)
    if len(found) > max(1, len(names) / 2) and 2 * n_long >= len(found):
        return (
            f"Names of classes run words together: {listed(sorted(found))}. A text tower reads "
            "words: give class_names with blanks between them."
        )
    return None


def _paths(names):
    """Return a warning if all names are paths in one folder, or have levels; "cat/dog" has not."""
    found = [_PATH.fullmatch(name.strip()) for name in names]
    folders = {one["folder"] for one in found if one}
    if len(names) > 1 and all(found) and len(folders) == 1 and _FOLDER.fullmatch(*folders):
        return (
            f"Names of classes are paths: {listed(sorted(names))}. A text tower reads all of them: "
            "give class_names without the folder."
        )
    return _levels(names)


def _levels(names):
    """Return a warning if all names have levels, as "bird;gull". "bird/gull" may be a name."""
    for sign, fewest in _SEPARATORS.items():
        found = [[part.strip() for part in html.unescape(name).split(sign)] for name in names]
        found = [list(filter(None, parts)) for parts in found]
        if len(names) > 1 and all(len(parts) >= fewest for parts in found):
            return (
                f"Names of classes have several parts: {listed(sorted(names))}. A text tower reads "
                f"all of them as one name: give class_names of one part, such as {found[0][-1]!r}."
            )
    return None


def _escaped(names):
    """Return a warning if names have invisible characters, or escapes as in URLs."""
    found = [name for name in names if _ESCAPED.search(name) or _UNSEEN.search(name)]
    if not found:
        return None
    return (
        f"Names of classes have signs that are not seen, or are written as in a URL: "
        f"{listed(sorted(found))}. A text tower reads them, too: give class_names without them."
    )


def _written(names):
    """Return a warning if names are written as in Python: as a list or bytes."""
    found = [name for name in names if _WRITTEN.fullmatch(name.strip())]
    if not found:
        return None
    return (
        f"Names of classes are text of a list or of bytes: {listed(sorted(found))}. A text tower "
        'reads all signs: take the words out of them, such as name.strip("[\']") of a list of one.'
    )


def _prompts(names):
    """Return a warning if names have braces as templates, or all are sentences as prompts are."""
    found = [name for name in names if "{}" in name]
    if all(_PROMPT.fullmatch(name.strip()) for name in names):
        found = names
    if not found:
        return None
    return (
        f"Names of classes are prompts: {listed(sorted(found))}. Give class_names as 'cat', which "
        "templates put into sentences such as 'a photo of a {}.'."
    )


def _of_script(backbone, names, what, instead):
    """Return a warning if most names are in a script that is rare in the training texts.

    This is known of models that come with the package, and of pretrained models with OpenAI's
    vocabulary. The user's own models may have been trained with such texts.
    """
    is_known = backbone.name.startswith("zoo/") or (backbone.tag and not backbone.path)
    if not is_known or backbone.config["text_cfg"].get("hf_tokenizer_name"):
        return []
    found = [name for name in names if _is_foreign(name)]
    if 2 * len(found) <= len(names):
        return []
    named = listed(sorted(found), write=reprlib.repr)
    before = f"{what} are not in Latin letters: {named}. The texts that "
    advice = f"Give {instead} in English, or take a model of several languages."
    return [(before, f" learned from were English. {advice}")]


def _is_foreign(name):
    """Return whether a name is a word in a non-Latin script; a single letter may be a symbol."""
    kinds = [unicodedata.name(sign, "") for sign in name if sign.isalpha()]
    others = [kind for kind in kinds if "LATIN" not in kind]
    is_word = len(kinds) > 1 or any(kind.startswith("CJK") for kind in kinds)
    return is_word and 2 * len(others) > len(kinds)


def _are_numbers(names):
    """Return whether names number the classes, from 0 or 1, as "0" to "42" or "c0" to "c2" do."""
    names = [name.strip() for name in names]
    few = 1 if " " in names[0] else 2
    few = 12 if names[0].isdigit() else few  # single digits may name digits
    return len(names) > few and _count_classes(names)


def _count_classes(codes):
    """Return whether codes number the classes from 0 or 1, alone or after the same prefix."""
    found = [_NUMBER.fullmatch(code) for code in codes]
    if not all(found) or len({one["before"] for one in found}) > 1:
        return False
    numbers = sorted(int(one["number"]) for one in found)
    return numbers in [list(range(a, a + len(codes))) for a in (0, 1)]


def _as_read(name):
    """Return a name as tokenizers may read it: without case, punctuation and spaces."""
    plain = unicodedata.normalize("NFKD", html.unescape(html.unescape(name))).casefold()
    return re.sub(r"\W|_", "", plain)


def _is_cut(tokenizer, prompts, n_read, padding):
    """Return whether a prompt has more tokens than the model reads."""
    long = [prompt for prompt in prompts if len(prompt.encode()) > n_read - 2]
    if not long:
        return False
    room = max(len(prompt.encode()) for prompt in long) + 4
    tokens = tokenizer(long, context_length=max(room, n_read + 1))
    return bool((tokens[:, n_read:] != padding).any())

"""The pictures and names that the zoo is trained and validated on, fetched from npm by name."""

import json
import re
import subprocess
import tarfile
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from skclipens.embedding._store import default_path

PICTURE_SIZE = 72

# Twemoji, the test style, is left out on purpose. OpenMoji is for validation only.
TRAINING_STYLES = {
    "noto": ("@iconify-json/noto", "1.2.9"),
    "noto-v1": ("@iconify-json/noto-v1", "1.2.5"),
    "fxemoji": ("@iconify-json/fxemoji", "1.2.2"),
    "emojione": ("@iconify-json/emojione", "1.2.3"),
    "fluent": ("@iconify-json/fluent-emoji", "1.2.7"),
    "fluent-flat": ("@iconify-json/fluent-emoji-flat", "1.2.6"),
    "fluent-high-contrast": ("@iconify-json/fluent-emoji-high-contrast", "1.2.6"),
    "streamline": ("@iconify-json/streamline-emojis", "1.2.4"),
}
OPENMOJI = ("openmoji", "17.0.0")
VALIDATION_STYLE = "openmoji"
_OPENMOJI_FOLDERS = {"openmoji": "color", "openmoji-black": "black"}

_SKIN_TONE = re.compile(r"skin-tone|-tone\d|-(medium-)?(dark|light)$|-medium$")
_DIGITS = "zero one two three four five six seven eight nine".split()


def cache_directory():
    """Return the folder of downloads and rasterised pictures; ``SKCLIPENS_CACHE`` overrides it."""
    directory = Path(default_path()).parent
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def npm_package(name, version):
    """Fetch an npm package by name, once, and return the folder it is unpacked in."""
    folder = cache_directory() / "npm" / f"{name.replace('/', '-').strip('@')}-{version}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as unfinished:
        with tarfile.open(_packed(name, version, unfinished)) as tar:
            tar.extractall(unfinished, filter="data")
        try:
            Path(unfinished, "package").rename(folder)
        except OSError:
            if not folder.exists():  # else another process was faster
                raise
    return folder


def _packed(name, version, folder):
    """Return the archive of a package, which npm writes into a folder."""
    try:
        packed = subprocess.run(
            ["npm", "pack", "--silent", f"{name}@{version}"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        raise RuntimeError(
            f"Fetching {name!r} needs the npm command: install Node.js and try again."
        ) from None
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"npm could not fetch {name}@{version}: {error.stderr}") from None
    return Path(folder, packed.stdout.strip().splitlines()[-1])


@dataclass(frozen=True)
class Emoji:
    """An emoji of the Unicode list, with its CLDR name."""

    code: str
    name: str
    tags: tuple
    category: str
    subcategory: str


@cache
def emoji_table():
    """Return all emoji without skin-tone variants, as a dict from code points to :class:`Emoji`."""
    path = npm_package(*OPENMOJI) / "data" / "openmoji.json"
    return {
        entry["hexcode"].lower(): Emoji(
            entry["hexcode"].lower(),
            entry["annotation"].lower(),
            tuple(tag.strip() for tag in entry["tags"].lower().split(",") if tag.strip()),
            entry["group"],
            entry["subgroups"],
        )
        for entry in json.loads(path.read_text("utf-8"))
        if not entry["group"].startswith("extras")
        and not entry["skintone"]
        and entry["group"] != "component"
    }


def _squeeze(name):
    return re.sub(r"[^a-z0-9]", "", name.lower())


@cache
def _code_of_name():
    codes = {_squeeze(emoji.name): code for code, emoji in emoji_table().items()}
    without_selector = {code.replace("-fe0f", ""): code for code in emoji_table()}
    slugs = json.loads((npm_package(*TRAINING_STYLES["noto"]) / "chars.json").read_text("utf-8"))
    for code, slug in slugs.items():
        known = without_selector.get(code.replace("-fe0f", ""))
        if known:
            codes.setdefault(_squeeze(slug), known)
    return codes


def _code_of_icon(icon):
    icon = re.sub(r"^flag-for-(flag-)?", "flag-", icon)
    icon = re.sub(r"^digit-(\w+)$", lambda m: f"keycap-{_DIGITS.index(m[1])}", icon)
    codes = _code_of_name()
    return codes.get(_squeeze(icon)) or codes.get(_squeeze(re.sub(r"-\d$", "", icon)))


def rasterise(svg):
    """Return an SVG text as an RGBA array of ``PICTURE_SIZE`` pixels a side, centred."""
    try:
        import resvg_py
    except ImportError:
        raise ImportError(
            "Rasterising the training pictures needs resvg-py: pip install 'skclipens[zoo]'."
        ) from None
    png = resvg_py.svg_to_bytes(svg_string=svg, width=PICTURE_SIZE, height=PICTURE_SIZE)
    picture = Image.open(BytesIO(bytes(png))).convert("RGBA")
    canvas = Image.new("RGBA", (PICTURE_SIZE, PICTURE_SIZE))
    canvas.paste(
        picture, ((PICTURE_SIZE - picture.width) // 2, (PICTURE_SIZE - picture.height) // 2)
    )
    return np.asarray(canvas)


def _iconify_svgs(name, version):
    icons = json.loads((npm_package(name, version) / "icons.json").read_text("utf-8"))
    for icon, entry in icons["icons"].items():
        code = None if _SKIN_TONE.search(icon) else _code_of_icon(icon)
        if code:
            box = [
                entry.get("left", 0),
                entry.get("top", 0),
                entry.get("width", icons.get("width", 16)),
                entry.get("height", icons.get("height", 16)),
            ]
            body = entry["body"].replace("currentColor", "#000")
            yield (
                code,
                (
                    '<svg xmlns="http://www.w3.org/2000/svg" '
                    'xmlns:xlink="http://www.w3.org/1999/xlink" '
                    f'width="{box[2]}" height="{box[3]}" viewBox="{" ".join(map(str, box))}">'
                    f"{body}</svg>"
                ),
            )


def _openmoji_svgs(colouring):
    folder = npm_package(*OPENMOJI) / colouring / "svg"
    for code in emoji_table():
        path = folder / f"{code.upper()}.svg"
        if path.exists():
            yield code, path.read_text("utf-8")


def load_style(style):
    """Load the pictures of one style.

    Parameters
    ----------
    style : str
        One of ``TRAINING_STYLES``, ``"openmoji"``, or ``"openmoji-black"`` for its lines alone.

    Returns
    -------
    pictures : ndarray of shape (n, PICTURE_SIZE, PICTURE_SIZE, 4), uint8
        RGBA.
    codes : ndarray of shape (n,), str
        Code points, the keys of :func:`emoji_table`.
    """
    path = cache_directory() / f"pictures-{style}-{PICTURE_SIZE}.npz"
    if not path.exists():
        if style in _OPENMOJI_FOLDERS:
            svgs = _openmoji_svgs(_OPENMOJI_FOLDERS[style])
        else:
            svgs = _iconify_svgs(*TRAINING_STYLES[style])
        codes, pictures = zip(*((code, rasterise(svg)) for code, svg in svgs), strict=True)
        with TemporaryDirectory(dir=path.parent) as unfinished:
            part = Path(unfinished, path.name)
            np.savez(part, pictures=np.stack(pictures), codes=np.array(codes))
            part.replace(path)
    with np.load(path) as stored:
        return stored["pictures"], stored["codes"]

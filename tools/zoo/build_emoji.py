"""Build the data of :func:`skclipens.datasets.load_emoji` from two npm packages.

Usage: ``python -m tools.zoo.build_emoji``. It needs the ``npm`` command.
"""

import csv
import json
from pathlib import Path
from shutil import copyfile, rmtree

from skclipens.datasets._emoji import DATA

from .sources import npm_package

PICTURES = ("emoji-datasource-twitter", "16.0.0")
NAMES = ("openmoji", "17.0.0")


def emoji_rows(pictures, names):
    """List the emoji without their skin-tone variants, in the order of Unicode.

    Parameters
    ----------
    pictures, names : Path
        The unpacked packages.

    Returns
    -------
    list of dict
        With keys "file", "name", "category" and "subcategory".
    """
    named = {
        _key(entry["hexcode"]): entry
        for entry in json.loads((names / "data" / "openmoji.json").read_text("utf-8"))
    }
    emoji = json.loads((pictures / "emoji.json").read_text("utf-8"))
    return [
        {
            "file": entry["image"],
            "name": named[_key(entry["unified"])]["annotation"],
            "category": entry["category"],
            "subcategory": named[_key(entry["unified"])]["subgroups"],
        }
        for entry in sorted(emoji, key=lambda entry: entry["sort_order"])
        if entry["has_img_twitter"]
    ]


def _key(code_points):
    # The packages disagree on where the variation selector is written.
    return code_points.upper().replace("-FE0F", "")


def build(folder=DATA):
    """Write ``emoji.csv`` and ``images/`` into a folder, replacing those it has.

    Parameters
    ----------
    folder : path-like
    """
    folder = Path(folder)
    pictures, names = npm_package(*PICTURES), npm_package(*NAMES)
    rows = emoji_rows(pictures, names)
    rmtree(folder / "images", ignore_errors=True)
    (folder / "images").mkdir(parents=True)
    for row in rows:
        copyfile(pictures / "img" / "twitter" / "64" / row["file"], folder / "images" / row["file"])
    with open(folder / "emoji.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    build()

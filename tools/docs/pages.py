"""Run the Python code of documentation pages, and write what it prints below it.

    python -m tools.docs.pages docs/guide/*.md

A block that cannot run where the tests run has the comment ``<!-- not run: why -->`` before it.
What a block prints stands in a block of text right after it.
"""

import contextlib
import io
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from skclipens.datasets import load_emoji

BLOCK = re.compile(
    r"^(?P<mark><!-- not run: [^\n]+ -->\n)?```python\n(?P<code>.*?)^```\n"
    r"(?:\n```text\n(?P<shown>.*?)^```\n)?",
    re.S | re.M,
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


# Pages that begin with pictures and labels of a reader's own.
_BEGINNINGS = ("docs/index.md", "README.md")


class Block(NamedTuple):
    """A block that was run: its match, the output on the page, and the printed output."""

    match: re.Match
    shown: str
    printed: str


def run(text, name):
    """Run the blocks of a page from top to bottom, except those marked as not run.

    The page is a module while it runs, so that classes that are defined in it can be pickled.
    """
    module = ModuleType("page")
    if name in _BEGINNINGS:
        vars(module).update(_a_readers_own())
    sys.modules["page"] = module
    blocks = []
    try:
        for match in BLOCK.finditer(text):
            if match["mark"]:
                continue
            line = text[: match.start("code")].count("\n")
            code = compile("\n" * line + match["code"], name, "exec")
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed), threadpool_limits(1):  # small matrices
                exec(code, vars(module))
            blocks.append(Block(match, match["shown"] or "", printed.getvalue()))
    finally:
        del sys.modules["page"]
    return blocks


def _a_readers_own():
    """Return the variables of pages that begin with a reader's pictures."""
    emoji = load_emoji(min_class_size=40)
    labels = emoji.target_names[emoji.target]
    new, rng = [1, 150, 301], np.random.default_rng(0)
    table = pd.DataFrame({"photo": emoji.filenames[::4]})
    table[["price", "weight"]] = rng.uniform(1, 10, (len(table), 2))
    table["shop"] = rng.choice(["north", "south"], len(table))
    return {
        "paths": emoji.filenames[::4],
        "labels": labels[::4],
        "new_paths": emoji.filenames[new],
        "table": table,
    }


def same(shown, printed, absolute=0.03, relative=0.05):
    """Return whether a page shows what was printed, up to the last digits of numbers."""
    if _NUMBER.sub("#", shown).split() != _NUMBER.sub("#", printed).split():
        return False
    pairs = zip(_NUMBER.findall(shown), _NUMBER.findall(printed), strict=True)
    return all(abs(float(a) - float(b)) <= absolute + relative * abs(float(b)) for a, b in pairs)


def written(text, blocks):
    """Return the page, with what was printed below each block."""
    for block in reversed(blocks):
        start, end = block.match.span()
        source = text[start:end]
        if block.match["shown"] is not None:
            source = source[: source.index("\n```text\n")]
        if block.printed:
            printed = "\n".join(line.rstrip() for line in block.printed.splitlines())
            source += f"\n```text\n{printed}\n```\n"
        text = text[:start] + source + text[end:]
    return text


def main(pages):
    """Write what is printed into the pages."""
    for page in map(Path, pages):
        text = page.read_text("utf-8")
        page.write_text(written(text, run(text, str(page))), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

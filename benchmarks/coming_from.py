"""The same job with other packages and with skclipens: lines of code, and seconds.

    python -m benchmarks.coming_from [--repeats 3]

Runs the blocks of ``docs/guide/coming_from.md`` from top to bottom and prints a row for each that
prints something, with its lines of code and the best of its times. Models are loaded before.
"""

import argparse
import contextlib
import io
import re
import time
from pathlib import Path

from skclipens.backbones import load_backbones

from ._machine import describe, heading, markdown

PAGE = Path(__file__).parents[1] / "docs/guide/coming_from.md"
_PART = re.compile(
    r"^## (?P<title>[^\n]+)$|^(?P<mark><!-- not run[^\n]*\n)?```python\n(?P<code>.*?)^```",
    re.S | re.M,
)


def blocks(text):
    """Yield the title of the section and the code of each block that runs."""
    title = ""
    for part in _PART.finditer(text):
        if part["title"]:
            title = part["title"]
        elif not part["mark"]:
            yield title, part["code"]


def n_lines(code):
    """Return the number of lines that are neither empty nor a comment."""
    return sum(line.strip()[:1] not in ("", "#") for line in code.splitlines())


def run(found):
    """Yield the seconds and the output of each block."""
    names = {"__name__": "page"}
    for _, code in found:
        printed = io.StringIO()
        start = time.perf_counter()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(PAGE), "exec"), names)
        yield time.perf_counter() - start, printed.getvalue().strip()


def main(arguments=None):
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    load_backbones("zoo")
    found = list(blocks(PAGE.read_text("utf-8")))
    runs = [list(run(found)) for _ in range(options.repeats)]
    rows = []
    last = {title: code for title, code in found}
    for (title, code), *times in zip(found, *runs, strict=True):
        (_, printed), best = times[0], min(seconds for seconds, _ in times)
        if title and printed:
            who = "here" if code == last[title] else "there"
            rows.append([title, who, n_lines(code), f"{best:.2f}", printed.splitlines()[-1]])
    print(heading("Coming from another package", "coming_from", arguments))
    print(f"{describe(['scikit-learn', 'open_clip_torch'])}; best of {options.repeats}.\n")
    print(markdown(["job of", "in", "lines", "seconds", "prints"], rows))


if __name__ == "__main__":
    main()

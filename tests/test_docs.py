"""The Python code of the documentation runs, and the reference names what is public."""

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from threadpoolctl import threadpool_limits

from skclipens.datasets import load_emoji

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^(<!-- not run: [^\n]+ -->\n)?```python\n(.*?)^```$", re.S | re.M)
# How many blocks of a page run, and how many are marked as not run. Change these with the page.
PAGES = {
    "docs/user_guide.md": (45, 3),
    "docs/guide/inputs.md": (6, 0),
    "docs/guide/search.md": (5, 0),
    "docs/guide/tables.md": (4, 1),
    "docs/index.md": (1, 0),
    "README.md": (2, 0),
}
# These begin with pictures and labels of a reader's own.
BEGINNINGS = ("docs/index.md", "README.md")

pytestmark = pytest.mark.skipif(
    not (ROOT / "docs").is_dir(), reason="not in a clone of the repository"
)


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKCLIPENS_CACHE", str(tmp_path))
    module = ModuleType("page")  # classes that are defined in it can be pickled
    monkeypatch.setitem(sys.modules, "page", module)
    if page in BEGINNINGS:
        emoji = load_emoji(min_class_size=60)
        module.labels = emoji.target_names[emoji.target[::4]]
        module.paths, module.new_paths = emoji.filenames[::4], emoji.filenames[1:3]
    text, n_run, n_marked = (ROOT / page).read_text("utf-8"), 0, 0
    for block in BLOCK.finditer(text):
        line = text[: block.start(2)].count("\n")
        code = compile("\n" * line + block[2], page, "exec")
        if block[1]:
            n_marked += 1
        else:
            with threadpool_limits(1):  # small matrices
                exec(code, vars(module))
            n_run += 1
    assert (n_run, n_marked) == PAGES[page]
    assert n_run + n_marked == len(re.findall("^ *(?:```|~~~) *(?:python|py)", text, re.M))


def test_every_page_with_code_is_run():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    with_code = {str(p.relative_to(ROOT)) for p in pages if "```py" in p.read_text("utf-8")}
    assert with_code <= PAGES.keys()


@pytest.mark.parametrize(
    "name",
    [
        "skclipens",
        "skclipens.backbones",
        "skclipens.cascade",
        "skclipens.datasets",
        "skclipens.decomposition",
        "skclipens.embedding",
        "skclipens.ensemble",
        "skclipens.feature_selection",
        "skclipens.heads",
        "skclipens.images",
        "skclipens.inspection",
        "skclipens.metrics",
        "skclipens.model_selection",
        "skclipens.pipeline",
        "skclipens.retrieval",
        "skclipens.utils.estimator_checks",
    ],
)
def test_the_reference_names_what_is_public(name):
    listed = set(re.findall(r"\w+", (ROOT / "docs/api.md").read_text("utf-8")))
    assert set(importlib.import_module(name).__all__) - {"__version__"} <= listed

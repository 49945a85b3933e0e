"""Sphinx configuration; a build uses no network.

sphinx-build -W docs docs/_build/html
"""

import warnings
import zlib
from importlib.metadata import version as installed_version
from pathlib import Path

from threadpoolctl import threadpool_limits

HERE = Path(__file__).parent
# Also in pyproject.toml, README.md and CITATION.cff.
REPOSITORY = "https://github.com/skclipens/skclipens"

project = "skclipens"
author = "the skclipens developers"
copyright = "2026, the skclipens developers"
release = version = installed_version("skclipens")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # MathJax from a package, not from a CDN
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "inventories"]
templates_path = ["_templates"]

html_theme = "pydata_sphinx_theme"
html_title = "skclipens"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
html_theme_options = {
    "github_url": REPOSITORY,
    "navbar_align": "left",  # else it takes two lines on a small screen
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
    "show_toc_level": 2,
}
# Pages without others below or beside them.
_ALONE = "index paper model_card changelog contributing genindex search"
html_sidebars = {page: [] for page in _ALONE.split()}

nitpicky = True  # a reference that leads nowhere is a warning

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_default_options = {
    "members": True,
    "inherited-members": "BaseException,OSError",  # but not from these
}
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # the page of a class has them all
copybutton_exclude = ".linenos, .gp, .go"

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skclipens",),
    "download_all_examples": False,
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "matplotlib_animations": False,
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,
}
# The matrices of the examples are small: one thread is faster.
threadpool_limits(1, user_api="blas")
# What a reader of the gallery cannot act on.
warnings.filterwarnings("ignore", message="The number of unique classes")


def _inventories(folder):
    """Names that these pages link to, packed as Sphinx reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in HERE.glob("inventories/*.txt"):
        header = (
            "# Sphinx inventory version 2\n"
            f"# Project: {source.stem}\n# Version: \n"
            "# The remainder of this file is compressed using zlib.\n"
        )
        packed = header.encode() + zlib.compress(source.read_bytes())
        (folder / f"{source.stem}.inv").write_bytes(packed)
    return folder


_packed = _inventories(HERE / "_build" / "inventories")
intersphinx_mapping = {
    name: (url, str(_packed / f"{name}.inv"))
    for name, url in {
        "joblib": "https://joblib.readthedocs.io/en/stable/",
        "matplotlib": "https://matplotlib.org/stable/",
        "sklearn": "https://scikit-learn.org/stable/",
        "torch": "https://docs.pytorch.org/docs/stable/",
        "torchvision": "https://docs.pytorch.org/vision/stable/",
    }.items()
}

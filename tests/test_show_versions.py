"""What show_versions prints for the report of a bug."""

import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import torch

import skclipens
from skclipens.utils._show_versions import PACKAGES

OF_DEVELOPERS = {"test", "bench", "docs", "dev", "zoo"}
WITH_BROKEN_TORCH = """
import sys
class Broken:
    def find_spec(self, name, path, target=None):
        if name == "torch":
            raise OSError("libcudart.so.12: cannot open shared object file")
sys.meta_path.insert(0, Broken())
import skclipens
skclipens.show_versions()
"""


def test_versions_and_devices_are_printed_without_paths(capsys):
    skclipens.show_versions()
    shown = capsys.readouterr().out
    lines = dict(line.strip().split(": ", 1) for line in shown.splitlines() if ": " in line)
    assert lines["skclipens"] == skclipens.__version__
    assert torch.__version__.startswith(lines["torch"])  # which may lack "+cu132"
    assert lines["auto"].split(", ")[0] in ("cpu", "cuda", "mps")
    assert [line for line in shown.splitlines() if line[0] != " "] == [
        *("System", "Packages", "Devices", "Threads")
    ]
    assert str(Path.home()) not in shown and sys.prefix not in shown


def test_what_users_may_install_is_among_the_packages():
    known = {name.lower().replace("_", "-") for name in PACKAGES}
    for requirement in requires("skclipens"):
        extra = re.search(r"extra == ['\"](\w+)['\"]", requirement)
        if extra is None or extra[1] not in OF_DEVELOPERS:
            assert re.match(r"[\w.-]+", requirement)[0].lower() in known


def test_an_installation_of_torch_that_is_broken_is_told():
    run = subprocess.run(
        [sys.executable, "-c", WITH_BROKEN_TORCH], capture_output=True, text=True, check=True
    )
    assert "torch cannot be imported: libcudart.so.12: cannot open shared object" in run.stdout
    assert "open_clip_torch: " in run.stdout

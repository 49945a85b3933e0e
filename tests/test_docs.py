"""The code of the user guide runs, from top to bottom."""

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[1] / "docs" / "user_guide.md"
BLOCK = re.compile(r"^(<!-- not run.*-->\n)?```python\n(.*?)^```", re.S | re.M)


@pytest.mark.skipif(not GUIDE.exists(), reason="not in a clone of the repository")
def test_the_code_of_the_user_guide_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKCLIPENS_CACHE", str(tmp_path))
    text, names = GUIDE.read_text("utf-8"), {}
    for block in BLOCK.finditer(text):
        line = text[: block.start(2)].count("\n")
        code = compile("\n" * line + block[2], str(GUIDE), "exec")
        if not block[1]:
            exec(code, names)

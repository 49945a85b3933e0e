"""The report of the shell is opened in a browser: names in it are text, whoever made them."""

import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skclipens import make_backbone_pipeline
from skclipens.cli._report import _as_the_model_writes, write_report
from skclipens.cli._rows import Rows
from skclipens.datasets import load_emoji
from skclipens.labels import OpenSetClassifier

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</title></style><svg/onload=alert(1)>",
    "& $\\nosuch{$ %s {0}",
]


class Reader(HTMLParser):
    """Elements with their attributes, and texts, as a browser reads them."""

    def __init__(self):
        super().__init__()
        self.elements, self.texts = [], []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report whose classes, files, experts and title are hostile, with mistakes in it."""
    folder, emoji = tmp_path_factory.mktemp("report"), load_emoji()
    files = []
    for i, path in enumerate(emoji.filenames[:16]):
        # A name of a file has no "/".
        name = HOSTILE[i % 4].replace("/", "\u2215")
        files.append(str(folder / f"{i}{name}.png"))
        shutil.copy(path, files[-1])
    files, labels = np.array(files), np.array(HOSTILE * 4)
    model = make_backbone_pipeline(["zoo/RN20"], head=["linear", (HOSTILE[0], "linear")])
    model.fit(files, labels)
    wrong = np.roll(labels, 1)
    write_report(model, Rows(files, files), wrong, str(folder / "report.html"), title=HOSTILE[2])
    return files, (folder / "report.html").read_text("utf-8")


def test_what_others_named_is_text(report):
    files, text = report
    reader = Reader()
    reader.feed(text)
    allowed = set("html head body meta title style h1 h2 div table tr th td p br img".split())
    assert {tag for tag, _ in reader.elements} <= allowed | {"figure", "figcaption"}
    assert {name for _, found in reader.elements for name in found} <= {
        *("charset", "lang", "name", "content", "class", "style", "alt", "title", "src")
    }
    images = [found for tag, found in reader.elements if tag == "img"]
    assert all(found["src"].startswith("data:image/png;base64,") for found in images)
    assert "<script" not in text and "<svg" not in text and "<img src=x" not in text


def test_names_are_shown_as_they_are(report):
    files, text = report
    reader = Reader()
    reader.feed(text)
    shown = "".join(reader.texts)
    assert all(name in shown for name in HOSTILE)
    titles = {found["title"] for tag, found in reader.elements if tag == "img" and "title" in found}
    assert titles & set(files)


def test_labels_may_be_numbers_and_no_class(tmp_path):
    emoji = load_emoji()
    files, labels = emoji.filenames[:16], np.arange(16) % 2
    rejects = OpenSetClassifier(LogisticRegression(), reject_rate=0.5, cv=2)
    model = make_backbone_pipeline(["zoo/RN20"], estimator=rejects).fit(files, labels)
    assert -1 in model.predict(files)
    write_report(model, Rows(files, files), labels, str(tmp_path / "r.html"), title="numbers")
    assert "<figcaption>-1<br>is: " in (tmp_path / "r.html").read_text("utf-8")


@pytest.mark.parametrize("dtype", [int, float])
def test_whole_numbers_are_the_same_in_any_dtype(dtype):
    labels, classes = np.array([1, 0, -1], dtype), np.array([0, 1], float if dtype is int else int)
    found = _as_the_model_writes(labels, classes, -1, None)
    assert found.tolist() == [1, 0, -1]
    halves = np.array([0.5, 2.0], "float32")
    assert _as_the_model_writes(np.array([0.5, 2.0]), halves, None, None).tolist() == [0.5, 2.0]
    with pytest.raises(ValueError, match="does not know 1 of the classes; the first is '2'"):
        _as_the_model_writes(np.array([0, 2], dtype), classes, None, None)

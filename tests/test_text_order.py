"""Files that are sorted as texts, 1, 10, 2, beside labels for files that are sorted by number."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from _said import no_warning

from skclipens import AdaptiveBackboneEnsemble, CLIPEmbedder, make_backbone_pipeline
from skclipens._mistakes._row_order import warn_of_text_order
from skclipens.datasets import load_emoji
from skclipens.exceptions import SuspectedMistakeWarning

pytest.importorskip("pyarrow")

from skclipens.embedding import read_embeddings

SAID = r"'img10.png' before 'img2.png'.*sort files by number"


@pytest.fixture(scope="module")
def labels():
    return np.repeat(["animal", "face", "object"], 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number, path in enumerate(load_emoji(return_X_y=True)[0][::100][:12]):
        shutil.copy(path, folder / f"img{number}.png")
    return folder


def test_files_of_a_pipeline(folder, labels):
    files = sorted(folder.glob("*.png"))
    clf = make_backbone_pipeline("zoo/RN20")
    with pytest.warns(SuspectedMistakeWarning, match=SAID):
        clf.fit(files, labels)
    by_number = sorted(files, key=lambda path: int(path.stem[3:]))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Files are sorted")
        clf.fit(by_number, labels)


def test_tables_and_files_of_a_table(folder, labels, tmp_path):
    CLIPEmbedder("zoo/RN20").embed_to(tmp_path, folder)
    clf = AdaptiveBackboneEnsemble(head="linear")
    with pytest.warns(SuspectedMistakeWarning, match=SAID):
        clf.fit(read_embeddings(tmp_path), labels)
    with pytest.warns(SuspectedMistakeWarning, match=SAID):
        clf.fit_from(tmp_path, labels)


@pytest.mark.parametrize(
    "names, labels",
    [
        ([f"{name}{i}.png" for name in ("cat", "dog") for i in (1, 10, 2)], [0, 0, 0, 1, 1, 1]),
        ([f"{name}/{i}.png" for name in ("9", "cat") for i in (1, 10, 2)], [0, 0, 0, 1, 1, 1]),
        ([f"{i}.png" for i in (1, 10, 11, 2, 3, 4)], [0, 1, 0, 1, 0, 1]),
        ([f"{i}.png" for i in (1, 10, 11, 2, 3, 4)], list("abcdef")),
        ([f"{i}.png" for i in (1, 10, 11, 2, 3, 4)], [0] * 6),
        ([f"{i}.png" for i in (1, 2, 3, 4, 10, 11)], [0, 0, 0, 1, 1, 1]),
        ([f"{i:02}.png" for i in range(12)], [0] * 4 + [1] * 8),
        ([Path("a"), "b", b"c", "d"], [0, 0, 1, 1]),
        (range(4), [0, 0, 1, 1]),
        ([], [0, 0, 1, 1]),
    ],
)
def test_what_is_right_is_not_doubted(names, labels):
    with no_warning():
        warn_of_text_order(names, labels)

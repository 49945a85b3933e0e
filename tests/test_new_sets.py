"""The new sets: which pictures of a repository they have, and by which names of classes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.paper import _sets, new_sets
from benchmarks.paper.new_sets import LEAST, MOST, SETS, NewSet, draw, lay_out, main
from skclipens.images import load_image


def picture(path, number, shift=0):
    """Save a picture unlike those of other numbers; nearly the same with another shift."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(20, 236, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels + np.uint8(shift)).save(path)
    return path


@pytest.fixture
def source(tmp_path):
    """Two repositories: pictures in folders of classes, and with classes in names of files."""
    source = tmp_path / "source"
    for part, start in (("Train", 0), ("Test", 30)):
        for i in range(start, start + 30):
            for label, name in enumerate(("character_3", "digit_0")):
                folder = source / "Hindi-Handwritten-Character-Recognition/dataset" / part / name
                picture(folder / f"{i}.png", 100 * label + i)
    for i in range(LEAST):
        folder = source / "YOLOv3_PyTorch/NEU-DET/IMAGES"
        picture(folder / f"rolled-in_scale_{i}.png", 1000 + i)
        picture(folder / f"patches_{i}.png", 2000 + i)
    (folder / "patches_1.xml").write_text("<a/>", "utf-8")
    return source


def test_each_class_is_a_folder_of_links(source, tmp_path, capsys):
    target = tmp_path / "pictures"
    main([str(source), str(target)])
    printed = capsys.readouterr().out
    assert "| devanagari-handwriting | 2 | 120 |" in printed
    assert "| steel-defects | 2 | 70 |" in printed
    assert {path.name for path in (target / "steel-defects").iterdir()} == {
        "rolled in scale",
        "patches",
    }
    found = _sets.load(str(target / "devanagari-handwriting"))
    assert set(found.y) == {"ga", "zero"}
    assert {Path(file).resolve().parent.name for file in found.images} == {"character_3", "digit_0"}


def test_sets_and_the_number_of_pictures_can_be_chosen(source, tmp_path, capsys):
    main([str(source), str(tmp_path / "pictures"), "--sets", "steel-defects", "--most", "33"])
    assert capsys.readouterr().out.splitlines()[2:] == ["| steel-defects | 2 | 66 |"]
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["steel-defects"]


def test_pictures_that_are_there_are_not_mixed_with_others(source, tmp_path):
    lay_out(source, tmp_path / "pictures")
    with pytest.raises(FileExistsError):
        lay_out(source, tmp_path / "pictures")


@pytest.mark.parametrize("similar", [False, True])
def test_copies_and_near_copies_are_left_out(tmp_path, similar):
    paths = [picture(tmp_path / f"{i}.png", i) for i in range(LEAST)]
    copy, near = tmp_path / "copy.png", picture(tmp_path / "near.png", 1, shift=3)
    copy.write_bytes(paths[0].read_bytes())
    rows = draw([*paths, copy, near], ["a"] * (LEAST + 2), similar)
    assert len(rows) == LEAST + similar
    found = [np.asarray(load_image([*paths, copy, near][i])).astype(int) for i in rows]
    assert not any((one == other).all() for i, one in enumerate(found) for other in found[:i])


def test_classes_are_capped_and_have_a_least_size(tmp_path):
    paths = [picture(tmp_path / f"{i}.png", i) for i in range(MOST + LEAST + 10)]
    classes = ["many"] * (MOST + 10) + ["few"] * (LEAST - 1) + ["one"]
    rows = draw(paths, classes, similar=True)
    assert [classes[i] for i in rows] == ["many"] * MOST


def test_a_legend_names_the_classes(tmp_path):
    wanted = NewSet("a/b", ("images",), legend="legend.csv")
    files = [picture(tmp_path / "images" / name, i) for i, name in enumerate(("a.png", "b.png"))]
    (tmp_path / "legend.csv").write_text("user,image,emotion\n1,b.png,Anger\n", "utf-8")
    assert new_sets.classes_of(wanted, tmp_path) == (files[1:], ["anger"])


def test_the_page_of_results_has_the_sets():
    page = Path(__file__).parents[1] / "docs/results/new-sets.md"
    text = page.read_text("utf-8")
    for name, wanted in SETS.items():
        assert f"| {name} |" in text
        assert f"[{wanted.repository}](https://github.com/{wanted.repository})" in text

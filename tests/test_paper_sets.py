"""Sets of the paper's harness: what they are laid out from, and who may choose by them."""

from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import _benchmark_layouts as layouts
import numpy as np
import pytest
from PIL import Image

from benchmarks.paper import _openmoji, _roles, _sets, duplicates
from benchmarks.paper._image_set import ImageSet, MissingSetError, capped
from benchmarks.paper.photographs import DOMAINS, LAYOUTS, lay_out, main
from skclipens.datasets import fetch_benchmark
from skclipens.datasets._benchmark_specs import read_classes
from skclipens.images import load_image

ROOT = Path(__file__).parents[1]


def picture(path, number):
    """A picture unlike all others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """What a user has: checkouts of public repositories, here with few and small pictures."""
    root = tmp_path_factory.mktemp("source")
    numbers = iter(range(10**6))
    signs = root / "gtsrb" / "GTSRB"
    for label, number in ((0, 0), (0, 1), (1, 2), (1, 3)):
        picture(signs / "Final_Training" / "Images" / f"{label:05d}" / f"{number}.ppm", number)
        picture(signs / "Final_Test" / "Images" / f"{number:05d}.ppm", 10 + number)
    rows = ["Filename;ClassId", *(f"{number:05d}.ppm;{number // 2}" for number in range(4))]
    layouts.write(signs / "Final_Test" / "GT-final_test.csv", layouts.lines(rows))
    for name, classes in (("cifar10", ("ship", "truck")), ("mnist", "37")):
        for part in ("train", "test"):
            for label in classes:
                for i in range(3):
                    picture(root / name / part / label / f"{i}.png", next(numbers))
    for label in ["BACKGROUND_Google", *read_classes("caltech101")]:
        folder = root / "caltech101" / "101_ObjectCategories" / label
        for i in range(4):
            picture(folder / f"image_{i + 1:04d}.jpg", next(numbers))
    for domain in DOMAINS:
        for label in ("dog", "house"):
            for i in range(3):
                picture(root / "pacs" / "PACS" / domain / label / f"{i}.png", next(numbers))
    tiny_imagenet(root / "tiny-imagenet" / "tiny-imagenet-200", numbers)
    return root


def tiny_imagenet(folder, numbers):
    keys = ["n4", "n2", "n3", "n1"]
    layouts.write(folder / "wnids.txt", layouts.lines(keys))
    words = [f"{key}\tthing {key}, other name" for key in [*keys, "n9"]]
    layouts.write(folder / "words.txt", layouts.lines(words))
    files = [(f"val_{i}.JPEG", keys[i % 4]) for i in range(20)]
    rows = [f"{file}\t{key}\t0\t0\t9\t9" for file, key in files]
    layouts.write(folder / "val" / "val_annotations.txt", layouts.lines(rows))
    for file, _ in files:
        picture(folder / "val" / "images" / file, next(numbers))
    for key in keys:
        picture(folder / "train" / key / "images" / f"{key}_0.JPEG", next(numbers))


@pytest.fixture(scope="module")
def data_home(source, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    assert lay_out(source, home) == list(LAYOUTS)
    return home


@pytest.fixture
def few_emoji(monkeypatch):
    """OpenMoji with few drawings: two classes, and flags."""
    kinds = {"animal-mammal": "animals-nature", "food-fruit": "food-drink", "flag": "flags"}
    table = {}
    for start, (kind, category) in zip((0x2F000, 0x2F100, 0x2F200), kinds.items()):
        for code in range(start, start + 24):
            for variant in ("", "-200d-2640-fe0f"):
                table[f"{code:x}{variant}"] = SimpleNamespace(category=category, subcategory=kind)

    def load_style(style):
        # A style need not have all drawings.
        codes = list(table)[3:] if style == "openmoji" else list(table)[:-5]
        seed = len(style)
        pixels = [np.random.default_rng([seed, i]).integers(0, 256, (8, 8, 4)) for i in range(200)]
        return np.array(pixels[: len(codes)], np.uint8), np.array(codes)

    monkeypatch.setattr("tools.zoo.sources.emoji_table", lambda: table)
    monkeypatch.setattr("tools.zoo.sources.load_style", load_style)
    _openmoji._classes.cache_clear()
    yield load_style
    _openmoji._classes.cache_clear()


@pytest.mark.parametrize("name", ["caltech101", "cifar10", "mnist", "gtsrb"])
def test_fetch_benchmark_reads_what_is_laid_out(name, data_home):
    parts = [
        fetch_benchmark(name, subset=subset, data_home=data_home, download_if_missing=False)
        for subset in ("train", "test")
    ]
    for part in parts:
        assert len(part.images) == len(part.target) > 0
        assert np.asarray(load_image(part.images[0])).shape == (8, 8, 3)
    assert not set(parts[0].images) & set(parts[1].images)


def test_what_is_known_of_a_copy_is_said(data_home):
    assert "re-encoded as JPEG" in _sets.load("cifar10", False, data_home=data_home).gathered_from


def test_laying_out_again_changes_links_only(source, tmp_path, capsys):
    for _ in range(2):
        main([str(source), str(tmp_path)])
    assert "cifar10: re-encoded" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match="Final_Training"):
        (tmp_path / "other" / "gtsrb").mkdir(parents=True)
        lay_out(tmp_path / "other", tmp_path / "home")


def test_sets_that_are_not_laid_out_are_missing(tmp_path):
    for name in ("pacs-photo-to-cartoon", "tiny-imagenet-odd", "caltech101-even", "mnist"):
        with pytest.raises(MissingSetError):
            _sets.load(name, False, data_home=tmp_path)


def test_pacs_trains_on_one_domain_and_tests_on_another(data_home):
    found = _sets.load("pacs-photo-to-cartoon", data_home=data_home)
    for pool, domain in ((found.train, "photo"), (found.test, "cartoon")):
        assert {Path(found.images[i]).parts[-3] for i in pool} == {domain}
    assert set(found.y) == {"dog", "house"}


def test_every_second_class_chooses(data_home):
    even, odd = (
        _sets.load(f"tiny-imagenet-{half}", data_home=data_home) for half in ("even", "odd")
    )
    assert set(even.y) == set(even.class_names) == {"thing n1", "thing n3"}
    assert set(odd.y) == set(odd.class_names) == {"thing n2", "thing n4"}
    assert len(even.train) == 6 and len(even.test) == 4
    assert not set(even.train) & set(even.test)


def test_training_pictures_of_classes_for_validation_are_many_labels(data_home):
    found = _sets.load(_roles.MANY, data_home=data_home)
    assert list(found.y[found.train]) == ["thing n1", "thing n3"]
    assert {Path(found.images[i]).parts[-3] for i in found.train} == {"n1", "n3"}
    assert sorted(found.y[found.test]) == 5 * ["thing n1"] + 5 * ["thing n3"]
    assert _roles.MANY not in _sets.expand(["validation"])


def fingerprints(image_set):
    return {np.asarray(load_image(image)).tobytes() for image in image_set.images}


def test_no_picture_has_two_roles(data_home, few_emoji):
    names = [name for name in _roles.ROLES if name != "tuxpaint"]  # it need not be installed
    seen = {role: set() for role in (_roles.VALIDATION, _roles.TEST)}
    for name in names:
        seen[_roles.role_of(name)] |= fingerprints(_sets.load(name, data_home=data_home))
    assert not seen[_roles.VALIDATION] & seen[_roles.TEST]


def test_what_pacs_has_too_does_not_choose(data_home):
    even = _sets.load("caltech101-even", data_home=data_home)
    assert not set(_roles.IN_PACS_TOO) & {*even.y, *even.class_names}
    odd = _sets.load("caltech101-odd", data_home=data_home)
    assert len(set(even.y)) + len(_roles.IN_PACS_TOO) + len(set(odd.y)) == 101


def test_the_path_of_a_folder_of_classes_is_a_set(data_home, tmp_path):
    folder = str(data_home / "pacs" / "photo")
    (name,) = _sets.expand([folder])
    photos = _sets.load(name)
    assert photos.name == "photo" and _roles.role_of(photos.name) == _roles.TEST
    assert sorted(set(photos.y)) == ["dog", "house"] and len(photos.images) == 6
    assert len(photos.train) == 3 and len(photos.test) == 3
    assert not np.intersect1d(photos.train, photos.test).size
    with pytest.raises(ValueError, match="nor such a folder"):
        _sets.expand([str(tmp_path / "missing")])
    (tmp_path / "empty" / "dog").mkdir(parents=True)
    with pytest.raises(MissingSetError, match="dog"):
        _sets.load(str(tmp_path / "empty"))


def test_every_set_has_one_role():
    groups = _sets.groups()
    choose, report = groups["validation"], {*chain(groups["local"], groups["photographs"])}
    assert {_roles.role_of(name) for name in choose} == {_roles.VALIDATION}
    assert {_roles.role_of(name) for name in {*report, *groups["all"]}} == {_roles.TEST}
    assert {*choose, *report, _roles.MANY} >= _roles.ROLES.keys()
    assert "caltech101" not in groups["all"]


def test_contributing_has_the_roles():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert _roles.table() in text
    assert _roles.RULE in text


def test_a_drawing_is_on_one_side_of_a_change_of_style(few_emoji):
    codes = {}
    for style in ("openmoji", "openmoji-black"):
        pictures, known = few_emoji(style)
        codes |= {pixels.tobytes(): code[:5] for pixels, code in zip(pictures, known)}
    found = _sets.load("openmoji-lines-to-colour")
    train, test = (
        {codes[np.asarray(found.images[i]).tobytes()] for i in pool}
        for pool in (found.train, found.test)
    )
    assert train and test and not train & test
    assert set(found.y[found.train]) == set(found.y[found.test]) == {"mammal", "fruit"}


def test_openmoji_has_no_flags(few_emoji):
    for name in ("openmoji", "openmoji-lines"):
        assert set(_sets.load(name).y) == {"mammal", "fruit"}


def test_pools_are_capped_once():
    y = np.array(["a"] * 30 + ["b"] * 5 + ["a", "b"] * 20)
    rows = np.arange(len(y))
    whole = ImageSet("s", list(rows), y, train=rows[:35], test=rows[35:], gathered_from="here")
    less = capped(whole, 10, 15)
    assert np.unique(less.y[less.train], return_counts=True)[1].tolist() == [10, 5]
    assert len(less.test) == 15
    assert less.y.tolist() == y[less.images].tolist()
    assert max(less.images[i] for i in less.train) < 35 <= min(less.images[i] for i in less.test)
    assert less.gathered_from.endswith("15 of 40 test images, up to 10 of each class to train")
    assert capped(whole, 10, 15).images == less.images
    assert capped(whole, 30, 40) is whole


def test_a_photograph_in_two_sets_is_found(data_home, capsys):
    noise = np.random.default_rng(0).integers(0, 256, (3, 6, 8, 3), dtype=np.uint8)
    pictures = [Image.fromarray(pixels).resize((40, 30)) for pixels in noise]
    again = pictures[1].resize((80, 60))
    plain = np.full((8, 8, 3), 200, np.uint8)
    ours, theirs = duplicates.thumbnails([*pictures, plain]), duplicates.thumbnails([plain, again])
    assert duplicates.same_pictures(ours, theirs).tolist() == [[1, 1]]
    duplicates.main(["--data-home", str(data_home)])
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 4 * 7
    assert all(line.endswith(" 0 pairs") for line in said)

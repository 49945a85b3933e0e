"""Tests of the data sets. Nothing is downloaded."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import get_data_home

from skclipens.datasets import DatasetNotAvailableError, fetch_tuxpaint, load_emoji
from skclipens.datasets._emoji import DATA
from skclipens.images import load_image
from tools.zoo import build_emoji


@pytest.fixture(scope="module")
def emoji():
    return load_emoji()


def test_emoji_classes_are_kinds_of_things(emoji):
    sizes = np.bincount(emoji.target)
    assert len(emoji.target_names) == len(sizes) == 54
    assert sizes.min() >= 12
    assert len(emoji.target) == 1365
    assert {"mammal", "fruit", "musical instrument"} <= set(emoji.target_names)
    assert not any("flag" in name or "skin" in name for name in emoji.target_names)


def test_emoji_are_under_the_right_class(emoji):
    label = emoji.frame.set_index("name")["label"]
    assert label["dog"] == label["elephant"] == "mammal"
    assert label["red apple"] == "fruit"
    assert label["violin"] == "musical instrument"


def test_emoji_names_follow_their_pictures(emoji):
    names = emoji.frame["name"].tolist()
    red, green = (
        np.reshape(load_image(emoji.filenames[names.index(f"{colour} apple")]), (-1, 3)).mean(
            axis=0
        )
        for colour in ("red", "green")
    )
    assert red[0] > red[1] + 50
    assert green[1] > green[0]


def test_emoji_are_small_pictures_with_transparent_parts(emoji):
    assert "images" not in emoji  # paths are what estimators take
    for i in (0, 700, 1364):
        with Image.open(emoji.filenames[i]) as picture:
            alpha = np.asarray(picture.convert("RGBA"))[..., 3]
        assert alpha.shape == (64, 64) and {0, 255} <= set(alpha.flat)


def test_emoji_frame_agrees_with_the_arrays(emoji):
    frame = emoji.frame
    assert list(frame) == ["path", "name", "category", "subcategory", "label", "target"]
    assert frame["path"].tolist() == emoji.filenames.tolist()
    assert frame["label"].tolist() == emoji.target_names[emoji.target].tolist()
    assert all(os.path.isabs(path) for path in frame["path"])


def test_emoji_names_are_one_class_each():
    emoji = load_emoji(target="name", min_class_size=100)
    assert len(emoji.target_names) == len(emoji.target) == len(set(emoji.target)) == 1636
    assert emoji.target_names[emoji.target].tolist() == emoji.frame["name"].tolist()
    assert "flag: Italy" not in emoji.target_names


def test_all_emoji_names_are_there_whatever_the_target(emoji):
    names = set(emoji.all_names)
    assert len(names) == len(emoji.all_names) == 1911
    assert {"red apple", "flag: Italy", "light skin tone"} <= names


def test_emoji_flags_on_request():
    _, y = load_emoji(target="name", include_flags=True, return_X_y=True)
    assert len(y) == 1636 + 270
    assert "flag of a country" in load_emoji(include_flags=True).target_names


def test_emoji_min_class_size_chooses_classes(emoji):
    large = load_emoji(min_class_size=30)
    assert np.bincount(large.target).min() >= 30
    assert set(large.target_names) < set(emoji.target_names)
    everything = load_emoji(min_class_size=1)
    assert len(everything.target) == 1636
    # One name for each subcategory, or two of them would have become one class.
    assert len(everything.target_names) == everything.frame["subcategory"].nunique()


def test_emoji_return_X_y(emoji):
    X, y = load_emoji(return_X_y=True)
    np.testing.assert_array_equal(X, emoji.filenames)
    np.testing.assert_array_equal(y, emoji.target_names[emoji.target])
    X, y = load_emoji(return_X_y=True, as_frame=True)
    assert list(X) == ["path"]
    pd.testing.assert_series_equal(y, emoji.frame["label"])


def test_emoji_as_frame(emoji):
    pd.testing.assert_series_equal(load_emoji(as_frame=True).target, emoji.frame["target"])


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"target": "colour"}, ValueError, "'subcategory', 'name'"),
        ({"min_class_size": 0}, ValueError, "min_class_size"),
        ({"min_class_size": 2.5}, TypeError, "min_class_size"),
        ({"min_class_size": 83}, ValueError, "the largest has 82"),
    ],
)
def test_emoji_rejects_unfit_parameters(params, error, message):
    with pytest.raises(error, match=message):
        load_emoji(**params)


def test_emoji_licence_is_stated(emoji):
    assert "CC-BY 4.0" in emoji.DESCR
    assert "Unicode License V3" in emoji.DESCR
    assert (DATA / "LICENSE.txt").exists()


def test_emoji_data_are_small():
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 6e6


def test_build_emoji_from_the_two_packages(tmp_path, monkeypatch):
    pictures, names = tmp_path / "pictures", tmp_path / "names"
    (pictures / "img" / "twitter" / "64").mkdir(parents=True)
    (names / "data").mkdir(parents=True)
    for file in ("2764-fe0f.png", "1f34e.png"):
        (pictures / "img" / "twitter" / "64" / file).write_bytes(b"pixels of " + file.encode())
    (pictures / "emoji.json").write_text(
        """[
        {"unified": "2764-FE0F", "image": "2764-fe0f.png", "category": "Smileys & Emotion",
         "sort_order": 2, "has_img_twitter": true},
        {"unified": "1F34E", "image": "1f34e.png", "category": "Food & Drink",
         "sort_order": 1, "has_img_twitter": true},
        {"unified": "1F34F", "image": "1f34f.png", "category": "Food & Drink",
         "sort_order": 3, "has_img_twitter": false}]"""
    )
    (names / "data" / "openmoji.json").write_text(
        """[
        {"hexcode": "2764", "annotation": "red heart", "subgroups": "heart"},
        {"hexcode": "1F34E", "annotation": "red apple", "subgroups": "food-fruit"}]"""
    )
    packages = {"emoji-datasource-twitter": pictures, "openmoji": names}
    monkeypatch.setattr(build_emoji, "npm_package", lambda name, version: packages[name])
    stale = tmp_path / "data" / "images" / "stale.png"
    stale.parent.mkdir(parents=True)
    stale.touch()

    build_emoji.build(tmp_path / "data")

    assert (tmp_path / "data" / "emoji.csv").read_text() == (
        "file,name,category,subcategory\n"
        "1f34e.png,red apple,Food & Drink,food-fruit\n"
        "2764-fe0f.png,red heart,Smileys & Emotion,heart\n"
    )
    images = tmp_path / "data" / "images"
    assert sorted(path.name for path in images.iterdir()) == ["1f34e.png", "2764-fe0f.png"]
    assert (images / "1f34e.png").read_bytes() == b"pixels of 1f34e.png"


def write_stamp(root, name, caption, size=(5, 4)):
    path = root / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA", size, (200, 0, 0, 0)).save(path)
    if caption:
        path.with_suffix(".txt").write_text(f"{caption}\nde.utf8=Übersetzt.\n", encoding="utf-8")
    return path


@pytest.fixture
def stamps(tmp_path):
    """An unpacked Debian package with seven stamps; returns its root."""
    root = tmp_path / "usr" / "share" / "tuxpaint" / "stamps"
    write_stamp(root, "animals/birds/crow", "A crow.")
    write_stamp(root, "animals/birds/cartoon/penguin", "A “penguin”.", size=(30, 20))
    write_stamp(root, "animals/mammals/cats/lion", "A lion.")
    write_stamp(root, "animals/mammals/bear", "A bear.")
    write_stamp(root, "symbols/alphabets/asl/a", "The letter A.")
    write_stamp(root, "symbols/alphabets/english/b", "The letter b.")
    write_stamp(root, "oddities/tiny/deep/thing", "A thing.")
    write_stamp(root, "animals/birds/crow_mirror", None)
    (root / "animals" / "birds" / "crow.svg").touch()
    (root / "animals" / "birds" / "crow.ogg").touch()
    return tmp_path


def test_tuxpaint_classes_come_from_folders(stamps):
    dataset = fetch_tuxpaint(stamps, min_class_size=1)
    label = dict(zip(dataset.captions, dataset.target_names[dataset.target], strict=True))
    assert label == {
        "A crow.": "bird",
        "A “penguin”.": "bird",
        "A lion.": "mammal",
        "A bear.": "mammal",
        "The letter A.": "sign language hand",
        "The letter b.": "letter",
        "A thing.": "oddities/tiny",
    }
    assert dataset.n_skipped == {"svg": 1, "no caption": 1, "small class": 0}


def test_tuxpaint_leaves_out_small_classes(stamps):
    dataset = fetch_tuxpaint(stamps, min_class_size=2)
    assert dataset.target_names.tolist() == ["bird", "mammal"]
    assert np.bincount(dataset.target).tolist() == [2, 2]
    assert dataset.n_skipped["small class"] == 3
    with pytest.raises(ValueError, match="min_class_size=12"):
        fetch_tuxpaint(stamps)


def test_tuxpaint_frame_agrees_with_the_arrays(stamps):
    dataset = fetch_tuxpaint(stamps, min_class_size=2)
    frame = dataset.frame
    assert list(frame) == ["path", "caption", "folder", "label", "target"]
    assert frame["path"].tolist() == dataset.filenames.tolist()
    assert frame["caption"].tolist() == dataset.captions.tolist()
    assert frame["target"].tolist() == dataset.target.tolist()
    assert frame.set_index("caption").loc["A lion.", "folder"] == "animals/mammals/cats"


def test_tuxpaint_return_X_y(stamps):
    dataset = fetch_tuxpaint(stamps, min_class_size=2)
    X, y = fetch_tuxpaint(stamps, min_class_size=2, return_X_y=True)
    np.testing.assert_array_equal(X, dataset.filenames)
    np.testing.assert_array_equal(y, dataset.target_names[dataset.target])
    X, y = fetch_tuxpaint(stamps, min_class_size=2, return_X_y=True, as_frame=True)
    assert list(X) == ["path"]
    pd.testing.assert_series_equal(y, dataset.frame["label"])


def test_tuxpaint_reads_a_bare_and_a_relative_folder(stamps, monkeypatch):
    expected = fetch_tuxpaint(stamps, min_class_size=2).filenames
    monkeypatch.chdir(stamps)
    X, _ = fetch_tuxpaint("usr/share/tuxpaint/stamps", min_class_size=2, return_X_y=True)
    np.testing.assert_array_equal(X, expected)


def test_tuxpaint_reads_a_folder_of_home_and_captions_with_a_byte_order_mark(stamps, monkeypatch):
    monkeypatch.setenv("HOME", str(stamps))
    monkeypatch.setenv("USERPROFILE", str(stamps))
    folder = stamps / "usr" / "share" / "tuxpaint" / "stamps" / "animals"
    folder.joinpath("birds", "crow.txt").write_text("A crow.\n", encoding="utf-8-sig")
    for path in ("~", "~/usr/share/tuxpaint/stamps"):
        dataset = fetch_tuxpaint(path, min_class_size=1)
        assert dataset.filenames[1] == str(folder / "birds" / "crow.png")
        assert dataset.captions[1] == "A crow."


def test_tuxpaint_missing_or_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*Leave path out"):
        fetch_tuxpaint(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="No stamps"):
        fetch_tuxpaint(tmp_path)


def test_fetch_tuxpaint_reads_what_is_there(stamps, tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    (home / "skclipens").mkdir()
    stamps.rename(home / "skclipens" / "tuxpaint")
    monkeypatch.setenv("PATH", "")
    assert len(fetch_tuxpaint(data_home=home, min_class_size=2).target) == 4
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(home))
    assert len(fetch_tuxpaint(min_class_size=2).target) == 4


def test_fetch_tuxpaint_says_why_it_cannot(tmp_path, monkeypatch):
    with pytest.raises(DatasetNotAvailableError, match="download_if_missing=False"):
        fetch_tuxpaint(data_home=tmp_path, download_if_missing=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DatasetNotAvailableError, match=r"apt-get.*packages\.debian\.org.*as path"):
        fetch_tuxpaint(data_home=tmp_path)


def write_command(folder, name, script):
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.skipif(os.name != "posix", reason="writes shell scripts")
def test_fetch_tuxpaint_unpacks_the_package_without_its_sounds(
    stamps, tmp_path_factory, monkeypatch
):
    commands, home = tmp_path_factory.mktemp("commands"), tmp_path_factory.mktemp("home")
    write_command(commands, "apt-get", 'test "$1" = download && touch "$2_1_all.deb"')
    write_command(commands, "dpkg-deb", f'test -e "$2" && tar -C "{stamps}" -c .')
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")

    dataset = fetch_tuxpaint(data_home=home, min_class_size=2)

    assert set(dataset.captions) == {"A “penguin”.", "A crow.", "A lion.", "A bear."}
    folder = home / "skclipens" / "tuxpaint"
    assert all(Path(path).is_relative_to(folder) for path in dataset.filenames)
    assert not list(folder.rglob("*.ogg"))
    assert [path.name for path in folder.parent.iterdir()] == ["tuxpaint"]


@pytest.mark.skipif(os.name != "posix", reason="writes shell scripts")
def test_fetch_tuxpaint_passes_on_what_apt_says(tmp_path, monkeypatch):
    for command in ("apt-get", "dpkg-deb"):
        write_command(tmp_path, command, "echo 'E: Unable to locate package' >&2; exit 100")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(
        DatasetNotAvailableError, match=r"(?s)apt-get update.*Unable to locate package"
    ):
        fetch_tuxpaint(data_home=tmp_path)
    assert not (tmp_path / "skclipens" / "tuxpaint").exists()


@pytest.mark.skipif(
    not Path(get_data_home(), "skclipens", "tuxpaint").exists(),
    reason="the stamps are not in the data home; fetch_tuxpaint() downloads them",
)
def test_tuxpaint_package():
    dataset = fetch_tuxpaint()
    sizes = dict(zip(dataset.target_names, np.bincount(dataset.target), strict=True))
    assert 25 <= len(sizes) <= 35
    assert min(sizes.values()) >= 12
    assert sizes["mammal"] > 50 and sizes["fruit"] > 30 and sizes["bird"] > 30
    # Every class is named by the table: a folder's own name would have a slash.
    assert not any("/" in name for name in sizes)
    assert all(dataset.captions)
    assert "GNU General Public License" in dataset.DESCR


def test_import_needs_neither_torch_nor_pandas():
    # scikit-learn imports pandas where there is one, so the import has to do without.
    program = (
        "import sys; sys.modules['pandas'] = None; "
        "import skclipens.datasets, skclipens.model_selection; "
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(load_emoji.__code__.co_filename).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

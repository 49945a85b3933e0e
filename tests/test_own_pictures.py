"""Tests of folders and tables of a user's own pictures."""

import os
import re
import shutil
import sys
from base64 import b64encode

import fsspec
import numpy as np
import pandas as pd
import pytest
from _said import no_warning
from click.testing import CliRunner
from numpy.testing import assert_array_equal
from PIL import Image

from skclipens import ImageError, MultiBackboneEmbedder
from skclipens.cli._commands import cli
from skclipens.cli._files import find_pictures
from skclipens.datasets import load_emoji, load_folder, load_table
from skclipens.embedding import read_embeddings
from skclipens.images import load_image
from skclipens.images._files import find_images


@pytest.fixture
def folder(tmp_path):
    files, _ = load_emoji(return_X_y=True)
    for name in ("laptop_computer", "tropical-fish", "zoo"):
        (tmp_path / "photos" / name / "deep").mkdir(parents=True)
        for i, file in enumerate(files[:3]):
            place = tmp_path / "photos" / name / ("deep" if i == 2 else ".")
            shutil.copy(file, place / f"{i}.PNG")
    return tmp_path / "photos"


def test_folders_become_classes(folder):
    pictures = load_folder(folder)
    assert pictures.target_names.tolist() == ["laptop computer", "tropical fish", "zoo"]
    assert pictures.target.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert [name.split("photos")[1] for name in pictures.filenames[:3]] == [
        f"/laptop_computer/{name}" for name in ("0.PNG", "1.PNG", "deep/2.PNG")
    ]
    assert list(pictures.frame.columns) == ["path", "label", "target"]
    assert pictures.skipped == []
    assert MultiBackboneEmbedder("zoo/RN20").fit_transform(pictures.filenames).shape == (9, 128)


@pytest.mark.parametrize("path", [["train", "test"], None, 5])
def test_a_path_is_one_path(path):
    for load, what in ((load_folder, "folder"), (load_table, "table")):
        says = f"path is the path of one {what}; got {type(path).__name__}"
        with pytest.raises(TypeError, match=says):
            load(path)


def test_names_of_folders_can_be_kept(folder):
    names = load_folder(str(folder), raw_names=True).target_names
    assert names.tolist() == ["laptop_computer", "tropical-fish", "zoo"]


def test_a_minus_of_a_folder_stays(tmp_path):
    names = {"gram-": "gram-", "gram+": "gram+", "-80C_freezer": "-80C freezer", "4C": "4C"}
    names |= {
        "a-b": "a b",
        "cat_-_small": "cat small",
        "(wild)-cat--big": "(wild) cat big",
        "_": "_",
    }
    for name in names:
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "1.png")
    with no_warning():
        assert load_folder(tmp_path).target_names.tolist() == sorted(names.values())


def test_hidden_files_are_skipped_in_silence(folder):
    for name in (".cache", "zoo/.thumbnails", "__MACOSX", "zoo/@eaDir"):
        (folder / name).mkdir()
        (folder / name / "0.png").write_bytes(b"")
    for name in (".DS_Store", "zoo/._0.png"):
        (folder / name).write_bytes(b"")
    with no_warning():
        pictures = load_folder(folder)
    assert len(pictures.filenames) == 9
    assert [name.split("photos/")[1] for name in pictures.skipped] == [".DS_Store", "zoo/._0.png"]
    MultiBackboneEmbedder("zoo/RN20").embed_to(folder.parent / "table", folder)
    assert read_embeddings(folder.parent / "table").shape == (9, 128)


def test_other_files_are_skipped_with_a_warning(folder):
    for name in ("readme.txt", "stray.png", "zoo/a.txt", "zoo/b.svg"):
        (folder / name).write_bytes(b"")
    with pytest.warns(UserWarning, match=r"Left out, .*readme.txt.*and 1 more") as told:
        assert len(load_folder(folder).skipped) == 4
    assert told[0].filename == __file__


def test_pictures_that_windows_saves_as_jfif(folder):
    Image.new("RGB", (8, 8)).save(folder / "zoo" / "3.jfif")
    files = load_folder(folder).filenames
    assert files[-2] == str(folder / "zoo" / "3.jfif")
    assert load_image(files[-2]).size == (8, 8)


def test_files_with_these_endings_are_pictures(tmp_path):
    endings = "avif bmp gif heic heif hif jfif jp2 jpe jpeg jpg pgm png pnm ppm tif tiff webp"
    names = [f"cat/1.{ending}" for ending in endings.split()]
    (tmp_path / "cat").mkdir()
    for name in names:
        (tmp_path / name).touch()
    assert load_folder(tmp_path).filenames.tolist() == [str(tmp_path / name) for name in names]


def test_a_folder_that_cannot_be_read_is_an_error(folder, monkeypatch):
    scan, closed = os.scandir, str(folder / "zoo" / "deep")

    def scandir(path):
        if os.fspath(path) == closed:
            raise PermissionError(13, "Permission denied", closed)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError, match="deep"):
        load_folder(folder)
    with pytest.raises(PermissionError, match="deep"):
        MultiBackboneEmbedder("zoo/RN20").embed_to(folder.parent / "table", folder)


def test_accents_of_a_mac_are_those_of_others(tmp_path):
    spread(tmp_path, "l\u00e4nd", "mu\u0308ll")
    _, labels = load_folder(tmp_path, return_X_y=True)
    assert sorted(set(labels)) == ["l\u00e4nd", "m\u00fcll"]


def test_folders_that_cannot_be_classes(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="name of the folder is empty"):
        load_folder("")
    with pytest.raises(FileNotFoundError, match=r"no folder '.*nowhere'"):
        load_folder(tmp_path / "nowhere")
    with pytest.raises(NotADirectoryError, match=r"If it is a table, it ends in \.csv or"):
        load_folder(folder / "zoo" / "0.PNG")
    with pytest.raises(ValueError, match=r"deep' has no folders"):
        load_folder(folder / "zoo" / "deep")
    (folder / "tropical_fish").mkdir()
    with pytest.raises(ValueError, match="'tropical-fish' and 'tropical_fish' are both called"):
        load_folder(folder)
    with pytest.raises(ValueError, match="tropical_fish' has no images"):
        load_folder(folder, raw_names=True)
    spread(tmp_path / "accents", "m\xfcll", "mu\u0308ll")
    with pytest.raises(ValueError, match=r"The folders 'mu\\u0308ll' and 'm\\xfcll' are both"):
        load_folder(tmp_path / "accents")


def test_loaders_give_what_fit_takes(folder):
    pictures = load_folder(folder)
    paths, labels = load_folder(folder, return_X_y=True)
    assert paths.tolist() == pictures.filenames.tolist()
    assert labels.tolist() == pictures.target_names[pictures.target].tolist()
    write(pictures.frame[["path", "label"]], folder.parent / "t.csv")
    paths, labels = load_table(folder.parent / "t.csv", return_X_y=True)
    assert paths.tolist() == pictures.filenames.tolist()
    assert labels.tolist() == pictures.target_names[pictures.target].tolist()
    write(pictures.frame[["path"]], folder.parent / "t.csv")
    with pytest.raises(ValueError, match=r"none of the columns label, class, category, but \['"):
        load_table(folder.parent / "t.csv", return_X_y=True)


def test_a_folder_around_the_classes_is_doubted(tmp_path):
    spread(tmp_path, "photos/images/cat", "photos/images/dog")
    inner = str(tmp_path / "photos" / "images")
    for root in (tmp_path, tmp_path / "photos"):
        says = f"The only class is .*'cat', 'dog' are the classes, read '{inner}'"
        with pytest.warns(UserWarning, match=says):
            assert len(load_folder(root).target_names) == 1
    with no_warning():
        load_folder(inner)
        load_folder(spread(tmp_path / "one", "cat/2021", "cat/2022"))
        load_folder(spread(tmp_path / "other", "cat/images"))


def test_a_folder_that_holds_only_itself_has_no_images(tmp_path):
    (tmp_path / "photos" / "images").mkdir(parents=True)
    (tmp_path / "photos" / "images" / "again").symlink_to(tmp_path / "photos")
    with pytest.raises(ValueError, match=r"photos' has no images"):
        load_folder(tmp_path)


def spread(root, *folders):
    """Two pictures in each of some folders."""
    for folder in folders:
        (root / folder).mkdir(parents=True)
        for file in load_emoji(return_X_y=True)[0][:2]:
            shutil.copy(file, root / folder)
    return root


@pytest.mark.parametrize(
    "parts",
    [("train", "test"), ("Training", "val_2017"), ("dev", "Test-1"), ("train_set", "testset")],
)
def test_parts_of_a_data_set_are_no_classes(tmp_path, parts):
    spread(tmp_path, *[f"{part}/{name}" for part in parts for name in ("cat", "dog")])
    (tmp_path / "train.csv").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"Read one part at a time, .*, whose folders are 'cat', 'dog'"
    ):
        load_folder(tmp_path)
    assert load_folder(tmp_path / parts[0]).target_names.tolist() == ["cat", "dog"]


def test_a_part_may_have_no_folders_of_classes(tmp_path):
    spread(tmp_path, "train/cat", "train/dog", "test")
    with pytest.raises(ValueError, match=r"as parts of a data set, and not .*'/.*/train', whose"):
        load_folder(tmp_path)
    shutil.rmtree(tmp_path / "train")
    spread(tmp_path, "train")
    with pytest.warns(UserWarning, match="'test', 'train' .*as parts of a data set.*load_table"):
        assert load_folder(tmp_path).target.tolist() == [0, 0, 1, 1]


def test_a_part_beside_classes_is_doubted(tmp_path):
    spread(tmp_path, "cat", "dog", "test/cat", "test/dog")
    with pytest.warns(UserWarning, match="'test' .* read as a class, .* beside it: 'cat', 'dog'"):
        assert load_folder(tmp_path).target_names.tolist() == ["cat", "dog", "test"]


@pytest.mark.parametrize(
    "folders",
    [
        ("fold a/cat", "fold a/dog", "fold b/cat", "fold b/dog"),
        ("photo/cat", "photo/dog", "sketch/cat", "sketch/dog", "sketch/owl"),
        ("cat/train", "cat/test", "dog/train", "dog/test"),
    ],
)
def test_folders_of_the_same_folders_are_doubted(tmp_path, folders):
    with pytest.warns(UserWarning, match="If those are the classes, read one folder at a time"):
        assert len(load_folder(spread(tmp_path, *folders)).target_names) == 2


@pytest.mark.parametrize(
    "folders",
    [
        ("cats/2021", "cats/2022", "dogs/2021", "dogs/2022"),  # when pictures were taken
        ("cat/images", "dog/images"),  # as in Tiny ImageNet
        ("cat/front", "cat/side", "dog/front", "dog/side", "dog/back"),
        ("train", "bus"),
        ("train/steam", "train/electric", "bus/electric", "bus/school"),
        ("train/inside", "train/outside", "bus", "bus/inside", "bus/outside"),
        ("test tube/a", "test tube/b", "train station/c", "train station/d"),
        ("training shoes", "dev board"),
    ],
)
def test_folders_below_classes_are_not_doubted(tmp_path, folders):
    with no_warning():
        pictures = load_folder(spread(tmp_path, *folders))
    assert len(pictures.filenames) == 2 * len(folders)
    assert len(pictures.target_names) == 2


@pytest.mark.parametrize(
    "folders",
    [
        ("train/cat", "train/dog", "new"),
        ("train/cat", "train/dog", "test"),
        ("train/cat", "train/dog", "test/cat", "Unlabeled"),
        ("train/cat", "train/dog", "test/cat", "bird"),
        ("train/0", "train/1", "test", "samples"),
    ],
)
def test_parts_beside_flat_folders_are_no_classes(tmp_path, folders):
    with pytest.raises(ValueError, match=r"Read one part at a time, .*train', whose folders are"):
        load_folder(spread(tmp_path, *folders))


def test_new_may_be_a_class(tmp_path):
    with no_warning():
        assert len(load_folder(spread(tmp_path, "new", "old", "test/a")).target_names) == 3
        load_folder(spread(tmp_path / "years", "new/2020", "new/2021", "test", "broken"))


def test_folders_of_kinds_of_files_are_doubted(tmp_path):
    with pytest.warns(UserWarning, match="'Images', 'masks', which may be kinds of files and no"):
        load_folder(spread(tmp_path / "a", "Images", "masks"))
    with no_warning():
        load_folder(spread(tmp_path / "b", "masks", "hats"))
        load_folder(spread(tmp_path / "c", "left", "right"))


@pytest.mark.parametrize("ending", ["_mask.png", "-GT.jpg", "_thumb.png", "_mask_1.png"])
def test_masks_beside_pictures_are_doubted(tmp_path, ending):
    spread(tmp_path, "cat", "dog")
    pictures = sorted(tmp_path.glob("*/*"))
    for picture in pictures[:3]:
        shutil.copy(picture, picture.with_name(picture.stem + ending))
    twin = rf"3 of the 7 pictures .*'{pictures[0].stem}{ending}' beside '{pictures[0].name}'"
    with pytest.warns(UserWarning, match=twin):
        load_folder(tmp_path)
    with pytest.warns(UserWarning, match=twin):
        find_pictures([tmp_path])
    with no_warning():
        pictures[0].unlink()  # whose other file may then be a picture of a mask
        load_folder(tmp_path)


def test_one_order_of_files_everywhere(tmp_path):
    names = ["animal", "animal/more", "animal-print", "animal.x", "zebra/a/b"]
    spread(tmp_path, *(f"photos/{name}" for name in names), "elsewhere")
    (tmp_path / "photos" / "zebra" / "link").symlink_to(tmp_path / "elsewhere")
    shutil.copy(load_emoji(return_X_y=True)[0][0], tmp_path / "photos" / "zebra" / "z.png")
    expected = load_folder(tmp_path / "photos").filenames
    assert find_images(tmp_path / "photos").names == expected.tolist()
    by_url = find_images(f"file://{tmp_path}/photos").names
    assert by_url == [f"file://{one}" for one in expected]
    fs = fsspec.filesystem("memory")
    for one in expected:
        fs.pipe_file(one, b"")
    elsewhere = find_images(f"memory://{tmp_path}/photos", ["memory"]).names
    assert elsewhere == [f"memory://{one}" for one in expected]
    of_pattern = find_images(f"{tmp_path}/photos/**/*").names
    classes = [os.path.relpath(one, tmp_path / "photos").split("/")[0] for one in of_pattern]
    assert classes == sorted(classes)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_a_name_that_is_no_text_is_refused_before_the_work(folder):
    file = folder / "zoo" / os.fsdecode(b"b\xe4r.png")
    shutil.copy(folder / "zoo" / "0.PNG", file)
    says = r"The name '.*b\\udce4r.png' is no valid UTF-8, .* Rename the file"
    sources = [folder, str(file)]
    for read in (load_folder, lambda path: MultiBackboneEmbedder().embed_to(folder / "o", path)):
        with pytest.raises(ValueError, match=says):
            read(sources[0])
    for source in sources:
        told = CliRunner().invoke(cli, ["embed", str(source), "-o", str(folder / "out.csv")])
        assert told.exit_code == 1 and "udce4r.png' is no valid UTF-8" in told.stderr
    file.rename(file.with_suffix(".txt"))  # is not read
    with pytest.warns(UserWarning, match="Left out"):
        load_folder(folder)


def test_no_folder_of_a_class_is_read_twice(tmp_path):
    spread(tmp_path, "photos/cat/a", "photos/dog", "elsewhere")
    cat = tmp_path / "photos" / "cat"
    (cat / "self").symlink_to(cat)
    (cat / "a" / "root").symlink_to(tmp_path / "photos")
    (cat / "b").symlink_to(cat / "a")
    (cat / "more").symlink_to(tmp_path / "elsewhere")
    with pytest.warns(UserWarning, match="or read already: .*b, .*self, .*root"):
        pictures = load_folder(tmp_path / "photos")
    assert pictures.target.tolist() == [0] * 4 + [1] * 2
    assert len(set(map(os.path.realpath, pictures.filenames))) == 6
    assert [one.rpartition("/")[2] for one in pictures.skipped] == ["b", "self", "root"]


def test_a_link_to_another_class_is_no_class(tmp_path):
    spread(tmp_path, "photos/mammal", "photos/zebra", "elsewhere")
    (tmp_path / "photos" / "animal").symlink_to(tmp_path / "photos" / "mammal")
    (tmp_path / "photos" / "tree").symlink_to(tmp_path / "elsewhere")
    with pytest.warns(UserWarning, match="or read already: .*/animal'?[.]"):
        pictures = load_folder(tmp_path / "photos")
    assert pictures.target_names.tolist() == ["mammal", "tree", "zebra"]
    assert pictures.skipped == [str(tmp_path / "photos" / "animal")]
    assert find_images(tmp_path / "photos").names == pictures.filenames.tolist()


def test_links_below_classes_are_read_in_one_order_everywhere(tmp_path):
    spread(tmp_path, "photos/cat/young", "photos/dog/a", "photos/dog/b")
    root = tmp_path / "photos"
    (root / "cat" / "dogs").symlink_to(root / "dog")
    (root / "all").symlink_to(root)
    (root / "above").symlink_to(tmp_path)
    with pytest.warns(UserWarning, match="or read already: .*/above'?, '?.*/all'?[.]"):
        expected = load_folder(root).filenames.tolist()
    assert len(expected) == 10
    assert find_images(root).names == expected
    with pytest.warns(UserWarning, match="no images, or read already: .*/above'?, '?.*/all'?[.]"):
        assert find_pictures([str(root)]).tolist() == expected


def write(table, path):
    table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path)
    return path


def test_flags_of_a_csv_file_may_be_missing(folder):
    flags = ["TRUE", "NA", "FALSE"]
    write(pd.DataFrame({"path": ["zoo/0.PNG"] * 3, "flag": flags}), folder / "t.csv")
    assert load_table(folder / "t.csv").frame["flag"].tolist() == [
        True,
        pytest.approx(np.nan, nan_ok=True),
        False,
    ]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_tables_name_pictures(folder, ending):
    names = ["zoo/0.PNG", str(folder / "zoo/1.PNG"), "https://a.org/1.png"]
    table = pd.DataFrame({"price": [1, 2, 3], "file": names, "class": ["NA", "cat", "None"]})
    pictures = load_table(write(table, folder / f"table{ending}"))
    expected = [str(folder / "zoo/0.PNG"), *names[1:]]
    assert pictures.filenames.tolist() == expected
    assert pictures.target_names[pictures.target].tolist() == ["NA", "cat", "None"]
    assert list(pictures.frame.columns) == ["path", "price", "label", "target"]


def test_several_columns_of_a_table_have_pictures(folder):
    table = pd.DataFrame({"front": [None, "zoo/0.PNG"], "price": [1, 2], "side": ["zoo/1.PNG"] * 2})
    table["class"] = ["cat", "dog"]
    path = write(table, folder / "t.csv")
    named = {"path_column": ["front", "side"], "allow_missing": True}
    pictures = load_table(path, **named)
    front, side = str(folder / "zoo/0.PNG"), str(folder / "zoo/1.PNG")
    assert pictures.filenames.tolist() == [side, front]
    assert pictures.frame.columns.tolist() == ["front", "price", "side", "label", "target"]
    X, y = load_table(path, **named, return_X_y=True)
    assert X.columns.tolist() == ["front", "side"] and y.tolist() == ["cat", "dog"]
    for found in (X, pictures.frame, load_table(write(X, folder / "u.csv"), **named).frame):
        assert found["side"].tolist() == [side, side]
        assert found["front"].isna().tolist() == [True, False] and found["front"][1] == front
    with pytest.raises(ValueError, match=r"Column 'front' of .*t.csv' is empty in 1 rows"):
        load_table(path, path_column=["side", "front"])
    with pytest.raises(ValueError, match="path_column='back' is not a column"):
        load_table(path, path_column=["side", "back"])


def test_a_table_of_many_columns_gives_no_warning(folder):
    numbers = pd.DataFrame(np.ones((2, 300))).add_prefix("x").assign(file="zoo/1.PNG", label="cat")
    path = write(numbers, folder / "t.csv")
    with no_warning():
        assert load_table(path).frame.shape == (2, 303)
        assert load_table(path, path_column=["file"]).frame.shape == (2, 303)


@pytest.mark.parametrize("columns", [[], ["side", "side"], [["side"]], 0, {"side"}, b"side"])
def test_columns_of_pictures_are_named_once(folder, columns):
    table = write(pd.DataFrame({"side": ["zoo/1.PNG"]}), folder / "t.csv")
    for of_images in ("side", ["side"]):
        with pytest.raises(ValueError, match="label_column='side' is also a column of images"):
            load_table(table, path_column=of_images, label_column="side")
    with pytest.raises(ValueError, match=r"path_column=\[.*\] must be a str, or a list of str"):
        load_table(table, path_column=columns)


def test_a_column_of_pictures_has_no_labels(folder):
    table = write(pd.DataFrame({"label": ["zoo/0.PNG", "zoo/1.PNG"]}), folder / "t.csv")
    for of_images in ("label", ["label"]):
        assert load_table(table, path_column=of_images).target is None


def test_columns_of_a_table_can_be_named(folder):
    table = pd.DataFrame({"path": ["?"], "photo": ["zoo/0.PNG"], "label": ["?"], "kind": [7]})
    path = write(table, folder / "t.csv")
    pictures = load_table(path, path_column="photo", label_column="kind")
    assert pictures.frame["path"].tolist() == [str(folder / "zoo/0.PNG")]
    assert pictures.frame["label"].tolist() == pictures.target_names.tolist() == [7]
    write(table.assign(kind="007"), path)
    assert load_table(path, path_column="photo", label_column="kind").target_names == ["007"]
    with pytest.raises(ValueError, match="path_column='image' is not a column; the table has"):
        load_table(path, path_column="image")
    with pytest.raises(ValueError, match="label_column='x' is not a column"):
        load_table(path, path_column="photo", label_column="x")


@pytest.mark.parametrize("gap", ["", *"NA N/A n/a #N/A <NA> NULL null NaN nan None".split()])
def test_numbers_with_gaps_are_numbers(gap, folder):
    names, rooms = ["zoo/0.PNG"] * 3, [1, None, 3]
    table = pd.DataFrame({"path": names, "rooms": rooms, "shop": ["NA", "b", "None"]})
    table["none"] = np.nan
    table.to_csv(folder / "t.csv", index=False, na_rep=gap)
    frame = load_table(folder / "t.csv").frame
    assert_array_equal(frame[["rooms", "none"]].to_numpy(float), table[["rooms", "none"]])
    assert frame["rooms"].dtype.kind == frame["none"].dtype.kind == "f"
    assert frame["shop"].tolist() == ["NA", "b", "None"]


def test_columns_of_parquet_keep_their_types(folder):
    table = pd.DataFrame({"path": ["zoo/0.PNG", "zoo/1.PNG"], "label": ["a", "b"]}, [5, 3])
    table["rooms"], table["shop"] = pd.array([1, None], "Int64"), pd.Categorical(["x", "y"])
    frame = load_table(write(table, folder / "t.parquet")).frame
    columns = ["rooms", "shop"]
    pd.testing.assert_frame_equal(frame[columns], table[columns].reset_index(drop=True))


def test_labels_of_a_table_that_differ_in_writing_are_named(folder):
    table = pd.DataFrame({"path": ["zoo/0.PNG"] * 3, "label": ["cat", "dog", "Cat "]})
    path = write(table, folder / "t.csv")
    with pytest.warns(UserWarning, match=r"Column 'label' of '.*t.csv' .*'cat', .*row 0.*row 2"):
        assert load_table(path).target_names.tolist() == ["Cat", "cat", "dog"]


def test_rows_of_several_parts_are_doubted_where_none_can_be_chosen(folder):
    table = pd.DataFrame({"path": ["zoo/0.PNG"] * 3, "label": ["cat", "dog", "cat"]})
    table["Split"] = ["val", "train", "test"]
    path = write(table, folder / "t.csv")
    says = r"column 'Split' .*'val', 'train', 'test', and all .* frame\['Split'\] == 'train'"
    with pytest.warns(UserWarning, match=says):
        load_table(path, return_X_y=True)
    with no_warning():
        assert load_table(path).frame["Split"].tolist() == ["val", "train", "test"]
        for values in (["train"] * 3, [0, 1, 2], ["upper", "lower", "test"]):
            write(table.assign(Split=values), path)
            load_table(path, return_X_y=True)


@pytest.mark.parametrize(
    ("written", "labels"),
    [
        (["007", "010"], ["007", "010"]),
        (["7", "010"], ["7", "010"]),
        (["1e5", "2e5"], ["1e5", "2e5"]),
        (["1.0", "2.0"], [1.0, 2.0]),
        (["1.0", "2"], ["1.0", "2"]),
        (["7", "-1"], [7, -1]),
        (["True", "False"], [True, False]),
        (["true", "False"], ["true", "False"]),
        (["1.0", "nan"], ["1.0", "nan"]),
        (["NA", "None"], ["NA", "None"]),
        (["12345678901234567890123", "2"], ["12345678901234567890123", "2"]),
        ([" a", "a "], ["a", "a"]),
        (['"a, b"', "b"], ["a, b", "b"]),
    ],
)
def test_labels_of_a_csv_file_are_those_that_are_written(folder, written, labels):
    rows = [f"zoo/0.PNG,{label}" for label in written]
    (folder / "t.csv").write_text("\n".join(["\ufeffpath, label", *rows]), encoding="utf-8")
    _, y = load_table(folder / "t.csv", return_X_y=True)
    assert y.tolist() == labels and type(y.tolist()[0]) is type(labels[0])
    assert y.dtype == np.array(labels).dtype


@pytest.mark.parametrize("labels", [["1", "2 "], ["1", "2"]])
def test_text_of_parquet_stays_text(folder, labels):
    table = pd.DataFrame({"path": ["zoo/0.PNG"] * 2, "label": labels})
    _, y = load_table(write(table, folder / "t.parquet"), return_X_y=True)
    assert y.tolist() == labels


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("labels", [["a", None, "b"], [1, None, 2], [None, True, False]])
def test_pictures_without_a_label_have_none(folder, labels, suffix):
    column = pd.Series(labels)
    if suffix == ".csv":  # where 1.0 would be written
        column = column.convert_dtypes()
    table = pd.DataFrame({"path": ["zoo/0.PNG"] * 3, "label": column})
    path = write(table, folder / f"t{suffix}")
    _, y = load_table(path, return_X_y=True)
    assert repr(y.tolist()) == repr(labels)  # 1 is no 1.0
    with pytest.raises(ValueError, match=r"'label' of .* is empty in 1 rows; the first is row"):
        load_table(path)
    table["label"] = None
    write(table, path)
    with pytest.raises(ValueError, match=r"'label' of .* is empty in 3 rows"):
        load_table(path, return_X_y=True)


def test_names_of_pictures_keep_their_zeros(folder):
    for name in ("7", "007"):
        shutil.copy(folder / "zoo/0.PNG", folder / name)
    (folder / "t.csv").write_text("path,size\n007,010\n007,020")
    pictures = load_table(folder / "t.csv")
    assert pictures.filenames.tolist() == [str(folder / "007")] * 2
    assert pictures.frame["size"].tolist() == [10, 20]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"path,label,label\nzoo/0.PNG,a,b", "has the column 'label' twice: rename one"),
        (b"path,label\nzoo/0.PNG,a\nzoo/0.PNG, ", "'label' .* is empty in 1 rows; .* row 1"),
        (b"path;label\nzoo/0.PNG;a", "t.csv' has ';' between its values. Write it with commas"),
        (b"path\tlabel\nzoo/0.PNG\ta", r"t.csv' has '\\t' between its values"),
        (b"path,label\nzoo/0.PNG,m\xfcll", r"commas, in UTF-8: .* byte 0xfc .*\. Save it in UTF-8"),
        (b"path,label\nzoo/0.PNG,a\nzoo/0.PNG,a,b", "t.csv' is no table .* line 3"),
        (b"", "t.csv' is empty: its first line names columns"),
        (
            b'path,label\n\nzoo/0.PNG,a\nzoo/0.PNG,"b\nzoo/0.PNG,c\nzoo/0.PNG,d" e\nzoo/0.PNG,f',
            r"'label', in the cell 'b\\nzoo/0.PN.*' of line 4. A quote may be missing",
        ),
        (
            b'path,label\n"zoo/0.PNG,a\nzoo/0.PNG",b',
            r"'path', in the cell 'zoo/0.PNG,a\\nzoo/0.PNG' of line 2. A quote may be missing",
        ),
        (
            b'path, label\nzoo/0.PNG, "b\nzoo/0.PNG, c"',
            r"'label', in the cell 'b\\nzoo/0.PNG, c' of line 2. A quote may be missing",
        ),
        (b"path,label\nzoo/0.PNG,a, b", "rows of .*t.csv' have more values .* between quotes"),
    ],
)
def test_csv_files_that_are_written_wrongly(folder, content, says):
    (folder / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=says):
        load_table(folder / "t.csv")


@pytest.mark.parametrize("behind", [",", ",,"])
def test_commas_that_end_all_rows_are_left_out(folder, behind):
    rows = [f"zoo/{i}.PNG,00{i}{behind}" for i in range(2)]
    (folder / "t.csv").write_text("\n".join(["path,label", *rows]))
    with no_warning():
        pictures = load_table(folder / "t.csv")
    assert pictures.frame["label"].tolist() == ["000", "001"]
    (folder / "t.csv").write_text("label,path\n0,cat,zoo/0.PNG\n1,dog,zoo/1.PNG")  # as R does
    assert load_table(folder / "t.csv").frame["label"].tolist() == ["cat", "dog"]


@pytest.mark.parametrize("path_column", ["path", ["path"]])
def test_rows_are_numbered_with_and_without_labels(folder, path_column):
    for name in ("label", "price"):
        table = pd.DataFrame({"path": ["zoo/0.PNG", "zoo/1.PNG"], name: [3, 4]}, index=[7, 3])
        frame = load_table(write(table, folder / "t.parquet"), path_column=path_column).frame
        assert frame.index.tolist() == [0, 1]


def test_paths_and_labels_may_be_the_index_of_parquet(folder):
    table = pd.DataFrame({"path": ["zoo/0.PNG", "zoo/1.PNG"], "label": ["a", "b"], "n": [1, 2]})
    expected = load_table(write(table, folder / "t.parquet")).frame
    for index in ("path", "label", ["path", "label"]):
        found = load_table(write(table.set_index(index), folder / "t.parquet")).frame
        pd.testing.assert_frame_equal(found, expected)


def test_cells_of_several_values_are_refused(folder):
    table = pd.DataFrame({"path": ["zoo/0.PNG", "zoo/1.PNG"], "label": ["a", "b"]})
    for column in table:
        several = table.assign(**{column: [[one] for one in table[column]]})
        says = f"Column '{column}' of '.*t.parquet' holds a list in row 0, "
        with pytest.raises(ValueError, match=says):
            load_table(write(several, folder / "t.parquet"))


def test_labels_are_no_bytes(folder):
    table = pd.DataFrame({"path": ["zoo/0.PNG", "zoo/1.PNG"], "label": [b"a", b"b"]})
    with pytest.raises(ValueError, match=r"Column 'label' of '.*parquet' holds a bytes in row 0"):
        load_table(write(table, folder / "t.parquet"))


@pytest.mark.skipif(os.sep != "/", reason="Windows reads both signs")
def test_paths_that_were_written_on_windows_are_named(folder):
    table = write(pd.DataFrame({"path": ["zoo\\0.PNG"]}), folder / "t.csv")
    says = r"have '/' between folders, and no '\\'\."
    with pytest.raises(FileNotFoundError, match=rf"{says} path\.replace\(.*\) is a file\.$"):
        load_table(table)
    with pytest.raises(ImageError, match=rf"no such file\. .* {says}$"):
        load_image("zoo\\0.PNG")


def test_ids_in_place_of_paths_are_told_what_they_lack(folder):
    content = (folder / "zoo/0.PNG").read_bytes()
    (folder / "00110.jpg").write_bytes(content)
    for name, says in (
        ("110", "There is a file '00110.jpg': zeros in front get lost"),
        ("110.jpg", r"There is a file '00110.jpg': .*dtype=str"),
        ("00111", r"If it is an id, add the folder and the ending: f'photos/\{id\}.jpg'"),
        ("00110.jpg?w=200&v=3", r"ends as a URL does, and path.partition\('\?'\)\[0\] is a file"),
    ):
        table = write(pd.DataFrame({"path": [name]}), folder / "t.csv")
        with pytest.raises(FileNotFoundError, match=says):
            load_table(table)
        with pytest.raises(ImageError, match=says):
            load_image(folder / name)
    with pytest.raises(ImageError, match=r"110 cannot .*pass its path: f'photos/\{number\}.jpg'"):
        load_image(110)
    with open(folder / "00110.jpg", "rb") as file:
        with pytest.raises(ImageError, match=r"Pass its content, .*image.read\(\)"):
            load_image(file)


def test_a_file_whose_name_is_written_otherwise_is_pointed_at(folder):
    content = (folder / "zoo/0.PNG").read_bytes()
    (folder / "Mu\u0308nze.png").write_bytes(content)  # as macOS stores it
    (folder / "Cat 1.jpg").write_bytes(content)
    for name, stored in (
        ("M\xfcnze.png", "Mu\u0308nze.png"),
        ("zoo/0.png", "0.PNG"),
        ("zoo/ 0.PNG", "0.PNG"),
        ("zoo/0", "0.PNG"),
        ("Cat 1", "Cat 1.jpg"),
    ):
        table = write(pd.DataFrame({"path": [name]}), folder / "t.csv")
        says = re.escape(f"There is a file {stored!a}, whose name is written otherwise")
        with pytest.raises(FileNotFoundError, match=says):
            load_table(table)
        with pytest.raises(ImageError, match=says):
            load_image(folder / name)


@pytest.mark.parametrize("write_list", [";".join, ", ".join, str, list])
def test_several_paths_in_one_cell_are_told_where_to_go(folder, write_list):
    paths = [str(folder / "zoo" / name) for name in ("0.PNG", "1.PNG")]
    says = "A row has one image: make a column of each, with an embedder for each"
    with pytest.raises(ImageError, match=says):
        load_image(write_list(paths))


@pytest.mark.skipif(os.sep != "/", reason="links need rights on Windows")
def test_a_link_that_leads_nowhere_is_not_pointed_at(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(ImageError, match=r"no such file\. (?!There is a file)"):
        load_image(tmp_path / "a.png")


def test_a_column_of_contents_is_rather_that_of_the_pictures(folder):
    content = (folder / "zoo/0.PNG").read_bytes()
    table = pd.DataFrame({"filename": ["0.PNG"], "image": [{"bytes": content, "path": None}]})
    assert load_table(write(table, folder / "t.parquet")).filenames[0]["bytes"] == content
    table = pd.DataFrame({"file": ["0.PNG", "zoo/0.PNG"], "image": [None, {"bytes": content}]})
    found = load_table(write(table, folder / "t.parquet"), allow_missing=True).filenames
    assert found[0] is None and found[1]["bytes"] == content
    table = pd.DataFrame({"file": ["zoo/0.PNG"], "image": [b64encode(content).decode()]})
    assert load_table(write(table, folder / "t.csv")).filenames[0] == table["image"][0]
    write(pd.DataFrame({"filename": ["0.PNG"]}), folder / "t.parquet")
    missing = "1 of the 1 files that column 'filename' of '.*t.parquet' names are missing"
    with pytest.raises(FileNotFoundError, match=missing):
        load_table(folder / "t.parquet", path_column="filename")


def test_pictures_in_text_take_the_memory_of_their_text(folder):
    content = [(folder / f"zoo/{i}.PNG").read_bytes() for i in range(2)]
    cells = [b64encode(one).decode() for one in content] + ["zoo/0.PNG"]
    cells[1] = f"data:image/png;base64,{cells[1]}"
    pictures = load_table(write(pd.DataFrame({"image": cells}), folder / "t.parquet"))
    assert pictures.filenames.dtype == object
    assert pictures.filenames.tolist() == [*cells[:2], str(folder / "zoo/0.PNG")]
    both = find_pictures([str(folder / "t.parquet"), str(folder / "zoo")])
    assert both.dtype == object and len(both) == 6


@pytest.mark.parametrize("path", [None, ""])
def test_cells_without_bytes_and_path_are_empty(folder, path):
    content = (folder / "zoo/0.PNG").read_bytes()
    cells = [{"bytes": content, "path": path}, {"bytes": None, "path": path}]
    table = write(pd.DataFrame({"image": cells}), folder / "t.parquet")
    with pytest.raises(ValueError, match=r"'image' .* is empty in 1 rows; the first is row 1"):
        load_table(table)
    pictures = load_table(table, allow_missing=True)
    assert pictures.filenames[0]["bytes"] == content and pictures.filenames[1] is None
    assert pictures.frame["path"].isna().tolist() == [False, True]


def test_rows_may_lack_an_image(folder):
    rows = pd.DataFrame({"path": ["zoo/0.PNG", None, "zoo/1.PNG"], "label": ["a", "b", "a"]})
    table = write(rows, folder / "t.csv")
    X, y = load_table(table, allow_missing=True, return_X_y=True)
    assert X.tolist() == [str(folder / "zoo/0.PNG"), None, str(folder / "zoo/1.PNG")]
    assert y.tolist() == ["a", "b", "a"]
    X = MultiBackboneEmbedder("zoo/RN20", on_error="nan").fit_transform(X)
    assert np.isnan(X).all(axis=1).tolist() == [False, True, False]
    with pytest.raises(FileNotFoundError, match=r"are missing; the first is row 2, .*gone"):
        load_table(
            write(rows.assign(path=["zoo/0.PNG", None, "gone.png"]), folder / "t.csv"),
            allow_missing=True,
        )
    none = load_table(write(rows.assign(path=None), folder / "t.csv"), allow_missing=True)
    assert none.filenames.tolist() == [None] * 3


def test_paths_may_begin_at_the_users_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    table = write(pd.DataFrame({"path": ["~/zoo/0.PNG"]}), folder.parent / "t.csv")
    assert load_table(table).filenames.tolist() == [str(folder / "zoo/0.PNG")]


def test_tables_need_no_labels(folder):
    table = pd.DataFrame({"image": ["zoo/0.PNG"], "path": ["?"]})
    pictures = load_table(write(table, folder / "t.csv"), path_column="image")
    assert pictures.target is pictures.target_names is None
    assert pictures.frame["path"].tolist() == pictures.filenames.tolist()


@pytest.mark.parametrize(
    ("table", "error", "says"),
    [
        ({"path": ["zoo/0.PNG", "no.png"]}, FileNotFoundError, "1 of the 2 .* row 1, '.*/no.png'"),
        ({"path": ["zoo/0.PNG", None]}, ValueError, "'path' .* empty in 1 rows; .* row 1"),
        ({"path": ["zoo/0.PNG"] * 2, "label": ["a", None]}, ValueError, "'label' .* row 1"),
        ({"photo": ["zoo/0.PNG"]}, ValueError, r"none of the columns path.*\['photo'\]"),
        ({"path": []}, ValueError, "has no rows"),
    ],
)
def test_tables_that_do_not_name_pictures(folder, table, error, says):
    with pytest.raises(error, match=says):
        load_table(write(pd.DataFrame(table), folder / "t.csv"))


def test_a_table_in_memory_is_no_file():
    with pytest.raises(TypeError, match="path is a DataFrame, and names a file"):
        load_table(pd.DataFrame({"path": ["a.png"], "label": ["cat"]}))


def test_files_that_are_no_tables(folder, monkeypatch):
    with pytest.raises(ValueError, match=r"end in \.csv or \.parquet\. Save .* commas, in UTF-8"):
        load_table(folder / "table.xlsx")
    with pytest.raises(ValueError, match=r"^'https://a.org/t.csv' is a URL: download the table"):
        load_table("https://a.org/t.csv")
    with pytest.raises(FileNotFoundError, match="no table"):
        load_table(folder / "table.csv")
    (folder / "parts.parquet").mkdir()
    with pytest.raises(ValueError, match=r"parts\.parquet' is a folder, .* write them to one file"):
        load_table(folder / "parts.parquet")
    path = write(pd.DataFrame({"path": ["zoo/0.PNG"]}), folder / "t.parquet")
    for name in ("pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        load_table(path)


def test_the_frame_numbers_classes_as_the_target_does(folder):
    table, of_folder = folder / "t.csv", load_folder(folder)
    write(pd.DataFrame({"path": ["zoo/0.PNG"] * 2, "label": ["b", "a"]}), table)
    for pictures in (of_folder, load_table(table)):
        assert isinstance(pictures.target, np.ndarray)
        np.testing.assert_array_equal(pictures.frame["target"], pictures.target)

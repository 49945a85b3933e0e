"""Tests of benchmark sets that come from the hub, on clones in the formats found there.

Nothing is downloaded. What the columns and splits of each copy are was read from its card.
"""

import io
import pickle
import tarfile
from functools import partial

import _benchmark_layouts as layouts
import pytest
from _benchmark_layouts import NAMES, Picture, find, make_set, own_names

from skclipens.datasets._benchmarks import (
    DatasetNotAvailableError,
    fetch_benchmark,
    list_benchmarks,
)

datasets = pytest.importorskip("datasets")


@pytest.fixture
def fetch(tmp_path):
    return partial(fetch_benchmark, data_home=tmp_path, download_if_missing=False)


def clone(root, hub, features, splits):
    """Write a repository of the hub, as its users upload it, into the folder of its clone."""
    folder = root / hub / "data"
    folder.mkdir(parents=True)
    for split, columns in splits.items():
        data = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
        data.to_parquet(folder / f"{split}-00000-of-00001.parquet")


def encode(picture):
    file = io.BytesIO()
    layouts.Image.fromarray(picture.array()).save(file, format="png")
    return file.getvalue()


def hub_pictures(name, keys, splits):
    """Two pictures of each class and split, and the columns of each split."""
    pictures, columns = [], {}
    for s, split in enumerate(splits):
        made = [
            Picture(name, key, c, 2 * s + j, split == "test")
            for c, key in enumerate(keys)
            for j in range(2)
        ]
        pictures += made
        content = [{"bytes": encode(p), "path": None} for p in made]
        columns[split] = {"image": content, "label": [keys.index(p.key) for p in made]}
    return pictures, columns


def test_hub_classes_are_found_by_name(tmp_path, fetch):
    # Not in the order of the registry.
    keys = ["SeaLake", "Forest", "AnnualCrop"]
    pictures, columns = hub_pictures("eurosat", keys, ["train", "validation", "test"])
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=keys)}
    clone(tmp_path, "timm/eurosat-rgb", features, columns)
    names = {"SeaLake": "lake or sea", "Forest": "forest", "AnnualCrop": "annual crop land"}
    for subset, n in (("train", 12), ("test", 6), ("all", 18)):
        data = fetch("eurosat", subset=subset)
        assert data.source == "hub" and "timm/eurosat-rgb" in data.split
        found = find(pictures, data.images)
        assert len({p.id for p in found}) == n
        assert data.target_names[data.target].tolist() == [names[p.key] for p in found]
    assert list_benchmarks(tmp_path).loc["eurosat", "on_disk"]
    again = pickle.loads(pickle.dumps(data.images))
    assert find(pictures, again) == found


def test_hub_food_and_others_test_on_validation(tmp_path, fetch):
    keys = ["cheesecake", "cheese_plate"]
    pictures, columns = hub_pictures("food101", keys, ["train", "validation"])
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=keys)}
    clone(tmp_path, "ethz/food101", features, columns)
    test = find(pictures, fetch("food101", subset="test").images)
    assert {p.j for p in test} == {2, 3}


def test_hub_flowers_have_numbers_as_names_in_the_order_of_text(tmp_path, fetch):
    keys = ["1", "10", "2"]
    pictures, columns = hub_pictures("flowers102", keys, ["train", "test"])
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=keys)}
    clone(tmp_path, "nelorth/oxford-flowers", features, columns)
    data = fetch("flowers102")
    names = {"1": "pink primrose", "10": "globe thistle", "2": "hard-leaved pocket orchid"}
    expected = [names[p.key] for p in find(pictures, data.images)]
    assert data.target_names[data.target].tolist() == expected


def test_hub_background_of_caltech_is_left_out(tmp_path, fetch):
    keys = ["yin_yang", "background_google"]
    pictures, columns = hub_pictures("caltech101", keys, ["train", "test"])
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=keys)}
    clone(tmp_path, "mteb/Caltech101", features, columns)
    data = fetch("caltech101")
    assert [p.key for p in find(pictures, data.images)] == ["yin_yang"] * 2
    assert set(data.target_names[data.target]) == {"yin and yang symbol"}


def test_hub_birds_bring_their_names(tmp_path, fetch):
    names = own_names("cub200")
    pictures, columns = hub_pictures("cub200", list(NAMES["cub200"]), ["train", "test"])
    for part in columns.values():
        part["label"] = [0, 0, 199, 199]
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=names)}
    clone(tmp_path, "bentrevett/caltech-ucsd-birds-200-2011", features, columns)
    data = fetch("cub200", subset="test")
    assert len(data.target_names) == 200
    assert data.target.tolist() == [0, 0, 199, 199]
    assert data.target_names[199] == "Common Yellowthroat"


def test_hub_names_in_a_column_of_their_own_and_further_splits(tmp_path, fetch):
    keys = ["/a/abbey", "/a/apse/indoor"]
    pictures, columns = hub_pictures("sun397", keys, ["train", "contrast", "test"])
    for part in columns.values():
        part["label_name"] = [keys[label] for label in part["label"]]
    features = {
        "image": datasets.Image(),
        "label": datasets.Value("int64"),
        "label_name": datasets.Value("string"),
    }
    clone(tmp_path, "dpdl-benchmark/sun397", features, columns)
    data = fetch("sun397", subset="all")
    found = find(pictures, data.images)
    assert {p.j for p in found} == {0, 1, 4, 5}  # none of "contrast"
    names = {"/a/abbey": "abbey", "/a/apse/indoor": "apse indoor"}
    assert data.target_names[data.target].tolist() == [names[p.key] for p in found]


def test_hub_images_without_a_label_are_refused(tmp_path, fetch):
    _, columns = hub_pictures("dtd", ["banded", "zigzagged"], ["train", "test"])
    columns["test"]["label"][1] = -1
    names = datasets.ClassLabel(names=["banded", "zigzagged"])
    clone(tmp_path, "tanganke/dtd", {"image": datasets.Image(), "label": names}, columns)
    assert fetch("dtd").target.tolist() == [0, 0, 46, 46]
    with pytest.raises(ValueError, match="without a label"):
        fetch("dtd", subset="test")


def test_hub_numbers_without_names_are_refused(tmp_path, fetch):
    _, columns = hub_pictures("dtd", ["banded", "zigzagged"], ["train", "test"])
    features = {"image": datasets.Image(), "label": datasets.Value("int64")}
    clone(tmp_path, "tanganke/dtd", features, columns)
    with pytest.raises(ValueError, match="numbers its classes in column 'label'"):
        fetch("dtd")


def test_hub_webdatasets_keep_the_numbers_of_torchvision(tmp_path, fetch):
    pictures = []
    for split in ("train", "test"):
        archive = tmp_path / "clip-benchmark" / "wds_gtsrb" / split / "0.tar"
        archive.parent.mkdir(parents=True)
        with tarfile.open(archive, "w") as tar:
            for c, key in enumerate(NAMES["gtsrb"]):
                picture = Picture("gtsrb", key, c, 0, split == "test")
                pictures.append(picture)
                for suffix, content in (
                    ("png", encode(picture)),
                    ("cls", str(int(key)).encode()),
                ):
                    entry = tarfile.TarInfo(f"s{picture.id}.{suffix}")
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
    data = fetch("gtsrb", subset="test")
    found = find(pictures, data.images)
    assert all(p.test for p in found) and len(found) == 2
    assert data.target.tolist() == [int(p.key) for p in found]
    assert data.target_names[data.target].tolist() == [NAMES["gtsrb"][p.key] for p in found]


def test_the_hub_out_of_reach(fetch):
    with pytest.raises(DatasetNotAvailableError, match=r"hub, download: .*mnist"):
        fetch("mnist", source="hub", download_if_missing=True)


def test_files_come_before_the_hub(tmp_path, fetch):
    make_set("dtd", tmp_path)
    _, columns = hub_pictures("dtd", ["banded", "zigzagged"], ["train", "test"])
    names = datasets.ClassLabel(names=["banded", "zigzagged"])
    clone(tmp_path, "tanganke/dtd", {"image": datasets.Image(), "label": names}, columns)
    assert fetch("dtd").source == "torchvision"
    assert fetch("dtd", source="hub").source == "hub"

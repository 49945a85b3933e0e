"""Tests of the registry of benchmark sets, on small copies in their real layouts."""

import hashlib
import pickle
import re
import shutil
import sys
import tarfile
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import _benchmark_layouts as layouts
import numpy as np
import pytest
from _benchmark_layouts import NAMES, NO_SPLIT, find, make_set
from _servers import serving
from hypothesis import given
from hypothesis import strategies as st

from skclipens.datasets._benchmark_specs import SPECS, read_classes, read_templates
from skclipens.datasets._benchmarks import (
    DatasetNotAvailableError,
    _stratified,
    fetch_benchmark,
    list_benchmarks,
)


@pytest.fixture
def fetch(tmp_path, monkeypatch):
    layouts.without_checksums(monkeypatch)
    return partial(fetch_benchmark, data_home=tmp_path, download_if_missing=False)


@pytest.mark.parametrize("name", SPECS)
def test_files_in_the_layout_of_the_publisher(name, tmp_path, fetch):
    if name == "pcam":
        pytest.importorskip("h5py")
    pictures = make_set(name, tmp_path)
    seen = {}
    for subset in ("train", "test", "all"):
        data = fetch(name, subset=subset)
        found = seen[subset] = find(pictures, data.images)
        assert len(data.target_names) == SPECS[name].n_classes
        assert data.target.dtype == np.int64
        names = data.target_names[data.target].tolist()
        assert names == [NAMES[name][picture.key] for picture in found]
        assert data.source == "torchvision"
        if name not in NO_SPLIT and subset != "all":
            assert {picture.test for picture in found} == {subset == "test"}
    assert sorted(p.id for p in seen["all"]) == sorted(p.id for p in pictures)
    assert sorted(p.id for p in seen["train"] + seen["test"]) == sorted(p.id for p in pictures)
    if name in NO_SPLIT:
        for key in NAMES[name]:
            assert sum(p.key == key for p in seen["train"]) == 7
        assert "stratified" in data.split
    else:
        assert data.split == "official split"


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist", "stl10"])
def test_small_images_as_folders_of_pictures(name, tmp_path, fetch):
    pictures = layouts.as_folders(name, tmp_path)
    for subset, n in (("train", 2), ("test", 2), ("all", 4)):
        data = fetch(name, subset=subset)
        found = find(pictures, data.images)
        names = data.target_names[data.target].tolist()
        assert names == [NAMES[name][picture.key] for picture in found]
        assert len(found) == n * len(NAMES[name])
        assert data.split == "official split, as folders of pictures"
        if subset != "all":
            assert {picture.test for picture in found} == {subset == "test"}
    assert list_benchmarks(tmp_path).loc[name, "on_disk"]


def test_files_of_the_publisher_come_before_folders_of_pictures(tmp_path, fetch):
    layouts.as_folders("mnist", tmp_path)
    make_set("mnist", tmp_path)
    assert fetch("mnist").split == "official split"


@given(order=st.permutations(range(30)))
def test_our_split_does_not_depend_on_the_order_of_the_files(order):
    paths = np.array([f"{'abc'[i % 3]}/{i}.jpg" for i in range(30)])
    target = np.arange(30) % 3
    for subset, size in (("train", 7), ("test", 3), ("all", 10)):
        expected, _ = _stratified(paths, target, subset)
        images, y = _stratified(paths[order], target[order], subset)
        assert images.tolist() == expected.tolist()
        assert ["abc"[label] for label in y] == [path[0] for path in images]
        assert np.bincount(y).tolist() == [size] * 3


def test_sun397_takes_the_official_partition_if_it_is_there(tmp_path, fetch):
    pictures = make_set("sun397", tmp_path)
    files = [f"/{p.key[0]}/{p.key}/sun_{p.id}.jpg" for p in pictures]
    layouts.write(tmp_path / "SUN397" / "Training_01.txt", layouts.lines(files[:2] + files[10:12]))
    layouts.write(tmp_path / "SUN397" / "Testing_01.txt", "\r\n".join(files[25:28]))
    for subset, expected in (
        ("train", pictures[:2] + pictures[10:12]),
        ("test", pictures[25:28]),
        ("all", pictures[:2] + pictures[10:12] + pictures[25:28]),
    ):
        data = fetch("sun397", subset=subset)
        assert find(pictures, data.images) == expected
        names = data.target_names[data.target].tolist()
        assert names == [NAMES["sun397"][p.key] for p in expected]
        assert data.split == "official partition 1"


def test_return_X_y_is_the_same_data(tmp_path, fetch):
    make_set("dtd", tmp_path)
    data = fetch("dtd")
    images, labels = fetch("dtd", return_X_y=True)
    assert images.tolist() == data.images.tolist()
    assert labels.tolist() == data.target_names[data.target].tolist()
    assert all(Path(path).is_file() for path in images)


@pytest.mark.parametrize("name", ["dtd", "mnist", "pcam"])
def test_images_go_into_an_embedder(name, tmp_path, fetch):
    if name == "pcam":
        pytest.importorskip("h5py")
    from skclipens import MultiBackboneEmbedder

    pictures = make_set(name, tmp_path)
    images, _ = fetch(name, return_X_y=True)
    embedder = MultiBackboneEmbedder(["zoo/RN20"])
    embedded = embedder.fit_transform(images)
    plain = embedder.fit_transform([p.array() for p in find(pictures, images)])
    assert embedded.shape == plain.shape
    # Files are JPEG, which changes pixels a little.
    np.testing.assert_allclose(embedded, plain, atol=0.1 if name == "dtd" else 1e-4)


def test_pcam_images_are_read_when_used(tmp_path, fetch):
    pytest.importorskip("h5py")
    pictures = make_set("pcam", tmp_path)
    images = fetch("pcam").images
    assert images.dtype == object and images.shape == (4,)
    again = pickle.loads(pickle.dumps(images[[1, 3]]))
    assert find(pictures, again) == find(pictures, images)[1::2]
    shutil.rmtree(tmp_path / "pcam")
    with pytest.raises(OSError):
        images[0].load()


@pytest.mark.parametrize("name", SPECS)
def test_names_and_templates(name):
    classes, templates = read_classes(name), read_templates(name)
    assert templates and all(template.count("{}") == 1 for template in templates)
    assert len(set(templates)) == len(templates)
    for template in templates:
        assert "cat" in template.format("cat")
    if name == "cub200":
        assert classes is None  # they are with the files
        return
    assert len(classes) == SPECS[name].n_classes
    owner = {}
    for key, prompt_name in classes.items():
        assert prompt_name == prompt_name.strip() and "_" not in prompt_name
        # However it is written, a name belongs to one class; ImageNet's keys are numbers.
        for alias in (key,) if name == "imagenet" else (key, prompt_name):
            letters = re.sub("[^a-z0-9]", "", alias.lower())
            assert owner.setdefault(letters, key) == key


def test_names_agree_with_those_in_torchvision():
    from torchvision import datasets

    assert list(read_classes("mnist")) == [name[0] for name in datasets.MNIST.classes]
    if not hasattr(datasets.Flowers102, "classes"):
        pytest.skip("this version of torchvision has no names of flowers")
    ours = list(read_classes("flowers102").values())
    different = {a for a, b in zip(ours, datasets.Flowers102.classes) if a != b}
    # The prompts of CLIP write three names in another way.
    assert different == {"globe flower", "pink and yellow dahlia", "air plant"}


def test_list_benchmarks(tmp_path):
    table = list_benchmarks(tmp_path)
    assert len(table) == 21 and not table["on_disk"].any()
    assert table["classes"].sum() == sum(spec.n_classes for spec in SPECS.values()) == 2732
    assert table.index[table["best_single"].isna()].tolist() == ["cub200"]
    assert table["best_single"].drop("cub200").between(20, 100).all()
    assert set(table.index[table["torchvision"] == ""]) == {"cub200", "resisc45"}
    make_set("dtd", tmp_path)
    table = list_benchmarks(tmp_path)
    assert table.index[table["on_disk"]].tolist() == ["dtd"]


def test_torchvision_classes_exist():
    from torchvision import datasets

    for spec in SPECS.values():
        assert not spec.torchvision or hasattr(datasets, spec.torchvision)


@pytest.mark.parametrize("name", SPECS)
def test_a_missing_set_says_what_to_do(name, tmp_path, fetch):
    with pytest.raises(DatasetNotAvailableError) as caught:
        fetch(name)
    message, spec = str(caught.value), SPECS[name]
    assert isinstance(caught.value, OSError)
    assert message.startswith(spec.title)
    assert spec.origin in message and spec.hub in message
    assert str(tmp_path / spec.folder) in message
    assert "download_if_missing=False" in message
    assert list(tmp_path.iterdir()) == []


def test_an_incomplete_set_says_what_is_wrong(tmp_path, fetch):
    make_set("dtd", tmp_path)
    (tmp_path / "dtd" / "dtd" / "labels" / "val1.txt").unlink()
    with pytest.raises(DatasetNotAvailableError, match=r"on disk: FileNotFoundError.*val1\.txt"):
        fetch("dtd")
    assert len(fetch("dtd", subset="test").images) == 4


def test_wrong_checksums_are_not_accepted(tmp_path):
    make_set("cifar10", tmp_path)
    with pytest.raises(DatasetNotAvailableError, match="corrupted"):
        fetch_benchmark("cifar10", data_home=tmp_path, download_if_missing=False)


def test_a_class_of_another_set_is_refused(tmp_path, fetch):
    make_set("eurosat", tmp_path)
    (tmp_path / "eurosat" / "2750" / "SeaLake").rename(tmp_path / "eurosat" / "2750" / "Moon")
    with pytest.raises(ValueError, match="EuroSAT has no class 'Moon'"):
        fetch("eurosat")


def test_wrong_arguments():
    with pytest.raises(ValueError, match="no benchmark 'cifar'; the names are"):
        fetch_benchmark("cifar")
    with pytest.raises(ValueError, match="subset must be one of"):
        fetch_benchmark("cifar10", subset="val")
    with pytest.raises(ValueError, match="source must be one of"):
        fetch_benchmark("cifar10", source="kaggle")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Let torchvision download Country211 from a server on this machine; return its folder."""
    folder = tmp_path / "server"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with serving(handler) as server:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr("torchvision.datasets.Country211._URL", f"{server.url}/country211.tgz")
        yield folder


def test_download_through_torchvision(tmp_path, fetch, server, monkeypatch):
    made, home = tmp_path / "made", tmp_path / "home"
    pictures = make_set("country211", made)
    archive = server / "country211.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(made / "country211", "country211")
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setattr("torchvision.datasets.Country211._MD5", md5)
    data = fetch("country211", data_home=home, download_if_missing=True)
    assert len(find(pictures, data.images)) == 6
    assert all(path.startswith(str(home)) for path in data.images)
    archive.unlink()  # now it has to come from the disk
    again = fetch("country211", data_home=home, download_if_missing=True)
    assert again.images.tolist() == data.images.tolist()


def test_an_origin_that_is_gone(fetch, server):
    with pytest.raises(DatasetNotAvailableError, match=r"torchvision, download: HTTPError.* 404"):
        fetch("country211", source="torchvision", download_if_missing=True)


def test_sets_without_automatic_download(fetch):
    for name in ("cars", "imagenet", "cub200", "resisc45"):
        with pytest.raises(DatasetNotAvailableError, match="no automatic download"):
            fetch(name, source="torchvision", download_if_missing=True)


def test_missing_libraries_are_named(tmp_path, fetch, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match="pip install datasets"):
        fetch("dtd", source="hub", download_if_missing=True)
    with pytest.raises(DatasetNotAvailableError, match="pip install datasets"):
        fetch("cars", download_if_missing=True)
    (tmp_path / "pcam").mkdir()
    with pytest.raises(ImportError, match="h5py: pip install h5py"):
        fetch("pcam")


def test_description_names_origin_licence_and_split(tmp_path, fetch):
    make_set("eurosat", tmp_path)
    data = fetch("eurosat")
    for text in ("EuroSAT", ":Licence: MIT", SPECS["eurosat"].origin, data.split):
        assert text in data.DESCR

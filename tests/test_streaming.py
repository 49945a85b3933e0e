"""Tests of embedding into a folder of Parquet files: inputs, interruptions, processes."""

import errno
import gc
import gzip
import io
import json
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import uuid
import warnings
import weakref
import zipfile
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import fsspec
import joblib
import numpy as np
import pandas as pd
import pytest
from _servers import serving
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import known_implementations
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from benchmarks.faults._places import remount, small_disk
from skclipens import AdaptiveBackboneEnsemble, CLIPEmbedder, ImageError, MultiBackboneEmbedder
from skclipens.datasets import load_emoji
from skclipens.embedding import EmbeddingStore, _streaming
from skclipens.images import _fetching
from skclipens.images import _files as image_files
from skclipens.images._fetching import locate

pytest.importorskip("pyarrow")

from skclipens.embedding import read_embeddings
from skclipens.embedding._folder import Folder, chunks_of
from skclipens.embedding._parts import PartedTable

N = 7
ALL = ("file", "memory", "simplecache", "http", "ftp", "reference", "nosuch", "driverless")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder that holds the same images as files, shards, an archive and a list."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "files" / "deep").mkdir(parents=True)
    memory = fsspec.filesystem("memory")
    files = []
    for i, source in enumerate(load_emoji(return_X_y=True)[0][::150][:N]):
        files.append(folder / "files" / ("deep" if i < 3 else "") / f"{i}.png")
        shutil.copy(source, files[-1])
        memory.pipe_file(f"/pictures/{i}.png", files[-1].read_bytes())
    (folder / "files" / "notes.md").write_text("no image")
    for shard, some in enumerate([files[:4], files[4:]]):
        with tarfile.open(folder / f"{shard}.tar", "w") as tar:
            for file in some:
                tar.add(file, file.name)
                tar.add(folder / "files" / "notes.md", f"{file.stem}.txt")
    (folder / "shards").mkdir()
    for shard in range(2):
        shutil.copy(folder / f"{shard}.tar", folder / "shards")
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for file in files:
            archive.write(file, f"in/{file.name}")
    with zipfile.ZipFile(folder / "locked.zip", "w") as archive:
        archive.write(files[0], "a.png")
        archive.getinfo("a.png").flag_bits |= 1  # of an encrypted member
    (folder / "list.txt").write_text("\ufeff" + "\n".join(map(str, files)) + "\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def files(pictures):
    return sorted(map(str, pictures.glob("files/**/*.png")), key=lambda file: Path(file).stem)


@pytest.fixture(scope="module")
def expected(files):
    return CLIPEmbedder("zoo/RN20").transform(files)


@pytest.fixture
def embedder():
    return CLIPEmbedder("zoo/RN20")


FORMS = {
    "list": lambda folder, files: files,
    "paths": lambda folder, files: list(map(Path, files)),
    "Series": lambda folder, files: pd.Series(files, index=range(100, 100 + N)),
    "array": lambda folder, files: np.array(files),
    "folder": lambda folder, files: folder / "files",
    "pattern": lambda folder, files: f"{folder}/files/**/*.png",
    "list in a file": lambda folder, files: f"{folder}/list.txt",
    "shards by pattern": lambda folder, files: f"{folder}/*.tar",
    "folder of shards": lambda folder, files: folder / "shards",
    "shards": lambda folder, files: [f"{folder}/0.tar", f"file://{folder}/1.tar"],
    "shard and files": lambda folder, files: [f"{folder}/0.tar", *files[4:]],
    "URLs": lambda folder, files: [f"memory://pictures/{i}.png" for i in range(N)],
    "folder by URL": lambda folder, files: "memory://pictures",
    "pattern by URL": lambda folder, files: "memory://pictures/*.png",
    "files of an archive": lambda folder, files: f"zip://in/*.png::{folder}/all.zip",
    "archive": lambda folder, files: f"zip://::file://{folder}/all.zip",
    "chain": lambda folder, files: "simplecache::memory://pictures/*.png",
}


@pytest.mark.parametrize("form", FORMS)
def test_table_is_that_of_transform(tmp_path, pictures, files, expected, embedder, form):
    parts = embedder.embed_to(
        tmp_path / "out", FORMS[form](pictures, files), protocols=ALL, chunk_size=3
    )
    table = read_embeddings(tmp_path / "out")
    assert [len(pd.read_parquet(part)) for part in parts] == [3, 3, 1]
    archived = table.index.str.startswith(("tar://", "zip://"))
    paths = np.where(archived, table.index.str.partition("::").get_level_values(0), table.index)
    order = [int(Path(path).stem) for path in paths]
    if form in ("folder", "pattern"):
        assert list(table.index) == sorted(files)
    else:
        assert order == list(range(N))
    np.testing.assert_allclose(table, expected[order], atol=1e-5)


def test_names_lead_to_the_images(tmp_path, pictures, embedder):
    embedder.embed_to(tmp_path, f"{pictures}/*.tar")
    name = read_embeddings(tmp_path).index[5]
    assert name == f"tar://5.png::{pictures}/1.tar"
    with fsspec.open(name) as file:
        assert Image.open(file).size == Image.open(pictures / "files" / "5.png").size


def test_what_reads_the_table(tmp_path):
    polars = pytest.importorskip("polars")
    emoji = load_emoji().frame.groupby("target").head(3)
    embedder = MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-16"])
    embedder.embed_to(tmp_path, emoji["path"], chunk_size=16)
    table = read_embeddings(tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path), table)
    by_polars = polars.read_parquet(f"{tmp_path}/*.parquet")
    np.testing.assert_array_equal(by_polars.drop("image").to_numpy(), table)
    assert by_polars["image"].to_list() == emoji["path"].to_list()
    ensemble = AdaptiveBackboneEnsemble(head="linear", random_state=0).fit(table, emoji["target"])
    assert list(ensemble.expert_names_) == ["zoo/RN20", "zoo/ViT-16"]
    one = read_embeddings(tmp_path, backbones="zoo/ViT-16")
    pd.testing.assert_frame_equal(one, table.iloc[:, 128:])
    with pytest.raises(ValueError, match="no embeddings by zoo/DLA, only by zoo/RN20"):
        read_embeddings(tmp_path, backbones=["zoo/DLA"])


def test_table_on_another_file_system(files, expected, embedder):
    folder = f"memory://{uuid.uuid4().hex}/table"
    parts = embedder.embed_to(folder, files, chunk_size=3)
    assert all(fsspec.filesystem("memory").exists(part) for part in parts)
    assert pd.read_parquet(parts[0]).index.to_list() == list(map(str, files[:3]))
    np.testing.assert_allclose(read_embeddings(folder), expected, atol=1e-5)
    embedder.embed_to(folder, files[:2], resume=False)
    np.testing.assert_allclose(read_embeddings(folder), expected[:2], atol=1e-5)


def test_images_of_a_server(tmp_path, pictures, expected, embedder):
    pytest.importorskip("aiohttp")
    handler = partial(QuietHandler, directory=pictures / "files")
    with serving(handler) as server:
        names = [f"{server.url}/{name}" for name in ("5.png", "no_such.png", "deep/2.png")]
        embedder.set_params(on_error="nan").embed_to(tmp_path, names, protocols=["http"])
    np.testing.assert_allclose(read_embeddings(tmp_path).iloc[[0, 2]], expected[[5, 2]], atol=1e-5)
    assert read_embeddings(tmp_path).isna().all(axis=1).to_list() == [False, True, False]


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


class Refusing(QuietHandler):
    """Answers each request with the status that its path begins with."""

    def do_GET(self):
        self.send_error(int(self.path[1:4]))


def test_a_server_that_refuses_an_image_or_fails(tmp_path, files, expected, embedder):
    pytest.importorskip("aiohttp")
    with serving(Refusing) as server:
        refused = [f"{server.url}/{status}.png" for status in (401, 403, 410, 451)]
        embed = partial(embedder.embed_to, protocols=["file", "http"])
        with pytest.raises(ImageError, match=rf"row 1, '{refused[0]}': it cannot be fetched"):
            embed(tmp_path / "out", [files[0], *refused])
        embedder.set_params(on_error="nan")
        embed(tmp_path / "out", [files[0], *refused])
        with pytest.raises(OSError, match=rf"Row 1, '{server.url}/503.png', cannot be fetched: Cl"):
            embed(tmp_path / "failed", [files[0], f"{server.url}/503.png"])
    table = read_embeddings(tmp_path / "out")
    assert table.isna().all(axis=1).to_list() == [False, True, True, True, True]
    np.testing.assert_allclose(table.iloc[0], expected[0], atol=1e-5)


# Interruptions


def stamps(folder):
    return {path.name: path.stat().st_mtime_ns for path in Path(folder).iterdir()}


RUN = """
import sys
from skclipens import CLIPEmbedder
CLIPEmbedder("zoo/RN20").embed_to(sys.argv[1], sys.argv[2:], chunk_size=2)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_run_goes_on_where_it_stopped(tmp_path, files, embedder):
    many = files * 10
    process = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path), *many])
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("part-*"))) < 3 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = stamps(tmp_path)
    n_before = sum(name.startswith("part-") for name in before)
    assert 3 <= n_before < len(many) / 2
    with pytest.raises(ValueError, match=f"lacks {35 - n_before} of 35 parts"):
        read_embeddings(tmp_path)

    (tmp_path / f".part-000001.parquet.{uuid.uuid4().hex}").touch()
    embedder.embed_to(tmp_path, many, chunk_size=2)
    after = stamps(tmp_path)
    assert {name for name in after if name.startswith(".")} == set()
    assert all(after[name] == before[name] for name in before if name.startswith("part-"))
    table = read_embeddings(tmp_path)
    np.testing.assert_allclose(table, embedder.transform(many), atol=1e-5)
    assert list(table.index) == many


@pytest.mark.usefixtures("bars_at_once")
def test_a_complete_table_is_left_alone_unless_told(tmp_path, files, embedder, capfd):
    first = embedder.embed_to(tmp_path, files, chunk_size=3)
    before = stamps(tmp_path)
    assert embedder.set_params(verbose=True).embed_to(tmp_path, files, chunk_size=3) == first
    assert "7/7" in capfd.readouterr().err
    assert stamps(tmp_path) == before
    embedder.embed_to(tmp_path, files[:4], chunk_size=3, resume=False)
    assert sorted(stamps(tmp_path)) == [
        "_manifest.json",
        "part-000000.parquet",
        "part-000001.parquet",
    ]
    assert list(read_embeddings(tmp_path).index) == files[:4]


@pytest.mark.parametrize("in_shard", [False, True])
def test_chunks_of_files_that_have_changed_are_embedded_again(tmp_path, files, embedder, in_shard):
    own = [tmp_path / f"{number}.bmp" for number in range(N)]

    def save(number, turned=False):
        picture = Image.open(files[number]).convert("RGB").resize((64, 64))
        (picture.rotate(90) if turned else picture).save(own[number])  # of the same size

    def images():
        with tarfile.open(tmp_path / "0.tar", "w") as tar:
            for file in own[:3]:
                tar.add(file, file.name)
        return [tmp_path / "0.tar", *own[3:]] if in_shard else own

    for number in range(N):
        save(number)
    out, changed = tmp_path / "out", 1 if in_shard else 4
    embedder.embed_to(out, images(), chunk_size=3)
    before = stamps(out)
    save(changed, turned=True)
    os.utime(own[changed], (10**9, 10**9))  # older than the file that it replaces
    embedder.embed_to(out, images(), chunk_size=3)
    np.testing.assert_allclose(read_embeddings(out), embedder.transform(own), atol=1e-5)
    after = stamps(out)
    rewritten = {name for name in before if after[name] != before[name]}
    assert rewritten == {"_manifest.json", f"part-00000{changed // 3}.parquet"}
    if not in_shard:
        embedder.embed_to(out, own, chunk_size=3)
        assert stamps(out) == after


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"X": slice(0, 6)}, r"its images are others, or in another order \(7 and now 6\)"),
        ({"X": slice(None, None, -1)}, "its images are others, or .* embeds an image only once"),
        ({"chunk_size": 4}, "chunk_size was 3 and is 4"),
        ({"backbone": "zoo/ViT-8"}, "models was .*RN20.* and is .*ViT-8"),
        ({"precision": "bf16"}, "models was .*fp32.* and is .*bf16"),
        ({"normalize": False}, "normalize was True and is False"),
    ],
)
def test_another_call_does_not_mix_with_what_is_there(tmp_path, files, change, what):
    embedder = CLIPEmbedder("zoo/RN20", precision="fp32")
    embedder.embed_to(tmp_path, files, chunk_size=3)
    before = stamps(tmp_path)
    X, chunk_size = files[change.pop("X", slice(None))], change.pop("chunk_size", 3)
    with pytest.raises(ValueError, match=what):
        embedder.set_params(**change).embed_to(tmp_path, X, chunk_size=chunk_size)
    assert stamps(tmp_path) == before


@pytest.mark.parametrize("after", ["begin", "write"])
def test_parts_of_another_call_that_still_goes_on_are_not_taken_over(
    tmp_path, files, embedder, monkeypatch, after
):
    out, other, step = tmp_path / "out", tmp_path / "other", getattr(Folder, after)
    for folder in (out, other):
        embedder.embed_to(folder, files[::-1], chunk_size=3)

    def step_of_another_call(table, *args):
        found = step(table, *args)
        shutil.copy(other / "part-000001.parquet", out)
        return found

    with monkeypatch.context() as context:
        context.setattr(Folder, after, step_of_another_call)
        embedder.embed_to(out, files[:6], chunk_size=3, resume=False)
    embedder.embed_to(out, files[:6], chunk_size=3)
    table = read_embeddings(out)
    assert list(table.index) == files[:6]
    np.testing.assert_allclose(table, embedder.transform(files[:6]), atol=1e-5)


def test_a_call_ends_when_another_one_has_begun_in_its_folder(
    tmp_path, files, embedder, monkeypatch
):
    write, begun = Folder.write, []

    def write_and_begin(table, name, content):
        write(table, name, content)
        if name.startswith("part-") and not begun:
            begun.append(name)
            embedder.embed_to(tmp_path, files[::-1], chunk_size=3, resume=False)

    monkeypatch.setattr(Folder, "write", write_and_begin)
    with pytest.raises(ValueError, match=r"Another call of embed_to.* has begun in "):
        embedder.embed_to(tmp_path, files, chunk_size=3)
    assert list(read_embeddings(tmp_path).index) == files[::-1]


def test_a_worker_that_outlives_its_call_writes_nothing_into_another(
    tmp_path, files, embedder, monkeypatch
):
    embed, begun = _streaming._embed_part, []

    def embed_and_begin(*args):
        values = embed(*args)
        if not begun:
            begun.append(True)
            embedder.embed_to(tmp_path, files[::-1], chunk_size=3, resume=False)
        return values

    monkeypatch.setattr(_streaming, "_embed_part", embed_and_begin)
    monkeypatch.setattr(Folder, "_remove_others", lambda *args: None)  # the call is not there
    with pytest.raises(ValueError, match=r"Another call of embed_to.* has begun in "):
        embedder.embed_to(tmp_path, files, chunk_size=3)
    assert list(pd.read_parquet(tmp_path).index) == files[::-1]


def test_no_part_of_a_call_that_another_one_has_replaced_is_kept(
    tmp_path, files, embedder, monkeypatch
):
    write, begun = Folder.write, []

    def write_and_begin(table, name, content):
        if name.startswith("part-") and not begun:
            begun.append(name)
            embedder.embed_to(tmp_path, files[:2], chunk_size=3, resume=False)
        write(table, name, content)

    # Its first part is no part of the other table, so that it goes on up to its end.
    embedder.embed_to(tmp_path, files, chunk_size=3)
    (tmp_path / "part-000001.parquet").unlink()
    with monkeypatch.context() as context:
        context.setattr(Folder, "write", write_and_begin)
        with pytest.raises(ValueError, match=r"Another call of embed_to.* has begun in "):
            embedder.embed_to(tmp_path, files, chunk_size=3)
    assert list(pd.read_parquet(tmp_path).index) == files[:2]
    # A part of a killed call.
    shutil.copy(tmp_path / "part-000000.parquet", tmp_path / "part-000005.parquet")
    embedder.embed_to(tmp_path, files[:2], chunk_size=3)
    assert list(pd.read_parquet(tmp_path).index) == files[:2]


@pytest.fixture
def truncated(tmp_path, files):
    """The path of an image that is cut short."""
    content = Path(files[0]).read_bytes()
    (tmp_path / "truncated.png").write_bytes(content[: len(content) // 2])
    return str(tmp_path / "truncated.png")


def test_a_filled_up_image_is_not_kept_without_the_setting(
    tmp_path, truncated, embedder, monkeypatch
):
    with monkeypatch.context() as context:
        context.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        embedder.embed_to(tmp_path / "out", [truncated])
    with pytest.raises(ValueError, match="another call: load_truncated was True and is False"):
        embedder.embed_to(tmp_path / "out", [truncated])


def test_images_in_place_of_the_folder_are_named(tmp_path, files, embedder):
    with pytest.raises(TypeError, match=r"folder is the path of one folder; got list. It comes fi"):
        embedder.embed_to(files, tmp_path / "table")


def test_a_file_in_place_of_the_folder_is_named(tmp_path, files, embedder):
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "table"):
        with pytest.raises(OSError, match=rf"'{place}' cannot be made: a file is in its place"):
            embedder.embed_to(place, files)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_link_to_a_missing_disk_is_named(tmp_path, files, embedder):
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    message = r"link' is a link to '.*disk', which is missing. Name another"
    for place in (tmp_path / "link", tmp_path / "link" / "table"):
        with pytest.raises(OSError, match=message):
            embedder.embed_to(place, files)


@pytest.mark.parametrize("form", ["list", "paths", "Series", "array"])
def test_the_same_names_in_another_container_are_the_same_images(tmp_path, files, embedder, form):
    embedder.embed_to(tmp_path, np.array(files, object), chunk_size=3)
    before = stamps(tmp_path)
    embedder.embed_to(tmp_path, FORMS[form](None, files), chunk_size=3)
    assert stamps(tmp_path) == before


@pytest.mark.parametrize("resume", [True, False])
def test_files_of_others_are_not_touched(tmp_path, files, embedder, resume):
    (tmp_path / "part-000000.parquet").write_text("mine")
    with pytest.raises(ValueError, match=r"'part-000000[.]parquet': name a folder that is new"):
        embedder.embed_to(tmp_path, files, resume=resume)
    assert (tmp_path / "part-000000.parquet").read_text() == "mine"
    with pytest.raises(FileNotFoundError, match="holds no embeddings"):
        read_embeddings(tmp_path)
    with pytest.raises(TypeError, match=r"path of one folder; got list.*pass the folder that they"):
        read_embeddings([tmp_path / "part-000000.parquet"])
    os.replace(tmp_path / "part-000000.parquet", tmp_path / ".DS_Store")  # hidden files may stay
    embedder.embed_to(tmp_path, files, resume=resume)
    assert len(read_embeddings(tmp_path)) == len(files)
    assert (tmp_path / ".DS_Store").read_text() == "mine"


@pytest.mark.parametrize("resume", [True, False])
def test_only_parts_are_removed(tmp_path, files, embedder, resume):
    embedder.embed_to(tmp_path, files, chunk_size=3)
    names = ["part-list.txt", "part-1.parquet", "part-000000.parquet.bak", ".part-mine", "a.png"]
    for name in names:
        (tmp_path / name).write_text("mine")
    embedder.embed_to(tmp_path, files, chunk_size=3, resume=resume)
    assert {(tmp_path / name).read_text() for name in names} == {"mine"}
    assert len(read_embeddings(tmp_path)) == N


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "\0\0", "null"])
def test_a_damaged_manifest(tmp_path, files, embedder, content):
    embedder.embed_to(tmp_path, files, chunk_size=3)
    (tmp_path / "_manifest.json").write_text(content)
    for call in (lambda: embedder.embed_to(tmp_path, files), lambda: read_embeddings(tmp_path)):
        with pytest.raises(ValueError, match=r"_manifest\.json' is damaged.*resume=False"):
            call()
    embedder.embed_to(tmp_path, files, chunk_size=3, resume=False)
    assert len(read_embeddings(tmp_path)) == N


def cut(file):
    os.truncate(file, file.stat().st_size - 1)


def empty(file):
    os.truncate(file, 0)


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)


def swap(file):
    shutil.copy(file.with_name("part-000001.parquet"), file)


@pytest.mark.parametrize("damage", [cut, empty, flip, swap])
def test_a_damaged_part_is_named_and_written_again(tmp_path, files, embedder, damage):
    embedder.embed_to(tmp_path, files, chunk_size=3)
    before, table = stamps(tmp_path), read_embeddings(tmp_path)
    damage(tmp_path / "part-000000.parquet")
    with pytest.raises(ValueError, match=r"part-000000\.parquet' is damaged. Call embed_to again"):
        read_embeddings(tmp_path)
    embedder.embed_to(tmp_path, files, chunk_size=3)
    pd.testing.assert_frame_equal(read_embeddings(tmp_path), table)
    after = stamps(tmp_path)
    assert after["part-000001.parquet"] == before["part-000001.parquet"]


@pytest.mark.parametrize("damage", [cut, empty])
def test_a_part_that_a_killed_run_left_damaged(tmp_path, files, embedder, damage):
    embedder.embed_to(tmp_path, files, chunk_size=3)
    table = read_embeddings(tmp_path)
    manifest = json.loads((tmp_path / "_manifest.json").read_text())
    del manifest["parts"]  # which is written when a run ends
    (tmp_path / "_manifest.json").write_text(json.dumps(manifest))
    pd.testing.assert_frame_equal(read_embeddings(tmp_path), table)
    damage(tmp_path / "part-000000.parquet")
    with pytest.raises(ValueError, match=r"part-000000\.parquet' is damaged"):
        read_embeddings(tmp_path)
    embedder.embed_to(tmp_path, files, chunk_size=3)
    pd.testing.assert_frame_equal(read_embeddings(tmp_path), table)


def test_a_full_disk_is_named_and_left_tidy(files, embedder):
    with small_disk("256k") as folder:
        if folder is None:
            pytest.skip("only root may mount a small disk")
        with pytest.raises(OSError, match=f"cannot be written to '{folder}': No space left"):
            embedder.embed_to(folder, files * 100, chunk_size=100)
        left = sorted(os.listdir(folder))
        assert left[0] == "_manifest.json"
        assert all(name.startswith("part-0") for name in left[1:])
        assert 2 <= len(left) < 8
        remount(folder, "size=4m")
        before = stamps(folder)
        embedder.embed_to(folder, files * 100, chunk_size=100)
        assert all(stamps(folder)[name] == before[name] for name in left[1:])
        assert len(read_embeddings(folder)) == 100 * N


def test_a_write_that_fails_leaves_no_file(tmp_path, files, embedder, monkeypatch):
    def fail(self, source, target, real=LocalFileSystem.mv):
        if "part-000001" in target:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        real(self, source, target)

    with monkeypatch.context() as context:
        context.setattr(LocalFileSystem, "mv", fail)
        with pytest.raises(OSError, match=f"part-000001.* '{tmp_path}': Disk quota") as caught:
            embedder.embed_to(tmp_path, files, chunk_size=3)
    assert caught.value.errno == errno.EDQUOT
    assert sorted(os.listdir(tmp_path)) == ["_manifest.json", "part-000000.parquet"]
    embedder.embed_to(tmp_path, files, chunk_size=3)
    assert len(read_embeddings(tmp_path)) == N


# Images that cannot be read


ODD = {
    "no such protocol": "nosuch://x/y.png",
    "no driver": "driverless://x/y.png",
    "no such host": "ftp://no.such.invalid/x.png",
    "no host": "http:///x.png",
    "no URL": "http://[bad/x.png",
    "no archive": "zip://a.png::{folder}/list.txt",
    "no archive there": "zip://a.png::{folder}/gone.zip",
    "encrypted": "zip://a.png::{folder}/locked.zip",
    "chain of nothing": "simplecache::nosuch://a/b.png",
    "no table of references": "reference://x/y.png",
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("cache", [False, True])
def test_an_odd_url_costs_one_row(tmp_path, pictures, files, expected, embedder, case, cache):
    driverless = {"class": "no_such_package.FileSystem", "err": "Install no_such_package"}
    known_implementations["driverless"] = driverless
    if case == "no such host":
        try:
            socket.getaddrinfo("no.such.invalid", 21)
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                pytest.skip("needs a resolver of names")
    odd = ODD[case].format(folder=pictures)
    names = [files[0], odd, files[2]]
    embedder.set_params(cache=tmp_path / "cache" if cache else None)
    with pytest.raises(ImageError, match=f"row 1, {re.escape(repr(odd))}: ") as caught:
        embedder.embed_to(tmp_path / "out", names, protocols=ALL)
    assert case != "encrypted" or "zip': it is encrypted. Unpack the" in str(caught.value)
    embedder.set_params(on_error="nan").embed_to(tmp_path / "out", names, protocols=ALL)
    table = read_embeddings(tmp_path / "out")
    assert table.isna().all(axis=1).to_list() == [False, True, False]
    np.testing.assert_allclose(table.iloc[[0, 2]], expected[[0, 2]], atol=1e-5)


def test_a_network_that_is_down_ends_the_run(tmp_path, files, embedder, monkeypatch):
    def down(*args):
        raise OSError("cannot connect") from socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(image_files, "fetch", down)
    with pytest.raises(OSError, match="cannot connect"):
        embedder.set_params(on_error="nan").embed_to(
            tmp_path, ["http://a.org/x.png"], protocols=["http"]
        )


@pytest.fixture
def broken(tmp_path, files):
    """Names, the rows that cannot be read, and what the error about each says."""
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as tar:
        tar.add(files[0], "good.png")
        tar.addfile(tarfile.TarInfo("empty.png"))
    names = [files[0], "no_such.png", None, "memory://no/such.png", str(shard), files[1]]
    reasons = {
        1: r"row 1, 'no_such.png': .*no such file",
        2: "row 2, None: .*missing value",
        3: "row 3, 'memory://no/such.png': there is no such file",
        5: r"row 5, 'tar://empty.png::.*shard.tar': content of 0 bytes",
    }
    return names, reasons


@pytest.mark.parametrize("cache", [False, True])
def test_unreadable_images_are_rows_of_nan(tmp_path, broken, expected, embedder, cache):
    names, reasons = broken
    embedder.set_params(on_error="nan", cache=tmp_path / "cache" if cache else None)
    embedder.embed_to(tmp_path / "out", names, protocols=ALL, chunk_size=4)
    table = read_embeddings(tmp_path / "out")
    assert list(np.flatnonzero(table.isna().all(axis=1))) == list(reasons)
    np.testing.assert_allclose(table.iloc[[0, 4, 6]], expected[[0, 0, 1]], atol=1e-5)


@pytest.mark.parametrize("row", [1, 2, 3, 5])
def test_an_unreadable_image_is_named(tmp_path, broken, files, embedder, row):
    names, reasons = broken
    alone = [names[min(row, 4)] if i == min(row, 4) else files[0] for i in range(6)]
    with pytest.raises(ImageError, match=reasons[row]):
        embedder.embed_to(tmp_path / "out", alone, protocols=ALL, chunk_size=2)


def test_a_call_that_stops_warns_of_what_it_has_embedded(tmp_path, files, embedder):
    dark = np.random.default_rng(0).integers(0, 9, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(dark).save(tmp_path / "dark.png")
    names = [str(tmp_path / "dark.png"), files[0], "no_such.png"]
    with (
        pytest.warns(UserWarning, match=r"looks wrong.* In row 0 \('.*dark.png'\): nearly black"),
        pytest.raises(ImageError, match="no_such"),
    ):
        embedder.embed_to(tmp_path / "out", names, chunk_size=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match="no_such"):
            embedder.embed_to(tmp_path / "other", names, chunk_size=2)


def test_a_resumed_call_tries_unreadable_images_again(
    tmp_path, files, expected, embedder, monkeypatch
):
    names, out = [*files[:4], "no_such.png"], tmp_path / "out"
    with monkeypatch.context() as context:
        context.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        embedder.set_params(on_error="nan").embed_to(out, names, chunk_size=3)
    assert read_embeddings(out).isna().all(axis=None)
    embedder.embed_to(out, names, chunk_size=3)
    np.testing.assert_allclose(read_embeddings(out).iloc[:4], expected[:4], atol=1e-5)
    before = stamps(out)

    read, rows = image_files.ImageFiles._read, []

    def logged(self, i):
        if self.names[i] is not None:
            rows.append(self.start + i)
        return read(self, i)

    monkeypatch.setattr(image_files.ImageFiles, "_read", logged)
    with pytest.raises(ImageError, match=r"row 4, .no_such.png.: .*no such file"):
        embedder.set_params(on_error="raise").embed_to(out, names, chunk_size=3)
    embedder.set_params(on_error="nan").embed_to(out, names, chunk_size=3)
    assert set(rows) == {4}
    assert stamps(out) == before


def test_a_file_system_that_fails_is_no_missing_image(tmp_path, files, embedder):
    names = [*files, f"file://{tmp_path}"]
    with pytest.raises(OSError) as caught:
        embedder.set_params(on_error="nan").embed_to(tmp_path / "out", names)
    assert f"While reading row 7, 'file://{tmp_path}'." in caught.value.__notes__


def test_input_that_is_no_list_of_images(tmp_path, files, embedder):
    with pytest.raises(ValueError, match=r"Row 1 is of type Image.*transform"):
        embedder.embed_to(tmp_path / "out", [files[0], Image.new("RGB", (8, 8))])
    with pytest.raises(ValueError, match=r"empty.* leads to no images"):
        (tmp_path / "empty").mkdir()
        embedder.embed_to(tmp_path / "out", tmp_path / "empty")
    with pytest.raises(ValueError, match=r"jpg.* leads to no images"):
        embedder.embed_to(tmp_path / "out", f"{tmp_path}/*.jpg")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(files[0], "a.png")
    with pytest.raises(ValueError, match=r"a.tar.gz' cannot be read as a tar file.*not compressed"):
        embedder.embed_to(tmp_path / "out", [tmp_path / "a.tar.gz"])
    with pytest.raises(ValueError, match="chunk_size == 0, must be >= 1"):
        embedder.embed_to(tmp_path / "out", files, chunk_size=0)
    assert not (tmp_path / "out").exists()


def test_a_list_in_a_file_is_utf_8_and_has_a_name_in_each_line(tmp_path):
    names = ["a\u2028b.png", "c\x0cd.png", "e f.png"]
    file = tmp_path / "list.txt"
    for end in ("\n", "\r\n", "\r"):
        file.write_bytes(end.join([*names, "", " "]).encode())
        assert image_files.find_images(file).names == names
    for encoding in ("utf-16", "latin-1"):
        file.write_bytes("é.png".encode(encoding))
        with pytest.raises(ValueError, match=rf"'{file}' is no valid UTF-8.* Save the list as"):
            image_files.find_images(file)
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "folder.txt" / "a.png").touch()
    assert len(image_files.find_images(tmp_path / "folder.txt")) == 1


@pytest.mark.parametrize("ending", ["csv", "PARQUET"])
def test_a_table_in_place_of_its_paths(tmp_path, embedder, ending):
    file = tmp_path / f"pictures.{ending}"
    file.write_text("path,label\na.png,cat\n")
    with pytest.raises(ValueError, match=rf"is a table: .*load_table\('{file}'\)\.filenames"):
        embedder.embed_to(tmp_path / "out", file)


@pytest.mark.parametrize("several", [False, True])
def test_a_zip_file_that_is_named_like_an_image(tmp_path, pictures, embedder, several):
    archive = str(pictures / "all.zip")
    with pytest.raises(ImageError, match=r"it is a zip archive\. Drop the row\. To") as caught:
        embedder.embed_to(tmp_path / "out", [archive] if several else archive)
    (pattern,) = re.findall("pass '(.*)' to embed_to", str(caught.value))
    embedder.embed_to(tmp_path / "pictures", pattern)
    assert len(read_embeddings(tmp_path / "pictures")) == N


def test_a_shard_that_was_cut_short_meanwhile(tmp_path, files):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(files[0], "a.png")
    images = image_files.find_images([tmp_path / "a.tar"])
    os.truncate(tmp_path / "a.tar", images.places[0, 1] + 100)
    with pytest.raises(OSError, match=r"a\.tar' gave 100 bytes where \d+ were asked for"):
        images[0]


SECOND = 1024  # where the second member begins, after a header and fewer than 512 bytes
DAMAGES = {
    "header": lambda content: content[: SECOND + 9] + b"!" + content[SECOND + 10 :],
    "zeros": lambda content: content[:SECOND] + bytes(512) + content[SECOND + 512 :],
    "cut before a member": lambda content: content[:SECOND],
    "cut in a header": lambda content: content[: SECOND + 100],
    "cut in a member": lambda content: content[: SECOND + 520],
    "joined": lambda content: content * 2,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shard_is_not_read_up_to_the_damage(tmp_path, damage):
    shard = tmp_path / "a.tar"
    with tarfile.open(shard, "w") as tar:
        for name in ("a.png", "b.png"):
            info = tarfile.TarInfo(name)
            info.size = 100
            tar.addfile(info, io.BytesIO(b"x" * 100))
    assert len(image_files.find_images([shard])) == 2
    shard.write_bytes(DAMAGES[damage](shard.read_bytes()))
    with pytest.raises(ValueError, match=rf"'{shard}' (is damaged or was|cannot be read as a tar)"):
        image_files.find_images([shard], on_error="nan")


def test_hard_links_of_a_shard_lead_to_their_files(tmp_path, files, expected, embedder):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(files[0], "./a.png")
        for name, target in (("b.png", "a.png"), ("c.png", "./b.png"), ("d.png", "no.png")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.LNKTYPE, target
            tar.addfile(info)
        tar.add(files[1], "e.png")
    with pytest.raises(ImageError, match=r"row 3, 'tar://d.png::.*a.tar'.*'no.png' not found"):
        embedder.embed_to(tmp_path / "out", [tmp_path / "a.tar"])
    embedder.set_params(on_error="nan").embed_to(tmp_path / "out", [tmp_path / "a.tar"])
    table = read_embeddings(tmp_path / "out")
    assert table.isna().all(axis=1).to_list() == [False, False, False, True, False]
    np.testing.assert_allclose(table.iloc[[0, 1, 2, 4]], expected[[0, 0, 0, 1]], atol=1e-5)


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_links_are_the_files_that_they_lead_to_wherever_they_are(tmp_path, files, embedder):
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(files[0], folder / "0.png")
    (folder / "1.png").symlink_to("0.png")
    (folder / "to a folder").symlink_to(tmp_path)
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        for name in ("1.png", "0.png"):
            tar.add(folder / name, name)
    embedder.embed_to(tmp_path / "out", tmp_path / "in.tar")
    first, second = read_embeddings(tmp_path / "out").to_numpy()
    np.testing.assert_array_equal(first, second)
    forms = [f"{folder}", f"{folder}/*", f"file://{folder}", f"file://{folder}/*"]
    for form in forms[1:]:
        assert [name[-5:] for name in image_files.find_images(form).names] == ["0.png", "1.png"]
    (folder / "to a folder").unlink()
    (folder / "2.png").symlink_to("none.png")
    for number, form in enumerate(forms):
        with pytest.raises(ImageError, match=r"row 2, '.*2\.png'"):
            embedder.embed_to(tmp_path / f"out{number}", form)


def test_sparse_members_of_a_shard_are_read_with_their_holes(tmp_path, files, embedder):
    picture = Image.new("RGB", (64, 64))
    picture.paste(Image.open(files[0]).convert("RGB").resize((64, 16)), (0, 0))
    picture.save(tmp_path / "a.bmp")  # from the bottom up: the picture is at the end
    content = (tmp_path / "a.bmp").read_bytes()
    hole = slice(512, len(content) - 4096)
    assert not any(content[hole])
    segments = f"2\n0\n512\n{hole.stop}\n4096\n".encode().ljust(512, b"\0")
    data = segments + content[:512] + content[hole.stop :]
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(files[1], "first.png")
        info = tarfile.TarInfo("GNUSparseFile.0/a.bmp")  # as GNU tar writes it with --sparse
        sparse = {"major": 1, "minor": 0, "name": "a.bmp", "realsize": len(content)}
        info.pax_headers = {f"GNU.sparse.{key}": str(value) for key, value in sparse.items()}
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
        tar.add(files[2], "last.png")
    embedder.embed_to(tmp_path / "out", [tmp_path / "a.tar"])
    wanted = embedder.transform([files[1], str(tmp_path / "a.bmp"), files[2]])
    np.testing.assert_allclose(read_embeddings(tmp_path / "out"), wanted, atol=1e-5)


@pytest.mark.parametrize("cache", [False, True])
def test_members_of_shards_are_read_by_their_names(tmp_path, pictures, expected, embedder, cache):
    embedder.set_params(on_error="nan", cache=tmp_path / "cache" if cache else None)
    embedder.embed_to(tmp_path / "all", f"{pictures}/*.tar")
    found = read_embeddings(tmp_path / "all").index
    odd = [f"tar://no.png::{pictures}/0.tar", f"tar://0.png::{pictures}/no.tar"]
    odd.append(f"tar://0.png::{pictures}/list.txt")
    names = [found[5], *odd, found[0], f"tar://./6.png::file://{pictures}/1.tar"]
    embedder.embed_to(tmp_path / "some", names)
    table = read_embeddings(tmp_path / "some")
    assert list(table.index) == names
    assert table.isna().all(axis=1).to_list() == [False, True, True, True, False, False]
    np.testing.assert_allclose(table.iloc[[0, 4, 5]], expected[[5, 0, 6]], atol=1e-5)
    embedder.set_params(on_error="raise")
    for name in odd:
        with pytest.raises(ImageError, match=f"row 1, {re.escape(repr(name))}: "):
            embedder.embed_to(tmp_path / "one", [found[0], name], resume=False)
    for name in ("tar://*.png", "tar://"):
        images = image_files.find_images(f"{name}::{pictures}/1.tar")
        assert images.names == list(found[4:])
        assert (images.places[:, 0] == 0).all()  # which threads can read at once


def test_threads_do_not_mix_up_members_that_fsspec_reads(tmp_path, monkeypatch):
    def slowly(self, *args, read=gzip.GzipFile.read):
        time.sleep(0.001)
        return read(self, *args)

    monkeypatch.setattr(gzip.GzipFile, "read", slowly)
    contents = [b"%d" % i * 1000 for i in range(20)]
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for i, content in enumerate(contents):
            info = tarfile.TarInfo(f"{i}.png")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    images = image_files.find_images([f"tar://{i}.png::{tmp_path}/a.tar.gz" for i in range(20)])
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(images.__getitem__, range(20))) == contents


def test_missing_pyarrow_is_said_before_any_work(tmp_path, files, embedder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        embedder.embed_to(tmp_path / "out", files)
    assert not (tmp_path / "out").exists()


def test_a_cache_that_fails_is_said_once_for_all_chunks(tmp_path, files, expected):
    (tmp_path / "embeddings-2.sqlite").write_bytes(b"no database" * 1000)
    embedder = CLIPEmbedder("zoo/RN20", cache=tmp_path)
    with pytest.warns(UserWarning, match=r"embeddings-2.*Delete") as caught:
        embedder.embed_to(tmp_path / "out", files, chunk_size=2)
    assert len(caught) == 1
    np.testing.assert_allclose(read_embeddings(tmp_path / "out"), expected, atol=1e-5)


def test_embeddings_go_to_the_cache(tmp_path, pictures, expected):
    store = EmbeddingStore(tmp_path / "cache")
    embedder = CLIPEmbedder("zoo/RN20", cache=store, verbose=True)
    embedder.embed_to(tmp_path / "out", f"{pictures}/*.tar", chunk_size=3)
    assert store.info()["entries"] == N
    np.testing.assert_allclose(read_embeddings(tmp_path / "out"), expected, atol=1e-5)


def test_with_a_cache_a_remote_image_is_fetched_twice_at_most(tmp_path, files, monkeypatch):
    fetched = []
    fetch = image_files.fetch
    monkeypatch.setattr(
        image_files, "fetch", lambda name, *span: fetched.append(name) or fetch(name, *span)
    )
    names = [f"memory://pictures/{i}.png" for i in range(N)]
    embedder = CLIPEmbedder("zoo/RN20", cache=tmp_path / "cache")
    embedder.embed_to(tmp_path / "out", names, protocols=["memory"])
    assert len(fetched) == 2 * N  # for its key, and to be decoded
    embedder.embed_to(tmp_path / "again", names, protocols=["memory"])
    assert len(fetched) == 3 * N


def test_an_image_that_is_read_at_the_second_try_only_is_no_row_of_nan(
    tmp_path, files, embedder, monkeypatch
):
    read = image_files.ImageFiles._read
    tries = []

    def flaky(self, i):
        tries.append(i)
        return None if tries.count(i) == 1 and i == 2 else read(self, i)

    monkeypatch.setattr(image_files.ImageFiles, "_read", flaky)
    with pytest.raises(OSError, match=r"Row 2, .*could be read only when it was tried again"):
        embedder.embed_to(tmp_path / "out", files)
    embedder.embed_to(tmp_path / "out", files)
    assert read_embeddings(tmp_path / "out").notna().all(axis=None)


letters = st.characters(codec="utf-8", exclude_characters="\0/")
member_names = st.text(letters, min_size=1).filter(lambda name: name[0] != ".")


@settings(max_examples=30)
@given(st.lists(st.tuples(member_names, st.binary(max_size=1500)), min_size=1, max_size=8))
def test_any_member_is_found_in_its_shard(members):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(f"{name}.PNG")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    fsspec.filesystem("memory").pipe_file("/any.tar", content.getvalue())
    images = image_files.find_images("memory://any.tar", ["memory"])
    assert images.names == [f"tar://{name}.PNG::memory://any.tar" for name, _ in members]
    again = pickle.loads(pickle.dumps(images.part(1, 9)))
    assert [images[0], *again] == [data for _, data in members]


HIDDEN = ["._1.png", "in/.1.png", ".cache/1.png", "__MACOSX/in/1.png", "in/@eaDir/1.png"]


@pytest.mark.parametrize("folder", ["pictures", ".pictures"])
def test_hidden_files_of_shards_archives_and_urls_are_no_images(tmp_path, folder):
    names = ["1.png", "in/1.png", *HIDDEN]
    memory = fsspec.filesystem("memory")
    with (
        tarfile.open(tmp_path / "1.tar", "w") as tar,
        zipfile.ZipFile(tmp_path / "1.zip", "w") as archive,
    ):
        for name in names:
            memory.pipe_file(f"/hidden/{folder}/{name}", b"")
            tar.addfile(tarfile.TarInfo(f"./{name}"))
            archive.writestr(name, b"")
    for X, first, rest in (
        (f"memory://hidden/{folder}", f"memory:///hidden/{folder}/", ""),
        (f"{tmp_path}/1.tar", "tar://./", f"::{tmp_path}/1.tar"),
        (f"zip://::{tmp_path}/1.zip", "zip://", f"::{tmp_path}/1.zip"),
    ):
        found = image_files.find_images(X, ["file", "memory"]).names
        assert found == [f"{first}{name}{rest}" for name in names[:2]]


@pytest.mark.parametrize("name", ["zip://{i}.png::{folder}/all.zip", "file://{folder}/{i}.png"])
def test_local_files_behind_urls_that_have_changed_are_embedded_again(
    tmp_path, files, embedder, name
):
    def write(some):
        for i, file in enumerate(some):
            shutil.copy(file, tmp_path / f"{i}.png")
        with zipfile.ZipFile(tmp_path / "new.zip", "w") as archive:
            for i in range(len(some)):
                archive.write(tmp_path / f"{i}.png", f"{i}.png")
        os.replace(tmp_path / "new.zip", tmp_path / "all.zip")

    names = [name.format(i=i, folder=tmp_path) for i in range(2)]
    for some in (files[:2], files[2:4]):
        write(some)
        embedder.embed_to(tmp_path / "out", names)
        found = read_embeddings(tmp_path / "out")
        np.testing.assert_allclose(found, embedder.transform(some), atol=1e-5)
    write(files[:3])
    assert len(image_files.find_images(f"zip://*.png::{tmp_path}/all.zip")) == 3


@given(st.integers(1, 300), st.integers(1, 40))
def test_chunks_cover_each_row_once(n_images, chunk_size):
    chunks = chunks_of(n_images, chunk_size)
    rows = [row for _, start, stop in chunks for row in range(start, stop)]
    assert rows == list(range(n_images))
    assert sorted({name for name, _, _ in chunks}) == [name for name, _, _ in chunks]


@pytest.fixture
def slow_zip(tmp_path, monkeypatch):
    """A zip file of 20 members, which are listed one after the other."""

    def slowly(self):
        for member in self.filelist:
            time.sleep(0.01)
            yield member

    monkeypatch.setattr(zipfile.ZipFile, "infolist", slowly)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for i in range(20):
            archive.writestr(f"in/{i}.png", b"%d" % i)
    return tmp_path / "all.zip"


def test_threads_find_all_members_of_an_archive(slow_zip):
    images = image_files.find_images([f"zip://in/{i}.png::{slow_zip}" for i in range(20)])
    locate(images.names[0])  # opened once, as if one thread came first
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(images.__getitem__, range(20)))
    assert found == [b"%d" % i for i in range(20)]


@pytest.mark.parametrize("place", ["memory://{folder.name}", "{folder}"])
def test_archives_of_one_size_and_time_are_told_apart(tmp_path, place):
    place = place.format(folder=tmp_path)
    names = [f"zip://a.png::{place}/{i}.zip" for i in range(2)]
    for i in range(2):
        with fsspec.open(f"{place}/{i}.zip", "wb") as file, zipfile.ZipFile(file, "w") as archive:
            archive.writestr(zipfile.ZipInfo("a.png"), f"picture {i}")
        if place == str(tmp_path):
            os.utime(tmp_path / f"{i}.zip", (0, 0))
    images = image_files.find_images(names, ("file", "memory"))
    assert list(images) == [b"picture 0", b"picture 1"]


@pytest.mark.parametrize("pattern", ["zip://in/*.png", "zip://in"])
def test_threads_list_all_members_of_an_archive(slow_zip, pattern):
    locate(f"zip://in::{slow_zip}")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(image_files.find_images, [f"{pattern}::{slow_zip}"] * 4))
    assert [len(images) for images in found] == [20] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_does_not_read_from_the_open_archive_of_its_parent(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for i in range(2):
            archive.writestr(f"{i}.png", bytes([i]) * 10**6)
    images = image_files.find_images([f"zip://{i}.png::{tmp_path}/all.zip" for i in range(2)])
    assert images[0] == bytes(10**6)
    file = locate(images.names[0])[0].zip.fp.fileno()
    os.lseek(file, 7, os.SEEK_SET)
    child = multiprocessing.get_context("fork").Process(
        target=lambda: os._exit(0 if images[1] == b"\1" * 10**6 else 2)
    )
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert os.lseek(file, 0, os.SEEK_CUR) == 7


def test_few_of_many_archives_stay_open(tmp_path):
    opened = []
    for i in range(40):
        with zipfile.ZipFile(tmp_path / f"{i}.zip", "w") as archive:
            archive.writestr("a.png", b"%d" % i)
    images = image_files.find_images([f"zip://a.png::{tmp_path}/{i}.zip" for i in range(40)])
    for i, name in enumerate(images.names):
        assert images[i] == b"%d" % i
        opened.append(weakref.ref(locate(name)[0]))
    gc.collect()
    assert sum(one() is not None for one in opened) <= 16
    assert opened[-1]() is locate(name)[0]
    assert images[0] == b"0"


def test_archives_behind_urls_are_opened_again_in_each_call(tmp_path, files, embedder):
    def write(some):
        with fsspec.open(f"memory://{tmp_path.name}/all.zip", "wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                for i, one in enumerate(some):
                    archive.write(one, f"{i}.png")

    def embed(resume):
        name = f"zip://*.png::memory://{tmp_path.name}/all.zip"
        embedder.embed_to(tmp_path / "out", name, protocols=["memory"], resume=resume)
        return read_embeddings(tmp_path / "out")

    for some in (files[:2], files[2:4], files[:4]):
        write(some)
        np.testing.assert_allclose(embed(False), embedder.transform(some), atol=1e-5)
    write(files[2:4] * 2)
    np.testing.assert_allclose(embed(True), embedder.transform(files[:4]), atol=1e-5)
    np.testing.assert_allclose(embed(False), embedder.transform(files[2:4] * 2), atol=1e-5)


class Remembering(MemoryFileSystem):
    """Lists a folder once, as file systems of object stores do."""

    protocol = "remembering"

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("remembering://"))

    def find(self, path, **options):
        key = path, *sorted(options.items())
        if key not in self.dircache:
            self.dircache[key] = super().find(path, **options)
        return self.dircache[key]

    def invalidate_cache(self, path=None):
        self.dircache.clear()


def test_each_call_lists_a_folder_behind_a_url_again(tmp_path):
    fsspec.register_implementation("remembering", Remembering, clobber=True)
    folder = f"remembering://{tmp_path.name}"
    for n_files in (1, 2):
        fsspec.filesystem("memory").pipe(f"memory://{tmp_path.name}/{n_files}.png", b"")
        for name in (folder, f"{folder}/*.png"):
            assert len(image_files.find_images(name, ["remembering"])) == n_files


def test_a_worker_of_an_earlier_call_opens_an_archive_behind_a_url_again(tmp_path, monkeypatch):
    name = f"zip://a.png::memory://{tmp_path.name}/all.zip"

    def write(content):
        with fsspec.open(f"memory://{tmp_path.name}/all.zip", "wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("a.png", content)

    write(b"old")
    assert image_files.find_images([name], ["memory"])[0] == b"old"
    with monkeypatch.context() as elsewhere:  # the process that makes the next call
        elsewhere.setattr(_fetching, "_calls", set())
        elsewhere.setattr(_fetching, "_archives", OrderedDict())
        images = image_files.find_images([name], ["memory"])
    write(b"new")
    images = pickle.loads(pickle.dumps(images))
    assert images[0] == b"new"
    write(b"newest")
    assert images.part(0, 1)[0] == b"new"


# Several processes


@pytest.mark.parametrize("name", ["files/6.png", "zip://in/6.png::all.zip", "1.tar"])
def test_relative_paths_lead_to_the_same_images_elsewhere(pictures, monkeypatch, name):
    monkeypatch.chdir(pictures)
    images = image_files.find_images([name])
    monkeypatch.chdir("/")
    image = pickle.loads(pickle.dumps(images))[len(images) - 1]
    content = image if isinstance(image, bytes) else Path(image).read_bytes()
    assert content == (pictures / "files" / "6.png").read_bytes()


def test_threads_share_the_work(tmp_path, files, expected, embedder):
    with joblib.parallel_config(backend="threading", n_jobs=2):
        embedder.embed_to(tmp_path, files, chunk_size=2)
    np.testing.assert_allclose(read_embeddings(tmp_path), expected, atol=1e-5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_processes_share_the_work(tmp_path, files, expected, embedder):
    """Joblib's backend "multiprocessing", whose results come all at once."""
    with joblib.parallel_config("multiprocessing", n_jobs=2):
        embedder.embed_to(tmp_path, files, chunk_size=4)
        table = PartedTable(tmp_path)
        done = sorted(table.map(_n_rows, lambda start, stop: (), verbose=False, desc=""))
    np.testing.assert_allclose(read_embeddings(tmp_path), expected, atol=1e-5)
    assert done == [(0, 4, 4), (4, 7, 3)]


def _n_rows(table, parts, given):
    return sum(len(table.read(part)) for part in parts)


def test_workers_have_the_settings_of_pillow_of_the_process_that_calls(
    tmp_path, truncated, embedder, monkeypatch
):
    def in_worker(*args, write_part=_streaming._write_part, **options):
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        return write_part(*args, **options)

    monkeypatch.setattr(_streaming, "_write_part", in_worker)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    embedder.embed_to(tmp_path / "out", [truncated])
    assert read_embeddings(tmp_path / "out").notna().all(axis=None)


@pytest.mark.slow  # each worker imports torch
def test_processes_share_the_work(tmp_path, files, expected, embedder):
    with joblib.parallel_config(n_jobs=2):
        embedder.embed_to(tmp_path, files, chunk_size=2)
    np.testing.assert_allclose(read_embeddings(tmp_path), expected, atol=1e-5)


def log_loads(log):
    """Write a line to a file whenever this process loads a model."""
    from skclipens.backbones import _loading

    load = _loading._load

    def logged(backbone, device):
        with open(log, "a") as file:
            file.write(f"{os.getpid()} {backbone.name}\n")
        return load(backbone, device)

    _loading._load = logged


def kill_at_work(pid, log, folder, n_parts_then):
    """Kill a worker as soon as it has loaded a model and there is a part."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        n_parts = len(list(folder.glob("part-*")))
        if n_parts and log.exists() and f"{pid} zoo" in log.read_text():
            os.kill(pid, signal.SIGKILL)
            n_parts_then.append(n_parts)
            return
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_cluster_that_loses_a_worker(tmp_path, files):
    distributed = pytest.importorskip("distributed")
    cloudpickle = pytest.importorskip("cloudpickle")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])

    class LogLoads(distributed.WorkerPlugin):
        def setup(self, worker):
            log_loads(log)

    out, log, many = tmp_path / "out", tmp_path / "loads.txt", files * 100
    embedder = MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-8"])
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        client.register_plugin(LogLoads())
        pids = list(client.run(os.getpid).values())
        n_parts_then = []
        killer = threading.Thread(target=kill_at_work, args=(pids[0], log, out, n_parts_then))
        killer.start()
        embedder.embed_to(out, many, chunk_size=10)
        killer.join()
        pids_after = list(client.run(os.getpid).values())
    assert 1 <= n_parts_then[0] < 70
    assert pids[0] not in pids_after
    assert pids[1] in pids_after
    np.testing.assert_allclose(read_embeddings(out), embedder.transform(many), atol=1e-5)
    loads = log.read_text().splitlines()
    assert len(set(loads)) == len(loads)
    assert {line.split()[0] for line in loads} >= set(map(str, pids))
    assert {f"{pids[1]} {name}" for name in embedder.backbones} <= set(loads)

"""Tests of the embedding store: keys by content; rows that threads, processes and runs share."""

import io
import json
import multiprocessing
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from joblib import Parallel, delayed
from PIL import Image, ImageFile

from benchmarks.faults._kills import keys_of
from benchmarks.faults._kills import rows_of as of_width
from benchmarks.faults._places import as_nobody, fill, small_disk
from skclipens import CLIPEmbedder, EmbeddingStoreError, ImageError, MultiBackboneEmbedder, zoo
from skclipens.backbones import Backbone, resolve_backbones
from skclipens.datasets import load_emoji
from skclipens.embedding import EmbeddingStore, _keys, _reading, _row_cache, _store
from skclipens.embedding._keys import image_key, image_keys, model_key
from skclipens.embedding._reading import as_store, embed_with_store

PAIR = ["zoo/RN20", "zoo/ViT-8"]
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


@pytest.fixture
def cache(tmp_path):
    return EmbeddingStore(tmp_path / "cache")


@pytest.fixture
def paths():
    return [str(path) for path in load_emoji(return_X_y=True)[0][::150]]


def rows_of(numbers, width=8):
    return of_width(numbers, width)


def png(picture, **options):
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


# Keys of images


def test_a_file_is_known_by_its_bytes(tmp_path, paths):
    copy = tmp_path / "copy.png"
    shutil.copy(paths[0], copy)
    content = copy.read_bytes()
    forms = [paths[0], str(copy), copy, content, bytearray(content), memoryview(content)]
    assert len(set(image_keys(forms))) == 1
    assert len(set(image_keys(paths))) == len(paths)


@pytest.mark.parametrize("settled", [_keys._SETTLED, 0])
def test_an_edit_that_keeps_size_and_mtime_changes_the_key(tmp_path, paths, settled, monkeypatch):
    monkeypatch.setattr(_keys, "_SETTLED", settled)
    file = tmp_path / "image"
    file.write_bytes(Path(paths[0]).read_bytes())
    before, status = image_key(file), file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert image_key(file) == image_key(bytes(content)) != before


@pytest.fixture
def read_files(monkeypatch):
    """Paths that were read to learn their keys."""
    files = []

    def read_key(stamp, real=_keys._read_key):
        files.append(Path(stamp[0]))
        return real(stamp)

    monkeypatch.setattr(_keys, "_read_key", read_key)
    monkeypatch.setattr(_keys, "_remembered", {})
    return files


def test_a_known_file_is_not_read_again(tmp_path, cache, read_files, monkeypatch):
    monkeypatch.setattr(_keys, "_SETTLED", 0)
    file = tmp_path / "image"
    file.write_bytes(b"one")
    first = image_key(file, cache)
    assert image_key(file, cache) == image_key(file) == first
    _keys._remembered.clear()  # as in another process
    assert image_key(file, cache) == first
    assert read_files == [file]
    file.write_bytes(b"two")
    assert image_key(file, cache) == image_key(b"two")
    assert read_files == [file, file]


def test_a_file_that_has_just_changed_is_read_again(tmp_path, cache, read_files):
    file = tmp_path / "image"
    file.write_bytes(b"one")
    assert image_key(file, cache) == image_key(file, cache)
    assert len(read_files) == 2


def test_without_a_store_few_files_are_remembered(tmp_path, read_files, monkeypatch):
    monkeypatch.setattr(_keys, "_SETTLED", 0)
    monkeypatch.setattr(_keys, "_MAX_REMEMBERED", 3)
    files = [tmp_path / str(i) for i in range(20)]
    for i, file in enumerate(files):
        file.write_bytes(bytes([i]))
        assert image_key(file) == image_key(file) == image_key(bytes([i]))
    assert read_files == files
    assert [image_key(file) for file in files] == [image_key(bytes([i])) for i in range(20)]
    assert read_files[20:36] == files[:16]  # which were forgotten


def test_whatever_changes_what_is_shown_changes_the_key():
    pixels = np.arange(64 * 3, dtype=np.uint8).reshape(8, 8, 3)
    picture = Image.fromarray(pixels)
    shown = [picture, Image.fromarray(pixels.reshape(4, 16, 3)), Image.fromarray(255 - pixels)]
    for orientation in range(2, 9):
        turned = picture.copy()
        turned.getexif()[0x0112] = orientation
        shown.append(turned)
    palette = picture.quantize(8)
    other_palette = palette.copy()
    other_palette.putpalette(palette.getpalette()[::-1])
    see_through = palette.copy()
    see_through.info["transparency"] = palette.getpixel((0, 0))
    veiled = picture.convert("RGBA")
    veiled.putalpha(100)
    shown += [palette, other_palette, see_through, veiled, picture.convert("L")]
    assert len(set(image_keys(shown))) == len(shown)


def test_the_same_picture_in_other_forms_has_the_same_key():
    torch = pytest.importorskip("torch")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    turned = Image.fromarray(np.rot90(pixels).copy())
    turned.getexif()[0x0112] = 6  # to be shown turned clockwise
    forms = [
        pixels,
        np.asfortranarray(pixels),
        pixels.astype(int),
        Image.fromarray(pixels),
        Image.fromarray(pixels).convert("RGBA"),
        torch.from_numpy(pixels).permute(2, 0, 1),
        Image.open(io.BytesIO(png(Image.fromarray(pixels)))),
        turned,
    ]
    assert len(set(image_keys(forms))) == 1


pictures = arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 3), st.just(3)))


@given(pictures, pictures)
def test_keys_of_arrays_are_equal_only_if_the_arrays_are(a, b):
    assert (image_key(a) == image_key(b)) == (a.shape == b.shape and bool((a == b).all()))


def test_what_is_no_image_has_no_key(tmp_path):
    missing = [None, np.nan, "", "no such file", "a\0b", tmp_path, object(), np.zeros((2, 2, 7))]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        missing.append(tmp_path / "pipe")
    assert image_keys(missing) == [None] * len(missing)


# Keys of models


def test_models_and_precisions_have_different_keys():
    backbones = resolve_backbones(["zoo", "ViT-B-32", "ViT-B-32/laion2b_s34b_b79k", "RN50"])
    keys = [model_key(one, precision) for one in backbones for precision in ("fp32", "fp16")]
    assert len(set(keys)) == len(keys)
    with pytest.raises(ValueError, match="depends on the device"):
        model_key(backbones[0], "auto")


def test_a_new_preprocess_version_has_a_new_key(monkeypatch):
    before = model_key(Backbone("zoo/RN20"), "fp32")
    monkeypatch.setattr(_keys, "PREPROCESS_VERSION", _keys.PREPROCESS_VERSION + 1)
    assert model_key(Backbone("zoo/RN20"), "fp32") != before


@pytest.mark.parametrize("file", ["open_clip_model.safetensors", "open_clip_config.json"])
def test_a_copied_model_keeps_its_key_until_a_file_changes(tmp_path, file):
    keys = []
    for name in ("one", "two"):
        shutil.copytree(zoo.WEIGHTS / "RN20", tmp_path / name)
        keys.append(model_key(Backbone(str(tmp_path / name)), "fp32"))
    assert keys[0] == keys[1]
    path = tmp_path / "two" / file
    if path.suffix == ".json":
        config = json.loads(path.read_text())
        config["preprocess_cfg"] = {**config.get("preprocess_cfg", {}), "mean": [0.1, 0.2, 0.3]}
        path.write_text(json.dumps(config))
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert model_key(Backbone(str(path.parent)), "fp32") != keys[0]


def test_the_same_file_with_another_activation_has_another_key(tmp_path):
    # The hub's folder says QuickGELU; without it the file is loaded with plain GELU.
    hub = tmp_path / "models--timm--vit_base_patch32_clip_224.openai" / "weights.bin"
    plain = tmp_path / "elsewhere" / "weights.bin"
    copy = tmp_path / "copy.bin"
    for file in (hub, plain, copy):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"weights")
    keys = [model_key(Backbone(f"ViT-B-32//{file}"), "fp32") for file in (hub, plain, copy)]
    assert keys[0] != keys[1] == keys[2]


# Rows


@settings(max_examples=40)
@given(
    arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 5))),
    st.lists(st.integers(0, 5), max_size=9),
)
def test_rows_come_back_bit_for_bit(rows, asked):
    with tempfile.TemporaryDirectory() as folder:
        cache = EmbeddingStore(folder)
        cache.put_many(keys_of(range(len(rows))), "model", rows)
        found, stored = cache.get_many(keys_of(asked), "model")
        assert found.tolist() == [number < len(rows) for number in asked]
        expected = rows[[number for number in asked if number < len(rows)]]
        assert stored.dtype == np.float32
        assert stored.tobytes() == expected.tobytes()
        assert not cache.get_many(keys_of(asked), "another model")[0].any()


def test_more_rows_than_go_into_one_statement(cache):
    numbers = np.random.default_rng(0).permutation(3 * _store._AT_ONCE + 7)
    cache.put_many(keys_of(numbers), "model", rows_of(numbers))
    found, rows = cache.get_many(keys_of(range(len(numbers))), "model")
    assert found.all()
    np.testing.assert_array_equal(rows, rows_of(range(len(numbers))))


def test_a_stored_row_is_left_as_it_is(cache):
    cache.put_many([b"key"], "model", [[1, 2]])
    cache.put_many([b"key"], "model", [[3, 4]])
    assert cache.get_many([b"key"], "model")[1].tolist() == [[1, 2]]


def test_rows_may_be_written_to(cache):
    cache.put_many([b"key"], "model", [[1, 2]])
    rows = cache.get_many([b"key"], "model")[1]
    rows += 1
    assert cache.get_many([b"key"], "model")[1].tolist() == [[1, 2]]


@pytest.mark.parametrize("rows", [[[1, 2]], [1, 2], np.zeros((2, 0))])
def test_put_needs_one_row_per_key(cache, rows):
    with pytest.raises(ValueError, match=r"2 keys, so rows must have shape \(2, width\)"):
        cache.put_many([b"a", b"b"], "model", rows)


def test_what_is_no_image_cannot_be_put(cache):
    keys = [b"a", image_key("none.png")]
    with pytest.raises(ValueError, match="Row 1 has the key None"):
        cache.put_many(keys, "model", np.ones((2, 3)))
    assert cache.info()["entries"] == 0


def test_info_and_clear(cache):
    cache.put_many(keys_of(range(1000)), "a", rows_of(range(1000), 512))
    cache.put_many(keys_of(range(3)), "b", rows_of(range(3)))
    info = cache.info()
    assert info["models"] == {"a": 1000, "b": 3}
    assert info["entries"] == 1003
    assert 1000 * 2048 < info["bytes"] < 1.5 * 1000 * 2048
    assert info["path"] == str(cache.file)
    cache.clear()
    assert cache.info()["entries"] == 0
    assert cache.info()["models"] == {}
    assert cache.file.stat().st_size < 10 * _store._PAGE_SIZE
    cache.put_many(keys_of(range(2)), "b", rows_of(range(2)))
    assert cache.info()["models"] == {"b": 2}


def test_clear_forgets_one_model(cache):
    embed_with_store(cache, squares([1]), MODELS, Model(squares([1]), [2, 3]))
    with pytest.raises(ValueError, match=r"model_key='c' has no rows in .*are 'a', 'b'\."):
        cache.clear("c")
    cache.clear("a")
    assert cache.info()["models"] == {"b": 1}
    again = Model(squares([1]), [2, 3])
    embed_with_store(cache, squares([1]), MODELS, again)
    assert again.asked == [(0, 0)]  # also the memory has forgotten it


def test_what_asks_about_a_store_makes_none(cache):
    assert cache.info() == {
        "path": str(cache.file),
        "entries": 0,
        "bytes": 0,
        "max_bytes": cache.max_bytes,
        "models": {},
    }
    cache.clear()
    assert not cache.path.exists()


def test_where_the_store_is(tmp_path, monkeypatch):
    monkeypatch.setenv("SKCLIPENS_CACHE", str(tmp_path))
    assert EmbeddingStore().path == EmbeddingStore(True).path == tmp_path / "embeddings"
    monkeypatch.delenv("SKCLIPENS_CACHE")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert EmbeddingStore().path == tmp_path / ".cache" / "skclipens" / "embeddings"
    assert not EmbeddingStore().path.exists()  # made on first use
    monkeypatch.chdir(tmp_path)
    assert EmbeddingStore("here").path == tmp_path / "here"


@pytest.mark.parametrize("decode", ["exact", "auto"])
def test_keys_of_what_an_embedder_stores(tmp_path, decode):
    path, store = load_emoji(return_X_y=True)[0][0], EmbeddingStore(tmp_path)
    CLIPEmbedder("zoo/ViT-8", decode=decode, precision="fp32", cache=store).transform([path])
    own, (stored,) = model_key(Backbone("zoo/ViT-8"), "fp32"), store.info()["models"]
    assert stored.startswith(own) and (stored == own) == (decode == "exact")
    assert store.get_many([image_key(path)], stored)[0].all()


def test_the_limit_may_be_written_as_a_float(tmp_path):
    assert EmbeddingStore(tmp_path, max_bytes=50e9).info()["max_bytes"] == 50 * 10**9


@pytest.mark.parametrize("max_bytes", [0, 2**20 - 1, np.inf, np.nan, "1e9", None])
def test_the_limit_is_checked(tmp_path, max_bytes):
    with pytest.raises(ValueError, match="max_bytes"):
        EmbeddingStore(tmp_path, max_bytes=max_bytes)
    with pytest.raises(ValueError, match="path is False"):
        EmbeddingStore(False)


@pytest.mark.parametrize("path", ["s3://bucket/embeddings", "file:///tmp/store"])
def test_a_url_is_no_folder_for_a_store(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"'{path}' is a URL.* embed_to writes .* to URLs"):
        MultiBackboneEmbedder("zoo/ViT-8", cache=path).fit([np.zeros((8, 8, 3), np.uint8)])
    monkeypatch.setenv("SKCLIPENS_CACHE", path)
    with pytest.raises(ValueError, match="is a URL"):
        EmbeddingStore()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["", "True"])
def test_a_text_that_is_no_folder(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"'{path}' names no folder for a store"):
        MultiBackboneEmbedder("zoo/ViT-8", cache=path).fit_transform(
            [np.zeros((8, 8, 3), np.uint8)]
        )
    assert not list(tmp_path.iterdir())


def test_pickles(cache):
    cache.put_many([b"key"], "model", [[1, 2]])
    copy = pickle.loads(pickle.dumps(cache))
    assert copy.max_bytes == cache.max_bytes
    assert copy.get_many([b"key"], "model")[1].tolist() == [[1, 2]]
    assert len(pickle.dumps(cache)) < 500


# Eviction


def test_the_oldest_rows_are_evicted(tmp_path):
    limit = 2**20
    cache = EmbeddingStore(tmp_path, max_bytes=limit)
    for start in range(0, 2000, 100):
        numbers = range(start, start + 100)
        cache.put_many(keys_of(numbers), f"model {start % 300}", rows_of(numbers, 512))
        assert cache.info()["bytes"] <= limit
        assert cache.get_many(keys_of(numbers), f"model {start % 300}")[0].all()
    found = [
        cache.get_many(keys_of([number]), f"model {number // 100 * 100 % 300}")[0][0]
        for number in range(2000)
    ]
    assert found == sorted(found)  # what is left is what was written last
    assert 0.5 * limit < sum(found) * 2048 < limit
    assert cache.file.stat().st_size < limit + 100 * 2048 + 20 * _store._PAGE_SIZE


def test_a_lower_limit_holds_from_the_next_write_on(tmp_path):
    EmbeddingStore(tmp_path).put_many(keys_of(range(2000)), "model", rows_of(range(2000), 512))
    smaller = EmbeddingStore(tmp_path, max_bytes=2**20)
    smaller.put_many([b"last"], "model", rows_of([0], 512))
    assert smaller.info()["bytes"] <= 2**20
    assert smaller.get_many([b"last"], "model")[0].all()


def test_one_write_larger_than_the_limit(tmp_path):
    cache = EmbeddingStore(tmp_path, max_bytes=2**20)
    cache.put_many(keys_of(range(5000)), "model", rows_of(range(5000), 512))
    assert cache.info()["bytes"] <= 2**20
    assert cache.file.stat().st_size < 2**20 + 2 * _store._AT_ONCE * 2048


# Threads, processes and crashes


def write(cache, numbers):
    """What a worker does; half of the rows are also written by the other one."""
    for start in range(0, len(numbers), 20):
        some = numbers[start : start + 20]
        cache.put_many(keys_of(some), "model", rows_of(some))
    return cache.get_many(keys_of(numbers), "model")[0].all()


def check(cache, n):
    found, rows = cache.get_many(keys_of(range(n)), "model")
    assert found.all()
    np.testing.assert_array_equal(rows, rows_of(range(n)))
    assert cache.info()["entries"] == n


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_share_a_store(cache, backend):
    parts = [range(400), range(200, 600)]
    with Parallel(n_jobs=2, backend=backend) as parallel:
        assert all(parallel(delayed(write)(cache, part) for part in parts))
    check(cache, 600)


def test_many_threads_make_the_same_store(tmp_path):
    for trial in range(5):
        cache = EmbeddingStore(tmp_path / str(trial))
        with ThreadPoolExecutor(8) as pool:
            jobs = [pool.submit(write, cache, range(i, i + 8)) for i in range(0, 32, 4)]
            assert all(job.result() for job in jobs)
        check(cache, 36)


@posix
def test_a_forked_child_uses_the_store_of_its_parent(cache):
    cache.put_many(keys_of(range(5)), "model", rows_of(range(5)))
    with cache._connection():  # as while a forked worker decodes
        context = multiprocessing.get_context("fork")
        child = context.Process(target=write, args=(cache, range(5, 50)))
        child.start()
        child.join()
        assert child.exitcode == 0
    check(cache, 50)


def test_readers_do_not_wait_for_a_writer(cache, monkeypatch):
    cache.put_many([b"key"], "model", [[1, 2]])
    monkeypatch.setattr(_store, "_PATIENCE", 0.05)
    with cache._connection() as db:
        db.execute("BEGIN EXCLUSIVE")
        assert cache.get_many([b"key"], "model")[0].all()
        with pytest.raises(EmbeddingStoreError, match=r"embeddings-2.*locked"):
            cache.put_many([b"other"], "model", [[1, 2]])
        db.execute("ROLLBACK")
    cache.put_many([b"other"], "model", [[1, 2]])


# What goes wrong


@pytest.mark.parametrize("offset", [0, _store._PAGE_SIZE])
def test_a_damaged_file_is_named(cache, offset):
    cache.put_many(keys_of(range(500)), "model", rows_of(range(500), 64))
    size = cache.file.stat().st_size
    with open(cache.file, "r+b") as file:
        file.seek(offset)
        file.write(np.random.default_rng(0).bytes(size - offset))
    with pytest.raises(EmbeddingStoreError, match=r"embeddings-2\.sqlite.* damaged.*Delete"):
        cache.get_many(keys_of(range(500)), "model")
    for file in cache.path.glob("embeddings-2.sqlite*"):
        file.unlink()
    write(cache, range(20))
    check(cache, 20)


DAMAGES = {
    "a byte": "UPDATE rows SET value = substr(value, 1, 20) || x'ff' || substr(value, 22)",
    "the digest": "UPDATE rows SET value = x'ff' || substr(value, 2)",
    "the end": "UPDATE rows SET value = substr(value, 1, 30)",
    "all": "UPDATE rows SET value = x''",
    "the type": "UPDATE rows SET value = 7",
    "the image": "UPDATE rows SET image = 'image 2' WHERE image = CAST('image 1' AS BLOB)",
    "the value of another": "UPDATE rows SET value = (SELECT max(value) FROM rows)",
    "the model of another": "UPDATE models SET key = 'model' WHERE key = 'other'",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_row_is_not_there_until_it_is_put_again(cache, damage):
    cache.put_many(keys_of(range(2)), "other" if "model" in damage else "model", rows_of(range(2)))
    with cache._connection() as db:
        db.execute(DAMAGES[damage])
    found, rows = cache.get_many(keys_of(range(2)), "model")
    assert not found.all()
    np.testing.assert_array_equal(rows.ravel(), rows_of(np.flatnonzero(found)).ravel())
    cache.put_many(keys_of(range(2)), "model", rows_of(range(2)))
    found, rows = cache.get_many(keys_of(range(2)), "model")
    assert found.all()
    np.testing.assert_array_equal(rows, rows_of(range(2)))


@settings(max_examples=40)
@given(st.integers(0, 3999), st.integers(1, 255))
def test_no_flipped_byte_gives_another_embedding(at, flip):
    with tempfile.TemporaryDirectory() as folder:
        cache = EmbeddingStore(folder)
        cache.put_many(keys_of(range(60)), "model", rows_of(range(60), 256))
        content = bytearray(cache.file.read_bytes())
        at = len(content) - 1 - at * 17
        content[at] ^= flip
        cache.file.write_bytes(content)
        try:
            found, rows = cache.get_many(keys_of(range(60)), "model")
        except EmbeddingStoreError:
            return
        np.testing.assert_array_equal(rows.ravel(), rows_of(np.flatnonzero(found), 256).ravel())


def test_a_file_without_the_tables_is_named(cache):
    cache.path.mkdir()
    with sqlite3.connect(cache.file) as db:
        db.execute("PRAGMA user_version = 2")
    db.close()
    with pytest.raises(EmbeddingStoreError, match=r"no such table: models. .*damaged.*Delete"):
        cache.get_many([b"key"], "model")


def test_a_full_disk_is_named(cache, monkeypatch):
    limit_pages(monkeypatch, 30)
    with pytest.raises(EmbeddingStoreError, match=r"disk is full. Free some space"):
        cache.put_many(keys_of(range(1000)), "model", rows_of(range(1000), 512))
    cache.put_many(keys_of(range(10)), "model", rows_of(range(10)))
    check(cache, 10)


def limit_pages(monkeypatch, n_pages):
    """As on a disk with little room: a write that needs more pages is SQLITE_FULL."""

    def prepare(db, real=_store._prepare):
        real(db)
        db.execute(f"PRAGMA max_page_count = {n_pages}")

    monkeypatch.setattr(_store, "_prepare", prepare)


@pytest.mark.parametrize("name", ["IOERR_WRITE", "READONLY_DBMOVED", "CANTOPEN", "LOCKED"])
def test_each_failure_says_what_to_do(cache, name, monkeypatch):
    def fail(file):
        error = sqlite3.OperationalError("as it happens")
        error.sqlite_errorname = f"SQLITE_{name}"
        raise error

    monkeypatch.setattr(_store, "_open", fail)
    with pytest.raises(EmbeddingStoreError, match=r"as it happens\. [A-Z].*\.$"):
        cache.get_many([b"key"], "model")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    cache = EmbeddingStore(tmp_path / "file" / "cache")
    with pytest.raises(EmbeddingStoreError, match=r"cannot be made.*SKCLIPENS_CACHE"):
        cache.get_many([b"key"], "model")


def failures(folders):
    messages = []
    for folder in folders:
        with pytest.raises(EmbeddingStoreError) as caught:
            write(EmbeddingStore(folder), range(3, 6))
        messages.append(str(caught.value))
    return messages


@posix
def test_a_folder_that_cannot_be_written_to():
    # In a folder of its own, as pytest's is closed to the user that root has to become here.
    with tempfile.TemporaryDirectory() as folder:
        full, empty = Path(folder, "full"), Path(folder, "empty")
        write(EmbeddingStore(full), range(3))
        empty.mkdir()
        for one in (full, empty):
            one.chmod(0o555)
        Path(folder).chmod(0o755)
        for one, message in zip((full, empty), as_nobody(failures, [full, empty]), strict=True):
            assert message.startswith(f"The embedding store '{one}")
            assert "Choose a folder that can be written to, or set SKCLIPENS_CACHE" in message
            one.chmod(0o755)
        check(EmbeddingStore(full), 3)


# Taking from the store what it has


class Model:
    """Stands for backbones: which rows it was asked for is written down."""

    def __init__(self, images, widths, batch_size=2):
        self.images, self.widths, self.batch_size = images, widths, batch_size
        self.asked = []

    def embed(self, position, which):
        number = int(np.asarray(self.images[position]).ravel()[0])
        return np.concatenate([np.full(self.widths[m], number + 1000 * m) for m in which])

    def __call__(self, positions, which):
        positions = list(positions)
        for start in range(0, len(positions), self.batch_size):
            done = positions[start : start + self.batch_size]
            self.asked += [(int(position), int(m)) for position in done for m in which]
            yield done, np.stack([self.embed(position, which) for position in done])


def squares(numbers):
    return [np.full((2, 2), number, np.uint8) for number in numbers]


MODELS = [("a", 2), ("b", 3)]


def test_every_image_and_model_is_computed_once(cache):
    images = squares([5, 6, 5, 7, 6])
    model = Model(images, [2, 3])
    expected = np.stack([model.embed(position, [0, 1]) for position in range(5)])
    found = embed_with_store(cache, images, MODELS, model)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    assert sorted(model.asked) == [(i, m) for i in (0, 1, 3) for m in (0, 1)]
    again = Model(images[::-1], [2, 3])
    for _ in range(3):  # from the store, then from memory
        found = embed_with_store(cache, images[::-1], MODELS, again)
        np.testing.assert_array_equal(found, expected[::-1])
        found += 1
    swapped = embed_with_store(cache, images, MODELS[::-1], again)
    np.testing.assert_array_equal(swapped, np.roll(expected, 3, axis=1))
    assert again.asked == []


def test_rows_that_were_read_are_kept_in_memory(cache, monkeypatch):
    images = squares(range(5))
    embed_with_store(cache, images, MODELS, Model(images, [2, 3]))
    expected = embed_with_store(cache, images, MODELS, Model(images, [2, 3]))
    with monkeypatch.context() as context:
        context.setattr(EmbeddingStore, "_get", None)
        found = embed_with_store(cache, images[2:], MODELS, Model(images[2:], [2, 3]))
        np.testing.assert_array_equal(found, expected[2:])
    cache.clear()
    model = Model(images, [2, 3])
    np.testing.assert_array_equal(embed_with_store(cache, images, MODELS, model), expected)
    assert len(model.asked) == 10


def test_memory_for_rows_is_bounded(cache, monkeypatch):
    monkeypatch.setattr(_reading, "row_cache", _row_cache.RowCache(2**18))
    images, models = squares(range(200)), [("a", 2**11)]
    model = Model(images, [2**11])
    tracemalloc.start()
    expected = embed_with_store(cache, images, models, model)
    for start in range(0, 200, 20):
        some = embed_with_store(cache, images[start : start + 20], models, model)
        np.testing.assert_array_equal(some, expected[start : start + 20])
    held = tracemalloc.get_traced_memory()[0] - expected.nbytes
    tracemalloc.stop()
    assert held < 2**19 < expected.nbytes / 3
    assert len(model.asked) == 200


def test_beyond_the_limit_the_rows_that_came_last_stay_in_memory():
    memory = _row_cache.RowCache(4 * (8 + _row_cache._OVERHEAD))
    for number in range(4):
        memory.put_many("file", "model", {number: bytes([number] * 8)})
    memory.put_many("file", "model", {4: bytes([4] * 8), 1: bytes([1] * 8)})
    assert memory.get_many("file", "model", range(6)) == {k: bytes([k] * 8) for k in (1, 2, 3, 4)}
    assert memory.get_many("file", "other model", [4]) == {}
    memory.put_many("file", "model", {5: bytes(1000)})  # larger than the limit
    assert memory.get_many("file", "model", range(6)) == {}
    memory.put_many("file", "model", {6: b"six"})
    memory.put_many("other file", "model", {6: b"seven"})
    memory.forget("file")
    assert memory.get_many("file", "model", [6]) == {}
    assert memory.get_many("other file", "model", [6]) == {6: b"seven"}


def test_threads_read_right_rows_from_a_memory_that_overflows(cache, monkeypatch):
    n, widths = 60, [2, 3]
    memory = _row_cache.RowCache(20 * (5 * 4 + 2 * _row_cache._OVERHEAD))
    monkeypatch.setattr(_reading, "row_cache", memory)
    images = squares(range(n))
    expected = embed_with_store(cache, images, MODELS, Model(images, widths))

    def read(seed):
        for rows in np.random.default_rng(seed).integers(0, n, (25, 30)):
            some = [images[row] for row in rows]
            found = embed_with_store(cache, some, MODELS, Model(some, widths))
            np.testing.assert_array_equal(found, expected[rows])
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(8)))
    held = [memory.get_many(cache.file, model, image_keys(images)) for model, _ in MODELS]
    sizes = [len(row) + _row_cache._OVERHEAD for rows in held for row in rows.values()]
    assert 0 < sum(sizes) <= memory.max_bytes


def test_only_the_models_that_lack_an_image_compute_it(cache):
    embed_with_store(cache, squares([1, 2]), MODELS[:1], Model(squares([1, 2]), [2]))
    embed_with_store(cache, squares([3]), MODELS, Model(squares([3]), [2, 3]))
    images = squares([4, 3, 2, 1])
    model = Model(images, [2, 3])
    found = embed_with_store(cache, images, MODELS, model)
    assert sorted(model.asked) == [(0, 0), (0, 1), (2, 1), (3, 1)]
    np.testing.assert_array_equal(found[:, 0], [4, 3, 2, 1])
    np.testing.assert_array_equal(found[:, 4], [1004, 1003, 1002, 1001])


def test_a_crash_keeps_finished_batches(cache):
    images = squares(range(10))

    def breaks_off(positions, which):
        for batch, result in enumerate(Model(images, [2, 3])(positions, which)):
            if batch == 3:
                raise OSError("power failure")
            yield result

    with pytest.raises(OSError, match="power failure"):
        embed_with_store(cache, images, MODELS, breaks_off)
    model = Model(images, [2, 3])
    embed_with_store(cache, images, MODELS, model)
    assert {position for position, _ in model.asked} == {6, 7, 8, 9}


def test_what_gave_no_embedding_is_not_stored(cache):
    images = ["no such file", np.zeros((2, 2), np.uint8), None, np.ones((2, 2), np.uint8)]

    def compute(positions, which):
        positions = list(positions)
        asked.extend(positions)
        done = [i for i in (1, 3) if i in positions]
        rows = {1: [[1, 2], [3, 4, 5]], 3: [[1, 2], [3, 4, np.nan]]}
        if done:
            yield done, np.stack([np.concatenate([rows[i][m] for m in which]) for i in done])

    for _ in range(2):
        asked = []
        found = embed_with_store(cache, images, MODELS, compute)
        assert np.isnan(found).all(axis=1).tolist() == [True, False, True, False]
        np.testing.assert_array_equal(found[1], [1, 2, 3, 4, 5])
        np.testing.assert_array_equal(found[3], [1, 2, 3, 4, np.nan])
    assert set(asked) == {0, 2, 3}
    assert cache.info()["models"] == {"a": 2, "b": 1}


def test_a_file_that_is_written_to_meanwhile_is_not_stored(cache, tmp_path):
    files = [tmp_path / "still", tmp_path / "moving"]
    for file in files:
        file.write_bytes(b"%d" % len(file.name))

    def compute(positions, which):
        files[1].write_bytes(b"other content")
        yield list(positions), np.ones((2, 5))

    embed_with_store(cache, files, MODELS, compute)
    assert cache.get_many(image_keys([b"5", b"6", b"other content"]), "a")[0].tolist() == [
        True,
        False,
        False,
    ]


def test_keys_are_made_while_others_are_embedded(cache, tmp_path, monkeypatch):
    files = [tmp_path / f"{i}" for i in range(60)]
    for i, file in enumerate(files):
        file.write_bytes(b"%d" % (i % 50))  # the last ten are there twice
    read = []

    def read_key(stamp, real=_keys._read_key):
        read.append(stamp[0])
        return real(stamp)

    monkeypatch.setattr(_keys, "_read_key", read_key)
    monkeypatch.setattr(_reading, "_FEWEST", 2)
    monkeypatch.setattr(_reading, "_MOST", 8)
    n_read, n_done = [], 0

    def compute(positions, which):
        nonlocal n_done
        for position in positions:
            n_read.append(len(read))
            n_done += 1
            yield [position], np.full((1, 5), position)

    found = embed_with_store(cache, files, MODELS, compute)
    np.testing.assert_array_equal(found[:, 0], [*range(50), *range(10)])
    assert n_done == 50
    assert len(read) == 60
    assert n_read[0] <= 2 + 4 + 8  # a part, and two more that a thread is ahead
    assert n_read[30] < 60
    before = len(threading.enumerate())
    closed = embed_with_store(cache, files, MODELS, compute)  # all is known now
    np.testing.assert_array_equal(closed, found)
    assert n_done == 50
    assert len(threading.enumerate()) == before


def test_threads_of_keys_end_with_an_error(cache):
    def fails(positions, which):
        next(positions)
        raise OSError("no memory")
        yield

    with pytest.raises(OSError, match="no memory"):
        embed_with_store(cache, squares(range(200)), MODELS, fails)
    assert not [one for one in threading.enumerate() if one.name.startswith("keys")]


def test_a_table_is_held_once(cache):
    images, width = squares(range(200)) * 6, 2**12
    model = Model(images, [width], batch_size=8)
    for _ in range(2):  # computed, then known
        tracemalloc.start()
        found = embed_with_store(cache, images, [("a", width)], model)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found[1199, 0] == 199
        assert peak < 1.7 * found.nbytes  # a sixth of the rows is in the memory of rows, too


# A store that fails costs time, not embeddings


def embed(cache, numbers):
    """What an embedder's call does: the positions that were computed, and the warnings."""
    images = squares(numbers)
    model = Model(images, [2, 3])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = embed_with_store(as_store(cache), images, MODELS, model)
    expected = [model.embed(position, [0, 1]) for position in range(len(images))]
    np.testing.assert_array_equal(found, expected)
    return sorted({position for position, _ in model.asked}), [str(one.message) for one in caught]


@pytest.fixture
def no_memory(monkeypatch):
    monkeypatch.setattr(_reading, "row_cache", _row_cache.RowCache(0))


@pytest.fixture
def disk():
    with small_disk() as folder:
        if folder is None:
            pytest.skip("only root may mount a small disk")
        yield folder


def test_a_full_disk_keeps_what_it_has_and_costs_no_result(disk, no_memory):
    cache = EmbeddingStore(disk)
    embed(cache, range(5))
    fill(disk)
    for _ in range(2):
        computed, (message,) = embed(cache, range(10))
        assert computed == [5, 6, 7, 8, 9]
        assert str(cache.file) in message
        assert "Free some space" in message or "is full" in message
    (disk / "others").unlink()
    assert embed(cache, range(10)) == ([5, 6, 7, 8, 9], [])
    assert embed(cache, range(10)) == ([], [])


def test_a_link_to_a_missing_disk_costs_no_result(tmp_path, no_memory):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "disk")
    for folder in (link, link / "embeddings"):
        computed, (message,) = embed(EmbeddingStore(folder), range(5))
        assert computed == [0, 1, 2, 3, 4]
        assert f"{str(link)!r} is a link to {str(tmp_path / 'disk')!r}, which is missing" in message
    computed, (message,) = embed(EmbeddingStore(tmp_path / ("long" * 75)), range(5))
    assert computed == [0, 1, 2, 3, 4]
    assert "cannot be made: File name too long" in message
    (tmp_path / "disk").mkdir()
    assert embed(EmbeddingStore(link), range(5)) == ([0, 1, 2, 3, 4], [])
    assert embed(EmbeddingStore(link), range(5)) == ([], [])


def test_a_disk_that_fills_up_is_not_tried_again(cache, no_memory, monkeypatch):
    embed(cache, range(5))
    writes = []
    put = EmbeddingStore._put
    monkeypatch.setattr(EmbeddingStore, "_put", lambda *args: writes.append(1) or put(*args))
    with monkeypatch.context() as context:
        limit_pages(context, 1)  # no more than there are
        computed, (message,) = embed(cache, range(250))
    assert computed == list(range(5, 250))
    assert "disk is full. Free some space" in message
    assert 1 < len(writes) < 100
    computed, messages = embed(cache, range(250))
    assert computed == list(range(250 - len(computed), 250))
    assert 50 < len(computed) < 245
    assert not messages


@posix
@pytest.mark.parametrize("in_use", [False, True])
def test_a_closed_folder_is_read(no_memory, in_use):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        full, empty = EmbeddingStore(Path(folder, "full")), EmbeddingStore(Path(folder, "empty"))
        embed(full, range(5))
        empty.path.mkdir()
        for one in (full, empty):
            one.path.chmod(0o555)
        with full._connection() if in_use else nullcontext():
            assert as_nobody(embed, full, range(5)) == ([], [])
            computed, (message,) = as_nobody(embed, full, range(8))
        assert computed == [5, 6, 7]
        assert str(full.file) in message
        assert "Choose a folder that can be written to" in message
        home = EmbeddingStore(Path(folder, "empty", "embeddings"))
        for one in (empty, home):
            computed, (message,) = as_nobody(embed, one, range(3))
            assert computed == [0, 1, 2]
            assert str(one.path) in message
        for one in (full, empty):
            one.path.chmod(0o755)


LOCKER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute(f"PRAGMA locking_mode = {sys.argv[2]}")
db.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("mode", ["NORMAL", "EXCLUSIVE"])
def test_a_lock_is_waited_for_once(cache, no_memory, monkeypatch, mode):
    embed(cache, range(5))
    monkeypatch.setattr(_store, "_PATIENCE", 0.5)
    command = [sys.executable, "-c", LOCKER, str(cache.file), mode]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as locker:
        locker.stdout.readline()
        start = time.monotonic()
        computed, (message,) = embed(cache, range(20))
        assert time.monotonic() - start < 1.5
        with pytest.raises(EmbeddingStoreError, match=r"locked.*End it, or try again later"):
            cache.put_many([b"key"], "model", [[1, 2]])
        locker.communicate()
    assert computed == list(range(5, 20))
    assert "locked" in message
    assert embed(cache, range(20)) == (list(range(5, 20)), [])


@pytest.mark.parametrize("offset", [0, _store._PAGE_SIZE])
def test_a_damaged_file_costs_no_result(cache, no_memory, offset):
    embed(cache, range(200))
    size = cache.file.stat().st_size
    with open(cache.file, "r+b") as file:
        file.seek(offset)
        file.write(np.random.default_rng(0).bytes(size - offset))
    computed, (message,) = embed(cache, range(200))
    assert computed == list(range(200))
    assert "Delete embeddings-2.sqlite*" in message
    with pytest.raises(EmbeddingStoreError, match="damaged"):
        cache.info()


def test_a_store_is_one_folder():
    with pytest.raises(TypeError, match="path is the path of one folder; got int"):
        EmbeddingStore(5)


def test_a_file_for_a_folder_is_a_mistake(tmp_path, paths):
    file = tmp_path / "file"
    file.write_text("mine")
    for place in (file, file / "cache"):
        embedder = MultiBackboneEmbedder(["zoo/RN20"], cache=place)
        with pytest.raises(EmbeddingStoreError, match=r"file.*cannot be made: a file is in its"):
            embedder.transform(paths[:2])
        store = EmbeddingStore(place)
        for ask in (store.info, store.clear, partial(store.clear, "a model")):
            with pytest.raises(EmbeddingStoreError, match="cannot be made: a file is in its"):
                ask()
    assert file.read_text() == "mine"


def test_without_a_home_folder_an_embedder_warns_and_goes_on(paths, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("SKCLIPENS_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.warns(UserWarning, match=r"no home folder.*or set SKCLIPENS_CACHE.* is complete"):
        found = MultiBackboneEmbedder(PAIR, cache=True).transform(paths)
    np.testing.assert_array_equal(found, MultiBackboneEmbedder(PAIR).transform(paths))
    with pytest.raises(EmbeddingStoreError, match="no home folder"):
        EmbeddingStore()


def test_an_embedder_warns_and_goes_on(tmp_path, paths):
    expected = MultiBackboneEmbedder(PAIR).transform(paths)
    cache = EmbeddingStore(tmp_path)
    cache.path.joinpath(_store._FILE).write_bytes(b"no database" * 1000)
    embedder = MultiBackboneEmbedder(PAIR, cache=cache)
    with pytest.warns(UserWarning, match=r"embeddings-2.*not a database.*Delete") as caught:
        found = embedder.transform(paths)
    assert len(caught) == 1
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


# With the zoo


def test_files_that_are_filled_up_are_stored_apart(cache, paths, monkeypatch):
    file = io.BytesIO()
    Image.open(paths[0]).convert("RGB").resize((300, 300)).save(file, "JPEG")
    cut, embedder = file.getvalue()[:3000], MultiBackboneEmbedder("zoo/RN20", cache=cache)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    filled = embedder.transform([cut])
    n_stored = cache.info()["entries"]
    np.testing.assert_array_equal(embedder.transform([cut]), filled)
    assert n_stored == cache.info()["entries"] == 1
    monkeypatch.undo()
    with pytest.raises(ImageError, match="truncated"):
        embedder.transform([cut])

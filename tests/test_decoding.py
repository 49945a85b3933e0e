"""Tests of batches: of the threads that decode them, and of where they are embedded."""

import io
import multiprocessing
import tarfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
import torch
from _said import no_warning
from hypothesis import given
from hypothesis import strategies as st
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image, ImageSequence, TiffImagePlugin
from torch.utils.data import Subset

from skclipens import CLIPEmbedder, ImageError
from skclipens._utils._threads import n_threads
from skclipens.backbones import load_backbone
from skclipens.backbones._preprocessing import Resize, scale_pixels, scaling
from skclipens.datasets import load_emoji
from skclipens.images import as_image_list, load_image
from skclipens.images._decoding import decode_batches
from skclipens.images._reduced import EXACT, Picture

CLIP = load_backbone("zoo/RN20").preprocess_config
FP32 = {"device": "cpu", "precision": "fp32"}
FILES = load_emoji(return_X_y=True)[0][:7]
CONFIGS = {
    "CLIP": CLIP | {"size": 224},
    "bilinear": CLIP | {"size": (48, 48), "interpolation": "bilinear", "mean": 0.5, "std": 0.5},
    "squash": CLIP | {"size": 32, "resize_mode": "squash"},
    "longest": CLIP | {"size": 40, "resize_mode": "longest", "fill_color": 99},
    "not square": CLIP | {"size": (30, 50)},
}
SIZES = [(90, 60), (60, 90), (500, 375), (33, 32), (3, 7), (64, 64), (40, 400)]


def decode(images, rows=None, config=None, **options):
    """All batches, with one resizing."""
    config = config or CLIP
    height, width = np.broadcast_to(config["size"], 2)
    options = {
        "batch_size": 4,
        "n_jobs": 2,
        "n_ahead": 2,
        "on_error": "raise",
        "pin_memory": False,
        "notes": {},
    } | options
    rows = range(len(images)) if rows is None else rows
    return decode_batches(images, rows, {0: (height, width, EXACT, Resize(config))}, **options)


def grey(value):
    return np.full((8, 8), value, dtype=np.uint8)


def values(batches):
    """Rows, and the grey value that each of them has."""
    return [
        (row, int(one.max()))
        for rows, pixels in batches
        for row, one in zip(rows, pixels[0], strict=True)
    ]


class Lazy:
    """An image that is made when it is read, and counted."""

    made = 0

    def __init__(self, value, delay=0):
        self.value = value
        self.delay = delay

    def __array__(self, dtype=None, copy=None):
        Lazy.made += 1
        time.sleep(self.delay)
        return grey(self.value)


class LazySequence(Sequence):
    def __init__(self, n):
        self.n = n
        self.read = 0

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if i >= self.n:
            raise IndexError
        self.read += 1
        return grey(i)


def decoding_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


@pytest.mark.parametrize("name", CONFIGS)
def test_pixels_are_those_of_open_clip(name):
    config = CONFIGS[name]
    rng = np.random.default_rng(0)
    picture = load_image(load_emoji(return_X_y=True)[0][7])
    # Of a thin picture, open_clip's "longest" makes one without pixels, which is an error.
    sizes = [size for size in SIZES if name != "longest" or max(size) < 9 * min(size)]
    images = [picture.resize(size, Image.Resampling.BICUBIC) for size in sizes]
    images.append(rng.integers(256, size=(70, 45, 3), dtype=np.uint8))
    whole = image_transform_v2(PreprocessCfg(**config), is_train=False)
    expected = torch.stack([whole(load_image(image)) for image in images])
    parts = [pixels[0] for _, pixels in decode(images, config=config)]
    assert {part.dtype for part in parts} == {torch.uint8}
    assert [len(part) for part in parts] == [4, len(images) - 4]
    found = scale_pixels(torch.cat(parts).permute(0, 3, 1, 2), *scaling(config))
    assert torch.equal(found, expected)


@given(
    rows=st.lists(st.integers(0, 19), max_size=30),
    bad=st.sets(st.integers(0, 19)),
    batch_size=st.integers(1, 8),
    n_jobs=st.integers(1, 5),
    n_ahead=st.integers(0, 4),
)
def test_rows_in_order_without_the_bad_ones(rows, bad, batch_size, n_jobs, n_ahead):
    images = [None if i in bad else grey(10 * i) for i in range(20)]
    found = values(
        decode(images, rows, batch_size=batch_size, n_jobs=n_jobs, n_ahead=n_ahead, on_error="nan")
    )
    assert found == [(row, 10 * row) for row in rows if row not in bad]


def test_rows_in_order_though_threads_are_not():
    delays = np.random.default_rng(0).permutation(30) / 2000
    images = [Lazy(i, delay) for i, delay in enumerate(delays)]
    assert values(decode(images, n_jobs=8)) == [(i, i) for i in range(30)]


def test_the_first_bad_row_is_named_and_no_more_is_decoded():
    images = [Lazy(i, 0.001) for i in range(400)]
    images[5], images[6] = None, "nowhere.png"
    Lazy.made = 0
    with pytest.raises(ImageError, match="row 5: None"):
        values(decode(images))
    assert not decoding_threads()
    assert Lazy.made < 20


def test_few_batches_are_held():
    images = [Lazy(0) for _ in range(100)]
    Lazy.made = taken = 0
    for rows, _ in decode(images, n_ahead=2):
        taken += len(rows)
        time.sleep(0.005)
        assert Lazy.made <= taken + 2 * 4
    assert Lazy.made == taken == 100


def test_sequence_that_makes_its_images_on_demand():
    images = LazySequence(20)
    embedder = CLIPEmbedder("zoo/ViT-16", device="cpu", precision="fp32", batch_size=4)
    embedder.fit(images)
    assert images.read == 0
    found = embedder.transform(images)
    assert images.read == 30  # the first five are looked at twice before
    np.testing.assert_allclose(found, embedder.transform([*images]), atol=1e-6)


class Reader(io.BytesIO):
    """A file that notes whether a thread is in it while another one is."""

    inside, met = 0, False

    def read(self, size=-1):
        self.inside += 1
        time.sleep(0.001)
        self.met |= self.inside > 1
        self.inside -= 1
        return super().read(size)


def frames_of(reader, base=object):
    """A dataset of one picture for each byte of a file."""

    class Frames(base):
        def __len__(self):
            return len(reader.getbuffer())

        def __getitem__(self, i):
            reader.seek(i)
            return grey(reader.read(1)[0])

    return Frames()


@pytest.mark.parametrize("base", [object, Sequence])
def test_threads_take_items_of_a_dataset_in_turn(base):
    reader = Reader(bytes(range(30)))
    embedder = CLIPEmbedder("zoo/RN20", **FP32, n_jobs=8)
    expected = embedder.transform([grey(i) for i in range(30)])
    np.testing.assert_allclose(embedder.transform(frames_of(reader, base)), expected, atol=1e-6)
    assert not reader.met


def test_threads_take_items_of_one_dataset_in_turn_through_several_subsets():
    reader = Reader(bytes(range(30)))
    frames = frames_of(reader)
    even, odd = (Subset(Subset(frames, range(30)), range(start, 30, 2)) for start in (0, 1))
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda subset: list(as_image_list(subset)), (even, odd)))
    assert [[image.flat[0] for image in one] for one in found] == [
        [grey(i).flat[0] for i in range(start, 30, 2)] for start in (0, 1)
    ]
    assert not reader.met


@pytest.mark.parametrize("in_dataset", [False, True])
def test_threads_read_pictures_of_one_file_in_turn(in_dataset, tmp_path):
    files = [tmp_path / f"{i}.bmp" for i in range(len(FILES))]  # larger than a buffer
    with tarfile.open(tmp_path / "all.tar", "w") as tar:
        for file, emoji in zip(files, FILES, strict=True):
            load_image(emoji).resize((200, 200)).save(file)
            tar.add(file)
    reader = Reader((tmp_path / "all.tar").read_bytes())
    with tarfile.open(fileobj=reader) as tar:

        class Members:
            def __len__(self):
                return len(FILES)

            def __getitem__(self, i):
                return Image.open(tar.extractfile(tar.getmembers()[i]))

        images = Members() if in_dataset else [Members()[i] for i in range(len(FILES))]
        embedder = CLIPEmbedder("zoo/RN20", **FP32, n_jobs=8)
        found = embedder.transform(images)
    np.testing.assert_allclose(found, embedder.transform(files), atol=1e-6)
    assert not reader.met


def test_threads_read_pages_of_one_buffer_in_turn():
    pictures = [load_image(file).resize((200, 200)) for file in FILES]
    reader = Reader()
    pictures[0].save(reader, "TIFF", save_all=True, append_images=pictures[1:])
    pages = [Image.open(reader) for _ in pictures]
    for i, page in enumerate(pages):
        page.seek(i)
    embedder = CLIPEmbedder("zoo/RN20", **FP32, n_jobs=8)
    np.testing.assert_allclose(embedder.transform(pages), embedder.transform(pictures), atol=1e-6)
    assert not reader.met


LARGE = [np.asarray(load_image(file).resize((400, 400))) for file in FILES]


class OneBuffer:
    """A dataset that fills the same memory for each item."""

    def __init__(self, give):
        self.pixels, self.give = np.empty_like(LARGE[0]), give

    def __len__(self):
        return len(LARGE)

    def __getitem__(self, i):
        self.pixels[:] = LARGE[i]
        return self.give(self.pixels)


class OneFile(OneBuffer):
    """A dataset that turns the pages of one open file."""

    def __init__(self, file):
        self.picture = Image.open(file)

    def __getitem__(self, i):
        self.picture.seek(i)
        return self.picture


@pytest.mark.parametrize("kind", ["array", "tensor", "grey", "tif", "gif"])
def test_items_of_a_dataset_stay_as_they_were_given(kind, tmp_path):
    expected = LARGE
    if kind in ("tif", "gif"):
        file = tmp_path / f"pages.{kind}"
        first, *rest = map(Image.fromarray, LARGE)
        first.save(file, save_all=True, append_images=rest)
        images = OneFile(file)
        expected = [frame.copy() for frame in ImageSequence.Iterator(Image.open(file))]
    elif kind == "array":
        images = OneBuffer(lambda pixels: pixels)
    elif kind == "tensor":
        images = OneBuffer(lambda pixels: torch.from_numpy(pixels).permute(2, 0, 1))
    else:
        grey_of_it = np.empty(LARGE[0].shape[:2], np.uint8)

        def grey_picture(pixels):
            grey_of_it[:] = pixels[..., 0]
            return Image.frombuffer("L", (400, 400), grey_of_it, "raw", "L", 0, 1)

        images = OneBuffer(grey_picture)
        expected = [pixels[..., 0] for pixels in LARGE]
    items = as_image_list(images)
    np.testing.assert_array_equal(np.asarray(items[1:][0]), np.asarray(items[1]))
    items = [items[i] for i in range(len(items))]
    for item, one in zip(items, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(load_image(item)), np.asarray(load_image(one)))


def test_a_copy_of_what_a_dataset_gives_is_read_in_the_same_way():
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[262] = 0  # 0 is white
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF", tiffinfo=tags)
    expected = np.asarray(load_image(file.getvalue()))
    item = as_image_list(OneFile(file))[0]
    np.testing.assert_array_equal(np.asarray(load_image(item)), expected)


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_threads_end(n_jobs):
    embedder = CLIPEmbedder("zoo/ViT-16", device="cpu", batch_size=2, n_jobs=n_jobs)
    assert not decoding_threads()
    seen = []

    class Spy(Lazy):
        def __array__(self, dtype=None, copy=None):
            seen.append(threading.current_thread().name)
            return super().__array__(dtype, copy)

    images = [Spy(i, 0.002) for i in range(12)]
    embedder.transform(images)
    assert 1 <= len(set(seen)) <= n_jobs
    assert all(name.startswith("decode") for name in seen)
    assert not decoding_threads()
    with pytest.raises(ImageError, match="row 12: None") as caught:
        embedder.transform([*images, None, *images])
    assert not decoding_threads()  # though `caught` still holds the frames
    assert caught.traceback
    with closing(decode(images)) as batches:
        next(batches)
        assert decoding_threads()
    assert not decoding_threads()


def test_one_opened_file_in_many_rows(tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=(300, 300, 3), dtype=np.uint8)
    expected = np.asarray(Resize(CLIP)(Picture.whole(Image.fromarray(pixels))))
    for name in ("one.png", "one.tif"):
        Image.fromarray(pixels).save(tmp_path / name)
        with Image.open(tmp_path / name) as image:
            for _, found in decode([image] * 16, n_jobs=8):
                assert (found[0].numpy() == expected).all()


def test_no_warning_and_no_setting_of_threads():
    before = torch.get_num_threads()
    with no_warning():
        CLIPEmbedder("zoo/ViT-16", n_jobs=1).transform([grey(3)] * 3)
    assert torch.get_num_threads() == before


def test_a_process_that_may_start_no_others_decodes_in_threads_without_a_warning(monkeypatch):
    embedder = CLIPEmbedder("zoo/RN20", **FP32)
    expected = embedder.transform(FILES)
    # As in a worker of multiprocessing.Pool.
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    with no_warning():
        np.testing.assert_allclose(embedder.transform(FILES), expected, atol=1e-6)
        assert n_threads(3) == n_threads(None) + 2 == 3


def test_threads_of_a_program_embed_after_its_main_thread_has_ended(monkeypatch, tmp_path):
    files = load_emoji(return_X_y=True)[0][:70]
    expected = CLIPEmbedder("zoo/RN20", **FP32).transform(files)
    monkeypatch.setattr("concurrent.futures.thread._shutdown", True)
    with pytest.raises(RuntimeError):
        ThreadPoolExecutor(1).submit(int)
    monkeypatch.setattr("skclipens._utils._threads.main_thread", threading.Thread)
    embedder = CLIPEmbedder("zoo/RN20", **FP32, cache=tmp_path)
    np.testing.assert_allclose(embedder.transform(files), expected, atol=1e-6)
    with pytest.raises(ImageError, match="row 1"):
        embedder.transform([files[0], b"no image"])


def test_several_devices_take_batches_in_turn():
    embedder = CLIPEmbedder("zoo/RN20", **FP32 | {"device": ["cpu", "cpu"]}, batch_size=2)
    expected = CLIPEmbedder("zoo/RN20", **FP32).transform(FILES)
    np.testing.assert_allclose(embedder.transform(FILES), expected, atol=1e-5)


def test_batches_are_halved_until_they_fit_in_memory(monkeypatch):
    expected = CLIPEmbedder("zoo/RN20", **FP32).transform(FILES)
    sizes = []
    Model = type(load_backbone("zoo/RN20").model)
    encode = Model.encode_image

    def encode_little(self, image, normalize=False):
        sizes.append(len(image))
        if len(image) > 2:
            raise torch.OutOfMemoryError
        return encode(self, image, normalize)

    monkeypatch.setattr(Model, "encode_image", encode_little)
    embedder = CLIPEmbedder("zoo/RN20", **FP32, batch_size=5)
    with pytest.warns(UserWarning, match="do not fit in the memory of cpu; going on with [23]"):
        found = embedder.transform(FILES)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # Seven images, and one that fills up a batch; a size that failed is not tried again.
    assert sizes == [5, 3, 2, 2, 2, 2]


@pytest.mark.filterwarnings("ignore:. images at once do not fit")
def test_one_image_that_does_not_fit_in_memory_is_an_error(monkeypatch):
    def encode_nothing(self, image, normalize=False):
        raise torch.OutOfMemoryError

    Model = type(load_backbone("zoo/RN20").model)
    monkeypatch.setattr(Model, "encode_image", encode_nothing)
    with pytest.raises(torch.OutOfMemoryError):
        CLIPEmbedder("zoo/RN20", **FP32).transform(FILES)

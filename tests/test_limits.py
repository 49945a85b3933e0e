"""Images that would take too much, and what is doubted of images while they are decoded."""

import io
import os
import pickle
import struct
import threading
import warnings
import zipfile
import zlib

import joblib
import numpy as np
import pytest
import torch
from _said import no_warning
from click.testing import CliRunner
from PIL import Image, ImageSequence

from skclipens import CLIPEmbedder, ImageError, MultiBackboneEmbedder
from skclipens.cli import _commands
from skclipens.datasets import load_emoji
from skclipens.exceptions import SuspectedMistakeWarning
from skclipens.images import _fetching, load_image
from skclipens.images._files import find_images

PICTURES = load_emoji(return_X_y=True)[0][:3].tolist()


def header(width, height):
    """A PNG of this size that has no pixels: whoever decodes it finds that it is cut short."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def said_of(image):
    with pytest.raises(ImageError) as caught:
        load_image(image)
    return str(caught.value)


# Pixels


@pytest.mark.parametrize("size", [(9460, 9459), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_a_large_image_is_refused_before_it_is_decoded(tmp_path, size):
    file = tmp_path / "large.png"
    file.write_bytes(header(*size))
    number = f"{size[0] * size[1]:,} pixels"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        for image, name in ((file, "large.png"), (file.read_bytes(), "content of")):
            text = said_of(image)
            for part in (name, number, "limit of 89,478,485", "MAX_IMAGE_PIXELS", "--max-pixels"):
                assert part in text
    with pytest.raises(ImageError, match=r"row 1: .*large.png.*pixels, more than the limit"):
        CLIPEmbedder("zoo/RN20").transform([PICTURES[0], file])


def test_the_limit_is_that_of_pillow(monkeypatch):
    content = header(300, 200)
    assert "truncated" in said_of(content)  # it was let through
    for limit, refused in ((59_999, True), (60_000, False), (None, False), (100, True)):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert ("limit of" in said_of(content)) == refused
    with pytest.raises(ImageError, match="300 x 200 = 60,000 pixels"):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 59_999)
        load_image(Image.new("RGB", (300, 200)))
    assert load_image(np.zeros((300, 200, 3), np.uint8)).size == (200, 300)  # is decoded already


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_the_limit_holds_in_workers(tmp_path, monkeypatch, backend):
    pytest.importorskip("pyarrow")
    from skclipens.embedding import read_embeddings

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    embedder = CLIPEmbedder("zoo/RN20", on_error="nan")
    with joblib.parallel_config(backend, n_jobs=2):
        embedder.embed_to(tmp_path, PICTURES, chunk_size=1)
    assert read_embeddings(tmp_path).isna().all(axis=None)
    with pytest.raises(ImageError, match=r"row 0, .*pixels, more than the limit of 100"):
        embedder.set_params(on_error="raise").embed_to(tmp_path, PICTURES, resume=False)


def test_the_limit_in_the_shell(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    command = ["embed", PICTURES[0], "--backbones", "zoo/RN20", "-o", str(tmp_path / "out.csv")]
    done = CliRunner().invoke(_commands.cli, [*command, "--max-pixels", "100"])
    assert "row 0" in done.output and "cannot be read" in done.output
    assert "--max-pixels" in CliRunner().invoke(_commands.cli, ["predict", "--help"]).output


def test_a_member_that_unpacks_to_too_much(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(10**7))
    monkeypatch.setattr(_fetching, "_MAX_BYTES", 10**6)
    images = find_images([f"zip://a.png::{tmp_path}/a.zip"])
    assert images[0] is None
    with pytest.raises(ImageError, match=r"row 0, .*zip': it unpacks to more than 1,000,000 bytes"):
        images.check(0)


# Frames


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_many_frames_one_is_decoded(monkeypatch, kind):
    frames = [Image.new("RGB", (16, 16), (i % 256, i // 256, 90)) for i in range(300)]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], duration=10)
    with Image.open(file) as opened:
        assert sum(1 for _ in ImageSequence.Iterator(opened)) > 50
        seeks = []
        monkeypatch.setattr(type(opened), "seek", lambda self, frame: seeks.append(frame))
    assert abs(np.asarray(load_image(file.getvalue())).astype(int)[0, 0] - [0, 0, 90]).max() < 20
    assert max(seeks, default=0) <= (kind == "TIFF")  # whose second page has a size


# Drawings


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"<SVG width='1e9'>", "an SVG drawing"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\x1f\x8b\x08\x00", "a compressed file"),
    ],
)
def test_drawings_are_never_drawn(tmp_path, content, said):
    (tmp_path / "a.svg").write_bytes(content)
    for image in (tmp_path / "a.svg", content):
        text = said_of(image)
        assert said in text and "Convert it to PNG" in text
    assert "a.svg" in said_of(tmp_path / "a.svg")


@pytest.mark.skipif(os.name != "posix", reason="writes a shell script")
def test_no_other_program_is_started(tmp_path, monkeypatch):
    """Pillow has Ghostscript draw EPS."""
    for name in ("gs", "gswin64c"):
        (tmp_path / name).write_text(f'#!/bin/sh\ntouch "{tmp_path}/ran"\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "EPS")
    (tmp_path / "a.png").write_bytes(file.getvalue())
    with Image.open(tmp_path / "a.png") as opened:
        for image in (tmp_path / "a.png", file.getvalue(), opened):
            text = said_of(image)
            assert "of the format EPS" in text and "can hold a program" in text
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_no_image(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    found = []
    # It would wait for a writer forever.
    thread = threading.Thread(target=lambda: found.append(said_of(tmp_path / "a.png")), daemon=True)
    thread.start()
    thread.join(60)
    assert "it is a pipe or a device" in found[0]
    assert "it is a pipe or a device" in said_of("/dev/zero")


# Warnings


@pytest.fixture
def doubtful(tmp_path):
    """Five images of eight have damaged tags."""
    files = []
    for i in range(8):
        files.append(str(tmp_path / f"{i}.jpg"))
        exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0" if i % 2 or i == 2 else b""
        Image.new("RGB", (20, 20), (i, 0, 0)).save(files[-1], exif=exif)
    return files


TEXT = r"5 images look wrong.* row 1 \('.*1.jpg'\): Corrupt EXIF.*row 2 .*And 2 more"


@pytest.mark.parametrize("n_jobs", [1, 4])
@pytest.mark.parametrize("action", ["default", "always"])
def test_warnings_of_pillow_are_one_of_ours(doubtful, n_jobs, action):
    embedder = MultiBackboneEmbedder(["zoo/RN20", "zoo/ViT-8"], batch_size=2, n_jobs=n_jobs)
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            embedder.transform(doubtful)
        # Garbage of other tests may be collected meanwhile.
        (warning,) = (one for one in caught if one.category is not ResourceWarning)
        with pytest.warns(UserWarning, match=TEXT):
            warnings.warn(warning.message, stacklevel=1)
        assert warning.filename == __file__


def test_warnings_of_pillow_in_a_stream(tmp_path, doubtful):
    pytest.importorskip("pyarrow")
    embedder = CLIPEmbedder("zoo/RN20", cache=tmp_path / "cache")
    with joblib.parallel_config("threading", n_jobs=2), pytest.warns(UserWarning) as caught:
        embedder.embed_to(tmp_path / "out", doubtful, chunk_size=2)
    (warning,) = caught
    with pytest.warns(UserWarning, match=TEXT):
        warnings.warn(warning.message, stacklevel=1)
    assert warning.filename == __file__


def test_other_warnings_are_those_of_others(doubtful):
    """A thread that shows warnings of Pillow does so while another one gathers them."""
    embedder, shown, stop = CLIPEmbedder("zoo/RN20"), [], threading.Event()

    def look():
        while not stop.is_set():
            with Image.open(doubtful[1]) as image:
                image.getexif()

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *place: shown.append(str(message))
        thread = threading.Thread(target=look)
        thread.start()
        for _ in range(5):
            embedder.transform(doubtful)
        stop.set()
        thread.join()
    assert sum(text.startswith("5 images look wrong") for text in shown) == 5
    assert sum(text.startswith("Corrupt EXIF") for text in shown) > 0
    n_filters = len(warnings.filters)
    for _ in range(5):
        embedder.transform(doubtful[:1])
    assert len(warnings.filters) <= n_filters + 1


def test_images_without_doubts_warn_of_nothing(doubtful):
    with no_warning():
        CLIPEmbedder("zoo/RN20").transform([doubtful[0], *PICTURES])


def test_filters_are_handed_on_to_workers(doubtful):
    """As scikit-learn does with all that there are."""
    from sklearn.utils.parallel import Parallel, delayed

    CLIPEmbedder("zoo/RN20").transform(doubtful[:1])
    assert Parallel(n_jobs=2)(delayed(abs)(one) for one in [-1, 2]) == [1, 2]
    assert pickle.loads(pickle.dumps(warnings.filters))


# Pixels in another range than that of their dtype


GREY = np.asarray(Image.open(PICTURES[0]).convert("L"))
PLACES = np.arange(4096).reshape(64, 64)
DARK = {
    "8 bits in 16": lambda: GREY.astype(np.uint16),
    "12 bits in 16": lambda: GREY.astype(np.uint16) * 16,
    "12 bits in a file": lambda: _file_of(Image.fromarray(GREY.astype(np.uint16) * 16)),
    "8 bits in a file": lambda: _file_of(Image.fromarray(GREY.astype(np.int32)), "TIFF"),
    "[0, 1] in 8 bits": lambda: np.dstack([GREY // 255] * 3 + [np.full_like(GREY, 255)]),
    "[0, 16] in 8 bits": lambda: np.uint8(GREY / GREY.max() * 16),
    "[0, 1] in integers": lambda: (GREY // 255).astype(int),
    "scaled twice": lambda: GREY / 255 / 255,
    "scaled twice, mode F": lambda: Image.fromarray((GREY / 255 / 255).astype(np.float32)),
    "tensor": lambda: torch.from_numpy(GREY // 255),
    "PIL": lambda: Image.fromarray(GREY // 100),
    "file": lambda: _file_of(Image.fromarray(np.dstack([GREY // 255] * 3))),
    "JPEG": lambda: _file_of(Image.fromarray(GREY // 128).resize((999, 999), 0), "JPEG"),
}


def _file_of(picture, format="PNG"):
    picture.save(file := io.BytesIO(), format)
    return file.getvalue()


def test_a_picture_that_is_doubted_is_named_once(tmp_path):
    file = tmp_path / "dark.png"
    Image.fromarray(GREY.astype(np.uint16) * 16).save(file)
    with pytest.warns(UserWarning) as caught:
        CLIPEmbedder("zoo/RN20").transform([PICTURES[0], file])
    (text,) = [str(one.message) for one in caught]
    assert f"In row 1 ({str(file)!r}): nearly black" in text


@pytest.mark.parametrize("kind", DARK)
def test_pictures_in_a_smaller_range_are_doubted_by_row(kind):
    image = DARK[kind]()
    with pytest.warns(UserWarning, match="nearly black, as its largest value is"):
        picture = load_image(image)
    assert np.median(picture) <= 16
    for n_jobs in (1, 4):
        embedder = CLIPEmbedder("zoo/RN20", n_jobs=n_jobs, batch_size=1)
        with pytest.warns(UserWarning) as caught:
            embedder.transform([PICTURES[0], image, PICTURES[1], image])
        (warning,) = caught
        assert "2 images look wrong" in str(warning.message)
        assert "row 1: " in str(warning.message) and "row 3: " in str(warning.message)
        assert warning.filename == __file__


@pytest.mark.parametrize("kind", [np.asarray, Image.fromarray, torch.from_numpy, _file_of])
def test_numbers_that_lost_their_sign_are_doubted(kind):
    """As of CT, from -1000 to 2000, stored as uint16."""
    numbers = GREY.astype(np.int16) * 11 - 1000
    image = numbers.astype(np.uint16)
    image = kind(Image.fromarray(image) if kind is _file_of else image)
    with pytest.warns(SuspectedMistakeWarning, match="near 0 and near 65535, as numbers below 0"):
        load_image(image)
    with no_warning():
        load_image(np.interp(numbers, [-1000, 2000], [0, 255]).astype(np.uint8))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), np.uint16),
        np.uint16(GREY > 128) * 65535,
        GREY.astype(np.uint16) * 257,
        # As of the sky at night, with a few stars.
        np.where(PLACES % 128, GREY * 10.0, 61440.0 + PLACES).astype(np.uint16),
        np.where(GREY > 128, 65535 - GREY // 16.0, GREY // 16).astype(np.uint16),
        np.full((8, 8), 7, np.uint8),
        np.eye(8, dtype=bool),
        GREY.astype(np.uint16) * 17,
        np.where(PLACES == 99, 255, GREY // 16),
        GREY // 14,
        GREY / 255 / 15,
        Image.fromarray(GREY // 14),
        Image.fromarray(np.full((8, 8), 7, np.uint8)),
        Image.fromarray(np.where(PLACES == 99, 255, GREY // 16)),
        Image.fromarray(GREY).convert("I"),
        Image.fromarray(GREY.astype(np.float32)),
    ],
)
def test_other_pictures_are_not_doubted(image):
    with no_warning():
        load_image(image)


@pytest.mark.parametrize("size", [(7, 7), (200, 7)])
def test_pictures_of_hardly_any_pixels_are_doubted(size):
    image = Image.open(PICTURES[0]).convert("RGB").resize(size)
    for one in (image, np.asarray(image), _file_of(image)):
        with pytest.warns(UserWarning, match=f"In row 1: of {size[0]} x 7 pixels, on which"):
            CLIPEmbedder("zoo/RN20").transform([PICTURES[0], one])


def drawing(mode, ink, background=0):
    """A cross on a transparent background."""
    pixels = np.zeros((8, 8), np.uint8)
    pixels[3] = pixels[:, 4] = 255
    alpha = Image.fromarray(np.maximum(pixels, background))
    picture = Image.new("RGB", (8, 8), ink).convert(mode[:-1])
    picture.putalpha(alpha)
    return picture


@pytest.mark.parametrize(
    "image",
    [
        drawing("RGBA", "white"),
        drawing("LA", "white"),
        _file_of(drawing("RGBA", "white")),
        _file_of(drawing("RGBA", "white"), "GIF"),
        np.asarray(drawing("RGBA", "white")),
        Image.new("RGBA", (8, 8)),
    ],
)
def test_drawings_of_which_nothing_is_left_are_doubted(image):
    with pytest.warns(UserWarning, match="all white, as its transparent parts are laid on white"):
        load_image(image)
    with pytest.warns(UserWarning, match="1 image looks wrong; it is used") as caught:
        CLIPEmbedder("zoo/RN20").transform([PICTURES[0], image])
    assert "row 1: " in str(caught[0].message) and len(caught) == 1


def test_alpha_in_a_smaller_range_is_doubted():
    pixels = np.asarray(Image.open(PICTURES[0]).convert("RGBA")).copy()
    pixels[..., 3] = 1
    with pytest.warns(UserWarning, match="nearly white, as its alpha is at most 1 of 255"):
        load_image(pixels)


@pytest.mark.parametrize(
    "image",
    [
        drawing("RGBA", "red"),
        drawing("RGBA", "red", background=255),
        drawing("RGBA", "white", background=255),
        Image.new("RGB", (8, 8), "white"),
    ],
)
def test_drawings_of_which_something_is_left_are_not(image):
    with no_warning():
        load_image(image)

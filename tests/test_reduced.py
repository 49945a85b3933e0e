"""Tests of JPEG files that are decoded at a fraction of their size."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.datasets import load_sample_images
from sklearn.utils._param_validation import InvalidParameterError

from skclipens import CLIPEmbedder, MultiBackboneEmbedder, zoo
from skclipens.backbones import load_backbone
from skclipens.backbones._preprocessing import Resize
from skclipens.embedding import read_embeddings
from skclipens.images import load_image
from skclipens.images._load import load_pictures
from skclipens.images._reduced import EXACT

PHOTOGRAPHS = [Image.fromarray(pixels) for pixels in load_sample_images().images]  # 640 x 427


def encoded(picture, file_format="JPEG", **options):
    file = io.BytesIO()
    picture.save(file, file_format, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two photographs of 2560 x 1708 and, as small files, of 200 x 133 pixels."""
    folder, found = tmp_path_factory.mktemp("photographs"), []
    for size in [(2560, 1708), (200, 133)]:
        for i, picture in enumerate(PHOTOGRAPHS):
            found.append(folder / f"{size[0]}-{i}.jpg")
            picture.resize(size, Image.Resampling.BICUBIC).save(found[-1], quality=92)
    return found


@given(st.integers(1, 300), st.integers(1, 300), st.lists(st.integers(1, 400), max_size=3))
def test_no_side_is_shorter_than_asked(width, height, sides):
    content = encoded(Image.new("RGB", (width, height), "red"))
    pictures = load_pictures(content, [EXACT, *sides])
    assert pictures[EXACT].pixels.size == (width, height)
    for side in sides:
        shorter = min(pictures[side].pixels.size)
        assert shorter >= min(side, width, height)
        assert shorter <= 2 * side or max(pictures[side].pixels.size) <= -(-max(width, height) // 8)
        assert pictures[side].pixels.getpixel((0, 0)) == pictures[EXACT].pixels.getpixel((0, 0))


def test_a_reduced_picture_is_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(PHOTOGRAPHS[0], exif=exif)
    whole, reduced = (load_pictures(content, [side])[side].pixels for side in (EXACT, 100))
    assert whole.size == (427, 640)
    assert reduced.size == (107, 160)
    apart = np.subtract(reduced, whole.reduce(4), dtype=float)
    assert np.abs(apart).mean() < 6  # libjpeg reads sharper than the mean of 4 x 4 pixels is


@pytest.mark.parametrize(
    ("file_format", "options"),
    [("PNG", {}), ("WEBP", {}), ("GIF", {}), ("TIFF", {}), ("BMP", {})],
)
def test_other_formats_are_decoded_exactly(file_format, options):
    content = encoded(PHOTOGRAPHS[0], file_format, **options)
    assert_array_equal(load_pictures(content, [20])[20].pixels, load_image(content))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_modes_of_jpeg(mode):
    content = encoded(PHOTOGRAPHS[0].convert(mode))
    reduced = load_pictures(content, [200])[200].pixels
    assert (reduced.mode, reduced.size) == ("RGB", (320, 214))
    assert np.abs(np.subtract(reduced, load_image(content).reduce(2), dtype=float)).mean() < 6


def test_a_file_is_decoded_once_for_each_reduction(monkeypatch):
    loaded = []
    load = Image.Image.convert

    def convert(self, *args, **options):
        loaded.append(self.size)
        return load(self, *args, **options)

    monkeypatch.setattr(Image.Image, "convert", convert)
    pictures = load_pictures(encoded(PHOTOGRAPHS[0]), [EXACT, 150, 200, 100])
    assert loaded == [(640, 427), (320, 214), (160, 107)]
    assert pictures[150] is pictures[200]


@pytest.mark.parametrize("name", sorted(zoo.MODELS))
def test_embeddings_hardly_move(name, files):
    exact, auto = (
        CLIPEmbedder(f"zoo/{name}", precision="fp32", decode=decode).transform(files).astype(float)
        for decode in ("exact", "auto")
    )
    distances = 1 - (exact * auto).sum(axis=1)
    assert 0 < distances[:2].max() < 2e-3
    assert_array_equal(exact[2:], auto[2:])  # too small to be reduced


def test_a_block_does_not_depend_on_what_else_is_embedded(files):
    """A crop needs more pixels than the whole, and is decoded for itself."""
    alone = CLIPEmbedder("zoo/RN20", precision="fp32").transform(files)
    beside = MultiBackboneEmbedder(
        ["zoo/ViT-16", "zoo/RN20"], precision="fp32", views="both", keep_plain=True
    )
    names = beside.get_feature_names_out()
    plain = [name.startswith("zoo/RN20__") for name in names]
    assert_allclose(beside.transform(files)[:, plain], alone, atol=1e-6)


def test_stores_and_folders_keep_the_two_apart(files, tmp_path):
    embedders = [CLIPEmbedder("zoo/RN20", cache=tmp_path, decode=one) for one in ("exact", "auto")]
    exact, auto = (embedder.transform(files) for embedder in embedders)
    assert not np.array_equal(exact, auto)
    assert_array_equal(embedders[0].transform(files), exact)
    names = [str(Path(file)) for file in files]
    embedders[0].embed_to(tmp_path / "parts", names)
    assert_allclose(read_embeddings(tmp_path / "parts"), exact, atol=1e-6)
    with pytest.raises(ValueError, match="parts"):
        embedders[1].embed_to(tmp_path / "parts", names)


def test_decode_is_checked(files):
    with pytest.raises(InvalidParameterError, match="decode"):
        CLIPEmbedder("zoo/RN20", decode="fast").transform(files)


@given(
    st.integers(300, 420),
    st.integers(300, 420),
    st.sampled_from(["shortest", "squash", "longest"]),
    st.sampled_from([(0, 0, 1, 1), (0.2, 0, 1, 0.8), (0.1, 0.1, 0.9, 0.9)]),
)
def test_a_reduced_picture_is_resized_as_the_whole_is(width, height, mode, box):
    """No shift, though a fraction of a size has to be rounded: of a ramp, pixels hardly differ."""
    ramp = np.add.outer(np.linspace(0, 127, height), np.linspace(0, 127, width))
    content = encoded(Image.fromarray(ramp.astype(np.uint8)).convert("RGB"), quality=95)
    config = load_backbone("zoo/RN20").preprocess_config | {"size": 40, "resize_mode": mode}
    pictures = load_pictures(content, [EXACT, 75])
    assert pictures[75].reduction == 4
    exact, reduced = (np.asarray(Resize(config, box)(one), dtype=int) for one in pictures.values())
    if mode == "longest":  # what is added at the sides
        exact, reduced = (one[5:-5, 5:-5] for one in (exact, reduced))
    assert np.abs(exact - reduced).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_picture_that_is_turned_is_not_shifted(orientation):
    """The last column and row of a file, which stand for fewer pixels, may come first."""
    ramp = np.add.outer(np.linspace(0, 127, 409), np.linspace(0, 127, 401)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pictures = load_pictures(encoded(Image.fromarray(ramp), quality=95, exif=exif), [EXACT, 75])
    assert pictures[75].reduction == 4
    for box in [(0, 0, 1, 1), (0.2, 0.1, 0.7, 0.6)]:
        resize = Resize(load_backbone("zoo/RN20").preprocess_config | {"size": 40}, box)
        exact, reduced = (np.asarray(resize(one), dtype=int) for one in pictures.values())
        assert np.abs((exact - reduced).mean()) < 0.2

"""Tests of HEIC files, with the library that reads them and without it."""

import io
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from skclipens import CLIPEmbedder, ImageError
from skclipens.images import load_image


@pytest.fixture(scope="module")
def photograph():
    return Image.fromarray(load_sample_image("china.jpg"))


@pytest.fixture(scope="module")
def file(photograph, tmp_path_factory):
    heif = pytest.importorskip("pillow_heif")
    path = tmp_path_factory.mktemp("heif") / "china.heic"
    heif.from_pillow(photograph).save(path, quality=95)
    return path


def test_a_heic_file_is_what_it_was_made_of(file, photograph):
    for image in (file, file.read_bytes()):
        picture = load_image(image)
        assert picture.size == photograph.size
        assert np.abs(np.subtract(picture, photograph, dtype=float)).mean() < 6


def test_it_is_embedded_and_streamed(file, photograph, tmp_path):
    embedder = CLIPEmbedder("zoo/RN20")
    (found,), (expected,) = embedder.transform([file]), embedder.transform([photograph])
    assert found @ expected > 0.99
    assert len(embedder.embed_to(tmp_path / "parts", str(file.parent))) == 1


def test_without_the_library_the_error_names_it(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(Image, "OPEN", {k: v for k, v in Image.OPEN.items() if k != "HEIF"})
    monkeypatch.setattr(Image, "ID", [one for one in Image.ID if one != "HEIF"])
    with pytest.raises(ImageError, match=r"china.heic'.*pip install pillow-heif,"):
        load_image(file)


def test_other_files_are_no_heic_files():
    with pytest.raises(ImageError, match="it is a film"):
        load_image(io.BytesIO(b"\0\0\0\x1cftypmp42" + bytes(100)).getvalue())

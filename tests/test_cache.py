"""The parameter cache= of embedders: no image is embedded twice."""

from pathlib import Path

import numpy as np
import pytest
from _said import said
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score

from skclipens import (
    CascadeClassifier,
    CLIPEmbedder,
    EmbeddingStore,
    MultiBackboneEmbedder,
    make_backbone_pipeline,
)
from skclipens.datasets import load_emoji
from skclipens.embedding._row_cache import row_cache
from skclipens.images import load_image

BACKBONES = ["zoo/RN20", "zoo/ViT-16"]


@pytest.fixture(scope="module")
def emoji():
    return load_emoji(min_class_size=60)


def make(cache, **options):
    return MultiBackboneEmbedder(BACKBONES, device="cpu", precision="fp32", cache=cache, **options)


def test_embeds_each_image_once_and_for_good(emoji, forwards, tmp_path):
    paths = emoji.filenames[:20]
    plain = make(None).transform(paths)
    assert forwards == dict.fromkeys(BACKBONES, 20)
    for _ in range(2):
        assert_array_equal(make(tmp_path).transform(paths), plain)
    assert forwards == dict.fromkeys(BACKBONES, 40)
    mixed = np.concatenate([paths[::-1], paths[:3], emoji.filenames[20:22]])
    assert_allclose(make(tmp_path).transform(mixed), make(None).transform(mixed), atol=1e-6)
    assert forwards == dict.fromkeys(BACKBONES, 40 + 2 + len(mixed))
    assert EmbeddingStore(tmp_path).info()["entries"] == 2 * 22


def test_doubts_about_pixels_are_said_each_time(emoji, tmp_path):
    images = [load_image(path) for path in emoji.filenames[:3]]
    images[1] = np.asarray(images[1].convert("L")).astype(np.uint16)
    embedder = make(tmp_path)
    estimator = LogisticRegression(max_iter=50)
    cascade = CascadeClassifier(
        BACKBONES, embedder=CLIPEmbedder(cache=tmp_path), estimator=estimator
    )
    cascade.set_params(cv=2).fit(emoji.filenames[::20], emoji.target[::20])
    for call in (embedder.transform, embedder.transform, cascade.predict):
        (text,) = said(call, images)
        assert text.startswith("1 image looks wrong; it is used as it is.") and "In row 1: " in text


def test_doubts_about_files_are_said_each_time(emoji, tmp_path):
    dark = Image.fromarray(np.asarray(load_image(emoji.filenames[1])) // 32)
    for name in ("dark.png", "copy of it.png"):
        dark.save(tmp_path / name)
    paths = [emoji.filenames[0], str(tmp_path / "dark.png"), emoji.filenames[2]]
    copied = [str(tmp_path / "copy of it.png"), *paths[::2]]
    encoded = [Path(path).read_bytes() for path in paths]
    embedder, one = make(tmp_path / "cache"), CLIPEmbedder("zoo/RN20", cache=tmp_path / "cache")
    cascade = CascadeClassifier(
        BACKBONES, embedder=one, estimator=LogisticRegression(max_iter=50), cv=2
    ).fit(emoji.filenames[::20], emoji.target[::20])
    calls = [
        *[(cascade.predict, paths, 1)] * 2,
        *[(embedder.transform, images, row) for images, row in ((paths, 1), (copied, 0)) * 2],
        (embedder.transform, encoded, 1),
    ]
    for call, images, row in calls:
        (text,) = said(call, images)
        name = "" if images is encoded else f" ({images[row]!r})"
        assert text.startswith(f"1 image looks wrong; it is used as it is. In row {row}{name}: ne")
        row_cache.forget(EmbeddingStore(tmp_path / "cache").file)  # as in another process
    assert "warnings about images" not in EmbeddingStore(tmp_path / "cache").info()["models"]
    assert not said(embedder.transform, paths[::2])


def test_another_backbone_or_length_finds_what_is_there(emoji, forwards, tmp_path):
    paths = emoji.filenames[:8]
    one = CLIPEmbedder(BACKBONES[0], device="cpu", precision="fp32", cache=tmp_path)
    rows = one.transform(paths)
    both = make(tmp_path, normalize=False).transform(paths)
    assert forwards == dict.fromkeys(BACKBONES, 8)
    lengths = np.linalg.norm(both[:, : rows.shape[1]], axis=1, keepdims=True)
    assert_allclose(both[:, : rows.shape[1]] / lengths, rows, rtol=1e-6)


def test_a_search_embeds_each_image_once(emoji, forwards, tmp_path):
    options = {"device": "cpu", "precision": "fp32", "features": "projected"}
    clf = make_backbone_pipeline(BACKBONES, cache=tmp_path, **options)
    grid = {
        "adaptivebackboneensemble__head": ["zero-shot", "linear"],
        "adaptivebackboneensemble__router": ["static", "uniform"],
    }
    labels = emoji.target_names[emoji.target]
    rows = np.random.default_rng(0).permutation(len(labels))[:80]
    GridSearchCV(clf, grid, cv=3).fit(emoji.filenames[rows], labels[rows])
    assert forwards == dict.fromkeys(BACKBONES, 80)
    cross_val_score(clf, emoji.filenames[rows[::-1]], labels[rows[::-1]], cv=2)
    assert forwards == dict.fromkeys(BACKBONES, 80)


def test_an_image_that_cannot_be_read_is_not_remembered(emoji, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    paths = [emoji.filenames[0], str(broken)]
    rows = make(tmp_path / "cache", on_error="nan").transform(paths)
    assert_array_equal(np.isnan(rows).all(axis=1), [False, True])
    with pytest.raises(ValueError, match="row 1"):
        make(tmp_path / "cache").transform(paths)
    broken.write_bytes(open(emoji.filenames[1], "rb").read())
    assert np.isfinite(make(tmp_path / "cache").transform(paths)).all()


def test_cache_is_off_unless_asked_for(emoji, tmp_path, monkeypatch):
    monkeypatch.setenv("SKCLIPENS_CACHE", str(tmp_path))
    for cache in (None, False):
        make(cache).transform(emoji.filenames[:2])
        assert not list(tmp_path.iterdir())
    make(True).transform(emoji.filenames[:2])
    assert EmbeddingStore().info()["entries"] == 4

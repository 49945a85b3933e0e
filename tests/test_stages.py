"""Tests of how a cascade embeds: each image is read once, and as each backbone alone would."""

from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skclipens import CLIPEmbedder, EmbeddingStore, ImageError, MultiBackboneEmbedder
from skclipens.backbones import load_backbone
from skclipens.backbones._preprocessing import Resize
from skclipens.cascade import CascadeClassifier
from skclipens.datasets import load_emoji
from skclipens.embedding._stages import _BATCHES, Stages
from skclipens.images import _load
from skclipens.images._decoding import Kept, decode_batches

BACKBONES = ["zoo/RegNet", "zoo/ViT-16", "zoo/RN20"]  # cheapest first
CPU = {"device": "cpu", "precision": "fp32"}
EMBEDDER = CLIPEmbedder(**CPU, batch_size=4)  # so that 32 images are a part


@pytest.fixture(scope="module")
def y():
    return load_emoji(as_frame=True).frame.groupby("label").head(8).head(40)["label"].to_numpy()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Pictures as JPEG files of which every third is large enough to be decoded at a fraction."""
    folder = tmp_path_factory.mktemp("jpeg")
    paths = load_emoji(as_frame=True).frame.groupby("label").head(8).head(40)["path"]
    files = []
    for i, path in enumerate(paths):
        files.append(str(folder / f"{i}.jpg"))
        side = 400 if i % 3 == 0 else 150
        Image.open(path).convert("RGB").resize((side, side)).save(files[-1])
    return files


@pytest.fixture
def opened(monkeypatch):
    """How often each file was opened to be decoded."""
    counts, real = Counter(), _load.open_image

    def open_image(source, name):
        counts[source] += 1
        return real(source, name)

    monkeypatch.setattr(_load, "open_image", open_image)
    return counts


def fit(files, y, **parameters):
    """A cascade of which part of the images reaches each stage."""
    parameters = {"estimator": LogisticRegression(C=10), "embedder": EMBEDDER, **parameters}
    return CascadeClassifier(BACKBONES, thresholds=[0.66, 0.85], **parameters).fit(files, y)


def test_each_file_is_decoded_once(files, y, opened):
    clf = fit(files, y)
    assert opened == dict.fromkeys(files, 1)
    for method in (clf.predict, clf.predict_proba, clf.predict_with_cost):
        opened.clear()
        method(files)
        assert opened == dict.fromkeys(files, 1)


@pytest.mark.parametrize(("decode", "views"), [("auto", None), ("exact", "mirror")])
def test_answers_are_those_for_embeddings_of_each_backbone_alone(files, y, decode, views):
    embedder = CLIPEmbedder(**CPU, batch_size=4, decode=decode, views=views)
    clf = fit(files, y, embedder=embedder)
    assert clf.backbones_ == BACKBONES
    alone = [embedder.set_params(backbone=name).transform(files) for name in BACKBONES]
    expected = clf.cascade_.predict_with_cost(np.hstack(alone))
    result = clf.predict_with_cost(files)
    assert set(result.stages) == {0, 1, 2}
    assert_array_equal(result.stages, expected.stages)
    assert_array_equal(result.labels, expected.labels)
    assert_array_equal(result.cost, expected.cost)
    assert_allclose(result.proba, expected.proba, atol=1e-4)


def test_embeddings_are_those_of_each_backbone_alone(files):
    """Bit for bit where batches are the same."""
    images = [*files[:5], Image.open(files[5]), np.asarray(Image.open(files[6]))]
    stages = Stages(MultiBackboneEmbedder(BACKBONES, **CPU, batch_size=8), images)
    ((rows, embed),) = stages
    assert rows == range(7)
    for stage, some in enumerate([np.arange(7), np.array([1, 3, 5, 6]), np.array([3, 6])]):
        alone = CLIPEmbedder(BACKBONES[stage], **CPU, batch_size=8)
        assert_array_equal(embed(stage, some), alone.transform([images[row] for row in some]))


def test_pixels_of_what_is_decided_are_forgotten(files):
    stages = Stages(MultiBackboneEmbedder(BACKBONES, **CPU, batch_size=4), files)
    held = []
    for rows, embed in stages:
        part = embed.__self__
        for stage, step in enumerate([1, 2, 4]):
            some = np.array(rows[::step])
            embed(stage, some)
            held.append(sorted(part.pixels))
            assert held[-1] == ([] if stage == 2 else some.tolist())
            pixels = [one for of_row in part.pixels.values() for one in of_row.values()]
            assert {one.shape for one in pixels} <= {(64, 64, 3)}
            assert len(pixels) == len(part.pixels)  # the models of the zoo resize alike
    assert sum(map(len, held)) == 40 + 20
    assert max(map(len, held)) == 4 * _BATCHES


def test_a_later_model_may_need_more_pixels(files, opened):
    config = load_backbone("zoo/RN20").preprocess_config
    small, large = ({0: (s, s, 3 * s, Resize({**config, "size": s}))} for s in (32, 224))
    large = {1: large[0]}
    options = dict(batch_size=4, n_jobs=2, n_ahead=0, on_error="raise", pin_memory=False, notes={})
    few = files[:6]

    def decode(resizes, kept):
        batches = decode_batches(few, range(6), resizes, kept=kept, **options)
        return [pixels for _, pixels in batches]

    alone = decode(large, None)
    opened.clear()
    kept = Kept(large)
    decode(small, kept)
    assert opened == dict.fromkeys(few, 1)
    # Those of 400 pixels were decoded at a fraction, which is too small for the large model.
    assert sorted(row for row, pixels in kept.pixels.items() if pixels) == [1, 2, 4, 5]
    found = decode(large, Kept({}, kept.pixels))
    assert opened == {file: 2 if i % 3 == 0 else 1 for i, file in enumerate(few)}
    for one, other in zip(found, alone, strict=True):
        assert_array_equal(one[1], other[1])


def test_an_image_that_cannot_be_read_is_named_by_its_row(files, y, tmp_path):
    clf = fit(files, y)
    images = [*files[:19], tmp_path / "no.jpg", *files[19:]]
    with pytest.raises(ImageError, match=r"row 19: .*no\.jpg"):
        clf.predict(images)


def test_what_is_stored_is_what_each_backbone_alone_stores(files, y, tmp_path, opened):
    cached = CLIPEmbedder(**CPU, batch_size=4, cache=tmp_path)
    clf = fit(files[:32], y[:32])
    expected = clf.predict_with_cost(files)
    assert set(expected.stages) == {0, 1, 2}
    clf.set_params(embedder=cached)
    for n in (1, 0):  # the second time all is known
        opened.clear()
        result = clf.predict_with_cost([*files, files[0]])
        assert_allclose(result.proba[:-1], expected.proba, atol=1e-6)
        assert opened == dict.fromkeys(files if n else [], 1)
    n_rows = [(expected.stages >= stage).sum() for stage in range(3)]
    assert EmbeddingStore(tmp_path).info()["entries"] == sum(n_rows)
    for stage, name in enumerate(BACKBONES):
        some = [files[row] for row in np.flatnonzero(expected.stages >= stage)]
        opened.clear()
        found = cached.set_params(backbone=name).transform(some)
        assert opened == {}
        alone = CLIPEmbedder(name, **CPU, batch_size=4, cache=None).transform(some)
        assert_allclose(found, alone, atol=1e-6)


class Writing(GaussianNB):
    """Writes another picture into a file while it predicts."""

    file = content = None

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        if Writing.file:
            Writing.file.write_bytes(Writing.content)
        return np.full_like(proba, 1 / proba.shape[1])


def test_a_file_that_is_written_to_between_stages_is_not_stored(files, y, tmp_path, monkeypatch):
    cached = CLIPEmbedder(**CPU, cache=tmp_path / "store")
    clf = fit(files, y, estimator=Writing(), embedder=cached)
    EmbeddingStore(tmp_path / "store").clear()
    moving, contents = tmp_path / "moving.jpg", []
    for file in (files[0], files[9]):
        with open(file, "rb") as opened:
            contents.append(opened.read())
    moving.write_bytes(contents[0])
    monkeypatch.setattr(Writing, "file", moving)
    monkeypatch.setattr(Writing, "content", contents[1])
    clf.predict([moving])
    assert list(EmbeddingStore(tmp_path / "store").info()["models"].values()) == [1]
    for name in BACKBONES:
        for content in contents:
            alone = CLIPEmbedder(name, **CPU).transform([content])
            found = cached.set_params(backbone=name).transform([content])
            assert_allclose(found, alone, atol=1e-6)

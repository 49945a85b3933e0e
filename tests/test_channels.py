"""Red and blue exchanged in pictures, as OpenCV reads them."""

import numpy as np
import pandas as pd
import pytest
import torch
from _said import said
from PIL import Image
from sklearn.linear_model import LogisticRegression

from benchmarks import channels
from skclipens import CLIPEmbedder, make_backbone_pipeline
from skclipens.datasets import load_emoji
from skclipens.embedding._encoder import ImageEncoder
from skclipens.images import load_image
from skclipens.pipeline import BackbonePipeline

pytestmark = pytest.mark.usefixtures("embedded_once")

SAID = "with red and blue exchanged"


def emoji():
    dataset = load_emoji()
    return dataset.filenames, np.array(dataset.target_names)[dataset.target]


@pytest.fixture(scope="module")
def pictures():
    """Pictures of which colours tell much, as arrays; and their labels."""
    files, labels = emoji()
    rows = np.random.default_rng(0).permutation(len(labels))[:130]
    return [np.asarray(load_image(files[row])) for row in rows], labels[rows]


@pytest.fixture
def clf():
    return make_backbone_pipeline("zoo/ViT-16", head="zero-shot")


def swapped(pictures):
    return [one[..., ::-1] for one in pictures]


def is_noticed(call, *args):
    return sum(SAID in one for one in said(call, *args))


@pytest.mark.parametrize(
    "form",
    [
        list,
        lambda arrays: [one / 255 for one in arrays],
        lambda arrays: [Image.fromarray(np.ascontiguousarray(one)) for one in arrays],
        lambda arrays: [torch.tensor(one.copy()).permute(2, 0, 1) for one in arrays],
    ],
    ids=["uint8", "0 to 1", "PIL", "tensor"],
)
def test_exchanged_channels_are_noticed(clf, pictures, form):
    X, y = pictures
    assert is_noticed(clf.fit, form(swapped(X)), y) == 1
    assert not is_noticed(clf.fit, form(X), y)
    assert is_noticed(clf.score, form(swapped(X)), y) == 1
    assert not is_noticed(clf.score, form(X), y)


def test_the_default_head(pictures):
    X, y = pictures
    clf = make_backbone_pipeline(["zoo/RN20", "zoo/ViT-16"])
    assert is_noticed(clf.fit, swapped(X), y) == 1
    assert not is_noticed(clf.fit, X, y)


def test_rows_without_label_or_readable_picture(pictures):
    X, y = pictures
    options = {"head": "zero-shot", "unlabeled": "ignore", "on_error": "nan"}
    clf = make_backbone_pipeline("zoo/ViT-16", **options)
    some = y.astype(object)
    some[:5] = None
    X = [b"no picture", *swapped(X)[1:-1], np.zeros((8, 8, 5), np.uint8)]  # of five channels
    assert is_noticed(clf.fit, X, some) == 1
    assert is_noticed(clf.score, X[5:], y[5:]) == 1


def test_forms_of_labels(clf, pictures):
    X, y = pictures
    for labels in (list(y), y[:, None], pd.Series(y, dtype="category"), pd.DataFrame({"y": y})):
        assert is_noticed(clf.fit, swapped(X), labels) == 1
    with pytest.raises(ValueError, match="inconsistent"):
        clf.score(X, y[1:])


def test_nothing_is_said_where_nothing_can_be_known(clf, pictures):
    X, y = pictures
    grey = [np.asarray(Image.fromarray(one).convert("L")) for one in X]
    assert not said(clf.fit, grey, y)
    assert not is_noticed(clf.fit, swapped(X)[:9], y[:9])
    files, labels = emoji()
    assert not is_noticed(clf.fit, files[::9], labels[::9])
    learned = make_backbone_pipeline("zoo/ViT-16", head="linear")
    assert not is_noticed(learned.fit, swapped(X), y)


def test_files_are_read_once(clf, monkeypatch):
    (files, labels), embedded = emoji(), []
    files, labels = files[::12], labels[::12]
    transform = CLIPEmbedder._transform
    monkeypatch.setattr(
        CLIPEmbedder, "_transform", lambda self, X: embedded.append(len(X)) or transform(self, X)
    )
    clf.fit(files, labels)
    assert not embedded  # the pipeline has another embedder
    clf.fit([np.asarray(load_image(one)) for one in files], labels)
    assert embedded == [40]  # 20 pictures, which speak for their own channels


def test_a_store_has_them_the_next_time(pictures, monkeypatch, tmp_path):
    X, y = pictures
    clf = make_backbone_pipeline("zoo/ViT-16", cache=str(tmp_path))
    assert is_noticed(clf.fit, swapped(X), y) == 1
    monkeypatch.setattr(ImageEncoder, "__call__", lambda *args: pytest.fail("embedded again"))
    assert is_noticed(clf.fit, swapped(X), y) == is_noticed(clf.score, swapped(X), y) == 1


def test_other_steps_are_left_alone(pictures):
    X, y = pictures
    steps = [("embed", CLIPEmbedder("zoo/RN20")), ("classify", LogisticRegression())]
    assert not is_noticed(BackbonePipeline(steps).fit, swapped(X), y)


def test_program(capsys):
    backbones = ["--backbones", "zoo/ViT-16"]
    channels.main(["--datasets", "emoji", *backbones, "--draws", "1", "--classes", "10"])
    printed = capsys.readouterr().out
    assert "| RGB | 0 | 0 | 0 |\n| RGB, names without meaning | 0 | 0 | 0 |\n" in printed
    assert printed.rstrip().endswith("Of 6 right uses, 0.0% raise a warning; limit 2.0%.")
    assert "| BGR | 0 | 0 | 0 |" not in printed

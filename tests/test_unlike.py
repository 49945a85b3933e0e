"""Embeddings at predict that are not of the models or settings of those at fit are doubted."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from PIL import Image, ImageOps

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder
from skclipens.datasets import load_emoji
from skclipens.utils import skops_trusted_types

BACKBONES = ["zoo/RN20", "zoo/ViT-8"]
WIDTH = 128


def embed(paths, **parameters):
    return MultiBackboneEmbedder(BACKBONES, **parameters).fit_transform(paths)


@pytest.fixture(scope="module")
def emoji():
    """Paths of the emoji, and names of their classes."""
    emoji = load_emoji(min_class_size=30)
    return emoji.filenames, emoji.target_names[emoji.target]


@pytest.fixture(scope="module")
def table(emoji):
    return embed(emoji[0]), emoji[1]


@pytest.fixture(scope="module")
def clf(table):
    X, y = table
    return AdaptiveBackboneEnsemble(BACKBONES, random_state=0).fit(X[::2], y[::2])


def swapped(X):
    return np.hstack([X[:, WIDTH:], X[:, :WIDTH]])


def doubts(clf, X):
    """What is said in predict, beside the labels."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.predict(X)
    assert all(one.filename == __file__ for one in caught)
    return [str(one.message) for one in caught]


def test_blocks_in_another_order(clf, table):
    X, _ = table
    (doubt,) = doubts(clf, swapped(X[1::2]))
    assert "'zoo/RN20', 'zoo/ViT-8' are unlike those of fit" in doubt
    with pytest.warns(UserWarning, match="unlike those of fit"):
        clf.predict_proba(swapped(X[1::2]))


def test_another_model_of_the_same_width(clf, table, emoji):
    X, other = table[0][1::2], MultiBackboneEmbedder("zoo/RegNet").fit_transform(emoji[0][1::2])
    (doubt,) = doubts(clf, np.hstack([other, X[:, WIDTH:]]))
    assert "of 'zoo/RN20' are unlike" in doubt


@pytest.mark.parametrize("normalized_first", [True, False])
def test_embeddings_of_another_length(clf, emoji, table, normalized_first):
    X, y = table
    raw = embed(emoji[0], normalize=False)
    before, now = (X, raw) if normalized_first else (raw, X)
    clf = AdaptiveBackboneEnsemble(BACKBONES, random_state=0).fit(before[::2], y[::2])
    (doubt,) = doubts(clf, now[1::2])
    assert "'zoo/RN20', 'zoo/ViT-8' have another length than in fit" in doubt
    assert "normalize" in doubt
    assert not doubts(clf, before[1::2])


def test_no_doubt_of_images_like_those_of_fit(clf, table):
    X, y = table
    assert not doubts(clf, X[1::2])
    for label in np.unique(y):
        assert not doubts(clf, X[y == label])


@pytest.mark.parametrize("change", [ImageOps.grayscale, ImageOps.posterize, ImageOps.flip])
def test_no_doubt_of_images_that_look_otherwise(clf, emoji, change):
    options = {"bits": 1} if change is ImageOps.posterize else {}
    images = [change(Image.open(path).convert("RGB"), **options) for path in emoji[0][1::4]]
    assert not doubts(clf, embed(images))


def test_few_rows_raise_no_doubt(clf, table):
    X, y = table
    assert not doubts(clf, swapped(X[:19]))
    of_few = AdaptiveBackboneEnsemble(BACKBONES, random_state=0).fit(X[:150:10], y[:150:10])
    assert not doubts(of_few, swapped(X))


def test_columns_that_are_no_embeddings_may_be_anything(table):
    X, y = table
    names = [f"{name}__{i}" for name in BACKBONES for i in range(WIDTH)]
    X = pd.DataFrame(X, columns=names).assign(price=np.random.default_rng(0).random(len(X)))
    clf = AdaptiveBackboneEnsemble(random_state=0).fit(X[::2], y[::2])
    assert not doubts(clf, X[1::2].assign(price=-1e3))


def test_the_doubt_is_saved_with_the_ensemble(clf, table):
    skops_io = pytest.importorskip("skops.io")
    X, _ = table
    saved = pickle.loads(pickle.dumps(clf))
    assert doubts(saved, swapped(X))
    saved = skops_io.loads(skops_io.dumps(clf), trusted=skops_trusted_types())
    assert doubts(saved, swapped(X))
    assert_array_equal(saved.predict(X), clf.predict(X))

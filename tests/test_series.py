"""Rows that are most like the row beside them, as frames of a film are."""

import numpy as np
import pandas as pd
import pytest
from _said import said
from PIL import Image
from sklearn import config_context
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, StratifiedKFold

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder, make_backbone_pipeline
from skclipens.datasets import load_emoji

pytestmark = pytest.mark.usefixtures("embedded_once")

BACKBONES = ["zoo/RN20", "zoo/ViT-8"]
MESSAGE = "more like the row beside them"
ANGLES = [0, 16, -16]


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Files and labels of films of three frames, in which something turns, and their films."""
    emoji, folder = load_emoji(min_class_size=40), tmp_path_factory.mktemp("films")
    paths, labels, films, rng = [], [], [], np.random.default_rng(0)
    for target, name in enumerate(emoji.target_names[:4]):
        for film in np.flatnonzero(emoji.target == target)[::3][:12]:
            with Image.open(emoji.filenames[film]) as opened:
                picture = opened.convert("RGBA")
            scene = Image.new("RGBA", picture.size, tuple(rng.integers(80, 255, 3)))
            for angle in ANGLES:
                turned = Image.alpha_composite(scene, picture.rotate(angle))
                path = folder / f"{target}_{len(films)}.png"
                turned.convert("RGB").save(path)
                paths.append(str(path))
                labels.append(name)
                films.append(f"{film}")
    return np.array(paths), np.array(labels), np.array(films)


def doubts(clf, *args, **given):
    return [text for text in said(lambda: clf.fit(*args, **given)) if MESSAGE in text]


def pipeline(**parameters):
    return make_backbone_pipeline(BACKBONES, random_state=0, **parameters)


def test_frames_of_a_film_that_follow_each_other(films):
    X, y, film = films
    (text,) = doubts(pipeline(), X, y)
    assert "as they are given" in text and "rows 1 and 2." in text and "pass groups" in text
    assert not doubts(pipeline(), X, y, groups=film)
    assert not doubts(pipeline(cv=StratifiedKFold(3)), X, y)
    assert doubts(pipeline(), X, y, groups=np.arange(len(y)))  # which join nothing


def test_a_search_that_has_groups_is_told_how_to_pass_them_on(films):
    X, y, film = films
    name = "adaptivebackboneensemble__router"
    search = GridSearchCV(pipeline(), {name: ["uniform"]}, cv=StratifiedGroupKFold(4))
    texts = doubts(search, X, y, groups=film)
    assert texts[0].endswith("groups, it passes them on only with its metadata routing.")
    with config_context(enable_metadata_routing=True):
        assert not doubts(search, X, y, groups=film)


@pytest.mark.parametrize("kind", [np.array, list, pd.Series])
def test_frames_in_a_random_order_are_found_by_their_files(kind, films):
    rows = np.random.default_rng(0).permutation(len(films[0]))
    X, y = kind(films[0][rows]), films[1][rows]
    (text,) = doubts(pipeline(), X, y)
    assert "by the names of the files" in text
    broken = [*X, "no/such/file.png"], [*y, y[0]]
    (text,) = doubts(pipeline(on_error="nan"), *broken)
    assert "by the names of the files" in text


@pytest.mark.parametrize("named", [False, True])
def test_frames_in_a_random_order_are_found_by_an_index(named, films):
    X, y, _ = films
    rows = np.random.default_rng(0).permutation(len(X))
    table = MultiBackboneEmbedder(BACKBONES).set_output(transform="pandas").fit_transform(X)
    table = table.set_axis(X) if named else table
    (text,) = doubts(AdaptiveBackboneEnsemble(), table.iloc[rows], y[rows])
    assert "by the index of X" in text
    assert not doubts(AdaptiveBackboneEnsemble(BACKBONES), table.to_numpy()[rows], y[rows])
    mixed = table.set_axis([0, *X[1:]])  # which has no order
    assert not doubts(AdaptiveBackboneEnsemble(), mixed.iloc[rows], y[rows])


def test_variants_of_emoji_may_stand_beside_each_other():
    emoji = load_emoji(min_class_size=40)
    assert not doubts(pipeline(), emoji.filenames, emoji.target_names[emoji.target])

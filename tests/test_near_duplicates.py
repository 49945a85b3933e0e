"""Pictures that are there twice, the second time changed: in fit, on both sides of a split."""

import io
from functools import partial

import numpy as np
import pandas as pd
import pytest
from _said import said
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from sklearn.datasets import load_iris
from sklearn.model_selection import StratifiedKFold

from skclipens import (
    AdaptiveBackboneEnsemble,
    BlockPCA,
    MultiBackboneEmbedder,
    make_backbone_pipeline,
)
from skclipens.datasets import load_emoji
from skclipens.images import load_image
from skclipens.labels import group_near_duplicates

pytestmark = pytest.mark.usefixtures("embedded_once")

BACKBONES = ["zoo/RN20", "zoo/ViT-8"]
N = 60


def saved_again(picture):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=40)
    return Image.open(file).convert("RGB")


VERSIONS = {
    "itself": lambda picture: picture,
    "saved again": saved_again,
    "resized": lambda picture: picture.resize((60, 60)),
    "brightened": lambda picture: ImageEnhance.Brightness(picture).enhance(0.85),
    "mirrored": ImageOps.mirror,
}


@pytest.fixture(scope="module")
def pictures():
    """60 pictures of 30 kinds of emoji, and their labels."""
    return drawn(0, 5)


def drawn(*places):
    data = load_emoji(min_class_size=12)
    first = np.unique(data.target, return_index=True)[1]
    rows = np.sort(np.concatenate([first + place for place in places]))[:N]
    return [load_image(data.filenames[row]) for row in rows], data.target_names[data.target[rows]]


@pytest.fixture(scope="module")
def versions(pictures):
    """Embeddings of all pictures, by version."""
    embedder = MultiBackboneEmbedder(BACKBONES)
    return {
        name: embedder.fit_transform([*map(make, pictures[0])]) for name, make in VERSIONS.items()
    }


def doubts(call, *args, **given):
    return [text for text in said(partial(call, *args, **given)) if "near-duplicates" in text]


def both(versions, name):
    return np.concatenate([versions["itself"], versions[name]])


@pytest.mark.parametrize("name", ["saved again", "resized", "brightened"])
def test_fit_tells_of_pictures_that_are_there_again(name, versions, pictures):
    X, y = both(versions, name), np.tile(pictures[1], 2)
    clf = AdaptiveBackboneEnsemble(BACKBONES)
    (text,) = doubts(clf.fit, X, y)
    share, one, another = (int(part) for part in numbers_of(text))
    assert share > 70 and another == one + N
    assert not doubts(clf.fit, X, y, groups=np.tile(np.arange(N), 2))
    assert not doubts(clf.fit, X, y, groups=group_near_duplicates(X))
    clf.set_params(head="linear", router="uniform", calibrate=False)  # held-out rows judge nothing
    assert not doubts(clf.fit, X, y)


def numbers_of(text):
    share, rows = text.split("%")[0], text.split("for example rows ")[1]
    return share, rows.split(" and ")[0], rows.split(" and ")[1].split(".")[0]


def test_rows_are_called_as_they_were_given(versions, pictures):
    # Copies are merged, and rows without a label are left out, before rows are compared.
    X = np.concatenate(
        [versions["mirrored"][:30], versions["itself"][:1], both(versions, "resized")]
    )
    y = np.concatenate([[""] * 30, pictures[1][:1], np.tile(pictures[1], 2)])
    (text,) = doubts(AdaptiveBackboneEnsemble(BACKBONES, unlabeled="ignore").fit, X, y)
    _, one, another = (int(part) for part in numbers_of(text))
    assert one == 30 and another == 31 + N


@pytest.mark.parametrize("name", ["itself", "mirrored"])
def test_fit_is_silent_without_near_duplicates(name, versions, pictures):
    clf = AdaptiveBackboneEnsemble(BACKBONES)
    assert not doubts(clf.fit, versions[name], pictures[1])
    few = np.tile(np.arange(8), 2), both(versions, "resized")
    assert not doubts(clf.fit, few[1][np.r_[:8, N : N + 8]], pictures[1][few[0]])


def test_folds_that_keep_them_together_are_trusted(versions, pictures):
    X, y = both(versions, "resized"), np.tile(pictures[1], 2)
    is_odd = np.tile(np.arange(N) % 2 == 1, 2)
    together = [(is_odd, ~is_odd), (~is_odd, is_odd)]
    assert not doubts(AdaptiveBackboneEnsemble(BACKBONES, cv=together).fit, X, y)
    apart = StratifiedKFold(2)
    for cv in (apart, list(apart.split(X, y))):
        (text,) = doubts(AdaptiveBackboneEnsemble(BACKBONES, cv=cv).fit, X, y)
        assert text.endswith("Give cv as a number, or as a splitter of groups.")


def test_score_tells_of_versions_of_pictures_of_fit(versions, pictures):
    y = pictures[1]
    clf = AdaptiveBackboneEnsemble(BACKBONES).fit(versions["itself"], y)
    (text,) = doubts(clf.score, versions["saved again"], y)
    assert "of these are classified correctly" in text and "group_near_duplicates(X)" in text
    images, labels = drawn(8, 11)
    others = MultiBackboneEmbedder(BACKBONES).fit_transform(images)
    assert not doubts(clf.score, others, labels)
    assert not doubts(clf.score, versions["itself"], y)
    half = np.concatenate([versions["saved again"][: N // 2], others[N // 2 :]])
    (text,) = doubts(clf.score, half, np.concatenate([y[: N // 2], labels[N // 2 :]]))
    assert 30 < int(text.split("%")[0]) < 70 and "of the others. Keep" in text


def test_a_pipeline_tells_of_them_too(pictures):
    images, y = pictures
    clf = make_backbone_pipeline(BACKBONES).fit(images, y)
    assert doubts(clf.score, [*map(saved_again, images)], y)


@pytest.mark.parametrize("name", ["saved again", "resized", "brightened"])
def test_groups_join_versions_of_a_picture(name, versions):
    groups = group_near_duplicates(both(versions, name))
    assert np.mean(groups[:N] == groups[N:]) > 0.7
    assert len(np.unique(groups[:N])) > 0.9 * N


def test_groups_join_several_versions(versions):
    X = np.concatenate([versions[name] for name in ("itself", "saved again", "resized")])
    groups = group_near_duplicates(X).reshape(3, N)
    assert np.mean((groups == groups[0]).all(axis=0)) > 0.7


def test_groups_join_four_versions_that_are_equally_far_from_each_other():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 40))
    groups = group_near_duplicates(np.vstack([X, X[7] + 0.01 * rng.normal(size=(4, 40))]))
    assert set(groups[60:]) == {7}


def test_views_find_mirrored_pictures(pictures):
    mirrored = [ImageOps.mirror(picture) for picture in pictures[0]]
    X = MultiBackboneEmbedder(BACKBONES, views="mirror").fit_transform([*pictures[0], *mirrored])
    groups = group_near_duplicates(X)
    assert np.array_equal(groups[:N], groups[N:]) and len(set(groups[:N])) > 0.8 * N


def test_groups_of_copies_and_of_pictures_that_cannot_be_read(versions):
    X = versions["itself"][:8].copy()
    X[[3, 6]] = X[0]
    X[[1, 2]] = np.nan
    np.testing.assert_array_equal(group_near_duplicates(X), [0, 1, 2, 0, 3, 4, 0, 5])


@pytest.mark.parametrize("places", [[0], [0, 1, 90], range(2 * N)])
def test_pictures_that_cannot_be_read_change_no_other_group(versions, places):
    X, known = both(versions, "resized").copy(), np.delete(np.arange(2 * N), places)
    X[places] = np.nan
    groups = group_near_duplicates(X)
    assert all(np.count_nonzero(groups == groups[place]) == 1 for place in places)
    if len(known):
        of_known = np.unique(group_near_duplicates(X[known]), return_inverse=True)[1]
        pairs = {*zip(groups[known].tolist(), of_known.tolist())}
        assert len(pairs) == len(np.unique(of_known)) == len(np.unique(groups[known]))


@pytest.mark.parametrize("n_pictures", [6, 40])
def test_groups_of_many_copies_with_few_columns(versions, n_pictures):
    X = BlockPCA(16, random_state=0).fit_transform(versions["itself"])[:n_pictures]
    groups = group_near_duplicates(np.repeat(X, 8, axis=0)).reshape(n_pictures, 8)
    assert (groups == groups[:, :1]).all()
    assert len(np.unique(groups)) > 0.9 * n_pictures


def test_only_embeddings_are_compared(versions):
    names = MultiBackboneEmbedder(BACKBONES).get_feature_names_out()
    frame = pd.DataFrame(both(versions, "resized"), columns=names)
    priced = frame.assign(price=np.random.default_rng(0).uniform(0, 1e6, 2 * N))
    np.testing.assert_array_equal(group_near_duplicates(priced), group_near_duplicates(frame))
    frame.iloc[[1, 5]] = np.nan
    told = priced.assign(shop="here")
    told[names] = frame
    np.testing.assert_array_equal(group_near_duplicates(told), group_near_duplicates(frame))


def test_reduced_embeddings_are_compared_without_other_columns(versions):
    reduce = BlockPCA(20, random_state=0).set_output(transform="pandas")
    names = MultiBackboneEmbedder(BACKBONES).get_feature_names_out()
    frame = reduce.fit_transform(pd.DataFrame(both(versions, "resized"), columns=names))
    priced = frame.assign(price=np.random.default_rng(0).uniform(0, 1e6, 2 * N))
    np.testing.assert_array_equal(group_near_duplicates(priced), group_near_duplicates(frame))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("noise", [0, 1e-10, 1e-8, 1e-6])
def test_rows_that_are_almost_the_same_are_in_one_group(noise, dtype):
    """Also if rounding makes another row the nearest, and not the row itself."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 128))
    again = 3.7 * X[:20] * (1 + noise * rng.normal(size=(20, 128)))
    groups = group_near_duplicates(np.vstack([X, again]).astype(dtype))
    np.testing.assert_array_equal(groups, [*range(40), *range(20)])


@pytest.mark.parametrize(
    "X, message",
    [
        (["a.png", "b.png"], "X holds"),
        (np.zeros(5), "2D array"),
        ([[0.0, "a"]], "'a'"),
        (np.zeros((0, 5)), "0 sample"),
    ],
)
def test_groups_need_a_table(X, message):
    with pytest.raises(ValueError, match=message):
        group_near_duplicates(X)


def test_rows_of_any_numbers_are_no_pictures():
    X, y = load_iris(return_X_y=True)
    clf = AdaptiveBackboneEnsemble([("all", slice(0, 4))], head="linear")
    assert not doubts(clf.fit, X, y)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(12)), st.integers(0, 2**32 - 1))
def test_groups_do_not_depend_on_the_order_of_rows(order, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((30, 40))
    X = np.concatenate([X, X[:12] + 0.02 * rng.standard_normal((12, 40))])
    rows = np.concatenate([np.arange(30), 30 + np.array(order)])
    groups, again = group_near_duplicates(X), group_near_duplicates(X[rows])
    assert (groups[:12] == groups[30:]).all() and len(np.unique(groups)) == 30
    same = again[:, None] == again
    np.testing.assert_array_equal(same, (groups[:, None] == groups)[np.ix_(rows, rows)])


@pytest.fixture(scope="module")
def emoji():
    """Embeddings of pictures of five classes, and their labels."""
    data = load_emoji(min_class_size=40)
    rows = np.flatnonzero(data.target < 5)[::2]
    X = MultiBackboneEmbedder(BACKBONES).fit_transform(data.filenames[rows])
    return X, data.target_names[data.target[rows]]


@pytest.fixture(scope="module")
def placeholders():
    """Embeddings of versions of a picture of nothing."""
    blank = Image.new("RGB", (300, 300), "white")
    blank.paste("grey", (100, 130, 200, 170))
    sizes = [blank.resize((250 + i, 260 + 2 * i)) for i in range(24)]
    return MultiBackboneEmbedder(BACKBONES).fit_transform([*map(saved_again, sizes)])


@pytest.mark.parametrize("of_one_class", [False, True])
@pytest.mark.parametrize("versions_of_it", [False, True])
def test_one_picture_in_place_of_many_is_told(of_one_class, versions_of_it, emoji, placeholders):
    X, y = emoji[0].copy(), emoji[1]
    rows = np.flatnonzero(y == y[0])[1:13] if of_one_class else np.arange(1, len(y), 6)[:24]
    X[rows] = placeholders[: len(rows)] if versions_of_it else placeholders[:1]
    clf = AdaptiveBackboneEnsemble(BACKBONES)
    (text,) = [text for text in said(clf.fit, X, y) if "of one picture" in text]
    have = f"the label '{y[0]}'" if of_one_class else f"{len(set(y[rows]))} labels"
    assert text.startswith(f"{len(rows)} of {len(y)} rows are of one picture")
    assert f"rows {rows[0]} and {rows[1]}, and have {have}" in text
    groups = np.arange(len(y))
    groups[rows] = rows[0]
    texts = said(partial(clf.fit, X, y, groups=groups))
    assert not any("of one picture" in text for text in texts)


def test_one_picture_in_place_of_many_beside_other_columns_is_told(emoji):
    """Where each picture has an offer; a few of one thing, or one of few labels, are no mistake."""
    X, y = emoji
    embedder = MultiBackboneEmbedder(BACKBONES).fit([["a.png"]])
    X = pd.DataFrame(X, columns=embedder.get_feature_names_out())
    X = X.assign(price=np.random.default_rng(0).normal(size=len(y)))
    clf = AdaptiveBackboneEnsemble(random_state=0)

    def told(rows, first=0, **groups):
        changed = X.copy()
        changed.iloc[rows, first:-1] = X.iloc[rows[:1], first:-1].to_numpy()
        return [text for text in said(partial(clf.fit, changed, y, **groups)) if "of one" in text]

    rows = np.arange(1, len(y), 6)[:24]
    width = sum(name.startswith(BACKBONES[0]) for name in X)
    for first in (0, width):  # the second, as if one of two columns of pictures lacked some
        (text,) = told(rows, first)
        labels = len(set(y[rows]))
        assert text.startswith(f"24 of {len(y)} rows are of one picture, such as rows 1 and 7, ")
        assert f"have {labels} labels. If it stands for missing pictures, pass None" in text
    things = np.arange(len(y))
    things[rows] = rows[0]
    assert not told(rows, groups=things)
    pairs = np.arange(len(y)) // 2  # as each row of the picture is in another group
    (text,) = told(rows, groups=pairs)
    assert text.startswith(f"24 of {len(y)} rows are of one picture, such as rows 1 and 7, ")
    assert not told(rows[:8])
    assert not told(np.flatnonzero(y == y[0])[:12])
    several = np.arange(len(y)) // 4 * 4  # each picture has four offers
    changed = X.copy()
    changed.iloc[:, :-1] = X.iloc[several, :-1].to_numpy()
    changed.iloc[rows[:12], :-1] = X.iloc[rows[:1], :-1].to_numpy()
    assert not any("of one picture" in text for text in said(clf.fit, changed, y))
    popular = [*np.flatnonzero(y == y[0])[:20], *np.flatnonzero(y != y[0])[:2]]
    others = np.setdiff1d(np.arange(len(y)), popular)
    changed.iloc[popular, :-1] = X.iloc[popular[:1], :-1].to_numpy()
    changed.iloc[others[:9], :-1] = X.iloc[others[:1], :-1].to_numpy()  # of other classes
    assert not any("of one picture" in text for text in said(clf.fit, changed, y))
    changed = X.copy()
    changed.iloc[rows, :-1] = X.iloc[rows[:1], :-1].to_numpy()
    others = 6 * np.arange(8)[:, None] + [2, 3, 4]  # eight pictures, each of which has three rows
    changed.iloc[others.ravel(), :-1] = X.iloc[np.repeat(others[:, 0], 3), :-1].to_numpy()
    several = y.copy()
    several[others] = y[others[:, :1]]
    assert any("of one picture" in text for text in said(clf.fit, changed, several))
    rare = np.where(np.arange(len(y)) % 20 == 1, "rare", "usual")
    rare[others[0, 1]] = "rare"  # which is wrong
    assert any("of one picture" in text for text in said(clf.fit, changed, rare))
    one, another = np.unique(y)[:2]  # of these pictures, too, labels depend on the price
    several[others] = [one, another, one]
    assert not any("of one picture" in text for text in said(clf.fit, changed, several))
    thing, things = np.arange(2, 62, 6), np.arange(len(y))
    changed.iloc[thing, :-1], things[thing] = X.iloc[thing[:1], :-1].to_numpy(), thing[0]
    texts = said(partial(clf.fit, changed, y, groups=things))  # ten rows of one thing count once
    assert any(text.startswith(f"24 of {len(y)} rows are of one picture") for text in texts)


def test_rows_drawn_several_times_are_not_one_picture(emoji):
    X, y = emoji
    drawn = np.random.default_rng(0).integers(0, len(y), len(y))
    rare = np.flatnonzero(y == y[0])[:2]
    oversampled = np.r_[np.flatnonzero(y != y[0]), np.resize(rare, 40)]
    single = np.r_[np.flatnonzero(y != y[0]), np.resize(rare[:1], 40)]
    for rows in (np.arange(len(y)), drawn, oversampled, single):
        texts = said(AdaptiveBackboneEnsemble(BACKBONES).fit, X[rows], y[rows])
        assert not any("of one picture" in text for text in texts)

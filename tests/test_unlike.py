"""Columns and names that do not belong together: of other models, settings, blocks or classes."""

import os
import pickle
import re
import unicodedata
import warnings
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from _models import copy_of_zoo
from _said import no_warning, said
from numpy.testing import assert_array_equal
from PIL import Image, ImageOps
from safetensors.numpy import load_file, save_file
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, FastICA, KernelPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.random_projection import GaussianRandomProjection

from skclipens import (
    AdaptiveBackboneEnsemble,
    BackboneSelector,
    BlockPCA,
    CascadeClassifier,
    CascadeEnsemble,
    CLIPAdapterHead,
    ImageRetriever,
    KernelHead,
    LinearDiscriminantHead,
    MultiBackboneEmbedder,
    ResidualHead,
    ZeroShotHead,
    make_backbone_pipeline,
)
from skclipens.datasets import load_emoji
from skclipens.exceptions import SuspectedMistakeWarning
from skclipens.labels import OpenSetClassifier, find_label_issues
from skclipens.utils import skops_trusted_types

pytestmark = pytest.mark.usefixtures("embedded_once")

BACKBONES = ["zoo/RN20", "zoo/ViT-8"]
WIDTH = 128
KERNEL = KernelHead([(BACKBONES[0], slice(WIDTH)), (BACKBONES[1], slice(WIDTH, None))])


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


@pytest.mark.parametrize("estimator", [None, LogisticRegression()])
def test_a_cascade_says_a_doubt_once(table, estimator):
    X, y = table
    clf = CascadeEnsemble(BACKBONES, estimator=estimator, thresholds=np.inf).fit(X[::2], y[::2])
    assert not doubts(clf, X[1::2])
    (doubt,) = doubts(clf, swapped(X[1::2]))
    assert "'zoo/RN20', 'zoo/ViT-8' are unlike those of fit" in doubt


def test_another_model_of_the_same_width(clf, table, emoji):
    X, other = table[0][1::2], MultiBackboneEmbedder("zoo/RegNet").fit_transform(emoji[0][1::2])
    (doubt,) = doubts(clf, np.hstack([other, X[:, WIDTH:]]))
    assert "of 'zoo/RN20' are unlike" in doubt


@pytest.mark.parametrize("head", [ZeroShotHead, ResidualHead])
def test_a_head_alone_sees_another_model(table, emoji, head):
    X, y = table[0][:, :WIDTH], table[1]
    other = MultiBackboneEmbedder("zoo/RegNet").fit_transform(emoji[0][1::2])
    clf = head("zoo/RN20").fit(X[::2], y[::2])
    (doubt,) = doubts(clf, other)
    assert "of 'zoo/RN20' are unlike" in doubt
    assert not doubts(clf, X[1::2])
    assert not doubts(clf, 9 * X[1::2])  # the head scales them
    zeros = X.copy()
    zeros[[301, 309]] = 0
    (doubt,) = doubts(clf, zeros)
    assert "the first is row 301," in doubt


def test_a_kernel_head_alone_compares_rows_with_those_of_fit(table, frame, emoji):
    X, y = table
    raw, others = embed(emoji[0], normalize=False), emoji[0][1::2]
    other = MultiBackboneEmbedder("zoo/RegNet").fit_transform(others)
    clf = clone(KERNEL).fit(X[::2], y[::2])
    (doubt,) = doubts(clf, np.hstack([other, X[1::2, WIDTH:]]))
    assert "of 'zoo/RN20' are unlike" in doubt
    for changed in (swapped(X[1::2]), X[1::2] - X.mean(axis=0)):
        (doubt,) = doubts(clf, changed)
        assert "'zoo/RN20', 'zoo/ViT-8' are unlike those of fit" in doubt
    assert any("the first is row 0, are all zeros" in one for one in doubts(clf, 0 * X[:3]))
    (doubt,) = doubts(
        clf, np.hstack([X[:, :WIDTH], np.random.default_rng(0).permutation(X)[:, WIDTH:]])
    )
    assert "seem to be of different pictures" in doubt
    for same in (X[1::2], 9 * X[1::2], raw[1::2]):  # the head scales each block
        assert not doubts(clf, same)
    with pytest.raises(ValueError, match="Block 'zoo/RN20' of X has the column 'zoo/ViT-8__0'"):
        clf.predict(frame[0][frame[0].columns[np.r_[WIDTH : 2 * WIDTH, :WIDTH]]])
    saved = pickle.loads(pickle.dumps(clf))
    assert doubts(saved, swapped(X[1::2]))


def test_a_kernel_head_in_an_ensemble_leaves_the_doubts_to_it(table):
    X, y = table
    alone = clone(KERNEL).fit(X[::2], y[::2])
    for head in ("kernel-all", [("kernel", FrozenEstimator(alone), slice(None))]):
        of_head = AdaptiveBackboneEnsemble(BACKBONES, head=head).fit(X[::2], y[::2])
        (doubt,) = doubts(of_head, swapped(X[1::2]))
        assert "unlike those of fit" in doubt
    head = AdaptiveBackboneEnsemble(BACKBONES, head="kernel-all").fit(X, y).experts_[0].head
    assert not head._seen


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
    for n_rows in (1, 3):  # one length is enough, where it is that of a unit
        assert doubts(clf, now[:n_rows]) and not doubts(clf, before[:n_rows])
    of_few = AdaptiveBackboneEnsemble(BACKBONES, random_state=0).fit(before[:150:10], y[:150:10])
    assert doubts(of_few, now[:1]) and not doubts(of_few, before)
    unnamed = AdaptiveBackboneEnsemble(head="linear", random_state=0).fit(before[::2], y[::2])
    (doubt,) = doubts(unnamed, now[1::2])
    assert "'all' have another length than in fit" in doubt
    assert not doubts(unnamed, before[1::2])


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
    of_few = AdaptiveBackboneEnsemble(BACKBONES, random_state=0).fit(X[:150:25], y[:150:25])
    assert not doubts(of_few, swapped(X))


def test_one_row_per_class_says_what_embeddings_are_like(table):
    X, y = table
    first = np.unique(y, return_index=True)[1]
    assert len(first) < 20
    clf = AdaptiveBackboneEnsemble(BACKBONES, random_state=0).fit(X[first], y[first])
    (doubt,) = doubts(clf, swapped(X))
    assert "are unlike those of fit" in doubt
    assert not doubts(clf, X)
    for label in np.unique(y):
        assert not doubts(clf, X[y == label])


def test_columns_that_are_no_embeddings_may_vary_more(table):
    X, y = table
    names = [f"{name}__{i}" for name in BACKBONES for i in range(WIDTH)]
    X = pd.DataFrame(X, columns=names).assign(price=np.random.default_rng(0).random(len(X)))
    clf = AdaptiveBackboneEnsemble(random_state=0).fit(X[::2], y[::2])
    assert not doubts(clf, X[1::2].assign(price=0.95))


@pytest.mark.parametrize("scaler", [StandardScaler(), Normalizer(), PCA(130, whiten=True)])
def test_wide_tables_of_other_things_may_be_of_any_length(table, scaler):
    X, y = table
    X = np.abs(X) + 1
    train = scaler.fit_transform(X[::2])
    clf = AdaptiveBackboneEnsemble(head="linear", random_state=0).fit(train, y[::2])
    assert not doubts(clf, scaler.transform(X[1::2]))
    assert not doubts(clf, np.repeat(scaler.transform(X[1:2]), 3, axis=0))


def test_the_doubt_is_saved_with_the_ensemble(clf, table):
    skops_io = pytest.importorskip("skops.io")
    X, _ = table
    saved = pickle.loads(pickle.dumps(clf))
    assert doubts(saved, swapped(X))
    saved = skops_io.loads(skops_io.dumps(clf), trusted=skops_trusted_types())
    assert doubts(saved, swapped(X))
    assert_array_equal(saved.predict(X), clf.predict(X))


# In fit


def fit_doubts(X, y, blocks=BACKBONES, **parameters):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        AdaptiveBackboneEnsemble(blocks, random_state=0, **parameters).fit(X, y)
    assert all(one.filename == __file__ for one in caught)
    return [str(one.message) for one in caught]


@pytest.fixture(scope="module")
def few(table):
    """One, four and sixteen rows of each class."""
    X, y = table
    rank = pd.Series(y).groupby(y).cumcount().to_numpy()
    return {n: (X[rank < n], y[rank < n]) for n in (1, 4, 16)}


@pytest.mark.parametrize("n_rows", [1, 4, 16])
def test_blocks_that_are_named_in_another_order(few, n_rows):
    X, y = few[n_rows]
    assert not fit_doubts(X, y)
    (doubt,) = fit_doubts(X, y, BACKBONES[::-1])
    assert "The columns of 'zoo/ViT-8' fit the texts of 'zoo/RN20', and not its own" in doubt


@pytest.mark.parametrize("names", [("left", "right"), ("A", "D"), ("clock", "left")])
def test_blocks_whose_texts_fit_badly_are_not_in_another_order(emoji, names):
    files, y = emoji
    X = MultiBackboneEmbedder("zoo").fit_transform(files[y == "family"][:12])
    said = fit_doubts(X, np.tile(names, 6), "zoo", head="zero-shot", calibrate=False)
    assert all("fit no text" in one for one in said)


@pytest.mark.parametrize("n_rows", [1, 4, 16])
def test_names_of_classes_in_another_order(few, n_rows):
    X, y = few[n_rows]
    names, targets = np.unique(y, return_inverse=True)
    names = names.tolist()
    assert not fit_doubts(X, targets, class_names=names)
    (doubt,) = fit_doubts(X, targets, class_names=names[1:] + names[:1])
    assert "with class_names in another order" in doubt
    row = re.search("class (.+) is named '(.+)', but its rows look like '(.+)'", doubt)
    label, called, looks = row.groups()
    assert (called, looks) == ((names[1:] + names[:1])[int(label)], names[int(label)])
    mapping = dict(enumerate(names[1:] + names[:1]))
    assert not fit_doubts(X, targets, class_names=dict(enumerate(names)))
    (doubt,) = fit_doubts(X, targets, class_names=mapping)
    assert "with the names in class_names exchanged" in doubt
    (doubt,) = fit_doubts(X, np.array(list(mapping.values()))[targets])
    assert "with labels exchanged" in doubt
    label, looks = re.search("rows of class '(.+)' look like '(.+)'", doubt).groups()
    assert mapping[names.index(looks)] == label
    for y_of, head in ((targets.astype(float), "auto"), (targets, "residual"), (targets, "gda")):
        assert fit_doubts(X, y_of, head=head, class_names=names[1:] + names[:1])
    assert not fit_doubts(X, y, class_names=names[1:] + names[:1])  # each is its own name


@pytest.mark.parametrize("n_classes", [2, 3, 4])
def test_names_of_few_classes_in_another_order(few, n_classes):
    X, y = few[16]
    names = np.array(["clock", "land vehicle", "mammal", "person at work"][:n_classes])
    rows = np.isin(y, names)
    X, targets = X[rows], np.searchsorted(names, y[rows])
    assert not fit_doubts(X, targets, class_names=names)
    rotated = np.roll(names, 1)
    (doubt,) = fit_doubts(X, targets, class_names=rotated)
    assert "as they would in their names with class_names in another order" in doubt
    row = re.search("class (.+) is named '(.+)', but its rows look like '(.+)'", doubt)
    label, called, looks = row.groups()
    assert (called, looks) == (rotated[int(label)], names[int(label)])
    (doubt,) = fit_doubts(X, rotated[targets], head="zero-shot")
    assert "with labels exchanged" in doubt


def test_names_in_another_order_for_many_rows_whose_classes_take_turns(few):
    X, y = few[16]
    rng, names = np.random.default_rng(0), ["clock", "land vehicle", "mammal", "person at work"]
    rows = np.stack([rng.choice(np.flatnonzero(y == name), 500) for name in names], axis=1).ravel()
    many = X[rows] + rng.normal(scale=0.03, size=(len(rows), X.shape[1])).astype(X.dtype)
    targets, exchanged = np.searchsorted(names, y[rows]), [names[i] for i in (0, 3, 2, 1)]
    for head in (
        ZeroShotHead(BACKBONES[0], class_names=exchanged),
        AdaptiveBackboneEnsemble(
            BACKBONES, head="zero-shot", class_names=exchanged, calibrate=False, router="uniform"
        ),
    ):
        X_of_head = many[:, :WIDTH] if isinstance(head, ZeroShotHead) else many
        assert any("class_names" in one for one in said(head.fit, X_of_head, targets))


@pytest.mark.parametrize("head", [ZeroShotHead(BACKBONES[0]), ResidualHead(BACKBONES[0]), KERNEL])
def test_a_head_alone_looks_at_the_order_of_names(few, head):
    X, y = few[4]
    X = X if head is KERNEL else X[:, :WIDTH]
    names, targets = np.unique(y, return_inverse=True)
    assert not said(clone(head).set_params(class_names=names.tolist()).fit, X, targets)
    moved = clone(head).set_params(class_names=np.roll(names, 1).tolist())
    (doubt,) = said(moved.fit, X, targets)
    assert "with class_names in another order" in doubt
    (doubt,) = said(clone(head).fit, X, np.roll(names, 1)[targets])
    assert "with labels exchanged" in doubt


@pytest.mark.parametrize("n_rows", [1, 4])
def test_labels_that_are_numbered_without_a_class_that_has_a_name(few, n_rows):
    X, y = few[n_rows]
    names, targets = np.unique(y, return_inverse=True)
    for without in (2, len(names) - 1):
        rows = targets != without
        numbered = np.unique(targets[rows], return_inverse=True)[1]
        told = fit_doubts(X[rows], numbered, class_names=names.tolist())
        if without == 2:
            assert f"class_names has {len(names)} names, and y has {len(names) - 1}" in told[0]
            skipped = re.search("without the name '(.+)': rows of class", told[0])[1]
            assert abs(names.tolist().index(skipped) - without) < 2
        assert len(told) == (without == 2)
        assert not fit_doubts(X[rows], targets[rows], class_names=names.tolist())


def test_two_names_of_many_that_are_exchanged(few):
    X, y = few[16]
    names, targets = np.unique(y, return_inverse=True)
    one, other = np.searchsorted(names, ["land vehicle", "mammal"])
    exchanged = names.copy()
    exchanged[[one, other]] = names[[other, one]]
    (doubt,) = fit_doubts(X, targets, class_names=dict(enumerate(exchanged)))
    assert "the names in class_names exchanged" in doubt
    assert {"'land vehicle'", "'mammal'"} <= set(re.findall("'[^']+'", doubt))
    y = exchanged[targets].astype(object)  # as a column of a frame has them
    (doubt,) = fit_doubts(X, y, head="residual")
    assert "with labels exchanged" in doubt


@pytest.mark.parametrize("n_rows", [1, None])
def test_names_without_labels_are_not_doubted_for_their_rows(table, few, n_rows):
    X, y = few[1]
    rows = np.roll(np.argsort(y), 1)[:n_rows]  # none shows the class in whose place it stands
    by_names = {"head": "zero-shot", "router": "uniform", "calibrate": False}
    names = np.unique(y).tolist()
    assert not fit_doubts(X[rows], None, class_names=names, **by_names)
    clf = AdaptiveBackboneEnsemble(BACKBONES, random_state=0).fit(*table)
    clf.set_params(class_names=names, **by_names).fit(X[rows])
    assert not doubts(clf, table[0])


def test_two_classes_of_which_one_is_rare_are_not_doubted(few):
    X, y = few[16]
    for one, other in (("mammal", "meal"), ("meal", "mammal")):
        rows = np.r_[np.flatnonzero(y == one), np.flatnonzero(y == other)[:2]]
        if len(rows) > 3:
            names, targets = np.unique(y[rows], return_inverse=True)
            assert not fit_doubts(X[rows], targets, class_names=names.tolist())


@pytest.mark.parametrize("n_rows", [1, 4, 16])
def test_names_that_say_nothing_are_not_in_another_order(few, n_rows):
    X, y = few[n_rows]
    names, targets = np.unique(y, return_inverse=True)
    invented = ["blick", "dax", "fep", "gazzer", "koba", "lorp", "modi", "toma", "wug", "zav"]
    invented = np.array([f"{name} {i}" for i, name in enumerate((invented * 3)[: len(names)])])
    assert not fit_doubts(X, targets, class_names=invented)
    rng = np.random.default_rng(0)
    for _ in range(8):  # of few classes, some order fits by luck
        few_names = rng.permutation(names)[:6]
        said = rng.permutation(invented)
        for n_classes in (2, 3, 6):
            rows = np.isin(y, few_names[:n_classes])
            labels = said[np.searchsorted(np.sort(few_names[:n_classes]), y[rows])]
            said_of = fit_doubts(
                X[rows], labels, head="zero-shot", router="uniform", calibrate=False
            )
            assert all("fit no text" in one for one in said_of)


@pytest.mark.parametrize("head", ["auto", "linear"])
def test_labels_in_another_order_than_the_rows(few, head):
    X, y = few[4]
    assert not fit_doubts(X, y, head=head)
    mixed = np.random.default_rng(0).permutation(y)
    (doubt,) = fit_doubts(X, mixed, head=head)
    assert f"X does not predict y: on {len(y)} held-out rows" in doubt
    X, y = few[1]  # where no row can judge what was learned
    assert not fit_doubts(X, np.random.default_rng(0).permutation(y), head=head)


@pytest.mark.parametrize("seed", range(6))
def test_votes_that_are_no_probabilities_are_no_guesses(few, seed):
    X, y = few[16]
    rng = np.random.default_rng(seed)
    rows, noise = rng.permutation(len(y))[:80], rng.random(80) < 0.6
    X, noisy = X[rows], y[rows].copy()
    noisy[noise] = rng.permutation(noisy[noise])
    for labels, is_guessed in ((noisy, False), (rng.permutation(noisy), True)):
        told = fit_doubts(X, labels, head="linear", router="vote")
        assert any(text.startswith("X does not predict y") for text in told) == is_guessed


def test_pictures_in_another_order_than_other_columns(few):
    """Which predict y, so that the result as a whole does not show it."""
    X, y = few[4]
    rng = np.random.default_rng(0)
    numbers = rng.normal(np.unique(y, return_inverse=True)[1], 0.3)[:, None]
    blocks = [(one, slice(128 * i, 128 * i + 128)) for i, one in enumerate(BACKBONES)]
    blocks.append(("price", [X.shape[1]]))
    assert not fit_doubts(np.c_[X, numbers], y, blocks=blocks)
    mixed = np.c_[rng.permutation(X), numbers]
    (doubt,) = fit_doubts(mixed, y, blocks=blocks)
    assert f"The pictures do not predict y, only other columns do: on {len(y)} held-out" in doubt
    (doubt,) = fit_doubts(rng.permutation(mixed), y, blocks=blocks)
    assert doubt.startswith("X does not predict y")


# Names of columns, where there are any


@pytest.fixture(scope="module")
def frame(table):
    X, y = table
    names = [f"{name}__{i}" for name in BACKBONES for i in range(WIDTH)]
    return pd.DataFrame(X, columns=names), y


@pytest.mark.parametrize("head", [ZeroShotHead("zoo/RN20"), ResidualHead("zoo/RN20")])
def test_a_head_on_named_columns_of_another_backbone(frame, head):
    X, y = frame
    with pytest.raises(ValueError, match="has the column 'zoo/ViT-8__0' where embeddings of"):
        clone(head).fit(X.filter(like="ViT"), y)
    behind = X.filter(like="RN20").add_prefix("photo__")
    assert clone(head).fit(behind, y).score(behind, y) > 0.6
    frozen = FrozenEstimator(clone(head).fit(X.filter(like="RN20").to_numpy(), y))
    for one in (clone(head), frozen):
        clf = AdaptiveBackboneEnsemble(head=[("one", one, "zoo/ViT-8")])
        with pytest.raises(ValueError, match="of 'zoo/RN20', but its block is of 'zoo/ViT-8'"):
            clf.fit(X, y)


@pytest.mark.parametrize(
    ("columns", "where"),
    [(slice(WIDTH, 2 * WIDTH), 0), (slice(1, WIDTH + 1), 0), (sorted(range(WIDTH), key=str), 2)],
)
def test_a_block_of_other_columns_than_its_name_says(frame, columns, where):
    X, y = frame
    message = f"Block 'zoo/RN20' has the column .* where embeddings of 'zoo/RN20' have.* {where}\\."
    with pytest.raises(ValueError, match=message):
        AdaptiveBackboneEnsemble([("zoo/RN20", columns)]).fit(X, y)
    blocks = [("a", slice(0, WIDTH)), ("zoo/ViT-8", slice(WIDTH, 2 * WIDTH))]
    AdaptiveBackboneEnsemble(blocks, random_state=0).fit(X, y)


def test_a_set_has_no_order_to_name_classes_by(frame):
    X, y = frame
    names, targets = np.unique(y, return_inverse=True)
    for unordered in (set(names), dict.fromkeys(names).keys(), {0: "a"}.values()):
        for clf in (AdaptiveBackboneEnsemble(), ZeroShotHead("zoo/RN20")):
            with pytest.raises(ValueError, match=r"'class_names' parameter .* a list"):
                clf.set_params(class_names=unordered).fit(X, targets)


# Rows that belong together


def test_what_is_given_for_rows_in_another_order(frame):
    X, y = frame
    X = X.set_axis([f"picture {i}" for i in range(len(X))])
    y, clf = pd.Series(y, X.index), AdaptiveBackboneEnsemble(random_state=0).fit(X, y)
    other = y.sample(frac=1, random_state=0)
    with pytest.warns(UserWarning, match="X and y have the same index in another order"):
        assert clf.score(X, other) < 0.2
    weights = pd.Series(1.0, other.index)
    for rows, first in ((X, "X"), (X.to_numpy(), "y")):
        with pytest.warns(UserWarning, match=f"{first} and sample_weight have the same index"):
            clf.score(rows, y, sample_weight=weights)
    with pytest.warns(UserWarning, match="X and sample_weight have the same index in another"):
        AdaptiveBackboneEnsemble(random_state=0).fit(X, y, sample_weight=weights)
    with pytest.warns(UserWarning, match="X and groups have the same index in another order"):
        AdaptiveBackboneEnsemble(random_state=0).fit(X, y, groups=weights)
    with pytest.warns(UserWarning, match="X and y have the same index in another order"):
        find_label_issues(AdaptiveBackboneEnsemble(random_state=0), X, other)
    head = ResidualHead(BACKBONES[0])
    for estimator in (
        head,
        CascadeEnsemble(thresholds=0.5),
        BackboneSelector(estimator=LinearDiscriminantHead()),
    ):
        with pytest.warns(UserWarning, match="X and sample_weight have the same index in another"):
            estimator.fit(
                X if estimator is not head else X.iloc[:, :WIDTH], y, sample_weight=weights
            )


@pytest.mark.parametrize(
    "fit",
    [
        LinearDiscriminantHead().fit,
        LinearDiscriminantHead().cross_fit,
        lambda X, y, **given: LinearDiscriminantHead().partial_fit(X, y, np.unique(y), **given),
        KERNEL.fit,
        lambda X, y, **given: ZeroShotHead(BACKBONES[0]).fit(X[:, :WIDTH], y, **given),
        lambda X, y, **given: ResidualHead(BACKBONES[0]).fit(X[:, :WIDTH], y, **given),
        lambda X, y, **given: CLIPAdapterHead(BACKBONES[0], max_iter=1).fit(
            X[:, :WIDTH], y, **given
        ),
        CascadeEnsemble(BACKBONES, estimator=LinearDiscriminantHead(), thresholds=0.5).fit,
        BackboneSelector(BACKBONES, estimator=LinearDiscriminantHead(), max_blocks=1).fit,
    ],
)
def test_weights_in_another_order_than_labels_of_an_array(fit, table):
    X, y = table[0][::20], pd.Series(table[1][::20]).add_prefix("picture ")
    weights = pd.Series(1.0, y.index)
    doubt = "y and sample_weight have the same index in another order"
    assert not [text for text in said(partial(fit, X, y, sample_weight=weights)) if doubt in text]
    texts = said(partial(fit, X, y, sample_weight=weights[::-1]))
    assert sum(text.startswith(doubt) for text in texts) == 1


def test_paths_of_files_whose_folders_are_written_otherwise(frame):
    X, y = frame
    paths = [f"/data/{label}/{i % 7}_{i // 7}.png" for i, label in enumerate(y)]
    X, clf = X.set_axis(paths), AdaptiveBackboneEnsemble(random_state=0).fit(X, y)
    in_classes = [path.removeprefix("/data/") for path in paths]
    for names in (in_classes, [path.split("/")[-1] for path in paths]):
        labels = pd.Series(y, names)
        with pytest.warns(UserWarning, match="X and y have the same files in another order"):
            clf.score(X, labels.sort_index(ascending=False))
        assert not said(clf.score, X, labels)
    others = pd.Series(y, [path.replace(".", "a.") for path in in_classes])
    assert not said(clf.score, X, others)


@pytest.mark.parametrize(
    "form", [list, np.array, lambda X: [*map(Path, X)], pd.Series, lambda X: pd.DataFrame({"x": X})]
)
def test_paths_of_pictures_beside_what_is_indexed_by_them(emoji, form):
    paths, y = form(emoji[0][::20]), pd.Series(emoji[1], emoji[0])[::20]
    moved = y[::-1]
    weights = pd.Series(1.0, moved.index)
    clf = make_backbone_pipeline(BACKBONES[:1], head="linear", random_state=0)
    says = r"^The paths in X and the index of {} have the same names .*, pass \1\.loc\[X\]"
    with no_warning():
        clf.fit(paths, y, sample_weight=weights[::-1])
    for name, given in {"sample_weight": weights, "groups": weights}.items():
        with pytest.warns(UserWarning, match=says.format(f"({name})")):
            clf.fit(paths, y, **{name: given})
    for call in (clf.fit, clf.score, partial(find_label_issues, clf)):
        with pytest.warns(UserWarning, match=says.format("(y)")):
            call(paths, moved)
    names = moved.rename(lambda path: path.rpartition("/")[2])
    with pytest.warns(UserWarning, match="of y have the same files in another order, under"):
        clf.fit(paths, names)
    with pytest.warns(UserWarning, match="of y have the same files in another order, under"):
        clf.fit(paths, names.rename(lambda name: name.removesuffix(".png").upper()))
    numbered = moved.reset_index(drop=True)
    assert not [text for text in said(clf.fit, paths, numbered) if "index" in text]


def test_names_of_files_whose_accents_are_stored_otherwise(frame):
    X, y = frame
    names = [f"M\xfcnze {i}.png" for i in range(len(y))]
    X = X.set_axis([unicodedata.normalize("NFD", f"/data/{name}") for name in names])
    labels = pd.Series(y, names)
    clf = AdaptiveBackboneEnsemble(random_state=0)
    with pytest.warns(UserWarning, match="X and y have the same files in another order"):
        clf.fit(X, labels[::-1])
    assert not [text for text in said(clf.fit, X, labels) if "order" in text]


def test_pictures_of_a_cascade_and_labels_in_another_order(emoji):
    X = pd.Series(emoji[0][::20], [f"picture {i}" for i in range(len(emoji[0][::20]))])
    y = pd.Series(emoji[1][::20], X.index).sample(frac=1, random_state=0)
    with pytest.warns(UserWarning, match="X and y have the same index in another order"):
        CascadeClassifier(BACKBONES, thresholds=0.5).fit(X, y)


def test_true_labels_that_the_classifier_does_not_know(frame):
    X, y = frame
    clf = AdaptiveBackboneEnsemble(random_state=0).fit(X, y)
    upper = np.where(y == y[0], y[0].upper(), y)
    n = int((y == y[0]).sum())
    with pytest.warns(UserWarning, match=f"^{n} of {len(y)} rows of y, the first is row 0") as told:
        clf.score(X, upper)
    assert f"that fit has not seen: {y[0].upper()!r}." in str(told[0].message)
    with no_warning():
        clf.score(X, y)


UNNAMED = "one block that gets one head and no prompts"


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.rename(columns=lambda name: name.replace("/", "_")),
        lambda X: X.add_suffix("_x"),
        lambda X: X.set_axis([f"column_{i}" for i in range(X.shape[1])], axis=1),
    ],
)
def test_embeddings_whose_columns_were_renamed(frame, change):
    X, y = frame
    with pytest.warns(UserWarning, match=UNNAMED) as caught:
        AdaptiveBackboneEnsemble(random_state=0).fit(change(X), y)
    assert caught[0].filename == __file__


def joined_by_polars(X):
    rows = pl.from_pandas(X.assign(row=range(len(X))))
    return rows.join(rows, on="row").drop("row")


def of_skrub(X):
    """The names that skrub 0.11 gives to a second column of pictures."""
    return X.join(X.rename(columns=lambda name: f"{name}__skrub_{zlib.crc32(name.encode()):08x}__"))


def named_by_hand(X):
    return X.join(X.add_prefix("side_"))


@pytest.mark.parametrize("join", [joined_by_polars, of_skrub, named_by_hand])
def test_embeddings_of_a_second_picture_whose_columns_a_join_renamed(frame, join):
    X, y = frame
    told = "128 columns with names such as '.*zoo/RN20__0.*they are not read as embeddings"
    for clf in (AdaptiveBackboneEnsemble(random_state=0), BlockPCA(4)):
        with pytest.warns(UserWarning, match=told) as caught:
            clf.fit(join(X), y)
        assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=told):
        assert ImageRetriever().fit(join(X)).n_features_in_ == X.shape[1]
    others = X.iloc[:, :100].add_suffix("_rounded").round(2)  # not as many as an embedding has
    reduced = BlockPCA(4).set_output(transform="pandas").fit_transform(X)
    with no_warning():
        AdaptiveBackboneEnsemble(random_state=0).fit(X.join(reduced), y)
        AdaptiveBackboneEnsemble(random_state=0).fit(X.add_prefix("side__").join(others), y)


@pytest.mark.parametrize(
    ("reduction", "first"),
    [
        (BlockPCA(4), "zoo/RN20__pca0"),
        (PCA(8), "pca0"),
        (TruncatedSVD(8), "truncatedsvd0"),
        (KernelPCA(8), "kernelpca0"),
        (FastICA(4), "fastica0"),
        (GaussianRandomProjection(8), "gaussianrandomprojection0"),
        (LinearDiscriminantAnalysis(), "lineardiscriminantanalysis0"),
        (KMeans(4, n_init=1), "kmeans0"),
        (ColumnTransformer([("image", PCA(8), slice(None))]), "image__pca0"),
    ],
)
def test_reduced_embeddings_have_no_texts(reduction, first, frame):
    X, y = frame
    reduced = reduction.set_output(transform="pandas").fit_transform(X, y)
    with pytest.warns(UserWarning, match=f"'{first}', which were made of others"):
        AdaptiveBackboneEnsemble().fit(reduced, y)
    with no_warning():
        AdaptiveBackboneEnsemble(head="linear").fit(reduced, y)
        AdaptiveBackboneEnsemble([("all", slice(None))]).fit(reduced, y)


def test_embeddings_without_names_of_columns_or_classes(table):
    X, y = table
    with pytest.warns(UserWarning, match="256 columns are one block that gets one head"):
        AdaptiveBackboneEnsemble(random_state=0).fit(X, np.unique(y, return_inverse=True)[1])


def test_a_wide_table_of_other_things_is_not_doubted(table):
    X, y = table
    words = [f"{a}{b}{c}" for a in "abcdefgh" for b in "abcdefgh" for c in "abcd"]
    X = pd.DataFrame(X, columns=words)
    with no_warning():
        AdaptiveBackboneEnsemble(random_state=0).fit(X, y)
        clf = AdaptiveBackboneEnsemble([("all", slice(None))], random_state=0)
        clf.fit(X.set_axis([f"pixel{i}" for i in range(X.shape[1])], axis=1), y)


# Copies of rows


@pytest.mark.parametrize("n_copies", [2, 5])
def test_copies_of_rows_are_rows_with_their_weight(frame, n_copies):
    X, y = frame
    X, y = X[::4], y[::4]
    rows = np.repeat(np.arange(len(y)), np.random.default_rng(0).integers(1, n_copies + 1, len(y)))
    clf = AdaptiveBackboneEnsemble(random_state=0)
    weights = np.bincount(rows).astype(float)
    expected = clone(clf).fit(X, y, sample_weight=weights)
    found = clone(clf).fit(X.iloc[rows], y[rows])
    assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    (logits, valid), (of_copies, valid_copies) = (
        clone(clf).cross_fit(X, y, sample_weight=weights),
        clone(clf).cross_fit(X.iloc[rows], y[rows]),
    )
    assert_array_equal(of_copies, logits[rows])
    assert_array_equal(valid_copies, valid[rows])


def test_copies_are_one_row_in_folds_of_ones_own(frame):
    X, y = frame[0][::4], frame[1][::4]
    fold = np.arange(len(y)) % 3
    rows = np.append(np.arange(len(y)), np.repeat(np.flatnonzero(fold == 1), 2))
    last = fold[rows]
    last[len(y) :] = 2  # copies are in another fold than the row
    clf = AdaptiveBackboneEnsemble(random_state=0, cv=PredefinedSplit(fold))
    expected = clone(clf).fit(X, y, sample_weight=np.bincount(rows))
    for cv in (PredefinedSplit(last), list(PredefinedSplit(last).split())):
        found = clone(clf).set_params(cv=cv).fit(X.iloc[rows], y[rows])
        assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


def test_rows_of_one_picture_that_differ_elsewhere_are_a_group(frame):
    X, y = frame
    rows = np.repeat(np.arange(0, len(y), 8), 3)
    X, y = X.iloc[rows].assign(offer=np.random.default_rng(0).normal(size=len(rows))), y[rows]
    clf = AdaptiveBackboneEnsemble(random_state=0)
    pictures = np.unique(X.iloc[:, :-1], axis=0, return_inverse=True)[1].ravel()
    expected, found = clone(clf).fit(X, y, groups=pictures), clone(clf).fit(X, y)
    assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    fold = pictures % 3
    clf.set_params(cv=PredefinedSplit(fold))
    expected = clone(clf).fit(X, y, groups=pictures)
    fold[np.unique(pictures, return_index=True)[1] + 2] = 0  # the last of three
    found = clone(clf).set_params(cv=PredefinedSplit(fold)).fit(X, y)
    assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    X.iloc[::2, :-1] = X.iloc[0, :-1].to_numpy()  # in place of pictures that are missing
    (text,) = said(clf.fit, X, y)
    assert "rows are of one picture" in text


def test_pictures_of_one_thing_that_share_its_numbers_are_told(frame):
    """As if each row were of a thing of its own, heads would know the things of held-out rows."""
    X, y = frame
    rng = np.random.default_rng(0)
    things = pd.factorize(y + (pd.Series(y).groupby(y).cumcount() // 4).astype(str))[0]
    numbers = rng.normal(size=(len(y), 2))[things]
    alike = X.join(pd.DataFrame(numbers, columns=["price", "weight"]))
    told = r"rows have the same numbers and label as an earlier row, but another picture"
    clf = AdaptiveBackboneEnsemble(random_state=0)
    rooms = rng.integers(1, 9, things.max() + 1)[things]
    for table in (alike, alike.assign(weight=rooms)):
        with pytest.warns(SuspectedMistakeWarning, match=told):
            clf.fit(table, y)
    years = 10 * np.unique(y, return_inverse=True)[1] + rng.integers(0, 10, len(y))
    dated = alike.assign(price=years, weight=rng.integers(0, 2, len(y)))  # a label has ten years
    assert not any(re.search(told, text) for text in said(clf.fit, dated, y))
    with no_warning():
        clf.fit(alike, y, groups=things)
        clf.fit(alike.assign(weight=rng.normal(size=len(y))), y)
        clf.fit(alike.drop(columns="weight"), y)  # such as a price that several things have


def test_copies_are_a_group_where_weights_cannot_be_taken(frame):
    X, y = frame
    X, y = X.to_numpy()[::4], y[::4]
    noise = np.random.default_rng(0).permutation(y)
    clf = AdaptiveBackboneEnsemble(BACKBONES, head=KNeighborsClassifier(1), cv=3, random_state=0)

    def confidence(n_copies, **groups):
        groups = {name: np.repeat(group, n_copies) for name, group in groups.items()}
        fitted = clone(clf).fit(np.repeat(X, n_copies, 0), np.repeat(noise, n_copies), **groups)
        return fitted.predict_proba(X).max(axis=1).mean()

    assert confidence(3) == pytest.approx(confidence(3, groups=np.arange(len(y))), abs=0.02)
    assert confidence(3) < 0.5
    clf.set_params(cv=StratifiedKFold(3, shuffle=True, random_state=0))
    assert confidence(3) < 0.5


@pytest.mark.parametrize("doubled", [False, True])
def test_rejections_do_not_depend_on_copies(frame, doubled):
    X, y = frame
    known = y < "person"
    fit, rest = X[known][::2], X[known][1::2]
    labels = y[known][::2]
    if doubled:
        fit, labels = pd.concat([fit, fit]), np.tile(labels, 2)
    clf = OpenSetClassifier(AdaptiveBackboneEnsemble(random_state=0), reject_label="?")
    assert np.mean(clf.fit(fit, labels).predict(rest) == "?") < 0.2


# Settings and weights that change on the way


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"views": "mirror"}, "backbones, features or views"),
        ({"features": "both"}, "backbones, features or views"),
        ({"backbones": BACKBONES[::-1]}, "backbones, features or views"),
        ({"normalize": False}, "normalize"),
        ({"decode": "exact"}, "decode"),
    ],
)
def test_an_embedder_that_was_changed_after_fit(emoji, changed, what):
    paths = emoji[0][:3]
    embedder = MultiBackboneEmbedder(BACKBONES).fit(paths).set_params(**changed)
    with pytest.warns(UserWarning, match=f"has changed since fit: {what}") as caught:
        embedder.transform(paths)
    assert caught[0].filename == __file__
    with no_warning():
        embedder.set_params(n_jobs=1, precision="fp32", batch_size=2).fit(paths).transform(paths)
        pickle.loads(pickle.dumps(embedder)).transform(paths)
        MultiBackboneEmbedder(BACKBONES).transform(paths)


def test_weights_that_are_written_over_after_fit(emoji, tmp_path):
    paths = emoji[0][:3]
    folder = copy_of_zoo("ViT-8", tmp_path / "model")
    embedder = MultiBackboneEmbedder([str(folder)]).fit(paths)
    retriever = ImageRetriever(embedder).fit(paths)
    weights = next(folder.glob("*.safetensors"))
    os.utime(weights, ns=(1, 1))  # copied anew
    with no_warning():
        before = embedder.transform(paths)
        retriever.search("a cat")
        retriever.kneighbors(paths)
    tensors = load_file(weights)
    other = {name: np.asarray(1.01 * one + 0.01, one.dtype) for name, one in tensors.items()}
    save_file(other, weights)
    with pytest.warns(UserWarning, match="has changed since fit: the weights of"):
        assert not np.allclose(embedder.transform(paths), before)
    for find, query in ((retriever.search, "a cat"), (retriever.kneighbors, paths)):
        with pytest.warns(UserWarning, match="ImageRetriever has changed since fit: the weights"):
            find(query)
    retriever.kneighbors()  # compares what fit embedded


def test_a_model_that_was_moved_after_fit_is_named_anew(emoji, tmp_path):
    paths = emoji[0][:3]
    embedder = MultiBackboneEmbedder([str(copy_of_zoo("ViT-8", tmp_path / "old"))]).fit(paths)
    before = embedder.transform(paths)
    new = (tmp_path / "old").rename(tmp_path / "new")
    with pytest.warns(UserWarning, match="has changed since fit: backbones"):
        found = embedder.set_params(backbones=[str(new)]).transform(paths)
    np.testing.assert_array_equal(found, before)


def test_files_that_were_embedded_otherwise_than_those_of_fit(emoji, tmp_path):
    pytest.importorskip("pyarrow")
    from skclipens.embedding import predict_embeddings

    paths, y = emoji
    for name, options in (("fit", {}), ("raw", {"normalize": False}), ("exact", {})):
        decode = "exact" if name == "exact" else "auto"
        embedder = MultiBackboneEmbedder(BACKBONES, decode=decode, **options)
        embedder.embed_to(tmp_path / name, paths[::3])
    for clf in (AdaptiveBackboneEnsemble(random_state=0), LinearDiscriminantHead()):
        clf.fit_from(tmp_path / "fit", y[::3])
        predict_embeddings(clf, tmp_path / "fit")
        for other in ("raw", "exact"):
            with pytest.raises(ValueError, match="were made otherwise than those that were fitted"):
                predict_embeddings(clf, tmp_path / other)


def test_a_name_that_stands_for_two_blocks(frame):
    X, y = frame
    X = pd.concat([X.add_prefix("front__"), X.add_prefix("back__")], axis=1)
    with pytest.raises(ValueError, match=r"more than one block of a kind: front__zoo/RN20, .*back"):
        AdaptiveBackboneEnsemble(BACKBONES).fit(X, y)
    clf = AdaptiveBackboneEnsemble(head="zero-shot").fit(X, y)
    assert list(clf.expert_names_) == [
        f"{side}__{name}" for side in ("front", "back") for name in BACKBONES
    ]


@pytest.mark.parametrize(
    ("estimator", "so"),
    [(CascadeEnsemble(), "is the only stage"), (BackboneSelector(), "is all that can be chosen")],
)
def test_an_array_of_which_no_blocks_are_known(frame, estimator, so):
    X, y = frame
    with pytest.warns(UserWarning, match=f"256 columns are one block that {so}") as caught:
        clone(estimator).fit(X.to_numpy(), y)
    assert caught[0].filename == __file__
    with no_warning():
        clone(estimator).fit(X, y)


def test_true_labels_of_images_in_another_order(emoji):
    paths, y = (pd.Series(one, emoji[0])[::5] for one in emoji)
    clf = make_backbone_pipeline(BACKBONES, random_state=0).fit(paths, y)
    with pytest.warns(UserWarning, match="X and y have the same index in another order"):
        assert clf.score(paths, y[::-1]) < 0.5

"""Tests of BlockPCA, on tables and behind an embedder."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from _said import no_warning, said
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    parametrize_with_checks,
)

from skclipens import BlockPCA, MultiBackboneEmbedder, make_backbone_pipeline
from skclipens.datasets import load_emoji

pytestmark = pytest.mark.usefixtures("embedded_once")

PAIR = ["zoo/RN20", "zoo/ViT-8"]
HALVES = [("first", slice(0, 1)), ("last", slice(-1, None))]


@pytest.fixture(scope="module")
def emoji():
    return load_emoji().frame.groupby("label").head(6).head(60).reset_index(drop=True)


@pytest.fixture(scope="module")
def table(emoji):
    return MultiBackboneEmbedder(PAIR).set_output(transform="pandas").fit_transform(emoji["path"])


@parametrize_with_checks(
    [BlockPCA(), BlockPCA(0.9, whiten=True), BlockPCA(None), BlockPCA(2, blocks=HALVES)]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_names_of_columns_are_compared():
    check_dataframe_column_names_consistency("BlockPCA", BlockPCA())


@pytest.mark.parametrize(
    ("n_components", "whiten"), [(5, True), (5, False), (0.8, True), (None, False)]
)
def test_each_block_is_reduced_by_itself(table, n_components, whiten):
    ours = BlockPCA(n_components, whiten=whiten, random_state=0).fit(table)
    alone = [PCA(n_components, whiten=whiten, random_state=0) for _ in PAIR]
    parts = [table.iloc[:, :128].to_numpy(), table.iloc[:, 128:].to_numpy()]
    expected = np.hstack([pca.fit_transform(part) for pca, part in zip(alone, parts, strict=True)])
    assert_allclose(ours.transform(table), expected, atol=1e-4)
    assert ours.transform(table).dtype == np.float32
    assert list(ours.pcas_) == PAIR
    if n_components == 0.8:
        assert all(pca.explained_variance_ratio_.sum() >= 0.8 for pca in ours.pcas_.values())


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_columns_have_names_and_others_stay(table, container):
    price = np.arange(len(table), dtype=np.float32)
    X = table.assign(price=price)[["price", *table.columns]]
    X = pl.from_pandas(X) if container == "polars" else X
    reduced = BlockPCA(3).set_output(transform=container).fit_transform(X)
    named = [f"{name}__pca{i}" for name in PAIR for i in range(3)]
    assert list(reduced.columns) == [*named, "price"]
    assert_array_equal(np.asarray(reduced)[:, -1], price)


def test_embeddings_that_are_taken_for_one_block_are_doubted(table):
    X = table.to_numpy()
    with pytest.warns(UserWarning, match="its 256 columns are one block that is reduced as a who"):
        BlockPCA(4).fit(X)
    of_all = BlockPCA(4, blocks=[("all", slice(None))])
    for pca, rows in [(BlockPCA(4), table), (BlockPCA(4, blocks=PAIR), X), (of_all, X)]:
        assert not said(pca.fit, rows)


def test_embeddings_of_another_model_are_doubted(table):
    X = table.to_numpy()
    reduce = BlockPCA(3, blocks=PAIR).fit(X[::2])
    assert not said(lambda: reduce.transform(X[1::2]))
    (doubt,) = said(lambda: reduce.transform(np.roll(X[1::2], 128, axis=1)))
    assert "'zoo/RN20', 'zoo/ViT-8' are unlike those of fit" in doubt


def test_shares_do_not_depend_on_how_far_a_block_varies(table):
    louder = table.copy()
    louder.iloc[:, :128] *= 100
    for X in (table, louder):
        assert BlockPCA(4).fit_transform(X).shape[1] == 8


def test_there_are_no_more_components_than_rows_or_columns(table):
    assert BlockPCA(64).fit_transform(table.head(10)).shape == (10, 20)
    X = np.random.default_rng(0).normal(size=(9, 3))
    reducer = BlockPCA().fit(X)
    assert list(reducer.get_feature_names_out()) == ["all__pca0", "all__pca1", "all__pca2"]
    assert BlockPCA(1, blocks=[("a", [2, 0])]).fit(X).get_feature_names_out().tolist() == [
        "a__pca0",
        "x1",
    ]
    with pytest.raises(ValueError, match="X has no column 'b'"):
        BlockPCA(blocks=[("a", ["b"])]).fit(pd.DataFrame(X, columns=list("xyz")))


def test_whitened_components_have_variance(table):
    few, others = table.head(7), table.tail(20)
    for rows, n_kept in [(few, 6), (pd.concat([few] * 3), 6), (few.iloc[[0] * 9], 0)]:
        for n_components in (16, None, 0.9999999):
            reduce = BlockPCA(n_components, whiten=True, random_state=0).fit(rows)
            found = reduce.transform(others)
            assert np.abs(found).max(initial=0) < 20
            assert found.shape == (20, 2 * n_kept)
            assert len(reduce.get_feature_names_out()) == found.shape[1]
            for pca in reduce.pcas_.values():
                assert pca.n_components_ == len(pca.explained_variance_ratio_) == n_kept
    assert BlockPCA(16).fit_transform(few).shape == (7, 14)  # components of no variance stay small


@pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 1e-8), (np.float64, 1e-15)])
def test_columns_too_small_to_whiten_are_an_error(table, dtype, scale):
    small = scale * table.to_numpy(dtype)
    blocks = [("left", slice(0, 128)), ("right", slice(128, 256))]
    reduce = BlockPCA(5, blocks=blocks, whiten=True, random_state=0)
    with pytest.raises(ValueError, match=r"Block 'left' has a component .* too small to whiten"):
        reduce.fit(small)
    assert_allclose(reduce.fit_transform(1e4 * small).std(axis=0), 1, atol=0.02)


@pytest.mark.parametrize(
    ("dtype", "scale"), [(np.float32, 1e-25), (np.float32, 1e20), (float, 1e-200), (float, 1e200)]
)
@pytest.mark.parametrize("whiten", [True, False])
def test_a_block_whose_squares_overflow_or_vanish_is_named(table, dtype, scale, whiten):
    X = table.to_numpy(dtype) * np.repeat(np.array([1, scale], dtype), 128)
    blocks = [("left", slice(0, 128)), ("right", slice(128, 256))]
    with pytest.raises(ValueError, match=r"(Column \d+ of|largest value of) block 'right'"):
        BlockPCA(5, blocks=blocks, whiten=whiten, random_state=0).fit(X)


@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize("n_components", [2, 0.8, None])
def test_a_constant_block_is_no_cause_of_warnings(n_components, whiten):
    X = np.hstack([np.ones((30, 4)), np.random.default_rng(0).normal(size=(30, 4))])
    blocks = [("constant", slice(4)), ("other", slice(4, 8))]
    reduce = BlockPCA(n_components, blocks=blocks, whiten=whiten, random_state=0)
    with no_warning():
        found = reduce.fit_transform(X)
    n_constant = len(reduce.pcas_["constant"].components_)
    assert_allclose(found[:, :n_constant], 0, atol=1e-12)
    assert (n_constant == 0) == whiten


@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize("far", [2e5, 20240100])
def test_dates_beside_embeddings_are_the_same_in_float32(table, far, whiten):
    dates = far + 8 * np.random.default_rng(0).integers(0, 2, len(table))
    X = np.c_[table.to_numpy("f"), dates.astype("f")]
    reduce = BlockPCA(4, blocks=[("all", slice(None))], whiten=whiten, random_state=0)
    found = reduce.fit_transform(X)
    expected = clone(reduce).fit_transform(X.astype(float))
    assert found.shape == expected.shape == (len(X), 4)
    assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("dtype", "offset"), [("float32", 1e3), ("float64", 1e8)])
@pytest.mark.parametrize("whiten", [True, False])
def test_components_are_the_same_far_from_zero(dtype, offset, whiten):
    rows = np.random.default_rng(0).normal(size=(200, 6)) * [3, 2, 1.5, 1, 0.7, 0.5]
    rows = (rows + offset).astype(dtype)
    found = BlockPCA(3, whiten=whiten).fit(rows)
    near = BlockPCA(3, whiten=whiten).fit(rows.astype(float) - offset)
    assert_allclose(found.transform(rows), near.transform(rows.astype(float) - offset), atol=1e-2)
    (pca,) = found.pcas_.values()
    assert_allclose(pca.mean_, rows.astype(float).mean(axis=0), rtol=8 * np.finfo(dtype).eps)
    assert pca.copy and pca.components_.dtype == dtype


def test_it_stands_in_pipelines_on_images_and_beside_a_table(emoji, tmp_path):
    image = make_pipeline(MultiBackboneEmbedder(PAIR), BlockPCA(4, blocks=PAIR, random_state=0))
    beside = make_column_transformer((image, "path"), ("passthrough", ["target"]))
    clf = make_pipeline(beside, HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5))
    assert clone(clf).fit(emoji, emoji["label"]).score(emoji, emoji["label"]) > 0.9
    assert beside.fit_transform(emoji).shape == (60, 9)
    (tmp_path / "broken.png").write_bytes(b"?")
    files = [tmp_path / "broken.png", *emoji["path"]]
    estimator = make_pipeline(BlockPCA(4), HistGradientBoostingClassifier(max_iter=2))
    on_images = make_backbone_pipeline(PAIR, estimator=estimator, on_error="nan")
    with pytest.warns(UserWarning, match="1 of 61 images"):
        on_images.fit(files, ["?", *emoji["label"]])
    names = on_images[-1][0].get_feature_names_out()
    assert names[-1] == "zoo/ViT-8__pca3" and len(names) == 8


def test_there_is_a_name_for_each_column_of_nearly_all_variance():
    X = np.random.default_rng(0).normal(size=(6000, 512)).astype(np.float32)
    pca = BlockPCA(0.9999999).fit(
        X
    )  # which scikit-learn rounds to one component more than there are
    assert len(pca.get_feature_names_out()) == pca.transform(X[:2]).shape[1]


def test_a_row_of_an_image_that_could_not_be_read_is_named(table):
    gap = table.copy()
    gap.iloc[5] = np.nan
    for ask in (BlockPCA(2).fit, BlockPCA(2).fit(table).transform):
        with pytest.raises(ValueError, match=r"NaN, first in row 5.*on_error='nan'"):
            ask(gap)


def test_a_column_that_is_called_as_a_component_is_named():
    rng = np.random.default_rng(0)
    names = ["a__pca1", "x0", "x1", "x2"]
    table = pd.DataFrame(rng.normal(size=(9, 4)), columns=names)
    pca = BlockPCA(2, blocks=[("a", ["x0", "x1", "x2"])]).fit(table)
    with pytest.raises(ValueError, match=r"Column 'a__pca1' is of no block .* another name"):
        pca.get_feature_names_out()
    assert pca.transform(table).shape == (9, 3)
    other = table.rename(columns={"a__pca1": "price"})
    assert pca.fit(other).get_feature_names_out().tolist() == ["a__pca0", "a__pca1", "price"]

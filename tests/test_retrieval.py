"""Tests of texts in the columns of images, and of images found by words."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from _said import said
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import rankdata
from sklearn import config_context
from sklearn.base import clone
from sklearn.metrics import average_precision_score
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.estimator_checks import parametrize_with_checks

from benchmarks.search import query_scores
from skclipens import CLIPEmbedder, ImageRetriever, MultiBackboneEmbedder
from skclipens.backbones import load_backbone
from skclipens.datasets import load_emoji
from skclipens.embedding._probes import _embedded
from skclipens.exceptions import ImageError
from skclipens.heads import DEFAULT_TEMPLATES, ZeroShotHead

pytestmark = pytest.mark.usefixtures("embedded_once")

PAIR = ["zoo/RN20", "zoo/ViT-8"]
WORDS = ["a bicycle", "red heart", "a cat"]


@pytest.fixture(scope="module")
def emoji():
    return load_emoji()


@pytest.fixture(scope="module")
def table(emoji):
    embedder = MultiBackboneEmbedder(PAIR).set_output(transform="pandas")
    return embedder.fit_transform(emoji.filenames[::5])


@pytest.fixture(scope="module")
def noise(table):
    """A table of noise, in which no two rows are equal, as some pictures are."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(50, table.shape[1])), columns=table.columns)


# Texts


def test_texts_are_those_of_open_clip():
    model = load_backbone("zoo/RN20")
    raw = model.model.encode_text(model.tokenizer(WORDS)).detach().numpy()
    raw /= np.linalg.norm(raw, axis=1, keepdims=True)
    for normalize in (True, False):
        found = CLIPEmbedder("zoo/RN20", normalize=normalize).embed_text(WORDS)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, raw, atol=1e-6)


def test_texts_with_templates_are_those_of_a_head():
    found = CLIPEmbedder("zoo/ViT-8").embed_text(sorted(WORDS), templates=DEFAULT_TEMPLATES)
    head = ZeroShotHead("zoo/ViT-8").set_classes(WORDS)
    np.testing.assert_allclose(found, head.text_features_, atol=1e-6)


def test_texts_keep_their_index():
    embedder = CLIPEmbedder("zoo/RN20").set_output(transform="pandas")
    rows = range(3, 3 + len(WORDS))
    assert embedder.embed_text(pd.Series([*WORDS], index=rows)).index.tolist() == [*rows]


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_texts_have_the_columns_of_images(emoji, container):
    embedder = MultiBackboneEmbedder(PAIR, views="mirror", keep_plain=True)
    embedder.set_output(transform=container)
    texts, images = embedder.embed_text(WORDS), embedder.transform(emoji.filenames[:2])
    assert type(texts) is type(images)
    assert list(texts.columns) == list(images.columns)
    plain, viewed = (np.asarray(texts)[:, one] for one in (slice(128), slice(128, 256)))
    np.testing.assert_array_equal(plain, viewed)


def test_a_text_may_hold_braces_and_be_in_any_column_of_strings():
    embedder = CLIPEmbedder("zoo/RN20")
    expected = embedder.embed_text(["{} a cat {0}"])
    for texts in (("{} a cat {0}",), np.array(["{} a cat {0}"]), pl.Series(["{} a cat {0}"])):
        np.testing.assert_array_equal(embedder.embed_text(texts), expected)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("a cat", r"got one string: pass \['a cat'\]"),
        ([], "got an array of shape"),
        (["a cat", None], "Text 1 is None: pass words"),
        (["a cat", " "], "Text 1 is ' '"),
        ([["a"], ["b"]], "shape"),
    ],
)
def test_what_is_no_list_of_texts(texts, message):
    with pytest.raises(ValueError, match=message):
        CLIPEmbedder("zoo/RN20").embed_text(texts)


def test_pictures_are_no_texts(emoji):
    embedder = CLIPEmbedder("zoo/RN20")
    with pytest.raises(ValueError, match=r"is a file, and no words\. Pass pictures to transform"):
        embedder.embed_text(["a cat", emoji.filenames[0]])
    with pytest.raises(FileNotFoundError, match=r"There is no file 'cat\.png'"):
        embedder.embed_text(["cat.png"])


def test_texts_that_are_cut_off_are_named(table):
    long, templates = "a picture" + " of a cat" * 20, ["the " * 40 + "{}"]
    retriever = ImageRetriever().fit(table)
    embedder = MultiBackboneEmbedder(PAIR)
    for call in (
        lambda: retriever.search([*WORDS, long]),
        lambda: embedder.embed_text([*WORDS, long]),
    ):
        (told,) = said(call)
        assert "cut off after 32 tokens" in told and "by 'zoo/RN20', 'zoo/ViT-8': 'a pict" in told
        assert "bicycle" not in told and "Give shorter texts" in told
    (told,) = said(lambda: ImageRetriever(templates=templates).fit(table).search(WORDS))
    assert "'a bicycle', 'red heart', 'a cat'" in told and "or templates" in told
    assert not said(lambda: retriever.search(WORDS))


def test_braces_in_texts_are_named(table):
    (told,) = said(lambda: ImageRetriever().fit(table).search([*WORDS, "a photo of a {}"]))
    assert told.startswith("Texts have braces: 'a photo of a {}'. They are read as they stand")


def test_texts_in_a_script_that_no_model_has_read_are_named(table):
    retriever, embedder = ImageRetriever().fit(table), MultiBackboneEmbedder(PAIR)
    for call in (retriever.search, embedder.embed_text):
        (told,) = said(lambda call=call: call([*WORDS, "автомобиль"]))
        assert told.startswith("Texts are not in Latin letters: 'автомобиль'. The texts that ")
        assert "'zoo/RN20', 'zoo/ViT-8' learned from" in told and "Give texts in English" in told
        assert not said(lambda call=call: call([*WORDS, "ein Café", "β"]))


def test_blocks_without_texts_are_named():
    embedder = MultiBackboneEmbedder(PAIR, features="both")
    with pytest.raises(ValueError, match=r"'zoo/RN20@pooled' has no texts.*features='projected'"):
        embedder.embed_text(["a cat"])
    with pytest.raises(ValueError, match=r"'timm/.*' has no texts.*is an image tower: take a CLIP"):
        CLIPEmbedder("timm/resnet18").embed_text(["a cat"])
    with pytest.raises(ValueError, match="no-place"):
        CLIPEmbedder("zoo/RN20").embed_text(["a cat"], templates=["no-place"])


# Retrieval


@parametrize_with_checks([ImageRetriever(), ImageRetriever(fusion="rank", n_neighbors=2)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("fusion", ["cosine", "rank"])
def test_words_find_what_they_name(emoji, fusion):
    files = emoji.filenames[::5]
    names = emoji.frame["label"].to_numpy()[::5]
    retriever = ImageRetriever(PAIR, fusion=fusion, n_neighbors=5).fit(files)
    scores, rows = retriever.search(["a bird", "a cat"])
    assert scores.shape == rows.shape == (2, 5)
    assert (np.diff(scores, axis=1) <= 0).all() and (scores <= 1).all()
    # Of 273 pictures, few are birds: a random one is in one try of twenty.
    assert names[rows[0, 0]] == "bird" and (names == "bird").mean() < 0.05
    one_scores, one = retriever.search("a bird", 3)
    np.testing.assert_array_equal(one, rows[0, :3])
    np.testing.assert_allclose(one_scores, scores[0, :3], rtol=1e-6)


def test_scores_are_the_mean_cosine_and_the_mean_reciprocal_rank(table, noise):
    texts = MultiBackboneEmbedder(PAIR).embed_text(WORDS)
    halves = [slice(128), slice(128, 256)]
    cosines = np.stack([texts[:, one] @ table.to_numpy()[:, one].T for one in halves])
    mean = cosines.mean(axis=0)
    scores, rows = ImageRetriever().fit(table).search(WORDS, len(table))
    np.testing.assert_allclose(np.take_along_axis(mean, rows, axis=1), scores, atol=1e-6)
    retriever = ImageRetriever(fusion="rank").fit(noise)
    cosines = np.stack([texts[:, one] @ retriever.embeddings_[:, one].T for one in halves])
    ranks = np.stack([rankdata(-one, axis=1) for one in cosines])
    fused = (1 / (60 + ranks)).sum(axis=0) / (2 / 61)
    scores, rows = retriever.search(WORDS, 50)
    np.testing.assert_allclose(np.take_along_axis(fused, rows, axis=1), scores, atol=1e-6)
    assert (np.diff(scores) <= 0).all()


def test_tables_and_images_find_the_same(emoji, table):
    files = emoji.filenames[::5]
    expected = ImageRetriever(PAIR).fit(files).search(WORDS)
    prefixed = table.add_prefix("image__").assign(price=1.0)
    shuffled = table[table.columns[::-1]]
    for X, embedder in [
        (table, None),
        (table.to_numpy(), PAIR),
        (pl.from_pandas(table), None),
        (shuffled, None),
        (3 * table, MultiBackboneEmbedder(PAIR)),
        (prefixed.drop(columns="price"), None),
    ]:
        scores, rows = ImageRetriever(embedder).fit(X).search(WORDS)
        np.testing.assert_array_equal(rows, expected[1])
        np.testing.assert_allclose(scores, expected[0], atol=1e-5)
    # Other columns are not asked.
    np.testing.assert_array_equal(ImageRetriever().fit(prefixed).search(WORDS)[1], expected[1])
    beside = ImageRetriever().fit(prefixed.assign(price=np.arange(len(table))))
    distances, _ = ImageRetriever().fit(table).kneighbors()
    np.testing.assert_allclose(beside.kneighbors()[0], distances, atol=1e-6)
    written = table.assign(path=files, price=np.nan)  # such as by `skclipens embed`
    others = pl.from_pandas(written), pa.Table.from_pandas(written)
    for X, embedder in [(written, None), (written, PAIR), *((one, None) for one in others)]:
        found = ImageRetriever(embedder).fit(X)
        assert found.n_features_in_ == table.shape[1]
        np.testing.assert_allclose(found.kneighbors()[0], distances, atol=1e-6)
        for queries in (table.iloc[:2], written.iloc[:2]):
            assert found.kneighbors(queries, 1, return_distance=False).tolist() == [[0], [1]]


def test_columns_of_a_backbone_that_lacks_some_are_not_asked(table):
    rn20 = table.filter(like="RN20")
    with pytest.warns(UserWarning, match=f"X has 127 of the 128 columns of '{PAIR[1]}'"):
        found = ImageRetriever().fit(table.iloc[:, :-1])
    expected = ImageRetriever().fit(rn20)
    np.testing.assert_array_equal(found.search(WORDS), expected.search(WORDS))
    np.testing.assert_array_equal(found.kneighbors(), expected.kneighbors())


def test_one_backbone_finds_what_nearest_neighbors_find(noise):
    X = noise.iloc[:, :128]
    ours = ImageRetriever(n_neighbors=4).fit(X)
    theirs = NearestNeighbors(n_neighbors=4, metric="cosine").fit(X)
    for queries in (None, X.iloc[:7]):
        distances, rows = ours.kneighbors(queries)
        expected, expected_rows = theirs.kneighbors(queries)
        np.testing.assert_allclose(distances, expected, atol=1e-5)
        np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_array_equal(
        ours.kneighbors(n_neighbors=2, return_distance=False), ours.kneighbors(n_neighbors=2)[1]
    )


@pytest.mark.parametrize("fusion", ["cosine", "rank"])
def test_no_image_finds_itself_and_all_others_do_if_asked(table, fusion):
    X = table.iloc[:9]
    _, rows = ImageRetriever(fusion=fusion).fit(X).kneighbors(n_neighbors=100)
    assert rows.shape == (9, 8)
    assert [set(row) | {i} for i, row in enumerate(rows.tolist())] == [set(range(9))] * 9


def test_batches_of_queries_change_nothing(noise, monkeypatch):
    retriever = ImageRetriever(fusion="rank").fit(noise)
    expected = retriever.kneighbors()
    monkeypatch.setattr("skclipens.retrieval._AT_ONCE", 5 * len(noise))
    for found, one in zip(retriever.kneighbors(), expected, strict=True):
        np.testing.assert_allclose(found, one, atol=1e-6)


def test_equal_scores_keep_the_order_of_images(noise):
    twice = pd.concat([noise, noise, noise])
    _, rows = ImageRetriever().fit(twice).kneighbors(noise, n_neighbors=2)
    np.testing.assert_array_equal(rows, np.arange(len(noise))[:, None] + [0, len(noise)])


def test_memory_does_not_grow_with_the_queries(monkeypatch):
    X = np.random.default_rng(0).standard_normal((2000, 8)).astype(np.float32)
    retriever = ImageRetriever().fit(X)
    monkeypatch.setattr("skclipens.retrieval._AT_ONCE", 2**17)
    tracemalloc.start()
    try:
        retriever.kneighbors(X, n_neighbors=2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(X) ** 2  # all positions of all queries take eight times as much


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_words_are_found_where_scikit_learn_is_set_to_frames(table, container):
    _embedded.cache_clear()
    expected = ImageRetriever().fit(table).search(WORDS, 3)
    _embedded.cache_clear()
    with config_context(transform_output=container):
        found = ImageRetriever().fit(table).search(WORDS, 3)
    np.testing.assert_array_equal(found, expected)


def test_images_that_cannot_be_read_are_not_found(emoji, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"?")
    files = [tmp_path / "broken.png", *emoji.filenames[:4]]
    retriever = ImageRetriever(CLIPEmbedder("zoo/RN20", on_error="nan"))
    with pytest.warns(UserWarning, match=r"1 of 5 images.*cannot be found: row 0 .*broken.png"):
        retriever.fit(files)
    assert retriever.rows_.tolist() == [1, 2, 3, 4]
    assert sorted(retriever.search("a face")[1].tolist()) == [1, 2, 3, 4]
    with pytest.warns(UserWarning, match="find nothing: row 1"):
        distances, rows = retriever.kneighbors([files[2], files[0]], 2)
    assert rows[0, 0] == 2 and rows[1].tolist() == [-1, -1]
    assert np.isnan(distances[1]).all()
    distances, rows = retriever.kneighbors(n_neighbors=3)
    assert rows[0].tolist() == [-1] * 3 and np.isnan(distances[0]).all()
    assert [set(row) | {i} for i, row in enumerate(rows.tolist())][1:] == [{1, 2, 3, 4}] * 4


def test_rows_that_are_no_embeddings_are_named(emoji, table):
    gap = table.copy()
    gap.iloc[5] = np.nan
    for ask in (ImageRetriever().fit, ImageRetriever().fit(table).kneighbors):
        with pytest.raises(ValueError, match=r"NaN, first in row 5.*on_error='nan'"):
            ask(gap)
    with pytest.raises(ValueError, match=r"column 0 \('path'\) is .*embed a column of images"):
        ImageRetriever("zoo").fit(emoji.frame[["path", "name"]])


def test_images_ask_a_table(emoji, table):
    files = emoji.filenames[::5]
    _, expected = ImageRetriever().fit(table).kneighbors(table.iloc[:3], 4)
    for X in (table, table.to_numpy()):
        retriever = ImageRetriever(PAIR).fit(X)
        np.testing.assert_array_equal(retriever.kneighbors(files[:3], 4)[1], expected)
    with pytest.raises(ValueError, match=r"fit saw a table, and these are images: .*'zoo'"):
        ImageRetriever().fit(table).kneighbors(files[:3])


@pytest.mark.parametrize("embedder", [None, PAIR])
def test_rows_that_are_no_table_are_no_images(table, embedder):
    retriever, first = ImageRetriever(embedder).fit(table), table.iloc[0]
    for ask in (retriever.kneighbors, ImageRetriever(embedder).fit):
        for row in (first, first.to_numpy(), first.tolist()):
            with pytest.raises(ValueError, match=r"one row, of 256 .*pass X\.iloc\[\[0\]\]"):
                ask(row)
        rows = table.iloc[:2].to_numpy()
        for several in (rows.tolist(), list(rows), tuple(map(tuple, rows.tolist()))):
            with pytest.raises(ValueError, match=r"list of rows .* pass numpy\.asarray\(X\)"):
                ask(several)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_a_grey_image_is_no_table(emoji, table, kind):
    grey = kind(np.arange(100, dtype=np.uint8).reshape(10, 10))
    with pytest.raises(ValueError, match=r"one grey image goes in a list, \[image\]"):
        ImageRetriever(PAIR).fit(grey)
    for X in (emoji.filenames[:5], table[:5]):
        retriever = ImageRetriever(PAIR).fit(X)
        with pytest.raises(ValueError, match=r"one grey image goes in a list, \[image\]"):
            retriever.kneighbors(grey, 1)
        assert retriever.kneighbors([grey], 1)[1].shape == (1, 1)


def test_an_array_is_no_mistake_where_fit_saw_images(emoji, table):
    retriever = ImageRetriever(PAIR).fit(emoji.filenames[::5])
    assert not said(retriever.kneighbors, table.to_numpy()[:3])
    with pytest.raises(ValueError, match="has 255 features, but ImageRetriever is expecting 256"):
        retriever.kneighbors(table.to_numpy()[:3, 1:])
    with pytest.raises(ValueError, match="feature names should match"):
        retriever.kneighbors(table.iloc[:3, ::-1])


def test_images_are_one_column(emoji, table):
    files = emoji.filenames[::5]
    named = ImageRetriever(PAIR).fit(pd.DataFrame({"path": files}))
    assert (named.n_features_in_, list(named.feature_names_in_)) == (1, ["path"])
    assert list(named.embedding_names_) == list(table.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        named.kneighbors(pd.DataFrame({"thumbnail": files[:2]}))
    for X, names in ((table, list(table.columns)), (table.to_numpy(), None)):
        named.fit(X)
        assert named.n_features_in_ == 256
        assert getattr(named, "feature_names_in_", None) is named.embedding_names_
        assert names is None or list(named.embedding_names_) == names
    retriever = named.fit(files)
    assert retriever.n_features_in_ == 1 and not hasattr(retriever, "feature_names_in_")
    assert retriever.kneighbors(files[:2], 1, return_distance=False).tolist() == [[0], [1]]


def test_what_has_no_texts_is_embedded_otherwise(emoji):
    pooled = MultiBackboneEmbedder(PAIR, features="pooled")
    with pytest.raises(ValueError, match=r"RN20@pooled, .*ViT-8@pooled. Embed with features='proj"):
        ImageRetriever(pooled).fit(emoji.filenames[:3]).search("a cat")


def test_what_cannot_be_searched(table):
    with pytest.raises(ValueError, match=r"No block of columns has texts: all.*embedder='zoo'"):
        ImageRetriever().fit(table.to_numpy()).search("a cat")
    with pytest.raises(ValueError, match=r"256 features, but embedder names .* that made X.$"):
        ImageRetriever("zoo").fit(table.to_numpy())
    with pytest.raises(ValueError, match=r"embedder names zoo/DLA, but .* or leave embedder=None"):
        ImageRetriever("zoo/DLA").fit(table)
    with pytest.raises(ValueError, match="n_neighbors == 0"):
        ImageRetriever().fit(table).search("a cat", 0)
    with pytest.raises(ValueError, match="NaN"):
        ImageRetriever().fit(table.assign(**{"zoo/RN20__0": np.nan}))
    with pytest.raises(ValueError, match="feature names"):
        ImageRetriever().fit(table).kneighbors(table.iloc[:, ::-1])


@pytest.mark.parametrize("words", ["a cat", ["a cat"], np.array(["a cat", "a dog"])])
def test_words_are_no_pictures(emoji, table, words):
    for retriever in (ImageRetriever().fit(table), ImageRetriever(PAIR).fit(emoji.filenames[:3])):
        with pytest.raises(ValueError, match=r"'a cat' is not a picture.* pass them to search"):
            retriever.kneighbors(words)


def test_names_of_files_are_no_words(emoji, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    retriever = ImageRetriever(PAIR).fit(emoji.filenames[:3])
    for name in ("cat.png", "cat", f"{tmp_path}/cat"):
        Path(name).write_bytes(Path(emoji.filenames[1]).read_bytes())
        assert retriever.kneighbors([name], 1)[1].tolist() == [[1]]
    for name in ("lost.png", "pictures/lost"):
        with pytest.raises(ImageError, match=f"row 0: '{name}' .*no such file"):
            retriever.kneighbors([name])


def test_queries_with_blocks_in_another_order_are_doubted(table):
    X = table.to_numpy()
    retriever = ImageRetriever(PAIR).fit(X)
    with pytest.warns(UserWarning, match="embeddings of 'zoo/RN20', 'zoo/ViT-8' are unlike those"):
        retriever.kneighbors(np.roll(X, 128, axis=1))
    assert not said(retriever.kneighbors, 3 * X)  # lengths do not count
    assert not said(retriever.kneighbors, X[:1])


def test_what_is_set_after_the_fit_counts_in_the_next_call(table):
    retriever = ImageRetriever(fusion="rank", n_neighbors=2).fit(table)
    expected = retriever.search(WORDS)
    retriever = ImageRetriever().fit(table).set_params(fusion="rank", n_neighbors=2)
    for one, other in zip(retriever.search(WORDS), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    retriever.set_params(fusion="mean")
    for call in (lambda: retriever.search("a cat"), retriever.kneighbors):
        with pytest.raises(ValueError, match="The 'fusion' parameter of ImageRetriever must be"):
            call()


@pytest.mark.parametrize("kind", [str, Path, lambda file: [file], lambda file: ["a cat", file]])
def test_a_path_is_no_words(table, emoji, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    retriever = ImageRetriever().fit(table)
    file = emoji.filenames[0]
    Path("cat.png").write_bytes(Path(file).read_bytes())
    for path in (file, str(file), "cat.png"):
        message = "Expected|pass words" if kind is Path else f"'{path}' is a file.* to kneighbors"
        with pytest.raises(ValueError, match=message):
            retriever.search(kind(path))
    Path("cat").touch()
    Path("dog").mkdir()
    retriever.search(["cat", "a/b", "cat/", "dog", "w" * 5000])
    with pytest.raises(IsADirectoryError, match="'dog/' is a folder, and no words"):
        retriever.search("dog/")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_no_words(table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("cat.png")
    os.mkfifo("cat")
    retriever = ImageRetriever().fit(table)
    for path in ("cat.png", os.path.join(".", "cat"), ["a dog", "cat.png"]):
        with pytest.raises(ValueError, match="is a pipe or a device, and no words"):
            retriever.search(path)
    retriever.search("cat")


@pytest.mark.parametrize("query", ["photos/query.jpg", "QUERY.PNG", ["a bird", "my photos/a.webp"]])
def test_an_image_that_is_not_there_is_no_words(table, query):
    lost = query[1] if isinstance(query, list) else query
    with pytest.raises(FileNotFoundError, match=f"There is no file {lost!r}"):
        ImageRetriever().fit(table).search(query)


def test_a_clone_is_not_fitted_and_an_embedder_stays_as_it_was(emoji):
    embedder = CLIPEmbedder("zoo/RN20")
    retriever = ImageRetriever(embedder).fit(emoji.filenames[:3])
    assert not hasattr(clone(retriever), "embeddings_")
    assert isinstance(embedder.transform(emoji.filenames[:1]), np.ndarray)
    assert retriever.embeddings_.dtype == np.float32


# The benchmark


@settings(max_examples=50)
@given(arrays.arrays(bool, st.tuples(st.integers(1, 4), st.integers(11, 20))))
def test_average_precision_is_that_of_scikit_learn(hits):
    hits[:, 3] = True
    average, first = query_scores(hits)
    order = -np.arange(hits.shape[1])
    np.testing.assert_allclose(average, [average_precision_score(one, order) for one in hits])
    np.testing.assert_allclose(first, hits[:, :10].mean(axis=1))


def test_frames_without_images_are_tables():
    assert ImageRetriever().fit(pd.DataFrame({"a": [1.0, 2.0]})).n_features_in_ == 1

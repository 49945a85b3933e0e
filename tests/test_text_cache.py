"""Features of prompts: encoded once, kept in the store, the same to the bit whatever is beside."""

import multiprocessing
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from _said import no_warning
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from skclipens import (
    AdaptiveBackboneEnsemble,
    CLIPEmbedder,
    ImageRetriever,
    ResidualHead,
    ZeroShotHead,
    make_backbone_pipeline,
)
from skclipens._utils import _progress
from skclipens.backbones import Backbone, _text
from skclipens.datasets import load_emoji
from skclipens.embedding import EmbeddingStore, EmbeddingStoreError, _row_cache, _texts
from skclipens.embedding._texts import embed_classes
from skclipens.heads import _text_head

RN20, VIT8 = Backbone("zoo/RN20"), Backbone("zoo/ViT-8")
NAMES = sorted(set(load_emoji().frame["name"]))[::20][:40]
TEMPLATES = ("{}", "a photo of a {}.")


def forget(monkeypatch):
    """As in another process."""
    monkeypatch.setattr(_texts, "_known", _row_cache.RowCache(2**27))
    _text_head._encoded.clear()


@pytest.fixture
def encoded(monkeypatch):
    """Prompts that went through a text tower."""
    prompts = []

    def encode(one, texts, real=_text.encode_texts):
        prompts.extend((one.backbone.name, text) for text in texts)
        return real(one, texts)

    monkeypatch.setattr(_text, "encode_texts", encode)
    forget(monkeypatch)
    yield prompts
    assert len(set(prompts)) == len(prompts)


@pytest.fixture
def table():
    return np.random.default_rng(0).normal(1, size=(40, 128)).astype(np.float32)


whole = {}


@settings(max_examples=10)
@given(st.lists(st.sampled_from(NAMES), min_size=1, unique=True), st.permutations(TEMPLATES))
def test_a_class_has_the_same_features_whichever_others_there_are(names, templates):
    if not whole:
        whole["features"] = embed_classes(RN20, NAMES, TEMPLATES)[0]
    _texts._known.forget(None)
    features, _ = embed_classes(RN20, names, templates)
    np.testing.assert_array_equal(features, whole["features"][[NAMES.index(one) for one in names]])


def test_a_prompt_is_encoded_once_in_a_process(encoded, table):
    y = np.array(NAMES[:8])[np.arange(40) % 8]
    clf = AdaptiveBackboneEnsemble("zoo/RN20", head=["zero-shot", "residual", "tip-adapter"])
    clf.fit(table, y)
    assert len(encoded) == 24
    cross_val_score(clone(clf), table, y, cv=2)
    some = np.isin(y, NAMES[:5])
    ResidualHead("zoo/RN20").fit(table[some], y[some])
    ZeroShotHead("zoo/RN20", templates=["{}"]).fit(table, y)
    assert len(encoded) == 24
    ZeroShotHead("zoo/RN20").set_classes(NAMES[4:9])
    assert len(encoded) == 27


def test_another_process_finds_what_is_stored(encoded, tmp_path, monkeypatch):
    before = embed_classes(RN20, NAMES, TEMPLATES, cache=tmp_path)
    assert len(encoded) == 2 * len(NAMES)
    encoded.clear()
    forget(monkeypatch)
    with monkeypatch.context() as context:
        context.setattr(_texts, "load_backbone", None)  # not needed, not even for the scale
        after = embed_classes(RN20, NAMES[::-1], TEMPLATES, cache=EmbeddingStore(tmp_path))
    np.testing.assert_array_equal(after[0], before[0][::-1])
    assert after[1] == before[1]
    embed_classes(RN20, [*NAMES, "one more"], TEMPLATES, cache=tmp_path)
    assert len(encoded) == 2
    embed_classes(VIT8, NAMES[:3], TEMPLATES, cache=tmp_path)
    assert len(encoded) == 8
    models = EmbeddingStore(tmp_path).info()["models"]
    assert sorted(key.split()[0] for key in models) == ["zoo/RN20", "zoo/ViT-8"]
    assert sum(models.values()) == 2 * (len(NAMES) + 1) + 6


def test_a_store_gets_prompts_that_this_process_knows(encoded, tmp_path, monkeypatch):
    names, stores = NAMES[:3], [tmp_path / "one", tmp_path / "two"]
    for cache in (None, *stores):
        ZeroShotHead("zoo/RN20", cache=cache).set_classes(names)
    assert len(encoded) == 9
    monkeypatch.setattr(_texts, "load_backbone", None)
    for cache in stores:
        forget(monkeypatch)
        ZeroShotHead("zoo/RN20", cache=cache).set_classes(names)


def test_the_cache_of_an_ensemble_is_that_of_its_heads(encoded, tmp_path, monkeypatch):
    emoji = load_emoji()
    X, y = emoji.filenames[::40], emoji.target_names[emoji.target[::40]]
    clf = make_backbone_pipeline("zoo/RN20", cache=tmp_path, head=["zero-shot", "kernel-all"])
    proba = clf.fit(X, y).predict_proba(X)
    assert encoded
    encoded.clear()
    forget(monkeypatch)
    np.testing.assert_array_equal(clone(clf).fit(X, y).predict_proba(X), proba)
    assert not encoded
    own = ZeroShotHead(cache=False)
    clf = AdaptiveBackboneEnsemble("zoo/RN20", head=own, cache=tmp_path / "no")
    clf.fit(np.ones((4, 128)), ["a", "b", "a", "b"])
    assert not (tmp_path / "no").exists()  # a head's own parameter comes first
    encoded.clear()


def test_a_store_that_fails_costs_no_result(encoded, tmp_path, monkeypatch):
    expected = embed_classes(RN20, NAMES[:3], TEMPLATES)
    encoded.clear()
    forget(monkeypatch)
    store = EmbeddingStore(tmp_path)
    store.file.write_bytes(b"no database" * 1000)
    with pytest.warns(UserWarning, match="not a database.*Delete") as caught:
        found = embed_classes(RN20, NAMES[:3], TEMPLATES, cache=store)
    assert len(caught) == 1
    np.testing.assert_array_equal(found[0], expected[0])


def test_a_store_that_cannot_be_locked_still_tells_its_texts(encoded, tmp_path, monkeypatch):
    expected = embed_classes(RN20, NAMES[:3], TEMPLATES, cache=tmp_path)
    encoded.clear()
    forget(monkeypatch)
    get = EmbeddingStore._get

    def unlockable(self, keys, model_key, *, immutable=False):
        if not immutable:
            list(keys)
            raise EmbeddingStoreError("cannot be locked")
        return get(self, keys, model_key, immutable=True)

    monkeypatch.setattr(EmbeddingStore, "_get", unlockable)
    found = embed_classes(RN20, NAMES[:3], TEMPLATES, cache=tmp_path)
    np.testing.assert_array_equal(found[0], expected[0])
    assert not encoded


def test_words_that_are_searched_for_are_stored(encoded, tmp_path, monkeypatch):
    images = load_emoji(return_X_y=True)[0][:4]
    retriever = ImageRetriever(CLIPEmbedder("zoo/RN20", cache=tmp_path)).fit(images)
    found = retriever.search(["a dog"])
    assert encoded
    encoded.clear()
    forget(monkeypatch)
    np.testing.assert_array_equal(retriever.search(["a dog"]), found)
    assert not encoded


@pytest.fixture
def busy(encoded, tmp_path, monkeypatch):
    """Another thread that encodes a prompt for as long as this is open."""
    embed_classes(RN20, NAMES[3:5], TEMPLATES, cache=tmp_path)
    ZeroShotHead("zoo/RN20").set_classes(NAMES[:2])
    _texts._known.forget(None)
    inside, over, real = Event(), Event(), _text.encode_texts

    def encode(one, texts):
        inside.set()
        assert over.wait(60)
        return real(one, texts)

    encoded.clear()
    monkeypatch.setattr(_text, "encode_texts", encode)
    with ThreadPoolExecutor(2) as pool:
        job = pool.submit(ZeroShotHead("zoo/RN20").set_classes, ["a slow", "b slow"])
        assert inside.wait(60)
        yield pool
        over.set()
        job.result()


def test_what_is_known_does_not_wait_for_what_is_encoded(busy, tmp_path):
    busy.submit(ZeroShotHead("zoo/RN20").set_classes, NAMES[:2]).result(20)
    stored = busy.submit(embed_classes, RN20, NAMES[3:5], TEMPLATES, cache=tmp_path)
    assert stored.result(20)[0].shape == (2, 128)
    known = busy.submit(embed_classes, RN20, NAMES[3:5], TEMPLATES)
    np.testing.assert_array_equal(known.result(20)[0], stored.result()[0])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_is_forked_meanwhile_encodes_prompts_of_its_own(busy, monkeypatch):
    def encode(one, texts):
        return np.ones((len(texts), 128), np.float32)

    def work():
        monkeypatch.setattr(_text, "encode_texts", encode)
        ZeroShotHead("zoo/RN20").set_classes(NAMES[6:8])
        os._exit(0)

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(30)
    child.kill()
    assert child.exitcode == 0


def test_few_prompts_are_held(monkeypatch):
    expected = embed_classes(RN20, NAMES, TEMPLATES)[0]
    monkeypatch.setattr(_texts, "_HELD", 5)
    monkeypatch.setattr(_texts, "_known", _row_cache.RowCache(2000))
    np.testing.assert_array_equal(embed_classes(RN20, NAMES, TEMPLATES)[0], expected)
    assert _texts._known._bytes <= 2000
    monkeypatch.setattr(_text_head, "_MAX_BYTES", 3000)
    for i in range(5):
        ZeroShotHead("zoo/RN20").set_classes(NAMES[i : i + 5])
    assert len(_text_head._encoded) == 1


def test_one_bar_where_the_work_is_long(encoded, table, capfd, monkeypatch):
    y = np.array(NAMES)[np.arange(40)]
    X = np.hstack([table, table])
    clf = AdaptiveBackboneEnsemble(["zoo/RN20", "zoo/ViT-8"], head=["zero-shot", "residual"])
    clf.set_params(verbose=True, router="uniform", calibrate=False)
    said = {}
    for delay in (0, 60):
        encoded.clear()
        forget(monkeypatch)
        monkeypatch.setattr(_progress, "DELAY", delay)
        clf.fit(X, y)
        said[delay] = capfd.readouterr().err
    assert said[0].count("encoding texts:   0%") == 1
    assert "240/240" in said[0]
    assert "encoding texts" not in said[60]
    with no_warning():
        warnings.filterwarnings("ignore", "The columns of")  # which are of no model
        clf.set_params(verbose=False).fit(X, y)
    assert not capfd.readouterr().err

"""The same again: what is equal to the bit, and how far the rest is apart."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skclipens import AdaptiveBackboneEnsemble, CLIPEmbedder
from skclipens.datasets import load_emoji
from skclipens.embedding import _encoder, _texts, read_embeddings
from skclipens.heads import _text_head
from tests.data.make_model import pictures

RUN = """
import sys
from tests.test_reproducibility import digest
print(digest())
"""


def embed(**options):
    return CLIPEmbedder("zoo/RN20", **options).transform(pictures()[0])


def fitted_proba(X):
    clf = AdaptiveBackboneEnsemble("zoo/RN20", random_state=0).fit(X[::2], pictures()[1][::2])
    return clf.predict_proba(X)


def digest():
    """Of embeddings and of what is learned from them."""
    import hashlib

    X = embed(precision="fp32")
    return hashlib.sha256(X.tobytes() + fitted_proba(X).tobytes()).hexdigest()


def test_twice_in_a_process():
    assert digest() == digest()


def test_what_was_encoded_before_does_not_matter():
    X = embed(precision="fp32")
    expected = fitted_proba(X)
    for classes in (["cat", "dog", "face-positive"], sorted(set(pictures()[1]))[::-1][:2]):
        _texts._known.forget(None)
        _text_head._encoded.clear()
        other = AdaptiveBackboneEnsemble("zoo/RN20", head="zero-shot", router="uniform")
        other.set_params(calibrate=False, class_names=classes).fit(X)
        np.testing.assert_array_equal(fitted_proba(X), expected)


def test_processes_and_hash_seeds():
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = {**os.environ, "PYTHONHASHSEED": other}
    run = [sys.executable, "-c", RUN]
    found = subprocess.run(run, env=environment, check=True, capture_output=True, text=True)
    assert found.stdout.strip() == digest()


def test_threads_of_python():
    X = embed(precision="fp32")
    expected = fitted_proba(X)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: fitted_proba(X), range(4)):
            np.testing.assert_array_equal(found, expected)
        for found in pool.map(lambda _: embed(precision="fp32"), range(4)):
            np.testing.assert_array_equal(found, X)


@pytest.mark.parametrize("precision, apart", [("fp32", 2e-6), ("bf16", 2e-2)])
def test_threads_of_torch_and_batches_change_the_last_digits(precision, apart):
    expected = embed(precision=precision)
    np.testing.assert_array_equal(embed(precision=precision), expected)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2 if before == 1 else 1)
        np.testing.assert_allclose(embed(precision=precision), expected, rtol=0, atol=apart)
    finally:
        torch.set_num_threads(before)
    for batch_size in (1, 5):
        found = embed(precision=precision, batch_size=batch_size)
        np.testing.assert_allclose(found, expected, rtol=0, atol=apart)


@pytest.mark.parametrize("name", ["zoo/RN20", "zoo/ViT-16"])
@pytest.mark.parametrize("device", ["cpu", ["cpu", "cpu"]])
def test_a_picture_in_two_batches_has_equal_rows(name, device, tmp_path):
    files = load_emoji(return_X_y=True)[0][:64]
    images = [None, *files, files[0], None, None, files[3]]
    embedder = CLIPEmbedder(name, device=device, precision="fp32", on_error="nan", batch_size=64)
    X = embedder.transform(images)
    np.testing.assert_array_equal(X[65], X[1])
    np.testing.assert_array_equal(X[68], X[4])
    np.testing.assert_array_equal(embedder.set_params(cache=tmp_path).transform(images), X)


def test_a_picture_in_two_chunks_has_equal_rows(tmp_path):
    pytest.importorskip("pyarrow")
    files = load_emoji(return_X_y=True)[0][:32]
    embedder = CLIPEmbedder("zoo/RN20", device="cpu", precision="fp32", on_error="nan")
    parts = embedder.embed_to(tmp_path / "X", [*files, files[0]], chunk_size=32)
    assert len(parts) == 2
    X = read_embeddings(tmp_path / "X").to_numpy()
    np.testing.assert_array_equal(X[32], X[0])


def test_a_lone_picture_is_not_embedded_with_others(monkeypatch, tmp_path):
    sizes, real = [], _encoder._Replica._try

    def counted(self, pixels):
        sizes.extend(map(len, pixels.values()))
        return real(self, pixels)

    monkeypatch.setattr(_encoder._Replica, "_try", counted)
    files = load_emoji(return_X_y=True)[0][:20]
    embedder = CLIPEmbedder("zoo/RN20", device="cpu", batch_size=18)
    for some, expected in [(files[:1], [1]), (files[:5], [5]), (files, [18, 16])]:
        embedder.transform(some)
        assert sizes == expected
        sizes.clear()
    embedder.set_params(cache=tmp_path).transform(files[1:])
    sizes.clear()
    embedder.transform(files)
    assert sizes == [1]


def test_threads_of_blas_change_the_last_digits_of_predictions():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    X, y = embed(precision="fp32"), pictures()[1]
    clf = AdaptiveBackboneEnsemble("zoo/RN20", random_state=0)
    found = []
    for n in (1, 2):
        with threadpoolctl.threadpool_limits(n, user_api="blas"):
            found.append(clone(clf).fit(X, y))
    with threadpoolctl.threadpool_limits(1, user_api="blas"):  # in which fits run in any case
        one, two = (each.predict_proba(X) for each in found)
    np.testing.assert_array_equal(one, two)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        np.testing.assert_allclose(found[0].predict_proba(X), one, rtol=0, atol=1e-5)

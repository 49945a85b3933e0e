"""Tests of the embedders, against open_clip itself, with the zoo and one larger model."""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import open_clip
import pandas as pd
import polars as pl
import pytest
import torch
from _said import said
from PIL import Image
from safetensors.torch import save_file
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr
from sklearn.utils._param_validation import InvalidParameterError

from skclipens import CLIPEmbedder, ImageError, MultiBackboneEmbedder, zoo
from skclipens._utils import _progress
from skclipens._utils._progress import progress
from skclipens.backbones import Backbone
from skclipens.cascade import CascadeClassifier
from skclipens.datasets import load_emoji
from skclipens.embedding._encoder import ImageEncoder
from skclipens.images import _load, load_image

PAIR = ["zoo/RN20", "zoo/ViT-8"]
CPU = {"device": "cpu", "precision": "fp32"}  # where values are compared closely
LARGER = "ViT-S-32-alt"  # 224 pixels, 43 million parameters, saved by a fixture


@pytest.fixture(scope="module")
def expected(paths):
    return MultiBackboneEmbedder(PAIR, **CPU).transform(paths)


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("larger") / "weights.safetensors"
    save_file(open_clip.create_model(LARGER).state_dict(), file)
    return f"{LARGER}//{file}"


def cosine_distances(a, b):
    a, b = np.float64(a), np.float64(b)
    return 1 - (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def reference(backbone, pictures):
    """What open_clip gives, by its own documentation: one picture at a time, not normalised."""
    weights = str(backbone.path) if backbone.architecture else None
    model, _, preprocess = open_clip.create_model_and_transforms(backbone.model_name, weights)
    with torch.no_grad():
        model.eval()
        rows = [model.encode_image(preprocess(load_image(one))[None]) for one in pictures]
    return torch.cat(rows).numpy()


# Values


@pytest.mark.parametrize("spec", [f"zoo/{name}" for name in zoo.MODELS] + [LARGER])
def test_agrees_with_open_clip(spec, paths, request):
    spec = request.getfixturevalue("larger") if spec == LARGER else spec
    expected = reference(Backbone(spec), paths)
    assert (cosine_distances(expected, np.roll(expected, 1, axis=0)) > 1e-4).all()
    found = CLIPEmbedder(spec, **CPU, batch_size=3).fit_transform(paths)
    assert found.dtype == np.float32
    assert (cosine_distances(found, expected) < 1e-6).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    raw = CLIPEmbedder(spec, **CPU, normalize=False).fit_transform(paths)
    np.testing.assert_allclose(raw, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_blocks_stand_side_by_side(paths, larger):
    specs = [PAIR[1], larger, PAIR[0]]
    blocks = [CLIPEmbedder(spec, **CPU).transform(paths) for spec in specs]
    together = MultiBackboneEmbedder(specs, **CPU).fit_transform(paths)
    np.testing.assert_allclose(together, np.hstack(blocks), atol=1e-6)


PICTURES = {
    "paths": list,
    "Path objects": lambda paths: [Path(path) for path in paths],
    "array of str": np.array,
    "column of str": lambda paths: np.array(paths, dtype=object)[:, None],
    "bytes": lambda paths: [Path(path).read_bytes() for path in paths],
    "PIL": lambda paths: [Image.open(path) for path in paths],
    "arrays": lambda paths: [np.asarray(load_image(path)) for path in paths],
    "float arrays": lambda paths: [np.asarray(load_image(path)) / 255 for path in paths],
    "tensors": lambda paths: [
        torch.tensor(np.asarray(load_image(path))).permute(2, 0, 1) for path in paths
    ],
    "Series": pd.Series,
    "frame": lambda paths: pd.DataFrame({"photo": paths}),
    "polars Series": lambda paths: pl.Series("photo", paths),
    "polars frame": lambda paths: pl.DataFrame({"photo": paths}),
    "mixed": lambda paths: [Path(paths[0]), Image.open(paths[1]), *paths[2:]],
}


@pytest.mark.parametrize("form", PICTURES)
def test_every_form_of_input_gives_the_same(form, paths, expected):
    found = MultiBackboneEmbedder(PAIR, **CPU).fit_transform(PICTURES[form](paths))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_batch_of_pixels():
    pixels = np.stack([load_image(path) for path in load_emoji().filenames[::300]])
    expected = CLIPEmbedder("zoo/ViT-8", **CPU).transform(list(pixels))
    for batch in (pixels, pixels / 255, torch.tensor(pixels).permute(0, 3, 1, 2)):
        found = CLIPEmbedder("zoo/ViT-8", **CPU).fit_transform(batch)
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 7, 1000])
def test_batch_size_does_not_matter(batch_size, paths, expected):
    embedder = MultiBackboneEmbedder(PAIR, **CPU, batch_size=batch_size)
    np.testing.assert_allclose(embedder.transform(paths), expected, atol=1e-5)


def test_images_are_decoded_once_and_resized_once_per_preprocessing(paths, larger, monkeypatch):
    calls = {"_picture_to_rgb": 0, "resize": 0}

    def count(owner, name):
        real = getattr(owner, name)

        def counted(*args, **kwargs):
            calls[name] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    count(_load, "_picture_to_rgb")
    count(Image.Image, "resize")
    MultiBackboneEmbedder([*PAIR, larger, "zoo/RegNet"], **CPU).transform(paths)
    assert calls == {"_picture_to_rgb": len(paths), "resize": 2 * len(paths)}


@pytest.mark.parametrize("spec", [f"zoo/{name}" for name in zoo.MODELS] + [LARGER])
def test_low_precision(spec, paths, request):
    spec = request.getfixturevalue("larger") if spec == LARGER else spec
    expected = CLIPEmbedder(spec, **CPU).transform(paths)
    found = CLIPEmbedder(spec, device="cpu", precision="bf16").transform(paths)
    assert found.dtype == np.float32
    distances = cosine_distances(found, expected)
    assert (distances < 1e-3).all()
    assert (distances > 1e-8).any()  # it is another precision
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    again = CLIPEmbedder(spec, **CPU).transform(paths)
    np.testing.assert_array_equal(again, expected)  # the loaded model is as it was


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "fp32")])
def test_automatic_precision(native, precision, paths, monkeypatch):
    capabilities = {"avx512_bf16": native}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    auto = MultiBackboneEmbedder(PAIR, device="cpu").transform(paths)
    named = MultiBackboneEmbedder(PAIR, device="cpu", precision=precision).transform(paths)
    np.testing.assert_array_equal(auto, named)


def test_batches_that_wait_for_a_device_come_in_order(paths, monkeypatch):
    """As on a GPU, which gets its next batches before the last result is waited for."""
    embedder = MultiBackboneEmbedder(PAIR, device=["cpu", "cpu"], precision="fp32", batch_size=2)
    expected = embedder.transform(paths)
    monkeypatch.setattr(
        ImageEncoder, "n_ahead", property(lambda self: 3, lambda self, n: None), raising=False
    )
    np.testing.assert_allclose(embedder.transform(paths), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_compiled(precision, paths):
    plain = CLIPEmbedder("zoo/ViT-16", device="cpu", precision=precision, batch_size=3)
    expected = plain.transform(paths)
    compiled = clone(plain).set_params(compile=True).transform(paths)
    assert (cosine_distances(compiled, expected) < 1e-3).all()


# Bad images


def test_an_image_that_cannot_be_read_is_named(paths, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not a picture")
    for images, name in (
        ([*paths[:3], bad, *paths[3:]], r"row 3: .*bad\.png.* cannot be read"),
        ([*paths[:3], None], "row 3: None"),
        ([*paths[:3], "nowhere.png"], r"row 3: 'nowhere\.png' .*no such file"),
    ):
        with pytest.raises(ImageError, match=name):
            CLIPEmbedder(PAIR[0], **CPU, batch_size=2).fit_transform(images)


@pytest.mark.parametrize(
    "absent",
    [None, "", "nowhere.png", "https://no.org/a.png", {"path": "nowhere.png"}, {"path": None}],
)
def test_a_missing_image_is_named_before_others_are_read(absent, paths):
    embedder = CLIPEmbedder(PAIR[0], **CPU, batch_size=2)
    cascade = CascadeClassifier([PAIR[0]]).fit(paths[:4], list("abab"))
    for use in (embedder.transform, cascade.predict):
        with pytest.raises(ImageError, match="row 3: ") as caught:
            use([b"not a picture", *paths[:2], absent])
        assert "row 0" not in str(caught.value)
    dataset = [{"bytes": Path(paths[0]).read_bytes(), "path": "not/on/this/disk.png"}]
    assert len(embedder.transform(dataset)) == 1


def test_too_few_labels_are_found_before_images_are_read(paths):
    classifier = make_pipeline(CLIPEmbedder(PAIR[0]), LogisticRegression())
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[4, 3\]"):
        classifier.fit([b"not a picture", *paths[:3]], list("aba"))


def test_the_column_of_an_image_that_cannot_be_read_is_named():
    for X in (pd.Series([None], name="back"), pd.DataFrame({"back": [None]})):
        with pytest.raises(ImageError, match="row 0") as caught:
            CLIPEmbedder("zoo/RN20").transform(X)
        assert caught.value.__notes__ == ["It is in the column 'back'."]


def test_an_image_that_cannot_be_read_can_be_a_row_of_nan(paths, expected):
    images = [None, *paths[:4], "nowhere.png", b"not a picture", None, paths[4]]
    read = [1, 2, 3, 4, 8]
    embedder = MultiBackboneEmbedder(PAIR, **CPU, batch_size=2, on_error="nan")
    found = embedder.fit_transform(images)
    np.testing.assert_allclose(found[read], expected[:5], atol=1e-5)
    assert np.isnan(np.delete(found, read, axis=0)).all()
    assert np.isnan(embedder.transform([None])).all()


def test_an_object_that_fails_to_give_its_pixels_is_an_image_that_cannot_be_read(paths, tmp_path):
    class Lost:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("its file is gone.")

    images = [*paths[:2], Lost()]
    embedder = CLIPEmbedder(PAIR[0], **CPU)
    with pytest.raises(ImageError, match=r"row 2: object of type Lost .*RuntimeError: its file is"):
        embedder.fit_transform(images)
    for cache in (None, tmp_path):
        found = embedder.set_params(on_error="nan", cache=cache).fit_transform(images)
        assert np.isnan(found).all(axis=1).tolist() == [False, False, True]


@pytest.mark.parametrize("embedder", [CLIPEmbedder(PAIR[0]), MultiBackboneEmbedder(PAIR)])
@pytest.mark.parametrize("X", [[], "cat.png", np.zeros((3, 5)), pd.DataFrame({"a": [1], "b": [2]})])
def test_what_is_no_collection_of_images(embedder, X):
    for method in (embedder.fit, embedder.transform):
        with pytest.raises(ValueError, match=r"Expected|Found array with 0"):
            method(X)


# scikit-learn


def test_names_of_columns(paths):
    embedder = MultiBackboneEmbedder(["RN50", "zoo/ViT-8"])  # RN50 is not loaded
    names = embedder.get_feature_names_out()
    assert len(names) == 1024 + 128
    assert [names[0], names[1023], names[1024], names[-1]] == [
        "RN50/openai__0",
        "RN50/openai__1023",
        "zoo/ViT-8__0",
        "zoo/ViT-8__127",
    ]
    embedder = MultiBackboneEmbedder("zoo")
    names = embedder.get_feature_names_out()
    fitted = embedder.fit(pd.DataFrame({"photo": paths}))
    np.testing.assert_array_equal(fitted.get_feature_names_out(["photo"]), names)
    assert fitted.n_features_in_ == 1
    assert list(fitted.feature_names_in_) == ["photo"]
    assert list(fitted.fit(pl.DataFrame({"image": paths})).feature_names_in_) == ["image"]
    assert not hasattr(fitted.fit(paths), "feature_names_in_")


def test_a_column_with_another_name_is_refused(paths):
    embedder = MultiBackboneEmbedder(PAIR, **CPU).fit(pd.DataFrame({"photo": paths}))
    for frame in (pd.DataFrame({"drawing": paths}), pl.DataFrame({"drawing": paths})):
        with pytest.raises(ValueError, match=r"feature names(.|\n)*- drawing(.|\n)*- photo"):
            embedder.transform(frame)
    # What has no name of a column may be any.
    assert not said(embedder.transform, paths)
    assert not said(embedder.transform, pd.Series(paths, name="drawing"))
    assert not said(embedder.fit(paths).transform, pd.DataFrame({"drawing": paths}))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output(library, paths, expected):
    embedder = MultiBackboneEmbedder(PAIR, **CPU).set_output(transform=library)
    index = pd.Index([f"row {i}" for i in range(len(paths))], name="key")
    inputs = (pd.DataFrame({"photo": paths}, index=index), pd.Series(paths, index=index), paths)
    for X in inputs:
        for frame in (
            embedder.transform(X),
            embedder.fit(X).transform(X),
            embedder.fit_transform(X),
        ):
            assert type(frame).__module__.startswith(library)
            assert list(frame.columns) == list(embedder.get_feature_names_out())
            np.testing.assert_allclose(frame.to_numpy(), expected, atol=1e-6)
            if library == "pandas":
                kept = index if X is not paths else pd.RangeIndex(len(paths))
                pd.testing.assert_index_equal(frame.index, kept)


@pytest.mark.parametrize("column", ["photo", ["photo"]])
@pytest.mark.parametrize("output", ["default", "pandas"])
def test_images_as_one_column_of_a_table(column, output, paths, expected):
    frame = pd.DataFrame({"price": np.arange(len(paths)), "photo": paths})
    frame.index = frame.index * 10
    table = ColumnTransformer(
        [
            ("image", MultiBackboneEmbedder(PAIR, **CPU), column),
            ("rest", StandardScaler(), ["price"]),
        ]
    ).set_output(transform=output)
    for found in (table.fit_transform(frame), table.transform(frame)):
        np.testing.assert_allclose(np.asarray(found)[:, :-1], expected, atol=1e-6)
        assert found.shape[1] == expected.shape[1] + 1
        if output == "pandas":
            assert list(found.columns[[0, -1]]) == ["image__zoo/RN20__0", "rest__price"]
            assert list(found.index) == list(frame.index)


def test_holds_no_model(paths, expected):
    embedder = MultiBackboneEmbedder(PAIR, **CPU).fit(paths)
    embedder.transform(paths)
    stored = pickle.dumps(embedder)
    assert len(stored) < 2000
    assert b"torch." not in stored
    for copy in (pickle.loads(stored), clone(embedder)):
        np.testing.assert_allclose(copy.transform(paths), expected, atol=1e-6)
    assert embedder.set_params(backbones="zoo/ViT-16").transform(paths[:1]).shape == (1, 128)


def test_shown(paths):
    embedder = MultiBackboneEmbedder("zoo", batch_size=8)
    assert repr(embedder) == "MultiBackboneEmbedder(backbones='zoo', batch_size=8)"
    assert "MultiBackboneEmbedder" in estimator_html_repr(embedder.fit(paths))


def test_one_bar_at_a_time_and_none_for_what_is_quick(bars_at_once, monkeypatch, capfd):
    with progress(3, True, desc="outer") as outer, progress(2, True, desc="inner") as inner:
        inner.update(2)
        outer.update(3)
    shown = capfd.readouterr().err
    assert "outer: 100%" in shown
    assert "inner" not in shown
    with progress(1, True, desc="next") as bar:
        bar.update()
    assert "next: 100%" in capfd.readouterr().err
    monkeypatch.setattr(_progress, "DELAY", 60)
    with progress(1, True, desc="cached") as bar:
        bar.update()
    assert capfd.readouterr() == ("", "")


def test_no_bar_without_standard_error(bars_at_once, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)  # as in a service without a console
    with progress(1, True) as bar:
        bar.update()


def test_bars_of_many_threads(capfd):
    held = [progress(1, False) for _ in range(3000)]

    def work(verbose):
        return [progress(1, verbose).close() for _ in range(30)]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, [True, False] * 4))
    finally:
        sys.setswitchinterval(interval)
    assert len(held) == 3000


@pytest.mark.usefixtures("bars_at_once")
def test_progress_bar_only_if_asked_for(paths, capfd):
    CLIPEmbedder("zoo/RN20", **CPU).fit_transform(paths)
    assert capfd.readouterr() == ("", "")
    CLIPEmbedder("zoo/RN20", **CPU, verbose=True, batch_size=2).transform(paths)
    out, err = capfd.readouterr()
    assert out == ""
    assert f"{len(paths)}/{len(paths)}" in err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("backbone", None),
        ("device", 0),
        ("precision", "fp8"),
        ("batch_size", 0),
        ("batch_size", 2.5),
        ("n_jobs", "all"),
        ("compile", "yes"),
        ("normalize", "yes"),
        ("on_error", "ignore"),
        ("verbose", "loud"),
    ],
)
def test_invalid_parameter(name, value, paths):
    for embedder in (CLIPEmbedder("zoo/RN20"), MultiBackboneEmbedder("zoo")):
        if isinstance(embedder, MultiBackboneEmbedder) and name == "backbone":
            name = "backbones"
        embedder.set_params(**{name: value})
        for method in (embedder.fit, embedder.transform, embedder.fit_transform):
            with pytest.raises(InvalidParameterError, match=f"'{name}' parameter"):
                method(paths)


@pytest.mark.parametrize(
    ("embedder", "message"),
    [
        (CLIPEmbedder("zoo"), "'zoo' names several backbones; use MultiBackboneEmbedder"),
        (CLIPEmbedder("zoo/RN21"), "zoo has no model 'RN21'"),
        (MultiBackboneEmbedder(["zoo/RN20", "zoo"]), "zoo/RN20 more than once"),
        (MultiBackboneEmbedder([]), "backbones is empty"),
        (MultiBackboneEmbedder("zoo", device="tpu"), "device='tpu' is not available"),
        (MultiBackboneEmbedder("zoo", device=["cpu", "tpu"]), "device='tpu' is not available"),
        (MultiBackboneEmbedder("zoo", device=[]), "device is empty"),
    ],
)
def test_wrong_parameter(embedder, message, paths):
    for method in (embedder.fit, embedder.transform):
        with pytest.raises(ValueError, match=message):
            method(paths)


def test_torch_and_data_sets_are_imported_only_when_they_are_needed():
    code = """
import sys
from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder, make_backbone_pipeline
assert not {"torch", "sklearn.datasets", "skclipens.datasets"} & set(sys.modules)
import skclipens, skclipens.embedding, skclipens.heads, skclipens.labels, skclipens.utils
skclipens.datasets.list_benchmarks(".")
embedder = MultiBackboneEmbedder("zoo").set_output(transform="pandas")
assert len(embedder.get_feature_names_out()) == 5 * 128
assert not {"torch", "open_clip", "matplotlib"} & set(sys.modules)
import skclipens.inspection
assert not {"torch", "matplotlib.pyplot"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# Devices


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("auto", 1e-2)])
def test_cuda_agrees_with_cpu(precision, tolerance, paths, expected):
    found = MultiBackboneEmbedder(PAIR, device="cuda", precision=precision).transform(paths)
    for block, other in zip(np.hsplit(found, 2), np.hsplit(expected, 2), strict=True):
        assert (cosine_distances(block, other) < tolerance).all()


@pytest.mark.gpu
def test_pickled_on_a_gpu_and_loaded_without(paths, tmp_path):
    embedder = MultiBackboneEmbedder(PAIR).fit(paths)
    embedder.transform(paths)
    (tmp_path / "embedder.pickle").write_bytes(pickle.dumps(embedder))
    code = f"""
import pickle, torch
embedder = pickle.load(open({str(tmp_path / "embedder.pickle")!r}, "rb"))
assert not torch.cuda.is_available()
assert embedder.transform({paths!r}).shape == ({len(paths)}, 256)
"""
    without = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", code], check=True, env=without)


FORK = """
import multiprocessing, os, sys, torch
from skclipens import AdaptiveBackboneEnsemble, CLIPEmbedder, ZeroShotHead
from skclipens.datasets import load_emoji
paths, embedder = list(map(str, load_emoji(return_X_y=True)[0][:20])), CLIPEmbedder("zoo/RN20")
head = ZeroShotHead("zoo/RN20", class_names={"a": "cat", "b": "dog"})
clf = AdaptiveBackboneEnsemble("zoo/RN20", head="linear")
torch.set_num_threads(2)
torch.randn(600, 600) @ torch.randn(600, 600)
X = embedder.transform(paths)
def fit_and_score():
    return clf.fit(X, list("ab") * 10).score(X, list("ab") * 10)
score = fit_and_score()
def of_images():
    assert abs(embedder.transform(paths) - X).max() < 1e-4
    of_texts()
def of_texts():
    head.fit(X, list("ab") * 10)
    os._exit(0)
def of_rows():
    assert fit_and_score() == score
    os._exit(0)
for work in (of_images, of_texts, of_rows):
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(120)
    child.kill()
    assert child.exitcode == 0, work
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_does_not_wait_for_threads_of_its_parent():
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", FORK], env=environment, check=True)

"""Tests of image towers of timm: small models with random weights, saved by the test."""

import huggingface_hub
import numpy as np
import pytest
import timm
import torch
from _said import no_warning
from PIL import Image
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skclipens import (
    AdaptiveBackboneEnsemble,
    BackboneNotAvailableError,
    CLIPEmbedder,
    MultiBackboneEmbedder,
    ZeroShotHead,
)
from skclipens.backbones import (
    Backbone,
    _available,
    clear_backbone_cache,
    load_backbone,
    resolve_backbones,
)
from skclipens.backbones._available import check_available
from skclipens.backbones._preprocessing import Resize, resize_key, scale_pixels
from skclipens.backbones._pretrained import preprocessing
from skclipens.backbones._timm import ImageTower
from skclipens.embedding import model_key
from skclipens.images._reduced import Picture

PLAIN = {"device": "cpu", "precision": "fp32", "normalize": False}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file with weights and classifier of a model with its pretrained tag."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "test_vit.safetensors"
    save_file(timm.create_model("test_vit", num_classes=7).state_dict(), file)
    return file


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    yield tmp_path / "hub"
    clear_backbone_cache()


@pytest.fixture
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 9, 14, 3), dtype=np.uint8)
    return [np.asarray(Image.fromarray(image).resize((280, 180))) for image in pixels]


@torch.inference_mode()
def by_timm(name, file, images):
    """Features before the classifier, as timm's documentation computes them."""
    model = timm.create_model(name, num_classes=7, checkpoint_path=str(file)).eval()
    model.reset_classifier(0)
    config = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**config, is_training=False)
    return model(torch.stack([transform(Image.fromarray(image)) for image in images])).numpy()


@pytest.mark.parametrize(
    ("spec", "name", "width"),
    [
        ("timm/resnet18", "timm/resnet18.a1_in1k", 512),
        ("timm/resnet18.tv_in1k", "timm/resnet18.tv_in1k", 512),
        ("timm/mobilenetv3_small_050", "timm/mobilenetv3_small_050.lamb_in1k", 1024),
        ("timm/vit_giant_patch14_dinov2", "timm/vit_giant_patch14_dinov2.lvd142m", 1536),
    ],
)
def test_names_and_widths(spec, name, width):
    backbone = Backbone(spec)
    assert (backbone.name, backbone.width, backbone.has_text) == (name, width, False)
    assert backbone == Backbone(name) != Backbone("RN50")
    assert resolve_backbones([spec, "zoo/RN20"])[1].has_text


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("timm/ResNet-18", "timm has no model 'ResNet-18', did you mean 'timm/resnet18'?"),
        ("timm/ViT-B-16-SigLIP", "timm has no model.*'hf-hub:ORG/NAME'"),
        ("timm/resnet18.best", "no pretrained weights 'best' of 'timm/resnet18', only a1_in1k"),
        ("timm/botnet50ts_256", r"no pretrained weights.*\(none\).*'timm/botnet50ts_256//path"),
        ("timm/resnet18//no/file", "there is no file '/.*/no/file'"),
        ("timm/", "timm has no model ''"),
    ],
)
def test_unknown_models_are_named_with_what_to_do(spec, message):
    with pytest.raises(ValueError, match=message):
        Backbone(spec)


def test_a_file_gives_the_features_of_timm(weights, images):
    spec = f"timm/test_vit//{weights}"
    found = CLIPEmbedder(spec, **PLAIN).transform(images)
    assert found.shape == (4, Backbone(spec).width)
    np.testing.assert_allclose(found, by_timm("test_vit", weights, images), atol=1e-4)
    half = CLIPEmbedder(spec, **PLAIN | {"precision": "bf16"}).transform(images)
    np.testing.assert_allclose(half, found, atol=0.15)
    assert not np.array_equal(half, found)


@pytest.mark.parametrize("name", ["levit_128s", "efficientvit_m0", "repvit_m0_9"])
def test_a_layer_of_the_classifier_is_left_out_with_it(name, images, tmp_path):
    model = timm.create_model(name, num_classes=10)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    spec = f"timm/{name}//{tmp_path / 'model.safetensors'}"
    found = CLIPEmbedder(spec, **PLAIN).transform(images)
    assert found.shape == (4, Backbone(spec).width)
    config = timm.data.resolve_data_config({}, model=model)
    transform = timm.data.create_transform(**config, is_training=False)
    model.eval().reset_classifier(0)
    with torch.no_grad():
        expected = model(torch.stack([transform(Image.fromarray(i)) for i in images])).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_pretrained_weights_from_a_filled_hub_cache(hub, weights, images):
    folder = hub / "models--timm--test_vit.r160_in1k"
    for name in ("snapshots/0a", "refs"):
        (folder / name).mkdir(parents=True)
    file = folder / "snapshots/0a/model.safetensors"
    state = timm.models.load_state_dict(weights)
    save_file(state | {"head.weight": torch.ones(1000, 64), "head.bias": torch.ones(1000)}, file)
    (folder / "refs/main").write_text("0a")
    found = CLIPEmbedder("timm/test_vit", **PLAIN).transform(images)
    np.testing.assert_allclose(found, by_timm("test_vit", weights, images), atol=1e-4)


def test_weights_that_are_not_on_this_machine(hub):
    message = (
        r"(?s)^'timm/resnet18.a1_in1k' cannot.*internet.*'timm/resnet18.a1_in1k//path/to/file'"
    )
    with pytest.raises(BackboneNotAvailableError, match=message):
        load_backbone("timm/resnet18")


def test_weights_that_have_only_a_url_are_where_timm_puts_them(hub, tmp_path, monkeypatch):
    backbone = Backbone("timm/gcvit_xxtiny.in1k")
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(_available, "_silence_of", lambda url: f"{url} does not answer.")
    with pytest.raises(BackboneNotAvailableError, match=r"gcvit_xxtiny.*\.pth does not answer"):
        check_available(backbone)
    file = timm.get_pretrained_cfg("gcvit_xxtiny.in1k").url.rpartition("/")[2]
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / file).write_bytes(b"")
    check_available(backbone)


def test_a_file_that_does_not_hold_the_weights(weights, tmp_path):
    state = timm.models.load_state_dict(weights)
    less = {key: value for key, value in state.items() if "blocks.0" not in key}
    for name, content, said in (
        ("less.safetensors", less, r"Missing key.*\"blocks.0.norm1.weight\".* and \d+ more\. $"),
        ("more.safetensors", state | {"blocks.99.weight": torch.ones(1)}, "Unexpected key.*99"),
    ):
        save_file(content, tmp_path / name)
        with pytest.raises(
            ValueError, match=rf"(?s){name}' does not hold the weights of timm/test_vit.*{said}"
        ):
            load_backbone(f"timm/test_vit//{tmp_path / name}")


def test_a_tag_decides_the_preprocessing_of_a_file(tmp_path, images):
    torch.manual_seed(0)
    file = tmp_path / "resnet18.safetensors"
    save_file(timm.create_model("resnet18", num_classes=7).state_dict(), file)
    specs = [f"timm/resnet18.{tag}//{file}" for tag in ("a1_in1k", "tv_in1k")]
    keys = {model_key(Backbone(spec), "fp32") for spec in specs}
    assert len(keys) == 2
    for spec in specs:
        with no_warning():
            found = CLIPEmbedder(spec, **PLAIN).transform(images)
        expected = by_timm(spec.removeprefix("timm/").partition("//")[0], file, images)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    with pytest.warns(UserWarning, match=r"resnet18.safetensors'.*'timm/resnet18.TAG//.*tv_in1k"):
        config = load_backbone(f"timm/resnet18//{file}").preprocess_config
    assert config == load_backbone(specs[0]).preprocess_config
    cached = tmp_path / "models--timm--resnet18.tv_in1k" / file.name
    cached.parent.mkdir()
    cached.symlink_to(file)
    by_folder = Backbone(f"timm/resnet18//{cached}")
    assert preprocessing(by_folder) == preprocessing(Backbone(specs[1]))
    assert model_key(by_folder, "fp32") in keys


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
def test_every_crop_mode_of_timm(mode, images):
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.2, 0.2)
    config = {"mean": mean, "std": std, "interpolation": "bilinear", "crop_pct": 0.9}
    config |= {"crop_mode": mode}
    transform = timm.data.create_transform(input_size=(3, 64, 96), is_training=False, **config)
    config["size"] = (64, 96)
    expected = transform(Image.fromarray(images[0]))
    resized = torch.tensor(np.asarray(Resize(config)(Picture.whole(Image.fromarray(images[0])))))
    found = scale_pixels(resized.permute(2, 0, 1), mean, std)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    same = resize_key(config) == resize_key(config | {"mean": std})
    assert same == (mode != "border")


def test_beside_a_clip_model_and_in_a_store(weights, images, tmp_path):
    specs = ["zoo/RN20", f"timm/test_vit//{weights}"]
    embedder = MultiBackboneEmbedder(specs, device="cpu", cache=tmp_path / "cache")
    first = embedder.transform(images)
    assert first.shape == (4, 128 + 64)
    assert embedder.get_feature_names_out()[-1] == f"{specs[1]}__63"
    np.testing.assert_array_equal(embedder.transform(images), first)
    clf = make_pipeline(embedder, LogisticRegression()).fit(images, ["a", "a", "b", "b"])
    assert clf.predict(images).shape == (4,)


def test_there_are_no_texts(weights, images):
    spec = f"timm/test_vit//{weights}"
    rows = CLIPEmbedder(spec, **PLAIN).transform(images[:2])
    for use in (
        lambda: ZeroShotHead(spec).fit(rows, ["cat", "dog"]),
        lambda: load_backbone(spec).tokenizer,
    ):
        with pytest.raises(ValueError, match=r"test_vit.* image tower without texts.*'linear'"):
            use()


def test_a_model_must_give_one_row_per_image():
    with pytest.raises(ValueError, match=r"Identity gives.*\(1, 3, 8, 8\); .*one row per image"):
        ImageTower(torch.nn.Identity()).encode_image(torch.zeros(1, 3, 8, 8))


def test_an_ensemble_gives_it_learned_heads_only(weights, images):
    spec = f"timm/test_vit//{weights}"
    X = MultiBackboneEmbedder([spec, "zoo/RN20"]).fit_transform(images)
    y = ["cat", "cat", "dog", "dog"]
    clf = AdaptiveBackboneEnsemble([spec, "zoo/RN20"], random_state=0).fit(X, y)
    assert list(clf.expert_names_) == [
        "zoo/RN20:zero-shot",
        f"{spec}:kernel",
        "zoo/RN20:kernel",
        "all:linear-all",
    ]
    with pytest.raises(ValueError, match="image tower without texts"):
        ZeroShotHead(spec).fit(X[:, :64], y)
    with pytest.raises(ValueError, match="needs blocks that are embeddings of backbones"):
        clf.set_params(head="zero-shot", blocks=[spec]).fit(X[:, : Backbone(spec).width], y)

"""Tests that every model gets its images as its weights need them."""

import json
import warnings

import huggingface_hub
import numpy as np
import open_clip
import pytest
import torch
from _said import no_warning
from PIL import Image
from safetensors.torch import save_file

from skclipens import CLIPEmbedder, ImageError
from skclipens.backbones import Backbone, _weights, clear_backbone_cache, load_backbone
from skclipens.backbones._preprocessing import Resize, scale_pixels
from skclipens.backbones._pretrained import preprocessing, warn_of_guesses
from skclipens.embedding import model_key
from skclipens.images._reduced import Picture

TINY = "ViT-tiny-preprocessing"
CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": [48, 48], "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}
# Weights of which each needs something else: normalization, interpolation, squashing.
LIKE = {
    "plain": ("ViT-B-16", "laion2b_s34b_b88k"),
    "siglip": ("ViT-B-16-SigLIP", "webli"),
    "mobileclip": ("MobileCLIP-S1", "datacompdr"),
    "pe": ("PE-Core-B-16", "meta"),
    "dfn": ("ViT-H-14-378", "dfn5b"),
    "clipa": ("ViT-L-14-CLIPA", "datacomp1b"),
}
PRETRAINED = open_clip.list_pretrained()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of a small model with random weights, whose architecture open_clip knows."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / f"{TINY}.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(folder / f"{TINY}.json")
    torch.manual_seed(0)
    save_file(open_clip.create_model(TINY).state_dict(), folder / "weights.safetensors")
    return folder / "weights.safetensors"


@pytest.fixture
def tags(weights, tmp_path, monkeypatch):
    """TINY has pretrained weights like all of LIKE, in a cache of the hub."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    table = {tag: dict(open_clip.get_pretrained_cfg(*names)) for tag, names in LIKE.items()}
    for tag, facts in table.items():
        facts.update(hf_hub=f"tests/{tag}/open_clip_model.safetensors", url="")
        folder = tmp_path / f"models--tests--{tag}"
        for name in ("snapshots/0a", "refs"):
            (folder / name).mkdir(parents=True)
        (folder / "snapshots/0a/open_clip_model.safetensors").symlink_to(weights)
        (folder / "refs/main").write_text("0a")
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, TINY, table)
    yield list(table)
    clear_backbone_cache()


@pytest.fixture
def picture():
    pixels = np.random.default_rng(0).integers(0, 256, (13, 20, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((200, 130), Image.Resampling.BICUBIC)


@pytest.fixture
def unbuilt(tmp_path, monkeypatch):
    """open_clip's create_model, but for the model itself: 196 of them would take hours."""

    class Model(torch.nn.Module):
        def __init__(self, vision_cfg, **rest):
            super().__init__()
            self.visual = torch.nn.Identity()
            self.visual.image_size = vision_cfg.get("image_size", 224)

    for name in ("CLIP", "CustomTextCLIP", "CoCa"):
        monkeypatch.setattr(open_clip.factory, name, Model)
    for name in ("load_checkpoint", "download_pretrained"):
        monkeypatch.setattr(open_clip.factory, name, lambda *args, **options: "weights")
    for name in ("require_transformers", "check_available", "check_checkpoint"):
        monkeypatch.setattr(_weights, name, lambda *args: None)
    monkeypatch.setattr(_weights, "_stored_shapes", lambda file: {})
    file = tmp_path / "weights.safetensors"
    file.touch()
    return file


@pytest.mark.filterwarnings("ignore:QuickGELU mismatch")  # open_clip is asked by names alone
def test_every_pretrained_tag_as_in_open_clip(unbuilt):
    assert len(PRETRAINED) > 150
    n_unlike_openai = 0
    for name, tag in PRETRAINED:
        model, _, _ = open_clip.create_model_and_transforms(name, tag)
        expected = open_clip.get_model_preprocess_cfg(model)
        n_unlike_openai += expected["mean"][0] != 0.48145466
        for spec in (f"{name}/{tag}", f"{name}/{tag}//{unbuilt}"):
            found = open_clip.get_model_preprocess_cfg(_weights.build_model(Backbone(spec)))
            assert found == expected
    assert n_unlike_openai > 40


def test_a_file_needs_what_all_pretrained_weights_of_its_architecture_need(unbuilt):
    for name, tag in PRETRAINED:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn_of_guesses(Backbone(f"{name}//{unbuilt}"))
        messages = [str(one.message) for one in caught]
        warned = any("with OpenAI's preprocessing" in message for message in messages)
        assert warned == (name in ("ViT-L-14", "ViT-H-14", "ViT-H-14-quickgelu"))
        if not warned:
            expected = preprocessing(Backbone(f"{name}/{tag}"))
            assert preprocessing(Backbone(f"{name}//{unbuilt}")) == expected
            # To open_clip, a file that it trained itself looks the same.
            doubted = any(f"'{name}/TAG//...', with their tag:" in message for message in messages)
            assert doubted == (expected != preprocessing(Backbone("ViT-B-32")))
    untrained = preprocessing(Backbone(f"ViT-S-32//{unbuilt}"))
    assert untrained == preprocessing(Backbone("ViT-B-32"))


@pytest.mark.parametrize("tag", LIKE)
def test_the_pixels_of_a_tag_are_those_of_open_clip(tags, weights, picture, tag):
    quick_gelu = open_clip.get_pretrained_cfg(TINY, tag).get("quick_gelu", False)
    model, _, transform = open_clip.create_model_and_transforms(
        TINY, tag, force_quick_gelu=quick_gelu
    )
    expected = transform(picture)
    with torch.inference_mode():
        row = model.eval().encode_image(expected[None])[0].numpy()
    for spec in (f"{TINY}/{tag}", f"{TINY}/{tag}//{weights}"):
        config = load_backbone(spec).preprocess_config
        assert config == open_clip.get_model_preprocess_cfg(model)
        resized = torch.tensor(np.asarray(Resize(config)(Picture.whole(picture)))).permute(2, 0, 1)
        found = scale_pixels(resized, config["mean"], config["std"])
        np.testing.assert_allclose(found, expected, atol=1e-5)
        embedder = CLIPEmbedder(spec, device="cpu", precision="fp32", normalize=False)
        np.testing.assert_allclose(embedder.transform([picture])[0], row, atol=1e-4)


def test_another_default_dtype_changes_nothing():
    pixels = torch.arange(48, dtype=torch.uint8).reshape(1, 3, 4, 4)
    colours = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    expected = scale_pixels(pixels, *colours)
    torch.set_default_dtype(torch.float16)
    try:
        assert torch.equal(scale_pixels(pixels, *colours), expected)
    finally:
        torch.set_default_dtype(torch.float32)


def test_different_tags_give_different_embeddings(tags, weights, picture):
    specs = [f"{TINY}/{tag}//{weights}" for tag in tags]
    options = {"device": "cpu", "precision": "fp32"}
    rows = [CLIPEmbedder(spec, **options).transform([picture])[0] for spec in specs]
    assert len(np.unique(np.round(rows, 4), axis=0)) == len(tags)
    assert len({model_key(Backbone(spec), "fp32") for spec in specs}) == len(tags)


def test_a_file_of_tags_that_disagree_warns_and_says_what_to_do(tags, weights):
    with pytest.warns(UserWarning, match=rf"weights.safetensors.*'{TINY}/TAG//.*: plain, siglip"):
        config = load_backbone(f"{TINY}//{weights}").preprocess_config
    assert config == load_backbone(f"{TINY}/plain").preprocess_config


def test_a_file_in_the_folder_of_a_repository_is_known_by_it(weights, tmp_path):
    file = tmp_path / "models--timm--ViT-B-16-SigLIP/snapshots/0a/open_clip_model.safetensors"
    file.parent.mkdir(parents=True)
    file.symlink_to(weights)
    siglip = preprocessing(Backbone("ViT-B-16-SigLIP/webli"))
    assert (siglip["mean"], siglip["resize_mode"]) == ((0.5, 0.5, 0.5), "squash")
    with no_warning():
        config = load_backbone(f"{TINY}//{file}").preprocess_config
    assert config == {**siglip, "size": [48, 48]}
    named_alike = tmp_path / "ViT-B-16-SigLIP" / file.name  # as an architecture, too
    named_alike.parent.mkdir()
    named_alike.symlink_to(weights)
    assert preprocessing(Backbone(f"{TINY}//{named_alike}"))["resize_mode"] == "shortest"
    elsewhere = Backbone(f"{TINY}//{weights}")
    assert model_key(elsewhere, "fp32") != model_key(Backbone(f"{TINY}//{file}"), "fp32")
    # What a configuration beside the file says counts more.
    said = {"mean": [0.1, 0.2, 0.3], "interpolation": "bilinear", "size": 64}
    content = {"model_cfg": CONFIG, "preprocess_cfg": said}
    (file.parent / "open_clip_config.json").write_text(json.dumps(content))
    config = load_backbone(str(file.parent)).preprocess_config
    assert config == {**siglip, **said, "size": [48, 48]}


def test_the_key_changes_with_what_open_clip_says_of_a_tag(tags, monkeypatch):
    before = model_key(Backbone(f"{TINY}/plain"), "fp32")
    table = open_clip.pretrained._PRETRAINED[TINY]
    monkeypatch.setitem(table, "plain", {**table["plain"], "resize_mode": "longest"})
    assert model_key(Backbone(f"{TINY}/plain"), "fp32") != before


def test_a_configuration_that_is_none(tmp_path):
    file = tmp_path / "open_clip_config.json"
    for content, message in (("{", "is not a JSON file"), ("{}", "has no 'model_cfg'")):
        file.write_text(content)
        with pytest.raises(ValueError, match=rf"open_clip_config.json' .*{message}"):
            load_backbone(str(tmp_path))


def test_a_directory_that_does_not_say_how_images_are_prepared_warns(weights, tmp_path):
    (tmp_path / "open_clip_model.safetensors").symlink_to(weights)
    for preprocess, says in [
        ({}, ["has no 'preprocess_cfg', so"]),
        ({"mean": [0.5] * 3, "std": [0.5] * 3}, []),
        ({"mean": [0.5] * 3}, ["has no 'std' in 'preprocess_cfg', so"]),
        ({"size": 48, "mean": None}, ["has no 'mean' and 'std' in 'preprocess_cfg', so"]),
    ]:
        content = {"model_cfg": CONFIG, "preprocess_cfg": preprocess}
        (tmp_path / "open_clip_config.json").write_text(json.dumps(content))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            load_backbone(str(tmp_path))
        messages = [str(one.message) for one in caught if "preprocess_cfg" in str(one.message)]
        assert len(messages) == len(says)
        assert all(str(tmp_path) in message for message in messages)
        assert all(one in message for one, message in zip(says, messages))
    clear_backbone_cache()


MODES = [
    {"resize_mode": "shortest", "size": 32},
    {"resize_mode": "shortest", "size": (30, 50)},
    {"crop_pct": 0.9, "crop_mode": "center", "size": (32, 32)},
    {"resize_mode": "squash", "size": 32},
    {"resize_mode": "longest", "size": 32},
]


@pytest.mark.parametrize("config", MODES)
@pytest.mark.parametrize("size", [(3001, 2), (2, 3000), (2500, 7), (100, 20)])
def test_an_elongated_picture_is_resized_as_the_whole_is(config, size):
    config = {"interpolation": "bicubic", "mean": (0.5,) * 3, "std": (0.5,) * 3, **config}
    steps = Resize(config)._steps
    ramp = np.add.outer(np.linspace(0, 127, size[1]), np.linspace(0, 127, size[0]))
    picture = Image.fromarray(ramp.astype(np.uint8)).convert("RGB")
    expected = picture
    try:
        for step in steps:
            expected = step(expected)
    except ValueError:
        with pytest.raises(ImageError, match=r"cannot be resized: height and width must be > 0"):
            Resize(config)(Picture.whole(picture))
        return
    found = Resize(config)(Picture.whole(picture))
    error = np.abs(np.asarray(found, int) - np.asarray(expected, int)).max()
    assert error <= (0 if size == (100, 20) else 2)


@pytest.mark.parametrize("size", [(65535, 1), (1, 40_000_000)])
def test_an_elongated_picture_takes_no_memory(size):
    resized = Resize(load_backbone("zoo/RN20").preprocess_config)
    tracked = []
    resized._steps.insert(1, lambda picture: tracked.append(picture.size) or picture)
    assert resized(Picture.whole(Image.new("RGB", size))).size == (64, 64)
    assert max(tracked[0]) < 2 * 200 * 64


def test_a_picture_that_cannot_be_resized_is_left_out(weights, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    facts = {"mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "longest", "size": 48}
    facts["interpolation"] = "bicubic"
    text = json.dumps({"model_cfg": CONFIG, "preprocess_cfg": facts})
    (folder / "open_clip_config.json").write_text(text)
    (folder / "open_clip_model.safetensors").symlink_to(weights)
    images = [Image.new("RGB", (9, 9)), Image.new("RGB", (9000, 1))]
    found = CLIPEmbedder(str(folder), on_error="nan").transform(images)
    assert np.isnan(found).any(axis=1).tolist() == [False, True]

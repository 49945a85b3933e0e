"""Tests of models in repositories of the Hugging Face hub, from a cache that the test fills."""

import json
import shutil

import huggingface_hub
import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from skclipens import (
    BackboneNotAvailableError,
    CLIPEmbedder,
    MultiBackboneEmbedder,
    SuspectedMistakeWarning,
    ZeroShotHead,
)
from skclipens.backbones import Backbone, clear_backbone_cache, load_backbone
from skclipens.embedding import model_key

SPEC = "hf-hub:tests/tiny.CLIP-32"
COMMITS = ("0" * 39 + "a", "0" * 39 + "b")
CONFIG = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}
PREPROCESS = {"mean": [0.5, 0.5, 0.5], "std": [0.4, 0.4, 0.4], "resize_mode": "squash"}


def add_commit(hub, commit, seed=0, weights="open_clip_model.safetensors"):
    """What huggingface_hub leaves in its cache after a download."""
    folder = hub / "models--tests--tiny.CLIP-32"
    files = folder / "snapshots" / commit
    files.mkdir(parents=True)
    content = {"model_cfg": CONFIG, "preprocess_cfg": PREPROCESS}
    (files / "open_clip_config.json").write_text(json.dumps(content))
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs/main").write_text(commit)
    if weights:
        torch.manual_seed(seed)
        state = open_clip.CLIP(**CONFIG).state_dict()
        write = save_file if weights.endswith("safetensors") else torch.save
        write(state, files / weights)
    return files


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    yield tmp_path
    clear_backbone_cache()


@pytest.fixture
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 60, 3), dtype=np.uint8)
    return list(pixels)


@pytest.mark.parametrize("weights", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def test_embeddings_are_those_of_open_clip(hub, images, weights):
    files = add_commit(hub, COMMITS[0], weights=weights)
    (files / "model.safetensors").write_bytes(b"of transformers, which may lie beside")
    backbone = Backbone(SPEC)
    assert (backbone.name, backbone.repository, backbone.width) == (SPEC, SPEC[7:], 16)
    assert (backbone.path, backbone.has_text) == (None, True)
    embedder = CLIPEmbedder(SPEC, device="cpu", precision="fp32", normalize=False)
    found = embedder.transform(images)
    model, transform = open_clip.create_model_from_pretrained(SPEC)
    pixels = torch.stack([transform(Image.fromarray(image)) for image in images])
    with torch.inference_mode():
        expected = model.eval().encode_image(pixels)
        prompts = open_clip.get_tokenizer(SPEC)(["cat", "dog"])
        texts = model.encode_text(prompts, normalize=True)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    config = load_backbone(SPEC).preprocess_config
    assert {key: config[key] for key in PREPROCESS} == PREPROCESS
    head = ZeroShotHead(SPEC, templates=["{}"]).fit(found[:2], ["cat", "dog"])
    np.testing.assert_allclose(head.text_features_, texts, atol=1e-5)


def test_beside_other_backbones_and_in_a_store(hub, images, tmp_path):
    add_commit(hub, COMMITS[0])
    embedder = MultiBackboneEmbedder([SPEC, "zoo/RN20"], device="cpu", cache=tmp_path / "cache")
    first = embedder.transform(images)
    assert first.shape == (3, 16 + 128)
    assert embedder.get_feature_names_out()[0] == f"{SPEC}__0"
    np.testing.assert_array_equal(embedder.transform(images), first)


def test_a_newer_commit_is_another_model(hub, images):
    add_commit(hub, COMMITS[0])
    key, loaded = model_key(Backbone(SPEC), "fp32"), load_backbone(SPEC)
    assert load_backbone(SPEC) is loaded
    add_commit(hub, COMMITS[1], seed=1)
    assert model_key(Backbone(SPEC), "fp32") != key
    assert not torch.equal(load_backbone(SPEC).model.visual.proj, loaded.model.visual.proj)


def test_without_a_preprocessing(hub):
    files = add_commit(hub, COMMITS[0])
    (files / "open_clip_config.json").write_text(json.dumps({"model_cfg": CONFIG}))
    said = rf"^The configuration in '{files}' has no 'preprocess_cfg'"
    with pytest.warns(SuspectedMistakeWarning, match=said):
        load_backbone(SPEC)


@pytest.mark.parametrize("present", ["nothing", "another repository", "configuration"])
def test_what_is_not_on_this_machine(hub, present):
    if present == "another repository":
        shutil.copytree(add_commit(hub, COMMITS[0]), hub / "models--tests--other/snapshots/0a")
        shutil.rmtree(hub / "models--tests--tiny.CLIP-32")
    if present == "configuration":
        add_commit(hub, COMMITS[0], weights=None)
        assert Backbone(SPEC).width == 16
    with pytest.raises(BackboneNotAvailableError, match=rf"(?s)^'{SPEC}' cannot.*internet"):
        load_backbone(SPEC)

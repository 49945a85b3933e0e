"""Tests that every architecture of open_clip gives what open_clip gives of it. Weights are random.

All of them take hours, up to 20 GB of memory and 12 GB of disk: ``pytest -m slow`` on this file.
"""

import json
import os
from dataclasses import asdict

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_model
from torch.nn.functional import normalize

from skclipens import CLIPEmbedder
from skclipens.backbones import clear_backbone_cache
from skclipens.datasets import load_emoji
from skclipens.images import load_image

WEIGHTS = "open_clip_model.safetensors"
TEXTS = ["a cat", "a photo of two dogs"]
BYTES_PER_PARAMETER = 12  # of a model, its copy, and what is in between
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*and names no tokenizer"),  # coca_base
]


def n_parameters(name):
    with torch.device("meta"):
        model = open_clip.create_model(name, device="meta", pretrained_hf=False)
    return sum(one.numel() for one in model.parameters())


@pytest.fixture(params=open_clip.list_models())
def architecture(request):
    name = request.param
    if "hf_model_name" in open_clip.get_model_config(name)["text_cfg"]:
        pytest.skip("the configuration of its text tower is on the hub")
    needed = BYTES_PER_PARAMETER * n_parameters(name)
    if needed > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
        pytest.skip(f"needs {needed / 2**30:.0f} GiB of memory")
    return name


def test_embeds_as_open_clip_does(architecture, tmp_path):
    paths = load_emoji().filenames[:2].tolist()
    config = open_clip.get_model_config(architecture)
    images, texts, preprocess = by_open_clip(architecture, paths, tmp_path)
    about = {"model_cfg": config, "preprocess_cfg": preprocess}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(about))
    options = {"device": "cpu", "precision": "fp32", "decode": "exact"}
    embedder = CLIPEmbedder(str(tmp_path), **options)
    try:
        np.testing.assert_allclose(embedder.fit_transform(paths), images, atol=1e-5)
        if texts is not None:
            np.testing.assert_allclose(embedder.embed_text(TEXTS), texts, atol=1e-5)
        embedder.set_params(features="all")
        table = embedder.fit_transform(paths)
    finally:
        clear_backbone_cache()
        (tmp_path / WEIGHTS).unlink()  # pytest keeps the folders of all tests
    names = embedder.get_feature_names_out()  # of widths that are known without a forward pass
    assert table.shape == (len(paths), len(names)) and np.isfinite(table).all()
    np.testing.assert_allclose(table[:, : images.shape[1]], images, atol=1e-5)


def by_open_clip(name, paths, folder):
    """Save a model with random weights; return its embeddings and preprocessing."""
    torch.manual_seed(0)
    model, _, transform = open_clip.create_model_and_transforms(name, pretrained_hf=False)
    save_model(model.eval(), str(folder / WEIGHTS))
    pixels, texts = torch.stack([transform(load_image(path)) for path in paths]), None
    with torch.no_grad():
        images = normalize(model.encode_image(pixels).float(), dim=-1).numpy()
        if "hf_tokenizer_name" not in open_clip.get_model_config(name)["text_cfg"]:
            tokens = open_clip.get_tokenizer(name)(TEXTS)
            texts = normalize(model.encode_text(tokens).float(), dim=-1).numpy()
    return images, texts, asdict(open_clip.transform.PreprocessCfg(**model.visual.preprocess_cfg))

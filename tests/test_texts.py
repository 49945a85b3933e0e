"""Tests of texts that need transformers, which may be absent."""

import json
import sys

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from skclipens import CLIPEmbedder, ZeroShotHead
from skclipens.backbones import Backbone, load_backbone
from skclipens.exceptions import BackboneNotAvailableError

VISION = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
TEXT = {"context_length": 8, "vocab_size": 100, "width": 64, "heads": 1, "layers": 1}
ADVICE = r'pip install "transformers\[sentencepiece\]"'
WORDS = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "a", "cat", "dog"]


def save_model(folder, text=TEXT):
    """A small model with random weights whose tokenizer is one of transformers."""
    config = {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": text}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    if "hf_model_name" not in text:
        torch.manual_seed(0)
        save_file(open_clip.CLIP(**config).state_dict(), folder / "open_clip_model.safetensors")
    return str(folder)


@pytest.fixture
def absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)


def test_a_tokenizer_without_transformers(absent, tmp_path):
    spec = save_model(tmp_path, TEXT | {"hf_tokenizer_name": "bert-base-uncased"})
    rows = CLIPEmbedder(spec).transform([np.zeros((40, 50, 3), np.uint8)] * 2)  # needs no text
    for use in (
        lambda: load_backbone(spec).tokenizer,
        lambda: ZeroShotHead(spec).fit(rows, ["cat", "dog"]),
    ):
        with pytest.raises(ImportError, match=rf"'{spec}' need transformers: {ADVICE}"):
            use()


def test_a_text_tower_without_transformers(absent, tmp_path):
    spec = save_model(tmp_path, {"hf_model_name": "xlm-roberta-base", "hf_tokenizer_name": "x"})
    with pytest.raises(ImportError, match=rf"'{spec}' need transformers: {ADVICE}"):
        load_backbone(spec)
    with pytest.raises(ImportError, match=rf"xlm-roberta-base-ViT-B-32/.*{ADVICE}"):
        load_backbone("xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k")


def test_every_model_that_needs_transformers_says_so():
    settings = ("hf_model_name", "hf_tokenizer_name")
    needing = [
        names
        for names in open_clip.list_pretrained()
        if any(setting in Backbone("/".join(names)).config["text_cfg"] for setting in settings)
    ]
    assert len(needing) >= 47
    # All others come with a tokenizer of open_clip's own: it chooses another one by this name.
    rest = set(open_clip.list_pretrained()) - set(needing)
    assert not any("siglip" in name.lower() for name, _ in rest)


def test_a_tokenizer_that_cannot_be_fetched(tmp_path):
    pytest.importorskip("transformers")
    spec = save_model(tmp_path, TEXT | {"hf_tokenizer_name": "anything"})
    with pytest.raises(BackboneNotAvailableError, match=rf"(?s)tokenizer of '{spec}'.*internet"):
        _ = load_backbone(spec).tokenizer


def test_a_tokenizer_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    model = tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]"}
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, sep_token="[SEP]", **special
    ).save_pretrained(tmp_path)
    spec = save_model(tmp_path, TEXT | {"hf_tokenizer_name": "ours"})
    assert load_backbone(spec).tokenizer(["a cat"])[0].tolist()[:2] == [4, 5]
    rows = CLIPEmbedder(spec).transform([np.zeros((40, 50, 3), np.uint8)] * 2)
    head = ZeroShotHead(spec, templates=["a {}"]).fit(rows, ["cat", "dog"])
    assert head.text_features_.shape == (2, 16)
    assert not np.allclose(*head.text_features_)

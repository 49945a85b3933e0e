"""Tests of text towers, and of texts that need transformers, which may be absent."""

import json
import sys

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from skclipens import CLIPEmbedder, ZeroShotHead
from skclipens.backbones import Backbone, load_backbone
from skclipens.backbones._text import encode_texts
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


TOWERS = [
    (open_clip.CLIP, {}),
    (open_clip.CustomTextCLIP, {}),
    (open_clip.CLIP, {"context_length": 20}),
    (open_clip.CustomTextCLIP, {"context_length": 16}),
    (open_clip.CustomTextCLIP, {"pool_type": "last"}),
    (open_clip.CustomTextCLIP, {"pool_type": "eos", "eos_id": 49407}),
    (open_clip.CustomTextCLIP, {"no_causal_mask": True}),
    (open_clip.CustomTextCLIP, {"embed_cls": True}),
]


@pytest.mark.parametrize(("kind", "options"), TOWERS)
def test_texts_have_the_features_of_open_clip_whatever_their_length(kind, options, tmp_path):
    text = {"vocab_size": 49408, "width": 64, "heads": 1, "layers": 2, "context_length": 77}
    config = {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": text | options}
    mean_and_std = {"mean": [0.5] * 3, "std": [0.5] * 3}
    if kind is open_clip.CustomTextCLIP:
        config["custom_text"] = True
    torch.manual_seed(0)
    model = kind(embed_dim=16, vision_cfg=VISION, text_cfg=text | options).eval()
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.2)  # so that each token counts
    saved = {"model_cfg": config, "preprocess_cfg": mean_and_std}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(saved))
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    loaded = load_backbone(str(tmp_path))
    assert type(loaded.model) is kind
    texts = ["cat " * n for n in (1, 100, 13, 14, 15, 28, 29, 30, 31, 62, 63, 64, 1)]
    with torch.no_grad():
        expected = model.encode_text(loaded.tokenizer(texts), normalize=True).numpy()
    found = encode_texts(loaded, texts)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert len(np.unique(expected.round(4), axis=0)) >= 3
    for n in (1, 2, 7):  # bit for bit, whichever others there are
        np.testing.assert_array_equal(encode_texts(loaded, texts[-n:]), found[-n:])
    loaded._check_unchanged()


@pytest.mark.parametrize(("kind", "options"), TOWERS[:2])
def test_what_follows_the_end_of_a_text_is_not_read(kind, options, tmp_path, monkeypatch):
    read, forward = [], open_clip.transformer.Transformer.forward

    def count(self, x, **mask):
        read.append(x.shape[:2])
        return forward(self, x, **mask)

    test_texts_have_the_features_of_open_clip_whatever_their_length(kind, options, tmp_path)
    monkeypatch.setattr(open_clip.transformer.Transformer, "forward", count)
    encode_texts(load_backbone(str(tmp_path)), ["cat", "cat " * 20, "dog"])
    assert read == [(16, 16), (16, 32)]


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

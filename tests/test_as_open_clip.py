"""Tests that models give what open_clip gives of them: small ones of each kind, saved by the test.

Their weights are random. Kinds of timm are in test_timm.py, pretrained tags in
test_preprocessing.py.
"""

import gzip
import json
import logging
import os
import re
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import open_clip
import pytest
import torch
from _said import said
from PIL import Image
from safetensors.torch import save_file
from timm.layers import HybridEmbed
from timm.models import build_model_with_cfg, register_model
from timm.models.vision_transformer import VisionTransformer

from skclipens import CLIPEmbedder, ImageRetriever, MultiBackboneEmbedder, ZeroShotHead
from skclipens.backbones import Backbone, clear_backbone_cache, load_backbone
from skclipens.backbones._pretrained import uses_quick_gelu
from skclipens.backbones._spec import weights_in
from skclipens.embedding import _row_cache, _texts, model_key
from skclipens.embedding._weights import weights_digest
from skclipens.heads import _text_head

VISION = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16, "head_width": 32}
TEXT = {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
PLAIN = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT}
PREPROCESS = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
COCA = {"attentional_pool": True, "attn_pooler_queries": 3, "attn_pooler_heads": 2}
DECODER = {**TEXT, "layers": 1}
LAST = {"pool_type": "last", "no_causal_mask": True, "proj_bias": True}
TIMM = {"timm_model_name": "test_convnext", "timm_pool": "", "image_size": 64}
RAW = {"device": "cpu", "precision": "fp32", "normalize": False, "n_jobs": 1}
NAMES = ["aeroplane", "cat", "dog"]


@register_model
def tiny_hybrid(pretrained=False, **options):
    """A tower for images of 96 pixels by its name, and of any by its layers, as ViTamin-XL-384."""
    patches = partial(HybridEmbed, backbone=torch.nn.Conv2d(3, 8, 16, 16))
    known = {
        "embed_layer": patches,
        "global_pool": "avg",
        "class_token": False,
        "pos_embed": "none",
        "depth": 1,
    }
    options |= known | {"img_size": 96, "patch_size": 1, "embed_dim": 32, "num_heads": 2}
    return build_model_with_cfg(VisionTransformer, "tiny_hybrid", pretrained, **options)


def having(vision=(), text=(), **rest):
    """A configuration with changes to that of a plain model."""
    return {
        **PLAIN,
        "vision_cfg": {**VISION, **dict(vision)},
        "text_cfg": {**TEXT, **dict(text)},
        **rest,
    }


KINDS = {
    "plain": PLAIN,
    "quick_gelu": having(quick_gelu=True),
    "embedding wider than the tower": having(embed_dim=80),
    "mean of tokens": having({"pool_type": "avg", "final_ln_after_pool": True}),
    "no first layer norm": having({"no_ln_pre": True}),
    "patch dropout": having({"patch_dropout": 0.5}),
    "not square": having({"image_size": [32, 48]}),
    "attention pool": having(COCA | {"attn_pooler_queries": 1}),
    "CoCa": having(
        COCA | {"output_tokens": True},
        {"embed_cls": True, "output_tokens": True},
        multimodal_cfg=DECODER,
        custom_text=True,
    ),
    "ResNet": having({"layers": [1, 1, 1, 1], "width": 16, "image_size": 64}),
    "timm, linear": {**PLAIN, "vision_cfg": TIMM},
    "timm, classifier": {**PLAIN, "vision_cfg": TIMM | {"timm_pool": "avg", "timm_proj": ""}},
    "timm, patches of a network": {
        **PLAIN,
        "vision_cfg": TIMM | {"timm_model_name": "tiny_hybrid", "timm_pool": "avg"},
    },
    "SigLIP": having(text=LAST, custom_text=True, init_logit_bias=-10, init_logit_scale=2.3),
    "last token": having(text={"pool_type": "last"}),
    "end of text": having(text={"pool_type": "eos", "eos_id": 49407}, custom_text=True),
    "text without projection": having(text={"proj_type": "none"}, embed_dim=32),
    "cleaned text": having(text={"tokenizer_kwargs": {"clean": "canonicalize"}}),
    "one scale in a list": having(nonscalar_logit_scale=True, init_logit_scale=1.5),
}


def build(config, seed=0):
    """A model whose parameters are all random, also those that begin as zeros or ones."""
    kinds = {key: value for key, value in config.items() if key != "custom_text"}
    own_text = open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP
    torch.manual_seed(seed)
    model = (open_clip.CoCa if "multimodal_cfg" in config else own_text)(**kinds)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith("logit"):
                parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def save(folder, config=PLAIN, model=None, name="open_clip_model.safetensors", **preprocess):
    folder.mkdir(parents=True, exist_ok=True)
    said = {"model_cfg": config, "preprocess_cfg": {**PREPROCESS, **preprocess}}
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    state = (build(config) if model is None else model).state_dict()
    (save_file if name.endswith(".safetensors") else torch.save)(state, folder / name)
    return str(folder)


@pytest.fixture(autouse=True)
def forget():
    """Small models of many tests would stay in memory."""
    yield
    clear_backbone_cache()


@pytest.fixture
def another_process(monkeypatch):
    """A function after which nothing is known but what is on the disk."""

    def forget():
        monkeypatch.setattr(_texts, "_known", _row_cache.RowCache(2**27))
        _text_head._encoded.clear()
        clear_backbone_cache()

    return forget


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    small = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((9, 14), (12, 7))]
    return [Image.fromarray(one).resize((8 * one.shape[1], 8 * one.shape[0])) for one in small]


@torch.inference_mode()
def by_open_clip(spec, pictures):
    """Features of pictures and of names, and probabilities, as open_clip's README computes them."""
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{spec}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{spec}")
    model.eval()
    raw = model.encode_image(torch.stack([transform(one) for one in pictures]), normalize=False)
    texts = model.encode_text(tokenizer(NAMES), normalize=True)
    logits = model.logit_scale.exp() * torch.nn.functional.normalize(raw, dim=-1) @ texts.T
    logits = logits if model.logit_bias is None else logits + model.logit_bias
    return raw.numpy(), texts.numpy(), logits.softmax(dim=-1).numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model(tmp_path, pictures, kind):
    spec = save(tmp_path, KINDS[kind])
    raw, texts, probabilities = by_open_clip(spec, pictures)
    found = CLIPEmbedder(spec, **RAW).transform(pictures)
    np.testing.assert_allclose(found, raw, atol=1e-5 * np.abs(raw).max())
    head = ZeroShotHead(spec, templates=["{}"]).set_classes(NAMES)
    np.testing.assert_allclose(head.text_features_, texts, atol=1e-5)
    np.testing.assert_allclose(head.predict_proba(found), probabilities, atol=1e-5)


@pytest.mark.parametrize(
    "preprocess",
    [
        {"resize_mode": "longest", "fill_color": [250, 120, 0]},
        {"resize_mode": "longest", "fill_color": 99},
        {"resize_mode": "squash", "interpolation": "bilinear"},
        {"interpolation": "random"},
        {"mean": 0.5, "std": 0.25},
        {"mean": [0, 0, 0], "std": [1, 1, 1]},
        {"mean": None, "std": None, "size": 99},
    ],
)
@pytest.mark.parametrize("size", [32, [48, 32]])
def test_every_preprocessing(tmp_path, pictures, preprocess, size):
    spec = save(tmp_path, having({"image_size": size}), **preprocess)
    expected = by_open_clip(spec, pictures)[0]
    found = CLIPEmbedder(spec, **RAW).transform(pictures)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


# Features that are no numbers


@pytest.mark.parametrize("on_error", ["raise", "nan"])
def test_numbers_too_large_for_a_precision_are_no_pictures_that_cannot_be_read(
    tmp_path, pictures, on_error
):
    model = build(PLAIN)
    with torch.no_grad():
        model.visual.ln_post.weight.mul_(1e5)
    specs = ["zoo/RN20", save(tmp_path, model=model)]
    options = {**RAW, "on_error": on_error, "views": "mirror", "features": "both"}
    assert np.isfinite(MultiBackboneEmbedder(specs, **options).transform(pictures)).all()
    options["precision"] = "fp16"
    embedder = MultiBackboneEmbedder(specs, **options, cache=tmp_path / "cache")
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"^'{specs[1]}' .*'fp16'.*set precision='bf16'"):
            embedder.transform(pictures)


@pytest.mark.parametrize("tensor", ["visual.proj", "text_projection", "logit_scale"])
def test_weights_of_a_training_that_diverged(tmp_path, pictures, tensor):
    model = build(PLAIN)
    with torch.no_grad():
        model.state_dict()[tensor].fill_(torch.nan)
    spec = save(tmp_path, model=model)
    with pytest.raises(ValueError, match=rf"^'{spec}' gives features that are NaN.*diverged"):
        if tensor == "visual.proj":
            CLIPEmbedder(spec, **RAW).transform(pictures)
        else:
            ZeroShotHead(spec).set_classes(NAMES)


def test_the_precision_is_that_of_the_parameter_also_within_autocast(tmp_path, pictures):
    spec = save(tmp_path)

    def features():
        head = ZeroShotHead(spec, templates=["{}"]).set_classes(NAMES)
        return np.vstack([CLIPEmbedder(spec, **RAW).transform(pictures), head.text_features_])

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = features()
    raw, texts, _ = by_open_clip(spec, pictures)
    np.testing.assert_allclose(found, np.vstack([raw, texts]), atol=1e-5 * np.abs(raw).max())


# Which files make a model

WEIGHTS = [
    *("open_clip_model.safetensors", "open_clip_pytorch_model.bin", "model.safetensors"),
    *("a.safetensors", "b.pth", "0.bin", "open_clip_pytorch_model.pth", "optimizer.bin"),
]


def test_of_several_files_the_first_is_the_one_that_open_clip_reads(tmp_path):
    find = getattr(open_clip.factory, "_find_checkpoint_in_dir", None)
    if find is None:
        pytest.skip("another version of open_clip")
    for name in WEIGHTS:
        (tmp_path / name).touch()
    for _ in WEIGHTS:
        first = weights_in(tmp_path)[0]
        assert str(first) == find(tmp_path)
        first.unlink()


def test_the_first_by_name_of_several_files_is_doubted(tmp_path):
    logged = []
    handler = logging.Handler()
    handler.emit = logged.append
    logging.getLogger().addHandler(handler)
    for name, doubts in [
        ("epoch_1.pth", 0),
        ("epoch_2.pth", r"several files of weights, 'epoch_1.pth', 'epoch_2.pth', of .*1.pth' is"),
        ("mine.safetensors", 0),
        ("open_clip_pytorch_model.pth", 0),
    ]:
        spec = save(tmp_path, name=name)
        texts = said(load_backbone, spec)
        assert len(texts) == bool(doubts) and all(re.search(doubts, text) for text in texts)
    logging.getLogger().removeHandler(handler)
    assert not logged


def test_a_file_that_is_renamed_to_be_read_is_another_model(tmp_path, pictures):
    folder = tmp_path / "model"
    spec = save(folder, model=build(PLAIN), name="a.safetensors")
    save(folder, model=build(PLAIN, seed=1), name="b.safetensors")
    embedder = CLIPEmbedder(spec, **RAW, cache=tmp_path / "cache")
    before, digest = embedder.transform(pictures), weights_digest(Backbone(spec))
    (folder / "b.safetensors").rename(folder / "open_clip_model.safetensors")
    found = embedder.transform(pictures)
    np.testing.assert_allclose(found, by_open_clip(spec, pictures)[0], atol=1e-4)
    assert not np.allclose(found, before, atol=0.01)
    assert weights_digest(Backbone(spec)) != digest


def test_a_file_beside_the_weights_that_is_not_read_changes_nothing(tmp_path, pictures):
    spec = save(tmp_path)
    embedder = CLIPEmbedder(spec, **RAW).fit(pictures)
    digest, key = weights_digest(Backbone(spec)), model_key(Backbone(spec), "fp32")
    torch.save({"step": 1}, tmp_path / "optimizer.bin")
    assert not said(embedder.transform, pictures)
    assert (weights_digest(Backbone(spec)), model_key(Backbone(spec), "fp32")) == (digest, key)


def test_another_file_with_the_time_and_size_of_the_first_is_loaded(tmp_path, pictures):
    spec = save(tmp_path)
    file = tmp_path / "open_clip_model.safetensors"
    before, status = CLIPEmbedder(spec, **RAW).transform(pictures), file.stat()
    save(tmp_path / "other", model=build(PLAIN, seed=1))
    (tmp_path / "other" / file.name).replace(file)  # as an archive unpacks it
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    found = CLIPEmbedder(spec, **RAW).transform(pictures)
    assert not np.allclose(found, before, atol=0.01)


def test_an_architecture_that_is_registered_again_is_loaded_again(tmp_path, pictures):
    file, configs = tmp_path / "weights.pt", tmp_path / "configs"
    configs.mkdir()
    torch.save(build(PLAIN).state_dict(), file)
    rows = []
    for quick in (False, True):
        (configs / "ViT-again.json").write_text(json.dumps({**PLAIN, "quick_gelu": quick}))
        open_clip.add_model_config(configs)
        rows.append(CLIPEmbedder(f"ViT-again//{file}", **RAW).transform(pictures))
    assert not np.allclose(*rows)


def test_texts_change_with_the_vocabulary_and_pictures_do_not(tmp_path, pictures, another_process):
    config = having(text={"tokenizer_kwargs": {"bpe_path": "words/vocabulary.gz"}})
    spec, cache = save(tmp_path / "model", config), tmp_path / "cache"
    vocabulary = tmp_path / "model/words/vocabulary.gz"
    vocabulary.parent.mkdir()
    lines = gzip.open(open_clip.tokenizer.default_bpe()).read().decode().split("\n")

    def write(lines):
        with gzip.open(vocabulary, "wb") as file:
            file.write("\n".join(lines).encode())

    def texts():
        return ZeroShotHead(spec, templates=["{}"], cache=cache).set_classes(NAMES).text_features_

    write(lines)
    before, key = texts(), model_key(Backbone(spec), "fp32")
    write([lines[0], *reversed(lines[1:48000]), *lines[48000:]])
    expected = by_open_clip_texts(spec, vocabulary)
    assert not np.allclose(before, expected, atol=0.01)
    np.testing.assert_allclose(texts(), expected, atol=1e-5)
    another_process()
    np.testing.assert_allclose(texts(), expected, atol=1e-5)
    assert model_key(Backbone(spec), "fp32") == key


def test_a_vocabulary_that_is_replaced_after_fit_is_told_where_texts_are_read(tmp_path, pictures):
    config = having(text={"tokenizer_kwargs": {"bpe_path": "vocabulary.gz"}})
    spec = save(tmp_path, config)
    lines = gzip.open(open_clip.tokenizer.default_bpe()).read()
    (tmp_path / "vocabulary.gz").write_bytes(gzip.compress(lines))
    embedder = CLIPEmbedder(spec, **RAW).fit(pictures)
    retriever = ImageRetriever(embedder).fit(pictures)
    (tmp_path / "vocabulary.gz").write_bytes(gzip.compress(lines.replace(b"i n", b"q z")))
    assert not said(embedder.transform, pictures)
    with pytest.warns(UserWarning, match="changed since fit: the weights or vocabulary of"):
        retriever.search("a cat")


@torch.inference_mode()
def by_open_clip_texts(spec, vocabulary):
    model = open_clip.create_model(f"local-dir:{spec}").eval()
    tokenizer = open_clip.SimpleTokenizer(str(vocabulary), context_length=TEXT["context_length"])
    return model.encode_text(tokenizer(NAMES), normalize=True).numpy()


def test_files_of_a_tokenizer_of_transformers_are_files_of_the_texts(tmp_path):
    spec = save(tmp_path, having(text={"hf_tokenizer_name": "anything"}))
    for name in ("tokenizer.json", "spiece.model", "README.md", "vocab.txt"):
        (tmp_path / name).write_text("1")
    named = [file.name for file in Backbone(spec).tokenizer_files]
    assert named == ["spiece.model", "tokenizer.json", "vocab.txt"]
    version, key = Backbone(spec).version, _texts._text_key(Backbone(spec), None)
    (tmp_path / "tokenizer.json").write_text("2")
    assert Backbone(spec).version != version
    assert _texts._text_key(Backbone(spec), None) != key
    assert not Backbone(save(tmp_path)).tokenizer_files


def test_threads_that_ask_a_tokenizer_for_other_lengths_get_these(tmp_path, monkeypatch):
    class Tokenizer:
        """As those of transformers, which set the length and then use it."""

        def __call__(self, texts, context_length=4):
            self.length = context_length
            time.sleep(0.01)
            return torch.zeros(len(texts), self.length)

    monkeypatch.setattr(open_clip, "get_tokenizer", lambda *args, **options: Tokenizer())
    tokenizer = load_backbone(save(tmp_path)).tokenizer
    lengths = [4, 9] * 8
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda n: tokenizer(["a"], context_length=n).shape[1], lengths)
    assert list(found) == lengths


# What is said of weights that fit in part


@pytest.fixture(scope="module")
def sizes(tmp_path_factory):
    """Architectures that open_clip knows, which differ in their sizes alone."""
    folder = tmp_path_factory.mktemp("configs")
    configs = {
        "ViT-small-sizes": PLAIN,
        "ViT-large-sizes": having({"image_size": 64}),
        "ViT-long-sizes": having(text={"context_length": 40}),
        "ViT-tall-sizes": having({"image_size": 96}),
        "ViT-tall-sizes-quickgelu": having({"image_size": 96}, quick_gelu=True),
        "ViT-wide-sizes-quickgelu": having(embed_dim=40, quick_gelu=True),
    }
    for name, config in configs.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    return configs


@pytest.mark.parametrize("form", ["w.pt", "w.safetensors", "training"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ViT-large-sizes", r"image tower has 17 positions .* 'ViT-small-sizes' has 5, .* fit 'V"),
        ("ViT-long-sizes", r"text tower has 40 positions .* has 12, .* say its context_length\.$"),
        ("ViT-small-sizes", None),
    ],
)
def test_positions_that_are_interpolated_are_doubted(tmp_path, sizes, name, said, form):
    model = build(sizes[name])
    file = tmp_path / ("w.pt" if form == "training" else form)
    save(tmp_path, sizes[name], model, file.name)
    if form == "training":
        state = {f"module.{key}": value for key, value in model.state_dict().items()}
        torch.save({"epoch": 3, "name": "mine", "state_dict": state}, file)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_backbone(f"ViT-small-sizes//{file}")
        load_backbone(save(tmp_path / "folder", PLAIN, model))
    assert len(caught) == 2 * (said is not None)
    if said is not None:
        assert "folder': its" in str(caught[1].message)
        assert "and open_clip_config.json asks for" in str(caught[1].message)
        with pytest.warns(UserWarning, match=said):
            clear_backbone_cache()
            load_backbone(f"ViT-small-sizes//{file}")
        if name == "ViT-large-sizes":
            assert f"'ViT-large-sizes//{file}'" in str(caught[0].message)


@pytest.mark.parametrize(
    ("options", "form"),
    [
        ({"init_logit_bias": -10.0, "init_logit_scale": 2.3}, "w.pt"),
        ({"force_custom_text": True}, "w.pt"),
        ({"force_custom_text": True, "init_logit_bias": -10.0}, "w.safetensors"),
    ],
)
def test_what_a_training_by_open_clip_adds_to_an_architecture_is_read(
    tmp_path, sizes, options, form
):
    model = open_clip.create_model("ViT-small-sizes", **options).eval()
    save(tmp_path, model=model, name=form)
    assert not said(load_backbone, f"ViT-small-sizes//{tmp_path / form}")
    found = load_backbone(f"ViT-small-sizes//{tmp_path / form}").model
    tokens = open_clip.tokenize(NAMES, context_length=TEXT["context_length"])
    with torch.inference_mode():
        np.testing.assert_allclose(found.encode_text(tokens), model.encode_text(tokens), atol=1e-5)


def test_towers_that_do_not_give_what_their_configuration_says(tmp_path):
    vision = {"timm_model_name": "test_vit", "timm_pool": "token", "image_size": 160}
    for number, (config, message) in enumerate(
        [
            (
                {**PLAIN, "vision_cfg": {**TIMM, "timm_model_name": "test_vit3"}},
                r"'image_size': 64 .* \[160, 160\] on",
            ),
            (
                {**PLAIN, "vision_cfg": {**vision, "timm_proj": "none"}},
                r"image tower.* gives 64 values",
            ),
            (
                having(text={"proj_type": "none"}),
                r"'embed_dim': 24 .* text tower.* gives 32 values",
            ),
        ]
    ):
        spec = save(tmp_path / str(number), config)
        with pytest.raises(ValueError, match=message):
            load_backbone(spec)


def test_weights_that_fit_but_for_their_keys_or_activation(tmp_path, sizes):
    state = build(sizes["ViT-small-sizes"]).state_dict()
    file = tmp_path / "more.pt"
    torch.save({**state, "head.weight": torch.ones(3, 24)}, file)
    with pytest.raises(ValueError, match=r"weights of ViT-small-sizes: .*(?s:.*)Unexpected.*head"):
        load_backbone(f"ViT-small-sizes//{file}")
    state = build(sizes["ViT-large-sizes"]).half().state_dict()
    torch.save(state, file)
    with pytest.raises(ValueError, match=rf"They fit 'ViT-large-sizes//{file}'"):
        load_backbone(f"ViT-small-sizes//{file}")
    torch.save(build(sizes["ViT-tall-sizes"]).state_dict(), file)
    with pytest.raises(ValueError, match=rf"They fit 'ViT-tall-sizes-quickgelu//{file}'"):
        load_backbone(f"ViT-wide-sizes-quickgelu//{file}")


def test_weights_with_a_tower_of_timm_that_do_not_fit_are_named_as_torch_does(tmp_path):
    spec = save(tmp_path, having(embed_dim=48), build(KINDS["timm, linear"]))
    with pytest.raises(ValueError, match=r"Missing key.* more\.(?s:.*)Unexpected.*trunk.* more\."):
        load_backbone(spec)


def test_a_configuration_that_says_plain_gelu_has_it_in_any_folder(tmp_path, pictures):
    folder = tmp_path / "models--timm--vit_base_patch32_clip_224.openai" / "mine"
    for quick in (False, True):
        spec = save(folder, having(quick_gelu=quick))
        assert uses_quick_gelu(Backbone(spec)) is quick
        found = CLIPEmbedder(spec, **RAW).transform(pictures)
        np.testing.assert_allclose(found, by_open_clip(spec, pictures)[0], atol=1e-4)

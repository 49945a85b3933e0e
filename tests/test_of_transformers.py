"""Models that transformers' ``CLIPModel.save_pretrained`` wrote."""

import json
import shutil
import warnings
from http.server import BaseHTTPRequestHandler

import huggingface_hub
import numpy as np
import open_clip
import pytest
import torch
from _servers import serving
from PIL import Image
from safetensors.torch import save_file

from skclipens import CLIPEmbedder, MultiBackboneEmbedder, SuspectedMistakeWarning, ZeroShotHead
from skclipens.backbones import Backbone, clear_backbone_cache, load_backbone
from skclipens.embedding import model_key

# The same model as open_clip and as transformers describe it. The latter may leave out defaults.
OURS = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16, "mlp_ratio": 2.0},
    "text_cfg": {"vocab_size": 49408, "width": 64, "heads": 2, "layers": 1, "context_length": 77},
}
THEIRS = {
    "model_type": "clip",
    "projection_dim": 16,
    "text_config": {
        **{"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 1},
        **{"num_attention_heads": 2, "hidden_act": "gelu"},
    },
    "vision_config": {
        **{"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1},
        **{"num_attention_heads": 1, "hidden_act": "gelu", "image_size": 32, "patch_size": 16},
    },
}
PROCESSOR = {
    **{"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}},
    **{"image_mean": [0.5, 0.4, 0.3], "image_std": [0.3, 0.2, 0.1], "resample": 3},
    **dict.fromkeys(("do_resize", "do_center_crop", "do_rescale", "do_normalize"), True),
}
PREPROCESSING = {"mean": [0.5, 0.4, 0.3], "std": [0.3, 0.2, 0.1]}
THERE = {
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final": "text_model.final_layer_norm",
    "text_projection": "text_projection.weight",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre": "vision_model.pre_layrnorm",
    "visual.ln_post": "vision_model.post_layernorm",
    "visual.proj": "visual_projection.weight",
    "visual.transformer.resblocks.0": "vision_model.encoder.layers.0",
    "transformer.resblocks.0": "text_model.encoder.layers.0",
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def as_in_transformers(state):
    """A state dict of a model of one layer as transformers' CLIPModel has it."""
    found = {"vision_model.embeddings.position_ids": torch.arange(2)}
    for name, tensor in state.items():
        there = name
        for ours in sorted(THERE, key=len, reverse=True):
            there = there if there.startswith(THERE[ours]) else there.replace(ours, THERE[ours])
        if "attn.in_proj_" in name:
            for part, rows in zip("qkv", tensor.chunk(3), strict=True):
                found[there.replace("attn.in_proj_", f"self_attn.{part}_proj.")] = rows.clone()
        else:
            is_projection = name in ("text_projection", "visual.proj")
            found[there] = tensor.T.contiguous() if is_projection else tensor
    return found


def open_clips(quick_gelu=False):
    torch.manual_seed(0)
    return open_clip.CLIP(**OURS, quick_gelu=quick_gelu)


def write(folder, changes=None, processor=PROCESSOR, weights="model.safetensors"):
    """What ``save_pretrained`` of a model and its processor write."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(merged(THEIRS, changes or {})))
    if processor:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    if weights:
        save = save_file if weights.endswith("safetensors") else torch.save
        save(as_in_transformers(open_clips().state_dict()), folder / weights)
    return folder


def merged(config, changes):
    if not isinstance(changes, dict):
        return changes
    found = config if isinstance(config, dict) else {}
    return found | {key: merged(found.get(key), value) for key, value in changes.items()}


def write_ours(folder, **preprocessing):
    """The same model as open_clip saves it."""
    folder.mkdir()
    config = {"model_cfg": OURS, "preprocess_cfg": PREPROCESSING | preprocessing}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(open_clips().state_dict(), folder / "open_clip_model.safetensors")
    return folder


def pictures():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 12, 3), dtype=np.uint8)
    return [Image.fromarray(one).resize((60, 40)) for one in pixels]


def embedded(folder):
    return CLIPEmbedder(str(folder), device="cpu", precision="fp32").transform(pictures())


def prompted(folder, X):
    head = ZeroShotHead(str(folder), templates=["a photo of a {}"])
    return head.fit(X, ["cat", "dog", "laptop computer"]).text_features_


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_a_directory_is_read_as_open_clip_would_save_it(tmp_path, weights, capfd):
    theirs = write(tmp_path / "theirs", weights=weights)
    ours = write_ours(tmp_path / "ours")
    X = embedded(theirs)
    np.testing.assert_array_equal(X, embedded(ours))
    np.testing.assert_array_equal(prompted(theirs, X), prompted(ours, X))
    found, expected = Backbone(str(theirs)), Backbone(str(ours))
    assert (found.width, found.pooled_width) == (expected.width, expected.pooled_width) == (16, 64)
    assert "WARNING" not in capfd.readouterr().err
    embedder = MultiBackboneEmbedder([str(theirs), "zoo/RN20"], device="cpu", features="both")
    assert embedder.fit_transform(pictures()).shape[1] == 16 + 64 + 128 + embedded_width("RN20")


def embedded_width(name):
    return Backbone(f"zoo/{name}").pooled_width


PROCESSORS = {
    "numbers": ({"size": 32, "crop_size": 32}, {}),
    "bilinear": ({"resample": 2}, {"interpolation": "bilinear"}),
    "squash": ({"size": {"height": 32, "width": 32}}, {"resize_mode": "squash"}),
    "uncut": (
        {"size": {"height": 32, "width": 32}, "do_center_crop": False},
        {"resize_mode": "squash"},
    ),
    "colours": ({"image_mean": [0.1] * 3}, {"mean": [0.1] * 3}),
}


@pytest.mark.parametrize("case", PROCESSORS)
@pytest.mark.parametrize("version", [4, 5])
def test_images_are_prepared_as_the_processor_says(tmp_path, case, version):
    settings, preprocessing = PROCESSORS[case]
    theirs = write(tmp_path / "theirs", processor=None)
    if version == 4:
        (theirs / "preprocessor_config.json").write_text(json.dumps(PROCESSOR | settings))
    else:
        content = {"image_processor": PROCESSOR | settings, "processor_class": "CLIPProcessor"}
        (theirs / "processor_config.json").write_text(json.dumps(content))
    ours = write_ours(tmp_path / "ours", **preprocessing)
    np.testing.assert_array_equal(embedded(theirs), embedded(ours))


def test_settings_that_are_left_out_are_those_of_transformers(tmp_path):
    config = {"model_type": "clip", "text_config": {}, "vision_config_dict": {"image_size": 64}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "preprocessor_config.json").write_text('{"size": 64, "crop_size": 64}')
    backbone = Backbone(str(tmp_path))
    expected = open_clip.get_model_config("ViT-B-32-quickgelu")
    expected["vision_cfg"]["image_size"] = 64
    for part in ("vision_cfg", "text_cfg"):
        known = backbone.config[part].items()
        assert known >= expected[part].items()
    assert (backbone.width, backbone.config["quick_gelu"]) == (512, True)
    assert backbone.preprocess_config["mean"] == list(open_clip.OPENAI_DATASET_MEAN)


def test_quick_gelu(tmp_path):
    quick = {"hidden_act": "quick_gelu"}
    folder = write(tmp_path, {"text_config": quick, "vision_config": quick})
    loaded, expected = load_backbone(str(folder)).model, open_clips(quick_gelu=True).eval()
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(loaded.encode_image(pixels), expected.encode_image(pixels))


def test_without_a_processor(tmp_path):
    folder = write(tmp_path, processor=None)
    said = rf"'{folder}' does not say how images are prepared.*CLIPImageProcessor"
    with pytest.warns(SuspectedMistakeWarning, match=said):
        load_backbone(str(folder))


def test_another_preprocessing_is_another_model(tmp_path):
    folder = write(tmp_path)
    first, key = embedded(folder), model_key(Backbone(str(folder)), "fp32")
    write(tmp_path, processor=PROCESSOR | {"image_mean": [0.1] * 3}, weights=None)
    assert model_key(Backbone(str(folder)), "fp32") != key
    assert np.abs(embedded(folder) - first).max() > 1e-4


REFUSED = {
    "siglip": ({"model_type": "siglip"}, {}, r"'model_type' is 'siglip'.*CLIPModel"),
    "activation": ({"text_config": {"hidden_act": "relu"}}, {}, r"'hidden_act': 'relu'"),
    "activations": ({"text_config": {"hidden_act": "quick_gelu"}}, {}, r"\('quick_gelu', 'gelu'\)"),
    "norm": ({"vision_config": {"layer_norm_eps": 1e-6}}, {}, r"'layer_norm_eps': 1e-06"),
    "channels": ({"vision_config": {"num_channels": 4}}, {}, r"'num_channels': 4"),
    "text": ({"vision_config": {"hidden_size": "64"}}, {}, r"'hidden_size': '64'"),
    "sides": ({"vision_config": {"image_size": [32, 48]}}, {}, r"'image_size': \[32, 48\]"),
    "size": ({}, {"size": 40}, r"'image_size': 32, but .*'size': 40 and 'crop_size'.*equal sizes"),
    "crop": ({}, {"do_center_crop": False}, r"'do_center_crop': False"),
    "as they are": ({}, {"do_resize": False}, r"'do_resize': False"),
    "colours": ({}, {"do_normalize": False}, r"'do_normalize': False"),
    "factor": ({}, {"rescale_factor": 1.0}, r"'rescale_factor': 1.0"),
    "nearest": ({}, {"resample": 0}, r"'resample': 0"),
    "mean": ({}, {"image_mean": [123.7, 116.8, 103.9]}, r"'mean': \[123.7.*divide it by 255"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_open_clip_lacks(tmp_path, case):
    changes, processor, said = REFUSED[case]
    folder = write(tmp_path, changes, PROCESSOR | processor, weights=None)
    with pytest.raises(ValueError, match=rf"^'{folder}.config\.json'.*{said}"):
        Backbone(str(folder)).width  # noqa: B018


def test_a_configuration_that_is_not_json(tmp_path):
    folder = write(tmp_path, weights=None)
    (folder / "preprocessor_config.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"preprocessor_config.json' describes no model"):
        Backbone(str(folder)).width  # noqa: B018


def test_an_adapter(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"holds an adapter.*merge_and_unload"):
        Backbone(str(tmp_path))


def test_a_tower_alone(tmp_path):
    folder = write(tmp_path, weights=None)
    state = as_in_transformers(open_clips().state_dict())
    save_file({k: v for k, v in state.items() if k.startswith("vis")}, folder / "model.safetensors")
    said = r"model that its config.json describes: .*no tensor 'token_embedding.weight'.*whole CLIP"
    with pytest.raises(ValueError, match=said):
        load_backbone(str(folder))


def test_weights_in_several_parts(tmp_path):
    folder = write(tmp_path, weights="model-00001-of-00002.safetensors")
    shutil.copy(
        folder / "model-00001-of-00002.safetensors", folder / "model-00002-of-00002.safetensors"
    )
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(
        ValueError, match=r"holds weights in several parts, 'model-00001.*max_shard_size"
    ):
        load_backbone(str(folder))


def test_in_a_directory_with_a_configuration_of_open_clip(tmp_path):
    ours = write_ours(tmp_path / "ours")
    expected = embedded(ours)
    theirs = write(tmp_path / "theirs", {"model_type": "siglip"})  # not read
    shutil.copy(ours / "open_clip_config.json", theirs)
    np.testing.assert_array_equal(embedded(theirs), expected)


def test_as_a_file_of_an_architecture(tmp_path):
    file = write(tmp_path) / "model.safetensors"
    with pytest.raises(ValueError, match=r"its tensors are of another architecture, and of none"):
        load_backbone(f"ViT-S-32-alt//{file}")


def test_it_is_the_model_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.CLIPModel(transformers.CLIPConfig(**THEIRS)).eval()
    theirs.save_pretrained(tmp_path)
    processor = transformers.CLIPImageProcessor(**PROCESSOR)
    processor.save_pretrained(tmp_path)
    tokens = open_clip.tokenize(["a cat", "two dogs"])
    pixels = processor(pictures(), return_tensors="pt")["pixel_values"]
    loaded = load_backbone(str(tmp_path)).model
    with torch.no_grad():
        found = theirs(input_ids=tokens, pixel_values=pixels, attention_mask=(tokens != 0).long())
        texts = loaded.encode_text(tokens, normalize=True)
    torch.testing.assert_close(texts, found.text_embeds)
    cosines = (embedded(tmp_path) * found.image_embeds.numpy()).sum(1)
    assert cosines.min() > 0.999  # torchvision resizes a little otherwise


# Repositories


SPEC = "hf-hub:tests/tiny"
COMMIT = "0" * 40


class Hub(BaseHTTPRequestHandler):
    """As much of the Hugging Face hub as its client needs to fetch the files of a folder."""

    def do_HEAD(self):
        file = self.server.folder / self.path.rpartition("/")[2]
        self.server.asked.append(file.name)
        found = self.path == "/" or file.is_file()
        self.send_response(200 if found else 404)
        self.content = file.read_bytes() if file.is_file() else b""
        self.send_header("ETag", f'"{hash(self.content)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(self.content)))
        if not found:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(self.content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    clear_backbone_cache()
    with serving(Hub) as server:
        server.folder, server.asked = tmp_path / "repository", []
        constants = huggingface_hub.constants
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        url = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url)
        yield server
    clear_backbone_cache()


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_a_repository(hub, tmp_path, weights):
    expected = embedded(write(hub.folder, weights=weights))
    backbone = Backbone(SPEC)
    assert (backbone.width, backbone.repository) == (16, "tests/tiny")
    np.testing.assert_array_equal(embedded(SPEC), expected)
    assert prompted(SPEC, expected).shape == (3, 16)
    asked = len(hub.asked)
    clear_backbone_cache()
    np.testing.assert_array_equal(embedded(SPEC), expected)  # from the cache
    assert len(hub.asked) == asked
    assert backbone.version == (COMMIT,)


def test_a_repository_without_a_processor(hub):
    write(hub.folder, processor=None)
    with pytest.warns(SuspectedMistakeWarning, match=rf"^'{SPEC}' does not say how images are"):
        load_backbone(SPEC)
    asked = len(hub.asked)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert Backbone(SPEC).width == 16
    assert len(hub.asked) == asked  # the cache knows that there is none


def test_a_repository_of_both_forms(hub, tmp_path):
    expected = embedded(write_ours(hub.folder))
    write(hub.folder, processor=PROCESSOR | {"image_mean": [0.1] * 3})
    np.testing.assert_array_equal(embedded(SPEC), expected)
    assert "model.safetensors" not in hub.asked


def test_what_transformers_left_in_the_cache(hub, tmp_path):
    """Its configuration and weights; the file of the processor was not asked for."""
    expected = embedded(write(hub.folder))
    for name in ("config.json", "model.safetensors"):
        huggingface_hub.hf_hub_download("tests/tiny", name)
    np.testing.assert_array_equal(embedded(SPEC), expected)
    assert "preprocessor_config.json" in hub.asked

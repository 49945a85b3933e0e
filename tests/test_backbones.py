"""Tests of backbones: what their names mean, and that their weights meet the right activation."""

import hashlib
import json
import logging
import multiprocessing
import os
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import huggingface_hub
import numpy as np
import open_clip
import pytest
import torch
from _said import no_warning
from _servers import serving
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from skclipens import (
    BackboneNotAvailableError,
    CLIPEmbedder,
    MultiBackboneEmbedder,
    list_backbones,
    zoo,
)
from skclipens.backbones import (
    Backbone,
    _checkpoints,
    _loading,
    clear_backbone_cache,
    load_backbone,
    load_backbones,
    resolve_backbones,
    resolve_device,
)
from skclipens.backbones._available import check_available
from skclipens.backbones._pretrained import uses_quick_gelu

TINY = "ViT-tiny-32"  # registered with open_clip, as is TINY-quickgelu
OTHER = "ViT-other-32"  # of another width
CONFIG = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2},
}
OPENAI_ENTRIES = {"input_resolution": 64, "context_length": 77, "vocab_size": 49408}
PIXELS = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
PRETRAINED = open_clip.list_pretrained()


@pytest.fixture(scope="module", autouse=True)
def architectures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configs")
    (folder / f"{TINY}.json").write_text(json.dumps(CONFIG))
    (folder / f"{TINY}-quickgelu.json").write_text(json.dumps(CONFIG | {"quick_gelu": True}))
    other = {**CONFIG, "vision_cfg": {**CONFIG["vision_cfg"], "width": 128}}
    (folder / f"{OTHER}.json").write_text(json.dumps(other))
    open_clip.add_model_config(folder)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of the hub, whatever this machine's own one holds."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def state(architectures):
    """Weights of TINY, rounded to the half precision in which OpenAI published its own."""
    torch.manual_seed(0)
    model = open_clip.create_model(TINY)
    open_clip.convert_weights_to_fp16(model)
    return {key: value.float() for key, value in model.state_dict().items()}


@pytest.fixture(scope="module")
def outputs(state):
    """What TINY must give with these weights and either activation."""
    by_activation = {}
    for activation, name in (("gelu", TINY), ("quickgelu", f"{TINY}-quickgelu")):
        model = open_clip.create_model(name).eval()
        model.load_state_dict(state)
        by_activation[activation] = features(model, PIXELS)
    assert not same(*by_activation.values(), tolerance=2e-3)
    return by_activation


@torch.inference_mode()
def features(model, pixels):
    tokens = open_clip.tokenize(["a photo of a cat", "a dog", "seventy-seven"])
    return torch.cat([model.encode_image(pixels), model.encode_text(tokens)]).numpy()


def same(a, b, tolerance=1e-4):
    return (np.linalg.norm(a - b, axis=1) < tolerance * np.linalg.norm(b, axis=1)).all()


def activation(spec, outputs):
    """Which activation a loaded backbone has, by what it gives."""
    found = features(load_backbone(spec).model, PIXELS)
    return [name for name, expected in outputs.items() if same(found, expected)]


def save(state, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write = save_file if path.suffix == ".safetensors" else torch.save
    write(state, path)
    return path


def save_directory(folder, config=CONFIG):
    folder.mkdir(parents=True, exist_ok=True)
    said = {"model_cfg": config, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    return folder


def save_as_openai(state, path):
    """Write a TorchScript archive as openai/CLIP publishes: half precision, entries of its own."""
    model = open_clip.create_model(f"{TINY}-quickgelu").eval()
    model.load_state_dict(state)
    open_clip.convert_weights_to_fp16(model)
    for name, value in OPENAI_ENTRIES.items():
        model.__dict__.pop(name, None)  # open_clip has some of them as plain numbers
        model.register_buffer(name, torch.tensor(value))
    model.attn_mask = model._buffers.pop("attn_mask")  # no part of OpenAI's state dict
    torch.jit.script(model).save(path)
    return path


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("ViT-B-32", "ViT-B-32/openai"),
        ("ViT-B-32/openai", "ViT-B-32/openai"),
        ("ViT-B-32-quickgelu", "ViT-B-32/openai"),
        ("ViT-B-32-quickgelu/openai", "ViT-B-32/openai"),
        ("ViT-B-32/laion2b_s34b_b79k", "ViT-B-32/laion2b_s34b_b79k"),
        ("ViT-B-32-quickgelu/metaclip_400m", "ViT-B-32/metaclip_400m"),
        ("zoo/ViT-16", "zoo/ViT-16"),
    ],
)
def test_canonical_name(spec, name):
    assert Backbone(spec).name == name
    assert Backbone(spec) == Backbone(name)
    assert Backbone(name) != Backbone("RN50")


def test_a_file_or_directory_of_ones_own(state, tmp_path, monkeypatch):
    file = save(state, tmp_path / "weights.safetensors")
    folder = save_directory(tmp_path / "a//model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in ("weights.safetensors", "~/weights.safetensors", str(file)):
        backbone = Backbone(f"{TINY}//{path}")
        assert (backbone.name, backbone.path) == (f"{TINY}//{path}", file)
        assert (backbone.architecture, backbone.tag, backbone.width) == (TINY, "", 32)
        assert backbone == Backbone(f"{TINY}//{file}")
    for path in ("weights.safetensors", "~/weights.safetensors", str(file)):
        backbone = Backbone(f"ViT-B-32-quickgelu/openai//{path}")
        assert (backbone.name, backbone.path) == (f"ViT-B-32/openai//{path}", file)
        assert (backbone.architecture, backbone.tag, backbone.width) == ("ViT-B-32", "openai", 512)
        assert backbone == Backbone(f"ViT-B-32/openai//{file}") != Backbone(f"ViT-B-32//{file}")
    for path in ("a/model", "./a//model", "~/a/model", str(folder), "local-dir:a/model"):
        backbone = Backbone(path)
        assert (backbone.name, backbone.path) == (path, folder)
        assert (backbone.architecture, backbone.tag, backbone.width) == ("", "", 32)


@pytest.mark.parametrize("spec", ["ViT-B-32", "RN50/yfcc15m", "ViT-B-32-quickgelu"])
def test_a_directory_that_is_called_as_a_pretrained_model(tmp_path, monkeypatch, spec):
    monkeypatch.chdir(tmp_path)
    name = Backbone(spec).name
    folder = save_directory(tmp_path / spec)
    with pytest.raises(ValueError, match=rf"'{spec}' is a pretrained .*Name it './{spec}' if"):
        Backbone(spec)
    assert Backbone(f"./{spec}").path == Backbone(str(folder)).path == folder
    (tmp_path / spec).rename(tmp_path / "mine")
    assert (Backbone(spec).name, Backbone("mine").width) == (name, 32)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("ViT-B/32", "Unknown backbone 'ViT-B/32', did you mean 'ViT-B-32'?.*list_pretrained"),
        ("vit-b-32", "did you mean 'ViT-B-32'?"),
        ("openai/ViT-B-32", "did you mean 'ViT-B-32/openai'?"),
        ("vit-l-14/datacomp_xl_s13b_b90k", "did you mean 'ViT-L-14/datacomp_xl_s13b_b90k'?"),
        ("ViT-L/14@336px", "did you mean 'ViT-L-14-336'?"),  # as OpenAI calls it
        ("RN50/cc12", "Did you mean 'RN50/cc12m'?"),
        ("zoo/RN20@pooled", r"name of columns\. Name the backbone, 'zoo/RN20'; .*'features'"),
        ("RN50/openai@pooled+views", r"Name the backbone, 'RN50/openai'; .*'views'"),
        ("zoo/rn20", "did you mean 'zoo/RN20'?"),
        ("VIT-B-16-SIGLIP//weights.pt", "did you mean 'ViT-B-16-SigLIP'?"),
        ("openai/clip-vit-base-patch32", "for transformers. Name the same weights 'ViT-B-32'"),
        ("openai/clip-vit-large-patch14-336", "the same weights 'ViT-L-14-336'"),
        ("laion/CLIP-ViT-H-14", r"Unknown.*'hf-hub:ORG/NAME', a repository of the hub"),
        ("no-such-net", "Unknown backbone 'no-such-net'.*directory that holds open_clip_config"),
        ("/no/model", "Unknown backbone '/no/model'.*There is no directory '/no/model'."),
        ("no/model", "There is no directory '/.*/no/model'."),  # of a path relative to another
        ("laion2b_s34b_b79k", "is a tag .* such as 'ViT-B-32/laion2b_s34b_b79k'"),
        ("zoo/RN20,RN50", r"several names: give a list, \['zoo/RN20', 'RN50'\]"),
        ("/models,2", "Unknown backbone '/models,2'.*There is no directory '/models,2'."),
        ("zoo", "Unknown backbone 'zoo'"),  # a group; resolve_backbones knows it
        ("RN50/laion2b", "no pretrained weights 'laion2b' of 'RN50', only openai, yfcc15m, cc12m"),
        (TINY, rf"no pretrained weights 'openai' of '{TINY}'.*'{TINY}//path/to/file'"),
        ("zoo/VGG", "no model 'VGG'. It has zoo/RN20, zoo/ViT-8"),
        ("VGG//weights.pt", "Unknown backbone 'VGG//weights.pt'. A backbone is 'zoo/NAME'"),
        ("VGG//weights.pt", "One that open_clip.add_model_config adds is known in the process"),
        (__file__, "This is a file: name '/.*tests', or 'NAME///.*/tests/test_backbones.py'"),
        ("local-dir:/no/model", "There is no directory '/no/model'."),
        ("RN50//no/such/file.pt", "there is no file '/.*/no/such/file.pt'"),
        ("RN50//", "there is no file"),
        ("RN50/openai//no/file.pt", "there is no file '/.*/no/file.pt'"),
        ("RN50/laion2b//weights.pt", "no pretrained weights 'laion2b' of 'RN50', only openai"),
        ("hf-hub:ViT-B-32", "'hf-hub:ViT-B-32' names no repository.*'hf-hub:ORG/NAME'"),
        ("hf-hub:timm/a@main", "names no repository"),
        ("", "named by a string such as 'ViT-B-32', not ''"),
        (3, "named by a string such as 'ViT-B-32', not 3"),
        (["RN50"], "named by a string"),
    ],
)
def test_unknown_backbone_is_named_with_what_to_do(spec, message):
    with pytest.raises(ValueError, match=message):
        Backbone(spec)
    if spec != "zoo":
        with pytest.raises(ValueError, match=message):
            resolve_backbones([spec])


def test_groups_and_lists():
    assert [b.name for b in resolve_backbones("zoo")] == [f"zoo/{name}" for name in zoo.MODELS]
    assert resolve_backbones(np.array(["zoo"])) == resolve_backbones("zoo")
    mixed = [backbone.name for backbone in resolve_backbones(("zoo/RN20", "paper"))]
    assert mixed[:3] == ["zoo/RN20", "ViT-B-32/openai", "RN50/openai"]
    assert len(resolve_backbones("paper")) == 9
    with pytest.raises(ValueError, match="RN50/openai, zoo/RN20 more than once"):
        resolve_backbones(["RN50", "zoo", "RN50-quickgelu/openai", "zoo/RN20"])
    with pytest.raises(ValueError, match="backbones is empty"):
        resolve_backbones([])


def test_list_backbones_agrees_with_open_clip():
    frame = list_backbones()
    columns = ["group", "input_size", "width", "pooled_width", "parameters", "gflops"]
    columns.append("download_mb")
    assert (frame.index.name, list(frame.columns)) == ("backbone", columns)
    listed = [backbone.name for group in ("paper", "zoo") for backbone in resolve_backbones(group)]
    assert list(frame.index) == listed
    with pytest.raises(ValueError, match="views=3 needs one or more"):
        list_backbones(views=3)
    for spec, row in frame.iterrows():
        backbone = Backbone(spec)
        assert row["width"] == backbone.width == backbone.config["embed_dim"]
        assert row["pooled_width"] == backbone.pooled_width
        assert row["input_size"] == backbone.config["vision_cfg"]["image_size"]


@pytest.mark.parametrize("backbone", resolve_backbones("paper"), ids=lambda b: b.architecture)
def test_listed_cost_is_that_of_the_image_tower(backbone):
    row = list_backbones().loc[backbone.name]
    with torch.device("meta"):
        model = open_clip.CLIP(**backbone.config).eval()
        tower = model.visual
        pixels = torch.empty(1, 3, row["input_size"], row["input_size"])
    parameters = sum(parameter.numel() for parameter in tower.parameters())
    assert row["parameters"] == pytest.approx(parameters / 1e6, abs=0.06)
    of_both = sum(parameter.numel() for parameter in model.parameters())
    assert row["download_mb"] == pytest.approx(4 * of_both / 1e6, abs=1)
    with FlopCounterMode(display=False) as counter:
        tower(pixels)
    assert row["gflops"] == pytest.approx(counter.get_total_flops() / 1e9, rel=0.01)


@pytest.mark.parametrize(("name", "tag"), PRETRAINED)
def test_quick_gelu_as_in_the_table_of_open_clip(name, tag):
    backbone = Backbone(f"{name}/{tag}")
    expected = open_clip.get_pretrained_cfg(name, tag).get("quick_gelu", False)
    if name == "roberta-ViT-B-32":  # its table has no QuickGELU, its configuration has
        expected = True
    assert uses_quick_gelu(backbone) is expected
    assert backbone.name == f"{name.removesuffix('-quickgelu')}/{tag}"
    # Nothing but the activation depends on which of two names is built.
    activation = {"quick_gelu": expected}
    assert backbone.config | activation == open_clip.get_model_config(name) | activation


def test_torchscript_archive_of_openai(state, outputs, tmp_path, monkeypatch):
    file = save_as_openai(state, tmp_path / "ViT-B-32.pt")
    with pytest.raises(ValueError, match="none of those that OpenAI published"):
        load_backbone(f"{TINY}//{file}")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setattr(_checkpoints, "openai_digests", lambda: {digest})
    # The archive of this test is one that open_clip's reader of OpenAI's archives accepts.
    reference = open_clip.load_openai_model(str(file), precision="fp32", device="cpu")
    assert same(features(reference, PIXELS), outputs["quickgelu"])
    assert activation(f"{TINY}//{file}", outputs) == ["quickgelu"]
    assert activation(f"{TINY}-quickgelu//{file}", outputs) == ["quickgelu"]


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".safetensors"])
@pytest.mark.parametrize("legacy", [True, False])
def test_state_dict_with_the_entries_of_openai(state, outputs, tmp_path, suffix, legacy):
    content = state | {key: torch.tensor(value) for key, value in OPENAI_ENTRIES.items()}
    content = {"state_dict": content} if legacy else content
    file = save_directory(tmp_path / "model") / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(content.get("state_dict", content), file)
    else:
        torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    for name in (TINY, f"{TINY}-quickgelu"):
        assert activation(f"{name}//{file}", outputs) == ["quickgelu"]
    if suffix != ".pt":  # open_clip does not look for it in a directory
        assert activation(str(file.parent), outputs) == ["quickgelu"]


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("models--timm--vit_base_patch32_clip_224.openai/snapshots/0a", "quickgelu"),
        ("models--apple--DFN5B-CLIP-ViT-H-14/snapshots/0a", "quickgelu"),
        ("models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K/snapshots/0a", "gelu"),
    ],
)
def test_repository_of_the_hub(state, outputs, tmp_path, repository, expected):
    file = save(state, save_directory(tmp_path / repository) / "open_clip_model.safetensors")
    with no_warning():
        assert activation(f"{TINY}//{file}", outputs) == [expected]
        assert activation(str(file.parent), outputs) == [expected]
        # Whoever says QuickGELU gets it.
        assert activation(f"{TINY}-quickgelu//{file}", outputs) == ["quickgelu"]


def test_directory_says_its_activation(state, outputs, tmp_path):
    for name, config in {"gelu": {}, "quickgelu": {"quick_gelu": True}}.items():
        folder = save_directory(tmp_path / name, CONFIG | config)
        save(state, folder / "open_clip_model.safetensors")
        with no_warning():
            assert activation(str(folder), outputs) == [name]


def test_unrecognised_file_warns_where_there_is_a_choice(state, outputs, tmp_path):
    file = save(state, tmp_path / "mine.pt")
    with pytest.warns(UserWarning, match=rf"mine.pt.*plain GELU.*'{TINY}-quickgelu//"):
        assert activation(f"{TINY}//{file}", outputs) == ["gelu"]
    with no_warning():
        assert activation(f"{TINY}-quickgelu//{file}", outputs) == ["quickgelu"]
        assert not uses_quick_gelu(Backbone(f"ViT-S-32//{file}"))  # has one form only


@pytest.mark.parametrize(
    ("tag", "expected"),
    [("openai", "quickgelu"), ("metaclip_400m", "quickgelu"), ("laion2b_s34b_b79k", "gelu")],
)
def test_pretrained_tag_from_a_filled_hub_cache(state, outputs, hub, monkeypatch, tag, expected):
    table = open_clip.pretrained._PRETRAINED  # TINY takes the place of ViT-B-32
    for suffix in ("", "-quickgelu"):
        monkeypatch.setitem(table, TINY + suffix, table["ViT-B-32" + suffix])
    folder = hub / f"models--{table[TINY][tag]['hf_hub'].strip('/').replace('/', '--')}"
    save(state, folder / "snapshots/0a/open_clip_model.safetensors")
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text("0a")
    assert activation(f"{TINY}/{tag}", outputs) == [expected]
    assert load_backbone(f"{TINY}-quickgelu/{tag}") is load_backbone(f"{TINY}/{tag}")
    clear_backbone_cache()


def test_without_internet_one_short_try_and_one_message(hub, monkeypatch, caplog, capfd):
    for name, value in (("HF_HUB_OFFLINE", False), ("ENDPOINT", "http://127.0.0.1:9")):
        monkeypatch.setattr(huggingface_hub.constants, name, value)
    start = time.perf_counter()
    for use in (
        lambda: load_backbone("ViT-B-32/laion2b_s34b_b79k"),
        lambda: MultiBackboneEmbedder(["zoo/RN20", "RN50"]).fit(["a.png"]),
        lambda: MultiBackboneEmbedder(["hf-hub:a/b"]).fit(["a.png"]),
        lambda: MultiBackboneEmbedder(["timm/resnet18"]).fit(["a.png"]),
    ):
        with pytest.raises(BackboneNotAvailableError, match=r"127.0.0.1:9 does not answer"):
            use()
    assert time.perf_counter() - start < 20
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_what_has_the_weights_answers_or_has_them(hub, monkeypatch):
    class Refuses(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    with serving(Refuses) as server:
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
        check_available(Backbone("RN50"))
    folder = hub / "models--timm--resnet50_clip.openai"
    (folder / "snapshots/0a").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text("0a")
    with pytest.raises(BackboneNotAvailableError, match="does not answer"):
        check_available(Backbone("RN50"))
    (folder / "snapshots/0a/open_clip_model.safetensors").write_bytes(b"")
    check_available(Backbone("RN50"))


def test_offline_error_says_what_to_do(hub):
    start = time.perf_counter()
    with pytest.raises(BackboneNotAvailableError, match="ViT-B-32/openai") as caught:
        load_backbone("ViT-B-32")
    assert time.perf_counter() - start < 20
    for advice in ("internet", "'ViT-B-32/openai//path/to/file'", "'zoo'"):
        assert advice in str(caught.value)


@pytest.mark.parametrize("name", ["damaged.pt", "damaged.safetensors", "other.safetensors"])
def test_file_that_does_not_hold_the_weights(state, tmp_path, name):
    file = tmp_path / name
    file.write_bytes(b"not weights")
    if name == "other.safetensors":
        save({key: value for key, value in state.items() if "visual" in key}, file)
    with pytest.raises(ValueError, match=rf"{name}' does not hold the weights of {TINY}-quickgelu"):
        load_backbone(f"{TINY}-quickgelu//{file}")
    with pytest.raises(ValueError, match=r"model that its open_clip_config.json describes"):
        load_backbone(str(save_directory(tmp_path / "without weights")))


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_weights_of_another_architecture_say_which_they_fit(state, tmp_path, suffix):
    file = save(state, tmp_path / f"weights.{suffix}")
    message = rf"another architecture. They fit '{TINY}//{re.escape(str(file))}'\.$"
    with pytest.raises(ValueError, match=message):
        load_backbone(f"{OTHER}//{file}")
    state = {key: value for key, value in state.items() if key != "token_embedding.weight"}
    with pytest.raises(ValueError, match=r"no tensor 'token_embedding.weight', so it is not"):
        load_backbone(f"{OTHER}//{save(state, tmp_path / f'part.{suffix}')}")


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module._orig_mod.", "model.clip."])
def test_weights_whose_names_have_a_prefix(state, outputs, tmp_path, prefix):
    prefixed = {prefix + key: value for key, value in state.items()}
    folder = save_directory(tmp_path / "model")
    file = save(prefixed, folder / "open_clip_pytorch_model.bin")
    message = rf"names of its tensors begin with '{prefix.removeprefix('module.')}'\. Save the"
    with pytest.raises(ValueError, match=message):
        load_backbone(str(folder))
    with pytest.raises(ValueError, match=message) as caught:
        load_backbone(f"{TINY}-quickgelu//{file}")
    advice = str(caught.value).partition("without it: ")[2].rstrip(".")
    save(eval(advice, {"state_dict": prefixed}), file)
    assert activation(f"{TINY}-quickgelu//{file}", outputs) == ["quickgelu"]


def test_weights_of_no_known_architecture(state, tmp_path):
    block = "visual.transformer.resblocks"
    deeper = {
        key.replace(f"{block}.1", f"{block}.2"): value.clone() for key, value in state.items()
    }
    file = save({**deeper, **state}, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match=r"of none that open_clip has. Name a directory"):
        load_backbone(f"{TINY}//{file}")


def test_a_file_cannot_run_code(tmp_path):
    class Payload:
        def __reduce__(self):
            return (tmp_path / "ran").touch, ()

    file = tmp_path / "weights.pt"
    torch.save({"a": Payload()}, file)
    with pytest.raises(ValueError, match="does not hold the weights"):
        load_backbone(f"{TINY}-quickgelu//{file}")
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def specs(state, tmp_path):
    """Five models of which none is loaded."""
    clear_backbone_cache()
    files = [save(state, tmp_path / f"{name}.safetensors") for name in "abcde"]
    yield [f"{TINY}-quickgelu//{file}" for file in files]
    clear_backbone_cache()


def test_loaded_once_and_ready_to_use(specs):
    loaded = load_backbone(specs[0])
    assert load_backbone(Backbone(specs[0]), "cpu") is loaded
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert loaded.preprocess_config["size"] in (64, (64, 64))
    clear_backbone_cache()
    assert load_backbone(specs[0]) is not loaded


def test_loading_draws_no_random_numbers_of_the_program(specs):
    before = torch.get_rng_state()
    load_backbone(specs[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_that_was_changed_in_memory_is_refused(specs, tmp_path):
    images, loaded = [np.zeros((9, 9), np.uint8)], load_backbone(specs[0])
    embedder = CLIPEmbedder(specs[0], cache=tmp_path / "cache")
    expected = CLIPEmbedder(specs[0], precision="fp32").transform(images)
    loaded.model.train()
    with pytest.raises(ValueError, match=r"a\.safetensors' is in training mode.* call its eval"):
        embedder.transform(images)
    loaded.model.eval()
    embedder.set_params(precision="bf16").transform(images)
    np.testing.assert_array_equal(embedder.set_params(precision="fp32").transform(images), expected)
    with torch.no_grad():
        for weights in loaded.model.parameters():
            weights.mul_(0.5)
    np.testing.assert_array_equal(embedder.transform(images), expected)  # from the store
    for fails in (embedder.set_params(cache=False).transform, CLIPEmbedder(specs[0]).transform):
        with pytest.raises(ValueError, match="were changed since they were loaded"):
            fails(images)
    clear_backbone_cache()
    np.testing.assert_array_equal(embedder.transform(images), expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda model, other: model.visual.proj.data.add_(0.1),
        lambda model, other: setattr(model.visual.proj, "data", model.visual.proj.data * 2),
        lambda model, other: setattr(model, "visual", other.visual),
        lambda model, other: model.load_state_dict(other.state_dict(), assign=True),
    ],
    ids=["written to data", "other data", "other tower", "assigned"],
)
def test_weights_that_were_exchanged_in_memory_are_refused(specs, change):
    change(load_backbone(specs[0]).model, load_backbone(specs[1]).model)
    with pytest.raises(ValueError, match="were changed since they were loaded"):
        CLIPEmbedder(specs[0]).transform([np.zeros((9, 9), np.uint8)])


def test_only_the_last_used_are_kept(specs, monkeypatch):
    monkeypatch.setattr(_loading, "_MAX_LOADED", 2)
    a, b = map(load_backbone, specs[:2])
    assert load_backbone(specs[0]) is a
    c = load_backbone(specs[2])
    assert load_backbone(specs[0]) is a
    assert load_backbone(specs[2]) is c
    assert load_backbone(specs[1]) is not b


@pytest.fixture
def loads(monkeypatch):
    """Names of the files of the models that are really built, in order."""
    names = []

    def load(backbone, device, real=_loading._load):
        names.append(backbone.path.stem)
        return real(backbone, device)

    monkeypatch.setattr(_loading, "_load", load)
    return names


def test_all_models_of_a_call_are_kept_beyond_the_limit(specs, loads, monkeypatch):
    monkeypatch.setattr(_loading, "_MAX_LOADED", 2)
    images = [np.full((70, 60, 3), 100, np.uint8)]
    embedder = MultiBackboneEmbedder(specs[:4], device="cpu", precision="fp32")
    for _ in range(2):
        embedder.transform(images)
        load_backbone(specs[2])  # as a head does for its texts
        embedder.set_params(backbones=specs[1:3]).transform(images)
        embedder.set_params(backbones=specs[:4])
    assert loads == ["a", "b", "c", "d"]
    a = load_backbone(specs[0])
    load_backbone(specs[4])
    assert load_backbone(specs[0]) is a  # b, c and d made room
    assert load_backbone(specs[4]) and loads == ["a", "b", "c", "d", "e"]
    embedder.transform(images)
    assert loads[5:] == ["b", "c", "d"]


def test_one_call_for_several_devices(specs, loads, monkeypatch):
    monkeypatch.setattr(_loading, "_MAX_LOADED", 2)
    backbones = resolve_backbones(specs[:2])
    for _ in range(2):
        rows = load_backbones(backbones, ["cpu", "cpu:0"])
        assert [[one.backbone for one in row] for row in rows] == [backbones, backbones]
    assert loads == ["a", "b", "a", "b"]


@pytest.mark.parametrize("load", [load_backbone, load_backbones])
def test_a_device_that_is_not_here_is_named(load):
    with pytest.raises(ValueError, match="device='cuda:99' is not available on this machine"):
        load("zoo/RN20", "cuda:99")


def test_several_models_are_loaded_by_name(specs, loads):
    (row,) = load_backbones(specs[:2])
    assert [one.backbone for one in row] == resolve_backbones(specs[:2])
    assert load_backbones(specs[0], "cpu") == [row[:1]] == load_backbones(specs[0], [None])
    assert loads == ["a", "b"]
    with pytest.raises(ValueError, match=r"a\.safetensors more than once"):
        load_backbones([specs[0]] * 2)
    with pytest.raises(ValueError, match="backbones is empty"):
        load_backbones([])


def test_threads_share_one_model(specs, loads):
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(load_backbone, [specs[0]] * 8))) == 1
    assert loads == ["a"]


def test_threads_do_not_wait_for_models_of_others(specs, monkeypatch):
    begun, may_end = threading.Event(), threading.Event()

    def load(backbone, device, real=_loading._load):
        if backbone == Backbone(specs[0]):
            begun.set()
            assert may_end.wait(60)
        return real(backbone, device)

    monkeypatch.setattr(_loading, "_load", load)
    monkeypatch.setattr(_loading, "_MAX_LOADED", 1)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(load_backbone, specs[0])
        assert begun.wait(60)
        b = load_backbone(specs[1])
        clear_backbone_cache()
        assert load_backbone(specs[1]) is not b
        may_end.set()
        assert load_backbone(specs[0]) is slow.result()  # neither dropped nor loaded twice


def test_threads_do_not_set_back_the_precision_of_models_of_others(specs, monkeypatch):
    begun, other_begun = threading.Event(), threading.Event()

    def build(backbone, real=_loading.build_model):
        if backbone == Backbone(specs[0]):
            begun.set()
            other_begun.wait(0.1)
        else:
            other_begun.set()
            slow.result()
        return real(backbone)

    monkeypatch.setattr(_loading, "build_model", build)
    torch.set_default_dtype(torch.float64)
    try:
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(load_backbone, specs[0])
            assert begun.wait(60)
            weights = load_backbone(specs[1]).model.parameters()
        assert {one.dtype for one in weights} == {torch.float32}
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_threads_that_load_models_leave_the_generator_of_torch_as_it_was(specs, monkeypatch):
    begun, other_begun = threading.Event(), threading.Event()

    def build(backbone, real=_loading.build_model):
        if backbone == Backbone(specs[0]):
            model = real(backbone)
            begun.set()
            other_begun.wait(60)
            return model
        other_begun.set()
        slow.result()
        return real(backbone)

    monkeypatch.setattr(_loading, "build_model", build)
    before = torch.get_rng_state()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(load_backbone, specs[0])
        assert begun.wait(60)
        load_backbone(specs[1])
    assert torch.equal(torch.get_rng_state(), before)


def test_loading_leaves_no_handler_on_the_root_logger(specs, monkeypatch):
    """So that logging.basicConfig, which does nothing if there is one, does what it is asked to."""
    monkeypatch.setattr(logging.root, "handlers", [])
    with ThreadPoolExecutor(2) as pool:
        models = list(pool.map(load_backbone, specs[:2]))
    assert models[0].tokenizer(["a cat"]).shape == (1, 77)
    assert logging.root.handlers == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_is_forked_meanwhile_loads_models_of_its_own(specs, monkeypatch):
    begun, may_end = threading.Event(), threading.Event()
    real = _loading._load

    def load(backbone, device):
        begun.set()
        assert may_end.wait(60)
        return real(backbone, device)

    def work():
        monkeypatch.setattr(_loading, "_load", real)
        os._exit(0 if load_backbone(specs[0]).backbone == Backbone(specs[0]) else 2)

    monkeypatch.setattr(_loading, "_load", load)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(load_backbone, specs[0])
        assert begun.wait(60)
        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join(60)
        child.kill()
        may_end.set()
        assert child.exitcode == 0
        assert load_backbone(specs[0]) is slow.result()


def test_a_model_that_failed_is_tried_again(specs, loads, tmp_path, state):
    file = save({}, tmp_path / "f.safetensors")
    spec = f"{TINY}-quickgelu//{file}"
    for _ in range(2):
        with pytest.raises(ValueError, match="does not hold the weights"):
            load_backbone(spec)
    assert loads == ["f", "f"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of memory")
def test_too_little_memory_is_no_fault_of_the_weights(tmp_path):
    import resource

    weights = torch.zeros(2**24)  # 64 MB, which no memory that was freed before can hold
    file = save({"a": weights, "b": weights.clone()}, tmp_path / "weights.safetensors")
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    try:
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**24, limits[1]))
        with pytest.raises(MemoryError, match=f"too little memory to load '{TINY}//.*fewer or sma"):
            load_backbone(f"{TINY}//{file}")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    with pytest.raises(ValueError, match="does not hold the weights"):
        load_backbone(f"{TINY}//{file}")


def test_a_file_written_again_is_loaded_again(state, outputs, tmp_path):
    folder = save_directory(tmp_path, CONFIG | {"quick_gelu": True})
    zeros = {key: torch.zeros_like(value) for key, value in state.items()}
    for spec in (str(folder), f"{TINY}-quickgelu//{folder / 'open_clip_model.safetensors'}"):
        save(zeros, folder / "open_clip_model.safetensors")
        assert not features(load_backbone(spec).model, PIXELS).any()
        save(state, folder / "open_clip_model.safetensors")
        assert activation(spec, outputs) == ["quickgelu"]


@pytest.mark.parametrize("device", ["tpu", "meta", "cuda:99", "cuda:x", "", "xla:0"])
def test_device_that_is_not_here(device):
    with pytest.raises(ValueError, match=f"device='{device}' is not available.*'auto' and 'cpu'"):
        resolve_device(device)


def test_device_that_is_here():
    assert resolve_device("cpu") == "cpu"
    assert torch.zeros(1, device=resolve_device("auto")).device.type == resolve_device("auto")


@pytest.mark.gpu
def test_device_with_cuda():
    assert resolve_device("auto") == "cuda"
    assert resolve_device("cuda:0") == resolve_device(0) == "cuda:0"
    assert next(load_backbone("zoo/RN20", "cuda:0").model.parameters()).is_cuda

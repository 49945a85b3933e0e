"""Files of weights, and configurations beside them, that others made."""

import hashlib
import json
import os
import pickle
import re
import traceback
import zipfile
from http.server import BaseHTTPRequestHandler

import huggingface_hub
import numpy as np
import open_clip
import pytest
import torch
from _said import said
from _servers import serving
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import save_file

from skclipens import BackboneNotAvailableError, CLIPEmbedder, ZeroShotHead, zoo
from skclipens.backbones import Backbone, _checkpoints, clear_backbone_cache, load_backbone
from skclipens.backbones._checkpoints import check_checkpoint, openai_digests
from skclipens.backbones._configs import check_vocabulary
from skclipens.backbones._hub import checked_downloads

ARCHITECTURE = "ViT-S-32-alt"
CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 32},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}


def refusal(file, by=load_backbone):
    """What is said of a file that is refused, with all that a traceback would show."""
    with pytest.raises(ValueError) as caught:
        by(f"{ARCHITECTURE}//{file}")
    return "".join(traceback.format_exception(caught.value))


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


# Code


@pytest.mark.parametrize("form", ["zip", "legacy", "bare pickle", "beside tensors"])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin"])
def test_code_is_not_run_and_nobody_is_told_to_run_it(tmp_path, form, suffix):
    file, ran = tmp_path / f"weights{suffix}", tmp_path / "ran"
    content = (
        {"a": Payload(ran)} if form != "beside tensors" else {"t": torch.ones(3), "a": Payload}
    )
    if form == "bare pickle":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=form != "legacy")
    text = refusal(file)
    assert not ran.exists()
    for advice in ("weights_only", "add_safe_globals", "trust the source"):
        assert advice not in text.replace("torch.load(file, map_location", "")
    assert "safetensors.torch.save_file" in text
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": CONFIG}))
    for name in ("a.bin", "b.bin"):
        (folder / name).write_bytes(file.read_bytes())
    text = refusal(file, by=lambda _: load_backbone(str(folder)))
    assert not ran.exists() and "set `weights_only`" not in text and "trust the" not in text


class Scripted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))

    def forward(self, x):
        return x + self.weight


@pytest.fixture
def script(tmp_path):
    torch.jit.script(Scripted()).save(tmp_path / "scripted.pt")
    return tmp_path / "scripted.pt"


@pytest.mark.parametrize("spec", [ARCHITECTURE, "timm/resnet18"])
def test_torchscript_is_refused_without_being_parsed(script, monkeypatch, spec):
    def parse(*args, **options):
        raise AssertionError("parsed")

    monkeypatch.setattr(torch.jit, "load", parse)
    monkeypatch.setattr(torch, "load", parse)
    with pytest.raises(ValueError, match=r"scripted.pt' does not hold.*holds code.*SHA-256"):
        load_backbone(f"{spec}//{script}")
    digest = hashlib.sha256(script.read_bytes()).hexdigest()
    monkeypatch.setattr(_checkpoints, "openai_digests", lambda: {digest})
    check_checkpoint(script)


def test_archives_of_openai_are_known_by_their_digests():
    digests = openai_digests()
    assert len(digests) == 9 and all(len(bytes.fromhex(one)) == 32 for one in digests)


# Other formats


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.npz", None, "it is a NumPy archive"),
        ("a.pt", None, "a zip file of something else"),
        ("a.npy", b"\x93NUMPY\x01\x00", "it is a NumPy array"),
        ("a.h5", b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        ("a.gguf", b"GGUF\x03\x00", "a GGUF file"),
        ("a.bin", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        ("a.pth", b"<!doctype html><html>404", "a page of HTML"),
        ("a.bin", b"", "it is empty"),
        ("a.bin", b"weights", "of no known format"),
        ("a.ckpt", b"\x80\x02}q\x00.", "not what torch.save writes"),
        ("a.pt", b"PK\x03\x04 and no more", "it is damaged"),
        ("a.safetensors", b"\x08\x00\x00\x00\x00\x00\x00\x00not json", "it is damaged or cut sho"),
        ("a.safetensors", b"version https://git-lfs.github.com/spec/v1\noid", "(git lfs pull): fe"),
        ("a.safetensors", b"<!doctype html><html>404", "a page of HTML"),
        ("a.safetensors", b"", "it is empty: fetch it again"),
    ],
)
def test_other_formats_are_named(tmp_path, name, content, said):
    file = tmp_path / name
    if content is None:
        with open(file, "wb") as stream:
            np.savez(stream, a=np.ones(3))
    else:
        file.write_bytes(content)
    text = refusal(file)
    assert str(file) in text and said in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            {"epoch": 3, "model": {"a": torch.ones(1)}},
            r"holds 'epoch', 'model', of which 'model' is",
        ),
        (
            {"model_state_dict": {"a": torch.ones(1)}},
            r"torch.save\(torch.load\('.*a.pth', 'cpu'\)\['model_s",
        ),
        (
            {"epoch": 3, "state_dict": None},
            "it holds 'epoch', 'state_dict', and no state dict. Save",
        ),
        ({}, "it holds nothing. Save"),
        ([torch.ones(1)], "it holds a list, not a state dict. Save"),
    ],
)
def test_a_file_that_holds_no_state_dict_where_open_clip_has_it(model, content, said):
    folder = model()
    (folder / "open_clip_model.safetensors").unlink()
    torch.save(content, folder / "a.pth")
    for spec in (f"{ARCHITECTURE}//{folder / 'a.pth'}", str(folder)):
        with pytest.raises(ValueError, match=f"does not hold the weights of .*: .*{said}"):
            load_backbone(spec)


# Sizes


HUGE = 2**40


def rewritten(file, compression=zipfile.ZIP_STORED, change=lambda content: content):
    """An archive of torch.save whose pickle is changed."""
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, change(content) if name.endswith("data.pkl") else content)


MANY = b"\x8a\x06" + HUGE.to_bytes(6, "little")  # as a pickle says it


def larger(content):
    """A pickle of torch.save that declares 2 ** 40 items where it had 77."""
    assert b"K\x4d" in content
    return content.replace(b"K\x4d", MANY)


def popped(content):
    """The same, with 77 after this number, and taken away again."""
    return content.replace(b"K\x4d", MANY + b"K\x4d0")


@pytest.mark.parametrize(
    "form", ["zip", "zip, popped", "legacy", "legacy, popped", "safetensors", "header"]
)
def test_declared_sizes_are_checked_before_anything_is_made(tmp_path, form):
    archive, of_torch = form.startswith("zip"), not form.startswith(("safetensors", "header"))
    file = tmp_path / ("weights.pt" if of_torch else "weights.safetensors")
    change = popped if form.endswith("popped") else larger
    if of_torch:
        torch.save({"a": torch.ones(77)}, file, _use_new_zipfile_serialization=archive)
    if archive:
        rewritten(file, change=change)
    elif of_torch:
        file.write_bytes(change(file.read_bytes()))
    else:
        header = {"a": {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 4 * HUGE]}}
        header = json.dumps(header).encode()
        length = len(header) if form == "safetensors" else HUGE
        file.write_bytes(length.to_bytes(8, "little") + header + bytes(8))
    text = refusal(file)
    assert "does not hold the weights" in text
    if of_torch:
        assert ("not what torch.save writes (POP)" if change is popped else str(4 * HUGE)) in text


def test_a_compressed_archive_is_refused(tmp_path):
    """Torch maps it into memory as if it were not, and gives other numbers."""
    file = tmp_path / "weights.pt"
    torch.save({"a": torch.zeros(2**20)}, file)
    rewritten(file, zipfile.ZIP_DEFLATED)
    assert "it is compressed" in refusal(file)


def test_a_table_of_contents_that_names_a_part_twice_is_refused(tmp_path):
    file = tmp_path / "weights.pt"
    torch.save({"a": torch.zeros(1000)}, file)
    content = file.read_bytes()
    at = content.rindex(b"PK\x01\x02", 0, content.rindex(b"weights/data/0"))
    size = (4000).to_bytes(4, "little")
    where = content.index(size, at)
    larger = content[:where] + (2**30).to_bytes(4, "little") + content[where + 4 :]
    file.write_bytes(larger)
    assert "does not hold the weights" in refusal(file)


tensors = st.builds(
    lambda kind, shape: torch.zeros(shape).to(kind),
    st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.int64, torch.bool]),
    st.lists(st.integers(0, 9), max_size=3),
)


@given(
    st.dictionaries(st.text(max_size=9), tensors, max_size=5),
    st.booleans(),
    st.sampled_from([2, 3, 4, 5]),
)
def test_what_torch_saves_is_let_through(tmp_path_factory, state, archive, protocol):
    file = tmp_path_factory.mktemp("weights") / "weights.pt"
    state = {"state_dict": state, "again": list(state.values()), "epoch": 3}
    torch.save(state, file, _use_new_zipfile_serialization=archive, pickle_protocol=protocol)
    check_checkpoint(file)


@given(st.binary(max_size=400))
@example(b"\x8d\x00\x00\x00\x00\x00\x00\x00\x01")  # a text of 2**56 bytes
def test_any_bytes_are_an_error_that_is_meant(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("weights") / "weights.pt"
    for start in (b"", b"\x80\x02", b"PK\x03\x04"):
        file.write_bytes(start + content)
        with pytest.raises(ValueError, match=r"^it (is|declares)"):
            check_checkpoint(file)


# Configurations


@pytest.fixture
def model(tmp_path):
    """A folder with a model, its vocabulary below it; and what writes its configuration."""
    folder = tmp_path / "model"
    folder.mkdir()
    torch.manual_seed(0)
    save_file(open_clip.CLIP(**CONFIG).state_dict(), folder / "open_clip_model.safetensors")

    def write(part="text_cfg", **changes):
        config = CONFIG | {part: CONFIG[part] | changes}
        (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
        return folder

    return write


def own_vocabulary(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = zoo.VOCABULARY.read_bytes()
    path.write_bytes(content + content)  # gzip reads one after the other; it is not the zoo's


def test_a_vocabulary_is_beside_its_configuration(tmp_path, model):
    outside, folder = tmp_path / "merges.gz", model()
    own_vocabulary(outside)
    own_vocabulary(folder / "below" / "merges.gz")
    (folder / "link.gz").symlink_to(outside)
    for path in ("../merges.gz", str(outside), "below/../../merges.gz", "link.gz"):
        model(tokenizer_kwargs={"bpe_path": path})
        with pytest.raises(ValueError, match=r"config.json' has 'bpe_path'.*outside of its folder"):
            load_backbone(str(folder)).tokenizer  # noqa: B018
        with pytest.raises(ValueError, match="outside of its folder"):
            ZeroShotHead(str(folder)).set_classes(["cat", "dog"])
    model(tokenizer_kwargs={"bpe_path": "below/merges.gz"})
    assert ZeroShotHead(str(folder)).set_classes(["cat", "dog"]).text_features_.shape == (2, 16)


def test_a_vocabulary_that_is_not_compressed(model):
    folder = model(tokenizer_kwargs={"bpe_path": "merges.txt"})
    (folder / "merges.txt").write_text("#version: 0.2")
    with pytest.raises(BackboneNotAvailableError, match=r"zip.*merges.txt' has to be its vocab"):
        load_backbone(str(folder)).tokenizer  # noqa: B018


def test_a_copy_of_the_zoos_vocabulary_may_lie_anywhere(tmp_path, model):
    (tmp_path / "vocabulary.txt.gz").write_bytes(zoo.VOCABULARY.read_bytes())
    folder = model(tokenizer_kwargs={"bpe_path": "../vocabulary.txt.gz"})
    assert ZeroShotHead(str(folder)).set_classes(["cat", "dog"]).text_features_.shape == (2, 16)


@pytest.mark.parametrize(
    ("part", "changes", "said"),
    [
        ("text_cfg", {"tokenizer_kwargs": {"trust_remote_code": True}}, "'trust_remote_code'"),
        ("text_cfg", {"hf_tokenizer_name": "../tokenizer"}, "'hf_tokenizer_name'"),
        ("text_cfg", {"hf_model_name": "/etc"}, "'hf_model_name'"),
        ("text_cfg", {"hf_model_name": "a/../../b"}, "'hf_model_name'"),
        ("text_cfg", {"hf_model_name": ["a"]}, "'hf_model_name'"),
        ("vision_cfg", {"timm_model_name": "local-dir:/tmp/a"}, "'timm_model_name'"),
        ("vision_cfg", {"timm_model_name": "~/a"}, "'timm_model_name'"),
    ],
)
def test_a_configuration_asks_for_nothing_outside(model, part, changes, said):
    with pytest.raises(ValueError, match=rf"open_clip_config.json' has {said}"):
        load_backbone(str(model(part, **changes)))


def test_a_directory_whose_weights_have_another_ending(model):
    folder = model()
    expected = CLIPEmbedder(str(folder)).fit_transform([np.eye(8)])
    torch.save({"state_dict": load_backbone(str(folder)).model.state_dict()}, folder / "a.pt")
    (folder / "open_clip_model.safetensors").unlink()
    said = r"/model' does not hold .* no file of weights in it. It has a.pt. .*pytorch_model.bin"
    with pytest.raises(ValueError, match=said):
        load_backbone(str(folder))
    (folder / "a.pt").rename(folder / "open_clip_pytorch_model.bin")
    found = CLIPEmbedder(str(folder)).fit_transform([np.eye(8)])
    np.testing.assert_array_equal(found, expected)


def test_a_vocabulary_that_is_not_named(model):
    folder = model(vocab_size=2814)
    weights = open_clip.CLIP(**CONFIG | {"text_cfg": CONFIG["text_cfg"] | {"vocab_size": 2814}})
    save_file(weights.state_dict(), folder / "open_clip_model.safetensors")
    said = r"config.json' has 'vocab_size': 2814 .* has 49408 words.*'bpe_path': 'FILE NAME'"
    with pytest.raises(ValueError, match=said):
        ZeroShotHead(str(folder)).set_classes(["cat", "dog"])
    with pytest.warns(
        UserWarning, match=r"'vocab_size': 64000 .* names no tokenizer, .*'hf_tokeni"
    ):
        check_vocabulary(49408, CONFIG | {"text_cfg": {"vocab_size": 64000}}, folder / "config")
    (folder / "words.gz").write_bytes(zoo.VOCABULARY.read_bytes())
    model(vocab_size=2814, tokenizer_kwargs={"bpe_path": "words.gz"})
    assert ZeroShotHead(str(folder)).set_classes(["cat", "dog"]).text_features_.shape == (2, 16)


@pytest.mark.parametrize(
    ("key", "value", "may_be"),
    [
        ("mean", [127.5] * 3, "from 0 to 1: of pixels from 0 to 255, divide it by 255"),
        ("std", 58.4, "above 0, to 1"),
        ("std", [0.2, 0.2, 0], "above 0"),
        ("mean", [0.5, 0.5], "one number or three"),
        ("mean", "0.5", "one number or three"),
        ("mean", 0, re.escape("may be [0, 0, 0]: open_clip takes a single 0 for the mean of Op")),
        *(("fill_color", value, "white is 255") for value in (300, -1, 0.5, [255, 255])),
        ("interpolation", "cubic", "'bicubic', 'bilinear', 'random'"),
        ("resize_mode", "crop", "'shortest', 'longest', 'squash'"),
        ("mode", "L", "'RGB'"),
    ],
)
def test_a_preprocessing_that_is_none(model, key, value, may_be):
    file = model() / "open_clip_config.json"
    file.write_text(json.dumps({"model_cfg": CONFIG, "preprocess_cfg": {key: value}}))
    said = rf"config.json' has '{key}': {re.escape(repr(value))} in 'preproc.*{may_be}.*Write what"
    with pytest.raises(ValueError, match=said):
        CLIPEmbedder(str(file.parent)).transform([np.zeros((9, 9, 3), np.uint8)])


def written(folder, vision, preprocessing):
    config = CONFIG | {"vision_cfg": CONFIG["vision_cfg"] | vision}
    said = {"model_cfg": config, "preprocess_cfg": {"mean": 0.5, "std": 0.5} | preprocessing}
    (folder / "open_clip_config.json").write_text(json.dumps(said))
    return str(folder)


@pytest.mark.parametrize(
    ("vision", "preprocessing", "doubt"),
    [
        ({}, {"size": [64, 64]}, "'size': [64, 64] in 'preprocess_cfg', but images are resized"),
        (
            {"image_size": 64},
            {"size": 64},
            "image tower has 2 positions, and open_clip_conf",
        ),
        ({}, {"size": [32]}, None),
        ({}, {"size": None}, None),
    ],
)
def test_what_a_model_was_hardly_trained_with_is_doubted(model, vision, preprocessing, doubt):
    texts = said(load_backbone, written(model(), vision, preprocessing))
    assert len(texts) == (doubt is not None)
    assert all(doubt in text and "of its training" in text for text in texts)


def test_keys_that_open_clip_does_not_know(model):
    for key, right in (("Mean", "mean"), ("stdev", "std")):
        with pytest.raises(ValueError, match=rf"json' has '{key}' in 'prep.* you mean '{right}'"):
            load_backbone(written(model(), {}, {key: 0.5}))
    with pytest.raises(ValueError, match=r"not know\. It knows size, mode, mean, std, interpol"):
        load_backbone(written(model(), {}, {"crop": 0.5}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"embed_dim": "16"}, "config.json' has 'embed_dim': '16' in 'model_cfg'"),
        ({"embed_dim": None}, "config.json' has 'embed_dim': None"),
        ({"vision_cfg": []}, r"config.json' has 'vision_cfg': \[\], which is no object"),
        ({"vision_cfg": {"imagesize": 64}}, "'imagesize' in 'vision_cfg'.* mean 'image_size'"),
        ({"text_cfg": {"layers": "1"}}, "'layers': '1' in 'text_cfg'. It is a number"),
        ({"quick_gelu": "false"}, "'quick_gelu': 'false' in 'model_cfg'. It is true or false: wr"),
        ({"init_logit_scale": "2.3"}, "'init_logit_scale': '2.3' in 'model_cfg'. It is a number"),
        ({"vision_cfg": {"pool_type": "none"}}, "'pool_type': 'none' in 'vision_cfg', which gives"),
        ({"text_cfg": {"pool_type": "none"}}, "'pool_type': 'none' in 'text_cfg', which gives a"),
        ({"vision_cfg": {"timm_model_name": "dla46c"}}, "'dla46c' in .* you mean 'dla46_c'"),
        (
            {"embed_dim": 32},
            r"'(visual.|text_)proj.*' has the shape \(64, 16\), and that .* \(64, 32\)",
        ),
    ],
)
def test_a_configuration_that_is_of_no_model(model, changes, says):
    file = model() / "open_clip_config.json"
    file.write_text(json.dumps({"model_cfg": CONFIG | changes}))
    with pytest.raises(ValueError, match=says):
        load_backbone(str(file.parent))


def test_a_configuration_that_lacks_a_part(model):
    file = model() / "open_clip_config.json"
    for part in CONFIG:
        content = {name: value for name, value in CONFIG.items() if name != part}
        file.write_text(json.dumps({"model_cfg": content}))
        with pytest.raises(ValueError, match=f"^'.*config.json' has no '{part}' in 'model_cfg'"):
            Backbone(str(file.parent)).width  # noqa: B018
    file.write_text(json.dumps({"model_cfg": []}))
    with pytest.raises(ValueError, match=r"^'.*config.json' has 'model_cfg': \[\], which is no"):
        Backbone(str(file.parent)).width  # noqa: B018


def test_positions_in_half_precision_that_do_not_fit(model):
    folder = model("vision_cfg", image_size=64)
    torch.manual_seed(0)
    half = {key: value.half() for key, value in open_clip.CLIP(**CONFIG).state_dict().items()}
    save_file(half, folder / "open_clip_model.safetensors")
    says = r"'visual.positional_embedding' has the shape \(2, 64\), .* 'image_size': 64 and 'patch"
    with pytest.raises(ValueError, match=says):
        load_backbone(str(folder))


def test_open_clips_own_configurations_are_within_these_rules(tmp_path):
    from skclipens.backbones._configs import check_config

    for name in open_clip.list_models():
        check_config(open_clip.get_model_config(name), tmp_path / "open_clip_config.json")
    for name in zoo.MODELS:
        assert Backbone(f"zoo/{name}").config


def test_a_configuration_is_read_again_once_it_was_written(model):
    backbone = Backbone(str(model("vision_cfg", width=128)))
    backbone.config["vision_cfg"]["width"] = 1
    assert backbone.config["vision_cfg"]["width"] == 128
    model("vision_cfg", width=256)
    assert backbone.config["vision_cfg"]["width"] == 256


# Downloads


class Hub(BaseHTTPRequestHandler):
    """As much of the Hugging Face hub as its client needs to fetch a file."""

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("ETag", f'"{self.server.digest}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(self.server.content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with serving(Hub) as server:
        constants = huggingface_hub.constants
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield server


def git_digest(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.mark.parametrize("digest", [lambda c: hashlib.sha256(c).hexdigest(), git_digest])
@pytest.mark.parametrize("is_read", [True, False], ids=["read", "unreadable"])
def test_what_is_fetched_has_the_digest_that_the_hub_states(hub, tmp_path, digest, is_read):
    def fetch(is_read=True):
        with checked_downloads():
            name = huggingface_hub.hf_hub_download(
                "tests/model", "a.bin", cache_dir=str(tmp_path / "hub"), endpoint=hub.url
            )
            if not is_read:
                raise RuntimeError("no weights")
            return name

    hub.content = b"weights" * 1000
    hub.digest = digest(b"others!" * 1000)  # as of a mirror that gives something else
    with pytest.raises(BackboneNotAvailableError, match="has not the digest that the hub states"):
        fetch(is_read)
    hub.digest = digest(hub.content)
    with open(fetch(), "rb") as file:
        assert file.read() == hub.content
    with open(fetch(), "rb") as file:  # from the cache
        assert file.read() == hub.content


def test_a_cache_of_the_hub_that_cannot_be_read(tmp_path, monkeypatch):
    # As root may read all folders, the name is too long in place of a home of another user.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / ("x" * 300)))
    clear_backbone_cache()
    assert not load_backbone("zoo/RN20").model.training


def test_a_file_that_another_process_is_fetching(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    blobs = tmp_path / "models--tests--model" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "0a.incomplete").symlink_to("renamed since it was listed")
    with checked_downloads():
        pass

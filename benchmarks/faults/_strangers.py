"""Untrusted input: archives, checkpoints and names of images."""

import io
import json
import os
import pickle
import shutil
import struct
import tarfile
import tempfile
import traceback
import warnings
from collections import Counter
from inspect import signature
from pathlib import Path

import numpy as np
import torch

from benchmarks.faults._places import NOT_RUN, Outcomes, server
from skclipens import CLIPEmbedder, zoo
from skclipens.backbones import clear_backbone_cache, load_backbone
from skclipens.datasets import load_emoji
from skclipens.exceptions import BackboneNotAvailableError

try:
    from skclipens.datasets._archives import kept_inside
except ImportError:
    kept_inside = None

INSIDE = "nothing outside of the folder"
REFUSED = "an error that names the file, and no code is run"
LOADED = "the weights, and no code is run"
NO_REQUEST = "no request"
CONFIG = "open_clip_config.json"
ARCHITECTURE = "ViT-S-32-alt"


# Archives


def _member(name, kind=tarfile.REGTYPE, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, str(target), 0
    if kind == tarfile.REGTYPE:
        member.size = 1
    return member


def _hostile(outside):
    """Return members that lead outside of the folder of an archive, by kind."""
    return {
        "a name with ../": [_member(f"a/../../{outside.name}/new")],
        "an absolute name": [_member(f"{outside}/new")],
        "a link": [_member("a", tarfile.SYMTYPE, outside), _member("a/new")],
        "a chain of links": [
            _member("a", tarfile.SYMTYPE, "."),
            _member("a/b", tarfile.SYMTYPE, ".."),
            _member(f"b/{outside.name}/new"),
        ],
        "a hard link": [_member("a", tarfile.LNKTYPE, outside / "secret"), _member("a")],
        "a device": [_member("a", tarfile.CHRTYPE)],
        "a pipe": [_member("a", tarfile.FIFOTYPE)],
    }


def _is_inside(folder, outside):
    untouched = {path.name: path.read_bytes() for path in outside.iterdir()} == {"secret": b"s"}
    plain = all(path.is_file() or path.is_dir() for path in folder.rglob("*"))
    linked = [path for path in folder.rglob("*") if not path.resolve().is_relative_to(folder)]
    return untouched and plain and not linked and (outside / "secret").stat().st_nlink == 1


def archives(n):
    """Unpack archives with hostile members, by a fetcher and as a shard of images."""
    counts = {"unpacked": Counter(), "read as a shard": Counter()}
    with tempfile.TemporaryDirectory() as folder:
        outside = Path(folder, "outside").resolve()
        for _ in range(n):
            for members in _hostile(outside).values():
                outside.mkdir()
                (outside / "secret").write_bytes(b"s")
                archive = _archive(Path(folder, "a.tar"), members)
                for how, use in (("unpacked", _unpack), ("read as a shard", _shard)):
                    inside = outside.parent / "inside"
                    inside.mkdir()
                    if use is _unpack and kept_inside is None:
                        counts[how][f"{NOT_RUN}: archives are not checked yet"] += 1
                    else:
                        use(archive, inside)
                        is_inside = _is_inside(inside, outside)
                        counts[how][INSIDE if is_inside else "something outside"] += 1
                    shutil.rmtree(inside)
                shutil.rmtree(outside)
    return [Outcomes(f"hostile archive, {how}", counts[how], (INSIDE,)) for how in counts]


def _archive(path, members):
    picture = Path(load_emoji().filenames[0]).read_bytes()
    with tarfile.open(path, "w") as tar:
        first = tarfile.TarInfo("first.png")
        first.size = len(picture)
        tar.addfile(first, io.BytesIO(picture))
        for member in members:
            tar.addfile(member, io.BytesIO(b"x"))
    return path


def _unpack(archive, folder):
    try:
        with kept_inside(folder), tarfile.open(archive) as tar:
            tar.extractall(folder)
    except (OSError, tarfile.TarError):
        pass


def _shard(archive, folder):
    CLIPEmbedder("zoo/RN20", on_error="nan").embed_to(folder / "out", [str(archive)])
    shutil.rmtree(folder / "out")


# Checkpoints


class _Payload:
    """An object that runs code when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class _Scripted(torch.nn.Module):
    def forward(self, x):
        return x + 1


def _checkpoints(folder):
    """Yield files of weights that must be refused: with code, or with wrong sizes."""
    payload = _Payload(folder / "ran")
    for suffix in (".pt", ".pth", ".bin"):
        for zipped in (True, False):
            file = folder / f"zipped-{zipped}{suffix}"
            torch.save({"a": payload}, file, _use_new_zipfile_serialization=zipped)
            yield file
        file = folder / f"bare{suffix}"
        file.write_bytes(pickle.dumps({"a": payload}))
        yield file
        file = folder / f"script{suffix}"
        torch.jit.script(_Scripted()).save(file)
        yield file
    np.savez(folder / "arrays.npz", a=np.array([payload], object))
    yield folder / "arrays.npz"
    for size in (2**62, 2**31, 8):
        file = folder / f"header-{size}.safetensors"
        file.write_bytes(struct.pack("<Q", size) + b"{}")
        yield file
    header = {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    text = json.dumps(header).encode()
    file = folder / "shape.safetensors"
    file.write_bytes(struct.pack("<Q", len(text)) + text)
    yield file


def _load(spec, file, ran):
    """Return the outcome of loading a model."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load_backbone(spec)
    except (ValueError, BackboneNotAvailableError) as error:
        said = "".join(traceback.format_exception_only(error))
        outcome = REFUSED if str(file) in said else f"{said} does not name the file"
    except Exception as error:
        outcome = f"{type(error).__name__}"
    else:
        outcome = LOADED
    return "code was run" if ran.exists() else outcome


def checkpoints(n):
    """Load checkpoints that contain code or a wrong size."""
    counts = Counter()
    for _ in range(n):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            for file in _checkpoints(folder):
                counts[_load(f"{ARCHITECTURE}//{file}", file, folder / "ran")] += 1
    return Outcomes("hostile checkpoint", counts, (REFUSED,))


def mutated_models(n, seed=0):
    """Load folders of models in which some bytes have changed."""
    rng, counts = np.random.default_rng(seed), Counter()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model")
        shutil.copytree(zoo.WEIGHTS / "ViT-8", model)
        for i in range(n):
            file = model / (CONFIG if i % 4 == 0 else "open_clip_model.safetensors")
            content = file.read_bytes()
            changed = bytearray(content)
            reach = 4000 if i % 2 else len(content)  # the header of the weights, or all
            for at in rng.integers(0, min(len(content), reach), 3):
                changed[at] = rng.integers(256)
            file.write_bytes(changed[: len(content) - rng.integers(0, 2) * rng.integers(1, 99)])
            counts[_load(str(model), model, Path(folder, "ran"))] += 1
            clear_backbone_cache()
            file.write_bytes(content)
    return Outcomes("mutated folder of a model", counts, (REFUSED, LOADED))


# Names that lead elsewhere


def _asks(url):
    """Return names that would request a server if they were followed."""
    host = url.removeprefix("http://")
    return [
        f"{url}/a.png",
        f"HTTP://{host}/a.png",
        f"ftp://{host}/a.png",
        f"simplecache::{url}/a.png",
        f"filecache::simplecache::{url}/a.png",
        f"zip://a.png::{url}/a.zip",
        f"tar://in.png::{url}/a.tar",
        f"reference://a.png::{url}/a.json",
        f"{url}/a.tar",
        f"webdav://{host}/a.png",
    ]


def requests(n):
    """Read lists of names from others, and drawings that name other files."""
    picture = load_emoji().filenames[0]
    counts = {"transform": Counter(), "embed_to": Counter()}
    has_protocols = "protocols" in signature(CLIPEmbedder.embed_to).parameters
    embedder = CLIPEmbedder("zoo/RN20", on_error="nan")
    with tempfile.TemporaryDirectory() as folder, server(folder) as running:
        shutil.copy(picture, Path(folder, "a.png"))
        drawing = (
            f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{running.url}/a.png"/></svg>'
        )
        Path(folder, "a.svg").write_text(drawing)
        for i in range(n):
            for name in [*_asks(running.url), f"{folder}/a.svg"]:
                embedder.transform([picture, name])
                counts["transform"][_seen(running)] += 1
                if has_protocols or name.endswith(".svg"):
                    try:
                        embedder.embed_to(f"{folder}/{i}-{hash(name)}", [str(picture), name])
                    except (ValueError, OSError):
                        pass
                    counts["embed_to"][_seen(running)] += 1
                else:
                    counts["embed_to"][f"{NOT_RUN}: it has no protocols yet"] += 1
    return [Outcomes(f"name of a stranger, {how}", counts[how], (NO_REQUEST,)) for how in counts]


def _seen(running):
    seen = NO_REQUEST if not running.requests else f"requests: {running.requests}"
    running.requests.clear()
    return seen

"""Embed every image of a set once, for all experiments."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

import skclipens
from skclipens import MultiBackboneEmbedder, list_backbones
from skclipens.backbones import resolve_backbones
from skclipens.backbones._kinds import parse_kind
from skclipens.embedding import model_key

_AT_ONCE = 2048  # images that are embedded before they are written


@dataclass(frozen=True)
class Columns:
    """The options of how an image is embedded; see MultiBackboneEmbedder."""

    views: str | None = None
    features: str = "projected"
    keep_plain: bool = False

    def __str__(self):
        features = _NAMES.get(self.features, self.features)
        if self.views is None:
            return f"{features} features of the image alone"
        beside = ", and those of the image alone beside them" if self.keep_plain else ""
        return f"{features} features of views ({self.views}){beside}"

    def embedder(self, backbones):
        return MultiBackboneEmbedder(list(backbones), **asdict(self))


_NAMES = {"both": "projected and pooled", "all": "projected, pooled and intermediate"}
PLAIN = Columns()
ALL_FEATURES = Columns(features="both")


def blocks_of(backbones, columns=PLAIN):
    """Return a dict of names and columns of each block in an embedding by all backbones."""
    positions = {}
    for i, name in enumerate(columns.embedder(backbones).get_feature_names_out()):
        positions.setdefault(name.rpartition("__")[0], []).append(i)
    return {name: slice(found[0], found[-1] + 1) for name, found in positions.items()}


def gflops_of(backbones, columns=PLAIN):
    """Return the cost of each block for an image, and of "all", which embeds each view once."""
    plain, viewed = (list_backbones(views)["gflops"] for views in (None, columns.views))
    costs = {}
    for name in blocks_of(backbones, columns):
        kind = parse_kind(name)
        is_plain = columns.keep_plain and not kind.views
        costs[name] = (plain if is_plain else viewed).get(kind.backbone, np.nan)
    total = viewed.reindex([one.name for one in resolve_backbones(list(backbones))])
    return costs | {"all": total.sum(skipna=False)}


def short_names(backbones):
    """Return short names of backbones for tables: of a folder, the last two parts of its path."""
    paths = {name: Path(name) for name in backbones}
    return {
        name: "/".join(path.parts[-2:]) if path.is_dir() else name for name, path in paths.items()
    }


def shortened(texts, backbones):
    """Return a series or index of texts with short names of backbones."""
    for name, short in short_names(backbones).items():
        texts = texts.str.replace(name, short, regex=False)
    return texts


def embed(image_set, backbones, work, *, columns=PLAIN, verbose=False):
    """Return embeddings of the images of a set, (n, width), memory-mapped and kept in ``work``."""
    folder = embed_set(image_set, backbones, Path(work, "embeddings"), verbose, columns)
    return np.load(folder / "X.npy", mmap_mode="r")


def embed_set(image_set, backbones, work, verbose=True, columns=PLAIN):
    """Embed the images of a set unless this is done, and return the folder of the embeddings.

    The folder has ``X.npy``, float32, and ``set.json``. Its name is a digest of the inputs.
    """
    models = [model_key(one, "fp32") for one in resolve_backbones(list(backbones))]
    prompts = image_set.class_names, image_set.templates
    images = image_set.y.tolist(), image_set.gathered_from
    text = repr((models, images, prompts, skclipens.__version__))
    text += "" if columns == PLAIN else repr(columns)
    folder = work / f"{image_set.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "X.npy").exists():
        embedder = columns.embedder(backbones)
        _embed(image_set.images, embedder, folder, f"embed {image_set.name}", verbose)
    about = {
        "name": image_set.name,
        "y": image_set.y.tolist(),
        "class_names": image_set.class_names,
        "templates": image_set.templates,
        "train": None if image_set.train is None else image_set.train.tolist(),
        "test": None if image_set.test is None else image_set.test.tolist(),
        "from": image_set.gathered_from,
    }
    write_whole(folder / "set.json", lambda path: path.write_text(json.dumps(about)))
    return folder


def _embed(images, embedder, folder, title, verbose):
    """Append rows to a file, whose size gives the number of complete rows."""
    width = len(embedder.get_feature_names_out())
    unfinished, row_bytes = folder / "X.part", 4 * width
    done = unfinished.stat().st_size // row_bytes if unfinished.exists() else 0
    with open(unfinished, "r+b" if done else "wb") as file:
        file.truncate(done * row_bytes)
        file.seek(done * row_bytes)
        with tqdm(total=len(images), initial=done, desc=title, disable=not verbose) as bar:
            for start in range(done, len(images), _AT_ONCE):
                rows = embedder.fit_transform(images[start : start + _AT_ONCE])
                file.write(np.ascontiguousarray(rows, np.float32).tobytes())
                file.flush()
                bar.update(len(rows))
    X = np.memmap(unfinished, np.float32, "r", shape=(len(images), width))
    write_whole(folder / "X.npy", partial(_save, X))
    unfinished.unlink()


def _save(X, path):
    with open(path, "wb") as file:
        np.save(file, X)


def read_set(folder):
    """Return embeddings, memory-mapped, and the content of ``set.json``, with arrays."""
    about = json.loads((folder / "set.json").read_text())
    for key in ("y", "train", "test"):
        about[key] = None if about[key] is None else np.array(about[key])
    return np.load(folder / "X.npy", mmap_mode="r"), about


def write_whole(path, write):
    """Write a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    write(part)
    part.replace(path)


def kept(file, make):
    """Return the array in a file; make and write it if there is none."""
    if not file.is_file():
        write_whole(file, partial(_save, make()))
    return np.load(file)

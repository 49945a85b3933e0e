"""Pictures of your own to train on: a folder for each class, and a table of captions."""

import csv
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from skclipens.datasets._local import list_images
from skclipens.images import load_image
from skclipens.images._folders import is_hidden, walk_class

from .augmentation import augment_photographs
from .batch import Batch
from .captions import TEMPLATES

_SMALLEST = 0.45  # share of a picture that is shown


class PictureFolders:
    """Pictures in one folder per class, at any depth below it.

    Parameters
    ----------
    folder : Path
    table : Path, optional
        A CSV file with the columns class (the name of a folder), caption, and kind: "name" for
        what the class is, "general" for what it has in common with others. A row per caption.
        Without it, names of folders are the captions.
    """

    def __init__(self, folder, table=None):
        folders = [path for path in Path(folder).iterdir() if path.is_dir()]
        folders = sorted(path for path in folders if not is_hidden(path.name))
        self.files, self.labels = [], []
        for label, path in enumerate(folders):
            files, _ = list_images(path, walk_class)
            self.files += files
            self.labels += [label] * len(files)
        if not self.files:
            raise ValueError(f"{folder} has no pictures in folders of classes.")
        names = [path.name for path in folders]
        self.names, self.general = _captions(names, table)
        said = [self.files, self.names, self.general]
        self.key = hashlib.sha256(repr(said).encode()).hexdigest()

    def batch(self, n, size, rng, generator):
        """Return different pictures, each with a caption of its class and a general one, if any."""
        rows = rng.choice(len(self.files), size=min(n, len(self.files)), replace=False)
        crops = rng.random((len(rows), 5))
        with ThreadPoolExecutor() as pool:
            shown = list(pool.map(lambda i, crop: _view(self.files[i], crop, size), rows, crops))
        images = augment_photographs(torch.from_numpy(np.stack(shown)), generator)
        labels = [self.labels[row] for row in rows]
        name_of = {label: _phrase(self.names[label], rng) for label in sorted(set(labels))}
        general_of = {
            label: _phrase(self.general[label], rng) for label in name_of if self.general[label]
        }
        general = sorted(set(general_of.values()))
        of_general = [general.index(general_of[i]) if i in general_of else -1 for i in labels]
        names = [name_of[label] for label in labels]
        return Batch(images, names, general, torch.tensor(of_general))

    def scores(self, model, tokenizer):
        """Return None, since no pictures are held out."""
        return None


def _captions(classes, table):
    """Return lists of captions of each class: names, and general ones."""
    if table is None:
        return [[name.replace("_", " ")] for name in classes], [[] for _ in classes]
    kinds = {"name": {}, "general": {}}
    with open(table, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            kind = row.get("kind") or "name"
            if kind not in kinds:
                raise ValueError(f"A caption is of kind 'name' or 'general', not {kind!r}.")
            kinds[kind].setdefault(row["class"], []).append(row["caption"])
    missing = [name for name in classes if name not in kinds["name"]]
    if missing:
        raise ValueError(f"{table} has no caption of {', '.join(missing[:5])}.")
    return [[kinds[kind].get(name, []) for name in classes] for kind in ("name", "general")]


def _phrase(captions, rng):
    return rng.choice(TEMPLATES).format(rng.choice(captions))


def _view(file, crop, size):
    """Return a part of a picture, (3, size, size), by five numbers from 0 to 1, maybe mirrored."""
    picture = load_image(file)
    share, shape, left, top, mirror = crop
    area = (_SMALLEST + (1 - _SMALLEST) * share) * picture.width * picture.height
    ratio = np.exp((2 * shape - 1) * np.log(4 / 3)) * picture.width / picture.height
    width = min(picture.width, np.sqrt(area * ratio))
    height = min(picture.height, area / width)
    left, top = left * (picture.width - width), top * (picture.height - height)
    box = (left, top, left + width, top + height)
    part = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC, box=box))
    return (part[:, ::-1] if mirror < 0.5 else part).transpose(2, 0, 1).copy()

"""Images per second of the embedders, beside the loops that people write and the hardware's limit.

    python -m benchmarks.embedding [--backbone ViT-B-32] [--images 256] [--repeats 3]

Makes JPEG files of 500 x 375 pixels and prints tables in Markdown: of one backbone with random
weights, of the five models of the zoo, and of growth with images and backbones. Fails beyond a
limit. All ways take turns in one process, and the best of their repeats counts. Loops of one image
at a time get only some of the files, and so does bf16 on CPUs without it. The limit is

    1 / (forward + decoding / cores)

with the seconds per image of the bare forward on tensors that are ready, in the faster of fp32 and
bf16, and of decoding and open_clip's preprocessing on one core.
"""

import argparse
import os
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.pipeline import FeatureUnion
from threadpoolctl import threadpool_limits
from torch.utils.data import DataLoader

from skclipens import CLIPEmbedder, MultiBackboneEmbedder, zoo
from skclipens.backbones import Backbone
from skclipens.backbones._devices import resolve_precision
from skclipens.datasets import load_emoji
from skclipens.embedding import _keys
from skclipens.embedding._keys import image_keys
from skclipens.images import load_image

from ._machine import best_of, describe, heading, markdown, peak_resident, start_peak, stop_if

TITLE = "Embedding images: rates and memory"
LIBRARIES = ["torch", "open_clip_torch", "torchvision", "Pillow", "scikit-learn", "numpy"]
BATCH = 64
SINGLES = 32  # images for the loops that take one at a time
OURS = "skclipens"
README = "open_clip's README: one image at a time"
BATCHED, BATCHED_BF16 = "batches, fp32", "batches, bf16"
UNION, LIMIT = "FeatureUnion of five CLIPEmbedder", "limit"


def make_pictures(folder, n, size=(500, 375), seed=0, noise=9):
    """Make JPEG files with edges, smooth parts and noise, as large as photographs."""
    rng = np.random.default_rng(seed)
    emoji = [load_image(file) for file in load_emoji().filenames]
    width, height = size
    files = []
    for i in range(n):
        colours = Image.fromarray(rng.integers(256, size=(6, 8, 3), dtype=np.uint8))
        picture = colours.resize(size, Image.Resampling.BICUBIC)
        for side in rng.integers(80, 260, size=6).tolist():
            place = (rng.integers(-side // 2, width - side // 2), rng.integers(height - side // 2))
            one = emoji[rng.integers(len(emoji))].resize((side, side), Image.Resampling.BICUBIC)
            picture.paste(one, tuple(map(int, place)))
        noisy = np.asarray(picture) + rng.normal(0, noise, size=(height, width, 1))
        files.append(str(folder / f"{i:05d}.jpg"))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(files[-1], quality=90)
    return files


class Model:
    """A backbone loaded and used as in open_clip's documentation."""

    def __init__(self, spec, device="cpu"):
        self.backbone, self.device = Backbone(spec), device
        weights = str(self.backbone.path) if self.backbone.architecture else None
        self.model, _, self.preprocess = open_clip.create_model_and_transforms(
            self.backbone.model_name, weights
        )
        self.model.to(device).eval().requires_grad_(False)
        self.ready = {}

    def load(self, file):
        with Image.open(file) as image:
            return self.preprocess(image)

    def encode(self, tensors):
        with torch.no_grad(), torch.autocast("cuda", enabled=self.device.startswith("cuda")):
            return self.model.encode_image(tensors.to(self.device)).cpu().numpy()

    def one_at_a_time(self, files):
        return np.concatenate([self.encode(self.load(file).unsqueeze(0)) for file in files])

    def encode_in_bf16(self, tensors):
        tower, _ = self.ready["bf16"]
        with torch.inference_mode():
            return tower(tensors.bfloat16()).float().numpy()

    def batches(self, files, encode=None):
        encode = encode or self.encode
        return np.concatenate(
            [
                encode(torch.stack([self.load(file) for file in files[i : i + BATCH]]))
                for i in range(0, len(files), BATCH)
            ]
        )

    def data_loader(self, files):
        loader = DataLoader(_Files(files, self.load), BATCH, num_workers=joblib.cpu_count())
        return np.concatenate([self.encode(batch) for batch in loader])

    def embetter(self, files):
        """Load all files, then embed batches of 32: its ClipEncoder with open_clip's model."""
        from embetter.vision import ImageLoader

        pictures = ImageLoader().fit_transform(files)
        return np.concatenate(
            [
                self.encode(torch.stack([self.preprocess(one) for one in pictures[i : i + 32]]))
                for i in range(0, len(files), 32)
            ]
        )

    def make_ready(self, files):
        """Prepare the image tower and one batch in a memory format that is faster or no slower."""
        tower = self.model.visual.to(memory_format=torch.channels_last)
        batch = torch.stack([self.load(file) for file in files[:BATCH]])
        batch = batch.contiguous(memory_format=torch.channels_last)
        low = Model(self.backbone.spec).model.visual.to(torch.bfloat16)
        low.to(memory_format=torch.channels_last)
        self.ready = {"fp32": (tower, batch), "bf16": (low, batch.bfloat16())}

    def forward(self, precision, files):
        tower, batch = self.ready[precision]
        with torch.inference_mode():
            for i in range(0, len(files), BATCH):
                tower(batch[: len(files) - i])


class _Files(torch.utils.data.Dataset):
    def __init__(self, files, load):
        self.files, self.load = files, load

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        return self.load(self.files[i])


def with_random_weights(architecture, folder):
    """Return an open_clip backbone with random weights."""
    torch.manual_seed(0)
    weights = Path(folder, f"{architecture}.safetensors")
    save_file(open_clip.create_model(architecture).state_dict(), weights)
    return f"{architecture}//{weights}"


def n_in_bf16(n):
    """Return how many of n images to embed in bf16: few if the CPU emulates it, which is slow."""
    return n if resolve_precision("auto", "cpu") == "bf16" else min(n, SINGLES)


def decode(model, files):
    """Decode and preprocess files on one core."""
    with threadpool_limits(1):
        for file in files:
            model.load(file)


def measure(ways, files, repeats):
    """Return the best seconds per image of each way, and the MiB it adds; ways take turns."""
    seconds, added = {name: [] for name in ways}, dict.fromkeys(ways, 0.0)
    for _ in range(repeats):
        for name, (run, n) in ways.items():
            run(files[: min(n, 4)])
            before = start_peak()
            start = time.perf_counter()
            run(files[:n])
            seconds[name].append((time.perf_counter() - start) / n)
            added[name] = max(added[name], peak_resident() - before)
    return {name: min(times) for name, times in seconds.items()}, added


def report(seconds, added, limit, asked):
    """Return the table, and what is beyond the limits; `limit` is in seconds per image."""
    seconds = {**seconds, LIMIT: limit}
    lines, beyond = [], []
    for name, time_ in sorted(seconds.items(), key=lambda item: -item[1]):
        ratio, least = time_ / seconds[OURS], asked.get(name)
        memory = f"{added[name]:.0f}" if name in added else ""
        lines.append([name, f"{1 / time_:.1f}", f"{ratio:.2f}", least or "", memory])
        if least and ratio < least:
            beyond.append(f"{ratio:.2f} × as fast as {name}, asked {least}")
    header = ["way", "images/s", "skclipens is × as fast", "asked", "added memory, MiB"]
    return markdown(header, lines), beyond


def check(expected, found):
    """Return the largest cosine distance between two tables of embeddings."""
    expected, found = (
        x / np.linalg.norm(x, axis=1, keepdims=True) for x in map(np.float64, (expected, found))
    )
    distance = (1 - (expected * found).sum(axis=1)).max()
    assert distance < 1e-3, distance
    return distance


def one_backbone(spec, files, repeats):
    """Return the table of one backbone."""
    model = Model(spec)
    model.make_ready(files)
    embedder = CLIPEmbedder(spec, device="cpu", batch_size=BATCH)
    n = len(files)
    ways = {
        README: (model.one_at_a_time, SINGLES),
        BATCHED: (model.batches, n),
        BATCHED_BF16: (partial(model.batches, encode=model.encode_in_bf16), n_in_bf16(n)),
        "DataLoader, fp32": (model.data_loader, n),
        "embetter, fp32": (model.embetter, n),
        "bare forward, fp32": (partial(model.forward, "fp32"), n),
        "bare forward, bf16": (partial(model.forward, "bf16"), n_in_bf16(n)),
        "decoding and preprocessing, one core": (partial(decode, model), n),
        OURS: (embedder.transform, n),
    }
    try:
        import embetter.vision  # noqa: F401
    except ImportError:
        print("embetter is left out: it is not installed (pip install embetter).\n")
        del ways["embetter, fp32"]
    seconds, added = measure(ways, files, repeats)
    forward = min(seconds[f"bare forward, {precision}"] for precision in ("fp32", "bf16"))
    decoding = seconds["decoding and preprocessing, one core"]
    limit = forward + decoding / joblib.cpu_count()
    asked = {README: 3, BATCHED: 1.8, BATCHED_BF16: 1, LIMIT: 0.95}
    table, beyond = report(seconds, added, limit, asked)
    few = files[:SINGLES]
    distance = check(model.one_at_a_time(few), embedder.transform(few))
    return f"{table}\n\nLargest cosine distance from the README's: {distance:.1e}.", beyond


def whole_zoo(files, repeats):
    """Return the table of the five zoo models together."""
    specs = [f"zoo/{name}" for name in zoo.MODELS]
    models = [Model(spec) for spec in specs]
    for model in models:
        model.make_ready(files)
    embedder = MultiBackboneEmbedder("zoo", device="cpu", batch_size=BATCH)
    union = FeatureUnion([(s, CLIPEmbedder(s, device="cpu", batch_size=BATCH)) for s in specs])
    n = len(files)
    ways = {
        README: (lambda files: [model.one_at_a_time(files) for model in models], SINGLES),
        BATCHED: (lambda files: [model.batches(files) for model in models], n),
        BATCHED_BF16: (
            lambda files: [model.batches(files, model.encode_in_bf16) for model in models],
            n_in_bf16(n),
        ),
        UNION: (union.fit_transform, n),
        "decoding and preprocessing, one core": (partial(decode, models[0]), n),
        OURS: (embedder.transform, n),
    }
    for model in models:
        for precision, size in {"fp32": n, "bf16": n_in_bf16(n)}.items():
            name = f"bare forward of {model.backbone.name}, {precision}"
            ways[name] = partial(model.forward, precision), size
    seconds, added = measure(ways, files, repeats)
    forward = sum(
        min(seconds[f"bare forward of {spec}, {precision}"] for precision in ("fp32", "bf16"))
        for spec in specs
    )
    decoding = seconds["decoding and preprocessing, one core"]
    limit = forward + decoding / joblib.cpu_count()
    return report(seconds, added, limit, {README: 4, BATCHED_BF16: 1, UNION: 2.5, LIMIT: 0.95})


def growth(files, repeats):
    """Return tables of time and memory by the number of images and of zoo backbones."""
    specs = [f"zoo/{name}" for name in zoo.MODELS]
    embedder = MultiBackboneEmbedder("zoo", device="cpu", batch_size=BATCH)
    n = len(files)
    ways = {
        (size, len(specs)): (embedder.transform, size)
        for size in sorted({n // 8, n // 4, n // 2, n})
    }
    for size in range(1, len(specs)):
        some = MultiBackboneEmbedder(specs[:size], device="cpu", batch_size=BATCH)
        ways[n, size] = (some.transform, n)
    seconds, added = measure(ways, files, repeats)
    lines = [
        [*size, f"{time_ * size[0]:.2f}", f"{1e3 * time_:.2f}", f"{added[size]:.0f}"]
        for size, time_ in seconds.items()
    ]
    return markdown(["images", "backbones", "s", "ms per image", "added memory, MiB"], lines)


def cold_store(files, repeats):
    """Return the table of the costs of an empty store; other images are embedded meanwhile."""
    embedder = MultiBackboneEmbedder("zoo", device="cpu", batch_size=BATCH)

    def keys():
        _keys._remembered.clear()
        image_keys(files)

    def keys_first():
        keys()
        embedder.transform(files)

    def empty_store():
        _keys._remembered.clear()
        with tempfile.TemporaryDirectory() as folder:
            MultiBackboneEmbedder("zoo", device="cpu", batch_size=BATCH, cache=folder).transform(
                files
            )

    ways = {
        "without a store": partial(embedder.transform, files),
        "keys alone": keys,
        "keys of all images, then embedding": keys_first,
        "with an empty store": empty_store,
    }
    by_clock = best_of(ways, repeats)
    least = by_clock["without a store"]
    lines = [
        [way, f"{1e3 * time_ / len(files):.2f}", f"{time_ / least:.2f}"]
        for way, time_ in by_clock.items()
    ]
    size = np.mean([os.path.getsize(file) for file in files]) / 1e6
    return markdown([f"{len(files)} files of {size:.1f} MB", "ms per image", "× without"], lines)


def conditions(files, repeats):
    """Return the conditions of the measurement."""
    size = np.mean([os.path.getsize(file) for file in files]) / 1000
    return (
        f"{describe(LIBRARIES)}; {torch.backends.cpu.get_cpu_capability()}, "
        f"{torch.get_num_threads()} threads of torch; {len(files)} files of {size:.0f} kB on "
        f"average; batches of {BATCH}; best of {repeats}."
    )


def main(arguments=None):
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbone", default="ViT-B-32", help="architecture of open_clip")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["one", "zoo", "store"])
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", "(?s).*plain GELU", UserWarning)
    with tempfile.TemporaryDirectory() as folder:
        files = make_pictures(Path(folder), options.images)
        print(heading(TITLE, "embedding", arguments))
        print(conditions(files, options.repeats))
        beyond = []
        if options.only not in ("zoo", "store"):
            spec = with_random_weights(options.backbone, folder)
            print(f"\n{options.backbone}, random weights\n")
            table, beyond = one_backbone(spec, files, options.repeats)
            print(table, flush=True)
        if options.only not in ("one", "store"):
            print("\nThe five models of the zoo\n")
            table, more = whole_zoo(files, options.repeats)
            print(table, flush=True)
            beyond += more
            print("\nGrowth: skclipens with models of the zoo\n")
            print(growth(files, options.repeats), flush=True)
        if options.only not in ("one", "zoo"):
            print("\nA store that is empty, and the five models of the zoo\n")
            large = Path(folder, "large")
            large.mkdir()
            pictures = make_pictures(large, max(1, options.images // 8), (4000, 3000))
            print(
                cold_store(files, options.repeats),
                cold_store(pictures, options.repeats),
                sep="\n\n",
            )
    stop_if(beyond)


if __name__ == "__main__":
    main()

"""Embedding on a GPU: agreement with the CPU, and images per second beside the limits.

    python -m benchmarks.gpu [--backbones ViT-B-32 ViT-L-14 RN50] [--images 2048] [--repeats 2]

Makes JPEG files of three sizes and prints tables in Markdown: for each backbone, with random
weights, how far its embeddings are from those of the CPU, images per second by the size of the
files, and by precision, compilation and the number of threads that decode; then of the backbones of
``--together`` at once, and the seconds to train a router. Fails if embeddings differ by more than
the limit, or if ours is slower than 0.9 of its own limit, which is the slower of

- the bare forward on a batch that is on the GPU already, and
- decoding and resizing alone, by all cores.

The two overlap. ``--device cpu`` tries the program without a GPU.
"""

import argparse
import tempfile
import time
import warnings
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import torch

from skclipens import CLIPEmbedder, MultiBackboneEmbedder
from skclipens.backbones import Backbone, clear_backbone_cache, list_backbones
from skclipens.backbones._devices import resolve_precision
from skclipens.embedding._encoder import ImageEncoder
from skclipens.embedding._plan import plan_blocks
from skclipens.ensemble import NeuralLogitController
from skclipens.images._decoding import decode_batches

from ._machine import best_of, describe, heading, markdown, stop_if
from .embedding import BATCH, SINGLES, Model, make_pictures, with_random_weights

TITLE = "Embedding on a GPU"
LIBRARIES = ["torch", "torchvision", "open_clip_torch", "Pillow", "numpy"]
N_PARITY = 32
# Largest cosine distance from the CPU in fp32.
TOLERANCES = {"fp32": 1e-4, "auto": 1e-3}
OF_LIMIT = 0.9
SIZES = {(500, 375): 1, (1600, 1200): 4, (4000, 3000): 16}  # and by how much fewer files
OURS, FORWARD, DECODING = "skclipens, files", "bare forward", "decoding and resizing, all cores"
README, LOADER = "open_clip's README, on the GPU", "DataLoader, autocast"
LOOP = "one CLIPEmbedder after the other"
ON_GPU = "JPEG decoded and resized on the GPU, then the same forward"


class Measured:
    """Backbones on a device, and the ways to embed with them."""

    def __init__(self, specs, device, batch_size):
        self.specs, self.device, self.batch_size = specs, device, batch_size
        self.precision = resolve_precision("auto", device)
        self.embedder = self.make()
        self.encoder = ImageEncoder(
            plan_blocks([Backbone(spec) for spec in specs]),
            devices=[device],
            precision=self.precision,
            compile=False,
            decode="auto",
        )
        self.loop = Model(specs[0], device) if len(specs) == 1 else None

    def make(self, **parameters):
        """Return an embedder with some of its parameters set."""
        return MultiBackboneEmbedder(
            self.specs, device=self.device, batch_size=self.batch_size, **parameters
        )

    def one_by_one(self, files):
        for spec in self.specs:
            CLIPEmbedder(spec, device=self.device, batch_size=self.batch_size).transform(files)

    def decode(self, files):
        """Decode files as threads do while the GPU computes."""
        yield from decode_batches(
            files,
            range(len(files)),
            self.encoder.resizes,
            batch_size=self.batch_size,
            n_jobs=-1,
            n_ahead=2,
            on_error="raise",
            pin_memory=self.encoder.pin_memory,
            notes={},
        )

    def decode_only(self, files):
        with closing(self.decode(files)) as batches:
            for _ in batches:
                pass

    def forward_only(self, pixels, n):
        """Run forward passes on one batch on the device, as many as n images need."""
        replica = self.encoder.replicas[0]
        for _ in range(-(-n // self.batch_size)):
            replica(pixels)
        self.wait()

    def ready(self, files):
        """Return one batch of pixels on the device."""
        _, pixels = next(self.decode((files * self.batch_size)[: self.batch_size]))
        return {key: values.to(self.device) for key, values in pixels.items()}

    def decoded_on_gpu(self, files):
        """Return embeddings of JPEG files that torchvision decodes and resizes on the device."""
        from torchvision.io import ImageReadMode, decode_jpeg, read_file
        from torchvision.transforms.v2 import functional

        ((key, (height, width, *_)),) = self.encoder.resizes.items()
        found = []
        for start in range(0, len(files), self.batch_size):
            data = [read_file(file) for file in files[start : start + self.batch_size]]
            pictures = decode_jpeg(data, mode=ImageReadMode.RGB, device=self.device)
            pixels = torch.stack([_resize_and_crop(functional, p, height) for p in pictures])
            pixels = pixels[..., :width].permute(0, 2, 3, 1)
            found.append(self.encoder.replicas[0]({key: pixels}).cpu().numpy())
        return np.concatenate(found)

    def wait(self):
        if torch.device(self.device).type == "cuda":
            torch.cuda.synchronize(self.device)


def _resize_and_crop(functional, picture, size):
    """Resize the shortest side to ``size`` by antialiased bicubic, then crop the centre."""
    mode = functional.InterpolationMode.BICUBIC
    resized = functional.resize(picture, [size], interpolation=mode, antialias=True)
    return functional.center_crop(resized, [size, size])


def agreement(one, files):
    """Return a table of largest cosine distances from the CPU in fp32, and those beyond limits."""
    files, (spec,) = files[:N_PARITY], one.specs
    expected = CLIPEmbedder(spec, device="cpu", precision="fp32").transform(files)
    found = {
        precision: CLIPEmbedder(spec, device=one.device, precision=precision).transform(files)
        for precision in TOLERANCES
    }
    try:
        found[ON_GPU] = one.decoded_on_gpu(files)
    except (RuntimeError, ImportError) as error:
        print(f"{ON_GPU}: not available ({str(error).splitlines()[0]}).\n")
    lines, beyond = [], []
    for name, embeddings in found.items():
        distance = _distance(expected, embeddings)
        limit = TOLERANCES.get(name)
        shown = f"auto ({one.precision})" if name == "auto" else name
        lines.append([shown, f"{distance:.1e}", "" if limit is None else f"{limit:.0e}"])
        if limit is not None and not distance <= limit:
            beyond.append(f"{spec.split('//')[0]}, {shown}: distance {distance:.1e}")
    header = [f"{one.device}", "largest cosine distance from the CPU", "limit"]
    return markdown(header, lines), beyond


def _distance(expected, found):
    a, b = (
        x / np.linalg.norm(x, axis=1, keepdims=True) for x in map(np.float64, (expected, found))
    )
    return float((1 - (a * b).sum(axis=1)).max())


def loops(one, files):
    """Return what users write for one backbone, and decoding on the GPU where that is possible."""
    few, n = files[:SINGLES], len(files)
    ways = {
        README: (partial(one.loop.one_at_a_time, few), len(few)),
        LOADER: (partial(one.loop.data_loader, files), n),
    }
    try:
        one.decoded_on_gpu(few[:2])
        ways[ON_GPU] = (partial(one.decoded_on_gpu, files), n)
    except (RuntimeError, ImportError):
        pass
    return ways


def rates(name, one, files, repeats):
    """Return a table of images per second, and those beyond the limit."""
    n = len(files)
    ways = loops(one, files) if one.loop else {LOOP: (partial(one.one_by_one, files), n)}
    ways |= {
        FORWARD: (partial(one.forward_only, one.ready(files), n), n),
        DECODING: (partial(one.decode_only, files), n),
        OURS: (partial(one.embedder.transform, files), n),
    }
    for run, _ in ways.values():
        run()  # kernels are chosen, and memory is set aside
    _reset_peak(one.device)
    best = best_of({way: run for way, (run, _) in ways.items()}, repeats)
    seconds = {way: best[way] / count for way, (_, count) in ways.items()}
    limit = max(seconds[FORWARD], seconds[DECODING])
    lines = [
        [way, f"{1 / time_:.0f}", f"{time_ / seconds[OURS]:.2f}"]
        for way, time_ in [*seconds.items(), ("limit", limit)]
    ]
    table = markdown([name, "images/s", "skclipens is × as fast"], lines)
    share = limit / seconds[OURS]
    # On a CPU the forward and decoding share the cores, and this is no limit.
    short = share < OF_LIMIT and one.device != "cpu"
    beyond = [f"{name}: {share:.2f} of the limit, asked {OF_LIMIT}"] if short else []
    return f"{table}\n\n{_peak(one.device)}", beyond


def _reset_peak(device):
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device):
    if torch.device(device).type != "cuda":
        return ""
    return f"Peak memory of the GPU: {torch.cuda.max_memory_allocated(device) / 2**20:.0f} MiB."


def settings(name, one, files, repeats):
    """Return a table of our images per second by settings of the embedder."""
    on_gpu = torch.device(one.device).type == "cuda"  # a CPU has no kernels for fp16
    precisions = ["fp32", "fp16", "bf16"] if on_gpu else ["fp32", "bf16"]
    tried = {precision: {"precision": precision} for precision in precisions}
    tried["one thread that decodes"] = {"n_jobs": 1}
    if on_gpu:
        tried["compile=True"] = {"compile": True}
    ways = {way: partial(one.make(**given).transform, files) for way, given in tried.items()}
    for run in ways.values():
        run()
    seconds = best_of({OURS: partial(one.embedder.transform, files), **ways}, repeats)
    lines = [
        [way, f"{len(files) / time_:.0f}", f"{seconds[OURS] / time_:.2f}"]
        for way, time_ in seconds.items()
    ]
    return markdown([f"{name}, settings", "images/s", "× the default"], lines)


def training(device, repeats, n_features, n=1600, n_experts=9, n_classes=100):
    """Return a table of the seconds to train the NLC on random numbers."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, n_features)).astype("f")
    logits = rng.normal(size=(n, n_experts, n_classes)).astype("f")
    targets = rng.integers(n_classes, size=n)
    ways = {
        where: partial(NeuralLogitController(device=where, random_state=0).fit, X, logits, targets)
        for where in dict.fromkeys([device, "cpu"])
    }
    ways[device]()  # not timed: kernels are chosen
    seconds = best_of(ways, repeats)
    lines = [
        [where, f"{time_:.2f}", f"{seconds['cpu'] / time_:.1f}"] for where, time_ in seconds.items()
    ]
    return markdown(
        [f"router NLC, {n_features} columns, 1,000 steps", "s", "× as fast as the CPU"], lines
    )


def measure(names, device, pictures, folder, batch_size, repeats):
    """Print the tables of some backbones together; return what is beyond a limit."""
    specs = [name if "/" in name else with_random_weights(name, folder) for name in names]
    one, beyond, start = Measured(specs, device, batch_size), [], time.perf_counter()
    called = names[0] if len(names) == 1 else f"{len(names)} backbones at once"
    small = next(iter(pictures.values()))
    if one.loop:
        table, beyond = agreement(one, small)
        print(f"\n{table}\n", flush=True)
    for (width, height), files in pictures.items():
        table, more = rates(f"{called}, {width} x {height}", one, files, repeats)
        print(f"{table}\n", flush=True)
        beyond += more
    if one.loop:
        print(f"{settings(called, one, small, repeats)}\n", flush=True)
    print(f"Measured in {time.perf_counter() - start:.0f} s.", flush=True)
    clear_backbone_cache()
    return beyond


def of_the_paper():
    """Return the architectures of the paper's nine backbones."""
    known = list_backbones()
    return [spec.removesuffix("/openai") for spec in known.index[known["group"] == "paper"]]


def make_sizes(folder, n):
    """Return file names by the size of the pictures."""
    pictures = {}
    for size, part in SIZES.items():
        number = max(1, n // part)
        place = Path(folder, f"{size[0]}")
        place.mkdir()
        # Each file is read several times, since decoding is measured, not the disk.
        made = make_pictures(place, min(number, 256 // part), size)
        pictures[size] = (made * -(-number // len(made)))[:number]
    return pictures


def main(arguments=None):
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbones", nargs="+", default=["ViT-B-32", "ViT-L-14", "RN50"])
    parser.add_argument(
        "--together", nargs="+", help="backbones that are measured at once; default: the paper's"
    )
    parser.add_argument("--images", type=int, default=2048, help="files of 500 x 375 pixels")
    parser.add_argument("--batch-size", type=int, default=4 * BATCH)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args(arguments)
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("There is no CUDA device here. --device cpu tries the program without.")
    warnings.filterwarnings("ignore", "(?s).*plain GELU", UserWarning)
    card = (
        torch.cuda.get_device_name(options.device)
        if options.device.startswith("cuda")
        else "no GPU"
    )
    print(heading(TITLE, "gpu", arguments))
    print(f"{card}; {describe(LIBRARIES)}.")
    beyond = []
    groups = [[name] for name in options.backbones]
    groups += [options.together or of_the_paper()]
    with tempfile.TemporaryDirectory() as folder:
        pictures = make_sizes(folder, options.images)
        for names in groups:
            beyond += measure(
                names, options.device, pictures, folder, options.batch_size, options.repeats
            )
    n_columns = sum(Backbone(name).width for name in groups[-1])
    print(f"\n{training(options.device, options.repeats, n_columns)}")
    stop_if(beyond)


if __name__ == "__main__":
    main()

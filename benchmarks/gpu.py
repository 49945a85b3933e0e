"""Embedding on a GPU: agreement with the CPU, and images per second beside the limits.

    python -m benchmarks.gpu [--backbones ViT-B-32 ViT-L-14 RN50] [--images 2048] [--repeats 2]

Makes JPEG files of 500 x 375 pixels and prints, for each backbone with random weights, two tables
in Markdown; three backbones take less than eight minutes. Fails if embeddings differ by more than
the limit, or if ours is slower than 0.8 of its own limit, which is the slower of

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

from skclipens import CLIPEmbedder
from skclipens.backbones import Backbone, clear_backbone_cache
from skclipens.backbones._devices import resolve_precision
from skclipens.embedding._encoder import ImageEncoder
from skclipens.embedding._plan import plan_blocks
from skclipens.images._decoding import decode_batches

from ._machine import best_of, describe, heading, markdown, stop_if
from .embedding import BATCH, SINGLES, Model, make_pictures, with_random_weights

TITLE = "Embedding on a GPU"
LIBRARIES = ["torch", "torchvision", "open_clip_torch", "Pillow", "numpy"]
N_PARITY = 32
# Largest cosine distance from the CPU in fp32.
TOLERANCES = {"fp32": 1e-4, "auto": 1e-3}
OF_LIMIT = 0.8
OURS, FORWARD, DECODING = "skclipens, files", "bare forward", "decoding and resizing, all cores"
README, LOADER = "open_clip's README, on the GPU", "DataLoader, autocast"
ON_GPU = "JPEG decoded and resized on the GPU, then the same forward"


class Measured:
    """A backbone on a device, and the ways to embed with it."""

    def __init__(self, spec, device, batch_size):
        self.device, self.batch_size = device, batch_size
        self.precision = resolve_precision("auto", device)
        self.embedder = CLIPEmbedder(spec, device=device, batch_size=batch_size)
        self.encoder = ImageEncoder(
            plan_blocks([Backbone(spec)]),
            devices=[device],
            precision=self.precision,
            compile=False,
            decode="auto",
        )
        self.loop = Model(spec, device)

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


def agreement(spec, one, files):
    """Return a table of largest cosine distances from the CPU in fp32, and those beyond limits."""
    files = files[:N_PARITY]
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


def rates(name, one, files, repeats):
    """Return a table of images per second, and those beyond the limit."""
    n, few = len(files), files[:SINGLES]
    pixels = one.ready(files)
    ways = {
        README: (partial(one.loop.one_at_a_time, few), len(few)),
        LOADER: (partial(one.loop.data_loader, files), n),
        FORWARD: (partial(one.forward_only, pixels, n), n),
        DECODING: (partial(one.decode_only, files), n),
        OURS: (partial(one.embedder.transform, files), n),
    }
    try:
        one.decoded_on_gpu(few[:2])
        ways[ON_GPU] = (partial(one.decoded_on_gpu, files), n)
    except (RuntimeError, ImportError):
        pass
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


def measure(name, device, files, folder, batch_size, repeats):
    """Print the tables of one backbone; return what is beyond a limit."""
    spec = name if "/" in name else with_random_weights(name, folder)
    one = Measured(spec, device, batch_size)
    table, beyond = agreement(spec, one, files)
    print(f"\n{table}\n", flush=True)
    start = time.perf_counter()
    table, more = rates(name, one, files, repeats)
    print(f"{table}\nMeasured in {time.perf_counter() - start:.0f} s.", flush=True)
    clear_backbone_cache()
    return beyond + more


def main(arguments=None):
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbones", nargs="+", default=["ViT-B-32", "ViT-L-14", "RN50"])
    parser.add_argument("--images", type=int, default=2048)
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
    with tempfile.TemporaryDirectory() as folder:
        # Each file is read several times, since decoding is measured, not the disk.
        made = make_pictures(Path(folder), min(options.images, 256))
        files = (made * -(-options.images // len(made)))[: options.images]
        for name in options.backbones:
            beyond += measure(
                name, options.device, files, folder, options.batch_size, options.repeats
            )
    stop_if(beyond)


if __name__ == "__main__":
    main()

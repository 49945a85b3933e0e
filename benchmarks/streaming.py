"""Rate and peak memory of streaming images into a table, by the number of images.

    python -m benchmarks.streaming [--images 10000 100000] [--backbones zoo/ViT-16]

Makes tar shards of PNG files of 32 x 32 pixels, and for each number of images starts a process
that streams as many of them into a folder of Parquet files. Prints a table in Markdown, and fails
if memory at its highest is more than 10% above that of the first number.
"""

import argparse
import io
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np

from skclipens.datasets import load_emoji
from skclipens.images import load_image

from ._machine import describe, heading, markdown, peak_resident

LIMIT = 1.1  # times the memory of the first number of images
PER_SHARD = 10_000
TITLE = "Streaming images into a table: rate and memory"
LIBRARIES = ["torch", "open_clip_torch", "pyarrow", "pandas", "Pillow", "joblib"]


def make_shards(folder, n_images, seed=0):
    """Write tar files of small pictures that all differ."""
    rng = np.random.default_rng(seed)
    pictures = [load_image(file).resize((32, 32)) for file in load_emoji().filenames]
    for first in range(0, n_images, PER_SHARD):
        with tarfile.open(folder / f"{first:09d}.tar", "w") as tar:
            for i in range(first, min(first + PER_SHARD, n_images)):
                content = io.BytesIO()
                picture = pictures[i % len(pictures)].copy()
                picture.putpixel((i % 32, i // 32 % 32), tuple(rng.integers(256, size=3).tolist()))
                picture.save(content, "PNG", compress_level=1)
                info = tarfile.TarInfo(f"{i:09d}.png")
                info.size = content.tell()
                content.seek(0)
                tar.addfile(info, content)


def stream(images, table, backbones):
    """Stream images into a table in this process; print seconds and MiB."""
    from skclipens import MultiBackboneEmbedder

    embedder = MultiBackboneEmbedder(backbones, verbose=True)
    start = time.perf_counter()
    embedder.embed_to(table, images)
    print(time.perf_counter() - start, peak_resident())


def measure(n_images, backbones):
    """Return seconds, peak MiB of memory, and MB of the table."""
    with tempfile.TemporaryDirectory() as folder:
        shards, table = Path(folder, "shards"), Path(folder, "table")
        shards.mkdir()
        make_shards(shards, n_images)
        command = [sys.executable, "-m", "benchmarks.streaming", "--stream", f"{shards}/*.tar"]
        output = subprocess.run(
            [*command, "--table", table, "--backbones", *backbones],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        size = sum(part.stat().st_size for part in table.glob("*.parquet")) / 1e6
    return *map(float, output.split()), size


def main(arguments=None):
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--backbones", nargs="+", default=["zoo/ViT-16"])
    parser.add_argument("--stream", help=argparse.SUPPRESS)
    parser.add_argument("--table", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.stream:
        return stream(options.stream, options.table, options.backbones)
    print(heading(TITLE, "streaming", arguments))
    print(f"{describe(LIBRARIES)}.\n")
    rows, peaks = [], []
    for n_images in options.images:
        seconds, peak, size = measure(n_images, options.backbones)
        peaks.append(peak)
        ratio = peak / peaks[0]
        rows.append(
            [
                f"{n_images:,}",
                f"{n_images / seconds:.0f}",
                f"{peak:.0f}",
                f"{ratio:.3f}",
                f"{size:.0f}",
            ]
        )
    header = ["images", "images/s", "peak memory, MiB", "× the first", "table, MB"]
    print(markdown(header, rows))
    if max(peaks) > LIMIT * peaks[0]:
        sys.exit(f"Memory is not flat: {max(peaks) / peaks[0]:.2f} × the first, limit {LIMIT}.")


if __name__ == "__main__":
    main()

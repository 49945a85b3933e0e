"""JPEG files at a fraction of their size: how far embeddings move, and what it saves.

    python -m benchmarks.decoding [--pictures DIR] [--images 12] [--repeats 3]

Prints how far embeddings of the zoo move from those of pictures decoded at full size, for several
margins: the shorter side of the reduced picture, in multiples of what the model reads. The kinds of
picture are made here, except photographs: those of scikit-learn, or the files of a folder. Then
the time of decoding and of embedding whole files, for three sizes of file, and of decoding in
threads and in processes. Rates are per second of processor time, except for threads and processes.
Fails if files of 4000 x 3000 pixels are not embedded at least 4 times as fast as at full size.
"""

import argparse
import io
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from unittest.mock import patch

import joblib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_images
from threadpoolctl import threadpool_limits

from skclipens import CLIPEmbedder, MultiBackboneEmbedder, zoo
from skclipens.datasets import load_emoji
from skclipens.embedding import _encoder
from skclipens.images import load_image
from skclipens.images._load import load_pictures

from ._machine import best_of, describe, heading, markdown, stop_if
from .embedding import make_pictures, with_random_weights

TITLE = "Decoding JPEG files at a fraction of their size"
LIBRARIES = ["torch", "torchvision", "Pillow", "open_clip_torch"]
MARGINS = (1, 1.5, 2, 3, 4)
READS = 64  # pixels that the models of the zoo read
SIZES = ((500, 375), (1600, 1200), (4000, 3000))
NOISE = 3  # with which files are as large as those of phones
ASKED = 4  # times the rate at full size, of the largest files


def pictures_of(folder):
    """Return a few large pictures of five kinds."""
    rng = np.random.default_rng(0)
    if folder is None:
        photographs = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    else:
        files = sorted(file for file in Path(folder).rglob("*.jpg"))
        photographs = [load_image(file) for file in rng.permutation(files)[:40].tolist()]
    files = load_emoji().filenames
    emoji = [load_image(file) for file in files[:: len(files) // 8]]
    return {
        "photographs": photographs,
        "drawings": [one.resize((1024, 1024)) for one in emoji],
        "pages of text": [_page(rng) for _ in range(4)],
        "texture with the spectrum of photographs": [_texture(rng) for _ in range(4)],
        "noise": [Image.fromarray(rng.integers(256, size=(900, 1200, 3), dtype=np.uint8))],
    }


def _page(rng):
    page = Image.new("RGB", (1200, 900), "white")
    words = ["".join(map(chr, 97 + rng.integers(26, size=rng.integers(2, 9)))) for _ in range(400)]
    lines = [" ".join(words[i : i + 12]) for i in range(0, len(words), 12)]
    font = ImageFont.load_default(size=24)
    ImageDraw.Draw(page).multiline_text((30, 30), "\n".join(lines), "black", font)
    return page


def _texture(rng, height=900, width=1200):
    """Return noise whose amplitudes fall with frequency, like those of photographs."""
    across = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    across[0, 0] = np.inf
    noise = rng.normal(size=(3, *across.shape)) + 1j * rng.normal(size=(3, *across.shape))
    values = np.fft.irfft2(noise / across, s=(height, width))
    values = 128 + 50 * values / values.std(axis=(1, 2), keepdims=True)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


def moved(pictures, margin, names):
    """Return the largest cosine distance for each zoo model, over the three reductions."""
    contents = [_file(one, margin, by) for one in pictures for by in (2, 4, 8)]
    exact, reduced = (
        MultiBackboneEmbedder(names, precision="fp32", decode=decode, device="cpu")
        for decode in ("exact", "auto")
    )
    with patch.object(_encoder, "DECODE_MARGIN", margin):
        tables = exact.transform(contents), reduced.transform(contents)
    return _apart(*tables, len(names)).max(axis=0)


def _apart(exact, reduced, n_blocks):
    """Return cosine distances of two tables of embeddings, of shape (n, n_blocks)."""
    exact, reduced = (x.reshape(len(x), n_blocks, -1).astype(float) for x in (exact, reduced))
    return 1 - (exact * reduced).sum(axis=2)


def _file(picture, margin, by):
    """Return a JPEG file that is decoded, divided by a number, with exactly this margin."""
    scale = -(-margin * READS * by // 1) / min(picture.size)
    size = [max(round(scale * side), round(margin * READS * by)) for side in picture.size]
    file = io.BytesIO()
    picture.resize(size, Image.Resampling.LANCZOS).save(file, "JPEG", quality=92)
    return file.getvalue()


def distances(folder):
    """Return a table of how far embeddings move."""
    names = [f"zoo/{name}" for name in zoo.MODELS]
    lines = []
    for kind, pictures in pictures_of(folder).items():
        for margin in MARGINS:
            found = moved(pictures, margin, names)
            lines.append([kind, margin, *(f"{value:.1e}" for value in found)])
    return markdown(["pictures", "margin", *(name.split("/")[1] for name in names)], lines)


def decoders(files, repeats):
    """Return a table of the ways to decode on one core."""

    def by_torchvision(file):
        from torchvision.io import ImageReadMode, decode_jpeg, read_file

        return decode_jpeg(read_file(file), ImageReadMode.RGB)

    def by_simplejpeg(file, side=None):
        import simplejpeg

        sides = {"min_height": side, "min_width": side, "min_factor": 1} if side else {}
        return simplejpeg.decode_jpeg(Path(file).read_bytes(), **sides)

    ways = {
        "Pillow": load_image,
        "Pillow, for a model that reads 224 pixels": partial(_reduced, side=448),
        "Pillow, for a model that reads 64 pixels": partial(_reduced, side=128),
        "torchvision.io": by_torchvision,
        "simplejpeg": by_simplejpeg,
        "simplejpeg, for a model that reads 224 pixels": partial(by_simplejpeg, side=448),
    }
    for name, way in list(ways.items()):
        try:
            way(files[0])
        except ImportError as error:
            print(f"{name} is left out: {error}.")
            del ways[name]
    runs = {name: partial(_all, way, files) for name, way in ways.items()}
    with threadpool_limits(1):
        return _rates(runs, files, repeats)


def _all(way, files):
    for file in files:
        way(file)


def _rates(runs, files, repeats, clock=time.process_time):
    best = best_of(runs, repeats, clock)
    return {name: len(files) / seconds for name, seconds in best.items()}


def _reduced(file, side):
    return load_pictures(file, [side])[side]


def in_parallel(files, repeats):
    """Return images per second decoded at full size, in threads and in processes."""
    runs = {
        "one after the other, by the clock": partial(_all, load_image, files),
        "in threads, by the clock": partial(_decode_in_parallel, files, "threading"),
        "in processes, by the clock": partial(_decode_in_parallel, files, "loky"),
    }
    return _rates(runs, files, repeats, time.perf_counter)


def _decode_in_parallel(files, backend):
    # Tasks return sizes, not pixels, since processes copy what they return.
    with joblib.parallel_config(backend, n_jobs=-1):
        joblib.Parallel()(joblib.delayed(_size)(file) for file in files)


def _size(file):
    return load_image(file).size


def embedding(embedders, files, repeats):
    """Return images per second of two embedders, and how far their embeddings are apart."""
    runs = {name: partial(one.transform, files) for name, one in embedders.items()}
    rates = _rates(runs, files, repeats)
    tables = [one.set_params(precision="fp32").transform(files) for one in embedders.values()]
    n_blocks = len({name.split("__")[0] for name in embedders["auto"].get_feature_names_out()})
    return rates, _apart(*tables, n_blocks).max()


def main(arguments=None):
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", help="folder of photographs for the table of distances")
    parser.add_argument("--images", type=int, default=12, help="files of each size")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", "(?s).*plain GELU", UserWarning)
    print(heading(TITLE, "decoding", arguments))
    print(f"{describe(LIBRARIES)}; {options.images} files of each size; best of {options.repeats}.")
    print("\nLargest cosine distance from the embedding at full size\n")
    print(distances(options.pictures), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        beyond = rates_of_files(Path(folder), options.images, options.repeats)
    stop_if(beyond)


def rates_of_files(folder, n, repeats):
    """Print the tables of rates; return those beyond the limit."""
    spec = with_random_weights("ViT-B-32", folder)
    embedders = {
        "the zoo": partial(MultiBackboneEmbedder, "zoo", device="cpu"),
        "ViT-B-32, random weights": partial(CLIPEmbedder, spec, device="cpu"),
    }
    decoding, lines, beyond = {}, [], []
    for size in SIZES:
        name = "{} x {}".format(*size)
        place = folder / name
        place.mkdir()
        files = make_pictures(place, n, size, noise=NOISE)
        name += f", {np.mean([Path(file).stat().st_size for file in files]) / 1e6:.2f} MB"
        decoding[name] = decoders(files, repeats) | in_parallel(files, repeats)
        for what, make in embedders.items():
            both = {decode: make(decode=decode) for decode in ("exact", "auto")}
            found, distance = embedding(both, files, repeats)
            ratio = found["auto"] / found["exact"]
            asked = ASKED if size == SIZES[-1] else ""
            if asked and ratio < asked:
                beyond.append(f"{what}: {ratio:.1f} times the rate at full size, asked {asked}")
            found = [f"{found[decode]:.1f}" for decode in both]
            lines.append([what, name, *found, f"{ratio:.1f}", asked, f"{distance:.1e}"])
    print("\nDecoding, images per second\n")
    ways = decoding[name]
    rows = [[way, *(f"{of_size[way]:.1f}" for of_size in decoding.values())] for way in ways]
    print(markdown(["way", *decoding], rows))
    print("\nEmbedding, images per second of processor time\n")
    header = ["models", "files", "exact", "auto", "auto is × as fast", "asked", "cosine distance"]
    print(markdown(header, lines))
    return beyond


if __name__ == "__main__":
    main()

"""A cascade over images beside all of its backbones at once.

    python -m benchmarks.cascade [--shots 16] [--images 2000] [--files 48] [--repeats 3]

Fits a CascadeClassifier and a pipeline with the same backbones on pictures of emoji, and predicts
the others. Prints tables in Markdown, and fails beyond a limit. All ways take turns in one
process, and the best of their repeats counts. The limit of the cascade is the time in which each
backbone embeds those images that its stages let through.

Then JPEG files, like those of the web and of phones, for the zoo and for a small model beside
ViT-B-32 with random weights. Thresholds are set so that these files cost half of the GFLOPs of all
backbones. The cascade should be 1.3 times as fast as all backbones at once; its limit is the time
of its decoding, and half of what all backbones take beyond theirs. Ratios are of processor time,
which other work on the machine changes less than wall time. All ways embed the same columns.
"""

import argparse
import tempfile
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skclipens import (
    CascadeClassifier,
    CLIPEmbedder,
    MultiBackboneEmbedder,
    list_backbones,
    make_backbone_pipeline,
)
from skclipens.backbones._kinds import parse_kind
from skclipens.cascade._thresholds import sweep
from skclipens.datasets import load_emoji
from skclipens.images._decoding import Kept, decode_batches
from skclipens.model_selection import FewShotSplit

from ._machine import best_by, best_of, describe, heading, markdown, peak_memory, stop_if
from .embedding import make_pictures, with_random_weights

TITLE = "Cascades on images: rates and cost"
LIBRARIES = ["torch", "open_clip_torch", "scikit-learn", "numpy"]
FULL, LOOP, OURS = "pipeline of all", "one CLIPEmbedder after the other", "cascade"
AGAIN, DECODING = "each stage reads its images again", "decoding alone, for the cascade"
DECODING_ALL = "decoding alone, for all at once"
OF_LIMIT = 0.8
SIZES = ((500, 375), (4000, 3000))
SHARE = 0.5  # of the GFLOPs, with JPEG files
ASKED = 1.3  # times the rate of all backbones at once, at this share of the GFLOPs
NOISE = 3  # with which files are as large as those of phones


class Images:
    """Pictures of emoji for training, and others to predict, repeated if there are too few."""

    def __init__(self, shots, smallest=20):
        emoji = load_emoji(min_class_size=smallest)
        paths, y = np.array(emoji.filenames), emoji.target_names[emoji.target]
        train, test = next(FewShotSplit(shots, random_state=0).split(paths, y))
        self.train, self.test = (paths[train], y[train]), (paths[test], y[test])

    def many(self, n):
        """Return the first n of the pictures to predict, repeated if needed."""
        rows = np.resize(np.arange(len(self.test[1])), n)
        return self.test[0][rows].tolist()


def fit(images, backbones, drop):
    """Fit the cascade and the pipeline."""
    cascade = CascadeClassifier(
        backbones, embedder=CLIPEmbedder(device="cpu"), max_accuracy_drop=drop, random_state=0
    ).fit(*images.train)
    options = {"features": "projected", "device": "cpu", "random_state": 0}
    full = make_backbone_pipeline(cascade.backbones_, **options)
    return cascade, full.fit(*images.train)


def embed_each(names, paths):
    """Embed images with one backbone after the other."""
    for name in names:
        CLIPEmbedder(name, device="cpu").transform(paths)


def compare(images, backbones, drop, n, repeats):
    """Return the table of the ways, and those beyond the limit."""
    cascade, full = fit(images, backbones, drop)
    paths, names = images.many(n), cascade.backbones_
    result = cascade.predict_with_cost(paths)
    reach = [float(np.mean(result.stages >= stage)) for stage in range(len(names))]
    through = [paths[: round(share * n)] for share in reach]
    ways = {
        FULL: partial(full.predict, paths),
        LOOP: partial(embed_each, names, paths),
        OURS: partial(cascade.predict, paths),
    }
    alone = {name: partial(embed_each, [name], some) for name, some in zip(names, through) if some}
    seconds = best_of(ways | alone, repeats)
    limit = sum(seconds[name] for name in alone)
    gflops = list_backbones()["gflops"][names]
    scores = {FULL: full.score(*images.test), OURS: cascade.score(*images.test)}
    costs = {FULL: gflops.sum(), LOOP: gflops.sum(), OURS: result.cost.mean()}
    lines = [
        [
            way,
            f"{n / seconds[way]:.0f}",
            f"{seconds[way] / seconds[OURS]:.2f}",
            f"{costs[way]:.3f}",
            f"{100 * scores[way]:.1f}" if way in scores else "",
            f"{peak_memory(ways[way]):.0f}",
        ]
        for way in ways
    ]
    lines.append(
        ["limit of the cascade", f"{n / limit:.0f}", f"{limit / seconds[OURS]:.2f}", *3 * [""]]
    )
    header = ["way", "images/s", "the cascade is × as fast", "GFLOPs", "accuracy, %", "peak, MiB"]
    stages = ", ".join(f"{name} {100 * share:.0f} %" for name, share in zip(names, reach))
    share = limit / seconds[OURS]
    beyond = [f"{share:.2f} of the limit, asked {OF_LIMIT}"] if share < OF_LIMIT else []
    return f"{markdown(header, lines)}\n\nImages that reach each stage: {stages}.", beyond


def grow(images, backbones, drop, n, repeats):
    """Return tables of time and memory by the number of images and of backbones."""
    cascade, full = fit(images, backbones, drop)
    parts = []
    ways = {
        (size, way): partial(clf.predict, images.many(size))
        for size in (n // 16, n // 4, n)
        for way, clf in ((FULL, full), (OURS, cascade))
    }
    parts.append(_growth("images", ways, repeats, lambda size: size))
    names = cascade.backbones_
    ways = {}
    for size in range(2, len(names) + 1):
        for way, clf in zip((OURS, FULL), fit(images, names[:size], drop)):
            ways[size, way] = partial(clf.predict, images.many(n // 4))
    parts.append(_growth("backbones", ways, repeats, lambda size: n // 4))
    return "\n\n".join(parts)


def fit_pair(images, spec):
    """Fit a zoo model and ViT-B-32 with a simple classifier, as a cascade and all at once."""
    names, gflops = ["zoo/ViT-16", spec], list_backbones()["gflops"]
    paths, y = (values[:: len(values) // 200 or 1] for values in images.train)
    model = LogisticRegression()
    cost = dict(zip(names, gflops[["zoo/ViT-16", "ViT-B-32/openai"]]))
    options = {"estimator": model, "thresholds": 1, "cost": cost}
    cascade = CascadeClassifier(names, embedder=CLIPEmbedder(device="cpu"), **options)
    full = make_pipeline(MultiBackboneEmbedder(names, device="cpu"), model)
    return cascade.fit(paths, y), full.fit(paths, y)


def on_files(cascade, full, files, repeats):
    """Return table lines for JPEG files at a share of the GFLOPs, and the ratio to all at once."""
    names, ensemble = cascade.backbones_, cascade.cascade_
    embedder = MultiBackboneEmbedder(names, device="cpu")
    spend(cascade, embedder.transform(files))
    result = cascade.predict_with_cost(files)
    share = result.cost.mean() / ensemble.block_costs_.sum()
    rows = [np.flatnonzero(result.stages >= stage) for stage in range(len(names))]
    ways = {
        AGAIN: partial(embed_again, names, files, rows),
        FULL: partial(full.predict, files),
        OURS: partial(cascade.predict, files),
        DECODING: partial(decode, embedder, files, rows),
        DECODING_ALL: partial(decode_all, embedder, files),
    }
    seconds = best_by(ways, repeats)
    seconds["limit"] = [
        decoding + share * (all_ - decoding_all)
        for decoding, all_, decoding_all in zip(
            seconds[DECODING], seconds[FULL], seconds[DECODING_ALL]
        )
    ]
    lines = [
        [
            way,
            f"{len(files) / by_clock:.1f}",
            f"{len(files) / of_processor:.1f}",
            f"{of_processor / seconds[OURS][1]:.2f}",
            ASKED if way == FULL else "",
            {OURS: f"{share:.2f}", FULL: "1.00"}.get(way, ""),
        ]
        for way, (by_clock, of_processor) in seconds.items()
    ]
    return lines, seconds[FULL][1] / seconds[OURS][1]


def spend(cascade, table):
    """Set the thresholds of a cascade so that a table costs at most a share of all blocks."""
    ensemble = cascade.cascade_
    ends = np.cumsum([parse_kind(block).width for block in ensemble.block_names_])
    confidence = np.stack(
        [one.predict_proba(table[:, :end]).max(1) for one, end in zip(ensemble.estimators_, ends)],
        axis=1,
    )
    curve = sweep(confidence, np.zeros(confidence.shape), ensemble.block_costs_)
    most = SHARE * ensemble.block_costs_.sum()
    best = np.flatnonzero(curve["cost"] <= most)[-1]
    ensemble.thresholds_ = np.full(len(ends) - 1, curve["threshold"][best])


def embed_again(names, files, rows):
    """Embed, with each backbone, the files that reach its stage."""
    for name, some in zip(names, rows):
        if len(some):
            CLIPEmbedder(name, device="cpu").transform([files[row] for row in some])


def decode(embedder, files, rows):
    """Decode and resize the files that reach each stage, as a cascade does."""
    resizes = [_resizes(embedder, [block]) for block in embedder._blocks()]
    pixels = {}
    for stage, some in enumerate(rows):
        later = {key: one for of in resizes[stage + 1 :] for key, one in of.items()}
        _decode(files, some, resizes[stage], Kept(later, pixels))


def decode_all(embedder, files):
    """Decode and resize files for all backbones."""
    _decode(files, range(len(files)), _resizes(embedder, embedder._blocks()))


def _resizes(embedder, blocks):
    return embedder._encoder(blocks, ["cpu"], "fp32").resizes


def _decode(files, rows, resizes, kept=None):
    options = {"batch_size": 64, "n_jobs": -1, "n_ahead": 0, "on_error": "raise", "notes": {}}
    for _ in decode_batches(files, rows, resizes, pin_memory=False, kept=kept, **options):
        pass


def of_files(images, backbones, drop, n, repeats):
    """Print the table of JPEG files; return the ratios beyond the limit."""
    lines, beyond = [], []
    with tempfile.TemporaryDirectory() as folder:
        spec = with_random_weights("ViT-B-32", folder)
        kinds = {
            "the zoo": fit(images, backbones, drop),
            "zoo/ViT-16 and ViT-B-32": fit_pair(images, spec),
        }
        for size in SIZES:
            name = "{} x {}".format(*size)
            place = Path(folder, name)
            place.mkdir()
            files = make_pictures(place, n, size, noise=NOISE)
            name += f", {np.mean([Path(file).stat().st_size for file in files]) / 1e6:.2f} MB"
            for kind, both in kinds.items():
                found, ratio = on_files(*both, files, repeats)
                lines += [[kind, name, *line] for line in found]
                if ratio < ASKED:
                    beyond.append(f"{kind}, {name}: {ratio:.2f} × all at once, asked {ASKED}")
    header = ["models", "files", "way", "images/s by the clock", "images/s of processor time"]
    header += ["the cascade is × as fast", "asked", "GFLOPs"]
    print(markdown(header, lines), flush=True)
    return beyond


def _growth(what, ways, repeats, n_of):
    seconds = best_of(ways, repeats)
    lines = [
        [
            size,
            way,
            f"{time_:.2f}",
            f"{1e3 * time_ / n_of(size):.2f}",
            f"{peak_memory(ways[size, way]):.0f}",
        ]
        for (size, way), time_ in seconds.items()
    ]
    return markdown([what, "way", "s", "ms per image", "peak, MiB"], lines)


def main(arguments=None):
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbones", nargs="+", default=["zoo"])
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--files", type=int, default=48, help="JPEG files of each size")
    parser.add_argument("--only", choices=["emoji", "files"])
    parser.add_argument("--drop", type=float, default=0.005, help="of accuracy, at most")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", message="With n_shots")
    warnings.filterwarnings("ignore", "(?s).*plain GELU", UserWarning)
    backbones = options.backbones[0] if len(options.backbones) == 1 else options.backbones
    images = Images(options.shots)
    print(heading(TITLE, "cascade", arguments))
    print(f"{describe(LIBRARIES)}; best of {options.repeats}.\n")
    beyond = []
    if options.only != "files":
        size = (images, backbones, options.drop, options.images, options.repeats)
        table, beyond = compare(*size)
        print(f"{table}\n\nGrowth:\n\n{grow(*size)}\n", flush=True)
    if options.only != "emoji":
        print(f"{options.files} JPEG files of each size, at half the GFLOPs:\n", flush=True)
        beyond += of_files(images, backbones, options.drop, options.files, options.repeats)
    stop_if(beyond)


if __name__ == "__main__":
    main()

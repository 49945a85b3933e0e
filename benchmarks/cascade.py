"""A cascade over images beside all of its backbones at once.

    python -m benchmarks.cascade [--shots 16] [--images 2000] [--repeats 3]

Fits a CascadeClassifier and a pipeline with the same backbones on pictures of emoji, and predicts
the others. Prints tables in Markdown, and fails beyond a limit. All ways take turns in one
process, and the best of their repeats counts. The limit of the cascade is the time in which each
backbone embeds those images that its stages let through.
"""

import argparse
import warnings
from functools import partial

import numpy as np

from benchmarks._machine import best_of, describe, heading, markdown, peak_memory
from skclipens import CascadeClassifier, CLIPEmbedder, list_backbones, make_backbone_pipeline
from skclipens.datasets import load_emoji
from skclipens.model_selection import FewShotSplit

TITLE = "Cascades on images: rates and cost"
LIBRARIES = ["torch", "open_clip_torch", "scikit-learn", "numpy"]
FULL, LOOP, OURS = "pipeline of all", "one CLIPEmbedder after the other", "cascade"
OF_LIMIT = 0.8


class Images:
    """Pictures of emoji to train on, and others to predict, repeated where they are few."""

    def __init__(self, shots, smallest=20):
        emoji = load_emoji(min_class_size=smallest)
        paths, y = np.array(emoji.filenames), emoji.target_names[emoji.target]
        train, test = next(FewShotSplit(shots, random_state=0).split(paths, y))
        self.train, self.test = (paths[train], y[train]), (paths[test], y[test])

    def many(self, n):
        """The first n of the pictures to predict, over and over."""
        rows = np.resize(np.arange(len(self.test[1])), n)
        return self.test[0][rows].tolist()


def fit(images, backbones, drop):
    """The cascade and the pipeline."""
    cascade = CascadeClassifier(
        backbones, embedder=CLIPEmbedder(device="cpu"), max_accuracy_drop=drop, random_state=0
    ).fit(*images.train)
    full = make_backbone_pipeline(cascade.backbones_, device="cpu", random_state=0)
    return cascade, full.fit(*images.train)


def embed_each(names, paths):
    """Embed images with one backbone after the other."""
    for name in names:
        CLIPEmbedder(name, device="cpu").transform(paths)


def compare(images, backbones, drop, n, repeats):
    """Table of the ways, and what is beyond the limit."""
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
    """Tables of time and memory by the number of images and of backbones."""
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
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbones", nargs="+", default=["zoo"])
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--drop", type=float, default=0.005, help="of accuracy, at most")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", message="With n_shots")
    backbones = options.backbones[0] if len(options.backbones) == 1 else options.backbones
    images = Images(options.shots)
    print(heading(TITLE, "cascade", arguments))
    print(f"{describe(LIBRARIES)}; best of {options.repeats}.\n")
    size = (images, backbones, options.drop, options.images, options.repeats)
    table, beyond = compare(*size)
    print(f"{table}\n\nGrowth:\n\n{grow(*size)}", flush=True)
    if beyond:
        raise SystemExit("\nBeyond the limit:\n" + "\n".join(beyond))


if __name__ == "__main__":
    main()

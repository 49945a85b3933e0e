"""A search over images with a store of embeddings, beside one over embeddings that are ready.

    python -m benchmarks.grid_search [--shots 4] [--draws 5] [--repeats 2]

GridSearchCV tries three heads with four routers each, on draws of FewShotSplit from the emoji.
Without a cache it would embed every image once per candidate and draw. With ``cache=`` the pipeline
on paths embeds each once, so it should take no longer than embedding all images and searching over
that table; a second search, no longer than the search over the table. The program prints a table in
Markdown and fails beyond a limit. All ways take turns in one process, and the best of their repeats
counts.
"""

import argparse
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder, make_backbone_pipeline
from skclipens.backbones import clear_backbone_cache, load_backbone, resolve_backbones
from skclipens.datasets import load_emoji
from skclipens.model_selection import FewShotSplit

from ._machine import best_of, describe, heading, markdown, peak_memory, stop_if

BACKBONES = "zoo"
GRID = {
    "head": ["zero-shot", "linear", ["residual", "linear"]],
    "router": ["uniform", "static", "shrunk", "nlc"],
}
TITLE = "Grid search over images, with a store of embeddings"
LIBRARIES = ["scikit-learn", "torch", "open_clip_torch", "numpy"]
EMBED, READY = "embed all images once", "search over the ready table"
COLD, WARM = "search over images, cold", "search over images, warm"
# Largest allowed time, relative to the sum of the times that follow.
LIMITS = {COLD: (1.1, [EMBED, READY]), WARM: (1.05, [READY])}


class Forwards:
    """Counter of the images that have gone through the image tower of each backbone."""

    def __init__(self, backbones):
        clear_backbone_cache()  # a tower in another precision copies the hooks when it is made
        self.counts = Counter()
        for backbone in resolve_backbones(backbones):
            tower = load_backbone(backbone, "cpu").model.visual
            tower.register_forward_hook(self._counter(backbone.name))
            self.counts[backbone.name] = 0

    def _counter(self, name):
        counts = self.counts

        def count(module, inputs, output):
            counts[name] += len(inputs[0])

        return count

    def during(self, run):
        """Call a function; return the number of images per backbone, equal for all backbones."""
        before = self.counts.copy()
        run()
        (number,) = {count - before[name] for name, count in self.counts.items()}
        return number


class Searches:
    """The ways to search, and the scores that each gives to the candidates."""

    def __init__(self, emoji, cv):
        self.paths, self.y = emoji.filenames, emoji.target_names[emoji.target]
        self.cv = cv
        self.scores = {}
        self.folder = None
        self.X = self.embed()

    def embed(self):
        """Return the table of all images."""
        return MultiBackboneEmbedder(BACKBONES, device="cpu").fit_transform(self.paths)

    def ready(self):
        """Search over the table."""
        clf = AdaptiveBackboneEnsemble(BACKBONES, random_state=0)
        self._search(READY, clf, GRID, self.X)

    def cold(self):
        """Search over paths, with an empty store."""
        if self.folder:
            self.folder.cleanup()
        self.folder = tempfile.TemporaryDirectory()
        self._search_images(COLD)

    def warm(self):
        """Search over paths, with the store of an earlier search."""
        self._search_images(WARM)

    def _search_images(self, name):
        clf = make_backbone_pipeline(
            BACKBONES,
            features="projected",
            device="cpu",
            cache=self.folder.name,
            random_state=0,
        )
        grid = {f"adaptivebackboneensemble__{key}": values for key, values in GRID.items()}
        self._search(name, clf, grid, self.paths)

    def _search(self, name, clf, grid, X):
        search = GridSearchCV(clf, grid, cv=self.cv, error_score="raise").fit(X, self.y)
        self.scores[name] = search.cv_results_["mean_test_score"]


def report(seconds, forwards, peaks):
    """Return the table, and what is beyond its limit."""
    lines, beyond = [], []
    for name, time_ in seconds.items():
        limit, parts = LIMITS.get(name, ("", [name]))
        ratio = time_ / sum(seconds[part] for part in parts)
        lines.append(
            [
                name,
                f"{time_:.2f}",
                " + ".join(parts) if limit else "",
                f"{ratio:.3f}" if limit else "",
                limit,
                forwards[name],
                f"{peaks[name]:.0f}",
            ]
        )
        if limit and ratio > limit:
            beyond.append(f"{name}: {ratio:.3f} of {' + '.join(parts)}, limit {limit}")
    header = ["way", "s", "beside", "ratio", "limit", "images through each tower", "peak, MiB"]
    return markdown(header, lines), beyond


def grow(smallest, options):
    """Return a table of time and memory by the number of images, with a store that has them."""
    lines = []
    for size in smallest:
        emoji = load_emoji(min_class_size=size)
        searches = Searches(emoji, FewShotSplit(options.shots, options.draws, random_state=0))
        searches.cold()
        ways = {READY: searches.ready, WARM: searches.warm}
        seconds = best_of(ways, 1)
        ratio = f"{seconds[WARM] / seconds[READY]:.3f}"
        cells = [f"{seconds[way]:.2f}" for way in ways]
        peaks = [f"{peak_memory(run):.0f}" for run in ways.values()]
        lines.append([len(searches.y), len(emoji.target_names), *cells, ratio, *peaks])
    header = ["images", "classes", "ready, s", "warm, s", "ratio", "ready, MiB", "warm, MiB"]
    return markdown(header, lines)


def main(arguments=None):
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shots", type=int, default=4)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--smallest", type=int, default=12, help="pictures of the smallest class")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    forwards = Forwards(BACKBONES)
    emoji = load_emoji(min_class_size=options.smallest)
    searches = Searches(emoji, FewShotSplit(options.shots, options.draws, random_state=0))
    ways = {
        EMBED: searches.embed,
        READY: searches.ready,
        COLD: searches.cold,
        WARM: searches.warm,
    }
    print(heading(TITLE, "grid_search", arguments))
    print(f"{describe(LIBRARIES)}; best of {options.repeats}.\n")
    n_candidates = np.prod([len(values) for values in GRID.values()])
    n, n_classes = len(searches.y), len(emoji.target_names)
    n_distinct = len({Path(file).read_bytes() for file in searches.paths})
    print(
        f"{n} images, {n_distinct} of them distinct, {n_classes} classes, {n_candidates} "
        f"candidates x {options.draws} draws and a last fit on all images.\n"
    )
    # Not timed: warm up what all ways share, such as the texts of the classes.
    peaks = {}
    counts = {
        name: forwards.during(lambda name=name, run=run: peaks.update({name: peak_memory(run)}))
        for name, run in ways.items()
    }
    table, beyond = report(best_of(ways, options.repeats), counts, peaks)
    print(table)
    difference = max(np.abs(searches.scores[way] - searches.scores[READY]).max() for way in LIMITS)
    print(f"\nLargest difference of a candidate's mean accuracy: {difference:.4f}.")
    if (counts[COLD], counts[WARM]) != (n_distinct, 0):
        beyond.append(f"{counts[COLD]} forwards cold, {counts[WARM]} warm; limits {n_distinct}, 0")
    print(f"\nGrowth:\n\n{grow((60, 40, 20), options)}")
    stop_if(beyond)


if __name__ == "__main__":
    main()

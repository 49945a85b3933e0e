"""Seconds to start Python and import, beside scikit-learn's own.

    python -m benchmarks.imports [--repeats 10]

Prints a table in Markdown, and fails if skclipens adds more than 0.2 s.
"""

import argparse
import subprocess
import sys
from functools import partial

from ._machine import best_of, describe, heading, markdown

TITLE = "Import: seconds to start"
LIBRARIES = ["scikit-learn", "numpy", "scipy"]
SKLEARN = "import sklearn.linear_model, sklearn.model_selection, sklearn.pipeline"
WAYS = {
    "Python alone": "pass",
    "scikit-learn": SKLEARN,
    "and `import skclipens`": f"{SKLEARN}; import skclipens",
    "and its embedder, ensemble and pipeline": (
        f"{SKLEARN}; from skclipens import AdaptiveBackboneEnsemble, MultiBackboneEmbedder, "
        "make_backbone_pipeline; import sys; assert 'torch' not in sys.modules"
    ),
}
LIMIT = 0.2  # seconds beyond scikit-learn


def main(arguments=None):
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args(arguments)
    ways = {
        name: partial(subprocess.run, [sys.executable, "-c", code], check=True)
        for name, code in WAYS.items()
    }
    seconds = best_of(ways, options.repeats)
    beyond = {name: time_ - seconds["scikit-learn"] for name, time_ in seconds.items()}
    print(heading(TITLE, "imports", arguments))
    print(f"{describe(LIBRARIES)}; best of {options.repeats}.\n")
    lines = [
        [name, f"{time_:.2f}", f"{beyond[name]:.3f}", LIMIT if name.startswith("and") else ""]
        for name, time_ in seconds.items()
    ]
    print(markdown(["imported", "s", "beyond scikit-learn, s", "limit"], lines))
    if max(beyond.values()) > LIMIT:
        raise SystemExit(f"\nBeyond the limit: {max(beyond.values()):.2f} s")


if __name__ == "__main__":
    main()
